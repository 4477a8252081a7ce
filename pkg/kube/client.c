/* The engine under all calls: each operation waits for its turn in the throttle, goes to the
 * transport, is repeated where that is safe, and completes once.
 *
 * Repeated are: 429 and 5xx with Retry-After, ten times at most and with a minute of waiting in
 * all, so that a reconcile has an end (the server says that it did nothing); broken connections,
 * for GET only. No other write is ever sent twice, not by the transport either: it may have been
 * done.
 *
 * The throttle is a generic cell rate algorithm: one time, no refilling. Core thread. */

#include "kube/client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "kube/internal.h"

enum {
	TRIES_MAX = 10,	      /* of answers with Retry-After */
	BROKEN_TRIES_MAX = 3, /* of broken connections */
};

static const usec_t RETRY_AFTER_MAX = USEC_PER_MIN; /* the sum of one call */
static const usec_t BROKEN_DELAY = 100 * USEC_PER_MSEC;

struct kube_client {
	struct loop *loop;
	struct kube_transport *transport;
	char *field_manager;
	bool stream_lists;
	usec_t interval; /* between requests in the long run; 0: no throttle */
	usec_t slack;	 /* how far requests may run ahead of that */
	usec_t due;	 /* when the next request would be due if all came evenly */
	usec_t timeout;
	usec_t warned; /* when a long wait was last logged */
	struct fence fence;
	void (*observe)(void *data, const char *method, int status, usec_t took);
	void *observe_data;
	struct list ops;
	struct list waiting; /* by op->turn, in order */
	struct timer timer;  /* the first one's turn */
};

struct kube_op {
	struct list node;
	struct list turn;
	struct kube_client *client;
	char *method, *path, *content_type, *accept, *body, *what, *key;
	size_t body_len;
	kube_done_fn done;
	const struct kube_stream_handlers *stream; /* NULL: a plain request */
	void *data;
	struct kube_call *call;
	struct timer timer; /* until the next try, or the failure that was there before any */
	struct err early;
	unsigned tries, broken; /* of this page */
	unsigned refusals;	/* with Retry-After, of all pages */
	usec_t waited;		/* because of Retry-After, all pages together */
	bool still_refused;	/* that came to an end */
	usec_t asked, sent;
	int status;
	int64_t retry_after_s;
	struct strbuf refusal; /* body of a stream's refusal */
	const struct kube_pager *pager;
	void *pager_state;
	bool absent_is_success, finishing, cancelled;
};

/* --- operations --- */

static void on_op_timer(void *data);

static struct kube_op *op_new(struct kube_client *c, void *data)
{
	struct kube_op *op = xcalloc(1, sizeof(*op));
	op->client = c;
	op->data = data;
	op->retry_after_s = -1;
	list_init(&op->turn);
	list_append(&c->ops, &op->node);
	timer_init(&op->timer, c->loop, "kube request", on_op_timer, op);
	return op;
}

static void op_free(struct kube_op *op)
{
	timer_stop(&op->timer);
	list_unlink(&op->node);
	list_unlink(&op->turn);
	secret_zero(op->body, op->body_len); /* may be a Secret */
	free(op->body);
	free(op->method);
	free(op->path);
	free(op->content_type);
	free(op->accept);
	free(op->what);
	free(op->key);
	strbuf_done(&op->refusal);
	if (op->pager)
		op->pager->free(op->pager_state);
	free(op);
}

static void finish(struct kube_op *op, struct err *err, struct json **answer)
{
	op->finishing = true;
	if (err && op->what)
		err_wrap(err, "%s", op->what);
	if (!op->cancelled)
		op->done(op->data, err, answer);
	op_free(op);
}

static void finish_stream(struct kube_op *op, struct err *err, const struct kube_status *status)
{
	op->finishing = true;
	if (err && op->what)
		err_wrap(err, "%s", op->what);
	op->stream->done(op->data, err, status);
	op_free(op);
}

/* --- answers --- */

static void enqueue(struct kube_op *op);

static void observe(const struct kube_op *op, int status)
{
	const struct kube_client *c = op->client;
	if (c->observe)
		c->observe(c->observe_data, op->method, status, loop_now(c->loop) - op->sent);
}

static bool retry_refused(struct kube_op *op, int status)
{
	if ((status != 429 && status < 500) || op->retry_after_s < 0)
		return false;
	usec_t left = RETRY_AFTER_MAX - op->waited;
	op->refusals++;
	op->still_refused = ++op->tries >= TRIES_MAX || left == 0;
	if (op->still_refused)
		return false;
	usec_t delay = (usec_t)op->retry_after_s * USEC_PER_SEC;
	delay = MIN(delay, left);
	op->waited += delay;
	timer_set_in(&op->timer, delay);
	return true;
}

static bool retry_broken(struct kube_op *op, const struct err *err)
{
	if (!streq(op->method, "GET") || err->kind != ERR_UNREACHABLE ||
	    ++op->broken >= BROKEN_TRIES_MAX)
		return false;
	usec_t delay = BROKEN_DELAY << op->broken;
	timer_set_in(&op->timer, delay + loop_random_below(op->client->loop, delay));
	return true;
}

static bool next_page(struct kube_op *op, struct err *err, struct json **answer)
{
	char *path = NULL;
	if (!op->pager || !op->pager->next(op->pager_state, err, answer, &path))
		return false;
	free(op->path);
	op->path = path;
	op->tries = op->broken = 0;
	enqueue(op);
	return true;
}

static void read_answer(struct kube_op *op, int status, const char *body, size_t len)
{
	_cleanup_(json_freep) struct json *answer = NULL;
	struct err err = { 0 };
	int r = len > 0 ? json_parse(body, len, &answer, &err) : 0;
	if (status / 100 == 2) {
		/* /healthz and the like answer with text; whoever asks for an object gets NULL. */
		if (r < 0 && (body[0] == '{' || body[0] == '[')) {
			err.kind = ERR_PROTOCOL;
			err_wrap(&err, "the server's answer is not JSON");
		} else {
			err_clear(&err);
			if (next_page(op, &err, &answer))
				return;
		}
		finish(op, err.kind == ERR_NONE ? NULL : &err, &answer);
		return;
	}
	kube_status_read(answer, status, &err);
	bool absent = err.kind == ERR_NOT_FOUND && op->absent_is_success;
	if (op->still_refused)
		err_wrap(&err,
			 "still refused after %u tries and %" PRIu64 " s of waiting, as asked",
			 op->refusals, op->waited / USEC_PER_SEC);
	if (next_page(op, &err, &answer))
		return;
	finish(op, absent ? NULL : &err, &answer);
}

static void on_head(void *data, int status, int64_t retry_after_s)
{
	struct kube_op *op = data;
	op->status = status;
	op->retry_after_s = retry_after_s;
	if (op->stream && status / 100 == 2 && op->stream->accepted)
		op->stream->accepted(op->data);
}

static int on_stream_body(void *data, const char *bytes, size_t len)
{
	struct kube_op *op = data;
	if (op->status / 100 == 2)
		return op->stream->body(op->data, bytes, len);
	if (op->refusal.len + len <= KUBE_ERROR_BODY_MAX)
		strbuf_add(&op->refusal, bytes, len);
	return 0;
}

static void on_stream_done(void *data, const struct err *err, int status, const char *body,
			   size_t len)
{
	struct kube_op *op = data;
	struct err refusal = { 0 };
	_cleanup_(json_freep) struct json *tree = NULL;
	(void)body, (void)len;
	op->call = NULL;
	observe(op, status);
	if (err) {
		refusal = *err;
		finish_stream(op, &refusal, NULL);
		return;
	}
	if (op->refusal.len > 0)
		json_parse(op->refusal.data, op->refusal.len, &tree, NULL);
	struct kube_status s = kube_status_read(tree, status, &refusal);
	if (s.retry_after_s < 0)
		s.retry_after_s = op->retry_after_s;
	finish_stream(op, s.kind == ERR_NONE ? NULL : &refusal, &s);
}

static void on_done(void *data, const struct err *err, int status, const char *body, size_t len)
{
	struct kube_op *op = data;
	op->call = NULL;
	observe(op, err ? 0 : status);
	if (err ? retry_broken(op, err) : retry_refused(op, status))
		return;
	if (!err) {
		read_answer(op, status, body, len);
		return;
	}
	struct err copy = *err;
	struct json *none = NULL;
	finish(op, &copy, &none);
}

/* --- sending --- */

static void send_op(struct kube_op *op)
{
	static const struct kube_http_handlers plain = { .head = on_head, .done = on_done };
	static const struct kube_http_handlers stream = { .head = on_head,
							  .body = on_stream_body,
							  .done = on_stream_done };
	struct kube_client *c = op->client;
	if (!streq(op->method, "GET") && !fence_allows(&c->fence, op->key)) {
		err_set(&op->early, ERR_CANCELLED,
			"not sent: this instance is no longer the leader");
		timer_set_in(&op->timer, 0);
		return;
	}
	const struct kube_http_request request = {
		.method = op->method,
		.path = op->path,
		.content_type = op->content_type,
		.accept = op->accept,
		.body = op->body,
		.body_len = op->body_len,
		.stream = op->stream != NULL,
		.timeout = op->stream ? 0 : c->timeout,
	};
	op->sent = loop_now(c->loop);
	op->retry_after_s = -1;
	op->call = c->transport->ops->start(c->transport, &request, op->stream ? &stream : &plain,
					    op);
}

static void warn_of_wait(struct kube_client *c, const struct kube_op *op, usec_t now)
{
	if (now - op->asked < USEC_PER_SEC || (c->warned && now - c->warned < USEC_PER_MIN))
		return;
	char text[CLOCK_TEXT_MAX];
	snprintf(text, sizeof(text), "%" PRIu64 "ms", (now - op->asked) / USEC_PER_MSEC);
	c->warned = now;
	log_warn(
		"requests to the API server are throttled: raise --kube-api-qps if the server can take more",
		"waited", text, "request", op->what);
}

static void send_waiting(void *data)
{
	struct kube_client *c = data;
	while (!list_empty(&c->waiting)) {
		struct kube_op *op = list_entry(c->waiting.next, struct kube_op, turn);
		usec_t now = loop_now(c->loop);
		if (c->interval) {
			usec_t due = MAX(c->due, now);
			if (due > now + c->slack) {
				timer_set_at(&c->timer, due - c->slack);
				return;
			}
			c->due = due + c->interval;
		}
		list_unlink(&op->turn);
		warn_of_wait(c, op, now);
		send_op(op);
	}
}

static void enqueue(struct kube_op *op)
{
	op->asked = loop_now(op->client->loop);
	list_append(&op->client->waiting, &op->turn);
	send_waiting(op->client);
}

static void on_op_timer(void *data)
{
	struct kube_op *op = data;
	struct json *none = NULL;
	if (op->early.kind != ERR_NONE)
		finish(op, &op->early, &none);
	else
		enqueue(op);
}

/* --- for users and for the files of this module
 * ---------------------------------------------------- */

struct kube_op *kube_request(struct kube_client *c, const struct kube_request *request,
			     kube_done_fn done, void *data)
{
	struct kube_op *op = op_new(c, data);
	op->done = done;
	op->method = xstrdup(request->method);
	op->path = xstrdup(request->path);
	op->what = xstrdup(request->what);
	op->key = xstrdup(request->key);
	if (request->content_type) {
		op->content_type = xstrdup(request->content_type);
		op->body = xmemdup(request->body ? request->body : "", request->body_len);
		op->body_len = request->body_len;
	}
	enqueue(op);
	return op;
}

struct kube_op *kube_stream(struct kube_client *c, const char *path, const char *accept,
			    const char *what, const struct kube_stream_handlers *handlers,
			    void *data)
{
	struct kube_op *op = op_new(c, data);
	op->stream = handlers;
	op->method = xstrdup("GET");
	op->path = xstrdup(path);
	op->accept = xstrdup(accept);
	op->what = xstrdup(what);
	enqueue(op);
	return op;
}

struct kube_op *kube_fail(struct kube_client *c, const struct err *err, kube_done_fn done,
			  void *data)
{
	struct kube_op *op = op_new(c, data);
	op->done = done;
	op->early = *err;
	timer_set_in(&op->timer, 0);
	return op;
}

void kube_op_set_pager(struct kube_op *op, const struct kube_pager *pager, void *state)
{
	op->pager = pager;
	op->pager_state = state;
}

void kube_op_absent_is_success(struct kube_op *op)
{
	op->absent_is_success = true;
}

const char *kube_field_manager(const struct kube_client *c)
{
	return c->field_manager;
}

bool kube_streams_lists(const struct kube_client *c)
{
	return c->stream_lists;
}

void kube_stream_no_lists(struct kube_client *c)
{
	c->stream_lists = false;
}

struct loop *kube_client_loop(const struct kube_client *c)
{
	return c->loop;
}

struct kube_op *kube_cancel(struct kube_op *op)
{
	if (!op)
		return NULL;
	if (op->finishing) {
		op->cancelled = true;
		return NULL;
	}
	if (op->call)
		op->client->transport->ops->cancel(op->call);
	op_free(op);
	return NULL;
}

struct kube_client *kube_client_new(const struct kube_client_options *o)
{
	struct kube_client *c = xcalloc(1, sizeof(*c));
	double qps = o->qps > 0 || o->qps < 0 ? o->qps : 20;
	unsigned burst = o->burst ? o->burst : 30;
	c->loop = o->loop;
	c->transport = o->transport;
	c->field_manager = xstrdup(str_or(o->field_manager, "ingot"));
	c->interval = qps < 0 ? 0 : (usec_t)((double)USEC_PER_SEC / qps);
	c->slack = (burst - 1) * c->interval;
	c->stream_lists = o->stream_lists;
	c->timeout = o->timeout ? o->timeout : 30 * USEC_PER_SEC;
	c->fence = o->fence;
	c->observe = o->observe;
	c->observe_data = o->observe_data;
	list_init(&c->ops);
	list_init(&c->waiting);
	timer_init(&c->timer, c->loop, "kube throttle", send_waiting, c);
	return c;
}

struct kube_client *kube_client_free(struct kube_client *c)
{
	if (!c)
		return NULL;
	for (struct list *n; (n = list_take_first(&c->ops));)
		kube_cancel(list_entry(n, struct kube_op, node));
	timer_stop(&c->timer);
	free(c->field_manager);
	free(c);
	return NULL;
}
