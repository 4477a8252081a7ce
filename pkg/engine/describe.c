/* What people see of the engine: one JSON object per host, for the debug endpoint. Everything that
 * waits says for what, since when and until when. What is secret is never put in, so that nothing
 * has to be taken out: neither the nonce, from which the token follows, nor credentials. Texts and
 * URLs lose userinfo and query. Core thread. */

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/redact.h"
#include "engine/internal.h"
#include "metrics/metrics.h"

enum { WATCH_S = 10 };

static void set_text(struct json *o, const char *name, const char *text)
{
	_cleanup_(freep) char *shown = str_empty(text) ? NULL : redact_urls(text);
	json_set_string(o, name, shown);
}

static void set_time(struct json *o, const char *name, usec_t wall)
{
	char text[CLOCK_TEXT_MAX];
	if (wall)
		json_set_string(o, name, clock_format(wall, text));
}

/* From a monotonic time; 0: absent. */
static void set_moment(struct json *o, const char *name, const struct node *n, usec_t at)
{
	if (at)
		set_time(o, name, node_wall(n) - node_now(n) + at);
}

/* What stands between the host and its next step; NULL: nothing is under way. */
static const char *reason(const struct node *n)
{
	if (n->held)
		return "a person: it is held";
	if (n->save.lost)
		return "its HostRecord to be reloaded, which another client modified";
	if (n->save.running)
		return n->save.failures
			       ? "the Kubernetes API to store its HostRecord (it failed before)"
			       : "the Kubernetes API to store its HostRecord";
	if (!engine_may_act(n->engine, n->key))
		return "leadership";
	if (n->inspection.pending.fn)
		return "the controller to store the inventory";
	const struct step *step = op_step(n);
	return step ? step->waits_for : NULL;
}

/* Of a step that waits for the ramdisk, whose machine has not been heard. */
static char *silence(const struct node *n)
{
	struct strbuf out = { 0 };
	char age[CLOCK_TEXT_MAX];
	unsigned more;
	usec_t began = n->record.step.started_at, now = node_wall(n);
	const struct stranger *s = strangers_since(&n->engine->strangers, n->record.boot.started_at,
						   &more);
	strbuf_addf(&out, "no %s from %s since power on %s ago",
		    n->engine->options.serves_dhcp ? "DHCP request" : "boot request",
		    n->spec.boot_mac, clock_format_age(now > began ? now - began : 0, age));
	if (s)
		strbuf_addf(&out, "; %s asked for a boot and belongs to no host", s->mac);
	if (s && more > 0)
		strbuf_addf(&out, " (and %u more)", more);
	return strbuf_take(&out, NULL);
}

/* The most general first: without the record nothing goes on. */
char *node_trouble(const struct node *n)
{
	const struct step *step = op_step(n);
	if (n->save.running && n->save.error)
		return xstrdup(n->save.error->text);
	if (!step)
		return NULL;
	if (n->op.last || n->record.step.trouble)
		return xstrdup(n->op.last ? n->op.last->text : n->record.step.trouble);
	if (!step->boots_again || !n->op.entered || !n->record.boot.nonce)
		return NULL;
	if (n->boot.trouble)
		return xstrdup(n->boot.trouble);
	bool heard = n->boot.stage || n->record.agent.url;
	return heard || str_empty(n->spec.boot_mac) ? NULL : silence(n);
}

static void add_operation(struct json *j, const struct node *n)
{
	const struct step *step = op_step(n);
	json_set_string(j, "waitsFor", reason(n));
	_cleanup_(freep) char *trouble = node_trouble(n);
	set_text(j, "trouble", trouble);
	if (!step)
		return;
	json_set_string(j, "operation", op_info(n->op.kind)->name);
	json_set_string(j, "step", step_name(plan_now(&n->op.plan)));
	json_set_int(j, "attempt", n->op.attempt);
	if (op_info(n->op.kind)->counts)
		set_time(j, "startedAt", n->record.step.started_at);
	set_moment(j, "deadline", n, n->op.deadline);
	if (n->op.not_before > node_now(n))
		set_moment(j, "nextAttempt", n, n->op.not_before);
}

static void add_progress(struct json *j, const struct node *n)
{
	const struct node_progress *p = &n->progress;
	if (p->bytes_done == 0 && p->bytes_total == 0)
		return;
	struct json *o = json_make_object(j, "progress");
	json_set_int(o, "bytesDone", (int64_t)p->bytes_done);
	json_set_int(o, "bytesPerSecond", (int64_t)p->bytes_per_second);
	if (p->bytes_total == 0)
		return;
	uint64_t left = p->bytes_total > p->bytes_done ? p->bytes_total - p->bytes_done : 0;
	json_set_int(o, "bytesTotal", (int64_t)p->bytes_total);
	json_set_int(o, "percent", (int64_t)((double)p->bytes_done * 100 / (double)p->bytes_total));
	if (p->bytes_per_second)
		json_set_int(o, "secondsLeft", (int64_t)(left / p->bytes_per_second));
}

static void add_hold(struct json *j, const struct node *n)
{
	if (!n->held)
		return;
	struct json *o = json_make_object(j, "hold");
	json_set_string(o, "id", n->record.hold.id);
	set_text(o, "reason", n->record.hold.reason);
	set_time(o, "since", n->record.hold.since);
}

static void add_state(struct json *j, const struct node *n)
{
	json_set_string(j, "host", n->key);
	json_set_string(j, "state", node_state_info(n->state)->name);
	set_time(j, "since", n->record.node.since);
	set_text(j, "lastError", n->record.node.last_error);
	add_hold(j, n);
}

static void add_agent(struct json *j, const struct node *n)
{
	if (str_empty(n->record.agent.url))
		return;
	struct json *o = json_make_object(j, "agent");
	set_text(o, "url", n->record.agent.url);
	json_set_string(o, "version", n->record.agent.version);
	set_time(o, "lastHeartbeat", n->record.agent.seen_at);
	set_moment(o, "lastSeen", n, n->agent.seen);
}

static void add_boot(struct json *j, const struct node *n)
{
	const struct node_record *r = &n->record;
	struct json *o = json_make_object(j, "boot");
	json_set_string(o, "mac", str_empty(n->spec.boot_mac) ? NULL : n->spec.boot_mac);
	json_set_string(o, "address", r->dhcp.address);
	if (!r->boot.nonce)
		return;
	json_set_string(o, "purpose", r->boot.purpose);
	set_time(o, "startedAt", r->boot.started_at);
	json_set_bool(o, "tokenIssued", r->boot.token_issued);
	json_set_string(o, "sourceAddress", r->boot.source_address);
	json_set_string(o, "stage", n->boot.stage);
	set_text(o, "trouble", n->boot.trouble);
	set_text(o, "networkData", n->boot.network_trouble);
	set_time(o, "stageAt", n->boot.stage ? n->boot.stage_at : 0);
}

static void add_bmc(struct json *j, const struct node *n)
{
	static const char *const powers[] = { "unknown", "off", "on" };
	struct json *o = json_make_object(j, "bmc");
	json_set_string(o, "power", powers[n->power.state]);
	json_set_bool(o, "verified", n->power.verified);
	if (!n->power.bmc)
		return;
	const struct bmc_address *address = bmc_get_address(n->power.bmc);
	struct bmc_health health = bmc_health(n->power.bmc);
	_cleanup_(freep) char *endpoint = bmc_address_endpoint(address);
	json_set_string(o, "type", address->scheme->name);
	json_set_string(o, "endpoint", endpoint);
	json_set_int(o, "requests", bmc_queued(n->power.bmc));
	json_set_int(o, "failures", health.failures);
	set_moment(o, "leftAloneUntil", n, health.breaker_until);
	set_text(o, "lastError", health.last_error);
}

static void add_image(struct json *j, const struct node *n)
{
	const struct node_record *r = &n->record;
	if (str_empty(r->image.url))
		return;
	struct json *o = json_make_object(j, "image");
	set_text(o, "url", r->image.url);
	json_set_string(o, "format", r->image.format);
	set_time(o, "writtenAt", r->image.written_at);
}

struct json *engine_describe(const struct engine *e, const char *key)
{
	const struct node *n = node_find(e, key);
	if (!n)
		return NULL;
	struct json *j = json_new_object();
	add_state(j, n);
	add_operation(j, n);
	add_progress(j, n);
	add_agent(j, n);
	add_boot(j, n);
	add_bmc(j, n);
	add_image(j, n);
	struct json *history = history_json(&n->history);
	if (history)
		json_set(j, "history", history);
	return j;
}

void engine_note_state(struct engine *e, const char *key, const char *from, const char *to,
		       const char *reason)
{
	struct node *n = node_find(e, key);
	if (n)
		history_state(&n->history, node_wall(n), from, to, reason);
}

void engine_note_error(struct engine *e, const char *key, const char *state, const char *text)
{
	struct node *n = node_find(e, key);
	if (n)
		history_error(&n->history, node_wall(n), state, text);
}

void engine_measure(const struct engine *e)
{
	metric_set(METRIC_HOSTS_HELD, e->held);
	double counts[_NODE_STATE_MAX] = { 0 };
	map_for_each(&e->nodes, i) {
		const struct node *n = e->nodes.entries[i].value;
		counts[n->state]++;
	}
	for (int s = 0; s < _NODE_STATE_MAX; s++)
		if (node_state_info((enum node_state)s)->used)
			metric_set(METRIC_NODES, counts[s],
				   node_state_info((enum node_state)s)->name);
}

static int by_key(const void *a, const void *b)
{
	const struct node *const *x = a, *const *y = b;
	return strcmp((*x)->key, (*y)->key);
}

struct json *engine_list(const struct engine *e)
{
	size_t count = 0;
	_cleanup_(freep)
		const struct node **nodes = xcalloc(e->nodes.count + 1, sizeof(struct node *));
	map_for_each(&e->nodes, i)
		nodes[count++] = e->nodes.entries[i].value;
	qsort(nodes, count, sizeof(struct node *), by_key);
	struct json *list = json_new_array();
	for (size_t i = 0; i < count; i++) {
		struct json *row = json_append(list, json_new_object());
		add_state(row, nodes[i]);
		add_operation(row, nodes[i]);
		add_progress(row, nodes[i]);
	}
	return list;
}

void engine_watch(struct engine *e, const char *key)
{
	struct node *n = node_find(e, key);
	if (!n)
		return;
	n->watched_until = node_now(n) + WATCH_S * USEC_PER_SEC;
	op_note(n, STEP_NOTE_WATCHED);
}
