/* Discovery: what a client asks before anything else. Both forms: the old one, a document for each
 * group and version, and the aggregated one (apidiscovery.k8s.io), which kubectl prefers. Also the
 * paths that say who and how well the server is. */

#include <string.h>

#include "apiserver/internal.h"
#include "base/mem.h"

/* The Kubernetes release whose behaviour this server follows: clients look at it. */
#define MAJOR	    "1"
#define MINOR	    "32"
#define GIT_VERSION "v1.32.0+ingot"

/* True for the first resource of each version; the registry is small. */
static bool each_version_first(const struct apiserver *s, const struct resource *r)
{
	list_for_each(l, &s->registry.resources) {
		const struct resource *o = list_entry(l, struct resource, link);
		if (o == r)
			return true;
		if (streq(o->api_version, r->api_version))
			return false;
	}
	return false;
}

static bool each_group_first(const struct apiserver *s, const struct resource *r)
{
	list_for_each(l, &s->registry.resources) {
		const struct resource *o = list_entry(l, struct resource, link);
		if (o == r)
			return true;
		if (streq(o->group, r->group))
			return false;
	}
	return false;
}

static struct json *document(const char *kind, const char *api_version)
{
	struct json *j = json_new_object();
	json_set_string(j, "kind", kind);
	json_set_string(j, "apiVersion", api_version);
	return j;
}

static int answer_document(struct answer *out, struct json *j)
{
	answer_json(out, 200, j);
	json_free(j);
	return 1;
}

/* --- verbs --- */

static const char *const main_verbs[] = { "create", "delete", "deletecollection", "get",
					  "list",   "patch",  "update",		  "watch" };
static const char *const status_verbs[] = { "get", "patch", "update" };

static struct json *verbs(const char *const *list, size_t count)
{
	struct json *j = json_new_array();
	for (size_t i = 0; i < count; i++)
		json_append(j, json_new_string(list[i]));
	return j;
}

/* Namespaces are not deleted by the dozen. */
static struct json *main_verbs_of(const struct resource *r)
{
	struct json *list = verbs(main_verbs, ARRAY_SIZE(main_verbs));
	for (size_t i = json_count(list); i-- > 0 && resource_is(r, RESOURCE_FINALIZE);)
		if (streq(json_string(json_at(list, i)), "deletecollection"))
			json_free(json_take_at(list, i));
	return list;
}

static void set_list(struct json *j, const char *key, const struct json *list)
{
	if (json_count(list) > 0)
		json_set(j, key, json_dup(list));
}

/* --- the old form --- */

static void add_resource(struct json *list, const struct resource *r)
{
	struct json *j = json_append(list, json_new_object());
	json_set_string(j, "name", r->plural);
	json_set_string(j, "singularName", r->singular);
	json_set_bool(j, "namespaced", resource_is(r, RESOURCE_NAMESPACED));
	json_set_string(j, "kind", r->kind);
	json_set(j, "verbs", main_verbs_of(r));
	set_list(j, "shortNames", r->short_names);
	set_list(j, "categories", r->categories);
}

static void add_subresource(struct json *list, const struct resource *r, const char *name)
{
	struct json *j = json_append(list, json_new_object());
	_cleanup_(freep) char *full = xasprintf("%s/%s", r->plural, name);
	bool readable = streq(name, "status");
	json_set_string(j, "name", full);
	json_set_string(j, "singularName", "");
	json_set_bool(j, "namespaced", resource_is(r, RESOURCE_NAMESPACED));
	json_set_string(j, "kind", r->kind);
	json_set(j, "verbs", verbs(readable ? status_verbs : status_verbs + 2, readable ? 3 : 1));
}

/* Of a kind of its own, which is not listed anywhere. */
static void add_scale(struct json *list, const struct resource *r)
{
	struct json *j = json_append(list, json_new_object());
	_cleanup_(freep) char *full = xasprintf("%s/scale", r->plural);
	json_set_string(j, "name", full);
	json_set_string(j, "singularName", "");
	json_set_bool(j, "namespaced", resource_is(r, RESOURCE_NAMESPACED));
	json_set_string(j, "group", "autoscaling");
	json_set_string(j, "version", "v1");
	json_set_string(j, "kind", "Scale");
	json_set(j, "verbs", verbs(status_verbs, ARRAY_SIZE(status_verbs)));
}

static int resource_list(struct apiserver *s, struct answer *out, const char *group_version)
{
	struct json *j = document("APIResourceList", "v1"), *list = NULL;
	json_set_string(j, "groupVersion", group_version);
	json_set(j, "resources", json_new_array());
	list_for_each(l, &s->registry.resources) {
		const struct resource *r = list_entry(l, struct resource, link);
		if (!streq(r->api_version, group_version))
			continue;
		list = json_get_mut(j, "resources");
		add_resource(list, r);
		if (resource_is(r, RESOURCE_STATUS))
			add_subresource(list, r, "status");
		if (resource_is(r, RESOURCE_SCALE))
			add_scale(list, r);
		if (resource_is(r, RESOURCE_FINALIZE))
			add_subresource(list, r, "finalize");
	}
	if (list)
		return answer_document(out, j);
	json_free(j);
	return 0;
}

static struct json *version_entry(const struct resource *r)
{
	struct json *v = json_new_object();
	json_set_string(v, "groupVersion", r->api_version);
	json_set_string(v, "version", r->version);
	return v;
}

static struct json *group_entry(const struct apiserver *s, const char *group)
{
	struct json *j = json_new_object();
	json_set_string(j, "name", group);
	json_set(j, "versions", json_new_array());
	list_for_each(l, &s->registry.resources) {
		const struct resource *r = list_entry(l, struct resource, link);
		if (!streq(r->group, group) || !each_version_first(s, r))
			continue;
		json_append(json_get_mut(j, "versions"), version_entry(r));
		if (!json_get(j, "preferredVersion") ||
		    streq(r->api_version, r->storage_api_version))
			json_set(j, "preferredVersion", version_entry(r));
	}
	return j;
}

static int group_list(struct apiserver *s, struct answer *out)
{
	struct json *j = document("APIGroupList", "v1");
	struct json *groups = json_set(j, "groups", json_new_array());
	list_for_each(l, &s->registry.resources) {
		const struct resource *r = list_entry(l, struct resource, link);
		if (*r->group && each_group_first(s, r))
			json_append(groups, group_entry(s, r->group));
	}
	return answer_document(out, j);
}

static int one_group(struct apiserver *s, struct answer *out, const char *group)
{
	struct json *j = group_entry(s, group);
	json_set_string(j, "kind", "APIGroup");
	json_set_string(j, "apiVersion", "v1");
	if (json_get(j, "preferredVersion"))
		return answer_document(out, j);
	json_free(j);
	return 0;
}

/* The core group has no name, and so a list of its own. */
static int core_versions(struct answer *out)
{
	struct json *j = document("APIVersions", "v1");
	json_append(json_set(j, "versions", json_new_array()), json_new_string("v1"));
	json_set(j, "serverAddressByClientCIDRs", json_new_array());
	return answer_document(out, j);
}

/* --- the aggregated form --- */

static struct json *response_kind(const struct resource *r)
{
	struct json *j = json_new_object();
	json_set_string(j, "group", r->group);
	json_set_string(j, "version", r->version);
	json_set_string(j, "kind", r->kind);
	return j;
}

static void aggregate_subresource(struct json *list, const struct resource *r, const char *name)
{
	struct json *j = json_append(list, json_new_object());
	bool readable = streq(name, "status");
	json_set_string(j, "subresource", name);
	json_set(j, "responseKind", response_kind(r));
	json_set(j, "verbs", verbs(readable ? status_verbs : status_verbs + 2, readable ? 3 : 1));
}

static void aggregate_scale(struct json *list)
{
	struct json *j = json_append(list, json_new_object());
	json_set_string(j, "subresource", "scale");
	struct json *kind = json_make_object(j, "responseKind");
	json_set_string(kind, "group", "autoscaling");
	json_set_string(kind, "version", "v1");
	json_set_string(kind, "kind", "Scale");
	json_set(j, "verbs", verbs(status_verbs, ARRAY_SIZE(status_verbs)));
}

static struct json *aggregate_resource(const struct resource *r)
{
	struct json *j = json_new_object();
	json_set_string(j, "resource", r->plural);
	json_set(j, "responseKind", response_kind(r));
	json_set_string(j, "scope", resource_is(r, RESOURCE_NAMESPACED) ? "Namespaced" : "Cluster");
	json_set_string(j, "singularResource", r->singular);
	json_set(j, "verbs", main_verbs_of(r));
	set_list(j, "shortNames", r->short_names);
	set_list(j, "categories", r->categories);
	struct json *subresources = json_new_array();
	if (resource_is(r, RESOURCE_STATUS))
		aggregate_subresource(subresources, r, "status");
	if (resource_is(r, RESOURCE_SCALE))
		aggregate_scale(subresources);
	if (resource_is(r, RESOURCE_FINALIZE))
		aggregate_subresource(subresources, r, "finalize");
	set_list(j, "subresources", subresources);
	json_free(subresources);
	return j;
}

/* "Current": nothing here is relayed from elsewhere. */
static struct json *aggregate_version(const struct apiserver *s, const char *api_version,
				      const char *version)
{
	struct json *j = json_new_object();
	json_set_string(j, "version", version);
	struct json *resources = json_set(j, "resources", json_new_array());
	list_for_each(l, &s->registry.resources) {
		const struct resource *r = list_entry(l, struct resource, link);
		if (streq(r->api_version, api_version))
			json_append(resources, aggregate_resource(r));
	}
	json_set_string(j, "freshness", "Current");
	return j;
}

static struct json *aggregate_group(const struct apiserver *s, const char *group)
{
	struct json *j = json_new_object();
	struct json *meta = json_make_object(j, "metadata");
	if (*group)
		json_set_string(meta, "name", group);
	json_set(meta, "creationTimestamp", json_new_null());
	struct json *versions = json_set(j, "versions", json_new_array());
	list_for_each(l, &s->registry.resources) {
		const struct resource *r = list_entry(l, struct resource, link);
		if (!streq(r->group, group) || !each_version_first(s, r))
			continue;
		struct json *version = aggregate_version(s, r->api_version, r->version);
		/* The preferred version comes first. */
		json_insert(versions,
			    streq(r->api_version, r->storage_api_version) ? 0
									  : json_count(versions),
			    version);
	}
	return j;
}

/* The content type must say which document it is, or clients take it for the old one. */
static int aggregated(struct apiserver *s, const struct request *in, struct answer *out, bool core)
{
	bool beta = in->form == FORM_DISCOVERY_BETA;
	struct json *j = document("APIGroupDiscoveryList",
				  beta ? "apidiscovery.k8s.io/v2beta1" : "apidiscovery.k8s.io/v2");
	json_make_object(j, "metadata");
	struct json *items = json_set(j, "items", json_new_array());
	list_for_each(l, &s->registry.resources) {
		const struct resource *r = list_entry(l, struct resource, link);
		if ((*r->group == '\0') == core && each_group_first(s, r))
			json_append(items, aggregate_group(s, r->group));
	}
	answer_document(out, j);
	out->content_type =
		beta ? "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
		     : "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
	return 1;
}

/* --- other documents --- */

static int version_document(struct answer *out)
{
	struct json *j = json_new_object();
	json_set_string(j, "major", MAJOR);
	json_set_string(j, "minor", MINOR);
	json_set_string(j, "gitVersion", GIT_VERSION);
	json_set_string(j, "gitCommit", INGOT_VERSION);
	json_set_string(j, "gitTreeState", "clean");
	json_set_string(j, "buildDate", "1970-01-01T00:00:00Z");
	json_set_string(j, "goVersion", "none");
	json_set_string(j, "compiler", "gcc");
	json_set_string(j, "platform", "linux/amd64");
	return answer_document(out, j);
}

static int root_paths(struct answer *out)
{
	static const char *const paths[] = { "/api",	    "/api/v1", "/apis",
					     "/healthz",    "/livez",  "/openapi/v2",
					     "/openapi/v3", "/readyz", "/version" };
	struct json *j = json_new_object();
	struct json *list = json_set(j, "paths", json_new_array());
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		json_append(list, json_new_string(paths[i]));
	return answer_document(out, j);
}

/* Whoever gets an answer has reached the loop that does the work. */
static bool is_health(const char *path)
{
	static const char *const paths[] = { "/healthz", "/livez", "/readyz" };
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		if (streq(path, paths[i]))
			return true;
	return false;
}

static int under_apis(struct apiserver *s, struct answer *out, const char *rest)
{
	size_t len = strlen(rest);
	_cleanup_(freep) char *name = xstrndup(rest,
					       len > 0 && rest[len - 1] == '/' ? len - 1 : len);
	return strchr(name, '/') ? resource_list(s, out, name) : one_group(s, out, name);
}

int discovery_handle(struct apiserver *s, const struct request *in, struct answer *out,
		     const char *path)
{
	bool wants_all = in->form == FORM_DISCOVERY || in->form == FORM_DISCOVERY_BETA;
	if (is_health(path)) {
		answer_text(out, 200, "ok");
		return 1;
	}
	if (streq(path, "/"))
		return root_paths(out);
	if (streq(path, "/version") || streq(path, "/version/"))
		return version_document(out);
	if (streq(path, "/api") || streq(path, "/api/"))
		return wants_all ? aggregated(s, in, out, true) : core_versions(out);
	if (streq(path, "/apis") || streq(path, "/apis/"))
		return wants_all ? aggregated(s, in, out, false) : group_list(s, out);
	if (streq(path, "/api/v1") || streq(path, "/api/v1/"))
		return resource_list(s, out, "v1");
	return str_has_prefix(path, "/apis/") ? under_apis(s, out, path + strlen("/apis/")) : 0;
}
