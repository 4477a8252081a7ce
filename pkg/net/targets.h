#pragma once
/* Whom Ingot may connect to, made from its options. Blocking (names are resolved); main thread, at
 * start. */

#include "base/options.h"
#include "net/options.h"
#include "net/policy.h"

/* Filled by net_target_rows. */
struct net_target_options {
	struct net_prefixes bmc_networks, cluster_networks, allow;
	/* No option: what the command knows of its cluster. */
	struct net_prefixes api_servers;
};

extern const struct option_row net_target_rows[];

struct net_targets {
	struct net_policy bmcs;
	struct net_policy agents; /* inside the provisioning network, and where DHCP serves */
};

/* Of the options; `device` of the provisioning network, or NULL, and our addresses there. */
void net_targets_make(const struct net_target_options *options, const char *device,
		      const struct net_pair *addresses, struct net_targets *ret);
void net_targets_done(struct net_targets *p);

/* The addresses that a cluster's API server is reached at, and inside the cluster that of its
 * Service, go to the list: a BareMetalHost must not make Ingot connect to them. */
void net_targets_add_server(const char *url, struct net_prefixes *list);
