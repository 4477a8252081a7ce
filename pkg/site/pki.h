#pragma once
/* The certificates of `ingot standalone`: its own CA, a server certificate, an administrator's.
 * Kept in a directory, made when absent, renewed when they end soon. Main thread, at start. */

#include "base/clock.h"
#include "crypt/crypt.h"

struct site_pki {
	struct crypt_pair ca, server, admin;
};

/* `address`: what the server listens on, to be named in its certificate beside localhost and the
 * host's name. */
int site_pki_open(const char *directory, const char *address, usec_t wall, struct site_pki *ret,
		  struct err *err);
/* While it runs: leaves that end soon, or are not valid, are made anew. */
int site_pki_renew(const char *directory, const char *address, usec_t wall, struct site_pki *p,
		   bool *ret_new, struct err *err);
void site_pki_done(struct site_pki *p);
/* A kubeconfig with the administrator's certificate in it; the caller frees it with secret_free. */
char *site_pki_kubeconfig(const struct site_pki *p, const char *url);
/* The same for a user with a bearer token. */
char *site_pki_kubeconfig_for_token(const char *ca, const char *url, const char *user,
				    const char *token);
