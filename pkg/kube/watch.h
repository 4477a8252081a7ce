#pragma once
/* Watcher: keeps telling what objects exist, by list pages and a watch that resumes. A state
 * machine in the manner of kube-rs: errors never end it, they lead back by a
 * table. Most users want an informer (kube/informer.h), which stores what comes out of here. Core
 * thread. */

#include "kube/client.h"

struct kube_watch;

struct kube_watch_options {
	const struct kube_resource *resource;
	const char *ns;		    /* NULL: all namespaces */
	const char *label_selector; /* NULL: none. An object that stops matching comes as deleted */
	const char *field_selector;
	unsigned page;	    /* 0: 500 objects */
	bool metadata_only; /* PartialObjectMetadata */
};

/* `object` is the watcher's, to be changed or taken at will (TAKE_PTR). kube_watch_free may be
 * called from any of them. */
struct kube_watch_handlers {
	/* A full list begins: what was known may be out of date. */
	void (*restart)(void *data);
	/* During the list: it exists, or (streamed lists) has changed since it was told.
	 * Afterwards: it was added or changed. */
	void (*apply)(void *data, struct json **object);
	/* The list is complete: whatever did not come since restart is gone. */
	void (*listed)(void *data, const char *resource_version);
	/* Last state of an object that was deleted; may come before a streamed list is complete. */
	void (*remove)(void *data, struct json **object);
	/* Something failed and is being repeated; for logs and readiness. Optional. */
	void (*failed)(void *data, const struct err *err);
};

struct kube_watch *kube_watch_new(struct kube_client *c, const struct kube_watch_options *options,
				  const struct kube_watch_handlers *handlers, void *data);
struct kube_watch *kube_watch_free(struct kube_watch *w);
/* Position that the stream has reached; "" before the first list. */
const char *kube_watch_position(const struct kube_watch *w);
/* Why there is no watch at the moment; NULL when all is well. */
const struct err *kube_watch_error(const struct kube_watch *w);
