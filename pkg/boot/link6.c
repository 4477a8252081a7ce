/* A packet socket with a filter in the kernel (packet(7), BPF), and a socket that keeps the device
 * in the multicast groups. Fragments and extension headers are passed over: no boot client sends
 * such. UDP's checksum is not looked at, because between virtual machines and namespaces it is
 * filled in only on the way out of the machine.
 *
 * Owns both sockets. Core thread. */

#include "boot/link6.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netpacket/packet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cursor.h"
#include "base/mem.h"
#include "boot/icmp6.h"
#include "wire/dhcp6.h"

enum {
	RECEIVE_BURST = 32,
	HEADER_SIZE = 40,
	NEXT_HEADER_AT = 6,
	UDP_HEADER = 8,
	PACKET_MAX = 1500,
	CHECKSUM_AT = 2, /* in an ICMPv6 message */
};

struct link6 {
	struct loop *loop;
	int fd, groups_fd;
	unsigned index;
	enum link6_kind kind;
	struct loop_io *io;
	link6_fn fn;
	void *data;
};

/* The packet begins with the IPv6 header. */
#define ACCEPT_IF(protocol, load, at, value)                                                       \
	{                                                                                          \
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, NEXT_HEADER_AT),                                \
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (protocol), 0, 3),                     \
			BPF_STMT(BPF_LD | (load) | BPF_ABS, HEADER_SIZE + (at)),                   \
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, 1),                        \
			BPF_STMT(BPF_RET | BPF_K, UINT16_MAX), BPF_STMT(BPF_RET | BPF_K, 0),       \
	}

static const struct kind_row {
	struct sock_filter filter[6];
	struct in6_addr groups[2]; /* ended by :: */
} kinds[] = {
	/* All_DHCP_Relay_Agents_and_Servers, the only group that clients use. */
	[LINK6_DHCP] = { ACCEPT_IF(IPPROTO_UDP, BPF_H, 2, DHCP6_SERVER_PORT),
			 { { { { 0xff, 0x02, [13] = 1, 0, 2 } } } } },
	/* All routers. */
	[LINK6_SOLICITATIONS] = { ACCEPT_IF(IPPROTO_ICMPV6, BPF_B, 0, ND_ROUTER_SOLICIT),
				  { { { { 0xff, 0x02, [15] = 2 } } } } },
};

/* --- reading ---------------------------------------------------------------------------------- */

static int parse_udp(struct cursor *c, struct link6_packet *p)
{
	cursor_skip(c, 2);
	uint16_t port = cursor_be16(c), size = cursor_be16(c);
	cursor_skip(c, 2);
	if (!cursor_ok(c) || port != DHCP6_SERVER_PORT || size < UDP_HEADER)
		return -EBADMSG;
	p->len = size - UDP_HEADER;
	return 0;
}

static int parse_icmp(const struct cursor *c, struct link6_packet *p)
{
	p->len = cursor_left(c);
	return p->len > 0 && c->data[c->pos] == ND_ROUTER_SOLICIT ? 0 : -EBADMSG;
}

int link6_parse(enum link6_kind kind, const uint8_t *packet, size_t len, struct link6_packet *ret)
{
	struct link6_packet p = { .len = 0 };
	struct cursor c;
	cursor_init(&c, packet, len);
	uint32_t head = cursor_be32(&c);
	size_t size = cursor_be16(&c);
	uint8_t next = cursor_u8(&c);
	p.hops = cursor_u8(&c);
	cursor_copy(&c, &p.source, sizeof(p.source));
	cursor_copy(&c, &p.target, sizeof(p.target));
	/* What stands behind the packet is the frame's padding. */
	if (!cursor_ok(&c) || head >> 28 != 6 || size > cursor_left(&c) ||
	    next != (kind == LINK6_DHCP ? IPPROTO_UDP : IPPROTO_ICMPV6))
		return -EBADMSG;
	cursor_init(&c, packet + HEADER_SIZE, size);
	int r = kind == LINK6_DHCP ? parse_udp(&c, &p) : parse_icmp(&c, &p);
	p.data = r == 0 ? cursor_bytes(&c, p.len) : NULL;
	if (!p.data)
		return -EBADMSG;
	*ret = p;
	return 0;
}

static bool take_one(struct link6 *l)
{
	uint8_t packet[PACKET_MAX];
	struct sockaddr_ll from = { 0 };
	socklen_t from_len = sizeof(from);
	struct link6_packet p;
	ssize_t n = recvfrom(l->fd, packet, sizeof(packet), MSG_TRUNC, (struct sockaddr *)&from,
			     &from_len);
	if (n < 0)
		return false;
	if ((size_t)n > sizeof(packet) || from.sll_pkttype == PACKET_OTHERHOST ||
	    from.sll_hatype != ARPHRD_ETHER || from.sll_halen != sizeof(p.mac.bytes) ||
	    link6_parse(l->kind, packet, (size_t)n, &p) < 0)
		return true;
	memcpy(p.mac.bytes, from.sll_addr, sizeof(p.mac.bytes));
	l->fn(l->data, &p);
	return true;
}

static void on_readable(void *data, int events)
{
	(void)events;
	for (int i = 0; i < RECEIVE_BURST && take_one(data); i++)
		;
}

/* --- sending ---------------------------------------------------------------------------------- */

/* Asked of the kernel each time: addresses come and go. */
static int link_local(const struct link6 *l, struct in6_addr *ret)
{
	struct net_addr to = { .v6 = { .sin6_family = AF_INET6,
				       .sin6_port = htons(9),
				       .sin6_scope_id = l->index,
				       .sin6_addr = { { { 0xff, 0x02, [15] = 1 } } } } };
	struct net_addr from = { 0 };
	socklen_t len = sizeof(from);
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int r = connect(fd, &to.sa, net_len(&to)) < 0 || getsockname(fd, &from.sa, &len) < 0
			? -errno
			: 0;
	close(fd);
	if (r == 0 && !net_is_link_local(&from))
		r = -EADDRNOTAVAIL;
	if (r == 0)
		*ret = from.v6.sin6_addr;
	return r;
}

static uint32_t add_up(uint32_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

/* Over the pseudo header of RFC 8200, section 8.1, too. */
static void fill_in_checksum(const struct in6_addr *source, const struct in6_addr *target,
			     uint8_t *message, size_t len)
{
	message[CHECKSUM_AT] = message[CHECKSUM_AT + 1] = 0;
	uint32_t sum = add_up(0, source, sizeof(*source));
	sum = add_up(sum, target, sizeof(*target));
	sum = add_up(sum + (uint32_t)len + IPPROTO_ICMPV6, message, len);
	while (sum >> 16)
		sum = (sum >> 16) + (sum & 0xffff);
	message[CHECKSUM_AT] = (uint8_t)(~sum >> 8);
	message[CHECKSUM_AT + 1] = (uint8_t)~sum;
}

int link6_send(const struct link6 *l, const struct net_mac *mac, const struct in6_addr *target,
	       uint8_t *message, size_t len)
{
	uint8_t packet[PACKET_MAX];
	struct in6_addr source = { 0 };
	struct wcursor w;
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_IPV6),
				  .sll_ifindex = (int)l->index,
				  .sll_halen = sizeof(mac->bytes) };
	memcpy(to.sll_addr, mac->bytes, sizeof(mac->bytes));
	int r = link_local(l, &source);
	if (r < 0)
		return r;
	fill_in_checksum(&source, target, message, len);
	wcursor_init(&w, packet, sizeof(packet));
	wcursor_be32(&w, 6u << 28);
	wcursor_be16(&w, (uint16_t)len);
	wcursor_u8(&w, IPPROTO_ICMPV6);
	wcursor_u8(&w, ICMP6_NEIGHBOUR_HOPS);
	wcursor_bytes(&w, &source, sizeof(source));
	wcursor_bytes(&w, target, sizeof(*target));
	wcursor_bytes(&w, message, len);
	if (w.failed)
		return -EMSGSIZE;
	return sendto(l->fd, packet, w.pos, 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
}

/* --- life ------------------------------------------------------------------------------------- */

/* The filter stands before the socket is bound: before that it hears nothing. */
static int open_packet_socket(struct link6 *l)
{
	const struct kind_row *row = &kinds[l->kind];
	const struct sock_fprog program = { ARRAY_SIZE(row->filter),
					    (struct sock_filter *)row->filter };
	const struct sockaddr_ll at = { .sll_family = AF_PACKET,
					.sll_protocol = htons(ETH_P_IPV6),
					.sll_ifindex = (int)l->index };
	l->fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0 ||
	    setsockopt(l->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ||
	    bind(l->fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	return 0;
}

/* By an IPv6 socket and not the packet socket: switches learn of it (MLD), too. */
static int join_groups(struct link6 *l)
{
	l->groups_fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (l->groups_fd < 0)
		return -errno;
	for (const struct in6_addr *g = kinds[l->kind].groups; !IN6_IS_ADDR_UNSPECIFIED(g); g++) {
		const struct ipv6_mreq group = { *g, l->index };
		if (setsockopt(l->groups_fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &group,
			       sizeof(group)) < 0)
			return -errno;
	}
	return 0;
}

static int open_all(struct link6 *l)
{
	int r = l->index ? open_packet_socket(l) : -ENODEV;
	return r < 0 ? r : join_groups(l);
}

int link6_open(struct loop *loop, const char *device, enum link6_kind kind, link6_fn fn, void *data,
	       struct link6 **ret, struct err *err)
{
	struct link6 *l = xcalloc(1, sizeof(*l));
	*l = (struct link6){ .loop = loop,
			     .fd = -1,
			     .groups_fd = -1,
			     .index = if_nametoindex(device),
			     .kind = kind,
			     .fn = fn,
			     .data = data };
	int r = open_all(l);
	if (r < 0)
		err_set_errno(err, r,
			      "cannot receive IPv6 on %s (it needs IPv6 there, and root or "
			      "CAP_NET_RAW)",
			      device);
	else
		r = loop_io_open(loop, l->fd, LOOP_READ, "link6", on_readable, l, &l->io, err);
	if (r < 0) {
		link6_close(l);
		return r;
	}
	*ret = l;
	return 0;
}

struct link6 *link6_close(struct link6 *l)
{
	if (!l)
		return NULL;
	if (l->io)
		loop_io_close(l->io);
	if (l->fd >= 0)
		close(l->fd);
	if (l->groups_fd >= 0)
		close(l->groups_fd);
	free(l);
	return NULL;
}
