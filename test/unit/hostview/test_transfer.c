/* What becomes of objects that are moved: who may go, what is another at the target. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "hostview/transfer.h"
#include "unit/parse.h"

static void assert_json(const struct json *j, const char *text)
{
	struct json *expected = parse(text);
	char *is = json_to_string(j);
	if (!json_equal(j, expected))
		fail_msg("%s\ninstead of %s", is, text);
	free(is);
	json_free(expected);
}

#define HOST(annotations, spec, status)                                                            \
	"{\"metadata\":{\"annotations\":{" annotations "}},\"spec\":{" spec                        \
	"},\"status\":{" status "}}"
#define STATE(s) "\"provisioning\":{\"state\":\"" s "\",\"image\":{\"url\":\"\"}}"
#define IMAGED	 "\"provisioning\":{\"state\":\"provisioned\",\"image\":{\"url\":\"i\"}}"
#define ON	 "\"online\":true"
#define IS_ON	 "\"poweredOn\":true,"

static void test_obstacles(void **state)
{
	(void)state;
	static const struct {
		const char *host, *record, *why; /* why NULL: may go */
	} rows[] = {
		{ HOST("", ON, IS_ON STATE("available")), NULL, NULL },
		{ HOST("", ON, IS_ON STATE("available")),
		  "{\"spec\":{\"step\":{\"name\":\"write image\",\"operation\":null}}}", NULL },
		{ HOST("", ON, IS_ON STATE("available")),
		  "{\"spec\":{\"step\":{\"operation\":\"deploy\"}}}",
		  "an operation is under way: deploy, step \"not begun\"" },
		{ HOST("", ON ",\"image\":{\"url\":\"i\"}", IS_ON IMAGED), NULL, NULL },
		{ HOST("", ON ",\"image\":{\"url\":\"j\"}", IS_ON IMAGED), NULL, "its image" },
		{ HOST("", ON, IS_ON IMAGED), NULL, "its image" },
		{ HOST("", ON ",\"image\":{\"url\":\"i\"}", IS_ON STATE("available")), NULL,
		  "its image" },
		{ HOST("", "\"online\":false,\"image\":{\"url\":\"i\"}", STATE("available")), NULL,
		  NULL },
		{ HOST("", ON, STATE("available")), NULL, "its power" },
		{ HOST("", "\"online\":false", IS_ON STATE("available")), NULL, "its power" },
		{ HOST("", "\"online\":false,\"disablePowerOff\":true", IS_ON STATE("available")),
		  NULL, NULL },
		{ HOST("", ON, "\"operationalStatus\":\"detached\"," STATE("available")), NULL,
		  NULL },
		{ HOST("\"" TRANSFER_PAUSED "\":\"\"", ON, STATE("available")), NULL, NULL },
		{ HOST("\"" TRANSFER_PAUSED "\":\"" TRANSFER_MARK "\"", ON, STATE("available")),
		  NULL, "its power" },
		{ HOST("\"reboot.metal3.io\":\"\"", ON, IS_ON STATE("available")), NULL,
		  "rebooted" },
		{ HOST("\"" TRANSFER_LEAVING "\":\"\"", ON, IS_ON STATE("available")), NULL,
		  "another move" },
		{ HOST("\"" TRANSFER_LEAVING "\":\"" TRANSFER_MARK "\"", ON, STATE("inspecting")),
		  NULL, NULL },
		{ HOST("", ON, STATE("inspecting")), NULL, "it is inspecting" },
		{ HOST("", ON, "\"errorType\":\"inspection error\"," STATE("inspecting")), NULL,
		  "it is inspecting (inspection error)" },
		{ HOST("", ON, "\"errorType\":\"registration error\"," STATE("registering")), NULL,
		  NULL },
		{ HOST("", ON, ""), NULL, "new and not looked at yet" },
		{ "{\"metadata\":{\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"},\"status\":{" STATE(
			  "available") "}}",
		  NULL, "it is being deleted" },
		{ "{}", NULL, "new" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct json *host = parse(rows[i].host);
		struct json *record = rows[i].record ? parse(rows[i].record) : NULL;
		char *why = transfer_obstacle(host, record);
		const char *said = why ? why : "may go";
		if (!strstr(said, rows[i].why ? rows[i].why : "may go"))
			fail_msg("%s: %s", rows[i].host, said);
		free(why);
		json_free(host);
		json_free(record);
	}
}

static void test_copies(void **state)
{
	(void)state;
	struct transfer_uids uids = { 0 };
	char fresh[] = "new";
	map_set(&uids.map, "old", fresh);
	struct json *secret = parse(
		"{\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\",\"uid\":\"u\",\"resourceVersion\":"
		"\"7\",\"creationTimestamp\":\"t\",\"managedFields\":[],\"finalizers\":[\"f\"],"
		"\"ownerReferences\":[{\"name\":\"gone\",\"uid\":\"x\"},{\"name\":\"h\",\"uid\":"
		"\"old\",\"kept\":1}]},\"data\":{\"a\":\"Yg==\"},\"odd\":[1.50]}");
	struct json *copy = transfer_copy(secret, &uids);
	assert_json(copy,
		    "{\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\",\"finalizers\":[\"f\"],"
		    "\"ownerReferences\":[{\"name\":\"h\",\"uid\":\"new\",\"kept\":1}]},"
		    "\"data\":{\"a\":\"Yg==\"},\"odd\":[1.50]}");
	json_free(copy);
	json_free(secret);
	struct json *host = parse(
		"{\"metadata\":{\"name\":\"h\",\"uid\":\"old\"},\"spec\":{\"a\":1},"
		"\"status\":{\"errorCount\":0,\"hardware\":{\"large\":1}}}");
	copy = transfer_host(host, "p/old");
	assert_json(copy, "{\"metadata\":{\"name\":\"h\",\"annotations\":{\"" TRANSFER_PAUSED
			  "\":\"" TRANSFER_MARK "\",\"" TRANSFER_STATUS
			  "\":\"{\\\"errorCount\\\":0}\",\"" TRANSFER_MOVED_FROM
			  "\":\"p/old\"}},\"spec\":{\"a\":1}}");
	json_free(copy);
	json_free(host);
	map_done(&uids.map);
}

/* A ramdisk that runs keeps the UID that its token was made from, also when it is moved twice. */
static void test_records(void **state)
{
	(void)state;
	struct transfer_uids uids = { 0 };
	char fresh[] = "new", last[] = "last";
	map_set(&uids.map, "old", fresh);
	map_set(&uids.map, "new", last);
	struct json *record = parse(
		"{\"metadata\":{},\"spec\":{\"hostUID\":\"old\",\"boot\":{"
		"\"nonce\":\"n\"},\"agent\":{\"url\":\"u\"},\"dhcp\":{\"mac\":\"m\"}}}");
	struct json *copy = transfer_record(record, &uids, true);
	assert_json(json_get(copy, "spec"),
		    "{\"hostUID\":\"new\",\"boot\":{\"nonce\":\"n\",\"hostUID\":\"old\"},"
		    "\"agent\":{\"url\":\"u\"},\"dhcp\":{\"mac\":\"m\"}}");
	struct json *again = transfer_record(copy, &uids, true);
	assert_json(json_get(again, "spec"),
		    "{\"hostUID\":\"last\",\"boot\":{\"nonce\":\"n\",\"hostUID\":\"old\"},"
		    "\"agent\":{\"url\":\"u\"},\"dhcp\":{\"mac\":\"m\"}}");
	json_free(again);
	json_free(copy);
	copy = transfer_record(record, &uids, false);
	assert_json(json_get(copy, "spec"), "{\"hostUID\":\"new\",\"dhcp\":{\"mac\":\"m\"}}");
	json_free(copy);
	json_free(record);
	map_done(&uids.map);
}

static void test_status(void **state)
{
	(void)state;
	struct json *host = parse(
		"{\"metadata\":{\"uid\":\"old\"},\"status\":{\"goodCredentials\":{"
		"\"credentialsVersion\":\"5\"},\"triedCredentials\":{"
		"\"credentialsVersion\":\"4\"},\"provisioning\":{\"ID\":\"old\"}}}");
	struct json *from = parse("{\"metadata\":{\"resourceVersion\":\"5\"}}");
	struct json *to = parse("{\"metadata\":{\"resourceVersion\":\"99\"}}");
	struct json *status = transfer_status(host, "new", from, to);
	/* What was not tried yet is to be tried there. */
	assert_json(status, "{\"goodCredentials\":{\"credentialsVersion\":\"99\"},"
			    "\"triedCredentials\":{\"credentialsVersion\":\"4\"},"
			    "\"provisioning\":{\"ID\":\"new\"}}");
	json_free(status);
	json_free(host);
	json_free(from);
	json_free(to);
	host = parse("{\"spec\":{\"bmc\":{\"credentialsName\":\"a\"},\"userData\":{\"name\":\"b\"},"
		     "\"metaData\":{\"name\":\"b\"},\"networkData\":{\"name\":\"\"}}}");
	struct json *names = transfer_secrets(host);
	assert_json(names, "[\"a\",\"b\"]");
	json_free(names);
	json_free(host);
	/* Ingot's own goes by itself, and must not be removed with a host that names it. */
	host = parse("{\"spec\":{\"bmc\":{\"credentialsName\":\"ingot-engine\"}}}");
	names = transfer_secrets(host);
	assert_json(names, "[]");
	json_free(names);
	json_free(host);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_obstacles),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_status),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
