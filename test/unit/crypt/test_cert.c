/* Certificates that we make: what they say, and that OpenSSL's own verifier accepts a chain of them
 * for the right name, address and purpose, and no other. The verifier is the oracle. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "crypt/crypt.h"
#include "crypt/tls.h"

static const usec_t BEGIN = UINT64_C(1767225600) * USEC_PER_SEC; /* 2026-01-01 */
static const usec_t END = UINT64_C(1798761600) * USEC_PER_SEC;	 /* 2027-01-01 */

static const char *const groups[] = { "system:masters", "second", NULL };
static const char *const names[] = { "api.example", NULL };
static const char *const addresses[] = { "192.0.2.7", "2001:db8::7", NULL };

static struct crypt_pair make(const struct crypt_cert_spec *spec, const struct crypt_pair *ca)
{
	struct crypt_pair pair = { 0 };
	struct err err = { 0 };
	if (crypt_make_cert(spec, ca, &pair, &err) < 0)
		fail_msg("%s", err.text);
	return pair;
}

static struct crypt_pair make_ca(void)
{
	return make(&(struct crypt_cert_spec){ .common_name = "test CA",
					       .not_before = BEGIN,
					       .not_after = END,
					       .is_ca = true },
		    NULL);
}

static struct crypt_pair make_leaf(const struct crypt_pair *ca)
{
	return make(&(struct crypt_cert_spec){ .common_name = "leaf",
					       .organizations = groups,
					       .dns_names = names,
					       .addresses = addresses,
					       .not_before = BEGIN,
					       .not_after = END,
					       .server = true },
		    ca);
}

static X509 *load(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	assert_non_null(cert);
	return cert;
}

/* X509_V_OK or why not. */
static int verify(const char *leaf, const char *ca, int purpose, usec_t at)
{
	X509 *cert = load(leaf), *root = load(ca);
	X509_STORE *store = X509_STORE_new();
	X509_STORE_add_cert(store, root);
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_STORE_CTX_init(ctx, store, cert, NULL);
	X509_STORE_CTX_set_purpose(ctx, purpose);
	X509_STORE_CTX_set_time(ctx, X509_V_FLAG_X509_STRICT, (time_t)(at / USEC_PER_SEC));
	X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(ctx), X509_V_FLAG_X509_STRICT);
	X509_verify_cert(ctx);
	int result = X509_STORE_CTX_get_error(ctx);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	X509_free(root);
	X509_free(cert);
	return result;
}

static void test_chain_verifies(void **state)
{
	(void)state;
	struct crypt_pair ca = make_ca(), other = make_ca(), leaf = make_leaf(&ca);
	usec_t now = BEGIN + USEC_PER_HOUR;
	assert_int_equal(verify(leaf.cert, ca.cert, X509_PURPOSE_SSL_SERVER, now), X509_V_OK);
	assert_int_not_equal(verify(leaf.cert, ca.cert, X509_PURPOSE_SSL_CLIENT, now), X509_V_OK);
	assert_int_not_equal(verify(leaf.cert, other.cert, X509_PURPOSE_SSL_SERVER, now),
			     X509_V_OK);
	assert_int_equal(verify(leaf.cert, ca.cert, X509_PURPOSE_SSL_SERVER, END + USEC_PER_SEC),
			 X509_V_ERR_CERT_HAS_EXPIRED);
	assert_int_equal(verify(leaf.cert, ca.cert, X509_PURPOSE_SSL_SERVER, BEGIN - USEC_PER_SEC),
			 X509_V_ERR_CERT_NOT_YET_VALID);
	crypt_pair_release(&leaf);
	crypt_pair_release(&other);
	crypt_pair_release(&ca);
	assert_null(ca.key);
}

static void test_names_and_key(void **state)
{
	(void)state;
	struct crypt_pair ca = make_ca(), leaf = make_leaf(&ca);
	X509 *cert = load(leaf.cert);
	assert_int_equal(X509_check_host(cert, "api.example", 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(cert, "other.example", 0, 0, NULL), 0);
	assert_int_equal(X509_check_ip_asc(cert, "192.0.2.7", 0), 1);
	assert_int_equal(X509_check_ip_asc(cert, "2001:db8::7", 0), 1);
	assert_int_equal(X509_check_ip_asc(cert, "192.0.2.8", 0), 0);
	assert_int_equal(X509_check_ca(cert), 0);
	BIO *bio = BIO_new_mem_buf(leaf.key, -1);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	assert_int_equal(X509_check_private_key(cert, key), 1);
	EVP_PKEY_free(key);
	BIO_free(bio);
	X509_free(cert);
	crypt_pair_release(&leaf);
	crypt_pair_release(&ca);
}

static void test_reading(void **state)
{
	(void)state;
	struct crypt_pair leaf = make_leaf(NULL);
	usec_t end = 0;
	struct err err = { 0 };
	assert_int_equal(crypt_cert_not_after(leaf.cert, &end, &err), 0);
	assert_int_equal(end, END);
	char *cn = NULL, *orgs = NULL;
	assert_int_equal(crypt_cert_subject(leaf.cert, &cn, &orgs, &err), 0);
	assert_string_equal(cn, "leaf");
	assert_string_equal(orgs, "system:masters\nsecond");
	free(cn);
	free(orgs);
	crypt_pair_release(&leaf);
}

/* By both ends: the first second is in, the last is not. */
static void test_validity(void **state)
{
	(void)state;
	struct crypt_pair leaf = make_leaf(NULL);
	usec_t from = 0, to = 0;
	struct err err = { 0 };
	assert_int_equal(crypt_cert_validity(leaf.cert, &from, &to, &err), 0);
	assert_int_equal(from, BEGIN);
	assert_int_equal(to, END);
	assert_int_equal(crypt_cert_check_time(leaf.cert, BEGIN, &err), 0);
	assert_int_equal(crypt_cert_check_time(leaf.cert, END - 1, &err), 0);
	const usec_t wrong[] = { BEGIN - 1, END, 0, USEC_INFINITY / 2 };
	char begin[CLOCK_TEXT_MAX], end[CLOCK_TEXT_MAX];
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_true(crypt_cert_check_time(leaf.cert, wrong[i], &err) < 0);
		assert_non_null(strstr(err.text, clock_format(BEGIN, begin)));
		assert_non_null(strstr(err.text, clock_format(END, end)));
	}
	assert_true(crypt_cert_check_time("no certificate", BEGIN, &err) < 0);
	crypt_pair_release(&leaf);
}

static void test_refusals(void **state)
{
	(void)state;
	struct crypt_pair pair = { 0 };
	struct err err = { 0 };
	usec_t end = 42;
	assert_true(crypt_cert_not_after("no certificate", &end, &err) < 0);
	assert_int_equal(err.kind, ERR_INVALID);
	assert_int_equal(end, 42);
	assert_true(crypt_cert_not_after(NULL, &end, NULL) < 0);

	const char *const bad[] = { "not-an-address", NULL };
	struct crypt_cert_spec spec = {
		.common_name = "x", .addresses = bad, .not_before = BEGIN, .not_after = END
	};
	assert_true(crypt_make_cert(&spec, NULL, &pair, &err) < 0);
	assert_non_null(strstr(err.text, "not-an-address"));
	spec.addresses = NULL;
	spec.not_after = BEGIN;
	assert_true(crypt_make_cert(&spec, NULL, &pair, &err) < 0);
	spec.not_after = END;
	spec.common_name =
		"a name of more than sixty-four characters is refused by the X.520 limits";
	assert_true(crypt_make_cert(&spec, NULL, &pair, &err) < 0);
	assert_null(pair.cert);
	struct crypt_pair broken = { (char *)"x", (char *)"y" };
	spec.common_name = "x";
	assert_true(crypt_make_cert(&spec, &broken, &pair, &err) < 0);
	assert_non_null(strstr(err.text, "certificate authority"));
}

static void test_pairs(void **state)
{
	(void)state;
	struct crypt_pair a = make_ca(), b = make_ca();
	struct err err = { 0 };
	assert_int_equal(crypt_pair_check(a.cert, a.key, &err), 0);
	assert_true(crypt_pair_check(a.cert, b.key, &err) < 0);
	assert_non_null(strstr(err.text, "do not belong together"));
	assert_true(crypt_pair_check(a.cert, NULL, &err) < 0);
	assert_true(crypt_pair_check("", a.key, &err) < 0);
	crypt_pair_release(&a);
	crypt_pair_release(&b);
}

static void test_control_characters_in_subject(void **state)
{
	(void)state;
	struct crypt_pair pair = make(&(struct crypt_cert_spec){ .common_name = "a\nb",
								 .not_before = BEGIN,
								 .not_after = END },
				      NULL);
	char *cn = NULL, *orgs = NULL;
	struct err err = { 0 };
	assert_true(crypt_cert_subject(pair.cert, &cn, &orgs, &err) < 0);
	assert_null(cn);
	crypt_pair_release(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chain_verifies),
		cmocka_unit_test(test_names_and_key),
		cmocka_unit_test(test_reading),
		cmocka_unit_test(test_validity),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_control_characters_in_subject),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
