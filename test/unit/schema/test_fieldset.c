/* Sets of fields: FieldsV1 both ways, set arithmetic against a simple model, what is refused. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "schema/fieldset.h"

static int try_decode(const char *text, struct fieldset *ret)
{
	struct json *j = NULL;
	char *copy = xstrdup(text);
	for (char *p = copy; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	if (json_parse(copy, strlen(copy), &j, NULL) < 0)
		fail_msg("%s", copy);
	int r = fieldset_decode(j, ret);
	json_free(j);
	free(copy);
	return r;
}

static struct fieldset decode(const char *text)
{
	struct fieldset s = { 0 };
	if (try_decode(text, &s) < 0)
		fail_msg("%s is refused", text);
	return s;
}

/* With ' for ". */
static char *encode(const struct fieldset *s)
{
	struct json *j = fieldset_encode(s);
	char *text = json_to_string(j);
	for (char *p = text; *p; p++)
		*p = *p == '"' ? '\'' : *p;
	json_free(j);
	return text;
}

/* Takes s. */
static void assert_set(struct fieldset s, const char *expected)
{
	char *text = encode(&s);
	assert_string_equal(text, expected);
	free(text);
	fieldset_done(&s);
}

static void test_text(void **state)
{
	(void)state;
	assert_set(decode("{}"), "{}");
	assert_set(decode("{'f:a':{}}"), "{'f:a':{}}");
	assert_set(decode("{'f:a':{'.':{}}}"), "{'f:a':{}}");
	assert_set(decode("{'f:b':{'f:c':{}},'f:a':{'f:d':{},'.':{}}}"),
		   "{'f:a':{'.':{},'f:d':{}},'f:b':{'f:c':{}}}");
	assert_set(
		decode("{'k:{\\'a\\':1,\\'b\\':\\'x\\'}':{'.':{},'f:n':{}},'v:\\'q\\'':{},'v:5':{},'i:3':{}}"),
		"{'i:3':{},'k:{\\'a\\':1,\\'b\\':\\'x\\'}':{'.':{},'f:n':{}},'v:\\'q\\'':{},'v:5':{}}");
	assert_set(decode("{'q:new':{'f:x':{}},'f:a':{}}"), "{'f:a':{}}");
	/* Keys may hold anything, also what looks like more path. */
	assert_set(decode("{'f:a.b/c':{},'f:':{},'f:f:x':{}}"),
		   "{'f:':{},'f:a.b/c':{},'f:f:x':{}}");
}

static void test_refused(void **state)
{
	static const char *const texts[] = {
		"5",	      "[]",	     "'x'",
		"null",	      "{'x':{}}",    "{'':{}}",
		"{'f':{}}",   "{'f:a':5}",   "{'f:a':{'f:b':[1]}}",
		"{'k:':{}}",  "{'k:5':{}}",  "{'k:{}':{}}",
		"{'k:{':{}}", "{'v:':{}}",   "{'v:x':{}}",
		"{'i:x':{}}", "{'i:-1':{}}",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct fieldset s = { 0 };
		if (try_decode(texts[i], &s) != -EINVAL)
			fail_msg("%s is taken", texts[i]);
		assert_int_equal(s.count, 0);
	}
}

static void test_limits(void **state)
{
	(void)state;
	for (int depth = FIELDSET_DEPTH_MAX; depth <= FIELDSET_DEPTH_MAX + 1; depth++) {
		struct strbuf text = { 0 };
		struct fieldset s = { 0 };
		for (int i = 0; i < depth; i++)
			strbuf_adds(&text, "{'f:a':");
		strbuf_adds(&text, "{}");
		for (int i = 0; i < depth; i++)
			strbuf_addc(&text, '}');
		assert_int_equal(try_decode(text.data, &s),
				 depth <= FIELDSET_DEPTH_MAX ? 0 : -E2BIG);
		fieldset_done(&s);
		strbuf_done(&text);
	}
}

static void test_arithmetic(void **state)
{
	(void)state;
	struct fieldset a = decode("{'f:a':{'.':{},'f:x':{}},'f:b':{'f:y':{}},'f:c':{}}");
	struct fieldset b = decode("{'f:a':{},'f:b':{'f:y':{},'f:z':{}},'f:d':{'f:q':{}}}");
	assert_set(fieldset_union(&a, &b),
		   "{'f:a':{'.':{},'f:x':{}},'f:b':{'f:y':{},'f:z':{}},'f:c':{},'f:d':{'f:q':{}}}");
	/* What is below a member is not a part of it. */
	assert_set(fieldset_difference(&a, &b), "{'f:a':{'f:x':{}},'f:c':{}}");
	assert_set(fieldset_difference(&b, &a), "{'f:b':{'f:z':{}},'f:d':{'f:q':{}}}");
	assert_set(fieldset_intersection(&a, &b), "{'f:a':{},'f:b':{'f:y':{}}}");
	fieldset_subtract(&a, &a);
	assert_true(fieldset_empty(&a));
	fieldset_unite(&a, &b);
	assert_true(fieldset_equal(&a, &b));
	fieldset_drop(&a, "f:a", NULL);
	fieldset_drop(&a, "f:b", "f:z");
	assert_set(fieldset_dup(&a), "{'f:b':{'f:y':{}},'f:d':{'f:q':{}}}");
	fieldset_cut(&a, "f:d", "f:q");
	fieldset_cut(&a, "f:b", NULL);
	assert_true(fieldset_empty(&a));
	fieldset_done(&a);
	fieldset_done(&b);
}

/* Bit i of a number stands for a field: f:0 … f:3, and f:0.f:0 … f:3.f:3. */
static struct fieldset of_bits(unsigned bits)
{
	struct fieldset s = { 0 };
	for (unsigned i = 4; i-- > 0;) {
		struct fieldset below = { 0 }, none = { 0 };
		char element[8];
		for (unsigned k = 0; k < 4; k++) {
			snprintf(element, sizeof(element), "f:%u", k);
			fieldset_add(&below, element, bits >> (4 + i * 4 + k) & 1, &none);
		}
		snprintf(element, sizeof(element), "f:%u", i);
		fieldset_add(&s, element, bits >> i & 1, &below);
	}
	return s;
}

static void test_against_a_model(void **state)
{
	uint32_t seed = 1;
	(void)state;
	for (int i = 0; i < 2000; i++) {
		seed = seed * 1664525u + 1013904223u;
		unsigned x = seed >> 12;
		seed = seed * 1664525u + 1013904223u;
		unsigned y = seed >> 12;
		struct fieldset a = of_bits(x), b = of_bits(y);
		struct fieldset got[] = { fieldset_union(&a, &b), fieldset_difference(&a, &b),
					  fieldset_intersection(&a, &b) };
		struct fieldset want[] = { of_bits(x | y), of_bits(x & ~y), of_bits(x & y) };
		for (size_t k = 0; k < 3; k++) {
			assert_true(fieldset_equal(&got[k], &want[k]));
			fieldset_done(&got[k]);
			fieldset_done(&want[k]);
		}
		fieldset_done(&a);
		fieldset_done(&b);
	}
}

static void add_line(void *data, const char *path)
{
	strbuf_addf(data, "%s\n", path);
}

static void test_for_people(void **state)
{
	(void)state;
	struct strbuf lines = { 0 };
	struct fieldset s = decode(
		"{'f:a':{'f:b':{},'k:{\\'p\\':80,\\'q\\':\\'TCP\\'}':{'.':{},'f:n':{}}},'f:z':{},'v:\\'t\\'':{},'i:2':{}}");
	fieldset_each(&s, add_line, &lines);
	assert_string_equal(lines.data,
			    ".z\n[2]\n[=\"t\"]\n.a.b\n.a[p=80,q=\"TCP\"]\n.a[p=80,q=\"TCP\"].n\n");
	strbuf_done(&lines);
	fieldset_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_arithmetic),
		cmocka_unit_test(test_against_a_model),
		cmocka_unit_test(test_for_people),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
