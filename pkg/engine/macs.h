#pragma once
/* Nodes by MAC: what a packet or an agent asks by. Half of the keys come from inventories that
 * machines post, so the hash is keyed. Core thread. */

#include "base/siphash.h"
#include "net/net.h"

struct node;

struct macs_row {
	struct net_mac mac;
	struct node *node; /* NULL: free */
};

struct macs {
	struct siphash_key key;
	struct macs_row *rows;
	size_t size, count; /* size: a power of two, or 0 */
};

void macs_init(struct macs *m, struct siphash_key key);
void macs_done(struct macs *m);
struct node *macs_get(const struct macs *m, const struct net_mac *mac); /* NULL: nobody's */
/* False: it is somebody's already. */
bool macs_add(struct macs *m, const struct net_mac *mac, struct node *n);
/* Only when it is this node's. */
void macs_remove(struct macs *m, const struct net_mac *mac, const struct node *n);
