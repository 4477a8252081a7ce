#pragma once
/* DHCPv6 for the provisioning network. Part of the DHCP server. Core thread. */

#include "boot/boot.h"

struct dhcp6_server;

/* env is borrowed. Binds port 547 and raw sockets, which need CAP_NET_BIND_SERVICE and CAP_NET_RAW
 * now and not later; silent until activated. */
int dhcp6_server_open(const struct boot_env *env, struct dhcp6_server **ret, struct err *err);
struct dhcp6_server *dhcp6_server_close(struct dhcp6_server *s);
void dhcp6_server_set_active(struct dhcp6_server *s, bool active);
