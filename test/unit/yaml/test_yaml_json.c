/* YAML documents as JSON text, and what is refused. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "yaml/yaml_json.h"

static int convert(const char *text, size_t len, struct strbuf *out, struct err *err)
{
	/* An exact copy on the heap, so that ASan sees a read beyond the end. */
	_cleanup_(freep) char *copy = xmemdup(text, len);
	return yaml_to_json(copy, len, out, err);
}

static void assert_yaml(const char *text, const char *expected)
{
	_cleanup_(strbuf_done) struct strbuf out = { 0 };
	struct err err = { 0 };
	if (convert(text, strlen(text), &out, &err) < 0)
		fail_msg("%s: %s", text, err.text);
	assert_string_equal(out.data, expected);
}

static void test_structure(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{ "a: 1", "{\"a\":1}" },
		{ "a:\nb:\n", "{\"a\":null,\"b\":null}" },
		{ "a:\n  b:\n    - 1\n    - x: z\n      z: [1, {w: ~}]\n    -\n",
		  "{\"a\":{\"b\":[1,{\"x\":\"z\",\"z\":[1,{\"w\":null}]},null]}}" },
		{ "a:\n- 1\n- - 2\n  - 3\n- []\n- {}\n", "{\"a\":[1,[2,3],[],{}]}" },
		{ "- 1\n- '2'\n- \"3\"\n- three\n", "[1,\"2\",\"3\",\"three\"]" },
		{ "{\"json\": [true, null, -1.5e3, \"\\u00e9\\/\\n\"]}",
		  "{\"json\":[true,null,-1.5e3,\"\xc3\xa9/\\n\"]}" },
		{ "# comment\n---\na: b # more\n...\n# end\n", "{\"a\":\"b\"}" },
		{ "%YAML 1.2\n---\na: b\n", "{\"a\":\"b\"}" },
		{ "\xef\xbb\xbf"
		  "a: b\n",
		  "{\"a\":\"b\"}" },
		{ "a: b\r\nc: d\r\n", "{\"a\":\"b\",\"c\":\"d\"}" },
		{ "--- text", "\"text\"" },
		{ "--- \"\"", "\"\"" },
		{ "null", "null" },
		{ "? a\n: 1\n? b\n", "{\"a\":1,\"b\":null}" },
		{ "a: {b: 1, c: 2}\n", "{\"a\":{\"b\":1,\"c\":2}}" },
		{ "a: [b: 1, c]\n", "{\"a\":[{\"b\":1},\"c\"]}" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_yaml(rows[i][0], rows[i][1]);
}

static void test_scalars(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{ "a: 'it''s'", "{\"a\":\"it's\"}" },
		{ "a: 'true'", "{\"a\":\"true\"}" },
		{ "a: \"12\"", "{\"a\":\"12\"}" },
		{ "a: \"\\x41\\u00e9\\U0001f600\\e\\t\"",
		  "{\"a\":\"A\xc3\xa9\xf0\x9f\x98\x80\\u001b\\u0009\"}" },
		{ "a: \"one\n  two\n\n  three\\\n   four\"", "{\"a\":\"one two\\nthreefour\"}" },
		{ "a: one\n  two\n\n  three\nb: 1", "{\"a\":\"one two\\nthree\",\"b\":1}" },
		{ "a: |\n  x\n   y\n\n  z\nb: 1", "{\"a\":\"x\\n y\\n\\nz\\n\",\"b\":1}" },
		{ "a: |-\n  x\n  y\n\nb: 1", "{\"a\":\"x\\ny\",\"b\":1}" },
		{ "a: |+\n  x\n\nb: 1", "{\"a\":\"x\\n\\n\",\"b\":1}" },
		{ "a: >\n  x\n  y\n\n  z\nb: 1", "{\"a\":\"x y\\nz\\n\",\"b\":1}" },
		{ "a: >-\n  12\nb: |\n  true\n", "{\"a\":\"12\",\"b\":\"true\\n\"}" },
		{ "a: |2\n    x\n", "{\"a\":\"  x\\n\"}" },
		{ "a: |\n  #cloud-config\n  x: \"y\"\n",
		  "{\"a\":\"#cloud-config\\nx: \\\"y\\\"\\n\"}" },
		{ "a: http://x:80/y#z", "{\"a\":\"http://x:80/y#z\"}" },
		{ "a: 00:1a:2b:3c:4d:5e", "{\"a\":\"00:1a:2b:3c:4d:5e\"}" },
		{ "online: yes", "{\"online\":true}" },
		{ "dhcp: no\nmode: 0644\nquoted: 'no'",
		  "{\"dhcp\":false,\"mode\":420,\"quoted\":\"no\"}" },
		{ "online: true", "{\"online\":true}" },
		{ "a: 0x10\nb: +.5\nc: 9223372036854775807",
		  "{\"a\":16,\"b\":0.5,\"c\":9223372036854775807}" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_yaml(rows[i][0], rows[i][1]);
}

static void test_keys(void **state)
{
	(void)state;
	assert_yaml("1: a\non: b\n'1.5': c\n'': d\n\"~\": e\n'y': f\n\"<<\": g",
		    "{\"1\":\"a\",\"true\":\"b\",\"1.5\":\"c\",\"\":\"d\",\"~\":\"e\",\"y\":\"f\","
		    "\"<<\":\"g\"}");
	/* The same key in different mappings is no duplicate. */
	assert_yaml("a: {a: {a: 1}, b: 2}\nb: [{a: 1}, {a: 2}]",
		    "{\"a\":{\"a\":{\"a\":1},\"b\":2},\"b\":[{\"a\":1},{\"a\":2}]}");
}

static void assert_refused(const char *text, size_t len, const char *expected)
{
	_cleanup_(strbuf_done) struct strbuf out = { 0 };
	struct err err = { 0 };
	if (convert(text, len, &out, &err) == 0)
		fail_msg("accepted: %s", text);
	if (!strstr(err.text, expected))
		fail_msg("%s: %s", text, err.text);
	assert_int_equal(out.len, 0);
	assert_int_equal(convert(text, len, &out, NULL), err_value(&err));
}

static void test_refused(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{ "", "no document" },
		{ "# nothing\n", "no document" },
		{ "---\n---\n", "no document" },
		{ "a: 1\n---\nb: 2\n", "more than one document" },
		{ "a: &x 1", "line 1, column 4: anchors" },
		{ "a: &x [1]", "anchors" },
		{ "a: &x {b: 1}", "anchors" },
		{ "&x a: 1", "anchors" },
		{ "a: 1\nb:\n  - *x", "line 3, column 5: aliases" },
		{ "*x : 1", "aliases" },
		{ "a: !!str 1", "tags" },
		{ "a: ! 1", "tags" },
		{ "a: !foo [1]", "tags" },
		{ "a: !!map {}", "tags" },
		{ "a: !<tag:yaml.org,2002:str> 1", "tags" },
		{ "a: 1\nb: 2\na: 3\n",
		  "line 3, column 1: the key \"a\" stands in this mapping twice" },
		{ "{a: 1, \"a\": 2}", "line 1, column 8" },
		{ "1: a\n'1': b", "twice" },
		{ "x:\n  - {b: 1, c: 2, b: 3}", "line 2, column 18" },
		{ "? [a]\n: 1", "line 1, column 3: a key must be a scalar" },
		{ "{{a: 1}: 2}", "a key must be a scalar" },
		{ "? {a: 1}\n: 1", "a key must be a scalar" },
		{ "~: 1", "must not be null" },
		{ "null: 1", "must not be null" },
		{ "? \n: 1", "line 1, column 2: a key must not be null" },
		{ "<<: {a: 1}", "merge keys" },
		{ "a: .inf", "line 1, column 4: JSON has no infinity" },
		{ "a: .nan", "NaN" },
		{ "1.5: a", "must be quoted" },
		{ "on: a\ntrue: b", "stands in this mapping twice" },
		{ "a: \"x\\0y\"", "\\0 is not accepted" },
		{ "\"\\0\": 1", "\\0 is not accepted" },
		{ "a: b: c", "line 1, column 5: mapping values are not allowed" },
		{ "a: [1", "line 2, column 1" },
		{ "a: 'x", "quoted scalar" },
		{ "a:\n\t- b", "line 2, column 1" },
		{ "a: @b", "cannot start any token" },
		{ "a: \"\\ud800\"", "invalid Unicode" },
		{ "a: 1\nb: \xff", "line 2, column 4: invalid leading UTF-8" },
		{ "a: \xc0\x80", "UTF-8" },
		{ "a: \xed\xa0\x80", "Unicode" },
		{ "\xc3\xa9: \x01", "line 1, column 4: control characters" },
		{ "a: x\xe2\x80\xa8y", "line 1, column 5: U+0085" },
		{ "a: x\xc2\x85y", "U+2028" },
		{ "%YAML 2.0\n---\na", "incompatible" },
		{ "]", "line 1, column 1" },
		{ "a: 1\n b: 2", "line 2, column 3" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_refused(rows[i][0], strlen(rows[i][0]), rows[i][1]);
	assert_refused("a: x\0y", 6, "line 1, column 5: control characters");
}

static void repeat(struct strbuf *out, const char *text, size_t count)
{
	for (size_t i = 0; i < count; i++)
		strbuf_adds(out, text);
}

static void test_depth(void **state)
{
	(void)state;
	static const char *const kinds[][2] = { { "[", "]" }, { "{a: ", "}" }, { "- ", "" } };
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		_cleanup_(strbuf_done) struct strbuf text = { 0 }, out = { 0 };
		repeat(&text, kinds[i][0], 64);
		strbuf_adds(&text, "1");
		repeat(&text, kinds[i][1], 64);
		assert_int_equal(convert(text.data, text.len, &out, NULL), 0);
		strbuf_clear(&text);
		repeat(&text, kinds[i][0], 65);
		strbuf_adds(&text, "1");
		repeat(&text, kinds[i][1], 65);
		assert_refused(text.data, text.len, "deeper than 64 levels");
		strbuf_clear(&text);
		repeat(&text, kinds[i][0], 100000);
		assert_refused(text.data, text.len, "deeper than 64 levels");
	}
}

static void test_size(void **state)
{
	(void)state;
	_cleanup_(strbuf_done) struct strbuf out = { 0 };
	struct err err;
	static char text[YAML_TEXT_MAX + 1];
	memset(text, ' ', sizeof(text));
	text[0] = 'x';
	assert_int_equal(yaml_to_json(text, sizeof(text), &out, &err), -E2BIG);
	assert_int_equal(err.kind, ERR_LIMIT);
	assert_int_equal(yaml_to_json(text, sizeof(text) - 1, &out, &err), 0);
	assert_string_equal(out.data, "\"x\"");
}

/* Not quadratic: many keys in one mapping. */
static void test_many_keys(void **state)
{
	(void)state;
	_cleanup_(strbuf_done) struct strbuf text = { 0 }, out = { 0 };
	for (int i = 0; i < 50000; i++)
		strbuf_addf(&text, "key%d: %d\n", i, i);
	assert_int_equal(convert(text.data, text.len, &out, NULL), 0);
	strbuf_adds(&text, "key25000: again\n");
	assert_refused(text.data, text.len, "line 50001, column 1: the key \"key25000\" stands");
}

struct sink {
	struct strbuf out;
	int count, stop_at;
};

static int on_document(void *data, const char *json, size_t len)
{
	struct sink *sink = data;
	strbuf_add(&sink->out, json, len);
	strbuf_addc(&sink->out, '\n');
	return ++sink->count == sink->stop_at ? 77 : 0;
}

static void test_each(void **state)
{
	(void)state;
	static const char text[] =
		"# head\n---\na: 1\n---\n---\n# nothing\n---\n- 2\n...\n---\nnull\n"
		"--- \"\"\n---\n{c: 3}\n---\n";
	struct sink sink = { 0 };
	assert_int_equal(yaml_each(text, strlen(text), on_document, &sink, NULL), 0);
	assert_string_equal(sink.out.data, "{\"a\":1}\n[2]\nnull\n\"\"\n{\"c\":3}\n");
	strbuf_done(&sink.out);
	sink = (struct sink){ .stop_at = 2 };
	assert_int_equal(yaml_each(text, strlen(text), on_document, &sink, NULL), 77);
	assert_string_equal(sink.out.data, "{\"a\":1}\n[2]\n");
	strbuf_done(&sink.out);
	sink = (struct sink){ 0 };
	struct err err;
	assert_int_equal(yaml_each("a: 1\n---\nb: [\n", 14, on_document, &sink, &err), -EINVAL);
	assert_string_equal(sink.out.data, "{\"a\":1}\n");
	assert_non_null(strstr(err.text, "line 4, column 1"));
	strbuf_done(&sink.out);
	sink = (struct sink){ 0 };
	assert_int_equal(yaml_each("", 0, on_document, &sink, NULL), 0);
	assert_int_equal(sink.count, 0);
}

/* Appends to what is there; untouched on failure (assert_refused sees that). */
static void test_appends(void **state)
{
	(void)state;
	_cleanup_(strbuf_done) struct strbuf out = { 0 };
	strbuf_adds(&out, "x=");
	assert_int_equal(yaml_to_json("a: 1", 4, &out, NULL), 0);
	assert_string_equal(out.data, "x={\"a\":1}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_structure), cmocka_unit_test(test_scalars),
		cmocka_unit_test(test_keys),	  cmocka_unit_test(test_refused),
		cmocka_unit_test(test_depth),	  cmocka_unit_test(test_size),
		cmocka_unit_test(test_many_keys), cmocka_unit_test(test_each),
		cmocka_unit_test(test_appends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
