/* Bounds-checked cursors with a sticky error; see cursor.h. Pure. */

#include "base/cursor.h"

#include <string.h>

void cursor_init(struct cursor *c, const void *data, size_t len)
{
	*c = (struct cursor){ .data = data, .len = len };
}

size_t cursor_left(const struct cursor *c)
{
	return c->failed ? 0 : c->len - c->pos;
}

bool cursor_ok(const struct cursor *c)
{
	return !c->failed;
}

void cursor_fail(struct cursor *c)
{
	c->failed = true;
}

const uint8_t *cursor_bytes(struct cursor *c, size_t n)
{
	if (n > cursor_left(c)) {
		c->failed = true;
		return NULL;
	}
	const uint8_t *p = c->data + c->pos;
	c->pos += n;
	return p;
}

static uint64_t read_be(struct cursor *c, size_t n)
{
	const uint8_t *p = cursor_bytes(c, n);
	uint64_t v = 0;
	for (size_t i = 0; p && i < n; i++)
		v = v << 8 | p[i];
	return v;
}

static uint64_t read_le(struct cursor *c, size_t n)
{
	const uint8_t *p = cursor_bytes(c, n);
	uint64_t v = 0;
	for (size_t i = n; p && i > 0; i--)
		v = v << 8 | p[i - 1];
	return v;
}

uint8_t cursor_u8(struct cursor *c)
{
	return (uint8_t)read_be(c, 1);
}

uint16_t cursor_be16(struct cursor *c)
{
	return (uint16_t)read_be(c, 2);
}

uint32_t cursor_be32(struct cursor *c)
{
	return (uint32_t)read_be(c, 4);
}

uint64_t cursor_be64(struct cursor *c)
{
	return read_be(c, 8);
}

uint16_t cursor_le16(struct cursor *c)
{
	return (uint16_t)read_le(c, 2);
}

uint32_t cursor_le32(struct cursor *c)
{
	return (uint32_t)read_le(c, 4);
}

uint64_t cursor_le64(struct cursor *c)
{
	return read_le(c, 8);
}

void cursor_skip(struct cursor *c, size_t n)
{
	(void)cursor_bytes(c, n);
}

void cursor_seek(struct cursor *c, size_t pos)
{
	if (pos > c->len)
		c->failed = true;
	else
		c->pos = pos;
}

void cursor_copy(struct cursor *c, void *out, size_t n)
{
	const uint8_t *p = cursor_bytes(c, n);
	if (p)
		memcpy(out, p, n);
	else
		memset(out, 0, n);
}

const char *cursor_cstr(struct cursor *c)
{
	size_t left = cursor_left(c);
	const uint8_t *p = c->data + c->pos;
	const uint8_t *nul = left ? memchr(p, 0, left) : NULL;
	if (!nul) {
		c->failed = true;
		return NULL;
	}
	return (const char *)cursor_bytes(c, (size_t)(nul - p) + 1);
}

void wcursor_init(struct wcursor *w, void *data, size_t cap)
{
	*w = (struct wcursor){ .data = data, .cap = cap };
}

static uint8_t *room(struct wcursor *w, size_t n)
{
	if (w->failed || n > w->cap - w->pos) {
		w->failed = true;
		return NULL;
	}
	uint8_t *p = w->data + w->pos;
	w->pos += n;
	return p;
}

static void write_be(struct wcursor *w, uint64_t v, size_t n)
{
	uint8_t *p = room(w, n);
	for (size_t i = 0; p && i < n; i++)
		p[i] = (uint8_t)(v >> 8 * (n - 1 - i));
}

static void write_le(struct wcursor *w, uint64_t v, size_t n)
{
	uint8_t *p = room(w, n);
	for (size_t i = 0; p && i < n; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

void wcursor_u8(struct wcursor *w, uint8_t v)
{
	write_be(w, v, 1);
}

void wcursor_be16(struct wcursor *w, uint16_t v)
{
	write_be(w, v, 2);
}

void wcursor_be32(struct wcursor *w, uint32_t v)
{
	write_be(w, v, 4);
}

void wcursor_be64(struct wcursor *w, uint64_t v)
{
	write_be(w, v, 8);
}

void wcursor_le16(struct wcursor *w, uint16_t v)
{
	write_le(w, v, 2);
}

void wcursor_le32(struct wcursor *w, uint32_t v)
{
	write_le(w, v, 4);
}

void wcursor_le64(struct wcursor *w, uint64_t v)
{
	write_le(w, v, 8);
}

void wcursor_bytes(struct wcursor *w, const void *data, size_t n)
{
	uint8_t *p = room(w, n);
	if (p && n > 0)
		memcpy(p, data, n);
}

void wcursor_fill(struct wcursor *w, uint8_t v, size_t n)
{
	uint8_t *p = room(w, n);
	if (p)
		memset(p, v, n);
}
