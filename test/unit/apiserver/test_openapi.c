/* OpenAPI v2 in protobuf, read back by a decoder that knows the wire and nothing else. */

#include "apiserver/docs/openapi_protobuf.h"
#include "base/cursor.h"
#include "unit/apiserver/harness.h"

#define PROTOBUF  "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
#define PROTOBUF2 "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
#define META	  "io.k8s.apimachinery.pkg.apis.meta.v1."

/* Field numbers along a path, from openapiv2/OpenAPIv2.proto. */
enum { SWAGGER = 1, INFO = 2, PATHS = 8, DEFINITIONS = 9 };
enum { REF = 1, DESCRIPTION = 4, REQUIRED = 19, ADDITIONAL = 21, TYPE = 22, ITEMS = 23 };
enum { PROPERTIES = 25, EXTENSION = 31 };

struct span {
	const uint8_t *data;
	size_t len;
	uint64_t value; /* of a number */
	bool found;
};

static uint64_t varint(struct cursor *c)
{
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte = cursor_u8(c);
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return value;
	}
	fail_msg("a varint without an end");
	return 0;
}

static unsigned next(struct cursor *c, struct span *ret)
{
	uint64_t key = varint(c);
	*ret = (struct span){ .found = true };
	if ((key & 7) == 0) {
		ret->value = varint(c);
	} else if ((key & 7) == 1) {
		ret->value = cursor_le64(c);
	} else {
		assert_int_equal(key & 7, 2);
		ret->len = varint(c);
		ret->data = cursor_bytes(c, ret->len);
	}
	assert_true(cursor_ok(c));
	return (unsigned)(key >> 3);
}

static bool is_text(struct span s, const char *text)
{
	return s.found && s.len == strlen(text) && (!s.len || memcmp(s.data, text, s.len) == 0);
}

/* The index-th field of that number. */
static struct span nth(struct span in, unsigned number, size_t index)
{
	struct cursor c;
	struct span item;
	cursor_init(&c, in.data, in.len);
	while (cursor_left(&c))
		if (next(&c, &item) == number && index-- == 0)
			return item;
	return (struct span){ 0 };
}

static struct span field(struct span in, unsigned number)
{
	return nth(in, number, 0);
}

/* Value of an entry {1: name, 2: value} among the fields of that number. */
static struct span entry(struct span in, unsigned number, const char *name)
{
	for (size_t i = 0;; i++) {
		struct span item = nth(in, number, i);
		if (!item.found || is_text(field(item, 1), name))
			return field(item, 2);
	}
}

/* Messages that stand several times in the document are one. */
static struct span among(struct span document, unsigned part, unsigned number, const char *name)
{
	struct span found = { 0 };
	for (size_t i = 0; !found.found; i++) {
		struct span one = nth(document, part, i);
		if (!one.found)
			break;
		found = entry(one, number, name);
	}
	return found;
}

static struct span property(struct span schema, const char *name)
{
	return entry(field(schema, PROPERTIES), 1, name);
}

static void assert_span(struct span s, const char *text)
{
	if (!is_text(s, text))
		fail_msg("\"%.*s\" is not \"%s\"", (int)s.len, s.data ? (const char *)s.data : "",
			 text);
}

static void assert_type(struct span schema, const char *type)
{
	assert_span(field(field(schema, TYPE), 1), type);
}

static struct span encoded(const char *text, struct strbuf *out)
{
	_cleanup_(freep) char *json = quoted(text);
	struct json *j = NULL;
	assert_int_equal(json_parse(json, strlen(json), &j, NULL), 0);
	strbuf_clear(out);
	openapi_protobuf_add(j, out);
	json_free(j);
	return (struct span){ (const uint8_t *)out->data, out->len, 0, true };
}

/* --- the form ----------------------------------------------------------------------------------*/

/* Bytes by hand, from the specification of the encoding. */
static void test_bytes(void **state)
{
	_cleanup_(strbuf_done) struct strbuf out = { 0 };
	(void)state;
	encoded("{'swagger':'2.0','info':{'title':'T','version':'v'}}", &out);
	assert_int_equal(out.len, 13);
	assert_memory_equal(out.data,
			    "\x0a\x03"
			    "2.0\x12\x06\x0a\x01T\x12\x01v",
			    13);
	encoded("{'definitions':{'a':{'minLength':300}}}", &out);
	assert_int_equal(out.len, 12);
	assert_memory_equal(out.data,
			    "\x4a\x0a\x0a\x08\x0a\x01"
			    "a\x12\x03\x60\xac\x02",
			    12);
	encoded("{}", &out);
	assert_int_equal(out.len, 0);
}

static void test_every_member(void **state)
{
	_cleanup_(strbuf_done) struct strbuf out = { 0 };
	(void)state;
	struct span d = encoded(
		"{'definitions':{'a':{'$ref':'r','format':'f','title':'t','description':'d',"
		"'default':{'k':[1]},'multipleOf':0.5,'maximum':1,'exclusiveMaximum':true,'minimum':-1,"
		"'exclusiveMinimum':false,'maxLength':1,'minLength':2,'pattern':'p','maxItems':3,"
		"'minItems':4,'uniqueItems':true,'maxProperties':5,'minProperties':6,"
		"'required':['x','y'],'enum':['e',7],'additionalProperties':{'type':'string'},"
		"'type':'object','items':{'type':'integer'},'allOf':[{'format':'g'}],"
		"'properties':{'q':{}},'x-one':[true],'nullable':true,'oneOf':[{}],'example':null}}}",
		&out);
	struct span s = entry(field(d, DEFINITIONS), 1, "a");
	static const struct {
		unsigned number;
		const char *text;
	} texts[] = { { REF, "r" }, { 2, "f" }, { 3, "t" }, { DESCRIPTION, "d" }, { 13, "p" } };
	static const struct {
		unsigned number;
		uint64_t value;
	} numbers[] = { { 6, UINT64_C(0x3fe0000000000000) },
			{ 7, UINT64_C(0x3ff0000000000000) },
			{ 8, 1 },
			{ 9, UINT64_C(0xbff0000000000000) },
			{ 10, 0 },
			{ 11, 1 },
			{ 12, 2 },
			{ 14, 3 },
			{ 15, 4 },
			{ 16, 1 },
			{ 17, 5 },
			{ 18, 6 } };
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_span(field(s, texts[i].number), texts[i].text);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		assert_true(field(s, numbers[i].number).found);
		assert_true(field(s, numbers[i].number).value == numbers[i].value);
	}
	assert_span(field(field(s, 5), 2), "{\"k\":[1]}");
	assert_span(nth(s, REQUIRED, 0), "x");
	assert_span(nth(s, REQUIRED, 1), "y");
	assert_span(field(nth(s, 20, 0), 2), "\"e\"");
	assert_span(field(nth(s, 20, 1), 2), "7");
	assert_type(field(field(s, ADDITIONAL), 1), "string");
	assert_type(s, "object");
	assert_type(field(field(s, ITEMS), 1), "integer");
	assert_span(field(field(s, 24), 2), "g");
	assert_true(property(s, "q").found);
	assert_span(field(entry(s, EXTENSION, "x-one"), 2), "[true]");
}

static void test_odd_values(void **state)
{
	_cleanup_(strbuf_done) struct strbuf out = { 0 };
	(void)state;
	struct span d = encoded("{'definitions':{'a':{'additionalProperties':false,"
				"'type':['string','null'],'description':5,'maxLength':'x',"
				"'properties':[],'items':[],'required':7,'minLength':1.5}}}",
				&out);
	struct span s = entry(field(d, DEFINITIONS), 1, "a");
	assert_true(field(field(s, ADDITIONAL), 2).found);
	assert_true(field(field(s, ADDITIONAL), 2).value == 0);
	assert_span(nth(field(s, TYPE), 1, 1), "null");
	assert_false(field(s, DESCRIPTION).found);
	assert_false(field(s, 11).found);
	assert_false(field(s, 12).found);
	assert_false(field(s, REQUIRED).found);
	encoded("[1]", &out);
	encoded("{'paths':5,'definitions':[],'info':'x','swagger':{}}", &out);
	encoded("{'paths':{'/a':{'get':{'parameters':[5,{'in':'header'}],'responses':[]}}}}", &out);
}

/* --- the answer --------------------------------------------------------------------------------*/

/* Beside JSON, as a proxy or a tool might ask. */
static struct span fetch(struct server *s, const char *accept)
{
	ask_as(s, "GET", "/openapi/v2", "", accept, NULL);
	assert_status(200);
	assert_string_equal(last.content_type, PROTOBUF2);
	return (struct span){ (const uint8_t *)last.body.data, last.body.len, 0, true };
}

static void test_definitions(void **state)
{
	struct span d = fetch(*state, PROTOBUF ",application/json");
	assert_span(field(d, SWAGGER), "2.0");
	assert_span(field(field(d, INFO), 1), "Ingot");
	struct span widget = among(d, DEFINITIONS, 1, "dev.ingot.test.v1.Widget");
	assert_span(field(entry(widget, EXTENSION, "x-kubernetes-group-version-kind"), 2),
		    "[{\"group\":\"test.ingot.dev\",\"kind\":\"Widget\",\"version\":\"v1\"}]");
	assert_span(field(widget, DESCRIPTION), "A widget.");
	assert_span(field(property(widget, "metadata"), REF), "#/definitions/" META "ObjectMeta");
	struct span spec = property(widget, "spec");
	assert_type(spec, "object");
	assert_span(field(spec, DESCRIPTION), "What is wanted.");
	assert_span(field(spec, REQUIRED), "size");
	assert_type(property(spec, "size"), "integer");
	assert_type(field(field(property(spec, "labels"), ADDITIONAL), 1), "string");
	struct span part = field(field(property(spec, "parts"), ITEMS), 1);
	assert_type(property(part, "name"), "string");
	assert_false(field(property(spec, "port"), TYPE).found);
	struct span list = among(d, DEFINITIONS, 1, "dev.ingot.test.v1.WidgetList");
	assert_span(field(field(field(property(list, "items"), ITEMS), 1), REF),
		    "#/definitions/dev.ingot.test.v1.Widget");
	assert_true(among(d, DEFINITIONS, 1, "io.k8s.api.core.v1.Secret").found);
	struct span meta = among(d, DEFINITIONS, 1, META "ObjectMeta");
	assert_span(field(field(field(property(meta, "ownerReferences"), ITEMS), 1), REF),
		    "#/definitions/" META "OwnerReference");
}

/* kubectl asks the patch operation what parameters the server knows. */
static void test_paths(void **state)
{
	struct span d = fetch(*state, PROTOBUF2 ";q=1, application/json");
	struct span path = among(d, PATHS, 2,
				 "/apis/test.ingot.dev/v1/namespaces/{namespace}/widgets/{name}");
	struct span patch = field(path, 8);
	assert_span(field(entry(patch, 13, "x-kubernetes-group-version-kind"), 2),
		    "{\"group\":\"test.ingot.dev\",\"kind\":\"Widget\",\"version\":\"v1\"}");
	struct span parameter = field(nth(patch, 8, 0), 1);
	struct span query = field(field(parameter, 2), 3);
	assert_span(field(query, 4), "dryRun");
	assert_span(field(query, 2), "query");
	assert_span(field(query, 6), "string");
	struct span body = field(field(nth(patch, 8, 4), 1), 1);
	assert_span(field(field(body, 5), REF), "#/definitions/" META "Patch");
	struct span in_path = field(field(field(nth(path, 9, 1), 1), 2), 4);
	assert_span(field(in_path, 4), "namespace");
	assert_true(field(in_path, 1).value == 1);
	struct span ok = field(entry(field(patch, 9), 1, "200"), 1);
	assert_span(field(ok, 1), "OK");
	assert_span(field(field(field(ok, 2), 1), REF), "#/definitions/dev.ingot.test.v1.Widget");
}

/* Every reference leads somewhere and every array has items: kubectl takes all or nothing. */
static void check_schema(struct span d, struct span schema)
{
	static const char prefix[] = "#/definitions/";
	struct span ref = field(schema, REF), items = field(field(schema, ITEMS), 1);
	if (ref.found) {
		size_t skip = sizeof(prefix) - 1;
		assert_true(ref.len > skip && memcmp(ref.data, prefix, skip) == 0);
		_cleanup_(freep) char *name = xstrndup((const char *)ref.data + skip,
						       ref.len - skip);
		if (!among(d, DEFINITIONS, 1, name).found)
			fail_msg("%s leads nowhere", name);
	}
	if (is_text(field(field(schema, TYPE), 1), "array"))
		assert_true(items.found);
	if (items.found)
		check_schema(d, items);
	if (field(field(schema, ADDITIONAL), 1).found)
		check_schema(d, field(field(schema, ADDITIONAL), 1));
	for (size_t i = 0; nth(field(schema, PROPERTIES), 1, i).found; i++)
		check_schema(d, field(nth(field(schema, PROPERTIES), 1, i), 2));
}

static void test_consistent(void **state)
{
	struct span d = fetch(*state, PROTOBUF ",application/json"), one;
	size_t count = 0;
	for (size_t i = 0; (one = nth(d, DEFINITIONS, i)).found; i++)
		for (size_t k = 0; nth(one, 1, k).found; k++, count++)
			check_schema(d, field(nth(one, 1, k), 2));
	const struct json *j = ask(*state, "GET", "/openapi/v2", NULL);
	assert_int_equal(count, json_count(json_get(j, "definitions")));
}

/* What v3 can say and v2 cannot must not make kubectl refuse good objects. */
static void test_loosened(void **state)
{
	static const char crd[] =
		"{'apiVersion':'apiextensions.k8s.io/v1','kind':'CustomResourceDefinition',"
		"'metadata':{'name':'frees.test.ingot.dev'},'spec':{'group':'test.ingot.dev','scope':'Cluster',"
		"'names':{'plural':'frees','kind':'Free'},'versions':[{'name':'v1','served':true,'storage':true,"
		"'schema':{'openAPIV3Schema':{'type':'object','properties':{'spec':{'type':'object','required':['default','either'],'properties':{"
		"'open':{'type':'object','x-kubernetes-preserve-unknown-fields':true,'required':['a'],"
		"'properties':{'a':{'type':'string'}}},"
		"'default':{'type':'string','nullable':true,'default':'a','oneOf':[{'pattern':'a'}]},"
		"'either':{'x-kubernetes-int-or-string':true}}}}}}}]}}";
	struct server *s = *state;
	ask(s, "POST", CRDS, crd);
	assert_status(201);
	struct span d = fetch(s, PROTOBUF ",application/json");
	struct span spec = property(among(d, DEFINITIONS, 1, "dev.ingot.test.v1.Free"), "spec");
	assert_type(property(spec, "open"), "object");
	assert_false(field(property(spec, "open"), PROPERTIES).found);
	assert_false(field(property(spec, "open"), REQUIRED).found);
	assert_type(property(spec, "default"), "string");
	assert_false(field(property(spec, "either"), TYPE).found);
	assert_span(nth(spec, REQUIRED, 0), "either");
	assert_false(nth(spec, REQUIRED, 1).found);
	const struct json *j = ask(s, "GET", "/openapi/v2", NULL);
	j = json_get_path(json_get(json_get(j, "definitions"), "dev.ingot.test.v1.Free"),
			  "properties.spec.properties.default");
	assert_text(j, "default", "a");
	assert_null(json_get(j, "nullable"));
	assert_null(json_get(j, "oneOf"));
}

static void test_negotiation(void **state)
{
	struct server *s = *state;
	static const char *const json[] = { "", "*/*", "application/json",
					    ("application/json," PROTOBUF), "text/html,*/*" };
	for (size_t i = 0; i < ARRAY_SIZE(json); i++) {
		ask_as(s, "GET", "/openapi/v2", "", json[i], NULL);
		assert_status(200);
		assert_string_equal(last.content_type, "application/json");
	}
	fetch(s, "text/html, " PROTOBUF2 ";q=0.5 , */*");
	ask_as(s, "GET", "/openapi/v2", "", "application/com.github", NULL);
	assert_failure(406, "NotAcceptable", "application/json");
	ask_as(s, "GET", "/openapi/v3", "", PROTOBUF, NULL);
	assert_failure(406, "NotAcceptable", "application/json");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),	   cmocka_unit_test(test_every_member),
		cmocka_unit_test(test_odd_values), server_test(test_definitions),
		server_test(test_paths),	   server_test(test_consistent),
		server_test(test_loosened),	   server_test(test_negotiation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
