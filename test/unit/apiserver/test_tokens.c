/* The tokens file's text: what is taken, what is refused, and that a token is found by itself
 * alone. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/tokens.h"
#include "base/mem.h"
#include "base/str.h"

/* sha256sum of "secret" */
#define HASH "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"
#define TIME "2026-01-02T03:04:05Z"

static const unsigned char one[TOKEN_RANDOM] = { 1 }, two[TOKEN_RANDOM] = { 2 };

static void test_reads(void **state)
{
	_cleanup_(tokens_done) struct tokens t = { 0 };
	struct err err;
	(void)state;
	assert_int_equal(tokens_parse("# x\n\nalice viewer " HASH " " TIME "\n", &t, &err), 0);
	assert_int_equal(t.count, 1);
	const struct token *found = tokens_find(&t, "secret");
	assert_non_null(found);
	assert_string_equal(found->name, "alice");
	assert_string_equal(found->role, "viewer");
	assert_null(tokens_find(&t, "Secret"));
	assert_null(tokens_find(&t, ""));
	assert_null(tokens_find(&t, HASH)); /* what stands in the file opens nothing */
}

static void test_refused(void **state)
{
	static const char *const texts[] = {
		"alice",
		"alice viewer " HASH,
		"alice viewer " HASH " " TIME " more",
		"alice viewer " HASH " " TIME " ",
		"alice  viewer " HASH " " TIME,
		" alice viewer " HASH " " TIME,
		"Alice viewer " HASH " " TIME,
		"system:admin viewer " HASH " " TIME,
		"alice root " HASH " " TIME,
		"alice viewer " HASH "0 " TIME,
		"alice viewer G" HASH " " TIME,
		"alice viewer  " TIME,
		"alice viewer " HASH " yesterday",
		"alice viewer " HASH " " TIME "\nalice admin " HASH " " TIME,
		"alice viewer " HASH " " TIME "\r",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct tokens t = { 0 };
		struct err err;
		if (tokens_parse(texts[i], &t, &err) == 0)
			fail_msg("taken: %s", texts[i]);
		assert_non_null(strstr(err.text, "line "));
		assert_int_equal(t.count, 0);
	}
}

static void test_too_many(void **state)
{
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	struct tokens t = { 0 };
	struct err err;
	(void)state;
	for (int i = 0; i <= TOKENS_MAX; i++)
		strbuf_addf(&text, "u%d viewer " HASH " " TIME "\n", i);
	assert_true(tokens_parse(text.data, &t, &err) < 0);
	assert_non_null(strstr(err.text, "line 1025"));
}

static void test_add_and_remove(void **state)
{
	_cleanup_(tokens_done) struct tokens t = { 0 }, again = { 0 };
	_cleanup_(freep) char *a = NULL, *b = NULL;
	struct err err;
	(void)state;
	assert_int_equal(tokens_add(&t, "alice", "viewer", one, 0, &a, &err), 0);
	assert_int_equal(tokens_add(&t, "bob", "admin", two, 0, &b, &err), 0);
	assert_string_not_equal(a, b);
	assert_string_equal(tokens_find(&t, a)->name, "alice");
	_cleanup_(freep) char *text = tokens_format(&t);
	assert_null(strstr(text, a));
	assert_int_equal(tokens_parse(text, &again, &err), 0);
	assert_string_equal(tokens_find(&again, b)->role, "admin");
	assert_true(tokens_remove(&again, "alice"));
	assert_false(tokens_remove(&again, "alice"));
	assert_null(tokens_find(&again, a));
	assert_string_equal(tokens_find(&again, b)->name, "bob");
}

static void test_add_refuses(void **state)
{
	static const struct {
		const char *name, *role;
		enum err_kind kind;
	} rows[] = {
		{ "alice", "viewer", ERR_EXISTS }, { "Bob", "viewer", ERR_INVALID },
		{ "a b", "viewer", ERR_INVALID },  { "../x", "viewer", ERR_INVALID },
		{ "", "viewer", ERR_INVALID },	   { "bob", "root", ERR_INVALID },
		{ "bob", "", ERR_INVALID },	   { "system:x", "viewer", ERR_INVALID },
	};
	_cleanup_(tokens_done) struct tokens t = { 0 };
	_cleanup_(freep) char *first = NULL;
	struct err err;
	(void)state;
	tokens_add(&t, "alice", "viewer", one, 0, &first, &err);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *token = NULL;
		assert_true(tokens_add(&t, rows[i].name, rows[i].role, two, 0, &token, &err) < 0);
		assert_int_equal(err.kind, rows[i].kind);
		assert_null(token);
		assert_int_equal(t.count, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads),	    cmocka_unit_test(test_refused),
		cmocka_unit_test(test_too_many),    cmocka_unit_test(test_add_and_remove),
		cmocka_unit_test(test_add_refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
