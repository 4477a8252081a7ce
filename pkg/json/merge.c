/* JSON merge patch, RFC 7396: applying one, and finding the one that leads from here to there.
 * The format cannot say "set to null", so a null on the wanted side counts as absent. Depth never
 * grows: neither side is nested deeper than the parser allows. Pure. */

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "json/internal.h"
#include "json/patch.h"

static void merge_object(cJSON *target, const cJSON *patch);

/* What a patch makes of nothing: a copy, without the nulls that objects in it hold. */
static cJSON *made_of_patch(const cJSON *patch)
{
	if (node_type(patch) != cJSON_Object)
		return node_dup(patch);
	cJSON *made = node_new(cJSON_Object);
	merge_object(made, patch);
	return made;
}

static void merge_member(cJSON *object, cJSON *old, const cJSON *patch)
{
	int type = node_type(patch);
	if (type == cJSON_NULL) {
		if (old)
			cJSON_Delete(node_detach(object, old));
	} else if (!old) {
		node_add_member(object, patch->string, made_of_patch(patch));
	} else if (type == cJSON_Object && node_type(old) == cJSON_Object) {
		merge_object(old, patch);
	} else {
		node_replace(object, old, made_of_patch(patch));
	}
}

/* The member of target that each member of patch speaks of. All lookups come before the first
 * change, because the index knows only the members that stand now. */
static cJSON **pair_members(cJSON *target, const cJSON *patch)
{
	size_t n = 0;
	cJSON **olds = xreallocarray(NULL, json_count(to_cjson(patch)), sizeof(cJSON *));
	_cleanup_(members_done) struct members members;
	members_init(&members, target);
	for (const cJSON *p = patch->child; p; p = p->next)
		olds[n++] = members_find(&members, p->string);
	return olds;
}

static void merge_object(cJSON *target, const cJSON *patch)
{
	size_t n = 0;
	_cleanup_(freep) cJSON **olds = pair_members(target, patch);
	for (const cJSON *p = patch->child; p; p = p->next)
		merge_member(target, olds[n++], p);
}

void json_merge_patch(struct json **target, const struct json *patch)
{
	if (json_is_object(*target) && json_is_object(patch)) {
		merge_object(to_node(*target), to_cnode(patch));
		return;
	}
	struct json *made = patch ? to_json(made_of_patch(to_cnode(patch))) : json_new_null();
	json_free(*target);
	*target = made;
}

static cJSON *diff_objects(const cJSON *from, const cJSON *to);

/* NULL when the member need not change. */
static cJSON *diff_member(const cJSON *from, const cJSON *to)
{
	if (!from)
		return node_type(to) == cJSON_NULL ? NULL : made_of_patch(to);
	if (node_type(from) == cJSON_Object && node_type(to) == cJSON_Object)
		return diff_objects(from, to);
	return json_equal(to_cjson(from), to_cjson(to)) ? NULL : made_of_patch(to);
}

static void diff_removed(const cJSON *from, const cJSON *to, cJSON *diff)
{
	_cleanup_(members_done) struct members kept;
	members_init(&kept, to);
	for (const cJSON *f = from->child; f; f = f->next)
		if (!members_find(&kept, f->string))
			node_add_member(diff, f->string, node_new(cJSON_NULL));
}

/* NULL when nothing differs. */
static cJSON *diff_objects(const cJSON *from, const cJSON *to)
{
	_cleanup_(node_freep) cJSON *diff = node_new(cJSON_Object);
	_cleanup_(members_done) struct members olds;
	members_init(&olds, from);
	diff_removed(from, to, diff);
	for (const cJSON *t = to->child; t; t = t->next) {
		cJSON *change = diff_member(members_find(&olds, t->string), t);
		if (change)
			node_add_member(diff, t->string, change);
	}
	return diff->child ? TAKE_PTR(diff) : NULL;
}

struct json *json_merge_diff(const struct json *from, const struct json *to)
{
	if (json_is_object(from) && json_is_object(to))
		return to_json(diff_objects(to_cnode(from), to_cnode(to)));
	if (json_equal(from, to))
		return NULL;
	return to ? to_json(made_of_patch(to_cnode(to))) : json_new_null();
}
