/* From requests of agents to the engine's functions and back. Runs on the core loop; the web thread
 * only carries. Query strings hold MAC addresses and tokens and are never logged. */

#include "engine/agent_routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentapi/messages.h"
#include "base/mem.h"
#include "engine/limit.h"
#include "metrics/metrics.h"

/* Per address. An agent that retries as fast as the protocol has it makes less than one request a
 * second. */
enum { BURST = 40 };
#define INTERVAL (500 * USEC_PER_MSEC)

struct agent_routes {
	struct engine *engine;
	struct loop *loop;
	char *base_url;
	struct limiter *limiter;
};

/* Agents take the lowest and highest version that we speak from these. */
#define VERSION_HEADERS                                                                            \
	"X-OpenStack-Ironic-API-Minimum-Version: 1.1",                                             \
		"X-OpenStack-Ironic-API-Maximum-Version: 1.68",                                    \
		"X-OpenStack-Ironic-API-Version: 1.68"

/* `allow`: the header line of a 405, else NULL. */
static void reply_with(struct web_request *r, int status, const char *allow,
		       const struct json *body)
{
	const char *const headers[] = { VERSION_HEADERS, allow, NULL };
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	struct web_reply_head head = { .status = status,
				       .content_type = body ? "application/json" : NULL,
				       .headers = headers };
	if (body)
		json_print(body, &text);
	char code[12];
	snprintf(code, sizeof(code), "%d", status);
	metric_add(METRIC_AGENT_REQUESTS, 1, code);
	web_reply(r, &head, text.data, text.len);
}

static void reply(void *data, int status, const struct json *body)
{
	reply_with(data, status, NULL, body);
}

static void fault(struct web_request *r, int status, const char *text)
{
	_cleanup_(json_freep) struct json *body = agent_fault(status, text);
	reply(r, status, body);
}

static int parse_body(struct web_request *r, struct json **ret)
{
	size_t len;
	struct err err = { 0 };
	const char *body = web_body(r, &len);
	/* Nesting depth 25 is the reference server's limit for these bodies. */
	static const struct json_limits limits = { .depth = 25, .values = 500000 };
	if (json_parse_limited(body, len, &limits, ret, &err) == 0)
		return 0;
	fault(r, 400, err.text);
	return -1;
}

static void root(void *data, struct web_request *r, const struct web_match *match)
{
	const struct agent_routes *a = data;
	(void)match;
	_cleanup_(json_freep) struct json *body = agent_root_answer(a->base_url);
	reply(r, 200, body);
}

static void v1(void *data, struct web_request *r, const struct web_match *match)
{
	const struct agent_routes *a = data;
	(void)match;
	_cleanup_(json_freep) struct json *body = agent_v1_answer(a->base_url);
	reply(r, 200, body);
}

static void lookup(void *data, struct web_request *r, const struct web_match *match)
{
	struct agent_routes *a = data;
	(void)match;
	_cleanup_(freep) char *addresses = web_query_param(r, "addresses");
	_cleanup_(freep) char *uuid = web_query_param(r, "node_uuid");
	if (str_empty(addresses) && str_empty(uuid)) {
		fault(r, 400, "lookup needs addresses or node_uuid");
		return;
	}
	/* Ours: an agent that a boot medium told its node's name, and that has just started. */
	_cleanup_(freep) char *first = web_query_param(r, "first");
	(first ? engine_agent_first_lookup : engine_agent_lookup)(
		a->engine, str_or(addresses, ""), uuid, web_peer_address(r), reply, r);
}

static void heartbeat(void *data, struct web_request *r, const struct web_match *match)
{
	struct agent_routes *a = data;
	_cleanup_(json_freep) struct json *body = NULL;
	_cleanup_(freep) char *uuid = web_param(&match->params, "uuid");
	uuid[strcspn(uuid, "/")] = '\0';
	if (parse_body(r, &body) == 0)
		engine_agent_heartbeat(a->engine, uuid, body, web_peer_address(r), reply, r);
}

static void inspection(void *data, struct web_request *r, const struct web_match *match)
{
	struct agent_routes *a = data;
	struct json *body = NULL;
	(void)match;
	if (parse_body(r, &body) == 0)
		engine_agent_inspection(a->engine, body, web_peer_address(r), reply, r);
}

/* GET alone: a lookup gives the token out, once. */
static const struct web_row rows[] = {
	{ WEB_GET, "/", root, 0, NULL },
	{ WEB_GET, "/v1[/]", v1, 0, NULL },
	{ WEB_GET, "/v1/lookup[/]", lookup, 0, NULL },
	{ WEB_POST, "/v1/heartbeat/{uuid...}", heartbeat, 0, NULL },
	{ WEB_POST, "/v1/continue_inspection[/]", inspection, 0, NULL },
	{ 0 },
};

/* Agents take 503 for a passing trouble in every one of their requests, 429 in none. */
static bool may_ask(struct agent_routes *a, struct web_request *r)
{
	if (limiter_take(a->limiter, web_peer_address(r), loop_now(a->loop)))
		return true;
	fault(r, 503, "too many requests from this address, ask again later");
	return false;
}

static bool begin(void *data, struct web_request *r)
{
	struct agent_routes *a = data;
	if (!may_ask(a, r))
		return false;
	web_known_as(r, engine_agent_at(a->engine, web_peer_address(r)));
	return true;
}

static void refuse(void *data, struct web_request *r, int status, const char *allow)
{
	_cleanup_(json_freep) struct json *body = agent_fault(
		status, status == 405 ? "method not allowed" : "not found");
	(void)data;
	reply_with(r, status, allow, body);
}

const struct web_router agent_routes_router = { .rows = rows, .begin = begin, .refuse = refuse };

void agent_routes_handle(void *data, struct web_request *r)
{
	web_router_run(&agent_routes_router, data, r);
}

struct agent_routes *agent_routes_new(struct engine *e, struct loop *loop, const char *base_url)
{
	struct agent_routes *a = xcalloc(1, sizeof(*a));
	struct siphash_key key;
	loop_random(loop, &key, sizeof(key));
	*a = (struct agent_routes){ e, loop, xstrdup(base_url), limiter_new(BURST, INTERVAL, key) };
	return a;
}

struct agent_routes *agent_routes_free(struct agent_routes *a)
{
	if (!a)
		return NULL;
	limiter_free(a->limiter);
	free(a->base_url);
	free(a);
	return NULL;
}

/* An inventory needs no token, for the protocol has none; but with our DHCP it is known where hosts
 * are that may post one. */
void agent_routes_before_body(void *data, struct web_request *r)
{
	struct agent_routes *a = data;
	const char *source = web_peer_address(r);
	if (!may_ask(a, r))
		return;
	int status = engine_agent_may_post(a->engine, source);
	if (status)
		fault(r, status, "no host at this address waits for inspection data");
	else
		web_take_body(r, engine_agent_at(a->engine, source));
}

void agent_routes_rows(struct agent_routes *a, struct web_route ret[3])
{
	ret[0] = (struct web_route){ .prefix = "/v1/continue_inspection",
				     .loop = a->loop,
				     .handler = agent_routes_handle,
				     .data = a,
				     .max_body_bytes = AGENT_BODY_MAX,
				     .before_body = agent_routes_before_body };
	ret[1] = (struct web_route){ .prefix = "/",
				     .loop = a->loop,
				     .handler = agent_routes_handle,
				     .data = a,
				     .max_body_bytes = AGENT_MESSAGE_MAX };
	ret[2] = (struct web_route){ .prefix = NULL };
}
