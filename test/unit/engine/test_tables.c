/* The engine's tables, walked: nodes can always be taken down again, operations and states name
 * each other, and a step that is found in a record after a restart is found once. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

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
		assert_true(may(s, NODE_DELETING) || !node_state_info((enum node_state)s)->used);
}

/* Ironic's state machine, as its documentation has it: the states, and which may follow each. */
static const struct {
	const char *state, *next; /* separated by commas */
} ironic[] = {
	{ "enroll", "verifying" },
	{ "verifying", "manageable,enroll" },
	{ "manageable", "cleaning,inspecting,adopting" },
	{ "available", "deploying,manageable" },
	{ "deploying", "wait call-back,deploy hold,active,deploy failed" },
	{ "wait call-back", "deploying,deploy hold,deploy failed,deleting" },
	{ "deploy hold", "wait call-back,deploy failed" },
	{ "deploy failed", "deploying,deleting" },
	{ "active", "deploying,deleting,rescuing,servicing" },
	{ "deleting", "cleaning,error" },
	{ "error", "deploying,deleting" },
	{ "cleaning", "clean wait,clean hold,available,manageable,clean failed" },
	{ "clean wait", "cleaning,clean hold,clean failed" },
	{ "clean hold", "clean wait,clean failed" },
	{ "clean failed", "manageable" },
	{ "inspecting", "inspect wait,manageable,inspect failed" },
	{ "inspect wait", "inspecting,manageable,inspect failed" },
	{ "inspect failed", "inspecting,manageable" },
	{ "adopting", "active,adopt failed" },
	{ "adopt failed", "adopting,manageable" },
	{ "rescuing", "rescue wait,rescue,rescue failed" },
	{ "rescue wait", "rescuing,rescue failed,deleting" },
	{ "rescue", "rescuing,unrescuing,deleting" },
	{ "rescue failed", "rescuing,unrescuing,deleting" },
	{ "unrescuing", "active,unrescue failed" },
	{ "unrescue failed", "rescuing,unrescuing,deleting" },
	{ "servicing", "service wait,service hold,active,service failed" },
	{ "service wait", "servicing,service hold,service failed,deleting" },
	{ "service hold", "servicing,service wait,service failed" },
	{ "service failed", "servicing,rescuing,service wait,service hold,active,deleting" },
};

static unsigned state_named(const char *name, size_t len)
{
	for (unsigned s = 0; s < _NODE_STATE_MAX; s++)
		if (strlen(fsm_name(&node_fsm, s)) == len &&
		    strncmp(fsm_name(&node_fsm, s), name, len) == 0)
			return s;
	fail_msg("no state \"%.*s\"", (int)len, name);
	return 0;
}

/* All of them, and of others only those that lead from one state that is used to another. */
static void test_states_are_ironics(void **state)
{
	(void)state;
	assert_int_equal(ARRAY_SIZE(ironic), _NODE_STATE_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(ironic); i++) {
		unsigned from = state_named(ironic[i].state, strlen(ironic[i].state)), theirs = 0;
		for (const char *next = ironic[i].next; *next; next += *next == ',') {
			size_t len = strcspn(next, ",");
			theirs |= 1U << state_named(next, len);
			next += len;
		}
		unsigned ours = fsm_next(&node_fsm, from);
		assert_int_equal(ours & theirs, theirs);
		for (unsigned to = 0; to < _NODE_STATE_MAX; to++)
			if ((ours & ~theirs) >> to & 1)
				assert_true(node_state_info((enum node_state)from)->used &&
					    node_state_info((enum node_state)to)->used);
	}
}

static void test_state_names(void **state)
{
	(void)state;
	enum node_state found;
	for (int s = 0; s < _NODE_STATE_MAX; s++) {
		const struct node_state_info *info = node_state_info((enum node_state)s);
		found = _NODE_STATE_MAX;
		assert_int_equal(node_state_parse(info->name, &found) == 0, info->used);
		assert_int_equal(found, info->used ? s : _NODE_STATE_MAX);
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
		assert_true(node_state_info(info->during)->used &&
			    node_state_info(info->after)->used &&
			    node_state_info(info->failed)->used);
	}
}

static void check_step(const struct plan_row *rows, size_t i)
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
	/* What a plan of Ingot's has no row for is read from records. */
	bool used[_STEP_MAX] = { [STEP_END] = true, [STEP_AGENT] = true };
	for (int k = OP_VERIFY; k < _OP_MAX; k++) {
		const struct plan_row *rows = plan_rows((enum op_kind)k);
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
		cmocka_unit_test(test_states_are_ironics),
		cmocka_unit_test(test_state_names),
		cmocka_unit_test(test_states_name_their_operations),
		cmocka_unit_test(test_rows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
