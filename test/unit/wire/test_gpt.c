/* Partition tables: our own round trips, refusal of damage, and sgdisk as the judge of what we
 * wrote. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "wire/gpt.h"
#include "wire/mbr.h"

#define MIB ((uint64_t)1024 * 1024)

static const struct gpt_guid some_guid = { { 1, 2, 3, 4, 5, 6, 7, 0x48, 0x89, 10, 11, 12, 13, 14,
					     15, 16 } };

static bool have(const char *program)
{
	char *command = xasprintf("command -v %s >/dev/null 2>&1", program);
	int r = system(command);
	free(command);
	if (r != 0)
		print_message("skipped: %s is not installed\n", program);
	return r == 0;
}

static void test_guid(void **state)
{
	(void)state;
	char text[GPT_GUID_TEXT];
	assert_string_equal(gpt_guid_format(&gpt_type_esp, text),
			    "C12A7328-F81F-11D2-BA4B-00A0C93EC93B");
	assert_string_equal(gpt_guid_format(&gpt_type_linux, text),
			    "0FC63DAF-8483-4772-8E79-3D69D8477DE4");
	struct gpt_guid g;
	assert_int_equal(gpt_guid_parse(text, &g), 0);
	assert_true(gpt_guid_equal(&g, &gpt_type_linux));
	assert_int_equal(gpt_guid_parse("0FC63DAF-8483-4772-8E79-3D69D8477DE", &g), -EINVAL);
	assert_int_equal(gpt_guid_parse("0FC63DAF+8483-4772-8E79-3D69D8477DE4", &g), -EINVAL);
}

static struct gpt_entry entry(uint64_t first, uint64_t last)
{
	struct gpt_entry e = {
		.type = gpt_type_linux, .id = some_guid, .first = first, .last = last
	};
	e.id.b[15] = (uint8_t)first;
	gpt_set_name(&e, "root");
	return e;
}

static void test_round_trip(void **state)
{
	(void)state;
	struct gpt g, back;
	struct gpt_header h;
	gpt_init(&g, 512, 65536, &some_guid);
	struct gpt_entry e = entry(2048, 4095);
	unsigned number = 0;
	assert_int_equal(gpt_add(&g, &e, &number, NULL), 0);
	assert_int_equal(number, 1);
	struct err err = { 0 };
	assert_true(gpt_add(&g, &e, &number, &err) < 0);
	assert_non_null(strstr(err.text, "overlaps"));
	e = entry(10, 2000);
	assert_true(gpt_add(&g, &e, &number, &err) < 0);
	assert_int_equal(gpt_verify(&g, 65536, &err), 0);
	uint8_t header[512], table[16384];
	for (int backup = 0; backup < 2; backup++) {
		gpt_encode(&g, backup, header, table);
		assert_int_equal(gpt_parse_header(header, 512, backup ? 65535 : 1, &h), 0);
		assert_int_equal(h.entries_lba, backup ? 65535 - 32 : 2);
		assert_int_equal(gpt_table_size(&h, 512), sizeof(table));
		assert_int_equal(gpt_parse(&h, table, sizeof(table), 512, &back), 0);
		assert_true(gpt_name_is(&back.entries[0], "root"));
		assert_int_equal(back.entries[0].last, 4095);
		gpt_done(&back);
	}
	assert_int_equal(gpt_parse_header(header, 512, 1, &h), -EBADMSG); /* wrong place */
	table[3] ^= 1;
	assert_int_equal(gpt_parse(&g.header, table, sizeof(table), 512, &back), -EBADMSG);
	header[60] ^= 1;
	assert_int_equal(gpt_parse_header(header, 512, 65535, &h), -EBADMSG);
	header[0] = 'X';
	assert_int_equal(gpt_parse_header(header, 512, 65535, &h), -EINVAL);
	gpt_done(&g);
}

static void store(int fd, uint64_t offset, const void *data, size_t len)
{
	assert_int_equal(pwrite(fd, data, len, (off_t)offset), len);
}

static void store_table(int fd, const struct gpt *g)
{
	uint32_t ss = g->sector_size;
	size_t size = gpt_table_size(&g->header, ss);
	uint8_t *header = xcalloc(1, ss), *table = xcalloc(1, size);
	gpt_encode(g, false, header, table);
	store(fd, ss, header, ss);
	store(fd, g->header.entries_lba * ss, table, size);
	gpt_encode(g, true, header, table);
	store(fd, g->header.other_lba * ss, header, ss);
	store(fd, g->header.other_lba * ss - size, table, size);
	free(header);
	free(table);
}

static int run(const char *command, const char *path, char *out, size_t size)
{
	char *full = xasprintf("%s %s 2>&1", command, path);
	FILE *f = popen(full, "re");
	size_t len = fread(out, 1, size - 1, f);
	out[len] = '\0';
	free(full);
	return pclose(f);
}

static void test_sgdisk_judges(void **state)
{
	(void)state;
	if (!have("sgdisk"))
		skip();
	char path[] = "/tmp/ingot-gpt-XXXXXX", out[8192];
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)(64 * MIB)), 0);
	/* A table for 32 MiB, as an image would bring it, on a disk of 64 MiB. */
	struct gpt g;
	gpt_init(&g, 512, 32 * MIB / 512, &some_guid);
	struct gpt_entry e = entry(2048, 40959);
	unsigned number;
	assert_int_equal(gpt_add(&g, &e, &number, NULL), 0);
	uint8_t mbr[512];
	mbr_make_protective(mbr, 32 * MIB / 512);
	store(fd, 0, mbr, sizeof(mbr));
	store_table(fd, &g);
	run("sgdisk -v", path, out, sizeof(out));
	assert_null(strstr(out, "No problems found"));
	assert_int_equal(gpt_relocate(&g, 64 * MIB / 512, NULL), 0);
	e = entry(65536, g.header.last_usable);
	assert_int_equal(gpt_add(&g, &e, &number, NULL), 0);
	store_table(fd, &g);
	mbr_stretch_protective(mbr, 64 * MIB / 512);
	store(fd, 0, mbr, sizeof(mbr));
	run("sgdisk -v", path, out, sizeof(out));
	assert_non_null(strstr(out, "No problems found"));
	run("sgdisk -p", path, out, sizeof(out));
	assert_non_null(strstr(out, "Number"));
	assert_non_null(strstr(out, "   2           65536"));
	struct err err = { 0 };
	assert_true(gpt_relocate(&g, 40 * MIB / 512, &err) < 0);
	gpt_done(&g);
	close(fd);
	unlink(path);
}

/* The other way: what sgdisk writes is read, primary and backup. */
static void test_reads_sgdisk(void **state)
{
	(void)state;
	if (!have("sgdisk"))
		skip();
	char path[] = "/tmp/ingot-gpt-XXXXXX", out[8192];
	int fd = mkstemp(path);
	assert_int_equal(ftruncate(fd, (off_t)(64 * MIB)), 0);
	assert_int_equal(
		run("sgdisk -n 1:2048:+10M -t 1:ef00 -c 1:ESP -n 3:0:0", path, out, sizeof(out)),
		0);
	uint8_t sector[512], table[16384];
	uint64_t lbas[] = { 1, 64 * MIB / 512 - 1 };
	for (size_t i = 0; i < 2; i++) {
		struct gpt_header h;
		struct gpt g;
		assert_int_equal(pread(fd, sector, 512, (off_t)lbas[i] * 512), 512);
		assert_int_equal(gpt_parse_header(sector, 512, lbas[i], &h), 0);
		assert_int_equal(pread(fd, table, sizeof(table), (off_t)h.entries_lba * 512),
				 sizeof(table));
		assert_int_equal(gpt_parse(&h, table, sizeof(table), 512, &g), 0);
		assert_true(gpt_guid_equal(&g.entries[0].type, &gpt_type_esp));
		assert_true(gpt_name_is(&g.entries[0], "ESP"));
		assert_false(gpt_entry_used(&g.entries[1]));
		assert_true(gpt_entry_used(&g.entries[2]));
		assert_int_equal(gpt_verify(&g, 64 * MIB / 512, NULL), 0);
		assert_int_equal(gpt_relocate(&g, 64 * MIB / 512, NULL), 0);
		assert_int_equal(g.header.entries_lba, 2); /* also when read from the backup */
		gpt_done(&g);
	}
	close(fd);
	unlink(path);
}

static void test_4096(void **state)
{
	(void)state;
	struct gpt g, back;
	struct gpt_header h;
	gpt_init(&g, 4096, 16384, &some_guid);
	assert_int_equal(g.header.first_usable, 6);
	assert_int_equal(g.header.last_usable, 16384 - 6);
	uint8_t *header = xcalloc(1, 4096), *table = xcalloc(1, 16384);
	gpt_encode(&g, true, header, table);
	assert_int_equal(gpt_parse_header(header, 4096, 16383, &h), 0);
	assert_int_equal(h.entries_lba, 16383 - 4);
	assert_int_equal(gpt_parse(&h, table, 16384, 4096, &back), 0);
	gpt_done(&back);
	gpt_done(&g);
	free(header);
	free(table);
}

static void test_mbr(void **state)
{
	(void)state;
	uint8_t sector[512] = { 0 };
	struct mbr m;
	assert_int_equal(mbr_parse(sector, sizeof(sector), &m), -EINVAL);
	mbr_make_protective(sector, UINT64_C(1) << 33);
	assert_int_equal(mbr_parse(sector, sizeof(sector), &m), 0);
	assert_true(mbr_is_protective(&m));
	assert_int_equal(m.parts[0].sectors, UINT32_MAX);
	assert_int_equal(mbr_count(&m), 1);
	struct mbr_partition p = {
		.type = MBR_TYPE_LINUX, .active = true, .start = 2048, .sectors = 99
	};
	mbr_set_partition(sector, 0, &p);
	static const uint8_t disk_id[] = { 0x78, 0x56, 0x34, 0x12 };
	memcpy(sector + 440, disk_id, sizeof(disk_id));
	assert_int_equal(mbr_parse(sector, sizeof(sector), &m), 0);
	assert_false(mbr_is_protective(&m));
	assert_int_equal(m.disk_id, 0x12345678);
	assert_true(m.parts[0].active);
	assert_int_equal(m.parts[0].sectors, 99);
	sector[446] = 0x33; /* as code in a FAT boot sector */
	assert_int_equal(mbr_parse(sector, sizeof(sector), &m), -EINVAL);
	assert_int_equal(mbr_parse(sector, 100, &m), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guid),	      cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_sgdisk_judges), cmocka_unit_test(test_reads_sgdisk),
		cmocka_unit_test(test_4096),	      cmocka_unit_test(test_mbr),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
