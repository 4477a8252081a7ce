/* Options whose values are addresses, networks and names of machines. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/str.h"
#include "net/options.h"
#include "net/policy.h"

struct values {
	struct net_addr address, ip;
	struct net_listen listen;
	struct net_prefixes networks, more;
	const char *host;
	struct option_list hosts;
};

#define ROW(n, t, member)                                                                          \
	{                                                                                          \
		.name = (n), .argument = "V", .help = "", .type = (t), .port = 6443,               \
		.offset = offsetof(struct values, member)                                          \
	}

static const struct option_row rows[] = {
	ROW("address", &net_option_address, address),
	ROW("ip", &net_option_ip, ip),
	ROW("listen", &net_option_listen, listen),
	ROW("networks", &net_option_prefixes, networks),
	ROW("more", &net_option_prefixes_repeat, more),
	ROW("host", &net_option_host, host),
	ROW("hosts", &net_option_hosts, hosts),
	{ .name = NULL },
};

static int parse(const char *option, const char *value, struct values *v, struct err *err)
{
	char *argv[] = { (char *)(uintptr_t)option, (char *)(uintptr_t)value };
	return options_parse(rows, 2, argv, v, err);
}

static void check_address(const char *option, const char *value, const struct net_addr *at,
			  struct values *v, const char *expected)
{
	char text[NET_TEXT_MAX];
	*v = (struct values){ 0 };
	assert_int_equal(parse(option, value, v, NULL), 0);
	assert_string_equal(net_format(at, text), expected);
	assert_false(v->listen.off);
}

static void test_addresses(void **state)
{
	struct values v = { 0 };
	(void)state;
	check_address("--address", "127.0.0.1", &v.address, &v, "127.0.0.1:6443");
	check_address("--address", "127.0.0.1:0", &v.address, &v, "127.0.0.1:0");
	check_address("--address", "[::1]:80", &v.address, &v, "[::1]:80");
	check_address("--ip", "2001:db8::1", &v.ip, &v, "[2001:db8::1]:0");
	check_address("--listen", ":9440", &v.listen.addr, &v, "0.0.0.0:9440");
	check_address("--listen", "[::1]:8443", &v.listen.addr, &v, "[::1]:8443");
	for (const char *const *off = (const char *const[]){ "0", "", NULL }; *off; off++) {
		v = (struct values){ 0 };
		assert_int_equal(parse("--listen", *off, &v, NULL), 0);
		assert_true(v.listen.off);
	}
}

static void test_networks(void **state)
{
	struct values v = { 0 };
	(void)state;
	assert_int_equal(parse("--networks", "10.0.0.0/8,fd00::/8", &v, NULL), 0);
	assert_int_equal(parse("--networks", "192.0.2.0/24", &v, NULL), 0);
	assert_int_equal(parse("--more", "10.0.0.0/8", &v, NULL), 0);
	assert_int_equal(parse("--more", "fd00::/8,192.0.2.1", &v, NULL), 0);
	assert_int_equal(v.networks.count, 1);
	assert_int_equal(v.more.count, 3);
	options_done(rows, &v);
	assert_int_equal(v.more.count, 0);
}

static void test_hosts(void **state)
{
	struct values v = { 0 };
	(void)state;
	assert_int_equal(parse("--host", "ingot.example", &v, NULL), 0);
	assert_int_equal(parse("--hosts", "::1", &v, NULL), 0);
	assert_int_equal(parse("--hosts", "b", &v, NULL), 0);
	assert_string_equal(v.host, "ingot.example");
	assert_string_equal(v.hosts.items[1], "b");
	options_done(rows, &v);
}

static void test_refused(void **state)
{
	static const struct {
		const char *option, *value, *text;
	} cases[] = {
		{ "--address", "localhost", "\"localhost\" is not a numeric address" },
		{ "--address", "127.0.0.1:65536", "is not a numeric address" },
		{ "--ip", "127.0.0.1:80", "\"127.0.0.1:80\" is not an address" },
		{ "--listen", "9440", "\"9440\" is not [ADDRESS]:PORT" },
		{ "--listen", "localhost:1", "is not [ADDRESS]:PORT" },
		{ "--listen", "::1", "is not [ADDRESS]:PORT" },
		{ "--networks", "10.0.0.1/8", "\"10.0.0.1/8\" is not a network such as" },
		{ "--more", "10.0.0.0/33", "is not a network such as" },
		{ "--host", "a b", "\"a b\" is not a name or an address" },
		{ "--hosts", "", "\"\" is not a name or an address" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct values v = { 0 };
		struct err err = { 0 };
		if (parse(cases[i].option, cases[i].value, &v, &err) == 0)
			fail_msg("%s %s: taken", cases[i].option, cases[i].value);
		assert_true(str_has_prefix(err.text, cases[i].option));
		if (!strstr(err.text, cases[i].text))
			fail_msg("%s", err.text);
		options_done(rows, &v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
