#pragma once
/* Raw ICMPv6 sockets on one device: the kernel filters by type and computes checksums. Core thread.
 */

#include <stdint.h>
#include <sys/types.h>

#include "net/net.h"

enum {
	ICMP6_NEIGHBOUR_HOPS = 255, /* proves that the sender is on this wire (RFC 4861, 6.1.1) */
	ICMP6_OPTION_UNIT = 8,	    /* of neighbour discovery's options */
	ICMP6_OPTION_SOURCE_MAC = 1,
	ICMP6_OPTION_TARGET_MAC = 2,
};

/* Receives the types of the list, which 0 ends. Needs CAP_NET_RAW. A negative errno. */
int boot_icmp6_open(const char *device, const uint8_t *types, int *ret_fd);
/* Bytes received, or a negative errno; -EAGAIN: no more. *ret_hops: the packet's hop limit. */
ssize_t boot_icmp6_receive(int fd, void *buf, size_t cap, struct net_addr *ret_from, int *ret_hops);
