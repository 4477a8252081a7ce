/* Pages of vital product data. All lengths in them are the disk's own claims, and firmware errs:
 * every read is checked, and what does not fit ends the search. */

#include "agent/hw/vpd.h"

#include <string.h>

#include "agent/hw/sysfs.h"
#include "base/cursor.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	HEAD = 4,
	TYPE_VENDOR = 0,
	TYPE_T10 = 1,
	TYPE_EUI = 2,
	TYPE_NAA = 3,
	NAA_ANY = 0,
	NAA_REGISTERED = 5,
	NAA_REGISTERED_EXTENDED = 6,
	SET_BINARY = 1,
	SET_ASCII = 2,
	IDENTIFY_AT = 60, /* in page 0x89 */
	ATA_SERIAL_AT = IDENTIFY_AT + 20,
	ATA_SERIAL_LEN = 20,
	ATA_MODEL_AT = IDENTIFY_AT + 54,
	ATA_MODEL_LEN = 40,
};

static char *trimmed(const uint8_t *data, size_t len)
{
	while (len > 0 && (*data == ' ' || *data == '\0'))
		data++, len--;
	while (len > 0 && (data[len - 1] == ' ' || data[len - 1] == '\0'))
		len--;
	return len > 0 ? hw_clean(xstrndup((const char *)data, len)) : NULL;
}

/* --- page 0x80 ------------------------------------------------------------------------------- */

char *vpd_serial(const void *page, size_t len)
{
	struct cursor c;
	cursor_init(&c, page, len);
	cursor_skip(&c, 2);
	size_t claimed = cursor_be16(&c);
	/* Some disks claim more than they send. */
	size_t n = MIN(claimed, cursor_left(&c));
	const uint8_t *text = cursor_bytes(&c, n);
	return text ? trimmed(text, n) : NULL;
}

/* --- page 0x83 ------------------------------------------------------------------------------- */

struct designator {
	uint8_t set, type, association;
	const uint8_t *data;
	size_t len;
};

static bool next_designator(struct cursor *c, struct designator *ret)
{
	if (cursor_left(c) < HEAD)
		return false;
	uint8_t set = cursor_u8(c), type = cursor_u8(c);
	cursor_skip(c, 1);
	size_t len = cursor_u8(c);
	const uint8_t *data = cursor_bytes(c, len);
	*ret = (struct designator){ set & 0x0f, type & 0x0f, type >> 4 & 3, data, len };
	return data && len > 0;
}

/* scsi_id's order of preference. */
static const struct wish {
	uint8_t type, naa, set;
} wishes[] = {
	{ TYPE_NAA, NAA_REGISTERED_EXTENDED, SET_BINARY },
	{ TYPE_NAA, NAA_REGISTERED_EXTENDED, SET_ASCII },
	{ TYPE_NAA, NAA_REGISTERED, SET_BINARY },
	{ TYPE_NAA, NAA_REGISTERED, SET_ASCII },
	{ TYPE_NAA, NAA_ANY, SET_BINARY },
	{ TYPE_NAA, NAA_ANY, SET_ASCII },
	{ TYPE_EUI, NAA_ANY, SET_BINARY },
	{ TYPE_EUI, NAA_ANY, SET_ASCII },
	{ TYPE_T10, NAA_ANY, SET_BINARY },
	{ TYPE_T10, NAA_ANY, SET_ASCII },
	{ TYPE_VENDOR, NAA_ANY, SET_BINARY },
	{ TYPE_VENDOR, NAA_ANY, SET_ASCII },
};

/* Those of ports and targets name something else than the disk. */
static bool fulfils(const struct designator *d, const struct wish *w)
{
	return d->association == 0 && d->type == w->type && d->set == w->set &&
	       (w->naa == NAA_ANY || d->data[0] >> 4 == w->naa);
}

static bool find_designator(const void *page, size_t len, const struct wish *w,
			    struct designator *ret)
{
	struct cursor c;
	cursor_init(&c, page, len);
	cursor_skip(&c, 2);
	size_t claimed = cursor_be16(&c);
	if (!cursor_ok(&c))
		return false;
	cursor_init(&c, (const uint8_t *)page + HEAD, MIN(claimed, len - HEAD));
	while (next_designator(&c, ret))
		if (fulfils(ret, w))
			return true;
	return false;
}

static char *format_designator(const struct designator *d)
{
	char hex[2 * UINT8_MAX + 1];
	if (d->set == SET_BINARY) {
		hex_encode(d->data, d->len, hex);
		return xasprintf("%u%s", d->type, hex);
	}
	_cleanup_(freep) char *text = trimmed(d->data, d->len);
	return text ? xasprintf("%u%s", d->type, text) : NULL;
}

char *vpd_identifier(const void *page, size_t len, bool *ret_vendor_specific)
{
	struct designator d;
	for (size_t i = 0; i < ARRAY_SIZE(wishes); i++) {
		if (!find_designator(page, len, &wishes[i], &d))
			continue;
		*ret_vendor_specific = d.type == TYPE_VENDOR;
		return format_designator(&d);
	}
	return NULL;
}

/* --- page 0x89 ------------------------------------------------------------------------------- */

/* Words of ATA are little-endian, so that each pair of characters is swapped. */
static char *ata_text(const void *page, size_t len, size_t at, size_t size)
{
	uint8_t text[ATA_MODEL_LEN];
	const uint8_t *data = page;
	if (len < at + size)
		return NULL;
	for (size_t i = 0; i < size; i++)
		text[i] = data[at + (i ^ 1)];
	return trimmed(text, size);
}

char *vpd_ata_model(const void *page, size_t len)
{
	return ata_text(page, len, ATA_MODEL_AT, ATA_MODEL_LEN);
}

char *vpd_ata_serial(const void *page, size_t len)
{
	return ata_text(page, len, ATA_SERIAL_AT, ATA_SERIAL_LEN);
}
