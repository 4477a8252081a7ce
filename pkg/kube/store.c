/* Store of an informer. What readers see of a key (the view) is our own write while it is newer
 * than what the watch has brought, else that. Versions are compared as numbers, which Kubernetes
 * permits within one kind; what is no number counts as newer, so that the watch always has the last
 * word.
 *
 * Indexes follow the view: each entry remembers which index keys it stands under. No I/O, no time.
 */

#include "kube/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* The objects under one key of an index, in the order in which they came. */
struct key_set {
	const char **keys; /* owned copies */
	size_t count;
};

bool cache_newer(const char *a, const char *b)
{
	uint64_t x, y;
	return parse_u64(a, UINT64_MAX, &x) == 0 && parse_u64(b, UINT64_MAX, &y) == 0 && x > y;
}

struct kube_object *cache_view(const struct cache_entry *e)
{
	if (!e)
		return NULL;
	return e->written ? e->written : e->now;
}

struct kube_object *cache_get(const struct cache *s, const char *key)
{
	return cache_view(map_get(&s->entries, key));
}

/* --- indexes
 * --------------------------------------------------------------------------------------- */

static void set_add(struct cache_index *index, const char *index_key, const char *key)
{
	struct key_set *set = map_get(&index->entries, index_key);
	if (!set) {
		set = xcalloc(1, sizeof(*set));
		map_set(&index->entries, index_key, set);
	}
	set->keys = xreallocarray(set->keys, set->count + 1, sizeof(set->keys[0]));
	set->keys[set->count++] = xstrdup(key);
}

static void set_free(struct key_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		free((char *)set->keys[i]);
	free(set->keys);
	free(set);
}

static void set_remove(struct cache_index *index, const char *index_key, const char *key)
{
	struct key_set *set = map_get(&index->entries, index_key);
	for (size_t i = 0; set && i < set->count; i++) {
		if (!streq(set->keys[i], key))
			continue;
		free((char *)set->keys[i]);
		memmove(&set->keys[i], &set->keys[i + 1],
			(set->count - i - 1) * sizeof(set->keys[0]));
		if (--set->count == 0)
			set_free(map_remove(&index->entries, index_key));
		return;
	}
}

struct emitted {
	char **keys; /* NULL-ended */
	size_t count;
};

static void emit(void *arg, const char *key)
{
	struct emitted *e = arg;
	for (size_t i = 0; i < e->count; i++)
		if (streq(e->keys[i], key))
			return;
	e->keys = xreallocarray(e->keys, e->count + 2, sizeof(e->keys[0]));
	e->keys[e->count++] = xstrdup(key);
	e->keys[e->count] = NULL;
}

static void unindex(struct cache *s, struct cache_entry *e, const char *key)
{
	if (!e->index_keys)
		return;
	for (size_t i = 0; i < s->index_count; i++) {
		for (char **k = e->index_keys[i]; k && *k; k++) {
			set_remove(&s->indexes[i], *k, key);
			free(*k);
		}
		free(e->index_keys[i]);
	}
	free(e->index_keys);
	e->index_keys = NULL;
}

/* After each change of the view; `tree` is the view's. */
static void reindex(struct cache *s, struct cache_entry *e, const char *key,
		    const struct json *tree)
{
	if (s->index_count == 0)
		return;
	unindex(s, e, key);
	_cleanup_(json_freep) struct json *own = NULL;
	if (!tree)
		tree = own = kube_object_parse(cache_view(e));
	e->index_keys = xcalloc(s->index_count, sizeof(e->index_keys[0]));
	for (size_t i = 0; i < s->index_count; i++) {
		struct emitted out = { 0 };
		s->indexes[i].keys(tree, emit, &out);
		for (size_t k = 0; k < out.count; k++)
			set_add(&s->indexes[i], out.keys[k], key);
		e->index_keys[i] = out.keys;
	}
}

void cache_add_index(struct cache *s, const char *name, kube_index_fn keys)
{
	s->indexes = xreallocarray(s->indexes, s->index_count + 1, sizeof(s->indexes[0]));
	s->indexes[s->index_count++] = (struct cache_index){ .name = xstrdup(name), .keys = keys };
}

int cache_each_indexed(const struct cache *s, const char *index, const char *key, kube_object_fn fn,
		       void *data)
{
	const struct key_set *set = NULL;
	for (size_t i = 0; i < s->index_count; i++)
		if (streq(s->indexes[i].name, index))
			set = map_get(&s->indexes[i].entries, key);
	for (size_t i = 0; set && i < set->count; i++) {
		int r = fn(data, cache_get(s, set->keys[i]));
		if (r != 0)
			return r;
	}
	return 0;
}

/* --- entries
 * ---------------------------------------------------------------------------------------- */

static struct cache_entry *make_entry(struct cache *s, const char *key)
{
	struct cache_entry *e = map_get(&s->entries, key);
	if (!e) {
		e = xcalloc(1, sizeof(*e));
		map_set(&s->entries, key, e);
	}
	return e;
}

static void drop_entry(struct cache *s, struct cache_entry *e, const char *key)
{
	unindex(s, e, key);
	map_remove(&s->entries, key);
	kube_object_unref(e->now);
	kube_object_unref(e->written);
	free(e);
}

struct kube_object *cache_put(struct cache *s, struct kube_object *o, const struct json *tree,
			      bool *ret_stale)
{
	struct cache_entry *e = make_entry(s, o->key);
	*ret_stale = false;
	/* Whatever its UID: one that we made is newer than its predecessor of the same name. */
	if (e->written && cache_newer(e->written->resource_version, o->resource_version)) {
		kube_object_unref(o);
		*ret_stale = true;
		return NULL;
	}
	struct kube_object *before = e->now;
	e->written = kube_object_unref(e->written);
	e->now = o;
	reindex(s, e, o->key, tree);
	return before;
}

/* Our own write stays only if it made another object of the same name. */
static struct kube_object *take_now(struct cache *s, struct cache_entry *e, bool keep_written)
{
	struct kube_object *before = TAKE_PTR(e->now);
	if (e->written && keep_written)
		reindex(s, e, e->written->key, NULL);
	return before;
}

struct kube_object *cache_remove(struct cache *s, const char *key, const char *uid)
{
	struct cache_entry *e = map_get(&s->entries, key);
	if (!e)
		return NULL;
	bool keep = e->written && !streq(e->written->uid, uid);
	struct kube_object *before = take_now(s, e, keep);
	if (!keep)
		drop_entry(s, e, key);
	return before;
}

struct kube_object *cache_absent(struct cache *s, const char *key, const char *version)
{
	struct cache_entry *e = map_get(&s->entries, key);
	if (!e)
		return NULL;
	bool keep = e->written && cache_newer(e->written->resource_version, version);
	struct kube_object *before = take_now(s, e, keep);
	if (!keep)
		drop_entry(s, e, key);
	return before;
}

void cache_overlay(struct cache *s, struct kube_object *o, const struct json *tree,
		   const char *position)
{
	const struct cache_entry *known = map_get(&s->entries, o->key);
	const struct kube_object *view = cache_view(known);
	/* What the watch has passed already it has told, or the object is gone again. */
	bool late = !str_empty(position) && !cache_newer(o->resource_version, position);
	if (late || (view && !cache_newer(o->resource_version, view->resource_version))) {
		kube_object_unref(o);
		return;
	}
	struct cache_entry *e = make_entry(s, o->key);
	kube_object_unref(e->written);
	e->written = o;
	reindex(s, e, o->key, tree);
}

void cache_correct(struct cache *s, struct kube_object *o, const struct json *tree)
{
	struct cache_entry *e = make_entry(s, o->key);
	kube_object_unref(e->written);
	e->written = o;
	reindex(s, e, o->key, tree);
}

void cache_done(struct cache *s)
{
	map_for_each(&s->entries, i)
		drop_entry(s, s->entries.entries[i].value, s->entries.entries[i].key);
	for (size_t i = 0; i < s->index_count; i++) {
		map_done(&s->indexes[i].entries);
		free(s->indexes[i].name);
	}
	free(s->indexes);
	map_done(&s->entries);
}
