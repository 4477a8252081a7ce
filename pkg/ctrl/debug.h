#pragma once
/* What the engine is doing, for people and ingotctl, as JSON:
 *
 *   GET /hosts                  {"version": …, "hosts": [one row each], "strangers": […]}
 *   GET /hosts/NAMESPACE/NAME   all that is known of one host, and its progress made finer
 *
 * Read only and without secrets, but not for everybody: it stands on a Unix socket that its owner
 * alone may open, and below /debug beside the metrics for those whom the cluster lets get that
 * path. docs/ctl.md names the members. Core thread. */

#include "loop/loop.h"
#include "prov/prov.h"
#include "web/router.h"
#include "json/json.h"

struct debug_routes;

/* The table, for the tests; data is the debug_routes. */
extern const struct web_router debug_routes_router;

/* next: monotonic time at which the host's controller looks again, 0: not set; may be NULL. All
 * borrowed. */
struct debug_routes *debug_routes_new(struct provisioner *p, struct loop *loop,
				      usec_t (*next)(void *data, const char *key), void *data);
struct debug_routes *debug_routes_free(struct debug_routes *d);
/* For web_server_options.routes. */
struct web_route debug_routes_row(struct debug_routes *d);
/* The same for a request that came in elsewhere; path: "/hosts" and what is below. */
void debug_routes_answer(struct debug_routes *d, struct web_request *r, const char *path);
/* 503: there is no engine here, because another instance leads (or, NULL, not yet). */
void debug_refuse_standby(struct web_request *r, const char *leader);
