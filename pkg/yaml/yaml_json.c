/* YAML to JSON text over libyaml's events: one pass, nothing held but the document's JSON, the open
 * brackets and the keys of open mappings. libyaml knows no types, no limits on depth and no
 * duplicate keys. What a plain scalar means is decided by Kubernetes' reader (yaml/scalar.c), by
 * which the same file is read elsewhere; what no careful file needs is refused rather than guessed.
 * Pure. */

#include "yaml/yaml_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "base/mem.h"
#include "yaml/scalar.h"

/* A key of an open mapping: where its JSON text stands, and where it came from. */
struct key {
	size_t at, len;
	size_t line, column;
};

struct frame {
	bool mapping;
	bool key_read; /* in a mapping: a value comes next */
	size_t count;
	size_t first_key; /* this mapping's first in reader.keys */
};

struct reader {
	yaml_parser_t parser;
	const char *text;
	size_t len;
	yaml_document_fn fn;
	void *data;
	struct strbuf json; /* of the document being read */
	bool blank;	    /* nothing in the document but perhaps comments */
	struct frame frames[YAML_DEPTH_MAX];
	unsigned depth;
	struct key *keys; /* of all open mappings, outer ones first */
	size_t key_count, key_cap;
	struct err *err;
};

/* --- errors ---------------------------------------------------------------------------------- */

static int fail(struct reader *rd, const yaml_mark_t *mark, const char *what)
{
	return err_set(rd->err, ERR_INVALID, "YAML, line %zu, column %zu: %s", mark->line + 1,
		       mark->column + 1, what);
}

static yaml_mark_t mark_of(const char *text, size_t offset)
{
	yaml_mark_t mark = { 0 };
	for (size_t i = 0; i < offset; i++) {
		if (text[i] == '\n') {
			mark.line++;
			mark.column = 0;
		} else if ((text[i] & 0xc0) != 0x80) {
			mark.column++;
		}
	}
	return mark;
}

static int fail_parser(struct reader *rd)
{
	const yaml_parser_t *parser = &rd->parser;
	const char *problem = parser->problem ? parser->problem : "not YAML";
	yaml_mark_t mark = parser->problem_mark;
	/* Bad bytes are found before lines are counted: the reader knows an offset only. */
	if (parser->error == YAML_READER_ERROR)
		mark = mark_of(rd->text, MIN(parser->problem_offset, rd->len));
	/* "did not find expected key while parsing a block mapping" */
	char what[256];
	snprintf(what, sizeof(what), "%s%s%s", problem, parser->context ? " " : "",
		 parser->context ? parser->context : "");
	return fail(rd, &mark, what);
}

/* --- structure ------------------------------------------------------------------------------- */

static struct frame *top(struct reader *rd)
{
	return rd->depth > 0 ? &rd->frames[rd->depth - 1] : NULL;
}

/* A node begins as a key, as a value or as an element; writes the punctuation before it. */
static void begin_node(struct reader *rd, bool *ret_is_key)
{
	struct frame *frame = top(rd);
	rd->blank = false;
	*ret_is_key = frame && frame->mapping && !frame->key_read;
	if (!frame)
		return;
	if (frame->mapping && frame->key_read)
		strbuf_addc(&rd->json, ':');
	else if (frame->count++ > 0)
		strbuf_addc(&rd->json, ',');
	frame->key_read = *ret_is_key;
}

static void push_key(struct reader *rd, size_t at, const yaml_mark_t *mark)
{
	if (rd->key_count == rd->key_cap) {
		rd->key_cap = MAX(rd->key_cap * 2, (size_t)32);
		rd->keys = xreallocarray(rd->keys, rd->key_cap, sizeof(*rd->keys));
	}
	rd->keys[rd->key_count++] = (struct key){
		.at = at,
		.len = rd->json.len - at,
		.line = mark->line,
		.column = mark->column,
	};
}

static int compare_keys(const void *a, const void *b, void *json)
{
	const struct key *x = a, *y = b;
	int r = memcmp((char *)json + x->at, (char *)json + y->at, MIN(x->len, y->len));
	return r != 0 ? r : (x->len > y->len) - (x->len < y->len);
}

/* At the end of a mapping. Sorting instead of a hash table: nobody can choose keys that collide. */
static int check_keys(struct reader *rd, size_t first)
{
	size_t count = rd->key_count - first;
	if (count < 2)
		return 0;
	struct key *keys = rd->keys + first;
	qsort_r(keys, count, sizeof(*keys), compare_keys, rd->json.data);
	for (size_t i = 1; i < count; i++) {
		const struct key *a = &keys[i - 1], *b = &keys[i];
		if (compare_keys(a, b, rd->json.data) != 0)
			continue;
		const struct key *later = a->at > b->at ? a : b;
		return err_set(
			rd->err, ERR_INVALID,
			"YAML, line %zu, column %zu: the key %.*s stands in this mapping twice",
			later->line + 1, later->column + 1, (int)MIN(b->len, (size_t)64),
			rd->json.data + b->at);
	}
	return 0;
}

/* Anchors could make a small file a huge tree; tags change what a scalar means. */
static int check_decoration(struct reader *rd, const yaml_event_t *event, const void *anchor,
			    const void *tag)
{
	if (anchor)
		return fail(rd, &event->start_mark, "anchors are not accepted");
	if (tag)
		return fail(rd, &event->start_mark, "tags are not accepted");
	return 0;
}

static int open_frame(struct reader *rd, const yaml_event_t *event, bool mapping)
{
	bool is_key;
	begin_node(rd, &is_key);
	if (is_key)
		return fail(rd, &event->start_mark, "a key must be a scalar");
	if (rd->depth == YAML_DEPTH_MAX)
		return err_set(rd->err, ERR_LIMIT, "YAML, line %zu: nested deeper than %d levels",
			       event->start_mark.line + 1, YAML_DEPTH_MAX);
	rd->frames[rd->depth++] = (struct frame){ .mapping = mapping, .first_key = rd->key_count };
	strbuf_addc(&rd->json, mapping ? '{' : '[');
	return 0;
}

static int close_frame(struct reader *rd)
{
	struct frame *frame = top(rd);
	int r = frame->mapping ? check_keys(rd, frame->first_key) : 0;
	if (r < 0)
		return r;
	strbuf_addc(&rd->json, frame->mapping ? '}' : ']');
	rd->key_count = frame->first_key;
	rd->depth--;
	return 0;
}

static int add_key(struct reader *rd, const yaml_event_t *event, const char *text, bool plain)
{
	size_t at = rd->json.len;
	/* Others would merge here; to keep "<<" as a key would be a silent difference. */
	if (plain && streq(text, "<<"))
		return fail(rd, &event->start_mark, "merge keys are not accepted");
	const char *problem = NULL;
	if (plain)
		problem = scalar_resolve_key(text, &rd->json);
	else
		scalar_quote(text, &rd->json);
	if (problem)
		return fail(rd, &event->start_mark, problem);
	push_key(rd, at, &event->start_mark);
	return 0;
}

/* --- events ---------------------------------------------------------------------------------- */

static int on_scalar(struct reader *rd, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE, is_key;
	int r = check_decoration(rd, event, event->data.scalar.anchor, event->data.scalar.tag);
	if (r < 0)
		return r;
	if (strlen(text) != event->data.scalar.length)
		return fail(rd, &event->start_mark, "\\0 is not accepted in strings");
	/* What libyaml reports for a document without a node. */
	if (rd->depth == 0 && plain && *text == '\0')
		return 0;
	begin_node(rd, &is_key);
	if (is_key)
		return add_key(rd, event, text, plain);
	if (!plain) {
		scalar_quote(text, &rd->json);
		return 0;
	}
	const char *problem = scalar_resolve(text, &rd->json);
	return problem ? fail(rd, &event->start_mark, problem) : 0;
}

static void start_document(struct reader *rd)
{
	strbuf_clear(&rd->json);
	rd->blank = true;
	rd->key_count = 0;
}

static int end_document(struct reader *rd)
{
	return rd->blank ? 0 : rd->fn(rd->data, rd->json.data, rd->json.len);
}

static int on_event(struct reader *rd, const yaml_event_t *event)
{
	int r;
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		start_document(rd);
		return 0;
	case YAML_DOCUMENT_END_EVENT:
		return end_document(rd);
	case YAML_SCALAR_EVENT:
		return on_scalar(rd, event);
	case YAML_ALIAS_EVENT:
		return fail(rd, &event->start_mark, "aliases are not accepted");
	case YAML_SEQUENCE_START_EVENT:
		r = check_decoration(rd, event, event->data.sequence_start.anchor,
				     event->data.sequence_start.tag);
		return r < 0 ? r : open_frame(rd, event, false);
	case YAML_MAPPING_START_EVENT:
		r = check_decoration(rd, event, event->data.mapping_start.anchor,
				     event->data.mapping_start.tag);
		return r < 0 ? r : open_frame(rd, event, true);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return close_frame(rd);
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
		return 0;
	}
	return 0;
}

static int read_events(struct reader *rd)
{
	for (;;) {
		_cleanup_(yaml_event_delete) yaml_event_t event = { 0 };
		if (!yaml_parser_parse(&rd->parser, &event))
			return fail_parser(rd);
		if (event.type == YAML_STREAM_END_EVENT)
			return 0;
		int r = on_event(rd, &event);
		if (r != 0)
			return r;
	}
}

/* NEL, LS and PS end lines in YAML 1.1 and so in libyaml, but not in YAML 1.2. */
static int check_breaks(struct reader *rd)
{
	static const char *const breaks[] = { "\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9" };
	for (size_t i = 0; i < ARRAY_SIZE(breaks); i++) {
		const char *found = memmem(rd->text, rd->len, breaks[i], strlen(breaks[i]));
		if (!found)
			continue;
		yaml_mark_t mark = mark_of(rd->text, (size_t)(found - rd->text));
		return fail(rd, &mark, "U+0085, U+2028 and U+2029 must be written as escapes");
	}
	return 0;
}

int yaml_each(const char *text, size_t len, yaml_document_fn fn, void *data, struct err *err)
{
	struct reader rd = { .text = text, .len = len, .fn = fn, .data = data, .err = err };
	if (len > YAML_TEXT_MAX)
		return err_set(err, ERR_LIMIT, "YAML of %zu bytes: more than %d are not accepted",
			       len, YAML_TEXT_MAX);
	int r = check_breaks(&rd);
	if (r < 0)
		return r;
	if (!yaml_parser_initialize(&rd.parser))
		abort();
	yaml_parser_set_encoding(&rd.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&rd.parser, (const unsigned char *)text, len);
	r = read_events(&rd);
	yaml_parser_delete(&rd.parser);
	strbuf_done(&rd.json);
	free(rd.keys);
	return r;
}

/* --- one document ---------------------------------------------------------------------------- */

struct single {
	struct strbuf json;
	size_t count;
	struct err *err;
};

static int on_single(void *data, const char *json, size_t len)
{
	struct single *single = data;
	if (single->count++ > 0)
		return err_set(single->err, ERR_INVALID, "YAML: more than one document");
	strbuf_add(&single->json, json, len);
	return 0;
}

int yaml_to_json(const char *text, size_t len, struct strbuf *out, struct err *err)
{
	struct single single = { .err = err };
	int r = yaml_each(text, len, on_single, &single, err);
	if (r == 0 && single.count == 0)
		r = err_set(err, ERR_INVALID, "YAML: there is no document in it");
	if (r == 0)
		strbuf_add(out, single.json.data, single.json.len);
	strbuf_done(&single.json);
	return r;
}
