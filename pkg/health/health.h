#pragma once
/* Whether this process is alive and ready, told by HTTP in controller-runtime's way, and its
 * metrics. All of it is answered on a thread of its own, so that a loop that hangs does not take
 * the answer with it. That thread asks the loops that it watches for a sign of life, by messages,
 * every two seconds; it reads no other thread's state.
 *
 *   /healthz /readyz            "ok", or 500 and which check failed; ?verbose, ?exclude=CHECK
 *   /healthz/CHECK              one of them
 *   /metrics                    text format 0.0.4
 *   /debug/hosts ...            whatever `debug` answers; only where there is a reviewer
 *
 * All functions: the thread that made it, on whose loop the questions about tokens run. */

#include "kube/review.h"
#include "loop/loop.h"
#include "web/web.h"

/* HEALTH_NOTE: what the probe says is shown, and is not a failure. */
enum { HEALTH_LIVE = 1, HEALTH_READY = 2, HEALTH_NOTE = 4 };

/* How long a loop may be silent before it counts as hung. Long enough for the slowest honest
 * callback on a loaded machine. */
#define HEALTH_SILENCE (20 * USEC_PER_SEC)

struct health;

struct health_check {
	const char *name; /* in paths; static */
	unsigned kinds;	  /* HEALTH_LIVE, HEALTH_READY, HEALTH_NOTE */
	struct loop *loop;
	/* On that loop: what is wrong, static; NULL: nothing. No probe: that the loop runs is all
	 * that is asked. */
	const char *(*probe)(void *data);
	void *data;
};

struct health_options {
	const struct health_check *checks; /* ended by name NULL; copied, at most 8 */
	usec_t silence;			   /* 0: HEALTH_SILENCE */
	/* Metrics: on that loop before each page, to set those that depend on the time; may be
	 * NULL. */
	struct loop *loop;
	void (*measure)(void *data);
	void *data;
	/* Beside the metrics: answers the request, once, on that loop. `path` is what stands behind
	 * "/debug": "/hosts" or what is below. Never asked without a reviewer. NULL: not served. */
	void (*debug)(void *data, struct web_request *r, const char *path);
	struct kube_reviewer *reviewer; /* of that loop, borrowed; NULL: anyone may read the
					   metrics */
};

/* The thread; it does not listen yet. */
int health_new(const struct health_options *options, struct health **ret, struct err *err);
/* Routes for web servers, ended by prefix NULL; valid as long as the health. */
const struct web_route *health_routes(const struct health *h);
const struct web_route *health_metrics_routes(const struct health *h);
/* After its web servers were closed, and before the loops that it watches are freed: ends the
 * thread and answers what it was still asked. The reviewer and those loops must still be there; it
 * runs what is posted to `loop`. */
void health_stop(struct health *h);
/* After the watched loops have ended. */
struct health *health_free(struct health *h);
