/* metadata: its shape, its rules and the part of it that belongs to the server. Texts follow
 * k8s.io/apimachinery/pkg/api/validation. Pure. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/internal.h"
#include "apiserver/managed.h"
#include "apiserver/names.h"
#include "base/mem.h"

enum { ANNOTATIONS_MAX = 256 * 1024 };

/* --- shape
 * ------------------------------------------------------------------------------------------- */

enum meta_type {
	META_STRING,
	META_TIME,
	META_INT,
	META_STRING_MAP,
	META_STRINGS,
	META_OWNERS,
	META_MANAGED,
	META_DROPPED
};

static const struct {
	const char *name;
	enum meta_type type;
} members[] = {
	{ "name", META_STRING },
	{ "generateName", META_STRING },
	{ "namespace", META_STRING },
	{ "uid", META_STRING },
	{ "resourceVersion", META_STRING },
	{ "generation", META_INT },
	{ "creationTimestamp", META_TIME },
	{ "deletionTimestamp", META_TIME },
	{ "deletionGracePeriodSeconds", META_INT },
	{ "labels", META_STRING_MAP },
	{ "annotations", META_STRING_MAP },
	{ "ownerReferences", META_OWNERS },
	{ "finalizers", META_STRINGS },
	{ "selfLink", META_DROPPED },
	{ "managedFields", META_MANAGED },
};

/* Null stands for "" in Go's maps of strings. */
static bool all_strings(const struct json *j)
{
	json_for_each(child, j)
		if (!json_is_string(child) && !json_is_null(child))
			return false;
	return true;
}

/* Only the types: what may be empty is validation's business, with a field path. */
static bool owner_shaped(const struct json *owner)
{
	static const char *const strings[] = { "apiVersion", "kind", "name", "uid" };
	if (!json_is_object(owner))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(strings); i++) {
		const struct json *value = json_get(owner, strings[i]);
		if (value && !json_is_string(value))
			return false;
	}
	return true;
}

static bool is_time(const struct json *j)
{
	usec_t ignored;
	return json_is_string(j) && clock_parse(json_string(j), &ignored) == 0;
}

/* What is wrong inside is passed over (managed.h), but for what validation refuses. */
static bool entry_shaped(const struct json *entry)
{
	static const char *const strings[] = { "manager", "operation", "apiVersion", "fieldsType",
					       "subresource" };
	if (!json_is_object(entry))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(strings); i++) {
		const struct json *value = json_get(entry, strings[i]);
		if (!json_is_null(value) && !json_is_string(value))
			return false;
	}
	return json_is_null(json_get(entry, "time")) || is_time(json_get(entry, "time"));
}

static bool shaped(const struct json *j, enum meta_type type)
{
	int64_t number;
	switch (type) {
	case META_STRING:
		return json_is_string(j);
	case META_TIME:
		return is_time(j);
	case META_INT:
		return json_int(j, &number);
	case META_STRING_MAP:
		return json_is_object(j) && all_strings(j);
	case META_STRINGS:
		return json_is_array(j) && all_strings(j);
	case META_OWNERS:
		json_for_each(owner, j)
			if (!owner_shaped(owner))
				return false;
		return json_is_array(j);
	case META_MANAGED:
		json_for_each(entry, j)
			if (!entry_shaped(entry))
				return false;
		return json_is_array(j);
	case META_DROPPED:
		return true;
	}
	return false;
}

static const char *type_text(enum meta_type type)
{
	switch (type) {
	case META_STRING:
		return "string";
	case META_TIME:
		return "Time";
	case META_INT:
		return "int64";
	case META_STRING_MAP:
		return "map[string]string";
	case META_STRINGS:
		return "[]string";
	case META_OWNERS:
		return "[]v1.OwnerReference";
	case META_MANAGED:
		return "[]v1.ManagedFieldsEntry";
	case META_DROPPED:
		break;
	}
	return "";
}

/* Go decodes null members of a map of strings to "", and leaves out empty maps and lists. An empty
 * list of managedFields has a meaning (server_apply.c). */
static void tidy(struct json *meta, const char *key, enum meta_type type)
{
	struct json *value = json_get_mut(meta, key);
	if (type == META_STRING_MAP)
		for (struct json *child = json_first_mut(value); child;
		     child = json_next_mut(child))
			if (json_is_null(child)) {
				json_set_string(value, json_key(child), "");
				child = json_first_mut(value);
			}
	bool empty = type == META_DROPPED ||
		     (type != META_STRING && type != META_MANAGED && json_count(value) == 0 &&
		      (json_is_array(value) || json_is_object(value)));
	if (empty)
		json_remove(meta, key);
}

/* NULL when all is well; else what Go's decoder would say. */
static char *clean_member(struct json *meta, const char *key, struct unknown_fields *unknown)
{
	struct json *value = json_get_mut(meta, key);
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		if (!streq(key, members[i].name))
			continue;
		if (json_is_null(value)) {
			json_remove(meta, key);
			return NULL;
		}
		if (!shaped(value, members[i].type))
			return xasprintf(
				"json: cannot unmarshal value into Go struct field ObjectMeta.metadata.%s of type %s",
				key, type_text(members[i].type));
		tidy(meta, members[i].name, members[i].type);
		return NULL;
	}
	_cleanup_(freep) char *path = xasprintf("metadata.%s", key);
	unknown_fields_add(unknown, path);
	json_remove(meta, key);
	return NULL;
}

char *meta_clean(struct json *tree, struct unknown_fields *unknown)
{
	struct json *meta = json_get_mut(tree, "metadata");
	if (meta && !json_is_object(meta) && !json_is_null(meta))
		return xstrdup(
			"json: cannot unmarshal value into Go struct field .metadata of type v1.ObjectMeta");
	meta = json_make_object(tree, "metadata");
	for (struct json *child = json_first_mut(meta); child;) {
		struct json *next = json_next_mut(child);
		char *wrong = clean_member(meta, json_key(child), unknown);
		if (wrong)
			return wrong;
		child = next;
	}
	return NULL;
}

/* --- rules
 * ------------------------------------------------------------------------------------------- */

typedef bool (*name_rule)(const char *s, struct strbuf *why);

static void check_name(name_rule rule, const char *field, const char *value, struct causes *causes)
{
	_cleanup_(strbuf_done) struct strbuf why = { 0 };
	if (!rule(value, &why))
		causes_add_string(causes, CAUSE_INVALID, field, value, "%s",
				  why.data ? why.data : "");
}

/* generateName has become a name by now. */
static void validate_name(const struct resource *r, const struct json *meta, struct causes *causes)
{
	const char *name = json_get_string(meta, "name");
	if (str_empty(name)) {
		causes_add(causes, CAUSE_REQUIRED, "metadata.name", NULL,
			   "name or generateName is required");
		return;
	}
	name_rule rule = r->ops && r->ops->name_valid ? r->ops->name_valid : name_is_dns_subdomain;
	check_name(rule, "metadata.name", name, causes);
}

static void validate_labels(const struct json *labels, struct causes *causes)
{
	json_for_each(label, labels) {
		check_name(name_is_qualified, "metadata.labels", json_key(label), causes);
		check_name(name_is_label_value, "metadata.labels", json_string(label), causes);
	}
}

static void validate_annotations(const struct json *annotations, struct causes *causes)
{
	size_t total = 0;
	json_for_each(a, annotations) {
		/* Upper case is let through in annotation keys, as upstream. */
		_cleanup_(freep) char *lower = xstrdup(json_key(a));
		for (char *p = lower; *p; p++)
			*p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p;
		check_name(name_is_qualified, "metadata.annotations", lower, causes);
		total += strlen(json_key(a)) + strlen(json_string(a));
	}
	if (total > ANNOTATIONS_MAX)
		causes_add(causes, CAUSE_TOO_LONG, "metadata.annotations", NULL,
			   "may not be more than %d bytes", ANNOTATIONS_MAX);
}

/* Custom kinds may use names without a slash (BMO's "baremetalhost.metal3.io" is one). */
static void validate_finalizers(const struct resource *r, const struct json *finalizers,
				struct causes *causes)
{
	static const char *const standard[] = { "kubernetes", "orphan", "foregroundDeletion" };
	bool orphan = false, foreground = false;
	size_t i = 0;
	json_for_each(f, finalizers) {
		char field[64];
		const char *name = json_string(f);
		orphan = orphan || streq(name, "orphan");
		foreground = foreground || streq(name, "foregroundDeletion");
		bool known = strchr(name, '/') || resource_is(r, RESOURCE_CUSTOM) ||
			     r->ops == &crd_ops;
		for (size_t k = 0; k < ARRAY_SIZE(standard); k++)
			known = known || streq(name, standard[k]);
		snprintf(field, sizeof(field), "metadata.finalizers[%zu]", i++);
		check_name(name_is_qualified, "metadata.finalizers", name, causes);
		if (!known)
			causes_add_string(
				causes, CAUSE_INVALID, field, name,
				"name is neither a standard finalizer name nor is it fully qualified");
	}
	if (orphan && foreground)
		causes_add_json(causes, CAUSE_INVALID, "metadata.finalizers", finalizers,
				"finalizer orphan and foregroundDeletion cannot be both set");
}

/* The path says no index, as upstream. */
static void require_owner_field(const struct json *owner, const char *key, struct causes *causes)
{
	const char *value = str_or(json_get_string(owner, key), "");
	const char *slash = strchr(value, '/');
	bool version = streq(key, "apiVersion");
	if (*value && !(version && slash && strchr(slash + 1, '/')))
		return;
	char field[80];
	snprintf(field, sizeof(field), "metadata.ownerReferences.%s", key);
	causes_add_string(causes, CAUSE_INVALID, field, value, "%s must not be empty",
			  version ? "version" : key);
}

/* Events come and go too fast to own anything. */
static void validate_owner_kind(const struct json *owner, struct causes *causes)
{
	if (streq(json_get_string(owner, "apiVersion"), "v1") &&
	    streq(json_get_string(owner, "kind"), "Event"))
		causes_add_json(causes, CAUSE_INVALID, "metadata.ownerReferences", owner,
				"/v1, Kind=Event is disallowed from being an owner");
}

/* Two controllers of one object would fight over it. */
static void validate_owners(const struct json *owners, struct causes *causes)
{
	static const char *const keys[] = { "apiVersion", "kind", "name", "uid" };
	const char *controller = NULL;
	json_for_each(owner, owners) {
		for (size_t k = 0; k < ARRAY_SIZE(keys); k++)
			require_owner_field(owner, keys[k], causes);
		validate_owner_kind(owner, causes);
		if (!json_get_bool(owner, "controller", false))
			continue;
		const char *name = str_or(json_get_string(owner, "name"), "");
		if (controller)
			causes_add_json(
				causes, CAUSE_INVALID, "metadata.ownerReferences", owners,
				"Only one reference can have Controller set to true. Found \"true\" in references for %s and %s",
				controller, name);
		controller = name;
	}
}

/* What cannot be read is passed over when owners are worked out; this much is said. */
static void validate_managers(const struct json *list, struct causes *causes)
{
	json_for_each(entry, list) {
		const char *operation = str_or(json_get_string(entry, "operation"), "");
		const char *manager = str_or(json_get_string(entry, "manager"), "");
		if (json_count(entry) == 0)
			continue; /* [{}] forgets all */
		if (!streq(operation, "Apply") && !streq(operation, "Update"))
			causes_add_string(causes, CAUSE_INVALID, "metadata.managedFields.operation",
					  operation, "must be `Apply` or `Update`");
		if (strlen(manager) > MANAGER_NAME_MAX)
			causes_add(causes, CAUSE_TOO_LONG, "metadata.fieldManager", NULL,
				   "may not be more than %d bytes", MANAGER_NAME_MAX);
	}
}

void meta_validate(const struct resource *r, const struct json *now, struct causes *causes)
{
	const struct json *meta = json_get(now, "metadata");
	int64_t generation = json_get_int(meta, "generation", 0);
	validate_name(r, meta, causes);
	if (resource_is(r, RESOURCE_NAMESPACED))
		check_name(name_is_dns_label, "metadata.namespace",
			   str_or(json_get_string(meta, "namespace"), ""), causes);
	if (generation < 0)
		causes_add_json(causes, CAUSE_INVALID, "metadata.generation",
				json_get(meta, "generation"), "must be greater than or equal to 0");
	validate_labels(json_get(meta, "labels"), causes);
	validate_annotations(json_get(meta, "annotations"), causes);
	validate_owners(json_get(meta, "ownerReferences"), causes);
	validate_finalizers(r, json_get(meta, "finalizers"), causes);
	validate_managers(json_get(meta, "managedFields"), causes);
}

static void validate_no_new_finalizers(const struct json *now, const struct json *old,
				       struct causes *causes)
{
	_cleanup_(strbuf_done) struct strbuf extra = { 0 };
	json_for_each(f, json_get_path(now, "metadata.finalizers")) {
		if (meta_has_finalizer(old, json_string(f)))
			continue;
		strbuf_adds(&extra, extra.len ? ", " : "");
		go_quote(json_string(f), &extra);
	}
	if (extra.len)
		causes_add(
			causes, CAUSE_FORBIDDEN, "metadata.finalizers", NULL,
			"no new finalizers can be added if the object is being deleted, found new finalizers []string{%s}",
			extra.data);
}

/* Otherwise deletion might never end: everyone could add one more. */
void meta_validate_update(const struct json *now, const struct json *old, struct causes *causes)
{
	if (object_terminating(old))
		validate_no_new_finalizers(now, old, causes);
}

/* --- what is the server's
 * ------------------------------------------------------------------------------ */

void meta_set_time(struct json *meta, const char *key, usec_t wall)
{
	char text[CLOCK_TEXT_MAX];
	json_set_string(meta, key, clock_format(wall, text));
}

/* A client may send these back, leave them out or invent them: the server's stay. */
void meta_keep(struct json *now, const struct json *old)
{
	static const char *const kept[] = { "name",
					    "namespace",
					    "uid",
					    "creationTimestamp",
					    "deletionTimestamp",
					    "deletionGracePeriodSeconds",
					    "generation",
					    "resourceVersion",
					    "generateName" };
	struct json *meta = object_meta(now);
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		const struct json *value = json_get(json_get(old, "metadata"), kept[i]);
		if (value)
			json_set(meta, kept[i], json_dup(value));
		else
			json_remove(meta, kept[i]);
	}
}

bool meta_has_finalizer(const struct json *o, const char *name)
{
	json_for_each(f, json_get_path(o, "metadata.finalizers"))
		if (streq(json_string(f), name))
			return true;
	return false;
}

void meta_remove_finalizer(struct json *o, const char *name)
{
	struct json *list = json_get_mut(object_meta(o), "finalizers");
	for (size_t i = json_count(list); i-- > 0;)
		if (streq(json_string(json_at(list, i)), name))
			json_free(json_take_at(list, i));
	if (json_count(list) == 0)
		json_remove(object_meta(o), "finalizers");
}
