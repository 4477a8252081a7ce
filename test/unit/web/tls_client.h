#pragma once
/* Certificates and a TLS client for the tests of pkg/web and of what stands on it. */

#include "unit/web/rig.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "crypt/crypt.h"

struct pki {
	struct crypt_pair ca, server, second, client, stranger_ca, stranger, expired;
	char *chain; /* of a server behind an intermediate */
	struct crypt_pair intermediate, behind;
};

static struct pki pki;

static inline void make(const char *name, const struct crypt_pair *ca, bool is_ca, usec_t not_after,
			struct crypt_pair *ret)
{
	const char *const dns[] = { name, NULL };
	struct err err;
	struct crypt_cert_spec spec = { .common_name = name,
					.dns_names = dns,
					.not_before = 1,
					.not_after = not_after,
					.is_ca = is_ca,
					.server = !is_ca,
					.client = !is_ca };
	if (crypt_make_cert(&spec, ca, ret, &err) < 0)
		fail_msg("%s: %s", name, err.text);
}

static inline int make_pki(void **state)
{
	const usec_t y2040 = UINT64_C(2208988800) * USEC_PER_SEC,
		     y2000 = UINT64_C(946684800) * USEC_PER_SEC;
	(void)state;
	make("ca", NULL, true, y2040, &pki.ca);
	make("localhost", &pki.ca, false, y2040, &pki.server);
	make("second", &pki.ca, false, y2040, &pki.second);
	make("alice", &pki.ca, false, y2040, &pki.client);
	make("expired", &pki.ca, false, y2000, &pki.expired);
	make("other ca", NULL, true, y2040, &pki.stranger_ca);
	make("mallory", &pki.stranger_ca, false, y2040, &pki.stranger);
	make("intermediate", &pki.ca, true, y2040, &pki.intermediate);
	make("behind", &pki.intermediate, false, y2040, &pki.behind);
	pki.chain = xasprintf("%s%s", pki.behind.cert, pki.intermediate.cert);
	return 0;
}

static inline int drop_pki(void **state)
{
	(void)state;
	struct crypt_pair *const all[] = { &pki.ca,	  &pki.server,	     &pki.second,
					   &pki.client,	  &pki.expired,	     &pki.stranger_ca,
					   &pki.stranger, &pki.intermediate, &pki.behind };
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		crypt_pair_release(all[i]);
	free(pki.chain);
	return 0;
}

/* --- a TLS client ----------------------------------------------------------------------------- */

struct client {
	SSL_CTX *ctx;
	SSL *ssl;
	int fd;
	struct strbuf in;
};

static inline X509 *parse_cert(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	assert_non_null(x);
	return x;
}

static inline void use_pair(SSL_CTX *ctx, const struct crypt_pair *pair)
{
	BIO *bio = BIO_new_mem_buf(pair->key, -1);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	X509 *x = parse_cert(pair->cert);
	assert_int_equal(SSL_CTX_use_certificate(ctx, x), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
	X509_free(x);
	EVP_PKEY_free(key);
	BIO_free(bio);
}

/* Verifies the server against our CA under `name`. */
static inline struct client tls_dial(uint16_t port, const char *name, const struct crypt_pair *pair,
				     SSL_SESSION *session)
{
	struct client c = { .fd = dial_port(port), .ctx = SSL_CTX_new(TLS_client_method()) };
	static const unsigned char alpn[] = "\x02h2\x08http/1.1";
	X509 *ca = parse_cert(pki.ca.cert);
	X509_STORE_add_cert(SSL_CTX_get_cert_store(c.ctx), ca);
	X509_free(ca);
	SSL_CTX_set_verify(c.ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_alpn_protos(c.ctx, alpn, sizeof(alpn) - 1);
	if (pair)
		use_pair(c.ctx, pair);
	c.ssl = SSL_new(c.ctx);
	SSL_set_fd(c.ssl, c.fd);
	SSL_set_tlsext_host_name(c.ssl, name);
	SSL_set1_host(c.ssl, name);
	if (session)
		SSL_set_session(c.ssl, session);
	if (SSL_connect(c.ssl) != 1)
		fail_msg("handshake: %s", ERR_error_string(ERR_get_error(), NULL));
	return c;
}

static inline void tls_hang_up(struct client *c)
{
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	close(c->fd);
	strbuf_done(&c->in);
}

static inline ssize_t read_tls(void *from, void *buf, size_t len)
{
	struct client *c = from;
	int n = SSL_read(c->ssl, buf, (int)len);
	if (n > 0)
		return n;
	return SSL_get_error(c->ssl, n) == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

static inline struct answer tls_ask(struct client *c, const char *request)
{
	SSL_write(c->ssl, request, (int)strlen(request));
	return hear_from(read_tls, c, &c->in, false);
}
