#pragma once
/* The event loop of a thread: timers, posted work, descriptors, jobs, signals, clocks and random
 * bytes. Two back ends behind one interface:
 *
 *   loop_new()          libuv and the machine's clocks;
 *   loop_new_virtual()  no descriptors, a clock that jumps to the next timer, random bytes from a
 *                       seed: the deterministic simulation.
 *
 * A loop belongs to the thread that runs it; only functions marked "any thread" may be called from
 * others. Callbacks never run before the call that asked for them has returned. */

#include <stdbool.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/heap.h"
#include "base/list.h"

struct loop;
struct loop_io;
struct loop_job;
struct loop_signal;

typedef void (*loop_fn)(void *data);

int loop_new(struct loop **ret, struct err *err);
/* Wall clock starts at `wall`; the same seed gives the same run. */
struct loop *loop_new_virtual(uint64_t seed, usec_t wall);
/* All ios, signals and jobs must be closed and all timers stopped. Posted work is dropped. */
struct loop *loop_free(struct loop *loop);

/* Runs until loop_stop(), or (virtual) until nothing is left to do. */
void loop_run(struct loop *loop);
/* Virtual only: runs all that is due until the clock stands at `until` (monotonic). */
void loop_run_until(struct loop *loop, usec_t until);
void loop_stop(struct loop *loop); /* any thread */
/* At the end, when the loop does not run any more: runs what is posted, and what that posts. */
void loop_drain(struct loop *loop);

typedef void (*loop_slow_fn)(void *data, const char *name, usec_t took);

/* fn (may be NULL) is called for each callback that takes longer, by its name (of its timer or io;
 * the function that was posted); 0, the default: of none. One in ten seconds is also logged, with
 * the number of those that were not. On a virtual loop nothing takes time: there a callback costs a
 * microsecond for each entry of a map that it walks past, so that the simulation finds walks over
 * all hosts on any machine. */
void loop_set_slow_limit(struct loop *loop, usec_t limit, loop_slow_fn fn, void *data);

/* Monotonic, counting suspend (CLOCK_BOOTTIME). any thread */
usec_t loop_now(const struct loop *loop);
/* Since the epoch. any thread */
usec_t loop_wall(const struct loop *loop);

void loop_random(struct loop *loop, void *out, size_t len);
/* Uniform in [0, bound), bound > 0. */
uint64_t loop_random_below(struct loop *loop, uint64_t bound);

/* Runs fn(data) on the loop's thread, after the current callback, in order. The text of `fn` names
 * the callback when it takes too long. any thread */
#define loop_post(loop, fn, data) loop_post_named((loop), #fn, (fn), (data))
void loop_post_named(struct loop *loop, const char *name, loop_fn fn, void *data);

/* --- timers: embedded, so that setting one never fails ------------------------------------- */

struct timer {
	struct heap_node node;
	struct loop *loop;
	loop_fn fn;
	void *data;
	const char *name; /* static: names the callback when it takes too long */
};

void timer_init(struct timer *t, struct loop *loop, const char *name, loop_fn fn, void *data);
/* Fires once at monotonic time `at`; a later call replaces the earlier one. */
void timer_set_at(struct timer *t, usec_t at);
void timer_set_in(struct timer *t, usec_t delay);
/* As timer_set_at, but an earlier time that is already set stays. */
void timer_set_before(struct timer *t, usec_t at);
void timer_stop(struct timer *t); /* harmless when not set or never initialised with zeros */
bool timer_is_set(const struct timer *t);

/* --- descriptors ---------------------------------------------------------------------------- */

enum { LOOP_READ = 1, LOOP_WRITE = 2 };

typedef void (*loop_io_fn)(void *data, int events);

/* Watches fd (not owned) for `events`; level-triggered. Errors and hang-ups count as readable. */
int loop_io_open(struct loop *loop, int fd, int events, const char *name, loop_io_fn fn, void *data,
		 struct loop_io **ret, struct err *err);
int loop_io_set(struct loop_io *io, int events, struct err *err);
/* No callback runs after this returns; the fd may be closed at once. Returns NULL. */
struct loop_io *loop_io_close(struct loop_io *io);

/* --- jobs: a function on the pool's threads -------------------------------------------------- */

/* work(data) runs on another thread (virtual: on this one, at once but after return); then
 * done(data) on the loop, named as posts are. `work` must not touch anything but what data owns. */
#define loop_job(loop, work, done, data) loop_job_named((loop), #done, (work), (done), (data))
void loop_job_named(struct loop *loop, const char *name, loop_fn work, loop_fn done, void *data);

/* --- signals (libuv only) -------------------------------------------------------------------- */

int loop_signal_open(struct loop *loop, int signum, loop_fn fn, void *data,
		     struct loop_signal **ret, struct err *err);
struct loop_signal *loop_signal_close(struct loop_signal *s);
