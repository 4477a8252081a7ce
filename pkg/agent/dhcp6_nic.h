#pragma once
/* A DHCPv6 client on a NIC of the ramdisk: socket, address in the kernel, and a script for the
 * rest, as busybox's udhcpc has it. Needs root. One loop. */

#include "base/err.h"
#include "loop/loop.h"

struct dhcp6_nic;

struct dhcp6_nic_options {
	struct loop *loop;
	const char *device;
	/* Run with "bound6", "renew6" or "deconfig6", and `interface`, `ip6`, `dns` and `domain` in
	 * the environment, after the kernel has the address. NULL: none. Borrowed. */
	const char *script;
};

int dhcp6_nic_open(const struct dhcp6_nic_options *options, struct dhcp6_nic **ret,
		   struct err *err);
/* The address stays until its lifetime ends. */
struct dhcp6_nic *dhcp6_nic_close(struct dhcp6_nic *n);
