/* Loading the records of nodes: at the start, and anew after another writer's change. Core thread.
 */

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "engine/internal.h"

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
