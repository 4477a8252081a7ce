/* BMC addresses: what Metal3's hosts carry, what it refuses, and the table of kinds. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "base/mem.h"
#include "base/str.h"
#include "bmc/address.h"

static void test_good(void **state)
{
	(void)state;
	static const struct {
		const char *text, *scheme, *host;
		uint16_t port;
		const char *path;
	} cases[] = {
		{ "192.168.122.1", "ipmi", "192.168.122.1", 623, "" },
		{ "192.168.122.1:6233", "ipmi", "192.168.122.1", 6233, "" },
		{ "[fe80::fc33:62ff:fe83:8a76]:6233", "ipmi", "fe80::fc33:62ff:fe83:8a76", 6233,
		  "" },
		{ "bmc.example.com", "ipmi", "bmc.example.com", 623, "" },
		{ "192.168.122.1/x", "ipmi", "192.168.122.1", 623, "/x" },
		{ "192.168.122.1?privilegelevel=USER", "ipmi", "192.168.122.1", 623, "" },
		{ "192.168.122.1:", "ipmi", "192.168.122.1", 623, "" },
		{ ":6233", "ipmi", "", 6233, "" },
		{ "", "ipmi", "", 623, "" },
		{ "ipmi://", "ipmi", "", 623, "" },
		{ "ipmi:", "ipmi", "", 623, "" },
		{ "ipmi:/x", "ipmi", "", 623, "" },
		{ "ipmi://192.168.122.1", "ipmi", "192.168.122.1", 623, "" },
		{ "IPMI://192.168.122.1:6233", "ipmi", "192.168.122.1", 6233, "" },
		{ "ipmi:192.168.122.1:6233", "ipmi", "192.168.122.1", 6233, "" },
		{ "ipmi:[fe80::1]:6233", "ipmi", "fe80::1", 6233, "" },
		{ "ipmi:[fe80::1]", "ipmi", "fe80::1", 623, "" },
		{ "ipmi://[FE80::1%25Eth0]", "ipmi", "fe80::1%eth0", 623, "" },
		{ "ipmi://user:secret@10.0.0.1", "ipmi", "10.0.0.1", 623, "" },
		{ "libvirt://192.168.122.1:6233/?abc=def", "libvirt", "192.168.122.1", 6233, "/" },
		{ "redfish://BMC.example.com/redfish/v1/Systems/1", "redfish", "bmc.example.com", 0,
		  "/redfish/v1/Systems/1" },
		{ "redfish+http://192.168.122.1:8000/a%20b#frag", "redfish", "192.168.122.1", 8000,
		  "/a b" },
		{ "redfish-virtualmedia+https://[::1]:8443/foo", "redfish-virtualmedia", "::1",
		  8443, "/foo" },
		{ "redfish-uefihttp://10.0.0.1", "redfish-uefihttp", "10.0.0.1", 0, "" },
		{ "idrac-virtualmedia://10.0.0.1/x", "idrac-virtualmedia", "10.0.0.1", 0, "/x" },
		{ "idrac-redfish+http:10.0.0.1/x", "idrac-redfish", "10.0.0.1", 0, "/x" },
		{ "ilo5-redfish://10.0.0.1/x", "ilo5-redfish", "10.0.0.1", 0, "/x" },
		{ "ilo5-virtualmedia://10.0.0.1/x", "ilo5-virtualmedia", "10.0.0.1", 0, "/x" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bmc_address a;
		struct err err = { 0 };
		int r = bmc_address_parse(cases[i].text, &a, &err);
		if (r < 0)
			fail_msg("%s: %s", cases[i].text, err.text);
		assert_string_equal(a.scheme->name, cases[i].scheme);
		assert_string_equal(a.host, cases[i].host);
		assert_int_equal(a.port, cases[i].port);
		assert_string_equal(a.path, cases[i].path);
		bmc_address_done(&a);
	}
}

static void test_bad(void **state)
{
	(void)state;
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "[fe80::1]", "needs scheme and brackets" },
		{ "fe80::1", "needs scheme and brackets" },
		{ "2001:db8::1", "needs scheme and brackets" },
		{ "ipmi://fe80::1", "needs brackets" },
		{ "ipmi://[fe80::1", "do not enclose" },
		{ "ipmi://[fe80::1]x", "do not enclose" },
		{ "ipmi://[10.0.0.1]", "no IPv6 address" },
		{ "ipmi://[]", "no IPv6 address" },
		{ "ipmi://[fe80::1%25]", "no IPv6 address" },
		{ "ipmi://10.0.0.1:x", "not a port number" },
		{ "ipmi://10.0.0.1:0", "not a port number" },
		{ "ipmi://10.0.0.1:65536", "not a port number" },
		{ "ipmi://bad_name", "hostname/IP : [bad_name] is invalid" },
		{ "ipmi://-x", "is invalid" },
		{ "ipmi://x-", "is invalid" },
		{ "ipmi://a..b", "is invalid" },
		{ "ipmi://.a", "is invalid" },
		{ "ipmi://a%41", "is invalid" },
		{ "ipmi://10.0.0.1 ", "blank or control character at position 16" },
		{ "ipmi://10.0.0.1\n", "blank or control" },
		{ "redfish://10.0.0.1/%zz", "%-escape" },
		{ "redfish://10.0.0.1/%4", "%-escape" },
		{ "redfish://10.0.0.1/%00", "%-escape" },
		{ "//10.0.0.1", "type before" },
		{ "foo://10.0.0.1", "unknown BMC type 'foo' (known: ipmi, libvirt, redfish, " },
		{ "ipmi+http://10.0.0.1", "unknown BMC type 'ipmi+http'" },
		{ "libvirt+https://10.0.0.1", "unknown BMC type" },
		{ "redfish+ftp://10.0.0.1", "unknown BMC type 'redfish+ftp'" },
		{ "bmc.example.com:623", "write ipmi://HOST:PORT" },
		{ "ilo4://10.0.0.1", "no longer supported: use ipmi" },
		{ "ilo5://10.0.0.1", "use ilo5-redfish" },
		{ "irmc://10.0.0.1", "use redfish" },
		{ "idrac://10.0.0.1", "use idrac-redfish" },
		{ "ipmi://h?a=1&b=1&c=1&d=1&e=1&f=1&g=1&h=1&i=1", "more than 8 parameters" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bmc_address a;
		struct err err = { 0 };
		if (bmc_address_parse(cases[i].text, &a, &err) == 0)
			fail_msg("accepted: %s", cases[i].text);
		assert_int_equal(err.kind, ERR_INVALID);
		if (!strstr(err.text, cases[i].why))
			fail_msg("%s: %s", cases[i].text, err.text);
		assert_true(str_has_prefix(err.text, "failed to parse BMC address information: "));
	}
}

static void test_long(void **state)
{
	(void)state;
	struct bmc_address a;
	struct err err = { 0 };
	char *text = xcalloc(1, BMC_ADDRESS_MAX + 2);
	memset(text, 'a', BMC_ADDRESS_MAX + 1);
	assert_true(bmc_address_parse(text, &a, &err) < 0);
	text[BMC_ADDRESS_MAX] = '\0';
	assert_true(bmc_address_parse(text, &a, &err) < 0); /* a name, but too long for one */
	free(text);
}

/* Nobody should put a password into an address, and who did must not read it in an event. */
static void test_no_userinfo_in_errors(void **state)
{
	(void)state;
	static const char *const texts[] = { "ipmi://admin:hunter2@bad_name",
					     "foo://admin:hunter2@10.0.0.1",
					     "ipmi://admin:hunter2@10.0.0.1:x",
					     "ipmi:admin:hunter2@10.0.0.1:70000" };
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct bmc_address a;
		struct err err = { 0 };
		assert_true(bmc_address_parse(texts[i], &a, &err) < 0);
		assert_null(strstr(err.text, "hunter2"));
	}
}

static void test_params(void **state)
{
	(void)state;
	struct bmc_address a, b;
	assert_int_equal(
		bmc_address_parse("ipmi://h?privilegelevel=OPER%41TOR&x=a+b&x=2&&=3&%zz=1&e", &a,
				  NULL),
		0);
	assert_string_equal(bmc_address_param(&a, "privilegelevel"), "OPERATOR");
	assert_string_equal(bmc_address_param(&a, "x"), "a b");
	assert_string_equal(bmc_address_param(&a, "e"), "");
	assert_null(bmc_address_param(&a, "y"));
	assert_int_equal(a.param_count, 4);
	bmc_address_copy(&a, &b);
	assert_true(bmc_address_equal(&a, &b));
	b.params[0].value[0] = 'X';
	assert_false(bmc_address_equal(&a, &b));
	bmc_address_done(&a);
	bmc_address_done(&b);
}

static void check_url(const char *text, const char *endpoint, const char *base, const char *path)
{
	struct bmc_address a;
	assert_int_equal(bmc_address_parse(text, &a, NULL), 0);
	_cleanup_(freep) char *e = bmc_address_endpoint(&a), *u = bmc_address_base_url(&a),
			      *p = bmc_address_system_path(&a);
	assert_string_equal(e, endpoint);
	assert_string_equal(u, base);
	assert_true(streq(p, path));
	bmc_address_done(&a);
}

static void test_urls(void **state)
{
	(void)state;
	check_url("redfish://10.0.0.1", "10.0.0.1", "https://10.0.0.1", NULL);
	check_url("redfish://10.0.0.1/redfish/v1/", "10.0.0.1", "https://10.0.0.1", NULL);
	check_url("redfish+http://[::1]:8000/redfish/v1/Systems/1", "[::1]:8000",
		  "http://[::1]:8000", "/redfish/v1/Systems/1");
	check_url("redfish+https://bmc:1/redfish/v1x", "bmc:1", "https://bmc:1", "/redfish/v1x");
	check_url("ipmi://[fe80::1]", "[fe80::1]:623", "https://[fe80::1]:623", NULL);
}

static void test_table(void **state)
{
	(void)state;
	unsigned rows = 0;
	for (const struct bmc_scheme *s = bmc_schemes(); s->name; s++, rows++) {
		assert_non_null(s->driver);
		bool redfish = s->kind != BMC_DRIVER_IPMI;
		assert_int_equal(s->http, redfish);
		assert_int_equal(s->default_port, redfish ? 0 : 623);
		assert_int_equal(s->needs_mac, streq(s->name, "libvirt"));
		/* Each row is found by its name. */
		struct bmc_address a;
		_cleanup_(freep) char *text = xasprintf("%s://10.0.0.1", s->name);
		assert_int_equal(bmc_address_parse(text, &a, NULL), 0);
		assert_ptr_equal(a.scheme, s);
		bmc_address_done(&a);
	}
	assert_int_equal(rows, 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),   cmocka_unit_test(test_bad),
		cmocka_unit_test(test_long),   cmocka_unit_test(test_no_userinfo_in_errors),
		cmocka_unit_test(test_params), cmocka_unit_test(test_urls),
		cmocka_unit_test(test_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
