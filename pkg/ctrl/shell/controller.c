/* The shell around reconciles: see shell/controller.h. */

#include "ctrl/shell/controller.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "ctrl/shell/writes.h"
#include "kube/queue.h"

struct reconcile;

/* What is remembered of an object between reconciles, in memory only. */
struct memory {
	usec_t backoff_until;	     /* monotonic; 0: none */
	char *signature;	     /* what the back-off holds for */
	struct reconcile *reconcile; /* under way */
};

/* What the handlers of an informer carry. */
struct watched {
	struct controller *controller;
	const struct controller_cache *cache;
};

struct controller {
	struct controller_def def;
	struct loop *loop;
	struct kube_client *client;
	struct kube_queue *queue;
	struct map memories; /* key → struct memory */
	struct watched watched[CONTROLLER_CACHES_MAX];
	bool synced, stopping;
};

/* A reconcile, from its facts to its last write. */
struct reconcile {
	struct controller *controller;
	char *key;
	struct json *object;
	struct facts facts;
	struct facts_job job;
	bool decided; /* what is left are writes */
	struct outcome outcome;
	size_t next_write;
	struct kube_op *op;
	char *signature;
};

/* --- memories and ends ------------------------------------------------------------------------ */

static struct memory *memory_of(struct controller *c, const char *key)
{
	struct memory *m = map_get(&c->memories, key);
	if (!m) {
		m = xcalloc(1, sizeof(*m));
		map_set(&c->memories, key, m);
	}
	return m;
}

static void memory_free(struct memory *m)
{
	if (m)
		free(m->signature);
	free(m);
}

static void forget(struct controller *c, const char *key)
{
	memory_free(map_remove(&c->memories, key));
	c->def.forget(c->def.data, key);
}

static void reconcile_free(struct reconcile *r)
{
	facts_job_done(&r->job);
	kube_cancel(r->op);
	if (r->facts.bound)
		r->controller->def.unbind(r->facts.bound);
	outcome_done(&r->outcome);
	json_free(r->object);
	free(r->signature);
	free(r->key);
	free(r);
}

static void finish(struct reconcile *r, enum kube_verdict verdict, usec_t again)
{
	struct controller *c = r->controller;
	struct memory *m = memory_of(c, r->key);
	_cleanup_(freep) char *key = TAKE_PTR(r->key);
	m->reconcile = NULL;
	m->backoff_until = 0;
	if (r->outcome.next.kind == NEXT_BACKOFF) {
		m->backoff_until = loop_now(c->loop) + again;
		free(m->signature);
		m->signature = TAKE_PTR(r->signature);
	}
	bool gone = r->outcome.next.kind == NEXT_GONE;
	reconcile_free(r);
	if (gone)
		forget(c, key);
	kube_queue_finish(c->queue, key, verdict, again);
}

static void retry(struct reconcile *r, const struct err *err)
{
	const struct controller_def *def = &r->controller->def;
	_cleanup_(freep) char *meanwhile = xasprintf("%s changed meanwhile; again", def->noun);
	if (err->kind == ERR_CONFLICT)
		log_debug(meanwhile, def->noun, r->key);
	else
		log_warn("reconcile failed; again later", def->noun, r->key, "error", err->text);
	if (err->kind != ERR_CONFLICT)
		metric_add(def->errors, 1);
	r->outcome.next.kind = NEXT_RETRY;
	finish(r, KUBE_RETRY, 0);
}

/* --- writes ----------------------------------------------------------------------------------- */

static void conclude(struct reconcile *r)
{
	struct controller *c = r->controller;
	const struct next *next = &r->outcome.next;
	c->def.stored(c->def.data, &r->facts, &r->outcome);
	switch (next->kind) {
	case NEXT_WAIT:
	case NEXT_FULL:
	case NEXT_BACKOFF:
		finish(r, KUBE_DONE, next->delay);
		break;
	case NEXT_AGAIN:
		kube_queue_add(c->queue, r->key);
		finish(r, KUBE_DONE, 0);
		break;
	case NEXT_RETRY: {
		struct err err = r->outcome.err;
		retry(r, &err);
		break;
	}
	case NEXT_GONE:
		finish(r, KUBE_DONE, 0);
		break;
	}
}

/* The next reconcile decides from what this one has written. */
static void note_written(struct controller *c, const struct write *w, const struct json *answer)
{
	for (const struct controller_cache *k = c->def.caches; k->resource; k++)
		if (k->resource == w->resource && w->verb != WRITE_DELETE)
			kube_informer_note_written(k->informer, answer);
}

static void next_write(struct reconcile *r);

static void on_written(void *data, const struct err *err, struct json **answer)
{
	struct reconcile *r = data;
	const struct write *w = &r->outcome.writes[r->next_write];
	bool leaves = r->outcome.next.kind == NEXT_GONE;
	r->op = NULL;
	if (!write_served(w, err, leaves)) {
		retry(r, err);
		return;
	}
	/* With the last finalizer the object goes; the answer is its last state, not a new one. */
	if (!err && *answer && !leaves)
		note_written(r->controller, w, *answer);
	r->next_write++;
	next_write(r);
}

static void next_write(struct reconcile *r)
{
	if (r->next_write == r->outcome.write_count) {
		conclude(r);
		return;
	}
	r->op = write_start(r->controller->client, &r->outcome.writes[r->next_write], on_written,
			    r);
}

/* --- the reconcile ---------------------------------------------------------------------------- */

static bool backing_off(struct reconcile *r)
{
	struct controller *c = r->controller;
	const struct memory *m = memory_of(c, r->key);
	usec_t now = loop_now(c->loop), until = m->backoff_until;
	if (until <= now || !streq(m->signature, r->signature))
		return false;
	r->outcome.next.kind = NEXT_BACKOFF; /* it goes on */
	finish(r, KUBE_DONE, until - now);
	return true;
}

static void on_facts(void *data)
{
	struct reconcile *r = data;
	const struct controller_def *def = &r->controller->def;
	r->signature = def->signature(def->data, &r->facts);
	if (backing_off(r))
		return;
	def->reconcile(def->data, &r->facts, &r->outcome);
	r->decided = true;
	next_write(r);
}

static void gather(struct reconcile *r)
{
	struct controller *c = r->controller;
	const char *names[FACTS_MAX] = { NULL };
	struct err err = { 0 };
	r->facts.key = r->key;
	r->facts.object = r->object;
	r->facts.bound = c->def.bind(r->object, &err);
	if (!r->facts.bound) {
		retry(r, &err);
		return;
	}
	c->def.names(r->facts.bound, names);
	if (facts_gather(&r->job, &r->facts, c->client, c->def.wants, names,
			 kube_namespace(r->object), on_facts, r))
		on_facts(r);
}

static void start_reconcile(void *data, const char *key)
{
	struct controller *c = data;
	const struct kube_object *o = kube_informer_get_key(c->def.caches[0].informer, key);
	if (!o) {
		c->def.removed(c->def.data, key);
		forget(c, key);
		kube_queue_forget(c->queue, key);
		kube_queue_finish(c->queue, key, KUBE_DONE, 0);
		return;
	}
	struct reconcile *r = xcalloc(1, sizeof(*r));
	r->controller = c;
	r->key = xstrdup(key);
	r->object = kube_object_parse(o);
	memory_of(c, key)->reconcile = r;
	gather(r);
}

/* --- kicks ------------------------------------------------------------------------------------ */

void controller_kick(struct controller *c, const char *key)
{
	kube_queue_add(c->queue, key);
}

static void kick(void *arg, const char *key)
{
	controller_kick(arg, key);
}

static void on_object(void *data, struct kube_object *o)
{
	const struct watched *w = data;
	struct controller *c = w->controller;
	if (w->cache->keys)
		w->cache->keys(c->def.data, o, kick, c);
}

static void on_update(void *data, struct kube_object *before, struct kube_object *now)
{
	const struct watched *w = data;
	if (!w->cache->changed || w->cache->changed(w->controller->def.data, before, now))
		on_object(data, now);
}

static void on_synced(void *data)
{
	struct controller *c = ((const struct watched *)data)->controller;
	if (c->stopping || c->synced || controller_waits(c))
		return;
	c->synced = true;
	kube_queue_start(c->queue); /* no reconcile begins in here */
	c->def.synced(c->def.data);
}

/* --- life ------------------------------------------------------------------------------------- */

const char *controller_waits(const struct controller *c)
{
	for (const struct controller_cache *k = c->def.caches; k->resource; k++)
		if (!kube_informer_synced(k->informer))
			return k->waits;
	return NULL;
}

void controller_measure(const struct controller *c)
{
	kube_queue_measure(c->queue);
}

usec_t controller_next(const struct controller *c, const char *key)
{
	return kube_queue_next(c->queue, key);
}

struct controller *controller_new(struct loop *loop, struct kube_client *client,
				  const struct controller_def *def)
{
	static const struct kube_informer_handlers handlers = {
		.add = on_object, .update = on_update, .remove = on_object, .synced = on_synced
	};
	struct controller *c = xcalloc(1, sizeof(*c));
	c->def = *def;
	c->loop = loop;
	c->client = client;
	c->queue = kube_queue_new(&(struct kube_queue_options){ .loop = loop,
								.name = def->name,
								.max_runs = def->concurrency,
								.backoff_max = def->backoff_max,
								.run = start_reconcile,
								.data = c });
	for (size_t i = 0; c->def.caches[i].resource; i++) {
		c->watched[i] = (struct watched){ c, &c->def.caches[i] };
		kube_informer_handle(c->def.caches[i].informer, &handlers, &c->watched[i]);
	}
	return c;
}

void controller_start(struct controller *c)
{
	for (const struct controller_cache *k = c->def.caches; k->resource; k++)
		kube_informer_start(k->informer);
}

/* Of one that has decided nothing, nothing is lost. */
static void leave_undecided(struct controller *c)
{
	map_for_each(&c->memories, i) {
		struct reconcile *r = ((struct memory *)c->memories.entries[i].value)->reconcile;
		if (r && !r->decided)
			finish(r, KUBE_DONE, 0);
	}
}

void controller_stop(struct controller *c, loop_fn drained, void *data)
{
	c->stopping = true;
	leave_undecided(c);
	kube_queue_stop(c->queue, drained, data);
}

struct controller *controller_free(struct controller *c)
{
	if (!c)
		return NULL;
	map_for_each(&c->memories, i) {
		struct memory *m = c->memories.entries[i].value;
		if (m->reconcile)
			reconcile_free(m->reconcile);
		memory_free(m);
	}
	map_done(&c->memories);
	kube_queue_free(c->queue);
	for (const struct controller_cache *k = c->def.caches; k->resource; k++)
		kube_informer_free(k->informer);
	free(c);
	return NULL;
}
