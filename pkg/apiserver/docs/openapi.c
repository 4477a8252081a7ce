/* OpenAPI documents, made when asked for from the stored definitions and from the texts of the
 * built-in kinds: /openapi/v3 with a document for each group and version (kubectl explain, and
 * kubectl's question whether fieldValidation is understood), and /openapi/v2 for `kind: List`, of
 * which kubectl asks no other document, and for older tools. The latter in protobuf too, kind by
 * kind, so that there never is a tree of all of them. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/docs/openapi_protobuf.h"
#include "apiserver/internal.h"
#include "apiserver/kinds/builtin.h"
#include "base/mem.h"

#define META "io.k8s.apimachinery.pkg.apis.meta.v1."

enum version { V2, V3 };

/* --- schemas --- */

/* "io.metal3.v1alpha1.BareMetalHost": the group's labels from the right. */
static char *schema_name(const struct resource *r, const char *kind)
{
	struct strbuf name = { 0 };
	if (*r->group == '\0')
		strbuf_adds(&name, "io.k8s.api.core.");
	for (size_t end = strlen(r->group); end > 0;) {
		size_t begin = end;
		while (begin > 0 && r->group[begin - 1] != '.')
			begin--;
		strbuf_add(&name, r->group + begin, end - begin);
		strbuf_addc(&name, '.');
		end = begin > 0 ? begin - 1 : 0;
	}
	strbuf_addf(&name, "%s.%s", r->version, kind);
	return strbuf_take(&name, NULL);
}

static struct json *reference(enum version v, const char *name)
{
	struct json *j = json_new_object();
	_cleanup_(freep) char *path = xasprintf(
		"#/%s/%s", v == V3 ? "components/schemas" : "definitions", name);
	json_set_string(j, "$ref", path);
	return j;
}

static struct json *group_version_kind(const struct resource *r, const char *kind)
{
	struct json *j = json_new_object();
	json_set_string(j, "group", r->group);
	json_set_string(j, "kind", kind);
	json_set_string(j, "version", r->version);
	return j;
}

static void mark_kind(struct json *schema, const struct resource *r, const char *kind)
{
	json_append(json_set(schema, "x-kubernetes-group-version-kind", json_new_array()),
		    group_version_kind(r, kind));
}

/* The schema as its author wrote it. */
static struct json *source_of(struct apiserver *s, const struct resource *r)
{
	struct store_row row;
	if (r->source)
		return builtin_parse(r->source);
	struct store_key key = { "customresourcedefinitions.apiextensions.k8s.io", "", r->key };
	_cleanup_(json_freep) struct json *crd = NULL;
	if (store_get(s->store, &key, &row, NULL) <= 0 ||
	    json_parse(row.data, row.len, &crd, NULL) < 0)
		return json_new_object();
	return json_dup(json_get_path(crd_version(crd, r->version), "schema.openAPIV3Schema"));
}

/* In v2 references lead elsewhere; the shared texts are written for v3. */
static void move_reference(struct json *schema)
{
	const char *target = json_get_string(schema, "$ref");
	if (!str_has_prefix(str_or(target, ""), "#/components/schemas/"))
		return;
	_cleanup_(freep) char *moved = xasprintf("#/definitions/%s",
						 target + strlen("#/components/schemas/"));
	json_set_string(schema, "$ref", moved);
}

/* kubectl does not know that the server fills in what is absent before it looks for it. */
static void require_less(struct json *schema)
{
	struct json *required = json_get_mut(schema, "required");
	const struct json *properties = json_get(schema, "properties");
	for (struct json *item = json_first_mut(required); item;) {
		struct json *next = json_next_mut(item);
		const char *name = json_string(item);
		if (name && json_get(json_get(properties, name), "default"))
			json_remove_child(required, item);
		item = next;
	}
	if (required && json_count(required) == 0)
		json_remove(schema, "required");
}

/* What kubectl would misunderstand: it refuses members that are not listed, fails on arrays without
 * `items`, and knows no other of these words. */
static void loosen(struct json *schema)
{
	static const char *const unknown[] = { "oneOf", "anyOf", "not", "nullable" };
	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++)
		json_remove(schema, unknown[i]);
	if (json_get_bool(schema, "x-kubernetes-preserve-unknown-fields", false)) {
		json_remove(schema, "properties");
		json_remove(schema, "additionalProperties");
		json_remove(schema, "required");
	}
	if (streq(json_get_string(schema, "type"), "array") && !json_get(schema, "items"))
		json_remove(schema, "type");
	require_less(schema);
}

/* Not into `default` and the like, which are no schemas. */
static void make_v2(struct json *schema)
{
	static const char *const lists[] = { "properties", "allOf" };
	static const char *const single[] = { "items", "additionalProperties" };
	if (!json_is_object(schema))
		return;
	move_reference(schema);
	loosen(schema);
	for (size_t i = 0; i < ARRAY_SIZE(single); i++)
		make_v2(json_get_mut(schema, single[i]));
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		for (struct json *child = json_first_mut(json_get_mut(schema, lists[i])); child;
		     child = json_next_mut(child))
			make_v2(child);
}

static void set_described(struct json *properties, const char *key, struct json *value,
			  const char *description)
{
	json_set(properties, key, value);
	json_set_string(value, "description", description);
}

static struct json *kind_schema(struct apiserver *s, const struct resource *r, enum version v)
{
	struct json *schema = source_of(s, r);
	struct json *properties = json_make_object(schema, "properties");
	struct json *text = json_new_object();
	json_set_string(text, "type", "string");
	set_described(properties, "apiVersion", json_dup(text),
		      "Group and version of the schema of this object.");
	set_described(properties, "kind", text, "Kind of this object.");
	set_described(properties, "metadata", reference(v, META "ObjectMeta"),
		      "Name, labels and what else every object has.");
	mark_kind(schema, r, r->kind);
	if (v == V2)
		make_v2(schema);
	return schema;
}

static struct json *list_schema(const struct resource *r, enum version v)
{
	struct json *schema = json_new_object();
	_cleanup_(freep) char *item = schema_name(r, r->kind);
	_cleanup_(freep) char *text = xasprintf("A list of %s objects.", r->kind);
	json_set_string(schema, "description", text);
	json_set_string(schema, "type", "object");
	json_append(json_set(schema, "required", json_new_array()), json_new_string("items"));
	struct json *properties = json_make_object(schema, "properties");
	json_set_string(json_make_object(properties, "apiVersion"), "type", "string");
	json_set_string(json_make_object(properties, "kind"), "type", "string");
	json_set(properties, "metadata", reference(v, META "ListMeta"));
	struct json *items = json_make_object(properties, "items");
	json_set_string(items, "type", "array");
	json_set(items, "items", reference(v, item));
	mark_kind(schema, r, r->list_kind);
	return schema;
}

/* --- paths --- */

static void add_parameter(struct json *list, enum version v, const char *name, const char *in,
			  const char *type)
{
	struct json *p = json_append(list, json_new_object());
	json_set_string(p, "name", name);
	json_set_string(p, "in", in);
	if (streq(in, "path"))
		json_set_bool(p, "required", true);
	if (v == V3)
		json_set_string(json_make_object(p, "schema"), "type", type);
	else
		json_set_string(p, "type", type);
}

static const char *const list_parameters[] = { "allowWatchBookmarks",
					       "continue",
					       "fieldSelector",
					       "labelSelector",
					       "limit",
					       "resourceVersion",
					       "resourceVersionMatch",
					       "sendInitialEvents",
					       "timeoutSeconds",
					       "watch",
					       NULL };
static const char *const write_parameters[] = { "dryRun", "fieldManager", "fieldValidation", NULL };
static const char *const patch_parameters[] = { "dryRun", "fieldManager", "fieldValidation",
						"force", NULL };
static const char *const delete_parameters[] = { "dryRun", "gracePeriodSeconds", "orphanDependents",
						 "propagationPolicy", NULL };
static const char *const no_parameters[] = { NULL };

static const struct operation {
	const char *method, *action;
	const char *const *parameters;
	bool body;
} on_collection[] = {
	{ "get", "list", list_parameters, false },
	{ "post", "post", write_parameters, true },
	{ "delete", "deletecollection", delete_parameters, false },
}, on_item[] = {
	{ "get", "get", no_parameters, false },
	{ "put", "put", write_parameters, true },
	{ "patch", "patch", patch_parameters, true },
	{ "delete", "delete", delete_parameters, false },
}, on_status[] = {
	{ "get", "get", no_parameters, false },
	{ "put", "put", write_parameters, true },
	{ "patch", "patch", patch_parameters, true },
};

static void add_content(struct json *to, enum version v, const char *media, struct json *schema)
{
	if (v == V3)
		json_set(json_make_object(json_make_object(to, "content"), media), "schema",
			 schema);
	else
		json_set(to, "schema", schema);
}

static void add_body(struct json *operation, enum version v, const struct resource *r, bool patch)
{
	_cleanup_(freep) char *kind = schema_name(r, r->kind);
	static const char *const media[] = { "application/json-patch+json",
					     "application/merge-patch+json",
					     "application/apply-patch+yaml",
					     "application/strategic-merge-patch+json" };
	struct json *body = v == V3 ? json_make_object(operation, "requestBody")
				    : json_append(json_get_mut(operation, "parameters"),
						  json_new_object());
	if (v == V2) {
		json_set_string(body, "name", "body");
		json_set_string(body, "in", "body");
	}
	json_set_bool(body, "required", true);
	if (!patch) {
		add_content(body, v, json_type_text, reference(v, kind));
		return;
	}
	size_t count = resource_is(r, RESOURCE_CUSTOM) ? 3 : 4;
	for (size_t i = 0; i < count; i++)
		add_content(body, v, media[i], reference(v, META "Patch"));
}

/* kubectl asks the patch operation whether the server knows fieldValidation. */
static struct json *operation_document(const struct resource *r, const struct operation *op,
				       enum version v)
{
	struct json *j = json_new_object();
	bool list = streq(op->action, "list");
	_cleanup_(freep) char *answer = schema_name(r, list ? r->list_kind : r->kind);
	struct json *parameters = json_set(j, "parameters", json_new_array());
	for (const char *const *p = op->parameters; *p; p++)
		add_parameter(parameters, v, *p, "query", "string");
	if (op->body)
		add_body(j, v, r, streq(op->method, "patch"));
	struct json *ok = json_make_object(json_make_object(j, "responses"), "200");
	json_set_string(ok, "description", "OK");
	add_content(ok, v, json_type_text,
		    reference(v, str_has_prefix(op->method, "delete") ? META "Status" : answer));
	json_set_string(j, "x-kubernetes-action", op->action);
	json_set(j, "x-kubernetes-group-version-kind", group_version_kind(r, r->kind));
	return j;
}

static void add_path(struct json *paths, const struct resource *r, enum version v, bool scoped,
		     const char *tail, const struct operation *ops, size_t count)
{
	_cleanup_(freep) char *path = xasprintf(
		"/%s/%s/%s%s%s", *r->group ? "apis" : "api", r->api_version,
		scoped ? "namespaces/{namespace}/" : "", r->plural, tail);
	struct json *item = json_set(paths, path, json_new_object());
	for (size_t i = 0; i < count; i++)
		json_set(item, ops[i].method, operation_document(r, &ops[i], v));
	struct json *parameters = json_set(item, "parameters", json_new_array());
	if (*tail)
		add_parameter(parameters, v, "name", "path", "string");
	if (scoped)
		add_parameter(parameters, v, "namespace", "path", "string");
}

static void add_paths(struct json *paths, const struct resource *r, enum version v)
{
	bool scoped = resource_is(r, RESOURCE_NAMESPACED);
	if (scoped)
		add_path(paths, r, v, false, "", on_collection, 1);
	add_path(paths, r, v, scoped, "", on_collection, ARRAY_SIZE(on_collection));
	add_path(paths, r, v, scoped, "/{name}", on_item, ARRAY_SIZE(on_item));
	if (resource_is(r, RESOURCE_STATUS))
		add_path(paths, r, v, scoped, "/{name}/status", on_status, ARRAY_SIZE(on_status));
}

/* --- documents --- */

static struct json *info(void)
{
	struct json *j = json_new_object();
	json_set_string(j, "title", "Ingot");
	json_set_string(j, "version", "v1.32.0");
	return j;
}

static void add_kind(struct apiserver *s, const struct resource *r, enum version v,
		     struct json *paths, struct json *schemas)
{
	_cleanup_(freep) char *name = schema_name(r, r->kind);
	_cleanup_(freep) char *list = schema_name(r, r->list_kind);
	add_paths(paths, r, v);
	json_set(schemas, name, kind_schema(s, r, v));
	json_set(schemas, list, list_schema(r, v));
}

static void add_shared(enum version v, struct json *schemas)
{
	struct json *shared = builtin_parse(builtin_shared_schemas);
	while (json_count(shared) > 0) {
		_cleanup_(freep) char *name = xstrdup(json_key(json_first(shared)));
		struct json *schema = json_set(schemas, name, json_take(shared, name));
		if (v == V2)
			make_v2(schema);
	}
	json_free(shared);
}

/* api_version NULL: all. */
static void fill(struct apiserver *s, enum version v, const char *api_version, struct json *paths,
		 struct json *schemas)
{
	list_for_each(l, &s->registry.resources) {
		const struct resource *r = list_entry(l, struct resource, link);
		if (!api_version || streq(r->api_version, api_version))
			add_kind(s, r, v, paths, schemas);
	}
	add_shared(v, schemas);
}

static int document_v3(struct apiserver *s, struct answer *out, const char *api_version)
{
	_cleanup_(json_freep) struct json *j = json_new_object();
	json_set_string(j, "openapi", "3.0.0");
	json_set(j, "info", info());
	struct json *paths = json_make_object(j, "paths");
	struct json *schemas = json_make_object(json_make_object(j, "components"), "schemas");
	fill(s, V3, api_version, paths, schemas);
	if (json_count(paths) == 0)
		return 0;
	answer_json(out, 200, j);
	return 1;
}

static int document_v2(struct apiserver *s, struct answer *out)
{
	_cleanup_(json_freep) struct json *j = json_new_object();
	json_set_string(j, "swagger", "2.0");
	json_set(j, "info", info());
	struct json *paths = json_make_object(j, "paths");
	struct json *schemas = json_make_object(j, "definitions");
	fill(s, V2, NULL, paths, schemas);
	answer_json(out, 200, j);
	return 1;
}

/* Clients ask for "v2@v1.0", which is no media type by RFC 6838: Go's parser fails on an answer
 * that says so. Newer servers know, and answer with, the second. */
static const char *const protobuf_types[] = {
	"application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
	"application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
};

static bool is_protobuf_type(const char *s, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(protobuf_types); i++)
		if (len == strlen(protobuf_types[i]) && strncmp(s, protobuf_types[i], len) == 0)
			return true;
	return false;
}

/* Whether it stands before JSON; clients list types in order of preference. */
static bool prefers_protobuf(const char *accept)
{
	for (const char *p = accept + strspn(accept, ", \t"); *p; p += strspn(p, ", \t")) {
		if (is_protobuf_type(p, strcspn(p, ";, \t")))
			return true;
		if (str_has_prefix(p, json_type_text) || str_has_prefix(p, "*/*"))
			return false;
		p += strcspn(p, ",");
	}
	return false;
}

/* One kind's part of the document. */
static void append_kind(struct apiserver *s, struct answer *out, const struct resource *r)
{
	_cleanup_(json_freep) struct json *part = json_new_object();
	struct json *paths = json_make_object(part, "paths");
	add_kind(s, r, V2, paths, json_make_object(part, "definitions"));
	openapi_protobuf_add(part, &out->body);
}

static int document_v2_protobuf(struct apiserver *s, struct answer *out)
{
	_cleanup_(json_freep) struct json *frame = json_new_object();
	json_set_string(frame, "swagger", "2.0");
	json_set(frame, "info", info());
	add_shared(V2, json_make_object(frame, "definitions"));
	strbuf_clear(&out->body);
	openapi_protobuf_add(frame, &out->body);
	list_for_each(l, &s->registry.resources)
		append_kind(s, out, list_entry(l, struct resource, link));
	out->status = 200;
	out->content_type = protobuf_types[1];
	return 1;
}

/* Changes whenever a kind of the group and version does, so that clients may keep the document. */
static uint64_t version_hash(struct apiserver *s, const char *api_version)
{
	uint64_t hash = 14695981039346656037u;
	list_for_each(l, &s->registry.resources) {
		const struct resource *r = list_entry(l, struct resource, link);
		if (!streq(r->api_version, api_version))
			continue;
		for (const char *p = r->plural; *p; p++)
			hash = (hash ^ (unsigned char)*p) * 1099511628211u;
		hash = (hash ^ r->since) * 1099511628211u;
	}
	return hash;
}

static int index_v3(struct apiserver *s, struct answer *out)
{
	_cleanup_(json_freep) struct json *j = json_new_object();
	struct json *paths = json_make_object(j, "paths");
	list_for_each(l, &s->registry.resources) {
		const struct resource *r = list_entry(l, struct resource, link);
		_cleanup_(freep) char *key = xasprintf("%s/%s", *r->group ? "apis" : "api",
						       r->api_version);
		_cleanup_(freep) char *url = xasprintf("/openapi/v3/%s?hash=%016" PRIX64, key,
						       version_hash(s, r->api_version));
		json_set_string(json_make_object(paths, key), "serverRelativeURL", url);
	}
	answer_json(out, 200, j);
	return 1;
}

int openapi_handle(struct apiserver *s, struct request *in, struct answer *out, const char *path)
{
	if (!str_has_prefix(path, "/openapi/"))
		return 0;
	if (streq(path, "/openapi/v2") && prefers_protobuf(str_or(in->http->accept, "")))
		return document_v2_protobuf(s, out);
	if (call_parse_accept(in, out) < 0)
		return 1;
	if (streq(path, "/openapi/v2"))
		return document_v2(s, out);
	if (streq(path, "/openapi/v3") || streq(path, "/openapi/v3/"))
		return index_v3(s, out);
	if (str_has_prefix(path, "/openapi/v3/apis/"))
		return document_v3(s, out, path + strlen("/openapi/v3/apis/"));
	if (str_has_prefix(path, "/openapi/v3/api/"))
		return document_v3(s, out, path + strlen("/openapi/v3/api/"));
	return 0;
}
