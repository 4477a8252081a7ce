/* Bodies to objects: what a client sent is parsed, checked for kind, version and the shape of its
 * metadata, and freed of fields that nobody knows. */

#include <stdlib.h>
#include <string.h>

#include "apiserver/front/protobuf.h"
#include "apiserver/internal.h"
#include "base/mem.h"
#include "yaml/yaml_json.h"

enum { MEMBERS_MAX = 10000 };

/* Without parameters such as charset. */
static bool has_type(const struct request *in, const char *type)
{
	const char *given = in->http->content_type;
	size_t len = strcspn(given, "; ");
	return len == strlen(type) && strncasecmp(given, type, len) == 0;
}

/* Members are found by walking, here and in the tree below: a million of them would take hours. */
static bool too_many_members(const struct json *j)
{
	if (json_is_object(j) && json_count(j) > MEMBERS_MAX)
		return true;
	json_for_each(child, j)
		if (too_many_members(child))
			return true;
	return false;
}

static int check_shape(struct answer *out, struct json **tree)
{
	bool object = json_is_object(*tree), too_many = too_many_members(*tree);
	if (object && !too_many)
		return 0;
	*tree = json_free(*tree);
	if (too_many)
		return fail(out, 413, "RequestEntityTooLarge",
			    "Request entity too large: an object has more than %d members",
			    MEMBERS_MAX);
	return fail(out, 400, "BadRequest",
		    "the object provided is unrecognized: it is not a JSON object");
}

static int parse_yaml(const struct api_request *q, struct json **ret, struct err *err)
{
	_cleanup_(strbuf_done) struct strbuf converted = { 0 };
	int r = yaml_to_json(q->body, q->body_len, &converted, err);
	return r < 0 ? r : json_parse(converted.data, converted.len, ret, err);
}

static int parse_json(const struct api_request *q, struct json **ret, struct err *err)
{
	return json_parse(q->body, q->body_len, ret, err);
}

static int parse_protobuf(const struct api_request *q, struct json **ret, struct err *err)
{
	_cleanup_(strbuf_done) struct strbuf converted = { 0 };
	if (protobuf_to_json(q->body, q->body_len, &converted) < 0)
		return err_set(err, ERR_INVALID, "it is no protobuf message of a known shape");
	return json_parse(converted.data, converted.len, ret, err);
}

static const struct reader {
	const char *media;
	int (*parse)(const struct api_request *q, struct json **ret, struct err *err);
	const char *fault; /* what goes before the parser's own words */
} readers[] = {
	{ "application/json", parse_json, "couldn't get version/kind; json parse error: " },
	{ "application/yaml", parse_yaml, "couldn't get version/kind; json parse error: " },
	{ "application/vnd.kubernetes.protobuf", parse_protobuf, "" },
};

static const struct reader *find_reader(const struct request *in)
{
	if (str_empty(in->http->content_type))
		return &readers[0];
	for (size_t i = 0; i < ARRAY_SIZE(readers); i++)
		if (has_type(in, readers[i].media))
			return &readers[i];
	return NULL;
}

int decode_body(const struct request *in, struct answer *out, struct json **ret)
{
	struct err err;
	const struct reader *reader = find_reader(in);
	if (!reader)
		return fail(
			out, 415, "UnsupportedMediaType",
			"the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf");
	if (reader->parse(in->http, ret, &err) < 0)
		return fail(out, 400, "BadRequest",
			    "the object provided is unrecognized (must be of type %s): %s%s",
			    in->resource ? in->resource->kind : "object", reader->fault, err.text);
	return check_shape(out, ret);
}

int decode_apply(const struct request *in, struct answer *out, struct json **ret)
{
	struct err err;
	if (parse_yaml(in->http, ret, &err) < 0)
		return fail(out, 400, "BadRequest", "error decoding YAML: %s", err.text);
	if (json_is_object(*ret))
		return check_shape(out, ret);
	*ret = json_free(*ret);
	return fail(out, 400, "BadRequest", "error decoding YAML: it is not an object");
}

static int fail_no_text(struct answer *out, const struct resource *r, const char *key)
{
	return fail(
		out, 400, "BadRequest",
		"the object provided is unrecognized (must be of type %s): couldn't get version/kind; json parse error: json: cannot unmarshal value into Go struct field .%s of type string",
		r->kind, key);
}

/* Built-in kinds may leave out what the path says; custom ones may not, as upstream. */
static int check_kind(struct answer *out, const struct resource *r, struct json *tree)
{
	static const char *const keys[] = { "apiVersion", "kind" };
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const struct json *value = json_get(tree, keys[i]);
		if (!json_is_null(value) && !json_is_string(value))
			return fail_no_text(out, r, keys[i]);
	}
	const char *version = json_get_string(tree, "apiVersion"),
		   *kind = json_get_string(tree, "kind");
	if (resource_is(r, RESOURCE_CUSTOM) && str_empty(kind))
		return fail(out, 400, "BadRequest", "Object 'Kind' is missing in the request body");
	if (resource_is(r, RESOURCE_CUSTOM) && str_empty(version))
		return fail(out, 400, "BadRequest",
			    "Object 'apiVersion' is missing in the request body");
	if (!str_empty(version) && !streq(version, r->api_version))
		return fail(
			out, 400, "BadRequest",
			"the API version in the data (%s) does not match the expected API version (%s)",
			version, r->api_version);
	if (!str_empty(kind) && !streq(kind, r->kind) && resource_is(r, RESOURCE_CUSTOM))
		return fail_other_kind(out, r, object_name(tree), kind);
	if (!str_empty(kind) && !streq(kind, r->kind))
		return fail(out, 400, "BadRequest",
			    "the kind in the data (%s) does not match the expected kind (%s)", kind,
			    r->kind);
	json_set_string(tree, "apiVersion", r->api_version);
	json_set_string(tree, "kind", r->kind);
	return 0;
}

/* Built-in kinds are typed: a value of the wrong type is no object of the kind at all. */
static char *type_fault(const struct resource *r, const struct json *tree)
{
	if (resource_is(r, RESOURCE_CUSTOM))
		return NULL;
	_cleanup_(path_done) struct path path = { 0 };
	struct causes causes = { 0 };
	char *text = NULL;
	schema_validate(r->schema, tree, NULL, &path, &causes);
	for (size_t i = 0; i < causes.count && !text; i++)
		if (causes.items[i].type == CAUSE_TYPE_INVALID)
			text = xasprintf("json: cannot unmarshal into Go struct field %s.%s: %s",
					 r->kind, causes.items[i].field, causes.items[i].text);
	causes_done(&causes);
	return text;
}

/* The text of what cannot be forgiven, or NULL. */
static char *clean(const struct resource *r, struct json *tree, struct unknown_fields *unknown)
{
	char *wrong = meta_clean(tree, unknown);
	if (wrong)
		return wrong;
	schema_prune(r->schema, tree, unknown);
	wrong = meta_clean_embedded(r->schema, tree, unknown);
	if (wrong)
		return wrong;
	if (!resource_is(r, RESOURCE_CUSTOM)) {
		schema_fill_nulls(r->schema, tree);
		/* Drops nulls, which Go takes for absent. Our own defaults are small. */
		(void)schema_default(r->schema, tree, &SCHEMA_BUDGET);
		schema_drop_empty(r->schema, tree);
	}
	return type_fault(r, tree);
}

static char *strict_text(const struct unknown_fields *unknown)
{
	struct strbuf text = { 0 };
	strbuf_adds(&text, "strict decoding error: ");
	for (size_t i = 0; i < unknown->count; i++)
		strbuf_addf(&text, "%sunknown field \"%s\"", i ? ", " : "", unknown->items[i]);
	return strbuf_take(&text, NULL);
}

/* The default: old clients go on, and their users are told. */
static void warn_unknown(const struct request *in, struct answer *out,
			 const struct unknown_fields *unknown)
{
	for (size_t i = 0; in->query.validation == FIELDS_WARN && i < unknown->count; i++)
		answer_warn(out, "unknown field \"%s\"", unknown->items[i]);
}

int decode_object(const struct request *in, struct answer *out, const struct resource *r,
		  struct json *tree)
{
	int result = check_kind(out, r, tree);
	if (result < 0)
		return result;
	_cleanup_(unknown_fields_done) struct unknown_fields unknown = { 0 };
	_cleanup_(freep) char *wrong = clean(r, tree, &unknown);
	if (!wrong && unknown.count > 0 && in->query.validation == FIELDS_STRICT)
		wrong = strict_text(&unknown);
	if (wrong)
		return fail(out, 400, "BadRequest",
			    "%s in version \"%s\" cannot be handled as a %s: %s", r->kind,
			    r->version, r->kind, wrong);
	warn_unknown(in, out, &unknown);
	return 0;
}

int fail_patch(struct answer *out, const char *outcome, const char *wrong)
{
	struct causes causes = { 0 };
	causes_add_string(&causes, CAUSE_INVALID, "patch", outcome, "%s", wrong);
	int result = fail_invalid(out, NULL, "", &causes);
	causes_done(&causes);
	return result;
}

static bool says_other(const struct json *tree, const char *key, const char *ours)
{
	const struct json *value = json_get(tree, key);
	return !json_is_null(value) && !streq(json_string(value), ours);
}

/* What the decoder of a patch's outcome would say of what it calls itself, or NULL. */
static char *patched_kind_fault(const struct resource *r, const struct json *tree)
{
	if (resource_is(r, RESOURCE_CUSTOM))
		return str_empty(json_get_string(tree, "kind"))
			       ? xstrdup("Object 'Kind' is missing in the outcome of the patch")
			       : NULL;
	if (!says_other(tree, "kind", r->kind) && !says_other(tree, "apiVersion", r->api_version))
		return NULL;
	return xasprintf("no kind \"%s\" is registered for version \"%s\"",
			 str_or(json_get_string(tree, "kind"), ""),
			 str_or(json_get_string(tree, "apiVersion"), ""));
}

static int fail_patched_version(struct answer *out, const struct resource *r,
				const struct json *tree)
{
	struct causes causes = { 0 };
	causes_add_json(&causes, CAUSE_INVALID, "apiVersion", json_get(tree, "apiVersion"),
			"must be %s", r->api_version);
	int result = fail_invalid(out, r, object_name(tree), &causes);
	causes_done(&causes);
	return result;
}

static int check_patched_kind(struct answer *out, const struct resource *r, struct json *tree,
			      const char *outcome)
{
	_cleanup_(freep) char *wrong = patched_kind_fault(r, tree);
	if (wrong)
		return fail_patch(out, outcome, wrong);
	if (resource_is(r, RESOURCE_CUSTOM) && says_other(tree, "apiVersion", r->api_version))
		return fail_patched_version(out, r, tree);
	return check_kind(out, r, tree);
}

int decode_patched(const struct request *in, struct answer *out, const struct resource *r,
		   struct json *tree)
{
	_cleanup_(freep) char *before = json_to_string(tree);
	int result = check_patched_kind(out, r, tree, before);
	if (result < 0)
		return result;
	_cleanup_(unknown_fields_done) struct unknown_fields unknown = { 0 };
	_cleanup_(freep) char *wrong = clean(r, tree, &unknown);
	if (!wrong && unknown.count > 0 && in->query.validation == FIELDS_STRICT)
		wrong = strict_text(&unknown);
	if (wrong)
		return fail_patch(out, before, wrong);
	warn_unknown(in, out, &unknown);
	return 0;
}
