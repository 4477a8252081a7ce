/* Whom the HTTP client trusts: CA, pinned certificates, names, addresses, client certificates, old
 * peers. The server is OpenSSL itself; the certificates are made by pkg/crypt. */

#include "fixture.h"

#include <openssl/err.h>

static struct crypt_pair ca, other_ca, leaf, named_leaf, client_pair, lone;

static struct crypt_pair make(struct crypt_cert_spec spec, const struct crypt_pair *signer)
{
	struct crypt_pair pair = { 0 };
	struct err err = { 0 };
	/* Wide enough for any clock that runs this test. */
	spec.not_before = UINT64_C(1577836800) * USEC_PER_SEC; /* 2020 */
	spec.not_after = UINT64_C(4070908800) * USEC_PER_SEC;  /* 2099 */
	if (crypt_make_cert(&spec, signer, &pair, &err) < 0)
		fail_msg("%s", err.text);
	return pair;
}

static int make_all(void **state)
{
	(void)state;
	static const char *const addresses[] = { "127.0.0.1", NULL };
	static const char *const names[] = { "api.example", NULL };
	ca = make((struct crypt_cert_spec){ .common_name = "CA", .is_ca = true }, NULL);
	other_ca = make((struct crypt_cert_spec){ .common_name = "CA", .is_ca = true }, NULL);
	leaf = make((struct crypt_cert_spec){ .common_name = "by address",
					      .addresses = addresses,
					      .server = true },
		    &ca);
	named_leaf = make((struct crypt_cert_spec){ .common_name = "by name",
						    .dns_names = names,
						    .server = true },
			  &ca);
	lone = make((struct crypt_cert_spec){ .common_name = "agent",
					      .addresses = addresses,
					      .server = true },
		    NULL);
	client_pair = make((struct crypt_cert_spec){ .common_name = "the-client", .client = true },
			   &ca);
	return 0;
}

static int release_all(void **state)
{
	(void)state;
	struct crypt_pair *all[] = { &ca, &other_ca, &leaf, &named_leaf, &lone, &client_pair };
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		crypt_pair_release(all[i]);
	return 0;
}

/* Answers with the name in the client's certificate, and the server name asked for. */
static bool serve_names(struct peer *p)
{
	char cn[64] = "nobody";
	X509 *cert = SSL_get1_peer_certificate(p->ssl);
	if (cert)
		X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, cn,
					  sizeof(cn));
	X509_free(cert);
	const char *sni = SSL_get_servername(p->ssl, TLSEXT_NAMETYPE_host_name);
	char *text = xasprintf("%s %s", cn, sni ? sni : "-");
	bool ok = peer_reply(p, "200 OK", "", text);
	free(text);
	return ok;
}

static struct story try_tls(struct fixture *f, const struct crypt_pair *pair,
			    const struct http_tls *tls)
{
	if (f->server) {
		http_client_free(f->client);
		server_stop(f->server);
		http_client_new(f->loop, &(struct http_client_options){ 0 }, &f->client, NULL);
	}
	f->server = server_start(serve_names, NULL, pair);
	return ask(f, "/", (struct http_request){ .tls = tls }, &story_collect);
}

static void test_trust(void **state)
{
	struct fixture *f = *state;
	const struct {
		const struct crypt_pair *server;
		struct http_tls tls;
		const char *refusal; /* NULL: goes well */
	} rows[] = {
		{ &leaf, { .ca = ca.cert }, NULL },
		{ &leaf, { 0 }, "not trusted" },
		{ &leaf, { .ca = other_ca.cert }, "not trusted" },
		{ &leaf, { .insecure = true }, NULL },
		{ &lone, { .ca = ca.cert }, "not trusted" },
		{ &named_leaf, { .ca = ca.cert }, "not for 127.0.0.1" },
		{ &named_leaf, { .ca = ca.cert, .server_name = "api.example" }, NULL },
		{ &named_leaf,
		  { .ca = ca.cert, .server_name = "other.example" },
		  "not for other.example" },
		{ &named_leaf, { .ca = ca.cert, .no_name_check = true }, NULL },
		{ &lone, { .pinned = lone.cert }, NULL },
		{ &leaf, { .pinned = lone.cert }, "not the one that was pinned" },
		{ &leaf, { .pinned = leaf.cert }, NULL }, /* an end certificate as anchor */
		{ &lone,
		  { .pinned = leaf.cert, .no_name_check = true },
		  "not the one that was pinned" },
		{ &named_leaf, { .pinned = named_leaf.cert }, "not for 127.0.0.1" },
		{ &named_leaf, { .pinned = named_leaf.cert, .no_name_check = true }, NULL },
		{ &leaf, { .ca = "no PEM" }, "must be PEM" },
		{ &leaf, { .ca = ca.cert, .cert = "x", .key = "y" }, "client certificate" },
		{ &leaf, { .ca = ca.cert, .legacy = true }, NULL },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct story s = try_tls(f, rows[i].server, &rows[i].tls);
		if (!rows[i].refusal && s.failed)
			fail_msg("row %zu: %s", i, s.err.text);
		if (rows[i].refusal && !(s.failed && strstr(s.err.text, rows[i].refusal)))
			fail_msg("row %zu: \"%s\" is not in \"%s\"", i, rows[i].refusal,
				 s.err.text);
		assert_int_equal(f->server->requests, rows[i].refusal ? 0 : 1);
		story_release(&s);
	}
}

static void test_server_name(void **state)
{
	struct fixture *f = *state;
	struct http_tls tls = { .ca = ca.cert, .server_name = "api.example" };
	struct story s = try_tls(f, &named_leaf, &tls);
	assert_string_equal(s.body.data, "nobody api.example");
	char *host = xasprintf("Host: 127.0.0.1:%u\r\n", f->server->port);
	assert_true(server_heard(f->server, host));
	assert_false(server_heard(f->server, "Host: api.example"));
	free(host);
	story_release(&s);
}

static int accept_any(int ok, X509_STORE_CTX *ctx)
{
	(void)ok, (void)ctx;
	return 1;
}

static void test_client_certificate(void **state)
{
	struct fixture *f = *state;
	f->server = server_start(serve_names, NULL, &leaf);
	SSL_CTX_set_verify(f->server->tls, SSL_VERIFY_PEER, accept_any);
	struct http_tls with = { .ca = ca.cert, .cert = client_pair.cert, .key = client_pair.key };
	struct http_tls without = { .ca = ca.cert };
	struct story s = ask(f, "/", (struct http_request){ .tls = &with }, &story_collect);
	assert_string_equal(s.body.data, "the-client -");
	story_release(&s);
	/* Another identity must not ride on that connection. */
	s = ask(f, "/", (struct http_request){ .tls = &without }, &story_collect);
	assert_string_equal(s.body.data, "nobody -");
	assert_int_equal(f->server->connections, 2);
	story_release(&s);
}

/* BMCs of ten years ago speak TLS 1.0 with SHA-1 signatures. */
static void test_legacy_peer(void **state)
{
	struct fixture *f = *state;
	f->server = server_start(serve_names, NULL, &leaf);
	SSL_CTX_set_min_proto_version(f->server->tls, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(f->server->tls, TLS1_VERSION);
	SSL_CTX_set_cipher_list(f->server->tls, "ALL:@SECLEVEL=0");
	struct http_tls modern = { .ca = ca.cert }, legacy = { .ca = ca.cert, .legacy = true };
	struct story s = ask(f, "/", (struct http_request){ .tls = &modern }, &story_collect);
	assert_int_equal(s.err.kind, ERR_PROTOCOL);
	assert_non_null(strstr(s.err.text, "TLS handshake failed"));
	story_release(&s);
	s = ask(f, "/", (struct http_request){ .tls = &legacy }, &story_collect);
	if (s.failed)
		fail_msg("%s", s.err.text);
	story_release(&s);
}

static bool serve_downgrade(struct peer *p)
{
	return peer_reply(p, "302 Found", "Location: http://127.0.0.1:9/\r\n", "");
}

static void test_redirect_from_https_to_http(void **state)
{
	struct fixture *f = *state;
	f->server = server_start(serve_downgrade, NULL, &leaf);
	struct http_tls tls = { .ca = ca.cert };
	struct story s = ask(f, "/", (struct http_request){ .tls = &tls, .max_redirects = 3 },
			     &story_collect);
	assert_int_equal(s.err.kind, ERR_DENIED);
	assert_non_null(strstr(s.err.text, "from https to http"));
	story_release(&s);
}

static void test_plain_server_on_https_url(void **state)
{
	struct fixture *f = *state;
	f->server = server_start(serve_downgrade, NULL, NULL);
	char *url = xasprintf("https://127.0.0.1:%u/", f->server->port);
	struct story s = { 0 };
	story_start(&s, f, &(struct http_request){ .url = url, .timeout = 100 * USEC_PER_MSEC },
		    &story_collect);
	loop_run(f->loop);
	assert_true(s.failed);
	story_release(&s);
	free(url);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_trust),
		T(test_server_name),
		T(test_client_certificate),
		T(test_legacy_peer),
		T(test_redirect_from_https_to_http),
		T(test_plain_server_on_https_url),
	};
	return cmocka_run_group_tests(tests, make_all, release_all);
}
