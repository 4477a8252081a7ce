#pragma once
/* What a reconcile says: the writes to be made, in their order, what people and metrics are told
 * once these are made, and when to come back. A reconcile has no other effect on the API. Pure;
 * core thread. */

#include "base/clock.h"
#include "base/err.h"
#include "kube/client.h"
#include "metrics/metrics.h"
#include "json/json.h"

enum write_verb { WRITE_CREATE, WRITE_UPDATE, WRITE_MERGE_PATCH, WRITE_DELETE };

struct write {
	enum write_verb verb;
	const struct kube_resource *resource;
	const char *subresource; /* static; NULL: the object itself */
	char *ns, *name;	 /* of the object; a creation and an update have them in the body */
	struct json *body; /* NULL for a deletion. metadata.resourceVersion is a precondition */
	char *uid;	   /* precondition of a deletion; NULL: none */
	bool may_be_gone;  /* no such object: that is what was to be reached, or as good */
};

struct outcome_event {
	bool warning;
	const char *reason; /* static */
	char *message;
};

/* Something to be counted when the writes are made: what is decided anew after a conflict must not
 * count twice. Of a metric that tells of hosts the first two labels are left out. */
struct outcome_measure {
	enum metric_id metric;
	double value;
	const char *labels[2]; /* static; NULL: no more */
};

enum { OUTCOME_MEASURES_MAX = 8 };

enum next_kind {
	NEXT_WAIT,    /* come back after the delay (0: only when something happens) */
	NEXT_AGAIN,   /* at once */
	NEXT_FULL,    /* no capacity: in a minute or two */
	NEXT_BACKOFF, /* after the delay, which nothing cuts short but a change of the object, or of
			 what it names */
	NEXT_RETRY,   /* a passing failure: with the queue's back-off; see err */
	NEXT_GONE,    /* the last finalizer goes: forget the object */
};

struct next {
	enum next_kind kind;
	usec_t delay;
};

struct outcome {
	struct write *writes; /* in this order */
	size_t write_count;
	struct outcome_event *events;
	size_t event_count;
	struct outcome_measure measures[OUTCOME_MEASURES_MAX];
	size_t measure_count;
	const char *before, *after; /* names of the object's state, static; NULL: it has none */
	struct next next;
	struct err err; /* NEXT_RETRY */
};

/* Appends the row, of which it takes the pointers that are not static. */
void outcome_write(struct outcome *o, const struct write *row);
/* Takes message. */
void outcome_event(struct outcome *o, bool warning, const char *reason, char *message);
/* More than OUTCOME_MEASURES_MAX are dropped. */
void outcome_measure(struct outcome *o, enum metric_id metric, double value, const char *first,
		     const char *second);
/* Counts its measures, for the object of that name. any thread */
void outcome_count(const struct outcome *o, const char *ns, const char *name);
void outcome_done(struct outcome *o);
