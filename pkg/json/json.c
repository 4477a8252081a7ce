/* Reading of JSON trees: a thin face over cJSON's nodes. Where cJSON counts in int, compares keys
 * without case or trusts doubles, this file does it itself. The tree owns all its strings; numbers
 * keep their text in valuestring, which cJSON frees and copies along. Pure. */

#include "json/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "json/internal.h"

/* Trees of Secrets are like any others: all are zeroed when they go. */
__attribute__((constructor)) static void zero_freed_nodes(void)
{
	cJSON_InitHooks(&(cJSON_Hooks){ .malloc_fn = malloc, .free_fn = zero_free });
}

struct json *json_free(struct json *j)
{
	cJSON_Delete(to_node(j));
	return NULL;
}

void json_freep(struct json **j)
{
	*j = json_free(*j);
}

void node_freep(cJSON **node)
{
	cJSON_Delete(*node);
	*node = NULL;
}

cJSON *node_dup(const cJSON *node)
{
	cJSON *copy = cJSON_Duplicate(node, true);
	if (!copy)
		abort();
	/* A copy stands alone: it is a member of nothing yet. */
	str_replace(&copy->string, NULL);
	return copy;
}

struct json *json_dup(const struct json *j)
{
	return j ? to_json(node_dup(to_cnode(j))) : NULL;
}

enum json_type json_type(const struct json *j)
{
	switch (node_type(to_cnode(j))) {
	case cJSON_True:
	case cJSON_False:
		return JSON_BOOL;
	case cJSON_Number:
		return JSON_NUMBER;
	case cJSON_String:
		return JSON_STRING;
	case cJSON_Array:
		return JSON_ARRAY;
	case cJSON_Object:
		return JSON_OBJECT;
	}
	return JSON_NULL;
}

bool json_is_object(const struct json *j)
{
	return node_type(to_cnode(j)) == cJSON_Object;
}

bool json_is_array(const struct json *j)
{
	return node_type(to_cnode(j)) == cJSON_Array;
}

bool json_is_string(const struct json *j)
{
	return node_type(to_cnode(j)) == cJSON_String;
}

bool json_is_null(const struct json *j)
{
	return json_type(j) == JSON_NULL;
}

cJSON *json_node_find(const cJSON *object, const char *key, size_t key_len)
{
	if (node_type(object) != cJSON_Object)
		return NULL;
	for (cJSON *child = object->child; child; child = child->next)
		if (strncmp(child->string, key, key_len) == 0 && child->string[key_len] == '\0')
			return child;
	return NULL;
}

const struct json *json_get(const struct json *object, const char *key)
{
	return to_cjson(json_node_find(to_cnode(object), key, strlen(key)));
}

const struct json *json_get_path(const struct json *object, const char *path)
{
	const cJSON *node = to_cnode(object);
	for (;;) {
		size_t len = strcspn(path, ".");
		node = json_node_find(node, path, len);
		if (path[len] == '\0')
			return to_cjson(node);
		path += len + 1;
	}
}

const struct json *json_at(const struct json *array, size_t index)
{
	if (!json_is_array(array))
		return NULL;
	const cJSON *child = to_cnode(array)->child;
	while (child && index-- > 0)
		child = child->next;
	return to_cjson(child);
}

size_t json_count(const struct json *j)
{
	size_t count = 0;
	json_for_each(child, j)
		count++;
	return count;
}

const struct json *json_first(const struct json *j)
{
	return j ? to_cjson(to_cnode(j)->child) : NULL;
}

const struct json *json_next(const struct json *child)
{
	return child ? to_cjson(to_cnode(child)->next) : NULL;
}

const char *json_key(const struct json *child)
{
	return child ? to_cnode(child)->string : NULL;
}

const char *json_string(const struct json *j)
{
	return json_is_string(j) ? to_cnode(j)->valuestring : NULL;
}

const char *json_number_text(const struct json *j)
{
	return json_type(j) == JSON_NUMBER ? to_cnode(j)->valuestring : NULL;
}

bool json_int(const struct json *j, int64_t *ret)
{
	const char *text = json_number_text(j);
	return text && decimal_to_int(text, ret);
}

bool json_double(const struct json *j, double *ret)
{
	const char *text = json_number_text(j);
	if (!text)
		return false;
	/* The grammar was checked at parsing; the program never leaves the C locale. */
	double value = strtod(text, NULL);
	if (!isfinite(value))
		return false;
	*ret = value;
	return true;
}

bool json_bool(const struct json *j, bool *ret)
{
	if (json_type(j) != JSON_BOOL)
		return false;
	*ret = node_type(to_cnode(j)) == cJSON_True;
	return true;
}

const char *json_get_string(const struct json *object, const char *key)
{
	return json_string(json_get(object, key));
}

const char *json_get_path_string(const struct json *object, const char *path)
{
	return json_string(json_get_path(object, path));
}

int64_t json_get_int(const struct json *object, const char *key, int64_t otherwise)
{
	int64_t value;
	return json_int(json_get(object, key), &value) ? value : otherwise;
}

bool json_get_bool(const struct json *object, const char *key, bool otherwise)
{
	bool value;
	return json_bool(json_get(object, key), &value) ? value : otherwise;
}

unsigned node_depth(const cJSON *node)
{
	int type = node_type(node);
	if (type != cJSON_Array && type != cJSON_Object)
		return 0;
	unsigned below = 0;
	for (const cJSON *child = node->child; child; child = child->next)
		below = MAX(below, node_depth(child));
	return below + 1;
}

static int compare_keys(const void *a, const void *b)
{
	const cJSON *const *x = a, *const *y = b;
	return strcmp((*x)->string, (*y)->string);
}

const cJSON **members_sort(const cJSON *object, size_t count)
{
	if (count == 0)
		return NULL;
	const cJSON **sorted = xreallocarray(NULL, count, sizeof(const cJSON *));
	size_t n = 0;
	for (const cJSON *child = object->child; child; child = child->next)
		sorted[n++] = child;
	qsort(sorted, n, sizeof(const cJSON *), compare_keys);
	return sorted;
}

void members_init(struct members *m, const cJSON *object)
{
	*m = (struct members){ .object = object, .count = json_count(to_cjson(object)) };
	if (m->count > SMALL_OBJECT)
		m->sorted = members_sort(object, m->count);
}

void members_done(struct members *m)
{
	free(m->sorted);
	*m = (struct members){ 0 };
}

cJSON *members_find(const struct members *m, const char *key)
{
	if (!m->sorted)
		return json_node_find(m->object, key, strlen(key));
	const cJSON probe = { .string = (char *)key }, *wanted = &probe;
	const cJSON **found = bsearch(&wanted, m->sorted, m->count, sizeof(const cJSON *),
				      compare_keys);
	return found ? (cJSON *)*found : NULL;
}

static bool equal_arrays(const cJSON *a, const cJSON *b)
{
	const cJSON *x = a->child, *y = b->child;
	for (; x && y; x = x->next, y = y->next)
		if (!json_equal(to_cjson(x), to_cjson(y)))
			return false;
	return !x && !y;
}

static bool equal_objects(const cJSON *a, const cJSON *b)
{
	const cJSON *x = a->child, *y = b->child;
	/* Nearly always the order is the same; only what remains is looked up. */
	for (; x && y && strcmp(x->string, y->string) == 0; x = x->next, y = y->next)
		if (!json_equal(to_cjson(x), to_cjson(y)))
			return false;
	if (!x || !y)
		return !x && !y;
	_cleanup_(members_done) struct members others;
	members_init(&others, b);
	bool equal = json_count(to_cjson(a)) == others.count;
	for (; x && equal; x = x->next) {
		y = members_find(&others, x->string);
		equal = y && json_equal(to_cjson(x), to_cjson(y));
	}
	return equal;
}

bool json_equal(const struct json *a, const struct json *b)
{
	const cJSON *x = to_cnode(a), *y = to_cnode(b);
	if (x == y)
		return true;
	if (node_type(x) != node_type(y))
		return false;
	switch (node_type(x)) {
	case cJSON_Number:
		return decimal_equal(x->valuestring, y->valuestring);
	case cJSON_String:
		return strcmp(x->valuestring, y->valuestring) == 0;
	case cJSON_Array:
		return equal_arrays(x, y);
	case cJSON_Object:
		return equal_objects(x, y);
	}
	return true;
}
