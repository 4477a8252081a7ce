/* Pruning and defaulting. Both walk the object along the schema; what the schema leaves open
 * (x-kubernetes-preserve-unknown-fields, no type) is not entered. Pure. */

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "schema/schema_internal.h"

enum { UNKNOWN_MAX = 100 };

void unknown_fields_done(struct unknown_fields *u)
{
	for (size_t i = 0; i < u->count; i++)
		free(u->items[i]);
	free(u->items);
	*u = (struct unknown_fields){ 0 };
}

void unknown_fields_add(struct unknown_fields *u, const char *field)
{
	if (!u || u->count == UNKNOWN_MAX)
		return;
	u->items = xreallocarray(u->items, u->count + 1, sizeof(*u->items));
	u->items[u->count++] = xstrdup(field);
}

struct pruner {
	struct path path;
	struct unknown_fields *unknown;
};

static void prune(struct pruner *p, const struct schema *s, struct json *value, bool root);

/* Never pruned, at the top and in embedded resources: meta.c sees to them. */
static bool is_resource_member(const char *key)
{
	return streq(key, "apiVersion") || streq(key, "kind") || streq(key, "metadata");
}

/* NULL when the schema says nothing of the member. */
static const struct schema *member_schema(const struct schema *s, const char *key)
{
	const struct schema *member = schema_property(s, key);
	return member ? member : s->additional;
}

static void prune_member(struct pruner *p, const struct schema *s, struct json *object,
			 struct json *child, bool resource)
{
	const char *key = json_key(child);
	if (resource && is_resource_member(key))
		return;
	const struct schema *member = member_schema(s, key);
	size_t length = path_member(&p->path, key);
	if (member) {
		prune(p, member, child, false);
	} else if (!s->preserve_unknown && !s->additional_any) {
		unknown_fields_add(p->unknown, path_text(&p->path));
		json_remove_child(object, child);
	}
	path_back(&p->path, length);
}

static void prune_object(struct pruner *p, const struct schema *s, struct json *object,
			 bool resource)
{
	for (struct json *child = json_first_mut(object); child;) {
		struct json *next = json_next_mut(child);
		prune_member(p, s, object, child, resource);
		child = next;
	}
}

static void prune_array(struct pruner *p, const struct schema *s, struct json *array)
{
	size_t i = 0;
	for (struct json *item = json_first_mut(array); item; item = json_next_mut(item)) {
		size_t length = path_index(&p->path, i++);
		prune(p, s->items, item, false);
		path_back(&p->path, length);
	}
}

/* Values of another type than the schema's are left alone: validation will say it. */
static void prune(struct pruner *p, const struct schema *s, struct json *value, bool root)
{
	if (json_is_object(value) && (s->type == TYPE_OBJECT || s->property_count || s->additional))
		prune_object(p, s, value, root || s->embedded);
	else if (json_is_array(value) && s->items)
		prune_array(p, s, value);
}

void schema_prune(const struct schema *s, struct json *object, struct unknown_fields *unknown)
{
	struct pruner p = { .unknown = unknown };
	prune(&p, s, object, true);
	path_done(&p.path);
}

/* --- objects inside objects --- */

struct visitor {
	struct path path;
	schema_embedded_fn fn;
	void *data;
};

static bool visit(struct visitor *v, const struct schema *s, struct json *value);

static bool visit_members(struct visitor *v, const struct schema *s, struct json *object)
{
	bool on = true;
	for (struct json *child = json_first_mut(object); child && on;
	     child = json_next_mut(child)) {
		const struct schema *member = member_schema(s, json_key(child));
		size_t length = path_member(&v->path, json_key(child));
		on = !member || visit(v, member, child);
		path_back(&v->path, length);
	}
	return on;
}

static bool visit_items(struct visitor *v, const struct schema *s, struct json *array)
{
	size_t i = 0;
	bool on = true;
	for (struct json *item = json_first_mut(array); item && on; item = json_next_mut(item)) {
		size_t length = path_index(&v->path, i++);
		on = visit(v, s, item);
		path_back(&v->path, length);
	}
	return on;
}

static bool visit(struct visitor *v, const struct schema *s, struct json *value)
{
	if (!s->holds_embedded)
		return true;
	if (json_is_array(value))
		return !s->items || visit_items(v, s->items, value);
	if (!json_is_object(value))
		return true;
	if (s->embedded && !v->fn(v->data, value, path_text(&v->path)))
		return false;
	return visit_members(v, s, value);
}

void schema_each_embedded(const struct schema *s, struct json *object, schema_embedded_fn fn,
			  void *data)
{
	struct visitor v = { .fn = fn, .data = data };
	visit(&v, s, object);
	path_done(&v.path);
}

/* --- defaults --- */

/* A null that is not allowed counts as absent: the default takes its place, or nothing. */
static void drop_nulls(const struct schema *s, struct json *object)
{
	for (struct json *child = json_first_mut(object); child;) {
		struct json *next = json_next_mut(child);
		const struct schema *member = json_is_null(child)
						      ? member_schema(s, json_key(child))
						      : NULL;
		if (member && !member->nullable && member->type != TYPE_ANY)
			json_remove_child(object, child);
		child = next;
	}
}

static bool fill(struct schema_budget *left, const struct schema *s, struct json *value);

enum { VALUE_BYTES = 96 }; /* making one, or copying so much text, is a unit of work */

static bool take(size_t *left, size_t much)
{
	bool enough = much <= *left;
	*left -= MIN(much, *left);
	return enough;
}

/* Each property is looked for among the members. */
static bool fill_members(struct schema_budget *left, const struct schema *s, struct json *object)
{
	size_t members = json_count(object);
	for (size_t i = 0; i < s->property_count; i++) {
		const struct schema_property *p = &s->properties[i];
		if (!take(&left->work, 1))
			return false;
		if (!p->schema->default_value)
			continue;
		if (!take(&left->work, members++ / 4))
			return false;
		if (json_get(object, p->name))
			continue;
		if (!take(&left->bytes, p->schema->default_bytes) ||
		    !take(&left->work, p->schema->default_bytes / VALUE_BYTES))
			return false;
		json_set(object, p->name, json_dup(p->schema->default_value));
	}
	return true;
}

/* Defaults first, then into the members, so that a default object gets its own members' defaults.
 */
static bool fill_object(struct schema_budget *left, const struct schema *s, struct json *object)
{
	bool on = true;
	drop_nulls(s, object);
	if (!fill_members(left, s, object))
		return false;
	for (struct json *child = json_first_mut(object); child && on;
	     child = json_next_mut(child)) {
		const struct schema *member = member_schema(s, json_key(child));
		on = !member || fill(left, member, child);
	}
	return on;
}

static bool fill(struct schema_budget *left, const struct schema *s, struct json *value)
{
	bool on = take(&left->work, 1);
	if (on && json_is_object(value))
		return fill_object(left, s, value);
	if (!json_is_array(value) || !s->items)
		return on;
	for (struct json *item = json_first_mut(value); item && on; item = json_next_mut(item))
		on = fill(left, s->items, item);
	return on;
}

bool schema_default(const struct schema *s, struct json *value, struct schema_budget *left)
{
	return fill(left, s, value);
}

/* --- nulls in maps --- */

static bool is_map_of_text(const struct schema *s)
{
	return !s->property_count && s->additional && s->additional->type == TYPE_STRING &&
	       !s->additional->nullable;
}

void schema_fill_nulls(const struct schema *s, struct json *object)
{
	bool map = is_map_of_text(s);
	for (struct json *child = json_first_mut(object); child; child = json_next_mut(child)) {
		const struct schema *member = member_schema(s, json_key(child));
		if (map && json_is_null(child))
			child = json_replace_child(object, child, json_new_string(""));
		else if (member && json_is_object(child))
			schema_fill_nulls(member, child);
	}
}

/* --- what is empty --- */

static bool goes_when_empty(const struct schema *s, const struct json *value)
{
	bool map = json_is_object(value) && !s->property_count &&
		   (s->additional || s->additional_any);
	return json_count(value) == 0 && (map || (json_is_array(value) && s->type == TYPE_ARRAY));
}

void schema_drop_empty(const struct schema *s, struct json *object)
{
	for (struct json *child = json_first_mut(object); child;) {
		struct json *next = json_next_mut(child);
		const struct schema *member = member_schema(s, json_key(child));
		if (member && goes_when_empty(member, child))
			json_remove_child(object, child);
		else if (member && json_is_object(child))
			schema_drop_empty(member, child);
		child = next;
	}
}
