/* Options about network boot (see options.h): one range per subnet, the gateways told to subnets by
 * their addresses, and what all subnets share. What contradicts itself is refused here, at the
 * start, by the name of the option, because a wrong lease shows only when a machine somewhere does
 * not boot. Pure; main thread. */

#include "boot/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "boot/script.h"

enum { LEASE_MIN_S = 120, LEASE_MAX_S = 30 * 24 * 3600, DOMAIN_MAX = 253 };

/* --- types of values -------------------------------------------------------------------------- */

/* As long as prefixes of networks with hosts are. */
static bool bits_possible(int family, unsigned bits)
{
	return family == AF_INET6 ? bits >= 32 && bits <= 126 : bits >= 8 && bits <= 31;
}

static int parse_range(const char *text, struct boot_pool *ret, struct err *why)
{
	char first[NET_IP_TEXT_MAX], last[NET_IP_TEXT_MAX], rest;
	unsigned bits = 0;
	struct boot_pool p = { 0 };
	uint64_t size;
	if (sscanf(text, "%63[0-9a-fA-F:.]-%63[0-9a-fA-F:.]/%3u%c", first, last, &bits, &rest) !=
		    3 ||
	    net_parse_ip(first, &p.start) < 0 || net_parse_ip(last, &p.end) < 0 ||
	    !bits_possible(net_family(&p.start), bits))
		return -EINVAL;
	p.bits = bits;
	struct net_prefix subnet = boot_pool_subnet(&p);
	if (net_is_link_local(&p.start))
		return err_set(why, ERR_INVALID,
			       "\"%s\" has link-local addresses, which hosts give themselves",
			       text);
	if (!net_distance(&p.start, &p.end, &size) || !net_prefix_contains(&subnet, &p.end))
		return err_set(
			why, ERR_INVALID,
			"\"%s\" begins and ends in different subnets, or ends before it begins",
			text);
	*ret = p;
	return 0;
}

static bool same_subnet(const struct boot_pool *a, const struct boot_pool *b)
{
	struct net_prefix one = boot_pool_subnet(a), other = boot_pool_subnet(b);
	return net_prefix_overlaps(&one, &other);
}

static int read_range(const struct option_row *row, const char *text, void *value, struct err *why)
{
	struct boot_ranges *ranges = value;
	struct boot_range one = { .text = text };
	(void)row;
	if (ranges->count == BOOT_POOLS_MAX)
		return err_set(why, ERR_LIMIT, "more than %d of them", BOOT_POOLS_MAX);
	int r = parse_range(text, &one.pool, why);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ranges->count; i++)
		if (same_subnet(&ranges->items[i].pool, &one.pool))
			return err_set(
				why, ERR_INVALID,
				"\"%s\" is in the subnet of another range; each subnet has one",
				text);
	ranges->items[ranges->count++] = one;
	return 0;
}

static int read_domain(const struct option_row *row, const char *text, void *value, struct err *why)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-.";
	if (str_empty(text) || strlen(text) > DOMAIN_MAX || text[strspn(text, allowed)])
		return -EINVAL;
	return option_text.read(row, text, value, why);
}

static int read_words(const struct option_row *row, const char *text, void *value, struct err *why)
{
	if (boot_script_check_words(text) < 0)
		return err_set(
			why, ERR_INVALID,
			"\"%s\" holds characters or words that a boot loader takes for its own",
			text);
	return option_text.read(row, text, value, why);
}

const struct option_type boot_option_range = {
	.name = "range",
	.noun = "of the form 192.168.77.10-192.168.77.99/24 or fd77::100-fd77::1ff/64",
	.repeats = true,
	.read = read_range,
};
const struct option_type boot_option_domain = { .name = "domain",
						.noun = "a domain name",
						.read = read_domain };
const struct option_type boot_option_words = { .name = "words", .read = read_words };

/* --- the rows --------------------------------------------------------------------------------- */

static const struct option_choice modes[] = { { "server", BOOT_DHCP_SERVER },
					      { "proxy", BOOT_DHCP_PROXY },
					      { "off", BOOT_DHCP_OFF },
					      { NULL, 0 } };

const struct option_row boot_dhcp_rows[] = {
	{ .name = "dhcp",
	  .argument = "MODE",
	  .standard = "server",
	  .help = "give addresses (server), only boot files beside a DHCP server of the site (proxy), or neither (off)",
	  .type = &option_choice,
	  .choices = modes,
	  .offset = offsetof(struct boot_dhcp_options, mode) },
	{ .name = "dhcp-range",
	  .argument = "FIRST-LAST/BITS",
	  .help = "give these IPv4 or IPv6 addresses to hosts; once per subnet, with --dhcp server",
	  .type = &boot_option_range,
	  .offset = offsetof(struct boot_dhcp_options, ranges) },
	{ .name = "dhcp-gateway",
	  .argument = "ADDRESS",
	  .help = "announce this default gateway to the hosts of its IPv4 subnet; once per subnet",
	  .type = &net_option_machine_repeat,
	  .offset = offsetof(struct boot_dhcp_options, gateways) },
	{ .name = "dhcp-dns",
	  .argument = "ADDRESS,...",
	  .help = "announce these DNS servers",
	  .type = &net_option_machine_list,
	  .max = BOOT_DNS_MAX,
	  .offset = offsetof(struct boot_dhcp_options, dns) },
	{ .name = "dhcp-domain",
	  .argument = "NAME",
	  .help = "announce this domain",
	  .type = &boot_option_domain,
	  .offset = offsetof(struct boot_dhcp_options, domain) },
	{ .name = "dhcp-lease",
	  .argument = "SECONDS",
	  .standard = "3600",
	  .help = "give addresses for this long",
	  .type = &option_seconds,
	  .min = LEASE_MIN_S,
	  .max = LEASE_MAX_S,
	  .offset = offsetof(struct boot_dhcp_options, lease),
	  .given = offsetof(struct boot_dhcp_options, lease_given) },
	{ .name = "router-adverts",
	  .help = "tell hosts the prefix of the IPv6 range and to use DHCPv6, where no router does",
	  .type = &option_flag,
	  .offset = offsetof(struct boot_dhcp_options, router_adverts) },
	{ .name = NULL },
};

/* --- what they mean together ------------------------------------------------------------------ */

/* These options show that addresses are expected from us. */
static int check_unused(const struct boot_dhcp_options *o, struct err *err)
{
	const struct {
		const char *name;
		bool given;
	} given[] = { { "dhcp-range", o->ranges.count }, { "dhcp-gateway", o->gateways.count },
		      { "dhcp-dns", o->dns.count },	 { "dhcp-domain", o->domain },
		      { "dhcp-lease", o->lease_given },	 { "router-adverts", o->router_adverts } };
	for (size_t i = 0; i < ARRAY_SIZE(given); i++)
		if (given[i].given)
			return err_set(err, ERR_INVALID, "--%s goes with --dhcp server only",
				       given[i].name);
	return 0;
}

static struct boot_pool *pool_of(struct boot_config *c, const struct net_addr *address)
{
	const struct boot_pool *found = boot_pool_find(c, address);
	return found ? &c->pools[found - c->pools] : NULL;
}

static int set_gateway(const struct net_addr *address, struct boot_config *ret, struct err *err)
{
	char text[NET_IP_TEXT_MAX];
	struct boot_pool *pool = pool_of(ret, address);
	net_format_ip(address, text);
	if (net_family(address) != AF_INET)
		return err_set(
			err, ERR_INVALID,
			"--dhcp-gateway: %s: DHCPv6 announces no gateway; IPv6 hosts learn it "
			"from their router's advertisements",
			text);
	if (!pool)
		return err_set(err, ERR_INVALID,
			       "--dhcp-gateway: %s is not in the subnet of any --dhcp-range", text);
	if (net_is_set(&pool->gateway))
		return err_set(err, ERR_INVALID,
			       "--dhcp-gateway: %s: this subnet already has a gateway", text);
	struct net_prefix subnet = boot_pool_subnet(pool);
	struct net_addr last = net_prefix_last(&subnet);
	bool pair = pool->bits + 1 >= net_bits(net_family(address));
	if (!pair && (net_same_ip(address, &subnet.addr) || net_same_ip(address, &last)))
		return err_set(err, ERR_INVALID,
			       "--dhcp-gateway: %s is the first or last address of its subnet",
			       text);
	pool->gateway = *address;
	return 0;
}

/* Hosts load everything from our address: from another subnet that needs a way. */
static int check_ways(const struct boot_dhcp_options *o, const struct boot_config *c,
		      struct err *err)
{
	for (size_t i = 0; i < c->pool_count; i++)
		if (net_family(&c->pools[i].start) == AF_INET &&
		    !net_is_set(&c->pools[i].gateway) &&
		    boot_pool_find(c, &c->address) != &c->pools[i])
			return err_set(err, ERR_INVALID,
				       "--dhcp-range: %s is not in the subnet of "
				       "--provisioning-address: name the router of that subnet by "
				       "--dhcp-gateway",
				       o->ranges.items[i].text);
	return 0;
}

static int check_families(const struct boot_dhcp_options *o, const struct boot_config *c,
			  struct err *err)
{
	for (size_t i = 0; i < c->pool_count; i++) {
		int family = net_family(&c->pools[i].start);
		if (!boot_own_address(c, family))
			return err_set(err, ERR_INVALID,
				       "--dhcp-range: %s needs an %s address of ours: name it by "
				       "--provisioning-address",
				       o->ranges.items[i].text,
				       family == AF_INET6 ? "IPv6" : "IPv4");
	}
	if (c->router_adverts && !boot_pool_find(c, &c->address6))
		return err_set(err, ERR_INVALID,
			       "--router-adverts: no --dhcp-range is in the IPv6 subnet of "
			       "--provisioning-address");
	return 0;
}

static void set_values(const struct boot_dhcp_options *o, struct boot_config *ret)
{
	for (size_t i = 0; i < o->ranges.count; i++)
		ret->pools[i] = o->ranges.items[i].pool;
	for (size_t i = 0; i < o->dns.count; i++)
		ret->dns[i] = o->dns.items[i];
	ret->pool_count = o->ranges.count;
	ret->dns_count = o->dns.count;
	ret->domain = o->domain;
	ret->router_adverts = o->router_adverts;
	ret->lease_seconds = (uint32_t)(o->lease / USEC_PER_SEC);
}

int boot_dhcp_options_apply(const struct boot_dhcp_options *o, struct boot_config *ret,
			    struct err *err)
{
	ret->dhcp = o->mode;
	if (o->mode == BOOT_DHCP_PROXY && !net_is_set(&ret->address))
		return err_set(
			err, ERR_INVALID,
			"--dhcp proxy: there is none for IPv6: choose --dhcp server, or --dhcp "
			"off and let the site's DHCPv6 server name the boot files");
	if (o->mode != BOOT_DHCP_SERVER)
		return check_unused(o, err);
	if (o->ranges.count == 0)
		return err_set(err, ERR_INVALID,
			       "--dhcp-range: name the addresses for hosts, or choose --dhcp proxy "
			       "beside a DHCP server of the site");
	set_values(o, ret);
	int r = check_families(o, ret, err);
	for (size_t i = 0; r == 0 && i < o->gateways.count; i++)
		r = set_gateway(&o->gateways.items[i], ret, err);
	return r < 0 ? r : check_ways(o, ret, err);
}
