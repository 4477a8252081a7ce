#pragma once
/* Types of options whose values are addresses, networks or names of machines (base/options.h). */

#include "base/options.h"
#include "net/net.h"

/* Where a server listens. */
struct net_listen {
	bool off;
	struct net_addr addr;
};

/* A machine's addresses on one network: one of each family, or one of the two. */
struct net_pair {
	struct net_addr v4, v6; /* not set: none */
};

struct net_addrs {
	struct net_addr *items;
	size_t count;
};

extern const struct option_type net_option_address, /* struct net_addr, with a port or row->port */
	net_option_ip,				    /* struct net_addr; neither name nor port */
	net_option_pair,    /* struct net_pair; of machines that others reach: not link-local, :: */
	net_option_machine, /* struct net_addr; of such a machine */
	net_option_machine_list,   /* struct net_addrs of these, with commas; max: how many */
	net_option_machine_repeat, /* the same, repeated */
	net_option_listen,   /* struct net_listen: "[ADDRESS]:PORT", ":PORT"; "0" or "": off */
	net_option_prefixes, /* struct net_prefixes, with commas; may be empty */
	net_option_prefixes_repeat, /* struct net_prefixes, with commas, repeated */
	net_option_host,	    /* const char *: a DNS name or a numeric address */
	net_option_hosts;	    /* struct option_list of these, repeated */
