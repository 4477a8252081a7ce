#pragma once
/* A controller: watches the objects of one kind and what they depend on, and reconciles each of
 * them that something happened to. What is particular to a kind is a definition; what is here is
 * the same for all: queue, facts, writes in their order, back-offs, the end.
 *
 * A reconcile sees the object as it was when it began. At most one is under way for an object. It
 * decides once, from all facts; a write that meets a conflict ends it, and the next one decides
 * again from fresh facts. Core thread. */

#include "ctrl/shell/facts.h"
#include "ctrl/shell/outcome.h"

struct controller;

/* A kind that is watched. */
struct controller_cache {
	const struct kube_resource *resource; /* NULL: ends the rows */
	struct kube_informer *informer;	      /* taken, not started */
	const char *waits;		      /* said as long as it has no list; static */
	/* Emits the keys of the objects that this one concerns; NULL: it kicks none. */
	void (*keys)(void *data, const struct kube_object *o, kube_emit_fn emit, void *arg);
	/* Called with each update. False: it concerns none. NULL: each does. */
	bool (*changed)(void *data, struct kube_object *before, struct kube_object *now);
};

enum { CONTROLLER_CACHES_MAX = 6 };

struct controller_def {
	const char *name; /* of the queue, in metrics */
	const char *noun; /* of an object, in the log */
	enum metric_id errors;
	unsigned concurrency;
	usec_t backoff_max; /* of failed reconciles */
	/* The first row is the controller's own kind. */
	struct controller_cache caches[CONTROLLER_CACHES_MAX + 1];
	struct want wants[FACTS_MAX + 1];

	/* The object as a struct, bound once a reconcile; NULL and err when it cannot be, which is
	 * the outcome then. */
	void *(*bind)(const struct json *object, struct err *err);
	void (*unbind)(void *bound);
	/* Names of other objects, by row of `wants`; all NULL before. Borrowed. */
	void (*names)(const void *bound, const char *names[FACTS_MAX]);
	/* What a NEXT_BACKOFF holds for: as long as this text stays the same. A new string. */
	char *(*signature)(void *data, const struct facts *facts);
	/* Facts in, outcome out; no request of its own. */
	void (*reconcile)(void *data, const struct facts *facts, struct outcome *ret);
	/* The outcome's writes are made: Events, history, the log. */
	void (*stored)(void *data, const struct facts *facts, const struct outcome *outcome);
	/* There is no such object any more. */
	void (*removed)(void *data, const char *key);
	/* Nothing is to be remembered of it; also after NEXT_GONE. */
	void (*forget)(void *data, const char *key);
	/* All caches are filled, once; reconciles begin when it returns. */
	void (*synced)(void *data);
	void *data;
};

struct controller *controller_new(struct loop *loop, struct kube_client *client,
				  const struct controller_def *def);
struct controller *controller_free(struct controller *c);
void controller_start(struct controller *c);
/* What is waited for before the first reconcile (static text); NULL: nothing. */
const char *controller_waits(const struct controller *c);
void controller_kick(struct controller *c, const char *key);
/* Begins no reconcile any more. Those that have decided make their writes; what has decided nothing
 * yet is left to the next process. `drained` is called once when nothing is under way. */
void controller_stop(struct controller *c, loop_fn drained, void *data);
/* Sets the metrics of its queue that depend on the time. */
void controller_measure(const struct controller *c);
/* When the object is looked at next, unless something happens before; monotonic, 0: not set. */
usec_t controller_next(const struct controller *c, const char *key);
