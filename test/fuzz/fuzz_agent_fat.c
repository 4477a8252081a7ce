/* A FAT file system, walked like an EFI system partition. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/disk/fat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct walk {
	const uint8_t *data;
	size_t size;
	const struct disk_fat *fat;
	unsigned depth, entries;
};

enum { DEPTH_MAX = 2, ENTRIES_MAX = 64 };

static int read_bytes(void *data, uint64_t offset, void *buf, size_t len)
{
	const struct walk *w = data;
	if (offset > w->size || len > w->size - offset)
		return -EIO;
	memcpy(buf, w->data + offset, len);
	return 0;
}

static int visit(void *data, const struct disk_fat_entry *e)
{
	struct walk *w = data;
	void *file = NULL;
	size_t len = 0;
	if (++w->entries > ENTRIES_MAX || strlen(e->name) >= DISK_FAT_NAME_MAX)
		return 1;
	if (!e->directory && disk_fat_load(w->fat, e, 4096, &file, &len) == 0)
		free(file);
	if (!e->directory || w->depth == DEPTH_MAX)
		return 0;
	w->depth++;
	int r = disk_fat_list(w->fat, e, visit, w);
	w->depth--;
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct walk w = { .data = data, .size = size };
	struct disk_fat fat;
	if (disk_fat_open(read_bytes, &w, &fat, NULL) < 0)
		return 0;
	w.fat = &fat;
	(void)disk_fat_list(&fat, NULL, visit, &w);
	return 0;
}
