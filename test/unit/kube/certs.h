#pragma once
/* Certificates of API servers and clients that tests make. To be included behind cmocka.h. */

#include "crypt/crypt.h"

/* Valid from 2020 to 2099. */
static inline struct crypt_pair make_cert(struct crypt_cert_spec spec,
					  const struct crypt_pair *signer)
{
	struct crypt_pair pair = { 0 };
	spec.not_before = UINT64_C(1577836800) * USEC_PER_SEC;
	spec.not_after = UINT64_C(4070908800) * USEC_PER_SEC;
	assert_int_equal(crypt_make_cert(&spec, signer, &pair, NULL), 0);
	return pair;
}

/* An API server's on the loopback. */
static inline struct crypt_pair make_leaf(const struct crypt_pair *ca)
{
	static const char *const addresses[] = { "127.0.0.1", NULL };
	return make_cert((struct crypt_cert_spec){ .common_name = "api",
						   .addresses = addresses,
						   .server = true },
			 ca);
}
