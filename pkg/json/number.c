/* Numbers as exact decimals, read from their text: no double in between, so that no 64-bit integer
 * loses digits and equality by value holds at any length. The text is known to follow the grammar
 * of RFC 8259, section 6. Pure. */

#include <string.h>

#include "json/internal.h"

/* Exponents beyond this are told apart by their text only. */
#define EXPONENT_MAX INT64_C(1000000000000)

static int64_t parse_exponent(const char *p, bool *ret_huge)
{
	bool negative = *p == '-';
	int64_t value = 0;
	for (p += *p == '-' || *p == '+'; *p; p++) {
		value = value * 10 + (*p - '0');
		if (value > EXPONENT_MAX) {
			*ret_huge = true;
			return 0;
		}
	}
	return negative ? -value : value;
}

void decimal_parse(const char *text, struct decimal *ret)
{
	struct decimal d = { .negative = *text == '-' };
	bool fraction = false;
	const char *p = text + d.negative;
	size_t count = 0; /* digits from d.first on */
	for (; *p && *p != 'e' && *p != 'E'; p++) {
		if (*p == '.') {
			fraction = true;
			continue;
		}
		d.scale -= fraction;
		if (*p != '0' && !d.first)
			d.first = p;
		count += d.first != NULL;
		if (*p != '0') {
			d.last = p;
			d.count = count;
		}
	}
	/* Zeros behind the last digit that counts belong to the scale. */
	d.scale += (int64_t)(count - d.count);
	if (*p)
		d.scale += parse_exponent(p + 1, &d.huge);
	if (!d.first)
		d.negative = d.huge = false;
	*ret = d;
}

static bool same_digits(const struct decimal *a, const struct decimal *b)
{
	if (a->count != b->count)
		return false;
	const char *p = a->first, *q = b->first;
	for (size_t i = 0; i < a->count; i++, p++, q++) {
		p += *p == '.';
		q += *q == '.';
		if (*p != *q)
			return false;
	}
	return true;
}

bool decimal_equal(const char *a, const char *b)
{
	if (strcmp(a, b) == 0)
		return true;
	struct decimal x, y;
	decimal_parse(a, &x);
	decimal_parse(b, &y);
	if (!x.first || !y.first)
		return !x.first && !y.first;
	return !x.huge && !y.huge && x.negative == y.negative && x.scale == y.scale &&
	       same_digits(&x, &y);
}

bool decimal_to_int(const char *text, int64_t *ret)
{
	if (parse_i64(text, ret) == 0)
		return true;
	struct decimal d;
	decimal_parse(text, &d);
	if (!d.first) {
		*ret = 0;
		return true;
	}
	enum { DIGITS_MAX = 19 };
	if (d.huge || d.scale < 0 || d.scale > DIGITS_MAX || d.count > DIGITS_MAX ||
	    d.count + (size_t)d.scale > DIGITS_MAX)
		return false;
	char digits[DIGITS_MAX + 2], *out = digits;
	if (d.negative)
		*out++ = '-';
	for (const char *p = d.first; p <= d.last; p++)
		if (*p != '.')
			*out++ = *p;
	memset(out, '0', (size_t)d.scale);
	out[d.scale] = '\0';
	return parse_i64(digits, ret) == 0;
}
