#pragma once
/* Informer: all objects of one kind (and namespace, and selector) in memory, kept up to date by a
 * watcher, for any number of readers and handlers.
 *
 * An object is stored as packed text, without managedFields and last-applied-configuration, because
 * a tree takes 40 times the room; kube_object_parse makes a tree for the step that needs it.
 * Snapshots are immutable and counted: what a handler holds does not change under it. Core thread.
 */

#include "kube/watch.h"

struct kube_informer;

/* Read only. Valid while a reference is held, or until the current loop callback returns. */
struct kube_object {
	unsigned refs;
	uint32_t text_len, packed_len;
	const char *key; /* "namespace/name", or "name" for kinds without namespaces */
	const char *ns;	 /* "" for kinds without namespaces */
	const char *name;
	const char *uid;
	const char *resource_version;
	/* Compact JSON by wire/compress.h; private, use what follows. */
	const void *packed;
	const char *sample;
	int64_t generation;
	bool deleting; /* metadata.deletionTimestamp is set */
};

struct kube_object *kube_object_ref(struct kube_object *o);
struct kube_object *kube_object_unref(struct kube_object *o); /* returns NULL; NULL is harmless */
void kube_object_unrefp(struct kube_object **o);
/* Compact JSON; new. It may be a Secret: for secret_free(). */
char *kube_object_text(const struct kube_object *o);
/* A new tree; never NULL. */
struct json *kube_object_parse(const struct kube_object *o);

/* All optional. Of one object in order; between objects in none. Handlers may do anything but free
 * the informer. */
struct kube_informer_handlers {
	void (*add)(void *data, struct kube_object *now);
	void (*update)(void *data, struct kube_object *before, struct kube_object *now);
	/* `last` is the last known state; what was missed while disconnected shows here after the
	 * next list. */
	void (*remove)(void *data, struct kube_object *last);
	/* The first list is complete and delivered; once per handler. */
	void (*synced)(void *data);
};

struct kube_informer_options {
	struct kube_watch_options watch;
	/* Cuts away what no reader of this cache needs, to save memory. Optional. Who writes whole
	 * objects back must not cut. */
	void (*prune)(struct json *object);
	/* Static text like that of most objects of this kind, by which each takes less room.
	 * Optional. */
	const char *sample;
};

struct kube_informer *kube_informer_new(struct kube_client *c,
					const struct kube_informer_options *options);
struct kube_informer *kube_informer_free(struct kube_informer *i);
/* Before start, or later: then it is given what is there as `add`, after this call has returned. */
void kube_informer_handle(struct kube_informer *i, const struct kube_informer_handlers *handlers,
			  void *data);
void kube_informer_start(struct kube_informer *i);
bool kube_informer_synced(const struct kube_informer *i);
/* Why the cache is not being kept up to date at the moment; NULL when all is well. */
const struct err *kube_informer_error(const struct kube_informer *i);

/* Borrowed; NULL when absent. */
struct kube_object *kube_informer_get(const struct kube_informer *i, const char *ns,
				      const char *name);
struct kube_object *kube_informer_get_key(const struct kube_informer *i, const char *key);
size_t kube_informer_count(const struct kube_informer *i);
/* In the order in which they came; fn must not change the cache. Non-zero stops and is returned. */
typedef int (*kube_object_fn)(void *data, struct kube_object *o);
int kube_informer_each(const struct kube_informer *i, kube_object_fn fn, void *data);

/* Own writes: the cache is behind after a write, so the object that the server answered with is
 * given to readers until the watch has caught up with it. Handlers hear of it
 * from the watch. */
void kube_informer_note_written(struct kube_informer *i, const struct json *object);
/* What a get has found, asked of the server and not of a cache: it counts, also if the cache holds
 * a newer version, as after a restore of the server's data. */
void kube_informer_note_read(struct kube_informer *i, const struct json *object);

/* Index by anything: `keys` emits the keys of an object (Secret names of a host, owner UIDs).
 * Before start. */
typedef void (*kube_emit_fn)(void *arg, const char *key);
typedef void (*kube_index_fn)(const struct json *object, kube_emit_fn emit, void *arg);
void kube_informer_index(struct kube_informer *i, const char *index, kube_index_fn keys);
int kube_informer_each_indexed(const struct kube_informer *i, const char *index, const char *key,
			       kube_object_fn fn, void *data);
/* Ready-made index functions: UIDs of metadata.ownerReferences; "key=value" of each label. */
void kube_index_by_owner(const struct json *object, kube_emit_fn emit, void *arg);
void kube_index_by_label(const struct json *object, kube_emit_fn emit, void *arg);
