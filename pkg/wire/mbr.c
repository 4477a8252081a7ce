/* DOS partition tables: sixteen bytes a row at offset 446, little endian. The CHS fields are
 * written as "too large for CHS", which every loader of this century takes as "use the LBA". Pure.
 */

#include "wire/mbr.h"

#include <errno.h>
#include <string.h>

#include "base/cursor.h"

enum { OFFSET_DISK_ID = 440, OFFSET_ROWS = 446, ROW_SIZE = 16, OFFSET_SIGNATURE = 510 };

static int parse_row(struct cursor *c, struct mbr_partition *ret)
{
	uint8_t status = cursor_u8(c);
	cursor_skip(c, 3);
	ret->type = cursor_u8(c);
	cursor_skip(c, 3);
	ret->start = cursor_le32(c);
	ret->sectors = cursor_le32(c);
	ret->active = status == 0x80;
	/* The boot sector of a bare FAT or NTFS has the same signature and code where the rows are.
	 */
	if (status != 0 && status != 0x80)
		return -EINVAL;
	return ret->type != MBR_TYPE_EMPTY && ret->start == 0 ? -EINVAL : 0;
}

int mbr_parse(const void *sector, size_t len, struct mbr *ret)
{
	struct cursor c;
	cursor_init(&c, sector, len);
	cursor_seek(&c, OFFSET_SIGNATURE);
	if (cursor_le16(&c) != 0xaa55)
		return -EINVAL;
	cursor_seek(&c, OFFSET_DISK_ID);
	struct mbr m = { .disk_id = cursor_le32(&c) };
	cursor_seek(&c, OFFSET_ROWS);
	for (unsigned i = 0; i < MBR_PRIMARY_MAX; i++) {
		int r = parse_row(&c, &m.parts[i]);
		if (r < 0)
			return r;
	}
	*ret = m;
	return 0;
}

bool mbr_is_protective(const struct mbr *m)
{
	for (unsigned i = 0; i < MBR_PRIMARY_MAX; i++)
		if (m->parts[i].type == MBR_TYPE_PROTECTIVE)
			return true;
	return false;
}

bool mbr_is_extended(uint8_t type)
{
	return type == MBR_TYPE_EXTENDED || type == MBR_TYPE_EXTENDED_LBA ||
	       type == MBR_TYPE_LINUX_EXTENDED;
}

unsigned mbr_count(const struct mbr *m)
{
	unsigned count = 0;
	for (unsigned i = 0; i < MBR_PRIMARY_MAX; i++)
		count += m->parts[i].type != MBR_TYPE_EMPTY && m->parts[i].sectors > 0;
	return count;
}

void mbr_set_partition(void *sector, unsigned index, const struct mbr_partition *p)
{
	static const uint8_t beyond_chs[3] = { 0xfe, 0xff, 0xff };
	struct wcursor w;
	wcursor_init(&w, (uint8_t *)sector + OFFSET_ROWS + index * ROW_SIZE, ROW_SIZE);
	wcursor_u8(&w, p->active ? 0x80 : 0);
	wcursor_bytes(&w, beyond_chs, sizeof(beyond_chs));
	wcursor_u8(&w, p->type);
	wcursor_bytes(&w, beyond_chs, sizeof(beyond_chs));
	wcursor_le32(&w, p->start);
	wcursor_le32(&w, p->sectors);
}

/* UEFI 5.2.3: the row covers the disk, or as much of it as 32 bits can say. */
static struct mbr_partition protective_row(uint64_t disk_sectors)
{
	return (struct mbr_partition){
		.type = MBR_TYPE_PROTECTIVE,
		.start = 1,
		.sectors = (uint32_t)MIN(disk_sectors - 1, (uint64_t)UINT32_MAX),
	};
}

void mbr_make_protective(void *sector, uint64_t disk_sectors)
{
	uint8_t *p = sector;
	memset(p, 0, MBR_SIZE);
	p[OFFSET_SIGNATURE] = 0x55;
	p[OFFSET_SIGNATURE + 1] = 0xaa;
	struct mbr_partition row = protective_row(disk_sectors);
	mbr_set_partition(sector, 0, &row);
	/* The one CHS that the specification fixes: start 0/0/2. */
	static const uint8_t start_chs[3] = { 0x00, 0x02, 0x00 };
	memcpy(p + OFFSET_ROWS + 1, start_chs, sizeof(start_chs));
}

void mbr_stretch_protective(void *sector, uint64_t disk_sectors)
{
	struct mbr m;
	if (mbr_parse(sector, MBR_SIZE, &m) < 0)
		return;
	for (unsigned i = 0; i < MBR_PRIMARY_MAX; i++) {
		uint8_t *row = (uint8_t *)sector + OFFSET_ROWS + i * ROW_SIZE;
		/* In a hybrid table the row ends before the first partition: leave that alone. */
		if (m.parts[i].type != MBR_TYPE_PROTECTIVE || mbr_count(&m) > 1)
			continue;
		struct wcursor w;
		wcursor_init(&w, row + 12, 4);
		wcursor_le32(&w, protective_row(disk_sectors).sectors);
	}
}
