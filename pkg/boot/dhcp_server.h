#pragma once
/* DHCP for the provisioning network: server (of IPv4, IPv6 or both, as there are ranges) or
 * proxyDHCP, as boot_config.dhcp says. Also tells iPXE that there is no IPv6 router to wait for.
 * Core thread. */

#include "boot/boot.h"

struct dhcp_server;

/* Binds the ports (67, 547; proxy: also 4011) and raw sockets, which need CAP_NET_BIND_SERVICE and
 * CAP_NET_RAW now and not later; stays silent until activated. With BOOT_DHCP_OFF
 * nothing is bound. */
int dhcp_server_open(const struct boot_env *env, struct dhcp_server **ret, struct err *err);
struct dhcp_server *dhcp_server_close(struct dhcp_server *s);
/* Only the leader answers. */
void dhcp_server_set_active(struct dhcp_server *s, bool active);
