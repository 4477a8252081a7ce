#pragma once
/* The instances of this installation on the provisioning network: where agents and firmware find
 * the one that leads, when it is not the one that they began with. Each tells its address and ports
 * in a ConfigMap (kube/roster.h). Main thread's loop. */

#include <stdint.h>

#include "kube/client.h"

enum { REPLICAS_MAX = 8 }; /* ours included; as many URLs as agents take */

struct replicas;

struct replicas_options {
	struct kube_client *client; /* without a fence; NULL: there is no other instance */
	const char *ns, *name;	    /* of the ConfigMap */
	const char *address;	    /* ours, numeric */
	uint16_t agent_port, http_port;
};

/* Copies everything but the client. */
struct replicas *replicas_new(const struct replicas_options *options);
struct replicas *replicas_free(struct replicas *r);
/* "https://10.0.0.1:6385/path,https://10.0.0.2:6385/path", ours first. New string. */
char *replicas_agent_urls(const struct replicas *r, const char *path);
/* "http://10.0.0.2:6180" of the others, NULL-ended; borrowed until the next call. */
const char *const *replicas_boot_urls(struct replicas *r);
