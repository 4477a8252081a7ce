/* Strict parser: RFC 8259 text to cJSON nodes. cJSON's own parser is not used, because it makes
 * doubles of 64-bit integers, ends strings at \u0000, keeps duplicate keys and lets bad UTF-8
 * through. Recursion follows nesting, which is bounded. Each node hangs in the tree as soon as it
 * exists, so that a failure frees the root and nothing else. Pure. */

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "json/internal.h"
#include "json/json.h"

struct parser {
	const char *text, *p, *end;
	unsigned depth, max_depth;
	size_t values_left;
	struct strbuf scratch; /* a string with escapes, while it is decoded */
	struct err *err;
};

/* --- errors ---------------------------------------------------------------------------------- */

/* Counted only when something is wrong. Columns count characters, as editors do. */
static int fail_at(struct parser *ps, const char *at, enum err_kind kind, const char *what)
{
	size_t line = 1, column = 1;
	for (const char *p = ps->text; p < at; p++) {
		if (*p == '\n') {
			line++;
			column = 1;
		} else if ((*p & 0xc0) != 0x80) {
			column++;
		}
	}
	return err_set(ps->err, kind, "JSON, line %zu, column %zu: %s", line, column, what);
}

static int fail_expected(struct parser *ps, const char *expected)
{
	char what[128];
	const char *p = ps->p;
	if (p >= ps->end)
		snprintf(what, sizeof(what), "expected %s, but the text ends here", expected);
	else if (*p >= 0x20 && *p < 0x7f)
		snprintf(what, sizeof(what), "expected %s, but found '%c'", expected, *p);
	else
		snprintf(what, sizeof(what), "expected %s, but found byte 0x%02x", expected,
			 (unsigned char)*p);
	return fail_at(ps, p, ERR_INVALID, what);
}

/* --- tokens ---------------------------------------------------------------------------------- */

static void skip_space(struct parser *ps)
{
	const char *p = ps->p;
	while (p < ps->end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
		p++;
	ps->p = p;
}

/* Skips white space, then c if it comes. */
static bool accept(struct parser *ps, char c)
{
	skip_space(ps);
	if (ps->p >= ps->end || *ps->p != c)
		return false;
	ps->p++;
	return true;
}

static char *copy_text(const char *start, size_t len)
{
	char *s = xmalloc(len + 1);
	memcpy(s, start, len);
	s[len] = '\0';
	return s;
}

static int hex4(struct parser *ps, uint32_t *ret)
{
	uint32_t value = 0;
	for (int i = 0; i < 4; i++, ps->p++) {
		char c = ps->p < ps->end ? *ps->p : 0, lower = c | 0x20;
		if (c >= '0' && c <= '9')
			value = value << 4 | (uint32_t)(c - '0');
		else if (lower >= 'a' && lower <= 'f')
			value = value << 4 | (uint32_t)(lower - 'a' + 10);
		else
			return fail_expected(ps, "four hexadecimal digits after \\u");
	}
	*ret = value;
	return 0;
}

/* Behind "\u". Characters beyond U+FFFF come as two surrogates, which mean nothing alone. */
static int parse_unicode(struct parser *ps)
{
	const char *start = ps->p - 2;
	uint32_t c = 0, low = 0;
	int r = hex4(ps, &c);
	if (r < 0)
		return r;
	if (c == 0)
		return fail_at(ps, start, ERR_INVALID, "\\u0000 is not accepted in strings");
	if (c >= 0xd800 && c < 0xe000) {
		if (c >= 0xdc00 || ps->end - ps->p < 2 || memcmp(ps->p, "\\u", 2) != 0)
			return fail_at(ps, start, ERR_INVALID, "half of a surrogate pair");
		ps->p += 2;
		r = hex4(ps, &low);
		if (r < 0)
			return r;
		if (low < 0xdc00 || low >= 0xe000)
			return fail_at(ps, start, ERR_INVALID, "half of a surrogate pair");
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	char bytes[4];
	strbuf_add(&ps->scratch, bytes, utf8_encode(c, bytes));
	return 0;
}

static int parse_escape(struct parser *ps)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	ps->p++;
	char c = ps->p < ps->end ? *ps->p : '\0';
	if (c == 'u') {
		ps->p++;
		return parse_unicode(ps);
	}
	const char *found = c ? strchr(from, c) : NULL;
	if (!found)
		return fail_expected(ps, "one of \"\\/bfnrtu after a backslash");
	ps->p++;
	strbuf_addc(&ps->scratch, to[found - from]);
	return 0;
}

/* The rest of a string, from its first backslash on. */
static int parse_escaped(struct parser *ps, const char *start, char **ret)
{
	strbuf_clear(&ps->scratch);
	for (;;) {
		const char *end = plain_run(ps->p, ps->end);
		strbuf_add(&ps->scratch, start, (size_t)(end - start));
		ps->p = end;
		if (end >= ps->end || (unsigned char)*end < 0x20)
			return fail_expected(ps, "the closing quote of a string");
		if (*end == '"')
			break;
		int r = parse_escape(ps);
		if (r < 0)
			return r;
		start = ps->p;
	}
	ps->p++;
	*ret = copy_text(ps->scratch.data, ps->scratch.len);
	return 0;
}

/* At the opening quote. */
static int parse_string(struct parser *ps, char **ret)
{
	const char *start = ++ps->p, *end = plain_run(start, ps->end);
	if (end >= ps->end || *end != '"') {
		ps->p = start;
		return parse_escaped(ps, start, ret);
	}
	*ret = copy_text(start, (size_t)(end - start));
	ps->p = end + 1;
	return 0;
}

static bool skip_digits(struct parser *ps)
{
	const char *start = ps->p;
	while (ps->p < ps->end && *ps->p >= '0' && *ps->p <= '9')
		ps->p++;
	return ps->p > start;
}

static bool skip_any(struct parser *ps, char a, char b)
{
	if (ps->p >= ps->end || (*ps->p != a && *ps->p != b))
		return false;
	ps->p++;
	return true;
}

static int parse_number(struct parser *ps, cJSON *item)
{
	const char *start = ps->p;
	skip_any(ps, '-', '-');
	/* A zero in front ends the integer: 012 is no number. */
	if (!skip_any(ps, '0', '0') && !skip_digits(ps))
		return fail_expected(ps, "a digit");
	if (skip_any(ps, '.', '.') && !skip_digits(ps))
		return fail_expected(ps, "a digit after the point");
	if (skip_any(ps, 'e', 'E')) {
		skip_any(ps, '+', '-');
		if (!skip_digits(ps))
			return fail_expected(ps, "a digit in the exponent");
	}
	item->type = cJSON_Number;
	item->valuestring = copy_text(start, (size_t)(ps->p - start));
	return 0;
}

static int parse_word(struct parser *ps, const char *word, int type, cJSON *item)
{
	size_t len = strlen(word);
	if ((size_t)(ps->end - ps->p) < len || memcmp(ps->p, word, len) != 0)
		return fail_expected(ps, "a JSON value");
	ps->p += len;
	item->type = type;
	return 0;
}

/* --- structure ------------------------------------------------------------------------------- */

static int parse_value(struct parser *ps, cJSON *item);

/* While parsing, a member's valueint is the place of its key in the text. */
static int fail_duplicate(struct parser *ps, const cJSON *a, const cJSON *b)
{
	char what[128];
	snprintf(what, sizeof(what), "the key \"%.64s\" stands in this object twice", a->string);
	return fail_at(ps, ps->text + MAX(a->valueint, b->valueint), ERR_INVALID, what);
}

static int check_few_keys(struct parser *ps, const cJSON *object)
{
	for (const cJSON *a = object->child; a; a = a->next)
		for (const cJSON *b = a->next; b; b = b->next)
			if (a->string[0] == b->string[0] && strcmp(a->string, b->string) == 0)
				return fail_duplicate(ps, a, b);
	return 0;
}

static int check_keys(struct parser *ps, const cJSON *object, size_t count)
{
	if (count <= SMALL_OBJECT)
		return check_few_keys(ps, object);
	_cleanup_(freep) const cJSON **sorted = members_sort(object, count);
	for (size_t i = 1; i < count; i++)
		if (strcmp(sorted[i - 1]->string, sorted[i]->string) == 0)
			return fail_duplicate(ps, sorted[i - 1], sorted[i]);
	return 0;
}

static int parse_member(struct parser *ps, cJSON *object)
{
	skip_space(ps);
	if (ps->p >= ps->end || *ps->p != '"')
		return fail_expected(ps, "a key in quotes");
	char *key;
	int place = (int)(ps->p - ps->text);
	int r = parse_string(ps, &key);
	if (r < 0)
		return r;
	cJSON *child = node_new(cJSON_NULL);
	child->string = key;
	child->valueint = place;
	node_append(object, child);
	if (!accept(ps, ':'))
		return fail_expected(ps, "':' after a key");
	return parse_value(ps, child);
}

static int parse_object(struct parser *ps, cJSON *object)
{
	object->type = cJSON_Object;
	ps->p++;
	if (accept(ps, '}'))
		return 0;
	for (size_t count = 1;; count++) {
		int r = parse_member(ps, object);
		if (r < 0)
			return r;
		if (accept(ps, ','))
			continue;
		if (!accept(ps, '}'))
			return fail_expected(ps, "',' or '}' after a member");
		return check_keys(ps, object, count);
	}
}

static int parse_array(struct parser *ps, cJSON *array)
{
	array->type = cJSON_Array;
	ps->p++;
	if (accept(ps, ']'))
		return 0;
	for (;;) {
		cJSON *child = node_new(cJSON_NULL);
		node_append(array, child);
		int r = parse_value(ps, child);
		if (r < 0)
			return r;
		if (accept(ps, ','))
			continue;
		return accept(ps, ']') ? 0 : fail_expected(ps, "',' or ']' after an element");
	}
}

static int parse_nested(struct parser *ps, cJSON *item)
{
	if (ps->depth == ps->max_depth) {
		char what[64];
		snprintf(what, sizeof(what), "nested deeper than %u levels", ps->max_depth);
		return fail_at(ps, ps->p, ERR_LIMIT, what);
	}
	ps->depth++;
	int r = *ps->p == '{' ? parse_object(ps, item) : parse_array(ps, item);
	ps->depth--;
	return r;
}

static int parse_value(struct parser *ps, cJSON *item)
{
	skip_space(ps);
	if (ps->values_left-- == 0)
		return fail_at(ps, ps->p, ERR_LIMIT, "more values than are accepted");
	switch (ps->p < ps->end ? *ps->p : '\0') {
	case '{':
	case '[':
		return parse_nested(ps, item);
	case '"':
		item->type = cJSON_String;
		return parse_string(ps, &item->valuestring);
	case 't':
		return parse_word(ps, "true", cJSON_True, item);
	case 'f':
		return parse_word(ps, "false", cJSON_False, item);
	case 'n':
		return parse_word(ps, "null", cJSON_NULL, item);
	case '-':
	case '0' ... '9':
		return parse_number(ps, item);
	}
	return fail_expected(ps, "a JSON value");
}

static int parse_text(struct parser *ps, cJSON *root)
{
	size_t len = (size_t)(ps->end - ps->text);
	if (len > INT_MAX)
		return err_set(ps->err, ERR_LIMIT, "JSON text of %zu bytes is too large", len);
	size_t valid = utf8_valid_len(ps->text, len);
	if (valid < len)
		return fail_at(ps, ps->text + valid, ERR_INVALID, "bad UTF-8");
	int r = parse_value(ps, root);
	if (r < 0)
		return r;
	skip_space(ps);
	return ps->p == ps->end ? 0 : fail_expected(ps, "nothing after the value");
}

int json_parse_limited(const char *text, size_t len, const struct json_limits *limits,
		       struct json **ret, struct err *err)
{
	struct parser ps = {
		.text = text,
		.p = text,
		.end = text + len,
		.max_depth = MIN(limits->depth, (unsigned)DEPTH_LIMIT),
		.values_left = limits->values,
		.err = err,
	};
	_cleanup_(node_freep) cJSON *root = node_new(cJSON_NULL);
	int r = parse_text(&ps, root);
	strbuf_done(&ps.scratch);
	if (r < 0)
		return r;
	*ret = to_json(TAKE_PTR(root));
	return 0;
}

int json_parse_depth(const char *text, size_t len, unsigned max_depth, struct json **ret,
		     struct err *err)
{
	return json_parse_limited(text, len,
				  &(struct json_limits){ .depth = max_depth, .values = SIZE_MAX },
				  ret, err);
}

int json_parse(const char *text, size_t len, struct json **ret, struct err *err)
{
	return json_parse_depth(text, len, JSON_DEPTH_MAX, ret, err);
}
