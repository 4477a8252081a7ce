#pragma once
/* Reads FAT12, FAT16 and FAT32 file systems, so that an EFI system partition can be searched
 * without the kernel's vfat. Everything on the disk is untrusted: chains and sizes have limits. any
 * thread, one at a time per object */

#include <stdbool.h>

#include "base/err.h"
#include "base/macro.h"

enum { DISK_FAT_NAME_MAX = 256 };

typedef int (*disk_fat_read_fn)(void *data, uint64_t offset, void *buf, size_t len);

struct disk_fat {
	disk_fat_read_fn read;
	void *data;
	unsigned bits; /* 12, 16, 32 */
	uint32_t sector, cluster_bytes, clusters;
	uint64_t fat_at, data_at, root_at; /* bytes */
	uint32_t root_bytes;		   /* FAT12, FAT16 */
	uint32_t root_cluster;		   /* FAT32 */
};

struct disk_fat_entry {
	char name[DISK_FAT_NAME_MAX]; /* long name if there is one; what is not ASCII is '?' */
	bool directory;
	uint32_t cluster, size;
};

/* Non-zero ends the listing and is returned. */
typedef int (*disk_fat_entry_fn)(void *data, const struct disk_fat_entry *e);

int disk_fat_open(disk_fat_read_fn read, void *data, struct disk_fat *ret, struct err *err);
/* dir NULL: the root. "." and ".." and labels are left out. */
int disk_fat_list(const struct disk_fat *f, const struct disk_fat_entry *dir, disk_fat_entry_fn fn,
		  void *data);
/* The whole file, at most max bytes, NUL-terminated beyond its length. */
int disk_fat_load(const struct disk_fat *f, const struct disk_fat_entry *file, size_t max,
		  void **ret, size_t *ret_len);
