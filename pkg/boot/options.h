#pragma once
/* The options about network boot that are more than one number: types of their values, the --dhcp…
 * rows, and how these become a struct boot_config. Pure; main thread, at start. */

#include "base/clock.h"
#include "base/options.h"
#include "boot/boot.h"
#include "net/options.h"

struct boot_range {
	const char *text; /* as it was given; borrowed */
	struct boot_pool pool;
};

struct boot_ranges {
	struct boot_range items[BOOT_POOLS_MAX];
	size_t count;
};

/* Filled by boot_dhcp_rows. */
struct boot_dhcp_options {
	enum boot_dhcp mode;
	struct boot_ranges ranges;
	struct net_addrs gateways, dns;
	const char *domain; /* NULL: none */
	usec_t lease;
	bool lease_given;
	bool router_adverts;
};

extern const struct option_row boot_dhcp_rows[];

extern const struct option_type boot_option_range, /* struct boot_ranges, repeated */
	boot_option_domain,			   /* const char * */
	boot_option_words; /* const char *: of a kernel line, as boot loaders take them */

/* Fills the DHCP members of *ret, whose addresses are set already; strings are borrowed from the
 * options. What contradicts itself is refused by the name of the option. */
int boot_dhcp_options_apply(const struct boot_dhcp_options *o, struct boot_config *ret,
			    struct err *err);
