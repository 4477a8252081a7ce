#pragma once
/* How the engine calls an agent: one JSON request to its API. The real link goes over HTTPS and
 * trusts exactly the certificate of the agent's first heartbeat (agentapi/http_link.c); the
 * simulation brings its own. Core thread. */

#include "base/clock.h"
#include "base/err.h"
#include "json/json.h"

struct agent_link;
struct agent_call;

/* Borrowed during agent_request. */
struct agent_endpoint {
	const char *url;	 /* callback_url of the heartbeat, without a slash at the end */
	const char *certificate; /* PEM; NULL for plain HTTP */
	const char *token;
	const char *key; /* of its host, for the fence */
};

/* Exactly once unless cancelled. `answer` is borrowed; NULL when err is set. A refusal
 * (faultstring) comes as err with the HTTP status as its code: 409 means that the agent runs
 * another command. */
typedef void (*agent_done_fn)(void *data, const struct err *err, const struct json *answer);

struct agent_link_ops {
	/* method "GET" or "POST"; path "/v1/commands/?wait=false"; the token is added. body may be
	 * NULL. */
	struct agent_call *(*request)(struct agent_link *link,
				      const struct agent_endpoint *endpoint, const char *method,
				      const char *path, const struct json *body, usec_t timeout,
				      agent_done_fn done, void *data);
	void (*cancel)(struct agent_call *call);
	struct agent_link *(*free)(struct agent_link *link);
};

/* First member of each link. */
struct agent_link {
	const struct agent_link_ops *ops;
};
