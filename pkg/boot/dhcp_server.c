/* DHCP server (RFC 2131) and proxyDHCP (PXE specification 2.1) for known MACs. There is no lease
 * database: an address belongs to a MAC for as long as the host exists (slots.c), so every answer
 * is a look-up, and a renewal needs nothing stored. Because the server decides for all MACs that it
 * knows, it refuses (NAK) what does not match their slot; of other MACs it says nothing, so that a
 * site's own DHCP may serve them on the same wire.
 *
 * Clients that have no address yet are answered by broadcast: a unicast would need a raw frame, and
 * all firmware takes broadcasts. Relayed clients are answered through their relay; relays must
 * reach us through the provisioning device, to which the sockets are bound.
 *
 * Owns its sockets and slots; runs on the core thread. A datagram costs a look-up, so the number
 * taken per wake-up is bounded and the rest waits in the socket. */

#include "boot/dhcp_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "boot/dhcp6_server.h"
#include "boot/dhcp_reply.h"
#include "boot/router_advert.h"
#include "boot/slots.h"
#include "boot/udp.h"
#include "metrics/metrics.h"

enum { RECEIVE_BURST = 32 };
static const usec_t NO_RANGE_REST = USEC_PER_MIN;

struct port {
	int fd;
	struct loop_io *io;
	struct dhcp_server *server;
};

struct dhcp_server {
	struct boot_env env;
	bool active;
	struct port main, pxe;	      /* 67, 4011 */
	struct boot_slots *slots;     /* server mode only */
	struct dhcp6_server *six;     /* server mode with an IPv6 range */
	struct router_advert *advert; /* NULL: the device has no IPv6 */
	usec_t no_range_at;	      /* when that was logged last */
	struct log_paces paces;
};

/* A request with what was found out about its sender. */
struct query {
	struct dhcp_server *server;
	const struct dhcp_message *request;
	struct net_mac mac;
	struct boot_host host;
	const struct boot_pool *pool; /* server mode */
	struct net_addr slot;	      /* not set: none */
};

/* --- answers ---------------------------------------------------------------------------------- */

/* Anyone on the wire may send in a host's name. */
static struct log_pace *pace(const struct query *q, const char *what, const char *detail)
{
	char mac[NET_MAC_TEXT_SIZE];
	struct dhcp_server *s = q->server;
	return log_pace_of(&s->paces, loop_now(s->env.loop), net_format_mac(&q->mac, mac), what,
			   detail);
}

static void log_reply(const struct query *q, enum dhcp_type type, const struct dhcp_message *m,
		      const struct boot_loader *loader)
{
	char mac[NET_MAC_TEXT_SIZE], ip[NET_IP_TEXT_MAX];
	struct net_addr address = net_from_v4(m->yiaddr);
	const struct boot_env *env = &q->server->env;
	if (loader && loader->lack && env->ops->failed)
		env->ops->failed(env->data, &q->mac, NULL, loader->lack);
	const char *file = loader && loader->file[0] ? loader->file : NULL;
	log_paced(pace(q, dhcp_type_name(type), file), loop_now(env->loop),
		  loader && loader->lack ? LOG_WARN : LOG_INFO, "dhcp", "reply",
		  dhcp_type_name(type), "host", q->host.name, "mac", net_format_mac(&q->mac, mac),
		  "address", net_is_set(&address) ? net_format_ip(&address, ip) : NULL, "file",
		  file, "error", loader ? loader->lack : NULL);
}

static void transmit(const struct query *q, const struct port *port, const struct dhcp_message *m,
		     const struct net_addr *to)
{
	uint8_t packet[DHCP_SIZE_MAX];
	size_t len;
	int r = dhcp_encode(m, dhcp_reply_max(q->request), packet, &len);
	if (r == 0)
		r = boot_udp_send(port->fd, &q->server->env.config->address, to, packet, len);
	if (r == 0)
		return;
	struct err err;
	char mac[NET_MAC_TEXT_SIZE];
	err_set_errno(&err, r, "cannot send");
	log_paced(pace(q, "answer lost", NULL), loop_now(q->server->env.loop), LOG_WARN,
		  "dhcp answer lost", "host", q->host.name, "mac", net_format_mac(&q->mac, mac),
		  "error", err.text);
}

static void seen(const struct query *q, enum boot_stage stage)
{
	const struct boot_env *env = &q->server->env;
	if (env->ops->seen)
		env->ops->seen(env->data, &q->mac, stage);
}

static void send_reply(const struct query *q, enum dhcp_type type, const struct dhcp_message *m,
		       const struct boot_loader *loader)
{
	struct net_addr to = dhcp_reply_target(q->request, type);
	transmit(q, &q->server->main, m, &to);
	log_reply(q, type, m, loader);
	metric_add(METRIC_DHCP_ANSWERS, 1, dhcp_type_name(type));
	if (type == DHCP_OFFER)
		seen(q, BOOT_STAGE_OFFERED);
	else if (type == DHCP_ACK && m->yiaddr.s_addr)
		seen(q, loader->client == BOOT_LOADER_CLIENT_OS && !q->request->ciaddr.s_addr
				? BOOT_STAGE_SYSTEM
				: BOOT_STAGE_LEASED);
}

/* OFFER and ACK, the latter also for INFORM (address NULL). */
static void grant(const struct query *q, enum dhcp_type type, const struct net_addr *address)
{
	const struct boot_config *config = q->server->env.config;
	struct dhcp_message m;
	struct boot_loader loader;
	dhcp_reply_init(config, q->request, type, &m);
	dhcp_reply_lease(config, q->pool, address, &m);
	boot_loader_choose(config, &q->host, q->request, &q->mac, &loader);
	dhcp_reply_boot(config, &loader, false, &m);
	send_reply(q, type, &m, &loader);
}

static void refuse(const struct query *q, const char *why)
{
	struct dhcp_message m;
	dhcp_reply_init(q->server->env.config, q->request, DHCP_NAK, &m);
	dhcp_reply_refuse(why, &m);
	send_reply(q, DHCP_NAK, &m, NULL);
}

/* --- server: one function per message (RFC 2131, section 4.3) --- */

static void on_discover(const struct query *q)
{
	struct in_addr ip;
	struct boot_slots_ask ask = { .pool = q->pool,
				      .mac = q->mac,
				      .message = q->request,
				      .message_size = sizeof(*q->request) };
	if (net_is_set(&q->slot)) {
		grant(q, DHCP_OFFER, &q->slot);
		return;
	}
	if (dhcp_get_address(q->request, DHCP_OPT_ADDRESS, &ip))
		ask.wanted = net_from_v4(ip);
	boot_slots_find(q->server->slots, &ask);
}

static void on_request(const struct query *q)
{
	struct in_addr server, wanted = q->request->ciaddr; /* renewing, rebinding */
	bool selecting = dhcp_get_address(q->request, DHCP_OPT_SERVER, &server);
	/* By the state that the message shows: selecting names a server, rebooting an address,
	 * renewing neither. */
	if (selecting && !dhcp_reply_is_server(q->server->env.config, q->request, server))
		return; /* it has chosen another server's offer */
	if (dhcp_has(q->request, DHCP_OPT_ADDRESS) &&
	    !dhcp_get_address(q->request, DHCP_OPT_ADDRESS, &wanted))
		return;
	if (wanted.s_addr == 0)
		return;
	if (wanted.s_addr == net_to_v4(&q->slot).s_addr)
		grant(q, DHCP_ACK, &q->slot);
	else
		refuse(q, "not the address of this host");
}

static void on_decline(const struct query *q)
{
	struct in_addr ip;
	char mac[NET_MAC_TEXT_SIZE];
	if (!dhcp_get_address(q->request, DHCP_OPT_ADDRESS, &ip))
		return;
	log_paced(pace(q, "DECLINE", NULL), loop_now(q->server->env.loop), LOG_WARN,
		  "a host declined its address: another machine uses it", "host", q->host.name,
		  "mac", net_format_mac(&q->mac, mac));
	struct net_addr address = net_from_v4(ip);
	boot_slots_decline(q->server->slots, &q->mac, &address);
}

static void on_inform(const struct query *q)
{
	if (q->request->ciaddr.s_addr)
		grant(q, DHCP_ACK, NULL);
}

/* A host of ours behind a relay whose subnet has no --dhcp-range. Told again after a while: the
 * host asks every few seconds. */
static void note_no_range(const struct query *q)
{
	struct dhcp_server *s = q->server;
	struct in_addr link = { 0 };
	struct net_addr relay = net_from_v4(q->request->giaddr);
	char relay_text[NET_IP_TEXT_MAX], link_text[NET_IP_TEXT_MAX];
	usec_t now = loop_now(s->env.loop);
	metric_add(METRIC_DHCP_IGNORED, 1, "no_range");
	if (s->no_range_at && now < s->no_range_at + NO_RANGE_REST)
		return;
	s->no_range_at = now;
	(void)(dhcp_get_relay_address(q->request, DHCP_RELAY_LINK, &link) ||
	       dhcp_get_address(q->request, DHCP_OPT_SUBNET, &link));
	struct net_addr subnet = net_from_v4(link);
	log_warn("dhcp request not answered: no --dhcp-range for the subnet that the relay names",
		 "host", q->host.name, "relay",
		 net_is_set(&relay) ? net_format_ip(&relay, relay_text) : NULL, "selectedSubnet",
		 net_is_set(&subnet) ? net_format_ip(&subnet, link_text) : NULL);
}

static void serve(struct query *q)
{
	const struct dhcp_server *s = q->server;
	q->pool = dhcp_reply_pool(s->env.config, q->request);
	if (!q->pool) {
		note_no_range(q);
		return;
	}
	(void)boot_slots_get(s->slots, q->pool, &q->mac, &q->slot);
	switch (dhcp_type(q->request)) {
	case DHCP_DISCOVER:
		on_discover(q);
		break;
	case DHCP_REQUEST:
		on_request(q);
		break;
	case DHCP_DECLINE:
		on_decline(q);
		break;
	case DHCP_INFORM:
		on_inform(q);
		break;
	case DHCP_RELEASE: /* a slot outlives leases */
	case DHCP_OFFER:
	case DHCP_ACK:
	case DHCP_NAK:
		break;
	}
}

/* --- proxy ------------------------------------------------------------------------------------ */

/* On port 67: a second offer, without an address. The REQUEST there goes to the site's DHCP. */
static void proxy_offer(const struct query *q)
{
	const struct boot_config *config = q->server->env.config;
	struct dhcp_message m;
	struct boot_loader loader;
	if (dhcp_type(q->request) != DHCP_DISCOVER)
		return;
	boot_loader_choose(config, &q->host, q->request, &q->mac, &loader);
	if (loader.lack)
		log_reply(q, DHCP_OFFER, q->request, &loader);
	if (loader.kind == BOOT_LOADER_NONE)
		return;
	dhcp_reply_init(config, q->request, DHCP_OFFER, &m);
	dhcp_reply_boot(config, &loader, true, &m);
	send_reply(q, DHCP_OFFER, &m, &loader);
}

/* On port 4011: clients that have an address by now ask for the boot file alone, and wait for the
 * answer on the port that they asked from. */
static void proxy_acknowledge(const struct query *q, const struct net_addr *from)
{
	const struct boot_config *config = q->server->env.config;
	struct dhcp_message m;
	struct boot_loader loader;
	enum dhcp_type type = dhcp_type(q->request);
	if (type != DHCP_REQUEST && type != DHCP_INFORM)
		return;
	boot_loader_choose(config, &q->host, q->request, &q->mac, &loader);
	if (loader.kind == BOOT_LOADER_NONE)
		return;
	dhcp_reply_init(config, q->request, DHCP_ACK, &m);
	dhcp_reply_boot(config, &loader, true, &m);
	transmit(q, &q->server->pxe, &m, from);
	log_reply(q, DHCP_ACK, &m, &loader);
}

/* --- sockets ---------------------------------------------------------------------------------- */

/* Operating systems on the same wire are no concern of ours. */
static void note_stranger(const struct query *q)
{
	static const enum boot_request requests[] = {
		[BOOT_LOADER_CLIENT_PXE] = BOOT_REQUEST_PXE,
		[BOOT_LOADER_CLIENT_HTTP] = BOOT_REQUEST_HTTP,
		[BOOT_LOADER_CLIENT_IPXE] = BOOT_REQUEST_IPXE
	};
	const struct boot_env *env = &q->server->env;
	enum boot_loader_client client = boot_loader_client(q->request);
	metric_add(METRIC_DHCP_IGNORED, 1, "unknown_mac");
	if (client != BOOT_LOADER_CLIENT_OS && env->ops->stranger)
		env->ops->stranger(env->data, &q->mac, requests[client]);
}

static void take(struct port *port, const uint8_t *packet, size_t len, const struct net_addr *from)
{
	struct dhcp_server *s = port->server;
	struct dhcp_message m;
	if (!s->active)
		return;
	if (dhcp_decode(packet, len, &m) < 0 || m.op != DHCP_OP_REQUEST ||
	    m.htype != DHCP_HTYPE_ETHERNET || m.hlen != sizeof(struct net_mac)) {
		metric_add(METRIC_DHCP_IGNORED, 1, "malformed");
		return;
	}
	struct query q = { .server = s, .request = &m };
	memcpy(q.mac.bytes, m.chaddr, sizeof(q.mac.bytes));
	if (!s->env.ops->find(s->env.data, &q.mac, &q.host)) {
		note_stranger(&q);
		return;
	}
	if (s->advert && boot_loader_client(&m) == BOOT_LOADER_CLIENT_IPXE)
		router_advert_expect(s->advert, &q.mac);
	if (port == &s->pxe)
		proxy_acknowledge(&q, from);
	else if (s->env.config->dhcp == BOOT_DHCP_PROXY)
		proxy_offer(&q);
	else
		serve(&q);
}

static void on_readable(void *data, int events)
{
	struct port *port = data;
	(void)events;
	for (int i = 0; i < RECEIVE_BURST; i++) {
		uint8_t packet[DHCP_SIZE_MAX + 1]; /* longer ones do not decode */
		struct net_addr from;
		ssize_t n = boot_udp_receive(port->fd, packet, sizeof(packet), &from);
		if (n < 0)
			return;
		take(port, packet, (size_t)n, &from);
	}
}

/* A slot was found for a DISCOVER: its sender still waits. The host may have gone meanwhile. */
static void on_slot(void *data, const void *message, const struct net_addr *address)
{
	struct dhcp_server *s = data;
	const struct dhcp_message *request = message;
	struct query q = { .server = s, .request = request };
	memcpy(q.mac.bytes, request->chaddr, sizeof(q.mac.bytes));
	q.pool = dhcp_reply_pool(s->env.config, request);
	if (s->active && s->env.ops->find(s->env.data, &q.mac, &q.host))
		grant(&q, DHCP_OFFER, address);
}

static int open_port(struct dhcp_server *s, struct port *port, uint16_t number, struct err *err)
{
	const struct boot_config *config = s->env.config;
	/* Beside a site's DHCP on this very machine, both hear the broadcasts. */
	struct boot_udp_options options = { .device = config->device,
					    .port = number,
					    .share = config->dhcp == BOOT_DHCP_PROXY };
	int r = boot_udp_open(&options, &port->fd, err);
	if (r < 0)
		return r;
	return loop_io_open(s->env.loop, port->fd, LOOP_READ, "dhcp", on_readable, port, &port->io,
			    err);
}

/* A help only where it is not asked for: everything works without it. */
static int open_advert(struct dhcp_server *s, struct err *err)
{
	struct err why;
	int r = router_advert_open(&s->env, &s->advert, &why);
	if (r < 0 && s->env.config->router_adverts)
		return err_set(err, why.kind, "--router-adverts: %s", why.text);
	if (r < 0)
		log_info("network boots through iPXE take 13 s longer", "error", why.text);
	return 0;
}

static int open_four(struct dhcp_server *s, struct err *err)
{
	int r = open_port(s, &s->main, DHCP_SERVER_PORT, err);
	if (r == 0 && s->env.config->dhcp == BOOT_DHCP_PROXY)
		r = open_port(s, &s->pxe, DHCP_PXE_PORT, err);
	if (r == 0 && s->env.config->dhcp == BOOT_DHCP_SERVER)
		r = boot_slots_open(&s->env, AF_INET, on_slot, s, &s->slots, err);
	return r;
}

/* As server, in the families that there are ranges of. */
static int open_all(struct dhcp_server *s, struct err *err)
{
	const struct boot_config *config = s->env.config;
	bool server = config->dhcp == BOOT_DHCP_SERVER;
	if (config->dhcp == BOOT_DHCP_OFF)
		return 0;
	int r = open_advert(s, err);
	if (r == 0 && (!server || boot_has_pool(config, AF_INET)))
		r = open_four(s, err);
	if (r == 0 && server && boot_has_pool(config, AF_INET6))
		r = dhcp6_server_open(&s->env, &s->six, err);
	return r;
}

int dhcp_server_open(const struct boot_env *env, struct dhcp_server **ret, struct err *err)
{
	int r = boot_config_check(env->config, err);
	if (r < 0)
		return r;
	struct dhcp_server *s = xcalloc(1, sizeof(*s));
	s->env = *env;
	s->main = s->pxe = (struct port){ .fd = -1, .server = s };
	r = open_all(s, err);
	if (r < 0) {
		dhcp_server_close(s);
		return err_wrap(err, "DHCP");
	}
	*ret = s;
	return 0;
}

static void close_port(struct port *port)
{
	if (port->io)
		port->io = loop_io_close(port->io);
	if (port->fd >= 0)
		close(port->fd);
	port->fd = -1;
}

struct dhcp_server *dhcp_server_close(struct dhcp_server *s)
{
	if (!s)
		return NULL;
	boot_slots_close(s->slots);
	dhcp6_server_close(s->six);
	router_advert_close(s->advert);
	close_port(&s->main);
	close_port(&s->pxe);
	free(s);
	return NULL;
}

void dhcp_server_set_active(struct dhcp_server *s, bool active)
{
	s->active = active;
	if (s->six)
		dhcp6_server_set_active(s->six, active);
	if (s->advert)
		router_advert_set_active(s->advert, active);
}
