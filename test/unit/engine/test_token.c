/* Tokens of agents, held against values that Python's hmac made. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/macro.h"
#include "engine/token.h"

static const uint8_t secret[32] = {
	0,  1,	2,  3,	4,  5,	6,  7,	8,  9,	10, 11, 12, 13, 14, 15,
	16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
};
static const struct token_key key = { secret, sizeof(secret) };
static const char uid[] = "11111111-1111-4111-8111-111111111111";
static const char nonce[] = "00112233445566778899aabbccddeeff";
static const char numbered[] = "00006955b90100112233445566778899aabbccddeeff"
			       "r4uATa-d4EiaVXWd9s6yhZ2yArUbFF0d_yw0WXk5jkY";
static const char earlier[] = "YuAyDcS04RTq5Jn_4ABDD82o_u-9Atu3JGrvGRaamtg";

static void test_forms(void **state)
{
	char token[TOKEN_TEXT_MAX];
	(void)state;
	token_make(&key, uid, 1767225601, nonce, token);
	assert_string_equal(token, numbered);
	token_make(&key, uid, 0, nonce, token);
	assert_string_equal(token, earlier);
}

static void test_number(void **state)
{
	(void)state;
	assert_int_equal(token_number(&key, uid, numbered), 1767225601);
	assert_int_equal(token_number(&key, "22222222-2222-4222-8222-222222222222", numbered), 0);
	static const uint8_t other[32] = { 1 };
	assert_int_equal(token_number(&(struct token_key){ other, sizeof(other) }, uid, numbered),
			 0);
}

/* Each character counts. */
static void test_changed(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(numbered) - 1; i++) {
		char token[sizeof(numbered)];
		memcpy(token, numbered, sizeof(token));
		token[i] = token[i] == '0' ? '1' : '0';
		assert_int_equal(token_number(&key, uid, token), 0);
		token[i] = '\0';
		assert_int_equal(token_number(&key, uid, token), 0);
	}
}

static void test_other_texts(void **state)
{
	static const char *const texts[] = {
		"",
		"******",
		earlier,
		"00006955B90100112233445566778899aabbccddeeff"
		"r4uATa-d4EiaVXWd9s6yhZ2yArUbFF0d_yw0WXk5jkY",
		"00006955b90100112233445566778899aabbccddeeff"
		"r4uATa-d4EiaVXWd9s6yhZ2yArUbFF0d_yw0WXk5jkYx",
		"zz006955b90100112233445566778899aabbccddeeff"
		"r4uATa-d4EiaVXWd9s6yhZ2yArUbFF0d_yw0WXk5jkY",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(token_number(&key, uid, texts[i]), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_number),
		cmocka_unit_test(test_changed),
		cmocka_unit_test(test_other_texts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
