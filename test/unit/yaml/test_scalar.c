/* One plain scalar a row. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "yaml/scalar.h"
#include "yaml/yaml_json.h"

/* What sigs.k8s.io/yaml 1.6.0 makes of each. */
static const char *const resolved[][2] = {
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
	{ "yes", "true" },
	{ "no", "false" },
	{ "on", "true" },
	{ "off", "false" },
	{ "y", "true" },
	{ "0", "0" },
	{ "-0", "0" },
	{ "+12", "12" },
	{ "-19", "-19" },
	{ "007", "7" },
	{ "-00", "0" },
	{ "0644", "420" },
	{ "9223372036854775808", "9223372036854775808" },
	{ "123456789012345678901234567890", "123456789012345678901234567890" },
	{ "0o17", "15" },
	{ "0o18", "\"0o18\"" },
	{ "0o", "\"0o\"" },
	{ "-0o17", "-15" },
	{ "0x1F", "31" },
	{ "0xffffffffffffffff", "18446744073709551615" },
	{ "0x", "\"0x\"" },
	{ "0xg", "\"0xg\"" },
	{ "-0x1", "-1" },
	{ "0X1F", "31" },
	{ "0b1", "1" },
	{ "1_000", "1000" },
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
	{ "Y", "true" },
	{ "Yes", "true" },
	{ "YES", "true" },
	{ "n", "false" },
	{ "N", "false" },
	{ "No", "false" },
	{ "NO", "false" },
	{ "On", "true" },
	{ "ON", "true" },
	{ "Off", "false" },
	{ "OFF", "false" },
	{ "yEs", "\"yEs\"" },
	{ "oN", "\"oN\"" },
	{ "+0", "0" },
	{ "00", "0" },
	{ "08", "8" },
	{ "09", "9" },
	{ "0777", "511" },
	{ "-0777", "-511" },
	{ "+0777", "511" },
	{ "0O17", "15" },
	{ "0X1f", "31" },
	{ "-0x1F", "-31" },
	{ "+0x1", "1" },
	{ "0b101", "5" },
	{ "0B11", "3" },
	{ "-0b11", "-3" },
	{ "0b-1", "-1" },
	{ "0b+1", "1" },
	{ "0b2", "\"0b2\"" },
	{ "0_7", "7" },
	{ "1__0", "10" },
	{ "_1", "\"_1\"" },
	{ "1_", "1" },
	{ "0x_F", "15" },
	{ "190:20:30", "\"190:20:30\"" },
	{ "2026-01-02T03:04:05Z", "\"2026-01-02T03:04:05Z\"" },
	{ ".5_0", "0.50" },
	{ "1.5_0", "1.50" },
	{ "1_0.5", "10.5" },
	{ "._5", "\"._5\"" },
	{ "1e999", "\"1e999\"" },
	{ "-1e999", "\"-1e999\"" },
	{ "9223372036854775807", "9223372036854775807" },
	{ "18446744073709551615", "18446744073709551615" },
	{ "18446744073709551616", "18446744073709551616" },
	{ "+9223372036854775808", "9223372036854775808" },
	{ "-9223372036854775808", "-9223372036854775808" },
	{ "-9223372036854775809", "-9223372036854775809" },
	{ "01777777777777777777777", "18446744073709551615" },
	{ "02000000000000000000000", "2000000000000000000000" },
	{ "52:54:00:12:34:56", "\"52:54:00:12:34:56\"" },
	{ "0x1p3", "\"0x1p3\"" },
	{ "0x10000000000000000", "\"0x10000000000000000\"" },
	{ "0o7777777777777777777777", "\"0o7777777777777777777777\"" },
	{ "\x01\x1f\n\t\x7f\xc3\xa9", "\"\\u0001\\u001f\\n\\u0009\x7f\xc3\xa9\"" },
};

static void test_resolve(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(resolved); i++) {
		_cleanup_(strbuf_done) struct strbuf out = { 0 };
		assert_null(scalar_resolve(resolved[i][0], &out));
		assert_string_equal(out.data, resolved[i][1]);
	}
}

static void test_keys(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{ "on", "\"true\"" },
		{ "n", "\"false\"" },
		{ "0x10", "\"16\"" },
		{ "010", "\"8\"" },
		{ "name", "\"name\"" },
		{ "1_0", "\"10\"" },
		{ "2026-01-02", "\"2026-01-02\"" },
	};
	static const char *const refused[] = { "", "~", "null", ".nan", "1.5", "1e3", "08" };
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(strbuf_done) struct strbuf out = { 0 };
		assert_null(scalar_resolve_key(rows[i][0], &out));
		assert_string_equal(out.data, rows[i][1]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		_cleanup_(strbuf_done) struct strbuf out = { 0 };
		assert_non_null(scalar_resolve_key(refused[i], &out));
		assert_int_equal(out.len, 0);
	}
}

static void test_refused(void **state)
{
	(void)state;
	static const char *const texts[] = {
		".inf", ".Inf", ".INF", "+.inf", "-.inf", "-.INF", ".nan", ".NaN", ".NAN",
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
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
