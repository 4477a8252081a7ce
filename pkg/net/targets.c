/* Policies for outgoing connections: --allow-target, --bmc-networks, --cluster-networks, and what
 * Ingot knows by itself: the provisioning network by the interface, the API server by the URL that
 * it was given. Filled once, then only read. */

#include "net/targets.h"

#include <ifaddrs.h>
#include <netdb.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/options.h"

const struct option_row net_target_rows[] = {
	{ .name = "bmc-networks",
	  .argument = "CIDR[,CIDR..]",
	  .help = "connect to BMCs in these networks only",
	  .type = &net_option_prefixes,
	  .offset = offsetof(struct net_target_options, bmc_networks) },
	{ .name = "cluster-networks",
	  .argument = "CIDR[,CIDR..]",
	  .help = "never connect to these networks: the cluster's Services and pods",
	  .type = &net_option_prefixes,
	  .offset = offsetof(struct net_target_options, cluster_networks) },
	{ .name = "allow-target",
	  .argument = "CIDR",
	  .help = "always allow outgoing connections to this network; may be repeated",
	  .type = &net_option_prefixes_repeat,
	  .offset = offsetof(struct net_target_options, allow) },
	{ .name = NULL },
};

/* How many bits of a netmask are set. */
static unsigned mask_bits(const struct net_addr *mask)
{
	const uint8_t *bytes = mask->v6.sin6_addr.s6_addr;
	unsigned bits = 0;
	if (net_family(mask) == AF_INET)
		return (unsigned)__builtin_popcount(net_to_v4(mask).s_addr);
	for (size_t i = 0; i < sizeof(struct in6_addr); i++)
		bits += (unsigned)__builtin_popcount(bytes[i]);
	return bits;
}

static bool read_interface(const struct ifaddrs *i, struct net_addr *ret, struct net_addr *ret_mask)
{
	int family = i->ifa_addr && i->ifa_netmask ? i->ifa_addr->sa_family : AF_UNSPEC;
	socklen_t len = family == AF_INET6 ? sizeof(ret->v6) : sizeof(ret->v4);
	return (family == AF_INET || family == AF_INET6) &&
	       net_from_sockaddr(i->ifa_addr, len, ret) == 0 &&
	       net_from_sockaddr(i->ifa_netmask, len, ret_mask) == 0;
}

/* Hosts of the provisioning network are those of our own addresses' subnets there. */
static void add_interface(struct net_targets *p, const char *device, const struct net_pair *own)
{
	struct ifaddrs *list;
	struct net_addr a, mask;
	if (getifaddrs(&list) < 0)
		return; /* without that address the start fails a little later, with better words */
	for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
		if (!streq(i->ifa_name, device) || !read_interface(i, &a, &mask) ||
		    (!net_same_ip(&a, &own->v4) && !net_same_ip(&a, &own->v6)))
			continue;
		struct net_prefix subnet = net_prefix_of(&a, mask_bits(&mask));
		net_prefixes_add(&p->agents.only, &subnet);
	}
	freeifaddrs(list);
}

static void add_all(struct net_prefixes *list, const struct net_prefixes *more)
{
	for (size_t i = 0; i < more->count; i++)
		net_prefixes_add(list, &more->items[i]);
}

static void make_common(const struct net_target_options *o, struct net_policy *p)
{
	add_all(&p->refuse, &o->cluster_networks);
	add_all(&p->refuse, &o->api_servers);
	add_all(&p->allow, &o->allow);
}

void net_targets_make(const struct net_target_options *o, const char *device,
		      const struct net_pair *addresses, struct net_targets *ret)
{
	*ret = (struct net_targets){ .bmcs.only_name = "the networks of --bmc-networks",
				     .agents.only_name = "the provisioning network" };
	make_common(o, &ret->bmcs);
	make_common(o, &ret->agents);
	add_all(&ret->bmcs.only, &o->bmc_networks);
	if (device)
		add_interface(ret, device, addresses);
}

void net_targets_done(struct net_targets *p)
{
	net_policy_done(&p->bmcs);
	net_policy_done(&p->agents);
}

/* --- the API server --- */

static void add_host(const char *host, struct net_prefixes *list)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
	int error = getaddrinfo(host, NULL, &hints, &found);
	if (error != 0) {
		log_warn(
			"the API server's name is not known now; its address is not refused to BMCs",
			"server", host, "error", gai_strerror(error));
		return;
	}
	for (const struct addrinfo *i = found; i; i = i->ai_next) {
		struct net_prefix p = { 0 };
		if (net_from_sockaddr(i->ai_addr, i->ai_addrlen, &p.addr) < 0)
			continue;
		net_set_port(&p.addr, 0);
		p.bits = net_bits(net_family(&p.addr));
		net_prefixes_add(list, &p);
	}
	freeaddrinfo(found);
}

void net_targets_add_server(const char *url, struct net_prefixes *list)
{
	const char *inside = getenv("KUBERNETES_SERVICE_HOST");
	const char *host = strstr(url, "://");
	host = host ? host + 3 : url;
	bool bracket = *host == '[';
	host += bracket;
	_cleanup_(freep) char *name = xstrndup(host, strcspn(host, bracket ? "]" : ":/"));
	add_host(name, list);
	if (!str_empty(inside))
		add_host(inside, list);
}
