/* Strings, numbers, the growable buffer, base64 and hex. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/redact.h"
#include "base/str.h"

static void test_compare(void **state)
{
	(void)state;
	assert_true(streq(NULL, NULL));
	assert_false(streq(NULL, ""));
	assert_true(str_has_prefix("ipmi://x", "ipmi:"));
	assert_true(str_has_suffix("a.iso", ".iso"));
	assert_false(str_has_suffix("iso", ".iso"));
	assert_string_equal(str_or("", "x"), "x");
	assert_true(str_equal_secret("abc", "abc"));
	assert_false(str_equal_secret("abc", "abcd"));
	assert_false(str_equal_secret("abc", ""));
	assert_false(str_equal_secret("", "abc"));
	assert_false(str_equal_secret(NULL, "abc"));
}

static void test_numbers(void **state)
{
	(void)state;
	uint64_t u = 7;
	int64_t i = 7;
	assert_int_equal(parse_u64("18446744073709551615", UINT64_MAX, &u), 0);
	assert_true(u == UINT64_MAX);
	assert_int_equal(parse_u64("18446744073709551616", UINT64_MAX, &u), -ERANGE);
	assert_int_equal(parse_u64("65536", 65535, &u), -ERANGE);
	assert_int_equal(parse_u64("9", 5, &u), -ERANGE);
	static const char *const bad[] = { "", "-1", "+1", " 1", "1 ", "0x1", "1.0", NULL };
	for (size_t n = 0; n < ARRAY_SIZE(bad); n++)
		assert_int_equal(parse_u64(bad[n], UINT64_MAX, &u), -EINVAL);
	assert_true(u == UINT64_MAX); /* untouched by failures */
	assert_int_equal(parse_i64("-9223372036854775808", &i), 0);
	assert_true(i == INT64_MIN);
	assert_int_equal(parse_i64("9223372036854775808", &i), -ERANGE);
	assert_int_equal(parse_i64("-", &i), -EINVAL);
}

static void test_strbuf(void **state)
{
	(void)state;
	_cleanup_(strbuf_done) struct strbuf b = { 0 };
	strbuf_adds(&b, "abc");
	strbuf_addf(&b, "%d-%s", 42, "x");
	strbuf_addc(&b, '!');
	assert_string_equal(b.data, "abc42-x!");
	strbuf_consume(&b, 3);
	assert_string_equal(b.data, "42-x!");
	strbuf_consume(&b, 99);
	assert_int_equal(b.len, 0);
	for (int n = 0; n < 1000; n++)
		strbuf_addf(&b, "%03d", n);
	assert_int_equal(b.len, 3000);
	size_t len;
	char *s = strbuf_take(&b, &len);
	assert_int_equal(len, 3000);
	assert_null(b.data);
	free(s);
	strbuf_add_urlencoded(&b, "a b/ü~");
	assert_string_equal(b.data, "a%20b%2F%C3%BC~");
}

static void test_base64(void **state)
{
	(void)state;
	static const char *const rows[][3] = {
		{ "", "", "" },
		{ "f", "Zg==", "Zg" },
		{ "fo", "Zm8=", "Zm8" },
		{ "foo", "Zm9v", "Zm9v" },
		{ "foob", "Zm9vYg==", "Zm9vYg" },
	};
	for (size_t n = 0; n < ARRAY_SIZE(rows); n++) {
		char *e = base64_encode(rows[n][0], strlen(rows[n][0]));
		char *u = base64url_encode(rows[n][0], strlen(rows[n][0]));
		assert_string_equal(e, rows[n][1]);
		assert_string_equal(u, rows[n][2]);
		void *d;
		size_t len;
		assert_int_equal(base64_decode(e, strlen(e), &d, &len), 0);
		assert_int_equal(len, strlen(rows[n][0]));
		assert_memory_equal(d, rows[n][0], len);
		free(d), free(e), free(u);
	}
	char *url = base64url_encode("\xfb\xff", 2);
	assert_string_equal(url, "-_8");
	free(url);
}

static void test_base64_refusals(void **state)
{
	(void)state;
	void *d = NULL;
	size_t len;
	static const char *const bad[] = { "Zg", "Zg=", "Zg=a", "Z===", "Zm9v*", "====" };
	for (size_t n = 0; n < ARRAY_SIZE(bad); n++)
		assert_int_equal(base64_decode(bad[n], strlen(bad[n]), &d, &len), -EINVAL);
	assert_int_equal(base64_decode("Zm\n9v \r\n", 8, &d, &len), 0);
	assert_string_equal(d, "foo");
	free(d);
}

static void test_hex(void **state)
{
	(void)state;
	char out[9];
	uint8_t back[4];
	hex_encode("\x00\xff\x1a\x80", 4, out);
	assert_string_equal(out, "00ff1a80");
	assert_int_equal(hex_decode("00FF1a80", back, 4), 0);
	assert_memory_equal(back, "\x00\xff\x1a\x80", 4);
	assert_int_equal(hex_decode("00ff1a8", back, 4), -EINVAL);
	assert_int_equal(hex_decode("00ff1a800", back, 4), -EINVAL);
	assert_int_equal(hex_decode("00ff1a8g", back, 4), -EINVAL);
}

static void test_redact_urls(void **state)
{
	(void)state;
	static const struct {
		const char *from, *to;
	} rows[] = {
		{ "", "" },
		{ "no URL: a@b?c", "no URL: a@b?c" },
		{ "http://h/x", "http://h/x" },
		{ "http://u:p@h:1/x", "http://h:1/x" },
		{ "http://u:p@q@h", "http://h" },
		{ "GET \"https://u@h/x?sig=1&b=2\": 404", "GET \"https://h/x?...\": 404" },
		{ "url: http://h/x?s=1, checksum: aa", "url: http://h/x?... checksum: aa" },
		{ "http://h?s http://u@g/#f z", "http://h?... http://g/?... z" },
		{ "http://h/a@b", "http://h/a@b" },
		{ "://", "://" },
		{ "://u@", "://" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(freep) char *got = redact_urls(rows[i].from);
		assert_string_equal(got, rows[i].to);
	}
}

static void test_redact_url(void **state)
{
	static const char *const rows[][2] = {
		{ "http://h/a", "http://h/a" },
		{ "http://tom:a b\"c@h:8/a@b?x=\"y z#w", "http://h:8/a@b?..." },
		{ "http://a@b@h/", "http://h/" },
		{ "aaaa", "aaaa" },
		{ "", "" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(freep) char *got = redact_url(rows[i][0]);
		_cleanup_(freep) char *again = redact_url(got);
		assert_string_equal(got, rows[i][1]);
		assert_string_equal(again, got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compare),		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_strbuf),		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_base64_refusals), cmocka_unit_test(test_hex),
		cmocka_unit_test(test_redact_urls),	cmocka_unit_test(test_redact_url),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
