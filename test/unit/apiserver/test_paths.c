/* JSONPath of printer columns, selectors, and the texts of field errors. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "schema/causes.h"
#include "schema/jsonpath.h"
#include "schema/selector.h"
#include "unit/parse.h"

static void test_jsonpath(void **state)
{
	(void)state;
	static const struct {
		const char *path, *found; /* NULL: nothing */
	} cases[] = {
		{ ".a.b", "1" },
		{ "$.a.b", "1" },
		{ ".a['b']", "1" },
		{ ".a[\"x.y\"]", "2" },
		{ ".a.x\\.y", "2" },
		{ ".l[0].n", "\"p\"" },
		{ ".l[-1].n", "\"r\"" },
		{ ".l[9]", NULL },
		{ ".l[-9]", NULL },
		{ ".l[*].n", "\"p\"" },
		{ ".l[?(@.n=='q')].v", "5" },
		{ ".l[?(@.n == \"q\")].v", "5" },
		{ ".l[?(@.v==5)].n", "\"q\"" },
		{ ".l[?(@.n!='p')].n", "\"q\"" },
		{ ".l[?(@.w)].n", "\"r\"" },
		{ ".l[?(@.n=='none')].v", NULL },
		{ ".none.at.all", NULL },
		{ ".a.b.c", NULL },
		{ ".n", "null" },
		{ ".a.*", "1" },
	};
	struct json *root = parse(
		"{\"a\":{\"b\":1,\"x.y\":2},\"n\":null,\"l\":[{\"n\":\"p\"},{\"n\":\"q\",\"v\":5},"
		"{\"n\":\"r\",\"w\":[]}]}");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct jsonpath *p = NULL;
		struct err err;
		if (jsonpath_new(cases[i].path, &p, &err) < 0)
			fail_msg("%s", err.text);
		const struct json *found = jsonpath_find(p, root);
		char *text = found ? json_to_string(found) : NULL;
		if (!streq(text, cases[i].found))
			fail_msg("%s found %s", cases[i].path, text ? text : "nothing");
		free(text);
		jsonpath_free(p);
	}
	json_free(root);
}

static void test_jsonpaths_that_are_refused(void **state)
{
	(void)state;
	static const char *const paths[] = { "a",	 ".a[",		 ".a[x]",    "..a", ".a['b",
					     ".a[?(x)]", ".a[?(@.b==)]", ".a[?(@.b", ".l[0" };
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct jsonpath *p = NULL;
		struct err err;
		if (jsonpath_new(paths[i], &p, &err) == 0)
			fail_msg("%s was taken", paths[i]);
	}
}

static void test_label_selectors(void **state)
{
	(void)state;
	static const struct {
		const char *selector;
		bool matches;
	} cases[] = {
		{ "", true },
		{ "a=1", true },
		{ "a=2", false },
		{ "a==1,b=", true },
		{ "a!=1", false },
		{ "none!=1", true },
		{ "a in (0, 1)", true },
		{ "a notin (1)", false },
		{ "none notin (1)", true },
		{ "a", true },
		{ "!a", false },
		{ "! none", true },
		{ "x.y/z=q", true },
		{ "n>4", true },
		{ "n<4", false },
		{ "a>0,n", true },
		{ "b>0", false },
		{ "in=1", true },
	};
	struct json *labels = parse(
		"{\"a\":\"1\",\"b\":\"\",\"x.y/z\":\"q\",\"n\":\"5\",\"in\":\"1\"}");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct selector *s = NULL;
		struct err err;
		if (selector_parse_labels(cases[i].selector, &s, &err) < 0)
			fail_msg("%s: %s", cases[i].selector, err.text);
		if (selector_matches_labels(s, labels) != cases[i].matches)
			fail_msg("%s", cases[i].selector);
		selector_free(s);
	}
	static const char *const bad[] = {
		"a in 1", "a in (1", "=1", "a=1,",  "a b", "a=b=c",
		"a>x",	  "!a=1",    "-a", "a=b c", ",",   "a in (1)(2)"
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct selector *s = NULL;
		struct err err;
		if (selector_parse_labels(bad[i], &s, &err) == 0)
			fail_msg("%s was taken", bad[i]);
	}
	json_free(labels);
}

static const char *get_field(const void *object, const char *field)
{
	return str_or(json_get_path_string(object, field), "");
}

static bool known(const void *arg, const char *key)
{
	(void)arg;
	return streq(key, "a") || streq(key, "b");
}

static void test_field_selectors(void **state)
{
	(void)state;
	struct json *o = parse("{\"a\":\"x,y\",\"b\":\"z\"}");
	struct selector *s = NULL;
	assert_int_equal(selector_parse_fields("a=x\\,y,b!=q", &s, NULL), 0);
	assert_true(selector_matches_fields(s, get_field, o));
	assert_string_equal(selector_exact(s, "a"), "x,y");
	assert_null(selector_exact(s, "b"));
	assert_null(selector_unknown(s, known, NULL));
	selector_free(s);
	assert_int_equal(selector_parse_fields("b==q,c=", &s, NULL), 0);
	assert_false(selector_matches_fields(s, get_field, o));
	assert_string_equal(selector_unknown(s, known, NULL), "c");
	selector_free(s);
	assert_true(selector_parse_fields("nonsense", &s, NULL) < 0);
	assert_true(selector_parse_fields("=x", &s, NULL) < 0);
	json_free(o);
}

static void test_causes(void **state)
{
	(void)state;
	struct causes c = { 0 };
	struct strbuf text = { 0 };
	struct json *value = parse("{\"b\":[1,null,true],\"a\":\"q\\\"\"}");
	causes_add(&c, CAUSE_REQUIRED, "spec.x", NULL, CAUSE_BARE);
	causes_format(&c, &text);
	assert_string_equal(text.data, "spec.x: Required value");
	causes_add(&c, CAUSE_REQUIRED, "spec.x", NULL, CAUSE_BARE); /* shown once */
	causes_add_json(&c, CAUSE_INVALID, "spec.y", value, "is %d", 5);
	strbuf_clear(&text);
	causes_format(&c, &text);
	assert_string_equal(
		text.data,
		"[spec.x: Required value, spec.y: Invalid value: {\"a\":\"q\\\"\",\"b\":[1,null,true]}: is 5]");
	assert_string_equal(cause_type_name(CAUSE_NOT_SUPPORTED), "FieldValueNotSupported");
	struct path p = { 0 };
	path_member(&p, "spec");
	size_t at = path_member(&p, "nics");
	path_index(&p, 3);
	path_key(&p, "k");
	assert_string_equal(path_text(&p), "spec.nics[3][k]");
	path_back(&p, at);
	assert_string_equal(path_text(&p), "spec");
	path_done(&p);
	strbuf_done(&text);
	causes_done(&c);
	json_free(value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_jsonpath),
		cmocka_unit_test(test_jsonpaths_that_are_refused),
		cmocka_unit_test(test_label_selectors),
		cmocka_unit_test(test_field_selectors),
		cmocka_unit_test(test_causes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
