/* What both back ends share: the timer heap, the queue of posted work, the slow-callback log. The
 * heap belongs to the loop's thread; only the queue is shared, under its lock. */

#include "loop/loop.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "loop/internal.h"

struct post {
	struct list link;
	const char *name;
	loop_fn fn;
	void *data;
};

static const usec_t SLOW_LOG_REST = 10 * USEC_PER_SEC;

void loop_base_init(struct loop *loop, const struct loop_backend *backend)
{
	loop->backend = backend;
	list_init(&loop->posts);
	pthread_mutex_init(&loop->lock, NULL);
}

void loop_base_done(struct loop *loop)
{
	for (struct list *l; (l = list_take_first(&loop->posts));)
		free(list_entry(l, struct post, link));
	heap_done(&loop->timers);
	pthread_mutex_destroy(&loop->lock);
}

struct loop *loop_free(struct loop *loop)
{
	if (loop)
		loop->backend->free(loop);
	return NULL;
}

void loop_run(struct loop *loop)
{
	loop->backend->run(loop);
	pthread_mutex_lock(&loop->lock);
	loop->stopping = false;
	pthread_mutex_unlock(&loop->lock);
}

void loop_stop(struct loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	loop->stopping = true;
	pthread_mutex_unlock(&loop->lock);
	loop->backend->wake(loop);
}

bool loop_stopping(struct loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	bool stopping = loop->stopping;
	pthread_mutex_unlock(&loop->lock);
	return stopping;
}

usec_t loop_now(const struct loop *loop)
{
	return loop->backend->now(loop);
}

usec_t loop_wall(const struct loop *loop)
{
	return loop->backend->wall(loop);
}

void loop_random(struct loop *loop, void *out, size_t len)
{
	loop->backend->random(loop, out, len);
}

uint64_t loop_random_below(struct loop *loop, uint64_t bound)
{
	/* Values above the last whole multiple of bound would favour small results. */
	uint64_t limit = UINT64_MAX - UINT64_MAX % bound, value;
	do
		loop_random(loop, &value, sizeof(value));
	while (value >= limit);
	return value % bound;
}

void loop_set_slow_limit(struct loop *loop, usec_t limit, loop_slow_fn fn, void *data)
{
	loop->slow.limit = limit;
	loop->slow.fn = fn;
	loop->slow.data = data;
}

usec_t loop_enter(const struct loop *loop)
{
	return loop->slow.limit ? loop->backend->cost(loop) : 0;
}

static void log_slow(struct loop *loop, const char *name, usec_t took)
{
	usec_t now = loop_now(loop);
	char text[32], others[16];
	if (loop->slow.logged_at && now < loop->slow.logged_at + SLOW_LOG_REST) {
		loop->slow.unlogged++;
		return;
	}
	snprintf(text, sizeof(text), "%" PRIu64 "ms", took / USEC_PER_MSEC);
	snprintf(others, sizeof(others), "%u", loop->slow.unlogged);
	log_warn("slow callback", "callback", name, "took", text, "notLogged",
		 loop->slow.unlogged ? others : NULL);
	loop->slow.logged_at = now;
	loop->slow.unlogged = 0;
}

void loop_leave(struct loop *loop, usec_t entered, const char *name)
{
	if (!loop->slow.limit)
		return;
	usec_t took = loop->backend->cost(loop) - entered;
	if (took <= loop->slow.limit)
		return;
	log_slow(loop, name, took);
	if (loop->slow.fn)
		loop->slow.fn(loop->slow.data, name, took);
}

void loop_post_named(struct loop *loop, const char *name, loop_fn fn, void *data)
{
	struct post *p = xmalloc(sizeof(*p));
	*p = (struct post){ .name = name, .fn = fn, .data = data };
	pthread_mutex_lock(&loop->lock);
	list_append(&loop->posts, &p->link);
	pthread_mutex_unlock(&loop->lock);
	loop->backend->wake(loop);
}

static struct post *next_post(struct loop *loop, const struct list *last, bool *ret_was_last)
{
	pthread_mutex_lock(&loop->lock);
	struct list *l = list_take_first(&loop->posts);
	pthread_mutex_unlock(&loop->lock);
	*ret_was_last = l == last;
	return l ? list_entry(l, struct post, link) : NULL;
}

static void run_post(struct loop *loop, struct post *p)
{
	usec_t entered = loop_enter(loop);
	p->fn(p->data);
	loop_leave(loop, entered, p->name);
	free(p);
}

void loop_drain(struct loop *loop)
{
	bool was_last;
	for (struct post *p; (p = next_post(loop, NULL, &was_last));)
		run_post(loop, p);
}

bool loop_run_posts(struct loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	/* What a callback posts waits for the next round, so that timers and ios get their turn. */
	const struct list *last = list_empty(&loop->posts) ? NULL : loop->posts.prev;
	pthread_mutex_unlock(&loop->lock);
	for (bool was_last = last == NULL; !was_last && !loop_stopping(loop);) {
		run_post(loop, next_post(loop, last, &was_last));
	}
	return last != NULL;
}

/* --- timers ---------------------------------------------------------------------------------- */

void timer_init(struct timer *t, struct loop *loop, const char *name, loop_fn fn, void *data)
{
	*t = (struct timer){ .loop = loop, .fn = fn, .data = data, .name = name };
}

void timer_set_at(struct timer *t, usec_t at)
{
	heap_remove(&t->loop->timers, &t->node);
	heap_add(&t->loop->timers, &t->node, at);
	t->loop->backend->rearm(t->loop);
}

void timer_set_in(struct timer *t, usec_t delay)
{
	usec_t now = loop_now(t->loop);
	timer_set_at(t, delay > USEC_INFINITY - now ? USEC_INFINITY : now + delay);
}

void timer_set_before(struct timer *t, usec_t at)
{
	if (!timer_is_set(t) || at < t->node.key)
		timer_set_at(t, at);
}

void timer_stop(struct timer *t)
{
	if (!timer_is_set(t))
		return;
	heap_remove(&t->loop->timers, &t->node);
	t->loop->backend->rearm(t->loop);
}

bool timer_is_set(const struct timer *t)
{
	return heap_contains(&t->node);
}

void loop_run_timers(struct loop *loop, usec_t now)
{
	uint64_t end = loop->timers.next_seq;
	for (struct heap_node *n; (n = heap_first(&loop->timers)) && n->key <= now;) {
		/* A timer that sets itself to "now" again must not starve the rest. */
		if (n->seq >= end || loop_stopping(loop))
			break;
		struct timer *t = container_of(n, struct timer, node);
		const char *name = t->name;
		heap_remove(&loop->timers, n);
		usec_t entered = loop_enter(loop);
		t->fn(t->data);
		loop_leave(loop, entered, name);
	}
	loop->backend->rearm(loop);
}

/* --- passed on to the back end ---------------------------------------------------------------- */

int loop_io_open(struct loop *loop, int fd, int events, const char *name, loop_io_fn fn, void *data,
		 struct loop_io **ret, struct err *err)
{
	return loop->backend->io_open(loop, fd, events, name, fn, data, ret, err);
}

int loop_io_set(struct loop_io *io, int events, struct err *err)
{
	return io->loop->backend->io_set(io, events, err);
}

struct loop_io *loop_io_close(struct loop_io *io)
{
	if (io)
		io->loop->backend->io_close(io);
	return NULL;
}

void loop_job_named(struct loop *loop, const char *name, loop_fn work, loop_fn done, void *data)
{
	loop->backend->job(loop, name, work, done, data);
}

int loop_signal_open(struct loop *loop, int signum, loop_fn fn, void *data,
		     struct loop_signal **ret, struct err *err)
{
	return loop->backend->signal_open(loop, signum, fn, data, ret, err);
}

struct loop_signal *loop_signal_close(struct loop_signal *s)
{
	if (s)
		s->loop->backend->signal_close(s);
	return NULL;
}
