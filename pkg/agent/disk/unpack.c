/* Decompression by zlib, liblzma and libzstd behind one interface. Streams may be concatenated, as
 * their tools produce them; zero bytes after a gzip member are padding (tape habits), all other
 * trailing bytes are an error, since they would be hashed but not written. */

#include "agent/disk/unpack.h"

#include <errno.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/mem.h"

enum {
	ZSTD_WINDOW_LOG_MIN = 10,
	ZSTD_WINDOW_LOG_MAX = 31,
	ZSTD_OVERHEAD = 1024 * 1024,
	SKIPPABLE_HEAD = 8,
	MIB = 1024 * 1024
};

struct disk_unpack {
	enum disk_packing packing;
	bool at_boundary; /* between two members: a good place to end */
	z_stream gzip;
	lzma_stream xz;
	ZSTD_DStream *zstd;
	size_t memory_limit;
};

static const struct {
	uint8_t magic[6];
	uint8_t len;
	const char *name;
} packings[] = {
	[DISK_PLAIN] = { { 0 }, 0, "" },
	[DISK_GZIP] = { { 0x1f, 0x8b, 8 }, 3, "gzip" },
	[DISK_XZ] = { { 0xfd, '7', 'z', 'X', 'Z', 0 }, 6, "xz" },
	[DISK_ZSTD] = { { 0x28, 0xb5, 0x2f, 0xfd }, 4, "zstd" },
};

enum disk_packing disk_packing_detect(const void *data, size_t len)
{
	for (size_t i = DISK_GZIP; i < ARRAY_SIZE(packings); i++)
		if (len >= packings[i].len && memcmp(data, packings[i].magic, packings[i].len) == 0)
			return (enum disk_packing)i;
	/* RFC 8878, 3.1.2: pzstd and the seekable format begin with a skippable frame. */
	const uint8_t *b = data;
	bool skippable = len >= 4 && (b[0] & 0xf0) == 0x50 && memcmp(b + 1, "\x2a\x4d\x18", 3) == 0;
	return skippable ? DISK_ZSTD : DISK_PLAIN;
}

const char *disk_packing_name(enum disk_packing p)
{
	return packings[p].name;
}

/* Of the first frame that is not skipped; others may follow. */
static uint64_t zstd_least(const uint8_t *head, size_t len)
{
	while (len >= SKIPPABLE_HEAD && (head[0] & 0xf0) == 0x50) {
		size_t size = SKIPPABLE_HEAD + ((size_t)head[4] | (size_t)head[5] << 8 |
						(size_t)head[6] << 16 | (size_t)head[7] << 24);
		if (size >= len)
			return 0;
		head += size;
		len -= size;
	}
	unsigned long long n = ZSTD_getFrameContentSize(head, len);
	return n == ZSTD_CONTENTSIZE_ERROR || n == ZSTD_CONTENTSIZE_UNKNOWN ? 0 : n;
}

uint64_t disk_unpack_least(enum disk_packing p, const void *head, size_t len)
{
	return p == DISK_ZSTD ? zstd_least(head, len) : 0;
}

/* The window is nearly all that the decoder needs; its logarithm is what can be limited. */
static void start_zstd(struct disk_unpack *u, size_t memory_limit)
{
	int log = ZSTD_WINDOW_LOG_MIN;
	while (log < ZSTD_WINDOW_LOG_MAX &&
	       ((size_t)1 << (log + 1)) + ZSTD_OVERHEAD <= memory_limit)
		log++;
	u->zstd = ZSTD_createDStream();
	if (!u->zstd)
		abort();
	ZSTD_DCtx_setParameter(u->zstd, ZSTD_d_windowLogMax, log);
}

struct disk_unpack *disk_unpack_new(enum disk_packing p, size_t memory_limit)
{
	struct disk_unpack *u = xcalloc(1, sizeof(*u));
	bool ok = true;
	u->packing = p;
	u->memory_limit = memory_limit;
	u->xz = (lzma_stream)LZMA_STREAM_INIT;
	switch (p) {
	case DISK_PLAIN:
		break;
	case DISK_GZIP:
		ok = inflateInit2(&u->gzip, 15 + 16) == Z_OK;
		break;
	case DISK_XZ:
		ok = lzma_stream_decoder(&u->xz, memory_limit, LZMA_CONCATENATED) == LZMA_OK;
		break;
	case DISK_ZSTD:
		start_zstd(u, memory_limit);
		break;
	}
	if (!ok)
		abort(); /* nothing but memory exhaustion fails here */
	return u;
}

struct disk_unpack *disk_unpack_free(struct disk_unpack *u)
{
	if (!u)
		return NULL;
	if (u->packing == DISK_GZIP)
		inflateEnd(&u->gzip);
	lzma_end(&u->xz);
	ZSTD_freeDStream(u->zstd);
	free(u);
	return NULL;
}

void disk_unpack_freep(struct disk_unpack **u)
{
	*u = disk_unpack_free(*u);
}

/* --- one step of each ------------------------------------------------------------------------ */

static int bad_stream(const struct disk_unpack *u, const char *why, struct err *err)
{
	return err_set(err, ERR_INVALID, "the image's %s stream is damaged: %s",
		       disk_packing_name(u->packing), why);
}

/* Between members: 0 goes on, 1 nothing left to do. */
static int gzip_boundary(struct disk_unpack *u, const uint8_t **in, size_t *in_len, struct err *err)
{
	while (*in_len > 0 && **in == 0) {
		(*in)++;
		(*in_len)--;
	}
	if (*in_len == 0)
		return 1;
	if (**in != 0x1f)
		return bad_stream(u, "something else follows it", err);
	inflateReset(&u->gzip);
	u->at_boundary = false;
	return 0;
}

static int step_gzip(struct disk_unpack *u, const uint8_t **in, size_t *in_len, uint8_t *out,
		     size_t out_len, size_t *ret_out, struct err *err)
{
	*ret_out = 0;
	int r = u->at_boundary ? gzip_boundary(u, in, in_len, err) : 0;
	if (r != 0)
		return MIN(r, 0);
	u->gzip.next_in = (Bytef *)(uintptr_t)*in;
	u->gzip.avail_in = (uInt)*in_len;
	u->gzip.next_out = out;
	u->gzip.avail_out = (uInt)out_len;
	r = inflate(&u->gzip, Z_NO_FLUSH);
	*in += *in_len - u->gzip.avail_in;
	*in_len = u->gzip.avail_in;
	*ret_out = out_len - u->gzip.avail_out;
	u->at_boundary = r == Z_STREAM_END;
	if (r == Z_OK || r == Z_STREAM_END || r == Z_BUF_ERROR)
		return 0;
	return bad_stream(u, u->gzip.msg ? u->gzip.msg : "bad data", err);
}

static int xz_result(struct disk_unpack *u, lzma_ret r, struct err *err)
{
	if (r == LZMA_OK || r == LZMA_BUF_ERROR || r == LZMA_STREAM_END) {
		u->at_boundary = r == LZMA_STREAM_END;
		return 0;
	}
	if (r == LZMA_MEMLIMIT_ERROR)
		return err_set(
			err, ERR_LIMIT,
			"unpacking the image's xz stream needs %llu MiB of memory and %llu "
			"MiB are allowed (half of what the machine has free): compress it with "
			"\"xz -8\" or less, or with zstd",
			(unsigned long long)lzma_memusage(&u->xz) / MIB + 1,
			(unsigned long long)lzma_memlimit_get(&u->xz) / MIB);
	return bad_stream(u, r == LZMA_OPTIONS_ERROR ? "unknown options" : "bad data", err);
}

/* liblzma counts its own memory: the limit was given when the decoder was made. */
static int step_xz(struct disk_unpack *u, const uint8_t **in, size_t *in_len, uint8_t *out,
		   size_t out_len, size_t *ret_out, lzma_action action, struct err *err)
{
	u->xz.next_in = *in;
	u->xz.avail_in = *in_len;
	u->xz.next_out = out;
	u->xz.avail_out = out_len;
	lzma_ret r = lzma_code(&u->xz, action);
	*in += *in_len - u->xz.avail_in;
	*in_len = u->xz.avail_in;
	*ret_out = out_len - u->xz.avail_out;
	return xz_result(u, r, err);
}

static int step_zstd(struct disk_unpack *u, const uint8_t **in, size_t *in_len, uint8_t *out,
		     size_t out_len, size_t *ret_out, struct err *err)
{
	ZSTD_inBuffer from = { *in, *in_len, 0 };
	ZSTD_outBuffer to = { out, out_len, 0 };
	*ret_out = 0;
	/* Between two frames, a call without input would count as the start of the next. */
	if (u->at_boundary && *in_len == 0)
		return 0;
	size_t r = ZSTD_decompressStream(u->zstd, &to, &from);
	*in += from.pos;
	*in_len -= from.pos;
	*ret_out = to.pos;
	if (!ZSTD_isError(r)) {
		u->at_boundary = r == 0;
		return 0;
	}
	if (strstr(ZSTD_getErrorName(r), "memory"))
		return err_set(err, ERR_LIMIT,
			       "unpacking the image's zstd stream needs more memory than the %zu "
			       "MiB that are allowed (half of what the machine has free): "
			       "compress it without --long and --ultra",
			       u->memory_limit / MIB);
	return bad_stream(u, ZSTD_getErrorName(r), err);
}

int disk_unpack_step(struct disk_unpack *u, const uint8_t **in, size_t *in_len, uint8_t *out,
		     size_t out_len, size_t *ret_out, struct err *err)
{
	switch (u->packing) {
	case DISK_PLAIN:
		break;
	case DISK_GZIP:
		return step_gzip(u, in, in_len, out, out_len, ret_out, err);
	case DISK_XZ:
		return step_xz(u, in, in_len, out, out_len, ret_out, LZMA_RUN, err);
	case DISK_ZSTD:
		return step_zstd(u, in, in_len, out, out_len, ret_out, err);
	}
	size_t n = MIN(*in_len, out_len);
	memcpy(out, *in, n);
	*in += n;
	*in_len -= n;
	*ret_out = n;
	return 0;
}

int disk_unpack_finish(struct disk_unpack *u, uint8_t *out, size_t out_len, size_t *ret_out,
		       struct err *err)
{
	static const uint8_t nothing[1];
	const uint8_t *in = nothing;
	size_t in_len = 0;
	int r = 0;
	*ret_out = 0;
	if (u->packing == DISK_PLAIN)
		return 0;
	/* liblzma tells "complete" from "cut off" only when it is told that nothing follows. */
	if (u->packing == DISK_XZ && !u->at_boundary)
		r = step_xz(u, &in, &in_len, out, out_len, ret_out, LZMA_FINISH, err);
	else if (u->packing != DISK_XZ && !u->at_boundary)
		r = disk_unpack_step(u, &in, &in_len, out, out_len, ret_out, err);
	if (r == 0 && *ret_out == 0 && !u->at_boundary)
		return bad_stream(u, "it is cut off", err);
	return r;
}

/* --- clusters -------------------------------------------------------------------------------- */

struct disk_uncluster {
	enum qcow2_compression how;
	z_stream deflate;
	ZSTD_DCtx *zstd;
};

struct disk_uncluster *disk_uncluster_new(enum qcow2_compression how)
{
	struct disk_uncluster *u = xcalloc(1, sizeof(*u));
	u->how = how;
	/* Raw deflate with a window of 4 KiB (qcow2.txt, "compressed clusters"). */
	bool ok = inflateInit2(&u->deflate, -12) == Z_OK;
	u->zstd = ZSTD_createDCtx();
	if (!ok || !u->zstd)
		abort();
	return u;
}

struct disk_uncluster *disk_uncluster_free(struct disk_uncluster *u)
{
	if (!u)
		return NULL;
	inflateEnd(&u->deflate);
	ZSTD_freeDCtx(u->zstd);
	free(u);
	return NULL;
}

static bool inflate_cluster(z_stream *z, const void *in, size_t in_len, void *out, size_t out_len)
{
	inflateReset(z);
	z->next_in = (Bytef *)(uintptr_t)in;
	z->avail_in = (uInt)in_len;
	z->next_out = out;
	z->avail_out = (uInt)out_len;
	int r = inflate(z, Z_FINISH);
	return (r == Z_STREAM_END || r == Z_BUF_ERROR) && z->avail_out == 0;
}

static bool unzstd_cluster(ZSTD_DCtx *z, const void *in, size_t in_len, void *out, size_t out_len)
{
	ZSTD_inBuffer from = { in, in_len, 0 };
	ZSTD_outBuffer to = { out, out_len, 0 };
	ZSTD_DCtx_reset(z, ZSTD_reset_session_only);
	/* Rounding lets bytes of the next cluster follow: stop when ours is full. */
	for (size_t r = 1; to.pos < out_len && r != 0;) {
		size_t in_before = from.pos, out_before = to.pos;
		r = ZSTD_decompressStream(z, &to, &from);
		if (ZSTD_isError(r) || (from.pos == in_before && to.pos == out_before))
			break;
	}
	return to.pos == out_len;
}

int disk_uncluster_do(struct disk_uncluster *u, const void *in, size_t in_len, void *out,
		      size_t out_len, struct err *err)
{
	bool ok = false;
	switch (u->how) {
	case QCOW2_DEFLATE:
		ok = inflate_cluster(&u->deflate, in, in_len, out, out_len);
		break;
	case QCOW2_ZSTD:
		ok = unzstd_cluster(u->zstd, in, in_len, out, out_len);
		break;
	}
	return ok ? 0
		  : err_set(err, ERR_INVALID, "the qcow2 image is damaged: a compressed cluster");
}
