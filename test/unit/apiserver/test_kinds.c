/* What the built-in kinds do by themselves, and definitions of new kinds. */

#include "unit/apiserver/harness.h"

static void test_secret_data(void **state)
{
	struct server *s = *state;
	const struct json *j = ask(
		s, "POST", SECRETS,
		"{'metadata':{'name':'a'},'data':{'x':'eA=='},'stringData':{'x':'over','y':'yes'}}");
	assert_status(201);
	assert_text(j, "type", "Opaque");
	assert_text(j, "data.x", "b3Zlcg==");
	assert_text(j, "data.y", "eWVz");
	assert_null(json_get(j, "stringData"));
	j = ask(s, "PATCH", SECRETS "/a", "{'stringData':{'y':'no'}}");
	assert_text(j, "data.y", "bm8=");
	ask(s, "PATCH", SECRETS "/a", "{'type':'other'}");
	assert_failure(422, "Invalid", "type: Invalid value: \"other\": field is immutable");
	ask(s, "POST", SECRETS, "{'metadata':{'name':'b'},'data':{'x':'not base64!'}}");
	assert_failure(400, "BadRequest", "Secret in version \"v1\" cannot be handled as a Secret");
	ask(s, "POST", SECRETS, "{'metadata':{'name':'b'},'data':{'x y':''}}");
	assert_failure(422, "Invalid",
		       "data[x y]: Invalid value: \"x y\": a valid config key must consist of");
	ask(s, "POST", SECRETS, "{'metadata':{'name':'b'},'data':'x'}");
	assert_failure(400, "BadRequest", "cannot unmarshal");
}

static void test_secret_types(void **state)
{
	struct server *s = *state;
	ask(s, "POST", SECRETS,
	    "{'metadata':{'name':'a'},'type':'kubernetes.io/tls','data':{'tls.crt':''}}");
	assert_failure(422, "Invalid", "data[tls.key]: Required value");
	ask(s, "POST", SECRETS,
	    "{'metadata':{'name':'a'},'type':'kubernetes.io/tls','data':{'tls.crt':'','tls.key':''}}");
	assert_status(201);
	ask(s, "POST", SECRETS, "{'metadata':{'name':'b'},'type':'kubernetes.io/basic-auth'}");
	assert_failure(422, "Invalid", "data[username]: Required value");
	ask(s, "POST", SECRETS,
	    "{'metadata':{'name':'b'},'type':'kubernetes.io/basic-auth','stringData':{'password':'x'}}");
	assert_status(201);
}

static void test_immutable(void **state)
{
	struct server *s = *state;
	ask(s, "POST", CONFIGS, "{'metadata':{'name':'c'},'data':{'a':'1'},'immutable':true}");
	ask(s, "PATCH", CONFIGS "/c", "{'data':{'a':'2'}}");
	assert_failure(422, "Invalid",
		       "data: Forbidden: field is immutable when `immutable` is set");
	ask(s, "PATCH", CONFIGS "/c", "{'immutable':false}");
	assert_failure(422, "Invalid", "immutable: Forbidden");
	ask(s, "PATCH", CONFIGS "/c", "{'metadata':{'labels':{'a':'b'}}}");
	assert_status(200);
	ask(s, "POST", SECRETS, "{'metadata':{'name':'c'},'immutable':true}");
	ask(s, "PATCH", SECRETS "/c", "{'stringData':{'a':'2'}}");
	assert_failure(422, "Invalid", "data: Forbidden");
}

static void test_config_map(void **state)
{
	struct server *s = *state;
	ask(s, "POST", CONFIGS,
	    "{'metadata':{'name':'c'},'data':{'a':'1'},'binaryData':{'a':'MQ=='}}");
	assert_failure(422, "Invalid", "duplicate of key present in binaryData");
	ask(s, "POST", CONFIGS, "{'metadata':{'name':'c'},'data':{'a':5}}");
	assert_failure(400, "BadRequest",
		       "ConfigMap in version \"v1\" cannot be handled as a ConfigMap");
	ask(s, "POST", CONFIGS, "{'metadata':{'name':'c'},'data':null}");
	assert_status(201);
	ask_as(s, "POST", CONFIGS, "application/yaml", "",
	       "metadata:\n  name: yy\ndata:\n  a: 'b'\n");
	assert_status(201);
	assert_text(last.json, "data.a", "b");
}

static void test_namespace(void **state)
{
	struct server *s = *state;
	const struct json *j = ask(s, "POST", NAMESPACES, "{'metadata':{'name':'n'}}");
	assert_status(201);
	assert_text(j, "status.phase", "Active");
	assert_string_equal(json_string(json_at(json_get_path(j, "spec.finalizers"), 0)),
			    "kubernetes");
	assert_string_equal(
		json_get_string(json_get_path(j, "metadata.labels"), "kubernetes.io/metadata.name"),
		"n");
	j = ask(s, "PATCH", NAMESPACES "/n",
		"{'spec':{'finalizers':null},'status':{'phase':'Odd'}}");
	assert_text(j, "status.phase", "Active");
	assert_int_equal(json_count(json_get_path(j, "spec.finalizers")), 1);
	ask(s, "DELETE", NAMESPACES "/default", NULL);
	assert_failure(403, "Forbidden",
		       "namespaces \"default\" is forbidden: this namespace may not be deleted");
	ask(s, "GET", NAMESPACES "/kube-system", NULL);
	assert_status(200);
}

static void test_lease(void **state)
{
	struct server *s = *state;
	static const char leases[] = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
	ask(s, "POST", leases, "{'metadata':{'name':'l'},'spec':{'leaseDurationSeconds':0}}");
	assert_failure(422, "Invalid",
		       "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0");
	const struct json *j = ask(
		s, "POST", leases,
		"{'metadata':{'name':'l'},'spec':{'holderIdentity':'me','leaseDurationSeconds':15,"
		"'renewTime':'2026-01-02T03:04:05.000000Z','leaseTransitions':0}}");
	assert_status(201);
	assert_null(json_get_path(j, "metadata.generation"));
	ask(s, "POST", leases, "{'metadata':{'name':'m'},'spec':{'renewTime':'now'}}");
	assert_failure(400, "BadRequest", "Lease");
}

static void test_event(void **state)
{
	struct server *s = *state;
	static const char events[] = "/api/v1/namespaces/default/events";
	ask(s, "POST", events,
	    "{'metadata':{'name':'e'},'involvedObject':{'kind':'Widget','namespace':'other','name':'w'}}");
	assert_failure(
		422, "Invalid",
		"involvedObject.namespace: Invalid value: \"other\": does not match event.namespace");
	ask(s, "POST", events,
	    "{'metadata':{'name':'e'},'involvedObject':{'kind':'Widget','namespace':'default','name':'w','uid':'u'},"
	    "'reason':'Made','message':'It was made.','source':{'component':'c'},'eventTime':null,"
	    "'firstTimestamp':'2026-01-02T03:00:00Z','lastTimestamp':'2026-01-02T03:04:00Z','count':3,'type':'Normal'}");
	assert_status(201);
	const struct json *j = ask(
		s, "GET",
		"/api/v1/namespaces/default/events?fieldSelector=involvedObject.kind=Widget,involvedObject.uid=u,source=c",
		NULL);
	assert_int_equal(json_count(json_get(j, "items")), 1);
	j = ask(s, "GET", "/api/v1/events?fieldSelector=type!=Normal", NULL);
	assert_int_equal(json_count(json_get(j, "items")), 0);
	j = ask_as(s, "GET", events, "", "application/json;as=Table;v=v1;g=meta.k8s.io", NULL);
	const struct json *cells = json_get(json_at(json_get(j, "rows"), 0), "cells");
	assert_string_equal(json_string(json_at(cells, 0)), "5s (x3 over 4m5s)");
	assert_string_equal(json_string(json_at(cells, 3)), "widget/w");
}

/* --- definitions
 * ----------------------------------------------------------------------------------------- */

static const struct json *define(struct server *s, const char *spec)
{
	char *body = xasprintf(
		"{'apiVersion':'apiextensions.k8s.io/v1','kind':'CustomResourceDefinition',"
		"'metadata':{'name':'gadgets.test.ingot.dev'},'spec':{'group':'test.ingot.dev',"
		"'names':{'plural':'gadgets','kind':'Gadget'},%s}}",
		spec);
	const struct json *j = ask(s, "POST", CRDS, body);
	free(body);
	return j;
}

#define GADGETS "/apis/test.ingot.dev/v1/gadgets"
#define SIMPLE                                                                                     \
	"'scope':'Cluster','versions':[{'name':'v1','served':true,'storage':true,"                 \
	"'schema':{'openAPIV3Schema':{'type':'object','properties':{'x':{'type':'string'}}}}}]"

static const struct json *condition(const struct json *o, const char *type)
{
	json_for_each(c, json_get_path(o, "status.conditions"))
		if (streq(json_get_string(c, "type"), type))
			return c;
	return NULL;
}

static void test_definition(void **state)
{
	struct server *s = *state;
	ask(s, "GET", GADGETS, NULL);
	assert_status(404);
	const struct json *j = define(s, SIMPLE);
	assert_status(201);
	assert_text(condition(j, "Established"), "status", "True");
	assert_text(condition(j, "NamesAccepted"), "status", "True");
	assert_text(j, "spec.names.singular", "gadget");
	assert_text(j, "spec.names.listKind", "GadgetList");
	assert_text(j, "status.acceptedNames.kind", "Gadget");
	assert_string_equal(json_string(json_at(json_get_path(j, "status.storedVersions"), 0)),
			    "v1");
	assert_int_equal(number_at(j, "metadata.generation"), 1);
	j = ask(s, "POST", GADGETS,
		"{'apiVersion':'test.ingot.dev/v1','kind':'Gadget','metadata':{'name':'g'},'x':'1','y':2}");
	assert_status(201);
	assert_null(json_get(j, "y"));
	assert_null(json_get_path(j, "metadata.namespace"));
	j = ask(s, "GET", GADGETS, NULL);
	assert_text(j, "kind", "GadgetList");
	/* Without a status part of its own, all of it counts. */
	j = ask(s, "PATCH", GADGETS "/g", "{'x':'2'}");
	assert_int_equal(number_at(j, "metadata.generation"), 2);
	ask(s, "GET", GADGETS "/g/status", NULL);
	assert_status(404);
	j = ask_as(s, "GET", GADGETS, "", "application/json;as=Table;v=v1;g=meta.k8s.io", NULL);
	assert_text(json_at(json_get(j, "columnDefinitions"), 1), "name", "Age");
}

static void test_definitions_that_are_refused(void **state)
{
	struct server *s = *state;
	static const struct {
		const char *spec, *fault;
	} cases[] = {
		{ "'scope':'Odd','versions':[]",
		  "spec.scope: Unsupported value: \"Odd\": supported values: \"Cluster\", \"Namespaced\"" },
		{ "'scope':'Cluster','versions':[]",
		  "must have exactly one version marked as storage version" },
		{ "'scope':'Cluster','versions':[{'name':'v1','served':true,'storage':true}]",
		  "spec.versions[0].schema.openAPIV3Schema: Required value" },
		{ "'scope':'Cluster','versions':[{'name':'v1','served':true,'storage':true,'schema':{'openAPIV3Schema':"
		  "{'type':'object','properties':{'a':{}}}}}]",
		  "spec.versions[0].schema.openAPIV3Schema.properties[a].type: Required value: must not be empty for specified object fields" },
		{ "'scope':'Cluster','versions':[{'name':'v1','served':true,'storage':true,'schema':{'openAPIV3Schema':"
		  "{'type':'object','properties':{'a':{'type':'odd'}}}}}]",
		  "properties[a].type: Unsupported value: \"odd\"" },
		{ "'scope':'Cluster','versions':[{'name':'v1','served':true,'storage':true,'schema':{'openAPIV3Schema':"
		  "{'type':'object','properties':{'a':{'type':'string','pattern':'('}}}}}]",
		  "must be a valid regular expression, but isn't: " },
		{ "'scope':'Cluster','versions':[{'name':'v1','served':true,'storage':true,'schema':{'openAPIV3Schema':"
		  "{'type':'object','properties':{'a':{'type':'array'}}}}}]",
		  "properties[a].items: Required value: must be specified" },
		{ "'scope':'Cluster','versions':[{'name':'v1','served':true,'storage':true,'schema':{'openAPIV3Schema':"
		  "{'type':'object','properties':{'a':{'type':'integer','default':'x'}}}}}]",
		  "properties[a].default: Invalid value: \"string\"" },
		{ "'scope':'Cluster','versions':[{'name':'v1','served':true,'storage':true,'schema':{'openAPIV3Schema':"
		  "{'type':'object','properties':{'a':{'type':'object','properties':{'b':{'type':'string'}},"
		  "'additionalProperties':{'type':'string'}}}}}}]",
		  "additionalProperties and properties are mutual exclusive" },
		{ "'scope':'Cluster','versions':[{'name':'v1','served':true,'storage':true,'schema':{'openAPIV3Schema':"
		  "{'type':'string'}}}]",
		  "must be object at the root" },
		{ "'scope':'Cluster','versions':[{'name':'v1','served':true,'storage':true,'additionalPrinterColumns':"
		  "[{'name':'A','type':'string','jsonPath':'a..b'}],'schema':{'openAPIV3Schema':{'type':'object'}}}]",
		  "spec.versions[0].additionalPrinterColumns[0].jsonPath: Invalid value: \"a..b\"" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		define(s, cases[i].spec);
		assert_failure(422, "Invalid", cases[i].fault);
	}
	ask(s, "POST", CRDS,
	    "{'metadata':{'name':'odd.test.ingot.dev'},'spec':{'group':'test.ingot.dev','names':{'plural':'gadgets','kind':'Gadget'}," SIMPLE
	    "}}");
	assert_failure(
		422, "Invalid",
		"metadata.name: Invalid value: \"odd.test.ingot.dev\": must be spec.names.plural+\".\"+spec.group");
	ask(s, "POST", CRDS,
	    "{'metadata':{'name':'others.test.ingot.dev'},'spec':{'group':'test.ingot.dev','names':{'plural':'others','kind':'Widget'}," SIMPLE
	    "}}");
	assert_status(201);
	assert_non_null(strstr(last.body.data, "\"\\\"WidgetList\\\" is already in use\""));
	ask(s, "GET", "/apis/test.ingot.dev/v1/others", NULL);
	assert_status(404);
}

/* New defaults and fields show in objects that were stored before. */
static void test_definition_that_changes(void **state)
{
	struct server *s = *state;
	define(s, SIMPLE);
	ask(s, "POST", GADGETS,
	    "{'apiVersion':'test.ingot.dev/v1','kind':'Gadget','metadata':{'name':'g'},'x':'1'}");
	ask(s, "PATCH", CRDS "/gadgets.test.ingot.dev",
	    "{'spec':{'versions':[{'name':'v1','served':true,'storage':true,'schema':{'openAPIV3Schema':{'type':'object',"
	    "'properties':{'y':{'type':'string','default':'why'}}}}}]}}");
	assert_status(200);
	assert_int_equal(number_at(last.json, "metadata.generation"), 2);
	const struct json *j = ask(s, "GET", GADGETS "/g", NULL);
	assert_text(j, "y", "why");
	assert_null(json_get(j, "x"));
	j = ask(s, "GET", GADGETS, NULL);
	assert_text(json_at(json_get(j, "items"), 0), "y", "why");
	ask(s, "PATCH", CRDS "/gadgets.test.ingot.dev", "{'spec':{'scope':'Namespaced'}}");
	assert_failure(422, "Invalid",
		       "spec.scope: Invalid value: \"Namespaced\": field is immutable");
}

static void test_two_versions(void **state)
{
	struct server *s = *state;
	define(s,
	       "'scope':'Cluster','versions':["
	       "{'name':'v1','served':true,'storage':true,'schema':{'openAPIV3Schema':{'type':'object','properties':{'x':{'type':'string'}}}}},"
	       "{'name':'v1beta1','served':true,'storage':false,'schema':{'openAPIV3Schema':{'type':'object','properties':{'x':{'type':'string'}}}}},"
	       "{'name':'v0','served':false,'storage':false,'schema':{'openAPIV3Schema':{'type':'object'}}}]");
	assert_status(201);
	ask(s, "POST", "/apis/test.ingot.dev/v1beta1/gadgets",
	    "{'apiVersion':'test.ingot.dev/v1beta1','kind':'Gadget','metadata':{'name':'g'},'x':'1'}");
	assert_status(201);
	assert_text(last.json, "apiVersion", "test.ingot.dev/v1beta1");
	const struct json *j = ask(s, "GET", GADGETS "/g", NULL);
	assert_text(j, "apiVersion", "test.ingot.dev/v1");
	j = ask(s, "GET", "/apis/test.ingot.dev/v1beta1/gadgets/g", NULL);
	assert_text(j, "apiVersion", "test.ingot.dev/v1beta1");
	ask(s, "GET", "/apis/test.ingot.dev/v0/gadgets", NULL);
	assert_status(404);
}

static void test_deleting_a_definition(void **state)
{
	struct server *s = *state;
	define(s, SIMPLE);
	ask(s, "POST", GADGETS,
	    "{'apiVersion':'test.ingot.dev/v1','kind':'Gadget','metadata':{'name':'a'}}");
	ask(s, "POST", GADGETS,
	    "{'apiVersion':'test.ingot.dev/v1','kind':'Gadget','metadata':{'name':'b','finalizers':['x.y/z']}}");
	ask(s, "DELETE", CRDS "/gadgets.test.ingot.dev", NULL);
	assert_status(200);
	settle(s);
	/* What has a finalizer holds it up; nothing new comes in. */
	const struct json *j = ask(s, "GET", CRDS "/gadgets.test.ingot.dev", NULL);
	assert_text(condition(j, "Terminating"), "status", "True");
	ask(s, "GET", GADGETS "/a", NULL);
	assert_status(404);
	ask(s, "POST", GADGETS,
	    "{'apiVersion':'test.ingot.dev/v1','kind':'Gadget','metadata':{'name':'c'}}");
	assert_failure(405, "MethodNotAllowed", "");
	ask(s, "PATCH", GADGETS "/b", "{'metadata':{'finalizers':null}}");
	assert_status(200);
	settle(s);
	ask(s, "GET", CRDS "/gadgets.test.ingot.dev", NULL);
	assert_status(404);
	ask(s, "GET", GADGETS, NULL);
	assert_status(404);
	/* And again. */
	define(s, SIMPLE);
	assert_status(201);
	assert_int_equal(json_count(json_get(ask(s, "GET", GADGETS, NULL), "items")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		server_test(test_secret_data),
		server_test(test_secret_types),
		server_test(test_immutable),
		server_test(test_config_map),
		server_test(test_namespace),
		server_test(test_lease),
		server_test(test_event),
		server_test(test_definition),
		server_test(test_definitions_that_are_refused),
		server_test(test_definition_that_changes),
		server_test(test_two_versions),
		server_test(test_deleting_a_definition),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
