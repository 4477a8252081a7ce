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
	struct net_addr address, ip, machine;
	struct net_pair pair;
	struct net_addrs list, each;
	struct net_listen listen;
	struct net_prefixes networks, more;
	const char *host;
	struct option_list hosts;
};

#define ROW(n, t, member)                                                                          \
	{                                                                                          \
		.name = (n), .argument = "V", .help = "", .type = (t), .port = 6443, .max = 2,     \
		.offset = offsetof(struct values, member)                                          \
	}

static const struct option_row rows[] = {
	ROW("address", &net_option_address, address),
	ROW("ip", &net_option_ip, ip),
	ROW("machine", &net_option_machine, machine),
	ROW("pair", &net_option_pair, pair),
	ROW("list", &net_option_machine_list, list),
	ROW("each", &net_option_machine_repeat, each),
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
	check_address("--machine", "2001:db8::1", &v.machine, &v, "[2001:db8::1]:0");
	check_address("--machine", "10.0.0.1", &v.machine, &v, "10.0.0.1:0");
	/* Of both families. */
	check_address("--listen", ":9440", &v.listen.addr, &v, "[::]:9440");
	check_address("--listen", "[::1]:8443", &v.listen.addr, &v, "[::1]:8443");
	for (const char *const *off = (const char *const[]){ "0", "", NULL }; *off; off++) {
		v = (struct values){ 0 };
		assert_int_equal(parse("--listen", *off, &v, NULL), 0);
		assert_true(v.listen.off);
	}
}

static void check_pair(const char *value, const char *v4, const char *v6)
{
	struct values v = { 0 };
	char text[NET_IP_TEXT_MAX];
	assert_int_equal(parse("--pair", value, &v, NULL), 0);
	assert_string_equal(net_format_ip(&v.pair.v4, text), v4);
	assert_string_equal(net_format_ip(&v.pair.v6, text), v6);
}

static void test_pair(void **state)
{
	(void)state;
	check_pair("10.0.0.1", "10.0.0.1", "?");
	check_pair("fd77::1", "?", "fd77::1");
	check_pair("10.0.0.1,fd77::1", "10.0.0.1", "fd77::1");
	check_pair("fd77::1,10.0.0.1", "10.0.0.1", "fd77::1");
}

/* A list stands in one option, the last counts; what repeats adds up. */
static void test_lists(void **state)
{
	struct values v = { 0 };
	char text[NET_IP_TEXT_MAX];
	(void)state;
	assert_int_equal(parse("--list", "10.0.0.1,fd77::1", &v, NULL), 0);
	assert_int_equal(v.list.count, 2);
	assert_string_equal(net_format_ip(&v.list.items[1], text), "fd77::1");
	assert_int_equal(parse("--list", "10.0.0.3", &v, NULL), 0);
	assert_int_equal(v.list.count, 1);
	assert_int_equal(parse("--each", "10.0.0.1", &v, NULL), 0);
	assert_int_equal(parse("--each", "fd77::1", &v, NULL), 0);
	assert_int_equal(v.each.count, 2);
	options_done(rows, &v);
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
		{ "--machine", "0.0.0.0", "\"0.0.0.0\" is not an address of a machine" },
		{ "--machine", "10.0.0.256", "is not an address of a machine" },
		{ "--machine", "router", "is not an address of a machine" },
		{ "--machine", "::", "is not an address of a machine" },
		{ "--machine", "fe80::1", "is not an address of a machine" },
		{ "--machine", "fe80::1%lo", "is not an address of a machine" },
		{ "--machine", "::ffff:10.0.0.1", "is not an address of a machine" },
		{ "--machine", "ff02::1", "is not an address of a machine" },
		{ "--each", "", "is not an address of a machine" },
		{ "--pair", "10.0.0.1,10.0.0.2", "or one of each with a comma" },
		{ "--pair", "fd77::1,fd77::2", "or one of each with a comma" },
		{ "--pair", "10.0.0.1,", "or one of each with a comma" },
		{ "--pair", "fe80::1", "that is not link-local" },
		{ "--list", "10.0.0.1,", "is not a list of addresses such as" },
		{ "--list", "10.0.0.1,10.0.0.2,fd77::3", "is more than 2 addresses" },
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
		cmocka_unit_test(test_addresses), cmocka_unit_test(test_pair),
		cmocka_unit_test(test_lists),	  cmocka_unit_test(test_networks),
		cmocka_unit_test(test_hosts),	  cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
