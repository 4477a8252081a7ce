/* metadata: its shape, its rules and the part of it that belongs to the server; of objects and of
 * those that they embed (embedded.c). Texts follow k8s.io/apimachinery/pkg/api/validation. Pure. */

#include "schema/meta.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "schema/managed.h"
#include "schema/schema_internal.h"

enum { ANNOTATIONS_MAX = 256 * 1024 };

/* --- shape --- */

enum meta_type {
	META_STRING,
	META_TIME,
	META_INT,
	META_STRING_MAP,
	META_STRINGS,
	META_OWNERS,
	META_MANAGED,
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
	{ "selfLink", META_STRING },
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

static const struct {
	const char *name;
	bool flag;
} owner_members[] = {
	{ "apiVersion", false }, { "kind", false },	 { "name", false },
	{ "uid", false },	 { "controller", true }, { "blockOwnerDeletion", true },
};

/* Only the types: what may be empty is validation's business, with a field path. */
static bool owner_shaped(const struct json *owner)
{
	if (!json_is_object(owner))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(owner_members); i++) {
		const struct json *value = json_get(owner, owner_members[i].name);
		if (!json_is_null(value) && (owner_members[i].flag ? json_type(value) != JSON_BOOL
								   : !json_is_string(value)))
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
	}
	return "";
}

static const enum meta_type *member_type(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		if (streq(key, members[i].name))
			return &members[i].type;
	return NULL;
}

char *meta_fault(const struct json *meta)
{
	if (json_is_null(meta))
		return NULL;
	if (!json_is_object(meta))
		return xstrdup(
			"json: cannot unmarshal value into Go struct field .metadata of type v1.ObjectMeta");
	json_for_each(member, meta) {
		const enum meta_type *type = member_type(json_key(member));
		if (type && !json_is_null(member) && !shaped(member, *type))
			return xasprintf(
				"json: cannot unmarshal value into Go struct field ObjectMeta.metadata.%s of type %s",
				json_key(member), type_text(*type));
	}
	return NULL;
}

static void drop_unknown(struct json *object, const char *key, const char *at,
			 struct unknown_fields *unknown)
{
	_cleanup_(freep) char *path = xasprintf("%s.%s", at, key);
	unknown_fields_add(unknown, path);
	json_remove(object, key);
}

static void tidy_owner(struct json *owner, const char *at, struct unknown_fields *unknown)
{
	for (struct json *child = json_first_mut(owner); child;) {
		struct json *next = json_next_mut(child);
		size_t i = 0;
		while (i < ARRAY_SIZE(owner_members) &&
		       !streq(json_key(child), owner_members[i].name))
			i++;
		if (i == ARRAY_SIZE(owner_members))
			drop_unknown(owner, json_key(child), at, unknown);
		else if (json_is_null(child))
			json_remove(owner, json_key(child));
		child = next;
	}
}

static void tidy_owners(struct json *owners, const char *at, struct unknown_fields *unknown)
{
	size_t i = 0;
	for (struct json *owner = json_first_mut(owners); owner; owner = json_next_mut(owner)) {
		_cleanup_(freep) char *path = xasprintf("%s.ownerReferences[%zu]", at, i++);
		tidy_owner(owner, path, unknown);
	}
}

/* Null stands for "" in Go's maps of strings. */
static void tidy_map(struct json *map)
{
	for (struct json *child = json_first_mut(map); child; child = json_next_mut(child))
		if (json_is_null(child))
			child = json_replace_child(map, child, json_new_string(""));
}

/* Go leaves out empty maps and lists. An empty list of managedFields has a meaning
 * (server_apply.c). */
static bool goes(const struct json *value, enum meta_type type)
{
	return type != META_MANAGED && json_count(value) == 0 &&
	       (json_is_array(value) || json_is_object(value));
}

void meta_tidy(struct json *meta, const char *at, struct unknown_fields *unknown)
{
	for (struct json *child = json_first_mut(meta); child;) {
		struct json *next = json_next_mut(child);
		const enum meta_type *type = member_type(json_key(child));
		if (type && *type == META_STRING_MAP && json_is_object(child))
			tidy_map(child);
		if (type && *type == META_OWNERS)
			tidy_owners(child, at, unknown);
		if (!type)
			drop_unknown(meta, json_key(child), at, unknown);
		else if (json_is_null(child) || goes(child, *type))
			json_remove(meta, json_key(child));
		child = next;
	}
}

char *meta_clean(struct json *tree, struct unknown_fields *unknown)
{
	char *wrong = meta_fault(json_get(tree, "metadata"));
	if (wrong)
		return wrong;
	struct json *meta = json_make_object(tree, "metadata");
	meta_tidy(meta, "metadata", unknown);
	json_remove(meta, "selfLink");
	return NULL;
}

/* --- rules --- */

/* What every rule needs: where it looks, and where faults go. */
struct judge {
	struct path *at;
	struct causes *causes;
};

static void check_name(const struct judge *j, name_rule rule, const char *value)
{
	_cleanup_(strbuf_done) struct strbuf why = { 0 };
	if (!rule(value, &why))
		causes_add_string(j->causes, CAUSE_INVALID, path_text(j->at), value, "%s",
				  why.data ? why.data : "");
}

static void check_member(const struct judge *j, const struct json *meta, const char *key,
			 name_rule rule)
{
	const char *value = json_get_string(meta, key);
	size_t length = path_member(j->at, key);
	if (!str_empty(value))
		check_name(j, rule, value);
	path_back(j->at, length);
}

static void validate_labels(const struct judge *j, const struct json *labels)
{
	json_for_each(label, labels) {
		check_name(j, name_is_qualified, json_key(label));
		check_name(j, name_is_label_value, str_or(json_string(label), ""));
	}
}

static void validate_annotations(const struct judge *j, const struct json *annotations)
{
	size_t total = 0;
	json_for_each(a, annotations) {
		/* Upper case is let through in annotation keys, as upstream. */
		_cleanup_(freep) char *lower = xstrdup(json_key(a));
		for (char *p = lower; *p; p++)
			*p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p;
		check_name(j, name_is_qualified, lower);
		total += strlen(json_key(a)) + strlen(str_or(json_string(a), ""));
	}
	if (total > ANNOTATIONS_MAX)
		causes_add(j->causes, CAUSE_TOO_LONG, path_text(j->at), NULL,
			   "may not be more than %d bytes", ANNOTATIONS_MAX);
}

/* The path says no index, as upstream. */
static void require_owner_field(const struct judge *j, const struct json *owner, const char *key)
{
	const char *value = str_or(json_get_string(owner, key), "");
	const char *slash = strchr(value, '/');
	bool version = streq(key, "apiVersion");
	if (*value && !(version && slash && strchr(slash + 1, '/')))
		return;
	size_t length = path_member(j->at, key);
	causes_add_string(j->causes, CAUSE_INVALID, path_text(j->at), value, "%smust not be empty",
			  version ? "version " : "");
	path_back(j->at, length);
}

/* As upstream shows it: members in the order of its type, and those that must be there also when
 * they are not. */
static void show_owner(const struct json *owner, struct strbuf *out)
{
	const char *before = "{";
	for (size_t i = 0; i < ARRAY_SIZE(owner_members); i++) {
		const struct json *value = json_get(owner, owner_members[i].name);
		if (owner_members[i].flag && json_is_null(value))
			continue;
		strbuf_addf(out, "%s\"%s\":", before, owner_members[i].name);
		before = ",";
		if (json_is_null(value))
			strbuf_adds(out, "\"\"");
		else
			json_print(value, out);
	}
	strbuf_addc(out, '}');
}

static void show_owners(const struct json *owners, struct strbuf *out)
{
	const char *before = "[";
	json_for_each(owner, owners) {
		strbuf_adds(out, before);
		show_owner(owner, out);
		before = ",";
	}
	strbuf_addc(out, ']');
}

/* Events come and go too fast to own anything. */
static void validate_owner_kind(const struct judge *j, const struct json *owner)
{
	_cleanup_(strbuf_done) struct strbuf shown = { 0 };
	if (!streq(json_get_string(owner, "apiVersion"), "v1") ||
	    !streq(json_get_string(owner, "kind"), "Event"))
		return;
	show_owner(owner, &shown);
	causes_add(j->causes, CAUSE_INVALID, path_text(j->at), shown.data,
		   "/v1, Kind=Event is disallowed from being an owner");
}

static void add_two_controllers(const struct judge *j, const struct json *owners,
				const struct json *first, const struct json *second)
{
	_cleanup_(strbuf_done) struct strbuf shown = { 0 };
	if (causes_full(j->causes))
		return;
	show_owners(owners, &shown);
	causes_add(
		j->causes, CAUSE_INVALID, path_text(j->at), shown.data,
		"Only one reference can have Controller set to true. Found \"true\" in references for %s/%s and %s/%s",
		str_or(json_get_string(first, "kind"), ""),
		str_or(json_get_string(first, "name"), ""),
		str_or(json_get_string(second, "kind"), ""),
		str_or(json_get_string(second, "name"), ""));
}

/* Two controllers of one object would fight over it. */
static void validate_owners(const struct judge *j, const struct json *owners)
{
	static const char *const keys[] = { "apiVersion", "kind", "name", "uid" };
	const struct json *controller = NULL;
	json_for_each(owner, owners) {
		for (size_t k = 0; k < ARRAY_SIZE(keys); k++)
			require_owner_field(j, owner, keys[k]);
		validate_owner_kind(j, owner);
		if (!json_get_bool(owner, "controller", false))
			continue;
		if (controller)
			add_two_controllers(j, owners, controller, owner);
		else
			controller = owner;
	}
}

static void validate_finalizers(const struct judge *j, const struct json *finalizers)
{
	bool orphan = false, foreground = false;
	json_for_each(f, finalizers) {
		const char *name = str_or(json_string(f), "");
		orphan = orphan || streq(name, "orphan");
		foreground = foreground || streq(name, "foregroundDeletion");
		check_name(j, name_is_qualified, name);
	}
	if (orphan && foreground)
		causes_add_json(j->causes, CAUSE_INVALID, path_text(j->at), finalizers,
				"finalizer orphan and foregroundDeletion cannot be both set");
}

/* Of the object itself what cannot be read is passed over when owners are worked out; those of an
 * embedded one are data. */
static void validate_manager(const struct judge *j, const struct json *entry)
{
	const char *operation = str_or(json_get_string(entry, "operation"), "");
	const char *manager = str_or(json_get_string(entry, "manager"), "");
	bool embedded = !str_has_prefix(path_text(j->at), "metadata.");
	size_t length = path_member(j->at, "operation");
	if (embedded && !streq(operation, "Apply") && !streq(operation, "Update"))
		causes_add_string(j->causes, CAUSE_INVALID, path_text(j->at), operation,
				  "must be `Apply` or `Update`");
	path_back(j->at, length);
	path_member(j->at, "manager");
	if (strlen(manager) > MANAGER_NAME_MAX)
		causes_add(j->causes, CAUSE_TOO_LONG, path_text(j->at), NULL,
			   "may not be more than %d bytes", MANAGER_NAME_MAX);
	path_back(j->at, length);
}

static void validate_managers(const struct judge *j, const struct json *list)
{
	size_t i = 0;
	json_for_each(entry, list) {
		size_t length = path_index(j->at, i++);
		if (json_count(entry) > 0) /* [{}] forgets all */
			validate_manager(j, entry);
		path_back(j->at, length);
	}
}

static void validate_generation(const struct judge *j, const struct json *generation)
{
	int64_t number;
	if (json_int(generation, &number) && number < 0)
		causes_add_json(j->causes, CAUSE_INVALID, path_text(j->at), generation,
				"must be greater than or equal to 0");
}

void meta_validate_members(const struct json *meta, name_rule name, struct path *at,
			   struct causes *causes)
{
	static const struct {
		const char *key;
		void (*rule)(const struct judge *j, const struct json *value);
	} rows[] = {
		{ "generation", validate_generation },	 { "labels", validate_labels },
		{ "annotations", validate_annotations }, { "ownerReferences", validate_owners },
		{ "finalizers", validate_finalizers },	 { "managedFields", validate_managers },
	};
	const struct judge j = { at, causes };
	check_member(&j, meta, "name", name);
	check_member(&j, meta, "namespace", name_is_dns_label);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t length = path_member(at, rows[i].key);
		rows[i].rule(&j, json_get(meta, rows[i].key));
		path_back(at, length);
	}
}

static void validate_known_finalizers(const struct json *finalizers, struct causes *causes)
{
	static const char *const standard[] = { "kubernetes", "orphan", "foregroundDeletion" };
	size_t i = 0;
	json_for_each(f, finalizers) {
		char field[64];
		const char *name = json_string(f);
		bool known = strchr(name, '/');
		for (size_t k = 0; k < ARRAY_SIZE(standard); k++)
			known = known || streq(name, standard[k]);
		snprintf(field, sizeof(field), "metadata.finalizers[%zu]", i++);
		if (!known)
			causes_add_string(
				causes, CAUSE_INVALID, field, name,
				"name is neither a standard finalizer name nor is it fully qualified");
	}
}

void meta_validate(const struct json *now, name_rule name, bool short_finalizers,
		   struct causes *causes)
{
	const struct json *meta = json_get(now, "metadata");
	_cleanup_(path_done) struct path at = { 0 };
	path_member(&at, "metadata");
	/* generateName has become a name by now. */
	if (str_empty(json_get_string(meta, "name")))
		causes_add(causes, CAUSE_REQUIRED, "metadata.name", NULL,
			   "name or generateName is required");
	meta_validate_members(meta, name, &at, causes);
	if (!short_finalizers)
		validate_known_finalizers(json_get(meta, "finalizers"), causes);
}

static void validate_no_new_finalizers(const struct json *now, const struct json *old,
				       struct causes *causes)
{
	_cleanup_(strbuf_done) struct strbuf extra = { 0 };
	_cleanup_(map_done) struct map known = { 0 };
	json_for_each(f, json_get_path(old, "metadata.finalizers"))
		map_set(&known, json_string(f), (void *)f);
	json_for_each(f, json_get_path(now, "metadata.finalizers")) {
		if (map_get(&known, json_string(f)))
			continue;
		strbuf_adds(&extra, extra.len ? ", " : "");
		causes_quote(json_string(f), &extra);
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
	if (json_get_path_string(old, "metadata.deletionTimestamp"))
		validate_no_new_finalizers(now, old, causes);
}

/* --- what is the server's --- */

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
	struct json *meta = json_make_object(now, "metadata");
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
	struct json *list = json_get_mut(json_make_object(o, "metadata"), "finalizers");
	for (struct json *item = json_first_mut(list); item;) {
		struct json *next = json_next_mut(item);
		if (streq(json_string(item), name))
			json_remove_child(list, item);
		item = next;
	}
	if (json_count(list) == 0)
		json_remove(json_make_object(o, "metadata"), "finalizers");
}
