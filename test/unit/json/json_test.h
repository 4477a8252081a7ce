#pragma once
/* What the tests of this module share: trees from literals, and comparison as text. */

#include <string.h>

#include "base/mem.h"
#include "json/json.h"

static inline struct json *tree(const char *text)
{
	struct json *j = NULL;
	struct err err = { 0 };
	if (json_parse(text, strlen(text), &j, &err) < 0)
		fail_msg("%s: %s", text, err.text);
	return j;
}

static inline void assert_json(const struct json *j, const char *expected)
{
	_cleanup_(freep) char *text = json_to_string(j);
	assert_string_equal(text, expected);
}
