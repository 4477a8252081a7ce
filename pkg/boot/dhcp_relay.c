/* DHCP relay agent, by RFC 1542 section 4 and RFC 3046 section 2.1. Messages are passed on as they
 * are but for `hops` and `giaddr`: whatever a client says, the server reads it unchanged.
 *
 * Two sockets on port 67. One is bound to the clients' device and hears their broadcasts. The other
 * is bound to our address and to no device, since the server's answers come in wherever the route
 * to it leads; it also sends to the server. Which of them a datagram came in by does not matter:
 * its `op` says where it goes. Owns both; core thread. */

#include "boot/dhcp_relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "boot/udp.h"
#include "wire/dhcp.h"

enum { RECEIVE_BURST = 32, HOPS_MAX = 16, HOPS_AT = 3, GIADDR_AT = 24 };

struct side {
	int fd;
	struct loop_io *io;
	struct dhcp_relay *relay;
	struct log_pace failed; /* to send */
};

struct dhcp_relay {
	struct loop *loop;
	struct dhcp_relay_options options;
	bool active;
	struct side clients, server;
};

static void pass_on(struct side *side, struct net_addr to, uint16_t port, const uint8_t *packet,
		    size_t len)
{
	struct err err;
	net_set_port(&to, port);
	int r = boot_udp_send(side->fd, &side->relay->options.address, &to, packet, len);
	if (r == 0)
		return;
	err_set_errno(&err, r, "cannot send");
	log_paced(&side->failed, loop_now(side->relay->loop), LOG_WARN, "dhcp message not relayed",
		  "error", err.text);
}

static void to_server(struct dhcp_relay *r, const struct dhcp_message *m, uint8_t *packet,
		      size_t len)
{
	if (m->hops >= HOPS_MAX)
		return;
	/* Only relays add option 82, and this one came straight from a client (RFC 3046, 2.1). */
	if (m->giaddr.s_addr == 0 && dhcp_has(m, DHCP_OPT_RELAY))
		return;
	packet[HOPS_AT]++;
	struct in_addr own = net_to_v4(&r->options.address);
	if (m->giaddr.s_addr == 0)
		memcpy(packet + GIADDR_AT, &own, sizeof(own));
	pass_on(&r->server, r->options.server, DHCP_SERVER_PORT, packet, len);
}

/* Broadcast, because a client without an address takes nothing else from a plain socket. */
static void to_client(struct dhcp_relay *r, const struct dhcp_message *m, const uint8_t *packet,
		      size_t len, const struct net_addr *from)
{
	if (m->giaddr.s_addr != net_to_v4(&r->options.address).s_addr ||
	    !net_same_ip(from, &r->options.server))
		return;
	bool settled = m->ciaddr.s_addr && dhcp_type(m) != DHCP_NAK;
	struct in_addr to = settled ? m->ciaddr : (struct in_addr){ INADDR_BROADCAST };
	pass_on(&r->clients, net_from_v4(to), DHCP_CLIENT_PORT, packet, len);
}

static void on_readable(void *data, int events)
{
	struct side *side = data;
	struct dhcp_relay *r = side->relay;
	(void)events;
	for (int i = 0; i < RECEIVE_BURST; i++) {
		uint8_t packet[DHCP_SIZE_MAX + 1]; /* longer ones do not decode */
		struct net_addr from;
		struct dhcp_message m;
		ssize_t n = boot_udp_receive(side->fd, packet, sizeof(packet), &from);
		if (n < 0)
			return;
		if (!r->active || dhcp_decode(packet, (size_t)n, &m) < 0)
			continue;
		if (m.op == DHCP_OP_REQUEST)
			to_server(r, &m, packet, (size_t)n);
		else
			to_client(r, &m, packet, (size_t)n, &from);
	}
}

static int open_side(struct loop *loop, struct side *side, const struct boot_udp_options *options,
		     struct err *err)
{
	int r = boot_udp_open(options, &side->fd, err);
	if (r < 0)
		return r;
	return loop_io_open(loop, side->fd, LOOP_READ, "dhcp-relay", on_readable, side, &side->io,
			    err);
}

int dhcp_relay_open(struct loop *loop, const struct dhcp_relay_options *options,
		    struct dhcp_relay **ret, struct err *err)
{
	struct dhcp_relay *r = xcalloc(1, sizeof(*r));
	*r = (struct dhcp_relay){ .loop = loop, .options = *options };
	r->clients = r->server = (struct side){ .fd = -1, .relay = r };
	/* They overlap, which the kernel allows only to sockets that agree to share. */
	struct boot_udp_options clients = { .device = options->device,
					    .port = DHCP_SERVER_PORT,
					    .share = true };
	struct boot_udp_options server = { .address = options->address,
					   .port = DHCP_SERVER_PORT,
					   .share = true };
	int e = open_side(loop, &r->clients, &clients, err);
	if (e == 0)
		e = open_side(loop, &r->server, &server, err);
	if (e < 0) {
		dhcp_relay_close(r);
		return err_wrap(err, "DHCP relay");
	}
	*ret = r;
	return 0;
}

static void close_side(struct side *side)
{
	if (side->io)
		side->io = loop_io_close(side->io);
	if (side->fd >= 0)
		close(side->fd);
	side->fd = -1;
}

struct dhcp_relay *dhcp_relay_close(struct dhcp_relay *r)
{
	if (!r)
		return NULL;
	close_side(&r->clients);
	close_side(&r->server);
	free(r);
	return NULL;
}

void dhcp_relay_set_active(struct dhcp_relay *r, bool active)
{
	r->active = active;
}
