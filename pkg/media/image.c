/* A host's image: a layout of the set's, and the bytes of the host's two files. Nothing else is
 * kept of a host, and nothing is written after media_image_new(), so that threads that send it need
 * no lock. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "crypt/crypt.h"
#include "media/grub.h"
#include "media/internal.h"

enum { FILL = 4096 };

struct media_image {
	atomic_uint refs;
	struct media_set *set;
	const struct iso9660 *layout; /* of the set's */
	char *config;
	size_t config_len;
	uint8_t *archive; /* NULL: none */
	size_t archive_len;
	char digest[MEDIA_DIGEST_SIZE];
};

static const uint8_t zeros[FILL];
/* GRUB would take a zero for a character. */
static const uint8_t newlines[FILL] = { [0 ... FILL - 1] = '\n' };

/* --- making ----------------------------------------------------------------------------------- */

static int make_config(struct media_image *im, const char *cmdline, struct err *err)
{
	const char *const initrds[] = { media_file_path(MEDIA_FILE_INITRAMFS),
					media_file_path(MEDIA_FILE_ARCHIVE), NULL };
	const struct media_grub b = { media_file_path(MEDIA_FILE_KERNEL), initrds, cmdline };
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	if (strlen(str_or(cmdline, "")) > MEDIA_CMDLINE_MAX)
		return err_set(err, ERR_LIMIT,
			       "boot medium: the kernel line has more than %d bytes: shorten "
			       "--ramdisk-args",
			       MEDIA_CMDLINE_MAX);
	if (media_grub_format(&b, &text) < 0)
		return err_set(err, ERR_INVALID,
			       "boot medium: the kernel line has quotes, backslashes or control "
			       "characters: look at --ramdisk-args");
	im->config = strbuf_take(&text, &im->config_len);
	return 0;
}

static void name_image(struct media_image *im)
{
	const void *const parts[] = { im->config, im->archive };
	const size_t lens[] = { im->config_len, im->archive_len };
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	char hex[DIGEST_HEX_MAX];
	strbuf_addf(&text, "ingot medium\n%s\n", media_set_digest(im->set));
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		digest_hex(DIGEST_SHA256, lens[i] ? parts[i] : "", lens[i], hex);
		strbuf_addf(&text, "%s %zu\n", hex, lens[i]);
	}
	digest_hex(DIGEST_SHA256, text.data, text.len, hex);
	memcpy(im->digest, hex, sizeof(im->digest));
}

static struct media_image *image_free(struct media_image *im)
{
	if (im->archive)
		secret_zero(im->archive, im->archive_len);
	free(im->archive);
	free(im->config);
	media_set_unref(im->set);
	free(im);
	return NULL;
}

int media_image_new(const struct media_spec *spec, struct media_image **ret, struct err *err)
{
	size_t slots = MAX((spec->archive_len + MEDIA_ARCHIVE_SLOT - 1) / MEDIA_ARCHIVE_SLOT,
			   (size_t)1);
	if (spec->archive_len > MEDIA_ARCHIVE_MAX)
		return err_set(err, ERR_LIMIT,
			       "boot medium: the host's archive has %zu bytes; the limit is %d",
			       spec->archive_len, MEDIA_ARCHIVE_MAX);
	struct media_image *im = xcalloc(1, sizeof(*im));
	atomic_init(&im->refs, 1);
	im->set = media_set_ref(spec->set);
	int r = make_config(im, spec->cmdline, err);
	if (r == 0)
		r = media_set_layout(im->set, slots, &im->layout, err);
	if (r < 0) {
		image_free(im);
		return r;
	}
	im->archive_len = spec->archive_len;
	if (spec->archive_len) {
		im->archive = xmalloc(spec->archive_len);
		memcpy(im->archive, spec->archive, spec->archive_len);
	}
	name_image(im);
	*ret = im;
	return 0;
}

struct media_image *media_image_ref(struct media_image *im)
{
	atomic_fetch_add(&im->refs, 1);
	return im;
}

struct media_image *media_image_unref(struct media_image *im)
{
	if (im && atomic_fetch_sub(&im->refs, 1) == 1)
		image_free(im);
	return NULL;
}

uint64_t media_image_size(const struct media_image *im)
{
	return iso9660_size(im->layout);
}

const char *media_image_digest(const struct media_image *im)
{
	return im->digest;
}

bool media_image_is_intact(const struct media_image *im)
{
	return media_set_is_intact(im->set);
}

/* --- bytes ------------------------------------------------------------------------------------ */

static struct part memory(const void *bytes, uint64_t len)
{
	return (struct part){ .bytes = bytes, .len = len, .fd = -1 };
}

/* A file of the host's and what fills its slot. `len`: to the end of the slot. */
static struct part host_part(const void *data, size_t size, const uint8_t fill[FILL],
			     uint64_t offset, uint64_t len)
{
	if (offset < size)
		return memory((const uint8_t *)data + offset, size - offset);
	return memory(fill, MIN(len, (uint64_t)FILL));
}

static struct part file_part(const struct media_image *im, const struct iso9660_part *p)
{
	enum media_file f = (enum media_file)p->file;
	switch (f) {
	case MEDIA_FILE_BIOS:
	case MEDIA_FILE_EFI:
	case MEDIA_FILE_KERNEL:
	case MEDIA_FILE_INITRAMFS:
		return (struct part){ .len = p->len,
				      .fd = im->set->files[f].fd,
				      .offset = p->offset };
	case MEDIA_FILE_CONFIG:
		return host_part(im->config, im->config_len, newlines, p->offset, p->len);
	case MEDIA_FILE_ARCHIVE:
		return host_part(im->archive, im->archive_len, zeros, p->offset, p->len);
	case MEDIA_FILE_INFO: /* its bytes are the layout's */
	case _MEDIA_FILE_MAX:
		break;
	}
	return (struct part){ .fd = -1 };
}

static struct part part_at(void *data, uint64_t offset)
{
	const struct media_image *im = data;
	struct iso9660_part p = iso9660_at(im->layout, offset);
	switch (p.kind) {
	case ISO9660_BYTES:
		return memory(p.bytes, p.len);
	case ISO9660_FILE:
		return file_part(im, &p);
	case ISO9660_ZEROS:
		return memory(zeros, MIN(p.len, (uint64_t)FILL));
	case ISO9660_END:
		break;
	}
	return (struct part){ .fd = -1 };
}

static void release(void *data)
{
	media_image_unref(data);
}

struct parts media_image_parts(struct media_image *im)
{
	return (struct parts){ .size = media_image_size(im),
			       .at = part_at,
			       .release = release,
			       .data = media_image_ref(im) };
}

ssize_t media_image_read(const struct media_image *im, uint64_t offset, void *out, size_t len)
{
	const struct parts p = { .size = media_image_size(im), .at = part_at, .data = (void *)im };
	return offset >= p.size ? 0 : parts_read(&p, offset, out, len);
}

int media_image_sha256(const struct media_image *im, char ret[MEDIA_DIGEST_SIZE], struct err *err)
{
	enum { PIECE = 1 << 16 };
	_cleanup_(freep) uint8_t *piece = xmalloc(PIECE);
	struct digest_ctx *c = digest_new(DIGEST_SHA256);
	char hex[DIGEST_HEX_MAX];
	ssize_t n;
	for (uint64_t at = 0; (n = media_image_read(im, at, piece, PIECE)) > 0; at += (uint64_t)n)
		digest_update(c, piece, (size_t)n);
	digest_finish_hex(c, hex);
	digest_free(c);
	secret_zero(piece, PIECE);
	if (n < 0)
		return err_set_errno(err, (int)n, "boot medium: a file that it is made of");
	memcpy(ret, hex, MEDIA_DIGEST_SIZE);
	return 0;
}
