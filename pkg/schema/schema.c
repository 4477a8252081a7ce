/* Compiles OpenAPI v3 schemas as CRDs carry them, and refuses those that are not structural, in the
 * words of the apiextensions server where people are likely to meet them. Pure. */

#include "schema/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "schema/schema_internal.h"

static const char *const type_names[] = {
	[TYPE_ANY] = "",
	[TYPE_OBJECT] = "object",
	[TYPE_ARRAY] = "array",
	[TYPE_STRING] = "string",
	[TYPE_INTEGER] = "integer",
	[TYPE_NUMBER] = "number",
	[TYPE_BOOLEAN] = "boolean",
	[TYPE_INT_OR_STRING] = "integer,string",
};

const char *schema_type_name(enum schema_type type)
{
	return type_names[type];
}

static void list_done(struct schema_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		schema_free(list->items[i]);
	free(list->items);
}

struct schema *schema_free(struct schema *s)
{
	if (!s)
		return NULL;
	for (size_t i = 0; i < s->property_count; i++) {
		free(s->properties[i].name);
		schema_free(s->properties[i].schema);
	}
	free(s->properties);
	json_free(s->default_value);
	json_free(s->enum_values);
	map_done(&s->enum_texts);
	map_done(&s->enum_numbers);
	json_free(s->required);
	json_free(s->map_keys);
	free(s->format);
	free(s->pattern_text);
	regex_free(s->pattern);
	schema_free(s->additional);
	schema_free(s->items);
	list_done(&s->all_of);
	list_done(&s->any_of);
	list_done(&s->one_of);
	schema_free(s->none_of);
	free(s);
	return NULL;
}

static int compare_names(const void *a, const void *b)
{
	const struct schema_property *x = a, *y = b;
	return strcmp(x->name, y->name);
}

const struct schema *schema_property(const struct schema *s, const char *name)
{
	const struct schema_property key = { .name = (char *)name };
	const struct schema_property *found = bsearch(&key, s->properties, s->property_count,
						      sizeof(key), compare_names);
	return found ? found->schema : NULL;
}

/* --- compiling --- */

struct compiler {
	struct path *path;
	struct schema_budget *left;
	struct causes *wrong;
	bool logical; /* inside allOf, anyOf, oneOf, not: types and structure are not said again */
	bool typed;   /* but below int-or-string, where they may say which of the two */
};

static struct schema *compile(struct compiler *c, const struct json *source);

/* Adds a fault at a keyword of the schema where the compiler stands. */
#define WRONG(c, type, keyword, value, ...)                                                        \
	do {                                                                                       \
		size_t _length = path_member((c)->path, keyword);                                  \
		causes_add((c)->wrong, type, path_text((c)->path), value, __VA_ARGS__);            \
		path_back((c)->path, _length);                                                     \
	} while (0)

/* Inside allOf and the like the outer schema has said the type already. */
static void compile_type(struct compiler *c, const struct json *source, struct schema *s)
{
	const char *text = json_get_string(source, "type");
	if (json_get_bool(source, "x-kubernetes-int-or-string", false)) {
		s->type = TYPE_INT_OR_STRING;
		return;
	}
	if (str_empty(text)) {
		if (!c->logical && !s->preserve_unknown)
			WRONG(c, CAUSE_REQUIRED, "type", NULL,
			      "must not be empty for specified object fields");
		return;
	}
	for (int i = TYPE_OBJECT; i <= TYPE_BOOLEAN; i++)
		if (streq(text, type_names[i])) {
			s->type = (enum schema_type)i;
			return;
		}
	_cleanup_(strbuf_done) struct strbuf quoted = { 0 };
	causes_quote(text, &quoted);
	WRONG(c, CAUSE_NOT_SUPPORTED, "type", quoted.data,
	      "supported values: \"array\", \"boolean\", \"integer\", \"number\", \"object\", \"string\"");
}

static void compile_numbers(const struct json *source, struct schema *s)
{
	s->has_min = json_double(json_get(source, "minimum"), &s->min);
	s->has_max = json_double(json_get(source, "maximum"), &s->max);
	s->has_multiple = json_double(json_get(source, "multipleOf"), &s->multiple);
	s->exclusive_min = json_get_bool(source, "exclusiveMinimum", false);
	s->exclusive_max = json_get_bool(source, "exclusiveMaximum", false);
}

/* One pair of limits serves all: a value has one type. */
static void compile_sizes(const struct json *source, struct schema *s)
{
	const char *min = s->type == TYPE_ARRAY	   ? "minItems"
			  : s->type == TYPE_OBJECT ? "minProperties"
						   : "minLength";
	const char *max = s->type == TYPE_ARRAY	   ? "maxItems"
			  : s->type == TYPE_OBJECT ? "maxProperties"
						   : "maxLength";
	s->min_size = json_get_int(source, min, -1);
	s->max_size = json_get_int(source, max, -1);
}

static void compile_text(struct compiler *c, const struct json *source, struct schema *s)
{
	s->format = xstrdup(json_get_string(source, "format"));
	s->pattern_text = xstrdup(json_get_string(source, "pattern"));
	struct err err;
	if (!s->pattern_text || regex_new(s->pattern_text, &s->pattern, &err) == 0)
		return;
	_cleanup_(strbuf_done) struct strbuf quoted = { 0 };
	causes_quote(s->pattern_text, &quoted);
	WRONG(c, CAUSE_INVALID, "pattern", quoted.data,
	      "must be a valid regular expression, but isn't: %s", err.text);
}

/* Sorted for bsearch; JSON has no duplicate names here. */
static void compile_properties(struct compiler *c, const struct json *source, struct schema *s)
{
	const struct json *properties = json_get(source, "properties");
	size_t length = path_member(c->path, "properties");
	s->properties = xcalloc(json_count(properties), sizeof(*s->properties));
	json_for_each(p, properties) {
		size_t inner = path_key(c->path, json_key(p));
		s->properties[s->property_count++] = (struct schema_property){ xstrdup(json_key(p)),
									       compile(c, p) };
		path_back(c->path, inner);
	}
	path_back(c->path, length);
	qsort(s->properties, s->property_count, sizeof(*s->properties), compare_names);
}

static struct schema *compile_member(struct compiler *c, const struct json *source,
				     const char *keyword)
{
	const struct json *member = json_get(source, keyword);
	if (!json_is_object(member))
		return NULL;
	size_t length = path_member(c->path, keyword);
	struct schema *s = compile(c, member);
	path_back(c->path, length);
	return s;
}

/* Also for parts without a type: a logical branch may speak of properties alone. */
static void compile_object(struct compiler *c, const struct json *source, struct schema *s)
{
	compile_properties(c, source, s);
	s->additional = compile_member(c, source, "additionalProperties");
	s->additional_any = json_get_bool(source, "additionalProperties", false);
	s->map_atomic = streq(json_get_string(source, "x-kubernetes-map-type"), "atomic");
	if (s->property_count && (s->additional || s->additional_any))
		WRONG(c, CAUSE_FORBIDDEN, "additionalProperties", NULL,
		      "additionalProperties and properties are mutual exclusive");
	if (json_is_array(json_get(source, "required")))
		s->required = json_dup(json_get(source, "required"));
}

/* As a fault shows it; lives as long as `out`. */
static const char *quoted_type(const struct json *source, struct strbuf *out)
{
	causes_quote(str_or(json_get_string(source, "type"), ""), out);
	return out->data;
}

/* Items of a set are compared as a whole, so they must be written as a whole, too. */
static void check_set_items(struct compiler *c, const struct json *source)
{
	const struct json *items = json_get(source, "items");
	bool object = streq(json_get_string(items, "type"), "object");
	const char *keyword = object ? "x-kubernetes-map-type" : "x-kubernetes-list-type";
	if (!object && !streq(json_get_string(items, "type"), "array"))
		return;
	if (streq(json_get_string(items, keyword), "atomic"))
		return;
	size_t length = path_member(c->path, "items");
	WRONG(c, CAUSE_INVALID, keyword, "null",
	      "must be atomic as item of a list with x-kubernetes-list-type=set");
	path_back(c->path, length);
}

static void check_map_keys(struct compiler *c, const struct json *source, const struct json *keys)
{
	const struct json *properties = json_get_path(source, "items.properties");
	json_for_each(key, keys)
		if (!json_get(properties, str_or(json_string(key), ""))) {
			WRONG(c, CAUSE_INVALID, "x-kubernetes-list-map-keys", NULL,
			      "entries must all be names of item properties");
			return;
		}
}

static void check_list_type(struct compiler *c, const struct json *source, const char *text)
{
	if (!streq(text, "atomic") && !streq(text, "set") && !streq(text, "map")) {
		_cleanup_(strbuf_done) struct strbuf quoted = { 0 };
		causes_quote(text, &quoted);
		WRONG(c, CAUSE_NOT_SUPPORTED, "x-kubernetes-list-type", quoted.data,
		      "supported values: \"atomic\", \"set\", \"map\"");
	}
	_cleanup_(strbuf_done) struct strbuf type = { 0 };
	if (!streq(json_get_string(source, "type"), "array"))
		WRONG(c, CAUSE_INVALID, "type", quoted_type(source, &type),
		      "must be array if x-kubernetes-list-type is specified");
	if (streq(text, "set"))
		check_set_items(c, source);
}

/* Atomic, the default, has no rules to check. */
static void compile_list_type(struct compiler *c, const struct json *source, struct schema *s)
{
	const char *text = json_get_string(source, "x-kubernetes-list-type");
	const struct json *keys = json_get(source, "x-kubernetes-list-map-keys");
	if (text)
		check_list_type(c, source, text);
	if (streq(text, "map"))
		check_map_keys(c, source, keys);
	s->list_type = streq(text, "map") ? LIST_MAP : streq(text, "set") ? LIST_SET : LIST_ATOMIC;
	if (s->list_type == LIST_MAP && json_count(keys) == 0)
		WRONG(c, CAUSE_REQUIRED, "x-kubernetes-list-map-keys", NULL,
		      "must not be empty if x-kubernetes-list-type is map");
	if (s->list_type == LIST_MAP && json_is_array(keys))
		s->map_keys = json_dup(keys);
}

static void compile_array(struct compiler *c, const struct json *source, struct schema *s)
{
	s->items = compile_member(c, source, "items");
	if (s->type == TYPE_ARRAY && !s->items && !c->logical)
		WRONG(c, CAUSE_REQUIRED, "items", NULL, "must be specified");
	compile_list_type(c, source, s);
}

static void compile_logical(struct compiler *c, const struct json *source, const char *keyword,
			    struct schema_list *list)
{
	const struct json *array = json_get(source, keyword);
	struct compiler outer = *c;
	size_t length = path_member(c->path, keyword), i = 0;
	c->typed = c->logical ? c->typed
			      : json_get_bool(source, "x-kubernetes-int-or-string", false);
	c->logical = true;
	list->items = xcalloc(json_count(array), sizeof(*list->items));
	json_for_each(item, array) {
		size_t inner = path_index(c->path, i++);
		list->items[list->count++] = compile(c, item);
		path_back(c->path, inner);
	}
	*c = outer;
	path_back(c->path, length);
}

/* What is said of the structure stands outside of allOf and the like, or it could not be found
 * without trying each branch. */
static void check_branch(struct compiler *c, const struct json *source)
{
	static const struct {
		const char *keyword, *text;
	} forbidden[] = {
		{ "additionalProperties", "must be undefined to be structural" },
		{ "default", "must be undefined to be structural" },
		{ "nullable", "must be false to be structural" },
		{ "x-kubernetes-preserve-unknown-fields", "must be false to be structural" },
		{ "x-kubernetes-embedded-resource", "must be false to be structural" },
		{ "x-kubernetes-int-or-string", "must be false to be structural" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++)
		if (json_get(source, forbidden[i].keyword))
			WRONG(c, CAUSE_FORBIDDEN, forbidden[i].keyword, NULL, "%s",
			      forbidden[i].text);
	if (!c->typed && !str_empty(json_get_string(source, "type")))
		WRONG(c, CAUSE_FORBIDDEN, "type", NULL, "must be empty to be structural");
}

static void check_extensions(struct compiler *c, const struct json *source)
{
	const struct json *preserve = json_get(source, "x-kubernetes-preserve-unknown-fields");
	bool embedded = json_get_bool(source, "x-kubernetes-embedded-resource", false);
	bool keeps = json_get_bool(source, "x-kubernetes-preserve-unknown-fields", false);
	_cleanup_(strbuf_done) struct strbuf type = { 0 };
	if (preserve && !keeps)
		WRONG(c, CAUSE_INVALID, "x-kubernetes-preserve-unknown-fields", "false",
		      "must be true or undefined");
	if (!embedded)
		return;
	if (!keeps && json_count(json_get(source, "properties")) == 0)
		WRONG(c, CAUSE_REQUIRED, "properties", NULL,
		      "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields");
	if (!streq(json_get_string(source, "type"), "object"))
		WRONG(c, CAUSE_INVALID, "type", quoted_type(source, &type),
		      "must be object if x-kubernetes-embedded-resource is true");
}

/* What a structural schema may not have; ignoring it would check less than the author thinks. */
static void compile_forbidden(struct compiler *c, const struct json *source)
{
	static const char *const keywords[] = {
		"$ref", "definitions",	     "dependencies", "deprecated", "discriminator",
		"id",	"patternProperties", "readOnly",     "writeOnly",  "xml"
	};
	for (size_t i = 0; i < ARRAY_SIZE(keywords); i++)
		if (json_get(source, keywords[i]))
			WRONG(c, CAUSE_FORBIDDEN, keywords[i], NULL, "%s is not supported",
			      keywords[i]);
	if (json_get_bool(source, "uniqueItems", false))
		WRONG(c, CAUSE_FORBIDDEN, "uniqueItems", NULL,
		      "uniqueItems cannot be set to true since the runtime complexity becomes quadratic");
}

static size_t size_in_memory(const struct json *j)
{
	size_t sum = 96 + (json_key(j) ? strlen(json_key(j)) : 0) +
		     (json_is_string(j) ? strlen(json_string(j)) : 0);
	if (!json_is_object(j) && !json_is_array(j))
		return sum;
	json_for_each(child, j)
		sum += size_in_memory(child);
	return sum;
}

/* A default that the schema itself refuses would make every object invalid. */
static void compile_default(struct compiler *c, const struct json *source, struct schema *s)
{
	const struct json *value = json_get(source, "default");
	if (!value)
		return;
	s->default_value = json_dup(value);
	bool complete = schema_default(s, s->default_value, c->left);
	s->default_bytes = size_in_memory(s->default_value);
	if (!complete) {
		WRONG(c, CAUSE_INVALID, "default", NULL,
		      "is too large with the defaults of what is in it and those before it");
		return;
	}
	size_t length = path_member(c->path, "default");
	schema_validate(s, s->default_value, NULL, c->path, c->wrong);
	path_back(c->path, length);
}

/* Most kinds embed nothing, and need no look at their objects for it. */
static bool holds_embedded(const struct schema *s)
{
	bool holds = s->embedded || (s->items && s->items->holds_embedded) ||
		     (s->additional && s->additional->holds_embedded);
	for (size_t i = 0; i < s->property_count && !holds; i++)
		holds = s->properties[i].schema->holds_embedded;
	return holds;
}

bool schema_number_key(const struct json *value, char out[SCHEMA_NUMBER_KEY_SIZE])
{
	double number;
	if (!json_double(value, &number))
		return false;
	snprintf(out, SCHEMA_NUMBER_KEY_SIZE, "%.17g", number + 0.0); /* -0 is 0 */
	return true;
}

/* Two numbers of more digits than a double holds can have one key. */
static void index_number(struct schema *s, const struct json *value)
{
	char key[SCHEMA_NUMBER_KEY_SIZE];
	if (!schema_number_key(value, key)) {
		s->enum_twins = true;
		return;
	}
	const struct json *other = map_set(&s->enum_numbers, key, (void *)value);
	s->enum_twins = s->enum_twins || (other && !json_equal(other, value));
}

static void compile_enum(const struct json *source, struct schema *s)
{
	if (!json_is_array(json_get(source, "enum")))
		return;
	s->enum_values = json_dup(json_get(source, "enum"));
	json_for_each(value, s->enum_values)
		if (json_is_string(value))
			map_set(&s->enum_texts, json_string(value), s);
		else if (json_type(value) == JSON_NUMBER)
			index_number(s, value);
}

static struct schema *compile(struct compiler *c, const struct json *source)
{
	struct schema *s = xcalloc(1, sizeof(*s));
	s->nullable = json_get_bool(source, "nullable", false);
	s->preserve_unknown = json_get_bool(source, "x-kubernetes-preserve-unknown-fields", false);
	s->embedded = json_get_bool(source, "x-kubernetes-embedded-resource", false);
	compile_forbidden(c, source);
	if (c->logical)
		check_branch(c, source);
	check_extensions(c, source);
	compile_type(c, source, s);
	compile_numbers(source, s);
	compile_sizes(source, s);
	compile_text(c, source, s);
	compile_object(c, source, s);
	compile_array(c, source, s);
	compile_enum(source, s);
	compile_logical(c, source, "allOf", &s->all_of);
	compile_logical(c, source, "anyOf", &s->any_of);
	compile_logical(c, source, "oneOf", &s->one_of);
	struct compiler outer = *c;
	c->logical = true;
	s->none_of = compile_member(c, source, "not");
	*c = outer;
	s->holds_embedded = holds_embedded(s);
	compile_default(c, source, s);
	return s;
}

/* What every object has is known; a definition may only narrow its name down. */
static void check_root(struct compiler *c, const struct json *source)
{
	static const char *const texts[] = { "apiVersion", "kind" };
	const struct json *properties = json_get(source, "properties");
	size_t length = path_member(c->path, "properties");
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const struct json *p = json_get(properties, texts[i]);
		_cleanup_(strbuf_done) struct strbuf quoted = { 0 };
		size_t inner = path_key(c->path, texts[i]);
		if (p && !streq(json_get_string(p, "type"), "string"))
			WRONG(c, CAUSE_INVALID, "type", quoted_type(p, &quoted), "must be string");
		path_back(c->path, inner);
	}
	path_key(c->path, "metadata");
	json_for_each(p, json_get_path(properties, "metadata.properties"))
		if (!streq(json_key(p), "name") && !streq(json_key(p), "generateName")) {
			causes_add(
				c->wrong, CAUSE_FORBIDDEN, path_text(c->path), NULL,
				"must not specify anything other than name and generateName, but metadata is implicitly specified");
			break;
		}
	path_back(c->path, length);
}

struct schema *schema_compile(const struct json *source, struct path *path,
			      struct schema_budget *left, struct causes *wrong)
{
	size_t before = wrong->count;
	struct schema_budget own = SCHEMA_BUDGET;
	struct compiler c = { .path = path, .left = left ? left : &own, .wrong = wrong };
	struct schema *s = compile(&c, source);
	check_root(&c, source);
	if (s->type != TYPE_OBJECT && wrong->count == before) {
		_cleanup_(strbuf_done) struct strbuf quoted = { 0 };
		WRONG(&c, CAUSE_INVALID, "type", quoted_type(source, &quoted),
		      "must be object at the root");
	}
	return wrong->count > before ? schema_free(s) : s;
}
