/* Splitter of JSON values. A scanner follows brackets and strings, so that each byte is looked at
 * once, wherever the chunks end; what stands inside a value is json_parse()'s business, which the
 * receiver calls. A value that lies in one chunk is handed over in place; only values that cross a
 * border are copied. Lists are read by a state machine over the outer object, whose members other
 * than the items are gathered in `rest`. The stream owns its buffers; fn may free the stream if it
 * then returns non-zero. Pure. */

#include "json/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "json/internal.h"

enum {
	/* Buffers above this size are given back after use: watches live for hours. */
	KEEP_BYTES = 65536,
};

/* Inside one value. */
struct scanner {
	uint64_t kinds; /* one bit per open bracket, the innermost lowest: 1 object, 0 array */
	unsigned depth;
	bool string, escape, scalar;
};

enum state {
	STATE_VALUES, /* one value after another; the only state of json_stream_new() */
	STATE_LIST_START,
	STATE_KEY_OR_END,
	STATE_KEY,
	STATE_COLON,
	STATE_MEMBER,
	STATE_MEMBER_END,
	STATE_ITEM_OR_END,
	STATE_ITEM,
	STATE_ITEM_END,
	STATE_DONE,
};

struct json_stream {
	json_stream_fn fn, rest_fn;
	void *data;
	size_t max_bytes;
	char *items; /* the key, in quotes */
	enum state state;
	bool open; /* in the middle of a value */
	bool dead;
	bool at_items, had_items; /* the member at hand is the list; the list was there */
	struct scanner scanner;
	struct strbuf held; /* the open value's bytes from earlier chunks */
	struct strbuf rest;
};

struct span {
	const char *text;
	size_t len;
};

/* --- scanning one value ---------------------------------------------------------------------- */

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool ends_scalar(char c)
{
	return is_space(c) || (c && strchr(",:[]{}\"", c));
}

static int scan_start(struct scanner *sc, char c)
{
	*sc = (struct scanner){ 0 };
	sc->scalar = c == '-' || c == 't' || c == 'f' || c == 'n' || (c >= '0' && c <= '9');
	return sc->scalar || c == '{' || c == '[' || c == '"' ? 0 : -EBADMSG;
}

static int open_bracket(struct scanner *sc, char c)
{
	if (sc->depth == JSON_DEPTH_MAX)
		return -E2BIG;
	sc->depth++;
	sc->kinds = sc->kinds << 1 | (c == '{');
	return 0;
}

/* 1 when this was the value's last bracket. */
static int close_bracket(struct scanner *sc, char c)
{
	if (sc->depth == 0 || (sc->kinds & 1) != (c == '}'))
		return -EBADMSG;
	sc->depth--;
	sc->kinds >>= 1;
	return sc->depth == 0;
}

/* Inside a string: to behind its closing quote, or to the end of the chunk. */
static int scan_string(struct scanner *sc, const char **p, const char *end)
{
	if (sc->escape) {
		sc->escape = false;
		++*p;
	}
	const char *stop = plain_run(*p, end);
	*p = stop;
	if (stop == end)
		return 0;
	if ((unsigned char)*stop < 0x20)
		return -EBADMSG;
	++*p;
	if (*stop == '\\')
		sc->escape = true;
	else
		sc->string = false;
	return !sc->string && sc->depth == 0;
}

static int scan_byte(struct scanner *sc, const char **p)
{
	char c = *(*p)++;
	switch (c) {
	case '"':
		sc->string = true;
		return 0;
	case '{':
	case '[':
		return open_bracket(sc, c);
	case '}':
	case ']':
		return close_bracket(sc, c);
	}
	return 0;
}

/* Moves *p on: 1 when it stands behind the value, 0 at the end of the chunk. */
static int scan(struct scanner *sc, const char **p, const char *end)
{
	int r = 0;
	if (sc->scalar) {
		while (*p < end && !ends_scalar(**p))
			++*p;
		return *p < end;
	}
	while (*p < end && r == 0)
		r = sc->string ? scan_string(sc, p, end) : scan_byte(sc, p);
	return r;
}

static void empty(struct strbuf *b)
{
	if (b->cap > KEEP_BYTES)
		strbuf_done(b);
	else
		strbuf_clear(b);
}

/* Reads on in the open value, or opens one. 1 with the value when it is complete. */
static int read_value(struct json_stream *s, const char **p, const char *end, struct span *ret)
{
	if (!s->open) {
		int r = scan_start(&s->scanner, **p);
		if (r < 0)
			return r;
		empty(&s->held);
		s->open = true;
	}
	const char *start = *p;
	int r = scan(&s->scanner, p, end);
	size_t len = (size_t)(*p - start);
	if (r < 0)
		return r;
	if (len > s->max_bytes - s->held.len)
		return -E2BIG;
	if (r > 0 && s->held.len == 0) {
		*ret = (struct span){ start, len };
	} else {
		strbuf_add(&s->held, start, len);
		*ret = (struct span){ s->held.data, s->held.len };
	}
	s->open = r == 0;
	return r;
}

/* --- states: each eats at least one byte or changes the state --------------------------------- */

static int add_rest(struct json_stream *s, const char *text, size_t len)
{
	if (len > s->max_bytes - s->rest.len)
		return -E2BIG;
	strbuf_add(&s->rest, text, len);
	return 0;
}

/* Punctuation of the outer object, and what comes after it. */
static int go(struct json_stream *s, const char **p, enum state next)
{
	s->state = next;
	return add_rest(s, (*p)++, 1);
}

static int finish(struct json_stream *s, const char **p)
{
	int r = go(s, p, STATE_DONE);
	if (r < 0 || !s->rest_fn)
		return r;
	return s->rest_fn(s->data, s->rest.data, s->rest.len);
}

static int on_values(struct json_stream *s, const char **p, const char *end)
{
	struct span value;
	int r = read_value(s, p, end, &value);
	return r > 0 ? s->fn(s->data, value.text, value.len) : r;
}

static int on_list_start(struct json_stream *s, const char **p, const char *end)
{
	(void)end;
	return **p == '{' ? go(s, p, STATE_KEY_OR_END) : -EBADMSG;
}

static int on_key_or_end(struct json_stream *s, const char **p, const char *end)
{
	(void)end;
	if (**p == '}')
		return finish(s, p);
	s->state = STATE_KEY;
	return 0;
}

static int on_key(struct json_stream *s, const char **p, const char *end)
{
	struct span key;
	if (!s->open && **p != '"')
		return -EBADMSG;
	int r = read_value(s, p, end, &key);
	if (r <= 0)
		return r;
	s->at_items = key.len == strlen(s->items) && memcmp(key.text, s->items, key.len) == 0;
	s->state = STATE_COLON;
	return add_rest(s, key.text, key.len);
}

static int on_colon(struct json_stream *s, const char **p, const char *end)
{
	(void)end;
	return **p == ':' ? go(s, p, STATE_MEMBER) : -EBADMSG;
}

static int on_member(struct json_stream *s, const char **p, const char *end)
{
	struct span value;
	if (s->at_items && **p == '[' && !s->open) {
		if (s->had_items)
			return -EBADMSG;
		s->had_items = true;
		return go(s, p, STATE_ITEM_OR_END);
	}
	int r = read_value(s, p, end, &value);
	if (r <= 0)
		return r;
	s->state = STATE_MEMBER_END;
	return add_rest(s, value.text, value.len);
}

static int on_member_end(struct json_stream *s, const char **p, const char *end)
{
	(void)end;
	if (**p == '}')
		return finish(s, p);
	return **p == ',' ? go(s, p, STATE_KEY) : -EBADMSG;
}

static int on_item_or_end(struct json_stream *s, const char **p, const char *end)
{
	(void)end;
	if (**p == ']')
		return go(s, p, STATE_MEMBER_END);
	s->state = STATE_ITEM;
	return 0;
}

static int on_item(struct json_stream *s, const char **p, const char *end)
{
	struct span item;
	int r = read_value(s, p, end, &item);
	if (r <= 0)
		return r;
	s->state = STATE_ITEM_END;
	return s->fn(s->data, item.text, item.len);
}

static int on_item_end(struct json_stream *s, const char **p, const char *end)
{
	(void)end;
	if (**p == ']')
		return go(s, p, STATE_MEMBER_END);
	if (**p != ',')
		return -EBADMSG;
	s->state = STATE_ITEM;
	++*p;
	return 0;
}

static int on_done(struct json_stream *s, const char **p, const char *end)
{
	(void)s, (void)p, (void)end;
	return -EBADMSG;
}

static int (*const states[])(struct json_stream *s, const char **p, const char *end) = {
	[STATE_VALUES] = on_values,
	[STATE_LIST_START] = on_list_start,
	[STATE_KEY_OR_END] = on_key_or_end,
	[STATE_KEY] = on_key,
	[STATE_COLON] = on_colon,
	[STATE_MEMBER] = on_member,
	[STATE_MEMBER_END] = on_member_end,
	[STATE_ITEM_OR_END] = on_item_or_end,
	[STATE_ITEM] = on_item,
	[STATE_ITEM_END] = on_item_end,
	[STATE_DONE] = on_done,
};

/* --- the stream ------------------------------------------------------------------------------ */

struct json_stream *json_stream_new(size_t max_value_bytes, json_stream_fn fn, void *data)
{
	struct json_stream *s = xcalloc(1, sizeof(*s));
	s->max_bytes = max_value_bytes;
	s->fn = fn;
	s->data = data;
	return s;
}

struct json_stream *json_stream_new_list(const char *items, size_t max_value_bytes,
					 json_stream_fn fn, json_stream_fn rest, void *data)
{
	struct json_stream *s = json_stream_new(max_value_bytes, fn, data);
	s->state = STATE_LIST_START;
	s->items = xasprintf("\"%s\"", items);
	s->rest_fn = rest;
	return s;
}

struct json_stream *json_stream_free(struct json_stream *s)
{
	if (!s)
		return NULL;
	strbuf_done(&s->held);
	strbuf_done(&s->rest);
	free(s->items);
	free(s);
	return NULL;
}

int json_stream_feed(struct json_stream *s, const char *data, size_t len)
{
	const char *p = data, *end = data + len;
	if (s->dead)
		return -EBADMSG;
	/* Dead until this chunk went well: a callback that fails may have freed the stream. */
	s->dead = true;
	while (p < end) {
		if (!s->open && is_space(*p)) {
			p++;
			continue;
		}
		int r = states[s->state](s, &p, end);
		if (r != 0)
			return r;
	}
	s->dead = false;
	return 0;
}

bool json_stream_idle(const struct json_stream *s)
{
	if (s->state == STATE_VALUES)
		return !s->open;
	return s->state == STATE_LIST_START || s->state == STATE_DONE;
}
