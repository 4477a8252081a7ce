#pragma once
/* Builds DHCPv6 replies: pure functions of request, configuration, slot and loader. Core thread. */

#include "boot/boot.h"
#include "boot/loader.h"
#include "wire/dhcp6.h"

/* The MAC that the client asks with. frame: that of its packet, for what no relay has passed on.
 * False: nothing tells it. */
bool dhcp6_reply_find_mac(const struct dhcp6_message *request, const struct net_mac *frame,
			  struct net_mac *ret);
/* The pool of the subnet that the client is in; NULL: there is none. */
const struct boot_pool *dhcp6_reply_pool(const struct boot_config *config,
					 const struct dhcp6_message *request);
/* Has it the identifiers, ours among them where one is due, that its type must have (RFC 8415,
 * section 16)? False: it is to be discarded. */
bool dhcp6_reply_is_for_us(const struct boot_config *config, const struct dhcp6_message *request);
/* Type, way back, identifiers. */
void dhcp6_reply_init(const struct boot_config *config, const struct dhcp6_message *request,
		      enum dhcp6_type type, struct dhcp6_message *ret);
/* The slot for the first association that asks for an address; all others get none, and addresses
 * that the client has besides end. slot not set: it has none here. */
void dhcp6_reply_lease(const struct boot_config *config, const struct dhcp6_message *request,
		       const struct net_addr *slot, struct dhcp6_message *m);
/* Name servers and domain, if asked for. */
void dhcp6_reply_names(const struct boot_config *config, const struct dhcp6_message *request,
		       struct dhcp6_message *m);
void dhcp6_reply_boot(const struct boot_loader *loader, struct dhcp6_message *m);
/* CONFIRM: are all addresses of this subnet? False: it names none. */
bool dhcp6_reply_confirm(const struct boot_pool *pool, const struct dhcp6_message *request,
			 struct dhcp6_message *m);
/* The first address that it asks for, or has; not set: none. */
struct net_addr dhcp6_reply_wanted(const struct dhcp6_message *request);
/* Does a running system ask? Firmware asks for an address before it boots, too, and then wants a
 * name server at most. */
bool dhcp6_reply_is_system(const struct dhcp6_message *request);
