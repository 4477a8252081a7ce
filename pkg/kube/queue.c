/* Work queue (the scheduler is kube-rs's: earlier wins, a running key is held). An entry is in one
 * of three places: on the list of ready keys, in the heap of delayed ones, or running; a running
 * one may be marked to run again. Entries stay while there is something to remember.
 *
 * One key starts per turn of the loop, so that a queue of ten thousand does not keep sockets
 * waiting. All order comes from the order of the calls and the clock of the loop. Core thread. */

#include "kube/queue.h"

#include <stdlib.h>

#include "base/heap.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "metrics/metrics.h"

struct entry {
	struct list ready;	/* on queue->ready */
	struct heap_node delay; /* in queue->delayed */
	char *key;
	unsigned failures;
	bool running, again;
	usec_t ready_at, run_at;
};

struct kube_queue {
	struct kube_queue_options o;
	struct map entries;
	struct list ready;
	struct heap delayed;
	struct timer dispatch, alarm;
	bool started, stopping;
	loop_fn drained;
	void *drained_data;
	struct timer drained_timer;
	struct kube_queue_stats stats;
};

/* --- entries
 * ------------------------------------------------------------------------------------------ */

static struct entry *get(struct kube_queue *q, const char *key)
{
	struct entry *e = map_get(&q->entries, key);
	if (e)
		return e;
	e = xcalloc(1, sizeof(*e));
	e->key = xstrdup(key);
	list_init(&e->ready);
	map_set(&q->entries, key, e);
	return e;
}

static void unschedule(struct kube_queue *q, struct entry *e)
{
	q->stats.ready -= !list_empty(&e->ready);
	q->stats.delayed -= heap_contains(&e->delay);
	list_unlink(&e->ready);
	heap_remove(&q->delayed, &e->delay);
}

/* How many wait and how many run, after each change. */
static void tell_counts(const struct kube_queue *q)
{
	const char *name = q->o.name;
	metric_set(METRIC_QUEUE_DEPTH, (double)q->stats.ready, name, name);
	metric_set(METRIC_WORKERS, (double)q->stats.running, name);
}

static void drop_if_idle(struct kube_queue *q, struct entry *e)
{
	if (e->running || e->failures > 0 || !list_empty(&e->ready) || heap_contains(&e->delay))
		return;
	map_remove(&q->entries, e->key);
	free(e->key);
	free(e);
}

static void kick(struct kube_queue *q)
{
	if (q->started && !q->stopping && q->stats.running < q->o.max_runs &&
	    !list_empty(&q->ready))
		timer_set_before(&q->dispatch, loop_now(q->o.loop));
}

static void set_alarm(struct kube_queue *q)
{
	const struct heap_node *first = heap_first(&q->delayed);
	if (first)
		timer_set_at(&q->alarm, first->key);
	else
		timer_stop(&q->alarm);
}

static void make_ready(struct kube_queue *q, struct entry *e)
{
	if (!list_empty(&e->ready))
		return;
	unschedule(q, e);
	e->ready_at = loop_now(q->o.loop);
	q->stats.ready++;
	list_append(&q->ready, &e->ready);
	tell_counts(q);
	kick(q);
}

static void make_delayed(struct kube_queue *q, struct entry *e, usec_t at)
{
	if (!list_empty(&e->ready) || (heap_contains(&e->delay) && e->delay.key <= at))
		return;
	unschedule(q, e);
	q->stats.delayed++;
	heap_add(&q->delayed, &e->delay, at);
}

/* --- time
 * --------------------------------------------------------------------------------------------- */

static void on_alarm(void *data)
{
	struct kube_queue *q = data;
	usec_t now = loop_now(q->o.loop);
	for (struct heap_node *n; (n = heap_first(&q->delayed)) && n->key <= now;) {
		struct entry *e = container_of(n, struct entry, delay);
		if (e->running) {
			unschedule(q, e);
			e->again = true;
		} else {
			make_ready(q, e);
		}
	}
	set_alarm(q);
}

static double seconds(usec_t span)
{
	return (double)span / (double)USEC_PER_SEC;
}

static void on_dispatch(void *data)
{
	struct kube_queue *q = data;
	if (q->stopping || list_empty(&q->ready) || q->stats.running >= q->o.max_runs)
		return;
	struct entry *e = list_entry(q->ready.next, struct entry, ready);
	usec_t now = loop_now(q->o.loop);
	unschedule(q, e);
	e->running = true;
	e->run_at = now;
	q->stats.running++;
	q->stats.runs++;
	q->stats.queue_time += now - e->ready_at;
	metric_observe(METRIC_QUEUE_SECONDS, seconds(now - e->ready_at), q->o.name, q->o.name);
	tell_counts(q);
	kick(q); /* the next one's turn comes after this one, whatever it does */
	q->o.run(q->o.data, e->key);
}

static usec_t backoff(const struct kube_queue *q, unsigned failures)
{
	usec_t wait = q->o.backoff_min;
	for (unsigned i = 1; i < failures && wait < q->o.backoff_max; i++)
		wait *= 2;
	return MIN(wait, q->o.backoff_max);
}

/* --- for users
 * ---------------------------------------------------------------------------------------- */

static void count_added(struct kube_queue *q)
{
	q->stats.added++;
	metric_add(METRIC_QUEUE_ADDS, 1, q->o.name, q->o.name);
}

void kube_queue_add(struct kube_queue *q, const char *key)
{
	struct entry *e = get(q, key);
	count_added(q);
	if (e->running)
		e->again = true;
	else
		make_ready(q, e);
}

void kube_queue_add_at(struct kube_queue *q, const char *key, usec_t at)
{
	struct entry *e = get(q, key);
	count_added(q);
	if (at <= loop_now(q->o.loop) && !e->running)
		make_ready(q, e);
	else
		make_delayed(q, e, at);
	set_alarm(q);
}

void kube_queue_add_in(struct kube_queue *q, const char *key, usec_t delay)
{
	usec_t now = loop_now(q->o.loop);
	kube_queue_add_at(q, key, delay > USEC_INFINITY - now ? USEC_INFINITY : now + delay);
}

static void settle(struct kube_queue *q, struct entry *e, enum kube_verdict verdict,
		   usec_t again_in)
{
	usec_t now = loop_now(q->o.loop);
	switch (verdict) {
	case KUBE_DONE:
		e->failures = 0;
		if (again_in > 0)
			make_delayed(q, e,
				     again_in > USEC_INFINITY - now ? USEC_INFINITY
								    : now + again_in);
		return;
	case KUBE_RETRY:
		q->stats.retried++;
		make_delayed(q, e, now + backoff(q, ++e->failures));
		return;
	case KUBE_DROP:
		e->failures = 0;
		return;
	}
}

/* By controller-runtime's names of results. */
static void count_run(const struct kube_queue *q, const struct entry *e, enum kube_verdict verdict,
		      usec_t again_in)
{
	const char *name = q->o.name, *result = "error";
	double took = seconds(loop_now(q->o.loop) - e->run_at);
	metric_observe(METRIC_QUEUE_WORK_SECONDS, took, name, name);
	metric_observe(METRIC_RECONCILE_SECONDS, took, name);
	if (verdict == KUBE_DONE)
		result = again_in > 0 ? "requeue_after" : e->again ? "requeue" : "success";
	else
		metric_add(METRIC_RECONCILE_ERRORS, 1, name);
	if (verdict == KUBE_RETRY)
		metric_add(METRIC_QUEUE_RETRIES, 1, name, name);
	if (verdict == KUBE_DROP)
		metric_add(METRIC_RECONCILE_TERMINAL_ERRORS, 1, name);
	metric_add(METRIC_RECONCILES, 1, name, result);
}

static void check_drained(struct kube_queue *q)
{
	if (q->stopping && q->stats.running == 0 && q->drained)
		timer_set_in(&q->drained_timer, 0);
}

void kube_queue_finish(struct kube_queue *q, const char *key, enum kube_verdict verdict,
		       usec_t again_in)
{
	struct entry *e = map_get(&q->entries, key);
	if (!e || !e->running) {
		log_error("kube_queue_finish() for a key that is not running", "queue", q->o.name,
			  "key", key);
		abort();
	}
	e->running = false;
	q->stats.running--;
	q->stats.work_time += loop_now(q->o.loop) - e->run_at;
	count_run(q, e, verdict, again_in);
	tell_counts(q);
	settle(q, e, verdict, again_in);
	if (e->again)
		make_ready(q, e);
	e->again = false;
	drop_if_idle(q, e);
	set_alarm(q);
	kick(q);
	check_drained(q);
}

void kube_queue_forget(struct kube_queue *q, const char *key)
{
	struct entry *e = map_get(&q->entries, key);
	if (!e)
		return;
	unschedule(q, e);
	e->failures = 0;
	e->again = false;
	drop_if_idle(q, e);
	tell_counts(q);
	set_alarm(q);
}

unsigned kube_queue_failures(const struct kube_queue *q, const char *key)
{
	const struct entry *e = map_get(&q->entries, key);
	return e ? e->failures : 0;
}

usec_t kube_queue_next(const struct kube_queue *q, const char *key)
{
	const struct entry *e = map_get(&q->entries, key);
	if (!e)
		return 0;
	if (e->running || !list_empty(&e->ready))
		return loop_now(q->o.loop);
	return heap_contains(&e->delay) ? e->delay.key : 0;
}

struct kube_queue_stats kube_queue_stats(const struct kube_queue *q)
{
	return q->stats;
}

void kube_queue_measure(const struct kube_queue *q)
{
	usec_t sum = 0, longest = 0, now = loop_now(q->o.loop);
	map_for_each(&q->entries, i) {
		const struct entry *e = q->entries.entries[i].value;
		usec_t span = e->running ? now - e->run_at : 0;
		sum += span;
		longest = MAX(longest, span);
	}
	metric_set(METRIC_QUEUE_UNFINISHED_SECONDS, seconds(sum), q->o.name, q->o.name);
	metric_set(METRIC_QUEUE_LONGEST_SECONDS, seconds(longest), q->o.name, q->o.name);
}

static void on_drained(void *data)
{
	struct kube_queue *q = data;
	loop_fn fn = TAKE_PTR(q->drained);
	if (fn)
		fn(q->drained_data);
}

void kube_queue_start(struct kube_queue *q)
{
	q->started = true;
	kick(q);
}

void kube_queue_stop(struct kube_queue *q, loop_fn drained, void *data)
{
	q->stopping = true;
	q->drained = drained;
	q->drained_data = data;
	check_drained(q);
}

struct kube_queue *kube_queue_new(const struct kube_queue_options *o)
{
	struct kube_queue *q = xcalloc(1, sizeof(*q));
	q->o = *o;
	q->o.max_runs = o->max_runs ? o->max_runs : 1;
	q->o.backoff_min = o->backoff_min ? o->backoff_min : 5 * USEC_PER_MSEC;
	q->o.backoff_max = o->backoff_max ? o->backoff_max : 5 * USEC_PER_MIN;
	list_init(&q->ready);
	timer_init(&q->dispatch, o->loop, o->name, on_dispatch, q);
	timer_init(&q->alarm, o->loop, "queue alarm", on_alarm, q);
	timer_init(&q->drained_timer, o->loop, "queue drained", on_drained, q);
	metric_set(METRIC_RECONCILES_MAX, q->o.max_runs, q->o.name);
	metric_add(METRIC_RECONCILE_PANICS, 0, q->o.name);
	metric_add(METRIC_RECONCILE_TIMEOUTS, 0, q->o.name);
	tell_counts(q);
	return q;
}

struct kube_queue *kube_queue_free(struct kube_queue *q)
{
	if (!q)
		return NULL;
	timer_stop(&q->dispatch);
	timer_stop(&q->alarm);
	timer_stop(&q->drained_timer);
	map_for_each(&q->entries, i) {
		struct entry *e = q->entries.entries[i].value;
		free(e->key);
		free(e);
	}
	heap_done(&q->delayed);
	map_done(&q->entries);
	free(q);
	return NULL;
}
