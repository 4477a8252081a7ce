/* Digests and HMAC by OpenSSL's EVP. The algorithms are fetched once for the process, because an
 * implicit fetch costs more than hashing a short text (c-style-models 5.6). A failure here means
 * that OpenSSL's configuration has taken a basic digest away (FIPS and MD5); nothing can go on
 * then, so it aborts with a word why. any thread */

#include "crypt/crypt.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

struct digest_ctx {
	EVP_MD_CTX *evp;
};

static const struct {
	const char *name;
	const char *openssl_name;
	size_t size;
} digests[] = {
	[DIGEST_MD5] = { "md5", "MD5", 16 },
	[DIGEST_SHA1] = { "sha1", "SHA1", 20 },
	[DIGEST_SHA256] = { "sha256", "SHA2-256", 32 },
	[DIGEST_SHA512] = { "sha512", "SHA2-512", 64 },
};

static EVP_MD *fetched[ARRAY_SIZE(digests)];

static void fetch_all(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(digests); i++)
		fetched[i] = EVP_MD_fetch(NULL, digests[i].openssl_name, NULL);
}

static void require(bool ok, const char *what)
{
	if (ok)
		return;
	log_error("OpenSSL refuses a digest: check openssl.cnf and the FIPS setting", "digest",
		  what);
	abort();
}

static const EVP_MD *evp_md(enum digest d)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, fetch_all);
	require(fetched[d] != NULL, digests[d].name);
	return fetched[d];
}

size_t digest_size(enum digest d)
{
	return digests[d].size;
}

const char *digest_name(enum digest d)
{
	return digests[d].name;
}

int digest_parse(const char *name, enum digest *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(digests); i++)
		if (streq(name, digests[i].name)) {
			*ret = (enum digest)i;
			return 0;
		}
	return -EINVAL;
}

struct digest_ctx *digest_new(enum digest d)
{
	struct digest_ctx *c = xcalloc(1, sizeof(*c));
	c->evp = EVP_MD_CTX_new();
	require(c->evp && EVP_DigestInit_ex2(c->evp, evp_md(d), NULL) == 1, digests[d].name);
	return c;
}

void digest_update(struct digest_ctx *c, const void *data, size_t len)
{
	require(EVP_DigestUpdate(c->evp, data, len) == 1, "update");
}

void digest_finish_hex(struct digest_ctx *c, char out[DIGEST_HEX_MAX])
{
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	require(EVP_DigestFinal_ex(c->evp, raw, &len) == 1, "finish");
	hex_encode(raw, len, out);
}

struct digest_ctx *digest_free(struct digest_ctx *c)
{
	if (c)
		EVP_MD_CTX_free(c->evp);
	free(c);
	return NULL;
}

void digest_hex(enum digest d, const void *data, size_t len, char out[DIGEST_HEX_MAX])
{
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	require(EVP_Digest(data, len, raw, &n, evp_md(d), NULL) == 1, digests[d].name);
	hex_encode(raw, n, out);
}

void hmac_sha256(const void *key, size_t key_len, const void *data, size_t len, uint8_t out[32])
{
	/* HMAC() reads a NULL key as "the previous one", even at length 0. */
	unsigned n = 0;
	require(HMAC(evp_md(DIGEST_SHA256), key_len ? key : "", (int)key_len, data, len, out, &n) !=
			NULL,
		"hmac-sha256");
}
