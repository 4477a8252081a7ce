#pragma once
/* Applies a host's network data (agentapi/netdata.h) to this machine. A second run changes nothing
 * of what the first one has done, and adds what was missing, such as a NIC that came late.
 *
 * NICs that the data does not name stay as they are: down. Router advertisements are taken only
 * where the data asks for them. What cannot be applied is named, and the rest is applied. Blocks;
 * for a process of its own. */

#include "agentapi/netdata.h"
#include "base/str.h"
#include "loop/loop.h"

struct network_options {
	const struct loop *loop; /* its clock; it does not run */
	const char *root;	 /* "" on a machine */
	/* How long NICs and addresses are waited for at most. */
	unsigned nic_wait_ms, address_wait_ms;
};

/* What remains to be done by programs, one line each:
 *
 *	dhcp4 INTERFACE METRIC
 *	dhcp6 INTERFACE
 *	slaac INTERFACE		the kernel does it; an address may be waited for
 *
 * and what was not done, one line each, those of the data first. */
struct network_result {
	struct strbuf todo, problems;
	size_t applied; /* static addresses that are usable */
};

void network_apply(const struct netdata *n, const struct network_options *options,
		   struct network_result *ret);
void network_result_done(struct network_result *r);
/* The text of a resolv.conf; "" without servers. */
char *network_resolv_conf(const struct netdata *n);
