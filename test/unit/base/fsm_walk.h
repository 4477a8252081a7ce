#pragma once
/* What each table of states must be, whatever its machine does. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fsm.h"
#include "base/str.h"

/* All states that can follow one of `from`, those themselves included; bits. */
static inline unsigned fsm_reachable(const struct fsm *f, unsigned from)
{
	for (unsigned before = 0; before != from;) {
		before = from;
		for (unsigned s = 0; s < f->count; s++)
			if (from >> s & 1)
				from |= fsm_next(f, s);
	}
	return from;
}

/* Every state has a name of its own and can be reached from `first`; none leads out of the table;
 * those without a way out are `ends` (bits), and no other. */
static inline void fsm_walk(const struct fsm *f, unsigned first, unsigned ends)
{
	assert_true(f->count > 0 && f->count <= 32);
	unsigned all = f->count == 32 ? UINT32_MAX : (1U << f->count) - 1, left = 0;
	assert_int_equal(fsm_reachable(f, 1U << first), all);
	for (unsigned s = 0; s < f->count; s++) {
		assert_false(str_empty(fsm_name(f, s)));
		assert_int_equal(fsm_next(f, s) & ~all, 0);
		left |= fsm_next(f, s) == 0 ? 1U << s : 0;
		for (unsigned other = 0; other < s; other++)
			assert_string_not_equal(fsm_name(f, s), fsm_name(f, other));
	}
	assert_int_equal(left, ends);
}

/* Does it end the process? In a child, which writes no core. */
static inline bool fsm_aborts(void (*fn)(void *data), void *data)
{
	int status = 0;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		const struct rlimit none = { 0 };
		setrlimit(RLIMIT_CORE, &none);
		signal(SIGABRT, SIG_DFL); /* cmocka's handler would go on with the tests */
		fn(data);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}
