/* What goes on after the answer: dependents of what is gone, the contents of namespaces and kinds
 * that are being deleted, events past their time, the log of changes. Work is a queue of keys, each
 * in it once, done a few at a time between requests and in the same batches. What waits for
 * something (a finalizer, a last dependent) is not polled for: the change it waits for puts it in
 * the queue again. After a restart the queue is found again from what the store holds.
 *
 * What is to be changed is asked for by requests (own_request), as a controller outside would; what
 * is there is read as it is stored, since only metadata matters here. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/feed/work.h"
#include "apiserver/internal.h"
#include "base/log.h"
#include "base/mem.h"

enum { WORK_PER_STEP = 16, KEYS_PER_STEP = 200, LOG_SLACK = 512 };

#define COMPACT_INTERVAL (5 * USEC_PER_MIN)

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

/* --- reading and asking --- */

/* 1: it is there; 0: it is not; negative: nothing is known. */
static int look(struct apiserver *s, const struct resource *r, const char *ns, const char *name,
		struct json **ret)
{
	struct store_row row;
	int found = r ? store_get(s->store, &(struct store_key){ r->key, ns, name }, &row, NULL)
		      : -ENOENT;
	if (found > 0)
		*ret = object_parse_stored(r, row.data, row.len);
	return found;
}

static bool ask(struct apiserver *s, const char *method, const struct resource *r,
		const struct json *o, const char *subresource, const struct json *body)
{
	return own_request(s, &(struct own_request){ .method = method,
						     .resource = r,
						     .ns = object_ns(o),
						     .name = object_name(o),
						     .subresource = subresource,
						     .body = body }) < 400;
}

/* One member of the metadata, as long as nobody else has changed the object. Takes value; NULL: the
 * member goes. */
static bool patch_metadata(struct apiserver *s, const struct resource *r, const struct json *o,
			   const char *key, struct json *value)
{
	_cleanup_(json_freep) struct json *patch = json_new_object();
	struct json *meta = json_make_object(patch, "metadata");
	json_set_string(meta, "resourceVersion",
			json_get_path_string(o, "metadata.resourceVersion"));
	json_set(meta, key, value ? value : json_new_null());
	return ask(s, "PATCH", r, o, NULL, patch);
}

/* This one, and no other that has taken its name. */
static bool ask_to_delete(struct apiserver *s, const struct resource *r, const struct json *o,
			  bool foreground)
{
	_cleanup_(json_freep) struct json *options = json_new_object();
	json_set_string(options, "kind", "DeleteOptions");
	json_set_string(options, "apiVersion", "v1");
	json_set_string(json_make_object(options, "preconditions"), "uid", object_uid(o));
	if (foreground)
		json_set_string(options, "propagationPolicy", "Foreground");
	return ask(s, "DELETE", r, o, NULL, options);
}

/* --- objects that lose their owners --- */

/* 1: it is there; 0: gone; -ENOENT: of a kind that is not served, so nothing is known. */
static int owner_state(struct apiserver *s, const struct json *ref, const char *ns,
		       struct json **ret)
{
	const struct resource *r = registry_find_kind(
		&s->registry, str_or(json_get_string(ref, "apiVersion"), ""),
		str_or(json_get_string(ref, "kind"), ""));
	const char *name = str_or(json_get_string(ref, "name"), "");
	int found = look(s, r, r && resource_is(r, RESOURCE_NAMESPACED) ? ns : "", name, ret);
	if (found > 0 && !streq(object_uid(*ret), json_get_string(ref, "uid"))) {
		*ret = json_free(*ret);
		found = 0;
	}
	return found < 0 ? -ENOENT : found;
}

struct owners {
	struct json *solid;	/* references that hold the object */
	bool dangling, waiting; /* an owner has gone; an owner waits for its dependents */
};

static void sort_owners(struct apiserver *s, const struct json *tree, struct owners *ret)
{
	*ret = (struct owners){ .solid = json_new_array() };
	json_for_each(ref, json_get_path(tree, "metadata.ownerReferences")) {
		_cleanup_(json_freep) struct json *owner = NULL;
		int state = owner_state(s, ref, object_ns(tree), &owner);
		if (state == 0)
			ret->dangling = true;
		else if (state > 0 && object_terminating(owner) &&
			 meta_has_finalizer(owner, "foregroundDeletion"))
			ret->waiting = true;
		else
			json_append(ret->solid, json_dup(ref));
	}
}

/* Failure leaves a reference that holds nothing: the next change tries again. */
static void drop_references(struct apiserver *s, const struct resource *r, const struct json *o,
			    const struct json *solid)
{
	patch_metadata(s, r, o, "ownerReferences", json_count(solid) ? json_dup(solid) : NULL);
}

static int note_found(void *data, const struct store_row *row)
{
	(void)row;
	*(bool *)data = true;
	return 1;
}

static bool owns_something(struct apiserver *s, const struct json *tree)
{
	bool found = false;
	store_list_owned(s->store, object_uid(tree), note_found, &found, NULL);
	return found;
}

/* An object stays while one owner holds it; references to owners that have gone are dropped then.
 * In the foreground only what owns something has anything to wait for. */
static void check_dependent(struct apiserver *s, const struct resource *r, const struct json *o)
{
	struct owners owners;
	if (json_count(json_get_path(o, "metadata.ownerReferences")) == 0)
		return;
	sort_owners(s, o, &owners);
	bool held = json_count(owners.solid) > 0;
	if (held && owners.dangling && !owners.waiting)
		drop_references(s, r, o, owners.solid);
	else if (!held && (owners.dangling || owners.waiting) && !object_terminating(o))
		ask_to_delete(s, r, o, owners.waiting && owns_something(s, o));
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

static void release(struct apiserver *s, const struct resource *r, const struct json *o,
		    const char *finalizer)
{
	_cleanup_(json_freep) struct json *now = json_dup(o);
	meta_remove_finalizer(now, finalizer);
	const struct json *left = json_get_path(now, "metadata.finalizers");
	patch_metadata(s, r, o, "finalizers", left ? json_dup(left) : NULL);
}

static void orphan_one(struct apiserver *s, const struct resource *r, const struct json *o,
		       const char *uid)
{
	_cleanup_(json_freep) struct json *rest = json_new_array();
	json_for_each(ref, json_get_path(o, "metadata.ownerReferences"))
		if (!streq(json_get_string(ref, "uid"), uid))
			json_append(rest, json_dup(ref));
	drop_references(s, r, o, rest);
}

/* False when it stands in the way of the owner. */
static bool settle_dependent(struct apiserver *s, const struct store_key *key,
			     const struct json *owner, bool orphan)
{
	const struct resource *r = registry_find_key(&s->registry, key->resource);
	_cleanup_(json_freep) struct json *o = NULL, *now = NULL;
	if (look(s, r, key->ns, key->name, &o) <= 0)
		return true;
	if (orphan)
		orphan_one(s, r, o, object_uid(owner));
	else
		check_dependent(s, r, o);
	int left = orphan ? 0 : look(s, r, key->ns, key->name, &now);
	return !(left > 0 && blocks(now, object_uid(owner)));
}

/* True when no dependent stands in the way of the owner. */
static bool settle_dependents(struct apiserver *s, const struct json *owner, bool orphan)
{
	_cleanup_(keys_done) struct keys keys = { 0 };
	bool clear = true;
	if (store_list_owned(s->store, object_uid(owner), add_key, &keys, NULL) < 0)
		return false;
	for (size_t i = 0; i < keys.count; i++)
		clear = settle_dependent(s, &keys.items[i], owner, orphan) && clear;
	return clear;
}

/* Until its dependents are settled, the finalizer keeps the owner. */
static void check_owner(struct apiserver *s, const struct resource *r, const struct json *o)
{
	bool orphan = meta_has_finalizer(o, "orphan");
	if (!object_terminating(o) || (!orphan && !meta_has_finalizer(o, "foregroundDeletion")))
		return;
	if (settle_dependents(s, o, orphan))
		release(s, r, o, orphan ? "orphan" : "foregroundDeletion");
}

static void do_check(struct apiserver *s, const struct work *w)
{
	const struct resource *r = registry_find_key(&s->registry, w->resource);
	_cleanup_(json_freep) struct json *o = NULL;
	if (look(s, r, w->ns, w->name, &o) <= 0)
		return;
	if (object_terminating(o))
		check_owner(s, r, o);
	else
		check_dependent(s, r, o);
}

/* One work item each, so that many dependents do not make one long step. */
static void do_owner_gone(struct apiserver *s, const struct work *w)
{
	_cleanup_(keys_done) struct keys keys = { 0 };
	if (store_list_owned(s->store, w->name, add_key, &keys, NULL) < 0)
		return;
	for (size_t i = 0; i < keys.count; i++)
		work_add(s, WORK_CHECK, keys.items[i].resource, keys.items[i].ns,
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

static bool delete_one(struct apiserver *s, const struct resource *r, const struct store_key *key)
{
	_cleanup_(json_freep) struct json *o = NULL;
	return look(s, r, key->ns, key->name, &o) > 0 && !object_terminating(o) &&
	       ask_to_delete(s, r, o, false);
}

/* Deletes what does not wait for a finalizer yet, a step's worth. True when there may be more to do
 * at once. */
static bool delete_some(struct apiserver *s, const struct resource *r, const char *ns)
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
		more = store_list(s->store, &q, stop_when_full, &keys, NULL) > 0;
		for (size_t i = 0; i < keys.count; i++)
			deleted += delete_one(s, r, &keys.items[i]);
		if (keys.count) {
			str_replace(&after_ns, keys.items[keys.count - 1].ns);
			str_replace(&after_name, keys.items[keys.count - 1].name);
		}
	}
	return deleted >= KEYS_PER_STEP;
}

static void finalize_namespace(struct apiserver *s, const struct resource *r, const struct json *o)
{
	_cleanup_(json_freep) struct json *now = json_dup(o);
	json_set(json_make_object(now, "spec"), "finalizers", json_new_array());
	ask(s, "PUT", r, o, "finalize", now);
}

/* Each kind once, by its storage version. */
static bool empty_namespace(struct apiserver *s, const char *ns, bool *ret_again)
{
	bool empty = true;
	list_for_each(l, &s->registry.resources) {
		struct resource *r = list_entry(l, struct resource, link);
		if (!resource_is(r, RESOURCE_NAMESPACED) ||
		    registry_find_key(&s->registry, r->key) != r)
			continue;
		*ret_again = delete_some(s, r, ns) || *ret_again;
		empty = empty && count_in(s, r, ns) == 0;
	}
	return empty;
}

static void do_namespace(struct apiserver *s, const struct work *w)
{
	const struct resource *r = registry_find(&s->registry, "", "v1", "namespaces");
	_cleanup_(json_freep) struct json *o = NULL;
	bool again = false;
	if (look(s, r, "", w->name, &o) <= 0 || !object_terminating(o))
		return;
	if (empty_namespace(s, w->name, &again))
		finalize_namespace(s, r, o);
	else if (again)
		work_add(s, WORK_NAMESPACE, "", "", w->name);
}

static const struct resource *definitions(const struct apiserver *s)
{
	return registry_find(&s->registry, "apiextensions.k8s.io", "v1",
			     "customresourcedefinitions");
}

/* A definition goes after its last object. */
static void do_kind(struct apiserver *s, const struct work *w)
{
	const struct resource *crds = definitions(s);
	_cleanup_(json_freep) struct json *o = NULL;
	if (look(s, crds, "", w->name, &o) <= 0 || !object_terminating(o))
		return;
	struct resource *r = registry_find_key(&s->registry, w->name);
	bool again = r && delete_some(s, r, NULL);
	if (!r || count_in(s, r, NULL) == 0)
		release(s, crds, o, "customresourcecleanup.apiextensions.k8s.io");
	else if (again)
		work_add(s, WORK_KIND, "", "", w->name);
}

/* A patch without a change: what the server fills in is worked out again. */
static void do_names(struct apiserver *s, const struct work *w)
{
	_cleanup_(json_freep) struct json *o = NULL, *nothing = json_new_object();
	if (look(s, definitions(s), "", w->name, &o) > 0)
		ask(s, "PATCH", definitions(s), o, NULL, nothing);
}

/* --- the queue --- */

static void do_work(struct apiserver *s, const struct work *w)
{
	switch (w->type) {
	case WORK_OWNER_GONE:
		do_owner_gone(s, w);
		return;
	case WORK_CHECK:
		do_check(s, w);
		return;
	case WORK_NAMESPACE:
		do_namespace(s, w);
		return;
	case WORK_KIND:
		do_kind(s, w);
		return;
	case WORK_NAMES:
		do_names(s, w);
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
	for (int i = 0; i < WORK_PER_STEP && (w = work_take(s)); i++) {
		do_work(s, w);
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
		const struct resource *r = registry_find_key(&s->registry, keys.items[i].resource);
		_cleanup_(json_freep) struct json *o = NULL;
		if (look(s, r, keys.items[i].ns, keys.items[i].name, &o) > 0)
			ask_to_delete(s, r, o, false);
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
	for (struct work *w; (w = work_take(s));)
		work_free(w);
	map_done(&s->work_keys);
	timer_stop(&s->work_timer);
	timer_stop(&s->sweep_timer);
}
