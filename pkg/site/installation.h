#pragma once
/* What belongs to an installation of Ingot and outlives each of its processes: the key of which
 * agent tokens are made, and the CA that agents trust. Both are kept in a Secret, which the
 * first instance creates. Main thread's loop. */

#include "crypt/crypt.h"
#include "kube/client.h"

enum { INSTALLATION_KEY_SIZE = 32 };

struct installation {
	uint8_t key[INSTALLATION_KEY_SIZE];
	struct crypt_pair ca;
};

/* `done` exactly once, with err NULL when *ret is filled; errors that may pass are tried again
 * without limit. err: the Secret is damaged. All arguments are borrowed until then. */
typedef void (*installation_fn)(void *data, const struct err *err);
struct installation_search *installation_find(struct loop *loop, struct kube_client *client,
					      const char *ns, struct installation *ret,
					      installation_fn done, void *data);
/* `done` is not called any more. Returns NULL. */
struct installation_search *installation_cancel(struct installation_search *s);
void installation_release(struct installation *i); /* zeroed */
