/* Validation against a compiled schema. Texts are those of kube-openapi's validator as the
 * apiextensions server passes them on. Faults come in the order of the schema, so that answers are
 * reproducible. Pure. */

#include <arpa/inet.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/map.h"
#include "base/mem.h"
#include "schema/schema_internal.h"

/* Longer lists get no benefit of what they were before: finding it would be quadratic. */
enum { RATCHET_LIST_MAX = 256 };

struct validator {
	struct path *path;
	struct causes *causes;
};

static void validate(struct validator *v, const struct schema *s, const struct json *value,
		     const struct json *old);

static const char *where(const struct validator *v)
{
	return path_text(v->path);
}

static const char *said(const struct validator *v)
{
	return path_said(v->path);
}

/* "spec.x in body should …" */
#define FAULT(v, value, fmt, ...)                                                                  \
	causes_add_json((v)->causes, CAUSE_INVALID, where(v), value, "%s in body " fmt, said(v),   \
			__VA_ARGS__)

/* --- types --- */

static bool is_integer(const struct json *value)
{
	int64_t ignored;
	return json_int(value, &ignored);
}

/* JSON has one kind of number; 1.0 counts as an integer, as in kube-openapi. */
static const char *type_of(const struct json *value)
{
	switch (json_type(value)) {
	case JSON_NULL:
		return "null";
	case JSON_BOOL:
		return "boolean";
	case JSON_NUMBER:
		return is_integer(value) ? "integer" : "number";
	case JSON_STRING:
		return "string";
	case JSON_ARRAY:
		return "array";
	case JSON_OBJECT:
		return "object";
	}
	return "";
}

static bool has_type(const struct schema *s, const struct json *value)
{
	switch (s->type) {
	case TYPE_ANY:
		return true;
	case TYPE_OBJECT:
		return json_is_object(value);
	case TYPE_ARRAY:
		return json_is_array(value);
	case TYPE_STRING:
		return json_is_string(value);
	case TYPE_INTEGER:
		return is_integer(value);
	case TYPE_NUMBER:
		return json_type(value) == JSON_NUMBER;
	case TYPE_BOOLEAN:
		return json_type(value) == JSON_BOOL;
	case TYPE_INT_OR_STRING:
		return json_is_string(value) || is_integer(value);
	}
	return false;
}

static void wrong_type(struct validator *v, const struct schema *s, const struct json *value)
{
	causes_add_string(v->causes, CAUSE_TYPE_INVALID, where(v), type_of(value),
			  "%s in body must be of type %s: \"%s\"", said(v),
			  schema_type_name(s->type), type_of(value));
}

/* --- scalars --- */

/* Go's %v of a float64. */
static void format_number(double value, char out[32])
{
	if (value == floor(value) && fabs(value) < 1e21)
		snprintf(out, 32, "%.0f", value);
	else
		for (int digits = 1; digits <= 17; digits++) {
			snprintf(out, 32, "%.*g", digits, value);
			if (strtod(out, NULL) == value)
				break;
		}
}

static void validate_number(struct validator *v, const struct schema *s, const struct json *value)
{
	double number;
	char limit[32];
	if (!json_double(value, &number))
		return;
	if (s->has_min && (number < s->min || (s->exclusive_min && number == s->min))) {
		format_number(s->min, limit);
		FAULT(v, value, "should be greater than %s%s",
		      s->exclusive_min ? "" : "or equal to ", limit);
	}
	if (s->has_max && (number > s->max || (s->exclusive_max && number == s->max))) {
		format_number(s->max, limit);
		FAULT(v, value, "should be less than %s%s", s->exclusive_max ? "" : "or equal to ",
		      limit);
	}
	if (s->has_multiple && s->multiple > 0 && fmod(number, s->multiple) != 0) {
		format_number(s->multiple, limit);
		FAULT(v, value, "should be a multiple of %s", limit);
	}
}

/* Lengths count characters, not bytes (the text of the fault says bytes, as upstream). */
static int64_t count_characters(const char *s)
{
	int64_t n = 0;
	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static bool is_date(const char *s)
{
	usec_t ignored;
	char full[32];
	return strlen(s) == 10 && snprintf(full, sizeof(full), "%sT00:00:00Z", s) > 0 &&
	       clock_parse(full, &ignored) == 0;
}

static bool is_base64(const char *s)
{
	_cleanup_(freep) void *bytes = NULL;
	size_t len;
	return base64_decode(s, strlen(s), &bytes, &len) == 0;
}

static bool is_date_time(const char *s)
{
	usec_t ignored;
	return clock_parse(s, &ignored) == 0;
}

static bool is_ipv4(const char *s)
{
	struct in_addr ignored;
	return inet_pton(AF_INET, s, &ignored) == 1;
}

static bool is_ipv6(const char *s)
{
	struct in6_addr ignored;
	return inet_pton(AF_INET6, s, &ignored) == 1;
}

/* Formats that are not listed are not checked, as upstream. */
static const struct {
	const char *name;
	bool (*valid)(const char *s);
} formats[] = {
	{ "date-time", is_date_time }, { "date", is_date }, { "byte", is_base64 },
	{ "uuid", uuid_valid },	       { "ipv4", is_ipv4 }, { "ipv6", is_ipv6 },
};

static void validate_format(struct validator *v, const struct schema *s, const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (streq(s->format, formats[i].name) && !formats[i].valid(text))
			causes_add_string(v->causes, CAUSE_TYPE_INVALID, where(v), text,
					  "%s in body must be of type %s: \"%s\"", said(v),
					  s->format, text);
}

static void too_long(struct validator *v, int64_t max)
{
	causes_add(v->causes, CAUSE_TOO_LONG, where(v), NULL,
		   "may not be more than %" PRId64 " byte%s", max, max == 1 ? "" : "s");
}

/* What the budget no longer covers is not reported. */
static bool matches(struct validator *v, const struct regex *pattern, const char *text)
{
	enum { STEPS = 8 }; /* of the automaton, for a unit */
	size_t left = CAUSES_WORK_MAX - MIN(v->causes->work, (size_t)CAUSES_WORK_MAX);
	size_t steps = left * STEPS;
	bool found = regex_search(pattern, text, strlen(text), &steps);
	bool all = steps > 0;
	causes_spend(v->causes, all ? left - steps / STEPS : left + 1);
	return found || !all;
}

static void validate_string(struct validator *v, const struct schema *s, const struct json *value)
{
	const char *text = json_string(value);
	if (s->max_size >= 0 && count_characters(text) > s->max_size)
		too_long(v, s->max_size);
	if (count_characters(text) < s->min_size)
		FAULT(v, value, "should be at least %" PRId64 " chars long", s->min_size);
	if (s->pattern && !matches(v, s->pattern, text))
		FAULT(v, value, "should match '%s'", s->pattern_text);
	if (s->format)
		validate_format(v, s, text);
}

static bool is_enum_number(const struct schema *s, const struct json *value)
{
	char key[SCHEMA_NUMBER_KEY_SIZE];
	if (!schema_number_key(value, key))
		return false;
	const struct json *allowed = map_get(&s->enum_numbers, key);
	return allowed && json_equal(allowed, value);
}

static bool in_enum(struct validator *v, const struct schema *s, const struct json *value)
{
	if (json_is_string(value))
		return map_get(&s->enum_texts, json_string(value));
	if (json_type(value) == JSON_NUMBER && is_enum_number(s, value))
		return true;
	if (json_type(value) == JSON_NUMBER && !s->enum_twins)
		return false;
	if (!causes_spend(v->causes, json_count(s->enum_values)))
		return true;
	json_for_each(allowed, s->enum_values)
		if (json_equal(allowed, value))
			return true;
	return false;
}

static void validate_enum(struct validator *v, const struct schema *s, const struct json *value)
{
	if (!s->enum_values || in_enum(v, s, value))
		return;
	if (v->causes->quiet) {
		causes_add(v->causes, CAUSE_NOT_SUPPORTED, where(v), NULL, CAUSE_BARE);
		return;
	}
	if (!causes_spend(v->causes, json_count(s->enum_values) * 8))
		return;
	_cleanup_(strbuf_done) struct strbuf allowed = { 0 };
	json_for_each(item, s->enum_values) {
		strbuf_adds(&allowed, allowed.len ? ", " : "");
		_cleanup_(freep) char *text = json_is_string(item) ? xstrdup(json_string(item))
								   : json_to_string(item);
		causes_quote(text, &allowed);
	}
	causes_add_json(v->causes, CAUSE_NOT_SUPPORTED, where(v), value, "supported values: %s",
			allowed.data ? allowed.data : "");
}

/* --- lists --- */

static struct json *key_of(const struct schema *s, const struct json *item)
{
	if (s->list_type == LIST_SET)
		return json_dup(item);
	struct json *keys = json_new_object();
	json_for_each(key, s->map_keys) {
		const struct json *value = json_get(item, json_string(key));
		if (value)
			json_set(keys, json_string(key), json_dup(value));
	}
	return keys;
}

/* By the keys' text: a list may be long. */
static void validate_unique(struct validator *v, const struct schema *s, const struct json *array)
{
	_cleanup_(map_done) struct map seen = { 0 };
	size_t i = 0;
	json_for_each(item, array) {
		if (!causes_spend(v->causes, 4 + json_count(s->map_keys) * json_count(item) / 4))
			return;
		_cleanup_(json_freep) struct json *key = key_of(s, item);
		_cleanup_(freep) char *text = json_to_string(key);
		size_t length = path_index(v->path, i++);
		if (map_set(&seen, text, v))
			causes_add_json(v->causes, CAUSE_DUPLICATE, where(v), key, CAUSE_BARE);
		path_back(v->path, length);
	}
}

static bool same_key(const struct schema *s, const struct json *a, const struct json *b)
{
	json_for_each(key, s->map_keys)
		if (!json_equal(json_get(a, json_string(key)), json_get(b, json_string(key))))
			return false;
	return true;
}

/* The list as it was, where it says which item stood for which: only lists with keys do. */
static const struct json *old_list(const struct schema *s, const struct json *old)
{
	return s->list_type == LIST_MAP && json_count(old) <= RATCHET_LIST_MAX ? old : NULL;
}

/* The item that stood for this one before. */
static const struct json *old_item(struct validator *v, const struct schema *s,
				   const struct json *old, const struct json *item)
{
	if (!old || !causes_spend(v->causes, json_count(old) * json_count(s->map_keys)))
		return NULL;
	json_for_each(candidate, old)
		if (same_key(s, candidate, item))
			return candidate;
	return NULL;
}

/* Of a list or an object, which are made of `parts`; kube-apiserver says "items" of both when they
 * are too many. */
static void validate_size(struct validator *v, const struct schema *s, const struct json *value,
			  const char *parts)
{
	int64_t count = (int64_t)json_count(value);
	char shown[24];
	snprintf(shown, sizeof(shown), "%" PRId64, count);
	if (s->max_size >= 0 && count > s->max_size)
		causes_add(v->causes, CAUSE_TOO_MANY, where(v), shown,
			   "must have at most %" PRId64 " item%s", s->max_size,
			   s->max_size == 1 ? "" : "s");
	if (count < s->min_size)
		causes_add(v->causes, CAUSE_INVALID, where(v), shown,
			   "%s in body should have at least %" PRId64 " %s", said(v), s->min_size,
			   parts);
}

static void validate_array(struct validator *v, const struct schema *s, const struct json *array,
			   const struct json *old)
{
	validate_size(v, s, array, "items");
	size_t i = 0;
	old = old_list(s, old);
	if (s->items)
		json_for_each(item, array) {
			size_t length = path_index(v->path, i++);
			validate(v, s->items, item, old_item(v, s, old, item));
			path_back(v->path, length);
		}
	if (s->list_type != LIST_ATOMIC)
		validate_unique(v, s, array);
}

/* --- objects --- */

static void validate_required(struct validator *v, const struct schema *s,
			      const struct json *object)
{
	size_t members = json_count(object);
	json_for_each(name, s->required) {
		if (!causes_spend(v->causes, 1 + members / 4))
			return;
		const char *key = json_string(name);
		if (!key || json_get(object, key))
			continue;
		size_t length = path_member(v->path, key);
		causes_add(v->causes, CAUSE_REQUIRED, where(v), NULL, CAUSE_BARE);
		path_back(v->path, length);
	}
}

/* Mostly the order is as it was, so that the member after the last one is it. */
static const struct json *old_member(struct validator *v, const struct json *old,
				     const struct json **next, const char *key)
{
	if (*next && streq(json_key(*next), key)) {
		const struct json *found = *next;
		*next = json_next(found);
		return found;
	}
	return causes_spend(v->causes, json_count(old) / 4) ? json_get(old, key) : NULL;
}

static void validate_object(struct validator *v, const struct schema *s, const struct json *object,
			    const struct json *old)
{
	validate_required(v, s, object);
	if (s->embedded)
		meta_validate_embedded(object, v->path, v->causes);
	validate_size(v, s, object, "properties");
	const struct json *next = json_is_object(old) ? json_first(old) : NULL;
	json_for_each(child, object) {
		const struct json *was = old_member(v, old, &next, json_key(child));
		const struct schema *member = schema_property(s, json_key(child));
		if (!member)
			member = s->additional;
		if (!member)
			continue;
		size_t length = path_member(v->path, json_key(child));
		validate(v, member, child, was);
		path_back(v->path, length);
	}
}

/* --- logical combinations --- */

static bool satisfies(struct validator *v, const struct schema *s, const struct json *value)
{
	struct causes ignored = { .work = v->causes->work, .quiet = true };
	struct validator inner = { v->path, &ignored };
	validate(&inner, s, value, NULL);
	bool yes = ignored.count == 0;
	v->causes->work = ignored.work;
	causes_done(&ignored);
	return yes;
}

static size_t count_satisfied(struct validator *v, const struct schema_list *list,
			      const struct json *value)
{
	size_t n = 0;
	for (size_t i = 0; i < list->count; i++)
		n += satisfies(v, list->items[i], value);
	return n;
}

static void combination_fault(struct validator *v, const char *text)
{
	causes_add_string(v->causes, CAUSE_INVALID, where(v), "", "\"%s\" %s", where(v), text);
}

static void validate_combinations(struct validator *v, const struct schema *s,
				  const struct json *value)
{
	for (size_t i = 0; i < s->all_of.count; i++)
		validate(v, s->all_of.items[i], value, NULL);
	if (s->any_of.count && count_satisfied(v, &s->any_of, value) == 0)
		combination_fault(v, "must validate at least one schema (anyOf)");
	size_t matching = s->one_of.count ? count_satisfied(v, &s->one_of, value) : 1;
	if (matching == 0)
		combination_fault(
			v, "must validate one and only one schema (oneOf). Found none valid");
	else if (matching > 1)
		combination_fault(
			v,
			"must validate one and only one schema (oneOf). Found more than one valid");
	if (s->none_of && satisfies(v, s->none_of, value))
		combination_fault(v, "must not validate the schema (not)");
}

/* By the value's type, which has_type has found to fit; keywords for other types say nothing. */
static void validate_value(struct validator *v, const struct schema *s, const struct json *value,
			   const struct json *old)
{
	validate_enum(v, s, value);
	switch (json_type(value)) {
	case JSON_OBJECT:
		validate_object(v, s, value, old);
		break;
	case JSON_ARRAY:
		validate_array(v, s, value, old);
		break;
	case JSON_STRING:
		validate_string(v, s, value);
		break;
	case JSON_NUMBER:
		validate_number(v, s, value);
		break;
	case JSON_NULL:
	case JSON_BOOL:
		break;
	}
	validate_combinations(v, s, value);
}

static void validate(struct validator *v, const struct schema *s, const struct json *value,
		     const struct json *old)
{
	if ((json_is_null(value) && s->nullable) || causes_full(v->causes) ||
	    !causes_spend(v->causes, 1))
		return;
	size_t before = v->causes->count;
	if (!has_type(s, value))
		wrong_type(v, s, value);
	else
		validate_value(v, s, value, old);
	/* Compared only when there is something to forgive. */
	if (v->causes->count > before && old && json_equal(value, old))
		causes_truncate(v->causes, before);
}

void schema_validate(const struct schema *s, const struct json *value, const struct json *old,
		     struct path *path, struct causes *causes)
{
	struct validator v = { path, causes };
	size_t before = causes->count;
	validate(&v, s, value, old);
	if (causes->work <= CAUSES_WORK_MAX)
		return;
	causes_truncate(causes, before);
	causes_add(causes, CAUSE_INVALID, path_text(path), NULL,
		   "validation was given up: the object and its schema together are too much work");
}
