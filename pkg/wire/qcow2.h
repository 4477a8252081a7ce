#pragma once
/* QEMU's image format version 2 and 3 (docs/interop/qcow2.txt of QEMU): what a reader needs.
 * Refcounts are not looked at. Images whose guest bytes are not all inside the one file are
 * refused: backing file, external data file, encryption; so are extended L2 entries and damaged
 * images. any thread */

#include <stdbool.h>

#include "base/err.h"
#include "base/macro.h"

enum {
	QCOW2_HEADER_MIN = 72,	  /* version 2; version 3 is at least 104 */
	QCOW2_HEADER_READ = 4096, /* hand this much (or the whole file) to qcow2_parse_header */
	QCOW2_L1_MAX = 4 * 1024 * 1024 / 8, /* entries; our limit */
};

enum qcow2_compression { QCOW2_DEFLATE, QCOW2_ZSTD };

struct qcow2_header {
	uint32_t version;
	uint32_t cluster_bits; /* 9 … 21 */
	uint64_t virtual_size; /* bytes */
	uint64_t l1_offset;    /* bytes */
	uint32_t l1_entries;   /* only as many as the virtual size needs */
	enum qcow2_compression compression;
};

enum qcow2_kind {
	QCOW2_UNALLOCATED, /* reads as zeros: there is no backing file */
	QCOW2_ZERO,
	QCOW2_DATA,	  /* `host` is one whole cluster */
	QCOW2_COMPRESSED, /* `host` is a byte offset, `size` an upper bound of the stream's length
			   */
};

struct qcow2_cluster {
	enum qcow2_kind kind;
	uint64_t host;
	uint32_t size;
};

bool qcow2_is(const void *data, size_t len);
int qcow2_parse_header(const void *data, size_t len, struct qcow2_header *ret, struct err *err);

static inline uint32_t qcow2_cluster_size(const struct qcow2_header *h)
{
	return 1u << h->cluster_bits;
}

/* Guest clusters, the last of them perhaps in part. */
uint64_t qcow2_clusters(const struct qcow2_header *h);
/* Entries in one L2 table, which fills one cluster. */
static inline uint32_t qcow2_l2_entries(const struct qcow2_header *h)
{
	return 1u << (h->cluster_bits - 3);
}

/* Entry `index` of an L1 table read in whole; *ret_offset 0: no L2 table, all unallocated. */
int qcow2_l1_entry(const struct qcow2_header *h, const void *table, uint32_t index,
		   uint64_t *ret_offset, struct err *err);
/* Entry `index` of an L2 table of one cluster. */
int qcow2_l2_entry(const struct qcow2_header *h, const void *table, uint32_t index,
		   struct qcow2_cluster *ret, struct err *err);
