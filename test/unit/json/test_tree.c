/* Reading, numbers, equality and changing of trees. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "unit/json/json_test.h"

static void test_types(void **state)
{
	(void)state;
	_cleanup_(json_freep) struct json *j = tree("[null,true,false,1,\"s\",[],{}]");
	static const enum json_type types[] = { JSON_NULL,   JSON_BOOL,	 JSON_BOOL,  JSON_NUMBER,
						JSON_STRING, JSON_ARRAY, JSON_OBJECT };
	size_t i = 0;
	json_for_each(child, j) {
		assert_int_equal(json_type(child), types[i]);
		assert_ptr_equal(json_at(j, i), child);
		assert_null(json_key(child));
		i++;
	}
	assert_int_equal(i, 7);
	assert_int_equal(json_count(j), 7);
	assert_null(json_at(j, 7));
	assert_true(json_is_null(json_at(j, 0)));
	assert_true(json_is_string(json_at(j, 4)));
	assert_true(json_is_array(json_at(j, 5)));
	assert_true(json_is_object(json_at(j, 6)));
	assert_string_equal(json_number_text(json_at(j, 3)), "1");
	assert_null(json_number_text(json_at(j, 4)));
	assert_null(json_string(json_at(j, 3)));
}

static void test_absent(void **state)
{
	(void)state;
	int64_t i = 5;
	double d = 5;
	bool b = true;
	assert_int_equal(json_type(NULL), JSON_NULL);
	assert_true(json_is_null(NULL));
	assert_false(json_is_object(NULL));
	assert_null(json_get(NULL, "a"));
	assert_null(json_get_path(NULL, "a.b"));
	assert_null(json_at(NULL, 0));
	assert_null(json_first(NULL));
	assert_null(json_next(NULL));
	assert_null(json_key(NULL));
	assert_int_equal(json_count(NULL), 0);
	assert_null(json_string(NULL));
	assert_false(json_int(NULL, &i));
	assert_false(json_double(NULL, &d));
	assert_false(json_bool(NULL, &b));
	assert_true(i == 5 && d == 5 && b);
	assert_null(json_dup(NULL));
	assert_null(json_free(NULL));
	assert_true(json_equal(NULL, NULL));
	assert_null(json_take(NULL, "a"));
	assert_null(json_take_at(NULL, 0));
	json_remove(NULL, "a");
	assert_null(json_set(NULL, "a", json_new_int(1)));
	assert_null(json_add(NULL, "a", json_new_int(1)));
	assert_null(json_append(NULL, json_new_int(1)));
	json_insert(NULL, 0, json_new_int(1));
	json_set_string(NULL, "a", "b");
	assert_null(json_make_object(NULL, "a"));
	assert_int_equal(json_get_int(NULL, "a", 7), 7);
	assert_true(json_get_bool(NULL, "a", true));
}

/* As the parser would have made it: members in the order in which they came. */
static void test_add(void **state)
{
	(void)state;
	_cleanup_(json_freep) struct json *j = json_new_object(),
					  *same = tree("{\"b\":1,\"a\":{}}");
	json_add(j, "b", json_new_int(1));
	assert_true(json_is_object(json_add(j, "a", json_new_object())));
	assert_null(json_add(j, "c", NULL));
	assert_true(json_equal(j, same));
	assert_string_equal(json_key(json_first(j)), "b");
}

static void test_lookup(void **state)
{
	(void)state;
	_cleanup_(json_freep) struct json *j = tree(
		"{\"spec\":{\"bmc\":{\"address\":\"x\"},\"n\":3,"
		"\"on\":true},\"Spec\":1,\"a.b\":2,\"\":{\"\":9}}");
	assert_string_equal(json_get_path_string(j, "spec.bmc.address"), "x");
	assert_null(json_get_path(j, "spec.bmc.addres"));
	assert_null(json_get_path(j, "spec.bmc.addressx"));
	assert_null(json_get_path(j, "spec.n.x"));
	assert_null(json_get_path(j, "a.b"));
	assert_json(json_get_path(j, "."), "9");
	assert_json(json_get(j, "Spec"), "1");
	assert_json(json_get(j, "a.b"), "2");
	const struct json *spec = json_get(j, "spec");
	assert_string_equal(json_key(spec), "spec");
	assert_int_equal(json_get_int(spec, "n", 0), 3);
	assert_int_equal(json_get_int(spec, "on", 8), 8);
	assert_true(json_get_bool(spec, "on", false));
	assert_false(json_get_bool(spec, "n", false));
	assert_null(json_get_string(spec, "n"));
	assert_null(json_get(json_get(j, "Spec"), "x"));
}

static void test_int(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool exact;
		int64_t value;
	} rows[] = {
		{ "0", true, 0 },
		{ "-0", true, 0 },
		{ "0.0e99999999999999999999", true, 0 },
		{ "-0.000", true, 0 },
		{ "1.0", true, 1 },
		{ "1e2", true, 100 },
		{ "1E+2", true, 100 },
		{ "100e-2", true, 1 },
		{ "0.0015e4", true, 15 },
		{ "-12.50e1", true, -125 },
		{ "120.0", true, 120 },
		{ "1000000000000000000000e-20", true, 10 },
		{ "1.5", false, 0 },
		{ "1e-1", false, 0 },
		{ "0.1", false, 0 },
		{ "15e-1", false, 0 },
		{ "9007199254740993", true, 9007199254740993 },
		{ "9223372036854775807", true, INT64_MAX },
		{ "9223372036854775807.0", true, INT64_MAX },
		{ "9.223372036854775807e18", true, INT64_MAX },
		{ "9223372036854775808", false, 0 },
		{ "9.223372036854775808e18", false, 0 },
		{ "-9223372036854775808", true, INT64_MIN },
		{ "-922337203685477580800e-2", true, INT64_MIN },
		{ "-9223372036854775809", false, 0 },
		{ "18446744073709551616", false, 0 },
		{ "1e18", true, 1000000000000000000 },
		{ "1e19", false, 0 },
		{ "1e999", false, 0 },
		{ "1e99999999999999999999", false, 0 },
		{ "1e-99999999999999999999", false, 0 },
		{ "123456789012345678901234567890", false, 0 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(json_freep) struct json *j = tree(rows[i].text);
		int64_t value = 42;
		if (json_int(j, &value) != rows[i].exact)
			fail_msg("%s", rows[i].text);
		assert_int_equal(value, rows[i].exact ? rows[i].value : 42);
	}
}

static void test_double(void **state)
{
	(void)state;
	static const struct {
		double value;
		const char *text;
	} rows[] = {
		{ 0, "0" },
		{ 1, "1" },
		{ -2.5, "-2.5" },
		{ 0.1, "0.1" },
		{ 1e100, "1e+100" },
		{ 1.0 / 3, "0.3333333333333333" },
		{ 5e-324, "4.94065645841247e-324" },
		{ NAN, "null" },
		{ INFINITY, "null" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(json_freep) struct json *j = json_new_double(rows[i].value);
		assert_json(j, rows[i].text);
		double back;
		if (isfinite(rows[i].value)) {
			assert_true(json_double(j, &back));
			assert_true(back == rows[i].value);
		}
	}
	double d = 1;
	_cleanup_(json_freep) struct json *huge = tree("1e400");
	assert_false(json_double(huge, &d));
	assert_true(d == 1);
}

static void test_equal(void **state)
{
	(void)state;
	static const struct {
		const char *a, *b;
		bool equal;
	} rows[] = {
		{ "1", "1.0", true },
		{ "1", "1e0", true },
		{ "1.0", "10e-1", true },
		{ "0", "-0.0e5", true },
		{ "100", "1e2", true },
		{ "12.5", "1.25E1", true },
		{ "101", "1.01e2", true },
		{ "1", "-1", false },
		{ "1", "10", false },
		{ "1", "2", false },
		{ "0", "1", false },
		{ "9223372036854775807", "9223372036854775806", false },
		{ "9007199254740993", "9007199254740992", false },
		{ "9007199254740993", "9007199254740993.0", true },
		{ "0.1", "0.10000000000000000001", false },
		{ "1e400", "10e399", true },
		{ "1e99999999999999999999", "1e99999999999999999999", true },
		{ "1e99999999999999999999", "1e99999999999999999998", false },
		{ "0e99999999999999999999", "0", true },
		{ "1", "\"1\"", false },
		{ "1", "true", false },
		{ "true", "false", false },
		{ "null", "false", false },
		{ "\"a\"", "\"\\u0061\"", true },
		{ "\"a\"", "\"A\"", false },
		{ "[1,2]", "[1,2.0]", true },
		{ "[1,2]", "[2,1]", false },
		{ "[1]", "[1,1]", false },
		{ "[]", "{}", false },
		{ "{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", true },
		{ "{\"a\":1,\"b\":2}", "{\"b\":1,\"a\":2}", false },
		{ "{\"a\":1}", "{\"a\":1,\"b\":null}", false },
		{ "{\"a\":1,\"b\":null}", "{\"a\":1}", false },
		{ "{\"a\":1,\"b\":2,\"c\":3}", "{\"a\":1,\"c\":3,\"d\":2}", false },
		{ "{\"a\":null}", "{\"b\":null}", false },
		{ "{\"a\":[{\"x\":1,\"y\":2}]}", "{\"a\":[{\"y\":2,\"x\":1}]}", true },
		{ "{}", "{}", true },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(json_freep) struct json *a = tree(rows[i].a), *b = tree(rows[i].b);
		if (json_equal(a, b) != rows[i].equal || json_equal(b, a) != rows[i].equal)
			fail_msg("%s and %s", rows[i].a, rows[i].b);
	}
}

static void test_build(void **state)
{
	(void)state;
	_cleanup_(json_freep) struct json *j = json_new_object();
	json_set_string(j, "s", "x");
	json_set_int(j, "min", INT64_MIN);
	json_set_int(j, "max", INT64_MAX);
	json_set_bool(j, "t", true);
	json_set(j, "null", json_new_null());
	json_set(j, "none", json_new_string(NULL));
	json_set_string(j, "left out", NULL);
	struct json *list = json_set(j, "list", json_new_array());
	assert_non_null(json_append(list, json_new_bool(false)));
	json_append(list, json_new_object());
	assert_json(j, "{\"s\":\"x\",\"min\":-9223372036854775808,\"max\":9223372036854775807,"
		       "\"t\":true,\"null\":null,\"none\":null,\"list\":[false,{}]}");
	int64_t value;
	assert_true(json_int(json_get(j, "min"), &value) && value == INT64_MIN);
	assert_true(json_int(json_get(j, "max"), &value) && value == INT64_MAX);
}

static void test_replace(void **state)
{
	(void)state;
	_cleanup_(json_freep) struct json *j = tree("{\"a\":1,\"b\":2,\"c\":3}");
	json_set_int(j, "b", 20);
	json_set_int(j, "a", 10);
	json_set_int(j, "c", 30);
	json_set_int(j, "d", 40);
	assert_json(j, "{\"a\":10,\"b\":20,\"c\":30,\"d\":40}");
	/* In its own place, under a key that belongs to what is freed. */
	json_set(j, json_key(json_get(j, "b")), json_new_null());
	json_set(j, "a", json_get_mut(j, "a"));
	json_set_string(j, "d", NULL);
	assert_json(j, "{\"a\":10,\"b\":null,\"c\":30}");
	json_set(j, "c", NULL);
	json_set(j, "only", json_take(j, "a"));
	json_remove(j, "b");
	json_remove(j, "b");
	assert_json(j, "{\"only\":10}");
	json_set_int(json_make_object(json_make_object(j, "x"), "y"), "z", 1);
	json_set_int(json_make_object(json_make_object(j, "x"), "y"), "w", 2);
	json_set_int(json_make_object(j, "only"), "v", 3);
	assert_json(j, "{\"only\":{\"v\":3},\"x\":{\"y\":{\"z\":1,\"w\":2}}}");
}

static void test_lists(void **state)
{
	(void)state;
	_cleanup_(json_freep) struct json *j = json_new_array();
	json_insert(j, 5, json_new_int(2));
	json_insert(j, 0, json_new_int(0));
	json_insert(j, 1, json_new_int(1));
	json_insert(j, 3, json_new_int(3));
	json_append(j, json_new_int(4));
	assert_json(j, "[0,1,2,3,4]");
	_cleanup_(json_freep) struct json *last = json_take_at(j, 4);
	assert_json(last, "4");
	json_append(j, json_new_int(5));
	json_free(json_take_at(j, 0));
	json_free(json_take_at(j, 1));
	assert_json(j, "[1,3,5]");
	assert_null(json_take_at(j, 3));
	json_append(j, json_new_int(7));
	assert_json(j, "[1,3,5,7]");
	while (json_count(j) > 0)
		json_free(json_take_at(j, json_count(j) - 1));
	json_append(j, json_new_int(8));
	assert_json(j, "[8]");
	assert_json(json_at_mut(j, 0), "8");
	assert_null(json_next_mut(json_first_mut(j)));
}

/* A value that moves from an object to a list leaves its key behind. */
static void test_keys_left_behind(void **state)
{
	(void)state;
	_cleanup_(json_freep) struct json *j = tree("{\"a\":{\"k\":1},\"list\":[]}");
	struct json *taken = json_take(j, "a");
	assert_null(json_key(taken));
	json_append(json_get_mut(j, "list"), taken);
	assert_null(json_key(json_at(json_get(j, "list"), 0)));
	_cleanup_(json_freep) struct json *copy = json_dup(json_get(j, "list"));
	assert_null(json_key(copy));
	assert_json(j, "{\"list\":[{\"k\":1}]}");
	json_append(json_get_mut(j, "list"),
		    json_take(json_at_mut(json_get_mut(j, "list"), 0), "k"));
	assert_json(j, "{\"list\":[{},1]}");
}

static void test_repair(void **state)
{
	(void)state;
	_cleanup_(json_freep) struct json *j = json_new_object();
	json_set_string(j, "fan\xff", "\xed\xa0\x80 1");
	assert_json(j, "{\"fan\xef\xbf\xbd\":\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd 1\"}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_absent),
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_lookup),
		cmocka_unit_test(test_int),
		cmocka_unit_test(test_double),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_build),
		cmocka_unit_test(test_replace),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_keys_left_behind),
		cmocka_unit_test(test_repair),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
