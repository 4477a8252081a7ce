#pragma once
/* A client that asks for an IPv6 router, on the pair of netns.h. */

#include <netinet/icmp6.h>

#include "unit/boot/netns.h"

/* As iPXE sends it, with its MAC. */
static const uint8_t solicitation[] = { 133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0x52, 0x54, 0, 0x77, 0, 1 };

static inline const char *solicit_unusable(void)
{
	return access("/proc/sys/net/ipv6", F_OK) == 0 ? NULL : "this kernel has no IPv6";
}

/* IPv6 takes a device for ready a little later than its link is up; until then nothing that is
 * multicast can be sent. The route for it comes at that moment. */
static inline bool solicit_wire_up(const struct netns *clients)
{
	return run("ip addr add fe80::1/64 dev srv0 nodad && nsenter -t %d -n ip addr add "
		   "fe80::2/64 dev cli0 nodad",
		   clients->keeper) &&
	       run("until ip -6 route show table local dev srv0 | grep -q ff00::/8; do :; done") &&
	       run("until nsenter -t %d -n ip -6 route show table local dev cli0 | "
		   "grep -q ff00::/8; do :; done",
		   clients->keeper);
}

/* Receives advertisements only. */
static inline int solicit_socket(const struct netns *n)
{
	const int hops = 255;
	const struct timeval patience = { 5, 0 };
	struct icmp6_filter filter;
	ICMP6_FILTER_SETBLOCKALL(&filter);
	ICMP6_FILTER_SETPASS(ND_ROUTER_ADVERT, &filter);
	int old = netns_enter(n);
	int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "cli0", 5) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)) < 0 ||
	    setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter)) < 0)
		abort();
	netns_back(old);
	return fd;
}

static inline void solicit(int fd, uint8_t last_of_mac)
{
	uint8_t packet[sizeof(solicitation)];
	struct sockaddr_in6 to = { .sin6_family = AF_INET6,
				   .sin6_addr = { { { 0xff, 2, [15] = 2 } } } };
	memcpy(packet, solicitation, sizeof(packet));
	packet[15] = last_of_mac;
	if (sendto(fd, packet, sizeof(packet), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		perror("solicitation");
}
