/* The --dhcp… options: one range per subnet, the gateways told to subnets by their addresses, and
 * what all subnets share. What contradicts itself is refused here, at the start, by the name of the
 * option, because a wrong lease shows only when a machine somewhere does not boot. Pure; main
 * thread. */

#include "dhcp_options.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

enum { LEASE_MIN_S = 120, LEASE_MAX_S = 30 * 24 * 3600, DOMAIN_MAX = 253 };

static const struct {
	const char *name;
	enum boot_dhcp mode;
} modes[] = { { "server", BOOT_DHCP_SERVER },
	      { "proxy", BOOT_DHCP_PROXY },
	      { "off", BOOT_DHCP_OFF } };

static int parse_mode(const char *text, enum boot_dhcp *ret, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
		if (streq(text, modes[i].name)) {
			*ret = modes[i].mode;
			return 0;
		}
	return err_set(err, ERR_INVALID, "--dhcp: \"%s\" is none of server, proxy, off", text);
}

/* Somebody who gives one of these believes that we give addresses. */
static int check_unused(const struct manager_options *o, struct err *err)
{
	const struct {
		const char *name;
		bool given;
	} rows[] = { { "range", o->dhcp_ranges.count },
		     { "gateway", o->dhcp_gateways.count },
		     { "dns", o->dhcp_dns },
		     { "domain", o->dhcp_domain },
		     { "lease", o->dhcp_lease } };
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].given)
			return err_set(err, ERR_INVALID, "--dhcp-%s goes with --dhcp server only",
				       rows[i].name);
	return 0;
}

/* "192.168.77.10-192.168.77.99/24" */
static int parse_range(const char *text, const struct boot_config *c, struct boot_pool *ret,
		       struct err *err)
{
	char first[32], last[32], rest;
	unsigned bits = 0;
	struct boot_pool p = { 0 };
	if (sscanf(text, "%31[0-9.]-%31[0-9.]/%2u%c", first, last, &bits, &rest) != 3 || bits < 8 ||
	    bits > 31 || inet_pton(AF_INET, first, &p.start) != 1 ||
	    inet_pton(AF_INET, last, &p.end) != 1)
		return err_set(
			err, ERR_INVALID,
			"--dhcp-range: \"%s\" is not of the form 192.168.77.10-192.168.77.99/24",
			text);
	p.netmask.s_addr = htonl(UINT32_MAX << (32 - bits));
	if (ntohl(p.start.s_addr) > ntohl(p.end.s_addr) ||
	    ((p.start.s_addr ^ p.end.s_addr) & p.netmask.s_addr) != 0)
		return err_set(err, ERR_INVALID,
			       "--dhcp-range: \"%s\" begins and ends in different subnets, or ends "
			       "before it begins",
			       text);
	for (size_t i = 0; i < c->pool_count; i++)
		if (((c->pools[i].start.s_addr ^ p.start.s_addr) & c->pools[i].netmask.s_addr &
		     p.netmask.s_addr) == 0)
			return err_set(
				err, ERR_INVALID,
				"--dhcp-range: \"%s\" is in the subnet of another range; each "
				"subnet has one",
				text);
	*ret = p;
	return 0;
}

static int parse_ranges(const struct option_list *list, struct boot_config *ret, struct err *err)
{
	if (list->count == 0)
		return err_set(err, ERR_INVALID,
			       "--dhcp-range: name the addresses for hosts, or choose --dhcp proxy "
			       "beside a DHCP server of the site");
	if (list->count > BOOT_POOLS_MAX)
		return err_set(err, ERR_LIMIT, "--dhcp-range: more than %d of them",
			       BOOT_POOLS_MAX);
	int r = 0;
	for (size_t i = 0; r == 0 && i < list->count; i++) {
		r = parse_range(list->items[i], ret, &ret->pools[ret->pool_count], err);
		ret->pool_count += r == 0;
	}
	return r;
}

static struct boot_pool *pool_of(struct boot_config *c, struct in_addr address)
{
	const struct boot_pool *found = boot_pool_find(c, address);
	return found ? &c->pools[found - c->pools] : NULL;
}

static int parse_gateway(const char *text, struct boot_config *ret, struct err *err)
{
	struct in_addr address;
	if (inet_pton(AF_INET, text, &address) != 1)
		return err_set(err, ERR_INVALID, "--dhcp-gateway: \"%s\" is not an IPv4 address",
			       text);
	struct boot_pool *pool = pool_of(ret, address);
	if (!pool)
		return err_set(err, ERR_INVALID,
			       "--dhcp-gateway: %s lies in the subnet of no --dhcp-range", text);
	if (pool->gateway.s_addr)
		return err_set(err, ERR_INVALID,
			       "--dhcp-gateway: %s is the second one of its subnet", text);
	uint32_t rest = ntohl(address.s_addr & ~pool->netmask.s_addr);
	uint32_t last = ntohl(~pool->netmask.s_addr);
	if (last > 1 && (rest == 0 || rest == last))
		return err_set(err, ERR_INVALID,
			       "--dhcp-gateway: %s is the first or last address of its subnet",
			       text);
	pool->gateway = address;
	return 0;
}

/* Hosts load everything from our address: from another subnet that needs a way. */
static int check_ways(const struct manager_options *o, const struct boot_config *c, struct err *err)
{
	for (size_t i = 0; i < c->pool_count; i++)
		if (!c->pools[i].gateway.s_addr && boot_pool_find(c, c->address) != &c->pools[i])
			return err_set(err, ERR_INVALID,
				       "--dhcp-range: %s is not in the subnet of "
				       "--provisioning-address: name the router of that subnet by "
				       "--dhcp-gateway",
				       o->dhcp_ranges.items[i]);
	return 0;
}

static int parse_dns(const char *text, struct boot_config *ret, struct err *err)
{
	for (const char *at = text; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
		char one[INET_ADDRSTRLEN];
		size_t len = strcspn(at, ",");
		if (ret->dns_count == BOOT_DNS_MAX)
			return err_set(err, ERR_LIMIT, "--dhcp-dns: more than %d addresses",
				       BOOT_DNS_MAX);
		snprintf(one, sizeof(one), "%.*s", (int)len, at);
		if (len >= sizeof(one) || inet_pton(AF_INET, one, &ret->dns[ret->dns_count]) != 1)
			return err_set(err, ERR_INVALID,
				       "--dhcp-dns: \"%s\" is not a list of IPv4 addresses such as "
				       "192.168.77.2,192.168.77.3",
				       text);
		ret->dns_count++;
	}
	return 0;
}

static int parse_domain(const char *text, struct boot_config *ret, struct err *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-.";
	if (str_empty(text) || strlen(text) > DOMAIN_MAX || text[strspn(text, allowed)])
		return err_set(err, ERR_INVALID, "--dhcp-domain: \"%s\" is not a domain name",
			       text);
	ret->domain = text;
	return 0;
}

static int parse_lease(const char *text, struct boot_config *ret, struct err *err)
{
	uint64_t seconds;
	if (parse_u64(text, LEASE_MAX_S, &seconds) < 0 || seconds < LEASE_MIN_S)
		return err_set(err, ERR_INVALID,
			       "--dhcp-lease: \"%s\" is not a number of seconds from %d to %d",
			       text, LEASE_MIN_S, LEASE_MAX_S);
	ret->lease_seconds = (uint32_t)seconds;
	return 0;
}

int dhcp_options_parse(const struct manager_options *o, struct boot_config *ret, struct err *err)
{
	int r = parse_mode(o->dhcp, &ret->dhcp, err);
	if (r < 0 || ret->dhcp != BOOT_DHCP_SERVER)
		return r < 0 ? r : check_unused(o, err);
	r = parse_ranges(&o->dhcp_ranges, ret, err);
	for (size_t i = 0; r == 0 && i < o->dhcp_gateways.count; i++)
		r = parse_gateway(o->dhcp_gateways.items[i], ret, err);
	if (r == 0)
		r = check_ways(o, ret, err);
	if (r == 0 && o->dhcp_dns)
		r = parse_dns(o->dhcp_dns, ret, err);
	if (r == 0 && o->dhcp_domain)
		r = parse_domain(o->dhcp_domain, ret, err);
	if (r == 0 && o->dhcp_lease)
		r = parse_lease(o->dhcp_lease, ret, err);
	return r;
}
