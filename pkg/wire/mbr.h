#pragma once
/* The DOS partition table in sector 0, and the links of extended partitions. Sectors are those of
 * the disk (512 or 4096 bytes); the table always stands in the first 512 bytes. any thread */

#include <stdbool.h>

#include "base/macro.h"

enum { MBR_SIZE = 512, MBR_PRIMARY_MAX = 4 };

enum mbr_type {
	MBR_TYPE_EMPTY = 0x00,
	MBR_TYPE_EXTENDED = 0x05,
	MBR_TYPE_FAT32_LBA = 0x0c,
	MBR_TYPE_EXTENDED_LBA = 0x0f,
	MBR_TYPE_LINUX = 0x83,
	MBR_TYPE_LINUX_EXTENDED = 0x85,
	MBR_TYPE_PROTECTIVE = 0xee,
	MBR_TYPE_ESP = 0xef,
};

struct mbr_partition {
	uint8_t type; /* enum mbr_type and many more */
	bool active;
	uint32_t start, sectors;
};

struct mbr {
	uint32_t disk_id; /* at offset 440; what Ironic calls "root uuid" of a whole-disk image */
	struct mbr_partition parts[MBR_PRIMARY_MAX];
};

/* -EINVAL when there is no signature, or when what stands there is a boot sector without a table.
 */
int mbr_parse(const void *sector, size_t len, struct mbr *ret);
/* A table whose only business is to guard a GPT. */
bool mbr_is_protective(const struct mbr *m);
bool mbr_is_extended(uint8_t type);
/* Number of rows in use. */
unsigned mbr_count(const struct mbr *m);

/* Writes row `index` in place; boot code and the other rows stay. */
void mbr_set_partition(void *sector, unsigned index, const struct mbr_partition *p);
/* A fresh sector: signature, no boot code, one row of type 0xee over the disk. */
void mbr_make_protective(void *sector, uint64_t disk_sectors);
/* Lets the 0xee row reach the end of the disk, if there is one. */
void mbr_stretch_protective(void *sector, uint64_t disk_sectors);
