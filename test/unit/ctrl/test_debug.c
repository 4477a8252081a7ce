/* The debug endpoint over its real socket, asked by the HTTP client that ingotctl uses. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "ctrl/debug.h"
#include "http/http.h"
#include "prov/engine.h"

struct rig {
	struct loop *loop;
	struct web *web;
	struct web_server *server;
	struct http_client *client;
	struct provisioner *prov;
	struct debug_routes *debug;
	struct bmc_driver_set drivers;
	char dir[32], *path;
	int status;
	struct err err;
	struct json *answer;
};

static void keep_quiet(void *data, enum log_level level, const char *line)
{
	(void)data, (void)level, (void)line;
}

static usec_t next(void *data, const char *key)
{
	const struct rig *rig = data;
	return streq(key, "metal3/node-1") ? loop_now(rig->loop) + USEC_PER_HOUR : 0;
}

static int setup(void **state)
{
	static const uint8_t secret[32] = { 1 };
	struct rig *rig = xcalloc(1, sizeof(*rig));
	struct err err = { 0 };
	log_set_sink(keep_quiet, NULL);
	if (loop_new(&rig->loop, &err) < 0 || web_new(&rig->web, &err) < 0 ||
	    http_client_new(rig->loop, &(struct http_client_options){ 0 }, &rig->client, &err) < 0)
		fail_msg("%s", err.text);
	rig->prov = prov_engine_new(&(struct engine_options){ .loop = rig->loop,
							      .drivers = &rig->drivers,
							      .secret = secret,
							      .secret_len = sizeof(secret) },
				    &(struct prov_env){ 0 });
	rig->debug = debug_routes_new(rig->prov, rig->loop, next, rig);
	snprintf(rig->dir, sizeof(rig->dir), "/tmp/ingot-debug-XXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	rig->path = xasprintf("%s/debug.sock", rig->dir);
	const struct web_route routes[] = { debug_routes_row(rig->debug), { .prefix = NULL } };
	if (web_server_open(rig->web,
			    &(struct web_server_options){ .socket = rig->path, .routes = routes },
			    &rig->server, &err) < 0)
		fail_msg("%s", err.text);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;
	http_client_free(rig->client);
	web_server_close(rig->server);
	web_free(rig->web);
	prov_engine_free(rig->prov);
	debug_routes_free(rig->debug);
	loop_free(rig->loop);
	json_free(rig->answer);
	rmdir(rig->dir);
	free(rig->path);
	free(rig);
	return 0;
}

static void on_done(void *data, const struct err *err, const struct http_response *r,
		    const char *body, size_t len)
{
	struct rig *rig = data;
	rig->status = err ? 0 : r->status;
	if (err)
		rig->err = *err;
	else if (len)
		assert_int_equal(json_parse(body, len, &rig->answer, NULL), 0);
	loop_stop(rig->loop);
}

static int ask(struct rig *rig, const char *method, const char *path)
{
	static const struct http_handlers handlers = { .done = on_done };
	_cleanup_(freep) char *url = xasprintf("http://ingot%s", path);
	rig->answer = json_free(rig->answer);
	struct http_request request = { .method = method, .url = url, .unix_socket = rig->path };
	assert_non_null(http_start(rig->client, &request, &handlers, rig, NULL));
	loop_run(rig->loop);
	return rig->status;
}

static void load(struct rig *rig, const char *name, const char *record)
{
	_cleanup_(json_freep) struct json *j = NULL;
	_cleanup_(freep) char *key = xasprintf("metal3/%s", name);
	assert_int_equal(json_parse(record, strlen(record), &j, NULL), 0);
	engine_load(prov_engine_get(rig->prov), key, name, j);
}

static void test_answers(void **state)
{
	struct rig *rig = *state;
	assert_int_equal(ask(rig, "GET", "/hosts"), 200);
	assert_int_equal(json_count(json_get(rig->answer, "hosts")), 0);
	load(rig, "node-2", "{\"hostUID\":\"node-2\"}");
	load(rig, "node-1",
	     "{\"hostUID\":\"node-1\",\"node\":{\"state\":\"active\",\"since\":"
	     "\"2026-01-02T03:04:05Z\"},\"boot\":{\"nonce\":\"00112233445566778899aabbccddeeff\","
	     "\"purpose\":\"deploy\"},\"image\":{\"url\":\"https://u:p@h/i.raw?s=1\"},"
	     "\"agent\":{\"url\":\"https://10.0.0.9:9999\",\"certificate\":\"PEM\"}}");
	assert_int_equal(ask(rig, "GET", "/hosts"), 200);
	const struct json *hosts = json_get(rig->answer, "hosts");
	assert_int_equal(json_count(hosts), 2);
	assert_string_equal(json_get_string(json_at(hosts, 0), "host"), "metal3/node-1");
	assert_string_equal(json_get_string(json_at(hosts, 0), "state"), "active");
	assert_non_null(json_get_string(json_at(hosts, 0), "nextLook"));
	assert_null(json_get_string(json_at(hosts, 1), "nextLook"));

	assert_int_equal(ask(rig, "GET", "/hosts/metal3/node-1"), 200);
	assert_string_equal(json_get_string(rig->answer, "since"), "2026-01-02T03:04:05Z");
	assert_string_equal(json_get_path_string(rig->answer, "agent.url"),
			    "https://10.0.0.9:9999");
	_cleanup_(freep) char *text = json_to_string(rig->answer);
	static const char *const secrets[] = { "0011223344", "u:p", "s=1", "PEM" };
	for (size_t i = 0; i < ARRAY_SIZE(secrets); i++)
		assert_null(strstr(text, secrets[i]));
}

static void test_refusals(void **state)
{
	struct rig *rig = *state;
	static const struct {
		const char *method, *path;
		int status;
	} rows[] = {
		{ "GET", "/hosts/metal3/node-9", 404 },
		{ "GET", "/hostsx", 404 },
		{ "GET", "/", 404 },
		{ "POST", "/hosts", 405 },
		{ "POST", "/hostsx", 405 },
		{ "DELETE", "/hosts/metal3/node-1", 405 },
	};
	assert_true(web_router_sound(&debug_routes_router));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(ask(rig, rows[i].method, rows[i].path), rows[i].status);
		assert_non_null(json_get_string(rig->answer, "error"));
	}
}

static void test_nobody_there(void **state)
{
	struct rig *rig = *state;
	rig->server = web_server_close(rig->server);
	assert_int_equal(ask(rig, "GET", "/hosts"), 0);
	assert_int_equal(rig->err.kind, ERR_UNREACHABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nobody_there, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
