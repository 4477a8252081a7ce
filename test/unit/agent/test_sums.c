/* Checksum rules: literal forms, sums files of all styles, what is refused. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/disk/format.h"
#include "agent/disk/sums.h"
#include "base/mem.h"
#include "base/str.h"

#define MD5    "0123456789abcdef0123456789abcdef"
#define SHA256 MD5 MD5
#define SHA512 SHA256 SHA256
#define OTHER  "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

static void test_styles(void **state)
{
	(void)state;
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{ SHA256, SHA256 },
		{ "  " SHA256 "\n", SHA256 },
		{ SHA256 "  image.raw\n", SHA256 },
		{ SHA256 " *image.raw\r\n", SHA256 },
		{ SHA256 "\timage.raw", SHA256 },
		{ SHA256 "  ./image.raw\n", SHA256 },
		{ SHA512 "  other\n" MD5 "  image.raw\n", MD5 },
		{ "SHA256 (image.raw) = " SHA256 "\n", SHA256 },
		{ "SHA512 (other) = " SHA512 "\nSHA512 (image.raw) = " SHA512 "\n", SHA512 },
		{ "# image.raw: 1 byte\n# " SHA256 "  image.raw\n" MD5 "  image.raw\n", MD5 },
		{ "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nSHA256 (image.raw) = " SHA256,
		  SHA256 },
		{ SHA256 "  image.raw.xz\n", NULL },
		{ SHA256 "  other\n", NULL },
		{ "hello  image.raw\n", NULL },
		{ "SHA256 (image.raw) " SHA256 "\n", NULL },
		{ "sha512 (image.raw) = " SHA512 "\n", SHA512 },
		/* Other digests of the same length. */
		{ "BLAKE2b (image.raw) = " SHA512 "\n", NULL },
		{ "SM3 (image.raw) = " SHA256 "\nSHA256 (image.raw) = " OTHER "\n", OTHER },
		{ "SHA512-256 (image.raw) = " SHA256 "\n", NULL },
		{ "SHA256 (image.raw) = " SHA512 "\n", NULL },
		{ "SHA256 image.raw) = " SHA256 "\n", NULL },
		{ "", NULL },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct disk_sums_found f;
		disk_sums_find(rows[i].text, "image.raw", &f);
		const char *found = f.hex[DIGEST_SHA512]   ? f.hex[DIGEST_SHA512]
				    : f.hex[DIGEST_SHA256] ? f.hex[DIGEST_SHA256]
							   : f.hex[DIGEST_MD5];
		assert_string_equal(str_or(found, "(none)"), str_or(rows[i].expected, "(none)"));
		disk_sums_found_done(&f);
	}
}

static void test_literals(void **state)
{
	(void)state;
	static const struct {
		struct disk_sum_spec spec;
		enum digest digest;
		const char *says; /* NULL: accepted */
	} rows[] = {
		{ { .checksum = SHA256 }, DIGEST_SHA256, NULL },
		{ { .checksum = SHA512 }, DIGEST_SHA512, NULL },
		{ { .checksum = MD5, .allow_md5 = true }, DIGEST_MD5, NULL },
		{ { .checksum = MD5 }, 0, "md5 checksums are switched off" },
		{ { .os_hash_algo = "SHA256", .os_hash_value = SHA256 }, DIGEST_SHA256, NULL },
		{ { .os_hash_algo = "sha512", .os_hash_value = SHA512, .checksum = MD5 },
		  DIGEST_SHA512,
		  NULL },
		{ { .os_hash_algo = "sha512", .os_hash_value = SHA256 }, 0, "not a sha512" },
		{ { .os_hash_algo = "sha1", .os_hash_value = SHA256 }, 0, "not supported" },
		{ { .os_hash_algo = "whirlpool", .os_hash_value = SHA256 }, 0, "not supported" },
		{ { .os_hash_algo = "md5", .os_hash_value = MD5 }, 0, "switched off" },
		{ { .os_hash_algo = "sha256" }, 0, "no checksum" },
		/* Half a pair, as older engines send it beside a checksum. */
		{ { .os_hash_algo = "sha256", .checksum = SHA256 }, DIGEST_SHA256, NULL },
		{ { .os_hash_algo = "sha256", .checksum = SHA512 }, 0, "not a sha256" },
		{ { .os_hash_algo = "sha256", .checksum = MD5, .allow_md5 = true },
		  0,
		  "not a sha256" },
		{ { .os_hash_value = SHA256 }, 0, "without os_hash_algo" },
		{ { .os_hash_value = SHA256, .checksum = SHA256 }, 0, "without os_hash_algo" },
		{ { .checksum = "" }, 0, "no checksum" },
		{ { .checksum = "abc" }, 0, "has 3 characters" },
		{ { .checksum = MD5 "ghijklmnghijklmnghijklmnghijklmn" }, 0, "not in hex digits" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct disk_sum sum = { 0 };
		struct err err = { 0 };
		int r = disk_sum_resolve(&rows[i].spec, NULL, "image.raw", &sum, &err);
		if (!rows[i].says) {
			assert_int_equal(r, 0);
			assert_int_equal(sum.digest, rows[i].digest);
		} else if (r == 0 || !strstr(err.text, rows[i].says)) {
			fail_msg("row %zu: %s", i, err.text);
		}
	}
}

static void test_files(void **state)
{
	(void)state;
	struct disk_sum_spec spec = { .checksum = "https://h/SUMS" };
	struct disk_sum sum;
	struct err err = { 0 };
	assert_string_equal(disk_sum_url(&spec), "https://h/SUMS");
	assert_int_equal(disk_sum_resolve(&spec, SHA512 "  i\n", "i", &sum, NULL), 0);
	assert_int_equal(sum.digest, DIGEST_SHA512);
	assert_true(disk_sum_resolve(&spec, SHA512 "  i\n", "j", &sum, &err) < 0);
	assert_non_null(strstr(err.text, "no line for \"j\""));
	spec = (struct disk_sum_spec){ .os_hash_algo = "sha256", .os_hash_value = SHA256 };
	assert_null(disk_sum_url(&spec));
}

/* What Flatcar, and many older mirrors, publish: several kinds for one name, the weakest first. */
static const char several[] = "# MD5 HASH\n" MD5 "  base.raw\n"
			      "# SHA1 HASH\n72493bbb752ad0e81ff0c59ddb2976de7bc1a361  base.raw\n"
			      "# SHA512 HASH\n" SHA512 "  base.raw\n";

static void test_declared_type_in_a_file(void **state)
{
	(void)state;
	static const struct {
		const char *algo, *text, *expected, *says;
		bool md5;
	} rows[] = {
		{ NULL, several, SHA512, NULL, false },
		{ NULL, several, SHA512, NULL, true },
		{ "sha512", several, SHA512, NULL, true },
		{ "md5", several, MD5, NULL, true },
		{ "md5", several, NULL, "switched off", false },
		{ "sha256", several, NULL, "no sha256 for \"base.raw\", only md5 and sha512",
		  true },
		{ "sha1", several, NULL, "not supported", true },
		{ "sha256", "SHA512 (base.raw) = " SHA512 "\nSHA256 (base.raw) = " OTHER "\n",
		  OTHER, NULL, false },
		{ NULL, "SHA256 (base.raw) = " OTHER "\nSHA512 (base.raw) = " SHA512 "\n", SHA512,
		  NULL, false },
		{ "sha256", SHA512, NULL, "no sha256", false },
		{ "sha256", MD5, NULL, "no sha256", true },
		{ "sha512", "hello", NULL, "no line", true },
		{ NULL, MD5 "  base.raw\n", NULL, "switched off", false },
	};
	for (size_t i = 0; i < 2 * ARRAY_SIZE(rows); i++) {
		size_t n = i / 2;
		struct disk_sum_spec spec = { .os_hash_algo = rows[n].algo,
					      .checksum = "http://h/DIGESTS",
					      .allow_md5 = rows[n].md5 };
		/* As the pair, and as half of it. */
		if (i % 2 && rows[n].algo)
			spec.os_hash_value = "HTTPS://h/DIGESTS";
		struct disk_sum sum = { 0 };
		struct err err = { 0 };
		assert_non_null(disk_sum_url(&spec));
		int r = disk_sum_resolve(&spec, rows[n].text, "base.raw", &sum, &err);
		if (rows[n].expected && r == 0)
			assert_string_equal(sum.hex, rows[n].expected);
		else if (rows[n].expected || r == 0 || !strstr(err.text, rows[n].says))
			fail_msg("row %zu: %s", n, err.text);
	}
}

static void test_urls(void **state)
{
	(void)state;
	static const struct {
		const char *url, *name, *shown;
	} rows[] = {
		{ "http://h/a/b.raw", "b.raw", "http://h/a/b.raw" },
		{ "http://u:p@h/b.raw?token=x#f", "b.raw", "http://h/b.raw" },
		{ "http://h", "h", "http://h" },
		{ "http://h/?q=/x", "", "http://h/" },
		{ "http://h/a@b", "a@b", "http://h/a@b" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *name = disk_url_name(rows[i].url), *shown = disk_url_shown(rows[i].url);
		assert_string_equal(name, rows[i].name);
		assert_string_equal(shown, rows[i].shown);
		free(name);
		free(shown);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_styles), cmocka_unit_test(test_literals),
		cmocka_unit_test(test_files),  cmocka_unit_test(test_declared_type_in_a_file),
		cmocka_unit_test(test_urls),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
