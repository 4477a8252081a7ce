/* Bodies in chunks, on a listener that takes them. */

#include "unit/web/rig.h"

#define GET(path)     "GET " path " HTTP/1.1\r\nHost: h\r\n"
#define CHUNKED(path) "POST " path " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"

static void ask_status(const struct rig *rig, const char *request, int status)
{
	_cleanup_(answer_done) struct answer a = ask(rig, request);
	if (a.status != status)
		fail_msg("%.60s: %d, not %d", request, a.status, status);
}

static int setup(void **state)
{
	struct rig *rig = rig_new();
	struct err err = { 0 };
	const struct web_route routes[] = {
		{ "/", rig->loop, handle_echo, rig, BODY_MAX, 0, NULL },
		{ "/small", rig->loop, handle_echo, rig, 10, 0, NULL },
		{ "/none", rig->loop, handle_echo, rig, 0, 0, NULL },
		{ "/hold", rig->loop, handle_hold, rig, 100, 0, NULL },
		{ NULL },
	};
	const struct web_server_options options = {
		.name = "test", .address = "127.0.0.1", .routes = routes, .chunked = true
	};
	if (web_server_open(rig->web, &options, &rig->server, &err) < 0)
		fail_msg("%s", err.text);
	*state = rig;
	return 0;
}

static void expect_body(const struct answer *a, const char *path, const char *body)
{
	_cleanup_(freep) char *want = xasprintf("POST %s [", path);
	_cleanup_(freep) char *end = xasprintf("len=%zu\n%s", strlen(body), body);
	assert_int_equal(a->status, 200);
	assert_true(str_has_prefix(a->body.data, want));
	assert_true(str_has_suffix(a->body.data, end));
}

/* What follows a chunked body is the next request, with either kind of length. */
static void bodies(void **state)
{
	static const char text[] =
		CHUNKED("/a") "\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nT: 1\r\n\r\n" CHUNKED(
			"/b") "\r\n0\r\n\r\n"
			      "POST /c HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" CHUNKED(
				      "/d") "\r\n1\r\nd\r\n0\r\n\r\n";
	static const struct {
		const char *path, *body;
	} wanted[] = { { "/a", "hello" }, { "/b", "" }, { "/c", "abc" }, { "/d", "d" } };
	const int on = 1;
	for (int trickle = 0; trickle < 2; trickle++) {
		_cleanup_(strbuf_done) struct strbuf in = { 0 };
		int fd = dial(*state);
		setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof(on));
		size_t piece = trickle ? 1 : sizeof(text) - 1;
		for (size_t i = 0; i < sizeof(text) - 1; i += piece)
			say_bytes(fd, text + i, piece);
		for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
			_cleanup_(answer_done) struct answer a = hear(fd, &in);
			expect_body(&a, wanted[i].path, wanted[i].body);
		}
		assert_int_equal(in.len, 0);
		close(fd);
	}
}

static void megabyte(void **state)
{
	enum { PIECES = 1024, PIECE = 1024 };
	_cleanup_(strbuf_done) struct strbuf in = { 0 }, out = { 0 };
	strbuf_adds(&out, CHUNKED("/big") "\r\n");
	for (int i = 0; i < PIECES; i++)
		strbuf_addf(&out, "400\r\n%01024d\r\n", i);
	strbuf_adds(&out, "0\r\n\r\n");
	int fd = dial(*state);
	say_bytes(fd, out.data, out.len);
	_cleanup_(answer_done) struct answer a = hear(fd, &in);
	assert_int_equal(a.status, 200);
	const char *echo = strchr(a.body.data, '\n') + 1;
	assert_int_equal(a.body.len - (size_t)(echo - a.body.data), PIECES * PIECE);
	for (int i = 0; i < PIECES; i++) {
		int got = -1;
		assert_int_equal(sscanf(echo + (size_t)i * PIECE + PIECE - 4, "%4d", &got), 1);
		assert_int_equal(got, i);
	}
	close(fd);
}

static void expect_continue(void **state)
{
	_cleanup_(strbuf_done) struct strbuf in = { 0 };
	int fd = dial(*state);
	say(fd, CHUNKED("/x") "Expect: 100-continue\r\n\r\n");
	_cleanup_(answer_done) struct answer a = hear(fd, &in);
	assert_int_equal(a.status, 100);
	say(fd, "5\r\nhello\r\n0\r\n\r\n");
	_cleanup_(answer_done) struct answer b = hear(fd, &in);
	expect_body(&b, "/x", "hello");
	close(fd);
}

/* Whatever is refused ends the connection: what follows is not taken for a request. */
static void refusals(void **state)
{
	static const struct {
		const char *text;
		int status;
	} refused[] = {
		{ CHUNKED("/") "Content-Length: 4\r\n\r\n0\r\n\r\n", 400 },
		{ CHUNKED("/") "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 },
		{ "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", 400 },
		{ "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 },
		{ CHUNKED("/") "\r\n5\r\nhello0\r\n\r\n", 400 },
		{ CHUNKED("/") "\r\n5\nhello\n0\n\n", 400 },
		{ CHUNKED("/") "\r\n0\r\nno field\r\n\r\n", 400 },
		{ CHUNKED("/small") "\r\nb\r\n01234567890\r\n0\r\n\r\n", 413 },
		{ CHUNKED("/small") "\r\n6\r\n012345\r\n5\r\n67890\r\n0\r\n\r\n", 413 },
		{ CHUNKED("/small") "Expect: 100-continue\r\n\r\nb\r\n", 413 },
		{ CHUNKED("/none") "\r\n1\r\n0\r\n0\r\n\r\n", 413 },
	};
	struct rig *rig = *state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		_cleanup_(strbuf_done) struct strbuf in = { 0 };
		int fd = dial(rig);
		say(fd, refused[i].text);
		say(fd, GET("/smuggled") "\r\n");
		_cleanup_(answer_done) struct answer a = hear(fd, &in);
		if (a.status != refused[i].status)
			fail_msg("%s: %d", refused[i].text, a.status);
		assert_string_equal(answer_header(&a, "Connection"), "close");
		expect_end(fd, &in);
		assert_int_equal(in.len, 0);
		close(fd);
	}
	assert_int_equal(rig->handled, 0);
	ask_status(rig, CHUNKED("/small") "\r\n6\r\n012345\r\n4\r\n6789\r\n0\r\n\r\n", 200);
	ask_status(rig, CHUNKED("/none") "\r\n0\r\n\r\n", 200);
}

/* The limit that all bodies share holds for these, and is given back. */
static void share_the_limit(void **state)
{
	static const char request[] = CHUNKED(
		"/hold") "\r\n3c\r\n"
			 "012345678901234567890123456789012345678901234567890123456789\r\n0\r\n\r\n";
	struct rig *rig = *state;
	_cleanup_(strbuf_done) struct strbuf in = { 0 };
	rig->web->pools[POOL_HELD].max = 100;
	int fd = dial(rig);
	for (int i = 0; i < 2; i++) {
		say(fd, request);
		rig_wait(&rig->held);
		ask_status(rig, request, 503);
		ask_status(rig, request, 503);
		web_reply(rig->request, &text_ok, "ok", 2);
		_cleanup_(answer_done) struct answer a = hear(fd, &in);
		assert_int_equal(a.status, 200);
	}
	close(fd);
}

static void stands_still(void **state)
{
	web_conn_divide_timeouts(150);
	ask_status(*state, CHUNKED("/") "\r\n5\r\nhel", 408);
	ask_status(*state, CHUNKED("/") "\r\n0\r\nX: ", 408);
	web_conn_divide_timeouts(1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(bodies, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(megabyte, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(expect_continue, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(refusals, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(share_the_limit, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(stands_still, setup, rig_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
