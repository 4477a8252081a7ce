#pragma once
/* Partition tables on a device: find them (GPT by either copy, or MBR), move the backup GPT to the
 * end, add a partition. Blocking; any thread, one per device. */

#include <stdbool.h>

#include "agent/disk/dev.h"
#include "wire/gpt.h"
#include "wire/mbr.h"

enum disk_table_kind { DISK_TABLE_NONE, DISK_TABLE_MBR, DISK_TABLE_GPT };

enum { DISK_PARTS_MAX = 128 };

struct disk_part {
	unsigned number;      /* from 1, as the kernel counts */
	uint64_t offset, len; /* bytes */
	bool esp;
	bool named_config; /* GPT name "config-2" */
	struct gpt_guid id;
};

struct disk_table {
	enum disk_table_kind kind;
	struct gpt gpt;
	struct mbr mbr;
	struct disk_part parts[DISK_PARTS_MAX];
	size_t count;
};

/* kind NONE is no error. */
int disk_table_read(const struct disk_dev *d, struct disk_table *ret, struct err *err);
void disk_table_done(struct disk_table *t);
/* The partition with that number, or NULL. */
const struct disk_part *disk_table_part(const struct disk_table *t, unsigned number);

/* GPT: both copies written, the backup in the last sectors of the disk; else nothing. */
int disk_table_fix(const struct disk_dev *d, struct disk_table *t, struct err *err);
/* At the end of the disk, on a boundary of 1 MiB; written at once. */
int disk_table_add_last(const struct disk_dev *d, struct disk_table *t, uint64_t len,
			const struct gpt_guid *id, struct disk_part *ret, struct err *err);

/* On the first bytes of an image. Is there a partition at all, for sectors of this size? No table
 * of either kind is ERR_NOT_FOUND. */
int disk_table_check_head(const uint8_t *head, size_t len, uint32_t sector, bool *ret_gpt,
			  struct err *err);
/* More bytes are needed to answer that. */
bool disk_table_undecided(const uint8_t *head, size_t len);
/* Where the last partition ends, in bytes; 0: unknown. */
uint64_t disk_table_end(const uint8_t *head, size_t len, uint32_t sector);
/* End of the backup GPT header, in bytes; false: no GPT. */
bool disk_table_backup_of(const uint8_t *head, size_t len, uint64_t *ret_end);
