#pragma once
/* What belongs to an installation of Ingot and outlives each of its processes: the key of which
 * agent tokens are made, and the CA that agents trust. Both are kept in a Secret, which the
 * first instance creates. Main thread's loop. */

#include "crypt/crypt.h"
#include "kube/client.h"

enum { SITE_KEY_SIZE = 32 };

struct site_installation {
	uint8_t key[SITE_KEY_SIZE];
	struct crypt_pair ca;
};

/* `done` exactly once, with err NULL when *ret is filled; errors that may pass are tried again
 * without limit. err: the Secret is damaged. All arguments are borrowed until then. */
typedef void (*site_installation_fn)(void *data, const struct err *err);
struct site_installation_search *site_installation_find(struct loop *loop,
							struct kube_client *client, const char *ns,
							struct site_installation *ret,
							site_installation_fn done, void *data);
/* `done` is not called any more. Returns NULL. */
struct site_installation_search *site_installation_cancel(struct site_installation_search *s);
void site_installation_release(struct site_installation *i); /* zeroed */
