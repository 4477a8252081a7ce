/* The simulated back end: no descriptors, no signals, a clock that stands still while callbacks run
 * and then jumps to the next timer, random bytes from a seed. Jobs run on this thread, in order.
 * Two runs with the same seed and the same calls are the same to the last callback. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "loop/internal.h"

struct virtual_loop {
	struct loop base;
	usec_t now;
	usec_t wall_offset;
	uint64_t random_state;
};

struct virtual_job {
	struct loop *loop;
	const char *name;
	loop_fn work, done;
	void *data;
};

static struct virtual_loop *box(const struct loop *loop)
{
	return (struct virtual_loop *)loop;
}

static usec_t cost(const struct loop *loop)
{
	(void)loop;
	return map_walked;
}

static usec_t now(const struct loop *loop)
{
	return box(loop)->now;
}

static usec_t wall(const struct loop *loop)
{
	return box(loop)->wall_offset + box(loop)->now;
}

/* SplitMix64 (Steele, Lea, Flood 2014): small, and every seed is good. */
static uint64_t next_random(struct virtual_loop *v)
{
	uint64_t z = v->random_state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void random_bytes(struct loop *loop, void *out, size_t len)
{
	for (size_t i = 0; i < len; i += 8) {
		uint64_t r = next_random(box(loop));
		memcpy((char *)out + i, &r, MIN(len - i, sizeof(r)));
	}
}

static void nothing(struct loop *loop)
{
	(void)loop;
}

/* One round: what is posted, else the next timers up to `until`. False when nothing is left. */
static bool step(struct loop *loop, usec_t until)
{
	if (loop_run_posts(loop))
		return true;
	const struct heap_node *first = heap_first(&loop->timers);
	if (!first || first->key > until || first->key == USEC_INFINITY)
		return false;
	box(loop)->now = MAX(box(loop)->now, first->key);
	loop_run_timers(loop, box(loop)->now);
	return true;
}

static void run(struct loop *loop)
{
	while (!loop_stopping(loop) && step(loop, USEC_INFINITY))
		;
}

void loop_run_until(struct loop *loop, usec_t until)
{
	while (!loop_stopping(loop) && step(loop, until))
		;
	if (!loop_stopping(loop))
		box(loop)->now = MAX(box(loop)->now, until);
	pthread_mutex_lock(&loop->lock);
	loop->stopping = false;
	pthread_mutex_unlock(&loop->lock);
}

static void finish_job(void *data)
{
	struct virtual_job *j = data;
	j->done(j->data);
	free(j);
}

static void start_job(void *data)
{
	struct virtual_job *j = data;
	j->work(j->data);
	loop_post_named(j->loop, j->name, finish_job, j);
}

static void job(struct loop *loop, const char *name, loop_fn work, loop_fn done, void *data)
{
	struct virtual_job *j = xmalloc(sizeof(*j));
	*j = (struct virtual_job){
		.loop = loop, .name = name, .work = work, .done = done, .data = data
	};
	loop_post(loop, start_job, j);
}

static int io_open(struct loop *loop, int fd, int events, const char *name, loop_io_fn fn,
		   void *data, struct loop_io **ret, struct err *err)
{
	(void)loop, (void)fd, (void)events, (void)fn, (void)data, (void)ret;
	return err_set(err, ERR_UNSUPPORTED, "no descriptors on a virtual loop (%s)", name);
}

static int signal_open(struct loop *loop, int signum, loop_fn fn, void *data,
		       struct loop_signal **ret, struct err *err)
{
	(void)loop, (void)fn, (void)data, (void)ret;
	return err_set(err, ERR_UNSUPPORTED, "no signals on a virtual loop (%d)", signum);
}

static void free_loop(struct loop *loop)
{
	loop_base_done(loop);
	free(box(loop));
}

static const struct loop_backend backend = {
	.free = free_loop,
	.run = run,
	.wake = nothing,
	.rearm = nothing,
	.now = now,
	.wall = wall,
	.cost = cost,
	.random = random_bytes,
	.job = job,
	.io_open = io_open,
	.signal_open = signal_open,
};

struct loop *loop_new_virtual(uint64_t seed, usec_t wall_start)
{
	struct virtual_loop *v = xcalloc(1, sizeof(*v));
	loop_base_init(&v->base, &backend);
	/* Not 0: a time that was never set must not look like one that has passed. */
	v->now = USEC_PER_SEC;
	v->wall_offset = wall_start - v->now;
	v->random_state = seed;
	return &v->base;
}
