/* What each boot client is told, without a network: the table of architectures and the replies. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "boot/dhcp_reply.h"
#include "boot/slots.h"
#include "unit/boot/rows.h"

static const uint8_t mac_bytes[6] = { 0x52, 0x54, 0x00, 0x77, 0x00, 0x01 };

/* Any file that exists will do. */
static const struct boot_file files[] = {
	{ "undionly.kpxe", "/proc/self/exe" },
	{ "snponly.efi", "/proc/self/exe" },
	{ "snponly-arm64.efi", "/nonexistent" },
	{ "shimx64.efi", "/proc/self/exe" },
	{ NULL, NULL },
};

static struct in_addr ip(const char *text)
{
	return (struct in_addr){ inet_addr(text) };
}

static struct net_addr addr(const char *text)
{
	struct net_addr a;
	if (net_parse_ip(text, &a) < 0)
		abort();
	return a;
}

static bool fits(const struct boot_config *c, const struct boot_pool *pool, const char *address)
{
	struct net_addr a = addr(address);
	return boot_slots_fits(c, pool, &a);
}

static int check_address(const struct boot_config *c, const char *address, struct err *err)
{
	struct net_addr a = addr(address);
	return boot_address_check(c, &a, err);
}

static struct boot_config config(void)
{
	return (struct boot_config){
		.device = "eth1",
		.address = addr("10.77.0.1"),
		.dhcp = BOOT_DHCP_SERVER,
		.tftp = true,
		.pools = { { .start = addr("10.77.0.50"), .end = addr("10.77.0.99"), .bits = 24 },
			   { addr("10.88.0.50"), addr("10.88.0.60"), 24, addr("10.88.0.55") } },
		.pool_count = 2,
		.http_url = "http://10.77.0.1:8080",
		.files = files,
	};
}

static struct net_mac mac(void)
{
	struct net_mac m;
	memcpy(m.bytes, mac_bytes, sizeof(m.bytes));
	return m;
}

static void test_every_client(void **state)
{
	(void)state;
	struct boot_config c = config();
	struct net_mac m = mac();
	for (size_t i = 0; i < ARRAY_SIZE(client_rows); i++) {
		const struct client_row *row = &client_rows[i];
		struct dhcp_message request = row_message(row, DHCP_DISCOVER, mac_bytes), reply;
		struct boot_host host = { .name = "h", .target = BOOT_TARGET_RAMDISK };
		struct boot_loader l;
		boot_loader_choose(&c, &host, &request, &m, &l);
		assert_string_equal(l.file, str_or(row->file, ""));
		/* A firmware that gets nothing has a reason, an operating system does not. */
		assert_int_equal(l.lack != NULL, !row->file && row->vendor_class);
		dhcp_reply_init(&c, &request, DHCP_OFFER, &reply);
		dhcp_reply_boot(&c, &l, false, &reply);
		assert_int_equal(dhcp_has(&reply, DHCP_OPT_VENDOR_CLASS), row->class != NULL);
		if (row->class)
			assert_true(dhcp_has_prefix(&reply, DHCP_OPT_VENDOR_CLASS, row->class));
		assert_int_equal(dhcp_has(&reply, DHCP_OPT_UUID), row->vendor_class != NULL);
		assert_int_equal(dhcp_has(&reply, DHCP_OPT_TFTP_SERVER),
				 l.kind == BOOT_LOADER_TFTP);
		assert_string_equal(reply.file, str_or(row->file, ""));
		uint8_t wire[DHCP_SIZE_MAX];
		size_t len;
		assert_int_equal(dhcp_encode(&reply, dhcp_reply_max(&request), wire, &len), 0);
	}
}

static void test_without_target(void **state)
{
	static const uint8_t menu[] = { 6,   1,	  3,  9, 7, 0,	 0,   4,   'd', 'i',
					's', 'k', 10, 5, 0, 'd', 'i', 's', 'k', 255 };
	(void)state;
	struct boot_config c = config();
	struct net_mac m = mac();
	for (size_t i = 0; i < ARRAY_SIZE(client_rows); i++) {
		const struct client_row *row = &client_rows[i];
		struct dhcp_message request = row_message(row, DHCP_DISCOVER, mac_bytes), reply;
		struct boot_host host = { .name = "h", .target = BOOT_TARGET_NONE };
		struct boot_loader l;
		boot_loader_choose(&c, &host, &request, &m, &l);
		assert_string_equal(l.file, disk_file(row));
		assert_int_equal(l.kind == BOOT_LOADER_LOCAL, l.client == BOOT_LOADER_CLIENT_PXE);
		assert_null(l.lack);
		dhcp_reply_init(&c, &request, DHCP_OFFER, &reply);
		dhcp_reply_boot(&c, &l, i % 2, &reply);
		size_t len;
		const uint8_t *vendor = dhcp_get(&reply, DHCP_OPT_VENDOR, &len);
		if (l.kind != BOOT_LOADER_LOCAL)
			continue;
		/* A menu whose only entry, taken without waiting, is the local disk. */
		assert_int_equal(len, sizeof(menu));
		assert_memory_equal(vendor, menu, len);
		assert_true(dhcp_has_prefix(&reply, DHCP_OPT_VENDOR_CLASS, "PXEClient"));
		assert_string_equal(reply.file, "");
	}
}

/* Only iPXE, and only by a DHCP server, is told not to wait for a proxy. */
static void test_no_wait_for_a_proxy(void **state)
{
	(void)state;
	struct boot_config c = config();
	struct net_mac m = mac();
	for (size_t i = 0; i < 2 * ARRAY_SIZE(client_rows); i++) {
		const struct client_row *row = &client_rows[i / 2];
		bool proxy = i % 2;
		struct dhcp_message request = row_message(row, DHCP_DISCOVER, mac_bytes), reply;
		struct boot_host host = { .name = "h", .target = BOOT_TARGET_RAMDISK };
		struct boot_loader l;
		boot_loader_choose(&c, &host, &request, &m, &l);
		dhcp_reply_init(&c, &request, DHCP_OFFER, &reply);
		dhcp_reply_boot(&c, &l, proxy, &reply);
		assert_int_equal(dhcp_has_prefix(&reply, DHCP_OPT_IPXE, "\xb0\1\1"),
				 row->user_class != NULL && !proxy);
	}
}

static void check_lack(const struct boot_config *c, const struct boot_host *host, size_t row,
		       const char *expect)
{
	struct net_mac m = mac();
	struct dhcp_message request = row_message(&client_rows[row], DHCP_DISCOVER, mac_bytes);
	struct boot_loader l;
	boot_loader_choose(c, host, &request, &m, &l);
	assert_int_equal(l.kind, BOOT_LOADER_NONE);
	assert_non_null(l.lack);
	assert_non_null(strstr(l.lack, expect));
}

static void test_lack(void **state)
{
	(void)state;
	struct boot_config c = config();
	struct boot_host host = { .name = "h", .target = BOOT_TARGET_RAMDISK };
	c.tftp = false;
	check_lack(&c, &host, 5, "TFTP is switched off");
	check_lack(&c, &host, 8, "not installed");
	check_lack(&c, &host, 10, "architecture");
	host.secure_boot = true;
	check_lack(&c, &host, 7, "Secure Boot");
	char url[300] = "http://";
	memset(url + 7, 'x', sizeof(url) - 8);
	c.http_url = url;
	check_lack(&c, &host, 0, "too long");
}

static void test_secure_boot_gets_shim(void **state)
{
	(void)state;
	struct boot_config c = config();
	struct net_mac m = mac();
	struct boot_host host = { .target = BOOT_TARGET_RAMDISK, .secure_boot = true };
	struct dhcp_message request = row_message(&client_rows[5], DHCP_DISCOVER, mac_bytes);
	struct boot_loader l;
	boot_loader_choose(&c, &host, &request, &m, &l);
	assert_string_equal(l.file, "shimx64.efi");
}

static void test_proxy_offer(void **state)
{
	(void)state;
	struct boot_config c = config();
	struct net_mac m = mac();
	for (size_t i = 0; i < ARRAY_SIZE(client_rows); i++) {
		const struct client_row *row = &client_rows[i];
		struct dhcp_message request = row_message(row, DHCP_DISCOVER, mac_bytes), reply;
		struct boot_host host = { .target = BOOT_TARGET_RAMDISK };
		struct boot_loader l;
		boot_loader_choose(&c, &host, &request, &m, &l);
		dhcp_reply_init(&c, &request, DHCP_OFFER, &reply);
		dhcp_reply_boot(&c, &l, true, &reply);
		assert_int_equal(dhcp_has(&reply, DHCP_OPT_VENDOR_CLASS), row->proxy_class != NULL);
		if (row->proxy_class)
			assert_true(
				dhcp_has_prefix(&reply, DHCP_OPT_VENDOR_CLASS, row->proxy_class));
		assert_int_equal(reply.yiaddr.s_addr, 0);
		assert_false(dhcp_has(&reply, DHCP_OPT_LEASE_TIME));
	}
}

static void test_lease(void **state)
{
	(void)state;
	struct boot_config c = config();
	struct dhcp_message m = { 0 };
	struct in_addr a;
	uint32_t u;
	struct net_addr lease = addr("10.77.0.51"), other = addr("10.88.0.51");
	dhcp_reply_lease(&c, &c.pools[0], &lease, &m);
	assert_int_equal(m.yiaddr.s_addr, ip("10.77.0.51").s_addr);
	assert_true(dhcp_get_address(&m, DHCP_OPT_BROADCAST, &a));
	assert_int_equal(a.s_addr, ip("10.77.0.255").s_addr);
	assert_true(dhcp_get_u32(&m, DHCP_OPT_LEASE_TIME, &u));
	assert_int_equal(u, BOOT_LEASE_DEFAULT_S);
	assert_true(dhcp_get_u32(&m, DHCP_OPT_RENEW_TIME, &u));
	assert_int_equal(u, 1800);
	assert_true(dhcp_get_u32(&m, DHCP_OPT_REBIND_TIME, &u));
	assert_int_equal(u, 3150);
	/* Blank unless configured. */
	assert_false(dhcp_has(&m, DHCP_OPT_ROUTER) || dhcp_has(&m, DHCP_OPT_DNS) ||
		     dhcp_has(&m, DHCP_OPT_DOMAIN));
	c.dns[0] = addr("10.88.0.54");
	c.dns[1] = addr("10.88.0.53");
	c.dns_count = 2;
	c.domain = "lab.example";
	c.lease_seconds = 600;
	m = (struct dhcp_message){ 0 };
	dhcp_reply_lease(&c, &c.pools[1], &other, &m);
	assert_true(dhcp_get_address(&m, DHCP_OPT_ROUTER, &a));
	assert_int_equal(a.s_addr, ip("10.88.0.55").s_addr);
	size_t len;
	const uint8_t *value = dhcp_get(&m, DHCP_OPT_DNS, &len);
	assert_int_equal(len, 8);
	assert_memory_equal(value, "\x0a\x58\x00\x36\x0a\x58\x00\x35", 8);
	value = dhcp_get(&m, DHCP_OPT_DOMAIN, &len);
	assert_int_equal(len, strlen(c.domain));
	assert_memory_equal(value, c.domain, len);
	assert_true(dhcp_get_u32(&m, DHCP_OPT_LEASE_TIME, &u));
	assert_int_equal(u, 600);
}

static bool goes_to(const struct dhcp_message *request, enum dhcp_type type, const char *want)
{
	char text[NET_TEXT_MAX];
	struct net_addr to = dhcp_reply_target(request, type);
	return streq(net_format(&to, text), want);
}

static void test_target(void **state)
{
	(void)state;
	struct dhcp_message request = { 0 };
	assert_true(goes_to(&request, DHCP_OFFER, "255.255.255.255:68"));
	request.ciaddr = ip("10.77.0.51");
	assert_true(goes_to(&request, DHCP_ACK, "10.77.0.51:68"));
	assert_true(goes_to(&request, DHCP_NAK, "255.255.255.255:68"));
	request.giaddr = ip("10.88.0.1");
	assert_true(goes_to(&request, DHCP_NAK, "10.88.0.1:67"));
}

static void test_refusal(void **state)
{
	(void)state;
	struct boot_config c = config();
	struct dhcp_message request = row_message(&client_rows[0], DHCP_REQUEST, mac_bytes), m;
	request.giaddr = ip("10.88.0.1");
	dhcp_set(&request, DHCP_OPT_RELAY, "\1\1p", 3);
	dhcp_reply_init(&c, &request, DHCP_NAK, &m);
	dhcp_reply_refuse("no", &m);
	assert_int_equal(m.flags, DHCP_FLAG_BROADCAST);
	assert_true(dhcp_has(&m, DHCP_OPT_RELAY) && dhcp_has(&m, DHCP_OPT_MESSAGE) &&
		    dhcp_has(&m, DHCP_OPT_CLIENT_ID));
	assert_false(dhcp_has(&m, DHCP_OPT_UUID));
}

static void test_pools(void **state)
{
	(void)state;
	struct boot_config c = config();
	struct dhcp_message request = { 0 };
	assert_ptr_equal(dhcp_reply_pool(&c, &request), &c.pools[0]);
	request.giaddr = ip("10.88.0.1");
	assert_ptr_equal(dhcp_reply_pool(&c, &request), &c.pools[1]);
	request.giaddr = ip("10.99.0.1");
	assert_null(dhcp_reply_pool(&c, &request));
	/* EVPN: the relay's address is a loopback, and what selects the subnet stands beside. */
	dhcp_set_address(&request, DHCP_OPT_SUBNET, ip("10.77.0.0"));
	assert_ptr_equal(dhcp_reply_pool(&c, &request), &c.pools[0]);
	dhcp_set(&request, DHCP_OPT_RELAY, "\1\1x\5\4\x0a\x58\0\1", 9);
	assert_ptr_equal(dhcp_reply_pool(&c, &request),
			 &c.pools[1]); /* RFC 3527: "in preference" */
	request.giaddr.s_addr = 0;     /* a client says so, and no relay */
	assert_ptr_equal(dhcp_reply_pool(&c, &request), &c.pools[0]);
	request.giaddr = ip("10.88.0.1");
	memcpy(request.options.bytes + request.options.slots[DHCP_OPT_RELAY].at,
	       "\1\1x\5\4\x0a\x63\0\1", 9);
	assert_null(dhcp_reply_pool(&c, &request)); /* not the relay's own subnet instead */
	c.dns[0] = addr("10.88.0.54");
	c.dns_count = 1;
	assert_true(fits(&c, &c.pools[1], "10.88.0.50"));
	assert_true(fits(&c, &c.pools[1], "10.88.0.60"));
	static const char *const unfit[] = { "10.88.0.49", "10.88.0.61", "10.88.0.54",
					     "10.88.0.55", "10.77.0.50", "0.0.0.0" };
	for (size_t i = 0; i < ARRAY_SIZE(unfit); i++)
		assert_false(fits(&c, &c.pools[1], unfit[i]));
	/* Neither the subnet's own address nor its broadcast, whatever the range says. */
	struct boot_pool wide = { .start = addr("10.77.0.0"),
				  .end = addr("10.77.0.255"),
				  .bits = 24 };
	assert_false(fits(&c, &wide, "10.77.0.0"));
	assert_false(fits(&c, &wide, "10.77.0.255"));
	assert_false(fits(&c, &wide, "10.77.0.1"));
	assert_true(fits(&c, &wide, "10.77.0.2"));
	struct boot_pool pair = { .start = addr("10.66.0.0"),
				  .end = addr("10.66.0.1"),
				  .bits = 31 };
	assert_true(fits(&c, &pair, "10.66.0.0"));
	/* What a person may choose lies in the subnet; the range is for the others. */
	struct err err;
	assert_int_equal(check_address(&c, "10.88.0.200", &err), 0);
	assert_int_equal(check_address(&c, "10.77.0.50", &err), 0);
	static const char *const bad[] = { "10.88.0.0",	 "10.88.0.255", "10.88.0.55",
					   "10.88.0.54", "10.77.0.1",	"10.99.0.7" };
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_true(check_address(&c, bad[i], &err) < 0);
	assert_non_null(strstr(err.text, "no DHCP range"));
}

/* RFC 5107: the client takes the relay for its server, and the relay passes on what it is told. */
static void test_server_identifier_of_a_relay(void **state)
{
	(void)state;
	struct boot_config c = config();
	struct dhcp_message request = { .giaddr = ip("10.99.0.1") }, reply;
	struct in_addr id;
	dhcp_set(&request, DHCP_OPT_RELAY, "\5\4\x0a\x58\0\1\x0b\4\x0a\x58\0\1", 12);
	dhcp_set_address(&request, DHCP_OPT_SUBNET, ip("10.88.0.0"));
	dhcp_reply_init(&c, &request, DHCP_OFFER, &reply);
	assert_true(dhcp_get_address(&reply, DHCP_OPT_SERVER, &id));
	assert_int_equal(id.s_addr, inet_addr("10.88.0.1"));
	assert_true(dhcp_has(&reply, DHCP_OPT_RELAY) && dhcp_has(&reply, DHCP_OPT_SUBNET));
	assert_true(dhcp_reply_is_server(&c, &request, ip("10.88.0.1")));
	assert_true(dhcp_reply_is_server(&c, &request, ip("10.77.0.1")));
	assert_false(dhcp_reply_is_server(&c, &request, ip("10.88.0.2")));
	request.giaddr.s_addr = 0; /* a client's own option 82 */
	assert_false(dhcp_reply_is_server(&c, &request, ip("10.88.0.1")));
	dhcp_reply_init(&c, &request, DHCP_OFFER, &reply);
	assert_true(dhcp_get_address(&reply, DHCP_OPT_SERVER, &id));
	assert_int_equal(id.s_addr, inet_addr("10.77.0.1"));
	assert_false(dhcp_has(&reply, DHCP_OPT_SUBNET));
}

/* RFC 4578: "one or more" types. */
static void test_list_of_architectures(void **state)
{
	(void)state;
	static const struct {
		const char *list;
		size_t len;
		const char *file;
	} rows[] = {
		{ "\0\7\0\x09", 4, "snponly.efi" }, { "\0\x1b\0\7", 4, "snponly.efi" },
		{ "\0\x0b\0\7", 4, "snponly.efi" }, /* arm64's loader is not installed */
		{ "\0\0\0\7", 4, "undionly.kpxe" }, { "\0\7\0", 3, "snponly.efi" },
		{ "\0\x1b\0\x1c", 4, "" },	    { "\0\x0b\0\x0b", 4, "" },
		{ "", 0, "undionly.kpxe" },
	};
	struct boot_config c = config();
	struct boot_host host = { .name = "h", .target = BOOT_TARGET_RAMDISK };
	struct net_mac m = mac();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct dhcp_message request = row_message(&client_rows[4], DHCP_DISCOVER,
							  mac_bytes);
		struct boot_loader l;
		dhcp_set(&request, DHCP_OPT_ARCH, rows[i].list, rows[i].len);
		boot_loader_choose(&c, &host, &request, &m, &l);
		assert_string_equal(l.file, rows[i].file);
		assert_int_equal(l.lack != NULL, !*rows[i].file);
	}
}

static void check_config(struct boot_config c, const char *expect)
{
	struct err err = { 0 };
	if (!expect) {
		assert_int_equal(boot_config_check(&c, &err), 0);
		return;
	}
	assert_true(boot_config_check(&c, &err) < 0);
	assert_non_null(strstr(err.text, expect));
}

#define WITH(member, value, expect)                                                                \
	do {                                                                                       \
		struct boot_config _c = config();                                                  \
		_c.member = (value);                                                               \
		check_config(_c, expect);                                                          \
	} while (0)

static void test_config(void **state)
{
	(void)state;
	static const struct boot_ramdisk bad[] = { { "a/b", "k", "i" }, { NULL, NULL, NULL } };
	static const struct boot_ramdisk good[] = { { "virt", "k", "i" }, { NULL, NULL, NULL } };
	check_config(config(), NULL);
	WITH(device, "", "device");
	WITH(address, (struct net_addr){ 0 }, "address");
	WITH(http_url, NULL, "boot URL");
	WITH(http_url, "http://x/", "boot URL");
	WITH(http_url, "http://x y", "boot URL");
	WITH(http_url, "ftp://x", "boot URL");
	WITH(file_url, "http://x\n", "boot URL");
	WITH(address6, addr("fd77::1"), "boot URL"); /* without one of its own */
	WITH(pools[1],
	     ((struct boot_pool){ .start = addr("fd77::50"), .end = addr("fd77::59"), .bits = 64 }),
	     "no address of ours, of IPv6");
	WITH(pool_count, 0, "range");
	WITH(pool_count, BOOT_POOLS_MAX + 1, "ranges");
	WITH(pools[0].bits, 33, "prefix length");
	WITH(pools[0].bits, 0, "prefix length");
	WITH(pools[0].end, addr("10.77.0.49"), "range 1");
	WITH(pools[0].end, addr("2001:db8::1"), "range 1");
	WITH(pools[1].end, addr("10.88.1.49"), "range 2");
	WITH(pools[1].gateway, addr("10.77.0.1"), "gateway");
	WITH(ramdisks, bad, "a/b");
	WITH(ramdisks, good, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_client),
		cmocka_unit_test(test_without_target),
		cmocka_unit_test(test_no_wait_for_a_proxy),
		cmocka_unit_test(test_lack),
		cmocka_unit_test(test_secure_boot_gets_shim),
		cmocka_unit_test(test_proxy_offer),
		cmocka_unit_test(test_lease),
		cmocka_unit_test(test_target),
		cmocka_unit_test(test_refusal),
		cmocka_unit_test(test_pools),
		cmocka_unit_test(test_server_identifier_of_a_relay),
		cmocka_unit_test(test_list_of_architectures),
		cmocka_unit_test(test_config),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
