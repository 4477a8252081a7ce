/* The command API over a real server: shapes of results, tokens, one command at a time, and
 * write_image onto a file that stands for the disk. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "agent/api.h"
#include "client.h"
#include "crypt/crypt.h"
#include "httpd.h"
#include "wire/configdrive.h"
#include "wire/gpt.h"
#include "wire/mbr.h"

#define TOKEN "0123456789abcdef0123456789abcdef"
#define MIB   ((size_t)1024 * 1024)

static struct fixture {
	struct loop *loop;
	struct web *web;
	struct agent_config config;
	struct agent_env env;
	struct agent_effects effects;
	struct agent_api *api;
	struct client client;
	char root[32];
	int finished, powered_off, rebooted, downed;
} t;

static void on_finished(void *data)
{
	(void)data;
	t.finished++;
	loop_stop(t.loop);
}

static void power_off(void *data)
{
	(void)data;
	t.powered_off++;
	loop_stop(t.loop);
}

static void restart(void *data)
{
	(void)data;
	t.rebooted++;
	loop_stop(t.loop);
}

static void nics_down(void *data)
{
	(void)data;
	t.downed++;
	loop_stop(t.loop);
}

static int set_up(void **state)
{
	(void)state;
	struct err err = { 0 };
	t = (struct fixture){ .effects = { power_off, restart, nics_down, NULL } };
	snprintf(t.root, sizeof(t.root), "/tmp/ingot-api-XXXXXX");
	assert_non_null(mkdtemp(t.root));
	agent_config_init(&t.config);
	t.config.disk_attempts = 0;
	t.config.image_interval = 1;
	assert_int_equal(loop_new(&t.loop, &err), 0);
	t.env = (struct agent_env){
		.config = &t.config, .loop = t.loop, .root = t.root, .efivars = "/nonexistent"
	};
	assert_int_equal(web_new(&t.web, &err), 0);
	const struct agent_api_options options = {
		.loop = t.loop, .env = &t.env, .effects = &t.effects, .finished = on_finished
	};
	t.api = agent_api_new(&options);
	agent_api_set_token(t.api, TOKEN);
	const struct agent_api_listener l = { .web = t.web, .address = "127.0.0.1" };
	assert_int_equal(agent_api_listen(t.api, &l, &err), 0);
	client_open(&t.client, t.loop);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	char command[64];
	while (agent_api_busy(t.api))
		loop_run(t.loop);
	client_close(&t.client);
	agent_api_free(t.api);
	web_free(t.web);
	loop_free(t.loop);
	agent_env_done(&t.env);
	agent_config_done(&t.config);
	snprintf(command, sizeof(command), "rm -rf %s", t.root);
	return system(command);
}

static int call(const char *method, const char *path, const char *body)
{
	char url[512];
	snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", agent_api_port(t.api), path);
	return client_call(&t.client, method, url, body);
}

static int post(const char *body, bool wait)
{
	return call("POST",
		    wait ? "/v1/commands/?wait=true&agent_token=" TOKEN
			 : "/v1/commands/?wait=false&agent_token=" TOKEN,
		    body);
}

static const char *text(const char *path)
{
	return json_get_path_string(t.client.answer, path);
}

static void test_open_paths(void **state)
{
	(void)state;
	assert_int_equal(call("GET", "/", NULL), 200);
	assert_string_equal(text("default_version.id"), "v1");
	assert_int_equal(call("GET", "/v1/status", NULL), 200);
	assert_non_null(text("version"));
	double started;
	assert_true(json_double(json_get(t.client.answer, "started_at"), &started) &&
		    started > 1e9);
	assert_int_equal(call("GET", "/v1/", NULL), 200);
	assert_string_equal(text("id"), "v1");
	assert_true(json_is_array(json_get(t.client.answer, "commands")));
}

/* What the reference's web framework refuses, before the token: the words are werkzeug's. */
static void test_paths_and_methods(void **state)
{
	(void)state;
	static const struct {
		const char *method, *path;
		int status;
		const char *says;
	} rows[] = {
		{ "GET", "/v1/nothing", 404, "404 Not Found: " },
		{ "GET", "/v1/nothing?agent_token=" TOKEN, 404, "404 Not Found: " },
		{ "GET", "/v1/commands/a/b", 404, "404 Not Found: " },
		{ "DELETE", "/v1/commands/", 405, "405 Method Not Allowed: " },
		{ "PUT", "/commands?agent_token=" TOKEN, 405, "405 Method Not Allowed: " },
		{ "POST", "/v1/commands/some-id?agent_token=" TOKEN, 405,
		  "405 Method Not Allowed: " },
		{ "POST", "/v1/status", 405, "405 Method Not Allowed: " },
		{ "POST", "/", 405, "405 Method Not Allowed: " },
		{ "GET", "/v1/commands/", 401, "401 Unauthorized: Token invalid." },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int status = call(rows[i].method, rows[i].path, NULL);
		if (status != rows[i].status || !strstr(text("faultstring"), rows[i].says))
			fail_msg("%s %s: %d %s", rows[i].method, rows[i].path, status,
				 text("faultstring"));
		assert_string_equal(text("faultcode"), "Client");
	}
	assert_true(web_router_sound(&agent_api_router));
}

static void test_token(void **state)
{
	(void)state;
	static const char *const paths[] = {
		"/v1/commands/",
		"/v1/commands/?agent_token=wrong",
		"/commands/?agent_token=",
		"/v1/ingot/progress",
		("/v1/commands/?agent_token=" TOKEN "x"),
	};
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		assert_int_equal(call("GET", paths[i], NULL), 401);
		assert_non_null(strstr(text("faultstring"), "oken"));
	}
	assert_int_equal(call("POST", "/v1/commands/?wait=true",
			      "{\"name\": \"standby.sync\", \"params\": {}}"),
			 401);
	assert_int_equal(call("GET", "/v1/commands/?agent_token=" TOKEN, NULL), 200);
	assert_int_equal(call("GET", "/commands?agent_token=" TOKEN, NULL), 200);
	assert_int_equal(json_count(json_get(t.client.answer, "commands")), 0);
}

static void test_bad_requests(void **state)
{
	(void)state;
	static const struct {
		const char *body;
		int status;
		const char *says;
	} rows[] = {
		{ "{", 400, "400 Bad Request: Failed to decode JSON object: " },
		{ "{\"name\": \"standby.sync\"}", 400,
		  "400 Bad Request: Missing or invalid name or params" },
		{ "{\"name\": \"standby.sync\", \"params\": []}", 400,
		  "400 Bad Request: Missing or invalid name or params" },
		{ "{\"name\": \"sync\", \"params\": {}}", 400,
		  "Invalid command: Command name must be of the form <extension>.<name>" },
		{ "{\"name\": \"cooking.eggs\", \"params\": {}}", 404,
		  "Not found: Extension with id cooking not found." },
		{ "{\"name\": \"standby.eggs\", \"params\": {}}", 400,
		  "Invalid command: Unknown command: eggs" },
		/* refused by the command's validator, which makes no command of it */
		{ "{\"name\": \"standby.prepare_image\", \"params\": {\"image_info\": {}}}", 400,
		  "Invalid command parameters: image_info has no urls" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(post(rows[i].body, true), rows[i].status);
		assert_non_null(strstr(text("faultstring"), rows[i].says));
		assert_string_equal(text("faultcode"), "Client");
		assert_int_equal(json_count(t.client.answer), 2);
	}
	assert_int_equal(call("GET", "/v1/commands/no-such-id?agent_token=" TOKEN, NULL), 404);
	assert_string_equal(text("faultstring"),
			    "Not found: Command Result with id no-such-id not found.");
	assert_int_equal(call("GET", "/v1/commands/?agent_token=" TOKEN, NULL), 200);
	assert_int_equal(json_count(json_get(t.client.answer, "commands")), 0);
}

static void test_steps_lists(void **state)
{
	(void)state;
	assert_int_equal(
		post("{\"name\": \"clean.get_clean_steps\", \"params\": {\"node\": {\"uuid\": \"u\"}, \"ports\": []}}",
		     true),
		200);
	assert_string_equal(text("command_name"), "get_clean_steps");
	assert_string_equal(text("command_status"), "SUCCEEDED");
	assert_true(json_is_null(json_get(t.client.answer, "command_error")));
	assert_string_equal(
		text("command_result.hardware_manager_version.generic_hardware_manager"), "1.2");
	const struct json *list = json_get_path(
		t.client.answer, "command_result.clean_steps.GenericHardwareManager");
	bool metadata = false;
	json_for_each(step, list) {
		if (!streq(json_get_string(step, "step"), "erase_devices_metadata"))
			continue;
		metadata = true;
		assert_int_equal(json_get_int(step, "priority", 0), 99);
		assert_string_equal(json_get_string(step, "interface"), "deploy");
		assert_true(json_get_bool(step, "abortable", false));
		assert_false(json_get_bool(step, "reboot_requested", true));
	}
	assert_true(metadata);
	assert_int_equal(post("{\"name\": \"deploy.get_deploy_steps\", \"params\": {}}", false),
			 200);
	list = json_get_path(t.client.answer, "command_result.deploy_steps.GenericHardwareManager");
	assert_int_equal(json_count(list), 3);
	assert_null(json_get(json_at(list, 0), "abortable"));
	/* The node of the call is remembered. */
	assert_string_equal(json_get_string(t.env.node, "uuid"), "u");
}

static void test_execute(void **state)
{
	(void)state;
	static const char step[] =
		"{\"name\": \"clean.execute_clean_step\", \"params\": {\"step\": {\"step\": \"erase_devices_metadata\", "
		"\"interface\": \"deploy\", \"priority\": 99}, \"node\": {\"uuid\": \"u\"}, \"ports\": [], \"clean_version\": %s}}";
	char body[1024];
	snprintf(body, sizeof(body), step, "{\"generic_hardware_manager\": \"1.2\"}");
	assert_int_equal(post(body, false), 200);
	assert_string_equal(text("command_status"), "RUNNING");
	assert_true(json_is_null(json_get(t.client.answer, "command_result")));
	char *path = xasprintf("/v1/commands/%s?wait=true&agent_token=" TOKEN, text("id"));
	assert_int_equal(call("GET", path, NULL), 200);
	free(path);
	assert_string_equal(text("command_status"), "SUCCEEDED");
	assert_true(json_is_null(json_get_path(t.client.answer, "command_result.clean_result")));
	assert_string_equal(text("command_result.clean_step.step"), "erase_devices_metadata");
	while (t.finished == 0)
		loop_run(t.loop);
	/* Another version: the server must list the steps again. */
	snprintf(body, sizeof(body), step, "{\"generic_hardware_manager\": \"1.1\"}");
	assert_int_equal(post(body, true), 200);
	assert_string_equal(text("command_status"), "CLEAN_VERSION_MISMATCH");
	assert_string_equal(text("command_error.type"), "VersionMismatch");
	assert_int_equal(json_get_int(json_get(t.client.answer, "command_error"), "code", 0), 409);
	assert_true(json_is_null(json_get(t.client.answer, "command_result")));
	snprintf(body, sizeof(body), step, "null");
	assert_int_equal(post(body, true), 200);
	assert_string_equal(text("command_status"), "SUCCEEDED");
	assert_int_equal(
		post("{\"name\": \"clean.execute_clean_step\", \"params\": {\"step\": {\"step\": \"burnin_cpu\"}}}",
		     true),
		200);
	assert_string_equal(text("command_status"), "FAILED");
	assert_string_equal(text("command_name"), "execute_clean_step");
	assert_non_null(
		strstr(text("command_error.details"), "deploy.burnin_cpu is not supported"));
	assert_string_equal(text("command_error.message"), "Invalid command parameters");
	assert_int_equal(json_get_int(json_get(t.client.answer, "command_error"), "code", 0), 400);
	/* The list keeps all, in order. */
	assert_int_equal(call("GET", "/v1/commands/?agent_token=" TOKEN, NULL), 200);
	const struct json *list = json_get(t.client.answer, "commands");
	assert_int_equal(json_count(list), 4);
	assert_string_equal(json_get_string(json_at(list, 1), "command_status"),
			    "CLEAN_VERSION_MISMATCH");
}

static void test_refused_commands(void **state)
{
	(void)state;
	assert_int_equal(
		post("{\"name\": \"rescue.finalize_rescue\", \"params\": {\"rescue_password\": \"x\"}}",
		     true),
		200);
	assert_string_equal(text("command_status"), "FAILED");
	assert_string_equal(text("command_name"),
			    "rescue.finalize_rescue"); /* sync, failed: full name */
	assert_string_equal(text("command_error.type"), "RescueError");
	assert_non_null(strstr(text("command_error.details"), "no rescue system"));
	assert_int_equal(
		post("{\"name\": \"image.install_bootloader\", \"params\": {\"target_boot_mode\": \"uefi\"}}",
		     true),
		200);
	assert_non_null(strstr(text("command_error.details"), "booted by BIOS"));
	assert_int_equal(
		post("{\"name\": \"image.install_bootloader\", \"params\": {\"root_uuid\": \"0x1\"}}",
		     true),
		200);
	assert_string_equal(text("command_status"), "SUCCEEDED");
	assert_non_null(strstr(text("command_result.result"), "install_bootloader: nothing to do"));
}

static void test_power(void **state)
{
	(void)state;
	assert_int_equal(post("{\"name\": \"standby.power_off\", \"params\": {}}", false), 200);
	assert_string_equal(text("command_status"), "RUNNING");
	while (!t.powered_off)
		loop_run(t.loop);
	assert_int_equal(t.finished, 0); /* no heartbeat: the power goes */
	assert_int_equal(post("{\"name\": \"standby.run_image\", \"params\": {}}", true), 200);
	while (!t.rebooted)
		loop_run(t.loop);
	assert_int_equal(post("{\"name\": \"system.lockdown\", \"params\": {}}", true), 200);
	assert_string_equal(text("command_status"), "SUCCEEDED");
	while (!t.downed)
		loop_run(t.loop);
	assert_int_equal(agent_api_port(t.api), 0);
}

static void test_logs_and_sync(void **state)
{
	(void)state;
	assert_int_equal(post("{\"name\": \"log.collect_system_logs\", \"params\": {}}", true),
			 200);
	assert_true(str_has_prefix(text("command_result.system_logs"), "H4sI"));
	assert_int_equal(post("{\"name\": \"standby.sync\", \"params\": {}}", true), 200);
	assert_string_equal(text("command_status"), "SUCCEEDED");
	assert_true(json_is_null(json_get(t.client.answer, "command_result")));
	assert_int_equal(post("{\"name\": \"standby.get_partition_uuids\", \"params\": {}}", true),
			 200);
	assert_true(json_is_object(json_get(t.client.answer, "command_result")));
	assert_int_equal(post("{\"name\": \"poll.get_hardware_info\", \"params\": {}}", true), 200);
	assert_true(json_is_array(json_get_path(t.client.answer, "command_result.interfaces")));
}

/* --- write_image --- */

static uint8_t *make_image(size_t len)
{
	uint8_t *image = xcalloc(1, len);
	const struct gpt_guid id = { { 7 } };
	struct gpt g;
	struct gpt_entry e = {
		.type = gpt_type_linux, .id = { { 9 } }, .first = 2048, .last = 4095
	};
	unsigned number;
	gpt_init(&g, 512, len / 512, &id);
	assert_int_equal(gpt_add(&g, &e, &number, NULL), 0);
	mbr_make_protective(image, len / 512);
	static const uint8_t disk_id[] = { 0xef, 0xbe, 0xad, 0xde };
	memcpy(image + 440, disk_id, sizeof(disk_id));
	memset(image + MIB, 'x', MIB);
	gpt_encode(&g, false, image + 512, image + 1024);
	gpt_encode(&g, true, image + len - 512, image + len - 512 - 16384);
	gpt_done(&g);
	return image;
}

/* A disk in the made-up /sys, whose device is a file in the made-up /dev. */
static char *make_disk(size_t mib)
{
	char command[1024];
	char *device = xasprintf("%s/dev/fake", t.root);
	snprintf(
		command, sizeof(command),
		"cd %s && mkdir -p dev sys/block/fake && echo %zu > sys/block/fake/size && "
		"echo tag-1 > sys/block/fake/serial && rm -f dev/fake && truncate -s %zuM dev/fake",
		t.root, mib * 2048, mib);
	assert_int_equal(system(command), 0);
	return device;
}

static char *write_body(const char *url, const char *sum, const char *drive, const char *hints,
			const char *more)
{
	return xasprintf(
		"{\"name\": \"deploy.execute_deploy_step\", \"params\": {\"step\": {\"interface\": \"deploy\", \"step\": \"write_image\", "
		"\"priority\": 80, \"args\": {\"image_info\": {\"id\": \"disk.raw\", \"urls\": [\"%s\"], \"disk_format\": \"raw\", "
		"\"os_hash_algo\": \"sha256\", \"os_hash_value\": \"%s\", \"node_uuid\": \"u\", %s\"stream_raw_images\": true}, "
		"\"configdrive\": \"%s\"}}, \"node\": {\"uuid\": \"u\", \"properties\": {\"root_device\": %s}}, \"ports\": [], "
		"\"deploy_version\": {\"generic_hardware_manager\": \"1.2\"}}}",
		url, sum, more, drive, hints);
}

/* A disk in the made-up /sys alone: it is chosen, not opened. */
static void add_disk(const char *name, unsigned gib, const char *serial)
{
	char command[1024];
	snprintf(command, sizeof(command),
		 "cd %s && mkdir -p sys/block/%s && echo %llu > sys/block/%s/size && "
		 "echo %s > sys/block/%s/serial",
		 t.root, name, (unsigned long long)gib << 21, name, serial, name);
	assert_int_equal(system(command), 0);
}

static const char *choose(const char *properties)
{
	char body[512];
	snprintf(body, sizeof(body),
		 "{\"name\": \"ingot.choose_disk\", \"params\": {\"node\": {\"uuid\": \"u\", "
		 "\"properties\": %s}}}",
		 properties);
	assert_int_equal(post(body, false), 200);
	return streq(text("command_status"), "SUCCEEDED") ? text("command_result.name")
							  : text("command_error.details");
}

#define DEFAULT_SDA                                                                                \
	"{\"root_device\": {\"name\": \"s== /dev/sda\"}, \"ingot_root_device_default\": true}"

/* Which disk it will be, and that a default falls back to an only disk but to none of several. */
static void test_choose_disk(void **state)
{
	(void)state;
	const char *refusal = choose(DEFAULT_SDA);
	assert_non_null(strstr(refusal, "there are 0 others: none"));
	add_disk("vdx", 6, "first");
	assert_string_equal(choose(DEFAULT_SDA), "/dev/vdx");
	assert_string_equal(text("command_result.serial"), "first");
	/* A wish is a wish. */
	refusal = choose("{\"root_device\": {\"name\": \"s== /dev/sda\"}}");
	assert_non_null(strstr(refusal, "no disk matches"));
	add_disk("vdy", 5, "second");
	refusal = choose(DEFAULT_SDA);
	assert_non_null(strstr(refusal, "/dev/vdx (6.0 GiB, serial first)"));
	assert_non_null(strstr(refusal, "/dev/vdy (5.0 GiB, serial second)"));
	assert_non_null(strstr(refusal, "spec.rootDeviceHints"));
	assert_string_equal(choose("{\"root_device\": {\"serial\": \"s== second\"}}"), "/dev/vdy");
	assert_string_equal(choose("{}"), "/dev/vdy"); /* the smallest */
	add_disk("sda", 7, "third");
	assert_string_equal(choose(DEFAULT_SDA), "/dev/sda");
}

static void test_write_image(void **state)
{
	(void)state;
	struct httpd server = { .len = 8 * MIB };
	server.data = make_image(server.len);
	httpd_start(&server);
	char *device = make_disk(128), *url = httpd_url(&server, "disk.raw"), *drive = NULL,
	     hex[DIGEST_HEX_MAX];
	const struct configdrive_files files = { .meta_data = "{}" };
	digest_hex(DIGEST_SHA256, server.data, server.len, hex);
	assert_int_equal(configdrive_build_text(&files, 0, &drive, NULL), 0);
	char *body = write_body(url, hex, drive, "{\"serial\": \"tag-1\"}", "");
	assert_int_equal(post(body, false), 200);
	assert_string_equal(text("command_status"), "RUNNING");
	/* Busy: nothing else, but progress and lists are told. */
	if (agent_api_busy(t.api)) {
		int status = post("{\"name\": \"standby.sync\", \"params\": {}}", true);
		assert_true(status == 409 || !agent_api_busy(t.api));
		if (status == 409)
			assert_non_null(
				strstr(text("faultstring"),
				       "Agent is busy: executing command execute_deploy_step"));
	}
	assert_int_equal(call("GET", "/v1/ingot/progress?agent_token=" TOKEN, NULL), 200);
	assert_non_null(text("phase"));
	while (t.finished == 0)
		loop_run(t.loop);
	assert_int_equal(call("GET", "/v1/commands/?agent_token=" TOKEN, NULL), 200);
	const struct json *c = json_at(json_get(t.client.answer, "commands"), 0);
	if (!streq(json_get_string(c, "command_status"), "SUCCEEDED"))
		fail_msg("%s", t.client.text);
	assert_string_equal(
		json_get_path_string(c, "command_result.deploy_result.result"),
		"prepare_image: image (disk.raw) written to device /dev/fake root_uuid=0xdeadbeef");
	assert_string_equal(json_get_path_string(c, "command_result.deploy_step.step"),
			    "write_image");
	assert_int_equal(post("{\"name\": \"standby.get_partition_uuids\", \"params\": {}}", true),
			 200);
	assert_string_equal(text("command_result.root uuid"), "0xdeadbeef");
	/* sgdisk agrees, and there is a second partition with a config drive. */
	char command[256], out[4096];
	snprintf(command, sizeof(command), "sgdisk -v %s; sgdisk -p %s", device, device);
	FILE *f = popen(command, "re");
	out[fread(out, 1, sizeof(out) - 1, f)] = '\0';
	pclose(f);
	if (strstr(out, "Main partition")) {
		assert_non_null(strstr(out, "No problems found"));
		assert_non_null(strstr(out, "\n   2 "));
	}
	free(body);
	/* A wrong checksum: the right type of error. */
	hex[0] = hex[0] == '0' ? '1' : '0';
	body = write_body(url, hex, "", "{\"serial\": \"tag-1\"}", "");
	assert_int_equal(post(body, true), 200);
	assert_string_equal(text("command_status"), "FAILED");
	assert_string_equal(text("command_error.type"), "ImageChecksumError");
	assert_int_equal(json_get_int(json_get(t.client.answer, "command_error"), "code", 0), 500);
	assert_true(
		str_has_prefix(text("command_error.message"), "Error verifying image checksum"));
	free(body);
	body = write_body(url, hex, "", "{\"serial\": \"other\"}", "");
	assert_int_equal(post(body, true), 200);
	assert_string_equal(text("command_error.type"), "DeviceNotFound");
	assert_int_equal(json_get_int(json_get(t.client.answer, "command_error"), "code", 0), 404);
	free(body);
	body = write_body("http://127.0.0.1:1/x", hex, "", "{\"serial\": \"tag-1\"}", "");
	t.config.image_retries = 0;
	assert_int_equal(post(body, true), 200);
	assert_string_equal(text("command_error.type"), "ImageDownloadError");
	free(body);
	body = write_body("ftp://h/x", hex, "", "{\"serial\": \"tag-1\"}", "");
	assert_int_equal(post(body, true), 200);
	assert_string_equal(text("command_error.type"), "InvalidCommandParamsError");
	free(body);
	httpd_stop(&server);
	free((void *)(uintptr_t)server.data);
	free(url);
	free(drive);
	free(device);
}

/* The image's host is asked without the proxy, which is not there; a user name in the URL is none
 * of its host. Where it is not excepted, the proxy is asked. */
static void test_write_image_without_the_proxy(void **state)
{
	(void)state;
	struct httpd server = { .len = 8 * MIB };
	server.data = make_image(server.len);
	httpd_start(&server);
	_cleanup_(freep) char *device = make_disk(128);
	_cleanup_(freep) char *url = xasprintf("http://user:pw@127.0.0.1:%u/disk.raw", server.port);
	static const char *const excepted[] = { "localhost, 127.0.0.1", "user" };
	char hex[DIGEST_HEX_MAX];
	digest_hex(DIGEST_SHA256, server.data, server.len, hex);
	t.config.image_retries = 0;
	for (size_t i = 0; i < ARRAY_SIZE(excepted); i++) {
		_cleanup_(freep) char *more = xasprintf(
			"\"proxies\": {\"http\": \"http://127.0.0.1:1\"}, \"no_proxy\": \"%s\", ",
			excepted[i]);
		_cleanup_(freep) char *body = write_body(url, hex, "", "{\"serial\": \"tag-1\"}",
							 more);
		assert_int_equal(post(body, true), 200);
		assert_string_equal(text("command_status"), i == 0 ? "SUCCEEDED" : "FAILED");
	}
	assert_string_equal(text("command_error.type"), "ImageDownloadError");
	httpd_stop(&server);
	free((void *)(uintptr_t)server.data);
}

static void test_erase(void **state)
{
	(void)state;
	char *device = make_disk(9);
	char command[256];
	/* smaller than a root disk may be, but a disk all the same */
	snprintf(command, sizeof(command),
		 "printf secret | dd of=%s bs=1M seek=4 conv=notrunc 2>/dev/null", device);
	assert_int_equal(system(command), 0);
	assert_int_equal(
		post("{\"name\": \"clean.execute_clean_step\", \"params\": {\"step\": {\"step\": \"erase_devices_metadata\"}, \"node\": {\"uuid\": \"u\"}}}",
		     true),
		200);
	assert_string_equal(text("command_status"), "SUCCEEDED");
	snprintf(command, sizeof(command), "grep -q secret %s", device);
	assert_int_equal(system(command), 0);
	assert_int_equal(
		post("{\"name\": \"clean.execute_clean_step\", \"params\": {\"step\": {\"step\": \"erase_devices\"}, \"node\": {\"uuid\": \"u\", "
		     "\"properties\": {\"skip_block_devices\": [{\"serial\": \"tag-1\"}]}}}}",
		     true),
		200);
	assert_int_equal(system(command), 0); /* skipped */
	assert_int_equal(
		post("{\"name\": \"clean.execute_clean_step\", \"params\": {\"step\": {\"step\": \"erase_devices\"}, \"node\": {\"uuid\": \"u\", "
		     "\"driver_internal_info\": {\"agent_erase_devices_iterations\": 1, \"agent_erase_devices_zeroize\": true}}}}",
		     true),
		200);
	assert_string_equal(text("command_status"), "SUCCEEDED");
	snprintf(command, sizeof(command), "cmp -n %zu %s /dev/zero", 9 * MIB, device);
	assert_int_equal(system(command), 0);
	assert_int_equal(
		post("{\"name\": \"clean.execute_clean_step\", \"params\": {\"step\": {\"step\": \"erase_devices\"}, \"node\": {\"uuid\": \"u\", "
		     "\"driver_internal_info\": {\"agent_erase_devices_iterations\": 0, \"agent_erase_devices_zeroize\": false}}}}",
		     true),
		200);
	assert_string_equal(text("command_status"), "FAILED");
	assert_string_equal(text("command_error.type"), "BlockDeviceEraseError");
	free(device);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_open_paths),
		TEST(test_paths_and_methods),
		TEST(test_token),
		TEST(test_bad_requests),
		TEST(test_steps_lists),
		TEST(test_execute),
		TEST(test_refused_commands),
		TEST(test_power),
		TEST(test_logs_and_sync),
		TEST(test_choose_disk),
		TEST(test_write_image),
		TEST(test_write_image_without_the_proxy),
		TEST(test_erase),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
