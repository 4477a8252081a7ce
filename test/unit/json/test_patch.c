/* RFC 7396, RFC 6902 and RFC 6901, with the examples of the documents. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "unit/json/json_test.h"
#include "json/patch.h"

/* RFC 7396, section 3 and appendix A; further rows of our own. */
static void test_merge(void **state)
{
	(void)state;
	static const char *const rows[][3] = {
		{ "{\"a\":\"b\",\"c\":{\"d\":\"e\",\"f\":\"g\"}}",
		  "{\"a\":\"z\",\"c\":{\"f\":null}}", "{\"a\":\"z\",\"c\":{\"d\":\"e\"}}" },
		{ "{\"title\":\"Goodbye!\",\"author\":{\"givenName\":\"John\",\"familyName\":\"Doe\"},"
		  "\"tags\":[\"example\",\"sample\"],\"content\":\"This will be unchanged\"}",
		  "{\"title\":\"Hello!\",\"phoneNumber\":\"+01-123-456-7890\","
		  "\"author\":{\"familyName\":null},\"tags\":[\"example\"]}",
		  "{\"title\":\"Hello!\",\"author\":{\"givenName\":\"John\"},\"tags\":[\"example\"],"
		  "\"content\":\"This will be unchanged\",\"phoneNumber\":\"+01-123-456-7890\"}" },
		{ "{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
		{ "{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}" },
		{ "{\"a\":\"b\"}", "{\"a\":null}", "{}" },
		{ "{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}" },
		{ "{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
		{ "{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}" },
		{ "{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}",
		  "{\"a\":{\"b\":\"d\"}}" },
		{ "{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}" },
		{ "[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]" },
		{ "{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]" },
		{ "{\"a\":\"foo\"}", "null", "null" },
		{ "{\"a\":\"foo\"}", "\"bar\"", "\"bar\"" },
		{ "{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}" },
		{ "[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}" },
		{ "{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}" },
		{ "{}", "{\"a\":[{\"b\":null}]}", "{\"a\":[{\"b\":null}]}" },
		{ "{\"a\":1}", "{}", "{\"a\":1}" },
		{ "{\"a\":1}", "{\"a\":{\"b\":null,\"c\":1}}", "{\"a\":{\"c\":1}}" },
		{ "{\"a\":1,\"b\":2}", "{\"b\":null,\"a\":null,\"c\":3}", "{\"c\":3}" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct json *target = tree(rows[i][0]);
		_cleanup_(json_freep) struct json *patch = tree(rows[i][1]);
		json_merge_patch(&target, patch);
		assert_json(target, rows[i][2]);
		assert_json(patch, rows[i][1]);
		json_free(target);
	}
}

static void test_merge_nothing(void **state)
{
	(void)state;
	_cleanup_(json_freep) struct json *target = NULL, *patch = tree("{\"a\":1,\"b\":null}");
	json_merge_patch(&target, patch);
	assert_json(target, "{\"a\":1}");
	json_merge_patch(&target, NULL);
	assert_json(target, "null");
}

/* Many members take the indexed way, which must see the tree as it was before the first change. */
static void test_merge_many(void **state)
{
	(void)state;
	_cleanup_(json_freep) struct json *target = json_new_object(), *patch = json_new_object();
	char key[16];
	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "k%d", i * 617 % 1000);
		json_set_int(target, key, i);
		if (i % 3 == 0)
			json_set(patch, key, json_new_null());
		else if (i % 3 == 1)
			json_set(patch, key, tree("{\"x\":1,\"y\":null}"));
		snprintf(key, sizeof(key), "n%d", i);
		json_set_int(patch, key, i);
	}
	json_merge_patch(&target, patch);
	assert_int_equal(json_count(target), 1000 - 334 + 1000);
	assert_null(json_get(target, "k0"));
	assert_json(json_get(target, "k617"), "{\"x\":1}");
	assert_json(json_get(target, "k234"), "2");
}

static void test_diff(void **state)
{
	(void)state;
	static const char *const rows[][3] = {
		{ "{\"a\":1}", "{\"a\":1}", NULL },
		{ "{\"a\":1}", "{\"a\":1.0}", NULL },
		{ "{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", NULL },
		{ "{\"a\":1}", "{\"a\":2}", "{\"a\":2}" },
		{ "{\"a\":1}", "{}", "{\"a\":null}" },
		{ "{}", "{\"a\":1}", "{\"a\":1}" },
		{ "{\"a\":{\"b\":1,\"c\":2}}", "{\"a\":{\"b\":1,\"c\":3}}", "{\"a\":{\"c\":3}}" },
		{ "{\"a\":{\"b\":1,\"c\":2}}", "{\"a\":{\"b\":1}}", "{\"a\":{\"c\":null}}" },
		{ "{\"a\":[1,2]}", "{\"a\":[1,2,3]}", "{\"a\":[1,2,3]}" },
		{ "{\"a\":[1]}", "{\"a\":{\"b\":1}}", "{\"a\":{\"b\":1}}" },
		{ "{\"a\":{\"b\":1}}", "{\"a\":7}", "{\"a\":7}" },
		{ "{\"a\":{\"b\":1}}", "{\"a\":{}}", "{\"a\":{\"b\":null}}" },
		{ "{}", "{\"a\":{}}", "{\"a\":{}}" },
		{ "[1]", "[1]", NULL },
		{ "[1]", "{}", "{}" },
		{ "{}", "[1]", "[1]" },
		{ "1", "null", "null" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct json *from = tree(rows[i][0]);
		_cleanup_(json_freep) struct json *to = tree(rows[i][1]);
		_cleanup_(json_freep) struct json *diff = json_merge_diff(from, to);
		if (rows[i][2]) {
			assert_json(diff, rows[i][2]);
			json_merge_patch(&from, diff);
		} else {
			assert_null(diff);
		}
		assert_true(json_equal(from, to));
		json_free(from);
	}
}

/* What the format cannot say: to set to null. */
static void test_diff_null(void **state)
{
	(void)state;
	_cleanup_(json_freep) struct json *from = tree("{\"a\":1,\"n\":null}");
	_cleanup_(json_freep) struct json *to = tree(
		"{\"a\":null,\"b\":null,\"n\":null,\"c\":{\"d\":null}}");
	_cleanup_(json_freep) struct json *diff = json_merge_diff(from, to);
	assert_json(diff, "{\"a\":null,\"c\":{}}");
	assert_null(json_merge_diff(NULL, NULL));
	_cleanup_(json_freep) struct json *all = json_merge_diff(NULL, from);
	assert_json(all, "{\"a\":1}");
	_cleanup_(json_freep) struct json *none = json_merge_diff(from, NULL);
	assert_json(none, "null");
}

/* RFC 6902, appendix A (A.12 is bad in a way our parser refuses before), and the tests of
 * json-patch/json-patch-tests that it inspired. NULL: must fail. */
static const char *const patches[][3] = {
	/* A.1 to A.16 */
	{ "{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\"}]",
	  "{\"foo\":\"bar\",\"baz\":\"qux\"}" },
	{ "{\"foo\":[\"bar\",\"baz\"]}", "[{\"op\":\"add\",\"path\":\"/foo/1\",\"value\":\"qux\"}]",
	  "{\"foo\":[\"bar\",\"qux\",\"baz\"]}" },
	{ "{\"baz\":\"qux\",\"foo\":\"bar\"}", "[{\"op\":\"remove\",\"path\":\"/baz\"}]",
	  "{\"foo\":\"bar\"}" },
	{ "{\"foo\":[\"bar\",\"qux\",\"baz\"]}", "[{\"op\":\"remove\",\"path\":\"/foo/1\"}]",
	  "{\"foo\":[\"bar\",\"baz\"]}" },
	{ "{\"baz\":\"qux\",\"foo\":\"bar\"}",
	  "[{\"op\":\"replace\",\"path\":\"/baz\",\"value\":\"boo\"}]",
	  "{\"baz\":\"boo\",\"foo\":\"bar\"}" },
	{ "{\"foo\":{\"bar\":\"baz\",\"waldo\":\"fred\"},\"qux\":{\"corge\":\"grault\"}}",
	  "[{\"op\":\"move\",\"from\":\"/foo/waldo\",\"path\":\"/qux/thud\"}]",
	  "{\"foo\":{\"bar\":\"baz\"},\"qux\":{\"corge\":\"grault\",\"thud\":\"fred\"}}" },
	{ "{\"foo\":[\"all\",\"grass\",\"cows\",\"eat\"]}",
	  "[{\"op\":\"move\",\"from\":\"/foo/1\",\"path\":\"/foo/3\"}]",
	  "{\"foo\":[\"all\",\"cows\",\"eat\",\"grass\"]}" },
	{ "{\"baz\":\"qux\",\"foo\":[\"a\",2,\"c\"]}",
	  "[{\"op\":\"test\",\"path\":\"/baz\",\"value\":\"qux\"},"
	  "{\"op\":\"test\",\"path\":\"/foo/1\",\"value\":2}]",
	  "{\"baz\":\"qux\",\"foo\":[\"a\",2,\"c\"]}" },
	{ "{\"baz\":\"qux\"}", "[{\"op\":\"test\",\"path\":\"/baz\",\"value\":\"bar\"}]", NULL },
	{ "{\"foo\":\"bar\"}",
	  "[{\"op\":\"add\",\"path\":\"/child\",\"value\":{\"grandchild\":{}}}]",
	  "{\"foo\":\"bar\",\"child\":{\"grandchild\":{}}}" },
	{ "{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\",\"xyz\":123}]",
	  "{\"foo\":\"bar\",\"baz\":\"qux\"}" },
	{ "{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/baz/bat\",\"value\":\"qux\"}]", NULL },
	{ "{\"/\":9,\"~1\":10}", "[{\"op\":\"test\",\"path\":\"/~01\",\"value\":10}]",
	  "{\"/\":9,\"~1\":10}" },
	{ "{\"/\":9,\"~1\":10}", "[{\"op\":\"test\",\"path\":\"/~01\",\"value\":\"10\"}]", NULL },
	{ "{\"foo\":[\"bar\"]}",
	  "[{\"op\":\"add\",\"path\":\"/foo/-\",\"value\":[\"abc\",\"def\"]}]",
	  "{\"foo\":[\"bar\",[\"abc\",\"def\"]]}" },
	/* the empty patch, the whole document, the empty key */
	{ "{\"a\":1}", "[]", "{\"a\":1}" },
	{ "{\"a\":1}", "[{\"op\":\"add\",\"path\":\"\",\"value\":[1]}]", "[1]" },
	{ "{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"\",\"value\":null}]", "null" },
	{ "{\"a\":1}", "[{\"op\":\"remove\",\"path\":\"\"}]", NULL },
	{ "{\"a\":1}", "[{\"op\":\"test\",\"path\":\"\",\"value\":{\"a\":1.0}}]", "{\"a\":1}" },
	{ "{}", "[{\"op\":\"add\",\"path\":\"/\",\"value\":1}]", "{\"\":1}" },
	{ "{\"\":{\"\":1}}", "[{\"op\":\"remove\",\"path\":\"//\"}]", "{\"\":{}}" },
	/* add */
	{ "{\"a\":1,\"b\":2}", "[{\"op\":\"add\",\"path\":\"/a\",\"value\":3}]",
	  "{\"a\":3,\"b\":2}" },
	{ "[1,2]", "[{\"op\":\"add\",\"path\":\"/0\",\"value\":0}]", "[0,1,2]" },
	{ "[1,2]", "[{\"op\":\"add\",\"path\":\"/2\",\"value\":3}]", "[1,2,3]" },
	{ "[1,2]", "[{\"op\":\"add\",\"path\":\"/3\",\"value\":3}]", NULL },
	{ "[1,2]", "[{\"op\":\"add\",\"path\":\"/-1\",\"value\":3}]", NULL },
	{ "[1,2]", "[{\"op\":\"add\",\"path\":\"/01\",\"value\":3}]", NULL },
	{ "[1,2]", "[{\"op\":\"add\",\"path\":\"/1e0\",\"value\":3}]", NULL },
	{ "[1,2]", "[{\"op\":\"add\",\"path\":\"/99999999999999999999\",\"value\":3}]", NULL },
	{ "[1,2]", "[{\"op\":\"add\",\"path\":\"/\",\"value\":3}]", NULL },
	{ "[]", "[{\"op\":\"add\",\"path\":\"/-\",\"value\":null}]", "[null]" },
	{ "[]", "[{\"op\":\"add\",\"path\":\"/-/a\",\"value\":null}]", NULL },
	{ "{}", "[{\"op\":\"add\",\"path\":\"/-\",\"value\":1}]", "{\"-\":1}" },
	{ "{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/a/b\",\"value\":1}]", NULL },
	{ "{\"a\":\"s\"}", "[{\"op\":\"add\",\"path\":\"/a/0\",\"value\":1}]", NULL },
	{ "{\"a\":1}", "[{\"op\":\"add\",\"path\":\"a\",\"value\":1}]", NULL },
	{ "{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/a~\",\"value\":1}]", NULL },
	{ "{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/a~2\",\"value\":1}]", NULL },
	{ "{}", "[{\"op\":\"add\",\"path\":\"/a~1b~0c\",\"value\":1}]", "{\"a/b~c\":1}" },
	/* remove wants something to be there, replace a parent */
	{ "{\"a\":1}", "[{\"op\":\"remove\",\"path\":\"/b\"}]", NULL },
	{ "[1]", "[{\"op\":\"remove\",\"path\":\"/1\"}]", NULL },
	{ "[1]", "[{\"op\":\"remove\",\"path\":\"/-\"}]", NULL },
	{ "{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"/b\",\"value\":1}]", "{\"a\":1,\"b\":1}" },
	{ "{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"/b/c\",\"value\":1}]", NULL },
	{ "[1]", "[{\"op\":\"replace\",\"path\":\"/1\",\"value\":1}]", NULL },
	{ "[1,2,3]", "[{\"op\":\"replace\",\"path\":\"/1\",\"value\":{\"x\":null}}]",
	  "[1,{\"x\":null},3]" },
	{ "[1]", "[{\"op\":\"replace\",\"path\":\"/-\",\"value\":1}]", NULL },
	{ "{\"a\":null}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":null}]", "{\"a\":null}" },
	{ "{}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":null}]", NULL },
	/* move and copy */
	{ "{\"a\":{\"b\":1}}", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/a/b\"}]", NULL },
	{ "{\"a\":{\"b\":1}}", "[{\"op\":\"move\",\"from\":\"\",\"path\":\"/a\"}]", NULL },
	{ "{\"a\":{\"b\":1}}", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/a\"}]",
	  "{\"a\":{\"b\":1}}" },
	{ "{\"a\":{\"b\":1}}", "[{\"op\":\"move\",\"from\":\"/a/b\",\"path\":\"\"}]", "1" },
	{ "{\"a\":{\"b\":1}}", "[{\"op\":\"move\",\"from\":\"/a/b\",\"path\":\"/a\"}]",
	  "{\"a\":1}" },
	{ "{\"a\":1,\"ab\":{}}", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/ab/c\"}]",
	  "{\"ab\":{\"c\":1}}" },
	{ "{\"a\":1}", "[{\"op\":\"move\",\"from\":\"/b\",\"path\":\"/a\"}]", NULL },
	{ "{\"a\":1}", "[{\"op\":\"move\",\"from\":\"/b\",\"path\":\"/b\"}]", NULL },
	{ "[1,2]", "[{\"op\":\"move\",\"from\":\"/0\",\"path\":\"/2\"}]", NULL },
	{ "[1,2]", "[{\"op\":\"move\",\"from\":\"/0\",\"path\":\"/-\"}]", "[2,1]" },
	{ "{\"a\":[1],\"b\":2}", "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/b\"}]",
	  "{\"a\":[1],\"b\":[1]}" },
	{ "{\"a\":1}", "[{\"op\":\"copy\",\"from\":\"\",\"path\":\"/b\"}]",
	  "{\"a\":1,\"b\":{\"a\":1}}" },
	{ "{\"a\":{}}", "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/a/a\"}]",
	  "{\"a\":{\"a\":{}}}" },
	{ "{\"a\":1}", "[{\"op\":\"copy\",\"from\":\"/b\",\"path\":\"/c\"}]", NULL },
	/* malformed operations */
	{ "{}", "{}", NULL },
	{ "{}", "null", NULL },
	{ "{}", "[1]", NULL },
	{ "{}", "[{}]", NULL },
	{ "{}", "[{\"op\":\"add\",\"value\":1}]", NULL },
	{ "{}", "[{\"op\":\"add\",\"path\":\"/a\"}]", NULL },
	{ "{}", "[{\"op\":\"add\",\"path\":null,\"value\":1}]", NULL },
	{ "{}", "[{\"op\":\"spam\",\"path\":\"/a\",\"value\":1}]", NULL },
	{ "{}", "[{\"op\":\"copy\",\"path\":\"/a\"}]", NULL },
	{ "{}", "[{\"op\":\"test\",\"path\":\"\"}]", NULL },
	{ "{}", "[{\"op\":\"replace\",\"path\":\"\"}]", NULL },
	{ "{}", "[{\"path\":\"/a\",\"value\":1}]", NULL },
};

static void test_patch(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(patches); i++) {
		struct json *target = tree(patches[i][0]);
		_cleanup_(json_freep) struct json *list = tree(patches[i][1]);
		struct err err = { 0 };
		int r = json_patch(&target, list, &err);
		if ((r == 0) != (patches[i][2] != NULL))
			fail_msg("%s: %d %s", patches[i][1], r, err.text);
		if (r < 0)
			assert_int_equal(err.kind, ERR_INVALID);
		assert_json(target, patches[i][2] ? patches[i][2] : patches[i][0]);
		json_free(target);
	}
}

static void test_patch_atomic(void **state)
{
	(void)state;
	_cleanup_(json_freep) struct json *target = tree("{\"a\":[1],\"b\":{}}");
	_cleanup_(json_freep) struct json *list = tree(
		"[{\"op\":\"add\",\"path\":\"/a/-\",\"value\":2},{\"op\":\"remove\",\"path\":\"/b\"},"
		"{\"op\":\"replace\",\"path\":\"/nowhere/x\",\"value\":2}]");
	struct err err;
	const struct json *before = target;
	assert_int_equal(json_patch(&target, list, &err), -EINVAL);
	assert_string_equal(err.text, "operation 3 (replace /nowhere/x): the path leads nowhere");
	assert_ptr_equal(target, before);
	assert_json(target, "{\"a\":[1],\"b\":{}}");
	assert_int_equal(json_patch(&target, list, NULL), -EINVAL);
	_cleanup_(json_freep) struct json *nothing = NULL;
	_cleanup_(json_freep) struct json *make = tree(
		"[{\"op\":\"add\",\"path\":\"\",\"value\":{}}]");
	assert_int_equal(json_patch(&nothing, make, NULL), 0);
	assert_json(nothing, "{}");
}

static void assert_limit(struct json *target, struct json *list, const char *expected)
{
	struct err err;
	assert_int_equal(json_patch(&target, list, &err), -E2BIG);
	assert_non_null(strstr(err.text, expected));
	json_free(target);
	json_free(list);
}

static void test_patch_limits(void **state)
{
	(void)state;
	struct json *list = json_new_array();
	for (int i = 0; i < 40; i++)
		json_append(list, tree("{\"op\":\"copy\",\"from\":\"\",\"path\":\"/-\"}"));
	assert_limit(tree("[1,2,3]"), list, "copies too much");

	list = json_new_array();
	for (int i = 0; i < 64; i++)
		json_append(list, tree("{\"op\":\"copy\",\"from\":\"\",\"path\":\"/a\"}"));
	assert_limit(tree("{\"b\":1}"), list, "nested too deeply");

	list = json_new_array();
	for (int i = 0; i < 10001; i++)
		json_append(list, tree("{\"op\":\"test\",\"path\":\"\",\"value\":1}"));
	assert_limit(tree("1"), list, "more than 10000");

	struct json *numbers = json_new_array();
	for (int i = 0; i < 5000; i++)
		json_append(numbers, json_new_int(i));
	list = json_new_array();
	for (int i = 0; i < 9000; i++)
		json_append(list, tree("{\"op\":\"replace\",\"path\":\"/4999\",\"value\":1}"));
	assert_limit(numbers, list, "too many operations");
}

/* Depth is counted from the root: 64 levels fit, wherever they come together. */
static void test_patch_depth(void **state)
{
	(void)state;
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	for (int i = 0; i < 62; i++)
		strbuf_addc(&text, '[');
	for (int i = 0; i < 62; i++)
		strbuf_addc(&text, ']');
	struct json *target = tree("{\"a\":{}}");
	_cleanup_(json_freep) struct json *list = tree("[{\"op\":\"add\",\"path\":\"/a/b\"}]");
	json_set(json_at_mut(list, 0), "value", tree(text.data));
	assert_int_equal(json_patch(&target, list, NULL), 0);
	_cleanup_(freep) char *fits = json_to_string(target);
	json_free(tree(fits));
	json_set_string(json_at_mut(list, 0), "op", "replace");
	assert_int_equal(json_patch(&target, list, NULL), 0);
	json_append(json_get_mut(json_at_mut(list, 0), "value"), NULL);
	struct json *deeper = json_new_array();
	json_append(deeper, json_take(json_at_mut(list, 0), "value"));
	json_set(json_at_mut(list, 0), "value", deeper);
	assert_int_equal(json_patch(&target, list, NULL), -E2BIG);
	json_set_string(json_at_mut(list, 0), "op", "add");
	assert_int_equal(json_patch(&target, list, NULL), -E2BIG);
	json_free(target);
}

/* RFC 6901, section 5. */
static void test_pointer(void **state)
{
	(void)state;
	_cleanup_(json_freep) struct json *j = tree(
		"{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,\"g|h\":4,"
		"\"i\\\\j\":5,\"k\\\"l\":6,\" \":7,\"m~n\":8}");
	static const char *const rows[][2] = {
		{ "/foo", "[\"bar\",\"baz\"]" },
		{ "/foo/0", "\"bar\"" },
		{ "/", "0" },
		{ "/a~1b", "1" },
		{ "/c%d", "2" },
		{ "/e^f", "3" },
		{ "/g|h", "4" },
		{ "/i\\j", "5" },
		{ "/k\"l", "6" },
		{ "/ ", "7" },
		{ "/m~0n", "8" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_json(json_pointer_get(j, rows[i][0]), rows[i][1]);
	assert_ptr_equal(json_pointer_get(j, ""), j);
	static const char *const nowhere[] = { "foo",	  "/foo/2",   "/foo/-", "/foo/00",
					       "/foo/01", "/foo/+1",  "/m~n",	"/m~",
					       "/x",	  "/foo/0/x", "//",	"/foo/" };
	for (size_t i = 0; i < ARRAY_SIZE(nowhere); i++)
		assert_null(json_pointer_get(j, nowhere[i]));
	assert_null(json_pointer_get(NULL, ""));
	assert_null(json_pointer_get(NULL, "/a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_merge),	     cmocka_unit_test(test_merge_nothing),
		cmocka_unit_test(test_merge_many),   cmocka_unit_test(test_diff),
		cmocka_unit_test(test_diff_null),    cmocka_unit_test(test_patch),
		cmocka_unit_test(test_patch_atomic), cmocka_unit_test(test_patch_limits),
		cmocka_unit_test(test_patch_depth),  cmocka_unit_test(test_pointer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
