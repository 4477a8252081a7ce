/* Objects inside objects (x-kubernetes-embedded-resource): what every object has is treated in them
 * as at the top, whatever else their schema leaves open. As k8s.io/apiextensions-apiserver's
 * pkg/apiserver/schema/objectmeta. Pure. */

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "schema/meta.h"
#include "schema/schema_internal.h"

static const char *const identity[] = { "apiVersion", "kind" };

/* --- cleaning --- */

struct cleaner {
	struct unknown_fields *unknown;
	char *wrong;
};

static char *fault(const char *at, const char *member, const struct json *value, const char *text)
{
	_cleanup_(strbuf_done) struct strbuf shown = { 0 };
	causes_value(value, &shown);
	return xasprintf("%s.%s: Invalid value: %s: %s", at, member, shown.data, text);
}

/* What Go leaves out when it writes an ObjectMeta. */
static void drop_empty(struct json *meta)
{
	for (struct json *child = json_first_mut(meta); child;) {
		struct json *next = json_next_mut(child);
		int64_t number;
		bool empty = json_is_string(child) ? *json_string(child) == '\0'
			     : json_is_array(child)
				     ? json_count(child) == 0
				     : streq(json_key(child), "generation") &&
					       json_int(child, &number) && number == 0;
		if (empty)
			json_remove(meta, json_key(child));
		child = next;
	}
}

static bool clean(void *data, struct json *object, const char *at)
{
	struct cleaner *c = data;
	for (size_t i = 0; i < ARRAY_SIZE(identity) && !c->wrong; i++) {
		const struct json *value = json_get(object, identity[i]);
		if (value && !json_is_string(value))
			c->wrong = fault(at, identity[i], value, "must be a string");
	}
	const struct json *given = json_get(object, "metadata");
	if (c->wrong || !given)
		return !c->wrong;
	_cleanup_(freep) char *text = meta_fault(given);
	if (text) {
		c->wrong = fault(at, "metadata", given, text);
		return false;
	}
	_cleanup_(freep) char *path = xasprintf("%s.metadata", at);
	struct json *meta = json_make_object(object, "metadata");
	meta_tidy(meta, path, c->unknown);
	drop_empty(meta);
	return true;
}

char *meta_clean_embedded(const struct schema *s, struct json *tree, struct unknown_fields *unknown)
{
	struct cleaner c = { .unknown = unknown };
	schema_each_embedded(s, tree, clean, &c);
	return c.wrong;
}

/* --- rules --- */

static const char *group_version_fault(const char *value)
{
	const char *slash = strchr(value, '/');
	return slash && strchr(slash + 1, '/') ? "unexpected GroupVersion string: " : NULL;
}

static void judge_version(const char *value, struct path *at, struct causes *causes)
{
	const char *why = group_version_fault(value);
	if (why)
		causes_add_string(causes, CAUSE_INVALID, path_text(at), value, "%s%s", why, value);
}

static void judge_kind(const char *value, struct path *at, struct causes *causes)
{
	_cleanup_(strbuf_done) struct strbuf why = { 0 };
	_cleanup_(freep) char *lower = xstrdup(value);
	for (char *p = lower; *p; p++)
		*p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p;
	if (!name_is_dns1035_label(lower, &why))
		causes_add_string(causes, CAUSE_INVALID, path_text(at), value,
				  "may have mixed case, but should otherwise match: %s", why.data);
}

static void judge_identity(const struct json *value, bool kind, struct path *at,
			   struct causes *causes)
{
	if (!value)
		causes_add(causes, CAUSE_REQUIRED, path_text(at), NULL, "must not be empty");
	else if (!json_is_string(value))
		causes_add_json(causes, CAUSE_INVALID, path_text(at), value, "must be a string");
	else if (*json_string(value) == '\0')
		causes_add_string(causes, CAUSE_INVALID, path_text(at), "", "must not be empty");
	else if (kind)
		judge_kind(json_string(value), at, causes);
	else
		judge_version(json_string(value), at, causes);
}

/* Defaults and the outcome of an apply come here without having been cleaned. */
static void judge_metadata(const struct json *meta, struct path *at, struct causes *causes)
{
	_cleanup_(freep) char *wrong = meta_fault(meta);
	if (wrong) {
		causes_add_json(causes, CAUSE_INVALID, path_text(at), meta, "%s", wrong);
		return;
	}
	const char *prefix = json_get_string(meta, "generateName");
	_cleanup_(strbuf_done) struct strbuf why = { 0 };
	size_t length = path_member(at, "generateName");
	if (prefix && strpbrk(prefix, "/%") && !name_is_path_segment(prefix, &why))
		causes_add_string(causes, CAUSE_INVALID, path_text(at), prefix, "%s", why.data);
	path_back(at, length);
	meta_validate_members(meta, name_is_path_segment, at, causes);
}

void meta_validate_embedded(const struct json *object, struct path *at, struct causes *causes)
{
	for (size_t i = 0; i < ARRAY_SIZE(identity); i++) {
		size_t length = path_member(at, identity[i]);
		judge_identity(json_get(object, identity[i]), i == 1, at, causes);
		path_back(at, length);
	}
	size_t length = path_member(at, "metadata");
	judge_metadata(json_get(object, "metadata"), at, causes);
	path_back(at, length);
}
