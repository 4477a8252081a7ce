/* /scale of custom kinds: the count of replicas as an object of its own (autoscaling/v1, Scale), so
 * that kubectl scale and autoscalers need not know the kind. Nothing is stored: a Scale is read out
 * of the object by the paths that its definition names, and a write to it is an update of the one
 * field, under the resourceVersion that the Scale carries. Runs on the server's loop. */

#include <stdint.h>
#include <string.h>

#include "apiserver/internal.h"
#include "base/mem.h"

#define SCALE_VERSION "autoscaling/v1"

/* Paths are ".spec.replicas" in definitions. */
static const struct json *find(const struct json *object, const char *path)
{
	return path ? json_get_path(object, path + 1) : NULL;
}

/* Makes the objects on the way. */
static void set_int(struct json *object, const char *path, int64_t value)
{
	const char *name = path + 1, *dot;
	while ((dot = strchr(name, '.'))) {
		_cleanup_(freep) char *member = xstrndup(name, (size_t)(dot - name));
		object = json_make_object(object, member);
		name = dot + 1;
	}
	json_set_int(object, name, value);
}

static int64_t int_at(const struct json *object, const char *path)
{
	int64_t value = 0;
	json_int(find(object, path), &value);
	return value;
}

static void copy_meta(struct json *to, const struct json *object)
{
	static const char *const keys[] = { "name", "namespace", "uid", "resourceVersion",
					    "creationTimestamp" };
	struct json *meta = json_make_object(to, "metadata");
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const struct json *value = json_get(json_get(object, "metadata"), keys[i]);
		if (value)
			json_set(meta, keys[i], json_dup(value));
	}
}

static struct json *scale_of(const struct resource *r, const struct json *object)
{
	struct json *scale = json_new_object();
	json_set_string(scale, "kind", "Scale");
	json_set_string(scale, "apiVersion", SCALE_VERSION);
	copy_meta(scale, object);
	struct json *spec = json_make_object(scale, "spec");
	int64_t replicas = int_at(object, r->scale.spec_path);
	if (replicas != 0) /* as Go's omitempty */
		json_set_int(spec, "replicas", replicas);
	struct json *status = json_make_object(scale, "status");
	json_set_int(status, "replicas", int_at(object, r->scale.status_path));
	const char *selector = json_string(find(object, r->scale.selector_path));
	if (!str_empty(selector))
		json_set_string(status, "selector", selector);
	return scale;
}

/* What the decoder of a Scale would say, or NULL. */
static char *shape_fault(const struct json *scale)
{
	const struct json *replicas = json_get_path(scale, "spec.replicas");
	const char *kind = str_or(json_get_string(scale, "kind"), "");
	const char *version = str_or(json_get_string(scale, "apiVersion"), "");
	int64_t count = 0;
	if (!streq(kind, "Scale") || !streq(version, SCALE_VERSION))
		return xasprintf("the body of a scale request is a Scale of " SCALE_VERSION
				 ", not %s of %s",
				 *kind ? kind : "nothing", *version ? version : "no version");
	if ((!json_is_null(replicas) && !json_int(replicas, &count)) || count > INT32_MAX ||
	    count < INT32_MIN)
		return xstrdup(
			"Scale in version \"v1\" cannot be handled as a Scale: spec.replicas must be an int32");
	return NULL;
}

static int check_replicas(struct answer *out, const struct json *scale)
{
	if (int_at(scale, ".spec.replicas") >= 0)
		return 0;
	struct causes causes = { 0 };
	causes_add_json(&causes, CAUSE_INVALID, "spec.replicas",
			json_get_path(scale, "spec.replicas"),
			"must be greater than or equal to 0");
	int result = fail_scale(out, object_name(scale), &causes);
	causes_done(&causes);
	return result;
}

static int check_scale(const struct request *in, struct answer *out, const struct json *scale,
		       bool patched)
{
	_cleanup_(freep) char *wrong = shape_fault(scale);
	_cleanup_(freep) char *outcome = wrong ? json_to_string(scale) : NULL;
	if (wrong)
		return patched ? fail_patch(out, outcome, wrong)
			       : fail(out, 400, "BadRequest", "%s", wrong);
	if (!streq(object_name(scale), in->name))
		return fail(out, 400, "BadRequest",
			    "the name of the object (%s) does not match the name on the URL (%s)",
			    object_name(scale), in->name);
	return check_replicas(out, scale);
}

/* The Scale's version is the condition, where it has one; the rest of the object is as it is. */
static int store_scale(struct apiserver *s, const struct request *in, struct answer *out,
		       const struct object *old, const struct json *scale)
{
	_cleanup_(json_freep) struct json *tree = json_dup(old->tree);
	const char *rv = json_get_path_string(scale, "metadata.resourceVersion");
	if (!str_empty(rv))
		json_set_string(object_meta(tree), "resourceVersion", rv);
	set_int(tree, in->resource->scale.spec_path, int_at(scale, ".spec.replicas"));
	int result = write_update(s, in, out, in->resource, old, &tree, PART_MAIN, NULL);
	if (result < 0)
		return result;
	_cleanup_(json_freep) struct json *now = scale_of(in->resource, tree);
	answer_json(out, 200, now);
	return 0;
}

static int change(struct apiserver *s, const struct request *in, struct answer *out,
		  const struct object *old, bool patch)
{
	_cleanup_(json_freep) struct json *scale = patch ? scale_of(in->resource, old->tree) : NULL;
	int result = patch ? patch_tree(in, out, &scale) : decode_body(in, out, &scale);
	if (result == 0)
		result = check_scale(in, out, scale, patch);
	return result < 0 ? result : store_scale(s, in, out, old, scale);
}

/* What has no count yet can be given one, but not read: 0 would be a lie. */
static int answer_scale(const struct request *in, struct answer *out, const struct json *object)
{
	const char *path = in->resource->scale.spec_path;
	struct err err;
	if (!find(object, path)) {
		err_set(&err, ERR_INVALID, "the spec replicas field \"%s\" does not exist", path);
		return fail_store(out, &err);
	}
	_cleanup_(json_freep) struct json *scale = scale_of(in->resource, object);
	answer_json(out, 200, scale);
	return 0;
}

int verb_scale(struct apiserver *s, const struct request *in, struct answer *out)
{
	struct object old = { 0 };
	const char *method = in->http->method;
	int result = object_load(s, in, out, in->resource, in->ns, in->name, &old);
	if (result == 0)
		return fail_not_found(out, in->resource, in->name);
	if (result > 0)
		result = streq(method, "GET") ? answer_scale(in, out, old.tree)
					      : change(s, in, out, &old, streq(method, "PATCH"));
	object_done(&old);
	return result;
}
