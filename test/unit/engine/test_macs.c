/* The index of MACs, held against a plain array. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/macs.h"

enum { MACS = 200, ROUNDS = 20000 };

static struct net_mac mac_of(unsigned i)
{
	return (struct net_mac){ { 2, 0, 0, 0, (uint8_t)(i >> 8), (uint8_t)i } };
}

/* Never looked into. */
static struct node *node_at(unsigned i)
{
	static char nodes[4];
	return (struct node *)&nodes[i % 4];
}

static unsigned next(unsigned *seed)
{
	*seed = *seed * 1103515245u + 12345u;
	return *seed >> 8;
}

static void check_all(const struct macs *m, struct node *const model[MACS], size_t count)
{
	assert_int_equal(m->count, count);
	for (unsigned i = 0; i < MACS; i++) {
		struct net_mac mac = mac_of(i);
		assert_ptr_equal(macs_get(m, &mac), model[i]);
	}
}

/* With few rows, so that rows push each other. */
static void test_against_an_array(void **state)
{
	struct macs m;
	struct node *model[MACS] = { NULL };
	unsigned seed = 1;
	size_t count = 0;
	(void)state;
	macs_init(&m, (struct siphash_key){ 1, 2 });
	check_all(&m, model, 0);
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned i = next(&seed) % MACS;
		struct net_mac mac = mac_of(i);
		struct node *n = node_at(next(&seed));
		if (next(&seed) % 2) {
			assert_int_equal(macs_add(&m, &mac, n), !model[i]);
			count += !model[i];
			model[i] = model[i] ? model[i] : n;
		} else {
			macs_remove(&m, &mac, n);
			count -= model[i] == n;
			model[i] = model[i] == n ? NULL : model[i];
		}
		if (round % 100 == 0)
			check_all(&m, model, count);
	}
	check_all(&m, model, count);
	macs_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_an_array),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
