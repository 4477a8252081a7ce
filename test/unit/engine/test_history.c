/* The ring of what happened to a host. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/history.h"

#define T(s) ((UINT64_C(1767225600) + (s)) * USEC_PER_SEC) /* 2026-01-01T00:00:00Z */

static void check(const struct history *h, const char *expected)
{
	_cleanup_(json_freep) struct json *j = history_json(h);
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	json_print(j, &text);
	assert_string_equal(text.data, expected);
}

static void test_kinds(void **state)
{
	(void)state;
	struct history h = { 0 };
	assert_null(history_json(&h));
	history_state(&h, T(0), "", "registering", NULL);
	history_error(&h, T(1), "registering", "GET http://tom:pa55@192.0.2.1/x?sig=5i9 failed");
	history_step(&h, T(2), "verify", "verify");
	history_state(&h, T(3), "registering", "inspecting", "BMCAccessValidated");
	check(&h, "[{\"at\":\"2026-01-01T00:00:00Z\",\"from\":\"\",\"to\":\"registering\"},"
		  "{\"at\":\"2026-01-01T00:00:01Z\",\"state\":\"registering\","
		  "\"error\":\"GET http://192.0.2.1/x?... failed\"},"
		  "{\"at\":\"2026-01-01T00:00:02Z\",\"operation\":\"verify\",\"step\":\"verify\","
		  "\"outcome\":\"runs\"},"
		  "{\"at\":\"2026-01-01T00:00:03Z\",\"from\":\"registering\",\"to\":\"inspecting\","
		  "\"reason\":\"BMCAccessValidated\"}]");
	history_done(&h);
	assert_null(history_json(&h));
}

/* The newest step ends, whatever came after it; once. */
static void test_steps(void **state)
{
	(void)state;
	struct history h = { 0 };
	history_step_ended(&h, T(0), "done", NULL);
	history_step(&h, T(1), "inspect", "power off");
	history_step_ended(&h, T(4), "done", NULL);
	history_step(&h, T(4), "inspect", "power on");
	history_error(&h, T(5), "inspecting", "no");
	history_step_ended(&h, T(6), "failed", "the BMC says no");
	history_step_ended(&h, T(9), "abandoned", NULL);
	check(&h,
	      "[{\"at\":\"2026-01-01T00:00:01Z\",\"operation\":\"inspect\",\"step\":\"power off\","
	      "\"ended\":\"2026-01-01T00:00:04Z\",\"outcome\":\"done\"},"
	      "{\"at\":\"2026-01-01T00:00:04Z\",\"operation\":\"inspect\",\"step\":\"power on\","
	      "\"ended\":\"2026-01-01T00:00:06Z\",\"outcome\":\"failed\","
	      "\"error\":\"the BMC says no\"},"
	      "{\"at\":\"2026-01-01T00:00:05Z\",\"state\":\"inspecting\",\"error\":\"no\"}]");
	history_done(&h);
}

/* An error that is told at each try fills no ring. */
static void test_errors_that_repeat(void **state)
{
	(void)state;
	struct history h = { 0 };
	for (unsigned i = 0; i < 100; i++)
		history_error(&h, T(i), "registering", "no answer");
	history_error(&h, T(100), "inspecting", "no answer");
	assert_int_equal(h.count, 2);
	assert_int_equal(h.entries[0].at, T(99) / USEC_PER_SEC);
	history_done(&h);
}

static void test_ring(void **state)
{
	(void)state;
	struct history h = { 0 };
	static const char *const names[] = { "a", "b" };
	for (unsigned i = 0; i < 3 * HISTORY_MAX + 5; i++) {
		if (i % 2)
			history_state(&h, T(i), names[0], names[1], "reason");
		else
			history_error(&h, T(i), names[i % 4 / 2], "text");
		assert_true(h.count <= HISTORY_MAX && h.capacity <= HISTORY_MAX);
	}
	_cleanup_(json_freep) struct json *j = history_json(&h);
	assert_int_equal(json_count(j), HISTORY_MAX);
	unsigned expected = 2 * HISTORY_MAX + 5;
	json_for_each(e, j) {
		char at[CLOCK_TEXT_MAX];
		assert_string_equal(json_get_string(e, "at"), clock_format(T(expected), at));
		expected++;
	}
	history_done(&h);
}

static void test_long_texts_are_cut(void **state)
{
	(void)state;
	struct history h = { 0 };
	char text[5000];
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	history_error(&h, T(0), "registering", text);
	assert_int_equal(strlen(h.entries[0].text), 200);
	history_done(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_errors_that_repeat),
		cmocka_unit_test(test_ring),
		cmocka_unit_test(test_long_texts_are_cut),
	};
	return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
