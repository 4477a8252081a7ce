/* Saving the records of nodes. What the engine does next goes on when a save was answered: nothing
 * is done that is not on record. Core thread. */

#include "base/log.h"
#include "base/mem.h"
#include "engine/internal.h"

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
