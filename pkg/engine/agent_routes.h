#pragma once
/* The agents' part of the Ironic API as routes of a web server: GET /, GET /v1, GET /v1/lookup,
 * POST /v1/heartbeat/<uuid>, POST /v1/continue_inspection. */

#include "engine/engine.h"
#include "web/router.h"

struct agent_routes;

/* The table, for the tests; data is the agent_routes. */
extern const struct web_router agent_routes_router;

/* `base_url`: what clients are told. The row stays valid as long as the object. */
struct agent_routes *agent_routes_new(struct engine *e, struct loop *loop, const char *base_url);
struct agent_routes *agent_routes_free(struct agent_routes *r);
/* Ended by prefix NULL. */
void agent_routes_rows(struct agent_routes *r, struct web_route ret[3]);
/* Their handlers, for routes of a server that others share; data is the agent_routes. */
void agent_routes_handle(void *data, struct web_request *r);
void agent_routes_before_body(void *data, struct web_request *r);
