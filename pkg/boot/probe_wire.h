#pragma once
/* How one family asks whether an address is in use. Part of probe.c. Core thread. */

#include "boot/boot.h"

/* On one device. */
struct probe_wire {
	const struct probe_wire_ops *ops;
	char device[16]; /* IFNAMSIZ */
	unsigned index;	 /* of the device */
	struct net_mac own_mac;
	int fd;
	uint16_t id; /* of our echoes */
};

/* What a packet tells about an address. */
struct probe_word {
	struct net_addr address;
	bool has_mac; /* the owner's; else it is only known that there is one */
	struct net_mac mac;
};

struct probe_wire_ops {
	/* Sets fd. A negative errno. */
	int (*open)(struct probe_wire *w);
	/* A failure means no route or no link, and then there is no answer either. */
	void (*ask)(const struct probe_wire *w, const struct net_addr *address, uint16_t seq);
	/* -EAGAIN: no more; -EBADMSG: nothing about an address. */
	int (*receive)(const struct probe_wire *w, struct probe_word *ret);
	/* The kernel's word about who answers for the address; NULL: it is not asked. */
	bool (*find_mac)(const struct probe_wire *w, const struct net_addr *address,
			 struct net_mac *ret);
};

extern const struct probe_wire_ops probe_wire4, probe_wire6;

/* Of a neighbour advertisement (RFC 4861, section 4.4) or an echo reply from `from`. Pure.
 * -EBADMSG: neither. */
int probe_wire6_parse(const uint8_t *data, size_t len, const struct net_addr *from, uint16_t id,
		      struct probe_word *ret);
