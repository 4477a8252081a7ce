/* The object store: rows, revisions, transactions, the log and the past that is read from it. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "store/store.h"

static const usec_t start = 1000 * USEC_PER_SEC;

struct fixture {
	struct store *s;
	usec_t now;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct store_options options = { .path = ":memory:", .log_max = 10 };
	struct err err;
	f->now = start;
	assert_int_equal(store_open(&options, &f->s, &err), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	store_close(f->s);
	free(f);
	return 0;
}

static struct store_key key_of(const char *ns, const char *name)
{
	return (struct store_key){ "things", ns, name };
}

static void put(struct fixture *f, const char *ns, const char *name, const char *data)
{
	struct err err;
	char uid[64];
	snprintf(uid, sizeof(uid), "uid-%s-%s", ns, name);
	struct store_row row = { .key = key_of(ns, name),
				 .uid = uid,
				 .rv = store_next_revision(f->s),
				 .data = data,
				 .len = strlen(data) };
	assert_int_equal(store_put(f->s, &row, f->now, 0, &err), 0);
}

static void drop(struct fixture *f, const char *ns, const char *name)
{
	struct err err;
	struct store_key key = key_of(ns, name);
	assert_int_equal(store_delete(f->s, &key, store_next_revision(f->s), f->now, &err), 0);
}

static void begin(struct fixture *f)
{
	struct err err;
	assert_int_equal(store_begin(f->s, &err), 0);
}

static void commit(struct fixture *f)
{
	struct err err;
	assert_int_equal(store_commit(f->s, &err), 0);
}

static int add_text(void *data, const struct store_row *row)
{
	strbuf_addf(data, "%s/%s=%.*s ", row->key.ns, row->key.name, (int)row->len, row->data);
	return 0;
}

static void assert_list(struct fixture *f, struct store_query q, const char *expected)
{
	struct strbuf out = { 0 };
	struct err err;
	uint64_t count, words = 0;
	q.resource = "things";
	assert_int_equal(store_list(f->s, &q, add_text, &out, &err), 0);
	assert_string_equal(out.data ? out.data : "", expected);
	for (const char *p = expected; *p; p++)
		words += *p == ' ';
	if (!q.limit) {
		assert_int_equal(store_count(f->s, &q, &count, &err), 0);
		assert_int_equal(count, words);
	}
	strbuf_done(&out);
}

static void test_put_get_delete(void **state)
{
	struct fixture *f = *state;
	struct store_row row;
	struct err err;
	struct store_key key = key_of("a", "x");
	begin(f);
	put(f, "a", "x", "1");
	assert_int_equal(store_get(f->s, &key, &row, &err), 1);
	assert_string_equal(row.data, "1");
	assert_string_equal(row.uid, "uid-a-x");
	assert_int_equal(row.rv, store_revision(f->s));
	put(f, "a", "x", "22");
	assert_int_equal(store_get_by_uid(f->s, "uid-a-x", &row, &err), 1);
	assert_string_equal(row.data, "22");
	drop(f, "a", "x");
	assert_int_equal(store_get(f->s, &key, &row, &err), 0);
	assert_int_equal(store_delete(f->s, &key, store_next_revision(f->s), f->now, &err),
			 -ENOENT);
	commit(f);
}

static void test_revisions_rise_and_come_back(void **state)
{
	struct fixture *f = *state;
	struct err err;
	uint64_t first = store_revision(f->s);
	begin(f);
	put(f, "a", "x", "1");
	assert_int_equal(store_revision(f->s), first + 1);
	assert_int_equal(store_savepoint(f->s, &err), 0);
	put(f, "a", "y", "1");
	assert_int_equal(store_revision(f->s), first + 2);
	store_revert(f->s);
	assert_int_equal(store_revision(f->s), first + 1);
	assert_list(f, (struct store_query){ 0 }, "a/x=1 ");
	assert_int_equal(store_savepoint(f->s, &err), 0);
	put(f, "a", "z", "1");
	store_release(f->s);
	store_rollback(f->s);
	assert_int_equal(store_revision(f->s), first);
	assert_false(store_in_transaction(f->s));
	assert_list(f, (struct store_query){ 0 }, "");
}

static void test_lists(void **state)
{
	struct fixture *f = *state;
	begin(f);
	put(f, "b", "x", "3");
	put(f, "a", "y", "2");
	put(f, "a", "x", "1");
	put(f, "a-b", "x", "4");
	commit(f);
	assert_list(f, (struct store_query){ 0 }, "a/x=1 a/y=2 a-b/x=4 b/x=3 ");
	assert_list(f, (struct store_query){ .ns = "a" }, "a/x=1 a/y=2 ");
	assert_list(f, (struct store_query){ .limit = 2 }, "a/x=1 a/y=2 ");
	assert_list(f, (struct store_query){ .after_ns = "a", .after_name = "x" },
		    "a/y=2 a-b/x=4 b/x=3 ");
	assert_list(f, (struct store_query){ .ns = "a", .after_ns = "a", .after_name = "x" },
		    "a/y=2 ");
	assert_list(f, (struct store_query){ .ns = "none" }, "");
}

static void test_the_past(void **state)
{
	struct fixture *f = *state;
	begin(f);
	put(f, "a", "x", "1");
	put(f, "a", "y", "1");
	uint64_t then = store_revision(f->s);
	put(f, "a", "x", "2");
	put(f, "a", "x", "3");
	drop(f, "a", "y");
	put(f, "a", "z", "new");
	uint64_t between = store_revision(f->s);
	put(f, "a", "y", "again");
	commit(f);
	assert_list(f, (struct store_query){ .at = then }, "a/x=1 a/y=1 ");
	assert_list(f, (struct store_query){ .at = then, .ns = "a" }, "a/x=1 a/y=1 ");
	assert_list(f, (struct store_query){ .at = then + 1 }, "a/x=2 a/y=1 ");
	assert_list(f, (struct store_query){ .at = between }, "a/x=3 a/z=new ");
	assert_list(f, (struct store_query){ .at = then, .after_ns = "a", .after_name = "x" },
		    "a/y=1 ");
	assert_list(f, (struct store_query){ .at = then, .limit = 1 }, "a/x=1 ");
	assert_list(f, (struct store_query){ 0 }, "a/x=3 a/y=again a/z=new ");
}

static int add_change(void *data, const struct store_change *c)
{
	static const char types[] = "AMD";
	strbuf_addf(data, "%c%s=%.*s(%.*s) ", types[c->type], c->key.name, (int)c->len, c->data,
		    (int)c->before_len, c->before ? c->before : "");
	return 0;
}

static void test_changes(void **state)
{
	struct fixture *f = *state;
	struct strbuf out = { 0 };
	struct err err;
	uint64_t since = store_revision(f->s);
	begin(f);
	put(f, "a", "x", "1");
	put(f, "a", "x", "2");
	put(f, "b", "o", "other");
	drop(f, "a", "x");
	put(f, "a", "x", "3");
	commit(f);
	assert_int_equal(store_changes(f->s, "things", "a", since, add_change, &out, &err), 0);
	assert_string_equal(out.data, "Ax=1() Mx=2(1) Dx=2(2) Ax=3() ");
	strbuf_clear(&out);
	assert_int_equal(store_changes(f->s, "things", NULL, since + 2, add_change, &out, &err), 0);
	assert_string_equal(out.data, "Ao=other() Dx=2(2) Ax=3() ");
	strbuf_clear(&out);
	assert_int_equal(store_changes(f->s, "others", NULL, since, add_change, &out, &err), 0);
	assert_int_equal(out.len, 0);
	strbuf_done(&out);
}

static void test_compaction_by_number(void **state)
{
	struct fixture *f = *state;
	struct err err;
	char text[16];
	begin(f);
	for (int i = 0; i < 30; i++) {
		snprintf(text, sizeof(text), "%d", i);
		put(f, "a", "x", text);
	}
	assert_int_equal(store_log_size(f->s), 30);
	assert_int_equal(store_compact(f->s, f->now, &err), 0);
	commit(f);
	assert_int_equal(store_log_size(f->s), 10);
	assert_int_equal(store_oldest(f->s), store_revision(f->s) - 10);
	assert_list(f, (struct store_query){ .at = store_oldest(f->s) }, "a/x=19 ");
	assert_list(f, (struct store_query){ 0 }, "a/x=29 ");
}

static void test_compaction_by_age(void **state)
{
	struct fixture *f = *state;
	struct err err;
	begin(f);
	put(f, "a", "x", "old");
	f->now += USEC_PER_HOUR;
	put(f, "a", "y", "young");
	assert_int_equal(store_compact(f->s, f->now, &err), 0);
	assert_int_equal(store_log_size(f->s), 1);
	/* The newest row stays, because the revision is read from it. */
	f->now += USEC_PER_HOUR;
	assert_int_equal(store_compact(f->s, f->now, &err), 0);
	assert_int_equal(store_log_size(f->s), 1);
	store_rollback(f->s);
	assert_int_equal(store_log_size(f->s), 0);
}

static void test_expiry(void **state)
{
	struct fixture *f = *state;
	struct err err;
	struct strbuf out = { 0 };
	struct store_row row = { .key = key_of("a", "x"), .uid = "u", .data = "1", .len = 1 };
	assert_true(store_next_expiry(f->s) == USEC_INFINITY);
	begin(f);
	row.rv = store_next_revision(f->s);
	assert_int_equal(store_put(f->s, &row, f->now, f->now + 10, &err), 0);
	assert_true(store_next_expiry(f->s) == f->now + 10);
	assert_int_equal(store_list_expired(f->s, f->now + 9, 10, add_text, &out, &err), 0);
	assert_int_equal(out.len, 0);
	assert_int_equal(store_list_expired(f->s, f->now + 10, 10, add_text, &out, &err), 0);
	assert_true(out.len > 0);
	/* A change without an expiry takes it back. */
	put(f, "a", "x", "2");
	assert_true(store_next_expiry(f->s) == USEC_INFINITY);
	commit(f);
	strbuf_done(&out);
}

static int add_name(void *data, const struct store_row *row)
{
	strbuf_addf(data, "%s ", row->key.name);
	return 0;
}

static void test_owners(void **state)
{
	struct fixture *f = *state;
	struct err err;
	struct strbuf out = { 0 };
	static const char *const owners[] = { "uid-a-owner", "uid-gone" };
	struct store_key x = key_of("a", "x"), y = key_of("a", "y");
	begin(f);
	put(f, "a", "owner", "");
	put(f, "a", "x", "");
	put(f, "a", "y", "");
	assert_int_equal(store_set_owners(f->s, &x, owners, 2, &err), 0);
	assert_int_equal(store_set_owners(f->s, &y, owners, 1, &err), 0);
	assert_int_equal(store_list_owned(f->s, "uid-a-owner", add_name, &out, &err), 0);
	assert_string_equal(out.data, "x y ");
	strbuf_clear(&out);
	assert_int_equal(store_list_orphans(f->s, add_name, &out, &err), 0);
	assert_string_equal(out.data, "x ");
	drop(f, "a", "owner");
	drop(f, "a", "x");
	strbuf_clear(&out);
	assert_int_equal(store_list_orphans(f->s, add_name, &out, &err), 0);
	assert_string_equal(out.data, "y ");
	assert_int_equal(store_set_owners(f->s, &y, NULL, 0, &err), 0);
	strbuf_clear(&out);
	assert_int_equal(store_list_orphans(f->s, add_name, &out, &err), 0);
	assert_int_equal(out.len, 0);
	commit(f);
	strbuf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_put_get_delete, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_revisions_rise_and_come_back, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_lists, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_past, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_changes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_compaction_by_number, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_compaction_by_age, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_expiry, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_owners, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
