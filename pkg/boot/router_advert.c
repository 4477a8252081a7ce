/* Router advertisements that announce nothing, by RFC 4861. iPXE configures IPv4 and IPv6 together
 * and goes on only when both have ended: without a router on the wire it repeats its solicitation
 * for 16 s, though it has had its DHCP lease for 13 of them. One advertisement with a lifetime of 0
 * ("not a default router", section 4.2), no prefix and no flags ends that at once. To a real router
 * on the wire it makes no difference: its advertisement counts besides ours.
 *
 * Only solicitations are answered, only to the asker, and only for the seconds after the DHCP
 * server has heard iPXE from that MAC: operating systems never see us.
 *
 * The DHCP server owns it; it owns its raw socket, which the kernel filters down to solicitations.
 * Core thread. */

#include "boot/router_advert.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cursor.h"
#include "base/log.h"
#include "base/mem.h"

enum { RECEIVE_BURST = 32, HOP_LIMIT = 255, OPTION_UNIT = 8, OPTION_SOURCE_MAC = 1, ASKERS = 64 };

#define ASKER_TIME (5 * USEC_PER_SEC)

struct router_advert {
	struct loop *loop;
	int fd;
	struct loop_io *io;
	struct {
		struct net_mac mac;
		usec_t until;
	} askers[ASKERS]; /* a ring */
	size_t next;
	struct log_pace not_sent;
};

void router_advert_expect(struct router_advert *r, const struct net_mac *mac)
{
	r->askers[r->next].mac = *mac;
	r->askers[r->next].until = loop_now(r->loop) + ASKER_TIME;
	r->next = (r->next + 1) % ASKERS;
}

static bool expected(const struct router_advert *r, const struct net_mac *mac)
{
	usec_t now = loop_now(r->loop);
	for (size_t i = 0; i < ASKERS; i++)
		if (r->askers[i].until > now && net_mac_equal(&r->askers[i].mac, mac))
			return true;
	return false;
}

int router_advert_parse(const uint8_t *data, size_t len, struct net_mac *ret)
{
	struct cursor c;
	cursor_init(&c, data, len);
	uint8_t type = cursor_u8(&c), code = cursor_u8(&c);
	cursor_skip(&c, 6); /* checksum (the kernel's), reserved */
	if (!cursor_ok(&c) || type != ND_ROUTER_SOLICIT || code != 0)
		return -EBADMSG;
	while (cursor_left(&c) >= OPTION_UNIT) {
		uint8_t option = cursor_u8(&c);
		size_t size = (size_t)cursor_u8(&c) * OPTION_UNIT;
		const uint8_t *value = size ? cursor_bytes(&c, size - 2) : NULL;
		if (!value)
			return -EBADMSG;
		if (option != OPTION_SOURCE_MAC || size != OPTION_UNIT)
			continue;
		memcpy(ret->bytes, value, sizeof(ret->bytes));
		return 0;
	}
	return -EBADMSG;
}

static void answer(struct router_advert *r, const struct sockaddr_in6 *to)
{
	/* Hop limit unspecified, no flags, all times 0; the kernel fills in the checksum. */
	struct nd_router_advert ra = { .nd_ra_hdr.icmp6_type = ND_ROUTER_ADVERT };
	if (sendto(r->fd, &ra, sizeof(ra), 0, (const struct sockaddr *)to, sizeof(*to)) < 0)
		log_paced(&r->not_sent, loop_now(r->loop), LOG_DEBUG,
			  "router advertisement not sent: has the device a link-local address?");
}

/* The hop limit proves that the sender is on this wire (RFC 4861, section 6.1.1). */
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

static bool take_one(struct router_advert *r)
{
	uint8_t data[256];
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct sockaddr_in6 from;
	struct iovec iov = { data, sizeof(data) };
	struct msghdr msg = { .msg_name = &from,
			      .msg_namelen = sizeof(from),
			      .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	struct net_mac mac;
	ssize_t n = recvmsg(r->fd, &msg, 0);
	if (n < 0)
		return false;
	if (hop_limit(&msg) == HOP_LIMIT && IN6_IS_ADDR_LINKLOCAL(&from.sin6_addr) &&
	    router_advert_parse(data, (size_t)n, &mac) == 0 && expected(r, &mac))
		answer(r, &from);
	return true;
}

static void on_readable(void *data, int events)
{
	(void)events;
	for (int i = 0; i < RECEIVE_BURST && take_one(data); i++)
		;
}

static int set_int(int fd, int name, int value)
{
	return setsockopt(fd, IPPROTO_IPV6, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int set_up(int fd, const char *device)
{
	struct icmp6_filter filter;
	struct ipv6_mreq group = { .ipv6mr_interface = if_nametoindex(device) };
	group.ipv6mr_multiaddr = (struct in6_addr){ { { 0xff, 0x02, [15] = 0x02 } } };
	ICMP6_FILTER_SETBLOCKALL(&filter);
	ICMP6_FILTER_SETPASS(ND_ROUTER_SOLICIT, &filter);
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device) + 1) <
		    0 ||
	    setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter)) < 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return -errno;
	int r = set_int(fd, IPV6_UNICAST_HOPS, HOP_LIMIT);
	return r < 0 ? r : set_int(fd, IPV6_RECVHOPLIMIT, 1);
}

static int open_socket(struct router_advert *r, const char *device, struct err *err)
{
	r->fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMPV6);
	int e = r->fd < 0 ? -errno : set_up(r->fd, device);
	if (e < 0)
		return err_set_errno(err, e, "cannot answer IPv6 router solicitations on %s",
				     device);
	return loop_io_open(r->loop, r->fd, LOOP_READ, "router-advert", on_readable, r, &r->io,
			    err);
}

int router_advert_open(struct loop *loop, const char *device, struct router_advert **ret,
		       struct err *err)
{
	struct router_advert *r = xcalloc(1, sizeof(*r));
	*r = (struct router_advert){ .loop = loop, .fd = -1 };
	int e = open_socket(r, device, err);
	if (e < 0) {
		router_advert_close(r);
		return e;
	}
	*ret = r;
	return 0;
}

struct router_advert *router_advert_close(struct router_advert *r)
{
	if (!r)
		return NULL;
	if (r->io)
		loop_io_close(r->io);
	if (r->fd >= 0)
		close(r->fd);
	free(r);
	return NULL;
}
