/* The table of the agent's states: walked, and kept to. What follows a state that may not follow is
 * unknown, and this process writes disks. */

#include "unit/base/fsm_walk.h"

#include "agent/session.c" /* NOLINT(bugprone-suspicious-include): the setter is private */

static void test_walk(void **state)
{
	(void)state;
	fsm_walk(&agent_session_fsm, AGENT_STATE_NETWORK, 1U << AGENT_STATE_IDLE);
}

struct jump {
	enum agent_state from, to;
};

static void jump(void *data)
{
	const struct jump *j = data;
	struct agent_session s = { .state = j->from };
	set_state(&s, j->to);
}

static void test_jumps_end_the_process(void **state)
{
	(void)state;
	for (enum agent_state from = 0; from < _AGENT_STATE_MAX; from++)
		for (enum agent_state to = 0; to < _AGENT_STATE_MAX; to++)
			if (!fsm_may(&agent_session_fsm, from, to))
				assert_true(fsm_aborts(jump, &(struct jump){ from, to }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_jumps_end_the_process),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
