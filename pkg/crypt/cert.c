/* Certificates that Ingot makes for itself (standalone API, agent, webhook) and what it reads from
 * those of others. EC P-256, SHA-256, X.509 v3 after RFC 5280: basicConstraints and keyUsage
 * critical, SAN from names and addresses, key identifiers. Extensions are built as objects, never
 * from configuration text, so that no name can smuggle one in.
 *
 * OpenSSL's error queue is per thread: it is cleared before each operation and read after a
 * failure. Keys are zeroed when released. any thread */

#include "crypt/crypt.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/str.h"
#include "crypt/tls.h"

static void bio_freep(BIO **p)
{
	BIO_free(*p);
}

static void x509_freep(X509 **p)
{
	X509_free(*p);
}

static void pkey_freep(EVP_PKEY **p)
{
	EVP_PKEY_free(*p);
}

static void names_freep(GENERAL_NAMES **p)
{
	GENERAL_NAMES_free(*p);
}

static int fail(struct err *err, enum err_kind kind, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	ERR_clear_error();
	return err_set(err, kind, "%s%s%s", what, reason ? ": " : "", reason ? reason : "");
}

/* --- reading --------------------------------------------------------------------------------- */

static X509 *read_cert(const char *pem, struct err *err)
{
	ERR_clear_error();
	size_t len = pem ? strlen(pem) : 0;
	_cleanup_(bio_freep)
		BIO *bio = BIO_new_mem_buf(pem ? pem : "", (int)MIN(len, (size_t)1 << 20));
	X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	if (!cert)
		fail(err, ERR_INVALID, "no certificate in PEM form");
	return cert;
}

/* A password prompt on the terminal must never come up. */
static int no_password(char *buf, int size, int rwflag, void *data)
{
	(void)buf, (void)size, (void)rwflag, (void)data;
	return -1;
}

static EVP_PKEY *read_key(const char *pem, struct err *err)
{
	_cleanup_(bio_freep) BIO *bio = BIO_new_mem_buf(str_or(pem, ""), -1);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
	if (!key)
		fail(err, ERR_INVALID, "no private key without a password in PEM form");
	return key;
}

static int read_time(const ASN1_TIME *t, usec_t *ret, struct err *err)
{
	struct tm tm;
	if (ASN1_TIME_to_tm(t, &tm) != 1)
		return fail(err, ERR_INVALID, "an end of the certificate's validity is not a date");
	time_t at = timegm(&tm);
	*ret = at > 0 ? (usec_t)at * USEC_PER_SEC : 0;
	return 0;
}

int crypt_cert_validity(const char *pem, usec_t *ret_from, usec_t *ret_to, struct err *err)
{
	_cleanup_(x509_freep) X509 *cert = read_cert(pem, err);
	usec_t from = 0, to = 0;
	if (!cert)
		return -err_kind_info(ERR_INVALID)->errno_value;
	int r = read_time(X509_get0_notBefore(cert), &from, err);
	if (r == 0)
		r = read_time(X509_get0_notAfter(cert), &to, err);
	if (r < 0)
		return r;
	*ret_from = from;
	*ret_to = to;
	return 0;
}

int crypt_cert_not_after(const char *pem, usec_t *ret, struct err *err)
{
	usec_t from;
	return crypt_cert_validity(pem, &from, ret, err);
}

int crypt_cert_check_time(const char *pem, usec_t wall, struct err *err)
{
	usec_t from = 0, to = 0;
	char begin[CLOCK_TEXT_MAX], end[CLOCK_TEXT_MAX], now[CLOCK_TEXT_MAX];
	int r = crypt_cert_validity(pem, &from, &to, err);
	if (r < 0 || (from <= wall && wall < to))
		return r;
	return err_set(err, ERR_INVALID,
		       "the certificate is valid from %s to %s, and by the clock of this machine "
		       "it is %s",
		       clock_format(from, begin), clock_format(to, end), clock_format(wall, now));
}

int crypt_pair_check(const char *cert, const char *key, struct err *err)
{
	_cleanup_(x509_freep) X509 *x = read_cert(cert, err);
	_cleanup_(pkey_freep) EVP_PKEY *k = x ? read_key(key, err) : NULL;
	if (!k)
		return -err_kind_info(ERR_INVALID)->errno_value;
	if (X509_check_private_key(x, k) != 1)
		return fail(err, ERR_INVALID, "certificate and private key do not belong together");
	return 0;
}

/* Appends the values of one kind of name, "\n" between them. Control characters could pass for a
 * second value, a NUL would cut the first: both are refused. */
static int read_names(X509_NAME *subject, int nid, struct strbuf *out, struct err *err)
{
	for (int i = -1; (i = X509_NAME_get_index_by_NID(subject, nid, i)) >= 0;) {
		unsigned char *utf8 = NULL;
		int len = ASN1_STRING_to_UTF8(
			&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i)));
		bool ok = len >= 0;
		for (int k = 0; ok && k < len; k++)
			ok = utf8[k] >= 0x20 && utf8[k] != 0x7f;
		if (ok && out->len > 0)
			strbuf_addc(out, '\n');
		if (ok)
			strbuf_add(out, utf8, (size_t)len);
		OPENSSL_free(utf8);
		if (!ok)
			return fail(err, ERR_INVALID,
				    "the certificate's subject holds control characters");
	}
	return 0;
}

int crypt_cert_subject(const char *pem, char **ret_common_name, char **ret_organizations,
		       struct err *err)
{
	_cleanup_(x509_freep) X509 *cert = read_cert(pem, err);
	if (!cert)
		return -err_kind_info(ERR_INVALID)->errno_value;
	X509_NAME *subject = X509_get_subject_name(cert);
	_cleanup_(strbuf_done) struct strbuf cn = { 0 }, orgs = { 0 };
	int r = read_names(subject, NID_commonName, &cn, err);
	if (r == 0)
		r = read_names(subject, NID_organizationName, &orgs, err);
	if (r < 0)
		return r;
	*ret_common_name = strbuf_take(&cn, NULL);
	*ret_organizations = strbuf_take(&orgs, NULL);
	return 0;
}

/* --- making ---------------------------------------------------------------------------------- */

void crypt_pair_release(struct crypt_pair *p)
{
	free(p->cert);
	secret_free(p->key);
	*p = (struct crypt_pair){ 0 };
}

static bool add_name(X509_NAME *name, int nid, const char *value)
{
	return X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, (const unsigned char *)value,
					  -1, -1, 0) == 1;
}

static bool set_subject(X509 *cert, const struct crypt_cert_spec *spec)
{
	X509_NAME *name = X509_get_subject_name(cert);
	bool ok = true;
	for (const char *const *o = spec->organizations; ok && o && *o; o++)
		ok = add_name(name, NID_organizationName, *o);
	return ok &&
	       (str_empty(spec->common_name) || add_name(name, NID_commonName, spec->common_name));
}

/* 127 random bits: positive and never the same twice, as RFC 5280 4.1.2.2 asks. */
static bool set_serial(X509 *cert)
{
	unsigned char raw[16];
	if (RAND_bytes(raw, sizeof(raw)) != 1)
		return false;
	raw[0] = (unsigned char)((raw[0] & 0x7f) | 0x40);
	BIGNUM *n = BN_bin2bn(raw, sizeof(raw), NULL);
	bool ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert));
	BN_free(n);
	return ok;
}

static bool set_validity(X509 *cert, const struct crypt_cert_spec *spec)
{
	return ASN1_TIME_adj(X509_getm_notBefore(cert), (time_t)(spec->not_before / USEC_PER_SEC),
			     0, 0) &&
	       ASN1_TIME_adj(X509_getm_notAfter(cert), (time_t)(spec->not_after / USEC_PER_SEC), 0,
			     0);
}

static bool add_flag_exts(X509 *cert, const struct crypt_cert_spec *spec)
{
	BASIC_CONSTRAINTS *bc = BASIC_CONSTRAINTS_new();
	ASN1_BIT_STRING *usage = ASN1_BIT_STRING_new();
	bool ok = bc && usage;
	if (ok) {
		bc->ca = spec->is_ca ? 0xff : 0;
		/* Bits of RFC 5280 4.2.1.3: keyCertSign 5, cRLSign 6, digitalSignature 0. */
		ok = spec->is_ca ? ASN1_BIT_STRING_set_bit(usage, 5, 1) &&
					   ASN1_BIT_STRING_set_bit(usage, 6, 1)
				 : ASN1_BIT_STRING_set_bit(usage, 0, 1);
		ok = ok && X509_add1_ext_i2d(cert, NID_basic_constraints, bc, 1, 0) == 1 &&
		     X509_add1_ext_i2d(cert, NID_key_usage, usage, 1, 0) == 1;
	}
	BASIC_CONSTRAINTS_free(bc);
	ASN1_BIT_STRING_free(usage);
	return ok;
}

static bool add_purposes(X509 *cert, const struct crypt_cert_spec *spec)
{
	if (!spec->server && !spec->client)
		return true;
	EXTENDED_KEY_USAGE *eku = sk_ASN1_OBJECT_new_null();
	bool ok = eku != NULL;
	if (ok && spec->server)
		ok = sk_ASN1_OBJECT_push(eku, OBJ_nid2obj(NID_server_auth)) > 0;
	if (ok && spec->client)
		ok = sk_ASN1_OBJECT_push(eku, OBJ_nid2obj(NID_client_auth)) > 0;
	ok = ok && X509_add1_ext_i2d(cert, NID_ext_key_usage, eku, 0, 0) == 1;
	sk_ASN1_OBJECT_pop_free(eku, ASN1_OBJECT_free);
	return ok;
}

static bool push_name(GENERAL_NAMES *names, int type, ASN1_STRING *value)
{
	GENERAL_NAME *name = value ? GENERAL_NAME_new() : NULL;
	if (!name) {
		ASN1_STRING_free(value);
		return false;
	}
	GENERAL_NAME_set0_value(name, type, value);
	if (sk_GENERAL_NAME_push(names, name) > 0)
		return true;
	GENERAL_NAME_free(name);
	return false;
}

static bool push_dns(GENERAL_NAMES *names, const char *dns)
{
	ASN1_IA5STRING *s = ASN1_IA5STRING_new();
	if (s && ASN1_STRING_set(s, dns, -1) == 1)
		return push_name(names, GEN_DNS, s);
	ASN1_IA5STRING_free(s);
	return false;
}

static bool add_alt_names(X509 *cert, const struct crypt_cert_spec *spec, const char **ret_bad)
{
	_cleanup_(names_freep) GENERAL_NAMES *names = GENERAL_NAMES_new();
	bool ok = names != NULL;
	for (const char *const *d = spec->dns_names; ok && d && *d; d++)
		ok = push_dns(names, *ret_bad = *d);
	for (const char *const *a = spec->addresses; ok && a && *a; a++)
		ok = push_name(names, GEN_IPADD, a2i_IPADDRESS(*ret_bad = *a));
	if (!ok || sk_GENERAL_NAME_num(names) == 0)
		return ok;
	/* Without a subject the names are all there is: then critical (RFC 5280 4.2.1.6). */
	bool critical = X509_NAME_entry_count(X509_get_subject_name(cert)) == 0;
	return X509_add1_ext_i2d(cert, NID_subject_alt_name, names, critical, 0) == 1;
}

static bool add_key_ids(X509 *cert, X509 *issuer)
{
	unsigned char id[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	if (X509_pubkey_digest(cert, EVP_sha1(), id, &len) != 1)
		return false;
	ASN1_OCTET_STRING *skid = ASN1_OCTET_STRING_new();
	bool ok = skid && ASN1_OCTET_STRING_set(skid, id, (int)len) == 1 &&
		  X509_add1_ext_i2d(cert, NID_subject_key_identifier, skid, 0, 0) == 1;
	ASN1_OCTET_STRING_free(skid);
	const ASN1_OCTET_STRING *parent = issuer ? X509_get0_subject_key_id(issuer) : NULL;
	if (!ok || !parent)
		return ok;
	AUTHORITY_KEYID *akid = AUTHORITY_KEYID_new();
	ok = akid && (akid->keyid = ASN1_OCTET_STRING_dup(parent)) &&
	     X509_add1_ext_i2d(cert, NID_authority_key_identifier, akid, 0, 0) == 1;
	AUTHORITY_KEYID_free(akid);
	return ok;
}

static char *bio_text(BIO *bio)
{
	char *data = NULL;
	long len = BIO_get_mem_data(bio, &data);
	return xstrndup(data ? data : "", data ? (size_t)len : 0);
}

static int write_pair(X509 *cert, EVP_PKEY *key, struct crypt_pair *ret, struct err *err)
{
	_cleanup_(bio_freep) BIO *cert_bio = BIO_new(BIO_s_mem());
	_cleanup_(bio_freep) BIO *key_bio = BIO_new(BIO_s_mem());
	if (!cert_bio || !key_bio || PEM_write_bio_X509(cert_bio, cert) != 1 ||
	    PEM_write_bio_PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL) != 1)
		return fail(err, ERR_INTERNAL, "the new certificate cannot be written");
	ret->cert = bio_text(cert_bio);
	ret->key = bio_text(key_bio);
	return 0;
}

/* All but issuer and signature. */
static int fill_cert(X509 *cert, EVP_PKEY *key, X509 *issuer, const struct crypt_cert_spec *spec,
		     struct err *err)
{
	const char *bad = "";
	if (!X509_set_version(cert, X509_VERSION_3) || !set_serial(cert) ||
	    !set_validity(cert, spec) || X509_set_pubkey(cert, key) != 1)
		return fail(err, ERR_INTERNAL, "the new certificate cannot be filled");
	if (!set_subject(cert, spec))
		return fail(
			err, ERR_INVALID,
			"the certificate's common name (64 characters at most) or organization");
	if (!add_flag_exts(cert, spec) || !add_purposes(cert, spec) || !add_key_ids(cert, issuer))
		return fail(err, ERR_INTERNAL, "the new certificate's extensions");
	if (!add_alt_names(cert, spec, &bad)) {
		fail(err, ERR_INVALID, "not usable as a certificate's name or address");
		return err_wrap(err, "%s", bad);
	}
	return 0;
}

int crypt_make_cert(const struct crypt_cert_spec *spec, const struct crypt_pair *ca,
		    struct crypt_pair *ret, struct err *err)
{
	ERR_clear_error();
	if (spec->not_after <= spec->not_before)
		return err_set(err, ERR_INVALID, "the certificate would end before it begins");
	_cleanup_(x509_freep) X509 *cert = X509_new(), *issuer = NULL;
	_cleanup_(pkey_freep) EVP_PKEY *key = EVP_EC_gen("P-256"), *issuer_key = NULL;
	if (!cert || !key)
		return fail(err, ERR_INTERNAL, "OpenSSL cannot create a P-256 key");
	if (ca && (!(issuer = read_cert(ca->cert, err)) || !(issuer_key = read_key(ca->key, err))))
		return err_wrap(err, "certificate authority");
	int r = fill_cert(cert, key, issuer, spec, err);
	if (r < 0)
		return r;
	if (X509_set_issuer_name(cert, X509_get_subject_name(issuer ? issuer : cert)) != 1 ||
	    X509_sign(cert, issuer_key ? issuer_key : key, EVP_sha256()) == 0)
		return fail(err, ERR_INTERNAL, "the new certificate cannot be signed");
	return write_pair(cert, key, ret, err);
}
