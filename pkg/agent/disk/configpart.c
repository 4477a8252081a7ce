/* Config drive: decode, find or make its partition, copy it byte for byte. A partition counts as
 * one for config drives by the label of its file system, or by its GPT name, "config-2". */

#include "agent/disk/configpart.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/disk/table.h"
#include "agent/disk/unpack.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/configdrive.h"

enum {
	OUT_STEP = 256 * 1024,
	MEMORY = 8 * 1024 * 1024,
	TEXT_MAX = CONFIGDRIVE_MAX_BYTES / 3 * 4 + 4096,
};

/* --- decoding -------------------------------------------------------------------------------- */

static int too_large(struct err *err)
{
	return err_set(err, ERR_LIMIT, "the config drive is larger than %d MiB",
		       CONFIGDRIVE_MAX_BYTES >> 20);
}

/* Unpacked in steps, because the packed size says nothing about the other one. */
static int gunzip(const uint8_t *in, size_t len, struct strbuf *out, struct err *err)
{
	_cleanup_(disk_unpack_freep) struct disk_unpack *u = disk_unpack_new(DISK_GZIP, MEMORY);
	_cleanup_(freep) uint8_t *step = xmalloc(OUT_STEP);
	size_t n = OUT_STEP;
	int r = 0;
	while (r == 0 && (len > 0 || n == OUT_STEP)) {
		r = disk_unpack_step(u, &in, &len, step, OUT_STEP, &n, err);
		if (out->len + n > CONFIGDRIVE_MAX_BYTES)
			return too_large(err);
		strbuf_add(out, step, n);
	}
	return r == 0 ? disk_unpack_finish(u, step, OUT_STEP, &n, err) : r;
}

static bool is_gzip(const void *data, size_t len)
{
	return disk_packing_detect(data, len) == DISK_GZIP;
}

/* Takes `data`. */
static int unwrap(void *data, size_t len, void **ret, size_t *ret_len, struct err *err)
{
	_cleanup_(freep) void *owned = data;
	if (!is_gzip(data, len)) {
		*ret = TAKE_PTR(owned);
		*ret_len = len;
		return 0;
	}
	_cleanup_(strbuf_done) struct strbuf out = { 0 };
	int r = gunzip(data, len, &out, err);
	if (r < 0)
		return err_wrap(err, "config drive");
	*ret = strbuf_take(&out, ret_len);
	return 0;
}

/* The usual case: what the server put into the step. */
static int from_text(const char *text, size_t len, void **ret, size_t *ret_len, struct err *err)
{
	void *data = NULL;
	size_t n = 0;
	if (len > TEXT_MAX)
		return too_large(err);
	if (base64_decode(text, len, &data, &n) < 0)
		return err_set(err, ERR_INVALID, "the config drive is not valid base64");
	return unwrap(data, n, ret, ret_len, err);
}

/* Servers that keep config drives apart send a URL with a short life. */
static int from_url(const char *url, const struct disk_fetch_options *options, void **ret,
		    size_t *ret_len, struct err *err)
{
	const char *const urls[] = { url, NULL };
	struct disk_fetch_options own = options ? *options : (struct disk_fetch_options){ 0 };
	_cleanup_(disk_fetch_closep) struct disk_fetch *f = NULL;
	char *body = NULL;
	size_t len = 0;
	own.urls = urls;
	int r = disk_fetch_open(&own, &f, err);
	if (r == 0)
		r = disk_fetch_text(f, url, TEXT_MAX, &body, &len, err);
	if (r < 0)
		return err_wrap(err, "config drive");
	_cleanup_(freep) char *owned = body;
	/* Base64 of gzip begins like this, and no file system does. */
	if (str_has_prefix(body, "H4sI"))
		return from_text(body, len, ret, ret_len, err);
	return unwrap(TAKE_PTR(owned), len, ret, ret_len, err);
}

int disk_configdrive_load(const char *value, const struct disk_fetch_options *fetch, void **ret,
			  size_t *ret_len, struct err *err)
{
	void *data = NULL;
	size_t len = 0;
	bool url = str_is_http_url(value);
	int r = url ? from_url(value, fetch, &data, &len, err)
		    : from_text(value, strlen(value), &data, &len, err);
	if (r < 0)
		return r;
	_cleanup_(freep) void *owned = data;
	if (len > CONFIGDRIVE_MAX_BYTES)
		return too_large(err);
	if (len == 0)
		return err_set(err, ERR_INVALID, "the config drive is empty");
	*ret = TAKE_PTR(owned);
	*ret_len = len;
	return 0;
}

/* --- placing --------------------------------------------------------------------------------- */

/* Where the labels of file systems stand; padded with blanks or zeros. */
static const struct {
	uint32_t magic_at, label_at;
	uint8_t magic_len, label_len;
	const char *magic;
} labels[] = {
	{ 0x8001, 0x8028, 5, 32, "CD001" },
	{ 54, 43, 3, 11, "FAT" },
	{ 82, 71, 3, 11, "FAT" },
	{ 0x438, 0x478, 2, 16, "\x53\xef" },
};

static bool label_matches(const char *label, size_t len)
{
	while (len > 0 && (label[len - 1] == ' ' || label[len - 1] == '\0'))
		len--;
	return len == strlen(CONFIGDRIVE_LABEL) && strncasecmp(label, CONFIGDRIVE_LABEL, len) == 0;
}

/* Images for OpenStack bring an empty partition with this label. */
static bool is_labelled(const struct disk_dev *d, const struct disk_part *p)
{
	enum { HEAD = 0x8028 + 32 };
	if (p->len < HEAD || p->offset > d->size || p->len > d->size - p->offset)
		return false;
	_cleanup_(freep) char *head = xmalloc(HEAD);
	if (disk_dev_read(d, p->offset, head, HEAD, NULL) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(labels); i++)
		if (memcmp(head + labels[i].magic_at, labels[i].magic, labels[i].magic_len) == 0 &&
		    label_matches(head + labels[i].label_at, labels[i].label_len))
			return true;
	return false;
}

static bool find_partition(const struct disk_dev *d, const struct disk_table *t,
			   struct disk_part *ret)
{
	for (size_t i = 0; i < t->count; i++) {
		if (!t->parts[i].named_config && !is_labelled(d, &t->parts[i]))
			continue;
		*ret = t->parts[i];
		return true;
	}
	return false;
}

int disk_configdrive_place(const struct disk_dev *d, const void *data, size_t len,
			   const struct gpt_guid *id, unsigned *ret_partition, struct err *err)
{
	_cleanup_(disk_table_done) struct disk_table t = { 0 };
	struct disk_part part = { 0 };
	int r = disk_table_read(d, &t, err);
	if (r == 0 && !find_partition(d, &t, &part))
		r = disk_table_add_last(d, &t, CONFIGDRIVE_MAX_BYTES, id, &part, err);
	if (r < 0)
		return r;
	if (len > part.len)
		return err_set(err, ERR_LIMIT,
			       "the config drive has %zu bytes and the image's partition %u for it "
			       "%llu",
			       len, part.number, (unsigned long long)part.len);
	r = disk_dev_write(d, part.offset, data, len, err);
	if (r == 0)
		r = disk_dev_flush(d, err);
	if (r == 0)
		*ret_partition = part.number;
	return r;
}
