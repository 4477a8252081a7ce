/* Nodes: their tables, and the saving of their records. A node lives from the first call of a
 * controller to `remove`. What comes late for a node that is gone is dropped, because answers carry
 * the key and a serial, never a pointer. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentapi/messages.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/internal.h"

struct node_ticket {
	struct engine_anchor *anchor;
	char *key, *uid;
	uint64_t serial;
};

static void anchor_unref(struct engine_anchor *a)
{
	if (--a->refs == 0)
		free(a);
}

struct node_ticket *node_ticket_new(struct node *n, uint64_t serial)
{
	struct node_ticket *t = xmalloc(sizeof(*t));
	*t = (struct node_ticket){ n->engine->anchor, xstrdup(n->key), xstrdup(n->uid), serial };
	t->anchor->refs++;
	return t;
}

struct node *node_ticket_take(struct node_ticket *t, uint64_t *ret_serial)
{
	struct node *n = t->anchor->engine ? node_find(t->anchor->engine, t->key) : NULL;
	if (n && !streq(n->uid, t->uid))
		n = NULL;
	*ret_serial = t->serial;
	anchor_unref(t->anchor);
	free(t->key), free(t->uid), free(t);
	return n;
}

usec_t node_now(const struct node *n)
{
	return loop_now(n->engine->options.loop);
}

usec_t node_wall(const struct node *n)
{
	return loop_wall(n->engine->options.loop);
}

struct node *node_find(const struct engine *e, const char *key)
{
	return map_get(&e->nodes, key);
}

static void on_wake(void *data)
{
	struct node *n = data;
	if (n->op.kind != OP_NONE)
		op_advance(n);
	else
		node_poll_power(n);
}

static void on_save_timer(void *data)
{
	struct node *n = data;
	n->saving = false;
	node_save(n);
}

static void on_inspection_timer(void *data)
{
	/* Not stored in time: the agent's own time-out is near, and a refusal makes it post again.
	 */
	node_release_inspection(data, 503);
}

struct node *node_make(struct engine *e, const char *key, const char *uid)
{
	struct node *n = xcalloc(1, sizeof(*n));
	n->engine = e;
	n->key = xstrdup(key);
	n->uid = xstrdup(uid);
	timer_init(&n->wake, e->options.loop, "node", on_wake, n);
	timer_init(&n->save_timer, e->options.loop, "node save", on_save_timer, n);
	timer_init(&n->inspection_timer, e->options.loop, "inspection", on_inspection_timer, n);
	map_set(&e->nodes, key, n);
	map_set(&e->uids, uid, n);
	list_init(&n->unheard);
	return n;
}

void node_index_slots(struct node *n)
{
	struct map *slots = &n->engine->slots;
	index_set(slots, &n->slot_stored, n, n->record.dhcp.address);
	index_set(slots, &n->slot_fixed, n, n->fixed_error ? NULL : n->fixed_address);
}

void node_index_bmc(struct node *n)
{
	char text[NET_IP_TEXT_MAX] = "";
	struct net_addr a;
	if (n->bmc && net_parse_ip(bmc_get_address(n->bmc)->host, &a) == 0) {
		a = net_unmap(&a);
		net_format_ip(&a, text);
	}
	index_set(&n->engine->bmcs, &n->bmc_place, n, text);
}

void node_note_unheard(struct node *n)
{
	list_unlink(&n->unheard);
	if (n->record.boot.nonce && !n->boot_mac && !n->lost)
		list_append(&n->engine->unheard, &n->unheard);
}

void node_forget_old_uid(struct node *n)
{
	const char *old = n->record.boot.host_uid;
	if (old && !streq(old, n->uid) && map_get(&n->engine->uids, old) == n)
		map_remove(&n->engine->uids, old);
	str_replace(&n->record.boot.host_uid, NULL);
}

/* A ramdisk that was booted before the host was moved here names it by the UID that it had there.
 */
static void add_old_uid(struct node *n)
{
	const char *old = n->record.boot.host_uid;
	if (old && !map_get(&n->engine->uids, old))
		map_set(&n->engine->uids, old, n);
}

static void leave_indices(struct node *n)
{
	struct engine *e = n->engine;
	index_set(&e->slots, &n->slot_stored, n, NULL);
	index_set(&e->slots, &n->slot_fixed, n, NULL);
	index_set(&e->bmcs, &n->bmc_place, n, NULL);
	list_unlink(&n->unheard);
}

static void tell_waiter(struct node *n, bool stored);

static void forget_nics(struct node *n)
{
	for (size_t i = 0; i < n->nic_count; i++)
		node_drop_mac(n, n->nics[i]);
	free(TAKE_PTR(n->nics));
	n->nic_count = 0;
}

struct node *node_free(struct node *n)
{
	if (!n)
		return NULL;
	struct engine *e = n->engine;
	node_drop_hold(n);
	op_abort(n);
	node_release_inspection(n, 404);
	tell_waiter(n, false);
	timer_stop(&n->wake);
	timer_stop(&n->save_timer);
	forget_nics(n);
	node_drop_mac(n, n->boot_mac);
	map_remove(&e->nodes, n->key);
	node_forget_old_uid(n);
	if (map_get(&e->uids, n->uid) == n)
		map_remove(&e->uids, n->uid);
	leave_indices(n);
	bmc_close(n->bmc);
	history_done(&n->history);
	record_release(&n->record);
	json_free(n->root_hints);
	json_free(n->config_drive);
	node_forget_image(n);
	json_free(n->inventory);
	json_free(n->agent_answer);
	secret_free(n->password);
	free(n->bmc_address), free(n->username), free(n->boot_mac);
	free(n->fixed_address), free(n->fixed_error);
	err_keep(&n->verify_error, NULL), err_keep(&n->power_error, NULL);
	err_keep(&n->unreadable, NULL), err_keep(&n->save_error, NULL);
	err_keep(&n->bmc_ask.err, NULL), err_keep(&n->agent_ask.err, NULL);
	free(n->boot_trouble);
	free(n->uid), free(n->key);
	free(n);
	return NULL;
}

void node_ask_begin(struct node_ask *ask, enum ask_state state, uint64_t serial)
{
	ask->state = state;
	ask->serial = serial;
	err_keep(&ask->err, NULL);
}

void node_kick(struct node *n)
{
	const struct engine_env *env = &n->engine->options.env;
	env->kick(env->data, n->key);
}

void node_event(struct node *n, bool warning, const char *reason, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	const struct engine_env *env = &n->engine->options.env;
	env->event(env->data, n->key, warning, reason, text);
}

void node_add_mac(struct node *n, const char *mac)
{
	/* A MAC belongs to the host that named it first; register tells the other one so. */
	if (str_empty(mac) || map_get(&n->engine->macs, mac))
		return;
	map_set(&n->engine->macs, mac, n);
	strangers_forget(&n->engine->strangers, mac);
}

void node_drop_mac(struct node *n, const char *mac)
{
	if (!str_empty(mac) && map_get(&n->engine->macs, mac) == n)
		map_remove(&n->engine->macs, mac);
}

static void take_nic(void *data, const char *mac)
{
	struct node *n = data;
	/* What another host has, by its specification or inventory, stays its own. */
	if (n->nic_count >= AGENT_NICS_MAX || map_get(&n->engine->macs, mac))
		return;
	node_add_mac(n, mac);
	memcpy(n->nics[n->nic_count++], mac, sizeof(*n->nics));
}

void node_take_nics(struct node *n)
{
	forget_nics(n);
	node_add_mac(n, n->boot_mac);
	size_t found = json_count(json_get_path(n->inventory, "inventory.interfaces"));
	n->nics = xcalloc(MIN(found, (size_t)AGENT_NICS_MAX) + 1, sizeof(*n->nics));
	agent_inspection_macs(n->inventory, take_nic, n);
}

/* --- saving ------------------------------------------------------------------------------------
 */

static void tell_waiter(struct node *n, bool stored)
{
	node_saved_fn fn = n->saved_waiter.fn;
	n->saved_waiter.fn = NULL;
	if (fn)
		fn(n->saved_waiter.data, stored ? n : NULL);
}

/* What may be a hiccup of the API server is not told to people. */
enum { SAVE_FAILURES_TOLD = 3 };

const struct err *node_save_trouble(const struct node *n)
{
	return n->saving && n->save_failures >= SAVE_FAILURES_TOLD ? n->save_error : NULL;
}

static void after_save_error(struct node *n, const struct err *err)
{
	if (err->kind == ERR_CONFLICT || err->kind == ERR_NOT_FOUND) {
		/* Another writer: what this node believes may be wrong. Nothing more is done to the
		 * hardware until the controller has loaded the record anew. */
		log_warn("record was changed by somebody else; reading it again", "host", n->key,
			 "error", err->text);
		op_abort(n);
		n->saving = false;
		n->lost = true;
		node_note_unheard(n);
		tell_waiter(n, false);
		node_kick(n);
		return;
	}
	/* `saving` stays: a timer of the step before must not start one that is not on record. */
	usec_t delay = USEC_PER_SEC << MIN(n->save_failures, 5u);
	n->save_failures++;
	err_keep(&n->save_error, err);
	log_warn("cannot store the record; trying again", "host", n->key, "error", err->text);
	timer_set_in(&n->save_timer, delay);
	if (n->save_failures == SAVE_FAILURES_TOLD)
		node_kick(n);
}

static void on_saved(void *data, const struct err *err)
{
	uint64_t serial;
	struct node *n = node_ticket_take(data, &serial);
	if (!n || serial != n->save_serial)
		return;
	if (err) {
		after_save_error(n, err);
		return;
	}
	bool told = node_save_trouble(n) != NULL;
	n->saving = false;
	n->save_failures = 0;
	n->stored_serial = n->sent_serial;
	n->nonce_stored |= n->nonce_sent;
	err_keep(&n->save_error, NULL);
	if (told)
		node_kick(n);
	if (n->save_again) {
		node_save(n);
		return;
	}
	tell_waiter(n, true);
	if (n->op.kind == OP_NONE)
		node_kick(n); /* who asked meanwhile was told to wait for this */
	else
		op_advance(n);
}

void node_save_for(struct node *n, node_saved_fn fn, void *data)
{
	tell_waiter(n, false);
	n->saved_waiter.fn = fn;
	n->saved_waiter.data = data;
	node_save(n);
}

void node_save(struct node *n)
{
	if (n->lost)
		return;
	if (n->saving) {
		n->save_again = true;
		return;
	}
	n->saving = true;
	n->save_again = false;
	timer_stop(&n->save_timer);
	str_replace(&n->record.host_uid, n->uid);
	n->record.serial = MAX(n->record.serial, n->stored_serial) + 1;
	n->sent_serial = n->record.serial;
	n->nonce_sent = true;
	n->save_serial = ++n->engine->next_serial;
	const struct engine_env *env = &n->engine->options.env;
	_cleanup_(json_freep) struct json *record = record_save(&n->record);
	env->save(env->data, n->key, n->uid, record, on_saved, node_ticket_new(n, n->save_serial));
}

/* --- the engine --------------------------------------------------------------------------------
 */

static void set_defaults(struct engine_options *o)
{
	struct {
		usec_t *field;
		usec_t value;
	} rows[] = {
		{ &o->timeouts.boot, 20 * USEC_PER_MIN },
		{ &o->timeouts.power, 120 * USEC_PER_SEC },
		{ &o->timeouts.soft_off, 180 * USEC_PER_SEC },
		{ &o->timeouts.silence, 180 * USEC_PER_SEC },
		{ &o->timeouts.step, 24 * USEC_PER_HOUR },
		{ &o->timeouts.power_poll, USEC_PER_MIN },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (*rows[i].field == 0)
			*rows[i].field = rows[i].value;
	if (o->capacity == 0)
		o->capacity = 20;
	if (o->boot_attempts == 0)
		o->boot_attempts = 2;
}

struct engine *engine_new(const struct engine_options *options)
{
	struct engine *e = xcalloc(1, sizeof(*e));
	e->anchor = xcalloc(1, sizeof(*e->anchor));
	*e->anchor = (struct engine_anchor){ .engine = e, .refs = 1 };
	e->options = *options;
	e->options.secret = xmemdup(options->secret, options->secret_len);
	set_defaults(&e->options);
	list_init(&e->unheard);
	op_preset_metrics();
	return e;
}

bool engine_may_act(const struct engine *e, const char *key)
{
	return fence_allows(&e->options.env.fence, key);
}

struct engine *engine_free(struct engine *e)
{
	if (!e)
		return NULL;
	e->ending = true;
	map_for_each(&e->nodes, i) {
		/* Agents post again to whoever comes after us. */
		node_release_inspection(e->nodes.entries[i].value, 503);
		node_free(e->nodes.entries[i].value);
	}
	map_done(&e->nodes);
	map_done(&e->macs);
	map_done(&e->uids);
	map_done(&e->slots);
	map_done(&e->bmcs);
	e->anchor->engine = NULL;
	anchor_unref(e->anchor);
	secret_zero((void *)e->options.secret, e->options.secret_len);
	free((void *)e->options.secret);
	free(e);
	return NULL;
}

bool engine_knows(const struct engine *e, const char *key)
{
	const struct node *n = node_find(e, key);
	return n && !n->lost;
}

void engine_store(struct engine *e, const char *key)
{
	struct node *n = node_find(e, key);
	if (n)
		node_save(n);
}

static int load_record(struct node *n, const struct json *record, struct err *err)
{
	int r = record_load(record, &n->record, err);
	if (r < 0)
		return r;
	const char *state = str_or(n->record.node.state, node_state_info(NODE_ENROLL)->name);
	if (node_state_parse(state, &n->state) < 0)
		return err_set(err, ERR_INVALID,
			       "node.state is \"%s\", which is no state: "
			       "delete the record to have the host looked at anew",
			       state);
	add_old_uid(n);
	return 0;
}

/* A store that lives on never goes back behind what it has acknowledged. */
static void look_for_older(struct node *n, const struct node *before)
{
	bool numbered = n->record.serial > 0; /* not taken away by hand, nor by an old release */
	if (numbered && before->stored_serial > n->record.serial)
		node_hold(n, "its HostRecord is older than one that the API server stored before: "
			     "the server's data were restored from a backup");
	else if (before->held && !streq(before->record.hold.id, n->record.hold.id))
		node_hold(n, before->record.hold.reason); /* it was not stored */
}

static void read_record(struct node *n, const struct json *record)
{
	struct err err = { 0 };
	if (load_record(n, record, &err) == 0) {
		n->nonce_stored = true;
		node_take_hold(n);
		return;
	}
	err_wrap(&err, "host %s: nothing is done to it, because its HostRecord cannot be used",
		 n->key);
	err_keep(&n->unreadable, &err);
	n->lost = true;
}

/* A record of another host of that name says nothing about this one. */
static void take_record(struct node *n, const struct json *record)
{
	if (!record || !streq(json_get_string(record, "hostUID"), n->uid)) {
		/* Nobody knows how many boots there were: the agents of all of them count as
		 * earlier. */
		n->record.last_boot = (int64_t)(node_wall(n) / USEC_PER_SEC);
		return;
	}
	read_record(n, record);
	node_index_slots(n);
	node_note_unheard(n);
}

void engine_load(struct engine *e, const char *key, const char *uid, const struct json *record)
{
	struct node *before = node_find(e, key);
	if (before && streq(before->uid, uid) && !before->lost)
		return;
	bool same = before && streq(before->uid, uid);
	struct node *n = NULL;
	if (!same) {
		node_free(before);
		take_record(node_make(e, key, uid), record);
		return;
	}
	struct history history = before->history;
	before->history = (struct history){ 0 };
	struct node known = { .stored_serial = before->stored_serial, .held = before->held };
	known.record.hold.id = TAKE_PTR(before->record.hold.id);
	known.record.hold.reason = TAKE_PTR(before->record.hold.reason);
	node_free(before);
	n = node_make(e, key, uid);
	n->history = history;
	n->stored_serial = 0;
	take_record(n, record);
	if (!n->lost)
		look_for_older(n, &known);
	free(known.record.hold.id);
	free(known.record.hold.reason);
}
