/* Object metadata and conditions. Pure. */

#include "api/meta.h"

#include <stddef.h>

#define FIELD(json, c, member)                                                                     \
	{                                                                                          \
		.key = (json), .type = (c), .offset = offsetof(struct api_meta, member)            \
	}

static const struct bind_field fields[] = {
	FIELD("name", BIND_STRING, name),
	FIELD("namespace", BIND_STRING, ns),
	FIELD("uid", BIND_STRING, uid),
	FIELD("resourceVersion", BIND_STRING, resource_version),
	FIELD("generation", BIND_INT, generation),
	FIELD("deletionTimestamp", BIND_TIME, deleted_at),
	FIELD("annotations", BIND_JSON, annotations),
	FIELD("labels", BIND_JSON, labels),
	FIELD("finalizers", BIND_JSON, finalizers),
	FIELD("ownerReferences", BIND_JSON, owners),
	{ 0 },
};
const struct bind_struct api_meta_struct = { sizeof(struct api_meta), fields };

bool api_has_finalizer(const struct api_meta *m, const char *finalizer)
{
	json_for_each(f, m->finalizers) {
		if (streq(json_string(f), finalizer))
			return true;
	}
	return false;
}

const char *api_annotation(const struct api_meta *m, const char *key)
{
	return json_get_string(m->annotations, key);
}

const char *api_label(const struct api_meta *m, const char *key)
{
	return json_get_string(m->labels, key);
}

bool api_owned_by(const struct api_meta *m, const char *uid)
{
	json_for_each(o, m->owners) {
		if (streq(json_get_string(o, "uid"), uid))
			return true;
	}
	return false;
}

struct json *api_owner_reference(const char *api_version, const char *kind, const char *name,
				 const char *uid, bool controller)
{
	struct json *o = json_new_object();
	json_set_string(o, "apiVersion", api_version);
	json_set_string(o, "kind", kind);
	json_set_string(o, "name", name);
	json_set_string(o, "uid", uid);
	if (controller)
		json_set_bool(o, "controller", true);
	return o;
}

static struct json *find_condition(struct json *conditions, const char *type)
{
	for (struct json *c = json_first_mut(conditions); c; c = json_next_mut(c))
		if (streq(json_get_string(c, "type"), type))
			return c;
	return NULL;
}

bool api_condition_set(struct json *conditions, const char *type, bool status, const char *reason,
		       const char *message, int64_t generation, usec_t now)
{
	const char *text = status ? "True" : "False";
	char when[CLOCK_TEXT_MAX];
	struct json *c = find_condition(conditions, type);
	bool moved = !c || !streq(json_get_string(c, "status"), text);
	if (!moved && streq(json_get_string(c, "reason"), reason) &&
	    streq(json_get_string(c, "message"), message) &&
	    json_get_int(c, "observedGeneration", 0) == generation)
		return false;
	if (!c)
		c = json_append(conditions, json_new_object());
	json_set_string(c, "type", type);
	json_set_string(c, "status", text);
	json_set_string(c, "reason", reason);
	json_set_string(c, "message", message);
	json_set_int(c, "observedGeneration", generation);
	if (moved)
		json_set_string(c, "lastTransitionTime", clock_format(now, when));
	return true;
}
