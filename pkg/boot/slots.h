#pragma once
/* The address that belongs to a MAC: found once, probed on the wire, stored in the host's record,
 * then always the same. Core thread. */

#include "boot/boot.h"

struct boot_slots;

enum { BOOT_SLOTS_PENDING_MAX = 256, BOOT_SLOTS_QUARANTINE_S = 600 };

/* A request for an address. Its message is the caller's own affair: slots copy its bytes and give
 * them back. */
struct boot_slots_ask {
	const struct boot_pool *pool;
	struct net_mac mac;
	struct net_addr wanted; /* what the client asks for; not set: any */
	const void *message;
	size_t message_size;
};

/* The slot is stored; `message` is that of the newest request for it. */
typedef void (*boot_slots_ready_fn)(void *data, const void *message,
				    const struct net_addr *address);

/* Slots of one family (AF_INET, AF_INET6). env is borrowed. */
int boot_slots_open(const struct boot_env *env, int family, boot_slots_ready_fn ready, void *data,
		    struct boot_slots **ret, struct err *err);
struct boot_slots *boot_slots_close(struct boot_slots *s);

/* Inside the range, and free by boot_address_free. */
bool boot_slots_fits(const struct boot_config *config, const struct boot_pool *pool,
		     const struct net_addr *address);
/* False: the MAC has no slot in this pool. */
bool boot_slots_get(const struct boot_slots *s, const struct boot_pool *pool,
		    const struct net_mac *mac, struct net_addr *ret);
/* Looks for a slot; `ready` follows later, or never: the client will ask again. */
void boot_slots_find(struct boot_slots *s, const struct boot_slots_ask *ask);
/* Another machine answered the client at its slot: it is forgotten, and not used for a while. */
void boot_slots_decline(struct boot_slots *s, const struct net_mac *mac,
			const struct net_addr *address);
