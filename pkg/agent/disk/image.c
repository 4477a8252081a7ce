/* The image write from order to bootable disk. Everything that can be refused is refused while
 * nothing has been written: format, size, memory, tables. Then both ends of the disk are zeroed,
 * the stream runs, and only when the digest is the expected one and there is a partition table does
 * the sink write what it withheld. See image.h for the threads. */

#include "agent/disk/image.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/disk/qdecode.h"
#include "agent/disk/sink.h"
#include "agent/disk/table.h"
#include "agent/disk/unpack.h"
#include "agent/disk/wipe.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	/* A zstd block of 128 KiB comes out only when it is in whole. */
	PROBE_BYTES = 256 * 1024,
	GUEST_HEAD = 64 * 1024, /* of a qcow2's guest: both kinds of partition table */
	DEVICE_TRIES = 20,
	TABLES_AT_ONCE = 4 * 1024 * 1024,
};

struct write {
	const struct disk_image_options *options;
	struct disk_progress *progress;
	enum disk_fault fault;
	struct disk_fetch *fetch;
	struct disk_ring *ring;
	struct disk_dev dev;
	struct disk_sink *sink;
	struct disk_sum sum;
	/* From the probe. */
	uint8_t *probe, *head; /* as served; unpacked (the same pointer when not packed) */
	size_t probe_len, head_len;
	bool whole, whole_head; /* the file, what is in it: nothing follows */
	bool any_validator;	/* the second pass */
	enum disk_packing packing;
	enum disk_format format;
	/* The decoder. */
	struct disk_unpack *unpack;
	struct disk_qmap *map;
	struct disk_qdecode *qdecode;
	uint8_t *scratch;	 /* unpacked qcow2 on its way */
	uint64_t served, offset; /* bytes taken from the ring; position on the disk (raw) */
	/* Results of the other threads, valid after they are joined. */
	struct err fetch_error, hash_error;
	char hex[DIGEST_HEX_MAX];
};

const char *disk_phase_name(int phase)
{
	static const char *const names[_DISK_PHASE_MAX] = {
		[DISK_PHASE_IDLE] = "idle",	[DISK_PHASE_PROBE] = "probe",
		[DISK_PHASE_WRITE] = "write",	[DISK_PHASE_VERIFY] = "verify",
		[DISK_PHASE_FINISH] = "finish", [DISK_PHASE_ERASE] = "erase",
	};
	return phase >= 0 && phase < _DISK_PHASE_MAX ? names[phase] : "idle";
}

static void enter(struct write *w, enum disk_phase phase)
{
	atomic_store(&w->progress->phase, phase);
}

/* The text is longer than an atomic. Taken for a copy only. */
static pthread_mutex_t trouble_lock = PTHREAD_MUTEX_INITIALIZER;

void disk_progress_tell(struct disk_progress *p, unsigned attempt, unsigned attempts,
			const char *trouble)
{
	pthread_mutex_lock(&trouble_lock);
	p->trouble = (struct disk_trouble){ .attempt = attempt, .attempts = attempts };
	snprintf(p->trouble.text, sizeof(p->trouble.text), "%s", str_or(trouble, ""));
	pthread_mutex_unlock(&trouble_lock);
}

struct disk_trouble disk_progress_trouble(struct disk_progress *p)
{
	pthread_mutex_lock(&trouble_lock);
	struct disk_trouble t = p->trouble;
	pthread_mutex_unlock(&trouble_lock);
	return t;
}

static void on_trouble(void *data, unsigned attempt, unsigned attempts, const struct err *err)
{
	struct write *w = data;
	char count[32];
	snprintf(count, sizeof(count), "%u of %u", attempt, attempts);
	if (err)
		log_warn("cannot read the image", "attempt", count, "error", err->text);
	disk_progress_tell(w->progress, attempt, attempts, err ? err->text : NULL);
}

/* Notes who is to blame, once. */
static int blame(struct write *w, enum disk_fault fault, int r)
{
	if (r < 0 && w->fault == DISK_FAULT_NONE)
		w->fault = fault;
	return r;
}

/* --- looking at the image -------------------------------------------------------------------- */

static int resolve_sum(struct write *w, struct err *err)
{
	const char *url = disk_sum_url(&w->options->sum);
	_cleanup_(freep) char *text = NULL;
	_cleanup_(freep) char *name = disk_url_name(w->options->fetch.urls[0]);
	size_t len = 0;
	int r = 0;
	if (url)
		r = disk_fetch_text(w->fetch, url, DISK_SUMS_MAX_BYTES, &text, &len, err);
	if (r < 0) {
		err_wrap(err, "checksum file");
		return blame(w, DISK_FAULT_DOWNLOAD, r);
	}
	r = disk_sum_resolve(&w->options->sum, text, name, &w->sum, err);
	return blame(w, DISK_FAULT_REQUEST, r);
}

size_t disk_image_memory(uint64_t free_bytes)
{
	uint64_t half = MIN(free_bytes / 2, (uint64_t)SIZE_MAX);
	return (size_t)MAX(half, (uint64_t)DISK_IMAGE_MEMORY);
}

static size_t memory_limit(const struct write *w)
{
	return w->options->memory_limit ? w->options->memory_limit : DISK_IMAGE_MEMORY;
}

static int check_digest(struct write *w, const char *outcome, struct err *err)
{
	if (streq(w->hex, w->sum.hex))
		return 0;
	_cleanup_(freep) char *url = disk_url_shown(w->options->fetch.urls[0]);
	err_set(err, ERR_INVALID,
		"the image %.120s has %s %s and %s was expected: correct the one that is wrong; %s",
		url, digest_name(w->sum.digest), w->hex, w->sum.hex, outcome);
	return blame(w, DISK_FAULT_CHECKSUM, err_value(err));
}

/* The first bytes of what is inside the packing: also where too large a dictionary is refused. */
static int unpack_head(struct write *w, struct err *err)
{
	_cleanup_(disk_unpack_freep) struct disk_unpack *u = NULL;
	const uint8_t *in = w->probe;
	size_t left = w->probe_len;
	w->head = xcalloc(1, PROBE_BYTES);
	u = disk_unpack_new(w->packing, memory_limit(w));
	int r = 0;
	for (size_t n = 1; n > 0 && w->head_len < PROBE_BYTES && r == 0;) {
		size_t before = left;
		r = disk_unpack_step(u, &in, &left, w->head + w->head_len,
				     PROBE_BYTES - w->head_len, &n, err);
		w->head_len += r == 0 ? n : 0;
		if (n == 0 && left != before && left > 0)
			n = 1; /* a member ended; the next begins */
	}
	/* A small file's end can be seen, too. */
	for (size_t n = 1; n > 0 && w->whole && w->head_len < PROBE_BYTES && r == 0;) {
		r = disk_unpack_finish(u, w->head + w->head_len, PROBE_BYTES - w->head_len, &n,
				       err);
		w->head_len += r == 0 ? n : 0;
	}
	w->whole_head = w->whole && w->head_len < PROBE_BYTES;
	return r;
}

static int check_not_empty(const struct write *w, struct err *err)
{
	if (w->head_len > 0)
		return 0;
	if (w->whole)
		return err_set(err, ERR_INVALID, "the image is empty");
	return err_set(err, ERR_UNSUPPORTED,
		       "the first %d KiB of the image's %s stream hold no data: pack it anew",
		       PROBE_BYTES / 1024, disk_packing_name(w->packing));
}

/* What is all here can be compared before anything is written. */
static int check_small(struct write *w, struct err *err)
{
	if (!w->whole)
		return 0;
	digest_hex(w->sum.digest, w->probe, w->probe_len, w->hex);
	return check_digest(w, "nothing was written", err);
}

static int probe(struct write *w, struct err *err)
{
	w->probe = xcalloc(1, PROBE_BYTES);
	int r = disk_fetch_range(w->fetch, 0, w->probe, PROBE_BYTES, &w->probe_len, err);
	if (r < 0)
		return blame(w, DISK_FAULT_DOWNLOAD, r);
	int64_t size = disk_fetch_info(w->fetch).size;
	w->whole = size >= 0 ? w->probe_len >= (uint64_t)size : w->probe_len < PROBE_BYTES;
	w->packing = disk_packing_detect(w->probe, w->probe_len);
	if (w->packing != DISK_PLAIN) {
		r = unpack_head(w, err);
	} else {
		w->head = w->probe;
		w->head_len = w->probe_len;
		w->whole_head = w->whole;
	}
	if (r == 0)
		r = check_not_empty(w, err);
	if (r == 0)
		r = disk_format_choose(w->options->format, w->options->permitted, w->head,
				       w->head_len, &w->format, err);
	r = blame(w, DISK_FAULT_IMAGE, r);
	return r == 0 ? check_small(w, err) : r;
}

static int check_size(struct write *w, uint64_t size, struct err *err)
{
	if (size <= w->dev.size)
		return 0;
	err_set(err, ERR_LIMIT, "the image has %llu bytes and %s has %llu: choose a larger disk",
		(unsigned long long)size, w->dev.path, (unsigned long long)w->dev.size);
	return blame(w, DISK_FAULT_IMAGE, err_value(err));
}

/* The partition table of what would be on the disk, of which `head` is the beginning. */
static int check_table(struct write *w, const uint8_t *head, size_t len, bool whole,
		       struct err *err)
{
	struct err table = { 0 };
	bool gpt;
	if (!whole && disk_table_undecided(head, len))
		return 0;
	int r = disk_table_check_head(head, len, w->dev.sector, &gpt, &table);
	if (r < 0 && table.kind == ERR_NOT_FOUND)
		r = disk_format_no_table(head, len, err);
	else if (r < 0)
		err_copy(err, &table);
	if (r < 0)
		return blame(w, DISK_FAULT_IMAGE, r);
	uint64_t end = disk_table_end(head, len, w->dev.sector);
	if (end <= w->dev.size)
		return 0;
	err_set(err, ERR_LIMIT,
		"the image's last partition ends at byte %llu and %s has %llu: choose a larger disk",
		(unsigned long long)end, w->dev.path, (unsigned long long)w->dev.size);
	return blame(w, DISK_FAULT_IMAGE, err_value(err));
}

/* --- qcow2: pass 1 --------------------------------------------------------------------------- */

static int fetch_exactly(struct write *w, uint64_t offset, void *buf, size_t len, struct err *err)
{
	size_t got = 0;
	int r = disk_fetch_range(w->fetch, offset, buf, len, &got, err);
	if (r < 0)
		return blame(w, DISK_FAULT_DOWNLOAD, r);
	if (got == len)
		return 0;
	err_set(err, ERR_INVALID, "the qcow2 image is cut off: %llu bytes at %llu are missing",
		(unsigned long long)(len - got), (unsigned long long)offset);
	return blame(w, DISK_FAULT_IMAGE, err_value(err));
}

/* L2 tables that stand side by side are read with one request. */
static int read_l2_run(struct write *w, uint32_t index, uint32_t count, uint64_t offset,
		       uint8_t *buf, struct err *err)
{
	size_t cluster = qcow2_cluster_size(disk_qmap_header(w->map));
	int r = fetch_exactly(w, offset, buf, count * cluster, err);
	for (uint32_t i = 0; i < count && r == 0; i++) {
		const uint8_t *table = buf + i * cluster;
		r = disk_qmap_add_table(w->map, offset + i * cluster, table, cluster, err);
		if (r == 0)
			r = disk_qmap_add_l2(w->map, index + i, table, 0, err);
	}
	return blame(w, DISK_FAULT_IMAGE, r);
}

static int read_l2_tables(struct write *w, const uint8_t *l1, struct err *err)
{
	const struct qcow2_header *h = disk_qmap_header(w->map);
	size_t cluster = qcow2_cluster_size(h), most = TABLES_AT_ONCE / cluster;
	_cleanup_(freep) uint8_t *buf = xmalloc(TABLES_AT_ONCE);
	for (uint32_t i = 0; i < h->l1_entries;) {
		uint64_t first = 0, next = 0;
		uint32_t count = 1;
		int r = qcow2_l1_entry(h, l1, i, &first, err);
		while (r == 0 && first && count < most && i + count < h->l1_entries &&
		       (r = qcow2_l1_entry(h, l1, i + count, &next, err)) == 0 &&
		       next == first + count * cluster)
			count++;
		if (r == 0 && first)
			r = read_l2_run(w, i, count, first, buf, err);
		if (r < 0)
			return blame(w, DISK_FAULT_IMAGE, r);
		i += count;
	}
	return 0;
}

/* One cluster of the guest; the last of the file may be cut where nothing is missing of its data.
 */
static int read_cluster(struct write *w, const struct disk_qextent *e, uint8_t *out,
			struct err *err)
{
	const struct qcow2_header *h = disk_qmap_header(w->map);
	size_t cluster = qcow2_cluster_size(h), got = 0;
	_cleanup_(freep) uint8_t *packed = e->kind == DISK_Q_PACKED ? xcalloc(1, e->size) : NULL;
	int r = disk_fetch_range(w->fetch, e->host, packed ? packed : out, e->size, &got, err);
	if (r < 0)
		return blame(w, DISK_FAULT_DOWNLOAD, r);
	if (!packed)
		return 0;
	struct disk_uncluster *u = disk_uncluster_new(h->compression);
	r = disk_uncluster_do(u, packed, got, out, cluster, err);
	disk_uncluster_free(u);
	return blame(w, DISK_FAULT_IMAGE, r);
}

/* The guest's partition table is inside, and Range can fetch it: no need to wipe a disk first. */
static int check_guest_table(struct write *w, struct err *err)
{
	const struct qcow2_header *h = disk_qmap_header(w->map);
	size_t cluster = qcow2_cluster_size(h);
	size_t len = (GUEST_HEAD + cluster - 1) / cluster * cluster;
	_cleanup_(freep) uint8_t *head = xcalloc(1, len);
	for (size_t i = 0; i < len / cluster; i++) {
		struct disk_qextent e;
		if (!disk_qmap_find(w->map, (uint32_t)i, &e))
			continue;
		int r = read_cluster(w, &e, head + i * cluster, err);
		if (r < 0)
			return r;
	}
	size_t there = (size_t)MIN((uint64_t)len, h->virtual_size);
	return check_table(w, head, there, there == h->virtual_size, err);
}

static int read_tables(struct write *w, struct err *err)
{
	const struct qcow2_header *h = disk_qmap_header(w->map);
	size_t len = (size_t)h->l1_entries * 8;
	_cleanup_(freep) uint8_t *l1 = xcalloc(1, len + 1);
	int r = fetch_exactly(w, h->l1_offset, l1, len, err);
	if (r == 0)
		r = blame(w, DISK_FAULT_IMAGE,
			  disk_qmap_add_table(w->map, h->l1_offset, l1, len, err));
	if (r == 0)
		r = read_l2_tables(w, l1, err);
	return r == 0 ? check_guest_table(w, err) : r;
}

static int prepare_qcow2(struct write *w, struct err *err)
{
	struct qcow2_header h;
	int r = qcow2_parse_header(w->head, MIN(w->head_len, (size_t)QCOW2_HEADER_READ), &h, err);
	if (r < 0)
		return blame(w, DISK_FAULT_IMAGE, r);
	r = check_size(w, h.virtual_size, err);
	if (r < 0)
		return r;
	/* What the decompressor around it may take is not there for the map. */
	size_t limit = w->packing == DISK_PLAIN ? memory_limit(w) : memory_limit(w) / 4;
	w->map = disk_qmap_new(&h, limit);
	r = disk_qmap_add_table(w->map, 0, w->head, MIN(w->head_len, (size_t)QCOW2_HEADER_READ),
				err);
	bool by_range = w->packing == DISK_PLAIN && disk_fetch_info(w->fetch).ranges;
	if (r == 0 && by_range)
		return read_tables(w, err);
	if (r == 0 && h.l1_entries > 0)
		r = disk_qmap_add_pending(w->map, DISK_Q_L1, h.l1_offset, h.l1_entries * 8, 0, err);
	return blame(w, DISK_FAULT_IMAGE, r);
}

static int prepare(struct write *w, struct err *err)
{
	int64_t size = disk_fetch_info(w->fetch).size;
	if (size > 0)
		atomic_store(&w->progress->total, (uint64_t)size);
	if (w->format == DISK_FORMAT_QCOW2)
		return prepare_qcow2(w, err);
	uint64_t least = w->packing != DISK_PLAIN
				 ? disk_unpack_least(w->packing, w->probe, w->probe_len)
			 : size > 0 ? (uint64_t)size
				    : 0;
	int r = check_size(w, least, err);
	return r == 0 ? check_table(w, w->head, w->head_len, w->whole_head, err) : r;
}

/* --- the stream ------------------------------------------------------------------------------ */

static void *fetch_thread(void *data)
{
	struct write *w = data;
	(void)disk_fetch_stream(w->fetch, w->ring, &w->progress->received, &w->fetch_error);
	return NULL;
}

static void *hash_thread(void *data)
{
	struct write *w = data;
	struct disk_ring *ring = w->ring;
	struct digest_ctx *ctx = digest_new(w->sum.digest);
	const uint8_t *bytes;
	size_t len;
	while (disk_ring_next(ring, DISK_READER_HASH, &bytes, &len, &w->hash_error) > 0) {
		digest_update(ctx, bytes, len);
		disk_ring_release(ring, DISK_READER_HASH);
	}
	digest_finish_hex(ctx, w->hex);
	digest_free(ctx);
	return NULL;
}

/* The decoder and the sink tell by the kind of error whose fault it is. */
static int blame_sink(struct write *w, int r, const struct err *err)
{
	bool device = err->kind == ERR_IO || err->kind == ERR_BUSY || err->kind == ERR_DENIED;
	return blame(w, device ? DISK_FAULT_DEVICE : DISK_FAULT_IMAGE, r);
}

static int raw_out(struct write *w, size_t *ret_room, uint8_t *beyond, uint8_t **ret,
		   struct err *err)
{
	/* At the very end of the disk the unpacker still wants a place for nothing. */
	if (w->offset == w->dev.size) {
		*ret = beyond;
		*ret_room = 1;
		return 0;
	}
	*ret = disk_sink_space(w->sink, w->offset, ret_room, err);
	return *ret ? 0 : blame_sink(w, err_value(err), err);
}

static int raw_in(struct write *w, const uint8_t *beyond, const uint8_t *out, size_t n,
		  struct err *err)
{
	if (out == beyond)
		return n > 0 ? check_size(w, w->dev.size + 1, err) : 0;
	disk_sink_advance(w->sink, n);
	w->offset += n;
	return 0;
}

typedef int (*step_fn)(struct write *w, const uint8_t **in, size_t *len, uint8_t *out, size_t room,
		       size_t *ret_n, struct err *err);

static int step_more(struct write *w, const uint8_t **in, size_t *len, uint8_t *out, size_t room,
		     size_t *ret_n, struct err *err)
{
	return blame(w, DISK_FAULT_IMAGE,
		     disk_unpack_step(w->unpack, in, len, out, room, ret_n, err));
}

static int step_last(struct write *w, const uint8_t **in, size_t *len, uint8_t *out, size_t room,
		     size_t *ret_n, struct err *err)
{
	(void)in, (void)len;
	return blame(w, DISK_FAULT_IMAGE, disk_unpack_finish(w->unpack, out, room, ret_n, err));
}

/* Unpacks straight into the sink's buffers. */
static int packed_raw(struct write *w, step_fn step, const uint8_t *in, size_t len, struct err *err)
{
	uint8_t beyond[1], *out = NULL;
	for (size_t n = 0, room = 0; len > 0 || n == room || (step == step_last && n > 0);) {
		int r = raw_out(w, &room, beyond, &out, err);
		if (r == 0)
			r = step(w, &in, &len, out, room, &n, err);
		if (r == 0)
			r = raw_in(w, beyond, out, n, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int packed_qcow2(struct write *w, step_fn step, const uint8_t *in, size_t len,
			struct err *err)
{
	if (!w->scratch)
		w->scratch = disk_alloc(DISK_BLOCK);
	for (size_t n = DISK_BLOCK; len > 0 || n == DISK_BLOCK || (step == step_last && n > 0);) {
		int r = step(w, &in, &len, w->scratch, DISK_BLOCK, &n, err);
		if (r == 0 && n > 0)
			r = blame_sink(w, disk_qdecode_feed(w->qdecode, w->scratch, n, err), err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int feed(struct write *w, const uint8_t *bytes, size_t len, struct err *err)
{
	if (w->unpack)
		return w->format == DISK_FORMAT_QCOW2 ? packed_qcow2(w, step_more, bytes, len, err)
						      : packed_raw(w, step_more, bytes, len, err);
	if (w->format == DISK_FORMAT_QCOW2)
		return blame_sink(w, disk_qdecode_feed(w->qdecode, bytes, len, err), err);
	int r = disk_sink_write(w->sink, w->offset, bytes, len, err);
	w->offset += len;
	return r < 0 ? blame_sink(w, r, err) : 0;
}

static int finish_decoding(struct write *w, struct err *err)
{
	int r = 0;
	if (w->unpack)
		r = w->format == DISK_FORMAT_QCOW2 ? packed_qcow2(w, step_last, NULL, 0, err)
						   : packed_raw(w, step_last, NULL, 0, err);
	if (r == 0 && w->qdecode)
		r = blame_sink(w, disk_qdecode_finish(w->qdecode, err), err);
	return r == 0 ? blame_sink(w, disk_sink_drain(w->sink, err), err) : r;
}

/* What was looked at before must be what is written. */
static int check_same_head(struct write *w, const uint8_t *bytes, size_t len, struct err *err)
{
	size_t n = MIN(len, w->probe_len);
	if (w->served > 0 || memcmp(bytes, w->probe, n) == 0)
		return 0;
	err_set(err, ERR_CONFLICT, "the image changed on the server while it was read");
	return blame(w, DISK_FAULT_DOWNLOAD, err_value(err));
}

static int decode_stream(struct write *w, struct err *err)
{
	const uint8_t *bytes;
	size_t len;
	int r;
	while ((r = disk_ring_next(w->ring, DISK_READER_DECODE, &bytes, &len, err)) > 0) {
		r = check_same_head(w, bytes, len, err);
		if (r == 0)
			r = feed(w, bytes, len, err);
		if (r == 0 && atomic_load(&w->progress->cancel))
			r = err_set(err, ERR_CANCELLED, "the image write was given up");
		w->served += len;
		disk_ring_release(w->ring, DISK_READER_DECODE);
		if (r < 0)
			return r;
	}
	return r == 0 ? finish_decoding(w, err) : blame(w, DISK_FAULT_DOWNLOAD, r);
}

static int start_thread(pthread_t *thread, void *(*fn)(void *), struct write *w, struct err *err)
{
	int failed = pthread_create(thread, NULL, fn, w);
	return failed ? err_set_errno(err, failed, "cannot start a thread") : 0;
}

/* Runs the three threads and this one, until all are done. */
static int stream(struct write *w, struct err *err)
{
	pthread_t fetcher, hasher;
	int r = start_thread(&hasher, hash_thread, w, err);
	if (r < 0)
		return r;
	r = start_thread(&fetcher, fetch_thread, w, err);
	bool fetching = r == 0;
	if (r == 0)
		r = decode_stream(w, err);
	if (r < 0) {
		disk_ring_abort(w->ring);
		disk_fetch_abort(w->fetch);
	}
	if (fetching)
		pthread_join(fetcher, NULL);
	pthread_join(hasher, NULL);
	return r;
}

/* --- before and after ------------------------------------------------------------------------ */

/* The backup GPT header too makes a disk bootable. Where it is in the image, the primary tells; for
 * qcow2, whose first sectors may come late, it is the last sector if it is anywhere. */
static void withhold_backup(struct write *w)
{
	const struct qcow2_header *h = w->map ? disk_qmap_header(w->map) : NULL;
	int64_t size = disk_fetch_info(w->fetch).size;
	uint64_t backup = 0;
	if (h)
		backup = h->virtual_size;
	else if (!disk_table_backup_of(w->head, w->head_len, &backup) && w->packing == DISK_PLAIN)
		backup = size > 0 ? (uint64_t)size : 0;
	if (backup >= DISK_ALIGN)
		disk_sink_withhold(w->sink, backup - DISK_ALIGN, DISK_ALIGN);
}

static int open_disk(struct write *w, struct err *err)
{
	enter(w, DISK_PHASE_WRITE);
	int r = disk_wipe_ends(&w->dev, err);
	if (r == 0) {
		disk_dev_reread(&w->dev);
		r = disk_sink_open(&w->dev, &w->progress->written, &w->sink, err);
	}
	if (r < 0)
		return blame(w, DISK_FAULT_DEVICE, r);
	withhold_backup(w);
	w->ring = disk_ring_new(DISK_IMAGE_RING, disk_fetch_space, w->fetch);
	if (w->packing != DISK_PLAIN)
		w->unpack = disk_unpack_new(w->packing, memory_limit(w));
	if (w->map)
		w->qdecode = disk_qdecode_new(w->map, w->sink);
	return 0;
}

static int verify(struct write *w, struct err *err)
{
	enter(w, DISK_PHASE_VERIFY);
	return check_digest(w, "the disk is left without a boot sector", err);
}

static int commit(struct write *w, struct disk_image_result *ret, struct err *err)
{
	size_t len = 0;
	const uint8_t *head = disk_sink_head(w->sink, &len);
	bool gpt = false;
	int r = disk_table_check_head(head, len, w->dev.sector, &gpt, err);
	if (r < 0)
		return blame(w, DISK_FAULT_IMAGE, r);
	r = disk_sink_commit(w->sink, err);
	if (r < 0)
		return blame(w, DISK_FAULT_DEVICE, r);
	uint32_t id = 0;
	for (size_t i = 4; i > 0; i--)
		id = id << 8 | head[440 + i - 1];
	*ret = (struct disk_image_result){
		.format = w->format,
		.served_bytes = w->served,
		.written_bytes = atomic_load(&w->progress->written),
		.disk_id = id,
		.gpt = gpt,
	};
	return 0;
}

/* All that belongs to one reading of the image. */
static void pass_done(struct write *w)
{
	w->qdecode = disk_qdecode_free(w->qdecode);
	w->map = disk_qmap_free(w->map);
	w->unpack = disk_unpack_free(w->unpack);
	w->sink = disk_sink_close(w->sink);
	w->ring = disk_ring_free(w->ring);
	w->fetch = disk_fetch_close(w->fetch);
	if (w->head != w->probe)
		free(w->head);
	free(w->probe);
	free(w->scratch);
	w->head = w->probe = w->scratch = NULL;
	w->probe_len = w->head_len = 0;
	w->served = w->offset = 0;
	w->fault = DISK_FAULT_NONE;
	atomic_store(&w->progress->received, 0);
	atomic_store(&w->progress->total, 0);
	atomic_store(&w->progress->written, 0);
}

static int pass(struct write *w, struct err *err)
{
	struct disk_fetch_options fetch = w->options->fetch;
	fetch.any_validator = w->any_validator;
	fetch.trouble = on_trouble;
	fetch.trouble_data = w;
	enter(w, DISK_PHASE_PROBE);
	int r = disk_fetch_open(&fetch, &w->fetch, err);
	if (r < 0)
		return blame(w, DISK_FAULT_REQUEST, r);
	r = resolve_sum(w, err);
	if (r == 0)
		r = probe(w, err);
	if (r == 0)
		r = prepare(w, err);
	if (r == 0)
		r = open_disk(w, err);
	if (r == 0)
		r = stream(w, err);
	return r == 0 ? verify(w, err) : r;
}

static int run(struct write *w, struct disk_image_result *ret, struct err *err)
{
	int r = disk_dev_open_wait(w->options->device, DEVICE_TRIES, &w->dev, err);
	if (r < 0)
		return blame(w, DISK_FAULT_DEVICE, r);
	r = pass(w, err);
	/* Mirrors behind one name give the same file other names. What was read is not joined to
	 * it: all is read once more, and what it is called does not count then, but its checksum.
	 */
	if (r < 0 && err->kind == ERR_CONFLICT) {
		log_warn("reading the image from its start again", "error", err->text);
		pass_done(w);
		w->any_validator = true;
		err_clear(err);
		r = pass(w, err);
	}
	return r == 0 ? commit(w, ret, err) : r;
}

/* The counts of the last pass stay readable. */
static void write_done(struct write *w)
{
	uint64_t received = atomic_load(&w->progress->received);
	uint64_t total = atomic_load(&w->progress->total);
	uint64_t written = atomic_load(&w->progress->written);
	pass_done(w);
	atomic_store(&w->progress->received, received);
	atomic_store(&w->progress->total, total);
	atomic_store(&w->progress->written, written);
	disk_dev_reread(&w->dev);
	disk_dev_close(&w->dev);
}

int disk_image_write(const struct disk_image_options *options, struct disk_image_result *ret,
		     enum disk_fault *ret_fault, struct err *err)
{
	struct disk_progress unseen = { 0 };
	struct err local = { 0 };
	struct write w = {
		.options = options,
		.progress = options->progress ? options->progress : &unseen,
		.dev.fd = -1,
	};
	atomic_store(&w.progress->received, 0);
	atomic_store(&w.progress->total, 0);
	atomic_store(&w.progress->written, 0);
	disk_progress_tell(w.progress, 0, 0, NULL);
	int r = run(&w, ret, &local);
	enum disk_fault fault = w.fault ? w.fault : DISK_FAULT_DEVICE;
	write_done(&w);
	disk_progress_tell(w.progress, 0, 0, NULL);
	enter(&w, DISK_PHASE_IDLE);
	if (r == 0)
		return 0;
	*ret_fault = fault;
	return err_copy(err, &local);
}
