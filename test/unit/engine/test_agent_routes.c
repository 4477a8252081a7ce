/* The agents' paths over real connections, with an engine that knows no host: what is answered by
 * the table and by the parsers before the engine is asked. */

#include "engine/agent_routes.h"

#include "unit/web/rig.h"

struct world {
	struct rig *rig;
	struct engine *engine;
	struct bmc_driver_set drivers;
	struct agent_routes *routes;
};

static int setup(void **state)
{
	static const uint8_t secret[32] = { 1 };
	struct world *w = xcalloc(1, sizeof(*w));
	struct web_route rows[3];
	struct err err;
	w->rig = rig_new();
	w->engine = engine_new(&(struct engine_options){ .loop = w->rig->loop,
							 .drivers = &w->drivers,
							 .secret = secret,
							 .secret_len = sizeof(secret) });
	w->routes = agent_routes_new(w->engine, w->rig->loop, "https://192.0.2.1:6385");
	agent_routes_rows(w->routes, rows);
	const struct web_server_options o = { .address = "127.0.0.1", .routes = rows };
	if (web_server_open(w->rig->web, &o, &w->rig->server, &err) < 0)
		fail_msg("%s", err.text);
	*state = w;
	return 0;
}

/* The loop's thread has ended before what it used goes. */
static int teardown(void **state)
{
	struct world *w = *state;
	struct rig *rig = w->rig;
	rig->server = web_server_close(rig->server);
	loop_post(rig->loop, rig_stop_loop, rig->loop);
	pthread_join(rig->thread, NULL);
	agent_routes_free(w->routes);
	engine_free(w->engine);
	web_free(rig->web);
	loop_free(rig->loop);
	close(rig->file);
	sem_destroy(&rig->held);
	sem_destroy(&rig->closed);
	free(rig);
	free(w);
	return 0;
}

static struct answer request(const struct world *w, const char *line, const char *body)
{
	_cleanup_(freep) char *text = xasprintf(
		"%s HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n%s", line, strlen(body),
		body);
	return ask(w->rig, text);
}

static void test_requests(void **state)
{
	static const struct {
		const char *line, *body;
		int status;
		const char *says;
	} rows[] = {
		{ "GET /", "", 200, "\"href\":\"https://192.0.2.1:6385/v1/\"" },
		{ "GET /v1", "", 200, "\"id\":\"v1\"" },
		{ "GET /v1/", "", 200, "\"id\":\"v1\"" },
		{ "GET /v1/lookup", "", 400, "lookup needs addresses or node_uuid" },
		{ "GET /v1/lookup/?addresses=52:54:00:00:00:01", "", 404, "error_message" },
		{ "POST /v1/heartbeat/0-1", "{", 400, "error_message" },
		{ "POST /v1/heartbeat/0-1/x", "{}", 404, "no such node" },
		{ "POST /v1/heartbeat/", "{}", 404, "no such node" },
		{ "POST /v1/continue_inspection", "[", 400, "error_message" },
		{ "POST /v1/continue_inspection/", "{}", 400, "without an inventory" },
		{ "POST /v1/lookup", "", 405, "method not allowed" },
		{ "GET /v1/heartbeat/0-1", "", 405, "method not allowed" },
		{ "GET /v1/heartbeat", "", 404, "not found" },
		{ "GET /v1/lookup//", "", 404, "not found" },
		{ "GET /v1/nodes", "", 404, "not found" },
		{ "GET /v2", "", 404, "not found" },
		/* A lookup has an effect; for one answer each, HEAD goes the same way everywhere.
		 */
		{ "HEAD /v1/lookup?addresses=52:54:00:00:00:01", "", 405, "" },
	};
	struct world *w = *state;
	assert_true(web_router_sound(&agent_routes_router));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(answer_done) struct answer a = request(w, rows[i].line, rows[i].body);
		if (a.status != rows[i].status || !strstr(str_or(a.body.data, ""), rows[i].says))
			fail_msg("%s: %d %s", rows[i].line, a.status, str_or(a.body.data, ""));
		assert_string_equal(answer_header(&a, "X-OpenStack-Ironic-API-Minimum-Version"),
				    "1.1");
	}
}

static void test_allowed_methods(void **state)
{
	struct world *w = *state;
	_cleanup_(answer_done) struct answer get = request(w, "DELETE /v1/lookup", "");
	assert_string_equal(answer_header(&get, "Allow"), "GET");
	_cleanup_(answer_done) struct answer post = request(w, "PUT /v1/heartbeat/0-1", "{}");
	assert_string_equal(answer_header(&post, "Allow"), "POST");
	_cleanup_(answer_done) struct answer none = request(w, "PUT /v1/nodes", "{}");
	assert_null(answer_header(&none, "Allow"));
}

/* Whatever is asked. */
static void test_too_many_requests(void **state)
{
	struct world *w = *state;
	unsigned refused = 0;
	for (unsigned i = 0; i < 500 && !refused; i++) {
		_cleanup_(answer_done) struct answer a = request(w, "GET /v2", "");
		refused += a.status == 503;
		if (!refused)
			assert_int_equal(a.status, 404);
	}
	assert_int_equal(refused, 1);
}

int main(void)
{
	log_set_level(LOG_ERROR);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(test_allowed_methods, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_requests, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
