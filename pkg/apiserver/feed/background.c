/* What goes on after the answer: dependents of what is gone, the contents of namespaces and kinds
 * that are being deleted, events past their time, the log of changes. Work is a queue of keys, each
 * in it once, done a few at a time between requests and in the same batches. What waits for
 * something (a finalizer, a last dependent) is not polled for: the change it waits for puts it in
 * the queue again. After a restart the queue is found again from what the store holds. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/internal.h"
#include "base/log.h"
#include "base/mem.h"

enum { WORK_PER_STEP = 16, KEYS_PER_STEP = 200, LOG_SLACK = 512 };

#define COMPACT_INTERVAL (5 * USEC_PER_MIN)

struct work {
	struct list link;
	enum work_type type;
	char *id; /* in work_keys */
	char *resource, *ns, *name;
};

static void work_free(struct work *w)
{
	free(w->id);
	free(w->resource);
	free(w->ns);
	free(w->name);
	free(w);
}

void work_add(struct apiserver *s, enum work_type type, const char *resource, const char *ns,
	      const char *name)
{
	_cleanup_(freep) char *id = xasprintf("%d/%s/%s/%s", (int)type, resource, ns, name);
	if (map_get(&s->work_keys, id))
		return;
	struct work *w = xcalloc(1, sizeof(*w));
	*w = (struct work){ .type = type,
			    .id = TAKE_PTR(id),
			    .resource = xstrdup(resource),
			    .ns = xstrdup(ns),
			    .name = xstrdup(name) };
	map_set(&s->work_keys, w->id, w);
	list_append(&s->work, &w->link);
	if (!timer_is_set(&s->work_timer))
		timer_set_in(&s->work_timer, 0);
}

/* Taken out of the set first, so that the work may queue itself again. */
static struct work *take_work(struct apiserver *s)
{
	struct list *l = list_take_first(&s->work);
	if (!l)
		return NULL;
	struct work *w = list_entry(l, struct work, link);
	map_remove(&s->work_keys, w->id);
	return w;
}

/* --- keys that a walk found --- */

struct keys {
	struct store_key *items; /* owned strings */
	size_t count;
};

static void keys_done(struct keys *k)
{
	for (size_t i = 0; i < k->count; i++) {
		free((char *)k->items[i].resource);
		free((char *)k->items[i].ns);
		free((char *)k->items[i].name);
	}
	free(k->items);
}

static int add_key(void *data, const struct store_row *row)
{
	struct keys *k = data;
	k->items = xreallocarray(k->items, k->count + 1, sizeof(*k->items));
	k->items[k->count++] = (struct store_key){ xstrdup(row->key.resource), xstrdup(row->key.ns),
						   xstrdup(row->key.name) };
	return 0;
}

/* --- objects that lose their owners --- */

/* 1: it is there; 0: gone; -ENOENT: of a kind that is not served, so nothing is known. */
static int owner_state(struct call *c, const struct json *ref, const char *ns, struct object *ret)
{
	const struct resource *r = registry_find_kind(
		&c->s->registry, str_or(json_get_string(ref, "apiVersion"), ""),
		str_or(json_get_string(ref, "kind"), ""));
	if (!r)
		return -ENOENT;
	const char *name = str_or(json_get_string(ref, "name"), "");
	int found = object_load(c, r, resource_is(r, RESOURCE_NAMESPACED) ? ns : "", name, ret);
	if (found > 0 && !streq(object_uid(ret->tree), json_get_string(ref, "uid"))) {
		object_done(ret);
		found = 0;
	}
	return found < 0 ? -ENOENT : found;
}

struct owners {
	struct json *solid;	/* references that hold the object */
	bool dangling, waiting; /* an owner has gone; an owner waits for its dependents */
};

static void sort_owners(struct call *c, const struct json *tree, struct owners *ret)
{
	*ret = (struct owners){ .solid = json_new_array() };
	json_for_each(ref, json_get_path(tree, "metadata.ownerReferences")) {
		struct object owner = { 0 };
		int state = owner_state(c, ref, object_ns(tree), &owner);
		if (state == 0)
			ret->dangling = true;
		else if (state > 0 && object_terminating(owner.tree) &&
			 meta_has_finalizer(owner.tree, "foregroundDeletion"))
			ret->waiting = true;
		else
			json_append(ret->solid, json_dup(ref));
		object_done(&owner);
	}
}

/* Failure leaves a reference that holds nothing: the next change tries again. */
static void drop_references(struct call *c, const struct resource *r, struct object *o,
			    const struct json *solid)
{
	struct json *now = json_dup(o->tree);
	json_set(object_meta(now), "ownerReferences", json_count(solid) ? json_dup(solid) : NULL);
	write_update(c, r, o, &now, PART_MAIN);
	json_free(now);
}

static int note_found(void *data, const struct store_row *row)
{
	(void)row;
	*(bool *)data = true;
	return 1;
}

static bool owns_something(struct call *c, const struct json *tree)
{
	bool found = false;
	store_list_owned(c->s->store, object_uid(tree), note_found, &found, NULL);
	return found;
}

/* In the foreground only what owns something has anything to wait for. */
static void delete_dependent(struct call *c, const struct resource *r, struct object *o,
			     bool foreground)
{
	foreground = foreground && owns_something(c, o->tree);
	struct delete_options options = { .propagation = foreground ? PROPAGATION_FOREGROUND
								    : PROPAGATION_DEFAULT };
	bool gone;
	delete_object(c, r, o, &options, &gone);
}

/* An object stays while one owner holds it; references to owners that have gone are dropped then.
 */
static void check_dependent(struct call *c, const struct resource *r, struct object *o)
{
	struct owners owners;
	if (json_count(json_get_path(o->tree, "metadata.ownerReferences")) == 0)
		return;
	sort_owners(c, o->tree, &owners);
	bool held = json_count(owners.solid) > 0;
	if (held && owners.dangling && !owners.waiting)
		drop_references(c, r, o, owners.solid);
	else if (!held && (owners.dangling || owners.waiting) && !object_terminating(o->tree))
		delete_dependent(c, r, o, owners.waiting);
	json_free(owners.solid);
}

/* --- owners that wait --- */

static bool blocks(const struct json *dependent, const char *uid)
{
	json_for_each(ref, json_get_path(dependent, "metadata.ownerReferences"))
		if (streq(json_get_string(ref, "uid"), uid))
			return json_get_bool(ref, "blockOwnerDeletion", false);
	return false;
}

static void release(struct call *c, const struct resource *r, struct object *o,
		    const char *finalizer)
{
	struct json *now = json_dup(o->tree);
	meta_remove_finalizer(now, finalizer);
	write_update(c, r, o, &now, PART_MAIN);
	json_free(now);
}

static void orphan_one(struct call *c, const struct resource *r, struct object *o, const char *uid)
{
	_cleanup_(json_freep) struct json *rest = json_new_array();
	json_for_each(ref, json_get_path(o->tree, "metadata.ownerReferences"))
		if (!streq(json_get_string(ref, "uid"), uid))
			json_append(rest, json_dup(ref));
	drop_references(c, r, o, rest);
}

/* True when no dependent stands in the way of the owner. */
static bool settle_dependents(struct call *c, const struct json *owner, bool orphan)
{
	_cleanup_(keys_done) struct keys keys = { 0 };
	bool clear = true;
	if (store_list_owned(c->s->store, object_uid(owner), add_key, &keys, NULL) < 0)
		return false;
	for (size_t i = 0; i < keys.count; i++) {
		const struct resource *r = registry_find_key(&c->s->registry,
							     keys.items[i].resource);
		struct object o = { 0 };
		if (!r ||
		    object_load_to_delete(c, r, keys.items[i].ns, keys.items[i].name, &o) <= 0)
			continue;
		if (orphan)
			orphan_one(c, r, &o, object_uid(owner));
		else
			check_dependent(c, r, &o);
		object_done(&o);
		int left = orphan ? 0
				  : object_load_to_delete(c, r, keys.items[i].ns,
							  keys.items[i].name, &o);
		clear = clear && !(left > 0 && blocks(o.tree, object_uid(owner)));
		object_done(&o);
	}
	return clear;
}

/* Until its dependents are settled, the finalizer keeps the owner. */
static void check_owner(struct call *c, const struct resource *r, struct object *o)
{
	bool orphan = meta_has_finalizer(o->tree, "orphan");
	if (!object_terminating(o->tree) ||
	    (!orphan && !meta_has_finalizer(o->tree, "foregroundDeletion")))
		return;
	if (settle_dependents(c, o->tree, orphan))
		release(c, r, o, orphan ? "orphan" : "foregroundDeletion");
}

static void do_check(struct call *c, const struct work *w)
{
	const struct resource *r = registry_find_key(&c->s->registry, w->resource);
	struct object o = { 0 };
	if (!r || object_load_to_delete(c, r, w->ns, w->name, &o) <= 0)
		return;
	if (object_terminating(o.tree))
		check_owner(c, r, &o);
	else
		check_dependent(c, r, &o);
	object_done(&o);
}

/* One work item each, so that many dependents do not make one long step. */
static void do_owner_gone(struct call *c, const struct work *w)
{
	_cleanup_(keys_done) struct keys keys = { 0 };
	if (store_list_owned(c->s->store, w->name, add_key, &keys, NULL) < 0)
		return;
	for (size_t i = 0; i < keys.count; i++)
		work_add(c->s, WORK_CHECK, keys.items[i].resource, keys.items[i].ns,
			 keys.items[i].name);
}

/* --- contents of namespaces and kinds --- */

static uint64_t count_in(struct apiserver *s, const struct resource *r, const char *ns)
{
	struct store_query q = { .resource = r->key, .ns = ns };
	uint64_t n = 0;
	store_count(s->store, &q, &n, NULL);
	return n;
}

static int stop_when_full(void *data, const struct store_row *row)
{
	struct keys *k = data;
	add_key(k, row);
	return k->count == KEYS_PER_STEP;
}

/* Deletes what does not wait for a finalizer yet, a step's worth. True when there may be more to do
 * at once. */
static bool delete_some(struct call *c, const struct resource *r, const char *ns)
{
	_cleanup_(keys_done) struct keys keys = { 0 };
	_cleanup_(freep) char *after_ns = NULL, *after_name = NULL;
	size_t deleted = 0;
	for (bool more = true; more && deleted < KEYS_PER_STEP;) {
		struct store_query q = {
			.resource = r->key, .ns = ns, .after_ns = after_ns, .after_name = after_name
		};
		keys_done(&keys);
		keys = (struct keys){ 0 };
		more = store_list(c->s->store, &q, stop_when_full, &keys, NULL) > 0;
		for (size_t i = 0; i < keys.count; i++) {
			struct object o = { 0 };
			if (object_load_to_delete(c, r, keys.items[i].ns, keys.items[i].name, &o) >
				    0 &&
			    !object_terminating(o.tree)) {
				delete_dependent(c, r, &o, false);
				deleted++;
			}
			object_done(&o);
		}
		if (keys.count) {
			str_replace(&after_ns, keys.items[keys.count - 1].ns);
			str_replace(&after_name, keys.items[keys.count - 1].name);
		}
	}
	return deleted >= KEYS_PER_STEP;
}

static void finalize_namespace(struct call *c, const struct resource *r, struct object *o)
{
	struct json *now = json_dup(o->tree);
	json_set(json_make_object(now, "spec"), "finalizers", json_new_array());
	write_update(c, r, o, &now, PART_FINALIZE);
	json_free(now);
}

/* Each kind once, by its storage version. */
static bool empty_namespace(struct call *c, const char *ns, bool *ret_again)
{
	bool empty = true;
	list_for_each(l, &c->s->registry.resources) {
		struct resource *r = list_entry(l, struct resource, link);
		if (!resource_is(r, RESOURCE_NAMESPACED) ||
		    registry_find_key(&c->s->registry, r->key) != r)
			continue;
		*ret_again = delete_some(c, r, ns) || *ret_again;
		empty = empty && count_in(c->s, r, ns) == 0;
	}
	return empty;
}

static void do_namespace(struct call *c, const struct work *w)
{
	const struct resource *r = registry_find(&c->s->registry, "", "v1", "namespaces");
	struct object o = { 0 };
	bool again = false;
	if (object_load(c, r, "", w->name, &o) > 0 && object_terminating(o.tree)) {
		if (empty_namespace(c, w->name, &again))
			finalize_namespace(c, r, &o);
		else if (again)
			work_add(c->s, WORK_NAMESPACE, "", "", w->name);
	}
	object_done(&o);
}

/* A definition goes after its last object. */
static void do_kind(struct call *c, const struct work *w)
{
	const struct resource *crds = registry_find(&c->s->registry, "apiextensions.k8s.io", "v1",
						    "customresourcedefinitions");
	struct object o = { 0 };
	if (object_load(c, crds, "", w->name, &o) > 0 && object_terminating(o.tree)) {
		struct resource *r = registry_find_key(&c->s->registry, w->name);
		bool again = r && delete_some(c, r, NULL);
		if (!r || count_in(c->s, r, NULL) == 0)
			release(c, crds, &o, "customresourcecleanup.apiextensions.k8s.io");
		else if (again)
			work_add(c->s, WORK_KIND, "", "", w->name);
	}
	object_done(&o);
}

/* An update without a change: what the server fills in is worked out again. */
static void do_names(struct call *c, const struct work *w)
{
	const struct resource *crds = registry_find(&c->s->registry, "apiextensions.k8s.io", "v1",
						    "customresourcedefinitions");
	struct object o = { 0 };
	if (object_load(c, crds, "", w->name, &o) > 0) {
		struct json *now = json_dup(o.tree);
		write_update(c, crds, &o, &now, PART_MAIN);
		json_free(now);
	}
	object_done(&o);
}

/* --- the queue --- */

static void do_work(struct call *c, const struct work *w)
{
	switch (w->type) {
	case WORK_OWNER_GONE:
		do_owner_gone(c, w);
		return;
	case WORK_CHECK:
		do_check(c, w);
		return;
	case WORK_NAMESPACE:
		do_namespace(c, w);
		return;
	case WORK_KIND:
		do_kind(c, w);
		return;
	case WORK_NAMES:
		do_names(c, w);
		return;
	}
}

static void on_work(void *data)
{
	struct apiserver *s = data;
	struct err err;
	struct work *w;
	if (batch_open(s, &err) < 0) {
		log_error("store: cannot write", "error", err.text);
		timer_set_in(&s->work_timer, USEC_PER_SEC);
		return;
	}
	for (int i = 0; i < WORK_PER_STEP && (w = take_work(s)); i++) {
		struct call c;
		call_init(&c, s, NULL);
		do_work(&c, w);
		call_done(&c);
		work_free(w);
	}
	if (!list_empty(&s->work))
		timer_set_in(&s->work_timer, 0);
}

static void note_terminating_scope(struct apiserver *s, const struct resource *r,
				   const struct json *old)
{
	if (resource_is(r, RESOURCE_NAMESPACED))
		work_add(s, WORK_NAMESPACE, "", "", object_ns(old));
	if (r->terminating)
		work_add(s, WORK_KIND, "", "", r->key);
}

/* Owners in the foreground wait for this one. */
static void note_owners(struct apiserver *s, const struct json *old)
{
	json_for_each(ref, json_get_path(old, "metadata.ownerReferences")) {
		struct store_row row;
		const char *uid = json_get_string(ref, "uid");
		if (!uid || store_get_by_uid(s->store, uid, &row, NULL) <= 0)
			continue;
		_cleanup_(freep) char *resource = xstrdup(row.key.resource);
		_cleanup_(freep) char *ns = xstrdup(row.key.ns), *name = xstrdup(row.key.name);
		work_add(s, WORK_CHECK, resource, ns, name);
	}
}

/* Whatever waits for the change. */
static void work_note(struct apiserver *s, const struct resource *r, const struct json *now,
		      const struct json *old)
{
	if (!now) {
		work_add(s, WORK_OWNER_GONE, "", "", object_uid(old));
		note_terminating_scope(s, r, old);
		note_owners(s, old);
		return;
	}
	bool waits = object_terminating(now) && (meta_has_finalizer(now, "orphan") ||
						 meta_has_finalizer(now, "foregroundDeletion"));
	bool owned = !json_equal(json_get_path(now, "metadata.ownerReferences"),
				 json_get_path(old, "metadata.ownerReferences"));
	if (resource_is(r, RESOURCE_FINALIZE) && object_terminating(now))
		work_add(s, WORK_NAMESPACE, "", "", object_name(now));
	if (waits || owned)
		work_add(s, WORK_CHECK, r->key, object_ns(now), object_name(now));
}

const struct observer work_observer = { .changed = work_note };

/* --- sweeping --- */

static void expire(struct apiserver *s)
{
	_cleanup_(keys_done) struct keys keys = { 0 };
	if (store_list_expired(s->store, loop_wall(s->loop), KEYS_PER_STEP, add_key, &keys, NULL) <
	    0)
		return;
	for (size_t i = 0; i < keys.count; i++) {
		struct call c;
		struct object o = { 0 };
		const struct resource *r = registry_find_key(&s->registry, keys.items[i].resource);
		call_init(&c, s, NULL);
		if (r &&
		    object_load_to_delete(&c, r, keys.items[i].ns, keys.items[i].name, &o) > 0)
			delete_dependent(&c, r, &o, false);
		object_done(&o);
		call_done(&c);
	}
}

static void on_sweep(void *data)
{
	struct apiserver *s = data;
	struct err err;
	if (batch_open(s, &err) == 0) {
		expire(s);
		if (store_compact(s->store, loop_wall(s->loop), &err) < 0)
			log_warn("store: cannot compact the log", "error", err.text);
	}
}

/* After each commit: at the next expiry, at once when the log has grown too long, else now and then
 * while it has anything to lose. */
void work_schedule_sweep(struct apiserver *s)
{
	if (s->freeing)
		return;
	usec_t wall = loop_wall(s->loop), expiry = store_next_expiry(s->store);
	usec_t delay = USEC_INFINITY;
	if (expiry != USEC_INFINITY)
		delay = expiry > wall ? expiry - wall : 0;
	if (store_log_size(s->store) > store_log_max(s->store) + LOG_SLACK)
		delay = 0;
	else if (store_log_size(s->store) > 1)
		delay = MIN(delay, COMPACT_INTERVAL);
	/* Not more often than once a second, should it not help. */
	if (delay != USEC_INFINITY)
		timer_set_before(&s->sweep_timer, loop_now(s->loop) + MAX(delay, USEC_PER_SEC));
}

/* --- life --- */

void work_start(struct apiserver *s)
{
	list_init(&s->work);
	timer_init(&s->work_timer, s->loop, "apiserver work", on_work, s);
	timer_init(&s->sweep_timer, s->loop, "apiserver sweep", on_sweep, s);
}

struct resumer {
	struct apiserver *s;
	const struct resource *r;
};

/* The store has no index of deletions under way; a look at everything once per start is cheaper
 * than one. */
static int resume_row(void *data, const struct store_row *row)
{
	struct resumer *u = data;
	_cleanup_(json_freep) struct json *tree = object_parse_stored(u->r, row->data, row->len);
	if (!object_terminating(tree))
		return 0;
	if (streq(u->r->key, "namespaces"))
		work_add(u->s, WORK_NAMESPACE, "", "", row->key.name);
	else if (resource_is(u->r, RESOURCE_DEFINES))
		work_add(u->s, WORK_KIND, "", "", row->key.name);
	else
		work_add(u->s, WORK_CHECK, row->key.resource, row->key.ns, row->key.name);
	return 0;
}

static int resume_orphan(void *data, const struct store_row *row)
{
	work_add(data, WORK_CHECK, row->key.resource, row->key.ns, row->key.name);
	return 0;
}

void work_resume(struct apiserver *s)
{
	list_for_each(l, &s->registry.resources) {
		struct resource *r = list_entry(l, struct resource, link);
		struct resumer u = { s, r };
		struct store_query q = { .resource = r->key };
		if (registry_find_key(&s->registry, r->key) == r)
			store_list(s->store, &q, resume_row, &u, NULL);
	}
	store_list_orphans(s->store, resume_orphan, s, NULL);
	work_schedule_sweep(s);
}

void work_stop(struct apiserver *s)
{
	for (struct work *w; (w = take_work(s));)
		work_free(w);
	map_done(&s->work_keys);
	timer_stop(&s->work_timer);
	timer_stop(&s->sweep_timer);
}
