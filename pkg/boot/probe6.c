/* Probes of IPv6 addresses. On our own wire by a neighbour solicitation (RFC 4861, section 7.2):
 * who has the address must answer, with its MAC. It is not sent from "::", as hosts do that look
 * for duplicates (RFC 4862), because the answer would then go to all nodes. Behind a relay there is
 * no neighbour to ask, so an echo is sent as well. Core thread. */

#include <errno.h>
#include <netinet/icmp6.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cursor.h"
#include "boot/icmp6.h"
#include "boot/probe_wire.h"

static int open_socket(struct probe_wire *w)
{
	static const uint8_t types[] = { ND_NEIGHBOR_ADVERT, ICMP6_ECHO_REPLY, 0 };
	return boot_icmp6_open(w->device, types, &w->fd);
}

/* ff02::1:ff00:0/104 with the last three bytes of the address (RFC 4291, section 2.7.1). */
static struct net_addr solicited_node(const struct probe_wire *w, const struct net_addr *address)
{
	struct net_addr to = { .v6 = { .sin6_family = AF_INET6, .sin6_scope_id = w->index } };
	const struct in6_addr prefix = { { { 0xff, 0x02, [11] = 0x01, 0xff } } };
	to.v6.sin6_addr = prefix;
	memcpy(to.v6.sin6_addr.s6_addr + 13, address->v6.sin6_addr.s6_addr + 13, 3);
	return to;
}

static void solicit(const struct probe_wire *w, const struct net_addr *address)
{
	struct {
		struct nd_neighbor_solicit head;
		uint8_t option[2];
		struct net_mac mac;
	} message = { .head = { .nd_ns_hdr.icmp6_type = ND_NEIGHBOR_SOLICIT,
				.nd_ns_target = address->v6.sin6_addr },
		      .option = { ICMP6_OPTION_SOURCE_MAC, 1 },
		      .mac = w->own_mac };
	struct net_addr to = solicited_node(w, address);
	(void)sendto(w->fd, &message, sizeof(message), 0, &to.sa, net_len(&to));
}

static void ask(const struct probe_wire *w, const struct net_addr *address, uint16_t seq)
{
	struct icmp6_hdr echo = { .icmp6_type = ICMP6_ECHO_REQUEST };
	solicit(w, address);
	echo.icmp6_id = htons(w->id);
	echo.icmp6_seq = htons(seq);
	(void)sendto(w->fd, &echo, sizeof(echo), 0, &address->sa, net_len(address));
}

static bool find_target_mac(struct cursor *c, struct net_mac *ret)
{
	while (cursor_left(c) >= ICMP6_OPTION_UNIT) {
		uint8_t option = cursor_u8(c);
		size_t size = (size_t)cursor_u8(c) * ICMP6_OPTION_UNIT;
		const uint8_t *value = size ? cursor_bytes(c, size - 2) : NULL;
		if (!value)
			return false;
		if (option != ICMP6_OPTION_TARGET_MAC || size != ICMP6_OPTION_UNIT)
			continue;
		memcpy(ret->bytes, value, sizeof(ret->bytes));
		return true;
	}
	return false;
}

int probe_wire6_parse(const uint8_t *data, size_t len, const struct net_addr *from, uint16_t id,
		      struct probe_word *ret)
{
	struct cursor c;
	struct probe_word word = { .address = *from };
	cursor_init(&c, data, len);
	uint8_t type = cursor_u8(&c), code = cursor_u8(&c);
	cursor_skip(&c, 2); /* the checksum is the kernel's */
	uint16_t echo_id = cursor_be16(&c);
	cursor_skip(&c, 2);
	if (!cursor_ok(&c) || code != 0)
		return -EBADMSG;
	net_set_port(&word.address, 0);
	if (type == ND_NEIGHBOR_ADVERT) {
		word.address.v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6 };
		cursor_copy(&c, &word.address.v6.sin6_addr, sizeof(struct in6_addr));
		word.has_mac = find_target_mac(&c, &word.mac);
	} else if (type != ICMP6_ECHO_REPLY || echo_id != id) {
		return -EBADMSG;
	}
	if (!cursor_ok(&c))
		return -EBADMSG;
	*ret = word;
	return 0;
}

static int receive(const struct probe_wire *w, struct probe_word *ret)
{
	uint8_t data[256];
	struct net_addr from;
	int hops;
	ssize_t n = boot_icmp6_receive(w->fd, data, sizeof(data), &from, &hops);
	if (n < 0)
		return -EAGAIN;
	/* Only of a neighbour: others could say what they like about addresses here. */
	if (n > 0 && data[0] == ND_NEIGHBOR_ADVERT && hops != ICMP6_NEIGHBOUR_HOPS)
		return -EBADMSG;
	return probe_wire6_parse(data, (size_t)n, &from, w->id, ret);
}

const struct probe_wire_ops probe_wire6 = { open_socket, ask, receive, NULL };
