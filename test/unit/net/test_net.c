/* Addresses, prefixes, MAC addresses and the policy for outgoing connections. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>

#include "base/macro.h"
#include "net/policy.h"

static struct net_addr ip(const char *text)
{
	struct net_addr a;
	assert_int_equal(net_parse_ip(text, &a), 0);
	return a;
}

static void test_parse_ip(void **state)
{
	(void)state;
	static const char *const good[] = { "10.0.0.1", "0.0.0.0",   "255.255.255.255",
					    "::",	"fe80::1%7", "2001:db8::a:b" };
	static const char *const bad[] = { "",		 "10.0.0",	  "010.0.0.1",
					   "10.0.0.1 ",	 "10.0.0.256",	  "[::1]",
					   "::1%",	 "::1%nonesuch0", "1.2.3.4:5",
					   "fe80::1%-1", "10.0.0.1%1",	  "::1%0",
					   ":::",	 "g::1" };
	char buf[NET_IP_TEXT_MAX];
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct net_addr a = ip(good[i]);
		assert_string_equal(net_format_ip(&a, buf), good[i]);
	}
	struct net_addr untouched = ip("192.0.2.1");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(net_parse_ip(bad[i], &untouched), -EINVAL);
	assert_string_equal(net_format_ip(&untouched, buf), "192.0.2.1");
	struct net_addr lo = ip("fe80::1%lo");
	assert_int_equal(lo.v6.sin6_scope_id, 1);
}

static void test_parse_with_port(void **state)
{
	(void)state;
	static const struct {
		const char *text, *want; /* NULL: refused */
	} cases[] = {
		{ "10.0.0.1", "10.0.0.1:623" },
		{ "10.0.0.1:80", "10.0.0.1:80" },
		{ "[fe80::1]", "[fe80::1]:623" },
		{ "[fe80::1%3]:6230", "[fe80::1%3]:6230" },
		{ "fe80::1", NULL },
		{ "[10.0.0.1]", NULL },
		{ "10.0.0.1:", NULL },
		{ "10.0.0.1:65536", NULL },
		{ "10.0.0.1:-1", NULL },
		{ "[::1", NULL },
		{ "[::1]x", NULL },
		{ "name:80", NULL },
		{ "", NULL },
		{ "1111111111111111111111111111111111111111111111111111111111111111111111111111",
		  NULL },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct net_addr a;
		char buf[NET_TEXT_MAX];
		int r = net_parse(cases[i].text, 623, &a);
		assert_int_equal(r, cases[i].want ? 0 : -EINVAL);
		if (r == 0)
			assert_string_equal(net_format(&a, buf), cases[i].want);
	}
	struct net_addr none = { 0 };
	char buf[NET_TEXT_MAX];
	assert_string_equal(net_format(&none, buf), "?:0");
}

static void test_from_sockaddr(void **state)
{
	(void)state;
	struct net_addr a = ip("2001:db8::1"), b;
	assert_int_equal(net_from_sockaddr(&a.sa, net_len(&a), &b), 0);
	assert_int_equal(net_compare(&a, &b), 0);
	assert_int_equal(net_from_sockaddr(&a.sa, sizeof(struct sockaddr_in), &b), -EINVAL);
	struct sockaddr other = { .sa_family = AF_UNIX };
	assert_int_equal(net_from_sockaddr(&other, sizeof(other), &b), -EINVAL);
}

static void test_compare(void **state)
{
	(void)state;
	struct net_addr a = ip("10.0.0.1"), b = ip("10.0.0.2"), six = ip("::1");
	assert_true(net_compare(&a, &b) < 0 && net_compare(&b, &a) > 0);
	assert_true(net_compare(&a, &six) < 0);
	b = a;
	net_set_port(&b, 1);
	assert_true(net_compare(&a, &b) < 0);
	assert_true(net_same_ip(&a, &b));
	struct net_addr one = ip("fe80::1%1"), two = ip("fe80::1%2");
	assert_false(net_same_ip(&one, &two));
	struct net_addr mapped = ip("::ffff:10.0.0.1"), plain = net_unmap(&mapped);
	assert_true(net_same_ip(&plain, &a));
}

static void test_ranges(void **state)
{
	(void)state;
	static const struct {
		const char *from, *to; /* NULL: what is no distance */
		uint64_t n;
	} cases[] = {
		{ "10.0.0.1", "10.0.0.1", 0 },
		{ "10.0.0.255", "10.0.1.4", 5 },
		{ "0.0.0.0", "255.255.255.255", UINT32_MAX },
		{ "2001:db8::ffff", "2001:db8::1:0", 1 },
		{ "2001:db8::", "2001:db8::ffff:ffff:ffff:ffff", UINT64_MAX },
		{ "2001:db8:0:1::ffff", "2001:db8:0:2::1", UINT64_MAX - 0xfffd },
	};
	static const char *const none[][2] = { { "10.0.0.2", "10.0.0.1" },
					       { "2001:db8::", "2001:db8:0:1::" },
					       { "2001:db8:0:1::", "2001:db8::" },
					       { "::", "10.0.0.1" } };
	uint64_t n = 7;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct net_addr from = ip(cases[i].from), to = ip(cases[i].to);
		assert_true(net_distance(&from, &to, &n));
		assert_true(n == cases[i].n);
		struct net_addr sum = net_add(&from, n);
		assert_true(net_same_ip(&sum, &to));
	}
	n = 7;
	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		struct net_addr from = ip(none[i][0]), to = ip(none[i][1]);
		assert_false(net_distance(&from, &to, &n));
	}
	assert_int_equal(n, 7);
	struct net_addr last = ip("255.255.255.255"), first = net_add(&last, 1);
	assert_true(net_to_v4(&first).s_addr == 0 && net_family(&first) == AF_INET);
}

static void test_networks(void **state)
{
	(void)state;
	static const struct {
		const char *address;
		unsigned bits;
		const char *network, *last;
	} cases[] = {
		{ "10.1.2.3", 22, "10.1.0.0/22", "10.1.3.255" },
		{ "10.1.2.3", 32, "10.1.2.3/32", "10.1.2.3" },
		{ "10.1.2.3", 0, "0.0.0.0/0", "255.255.255.255" },
		{ "2001:db8:1:2::3", 61, "2001:db8:1::/61", "2001:db8:1:7:ffff:ffff:ffff:ffff" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[NET_PREFIX_TEXT_MAX], last_text[NET_IP_TEXT_MAX];
		struct net_addr a = ip(cases[i].address);
		struct net_prefix p = net_prefix_of(&a, cases[i].bits);
		struct net_addr last = net_prefix_last(&p);
		assert_string_equal(net_format_prefix(&p, text), cases[i].network);
		assert_string_equal(net_format_ip(&last, last_text), cases[i].last);
	}
	struct net_addr a = ip("10.1.2.3"), b = ip("10.1.3.3"), c = ip("10.1.4.3");
	struct net_prefix wide = net_prefix_of(&a, 23), narrow = net_prefix_of(&b, 24),
			  other = net_prefix_of(&c, 24);
	assert_true(net_prefix_overlaps(&wide, &narrow) && net_prefix_overlaps(&narrow, &wide));
	assert_false(net_prefix_overlaps(&wide, &other) || net_prefix_overlaps(&other, &narrow));
}

static void test_v4_only(void **state)
{
	(void)state;
	struct net_addr four = ip("10.0.0.1"), six = ip("::1"), none = { 0 };
	struct net_addr back = net_from_v4(net_to_v4(&four)), with_port = four;
	assert_true(net_same_ip(&back, &four) && net_is_set(&four));
	assert_int_equal(net_to_v4(&six).s_addr, 0);
	back = net_from_v4((struct in_addr){ 0 });
	assert_false(net_is_set(&back) || net_is_set(&none));
	net_set_port(&with_port, 80);
	assert_int_equal(net_hash_ip(&with_port), net_hash_ip(&four));
	assert_int_not_equal(net_hash_ip(&six), net_hash_ip(&four));
}

static void test_classes(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool unspecified, loopback, link_local, multicast;
	} cases[] = {
		{ "0.0.0.0", 1, 0, 0, 0 },
		{ "0.1.2.3", 1, 0, 0, 0 },
		{ "127.255.0.1", 0, 1, 0, 0 },
		{ "169.254.169.254", 0, 0, 1, 0 },
		{ "224.0.0.1", 0, 0, 0, 1 },
		{ "255.255.255.255", 0, 0, 0, 1 },
		{ "10.0.0.1", 0, 0, 0, 0 },
		{ "::", 1, 0, 0, 0 },
		{ "::1", 0, 1, 0, 0 },
		{ "fe80::1", 0, 0, 1, 0 },
		{ "febf::1", 0, 0, 1, 0 },
		{ "fec0::1", 0, 0, 0, 0 },
		{ "ff02::1", 0, 0, 0, 1 },
		{ "2001:db8::1", 0, 0, 0, 0 },
		{ "::ffff:127.0.0.1", 0, 1, 0, 0 },
		{ "::ffff:169.254.1.1", 0, 0, 1, 0 },
		{ "::ffff:0.0.0.0", 1, 0, 0, 0 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct net_addr a = ip(cases[i].text);
		assert_int_equal(net_is_unspecified(&a), cases[i].unspecified);
		assert_int_equal(net_is_loopback(&a), cases[i].loopback);
		assert_int_equal(net_is_link_local(&a), cases[i].link_local);
		assert_int_equal(net_is_multicast(&a), cases[i].multicast);
	}
}

static void test_prefix(void **state)
{
	(void)state;
	static const struct {
		const char *prefix, *ip;
		int want; /* -1: the prefix is refused */
	} cases[] = {
		{ "10.0.0.0/8", "10.255.0.1", 1 },
		{ "10.0.0.0/8", "11.0.0.0", 0 },
		{ "10.0.0.0/9", "10.127.0.1", 1 },
		{ "10.0.0.0/9", "10.128.0.1", 0 },
		{ "0.0.0.0/0", "8.8.8.8", 1 },
		{ "0.0.0.0/0", "::1", 0 },
		{ "::/0", "2001:db8::1", 1 },
		{ "::/0", "10.0.0.1", 0 },
		{ "10.0.0.1", "10.0.0.1", 1 },
		{ "10.0.0.1", "10.0.0.2", 0 },
		{ "2001:db8::/61", "2001:db8:0:7::1", 1 },
		{ "2001:db8::/61", "2001:db8:0:8::1", 0 },
		{ "10.0.0.0/8", "::ffff:10.1.1.1", 1 },
		{ "10.0.0.1/8", "10.0.0.1", -1 },
		{ "10.0.0.0/33", "10.0.0.1", -1 },
		{ "10.0.0.0/", "10.0.0.1", -1 },
		{ "10.0.0.0/08x", "10.0.0.1", -1 },
		{ "fe80::%1/64", "fe80::1", -1 },
		{ "x/8", "10.0.0.1", -1 },
		{ "", "10.0.0.1", -1 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct net_prefix p;
		struct net_addr a = ip(cases[i].ip);
		assert_int_equal(net_parse_prefix(cases[i].prefix, &p),
				 cases[i].want < 0 ? -EINVAL : 0);
		if (cases[i].want >= 0)
			assert_int_equal(net_prefix_contains(&p, &a), cases[i].want);
	}
	struct net_prefix p;
	char buf[NET_PREFIX_TEXT_MAX];
	assert_int_equal(net_parse_prefix("2001:db8::/32", &p), 0);
	assert_string_equal(net_format_prefix(&p, buf), "2001:db8::/32");
}

static void test_mac(void **state)
{
	(void)state;
	struct net_mac mac, other;
	char buf[NET_MAC_TEXT_SIZE];
	assert_int_equal(net_parse_mac("52:54:00:AB:cd:01", &mac), 0);
	assert_string_equal(net_format_mac(&mac, buf), "52:54:00:ab:cd:01");
	assert_int_equal(net_parse_mac("52:54:00:ab:cd:01", &other), 0);
	assert_true(net_mac_equal(&mac, &other));
	assert_false(net_mac_is_multicast(&mac));
	assert_int_equal(net_parse_mac("01:00:5e:00:00:01", &other), 0);
	assert_true(net_mac_is_multicast(&other));
	static const char *const bad[] = { "",
					   "52:54:00:ab:cd",
					   "52-54-00-ab-cd-01",
					   "52:54:00:ab:cd:0g",
					   "52:54:00:ab:cd:01:",
					   "5254.00ab.cd01",
					   "52:54:00:ab:cd 01" };
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(net_parse_mac(bad[i], &other), -EINVAL);
}

static void check_policy(const struct net_policy *policy, const char *text, const char *why)
{
	struct net_addr a = ip(text);
	struct err err = { 0 };
	int r = net_policy_check(policy, &a, &err);
	assert_int_equal(r, why ? -err_kind_info(ERR_INVALID)->errno_value : 0);
	if (why)
		if (!strstr(err.text, why))
			fail_msg("%s: %s", text, err.text);
}

static void test_policy(void **state)
{
	(void)state;
	struct net_policy policy = { 0 };
	check_policy(NULL, "127.0.0.1", NULL);
	check_policy(&policy, "10.0.0.1", NULL);
	check_policy(&policy, "127.0.0.1", "loopback");
	check_policy(&policy, "::ffff:127.0.0.1", "loopback");
	check_policy(&policy, "169.254.169.254", "link-local");
	check_policy(&policy, "0.0.0.0", "not an address of a machine");
	check_policy(&policy, "ff02::1", "multicast");
	check_policy(&policy, "::127.0.0.1", "stands for 127.0.0.1 (IPv4-compatible)");
	check_policy(&policy, "::ffff:0:127.0.0.1", "stands for 127.0.0.1");
	check_policy(&policy, "64:ff9b::127.0.0.1", "stands for 127.0.0.1 (NAT64)");
	check_policy(&policy, "64:ff9b::a9fe:a9fe",
		     "169.254.169.254 (NAT64), and it is a link-local");
	check_policy(&policy, "64:ff9b:1::127.0.0.1", "stands for 127.0.0.1 (NAT64)");
	check_policy(&policy, "64:ff9b:1:7f00:0:100::", "stands for 127.0.0.1 (NAT64)");
	check_policy(&policy, "64:ff9b:1:7f:0:1::", "stands for 127.0.0.1 (NAT64)");
	check_policy(&policy, "64:ff9b:1:203:7f:0:100:0", "stands for 127.0.0.1 (NAT64)");
	check_policy(&policy, "2002:7f00:1::1", "stands for 127.0.0.1 (6to4)");
	check_policy(&policy, "2001:0:7f00:1::1", "stands for 127.0.0.1 (Teredo)");
	check_policy(&policy, "2001:0:c000:201::80ff:fffe", "stands for 127.0.0.1 (Teredo)");
	check_policy(&policy, "2001:db8::5efe:7f00:1", "stands for 127.0.0.1 (ISATAP)");
	check_policy(&policy, "2001:db8::200:5efe:7f00:1", "stands for 127.0.0.1 (ISATAP)");
	check_policy(&policy, "64:ff9b::192.0.2.1", NULL);
	check_policy(&policy, "64:ff9b:1::192.0.2.1", NULL);
	check_policy(&policy, "2002:c000:201::1", NULL);
	check_policy(&policy, "2001:db8::1", NULL);
	assert_int_equal(net_prefixes_parse(&policy.allow, "127.0.0.0/8", NULL), 0);
	assert_int_equal(net_prefixes_parse(&policy.refuse, "10.96.0.0/12,fd00::/8", NULL), 0);
	assert_int_equal(net_prefixes_parse(&policy.only, "10.0.0.0/8", NULL), 0);
	policy.only_name = "the networks of --bmc-networks";
	check_policy(&policy, "127.0.0.1", NULL);
	check_policy(&policy, "10.96.0.1", "belongs to the cluster");
	check_policy(&policy, "64:ff9b::10.96.0.1", "and it belongs to the cluster");
	check_policy(&policy, "192.0.2.1", "outside the networks of --bmc-networks");
	check_policy(&policy, "192.0.2.1", "--allow-target 192.0.2.1 permits");
	check_policy(&policy, "10.1.0.1", NULL);
	struct err err = { 0 };
	assert_int_equal(net_prefixes_parse(&policy.only, "10.0.0.0/8,10.0.0.1/8", &err),
			 -err_kind_info(ERR_INVALID)->errno_value);
	assert_non_null(strstr(err.text, "\"10.0.0.1/8\""));
	net_policy_done(&policy);
}

/* Addresses as the kernel lists them, which net_is_own() does not read. */
static void test_own_addresses(void **state)
{
	(void)state;
	struct net_policy policy = { 0 };
	struct ifaddrs *list;
	unsigned others = 0;
	assert_int_equal(getifaddrs(&list), 0);
	for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
		struct net_addr a;
		char text[NET_IP_TEXT_MAX];
		if (!i->ifa_addr || !(i->ifa_flags & IFF_UP) ||
		    net_from_sockaddr(i->ifa_addr, sizeof(a), &a) < 0 || net_is_link_local(&a))
			continue;
		assert_true(net_is_own(&a));
		if (net_is_loopback(&a))
			continue;
		check_policy(&policy, net_format_ip(&a, text), "the machine that Ingot runs on");
		assert_int_equal(net_prefixes_parse(&policy.allow, text, NULL), 0);
		check_policy(&policy, text, NULL);
		others++;
	}
	freeifaddrs(list);
	struct net_addr elsewhere = ip("192.0.2.1");
	assert_false(net_is_own(&elsewhere));
	net_policy_done(&policy);
	if (others == 0) {
		print_message("this machine has no address but loopback\n");
		skip();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_ip),      cmocka_unit_test(test_parse_with_port),
		cmocka_unit_test(test_from_sockaddr), cmocka_unit_test(test_compare),
		cmocka_unit_test(test_classes),	      cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_networks),      cmocka_unit_test(test_v4_only),
		cmocka_unit_test(test_prefix),	      cmocka_unit_test(test_mac),
		cmocka_unit_test(test_policy),	      cmocka_unit_test(test_own_addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
