#pragma once
/* What the two back ends share with loop.c. Not for other modules. */

#include <pthread.h>

#include "loop/loop.h"

struct loop_backend {
	void (*free)(struct loop *loop);
	void (*run)(struct loop *loop);
	void (*wake)(
		struct loop *loop); /* something was posted or stop was asked for; any thread */
	void (*rearm)(struct loop *loop); /* the first timer may have changed */
	usec_t (*now)(const struct loop *loop);
	usec_t (*wall)(const struct loop *loop);
	usec_t (*cost)(const struct loop *loop); /* grows with what callbacks cost */
	void (*random)(struct loop *loop, void *out, size_t len);
	void (*job)(struct loop *loop, const char *name, loop_fn work, loop_fn done, void *data);
	int (*io_open)(struct loop *loop, int fd, int events, const char *name, loop_io_fn fn,
		       void *data, struct loop_io **ret, struct err *err);
	int (*io_set)(struct loop_io *io, int events, struct err *err);
	void (*io_close)(struct loop_io *io);
	int (*signal_open)(struct loop *loop, int signum, loop_fn fn, void *data,
			   struct loop_signal **ret, struct err *err);
	void (*signal_close)(struct loop_signal *s);
};

/* First member of each back end's loop. */
struct loop {
	const struct loop_backend *backend;
	struct heap timers;
	struct {
		usec_t limit;
		loop_slow_fn fn;
		void *data;
		usec_t logged_at;
		unsigned unlogged; /* since then */
	} slow;
	pthread_mutex_t lock; /* guards the two below */
	struct list posts;    /* of struct post */
	bool stopping;
};

/* First members of each back end's io and signal. */
struct loop_io {
	struct loop *loop;
};
struct loop_signal {
	struct loop *loop;
};

void loop_base_init(struct loop *loop, const struct loop_backend *backend);
void loop_base_done(struct loop *loop);
/* Runs what was posted before the call; true if there was anything. */
bool loop_run_posts(struct loop *loop);
/* Runs the timers that are due at `now` and were set before the call. */
void loop_run_timers(struct loop *loop, usec_t now);
bool loop_stopping(struct loop *loop);
/* Around each callback, for the slow log. */
usec_t loop_enter(const struct loop *loop);
void loop_leave(struct loop *loop, usec_t entered, const char *name);
