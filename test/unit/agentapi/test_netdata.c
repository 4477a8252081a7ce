/* Network data as OpenStack's and Metal3's documentation have it, what is wrong in it, and what is
 * kept of the rest. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agentapi/netdata.h"
#include "base/mem.h"
#include "base/str.h"

/* With ' in place of ". */
static struct netdata *read_data(const char *quoted)
{
	_cleanup_(freep) char *text = xstrdup(quoted);
	struct netdata *n = NULL;
	struct err err = { 0 };
	for (char *p = text; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	if (netdata_parse(text, strlen(text), &n, &err) < 0)
		fail_msg("%s: %s", text, err.text);
	return n;
}

static void assert_sound(const struct netdata *n)
{
	if (n->problem_count)
		fail_msg("%s", n->problems[0]);
}

static void assert_ip(const struct net_addr *a, const char *text)
{
	char buf[NET_IP_TEXT_MAX];
	assert_string_equal(net_format_ip(a, buf), text);
}

static void assert_prefix(const struct net_prefix *p, const char *text)
{
	char buf[NET_PREFIX_TEXT_MAX];
	assert_string_equal(net_format_prefix(p, buf), text);
}

static const struct netdata_link *link_of(const struct netdata *n, const char *id)
{
	for (size_t i = 0; i < n->link_count; i++)
		if (streq(n->links[i].id, id))
			return &n->links[i];
	fail_msg("no link %s", id);
	return NULL;
}

static const char *option(const struct netdata_link *l, const char *name)
{
	for (size_t i = 0; i < l->option_count; i++)
		if (streq(l->options[i].name, name))
			return l->options[i].value;
	return NULL;
}

#define NIC(id, mac) "{'id': '" id "', 'type': 'phy', 'ethernet_mac_address': '" mac "'}"
#define A	     NIC("a", "52:54:00:00:00:0A")
#define B	     NIC("b", "52:54:00:00:00:0b")

/* A VLAN on a bond, written before what it stands on. */
static void test_bond_and_vlan(void **state)
{
	(void)state;
	_cleanup_(netdata_freep) struct netdata *n = read_data(
		"{'links': [{'id': 'v', 'type': 'vlan', 'vlan_link': 'bond', 'vlan_id': '101',"
		"'vlan_mac_address': 'fa:16:3e:b3:72:36', 'mtu': 1400},"
		"{'id': 'bond', 'type': 'bond', 'bond_links': ['a', 'b'], 'bond_primary': 'b',"
		"'ethernet_mac_address': '52:54:00:00:00:0a', 'bond_mode': 'active-backup',"
		"'bond_miimon': 50, 'bond-fail-over-mac': 'active', 'mtu': null}," A "," B "],"
		"'networks': [{'id': 'n', 'type': 'ipv4', 'link': 'v', 'ip_address': '10.0.1.5',"
		"'netmask': '255.255.240.0', 'network_id': 'x', 'routes': [{'network': '0.0.0.0',"
		"'netmask': '0.0.0.0', 'gateway': '10.0.0.1'}, {'network': '10.9.0.0/16',"
		"'gateway': '10.0.0.2', 'metric': 5}], 'services': [{'type': 'dns', 'address':"
		"'10.0.0.53'}]}], 'services': [{'type': 'dns', 'address': '2001:db8::53'},"
		"{'type': 'dns', 'address': '10.0.0.53'}]}");
	assert_sound(n);
	assert_int_equal(n->link_count, 4);
	assert_string_equal(n->links[3].id, "v");
	const struct netdata_link *bond = link_of(n, "bond"), *vlan = link_of(n, "v");
	assert_ptr_equal(&n->links[vlan->below[0]], bond);
	assert_int_equal(vlan->vlan_id, 101);
	assert_int_equal(vlan->mtu, 1400);
	assert_int_equal(vlan->mac.bytes[5], 0x36);
	assert_int_equal(bond->below_count, 2);
	assert_string_equal(n->links[bond->below[1]].id, "b");
	assert_true(link_of(n, "a")->in_bond);
	assert_int_equal(link_of(n, "a")->mac.bytes[5], 0x0a);
	assert_string_equal(bond->options[0].name, "mode");
	assert_string_equal(option(bond, "miimon"), "50");
	assert_string_equal(option(bond, "fail_over_mac"), "active");
	assert_string_equal(option(bond, "primary"), "b");
	const struct netdata_network *w = &n->networks[0];
	assert_ip(&w->address, "10.0.1.5");
	assert_int_equal(w->bits, 20);
	assert_int_equal(w->route_count, 2);
	assert_prefix(&w->routes[0].to, "0.0.0.0/0");
	assert_ip(&w->routes[0].gateway, "10.0.0.1");
	assert_prefix(&w->routes[1].to, "10.9.0.0/16");
	assert_int_equal(w->routes[1].metric, 5);
	assert_int_equal(n->dns_count, 2);
	assert_ip(&n->dns[0], "2001:db8::53");
}

/* Each way to write a length, and each method. */
static void test_addresses(void **state)
{
	(void)state;
	_cleanup_(netdata_freep) struct netdata *n = read_data(
		"{'links': [" A "], 'networks': ["
		"{'link': 'a', 'type': 'ipv4', 'ip_address': '192.0.2.5/25'},"
		"{'link': 'a', 'type': 'ipv4', 'ip_address': '192.0.2.5', 'netmask': 24},"
		"{'link': 'a', 'type': 'ipv4', 'ip_address': '192.0.2.5', 'netmask': '26',"
		"'gateway': '192.0.2.1'},"
		"{'link': 'a', 'type': 'ipv6', 'ip_address': '2001:db8::5', 'netmask':"
		"'ffff:ffff:ffff:ffff::', 'routes': [{'network': '::', 'netmask': '::', 'gateway':"
		"'fe80::1'}]},"
		"{'link': 'a', 'type': 'ipv6', 'ip_address': '2001:db8::5', 'netmask': '64'},"
		"{'link': 'a', 'type': 'ipv4_dhcp'}, {'link': 'a', 'type': 'ipv6_dhcp'},"
		"{'link': 'a', 'type': 'ipv6_slaac'},"
		"{'link': 'a', 'type': 'ipv6_dhcpv6-stateless'},"
		"{'link': 'a', 'type': 'ipv6_dhcpv6-stateful'}]}");
	static const unsigned bits[] = { 25, 24, 26, 64, 64 };
	static const enum netdata_method methods[] = {
		NETDATA_DHCP4, NETDATA_DHCP6, NETDATA_SLAAC, NETDATA_DHCP6_STATELESS, NETDATA_DHCP6,
	};
	assert_sound(n);
	assert_int_equal(n->network_count, ARRAY_SIZE(bits) + ARRAY_SIZE(methods));
	for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
		assert_int_equal(n->networks[i].bits, bits[i]);
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		assert_int_equal(n->networks[ARRAY_SIZE(bits) + i].method, methods[i]);
	assert_ip(&n->networks[2].routes[0].gateway, "192.0.2.1");
	assert_prefix(&n->networks[3].routes[0].to, "::/0");
}

/* What is said of what is wrong, and how many links and networks are left. */
static void test_wrong(void **state)
{
	(void)state;
	static const struct {
		const char *text, *says;
		size_t links, networks;
	} rows[] = {
		{ "{'link': []}", "network data: link is not known, and was passed over", 0, 0 },
		{ "{'links': {}}", "network data: links is {}: expected a list", 0, 0 },
		{ "{'links': [5]}", "links[0]: expected an object", 0, 0 },
		{ "{'links': [" A ", {'type': 'phy'}]}", "links[1]: id is missing", 1, 0 },
		{ "{'links': [{'id': 'x', 'type': 'phy'}]}",
		  "links[0] \"x\": ethernet_mac_address is missing", 0, 0 },
		{ "{'links': [" NIC("x", "52-54-00-00-00-01") "]}",
		  "links[0] \"x\": ethernet_mac_address is \"52-54-00-00-00-01\"", 0, 0 },
		{ "{'links': [" NIC("x", "ff:ff:ff:ff:ff:ff") "]}", "ethernet_mac_address", 0, 0 },
		{ "{'links': [" A "," NIC("a", "52:54:00:00:00:01") "]}",
		  "links[1] \"a\": id is that of links[0]", 1, 0 },
		{ "{'links': [" A "," NIC("x", "52:54:00:00:00:0a") "]}",
		  "links[1] \"x\": ethernet_mac_address is that of links[0]", 1, 0 },
		{ "{'links': [{'id': 'a', 'type': 'infinite', 'ethernet_mac_address':"
		  "'52:54:00:00:00:01'}]}",
		  "type is \"infinite\": expected phy, bond or vlan", 1, 0 },
		{ "{'links': [{'id': 'a', 'ethernet_mac_address': '52:54:00:00:00:01',"
		  "'colour': 1}]}",
		  "links[0] \"a\": colour is not known", 1, 0 },
		{ "{'links': [{'id': 'a', 'ethernet_mac_address': '52:54:00:00:00:01',"
		  "'mtu': 12}]}",
		  "mtu is 12: expected a number from 68 to 65535", 1, 0 },
		{ "{'links': [" A ", {'id': 'v', 'type': 'vlan', 'vlan_link': 'a', 'vlan_id':"
		  "4095}]}",
		  "links[1] \"v\": vlan_id is 4095", 1, 0 },
		{ "{'links': [" A ", {'id': 'v', 'type': 'vlan', 'vlan_id': 5}]}",
		  "vlan_link is missing", 1, 0 },
		{ "{'links': [{'id': 'v', 'type': 'vlan', 'vlan_link': 'w', 'vlan_id': 5},"
		  "{'id': 'w', 'type': 'vlan', 'vlan_link': 'v', 'vlan_id': 6}]}",
		  "links[0] \"v\": vlan_link: there is no usable link \"w\"", 0, 0 },
		{ "{'links': [" A ", {'id': 'o', 'type': 'bond', 'bond_links': ['a', 'z']}]}",
		  "links[1] \"o\": bond_links: there is no usable link \"z\"", 2, 0 },
		{ "{'links': [" A ", {'id': 'o', 'type': 'bond', 'bond_links': ['z']}]}",
		  "bond_links: there is no usable link \"z\"", 1, 0 },
		{ "{'links': [" A ", {'id': 'o', 'type': 'bond', 'bond_links': ['a']}, {'id': 'q',"
		  "'type': 'bond', 'bond_links': ['a']}]}",
		  "links[2] \"q\": bond_links: \"a\" is in a bond already", 2, 0 },
		{ "{'links': [" A ", {'id': 'o', 'type': 'bond', 'bond_links': ['a'], 'bond_mode':"
		  "'4ad'}]}",
		  "bond_mode is \"4ad\": expected balance-rr", 1, 0 },
		{ "{'links': [" A ", {'id': 'o', 'type': 'bond', 'bond_links': ['a'],"
		  "'bond_speed': 5}]}",
		  "bond_speed is no option of a bond", 2, 0 },
		{ "{'links': [" A "], 'networks': [{'id': 'n', 'link': 'b', 'type': 'ipv4_dhcp'}]}",
		  "networks[0] \"n\": there is no usable link \"b\"", 1, 0 },
		{ "{'links': [" A "," B ", {'id': 'o', 'type': 'bond', 'bond_links': ['a', 'b']}],"
		  "'networks': [{'link': 'a', 'type': 'ipv4_dhcp'}]}",
		  "link \"a\" is a port of a bond", 3, 0 },
		{ "{'links': [" A "], 'networks': [{'link': 'a', 'type': 'ipv5'}]}",
		  "networks[0]: type is \"ipv5\"", 1, 0 },
		{ "{'links': [" A "], 'networks': [{'link': 'a', 'type': 'ipv4'}]}",
		  "ip_address is missing", 1, 0 },
		{ "{'links': [" A "], 'networks': [{'link': 'a', 'type': 'ipv4', 'ip_address':"
		  "'10.0.0.1'}]}",
		  "netmask is missing: expected such as \"255.255.255.0\" or 24", 1, 0 },
		{ "{'links': [" A "], 'networks': [{'link': 'a', 'type': 'ipv4', 'ip_address':"
		  "'10.0.0.1', 'netmask': '255.0.255.0'}]}",
		  "netmask is \"255.0.255.0\"", 1, 0 },
		{ "{'links': [" A "], 'networks': [{'link': 'a', 'type': 'ipv4', 'ip_address':"
		  "'10.0.0.1/8', 'netmask': '255.255.0.0'}]}",
		  "netmask is \"255.255.0.0\": expected the length", 1, 0 },
		{ "{'links': [" A "], 'networks': [{'link': 'a', 'type': 'ipv6', 'ip_address':"
		  "'10.0.0.1/8'}]}",
		  "expected an IPv6 address", 1, 0 },
		{ "{'links': [" A "], 'networks': [{'link': 'a', 'type': 'ipv4', 'ip_address':"
		  "'224.0.0.1/8'}]}",
		  "expected the address of a host", 1, 0 },
		{ "{'links': [" A "], 'networks': [{'id': 'n', 'link': 'a', 'type': 'ipv4',"
		  "'ip_address': '10.0.0.1/8', 'routes': [{'network': '0.0.0.0/0', 'gateway':"
		  "'fe80::1'}]}]}",
		  "networks[0] \"n\" routes[0]: gateway is \"fe80::1\"", 1, 1 },
		{ "{'links': [" A "], 'networks': [{'link': 'a', 'type': 'ipv4', 'ip_address':"
		  "'10.0.0.1/8', 'routes': [{'network': '192.0.2.7', 'netmask': '255.255.255.0',"
		  "'gateway': '10.0.0.2'}]}]}",
		  "routes[0]: network has bits behind its netmask: 192.0.2.0/24 is used", 1, 1 },
		{ "{'services': [{'type': 'ntp', 'address': '10.0.0.1'}]}",
		  "services[0]: type is \"ntp\": expected dns", 0, 0 },
		{ "{'services': [{'type': 'dns', 'address': 'one.one'}]}",
		  "services[0]: address is \"one.one\"", 0, 0 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(netdata_freep) struct netdata *n = read_data(rows[i].text);
		if (n->problem_count == 0 || !strstr(n->problems[0], rows[i].says))
			fail_msg("%s: %s", rows[i].text, n->problems[0]);
		if (n->link_count != rows[i].links || n->network_count != rows[i].networks)
			fail_msg("%s: %zu links, %zu networks", rows[i].text, n->link_count,
				 n->network_count);
	}
}

/* A text that tries to write lines of its own into the log. */
static void test_one_line(void **state)
{
	(void)state;
	_cleanup_(netdata_freep) struct netdata *n = read_data(
		"{'links': [{'id': 'x\\nERROR \\u001b', 'type': 'vlan', 'vlan_id': '\\n'}],"
		"'\\u0007': 1}");
	assert_true(n->problem_count > 0);
	for (size_t i = 0; i < n->problem_count; i++)
		for (const char *p = n->problems[i]; *p; p++)
			assert_true(*p >= ' ' && *p < 0x7f);
}

static void test_limits(void **state)
{
	(void)state;
	struct strbuf text = { 0 };
	strbuf_adds(&text, "{'links': [");
	for (unsigned i = 0; i < NETDATA_LINKS_MAX + 9; i++)
		strbuf_addf(&text, "%s{'id': 'n%u', 'ethernet_mac_address': '52:54:00:00:00:%02x'}",
			    i ? ", " : "", i, i);
	strbuf_adds(&text, "], 'networks': [");
	for (unsigned i = 0; i < NETDATA_PROBLEMS_MAX + 9; i++)
		strbuf_addf(&text, "%s{'link': 'none'}", i ? ", " : "");
	strbuf_adds(&text, "]}");
	struct netdata *n = read_data(text.data);
	assert_int_equal(n->link_count, NETDATA_LINKS_MAX);
	assert_int_equal(n->problem_count, NETDATA_PROBLEMS_MAX);
	assert_int_equal(n->problems_left_out, 10);
	netdata_free(n);
	strbuf_done(&text);
}

static void test_refused(void **state)
{
	(void)state;
	struct netdata *n = NULL;
	struct err err = { 0 };
	char *large = xcalloc(1, NETDATA_TEXT_MAX + 1);
	assert_true(netdata_parse("[]", 2, &n, &err) < 0);
	assert_true(netdata_parse("links: []", 9, &n, &err) < 0);
	assert_true(netdata_parse(large, NETDATA_TEXT_MAX + 1, &n, &err) < 0);
	assert_int_equal(err.kind, ERR_LIMIT);
	assert_null(n);
	free(large);
}

static void test_check(void **state)
{
	(void)state;
	static const char harmless[] =
		"{\"links\": [{\"id\": \"a\", \"type\": \"phy\", \"colour\": 1, "
		"\"ethernet_mac_address\": \"52:54:00:00:00:01\"}]}";
	static const char wrong[] = "{\"x\": 1, \"links\": [{\"id\": \"a\", \"type\": \"phy\", "
				    "\"ethernet_mac_address\": \"52:54\"}]}";
	struct err err = { 0 };
	assert_int_equal(netdata_check("{}", 2, &err), 0);
	assert_int_equal(netdata_check(harmless, strlen(harmless), &err), 0);
	assert_true(netdata_check(wrong, strlen(wrong), &err) < 0);
	assert_true(str_has_prefix(err.text, "links[0] \"a\": ethernet_mac_address"));
	assert_true(netdata_check("[]", 2, &err) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bond_and_vlan), cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_wrong),	      cmocka_unit_test(test_one_line),
		cmocka_unit_test(test_limits),	      cmocka_unit_test(test_refused),
		cmocka_unit_test(test_check),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
