/* Partition tables over the codecs of pkg/wire. Placement of the config drive's partition follows
 * sgdisk and parted as ironic-python-agent calls them. */

#include "agent/disk/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define MIB	     ((uint64_t)1024 * 1024)
#define MBR_LIMIT    (UINT64_C(2) << 40) /* bytes that 32-bit sectors of 512 reach */
#define LOGICALS_MAX 60

enum { MBR_PRIMARIES_USED_MAX = 3, SECTOR_MAX = 4096 };

/* --- reading --------------------------------------------------------------------------------- */

static void add_part(struct disk_table *t, const struct disk_part *p)
{
	if (t->count < DISK_PARTS_MAX)
		t->parts[t->count++] = *p;
}

/* Rows are numbered as the kernel does it: free ones count. */
static void list_gpt(struct disk_table *t)
{
	for (uint32_t i = 0; i < t->gpt.header.entry_count; i++) {
		const struct gpt_entry *e = &t->gpt.entries[i];
		if (!gpt_entry_used(e) || e->last < e->first)
			continue;
		struct disk_part p = {
			.number = i + 1,
			.offset = e->first * t->gpt.sector_size,
			.len = (e->last - e->first + 1) * t->gpt.sector_size,
			.esp = gpt_guid_equal(&e->type, &gpt_type_esp),
			.named_config = gpt_name_is(e, "config-2"),
			.id = e->id,
		};
		add_part(t, &p);
	}
}

static int read_gpt_at(const struct disk_dev *d, uint64_t lba, struct gpt *ret, struct err *err)
{
	_cleanup_(freep) uint8_t *sector = disk_alloc(SECTOR_MAX);
	struct gpt_header h;
	if (disk_dev_read(d, lba * d->sector, sector, d->sector, err) < 0)
		return -EIO;
	int r = gpt_parse_header(sector, d->sector, lba, &h);
	if (r < 0)
		return r;
	size_t size = gpt_table_size(&h, d->sector);
	_cleanup_(freep) uint8_t *table = disk_alloc(size);
	if (h.entries_lba > d->size / d->sector ||
	    disk_dev_read(d, h.entries_lba * d->sector, table, size, err) < 0)
		return -EBADMSG;
	return gpt_parse(&h, table, size, d->sector, ret);
}

/* The backup only if the primary is damaged, as every other reader does it. */
static bool read_gpt(const struct disk_dev *d, struct gpt *ret, struct err *err)
{
	return read_gpt_at(d, 1, ret, err) == 0 ||
	       read_gpt_at(d, d->size / d->sector - 1, ret, err) == 0;
}

/* The chain of logical partitions: each link is a sector with one partition and the next link. */
static void list_logicals(const struct disk_dev *d, struct disk_table *t, uint32_t base)
{
	uint8_t sector[MBR_SIZE];
	uint64_t link = base;
	for (unsigned i = 0; i < LOGICALS_MAX; i++) {
		struct mbr m;
		if (disk_dev_read(d, link * d->sector, sector, sizeof(sector), NULL) < 0 ||
		    mbr_parse(sector, sizeof(sector), &m) < 0)
			return;
		struct disk_part p = {
			.number = MBR_PRIMARY_MAX + 1 + i,
			.offset = (link + m.parts[0].start) * d->sector,
			.len = (uint64_t)m.parts[0].sectors * d->sector,
			.esp = m.parts[0].type == MBR_TYPE_ESP,
		};
		if (p.len > 0)
			add_part(t, &p);
		if (!mbr_is_extended(m.parts[1].type) || m.parts[1].start == 0)
			return;
		link = (uint64_t)base + m.parts[1].start;
	}
}

static void list_mbr(const struct disk_dev *d, struct disk_table *t)
{
	for (unsigned i = 0; i < MBR_PRIMARY_MAX; i++) {
		const struct mbr_partition *m = &t->mbr.parts[i];
		if (m->type == MBR_TYPE_EMPTY || m->sectors == 0)
			continue;
		struct disk_part p = {
			.number = i + 1,
			.offset = (uint64_t)m->start * d->sector,
			.len = (uint64_t)m->sectors * d->sector,
			.esp = m->type == MBR_TYPE_ESP,
		};
		if (mbr_is_extended(m->type))
			list_logicals(d, t, m->start);
		else
			add_part(t, &p);
	}
}

int disk_table_read(const struct disk_dev *d, struct disk_table *ret, struct err *err)
{
	uint8_t sector[MBR_SIZE];
	struct err local = { 0 };
	*ret = (struct disk_table){ 0 };
	if (d->size < 2 * SECTOR_MAX)
		return 0;
	int r = disk_dev_read(d, 0, sector, sizeof(sector), err);
	if (r < 0)
		return r;
	if (read_gpt(d, &ret->gpt, &local)) {
		ret->kind = DISK_TABLE_GPT;
		list_gpt(ret);
	} else if (mbr_parse(sector, sizeof(sector), &ret->mbr) == 0 && mbr_count(&ret->mbr) > 0 &&
		   !mbr_is_protective(&ret->mbr)) {
		ret->kind = DISK_TABLE_MBR;
		list_mbr(d, ret);
	}
	return 0;
}

void disk_table_done(struct disk_table *t)
{
	gpt_done(&t->gpt);
	*t = (struct disk_table){ 0 };
}

const struct disk_part *disk_table_part(const struct disk_table *t, unsigned number)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->parts[i].number == number)
			return &t->parts[i];
	return NULL;
}

/* --- writing --------------------------------------------------------------------------------- */

/* Table before header: a header is only ever found with its table in place. */
static int write_copy(const struct disk_dev *d, const struct gpt *g, bool backup, struct err *err)
{
	size_t size = gpt_table_size(&g->header, d->sector);
	_cleanup_(freep) uint8_t *header = disk_alloc(SECTOR_MAX);
	_cleanup_(freep) uint8_t *table = disk_alloc(size);
	gpt_encode(g, backup, header, table);
	uint64_t header_at = (backup ? g->header.other_lba : 1) * d->sector;
	uint64_t table_at = backup ? header_at - size : g->header.entries_lba * d->sector;
	int r = disk_dev_write(d, table_at, table, size, err);
	return r == 0 ? disk_dev_write(d, header_at, header, d->sector, err) : r;
}

static int write_gpt(const struct disk_dev *d, const struct gpt *g, struct err *err)
{
	uint8_t sector[MBR_SIZE];
	/* Backup first: whenever we are stopped, one copy is whole. */
	int r = write_copy(d, g, true, err);
	if (r == 0)
		r = disk_dev_flush(d, err);
	if (r == 0)
		r = write_copy(d, g, false, err);
	if (r == 0)
		r = disk_dev_read(d, 0, sector, sizeof(sector), err);
	if (r < 0)
		return r;
	mbr_stretch_protective(sector, d->size / d->sector);
	r = disk_dev_write(d, 0, sector, sizeof(sector), err);
	return r == 0 ? disk_dev_flush(d, err) : r;
}

int disk_table_fix(const struct disk_dev *d, struct disk_table *t, struct err *err)
{
	if (t->kind != DISK_TABLE_GPT)
		return 0;
	int r = gpt_relocate(&t->gpt, d->size / d->sector, err);
	return r == 0 ? write_gpt(d, &t->gpt, err) : r;
}

static int no_room(const struct disk_dev *d, const char *why, struct err *err)
{
	return err_set(err, ERR_LIMIT, "no room for the config drive on %s: %s", d->path, why);
}

/* The backup is moved first, or the new partition could lie where it was. */
static int add_gpt(const struct disk_dev *d, struct disk_table *t, uint64_t len,
		   const struct gpt_guid *id, struct disk_part *ret, struct err *err)
{
	int r = gpt_relocate(&t->gpt, d->size / d->sector, err);
	if (r < 0)
		return r;
	uint64_t end = t->gpt.header.last_usable + 1, unit = MIB / d->sector;
	uint64_t sectors = (len + d->sector - 1) / d->sector;
	if (sectors > end)
		return no_room(d, "the disk is too small", err);
	/* As "sgdisk -n 0:-64M:0": the start is rounded down, so the partition is a little larger.
	 */
	struct gpt_entry e = {
		.type = gpt_type_linux,
		.id = *id,
		.first = (end - sectors) / unit * unit,
		.last = end - 1,
	};
	unsigned number = 0;
	r = gpt_add(&t->gpt, &e, &number, err);
	if (r < 0)
		return no_room(d, "the image's partitions reach too far", err);
	r = write_gpt(d, &t->gpt, err);
	if (r < 0)
		return r;
	*ret = (struct disk_part){
		.number = number,
		.offset = e.first * d->sector,
		.len = (e.last - e.first + 1) * d->sector,
		.id = *id,
	};
	return 0;
}

static int free_row(const struct mbr *m)
{
	for (int i = 0; i < MBR_PRIMARY_MAX; i++)
		if (m->parts[i].type == MBR_TYPE_EMPTY || m->parts[i].sectors == 0)
			return i;
	return -1;
}

/* At most three primaries may be in use; logical partitions are not made. */
static int add_mbr(const struct disk_dev *d, struct disk_table *t, uint64_t len,
		   struct disk_part *ret, struct err *err)
{
	uint8_t sector[MBR_SIZE];
	int row = free_row(&t->mbr);
	if (row < 0 || mbr_count(&t->mbr) > MBR_PRIMARIES_USED_MAX)
		return no_room(d, "its four primary partitions are in use", err);
	uint64_t end = MIN(d->size, MBR_LIMIT - MIB),
		 start = end > len ? (end - len) / MIB * MIB : 0;
	for (size_t i = 0; i < t->count; i++)
		if (t->parts[i].offset + t->parts[i].len > start)
			return no_room(d, "the image's partitions reach too far", err);
	const struct mbr_partition p = {
		.type = MBR_TYPE_FAT32_LBA, /* what "parted mkpart primary fat32" writes */
		.start = (uint32_t)(start / d->sector),
		.sectors = (uint32_t)((end - start) / d->sector),
	};
	int r = disk_dev_read(d, 0, sector, sizeof(sector), err);
	if (r < 0)
		return r;
	mbr_set_partition(sector, (unsigned)row, &p);
	r = disk_dev_write(d, 0, sector, sizeof(sector), err);
	*ret = (struct disk_part){ .number = (unsigned)row + 1,
				   .offset = start,
				   .len = end - start };
	return r == 0 ? disk_dev_flush(d, err) : r;
}

int disk_table_add_last(const struct disk_dev *d, struct disk_table *t, uint64_t len,
			const struct gpt_guid *id, struct disk_part *ret, struct err *err)
{
	switch (t->kind) {
	case DISK_TABLE_GPT:
		return add_gpt(d, t, len, id, ret, err);
	case DISK_TABLE_MBR:
		return add_mbr(d, t, len, ret, err);
	case DISK_TABLE_NONE:
		break;
	}
	return no_room(d, "the image has no partition table", err);
}

/* --- the head of an image -------------------------------------------------------------------- */

/* 1: a GPT with partitions, 0: an empty or damaged one, -1: none. */
static int head_gpt(const uint8_t *head, size_t len, uint32_t sector)
{
	struct gpt_header h;
	struct gpt g;
	if (len < 2 * (size_t)sector || gpt_parse_header(head + sector, sector, 1, &h) < 0)
		return -1;
	size_t size = gpt_table_size(&h, sector);
	if (h.entries_lba > len / sector || size > len - h.entries_lba * sector ||
	    gpt_parse(&h, head + h.entries_lba * sector, size, sector, &g) < 0)
		return 0;
	int used = 0;
	for (uint32_t i = 0; i < g.header.entry_count; i++)
		used |= gpt_entry_used(&g.entries[i]);
	gpt_done(&g);
	return used;
}

int disk_table_check_head(const uint8_t *head, size_t len, uint32_t sector, bool *ret_gpt,
			  struct err *err)
{
	struct mbr m;
	int gpt = head_gpt(head, len, sector);
	*ret_gpt = gpt > 0;
	if (gpt > 0)
		return 0;
	uint32_t other = sector == SECTOR_MAX ? 512 : SECTOR_MAX;
	if (gpt < 0 && head_gpt(head, len, other) > 0)
		return err_set(
			err, ERR_INVALID,
			"the image's partition table is for sectors of %u bytes and the disk "
			"has %u",
			other, sector);
	if (mbr_parse(head, len, &m) == 0 && mbr_count(&m) > 0 && !mbr_is_protective(&m))
		return 0;
	return err_set(
		err, ERR_NOT_FOUND,
		"the image has no partition: it must be a whole disk with a partition table");
}

bool disk_table_undecided(const uint8_t *head, size_t len)
{
	if (len < MBR_SIZE)
		return true;
	for (uint32_t sector = 512; sector <= SECTOR_MAX; sector *= 8) {
		struct gpt_header h;
		if (len < 2 * (size_t)sector)
			return true;
		if (gpt_parse_header(head + sector, sector, 1, &h) < 0)
			continue;
		uint64_t end = h.entries_lba < DISK_BLOCK
				       ? h.entries_lba * sector + gpt_table_size(&h, sector)
				       : UINT64_MAX;
		/* What is not within a block will not be found later either. */
		return end > len && end <= DISK_BLOCK;
	}
	return false;
}

static uint64_t gpt_end(const uint8_t *head, size_t len, uint32_t sector)
{
	struct gpt_header h;
	struct gpt g;
	uint64_t end = 0;
	if (head_gpt(head, len, sector) <= 0 ||
	    gpt_parse_header(head + sector, sector, 1, &h) < 0 ||
	    gpt_parse(&h, head + h.entries_lba * sector, gpt_table_size(&h, sector), sector, &g) <
		    0)
		return 0;
	for (uint32_t i = 0; i < g.header.entry_count; i++)
		if (gpt_entry_used(&g.entries[i]) && g.entries[i].last < UINT64_MAX / SECTOR_MAX)
			end = MAX(end, (g.entries[i].last + 1) * sector);
	gpt_done(&g);
	return end;
}

uint64_t disk_table_end(const uint8_t *head, size_t len, uint32_t sector)
{
	uint64_t end = gpt_end(head, len, sector);
	struct mbr m;
	/* An MBR does not say for which sectors it was made. */
	if (end > 0 || sector != 512 || mbr_parse(head, len, &m) < 0 || mbr_is_protective(&m))
		return end;
	for (size_t i = 0; i < MBR_PRIMARY_MAX; i++)
		if (m.parts[i].type != MBR_TYPE_EMPTY && m.parts[i].sectors > 0)
			end = MAX(end, ((uint64_t)m.parts[i].start + m.parts[i].sectors) * sector);
	return end;
}

bool disk_table_backup_of(const uint8_t *head, size_t len, uint64_t *ret_end)
{
	for (uint32_t sector = 512; sector <= SECTOR_MAX; sector *= 8) {
		struct gpt_header h;
		if (len < 2 * (size_t)sector ||
		    gpt_parse_header(head + sector, sector, 1, &h) < 0 ||
		    h.other_lba >= (UINT64_C(1) << 62) / SECTOR_MAX)
			continue;
		*ret_end = (h.other_lba + 1) * sector;
		return true;
	}
	return false;
}
