/* Health by HTTP, asked by curl, while this thread plays the loop that is watched: it runs what was
 * posted when the test says so, and hangs in between. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "health/internal.h"
#include "metrics/metrics.h"

enum { TRIES = 3000 }; /* only keeps a broken test from hanging */

struct rig {
	struct loop *loop;
	struct health *health;
	struct web *web;
	struct web_server *server, *metrics;
	const char *trouble; /* what the probe finds */
	unsigned probed, measured;
};

static const char *probe(void *data)
{
	struct rig *r = data;
	r->probed++;
	return r->trouble;
}

static void measure(void *data)
{
	struct rig *r = data;
	r->measured++;
}

static void debug(void *data, struct web_request *r, const char *path)
{
	(void)data, (void)r;
	fail_msg("%s is told to whoever comes", path);
}

static struct web_server *listen(struct rig *r, const struct web_route *routes)
{
	struct web_server *server = NULL;
	struct err err;
	const struct web_server_options o = { .name = "test",
					      .address = "127.0.0.1",
					      .routes = routes };
	assert_int_equal(web_server_open(r->web, &o, &server, &err), 0);
	return server;
}

/* silence 1 µs: whoever was asked and has not answered hangs. */
static void start(struct rig *r, usec_t silence)
{
	struct err err;
	const struct health_check checks[] = {
		{ "core", HEALTH_LIVE, r->loop, NULL, NULL },
		{ "work", HEALTH_LIVE | HEALTH_READY, r->loop, probe, r },
		{ .name = NULL },
	};
	const struct health_options o = { .checks = checks,
					  .silence = silence,
					  .loop = r->loop,
					  .measure = measure,
					  .data = r,
					  .debug = debug };
	assert_int_equal(web_new(&r->web, &err), 0);
	assert_int_equal(health_new(&o, &r->health, &err), 0);
	r->server = listen(r, health_routes(r->health));
	r->metrics = listen(r, health_metrics_routes(r->health));
}

static int setup(void **state)
{
	struct rig *r = xcalloc(1, sizeof(*r));
	struct err err;
	*state = r;
	return loop_new(&r->loop, &err);
}

static int teardown(void **state)
{
	struct rig *r = *state;
	web_server_close(r->server);
	web_server_close(r->metrics);
	health_stop(r->health);
	health_free(r->health);
	web_free(r->web);
	loop_free(r->loop);
	metrics_reset();
	free(r);
	return 0;
}

/* "STATUS body" */
static char *ask(const struct web_server *server, const char *options, const char *path)
{
	struct strbuf text = { 0 };
	char piece[4096];
	_cleanup_(freep) char *command = xasprintf(
		"curl -sS -m 60 -w '\\n%%{http_code}' %s 'http://127.0.0.1:%u%s' 2>&1", options,
		web_server_port(server), path);
	FILE *f = popen(command, "r"); // NOLINT: a fixed command
	assert_non_null(f);
	for (size_t n; (n = fread(piece, 1, sizeof(piece), f)) > 0;)
		strbuf_add(&text, piece, n);
	pclose(f);
	char *all = strbuf_take(&text, NULL), *status = strrchr(all, '\n');
	char *answer = xasprintf("%s %.*s", status + 1, (int)(status - all), all);
	free(all);
	return answer;
}

static void expect(const struct rig *r, const char *path, const char *answer)
{
	_cleanup_(freep) char *got = ask(r->server, "", path);
	assert_string_equal(got, answer);
}

/* Until the answer is that; meanwhile the watched loop runs, or not. */
static void wait_for(struct rig *r, const char *path, const char *answer, bool runs)
{
	_cleanup_(freep) char *got = NULL;
	for (unsigned i = 0; i < TRIES; i++) {
		if (runs)
			loop_drain(r->loop);
		free(got);
		got = ask(r->server, "", path);
		if (streq(got, answer))
			return;
	}
	fail_msg("GET %s: never \"%s\", but \"%s\"", path, answer, got);
}

static void test_well(void **state)
{
	struct rig *r = *state;
	start(r, 0);
	wait_for(r, "/readyz", "200 ok", true);
	assert_true(r->probed > 0);
	expect(r, "/healthz", "200 ok");
	expect(r, "/healthz/", "200 ok");
	expect(r, "/healthz/core", "200 ok");
	expect(r, "/healthz/ping", "200 ok");
	expect(r, "/healthz?verbose",
	       "200 [+]ping ok\n[+]core ok\n[+]work ok\nhealthz check passed\n");
	expect(r, "/readyz?verbose", "200 [+]ping ok\n[+]work ok\nreadyz check passed\n");
	expect(r, "/readyz/core", "404 no such check; ?verbose lists them\n");
	expect(r, "/healthz/nothing", "404 no such check; ?verbose lists them\n");
	expect(r, "/healthz/core/", "404 no such check; ?verbose lists them\n");
	expect(r, "/readyz/ping", "200 ok");
	_cleanup_(freep) char *deleted = ask(r->server, "-X DELETE", "/healthz");
	assert_string_equal(deleted, "405 GET and HEAD only\n");
	_cleanup_(freep) char *allowed = ask(r->server, "-i -X DELETE", "/healthz");
	assert_non_null(strstr(allowed, "\r\nAllow: GET, HEAD\r\n"));
	_cleanup_(freep) char *head = ask(r->server, "-I -o /dev/null", "/readyz/ping");
	assert_string_equal(head, "200 ");
	_cleanup_(freep) char *posted = ask(r->server, "-d x", "/healthz");
	assert_true(str_has_prefix(posted, "4"));
	_cleanup_(freep) char *metrics = ask(r->server, "", "/metrics");
	assert_true(str_has_prefix(metrics, "404 "));
}

static void test_not_ready_before_the_first_answer(void **state)
{
	struct rig *r = *state;
	start(r, 0);
	expect(r, "/healthz", "200 ok");
	expect(r, "/readyz",
	       "500 [+]ping ok\n[-]work failed: not asked yet\nreadyz check failed\n");
}

static void test_probe_finds_trouble(void **state)
{
	struct rig *r = *state;
	r->trouble = "out of coffee";
	start(r, 0);
	wait_for(r, "/healthz/work", "500 work: out of coffee\n", true);
	expect(r, "/healthz",
	       "500 [+]ping ok\n[+]core ok\n[-]work failed: out of coffee\n"
	       "healthz check failed\n");
	expect(r, "/healthz?exclude=work", "200 ok");
	expect(r, "/healthz/core", "200 ok");
	r->trouble = NULL;
	wait_for(r, "/healthz", "200 ok", true);
}

static void test_hung_loop(void **state)
{
	struct rig *r = *state;
	start(r, 1);
	wait_for(r, "/healthz/core", "500 core: its loop gives no sign of life\n", false);
	_cleanup_(freep) char *all = ask(r->server, "", "/healthz");
	assert_true(str_has_prefix(all, "500 [+]ping ok\n[-]core failed"));
	wait_for(r, "/healthz/core", "200 ok", true);
}

static void test_metrics_without_review(void **state)
{
	struct rig *r = *state;
	start(r, 0);
	metric_add(METRIC_UNMANAGED, 3);
	/* The page waits for the loop, which this thread runs while curl waits. */
	_cleanup_(freep) char *command = xasprintf(
		"curl -sS -m 60 -i 'http://127.0.0.1:%u/metrics' 2>&1",
		web_server_port(r->metrics));
	FILE *f = popen(command, "r"); // NOLINT: a fixed command
	while (r->measured == 0)
		loop_drain(r->loop);
	char page[200000];
	size_t n = fread(page, 1, sizeof(page) - 1, f);
	page[n] = '\0';
	pclose(f);
	assert_non_null(strstr(page, "200 OK"));
	assert_non_null(strstr(page, "text/plain; version=0.0.4; charset=utf-8"));
	assert_non_null(strstr(page, "\nmetal3_host_unmanaged_total 3\n"));
	assert_non_null(strstr(page, "\nprocess_resident_memory_bytes "));
	_cleanup_(freep) char *below = ask(r->metrics, "", "/metrics/x");
	assert_string_equal(below, "404 there is /metrics\n");
	_cleanup_(freep) char *host = ask(r->metrics, "-H 'Authorization: Bearer x'",
					  "/debug/hosts");
	assert_true(str_has_prefix(host, "404 "));
	_cleanup_(freep) char *posted = ask(r->metrics, "-X DELETE", "/metrics");
	assert_string_equal(posted, "405 GET and HEAD only\n");
	_cleanup_(freep) char *allowed = ask(r->metrics, "-i -X DELETE", "/metrics");
	assert_non_null(strstr(allowed, "\r\nAllow: GET, HEAD\r\n"));
}

/* The end must not wait for a watched loop, nor leave what it was asked. */
static void test_end_with_questions_under_way(void **state)
{
	struct rig *r = *state;
	start(r, 0);
	_cleanup_(freep) char *command = xasprintf(
		"curl -sS -m 60 -o /dev/null -w '%%{http_code}' 'http://127.0.0.1:%u/metrics' 2>&1",
		web_server_port(r->metrics));
	FILE *f = popen(command, "r"); // NOLINT: a fixed command
	expect(r, "/healthz", "200 ok");
	r->server = web_server_close(r->server);
	r->metrics = web_server_close(r->metrics);
	health_stop(r->health);
	char text[400];
	while (fread(text, 1, sizeof(text), f) > 0)
		;
	pclose(f);
}

static void test_tables(void **state)
{
	(void)state;
	assert_true(web_router_sound(&health_router));
	assert_true(web_router_sound(&metrics_router));
	assert_true(web_router_sound(&debug_router));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables),
		cmocka_unit_test_setup_teardown(test_well, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_ready_before_the_first_answer, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_probe_finds_trouble, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hung_loop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_metrics_without_review, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end_with_questions_under_way, setup, teardown),
	};
	return cmocka_run_group_tests_name("health", tests, NULL, NULL);
}
