/* PATCH: the present object, changed by a JSON patch, a merge patch or (built-in kinds) a strategic
 * merge patch, is updated as if the client had sent the outcome. A resourceVersion in the patch is
 * a condition; without one the patch applies to whatever is there. Server-side apply is in
 * server_apply.c. */

#include <stdlib.h>
#include <string.h>

#include "apiserver/internal.h"
#include "base/mem.h"
#include "json/patch.h"

enum patch_type { PATCH_JSON, PATCH_MERGE, PATCH_STRATEGIC };

static const struct {
	const char *media;
	enum patch_type type;
} media_types[] = {
	{ "application/json-patch+json", PATCH_JSON },
	{ "application/merge-patch+json", PATCH_MERGE },
	{ "application/strategic-merge-patch+json", PATCH_STRATEGIC },
};

static int unsupported(struct answer *out, bool strategic)
{
	return fail(
		out, 415, "UnsupportedMediaType",
		"the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json%s, application/apply-patch+yaml",
		strategic ? ", application/strategic-merge-patch+json" : "");
}

static int patch_type(const struct request *in, struct answer *out, enum patch_type *ret)
{
	const char *given = in->http->content_type;
	size_t len = strcspn(given, "; ");
	bool strategic = !resource_is(in->resource, RESOURCE_CUSTOM);
	for (size_t i = 0; i < ARRAY_SIZE(media_types); i++) {
		if (strlen(media_types[i].media) != len ||
		    strncmp(given, media_types[i].media, len) != 0)
			continue;
		if (media_types[i].type == PATCH_STRATEGIC && !strategic)
			break;
		*ret = media_types[i].type;
		return 0;
	}
	return unsupported(out, strategic);
}

/* Upstream ends after "request"; the reason helps. */
static int rejected(struct answer *out, const struct err *err)
{
	return fail(out, 422, "Invalid",
		    "the server rejected our request due to an error in our request: %s",
		    err->text);
}

/* Into a typed object, which cannot become one of another kind. */
static int apply_strategic(const struct request *in, struct answer *out, const struct json *patch,
			   struct json *tree)
{
	struct err err;
	if (strategic_merge(tree, patch, &err) < 0)
		return rejected(out, &err);
	json_set_string(tree, "apiVersion", in->resource->api_version);
	json_set_string(tree, "kind", in->resource->kind);
	return 0;
}

static bool is_list_of_objects(const struct json *j)
{
	json_for_each(item, j)
		if (!json_is_object(item))
			return false;
	return json_is_array(j);
}

/* As Go's decoder calls it. */
static const char *go_kind(const struct json *j)
{
	switch (json_type(j)) {
	case JSON_NULL:
		return "null";
	case JSON_BOOL:
		return "bool";
	case JSON_NUMBER:
		return "number";
	case JSON_STRING:
		return "string";
	case JSON_ARRAY:
		return "array";
	case JSON_OBJECT:
		return "object";
	}
	return "";
}

static int apply(const struct request *in, struct answer *out, enum patch_type type,
		 const struct json *patch, struct json **tree)
{
	struct err err;
	switch (type) {
	case PATCH_JSON:
		if (!is_list_of_objects(patch))
			return fail(
				out, 400, "BadRequest",
				"json: cannot unmarshal the body into Go value of type jsonpatch.Patch");
		return json_patch(tree, patch, &err) < 0 ? rejected(out, &err) : 0;
	case PATCH_MERGE:
	case PATCH_STRATEGIC:
		if (!json_is_object(patch))
			return fail(
				out, 400, "BadRequest",
				"%sjson: cannot unmarshal %s into Go value of type map[string]interface {}",
				type == PATCH_MERGE ? "error decoding patch: " : "",
				go_kind(patch));
		if (type == PATCH_STRATEGIC)
			return apply_strategic(in, out, patch, *tree);
		json_merge_patch(tree, patch);
		return 0;
	}
	return 0;
}

/* A patch that leaves out what names the object does not mean to rename it. */
static int check_patched(const struct request *in, struct answer *out, const struct object *old,
			 struct json *tree)
{
	if (!json_is_object(tree))
		return fail(out, 422, "Invalid", "the patch does not leave an object");
	int result = decode_patched(in, out, in->resource, tree);
	if (result < 0)
		return result;
	if (*object_name(tree) == '\0')
		return fail(
			out, 400, "BadRequest",
			"the name of the object (%s based on URL) was undeterminable: name must be provided",
			in->name);
	if (!streq(object_name(tree), object_name(old->tree)))
		return fail(out, 400, "BadRequest",
			    "the name of the object (%s) does not match the name on the URL (%s)",
			    object_name(tree), in->name);
	if (!streq(object_ns(tree), object_ns(old->tree)))
		return fail(
			out, 400, "BadRequest",
			"the namespace of the provided object does not match the namespace sent on the request");
	return 0;
}

/* The patch is applied to the version that was asked for, and the outcome read like any body. */
static int patch_object(struct apiserver *s, const struct request *in, struct answer *out,
			enum patch_type type, const struct json *patch, const struct object *old)
{
	_cleanup_(json_freep) struct json *tree = json_dup(old->tree);
	int result = apply(in, out, type, patch, &tree);
	if (result == 0)
		result = check_patched(in, out, old, tree);
	if (result == 0)
		result = write_update(s, in, out, in->resource, old, &tree, part_of_call(in), NULL);
	if (result == 0)
		object_answer(s, in, out, 200, in->resource, tree);
	return result;
}

int patch_tree(const struct request *in, struct answer *out, struct json **tree)
{
	enum patch_type type = (enum patch_type)0;
	struct err err;
	_cleanup_(json_freep) struct json *patch = NULL;
	if (patch_type(in, out, &type) < 0)
		return ANSWERED;
	if (json_parse(in->http->body, in->http->body_len, &patch, &err) < 0)
		return fail(out, 400, "BadRequest", "error decoding patch: %s", err.text);
	if (apply(in, out, type, patch, tree) < 0)
		return ANSWERED;
	return json_is_object(*tree)
		       ? 0
		       : fail(out, 422, "Invalid", "the patch does not leave an object");
}

static bool is_apply(const struct request *in)
{
	static const char media[] = "application/apply-patch+yaml";
	size_t len = strcspn(in->http->content_type, "; ");
	return len == strlen(media) && strncmp(in->http->content_type, media, len) == 0;
}

int verb_patch(struct apiserver *s, const struct request *in, struct answer *out)
{
	enum patch_type type = (enum patch_type)0;
	struct err err;
	_cleanup_(json_freep) struct json *patch = NULL;
	if (is_apply(in))
		return verb_apply(s, in, out);
	int result = patch_type(in, out, &type);
	if (result == 0)
		result = own_check_query(in, out, false);
	if (result < 0)
		return result;
	if (json_parse(in->http->body, in->http->body_len, &patch, &err) < 0)
		return fail(out, 400, "BadRequest", "error decoding patch: %s", err.text);
	struct object old = { 0 };
	result = object_load(s, in, out, in->resource, in->ns, in->name, &old);
	if (result == 0)
		return fail_not_found(out, in->resource, in->name);
	if (result > 0)
		result = patch_object(s, in, out, type, patch, &old);
	object_done(&old);
	return result;
}
