#pragma once
/* JSON of test tables; a text that is none fails the test. To be included behind cmocka.h. */

#include <string.h>

#include "base/mem.h"
#include "json/json.h"

static inline struct json *parse(const char *text)
{
	struct json *j = NULL;
	struct err err = { 0 };
	if (!text || json_parse(text, strlen(text), &j, &err) < 0)
		fail_msg("%s: %s", text ? text : "(no text)", err.text);
	return j;
}

/* With ' in place of ", so that tables stay readable. */
static inline struct json *parse_quoted(const char *text)
{
	_cleanup_(freep) char *copy = xstrdup(text);
	for (char *p = copy; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	return parse(copy);
}
