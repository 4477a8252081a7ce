/* The router (see router.h). Patterns are matched from left to right; only "[text]" has two ways,
 * and there are two of these at most, so the work is bounded by four passes over the path. */

#include "web/router.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum {
	OPTIONAL_MAX = 2, /* of "[text]" in a pattern */
};

static const struct {
	const char *name;
	unsigned bit;
} methods[] = {
	{ "GET", WEB_GET }, { "HEAD", WEB_HEAD },   { "POST", WEB_POST },
	{ "PUT", WEB_PUT }, { "PATCH", WEB_PATCH }, { "DELETE", WEB_DELETE },
};

unsigned web_method_bit(const char *method)
{
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (streq(methods[i].name, method))
			return methods[i].bit;
	return 0;
}

char *web_param(const struct web_params *params, const char *name)
{
	for (size_t i = 0; i < params->count; i++) {
		const struct web_param *p = &params->items[i];
		if (strlen(name) == p->name_len && memcmp(p->name, name, p->name_len) == 0)
			return xstrndup(p->value, p->len);
	}
	return NULL;
}

/* --- patterns --------------------------------------------------------------------------------- */

/* One "{name}" or "{name...}" of a pattern. */
struct hole {
	const char *name;
	size_t name_len;
	bool rest;
	const char *end; /* behind it */
};

/* `p` stands on the brace. Only of sound patterns. */
static struct hole read_hole(const char *p)
{
	const char *close = p + strcspn(p, "}");
	size_t len = (size_t)(close - p) - 1;
	bool rest = len > 3 && memcmp(close - 3, "...", 3) == 0;
	return (struct hole){ p + 1, rest ? len - 3 : len, rest, close + 1 };
}

static void add_param(struct web_params *params, const struct hole *h, const char *value,
		      size_t len)
{
	params->items[params->count++] = (struct web_param){ h->name, h->name_len, value, len };
}

static bool fits(const char *p, const char *s, const char *end, struct web_params *params);

/* With the text, or without it. */
static bool fits_optional(const char *p, const char *s, const char *end, struct web_params *params)
{
	size_t len = strcspn(p + 1, "]"), count = params->count;
	const char *behind = p + len + 2;
	if ((size_t)(end - s) >= len && memcmp(p + 1, s, len) == 0 &&
	    fits(behind, s + len, end, params))
		return true;
	params->count = count;
	return fits(behind, s, end, params);
}

static bool fits(const char *p, const char *s, const char *end, struct web_params *params)
{
	while (*p) {
		if (*p == '[')
			return fits_optional(p, s, end, params);
		if (*p != '{') {
			if (s == end || *p++ != *s++)
				return false;
			continue;
		}
		struct hole h = read_hole(p);
		const char *stop = h.rest ? NULL : memchr(s, '/', (size_t)(end - s));
		size_t len = (size_t)((stop ? stop : end) - s);
		if (len == 0 && !h.rest)
			return false;
		add_param(params, &h, s, len);
		s += len;
		p = h.end;
	}
	return s == end;
}

bool web_pattern_fits(const char *pattern, const char *path, size_t len, struct web_params *ret)
{
	struct web_params params = { 0 };
	if (!fits(pattern, path, path + len, &params))
		return false;
	*ret = params;
	return true;
}

static bool hole_sound(const char *p, size_t *count)
{
	size_t len = strspn(p + 1, "abcdefghijklmnopqrstuvwxyz_");
	const char *end = p + 1 + len;
	bool rest = len && strncmp(end, "...", 3) == 0;
	end += rest ? 3 : 0;
	if (!len || *end++ != '}' || ++*count > WEB_PARAMS_MAX)
		return false;
	/* A segment goes up to a slash, so nothing but one can follow. */
	return *end == '\0' || (!rest && (*end == '/' || str_has_prefix(end, "[/")));
}

bool web_pattern_sound(const char *pattern)
{
	size_t holes = 0, optional = 0;
	if (pattern[0] != '/' && pattern[0] != '[')
		return false;
	for (const char *p = pattern; *p; p++) {
		size_t len = strcspn(p + 1, "[]{}");
		switch (*p) {
		case '{':
			if (!hole_sound(p, &holes))
				return false;
			p = read_hole(p).end - 1;
			break;
		case '[':
			if (!len || p[len + 1] != ']' || ++optional > OPTIONAL_MAX)
				return false;
			p += len + 1;
			break;
		case '}':
		case ']':
			return false;
		default: /* lint: a byte */
			break;
		}
	}
	return true;
}

/* --- tables ----------------------------------------------------------------------------------- */

/* The rows of one pattern are neighbours. */
static size_t same_pattern(const struct web_row *row)
{
	size_t n = 1;
	while (row[n].pattern && streq(row[n].pattern, row->pattern))
		n++;
	return n;
}

static const struct web_row *find(const struct web_router *router, const char *path, size_t len,
				  struct web_params *ret)
{
	for (const struct web_row *row = router->rows; row->pattern; row += same_pattern(row))
		if (web_pattern_fits(row->pattern, path, len, ret))
			return row;
	return NULL;
}

static void refuse_method(const struct web_router *router, void *data, struct web_request *r,
			  const struct web_row *rows)
{
	_cleanup_(strbuf_done) struct strbuf allow = { 0 };
	unsigned all = 0;
	for (size_t i = 0, n = same_pattern(rows); i < n; i++)
		all |= rows[i].methods;
	strbuf_adds(&allow, "Allow:");
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (all & methods[i].bit)
			strbuf_addf(&allow, "%s%s", str_has_suffix(allow.data, ":") ? " " : ", ",
				    methods[i].name);
	router->refuse(data, r, 405, allow.data);
}

static size_t path_length(const struct web_router *router, const char *path)
{
	size_t len = strlen(path);
	while (router->trim_slashes && len > 1 && path[len - 1] == '/')
		len--;
	return len;
}

void web_router_run_at(const struct web_router *router, void *data, struct web_request *r,
		       const char *path)
{
	struct web_match match = { 0 };
	unsigned method = web_method_bit(web_method(r));
	if (router->begin && !router->begin(data, r))
		return;
	const struct web_row *rows = find(router, path, path_length(router, path), &match.params);
	if (!rows) {
		router->refuse(data, r, 404, NULL);
		return;
	}
	for (size_t i = 0, n = same_pattern(rows); i < n && !match.row; i++)
		if (rows[i].methods & method)
			match.row = &rows[i];
	if (!match.row)
		refuse_method(router, data, r, rows);
	else if (!router->admit || router->admit(data, r, match.row))
		match.row->handler(data, r, &match);
}

void web_router_run(const struct web_router *router, void *data, struct web_request *r)
{
	web_router_run_at(router, data, r, web_path(r));
}

/* Not seen before, but right above. */
static bool row_sound(const struct web_row *rows, const struct web_row *row)
{
	const struct web_row *first = row;
	if (!web_pattern_sound(row->pattern) || !row->methods || !row->handler)
		return false;
	while (first > rows && streq(first[-1].pattern, row->pattern)) {
		first--;
		if (first->methods & row->methods)
			return false;
	}
	for (const struct web_row *other = rows; other < first; other++)
		if (streq(other->pattern, row->pattern))
			return false;
	return true;
}

bool web_router_sound(const struct web_router *router)
{
	if (!router->refuse || !router->rows[0].pattern)
		return false;
	for (const struct web_row *row = router->rows; row->pattern; row++)
		if (!row_sound(router->rows, row))
			return false;
	return true;
}
