/* The real back end, on libuv. One uv_timer serves the whole heap, one uv_async all posts. libuv
 * frees handles only through its loop, so io and signal objects die in their close callback; their
 * own callback is cleared first, which keeps the promise that nothing runs after close. */

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <uv.h>

#include "base/mem.h"
#include "loop/internal.h"

struct uv_loop_box {
	struct loop base;
	uv_loop_t uv;
	uv_timer_t timer;
	uv_async_t async;
};

struct uv_io {
	struct loop_io base;
	uv_poll_t poll;
	const char *name;
	loop_io_fn fn;
	void *data;
};

struct uv_sig {
	struct loop_signal base;
	uv_signal_t signal;
	loop_fn fn;
	void *data;
};

struct uv_job {
	uv_work_t work;
	struct loop *loop;
	const char *name;
	loop_fn run, done;
	void *data;
};

static struct uv_loop_box *box(const struct loop *loop)
{
	return (struct uv_loop_box *)loop;
}

static usec_t read_clock(clockid_t id)
{
	struct timespec ts;
	clock_gettime(id, &ts);
	return (usec_t)ts.tv_sec * USEC_PER_SEC + (usec_t)ts.tv_nsec / 1000;
}

static usec_t now(const struct loop *loop)
{
	(void)loop;
	return read_clock(CLOCK_BOOTTIME);
}

static usec_t wall(const struct loop *loop)
{
	(void)loop;
	return read_clock(CLOCK_REALTIME);
}

static void random_bytes(struct loop *loop, void *out, size_t len)
{
	(void)loop;
	for (size_t done = 0; done < len;) {
		ssize_t n = getrandom((char *)out + done, len - done, 0);
		if (n > 0)
			done += (size_t)n;
		else if (errno != EINTR)
			abort(); /* a kernel without getrandom cannot make tokens */
	}
}

static void wake(struct loop *loop)
{
	uv_async_send(&box(loop)->async);
}

static void on_timer(uv_timer_t *timer)
{
	struct loop *loop = timer->data;
	loop_run_timers(loop, now(loop));
}

static void rearm(struct loop *loop)
{
	const struct heap_node *first = heap_first(&loop->timers);
	uv_timer_stop(&box(loop)->timer);
	if (!first || first->key == USEC_INFINITY || loop_stopping(loop))
		return;
	usec_t at = now(loop);
	if (first->key <= at) {
		/* Not a timer of 0: libuv runs those again and again before it looks at
		 * descriptors. */
		wake(loop);
		return;
	}
	/* libuv counts from its cached time, which is stale after a long callback. */
	uv_update_time(&box(loop)->uv);
	uv_timer_start(&box(loop)->timer, on_timer, (first->key - at + 999) / 1000, 0);
}

static void on_async(uv_async_t *async)
{
	struct loop *loop = async->data;
	if (loop_run_posts(loop))
		wake(loop); /* what the callbacks posted: the send may have been merged into ours */
	if (!loop_stopping(loop))
		loop_run_timers(loop, now(loop));
	if (loop_stopping(loop))
		uv_stop(&box(loop)->uv);
}

static void run(struct loop *loop)
{
	wake(loop); /* for posts that an earlier run left behind */
	if (!loop_stopping(loop))
		uv_run(&box(loop)->uv, UV_RUN_DEFAULT);
}

static void close_walk(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void free_loop(struct loop *loop)
{
	struct uv_loop_box *b = box(loop);
	uv_walk(&b->uv, close_walk, NULL);
	uv_run(&b->uv, UV_RUN_DEFAULT);
	uv_loop_close(&b->uv);
	loop_base_done(loop);
	free(b);
}

/* --- descriptors ---------------------------------------------------------------------------- */

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct uv_io *io = poll->data;
	int mine = (events & UV_READABLE ? LOOP_READ : 0) | (events & UV_WRITABLE ? LOOP_WRITE : 0);
	if (status < 0)
		mine |= LOOP_READ; /* the owner's read will tell what happened */
	if (!io->fn)
		return;
	struct loop *loop = io->base.loop;
	const char *name = io->name;
	usec_t entered = loop_enter(loop);
	io->fn(io->data, mine);
	loop_leave(loop, entered, name);
}

static void on_io_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static int io_set(struct loop_io *base, int events, struct err *err)
{
	struct uv_io *io = (struct uv_io *)base;
	int wanted = (events & LOOP_READ ? UV_READABLE : 0) |
		     (events & LOOP_WRITE ? UV_WRITABLE : 0);
	int r = wanted ? uv_poll_start(&io->poll, wanted, on_poll) : uv_poll_stop(&io->poll);
	return r < 0 ? err_set_errno(err, r, "cannot watch a descriptor (%s)", io->name) : 0;
}

static void io_close(struct loop_io *base)
{
	struct uv_io *io = (struct uv_io *)base;
	io->fn = NULL;
	uv_poll_stop(&io->poll);
	uv_close((uv_handle_t *)&io->poll, on_io_closed);
}

static int io_open(struct loop *loop, int fd, int events, const char *name, loop_io_fn fn,
		   void *data, struct loop_io **ret, struct err *err)
{
	struct uv_io *io = xcalloc(1, sizeof(*io));
	*io = (struct uv_io){ .base.loop = loop, .name = name, .fn = fn, .data = data };
	io->poll.data = io;
	int r = uv_poll_init(&box(loop)->uv, &io->poll, fd);
	if (r < 0) {
		free(io);
		return err_set_errno(err, r, "cannot watch a descriptor (%s)", name);
	}
	r = io_set(&io->base, events, err);
	if (r < 0) {
		io_close(&io->base);
		return r;
	}
	*ret = &io->base;
	return 0;
}

/* --- jobs ------------------------------------------------------------------------------------ */

static void on_work(uv_work_t *work)
{
	struct uv_job *job = work->data;
	job->run(job->data);
}

static void on_work_done(uv_work_t *work, int status)
{
	(void)status; /* jobs are never cancelled: their owner decides what a late answer means */
	struct uv_job *job = work->data;
	usec_t entered = loop_enter(job->loop);
	job->done(job->data);
	loop_leave(job->loop, entered, job->name);
	free(job);
}

static void job(struct loop *loop, const char *name, loop_fn work, loop_fn done, void *data)
{
	struct uv_job *j = xcalloc(1, sizeof(*j));
	*j = (struct uv_job){ .loop = loop, .name = name, .run = work, .done = done, .data = data };
	j->work.data = j;
	uv_queue_work(&box(loop)->uv, &j->work, on_work, on_work_done);
}

/* --- signals --------------------------------------------------------------------------------- */

static void on_signal(uv_signal_t *handle, int signum)
{
	(void)signum;
	struct uv_sig *s = handle->data;
	if (s->fn)
		s->fn(s->data);
}

static int signal_open(struct loop *loop, int signum, loop_fn fn, void *data,
		       struct loop_signal **ret, struct err *err)
{
	struct uv_sig *s = xcalloc(1, sizeof(*s));
	*s = (struct uv_sig){ .base.loop = loop, .fn = fn, .data = data };
	s->signal.data = s;
	uv_signal_init(&box(loop)->uv, &s->signal);
	int r = uv_signal_start(&s->signal, on_signal, signum);
	if (r < 0) {
		uv_close((uv_handle_t *)&s->signal, on_io_closed);
		return err_set_errno(err, r, "cannot catch signal %d", signum);
	}
	*ret = &s->base;
	return 0;
}

static void signal_close(struct loop_signal *base)
{
	struct uv_sig *s = (struct uv_sig *)base;
	s->fn = NULL;
	uv_close((uv_handle_t *)&s->signal, on_io_closed);
}

static const struct loop_backend backend = {
	.free = free_loop,
	.run = run,
	.wake = wake,
	.rearm = rearm,
	.now = now,
	.wall = wall,
	.cost = now,
	.random = random_bytes,
	.job = job,
	.io_open = io_open,
	.io_set = io_set,
	.io_close = io_close,
	.signal_open = signal_open,
	.signal_close = signal_close,
};

int loop_new(struct loop **ret, struct err *err)
{
	struct uv_loop_box *b = xcalloc(1, sizeof(*b));
	int r = uv_loop_init(&b->uv);
	if (r < 0) {
		free(b);
		return err_set_errno(err, r, "cannot start an event loop");
	}
	loop_base_init(&b->base, &backend);
	uv_timer_init(&b->uv, &b->timer);
	uv_async_init(&b->uv, &b->async, on_async);
	b->timer.data = b->async.data = b;
	*ret = &b->base;
	return 0;
}
