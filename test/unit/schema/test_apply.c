/* Ownership on trees: what values own under a schema, comparison, merge; managedFields after
 * writes; apply. Sets and objects are written with ' for ". */

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
#include "schema/managed.h"
#include "unit/parse.h"

/* Takes j. */
static void assert_json(struct json *j, const char *expected)
{
	char *text = json_to_string(j);
	for (char *p = text; *p; p++)
		*p = *p == '"' ? '\'' : *p;
	assert_string_equal(text, expected);
	free(text);
	json_free(j);
}

static void assert_fields(const struct fieldset *s, const char *expected)
{
	assert_json(fieldset_encode(s), expected);
}

static const char schema_text[] =
	"{'type':'object','properties':{"
	"'size':{'type':'integer'},'name':{'type':'string'},'on':{'type':'boolean'},"
	"'tags':{'type':'array','items':{'type':'string'},'x-kubernetes-list-type':'set'},"
	"'parts':{'type':'array','x-kubernetes-list-type':'map','x-kubernetes-list-map-keys':['port','proto'],"
	"'items':{'type':'object','properties':{'port':{'type':'integer'},'proto':{'type':'string','default':'TCP'},"
	"'count':{'type':'integer'}}}},"
	"'plain':{'type':'array','items':{'type':'object','properties':{'a':{'type':'integer'}}}},"
	"'labels':{'type':'object','additionalProperties':{'type':'string'}},"
	"'whole':{'type':'object','x-kubernetes-map-type':'atomic','properties':{'a':{'type':'string'}}},"
	"'inner':{'type':'object','properties':{'a':{'type':'string'},'b':{'type':'object','properties':{'c':{'type':'string'}}}}},"
	"'port':{'x-kubernetes-int-or-string':true},"
	"'free':{'type':'object','x-kubernetes-preserve-unknown-fields':true}}}";

static struct schema *schema;
static struct type type;

static int set_up(void **state)
{
	struct causes wrong = { 0 };
	struct path path = { 0 };
	struct json *source = parse_quoted(schema_text);
	schema = schema_compile(source, &path, NULL, &wrong);
	assert_non_null(schema);
	path_done(&path);
	causes_done(&wrong);
	json_free(source);
	type = (struct type){ .schema = schema };
	*state = NULL;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	schema_free(schema);
	return 0;
}

/* --- along the schema
 * ----------------------------------------------------------------------------- */

static void assert_owned(const char *value, const char *expected)
{
	struct json *j = parse_quoted(value);
	struct fieldset s = typed_fields(&type, j);
	assert_fields(&s, expected);
	fieldset_done(&s);
	json_free(j);
}

static void test_what_a_value_owns(void **state)
{
	(void)state;
	assert_owned("{'size':1,'name':null}", "{'f:name':{},'f:size':{}}");
	assert_owned("{'tags':['b','a']}", "{'f:tags':{'v:\\'a\\'':{},'v:\\'b\\'':{}}}");
	assert_owned(
		"{'parts':[{'port':1},{'proto':'UDP','port':1,'count':2}]}",
		"{'f:parts':{'k:{\\'port\\':1,\\'proto\\':\\'TCP\\'}':{'.':{},'f:port':{}},"
		"'k:{\\'port\\':1,\\'proto\\':\\'UDP\\'}':{'.':{},'f:count':{},'f:port':{},'f:proto':{}}}}");
	assert_owned("{'plain':[{'a':1}],'whole':{'a':'x'}}", "{'f:plain':{},'f:whole':{}}");
	assert_owned("{'labels':{'x':'1'},'inner':{'b':{'c':'d'}}}",
		     "{'f:inner':{'f:b':{'f:c':{}}},'f:labels':{'f:x':{}}}");
	assert_owned("{'free':{'q':{'r':[1,{}],'s':{}}}}",
		     "{'f:free':{'f:q':{'.':{},'f:r':{},'f:s':{}}}}");
	/* An empty list is nothing, an empty object something. */
	assert_owned("{'labels':{},'tags':[],'plain':[]}", "{'f:labels':{},'f:plain':{}}");
	assert_owned("{'port':'http'}", "{'f:port':{}}");
}

static void assert_compared(const char *before, const char *now, const char *added,
			    const char *modified, const char *removed)
{
	struct json *x = before ? parse_quoted(before) : NULL, *y = parse_quoted(now);
	struct comparison c;
	typed_compare(&type, x, y, &c);
	assert_fields(&c.added, added);
	assert_fields(&c.modified, modified);
	assert_fields(&c.removed, removed);
	schema_comparison_done(&c);
	json_free(x);
	json_free(y);
}

static void test_comparison(void **state)
{
	(void)state;
	assert_compared("{'size':1}", "{'size':1}", "{}", "{}", "{}");
	assert_compared("{'size':1,'name':'a'}", "{'size':2,'on':true}", "{'f:on':{}}",
			"{'f:size':{}}", "{'f:name':{}}");
	/* What leads to a new field is new itself. */
	assert_compared("{}", "{'labels':{'a':'1'},'inner':{'b':{'c':'x'}}}",
			"{'f:inner':{'.':{},'f:b':{'.':{},'f:c':{}}},'f:labels':{'.':{},'f:a':{}}}",
			"{}", "{}");
	assert_compared("{'labels':{'a':'1'}}", "{}", "{}", "{}", "{'f:labels':{'.':{},'f:a':{}}}");
	assert_compared("{'labels':{'a':'1','b':'2'}}", "{'labels':{'b':'3'}}", "{}",
			"{'f:labels':{'f:b':{}}}", "{'f:labels':{'f:a':{}}}");
	assert_compared("{'tags':['a','b']}", "{'tags':['b','c']}", "{'f:tags':{'v:\\'c\\'':{}}}",
			"{}", "{'f:tags':{'v:\\'a\\'':{}}}");
	/* Order is nothing in sets and maps, and everything elsewhere. */
	assert_compared("{'tags':['a','b'],'plain':[{'a':1},{'a':2}]}",
			"{'tags':['b','a'],'plain':[{'a':2},{'a':1}]}", "{}", "{'f:plain':{}}",
			"{}");
	assert_compared("{'parts':[{'port':1,'proto':'TCP','count':1}]}",
			"{'parts':[{'port':1,'proto':'TCP','count':2}]}", "{}",
			"{'f:parts':{'k:{\\'port\\':1,\\'proto\\':\\'TCP\\'}':{'f:count':{}}}}",
			"{}");
	/* A part that ceases to fall apart. */
	assert_compared("{'free':{'q':{'r':1}}}", "{'free':{'q':5}}", "{}", "{'f:free':{'f:q':{}}}",
			"{'f:free':{'f:q':{'f:r':{}}}}");
	assert_compared("{'labels':{}}", "{'labels':null}", "{}", "{'f:labels':{}}", "{}");
	assert_compared("{'labels':{'a':'1'}}", "{'labels':null}", "{}", "{}",
			"{'f:labels':{'f:a':{}}}");
	assert_compared(NULL, "{'size':1}", "{'f:size':{}}", "{}", "{}");
}

static void assert_merged(const char *base, const char *over, const char *expected)
{
	struct json *x = parse_quoted(base), *y = parse_quoted(over);
	assert_json(typed_merge(&type, x, y), expected);
	json_free(x);
	json_free(y);
}

static void test_merge(void **state)
{
	(void)state;
	assert_merged("{'size':1,'name':'a'}", "{'size':2,'on':true}",
		      "{'size':2,'name':'a','on':true}");
	assert_merged("{'tags':['b','a']}", "{'tags':['c','a']}", "{'tags':['b','c','a']}");
	assert_merged("{'parts':[{'port':1,'proto':'TCP','count':1}]}",
		      "{'parts':[{'port':2},{'port':1,'count':5}]}",
		      "{'parts':[{'port':2},{'port':1,'proto':'TCP','count':5}]}");
	/* What both have in the order of the second, what the first has alone where it stood. */
	assert_merged("{'tags':['a','b','c','d']}", "{'tags':['d','x','b']}",
		      "{'tags':['a','c','d','x','b']}");
	assert_merged("{'tags':['a','b','c']}", "{'tags':['c','b','a']}", "{'tags':['c','b','a']}");
	assert_merged("{'tags':['a','b']}", "{'tags':['c','d']}", "{'tags':['a','b','c','d']}");
	assert_merged("{'plain':[{'a':1}],'whole':{'a':'x'}}", "{'plain':[],'whole':{}}",
		      "{'plain':[],'whole':{}}");
	assert_merged("{'labels':{'a':'1'}}", "{'labels':null}", "{'labels':{'a':'1'}}");
	assert_merged("{'labels':{}}", "{'labels':null}", "{'labels':null}");
	/* Items that share a key are one. */
	assert_merged("{'tags':['a','a']}", "{'tags':['b']}", "{'tags':['a','b']}");
}

static void test_taking_away(void **state)
{
	(void)state;
	struct json *j = parse_quoted(
		"{'size':1,'labels':{'a':'1','b':'2'},'tags':['x','y'],'parts':[{'port':1,'count':1},{'port':2}]}");
	struct json *fields = parse_quoted(
		"{'f:size':{},'f:labels':{'f:a':{}},'f:tags':{'v:\\'y\\'':{}},"
		"'f:parts':{'k:{\\'port\\':1,\\'proto\\':\\'TCP\\'}':{'f:count':{}},'k:{\\'port\\':2,\\'proto\\':\\'TCP\\'}':{}}}");
	struct fieldset s;
	assert_int_equal(fieldset_decode(fields, &s), 0);
	assert_json(typed_remove(&type, j, &s),
		    "{'labels':{'b':'2'},'tags':['x'],'parts':[{'port':1}]}");
	struct fieldset more = typed_with_parents(&type, &s);
	assert_fields(
		&more,
		"{'f:labels':{'.':{},'f:a':{}},'f:parts':{'.':{},"
		"'k:{\\'port\\':1,\\'proto\\':\\'TCP\\'}':{'f:count':{}},'k:{\\'port\\':2,\\'proto\\':\\'TCP\\'}':{}},"
		"'f:size':{},'f:tags':{'.':{},'v:\\'y\\'':{}}}");
	fieldset_done(&s);
	fieldset_done(&more);
	json_free(fields);
	json_free(j);
}

static void test_what_cannot_be_applied(void **state)
{
	static const struct {
		const char *value, *fault;
	} cases[] = {
		{ "{'size':1,'free':{'x':{'y':1}},'port':5,'inner':null}", NULL },
		{ "{'odd':1}", ".odd: field not declared in schema" },
		{ "{'whole':{'z':1}}", ".whole.z: field not declared in schema" },
		{ "{'plain':[{'b':1}]}", ".plain[0].b: field not declared in schema" },
		{ "{'size':'x'}", ".size: expected numeric (int or float), got string" },
		{ "{'name':5}", ".name: expected string, got 5" },
		{ "{'on':'true'}", ".on: expected boolean, got \"true\"" },
		{ "{'labels':[]}", ".labels: expected map, got []" },
		{ "{'tags':{}}", ".tags: expected list, got {}" },
		{ "{'labels':{'a':1}}", ".labels.a: expected string, got 1" },
		{ "{'tags':['a','b','a']}", ".tags: duplicate entries for key [=\"a\"]" },
		{ "{'tags':[null]}",
		  ".tags: element 0: associative list without keys has an element that's an explicit null" },
		{ "{'tags':['a',{}]}",
		  ".tags: element 1: associative list without keys has an element that's a map type" },
		{ "{'parts':[{'port':1},{'port':1,'proto':'TCP'}]}",
		  ".parts: duplicate entries for key [port=1,proto=\"TCP\"]" },
		/* One of the keys is enough, be it a default. */
		{ "{'parts':[{'proto':'UDP'},{'count':1}]}", NULL },
		{ "{'parts':[{'port':1},{},{'proto':'TCP'}]}",
		  ".parts: duplicate entries for key [proto=\"TCP\"]" },
		{ "{'tags':['a',[],{}]}",
		  ".tags: element 1: not supported: associative list with lists as elements" },
		{ "{'tags':['a','a','a']}",
		  "errors:\n  .tags: duplicate entries for key [=\"a\"]\n  .tags: duplicate entries for key [=\"a\"]" },
		{ "{'parts':[{'port':'x'}]}",
		  ".parts[port=\"x\",proto=\"TCP\"].port: expected numeric (int or float), got string" },
		{ "{'odd':1,'size':'x'}",
		  "errors:\n  .odd: field not declared in schema\n  .size: expected numeric (int or float), got string" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct json *j = parse_quoted(cases[i].value);
		char *fault = typed_validate(&type, j);
		if (!streq(fault, cases[i].fault))
			fail_msg("%s: %s", cases[i].value, str_or(fault, "nothing"));
		free(fault);
		json_free(j);
	}
}

/* Below the limit a value is one field, so that managedFields always parse. */
static void test_depth(void **state)
{
	struct strbuf text = { 0 };
	(void)state;
	strbuf_adds(&text, "{'free':");
	for (int i = 0; i < JSON_DEPTH_MAX - 3; i++)
		strbuf_adds(&text, "{'a':");
	strbuf_adds(&text, "1");
	for (int i = 0; i < JSON_DEPTH_MAX - 3; i++)
		strbuf_addc(&text, '}');
	strbuf_addc(&text, '}');
	struct json *j = parse_quoted(text.data), *fields;
	struct fieldset s = typed_fields(&type, j), back;
	fields = fieldset_encode(&s);
	assert_int_equal(fieldset_decode(fields, &back), 0);
	assert_true(fieldset_equal(&s, &back));
	fieldset_done(&s);
	fieldset_done(&back);
	json_free(fields);
	json_free(j);
	strbuf_done(&text);
}

/* --- managedFields
 * -------------------------------------------------------------------------------- */

#define ENTRY(MANAGER, OPERATION, FIELDS)                                                                \
	"{'manager':'" MANAGER "','operation':'" OPERATION                                               \
	"','apiVersion':'g/v1','time':'2026-01-01T00:00:00Z','fieldsType':'FieldsV1','fieldsV1':" FIELDS \
	"}"

static struct managers managers_of(const char *text)
{
	struct json *j = parse_quoted(text);
	struct managers m;
	assert_int_equal(schema_managers_decode(j, "g/v1", &m), 0);
	json_free(j);
	return m;
}

/* "m1 Apply {'f:a':{}}", a line each, in the order of managedFields. */
static void assert_managers(const struct managers *m, const char *expected)
{
	struct json *list = schema_managers_encode(m);
	struct strbuf text = { 0 };
	json_for_each(entry, list) {
		char *fields = json_to_string(json_get(entry, "fieldsV1"));
		strbuf_addf(&text, "%s %s %s\n", str_or(json_get_string(entry, "manager"), ""),
			    json_get_string(entry, "operation"), fields);
		free(fields);
	}
	for (char *p = text.data; p && *p; p++)
		*p = *p == '"' ? '\'' : *p;
	assert_string_equal(text.data ? text.data : "", expected);
	strbuf_done(&text);
	json_free(list);
}

static void test_managers_as_json(void **state)
{
	static const char *const refused[] = {
		"[5]",
		"[{}]",
		"[{'manager':'a','operation':'Update','apiVersion':'g/v1','fieldsV1':{'f:a':{}}}]",
		"[" ENTRY("a", "Patch", "{'f:a':{}}") "]",
		"[" ENTRY("a", "Update", "{'a':{}}") "]",
		"[" ENTRY("a", "Update", "{'f:a':{}}") "," ENTRY("b", "Update", "[]") "]",
		"[{'manager':'a','operation':'Update','fieldsType':'FieldsV1','fieldsV1':{'f:a':{}}}]",
	};
	(void)state;
	struct managers m = managers_of("[" ENTRY("b", "Update", "{'f:x':{}}") "," ENTRY(
		"c", "Apply",
		"{'f:x':{}}") "," ENTRY("a", "Update",
					"{'f:y':{}}") "," ENTRY("a", "Update",
								"{'f:z':{}}") "," ENTRY("empty",
											"Update",
											"{}") "]");
	schema_managers_tidy(&m);
	assert_managers(&m, "c Apply {'f:x':{}}\na Update {'f:z':{}}\nb Update {'f:x':{}}\n");
	schema_managers_done(&m);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct json *j = parse_quoted(refused[i]);
		if (schema_managers_decode(j, "g/v1", &m) != -EINVAL)
			fail_msg("%s is taken", refused[i]);
		json_free(j);
	}
	/* Of another group, as a client may have copied them. */
	struct json *j = parse_quoted("[" ENTRY("a", "Update", "{'f:a':{}}") "]");
	assert_int_equal(schema_managers_decode(j, "v1", &m), 0);
	assert_int_equal(m.count, 0);
	json_free(j);
	assert_null(schema_managers_encode(&m));
}

static void write_as(struct managers *m, const char *manager, const char *time, const char *before,
		     const char *now)
{
	struct json *x = parse_quoted(before), *y = parse_quoted(now);
	struct comparison c;
	typed_compare(&type, x, y, &c);
	schema_managers_update(m, &c, &(struct writer){ manager, "g/v1", "", time });
	schema_comparison_done(&c);
	json_free(x);
	json_free(y);
}

static void test_updates(void **state)
{
	struct managers m = { 0 };
	(void)state;
	write_as(&m, "a", "2026-01-01T00:00:01Z", "{}", "{'size':1,'labels':{'x':'1'}}");
	assert_managers(&m, "a Update {'f:labels':{'.':{},'f:x':{}},'f:size':{}}\n");
	write_as(&m, "b", "2026-01-01T00:00:02Z", "{'size':1,'labels':{'x':'1'}}",
		 "{'size':2,'labels':{'x':'1','y':'2'}}");
	assert_managers(&m, "a Update {'f:labels':{'.':{},'f:x':{}}}\n"
			    "b Update {'f:labels':{'f:y':{}},'f:size':{}}\n");
	/* What is removed is nobody's, and an owner of nothing goes. */
	write_as(&m, "c", "2026-01-01T00:00:03Z", "{'size':2,'labels':{'x':'1','y':'2'}}",
		 "{'size':2}");
	assert_managers(&m, "b Update {'f:size':{}}\n");
	schema_managers_done(&m);
}

static void test_old_updates_become_one(void **state)
{
	struct managers m = { 0 };
	(void)state;
	for (int i = 0; i < 12; i++) {
		char name[16], time[32], before[64], now[64];
		snprintf(name, sizeof(name), "m%02d", i);
		snprintf(time, sizeof(time), "2026-01-01T00:00:%02dZ", i);
		snprintf(before, sizeof(before), "{'labels':{'k%d':'1'}}", i);
		snprintf(now, sizeof(now), "{'labels':{'k%d':'2'}}", i);
		write_as(&m, name, time, before, now);
	}
	assert_int_equal(m.count, MANAGERS_UPDATES_MAX);
	struct json *list = schema_managers_encode(&m);
	const struct json *oldest = json_at(list, 0);
	assert_string_equal(json_get_string(oldest, "manager"), "ancient-changes");
	assert_string_equal(json_get_string(oldest, "time"), "2026-01-01T00:00:02Z");
	assert_json(json_dup(json_get(oldest, "fieldsV1")),
		    "{'f:labels':{'f:k0':{},'f:k1':{},'f:k2':{}}}");
	assert_string_equal(json_get_string(json_at(list, 1), "manager"), "m03");
	json_free(list);
	schema_managers_done(&m);
}

/* --- apply
 * ---------------------------------------------------------------------------------------- */

/* A live object that is applied to again and again. */
struct scene {
	struct json *live;
	struct managers managers;
};

/* "" or the text of the conflict. */
static char *apply_as(struct scene *s, const char *manager, bool force, const char *config)
{
	struct json *wanted = parse_quoted(config), *now = NULL;
	struct conflicts conflicts = { 0 };
	struct strbuf text = { 0 };
	const struct apply a = { .type = type,
				 .live = s->live,
				 .config = wanted,
				 .writer = { manager, "g/v1", "", "2026-01-01T00:00:00Z" },
				 .force = force };
	int r = schema_apply_merge(&a, &s->managers, &now, &conflicts);
	assert_int_equal(r, conflicts.count ? -EEXIST : 0);
	if (r < 0) {
		schema_conflicts_format(&conflicts, &text);
		assert_null(now);
	} else {
		json_free(s->live);
		s->live = now;
	}
	schema_conflicts_done(&conflicts);
	json_free(wanted);
	return strbuf_take(&text, NULL);
}

static void apply(struct scene *s, const char *manager, bool force, const char *config,
		  const char *outcome)
{
	char *text = apply_as(s, manager, force, config);
	if (*text)
		assert_string_equal(text, outcome);
	else
		assert_json(json_dup(s->live), outcome);
	free(text);
}

static void scene_done(struct scene *s)
{
	json_free(s->live);
	schema_managers_done(&s->managers);
}

static void test_apply(void **state)
{
	struct scene s = { .live = parse_quoted("{}") };
	(void)state;
	apply(&s, "a", false, "{'size':1,'labels':{'x':'1'}}", "{'size':1,'labels':{'x':'1'}}");
	/* The same value is shared, another is a conflict. */
	apply(&s, "b", false, "{'size':1}", "{'size':1,'labels':{'x':'1'}}");
	apply(&s, "b", false, "{'size':2}",
	      "Apply failed with 1 conflict: conflict with \"a\": .size");
	assert_managers(&s.managers,
			"b Apply {'f:size':{}}\na Apply {'f:labels':{'f:x':{}},'f:size':{}}\n");
	apply(&s, "b", true, "{'size':2}", "{'size':2,'labels':{'x':'1'}}");
	assert_managers(&s.managers, "a Apply {'f:labels':{'f:x':{}}}\nb Apply {'f:size':{}}\n");
	/* What is wanted no more goes, with what led there. */
	apply(&s, "a", false, "{'name':'n'}", "{'size':2,'name':'n'}");
	apply(&s, "b", false, "{}", "{'name':'n'}");
	assert_managers(&s.managers, "a Apply {'f:name':{}}\n");
	scene_done(&s);
}

static void test_apply_leaves_what_others_own(void **state)
{
	struct scene s = { .live = parse_quoted("{}") };
	(void)state;
	write_as(&s.managers, "u", "2026-01-01T00:00:00Z", "{}",
		 "{'labels':{'mine':'1'},'tags':['u']}");
	json_free(s.live);
	s.live = parse_quoted("{'labels':{'mine':'1'},'tags':['u'],'name':'nobody'}");
	apply(&s, "a", false, "{'labels':{'a':'1'},'tags':['u','a'],'inner':{'b':{'c':'x'}}}",
	      "{'labels':{'mine':'1','a':'1'},'tags':['u','a'],'name':'nobody','inner':{'b':{'c':'x'}}}");
	apply(&s, "b", false, "{'inner':{'a':'y'}}",
	      "{'labels':{'mine':'1','a':'1'},'tags':['u','a'],'name':'nobody','inner':{'b':{'c':'x'},'a':'y'}}");
	apply(&s, "a", false, "{}",
	      "{'labels':{'mine':'1'},'tags':['u'],'name':'nobody','inner':{'a':'y'}}");
	assert_managers(
		&s.managers,
		"b Apply {'f:inner':{'f:a':{}}}\n"
		"u Update {'f:labels':{'.':{},'f:mine':{}},'f:tags':{'.':{},'v:\\'u\\'':{}}}\n");
	/* An update takes what it sets from whoever had it. */
	write_as(&s.managers, "u", "2026-01-01T00:00:09Z", "{'inner':{'a':'y'}}",
		 "{'inner':{'a':'z'}}");
	apply(&s, "b", false, "{'inner':{'a':'y'}}",
	      "{'labels':{'mine':'1'},'tags':['u'],'name':'nobody','inner':{'a':'y'}}");
	scene_done(&s);
}

static void test_conflicts(void **state)
{
	struct scene s = { .live = parse_quoted("{}") };
	(void)state;
	apply(&s, "b", false, "{'size':1,'parts':[{'port':1,'count':1}],'plain':[{'a':1}]}",
	      "{'size':1,'parts':[{'port':1,'count':1}],'plain':[{'a':1}]}");
	write_as(&s.managers, "a", "2026-01-01T00:00:00Z", "{}", "{'name':'x'}");
	json_set_string(s.live, "name", "x");
	apply(&s, "c", false,
	      "{'size':2,'name':'y','parts':[{'port':1,'count':2},{'port':2}],'plain':[{'a':1},{'a':2}]}",
	      "Apply failed with 4 conflicts: conflicts with \"a\" using g/v1:\n- .name\n"
	      "conflicts with \"b\":\n- .plain\n- .size\n- .parts[port=1,proto=\"TCP\"].count");
	/* Nothing is left of the attempt. */
	assert_managers(
		&s.managers,
		"b Apply {'f:parts':{'k:{\\'port\\':1,\\'proto\\':\\'TCP\\'}':{'.':{},'f:count':{},'f:port':{}}},"
		"'f:plain':{},'f:size':{}}\na Update {'f:name':{}}\n");
	scene_done(&s);
}

static void test_yielded_fields(void **state)
{
	struct scene s = { .live = parse_quoted("{'size':1,'name':'x'}") };
	(void)state;
	write_as(&s.managers, "u", "2026-01-01T00:00:00Z", "{}", "{'size':1,'name':'x'}");
	struct json *config = parse_quoted("{'size':2,'name':'y'}"), *now = NULL,
		    *was = parse_quoted("{'size':1}");
	struct fieldset yielded = typed_fields(&type, was);
	struct conflicts conflicts = { 0 };
	const struct apply a = { .type = type,
				 .live = s.live,
				 .config = config,
				 .writer = { "k", "g/v1", "", "2026-01-01T00:00:00Z" },
				 .yielded = &yielded };
	assert_int_equal(schema_apply_merge(&a, &s.managers, &now, &conflicts), -EEXIST);
	assert_int_equal(conflicts.count, 1);
	assert_string_equal(conflicts.items[0].path, ".name");
	assert_string_equal(conflicts.items[0].manager, "\"u\" using g/v1");
	schema_conflicts_done(&conflicts);
	fieldset_done(&yielded);
	json_free(config);
	json_free(was);
	scene_done(&s);
}

/* The time is the last change's: applying the same again is no change. */
static void test_time(void **state)
{
	struct managers m = managers_of("[" ENTRY("a", "Apply", "{'f:size':{}}") "]");
	struct json *live = parse_quoted("{'size':1}"), *now = NULL;
	struct conflicts conflicts = { 0 };
	(void)state;
	struct apply a = { .type = type,
			   .live = live,
			   .config = live,
			   .writer = { "a", "g/v1", "", "2026-02-02T00:00:00Z" } };
	assert_int_equal(schema_apply_merge(&a, &m, &now, &conflicts), 0);
	assert_string_equal(m.items[0].time, "2026-01-01T00:00:00Z");
	json_free(now);
	/* Nor is it one that somebody else wants the same. */
	a.writer.manager = "b";
	assert_int_equal(schema_apply_merge(&a, &m, &now, &conflicts), 0);
	assert_null(m.items[1].time);
	json_free(now);
	a.writer.manager = "a";
	a.force = true;
	struct json *other = parse_quoted("{'size':2}");
	a.config = other;
	assert_int_equal(schema_apply_merge(&a, &m, &now, &conflicts), 0);
	assert_string_equal(m.items[0].time, "2026-02-02T00:00:00Z");
	json_free(now);
	json_free(other);
	json_free(live);
	schema_managers_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_a_value_owns),
		cmocka_unit_test(test_comparison),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_taking_away),
		cmocka_unit_test(test_what_cannot_be_applied),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_managers_as_json),
		cmocka_unit_test(test_updates),
		cmocka_unit_test(test_old_updates_become_one),
		cmocka_unit_test(test_apply),
		cmocka_unit_test(test_apply_leaves_what_others_own),
		cmocka_unit_test(test_conflicts),
		cmocka_unit_test(test_yielded_fields),
		cmocka_unit_test(test_time),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
