/* The stream is matched against the map: an extent is handled when all of its bytes are there,
 * straight from the block they came in if possible. What is incomplete is carried over to the next
 * block. Nothing is ever read twice, so a server without Range will do if the tables come first.
 * Runs on the decoder's thread, which is the caller of the image write. */

#include "agent/disk/qdecode.h"

#include <stdlib.h>
#include <string.h>

#include "agent/disk/unpack.h"
#include "base/mem.h"

enum {
	CARRY_MAX = 12 * 1024 * 1024,
	/* QEMU fills the rest of a host cluster with compressed data whose L2 table it puts behind:
	 * so much is kept while tables are still to come, at least two clusters. */
	LOOK_BACK = 256 * 1024,
};

struct disk_qdecode {
	struct disk_qmap *map;
	struct disk_sink *sink;
	const struct qcow2_header *header;
	struct disk_uncluster *uncluster;
	uint8_t *scratch; /* one cluster */
	uint64_t pos;	  /* of the next byte of the stream */
	uint8_t *carry;	  /* bytes before pos that are still needed */
	size_t carry_len, carry_cap;
	uint64_t base; /* of the bytes at hand */
	bool end;
};

struct disk_qdecode *disk_qdecode_new(struct disk_qmap *map, struct disk_sink *sink)
{
	struct disk_qdecode *d = xcalloc(1, sizeof(*d));
	d->map = map;
	d->sink = sink;
	d->header = disk_qmap_header(map);
	disk_qmap_sort(map);
	return d;
}

struct disk_qdecode *disk_qdecode_free(struct disk_qdecode *d)
{
	if (!d)
		return NULL;
	disk_uncluster_free(d->uncluster);
	free(d->scratch);
	free(d->carry);
	free(d);
	return NULL;
}

/* --- extents --------------------------------------------------------------------------------- */

static uint64_t guest_offset(const struct disk_qdecode *d, uint32_t guest)
{
	return (uint64_t)guest << d->header->cluster_bits;
}

/* The last cluster may reach beyond the end of the guest's disk. */
static size_t guest_length(const struct disk_qdecode *d, uint64_t offset, uint64_t clusters)
{
	return (size_t)MIN(clusters << d->header->cluster_bits, d->header->virtual_size - offset);
}

static int cut_off(struct err *err)
{
	return err_set(err, ERR_INVALID, "the qcow2 image is cut off");
}

static int on_data(struct disk_qdecode *d, const struct disk_qextent *e, const uint8_t *data,
		   size_t len, struct err *err)
{
	uint64_t offset = guest_offset(d, e->guest);
	size_t want = guest_length(d, offset, 1), n = MIN(len, want);
	int r = disk_sink_put(d->sink, offset, data, n, err);
	/* A file that ends inside its last cluster reads as zeros there, in QEMU too. */
	if (r == 0 && n < want)
		r = disk_sink_zero(d->sink, offset + n, want - n, err);
	return r;
}

static int on_packed(struct disk_qdecode *d, const struct disk_qextent *e, const uint8_t *data,
		     size_t len, struct err *err)
{
	uint64_t offset = guest_offset(d, e->guest);
	size_t cluster = qcow2_cluster_size(d->header), room = 0;
	if (!d->uncluster)
		d->uncluster = disk_uncluster_new(d->header->compression);
	bool whole = guest_length(d, offset, 1) == cluster;
	uint8_t *to = whole ? disk_sink_space(d->sink, offset, &room, err) : NULL;
	if (whole && !to)
		return err_value(err);
	bool direct = to && room >= cluster;
	if (!direct && !d->scratch)
		d->scratch = disk_alloc(cluster);
	int r = disk_uncluster_do(d->uncluster, data, len, direct ? to : d->scratch, cluster, err);
	if (r < 0)
		return r;
	if (!direct)
		return disk_sink_put(d->sink, offset, d->scratch, guest_length(d, offset, 1), err);
	disk_sink_advance(d->sink, cluster);
	return 0;
}

static int on_table(struct disk_qdecode *d, const struct disk_qextent *e, const uint8_t *data,
		    size_t len, struct err *err)
{
	if (len == e->size && disk_qmap_table_same(d->map, e, data))
		return 0;
	return err_set(err, ERR_CONFLICT, "the image changed on the server while it was read");
}

static int on_l1(struct disk_qdecode *d, uint64_t host, const uint8_t *table, struct err *err)
{
	int r = 0;
	for (uint32_t i = 0; i < d->header->l1_entries && r == 0; i++) {
		uint64_t offset = 0;
		r = qcow2_l1_entry(d->header, table, i, &offset, err);
		if (r < 0 || offset == 0)
			continue;
		if (offset < host)
			return err_set(
				err, ERR_UNSUPPORTED,
				"the server does not serve parts of files (Range), and this "
				"qcow2 image has its tables in the wrong order: serve it from "
				"a server with Range, or convert it to raw");
		r = disk_qmap_add_pending(d->map, DISK_Q_L2, offset, qcow2_cluster_size(d->header),
					  i, err);
	}
	return r;
}

static int on_pending(struct disk_qdecode *d, const struct disk_qextent *e, const uint8_t *data,
		      size_t len, struct err *err)
{
	struct disk_qextent copy = *e; /* adding moves the array */
	if (len < copy.size)
		return cut_off(err);
	if (copy.kind == DISK_Q_L1)
		return on_l1(d, copy.host, data, err);
	return disk_qmap_add_l2(d->map, copy.guest, data, d->base, err);
}

static int handle(struct disk_qdecode *d, const struct disk_qextent *e, const uint8_t *data,
		  size_t len, struct err *err)
{
	switch ((enum disk_qkind)e->kind) {
	case DISK_Q_DATA:
		return on_data(d, e, data, len, err);
	case DISK_Q_PACKED:
		return on_packed(d, e, data, len, err);
	case DISK_Q_TABLE:
		return on_table(d, e, data, len, err);
	case DISK_Q_L1:
	case DISK_Q_L2:
		return on_pending(d, e, data, len, err);
	}
	return 0;
}

/* --- the stream ------------------------------------------------------------------------------ */

/* Everything that is complete in bytes [base, base + len) of the file. */
static int run(struct disk_qdecode *d, const uint8_t *bytes, uint64_t base, size_t len,
	       struct err *err)
{
	uint64_t end = base + len;
	const struct disk_qextent *e;
	d->base = base;
	while ((e = disk_qmap_first(d->map)) && e->host < end) {
		size_t there = (size_t)MIN((uint64_t)e->size, end - e->host);
		if (there < e->size && !d->end)
			break;
		bool pending = e->kind == DISK_Q_L1 || e->kind == DISK_Q_L2;
		int r = handle(d, e, bytes + (e->host - base), there, err);
		if (r < 0)
			return r;
		disk_qmap_pop(d->map);
		if (pending)
			disk_qmap_sort(d->map);
	}
	return 0;
}

static int carry_add(struct disk_qdecode *d, const uint8_t *data, size_t len, struct err *err)
{
	if (d->carry_len + len > d->carry_cap) {
		if (d->carry_len + len > CARRY_MAX)
			return err_set(err, ERR_LIMIT, "the qcow2 image is damaged: huge extents");
		d->carry_cap = d->carry_len + len;
		d->carry = xreallocarray(d->carry, d->carry_cap, 1);
	}
	memcpy(d->carry + d->carry_len, data, len);
	d->carry_len += len;
	return 0;
}

/* Keeps what the first waiting extent needs of [base, base + len). */
static int keep_rest(struct disk_qdecode *d, const uint8_t *bytes, uint64_t base, size_t len,
		     struct err *err)
{
	const struct disk_qextent *e = disk_qmap_first(d->map);
	uint64_t end = base + len, from = e ? MIN((uint64_t)e->host, end) : end;
	if (disk_qmap_pending(d->map)) {
		size_t back = MAX((size_t)LOOK_BACK, 2 * (size_t)qcow2_cluster_size(d->header));
		uint64_t least = end - MIN(back, len);
		from = MIN(from, least);
	}
	size_t rest = (size_t)(end - from);
	if (bytes != d->carry)
		return rest > 0 ? carry_add(d, bytes + len - rest, rest, err) : 0;
	memmove(d->carry, d->carry + len - rest, rest);
	d->carry_len = rest;
	return 0;
}

int disk_qdecode_feed(struct disk_qdecode *d, const uint8_t *data, size_t len, struct err *err)
{
	uint64_t base = d->pos - d->carry_len;
	int r = 0;
	d->pos += len;
	if (d->carry_len > 0) {
		r = carry_add(d, data, len, err);
		data = d->carry;
		len = d->carry_len;
	}
	if (r == 0)
		r = run(d, data, base, len, err);
	return r == 0 ? keep_rest(d, data, base, len, err) : r;
}

static int zero_holes(struct disk_qdecode *d, struct err *err)
{
	uint64_t first, clusters, next = 0;
	int r = 0;
	while (r == 0 && disk_qmap_next_hole(d->map, next, &first, &clusters)) {
		uint64_t offset = first << d->header->cluster_bits;
		uint64_t len = MIN(clusters << d->header->cluster_bits,
				   d->header->virtual_size - offset);
		r = disk_sink_zero(d->sink, offset, len, err);
		next = first + clusters;
	}
	return r;
}

int disk_qdecode_finish(struct disk_qdecode *d, struct err *err)
{
	d->end = true;
	int r = run(d, d->carry, d->pos - d->carry_len, d->carry_len, err);
	if (r == 0 && disk_qmap_first(d->map))
		r = cut_off(err);
	return r == 0 ? zero_holes(d, err) : r;
}
