/* The pure parts: paths, Status decoding, the watcher's error table. */

#include "fake.h"

#include "base/log.h"
#include "kube/path.h"
#include "kube/status.h"
#include "kube/warnings.h"
#include "kube/watch_faults.h"

static void test_paths(void **state)
{
	(void)state;
	const struct {
		const struct kube_resource *r;
		const char *ns, *name, *sub, *path; /* path NULL: refused */
	} rows[] = {
		{ &hosts, "m", "a", NULL,
		  "/apis/metal3.io/v1alpha1/namespaces/m/baremetalhosts/a" },
		{ &hosts, "m", "a", "status",
		  "/apis/metal3.io/v1alpha1/namespaces/m/baremetalhosts/a/status" },
		{ &hosts, NULL, NULL, NULL, "/apis/metal3.io/v1alpha1/baremetalhosts" },
		{ &secrets, "m", NULL, NULL, "/api/v1/namespaces/m/secrets" },
		{ &nodes, NULL, "n", NULL, "/api/v1/nodes/n" },
		{ &nodes, "ignored", "n", NULL, "/api/v1/nodes/n" },
		{ &secrets, "m", "a/../b", NULL, "/api/v1/namespaces/m/secrets/a%2F..%2Fb" },
		{ &secrets, "m", "a b?c=%", NULL, "/api/v1/namespaces/m/secrets/a%20b%3Fc%3D%25" },
		{ &secrets, "m", "..", NULL, NULL },
		{ &secrets, ".", "a", NULL, NULL },
		{ &secrets, "m", "", NULL, NULL },
		{ &secrets, NULL, "a", NULL, NULL },
		{ &secrets, "", NULL, NULL, NULL },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(strbuf_done) struct strbuf b = { 0 };
		struct err err = { 0 };
		int r = kube_path(&b, rows[i].r, rows[i].ns, rows[i].name, rows[i].sub, &err);
		if (rows[i].path)
			assert_string_equal(b.data, rows[i].path);
		else
			assert_int_equal(err.kind, ERR_INVALID);
		assert_int_equal(r == 0, rows[i].path != NULL);
	}
}

static void test_long_names(void **state)
{
	(void)state;
	char name[300];
	memset(name, 'x', sizeof(name));
	name[253] = '\0';
	_cleanup_(strbuf_done) struct strbuf b = { 0 };
	assert_int_equal(kube_path(&b, &secrets, "m", name, NULL, NULL), 0);
	assert_true(str_has_suffix(b.data, name));
	name[253] = 'x';
	name[254] = '\0';
	assert_true(kube_path(&b, &secrets, "m", name, NULL, NULL) < 0);
}

static void test_queries(void **state)
{
	(void)state;
	_cleanup_(strbuf_done) struct strbuf b = { 0 };
	strbuf_adds(&b, "/x");
	kube_query(&b, "a", NULL);
	kube_query(&b, "labelSelector", "k in (a,b),c!=d");
	kube_query(&b, "limit", "5");
	assert_string_equal(b.data, "/x?labelSelector=k%20in%20%28a%2Cb%29%2Cc%21%3Dd&limit=5");
}

static void test_status(void **state)
{
	(void)state;
	static const struct {
		int http;
		const char *body;
		enum err_kind kind;
		const char *text;
	} rows[] = {
		{ 200, NULL, ERR_NONE, "" },
		{ 409, "{\"kind\":\"Status\",\"reason\":\"AlreadyExists\",\"message\":\"m\"}",
		  ERR_EXISTS, "m" },
		{ 409, "{\"kind\":\"Status\",\"reason\":\"Conflict\",\"message\":\"m\"}",
		  ERR_CONFLICT, "m" },
		{ 409, NULL, ERR_CONFLICT, "conflict (HTTP status 409)" },
		{ 410, NULL, ERR_GONE, "gone" },
		{ 0, "{\"kind\":\"Status\",\"reason\":\"Expired\",\"code\":410}", ERR_GONE,
		  "gone" },
		{ 422, NULL, ERR_INVALID, "invalid" },
		{ 401, NULL, ERR_DENIED, "check token" },
		{ 403, "{\"kind\":\"Status\",\"reason\":\"Forbidden\",\"message\":\"no\"}",
		  ERR_DENIED, "no" },
		{ 429, NULL, ERR_BUSY, "too many" },
		{ 503, NULL, ERR_BUSY, "not available" },
		{ 502, NULL, ERR_UNREACHABLE, "proxy" },
		{ 504, "{\"kind\":\"Status\",\"reason\":\"ServerTimeout\",\"message\":\"t\"}",
		  ERR_TIMEOUT, "t" },
		{ 599, NULL, ERR_INTERNAL, "599" },
		{ 302, NULL, ERR_PROTOCOL, "302" },
		/* Not a Status: its words do not count. */
		{ 410, "{\"kind\":\"Other\",\"reason\":\"Conflict\",\"message\":\"m\"}", ERR_GONE,
		  "gone" },
		/* Without a Status it is the path that is not there, not the object. */
		{ 404, NULL, ERR_UNREACHABLE, "has no such path" },
		{ 404, "{\"kind\":\"Other\",\"reason\":\"NotFound\",\"message\":\"m\"}",
		  ERR_UNREACHABLE, "has no such path" },
		/* A reason nobody knows: the code decides. */
		{ 404, "{\"kind\":\"Status\",\"reason\":\"New\",\"message\":\"m\"}", ERR_NOT_FOUND,
		  "m" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(json_freep) struct json *j = NULL;
		struct err err = { 0 };
		if (rows[i].body)
			json_parse(rows[i].body, strlen(rows[i].body), &j, NULL);
		struct kube_status s = kube_status_read(j, rows[i].http, &err);
		assert_int_equal(s.kind, rows[i].kind);
		if (!strstr(err.text, rows[i].text))
			fail_msg("row %zu: \"%s\"", i, err.text);
		if (s.kind != ERR_NONE)
			assert_int_equal(err.code, s.code);
	}
}

static void test_status_details(void **state)
{
	(void)state;
	static const char text[] =
		"{\"kind\":\"Status\",\"code\":504,\"reason\":\"Timeout\",\"details\":{"
		"\"retryAfterSeconds\":3,\"causes\":[{\"reason\":\"ResourceVersionTooLarge\"}]}}";
	_cleanup_(json_freep) struct json *j = NULL;
	json_parse(text, strlen(text), &j, NULL);
	struct kube_status s = kube_status_read(j, 504, NULL);
	assert_true(s.too_large);
	assert_int_equal(s.retry_after_s, 3);
	assert_int_equal(watch_fault_of(&s, false), FAULT_TOO_LARGE);
	assert_int_equal(watch_fault_of(&s, true), FAULT_TOO_LARGE);
}

/* Each row of the table of reference 4.5, and that each fault leads on. */
static void test_fault_table(void **state)
{
	(void)state;
	static const struct {
		struct kube_status status;
		bool event;
		enum watch_fault fault;
	} rows[] = {
		{ { .kind = ERR_GONE, .code = 410 }, false, FAULT_GONE },
		{ { .kind = ERR_GONE, .code = 410 }, true, FAULT_GONE },
		{ { .kind = ERR_BUSY, .code = 429 }, false, FAULT_BUSY },
		{ { .kind = ERR_BUSY, .code = 503 }, false, FAULT_BUSY },
		{ { .kind = ERR_UNREACHABLE, .code = 502 }, false, FAULT_UNREACHABLE },
		{ { .kind = ERR_INTERNAL, .code = 500, .internal = true }, true, FAULT_INTERNAL },
		{ { .kind = ERR_INTERNAL, .code = 500, .internal = true },
		  false,
		  FAULT_UNREACHABLE },
		{ { .kind = ERR_DENIED, .code = 403 }, true, FAULT_EVENT },
		{ { .kind = ERR_DENIED, .code = 401 }, false, FAULT_UNAUTHORIZED },
		{ { .kind = ERR_DENIED, .code = 403 }, false, FAULT_FORBIDDEN },
		{ { .kind = ERR_NOT_FOUND, .code = 404 }, false, FAULT_NO_KIND },
		{ { .kind = ERR_INVALID, .code = 422 }, false, FAULT_REFUSED },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(watch_fault_of(&rows[i].status, rows[i].event), rows[i].fault);
	assert_int_equal(watch_fault_of(NULL, false), FAULT_UNREACHABLE);
	for (enum watch_fault f = 0; f < _FAULT_MAX; f++) {
		const struct watch_fault_info *info = watch_fault_info(f);
		assert_non_null(info->name);
		/* Nothing may repeat at full speed without a fresh start or a quiet reason. */
		if (info->delay == DELAY_NONE)
			assert_true(info->next == NEXT_LIST_FRESH || !info->report);
	}
}

static void test_warnings(void **state)
{
	(void)state;
	static const struct {
		const char *value, *text; /* NULL: none for us */
	} rows[] = {
		{ "299 - \"v1beta1 is old\"", "v1beta1 is old" },
		{ "299 kube \"a \\\"b\\\" \\\\ c\" \"date\"", "a \"b\" \\ c" },
		{ "299 - \"x\ty\", 299 - \"z\"", "x y" },
		{ "199 - \"other\"", NULL },
		{ "299 - \"cut", NULL },
		{ "299 - \"\"", NULL },
		{ "299 -", NULL },
		{ "299", NULL },
		{ "", NULL },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *text = warnings_parse(rows[i].value);
		if (!streq(text, rows[i].text))
			fail_msg("%s: %s", rows[i].value, text ? text : "none");
		free(text);
	}
}

static void count_line(void *data, enum log_level level, const char *line)
{
	(void)level;
	*(unsigned *)data += strstr(line, "the API server warns") != NULL;
}

static void test_warned_once(void **state)
{
	(void)state;
	struct warnings w = { 0 };
	unsigned lines = 0;
	log_set_sink(count_line, &lines);
	for (int i = 0; i < 3; i++)
		warnings_take(&w, "GET", "/x?secret=1", "299 - \"a\"");
	warnings_take(&w, "GET", "/x", "299 - \"b\"");
	assert_int_equal(lines, 2);
	for (int i = 0; i < 1000; i++) {
		char value[32];
		snprintf(value, sizeof(value), "299 - \"%d\"", i);
		warnings_take(&w, "GET", "/x", value);
	}
	assert_true(w.told.count <= 256);
	log_set_sink(NULL, NULL);
	warnings_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),	       cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_queries),	       cmocka_unit_test(test_status),
		cmocka_unit_test(test_status_details), cmocka_unit_test(test_fault_table),
		cmocka_unit_test(test_warnings),       cmocka_unit_test(test_warned_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
