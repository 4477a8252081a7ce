/* SipHash-2-4 against the vectors of its authors' reference implementation (vectors.h): key 00 01
 * .. 0f, texts 00 01 .. of growing length. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/siphash.h"

static void test_vectors(void **state)
{
	(void)state;
	static const struct siphash_key key = { UINT64_C(0x0706050403020100),
						UINT64_C(0x0f0e0d0c0b0a0908) };
	static const struct {
		size_t len;
		uint64_t hash;
	} rows[] = {
		{ 0, UINT64_C(0x726fdb47dd0e0e31) }, { 1, UINT64_C(0x74f839c593dc67fd) },
		{ 2, UINT64_C(0x0d6c8009d9a94f5a) }, { 3, UINT64_C(0x85676696d7fb7e2d) },
		{ 7, UINT64_C(0xab0200f58b01d137) }, { 8, UINT64_C(0x93f5f5799a932462) },
		{ 9, UINT64_C(0x9e0082df0ba9e4b0) }, { 15, UINT64_C(0xa129ca6149be45e5) },
	};
	uint8_t text[16];
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_true(siphash(key, text, rows[i].len) == rows[i].hash);
	assert_true(siphash((struct siphash_key){ 1, 2 }, text, 8) != siphash(key, text, 8));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_vectors) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
