/* One call is one counted struct that both sides hold. The client's side (its loop's thread) owns
 * handlers and timers, the server's side (the server's thread) owns the exchange; neither reads
 * what the other writes, messages carry the rest. A call that is cancelled lets messages on their
 * way run into nothing. */

#include "apiserver/transport.h"
#include "apiserver/roles.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/str.h"

/* Of what the server does not wait for: a watcher that lags so far behind is cut off. */
enum { QUEUED_MAX = 64 * 1024 * 1024 };

struct transport {
	struct kube_transport base;
	struct loop *loop, *server_loop;
	struct apiserver *server;
	char *user;
	struct list calls;
};

struct kube_call {
	atomic_uint refs;
	atomic_size_t queued;	 /* bytes on their way to the client */
	atomic_bool drain_asked; /* who takes it back posts on_drained */
	struct loop *loop, *server_loop;

	/* The client's. */
	struct list link;
	bool finished;
	bool stream;
	struct kube_http_handlers handlers;
	void *data;
	struct timer timeout, idle;
	usec_t idle_timeout;

	/* The server's. */
	struct apiserver *server;
	struct api_exchange *exchange;
	bool closed; /* nothing more is to be sent */

	/* Set before the call starts, read by the server's side only. */
	char *method, *path, *query, *content_type, *accept, *user, *body;
	size_t body_len;
};

enum message_type { MESSAGE_REPLY, MESSAGE_START, MESSAGE_DATA, MESSAGE_END };

struct message {
	struct kube_call *call;
	enum message_type type;
	int status;
	size_t len;
	char *bytes;
};

static struct kube_call *call_ref(struct kube_call *call)
{
	atomic_fetch_add(&call->refs, 1);
	return call;
}

static void call_unref(struct kube_call *call)
{
	if (atomic_fetch_sub(&call->refs, 1) > 1)
		return;
	free(call->method);
	free(call->path);
	free(call->query);
	free(call->content_type);
	free(call->accept);
	free(call->user);
	secret_zero(call->body, call->body_len);
	free(call->body);
	free(call);
}

/* --- the client's side --- */

static void on_abort(void *data);

/* No callback follows. */
static void finish(struct kube_call *call)
{
	call->finished = true;
	list_unlink(&call->link);
	timer_stop(&call->timeout);
	timer_stop(&call->idle);
}

static void fail_call(struct kube_call *call, const char *text)
{
	struct err err;
	err_set(&err, ERR_TIMEOUT, "%s %s: %s", call->method, call->path, text);
	finish(call);
	loop_post(call->server_loop, on_abort, call_ref(call));
	call->handlers.done(call->data, &err, 0, "", 0);
	call_unref(call);
}

static void on_timeout(void *data)
{
	fail_call(data, "no answer in time");
}

static void on_idle(void *data)
{
	fail_call(data, "the stream has been silent for too long");
}

/* Any message counts as a sign of life, bookmarks above all. */
static void touch(struct kube_call *call)
{
	if (call->idle_timeout && !call->finished)
		timer_set_in(&call->idle, call->idle_timeout);
}

static void complete(struct kube_call *call, const struct err *err, int status, const char *body,
		     size_t len)
{
	finish(call);
	call->handlers.done(call->data, err, status, body, len);
	call_unref(call);
}

/* False when the handler refused it, and the call has ended with that. */
static bool give_body(struct kube_call *call, const char *bytes, size_t len)
{
	struct err err;
	if (!call->handlers.body || call->handlers.body(call->data, bytes, len) == 0)
		return !call->finished;
	if (call->finished)
		return false;
	err_set(&err, ERR_PROTOCOL, "%s %s: the answer makes no sense", call->method, call->path);
	loop_post(call->server_loop, on_abort, call_ref(call));
	complete(call, &err, 0, "", 0);
	return false;
}

static void give_reply(struct kube_call *call, const struct message *m)
{
	if (call->handlers.head)
		call->handlers.head(call->data, m->status, -1);
	if (call->finished)
		return;
	if (!call->stream)
		complete(call, NULL, m->status, m->bytes, m->len);
	else if (m->len == 0 || give_body(call, m->bytes, m->len))
		complete(call, NULL, m->status, "", 0);
}

static void give(struct kube_call *call, const struct message *m)
{
	switch (m->type) {
	case MESSAGE_REPLY:
		give_reply(call, m);
		return;
	case MESSAGE_START:
		if (call->handlers.head)
			call->handlers.head(call->data, 200, -1);
		return;
	case MESSAGE_DATA:
		give_body(call, m->bytes, m->len);
		return;
	case MESSAGE_END:
		complete(call, NULL, 200, "", 0);
		return;
	}
}

static void on_drained(void *data)
{
	struct kube_call *call = data;
	if (!call->closed)
		apiserver_stream_drained(call->exchange);
	call_unref(call);
}

/* Bytes were taken. Both sides. */
static void taken(struct kube_call *call)
{
	if (atomic_load(&call->drain_asked) &&
	    atomic_load(&call->queued) <= APISERVER_STREAM_AHEAD &&
	    atomic_exchange(&call->drain_asked, false))
		loop_post(call->server_loop, on_drained, call_ref(call));
}

static void on_message(void *data)
{
	struct message *m = data;
	struct kube_call *call = m->call;
	atomic_fetch_sub(&call->queued, m->len);
	taken(call);
	if (!call->finished) {
		touch(call);
		give(call, m);
	}
	free(m->bytes);
	free(m);
	call_unref(call);
}

static void on_begin(void *data);

static char *path_part(const char *path, bool query)
{
	size_t len = strcspn(path, "?");
	return query ? xstrdup(path[len] ? path + len + 1 : "") : xstrndup(path, len);
}

static struct kube_call *start(struct kube_transport *base, const struct kube_http_request *request,
			       const struct kube_http_handlers *handlers, void *data)
{
	struct transport *t = (struct transport *)base;
	struct kube_call *call = xcalloc(1, sizeof(*call));
	*call = (struct kube_call){ .loop = t->loop,
				    .server_loop = t->server_loop,
				    .stream = request->stream,
				    .handlers = *handlers,
				    .data = data,
				    .idle_timeout = request->idle_timeout,
				    .server = t->server,
				    .method = xstrdup(request->method),
				    .path = path_part(request->path, false),
				    .query = path_part(request->path, true),
				    .content_type = xstrdup(str_or(request->content_type, "")),
				    .accept = xstrdup(str_or(request->accept, "application/json")),
				    .user = xstrdup(t->user),
				    .body = xmemdup(request->body ? request->body : "",
						    request->body_len),
				    .body_len = request->body_len };
	atomic_init(&call->refs, 2); /* ours and the message's */
	timer_init(&call->timeout, t->loop, "apiserver call timeout", on_timeout, call);
	timer_init(&call->idle, t->loop, "apiserver call idle", on_idle, call);
	if (request->timeout)
		timer_set_in(&call->timeout, request->timeout);
	touch(call);
	list_append(&t->calls, &call->link);
	loop_post(t->server_loop, on_begin, call);
	return call;
}

/* The server hears of it later; what it sends until then runs into `finished`. */
static void cancel(struct kube_call *call)
{
	finish(call);
	loop_post(call->server_loop, on_abort, call_ref(call));
	call_unref(call);
}

static struct kube_transport *transport_free(struct kube_transport *base)
{
	struct transport *t = (struct transport *)base;
	if (!t)
		return NULL;
	while (!list_empty(&t->calls))
		cancel(list_entry(t->calls.next, struct kube_call, link));
	free(t->user);
	free(t);
	return NULL;
}

/* --- the server's side --- */

static void send(struct kube_call *call, enum message_type type, int status, const char *bytes,
		 size_t len)
{
	struct message *m = xmalloc(sizeof(*m));
	char *copy = xmalloc(len + 1);
	if (len > 0)
		memcpy(copy, bytes, len);
	copy[len] = '\0';
	*m = (struct message){
		.call = call_ref(call), .type = type, .status = status, .len = len, .bytes = copy
	};
	atomic_fetch_add(&call->queued, len);
	loop_post(call->loop, on_message, m);
}

/* The server has done with the exchange, which held a reference. */
static void end_exchange(struct kube_call *call)
{
	call->closed = true;
	call->exchange = NULL;
	call_unref(call);
}

static void front_reply(void *front, int status, const char *content_type, const char *body,
			size_t len)
{
	(void)content_type;
	send(front, MESSAGE_REPLY, status, body, len);
	end_exchange(front);
}

static void front_start(void *front, const char *content_type)
{
	(void)content_type;
	send(front, MESSAGE_START, 200, "", 0);
}

/* Bytes that the client has not taken yet count against the limit. */
static bool front_send(void *front, const char *bytes, size_t len)
{
	struct kube_call *call = front;
	if (atomic_load(&call->queued) > QUEUED_MAX)
		return false;
	send(call, MESSAGE_DATA, 200, bytes, len);
	return true;
}

static bool front_wait(void *front)
{
	struct kube_call *call = front;
	if (atomic_load(&call->queued) <= APISERVER_STREAM_AHEAD)
		return false;
	atomic_store(&call->drain_asked, true);
	taken(call); /* they may have been meanwhile */
	return true;
}

static void front_end(void *front)
{
	send(front, MESSAGE_END, 200, "", 0);
	end_exchange(front);
}

static const struct api_front_ops front_ops = {
	.reply = front_reply,
	.stream_start = front_start,
	.stream_send = front_send,
	.stream_wait = front_wait,
	.stream_end = front_end,
};

/* Holds the message's reference until the exchange has ended. */
static void on_begin(void *data)
{
	struct kube_call *call = data;
	struct api_request request = { .method = call->method,
				       .path = call->path,
				       .query = call->query,
				       .content_type = call->content_type,
				       .accept = call->accept,
				       .user = call->user,
				       .groups = role_group("admin"),
				       .body = call->body,
				       .body_len = call->body_len };
	call_ref(call); /* the answer may come before apiserver_handle returns */
	struct api_exchange *exchange = apiserver_handle(call->server, &request, &front_ops, call);
	if (!call->closed)
		call->exchange = exchange;
	call_unref(call);
}

static void on_abort(void *data)
{
	struct kube_call *call = data;
	if (!call->closed && call->exchange) {
		struct api_exchange *exchange = call->exchange;
		end_exchange(call);
		apiserver_abort(exchange);
	}
	call_unref(call);
}

struct kube_transport *apiserver_transport_new(const struct apiserver_transport_options *options)
{
	static const struct kube_transport_ops ops = { .start = start,
						       .cancel = cancel,
						       .free = transport_free };
	struct transport *t = xcalloc(1, sizeof(*t));
	*t = (struct transport){ .base.ops = &ops,
				 .loop = options->loop,
				 .server_loop = options->server_loop,
				 .server = options->server,
				 .user = xstrdup(options->user ? options->user : "system:ingot") };
	list_init(&t->calls);
	return &t->base;
}
