#pragma once
/* DHCP relay agent: takes broadcasts from a network to a DHCP server elsewhere, and answers back.
 * For a rack whose only machine with a way to the operator is this one. Core thread. */

#include "boot/boot.h"

struct dhcp_relay;

struct dhcp_relay_options {
	const char *device; /* of the clients' network */
	struct net_addr
		address; /* ours there: tells the server the subnet, and takes its answers */
	struct net_addr server;
};

/* Silent until activated. */
int dhcp_relay_open(struct loop *loop, const struct dhcp_relay_options *options,
		    struct dhcp_relay **ret, struct err *err);
struct dhcp_relay *dhcp_relay_close(struct dhcp_relay *r);
void dhcp_relay_set_active(struct dhcp_relay *r, bool active);
