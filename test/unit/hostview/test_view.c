/* What ingotctl shows, as golden texts: each case is a file of objects, and beside it the table,
 * the line and the page that come out. INGOT_GOLDEN_UPDATE=1 writes the texts; the difference is
 * the review. And when a watch ends, and what may reach a terminal. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "hostview/client.h"
#include "hostview/goal.h"
#include "hostview/render.h"
#include "unit/parse.h"

#define CASES "test/unit/hostview/cases/"

static char *read_file(const char *path)
{
	struct strbuf out = { 0 };
	char buf[4096];
	FILE *f = fopen(path, "re");
	if (!f)
		return NULL;
	for (size_t n; (n = fread(buf, 1, sizeof(buf), f)) > 0;)
		strbuf_add(&out, buf, n);
	fclose(f);
	return strbuf_take(&out, NULL);
}

static struct view_sources sources_of(const struct json *given)
{
	struct view_sources s = { .host = json_get(given, "host"),
				  .record = json_get(given, "record"),
				  .debug = json_get(given, "debug") };
	assert_int_equal(clock_parse(json_get_string(given, "now"), &s.now), 0);
	return s;
}

static char *rendered(const struct json *given)
{
	struct strbuf out = { 0 };
	struct view v;
	struct view_sources s = sources_of(given);
	view_make(&s, &v);
	strbuf_adds(&out, "--- status\n");
	render_table(&v, 1, true, &out);
	strbuf_adds(&out, "--- watch\n");
	render_line(&v, &out);
	strbuf_adds(&out, "\n--- describe\n");
	render_page(&v, &out);
	view_done(&v);
	return strbuf_take(&out, NULL);
}

static void check_case(const char *path)
{
	_cleanup_(freep) char *text = read_file(path);
	_cleanup_(json_freep) struct json *given = parse(text);
	_cleanup_(freep) char *got = rendered(given);
	_cleanup_(freep) char *golden = xasprintf("%.*s.txt", (int)strlen(path) - 5, path);
	/* Whatever is shown: no user, password or query of a URL. */
	assert_null(strstr(got, "pa55"));
	assert_null(strstr(got, "5i9"));
	if (getenv("INGOT_GOLDEN_UPDATE")) {
		FILE *f = fopen(golden, "we");
		fputs(got, f);
		fclose(f);
	}
	_cleanup_(freep) char *expected = read_file(golden);
	if (!streq(got, expected))
		fail_msg("%s: shown is\n%s\nnot\n%s", path, got, str_or(expected, "(no file)"));
}

static void test_golden(void **state)
{
	(void)state;
	glob_t found;
	assert_int_equal(glob(CASES "*.json", 0, NULL, &found), 0);
	assert_true(found.gl_pathc >= 13);
	for (size_t i = 0; i < found.gl_pathc; i++)
		check_case(found.gl_pathv[i]);
	globfree(&found);
}

/* Columns of several hosts line up, and the namespace is there only when asked for. */
static void test_columns(void **state)
{
	(void)state;
	_cleanup_(freep) char *a = read_file(CASES "02-write-by-api.json");
	_cleanup_(freep) char *b = read_file(CASES "23-provisioned-since.json");
	_cleanup_(json_freep) struct json *given = parse(a), *second = parse(b);
	struct view_sources s[] = { sources_of(given), sources_of(second) };
	struct view views[2];
	_cleanup_(strbuf_done) struct strbuf out = { 0 };
	view_make(&s[0], &views[0]);
	view_make(&s[1], &views[1]);
	render_table(views, 2, false, &out);
	assert_string_equal(
		out.data,
		"NAME    STATE         WAITS FOR                     SINCE  UNTIL   PROGRESS           RATE       ETA\n"
		"node-1  provisioning  the agent to write the image  65s    in 23h  [##--------]  25%  34.1 MB/s  43s\n"
		"node-1  provisioned   -                             44m    -       -                  -          -\n");
	view_done(&views[0]);
	view_done(&views[1]);
}

static void test_strangers(void **state)
{
	(void)state;
	_cleanup_(json_freep) struct json *list = parse(
		"[{\"mac\":\"52:54:00:ff:ff:01\",\"request\":\"PXE boot by DHCP\",\"firstAt\":"
		"\"2026-01-01T00:00:00Z\",\"lastAt\":\"2026-01-01T00:01:00Z\",\"count\":4},{}]");
	_cleanup_(json_freep) struct json *empty = json_new_array();
	_cleanup_(strbuf_done) struct strbuf out = { 0 };
	usec_t now;
	assert_int_equal(clock_parse("2026-01-01T00:01:45Z", &now), 0);
	render_strangers(NULL, now, &out); /* an older server tells none */
	render_strangers(empty, now, &out);
	assert_int_equal(out.len, 0);
	render_strangers(list, now, &out);
	assert_non_null(strstr(out.data, "belong to no host:\n    52:54:00:ff:ff:01  PXE boot by "
					 "DHCP, last 45s ago\n"));
}

static void test_units(void **state)
{
	(void)state;
	static const struct {
		int64_t bytes;
		const char *text;
	} rows[] = { { 0, "0 B" },	     { 999, "999 B" },	   { 1000, "1.0 kB" },
		     { 999949, "999.9 kB" }, { 999950, "1.0 MB" }, { 34100000, "34.1 MB" },
		     { INT64_MAX, "9.2 EB" } };
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(strbuf_done) struct strbuf out = { 0 };
		render_bytes(rows[i].bytes, &out);
		assert_string_equal(out.data, rows[i].text);
	}
	static const struct {
		int64_t percent;
		const char *text;
	} bars[] = { { 0, "[----------]   0%" },
		     { 9, "[----------]   9%" },
		     { 99, "[#########-]  99%" },
		     { 100, "[##########] 100%" } };
	for (size_t i = 0; i < ARRAY_SIZE(bars); i++) {
		_cleanup_(strbuf_done) struct strbuf out = { 0 };
		render_bar(bars[i].percent, &out);
		assert_string_equal(out.data, bars[i].text);
	}
}

static enum goal_verdict judge(struct goal *g, const char *host)
{
	_cleanup_(json_freep) struct json *j = parse(host);
	struct view v;
	view_make(&(struct view_sources){ .host = j, .now = USEC_PER_SEC }, &v);
	enum goal_verdict verdict = goal_judge(g, &v);
	view_done(&v);
	return verdict;
}

#define IMAGE(url, sum) "{\"url\":\"" url "\",\"checksum\":\"" sum "\"}"
#define AT(state, more) "\"status\":{\"provisioning\":{\"state\":\"" state "\"" more "}"
#define WANTS_A		"\"spec\":{\"image\":" IMAGE("a", "1") "},"
#define HAS(image)	",\"image\":" image
#define ERROR(count)	",\"errorType\":\"x\",\"errorMessage\":\"bad\",\"errorCount\":" count
#define LEAVING		"\"metadata\":{\"deletionTimestamp\":\"2026-01-02T03:04:05Z\"},"

static void test_goals(void **state)
{
	(void)state;
	static const struct {
		const char *goal, *host;
		enum goal_verdict verdict;
	} rows[] = {
		{ NULL, "{" AT("inspecting", "") "}}", GOAL_OPEN },
		{ NULL, "{" AT("available", "") "}}", GOAL_REACHED },
		{ NULL, "{" AT("externally provisioned", "") "}}", GOAL_REACHED },
		{ NULL, "{" WANTS_A AT("available", "") "}}", GOAL_OPEN },
		{ NULL, "{" WANTS_A AT("provisioned", HAS(IMAGE("a", "1"))) "}}", GOAL_REACHED },
		/* It still runs the image before. */
		{ NULL, "{" WANTS_A AT("provisioned", HAS(IMAGE("b", "1"))) "}}", GOAL_OPEN },
		{ NULL, "{" WANTS_A AT("provisioned", HAS(IMAGE("a", "2"))) "}}", GOAL_OPEN },
		{ NULL, "{" LEAVING AT("available", "") "}}", GOAL_OPEN },
		{ "inspecting", "{" WANTS_A AT("inspecting", "") "}}", GOAL_REACHED },
		{ "available", "{" WANTS_A AT("available", "") "}}", GOAL_REACHED },
		{ "provisioned", "{" WANTS_A AT("provisioned", HAS(IMAGE("b", "1"))) "}}",
		  GOAL_OPEN },
		{ "deleted", "{" AT("available", "") "}}", GOAL_OPEN },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct goal g = { .state = rows[i].goal };
		if (judge(&g, rows[i].host) != rows[i].verdict)
			fail_msg("row %zu: %s", i, rows[i].host);
	}
	assert_true(goal_is_state("provisioned"));
	assert_true(goal_is_state("deleted"));
	assert_false(goal_is_state("Provisioned"));
	assert_int_equal(goal_judge_gone(&(struct goal){ .state = "deleted" }, false),
			 GOAL_REACHED);
	assert_int_equal(goal_judge_gone(&(struct goal){ 0 }, true), GOAL_REACHED);
	assert_int_equal(goal_judge_gone(&(struct goal){ 0 }, false), GOAL_FAILED);
	assert_int_equal(goal_judge_gone(&(struct goal){ .state = "available" }, true),
			 GOAL_FAILED);
}

static void test_errors_end_a_watch(void **state)
{
	(void)state;
	static const char fine[] = "{" AT("inspecting", "") "}}",
			  once[] = "{" AT("inspecting", "") ERROR("1") "}}",
			  twice[] = "{" AT("inspecting", "") ERROR("2") "}}";
	struct goal fresh = { 0 };
	assert_int_equal(judge(&fresh, fine), GOAL_OPEN);
	assert_int_equal(judge(&fresh, once), GOAL_FAILED);
	/* One that stood there before somebody corrected the spec and came to watch. */
	struct goal old = { 0 };
	assert_int_equal(judge(&old, once), GOAL_OPEN);
	assert_int_equal(judge(&old, once), GOAL_OPEN);
	assert_int_equal(judge(&old, twice), GOAL_FAILED);
	struct goal cleared = { 0 };
	assert_int_equal(judge(&cleared, once), GOAL_OPEN);
	assert_int_equal(judge(&cleared, fine), GOAL_OPEN);
	assert_int_equal(judge(&cleared, once), GOAL_FAILED);
	struct goal patient = { .patient = true };
	assert_int_equal(judge(&patient, fine), GOAL_OPEN);
	assert_int_equal(judge(&patient, twice), GOAL_OPEN);
}

static void test_nothing_writes_to_the_terminal(void **state)
{
	(void)state;
	_cleanup_(json_freep) struct json *j = parse(
		"{\"a\":\"x\\u001b[2Jy\",\"b\":[{\"c\":\"1\\n2\\t3\\u007f\"}],\"d\":\"\\u009b1mü\",\"e\":1}");
	hostview_clean(j);
	_cleanup_(freep) char *text = json_to_string(j);
	assert_string_equal(text,
			    "{\"a\":\"x?[2Jy\",\"b\":[{\"c\":\"1 2 3?\"}],\"d\":\"?1mü\",\"e\":1}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_columns),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_units),
		cmocka_unit_test(test_goals),
		cmocka_unit_test(test_errors_end_a_watch),
		cmocka_unit_test(test_nothing_writes_to_the_terminal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
