#pragma once
/* Deflate (RFC 1951) by zlib, in two forms. any thread */

#include <stddef.h>

#include "base/str.h"

/* --- with a dictionary ------------------------------------------------------------------------
 * For texts that are kept in memory by the thousand and seldom read: what they have in common is
 * the dictionary. Not for the wire: the form has no header and no checksum. */

enum { COMPRESS_SAMPLE_MAX = 7000 }; /* more of a sample is not looked at */

/* The packed bytes, new, trimmed to *ret_len. `sample` may be NULL; unpacking needs the same. */
void *compress_with_sample(const char *sample, const void *text, size_t len, size_t *ret_len);
/* Into `text`, of exactly the length that went in. -EINVAL: not what compress_with_sample() gave.
 */
int decompress_with_sample(const char *sample, const void *packed, size_t packed_len, void *text,
			   size_t len);

/* --- gzip --- */

/* Appends one gzip member (RFC 1952) without name and time: nothing in it varies. */
void compress_gzip(const void *data, size_t len, struct strbuf *out);
