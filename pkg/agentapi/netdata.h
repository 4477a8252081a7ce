#pragma once
/* Network data of a host, in the grammar of OpenStack's network_data.json as cloud-init reads it:
 *
 *	links	  types phy, bond, vlan. What OpenStack calls the other end of a NIC (bridge,
 *		  ethernet, hw_veb, ovs, tap, vif, ...) is the NIC with that MAC.
 *	networks  types ipv4, ipv6, ipv4_dhcp, ipv6_dhcp, ipv6_slaac, ipv6_dhcpv6-stateless,
 *		  ipv6_dhcpv6-stateful. static and static6 are ipv4 and ipv6.
 *	services  type dns, for the host or for one network.
 *
 * What is wrong is left out and named in `problems` ("links[1] \"bond0\": bond_mode: ..."); the
 * rest is kept, since most of a network is more than none. What depends on something left out is
 * left out, too, and says so. What is not known is named and passed over. Members that say null are
 * absent. Pure; any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/net.h"

enum {
	NETDATA_TEXT_MAX = 256 << 10,
	NETDATA_LINKS_MAX = 128,
	NETDATA_NETWORKS_MAX = 256,
	NETDATA_ROUTES_MAX = 64, /* of one network */
	NETDATA_DNS_MAX = 16,
	NETDATA_SEARCH_MAX = 16,
	NETDATA_OPTIONS_MAX = 32, /* of one bond */
	NETDATA_PROBLEMS_MAX = 64,
	NETDATA_PROBLEM_SIZE = 256,
	NETDATA_ID_SIZE = 65,
	NETDATA_NAME_SIZE = 16,
};

enum netdata_kind { NETDATA_NIC, NETDATA_BOND, NETDATA_VLAN };

/* An option of a bond by the kernel's name (a file of /sys/class/net/BOND/bonding), and the member
 * that gave it. */
struct netdata_option {
	const char *name;
	char *key, *value;
};

struct netdata_link {
	char id[NETDATA_ID_SIZE]; /* how networks and other links call it */
	enum netdata_kind kind;
	/* NIC: which one; its name counts if there is no MAC. Others: the MAC that they get. */
	bool has_mac;
	struct net_mac mac;
	char name[NETDATA_NAME_SIZE];
	unsigned mtu; /* 0: as it is */
	/* Of a bond its ports, of a VLAN what is below it: indices, smaller than the link's own. */
	size_t *below;
	size_t below_count;
	unsigned vlan_id;
	struct netdata_option *options; /* in the order in which the kernel takes them */
	size_t option_count;
	bool in_bond; /* a port: it has no networks */
};

struct netdata_route {
	struct net_prefix to;
	struct net_addr gateway; /* AF_UNSPEC: on the link */
	unsigned metric;	 /* 0: none given */
};

enum netdata_method {
	NETDATA_STATIC,
	NETDATA_DHCP4,
	NETDATA_SLAAC,		 /* by router advertisements alone */
	NETDATA_DHCP6_STATELESS, /* the same, and DNS by DHCPv6 */
	NETDATA_DHCP6,		 /* the address by DHCPv6, routes by router advertisements */
};

struct netdata_network {
	char id[NETDATA_ID_SIZE];
	size_t link;
	enum netdata_method method;
	struct net_addr address; /* static */
	unsigned bits;
	struct netdata_route *routes;
	size_t route_count;
};

struct netdata {
	struct netdata_link *links; /* each behind those that it stands on */
	size_t link_count;
	struct netdata_network *networks;
	size_t network_count;
	struct net_addr dns[NETDATA_DNS_MAX];
	size_t dns_count;
	char *search[NETDATA_SEARCH_MAX];
	size_t search_count;
	char problems[NETDATA_PROBLEMS_MAX][NETDATA_PROBLEM_SIZE];
	size_t problem_count;
	size_t problems_left_out;
	char wrong[NETDATA_PROBLEM_SIZE]; /* the first problem that left something out; "": none */
};

/* Fails only for what is no JSON object or too large; all else is in `problems`. A struct netdata
 * is large: not for the stack. */
int netdata_parse(const char *text, size_t len, struct netdata **ret, struct err *err);
/* For those who hand the data on: ERR_INVALID names the first place that would be left out. Members
 * that are not known are no error. */
int netdata_check(const char *text, size_t len, struct err *err);
struct netdata *netdata_free(struct netdata *n);
void netdata_freep(struct netdata **n);
