/* The strict parser and the printers. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "unit/json/json_test.h"

/* Printed as they came. */
static void test_round_trip(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"null",
		"true",
		"false",
		"0",
		"-0",
		"0.10",
		"1E+2",
		"1e400",
		"-1.5e-07",
		"9223372036854775807",
		"-9223372036854775808",
		"123456789012345678901234567890.1234567890",
		"\"\"",
		"\"plain\"",
		"\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\"",
		"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\x7f/\"",
		"[]",
		"{}",
		"[[],{},[{}]]",
		"{\"b\":1,\"a\":[1,2,{\"c\":null}],\"\":\"\"}",
		"{\"Key\":1,\"key\":2,\"a.b\":3,\"f:metadata\":{}}",
	};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_(json_freep) struct json *j = tree(texts[i]);
		assert_json(j, texts[i]);
		_cleanup_(json_freep) struct json *copy = json_dup(j);
		assert_json(copy, texts[i]);
		assert_true(json_equal(j, copy));
	}
}

static void test_normalised(void **state)
{
	(void)state;
	static const char *const pairs[][2] = {
		{ " \t\r\n[ 1 , 2 ]\n", "[1,2]" },
		{ "{ \"a\" : { } , \"b\" : [ ] }", "{\"a\":{},\"b\":[]}" },
		{ "\"\\u0041\\/\\u00e9\\u20ac\\ud83d\\ude00\\uDBFF\\uDFFF\"",
		  "\"A/\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf\"" },
		{ "\"\\u003ca\\u003e \\u000a\"", "\"<a> \\n\"" },
		{ "\"long enough for a word of eight, \\n twice \\\\ and more of it\"",
		  "\"long enough for a word of eight, \\n twice \\\\ and more of it\"" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		_cleanup_(json_freep) struct json *j = tree(pairs[i][0]);
		assert_json(j, pairs[i][1]);
	}
}

static void assert_refused(const char *text, size_t len, const char *expected)
{
	/* An exact copy on the heap, so that ASan sees a read beyond the end. */
	_cleanup_(freep) char *copy = xmemdup(text, len);
	struct json *j = (struct json *)&j;
	struct err err = { 0 };
	if (json_parse(copy, len, &j, &err) == 0)
		fail_msg("accepted: %.*s", (int)len, text);
	assert_ptr_equal(j, &j);
	assert_non_null(strstr(err.text, "JSON"));
	if (expected && !strstr(err.text, expected))
		fail_msg("%.*s: %s", (int)len, text, err.text);
	assert_true(json_parse(copy, len, &j, NULL) < 0);
}

static void test_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{ "", "line 1, column 1: expected a JSON value, but the text ends here" },
		{ " \n ", "line 2, column 2" },
		{ "nul", "expected a JSON value" },
		{ "True", "expected a JSON value, but found 'T'" },
		{ "nulls", "expected nothing after the value, but found 's'" },
		{ "1 2", "column 3" },
		{ "{}{}", "nothing after" },
		{ "01", "nothing after" },
		{ "-", "expected a digit" },
		{ "-a", "expected a digit" },
		{ "+1", NULL },
		{ ".5", NULL },
		{ "5.", "after the point" },
		{ "5.e1", "after the point" },
		{ "1e", "exponent" },
		{ "1e+", "exponent" },
		{ "0x10", NULL },
		{ "NaN", NULL },
		{ "Infinity", NULL },
		{ "'a'", NULL },
		{ "\"", "closing quote" },
		{ "\"abc", "closing quote" },
		{ "\"abc\\", "backslash" },
		{ "\"abc\\\"", "closing quote" },
		{ "\"\\x41\"", "backslash" },
		{ "\"\\u12\"", "hexadecimal" },
		{ "\"\\u12", "hexadecimal" },
		{ "\"\\u12G4\"", "found 'G'" },
		{ "\"a\nb\"", "found byte 0x0a" },
		{ "\"a\tb is a tab inside of a long string\"", "found byte 0x09" },
		{ "\"\\n\x01\"", "found byte 0x01" },
		{ "\"\\u0000\"", "\\u0000" },
		{ "\"ab\\u0000cd\"", "column 4: \\u0000" },
		{ "\"\\ud800\"", "surrogate" },
		{ "\"\\ud800\\n\"", "surrogate" },
		{ "\"\\ud800\\ud800\"", "surrogate" },
		{ "\"\\udc00\\ud800\"", "surrogate" },
		{ "\"\\ud800\\u0041\"", "surrogate" },
		{ "\"\\ud800\\u", "hexadecimal" },
		{ "[", "expected a JSON value" },
		{ "[1", "',' or ']'" },
		{ "[1,", "a JSON value" },
		{ "[1,]", "found ']'" },
		{ "[,1]", "found ','" },
		{ "[1 2]", "',' or ']'" },
		{ "[1}", "found '}'" },
		{ "]", NULL },
		{ "{", "a key in quotes" },
		{ "{\"a\"", "':' after a key" },
		{ "{\"a\":", "a JSON value" },
		{ "{\"a\":1", "',' or '}'" },
		{ "{\"a\":1,", "a key in quotes" },
		{ "{\"a\":1,}", "found '}'" },
		{ "{\"a\" 1}", "found '1'" },
		{ "{a:1}", "found 'a'" },
		{ "{1:1}", "found '1'" },
		{ "{\"a\":1]", "found ']'" },
		{ "// no\n1", NULL },
		{ "[1]/**/", "found '/'" },
		{ "\xef\xbb\xbf{}", "found byte 0xef" },
		{ "{\n  \"a\": 1,\n  \"b\": x\n}", "line 3, column 8" },
		{ "{\"\xc3\xa9\xc3\xa9\":\n\"\xc3\xa9\", x", "line 2, column 6" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_refused(rows[i].text, strlen(rows[i].text), rows[i].expected);
	assert_refused("[1]\0", 4, "found byte 0x00");
	assert_refused("\"a\0b\"", 5, "found byte 0x00");
	assert_refused("\0", 1, "found byte 0x00");
}

static void test_utf8(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"\x80",
		"\xbf",
		"\xc0\x80",
		"\xc1\xbf",
		"\xc3",
		"\xc3(",
		"\xe0\x80\x80",
		"\xe0\x9f\xbf",
		"\xe2\x82",
		"\xe2(\xa1",
		"\xed\xa0\x80",
		"\xed\xbf\xbf",
		"\xf0\x80\x80\x80",
		"\xf0\x8f\xbf\xbf",
		"\xf0\x9f\x98",
		"\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80",
		"\xff",
		"\xfe",
		"\xf0\x9f\x98(",
	};
	static const char *const good[] = {
		"\xc2\x80",	    "\xdf\xbf",		"\xe0\xa0\x80",	    "\xed\x9f\xbf",
		"\xee\x80\x80",	    "\xef\xbf\xbf",	"\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
		"12345678\xc3\xa9", "1234567\xc3\xa9z", "\xef\xbb\xbf",
	};
	char text[64];
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int n = snprintf(text, sizeof(text), "[\"0123456789%s\"]", bad[i]);
		assert_refused(text, (size_t)n, "line 1, column 13: bad UTF-8");
		n = snprintf(text, sizeof(text), "\"%s", bad[i]);
		assert_refused(text, (size_t)n, "bad UTF-8");
	}
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		snprintf(text, sizeof(text), "\"%s\"", good[i]);
		_cleanup_(json_freep) struct json *j = tree(text);
		assert_json(j, text);
	}
}

/* Every prefix of a good text is bad, and reads nothing beyond its end. */
static void test_truncated(void **state)
{
	(void)state;
	static const char text[] =
		"{\"a\":[1.5e+3,true,null,\"x\\u00e9\\n\"],\"\xc3\xa9\":{\"b\":-0}}";
	for (size_t len = 0; len < sizeof(text) - 1; len++)
		assert_refused(text, len, NULL);
}

static char *nested(const char *open, const char *close, size_t depth, const char *inner)
{
	struct strbuf out = { 0 };
	for (size_t i = 0; i < depth; i++)
		strbuf_adds(&out, open);
	strbuf_adds(&out, inner);
	for (size_t i = 0; i < depth; i++)
		strbuf_adds(&out, close);
	return strbuf_take(&out, NULL);
}

static void test_depth(void **state)
{
	(void)state;
	static const char *const kinds[][2] = { { "[", "]" }, { "{\"a\":", "}" } };
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		_cleanup_(freep) char *fits = nested(kinds[i][0], kinds[i][1], 64, "1");
		_cleanup_(json_freep) struct json *j = tree(fits);
		assert_json(j, fits);
		_cleanup_(freep) char *deep = nested(kinds[i][0], kinds[i][1], 65, "1");
		assert_refused(deep, strlen(deep), "nested deeper than 64 levels");
		_cleanup_(freep) char *abyss = nested(kinds[i][0], "", 1000000, "");
		struct err err;
		assert_int_equal(json_parse_depth(abyss, strlen(abyss), 1000000, &j, &err), -E2BIG);
		assert_int_equal(err.kind, ERR_LIMIT);
	}
	struct json *j = NULL;
	assert_true(json_parse_depth("[]", 2, 0, &j, NULL) < 0);
	assert_int_equal(json_parse_depth("1", 1, 0, &j, NULL), 0);
	json_free(j);
}

static void test_number_of_values(void **state)
{
	(void)state;
	const struct json_limits limits = { .depth = 9, .values = 4 };
	struct json *j = NULL;
	struct err err;
	assert_int_equal(json_parse_limited("[[],{\"a\":1}]", 12, &limits, &j, &err), 0);
	json_free(j);
	assert_int_equal(json_parse_limited("[[],[],[],[]]", 13, &limits, &j, &err), -E2BIG);
	assert_int_equal(err.kind, ERR_LIMIT);
}

/* Few keys are compared each with each, many are sorted. */
static void test_duplicate_keys(void **state)
{
	(void)state;
	assert_refused("{\"a\":1,\"a\":2}", 13,
		       "line 1, column 8: the key \"a\" stands in this object twice");
	assert_refused("{\"a\":1,\"\\u0061\":2}", 18, "\"a\" stands");
	assert_refused("[{\"b\":{\"\":1,\"\":1}}]", 19, "column 13: the key \"\"");
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	for (size_t count = 2; count < 400; count += count < 20 ? 1 : 97) {
		strbuf_clear(&text);
		for (size_t i = 0; i < count; i++)
			strbuf_addf(&text, "%s\n\"key%zu\":%zu", i ? "," : "{", i, i);
		strbuf_addc(&text, '}');
		_cleanup_(json_freep) struct json *j = tree(text.data);
		assert_int_equal(json_count(j), count);
		text.len--;
		strbuf_addf(&text, ",\n\"key%zu\":0}", count / 2);
		char expected[64];
		snprintf(expected, sizeof(expected), "line %zu, column 1: the key \"key%zu\"",
			 count + 2, count / 2);
		assert_refused(text.data, text.len, expected);
	}
}

/* Not quadratic: 200,000 keys in one object. */
static void test_huge_object(void **state)
{
	(void)state;
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	for (size_t i = 0; i < 200000; i++)
		strbuf_addf(&text, "%s\"%zu\":%zu", i ? "," : "{", i * 7919 % 200000, i);
	strbuf_addc(&text, '}');
	_cleanup_(json_freep) struct json *j = tree(text.data);
	assert_json(j, text.data);
	assert_int_equal(json_count(j), 200000);
	/* The same members in another order: equality must not be quadratic either. */
	strbuf_clear(&text);
	for (size_t i = 200000; i-- > 0;)
		strbuf_addf(&text, "%s\"%zu\":%zu", text.len ? "," : "{", i * 7919 % 200000, i);
	strbuf_addc(&text, '}');
	_cleanup_(json_freep) struct json *other = tree(text.data);
	assert_true(json_equal(j, other));
}

static void test_pretty(void **state)
{
	(void)state;
	_cleanup_(json_freep) struct json *j = tree(
		"{\"a\":[1,{\"b\":\"c\"}],\"d\":{},\"e\":[],\"f\":null}");
	_cleanup_(strbuf_done) struct strbuf out = { 0 };
	json_print_pretty(j, &out);
	assert_string_equal(out.data, "{\n"
				      "  \"a\": [\n"
				      "    1,\n"
				      "    {\n"
				      "      \"b\": \"c\"\n"
				      "    }\n"
				      "  ],\n"
				      "  \"d\": {},\n"
				      "  \"e\": [],\n"
				      "  \"f\": null\n"
				      "}");
	_cleanup_(json_freep) struct json *again = tree(out.data);
	assert_true(json_equal(j, again));
}

/* Of text the same as of the tree, also where a string holds what else would be a mark. */
static void test_indent(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"{\"a\":[1,{\"b\":\"c\"}],\"d\":{},\"e\":[],\"f\":null}",
		"[\"{\\\"[,:]}\\\\\",-1.5e+07,[[],[{}]],\"\"]",
		"\"\\\\\"",
		"{}",
		"true",
	};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_(json_freep) struct json *j = tree(texts[i]);
		_cleanup_(strbuf_done) struct strbuf expected = { 0 }, out = { 0 };
		json_print_pretty(j, &expected);
		json_indent(texts[i], strlen(texts[i]), &out);
		assert_string_equal(out.data, expected.data);
	}
}

static void test_quote(void **state)
{
	(void)state;
	_cleanup_(strbuf_done) struct strbuf out = { 0 };
	json_quote("a\"b\\\n\x1f\xc3\xa9", &out);
	assert_string_equal(out.data, "\"a\\\"b\\\\\\n\\u001f\xc3\xa9\"");
	strbuf_clear(&out);
	json_quote("bad\xff\xc3", &out);
	assert_string_equal(out.data, "\"bad\xef\xbf\xbd\xef\xbf\xbd\"");
	strbuf_clear(&out);
	json_quote(NULL, &out);
	assert_string_equal(out.data, "null");
	strbuf_clear(&out);
	json_print(NULL, &out);
	assert_string_equal(out.data, "null");
}

/* All single bytes below 0x80, in all eight places of the parser's words. */
static void test_every_byte(void **state)
{
	(void)state;
	for (unsigned c = 1; c < 0x80; c++) {
		for (int shift = 0; shift < 9; shift++) {
			char plain[32];
			snprintf(plain, sizeof(plain), "%.*s%c12345678901", shift, "abcdefghi",
				 (int)c);
			_cleanup_(strbuf_done) struct strbuf quoted = { 0 };
			json_quote(plain, &quoted);
			_cleanup_(json_freep) struct json *j = tree(quoted.data);
			assert_string_equal(json_string(j), plain);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),	 cmocka_unit_test(test_normalised),
		cmocka_unit_test(test_refused),		 cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_truncated),	 cmocka_unit_test(test_depth),
		cmocka_unit_test(test_number_of_values), cmocka_unit_test(test_duplicate_keys),
		cmocka_unit_test(test_huge_object),	 cmocka_unit_test(test_pretty),
		cmocka_unit_test(test_indent),		 cmocka_unit_test(test_quote),
		cmocka_unit_test(test_every_byte),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
