/* The splitter: every text is cut at every byte, and the values must be the same. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "unit/json/json_test.h"
#include "json/stream.h"

/* What came out: each value and a newline; the rest after a '#'. */
struct sink {
	struct strbuf out;
	size_t count, stop_at;
	struct json_stream *free_me;
};

static int on_value(void *data, const char *text, size_t len)
{
	struct sink *sink = data;
	strbuf_add(&sink->out, text, len);
	strbuf_addc(&sink->out, '\n');
	if (++sink->count != sink->stop_at)
		return 0;
	json_stream_free(sink->free_me);
	return 77;
}

static int on_rest(void *data, const char *text, size_t len)
{
	struct sink *sink = data;
	strbuf_addc(&sink->out, '#');
	strbuf_add(&sink->out, text, len);
	return 0;
}

/* A chunk on the heap of just its size, so that ASan sees a read beyond its end. */
static int feed(struct json_stream *s, const char *text, size_t len)
{
	_cleanup_(freep) char *chunk = xmemdup(text, len);
	return json_stream_feed(s, chunk, len);
}

static struct json_stream *make(bool list, size_t max_bytes, struct sink *sink)
{
	return list ? json_stream_new_list("items", max_bytes, on_value, on_rest, sink)
		    : json_stream_new(max_bytes, on_value, sink);
}

/* In pieces of `step` bytes after a first one of `first`. */
static int run(bool list, size_t max_bytes, const char *text, size_t first, size_t step,
	       struct sink *sink, bool *ret_idle)
{
	struct json_stream *s = make(list, max_bytes, sink);
	size_t len = strlen(text), at = MIN(first, len);
	int r = feed(s, text, at);
	while (r == 0 && at < len) {
		size_t n = MIN(step, len - at);
		r = feed(s, text + at, n);
		at += n;
	}
	*ret_idle = json_stream_idle(s);
	if (r != 0)
		assert_int_equal(feed(s, " ", 1), -EBADMSG);
	json_stream_free(s);
	return r;
}

static void assert_run(bool list, size_t max_bytes, const char *text, int expected_r,
		       const char *expected, bool expected_idle)
{
	size_t len = strlen(text);
	for (size_t first = 0; first <= len; first++) {
		for (size_t step = 1; step <= len + 1; step += step < 3 ? 1 : len) {
			struct sink sink = { 0 };
			bool idle;
			int r = run(list, max_bytes, text, first, step, &sink, &idle);
			if (r != expected_r)
				fail_msg("%s at %zu: %d", text, first, r);
			if (r == 0)
				assert_true(idle == expected_idle);
			if (expected)
				assert_string_equal(str_or(sink.out.data, ""), expected);
			strbuf_done(&sink.out);
		}
	}
}

static void test_values(void **state)
{
	(void)state;
	static const struct {
		const char *text, *expected;
		bool idle;
	} rows[] = {
		{ "", "", true },
		{ " \r\n\t", "", true },
		{ "{}", "{}\n", true },
		{ "{}{}", "{}\n{}\n", true },
		{ "{\"a\":1}\n{\"b\":[2,{}]}\n", "{\"a\":1}\n{\"b\":[2,{}]}\n", true },
		{ "{\"a\":\"}\\\"{\\\\\"} [\"]\"]", "{\"a\":\"}\\\"{\\\\\"}\n[\"]\"]\n", true },
		{ "\"s\" \"\\\"\"", "\"s\"\n\"\\\"\"\n", true },
		{ "1 -2.5e+3 true null ", "1\n-2.5e+3\ntrue\nnull\n", true },
		{ "1{}2[]false\"x\"", "1\n{}\n2\n[]\nfalse\n\"x\"\n", true },
		{ "{} 12", "{}\n", false },
		{ "{} {\"a\"", "{}\n", false },
		{ "\"abc", "", false },
		{ "{ \"a\" : [ 1 , 2 ] }", "{ \"a\" : [ 1 , 2 ] }\n", true },
		{ "{\"\xc3\xa9\xf0\x9f\x98\x80 and some more text\":1}",
		  "{\"\xc3\xa9\xf0\x9f\x98\x80 and some more text\":1}\n", true },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_run(false, 1000, rows[i].text, 0, rows[i].expected, rows[i].idle);
}

static void test_bad_values(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"}",	  "]",	   ",",	  ":",	      "x",	    "{}x", "[}",
		"{]",	  "{[}]",  "1,2", "\"a\nb\"", "[\"\x01\"]", "+1",  "\xef\xbb\xbf{}",
		"{} ]{}", "[1}  ",
	};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_run(false, 1000, texts[i], -EBADMSG, NULL, false);
}

static void test_limits(void **state)
{
	(void)state;
	assert_run(false, 5, "[1,2][3,4]", 0, "[1,2]\n[3,4]\n", true);
	assert_run(false, 5, "[1,2][3,45]", -E2BIG, "[1,2]\n", false);
	assert_run(false, 5, "\"123\"\"1234\"", -E2BIG, "\"123\"\n", false);
	assert_run(false, 5, "12345 123456 ", -E2BIG, "12345\n", false);
	assert_run(true, 20, "{\"items\":[11,22,\"333333333333\"]}", 0,
		   "11\n22\n\"333333333333\"\n#{\"items\":[]}", true);
	assert_run(true, 20, "{\"m\":\"123456789\",\"items\":[]}", -E2BIG, "", false);
	assert_run(true, 20, "{\"items\":[\"3333333333333333333\"]}", -E2BIG, "", false);
	char deep[2 * 65 + 1] = { 0 };
	memset(deep, '[', 64);
	memset(deep + 64, ']', 64);
	struct sink sink = { 0 };
	bool idle;
	assert_int_equal(run(false, 1000, deep, 0, 1, &sink, &idle), 0);
	memset(deep, '[', 65);
	assert_int_equal(run(false, 1000, deep, 0, 1, &sink, &idle), -E2BIG);
	strbuf_done(&sink.out);
}

static void test_lists(void **state)
{
	(void)state;
	static const struct {
		const char *text, *expected;
		bool idle;
	} rows[] = {
		{ "", "", true },
		{ "{}", "#{}", true },
		{ "{\"items\":[]}", "#{\"items\":[]}", true },
		{ "{\"items\":[{\"a\":1},{\"b\":2}]}", "{\"a\":1}\n{\"b\":2}\n#{\"items\":[]}",
		  true },
		{ "{ \"kind\" : \"L\" , \"metadata\" : {\"items\":[1]} , \"items\" : [ {} , [1] , \"x\" "
		  ", 12 , null ] , \"z\" : 0 }  \n",
		  "{}\n[1]\n\"x\"\n12\nnull\n#{\"kind\":\"L\",\"metadata\":{\"items\":[1]},\"items\":[],"
		  "\"z\":0}",
		  true },
		{ "{\"items\":null}", "#{\"items\":null}", true },
		{ "{\"items\":{\"a\":[1]}}", "#{\"items\":{\"a\":[1]}}", true },
		{ "{\"x\":[1,2],\"Items\":[3]}", "#{\"x\":[1,2],\"Items\":[3]}", true },
		{ "{\"x\":\"items\",\"items\":[1]}", "1\n#{\"x\":\"items\",\"items\":[]}", true },
		{ "{\"items\":[1,", "1\n", false },
		{ "{\"items\":[1]", "1\n", false },
		{ "{", "", false },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_run(true, 1000, rows[i].text, 0, rows[i].expected, rows[i].idle);
}

static void test_bad_lists(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"[]",
		"1",
		"{,}",
		"{1:2}",
		"{\"a\" 1}",
		"{\"a\":1 2}",
		"{\"a\":1,}",
		"{\"a\":1]",
		"{\"items\":[,]}",
		"{\"items\":[1,]}",
		"{\"items\":[1 2]}",
		"{\"items\":[1}}",
		"{\"items\":[1]]",
		"{\"items\":[1],\"items\":[2]}",
		"{\"items\":[]}x",
		"{}{}",
	};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_run(true, 1000, texts[i], -EBADMSG, NULL, false);
}

static void test_no_rest(void **state)
{
	(void)state;
	struct sink sink = { 0 };
	struct json_stream *s = json_stream_new_list("pods", 100, on_value, NULL, &sink);
	assert_int_equal(feed(s, "{\"pods\":[1]}", 12), 0);
	assert_string_equal(sink.out.data, "1\n");
	json_stream_free(s);
	strbuf_done(&sink.out);
	assert_null(json_stream_free(NULL));
}

static void test_stop(void **state)
{
	(void)state;
	for (size_t step = 1; step < 12; step++) {
		for (int list = 0; list < 2; list++) {
			const char *text = list ? "{\"items\":[1,2,3]}" : "[1][2][3]";
			struct sink sink = { .stop_at = 2 };
			bool idle;
			assert_int_equal(run(list, 100, text, 0, step, &sink, &idle), 77);
			assert_int_equal(sink.count, 2);
			strbuf_done(&sink.out);
		}
	}
}

/* A receiver may free the stream if it stops it. */
static void test_freed_inside(void **state)
{
	(void)state;
	for (int list = 0; list < 2; list++) {
		struct sink sink = { .stop_at = 1 };
		sink.free_me = make(list, 100, &sink);
		assert_int_equal(feed(sink.free_me, "{\"items\":[1", 11), 0);
		assert_int_equal(feed(sink.free_me, "]}[2]", 5), 77);
		strbuf_done(&sink.out);
	}
}

/* A big list in small pieces: each item alone, the memory bounded. */
static void test_big_list(void **state)
{
	(void)state;
	struct sink sink = { 0 };
	struct json_stream *s = make(true, 200, &sink);
	_cleanup_(strbuf_done) struct strbuf text = { 0 }, expected = { 0 };
	strbuf_adds(&text, "{\"apiVersion\":\"v1\",\"items\":[");
	for (int i = 0; i < 20000; i++) {
		strbuf_addf(&text, "%s{\"n\":%d,\"s\":\"]}\\\"\"}", i ? ", " : "", i);
		strbuf_addf(&expected, "{\"n\":%d,\"s\":\"]}\\\"\"}\n", i);
	}
	strbuf_adds(&text, "],\"metadata\":{}}");
	strbuf_adds(&expected, "#{\"apiVersion\":\"v1\",\"items\":[],\"metadata\":{}}");
	for (size_t at = 0; at < text.len; at += 997)
		assert_int_equal(feed(s, text.data + at, MIN(text.len - at, (size_t)997)), 0);
	assert_string_equal(sink.out.data, expected.data);
	assert_true(json_stream_idle(s));
	json_stream_free(s);
	strbuf_done(&sink.out);
}

/* One large value in tiny pieces, twice: the buffer of the first is given back. */
static void test_large_value(void **state)
{
	(void)state;
	struct sink sink = { 0 };
	struct json_stream *s = make(false, 300000, &sink);
	_cleanup_(freep) char *value = xmalloc(200002);
	memset(value, 'x', 200002);
	value[0] = value[200001] = '"';
	for (int round = 0; round < 2; round++)
		for (size_t at = 0; at < 200002; at += 7)
			assert_int_equal(feed(s, value + at, MIN((size_t)200002 - at, (size_t)7)),
					 0);
	assert_int_equal(sink.count, 2);
	assert_int_equal(sink.out.len, 2 * 200003);
	json_stream_free(s);
	strbuf_done(&sink.out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),	  cmocka_unit_test(test_bad_values),
		cmocka_unit_test(test_limits),	  cmocka_unit_test(test_lists),
		cmocka_unit_test(test_bad_lists), cmocka_unit_test(test_no_rest),
		cmocka_unit_test(test_stop),	  cmocka_unit_test(test_freed_inside),
		cmocka_unit_test(test_big_list),  cmocka_unit_test(test_large_value),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
