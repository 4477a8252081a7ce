/* See squeeze.h. The window is 8 KB, so that the state of a call is some 32 KB and lives no longer
 * than the call. */

#include "wire/squeeze.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/mem.h"

enum { WINDOW_BITS = -13, MEMORY_LEVEL = 5, LEVEL = 6 };

static unsigned sample_len(const char *sample)
{
	return (unsigned)strnlen(sample, SQUEEZE_SAMPLE_MAX);
}

void *squeeze(const char *sample, const void *text, size_t len, size_t *ret_len)
{
	z_stream z = { 0 };
	if (deflateInit2(&z, LEVEL, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) !=
	    Z_OK)
		abort(); /* nothing but memory exhaustion fails here */
	if (sample)
		deflateSetDictionary(&z, (const Bytef *)sample, sample_len(sample));
	uLong room = deflateBound(&z, (uLong)len);
	void *out = xmalloc(room);
	z.next_in = (z_const Bytef *)text;
	z.avail_in = (uInt)len;
	z.next_out = out;
	z.avail_out = (uInt)room;
	if (deflate(&z, Z_FINISH) != Z_STREAM_END)
		abort(); /* deflateBound() promised the room */
	*ret_len = z.total_out;
	deflateEnd(&z);
	return xreallocarray(out, *ret_len, 1);
}

int unsqueeze(const char *sample, const void *packed, size_t packed_len, void *text, size_t len)
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
