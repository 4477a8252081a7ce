/* LLDP capture by packet sockets: one per NIC, bound to the protocol. Switches repeat their frames
 * every 30 seconds, hence the patience of the default timeout. Frames are foreign bytes; the parser
 * is pure and fuzzed. Runs on a job's thread. */

#include "agent/hw/lldp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cursor.h"
#include "base/mem.h"
#include "base/str.h"

enum { ETHERTYPE_LLDP = 0x88cc, TLV_END = 0, TLVS_MAX = 128, FRAME_MAX = 9216, NICS_MAX = 64 };

struct json *hw_lldp_parse(const void *frame, size_t len)
{
	struct cursor c;
	cursor_init(&c, frame, len);
	cursor_skip(&c, 12);
	if (cursor_be16(&c) != ETHERTYPE_LLDP || !cursor_ok(&c))
		return NULL;
	struct json *list = json_new_array();
	for (size_t i = 0; i < TLVS_MAX && cursor_left(&c) >= 2; i++) {
		uint16_t head = cursor_be16(&c);
		size_t n = head & 0x1ff;
		const uint8_t *value = cursor_bytes(&c, n);
		if (head >> 9 == TLV_END || !value)
			break;
		char hex[2 * 0x1ff + 1];
		hex_encode(value, n, hex);
		struct json *tlv = json_append(list, json_new_array());
		json_append(tlv, json_new_int(head >> 9));
		json_append(tlv, json_new_string(hex));
	}
	return list;
}

static int open_nic(const char *name)
{
	/* The multicast groups of LLDP: nearest bridge, nearest non-TPMR bridge, nearest customer
	 * bridge. */
	static const uint8_t groups[] = { 0x0e, 0x03, 0x00 };
	unsigned index = if_nametoindex(name);
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETHERTYPE_LLDP),
		.sll_ifindex = (int)index,
	};
	int type = SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK;
	int fd = index ? socket(AF_PACKET, type, htons(ETHERTYPE_LLDP)) : -1;
	if (fd < 0)
		return -1;
	for (size_t i = 0; i < sizeof(groups); i++) {
		struct packet_mreq join = {
			.mr_ifindex = (int)index,
			.mr_type = PACKET_MR_MULTICAST,
			.mr_alen = 6,
			.mr_address = { 0x01, 0x80, 0xc2, 0x00, 0x00, groups[i] },
		};
		(void)setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &join, sizeof(join));
	}
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* True when the NIC has been heard. */
static bool take_frame(int fd, const char *name, struct json *out)
{
	uint8_t frame[FRAME_MAX];
	struct sockaddr_ll from = { 0 };
	socklen_t from_len = sizeof(from);
	ssize_t n = recvfrom(fd, frame, sizeof(frame), 0, (struct sockaddr *)&from, &from_len);
	/* Our own frames come back to us here. */
	struct json *tlvs = n > 0 && from.sll_pkttype != PACKET_OUTGOING
				    ? hw_lldp_parse(frame, (size_t)n)
				    : NULL;
	if (!tlvs)
		return false;
	json_set(out, name, tlvs);
	return true;
}

struct json *hw_lldp_listen(const struct loop *loop, const struct hw_nics *nics,
			    unsigned timeout_ms)
{
	struct pollfd fds[NICS_MAX];
	const char *names[NICS_MAX];
	nfds_t count = 0, open = 0;
	struct json *out = json_new_object();
	for (size_t i = 0; i < nics->count && count < NICS_MAX; i++) {
		int fd = nics->items[i].carrier ? open_nic(nics->items[i].name) : -1;
		if (fd < 0)
			continue;
		names[count] = nics->items[i].name;
		fds[count++] = (struct pollfd){ .fd = fd, .events = POLLIN };
	}
	open = count;
	usec_t end = loop_now(loop) + timeout_ms * USEC_PER_MSEC;
	for (usec_t now; open > 0 && (now = loop_now(loop)) < end;) {
		if (poll(fds, count, (int)((end - now) / USEC_PER_MSEC) + 1) <= 0)
			continue;
		for (nfds_t i = 0; i < count; i++) {
			if (fds[i].fd < 0 || !fds[i].revents ||
			    !take_frame(fds[i].fd, names[i], out))
				continue;
			close(fds[i].fd);
			fds[i].fd = -1;
			open--;
		}
	}
	for (nfds_t i = 0; i < count; i++)
		if (fds[i].fd >= 0)
			close(fds[i].fd);
	return out;
}
