/* TFTP packets: requests with options, both directions of all packets, damage. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/tftp.h"

/* From the heap, so that ASan sees a read behind the end. */
static int decode_request(const void *data, size_t len, struct tftp_request *ret)
{
	uint8_t *copy = malloc(len ? len : 1);
	memcpy(copy, data, len);
	int r = tftp_decode_request(copy, len, ret);
	free(copy);
	return r;
}

#define REQUEST(text, r) decode_request(text, sizeof(text) - 1, r)

static void test_request(void **state)
{
	(void)state;
	struct tftp_request r;
	assert_int_equal(REQUEST("\0\1undionly.kpxe\0octet\0", &r), 0);
	assert_int_equal(r.op, TFTP_READ);
	assert_string_equal(r.name, "undionly.kpxe");
	assert_int_equal(r.mode, TFTP_OCTET);
	assert_false(r.options.has_blksize);
	/* As OVMF asks: size first. */
	assert_int_equal(REQUEST("\0\1snponly.efi\0OCTET\0tsize\0"
				 "0\0blksize\0"
				 "1468\0windowsize\0"
				 "4\0",
				 &r),
			 0);
	assert_int_equal(r.mode, TFTP_OCTET);
	assert_true(r.options.has_tsize && r.options.has_blksize && r.options.has_windowsize);
	assert_int_equal(r.options.blksize, 1468);
	assert_int_equal(r.options.windowsize, 4);
	assert_int_equal(r.options.tsize, 0);
	assert_false(r.options.has_timeout);
	assert_int_equal(REQUEST("\0\2x\0netascii\0", &r), 0);
	assert_int_equal(r.op, TFTP_WRITE);
	assert_int_equal(r.mode, TFTP_NETASCII);
	assert_int_equal(REQUEST("\0\1x\0fax\0", &r), 0);
	assert_int_equal(r.mode, TFTP_MODE_UNKNOWN);
}

static void test_options_out_of_range(void **state)
{
	(void)state;
	static const char *const values[] = {
		"blksize\0"
		"7\0",
		"blksize\0"
		"65465\0",
		"blksize\0-1\0",
		"blksize\0\0",
		"timeout\0"
		"0\0",
		"timeout\0"
		"256\0",
		"windowsize\0"
		"0\0",
		"windowsize\0"
		"70000\0",
		"tsize\0"
		"99999999999999999\0",
		"multicast\0\0",
		"rollover\0"
		"0\0",
	};
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		char packet[64] = "\0\1x\0octet";
		struct tftp_request r;
		size_t name = strlen(values[i]) + 1, len = name + strlen(values[i] + name) + 1;
		memcpy(packet + 10, values[i], len);
		assert_int_equal(decode_request(packet, 10 + len, &r), 0);
		assert_false(r.options.has_blksize || r.options.has_timeout ||
			     r.options.has_windowsize || r.options.has_tsize);
	}
}

static void test_first_of_two_counts(void **state)
{
	(void)state;
	struct tftp_request r;
	assert_int_equal(REQUEST("\0\1x\0octet\0BLKSIZE\0"
				 "1024\0blksize\0"
				 "512\0",
				 &r),
			 0);
	assert_int_equal(r.options.blksize, 1024);
}

static void test_padding_behind_a_request(void **state)
{
	(void)state;
	struct tftp_request r;
	assert_int_equal(REQUEST("\0\1x\0octet\0\0\0\0\0", &r), 0);
	assert_int_equal(REQUEST("\0\1x\0octet\0tsize\0"
				 "0\0\0\0",
				 &r),
			 0);
	assert_true(r.options.has_tsize);
}

static void test_request_damage(void **state)
{
	(void)state;
	static const char whole[] = "\0\1name\0octet\0blksize\0"
				    "1024";
	struct tftp_request r;
	for (size_t len = 0; len < sizeof(whole); len++)
		if (len != 13) /* a request without options */
			assert_int_equal(decode_request(whole, len, &r), -EBADMSG);
	assert_int_equal(decode_request(whole, sizeof(whole), &r), 0);
	assert_int_equal(REQUEST("\0\1\0octet\0", &r), -EBADMSG);
	assert_int_equal(REQUEST("\0\3x\0octet\0", &r), -EBADMSG);
	char large[TFTP_REQUEST_MAX + 1] = "\0\1x\0octet";
	assert_int_equal(decode_request(large, sizeof(large), &r), -EMSGSIZE);
	char name[TFTP_NAME_MAX + 20] = "\0\1";
	memset(name + 2, 'n', TFTP_NAME_MAX);
	memcpy(name + 2 + TFTP_NAME_MAX, "\0octet", 7);
	assert_int_equal(decode_request(name, sizeof(name), &r), -EBADMSG);
}

static void check_options(const struct tftp_options *a, const struct tftp_options *b)
{
	assert_true(a->has_blksize && a->has_tsize && a->has_timeout && a->has_windowsize);
	assert_int_equal(a->blksize, b->blksize);
	assert_int_equal(a->tsize, b->tsize);
	assert_int_equal(a->timeout_s, b->timeout_s);
	assert_int_equal(a->windowsize, b->windowsize);
}

static void test_round_trips(void **state)
{
	(void)state;
	uint8_t out[600];
	struct tftp_packet p;
	size_t len = tftp_encode_data(0xfffe, "hello", 5, out, sizeof(out));
	assert_int_equal(tftp_decode(out, len, &p), 0);
	assert_int_equal(p.op, TFTP_DATA);
	assert_int_equal(p.block, 0xfffe);
	assert_int_equal(p.len, 5);
	assert_memory_equal(p.data, "hello", 5);
	len = tftp_encode_ack(3, out, sizeof(out));
	assert_memory_equal(out, "\0\4\0\3", 4);
	assert_int_equal(tftp_decode(out, len, &p), 0);
	assert_int_equal(p.block, 3);
	struct tftp_options o = { .has_blksize = true,
				  .blksize = 1468,
				  .has_tsize = true,
				  .tsize = 174592,
				  .has_windowsize = true,
				  .windowsize = 16,
				  .has_timeout = true,
				  .timeout_s = 2 };
	len = tftp_encode_oack(&o, out, sizeof(out));
	assert_int_equal(tftp_decode(out, len, &p), 0);
	check_options(&p.options, &o);
	len = tftp_encode_error(TFTP_ERROR_NOT_FOUND, "no such file", out, sizeof(out));
	assert_int_equal(tftp_decode(out, len, &p), 0);
	assert_int_equal(p.error, TFTP_ERROR_NOT_FOUND);
	assert_string_equal(p.text, "no such file");
	struct tftp_request r = { .op = TFTP_READ, .name = "a", .mode = TFTP_OCTET, .options = o },
			    back;
	len = tftp_encode_request(&r, out, sizeof(out));
	assert_int_equal(tftp_decode_request(out, len, &back), 0);
	check_options(&back.options, &o);
	assert_int_equal(tftp_decode(out, len, &p), -EBADMSG);
}

static void test_packet_damage(void **state)
{
	(void)state;
	struct tftp_packet p;
	assert_int_equal(tftp_decode("", 0, &p), -EBADMSG);
	assert_int_equal(tftp_decode("\0\4\0", 3, &p), -EBADMSG);
	assert_int_equal(tftp_decode("\0\3\0", 3, &p), -EBADMSG);
	assert_int_equal(tftp_decode("\0\5", 2, &p), -EBADMSG);
	assert_int_equal(tftp_decode("\0\7\0\0", 4, &p), -EBADMSG);
	assert_int_equal(tftp_decode("\0\6tsize", 7, &p), -EBADMSG);
	/* What a peer says goes to a log: no NUL at its end, no control characters. */
	assert_int_equal(tftp_decode("\0\5\0\1a\nb\x80", 8, &p), 0);
	assert_string_equal(p.text, "a?b?");
	char data[4 + 300] = "\0\5\0\2";
	memset(data + 4, 'e', 300);
	assert_int_equal(tftp_decode(data, sizeof(data), &p), 0);
	assert_int_equal(strlen(p.text), TFTP_TEXT_MAX - 1);
}

static void test_no_room(void **state)
{
	(void)state;
	uint8_t out[8];
	assert_int_equal(tftp_encode_data(1, "hello", 5, out, sizeof(out)), 0);
	assert_int_equal(tftp_encode_error(TFTP_ERROR_OTHER, "hello", out, sizeof(out)), 0);
	assert_int_equal(tftp_encode_ack(1, out, 3), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_options_out_of_range),
		cmocka_unit_test(test_first_of_two_counts),
		cmocka_unit_test(test_padding_behind_a_request),
		cmocka_unit_test(test_request_damage),
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_packet_damage),
		cmocka_unit_test(test_no_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
