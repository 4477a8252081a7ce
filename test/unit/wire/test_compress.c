/* compress.h against its own inverse, and against what it must not take: other samples, cut and
 * foreign bytes. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "wire/compress.h"

static const char sample[] = "{\"kind\":\"BareMetalHost\",\"metadata\":{\"name\":\"host-0\"}}";
static const char text[] = "{\"kind\":\"BareMetalHost\",\"metadata\":{\"name\":\"rack-17\"}}";

static size_t check_round(const char *with, const void *data, size_t len)
{
	size_t packed_len = 0;
	_cleanup_(freep) void *packed = compress_with_sample(with, data, len, &packed_len);
	_cleanup_(freep) char *out = xcalloc(len + 1, 1);
	assert_int_equal(decompress_with_sample(with, packed, packed_len, out, len), 0);
	assert_memory_equal(out, data, len);
	return packed_len;
}

static void test_round(void **state)
{
	(void)state;
	size_t alone = check_round(NULL, text, strlen(text));
	size_t with = check_round(sample, text, strlen(text));
	assert_true(with < alone / 2);
	check_round(NULL, "", 0);
	check_round(sample, "", 0);
}

/* Longer than the window, and nothing that could be packed. */
static void test_large(void **state)
{
	(void)state;
	enum { SIZE = 100000 };
	_cleanup_(freep) uint8_t *noise = xmalloc(SIZE);
	uint32_t x = 1;
	for (size_t i = 0; i < SIZE; i++)
		noise[i] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
	check_round(sample, noise, SIZE);
	memset(noise, 'a', SIZE);
	assert_true(check_round(sample, noise, SIZE) < SIZE / 100);
}

static void test_long_sample(void **state)
{
	(void)state;
	char *longer = xmalloc(3 * COMPRESS_SAMPLE_MAX);
	memset(longer, 'x', 3 * COMPRESS_SAMPLE_MAX - 1);
	longer[3 * COMPRESS_SAMPLE_MAX - 1] = '\0';
	check_round(longer, text, strlen(text));
	freep(&longer);
}

static void test_damage(void **state)
{
	(void)state;
	char out[sizeof(text) + 8];
	size_t len = strlen(text), packed_len = 0;
	_cleanup_(freep) uint8_t *packed = compress_with_sample(sample, text, len, &packed_len);
	for (size_t n = 0; n < packed_len; n++)
		assert_int_equal(decompress_with_sample(sample, packed, n, out, len), -EINVAL);
	assert_int_equal(decompress_with_sample(sample, packed, packed_len, out, len - 1), -EINVAL);
	assert_int_equal(decompress_with_sample(sample, packed, packed_len, out, len + 1), -EINVAL);
	/* Without its sample it refers to bytes that are not there. */
	assert_int_equal(decompress_with_sample(NULL, packed, packed_len, out, len), -EINVAL);
	packed[0] = 0x07; /* a block of the reserved type */
	assert_int_equal(decompress_with_sample(sample, packed, packed_len, out, len), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_long_sample),
		cmocka_unit_test(test_damage),
	};
	return cmocka_run_group_tests_name("compress", tests, NULL, NULL);
}
