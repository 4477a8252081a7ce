/* The agents' side: who is it that calls, and may it?
 *
 * A machine is believed to be the host when it asks with the host's MAC during a boot that we
 * started (the record's nonce) and, if hosts have their addresses from our DHCP, from the host's
 * address. It then gets the boot's token, once: the fact is stored before the
 * answer leaves. Until the first heartbeat proves that the token arrived, the same source may ask
 * again, because answers get lost; anybody else who asks for a boot whose token is out ends the
 * operation and gets nothing. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentapi/messages.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypt/crypt.h"
#include "engine/internal.h"

static void refuse(engine_answer_fn answer, void *data, int status, const char *text)
{
	_cleanup_(json_freep) struct json *body = agent_fault(status, text);
	answer(data, status, body);
}

/* A process that was paused answers out of another time: it may know less than the one that leads,
 * and "I do not know you" would end an agent. n NULL: no host is known that it is about. */
static bool stale(const struct engine *e, const struct node *n, engine_answer_fn answer, void *data)
{
	if (engine_may_act(e, n ? n->key : ""))
		return false;
	refuse(answer, data, 503, "this instance does not lead, ask another one");
	return true;
}

/* A held host's agent works on, or waits, and asks again: "I do not know you" would end it. */
static bool held(const struct node *n, engine_answer_fn answer, void *data)
{
	if (!n->held)
		return false;
	refuse(answer, data, 503, "the host is held, ask again");
	return true;
}

/* The host that all known MACs of the list belong to; NULL if there is none, or more than one. */
static struct node *by_addresses(const struct engine *e, const char *addresses)
{
	struct node *found = NULL;
	unsigned count = 0;
	for (const char *p = addresses; *p && count < AGENT_MACS_MAX; count++) {
		size_t len = strcspn(p, ",");
		char mac[NET_MAC_TEXT_SIZE];
		snprintf(mac, sizeof(mac), "%.*s", (int)MIN(len, sizeof(mac)), p);
		struct node *n = len < sizeof(mac) ? engine_by_mac_text(e, mac) : NULL;
		if (n && found && n != found)
			return NULL;
		found = n ? n : found;
		p += len + (p[len] == ',');
	}
	return found;
}

/* After a start the hosts' MACs become known one after the other, when their controllers first ask.
 * Until then a caller may be any host whose boot is on record; "ask again" costs him a moment, "I
 * do not know you" his inventory. */
static bool may_be_known_soon(const struct engine *e)
{
	return !list_empty(&e->unheard);
}

static void refuse_unknown(const struct engine *e, engine_answer_fn answer, void *data,
			   const char *text)
{
	/* Those of held hosts, too: a refusal would end an agent. */
	if (e->held > 0 || may_be_known_soon(e))
		refuse(answer, data, 503, "not all hosts are known yet, ask again");
	else
		refuse(answer, data, 404, text);
}

/* The pace of one kind of refusal, for one caller and one host: what one caller repeats does not
 * hide what another one, or the same one, does besides. host NULL: none is named. */
static struct log_pace *pace(struct engine *e, const char *source, const char *what,
			     const char *host)
{
	return log_pace_of(&e->refused, loop_now(e->options.loop), source, what, host);
}

/* Does it come from an address that DHCP gave to the host? A stranger on the wire who knows a MAC
 * would have to take over the host's address too. Nobody is told why he is refused, but the log. */
static bool comes_from_host(const struct node *n, const char *source)
{
	if (!n->engine->options.serves_dhcp || record_has_address(&n->record, source))
		return true;
	const char *v4 = record_get_address(&n->record, AF_INET);
	const char *v6 = record_get_address(&n->record, AF_INET6);
	_cleanup_(freep) char *expected = xasprintf("%s%s%s", str_or(v4, ""), v4 && v6 ? ", " : "",
						    str_or(v6, ""));
	log_paced(
		pace(n->engine, source, "agent", n->key), loop_now(n->engine->options.loop),
		LOG_WARN,
		"agent refused: it does not come from the address that DHCP gave to this host",
		"host", n->key, "source", source, "expected",
		*expected ? expected : "none given yet", "hint",
		"a second DHCP server on this network, or another machine that uses the host's MAC");
	return false;
}

/* The machine has a network, if not the one that it was to have: nothing fails because of it. Told
 * once in a boot. */
static void tell_network_problems(struct node *n, const struct json *body)
{
	_cleanup_(freep) char *text = agent_network_problems(body);
	if (!text || n->boot.network_trouble)
		return;
	str_replace(&n->boot.network_trouble, text);
	node_event(n, true, "NetworkDataNotApplied",
		   "the ramdisk runs, but could not apply all of the host's network data: %s",
		   text);
}

/* --- lookup ----------------------------------------------------------------------------------- */

static void answer_lookup(struct node *n, bool with_token, engine_answer_fn answer, void *data)
{
	char token[TOKEN_TEXT_MAX];
	node_token(n, token);
	struct agent_lookup_answer a = { .node_uuid = node_agent_uid(n),
					 .token = with_token ? token : NULL,
					 .root_device = n->spec.root_hints };
	_cleanup_(json_freep) struct json *body = agent_lookup_answer(&a);
	secret_zero(token, sizeof(token));
	answer(data, 200, body);
}

/* Somebody else holds or wants the token of this boot: nothing that runs there can be trusted. */
static void intruder(struct node *n, const char *source)
{
	node_event(n, true, "AgentLookupConflict",
		   "a second machine (%s) asked for the agent token of this boot, which %s had; "
		   "the operation is stopped and the machine switched off",
		   source, n->record.boot.source_address);
	struct err err;
	err_set(&err, ERR_DENIED,
		"host %s: a second machine (%s) asked for the agent token of %s; the machine was switched off",
		n->key, source, n->record.boot.source_address);
	if (n->op.kind != OP_NONE)
		op_fail(n, &err);
	node_no_boot(n);
	node_save(n);
	op_start(n, OP_POWER_OFF);
}

static void on_token_stored(void *data, struct node *n)
{
	struct pending_answer *p = data;
	if (n)
		answer_lookup(n, true, p->fn, p->data);
	else
		refuse(p->fn, p->data, 409, "the host is busy, ask again");
	free(p);
}

static void issue_token(struct node *n, const char *source, engine_answer_fn answer, void *data)
{
	struct pending_answer *p = xmalloc(sizeof(*p));
	*p = (struct pending_answer){ answer, data };
	n->record.boot.token_issued = true;
	n->record.registered.never_booted = false;
	str_replace(&n->record.boot.source_address, source);
	node_save_for(n, on_token_stored, p);
}

/* In the middle of a boot by medium, of the machine whose agent has shown the token already. */
static void note_fresh_start(struct node *n, bool first, const char *source)
{
	if (!first || !n->record.agent.url || !streq(n->record.boot.source_address, source))
		return;
	n->agent.rebooted = true;
	op_advance(n);
}

static void lookup(struct engine *e, const char *addresses, const char *node_uuid, bool first,
		   const char *source, engine_answer_fn answer, void *data)
{
	static const char unknown[] = "no host waits for an agent with these addresses";
	struct node *n = node_uuid ? map_get(&e->uids, node_uuid) : by_addresses(e, addresses);
	if (stale(e, n, answer, data))
		return;
	if (!n) {
		refuse_unknown(e, answer, data, unknown);
		return;
	}
	if (held(n, answer, data))
		return;
	/* The medium brought the token, and its network is whatever the host's is: who has no token
	 * gets none, from wherever he asks. */
	if (n->record.boot.nonce && node_by_medium(n) && !n->save.lost) {
		answer_lookup(n, false, answer, data);
		note_fresh_start(n, first, source);
		return;
	}
	if (n->save.lost || !n->record.boot.nonce || !comes_from_host(n, source)) {
		refuse(answer, data, 404, unknown);
		return;
	}
	/* Without its BMC (the host is not registered again yet) nobody could be stopped. */
	if (n->save.running || !n->power.bmc) {
		refuse(answer, data, 409, "the host is busy, ask again");
		return;
	}
	if (!n->record.boot.token_issued) {
		log_info("agent looked up", "host", n->key, "source", source);
		issue_token(n, source, answer, data);
		return;
	}
	bool same = streq(n->record.boot.source_address, source);
	if (same && !n->record.agent.url) {
		answer_lookup(n, true, answer, data);
		return;
	}
	answer_lookup(n, false, answer, data);
	if (!same) {
		intruder(n, source);
	} else if (first) {
		/* This is a fresh start in the middle of our boot. */
		n->agent.rebooted = true;
		op_advance(n);
	}
}

/* An agent that runs names its node. */
void engine_agent_lookup(struct engine *e, const char *addresses, const char *node_uuid,
			 const char *source, engine_answer_fn answer, void *data)
{
	lookup(e, addresses, node_uuid, !node_uuid, source, answer, data);
}

void engine_agent_first_lookup(struct engine *e, const char *addresses, const char *node_uuid,
			       const char *source, engine_answer_fn answer, void *data)
{
	lookup(e, addresses, node_uuid, true, source, answer, data);
}

/* --- heartbeat -------------------------------------------------------------------------------- */

static bool is_bmc(const struct engine *e, const struct net_addr *a)
{
	char text[NET_IP_TEXT_MAX];
	struct net_addr plain = net_unmap(a);
	return index_find(&e->bmcs, net_format_ip(&plain, text), NULL);
}

/* Where the agent is to be called: nowhere but where it comes from, and there an agent can be. */
static int check_callback(const struct node *n, const char *host, const char *source,
			  struct err *err)
{
	struct net_addr a, from;
	/* As addresses: IPv6 has many ways to write one. */
	if (net_parse_ip(host, &a) < 0 || net_parse_ip(source, &from) < 0 ||
	    !net_same_ip(&a, &from))
		return err_set(err, ERR_INVALID,
			       "heartbeat: callback_url must name the address that it comes from");
	if (n->record.boot.source_address && !streq(n->record.boot.source_address, source))
		return err_set(err, ERR_INVALID,
			       "heartbeat: the token was given to another address than this one");
	if (n->record.agent.url)
		return 0; /* checked when it was new */
	if (is_bmc(n->engine, &a))
		return err_set(err, ERR_INVALID, "heartbeat: callback_url names a BMC");
	int r = net_policy_check(n->engine->options.agents, &a, err);
	return r < 0 ? err_wrap(err, "heartbeat: callback_url") : 0;
}

/* Whoever has the token of a later boot than the record knows of got it from a process that had a
 * later record: what this one asks for may destroy what came after it. That boot then counts as
 * known, so that it speaks against the record only once. */
static void look_for_later_boot(struct node *n, const char *uid, const char *token)
{
	struct token_key key = node_token_key(n);
	int64_t number = token_number(&key, uid, token);
	if (number <= n->record.last_boot)
		return;
	n->record.last_boot = number;
	node_hold(n, "its agent has the token of a later boot than the HostRecord knows of: the "
		     "record is older than the machine");
}

static int check_heartbeat(struct node *n, const struct agent_heartbeat *h, const char *source,
			   struct err *err)
{
	char token[TOKEN_TEXT_MAX], host[64];
	node_token(n, token);
	bool good = *token && str_equal_secret(token, h->token);
	secret_zero(token, sizeof(token));
	if (!good)
		return err_set(err, ERR_INVALID, "heartbeat: the token is not that of this boot");
	int r = agent_callback_parse(h->callback_url, n->engine->options.allow_http_agents, host,
				     err);
	if (r < 0)
		return r;
	r = check_callback(n, host, source, err);
	if (r < 0)
		return r;
	/* Both are fixed for the boot: another certificate is another agent. */
	if (n->record.agent.url && !streq(n->record.agent.url, h->callback_url))
		return err_set(err, ERR_INVALID,
			       "heartbeat: callback_url changed during this boot");
	if (n->record.agent.url && !streq(n->record.agent.certificate, h->certificate))
		return err_set(err, ERR_INVALID,
			       "heartbeat: the certificate changed during this boot");
	if (str_has_prefix(h->callback_url, "https:") && !h->certificate)
		return err_set(err, ERR_INVALID, "heartbeat: agent_verify_ca is missing");
	return 0;
}

static void take_heartbeat(struct node *n, const struct agent_heartbeat *h, const struct json *body,
			   const char *source)
{
	n->agent.seen = node_now(n);
	n->record.agent.seen_at = node_wall(n);
	n->op.not_before = 0; /* agents beat when a command has ended */
	if (!n->record.agent.url) {
		tell_network_problems(n, body);
		log_info("agent connected", "host", n->key, "url", h->callback_url, "version",
			 str_or(h->version, "?"));
		str_replace(&n->record.agent.url, h->callback_url);
		str_replace(&n->record.agent.certificate, h->certificate);
		str_replace(&n->record.agent.version, h->version);
		if (node_by_medium(n))
			str_replace(&n->record.boot.source_address, source);
		n->record.registered.never_booted = false;
		node_save(n);
		return;
	}
	op_note(n, STEP_NOTE_HEARTBEAT);
	if (op_info(n->op.kind)->counts)
		node_save(
			n); /* the time of the heartbeat; the operation goes on when it is stored */
	else
		op_advance(n);
}

void engine_agent_heartbeat(struct engine *e, const char *node_uuid, const struct json *body,
			    const char *source, engine_answer_fn answer, void *data)
{
	struct node *n = map_get(&e->uids, node_uuid);
	struct agent_heartbeat h;
	struct err err = { 0 };
	if (stale(e, n, answer, data))
		return;
	if (!n || n->save.lost) {
		refuse(answer, data, 404, "no such node");
		return;
	}
	if (held(n, answer, data))
		return;
	int r = agent_heartbeat_parse(body, &h, &err);
	if (r == 0) {
		look_for_later_boot(n, node_uuid, h.token);
		if (held(n, answer, data))
			return;
	}
	if (r < 0 || check_heartbeat(n, &h, source, &err) < 0) {
		log_paced(pace(e, source, "heartbeat", n->key), loop_now(e->options.loop), LOG_WARN,
			  "heartbeat refused", "host", n->key, "source", source, "error", err.text);
		refuse(answer, data, 400, err.text);
		return;
	}
	if (n->save.running && !n->record.agent.url) {
		refuse(answer, data, 409, "the host is busy, ask again");
		return;
	}
	answer(data, 202, NULL);
	take_heartbeat(n, &h, body, source);
}

/* --- inspection ------------------------------------------------------------------------------- */

struct mac_search {
	struct engine *engine;
	struct node *found;
	bool ambiguous;
};

static void search_mac(void *data, const char *mac)
{
	struct mac_search *s = data;
	struct node *n = engine_by_mac_text(s->engine, mac);
	if (n && s->found && s->found != n)
		s->ambiguous = true;
	s->found = n ? n : s->found;
}

static void answer_inspection(const struct node *n, engine_answer_fn answer, void *data)
{
	_cleanup_(json_freep) struct json *body = json_new_object();
	json_set_string(body, "uuid", node_agent_uid(n));
	answer(data, 202, body);
}

static void refuse_inspection(struct engine *e, const char *source, const struct err *err,
			      engine_answer_fn answer, void *data)
{
	log_paced(pace(e, source, "inspection", NULL), loop_now(e->options.loop), LOG_WARN,
		  "inspection refused", "source", source, "error", err->text);
	refuse(answer, data, 400, err->text);
}

void node_release_inspection(struct node *n, int status)
{
	if (!n->inspection.pending.fn)
		return;
	struct pending_answer p = n->inspection.pending;
	n->inspection.pending = (struct pending_answer){ 0 };
	timer_stop(&n->inspection.timer);
	if (status != 202) {
		refuse(p.fn, p.data, status, "the inspection could not be stored, post it again");
		return;
	}
	answer_inspection(n, p.fn, p.data);
}

/* Nothing of it is acted on before the controller has stored it (node_take_nics). */
static void take_inspection(struct node *n, struct json *kept, engine_answer_fn answer, void *data)
{
	log_info("inventory received", "host", n->key);
	node_release_inspection(n, 409);
	json_free(n->inspection.inventory);
	n->inspection.inventory = kept;
	n->record.registered.never_booted = false;
	n->inspection.pending = (struct pending_answer){ answer, data };
	/* Agents wait 30 s for an answer. */
	timer_set_in(&n->inspection.timer, 20 * USEC_PER_SEC);
	n->op.not_before = 0;
	op_advance(n);
}

/* What came by a medium can show the token that the medium brought, wherever it is; the rest shows
 * its address. */
static bool posted_by_host(const struct node *n, const struct json *body, const char *source)
{
	char token[TOKEN_TEXT_MAX];
	const char *shown = json_get_string(body, "agent_token");
	if (!node_by_medium(n) || !shown)
		return comes_from_host(n, source);
	node_token(n, token);
	bool good = *token && str_equal_secret(token, shown);
	secret_zero(token, sizeof(token));
	return good;
}

void engine_agent_inspection(struct engine *e, struct json *body, const char *source,
			     engine_answer_fn answer, void *data)
{
	_cleanup_(json_freep) struct json *owned = body;
	struct mac_search s = { .engine = e };
	struct err err = { 0 };
	static const char unknown[] = "no host with these addresses waits for inspection data";
	int r = agent_inspection_check(body, &err);
	if (r == 0)
		agent_inspection_macs(body, search_mac, &s);
	struct node *n = s.ambiguous ? NULL : s.found;
	const char *uuid = json_get_string(body, "node_uuid");
	n = uuid ? map_get(&e->uids, uuid) : n;
	if (stale(e, n, answer, data))
		return;
	if (r < 0) {
		refuse_inspection(e, source, &err, answer, data);
		return;
	}
	if (!n) {
		refuse_unknown(e, answer, data, unknown);
		return;
	}
	if (held(n, answer, data))
		return;
	if (n->save.lost || !n->record.boot.nonce || n->op.kind == OP_UNDEPLOY ||
	    !node_inspects(n) || !posted_by_host(n, body, source)) {
		/* Not waited for: agents that boot for another purpose post as well, and go on
		 * after a refusal. */
		refuse(answer, data, 404, unknown);
		return;
	}
	/* The controller is past inspecting: the data are stored, only the answer got lost. A
	 * refusal would keep the agent from the deployment that waits for it. */
	if (n->state == NODE_AVAILABLE || n->op.kind == OP_DEPLOY) {
		answer_inspection(n, answer, data);
		return;
	}
	struct json *kept;
	tell_network_problems(n, body);
	if (agent_inspection_take(body, &kept, &err) < 0) {
		refuse_inspection(e, source, &err, answer, data);
		return;
	}
	take_inspection(n, kept, answer, data);
}

const char *engine_agent_at(const struct engine *e, const char *source)
{
	const struct node *n = e->options.serves_dhcp ? index_find(&e->slots, source, NULL) : NULL;
	return n && n->record.boot.nonce ? n->key : NULL;
}

int engine_agent_may_post(const struct engine *e, const char *source)
{
	const char *key = engine_agent_at(e, source);
	if (!engine_may_act(e, str_or(key, "")))
		return 503;
	/* An agent that came by a medium may have any address; it shows a token. */
	if (!e->options.serves_dhcp || key || e->medium_boots > 0)
		return 0;
	return may_be_known_soon(e) ? 503 : 404;
}
