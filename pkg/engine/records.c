/* Records of nodes: saved before what they describe, and loaded. What the engine does goes on when
 * a save was answered; after another writer's it is read anew. Core thread. */

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "engine/internal.h"

/* --- saving ----------------------------------------------------------------------------------- */

void node_tell_saved(struct node *n, bool stored)
{
	node_saved_fn fn = n->save.waiter.fn;
	n->save.waiter.fn = NULL;
	if (fn)
		fn(n->save.waiter.data, stored ? n : NULL);
}

/* What may be a hiccup of the API server is not told to people. */
enum { SAVE_FAILURES_TOLD = 3 };

const struct err *node_save_trouble(const struct node *n)
{
	return n->save.running && n->save.failures >= SAVE_FAILURES_TOLD ? n->save.error : NULL;
}

static void after_save_error(struct node *n, const struct err *err)
{
	if (err->kind == ERR_CONFLICT || err->kind == ERR_NOT_FOUND) {
		/* Another writer: what this node believes may be wrong. Nothing more is done to the
		 * hardware until the controller has loaded the record anew. */
		log_warn("another client modified the HostRecord; reloading it", "host", n->key,
			 "error", err->text);
		op_abort(n);
		n->save.running = false;
		n->save.lost = true;
		node_note_unheard(n);
		node_tell_saved(n, false);
		node_kick(n);
		return;
	}
	/* `saving` stays: a timer of the step before must not start one that is not on record. */
	usec_t delay = USEC_PER_SEC << MIN(n->save.failures, 5u);
	n->save.failures++;
	err_keep(&n->save.error, err);
	log_warn("cannot store the record; trying again", "host", n->key, "error", err->text);
	timer_set_in(&n->save.timer, delay);
	if (n->save.failures == SAVE_FAILURES_TOLD)
		node_kick(n);
}

static void on_saved(void *data, const struct err *err)
{
	uint64_t serial;
	struct node *n = node_ticket_take(data, &serial);
	if (!n || serial != n->save.question)
		return;
	if (err) {
		after_save_error(n, err);
		return;
	}
	bool told = node_save_trouble(n) != NULL;
	n->save.running = false;
	n->save.failures = 0;
	n->save.stored_serial = n->save.sent_serial;
	n->boot.stored |= n->boot.sent;
	err_keep(&n->save.error, NULL);
	if (told)
		node_kick(n);
	if (n->save.again) {
		node_save(n);
		return;
	}
	node_tell_saved(n, true);
	if (n->op.kind == OP_NONE)
		node_kick(n); /* who asked meanwhile was told to wait for this */
	else
		op_advance(n);
}

void node_save_for(struct node *n, node_saved_fn fn, void *data)
{
	node_tell_saved(n, false);
	n->save.waiter.fn = fn;
	n->save.waiter.data = data;
	node_save(n);
}

void node_save(struct node *n)
{
	if (n->save.lost)
		return;
	if (n->save.running) {
		n->save.again = true;
		return;
	}
	n->save.running = true;
	n->save.again = false;
	timer_stop(&n->save.timer);
	str_replace(&n->record.host_uid, n->uid);
	n->record.serial = MAX(n->record.serial, n->save.stored_serial) + 1;
	n->save.sent_serial = n->record.serial;
	n->boot.sent = true;
	n->save.question = ++n->engine->next_serial;
	const struct engine_env *env = &n->engine->options.env;
	_cleanup_(json_freep) struct json *record = record_save(&n->record);
	env->save(env->data, n->key, n->uid, record, on_saved,
		  node_ticket_new(n, n->save.question));
}

void engine_store(struct engine *e, const char *key)
{
	struct node *n = node_find(e, key);
	if (n)
		node_save(n);
}

/* --- loading ---------------------------------------------------------------------------------- */

bool engine_knows(const struct engine *e, const char *key)
{
	const struct node *n = node_find(e, key);
	return n && !n->save.lost;
}

/* A ramdisk that was booted before the host was moved here names it by the UID that it had there.
 */
static void add_old_uid(struct node *n)
{
	const char *old = n->record.boot.host_uid;
	if (old && !map_get(&n->engine->uids, old))
		map_set(&n->engine->uids, old, n);
}

static int load_record(struct node *n, const struct json *record, struct err *err)
{
	int r = record_load(record, &n->record, err);
	if (r < 0)
		return r;
	const char *state = str_or(n->record.node.state, node_state_info(NODE_ENROLL)->name);
	enum node_state found;
	if (node_state_parse(state, &found) < 0)
		return err_set(err, ERR_INVALID,
			       "node.state is \"%s\", which is no state: "
			       "delete the record to have the host looked at anew",
			       state);
	r = plan_take(&n->record, node_state_info(found)->op, err);
	if (r < 0)
		return r;
	n->state = found;
	add_old_uid(n);
	return 0;
}

/* A store that lives on never goes back behind what it has acknowledged. */
static void look_for_older(struct node *n, const struct node *before)
{
	bool numbered = n->record.serial > 0; /* not taken away by hand, nor by an old release */
	if (numbered && before->save.stored_serial > n->record.serial)
		node_hold(n, "its HostRecord is older than one that the API server stored before: "
			     "the server's data were restored from a backup");
	else if (before->held && !streq(before->record.hold.id, n->record.hold.id))
		node_hold(n, before->record.hold.reason); /* it was not stored */
}

static void read_record(struct node *n, const struct json *record)
{
	struct err err = { 0 };
	if (load_record(n, record, &err) == 0) {
		n->boot.stored = true;
		node_take_hold(n);
		return;
	}
	err_wrap(&err, "host %s: nothing is done to it, because its HostRecord cannot be used",
		 n->key);
	err_keep(&n->save.unreadable, &err);
	n->save.lost = true;
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
	node_note_medium(n);
}

void engine_load(struct engine *e, const char *key, const char *uid, const struct json *record)
{
	struct node *before = node_find(e, key);
	if (before && streq(before->uid, uid) && !before->save.lost)
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
	struct node known = { .save.stored_serial = before->save.stored_serial,
			      .held = before->held };
	known.record.hold.id = TAKE_PTR(before->record.hold.id);
	known.record.hold.reason = TAKE_PTR(before->record.hold.reason);
	node_free(before);
	n = node_make(e, key, uid);
	n->history = history;
	n->save.stored_serial = 0;
	take_record(n, record);
	if (!n->save.lost)
		look_for_older(n, &known);
	free(known.record.hold.id);
	free(known.record.hold.reason);
}
