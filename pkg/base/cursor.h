#pragma once
/* Bounds-checked reading and writing of wire formats, with a sticky error: do all the reads, then
 * ask once. After an error every read gives zero and every write does nothing. any thread */

#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"

struct cursor {
	const uint8_t *data;
	size_t len;
	size_t pos;
	bool failed;
};

void cursor_init(struct cursor *c, const void *data, size_t len);
size_t cursor_left(const struct cursor *c);
bool cursor_ok(const struct cursor *c);
void cursor_fail(struct cursor *c);
uint8_t cursor_u8(struct cursor *c);
uint16_t cursor_be16(struct cursor *c);
uint32_t cursor_be32(struct cursor *c);
uint64_t cursor_be64(struct cursor *c);
uint16_t cursor_le16(struct cursor *c);
uint32_t cursor_le32(struct cursor *c);
uint64_t cursor_le64(struct cursor *c);
void cursor_skip(struct cursor *c, size_t n);
void cursor_seek(struct cursor *c, size_t pos);
/* The next n bytes in place, or NULL. */
const uint8_t *cursor_bytes(struct cursor *c, size_t n);
void cursor_copy(struct cursor *c, void *out, size_t n);
/* A NUL-terminated string in place, or NULL if no NUL follows. */
const char *cursor_cstr(struct cursor *c);

/* Writing into a buffer of fixed size. */
struct wcursor {
	uint8_t *data;
	size_t cap;
	size_t pos;
	bool failed;
};

void wcursor_init(struct wcursor *w, void *data, size_t cap);
void wcursor_u8(struct wcursor *w, uint8_t v);
void wcursor_be16(struct wcursor *w, uint16_t v);
void wcursor_be32(struct wcursor *w, uint32_t v);
void wcursor_be64(struct wcursor *w, uint64_t v);
void wcursor_le16(struct wcursor *w, uint16_t v);
void wcursor_le32(struct wcursor *w, uint32_t v);
void wcursor_le64(struct wcursor *w, uint64_t v);
void wcursor_bytes(struct wcursor *w, const void *data, size_t n);
void wcursor_fill(struct wcursor *w, uint8_t v, size_t n);
