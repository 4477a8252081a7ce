/* Reading: objects, lists with selectors and pages, tables, discovery, OpenAPI. */

#include "unit/apiserver/harness.h"

static const char table_accept[] =
	"application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";

static void make_many(struct server *s, int count)
{
	char name[16];
	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "w%02d", i % 100);
		make_widget(s, name,
			    i % 2 ? ",'labels':{'odd':'yes','n':'7'}" : ",'labels':{'even':'yes'}",
			    i % 3 ? ",'color':'green'" : "");
		assert_status(201);
	}
}

static size_t items(const struct json *list)
{
	return json_count(json_get(list, "items"));
}

static void test_get(void **state)
{
	struct server *s = *state;
	ask(s, "GET", WIDGETS "/none", NULL);
	assert_failure(404, "NotFound", "widgets.test.ingot.dev \"none\" not found");
	ask(s, "GET", "/api/v1/namespaces/none", NULL);
	assert_failure(404, "NotFound", "namespaces \"none\" not found");
	ask(s, "GET", "/api/v1/nothing", NULL);
	assert_failure(404, "NotFound", "the server could not find the requested resource");
	ask(s, "GET", "/apis/none/v1/nothing", NULL);
	assert_status(404);
	assert_string_equal(last.content_type, "text/plain; charset=utf-8");
	ask(s, "GET", "/api/v1/secrets/x", NULL);
	assert_status(404);
	ask(s, "GET", "/api/v1//secrets", NULL);
	assert_status(404);
	ask(s, "GET", CONFIGS "/%zz", NULL);
	assert_status(404);
	ask_as(s, "GET", NAMESPACES "/default", "", "application/vnd.kubernetes.protobuf", NULL);
	assert_failure(406, "NotAcceptable", "application/json");
	ask_as(s, "GET", NAMESPACES "/default", "",
	       "application/vnd.kubernetes.protobuf,application/json", NULL);
	assert_status(200);
	ask(s, "GET", NAMESPACES "/default?pretty=true", NULL);
	assert_non_null(strstr(last.body.data, "\n  \"kind\": \"Namespace\""));
	ask(s, "HEAD", NAMESPACES "/default", NULL);
	assert_failure(405, "MethodNotAllowed", "does not allow this method");
	const struct json *j = ask_as(
		s, "GET", NAMESPACES "/default", "",
		"application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", NULL);
	assert_text(j, "kind", "PartialObjectMetadata");
	assert_text(j, "metadata.name", "default");
	assert_null(json_get(j, "spec"));
}

static void test_lists(void **state)
{
	struct server *s = *state;
	make_many(s, 4);
	const struct json *j = ask(s, "GET", WIDGETS, NULL);
	assert_text(j, "kind", "WidgetList");
	assert_text(j, "apiVersion", "test.ingot.dev/v1");
	assert_int_equal(items(j), 4);
	assert_true(*text_of(j, "metadata.resourceVersion") != '\0');
	assert_null(json_get_path(j, "metadata.continue"));
	j = ask(s, "GET", "/apis/test.ingot.dev/v1/widgets", NULL);
	assert_int_equal(items(j), 4);
	j = ask(s, "GET", "/apis/test.ingot.dev/v1/namespaces/none/widgets", NULL);
	assert_status(200);
	assert_int_equal(items(j), 0);
	j = ask_as(s, "GET", WIDGETS, "",
		   "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", NULL);
	assert_text(j, "kind", "PartialObjectMetadataList");
	assert_text(json_at(json_get(j, "items"), 0), "kind", "PartialObjectMetadata");
}

static void test_label_selectors(void **state)
{
	struct server *s = *state;
	static const struct {
		const char *selector;
		size_t count;
	} cases[] = {
		{ "odd=yes", 2 },
		{ "odd%3D%3Dyes", 2 },
		{ "odd!=yes", 3 },
		{ "odd", 2 },
		{ "!odd", 3 },
		{ "odd+in+(yes,no)", 2 },
		{ "odd+notin+(yes)", 3 },
		{ "odd,even", 0 },
		{ "n>6", 2 },
		{ "n<7", 0 },
		{ "", 5 },
	};
	make_many(s, 5);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *target = xasprintf(WIDGETS "?labelSelector=%s", cases[i].selector);
		const struct json *j = ask(s, "GET", target, NULL);
		assert_status(200);
		assert_int_equal(items(j), cases[i].count);
		free(target);
	}
	ask(s, "GET", WIDGETS "?labelSelector=a+in+(b", NULL);
	assert_failure(400, "BadRequest", "expected: ',' or ')'");
	ask(s, "GET", WIDGETS "?labelSelector=a%3Db+c", NULL);
	assert_failure(400, "BadRequest", "");
}

static void test_field_selectors(void **state)
{
	struct server *s = *state;
	make_many(s, 6);
	const struct json *j = ask(s, "GET", WIDGETS "?fieldSelector=metadata.name%3Dw03", NULL);
	assert_int_equal(items(j), 1);
	j = ask(s, "GET",
		"/apis/test.ingot.dev/v1/widgets?fieldSelector=metadata.name=w03,metadata.namespace=default",
		NULL);
	assert_int_equal(items(j), 1);
	j = ask(s, "GET", WIDGETS "?fieldSelector=metadata.name!=w03", NULL);
	assert_int_equal(items(j), 5);
	j = ask(s, "GET", WIDGETS "?fieldSelector=spec.color=green", NULL);
	assert_int_equal(items(j), 4);
	ask(s, "GET", WIDGETS "?fieldSelector=spec.size=5", NULL);
	assert_failure(400, "BadRequest", "field label not supported: spec.size");
	ask(s, "GET", WIDGETS "?fieldSelector=nonsense", NULL);
	assert_failure(400, "BadRequest", "");
	ask(s, "POST", SECRETS, "{'metadata':{'name':'a'},'type':'my/type'}");
	j = ask(s, "GET", SECRETS "?fieldSelector=type=my/type", NULL);
	assert_int_equal(items(j), 1);
}

/* Pages show one moment, whatever happens between them. */
static void test_pages(void **state)
{
	struct server *s = *state;
	char *target, rv[32];
	make_many(s, 5);
	const struct json *j = ask(s, "GET", WIDGETS "?limit=2", NULL);
	assert_int_equal(items(j), 2);
	assert_int_equal(number_at(j, "metadata.remainingItemCount"), 3);
	snprintf(rv, sizeof(rv), "%s", text_of(j, "metadata.resourceVersion"));
	target = xasprintf(WIDGETS "?limit=2&continue=%s", text_of(j, "metadata.continue"));
	ask(s, "DELETE", WIDGETS "/w02", NULL);
	ask(s, "PATCH", WIDGETS "/w03", "{'spec':{'size':50}}");
	make_widget(s, "w02b", "", "");
	j = ask(s, "GET", target, NULL);
	free(target);
	assert_int_equal(items(j), 2);
	assert_text(j, "metadata.resourceVersion", rv);
	assert_text(json_at(json_get(j, "items"), 0), "metadata.name", "w02");
	assert_int_equal(number_at(json_at(json_get(j, "items"), 1), "spec.size"), 5);
	target = xasprintf(WIDGETS "?limit=2&continue=%s", text_of(j, "metadata.continue"));
	j = ask(s, "GET", target, NULL);
	free(target);
	assert_int_equal(items(j), 1);
	assert_null(json_get_path(j, "metadata.continue"));
	j = ask(s, "GET", WIDGETS "?limit=1&labelSelector=odd", NULL);
	assert_int_equal(items(j), 1);
	assert_null(json_get_path(j, "metadata.remainingItemCount"));
	target = xasprintf(WIDGETS "?limit=1&labelSelector=odd&continue=%s",
			   text_of(j, "metadata.continue"));
	j = ask(s, "GET", target, NULL);
	free(target);
	assert_text(json_at(json_get(j, "items"), 0), "metadata.name", "w03");
	assert_null(json_get_path(j, "metadata.continue"));
	ask(s, "GET", WIDGETS "?continue=junk", NULL);
	assert_failure(400, "BadRequest", "continue key is not valid");
}

static void test_versions_of_lists(void **state)
{
	struct server *s = *state;
	char *target, rv[32];
	make_many(s, 2);
	snprintf(rv, sizeof(rv), "%s",
		 text_of(ask(s, "GET", WIDGETS, NULL), "metadata.resourceVersion"));
	make_widget(s, "later", "", "");
	target = xasprintf(WIDGETS "?resourceVersion=%s&resourceVersionMatch=Exact", rv);
	assert_int_equal(items(ask(s, "GET", target, NULL)), 2);
	assert_text(last.json, "metadata.resourceVersion", rv);
	free(target);
	target = xasprintf(WIDGETS "?resourceVersion=%s&resourceVersionMatch=NotOlderThan", rv);
	assert_int_equal(items(ask(s, "GET", target, NULL)), 3);
	free(target);
	assert_int_equal(items(ask(s, "GET", WIDGETS "?resourceVersion=0", NULL)), 3);
	ask(s, "GET", WIDGETS "?resourceVersion=999999", NULL);
	assert_failure(504, "Timeout", "Too large resource version: 999999, current: ");
	assert_text(json_at(json_get_path(last.json, "details.causes"), 0), "reason",
		    "ResourceVersionTooLarge");
	ask(s, "GET", WIDGETS "?resourceVersion=abc", NULL);
	assert_failure(400, "BadRequest", "resourceVersion");
	ask(s, "GET", WIDGETS "?resourceVersionMatch=Exact", NULL);
	assert_failure(422, "Invalid",
		       "resourceVersionMatch is forbidden unless resourceVersion is provided");
}

static void test_expired_pages(void **state)
{
	struct server *s = *state;
	char *target;
	make_many(s, 3);
	const struct json *j = ask(s, "GET", WIDGETS "?limit=1", NULL);
	target = xasprintf(WIDGETS "?limit=1&continue=%s", text_of(j, "metadata.continue"));
	/* Past the age of the log. */
	loop_run_until(s->loop, loop_now(s->loop) + USEC_PER_HOUR);
	make_widget(s, "later", "", "");
	make_widget(s, "last", "", "");
	loop_run_until(s->loop, loop_now(s->loop) + USEC_PER_HOUR);
	ask(s, "GET", target, NULL);
	free(target);
	assert_failure(410, "Expired", "The provided continue parameter is too old");
	target = xasprintf(WIDGETS "?continue=%s", text_of(last.json, "metadata.continue"));
	j = ask(s, "GET", target, NULL);
	free(target);
	assert_status(200);
	assert_int_equal(items(j), 2); /* the new ones stand before */
	ask(s, "GET", WIDGETS "?resourceVersion=2&resourceVersionMatch=Exact", NULL);
	assert_failure(410, "Expired", "too old");
}

static void test_tables(void **state)
{
	struct server *s = *state;
	make_widget(s, "w", "", "");
	ask(s, "PATCH", WIDGETS "/w/status",
	    "{'status':{'conditions':[{'type':'Other','status':'No'},{'type':'Ready','status':'True'}]}}");
	loop_run_until(s->loop, loop_now(s->loop) + 90 * USEC_PER_SEC);
	const struct json *j = ask_as(s, "GET", WIDGETS, "", table_accept, NULL);
	assert_text(j, "kind", "Table");
	assert_text(j, "apiVersion", "meta.k8s.io/v1");
	const struct json *columns = json_get(j, "columnDefinitions");
	assert_int_equal(json_count(columns), 5);
	assert_text(json_at(columns, 0), "name", "Name");
	assert_text(json_at(columns, 0), "format", "name");
	assert_int_equal(json_get_int(json_at(columns, 2), "priority", 0), 1);
	const struct json *row = json_at(json_get(j, "rows"), 0), *cells = json_get(row, "cells");
	assert_string_equal(json_string(json_at(cells, 0)), "w");
	assert_string_equal(json_string(json_at(cells, 1)), "red");
	int64_t size;
	assert_true(json_int(json_at(cells, 2), &size) && size == 5);
	assert_string_equal(json_string(json_at(cells, 3)), "True");
	assert_string_equal(json_string(json_at(cells, 4)), "90s");
	assert_text(row, "object.kind", "PartialObjectMetadata");
	j = ask_as(s, "GET", WIDGETS "/w?includeObject=Object", "", table_accept, NULL);
	assert_text(json_at(json_get(j, "rows"), 0), "object.kind", "Widget");
	j = ask_as(s, "GET", WIDGETS "?includeObject=None", "", table_accept, NULL);
	assert_true(json_is_null(json_get(json_at(json_get(j, "rows"), 0), "object")));
	ask_as(s, "GET", WIDGETS "?includeObject=Odd", "", table_accept, NULL);
	assert_failure(400, "BadRequest", "includeObject");
	/* A condition that is not there leaves the cell empty. */
	make_widget(s, "x", "", "");
	j = ask_as(s, "GET", WIDGETS "/x", "", table_accept, NULL);
	assert_true(json_is_null(json_at(json_get(json_at(json_get(j, "rows"), 0), "cells"), 3)));
	/* Errors stay plain Status. */
	ask_as(s, "GET", WIDGETS "/none", "", table_accept, NULL);
	assert_failure(404, "NotFound", "");
}

static void test_built_in_tables(void **state)
{
	struct server *s = *state;
	ask(s, "POST", SECRETS, "{'metadata':{'name':'a'},'data':{'x':'eA==','y':'eQ=='}}");
	const struct json *j = ask_as(s, "GET", SECRETS, "", table_accept, NULL);
	const struct json *cells = json_get(json_at(json_get(j, "rows"), 0), "cells");
	assert_string_equal(json_string(json_at(cells, 1)), "Opaque");
	assert_string_equal(json_number_text(json_at(cells, 2)), "2");
	j = ask_as(s, "GET", NAMESPACES "/default", "", table_accept, NULL);
	cells = json_get(json_at(json_get(j, "rows"), 0), "cells");
	assert_string_equal(json_string(json_at(cells, 1)), "Active");
	j = ask_as(s, "GET", CRDS, "", table_accept, NULL);
	cells = json_get(json_at(json_get(j, "rows"), 0), "cells");
	assert_string_equal(json_string(json_at(cells, 1)), "2026-01-02T03:04:05Z");
	j = ask_as(s, "GET", "/apis/coordination.k8s.io/v1/leases", "", table_accept, NULL);
	assert_int_equal(json_count(json_get(j, "columnDefinitions")), 3);
}

static const struct json *named(const struct json *list, const char *key, const char *name)
{
	json_for_each(item, list)
		if (streq(json_get_string(item, key), name))
			return item;
	return NULL;
}

static void test_discovery(void **state)
{
	struct server *s = *state;
	const struct json *j = ask(s, "GET", "/api", NULL);
	assert_text(j, "kind", "APIVersions");
	j = ask(s, "GET", "/api/v1", NULL);
	assert_text(j, "kind", "APIResourceList");
	assert_text(j, "groupVersion", "v1");
	const struct json *r = named(json_get(j, "resources"), "name", "secrets");
	assert_text(r, "kind", "Secret");
	assert_true(json_get_bool(r, "namespaced", false));
	assert_int_equal(json_count(json_get(r, "verbs")), 8);
	assert_non_null(named(json_get(j, "resources"), "name", "namespaces/status"));
	j = ask(s, "GET", "/apis", NULL);
	const struct json *group = named(json_get(j, "groups"), "name", "test.ingot.dev");
	assert_text(group, "preferredVersion.groupVersion", "test.ingot.dev/v1");
	j = ask(s, "GET", "/apis/test.ingot.dev", NULL);
	assert_text(j, "kind", "APIGroup");
	j = ask(s, "GET", "/apis/test.ingot.dev/v1", NULL);
	r = named(json_get(j, "resources"), "name", "widgets");
	assert_string_equal(json_string(json_at(json_get(r, "shortNames"), 0)), "wd");
	assert_string_equal(json_string(json_at(json_get(r, "categories"), 0)), "all");
	assert_non_null(named(json_get(j, "resources"), "name", "widgets/status"));
	ask(s, "GET", "/apis/test.ingot.dev/v9", NULL);
	assert_status(404);
	j = ask(s, "GET", "/version", NULL);
	assert_text(j, "major", "1");
	assert_text(j, "minor", "32");
	ask(s, "GET", "/healthz", NULL);
	assert_string_equal(last.body.data, "ok");
	ask(s, "GET", "/readyz", NULL);
	assert_status(200);
	ask(s, "GET", "/", NULL);
	assert_status(200);
	static const char *const changes[] = { "DELETE", "PUT", "POST", "PATCH" };
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		ask(s, changes[i], "/", "{}");
		assert_true(last.status == 404 || last.status == 405);
	}
	ask(s, "GET", "/metrics", NULL);
	assert_status(404);
}

static void test_aggregated_discovery(void **state)
{
	struct server *s = *state;
	static const char accept[] =
		"application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
	const struct json *j = ask_as(s, "GET", "/apis", "", accept, NULL);
	assert_string_equal(last.content_type,
			    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
	assert_text(j, "kind", "APIGroupDiscoveryList");
	const struct json *found = NULL;
	json_for_each(item, json_get(j, "items"))
		if (streq(text_of(item, "metadata.name"), "test.ingot.dev"))
			found = json_at(json_get(item, "versions"), 0);
	assert_text(found, "version", "v1");
	const struct json *r = json_at(json_get(found, "resources"), 0);
	assert_text(r, "resource", "widgets");
	assert_text(r, "scope", "Namespaced");
	assert_text(r, "responseKind.kind", "Widget");
	assert_text(json_at(json_get(r, "subresources"), 0), "subresource", "status");
	j = ask_as(s, "GET", "/api", "", accept, NULL);
	assert_int_equal(json_count(json_get(j, "items")), 1);
	j = ask_as(s, "GET", "/api", "",
		   "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
		   NULL);
	assert_text(j, "apiVersion", "apidiscovery.k8s.io/v2beta1");
}

static void test_openapi(void **state)
{
	struct server *s = *state;
	const struct json *j = ask(s, "GET", "/openapi/v3", NULL);
	const struct json *url = json_get(json_get(json_get(j, "paths"), "apis/test.ingot.dev/v1"),
					  "serverRelativeURL");
	assert_memory_equal(json_string(url), "/openapi/v3/apis/test.ingot.dev/v1?hash=", 40);
	assert_non_null(json_get(json_get(j, "paths"), "api/v1"));
	j = ask(s, "GET", "/openapi/v3/apis/test.ingot.dev/v1", NULL);
	const struct json *schemas = json_get_path(j, "components.schemas");
	const struct json *widget = json_get(schemas, "dev.ingot.test.v1.Widget");
	assert_text(widget, "properties.spec.description", "What is wanted.");
	assert_text(json_at(json_get(widget, "x-kubernetes-group-version-kind"), 0), "kind",
		    "Widget");
	assert_non_null(json_get(schemas, "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"));
	const struct json *path = json_get(
		json_get(j, "paths"),
		"/apis/test.ingot.dev/v1/namespaces/{namespace}/widgets/{name}");
	const struct json *patch = json_get(path, "patch");
	assert_non_null(named(json_get(patch, "parameters"), "name", "fieldValidation"));
	assert_text(json_get(patch, "x-kubernetes-group-version-kind"), "kind", "Widget");
	assert_null(json_get(json_get_path(patch, "requestBody.content"),
			     "application/strategic-merge-patch+json"));
	j = ask(s, "GET", "/openapi/v3/api/v1?hash=1", NULL);
	assert_text(json_get(json_get_path(j, "components.schemas"), "io.k8s.api.core.v1.Secret"),
		    "type", "object");
	ask(s, "GET", "/openapi/v3/apis/none/v1", NULL);
	assert_status(404);
	j = ask(s, "GET", "/openapi/v2", NULL);
	assert_text(j, "swagger", "2.0");
	assert_non_null(json_get(json_get(j, "definitions"), "dev.ingot.test.v1.Widget"));
	assert_null(strstr(last.body.data, "#/components/"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		server_test(test_get),
		server_test(test_lists),
		server_test(test_label_selectors),
		server_test(test_field_selectors),
		server_test(test_pages),
		server_test(test_versions_of_lists),
		server_test(test_expired_pages),
		server_test(test_tables),
		server_test(test_built_in_tables),
		server_test(test_discovery),
		server_test(test_aggregated_discovery),
		server_test(test_openapi),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
