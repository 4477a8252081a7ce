/* One UDP socket per address family carries the traffic of all BMCs. A datagram finds its BMC by
 * our session id, whose low bits are a slot number, or, before there is a session, by the sender's
 * address; in both cases it must come from the BMC's address. The receive buffer is large, because
 * thousands of BMCs may answer a poll at once. Core thread. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "bmc/ipmi/internal.h"

enum {
	BATCH = 32,
	BATCHES_PER_CALL = 4, /* then the loop sees to others */
	RECEIVE_BUFFER = 8 << 20,
	SLOT_BITS = 12,
	SLOT_MASK = (1 << SLOT_BITS) - 1,
};

struct batch {
	struct mmsghdr headers[BATCH];
	struct iovec vectors[BATCH];
	struct sockaddr_storage from[BATCH];
	uint8_t data[BATCH][IPMI_PACKET_MAX];
};

/* --- slots ----------------------------------------------------------------------------------- */

bool ipmi_slot_take(struct ipmi_bmc *b)
{
	struct ipmi_driver *d = ipmi_driver_of(b);
	if (d->stats.active >= d->options.max_sessions)
		return false;
	/* Round robin: a slot rests as long as possible before late answers could meet a new owner.
	 */
	do
		d->next_slot = d->next_slot % (d->slot_count - 1) + 1;
	while (d->slots[d->next_slot]);
	d->slots[d->next_slot] = b;
	b->slot = (uint16_t)d->next_slot;
	d->stats.active++;
	return true;
}

void ipmi_slot_release(struct ipmi_bmc *b)
{
	struct ipmi_driver *d = ipmi_driver_of(b);
	d->slots[b->slot] = NULL;
	b->slot = 0;
	d->stats.active--;
}

uint32_t ipmi_slot_id(struct ipmi_bmc *b)
{
	uint32_t upper = (uint32_t)loop_random_below(b->base.driver->loop, 1U << (32 - SLOT_BITS));
	return upper << SLOT_BITS | b->slot;
}

static struct ipmi_bmc *by_id(const struct ipmi_driver *d, uint32_t id)
{
	unsigned slot = id & SLOT_MASK;
	struct ipmi_bmc *b = slot < d->slot_count ? d->slots[slot] : NULL;
	return b && b->session && b->session->secrets.console_id == id ? b : NULL;
}

static bool waits_for(const struct ipmi_session *s, const struct ipmi_header *h)
{
	return ipmi_state_info(s->state)->payload == (h->v15 ? -1 : h->payload_type);
}

/* The session that waits for such a packet from there; without h, whatever it waits for. */
static struct ipmi_bmc *by_address(const struct ipmi_driver *d, const struct net_addr *from,
				   const struct ipmi_header *h)
{
	for (unsigned i = 1; i < d->slot_count; i++) {
		struct ipmi_bmc *b = d->slots[i];
		if (b && b->session && net_compare(&b->peer, from) == 0 &&
		    (!h || waits_for(b->session, h)))
			return b;
	}
	return NULL;
}

/* --- receiving ------------------------------------------------------------------------------- */

static void deliver(struct ipmi_driver *d, const void *packet, size_t len, bool whole,
		    const struct net_addr *from)
{
	struct ipmi_header h;
	d->stats.received++;
	bool good = whole && ipmi_peek(packet, len, &h);
	struct ipmi_bmc *b = !good	    ? NULL
			     : h.console_id ? by_id(d, h.console_id)
					    : by_address(d, from, &h);
	if (b && net_compare(&b->peer, from) == 0) {
		ipmi_receive(b, packet, len, &h);
		return;
	}
	d->stats.dropped++;
	b = good ? NULL : by_address(d, from, NULL);
	if (b)
		b->junk = true;
}

static int receive_batch(struct ipmi_driver *d, int fd)
{
	struct batch *batch = d->batch;
	for (unsigned i = 0; i < BATCH; i++) {
		batch->vectors[i] = (struct iovec){ batch->data[i], IPMI_PACKET_MAX };
		batch->headers[i].msg_hdr = (struct msghdr){ .msg_name = &batch->from[i],
							     .msg_namelen = sizeof(batch->from[i]),
							     .msg_iov = &batch->vectors[i],
							     .msg_iovlen = 1 };
	}
	int n = recvmmsg(fd, batch->headers, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) {
		const struct msghdr *m = &batch->headers[i].msg_hdr;
		struct net_addr from;
		if (net_from_sockaddr(m->msg_name, m->msg_namelen, &from) == 0)
			deliver(d, batch->data[i], batch->headers[i].msg_len,
				!(m->msg_flags & MSG_TRUNC), &from);
	}
	return n;
}

static void on_readable(struct ipmi_driver *d, int fd)
{
	for (int i = 0; i < BATCHES_PER_CALL; i++)
		if (receive_batch(d, fd) < BATCH)
			return;
}

static void on_readable_v4(void *data, int events)
{
	(void)events;
	struct ipmi_driver *d = data;
	on_readable(d, d->fds[0]);
}

static void on_readable_v6(void *data, int events)
{
	(void)events;
	struct ipmi_driver *d = data;
	on_readable(d, d->fds[1]);
}

/* --- sockets --------------------------------------------------------------------------------- */

static void enlarge_buffer(int fd)
{
	int size = RECEIVE_BUFFER;
	/* The second needs a capability, the first is cut to net.core.rmem_max; both may fail. */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
}

int ipmi_socket_open(struct ipmi_driver *d, const struct net_addr *peer, struct err *err)
{
	int family = net_family(peer), which = family == AF_INET6, on = 1;
	if (d->fds[which] >= 0)
		return 0;
	int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set_errno(err, errno, "cannot open a socket for IPMI");
	if (which)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	enlarge_buffer(fd);
	int r = loop_io_open(d->base.loop, fd, LOOP_READ, "ipmi",
			     which ? on_readable_v6 : on_readable_v4, d, &d->ios[which], err);
	if (r < 0) {
		close(fd);
		return r;
	}
	d->fds[which] = fd;
	if (!d->batch)
		d->batch = xcalloc(1, sizeof(*d->batch));
	return 0;
}

void ipmi_sockets_close(struct ipmi_driver *d)
{
	for (int i = 0; i < 2; i++) {
		if (d->fds[i] < 0)
			continue;
		d->ios[i] = loop_io_close(d->ios[i]);
		close(d->fds[i]);
		d->fds[i] = -1;
	}
	free(d->batch);
	d->batch = NULL;
}

static bool is_final(int error)
{
	return error == ENETUNREACH || error == EHOSTUNREACH || error == EACCES || error == EPERM ||
	       error == EINVAL || error == EADDRNOTAVAIL || error == EAFNOSUPPORT;
}

int ipmi_send(struct ipmi_bmc *b, const void *packet, size_t len, struct err *err)
{
	struct ipmi_driver *d = ipmi_driver_of(b);
	d->stats.sent++;
	int fd = d->fds[net_family(&b->peer) == AF_INET6];
	if (sendto(fd, packet, len, MSG_DONTWAIT | MSG_NOSIGNAL, &b->peer.sa, net_len(&b->peer)) >=
		    0 ||
	    !is_final(errno))
		return 0;
	int error = errno;
	char text[NET_TEXT_MAX];
	/* EPERM is a firewall's word here, not one about credentials. */
	err_set_errno(err, error, "cannot send to BMC %s", net_format(&b->peer, text));
	err->kind = ERR_UNREACHABLE;
	return err_value(err);
}
