#pragma once
/* The HTTP API of the agent (ironic-python-agent's): commands are taken, run one at a time on a
 * job's thread, listed for as long as the agent lives. All calls on the loop's thread.
 *
 * Beyond the protocol: GET /v1/ingot/progress?agent_token=T answers
 *   {"command": "execute_deploy_step" | null, "phase": "write", "received_bytes": n,
 *    "total_bytes": n | null, "written_bytes": n, "elapsed_s": n, "bytes_per_s": n,
 *    "attempt": n, "attempts": n, "last_error": "…" | null}
 * with the progress of the running command; the rate counts received (or, when erasing, written)
 * bytes since its start. last_error: the image cannot be read at the moment. */

#include "agent/run.h"
#include "loop/loop.h"
#include "web/router.h"

struct agent_api;

/* The table, for the tests; data is the agent_api. */
extern const struct web_router agent_api_router;

struct agent_api_options {
	struct loop *loop;
	struct agent_env *env;		     /* borrowed; the running command's while one runs */
	const struct agent_effects *effects; /* borrowed */
	loop_fn finished;		     /* an asynchronous command has ended */
	void *data;
};

struct agent_api_listener {
	struct web *web;
	const char *address;	/* NULL: all */
	uint16_t port;		/* 0: any */
	const char *cert, *key; /* NULL: plain HTTP */
};

struct agent_api *agent_api_new(const struct agent_api_options *options);
/* Not while a command runs. */
struct agent_api *agent_api_free(struct agent_api *a);
/* Calls without this token are refused; NULL refuses all. */
void agent_api_set_token(struct agent_api *a, const char *token);
int agent_api_listen(struct agent_api *a, const struct agent_api_listener *l, struct err *err);
void agent_api_close(struct agent_api *a); /* stops listening */
uint16_t agent_api_port(const struct agent_api *a);
bool agent_api_busy(const struct agent_api *a);
