#pragma once
/* What pkg/http needs of OpenSSL beyond libcurl's own options, so that openssl's headers stay in
 * this module. any thread */

#include "base/err.h"

/* For one connection context (an SSL_CTX *) to an old BMC: legacy renegotiation, and no complaint
 * when the peer closes without close_notify. The security level is set by the cipher list. */
void crypt_tls_allow_legacy(void *ssl_ctx);
/* What was received is zeroed in OpenSSL's buffers as soon as it was taken from them. */
void crypt_tls_cleanse(void *ssl_ctx);
/* Before anything else of OpenSSL: what it frees is zeroed, the plain text of connections included.
 */
void crypt_zero_freed(void);
enum { CRYPT_SHA256_HEX = 65 };
/* Of the certificate that the peer of a connection (an SSL *) has shown, in lower case; "" when
 * there is none. */
void crypt_tls_peer_sha256(void *ssl, char ret[CRYPT_SHA256_HEX]);
/* OpenSSL's words for a result of certificate verification: "certificate has expired". */
const char *crypt_tls_verify_text(long result);
/* That the key (PEM, no password) belongs to the first certificate: files that are replaced one
 * after the other do not match for a moment. */
int crypt_pair_check(const char *cert, const char *key, struct err *err);
