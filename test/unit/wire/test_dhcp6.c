/* DHCPv6 messages: what real clients and servers send is read rightly and written again byte by
 * byte, damage is refused, and nothing that a peer chooses is too long for us. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "unit/wire/dhcp6_packets.h"
#include "wire/dhcp6.h"

/* From the heap, so that ASan sees a read behind the end. */
static int decode(const void *data, size_t len, struct dhcp6_message *ret)
{
	uint8_t *copy = malloc(len ? len : 1);
	memcpy(copy, data, len);
	int r = dhcp6_decode(copy, len, ret);
	free(copy);
	return r;
}

static size_t bytes_of(const char *hex, uint8_t out[DHCP6_SIZE_MAX])
{
	size_t len = strlen(hex) / 2;
	assert_int_equal(hex_decode(hex, out, len), 0);
	return len;
}

static void decode_hex(const char *hex, struct dhcp6_message *ret)
{
	uint8_t bytes[DHCP6_SIZE_MAX];
	size_t len = bytes_of(hex, bytes);
	assert_int_equal(decode(bytes, len, ret), 0);
}

static void assert_ip(const struct in6_addr *ip, const char *want)
{
	char text[INET6_ADDRSTRLEN];
	assert_string_equal(inet_ntop(AF_INET6, ip, text, sizeof(text)), want);
}

static void assert_mac(const uint8_t mac[DHCP6_MAC_SIZE], const char *want)
{
	uint8_t bytes[DHCP6_MAC_SIZE];
	assert_int_equal(hex_decode(want, bytes, sizeof(bytes)), 0);
	assert_memory_equal(mac, bytes, sizeof(bytes));
}

/* --- recorded packets ------------------------------------------------------------------------- */

static const struct {
	const char *hex;
	enum dhcp6_type type;
	const char *vendor_class; /* NULL: none of network boot */
	bool ipxe;
	int arch;	      /* -1: none */
	const char *duid_mac; /* NULL: none in it */
	const char *address;  /* the first of the first IA_NA; NULL: none */
	bool asks_for_url;
} rows[] = {
	{ ovmf_policy_solicit, DHCP6_SOLICIT, NULL, false, -1, NULL, NULL, false },
	{ ovmf_policy_request, DHCP6_REQUEST, NULL, false, -1, NULL, "fd77::78", false },
	{ ovmf_pxe_solicit, DHCP6_SOLICIT, "PXEClient:Arch:00007", false, 7, NULL, NULL, true },
	{ ovmf_pxe_request, DHCP6_REQUEST, "PXEClient", false, 7, NULL, "fd77::57", true },
	{ ovmf_pxe_release, DHCP6_RELEASE, NULL, false, -1, NULL, "fd77::57", false },
	{ ovmf_http_solicit, DHCP6_SOLICIT, "HTTPClient:Arch:00016", false, 16, NULL, NULL, true },
	{ ipxe_solicit, DHCP6_SOLICIT, "PXEClient", true, 7, NULL, NULL, true },
	{ ipxe_request, DHCP6_REQUEST, "PXEClient", true, 7, NULL, "fd77::56", true },
	{ dnsmasq_advertise, DHCP6_ADVERTISE, NULL, false, -1, NULL, "fd77::57", false },
	{ dnsmasq_reply, DHCP6_REPLY, NULL, false, -1, NULL, "fd77::56", false },
	{ dhclient_solicit, DHCP6_SOLICIT, NULL, false, -1, "525400770002", NULL, false },
	{ dhclient_ll_solicit, DHCP6_SOLICIT, NULL, false, -1, "525400770002", NULL, false },
	{ dhclient_information, DHCP6_INFORMATION_REQUEST, NULL, false, -1, "525400770002", NULL,
	  false },
	{ dhcpcd_confirm, DHCP6_CONFIRM, NULL, false, -1, "525400770002", "fd77::90", false },
	{ dhcrelay_request, DHCP6_REQUEST, NULL, false, -1, "525400770003", "fd78::61", false },
	{ dnsmasq_relay_reply, DHCP6_REPLY, NULL, false, -1, "525400770003", "fd78::61", false },
};

static void check_row(size_t i)
{
	struct dhcp6_message m;
	struct dhcp6_ia ia;
	struct dhcp6_address address;
	uint8_t mac[DHCP6_MAC_SIZE];
	size_t len;
	decode_hex(rows[i].hex, &m);
	assert_int_equal(m.type, rows[i].type);
	assert_int_equal(dhcp6_has_vendor_class(&m, "PXEClient") ||
				 dhcp6_has_vendor_class(&m, "HTTPClient"),
			 rows[i].vendor_class != NULL);
	assert_true(!rows[i].vendor_class || dhcp6_has_vendor_class(&m, rows[i].vendor_class));
	assert_int_equal(dhcp6_has_user_class(&m, "iPXE"), rows[i].ipxe);
	assert_false(dhcp6_has_user_class(&m, "iPX"));
	assert_int_equal(dhcp6_asks(&m, DHCP6_OPT_BOOT_FILE_URL), rows[i].asks_for_url);
	const uint8_t *arch = dhcp6_get(&m, DHCP6_OPT_ARCH, &len);
	assert_int_equal(arch ? arch[0] << 8 | arch[1] : -1, rows[i].arch);
	const uint8_t *duid = dhcp6_get(&m, DHCP6_OPT_CLIENT_ID, &len);
	assert_non_null(duid);
	assert_int_equal(dhcp6_duid_mac(duid, len, mac), rows[i].duid_mac != NULL);
	if (rows[i].duid_mac)
		assert_mac(mac, rows[i].duid_mac);
	bool has = dhcp6_get_ia(&m, 0, &ia) && dhcp6_get_address(&ia, 0, &address);
	assert_int_equal(has, rows[i].address != NULL);
	if (has)
		assert_ip(&address.ip, rows[i].address);
}

static void test_recorded(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check_row(i);
}

/* An independent writer's bytes: all that was read is written where it stood. */
static void test_written_as_recorded(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct dhcp6_message m;
		uint8_t bytes[DHCP6_SIZE_MAX], out[DHCP6_SIZE_MAX];
		size_t len = bytes_of(rows[i].hex, bytes), out_len;
		assert_int_equal(decode(bytes, len, &m), 0);
		assert_int_equal(dhcp6_encode(&m, out, &out_len), 0);
		assert_int_equal(out_len, len);
		assert_memory_equal(out, bytes, len);
	}
}

/* dnsmasq's own words to OVMF, made by our functions. */
static void test_reply_as_dnsmasq(void **state)
{
	(void)state;
	struct dhcp6_message request, recorded, m = { .type = DHCP6_ADVERTISE };
	struct dhcp6_ia ia;
	struct dhcp6_address address;
	uint8_t bytes[DHCP6_SIZE_MAX], out[DHCP6_SIZE_MAX];
	size_t len = bytes_of(dnsmasq_advertise, bytes), out_len;
	decode_hex(ovmf_pxe_solicit, &request);
	decode_hex(dnsmasq_advertise, &recorded);
	assert_true(dhcp6_get_ia(&recorded, 0, &ia));
	assert_int_equal(ia.t1, 1800);
	assert_int_equal(ia.t2, 3150);
	assert_true(dhcp6_get_address(&ia, 0, &address));
	assert_int_equal(address.valid, 3600);
	assert_int_equal(dhcp6_get_status(&recorded, NULL), DHCP6_SUCCESS);
	m.xid = request.xid;
	dhcp6_echo(&m, &request, DHCP6_OPT_CLIENT_ID);
	dhcp6_echo(&m, &recorded, DHCP6_OPT_SERVER_ID);
	dhcp6_add_ia(&m, &ia, &address, 1, DHCP6_SUCCESS, "");
	dhcp6_add_status(&m, DHCP6_SUCCESS, "success");
	dhcp6_add_u8(&m, DHCP6_OPT_PREFERENCE, 0);
	dhcp6_add(&m, DHCP6_OPT_BOOT_FILE_URL, "tftp://[fd77::1]/snponly.efi", 28);
	assert_int_equal(dhcp6_encode(&m, out, &out_len), 0);
	assert_int_equal(out_len, len);
	assert_memory_equal(out, bytes, len);
}

/* --- relays ----------------------------------------------------------------------------------- */

static void test_relayed(void **state)
{
	(void)state;
	struct dhcp6_message m;
	struct in6_addr link;
	uint8_t mac[DHCP6_MAC_SIZE];
	decode_hex(dhcrelay_request, &m);
	assert_int_equal(m.relay_count, 1);
	assert_int_equal(m.relays[0].hops, 0);
	assert_ip(&m.relays[0].peer, "fe80::5054:ff:fe77:3");
	assert_true(m.relays[0].has_interface_id);
	assert_int_equal(m.relays[0].interface_id.len, 4);
	assert_false(m.relays[0].has_mac);
	assert_true(dhcp6_get_link(&m, &link));
	assert_ip(&link, "fd78::1");
	assert_true(dhcp6_address_mac(&m.relays[0].peer, mac));
	assert_mac(mac, "525400770003");
	decode_hex(dhclient_solicit, &m);
	assert_false(dhcp6_get_link(&m, &link));
}

static struct dhcp6_relay relay(const char *link, uint8_t hops)
{
	struct dhcp6_relay r = { .hops = hops };
	assert_int_equal(inet_pton(AF_INET6, link, &r.link), 1);
	assert_int_equal(inet_pton(AF_INET6, "fe80::1", &r.peer), 1);
	return r;
}

/* A relay on the client's switch that knows no subnet, behind one that does. */
static void test_nested(void **state)
{
	(void)state;
	struct dhcp6_message m, back, reply = { .type = DHCP6_REPLY };
	uint8_t out[DHCP6_SIZE_MAX];
	struct in6_addr link;
	size_t len;
	decode_hex(dhclient_ll_solicit, &m);
	m.relays[0] = relay("fd79::1", 1);
	m.relays[1] = relay("::", 0);
	m.relay_count = 2;
	m.relays[1].has_interface_id = true;
	m.relays[1].interface_id = (struct dhcp6_option){ DHCP6_OPT_INTERFACE_ID, (uint16_t)m.used,
							  3 };
	memcpy(m.bytes + m.used, "ge1", 3);
	m.used += 3;
	assert_int_equal(dhcp6_encode(&m, out, &len), 0);
	assert_int_equal(out[0], DHCP6_RELAY_FORWARD);
	assert_int_equal(decode(out, len, &back), 0);
	assert_int_equal(back.relay_count, 2);
	assert_int_equal(back.relays[0].hops, 1);
	assert_true(dhcp6_get_link(&back, &link));
	assert_ip(&link, "fd79::1");
	/* The way back, with what each relay wants to see again. */
	dhcp6_copy_relays(&reply, &back);
	dhcp6_echo(&reply, &back, DHCP6_OPT_CLIENT_ID);
	assert_int_equal(dhcp6_encode(&reply, out, &len), 0);
	assert_int_equal(out[0], DHCP6_RELAY_REPLY);
	assert_int_equal(decode(out, len, &back), 0);
	assert_int_equal(back.type, DHCP6_REPLY);
	assert_false(back.relays[0].has_interface_id);
	assert_int_equal(back.relays[1].interface_id.len, 3);
	assert_memory_equal(back.bytes + back.relays[1].interface_id.at, "ge1", 3);
}

/* The inner relay's word counts, where both tell the subnet. */
static void test_innermost_link(void **state)
{
	(void)state;
	struct dhcp6_message m = { .relay_count = 2 };
	struct in6_addr link;
	m.relays[0] = relay("fd79::1", 1);
	m.relays[1] = relay("fd78::1", 0);
	assert_true(dhcp6_get_link(&m, &link));
	assert_ip(&link, "fd78::1");
}

/* RFC 6939: behind the link-layer type, and for Ethernet only. */
static void test_client_mac_of_a_relay(void **state)
{
	(void)state;
	struct dhcp6_message m;
	uint8_t bytes[] = { DHCP6_RELAY_FORWARD,
			    0,
			    [18] = 0xfe,
			    0x80,
			    [34] = 0,
			    79,
			    0,
			    8,
			    0,
			    1,
			    0x52,
			    0x54,
			    0,
			    0x77,
			    0,
			    1,
			    0,
			    9,
			    0,
			    4,
			    DHCP6_SOLICIT,
			    0,
			    0,
			    1 };
	assert_int_equal(decode(bytes, sizeof(bytes), &m), 0);
	assert_true(m.relays[0].has_mac);
	assert_mac(m.relays[0].mac, "525400770001");
	bytes[39] = 32; /* InfiniBand */
	assert_int_equal(decode(bytes, sizeof(bytes), &m), 0);
	assert_false(m.relays[0].has_mac);
}

static size_t relayed_times(unsigned times, uint8_t out[DHCP6_SIZE_MAX])
{
	size_t len = 4;
	uint8_t message[DHCP6_SIZE_MAX] = { DHCP6_SOLICIT, 0, 0, 1 };
	for (unsigned i = 0; i < times; i++) {
		uint8_t outer[DHCP6_SIZE_MAX] = { DHCP6_RELAY_FORWARD, (uint8_t)i };
		outer[35] = DHCP6_OPT_RELAY_MESSAGE;
		outer[36] = (uint8_t)(len >> 8);
		outer[37] = (uint8_t)len;
		memcpy(outer + 38, message, len);
		len += 38;
		memcpy(message, outer, len);
	}
	memcpy(out, message, len);
	return len;
}

static void test_depth(void **state)
{
	(void)state;
	uint8_t bytes[DHCP6_SIZE_MAX];
	struct dhcp6_message m;
	size_t len = relayed_times(DHCP6_RELAYS_MAX, bytes);
	assert_int_equal(decode(bytes, len, &m), 0);
	assert_int_equal(m.relay_count, DHCP6_RELAYS_MAX);
	len = relayed_times(DHCP6_RELAYS_MAX + 1, bytes);
	assert_int_equal(decode(bytes, len, &m), -EBADMSG);
}

static void test_direction(void **state)
{
	(void)state;
	uint8_t bytes[DHCP6_SIZE_MAX];
	struct dhcp6_message m;
	size_t len = relayed_times(1, bytes);
	bytes[0] = DHCP6_RELAY_REPLY; /* with what a client says */
	assert_int_equal(decode(bytes, len, &m), -EBADMSG);
	bytes[38] = DHCP6_REPLY;
	assert_int_equal(decode(bytes, len, &m), 0);
	bytes[0] = DHCP6_RELAY_FORWARD;
	assert_int_equal(decode(bytes, len, &m), -EBADMSG);
	len = relayed_times(2, bytes);
	bytes[38] = DHCP6_RELAY_REPLY;
	assert_int_equal(decode(bytes, len, &m), -EBADMSG);
}

/* --- damage ----------------------------------------------------------------------------------- */

/* Never a part of a message: an option less could be another meaning. */
static void test_cut_anywhere(void **state)
{
	(void)state;
	uint8_t bytes[DHCP6_SIZE_MAX];
	struct dhcp6_message m, whole;
	size_t len = bytes_of(dhcrelay_request, bytes);
	decode_hex(dhcrelay_request, &whole);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(decode(bytes, i, &m), -EBADMSG);
	len = bytes_of(ipxe_solicit, bytes);
	for (size_t i = 0; i < len; i++)
		if (decode(bytes, i, &m) == 0) /* between two options */
			assert_true(m.option_count < 8);
}

static void test_limits(void **state)
{
	(void)state;
	struct dhcp6_message m;
	uint8_t bytes[DHCP6_SIZE_MAX + 1] = { DHCP6_SOLICIT };
	assert_int_equal(decode(bytes, sizeof(bytes), &m), -EMSGSIZE);
	/* Empty options of code 0. */
	assert_int_equal(decode(bytes, 4 + 4 * DHCP6_OPTIONS_MAX, &m), 0);
	assert_int_equal(decode(bytes, 4 + 4 * (DHCP6_OPTIONS_MAX + 1), &m), -E2BIG);
	for (unsigned type = 0; type < 256; type++) {
		bytes[0] = (uint8_t)type;
		bool known = type >= DHCP6_SOLICIT && type <= DHCP6_INFORMATION_REQUEST;
		assert_int_equal(decode(bytes, 4, &m), known ? 0 : -EBADMSG);
	}
}

static void test_malformed_values(void **state)
{
	(void)state;
	struct dhcp6_message m = { .type = DHCP6_SOLICIT };
	struct dhcp6_ia ia;
	struct dhcp6_address address;
	uint8_t mac[DHCP6_MAC_SIZE];
	dhcp6_add(&m, DHCP6_OPT_IA_NA, "\0\0\0\1\0\0\0\0\0\0\0", 11);
	assert_false(dhcp6_get_ia(&m, 0, &ia));
	/* An address of 23 bytes, and one whose option is longer than its IA. */
	dhcp6_add(&m, DHCP6_OPT_IA_NA, "\0\0\0\2\0\0\0\0\0\0\0\0\0\5\0\27aaaaaaaaaaaaaaaaaaaaaaa",
		  39);
	assert_true(dhcp6_get_ia(&m, 1, &ia));
	assert_int_equal(ia.iaid, 2);
	assert_false(dhcp6_get_address(&ia, 0, &address));
	dhcp6_add(&m, DHCP6_OPT_IA_NA, "\0\0\0\3\0\0\0\0\0\0\0\0\0\5\0\30aaaa", 20);
	assert_true(dhcp6_get_ia(&m, 2, &ia));
	assert_false(dhcp6_get_address(&ia, 0, &address));
	dhcp6_add(&m, DHCP6_OPT_USER_CLASS, "\0\5iPXE", 6);
	assert_false(dhcp6_has_user_class(&m, "iPXE"));
	dhcp6_add(&m, DHCP6_OPT_VENDOR_CLASS, "\0\0\1", 3);
	assert_false(dhcp6_has_vendor_class(&m, ""));
	dhcp6_add(&m, DHCP6_OPT_REQUEST, "\0\27\0", 3);
	assert_true(dhcp6_asks(&m, DHCP6_OPT_DNS));
	assert_false(dhcp6_asks(&m, 0));
	/* DUIDs: one byte more or less, another hardware, an enterprise's that looks alike. */
	static const uint8_t ll[] = { 0, 3, 0, 1, 0x52, 0x54, 0, 0x77, 0, 1, 0 };
	assert_false(dhcp6_duid_mac(ll, 11, mac));
	assert_false(dhcp6_duid_mac(ll, 9, mac));
	assert_true(dhcp6_duid_mac(ll, 10, mac));
	assert_false(dhcp6_duid_mac((uint8_t[]){ 0, 3, 0, 6, 1, 2, 3, 4, 5, 6 }, 10, mac));
	assert_false(dhcp6_duid_mac((uint8_t[]){ 0, 2, 0, 1, 1, 2, 3, 4, 5, 6 }, 10, mac));
	assert_false(dhcp6_duid_mac(NULL, 0, mac));
}

static void test_status(void **state)
{
	(void)state;
	struct dhcp6_message m = { .type = DHCP6_REPLY };
	struct dhcp6_ia ia = { .code = DHCP6_OPT_IA_NA, .iaid = 7 }, back;
	assert_int_equal(dhcp6_get_status(&m, NULL), DHCP6_SUCCESS);
	dhcp6_add_ia(&m, &ia, NULL, 0, DHCP6_NO_ADDRESSES, "none");
	dhcp6_add_status(&m, DHCP6_NOT_ON_LINK, "");
	assert_true(dhcp6_get_ia(&m, 0, &back));
	assert_int_equal(back.iaid, 7);
	assert_int_equal(dhcp6_get_status(&m, &back), DHCP6_NO_ADDRESSES);
	assert_int_equal(dhcp6_get_status(&m, NULL), DHCP6_NOT_ON_LINK);
	struct dhcp6_message cut = { .type = DHCP6_REPLY };
	dhcp6_add(&cut, DHCP6_OPT_STATUS, "", 1);
	assert_int_equal(dhcp6_get_status(&cut, NULL), DHCP6_UNSPECIFIED_FAILURE);
}

static void test_addresses_without_a_mac(void **state)
{
	(void)state;
	static const char *const without[] = { "fe80::1234:5678:9abc:def0", "fd77::5054:ff:fe77:1",
					       "::" };
	for (size_t i = 0; i < ARRAY_SIZE(without); i++) {
		struct in6_addr a;
		uint8_t mac[DHCP6_MAC_SIZE];
		assert_int_equal(inet_pton(AF_INET6, without[i], &a), 1);
		assert_false(dhcp6_address_mac(&a, mac));
	}
}

static void test_domain(void **state)
{
	(void)state;
	struct dhcp6_message m = { .type = DHCP6_REPLY };
	size_t len;
	char label[70];
	memset(label, 'a', 64);
	label[64] = '\0';
	assert_int_equal(dhcp6_add_domain(&m, label), -EINVAL);
	assert_int_equal(dhcp6_add_domain(&m, ""), -EINVAL);
	assert_int_equal(dhcp6_add_domain(&m, "a..b"), -EINVAL);
	assert_int_equal(dhcp6_add_domain(&m, "lab.example."), 0);
	const uint8_t *value = dhcp6_get(&m, DHCP6_OPT_DOMAINS, &len);
	assert_int_equal(len, 13);
	assert_memory_equal(value, "\3lab\7example", 13);
}

/* A client identifier that fills its message, and an answer to it that would be longer. */
static void test_no_room(void **state)
{
	(void)state;
	uint8_t long_id[DHCP6_SIZE_MAX - 8] = { 0 }, out[DHCP6_SIZE_MAX];
	struct dhcp6_message request = { .type = DHCP6_SOLICIT }, m = { .type = DHCP6_REPLY };
	size_t len;
	dhcp6_add(&request, DHCP6_OPT_CLIENT_ID, long_id, sizeof(long_id));
	assert_int_equal(dhcp6_encode(&request, out, &len), 0);
	assert_int_equal(len, sizeof(out));
	dhcp6_echo(&m, &request, DHCP6_OPT_CLIENT_ID);
	dhcp6_add(&m, DHCP6_OPT_SERVER_ID, long_id, 18);
	assert_int_equal(dhcp6_encode(&m, out, &len), -EMSGSIZE);
	struct dhcp6_message many = { .type = DHCP6_REPLY };
	for (unsigned i = 0; i <= DHCP6_OPTIONS_MAX; i++)
		dhcp6_add_u16(&many, DHCP6_OPT_ELAPSED, 0);
	assert_int_equal(dhcp6_encode(&many, out, &len), -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recorded),
		cmocka_unit_test(test_written_as_recorded),
		cmocka_unit_test(test_reply_as_dnsmasq),
		cmocka_unit_test(test_relayed),
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_innermost_link),
		cmocka_unit_test(test_client_mac_of_a_relay),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_direction),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_malformed_values),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_addresses_without_a_mac),
		cmocka_unit_test(test_domain),
		cmocka_unit_test(test_no_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
