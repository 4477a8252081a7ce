/* Roles: which request each may make, in whatever form its path comes, and what the reviews of
 * oneself say about it. */

#include "harness.h"

#include "apiserver/roles.h"

static const char viewer[] = "staff\ningot:viewer", admin[] = "system:masters", nobody[] = "staff";

static void act_as(const char *groups)
{
	asking_groups = groups;
}

static int reset(void **state)
{
	act_as(admin);
	return server_tear_down(state);
}

#define HOST_BODY "{'metadata':{'name':'a'},'spec':{'size':1}}"

/* 0: whatever it is, it is not 403. */
static void test_what_a_viewer_may(void **state)
{
	static const struct {
		const char *method, *target;
		bool may;
	} rows[] = {
		{ "GET", WIDGETS, true },
		{ "GET", WIDGETS "/a", true },
		{ "HEAD", WIDGETS "/a", true },
		{ "GET", WIDGETS "/a/status", true },
		{ "GET", "/apis/test.ingot.dev/v1/widgets", true },
		{ "GET", CONFIGS, true },
		{ "GET", NAMESPACES, true },
		{ "GET", NAMESPACES "/default", true },
		{ "GET", NAMESPACES "/default/status", true },
		{ "GET", CRDS, true },
		{ "GET", "/api/v1/events", true },
		{ "GET", "/version", true },
		{ "GET", "/openapi/v2", true },
		{ "GET", "/apis/test.ingot.dev/v1", true },
		{ "GET", "/readyz", true },
		{ "GET", SECRETS, false },
		{ "GET", SECRETS "/a", false },
		{ "HEAD", SECRETS "/a", false },
		{ "GET", SECRETS "?watch=1", false },
		{ "GET", "/api/v1/secrets", false },
		{ "GET", "/api/v1/%73ecrets", false },
		{ "GET", "/api/v1/namespaces/default/s%65crets/a", false },
		{ "GET", "/%61pi/v1/secrets", false },
		{ "GET", "/api/v1/secrets/", false },
		{ "GET", "/metrics", false },
		{ "POST", WIDGETS, false },
		{ "POST", WIDGETS "?dryRun=All", false },
		{ "PUT", WIDGETS "/a", false },
		{ "PATCH", WIDGETS "/a", false },
		{ "PATCH", WIDGETS "/a/status", false },
		{ "DELETE", WIDGETS "/a", false },
		{ "DELETE", WIDGETS "/a?dryRun=All", false },
		{ "DELETE", WIDGETS, false },
		{ "POST", NAMESPACES, false },
		{ "PUT", NAMESPACES "/default/finalize", false },
		{ "POST", CRDS, false },
		{ "POST", "/apis/nonsense/v1/things", false },
		{ "TRACE", WIDGETS, false },
	};
	struct server *s = *state;
	make_widget(s, "a", "", "");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		act_as(viewer);
		ask(s, rows[i].method, rows[i].target,
		    streq(rows[i].method, "GET") ? "" : HOST_BODY);
		if ((last.status == 403) == rows[i].may)
			fail_msg("%s %s: %d", rows[i].method, rows[i].target, last.status);
		if (!rows[i].may) /* nothing but the refusal leaves */
			assert_text(last.json, "reason", "Forbidden");
		act_as(admin);
		ask(s, "GET", WIDGETS "/a", "");
		assert_int_equal(number_at(last.json, "spec.size"), 5);
	}
}

static void test_without_a_role(void **state)
{
	static const char *const groups[] = {
		nobody,		  "", NULL, "ingot:viewers", "system:master", "xsystem:masters",
		"system:masters2"
	};
	struct server *s = *state;
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		act_as(groups[i]);
		ask(s, "GET", WIDGETS, "");
		assert_status(403);
		ask(s, "POST", WIDGETS, HOST_BODY);
		assert_status(403);
		ask(s, "GET", "/version", "");
		assert_status(200);
	}
}

/* The words of k8s.io/apiserver, and details by which clients decide. */
static void test_refusals(void **state)
{
	static const struct {
		const char *method, *target, *message, *name, *group, *kind;
	} rows[] = {
		{ "DELETE", WIDGETS "/a",
		  "widgets.test.ingot.dev \"a\" is forbidden: User \"test\" cannot delete resource "
		  "\"widgets\" in API group \"test.ingot.dev\" in the namespace \"default\"",
		  "a", "test.ingot.dev", "widgets" },
		{ "POST", WIDGETS,
		  "widgets.test.ingot.dev is forbidden: User \"test\" cannot create resource "
		  "\"widgets\" in API group \"test.ingot.dev\" in the namespace \"default\"",
		  "", "test.ingot.dev", "widgets" },
		{ "GET", "/api/v1/secrets",
		  "secrets is forbidden: User \"test\" cannot list resource \"secrets\" in API "
		  "group \"\" at the cluster scope",
		  "", "", "secrets" },
		{ "GET", SECRETS "?watch=true",
		  "secrets is forbidden: User \"test\" cannot watch resource \"secrets\" in API "
		  "group \"\" in the namespace \"default\"",
		  "", "", "secrets" },
		{ "DELETE", SECRETS,
		  "secrets is forbidden: User \"test\" cannot deletecollection resource "
		  "\"secrets\" in API group \"\" in the namespace \"default\"",
		  "", "", "secrets" },
		{ "PATCH", WIDGETS "/a/status",
		  "widgets.test.ingot.dev \"a\" is forbidden: User \"test\" cannot patch resource "
		  "\"widgets/status\" in API group \"test.ingot.dev\" in the namespace \"default\"",
		  "a", "test.ingot.dev", "widgets" },
		{ "PUT", NAMESPACES "/x",
		  "namespaces \"x\" is forbidden: User \"test\" cannot update resource "
		  "\"namespaces\" in API group \"\" in the namespace \"x\"",
		  "x", "", "namespaces" },
		{ "GET", "/metrics", "forbidden: User \"test\" cannot get path \"/metrics\"", "",
		  "", "" },
	};
	struct server *s = *state;
	act_as(viewer);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ask(s, rows[i].method, rows[i].target, "");
		assert_failure(403, "Forbidden", "");
		assert_text(last.json, "message", rows[i].message);
		assert_text(last.json, "details.name", rows[i].name);
		assert_text(last.json, "details.group", rows[i].group);
		assert_text(last.json, "details.kind", rows[i].kind);
	}
}

/* --- reviews of oneself ----------------------------------------------------------------------- */

#define ACCESS_REVIEWS "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
#define RULES_REVIEWS  "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"

static bool can_i(struct server *s, const char *attributes)
{
	_cleanup_(freep) char *body = xasprintf("{'spec':{%s}}", attributes);
	ask(s, "POST", ACCESS_REVIEWS, body);
	assert_status(201);
	bool allowed = false;
	json_bool(json_get_path(last.json, "status.allowed"), &allowed);
	return allowed;
}

#define RESOURCE(verb, group, resource)                                                            \
	"'resourceAttributes':{'verb':'" verb "','group':'" group "','resource':'" resource "'}"
#define PATH(verb, path) "'nonResourceAttributes':{'verb':'" verb "','path':'" path "'}"

static void test_what_may_i(void **state)
{
	static const struct {
		const char *attributes;
		bool viewer, nobody;
	} rows[] = {
		{ RESOURCE("get", "metal3.io", "baremetalhosts"), true, false },
		{ RESOURCE("watch", "", "configmaps"), true, false },
		{ RESOURCE("list", "", "secrets"), false, false },
		{ RESOURCE("get", "*", "secrets"), false, false },
		{ RESOURCE("get", "", "*"), false, false },
		{ RESOURCE("get", "*", "*"), false, false },
		{ RESOURCE("*", "*", "*"), false, false },
		{ RESOURCE("*", "metal3.io", "baremetalhosts"), false, false },
		{ RESOURCE("create", "metal3.io", "baremetalhosts"), false, false },
		{ RESOURCE("", "metal3.io", "baremetalhosts"), false, false },
		{ RESOURCE("create", "authorization.k8s.io", "selfsubjectaccessreviews"), true,
		  true },
		{ PATH("get", "/version"), true, true },
		{ PATH("get", "/apis/metal3.io"), true, true },
		{ PATH("post", "/version"), false, false },
		{ PATH("get", "/metrics"), false, false },
		{ PATH("get", "*"), false, false },
	};
	struct server *s = *state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		act_as(viewer);
		if (can_i(s, rows[i].attributes) != rows[i].viewer)
			fail_msg("viewer: %s", rows[i].attributes);
		act_as(nobody);
		if (can_i(s, rows[i].attributes) != rows[i].nobody)
			fail_msg("nobody: %s", rows[i].attributes);
		act_as(admin);
		assert_true(can_i(s, rows[i].attributes));
	}
	ask(s, "POST", ACCESS_REVIEWS, "{'spec':{}}");
	assert_failure(422, "Invalid", "exactly one of");
	ask(s, "POST", ACCESS_REVIEWS,
	    "{'spec':{" PATH("get", "/") "," RESOURCE("get", "", "x") "}}");
	assert_failure(422, "Invalid", "in combination with");
}

static bool holds(const struct json *list, const char *word)
{
	json_for_each(item, list)
		if (streq(json_string(item), word))
			return true;
	return false;
}

/* By the rules as RBAC reads them. */
static bool rules_allow(const char *verb, const char *group, const char *resource)
{
	json_for_each(rule, json_get_path(last.json, "status.resourceRules")) {
		const struct json *verbs = json_get(rule, "verbs");
		const struct json *groups = json_get(rule, "apiGroups");
		const struct json *resources = json_get(rule, "resources");
		if ((holds(verbs, verb) || holds(verbs, "*")) &&
		    (holds(groups, group) || holds(groups, "*")) &&
		    (holds(resources, resource) || holds(resources, "*")))
			return true;
	}
	return false;
}

/* Each kind that is served, read and written. */
static void test_rules_say_the_same(void **state)
{
	static const char *const all[] = { admin, viewer, nobody };
	static const struct {
		const char *group, *resource;
	} kinds[] = { { "", "secrets" },
		      { "", "configmaps" },
		      { "", "namespaces" },
		      { "", "events" },
		      { "apiextensions.k8s.io", "customresourcedefinitions" },
		      { "coordination.k8s.io", "leases" },
		      { "test.ingot.dev", "widgets" } };
	static const char *const verbs[] = { "get", "list", "watch", "create", "delete", "patch" };
	struct server *s = *state;
	for (size_t g = 0; g < ARRAY_SIZE(all); g++) {
		act_as(all[g]);
		ask(s, "POST", RULES_REVIEWS, "{'spec':{'namespace':'default'}}");
		assert_status(201);
		for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
			for (size_t v = 0; v < ARRAY_SIZE(verbs); v++) {
				const char *reason;
				struct access a = { .verb = verbs[v],
						    .group = kinds[k].group,
						    .resource = kinds[k].resource,
						    .subresource = "",
						    .ns = "",
						    .name = "" };
				if (role_allows(all[g], &a, &reason) !=
				    rules_allow(a.verb, a.group, a.resource))
					fail_msg("%s: %s %s", all[g], a.verb, a.resource);
			}
	}
}

static void test_who_am_i(void **state)
{
	struct server *s = *state;
	act_as(viewer);
	ask(s, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", "{}");
	assert_status(201);
	assert_text(last.json, "status.userInfo.username", "test");
	const struct json *groups = json_get_path(last.json, "status.userInfo.groups");
	assert_int_equal(json_count(groups), 3);
	assert_true(holds(groups, "staff"));
	assert_true(holds(groups, "ingot:viewer"));
	assert_true(holds(groups, "system:authenticated"));
}

/* An administrator, too: what is not done must not look as if it were. */
static void test_impersonation(void **state)
{
	struct server *s = *state;
	static const struct {
		const char *path, *who, *text;
	} rows[] = {
		{ WIDGETS, "bob",
		  "cannot impersonate-on:user-info:list resource \"widgets\" in API group \"test.ingot.dev\" " },
		{ WIDGETS, "", "cannot impersonate-on:user-info:list resource " },
		{ WIDGETS, "system:node:a", "cannot impersonate-on:arbitrary-node:list resource " },
		{ WIDGETS, "system:serviceaccount:a:b",
		  "cannot impersonate-on:serviceaccount:list resource " },
		{ "/version", "bob", "cannot impersonate-on:user-info:get path \"/version\"" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct api_request request = { .method = "GET",
					       .path = rows[i].path,
					       .query = "",
					       .content_type = "",
					       .accept = "",
					       .user = "root",
					       .groups = admin,
					       .impersonate = rows[i].who,
					       .body = "" };
		answer_done(&last);
		apiserver_handle(s->api, &request, &test_front, &last);
		settle(s);
		assert_failure(403, "Forbidden", rows[i].text);
	}
}

#define access_test(f) cmocka_unit_test_setup_teardown(f, server_set_up, reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
		access_test(test_what_a_viewer_may),  access_test(test_without_a_role),
		access_test(test_refusals),	      access_test(test_what_may_i),
		access_test(test_rules_say_the_same), access_test(test_who_am_i),
		access_test(test_impersonation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
