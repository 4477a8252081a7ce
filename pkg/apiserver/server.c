/* The server: batches, requests and their lives. What others of its files do is put together here:
 * who observes changes, and who answers.
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

#include "apiserver/feed/exchange.h"
#include "apiserver/internal.h"
#include "base/log.h"
#include "base/mem.h"

enum {
	BATCH_REQUESTS_MAX = 256,
	BATCH_BYTES_MAX = 8 * 1024 * 1024,
};

/* --- batches --- */

static void batch_failed(struct apiserver *s, struct batch *b, const struct err *err)
{
	struct err again;
	log_error("store: nothing of the last requests was kept", "error", err->text);
	s->failures++;
	s->failure = *err;
	list_for_each(l, &b->answers)
		exchange_spoil(list_entry(l, struct api_exchange, link), err);
	batch_drop_events(b, 0);
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
	feed_committed(s, b.events, b.event_count);
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

/* --- requests that take many steps --- */

/* Its kind may have changed meanwhile, or have gone. */
static bool find_kind_again(struct call *c)
{
	struct resource *was = c->in.resource;
	if (!was->gone)
		return true;
	struct resource *now = registry_find(&c->s->registry, was->group, was->version,
					     was->plural);
	if (!now) {
		fail(&c->out, 404, "NotFound", "the server could not find the requested resource");
		return false;
	}
	c->in.resource = resource_ref(now);
	resource_unref(was);
	return true;
}

/* What a batch that was not kept had shown it, or has taken back from it, is not made up for. */
static void go_on(struct apiserver *s, struct call *c)
{
	if (c->failures != s->failures) // NOLINT: what waits has a call
		fail_store(&c->out, &s->failure);
	else if (find_kind_again(c))
		run_call(c);
}

static bool is_done(const struct call *c)
{
	return c->out.status || !call_goes_on(c);
}

/* What is done waits for the commit, what is not for its turn. A request keeps its turn until it is
 * done, because a half-done one holds in memory what it has found. */
static void pass_on(struct apiserver *s, struct api_exchange *x, bool has_turn)
{
	if (!is_done(x->call)) {
		if (has_turn)
			list_prepend(&s->waiting, &x->link);
		else
			list_append(&s->waiting, &x->link);
		if (!timer_is_set(&s->turn_timer))
			timer_set_in(&s->turn_timer, 0);
		return;
	}
	exchange_take(x, &x->call->out);
	call_done(x->call);
	free(x->call);
	x->call = NULL;
	if (s->batch.open)
		list_append(&s->batch.answers, &x->link);
	else
		exchange_finish(x);
}

/* One step of the request that came first. If its peer has gone, it is dropped. */
static void on_turn(void *data)
{
	struct apiserver *s = data;
	struct list *l = list_take_first(&s->waiting);
	if (!l)
		return;
	if (!list_empty(&s->waiting))
		timer_set_in(&s->turn_timer, 0);
	struct api_exchange *x = list_entry(l, struct api_exchange, link);
	if (x->aborted) {
		exchange_drop(x);
		return;
	}
	go_on(s, x->call);
	pass_on(s, x, true);
	if (batch_full(&s->batch))
		batch_commit(s);
}

struct api_exchange *apiserver_handle(struct apiserver *s, const struct api_request *request,
				      const struct api_front_ops *ops, void *front)
{
	struct call *c = xcalloc(1, sizeof(*c));
	usec_t began = loop_now(s->loop);
	call_init(c, s, request);
	run_call(c);
	struct api_exchange *x = exchange_new(s, request->method, ops, front);
	x->began = began;
	x->call = c;
	bool alive = true;
	x->alive = &alive;
	bool done = is_done(c);
	if (!done)
		call_keep_request(c);
	pass_on(s, x, false);
	/* What a call has seen must be there when it goes on. */
	if (batch_full(&s->batch) || !done)
		batch_commit(s);
	if (!alive)
		return NULL;
	x->alive = NULL;
	return x;
}

/* --- life --- */

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
		int found = object_load(c.s, &c.in, &c.out, r, "", first_namespaces[i], &old);
		object_done(&old);
		if (found == 0) {
			_cleanup_(json_freep) struct json *ns = json_new_object();
			json_set_string(json_make_object(ns, "metadata"), "name",
					first_namespaces[i]);
			found = write_create(c.s, &c.in, &c.out, r, "", ns, NULL);
		}
		if (found < 0)
			err_set(err, ERR_IO, "cannot make namespace %s: %s", first_namespaces[i],
				c.out.body.data);
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

static const struct observer *const observers[] = { &work_observer, &crd_observer, &watch_observer,
						    NULL };

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
	s->observers = observers;
	registry_init(&s->registry);
	batch_init(&s->batch);
	list_init(&s->watches);
	list_init(&s->waiting);
	timer_init(&s->turn_timer, s->loop, "apiserver turn", on_turn, s);
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
	while (!list_empty(&s->waiting))
		on_turn(s);
	batch_commit(s);
	timer_stop(&s->turn_timer);
	watch_end_all(s);
	work_stop(s);
	timer_stop(&s->commit_timer);
	batch_done(&s->batch);
	registry_done(&s->registry);
	store_close(s->store);
	free(s);
	return NULL;
}
