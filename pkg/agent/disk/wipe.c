/* Metadata erase. Nearly all signatures lie within three mebibytes of either end of what they
 * describe: md 0.90 and 1.x, LVM, ext, XFS, swap, ZFS labels, LUKS1, DDF and IMSM within one;
 * Promise's RAID 3087 sectors before the end, UDF's anchor with blocks of 4 KiB at 1 MiB,
 * bcachefs's second superblock at 2 MiB. So both ends are zeroed; the few that lie further in are
 * looked for by their magic bytes and zeroed where found. test_disk.c makes each format with its
 * own tool and asks libblkid.
 */

#include "agent/disk/wipe.h"

#include <string.h>

#include "agent/disk/table.h"
#include "base/cursor.h"

#define MIB ((uint64_t)1024 * 1024)
#define GIB (1024 * MIB)

enum {
	WIPE_UNIT = 4096,
	METADATA_ENDS = 3 * 1024 * 1024,
	MAGIC_MAX = 32,
	LVM_AREAS = 40, /* in pv_header, behind the UUID and the size */
};

/* Beyond the first mebibyte: the unit around each is zeroed if the magic is there. */
static const struct {
	uint64_t offset;
	uint8_t at, len;
	const char *magic;
} far_signatures[] = {
	{ 64 * MIB, 0x40, 8, "_BHRfS_M" },
	{ 256 * GIB, 0x40, 8, "_BHRfS_M" },
	{ 1 * MIB, 0, 6, "SKUL\xba\xbe" },
	{ 2 * MIB, 0, 6, "SKUL\xba\xbe" },
	{ 4 * MIB, 0, 6, "SKUL\xba\xbe" },
	/* Ceph's BlueStore: bdev_label_positions of BlueStore.cc */
	{ 1 * GIB, 0, 23, "bluestore block device\n" },
	{ 10 * GIB, 0, 23, "bluestore block device\n" },
	{ 100 * GIB, 0, 23, "bluestore block device\n" },
	{ 1000 * GIB, 0, 23, "bluestore block device\n" },
	/* OCFS2: ocfs2_backup_super_blkno() of ocfs2_fs.h */
	{ 1 * GIB, 0, 6, "OCFSV2" },
	{ 4 * GIB, 0, 6, "OCFSV2" },
	{ 16 * GIB, 0, 6, "OCFSV2" },
	{ 64 * GIB, 0, 6, "OCFSV2" },
	{ 256 * GIB, 0, 6, "OCFSV2" },
	{ 1024 * GIB, 0, 6, "OCFSV2" },
};

static const struct {
	uint64_t offset;
	uint8_t len;
	const char *magic, *name;
} shared_signatures[] = {
	{ 0x10000, 4, "\x01\x16\x19\x70", "GFS2" },
	{ 1 * MIB, 4, "\x0d\xd0\x01\xc0", "VMFS" },
	{ 2 * MIB, 4, "\x5e\xf1\xab\x2f", "VMFS" },
};

static const struct {
	const char *guid, *name;
} shared_types[] = {
	{ "37AFFC90-EF7D-4E96-91C3-2D7AE055B174", "GPFS" },
	{ "AA31E02A-400F-11DB-9590-000C2911D1B8", "VMFS" },
};

enum { MBR_TYPE_VMFS = 0xfb };

struct region {
	uint64_t offset, len;
};

static int wipe_region_ends(const struct disk_dev *d, struct region g, uint64_t each,
			    struct err *err)
{
	uint64_t n = MIN(g.len, each);
	int r = disk_dev_zero(d, g.offset, n, err);
	return r == 0 ? disk_dev_zero(d, g.offset + g.len - n, n, err) : r;
}

int disk_wipe_ends(const struct disk_dev *d, struct err *err)
{
	int r = wipe_region_ends(d, (struct region){ 0, d->size }, MIB, err);
	return r == 0 ? disk_dev_flush(d, err) : r;
}

static bool has_magic(const struct disk_dev *d, struct region g, uint64_t offset, const char *magic,
		      size_t len)
{
	char bytes[MAGIC_MAX];
	if (offset + len > g.len || disk_dev_read(d, g.offset + offset, bytes, len, NULL) < 0)
		return false;
	return memcmp(bytes, magic, len) == 0;
}

/* Partitions are wiped through the disk: their nodes may not exist here. */
static int wipe_region(const struct disk_dev *d, struct region g, struct err *err)
{
	int r = 0;
	for (size_t i = 0; i < ARRAY_SIZE(far_signatures) && r == 0; i++) {
		uint64_t at = far_signatures[i].offset;
		if (has_magic(d, g, at + far_signatures[i].at, far_signatures[i].magic,
			      far_signatures[i].len))
			r = disk_dev_zero(d, g.offset + at, MIN((uint64_t)WIPE_UNIT, g.len - at),
					  err);
	}
	return r == 0 ? wipe_region_ends(d, g, METADATA_ENDS, err) : r;
}

/* Where the data of an LVM physical volume begin (label and pv_header of LVM2's layout.h); 0: it is
 * none. Ceph gives a BlueStore one volume of all extents, which begins there. */
static uint64_t lvm_data(const struct disk_dev *d, struct region g)
{
	uint8_t sector[512];
	for (uint64_t at = 0; at < 4 * sizeof(sector); at += sizeof(sector)) {
		if (!has_magic(d, g, at, "LABELONE", 8) ||
		    !has_magic(d, g, at + 24, "LVM2 001", 8) ||
		    disk_dev_read(d, g.offset + at, sector, sizeof(sector), NULL) < 0)
			continue;
		struct cursor c;
		cursor_init(&c, sector, sizeof(sector));
		cursor_seek(&c, 20);
		uint32_t header = cursor_le32(&c);
		cursor_seek(&c, MIN((size_t)header, sizeof(sector)) + LVM_AREAS);
		uint64_t start = cursor_le64(&c);
		return cursor_ok(&c) && start < g.len ? start : 0;
	}
	return 0;
}

static int wipe_with_inner(const struct disk_dev *d, struct region g, struct err *err)
{
	uint64_t inner = lvm_data(d, g);
	int r = inner ? wipe_region(d, (struct region){ g.offset + inner, g.len - inner }, err) : 0;
	return r == 0 ? wipe_region(d, g, err) : r;
}

/* --- shared file systems --------------------------------------------------------------------- */

static int shared(const struct disk_dev *d, const char *name, struct err *err)
{
	return err_set(
		err, ERR_DENIED,
		"%s holds a %s file system, which other machines may use: it is not wiped; set "
		"ipa-guard-special-filesystems=false if it should be",
		d->path, name);
}

static int guard_region(const struct disk_dev *d, struct region g, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(shared_signatures); i++)
		if (has_magic(d, g, shared_signatures[i].offset, shared_signatures[i].magic,
			      shared_signatures[i].len))
			return shared(d, shared_signatures[i].name, err);
	return 0;
}

/* By type first: a damaged VMFS has no magic left, and is shared all the same. */
static int guard_types(const struct disk_dev *d, const struct disk_table *t, struct err *err)
{
	for (unsigned i = 0; t->kind == DISK_TABLE_MBR && i < MBR_PRIMARY_MAX; i++)
		if (t->mbr.parts[i].type == MBR_TYPE_VMFS)
			return shared(d, "VMFS", err);
	for (size_t n = 0; n < ARRAY_SIZE(shared_types); n++) {
		struct gpt_guid guid;
		(void)gpt_guid_parse(shared_types[n].guid, &guid);
		for (uint32_t i = 0; i < t->gpt.header.entry_count; i++)
			if (gpt_guid_equal(&t->gpt.entries[i].type, &guid))
				return shared(d, shared_types[n].name, err);
	}
	return 0;
}

static int guard_all(const struct disk_dev *d, const struct disk_table *t, struct err *err)
{
	int r = guard_types(d, t, err);
	if (r == 0)
		r = guard_region(d, (struct region){ 0, d->size }, err);
	for (size_t i = 0; i < t->count && r == 0; i++)
		r = guard_region(d, (struct region){ t->parts[i].offset, t->parts[i].len }, err);
	return r;
}

int disk_wipe_metadata(const struct disk_dev *d, bool guard, struct err *err)
{
	_cleanup_(disk_table_done) struct disk_table t = { 0 };
	int r = disk_table_read(d, &t, err);
	if (r == 0 && guard)
		r = guard_all(d, &t, err);
	for (size_t i = 0; i < t.count && r == 0; i++) {
		const struct disk_part *p = &t.parts[i];
		/* A table may claim more than there is. */
		if (p->offset < d->size && p->len <= d->size - p->offset)
			r = wipe_with_inner(d, (struct region){ p->offset, p->len }, err);
	}
	if (r == 0)
		r = wipe_with_inner(d, (struct region){ 0, d->size }, err);
	if (r == 0)
		r = disk_dev_flush(d, err);
	if (r == 0)
		disk_dev_reread(d);
	return r;
}
