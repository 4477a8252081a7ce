#pragma once
/* The address that belongs to a MAC: found once, probed on the wire, stored in the host's record,
 * then always the same. Core thread. */

#include "boot/boot.h"
#include "wire/dhcp.h"

struct boot_slots;

enum { BOOT_SLOTS_PENDING_MAX = 256, BOOT_SLOTS_QUARANTINE_S = 600 };

/* The slot is stored; `request` is the newest that asked for it. */
typedef void (*boot_slots_ready_fn)(void *data, const struct dhcp_message *request,
				    const struct net_addr *address);

/* env is borrowed. */
int boot_slots_open(const struct boot_env *env, boot_slots_ready_fn ready, void *data,
		    struct boot_slots **ret, struct err *err);
struct boot_slots *boot_slots_close(struct boot_slots *s);

/* The pool that the request's subnet belongs to; NULL when there is none. A relay names the subnet
 * by its address, unless it selects another one, as it does where its own address belongs to none
 * of hosts (EVPN): by option 82 (RFC 3527), else by option 118 (RFC 3011). */
const struct boot_pool *boot_slots_pool(const struct boot_config *config,
					const struct dhcp_message *request);
/* Inside the range, and free by boot_address_free. */
bool boot_slots_fits(const struct boot_config *config, const struct boot_pool *pool,
		     const struct net_addr *address);
/* False: the MAC has no slot in this pool. */
bool boot_slots_get(const struct boot_slots *s, const struct boot_pool *pool,
		    const struct net_mac *mac, struct net_addr *ret);
/* Looks for a slot; `ready` follows later, or never: the client will ask again. */
void boot_slots_find(struct boot_slots *s, const struct boot_pool *pool, const struct net_mac *mac,
		     const struct dhcp_message *request);
/* Another machine answered the client at its slot: it is forgotten, and not used for a while. */
void boot_slots_decline(struct boot_slots *s, const struct net_mac *mac,
			const struct net_addr *address);
