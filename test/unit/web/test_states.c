/* The table of connection states: all can be reached, all have a way out, and only the three in
 * which the other side of the wait is our own handler, and a WebSocket, which has pings, have no
 * timeout. */

#include "unit/base/fsm_walk.h"
#include "unit/web/rig.h"

#include "web/conn.c" /* NOLINT(bugprone-suspicious-include): the table is private */

static void all_are_reached(void **state)
{
	(void)state;
	fsm_walk(&conn_fsm, CONN_HEAD, BIT(CONN_DROPPED));
}

static void all_end(void **state)
{
	(void)state;
	for (size_t s = 0; s < ARRAY_SIZE(states); s++)
		assert_true(fsm_reachable(&conn_fsm, BIT(s)) &
			    (BIT(CONN_LINGER) | BIT(CONN_DROPPED)));
}

static void waits_have_limits(void **state)
{
	(void)state;
	for (size_t s = 0; s < ARRAY_SIZE(states); s++) {
		bool ours = s == CONN_ASKING || s == CONN_HANDLER || s == CONN_STREAM ||
			    s == CONN_SOCKET;
		assert_int_equal(states[s].timeout == 0, ours);
		/* A status can only be sent where an answer may begin. */
		if (states[s].status)
			assert_true(states[s].next & BIT(CONN_SENDING));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_are_reached),
		cmocka_unit_test(all_end),
		cmocka_unit_test(waits_have_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
