/* Strategic merge patch for the built-in kinds: a merge patch that knows which lists are sets or
 * maps, with the directives $patch, $retainKeys, $deleteFromPrimitiveList and $setElementOrder
 * (k8s.io/apimachinery/pkg/util/strategicpatch). Our kinds have few such lists, so a table of names
 * does. */

#include <string.h>

#include "apiserver/internal.h"
#include "base/mem.h"

#define ORDER_PREFIX  "$setElementOrder/"
#define DELETE_PREFIX "$deleteFromPrimitiveList/"

/* key NULL: a list of scalars that is merged as a set. */
static const struct {
	const char *field, *key;
} merged_lists[] = {
	{ "finalizers", NULL },
	{ "ownerReferences", "uid" },
	{ "conditions", "type" },
};

static int merge_object(struct json *target, const struct json *patch, unsigned depth,
			struct err *err);

static bool contains(const struct json *list, const struct json *value)
{
	json_for_each(item, list)
		if (json_equal(item, value))
			return true;
	return false;
}

static struct json *find_by_key(struct json *list, const char *key, const struct json *like,
				size_t *ret_at)
{
	size_t at = 0;
	for (struct json *item = json_first_mut(list); item; item = json_next_mut(item), at++)
		if (json_get(item, key) && json_equal(json_get(item, key), json_get(like, key))) {
			*ret_at = at;
			return item;
		}
	return NULL;
}

enum { COMPARISONS_MAX = 10 * 1000 * 1000 };

/* Each is compared with each. */
static int afford(const struct json *a, const struct json *b, struct err *err)
{
	if (json_count(a) <= COMPARISONS_MAX / MAX(json_count(b), (size_t)1))
		return 0;
	return err_set(err, ERR_LIMIT, "applying the patch would take too many operations");
}

/* A set: what is there stays, in its place. */
static void merge_scalars(struct json *list, const struct json *patch)
{
	json_for_each(item, patch)
		if (!contains(list, item))
			json_append(list, json_dup(item));
}

static int merge_item(struct json *list, const struct json *item, const char *key, unsigned depth,
		      struct err *err)
{
	size_t at = 0;
	struct json *found = find_by_key(list, key, item, &at);
	if (streq(json_get_string(item, "$patch"), "delete")) {
		if (found)
			json_free(json_take_at(list, at));
		return 0;
	}
	if (!json_get(item, key))
		return err_set(err, ERR_INVALID, "map: %s does not contain declared merge key: %s",
			       "item", key);
	if (found)
		return merge_object(found, item, depth + 1, err);
	json_append(list, json_dup(item));
	return 0;
}

/* An item {"$patch": "replace"} speaks for the whole list. */
static bool replaces_list(const struct json *patch)
{
	json_for_each(item, patch)
		if (streq(json_get_string(item, "$patch"), "replace"))
			return true;
	return false;
}

/* The patch's own items, without directives. */
static struct json *plain_items(const struct json *patch)
{
	struct json *list = json_new_array();
	json_for_each(item, patch)
		if (!json_get(item, "$patch"))
			json_append(list, json_dup(item));
	return list;
}

static int merge_list(struct json *target, const char *name, const char *key,
		      const struct json *patch, unsigned depth, struct err *err)
{
	struct json *list = json_get_mut(target, name);
	if (!json_is_array(list) || replaces_list(patch)) {
		json_set(target, name, plain_items(patch));
		return 0;
	}
	if (afford(list, patch, err) < 0 || afford(patch, patch, err) < 0)
		return err_value(err);
	if (!key) {
		merge_scalars(list, patch);
		return 0;
	}
	json_for_each(item, patch) {
		int r = merge_item(list, item, key, depth, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static void delete_scalars(struct json *list, const struct json *gone)
{
	for (struct json *item = json_first_mut(list); item;) {
		struct json *next = json_next_mut(item);
		if (contains(gone, item))
			json_remove_child(list, item);
		item = next;
	}
}

static bool is_directive(const char *key)
{
	/* Order matters in none of our lists. */
	return str_has_prefix(key, DELETE_PREFIX) || str_has_prefix(key, ORDER_PREFIX) ||
	       streq(key, "$patch") || streq(key, "$retainKeys");
}

static int follow(struct json *target, const struct json *member, struct err *err)
{
	const char *key = json_key(member);
	if (!str_has_prefix(key, DELETE_PREFIX))
		return 0;
	struct json *list = json_get_mut(target, key + strlen(DELETE_PREFIX));
	int r = afford(list, member, err);
	if (r == 0)
		delete_scalars(list, member);
	return r;
}

/* Lists that the table does not name are replaced, as in a merge patch. */
static int merge_member(struct json *target, const struct json *member, unsigned depth,
			struct err *err)
{
	const char *key = json_key(member);
	struct json *old = json_get_mut(target, key);
	if (json_is_null(member)) {
		json_remove(target, key);
		return 0;
	}
	if (json_is_object(member)) {
		if (!json_is_object(old))
			json_set(target, key, json_new_object());
		return merge_object(json_get_mut(target, key), member, depth + 1, err);
	}
	for (size_t i = 0; json_is_array(member) && i < ARRAY_SIZE(merged_lists); i++)
		if (streq(key, merged_lists[i].field))
			return merge_list(target, key, merged_lists[i].key, member, depth, err);
	json_set(target, key, json_dup(member));
	return 0;
}

static void retain_keys(struct json *target, const struct json *keys)
{
	for (struct json *child = json_first_mut(target); child;) {
		struct json *next = json_next_mut(child);
		_cleanup_(json_freep) struct json *name = json_new_string(json_key(child));
		if (!contains(keys, name))
			json_remove_child(target, child);
		child = next;
	}
}

static int merge_object(struct json *target, const struct json *patch, unsigned depth,
			struct err *err)
{
	const char *how = json_get_string(patch, "$patch");
	if (depth > JSON_DEPTH_MAX)
		return err_set(err, ERR_LIMIT, "the patch is nested too deeply");
	if (how && !streq(how, "replace") && !streq(how, "delete") && !streq(how, "merge"))
		return err_set(err, ERR_INVALID, "Wrong patch type [%s] in the patch", how);
	if (streq(how, "replace") || streq(how, "delete"))
		while (json_first(target))
			json_remove(target, json_key(json_first(target)));
	if (streq(how, "delete"))
		return 0;
	const struct json *keys = json_get(patch, "$retainKeys");
	if (afford(target, patch, err) < 0 || afford(patch, patch, err) < 0 ||
	    afford(target, keys, err) < 0)
		return err_value(err);
	if (json_is_array(keys))
		retain_keys(target, keys);
	json_for_each(member, patch) {
		int r = is_directive(json_key(member)) ? follow(target, member, err)
						       : merge_member(target, member, depth, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int strategic_merge(struct json *target, const struct json *patch, struct err *err)
{
	return merge_object(target, patch, 0, err);
}
