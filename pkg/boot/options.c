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

static int parse_range(const char *text, struct boot_pool *ret, struct err *why)
{
	char first[32], last[32], rest;
	unsigned bits = 0;
	struct boot_pool p = { 0 };
	uint64_t size;
	if (sscanf(text, "%31[0-9.]-%31[0-9.]/%2u%c", first, last, &bits, &rest) != 3 || bits < 8 ||
	    bits > 31 || net_parse_ip(first, &p.start) < 0 || net_parse_ip(last, &p.end) < 0)
		return -EINVAL;
	p.bits = bits;
	struct net_prefix subnet = boot_pool_subnet(&p);
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
	.noun = "of the form 192.168.77.10-192.168.77.99/24",
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
	  .help = "give these addresses to hosts; once per subnet, with --dhcp server",
	  .type = &boot_option_range,
	  .offset = offsetof(struct boot_dhcp_options, ranges) },
	{ .name = "dhcp-gateway",
	  .argument = "ADDRESS",
	  .help = "announce this default gateway to the hosts of its subnet; once per subnet",
	  .type = &option_ipv4_repeat,
	  .offset = offsetof(struct boot_dhcp_options, gateways) },
	{ .name = "dhcp-dns",
	  .argument = "ADDRESS,...",
	  .help = "announce these DNS servers",
	  .type = &option_ipv4_list,
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
	{ .name = NULL },
};

/* --- what they mean together ------------------------------------------------------------------ */

/* These options show that addresses are expected from us. */
static int check_unused(const struct boot_dhcp_options *o, struct err *err)
{
	const struct {
		const char *name;
		bool given;
	} given[] = { { "range", o->ranges.count },
		      { "gateway", o->gateways.count },
		      { "dns", o->dns.count },
		      { "domain", o->domain },
		      { "lease", o->lease_given } };
	for (size_t i = 0; i < ARRAY_SIZE(given); i++)
		if (given[i].given)
			return err_set(err, ERR_INVALID, "--dhcp-%s goes with --dhcp server only",
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
		if (!net_is_set(&c->pools[i].gateway) &&
		    boot_pool_find(c, &c->address) != &c->pools[i])
			return err_set(err, ERR_INVALID,
				       "--dhcp-range: %s is not in the subnet of "
				       "--provisioning-address: name the router of that subnet by "
				       "--dhcp-gateway",
				       o->ranges.items[i].text);
	return 0;
}

static void set_values(const struct boot_dhcp_options *o, struct boot_config *ret)
{
	for (size_t i = 0; i < o->ranges.count; i++)
		ret->pools[i] = o->ranges.items[i].pool;
	for (size_t i = 0; i < o->dns.count; i++)
		ret->dns[i] = net_from_v4(o->dns.items[i]);
	ret->pool_count = o->ranges.count;
	ret->dns_count = o->dns.count;
	ret->domain = o->domain;
	ret->lease_seconds = (uint32_t)(o->lease / USEC_PER_SEC);
}

int boot_dhcp_options_apply(const struct boot_dhcp_options *o, struct boot_config *ret,
			    struct err *err)
{
	ret->dhcp = o->mode;
	if (o->mode != BOOT_DHCP_SERVER)
		return check_unused(o, err);
	if (o->ranges.count == 0)
		return err_set(err, ERR_INVALID,
			       "--dhcp-range: name the addresses for hosts, or choose --dhcp proxy "
			       "beside a DHCP server of the site");
	set_values(o, ret);
	int r = 0;
	for (size_t i = 0; r == 0 && i < o->gateways.count; i++) {
		struct net_addr gateway = net_from_v4(o->gateways.items[i]);
		r = set_gateway(&gateway, ret, err);
	}
	return r < 0 ? r : check_ways(o, ret, err);
}
