#pragma once
/* The instances of this installation on the provisioning network: where agents and firmware find
 * the one that leads, when it is not the one that they began with. Each tells its addresses and
 * ports in a ConfigMap (kube/instances.h). Main thread's loop. */

#include <stdint.h>

#include "kube/client.h"
#include "net/net.h"

enum { SITE_INSTANCES_MAX = 8 }; /* ours included; as many URLs as agents take */

struct site_instances;

struct site_instances_options {
	struct kube_client *client;	   /* without a fence; NULL: there is no other instance */
	const char *ns, *name;		   /* of the ConfigMap */
	struct net_addr address, address6; /* ours; one of the two may be unset */
	uint16_t agent_port, http_port;
};

/* Copies everything but the client. */
struct site_instances *site_instances_new(const struct site_instances_options *options);
struct site_instances *site_instances_free(struct site_instances *r);
/* "https://10.0.0.1:6385/path,https://10.0.0.2:6385/path", ours first; of one family (AF_INET,
 * AF_INET6), or AF_UNSPEC: of both. New string. */
char *site_instances_agent_urls(const struct site_instances *r, int family, const char *path);
/* "http://10.0.0.2:6180" of the others, NULL-ended; borrowed until the next call. */
const char *const *site_instances_boot_urls(struct site_instances *r, int family);
