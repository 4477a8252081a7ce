#pragma once
/* Whom Ingot may connect to, made from its options. Blocking (names are resolved); main thread, at
 * start. */

#include "manager.h"
#include "net/policy.h"

struct policies {
	struct net_policy bmcs;
	struct net_policy agents; /* inside the provisioning network */
};

int policies_make(const struct manager_options *options, struct policies *ret, struct err *err);
/* DHCP gives addresses of this network to hosts. */
void policies_add_subnet(struct policies *p, struct in_addr address, struct in_addr netmask);
void policies_done(struct policies *p);

/* The addresses that a cluster's API server is reached at, and inside the cluster that of its
 * Service, go to the list: nobody who may write a BareMetalHost shall make us knock there. */
void policies_add_server(const char *url, struct net_prefixes *list);
