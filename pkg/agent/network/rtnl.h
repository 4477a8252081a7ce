#pragma once
/* The requests of rtnetlink(7) that set up a machine's network, one at a time, each answered by the
 * kernel before the function returns. Interfaces are named by index. Errors carry the kernel's own
 * words where it has any. any thread */

#include <stdbool.h>

#include "base/err.h"
#include "net/net.h"

struct rtnl {
	int fd;
	uint32_t serial;
};

int rtnl_open(struct rtnl *r, struct err *err);
void rtnl_close(struct rtnl *r);

int rtnl_add_bond(struct rtnl *r, const char *name, struct err *err);
int rtnl_add_vlan(struct rtnl *r, const char *name, unsigned below, unsigned id, struct err *err);
int rtnl_set_up(struct rtnl *r, unsigned index, bool up, struct err *err);
int rtnl_set_mtu(struct rtnl *r, unsigned index, unsigned mtu, struct err *err);
int rtnl_set_mac(struct rtnl *r, unsigned index, const struct net_mac *mac, struct err *err);
int rtnl_set_master(struct rtnl *r, unsigned index, unsigned master, struct err *err);
/* Both replace what is there already. */
int rtnl_add_address(struct rtnl *r, unsigned index, const struct net_addr *address, unsigned bits,
		     struct err *err);
/* A gateway that no network of the interface holds is reached on the link. */
int rtnl_add_route(struct rtnl *r, unsigned index, const struct net_prefix *to,
		   const struct net_addr *gateway, unsigned metric, struct err *err);

enum rtnl_address_state {
	RTNL_ADDRESS_ABSENT,
	RTNL_ADDRESS_TENTATIVE, /* duplicate address detection is under way, or has no carrier */
	RTNL_ADDRESS_DUPLICATE, /* somebody else on the link has it */
	RTNL_ADDRESS_USABLE,
};

enum rtnl_address_state rtnl_address_state(struct rtnl *r, unsigned index,
					   const struct net_addr *address);
