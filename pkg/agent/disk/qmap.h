#pragma once
/* What to do with the bytes of a qcow2 file as they pass once, from first to last: which of them
 * are tables, which are clusters, and where on the disk those belong. Filled from the tables,
 * either beforehand (pass 1, by Range) or from the stream itself when the tables come first. any
 * thread, one at a time per object */

#include <stdbool.h>

#include "base/err.h"
#include "base/macro.h"
#include "wire/qcow2.h"

enum {
	DISK_QMAP_CHUNK = 64 * 1024, /* tables are compared in pieces of this size */
	DISK_QMAP_DIGEST = 16,	     /* bytes of SHA-256 that are kept of each piece */
};

enum disk_qkind {
	DISK_Q_DATA,   /* one cluster as it is */
	DISK_Q_PACKED, /* one compressed cluster; size is an upper bound */
	DISK_Q_TABLE,  /* a piece of a table seen in pass 1: must be the same again */
	DISK_Q_L1,     /* stream mode: the whole L1 table, to be parsed when it passes */
	DISK_Q_L2,     /* stream mode: one L2 table; guest is its index */
};

struct disk_qextent {
	uint64_t host : 56, kind : 8;
	uint32_t size;
	uint32_t guest; /* cluster number; TABLE: number of its digest */
};

struct disk_qmap;

/* memory_limit bounds everything the map holds. */
struct disk_qmap *disk_qmap_new(const struct qcow2_header *h, size_t memory_limit);
struct disk_qmap *disk_qmap_free(struct disk_qmap *m);
const struct qcow2_header *disk_qmap_header(const struct disk_qmap *m);

/* A table read in pass 1: remembers its digest. */
int disk_qmap_add_table(struct disk_qmap *m, uint64_t host, const void *data, size_t len,
			struct err *err);
/* Stream mode: something to be parsed when it passes. */
int disk_qmap_add_pending(struct disk_qmap *m, enum disk_qkind kind, uint64_t host, uint32_t size,
			  uint32_t guest, struct err *err);
/* The clusters of L2 table `index`. Extents before `passed` cannot be had any more: an error. */
int disk_qmap_add_l2(struct disk_qmap *m, uint32_t index, const void *table, uint64_t passed,
		     struct err *err);
/* Call after adding, before reading: sorts what is still to come. */
void disk_qmap_sort(struct disk_qmap *m);
/* The extents in the order of the file: the first that disk_qmap_pop() has not removed, or NULL. */
const struct disk_qextent *disk_qmap_first(const struct disk_qmap *m);
void disk_qmap_pop(struct disk_qmap *m);
/* Is this piece the same as in pass 1? */
bool disk_qmap_table_same(const struct disk_qmap *m, const struct disk_qextent *e,
			  const void *data);
/* Next run of guest clusters without data, from *cluster on; false: none. */
bool disk_qmap_next_hole(const struct disk_qmap *m, uint64_t from, uint64_t *ret_first,
			 uint64_t *ret_count);
/* Where a guest cluster is, if it has data. */
bool disk_qmap_find(const struct disk_qmap *m, uint32_t guest, struct disk_qextent *ret);
/* Stream mode: tables are still to come. */
bool disk_qmap_pending(const struct disk_qmap *m);
