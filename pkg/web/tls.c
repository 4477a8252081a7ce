/* What OpenSSL must be told and asked directly. libwebsockets (4.1.6) can load certificates from
 * memory, but drops all but the first of a chain, takes no client CA from memory, and would choose
 * another listener's certificate by SNI. So its SSL_CTX is filled here, in the callback that it
 * offers for this (LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS). The OpenSSL types come
 * with libwebsockets.h, whose interface they are part of. Service thread. */

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/options.h"
#include "web/internal.h"

static int ssl_error(struct err *err, const char *what)
{
	unsigned long code = ERR_peek_last_error();
	const char *why = code ? ERR_reason_error_string(code) : NULL;
	ERR_clear_error();
	return err_set(err, ERR_INVALID, "%s: %s", what, str_or(why, "not PEM"));
}

static void free_bio(BIO **bio)
{
	BIO_free(*bio);
}

static void free_x509(X509 **x)
{
	X509_free(*x);
}

static void free_key(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

/* A prompt on the terminal must never come up. */
static int no_password(char *buf, int size, int rwflag, void *data)
{
	(void)buf, (void)size, (void)rwflag, (void)data;
	return -1;
}

static BIO *open_pem(const char *pem)
{
	return BIO_new_mem_buf(pem, -1);
}

/* The first certificate is ours, those behind it lead to a root. */
static int use_chain(SSL_CTX *ctx, const char *pem, struct err *err)
{
	_cleanup_(free_bio) BIO *bio = open_pem(pem);
	for (size_t n = 0;; n++) {
		_cleanup_(free_x509) X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
		if (!x && n > 0)
			break;
		if (!x || (n == 0 && SSL_CTX_use_certificate(ctx, x) != 1) ||
		    (n > 0 && SSL_CTX_add1_chain_cert(ctx, x) != 1))
			return ssl_error(err, "certificate");
	}
	ERR_clear_error(); /* the end of the text counts as an error */
	return 0;
}

static int use_key(SSL_CTX *ctx, const char *pem, struct err *err)
{
	_cleanup_(free_bio) BIO *bio = open_pem(pem);
	_cleanup_(free_key) EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	if (!key || SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1)
		return ssl_error(err, "private key");
	return 0;
}

/* A certificate that does not verify is not refused in the handshake, where nobody could tell the
 * client why; the verdict stays with the session and web_tls_peer_certificate() asks for it. */
static int accept_any(int ok, X509_STORE_CTX *store)
{
	(void)ok;
	(void)store;
	return 1;
}

static int ask_for_clients(SSL_CTX *ctx, const char *pem, struct err *err)
{
	static const unsigned char session_context[] = "ingot";
	_cleanup_(free_bio) BIO *bio = open_pem(pem);
	for (size_t n = 0;; n++) {
		_cleanup_(free_x509) X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
		if (!x && n > 0)
			break;
		if (!x || X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), x) != 1 ||
		    SSL_CTX_add_client_CA(ctx, x) != 1)
			return ssl_error(err, "client CA");
	}
	ERR_clear_error();
	SSL_CTX_set_session_id_context(ctx, session_context, sizeof(session_context) - 1);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, accept_any);
	return 0;
}

static const int versions[_WEB_TLS_MAX] = {
	[WEB_TLS_1_2] = TLS1_2_VERSION, [WEB_TLS_1_3] = TLS1_3_VERSION
};

const struct option_choice web_tls_choices[] = { { "TLS12", WEB_TLS_1_2 },
						 { "TLS13", WEB_TLS_1_3 },
						 { NULL, 0 } };

int web_tls_setup(SSL_CTX *ctx, const struct web_server_options *options, struct err *err)
{
	ERR_clear_error();
	SSL_CTX_set_min_proto_version(ctx, versions[options->tls_min]);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
	/* Tickets resume sessions without memory per client. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_tlsext_servername_callback(ctx, NULL);
	int r = use_chain(ctx, options->cert, err);
	if (r == 0)
		r = use_key(ctx, options->key, err);
	if (r == 0 && options->client_ca)
		r = ask_for_clients(ctx, options->client_ca, err);
	return r;
}

/* --- another certificate while the server runs --- */

struct tls_identity {
	X509 *cert;
	EVP_PKEY *key;
	STACK_OF(X509) * chain;
};

struct tls_identity *web_tls_identity_free(struct tls_identity *i)
{
	if (!i)
		return NULL;
	X509_free(i->cert);
	EVP_PKEY_free(i->key);
	sk_X509_pop_free(i->chain, X509_free);
	free(i);
	return NULL;
}

static void free_identity(struct tls_identity **i)
{
	web_tls_identity_free(*i);
}

/* Per connection, because an SSL_CTX keeps one certificate of each type of key and cannot forget
 * one: an RSA certificate would go on being served beside the EC one that replaced it. */
static int use_identity(SSL *ssl, void *data)
{
	const struct web_server *s = data;
	SSL_certs_clear(ssl);
	return SSL_use_cert_and_key(ssl, s->identity->cert, s->identity->key, s->identity->chain,
				    1);
}

static int read_chain(struct tls_identity *i, const char *pem, struct err *err)
{
	_cleanup_(free_bio) BIO *bio = open_pem(pem);
	i->chain = sk_X509_new_null();
	i->cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	if (!i->cert || !i->chain)
		return ssl_error(err, "certificate");
	for (X509 *x; (x = PEM_read_bio_X509(bio, NULL, NULL, NULL));)
		sk_X509_push(i->chain, x);
	ERR_clear_error(); /* the end of the text counts as an error */
	return 0;
}

int web_tls_replace(struct web_server *s, const char *cert, const char *key, struct err *err)
{
	_cleanup_(free_identity) struct tls_identity *i = xcalloc(1, sizeof(*i));
	_cleanup_(free_bio) BIO *bio = open_pem(key);
	ERR_clear_error();
	int r = read_chain(i, cert, err);
	if (r < 0)
		return r;
	i->key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
	if (!i->key || X509_check_private_key(i->cert, i->key) != 1)
		return ssl_error(err, "private key");
	web_tls_identity_free(s->identity);
	s->identity = TAKE_PTR(i);
	SSL_CTX_set_cert_cb(s->tls_context, use_identity, s);
	return 0;
}

char *web_tls_peer_certificate(struct lws *wsi)
{
	SSL *ssl = lws_get_ssl(wsi);
	_cleanup_(free_x509) X509 *x = ssl ? SSL_get1_peer_certificate(ssl) : NULL;
	if (!x || SSL_get_verify_result(ssl) != X509_V_OK)
		return NULL;
	_cleanup_(free_bio) BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	if (!bio || PEM_write_bio_X509(bio, x) != 1)
		return NULL;
	long len = BIO_get_mem_data(bio, &text);
	return xstrndup(text, (size_t)len);
}

void web_tls_close_notify(struct lws *wsi)
{
	SSL *ssl = lws_get_ssl(wsi);
	if (ssl)
		SSL_shutdown(ssl);
	ERR_clear_error();
}
