/* qcow2 headers and tables, by docs/interop/qcow2.txt of QEMU 7.2. Everything is big endian.
 * Offsets are checked for alignment and for the 56 bits that the format gives them, so that callers
 * may add to them without overflow; whether they lie inside the file is the reader's business.
 * Pure. */

#include "wire/qcow2.h"

#include <errno.h>
#include <string.h>

#include "base/cursor.h"

enum {
	MAGIC = 0x514649fb,
	CLUSTER_BITS_MIN = 9,
	CLUSTER_BITS_MAX = 21,
	V3_HEADER_MIN = 104,
	OFFSET_COMPRESSION = 104,
};

#define OFFSET_MASK  UINT64_C(0x00fffffffffffe00)
#define FLAG_PACKED  (UINT64_C(1) << 62)
#define FLAG_ZERO    UINT64_C(1)
#define SIZE_MAX_OUR (UINT64_C(1) << 50) /* a pebibyte: larger than any disk we write to */

/* What each incompatible bit means for the owner of such an image. */
static const struct {
	uint64_t bit;
	const char *what, *advice;
} refused[] = {
	{ 1u << 0, "was not closed cleanly (dirty bit)",
	  "repair it with \"qemu-img check -r all\"" },
	{ 1u << 1, "is marked corrupt",
	  "repair it with \"qemu-img check -r all\" or build it anew" },
	{ 1u << 2, "keeps its data in an external file",
	  "convert it with \"qemu-img convert -O qcow2\"" },
	{ 1u << 4, "uses extended L2 entries", "convert it with \"qemu-img convert -O qcow2\"" },
};

#define BIT_COMPRESSION (UINT64_C(1) << 3)

bool qcow2_is(const void *data, size_t len)
{
	struct cursor c;
	cursor_init(&c, data, len);
	return cursor_be32(&c) == MAGIC && cursor_ok(&c);
}

static int check_features(uint64_t incompatible, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		if (incompatible & refused[i].bit)
			return err_set(err, ERR_UNSUPPORTED, "the qcow2 image %s: %s",
				       refused[i].what, refused[i].advice);
		incompatible &= ~refused[i].bit;
	}
	incompatible &= ~BIT_COMPRESSION;
	if (incompatible)
		return err_set(
			err, ERR_UNSUPPORTED,
			"the qcow2 image needs features that are not known here (bits %#llx): "
			"convert it with \"qemu-img convert -O qcow2\"",
			(unsigned long long)incompatible);
	return 0;
}

static int parse_v3(struct cursor *c, size_t len, struct qcow2_header *h, struct err *err)
{
	cursor_seek(c, QCOW2_HEADER_MIN);
	uint64_t incompatible = cursor_be64(c);
	cursor_skip(c, 20); /* compatible and autoclear bits, refcount order */
	uint32_t header_length = cursor_be32(c);
	if (!cursor_ok(c) || header_length < V3_HEADER_MIN || header_length > len)
		return err_set(err, ERR_INVALID, "the qcow2 header is cut off");
	int r = check_features(incompatible, err);
	if (r < 0)
		return r;
	/* The field exists only in longer headers and counts only with its bit. */
	if (!(incompatible & BIT_COMPRESSION))
		return 0;
	cursor_seek(c, OFFSET_COMPRESSION);
	uint8_t type = header_length > OFFSET_COMPRESSION ? cursor_u8(c) : 0;
	if (type > QCOW2_ZSTD)
		return err_set(err, ERR_UNSUPPORTED,
			       "the qcow2 image is compressed by method %u: only zlib and zstd are "
			       "known",
			       type);
	h->compression = (enum qcow2_compression)type;
	return 0;
}

static int check_geometry(struct qcow2_header *h, uint32_t l1_entries, struct err *err)
{
	if (h->cluster_bits < CLUSTER_BITS_MIN || h->cluster_bits > CLUSTER_BITS_MAX)
		return err_set(err, ERR_INVALID, "qcow2 clusters of 2^%u bytes do not exist",
			       h->cluster_bits);
	if (h->virtual_size > SIZE_MAX_OUR)
		return err_set(err, ERR_LIMIT, "the qcow2 image claims %llu bytes",
			       (unsigned long long)h->virtual_size);
	uint32_t per_table = qcow2_l2_entries(h);
	uint64_t needed = (qcow2_clusters(h) + per_table - 1) / per_table;
	if (needed > l1_entries)
		return err_set(
			err, ERR_INVALID,
			"the qcow2 image's first table has %u entries and its size needs %llu",
			l1_entries, (unsigned long long)needed);
	if (needed > QCOW2_L1_MAX)
		return err_set(
			err, ERR_LIMIT,
			"the qcow2 image's first table has %llu entries: convert it with larger "
			"clusters (\"qemu-img convert -O qcow2 -o cluster_size=2M\")",
			(unsigned long long)needed);
	if (h->l1_offset & ~OFFSET_MASK || (needed > 0 && h->l1_offset == 0))
		return err_set(err, ERR_INVALID, "the qcow2 image's first table has a bad offset");
	h->l1_entries = (uint32_t)needed;
	return 0;
}

int qcow2_parse_header(const void *data, size_t len, struct qcow2_header *ret, struct err *err)
{
	struct cursor c;
	cursor_init(&c, data, len);
	uint32_t magic = cursor_be32(&c);
	struct qcow2_header h = { .version = cursor_be32(&c) };
	uint64_t backing_offset = cursor_be64(&c);
	cursor_skip(&c, 4);
	h.cluster_bits = cursor_be32(&c);
	h.virtual_size = cursor_be64(&c);
	uint32_t encryption = cursor_be32(&c);
	uint32_t l1_entries = cursor_be32(&c);
	h.l1_offset = cursor_be64(&c);
	cursor_skip(&c, QCOW2_HEADER_MIN - 48);
	if (!cursor_ok(&c) || magic != MAGIC)
		return err_set(err, ERR_INVALID, "not a qcow2 header");
	if (h.version != 2 && h.version != 3)
		return err_set(err, ERR_UNSUPPORTED, "qcow version %u: only 2 and 3 are known",
			       h.version);
	if (backing_offset != 0)
		return err_set(err, ERR_UNSUPPORTED,
			       "the qcow2 image has a backing file: flatten it with \"qemu-img "
			       "convert -O qcow2\"");
	if (encryption != 0)
		return err_set(err, ERR_UNSUPPORTED, "the qcow2 image is encrypted");
	int r = h.version == 3 ? parse_v3(&c, len, &h, err) : 0;
	if (r == 0)
		r = check_geometry(&h, l1_entries, err);
	if (r == 0)
		*ret = h;
	return r;
}

uint64_t qcow2_clusters(const struct qcow2_header *h)
{
	return (h->virtual_size + qcow2_cluster_size(h) - 1) >> h->cluster_bits;
}

static uint64_t table_entry(const void *table, uint32_t index)
{
	struct cursor c;
	cursor_init(&c, (const uint8_t *)table + (size_t)index * 8, 8);
	return cursor_be64(&c);
}

static bool aligned(const struct qcow2_header *h, uint64_t offset)
{
	return (offset & (qcow2_cluster_size(h) - 1)) == 0;
}

int qcow2_l1_entry(const struct qcow2_header *h, const void *table, uint32_t index,
		   uint64_t *ret_offset, struct err *err)
{
	uint64_t offset = table_entry(table, index) & OFFSET_MASK;
	if (!aligned(h, offset))
		return err_set(err, ERR_INVALID, "the qcow2 image is damaged: L1 entry %u", index);
	*ret_offset = offset;
	return 0;
}

/* Compressed clusters: x = 62 - (cluster_bits - 8) bits of byte offset, above them the number of
 * further 512-byte sectors that the stream touches. */
static void compressed_cluster(const struct qcow2_header *h, uint64_t entry,
			       struct qcow2_cluster *ret)
{
	unsigned offset_bits = 62 - (h->cluster_bits - 8);
	uint64_t offset = entry & ((UINT64_C(1) << offset_bits) - 1) & ((UINT64_C(1) << 56) - 1);
	uint64_t sectors = (entry & (FLAG_PACKED - 1)) >> offset_bits;
	*ret = (struct qcow2_cluster){
		.kind = QCOW2_COMPRESSED,
		.host = offset,
		.size = (uint32_t)((sectors + 1) * 512 - (offset & 511)),
	};
}

int qcow2_l2_entry(const struct qcow2_header *h, const void *table, uint32_t index,
		   struct qcow2_cluster *ret, struct err *err)
{
	uint64_t entry = table_entry(table, index);
	if (entry & FLAG_PACKED) {
		compressed_cluster(h, entry, ret);
		return 0;
	}
	uint64_t offset = entry & OFFSET_MASK;
	/* In version 2 the bit is reserved; there are no zero clusters. */
	bool zero = h->version == 3 && entry & FLAG_ZERO;
	if (!aligned(h, offset))
		return err_set(err, ERR_INVALID, "the qcow2 image is damaged: L2 entry %u", index);
	enum qcow2_kind kind = zero ? QCOW2_ZERO : offset ? QCOW2_DATA : QCOW2_UNALLOCATED;
	*ret = (struct qcow2_cluster){ .kind = kind };
	if (kind == QCOW2_DATA) {
		ret->host = offset;
		ret->size = qcow2_cluster_size(h);
	}
	return 0;
}
