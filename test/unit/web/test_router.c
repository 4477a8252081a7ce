/* The router: which patterns fit which paths, and what becomes of a request, over real connections.
 */

#include "web/router.h"

#include "unit/web/rig.h"

/* --- patterns --------------------------------------------------------------------------------- */

static bool fits(const char *pattern, const char *path, struct web_params *ret)
{
	*ret = (struct web_params){ 0 };
	return web_pattern_fits(pattern, path, strlen(path), ret);
}

static void test_patterns_that_fit(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *path, *name, *value;
	} rows[] = {
		{ "/", "/", NULL, NULL },
		{ "/v1", "/v1", NULL, NULL },
		{ "/v1[/]", "/v1", NULL, NULL },
		{ "/v1[/]", "/v1/", NULL, NULL },
		{ "[/v1]/commands", "/commands", NULL, NULL },
		{ "[/v1]/commands", "/v1/commands", NULL, NULL },
		{ "[/v1]/{name}", "/v1", "name", "v1" },
		{ "[/v1]/{name}", "/v1/v1", "name", "v1" },
		{ "[/a]/{x}[/]", "/a/", "x", "a" },
		{ "/commands/{id}", "/commands/1-2", "id", "1-2" },
		{ "/b/{id}/log", "/b/7/log", "id", "7" },
		{ "/validate-{kind}", "/validate-host", "kind", "host" },
		{ "/ramdisk/{path...}", "/ramdisk/virt/vmlinuz", "path", "virt/vmlinuz" },
		{ "/ramdisk/{path...}", "/ramdisk/", "path", "" },
		{ "/{rest...}", "/", "rest", "" },
		{ "/{a}/{b...}", "/x/y/z", "b", "y/z" },
		{ "/{a}/{b...}", "/x/y/z", "a", "x" },
		{ "/x/{a}", "/x/%2f", "a", "%2f" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct web_params params;
		assert_true(web_pattern_sound(rows[i].pattern));
		if (!fits(rows[i].pattern, rows[i].path, &params))
			fail_msg("%s does not fit %s", rows[i].pattern, rows[i].path);
		if (!rows[i].name)
			continue;
		_cleanup_(freep) char *value = web_param(&params, rows[i].name);
		assert_string_equal(value, rows[i].value);
		assert_null(web_param(&params, "nosuch"));
	}
}

static void test_patterns_that_do_not_fit(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *path;
	} rows[] = {
		{ "/", "//" },
		{ "/", "/x" },
		{ "/v1", "/v1/" },
		{ "/v1", "/v1x" },
		{ "/v1", "/V1" },
		{ "/v1[/]", "/v1//" },
		{ "[/v1]/commands", "/v1/v1/commands" },
		{ "[/v1]/commands", "/v1" },
		{ "/commands/{id}", "/commands/" },
		{ "/commands/{id}", "/commands" },
		{ "/commands/{id}", "/commands/1/2" },
		{ "/commands/{id}", "/commands//1" },
		{ "/b/{id}/log", "/b/7/logs" },
		{ "/b/{id}/log", "/b//log" },
		{ "/ramdisk/{path...}", "/ramdisk" },
		{ "/a%2fb", "/a/b" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct web_params params = { .count = 99 };
		const char *path = rows[i].path;
		if (web_pattern_fits(rows[i].pattern, path, strlen(path), &params))
			fail_msg("%s fits %s", rows[i].pattern, path);
		assert_int_equal(params.count, 99);
	}
}

/* What an optional text that led nowhere had taken is forgotten. */
static void test_parameters_of_one_way_only(void **state)
{
	(void)state;
	struct web_params params;
	assert_true(fits("[/a]/{x}[/b]/{y}", "/a/b", &params));
	assert_int_equal(params.count, 2);
	_cleanup_(freep) char *x = web_param(&params, "x"), *y = web_param(&params, "y");
	assert_string_equal(x, "a");
	assert_string_equal(y, "b");
}

static void test_sound_patterns(void **state)
{
	(void)state;
	static const char *const sound[] = {
		"/",	     "/a",     "[/v1]/a[/]", "/{a}", "/{a}/{b}/{c}/{d}",
		"/{a_b}[/]", "/x-{a}", "/{rest...}"
	};
	static const char *const unsound[] = {
		"",
		"a",
		"{a}",
		"/{a",
		"/{}",
		"/{...}",
		"/{a...}/b",
		"/{a}b",
		"/{a}{b}",
		"/{A}",
		"/[",
		"/[]",
		"/[a",
		"/[{a}]",
		"/[[a]]",
		"/]",
		"/}",
		"/{a}[b]",
		"/{a..}",
		"/{a....}",
		"/{a}.iso/{x}",
		"/[a][b][c]",
		"/{a}/{b}/{c}/{d}/{e}",
	};
	for (size_t i = 0; i < ARRAY_SIZE(sound); i++)
		if (!web_pattern_sound(sound[i]))
			fail_msg("refused: %s", sound[i]);
	for (size_t i = 0; i < ARRAY_SIZE(unsound); i++)
		if (web_pattern_sound(unsound[i]))
			fail_msg("taken: %s", unsound[i]);
}

/* --- tables ----------------------------------------------------------------------------------- */

static void noop(void *data, struct web_request *r, const struct web_match *match)
{
	(void)data, (void)r, (void)match;
}

static void no_refusal(void *data, struct web_request *r, int status, const char *allow)
{
	(void)data, (void)r, (void)status, (void)allow;
}

static bool sound(const struct web_row *rows)
{
	return web_router_sound(&(struct web_router){ .rows = rows, .refuse = no_refusal });
}

static void test_sound_tables(void **state)
{
	(void)state;
	const struct web_row good[] = { { WEB_READ, "/a", noop, 0, NULL },
					{ WEB_POST, "/a", noop, 0, NULL },
					{ WEB_READ, "/b", noop, 0, NULL },
					{ 0 } };
	const struct web_row apart[] = { { WEB_READ, "/a", noop, 0, NULL },
					 { WEB_READ, "/b", noop, 0, NULL },
					 { WEB_POST, "/a", noop, 0, NULL },
					 { 0 } };
	const struct web_row twice[] = { { WEB_READ, "/a", noop, 0, NULL },
					 { WEB_HEAD, "/a", noop, 0, NULL },
					 { 0 } };
	const struct web_row broken[] = { { WEB_READ, "/{a", noop, 0, NULL }, { 0 } };
	const struct web_row methodless[] = { { 0, "/a", noop, 0, NULL }, { 0 } };
	const struct web_row handlerless[] = { { WEB_READ, "/a", NULL, 0, NULL }, { 0 } };
	const struct web_row empty[] = { { 0 } };
	assert_true(sound(good));
	assert_false(sound(apart));
	assert_false(sound(twice));
	assert_false(sound(broken));
	assert_false(sound(methodless));
	assert_false(sound(handlerless));
	assert_false(sound(empty));
	assert_false(web_router_sound(&(struct web_router){ .rows = good }));
}

/* --- requests --------------------------------------------------------------------------------- */

static void reply(struct web_request *r, int status, const char *const *headers, const char *text)
{
	web_reply(r, &(struct web_reply_head){ .status = status, .headers = headers }, text,
		  strlen(text));
}

static void show(void *data, struct web_request *r, const struct web_match *match)
{
	_cleanup_(freep) char *id = web_param(&match->params, "id");
	_cleanup_(freep) char *text = xasprintf("%s %s %s", match->row->pattern,
						(const char *)match->row->arg, str_or(id, "-"));
	(void)data;
	reply(r, 200, NULL, text);
}

static bool begin(void *data, struct web_request *r)
{
	(void)data;
	if (!web_header(r, "x-busy"))
		return true;
	reply(r, 503, NULL, "busy");
	return false;
}

static bool admit(void *data, struct web_request *r, const struct web_row *row)
{
	(void)data;
	if (row->role == 0 || web_header(r, "authorization"))
		return true;
	reply(r, 401, NULL, "who?");
	return false;
}

static void refuse(void *data, struct web_request *r, int status, const char *allow)
{
	const char *const headers[] = { allow, NULL };
	(void)data;
	reply(r, status, headers, status == 404 ? "nothing" : "not so");
}

static const struct web_row rows[] = {
	{ WEB_READ, "/", show, 0, "root" },
	{ WEB_READ, "[/v1]/things", show, 0, "list" },
	{ WEB_POST, "[/v1]/things", show, 1, "create" },
	{ WEB_READ, "[/v1]/things/{id}", show, 1, "read" },
	{ WEB_PUT | WEB_DELETE, "[/v1]/things/{id}", show, 1, "write" },
	{ WEB_GET, "/once", show, 0, "once" },
	{ 0 },
};

static const struct web_router router = {
	.rows = rows, .trim_slashes = true, .begin = begin, .admit = admit, .refuse = refuse
};

static void handle(void *data, struct web_request *r)
{
	web_router_run(&router, data, r);
}

static int setup(void **state)
{
	struct rig *rig = rig_new();
	struct err err = { 0 };
	const struct web_route routes[] = { { .prefix = "/", .loop = rig->loop, .handler = handle },
					    { .prefix = NULL } };
	const struct web_server_options options = { .address = "127.0.0.1", .routes = routes };
	if (web_server_open(rig->web, &options, &rig->server, &err) < 0)
		fail_msg("%s", err.text);
	*state = rig;
	return 0;
}

static void test_requests(void **state)
{
	static const struct {
		const char *line, *header;
		int status;
		const char *has, *body;
	} cases[] = {
		{ "GET / HTTP/1.1", "", 200, "", "/ root -" },
		{ "GET // HTTP/1.1", "", 200, "", "/ root -" },
		{ "GET /?id=1 HTTP/1.1", "", 200, "", "/ root -" },
		{ "HEAD / HTTP/1.1", "", 200, "Content-Length: 8\r\n", "" },
		{ "GET /things HTTP/1.1", "", 200, "", "[/v1]/things list -" },
		{ "GET /v1/things// HTTP/1.1", "", 200, "", "[/v1]/things list -" },
		{ "POST /v1/things HTTP/1.1", "", 401, "", "who?" },
		{ "POST /v1/things HTTP/1.1", "Authorization: x\r\n", 200, "",
		  "[/v1]/things create -" },
		{ "DELETE /things/7/ HTTP/1.1", "Authorization: x\r\n", 200, "",
		  "[/v1]/things/{id} write 7" },
		{ "GET /things/7 HTTP/1.1", "Authorization: x\r\n", 200, "",
		  "[/v1]/things/{id} read 7" },
		/* The method is wrong for whoever asks. */
		{ "POST /things/7 HTTP/1.1", "", 405, "\r\nAllow: GET, HEAD, PUT, DELETE\r\n",
		  "not so" },
		{ "PATCH /things HTTP/1.1", "", 405, "\r\nAllow: GET, HEAD, POST\r\n", "not so" },
		{ "HEAD /once HTTP/1.1", "", 405, "\r\nAllow: GET\r\n", "" },
		{ "BREW /once HTTP/1.1", "", 405, "\r\nAllow: GET\r\n", "not so" },
		{ "get /once HTTP/1.1", "", 405, "\r\nAllow: GET\r\n", "not so" },
		{ "GET /things/7/8 HTTP/1.1", "", 404, "", "nothing" },
		{ "POST /nowhere HTTP/1.1", "", 404, "", "nothing" },
		{ "POST /nowhere HTTP/1.1", "X-Busy: 1\r\n", 503, "", "busy" },
	};
	struct rig *rig = *state;
	assert_true(web_router_sound(&router));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(freep) char *request = xasprintf(
			"%s\r\nHost: h\r\nConnection: close\r\n%s\r\n", cases[i].line,
			cases[i].header);
		struct answer a = ask(rig, request);
		if (a.status != cases[i].status || !strstr(a.head, cases[i].has) ||
		    !streq(str_or(a.body.data, ""), cases[i].body))
			fail_msg("%s: %s%s", cases[i].line, str_or(a.head, "no answer"),
				 str_or(a.body.data, ""));
		answer_done(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_patterns_that_fit),
		cmocka_unit_test(test_patterns_that_do_not_fit),
		cmocka_unit_test(test_parameters_of_one_way_only),
		cmocka_unit_test(test_sound_patterns),
		cmocka_unit_test(test_sound_tables),
		cmocka_unit_test_setup_teardown(test_requests, setup, rig_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
