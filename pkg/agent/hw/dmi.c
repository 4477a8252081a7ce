/* SMBIOS: structures of a type, a length and a handle, each followed by its strings and two zero
 * bytes. Lengths come from firmware, whose authors have been careless before. Pure. */

#include "agent/hw/dmi.h"

#include "base/cursor.h"

enum {
	TYPE_MEMORY_DEVICE = 17,
	TYPE_END = 127,
	HEADER = 4,
	OFFSET_SIZE = 0x0c,
	OFFSET_EXTENDED_SIZE = 0x1c,
	SIZE_UNKNOWN = 0xffff,
	SIZE_EXTENDED = 0x7fff,
	SIZE_IN_KB = 0x8000,
};

static uint64_t device_mb(const uint8_t *body, size_t len)
{
	struct cursor c;
	cursor_init(&c, body, len);
	cursor_seek(&c, OFFSET_SIZE);
	uint16_t size = cursor_le16(&c);
	if (!cursor_ok(&c) || size == SIZE_UNKNOWN)
		return 0;
	if (size & SIZE_IN_KB)
		return (size & ~SIZE_IN_KB) / 1024;
	if (size != SIZE_EXTENDED)
		return size;
	cursor_seek(&c, OFFSET_EXTENDED_SIZE);
	uint32_t extended = cursor_le32(&c) & 0x7fffffff;
	return cursor_ok(&c) ? extended : 0;
}

static void skip_strings(struct cursor *c)
{
	/* No strings at all are written as two zeros, too. */
	uint8_t before = 1;
	while (cursor_left(c) > 0) {
		uint8_t byte = cursor_u8(c);
		if (byte == 0 && before == 0)
			return;
		before = byte;
	}
}

uint64_t dmi_memory_mb(const void *table, size_t len)
{
	struct cursor c;
	uint64_t total = 0;
	cursor_init(&c, table, len);
	while (cursor_left(&c) >= HEADER) {
		size_t start = c.pos;
		uint8_t type = cursor_u8(&c), size = cursor_u8(&c);
		cursor_seek(&c, start);
		const uint8_t *body = size >= HEADER ? cursor_bytes(&c, size) : NULL;
		if (!body || type == TYPE_END)
			break;
		if (type == TYPE_MEMORY_DEVICE)
			total += device_mb(body, size);
		skip_strings(&c);
	}
	return total;
}
