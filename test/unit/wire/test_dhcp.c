/* DHCPv4 messages: what firmware sends decodes, damage does not, replies keep to the size asked
 * for. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/dhcp.h"

enum { SNAME_AT = 44, FILE_AT = 108 };

/* A message under construction: a header of zeros, then options by hand. */
struct raw {
	uint8_t bytes[2048];
	size_t len;
};

static void raw_init(struct raw *r)
{
	static const uint8_t magic[] = { 0x63, 0x82, 0x53, 0x63 };
	*r = (struct raw){ .bytes = { DHCP_OP_REQUEST, 1, 6, 0, 0x11, 0x22, 0x33, 0x44 },
			   .len = DHCP_HEADER_SIZE };
	memcpy(r->bytes + DHCP_HEADER_SIZE - sizeof(magic), magic, sizeof(magic));
}

static void raw_add(struct raw *r, uint8_t code, const void *data, size_t len)
{
	r->bytes[r->len++] = code;
	r->bytes[r->len++] = (uint8_t)len;
	memcpy(r->bytes + r->len, data, len);
	r->len += len;
}

static void raw_type(struct raw *r, uint8_t type)
{
	raw_add(r, DHCP_OPT_TYPE, &type, 1);
}

static void raw_end(struct raw *r)
{
	r->bytes[r->len++] = DHCP_OPT_END;
}

/* From the heap, so that ASan sees a read behind the end. */
static int decode(const void *data, size_t len, struct dhcp_message *ret)
{
	uint8_t *copy = malloc(len ? len : 1);
	memcpy(copy, data, len);
	int r = dhcp_decode(copy, len, ret);
	free(copy);
	return r;
}

static void test_discover(void **state)
{
	(void)state;
	struct raw r;
	struct dhcp_message m;
	raw_init(&r);
	raw_type(&r, DHCP_DISCOVER);
	raw_add(&r, DHCP_OPT_MAX_SIZE, "\x05\xc0", 2);
	raw_add(&r, DHCP_OPT_ARCH, "\x00\x10", 2);
	raw_add(&r, DHCP_OPT_VENDOR_CLASS, "HTTPClient:Arch:00016:UNDI:003000", 33);
	raw_add(&r, DHCP_OPT_ADDRESS, "\x0a\x00\x00\x07", 4);
	raw_end(&r);
	memcpy(r.bytes + 28, "\x52\x54\x00\x77\x00\x01", 6);
	assert_int_equal(decode(r.bytes, r.len, &m), 0);
	assert_int_equal(m.xid, 0x11223344);
	assert_int_equal(dhcp_type(&m), DHCP_DISCOVER);
	assert_memory_equal(m.chaddr, "\x52\x54\x00\x77\x00\x01", 6);
	uint16_t arch;
	assert_true(dhcp_get_u16(&m, DHCP_OPT_ARCH, &arch));
	assert_int_equal(arch, 16);
	struct in_addr a;
	assert_true(dhcp_get_address(&m, DHCP_OPT_ADDRESS, &a));
	assert_int_equal(a.s_addr, inet_addr("10.0.0.7"));
	assert_true(dhcp_has_prefix(&m, DHCP_OPT_VENDOR_CLASS, "HTTPClient"));
	assert_false(dhcp_has_prefix(&m, DHCP_OPT_VENDOR_CLASS, "PXEClient"));
	assert_false(dhcp_has_prefix(&m, DHCP_OPT_USER_CLASS, "iPXE"));
	assert_int_equal(dhcp_reply_max(&m), 1472 - 28);
	uint8_t u8;
	assert_false(dhcp_get_u8(&m, DHCP_OPT_ARCH, &u8)); /* wrong length */
}

static void test_reply_max(void **state)
{
	(void)state;
	static const struct {
		const char *value;
		size_t len, max;
	} rows[] = {
		{ NULL, 0, 548 },	 { "\x00\x00", 2, 548 },  { "\x02\x40", 2, 548 },
		{ "\x05\xdc", 2, 1472 }, { "\xff\xff", 2, 1472 }, { "\x01", 1, 548 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct dhcp_message m = { 0 };
		if (rows[i].value)
			dhcp_set(&m, DHCP_OPT_MAX_SIZE, rows[i].value, rows[i].len);
		assert_int_equal(dhcp_reply_max(&m), rows[i].max);
	}
}

static void test_split_and_overload(void **state)
{
	(void)state;
	struct raw r;
	struct dhcp_message m;
	raw_init(&r);
	raw_add(&r, DHCP_OPT_BOOT_FILE, "http://", 7);
	raw_add(&r, DHCP_OPT_OVERLOAD, "\x03", 1);
	raw_type(&r, DHCP_ACK);
	raw_add(&r, DHCP_OPT_BOOT_FILE, "10.0.0.1", 8);
	raw_end(&r);
	/* RFC 3396: the file field follows, then sname. */
	memcpy(r.bytes + SNAME_AT, "\x43\x05.ipxe\xff", 8);
	memcpy(r.bytes + FILE_AT, "\x00\x43\x05/boot\xff", 9);
	assert_int_equal(decode(r.bytes, r.len, &m), 0);
	size_t len;
	const uint8_t *url = dhcp_get(&m, DHCP_OPT_BOOT_FILE, &len);
	assert_int_equal(len, 25);
	assert_memory_equal(url, "http://10.0.0.1/boot.ipxe", 25);
	assert_string_equal(m.file, "");
	assert_string_equal(m.sname, "");
}

static void test_fields_are_text_without_overload(void **state)
{
	(void)state;
	struct raw r;
	struct dhcp_message m;
	raw_init(&r);
	raw_type(&r, DHCP_OFFER);
	raw_end(&r);
	memset(r.bytes + SNAME_AT, 's', DHCP_SNAME_SIZE); /* without a NUL */
	memcpy(r.bytes + FILE_AT, "snponly.efi", 12);
	assert_int_equal(decode(r.bytes, r.len, &m), 0);
	assert_int_equal(strlen(m.sname), DHCP_SNAME_SIZE);
	assert_string_equal(m.file, "snponly.efi");
}

static void test_damage(void **state)
{
	(void)state;
	struct raw r;
	struct dhcp_message m;
	raw_init(&r);
	raw_type(&r, DHCP_DISCOVER);
	raw_add(&r, DHCP_OPT_VENDOR_CLASS, "PXEClient", 9);
	size_t whole = r.len;
	for (size_t len = 0; len < DHCP_HEADER_SIZE + 3; len++) /* without a type it is not DHCP */
		assert_int_equal(decode(r.bytes, len, &m), -EBADMSG);
	assert_int_equal(decode(r.bytes, whole, &m), 0);
	struct raw broken = r;
	broken.bytes[2] = 17; /* hlen */
	assert_int_equal(decode(broken.bytes, whole, &m), -EBADMSG);
	broken = r;
	broken.bytes[0] = 3;
	assert_int_equal(decode(broken.bytes, whole, &m), -EBADMSG);
	broken = r;
	broken.bytes[DHCP_HEADER_SIZE - 1] ^= 1;
	assert_int_equal(decode(broken.bytes, whole, &m), -EBADMSG);
	broken = r;
	broken.bytes[DHCP_HEADER_SIZE + 2] = 9; /* no such type */
	assert_int_equal(decode(broken.bytes, whole, &m), -EBADMSG);
	broken = r;
	broken.bytes[DHCP_HEADER_SIZE] = DHCP_OPT_PARAMETERS; /* plain BOOTP */
	assert_int_equal(decode(broken.bytes, whole, &m), -EBADMSG);
	assert_int_equal(decode(r.bytes, DHCP_SIZE_MAX + 1, &m), -EMSGSIZE);
}

static void raw_giaddr(struct raw *r)
{
	memcpy(r->bytes + 24, "\x0a\x63\x00\x01", 4);
}

/* dhclient and firmware behind relays that cut the packet: what came before the cut counts. */
static void test_cut_option(void **state)
{
	(void)state;
	struct raw r;
	struct dhcp_message m;
	raw_init(&r);
	raw_type(&r, DHCP_DISCOVER);
	raw_add(&r, DHCP_OPT_ARCH, "\0\7", 2);
	size_t good = r.len;
	raw_add(&r, DHCP_OPT_PARAMETERS, "\1\3\6\x0f", 4);
	for (size_t len = good; len < r.len; len++) {
		uint16_t arch = 0;
		assert_int_equal(decode(r.bytes, len, &m), 0);
		assert_true(dhcp_get_u16(&m, DHCP_OPT_ARCH, &arch) && arch == 7);
		assert_false(dhcp_has(&m, DHCP_OPT_PARAMETERS));
	}
	assert_int_equal(decode(r.bytes, good - 5, &m), -EBADMSG); /* within the type */
	/* In an overloaded field, too. */
	raw_init(&r);
	raw_add(&r, DHCP_OPT_OVERLOAD, "\1", 1);
	raw_type(&r, DHCP_DISCOVER);
	raw_end(&r);
	memcpy(r.bytes + FILE_AT, "\x5d\x02\x00\x07\x37\xff", 6);
	assert_int_equal(decode(r.bytes, r.len, &m), 0);
	assert_true(dhcp_has(&m, DHCP_OPT_ARCH));
	assert_false(dhcp_has(&m, DHCP_OPT_PARAMETERS));
}

static void test_relay_options(void **state)
{
	(void)state;
	static const struct {
		const char *value;
		size_t len;
		bool relayed;
		const char *link; /* NULL: none */
	} rows[] = {
		{ "\1\1x\5\4\x0a\x58\0\1", 9, true, "10.88.0.1" },
		{ "\5\4\x0a\x58\0\1\1\1x", 9, true, "10.88.0.1" },
		{ "\5\4\x0a\x58\0\1", 6, false, NULL }, /* a client's own */
		{ "\5\3\x0a\x58\0", 5, true, NULL },
		{ "\5\4\x0a\x58\0", 5, true, NULL },	     /* cut */
		{ "\1\x09\5\4\x0a\x58\0\1", 8, true, NULL }, /* cut before it */
		{ "\1\1x", 3, true, NULL },
		{ "", 0, true, NULL },
		{ "\5", 1, true, NULL },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct raw r;
		struct dhcp_message m;
		struct in_addr a = { 0 };
		raw_init(&r);
		raw_type(&r, DHCP_DISCOVER);
		raw_add(&r, DHCP_OPT_RELAY, rows[i].value, rows[i].len);
		raw_end(&r);
		if (rows[i].relayed)
			raw_giaddr(&r);
		assert_int_equal(decode(r.bytes, r.len, &m), 0);
		assert_int_equal(dhcp_get_relay_address(&m, DHCP_RELAY_LINK, &a),
				 rows[i].link != NULL);
		if (rows[i].link)
			assert_int_equal(a.s_addr, inet_addr(rows[i].link));
		assert_false(dhcp_get_relay_address(&m, DHCP_RELAY_SERVER, &a));
	}
}

static void test_unterminated_overload(void **state)
{
	(void)state;
	struct raw r;
	struct dhcp_message m;
	raw_init(&r);
	raw_type(&r, DHCP_DISCOVER);
	raw_add(&r, DHCP_OPT_OVERLOAD, "\x01", 1);
	raw_end(&r);
	memset(r.bytes + FILE_AT, DHCP_OPT_HOST_NAME, DHCP_FILE_SIZE); /* length runs over */
	assert_int_equal(decode(r.bytes, r.len, &m), 0); /* what came before it counts */
	assert_int_equal(dhcp_type(&m), DHCP_DISCOVER);
}

static struct dhcp_message reply(void)
{
	struct dhcp_message m = { .op = DHCP_OP_REPLY, .htype = 1, .hlen = 6, .xid = 7 };
	dhcp_set(&m, DHCP_OPT_RELAY, "\x01\x04port", 6);
	dhcp_set_u32(&m, DHCP_OPT_LEASE_TIME, 3600);
	dhcp_set_u8(&m, DHCP_OPT_TYPE, DHCP_OFFER);
	dhcp_set_address(&m, DHCP_OPT_SERVER, (struct in_addr){ inet_addr("10.0.0.1") });
	return m;
}

static void test_encode_order_and_padding(void **state)
{
	(void)state;
	struct dhcp_message m = reply();
	uint8_t out[DHCP_SIZE_MAX];
	size_t len;
	assert_int_equal(dhcp_encode(&m, 0, out, &len), 0);
	assert_int_equal(len, DHCP_SIZE_MIN);
	static const uint8_t options[] = { 53, 1,  2,  54, 4, 10, 0,   0,   1,	 51,  4,   0, 0,
					   14, 16, 82, 6,  1, 4,  'p', 'o', 'r', 't', 255, 0 };
	assert_memory_equal(out + DHCP_HEADER_SIZE, options, sizeof(options));
}

static void test_text_has_its_nul(void **state)
{
	(void)state;
	struct dhcp_message m = reply();
	size_t len;
	dhcp_set_text(&m, DHCP_OPT_BOOT_FILE, "x.efi");
	assert_memory_equal(dhcp_get(&m, DHCP_OPT_BOOT_FILE, &len), "x.efi", 6);
	assert_int_equal(len, 6);
}

static void round_trip(const struct dhcp_message *m, size_t max, size_t expect_max)
{
	uint8_t out[DHCP_SIZE_MAX];
	size_t len;
	struct dhcp_message back;
	assert_int_equal(dhcp_encode(m, max, out, &len), 0);
	assert_true(len <= expect_max);
	assert_int_equal(decode(out, len, &back), 0);
	assert_string_equal(back.file, m->file);
	for (unsigned code = 1; code < 255; code++) {
		size_t a_len = 0, b_len = 0;
		const uint8_t *a = dhcp_get(m, (uint8_t)code, &a_len);
		const uint8_t *b = dhcp_get(&back, (uint8_t)code, &b_len);
		if (code == DHCP_OPT_OVERLOAD)
			continue;
		assert_int_equal(!a, !b);
		assert_int_equal(a_len, b_len);
		if (a)
			assert_memory_equal(a, b, a_len);
	}
}

static void test_encode_long_value(void **state)
{
	(void)state;
	struct dhcp_message m = reply();
	char value[700];
	memset(value, 'v', sizeof(value));
	dhcp_set(&m, DHCP_OPT_VENDOR, value, sizeof(value));
	dhcp_set(&m, DHCP_OPT_USER_CLASS, NULL, 0);
	round_trip(&m, 1472, 1472);
}

static void test_encode_overload(void **state)
{
	(void)state;
	struct dhcp_message m = reply();
	char value[255];
	memset(value, 'v', sizeof(value));
	dhcp_set(&m, DHCP_OPT_VENDOR, value, 255);
	dhcp_set(&m, DHCP_OPT_UUID, value, 17);
	dhcp_set(&m, DHCP_OPT_CLIENT_ID, value, 100); /* whole in `file` */
	dhcp_set(&m, DHCP_OPT_HOST_NAME, value, 60);  /* in `sname` */
	round_trip(&m, 0, DHCP_SIZE_DEFAULT);
}

static void test_encode_too_much(void **state)
{
	(void)state;
	struct dhcp_message m = reply();
	uint8_t out[DHCP_SIZE_MAX];
	char value[600];
	size_t len = 77;
	memset(value, 'v', sizeof(value));
	dhcp_set(&m, DHCP_OPT_VENDOR, value, sizeof(value));
	assert_int_equal(dhcp_encode(&m, 0, out, &len), -EMSGSIZE);
	assert_int_equal(len, 77);
	round_trip(&m, 1000, 1000);
	/* A used file field is not overloaded. */
	m = reply();
	dhcp_set(&m, DHCP_OPT_VENDOR, value, 255);
	memcpy(m.file, "undionly.kpxe", 14);
	memcpy(m.sname, "server", 7);
	dhcp_set(&m, DHCP_OPT_CLIENT_ID, value, 100);
	assert_int_equal(dhcp_encode(&m, 0, out, &len), -EMSGSIZE);
}

static void test_echo(void **state)
{
	(void)state;
	struct dhcp_message request = reply(), m = { .op = DHCP_OP_REPLY };
	size_t len;
	dhcp_echo(&m, &request, DHCP_OPT_RELAY);
	dhcp_echo(&m, &request, DHCP_OPT_UUID);
	assert_memory_equal(dhcp_get(&m, DHCP_OPT_RELAY, &len), "\x01\x04port", 6);
	assert_null(dhcp_get(&m, DHCP_OPT_UUID, &len));
	assert_string_equal(dhcp_type_name(DHCP_NAK), "NAK");
	assert_string_equal(dhcp_type_name((enum dhcp_type)0), "?");
	assert_string_equal(dhcp_type_name((enum dhcp_type)99), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_discover),
		cmocka_unit_test(test_reply_max),
		cmocka_unit_test(test_split_and_overload),
		cmocka_unit_test(test_fields_are_text_without_overload),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_cut_option),
		cmocka_unit_test(test_relay_options),
		cmocka_unit_test(test_unterminated_overload),
		cmocka_unit_test(test_encode_order_and_padding),
		cmocka_unit_test(test_text_has_its_nul),
		cmocka_unit_test(test_encode_long_value),
		cmocka_unit_test(test_encode_overload),
		cmocka_unit_test(test_encode_too_much),
		cmocka_unit_test(test_echo),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
