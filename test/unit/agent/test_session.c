/* The whole talk with a server that plays Ironic: order of calls, headers, bodies, retries, token,
 * TLS. Bodies and headers are those of the recorded peers (fixtures/ironic-29-ipa-10.2). */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/refusal.h"
#include "agent/session.h"
#include "base/mem.h"
#include "base/str.h"
#include "client.h"
#include "crypt/crypt.h"
#include "unit/parse.h"

#define TOKEN "V1rLBPASJmvjZn0Cgapbf0VeClebCLA5H6Gypgpxoe0"
#define NODE  "1e7ce75c-be65-4b3f-b4be-a037c9067653"

#define TWO "/two"

enum { REQUESTS_MAX = 64 };

struct seen {
	char *method, *path, *query, *version, *body;
};

static struct fixture {
	struct loop *loop;
	struct web *web;
	struct web_server *server;
	struct agent_config config;
	struct agent_effects effects;
	struct agent_session *session;
	struct client client;
	char root[32];
	struct seen seen[REQUESTS_MAX];
	size_t count, wanted;
	/* How the server behaves. */
	int inspect_refusals, discovery_refusals, lookup_refusals, beat_refusals, refusal_status;
	const char *token, *version;
	/* Two instances at one port: the URLs of the second begin so. The one that does not lead
	 * answers 503. */
	const char *leader; /* "", TWO; NULL: both */
	bool failed;
} t;

static void reply(struct web_request *r, int status, const char *body)
{
	const struct web_reply_head head = { .status = status, .content_type = "application/json" };
	web_reply(r, &head, body, strlen(body));
}

static void answer(struct web_request *r, const char *path)
{
	char body[1024];
	if (streq(path, "/") && t.discovery_refusals-- > 0) {
		reply(r, t.refusal_status, "{}");
	} else if (streq(path, "/")) {
		snprintf(body, sizeof(body),
			 "{\"default_version\": {\"id\": \"v1\", \"version\": \"%s\"}}", t.version);
		reply(r, 200, body);
	} else if (streq(path, "/v1/continue_inspection")) {
		if (t.inspect_refusals-- > 0)
			reply(r, t.refusal_status,
			      "{\"error_message\": {\"faultstring\": \"later\"}}");
		else
			reply(r, 202, "{\"uuid\": \"" NODE "\"}");
	} else if (streq(path, "/v1/lookup")) {
		snprintf(
			body, sizeof(body),
			"{\"node\": {\"uuid\": \"" NODE
			"\", \"properties\": {}}, \"config\": {\"heartbeat_timeout\": 300, "
			"\"agent_token\": \"%s\", \"agent_token_required\": true, \"metrics\": {}}}",
			t.token);
		if (t.lookup_refusals-- > 0)
			reply(r, t.refusal_status, "{}");
		else
			reply(r, 200, body);
	} else if (str_has_prefix(path, "/v1/heartbeat/")) {
		reply(r, t.beat_refusals-- > 0 ? 409 : 202, "");
	} else {
		reply(r, 404, "{}");
	}
}

static void on_request(void *data, struct web_request *r)
{
	(void)data;
	size_t len = 0;
	const char *body = web_body(r, &len),
		   *version = web_header(r, "x-openstack-ironic-api-version");
	assert_true(t.count < REQUESTS_MAX);
	t.seen[t.count++] = (struct seen){
		.method = xstrdup(web_method(r)),
		.path = xstrdup(web_path(r)),
		.query = xstrdup(web_query(r)),
		.version = xstrdup(version),
		.body = xstrndup(body ? body : "", len),
	};
	_cleanup_(freep) char *path = xstrdup(web_path(r));
	bool two = str_has_prefix(path, TWO);
	if (t.leader && !streq(t.leader, two ? TWO : ""))
		reply(r, 503, "{\"error_message\": {\"faultstring\": \"does not lead\"}}");
	else
		answer(r, two ? path + strlen(TWO) : path);
	if (t.count == t.wanted)
		loop_stop(t.loop);
}

static void on_failed(void *data, const struct err *err)
{
	(void)data, (void)err;
	t.failed = true;
	loop_stop(t.loop);
}

static void nothing(void *data)
{
	(void)data;
}

static void put(const char *path, const char *text)
{
	char command[512];
	snprintf(command, sizeof(command), "f=%s%s; mkdir -p $(dirname $f); echo '%s' > $f", t.root,
		 path, text);
	assert_int_equal(system(command), 0);
}

static int set_up(void **state)
{
	(void)state;
	struct err err = { 0 };
	t = (struct fixture){ .token = TOKEN,
			      .version = "1.96",
			      .effects = { nothing, nothing, nothing, NULL } };
	snprintf(t.root, sizeof(t.root), "/tmp/ingot-session-XXXXXX");
	assert_non_null(mkdtemp(t.root));
	put("/sys/class/net/eth-made-up0/address", "52:54:00:77:00:01");
	put("/sys/class/net/eth-made-up0/device/vendor", "0x1af4");
	put("/sys/class/net/eth-made-up1/address", "52:54:00:77:00:02");
	put("/sys/class/net/eth-made-up1/device/vendor", "0x1af4");
	assert_int_equal(loop_new(&t.loop, &err), 0);
	assert_int_equal(web_new(&t.web, &err), 0);
	const struct web_route routes[] = { { .prefix = "/",
					      .loop = t.loop,
					      .handler = on_request,
					      .max_body_bytes = 16 << 20 },
					    { 0 } };
	const struct web_server_options options = { .name = "ironic",
						    .address = "127.0.0.1",
						    .routes = routes };
	if (web_server_open(t.web, &options, &t.server, &err) < 0)
		fail_msg("%s", err.text);
	client_open(&t.client, t.loop);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	char command[64];
	client_close(&t.client);
	agent_session_free(t.session);
	web_server_close(t.server);
	web_free(t.web);
	loop_free(t.loop);
	agent_config_done(&t.config);
	for (size_t i = 0; i < t.count; i++) {
		free(t.seen[i].method);
		free(t.seen[i].path);
		free(t.seen[i].query);
		free(t.seen[i].version);
		free(t.seen[i].body);
	}
	snprintf(command, sizeof(command), "rm -rf %s", t.root);
	return system(command);
}

/* Runs until the server has seen `wanted` requests, or the session gave up. */
static void run_session(const char *params, bool plain, size_t wanted)
{
	struct err err = { 0 };
	char line[1024];
	unsigned port = web_server_port(t.server);
	snprintf(line, sizeof(line),
		 "ipa-inspection-dhcp-wait-timeout=0 ipa-listen-host=127.0.0.1 ipa-listen-port=0 ");
	for (const char *p = params; *p; p++) {
		size_t n = strlen(line);
		if (*p == '@')
			snprintf(line + n, sizeof(line) - n, "http://127.0.0.1:%u", port);
		else
			snprintf(line + n, sizeof(line) - n, "%c", *p);
	}
	agent_config_init(&t.config);
	assert_int_equal(agent_config_parse(&t.config, line, NULL), 0);
	const struct agent_session_options options = {
		.loop = t.loop,
		.web = t.web,
		.config = &t.config,
		.effects = &t.effects,
		.root = t.root,
		.plain_http = plain,
		.failed = on_failed,
	};
	t.session = agent_session_new(&options, &err);
	assert_non_null(t.session);
	t.wanted = wanted;
	while (t.count < wanted && !t.failed)
		loop_run(t.loop);
}

static void expect(size_t i, const char *method, const char *path, const char *version)
{
	assert_string_equal(t.seen[i].method, method);
	assert_string_equal(t.seen[i].path, path);
	if (version)
		assert_string_equal(t.seen[i].version ? t.seen[i].version : "(none)", version);
	else
		assert_null(t.seen[i].version);
}

/* Lets answers that are under way arrive. */
static void on_tick(void *data)
{
	loop_stop(data);
}

static void settle_until(enum agent_state state)
{
	struct timer tick;
	timer_init(&tick, t.loop, "tick", on_tick, t.loop);
	while (agent_session_state(t.session) != state) {
		timer_set_in(&tick, 10 * USEC_PER_MSEC);
		loop_run(t.loop);
	}
	timer_stop(&tick);
}

static void test_whole_talk(void **state)
{
	(void)state;
	run_session("ipa-api-url=@ ipa-inspection-callback-url=@/v1/continue_inspection", true, 4);
	expect(0, "POST", "/v1/continue_inspection", NULL); /* no version header at all */
	expect(1, "GET", "/", NULL);
	expect(2, "GET", "/v1/lookup", "1.62");
	expect(3, "POST", "/v1/heartbeat/" NODE, "1.68");
	assert_string_equal(
		t.seen[2].query,
		"addresses=52%3A54%3A00%3A77%3A00%3A01%2C52%3A54%3A00%3A77%3A00%3A02&node_uuid=" NODE);
	struct json *body = NULL;
	assert_int_equal(json_parse(t.seen[0].body, strlen(t.seen[0].body), &body, NULL), 0);
	assert_int_equal(json_count(json_get_path(body, "inventory.interfaces")), 2);
	assert_true(json_is_null(json_get(body, "error")));
	assert_true(json_get(body, "error") != NULL);
	assert_true(str_has_prefix(json_get_string(body, "logs"), "H4sI"));
	assert_string_equal(
		json_string(json_at(json_get_path(body, "configuration.collectors"), 0)),
		"default");
	body = json_free(body);
	assert_int_equal(json_parse(t.seen[3].body, strlen(t.seen[3].body), &body, NULL), 0);
	assert_string_equal(json_get_string(body, "agent_token"), TOKEN);
	assert_non_null(json_get_string(body, "agent_version"));
	assert_null(json_get(body, "agent_verify_ca"));
	char url[64];
	snprintf(url, sizeof(url), "http://127.0.0.1:%u",
		 agent_api_port(agent_session_api(t.session)));
	assert_string_equal(json_get_string(body, "callback_url"), url);
	json_free(body);
	/* A command, and the heartbeat that its end forces (the regular one comes after 90 s at the
	 * earliest; not sooner than 5 s after the first). */
	char call[256];
	snprintf(call, sizeof(call), "%s/v1/commands/?wait=true&agent_token=" TOKEN, url);
	t.wanted = 0;
	assert_int_equal(
		client_call(
			&t.client, "POST", call,
			"{\"name\": \"clean.execute_clean_step\", \"params\": {\"step\": {\"step\": \"erase_devices_metadata\"}}}"),
		200);
	assert_string_equal(json_get_string(t.client.answer, "command_status"), "SUCCEEDED");
	t.wanted = 5;
	while (t.count < 5)
		loop_run(t.loop);
	expect(4, "POST", "/v1/heartbeat/" NODE, "1.68");
}

/* Of what the medium gave: the name, at a first lookup marked as such, and what init could not
 * apply of the network data, in each message that carries it. */
static void test_from_a_medium(void **state)
{
	(void)state;
	put("/run/ingot-network.problems", "link \"b\": no NIC\nnetwork \"n\": left out");
	t.config.node_uuid = xstrdup(NODE);
	run_session("ipa-api-url=@ ipa-inspection-callback-url=@/v1/continue_inspection", true, 4);
	assert_true(str_has_suffix(t.seen[2].query, "&node_uuid=" NODE "&first=1"));
	for (size_t i = 0; i < 4; i += 3) {
		struct json *body = NULL;
		assert_int_equal(json_parse(t.seen[i].body, strlen(t.seen[i].body), &body, NULL),
				 0);
		const struct json *list = json_get(body, "network_data_problems");
		assert_int_equal(json_count(list), 2);
		assert_string_equal(json_string(json_at(list, 0)), "link \"b\": no NIC");
		assert_string_equal(json_string(json_at(list, 1)), "network \"n\": left out");
		json_free(body);
	}
}

/* Ironic refuses a heartbeat with a member that it does not know. */
static void test_without_a_medium(void **state)
{
	(void)state;
	put("/run/ingot-network.problems", "link \"b\": no NIC");
	run_session("ipa-api-url=@", true, 3);
	assert_null(strstr(t.seen[1].query, "first"));
	assert_null(strstr(t.seen[2].body, "network_data_problems"));
}

static void test_tls(void **state)
{
	(void)state;
	run_session("ipa-api-url=@", false, 3);
	struct json *body = NULL;
	assert_int_equal(json_parse(t.seen[2].body, strlen(t.seen[2].body), &body, NULL), 0);
	const char *pem = json_get_string(body, "agent_verify_ca"),
		   *url = json_get_string(body, "callback_url");
	assert_true(str_has_prefix(pem, "-----BEGIN CERTIFICATE-----"));
	assert_true(str_has_prefix(url, "https://127.0.0.1:"));
	/* Exactly this certificate as the only anchor, the address checked. */
	char call[256];
	snprintf(call, sizeof(call), "%s/v1/commands/?agent_token=" TOKEN, url);
	t.client.tls.pinned = pem;
	t.wanted = 0;
	if (client_call(&t.client, "GET", call, NULL) != 200)
		fail_msg("%s", t.client.err.text);
	snprintf(call, sizeof(call), "%s/v1/commands/", url);
	assert_int_equal(client_call(&t.client, "GET", call, NULL), 401);
	char file[64], command[512], out[8192];
	snprintf(file, sizeof(file), "%s/pem", t.root);
	FILE *f = fopen(file, "we");
	fputs(pem, f);
	fclose(f);
	snprintf(
		command, sizeof(command),
		"openssl x509 -in %s -noout -ext subjectAltName -issuer -subject 2>&1; openssl verify -partial_chain -CAfile %s %s",
		file, file, file);
	f = popen(command, "re");
	out[fread(out, 1, sizeof(out) - 1, f)] = '\0';
	pclose(f);
	assert_non_null(strstr(out, "IP Address:127.0.0.1"));
	assert_non_null(strstr(out, ": OK"));
	json_free(body);
}

/* An old server: no TLS, no newer fields. */
static void test_old_version(void **state)
{
	(void)state;
	t.version = "1.50";
	run_session("ipa-api-url=@", false, 3);
	expect(1, "GET", "/v1/lookup", "1.50");
	expect(2, "POST", "/v1/heartbeat/" NODE, "1.50");
	assert_null(strstr(t.seen[2].body, "agent_verify_ca"));
	assert_non_null(strstr(t.seen[2].body, "http://"));
}

/* It began to answer late, being started again: it is as new as it says then. */
static void test_version_told_late(void **state)
{
	(void)state;
	t.discovery_refusals = 2;
	t.refusal_status = 503;
	run_session("ipa-api-url=@", false, 5);
	expect(1, "GET", "/", NULL);
	expect(2, "GET", "/", NULL);
	expect(3, "GET", "/v1/lookup", "1.62");
	assert_non_null(strstr(t.seen[4].body, "https://"));
}

static void test_version_not_told(void **state)
{
	(void)state;
	t.discovery_refusals = 1;
	t.refusal_status = 404;
	run_session("ipa-api-url=@", false, 3);
	expect(1, "GET", "/v1/lookup", "1.31");
	assert_non_null(strstr(t.seen[2].body, "http://"));
}

/* Nobody answers at all. */
static void test_discovery_fails(void **state)
{
	(void)state;
	run_session("ipa-api-url=http://127.0.0.1:1 ipa-lookup-timeout=1", true, REQUESTS_MAX);
	assert_true(t.failed);
	assert_int_equal(agent_session_state(t.session), AGENT_STATE_IDLE);
}

static void test_inspection_only(void **state)
{
	(void)state;
	run_session("ipa-inspection-callback-url=@/v1/continue_inspection", true, 1);
	settle_until(AGENT_STATE_IDLE);
	assert_int_equal(t.count, 1);
}

static void test_inspection_retries(void **state)
{
	(void)state;
	t.inspect_refusals = 1;
	t.refusal_status = 503;
	run_session("ipa-inspection-callback-url=@/v1/continue_inspection", true, 2);
	settle_until(AGENT_STATE_IDLE);
	assert_int_equal(t.count, 2);
}

/* Ironic's answer until its node waits for the inventory. */
static void test_inspection_too_early(void **state)
{
	(void)state;
	t.inspect_refusals = 2;
	t.refusal_status = 404;
	run_session("ipa-api-url=@ ipa-inspection-callback-url=@/v1/continue_inspection", true, 5);
	for (size_t i = 0; i < 3; i++)
		expect(i, "POST", "/v1/continue_inspection", NULL);
	expect(3, "GET", "/", NULL);
	assert_non_null(strstr(t.seen[4].query, "node_uuid=" NODE));
}

static void test_inspection_pauses(void **state)
{
	(void)state;
	static const struct {
		int status;
		unsigned tries, waited_s, pause_s;
	} rows[] = {
		/* for a minute, however often */
		{ 404, 0, 0, 1 },
		{ 404, 1, 1, 2 },
		{ 404, 2, 3, 4 },
		{ 404, 14, 59, 5 },
		{ 404, 15, 60, 0 },
		{ 404, 40, 3600, 0 },
		/* eight times, with growing pauses */
		{ 0, 0, 0, 1 },
		{ 503, 3, 400, 8 },
		{ 409, 6, 400, 30 },
		{ 500, 7, 10, 0 },
		/* for good */
		{ 400, 0, 0, 0 },
		{ 403, 0, 0, 0 },
		{ 405, 0, 0, 0 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(agent_inspection_pause(rows[i].status, rows[i].tries,
							rows[i].waited_s * USEC_PER_SEC),
				 rows[i].pause_s * USEC_PER_SEC);
}

/* The inspection is given up, the agent goes on. */
static void test_inspection_refused(void **state)
{
	(void)state;
	t.inspect_refusals = 100;
	t.refusal_status = 400;
	run_session("ipa-api-url=@ ipa-inspection-callback-url=@/v1/continue_inspection", true, 4);
	expect(1, "GET", "/", NULL);
	assert_null(strstr(t.seen[2].query, "node_uuid"));
}

static void test_refusal_text(void **state)
{
	(void)state;
	static const struct {
		const char *body, *says;
	} rows[] = {
		/* Ironic 29: JSON in a text */
		{ "{\"error_message\": \"{\\\"debuginfo\\\": null, \\\"faultcode\\\": \\\"Client\\\", "
		  "\\\"faultstring\\\": \\\"Could not find a node\\\"}\"}",
		  "Could not find a node" },
		{ "{\"error_message\": {\"faultcode\": \"Client\", \"faultstring\": \"later\"}}",
		  "later" },
		{ "{\"faultcode\": \"Client\", \"faultstring\": \"bare\"}", "bare" },
		{ "{\"error_message\": \"plain words\"}", "plain words" },
		{ "{\"error_message\": {\"code\": 404, \"title\": \"Not Found\", \"description\": \"of what\"}}",
		  "of what" },
		{ "{\"error_message\": \"{\\\"title\\\": \\\"Not Acceptable\\\"}\"}",
		  "Not Acceptable" },
		{ "{\"errors\": [{\"title\": \"t\", \"detail\": \"d\"}]}", "d" },
		{ "{\"error\": {\"code\": 401, \"title\": \"Unauthorized\", \"message\": \"who are you\"}}",
		  "who are you" },
		{ "{\"error\": \"text\"}", "text" },
		{ "{\"faultstring\": \"two\\nlines\"}", "two?lines" },
		{ "{\"error_message\": \"{broken\"}", "{broken" },
		{ "{\"error_message\": {\"error_message\": {\"error_message\": {\"error_message\": "
		  "{\"faultstring\": \"deep\"}}}}}",
		  "" },
		{ "{\"other\": 1}", "" },
		{ "[]", "" },
		{ "null", "" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct json *body = parse(rows[i].body);
		_cleanup_(freep) char *text = agent_refusal_text(body);
		assert_string_equal(text, rows[i].says);
		json_free(body);
	}
	_cleanup_(freep) char *none = agent_refusal_text(NULL);
	assert_string_equal(none, "");
}

static void test_lookup_retries(void **state)
{
	(void)state;
	t.lookup_refusals = 2;
	t.refusal_status = 404;
	run_session("ipa-api-url=@", true, 5);
	expect(3, "GET", "/v1/lookup", "1.62");
	expect(4, "POST", "/v1/heartbeat/" NODE, "1.68");
}

static void test_lookup_fails(void **state)
{
	(void)state;
	t.lookup_refusals = 1000;
	t.refusal_status = 404;
	run_session("ipa-api-url=@ ipa-lookup-timeout=1", true, REQUESTS_MAX);
	assert_true(t.failed);
	assert_int_equal(agent_session_state(t.session), AGENT_STATE_IDLE);
}

static void test_starred_token(void **state)
{
	(void)state;
	t.token = "******";
	run_session("ipa-api-url=@", true, 2);
	settle_until(AGENT_STATE_IDLE);
	assert_int_equal(t.count, 2);
}

static void test_token_given_beforehand(void **state)
{
	(void)state;
	t.token = "******";
	run_session("ipa-api-url=@ ipa-agent-token=abcdefghabcdefghabcdefghabcdefgh", true, 3);
	assert_non_null(strstr(t.seen[2].body, "abcdefghabcdefghabcdefghabcdefgh"));
}

static void test_first_url_is_dead(void **state)
{
	(void)state;
	run_session("ipa-api-url=http://127.0.0.1:1,@", true, 3);
	expect(2, "POST", "/v1/heartbeat/" NODE, "1.68");
}

/* One that does not lead is passed over at once, for each kind of request, and the one that does
 * stays in front; until it leads no more. */
static void test_second_instance_leads(void **state)
{
	(void)state;
	t.leader = TWO;
	run_session("ipa-api-url=@,@" TWO " ipa-inspection-callback-url=@/v1/continue_inspection,"
		    "@" TWO "/v1/continue_inspection",
		    true, 6);
	expect(0, "POST", "/v1/continue_inspection", NULL);
	expect(1, "POST", TWO "/v1/continue_inspection", NULL);
	assert_string_equal(t.seen[0].body, t.seen[1].body);
	expect(2, "GET", "/", NULL);
	expect(3, "GET", TWO "/", NULL);
	expect(4, "GET", TWO "/v1/lookup", "1.62");
	expect(5, "POST", TWO "/v1/heartbeat/" NODE, "1.68");
	t.leader = "";
	for (t.wanted = 8; t.wanted < 10; t.wanted++)
		for (agent_session_beat(t.session); t.count < t.wanted;)
			loop_run(t.loop);
	expect(6, "POST", TWO "/v1/heartbeat/" NODE, "1.68");
	expect(7, "POST", "/v1/heartbeat/" NODE, "1.68");
	expect(8, "POST", "/v1/heartbeat/" NODE, "1.68");
	assert_string_equal(t.seen[6].body, t.seen[7].body);
}

/* Nobody leads for a moment: the list is gone through again after a pause, and nothing is given up.
 */
static void test_nobody_leads(void **state)
{
	(void)state;
	t.leader = "nobody";
	run_session("ipa-api-url=@ ipa-inspection-callback-url=@/v1/continue_inspection,@" TWO
		    "/v1/continue_inspection",
		    true, 2);
	expect(0, "POST", "/v1/continue_inspection", NULL);
	assert_int_equal(agent_session_state(t.session), AGENT_STATE_INSPECT);
	t.leader = "";
	t.wanted = 4;
	while (t.count < t.wanted)
		loop_run(t.loop);
	expect(2, "POST", "/v1/continue_inspection", NULL);
	expect(3, "GET", "/", NULL);
}

/* A process that was stopped: its kernel takes the connection, and nobody speaks TLS. */
static void test_first_url_is_silent(void **state)
{
	(void)state;
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	char params[64];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 5), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	snprintf(params, sizeof(params), "ipa-api-url=https://127.0.0.1:%u,@", ntohs(at.sin_port));
	run_session(params, true, 3);
	expect(2, "POST", "/v1/heartbeat/" NODE, "1.68");
	close(fd);
}

static void test_refused_beat(void **state)
{
	(void)state;
	t.beat_refusals = 1;
	run_session("ipa-api-url=@", true, 4); /* the second after 5 to 10 s */
	expect(3, "POST", "/v1/heartbeat/" NODE, "1.68");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_whole_talk),
		TEST(test_from_a_medium),
		TEST(test_without_a_medium),
		TEST(test_tls),
		TEST(test_old_version),
		TEST(test_version_told_late),
		TEST(test_version_not_told),
		TEST(test_discovery_fails),
		TEST(test_inspection_only),
		TEST(test_inspection_retries),
		TEST(test_inspection_too_early),
		TEST(test_inspection_refused),
		cmocka_unit_test(test_inspection_pauses),
		cmocka_unit_test(test_refusal_text),
		TEST(test_lookup_retries),
		TEST(test_lookup_fails),
		TEST(test_starred_token),
		TEST(test_token_given_beforehand),
		TEST(test_first_url_is_dead),
		TEST(test_refused_beat),
		TEST(test_second_instance_leads),
		TEST(test_nobody_leads),
		TEST(test_first_url_is_silent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
