/* The server: batches, exchanges and their lives.
 *
 * A batch is one SQLite transaction. The first request that writes opens it; a timer that is due at
 * once commits it, which the loop runs after what is queued by then, so that queued requests join
 * in. Each request works inside a savepoint. Answers wait for the commit, those of reads too: what
 * they show may be the batch's. When the commit fails, all of them are told so. Everything runs on
 * the server's loop. */

#include "apiserver/apiserver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/internal.h"
#include "base/log.h"
#include "base/mem.h"
#include "metrics/metrics.h"

enum {
	BATCH_REQUESTS_MAX = 256,
	BATCH_BYTES_MAX = 8 * 1024 * 1024,
};

struct api_exchange {
	struct list link; /* of the batch that owes the answer */
	struct apiserver *s;
	const struct api_front_ops *ops;
	void *front;
	bool aborted;
	int status;
	const char *content_type;
	struct strbuf body;
	struct unknown_fields warnings;
	const char *verb; /* of HTTP; static */
	usec_t began;
	struct watch *watch; /* to be started */
	struct watch *live;  /* owns this exchange */
	bool *alive;	     /* told when the exchange goes */
};

/* --- exchanges --- */

static struct api_exchange *exchange_new(struct apiserver *s, const struct api_front_ops *ops,
					 void *front)
{
	struct api_exchange *x = xcalloc(1, sizeof(*x));
	*x = (struct api_exchange){ .s = s, .ops = ops, .front = front };
	list_init(&x->link);
	return x;
}

static void exchange_free(struct api_exchange *x)
{
	list_unlink(&x->link);
	strbuf_done(&x->body);
	unknown_fields_done(&x->warnings);
	watch_free(x->watch);
	if (x->alive)
		*x->alive = false;
	free(x);
}

/* The call's answer moves to where it can wait for the commit. */
static void exchange_take(struct api_exchange *x, struct call *c)
{
	x->status = c->status;
	x->content_type = c->content_type;
	x->body = c->body;
	x->warnings = c->warnings;
	x->watch = TAKE_PTR(c->watch);
	c->body = (struct strbuf){ 0 };
	c->warnings = (struct unknown_fields){ 0 };
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

/* The method comes from a peer, and a label must be one of a few. */
static const char *known_verb(const char *method)
{
	static const char *const verbs[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE" };
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (streq(method, verbs[i]))
			return verbs[i];
	return "other";
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

static void exchange_finish(struct api_exchange *x)
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

/* --- batches --- */

void event_done(struct event *e)
{
	free(e->resource);
	free(e->ns);
	free(e->name);
	free(e->now);
	free(e->before);
	json_free(e->now_tree);
	json_free(e->before_tree);
}

static void batch_init(struct batch *b)
{
	*b = (struct batch){ 0 };
	list_init(&b->answers);
}

int batch_open(struct apiserver *s, struct err *err)
{
	if (s->batch.open)
		return 0;
	int r = store_begin(s->store, err);
	if (r < 0)
		return r;
	s->batch.open = true;
	timer_set_in(&s->commit_timer, 0);
	return 0;
}

/* Texts are kept until the commit, when it is known whether anybody may see them. */
void batch_note(struct apiserver *s, enum store_change_type type, uint64_t rv,
		const struct store_key *key, char *now, char *before)
{
	struct batch *b = &s->batch;
	b->events = xreallocarray(b->events, b->event_count + 1, sizeof(*b->events));
	b->events[b->event_count++] = (struct event){ .rv = rv,
						      .type = type,
						      .resource = xstrdup(key->resource),
						      .ns = xstrdup(key->ns),
						      .name = xstrdup(key->name),
						      .now = now,
						      .before = before };
	b->bytes += strlen(now) + (before ? strlen(before) : 0);
}

static void drop_events(struct batch *b, size_t keep)
{
	for (; b->event_count > keep; b->event_count--)
		event_done(&b->events[b->event_count - 1]);
}

static void batch_done(struct batch *b)
{
	drop_events(b, 0);
	free(b->events);
}

/* Nothing of the batch has happened: whoever waits is told so. */
static void spoil_answer(struct apiserver *s, struct api_exchange *x, const struct err *err)
{
	struct call c;
	call_init(&c, s, NULL);
	fail_store(&c, err);
	strbuf_done(&x->body);
	x->watch = watch_free(x->watch);
	exchange_take(x, &c);
	call_done(&c);
}

static void batch_failed(struct apiserver *s, struct batch *b, const struct err *err)
{
	struct err again;
	log_error("store: nothing of the last requests was kept", "error", err->text);
	list_for_each(l, &b->answers)
		spoil_answer(s, list_entry(l, struct api_exchange, link), err);
	drop_events(b, 0);
	if (b->kinds_changed && crd_load_all(s, &again) < 0)
		log_error("store: cannot read the definitions", "error", again.text);
}

static int end_transaction(struct apiserver *s, struct err *err)
{
	if (store_in_transaction(s->store))
		return store_commit(s->store, err);
	/* SQLite gave up by itself, in the midst of the batch. */
	store_rollback(s->store);
	return err_set(err, ERR_IO,
		       "the store rolled back a transaction, probably because its disk is full");
}

/* Of what failed no event is left. */
static void tell_kept(struct apiserver *s, const struct batch *b)
{
	for (size_t i = 0; s->counts && i < b->event_count; i++)
		if (s->counts(b->events[i].resource)) {
			s->kept(s->kept_data, s->committed);
			return;
		}
}

int apiserver_copy(struct apiserver *s, const char *path, struct err *err)
{
	batch_commit(s);
	return store_copy(s->store, path, err);
}

int apiserver_set_number(struct apiserver *s, const char *key, uint64_t value, struct err *err)
{
	batch_commit(s);
	return store_set_number(s->store, key, value, err);
}

void batch_commit(struct apiserver *s)
{
	struct err err;
	if (!s->batch.open)
		return;
	timer_stop(&s->commit_timer);
	/* Moved away, because whoever gets an answer may ask again at once. */
	struct batch b = s->batch;
	list_init(&b.answers);
	for (struct list *l; (l = list_take_first(&s->batch.answers));)
		list_append(&b.answers, l);
	batch_init(&s->batch);
	if (end_transaction(s, &err) < 0)
		batch_failed(s, &b, &err);
	s->committed = store_revision(s->store);
	tell_kept(s, &b);
	for (struct list *l; (l = list_take_first(&b.answers));)
		exchange_finish(list_entry(l, struct api_exchange, link));
	watch_deliver(s, b.events, b.event_count);
	batch_done(&b);
	work_schedule_sweep(s);
}

static void on_commit(void *data)
{
	batch_commit(data);
}

static bool batch_full(const struct batch *b)
{
	return b->requests >= BATCH_REQUESTS_MAX || b->bytes >= BATCH_BYTES_MAX;
}

/* --- requests --- */

static bool writes(const struct api_request *q)
{
	return !streq(q->method, "GET") && !streq(q->method, "HEAD");
}

/* A request that fails leaves nothing behind. */
static void run_write(struct apiserver *s, struct call *c)
{
	struct err err;
	if (batch_open(s, &err) < 0 || store_savepoint(s->store, &err) < 0) {
		fail_store(c, &err);
		return;
	}
	size_t events = s->batch.event_count;
	call_run(c);
	s->batch.requests++;
	if (c->status < 400) {
		store_release(s->store);
		return;
	}
	store_revert(s->store);
	drop_events(&s->batch, events);
}

/* Fronts may refuse large bodies earlier; this one counts. */
static void run_call(struct apiserver *s, struct call *c)
{
	if (c->request->body_len > APISERVER_BODY_MAX)
		fail(c, 413, "RequestEntityTooLarge", "Request entity too large: limit is %d",
		     APISERVER_BODY_MAX);
	else if (writes(c->request))
		run_write(s, c);
	else
		call_run(c);
}

struct api_exchange *apiserver_handle(struct apiserver *s, const struct api_request *request,
				      const struct api_front_ops *ops, void *front)
{
	struct call c;
	usec_t began = loop_now(s->loop);
	call_init(&c, s, request);
	run_call(s, &c);
	struct api_exchange *x = exchange_new(s, ops, front);
	x->verb = known_verb(request->method);
	x->began = began;
	exchange_take(x, &c);
	call_done(&c);
	bool alive = true;
	x->alive = &alive;
	if (s->batch.open)
		list_append(&s->batch.answers, &x->link);
	else
		exchange_finish(x);
	if (batch_full(&s->batch))
		batch_commit(s);
	if (!alive)
		return NULL;
	x->alive = NULL;
	return x;
}

void apiserver_abort(struct api_exchange *x)
{
	if (!x)
		return;
	x->aborted = true;
	if (x->live)
		watch_abort(x->live);
}

/* --- life
 * ------------------------------------------------------------------------------------------ */

static int install_crds(struct apiserver *s, const char *const *crds, struct err *err)
{
	for (; crds && *crds; crds++) {
		int r = crd_install(s, *crds, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static const char *const first_namespaces[] = { "default", "kube-system", "kube-public" };

/* Not through batches: whoever starts us waits for the outcome. */
static int make_namespaces(struct apiserver *s, struct err *err)
{
	struct resource *r = registry_find(&s->registry, "", "v1", "namespaces");
	for (size_t i = 0; i < ARRAY_SIZE(first_namespaces); i++) {
		struct call c;
		struct object old = { 0 };
		call_init(&c, s, NULL);
		int found = object_load(&c, r, "", first_namespaces[i], &old);
		object_done(&old);
		if (found == 0) {
			_cleanup_(json_freep) struct json *ns = json_new_object();
			json_set_string(json_make_object(ns, "metadata"), "name",
					first_namespaces[i]);
			found = write_create(&c, r, "", ns);
		}
		if (found < 0)
			err_set(err, ERR_IO, "cannot make namespace %s: %s", first_namespaces[i],
				c.body.data);
		call_done(&c);
		if (found < 0)
			return -EIO;
	}
	return 0;
}

static int start(struct apiserver *s, const struct apiserver_options *options, struct err *err)
{
	int r = crd_load_all(s, err);
	if (r == 0)
		r = batch_open(s, err);
	if (r == 0)
		r = make_namespaces(s, err);
	if (r == 0)
		r = install_crds(s, options->crds, err);
	if (r == 0) {
		timer_stop(&s->commit_timer);
		r = store_commit(s->store, err);
		batch_done(&s->batch);
		batch_init(&s->batch);
	}
	return r;
}

/* A start that failed leaves nothing behind. */
static void abandon(struct apiserver *s)
{
	if (s->batch.open)
		store_rollback(s->store);
	batch_done(&s->batch);
	batch_init(&s->batch);
}

int apiserver_new(const struct apiserver_options *options, struct apiserver **ret, struct err *err)
{
	struct store_options so = { .path = options->path,
				    .log_max = options->log_max,
				    .log_max_age = options->log_max_age };
	struct apiserver *s = xcalloc(1, sizeof(*s));
	s->loop = options->loop;
	s->admit = options->admit;
	s->admit_data = options->admit_data;
	s->counts = options->counts;
	s->kept = options->kept;
	s->kept_data = options->kept_data;
	registry_init(&s->registry);
	batch_init(&s->batch);
	list_init(&s->watches);
	timer_init(&s->commit_timer, s->loop, "apiserver commit", on_commit, s);
	work_start(s);
	int r = store_open(&so, &s->store, err);
	if (r == 0) {
		builtin_register(&s->registry);
		r = start(s, options, err);
	}
	if (r < 0) {
		abandon(s);
		apiserver_free(s);
		return r;
	}
	s->committed = store_revision(s->store);
	work_resume(s);
	*ret = s;
	return 0;
}

struct apiserver *apiserver_free(struct apiserver *s)
{
	if (!s)
		return NULL;
	s->freeing = true;
	batch_commit(s);
	watch_end_all(s);
	work_stop(s);
	timer_stop(&s->commit_timer);
	batch_done(&s->batch);
	registry_done(&s->registry);
	store_close(s->store);
	free(s);
	return NULL;
}
