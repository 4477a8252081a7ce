/* Tables of states: what may follow, and what happens when something else does. */

#include "unit/base/fsm_walk.h"

#include "base/log.h"

enum { DOOR_OPEN, DOOR_SHUT, DOOR_LOCKED, DOOR_GONE };

/* Columns in any order, and others between. */
static const struct {
	unsigned weight;
	unsigned next;
	const char *name;
} door_rows[] = {
	[DOOR_OPEN] = { 1, 1 << DOOR_SHUT, "open" },
	[DOOR_SHUT] = { 2, 1 << DOOR_OPEN | 1 << DOOR_LOCKED | 1 << DOOR_SHUT, "shut" },
	[DOOR_LOCKED] = { 3, 1 << DOOR_SHUT | 1 << DOOR_GONE, "locked" },
	[DOOR_GONE] = { 4, 0, "gone" },
};

static const struct fsm door = FSM_INIT("door", door_rows);

static void test_may(void **state)
{
	(void)state;
	assert_true(fsm_may(&door, DOOR_OPEN, DOOR_SHUT));
	assert_true(fsm_may(&door, DOOR_SHUT, DOOR_SHUT));
	assert_false(fsm_may(&door, DOOR_OPEN, DOOR_OPEN));
	assert_false(fsm_may(&door, DOOR_OPEN, DOOR_LOCKED));
	assert_false(fsm_may(&door, DOOR_GONE, DOOR_OPEN));
	assert_false(fsm_may(&door, DOOR_SHUT, 4));
	assert_false(fsm_may(&door, 4, DOOR_SHUT));
	assert_false(fsm_may(&door, DOOR_SHUT, 31));
	assert_string_equal(fsm_name(&door, DOOR_LOCKED), "locked");
	assert_string_equal(fsm_name(&door, 4), "?");
}

static void test_walk(void **state)
{
	(void)state;
	fsm_walk(&door, DOOR_OPEN, 1 << DOOR_GONE);
	assert_int_equal(fsm_reachable(&door, 1 << DOOR_GONE), 1 << DOOR_GONE);
}

struct step {
	unsigned from, to;
};

static void take(void *data)
{
	const struct step *s = data;
	fsm_check(&door, s->from, s->to, "kitchen");
}

static void test_check(void **state)
{
	(void)state;
	for (unsigned from = 0; from < 6; from++)
		for (unsigned to = 0; to < 6; to++)
			assert_int_equal(fsm_aborts(take, &(struct step){ from, to }),
					 !fsm_may(&door, from, to));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_may),
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_check),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
