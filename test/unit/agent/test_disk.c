/* Work on whole disks, with regular files as disks: wiping, partition tables, config drive, UEFI
 * boot entries. sgdisk, blkid and mtools judge. */

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
#include <sys/stat.h>
#include <unistd.h>

#include "agent/disk/bootentry.h"
#include "agent/disk/configpart.h"
#include "agent/disk/efivar.h"
#include "agent/disk/table.h"
#include "agent/disk/wipe.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/configdrive.h"

#define MIB ((uint64_t)1024 * 1024)

static char dir[] = "/tmp/ingot-disk-XXXXXX";
static char output[262144];

static int shell(const char *fmt, ...) _printf_(1, 2);
static int shell(const char *fmt, ...)
{
	char command[4096];
	size_t n = (size_t)snprintf(command, sizeof(command), "cd %s && ( ", dir);
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(command + n, sizeof(command) - n, fmt, ap);
	va_end(ap);
	n = strlen(command);
	snprintf(command + n, sizeof(command) - n, " ) 2>&1");
	FILE *f = popen(command, "re");
	size_t len = fread(output, 1, sizeof(output) - 1, f);
	output[len] = '\0';
	return pclose(f);
}

static bool have(const char *program)
{
	bool found = shell("command -v %s", program) == 0;
	if (!found)
		print_message("skipped: %s is not installed\n", program);
	return found;
}

static void open_disk(struct disk_dev *d)
{
	char *path = xasprintf("%s/disk", dir);
	struct err err = { 0 };
	if (disk_dev_open(path, true, d, &err) < 0)
		fail_msg("%s", err.text);
	free(path);
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	return shell("rm -rf %s", dir);
}

static void test_dev(void **state)
{
	(void)state;
	struct disk_dev d;
	struct err err = { 0 };
	assert_int_equal(shell("head -c 2999808 /dev/urandom > disk; cp disk copy"), 0);
	open_disk(&d);
	assert_int_equal(d.size, 2999808);
	uint8_t *a = xcalloc(1, 100000), *b = xcalloc(1, 100000);
	memset(a, 'x', 100000);
	/* odd offsets and lengths: neighbours stay */
	assert_int_equal(disk_dev_write(&d, 12345, a, 54321, &err), 0);
	assert_int_equal(disk_dev_read(&d, 12345, b, 54321, &err), 0);
	assert_memory_equal(a, b, 54321);
	assert_int_equal(disk_dev_zero(&d, 1000001, 999, &err), 0);
	assert_int_equal(disk_dev_zero(&d, 1048576, 1048576, &err), 0);
	assert_int_equal(disk_dev_write(&d, 2999808 - 5, a, 5, &err), 0);
	assert_int_equal(disk_dev_write(&d, 2999808 - 4, a, 5, &err), -E2BIG);
	assert_int_equal(disk_dev_read(&d, UINT64_MAX, b, 5, &err), -E2BIG);
	disk_dev_close(&d);
	assert_int_equal(shell("python3 - <<'X'\n"
			       "e=bytearray(open('copy','rb').read())\n"
			       "e[12345:12345+54321]=b'x'*54321\n"
			       "e[1000001:1001000]=bytes(999)\n"
			       "e[1048576:2097152]=bytes(1048576)\n"
			       "e[-5:]=b'xxxxx'\n"
			       "assert bytes(e)==open('disk','rb').read()\n"
			       "X\n"),
			 0);
	free(a);
	free(b);
	assert_true(disk_dev_open("/nonexistent", false, &d, &err) < 0);
	assert_true(disk_dev_open("/dev/null", false, &d, &err) < 0);
}

static void test_wipe(void **state)
{
	(void)state;
	struct disk_dev d;
	struct err err = { 0 };
	if (!have("sgdisk") || !have("mkfs.ext4") || !have("blkid"))
		skip();
	assert_int_equal(
		shell("rm -f disk fs; truncate -s 64M disk fs.x; mv fs.x fs; truncate -s 20M fs; "
		      "mkfs.ext4 -q -L hello fs; sgdisk -n 1:2048:+20M -n 2:0:+10M disk; "
		      "dd if=fs of=disk bs=1M seek=1 conv=notrunc; "
		      "printf 'LABELONE' | dd of=disk bs=1 seek=$((0x1500200)) conv=notrunc; "
		      "printf 'SKUL\\272\\276' | dd of=disk bs=1M seek=25 conv=notrunc; "
		      "printf 'keepme' | dd of=disk bs=1 seek=$((8*1024*1024)) conv=notrunc; "
		      "sgdisk -p disk | grep -c Linux; blkid -p -O 1048576 disk"),
		0);
	assert_non_null(strstr(output, "hello"));
	open_disk(&d);
	assert_int_equal(disk_wipe_metadata(&d, true, &err), 0);
	disk_dev_close(&d);
	assert_int_not_equal(shell("blkid -p disk"), 0);
	assert_int_not_equal(shell("blkid -p -O 1048576 disk"), 0);
	assert_int_not_equal(shell("grep -c 'EFI PART' disk"), 0);
	assert_int_not_equal(shell("grep -c LABELONE disk"), 0);
	assert_int_not_equal(shell("grep -c SKUL disk"), 0);
	assert_int_equal(shell("grep -c keepme disk"), 0); /* data stay: this is no erase */
}

/* Bytes at an offset, which may be negative: from the end. */
#define PUT                                                                                                              \
	"python3 -c 'import sys,os\nf=open(\"disk\",\"r+b\")\nfor a in sys.argv[1:]:\n o,b=a.split(\":\",1); o=int(o); " \
	"f.seek(o if o>=0 else os.path.getsize(\"disk\")+o); f.write(b.encode().decode(\"unicode_escape\").encode(\"latin1\"))' "
#define LUKS " -q --key-file key --pbkdf pbkdf2 --pbkdf-force-iterations 1000 luksFormat "
#define UBER(label)                                                                                \
	"$((" label "+131072)):'\\x0c\\xb1\\xba' $((" label                                        \
	"+132096)):'\\x0c\\xb1\\xba' $((" label "+133120)):'\\x0c\\xb1\\xba' $((" label            \
	"+134144)):'\\x0c\\xb1\\xba' "
static const struct {
	const char *needs, *size, *make, *type;
} formats[] = {
	{ "mkfs.ext4", "64M", "mkfs.ext4 -q disk", "ext4" },
	{ "mkfs.ext4", "64M", "mkfs.ext4 -q -O journal_dev disk", "jbd" },
	{ "mkfs.xfs", "400M", "mkfs.xfs -q disk", "xfs" },
	{ "mkfs.btrfs", "300G", "mkfs.btrfs -q disk", "btrfs" },
	{ "mkfs.vfat", "64M", "mkfs.vfat -F 32 disk", "vfat" },
	{ "mkfs.exfat", "64M", "mkfs.exfat disk", "exfat" },
	{ "mkntfs", "64M", "mkntfs -q -F -Q disk", "ntfs" },
	{ "mkfs.f2fs", "128M", "mkfs.f2fs -q disk", "f2fs" },
	{ "mkfs.jfs", "64M", "mkfs.jfs -q disk", "jfs" },
	{ "mkfs.nilfs2", "300M", "mkfs.nilfs2 -q disk", "nilfs2" },
	{ "mkfs.reiserfs", "64M", "mkfs.reiserfs -q -f disk", "reiserfs" },
	{ "mkfs.gfs2", "300M", "mkfs.gfs2 -q -O -p lock_nolock -j 1 disk", "gfs2" },
	{ "mkfs.ocfs2", "5G", "mkfs.ocfs2 -q -M local -N 1 -F disk", "ocfs2" },
	{ "mkfs.minix", "64M", "mkfs.minix disk", "minix" },
	{ "mkfs.bfs", "64M", "mkfs.bfs disk", "bfs" },
	{ "mkudffs", "64M", "mkudffs -b 512 disk", "udf" },
	{ "mkudffs", "64M", "mkudffs -b 4096 disk", "udf" },
	{ "mksquashfs", "0", "mksquashfs key disk -noappend", "squashfs" },
	{ "mkfs.erofs", "0", "mkdir -p e; cp key e; mkfs.erofs disk e", "erofs" },
	{ "mkfs.cramfs", "0", "mkdir -p e; cp key e; mkfs.cramfs e disk", "cramfs" },
	{ "xorriso", "0", "xorriso -as mkisofs -o disk key", "iso9660" },
	{ "mkswap", "64M", "mkswap disk", "swap" },
	{ "mkswap", "64M", "mkswap -p 65536 disk", "swap" },
	{ "cryptsetup", "64M", "cryptsetup" LUKS "--type luks1 disk", "crypto_LUKS" },
	{ "cryptsetup", "64M", "cryptsetup" LUKS "--type luks2 disk", "crypto_LUKS" },
	{ "cryptsetup", "64M", "cryptsetup" LUKS "--type luks2 --luks2-metadata-size 4m disk",
	  "crypto_LUKS" },
	{ "make-bcache", "64M", "make-bcache -B disk", "bcache" },
	{ "make-bcache", "64M", "make-bcache -C disk", "bcache" },
	{ "losetup", "64M",
	  "set -e; command -v pvcreate; l=$(losetup -f --show disk); trap \"losetup -d $l\" EXIT; "
	  "pvcreate --config \"devices{use_devicesfile=0 filter=[\\\"a|$l|\\\",\\\"r|.*|\\\"]}\" "
	  "--metadatacopies 2 -ff -y $l",
	  "LVM2_member" },
	{ "mkfs.ext4", "64M", "mke2fs -q -t ext2 disk", "ext2" },
	{ "mkfs.ext4", "64M", "mke2fs -q -t ext3 disk", "ext3" },
	{ "mkfs.ext4", "64M", "mkfs.ext4 -q -E test_fs disk", "ext4dev" },
	{ "mkfs.xfs", "400M",
	  "cp --sparse=always disk data; mkfs.xfs -q -l logdev=disk,size=64m data",
	  "xfs_external_log" },
	{ "hformat", "64M", "hformat disk", "hfs" },
	{ "genromfs", "0", "mkdir -p e; cp key e; genromfs -f disk -d e", "romfs" },
	{ "ubinize", "0",
	  "cp key e.bin; printf '[a]\nmode=ubi\nimage=e.bin\nvol_id=0\nvol_name=a\n"
	  "vol_type=dynamic\nvol_size=1MiB\n' >u.ini; ubinize -o disk -m 2048 -p 128KiB u.ini",
	  "ubi" },
	{ "mkfs.ubifs", "0",
	  "mkdir -p e; cp key e; mkfs.ubifs -r e -m 2048 -e 126976 -c 100 -o disk", "ubifs" },
	{ "veritysetup", "64M", "truncate -s 1M data; veritysetup format data disk",
	  "DM_verity_hash" },
	{ "sgdisk", "64M", "sgdisk -n 1:2048:+20M disk", "PTTYPE=\"gpt\"" },
	{ "sfdisk", "64M", "echo ,20M | sfdisk -X dos disk", "PTTYPE=\"dos\"" },
	{ "sfdisk", "64M", "echo ,20M | sfdisk -X sun disk", "PTTYPE=\"sun\"" },
	{ "sfdisk", "64M", "echo ,20M | sfdisk -X sgi disk", "PTTYPE=\"sgi\"" },
	/* By their documents: no tool, or none that works on a file. */
	{ "python3", "1010G",
	  PUT "0:'bluestore block device\\n' 1073741824:'bluestore block device\\n' "
	      "10737418240:'bluestore block device\\n' 107374182400:'bluestore block device\\n' "
	      "1073741824000:'bluestore block device\\n'",
	  "ceph_bluestore" },
	{ "python3", "64M", PUT "-65536:'\\xfc\\x4e\\x2b\\xa9\\0\\0\\0\\0\\x5a\\0\\0\\0'",
	  "linux_raid_member" },
	{ "python3", "64M", PUT UBER("0") UBER("262144") UBER("-524288") UBER("-262144"),
	  "zfs_member" },
	{ "python3", "64M", PUT "-1580544:'Promise Technology, Inc.'",
	  "promise_fasttrack_raid_member" },
	{ "python3", "64M", PUT "-1024:'Intel Raid ISM Cfg Sig. 1.1.00'", "isw_raid_member" },
	{ "python3", "64M", PUT "-512:'$XIDE$'", "lsi_mega_raid_member" },
	{ "python3", "64M", PUT "-512:'\\xde\\x11\\xde\\x11'", "ddf_raid_member" },
	{ "python3", "64M", PUT "-512:'\\x55\\xaa' -462:'\\xff'", "via_raid_member" },
	{ "python3", "64M", PUT "-1024:'NVIDIA  \\x1e\\0\\0\\0\\x4b\\x68\\x96\\x9b'",
	  "nvidia_raid_member" },
	{ "python3", "64M", PUT "-5632:'\\xf3\\x16\\x78\\x5a'", "hpt45x_raid_member" },
	{ "python3", "64M", PUT "4640:'\\xf0\\x16\\x78\\x5a'", "hpt37x_raid_member" },
	{ "python3", "64M", PUT "-512:'JM\\0\\0\\xb6\\xb2'", "jmicron_raid_member" },
	{ "python3", "64M", PUT "-4036:'\\x83\\x74\\x02\\x6b'", "drbd" },
	{ "python3", "64M", PUT "0:'HM\\1\\0'", "LVM1_member" },
	{ "python3", "64M", PUT "0:'SnAp'", "DM_snapshot_cow" },
	{ "python3", "64M", PUT "1048576:'\\x0d\\xd0\\x01\\xc0'", "VMFS_volume_member" },
	{ "python3", "64M", PUT "2097152:'\\x5e\\xf1\\xab\\x2f'", "VMFS" },
	{ "python3", "64M", PUT "0:'dmvdo001'", "vdo" },
	{ "python3", "64M", PUT "4086:'S1SUSPEND'", "swsuspend" },
	{ "python3", "64M", PUT "65536:'ReIsEr4'", "reiser4" },
	{ "python3", "64M", PUT "32:'ORCLDISK'", "oracleasm" },
	{ "python3", "64M", PUT "1024:'\\xf5\\xfc\\x01\\xa5'", "vxfs" },
	{ "python3", "64M", PUT "8192:'\\x49\\xe8\\x95\\xf9' 8704:'\\x49\\x18\\x91\\xf9'", "hpfs" },
	{ "python3", "64M", PUT "9564:'\\x54\\x19\\1\\0'", "ufs" },
	{ "python3", "64M", PUT "0:'SFOZ'", "zonefs" },
	{ "python3", "64M", PUT "0:'\\0\\0\\0ReFS\\0'", "ReFS" },
	{ "python3", "64M", PUT "4096:'SPB5'", "nss" },
	{ "python3", "64M", PUT "65536:'\\1\\x16\\x19\\x70' 65560:'\\0\\0\\5\\x1d\\0\\0\\5\\x79'",
	  "gfs" },
};

/* What libblkid knows besides: it wants checksums or more than a magic, and no tool of Debian makes
 * it. All of it is in the first or the last mebibyte, as the source of util-linux has it. */
static const char *const not_made[] = {
	"silicon_medley_raid_member", /* the last sector */
	"adaptec_raid_member",	      /* the last sector */
	"drbdmanage_control_volume",
	"drbdproxy_datalog",
	"DM_integrity", /* integritysetup needs device-mapper */
	"stratis",
	"BitLocker",
	"exfs",
	"hfsplus",
	"sysv",
	"xenix",
	"ocfs",
	"squashfs3",
	"befs",
	"mpool",
	"apfs",
};

static bool is_made(const char *type)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (streq(formats[i].type, type))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(not_made); i++)
		if (streq(not_made[i], type))
			return true;
	return false;
}

/* A newer libblkid knows more: each format is to be looked at, and made here if a tool can. */
static void test_wipe_knows_what_libblkid_knows(void **state)
{
	(void)state;
	if (!have("blkid"))
		skip();
	assert_int_equal(shell("blkid -k"), 0);
	char *save = NULL, *known = xasprintf("%s", output);
	size_t count = 0;
	for (char *type = strtok_r(known, "\n", &save); type; type = strtok_r(NULL, "\n", &save)) {
		count++;
		if (!is_made(type))
			fail_msg("libblkid knows \"%s\"; formats[] does not", type);
	}
	assert_true(count > 50);
	free(known);
}

/* Each format that leaves something behind, made by its own tool where one is packaged, else by its
 * document: libblkid sees it, and then nothing. Wherever the copies are. */
static void test_wipe_leaves_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct disk_dev d;
		struct err err = { 0 };
		if (!have(formats[i].needs))
			continue;
		if (strstr(formats[i].make, "losetup") && geteuid() != 0) {
			print_message("skipped: %s needs root\n", formats[i].type);
			continue;
		}
		if (shell("export PATH=$PATH:/sbin:/usr/sbin; rm -rf disk e; echo secret >key; "
			  "truncate -s %s disk; %s",
			  formats[i].size, formats[i].make) != 0)
			fail_msg("%s: %s", formats[i].make, output);
		/* What is there before, by the type alone: the test would see it. */
		shell("truncate -s %%4096 disk; truncate -s '>8M' disk; blkid -p disk");
		if (!strstr(output, formats[i].type))
			fail_msg("%s: %s", formats[i].make, output);
		open_disk(&d);
		assert_int_equal(disk_wipe_metadata(&d, false, &err), 0);
		disk_dev_close(&d);
		if (shell("blkid -p disk; test $? = 2 && wipefs --noheadings disk && "
			  "test -z \"$(wipefs --noheadings disk)\"") != 0)
			fail_msg("%s: left: %s", formats[i].make, output);
		/* Copies are no use to libblkid, but to the format's own tools: all data that are
		 * left at their places are holes. */
		if (shell("python3 - <<'X'\n"
			  "import os\nf=open('disk','rb'); n=os.path.getsize('disk'); G=1<<30\n"
			  "for at in [x*G for x in (1,4,10,16,64,100,256,1000,1024)]+[64<<20,4<<20,2<<20,1<<20]:\n"
			  "  f.seek(at); b=f.read(4096) if at<n else b''\n"
			  "  for m in (b'bluestore',b'OCFSV2',b'_BHRfS_M',b'SKUL',b'XFSB'):\n"
			  "    assert m not in b,(at,m)\n"
			  "X\n") != 0)
			fail_msg("%s: left: %s", formats[i].make, output);
	}
	shell("rm -rf disk e");
}

/* A BlueStore as ceph-volume makes it: on one logical volume that begins where the physical
 * volume's data begin, 1 MiB behind the partition's begin. */
static void test_wipe_bluestore_on_lvm(void **state)
{
	(void)state;
	struct disk_dev d;
	struct err err = { 0 };
	assert_int_equal(
		shell("rm -f disk; truncate -s 12G disk; python3 - <<'X'\n"
		      "import struct\nf=open('disk','r+b'); G=1<<30; M=1<<20\n"
		      "f.seek(512); f.write(b'LABELONE'+struct.pack('<QII',1,0,32)+b'LVM2 001'+"
		      "b'u'*32+struct.pack('<QQQQQ',12*G,M,0,0,0))\n"
		      "for at in (0,G,10*G):\n  f.seek(M+at); f.write(b'bluestore block device\\n')\n"
		      "X\n"),
		0);
	open_disk(&d);
	assert_int_equal(disk_wipe_metadata(&d, true, &err), 0);
	disk_dev_close(&d);
	assert_int_equal(
		shell("python3 - <<'X'\n"
		      "f=open('disk','rb'); G=1<<30; M=1<<20\n"
		      "for at in (0,G,10*G):\n  f.seek(M+at); assert f.read(4096)==bytes(4096),at\n"
		      "X\n"),
		0);
	shell("rm -f disk");
}

static void test_guard(void **state)
{
	(void)state;
	static const struct {
		const char *make, *says;
	} rows[] = {
		{ "sgdisk -n 1:2048:0 -t 1:AA31E02A-400F-11DB-9590-000C2911D1B8 disk", "VMFS" },
		{ "sgdisk -n 1:2048:0 -t 1:37AFFC90-EF7D-4E96-91C3-2D7AE055B174 disk", "GPFS" },
		{ "printf '\\001\\026\\031\\160' | dd of=disk bs=1 seek=65536 conv=notrunc",
		  "GFS2" },
		{ "sgdisk -n 1:2048:0 disk; printf '\\001\\026\\031\\160' | dd of=disk bs=1 seek=$((65536+1048576)) conv=notrunc",
		  "GFS2" },
	};
	if (!have("sgdisk"))
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct disk_dev d;
		struct err err = { 0 };
		assert_int_equal(
			shell("rm -f disk; truncate -s 32M disk; %s; cp disk before", rows[i].make),
			0);
		open_disk(&d);
		assert_true(disk_wipe_metadata(&d, true, &err) < 0);
		assert_non_null(strstr(err.text, rows[i].says));
		assert_int_equal(shell("cmp disk before"), 0);
		assert_int_equal(disk_wipe_metadata(&d, false, &err), 0);
		disk_dev_close(&d);
	}
}

static const struct configdrive_files files = { .meta_data = "{\"uuid\": \"x\"}" };
static const struct gpt_guid new_id = { { 1, 2, 3, 4, 5, 6, 0x47, 8, 0x89, 10 } };

static void place_and_check(uint64_t expect_offset)
{
	struct disk_dev d;
	struct disk_table t;
	struct err err = { 0 };
	void *iso = NULL, *back = NULL;
	char *text = NULL;
	size_t len = 0, back_len = 0;
	unsigned number = 0;
	assert_int_equal(configdrive_build(&files, 0, &iso, &len, NULL), 0);
	assert_int_equal(configdrive_build_text(&files, 0, &text, NULL), 0);
	assert_int_equal(disk_configdrive_load(text, NULL, &back, &back_len, &err), 0);
	assert_int_equal(len, back_len);
	assert_memory_equal(iso, back, len);
	open_disk(&d);
	assert_int_equal(disk_table_read(&d, &t, &err), 0);
	assert_int_equal(disk_table_fix(&d, &t, &err), 0);
	disk_table_done(&t);
	if (disk_configdrive_place(&d, iso, len, &new_id, &number, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(disk_table_read(&d, &t, &err), 0);
	const struct disk_part *p = disk_table_part(&t, number);
	assert_non_null(p);
	assert_int_equal(p->offset, expect_offset);
	assert_int_equal(disk_dev_read(&d, p->offset, back, len, &err), 0);
	assert_memory_equal(iso, back, len);
	disk_table_done(&t);
	disk_dev_close(&d);
	free(iso);
	free(back);
	free(text);
}

static void test_config_drive_gpt(void **state)
{
	(void)state;
	if (!have("sgdisk"))
		skip();
	/* A table for 32 MiB on a disk of 256 MiB. */
	assert_int_equal(
		shell("rm -f disk; truncate -s 32M disk; sgdisk -n 1:2048:0 disk; truncate -s 256M disk"),
		0);
	assert_true(shell("sgdisk -v disk") == 0 && !strstr(output, "No problems"));
	place_and_check(191 * MIB);
	assert_int_equal(shell("sgdisk -v disk"), 0);
	assert_non_null(strstr(output, "No problems found"));
	assert_int_equal(shell("sgdisk -p disk"), 0);
	/* as sgdisk's own -n 0:-64M:0 would place it */
	assert_non_null(strstr(output, "   2          391168          524254   65.0 MiB"));
	/* A second time: found by its label, not added. */
	place_and_check(191 * MIB);
	assert_int_equal(shell("sgdisk -p disk | grep -c MiB"), 0);
	assert_int_equal(
		shell("blkid -p -O %llu -o value -s LABEL disk", (unsigned long long)(191 * MIB)),
		0);
	assert_string_equal(output, "config-2\n");
}

static void test_config_drive_named_partition(void **state)
{
	(void)state;
	if (!have("sgdisk"))
		skip();
	assert_int_equal(
		shell("rm -f disk; truncate -s 64M disk; sgdisk -n 1:2048:+8M -n 2:0:+8M -c 2:config-2 -n 3:0:0 disk"),
		0);
	place_and_check(9 * MIB);
	assert_int_equal(
		shell("rm -f disk; truncate -s 64M disk; sgdisk -n 1:2048:+8M -n 2:0:+16K -c 2:config-2 disk"),
		0);
	struct disk_dev d;
	struct err err = { 0 };
	unsigned number;
	open_disk(&d);
	assert_true(disk_configdrive_place(&d, output, 40000, &new_id, &number, &err) < 0);
	assert_non_null(strstr(err.text, "partition 2 for it 16384"));
	disk_dev_close(&d);
}

static void make_mbr(unsigned primaries, uint64_t mib)
{
	uint8_t sector[512];
	mbr_make_protective(sector, 2);
	for (unsigned i = 0; i < 4; i++) {
		struct mbr_partition p = { 0 };
		if (i < primaries)
			p = (struct mbr_partition){ MBR_TYPE_LINUX, false, 2048 + i * 2048, 2048 };
		mbr_set_partition(sector, i, &p);
	}
	shell("rm -f disk; truncate -s %lluM disk", (unsigned long long)mib);
	struct disk_dev d;
	open_disk(&d);
	assert_int_equal(disk_dev_write(&d, 0, sector, 512, NULL), 0);
	disk_dev_close(&d);
}

static void test_config_drive_mbr(void **state)
{
	(void)state;
	make_mbr(3, 256);
	place_and_check(192 * MIB);
	struct disk_dev d;
	struct disk_table t;
	struct err err = { 0 };
	unsigned number;
	open_disk(&d);
	assert_int_equal(disk_table_read(&d, &t, NULL), 0);
	assert_int_equal(t.kind, DISK_TABLE_MBR);
	assert_int_equal(t.count, 4);
	assert_int_equal(t.mbr.parts[3].type, MBR_TYPE_FAT32_LBA);
	disk_table_done(&t);
	disk_dev_close(&d);
	/* beyond 2 TiB (a sparse file): just below the limit */
	make_mbr(1, UINT64_C(3) << 20);
	place_and_check((UINT64_C(2) << 40) - 65 * MIB);
	make_mbr(4, 256);
	open_disk(&d);
	assert_true(disk_configdrive_place(&d, "x", 1, &new_id, &number, &err) < 0);
	assert_non_null(strstr(err.text, "four primary partitions"));
	disk_dev_close(&d);
	make_mbr(1, 60);
	open_disk(&d);
	assert_true(disk_configdrive_place(&d, "x", 1, &new_id, &number, &err) < 0);
	assert_non_null(strstr(err.text, "reach too far"));
	disk_dev_close(&d);
}

static void test_config_drive_refusals(void **state)
{
	(void)state;
	void *data;
	size_t len;
	struct err err = { 0 };
	assert_true(disk_configdrive_load("%%%", NULL, &data, &len, &err) < 0);
	assert_non_null(strstr(err.text, "base64"));
	assert_true(disk_configdrive_load("", NULL, &data, &len, &err) < 0);
	assert_true(disk_configdrive_load("H4sIAAAA", NULL, &data, &len, &err) < 0);
	assert_non_null(strstr(err.text, "cut off"));
	/* A bomb: 65 MiB of zeros. */
	assert_int_equal(shell("head -c $((65*1024*1024)) /dev/zero | gzip -9 | base64 -w0"), 0);
	char *bomb = xstrdup(output);
	assert_true(strlen(bomb) < sizeof(output) - 1);
	assert_int_equal(disk_configdrive_load(bomb, NULL, &data, &len, &err), -E2BIG);
	free(bomb);
}

/* --- UEFI --- */

static void make_esp(const char *fat_bits, const char *files_in)
{
	assert_int_equal(
		shell("rm -rf disk esp tree efivars; truncate -s 80M disk; sgdisk -n 1:2048:+64M -t 1:ef00 disk; "
		      "truncate -s 64M esp; mformat -i esp %s ::; mkdir -p tree efivars; cd tree; %s; cd ..; "
		      "if [ -n \"$(ls tree)\" ]; then mcopy -s -i esp tree/* ::/; fi; dd if=esp of=disk bs=1M seek=1 conv=notrunc",
		      fat_bits, files_in),
		0);
}

static int install(struct disk_boot_result *ret, struct err *err)
{
	struct disk_dev d;
	char *vars = xasprintf("%s/efivars", dir);
	const struct disk_boot_options options = { .efivars = vars, .machine = "x86_64" };
	open_disk(&d);
	int r = disk_boot_install(&d, &options, ret, err);
	disk_dev_close(&d);
	free(vars);
	return r;
}

static void test_boot_entry(void **state)
{
	(void)state;
	struct disk_boot_result b;
	struct err err = { 0 };
	static const char *const kinds[] = { "-F -c 1", "-c 8" }; /* FAT32, FAT16 */
	if (!have("mformat") || !have("sgdisk"))
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		make_esp(kinds[i],
			 "mkdir -p EFI/BOOT EFI/some-distribution; echo x > EFI/BOOT/BOOTX64.EFI; "
			 "echo x > EFI/BOOT/BOOTAA64.EFI; echo x > EFI/some-distribution/grub.efi");
		if (install(&b, &err) < 0)
			fail_msg("%s", err.text);
		assert_int_equal(b.number, 0);
		assert_string_equal(b.path, "\\EFI\\BOOT\\BOOTX64.EFI");
		assert_string_equal(b.label, "ironic1");
		/* Again: replaced, not collected. */
		assert_int_equal(install(&b, &err), 0);
		assert_int_equal(shell("ls efivars | wc -l"), 0);
		assert_string_equal(output, "2\n");
	}
	make_esp(
		"-F -c 1",
		"mkdir -p EFI/BOOT EFI/a-very-long-directory-name; echo x > EFI/BOOT/BOOTX64.EFI; "
		"printf 'shimx64.efi,Some Linux,,comment\\n' | iconv -t UTF-16 > EFI/a-very-long-directory-name/BOOTX64.CSV");
	assert_int_equal(install(&b, &err), 0);
	assert_string_equal(b.path, "\\EFI\\a-very-long-directory-name\\shimx64.efi");
	assert_string_equal(b.label, "Some Linux");
	make_esp("-F -c 1", "mkdir -p EFI/BOOT; echo x > EFI/BOOT/BOOTAA64.EFI");
	assert_int_equal(install(&b, &err), -ENOENT);
	assert_non_null(strstr(err.text, "no boot loader for x86_64"));
	make_esp("-F -c 1", "true");
	assert_int_equal(install(&b, &err), -ENOENT);
	assert_int_equal(shell("rm disk; truncate -s 80M disk; sgdisk -n 1:2048:0 disk"), 0);
	assert_int_equal(install(&b, &err), -ENOENT);
	assert_non_null(strstr(err.text, "no EFI system partition"));
}

static void save_var(const char *name, const void *data, size_t len)
{
	char *path = xasprintf("%s/efivars/%s-8be4df61-93ca-11d2-aa0d-00e098032b8c", dir, name);
	FILE *f = fopen(path, "we");
	fwrite("\7\0\0\0", 1, 4, f);
	fwrite(data, 1, len, f);
	fclose(f);
	free(path);
}

static void test_boot_order(void **state)
{
	(void)state;
	struct disk_boot_result b;
	struct err err = { 0 };
	uint8_t option[EFI_OPTION_MAX];
	if (!have("mformat") || !have("sgdisk"))
		skip();
	make_esp("-F -c 1", "mkdir -p EFI/BOOT; echo x > EFI/BOOT/BOOTX64.EFI");
	struct efi_option old = {
		.active = true, .label = "ironic1", .partition = 1, .gpt = true, .path = "\\x"
	};
	struct efi_option pxe = { .active = true, .label = "PXE", .path = "" };
	save_var("Boot0000", option, efi_option_encode(&pxe, option));
	save_var("Boot0003", option, efi_option_encode(&old, option));
	save_var("BootOrder", "\3\0\0\0\7\0", 6);
	assert_int_equal(install(&b, &err), 0);
	assert_int_equal(b.number, 1);
	assert_int_equal(shell("ls efivars; od -An -tx1 efivars/BootOrder-*"), 0);
	assert_null(strstr(output, "Boot0003-"));
	assert_non_null(strstr(output, " 07 00 00 00 01 00 00 00 07 00\n"));
	/* clean_uefi_nvram with its default patterns */
	static const char *const patterns[] = { "^HD\\(", "shim.*\\.efi", "grub.*\\.efi", NULL };
	static const char *const bad[] = { "(", NULL };
	char *vars = xasprintf("%s/efivars", dir);
	assert_int_equal(disk_boot_clean(vars, patterns, &err), 1);
	assert_int_equal(shell("ls efivars"), 0);
	assert_non_null(strstr(output, "Boot0000-"));
	assert_null(strstr(output, "Boot0001-"));
	assert_true(disk_boot_clean(vars, bad, &err) < 0);
	assert_true(disk_boot_clean("/nonexistent", patterns, &err) < 0);
	free(vars);
}

static void test_efi_option(void **state)
{
	(void)state;
	uint8_t data[EFI_OPTION_MAX];
	struct efi_option o = { .active = true,
				.label = "Linux",
				.partition = 2,
				.start = 2048,
				.sectors = 4096,
				.gpt = true,
				.id = new_id,
				.path = "\\EFI\\x.efi" },
			  back;
	char text[256];
	size_t len = efi_option_encode(&o, data);
	assert_int_equal(efi_option_parse(data, len, &back), 0);
	assert_string_equal(back.path, o.path);
	assert_int_equal(back.sectors, 4096);
	assert_string_equal(
		efi_option_describe(&back, text, sizeof(text)),
		"HD(2,GPT,04030201-0605-0847-890A-000000000000,0x800,0x1000)/File(\\EFI\\x.efi)");
	assert_int_equal(efi_option_parse(data, 20, &back), -EINVAL);
	assert_int_equal(efi_option_parse(data, 3, &back), -EINVAL);
	char file[EFI_PATH_MAX], label[EFI_LABEL_MAX];
	assert_int_equal(efi_csv_parse("a.efi,Label,,x\nb.efi,B", 22, file, label), 0);
	assert_string_equal(file, "a.efi");
	assert_string_equal(label, "Label");
	assert_true(efi_csv_parse("a.efi", 5, file, label) < 0);
	assert_true(efi_csv_parse("", 0, file, label) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dev),
		cmocka_unit_test(test_wipe),
		cmocka_unit_test(test_wipe_leaves_nothing),
		cmocka_unit_test(test_wipe_knows_what_libblkid_knows),
		cmocka_unit_test(test_wipe_bluestore_on_lvm),
		cmocka_unit_test(test_guard),
		cmocka_unit_test(test_config_drive_gpt),
		cmocka_unit_test(test_config_drive_named_partition),
		cmocka_unit_test(test_config_drive_mbr),
		cmocka_unit_test(test_config_drive_refusals),
		cmocka_unit_test(test_boot_entry),
		cmocka_unit_test(test_boot_order),
		cmocka_unit_test(test_efi_option),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
