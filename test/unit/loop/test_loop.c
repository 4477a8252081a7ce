/* Both back ends of the loop by one set of cases, and what only one of them promises. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

#include "base/map.h"
#include "loop/loop.h"

static struct loop *real(void)
{
	struct loop *loop;
	struct err err = { 0 };
	assert_int_equal(loop_new(&loop, &err), 0);
	return loop;
}

static struct loop *simulated(void)
{
	return loop_new_virtual(7, 1700000000 * USEC_PER_SEC);
}

struct trace {
	struct loop *loop;
	char text[64];
	struct timer timer;
	unsigned left;
};

static void mark(struct trace *t, char c)
{
	size_t n = strlen(t->text);
	t->text[n] = c;
	t->text[n + 1] = '\0';
}

static void mark_a(void *data)
{
	mark(data, 'a');
}

static void mark_b(void *data)
{
	mark(data, 'b');
}

static void mark_end(void *data)
{
	struct trace *t = data;
	mark(t, '.');
	loop_stop(t->loop);
}

static void post_again(void *data)
{
	struct trace *t = data;
	mark(t, 'p');
	loop_post(t->loop, mark_end, t);
}

struct order {
	struct trace t;
	struct timer late, early, same;
};

/* From a callback, and from one look at the clock: on a busy machine any time may pass between two
 * lines, and what is posted is not ordered against timers that are due. */
static void set_timers(void *data)
{
	struct order *o = data;
	usec_t now = loop_now(o->t.loop);
	mark(&o->t, 'b');
	timer_set_at(&o->late, now + 3000);
	timer_set_at(&o->early, now + 1000);
	timer_set_at(&o->same, now + 1000);
}

static void check_order(struct loop *loop)
{
	struct order o = { .t.loop = loop };
	timer_init(&o.late, loop, "late", post_again, &o.t);
	timer_init(&o.early, loop, "early", mark_a, &o.t);
	timer_init(&o.same, loop, "same", mark_b, &o.t);
	loop_post(loop, set_timers, &o);
	assert_string_equal(o.t.text, ""); /* nothing runs inside the call above */
	loop_run(loop);
	assert_string_equal(o.t.text, "babp.");
	assert_false(timer_is_set(&o.early));
	loop_free(loop);
}

static void test_order_real(void **state)
{
	(void)state;
	check_order(real());
}

static void test_order_virtual(void **state)
{
	(void)state;
	check_order(simulated());
}

static void test_timer_replace_and_stop(void **state)
{
	(void)state;
	struct loop *loop = simulated();
	struct trace t = { .loop = loop };
	struct timer a, b;
	timer_init(&a, loop, "a", mark_a, &t);
	timer_init(&b, loop, "b", mark_b, &t);
	usec_t now = loop_now(loop);
	timer_set_at(&a, now + 50);
	timer_set_before(&a, now + 90); /* the earlier stays */
	timer_set_at(&b, now + 10);
	timer_stop(&b);
	timer_stop(&b);
	loop_run(loop);
	assert_string_equal(t.text, "a");
	assert_int_equal(loop_now(loop), now + 50);
	loop_free(loop);
}

static void rearm_now(void *data)
{
	struct trace *t = data;
	mark(t, 'r');
	if (--t->left > 0)
		timer_set_in(&t->timer, 0);
	else
		loop_stop(t->loop);
}

static void test_timer_cannot_starve_posts(void **state)
{
	(void)state;
	struct loop *loop = simulated();
	struct trace t = { .loop = loop, .left = 3 };
	timer_init(&t.timer, loop, "again", rearm_now, &t);
	timer_set_in(&t.timer, 0);
	loop_post(loop, mark_a, &t);
	loop_run(loop);
	assert_string_equal(t.text, "arrr");
	loop_free(loop);
}

static void test_virtual_clock_jumps(void **state)
{
	(void)state;
	struct loop *loop = simulated();
	struct trace t = { .loop = loop };
	struct timer a;
	timer_init(&a, loop, "a", mark_a, &t);
	usec_t start = loop_now(loop);
	timer_set_in(&a, 8 * USEC_PER_HOUR);
	loop_run_until(loop, start + USEC_PER_HOUR);
	assert_string_equal(t.text, "");
	assert_int_equal(loop_now(loop), start + USEC_PER_HOUR);
	loop_run(loop);
	assert_string_equal(t.text, "a");
	assert_int_equal(loop_now(loop), start + 8 * USEC_PER_HOUR);
	assert_int_equal(loop_wall(loop), 1700000000 * USEC_PER_SEC + 8 * USEC_PER_HOUR);
	loop_free(loop);
}

static void test_virtual_random_is_seeded(void **state)
{
	(void)state;
	uint64_t a[4], b[4], c[4];
	struct loop *x = loop_new_virtual(1, USEC_PER_HOUR),
		    *y = loop_new_virtual(1, USEC_PER_HOUR),
		    *z = loop_new_virtual(2, USEC_PER_HOUR);
	loop_random(x, a, sizeof(a));
	loop_random(y, b, sizeof(b));
	loop_random(z, c, sizeof(c));
	assert_memory_equal(a, b, sizeof(a));
	assert_memory_not_equal(a, c, sizeof(a));
	for (int i = 0; i < 1000; i++)
		assert_true(loop_random_below(x, 7) < 7);
	loop_free(x), loop_free(y), loop_free(z);
}

struct job {
	struct trace *trace;
	pthread_t main, worker;
};

static void work(void *data)
{
	((struct job *)data)->worker = pthread_self();
}

static void work_done(void *data)
{
	struct job *j = data;
	assert_true(pthread_equal(j->main, pthread_self()));
	mark_end(j->trace);
}

static void check_job(struct loop *loop, bool other_thread)
{
	struct trace t = { .loop = loop };
	struct job j = { .trace = &t, .main = pthread_self() };
	loop_job(loop, work, work_done, &j);
	assert_string_equal(t.text, "");
	loop_run(loop);
	assert_string_equal(t.text, ".");
	assert_int_equal(!pthread_equal(j.worker, j.main), other_thread);
	loop_free(loop);
}

static void test_jobs(void **state)
{
	(void)state;
	check_job(real(), true);
	check_job(simulated(), false);
}

struct pipe_case {
	struct loop *loop;
	struct loop_io *io;
	int fds[2];
	int events;
};

static void on_readable(void *data, int events)
{
	struct pipe_case *c = data;
	c->events = events;
	c->io = loop_io_close(c->io); /* inside its own callback */
	close(c->fds[0]);
	loop_stop(c->loop);
}

static void test_io(void **state)
{
	(void)state;
	struct pipe_case c = { .loop = real() };
	assert_int_equal(pipe2(c.fds, O_CLOEXEC), 0);
	struct err err = { 0 };
	assert_int_equal(
		loop_io_open(c.loop, c.fds[0], LOOP_READ, "pipe", on_readable, &c, &c.io, &err), 0);
	assert_int_equal(write(c.fds[1], "x", 1), 1);
	loop_run(c.loop);
	assert_int_equal(c.events, LOOP_READ);
	close(c.fds[1]);
	loop_free(c.loop);
}

static void test_io_refused_on_virtual(void **state)
{
	(void)state;
	struct loop *loop = simulated();
	struct loop_io *io = NULL;
	struct err err = { 0 };
	assert_true(loop_io_open(loop, 0, LOOP_READ, "stdin", on_readable, NULL, &io, &err) < 0);
	assert_int_equal(err.kind, ERR_UNSUPPORTED);
	loop_free(loop);
}

static void count_down(void *data)
{
	struct trace *t = data;
	if (--t->left == 0)
		loop_stop(t->loop);
}

static void *count_poster(void *data)
{
	struct trace *t = data;
	for (int i = 0; i < 1000; i++)
		loop_post(t->loop, count_down, t);
	return NULL;
}

static void test_posts_from_threads(void **state)
{
	(void)state;
	struct trace t = { .loop = real(), .left = 4000 };
	pthread_t threads[4];
	for (size_t i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, count_poster, &t);
	loop_run(t.loop);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(t.left, 0);
	loop_free(t.loop);
}

static void spin(void *data)
{
	timer_set_in(&((struct trace *)data)->timer, 0);
}

static void test_timer_cannot_starve_io(void **state)
{
	(void)state;
	struct pipe_case c = { .loop = real() };
	struct trace t = { .loop = c.loop };
	struct err err = { 0 };
	assert_int_equal(pipe2(c.fds, O_CLOEXEC), 0);
	timer_init(&t.timer, c.loop, "spin", spin, &t);
	timer_set_in(&t.timer, 0);
	assert_int_equal(
		loop_io_open(c.loop, c.fds[0], LOOP_READ, "pipe", on_readable, &c, &c.io, &err), 0);
	assert_int_equal(write(c.fds[1], "x", 1), 1);
	loop_run(c.loop); /* ends only when the descriptor is served, and although the timer is due
			   */
	timer_stop(&t.timer);
	close(c.fds[1]);
	loop_free(c.loop);
}

static void test_signal(void **state)
{
	(void)state;
	struct trace t = { .loop = real() };
	struct loop_signal *s;
	struct err err = { 0 };
	assert_int_equal(loop_signal_open(t.loop, SIGUSR1, mark_end, &t, &s, &err), 0);
	kill(getpid(), SIGUSR1);
	loop_run(t.loop);
	assert_string_equal(t.text, ".");
	loop_signal_close(s);
	loop_free(t.loop);
}

struct chain {
	struct loop *loop;
	int left;
};

static void post_on(void *data)
{
	struct chain *c = data;
	if (--c->left > 0)
		loop_post(c->loop, post_on, c);
}

static void stop_it(void *data)
{
	loop_stop(data);
}

/* What a loop that has stopped was asked to do is not lost. */
static void test_drain(void **state)
{
	(void)state;
	struct err err = { 0 };
	struct chain c = { .left = 3 };
	assert_int_equal(loop_new(&c.loop, &err), 0);
	loop_drain(c.loop);
	loop_post(c.loop, stop_it, c.loop);
	loop_run(c.loop);
	loop_post(c.loop, post_on, &c);
	loop_drain(c.loop);
	assert_int_equal(c.left, 0);
	loop_free(c.loop);
}

/* --- slow callbacks --------------------------------------------------------------------------- */

struct slow {
	struct loop *loop;
	struct map map;
	unsigned timers, functions, walks; /* others are slow on a busy machine, too */
};

static void note_slow(void *data, const char *name, usec_t took)
{
	struct slow *s = data;
	s->timers += strcmp(name, "long timer") == 0 && took > 10 * USEC_PER_MSEC;
	s->functions += strcmp(name, "take_long") == 0 && took > 10 * USEC_PER_MSEC;
	s->walks += strcmp(name, "walk") == 0 && took == 100;
	if (s->timers > 0 && s->functions > 1)
		loop_stop(s->loop);
}

static void take_long(void *data)
{
	struct slow *s = data;
	usec_t end = loop_now(s->loop) + 11 * USEC_PER_MSEC;
	while (loop_now(s->loop) < end)
		;
}

static void nothing(void *data)
{
	(void)data;
}

static void walk(void *data)
{
	struct slow *s = data;
	map_for_each(&s->map, i)
		assert_non_null(s->map.entries[i].value);
}

/* By the name of the timer, the function that was posted, and the one that ends a job. */
static void test_slow_callbacks_are_named(void **state)
{
	(void)state;
	struct err err = { 0 };
	struct slow s = { 0 };
	struct timer t;
	assert_int_equal(loop_new(&s.loop, &err), 0);
	loop_set_slow_limit(s.loop, 10 * USEC_PER_MSEC, note_slow, &s);
	timer_init(&t, s.loop, "long timer", take_long, &s);
	timer_set_in(&t, 0);
	loop_post(s.loop, take_long, &s);
	loop_job(s.loop, nothing, take_long, &s);
	loop_run(s.loop);
	assert_int_equal(s.timers, 1);
	assert_int_equal(s.functions, 2);
	loop_free(s.loop);
}

/* Nothing takes time there; what counts are entries of maps. */
static void test_walks_are_slow_on_virtual(void **state)
{
	(void)state;
	struct slow s = { .loop = loop_new_virtual(1, 0) };
	char key[16];
	for (unsigned i = 0; i < 100; i++) {
		snprintf(key, sizeof(key), "%u", i);
		map_set(&s.map, key, &s);
	}
	loop_set_slow_limit(s.loop, 99, note_slow, &s);
	loop_post(s.loop, walk, &s);
	loop_post(s.loop, nothing, &s);
	loop_run(s.loop);
	assert_int_equal(s.walks, 1);
	loop_set_slow_limit(s.loop, 100, note_slow, &s);
	loop_post(s.loop, walk, &s);
	loop_run(s.loop);
	assert_int_equal(s.walks, 1);
	map_done(&s.map);
	loop_free(s.loop);
}

/* --- the clock of a machine that was suspended ----------------------------------------------- */

enum { SUSPENDED_S = 1000000 };
enum { CLOCK_GOOD, CLOCK_WRONG, CLOCK_NO_NAMESPACE, CLOCK_NO_OFFSET };

static usec_t kernel_clock(clockid_t id)
{
	struct timespec ts;
	clock_gettime(id, &ts);
	return (usec_t)ts.tv_sec * USEC_PER_SEC + (usec_t)ts.tv_nsec / 1000;
}

/* In the namespace. */
static int compare_clocks(usec_t boottime_outside)
{
	struct loop *loop;
	struct err err = { 0 };
	usec_t before = kernel_clock(CLOCK_BOOTTIME);
	if (before < boottime_outside + SUSPENDED_S * USEC_PER_SEC)
		return CLOCK_NO_OFFSET;
	if (loop_new(&loop, &err) < 0)
		return CLOCK_WRONG;
	usec_t now = loop_now(loop);
	usec_t after = kernel_clock(CLOCK_BOOTTIME);
	loop_free(loop);
	return before <= now && now <= after ? CLOCK_GOOD : CLOCK_WRONG;
}

static int enter_clock_of_suspended(void)
{
	static const char offsets[] = "boottime 1000000 0\n";
	if (unshare((geteuid() ? CLONE_NEWUSER : 0) | CLONE_NEWTIME) < 0)
		return -errno;
	int fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = write(fd, offsets, sizeof(offsets) - 1);
	int r = n < 0 ? -errno : 0;
	close(fd);
	return r;
}

static int exit_status_of(pid_t pid)
{
	int status = 0;
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : CLOCK_WRONG;
}

/* The children of who asks for a time namespace are in it. */
static _Noreturn void run_suspended(usec_t boottime_outside)
{
	if (enter_clock_of_suspended() < 0)
		_exit(CLOCK_NO_NAMESPACE);
	pid_t pid = fork();
	if (pid == 0)
		_exit(compare_clocks(boottime_outside));
	_exit(exit_status_of(pid));
}

/* A lease must be over after a suspend as long as it: CLOCK_MONOTONIC would not have counted that.
 */
static void test_suspend_counts(void **state)
{
	(void)state;
	usec_t boottime = kernel_clock(CLOCK_BOOTTIME);
	pid_t pid = fork();
	if (pid == 0)
		run_suspended(boottime);
	int status = exit_status_of(pid);
	if (status == CLOCK_NO_NAMESPACE) {
		print_message("skipped: no time namespaces here\n");
		skip();
	}
	assert_int_equal(status, CLOCK_GOOD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_real),
		cmocka_unit_test(test_order_virtual),
		cmocka_unit_test(test_timer_replace_and_stop),
		cmocka_unit_test(test_timer_cannot_starve_posts),
		cmocka_unit_test(test_virtual_clock_jumps),
		cmocka_unit_test(test_virtual_random_is_seeded),
		cmocka_unit_test(test_jobs),
		cmocka_unit_test(test_io),
		cmocka_unit_test(test_io_refused_on_virtual),
		cmocka_unit_test(test_posts_from_threads),
		cmocka_unit_test(test_timer_cannot_starve_io),
		cmocka_unit_test(test_signal),
		cmocka_unit_test(test_slow_callbacks_are_named),
		cmocka_unit_test(test_walks_are_slow_on_virtual),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_suspend_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
