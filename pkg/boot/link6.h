#pragma once
/* IPv6 packets with the MAC of the machine that sent them, which neither DHCPv6 nor a solicitation
 * from "::" tells: hosts are known by their MACs alone. One device, one kind of packet. Core
 * thread.
 */

#include "boot/boot.h"

enum link6_kind {
	LINK6_DHCP,	     /* to UDP port 547: `data` is the message */
	LINK6_SOLICITATIONS, /* for a router: `data` is the ICMPv6 message */
};

struct link6_packet {
	struct net_mac mac;
	struct in6_addr source, target;
	uint8_t hops;
	const uint8_t *data; /* borrowed until the callback has returned */
	size_t len;
};

typedef void (*link6_fn)(void *data, const struct link6_packet *p);

struct link6;

/* Joins the groups that such packets are sent to. Needs CAP_NET_RAW, now and not later. */
int link6_open(struct loop *loop, const char *device, enum link6_kind kind, link6_fn fn, void *data,
	       struct link6 **ret, struct err *err);
struct link6 *link6_close(struct link6 *l);
/* Sends an ICMPv6 message, whose checksum is filled in, to one machine only, also where `target` is
 * a group: RFC 6085. From our link-local address, with the hop limit of neighbours. A negative
 * errno; -EADDRNOTAVAIL: the device has no such address. */
int link6_send(const struct link6 *l, const struct net_mac *mac, const struct in6_addr *target,
	       uint8_t *message, size_t len);
/* The packet without the MAC. Pure. -EBADMSG: not of that kind. */
int link6_parse(enum link6_kind kind, const uint8_t *packet, size_t len, struct link6_packet *ret);
