/* Links are made in the order of the data, which has each behind those that it stands on; then
 * addresses, then routes, then the wait for duplicate address detection. Names are the kernel's
 * own: bond0, bond1, … and PARENT.ID. Bonds get their options by sysfs, which takes names as the
 * data has them and answers for each option alone. */

#include "agent/network/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/hw/nics.h"
#include "agent/hw/sysfs.h"
#include "agent/network/rtnl.h"
#include "base/mem.h"

enum {
	METRIC_FIRST = 100, /* of the first network's default route; then one by one */
	RECHECK_MS = 1000,
};

struct applied {
	char name[IF_NAMESIZE];
	unsigned index; /* 0: the link is not there */
};

struct run {
	const struct netdata *n;
	const struct network_options *options;
	struct network_result *result;
	struct applied *links;
	struct rtnl rtnl;
	unsigned bonds;
};

static _printf_(2, 3) void problem(struct run *r, const char *fmt, ...)
{
	char text[700];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	strbuf_addf(&r->result->problems, "%s\n", text);
}

static void link_problem(struct run *r, size_t i, const char *what, const struct err *err)
{
	problem(r, "link \"%s\": %s: %s", r->n->links[i].id, what, err->text);
}

/* --- waiting --------------------------------------------------------------------------------- */

static int open_events(void)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK,
				       .nl_groups = RTMGRP_LINK | RTMGRP_IPV6_IFADDR };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (fd >= 0)
		(void)bind(fd, (const struct sockaddr *)&address, sizeof(address));
	return fd;
}

/* Looks again at each event of the kernel, at most max_ms. */
static void wait_until(struct run *r, unsigned max_ms, bool (*done)(struct run *r))
{
	int fd = open_events();
	const struct loop *loop = r->options->loop;
	usec_t end = loop_now(loop) + max_ms * USEC_PER_MSEC;
	for (usec_t now; !done(r) && (now = loop_now(loop)) < end;) {
		char drain[8192];
		struct pollfd wait = { .fd = fd, .events = POLLIN };
		(void)poll(&wait, 1, (int)MIN((end - now) / USEC_PER_MSEC + 1, (usec_t)RECHECK_MS));
		while (fd >= 0 && recv(fd, drain, sizeof(drain), 0) > 0)
			;
	}
	if (fd >= 0)
		close(fd);
}

/* --- links ----------------------------------------------------------------------------------- */

static const char *nic_name(const struct hw_nics *nics, const struct netdata_link *l)
{
	char mac[NET_MAC_TEXT_SIZE];
	if (l->has_mac) {
		const struct hw_nic *nic = hw_nics_find(nics, net_format_mac(&l->mac, mac));
		return nic ? nic->name : NULL;
	}
	for (size_t i = 0; i < nics->count; i++)
		if (streq(nics->items[i].name, l->name))
			return l->name;
	return NULL;
}

static bool nics_there(struct run *r)
{
	struct hw_nics nics = hw_nics_read(r->options->root);
	bool all = true;
	for (size_t i = 0; i < r->n->link_count; i++)
		all &= r->n->links[i].kind != NETDATA_NIC || nic_name(&nics, &r->n->links[i]);
	hw_nics_done(&nics);
	return all;
}

static void find_nics(struct run *r)
{
	struct hw_nics nics = hw_nics_read(r->options->root);
	for (size_t i = 0; i < r->n->link_count; i++) {
		const struct netdata_link *l = &r->n->links[i];
		char mac[NET_MAC_TEXT_SIZE];
		const char *name = l->kind == NETDATA_NIC ? nic_name(&nics, l) : NULL;
		if (name) {
			snprintf(r->links[i].name, sizeof(r->links[i].name), "%s", name);
			r->links[i].index = if_nametoindex(name);
		} else if (l->kind == NETDATA_NIC) {
			problem(r, "link \"%s\": this machine has no NIC %s", l->id,
				l->has_mac ? net_format_mac(&l->mac, mac) : l->name);
		}
	}
	hw_nics_done(&nics);
}

/* One write: sysfs takes a value whole or not at all. */
static int write_sysfs(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = write(fd, value, strlen(value)) < 0 ? -errno : 0;
	close(fd);
	return r;
}

/* IPv6 of an interface: a key of /proc/sys/net/ipv6/conf. Absent where the kernel has no IPv6. */
static void set_ipv6(const struct run *r, const char *name, const char *key, const char *value)
{
	_cleanup_(freep) char *path = xasprintf("%s/proc/sys/net/ipv6/conf/%s/%s", r->options->root,
						name, key);
	(void)write_sysfs(path, value);
}

static bool has_network(const struct run *r, size_t link, enum netdata_method method)
{
	for (size_t i = 0; i < r->n->network_count; i++)
		if (r->n->networks[i].link == link && r->n->networks[i].method == method)
			return true;
	return false;
}

/* Before the link goes up: then the kernel asks for advertisements, and one that it was not to take
 * would give the link an address. */
static void set_advertisements(const struct run *r, size_t link)
{
	bool own = has_network(r, link, NETDATA_SLAAC) ||
		   has_network(r, link, NETDATA_DHCP6_STATELESS);
	bool any = own || has_network(r, link, NETDATA_DHCP6);
	set_ipv6(r, r->links[link].name, "autoconf", own ? "1" : "0");
	set_ipv6(r, r->links[link].name, "accept_ra", any ? "1" : "0");
}

/* The option's value as the kernel wants it: `primary` names a link of the data. */
static const char *kernel_value(const struct run *r, const struct netdata_option *o)
{
	for (size_t i = 0; streq(o->name, "primary") && i < r->n->link_count; i++)
		if (streq(r->n->links[i].id, o->value) && r->links[i].index)
			return r->links[i].name;
	return o->value;
}

/* Addresses to ask for by ARP are added one at a time. */
static int write_targets(const char *path, const char *list)
{
	int result = 0;
	for (const char *p = list; *p && result == 0;) {
		size_t len = strcspn(p, ",");
		_cleanup_(freep) char *item = xasprintf("+%.*s", (int)len, p);
		result = write_sysfs(path, item);
		p += len + (p[len] == ',');
	}
	return result;
}

static void set_options(struct run *r, size_t i)
{
	const struct netdata_link *l = &r->n->links[i];
	for (size_t k = 0; k < l->option_count; k++) {
		const struct netdata_option *o = &l->options[k];
		const char *value = kernel_value(r, o);
		_cleanup_(freep) char *path = xasprintf("%s/sys/class/net/%s/bonding/%s",
							r->options->root, r->links[i].name,
							o->name);
		int result = streq(o->name, "arp_ip_target") ? write_targets(path, value)
							     : write_sysfs(path, value);
		struct err err;
		if (result == 0)
			continue;
		(void)err_set_errno(&err, -result, "the kernel refuses %s", value);
		link_problem(r, i, o->key, &err);
	}
}

static void add_ports(struct run *r, size_t i)
{
	const struct netdata_link *l = &r->n->links[i];
	for (size_t k = 0; k < l->below_count; k++) {
		const struct applied *port = &r->links[l->below[k]];
		struct err err;
		if (!port->index)
			continue; /* named already */
		_cleanup_(freep) char *master = hw_link_name(
			r->options->root, "/sys/class/net/%s/master", port->name);
		if (streq(master, r->links[i].name))
			continue;
		/* The kernel takes ports that are down only, and brings them up itself. */
		set_advertisements(r, l->below[k]);
		if (rtnl_set_up(&r->rtnl, port->index, false, &err) < 0 ||
		    rtnl_set_master(&r->rtnl, port->index, r->links[i].index, &err) < 0)
			problem(r, "link \"%s\": bond_links: cannot take \"%s\" (%s): %s", l->id,
				r->n->links[l->below[k]].id, port->name, err.text);
	}
}

static bool make_bond(struct run *r, size_t i)
{
	struct applied *a = &r->links[i];
	struct err err;
	snprintf(a->name, sizeof(a->name), "bond%u", r->bonds++);
	a->index = if_nametoindex(a->name);
	if (!a->index) {
		if (rtnl_add_bond(&r->rtnl, a->name, &err) < 0) {
			link_problem(r, i, "cannot make the bond", &err);
			return false;
		}
		a->index = if_nametoindex(a->name);
		set_options(r, i);
	}
	return true;
}

/* PARENT.ID where it fits into the kernel's 15 characters. */
static void vlan_name(const struct applied *below, unsigned id, char out[IF_NAMESIZE])
{
	char name[2 * IF_NAMESIZE];
	int len = snprintf(name, sizeof(name), "%s.%u", below->name, id);
	if (len >= IF_NAMESIZE)
		snprintf(name, sizeof(name), "v%u.%u", below->index % 100000, id);
	snprintf(out, IF_NAMESIZE, "%.15s", name);
}

static bool make_vlan(struct run *r, size_t i)
{
	const struct netdata_link *l = &r->n->links[i];
	const struct applied *below = &r->links[l->below[0]];
	struct applied *a = &r->links[i];
	struct err err;
	if (!below->index) {
		problem(r, "link \"%s\": vlan_link: \"%s\" is not there", l->id,
			r->n->links[l->below[0]].id);
		return false;
	}
	vlan_name(below, l->vlan_id, a->name);
	a->index = if_nametoindex(a->name);
	if (!a->index && rtnl_add_vlan(&r->rtnl, a->name, below->index, l->vlan_id, &err) < 0) {
		link_problem(r, i, "cannot make the VLAN", &err);
		return false;
	}
	a->index = if_nametoindex(a->name);
	return a->index != 0;
}

static bool make_link(struct run *r, size_t i)
{
	switch (r->n->links[i].kind) {
	case NETDATA_NIC:
		return r->links[i].index != 0;
	case NETDATA_BOND:
		return make_bond(r, i);
	case NETDATA_VLAN:
		return make_vlan(r, i);
	}
	return false;
}

static bool has_this_mac(const struct run *r, size_t i)
{
	char mac[NET_MAC_TEXT_SIZE];
	_cleanup_(freep) char *now = hw_read(r->options->root, "/sys/class/net/%s/address",
					     r->links[i].name);
	return streq(now, net_format_mac(&r->n->links[i].mac, mac));
}

static void set_up_link(struct run *r, size_t i)
{
	const struct netdata_link *l = &r->n->links[i];
	const struct applied *a = &r->links[i];
	struct err err;
	if (!make_link(r, i))
		return;
	/* A bond takes its first port's MAC unless it has one of its own before. */
	if (l->kind != NETDATA_NIC && l->has_mac && !has_this_mac(r, i) &&
	    rtnl_set_mac(&r->rtnl, a->index, &l->mac, &err) < 0)
		link_problem(r, i, "cannot set its MAC", &err);
	if (l->kind == NETDATA_BOND)
		add_ports(r, i);
	if (l->mtu && rtnl_set_mtu(&r->rtnl, a->index, l->mtu, &err) < 0)
		link_problem(r, i, "mtu", &err);
	/* A port is brought up by its bond. */
	if (l->in_bond)
		return;
	set_advertisements(r, i);
	if (rtnl_set_up(&r->rtnl, a->index, true, &err) < 0)
		link_problem(r, i, "cannot bring it up", &err);
}

/* --- networks -------------------------------------------------------------------------------- */

static void network_problem(struct run *r, size_t i, const char *what, const char *why)
{
	const struct netdata_network *w = &r->n->networks[i];
	problem(r, "network \"%s\" on link \"%s\": %s: %s", w->id, r->n->links[w->link].id, what,
		why);
}

static void set_address(struct run *r, size_t i)
{
	const struct netdata_network *w = &r->n->networks[i];
	char ip[NET_IP_TEXT_MAX];
	struct err err;
	if (rtnl_add_address(&r->rtnl, r->links[w->link].index, &w->address, w->bits, &err) < 0)
		network_problem(r, i, net_format_ip(&w->address, ip), err.text);
}

/* Several default routes differ in their metric, by the order of their networks. */
static void set_routes(struct run *r, size_t i)
{
	const struct netdata_network *w = &r->n->networks[i];
	for (size_t k = 0; k < w->route_count; k++) {
		const struct netdata_route *o = &w->routes[k];
		unsigned metric = o->metric || o->to.bits > 0 ? o->metric
							      : METRIC_FIRST + (unsigned)i;
		char to[NET_PREFIX_TEXT_MAX];
		struct err err;
		if (rtnl_add_route(&r->rtnl, r->links[w->link].index, &o->to, &o->gateway, metric,
				   &err) >= 0)
			continue;
		_cleanup_(freep) char *what = xasprintf("route to %s",
							net_format_prefix(&o->to, to));
		network_problem(r, i, what, err.text);
	}
}

static void leave_to_programs(struct run *r, size_t i)
{
	const struct netdata_network *w = &r->n->networks[i];
	const char *name = r->links[w->link].name;
	switch (w->method) {
	case NETDATA_STATIC:
		break;
	case NETDATA_SLAAC:
		strbuf_addf(&r->result->todo, "slaac %s\n", name);
		break;
	case NETDATA_DHCP4:
		strbuf_addf(&r->result->todo, "dhcp4 %s %u\n", name, METRIC_FIRST + (unsigned)i);
		break;
	case NETDATA_DHCP6_STATELESS:
		strbuf_addf(&r->result->todo, "slaac %s\n", name);
		if (r->n->dns_count == 0)
			network_problem(r, i, "ipv6_dhcpv6-stateless",
					"DNS servers are not asked for by DHCPv6 without an "
					"address; name them in services");
		break;
	case NETDATA_DHCP6:
		strbuf_addf(&r->result->todo, "dhcp6 %s\n", name);
		break;
	}
}

static enum rtnl_address_state address_state(struct run *r, size_t i)
{
	const struct netdata_network *w = &r->n->networks[i];
	return rtnl_address_state(&r->rtnl, r->links[w->link].index, &w->address);
}

static bool waits_for(const struct run *r, size_t i)
{
	const struct netdata_network *w = &r->n->networks[i];
	return w->method == NETDATA_STATIC && r->links[w->link].index != 0;
}

static bool has_carrier(const struct run *r, size_t link)
{
	uint64_t carrier = 0;
	return hw_read_u64(r->options->root, &carrier, "/sys/class/net/%s/carrier",
			   r->links[link].name) &&
	       carrier == 1;
}

/* An IPv4 address without carrier reaches nobody, like an IPv6 one that is still tentative. */
static bool addresses_settled(struct run *r)
{
	for (size_t i = 0; i < r->n->network_count; i++)
		if (waits_for(r, i) && (!has_carrier(r, r->n->networks[i].link) ||
					address_state(r, i) == RTNL_ADDRESS_TENTATIVE))
			return false;
	return true;
}

static void judge_address(struct run *r, size_t i)
{
	char ip[NET_IP_TEXT_MAX];
	const char *text = net_format_ip(&r->n->networks[i].address, ip);
	if (!has_carrier(r, r->n->networks[i].link)) {
		network_problem(r, i, text, "the link has no carrier");
		return;
	}
	switch (address_state(r, i)) {
	case RTNL_ADDRESS_USABLE:
		r->result->applied++;
		break;
	case RTNL_ADDRESS_TENTATIVE:
		network_problem(r, i, text, "duplicate address detection has not ended in time");
		break;
	case RTNL_ADDRESS_DUPLICATE:
		network_problem(r, i, text, "another machine on the link has this address");
		break;
	case RTNL_ADDRESS_ABSENT:
		break; /* named already */
	}
}

/* --- all of it ------------------------------------------------------------------------------- */

static void copy_problems(struct run *r)
{
	for (size_t i = 0; i < r->n->problem_count; i++)
		strbuf_addf(&r->result->problems, "%s\n", r->n->problems[i]);
	if (r->n->problems_left_out)
		problem(r, "and %zu more", r->n->problems_left_out);
}

static void apply_networks(struct run *r)
{
	for (size_t i = 0; i < r->n->network_count; i++)
		if (waits_for(r, i))
			set_address(r, i);
	/* After all addresses: a gateway may be in another network of the same link. */
	for (size_t i = 0; i < r->n->network_count; i++)
		if (waits_for(r, i))
			set_routes(r, i);
	for (size_t i = 0; i < r->n->network_count; i++)
		if (r->links[r->n->networks[i].link].index)
			leave_to_programs(r, i);
		else
			network_problem(r, i, "left out", "its link is not there");
}

void network_apply(const struct netdata *n, const struct network_options *options,
		   struct network_result *ret)
{
	struct run r = { .n = n, .options = options, .result = ret };
	struct err err;
	copy_problems(&r);
	if (rtnl_open(&r.rtnl, &err) < 0) {
		problem(&r, "%s", err.text);
		return;
	}
	r.links = xcalloc(n->link_count + 1, sizeof(*r.links));
	wait_until(&r, options->nic_wait_ms, nics_there);
	find_nics(&r);
	for (size_t i = 0; i < n->link_count; i++)
		set_up_link(&r, i);
	apply_networks(&r);
	wait_until(&r, options->address_wait_ms, addresses_settled);
	for (size_t i = 0; i < n->network_count; i++)
		if (waits_for(&r, i))
			judge_address(&r, i);
	rtnl_close(&r.rtnl);
	free(r.links);
}

void network_result_done(struct network_result *r)
{
	strbuf_done(&r->todo);
	strbuf_done(&r->problems);
}

char *network_resolv_conf(const struct netdata *n)
{
	struct strbuf text = { 0 };
	for (size_t i = 0; i < n->search_count; i++)
		strbuf_addf(&text, "%s%s", i ? " " : "search ", n->search[i]);
	if (n->search_count)
		strbuf_addc(&text, '\n');
	for (size_t i = 0; i < n->dns_count; i++) {
		char ip[NET_IP_TEXT_MAX];
		strbuf_addf(&text, "nameserver %s\n", net_format_ip(&n->dns[i], ip));
	}
	return strbuf_take(&text, NULL);
}
