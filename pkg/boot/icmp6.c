/* Raw ICMPv6 sockets (RFC 3542, section 3). What they send leaves with the hop limit that neighbour
 * discovery asks for. The caller owns the descriptor. Core thread. */

#include "boot/icmp6.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int set_int(int fd, int name, int value)
{
	return setsockopt(fd, IPPROTO_IPV6, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int set_up(int fd, const char *device, const uint8_t *types)
{
	struct icmp6_filter filter;
	ICMP6_FILTER_SETBLOCKALL(&filter);
	for (; *types; types++)
		ICMP6_FILTER_SETPASS(*types, &filter);
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device) + 1) <
		    0 ||
	    setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter)) < 0)
		return -errno;
	int r = set_int(fd, IPV6_UNICAST_HOPS, ICMP6_NEIGHBOUR_HOPS);
	if (r == 0)
		r = set_int(fd, IPV6_MULTICAST_HOPS, ICMP6_NEIGHBOUR_HOPS);
	return r < 0 ? r : set_int(fd, IPV6_RECVHOPLIMIT, 1);
}

int boot_icmp6_open(const char *device, const uint8_t *types, int *ret_fd)
{
	int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMPV6);
	if (fd < 0)
		return -errno;
	int r = set_up(fd, device, types);
	if (r < 0)
		close(fd);
	else
		*ret_fd = fd;
	return r;
}

static int hop_limit(struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		int limit;
		if (c->cmsg_level != IPPROTO_IPV6 || c->cmsg_type != IPV6_HOPLIMIT)
			continue;
		memcpy(&limit, CMSG_DATA(c), sizeof(limit));
		return limit;
	}
	return -1;
}

ssize_t boot_icmp6_receive(int fd, void *buf, size_t cap, struct net_addr *ret_from, int *ret_hops)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { buf, cap };
	struct msghdr msg = { .msg_name = ret_from,
			      .msg_namelen = sizeof(*ret_from),
			      .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(fd, &msg, 0);
	if (n < 0)
		return -errno;
	*ret_hops = hop_limit(&msg);
	return n;
}
