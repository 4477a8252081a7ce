/* Root device hints: every operator, every key, and the choice among disks. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "agent/disk/hints.h"
#include "base/mem.h"
#include "unit/parse.h"

#define GIB (UINT64_C(1) << 30)

static const struct disk_facts sda = {
	.name = "/dev/sda",
	.model = "SAMSUNG MZ7LH480",
	.vendor = "ATA",
	.serials = { "S45PNA0M", "SAMSUNG_MZ7LH480_S45PNA0M" },
	.wwns = { "0x5002538e", "0x5002538e00000001" },
	.wwn_with_extension = "0x5002538e00000001",
	.wwn_vendor_extension = "0x00000001",
	.hctl = "0:0:3:2",
	.by_paths = { "/dev/disk/by-path/pci-0000:00:1f.2-ata-1.0",
		      "/dev/disk/by-path/pci-0000:00:1f.2-ata-1" },
	.tran = "sata",
	.size = UINT64_C(480103981056), /* 447.13 GiB */
	.rotational = false,
};

static const struct disk_facts vda = {
	.name = "/dev/vda",
	.vendor = "0x1af4",
	.by_paths = { "/dev/disk/by-path/pci-0000:00:04.0" },
	.tran = "virtio",
	.size = 8 * GIB,
	.rotational = true,
};

static void test_matrix(void **state)
{
	(void)state;
	static const struct {
		const char *hints;
		bool matches;
	} rows[] = {
		/* strings: bare is equality, case and blanks do not count */
		{ "{\"name\": \"/dev/sda\"}", true },
		{ "{\"name\": \" /DEV/SDA \"}", true },
		{ "{\"name\": \"/dev/sd\"}", false },
		{ "{\"name\": \"s== /dev/sda\"}", true },
		{ "{\"name\": \"s==/dev/sda\"}", true },
		{ "{\"name\": \"s!= /dev/sda\"}", false },
		{ "{\"name\": \"s!= /dev/sdb\"}", true },
		{ "{\"name\": \"s< /dev/sdb\"}", true },
		{ "{\"name\": \"s<= /dev/sda\"}", true },
		{ "{\"name\": \"s> /dev/sd\"}", true },
		{ "{\"name\": \"s>= /dev/sdb\"}", false },
		{ "{\"name\": \"<or> /dev/vda <or> /dev/sda\"}", true },
		{ "{\"name\": \"<or> /dev/vda <or> /dev/vdb\"}", false },
		{ "{\"model\": \"<in> samsung\"}", true },
		{ "{\"model\": \"<in> SAMSUNG MZ7\"}", true },
		{ "{\"model\": \"<in> toshiba\"}", false },
		{ "{\"model\": \"<all-in> samsung mz7\"}", true },
		{ "{\"model\": \"<all-in> samsung mz8\"}", false },
		{ "{\"model\": \"<all-in> samsung <all-in> mz7\"}", true },
		{ "{\"model\": \"samsung mz7lh480\"}", true },
		{ "{\"vendor\": \"<in> ata\"}", true },
		{ "{\"serial\": \"S45PNA0M\"}", true },
		{ "{\"serial\": \"samsung_mz7lh480_s45pna0m\"}", true },
		{ "{\"serial\": \"S45\"}", false },
		/* what is excluded is excluded in all its forms */
		{ "{\"serial\": \"s!= S45PNA0M\"}", false },
		{ "{\"serial\": \"s!= SAMSUNG_MZ7LH480_S45PNA0M\"}", false },
		{ "{\"serial\": \"s!= S46\"}", true },
		{ "{\"by_path\": \"s!= /dev/disk/by-path/pci-0000:00:1f.2-ata-1\"}", false },
		{ "{\"wwn\": \"0x5002538e\"}", true },
		{ "{\"wwn\": \"0x5002538e00000001\"}", true },
		{ "{\"wwn\": \"5002538e\"}", false },
		{ "{\"wwn_with_extension\": \"0x5002538e00000001\"}", true },
		{ "{\"wwn_vendor_extension\": \"0x00000001\"}", true },
		{ "{\"wwn_vendor_extension\": \"0x2\"}", false },
		{ "{\"hctl\": \"0:0:3:2\"}", true },
		{ "{\"hctl\": \"s== 0:0:0:0\"}", false },
		{ "{\"by_path\": \"/dev/disk/by-path/pci-0000:00:1f.2-ata-1\"}", true },
		{ "{\"name\": \"/dev/disk/by-path/pci-0000:00:1f.2-ata-1\"}", true },
		{ "{\"name\": \"s== /dev/disk/by-path/pci-0000:00:1f.2-ata-2\"}", false },
		{ "{\"tran\": \"sata\"}", true },
		/* numbers: the device's size is a fraction */
		{ "{\"size\": 447}", false },
		{ "{\"size\": \"== 447\"}", false },
		{ "{\"size\": \">= 447\"}", true },
		{ "{\"size\": \"= 447\"}", true },
		{ "{\"size\": \"=448\"}", false },
		{ "{\"size\": \"> 447\"}", true },
		{ "{\"size\": \"< 448\"}", true },
		{ "{\"size\": \"<= 447\"}", false },
		{ "{\"size\": \"!= 447\"}", true },
		{ "{\"size\": \"<range-in> [ 400 500 ]\"}", true },
		{ "{\"size\": \"<range-in> ( 400 440 )\"}", false },
		{ "{\"size\": \"<or> 447 <or> 448\"}", false },
		/* booleans */
		{ "{\"rotational\": false}", true },
		{ "{\"rotational\": \"false\"}", true },
		{ "{\"rotational\": \"No\"}", true },
		{ "{\"rotational\": true}", false },
		/* all must match */
		{ "{\"vendor\": \"ATA\", \"size\": \">= 400\", \"rotational\": \"0\"}", true },
		{ "{\"vendor\": \"ATA\", \"size\": \">= 500\"}", false },
		{ "{}", true },
		/* nonsense never matches */
		{ "{\"colour\": \"red\"}", false },
		{ "{\"size\": \"large\"}", false },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct json *hints = parse(rows[i].hints);
		if (disk_hints_match(hints, &sda) != rows[i].matches)
			fail_msg("%s: expected %d", rows[i].hints, rows[i].matches);
		json_free(hints);
	}
}

static void test_absent_facts(void **state)
{
	(void)state;
	static const char *const rows[] = { "{\"serial\": \"x\"}", "{\"wwn\": \"s!= x\"}",
					    "{\"model\": \"<in> x\"}", "{\"hctl\": \"s!= 1\"}" };
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct json *hints = parse(rows[i]);
		assert_false(disk_hints_match(hints, &vda));
		json_free(hints);
	}
}

static void test_refusals(void **state)
{
	(void)state;
	static const struct {
		const char *hints, *says;
	} rows[] = {
		{ "{\"colour\": \"red\"}", "\"colour\" is not known" },
		{ "{\"size\": \"large\"}", "\"size\" is not a number" },
		{ "{\"size\": \"-4\"}", "not a number" },
		{ "{\"rotational\": \"maybe\"}", "neither true nor false" },
		{ "{\"name\": \"\"}", "no value" },
		{ "{\"name\": \"s==\"}", "no value" },
		{ "{\"name\": {}}", "neither text" },
		{ "{\"size\": \"<range-in> 4 5\"}", "low high" },
		{ "[1]", "not an object" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct json *hints = parse(rows[i].hints);
		struct err err = { 0 };
		assert_true(disk_hints_check(hints, &err) < 0);
		if (!strstr(err.text, rows[i].says))
			fail_msg("%s: %s", rows[i].hints, err.text);
		json_free(hints);
	}
	assert_int_equal(disk_hints_check(NULL, NULL), 0);
}

static void test_choose(void **state)
{
	(void)state;
	struct disk_facts disks[] = { sda, vda, vda, vda };
	struct err err = { 0 };
	disks[2].name = "/dev/vdb";
	disks[3].name = "/dev/vdc";
	disks[3].size = 2 * GIB;
	/* smallest of at least 4 GiB, then by name */
	assert_int_equal(disk_hints_choose(NULL, disks, 4, &err), 1);
	struct json *hints = parse("{\"vendor\": \"0x1af4\", \"name\": \"s!= /dev/vda\"}");
	assert_int_equal(disk_hints_choose(hints, disks, 4, &err), 2); /* first in the list */
	json_free(hints);
	hints = parse("{\"model\": \"x\"}");
	assert_int_equal(disk_hints_choose(hints, disks, 4, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/dev/sda (447.1 GiB)"));
	assert_non_null(strstr(err.text, "\"model\""));
	json_free(hints);
	assert_int_equal(disk_hints_choose(NULL, disks + 3, 1, &err), -ENOENT);
	assert_non_null(strstr(err.text, "at least 4 GiB"));
	assert_int_equal(disk_hints_choose(NULL, NULL, 0, &err), -ENOENT);
}

/* Of disks that share what is to tell them apart, none is taken. */
static void test_ambiguous(void **state)
{
	(void)state;
	struct disk_facts disks[] = { sda, sda, vda };
	struct err err = { 0 };
	disks[1].name = "/dev/sdb";
	disks[1].serials[1] = "SAMSUNG_MZ7LH480_S45PNA0X";
	disks[1].wwn_with_extension = "0x5002538e00000002";
	static const struct {
		const char *hints;
		int chosen;
	} rows[] = {
		{ "{\"serial\": \"s== S45PNA0M\"}", -EINVAL },
		{ "{\"serial\": \"s== S45PNA0M\", \"size\": \">= 100\"}", -EINVAL },
		{ "{\"wwn\": \"0x5002538e\"}", -EINVAL },
		{ "{\"by_path\": \"s== /dev/disk/by-path/pci-0000:00:1f.2-ata-1.0\"}", -EINVAL },
		{ "{\"name\": \"/dev/disk/by-path/pci-0000:00:1f.2-ata-1\"}", -EINVAL },
		{ "{\"hctl\": \"0:0:3:2\"}", -EINVAL },
		/* another hint decides */
		{ "{\"serial\": \"s== S45PNA0M\", \"name\": \"s== /dev/sdb\"}", 1 },
		{ "{\"wwn_with_extension\": \"0x5002538e00000002\"}", 1 },
		{ "{\"serial\": \"SAMSUNG_MZ7LH480_S45PNA0X\"}", 1 },
		/* kinds of disks: the first, as ever */
		{ "{\"model\": \"<in> samsung\"}", 0 },
		{ "{\"size\": \">= 100\", \"rotational\": false}", 0 },
		{ "{\"serial\": \"<in> S45\"}", 0 },
		{ "{\"serial\": \"s!= x\"}", 0 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct json *hints = parse(rows[i].hints);
		int got = disk_hints_choose(hints, disks, 3, &err);
		if (got != rows[i].chosen)
			fail_msg("%s: %d", rows[i].hints, got);
		if (got < 0 && !strstr(err.text, "/dev/sda (447.1 GiB), /dev/sdb (447.1 GiB)"))
			fail_msg("%s: %s", rows[i].hints, err.text);
		json_free(hints);
	}
}

/* One disk by two paths: either will do. */
static void test_two_paths(void **state)
{
	(void)state;
	struct disk_facts disks[] = { sda, sda };
	struct json *hints = parse("{\"wwn\": \"0x5002538e\"}");
	disks[1].name = "/dev/sdb";
	assert_int_equal(disk_hints_choose(hints, disks, 2, NULL), 0);
	/* cheap disks of one batch share the WWN, but not the serial number */
	disks[1].serials[0] = "another";
	assert_int_equal(disk_hints_choose(hints, disks, 2, NULL), -EINVAL);
	json_free(hints);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matrix),	  cmocka_unit_test(test_absent_facts),
		cmocka_unit_test(test_refusals),  cmocka_unit_test(test_choose),
		cmocka_unit_test(test_ambiguous), cmocka_unit_test(test_two_paths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
