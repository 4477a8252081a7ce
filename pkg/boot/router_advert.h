#pragma once
/* Answers to IPv6 router solicitations, for machines that wait for a router where there is none, or
 * where it does not tell them about DHCPv6. Part of the DHCP server. Core thread. */

#include "boot/boot.h"

struct router_advert;

enum { ROUTER_ADVERT_MAX = 64 };

/* env is borrowed. Needs CAP_NET_RAW, now and not later. Fails where the device has no IPv6. */
int router_advert_open(const struct boot_env *env, struct router_advert **ret, struct err *err);
struct router_advert *router_advert_close(struct router_advert *r);
/* iPXE runs behind this MAC: its solicitations of the next seconds are answered. */
void router_advert_expect(struct router_advert *r, const struct net_mac *mac);
/* With boot_config.router_adverts hosts are answered at any time; only the leader does that. */
void router_advert_set_active(struct router_advert *r, bool active);

/* The sender's MAC out of a solicitation (RFC 4861, section 4.1). Pure. -EBADMSG: there is none. */
int router_advert_parse(const uint8_t *data, size_t len, struct net_mac *ret);
/* The advertisement (section 4.2), without its checksum. subnet NULL: there is no router, and that
 * is all. Else: no router, but DHCPv6, and this prefix on the wire, whose addresses come by DHCPv6
 * alone. Pure. */
size_t router_advert_format(const struct net_prefix *subnet, uint8_t out[ROUTER_ADVERT_MAX]);
