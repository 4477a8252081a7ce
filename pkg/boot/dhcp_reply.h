#pragma once
/* Builds DHCP replies: pure functions of request, configuration, slot and loader. Core thread. */

#include "boot/boot.h"
#include "boot/loader.h"
#include "wire/dhcp.h"

/* The pool that the request's subnet belongs to; NULL when there is none. A relay names the subnet
 * by its address, unless it selects another one, as it does where its own address belongs to none
 * of hosts (EVPN): by option 82 (RFC 3527), else by option 118 (RFC 3011). */
const struct boot_pool *dhcp_reply_pool(const struct boot_config *config,
					const struct dhcp_message *request);
/* Does the request, which a relay may have told its own address for ours (RFC 5107), name us? */
bool dhcp_reply_is_server(const struct boot_config *config, const struct dhcp_message *request,
			  struct in_addr server);
/* Header, type, server and what must be echoed. */
void dhcp_reply_init(const struct boot_config *config, const struct dhcp_message *request,
		     enum dhcp_type type, struct dhcp_message *ret);
/* address NULL: configuration without a lease (INFORM). */
void dhcp_reply_lease(const struct boot_config *config, const struct boot_pool *pool,
		      const struct net_addr *address, struct dhcp_message *m);
/* proxy: beside the site's own DHCP. */
void dhcp_reply_boot(const struct boot_config *config, const struct boot_loader *loader, bool proxy,
		     struct dhcp_message *m);
void dhcp_reply_refuse(const char *why, struct dhcp_message *m);
/* Where the reply goes, by RFC 2131 section 4.1. */
struct net_addr dhcp_reply_target(const struct dhcp_message *request, enum dhcp_type type);
