/* GUID partition tables by UEFI 2.10, section 5.3. A header names its own place, its twin's place
 * and the checksum of its table; a table is read through exactly one header and both copies are
 * written from one struct, so that they cannot differ. Pure. */

#include "wire/gpt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/cursor.h"
#include "base/mem.h"
#include "base/str.h"

static const char signature[8] = { 'E', 'F', 'I', ' ', 'P', 'A', 'R', 'T' };

enum { REVISION_1 = 0x00010000, OFFSET_HEADER_CRC = 16, ENTRIES_DEFAULT = 128 };

const struct gpt_guid gpt_type_esp = { { 0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b,
					 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b } };
const struct gpt_guid gpt_type_linux = { { 0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e,
					   0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4 } };

/* --- reading --------------------------------------------------------------------------------- */

static bool header_crc_good(const uint8_t *sector, uint32_t size, uint32_t expected)
{
	static const uint8_t zeros[4];
	uLong crc = crc32_z(0, sector, OFFSET_HEADER_CRC);
	crc = crc32_z(crc, zeros, sizeof(zeros));
	crc = crc32_z(crc, sector + OFFSET_HEADER_CRC + 4, size - OFFSET_HEADER_CRC - 4);
	return crc == expected;
}

static void read_guid(struct cursor *c, struct gpt_guid *ret)
{
	cursor_copy(c, ret->b, GPT_GUID_SIZE);
}

static void read_header_fields(struct cursor *c, struct gpt_header *ret)
{
	cursor_skip(c, 4);
	ret->my_lba = cursor_le64(c);
	ret->other_lba = cursor_le64(c);
	ret->first_usable = cursor_le64(c);
	ret->last_usable = cursor_le64(c);
	read_guid(c, &ret->disk);
	ret->entries_lba = cursor_le64(c);
	ret->entry_count = cursor_le32(c);
	ret->entry_size = cursor_le32(c);
	ret->entries_crc = cursor_le32(c);
}

static int check_header(const struct gpt_header *h, uint64_t lba)
{
	if (h->my_lba != lba || h->first_usable > h->last_usable || h->entries_lba < 2)
		return -EBADMSG;
	/* "128 × 2ⁿ bytes" by the specification; no known tool writes another size. */
	if (h->entry_size != GPT_ENTRY_SIZE || h->entry_count == 0 ||
	    h->entry_count > GPT_ENTRIES_MAX)
		return -E2BIG;
	return 0;
}

int gpt_parse_header(const void *sector, size_t len, uint64_t lba, struct gpt_header *ret)
{
	struct cursor c;
	cursor_init(&c, sector, len);
	const uint8_t *magic = cursor_bytes(&c, sizeof(signature));
	if (!magic || memcmp(magic, signature, sizeof(signature)) != 0)
		return -EINVAL;
	uint32_t revision = cursor_le32(&c);
	uint32_t size = cursor_le32(&c);
	uint32_t crc = cursor_le32(&c);
	struct gpt_header h = { 0 };
	read_header_fields(&c, &h);
	if (!cursor_ok(&c) || revision != REVISION_1 || size < GPT_HEADER_SIZE || size > len)
		return -EBADMSG;
	if (!header_crc_good(sector, size, crc))
		return -EBADMSG;
	int r = check_header(&h, lba);
	if (r < 0)
		return r;
	*ret = h;
	return 0;
}

static size_t table_bytes(const struct gpt_header *h)
{
	return (size_t)h->entry_count * GPT_ENTRY_SIZE;
}

size_t gpt_table_size(const struct gpt_header *h, uint32_t sector_size)
{
	return (table_bytes(h) + sector_size - 1) / sector_size * sector_size;
}

static void read_entry(struct cursor *c, struct gpt_entry *ret)
{
	read_guid(c, &ret->type);
	read_guid(c, &ret->id);
	ret->first = cursor_le64(c);
	ret->last = cursor_le64(c);
	ret->attributes = cursor_le64(c);
	for (size_t i = 0; i < GPT_NAME_MAX; i++)
		ret->name[i] = cursor_le16(c);
}

int gpt_parse(const struct gpt_header *h, const void *table, size_t len, uint32_t sector_size,
	      struct gpt *ret)
{
	if (len < table_bytes(h))
		return -EINVAL;
	if (crc32_z(0, table, table_bytes(h)) != h->entries_crc)
		return -EBADMSG;
	struct cursor c;
	cursor_init(&c, table, table_bytes(h));
	struct gpt g = { .sector_size = sector_size, .header = *h };
	g.entries = xcalloc(h->entry_count, sizeof(*g.entries));
	for (uint32_t i = 0; i < h->entry_count; i++)
		read_entry(&c, &g.entries[i]);
	*ret = g;
	return 0;
}

void gpt_done(struct gpt *g)
{
	free(g->entries);
	*g = (struct gpt){ 0 };
}

/* --- changing -------------------------------------------------------------------------------- */

bool gpt_entry_used(const struct gpt_entry *e)
{
	static const struct gpt_guid none;
	return !gpt_guid_equal(&e->type, &none);
}

static uint64_t table_sectors(const struct gpt *g)
{
	return gpt_table_size(&g->header, g->sector_size) / g->sector_size;
}

void gpt_init(struct gpt *g, uint32_t sector_size, uint64_t disk_sectors,
	      const struct gpt_guid *disk)
{
	*g = (struct gpt){
		.sector_size = sector_size,
		.header = { .my_lba = 1,
			    .disk = *disk,
			    .entries_lba = 2,
			    .entry_count = ENTRIES_DEFAULT,
			    .entry_size = GPT_ENTRY_SIZE },
	};
	uint64_t table = table_sectors(g);
	g->entries = xcalloc(ENTRIES_DEFAULT, sizeof(*g->entries));
	g->header.first_usable = 2 + table;
	g->header.other_lba = disk_sectors - 1;
	g->header.last_usable = disk_sectors - 2 - table;
}

static bool entries_overlap(const struct gpt_entry *a, const struct gpt_entry *b)
{
	return a->first <= b->last && b->first <= a->last;
}

/* NULL, or what is wrong with the place of the entry (row `self`, not compared with itself). */
static const char *entry_fault(const struct gpt *g, const struct gpt_entry *e, uint32_t self)
{
	if (e->first > e->last)
		return "ends before it begins";
	if (e->first < g->header.first_usable || e->last > g->header.last_usable)
		return "lies outside of the usable sectors";
	for (uint32_t i = 0; i < g->header.entry_count; i++)
		if (i != self && gpt_entry_used(&g->entries[i]) &&
		    entries_overlap(e, &g->entries[i]))
			return "overlaps another partition";
	return NULL;
}

int gpt_verify(const struct gpt *g, uint64_t disk_sectors, struct err *err)
{
	const struct gpt_header *h = &g->header;
	if (h->other_lba >= disk_sectors || h->last_usable >= disk_sectors)
		return err_set(err, ERR_INVALID,
			       "the partition table ends at sector %llu, beyond the disk of %llu",
			       (unsigned long long)h->other_lba, (unsigned long long)disk_sectors);
	for (uint32_t i = 0; i < h->entry_count; i++) {
		const char *fault = gpt_entry_used(&g->entries[i])
					    ? entry_fault(g, &g->entries[i], i)
					    : NULL;
		if (fault)
			return err_set(err, ERR_INVALID, "partition %u %s", i + 1, fault);
	}
	return 0;
}

int gpt_relocate(struct gpt *g, uint64_t disk_sectors, struct err *err)
{
	uint64_t table = table_sectors(g), last_used = 0;
	for (uint32_t i = 0; i < g->header.entry_count; i++)
		if (gpt_entry_used(&g->entries[i]))
			last_used = MAX(last_used, g->entries[i].last);
	uint64_t needed = MAX(last_used, g->header.first_usable) + table + 2;
	if (disk_sectors < needed)
		return err_set(err, ERR_LIMIT,
			       "the partition table needs %llu sectors and the disk has %llu",
			       (unsigned long long)needed, (unsigned long long)disk_sectors);
	/* A table that was read through the backup header becomes the primary again. */
	if (g->header.my_lba != 1) {
		g->header.my_lba = 1;
		g->header.entries_lba = 2;
	}
	g->header.other_lba = disk_sectors - 1;
	g->header.last_usable = disk_sectors - 2 - table;
	return 0;
}

int gpt_add(struct gpt *g, const struct gpt_entry *e, unsigned *ret_number, struct err *err)
{
	const char *fault = entry_fault(g, e, UINT32_MAX);
	if (fault)
		return err_set(err, ERR_INVALID, "the new partition %s", fault);
	for (uint32_t i = 0; i < g->header.entry_count; i++) {
		if (gpt_entry_used(&g->entries[i]))
			continue;
		g->entries[i] = *e;
		*ret_number = i + 1;
		return 0;
	}
	return err_set(err, ERR_LIMIT, "all %u rows of the partition table are in use",
		       g->header.entry_count);
}

/* --- writing --------------------------------------------------------------------------------- */

static void encode_table(const struct gpt *g, void *out)
{
	struct wcursor w;
	wcursor_init(&w, out, gpt_table_size(&g->header, g->sector_size));
	for (uint32_t i = 0; i < g->header.entry_count; i++) {
		const struct gpt_entry *e = &g->entries[i];
		wcursor_bytes(&w, e->type.b, GPT_GUID_SIZE);
		wcursor_bytes(&w, e->id.b, GPT_GUID_SIZE);
		wcursor_le64(&w, e->first);
		wcursor_le64(&w, e->last);
		wcursor_le64(&w, e->attributes);
		for (size_t n = 0; n < GPT_NAME_MAX; n++)
			wcursor_le16(&w, e->name[n]);
	}
	wcursor_fill(&w, 0, w.cap - w.pos);
}

static void encode_header(const struct gpt *g, bool backup, uint32_t table_crc, uint8_t *out)
{
	const struct gpt_header *h = &g->header;
	struct wcursor w;
	wcursor_init(&w, out, g->sector_size);
	wcursor_bytes(&w, signature, sizeof(signature));
	wcursor_le32(&w, REVISION_1);
	wcursor_le32(&w, GPT_HEADER_SIZE);
	wcursor_le32(&w, 0); /* the checksum, below */
	wcursor_le32(&w, 0);
	wcursor_le64(&w, backup ? h->other_lba : h->my_lba);
	wcursor_le64(&w, backup ? h->my_lba : h->other_lba);
	wcursor_le64(&w, h->first_usable);
	wcursor_le64(&w, h->last_usable);
	wcursor_bytes(&w, h->disk.b, GPT_GUID_SIZE);
	wcursor_le64(&w, backup ? h->other_lba - table_sectors(g) : h->entries_lba);
	wcursor_le32(&w, h->entry_count);
	wcursor_le32(&w, h->entry_size);
	wcursor_le32(&w, table_crc);
	wcursor_fill(&w, 0, w.cap - w.pos);
	wcursor_init(&w, out + OFFSET_HEADER_CRC, 4);
	wcursor_le32(&w, (uint32_t)crc32_z(0, out, GPT_HEADER_SIZE));
}

void gpt_encode(const struct gpt *g, bool backup, void *header_sector, void *table)
{
	encode_table(g, table);
	encode_header(g, backup, (uint32_t)crc32_z(0, table, table_bytes(&g->header)),
		      header_sector);
}

/* --- identifiers and names ------------------------------------------------------------------- */

/* Place of each printed byte pair in the stored form. */
static const uint8_t guid_order[GPT_GUID_SIZE] = { 3, 2, 1,  0,	 5,  4,	 7,  6,
						   8, 9, 10, 11, 12, 13, 14, 15 };

static bool dash_before(size_t byte)
{
	return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

char *gpt_guid_format(const struct gpt_guid *g, char out[GPT_GUID_TEXT])
{
	char *p = out;
	for (size_t i = 0; i < GPT_GUID_SIZE; i++) {
		if (dash_before(i))
			*p++ = '-';
		snprintf(p, 3, "%02X", g->b[guid_order[i]]);
		p += 2;
	}
	return out;
}

int gpt_guid_parse(const char *text, struct gpt_guid *ret)
{
	struct gpt_guid g;
	if (strlen(text) != GPT_GUID_TEXT - 1)
		return -EINVAL;
	for (size_t i = 0; i < GPT_GUID_SIZE; i++) {
		if (dash_before(i) && *text++ != '-')
			return -EINVAL;
		char pair[3] = { text[0], text[1], 0 };
		if (hex_decode(pair, &g.b[guid_order[i]], 1) < 0)
			return -EINVAL;
		text += 2;
	}
	*ret = g;
	return 0;
}

bool gpt_guid_equal(const struct gpt_guid *a, const struct gpt_guid *b)
{
	return memcmp(a->b, b->b, GPT_GUID_SIZE) == 0;
}

void gpt_set_name(struct gpt_entry *e, const char *name)
{
	memset(e->name, 0, sizeof(e->name));
	for (size_t i = 0; i < GPT_NAME_MAX && name[i]; i++)
		e->name[i] = (uint8_t)name[i];
}

bool gpt_name_is(const struct gpt_entry *e, const char *name)
{
	size_t len = strlen(name);
	for (size_t i = 0; i < GPT_NAME_MAX; i++)
		if (e->name[i] != (i < len ? (uint8_t)name[i] : 0))
			return false;
	return len <= GPT_NAME_MAX;
}
