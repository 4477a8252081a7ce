/* The field tables against the CRDs: every field that a table binds must stand in the schema with a
 * fitting type, and for HostRecord, which is ours alone, the other way round too. Neither can drift
 * without this failing. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "api/bmh.h"
#include "base/mem.h"
#include "engine/record.h"
#include "yaml/yaml_json.h"

static struct json *schema_of(const char *path)
{
	_cleanup_(strbuf_done) struct strbuf yaml = { 0 }, text = { 0 };
	char buf[4096];
	struct json *crd = NULL;
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	for (size_t n; (n = fread(buf, 1, sizeof(buf), f)) > 0;)
		strbuf_add(&yaml, buf, n);
	fclose(f);
	assert_int_equal(yaml_to_json(yaml.data, yaml.len, &text, NULL), 0);
	assert_int_equal(json_parse(text.data, text.len, &crd, NULL), 0);
	return crd;
}

static const struct json *root_of(const struct json *crd)
{
	return json_get_path(json_at(json_get_path(crd, "spec.versions"), 0),
			     "schema.openAPIV3Schema");
}

static const char *type_of(enum bind_type t)
{
	switch (t) {
	case BIND_STRING:
	case BIND_TIME:
	case BIND_ENUM:
		return "string";
	case BIND_INT:
		return "integer";
	case BIND_BOOL:
	case BIND_OPT_BOOL:
		return "boolean";
	case BIND_OBJECT:
	case BIND_OPT_OBJECT:
		return "object";
	case BIND_LIST:
	case BIND_STRINGS:
		return "array";
	case BIND_JSON:
		break;
	}
	return NULL;
}

static void check_enum(const struct bind_field *f, const struct json *schema, const char *path)
{
	const struct json *values = json_get(schema, "enum");
	for (size_t i = 0; values && f->names[i]; i++) {
		bool found = *f->names[i] ==
			     '\0'; /* "" is emitted by leaving the field out, or allowed anyway */
		json_for_each(v, values) {
			found |= streq(json_string(v), f->names[i]);
		}
		if (!found)
			fail_msg("%s: \"%s\" is not in the CRD's enum", path, f->names[i]);
	}
}

static void check(const struct bind_struct *s, const struct json *schema, const char *path)
{
	for (const struct bind_field *f = s->fields; f->key; f++) {
		_cleanup_(freep) char *here = xasprintf("%s.%s", path, f->key);
		const struct json *p = json_get(json_get(schema, "properties"), f->key);
		const char *type = type_of(f->type);
		if (!p)
			fail_msg("%s is bound but not in the CRD", here);
		if (type && !streq(json_get_string(p, "type"), type))
			fail_msg("%s: bound as %s, the CRD says %s", here, type,
				 json_get_string(p, "type"));
		if (f->type == BIND_ENUM)
			check_enum(f, p, here);
		if (f->type == BIND_OBJECT || f->type == BIND_OPT_OBJECT)
			check(f->sub, p, here);
		if (f->type == BIND_LIST)
			check(f->sub, json_get(p, "items"), here);
	}
}

static bool binds(const struct bind_struct *s, const char *key)
{
	for (const struct bind_field *f = s->fields; f->key; f++)
		if (streq(f->key, key))
			return true;
	return false;
}

static void check_complete(const struct bind_struct *s, const struct json *schema, const char *path)
{
	json_for_each(p, json_get(schema, "properties")) {
		if (!binds(s, json_key(p)))
			fail_msg("%s.%s is in the CRD but not bound", path, json_key(p));
	}
	for (const struct bind_field *f = s->fields; f->key; f++) {
		const struct json *p = json_get(json_get(schema, "properties"), f->key);
		if (f->type == BIND_OBJECT)
			check_complete(f->sub, p, f->key);
		if (f->type == BIND_LIST)
			check_complete(f->sub, json_get(p, "items"), f->key);
	}
}

static void test_host(void **state)
{
	(void)state;
	_cleanup_(json_freep) struct json *crd = schema_of("crds/metal3.io_baremetalhosts.yaml");
	const struct json *properties = json_get(root_of(crd), "properties");
	check(&bmh_spec_struct, json_get(properties, "spec"), "spec");
	check(&bmh_status_struct, json_get(properties, "status"), "status");
}

static void test_record(void **state)
{
	(void)state;
	_cleanup_(json_freep) struct json *crd = schema_of("crds/ingot.dev_hostrecords.yaml");
	const struct json *spec = json_get(json_get(root_of(crd), "properties"), "spec");
	check(&record_struct, spec, "spec");
	check_complete(&record_struct, spec, "spec");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_record),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
