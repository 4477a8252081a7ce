/* Byte ranges of HTTP (RFC 9110, section 14). Pure functions on the text of a header: what is not
 * understood means "the whole body", and numbers too large for 64 bits are as good as infinite. */

#include "wire/range.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

static void skip_blanks(const char **p)
{
	*p += strspn(*p, " \t");
}

/* 1*DIGIT; false when there is none. */
static bool take_number(const char **p, uint64_t *ret)
{
	uint64_t value = 0;
	const char *start = *p;
	for (; **p >= '0' && **p <= '9'; (*p)++) {
		uint64_t digit = (uint64_t)(**p - '0');
		value = value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : value * 10 + digit;
	}
	*ret = value;
	return *p != start;
}

/* Lists may have empty elements (RFC 9110, 5.6.1.2). */
static void skip_empty_elements(const char **p)
{
	for (;;) {
		skip_blanks(p);
		if (**p != ',')
			return;
		(*p)++;
	}
}

static enum range_kind suffix(uint64_t wanted, uint64_t size, struct range *ret)
{
	if (wanted == 0)
		return RANGE_UNSATISFIABLE;
	if (size == 0) /* "the entire representation is used": no Content-Range can say nothing */
		return RANGE_WHOLE;
	uint64_t length = MIN(wanted, size);
	*ret = (struct range){ .start = size - length, .length = length };
	return RANGE_PART;
}

static enum range_kind interval(uint64_t first, uint64_t last, uint64_t size, struct range *ret)
{
	if (last < first) /* invalid, hence ignored (14.1.1) */
		return RANGE_WHOLE;
	if (first >= size)
		return RANGE_UNSATISFIABLE;
	*ret = (struct range){ .start = first, .length = MIN(last, size - 1) - first + 1 };
	return RANGE_PART;
}

enum range_kind range_parse(const char *header, uint64_t size, struct range *ret)
{
	static const char unit[] = "bytes=";
	if (!header || strncasecmp(header, unit, sizeof(unit) - 1) != 0)
		return RANGE_WHOLE;
	const char *p = header + sizeof(unit) - 1;
	skip_empty_elements(&p);
	uint64_t first = 0, last = UINT64_MAX;
	bool has_first = take_number(&p, &first);
	if (*p++ != '-')
		return RANGE_WHOLE;
	bool has_last = take_number(&p, &last);
	if (!has_last)
		last = UINT64_MAX;
	skip_empty_elements(&p);
	if (*p != '\0' || (!has_first && !has_last)) /* several ranges, or nonsense */
		return RANGE_WHOLE;
	return has_first ? interval(first, last, size, ret) : suffix(last, size, ret);
}

bool range_allowed(const char *if_range, const char *etag)
{
	if (!if_range)
		return true;
	return etag && *if_range == '"' && streq(if_range, etag);
}

char *content_range_format(const struct range *part, uint64_t size, char buf[CONTENT_RANGE_MAX])
{
	if (part)
		snprintf(buf, CONTENT_RANGE_MAX, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64,
			 part->start, part->start + part->length - 1, size);
	else
		snprintf(buf, CONTENT_RANGE_MAX, "bytes */%" PRIu64, size);
	return buf;
}
