/* Bytes of strings: what needs an escape, and UTF-8 as RFC 3629 has it: no overlong forms, no
 * surrogates, nothing above U+10FFFF. Pure. */

#include <string.h>

#include "base/mem.h"
#include "json/internal.h"

/* Bytes of the well-formed sequence at s, or 0. Table 3-7 of the Unicode standard. */
static size_t sequence(const unsigned char *s, size_t len)
{
	unsigned char c = s[0], low = 0x80, high = 0xbf;
	if (c < 0x80)
		return 1;
	if (c < 0xc2 || c > 0xf4)
		return 0;
	size_t n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	if (len < n)
		return 0;
	if (c == 0xe0)
		low = 0xa0;
	else if (c == 0xed)
		high = 0x9f;
	else if (c == 0xf0)
		low = 0x90;
	else if (c == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

size_t utf8_valid_len(const char *s, size_t len)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t i = 0;
	while (i < len) {
		uint64_t word;
		/* Nearly everything is ASCII: eight bytes at a time. */
		while (len - i >= sizeof(word)) {
			memcpy(&word, p + i, sizeof(word));
			if (word & UINT64_C(0x8080808080808080))
				break;
			i += sizeof(word);
		}
		if (i == len)
			break;
		size_t n = sequence(p + i, len - i);
		if (n == 0)
			break;
		i += n;
	}
	return i;
}

const char *plain_run(const char *p, const char *end)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), high = ones * 0x80;
	uint64_t w;
	/* Eight bytes at a time; the classic tests for "a byte is zero" and "a byte is below 0x20".
	 */
	for (; end - p >= (ptrdiff_t)sizeof(w); p += sizeof(w)) {
		memcpy(&w, p, sizeof(w));
		uint64_t quote = w ^ ones * '"', slash = w ^ ones * '\\';
		uint64_t hit = (w - ones * 0x20) | (quote - ones) | (slash - ones);
		/* Bytes above 0x7f are plain: parts of characters, checked before. */
		if (hit & ~w & high)
			break;
	}
	while (p < end && (unsigned char)*p >= 0x20 && *p != '"' && *p != '\\')
		p++;
	return p;
}

size_t utf8_encode(uint32_t c, char out[4])
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	for (size_t i = n - 1; i > 0; i--) {
		out[i] = (char)(0x80 | (c & 0x3f));
		c >>= 6;
	}
	out[0] = (char)(lead[n] | c);
	return n;
}

char *utf8_repair(const char *s)
{
	struct strbuf out = { 0 };
	size_t len = strlen(s);
	for (;;) {
		size_t good = utf8_valid_len(s, len);
		strbuf_add(&out, s, good);
		if (good == len)
			return strbuf_take(&out, NULL);
		strbuf_adds(&out, "\xef\xbf\xbd");
		s += good + 1;
		len -= good + 1;
	}
}
