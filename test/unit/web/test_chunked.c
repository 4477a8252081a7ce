/* Bodies in chunks: what is taken, what is refused, wherever the network cuts it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macro.h"
#include "base/mem.h"
#include "web/chunked.h"

enum { MAX_BODY = 20, INCOMPLETE = -1 };

/* rest: what follows the body. INCOMPLETE: the end has not come. */
static const struct row {
	const char *text;
	int status;
	const char *body, *rest;
} rows[] = {
	{ "0\r\n\r\n", 0, "", "" },
	{ "5\r\nhello\r\n0\r\n\r\n", 0, "hello", "" },
	{ "5\r\nhello\r\n0\r\n\r\nGET /", 0, "hello", "GET /" },
	{ "5\r\nhello\r\n0\r\n\r\n\r\n", 0, "hello", "\r\n" },
	{ "1\r\na\r\n2\r\nbc\r\n000\r\n\r\n", 0, "abc", "" },
	{ "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", 0, "01234567890123456789", "" },
	{ "0000000000000005\r\nhello\r\n0\r\n\r\n", 0, "hello", "" },
	{ "4\r\n\r\n0\r\r\n0\r\n\r\n", 0, "\r\n0\r", "" },
	/* extensions and trailers are dropped */
	{ "5;a\r\nhello\r\n0;b=\"c;d\"\r\n\r\n", 0, "hello", "" },
	{ "5;\r\nhello\r\n0\r\n\r\n", 0, "hello", "" },
	{ "2\r\nab\r\n0\r\nX-Sum: 1\r\nY:\r\nContent-Length: 9\r\n\r\nz", 0, "ab", "z" },
	/* not whole */
	{ "", INCOMPLETE, "", "" },
	{ "5\r\nhell", INCOMPLETE, "hell", "" },
	{ "5\r\nhello\r\n", INCOMPLETE, "hello", "" },
	{ "5\r\nhello\r\n0\r\n", INCOMPLETE, "hello", "" },
	{ "0\r\nX: 1\r\n", INCOMPLETE, "", "" },
	/* sizes */
	{ "\r\nhello", 400, "", "" },
	{ ";a\r\nhello", 400, "", "" },
	{ "+5\r\nhello\r\n", 400, "", "" },
	{ "-5\r\nhello\r\n", 400, "", "" },
	{ " 5\r\nhello\r\n", 400, "", "" },
	{ "5 \r\nhello\r\n", 400, "", "" },
	{ "5\t;a\r\nhello\r\n", 400, "", "" },
	{ "0x5\r\nhello\r\n", 400, "", "" },
	{ "5h\r\nhello\r\n", 400, "", "" },
	{ "5_0\r\nhello\r\n", 400, "", "" },
	{ "00000000000000005\r\nhello\r\n", 400, "", "" },
	/* a sum of bits that falls off at the top would leave 5 */
	{ "10000000000000005\r\nhello\r\n", 400, "", "" },
	{ "15\r\n", 413, "", "" },
	{ "ffffffffffffffff\r\n", 413, "", "" },
	{ "8000000000000000\r\n", 413, "", "" },
	{ "a\r\n0123456789\r\nb\r\n0123456789", 413, "0123456789", "" },
	/* ends of lines */
	{ "5\nhello\n0\n\n", 400, "", "" },
	{ "5\rhello", 400, "", "" },
	{ "5;a\nhello\r\n", 400, "", "" },
	{ "5;a\rb\r\nhello\r\n", 400, "", "" },
	{ "5;a\x01\r\nhello\r\n", 400, "", "" },
	{ "5\r\nhello0\r\n\r\n", 400, "hello", "" },
	{ "5\r\nhello\n0\r\n\r\n", 400, "hello", "" },
	{ "5\r\nhello\rx", 400, "hello", "" },
	{ "5\r\nhel\r\n0\r\n\r\n", 400, "hel\r\n", "" },
	{ "0\r\n\n", 400, "", "" },
	{ "0\r\n\rx", 400, "", "" },
	/* trailers are fields */
	{ "0\r\nGET / HTTP/1.1\r\n\r\n", 400, "", "" },
	{ "0\r\nX : 1\r\n\r\n", 400, "", "" },
	{ "0\r\n: 1\r\n\r\n", 400, "", "" },
	{ "0\r\nX: 1\r\n folded\r\n\r\n", 400, "", "" },
	{ "0\r\nX: 1\n\r\n", 400, "", "" },
	{ "0\r\nX: 1\ry\r\n\r\n", 400, "", "" },
	{ "0\r\nX: \x7f\r\n\r\n", 400, "", "" },
};

struct taker {
	struct chunked k;
	struct strbuf body;
	size_t used;
	int status;
};

static void feed(struct taker *t, const char *data, size_t len)
{
	size_t used = 0;
	if (!t->status)
		t->status = web_chunked_decode(&t->k, data, len, MAX_BODY, &t->body, &used);
	t->used += used;
}

static void judge(const struct row *row, struct taker *t, size_t cut)
{
	bool whole = t->k.state == CHUNKED_DONE;
	int status = t->status ? t->status : whole ? 0 : INCOMPLETE;
	if (status != row->status)
		fail_msg("%s, cut at %zu: %d, not %d", row->text, cut, status, row->status);
	if (t->body.len != strlen(row->body) ||
	    memcmp(str_or(t->body.data, ""), row->body, t->body.len) != 0)
		fail_msg("%s, cut at %zu: body \"%s\"", row->text, cut, str_or(t->body.data, ""));
	if (whole)
		assert_string_equal(row->text + t->used, row->rest);
	strbuf_done(&t->body);
}

static void cut_at_every_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t len = strlen(rows[i].text);
		for (size_t cut = 0; cut <= len; cut++) {
			struct taker t = { 0 };
			feed(&t, rows[i].text, cut);
			feed(&t, rows[i].text + cut, len - cut);
			judge(&rows[i], &t, cut);
		}
	}
}

static void byte_by_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct taker t = { 0 };
		for (const char *c = rows[i].text; *c; c++)
			feed(&t, c, 1);
		judge(&rows[i], &t, 1);
	}
}

static void nul_is_refused(void **state)
{
	(void)state;
	static const char *const before[] = { "", "5", "5;", "5\r", "1\r\na", "0\r\n", "0\r\nX:" };
	for (size_t i = 0; i < ARRAY_SIZE(before); i++) {
		struct taker t = { 0 };
		feed(&t, before[i], strlen(before[i]));
		assert_int_equal(t.status, 0);
		feed(&t, "", 1);
		assert_int_equal(t.status, 400);
		strbuf_done(&t.body);
	}
}

/* Bytes that are no body: `each` a time, in lines that are short. */
static int excess(const char *before, const char *each, size_t repeat)
{
	struct taker t = { 0 };
	feed(&t, before, strlen(before));
	for (size_t i = 0; i < repeat; i++)
		feed(&t, each, strlen(each));
	strbuf_done(&t.body);
	return t.status;
}

static void what_is_dropped_has_a_limit(void **state)
{
	(void)state;
	assert_int_equal(excess("5;", "x", CHUNKED_EXCESS_MAX), 0);
	assert_int_equal(excess("5;", "x", CHUNKED_EXCESS_MAX + 1), 400);
	assert_int_equal(excess("0\r\n", "x", CHUNKED_EXCESS_MAX), 0);
	assert_int_equal(excess("0\r\n", "x", CHUNKED_EXCESS_MAX + 1), 400);
	assert_int_equal(excess("0\r\nX:", "x", CHUNKED_EXCESS_MAX), 400);
	/* two bytes count of each line: many short lines are no way round it */
	assert_int_equal(excess("0\r\n", "X:y\r\n", CHUNKED_EXCESS_MAX / 2), 0);
	assert_int_equal(excess("0\r\n", "X:y\r\n", CHUNKED_EXCESS_MAX / 2 + 1), 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cut_at_every_byte),
		cmocka_unit_test(byte_by_byte),
		cmocka_unit_test(nul_is_refused),
		cmocka_unit_test(what_is_dropped_has_a_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
