/* Informer: a watcher, a store and the handlers.
 *
 * While a list comes in, its objects wait at the side; readers see the old state. When it is
 * complete, the difference goes to the store and to the handlers: what was missed while
 * disconnected shows as removal here. An object whose version did not change keeps its old copy, so
 * that a second list costs no second memory. Handlers that join later get what is there first. Core
 * thread. */

#include "kube/informer.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kube/store.h"

struct handler {
	struct list node;
	struct kube_informer_handlers fn;
	void *data;
	bool joined; /* has been given what was there */
	bool told_synced;
};

struct kube_informer {
	struct kube_client *client;
	struct kube_informer_options options;
	char *ns, *label_selector, *field_selector;
	struct kube_watch *watch;
	struct cache store;
	struct list handlers;
	struct timer join_timer;
	bool listing, synced;
	struct map side; /* key → object of the list that comes in */
};

static char *make_key(const struct kube_informer *i, const char *ns, const char *name)
{
	if (!i->store.namespaced || str_empty(ns))
		return xstrdup(name);
	return xasprintf("%s/%s", ns, name);
}

/* --- telling
 * ---------------------------------------------------------------------------------------- */

enum what { WHAT_ADD, WHAT_UPDATE, WHAT_REMOVE };

static void tell(const struct handler *h, enum what what, struct kube_object *before,
		 struct kube_object *now)
{
	switch (what) {
	case WHAT_ADD:
		if (h->fn.add)
			h->fn.add(h->data, now);
		return;
	case WHAT_UPDATE:
		if (h->fn.update)
			h->fn.update(h->data, before, now);
		return;
	case WHAT_REMOVE:
		if (h->fn.remove)
			h->fn.remove(h->data, before);
		return;
	}
}

/* Objects are held meanwhile: a handler may well cause them to leave the store. */
static void tell_all(struct kube_informer *i, enum what what, struct kube_object *before,
		     struct kube_object *now)
{
	if (now)
		kube_object_ref(now);
	list_for_each(n, &i->handlers) {
		const struct handler *h = list_entry(n, struct handler, node);
		if (h->joined)
			tell(h, what, before, now);
	}
	kube_object_unref(now);
}

static void tell_synced(struct handler *h)
{
	if (h->told_synced)
		return;
	h->told_synced = true;
	if (h->fn.synced)
		h->fn.synced(h->data);
}

/* --- from the watch
 * ----------------------------------------------------------------------------------- */

static void on_restart(void *data)
{
	struct kube_informer *i = data;
	map_for_each(&i->side, k)
		kube_object_unref(i->side.entries[k].value);
	map_done(&i->side);
	i->listing = true;
}

static struct kube_object *snapshot(const struct kube_informer *i, struct json *object)
{
	kube_strip(object);
	if (i->options.prune)
		i->options.prune(object);
	return kube_object_new(object, i->store.namespaced, i->options.sample);
}

static struct kube_object *known_copy(const struct kube_informer *i, const struct json *object)
{
	_cleanup_(freep) char *key = make_key(i, kube_namespace(object), kube_name(object));
	const struct cache_entry *e = map_get(&i->store.entries, key);
	bool same = e && e->now && streq(e->now->uid, kube_uid(object)) &&
		    streq(e->now->resource_version, kube_resource_version(object));
	return same ? kube_object_ref(e->now) : NULL;
}

static void put(struct kube_informer *i, struct kube_object *o, const struct json *tree)
{
	bool stale;
	_cleanup_(kube_object_unrefp) struct kube_object *held = kube_object_ref(o);
	_cleanup_(kube_object_unrefp) struct kube_object *before = cache_put(&i->store, o, tree,
									     &stale);
	if (stale || before == o)
		return;
	if (before && streq(before->uid, o->uid) &&
	    streq(before->resource_version, o->resource_version))
		return; /* the watch repeats itself after a reconnection */
	if (before && !streq(before->uid, o->uid)) {
		/* Deleted and made anew while we did not look. */
		tell_all(i, WHAT_REMOVE, before, NULL);
		tell_all(i, WHAT_ADD, NULL, o);
		return;
	}
	tell_all(i, before ? WHAT_UPDATE : WHAT_ADD, before, o);
}

static void on_apply(void *data, struct json **object)
{
	struct kube_informer *i = data;
	if (!i->listing) {
		put(i, snapshot(i, *object), *object);
		return;
	}
	struct kube_object *o = known_copy(i, *object);
	if (!o)
		o = snapshot(i, *object);
	kube_object_unref(map_set(&i->side, o->key, o));
}

static void removed(struct kube_informer *i, struct kube_object *last)
{
	if (last)
		tell_all(i, WHAT_REMOVE, last, NULL);
	kube_object_unref(last);
}

/* A streamed list holds the changes of its time, too. Until its end the store stays as it was: a
 * stream that breaks off may be followed by a list that is older than what it has told. */
static void on_remove(void *data, struct json **object)
{
	struct kube_informer *i = data;
	_cleanup_(freep) char *key = make_key(i, kube_namespace(*object), kube_name(*object));
	if (i->listing) {
		kube_object_unref(map_remove(&i->side, key));
		return;
	}
	removed(i, cache_remove(&i->store, key, str_or(kube_uid(*object), "")));
}

/* Handlers may change the store, so what is absent is looked for first and removed then. */
static void remove_absent(struct kube_informer *i, const char *version)
{
	struct strbuf keys = { 0 }; /* NUL-separated */
	map_for_each(&i->store.entries, k) {
		const char *key = i->store.entries.entries[k].key;
		if (!map_get(&i->side, key))
			strbuf_add(&keys, key, strlen(key) + 1);
	}
	for (size_t at = 0; at < keys.len; at += strlen(keys.data + at) + 1)
		removed(i, cache_absent(&i->store, keys.data + at, version));
	strbuf_done(&keys);
}

static void take_listed(struct kube_informer *i, struct kube_object *o)
{
	const struct cache_entry *e = map_get(&i->store.entries, o->key);
	if (e && e->now == o && !e->written)
		kube_object_unref(o); /* as it was */
	else
		put(i, o, NULL);
}

static void on_listed(void *data, const char *version)
{
	struct kube_informer *i = data;
	i->listing = false;
	remove_absent(i, version);
	struct map side = i->side;
	i->side = (struct map){ 0 };
	map_for_each(&side, k)
		take_listed(i, side.entries[k].value);
	map_done(&side);
	i->synced = true;
	list_for_each(n, &i->handlers) {
		struct handler *h = list_entry(n, struct handler, node);
		if (h->joined)
			tell_synced(h);
	}
}

/* --- handlers that join
 * ------------------------------------------------------------------------------- */

static void tell_present(struct kube_informer *i, struct handler *h)
{
	size_t count = 0;
	struct kube_object **all = xcalloc(i->store.entries.count + 1,
					   sizeof(struct kube_object *));
	map_for_each(&i->store.entries, k) {
		const struct cache_entry *e = i->store.entries.entries[k].value;
		if (e->now)
			all[count++] = kube_object_ref(e->now);
	}
	h->joined = true;
	for (size_t k = 0; k < count; k++) {
		tell(h, WHAT_ADD, NULL, all[k]);
		kube_object_unref(all[k]);
	}
	free(all);
	if (i->synced)
		tell_synced(h);
}

static void on_join(void *data)
{
	struct kube_informer *i = data;
	list_for_each(n, &i->handlers) {
		struct handler *h = list_entry(n, struct handler, node);
		if (!h->joined)
			tell_present(i, h);
	}
}

void kube_informer_handle(struct kube_informer *i, const struct kube_informer_handlers *handlers,
			  void *data)
{
	struct handler *h = xcalloc(1, sizeof(*h));
	*h = (struct handler){ .fn = *handlers, .data = data, .joined = !i->watch };
	list_append(&i->handlers, &h->node);
	if (!h->joined)
		timer_set_in(&i->join_timer, 0);
}

/* --- life
 * --------------------------------------------------------------------------------------------- */

struct kube_informer *kube_informer_new(struct kube_client *c,
					const struct kube_informer_options *options)
{
	struct kube_informer *i = xcalloc(1, sizeof(*i));
	const struct kube_watch_options *w = &options->watch;
	i->client = c;
	i->options = *options;
	i->options.watch.ns = i->ns = xstrdup(w->ns);
	i->options.watch.label_selector = i->label_selector = xstrdup(w->label_selector);
	i->options.watch.field_selector = i->field_selector = xstrdup(w->field_selector);
	i->store.namespaced = w->resource->scope != KUBE_CLUSTER;
	list_init(&i->handlers);
	timer_init(&i->join_timer, kube_client_loop(c), "informer join", on_join, i);
	return i;
}

struct kube_informer *kube_informer_free(struct kube_informer *i)
{
	if (!i)
		return NULL;
	kube_watch_free(i->watch);
	timer_stop(&i->join_timer);
	on_restart(i); /* empties the side */
	cache_done(&i->store);
	for (struct list *n; (n = list_take_first(&i->handlers));)
		free(list_entry(n, struct handler, node));
	free(i->ns);
	free(i->label_selector);
	free(i->field_selector);
	free(i);
	return NULL;
}

void kube_informer_start(struct kube_informer *i)
{
	static const struct kube_watch_handlers handlers = {
		.restart = on_restart, .apply = on_apply, .listed = on_listed, .remove = on_remove
	};
	if (!i->watch)
		i->watch = kube_watch_new(i->client, &i->options.watch, &handlers, i);
}

/* --- reading
 * ------------------------------------------------------------------------------------------ */

bool kube_informer_synced(const struct kube_informer *i)
{
	return i->synced;
}

const struct err *kube_informer_error(const struct kube_informer *i)
{
	return i->watch ? kube_watch_error(i->watch) : NULL;
}

struct kube_object *kube_informer_get_key(const struct kube_informer *i, const char *key)
{
	return cache_get(&i->store, key);
}

struct kube_object *kube_informer_get(const struct kube_informer *i, const char *ns,
				      const char *name)
{
	_cleanup_(freep) char *key = make_key(i, ns, name);
	return cache_get(&i->store, key);
}

size_t kube_informer_count(const struct kube_informer *i)
{
	return i->store.entries.count;
}

int kube_informer_each(const struct kube_informer *i, kube_object_fn fn, void *data)
{
	map_for_each(&i->store.entries, k) {
		int r = fn(data, cache_view(i->store.entries.entries[k].value));
		if (r != 0)
			return r;
	}
	return 0;
}

void kube_informer_note_written(struct kube_informer *i, const struct json *object)
{
	if (str_empty(kube_name(object)) || str_empty(kube_resource_version(object)))
		return; /* the Status of a deletion, for example */
	_cleanup_(json_freep) struct json *tree = json_dup(object);
	cache_overlay(&i->store, snapshot(i, tree), tree,
		      i->watch ? kube_watch_position(i->watch) : "");
}

void kube_informer_note_read(struct kube_informer *i, const struct json *object)
{
	_cleanup_(json_freep) struct json *tree = json_dup(object);
	cache_correct(&i->store, snapshot(i, tree), tree);
}

/* --- indexes
 * ------------------------------------------------------------------------------------------ */

void kube_informer_index(struct kube_informer *i, const char *index, kube_index_fn keys)
{
	cache_add_index(&i->store, index, keys);
}

int kube_informer_each_indexed(const struct kube_informer *i, const char *index, const char *key,
			       kube_object_fn fn, void *data)
{
	return cache_each_indexed(&i->store, index, key, fn, data);
}

void kube_index_by_owner(const struct json *object, kube_emit_fn emit, void *arg)
{
	json_for_each(owner, json_get_path(object, "metadata.ownerReferences")) {
		const char *uid = json_get_string(owner, "uid");
		if (uid)
			emit(arg, uid);
	}
}

void kube_index_by_label(const struct json *object, kube_emit_fn emit, void *arg)
{
	json_for_each(label, json_get_path(object, "metadata.labels")) {
		_cleanup_(freep) char *pair = xasprintf("%s=%s", json_key(label),
							str_or(json_string(label), ""));
		emit(arg, pair);
	}
}
