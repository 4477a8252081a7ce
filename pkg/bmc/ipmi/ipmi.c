/* The IPMI engine: for each request a list of steps (commands.c), for the steps a session
 * (session.c), for the session packets that are repeated until they are answered.
 *
 *   request → pause between sessions → name → policy → free slot → session → steps → done
 *
 * One timer per BMC serves whatever it waits for (enum ipmi_wait). A session lives while requests
 * are queued, or as long as the last one asked to keep it; then it is closed, and the next begins
 * `session_gap` later. The deadline is bmc.c's business: it calls abandon(), which tells what the
 * time was lost on.
 *
 * A BMC may need longer for an answer than we wait before repeating. Repeated set-up packets can
 * make it change its mind in the middle of the exchange, and the password then looks wrong. So a
 * refused password counts only if nothing was repeated; else the session is tried again, with more
 * patience, which the BMC keeps for the next time (`slow`). Core thread. */

#include <limits.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "bmc/ipmi/internal.h"
#include "metrics/metrics.h"

enum {
	RESTARTS_MAX = 3, /* sessions lost during one request; one more confirms a refusal */
	SLOW_MAX = 3,	  /* doublings of the first repetition time */
	TRIES_SET_UP = 4, /* transmissions before a session is given up */
	TRIES_COMMAND = 3,
	TRIES_SUITE = 2,
	TRIES_CLOSE = 2,
	CIPHER_SUITES_ALL = 3, /* bits of both rows */
};

#define RETRANSMIT_MAX (8 * USEC_PER_SEC)
#define NAME_LIFETIME  USEC_PER_MIN

struct ipmi_resolve {
	struct ipmi_bmc *bmc; /* NULL: the request has ended */
	char *host;
	uint16_t port;
	struct net_addr result;
	int error; /* of getaddrinfo */
};

static void begin_session(struct ipmi_bmc *b);
static void send_step(struct ipmi_bmc *b);

static struct ipmi_bmc *of(struct bmc *bmc)
{
	return container_of(bmc, struct ipmi_bmc, base);
}

static usec_t now(const struct ipmi_bmc *b)
{
	return loop_now(b->base.driver->loop);
}

/* Up to an eighth more, so that thousands of BMCs do not march in step. */
static usec_t jittered(const struct ipmi_bmc *b, usec_t span)
{
	return span + loop_random_below(b->base.driver->loop, span / 8 + 1);
}

static void wait_for(struct ipmi_bmc *b, enum ipmi_wait what, usec_t delay)
{
	b->wait = what;
	timer_set_in(&b->timer, delay);
}

static void wait_end(struct ipmi_bmc *b)
{
	b->wait = IPMI_WAIT_NONE;
	timer_stop(&b->timer);
}

/* --- the end of sessions and requests -------------------------------------------------------- */

static void start_waiting(struct ipmi_driver *d)
{
	struct list *first = list_take_first(&d->waiting);
	if (!first)
		return;
	d->stats.waiting--;
	wait_for(list_entry(first, struct ipmi_bmc, waiting), IPMI_WAIT_START, 0);
}

static void end_session(struct ipmi_bmc *b)
{
	struct ipmi_driver *d = ipmi_driver_of(b);
	wait_end(b);
	if (!b->session)
		return;
	b->stuck = b->session->state;
	ipmi_session_done(b->session);
	free(b->session);
	b->session = NULL;
	ipmi_slot_release(b);
	b->next_session_at = now(b) + jittered(b, d->options.session_gap);
	start_waiting(d);
}

/* Without waiting for an answer: a BMC has few sessions, and an open one blocks them for a minute.
 */
static void drop_session(struct ipmi_bmc *b)
{
	uint8_t packet[IPMI_PACKET_MAX];
	if (b->session && b->session->established) {
		ipmi_session_close(b->session);
		int n = ipmi_session_packet(b->session, packet);
		if (n > 0)
			(void)ipmi_send(b, packet, (size_t)n, &(struct err){ 0 });
	}
	end_session(b);
}

static void succeed(struct ipmi_bmc *b)
{
	b->step = NULL;
	wait_end(b);
	bmc_complete(&b->base);
}

/* The BMC refused, or cannot be talked to; task->result.err says why. */
static void fail(struct ipmi_bmc *b)
{
	if (!b->session)
		start_waiting(ipmi_driver_of(b));
	else if (b->session->state != IPMI_STATE_READY)
		drop_session(b);
	b->step = NULL;
	wait_end(b);
	bmc_complete(&b->base);
}

static struct err *result_err(struct ipmi_bmc *b)
{
	return &b->base.running->result.err;
}

static void schedule_session(struct ipmi_bmc *b)
{
	usec_t at = MAX(now(b), b->next_session_at);
	b->wait = IPMI_WAIT_START;
	timer_set_at(&b->timer, at);
}

/* The session is of no use any more; the request deserves another one. */
static void restart(struct ipmi_bmc *b)
{
	b->known = false;
	if (b->restarts >= RESTARTS_MAX + (b->doubted != IPMI_FAILURE_NONE)) {
		ipmi_report_late(b, result_err(b));
		fail(b);
		return;
	}
	b->restarts++;
	drop_session(b);
	schedule_session(b);
}

/* --- sending --------------------------------------------------------------------------------- */

static usec_t patience(const struct ipmi_bmc *b)
{
	usec_t first = ipmi_driver_of(b)->options.retransmit;
	usec_t span = first << b->slow, limit = MAX(first, RETRANSMIT_MAX);
	for (unsigned i = 1; i < b->session->tries && span < limit; i++)
		span *= 2;
	span = MIN(span, limit);
	/* Up to an eighth more; the session's own random bytes save a system call for each packet.
	 */
	return span + span / 2048 * b->session->secrets.console_random[b->session->tries & 15];
}

static int send_packet(struct ipmi_bmc *b, struct err *err)
{
	uint8_t packet[IPMI_PACKET_MAX];
	if (bmc_may_act(&b->base, err) < 0) /* a session left open ends by itself */
		return err_value(err);
	int n = ipmi_session_packet(b->session, packet);
	return n < 0 ? err_set(err, ERR_INTERNAL, "cannot encode an IPMI packet (%d)", n)
		     : ipmi_send(b, packet, (size_t)n, err);
}

/* Sends what the session's state wants sent, for the first time or again. */
static void transmit(struct ipmi_bmc *b)
{
	struct err err = { 0 };
	if (b->session->tries > 0)
		ipmi_driver_of(b)->stats.resent++;
	int r = send_packet(b, &err);
	if (r == 0 && b->session->state == IPMI_STATE_COMMAND && b->sent_once)
		return; /* until it is answered or the deadline comes */
	if (r == 0) {
		wait_for(b, IPMI_WAIT_ANSWER, patience(b));
		return;
	}
	if (!b->base.running || b->session->state == IPMI_STATE_CLOSING) {
		end_session(b);
		if (b->base.running)
			schedule_session(b);
		return;
	}
	*result_err(b) = err;
	fail(b);
}

static void send_step(struct ipmi_bmc *b)
{
	uint8_t data[IPMI_DATA_MAX];
	struct wcursor w;
	const struct bmc_request *request = &b->base.running->request;
	wcursor_init(&w, data, sizeof(data));
	if (b->step->encode)
		b->step->encode(&b->facts, request, &w);
	b->sent_once = ipmi_step_once(b->step, request);
	ipmi_session_command(b->session, b->step->netfn, b->step->command, data, w.pos);
	transmit(b);
}

static void close_session(struct ipmi_bmc *b)
{
	ipmi_session_close(b->session);
	transmit(b);
}

/* --- answers --------------------------------------------------------------------------------- */

static void next_step(struct ipmi_bmc *b)
{
	b->busy = 0;
	b->step = ipmi_step_from(b->step + 1, &b->facts, &b->base.running->request);
	if (b->step)
		send_step(b);
	else
		succeed(b);
}

static void on_good_answer(struct ipmi_bmc *b, const struct ipmi_message *m)
{
	struct cursor c;
	cursor_init(&c, m->data, m->len);
	if (b->step->decode && !b->step->decode(&b->facts, &c, &b->base.running->result) &&
	    !b->step->may_fail) {
		_cleanup_(freep) char *bmc = bmc_address_endpoint(&b->base.address);
		err_set(result_err(b), ERR_PROTOCOL, "BMC %s: the answer to %s is too short", bmc,
			b->step->name);
		fail(b);
		return;
	}
	next_step(b);
}

static void on_answer(struct ipmi_bmc *b)
{
	const struct ipmi_message *m = &b->session->answer;
	b->sent_once = false;
	if (m->completion == 0) {
		on_good_answer(b, m);
	} else if (ipmi_completion_kind(m->completion) == ERR_BUSY) {
		usec_t delay = ipmi_driver_of(b)->options.retransmit << MIN(b->busy, 3);
		b->busy += b->busy < UINT8_MAX;
		wait_for(b, IPMI_WAIT_COMMAND, jittered(b, delay));
	} else if (b->step->may_fail) {
		next_step(b);
	} else {
		ipmi_report_completion(b, m->completion, result_err(b));
		fail(b);
	}
}

static void on_ready(struct ipmi_bmc *b)
{
	const struct ipmi_session *s = b->session;
	b->known = true;
	b->doubted = b->confirmed = IPMI_FAILURE_NONE;
	b->suite_row = (uint8_t)(s->secrets.suite - ipmi_suites() + 1);
	b->busy = 0;
	if (!s->resent && b->slow > 0)
		b->slow--;
	send_step(b);
}

static void send_refusal(struct ipmi_bmc *b)
{
	uint8_t packet[IPMI_PACKET_MAX];
	int n = ipmi_session_refusal(b->session, packet);
	if (n > 0)
		(void)ipmi_send(b, packet, (size_t)n, &(struct err){ 0 });
}

/* Until the session stands nothing is authenticated, and one flipped bit looks like a wrong
 * password: a refusal is believed when a second session of the same request says the same. */
static bool needs_confirmation(struct ipmi_bmc *b)
{
	const struct ipmi_session *s = b->session;
	if (s->established || s->failure == IPMI_FAILURE_LOST || b->confirmed == s->failure ||
	    b->restarts > RESTARTS_MAX)
		return false;
	if (b->doubted == s->failure) {
		b->confirmed = s->failure;
		return false;
	}
	b->doubted = s->failure;
	return true;
}

static void on_failure(struct ipmi_bmc *b)
{
	const struct ipmi_session *s = b->session;
	/* The BMC has not been told yet that we refused its RAKP 2. */
	if (s->failure == IPMI_FAILURE_PASSWORD && s->status == 0)
		send_refusal(b);
	if (s->failure == IPMI_FAILURE_BUSY) {
		b->busy += b->busy < UINT8_MAX;
		end_session(b);
		schedule_session(b);
	} else if (b->restarts < RESTARTS_MAX &&
		   (s->failure == IPMI_FAILURE_LOST ||
		    (s->failure == IPMI_FAILURE_PASSWORD && s->resent))) { // NOLINT: order matters
		restart(b);
	} else if (s->failure == IPMI_FAILURE_NO_SUITE && b->suite_row) {
		b->suite_row = 0; /* the suite that worked last time is gone: try all */
		restart(b);
	} else if (needs_confirmation(b)) {
		restart(b);
	} else {
		ipmi_report_failure(b, s, result_err(b));
		fail(b);
	}
}

static void on_closed(struct ipmi_bmc *b)
{
	end_session(b);
	if (b->base.running)
		schedule_session(b);
}

/* What a slow answer teaches for the next packets and sessions. */
static void note_slowness(struct ipmi_bmc *b, unsigned tries)
{
	if (tries > 1 && b->slow < SLOW_MAX)
		b->slow++;
}

void ipmi_receive(struct ipmi_bmc *b, const void *packet, size_t len, const struct ipmi_header *h)
{
	unsigned tries = b->session->tries;
	enum ipmi_event event = ipmi_session_receive(b->session, packet, len, h);
	if (event == IPMI_EVENT_DROPPED) {
		ipmi_driver_of(b)->stats.dropped++;
		/* A late repetition is no junk. */
		b->junk |= b->session->state < IPMI_STATE_PRIVILEGE || b->session->forged;
		return;
	}
	b->heard = true;
	note_slowness(b, tries);
	wait_end(b);
	switch (event) {
	case IPMI_EVENT_SEND:
		transmit(b);
		break;
	case IPMI_EVENT_READY:
		on_ready(b);
		break;
	case IPMI_EVENT_ANSWERED:
		on_answer(b);
		break;
	case IPMI_EVENT_CLOSED:
		on_closed(b);
		break;
	case IPMI_EVENT_FAILED:
		on_failure(b);
		break;
	case IPMI_EVENT_DROPPED:
		break;
	}
}

/* --- silence --------------------------------------------------------------------------------- */

static unsigned tries_of(const struct ipmi_session *s)
{
	if (s->state == IPMI_STATE_AUTHCAP)
		return UINT_MAX; /* nothing is lost by asking on until the deadline */
	if (s->state == IPMI_STATE_CLOSING)
		return TRIES_CLOSE;
	/* It answered before, so it may be the suite that it does not like to hear of. */
	if (s->state == IPMI_STATE_OPEN && s->suites)
		return TRIES_SUITE;
	return s->state < IPMI_STATE_PRIVILEGE ? TRIES_SET_UP : TRIES_COMMAND;
}

static void on_silence(struct ipmi_bmc *b)
{
	struct ipmi_session *s = b->session;
	if (s->tries < tries_of(s) || ipmi_session_next_suite(s))
		transmit(b);
	else if (s->state == IPMI_STATE_CLOSING)
		on_closed(b);
	else
		restart(b);
}

static void on_timer(void *data)
{
	struct ipmi_bmc *b = data;
	enum ipmi_wait what = b->wait;
	b->wait = IPMI_WAIT_NONE;
	switch (what) {
	case IPMI_WAIT_NONE:
		break;
	case IPMI_WAIT_START:
		begin_session(b);
		break;
	case IPMI_WAIT_ANSWER:
		on_silence(b);
		break;
	case IPMI_WAIT_COMMAND:
		send_step(b);
		break;
	case IPMI_WAIT_KEEP:
		close_session(b);
		break;
	}
}

/* --- names ----------------------------------------------------------------------------------- */

static void resolve(void *data)
{
	struct ipmi_resolve *r = data;
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM }, *list;
	r->error = getaddrinfo(r->host, NULL, &hints, &list);
	if (r->error != 0)
		return;
	if (net_from_sockaddr(list->ai_addr, list->ai_addrlen, &r->result) < 0)
		r->error = EAI_FAMILY;
	net_set_port(&r->result, r->port);
	freeaddrinfo(list);
}

static void on_resolved(void *data)
{
	struct ipmi_resolve *r = data;
	struct ipmi_bmc *b = r->bmc;
	if (b)
		b->resolving = NULL;
	if (b && r->error == 0) {
		b->peer = r->result;
		b->peer_until = now(b) + NAME_LIFETIME;
		begin_session(b);
	} else if (b) {
		err_set(result_err(b), ERR_UNREACHABLE,
			"the name of BMC %s cannot be resolved: %s: check the address and DNS",
			r->host, gai_strerror(r->error));
		fail(b);
	}
	free(r->host);
	free(r);
}

static void start_resolve(struct ipmi_bmc *b)
{
	struct ipmi_resolve *r = xcalloc(1, sizeof(*r));
	r->bmc = b;
	r->host = xstrdup(b->base.address.host);
	r->port = b->base.address.port;
	b->resolving = r;
	loop_job(b->base.driver->loop, resolve, on_resolved, r);
}

/* --- the beginning of sessions --------------------------------------------------------------- */

static void open_session(struct ipmi_bmc *b)
{
	struct ipmi_driver *d = ipmi_driver_of(b);
	uint8_t random[IPMI_RANDOM_SIZE];
	loop_random(d->base.loop, random, sizeof(random));
	struct ipmi_login login = {
		.user = str_or(b->base.credentials.username, ""),
		.password = str_or(b->base.credentials.password, ""),
		.privilege = b->privilege,
		.suites = b->suite_row ? 1U << (b->suite_row - 1) : b->suites,
		.console_id = ipmi_slot_id(b),
		.console_random = random,
		.known = b->known,
	};
	d->stats.sessions++;
	b->session = xcalloc(1, sizeof(*b->session));
	ipmi_session_init(b->session, d->codec, &login);
	transmit(b);
}

static void begin_session(struct ipmi_bmc *b)
{
	struct ipmi_driver *d = ipmi_driver_of(b);
	if (net_family(&b->peer) == AF_UNSPEC || now(b) >= b->peer_until) {
		start_resolve(b);
		return;
	}
	/* The one place where a destination is chosen: it stays while the session lasts. */
	if (net_policy_check(d->options.policy, &b->peer, result_err(b)) < 0) {
		_cleanup_(freep) char *bmc = bmc_address_endpoint(&b->base.address);
		err_wrap(result_err(b), "BMC %s", bmc);
		fail(b);
		return;
	}
	if (ipmi_socket_open(d, &b->peer, result_err(b)) < 0) {
		fail(b);
		return;
	}
	if (!ipmi_slot_take(b)) {
		list_append(&d->waiting, &b->waiting);
		d->stats.waiting++;
		return;
	}
	open_session(b);
}

/* --- driver ---------------------------------------------------------------------------------- */

static void start(struct bmc *bmc, struct bmc_task *task)
{
	struct ipmi_bmc *b = of(bmc);
	b->step = ipmi_step_from(ipmi_steps(task->request.op), &b->facts, &task->request);
	b->heard = b->junk = b->sent_once = false;
	b->doubted = IPMI_FAILURE_NONE;
	b->restarts = b->busy = 0;
	if (!b->session)
		schedule_session(b);
	else if (b->session->state == IPMI_STATE_READY)
		wait_for(b, IPMI_WAIT_COMMAND, 0);
	/* else it is closing: on_closed() goes on */
}

static void forget(struct ipmi_bmc *b)
{
	if (b->resolving)
		b->resolving->bmc = NULL;
	b->resolving = NULL;
	if (!list_empty(&b->waiting)) {
		list_unlink(&b->waiting);
		ipmi_driver_of(b)->stats.waiting--;
	}
	b->step = NULL;
	/* It may be the one that was to take the place of a session that has ended. */
	if (!b->session)
		start_waiting(ipmi_driver_of(b));
	drop_session(b);
}

static void abandon(struct bmc *bmc, struct err *err)
{
	struct ipmi_bmc *b = of(bmc);
	if (err) {
		ipmi_report_late(b, err);
		b->peer_until = b->peer_until == USEC_INFINITY ? USEC_INFINITY : 0;
		b->known = false;
	}
	forget(b);
}

static void idle(struct bmc *bmc, usec_t keep)
{
	struct ipmi_bmc *b = of(bmc);
	if (!b->session || b->session->state != IPMI_STATE_READY)
		return;
	if (keep > 0)
		wait_for(b, IPMI_WAIT_KEEP, keep);
	else
		close_session(b);
}

static void credentials_changed(struct bmc *bmc)
{
	struct ipmi_bmc *b = of(bmc);
	b->doubted = b->confirmed = IPMI_FAILURE_NONE; /* that was about the old ones */
	if (!bmc->running && b->session && b->session->state == IPMI_STATE_READY)
		close_session(b);
}

/* Which rows of ipmi_suites() the address allows; 0: it names another suite. */
static uint8_t suites_of(const struct bmc_address *address)
{
	const char *wanted = bmc_address_param(address, "ciphersuite");
	if (!wanted)
		return CIPHER_SUITES_ALL;
	uint64_t id;
	if (parse_u64(wanted, UINT8_MAX, &id) < 0 || id == 0)
		return 0;
	const struct ipmi_suite *suites = ipmi_suites();
	for (unsigned i = 0; suites[i].id; i++)
		if (suites[i].id == id)
			return (uint8_t)(1U << i);
	return 0;
}

static int privilege_of(const struct bmc_address *address, uint8_t *ret)
{
	const char *level = bmc_address_param(address, "privilegelevel");
	return ipmi_privilege_parse(str_empty(level) ? "ADMINISTRATOR" : level, ret);
}

static int validate(const struct bmc_address *address, const struct bmc_credentials *credentials,
		    struct err *err)
{
	uint8_t privilege;
	if (privilege_of(address, &privilege) < 0)
		return err_set(
			err, ERR_INVALID,
			"BMC address: privilegelevel must be ADMINISTRATOR, OPERATOR, USER or "
			"CALLBACK");
	if (!suites_of(address))
		return err_set(err, ERR_INVALID,
			       "BMC address: ciphersuite must be 17 or 3 (others are not secure)");
	if (strlen(str_or(credentials->username, "")) > IPMI_USER_MAX)
		return err_set(err, ERR_INVALID,
			       "an IPMI username has at most %d characters, this one has more",
			       IPMI_USER_MAX);
	if (strlen(str_or(credentials->password, "")) > IPMI_PASSWORD_MAX)
		return err_set(err, ERR_INVALID,
			       "an IPMI password has at most %d characters, this one has more",
			       IPMI_PASSWORD_MAX);
	return 0;
}

static void open_bmc(struct bmc *bmc)
{
	struct ipmi_bmc *b = of(bmc);
	list_init(&b->waiting);
	timer_init(&b->timer, bmc->driver->loop, "ipmi", on_timer, b);
	b->suites = suites_of(&bmc->address);
	privilege_of(&bmc->address, &b->privilege);
	if (net_parse_ip(bmc->address.host, &b->peer) == 0) {
		net_set_port(&b->peer, bmc->address.port);
		b->peer_until = USEC_INFINITY;
	}
}

static void close_bmc(struct bmc *bmc)
{
	forget(of(bmc));
}

static void free_driver(struct bmc_driver *driver)
{
	struct ipmi_driver *d = container_of(driver, struct ipmi_driver, base);
	ipmi_sockets_close(d);
	ipmi_codec_free(d->codec);
	free(d->slots);
	free(d);
}

static const struct bmc_ops ops = {
	.name = "ipmi",
	.bmc_size = sizeof(struct ipmi_bmc),
	.validate = validate,
	.open = open_bmc,
	.close = close_bmc,
	.abandon = abandon,
	.idle = idle,
	.credentials_changed = credentials_changed,
	.free = free_driver,
	.start = { [BMC_OP_GET_POWER] = start,
		   [BMC_OP_SET_POWER] = start,
		   [BMC_OP_GET_BOOT] = start,
		   [BMC_OP_SET_BOOT] = start,
		   [BMC_OP_GET_INFO] = start },
	.boot_devices = 1U << BMC_DEVICE_NONE | 1U << BMC_DEVICE_PXE | 1U << BMC_DEVICE_DISK |
			1U << BMC_DEVICE_CDROM | 1U << BMC_DEVICE_BIOS,
};

int ipmi_driver_new(struct loop *loop, const struct ipmi_options *options, struct bmc_driver **ret,
		    struct err *err)
{
	struct ipmi_codec *codec;
	int r = ipmi_codec_new(&codec, err);
	if (r < 0)
		return r;
	struct ipmi_driver *d = xcalloc(1, sizeof(*d));
	struct ipmi_options *o = &d->options;
	d->base = (struct bmc_driver){ .ops = &ops, .loop = loop };
	d->codec = codec;
	*o = options ? *options : (struct ipmi_options){ 0 };
	o->max_sessions = MIN(o->max_sessions ? o->max_sessions : 500, IPMI_SLOTS_MAX - 95U);
	o->session_gap = o->session_gap ? o->session_gap : 5 * USEC_PER_SEC;
	o->retransmit = o->retransmit ? o->retransmit : USEC_PER_SEC;
	d->fds[0] = d->fds[1] = -1;
	d->slot_count = MIN(2 * o->max_sessions + 2, (unsigned)IPMI_SLOTS_MAX);
	d->slots = xcalloc(d->slot_count, sizeof(void *));
	list_init(&d->waiting);
	metric_add(METRIC_BMC_BREAKS, 0, ops.name); /* so that its first rise is seen */
	*ret = &d->base;
	return 0;
}

void ipmi_driver_open_sockets(struct bmc_driver *driver)
{
	struct ipmi_driver *d = container_of(driver, struct ipmi_driver, base);
	const struct net_addr v4 = { .sa.sa_family = AF_INET }, v6 = { .sa.sa_family = AF_INET6 };
	(void)ipmi_socket_open(d, &v4, &(struct err){ 0 });
	(void)ipmi_socket_open(d, &v6, &(struct err){ 0 });
}

struct ipmi_stats ipmi_driver_stats(const struct bmc_driver *driver)
{
	return container_of(driver, struct ipmi_driver, base)->stats;
}
