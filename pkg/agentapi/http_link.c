/* Requests to agents: JSON over HTTPS, the token in the query string as the protocol has it (so
 * URLs of agents are never logged; the HTTP client's errors leave queries out). A refusal comes
 * back as an error with the agent's own words. */

#include "agentapi/http_link.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { ANSWER_MAX = 8 << 20 }; /* a command list carries back the steps with their config drives */

struct http_link {
	struct agent_link base;
	struct http_client *client;
};

struct agent_call {
	struct http_op *op;
	struct http_tls tls;
	char *certificate;
	agent_done_fn done;
	void *data;
	struct loop *loop;
};

static void call_free(struct agent_call *c)
{
	free(c->certificate);
	free(c);
}

/* {"faultstring": "…"} or whatever the agent gave instead. */
static void refusal(int status, const struct json *answer, struct err *err)
{
	const char *text = json_get_string(answer, "faultstring");
	enum err_kind kind = status == 409 || status == 503   ? ERR_BUSY
			     : status == 401 || status == 403 ? ERR_DENIED
			     : status == 404		      ? ERR_NOT_FOUND
			     : status >= 500		      ? ERR_PROTOCOL
							      : ERR_INVALID;
	err_set_code(err, kind, status, "the agent answered %d%s%s", status, text ? ": " : "",
		     text ? text : "");
}

static void on_done(void *data, const struct err *err, const struct http_response *response,
		    const char *body, size_t len)
{
	struct agent_call *c = data;
	struct err own = { 0 };
	_cleanup_(json_freep) struct json *answer = NULL;
	if (!err && json_parse(body, len, &answer, &own) < 0 && response->status < 300) {
		err_wrap(&own, "the agent's answer is not JSON");
		err = &own;
	} else if (!err && response->status >= 300) {
		refusal(response->status, answer, &own);
		err = &own;
	}
	agent_done_fn done = c->done;
	void *done_data = c->data;
	call_free(c);
	done(done_data, err, err ? NULL : answer);
}

static const struct http_handlers handlers = { .done = on_done };

static char *url_with_token(const struct agent_endpoint *e, const char *path)
{
	struct strbuf url = { 0 };
	strbuf_addf(&url, "%s%s%cagent_token=", e->url, path, strchr(path, '?') ? '&' : '?');
	strbuf_add_urlencoded(&url, e->token);
	return strbuf_take(&url, NULL);
}

static struct agent_call *request(struct agent_link *link, const struct agent_endpoint *endpoint,
				  const char *method, const char *path, const struct json *body,
				  usec_t timeout, agent_done_fn done, void *data)
{
	struct http_link *l = container_of(link, struct http_link, base);
	struct agent_call *c = xcalloc(1, sizeof(*c));
	_cleanup_(secret_freep) char *url = url_with_token(endpoint, path);
	_cleanup_(secret_freep) char *text = body ? json_to_string(body) : NULL;
	c->certificate = xstrdup(endpoint->certificate);
	c->tls.pinned = c->certificate;
	c->done = done;
	c->data = data;
	struct http_request r = {
		.method = method,
		.url = url,
		.content_type = text ? "application/json" : NULL,
		.body = text,
		.body_len = text ? strlen(text) : 0,
		.tls = c->certificate ? &c->tls : NULL,
		.connect_timeout = 10 * USEC_PER_SEC,
		.timeout = timeout,
		.max_body_bytes = ANSWER_MAX,
		.what = "call to the agent",
		.key = endpoint->key,
	};
	struct err err = { 0 };
	c->op = http_start(l->client, &r, &handlers, c, &err);
	if (!c->op) {
		/* Only a malformed URL: it was checked when it came with the heartbeat. */
		call_free(c);
		return NULL;
	}
	return c;
}

static void cancel(struct agent_call *c)
{
	http_cancel(c->op);
	call_free(c);
}

static struct agent_link *free_link(struct agent_link *link)
{
	free(container_of(link, struct http_link, base));
	return NULL;
}

struct agent_link *agent_http_link_new(struct http_client *client)
{
	static const struct agent_link_ops ops = { request, cancel, free_link };
	struct http_link *l = xcalloc(1, sizeof(*l));
	*l = (struct http_link){ .base.ops = &ops, .client = client };
	return &l->base;
}
