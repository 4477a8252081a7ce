#pragma once
/* Tells iPXE at once that there is no IPv6 router, so that it does not wait for one. Part of the
 * DHCP server. Core thread. */

#include "boot/boot.h"

struct router_advert;

/* Needs CAP_NET_RAW, now and not later. Fails where the device has no IPv6. */
int router_advert_open(struct loop *loop, const char *device, struct router_advert **ret,
		       struct err *err);
struct router_advert *router_advert_close(struct router_advert *r);
/* iPXE runs behind this MAC: its solicitations of the next seconds are answered. */
void router_advert_expect(struct router_advert *r, const struct net_mac *mac);

/* The sender's MAC out of a solicitation (RFC 4861, section 4.1). Pure. -EBADMSG: there is none. */
int router_advert_parse(const uint8_t *data, size_t len, struct net_mac *ret);
