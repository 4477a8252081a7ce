/* The map of a qcow2 file: a sorted array of extents of sixteen bytes and one bit per guest
 * cluster. Digests of the tables are real ones (SHA-256, cut to 128 bits), because pass 1 is not
 * covered by the image's checksum: a man in the middle could change the tables there and choose
 * where clusters go. Owned by the decoder; no I/O here. */

#include "agent/disk/qmap.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "crypt/crypt.h"

struct disk_qmap {
	struct qcow2_header header;
	size_t memory_limit, memory;
	struct disk_qextent *extents;
	size_t count, cap, first;
	bool sorted;
	size_t pending; /* L1 and L2 extents that have not been popped */
	uint8_t (*digests)[DISK_QMAP_DIGEST];
	size_t digest_count, digest_cap;
	uint64_t *used; /* one bit per guest cluster */
	uint64_t clusters;
};

/* --- memory ---------------------------------------------------------------------------------- */

/* Counted, not measured: everything the map allocates passes here first. */
static int reserve(struct disk_qmap *m, size_t bytes, struct err *err)
{
	if (bytes <= m->memory_limit && m->memory <= m->memory_limit - bytes) {
		m->memory += bytes;
		return 0;
	}
	return err_set(
		err, ERR_LIMIT,
		"the map of the qcow2 image needs more than %zu MiB of memory: convert the image "
		"with larger clusters (\"qemu-img convert -O qcow2 -o cluster_size=2M\")",
		m->memory_limit >> 20);
}

/* Growth by half: while it lasts, old and new array exist together, and that counts. */
static int grow(struct disk_qmap *m, void **array, size_t *cap, size_t item, struct err *err)
{
	size_t more = MAX(*cap / 2, (size_t)256);
	int r = reserve(m, more * item, err);
	if (r < 0)
		return r;
	*array = xreallocarray(*array, *cap + more, item);
	*cap += more;
	return 0;
}

struct disk_qmap *disk_qmap_new(const struct qcow2_header *h, size_t memory_limit)
{
	struct disk_qmap *m = xcalloc(1, sizeof(*m));
	m->header = *h;
	m->memory_limit = memory_limit;
	m->clusters = qcow2_clusters(h);
	return m;
}

struct disk_qmap *disk_qmap_free(struct disk_qmap *m)
{
	if (!m)
		return NULL;
	free(m->extents);
	free(m->digests);
	free(m->used);
	free(m);
	return NULL;
}

const struct qcow2_header *disk_qmap_header(const struct disk_qmap *m)
{
	return &m->header;
}

/* --- filling --------------------------------------------------------------------------------- */

static int add(struct disk_qmap *m, struct disk_qextent e, struct err *err)
{
	if (m->count == m->cap) {
		void *array = m->extents;
		int r = grow(m, &array, &m->cap, sizeof(*m->extents), err);
		if (r < 0)
			return r;
		m->extents = array;
	}
	bool first = m->count == m->first;
	m->sorted = first || (m->sorted && m->extents[m->count - 1].host <= e.host);
	m->extents[m->count++] = e;
	return 0;
}

static void digest_of(const void *data, size_t len, uint8_t out[DISK_QMAP_DIGEST])
{
	char hex[DIGEST_HEX_MAX];
	digest_hex(DIGEST_SHA256, data, len, hex);
	hex[2 * DISK_QMAP_DIGEST] = '\0';
	(void)hex_decode(hex, out, DISK_QMAP_DIGEST);
}

/* Pieces, so that a table of megabytes need not be kept whole in pass 2. */
static int add_table_piece(struct disk_qmap *m, uint64_t host, const void *data, uint32_t len,
			   struct err *err)
{
	if (m->digest_count == m->digest_cap) {
		void *array = m->digests;
		int r = grow(m, &array, &m->digest_cap, sizeof(*m->digests), err);
		if (r < 0)
			return r;
		m->digests = array;
	}
	digest_of(data, len, m->digests[m->digest_count]);
	struct disk_qextent e = {
		.host = host,
		.kind = DISK_Q_TABLE,
		.size = len,
		.guest = (uint32_t)m->digest_count++,
	};
	return add(m, e, err);
}

int disk_qmap_add_table(struct disk_qmap *m, uint64_t host, const void *data, size_t len,
			struct err *err)
{
	int r = 0;
	for (size_t at = 0; at < len && r == 0; at += DISK_QMAP_CHUNK) {
		uint32_t n = (uint32_t)MIN(len - at, (size_t)DISK_QMAP_CHUNK);
		r = add_table_piece(m, host + at, (const char *)data + at, n, err);
	}
	return r;
}

int disk_qmap_add_pending(struct disk_qmap *m, enum disk_qkind kind, uint64_t host, uint32_t size,
			  uint32_t guest, struct err *err)
{
	struct disk_qextent e = { .host = host, .kind = kind, .size = size, .guest = guest };
	m->pending++;
	return add(m, e, err);
}

/* Made at the first table: an image without any has no data at all. */
static int need_bitmap(struct disk_qmap *m, struct err *err)
{
	if (m->used)
		return 0;
	size_t words = (size_t)(m->clusters / 64 + 1);
	if (m->clusters > UINT32_MAX || words > m->memory_limit / 8)
		return reserve(m, SIZE_MAX, err);
	int r = reserve(m, words * 8, err);
	if (r == 0)
		m->used = xcalloc(words, 8);
	return r;
}

/* Holes are not stored: what has no bit is zeroed at the end. */
static int add_cluster(struct disk_qmap *m, uint64_t guest, const struct qcow2_cluster *c,
		       uint64_t passed, struct err *err)
{
	if (c->kind != QCOW2_DATA && c->kind != QCOW2_COMPRESSED)
		return 0;
	if (c->host < passed)
		return err_set(
			err, ERR_UNSUPPORTED,
			"the server does not serve parts of files (Range), and this qcow2 "
			"image has data before the table that says where it belongs: serve it "
			"from a server with Range, or convert it to raw");
	m->used[guest / 64] |= UINT64_C(1) << guest % 64;
	struct disk_qextent e = {
		.host = c->host,
		.kind = c->kind == QCOW2_DATA ? DISK_Q_DATA : DISK_Q_PACKED,
		.size = c->size,
		.guest = (uint32_t)guest,
	};
	return add(m, e, err);
}

int disk_qmap_add_l2(struct disk_qmap *m, uint32_t index, const void *table, uint64_t passed,
		     struct err *err)
{
	int r = need_bitmap(m, err);
	uint32_t per_table = qcow2_l2_entries(&m->header);
	for (uint32_t i = 0; i < per_table && r == 0; i++) {
		uint64_t guest = (uint64_t)index * per_table + i;
		struct qcow2_cluster c;
		if (guest >= m->clusters)
			break;
		r = qcow2_l2_entry(&m->header, table, i, &c, err);
		if (r == 0)
			r = add_cluster(m, guest, &c, passed, err);
	}
	return r;
}

/* Tables before data at the same place: in stream mode they may bring more extents. */
static bool before(const struct disk_qextent *a, const struct disk_qextent *b)
{
	return a->host != b->host ? a->host < b->host : a->kind > b->kind;
}

static void sift(struct disk_qextent *heap, size_t at, size_t count)
{
	struct disk_qextent e = heap[at];
	for (size_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
		if (child + 1 < count && before(&heap[child], &heap[child + 1]))
			child++;
		if (!before(&e, &heap[child]))
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = e;
}

/* Heap sort, because glibc's qsort takes as much memory again. */
void disk_qmap_sort(struct disk_qmap *m)
{
	struct disk_qextent *heap = m->extents + m->first;
	size_t count = m->sorted ? 0 : m->count - m->first;
	for (size_t i = count / 2; i > 0; i--)
		sift(heap, i - 1, count);
	for (size_t last = count; last > 1; last--) {
		struct disk_qextent e = heap[0];
		heap[0] = heap[last - 1];
		heap[last - 1] = e;
		sift(heap, 0, last - 1);
	}
	m->sorted = true;
}

/* --- reading --------------------------------------------------------------------------------- */

const struct disk_qextent *disk_qmap_first(const struct disk_qmap *m)
{
	return m->first < m->count ? &m->extents[m->first] : NULL;
}

void disk_qmap_pop(struct disk_qmap *m)
{
	enum disk_qkind kind = m->extents[m->first++].kind;
	m->pending -= kind == DISK_Q_L1 || kind == DISK_Q_L2;
	/* In stream mode the array would otherwise grow by what is long done. */
	if (m->first >= 65536 && m->first * 2 > m->count) {
		m->count -= m->first;
		memmove(m->extents, m->extents + m->first, m->count * sizeof(*m->extents));
		m->first = 0;
	}
}

bool disk_qmap_table_same(const struct disk_qmap *m, const struct disk_qextent *e, const void *data)
{
	uint8_t digest[DISK_QMAP_DIGEST];
	digest_of(data, e->size, digest);
	return memcmp(digest, m->digests[e->guest], sizeof(digest)) == 0;
}

static bool is_used(const struct disk_qmap *m, uint64_t cluster)
{
	return m->used && (m->used[cluster / 64] >> cluster % 64 & 1);
}

bool disk_qmap_next_hole(const struct disk_qmap *m, uint64_t from, uint64_t *ret_first,
			 uint64_t *ret_count)
{
	while (from < m->clusters && is_used(m, from))
		from++;
	if (from >= m->clusters)
		return false;
	uint64_t end = from;
	while (end < m->clusters && !is_used(m, end))
		end++;
	*ret_first = from;
	*ret_count = end - from;
	return true;
}

bool disk_qmap_find(const struct disk_qmap *m, uint32_t guest, struct disk_qextent *ret)
{
	for (size_t i = m->first; i < m->count; i++) {
		const struct disk_qextent *e = &m->extents[i];
		if (e->guest != guest || (e->kind != DISK_Q_DATA && e->kind != DISK_Q_PACKED))
			continue;
		*ret = *e;
		return true;
	}
	return false;
}

bool disk_qmap_pending(const struct disk_qmap *m)
{
	return m->pending > 0;
}
