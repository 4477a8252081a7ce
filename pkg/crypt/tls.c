/* Small services around TLS (see tls.h). */

#include "crypt/tls.h"

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

void crypt_tls_allow_legacy(void *ssl_ctx)
{
	SSL_CTX_set_options(ssl_ctx, SSL_OP_LEGACY_SERVER_CONNECT | SSL_OP_IGNORE_UNEXPECTED_EOF);
}

const char *crypt_tls_verify_text(long result)
{
	return X509_verify_cert_error_string(result);
}
