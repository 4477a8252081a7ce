/* DHCPv6 client by RFC 8415, section 18.2, for one address. It does not wait before its first
 * message, as section 18.2.1 asks of networks on which all machines start at once: a server that
 * boots waits for nothing else. Of several offers the one with the highest preference is taken; one
 * with the highest that there is, or a reply with "rapid commit", at once.
 *
 * Each state has a row: what it sends, and how long it waits before it sends it again (section 15).
 * A state ends by an answer, or by the time that its row's `until` gives. */

#include "agent/dhcp6_client.h"

#include <stdlib.h>
#include <string.h>

#include "base/fsm.h"
#include "base/log.h"
#include "base/mem.h"

enum { DUID_SIZE = 10, REQUESTS_MAX = 10, DECLINE_REST_S = 10, RENEWAL_MIN_S = 5 };

enum state { STATE_SOLICIT, STATE_REQUEST, STATE_BOUND, STATE_RENEW, STATE_REBIND, _STATE_MAX };

struct dhcp6_client {
	struct dhcp6_client_options options;
	uint8_t duid[DUID_SIZE];
	uint32_t iaid;
	enum state state;
	struct timer timer;
	bool waiting; /* to be kicked: a message could not be sent */
	uint32_t xid;
	usec_t began, timeout; /* of the exchange; of the last message */
	unsigned tries;
	/* The server that is asked, by its identifier. */
	uint8_t server[DHCP6_DUID_MAX];
	size_t server_len;
	int preference; /* of the best offer; -1: none yet */
	struct in6_addr wanted;
	struct dhcp6_lease lease; /* address not set: none */
	usec_t leased, t1, t2;	  /* absolute; when it was got */
};

static usec_t lease_end(const struct dhcp6_client *c)
{
	return c->lease.valid == UINT32_MAX ? USEC_INFINITY
					    : c->leased + c->lease.valid * USEC_PER_SEC;
}

static usec_t until_t2(const struct dhcp6_client *c)
{
	return MIN(c->t2, lease_end(c));
}

#define MAY(state) (1u << STATE_##state)

static const struct state_row {
	const char *name;
	enum dhcp6_type sends;			       /* 0: nothing */
	usec_t first, most;			       /* between messages */
	unsigned tries_max;			       /* 0: no limit */
	bool server, address;			       /* what the message names */
	usec_t (*until)(const struct dhcp6_client *c); /* NULL: for good */
	enum state after;			       /* the last try, or `until` */
	unsigned next;
} states[_STATE_MAX] = {
	[STATE_SOLICIT] = { "solicit", DHCP6_SOLICIT, USEC_PER_SEC, 30 * USEC_PER_SEC, 0, false,
			    false, NULL, STATE_SOLICIT, MAY(REQUEST) | MAY(BOUND) },
	[STATE_REQUEST] = { "request", DHCP6_REQUEST, USEC_PER_SEC, 30 * USEC_PER_SEC, REQUESTS_MAX,
			    true, true, NULL, STATE_SOLICIT, MAY(SOLICIT) | MAY(BOUND) },
	[STATE_BOUND] = { "bound", 0, 0, 0, 0, false, false, NULL, STATE_RENEW,
			  MAY(RENEW) | MAY(SOLICIT) },
	[STATE_RENEW] = { "renew", DHCP6_RENEW, 10 * USEC_PER_SEC, 600 * USEC_PER_SEC, 0, true,
			  true, until_t2, STATE_REBIND,
			  MAY(BOUND) | MAY(REBIND) | MAY(REQUEST) | MAY(SOLICIT) },
	[STATE_REBIND] = { "rebind", DHCP6_REBIND, 10 * USEC_PER_SEC, 600 * USEC_PER_SEC, 0, false,
			   true, lease_end, STATE_SOLICIT,
			   MAY(BOUND) | MAY(REQUEST) | MAY(SOLICIT) },
};

static const struct fsm machine = FSM_INIT("DHCPv6 client", states);

/* --- sending ---------------------------------------------------------------------------------- */

static void add_association(const struct dhcp6_client *c, bool address, struct dhcp6_message *m)
{
	const struct dhcp6_ia ia = { .code = DHCP6_OPT_IA_NA, .iaid = c->iaid };
	const struct dhcp6_address a = { .ip = c->wanted };
	dhcp6_add_ia(m, &ia, &a, address, DHCP6_SUCCESS, "");
}

/* Hundredths of a second since the exchange began. */
static uint16_t elapsed(const struct dhcp6_client *c)
{
	usec_t hundredths = (loop_now(c->options.loop) - c->began) / (10 * USEC_PER_MSEC);
	return (uint16_t)MIN(hundredths, (usec_t)UINT16_MAX);
}

static bool transmit(struct dhcp6_client *c, enum dhcp6_type type, bool server, bool address)
{
	static const uint8_t asks[] = { 0, DHCP6_OPT_DNS, 0, DHCP6_OPT_DOMAINS };
	struct dhcp6_message m = { .type = type, .xid = c->xid };
	uint8_t packet[DHCP6_SIZE_MAX];
	size_t len;
	dhcp6_add(&m, DHCP6_OPT_CLIENT_ID, c->duid, sizeof(c->duid));
	if (server)
		dhcp6_add(&m, DHCP6_OPT_SERVER_ID, c->server, c->server_len);
	add_association(c, address, &m);
	dhcp6_add(&m, DHCP6_OPT_REQUEST, asks, sizeof(asks));
	dhcp6_add_u16(&m, DHCP6_OPT_ELAPSED, elapsed(c));
	if (type == DHCP6_SOLICIT)
		dhcp6_add(&m, DHCP6_OPT_RAPID_COMMIT, NULL, 0);
	return dhcp6_encode(&m, packet, &len) == 0 && c->options.send(c->options.data, packet, len);
}

/* Section 15: doubled each time, and a tenth more or less. */
static usec_t next_timeout(struct dhcp6_client *c)
{
	const struct state_row *row = &states[c->state];
	usec_t base = c->timeout ? MIN(2 * c->timeout, row->most) : row->first;
	usec_t tenth = base / 10;
	return base - tenth + loop_random_below(c->options.loop, 2 * tenth + 1);
}

static void set_timer(struct dhcp6_client *c, usec_t at)
{
	timer_stop(&c->timer);
	if (at != USEC_INFINITY)
		timer_set_at(&c->timer, at);
}

static void send_current(struct dhcp6_client *c)
{
	const struct state_row *row = &states[c->state];
	usec_t end = row->until ? row->until(c) : USEC_INFINITY;
	c->waiting = !transmit(c, row->sends, row->server, row->address);
	if (c->waiting) {
		set_timer(c, end);
		return;
	}
	c->tries++;
	c->timeout = next_timeout(c);
	timer_set_at(&c->timer, MIN(loop_now(c->options.loop) + c->timeout, end));
}

/* --- states ----------------------------------------------------------------------------------- */

static void choose_xid(struct dhcp6_client *c)
{
	loop_random(c->options.loop, &c->xid, sizeof(c->xid));
	c->xid &= 0xffffff;
}

/* The timer and the first message of the state are the caller's. */
static void enter(struct dhcp6_client *c, enum state state)
{
	if (state != c->state)
		fsm_check(&machine, c->state, state, "");
	c->state = state;
	c->timeout = 0;
	c->tries = 0;
	c->waiting = false;
	c->preference = -1;
	c->began = loop_now(c->options.loop);
	choose_xid(c);
}

static void set_state(struct dhcp6_client *c, enum state state)
{
	enter(c, state);
	if (state == STATE_BOUND)
		set_timer(c, c->t1);
	else
		send_current(c);
}

static void lose(struct dhcp6_client *c)
{
	if (!net_is_set(&c->lease.address))
		return;
	c->lease = (struct dhcp6_lease){ 0 };
	c->options.changed(c->options.data, NULL);
}

static void give_up(struct dhcp6_client *c)
{
	enum state after = states[c->state].after;
	if (after == STATE_SOLICIT)
		lose(c);
	set_state(c, after);
}

static void on_timer(void *data)
{
	struct dhcp6_client *c = data;
	const struct state_row *row = &states[c->state];
	bool last = row->tries_max && c->tries >= row->tries_max;
	if (c->state == STATE_BOUND || last ||
	    (row->until && loop_now(c->options.loop) >= row->until(c)))
		give_up(c);
	else if (c->state == STATE_SOLICIT && c->preference >= 0)
		set_state(c, STATE_REQUEST); /* no better offer has come */
	else
		send_current(c);
}

/* --- receiving -------------------------------------------------------------------------------- */

static bool is_for_us(const struct dhcp6_client *c, const struct dhcp6_message *m)
{
	size_t len, server_len;
	const uint8_t *id = dhcp6_get(m, DHCP6_OPT_CLIENT_ID, &len);
	const uint8_t *server = dhcp6_get(m, DHCP6_OPT_SERVER_ID, &server_len);
	return m->relay_count == 0 && m->xid == c->xid && id && len == sizeof(c->duid) &&
	       memcmp(id, c->duid, len) == 0 && server && server_len > 0 &&
	       server_len <= sizeof(c->server);
}

static bool find_association(const struct dhcp6_client *c, const struct dhcp6_message *m,
			     struct dhcp6_ia *ret)
{
	for (size_t n = 0; dhcp6_get_ia(m, n, ret); n++)
		if (ret->code == DHCP6_OPT_IA_NA && ret->iaid == c->iaid)
			return true;
	return false;
}

/* The first address that does not end now, or before it could be renewed. */
static bool find_address(const struct dhcp6_ia *ia, struct dhcp6_address *ret)
{
	for (size_t n = 0; dhcp6_get_address(ia, n, ret); n++)
		if (ret->valid > RENEWAL_MIN_S && ret->preferred <= ret->valid)
			return true;
	return false;
}

static void take_server(struct dhcp6_client *c, const struct dhcp6_message *m)
{
	const uint8_t *id = dhcp6_get(m, DHCP6_OPT_SERVER_ID, &c->server_len);
	memcpy(c->server, id, c->server_len);
}

static void take_advertise(struct dhcp6_client *c, const struct dhcp6_message *m)
{
	struct dhcp6_ia ia;
	struct dhcp6_address a;
	size_t len;
	const uint8_t *p = dhcp6_get(m, DHCP6_OPT_PREFERENCE, &len);
	int preference = p && len == 1 ? *p : 0;
	if (!find_association(c, m, &ia) || !find_address(&ia, &a) || preference <= c->preference)
		return;
	take_server(c, m);
	c->wanted = a.ip;
	c->preference = preference;
	if (preference == DHCP6_PREFERENCE_MAX || c->tries > 1)
		set_state(c, STATE_REQUEST);
}

/* Labels with dots between; what does not fit or is not a name is ignored. */
static void read_domain(const struct dhcp6_message *m, char out[DHCP6_CLIENT_DOMAIN_MAX])
{
	size_t len, at = 0, used = 0;
	const uint8_t *wire = dhcp6_get(m, DHCP6_OPT_DOMAINS, &len);
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_";
	out[0] = '\0';
	while (wire && at < len && wire[at] > 0) {
		size_t label = wire[at++];
		if (label > len - at || used + label + 2 > DHCP6_CLIENT_DOMAIN_MAX)
			break;
		if (used > 0)
			out[used++] = '.';
		for (size_t i = 0; i < label; i++, used++)
			out[used] = (char)wire[at + i];
		at += label;
		out[used] = '\0';
	}
	/* It goes into a file and an environment. */
	bool whole = wire && at < len && wire[at] == 0;
	for (size_t i = 0; out[i]; i++)
		whole = whole && (out[i] == '.' || strchr(allowed, out[i]));
	if (!whole)
		out[0] = '\0';
}

static void read_names(const struct dhcp6_message *m, struct dhcp6_lease *lease)
{
	size_t len;
	const uint8_t *dns = dhcp6_get(m, DHCP6_OPT_DNS, &len);
	const size_t size = sizeof(struct in6_addr);
	for (size_t at = 0; dns && at + size <= len && lease->dns_count < DHCP6_CLIENT_DNS_MAX;
	     at += size) {
		struct net_addr *a = &lease->dns[lease->dns_count++];
		a->v6.sin6_family = AF_INET6;
		memcpy(&a->v6.sin6_addr, dns + at, size);
	}
	read_domain(m, lease->domain);
}

/* 0: the server leaves it to us (section 21.4). */
static usec_t renewal(usec_t now, uint32_t told, uint32_t preferred, unsigned tenths)
{
	uint32_t seconds = told;
	if (told == 0)
		seconds = preferred == UINT32_MAX ? UINT32_MAX : preferred / 10 * tenths;
	return seconds == UINT32_MAX ? USEC_INFINITY : now + seconds * USEC_PER_SEC;
}

static void bind_lease(struct dhcp6_client *c, const struct dhcp6_message *m,
		       const struct dhcp6_ia *ia, const struct dhcp6_address *a)
{
	usec_t now = loop_now(c->options.loop);
	struct dhcp6_lease lease = { .address = { .v6 = { .sin6_family = AF_INET6,
							  .sin6_addr = a->ip } },
				     .preferred = a->preferred,
				     .valid = a->valid };
	read_names(m, &lease);
	if (net_is_set(&c->lease.address) && !net_same_ip(&c->lease.address, &lease.address))
		lose(c);
	take_server(c, m);
	c->wanted = a->ip;
	c->lease = lease;
	c->leased = now;
	c->t1 = MAX(renewal(now, ia->t1, a->preferred, 5), now + RENEWAL_MIN_S * USEC_PER_SEC);
	c->t2 = MAX(renewal(now, ia->t2, a->preferred, 8), c->t1);
	set_state(c, STATE_BOUND);
	c->options.changed(c->options.data, &c->lease);
}

/* Section 18.2.10.1. A server that has nothing for us ends the exchange with it. */
static void take_reply(struct dhcp6_client *c, const struct dhcp6_message *m)
{
	struct dhcp6_ia ia;
	struct dhcp6_address a;
	enum dhcp6_status status = dhcp6_get_status(m, NULL);
	bool found = find_association(c, m, &ia);
	if (found && status == DHCP6_SUCCESS)
		status = dhcp6_get_status(m, &ia);
	if (status == DHCP6_SUCCESS && found && find_address(&ia, &a)) {
		bind_lease(c, m, &ia, &a);
	} else if (status == DHCP6_NO_BINDING &&
		   (c->state == STATE_RENEW || c->state == STATE_REBIND)) {
		take_server(c, m);
		set_state(c, STATE_REQUEST);
	} else if (c->state == STATE_REQUEST) {
		set_state(c, STATE_SOLICIT);
	}
}

void dhcp6_client_take(struct dhcp6_client *c, const void *message, size_t len)
{
	struct dhcp6_message m;
	if (dhcp6_decode(message, len, &m) < 0 || !is_for_us(c, &m) || c->state == STATE_BOUND)
		return;
	bool rapid = dhcp6_has(&m, DHCP6_OPT_RAPID_COMMIT);
	if (m.type == DHCP6_ADVERTISE && c->state == STATE_SOLICIT)
		take_advertise(c, &m);
	else if (m.type == DHCP6_REPLY && (c->state != STATE_SOLICIT || rapid))
		take_reply(c, &m);
}

/* --- life ------------------------------------------------------------------------------------- */

/* One message, whose loss does no harm: who has the address will answer for it again. */
void dhcp6_client_decline(struct dhcp6_client *c)
{
	if (!net_is_set(&c->lease.address))
		return;
	choose_xid(c);
	(void)transmit(c, DHCP6_DECLINE, true, true);
	lose(c);
	enter(c, STATE_SOLICIT);
	timer_set_in(&c->timer, DECLINE_REST_S * USEC_PER_SEC);
}

void dhcp6_client_kick(struct dhcp6_client *c)
{
	if (c->waiting)
		send_current(c);
}

struct dhcp6_client *dhcp6_client_new(const struct dhcp6_client_options *options)
{
	struct dhcp6_client *c = xcalloc(1, sizeof(*c));
	const uint8_t *mac = options->mac.bytes;
	c->options = *options;
	/* A DUID of the type "link-layer address", which needs no memory. */
	const uint8_t duid[DUID_SIZE] = {
		0, 3, 0, 1, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]
	};
	memcpy(c->duid, duid, sizeof(duid));
	memcpy(&c->iaid, mac + 2, sizeof(c->iaid));
	timer_init(&c->timer, options->loop, "dhcp6", on_timer, c);
	c->preference = -1;
	c->waiting = true;
	c->began = loop_now(options->loop);
	choose_xid(c);
	return c;
}

struct dhcp6_client *dhcp6_client_free(struct dhcp6_client *c)
{
	if (!c)
		return NULL;
	timer_stop(&c->timer);
	free(c);
	return NULL;
}
