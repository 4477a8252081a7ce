/* Digests and HMAC against published vectors (RFC 1321, FIPS 180-4, RFC 4231). */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "crypt/crypt.h"

static const struct {
	enum digest digest;
	const char *text, *hex;
} vectors[] = {
	{ DIGEST_MD5, "", "d41d8cd98f00b204e9800998ecf8427e" },
	{ DIGEST_MD5, "abc", "900150983cd24fb0d6963f7d28e17f72" },
	{ DIGEST_SHA1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d" },
	{ DIGEST_SHA256, "abc",
	  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	{ DIGEST_SHA512, "abc",
	  "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
	  "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f" },
};

static void test_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		char hex[DIGEST_HEX_MAX];
		digest_hex(vectors[i].digest, vectors[i].text, strlen(vectors[i].text), hex);
		assert_string_equal(hex, vectors[i].hex);
		assert_int_equal(strlen(hex), 2 * digest_size(vectors[i].digest));
	}
}

static void test_pieces_equal_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		struct digest_ctx *c = digest_new(vectors[i].digest);
		for (const char *p = vectors[i].text; *p; p++)
			digest_update(c, p, 1);
		char hex[DIGEST_HEX_MAX];
		digest_finish_hex(c, hex);
		assert_string_equal(hex, vectors[i].hex);
		assert_null(digest_free(c));
	}
	assert_null(digest_free(NULL));
}

static void test_names(void **state)
{
	(void)state;
	enum digest d = DIGEST_MD5;
	assert_int_equal(digest_parse("sha512", &d), 0);
	assert_int_equal(d, DIGEST_SHA512);
	assert_string_equal(digest_name(d), "sha512");
	assert_int_equal(digest_parse("SHA512", &d), -EINVAL);
	assert_int_equal(digest_parse("", &d), -EINVAL);
	assert_int_equal(d, DIGEST_SHA512);
}

static void test_hmac(void **state)
{
	(void)state;
	uint8_t mac[32];
	char hex[65];
	hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, mac);
	hex_encode(mac, sizeof(mac), hex);
	assert_string_equal(hex,
			    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	hmac_sha256(NULL, 0, "", 0, mac);
	hex_encode(mac, sizeof(mac), hex);
	assert_string_equal(hex,
			    "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_pieces_equal_whole),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_hmac),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
