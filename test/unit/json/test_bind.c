/* Structs by table, in both directions. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "unit/json/json_test.h"
#include "json/bind.h"

enum mode { MODE_UNSET, MODE_LEGACY, MODE_UEFI };
static const char *const mode_names[] = { "", "legacy", "UEFI", NULL };
enum level { LEVEL_LOW, LEVEL_HIGH };
static const char *const level_names[] = { "low", "high", NULL };

struct disk {
	char *name;
	int64_t size;
};
static const struct bind_field disk_fields[] = {
	{ "name", BIND_STRING, offsetof(struct disk, name), BIND_REQUIRED, NULL, NULL },
	{ "size", BIND_INT, offsetof(struct disk, size), BIND_ALWAYS, NULL, NULL },
	{ 0 },
};
static const struct bind_struct disk_struct = { sizeof(struct disk), disk_fields };

struct host {
	char *text, *text_always;
	int64_t number, number_always;
	bool flag, flag_always;
	enum opt_bool maybe;
	usec_t when, when_always;
	enum mode mode;
	enum level level;
	struct disk disk;
	struct disk *opt;
	struct bind_list disks, names, names_always;
	struct json *raw;
};
#define FIELD(name, type, flags, sub, names)                                                       \
	{                                                                                          \
#name, type, offsetof(struct host, name), flags, sub, names                        \
	}
static const struct bind_field host_fields[] = {
	FIELD(text, BIND_STRING, 0, NULL, NULL),
	FIELD(text_always, BIND_STRING, BIND_ALWAYS, NULL, NULL),
	FIELD(number, BIND_INT, 0, NULL, NULL),
	FIELD(number_always, BIND_INT, BIND_ALWAYS, NULL, NULL),
	FIELD(flag, BIND_BOOL, 0, NULL, NULL),
	FIELD(flag_always, BIND_BOOL, BIND_ALWAYS, NULL, NULL),
	FIELD(maybe, BIND_OPT_BOOL, 0, NULL, NULL),
	FIELD(when, BIND_TIME, 0, NULL, NULL),
	FIELD(when_always, BIND_TIME, BIND_ALWAYS, NULL, NULL),
	FIELD(mode, BIND_ENUM, 0, NULL, mode_names),
	FIELD(level, BIND_ENUM, 0, NULL, level_names),
	FIELD(disk, BIND_OBJECT, 0, &disk_struct, NULL),
	FIELD(opt, BIND_OPT_OBJECT, 0, &disk_struct, NULL),
	FIELD(disks, BIND_LIST, 0, &disk_struct, NULL),
	FIELD(names, BIND_STRINGS, 0, NULL, NULL),
	FIELD(names_always, BIND_STRINGS, BIND_ALWAYS, NULL, NULL),
	FIELD(raw, BIND_JSON, 0, NULL, NULL),
	{ 0 },
};
static const struct bind_struct host_struct = { sizeof(struct host), host_fields };

static const char full[] =
	"{\"text\":\"t\",\"text_always\":\"u\",\"number\":-9223372036854775808,\"number_always\":7,"
	"\"flag\":true,\"flag_always\":true,\"maybe\":false,\"when\":\"2026-01-02T03:04:05Z\","
	"\"when_always\":\"1970-01-01T00:00:01Z\",\"mode\":\"UEFI\",\"level\":\"high\","
	"\"disk\":{\"name\":\"sda\",\"size\":1},\"opt\":{\"name\":\"sdb\",\"size\":0},"
	"\"disks\":[{\"name\":\"a\",\"size\":1},{\"name\":\"b\",\"size\":2}],"
	"\"names\":[\"x\",\"\"],\"names_always\":[\"y\"],\"raw\":{\"any\":[1.50,null]}}";

static void test_full(void **state)
{
	(void)state;
	struct host host = { 0 };
	struct err err;
	_cleanup_(json_freep) struct json *j = tree(full);
	assert_int_equal(bind_from_json(&host_struct, j, &host, &err), 0);
	assert_string_equal(host.text, "t");
	assert_true(host.number == INT64_MIN && host.flag && host.maybe == OPT_FALSE);
	assert_int_equal(host.mode, MODE_UEFI);
	assert_int_equal(host.level, LEVEL_HIGH);
	assert_true(host.when_always == USEC_PER_SEC);
	assert_string_equal(host.opt->name, "sdb");
	assert_int_equal(host.disks.count, 2);
	assert_string_equal(((struct disk *)host.disks.items)[1].name, "b");
	assert_string_equal(((char **)host.names.items)[0], "x");
	_cleanup_(json_freep) struct json *back = bind_to_json(&host_struct, &host);
	assert_json(back, full);
	bind_release(&host_struct, &host);
	static const struct host zero;
	assert_memory_equal(&host, &zero, sizeof(zero));
	bind_release(&host_struct, &host);
}

/* The embedded disk is written as soon as a member of it is; "size" always is. */
static const char least[] = "{\"text_always\":\"\",\"number_always\":0,\"flag_always\":false,"
			    "\"when_always\":null,\"level\":\"low\",\"disk\":{\"size\":0},"
			    "\"names_always\":[]}";

static void test_absent(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"{}",
		"{\"text\":null,\"number\":null,\"flag\":null,\"maybe\":null,\"when\":null,"
		"\"mode\":null,\"level\":null,\"disk\":null,\"opt\":null,\"disks\":null,"
		"\"names\":null,\"raw\":null,\"unknown\":{\"x\":1}}",
		"{\"text\":\"\",\"when\":\"0001-01-01T00:00:00Z\",\"mode\":\"\"}",
	};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct host host = { 0 };
		_cleanup_(json_freep) struct json *j = tree(texts[i]);
		assert_int_equal(bind_from_json(&host_struct, j, &host, NULL), 0);
		assert_true(host.maybe == OPT_UNSET && !host.opt && !host.disks.present);
		_cleanup_(json_freep) struct json *back = bind_to_json(&host_struct, &host);
		assert_json(back, least);
		bind_release(&host_struct, &host);
	}
}

/* [] and {} are not absence. */
static void test_present_but_empty(void **state)
{
	(void)state;
	struct host host = { 0 };
	_cleanup_(json_freep) struct json *j = tree("{\"disks\":[],\"names\":[],\"raw\":[]}");
	assert_int_equal(bind_from_json(&host_struct, j, &host, NULL), 0);
	assert_true(host.disks.present && host.disks.count == 0 && !host.disks.items);
	_cleanup_(json_freep) struct json *back = bind_to_json(&host_struct, &host);
	assert_json(json_get(back, "disks"), "[]");
	assert_json(json_get(back, "names"), "[]");
	assert_json(json_get(back, "raw"), "[]");
	bind_release(&host_struct, &host);
	host.opt = xcalloc(1, sizeof(*host.opt));
	_cleanup_(json_freep) struct json *opt = bind_to_json(&host_struct, &host);
	assert_json(json_get(opt, "opt"), "{\"size\":0}");
	bind_release(&host_struct, &host);
}

static void test_errors(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{ "[]", "expected an object" },
		{ "null", "expected an object" },
		{ "{\"text\":1}", "text: expected a string" },
		{ "{\"number\":1.5}", "number: expected an integer of 64 bits" },
		{ "{\"number\":\"1\"}", "number: expected an integer of 64 bits" },
		{ "{\"number\":9223372036854775808}", "number: expected an integer of 64 bits" },
		{ "{\"flag\":0}", "flag: expected true or false" },
		{ "{\"maybe\":\"yes\"}", "maybe: expected true or false" },
		{ "{\"when\":\"yesterday\"}", "when: expected a time like 2026-01-02T03:04:05Z" },
		{ "{\"when\":5}", "when: expected a time like 2026-01-02T03:04:05Z" },
		{ "{\"mode\":\"uefi\"}", "mode: \"uefi\" is none of \"\", \"legacy\", \"UEFI\"" },
		{ "{\"mode\":1}", "mode: expected a string" },
		{ "{\"disk\":[]}", "disk: expected an object" },
		{ "{\"disk\":{}}", "disk.name: is required" },
		{ "{\"disk\":{\"name\":null}}", "disk.name: is required" },
		{ "{\"opt\":{\"name\":\"a\",\"size\":\"1\"}}",
		  "opt.size: expected an integer of 64 bits" },
		{ "{\"disks\":{}}", "disks: expected a list" },
		{ "{\"disks\":[{\"name\":\"a\"},{\"name\":2}]}",
		  "disks[1].name: expected a string" },
		{ "{\"disks\":[null]}", "disks[0]: expected an object" },
		{ "{\"names\":\"a\"}", "names: expected a list" },
		{ "{\"names\":[\"a\",null,\"b\"]}", "names[1]: expected a string" },
	};
	static const struct host zero;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct host host = { 0 };
		struct err err = { 0 };
		_cleanup_(json_freep) struct json *j = tree(rows[i][0]);
		assert_int_equal(bind_from_json(&host_struct, j, &host, &err), -EINVAL);
		assert_string_equal(err.text, rows[i][1]);
		assert_int_equal(err.kind, ERR_INVALID);
		assert_memory_equal(&host, &zero, sizeof(zero));
	}
}

/* Whatever was read before the failure is released; ASan watches. */
static void test_failure_releases(void **state)
{
	(void)state;
	_cleanup_(json_freep) struct json *j = tree(full);
	json_append(json_get_mut(j, "names_always"), json_new_null());
	struct host host = { 0 };
	struct err err;
	assert_int_equal(bind_from_json(&host_struct, j, &host, &err), -EINVAL);
	assert_string_equal(err.text, "names_always[1]: expected a string");
	assert_null(host.text);
}

static void test_bad_enum_value(void **state)
{
	(void)state;
	struct host host = { .mode = 17 };
	_cleanup_(json_freep) struct json *j = bind_to_json(&host_struct, &host);
	assert_null(json_get(j, "mode"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_absent),
		cmocka_unit_test(test_present_but_empty),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_failure_releases),
		cmocka_unit_test(test_bad_enum_value),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
