#pragma once
/* A scripted API server: a kube_transport whose calls wait until the test answers them, on a
 * virtual loop. A test reads as a conversation: fake_expect() runs the loop until that request
 * arrives, fake_reply() and the like answer it. A transport call that is never answered hangs, as
 * on a half-open connection. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/client.h"

#define FAKE_WALL (UINT64_C(1767225600) * USEC_PER_SEC) /* 2026-01-01T00:00:00Z */

struct fake {
	struct kube_transport base;
	struct loop *loop;
	struct kube_client *client;
	struct list arrived; /* not yet looked at by the test */
	struct list open;    /* looked at, not ended */
	unsigned started, cancelled;
	/* Instead of a conversation: answers each call, from a callback of its own. */
	void (*serve)(struct fake *f, struct kube_call *call);
	usec_t latency;
	void *data;
};

struct kube_call {
	struct list node;
	struct fake *fake;
	struct kube_http_handlers handlers;
	void *data;
	char *method, *path, *content_type, *accept, *body;
	bool stream, headed;
	usec_t timeout;
	struct timer timer;
	void *note; /* of a serving test */
};

static inline void call_free(struct kube_call *c)
{
	timer_stop(&c->timer);
	list_unlink(&c->node);
	free(c->method);
	free(c->path);
	free(c->content_type);
	free(c->accept);
	free(c->body);
	free(c);
}

static inline void fake_on_timer(void *data)
{
	struct kube_call *c = data;
	list_unlink(&c->node);
	list_append(&c->fake->open, &c->node);
	c->fake->serve(c->fake, c);
}

static inline struct kube_call *fake_start(struct kube_transport *t,
					   const struct kube_http_request *r,
					   const struct kube_http_handlers *handlers, void *data)
{
	struct fake *f = (struct fake *)t;
	struct kube_call *c = xcalloc(1, sizeof(*c));
	c->fake = f;
	c->handlers = *handlers;
	c->data = data;
	c->method = xstrdup(r->method);
	c->path = xstrdup(r->path);
	c->content_type = xstrdup(r->content_type);
	c->accept = xstrdup(r->accept);
	c->body = xstrndup(r->body ? r->body : "", r->body_len);
	c->stream = r->stream;
	c->timeout = r->timeout;
	timer_init(&c->timer, f->loop, "fake", fake_on_timer, c);
	list_append(&f->arrived, &c->node);
	f->started++;
	if (f->serve)
		timer_set_in(&c->timer, f->latency);
	else
		loop_stop(f->loop);
	return c;
}

static inline void fake_cancel(struct kube_call *c)
{
	c->fake->cancelled++;
	call_free(c);
}

static const struct kube_transport_ops fake_ops = { .start = fake_start, .cancel = fake_cancel };

static inline struct fake *fake_new(uint64_t seed, const struct kube_client_options *o)
{
	struct fake *f = xcalloc(1, sizeof(*f));
	f->base.ops = &fake_ops;
	f->loop = loop_new_virtual(seed, FAKE_WALL);
	list_init(&f->arrived);
	list_init(&f->open);
	struct kube_client_options options = o ? *o : (struct kube_client_options){ 0 };
	options.loop = f->loop;
	options.transport = &f->base;
	f->client = kube_client_new(&options);
	return f;
}

static inline void fake_free(struct fake *f)
{
	kube_client_free(f->client);
	assert_true(list_empty(&f->arrived));
	assert_true(list_empty(&f->open));
	loop_free(f->loop);
	free(f);
}

/* Lets virtual time pass; requests that come meanwhile wait in `arrived`. */
static inline void fake_sleep(struct fake *f, usec_t span)
{
	usec_t end = loop_now(f->loop) + span;
	while (loop_now(f->loop) < end)
		loop_run_until(f->loop, end);
}

/* The next request, which must begin so. It must come within 10 minutes. */
static inline struct kube_call *fake_expect(struct fake *f, const char *method, const char *path)
{
	usec_t end = loop_now(f->loop) + 10 * USEC_PER_MIN;
	while (list_empty(&f->arrived) && loop_now(f->loop) < end)
		loop_run_until(f->loop, end);
	if (list_empty(&f->arrived))
		fail_msg("%s %s did not come", method, path);
	struct kube_call *c = list_entry(list_take_first(&f->arrived), struct kube_call, node);
	list_append(&f->open, &c->node);
	if (!streq(c->method, method) || !str_has_prefix(c->path, path))
		fail_msg("%s %s came instead of %s %s", c->method, c->path, method, path);
	return c;
}

static inline void fake_expect_nothing(struct fake *f, usec_t span)
{
	fake_sleep(f, span);
	if (!list_empty(&f->arrived))
		fail_msg("a request came: %s",
			 list_entry(f->arrived.next, struct kube_call, node)->path);
}

/* --- answers: each but fake_send() ends the call
 * ---------------------------------------------------- */

static inline void fake_head(struct kube_call *c, int status, int64_t retry_after_s)
{
	c->headed = true;
	if (c->handlers.head)
		c->handlers.head(c->data, status, retry_after_s);
}

static inline void fake_reply_after(struct kube_call *c, int status, int64_t retry_after_s,
				    const char *body)
{
	struct kube_http_handlers h = c->handlers;
	void *data = c->data;
	bool stream = c->stream;
	unsigned cancelled = c->fake->cancelled;
	struct fake *f = c->fake;
	fake_head(c, status, retry_after_s);
	if (stream && body[0])
		h.body(data, body, strlen(body));
	if (f->cancelled != cancelled)
		return;
	call_free(c);
	h.done(data, NULL, status, stream ? "" : body, stream ? 0 : strlen(body));
}

static inline void fake_reply(struct kube_call *c, int status, const char *body)
{
	fake_reply_after(c, status, -1, body);
}

static inline void fake_replyf(struct kube_call *c, int status, const char *fmt, ...)
	_printf_(3, 4);
static inline void fake_replyf(struct kube_call *c, int status, const char *fmt, ...)
{
	char *body = NULL;
	va_list ap;
	va_start(ap, fmt);
	if (vasprintf(&body, fmt, ap) < 0)
		abort();
	va_end(ap);
	fake_reply(c, status, body);
	free(body);
}

static inline void fake_fail(struct kube_call *c, enum err_kind kind, const char *text)
{
	struct kube_http_handlers h = c->handlers;
	void *data = c->data;
	struct err err;
	err_set(&err, kind, "%s", text);
	call_free(c);
	h.done(data, &err, 0, "", 0);
}

/* Bytes of a stream. False when that made the client end the call. */
static inline bool fake_send(struct kube_call *c, const char *bytes, size_t len)
{
	struct fake *f = c->fake;
	unsigned cancelled = f->cancelled;
	if (!c->headed)
		fake_head(c, 200, -1);
	c->handlers.body(c->data, bytes, len);
	return f->cancelled == cancelled;
}

static inline bool fake_sendf(struct kube_call *c, const char *fmt, ...) _printf_(2, 3);
static inline bool fake_sendf(struct kube_call *c, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		abort();
	bool open = fake_send(c, text, (size_t)n);
	free(text);
	return open;
}

static inline void fake_end(struct kube_call *c)
{
	struct kube_http_handlers h = c->handlers;
	void *data = c->data;
	if (!c->headed)
		fake_head(c, 200, -1);
	call_free(c);
	h.done(data, NULL, 200, "", 0);
}

static inline void fake_refuse(struct kube_call *c, int code, const char *reason)
{
	char *body = xasprintf("{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\","
			       "\"reason\":\"%s\",\"code\":%d,\"message\":\"server says %s\"}",
			       reason, code, reason);
	fake_reply(c, code, body);
	free(body);
}

/* --- what a call came to
 * ------------------------------------------------------------------------------ */

struct outcome {
	unsigned times;
	bool failed;
	struct err err;
	struct json *answer;
	struct loop *stop; /* stopped when done, if set */
};

static inline void outcome_done(void *data, const struct err *err, struct json **answer)
{
	struct outcome *o = data;
	o->times++;
	o->failed = err != NULL;
	o->err = err ? *err : (struct err){ 0 };
	json_free(o->answer);
	o->answer = TAKE_PTR(*answer);
}

static inline void outcome_release(struct outcome *o)
{
	o->answer = json_free(o->answer);
	*o = (struct outcome){ 0 };
}

static const struct kube_resource hosts = { "metal3.io", "v1alpha1", "baremetalhosts",
					    "BareMetalHost", KUBE_PER_HOST };
static const struct kube_resource secrets = { "", "v1", "secrets", "Secret", KUBE_NAMESPACED };
static const struct kube_resource nodes = { "", "v1", "nodes", "Node", KUBE_CLUSTER };

#define HOST(name, rv)                                                                             \
	"{\"apiVersion\":\"metal3.io/v1alpha1\",\"kind\":\"BareMetalHost\",\"metadata\":{"         \
	"\"namespace\":\"m\",\"name\":\"" name "\",\"uid\":\"uid-" name                            \
	"\",\"resourceVersion\":\"" rv "\"}}"
