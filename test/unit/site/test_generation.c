/* The counter outside the data directory: which copies of a store are recognised. What the server
 * does with it, and kill -9 between the steps, is in test_data_dir. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "site/generation.h"

struct rig {
	char top[32];
	char *data, *counters, *saved; /* saved: a copy of the store */
	struct loop *loop;
};

static int set_up(void **state)
{
	struct rig *r = xcalloc(1, sizeof(*r));
	snprintf(r->top, sizeof(r->top), "/tmp/ingot-generation-XXXXXX");
	assert_non_null(mkdtemp(r->top));
	r->data = xasprintf("%s/data", r->top);
	r->counters = xasprintf("%s/counters", r->top);
	r->saved = xasprintf("%s/saved.db", r->top);
	assert_int_equal(mkdir(r->data, 0700), 0);
	assert_int_equal(loop_new(&r->loop, NULL), 0);
	*state = r;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *r = *state;
	loop_free(r->loop);
	free(r->data), free(r->counters), free(r->saved);
	free(r);
	return 0;
}

/* One run of the server: opened, acknowledged up to `revision`, ended. */
static enum site_hold run_with(struct rig *r, const struct site_generation_options *more,
			       uint64_t revision)
{
	struct site_generation_options o = *more;
	struct site_generation g;
	struct err err = { 0 };
	o.loop = r->loop;
	o.data_dir = r->data;
	o.place = o.place ? o.place : r->counters;
	if (site_generation_open(&o, &g, &err) < 0)
		fail_msg("%s", err.text);
	enum site_hold reason = g.reason;
	assert_int_equal(reason == SITE_HOLD_NONE, g.hold_id[0] == '\0');
	if (revision)
		site_generation_mark(&g, revision);
	site_generation_done(&g);
	return reason;
}

static enum site_hold run(struct rig *r, uint64_t revision)
{
	return run_with(r, &(struct site_generation_options){ 0 }, revision);
}

static void copy(const char *from, const char *to)
{
	char buffer[4096];
	FILE *in = fopen(from, "r"), *out = fopen(to, "w");
	assert_non_null(in);
	assert_non_null(out);
	for (size_t n; (n = fread(buffer, 1, sizeof(buffer), in)) > 0;)
		assert_int_equal(fwrite(buffer, 1, n, out), n);
	fclose(in);
	assert_int_equal(fclose(out), 0);
}

static char *store_of(const struct rig *r)
{
	return xasprintf("%s/store.db", r->data);
}

static char *counter_of(const struct rig *r)
{
	char *path = NULL;
	DIR *d = opendir(r->counters);
	assert_non_null(d);
	for (const struct dirent *e; (e = readdir(d));)
		if (e->d_name[0] != '.')
			path = xasprintf("%s/%s", r->counters, e->d_name);
	closedir(d);
	assert_non_null(path);
	return path;
}

static void test_the_same_directory(void **state)
{
	struct rig *r = *state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(run(r, 0), SITE_HOLD_NONE);
}

static void test_copy_of_an_earlier_run(void **state)
{
	struct rig *r = *state;
	_cleanup_(freep) char *store = store_of(r);
	assert_int_equal(run(r, 0), SITE_HOLD_NONE);
	copy(store, r->saved);
	assert_int_equal(run(r, 0), SITE_HOLD_NONE);
	assert_int_equal(run(r, 0), SITE_HOLD_NONE);
	copy(r->saved, store);
	assert_int_equal(run(r, 0), SITE_HOLD_OTHER_RUN);
}

/* What was acknowledged is not in the store: an older copy of the same run. */
static void test_older_store(void **state)
{
	struct rig *r = *state;
	assert_int_equal(run(r, 1000000), SITE_HOLD_NONE);
	assert_int_equal(run(r, 0), SITE_HOLD_OLDER);
}

static void test_moved_without_its_counter(void **state)
{
	struct rig *r = *state;
	assert_int_equal(run(r, 0), SITE_HOLD_NONE);
	_cleanup_(freep) char *counter = counter_of(r);
	assert_int_equal(unlink(counter), 0);
	assert_int_equal(run(r, 0), SITE_HOLD_NO_COUNTER);
}

/* One slot of two is torn by a loss of power: the other one counts, and is not ahead. */
static void test_torn_slot(void **state)
{
	struct rig *r = *state;
	for (long at = 0; at <= 512; at += 512) {
		assert_int_equal(run(r, 0), SITE_HOLD_NONE);
		_cleanup_(freep) char *counter = counter_of(r);
		FILE *f = fopen(counter, "r+");
		assert_non_null(f);
		assert_int_equal(fseek(f, at + 40, SEEK_SET), 0);
		fputc('x', f);
		assert_int_equal(fclose(f), 0);
		assert_int_equal(run(r, 0), SITE_HOLD_NONE);
	}
}

static void test_options(void **state)
{
	struct rig *r = *state;
	const struct site_generation_options hold = { .hold = true }, none = { .place = "none" };
	assert_int_equal(run_with(r, &none, 0), SITE_HOLD_NONE);
	assert_int_equal(run_with(r, &hold, 0), SITE_HOLD_OPTION);
	/* It stands in the store until all holds are stored. */
	assert_int_equal(run(r, 0), SITE_HOLD_OPTION);
}

static void test_reasons_have_texts(void **state)
{
	(void)state;
	for (int i = SITE_HOLD_NONE + 1; i < _SITE_HOLD_MAX; i++)
		assert_true(strlen(site_hold_text((enum site_hold)i)) > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_the_same_directory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_copy_of_an_earlier_run, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_older_store, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_moved_without_its_counter, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_torn_slot, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_options, set_up, tear_down),
		cmocka_unit_test(test_reasons_have_texts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
