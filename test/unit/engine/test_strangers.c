/* Machines that ask for a boot and belong to no host. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "engine/strangers.h"

/* A flood of MACs keeps to its memory and is not logged line by line; the newest are kept. */
static void test_strangers_are_bounded(void **state)
{
	(void)state;
	struct strangers s = { 0 };
	usec_t now = UINT64_C(1767225600) * USEC_PER_SEC;
	unsigned logged = 0, more;
	char mac[18];
	for (unsigned n = 0; n < 10000; n++) {
		snprintf(mac, sizeof(mac), "52:54:00:ff:%02x:%02x", n >> 8, n & 255);
		logged += strangers_note(&s, mac, "PXE", now);
		logged += strangers_note(&s, mac, "PXE", now + 1);
		now += USEC_PER_MSEC;
	}
	assert_int_equal(logged, STRANGERS_MAX); /* ten seconds have not passed since */
	assert_string_equal(strangers_since(&s, 0, &more)->mac, mac);
	assert_int_equal(more, STRANGERS_MAX - 1);
	_cleanup_(json_freep) struct json *list = strangers_list(&s, now);
	assert_int_equal(json_count(list), STRANGERS_MAX);
	assert_int_equal(json_get_int(json_first(list), "count", 0), 2);
	_cleanup_(json_freep) struct json *old = strangers_list(&s, now + 2 * USEC_PER_HOUR);
	assert_int_equal(json_count(old), 0);
	assert_null(strangers_since(&s, now + USEC_PER_SEC, &more));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_strangers_are_bounded) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
