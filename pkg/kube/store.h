#pragma once
/* The objects of one informer by key, with overlays of our own writes and indexes. Inside pkg/kube;
 * no I/O. */

#include "base/map.h"
#include "kube/informer.h"

/* With one reference, the caller's. The tree is printed as it is. `sample`: static or NULL. */
struct kube_object *kube_object_new(const struct json *object, bool namespaced, const char *sample);

struct cache_index {
	char *name;
	kube_index_fn keys;
	struct map entries; /* index key → struct key_set */
};

struct cache_entry {
	struct kube_object *now;     /* as the watch says; NULL: only our write is known */
	struct kube_object *written; /* newer, from our own write; NULL: none */
	char ***index_keys;	     /* per index a NULL-ended list of what `view` emits */
};

struct cache {
	bool namespaced;
	struct map entries;
	struct cache_index *indexes;
	size_t index_count;
};

void cache_done(struct cache *s);
void cache_add_index(struct cache *s, const char *name, kube_index_fn keys);

/* What readers see of an entry (NULL entry: NULL). */
struct kube_object *cache_view(const struct cache_entry *e);
struct kube_object *cache_get(const struct cache *s, const char *key);

/* Takes o as what the watch says. Returns what it said before, to be unreferenced (NULL: nothing).
 * With
 * `*ret_stale` the event was older than our own write and was not stored. `tree` NULL: parsed if
 * needed. */
struct kube_object *cache_put(struct cache *s, struct kube_object *o, const struct json *tree,
			      bool *ret_stale);
/* The watch says that the object with this uid is gone. Returns what it said before. */
struct kube_object *cache_remove(struct cache *s, const char *key, const char *uid);
/* Takes o as the answer to our own write. `position`: where the watch is. */
void cache_overlay(struct cache *s, struct kube_object *o, const struct json *tree,
		   const char *position);
/* Takes o as what the server has now, whatever is cached. */
void cache_correct(struct cache *s, struct kube_object *o, const struct json *tree);
/* A complete list of this version does not hold the key. Returns what was there. */
struct kube_object *cache_absent(struct cache *s, const char *key, const char *version);

int cache_each_indexed(const struct cache *s, const char *index, const char *key, kube_object_fn fn,
		       void *data);

/* True when a is a later version than b; false also when they cannot be compared. */
bool cache_newer(const char *a, const char *b);
