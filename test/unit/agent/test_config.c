/* Kernel command lines as boot scripts write them; logs as they are packed. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config.h"
#include "agent/logs.h"
#include "base/mem.h"
#include "base/str.h"

static void test_a_real_line(void **state)
{
	(void)state;
	struct agent_config c = { 0 };
	agent_config_init(&c);
	assert_int_equal(
		agent_config_parse(
			&c,
			"BOOT_IMAGE=/x selinux=0 troubleshoot=0 text nofb ipa-api-url=http://192.168.77.1:6385/,https://b/ "
			"ipa-inspection-callback-url=http://192.168.77.1:6385/v1/continue_inspection ipa-debug=1 "
			"ipa-global-request-id=req-1 BOOTIF=01-52-54-00-77-00-01 initrd=deploy_ramdisk "
			"ipa_lookup_timeout=7 ipa-insecure=True sshkey=\"ssh-rsa AAA b\"",
			NULL),
		0);
	assert_string_equal(c.api.items[0], "http://192.168.77.1:6385");
	assert_string_equal(c.api.items[1], "https://b");
	assert_null(c.api.items[2]);
	assert_string_equal(c.callbacks.items[0],
			    "http://192.168.77.1:6385/v1/continue_inspection");
	assert_string_equal(c.request_id, "req-1");
	assert_string_equal(c.bootif, "01-52-54-00-77-00-01");
	assert_int_equal(c.lookup_timeout, 7);
	assert_true(c.debug);
	assert_true(c.insecure);
	assert_true(agent_config_has_collector(&c, "default"));
	assert_true(agent_config_has_collector(&c, "logs"));
	assert_false(agent_config_has_collector(&c, "log"));
	agent_config_done(&c);
}

/* The medium is the host's own, the line may be shared: the medium beats it, and a URL or token
 * that it leaves out is not taken from the line. */
static void test_medium(void **state)
{
	(void)state;
	static const char text[] =
		"{\"version\": 1, \"nodeUUID\": \"11111111-1111-4111-8111-111111111111\", "
		"\"apiURLs\": [\"https://[fd00::1]:6385/\", \"https://192.0.2.1:6385\"], "
		"\"bootMAC\": \"52:54:00:77:00:01\"}";
	struct agent_config c = { 0 };
	struct bootconfig medium = { 0 };
	struct err err = { 0 };
	agent_config_init(&c);
	assert_int_equal(
		agent_config_parse(&c,
				   "ipa-api-url=http://old/ ipa-agent-token=old BOOTIF=01-aa "
				   "ipa-inspection-callback-url=http://old/ ipa-lookup-timeout=7",
				   NULL),
		0);
	if (bootconfig_parse(text, strlen(text), &medium, &err) < 0)
		fail_msg("%s", err.text);
	agent_config_take(&c, &medium);
	bootconfig_done(&medium);
	assert_string_equal(c.api.items[0], "https://[fd00::1]:6385");
	assert_string_equal(c.api.items[1], "https://192.0.2.1:6385");
	assert_null(c.api.items[2]);
	assert_null(c.callbacks.items[0]);
	assert_null(c.token);
	assert_string_equal(c.node_uuid, "11111111-1111-4111-8111-111111111111");
	assert_string_equal(c.bootif, "52:54:00:77:00:01");
	assert_int_equal(c.lookup_timeout, 7);
	agent_config_done(&c);
}

static void test_defaults(void **state)
{
	(void)state;
	struct agent_config c = { 0 };
	agent_config_init(&c);
	assert_int_equal(agent_config_parse(&c, "", NULL), 0);
	assert_int_equal(c.listen_port, 9999);
	assert_int_equal(c.image_retries, 9);
	assert_int_equal(c.dhcp_wait, 60);
	assert_true(c.guard_special);
	assert_false(c.lldp);
	assert_null(c.api.items[0]);
	assert_null(c.token);
	agent_config_done(&c);
}

static void test_nonsense(void **state)
{
	(void)state;
	static const struct {
		const char *line, *key;
	} rows[] = {
		{ "ipa-listen-port=99999", "ipa-listen-port" },
		{ "ipa-debug=maybe", "ipa-debug" },
		{ "ipa-api-url=mdns", "ipa-api-url" },
		{ "ipa-api-url=ftp://x", "ipa-api-url" },
		{ "ipa-lookup-timeout=-1", "ipa-lookup-timeout" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent_config c = { 0 };
		struct err err = { 0 };
		char *line = xasprintf("%s ipa-agent-token=abc", rows[i].line);
		agent_config_init(&c);
		assert_true(agent_config_parse(&c, line, &err) < 0);
		assert_non_null(strstr(err.text, rows[i].key));
		/* the rest counts, the defaults stay */
		assert_string_equal(c.token, "abc");
		assert_int_equal(c.listen_port, 9999);
		assert_int_equal(c.lookup_timeout, 600);
		free(line);
		agent_config_done(&c);
	}
}

static void test_logs(void **state)
{
	(void)state;
	char dir[] = "/tmp/ingot-logs-XXXXXX", command[512], out[4096] = "";
	assert_non_null(mkdtemp(dir));
	snprintf(command, sizeof(command), "mkdir %s/proc; echo hello > %s/proc/mounts", dir, dir);
	assert_int_equal(system(command), 0);
	char *logs = agent_logs_collect(dir);
	snprintf(command, sizeof(command), "%s/b64", dir);
	FILE *f = fopen(command, "we");
	fputs(logs, f);
	fclose(f);
	free(logs);
	snprintf(
		command, sizeof(command),
		"base64 -d %s/b64 | tar tvzf - 2>&1; base64 -d %s/b64 | tar xzOf - proc/mounts; rm -rf %s",
		dir, dir, dir);
	f = popen(command, "re");
	out[fread(out, 1, sizeof(out) - 1, f)] = '\0';
	assert_int_equal(pclose(f), 0);
	assert_non_null(strstr(out, "ingot-agent.log"));
	assert_non_null(strstr(out, "\nhello\n"));
	assert_null(strstr(out, "tar:"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_real_line), cmocka_unit_test(test_medium),
		cmocka_unit_test(test_defaults),    cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_logs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
