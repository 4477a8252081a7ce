/* Forms of refusals, after Ironic 29's API (api/middleware/parsable_error.py, wsgi errors of
 * api/method.py) and keystonemiddleware. All of it is foreign: types are checked, length and depth
 * are limited. */

#include "agent/refusal.h"

#include <stdlib.h>
#include <string.h>

#include "agent/hw/sysfs.h"
#include "base/mem.h"
#include "base/str.h"

enum { TEXT_MAX = 300, DEPTH_MAX = 3 };

/* In the order of their worth to a reader. */
static const char *const words[] = { "faultstring", "message", "detail", "description", "title" };
static const char *const wraps[] = { "error_message", "error" };

static char *text_of(const struct json *body, int depth);

/* A text may be JSON again. */
static char *text_inside(const char *text, int depth)
{
	_cleanup_(json_freep) struct json *inner = NULL;
	if (depth < DEPTH_MAX && (*text == '{' || *text == '[') &&
	    json_parse(text, strlen(text), &inner, NULL) == 0)
		return text_of(inner, depth + 1);
	return hw_clean(xstrndup(text, TEXT_MAX));
}

static char *text_of(const struct json *body, int depth)
{
	if (depth > DEPTH_MAX)
		return NULL;
	if (json_string(body))
		return text_inside(json_string(body), depth);
	if (json_is_array(body))
		return text_of(json_at(body, 0), depth + 1);
	for (size_t i = 0; i < ARRAY_SIZE(wraps); i++) {
		const struct json *inner = json_get(body, wraps[i]);
		char *text = inner ? text_of(inner, depth + 1) : NULL;
		if (text)
			return text;
	}
	if (json_is_array(json_get(body, "errors")))
		return text_of(json_get(body, "errors"), depth + 1);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!str_empty(json_get_string(body, words[i])))
			return text_inside(json_get_string(body, words[i]), depth + 1);
	return NULL;
}

char *agent_refusal_text(const struct json *body)
{
	char *text = text_of(body, 0);
	return text ? text : xstrdup("");
}
