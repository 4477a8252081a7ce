/* Schemas by themselves: combinations, lists, embedded resources, defaults inside defaults,
 * ratcheting. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "schema/schema.h"
#include "unit/parse.h"

static struct schema *compile(const char *properties)
{
	char *text = xasprintf("{'type':'object','properties':{%s}}", properties);
	struct json *source = parse_quoted(text);
	struct causes wrong = { 0 };
	struct path path = { 0 };
	struct schema *s = schema_compile(source, &path, NULL, &wrong);
	if (!s)
		fail_msg("%s: %s", wrong.items[0].field, wrong.items[0].text);
	path_done(&path);
	causes_done(&wrong);
	json_free(source);
	free(text);
	return s;
}

/* `faults` as causes_format prints them; "" for none. */
static void check(const struct schema *s, const char *value, const char *old, const char *faults)
{
	struct json *j = parse_quoted(value), *o = old ? parse_quoted(old) : NULL;
	struct causes causes = { 0 };
	struct path path = { 0 };
	struct strbuf text = { 0 };
	schema_validate(s, j, o, &path, &causes);
	causes_format(&causes, &text);
	assert_string_equal(text.data ? text.data : "", faults);
	strbuf_done(&text);
	path_done(&path);
	causes_done(&causes);
	json_free(j);
	json_free(o);
}

static void test_combinations(void **state)
{
	(void)state;
	struct schema *s = compile(
		"'any':{'type':'integer','anyOf':[{'minimum':10},{'maximum':5}]},"
		"'one':{'type':'object','properties':{'a':{'type':'string'},'b':{'type':'string'}},"
		"'oneOf':[{'required':['a']},{'required':['b']}]},"
		"'all':{'type':'integer','allOf':[{'minimum':1},{'maximum':3}]},"
		"'no':{'type':'string','not':{'enum':['x']}}");
	check(s, "{'any':4,'one':{'a':''},'all':2,'no':'y'}", NULL, "");
	check(s, "{'any':7}", NULL,
	      "any: Invalid value: \"\": \"any\" must validate at least one schema (anyOf)");
	check(s, "{'one':{}}", NULL,
	      "one: Invalid value: \"\": \"one\" must validate one and only one schema (oneOf). Found none valid");
	check(s, "{'one':{'a':'','b':''}}", NULL,
	      "one: Invalid value: \"\": \"one\" must validate one and only one schema (oneOf). Found more than one valid");
	check(s, "{'all':4}", NULL,
	      "all: Invalid value: 4: all in body should be less than or equal to 3");
	check(s, "{'no':'x'}", NULL,
	      "no: Invalid value: \"\": \"no\" must not validate the schema (not)");
	schema_free(s);
}

static void test_numbers_and_sizes(void **state)
{
	(void)state;
	struct schema *s = compile(
		"'a':{'type':'number','minimum':1,'exclusiveMinimum':true,'maximum':2,'exclusiveMaximum':true},"
		"'m':{'type':'integer','multipleOf':5},'i':{'type':'integer'},"
		"'l':{'type':'array','minItems':1,'items':{'type':'integer'}},"
		"'o':{'type':'object','minProperties':1,'maxProperties':2,'additionalProperties':{'type':'integer'}},"
		"'b':{'type':'string','format':'byte'},'u':{'type':'string','format':'uuid'},"
		"'d':{'type':'string','format':'date'},'ip':{'type':'string','format':'ipv4'}");
	check(s,
	      "{'a':1.5,'m':10,'i':1.0,'l':[1],'o':{'x':1},'b':'eA==','d':'2026-01-02','ip':'10.0.0.1'}",
	      NULL, "");
	check(s, "{'a':1}", NULL, "a: Invalid value: 1: a in body should be greater than 1");
	check(s, "{'a':2}", NULL, "a: Invalid value: 2: a in body should be less than 2");
	check(s, "{'m':7}", NULL, "m: Invalid value: 7: m in body should be a multiple of 5");
	check(s, "{'l':[]}", NULL, "l: Invalid value: 0: l in body should have at least 1 items");
	check(s, "{'o':{}}", NULL,
	      "o: Invalid value: 0: o in body should have at least 1 properties");
	check(s, "{'o':{'a':1,'b':2,'c':3}}", NULL, "o: Too many: 3: must have at most 2 items");
	check(s, "{'b':'!'}", NULL,
	      "b: Invalid value: \"!\": b in body must be of type byte: \"!\"");
	check(s, "{'u':'x'}", NULL,
	      "u: Invalid value: \"x\": u in body must be of type uuid: \"x\"");
	check(s, "{'d':'2026'}", NULL,
	      "d: Invalid value: \"2026\": d in body must be of type date: \"2026\"");
	check(s, "{'ip':'10.0.0.256'}", NULL,
	      "ip: Invalid value: \"10.0.0.256\": ip in body must be of type ipv4: \"10.0.0.256\"");
	check(s, "{'i':9223372036854775807}", NULL, "");
	schema_free(s);
}

static void test_ratcheting(void **state)
{
	(void)state;
	struct schema *s = compile(
		"'a':{'type':'string','maxLength':2},'b':{'type':'object','properties':{'c':{'type':'integer','maximum':3}}},"
		"'l':{'type':'array','x-kubernetes-list-type':'map','x-kubernetes-list-map-keys':['k'],"
		"'items':{'type':'object','properties':{'k':{'type':'string'},'v':{'type':'integer','maximum':3}}}}");
	check(s, "{'a':'long','b':{'c':9},'l':[{'k':'x','v':9}]}",
	      "{'a':'long','b':{'c':9},'l':[{'k':'x','v':9}]}", "");
	check(s, "{'a':'long','b':{'c':8}}", "{'a':'long','b':{'c':9}}",
	      "b.c: Invalid value: 8: b.c in body should be less than or equal to 3");
	/* Items are known again by their keys. */
	check(s, "{'l':[{'k':'new','v':1},{'k':'x','v':9}]}", "{'l':[{'k':'x','v':9}]}", "");
	check(s, "{'l':[{'k':'y','v':9}]}", "{'l':[{'k':'x','v':9}]}",
	      "l[0].v: Invalid value: 9: l[0].v in body should be less than or equal to 3");
	schema_free(s);
}

static void check_default(const char *properties, const char *before, const char *after)
{
	struct schema *s = compile(properties);
	struct json *j = parse_quoted(before), *expected = parse_quoted(after);
	assert_true(schema_default(s, j, &SCHEMA_BUDGET));
	char *text = json_to_string(j);
	if (!json_equal(j, expected))
		fail_msg("%s", text);
	free(text);
	json_free(j);
	json_free(expected);
	schema_free(s);
}

static void test_defaults(void **state)
{
	(void)state;
	check_default(
		"'a':{'type':'object','default':{},'properties':{'b':{'type':'integer','default':5}}}",
		"{}", "{'a':{'b':5}}");
	check_default("'a':{'type':'object','properties':{'b':{'type':'integer','default':5}}}",
		      "{}", "{}");
	check_default(
		"'l':{'type':'array','items':{'type':'object','properties':{'b':{'type':'integer','default':5}}}}",
		"{'l':[{},{'b':6}]}", "{'l':[{'b':5},{'b':6}]}");
	check_default(
		"'m':{'type':'object','additionalProperties':{'type':'object','properties':{'b':{'type':'integer','default':5}}}}",
		"{'m':{'x':{},'y':null}}", "{'m':{'x':{'b':5}}}");
	check_default("'a':{'type':'string','nullable':true,'default':'x'}", "{'a':null}",
		      "{'a':null}");
	check_default("'a':{'type':'string','default':'x'}", "{'a':null}", "{'a':'x'}");
}

/* A default of 100 kB in each of 2,000 items would take 200 MB; a few of them are fine. */
static void test_defaults_have_a_budget(void **state)
{
	(void)state;
	char *big = xmalloc(100001);
	memset(big, 'x', 100000);
	big[100000] = '\0';
	char *properties = xasprintf("'l':{'type':'array','items':{'type':'object','properties':{"
				     "'b':{'type':'string','default':'%s'}}}}",
				     big);
	struct schema *s = compile(properties);
	for (int items = 3; items <= 2000; items += 1997) {
		struct json *j = json_new_object(), *list = json_new_array();
		json_set(j, "l", list);
		for (int i = 0; i < items; i++)
			json_append(list, json_new_object());
		assert_int_equal(schema_default(s, j, &SCHEMA_BUDGET), items == 3);
		json_free(j);
	}
	schema_free(s);
	free(properties);
	free(big);
}

static void check_prune(const char *properties, const char *before, const char *after,
			const char *unknown)
{
	struct schema *s = compile(properties);
	struct json *j = parse_quoted(before), *expected = parse_quoted(after);
	struct unknown_fields u = { 0 };
	struct strbuf names = { 0 };
	schema_prune(s, j, &u);
	for (size_t i = 0; i < u.count; i++)
		strbuf_addf(&names, "%s%s", i ? " " : "", u.items[i]);
	char *text = json_to_string(j);
	if (!json_equal(j, expected))
		fail_msg("%s", text);
	assert_string_equal(names.data ? names.data : "", unknown);
	free(text);
	strbuf_done(&names);
	unknown_fields_done(&u);
	json_free(j);
	json_free(expected);
	schema_free(s);
}

/* Of what has not been cleaned: defaults, and what an older release let pass. */
static void test_embedded(void **state)
{
	(void)state;
	struct schema *s = compile(
		"'a':{'type':'object','x-kubernetes-embedded-resource':true,'properties':{'x':{'type':'string'}}}");
	static const char bad[] =
		"{'a':{'apiVersion':'v1','kind':'K','metadata':{'labels':{'b c':'d'}}}}";
	check(s, "{'a':{'apiVersion':'v1','kind':'K','metadata':{'labels':{'b':1}}}}", NULL,
	      "a.metadata: Invalid value: {\"labels\":{\"b\":1}}: "
	      "json: cannot unmarshal value into Go struct field ObjectMeta.metadata.labels of type map[string]string");
	check(s, "{'a':{'apiVersion':1,'kind':null}}", NULL,
	      "[a.apiVersion: Invalid value: 1: must be a string, a.kind: Invalid value: null: must be a string]");
	check(s, "{'a':{'apiVersion':'v1','kind':'K','metadata':null}}", NULL, "");
	check(s, bad, bad, "");
	check(s, "{'a':{'apiVersion':'v1','kind':'K','x':'y','metadata':{'labels':{'b':'c'}}}}",
	      bad, "");
	schema_free(s);
}

static void test_pruning(void **state)
{
	(void)state;
	check_prune("'a':{'type':'string'}",
		    "{'apiVersion':'v','kind':'k','metadata':{'x':1},'a':'','b':1}",
		    "{'apiVersion':'v','kind':'k','metadata':{'x':1},'a':''}", "b");
	check_prune("'a':{'type':'object'}", "{'a':{'x':{'y':1}}}", "{'a':{}}", "a.x");
	check_prune(
		"'a':{'type':'object','x-kubernetes-preserve-unknown-fields':true,'properties':{'k':{'type':'object',"
		"'properties':{'z':{'type':'string'}}}}}",
		"{'a':{'x':{'y':1},'k':{'q':1}}}", "{'a':{'x':{'y':1},'k':{}}}", "a.k.q");
	check_prune("'a':{'type':'object','additionalProperties':true}", "{'a':{'x':{'y':1}}}",
		    "{'a':{'x':{'y':1}}}", "");
	check_prune(
		"'a':{'type':'object','x-kubernetes-embedded-resource':true,'properties':{'spec':{'type':'object'}}}",
		"{'a':{'apiVersion':'v','kind':'k','metadata':{},'spec':{'q':1},'odd':1}}",
		"{'a':{'apiVersion':'v','kind':'k','metadata':{},'spec':{}}}", "a.spec.q a.odd");
	check_prune(
		"'l':{'type':'array','items':{'type':'object','properties':{'a':{'type':'integer'}}}}",
		"{'l':[{'a':1},{'b':2}]}", "{'l':[{'a':1},{}]}", "l[1].b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_combinations),
		cmocka_unit_test(test_numbers_and_sizes),
		cmocka_unit_test(test_ratcheting),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_defaults_have_a_budget),
		cmocka_unit_test(test_pruning),
		cmocka_unit_test(test_embedded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
