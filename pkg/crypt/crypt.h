#pragma once
/* Cryptography by OpenSSL: digests, HMAC, and the few certificates that Ingot makes itself.
 * Random bytes come from the caller (loop_random) where the simulation must own them; keys are made
 * by OpenSSL's own generator. any thread */

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/macro.h"

/* --- digests --------------------------------------------------------------------------------- */

enum digest { DIGEST_MD5, DIGEST_SHA1, DIGEST_SHA256, DIGEST_SHA512 };
enum { DIGEST_SIZE_MAX = 64, DIGEST_HEX_MAX = 129 };

size_t digest_size(enum digest d);		      /* bytes */
const char *digest_name(enum digest d);		      /* "sha256" */
int digest_parse(const char *name, enum digest *ret); /* -EINVAL */

struct digest_ctx;
struct digest_ctx *digest_new(enum digest d);
void digest_update(struct digest_ctx *c, const void *data, size_t len);
/* Once; lower-case hex. */
void digest_finish_hex(struct digest_ctx *c, char out[DIGEST_HEX_MAX]);
struct digest_ctx *digest_free(struct digest_ctx *c);
void digest_hex(enum digest d, const void *data, size_t len, char out[DIGEST_HEX_MAX]);

void hmac_sha256(const void *key, size_t key_len, const void *data, size_t len, uint8_t out[32]);

/* --- certificates ---------------------------------------------------------------------------- */

/* PEM texts; key is zeroed at release. */
struct crypt_pair {
	char *cert;
	char *key;
};

struct crypt_cert_spec {
	const char *common_name;
	const char *const
		*organizations;	      /* subject O, NULL-ended; Kubernetes groups; may be NULL */
	const char *const *dns_names; /* NULL-ended; may be NULL */
	const char *const *addresses; /* IP literals, NULL-ended; may be NULL */
	usec_t not_before, not_after; /* wall */
	bool is_ca;
	bool server, client; /* extended key usage */
};

void crypt_pair_release(struct crypt_pair *p);
/* EC P-256. Self-signed when ca is NULL. */
int crypt_make_cert(const struct crypt_cert_spec *spec, const struct crypt_pair *ca,
		    struct crypt_pair *ret, struct err *err);
/* End of validity of the first certificate in the PEM text. */
int crypt_cert_not_after(const char *pem, usec_t *ret, struct err *err);
int crypt_cert_validity(const char *pem, usec_t *ret_from, usec_t *ret_to, struct err *err);
/* Is it valid at that time, by both ends? The error names them and the time. */
int crypt_cert_check_time(const char *pem, usec_t wall, struct err *err);
/* Subject common name and organizations ("\n"-joined) of a PEM certificate; new strings. */
int crypt_cert_subject(const char *pem, char **ret_common_name, char **ret_organizations,
		       struct err *err);
