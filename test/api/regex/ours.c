/* Answers for test/api/test_regex: of each line "PATTERN TEXT", both in hexadecimal, whether the
 * pattern matches: 1, 0, "bad" for a pattern that is none, "limit" for one that is too large. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "schema/regex.h"

/* Behind the mark, "-" for nothing. */
static char *from_hex(const char *hex, size_t *ret_len)
{
	size_t len = *hex == '-' ? 0 : strlen(hex) / 2;
	char *bytes = xmalloc(len + 1);
	for (size_t i = 0; i < len; i++) {
		const char digits[] = { hex[2 * i], hex[2 * i + 1], '\0' };
		bytes[i] = (char)strtoul(digits, NULL, 16);
	}
	bytes[len] = '\0';
	*ret_len = len;
	return bytes;
}

static const char *answer(const char *pattern, const char *text, size_t len)
{
	struct err err;
	struct regex *re = NULL;
	size_t steps = 100 * 1000 * 1000;
	if (regex_new(pattern, &re, &err) < 0)
		return strstr(err.text, "too large") || strstr(err.text, "too much") ? "limit"
										     : "bad";
	bool found = regex_search(re, text, len, &steps);
	regex_free(re);
	return steps == 0 ? "limit" : found ? "1" : "0";
}

int main(void)
{
	static char pattern_hex[1 << 16], text_hex[1 << 16];
	while (scanf("%65535s %65535s", pattern_hex, text_hex) == 2) {
		size_t pattern_len, text_len;
		_cleanup_(freep) char *pattern = from_hex(pattern_hex, &pattern_len);
		_cleanup_(freep) char *text = from_hex(text_hex, &text_len);
		puts(answer(pattern, text, text_len));
	}
	return 0;
}
