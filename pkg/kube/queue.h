#pragma once
/* Work queue of a controller: which keys want a reconcile, and when. A key stands in it once; it
 * never runs twice at the same time; what is added while it runs, runs again afterwards. Of several
 * times the earliest wins, and a run forgets the time that was set: each run says anew when it
 * wants to come back. Failures back off per key, 5 ms × 2ⁿ to 5 min. Deterministic: first come,
 * first served. Core thread. */

#include <stdbool.h>

#include "base/clock.h"
#include "loop/loop.h"

struct kube_queue;

/* How a run ended. */
enum kube_verdict {
	KUBE_DONE,  /* the back-off of the key is forgotten; comes back after `again_in` if that is
		       not 0 */
	KUBE_RETRY, /* failed: comes back after the back-off; again_in is ignored */
	KUBE_DROP,  /* failed for good: not repeated, the back-off is forgotten */
};

/* Starts the run of a key, which ends with kube_queue_finish(), inside this call or later. `key` is
 * valid until then. */
typedef void (*kube_run_fn)(void *data, const char *key);

struct kube_queue_options {
	struct loop *loop;
	const char *name;   /* of the controller; static, for logs and metrics */
	unsigned max_runs;  /* at the same time; 0: 1 */
	usec_t backoff_min; /* 0: 5 ms */
	usec_t backoff_max; /* 0: 5 min */
	kube_run_fn run;
	void *data;
};

struct kube_queue_stats {
	size_t ready;	/* waiting for a run */
	size_t delayed; /* waiting for their time */
	size_t running;
	uint64_t added; /* since start */
	uint64_t retried;
	uint64_t runs;
	usec_t queue_time; /* sums over all runs: from ready to start, from start to finish */
	usec_t work_time;
};

/* Holds all back until kube_queue_start(). */
struct kube_queue *kube_queue_new(const struct kube_queue_options *options);
/* Runs under way are not waited for; they must not finish afterwards. */
struct kube_queue *kube_queue_free(struct kube_queue *q);
void kube_queue_start(struct kube_queue *q);
/* No new runs; those under way go on. `drained` is called once when none is left. */
void kube_queue_stop(struct kube_queue *q, loop_fn drained, void *data);

void kube_queue_add(struct kube_queue *q, const char *key);
void kube_queue_add_in(struct kube_queue *q, const char *key, usec_t delay);
void kube_queue_add_at(struct kube_queue *q, const char *key, usec_t at); /* monotonic */
void kube_queue_finish(struct kube_queue *q, const char *key, enum kube_verdict verdict,
		       usec_t again_in);
/* The object is gone: timers and back-off are forgotten. A run under way finishes as usual. */
void kube_queue_forget(struct kube_queue *q, const char *key);
/* Failures in a row. */
unsigned kube_queue_failures(const struct kube_queue *q, const char *key);
/* Monotonic time of the next run; 0: none is due. */
usec_t kube_queue_next(const struct kube_queue *q, const char *key);
struct kube_queue_stats kube_queue_stats(const struct kube_queue *q);
/* Sets the metrics that depend on the time: how long what is under way has run. The others are
 * counted when they happen. */
void kube_queue_measure(const struct kube_queue *q);
