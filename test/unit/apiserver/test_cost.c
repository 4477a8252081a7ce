/* What one request may cost: requests whose work or answer could grow beyond what was sent or
 * stored get their right answer, or are told which limit they exceed. */

#include "unit/apiserver/harness.h"

#define OLDS "/apis/test.ingot.dev/v1/namespaces/default/olds"
#define OLD_CRD                                                                                    \
	"{'apiVersion':'apiextensions.k8s.io/v1','kind':'CustomResourceDefinition',"               \
	"'metadata':{'name':'olds.test.ingot.dev'},'spec':{'group':'test.ingot.dev',"              \
	"'scope':'Namespaced','names':{'plural':'olds','kind':'Old'},'versions':[{'name':'v1',"    \
	"'served':true,'storage':true,'schema':{'openAPIV3Schema':{'type':'object','properties':"  \
	"{'spec':{'type':'object','properties':{%s}}}}}}]}}"
#define OLD(name, spec)                                                                            \
	"{'apiVersion':'test.ingot.dev/v1','kind':'Old','metadata':{'name':'" name                 \
	"'},'spec':{" spec "}}"

enum { BIG = 100 * 1000 };

/* of '1,2,3' and the like; `fmt` takes the number */
static char *_printf_(2, 0) series(size_t count, const char *fmt)
{
	struct strbuf text = { 0 };
	for (size_t i = 0; i < count; i++) {
		strbuf_adds(&text, i ? "," : "");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		strbuf_addf(&text, fmt, i);
#pragma GCC diagnostic pop
	}
	return strbuf_take(&text, NULL);
}

static void define(struct server *s, const char *properties)
{
	_cleanup_(freep) char *body = xasprintf(OLD_CRD, properties);
	ask(s, "POST", CRDS, body);
	assert_status(201);
}

static char *big_text(void)
{
	char *big = xmalloc(BIG + 1);
	memset(big, 'x', BIG);
	big[BIG] = '\0';
	return big;
}

/* --- defaults that come after the objects
 * ------------------------------------------------------------------------------------------ */

enum { OLD_ONES = 700 }; /* with the default 70 MB, which is over the budget */

/* Objects of a few bytes; then their kind gets a default of 100 kB. */
static void make_old_ones(struct server *s)
{
	_cleanup_(freep) char *big = big_text();
	define(s, "'a':{'type':'string'}");
	for (int i = 0; i < OLD_ONES; i++) {
		_cleanup_(freep) char *body = xasprintf(OLD("o%03d", "'a':'x'"), i);
		ask(s, "POST", OLDS, body);
		assert_status(201);
	}
	_cleanup_(freep) char *patch = xasprintf(
		"[{'op':'add','path':'/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/big',"
		"'value':{'type':'string','default':'%s'}}]",
		big);
	ask_as(s, "PATCH", CRDS "/olds.test.ingot.dev", "application/json-patch+json",
	       "application/json", patch);
	assert_status(200);
}

static void assert_grown(void)
{
	assert_failure(413, "RequestEntityTooLarge",
		       "objects of olds.test.ingot.dev are older than defaults of its schema");
	assert_non_null(
		strstr(text_of(last.json, "message"), "ask for fewer objects at once (limit)"));
}

static void assert_whole(const struct json *object)
{
	assert_int_equal(strlen(text_of(object, "spec.big")), BIG);
	assert_string_equal(text_of(object, "spec.a"), "x");
}

/* Pages that are asked for are as long as they may be, and leave nothing out. */
static size_t count_by_pages(struct server *s, const char *query, const char *accept,
			     const char *items)
{
	size_t count = 0, pages = 0;
	_cleanup_(freep) char *token = xstrdup("");
	do {
		_cleanup_(freep) char *target = xasprintf(OLDS "?limit=%d%s%s%s", OLD_ONES, query,
							  *token ? "&continue=" : "", token);
		const struct json *list = ask_as(s, "GET", target, "", accept, NULL);
		assert_status(200);
		json_for_each(object, json_get(list, items))
			if (streq(items, "items"))
				assert_whole(object);
		count += json_count(json_get(list, items));
		assert_true(++pages <= 3);
		str_replace(&token, text_of(list, "metadata.continue"));
	} while (*token);
	assert_int_equal(pages, 2);
	return count;
}

static void test_lists_of_old_ones(void **state)
{
	struct server *s = *state;
	static const char table[] = "application/json;as=Table;v=v1;g=meta.k8s.io";
	make_old_ones(s);
	assert_whole(ask(s, "GET", OLDS "/o005", NULL));
	ask(s, "GET", OLDS, NULL);
	assert_grown();
	ask(s, "GET", OLDS "?labelSelector=!b", NULL);
	assert_grown();
	ask_as(s, "GET", OLDS "?includeObject=Object", "", table, NULL);
	assert_grown();
	assert_int_equal(count_by_pages(s, "", "application/json", "items"), OLD_ONES);
	assert_int_equal(count_by_pages(s, "&includeObject=Object", table, "rows"), OLD_ONES);
	/* Answers that hold none of it are not too large. */
	assert_int_equal(json_count(json_get(ask_as(s, "GET", OLDS, "", table, NULL), "rows")),
			 OLD_ONES);
	assert_int_equal(
		json_count(json_get(ask(s, "GET", OLDS "?labelSelector=b", NULL), "items")), 0);
	assert_status(200);
}

/* The answer shows as many as it can hold as they were, the others as they are stored. */
static void test_deletion_of_old_ones(void **state)
{
	struct server *s = *state;
	size_t whole = 0;
	make_old_ones(s);
	ask(s, "DELETE", OLDS "?limit=50", NULL);
	assert_status(200);
	json_for_each(object, json_get(last.json, "items"))
		assert_whole(object);
	assert_int_equal(json_count(json_get(ask(s, "GET", OLDS "?limit=1", NULL), "items")), 1);
	assert_int_equal(number_at(last.json, "metadata.remainingItemCount"), OLD_ONES - 51);
	for (int i = 0; i < 50; i++) {
		_cleanup_(freep) char *body = xasprintf(OLD("new%d", "'a':'x','big':''"), i);
		ask(s, "POST", OLDS, body);
		assert_status(201);
	}
	ask(s, "DELETE", OLDS, NULL);
	assert_status(200);
	assert_int_equal(json_count(json_get(last.json, "items")), OLD_ONES);
	json_for_each(object, json_get(last.json, "items"))
		whole += strlen(text_of(object, "spec.big")) == BIG;
	assert_true(whole > OLD_ONES / 2 && whole < OLD_ONES);
	assert_int_equal(json_count(json_get(ask(s, "GET", OLDS, NULL), "items")), 0);
}

enum { ITEMS = 2000 };

/* An object that alone, with the default of its items, has `each` times 2000 bytes more than is
 * stored. */
static void make_giant(struct server *s, const char *path, const char *meta, size_t each)
{
	_cleanup_(freep) char *items = series(ITEMS, "{'n':%zu}");
	_cleanup_(freep) char *text = xmalloc(each + 1);
	memset(text, 'x', each);
	text[each] = '\0';
	_cleanup_(freep) char *body = xasprintf(
		"{'apiVersion':'test.ingot.dev/v1','kind':'Old','metadata':{'name':'giant'%s},"
		"'spec':{'l':[%s]}}",
		meta, items);
	ask(s, "POST", path, body);
	assert_status(201);
	_cleanup_(freep) char *patch = xasprintf(
		"[{'op':'add','path':'/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties"
		"/l/items/properties/b','value':{'type':'string','default':'%s'}}]",
		text);
	ask_as(s, "PATCH", CRDS "/olds.test.ingot.dev", "application/json-patch+json",
	       "application/json", patch);
	assert_status(200);
}

static void define_giant(struct server *s)
{
	define(s,
	       "'l':{'type':'array','items':{'type':'object','properties':{'n':{'type':'integer'}}}}");
}

static void test_deletion_of_a_giant(void **state)
{
	struct server *s = *state;
	define_giant(s);
	make_giant(s, OLDS, "", BIG);
	ask(s, "GET", OLDS "/giant", NULL);
	assert_grown();
	ask(s, "PATCH", OLDS "/giant", "{'metadata':{'labels':{'a':'b'}}}");
	assert_grown();
	ask(s, "DELETE", OLDS "/giant?dryRun=All", NULL);
	assert_status(200);
	ask(s, "DELETE", OLDS "/giant", NULL);
	assert_status(200);
	ask(s, "GET", OLDS "/giant", NULL);
	assert_status(404);
}

/* In a collection, with a selector, by its namespace and by its kind. */
static void test_giants_go_with_others(void **state)
{
	struct server *s = *state;
	static const char path[] = "/apis/test.ingot.dev/v1/namespaces/big/olds";
	define_giant(s);
	make_giant(s, OLDS, ",'labels':{'a':'b'}", BIG);
	ask(s, "DELETE", OLDS "?labelSelector=a%3Db", NULL);
	assert_status(200);
	assert_int_equal(json_count(json_get(last.json, "items")), 1);
	ask(s, "GET", OLDS "/giant", NULL);
	assert_status(404);
	ask(s, "POST", NAMESPACES, "{'metadata':{'name':'big'}}");
	ask(s, "DELETE", CRDS "/olds.test.ingot.dev", NULL);
	settle(s);
	define_giant(s);
	make_giant(s, path, "", BIG);
	ask(s, "DELETE", NAMESPACES "/big", NULL);
	loop_run_until(s->loop, loop_now(s->loop) + USEC_PER_SEC);
	ask(s, "GET", NAMESPACES "/big", NULL);
	assert_status(404);
}

/* Finalizers come off by updates; each of them ends what the deletion began. `each`: too much to be
 * shown, and too much to be stored. */
static void giant_with_finalizers(struct server *s, size_t each)
{
	define_giant(s);
	make_giant(s, OLDS, ",'finalizers':['a.b/c','a.b/d']", each);
	ask(s, "DELETE", OLDS "/giant", NULL);
	assert_status(200);
	ask(s, "GET", OLDS "/giant", NULL);
	assert_status(200);
	assert_true(*text_of(last.json, "metadata.deletionTimestamp") != '\0');
	ask(s, "PATCH", OLDS "/giant", "{'metadata':{'finalizers':['a.b/d']}}");
	assert_status(200);
	ask(s, "PATCH", OLDS "/giant", "{'metadata':{'finalizers':null}}");
	assert_status(200);
	ask(s, "GET", OLDS "/giant", NULL);
	assert_status(404);
}

static void test_giant_with_finalizers(void **state)
{
	giant_with_finalizers(*state, BIG);
}

static void test_large_one_with_finalizers(void **state)
{
	giant_with_finalizers(*state, 1000);
}

/* Its definition may grow once more. */
static void test_giant_grows_while_it_goes(void **state)
{
	struct server *s = *state;
	define_giant(s);
	make_giant(s, OLDS, ",'finalizers':['a.b/c']", 1000);
	ask(s, "DELETE", OLDS "/giant", NULL);
	assert_status(200);
	_cleanup_(freep) char *big = big_text();
	_cleanup_(freep) char *patch = xasprintf(
		"[{'op':'add','path':'/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties"
		"/l/items/properties/d','value':{'type':'string','default':'%s'}}]",
		big);
	ask_as(s, "PATCH", CRDS "/olds.test.ingot.dev", "application/json-patch+json",
	       "application/json", patch);
	assert_status(200);
	ask(s, "PATCH", OLDS "/giant", "{'metadata':{'finalizers':null}}");
	assert_status(200);
	ask(s, "GET", OLDS "/giant", NULL);
	assert_status(404);
}

/* The server's own work is not held up: nobody would ask it for less. */
static void test_kind_of_old_ones_goes(void **state)
{
	struct server *s = *state;
	make_old_ones(s);
	ask(s, "DELETE", CRDS "/olds.test.ingot.dev", NULL);
	assert_status(200);
	loop_run_until(s->loop, loop_now(s->loop) + USEC_PER_SEC);
	ask(s, "GET", CRDS "/olds.test.ingot.dev", NULL);
	assert_status(404);
}

/* A stream holds one at a time. Others have their turn between its steps. */
static void test_watch_of_old_ones(void **state)
{
	struct server *s = *state;
	struct answer w = { 0 }, other = { 0 };
	make_old_ones(s);
	send_as(s, "GET", OLDS "?watch=1", "", "application/json", NULL, &w);
	send_as(s, "GET", NAMESPACES "/default", "", "application/json", NULL, &other);
	assert_int_equal(other.status, 200);
	assert_true(json_count(w.events) < OLD_ONES / 10);
	settle(s);
	assert_int_equal(json_count(w.events), OLD_ONES);
	json_for_each(event, w.events)
		assert_whole(json_get(event, "object"));
	apiserver_abort(w.exchange);
	answer_done(&w);
	answer_done(&other);
}

/* --- defaults within one object
 * ------------------------------------------------------------------------------------------ */

static void test_defaults_that_multiply(void **state)
{
	struct server *s = *state;
	_cleanup_(freep) char *big = big_text();
	_cleanup_(freep) char *items = series(2000, "{'n':%zu}");
	_cleanup_(freep) char *properties = xasprintf(
		"'l':{'type':'array','items':{'type':'object','properties':{'n':{'type':'integer'},"
		"'b':{'type':'string','default':'%s'}}}}",
		big);
	_cleanup_(freep) char *many = xasprintf(OLD("many", "'l':[%s]"), items);
	define(s, properties);
	ask(s, "POST", OLDS, many);
	assert_failure(413, "RequestEntityTooLarge",
		       "Old \"many\" is too large with the defaults of its schema");
	ask(s, "POST", OLDS, OLD("few", "'l':[{},{}]"));
	assert_status(201);
	const struct json *first = json_first(json_get_path(last.json, "spec.l"));
	assert_int_equal(strlen(text_of(first, "b")), BIG);
}

/* Of all defaults of a definition together, each of which is within it. */
static void test_defaults_of_a_definition(void **state)
{
	struct server *s = *state;
	_cleanup_(freep) char *items = series(200, "{}");
	_cleanup_(freep) char *big = big_text();
	struct strbuf properties = { 0 };
	for (int i = 0; i < 5; i++)
		strbuf_addf(&properties,
			    "%s'l%d':{'type':'array','default':[%s],'items':{'type':'object',"
			    "'properties':{'b':{'type':'string','default':'%s'}}}}",
			    i ? "," : "", i, items, big);
	_cleanup_(freep) char *body = xasprintf(OLD_CRD, properties.data);
	ask(s, "POST", CRDS, body);
	assert_failure(422, "Invalid", "properties[l3].default: Invalid value: is too large");
	strbuf_done(&properties);
}

/* --- enums
 * ------------------------------------------------------------------------------------------ */

enum { ALLOWED = 100 * 1000 };

/* Each of many values is found among very many, by its value and not by its spelling. */
static void test_large_enums(void **state)
{
	struct server *s = *state;
	_cleanup_(freep) char *numbers = series(ALLOWED, "%zu");
	_cleanup_(freep) char *texts = series(ALLOWED, "'%zu'");
	_cleanup_(freep) char *properties = xasprintf(
		"'n':{'type':'array','items':{'type':'number','enum':[%s,0.5]}},"
		"'t':{'type':'array','items':{'type':'string','enum':[%s]}}",
		numbers, texts);
	_cleanup_(freep) char *all = xasprintf(OLD("all", "'n':[%s]"), numbers);
	_cleanup_(freep) char *words = xasprintf(OLD("words", "'t':[%s]"), texts);
	define(s, properties);
	ask(s, "POST", OLDS, all);
	assert_status(201);
	ask(s, "POST", OLDS, words);
	assert_status(201);
	ask(s, "POST", OLDS, OLD("spelt", "'n':[1.0,10e1,0.50,-0,99999]"));
	assert_status(201);
	ask(s, "POST", OLDS, OLD("w1", "'n':[0.5000000000000000000001]"));
	assert_failure(422, "Invalid", "spec.n[0]: Unsupported value: 0.5000000000000000000001: ");
	ask(s, "POST", OLDS, OLD("w2", "'n':[100000]"));
	assert_failure(422, "Invalid", "spec.n[0]: Unsupported value: 100000: supported values: ");
	ask(s, "POST", OLDS, OLD("w3", "'t':['100000']"));
	assert_failure(422, "Invalid", "spec.t[0]: Unsupported value: \"100000\": ");
}

/* Numbers that no double tells apart, or that none holds, are compared digit by digit. */
static void test_enums_of_long_numbers(void **state)
{
	struct server *s = *state;
	define(s, "'n':{'type':'number','enum':[9007199254740993,9007199254740992,1e-400]},"
		  "'b':{'enum':[true,{'x':1},[2]],'x-kubernetes-preserve-unknown-fields':true}");
	static const struct {
		const char *spec;
		int status;
	} cases[] = {
		{ "'n':9007199254740993", 201 },
		{ "'n':9007199254740992.0", 201 },
		{ "'n':9007199254740991", 422 },
		{ "'n':9007199254740992.5", 422 },
		{ "'b':true", 201 },
		{ "'b':{'x':1.0}", 201 },
		{ "'b':[2]", 201 },
		{ "'b':false", 422 },
		{ "'b':{'x':2}", 422 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(freep) char *body = xasprintf(OLD("c%zu", "%s"), i, cases[i].spec);
		ask(s, "POST", OLDS, body);
		assert_status(cases[i].status);
	}
}

/* --- patches, owners, nulls
 * ------------------------------------------------------------------------------------------ */

static void test_strategic_patch_of_many_keys(void **state)
{
	struct server *s = *state;
	_cleanup_(freep) char *members = series(130 * 1000, "'k%zu':''");
	_cleanup_(freep) char *patch = xasprintf("{'data':{%s}}", members);
	ask(s, "POST", CONFIGS,
	    "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'a'},'data':{'k':'v'}}");
	ask_as(s, "PATCH", CONFIGS "/a", "application/strategic-merge-patch+json",
	       "application/json", patch);
	assert_failure(422, "Invalid", "applying the patch would take too many operations");
	assert_text(ask(s, "GET", CONFIGS "/a", NULL), "data.k", "v");
	assert_int_equal(json_count(json_get(last.json, "data")), 1);
}

/* Owners of a field each. Those that have merely set fields become ten, the oldest of them one; who
 * applies keeps what he says. */
static void check_managers(struct server *s, const char *name, const char *operation, size_t count)
{
	enum { OWNERS = 2000 };
	_cleanup_(freep) char *fmt = xasprintf(
		"{'manager':'m%%1$04zu','operation':'%s','apiVersion':'v1','time':'2026-01-01T00:00:00Z',"
		"'fieldsType':'FieldsV1','fieldsV1':{'f:data':{'f:k%%1$04zu':{}}}}",
		operation);
	_cleanup_(freep) char *entries = series(OWNERS, fmt);
	_cleanup_(freep) char *members = series(OWNERS, "'k%04zu':''");
	_cleanup_(freep) char *body = xasprintf(
		"{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'%s'},'data':{%s}}", name,
		members);
	_cleanup_(freep) char *patch = xasprintf("{'metadata':{'managedFields':[%s]}}", entries);
	_cleanup_(freep) char *target = xasprintf(CONFIGS "/%s", name);
	ask(s, "POST", CONFIGS, body);
	assert_status(201);
	ask(s, "PATCH", target, patch);
	assert_status(200);
	const struct json *owners = json_get_path(last.json, "metadata.managedFields");
	const struct json *first = json_first(owners);
	assert_int_equal(json_count(owners), count);
	assert_string_equal(text_of(first, "manager"),
			    count == OWNERS ? "m0000" : "ancient-changes");
	assert_int_equal(json_count(json_get_path(first, "fieldsV1.f:data")), OWNERS - count + 1);
}

static void test_many_managers(void **state)
{
	check_managers(*state, "a", "Update", 10);
	check_managers(*state, "b", "Apply", 2000);
}

static void test_many_nulls(void **state)
{
	struct server *s = *state;
	_cleanup_(freep) char *members = series(10 * 1000, "'k%zu':null");
	_cleanup_(freep) char *body = xasprintf(
		"{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'a'},'data':{%s}}",
		members);
	ask(s, "POST", CONFIGS, body);
	assert_status(201);
	const struct json *data = json_get(last.json, "data");
	assert_int_equal(json_count(data), 10 * 1000);
	json_for_each(member, data)
		assert_string_equal(json_string(member), "");
	assert_string_equal(json_key(json_first(data)), "k0");
}

/* Each pair of them is a fault that shows all of them. */
static void test_many_controllers(void **state)
{
	struct server *s = *state;
	_cleanup_(freep) char *owners = series(
		10 * 1000,
		"{'apiVersion':'v1','kind':'ConfigMap','name':'x','uid':'u%zu','controller':true}");
	_cleanup_(freep) char *body = xasprintf(
		"{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'a','ownerReferences':[%s]}}",
		owners);
	ask(s, "POST", CONFIGS, body);
	assert_failure(422, "Invalid", "Only one reference can have Controller set to true");
	assert_int_equal(json_count(json_get_path(last.json, "details.causes")), 2);
}

/* Of an object that goes, finalizers may be taken away and none added. */
static void test_many_finalizers(void **state)
{
	struct server *s = *state;
	_cleanup_(freep) char *names = series(20 * 1000, "'a.b/f%zu'");
	_cleanup_(freep) char *body = xasprintf(
		"{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'a','finalizers':[%s]}}",
		names);
	_cleanup_(freep) char *more = xasprintf("{'metadata':{'finalizers':[%s,'a.b/new']}}",
						names);
	ask(s, "POST", CONFIGS, body);
	assert_status(201);
	ask(s, "DELETE", CONFIGS "/a?propagationPolicy=Orphan", NULL);
	assert_status(200);
	loop_run_until(s->loop, loop_now(s->loop) + USEC_PER_SEC);
	ask(s, "PATCH", CONFIGS "/a", more);
	assert_failure(422, "Invalid", "found new finalizers []string{\"a.b/new\"}");
	ask(s, "PATCH", CONFIGS "/a", "{'metadata':{'finalizers':['a.b/f19999']}}");
	assert_status(200);
	assert_int_equal(json_count(json_get_path(last.json, "metadata.finalizers")), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		server_test(test_lists_of_old_ones),
		server_test(test_deletion_of_old_ones),
		server_test(test_deletion_of_a_giant),
		server_test(test_giants_go_with_others),
		server_test(test_giant_with_finalizers),
		server_test(test_large_one_with_finalizers),
		server_test(test_giant_grows_while_it_goes),
		server_test(test_kind_of_old_ones_goes),
		server_test(test_watch_of_old_ones),
		server_test(test_defaults_that_multiply),
		server_test(test_defaults_of_a_definition),
		server_test(test_large_enums),
		server_test(test_enums_of_long_numbers),
		server_test(test_strategic_patch_of_many_keys),
		server_test(test_many_managers),
		server_test(test_many_nulls),
		server_test(test_many_controllers),
		server_test(test_many_finalizers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
