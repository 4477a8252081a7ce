/* The core schema of YAML 1.2.2, section 10.3.2: one plain scalar a row. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "yaml/scalar.h"
#include "yaml/yaml_json.h"

static void test_resolve(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{ "", "null" },
		{ "~", "null" },
		{ "null", "null" },
		{ "Null", "null" },
		{ "NULL", "null" },
		{ "nULL", "\"nULL\"" },
		{ "true", "true" },
		{ "True", "true" },
		{ "TRUE", "true" },
		{ "tRUE", "\"tRUE\"" },
		{ "false", "false" },
		{ "False", "false" },
		{ "FALSE", "false" },
		{ "yes", "\"yes\"" },
		{ "no", "\"no\"" },
		{ "on", "\"on\"" },
		{ "off", "\"off\"" },
		{ "y", "\"y\"" },
		{ "0", "0" },
		{ "-0", "-0" },
		{ "+12", "12" },
		{ "-19", "-19" },
		{ "007", "7" },
		{ "-00", "-0" },
		{ "0644", "644" },
		{ "9223372036854775808", "9223372036854775808" },
		{ "123456789012345678901234567890", "123456789012345678901234567890" },
		{ "0o17", "15" },
		{ "0o18", "\"0o18\"" },
		{ "0o", "\"0o\"" },
		{ "-0o17", "\"-0o17\"" },
		{ "0x1F", "31" },
		{ "0xffffffffffffffff", "18446744073709551615" },
		{ "0x", "\"0x\"" },
		{ "0xg", "\"0xg\"" },
		{ "-0x1", "\"-0x1\"" },
		{ "0X1F", "\"0X1F\"" },
		{ "0b1", "\"0b1\"" },
		{ "1_000", "\"1_000\"" },
		{ "12:30:00", "\"12:30:00\"" },
		{ "2026-01-02", "\"2026-01-02\"" },
		{ "00:1a:2b:3c:4d:5e", "\"00:1a:2b:3c:4d:5e\"" },
		{ "192.168.0.1", "\"192.168.0.1\"" },
		{ "1.10", "1.10" },
		{ "-1.50", "-1.50" },
		{ "+.5", "0.5" },
		{ "-.5", "-0.5" },
		{ "5.", "5" },
		{ "5.e3", "5e3" },
		{ ".e3", "\".e3\"" },
		{ ".", "\".\"" },
		{ "-", "\"-\"" },
		{ "+", "\"+\"" },
		{ "-.", "\"-.\"" },
		{ "..5", "\"..5\"" },
		{ "1.2.3", "\"1.2.3\"" },
		{ "12e03", "12e03" },
		{ "1E+5", "1E+5" },
		{ "1e-5", "1e-5" },
		{ "1e", "\"1e\"" },
		{ "1e+", "\"1e+\"" },
		{ "1e+-5", "\"1e+-5\"" },
		{ "e5", "\"e5\"" },
		{ "1e5x", "\"1e5x\"" },
		{ "--1", "\"--1\"" },
		{ "+-1", "\"+-1\"" },
		{ "1 2", "\"1 2\"" },
		{ "=", "\"=\"" },
		{ "inf", "\"inf\"" },
		{ "nan", "\"nan\"" },
		{ "+.nan", "\"+.nan\"" },
		{ "a\"b\\c", "\"a\\\"b\\\\c\"" },
		{ "\x01\x1f\n\t\x7f\xc3\xa9", "\"\\u0001\\u001f\\n\\u0009\x7f\xc3\xa9\"" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(strbuf_done) struct strbuf out = { 0 };
		assert_null(scalar_resolve(rows[i][0], &out));
		assert_string_equal(out.data, rows[i][1]);
	}
}

static void test_refused(void **state)
{
	(void)state;
	static const char *const texts[] = {
		".inf",
		".Inf",
		".INF",
		"+.inf",
		"-.inf",
		"-.INF",
		".nan",
		".NaN",
		".NAN",
		"0x10000000000000000",
		"0o7777777777777777777777",
	};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_(strbuf_done) struct strbuf out = { 0 };
		assert_non_null(scalar_resolve(texts[i], &out));
		assert_int_equal(out.len, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_resolve),
		cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
