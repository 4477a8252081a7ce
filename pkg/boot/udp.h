#pragma once
/* UDP sockets of the boot services: of one family, bound to one network device, never blocking.
 * Core thread. */

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "net/net.h"

struct boot_udp_options {
	const char *device;	 /* NULL: any */
	int family;		 /* AF_INET6, or 0: AF_INET */
	struct net_addr address; /* not set: any of the family */
	uint16_t port;		 /* 0: any free one */
	bool share;		 /* others may bind the port too (SO_REUSEADDR) */
};

/* The text of the error names port and device and says who may hold the port. */
int boot_udp_open(const struct boot_udp_options *options, int *ret_fd, struct err *err);
/* Bytes received, or a negative errno; -EAGAIN: no more. Longer datagrams are cut to `cap`. */
ssize_t boot_udp_receive(int fd, void *buf, size_t cap, struct net_addr *ret_from);
/* From `source`, whatever the route says; not set: as the route says. Broadcasts leave by the
 * socket's device. */
int boot_udp_send(int fd, const struct net_addr *source, const struct net_addr *to,
		  const void *data, size_t len);
