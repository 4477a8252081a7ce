/* CustomResourceDefinitions: the built-in kind whose objects make other kinds. A definition is
 * checked, accepted and registered within the request that brings it, so a kind can be used as soon
 * as the answer is there. Conversion is None: all versions share one stored form. */

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/feed/work.h"
#include "apiserver/internal.h"
#include "base/log.h"
#include "base/mem.h"
#include "schema/names.h"

#define CLEANUP_FINALIZER "customresourcecleanup.apiextensions.k8s.io"

const struct json *crd_version(const struct json *crd, const char *version)
{
	json_for_each(v, json_get_path(crd, "spec.versions"))
		if (streq(json_get_string(v, "name"), version))
			return v;
	return NULL;
}

static const char *text_at(const struct json *crd, const char *path)
{
	return str_or(json_get_path_string(crd, path), "");
}

/* --- what the server fills in --- */

static void default_names(struct json *crd)
{
	struct json *names = json_make_object(json_make_object(crd, "spec"), "names");
	const char *kind = str_or(json_get_string(names, "kind"), "");
	_cleanup_(freep) char *singular = xstrdup(kind);
	for (char *p = singular; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	_cleanup_(freep) char *list_kind = xasprintf("%sList", kind);
	if (str_empty(json_get_string(names, "singular")))
		json_set_string(names, "singular", singular);
	if (str_empty(json_get_string(names, "listKind")))
		json_set_string(names, "listKind", list_kind);
}

static void set_condition(struct apiserver *s, struct json *crd, const char *type,
			  const char *status, const char *reason, const char *message)
{
	struct json *st = json_make_object(crd, "status");
	if (!json_is_array(json_get(st, "conditions")))
		json_set(st, "conditions", json_new_array());
	struct json *list = json_get_mut(st, "conditions"), *found = NULL;
	for (struct json *i = json_first_mut(list); i; i = json_next_mut(i))
		if (streq(json_get_string(i, "type"), type))
			found = i;
	if (!found)
		found = json_append(list, json_new_object());
	if (!streq(json_get_string(found, "status"), status))
		meta_set_time(found, "lastTransitionTime", loop_wall(s->loop));
	json_set_string(found, "message", message);
	json_set_string(found, "reason", reason);
	json_set_string(found, "status", status);
	json_set_string(found, "type", type);
}

/* Grows only: who removes a version must migrate the objects and edit this list. */
static void note_stored_version(struct json *crd)
{
	struct json *st = json_make_object(crd, "status");
	if (!json_is_array(json_get(st, "storedVersions")))
		json_set(st, "storedVersions", json_new_array());
	json_for_each(v, json_get_path(crd, "spec.versions")) {
		const char *name = str_or(json_get_string(v, "name"), "");
		bool known = !json_get_bool(v, "storage", false);
		json_for_each(stored, json_get(st, "storedVersions"))
			known = known || streq(json_string(stored), name);
		if (!known)
			json_append(json_get_mut(st, "storedVersions"), json_new_string(name));
	}
}

/* A kind of the group that has one of the names already, though not by this definition. */
static const struct resource *find_rival(struct apiserver *s, const struct json *crd,
					 const char *list_kind, const char *kind)
{
	list_for_each(l, &s->registry.resources) {
		const struct resource *r = list_entry(l, struct resource, link);
		if (streq(r->group, text_at(crd, "spec.group")) &&
		    !streq(r->key, object_name(crd)) &&
		    (streq(r->kind, kind) || streq(r->list_kind, list_kind)))
			return r;
	}
	return NULL;
}

static bool condition_is(const struct json *crd, const char *type, const char *status)
{
	json_for_each(condition, json_get_path(crd, "status.conditions"))
		if (streq(json_get_string(condition, "type"), type))
			return streq(json_get_string(condition, "status"), status);
	return false;
}

/* The first come has the names; who comes second waits, established or not, until they are free. */
static void refuse_names(struct apiserver *s, struct json *crd, const struct resource *rival)
{
	const char *kind = text_at(crd, "spec.names.kind");
	const char *list_kind = text_at(crd, "spec.names.listKind");
	bool list = streq(rival->list_kind, list_kind);
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	causes_quote(list ? list_kind : kind, &text);
	strbuf_adds(&text, " is already in use");
	set_condition(s, crd, "NamesAccepted", "False", list ? "ListKindConflict" : "KindConflict",
		      text.data);
	if (!condition_is(crd, "Established", "True"))
		set_condition(s, crd, "Established", "False", "NotAccepted",
			      "not all names are accepted");
}

static void accept_names(struct apiserver *s, struct json *crd)
{
	const struct resource *rival = find_rival(s, crd, text_at(crd, "spec.names.listKind"),
						  text_at(crd, "spec.names.kind"));
	struct json *status = json_get_mut(crd, "status");
	if (rival) {
		if (!json_get(status, "acceptedNames")) {
			struct json *names = json_make_object(status, "acceptedNames");
			json_set_string(names, "plural", text_at(crd, "spec.names.plural"));
			json_set_string(names, "kind", "");
		}
		refuse_names(s, crd, rival);
		return;
	}
	json_set(status, "acceptedNames", json_dup(json_get_path(crd, "spec.names")));
	set_condition(s, crd, "NamesAccepted", "True", "NoConflicts", "no conflicts found");
	set_condition(s, crd, "Established", "True", "InitialNamesAccepted",
		      "the initial names have been accepted");
}

static void crd_prepare(struct apiserver *s, struct answer *out, struct json *now,
			const struct json *old)
{
	(void)out;
	default_names(now);
	if (!json_get_path(now, "spec.conversion.strategy"))
		json_set_string(json_make_object(json_get_mut(now, "spec"), "conversion"),
				"strategy", "None");
	json_for_each(v, json_get_path(now, "spec.versions"))
		if (!json_get(v, "served"))
			json_set_bool((struct json *)v, "served", false);
	if (!old)
		json_remove(now, "status");
	json_make_object(now, "status");
	accept_names(s, now);
	note_stored_version(now);
}

/* --- checks --- */

static void require(const struct json *crd, const char *field, struct causes *causes)
{
	if (str_empty(json_get_path_string(crd, field)))
		causes_add(causes, CAUSE_REQUIRED, field, NULL, CAUSE_BARE);
}

static void check_name(const char *field, const char *value,
		       bool (*valid)(const char *, struct strbuf *), struct causes *causes)
{
	_cleanup_(strbuf_done) struct strbuf why = { 0 };
	if (*value && !valid(value, &why))
		causes_add_string(causes, CAUSE_INVALID, field, value, "%s",
				  why.data ? why.data : "");
}

static void check_names(const struct json *crd, struct causes *causes)
{
	const char *plural = text_at(crd, "spec.names.plural"), *group = text_at(crd, "spec.group");
	_cleanup_(freep) char *wanted = xasprintf("%s.%s", plural, group);
	require(crd, "spec.group", causes);
	require(crd, "spec.names.plural", causes);
	require(crd, "spec.names.kind", causes);
	require(crd, "spec.scope", causes);
	check_name("spec.group", group, name_is_dns_subdomain, causes);
	check_name("spec.names.plural", plural, name_is_dns_label, causes);
	check_name("spec.names.singular", text_at(crd, "spec.names.singular"), name_is_dns_label,
		   causes);
	if (*group && !strchr(group, '.'))
		causes_add_string(causes, CAUSE_INVALID, "spec.group", group,
				  "should be a domain with at least one dot");
	if (!streq(object_name(crd), wanted))
		causes_add_string(causes, CAUSE_INVALID, "metadata.name", object_name(crd),
				  "must be spec.names.plural+\".\"+spec.group");
}

static void check_column(const struct json *column, struct path *path, struct causes *causes)
{
	static const char *const types[] = { "boolean", "date", "integer", "number", "string" };
	const char *type = str_or(json_get_string(column, "type"), "");
	bool known = false;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		known = known || streq(type, types[i]);
	size_t length = path_member(path, "type");
	if (!known)
		causes_add_string(causes, CAUSE_INVALID, path_text(path), type,
				  "must be one of boolean,date,integer,number,string");
	path_back(path, length);
	path_member(path, "name");
	if (str_empty(json_get_string(column, "name")))
		causes_add(causes, CAUSE_REQUIRED, path_text(path), NULL, CAUSE_BARE);
	path_back(path, length);
}

static void check_columns(const struct json *version, struct path *path, struct causes *causes)
{
	size_t length = path_member(path, "additionalPrinterColumns"), i = 0;
	json_for_each(column, json_get(version, "additionalPrinterColumns")) {
		struct jsonpath *compiled = NULL;
		struct err err;
		const char *text = str_or(json_get_string(column, "jsonPath"), "");
		size_t at = path_index(path, i++);
		check_column(column, path, causes);
		path_member(path, "jsonPath");
		if (jsonpath_new(text, &compiled, &err) < 0)
			causes_add_string(causes, CAUSE_INVALID, path_text(path), text, "%s",
					  err.text);
		jsonpath_free(compiled);
		path_back(path, at);
	}
	path_back(path, length);
}

/* A path into the object, below one of two members (second may be NULL). */
static void check_scale_path(const struct json *scale, const char *key, const char *first,
			     const char *second, struct path *path, struct causes *causes)
{
	const char *text = str_or(json_get_string(scale, key), "");
	bool fits = str_has_prefix(text, first) || (second && str_has_prefix(text, second));
	size_t length = path_member(path, key);
	if (*text == '\0' && !second)
		causes_add(causes, CAUSE_REQUIRED, path_text(path), NULL, CAUSE_BARE);
	else if (*text && (!fits || strchr(text, '[')))
		causes_add_string(causes, CAUSE_INVALID, path_text(path), text,
				  "should be a json path under %s%.*s",
				  second ? "either .spec or " : "", (int)strlen(first) - 1, first);
	path_back(path, length);
}

static void check_scale(const struct json *version, struct path *path, struct causes *causes)
{
	const struct json *scale = json_get_path(version, "subresources.scale");
	size_t length = path->text.len;
	if (!scale)
		return;
	path_member(path, "subresources");
	path_member(path, "scale");
	check_scale_path(scale, "specReplicasPath", ".spec.", NULL, path, causes);
	check_scale_path(scale, "statusReplicasPath", ".status.", NULL, path, causes);
	check_scale_path(scale, "labelSelectorPath", ".status.", ".spec.", path, causes);
	path_back(path, length);
}

static void check_version(const struct json *version, struct path *path, struct schema_budget *left,
			  struct causes *causes)
{
	const struct json *source = json_get_path(version, "schema.openAPIV3Schema");
	size_t length = path->text.len;
	check_columns(version, path, causes);
	check_scale(version, path, causes);
	path_member(path, "schema");
	path_member(path, "openAPIV3Schema");
	if (json_is_object(source))
		schema_free(schema_compile(source, path, left, causes));
	else
		causes_add(causes, CAUSE_REQUIRED, path_text(path), NULL, CAUSE_BARE);
	path_back(path, length);
}

static void check_versions(const struct json *crd, struct schema_budget *left,
			   struct causes *causes)
{
	const struct json *versions = json_get_path(crd, "spec.versions");
	_cleanup_(path_done) struct path path = { 0 };
	_cleanup_(map_done) struct map seen = { 0 };
	size_t i = 0, storage = 0;
	path_member(&path, "spec");
	path_member(&path, "versions");
	json_for_each(version, versions) {
		size_t length = path_index(&path, i++);
		const char *name = str_or(json_get_string(version, "name"), "");
		_cleanup_(freep) char *field = xasprintf("%s.name", path_text(&path));
		check_name(field, name, name_is_dns_label, causes);
		if (map_set(&seen, name, (void *)version))
			causes_add(causes, CAUSE_INVALID, field, NULL,
				   "must contain unique version names");
		check_version(version, &path, left, causes);
		storage += json_get_bool(version, "storage", false);
		path_back(&path, length);
	}
	if (storage != 1)
		causes_add_json(causes, CAUSE_INVALID, "spec.versions", versions,
				"must have exactly one version marked as storage version");
}

/* Stored objects are found by these names. */
static void check_update(const struct json *now, const struct json *old, struct causes *causes)
{
	static const char *const fixed[] = { "spec.group", "spec.scope", "spec.names.plural",
					     "spec.names.kind" };
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		if (!streq(text_at(now, fixed[i]), text_at(old, fixed[i])))
			causes_add_string(causes, CAUSE_INVALID, fixed[i], text_at(now, fixed[i]),
					  "field is immutable");
}

/* True when some part of the schema has rules in CEL. */
static bool has_rules(const struct json *j)
{
	if (json_get(j, "x-kubernetes-validations"))
		return true;
	json_for_each(child, j)
		if (has_rules(child))
			return true;
	return false;
}

static void crd_validate(struct apiserver *s, struct answer *out, const struct json *now,
			 const struct json *old, struct causes *causes)
{
	(void)s;
	check_names(now, causes);
	check_versions(now, &out->left, causes);
	if (json_get_bool(json_get(now, "spec"), "preserveUnknownFields", false))
		causes_add(
			causes, CAUSE_INVALID, "spec.preserveUnknownFields", "true",
			"cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead");
	if (!streq(text_at(now, "spec.conversion.strategy"), "None"))
		causes_add_string(causes, CAUSE_NOT_SUPPORTED, "spec.conversion.strategy",
				  text_at(now, "spec.conversion.strategy"),
				  "supported values: \"None\"");
	if (old)
		check_update(now, old, causes);
	if (has_rules(json_get_path(now, "spec.versions")))
		answer_warn(out, "this server does not evaluate x-kubernetes-validations");
}

/* --- registering --- */

static void unregister(struct apiserver *s, const char *key)
{
	list_for_each_safe(l, &s->registry.resources) {
		struct resource *r = list_entry(l, struct resource, link);
		if (streq(r->key, key))
			registry_remove(&s->registry, r);
	}
}

static void add_column(struct resource *r, const struct json *column)
{
	struct jsonpath *path = NULL;
	const char *where = str_or(json_get_string(column, "jsonPath"), "");
	if (jsonpath_new(where, &path, NULL) < 0)
		return;
	const char *description = json_get_string(column, "description");
	resource_add_column(
		r,
		(struct column){
			.name = xstrdup(str_or(json_get_string(column, "name"), "")),
			.type = xstrdup(str_or(json_get_string(column, "type"), "string")),
			.format = xstrdup(str_or(json_get_string(column, "format"), "")),
			.description =
				description
					? xstrdup(description)
					: xasprintf(
						  "Custom resource definition column (in JSONPath format): %s",
						  where),
			.priority = json_get_int(column, "priority", 0),
			.path = path });
}

/* Name comes first whatever the definition says, and Age alone where it says nothing. */
static void add_columns(struct resource *r, const struct json *version)
{
	const struct json *columns = json_get(version, "additionalPrinterColumns");
	_cleanup_(json_freep) struct json *age = json_new_object();
	json_set_string(age, "name", "Age");
	json_set_string(age, "type", "date");
	json_set_string(age, "jsonPath", ".metadata.creationTimestamp");
	json_set_string(age, "description", "How long ago the object was made.");
	resource_add_column(r, (struct column){ .name = xstrdup("Name"),
						.type = xstrdup("string"),
						.format = xstrdup("name"),
						.description = xstrdup("Name of the object.") });
	json_for_each(column, columns)
		add_column(r, column);
	if (json_count(columns) == 0)
		add_column(r, age);
}

/* ".spec.color" in the definition, "spec.color" in a selector. */
static struct json *selectable_fields(const struct json *version)
{
	struct json *list = json_new_array();
	json_for_each(field, json_get(version, "selectableFields")) {
		const char *path = str_or(json_get_string(field, "jsonPath"), "");
		json_append(list, json_new_string(path + (*path == '.')));
	}
	return list;
}

static const char *storage_version(const struct json *crd)
{
	json_for_each(v, json_get_path(crd, "spec.versions"))
		if (json_get_bool(v, "storage", false))
			return str_or(json_get_string(v, "name"), "");
	return "";
}

static void set_scale(struct resource *r, const struct json *scale)
{
	const char *spec = str_or(json_get_string(scale, "specReplicasPath"), "");
	const char *status = str_or(json_get_string(scale, "statusReplicasPath"), "");
	const char *selector = str_or(json_get_string(scale, "labelSelectorPath"), "");
	/* Definitions that an older Ingot has stored were not checked. */
	if (!str_has_prefix(spec, ".spec.") || !str_has_prefix(status, ".status."))
		return;
	r->flags |= RESOURCE_SCALE;
	r->scale.spec_path = xstrdup(spec);
	r->scale.status_path = xstrdup(status);
	r->scale.selector_path = *selector == '.' ? xstrdup(selector) : NULL;
}

/* `since` is the version of the definition itself: objects written before it are brought in line
 * when read, which is too often after a change of its labels, but never too seldom. */
static struct resource *version_resource(const struct json *crd, const struct json *version)
{
	const struct json *names = json_get_path(crd, "status.acceptedNames");
	struct resource *r = resource_new();
	struct causes causes = { 0 };
	_cleanup_(path_done) struct path path = { 0 };
	resource_set_names(r, text_at(crd, "spec.group"), json_get_string(version, "name"),
			   text_at(crd, "spec.names.plural"));
	free(r->storage_api_version);
	r->storage_api_version = xasprintf("%s/%s", r->group, storage_version(crd));
	r->singular = xstrdup(json_get_string(names, "singular"));
	r->kind = xstrdup(json_get_string(names, "kind"));
	r->list_kind = xstrdup(json_get_string(names, "listKind"));
	r->short_names = json_dup(json_get(names, "shortNames"));
	r->categories = json_dup(json_get(names, "categories"));
	r->flags = RESOURCE_CUSTOM | RESOURCE_GENERATION;
	if (streq(text_at(crd, "spec.scope"), "Namespaced"))
		r->flags |= RESOURCE_NAMESPACED;
	if (json_get_path(version, "subresources.status"))
		r->flags |= RESOURCE_STATUS;
	set_scale(r, json_get_path(version, "subresources.scale"));
	r->terminating = object_terminating(crd);
	parse_u64(text_at(crd, "metadata.resourceVersion"), UINT64_MAX, &r->since);
	r->schema = schema_compile(json_get_path(version, "schema.openAPIV3Schema"), &path, NULL,
				   &causes);
	r->selectable = selectable_fields(version);
	add_columns(r, version);
	causes_done(&causes);
	return r->schema ? r : resource_unref(r);
}

/* A kind keeps its place in discovery; versions that are no longer served go. */
static void register_crd(struct apiserver *s, const struct json *crd)
{
	unregister(s, object_name(crd));
	if (!condition_is(crd, "Established", "True"))
		return;
	json_for_each(version, json_get_path(crd, "spec.versions")) {
		if (!json_get_bool(version, "served", false))
			continue;
		struct resource *r = version_resource(crd, version);
		if (r)
			registry_add(&s->registry, r);
		else
			log_error("apiserver: a stored definition does not compile", "name",
				  object_name(crd));
	}
}

struct waiting {
	struct apiserver *s;
	const struct resource *r;
	const char *group;
};

static int wake_row(void *data, const struct store_row *row)
{
	struct waiting *w = data;
	_cleanup_(json_freep) struct json *crd = object_parse(w->r, row->data, row->len, row->rv,
							      NULL);
	if (streq(text_at(crd, "spec.group"), w->group) &&
	    condition_is(crd, "NamesAccepted", "False"))
		work_add(w->s, WORK_NAMES, "", "", row->key.name);
	return 0;
}

/* Names have become free: whoever waits for them in this group looks again. */
static void wake_waiting(struct apiserver *s, const char *group)
{
	struct waiting w = { s,
			     registry_find(&s->registry, "apiextensions.k8s.io", "v1",
					   "customresourcedefinitions"),
			     group };
	struct store_query q = { .resource = w.r->key };
	store_list(s->store, &q, wake_row, &w, NULL);
}

/* Watches of a kind end when it changes, so that clients list again in the new shape. */
static void crd_changed(struct apiserver *s, const struct resource *r, const struct json *now,
			const struct json *old)
{
	if (!resource_is(r, RESOURCE_DEFINES))
		return;
	s->batch.kinds_changed = true;
	if (!now) {
		unregister(s, object_name(old));
		watch_end_kind(s, object_name(old));
		wake_waiting(s, text_at(old, "spec.group"));
		return;
	}
	register_crd(s, now);
	if (old && !json_equal(json_get(now, "spec"), json_get(old, "spec")))
		watch_end_kind(s, object_name(now));
	if (object_terminating(now))
		work_add(s, WORK_KIND, "", "", object_name(now));
}

const struct observer crd_observer = { .changed = crd_changed };

/* The finalizer keeps a definition while it has objects (see do_kind in background.c). */
static int crd_deleting(struct apiserver *s, struct answer *out, struct json *object)
{
	(void)out;
	struct json *meta = object_meta(object);
	if (!json_is_array(json_get(meta, "finalizers")))
		json_set(meta, "finalizers", json_new_array());
	if (!object_terminating(object) && !meta_has_finalizer(object, CLEANUP_FINALIZER))
		json_append(json_get_mut(meta, "finalizers"), json_new_string(CLEANUP_FINALIZER));
	set_condition(s, object, "Terminating", "True", "InstanceDeletionInProgress",
		      "CustomResource deletion is in progress");
	return 0;
}

static void crd_cells(usec_t wall, const struct json *o, struct json *cells)
{
	(void)wall;
	json_append(cells, json_new_string(object_name(o)));
	json_append(cells, json_new_string(text_at(o, "metadata.creationTimestamp")));
}

const struct resource_ops crd_ops = {
	.prepare = crd_prepare,
	.validate = crd_validate,
	.deleting = crd_deleting,
	.cells = crd_cells,
	.empty = "{'spec':{'names':{}},'status':{'acceptedNames':{}}}",
};

/* --- at start --- */

struct loader {
	struct apiserver *s;
	const struct resource *r;
};

static int load_row(void *data, const struct store_row *row)
{
	struct loader *l = data;
	_cleanup_(json_freep) struct json *crd = object_parse(l->r, row->data, row->len, row->rv,
							      NULL);
	register_crd(l->s, crd);
	return 0;
}

/* Also after a batch that failed: memory must not know what the disk does not. */
int crd_load_all(struct apiserver *s, struct err *err)
{
	struct loader l = { s, registry_find(&s->registry, "apiextensions.k8s.io", "v1",
					     "customresourcedefinitions") };
	list_for_each_safe(link, &s->registry.resources) {
		struct resource *r = list_entry(link, struct resource, link);
		if (resource_is(r, RESOURCE_CUSTOM))
			registry_remove(&s->registry, r);
	}
	struct store_query q = { .resource = l.r->key };
	return store_list(s->store, &q, load_row, &l, err);
}

/* What the server ships wins over what stands there; labels and annotations of others stay. */
static int update_installed(struct apiserver *s, const struct request *in, struct answer *out,
			    const struct resource *r, const struct object *old,
			    const struct json *crd)
{
	struct json *now = json_dup(old->tree);
	json_set(now, "spec", json_dup(json_get(crd, "spec")));
	json_for_each(label, json_get_path(crd, "metadata.labels"))
		json_set_string(json_make_object(object_meta(now), "labels"), json_key(label),
				json_string(label));
	int result = write_update(s, in, out, r, old, &now, PART_MAIN, NULL);
	json_free(now);
	return result;
}

int crd_install(struct apiserver *s, const char *text, struct err *err)
{
	struct resource *r = registry_find(&s->registry, "apiextensions.k8s.io", "v1",
					   "customresourcedefinitions");
	_cleanup_(json_freep) struct json *crd = NULL;
	int result = json_parse(text, strlen(text), &crd, err);
	if (result < 0)
		return err_wrap(err, "definition of a kind");
	struct call c;
	struct object old = { 0 };
	call_init(&c, s, NULL);
	c.in.resource = resource_ref(r);
	schema_prune(r->schema, crd, NULL);
	_cleanup_(freep) char *name = xstrdup(object_name(crd));
	result = object_load(c.s, &c.in, &c.out, r, "", name, &old);
	if (result > 0)
		result = update_installed(c.s, &c.in, &c.out, r, &old, crd);
	else if (result == 0)
		result = write_create(c.s, &c.in, &c.out, r, "", crd, NULL);
	if (result < 0)
		result = err_set(err, ERR_INVALID, "cannot install the definition %s: %s", name,
				 c.out.body.data);
	for (size_t i = 0; i < c.out.warnings.count; i++)
		log_warn("apiserver: a definition asks for more than is done", "name", name,
			 "warning", c.out.warnings.items[i]);
	object_done(&old);
	call_done(&c);
	return result;
}
