/* Deflate (RFC 1951) in one block with the fixed codes; matches are found by a table that remembers
 * the last place of each three bytes. A config drive is mostly zeros and short texts, for which
 * this comes near to zlib. Pure. */

#include "wire/configdrive_gzip.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "wire/crc32.h"

enum { MATCH_MIN = 3, MATCH_MAX = 258, WINDOW = 32768, HASH_BITS = 14 };

struct bits {
	struct strbuf *out;
	uint32_t hold;
	unsigned count;
};

/* Lowest bit first. */
static void put_bits(struct bits *b, uint32_t value, unsigned count)
{
	b->hold |= value << b->count;
	b->count += count;
	for (; b->count >= 8; b->count -= 8, b->hold >>= 8)
		strbuf_addc(b->out, (char)(b->hold & 0xff));
}

/* Huffman codes go in highest bit first. */
static void put_code(struct bits *b, uint32_t code, unsigned count)
{
	uint32_t reversed = 0;
	for (unsigned i = 0; i < count; i++)
		reversed |= (code >> i & 1) << (count - 1 - i);
	put_bits(b, reversed, count);
}

/* The fixed code of RFC 1951, 3.2.6. */
static void put_symbol(struct bits *b, unsigned symbol)
{
	if (symbol < 144)
		put_code(b, 0x30 + symbol, 8);
	else if (symbol < 256)
		put_code(b, 0x190 + symbol - 144, 9);
	else if (symbol < 280)
		put_code(b, symbol - 256, 7);
	else
		put_code(b, 0xc0 + symbol - 280, 8);
}

/* Lengths: groups of four codes share a number of extra bits; 258 has a code of its own. */
static void put_length(struct bits *b, unsigned len)
{
	if (len == MATCH_MAX) {
		put_symbol(b, 285);
		return;
	}
	unsigned v = len - MATCH_MIN, extra = 0;
	while (v >> extra >= 8)
		extra++;
	put_symbol(b, 257 + extra * 4 + (v >> extra));
	put_bits(b, v & ((1u << extra) - 1), extra);
}

/* Distances: pairs of codes share a number of extra bits. */
static void put_distance(struct bits *b, unsigned distance)
{
	unsigned v = distance - 1, extra = 0;
	while (v >> extra >= 4)
		extra++;
	put_code(b, extra * 2 + (v >> extra), 5);
	put_bits(b, v & ((1u << extra) - 1), extra);
}

static uint32_t hash3(const uint8_t *p)
{
	uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
	return v * 2654435761u >> (32 - HASH_BITS);
}

static size_t match_length(const uint8_t *data, size_t len, size_t at, size_t from)
{
	size_t limit = MIN(len - at, (size_t)MATCH_MAX), n = 0;
	while (n < limit && data[from + n] == data[at + n])
		n++;
	return n;
}

static void deflate_block(struct bits *b, const uint8_t *data, size_t len)
{
	/* Place + 1; 0: never seen. */
	size_t *last = xcalloc((size_t)1 << HASH_BITS, sizeof(*last));
	put_bits(b, 1, 1); /* last block */
	put_bits(b, 1, 2); /* fixed codes */
	for (size_t at = 0; at < len;) {
		size_t n = 0, from = 0;
		if (len - at >= MATCH_MIN) {
			size_t *slot = &last[hash3(data + at)];
			from = *slot;
			*slot = at + 1;
			if (from > 0 && at + 1 - from <= WINDOW)
				n = match_length(data, len, at, from - 1);
		}
		if (n >= MATCH_MIN) {
			put_length(b, (unsigned)n);
			put_distance(b, (unsigned)(at + 1 - from));
			at += n;
		} else {
			put_symbol(b, data[at++]);
		}
	}
	put_symbol(b, 256);
	put_bits(b, 0, 7); /* to the next byte */
	free(last);
}

static void add_le32(struct strbuf *out, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		strbuf_addc(out, (char)(v >> (8 * i) & 0xff));
}

void configdrive_gzip(const void *data, size_t len, struct strbuf *out)
{
	/* No name, no time, "maximum compression" and "unknown system": nothing that varies. */
	static const char head[10] = { 0x1f, (char)0x8b, 8, 0, 0, 0, 0, 0, 2, (char)255 };
	strbuf_add(out, head, sizeof(head));
	struct bits b = { .out = out };
	deflate_block(&b, data, len);
	add_le32(out, crc32_add(0, data, len));
	add_le32(out, (uint32_t)len);
}
