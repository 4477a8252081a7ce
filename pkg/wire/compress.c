/* See compress.h. With a dictionary the window is 8 KB, so that the state of a call is some 32 KB
 * and lives no longer than the call. */

#include "wire/compress.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/mem.h"

enum { WINDOW_BITS = -13, GZIP_WINDOW_BITS = 16 + MAX_WBITS, MEMORY_LEVEL = 5, LEVEL = 6 };

static unsigned sample_len(const char *sample)
{
	return (unsigned)strnlen(sample, COMPRESS_SAMPLE_MAX);
}

static void start(z_stream *z, int window_bits, int memory_level)
{
	if (deflateInit2(z, LEVEL, Z_DEFLATED, window_bits, memory_level, Z_DEFAULT_STRATEGY) !=
	    Z_OK)
		abort(); /* nothing but memory exhaustion fails here */
}

/* All in one call: a new buffer of *ret_len bytes. Ends the stream. */
static void *run(z_stream *z, const void *data, size_t len, size_t *ret_len)
{
	uLong room = deflateBound(z, (uLong)len);
	void *out = xmalloc(room);
	z->next_in = (z_const Bytef *)data;
	z->avail_in = (uInt)len;
	z->next_out = out;
	z->avail_out = (uInt)room;
	if (len > UINT_MAX || room > UINT_MAX || deflate(z, Z_FINISH) != Z_STREAM_END)
		abort(); /* callers have limits; deflateBound() promised the room */
	*ret_len = z->total_out;
	deflateEnd(z);
	return out;
}

void *compress_with_sample(const char *sample, const void *text, size_t len, size_t *ret_len)
{
	z_stream z = { 0 };
	start(&z, WINDOW_BITS, MEMORY_LEVEL);
	if (sample)
		deflateSetDictionary(&z, (const Bytef *)sample, sample_len(sample));
	void *out = run(&z, text, len, ret_len);
	return xreallocarray(out, *ret_len, 1);
}

void compress_gzip(const void *data, size_t len, struct strbuf *out)
{
	z_stream z = { 0 };
	size_t packed_len;
	start(&z, GZIP_WINDOW_BITS, MAX_MEM_LEVEL - 1);
	_cleanup_(freep) void *packed = run(&z, data, len, &packed_len);
	strbuf_add(out, packed, packed_len);
}

int decompress_with_sample(const char *sample, const void *packed, size_t packed_len, void *text,
			   size_t len)
{
	z_stream z = { 0 };
	if (inflateInit2(&z, WINDOW_BITS) != Z_OK)
		abort();
	if (sample)
		inflateSetDictionary(&z, (const Bytef *)sample, sample_len(sample));
	z.next_in = (z_const Bytef *)packed;
	z.avail_in = (uInt)packed_len;
	z.next_out = text;
	z.avail_out = (uInt)len;
	int r = inflate(&z, Z_FINISH);
	bool whole = r == Z_STREAM_END && z.total_out == len && z.avail_in == 0;
	inflateEnd(&z);
	return whole ? 0 : -EINVAL;
}
