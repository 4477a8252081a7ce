/* Ownership of fields through the server: what each write records, apply, and what older objects
 * do. */

#include "unit/apiserver/harness.h"

static const struct json *apply(struct server *s, const char *target, const char *body)
{
	return ask_as(s, "PATCH", target, "application/apply-patch+yaml", "application/json", body);
}

/* "m1 Apply {'f:data':{'f:x':{}}}", a line each. */
static void assert_owners(const char *expected)
{
	struct strbuf text = { 0 };
	json_for_each(entry, json_get_path(last.json, "metadata.managedFields")) {
		char *fields = json_to_string(json_get(entry, "fieldsV1"));
		const char *part = json_get_string(entry, "subresource");
		strbuf_addf(&text, "%s %s%s%s %s\n", text_of(entry, "manager"),
			    text_of(entry, "operation"), part ? " " : "", part ? part : "", fields);
		free(fields);
	}
	for (char *p = text.data; p && *p; p++)
		*p = *p == '"' ? '\'' : *p;
	assert_string_equal(text.data ? text.data : "", expected);
	strbuf_done(&text);
}

static void test_each_write_leaves_its_owner(void **state)
{
	struct server *s = *state;
	ask(s, "POST", CONFIGS "?fieldManager=a",
	    "{'metadata':{'name':'c'},'data':{'x':'1','y':'1'}}");
	assert_owners("a Update {'f:data':{'.':{},'f:x':{},'f:y':{}}}\n");
	assert_text(json_at(json_get_path(last.json, "metadata.managedFields"), 0), "time",
		    "2026-01-02T03:04:05Z");
	ask(s, "PATCH", CONFIGS "/c?fieldManager=b", "{'data':{'x':'2'}}");
	assert_owners("a Update {'f:data':{'.':{},'f:y':{}}}\nb Update {'f:data':{'f:x':{}}}\n");
	ask_as(s, "PATCH", CONFIGS "/c?fieldManager=c", "application/json-patch+json", "",
	       "[{'op':'remove','path':'/data/x'}]");
	assert_owners("a Update {'f:data':{'.':{},'f:y':{}}}\n");
	ask(s, "PUT", CONFIGS "/c?fieldManager=d",
	    "{'metadata':{'name':'c','labels':{'l':'1'}},'data':{'y':'1'}}");
	assert_owners("a Update {'f:data':{'.':{},'f:y':{}}}\n"
		      "d Update {'f:metadata':{'f:labels':{'.':{},'f:l':{}}}}\n");
	ask(s, "GET", CONFIGS "/c", NULL);
	assert_owners("a Update {'f:data':{'.':{},'f:y':{}}}\n"
		      "d Update {'f:metadata':{'f:labels':{'.':{},'f:l':{}}}}\n");
}

static void test_status_has_owners_of_its_own(void **state)
{
	struct server *s = *state;
	make_widget(s, "w", "", "");
	assert_owners("unknown Update {'f:spec':{'.':{},'f:color':{},'f:size':{}}}\n");
	ask(s, "PATCH", WIDGETS "/w/status?fieldManager=a",
	    "{'status':{'phase':'x'},'spec':{'size':9}}");
	assert_owners("a Update status {'f:status':{'.':{},'f:phase':{}}}\n"
		      "unknown Update {'f:spec':{'.':{},'f:color':{},'f:size':{}}}\n");
	apply(s, WIDGETS "/w/status?fieldManager=b",
	      "{'apiVersion':'test.ingot.dev/v1','kind':'Widget','spec':{'size':9},'status':{'phase':'y'}}");
	assert_failure(
		409, "Conflict",
		"Apply failed with 1 conflict: conflict with \"a\" with subresource \"status\" using test.ingot.dev/v1: .status.phase");
	apply(s, WIDGETS "/w?fieldManager=b",
	      "{'apiVersion':'test.ingot.dev/v1','kind':'Widget','spec':{'size':5},'status':{'phase':'y'}}");
	assert_status(200);
	assert_text(last.json, "status.phase", "x");
	assert_owners("b Apply {'f:spec':{'f:size':{}}}\n"
		      "a Update status {'f:status':{'.':{},'f:phase':{}}}\n"
		      "unknown Update {'f:spec':{'.':{},'f:color':{},'f:size':{}}}\n");
}

static void test_apply_makes_changes_and_removes(void **state)
{
	struct server *s = *state;
	char rv[32];
	const struct json *j = apply(
		s, WIDGETS "/w?fieldManager=a",
		"apiVersion: test.ingot.dev/v1\nkind: Widget\nmetadata: {name: w}\nspec:\n  size: 5\n  tags: [x, 'y']\n");
	assert_status(201);
	assert_text(j, "spec.color", "red");
	snprintf(rv, sizeof(rv), "%s", text_of(j, "metadata.resourceVersion"));
	loop_run_until(s->loop, loop_now(s->loop) + 10 * USEC_PER_SEC);
	j = apply(
		s, WIDGETS "/w?fieldManager=a",
		"{'apiVersion':'test.ingot.dev/v1','kind':'Widget','metadata':{'name':'w'},'spec':{'size':5,'tags':['x','y']}}");
	assert_status(200);
	assert_text(j, "metadata.resourceVersion", rv);
	assert_int_equal(number_at(j, "metadata.generation"), 1);
	j = apply(
		s, WIDGETS "/w?fieldManager=a",
		"{'apiVersion':'test.ingot.dev/v1','kind':'Widget','metadata':{'name':'w'},'spec':{'size':5,'tags':['y']}}");
	assert_int_equal(number_at(j, "metadata.generation"), 2);
	assert_int_equal(json_count(json_get_path(j, "spec.tags")), 1);
	assert_owners("a Apply {'f:spec':{'f:size':{},'f:tags':{'v:\\'y\\'':{}}}}\n");
	/* A dry run tells and leaves. */
	loop_run_until(s->loop, loop_now(s->loop) + 10 * USEC_PER_SEC);
	snprintf(rv, sizeof(rv), "%s", text_of(j, "metadata.resourceVersion"));
	j = apply(
		s, WIDGETS "/w?fieldManager=a&dryRun=All",
		"{'apiVersion':'test.ingot.dev/v1','kind':'Widget','metadata':{'name':'w'},'spec':{'size':6}}");
	assert_int_equal(number_at(j, "spec.size"), 6);
	j = ask(s, "GET", WIDGETS "/w", NULL);
	assert_text(j, "metadata.resourceVersion", rv);
}

/* As an Ingot without managedFields has left them. */
static void test_objects_without_owners(void **state)
{
	struct server *s = *state;
	ask(s, "POST", CONFIGS, "{'metadata':{'name':'c'},'data':{'x':'1'}}");
	ask(s, "PATCH", CONFIGS "/c", "{'metadata':{'managedFields':[{}]}}");
	assert_owners("");
	ask(s, "PATCH", CONFIGS "/c", "{'data':{'x':'2'}}");
	assert_owners("");
	apply(s, CONFIGS "/c?fieldManager=a",
	      "{'apiVersion':'v1','kind':'ConfigMap','data':{'x':'3'}}");
	assert_failure(409, "Conflict", "conflict with \"before-first-apply\" using v1: .data.x");
	apply(s, CONFIGS "/c?fieldManager=a&force=true",
	      "{'apiVersion':'v1','kind':'ConfigMap','data':{'x':'3'}}");
	assert_owners("a Apply {'f:data':{'f:x':{}}}\nbefore-first-apply Update {'f:data':{}}\n");
}

/* An object as deep as JSON may be, owned, stored and read again. */
static void test_deep_objects(void **state)
{
	struct server *s = *state;
	struct strbuf body = { 0 };
	enum { DEEP = JSON_DEPTH_MAX - 4 };
	strbuf_adds(&body,
		    "{'apiVersion':'test.ingot.dev/v1','kind':'Widget','metadata':{'name':'w'},"
		    "'spec':{'size':5,'free':");
	for (int i = 0; i < DEEP; i++)
		strbuf_adds(&body, "{'a':");
	strbuf_adds(&body, "1");
	for (int i = 0; i < DEEP; i++)
		strbuf_addc(&body, '}');
	strbuf_adds(&body, "}}");
	ask(s, "POST", WIDGETS, body.data);
	assert_status(201);
	apply(s, WIDGETS "/w?fieldManager=a&force=true", body.data);
	assert_status(200);
	ask(s, "PATCH", WIDGETS "/w", "{'spec':{'size':6}}");
	assert_status(200);
	assert_text(last.json, "metadata.name", "w");
	assert_int_equal(json_count(json_get_path(last.json, "metadata.managedFields")), 2);
	strbuf_done(&body);
}

static void test_what_is_refused(void **state)
{
	struct server *s = *state;
	apply(s, CONFIGS "/c", "{'apiVersion':'v1','kind':'ConfigMap'}");
	assert_invalid(
		"PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch");
	apply(s, CONFIGS "/c?fieldManager=a",
	      "{'apiVersion':'v1','kind':'Secret','metadata':{'name':'c'}}");
	assert_failure(400, "BadRequest", "invalid object type: /v1, Kind=Secret");
	apply(s, CONFIGS "/c?fieldManager=a", "a: [");
	assert_failure(400, "BadRequest", "error decoding YAML: ");
	apply(s, CONFIGS "/c?fieldManager=a", "text");
	assert_failure(400, "BadRequest", "error decoding YAML: it is not an object");
	apply(s, CONFIGS "/c?fieldManager=a",
	      "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'c'},'odd':1}");
	assert_status(500);
	assert_text(
		last.json, "message",
		"failed to create typed patch object (/c; /v1, Kind=ConfigMap): .odd: field not declared in schema");
	ask(s, "POST", CONFIGS "?fieldManager=a%07", "{'metadata':{'name':'c'}}");
	assert_failure(422, "Invalid", "invalid character U+0007 (at position 1)");
	ask(s, "PUT", CONFIGS "/c",
	    "{'metadata':{'name':'c','managedFields':[{'manager':'a','operation':'Sell'}]}}");
	assert_status(404);
	ask(s, "POST", CONFIGS,
	    "{'metadata':{'name':'c','managedFields':[{'manager':'a','operation':'Sell'}]}}");
	assert_status(201);
	assert_null(json_get_path(last.json, "metadata.managedFields"));
}

static void test_kubectl_takes_over_from_itself(void **state)
{
	struct server *s = *state;
	ask(s, "POST", CONFIGS "?fieldManager=kubectl-client-side-apply",
	    "{'metadata':{'name':'c','annotations':{'kubectl.kubernetes.io/last-applied-configuration':"
	    "'{\\'apiVersion\\':\\'v1\\',\\'kind\\':\\'ConfigMap\\',\\'metadata\\':{\\'name\\':\\'c\\'},\\'data\\':{\\'x\\':\\'1\\'}}'}},"
	    "'data':{'x':'1','y':'1'}}");
	assert_status(201);
	static const char both[] =
		"{'apiVersion':'v1','kind':'ConfigMap','data':{'x':'2','y':'2'}}";
	apply(s, CONFIGS "/c?fieldManager=kubectl", both);
	assert_failure(409, "Conflict", "Apply failed with 1 conflict: ");
	assert_text(json_at(json_get_path(last.json, "details.causes"), 0), "field", ".data.y");
	apply(s, CONFIGS "/c?fieldManager=other", both);
	assert_failure(409, "Conflict", "Apply failed with 2 conflicts: ");
	apply(s, CONFIGS "/c?fieldManager=kubectl",
	      "{'apiVersion':'v1','kind':'ConfigMap','data':{'x':'2'}}");
	assert_status(200);
	const char *noted = json_get_string(json_get_path(last.json, "metadata.annotations"),
					    "kubectl.kubernetes.io/last-applied-configuration");
	assert_non_null(strstr(str_or(noted, ""), "\"x\":\"2\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		server_test(test_each_write_leaves_its_owner),
		server_test(test_status_has_owners_of_its_own),
		server_test(test_apply_makes_changes_and_removes),
		server_test(test_objects_without_owners),
		server_test(test_deep_objects),
		server_test(test_what_is_refused),
		server_test(test_kubectl_takes_over_from_itself),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
