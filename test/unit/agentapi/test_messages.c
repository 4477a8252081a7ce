/* Messages of agents as stock ones send them (ironic-python-agent 10.2 and 13), and those that are
 * refused; what agents are sent. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agentapi/messages.h"
#include "base/mem.h"
#include "base/str.h"
#include "unit/parse.h"

#define COMMAND(status, error)                                                                     \
	"{\"id\": \"1\", \"command_name\": \"execute_deploy_step\", \"command_status\": \"" status \
	"\", \"command_error\": " error ", \"command_result\": null}"

/* The words of a failed command: its kind, then what happened, each once. */
static void test_errors(void **state)
{
	(void)state;
	static const struct {
		const char *answer, *says;
	} rows[] = {
		{ COMMAND("FAILED",
			  "{\"type\": \"ImageDownloadError\", \"code\": 500, \"message\": "
			  "\"Error downloading image\", \"details\": \"Download of image id d failed: 404\"}"),
		  "Error downloading image: Download of image id d failed: 404" },
		{ COMMAND("FAILED",
			  "{\"type\": \"ImageChecksumError\", \"code\": 500, \"message\": "
			  "\"Error verifying image checksum\", \"details\": \"Error verifying image "
			  "checksum: 1 is not 2\"}"),
		  "Error verifying image checksum: 1 is not 2" },
		{ COMMAND("FAILED", "{\"message\": \"Deploy step failed\", \"details\": \"\"}"),
		  "Deploy step failed" },
		{ COMMAND("FAILED", "{\"error\": \"no such device\"}"), "no such device" },
		{ COMMAND("FAILED", "null"), "the agent gave no reason" },
		{ COMMAND("FAILED", "\"text\""), "the agent gave no reason" },
		{ COMMAND("COOKED", "null"), "the agent gave no reason" },
		{ "{\"commands\": [" COMMAND("SUCCEEDED", "null") ", " COMMAND(
			  "FAILED", "{\"message\": \"m\", \"details\": \"d\"}") "]}",
		  "m: d" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct json *answer = parse(rows[i].answer);
		char text[200] = "";
		assert_true(agent_command_answer(answer));
		assert_int_equal(
			agent_command_find(answer, "execute_deploy_step", NULL, text, sizeof(text)),
			AGENT_COMMAND_FAILED);
		assert_string_equal(text, rows[i].says);
		json_free(answer);
	}
}

/* What says nothing of commands is no list of none. */
static void test_answers_without_sense(void **state)
{
	(void)state;
	static const char *const rows[] = { "{}",
					    "[]",
					    "null",
					    "{\"commands\": {}}",
					    "{\"commands\": null}",
					    "{\"command_status\": 5}",
					    "{\"faultstring\": \"x\"}" };
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct json *answer = parse(rows[i]);
		if (agent_command_answer(answer))
			fail_msg("%s is taken", rows[i]);
		json_free(answer);
	}
	struct json *none = parse("{\"commands\": []}");
	assert_true(agent_command_answer(none));
	json_free(none);
}

static void test_heartbeats(void **state)
{
	(void)state;
	static const struct {
		const char *body, *error; /* error NULL: taken */
	} rows[] = {
		{ "{'callback_url': 'https://192.0.2.9:9999', 'agent_token': 't', 'agent_version': "
		  "'10.2.0', 'agent_status': null, 'agent_verify_ca': 'PEM'}",
		  NULL },
		{ "{'callback_url': '', 'agent_token': 't'}", NULL },
		{ "{'callback_url': 'u', 'agent_token': 't', 'agent_verify_ca': '', 'more': [1]}",
		  NULL },
		{ "[]", "the body is not a JSON object" },
		{ "null", "the body is not a JSON object" },
		{ "{'agent_token': 't'}", "callback_url is missing" },
		{ "{'callback_url': 5, 'agent_token': 't'}", "callback_url is missing" },
		{ "{'callback_url': 'u'}", "agent_token is missing" },
		{ "{'callback_url': 'u', 'agent_token': ''}", "agent_token is missing" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(json_freep) struct json *body = parse_quoted(rows[i].body);
		struct agent_heartbeat h;
		struct err err = { 0 };
		int r = agent_heartbeat_parse(body, &h, &err);
		if ((r == 0) != !rows[i].error || (r < 0 && !strstr(err.text, rows[i].error)))
			fail_msg("%s: %s", rows[i].body, err.text);
	}
	_cleanup_(json_freep) struct json *body = parse_quoted(rows[0].body);
	_cleanup_(json_freep) struct json *bare = parse_quoted(rows[2].body);
	struct agent_heartbeat h;
	assert_int_equal(agent_heartbeat_parse(body, &h, NULL), 0);
	assert_string_equal(h.callback_url, "https://192.0.2.9:9999");
	assert_string_equal(h.token, "t");
	assert_string_equal(h.version, "10.2.0");
	assert_string_equal(h.certificate, "PEM");
	assert_int_equal(agent_heartbeat_parse(bare, &h, NULL), 0);
	assert_null(h.version);
	assert_null(h.certificate);
}

/* What goes into the host's record has a limit; at the limit it is taken. */
static void test_heartbeat_limits(void **state)
{
	(void)state;
	static const struct {
		const char *key;
		size_t max;
	} rows[] = { { "callback_url", AGENT_URL_MAX },
		     { "agent_version", AGENT_VERSION_MAX },
		     { "agent_verify_ca", AGENT_CERTIFICATE_MAX } };
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (size_t over = 0; over < 2; over++) {
			_cleanup_(json_freep) struct json *body = parse_quoted(
				"{'callback_url': 'u', 'agent_token': 't'}");
			_cleanup_(freep) char *text = xcalloc(1, rows[i].max + 2);
			struct agent_heartbeat h;
			struct err err = { 0 };
			memset(text, 'x', rows[i].max + over);
			json_set_string(body, rows[i].key, text);
			assert_int_equal(agent_heartbeat_parse(body, &h, &err) == 0, over == 0);
			assert_int_equal(strstr(err.text, rows[i].key) != NULL, over == 1);
			assert_int_equal(agent_heartbeat_parse(body, &h, NULL) == 0, over == 0);
		}
}

static void test_callbacks(void **state)
{
	(void)state;
	static const struct {
		const char *url;
		bool http;
		const char *host; /* NULL: refused */
	} rows[] = {
		{ "https://192.0.2.9:9999", false, "192.0.2.9" },
		{ "https://[fd00::1]:9999", false, "fd00::1" },
		{ "http://192.0.2.9:9999", true, "192.0.2.9" },
		{ "http://192.0.2.9:9999", false, NULL },
		{ "HTTPS://192.0.2.9:9999", false, NULL },
		{ "ftp://192.0.2.9:9999", true, NULL },
		{ "https://192.0.2.9", false, NULL },
		{ "https://192.0.2.9:0", false, NULL },
		{ "https://192.0.2.9:65536", false, NULL },
		{ "https://192.0.2.9:9999/x", false, NULL },
		{ "https://192.0.2.9:9999?x", false, NULL },
		{ "https://user@192.0.2.9:9999", false, NULL },
		{ "https://192.0.2.1:9999@192.0.2.9:9999", false, NULL },
		{ "https://[fd00::1:9999", false, NULL },
		{ "https://[fd0@::1]:9999", false, NULL },
		{ "https://[fd00::1/x]:9999", false, NULL },
		{ "https://:9999", false, NULL },
		{ "https://", false, NULL },
		{ "", false, NULL },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char host[64] = "";
		struct err err = { 0 };
		int r = agent_callback_parse(rows[i].url, rows[i].http, host, &err);
		if ((r == 0) != (rows[i].host != NULL) || (r == 0 && !streq(host, rows[i].host)))
			fail_msg("%s: %d %s %s", rows[i].url, r, host, err.text);
	}
}

/* --- inspection ------------------------------------------------------------------------------- */

static void test_inspections(void **state)
{
	(void)state;
	static const struct {
		const char *body, *error;
	} rows[] = {
		{ "{'inventory': {'interfaces': [{'mac_address': '52:54:00:00:00:0A'}]}}", NULL },
		{ "{'inventory': {'interfaces': [{'mac_address': '52:54:00:00:00:0A'}], 'disks': 5}, "
		  "'error': 'no route'}",
		  NULL },
		{ "{}", "without an inventory" },
		{ "[]", "without an inventory" },
		{ "{'error': 'dmidecode failed'}", "the ramdisk says: dmidecode failed" },
		{ "{'inventory': []}", "without an inventory" },
		{ "{'inventory': {}}", "without network interfaces" },
		{ "{'inventory': {'interfaces': []}}", "without network interfaces" },
		{ "{'inventory': {'interfaces': {'a': 1}}}", "without network interfaces" },
		{ "{'inventory': {'interfaces': [{}]}}", "without a MAC address" },
		{ "{'inventory': {'interfaces': [{'mac_address': '52-54-00-00-00-0a'}]}}",
		  "without a MAC address" },
		{ "{'inventory': {'interfaces': [{'mac_address': '52:54:00:00:00:0g'}]}}",
		  "without a MAC address" },
		{ "{'inventory': {'interfaces': [{'mac_address': '52:54:00:00:00:0a:0b'}]}}",
		  "without a MAC address" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(json_freep) struct json *body = parse_quoted(rows[i].body);
		struct err err = { 0 };
		int r = agent_inspection_check(body, &err);
		if ((r == 0) != !rows[i].error || (r < 0 && !strstr(err.text, rows[i].error)))
			fail_msg("%s: %s", rows[i].body, err.text);
	}
}

static struct json *inspection_with(size_t interfaces)
{
	struct json *body = json_new_object();
	struct json *inventory = json_set(body, "inventory", json_new_object());
	struct json *list = json_set(inventory, "interfaces", json_new_array());
	for (size_t i = 0; i < interfaces; i++)
		json_set_string(json_append(list, json_new_object()), "mac_address",
				"52:54:00:AB:cd:0e");
	return body;
}

static void count_mac(void *data, const char *mac)
{
	size_t *count = data;
	assert_string_equal(mac, "52:54:00:ab:cd:0e");
	++*count;
}

static void test_interfaces_of_an_inspection(void **state)
{
	(void)state;
	_cleanup_(json_freep) struct json *most = inspection_with(AGENT_NICS_MAX);
	_cleanup_(json_freep) struct json *many = inspection_with(AGENT_NICS_MAX + 1);
	size_t count = 0;
	assert_int_equal(agent_inspection_check(most, NULL), 0);
	assert_true(agent_inspection_check(many, NULL) < 0);
	agent_inspection_macs(most, count_mac, &count);
	assert_int_equal(count, AGENT_NICS_MAX);
}

static void test_what_is_kept_of_an_inspection(void **state)
{
	(void)state;
	_cleanup_(json_freep) struct json *body = parse_quoted(
		"{'inventory': {'cpu': {'count': 2}}, 'boot_interface': '52:54:00:00:00:01', 'logs': 'H4sI', "
		"'plugin_data': {}}");
	_cleanup_(json_freep) struct json *kept = NULL, *none = NULL;
	assert_int_equal(agent_inspection_take(body, &kept, NULL), 0);
	_cleanup_(freep) char *text = json_to_string(kept);
	assert_string_equal(
		text,
		"{\"inventory\":{\"cpu\":{\"count\":2}},\"boot_interface\":\"52:54:00:00:00:01\"}");
	assert_null(json_get(body, "inventory"));
	_cleanup_(json_freep) struct json *large = json_new_object();
	_cleanup_(freep) char *word = xcalloc(1, AGENT_KEPT_MAX + 1);
	struct err err = { 0 };
	memset(word, 'x', AGENT_KEPT_MAX);
	json_set_string(json_set(large, "inventory", json_new_object()), "name", word);
	assert_true(agent_inspection_take(large, &none, &err) < 0);
	assert_null(none);
	assert_non_null(strstr(err.text, "at most 1048576 are accepted"));
}

/* --- commands --------------------------------------------------------------------------------- */

static void test_newest_command(void **state)
{
	(void)state;
#define ONE(id, name, status, result)                                                              \
	"{'id': '" id "', 'command_name': '" name "', 'command_status': '" status                  \
	"', 'command_error': null, 'command_result': " result "}"
	_cleanup_(json_freep) struct json *list = parse_quoted(
		"{'commands': [" ONE("1", "a", "SUCCEEDED", "{'x': 1}") ", " ONE(
			"2", "b", "FAILED", "null") ", " ONE("3", "a", "RUNNING", "null") "]}");
	_cleanup_(json_freep) struct json *one = parse_quoted(
		ONE("4", "c", "CLEAN_VERSION_MISMATCH", "{'y': 2}"));
	const char *id = NULL;
	char error[100] = "untouched";
	assert_int_equal(agent_command_find(list, "a", &id, error, sizeof(error)),
			 AGENT_COMMAND_RUNNING);
	assert_string_equal(id, "3");
	assert_string_equal(error, "untouched");
	assert_null(agent_command_result(list, "a"));
	assert_int_equal(agent_command_find(list, "z", &id, NULL, 0), AGENT_COMMAND_ABSENT);
	assert_string_equal(id, "3");
	assert_int_equal(agent_command_find(one, "c", &id, NULL, 0),
			 AGENT_COMMAND_VERSION_MISMATCH);
	assert_string_equal(id, "4");
	assert_int_equal(json_get_int(agent_command_result(one, "c"), "y", 0), 2);
	assert_int_equal(agent_command_find(NULL, "c", NULL, NULL, 0), AGENT_COMMAND_ABSENT);
}

/* Agents list commands without their parameters; what a step gave says whose it is. */
static void test_result_of_another_step(void **state)
{
	(void)state;
	static const struct {
		const char *result, *interface, *step;
		bool other;
	} rows[] = {
		{ "{'deploy_result': null, 'deploy_step': {'interface': 'raid', 'step': 's'}}",
		  "raid", "s", false },
		{ "{'deploy_step': {'interface': 'raid', 'step': 's'}}", "raid", "t", true },
		{ "{'clean_step': {'interface': 'raid', 'step': 's'}}", "deploy", "s", true },
		{ "{'clean_step': {'step': 's'}}", "deploy", "s", false }, /* by default */
		{ "{'service_step': {'interface': 'bios', 'step': 's'}}", "deploy", "t", true },
		/* They do not say. */
		{ "{'deploy_step': {}}", "deploy", "s", false },
		{ "{'deploy_step': 's'}", "deploy", "t", false },
		{ "{'result': 'prepared'}", "deploy", "s", false },
		{ "'text'", "deploy", "s", false },
		{ "null", "deploy", "s", false },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(freep) char *text = xasprintf(
			"{'commands': [{'command_name': 'a', 'command_status': 'SUCCEEDED', "
			"'command_result': %s}]}",
			rows[i].result);
		_cleanup_(json_freep) struct json *list = parse_quoted(text);
		assert_int_equal(agent_command_of_other(list, "a", rows[i].interface, rows[i].step),
				 rows[i].other);
		assert_false(agent_command_of_other(list, "b", "deploy", "x"));
	}
}

static void expect_text(struct json *j, const char *quoted)
{
	_cleanup_(json_freep) struct json *wanted = parse_quoted(quoted);
	_cleanup_(freep) char *is = json_to_string(j), *want = json_to_string(wanted);
	assert_string_equal(is, want);
	json_free(j);
}

static void test_what_agents_are_sent(void **state)
{
	(void)state;
	_cleanup_(json_freep) struct json *node = parse_quoted("{'uuid': 'u'}");
	struct json *args = parse_quoted("{'a': 1}");
	expect_text(agent_command("deploy.x", NULL), "{'name': 'deploy.x', 'params': {}}");
	expect_text(
		agent_command("deploy.execute_deploy_step",
			      agent_step_params("deploy", "write_image", 80, args, node)),
		"{'name': 'deploy.execute_deploy_step', 'params': {'step': {'interface': 'deploy', "
		"'step': 'write_image', 'priority': 80, 'args': {'a': 1}}, 'node': {'uuid': 'u'}, "
		"'ports': []}}");
	expect_text(agent_fault(404, "no such node"),
		    "{'error_message': {'faultcode': 'Client', 'faultstring': 'no such node', "
		    "'debuginfo': null}}");
	expect_text(agent_fault(503, "x"),
		    "{'error_message': {'faultcode': 'Server', 'faultstring': 'x', 'debuginfo': "
		    "null}}");
}

static void test_lookup_answers(void **state)
{
	(void)state;
	_cleanup_(json_freep) struct json *hints = parse_quoted("{'size': 's>= 10'}");
	_cleanup_(json_freep) struct json *full = agent_lookup_answer(
		&(struct agent_lookup_answer){ "u", "secret", hints, true });
	_cleanup_(json_freep) struct json *again = agent_lookup_answer(
		&(struct agent_lookup_answer){ .node_uuid = "u" });
	assert_string_equal(json_get_path_string(full, "node.uuid"), "u");
	assert_string_equal(json_get_path_string(full, "node.properties.root_device.size"),
			    "s>= 10");
	assert_string_equal(json_get_path_string(full, "config.agent_token"), "secret");
	/* Given out once: then stars, which agents take for "as before". */
	assert_string_equal(json_get_path_string(again, "config.agent_token"), "******");
	assert_null(json_get(json_get(json_get(again, "node"), "properties"), "root_device"));
	_cleanup_(json_freep) struct json *root = agent_root_answer("https://192.0.2.1:6385");
	_cleanup_(json_freep) struct json *v1 = agent_v1_answer("https://192.0.2.1:6385");
	assert_string_equal(json_get_path_string(root, "default_version.version"),
			    json_get_path_string(v1, "version.version"));
	assert_string_equal(json_get_string(v1, "id"), "v1");
}

static char *problems_of(const char *text)
{
	struct json *body = NULL;
	assert_int_equal(json_parse(text, strlen(text), &body, NULL), 0);
	char *line = agent_network_problems(body);
	json_free(body);
	return line;
}

static void test_network_problems(void **state)
{
	(void)state;
	assert_null(problems_of("{}"));
	assert_null(problems_of("{\"network_data_problems\": []}"));
	assert_null(problems_of("{\"network_data_problems\": \"a\"}"));
	_cleanup_(freep) char *two = problems_of(
		"{\"network_data_problems\": [\"a\\u001b[2J\", 7, \"\", \"b\\n\\u00e4\"]}");
	assert_string_equal(two, "a?[2J; b???");
	char longer[801] = "";
	memset(longer, 'x', sizeof(longer) - 1);
	_cleanup_(freep) char *many = xasprintf(
		"{\"network_data_problems\": [\"first\", \"%s\", \"%s\"]}", longer, longer);
	_cleanup_(freep) char *cut = problems_of(many);
	assert_int_equal(strlen(cut), AGENT_PROBLEMS_TEXT_MAX);
	assert_true(str_has_prefix(cut, "first; xxx"));
	assert_string_equal(cut + strlen(cut) - 5, "xx...");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_answers_without_sense),
		cmocka_unit_test(test_heartbeats),
		cmocka_unit_test(test_heartbeat_limits),
		cmocka_unit_test(test_callbacks),
		cmocka_unit_test(test_inspections),
		cmocka_unit_test(test_interfaces_of_an_inspection),
		cmocka_unit_test(test_what_is_kept_of_an_inspection),
		cmocka_unit_test(test_newest_command),
		cmocka_unit_test(test_result_of_another_step),
		cmocka_unit_test(test_what_agents_are_sent),
		cmocka_unit_test(test_lookup_answers),
		cmocka_unit_test(test_network_problems),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
