/* Making and changing JSON trees. A value handed in belongs to the tree from then on; a value taken
 * out belongs to the caller and no longer has a key. Writing into what is not an object or an array
 * does nothing but free the value: the shape of a peer's tree is no reason to crash. Pure. */

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "json/internal.h"
#include "json/json.h"

cJSON *node_new(int type)
{
	cJSON *node = xcalloc(1, sizeof(*node));
	node->type = type;
	return node;
}

/* As cJSON does: the first child's prev is the last child. */
void node_append(cJSON *parent, cJSON *child)
{
	cJSON *first = parent->child;
	if (!first) {
		parent->child = child->prev = child;
		return;
	}
	child->prev = first->prev;
	first->prev->next = child;
	first->prev = child;
}

/* Trees hold valid UTF-8 only, so that what we print is always JSON, whatever a BMC called its fan.
 */
static char *dup_utf8(const char *s)
{
	size_t len = strlen(s);
	return utf8_valid_len(s, len) == len ? xmemdup(s, len + 1) : utf8_repair(s);
}

static void set_key(cJSON *node, const char *key)
{
	char *copy = key ? dup_utf8(key) : NULL;
	free(node->string);
	node->string = copy;
}

void node_add_member(cJSON *object, const char *key, cJSON *child)
{
	set_key(child, key);
	node_append(object, child);
}

void node_replace(cJSON *parent, cJSON *old, cJSON *value)
{
	free(value->string);
	value->string = TAKE_PTR(old->string);
	cJSON_ReplaceItemViaPointer(parent, old, value);
}

cJSON *node_detach(cJSON *parent, cJSON *child)
{
	cJSON_DetachItemViaPointer(parent, child);
	set_key(child, NULL);
	return child;
}

struct json *json_new_object(void)
{
	return to_json(node_new(cJSON_Object));
}

struct json *json_new_array(void)
{
	return to_json(node_new(cJSON_Array));
}

struct json *json_new_null(void)
{
	return to_json(node_new(cJSON_NULL));
}

struct json *json_new_bool(bool v)
{
	return to_json(node_new(v ? cJSON_True : cJSON_False));
}

struct json *json_new_string(const char *s)
{
	if (!s)
		return json_new_null();
	cJSON *node = node_new(cJSON_String);
	node->valuestring = dup_utf8(s);
	return to_json(node);
}

struct json *json_new_int(int64_t v)
{
	cJSON *node = node_new(cJSON_Number);
	node->valuestring = xasprintf("%" PRId64, v);
	return to_json(node);
}

/* The shortest of the usual lengths that reads back as the same double. JSON has no NaN and no
 * infinity; as in JavaScript they become null. */
struct json *json_new_double(double v)
{
	if (!isfinite(v))
		return json_new_null();
	char text[32];
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	cJSON *node = node_new(cJSON_Number);
	node->valuestring = xstrdup(text);
	return to_json(node);
}

struct json *json_get_mut(struct json *object, const char *key)
{
	return (struct json *)json_get(object, key);
}

struct json *json_at_mut(struct json *array, size_t index)
{
	return (struct json *)json_at(array, index);
}

struct json *json_first_mut(struct json *j)
{
	return (struct json *)json_first(j);
}

struct json *json_next_mut(struct json *child)
{
	return (struct json *)json_next(child);
}

struct json *json_set(struct json *object, const char *key, struct json *value)
{
	if (!json_is_object(object))
		return json_free(value);
	if (!value) {
		json_remove(object, key);
		return NULL;
	}
	cJSON *old = to_node(json_get_mut(object, key));
	if (old == to_node(value))
		return value;
	if (old)
		node_replace(to_node(object), old, to_node(value));
	else
		node_add_member(to_node(object), key, to_node(value));
	return value;
}

struct json *json_add(struct json *object, const char *key, struct json *value)
{
	if (!json_is_object(object) || !value)
		return json_free(value);
	node_add_member(to_node(object), key, to_node(value));
	return value;
}

struct json *json_replace_child(struct json *parent, struct json *child, struct json *value)
{
	node_replace(to_node(parent), to_node(child), to_node(value));
	return value;
}

void json_remove_child(struct json *parent, struct json *child)
{
	json_free(to_json(node_detach(to_node(parent), to_node(child))));
}

void json_set_string(struct json *object, const char *key, const char *s)
{
	json_set(object, key, s ? json_new_string(s) : NULL);
}

void json_set_int(struct json *object, const char *key, int64_t v)
{
	json_set(object, key, json_new_int(v));
}

void json_set_bool(struct json *object, const char *key, bool v)
{
	json_set(object, key, json_new_bool(v));
}

struct json *json_make_object(struct json *object, const char *key)
{
	struct json *member = json_get_mut(object, key);
	return json_is_object(member) ? member : json_set(object, key, json_new_object());
}

struct json *json_append(struct json *array, struct json *value)
{
	if (!json_is_array(array) || !value)
		return json_free(value);
	set_key(to_node(value), NULL);
	node_append(to_node(array), to_node(value));
	return value;
}

/* Not by cJSON_InsertItemInArray: with the fix for CVE-2023-50472 as Debian 12 has it
 * (from 1.7.17), that refuses every place but the first and the last. */
static void insert_before(cJSON *array, cJSON *after, cJSON *value)
{
	value->next = after;
	value->prev = after->prev;
	after->prev = value;
	if (after == array->child)
		array->child = value;
	else
		value->prev->next = value;
}

void json_insert(struct json *array, size_t index, struct json *value)
{
	struct json *after = json_at_mut(array, index);
	if (!after || !value) {
		json_append(array, value);
		return;
	}
	set_key(to_node(value), NULL);
	insert_before(to_node(array), to_node(after), to_node(value));
}

struct json *json_take(struct json *object, const char *key)
{
	struct json *member = json_get_mut(object, key);
	return member ? to_json(node_detach(to_node(object), to_node(member))) : NULL;
}

struct json *json_take_at(struct json *array, size_t index)
{
	struct json *element = json_at_mut(array, index);
	return element ? to_json(node_detach(to_node(array), to_node(element))) : NULL;
}

void json_remove(struct json *object, const char *key)
{
	json_free(json_take(object, key));
}
