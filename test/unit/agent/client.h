#pragma once
/* A blocking call for tests that share their loop with the server under test. Header only. */

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "http/http.h"
#include "json/json.h"

struct client {
	struct loop *loop;
	struct http_client *http;
	struct http_tls tls;
	int status;
	struct json *answer; /* of the last call */
	char *text;
	bool done;
	struct err err;
};

static inline void client_on_done(void *data, const struct err *err, const struct http_response *r,
				  const char *body, size_t len)
{
	struct client *c = data;
	c->done = true;
	c->status = err ? -1 : r->status;
	if (err)
		c->err = *err;
	free(c->text);
	c->text = xstrndup(body ? body : "", len);
	c->answer = json_free(c->answer);
	if (len > 0)
		(void)json_parse(body, len, &c->answer, NULL);
	loop_stop(c->loop);
}

static inline void client_begin(struct client *c, const char *method, const char *url,
				const char *body)
{
	static const struct http_handlers handlers = { .done = client_on_done };
	const struct http_request request = {
		.method = method,
		.url = url,
		.body = body,
		.body_len = body ? strlen(body) : 0,
		.content_type = body ? "application/json" : NULL,
		.tls = &c->tls,
		.max_body_bytes = 64 << 20,
	};
	c->done = false;
	if (!http_start(c->http, &request, &handlers, c, &c->err))
		abort();
}

/* The status; the answer is in c->answer. */
static inline int client_call(struct client *c, const char *method, const char *url,
			      const char *body)
{
	client_begin(c, method, url, body);
	while (!c->done)
		loop_run(c->loop);
	return c->status;
}

static inline void client_open(struct client *c, struct loop *loop)
{
	const struct http_client_options options = { .user_agent = "test",
						     .max_host_connections = 8 };
	*c = (struct client){ .loop = loop };
	if (http_client_new(loop, &options, &c->http, &c->err) < 0)
		abort();
}

static inline void client_close(struct client *c)
{
	http_client_free(c->http);
	json_free(c->answer);
	free(c->text);
}
