/* Holds. A record that was restored from a copy may be older than the machine that it describes, so
 * what it asks for may destroy what came after it. A held host is left as it is: no operation runs,
 * no command leaves, its ramdisk does not boot, and its agent is asked to try again later. Only a
 * person ends a hold.
 *
 * The hold is part of the record, so that it outlives the process. It counts from the moment at
 * which it is set, and its end from the moment at which that is stored. Core thread. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/internal.h"

struct hold_waiter {
	engine_saved_fn done;
	void *data;
};

static void set_held(struct node *n, bool held)
{
	if (n->held == held)
		return;
	n->held = held;
	n->engine->held += held ? 1 : -1;
}

void node_take_hold(struct node *n)
{
	set_held(n, !str_empty(n->record.hold.id) && !n->record.hold.released);
}

void node_drop_hold(struct node *n)
{
	set_held(n, false);
}

static void on_hold_stored(void *data, struct node *n)
{
	struct hold_waiter w = *(struct hold_waiter *)data;
	struct err err;
	free(data);
	if (n)
		w.done(w.data, NULL);
	else {
		err_set(&err, ERR_CONFLICT, "the record changed before the hold was stored");
		w.done(w.data, &err);
	}
}

static void ignore(void *data, const struct err *err)
{
	(void)data, (void)err;
}

static void hold(struct node *n, const char *id, const char *reason, engine_saved_fn done,
		 void *data)
{
	struct hold_waiter *w = xmalloc(sizeof(*w));
	*w = (struct hold_waiter){ done, data };
	op_abort(n);
	node_release_inspection(n, 503);
	timer_stop(&n->wake);
	str_replace(&n->record.hold.id, id);
	str_replace(&n->record.hold.reason, reason);
	n->record.hold.since = node_wall(n);
	n->record.hold.released = false;
	set_held(n, true);
	log_warn("host is held until it is released", "host", n->key, "reason", reason);
	node_event(n, true, "HostHeld",
		   "Nothing is done to this host until it is released (ingotctl release): %s",
		   reason);
	node_save_for(n, on_hold_stored, w);
	node_kick(n);
}

bool engine_hold(struct engine *e, const char *key, const char *id, const char *reason,
		 engine_saved_fn done, void *data)
{
	struct node *n = node_find(e, key);
	/* With a record that cannot be read nothing is done to the host anyway. */
	if (!n || n->save.lost || streq(n->record.hold.id, id))
		return false;
	hold(n, id, reason, done, data);
	return true;
}

void node_hold(struct node *n, const char *reason)
{
	char id[9];
	if (n->held)
		return;
	snprintf(id, sizeof(id), "%08" PRIx64,
		 loop_random_below(n->engine->options.loop, UINT64_C(1) << 32));
	hold(n, id, reason, ignore, NULL);
}

void engine_hold_one(struct engine *e, const char *key, const char *reason)
{
	struct node *n = node_find(e, key);
	if (n && !n->save.lost)
		node_hold(n, reason);
}

bool engine_held(const struct engine *e, const char *key, struct engine_hold *ret)
{
	const struct node *n = node_find(e, key);
	if (!n || !n->held)
		return false;
	*ret = (struct engine_hold){ .id = n->record.hold.id,
				     .reason = str_or(n->record.hold.reason, ""),
				     .since = n->record.hold.since };
	return true;
}

unsigned engine_held_count(const struct engine *e)
{
	return e->held;
}

static void on_release_stored(void *data, struct node *n)
{
	(void)data;
	if (!n)
		return;
	set_held(n, false);
	log_info("host is released", "host", n->key);
	node_event(n, false, "HostReleased", "Released by a person; Ingot acts on this host again");
}

void engine_release(struct engine *e, const char *key)
{
	struct node *n = node_find(e, key);
	if (!n || n->save.lost || !n->held || n->record.hold.released)
		return;
	n->record.hold.released = true;
	str_replace(&n->record.hold.reason, NULL);
	node_save_for(n, on_release_stored, NULL);
}
