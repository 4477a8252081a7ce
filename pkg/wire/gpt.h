#pragma once
/* GUID partition tables (UEFI 2.10, chapter 5): parse and verify either copy, move the backup to
 * the end of a larger disk, add a partition, write both copies. Sectors of 512 and 4096 bytes. any
 * thread */

#include <stdbool.h>

#include "base/err.h"
#include "base/macro.h"

enum {
	GPT_GUID_SIZE = 16,
	GPT_GUID_TEXT = 37,
	GPT_NAME_MAX = 36, /* UTF-16 units */
	GPT_ENTRY_SIZE = 128,
	GPT_ENTRIES_MAX = 1024, /* our limit; tables have 128 */
	GPT_HEADER_SIZE = 92,
};

/* Mixed endian, as on disk. */
struct gpt_guid {
	uint8_t b[GPT_GUID_SIZE];
};

extern const struct gpt_guid gpt_type_esp;   /* C12A7328-F81F-11D2-BA4B-00A0C93EC93B */
extern const struct gpt_guid gpt_type_linux; /* 0FC63DAF-8483-4772-8E79-3D69D8477DE4 */

struct gpt_entry {
	struct gpt_guid type, id;
	uint64_t first, last; /* sectors, both inside */
	uint64_t attributes;
	uint16_t name[GPT_NAME_MAX];
};

struct gpt_header {
	uint64_t my_lba, other_lba;
	uint64_t first_usable, last_usable;
	struct gpt_guid disk;
	uint64_t entries_lba;
	uint32_t entry_count, entry_size;
	uint32_t entries_crc;
};

struct gpt {
	uint32_t sector_size;
	struct gpt_header header;  /* of the primary copy once gpt_relocate() has been called */
	struct gpt_entry *entries; /* header.entry_count of them; type zero = free */
};

/* One sector. -EINVAL: not a GPT header; -EBADMSG: damaged; -E2BIG: larger than our limits. */
int gpt_parse_header(const void *sector, size_t len, uint64_t lba, struct gpt_header *ret);
/* Bytes of the table that belongs to the header, rounded up to whole sectors. */
size_t gpt_table_size(const struct gpt_header *h, uint32_t sector_size);
/* `table` holds gpt_table_size() bytes. -EBADMSG when the checksum differs. */
int gpt_parse(const struct gpt_header *h, const void *table, size_t len, uint32_t sector_size,
	      struct gpt *ret);
/* An empty table of 128 rows for a disk. */
void gpt_init(struct gpt *g, uint32_t sector_size, uint64_t disk_sectors,
	      const struct gpt_guid *disk);
void gpt_done(struct gpt *g);

bool gpt_entry_used(const struct gpt_entry *e);
/* Inside the usable range, no overlaps: what `sgdisk -v` looks for. */
int gpt_verify(const struct gpt *g, uint64_t disk_sectors, struct err *err);
/* The backup goes to the last sectors of the disk; the usable range grows with it. */
int gpt_relocate(struct gpt *g, uint64_t disk_sectors, struct err *err);
/* Into the first free row, counted from 1. Refused where it overlaps. */
int gpt_add(struct gpt *g, const struct gpt_entry *e, unsigned *ret_number, struct err *err);
/* `len` must hold a sector and gpt_table_size(). */
void gpt_encode(const struct gpt *g, bool backup, void *header_sector, void *table);

/* Upper case, as sgdisk prints it. */
char *gpt_guid_format(const struct gpt_guid *g, char out[GPT_GUID_TEXT]);
int gpt_guid_parse(const char *text, struct gpt_guid *ret);
bool gpt_guid_equal(const struct gpt_guid *a, const struct gpt_guid *b);
/* ASCII only; longer names are cut. */
void gpt_set_name(struct gpt_entry *e, const char *name);
bool gpt_name_is(const struct gpt_entry *e, const char *name);
