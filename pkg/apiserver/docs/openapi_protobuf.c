/* JSON of an OpenAPI v2 document to protobuf, by tables of field numbers from gnostic-models'
 * openapiv2/OpenAPIv2.proto (0.7.1); numbers never change their meaning. kubectl has only this form
 * of /openapi/v2: it checks `kind: List` by it, and before 1.27 every document.
 *
 * The messages mirror the JSON but for wrappers where JSON lets a value be this or that; maps are
 * repeated {1: name, 2: value}. Values of any type are YAML text, of which JSON is a part.
 *
 * A message that stands twice in its parent is merged by the reader (protobuf.dev, "Last One
 * Wins"), hence documents can be made in parts. Pure. */

#include "apiserver/docs/openapi_protobuf.h"

#include <string.h>

enum member_type {
	MEMBER_STRING,
	MEMBER_STRINGS, /* one, or an array of them */
	MEMBER_BOOL,
	MEMBER_INT,
	MEMBER_DOUBLE,
	MEMBER_ANY,
	MEMBER_ANYS,
	MEMBER_MESSAGE,	 /* of an object */
	MEMBER_MESSAGES, /* of each element */
	MEMBER_WRAPPER,	 /* a message of whatever value it is */
	MEMBER_MAP,
	MEMBER_EXTENSIONS, /* all members "x-..." */
};

struct member {
	const char *name; /* "": the value itself, of wrappers; NULL ends a table */
	unsigned number;
	enum member_type type;
	const struct member *message;
	const char *in; /* parameters: only of those in this place */
};

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2 };

/* --- tables ----------------------------------------------------------------------------------- */

#define END                                                                                        \
	{                                                                                          \
		.name = NULL                                                                       \
	}

static const struct member schema[32];

static const struct member type_item[] = { { "", 1, MEMBER_STRINGS, NULL, NULL }, END };

static const struct member items_item[] = { { "", 1, MEMBER_MESSAGE, schema, NULL }, END };

static const struct member additional_item[] = {
	{ "", 1, MEMBER_MESSAGE, schema, NULL },
	{ "", 2, MEMBER_BOOL, NULL, NULL },
	END,
};

static const struct member schemas[] = { { "", 1, MEMBER_MAP, schema, NULL }, END };

static const struct member external_docs[] = {
	{ "description", 1, MEMBER_STRING, NULL, NULL },
	{ "url", 2, MEMBER_STRING, NULL, NULL },
	END,
};

static const struct member schema[32] = {
	{ "$ref", 1, MEMBER_STRING, NULL, NULL },
	{ "format", 2, MEMBER_STRING, NULL, NULL },
	{ "title", 3, MEMBER_STRING, NULL, NULL },
	{ "description", 4, MEMBER_STRING, NULL, NULL },
	{ "default", 5, MEMBER_ANY, NULL, NULL },
	{ "multipleOf", 6, MEMBER_DOUBLE, NULL, NULL },
	{ "maximum", 7, MEMBER_DOUBLE, NULL, NULL },
	{ "exclusiveMaximum", 8, MEMBER_BOOL, NULL, NULL },
	{ "minimum", 9, MEMBER_DOUBLE, NULL, NULL },
	{ "exclusiveMinimum", 10, MEMBER_BOOL, NULL, NULL },
	{ "maxLength", 11, MEMBER_INT, NULL, NULL },
	{ "minLength", 12, MEMBER_INT, NULL, NULL },
	{ "pattern", 13, MEMBER_STRING, NULL, NULL },
	{ "maxItems", 14, MEMBER_INT, NULL, NULL },
	{ "minItems", 15, MEMBER_INT, NULL, NULL },
	{ "uniqueItems", 16, MEMBER_BOOL, NULL, NULL },
	{ "maxProperties", 17, MEMBER_INT, NULL, NULL },
	{ "minProperties", 18, MEMBER_INT, NULL, NULL },
	{ "required", 19, MEMBER_STRINGS, NULL, NULL },
	{ "enum", 20, MEMBER_ANYS, NULL, NULL },
	{ "additionalProperties", 21, MEMBER_WRAPPER, additional_item, NULL },
	{ "type", 22, MEMBER_WRAPPER, type_item, NULL },
	{ "items", 23, MEMBER_WRAPPER, items_item, NULL },
	{ "allOf", 24, MEMBER_MESSAGES, schema, NULL },
	{ "properties", 25, MEMBER_WRAPPER, schemas, NULL },
	{ "readOnly", 27, MEMBER_BOOL, NULL, NULL },
	{ "externalDocs", 29, MEMBER_MESSAGE, external_docs, NULL },
	{ "example", 30, MEMBER_ANY, NULL, NULL },
	{ "", 31, MEMBER_EXTENSIONS, NULL, NULL },
	END,
};

static const struct member body_parameter[] = {
	{ "description", 1, MEMBER_STRING, NULL, NULL }, { "name", 2, MEMBER_STRING, NULL, NULL },
	{ "in", 3, MEMBER_STRING, NULL, NULL },		 { "required", 4, MEMBER_BOOL, NULL, NULL },
	{ "schema", 5, MEMBER_MESSAGE, schema, NULL },	 END,
};

static const struct member query_parameter[] = {
	{ "required", 1, MEMBER_BOOL, NULL, NULL },	 { "in", 2, MEMBER_STRING, NULL, NULL },
	{ "description", 3, MEMBER_STRING, NULL, NULL }, { "name", 4, MEMBER_STRING, NULL, NULL },
	{ "type", 6, MEMBER_STRING, NULL, NULL },	 END,
};

static const struct member path_parameter[] = {
	{ "required", 1, MEMBER_BOOL, NULL, NULL },	 { "in", 2, MEMBER_STRING, NULL, NULL },
	{ "description", 3, MEMBER_STRING, NULL, NULL }, { "name", 4, MEMBER_STRING, NULL, NULL },
	{ "type", 5, MEMBER_STRING, NULL, NULL },	 END,
};

static const struct member other_parameter[] = {
	{ "", 3, MEMBER_MESSAGE, query_parameter, "query" },
	{ "", 4, MEMBER_MESSAGE, path_parameter, "path" },
	END,
};

static const struct member parameter[] = {
	{ "", 1, MEMBER_MESSAGE, body_parameter, "body" },
	{ "", 2, MEMBER_MESSAGE, other_parameter, "query" },
	{ "", 2, MEMBER_MESSAGE, other_parameter, "path" },
	END,
};

static const struct member parameter_item[] = { { "", 1, MEMBER_MESSAGE, parameter, NULL }, END };

static const struct member response[] = {
	{ "description", 1, MEMBER_STRING, NULL, NULL },
	{ "schema", 2, MEMBER_WRAPPER, items_item, NULL },
	END,
};

static const struct member response_value[] = { { "", 1, MEMBER_MESSAGE, response, NULL }, END };

static const struct member responses[] = { { "", 1, MEMBER_MAP, response_value, NULL }, END };

static const struct member operation[] = {
	{ "description", 3, MEMBER_STRING, NULL, NULL },
	{ "parameters", 8, MEMBER_MESSAGES, parameter_item, NULL },
	{ "responses", 9, MEMBER_WRAPPER, responses, NULL },
	{ "", 13, MEMBER_EXTENSIONS, NULL, NULL },
	END,
};

static const struct member path_item[] = {
	{ "get", 2, MEMBER_MESSAGE, operation, NULL },
	{ "put", 3, MEMBER_MESSAGE, operation, NULL },
	{ "post", 4, MEMBER_MESSAGE, operation, NULL },
	{ "delete", 5, MEMBER_MESSAGE, operation, NULL },
	{ "patch", 8, MEMBER_MESSAGE, operation, NULL },
	{ "parameters", 9, MEMBER_MESSAGES, parameter_item, NULL },
	END,
};

static const struct member paths[] = { { "", 2, MEMBER_MAP, path_item, NULL }, END };

static const struct member info[] = {
	{ "title", 1, MEMBER_STRING, NULL, NULL },
	{ "version", 2, MEMBER_STRING, NULL, NULL },
	END,
};

static const struct member document_members[] = {
	{ "swagger", 1, MEMBER_STRING, NULL, NULL },
	{ "info", 2, MEMBER_MESSAGE, info, NULL },
	{ "paths", 8, MEMBER_WRAPPER, paths, NULL },
	{ "definitions", 9, MEMBER_WRAPPER, schemas, NULL },
	END,
};

/* --- the wire (protobuf.dev, "Encoding") --- */

static size_t write_varint(uint64_t value, uint8_t out[10])
{
	size_t n = 0;
	for (; value >= 0x80; value >>= 7)
		out[n++] = (uint8_t)(value | 0x80);
	out[n++] = (uint8_t)value;
	return n;
}

static void add_varint(struct strbuf *out, uint64_t value)
{
	uint8_t bytes[10];
	strbuf_add(out, bytes, write_varint(value, bytes));
}

static void add_key(struct strbuf *out, unsigned number, unsigned wire)
{
	add_varint(out, number << 3 | wire);
}

static void add_string(struct strbuf *out, unsigned number, const char *s)
{
	size_t len = strlen(s);
	add_key(out, number, WIRE_BYTES);
	add_varint(out, len);
	strbuf_add(out, s, len);
}

static void add_double(struct strbuf *out, unsigned number, double value)
{
	uint64_t bits;
	memcpy(&bits, &value, sizeof(bits));
	add_key(out, number, WIRE_64);
	for (unsigned shift = 0; shift < 64; shift += 8)
		strbuf_addc(out, (char)(uint8_t)(bits >> shift));
}

/* Lengths stand before what they measure: end_message() makes room for them. */
static size_t begin_message(struct strbuf *out, unsigned number)
{
	add_key(out, number, WIRE_BYTES);
	return out->len;
}

static void end_message(struct strbuf *out, size_t begin)
{
	uint8_t bytes[10];
	size_t len = out->len - begin, n = write_varint(len, bytes);
	strbuf_add(out, bytes, n);
	memmove(out->data + begin + n, out->data + begin, len);
	memcpy(out->data + begin, bytes, n);
}

/* --- values --- */

/* By tables that lead to each other; the JSON parser limits the depth. */
static void add_members(struct strbuf *out, const struct member *table, const struct json *j);

static void add_message(struct strbuf *out, const struct member *m, const struct json *value)
{
	size_t begin = begin_message(out, m->number);
	add_members(out, m->message, value);
	end_message(out, begin);
}

/* The other field of Any, google.protobuf.Any, nobody reads. */
static void add_any(struct strbuf *out, unsigned number, const struct json *value)
{
	size_t begin = begin_message(out, number);
	add_key(out, 2, WIRE_BYTES);
	size_t text = out->len;
	json_print(value, out);
	end_message(out, text);
	end_message(out, begin);
}

static void add_extensions(struct strbuf *out, unsigned number, const struct json *j)
{
	json_for_each(child, j) {
		if (!str_has_prefix(json_key(child), "x-"))
			continue;
		size_t begin = begin_message(out, number);
		add_string(out, 1, json_key(child));
		add_any(out, 2, child);
		end_message(out, begin);
	}
}

static void add_map(struct strbuf *out, const struct member *m, const struct json *j)
{
	const struct member value = { "", 2, MEMBER_MESSAGE, m->message, NULL };
	json_for_each(child, j) {
		size_t begin = begin_message(out, m->number);
		add_string(out, 1, json_key(child));
		add_message(out, &value, child);
		end_message(out, begin);
	}
}

static void add_scalar(struct strbuf *out, const struct member *m, const struct json *value)
{
	bool flag;
	int64_t integer;
	double number;
	if (m->type == MEMBER_STRING && json_string(value)) {
		add_string(out, m->number, json_string(value));
	} else if (m->type == MEMBER_BOOL && json_bool(value, &flag)) {
		add_key(out, m->number, WIRE_VARINT);
		add_varint(out, flag);
	} else if (m->type == MEMBER_INT && json_int(value, &integer)) {
		add_key(out, m->number, WIRE_VARINT);
		add_varint(out, (uint64_t)integer);
	} else if (m->type == MEMBER_DOUBLE && json_double(value, &number)) {
		add_double(out, m->number, number);
	}
}

static void add_strings(struct strbuf *out, unsigned number, const struct json *value)
{
	if (json_string(value))
		add_string(out, number, json_string(value));
	else if (json_is_array(value))
		json_for_each(item, value)
			add_string(out, number, str_or(json_string(item), ""));
}

static void add_member(struct strbuf *out, const struct member *m, const struct json *value)
{
	switch (m->type) {
	case MEMBER_STRING:
	case MEMBER_BOOL:
	case MEMBER_INT:
	case MEMBER_DOUBLE:
		add_scalar(out, m, value);
		break;
	case MEMBER_STRINGS:
		add_strings(out, m->number, value);
		break;
	case MEMBER_ANY:
		add_any(out, m->number, value);
		break;
	case MEMBER_ANYS:
		json_for_each(item, value)
			add_any(out, m->number, item);
		break;
	case MEMBER_MESSAGE:
		if (json_is_object(value))
			add_message(out, m, value);
		break;
	case MEMBER_MESSAGES:
		json_for_each(item, value)
			add_message(out, m, item);
		break;
	case MEMBER_WRAPPER:
		add_message(out, m, value);
		break;
	case MEMBER_MAP:
		if (json_is_object(value))
			add_map(out, m, value);
		break;
	case MEMBER_EXTENSIONS:
		add_extensions(out, m->number, value);
		break;
	}
}

static void add_members(struct strbuf *out, const struct member *table, const struct json *j)
{
	for (const struct member *m = table; m->name; m++) {
		const struct json *value = *m->name ? json_get(j, m->name) : j;
		if (value && (!m->in || streq(json_get_string(j, "in"), m->in)))
			add_member(out, m, value);
	}
}

void openapi_protobuf_add(const struct json *document, struct strbuf *out)
{
	add_members(out, document_members, document);
}
