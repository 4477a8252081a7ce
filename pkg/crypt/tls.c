/* Small services around TLS (see tls.h). */

#include "crypt/tls.h"

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "base/mem.h"
#include "base/str.h"

void crypt_tls_allow_legacy(void *ssl_ctx)
{
	SSL_CTX_set_options(ssl_ctx, SSL_OP_LEGACY_SERVER_CONNECT | SSL_OP_IGNORE_UNEXPECTED_EOF);
}

void crypt_tls_cleanse(void *ssl_ctx)
{
	SSL_CTX_set_options(ssl_ctx, SSL_OP_CLEANSE_PLAINTEXT);
}

static void *take(size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return xmalloc(size);
}

static void *resize(void *p, size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return zero_realloc(p, size);
}

static void give(void *p, const char *file, int line)
{
	(void)file, (void)line;
	zero_free(p);
}

void crypt_zero_freed(void)
{
	CRYPTO_set_mem_functions(take, resize, give);
}

void crypt_tls_peer_sha256(void *ssl, char ret[CRYPT_SHA256_HEX])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	X509 *cert = ssl ? SSL_get1_peer_certificate(ssl) : NULL;
	ret[0] = '\0';
	if (cert && X509_digest(cert, EVP_sha256(), digest, &len) == 1 && len == 32)
		hex_encode(digest, len, ret);
	X509_free(cert);
}

const char *crypt_tls_verify_text(long result)
{
	return X509_verify_cert_error_string(result);
}
