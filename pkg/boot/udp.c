/* UDP sockets of the boot services. They are bound to the device (SO_BINDTODEVICE), so that a
 * service on the provisioning network neither hears nor answers any other; the source address of
 * each answer is set by IP_PKTINFO or IPV6_PKTINFO, since clients compare it with the server that
 * they were told, and a device may have several addresses. The caller owns the descriptors. Core
 * thread. */

#include "boot/udp.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"

static int set_options(int fd, int family, const struct boot_udp_options *o)
{
	const int on = 1;
	if (setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)) < 0)
		return -errno;
	/* IPv4 has sockets of its own. */
	if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
		return -errno;
	if (o->share && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -errno;
	if (o->device && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, o->device,
				    (socklen_t)strlen(o->device) + 1) < 0)
		return -errno;
	return 0;
}

static int bind_port(int fd, int family, const struct boot_udp_options *o)
{
	struct net_addr at = o->address;
	if (!net_is_set(&at))
		at.sa.sa_family = (sa_family_t)family;
	net_set_port(&at, o->port);
	return bind(fd, &at.sa, net_len(&at)) < 0 ? -errno : 0;
}

int boot_udp_open(const struct boot_udp_options *o, int *ret_fd, struct err *err)
{
	int family = net_is_set(&o->address) ? net_family(&o->address)
		     : o->family == AF_INET6 ? AF_INET6
					     : AF_INET;
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set_errno(err, errno, "cannot make a UDP socket");
	const char *device = str_or(o->device, "all devices");
	int r = set_options(fd, family, o);
	if (r < 0) {
		close(fd);
		return err_set_errno(err, r, "cannot bind a UDP socket to %s", device);
	}
	r = bind_port(fd, family, o);
	if (r < 0) {
		close(fd);
		return err_set_errno(err, r, "cannot open UDP port %u on %s%s", o->port, device,
				     r == -EADDRINUSE ? " (stop the other server, such as dnsmasq, "
							"or switch ours off)"
						      : "");
	}
	*ret_fd = fd;
	return 0;
}

ssize_t boot_udp_receive(int fd, void *buf, size_t cap, struct net_addr *ret_from)
{
	socklen_t len = sizeof(*ret_from);
	ssize_t n = recvfrom(fd, buf, cap, 0, &ret_from->sa, &len);
	return n < 0 ? -errno : n;
}

/* The source, as a control message. The device is the socket's: its index stays 0, which leaves the
 * route to it. */
static size_t put_source(const struct net_addr *source, struct cmsghdr *c)
{
	const struct in_pktinfo info4 = { .ipi_spec_dst = net_to_v4(source) };
	const struct in6_pktinfo info6 = { .ipi6_addr = source->v6.sin6_addr };
	bool v6 = net_family(source) == AF_INET6;
	size_t size = v6 ? sizeof(info6) : sizeof(info4);
	c->cmsg_level = v6 ? IPPROTO_IPV6 : IPPROTO_IP;
	c->cmsg_type = v6 ? IPV6_PKTINFO : IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(c), v6 ? (const void *)&info6 : &info4, size);
	return CMSG_SPACE(size);
}

int boot_udp_send(int fd, const struct net_addr *source, const struct net_addr *to,
		  const void *data, size_t len)
{
	union {
		char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { (void *)data, len };
	struct net_addr dest = *to;
	struct msghdr msg = {
		.msg_name = &dest, .msg_namelen = net_len(&dest), .msg_iov = &iov, .msg_iovlen = 1
	};
	if (net_is_set(source)) {
		msg.msg_control = &control;
		msg.msg_controllen = put_source(source, &control.align);
	}
	return sendmsg(fd, &msg, 0) < 0 ? -errno : 0;
}
