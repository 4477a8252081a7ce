/* Request heads: what is taken, what is refused and with which status. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "web/http1.h"

static int parse(const char *text, struct http1_head *ret, char **ret_copy)
{
	*ret_copy = xstrdup(text);
	return web_http1_parse(*ret_copy, strlen(text), false, ret);
}

struct row {
	const char *text;
	int status;
};

#define GET "GET / HTTP/1.1\r\nHost: h\r\n"

static const struct row rows[] = {
	{ GET "\r\n", 0 },
	{ "\r\n" GET "\r\n", 0 },
	{ "GET / HTTP/1.0\r\n\r\n", 0 },
	{ "GET / HTTP/1.9\r\nHost:\r\n\r\n", 0 },
	{ "GET http://h/x HTTP/1.1\r\nHost: h\r\n\r\n", 0 },
	{ GET "X:\t a b \t\r\n\r\n", 0 },
	{ GET "X: caf\xc3\xa9\r\n\r\n", 0 },
	/* request line */
	{ "GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505 },
	{ "GET / HTTP/0.9\r\n\r\n", 505 },
	{ "GET / http/1.1\r\nHost: h\r\n\r\n", 400 },
	{ "GET / HTTP/1.10\r\nHost: h\r\n\r\n", 400 },
	{ "GET /\r\n\r\n", 400 },
	{ "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400 },
	{ "GET / x HTTP/1.1\r\nHost: h\r\n\r\n", 400 },
	{ " GET / HTTP/1.1\r\nHost: h\r\n\r\n", 400 },
	{ "G\tT / HTTP/1.1\r\nHost: h\r\n\r\n", 400 },
	{ "GET x HTTP/1.1\r\nHost: h\r\n\r\n", 400 },
	{ "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 400 },
	{ "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", 400 },
	{ "GET http://h?q HTTP/1.1\r\nHost: h\r\n\r\n", 400 },
	{ "GET /a\x7f HTTP/1.1\r\nHost: h\r\n\r\n", 400 },
	{ "GET /caf\xc3\xa9 HTTP/1.1\r\nHost: h\r\n\r\n", 400 },
	{ "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", 400 },
	/* lines */
	{ "GET / HTTP/1.1\nHost: h\r\n\r\n", 400 },
	{ GET "X: a\nY: b\r\n\r\n", 400 },
	{ GET "X: a\rY: b\r\n\r\n", 400 },
	{ GET "X: a\r\n folded\r\n\r\n", 400 },
	{ GET "X : a\r\n\r\n", 400 },
	{ GET ": a\r\n\r\n", 400 },
	{ GET "no colon\r\n\r\n", 400 },
	{ GET "X: \x01\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\n Host: h\r\n\r\n", 400 },
	/* host */
	{ "GET / HTTP/1.1\r\n\r\n", 400 },
	{ GET "Host: other\r\n\r\n", 400 },
	/* framing */
	{ GET "Content-Length: 5\r\n\r\n", 0 },
	{ GET "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400 },
	{ GET "Content-Length: 5\r\ncontent-length: 5\r\n\r\n", 400 },
	{ GET "Content-Length: 5, 5\r\n\r\n", 400 },
	{ GET "Content-Length: +5\r\n\r\n", 400 },
	{ GET "Content-Length: -5\r\n\r\n", 400 },
	{ GET "Content-Length: 0x5\r\n\r\n", 400 },
	{ GET "Content-Length:\r\n\r\n", 400 },
	{ GET "Content-Length: 99999999999999999999\r\n\r\n", 400 },
	{ GET "Transfer-Encoding: chunked\r\n\r\n", 411 },
	{ GET "transfer-encoding: identity\r\n\r\n", 411 },
	{ GET "Transfer-Encoding:\r\n\r\n", 411 },
	{ GET "Transfer-Encoding : chunked\r\n\r\n", 400 },
	{ GET "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 411 },
	/* what decides rights and meaning, once */
	{ GET "Authorization: a\r\nAuthorization: b\r\n\r\n", 400 },
	{ GET "Range: bytes=0-1\r\nRange: bytes=2-3\r\n\r\n", 400 },
	{ GET "Accept: a\r\nAccept: b\r\n\r\n", 0 },
	{ GET "Expect: 100-Continue\r\n\r\n", 0 },
	{ GET "Expect: 200-ok\r\n\r\n", 417 },
};

static void statuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct http1_head head;
		char *copy;
		int status = parse(rows[i].text, &head, &copy);
		free(copy);
		if (status != rows[i].status)
			fail_msg("%s: %d, not %d", rows[i].text, status, rows[i].status);
	}
}

/* Where chunks are taken: one word, said once, alone. */
static const struct row codings[] = {
	{ GET "Transfer-Encoding: chunked\r\n\r\n", 0 },
	{ GET "transfer-encoding:\tChunked \r\n\r\n", 0 },
	{ GET "Transfer-Encoding:\r\n\r\n", 400 },
	{ GET "Transfer-Encoding: identity\r\n\r\n", 400 },
	{ GET "Transfer-Encoding: gzip, chunked\r\n\r\n", 400 },
	{ GET "Transfer-Encoding: chunked, chunked\r\n\r\n", 400 },
	{ GET "Transfer-Encoding: chunked,\r\n\r\n", 400 },
	{ GET "Transfer-Encoding: chunked;q=1\r\n\r\n", 400 },
	{ GET "Transfer-Encoding: \"chunked\"\r\n\r\n", 400 },
	{ GET "Transfer-Encoding: xchunked\r\n\r\n", 400 },
	{ GET "Transfer-Encoding: \x0b"
	      "chunked\r\n\r\n",
	  400 },
	{ GET "Transfer-Encoding : chunked\r\n\r\n", 400 },
	{ GET "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
	{ GET "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", 400 },
	{ GET "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
	{ GET "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400 },
	{ GET "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", 400 },
	{ "GET / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
};

static void transfer_codings(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(codings); i++) {
		struct http1_head head;
		_cleanup_(freep) char *copy = xstrdup(codings[i].text);
		int status = web_http1_parse(copy, strlen(copy), true, &head);
		if (status != codings[i].status)
			fail_msg("%s: %d, not %d", codings[i].text, status, codings[i].status);
		if (status == 0)
			assert_true(head.chunked && head.content_length == 0);
	}
	struct http1_head head;
	_cleanup_(freep) char *plain = xstrdup(GET "\r\n");
	assert_int_equal(web_http1_parse(plain, strlen(plain), true, &head), 0);
	assert_false(head.chunked);
}

static void nul_is_refused(void **state)
{
	(void)state;
	char text[] = "GET / HTTP/1.1\r\nHost: h\0x\r\n\r\n";
	struct http1_head head;
	assert_int_equal(web_http1_parse(text, sizeof(text) - 1, false, &head), 400);
}

static void fields(void **state)
{
	(void)state;
	struct http1_head h;
	char *copy;
	assert_int_equal(
		parse("PATCH /a%2Fb//c/../d+e?x=a+b;c%26d&y HTTP/1.1\r\nHOST: h:1\r\n"
		      "X-Some:  v w \t\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\n",
		      &h, &copy),
		0);
	assert_string_equal(h.method, "PATCH");
	assert_string_equal(h.path, "/a%2Fb//c/../d+e");
	assert_string_equal(h.query, "x=a+b;c%26d&y");
	assert_string_equal(web_http1_header(&h, "host"), "h:1");
	assert_string_equal(web_http1_header(&h, "x-some"), "v w");
	assert_null(web_http1_header(&h, "x-other"));
	assert_int_equal(h.content_length, 12);
	assert_true(h.keep_alive);
	assert_true(h.expect_continue);
	free(copy);
}

static bool keeps_alive(const char *text)
{
	struct http1_head h;
	char *copy;
	assert_int_equal(parse(text, &h, &copy), 0);
	free(copy);
	return h.keep_alive;
}

static void keep_alive(void **state)
{
	(void)state;
	assert_true(keeps_alive(GET "\r\n"));
	assert_true(keeps_alive(GET "Connection: keep-alive\r\n\r\n"));
	assert_false(keeps_alive(GET "Connection: Close\r\n\r\n"));
	assert_false(keeps_alive(GET "Connection: TE, close\r\n\r\n"));
	assert_false(keeps_alive(GET "Connection: TE\r\nConnection: , close ,\r\n\r\n"));
	assert_true(keeps_alive(GET "Connection: closed\r\n\r\n"));
	assert_false(keeps_alive("GET / HTTP/1.0\r\n\r\n"));
}

static void lengths(void **state)
{
	(void)state;
	static const char text[] = "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\nrest";
	size_t head = sizeof(text) - 1 - 4, scanned = 0;
	/* Byte by byte, as a slow client sends. */
	for (size_t n = 0; n < head; n++)
		assert_int_equal(web_http1_head_length(text, n, &scanned), 0);
	assert_int_equal(web_http1_head_length(text, head, &scanned), head);
	scanned = 0;
	assert_int_equal(web_http1_head_length(text, sizeof(text) - 1, &scanned), head);
	assert_int_equal(web_http1_too_long(text, sizeof(text) - 1), 431);
	assert_int_equal(web_http1_too_long("GET /aaaa", 9), 414);
}

static void too_many_headers(void **state)
{
	(void)state;
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	strbuf_adds(&text, GET);
	for (int i = 0; i < HTTP1_HEADERS_MAX; i++)
		strbuf_addf(&text, "X-%d: y\r\n", i);
	strbuf_adds(&text, "\r\n");
	struct http1_head head;
	assert_int_equal(web_http1_parse(text.data, text.len, false, &head), 431);
}

static void query(void **state)
{
	(void)state;
	static const struct {
		const char *query, *name, *value;
	} q[] = {
		{ "a=1&b=2", "b", "2" },
		{ "a=1&a=2", "a", "1" },
		{ "watch", "watch", "" },
		{ "watch=", "watch", "" },
		{ "labelSelector=x%3Dy%2Cz+w", "labelSelector", "x=y,z w" },
		{ "a%20b=c", "a b", "c" },
		{ "=x&a=y", "a", "y" },
		{ "&&a=y&", "a", "y" },
		{ "a==", "a", "=" },
		{ "", "a", NULL },
		{ "ab=1", "a", NULL },
		{ "a=%", "a", NULL },
		{ "a=%4", "a", NULL },
		{ "a=%zz", "a", NULL },
		{ "a=%00", "a", NULL },
	};
	for (size_t i = 0; i < ARRAY_SIZE(q); i++) {
		_cleanup_(freep) char *value = web_http1_query_param(q[i].query, q[i].name);
		if (!streq(value, q[i].value))
			fail_msg("%s: %s", q[i].query, value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(statuses), cmocka_unit_test(nul_is_refused),
		cmocka_unit_test(fields),   cmocka_unit_test(keep_alive),
		cmocka_unit_test(lengths),  cmocka_unit_test(too_many_headers),
		cmocka_unit_test(query),    cmocka_unit_test(transfer_codings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
