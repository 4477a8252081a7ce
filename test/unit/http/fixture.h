#pragma once
/* What the HTTP tests share: a loop, a client, one server or more, and a request whose whole story
 * is kept. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/http.h"
#include "server.h"

struct fixture {
	struct loop *loop;
	struct http_client *client;
	struct server *server, *other;
};

/* What a request did. */
struct story {
	struct fixture *f;
	struct http_op *op;
	unsigned heads, pieces, dones;
	int status;
	struct err err;
	bool failed;
	char content_type[64], content_range[64], location[128], etag[64];
	int64_t content_length, retry_after_s;
	bool accept_ranges;
	struct strbuf body, headers;
	bool keep_running; /* do not stop the loop when done */
};

static inline int fixture_setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct err err = { 0 };
	if (loop_new(&f->loop, &err) < 0 ||
	    http_client_new(f->loop, &(struct http_client_options){ .user_agent = "ingot/test" },
			    &f->client, &err) < 0)
		fail_msg("%s", err.text);
	*state = f;
	return 0;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	http_client_free(f->client);
	if (f->server)
		server_stop(f->server);
	if (f->other)
		server_stop(f->other);
	loop_free(f->loop);
	free(f);
	return 0;
}

static inline void story_header(void *data, const char *name, const char *value)
{
	struct story *s = data;
	strbuf_addf(&s->headers, "%s=%s\n", name, value);
}

static inline int story_head(void *data, const struct http_response *r)
{
	struct story *s = data;
	assert_int_equal(s->pieces, 0);
	s->heads++;
	s->status = r->status;
	return 0;
}

static inline int story_body(void *data, const char *bytes, size_t len)
{
	struct story *s = data;
	s->pieces++;
	strbuf_add(&s->body, bytes, len);
	return 0;
}

static inline void story_done(void *data, const struct err *err, const struct http_response *r,
			      const char *body, size_t len)
{
	struct story *s = data;
	assert_non_null(s->op); /* never before http_start() has returned */
	s->dones++;
	s->failed = err != NULL;
	if (err)
		s->err = *err;
	s->status = r->status;
	s->content_length = r->content_length;
	s->retry_after_s = r->retry_after_s;
	s->accept_ranges = r->accept_ranges;
	snprintf(s->content_type, sizeof(s->content_type), "%s", r->content_type);
	snprintf(s->content_range, sizeof(s->content_range), "%s", r->content_range);
	snprintf(s->location, sizeof(s->location), "%s", r->location);
	snprintf(s->etag, sizeof(s->etag), "%s", r->etag);
	strbuf_add(&s->body, body, len);
	s->op = NULL;
	if (!s->keep_running)
		loop_post(s->f->loop, (loop_fn)loop_stop, s->f->loop);
}

static const struct http_handlers story_collect = { .head = story_head,
						    .done = story_done,
						    .header = story_header };
static const struct http_handlers story_stream = {
	.head = story_head, .body = story_body, .done = story_done, .header = story_header
};

static inline void story_release(struct story *s)
{
	strbuf_done(&s->body);
	strbuf_done(&s->headers);
}

static inline void story_start(struct story *s, struct fixture *f, const struct http_request *r,
			       const struct http_handlers *h)
{
	struct err err = { 0 };
	s->f = f;
	s->op = http_start(f->client, r, h, s, &err);
	if (!s->op)
		fail_msg("%s", err.text);
	assert_int_equal(s->dones, 0);
}

/* The path on server, as a URL; to be freed. */
static inline char *url_of(const struct server *s, const char *path)
{
	return xasprintf("%s://127.0.0.1:%u%s", s->tls ? "https" : "http", s->port, path);
}

/* Starts request `r` for the URL, which is freed, and runs it to its end. */
static inline struct story ask_url(struct fixture *f, char *url, struct http_request r,
				   const struct http_handlers *h)
{
	struct story s = { 0 };
	r.url = url;
	story_start(&s, f, &r, h);
	free(url);
	loop_run(f->loop);
	assert_int_equal(s.dones, 1);
	strbuf_adds(&s.body, "");
	strbuf_adds(&s.headers, "");
	return s;
}

/* The same for a path of the server. */
static inline struct story ask(struct fixture *f, const char *path, struct http_request r,
			       const struct http_handlers *h)
{
	return ask_url(f, url_of(f->server, path), r, h);
}
