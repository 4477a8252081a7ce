/* qcow2 headers: what qemu-img writes is read, what must be refused is refused with a reason. The
 * whole way from image to disk is tested in test/unit/agent. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cursor.h"
#include "base/mem.h"
#include "wire/qcow2.h"

static uint8_t header[QCOW2_HEADER_READ];

static bool make(const char *options)
{
	if (system("command -v qemu-img >/dev/null 2>&1") != 0) {
		print_message("skipped: qemu-img is not installed\n");
		return false;
	}
	char path[] = "/tmp/ingot-qcow2-XXXXXX";
	close(mkstemp(path));
	char *command = xasprintf("qemu-img create -q -f qcow2 -o %s %s 10G", options, path);
	assert_int_equal(system(command), 0);
	FILE *f = fopen(path, "re");
	memset(header, 0, sizeof(header));
	assert_true(fread(header, 1, sizeof(header), f) >= QCOW2_HEADER_MIN);
	fclose(f);
	unlink(path);
	free(command);
	return true;
}

static void test_versions(void **state)
{
	(void)state;
	struct qcow2_header h;
	if (!make("compat=0.10"))
		skip();
	assert_true(qcow2_is(header, sizeof(header)));
	assert_int_equal(qcow2_parse_header(header, sizeof(header), &h, NULL), 0);
	assert_int_equal(h.version, 2);
	assert_int_equal(h.cluster_bits, 16);
	assert_int_equal(h.virtual_size, UINT64_C(10) << 30);
	assert_int_equal(h.l1_entries, 20);
	make("compat=1.1,cluster_size=2M,compression_type=zstd");
	assert_int_equal(qcow2_parse_header(header, sizeof(header), &h, NULL), 0);
	assert_int_equal(h.version, 3);
	assert_int_equal(h.cluster_bits, 21);
	assert_int_equal(h.compression, QCOW2_ZSTD);
	assert_int_equal(h.l1_entries, 1);
	struct err err = { 0 };
	make("extended_l2=on,cluster_size=64k");
	assert_true(qcow2_parse_header(header, sizeof(header), &h, &err) < 0);
	assert_non_null(strstr(err.text, "extended L2"));
}

static void poke(size_t at, uint64_t v, size_t len)
{
	for (size_t i = 0; i < len; i++)
		header[at + i] = (uint8_t)(v >> (8 * (len - 1 - i)));
}

static void test_refusals(void **state)
{
	(void)state;
	static const struct {
		size_t at;
		uint64_t value;
		size_t len;
		const char *says;
	} rows[] = {
		{ 4, 4, 4, "qcow version 4" }, { 8, 512, 8, "backing file" },
		{ 32, 1, 4, "encrypted" },     { 72, 1, 8, "dirty" },
		{ 72, 2, 8, "corrupt" },       { 72, 4, 8, "external" },
		{ 72, 16, 8, "extended" },     { 72, 1 << 20, 8, "not known here" },
		{ 20, 8, 4, "2^8 bytes" },     { 20, 30, 4, "2^30 bytes" },
		{ 36, 3, 4, "needs 20" },      { 40, 3, 8, "bad offset" },
		{ 40, 0, 8, "bad offset" },    { 24, UINT64_MAX, 8, "claims" },
		{ 100, 90, 4, "cut off" },     { 100, 1 << 20, 4, "cut off" },
	};
	if (!make("compat=1.1"))
		skip();
	uint8_t good[sizeof(header)];
	memcpy(good, header, sizeof(good));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct qcow2_header h;
		struct err err = { 0 };
		memcpy(header, good, sizeof(good));
		poke(rows[i].at, rows[i].value, rows[i].len);
		assert_true(qcow2_parse_header(header, sizeof(header), &h, &err) < 0);
		if (!strstr(err.text, rows[i].says))
			fail_msg("row %zu: %s", i, err.text);
	}
	memcpy(header, good, sizeof(good));
	struct qcow2_header h;
	assert_true(qcow2_parse_header(header, 71, &h, NULL) < 0);
	assert_false(qcow2_is("QFI", 3));
}

/* Small clusters make large tables, which cost memory: here 32 KiB of the disk for each entry. */
static void test_table_limit(void **state)
{
	(void)state;
	struct qcow2_header h;
	struct err err = { 0 };
	const uint64_t most = (uint64_t)QCOW2_L1_MAX * 32 * 1024;
	if (!make("compat=1.1"))
		skip();
	poke(20, 9, 4);
	poke(36, QCOW2_L1_MAX + 1, 4);
	poke(24, most, 8);
	assert_int_equal(qcow2_parse_header(header, sizeof(header), &h, &err), 0);
	assert_int_equal(h.l1_entries, QCOW2_L1_MAX);
	poke(24, most + 1, 8);
	assert_true(qcow2_parse_header(header, sizeof(header), &h, &err) < 0);
	assert_int_equal(err.kind, ERR_LIMIT);
	assert_non_null(strstr(err.text, "larger clusters"));
}

static void test_entries(void **state)
{
	(void)state;
	struct qcow2_header h = { .version = 3, .cluster_bits = 16, .virtual_size = 1 << 20 };
	uint8_t table[8 * 5];
	struct wcursor w;
	wcursor_init(&w, table, sizeof(table));
	wcursor_be64(&w, 0);
	wcursor_be64(&w, UINT64_C(1) << 63 | 0x50000);
	wcursor_be64(&w, UINT64_C(1) << 63 | 0x50000 | 1);
	wcursor_be64(&w, UINT64_C(1) << 62 | UINT64_C(3) << 54 | 0x12345);
	wcursor_be64(&w, 0x50200);
	struct qcow2_cluster c;
	assert_int_equal(qcow2_l2_entry(&h, table, 0, &c, NULL), 0);
	assert_int_equal(c.kind, QCOW2_UNALLOCATED);
	assert_int_equal(qcow2_l2_entry(&h, table, 1, &c, NULL), 0);
	assert_int_equal(c.kind, QCOW2_DATA);
	assert_int_equal(c.host, 0x50000);
	assert_int_equal(qcow2_l2_entry(&h, table, 2, &c, NULL), 0);
	assert_int_equal(c.kind, QCOW2_ZERO);
	assert_int_equal(qcow2_l2_entry(&h, table, 3, &c, NULL), 0);
	assert_int_equal(c.kind, QCOW2_COMPRESSED);
	assert_int_equal(c.host, 0x12345);
	assert_int_equal(c.size, 4 * 512 - 0x145);
	assert_true(qcow2_l2_entry(&h, table, 4, &c, NULL) < 0);
	uint64_t offset;
	assert_true(qcow2_l1_entry(&h, table, 4, &offset, NULL) < 0);
	assert_int_equal(qcow2_l1_entry(&h, table, 1, &offset, NULL), 0);
	assert_int_equal(offset, 0x50000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_table_limit),
		cmocka_unit_test(test_entries),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
