/* The archive of a host's medium: read back by cpio(1) as the kernel would unpack it, its file by
 * the agent's parser; and files that are refused. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agentapi/bootconfig.h"
#include "base/mem.h"
#include "base/str.h"

#define UUID  "11111111-1111-4111-8111-111111111111"
#define TOKEN "0123456789abcdef0123456789ABCDEF_-x"
#define PEM   "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n"

static struct bootconfig example(void)
{
	struct bootconfig c = {
		.node_uuid = xstrdup(UUID),
		.ca = xstrdup(PEM),
		.token = xstrdup(TOKEN),
		.boot_number = 7,
		.boot_nonce = xstrdup("00ff"),
		.boot_mac = xstrdup("52:54:00:12:34:56"),
		.media = true,
	};
	bootconfig_add_url(&c.api, "https://[fd77::1]:6385");
	bootconfig_add_url(&c.api, "https://192.0.2.1:6385");
	bootconfig_add_url(&c.callbacks, "https://[fd77::1]:6385/v1/continue_inspection");
	return c;
}

/* A file of the archive, by cpio(1); NULL if it is not there. */
static char *extract(const char *archive, size_t len, const char *path, size_t *ret_len)
{
	char name[] = "/tmp/bootconfig.XXXXXX";
	static char out[BOOTCONFIG_ARCHIVE_MAX];
	int fd = mkstemp(name);
	assert_true(fd >= 0);
	FILE *f = fdopen(fd, "w");
	assert_int_equal(fwrite(archive, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	_cleanup_(freep) char *command = xasprintf("cpio --quiet -i --to-stdout %s <%s", path + 1,
						   name);
	FILE *p = popen(command, "r"); /* NOLINT(cert-env33-c): a fixed name */
	assert_non_null(p);
	*ret_len = fread(out, 1, sizeof(out), p);
	assert_int_equal(pclose(p), 0);
	remove(name);
	return *ret_len ? xstrndup(out, *ret_len) : NULL;
}

static void test_round_trip(void **state)
{
	(void)state;
	struct bootconfig c = example(), read = { 0 };
	struct err err = { 0 };
	char *archive, *again;
	size_t len, again_len, text_len;
	assert_int_equal(bootconfig_build(&c, "{\"links\": []}", &archive, &len, &err), 0);
	assert_int_equal(bootconfig_build(&c, "{\"links\": []}", &again, &again_len, &err), 0);
	assert_int_equal(len, again_len);
	assert_memory_equal(archive, again, len);
	assert_int_equal(len % 512, 0);
	_cleanup_(freep) char *text = extract(archive, len, BOOTCONFIG_FILE, &text_len);
	assert_int_equal(bootconfig_parse(text, text_len, &read, &err), 0);
	assert_string_equal(read.node_uuid, UUID);
	assert_string_equal(read.token, TOKEN);
	assert_string_equal(read.ca, PEM);
	assert_string_equal(read.boot_nonce, "00ff");
	assert_string_equal(read.boot_mac, "52:54:00:12:34:56");
	assert_int_equal(read.boot_number, 7);
	assert_true(read.media);
	assert_int_equal(read.api.count, 2);
	assert_string_equal(((char **)read.api.items)[1], "https://192.0.2.1:6385");
	assert_int_equal(read.callbacks.count, 1);
	_cleanup_(freep) char *network = extract(archive, len, BOOTCONFIG_NETWORK_FILE, &text_len);
	assert_string_equal(network, "{\"links\": []}");
	bootconfig_done(&read);
	bootconfig_done(&c);
	free(archive);
	free(again);
}

/* Only what must be there. */
static void test_least(void **state)
{
	(void)state;
	struct bootconfig c = { .node_uuid = xstrdup(UUID) }, read = { 0 };
	struct err err = { 0 };
	char *archive;
	size_t len, text_len;
	bootconfig_add_url(&c.api, "http://192.0.2.1");
	assert_int_equal(bootconfig_build(&c, NULL, &archive, &len, &err), 0);
	_cleanup_(freep) char *text = extract(archive, len, BOOTCONFIG_FILE, &text_len);
	assert_null(extract(archive, len, BOOTCONFIG_NETWORK_FILE, &len));
	assert_string_equal(text, "{\"version\":1,\"nodeUUID\":\"" UUID "\",\"apiURLs\":[\"http://"
				  "192.0.2.1\"],\"virtualMedia\":false}");
	assert_int_equal(bootconfig_parse(text, text_len, &read, &err), 0);
	assert_null(read.token);
	assert_null(read.ca);
	assert_false(read.media);
	bootconfig_done(&read);
	bootconfig_done(&c);
	free(archive);
}

#define HEAD "\"version\": 1, \"nodeUUID\": \"" UUID "\""
#define URLS "\"apiURLs\": [\"http://192.0.2.1\"]"

static void test_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "", "line 1" },
		{ "[]", "version" },
		{ "{" HEAD "}", "apiURLs" },
		{ "{\"version\": 0, " URLS "}", "version" },
		{ "{\"version\": 2, \"nodeUUID\": \"" UUID "\", " URLS "}", "later release" },
		{ "{\"version\": 1, " URLS "}", "nodeUUID" },
		{ "{\"version\": 1, \"nodeUUID\": \"x\", " URLS "}", "nodeUUID" },
		{ "{\"version\": 1, \"nodeUUID\": 5, " URLS "}", "nodeUUID" },
		{ "{" HEAD ", \"apiURLs\": []}", "apiURLs" },
		{ "{" HEAD ", \"apiURLs\": [\"ftp://192.0.2.1\"]}", "apiURLs" },
		{ "{" HEAD ", \"apiURLs\": [\"http://192.0.2.1/a b\"]}", "apiURLs" },
		{ "{" HEAD ", \"apiURLs\": [\"http://a\", \"http://a\", \"http://a\", "
		  "\"http://a\", \"http://a\", \"http://a\", \"http://a\", \"http://a\", "
		  "\"http://a\"]}",
		  "apiURLs: 9 URLs" },
		{ "{" HEAD ", " URLS ", \"inspectionCallbackURLs\": [\"mdns\"]}",
		  "inspectionCallbackURLs" },
		{ "{" HEAD ", " URLS ", \"agentToken\": \"short\"}", "agentToken" },
		{ "{" HEAD ", " URLS ", \"agentToken\": \"0123456789abcdef 0123456789abcdef\"}",
		  "agentToken" },
		{ "{" HEAD ", " URLS ", \"bootNonce\": \"\"}", "bootNonce" },
		{ "{" HEAD ", " URLS ", \"bootNumber\": -1}", "bootNumber" },
		{ "{" HEAD ", " URLS ", \"caCertificate\": \"x\"}", "caCertificate" },
		{ "{" HEAD ", " URLS ", \"bootMAC\": \"52-54-00-12-34-56\"}", "bootMAC" },
		{ "{" HEAD ", " URLS ", \"bootMAC\": \"ff:ff:ff:ff:ff:ff\"}", "bootMAC" },
		{ "{" HEAD ", " URLS ", \"virtualMedia\": \"yes\"}", "virtualMedia" },
		{ "{" HEAD ", " URLS "} {}", "line 1" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct bootconfig c = { 0 };
		struct err err = { 0 };
		assert_true(bootconfig_parse(rows[i].text, strlen(rows[i].text), &c, &err) < 0);
		assert_null(c.node_uuid);
		if (!strstr(err.text, rows[i].says))
			fail_msg("%s: %s", rows[i].text, err.text);
	}
}

/* A later release may say more. */
static void test_unknown_members(void **state)
{
	(void)state;
	static const char text[] = "{" HEAD ", " URLS ", \"colour\": {\"of\": [\"the\", \"sky\"]}}";
	struct bootconfig c = { 0 };
	struct err err = { 0 };
	assert_int_equal(bootconfig_parse(text, sizeof(text) - 1, &c, &err), 0);
	bootconfig_done(&c);
}

/* What no agent would take is not put on a medium. */
static void test_not_built(void **state)
{
	(void)state;
	struct bootconfig c = example();
	struct err err = { 0 };
	char *archive = NULL, *large = xmalloc(BOOTCONFIG_FILE_MAX + 2);
	size_t len;
	memset(large, ' ', BOOTCONFIG_FILE_MAX + 1);
	large[BOOTCONFIG_FILE_MAX + 1] = '\0';
	assert_true(bootconfig_build(&c, large, &archive, &len, &err) < 0);
	assert_int_equal(err.kind, ERR_LIMIT);
	assert_true(bootconfig_build(&c, "links: []", &archive, &len, &err) < 0);
	assert_true(str_has_prefix(err.text, "network data"));
	assert_true(bootconfig_build(&c, "[]", &archive, &len, &err) < 0);
	str_replace(&c.token, "short");
	assert_true(bootconfig_build(&c, NULL, &archive, &len, &err) < 0);
	assert_true(str_has_prefix(err.text, "agentToken"));
	assert_null(archive);
	free(large);
	bootconfig_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_least),
		cmocka_unit_test(test_refused),	   cmocka_unit_test(test_unknown_members),
		cmocka_unit_test(test_not_built),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
