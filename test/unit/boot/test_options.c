/* The --dhcp… options: what they may be, what they become, what contradicts itself. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/str.h"
#include "boot/options.h"

enum { WORDS_MAX = 48 };

static struct net_addr addr(const char *text)
{
	struct net_addr a;
	assert_int_equal(net_parse_ip(text, &a), 0);
	return a;
}

static bool is(const struct net_addr *a, const char *text)
{
	struct net_addr want = addr(text);
	return net_same_ip(a, &want);
}

/* Options with their values in one text; `our` address, or one of each family with a comma. */
static int apply(const char *line, const char *our, struct boot_config *ret, struct err *err)
{
	static char text[1024];
	char *argv[WORDS_MAX], *save = text, v4[NET_IP_TEXT_MAX];
	int argc = 0;
	struct boot_dhcp_options o = { 0 };
	snprintf(text, sizeof(text), "%s", line);
	for (char *word; argc < WORDS_MAX && (word = strsep(&save, " "));)
		if (*word)
			argv[argc++] = word;
	bool both = strchr(our, ',');
	snprintf(v4, sizeof(v4), "%.*s", (int)strcspn(our, ","), our);
	*ret = (struct boot_config){ .address = addr(v4) };
	if (net_family(&ret->address) == AF_INET6) /* alone */
		*ret = (struct boot_config){ .address6 = ret->address };
	if (both)
		ret->address6 = addr(strchr(our, ',') + 1);
	int r = options_parse(boot_dhcp_rows, argc, argv, &o, err);
	if (r == 0)
		r = boot_dhcp_options_apply(&o, ret, err);
	options_done(boot_dhcp_rows, &o);
	return r;
}

static void test_two_subnets(void **state)
{
	struct boot_config c;
	struct err err = { 0 };
	(void)state;
	int r = apply("--dhcp-range 10.77.0.100-10.77.0.199/24 --dhcp-range 10.78.0.1-10.78.3.9/22 "
		      "--dhcp-gateway 10.78.0.254 --dhcp-dns 10.77.0.2,10.77.0.3 "
		      "--dhcp-domain lab.example --dhcp-lease 600",
		      "10.77.0.1", &c, &err);
	if (r < 0)
		fail_msg("%s", err.text);
	assert_int_equal(c.dhcp, BOOT_DHCP_SERVER);
	assert_int_equal(c.pool_count, 2);
	assert_true(is(&c.pools[0].start, "10.77.0.100"));
	assert_false(net_is_set(&c.pools[0].gateway));
	assert_true(is(&c.pools[1].end, "10.78.3.9"));
	assert_int_equal(c.pools[1].bits, 22);
	assert_true(is(&c.pools[1].gateway, "10.78.0.254"));
	assert_int_equal(c.dns_count, 2);
	assert_true(is(&c.dns[1], "10.77.0.3"));
	assert_int_equal(c.lease_seconds, 600);
	assert_string_equal(c.domain, "lab.example");
}

static void test_modes(void **state)
{
	struct boot_config c;
	(void)state;
	assert_int_equal(apply("--dhcp proxy", "10.77.0.1", &c, NULL), 0);
	assert_int_equal(c.dhcp, BOOT_DHCP_PROXY);
	assert_int_equal(apply("--dhcp off", "10.77.0.1", &c, NULL), 0);
	assert_int_equal(c.dhcp, BOOT_DHCP_OFF);
	assert_int_equal(apply("--dhcp-range 10.77.0.100-10.77.0.199/24", "10.77.0.1", &c, NULL),
			 0);
	assert_int_equal(c.lease_seconds, BOOT_LEASE_DEFAULT_S);
}

static void test_ipv6(void **state)
{
	struct boot_config c;
	struct err err = { 0 };
	(void)state;
	int r = apply(
		"--dhcp-range fd77::100-fd77::1ff/64 --dhcp-range fd78:0:0:1::8-fd78:0:0:1::9/126 "
		"--dhcp-dns fd77::53,10.77.0.2 --router-adverts",
		"fd77::1", &c, &err);
	if (r < 0)
		fail_msg("%s", err.text);
	assert_int_equal(c.pool_count, 2);
	assert_true(is(&c.pools[0].start, "fd77::100"));
	assert_true(is(&c.pools[1].end, "fd78:0:0:1::9"));
	assert_int_equal(c.pools[1].bits, 126);
	assert_int_equal(c.dns_count, 2);
	assert_true(c.router_adverts);
	assert_true(boot_has_pool(&c, AF_INET6));
	assert_false(boot_has_pool(&c, AF_INET));
	/* Both; a subnet of IPv6 elsewhere needs no gateway of ours. */
	r = apply("--dhcp-range 10.77.0.100-10.77.0.199/24 --dhcp-range FD78::1-fd78::9/64",
		  "10.77.0.1,fd77::1", &c, &err);
	if (r < 0)
		fail_msg("%s", err.text);
	assert_true(boot_has_pool(&c, AF_INET) && boot_has_pool(&c, AF_INET6));
	assert_false(c.router_adverts);
}

static void test_ipv6_refused(void **state)
{
	static const struct {
		const char *line, *our, *text;
	} cases[] = {
		{ "--dhcp-range fd77::1-fd77::9/64", "10.77.0.1", "needs an IPv6 address of ours" },
		{ "--dhcp-range 10.77.0.1-10.77.0.9/24", "fd77::1",
		  "needs an IPv4 address of ours" },
		{ "--dhcp-range fd77::1-10.77.0.9/64", "fd77::1", "different subnets" },
		{ "--dhcp-range fd77::1-fd78::9/64", "fd77::1", "different subnets" },
		{ "--dhcp-range fd77::9-fd77::1/64", "fd77::1", "ends before it begins" },
		{ "--dhcp-range fd77::1-fd77::9/24", "fd77::1", "is not of the form" },
		{ "--dhcp-range fd77::1-fd77::9/127", "fd77::1", "is not of the form" },
		{ "--dhcp-range fe80::1-fe80::9/64", "fd77::1", "link-local" },
		{ "--dhcp-range fd77::-fd77:1::/32", "fd77::1", "different subnets, or" },
		{ "--dhcp-range fd77::1-fd77::9/64 --dhcp-range fd77::a-fd77::f/64", "fd77::1",
		  "each subnet has one" },
		{ "--dhcp-range fd77::1-fd77::9/64 --dhcp-gateway fd77::1", "fd77::1",
		  "DHCPv6 announces no gateway" },
		{ "--dhcp-range fd78::1-fd78::9/64 --router-adverts", "fd77::1",
		  "no --dhcp-range is in the IPv6 subnet" },
		{ "--dhcp-range 10.77.0.8-10.77.0.9/24 --router-adverts", "10.77.0.1",
		  "no --dhcp-range is in the IPv6 subnet" },
		{ "--dhcp off --router-adverts", "fd77::1", "--router-adverts goes with" },
		{ "--dhcp proxy", "fd77::1", "--dhcp proxy: there is none for IPv6" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct boot_config c;
		struct err err = { 0 };
		if (apply(cases[i].line, cases[i].our, &c, &err) == 0)
			fail_msg("%s: taken", cases[i].line);
		if (!strstr(err.text, cases[i].text))
			fail_msg("%s: %s", cases[i].line, err.text);
	}
}

#define RANGE "--dhcp-range 10.77.0.100-10.77.0.199/24 "

static void test_refused(void **state)
{
	static const struct {
		const char *line, *text;
	} cases[] = {
		{ "", "--dhcp-range: name the addresses" },
		{ "--dhcp both", "--dhcp: \"both\" is not server, proxy or off" },
		{ "--dhcp-range 10.77.0.100-10.77.0.199", "is not of the form" },
		{ "--dhcp-range 10.77.0.100-10.77.0.199/24x", "is not of the form" },
		{ "--dhcp-range 10.77.0.100-10.77.0.199/32", "is not of the form" },
		{ "--dhcp-range 10.77.0.199-10.77.0.100/24", "ends before it begins" },
		{ "--dhcp-range 10.77.0.100-10.78.0.199/24", "different subnets" },
		{ RANGE "--dhcp-range 10.77.0.10-10.77.0.20/24", "each subnet has one" },
		{ RANGE "--dhcp-range 10.88.0.50-10.88.0.60/24", "name the router" },
		{ RANGE "--dhcp-gateway 10.88.0.1", "10.88.0.1 is not in the subnet of any" },
		{ RANGE "--dhcp-gateway 10.77.0.255", "first or last address" },
		{ RANGE "--dhcp-gateway 10.77.0.2 --dhcp-gateway 10.77.0.3",
		  "already has a gateway" },
		{ RANGE "--dhcp-domain a_b", "\"a_b\" is not a domain name" },
		{ RANGE "--dhcp-lease 119", "is not a number of seconds from 120 to 2592000" },
		{ RANGE "--dhcp proxy", "--dhcp-range goes with --dhcp server only" },
		/* Given, be it with its default. */
		{ "--dhcp off --dhcp-lease 3600", "--dhcp-lease goes with --dhcp server only" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct boot_config c;
		struct err err = { 0 };
		if (apply(cases[i].line, "10.77.0.1", &c, &err) == 0)
			fail_msg("%s: taken", cases[i].line);
		if (!strstr(err.text, cases[i].text))
			fail_msg("%s: %s", cases[i].line, err.text);
	}
}

static void test_too_many_ranges(void **state)
{
	char line[1024] = "";
	struct boot_config c;
	struct err err = { 0 };
	size_t len = 0;
	(void)state;
	for (int i = 0; i <= BOOT_POOLS_MAX; i++)
		len += (size_t)snprintf(line + len, sizeof(line) - len,
					"--dhcp-range 10.%d.0.1-10.%d.0.9/24 ", i, i);
	assert_true(apply(line, "10.0.0.1", &c, &err) < 0);
	assert_non_null(strstr(err.text, "more than 16"));
}

/* Words of a kernel line that iPXE would take for its own. */
static void test_words(void **state)
{
	static const struct option_row rows[] = {
		{ .name = "args", .argument = "WORDS", .help = "", .type = &boot_option_words },
		{ .name = NULL },
	};
	char option[] = "--args", good[] = "console=tty0 a.b=c", bad[] = "console=${net0/mac}";
	char *good_line[] = { option, good }, *bad_line[] = { option, bad };
	const char *value = NULL;
	struct err err = { 0 };
	(void)state;
	assert_int_equal(options_parse(rows, 2, good_line, &value, NULL), 0);
	assert_string_equal(value, good);
	assert_true(options_parse(rows, 2, bad_line, &value, &err) < 0);
	assert_true(str_has_prefix(err.text, "--args: \"console=${net0/mac}\" holds"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_subnets),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_ipv6_refused),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_too_many_ranges),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
