/* The rate limit of requests per address, held against a count by hand. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "engine/limit.h"

enum { BURST = 5 };
#define INTERVAL USEC_PER_SEC

static unsigned take_many(struct limiter *l, const char *address, usec_t now, unsigned tries)
{
	unsigned served = 0;
	for (unsigned i = 0; i < tries; i++)
		served += limiter_take(l, address, now);
	return served;
}

static void test_burst_and_refill(void **state)
{
	(void)state;
	struct limiter *l = limiter_new(BURST, INTERVAL, (struct siphash_key){ 1, 0 });
	usec_t now = 1000 * USEC_PER_SEC;
	assert_int_equal(take_many(l, "10.0.0.1", now, 100), BURST);
	/* Being refused costs nothing: it is served again as soon as one interval is over. */
	assert_int_equal(take_many(l, "10.0.0.1", now + INTERVAL - 1, 100), 0);
	assert_int_equal(take_many(l, "10.0.0.1", now + INTERVAL, 100), 1);
	assert_int_equal(take_many(l, "10.0.0.1", now + 4 * INTERVAL, 100), 3);
	assert_int_equal(take_many(l, "10.0.0.1", now + 1000 * INTERVAL, 100), BURST);
	limiter_free(l);
}

static void test_addresses_do_not_share(void **state)
{
	(void)state;
	struct limiter *l = limiter_new(BURST, INTERVAL, (struct siphash_key){ 2, 0 });
	assert_int_equal(take_many(l, "10.0.0.1", 1, 100), BURST);
	assert_int_equal(take_many(l, "10.0.0.2", 1, 100), BURST);
	assert_int_equal(take_many(l, "fd00::1", 1, 100), BURST);
	assert_int_equal(take_many(l, "10.0.0.1", 1, 1), 0);
	limiter_free(l);
}

/* Any number of addresses in the same memory; each one is served, and one that goes on asking too
 * much among them is still held back. */
static void test_many_addresses(void **state)
{
	(void)state;
	struct limiter *l = limiter_new(BURST, INTERVAL, (struct siphash_key){ 3, 0 });
	usec_t now = USEC_PER_SEC;
	unsigned loud = 0;
	for (unsigned i = 0; i < 100000; i++) {
		char address[32];
		snprintf(address, sizeof(address), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		assert_true(limiter_take(l, address, now));
		loud += take_many(l, "192.0.2.1", now, 2);
		now += INTERVAL / 1000;
	}
	/* 100 s at one a second, and the burst. */
	assert_in_range(loud, 100, 100 + BURST);
	limiter_free(l);
}

/* All addresses of a /24 at once, in turns: each is held to its own rate, by any key. */
static void test_neighbours(void **state)
{
	(void)state;
	enum { NEIGHBOURS = 254, ROUNDS = 100 };
	for (uint64_t key = 0; key < 20; key++) {
		struct limiter *l = limiter_new(BURST, INTERVAL, (struct siphash_key){ key, ~key });
		unsigned served = 0;
		for (unsigned i = 0; i < ROUNDS * NEIGHBOURS; i++) {
			char address[32];
			snprintf(address, sizeof(address), "10.77.0.%u", i % NEIGHBOURS + 1);
			served += limiter_take(l, address, USEC_PER_SEC);
		}
		assert_int_equal(served, NEIGHBOURS * BURST);
		limiter_free(l);
	}
}

static void test_long_names_are_cut(void **state)
{
	(void)state;
	char name[300];
	snprintf(name, sizeof(name), "%0299d", 0);
	struct limiter *l = limiter_new(BURST, INTERVAL, (struct siphash_key){ 4, 0 });
	assert_true(limiter_take(l, name, 1));
	assert_true(limiter_take(l, "", 1));
	limiter_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_burst_and_refill),
		cmocka_unit_test(test_addresses_do_not_share),
		cmocka_unit_test(test_many_addresses),
		cmocka_unit_test(test_neighbours),
		cmocka_unit_test(test_long_names_are_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
