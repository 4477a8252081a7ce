/* Exchanges: answers on their way to a front, and the streams that some of them become. Runs on the
 * server's loop. */

#include "apiserver/feed/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "metrics/metrics.h"

/* The method comes from a peer, and a label must be one of a few. */
static const char *known_verb(const char *method)
{
	static const char *const verbs[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE" };
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (streq(method, verbs[i]))
			return verbs[i];
	return "other";
}

struct api_exchange *exchange_new(struct apiserver *s, const char *method,
				  const struct api_front_ops *ops, void *front)
{
	struct api_exchange *x = xcalloc(1, sizeof(*x));
	*x = (struct api_exchange){
		.s = s, .verb = known_verb(method), .ops = ops, .front = front
	};
	list_init(&x->link);
	return x;
}

static void exchange_free(struct api_exchange *x)
{
	list_unlink(&x->link);
	if (x->call)
		call_done(x->call);
	free(x->call);
	strbuf_done(&x->body);
	unknown_fields_done(&x->warnings);
	watch_free(x->watch);
	if (x->alive)
		*x->alive = false;
	free(x);
}

void exchange_take(struct api_exchange *x, struct answer *a)
{
	x->status = a->status;
	x->content_type = a->content_type;
	x->body = a->body;
	x->warnings = a->warnings;
	x->watch = TAKE_PTR(a->watch);
	a->body = (struct strbuf){ 0 };
	a->warnings = (struct unknown_fields){ 0 };
}

/* A line of text that can stand in a header. */
static void give_warning(struct api_exchange *x, const char *text)
{
	_cleanup_(freep) char *line = xstrdup(text);
	for (char *p = line; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	x->ops->warning(x->front, line);
}

static void count_answer(const struct api_exchange *x)
{
	char code[12];
	double took = (double)(loop_now(x->s->loop) - x->began) / (double)USEC_PER_SEC;
	const char *verb = x->watch ? "WATCH" : x->verb;
	snprintf(code, sizeof(code), "%d", x->watch ? 200 : x->status);
	metric_add(METRIC_API_REQUESTS, 1, verb, code);
	if (!x->watch)
		metric_observe(METRIC_API_SECONDS, took, verb);
}

void exchange_finish(struct api_exchange *x)
{
	count_answer(x);
	if (x->aborted) {
		exchange_free(x);
		return;
	}
	for (size_t i = 0; x->ops->warning && i < x->warnings.count; i++)
		give_warning(x, x->warnings.items[i]);
	if (x->watch) {
		x->live = TAKE_PTR(x->watch);
		watch_start(x->live, x);
		return;
	}
	x->ops->reply(x->front, x->status, x->content_type, x->body.data ? x->body.data : "",
		      x->body.len);
	exchange_free(x);
}

void exchange_drop(struct api_exchange *x)
{
	exchange_free(x);
}

void apiserver_stream_drained(struct api_exchange *x)
{
	if (x && x->live)
		watch_drained(x->live);
}

void exchange_stream_ended(struct api_exchange *x)
{
	if (!x->aborted)
		x->ops->stream_end(x->front);
	exchange_free(x);
}

const struct api_front_ops *exchange_front(struct api_exchange *x, void **ret_front)
{
	*ret_front = x->front;
	return x->ops;
}

void exchange_spoil(struct api_exchange *x, const struct err *err)
{
	struct answer a = { 0 };
	fail_store(&a, err);
	strbuf_done(&x->body);
	x->watch = watch_free(x->watch);
	exchange_take(x, &a);
	answer_done(&a);
}

void apiserver_abort(struct api_exchange *x)
{
	if (!x)
		return;
	x->aborted = true;
	if (x->live)
		watch_abort(x->live);
}
