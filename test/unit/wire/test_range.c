/* Byte ranges: the examples of RFC 9110 and the edges around them. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "wire/range.h"

struct row {
	const char *header;
	uint64_t size;
	enum range_kind kind;
	uint64_t start, length;
};

static const struct row rows[] = {
	{ NULL, 1000, RANGE_WHOLE, 0, 0 },
	{ "", 1000, RANGE_WHOLE, 0, 0 },
	{ "bytes=0-499", 10000, RANGE_PART, 0, 500 },
	{ "bytes=500-999", 10000, RANGE_PART, 500, 500 },
	{ "bytes=-500", 10000, RANGE_PART, 9500, 500 },
	{ "bytes=9500-", 10000, RANGE_PART, 9500, 500 },
	{ "bytes=0-0", 10000, RANGE_PART, 0, 1 },
	{ "bytes=9999-9999", 10000, RANGE_PART, 9999, 1 },
	{ "bytes=0-", 1, RANGE_PART, 0, 1 },
	{ "Bytes=1-2", 10, RANGE_PART, 1, 2 },
	/* Last position beyond the end is the end. */
	{ "bytes=5-1000", 10, RANGE_PART, 5, 5 },
	{ "bytes=5-99999999999999999999999", 10, RANGE_PART, 5, 5 },
	{ "bytes=-20", 10, RANGE_PART, 0, 10 },
	/* Empty list elements and blanks around them. */
	{ "bytes=, ,0-3 ,\t,", 10, RANGE_PART, 0, 4 },
	/* Nothing there. */
	{ "bytes=10-", 10, RANGE_UNSATISFIABLE, 0, 0 },
	{ "bytes=10-12", 10, RANGE_UNSATISFIABLE, 0, 0 },
	{ "bytes=99999999999999999999999-", 10, RANGE_UNSATISFIABLE, 0, 0 },
	{ "bytes=-0", 10, RANGE_UNSATISFIABLE, 0, 0 },
	{ "bytes=0-", 0, RANGE_UNSATISFIABLE, 0, 0 },
	{ "bytes=-5", 0, RANGE_WHOLE, 0, 0 },
	/* Several ranges, other units, nonsense: the whole body. */
	{ "bytes=0-0,-1", 10, RANGE_WHOLE, 0, 0 },
	{ "bytes=0-3, 5-6", 10, RANGE_WHOLE, 0, 0 },
	{ "lines=0-3", 10, RANGE_WHOLE, 0, 0 },
	{ "bytes=3-1", 10, RANGE_WHOLE, 0, 0 },
	{ "bytes=-", 10, RANGE_WHOLE, 0, 0 },
	{ "bytes=", 10, RANGE_WHOLE, 0, 0 },
	{ "bytes=5", 10, RANGE_WHOLE, 0, 0 },
	{ "bytes=1-2x", 10, RANGE_WHOLE, 0, 0 },
	{ "bytes=0x1-2", 10, RANGE_WHOLE, 0, 0 },
	{ "bytes =1-2", 10, RANGE_WHOLE, 0, 0 },
	{ "bytes=+1-2", 10, RANGE_WHOLE, 0, 0 },
	{ "bytes=1 -2", 10, RANGE_WHOLE, 0, 0 },
	{ "bytes", 10, RANGE_WHOLE, 0, 0 },
	/* The far end of 64 bits. */
	{ "bytes=18446744073709551613-", UINT64_MAX, RANGE_PART, UINT64_MAX - 2, 2 },
	{ "bytes=0-18446744073709551615", UINT64_MAX, RANGE_PART, 0, UINT64_MAX },
};

static void parses(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct range r = { .start = 77, .length = 78 };
		enum range_kind kind = range_parse(rows[i].header, rows[i].size, &r);
		if (kind != rows[i].kind)
			fail_msg("%s: %d, not %d", rows[i].header, kind, rows[i].kind);
		bool part = kind == RANGE_PART;
		if (r.start != (part ? rows[i].start : 77) ||
		    r.length != (part ? rows[i].length : 78))
			fail_msg("%s: wrong range", rows[i].header);
	}
}

static void if_range(void **state)
{
	(void)state;
	assert_true(range_allowed(NULL, "\"a\""));
	assert_true(range_allowed(NULL, NULL));
	assert_true(range_allowed("\"a\"", "\"a\""));
	assert_false(range_allowed("\"a\"", "\"b\""));
	assert_false(range_allowed("\"a\"", NULL));
	assert_false(range_allowed("W/\"a\"", "W/\"a\""));
	assert_false(range_allowed("Wed, 21 Oct 2015 07:28:00 GMT", "\"a\""));
	assert_false(range_allowed("", "\"a\""));
}

static void formats(void **state)
{
	(void)state;
	char buf[CONTENT_RANGE_MAX];
	assert_string_equal(content_range_format(&(struct range){ 42, 1192 }, 1234, buf),
			    "bytes 42-1233/1234");
	assert_string_equal(content_range_format(NULL, 1234, buf), "bytes */1234");
	struct range far = { UINT64_MAX - 1, 1 };
	assert_string_equal(content_range_format(&far, UINT64_MAX, buf),
			    "bytes 18446744073709551614-18446744073709551614/18446744073709551615");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses),
		cmocka_unit_test(if_range),
		cmocka_unit_test(formats),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
