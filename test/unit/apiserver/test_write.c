/* Creating, updating, patching, deleting: what the server fills in, keeps, counts and refuses. */

#include "unit/apiserver/harness.h"

static void test_create_fills_in_metadata(void **state)
{
	struct server *s = *state;
	const struct json *j = make_widget(s, "w1",
					   ",'uid':'mine','generation':9,'managedFields':[{}]", "");
	assert_status(201);
	assert_text(j, "metadata.name", "w1");
	assert_text(j, "metadata.namespace", "default");
	assert_text(j, "metadata.creationTimestamp", "2026-01-02T03:04:05Z");
	assert_int_equal(strlen(text_of(j, "metadata.uid")), 36);
	assert_int_equal(number_at(j, "metadata.generation"), 1);
	assert_true(*text_of(j, "metadata.resourceVersion") != '\0');
	assert_int_equal(json_count(json_get_path(j, "metadata.managedFields")), 1);
	assert_null(json_get_path(j, "metadata.selfLink"));
	assert_text(j, "spec.color", "red");
	j = ask(s, "GET", WIDGETS "/w1", NULL);
	assert_status(200);
	assert_text(j, "kind", "Widget");
	assert_text(j, "apiVersion", "test.ingot.dev/v1");
	make_widget(s, "w1", "", "");
	assert_failure(409, "AlreadyExists", "widgets.test.ingot.dev \"w1\" already exists");
	assert_text(last.json, "details.name", "w1");
	assert_text(last.json, "details.group", "test.ingot.dev");
	assert_text(last.json, "details.kind", "widgets");
}

static void test_generate_name(void **state)
{
	struct server *s = *state;
	char first[64];
	const struct json *j = ask(s, "POST", CONFIGS, "{'metadata':{'generateName':'c-'}}");
	assert_status(201);
	snprintf(first, sizeof(first), "%s", text_of(j, "metadata.name"));
	assert_int_equal(strlen(first), 7);
	assert_memory_equal(first, "c-", 2);
	j = ask(s, "POST", CONFIGS, "{'metadata':{'generateName':'c-'}}");
	assert_string_not_equal(first, text_of(j, "metadata.name"));
	ask(s, "POST", CONFIGS, "{'metadata':{}}");
	assert_invalid(
		"ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required");
}

static void test_requests_that_contradict_their_path(void **state)
{
	struct server *s = *state;
	ask(s, "POST", CONFIGS, "{'metadata':{'name':'a','namespace':'other'}}");
	assert_failure(400, "BadRequest", "the namespace of the provided object does not match");
	ask(s, "POST", CONFIGS, "{'kind':'Secret','metadata':{'name':'a'}}");
	assert_failure(400, "BadRequest", "the kind in the data (Secret)");
	ask(s, "POST", CONFIGS, "{'apiVersion':'v2','metadata':{'name':'a'}}");
	assert_failure(400, "BadRequest", "the API version in the data (v2)");
	ask(s, "POST", WIDGETS, "{'metadata':{'name':'a'},'spec':{'size':1}}");
	assert_failure(400, "BadRequest", "Object 'Kind' is missing");
	ask(s, "POST", CONFIGS, "{'metadata':{'name':'a','resourceVersion':'5'}}");
	assert_failure(500, "", "resourceVersion should not be set on objects to be created");
	ask(s, "POST", CONFIGS, "not json");
	assert_failure(400, "BadRequest", "json parse error");
	ask(s, "POST", CONFIGS, "[]");
	assert_failure(400, "BadRequest", "");
	ask(s, "POST", "/api/v1/namespaces/nowhere/configmaps", "{'metadata':{'name':'a'}}");
	assert_failure(404, "NotFound", "namespaces \"nowhere\" not found");
	ask_as(s, "POST", CONFIGS, "text/plain", "application/json", "{}");
	assert_failure(415, "UnsupportedMediaType", "application/json");
	ask(s, "PUT", CONFIGS "/a", "{'metadata':{'name':'b'}}");
	assert_failure(400, "BadRequest",
		       "the name of the object (b) does not match the name on the URL (a)");
	ask(s, "PUT", CONFIGS "/a", "{'metadata':{'name':'a'}}");
	assert_failure(404, "NotFound", "configmaps \"a\" not found");
	ask(s, "POST", CONFIGS "/a", "{}");
	assert_failure(405, "MethodNotAllowed", "");
	ask(s, "POST", "/apis/test.ingot.dev/v1/nothing", "{}");
	assert_status(404);
}

static void test_metadata_rules(void **state)
{
	struct server *s = *state;
	ask(s, "POST", CONFIGS, "{'metadata':{'name':'Bad_Name'}}");
	assert_failure(
		422, "Invalid",
		"metadata.name: Invalid value: \"Bad_Name\": a lowercase RFC 1123 subdomain must consist of");
	ask(s, "POST", CONFIGS, "{'metadata':{'name':'a','labels':{'ok':'not ok'}}}");
	assert_failure(
		422, "Invalid",
		"metadata.labels: Invalid value: \"not ok\": a valid label must be an empty string or consist of");
	ask(s, "POST", CONFIGS, "{'metadata':{'name':'a','labels':{'a/b/c':'x'}}}");
	assert_failure(422, "Invalid", "a valid label key must consist of");
	ask(s, "POST", CONFIGS, "{'metadata':{'name':'a','annotations':{'/x':'y'}}}");
	assert_failure(422, "Invalid", "prefix part must be non-empty");
	ask(s, "POST", CONFIGS, "{'metadata':{'name':'a','finalizers':['short']}}");
	assert_failure(422, "Invalid",
		       "name is neither a standard finalizer name nor is it fully qualified");
	ask(s, "POST", CONFIGS,
	    "{'metadata':{'name':'a','ownerReferences':[{'apiVersion':'v1','kind':'Secret','name':'x'}]}}");
	assert_failure(422, "Invalid",
		       "metadata.ownerReferences.uid: Invalid value: \"\": must not be empty");
	ask(s, "POST", CONFIGS, "{'metadata':{'name':'a','labels':{'x':5}}}");
	assert_failure(
		400, "BadRequest",
		"ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot unmarshal");
	ask(s, "POST", NAMESPACES, "{'metadata':{'name':'a.b'}}");
	assert_failure(422, "Invalid", "Invalid value: \"a.b\": must not contain dots");
	struct strbuf big = { 0 };
	strbuf_adds(&big, "{'metadata':{'name':'a','annotations':{'x':'");
	for (int i = 0; i < 262145; i++)
		strbuf_addc(&big, 'y');
	strbuf_adds(&big, "'}}}");
	ask(s, "POST", CONFIGS, big.data);
	assert_failure(422, "Invalid",
		       "metadata.annotations: Too long: may not be more than 262144 bytes");
	strbuf_done(&big);
}

static void test_sizes(void **state)
{
	struct server *s = *state;
	struct strbuf big = { 0 };
	strbuf_adds(&big,
		    "{'apiVersion':'test.ingot.dev/v1','kind':'Widget','metadata':{'name':'w'},"
		    "'spec':{'size':1,'free':{'x':'");
	while (big.len < 1600 * 1024)
		strbuf_adds(&big, "0123456789abcdef");
	strbuf_adds(&big, "'}}}");
	ask(s, "POST", WIDGETS, big.data);
	assert_failure(413, "RequestEntityTooLarge", "limit is 1572864");
	while (big.len < 3200 * 1024)
		strbuf_adds(&big, "                ");
	ask(s, "POST", WIDGETS, big.data);
	assert_failure(413, "RequestEntityTooLarge", "limit is 3145728");
	strbuf_clear(&big);
	strbuf_adds(&big, "{'metadata':{'name':'many'},'data':{");
	for (int i = 0; i < 10001; i++)
		strbuf_addf(&big, "%s'k%d':''", i ? "," : "", i);
	strbuf_adds(&big, "}}");
	ask(s, "POST", CONFIGS, big.data);
	assert_failure(413, "RequestEntityTooLarge", "more than 10000 members");
	strbuf_done(&big);
}

static void test_schema_faults(void **state)
{
	struct server *s = *state;
	static const struct {
		const char *spec, *fault;
	} cases[] = {
		{ ",'size':0",
		  "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1" },
		{ ",'size':101",
		  "spec.size: Invalid value: 101: spec.size in body should be less than or equal to 100" },
		{ ",'size':'5'",
		  "spec.size: Invalid value: \"string\": spec.size in body must be of type integer: \"string\"" },
		{ ",'size':1.5",
		  "spec.size: Invalid value: \"number\": spec.size in body must be of type integer: \"number\"" },
		{ ",'color':'blue'",
		  "spec.color: Unsupported value: \"blue\": supported values: \"red\", \"green\"" },
		{ ",'name':'x'",
		  "spec.name: Invalid value: \"x\": spec.name in body should be at least 2 chars long" },
		{ ",'name':'toolong'", "spec.name: Too long: may not be more than 5 bytes" },
		{ ",'name':'AB'",
		  "spec.name: Invalid value: \"AB\": spec.name in body should match '^[a-z]+$'" },
		{ ",'when':'today'",
		  "spec.when: Invalid value: \"today\": spec.when in body must be of type date-time: \"today\"" },
		{ ",'ratio':0.25",
		  "spec.ratio: Invalid value: 0.25: spec.ratio in body should be greater than or equal to 0.5" },
		{ ",'port':true",
		  "spec.port: Invalid value: \"boolean\": spec.port in body must be of type integer,string: \"boolean\"" },
		{ ",'labels':{'a':1}",
		  "spec.labels.a: Invalid value: \"integer\": spec.labels.a in body must be of type string: \"integer\"" },
		{ ",'tags':['a','b','c','d']",
		  "spec.tags: Too many: 4: must have at most 3 items" },
		{ ",'tags':['a','a']", "spec.tags[1]: Duplicate value: \"a\"" },
		{ ",'parts':[{'name':'a'},{'name':'a'}]",
		  "spec.parts[1]: Duplicate value: {\"name\":\"a\"}" },
		{ ",'parts':[{}]", "spec.parts[0].name: Required value" },
		{ ",'tags':'a'",
		  "spec.tags: Invalid value: \"string\": spec.tags in body must be of type array: \"string\"" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *size = strstr(cases[i].spec, "'size'") ? "" : ",'size':5";
		char *body = xasprintf(
			"{'apiVersion':'test.ingot.dev/v1','kind':'Widget','metadata':{'name':'w'},"
			"'spec':{'free':{}%s%s}}",
			size, cases[i].spec);
		char *message = xasprintf("Widget.test.ingot.dev \"w\" is invalid: %s",
					  cases[i].fault);
		ask(s, "POST", WIDGETS, body);
		assert_invalid(message);
		assert_int_equal(json_count(json_get_path(last.json, "details.causes")), 1);
		free(message);
		free(body);
	}
}

static void test_several_faults_in_one_answer(void **state)
{
	struct server *s = *state;
	ask(s, "POST", WIDGETS,
	    "{'apiVersion':'test.ingot.dev/v1','kind':'Widget','metadata':{'name':'w'},'spec':{'color':'blue'}}");
	assert_invalid(
		"Widget.test.ingot.dev \"w\" is invalid: [spec.size: Required value, spec.color: Unsupported value: \"blue\": supported values: \"red\", \"green\"]");
	const struct json *cause = json_at(json_get_path(last.json, "details.causes"), 0);
	assert_text(cause, "reason", "FieldValueRequired");
	assert_text(cause, "message", "Required value");
	assert_text(cause, "field", "spec.size");
	assert_text(last.json, "details.kind", "Widget");
	ask(s, "POST", WIDGETS,
	    "{'apiVersion':'test.ingot.dev/v1','kind':'Widget','metadata':{'name':'w'}}");
	assert_invalid("Widget.test.ingot.dev \"w\" is invalid: spec: Required value");
}

static void test_defaults_nulls_and_pruning(void **state)
{
	struct server *s = *state;
	const struct json *j = make_widget(
		s, "w", "",
		",'color':null,'maybe':null,'name':null,'foo':1,'free':{'any':{'x':1}},"
		"'port':'http','parts':[{'name':'a','bar':2}]");
	assert_status(201);
	assert_text(j, "spec.color", "red");
	assert_non_null(json_get_path(j, "spec.maybe"));
	assert_null(json_get_path(j, "spec.name"));
	assert_null(json_get_path(j, "spec.foo"));
	assert_int_equal(number_at(j, "spec.free.any.x"), 1);
	const struct json *part = json_at(json_get_path(j, "spec.parts"), 0);
	assert_int_equal(number_at(part, "count"), 1);
	assert_null(json_get(part, "bar"));
	assert_string_equal(last.warnings.data,
			    "unknown field \"spec.foo\"\nunknown field \"spec.parts[0].bar\"\n");
}

static void test_field_validation(void **state)
{
	struct server *s = *state;
	static const char body[] =
		"{'apiVersion':'test.ingot.dev/v1','kind':'Widget',"
		"'metadata':{'name':'w','odd':1},'spec':{'size':5,'foo':1,'bar':2}}";
	ask(s, "POST", WIDGETS "?fieldValidation=Strict", body);
	assert_failure(
		400, "BadRequest",
		"Widget in version \"v1\" cannot be handled as a Widget: strict decoding error: unknown field \"metadata.odd\", unknown field \"spec.foo\", unknown field \"spec.bar\"");
	ask(s, "POST", WIDGETS "?fieldValidation=Ignore&dryRun=All", body);
	assert_status(201);
	assert_int_equal(last.warnings.len, 0);
	ask(s, "POST", WIDGETS "?fieldValidation=Warn&dryRun=All", body);
	assert_status(201);
	assert_true(last.warnings.len > 0);
	ask(s, "POST", WIDGETS "?fieldValidation=Perhaps", body);
	assert_failure(422, "Invalid", "fieldValidation");
	make_widget(s, "w", "", "");
	ask(s, "PATCH", WIDGETS "/w?fieldValidation=Strict", "{'spec':{'foo':1}}");
	assert_failure(422, "Invalid", "strict decoding error: unknown field \"spec.foo\"");
	ask(s, "POST", SECRETS "?fieldValidation=Strict", "{'metadata':{'name':'s'},'date':{}}");
	assert_failure(400, "BadRequest", "unknown field \"date\"");
}

/* What nobody knows of an embedded object's metadata is told as at the top. */
static void test_embedded_fields(void **state)
{
	struct server *s = *state;
	static const char body[] =
		"{'apiVersion':'test.ingot.dev/v1','kind':'Widget','metadata':{'name':'w'},"
		"'spec':{'size':5,'inner':{'apiVersion':'v1','kind':'Pod','odd':1,'metadata':{'odd':1,"
		"'ownerReferences':[{'apiVersion':'v1','kind':'K','name':'n','uid':'u','odd':1}]}}}}";
	ask(s, "POST", WIDGETS "?fieldValidation=Strict", body);
	assert_failure(
		400, "BadRequest",
		"strict decoding error: unknown field \"spec.inner.metadata.odd\", unknown field \"spec.inner.metadata.ownerReferences[0].odd\"");
	ask(s, "POST", WIDGETS, body);
	assert_status(201);
	assert_int_equal(number_at(last.json, "spec.inner.odd"), 1);
	assert_null(json_get_path(last.json, "spec.inner.metadata.odd"));
	assert_string_equal(last.warnings.data,
			    "unknown field \"spec.inner.metadata.odd\"\n"
			    "unknown field \"spec.inner.metadata.ownerReferences[0].odd\"\n");
}

static void test_update_and_conflict(void **state)
{
	struct server *s = *state;
	char rv[32], body[512];
	snprintf(rv, sizeof(rv), "%s",
		 text_of(make_widget(s, "w", "", ""), "metadata.resourceVersion"));
	ask(s, "PUT", WIDGETS "/w",
	    "{'apiVersion':'test.ingot.dev/v1','kind':'Widget','metadata':{'name':'w'},'spec':{'size':6}}");
	assert_invalid(
		"widgets.test.ingot.dev \"w\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update");
	snprintf(
		body, sizeof(body),
		"{'apiVersion':'test.ingot.dev/v1','kind':'Widget','metadata':{'name':'w','resourceVersion':'%s'},"
		"'spec':{'size':6}}",
		rv);
	const struct json *j = ask(s, "PUT", WIDGETS "/w", body);
	assert_status(200);
	assert_int_equal(number_at(j, "metadata.generation"), 2);
	assert_string_not_equal(text_of(j, "metadata.resourceVersion"), rv);
	ask(s, "PUT", WIDGETS "/w", body);
	assert_failure(
		409, "Conflict",
		"Operation cannot be fulfilled on widgets.test.ingot.dev \"w\": the object has been modified; please apply your changes to the latest version and try again");
	ask(s, "PATCH", WIDGETS "/w", "{'metadata':{'resourceVersion':'1'},'spec':{'size':7}}");
	assert_failure(409, "Conflict", "the object has been modified");
	ask(s, "PATCH", WIDGETS "/w", "{'metadata':{'uid':'other'},'spec':{'size':7}}");
	assert_failure(422, "Invalid",
		       "metadata.uid: Invalid value: \"other\": field is immutable");
	/* Kinds that allow it may be overwritten without a version. */
	ask(s, "POST", CONFIGS, "{'metadata':{'name':'c'}}");
	ask(s, "PUT", CONFIGS "/c", "{'metadata':{'name':'c'},'data':{'a':'b'}}");
	assert_status(200);
	ask(s, "PUT", "/apis/coordination.k8s.io/v1/namespaces/default/leases/new",
	    "{'metadata':{'name':'new'}}");
	assert_status(201);
}

static void test_no_change_no_version(void **state)
{
	struct server *s = *state;
	char rv[32];
	snprintf(rv, sizeof(rv), "%s",
		 text_of(make_widget(s, "w", "", ""), "metadata.resourceVersion"));
	const struct json *j = ask(s, "PATCH", WIDGETS "/w", "{'spec':{'size':5}}");
	assert_status(200);
	assert_text(j, "metadata.resourceVersion", rv);
	assert_int_equal(number_at(j, "metadata.generation"), 1);
	j = ask(s, "PATCH", WIDGETS "/w", "{'metadata':{'labels':{'a':'b'}}}");
	assert_int_equal(number_at(j, "metadata.generation"), 1);
	assert_string_not_equal(text_of(j, "metadata.resourceVersion"), rv);
}

static void test_server_owned_metadata(void **state)
{
	struct server *s = *state;
	char uid[64];
	snprintf(uid, sizeof(uid), "%s", text_of(make_widget(s, "w", "", ""), "metadata.uid"));
	const struct json *j = ask(
		s, "PATCH", WIDGETS "/w",
		"{'metadata':{'creationTimestamp':null,'generation':77,'selfLink':'x','annotations':{'a':'b'}}}");
	assert_status(200);
	assert_text(j, "metadata.uid", uid);
	assert_text(j, "metadata.creationTimestamp", "2026-01-02T03:04:05Z");
	assert_int_equal(number_at(j, "metadata.generation"), 1);
	assert_null(json_get_path(j, "metadata.deletionTimestamp"));
	assert_text(j, "metadata.annotations.a", "b");
	ask(s, "PATCH", WIDGETS "/w", "{'metadata':{'deletionTimestamp':'2026-01-01T00:00:00Z'}}");
	assert_failure(422, "Invalid", "metadata.deletionTimestamp");
}

static void test_status_is_apart(void **state)
{
	struct server *s = *state;
	const struct json *j = ask(
		s, "POST", WIDGETS,
		"{'apiVersion':'test.ingot.dev/v1','kind':'Widget','metadata':{'name':'w'},"
		"'spec':{'size':5},'status':{'phase':'early'}}");
	assert_null(json_get(j, "status"));
	j = ask(s, "PATCH", WIDGETS "/w", "{'status':{'phase':'main'}}");
	assert_status(200);
	assert_null(json_get(j, "status"));
	j = ask(s, "PATCH", WIDGETS "/w/status",
		"{'spec':{'size':9},'metadata':{'labels':{'a':'b'}},'status':{'phase':'ready'}}");
	assert_status(200);
	assert_text(j, "status.phase", "ready");
	assert_int_equal(number_at(j, "spec.size"), 5);
	assert_null(json_get_path(j, "metadata.labels"));
	assert_int_equal(number_at(j, "metadata.generation"), 1);
	j = ask(s, "GET", WIDGETS "/w/status", NULL);
	assert_text(j, "status.phase", "ready");
	/* An update of the main part keeps it. */
	char *body = xasprintf(
		"{'apiVersion':'test.ingot.dev/v1','kind':'Widget','metadata':{'name':'w',"
		"'resourceVersion':'%s'},'spec':{'size':6}}",
		text_of(j, "metadata.resourceVersion"));
	j = ask(s, "PUT", WIDGETS "/w", body);
	free(body);
	assert_text(j, "status.phase", "ready");
	assert_int_equal(number_at(j, "metadata.generation"), 2);
	ask(s, "PATCH", WIDGETS "/w/status", "{'status':{'phase':5}}");
	assert_failure(422, "Invalid", "status.phase: Invalid value: \"integer\"");
	ask(s, "GET", CONFIGS "/x/status", NULL);
	assert_status(404);
	ask(s, "DELETE", WIDGETS "/w/status", NULL);
	assert_failure(405, "MethodNotAllowed", "");
}

static void test_patch_types(void **state)
{
	struct server *s = *state;
	make_widget(s, "w", ",'labels':{'a':'b'}", ",'tags':['x']");
	const struct json *j = ask_as(
		s, "PATCH", WIDGETS "/w", "application/json-patch+json", "",
		"[{'op':'test','path':'/spec/size','value':5},{'op':'add','path':'/spec/tags/-','value':'y'},"
		"{'op':'remove','path':'/metadata/labels/a'}]");
	assert_status(200);
	assert_int_equal(json_count(json_get_path(j, "spec.tags")), 2);
	assert_null(json_get_path(j, "metadata.labels"));
	ask_as(s, "PATCH", WIDGETS "/w", "application/json-patch+json", "",
	       "[{'op':'test','path':'/spec/size','value':6}]");
	assert_failure(422, "Invalid",
		       "the server rejected our request due to an error in our request");
	ask_as(s, "PATCH", WIDGETS "/w", "application/json-patch+json", "", "{}");
	assert_failure(400, "BadRequest", "");
	ask_as(s, "PATCH", WIDGETS "/w", "application/json-patch+json", "",
	       "[{'op':'replace','path':'','value':5}]");
	assert_failure(422, "Invalid", "");
	ask_as(s, "PATCH", WIDGETS "/w", "application/strategic-merge-patch+json", "", "{}");
	assert_failure(
		415, "UnsupportedMediaType",
		"the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json");
	ask_as(s, "PATCH", WIDGETS "/w", "application/apply-patch+json", "", "{}");
	assert_failure(415, "UnsupportedMediaType", "application/apply-patch+yaml");
	ask(s, "PATCH", WIDGETS "/w?force=true", "{}");
	assert_failure(422, "Invalid",
		       "force: Forbidden: may not be specified for non-apply patch");
	ask(s, "PATCH", WIDGETS "/w", "nonsense");
	assert_failure(400, "BadRequest", "");
	ask(s, "PATCH", WIDGETS "/w", "{'metadata':{'name':'other'}}");
	assert_failure(400, "BadRequest", "does not match the name on the URL");
	ask(s, "PATCH", WIDGETS "/none", "{}");
	assert_failure(404, "NotFound", "widgets.test.ingot.dev \"none\" not found");
	ask(s, "PATCH", WIDGETS "/w", "{'spec':{'size':null}}");
	assert_failure(422, "Invalid", "spec.size: Required value");
}

static void test_strategic_merge(void **state)
{
	struct server *s = *state;
	static const char type[] = "application/strategic-merge-patch+json";
	ask(s, "POST", CONFIGS,
	    "{'metadata':{'name':'c','finalizers':['a.b/one']},'data':{'x':'1','y':'2'}}");
	const struct json *j = ask_as(
		s, "PATCH", CONFIGS "/c", type, "",
		"{'metadata':{'finalizers':['a.b/two'],'$setElementOrder/finalizers':['a.b/two']},"
		"'data':{'x':null,'z':'3'}}");
	assert_status(200);
	assert_int_equal(json_count(json_get_path(j, "metadata.finalizers")), 2);
	assert_int_equal(json_count(json_get(j, "data")), 2);
	j = ask_as(s, "PATCH", CONFIGS "/c", type, "",
		   "{'metadata':{'$deleteFromPrimitiveList/finalizers':['a.b/one','a.b/two']},"
		   "'data':{'$patch':'replace','q':'4'}}");
	assert_null(json_get_path(j, "metadata.finalizers"));
	assert_int_equal(json_count(json_get(j, "data")), 1);
	assert_text(j, "data.q", "4");
	j = ask_as(
		s, "PATCH", CONFIGS "/c", type, "",
		"{'metadata':{'ownerReferences':[{'apiVersion':'x/v1','kind':'Y','name':'y','uid':'u1'}]}}");
	j = ask_as(s, "PATCH", CONFIGS "/c", type, "",
		   "{'metadata':{'ownerReferences':[{'uid':'u1','name':'z'},"
		   "{'apiVersion':'x/v1','kind':'Y','name':'y','uid':'u2'}]}}");
	assert_status(200);
	const struct json *owners = json_get_path(j, "metadata.ownerReferences");
	assert_int_equal(json_count(owners), 2);
	assert_text(json_at(owners, 0), "name", "z");
	assert_text(json_at(owners, 0), "kind", "Y");
	j = ask_as(s, "PATCH", CONFIGS "/c", type, "",
		   "{'metadata':{'ownerReferences':[{'$patch':'delete','uid':'u1'}]}}");
	assert_int_equal(json_count(json_get_path(j, "metadata.ownerReferences")), 1);
	ask_as(s, "PATCH", CONFIGS "/c", type, "", "{'data':{'$patch':'odd'}}");
	assert_failure(422, "Invalid", "");
}

static void test_finalizers(void **state)
{
	struct server *s = *state;
	make_widget(s, "w", ",'finalizers':['test.ingot.dev/keep']", "");
	const struct json *j = ask(s, "DELETE", WIDGETS "/w", NULL);
	assert_status(200);
	assert_text(j, "kind", "Widget");
	assert_text(j, "metadata.deletionTimestamp", "2026-01-02T03:04:05Z");
	assert_int_equal(number_at(j, "metadata.deletionGracePeriodSeconds"), 0);
	assert_int_equal(number_at(j, "metadata.generation"), 2);
	char rv[32];
	snprintf(rv, sizeof(rv), "%s", text_of(j, "metadata.resourceVersion"));
	j = ask(s, "DELETE", WIDGETS "/w", NULL);
	assert_text(j, "metadata.resourceVersion", rv);
	ask(s, "PATCH", WIDGETS "/w",
	    "{'metadata':{'finalizers':['test.ingot.dev/keep','test.ingot.dev/new']}}");
	assert_invalid(
		"Widget.test.ingot.dev \"w\" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"test.ingot.dev/new\"}");
	j = ask(s, "PATCH", WIDGETS "/w",
		"{'spec':{'size':7},'metadata':{'deletionTimestamp':null}}");
	assert_status(200);
	assert_text(j, "metadata.deletionTimestamp", "2026-01-02T03:04:05Z");
	ask(s, "PATCH", WIDGETS "/w", "{'metadata':{'finalizers':null}}");
	assert_status(200);
	ask(s, "GET", WIDGETS "/w", NULL);
	assert_failure(404, "NotFound", "widgets.test.ingot.dev \"w\" not found");
}

static void test_delete(void **state)
{
	struct server *s = *state;
	char uid[64], *body;
	const struct json *j = make_widget(s, "w", "", "");
	snprintf(uid, sizeof(uid), "%s", text_of(j, "metadata.uid"));
	ask(s, "DELETE", WIDGETS "/w", "{'preconditions':{'uid':'other'}}");
	assert_failure(409, "Conflict",
		       "the UID in the precondition (other) does not match the UID in record");
	ask(s, "DELETE", WIDGETS "/w", "{'preconditions':{'resourceVersion':'1'}}");
	assert_failure(409, "Conflict",
		       "the ResourceVersion in the precondition (1) does not match");
	ask(s, "DELETE", WIDGETS "/w", "{'propagationPolicy':'Odd'}");
	assert_failure(422, "Invalid", "propagationPolicy");
	ask(s, "DELETE", WIDGETS "/w", "{'dryRun':['All']}");
	assert_status(200);
	body = xasprintf("{'preconditions':{'uid':'%s'}}", uid);
	j = ask(s, "DELETE", WIDGETS "/w", body);
	free(body);
	assert_status(200);
	assert_text(j, "kind", "Status");
	assert_text(j, "status", "Success");
	assert_text(j, "details.uid", uid);
	assert_text(j, "details.kind", "widgets");
	ask(s, "DELETE", WIDGETS "/w", NULL);
	assert_failure(404, "NotFound", "");
}

static void test_delete_collection(void **state)
{
	struct server *s = *state;
	make_widget(s, "a", ",'labels':{'x':'1'}", "");
	make_widget(s, "b", ",'labels':{'x':'1'},'finalizers':['a.b/c']", "");
	make_widget(s, "c", "", "");
	const struct json *j = ask(s, "DELETE", WIDGETS "?labelSelector=x%3D1", NULL);
	assert_status(200);
	assert_int_equal(json_count(json_get(j, "items")), 2);
	j = ask(s, "GET", WIDGETS, NULL);
	assert_int_equal(json_count(json_get(j, "items")), 2);
	assert_text(json_at(json_get(j, "items"), 0), "metadata.name", "b");
	ask(s, "DELETE", "/apis/test.ingot.dev/v1/widgets", NULL);
	assert_failure(405, "MethodNotAllowed", "");
}

static void test_dry_run(void **state)
{
	struct server *s = *state;
	const struct json *j = ask(s, "POST", CONFIGS "?dryRun=All", "{'metadata':{'name':'c'}}");
	assert_status(201);
	assert_true(*text_of(j, "metadata.uid") != '\0');
	assert_null(json_get_path(j, "metadata.resourceVersion"));
	ask(s, "GET", CONFIGS "/c", NULL);
	assert_status(404);
	make_widget(s, "w", "", "");
	j = ask(s, "PATCH", WIDGETS "/w?dryRun=All", "{'spec':{'size':8}}");
	assert_int_equal(number_at(j, "spec.size"), 8);
	ask(s, "DELETE", WIDGETS "/w?dryRun=All", NULL);
	assert_status(200);
	j = ask(s, "GET", WIDGETS "/w", NULL);
	assert_int_equal(number_at(j, "spec.size"), 5);
	ask(s, "POST", CONFIGS "?dryRun=Some", "{'metadata':{'name':'c'}}");
	assert_failure(422, "Invalid", "dryRun");
	char *crd = xasprintf(
		"%s",
		"{'metadata':{'name':'gadgets.test.ingot.dev'},'spec':{'group':'test.ingot.dev',"
		"'scope':'Cluster','names':{'plural':'gadgets','kind':'Gadget'},'versions':[{'name':'v1',"
		"'served':true,'storage':true,'schema':{'openAPIV3Schema':{'type':'object'}}}]}}");
	ask(s, "POST", CRDS "?dryRun=All", crd);
	assert_status(201);
	ask(s, "GET", "/apis/test.ingot.dev/v1/gadgets", NULL);
	assert_status(404);
	free(crd);
}

/* Requests of one batch see each other, fail alone and are answered after the commit. */
static void test_batches(void **state)
{
	struct server *s = *state;
	struct answer a[4] = { { 0 } };
	send_as(s, "POST", CONFIGS, "", "", "{'metadata':{'name':'a'}}", &a[0]);
	send_as(s, "POST", CONFIGS, "", "", "{'metadata':{'name':'a'}}", &a[1]);
	send_as(s, "GET", CONFIGS "/a", "", "", NULL, &a[2]);
	send_as(s, "DELETE", CONFIGS "/a", "", "", NULL, &a[3]);
	for (int i = 0; i < 4; i++)
		assert_int_equal(a[i].replies, 0);
	settle(s);
	assert_int_equal(a[0].status, 201);
	assert_int_equal(a[1].status, 409);
	assert_int_equal(a[2].status, 200);
	assert_int_equal(a[3].status, 200);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(a[i].replies, 1);
		answer_done(&a[i]);
	}
}

static void test_aborted_request_gets_no_answer(void **state)
{
	struct server *s = *state;
	struct answer a = { 0 };
	send_as(s, "POST", CONFIGS, "", "", "{'metadata':{'name':'a'}}", &a);
	assert_non_null(a.exchange);
	apiserver_abort(a.exchange);
	settle(s);
	assert_int_equal(a.replies, 0);
	answer_done(&a);
	ask(s, "GET", CONFIGS "/a", NULL);
	assert_status(200);
}

static void test_large_batches(void **state)
{
	struct server *s = *state;
	enum { COUNT = 600 };
	struct answer *a = calloc(COUNT, sizeof(*a));
	for (int i = 0; i < COUNT; i++) {
		char *body = xasprintf("{'metadata':{'name':'c%d'}}", i);
		send_as(s, "POST", CONFIGS, "", "", body, &a[i]);
		free(body);
	}
	assert_int_equal(a[0].replies, 1); /* the batch was full */
	settle(s);
	for (int i = 0; i < COUNT; i++) {
		assert_int_equal(a[i].status, 201);
		answer_done(&a[i]);
	}
	free(a);
}

/* What was valid when it was written may stay as it is (ratcheting). */
static void test_tightened_schema(void **state)
{
	struct server *s = *state;
	make_widget(s, "w", "", ",'name':'abcd'");
	ask_as(s, "PATCH", CRDS "/widgets.test.ingot.dev", "application/json-patch+json", "",
	       "[{'op':'replace','path':'/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/name/maxLength','value':3}]");
	assert_status(200);
	ask(s, "PATCH", WIDGETS "/w", "{'spec':{'size':6}}");
	assert_status(200);
	ask(s, "PATCH", WIDGETS "/w", "{'spec':{'name':'abce'}}");
	assert_failure(422, "Invalid", "spec.name: Too long");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		server_test(test_create_fills_in_metadata),
		server_test(test_generate_name),
		server_test(test_requests_that_contradict_their_path),
		server_test(test_metadata_rules),
		server_test(test_sizes),
		server_test(test_schema_faults),
		server_test(test_several_faults_in_one_answer),
		server_test(test_defaults_nulls_and_pruning),
		server_test(test_field_validation),
		server_test(test_embedded_fields),
		server_test(test_update_and_conflict),
		server_test(test_no_change_no_version),
		server_test(test_server_owned_metadata),
		server_test(test_status_is_apart),
		server_test(test_patch_types),
		server_test(test_strategic_merge),
		server_test(test_finalizers),
		server_test(test_delete),
		server_test(test_delete_collection),
		server_test(test_dry_run),
		server_test(test_batches),
		server_test(test_aborted_request_gets_no_answer),
		server_test(test_large_batches),
		server_test(test_tightened_schema),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
