/* The router's patterns: a pattern, a line break, a path. What a pattern says that it fits must be
 * the path again when its names are filled in, with each "[text]" there or not. */

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "web/router.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* The path that the parameters make of the pattern; bit i of `with`: the i-th text is there. */
static char *fill(const char *pattern, const struct web_params *params, unsigned with)
{
	struct strbuf out = { 0 };
	size_t param = 0;
	bool in = true;
	for (const char *p = pattern; *p; p++) {
		if (*p == '{') {
			const struct web_param *v = &params->items[param++];
			require(v->name == p + 1);
			strbuf_add(&out, v->value, v->len);
			p = strchr(p, '}');
		} else if (*p == '[') {
			in = with & 1;
			with >>= 1;
		} else if (*p == ']') {
			in = true;
		} else if (in) {
			strbuf_addc(&out, *p);
		}
	}
	require(param == params->count);
	return strbuf_take(&out, NULL);
}

static void check(const char *pattern, const char *path, const struct web_params *params)
{
	bool same = false;
	for (size_t i = 0; i < params->count; i++) {
		const struct web_param *v = &params->items[i];
		require(v->value >= path && v->value + v->len <= path + strlen(path));
		bool rest = v->name[v->name_len] == '.';
		require(rest || (v->len && !memchr(v->value, '/', v->len)));
	}
	for (unsigned with = 0; with < 4 && !same; with++) {
		_cleanup_(freep) char *text = fill(pattern, params, with);
		same = streq(text, path);
	}
	require(same);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(freep) char *pattern = xstrndup((const char *)data, size);
	struct web_params params;
	char *path = strchr(pattern, '\n');
	if (!path)
		return 0;
	*path++ = '\0';
	if (web_pattern_sound(pattern) && web_pattern_fits(pattern, path, strlen(path), &params))
		check(pattern, path, &params);
	return 0;
}
