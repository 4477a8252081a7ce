/* The engine's tables, walked: nodes can always be taken down again, operations and states name
 * each other, and a step that is found in a record after a restart is found once. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/internal.h"
#include "unit/base/fsm_walk.h"

static bool may(int from, int to)
{
	return fsm_may(&node_fsm, (unsigned)from, (unsigned)to);
}

static void test_states_are_reached_and_left(void **state)
{
	(void)state;
	fsm_walk(&node_fsm, NODE_ENROLL, 0);
	/* A tenant can go at any time: the one who rests in "available" has gone. */
	for (int s = 0; s < _NODE_STATE_MAX; s++)
		assert_true(may(s, NODE_DELETING));
}

static void test_state_names(void **state)
{
	(void)state;
	enum node_state found;
	for (int s = 0; s < _NODE_STATE_MAX; s++) {
		assert_int_equal(
			node_state_parse(node_state_info((enum node_state)s)->name, &found), 0);
		assert_int_equal(found, s);
	}
	assert_true(node_state_parse("nonsense", &found) < 0);
}

/* What a resumed process finds in the state must be the operation that put it there. */
static void test_states_name_their_operations(void **state)
{
	(void)state;
	for (int s = 0; s < _NODE_STATE_MAX; s++) {
		enum op_kind kind = node_state_info((enum node_state)s)->op;
		if (kind != OP_NONE)
			assert_int_equal(op_info(kind)->during, s);
	}
	for (int k = OP_VERIFY; k < _OP_MAX; k++) {
		const struct op_info *info = op_info((enum op_kind)k);
		if (info->during == _NODE_STATE_MAX)
			continue;
		assert_int_equal(node_state_info(info->during)->op, k);
		assert_true(may((int)info->during, (int)info->after));
		assert_true(may((int)info->during, (int)info->failed));
	}
}

static void check_step(const struct op_row *rows, size_t i)
{
	const struct step *s = &steps[rows[i].step];
	bool boots = !s->boots_again, agent = !s->needs_agent;
	assert_non_null(s->interface);
	assert_non_null(s->name);
	assert_non_null(s->run);
	assert_non_null(s->waits_for);
	for (size_t before = 0; before < i; before++) {
		assert_string_not_equal(steps[rows[before].step].name, s->name);
		boots |= rows[before].step == STEP_POWER_OFF;
		agent |= rows[before].step == STEP_WAIT_AGENT;
	}
	assert_true(agent); /* whose certificate and address are known */
	assert_true(boots); /* there is a step to go back to */
}

static void test_rows(void **state)
{
	(void)state;
	bool used[_STEP_MAX] = { [STEP_END] = true };
	for (int k = OP_VERIFY; k < _OP_MAX; k++) {
		const struct op_row *rows = op_info((enum op_kind)k)->rows;
		assert_int_not_equal(rows[0].step, STEP_END);
		for (size_t i = 0; rows[i].step != STEP_END; i++) {
			check_step(rows, i);
			used[rows[i].step] = true;
		}
	}
	for (int s = 0; s < _STEP_MAX; s++)
		assert_true(used[s]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_states_are_reached_and_left),
		cmocka_unit_test(test_state_names),
		cmocka_unit_test(test_states_name_their_operations),
		cmocka_unit_test(test_rows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
