/* SipHash-2-4 by its paper, section 2: two rounds for each eight bytes of the text, four at the
 * end. The last word holds what is left of the text and, on top, its length. Pure. */

#include "base/siphash.h"

struct state {
	uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static void rounds(struct state *s, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		s->v0 += s->v1, s->v1 = rotate(s->v1, 13) ^ s->v0, s->v0 = rotate(s->v0, 32);
		s->v2 += s->v3, s->v3 = rotate(s->v3, 16) ^ s->v2;
		s->v0 += s->v3, s->v3 = rotate(s->v3, 21) ^ s->v0;
		s->v2 += s->v1, s->v1 = rotate(s->v1, 17) ^ s->v2, s->v2 = rotate(s->v2, 32);
	}
}

static void take_word(struct state *s, uint64_t word)
{
	s->v3 ^= word;
	rounds(s, 2);
	s->v0 ^= word;
}

/* Little-endian, whatever the machine. */
static uint64_t read_word(const uint8_t *p, size_t len)
{
	uint64_t word = 0;
	for (size_t i = 0; i < len; i++)
		word |= (uint64_t)p[i] << (8 * i);
	return word;
}

uint64_t siphash(struct siphash_key key, const void *data, size_t len)
{
	const uint8_t *p = data;
	struct state s = { key.k0 ^ UINT64_C(0x736f6d6570736575),
			   key.k1 ^ UINT64_C(0x646f72616e646f6d),
			   key.k0 ^ UINT64_C(0x6c7967656e657261),
			   key.k1 ^ UINT64_C(0x7465646279746573) };
	size_t left = len;
	for (; left >= 8; p += 8, left -= 8)
		take_word(&s, read_word(p, 8));
	take_word(&s, (uint64_t)len << 56 | read_word(p, left));
	s.v2 ^= 0xff;
	rounds(&s, 4);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
