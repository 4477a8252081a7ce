/* FAT by Microsoft's specification of 2000 ("fatgen103"). Which of the three it is follows from the
 * number of clusters alone. The table is read entry by entry: directories of an ESP are short. Pure
 * but for the callback. */

#include "agent/disk/fat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	BOOT_SECTOR = 512,
	ENTRY = 32,
	ATTR_VOLUME = 0x08,
	ATTR_DIRECTORY = 0x10,
	ATTR_LONG = 0x0f,
	DELETED = 0xe5,
	LONG_UNITS = 13, /* UTF-16 units in one long entry */
	CLUSTER_BYTES_MAX = 256 * 1024,
	DIRECTORY_BYTES_MAX = 2 * 1024 * 1024, /* 65,536 entries: the format's own limit */
};

struct boot {
	uint16_t sector, reserved, root_entries;
	uint8_t sectors_per_cluster, fats;
	uint32_t total, fat_sectors, root_cluster;
};

static struct boot read_boot(const uint8_t *sector)
{
	struct cursor c;
	struct boot b;
	cursor_init(&c, sector, BOOT_SECTOR);
	cursor_seek(&c, 11);
	b.sector = cursor_le16(&c);
	b.sectors_per_cluster = cursor_u8(&c);
	b.reserved = cursor_le16(&c);
	b.fats = cursor_u8(&c);
	b.root_entries = cursor_le16(&c);
	b.total = cursor_le16(&c);
	cursor_skip(&c, 1);
	b.fat_sectors = cursor_le16(&c);
	cursor_seek(&c, 32);
	uint32_t total32 = cursor_le32(&c), fat32 = cursor_le32(&c);
	cursor_seek(&c, 44);
	b.root_cluster = cursor_le32(&c);
	b.total = b.total ? b.total : total32;
	b.fat_sectors = b.fat_sectors ? b.fat_sectors : fat32;
	return b;
}

static bool power_of_two(uint32_t v)
{
	return v != 0 && (v & (v - 1)) == 0;
}

/* Everything that is divided by or allocated below. */
static bool plausible(const struct boot *b)
{
	return power_of_two(b->sector) && b->sector >= 512 && b->sector <= 4096 &&
	       power_of_two(b->sectors_per_cluster) && b->fats >= 1 && b->fats <= 4 &&
	       b->reserved > 0 && b->fat_sectors > 0 && b->total > 0 &&
	       (uint32_t)b->sector * b->sectors_per_cluster <= CLUSTER_BYTES_MAX;
}

int disk_fat_open(disk_fat_read_fn read, void *data, struct disk_fat *ret, struct err *err)
{
	uint8_t sector[BOOT_SECTOR];
	if (read(data, 0, sector, sizeof(sector)) < 0)
		return err_set(err, ERR_IO, "cannot read the file system");
	struct boot b = read_boot(sector);
	if (!plausible(&b) || sector[510] != 0x55 || sector[511] != 0xaa)
		return err_set(err, ERR_INVALID, "not a FAT file system");
	uint64_t root_sectors = ((uint64_t)b.root_entries * ENTRY + b.sector - 1) / b.sector;
	uint64_t before = b.reserved + (uint64_t)b.fats * b.fat_sectors + root_sectors;
	if (before >= b.total)
		return err_set(err, ERR_INVALID, "not a FAT file system");
	uint32_t clusters = (uint32_t)((b.total - before) / b.sectors_per_cluster);
	*ret = (struct disk_fat){
		.read = read,
		.data = data,
		.bits = clusters < 4085	   ? 12
			: clusters < 65525 ? 16
					   : 32,
		.sector = b.sector,
		.cluster_bytes = (uint32_t)b.sector * b.sectors_per_cluster,
		.clusters = clusters,
		.fat_at = (uint64_t)b.reserved * b.sector,
		.root_at = (before - root_sectors) * b.sector,
		.data_at = before * b.sector,
		.root_bytes = (uint32_t)b.root_entries * ENTRY,
		.root_cluster = b.root_cluster,
	};
	return 0;
}

/* --- chains ---------------------------------------------------------------------------------- */

/* The cluster after `cluster`; 0 at the end and for damage. */
static uint32_t next_cluster(const struct disk_fat *f, uint32_t cluster)
{
	uint8_t raw[4] = { 0 };
	uint64_t at = f->fat_at + (uint64_t)cluster * f->bits / 8;
	if (f->read(f->data, at, raw, f->bits == 32 ? 4 : 2) < 0)
		return 0;
	uint32_t v = raw[0] | (uint32_t)raw[1] << 8 | (uint32_t)raw[2] << 16 |
		     (uint32_t)raw[3] << 24;
	if (f->bits == 12)
		v = cluster & 1 ? v >> 4 : v & 0xfff;
	v &= 0x0fffffff;
	return v >= 2 && v < f->clusters + 2 ? v : 0;
}

/* `max` bytes of a chain at most; *ret_len as many as there are. */
static int read_chain(const struct disk_fat *f, uint32_t cluster, size_t max, uint8_t **ret,
		      size_t *ret_len)
{
	_cleanup_(strbuf_done) struct strbuf out = { 0 };
	_cleanup_(freep) uint8_t *buf = xmalloc(f->cluster_bytes);
	/* A chain that runs in a circle ends at the limit. */
	while (cluster >= 2 && cluster < f->clusters + 2 && out.len < max) {
		uint64_t at = f->data_at + (uint64_t)(cluster - 2) * f->cluster_bytes;
		if (f->read(f->data, at, buf, f->cluster_bytes) < 0)
			return -EIO;
		strbuf_add(&out, buf, MIN((size_t)f->cluster_bytes, max - out.len));
		cluster = next_cluster(f, cluster);
	}
	*ret = (uint8_t *)strbuf_take(&out, ret_len);
	return 0;
}

/* The root of FAT12 and FAT16 is no chain but a fixed place. */
static int read_directory(const struct disk_fat *f, const struct disk_fat_entry *dir, uint8_t **ret,
			  size_t *ret_len)
{
	if (dir)
		return read_chain(f, dir->cluster, DIRECTORY_BYTES_MAX, ret, ret_len);
	if (f->bits == 32)
		return read_chain(f, f->root_cluster, DIRECTORY_BYTES_MAX, ret, ret_len);
	_cleanup_(freep) uint8_t *buf = xmalloc(f->root_bytes + 1);
	if (f->read(f->data, f->root_at, buf, f->root_bytes) < 0)
		return -EIO;
	*ret = TAKE_PTR(buf);
	*ret_len = f->root_bytes;
	return 0;
}

/* --- directories ----------------------------------------------------------------------------- */

/* Long names stand before their entry, last part first. */
static void take_long(const uint8_t *e, char name[DISK_FAT_NAME_MAX])
{
	static const uint8_t places[LONG_UNITS] = { 1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30 };
	unsigned number = e[0] & 0x3f;
	if (e[0] & 0x40)
		memset(name, 0, DISK_FAT_NAME_MAX);
	if (number == 0 || number * LONG_UNITS >= DISK_FAT_NAME_MAX)
		return;
	char *to = name + (number - 1) * LONG_UNITS;
	for (size_t i = 0; i < LONG_UNITS; i++) {
		unsigned unit = e[places[i]] | (unsigned)e[places[i] + 1] << 8;
		to[i] = (char)(unit == 0xffff ? 0 : unit < 0x80 ? unit : '?');
	}
}

static void short_name(const uint8_t *e, char name[DISK_FAT_NAME_MAX])
{
	size_t n = 0;
	for (size_t i = 0; i < 11; i++) {
		if (e[i] == ' ')
			continue;
		if (i >= 8 && !memchr(name, '.', n))
			name[n++] = '.';
		name[n++] = (char)(e[i] < 0x80 ? e[i] : '?');
	}
	name[n] = '\0';
}

static struct disk_fat_entry decode_entry(const struct disk_fat *f, const uint8_t *e,
					  char *long_name)
{
	struct disk_fat_entry entry = { .directory = e[11] & ATTR_DIRECTORY };
	entry.cluster = e[26] | (uint32_t)e[27] << 8;
	if (f->bits == 32)
		entry.cluster |= ((uint32_t)e[20] | (uint32_t)e[21] << 8) << 16;
	entry.size = e[28] | (uint32_t)e[29] << 8 | (uint32_t)e[30] << 16 | (uint32_t)e[31] << 24;
	if (long_name[0])
		memcpy(entry.name, long_name, DISK_FAT_NAME_MAX);
	else
		short_name(e, entry.name);
	return entry;
}

int disk_fat_list(const struct disk_fat *f, const struct disk_fat_entry *dir, disk_fat_entry_fn fn,
		  void *data)
{
	_cleanup_(freep) uint8_t *bytes = NULL;
	size_t len = 0;
	char long_name[DISK_FAT_NAME_MAX] = "";
	int r = read_directory(f, dir, &bytes, &len);
	for (size_t at = 0; r == 0 && at + ENTRY <= len && bytes[at] != 0; at += ENTRY) {
		const uint8_t *e = bytes + at;
		if (e[0] != DELETED && (e[11] & ATTR_LONG) == ATTR_LONG) {
			take_long(e, long_name);
			continue;
		}
		long_name[DISK_FAT_NAME_MAX - 1] = '\0';
		if (e[0] != DELETED && e[0] != '.' && !(e[11] & ATTR_VOLUME)) {
			struct disk_fat_entry entry = decode_entry(f, e, long_name);
			r = fn(data, &entry);
		}
		long_name[0] = '\0';
	}
	return r;
}

int disk_fat_load(const struct disk_fat *f, const struct disk_fat_entry *file, size_t max,
		  void **ret, size_t *ret_len)
{
	uint8_t *bytes = NULL;
	if (file->size > max)
		return -E2BIG;
	int r = read_chain(f, file->cluster, file->size, &bytes, ret_len);
	if (r == 0)
		*ret = bytes;
	return r;
}
