/* DHCPv6 server (RFC 8415) for known MACs. As with IPv4 (dhcp_server.c) there is no lease database:
 * an address belongs to a MAC for as long as the host exists (slots.c), so every answer is a
 * look-up, and other machines meet silence, so that a site's own DHCPv6 may serve them on the same
 * wire. All instances of an installation have one identifier (boot_config.server_uuid): a client
 * goes on with the one that leads.
 *
 * Clients of our own wire are heard by a packet socket, which tells their MACs (link6.c); they all
 * send to a multicast group. Relays send to the port. Both are answered from the port's socket, a
 * client at its link-local address.
 *
 * A SOLICIT is answered when its address is stored. There is no other state but that search: with
 * "rapid commit" the answer is the lease at once.
 *
 * Owns its sockets and slots; runs on the core thread. A datagram costs a look-up, so the number
 * taken per wake-up is bounded and the rest waits in the socket. */

#include "boot/dhcp6_server.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "boot/dhcp6_reply.h"
#include "boot/link6.h"
#include "boot/slots.h"
#include "boot/udp.h"
#include "metrics/metrics.h"

enum { RECEIVE_BURST = 32 };
static const usec_t NO_RANGE_REST = USEC_PER_MIN;

struct dhcp6_server {
	const struct boot_env *env;
	bool active;
	int fd;		/* port 547 */
	unsigned index; /* of the device */
	struct loop_io *io;
	struct link6 *link;
	struct boot_slots *slots;
	usec_t no_range_at; /* when that was logged last */
	struct log_paces paces;
};

/* A message, and where its answer goes. */
struct arrival {
	struct dhcp6_message request;
	struct net_addr from; /* with the port for the answer */
	struct net_mac mac;
};

struct query {
	struct dhcp6_server *server;
	const struct dhcp6_message *request;
	const struct arrival *arrival;
	struct boot_host host;
	const struct boot_pool *pool;
	struct net_addr slot; /* not set: none */
};

/* --- answers ---------------------------------------------------------------------------------- */

/* Anyone on the wire may send in a host's name. */
static struct log_pace *pace(const struct query *q, const char *what, const char *detail)
{
	char mac[NET_MAC_TEXT_SIZE];
	struct dhcp6_server *s = q->server;
	return log_pace_of(&s->paces, loop_now(s->env->loop), net_format_mac(&q->arrival->mac, mac),
			   what, detail);
}

static void log_reply(const struct query *q, const struct dhcp6_message *m, bool leased,
		      const struct boot_loader *loader)
{
	char mac[NET_MAC_TEXT_SIZE], ip[NET_IP_TEXT_MAX];
	const struct boot_env *env = q->server->env;
	const char *type = dhcp6_type_name(m->type);
	const char *file = loader && loader->file[0] ? loader->file : NULL;
	if (loader && loader->lack && env->ops->failed)
		env->ops->failed(env->data, &q->arrival->mac, NULL, loader->lack);
	log_paced(pace(q, type, file), loop_now(env->loop),
		  loader && loader->lack ? LOG_WARN : LOG_INFO, "dhcp", "reply", type, "host",
		  q->host.name, "mac", net_format_mac(&q->arrival->mac, mac), "address",
		  leased ? net_format_ip(&q->slot, ip) : NULL, "file", file, "error",
		  loader ? loader->lack : NULL);
}

/* Relays are answered from the address that hosts know; to clients the kernel chooses the
 * link-local one. */
static void transmit(const struct query *q, const struct dhcp6_message *m)
{
	static const struct net_addr any;
	const struct net_addr *source = &q->server->env->config->address6;
	uint8_t packet[DHCP6_SIZE_MAX];
	size_t len;
	int r = dhcp6_encode(m, packet, &len);
	if (r == 0)
		r = boot_udp_send(q->server->fd, m->relay_count ? source : &any, &q->arrival->from,
				  packet, len);
	metric_add(METRIC_DHCP_ANSWERS, 1, dhcp6_type_name(m->type));
	if (r == 0)
		return;
	struct err err;
	char mac[NET_MAC_TEXT_SIZE];
	err_set_errno(&err, r, "cannot send");
	log_paced(pace(q, "answer lost", NULL), loop_now(q->server->env->loop), LOG_WARN,
		  "dhcp answer lost", "host", q->host.name, "mac",
		  net_format_mac(&q->arrival->mac, mac), "error", err.text);
}

static void seen(const struct query *q, const struct dhcp6_message *m)
{
	const struct boot_env *env = q->server->env;
	bool renewed = q->request->type == DHCP6_RENEW || q->request->type == DHCP6_REBIND;
	enum boot_stage stage = m->type == DHCP6_ADVERTISE			? BOOT_STAGE_OFFERED
				: !renewed && dhcp6_reply_is_system(q->request) ? BOOT_STAGE_SYSTEM
										: BOOT_STAGE_LEASED;
	if (env->ops->seen)
		env->ops->seen(env->data, &q->arrival->mac, stage);
}

/* With an address, or the word that there is none. */
static void grant(const struct query *q, enum dhcp6_type type)
{
	const struct boot_config *config = q->server->env->config;
	struct dhcp6_message m;
	struct boot_loader loader;
	bool leased = net_is_set(&q->slot) && dhcp6_has(q->request, DHCP6_OPT_IA_NA);
	dhcp6_reply_init(config, q->request, type, &m);
	if (q->request->type == DHCP6_SOLICIT && type == DHCP6_REPLY)
		dhcp6_add(&m, DHCP6_OPT_RAPID_COMMIT, NULL, 0);
	dhcp6_reply_lease(config, q->request, &q->slot, &m);
	dhcp6_reply_names(config, q->request, &m);
	boot_loader_choose6(config, &q->host, q->request, &q->arrival->mac, &loader);
	dhcp6_reply_boot(&loader, &m);
	transmit(q, &m);
	log_reply(q, &m, leased, &loader);
	if (leased)
		seen(q, &m);
}

static void acknowledge(const struct query *q)
{
	struct dhcp6_message m;
	dhcp6_reply_init(q->server->env->config, q->request, DHCP6_REPLY, &m);
	dhcp6_add_status(&m, DHCP6_SUCCESS, "");
	transmit(q, &m);
	log_reply(q, &m, false, NULL);
}

/* --- one function per message (RFC 8415, section 18.3) --- */

static enum dhcp6_type answer_type(const struct dhcp6_message *request)
{
	return request->type == DHCP6_SOLICIT && !dhcp6_has(request, DHCP6_OPT_RAPID_COMMIT)
		       ? DHCP6_ADVERTISE
		       : DHCP6_REPLY;
}

/* SOLICIT, REQUEST. Clients that ask for prefixes or temporary addresses alone hear that there are
 * none. */
static void on_ask(const struct query *q)
{
	const struct arrival *a = q->arrival;
	const struct boot_slots_ask ask = { .pool = q->pool,
					    .mac = a->mac,
					    .wanted = dhcp6_reply_wanted(q->request),
					    .message = a,
					    .message_size = sizeof(*a) };
	if (net_is_set(&q->slot) || !dhcp6_has(q->request, DHCP6_OPT_IA_NA))
		grant(q, answer_type(q->request));
	else
		boot_slots_find(q->server->slots, &ask);
}

/* Without a slot another server may know the client that asks all. */
static void on_renew(const struct query *q)
{
	if (net_is_set(&q->slot) || q->request->type == DHCP6_RENEW)
		grant(q, DHCP6_REPLY);
}

static void on_confirm(const struct query *q)
{
	struct dhcp6_message m;
	dhcp6_reply_init(q->server->env->config, q->request, DHCP6_REPLY, &m);
	if (!dhcp6_reply_confirm(q->pool, q->request, &m))
		return;
	transmit(q, &m);
	log_reply(q, &m, false, NULL);
}

static void on_decline(const struct query *q)
{
	char mac[NET_MAC_TEXT_SIZE];
	struct net_addr declined = dhcp6_reply_wanted(q->request);
	log_paced(pace(q, "DECLINE", NULL), loop_now(q->server->env->loop), LOG_WARN,
		  "a host declined its address: another machine uses it", "host", q->host.name,
		  "mac", net_format_mac(&q->arrival->mac, mac));
	acknowledge(q);
	if (net_is_set(&declined))
		boot_slots_decline(q->server->slots, &q->arrival->mac, &declined);
}

static void on_information(const struct query *q)
{
	const struct boot_config *config = q->server->env->config;
	struct dhcp6_message m;
	struct boot_loader loader;
	dhcp6_reply_init(config, q->request, DHCP6_REPLY, &m);
	dhcp6_reply_names(config, q->request, &m);
	boot_loader_choose6(config, &q->host, q->request, &q->arrival->mac, &loader);
	dhcp6_reply_boot(&loader, &m);
	transmit(q, &m);
	log_reply(q, &m, false, &loader);
}

/* A host of ours in a subnet that has no --dhcp-range. Told again after a while: the host asks
 * every few seconds. */
static void note_no_range(const struct query *q)
{
	struct dhcp6_server *s = q->server;
	struct net_addr link = { .v6 = { .sin6_family = AF_INET6 } };
	char relay[NET_IP_TEXT_MAX], subnet[NET_IP_TEXT_MAX];
	usec_t now = loop_now(s->env->loop);
	metric_add(METRIC_DHCP_IGNORED, 1, "no_range");
	if (s->no_range_at && now < s->no_range_at + NO_RANGE_REST)
		return;
	s->no_range_at = now;
	bool told = dhcp6_get_link(q->request, &link.v6.sin6_addr);
	bool relayed = q->request->relay_count > 0;
	log_warn("dhcp request not answered: no --dhcp-range for the subnet that the relay names",
		 "host", q->host.name, "relay",
		 relayed ? net_format_ip(&q->arrival->from, relay) : NULL, "selectedSubnet",
		 told ? net_format_ip(&link, subnet) : NULL);
}

static void serve(struct query *q)
{
	const struct dhcp6_server *s = q->server;
	q->pool = dhcp6_reply_pool(s->env->config, q->request);
	if (!q->pool) {
		note_no_range(q);
		return;
	}
	(void)boot_slots_get(s->slots, q->pool, &q->arrival->mac, &q->slot);
	switch (q->request->type) {
	case DHCP6_SOLICIT:
	case DHCP6_REQUEST:
		on_ask(q);
		break;
	case DHCP6_RENEW:
	case DHCP6_REBIND:
		on_renew(q);
		break;
	case DHCP6_CONFIRM:
		on_confirm(q);
		break;
	case DHCP6_RELEASE: /* a slot outlives leases */
		acknowledge(q);
		break;
	case DHCP6_DECLINE:
		on_decline(q);
		break;
	case DHCP6_INFORMATION_REQUEST:
		on_information(q);
		break;
	case DHCP6_ADVERTISE:
	case DHCP6_REPLY:
	case DHCP6_RECONFIGURE:
	case DHCP6_RELAY_FORWARD:
	case DHCP6_RELAY_REPLY:
		break;
	}
}

/* --- what arrives ----------------------------------------------------------------------------- */

/* Operating systems on the same wire are no concern of ours. */
static void note_stranger(const struct dhcp6_server *s, const struct arrival *a)
{
	static const enum boot_request requests[] = {
		[BOOT_LOADER_CLIENT_PXE] = BOOT_REQUEST_PXE,
		[BOOT_LOADER_CLIENT_HTTP] = BOOT_REQUEST_HTTP,
		[BOOT_LOADER_CLIENT_IPXE] = BOOT_REQUEST_IPXE
	};
	enum boot_loader_client client = boot_loader_client6(&a->request);
	metric_add(METRIC_DHCP_IGNORED, 1, "unknown_mac");
	if (client != BOOT_LOADER_CLIENT_OS && s->env->ops->stranger)
		s->env->ops->stranger(s->env->data, &a->mac, requests[client]);
}

/* frame NULL: from a relay. */
static void take(struct dhcp6_server *s, const uint8_t *packet, size_t len,
		 const struct net_mac *frame, const struct net_addr *from)
{
	struct arrival a = { .from = *from };
	struct query q = { .server = s, .request = &a.request, .arrival = &a };
	if (!s->active)
		return;
	if (dhcp6_decode(packet, len, &a.request) < 0) {
		metric_add(METRIC_DHCP_IGNORED, 1, "malformed");
		return;
	}
	if ((a.request.relay_count > 0) != !frame ||
	    !dhcp6_reply_is_for_us(s->env->config, &a.request) ||
	    !dhcp6_reply_find_mac(&a.request, frame, &a.mac))
		return;
	if (s->env->ops->find(s->env->data, &a.mac, &q.host))
		serve(&q);
	else
		note_stranger(s, &a);
}

/* Answers go to the port of clients whatever they were sent from (RFC 8415, section 7.2). */
static void on_direct(void *data, const struct link6_packet *p)
{
	struct dhcp6_server *s = data;
	struct net_addr from = {
		.v6 = { .sin6_family = AF_INET6, .sin6_addr = p->source, .sin6_scope_id = s->index }
	};
	net_set_port(&from, DHCP6_CLIENT_PORT);
	/* Unicast is for clients that were told to; we tell none (section 18.4). */
	if (IN6_IS_ADDR_LINKLOCAL(&p->source) && IN6_IS_ADDR_MULTICAST(&p->target))
		take(s, p->data, p->len, &p->mac, &from);
}

/* What clients send comes here too, and is the other socket's. */
static void on_readable(void *data, int events)
{
	struct dhcp6_server *s = data;
	(void)events;
	for (int i = 0; i < RECEIVE_BURST; i++) {
		uint8_t packet[DHCP6_SIZE_MAX + 1]; /* longer ones do not decode */
		struct net_addr from;
		ssize_t n = boot_udp_receive(s->fd, packet, sizeof(packet), &from);
		if (n < 0)
			return;
		net_set_port(&from, DHCP6_SERVER_PORT);
		if (n > 0 && packet[0] == DHCP6_RELAY_FORWARD)
			take(s, packet, (size_t)n, NULL, &from);
	}
}

/* A slot was found for a request: its sender still waits. The host may have gone meanwhile. */
static void on_slot(void *data, const void *message, const struct net_addr *address)
{
	struct dhcp6_server *s = data;
	const struct arrival *a = message;
	struct query q = { .server = s, .request = &a->request, .arrival = a, .slot = *address };
	q.pool = dhcp6_reply_pool(s->env->config, &a->request);
	if (s->active && s->env->ops->find(s->env->data, &a->mac, &q.host))
		grant(&q, answer_type(&a->request));
}

/* --- life ------------------------------------------------------------------------------------- */

/* Relays that know no server's address send to all (RFC 8415, section 7.1). */
static int join_servers(const struct dhcp6_server *s, struct err *err)
{
	const struct ipv6_mreq group = { .ipv6mr_multiaddr = { { { 0xff, 0x05, [13] = 1, 0, 3 } } },
					 .ipv6mr_interface = s->index };
	if (setsockopt(s->fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return err_set_errno(err, errno, "cannot join the group of DHCPv6 servers on %s",
				     s->env->config->device);
	return 0;
}

static int open_all(struct dhcp6_server *s, struct err *err)
{
	const struct boot_config *config = s->env->config;
	struct boot_udp_options options = { .device = config->device,
					    .family = AF_INET6,
					    .port = DHCP6_SERVER_PORT };
	int r = boot_udp_open(&options, &s->fd, err);
	if (r == 0)
		r = join_servers(s, err);
	if (r == 0)
		r = loop_io_open(s->env->loop, s->fd, LOOP_READ, "dhcp6", on_readable, s, &s->io,
				 err);
	if (r == 0)
		r = link6_open(s->env->loop, config->device, LINK6_DHCP, on_direct, s, &s->link,
			       err);
	return r < 0 ? r : boot_slots_open(s->env, AF_INET6, on_slot, s, &s->slots, err);
}

int dhcp6_server_open(const struct boot_env *env, struct dhcp6_server **ret, struct err *err)
{
	struct dhcp6_server *s = xcalloc(1, sizeof(*s));
	*s = (struct dhcp6_server){ .env = env,
				    .fd = -1,
				    .index = if_nametoindex(env->config->device) };
	int r = open_all(s, err);
	if (r < 0) {
		dhcp6_server_close(s);
		return err_wrap(err, "DHCPv6");
	}
	*ret = s;
	return 0;
}

struct dhcp6_server *dhcp6_server_close(struct dhcp6_server *s)
{
	if (!s)
		return NULL;
	boot_slots_close(s->slots);
	link6_close(s->link);
	if (s->io)
		loop_io_close(s->io);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
	return NULL;
}

void dhcp6_server_set_active(struct dhcp6_server *s, bool active)
{
	s->active = active;
}
