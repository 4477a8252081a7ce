/* The files that all hosts' media share: opened once, measured once, and identified from then on by
 * inode, size and time of change, as boot/content.c does. What replaces a file by another one makes
 * a new set; what writes into it is noticed at the next request. The layouts of a set differ by the
 * size of the host's archive alone and are made when the first host needs them. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "crypt/crypt.h"
#include "media/internal.h"
#include "wire/eltorito.h"

/* Files are read once, in pieces of this size. */
enum { PIECE = 1 << 16 };

/* No clock: the bytes follow from the spec. */
static const usec_t stamp = 1700000000 * USEC_PER_SEC;

static const char *const paths_in_image[_MEDIA_FILE_MAX] = {
	[MEDIA_FILE_BIOS] = "/boot/grub/bios.img",
	[MEDIA_FILE_EFI] = "/boot/grub/efi.img",
	[MEDIA_FILE_KERNEL] = "/ingot/vmlinuz",
	[MEDIA_FILE_INITRAMFS] = "/ingot/initramfs",
	/* Debian's signed GRUB looks for it where its own idea of the disc's name is wrong. */
	[MEDIA_FILE_INFO] = "/.disk/info",
	[MEDIA_FILE_CONFIG] = "/boot/grub/grub.cfg",
	[MEDIA_FILE_ARCHIVE] = "/ingot/host.cpio",
};

static const char info_text[] = "Ingot boot medium\n";

const char *media_file_path(enum media_file f)
{
	return paths_in_image[f];
}

/* --- files ------------------------------------------------------------------------------------ */

static char *path_of(const struct media_paths *p, enum media_file f)
{
	switch (f) {
	case MEDIA_FILE_BIOS:
		return xasprintf("%s/bios.img", p->loaders);
	case MEDIA_FILE_EFI:
		return xasprintf("%s/efi.img", p->loaders);
	case MEDIA_FILE_KERNEL:
		return xstrdup(p->kernel);
	case MEDIA_FILE_INITRAMFS:
		return xstrdup(p->initramfs);
	case MEDIA_FILE_INFO:
	case MEDIA_FILE_CONFIG:
	case MEDIA_FILE_ARCHIVE:
	case _MEDIA_FILE_MAX:
		break;
	}
	return NULL;
}

static bool same_file(const struct media_shared_file *f, const struct stat *st)
{
	return f->dev == st->st_dev && f->ino == st->st_ino && f->size == (uint64_t)st->st_size &&
	       f->changed.tv_sec == st->st_mtim.tv_sec && f->changed.tv_nsec == st->st_mtim.tv_nsec;
}

static int open_file(const char *path, struct media_shared_file *ret, struct err *err)
{
	struct stat st = { 0 };
	ret->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int r = ret->fd < 0 || fstat(ret->fd, &st) < 0 ? -errno : 0;
	if (r == 0 && !S_ISREG(st.st_mode))
		r = -EINVAL;
	if (r == -ENOENT)
		return err_set(
			err, ERR_NOT_FOUND,
			"boot media need the file %s: build the ramdisk with `make ramdisk`, "
			"which makes its boot loaders, too",
			path);
	if (r < 0)
		return err_set_errno(err, r, "boot media cannot be made: %s", path);
	if (st.st_size == 0)
		return err_set(err, ERR_INVALID, "boot media cannot be made: %s is empty", path);
	ret->dev = st.st_dev;
	ret->ino = st.st_ino;
	ret->size = (uint64_t)st.st_size;
	ret->changed = st.st_mtim;
	return 0;
}

/* `sum`: of a BIOS image; may be NULL. */
static int measure(struct media_shared_file *f, uint32_t *sum)
{
	_cleanup_(freep) uint8_t *piece = xmalloc(PIECE);
	struct digest_ctx *c = digest_new(DIGEST_SHA256);
	char hex[DIGEST_HEX_MAX];
	uint64_t at = 0;
	ssize_t n = 0;
	while (at < f->size && (n = pread(f->fd, piece, PIECE, (off_t)at)) > 0) {
		n = (ssize_t)MIN((uint64_t)n, f->size - at);
		digest_update(c, piece, (size_t)n);
		if (sum)
			*sum = eltorito_sum(*sum, at, piece, (uint64_t)n);
		at += (uint64_t)n;
	}
	int r = n < 0 ? -errno : at < f->size ? -EIO : 0;
	digest_finish_hex(c, hex);
	digest_free(c);
	memcpy(f->digest, hex, sizeof(f->digest));
	return r;
}

static int take_file(struct media_set *s, const struct media_paths *paths, enum media_file f,
		     struct err *err)
{
	_cleanup_(freep) char *path = path_of(paths, f);
	int r = open_file(path, &s->files[f], err);
	if (r < 0)
		return r;
	r = measure(&s->files[f], f == MEDIA_FILE_BIOS ? &s->bios_sum : NULL);
	return r < 0 ? err_set_errno(err, r, "boot media cannot be made: %s", path) : 0;
}

static int take_mbr(struct media_set *s, const struct media_paths *paths, struct err *err)
{
	_cleanup_(freep) char *path = xasprintf("%s/mbr.img", paths->loaders);
	struct media_shared_file f = { .fd = -1 };
	int r = open_file(path, &f, err);
	if (r == 0 && f.size != sizeof(s->mbr))
		r = err_set(err, ERR_INVALID, "boot media cannot be made: %s has not %zu bytes",
			    path, sizeof(s->mbr));
	else if (r == 0 && pread(f.fd, s->mbr, sizeof(s->mbr), 0) != sizeof(s->mbr))
		r = err_set_errno(err, EIO, "boot media cannot be made: %s", path);
	if (f.fd >= 0)
		close(f.fd);
	return r;
}

/* --- the set ---------------------------------------------------------------------------------- */

static void name_set(struct media_set *s)
{
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	char hex[DIGEST_HEX_MAX];
	digest_hex(DIGEST_SHA256, s->mbr, sizeof(s->mbr), hex);
	strbuf_addf(&text, "ingot media %d\nmbr %s\n", MEDIA_FORM, hex);
	for (enum media_file f = 0; f < _MEDIA_FILE_SHARED; f++)
		strbuf_addf(&text, "%s %s %" PRIu64 "\n", paths_in_image[f], s->files[f].digest,
			    s->files[f].size);
	digest_hex(DIGEST_SHA256, text.data, text.len, hex);
	memcpy(s->digest, hex, sizeof(s->digest));
}

static struct media_set *set_free(struct media_set *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(s->layouts); i++)
		iso9660_free(s->layouts[i]);
	for (size_t i = 0; i < ARRAY_SIZE(s->files); i++)
		if (s->files[i].fd >= 0)
			close(s->files[i].fd);
	free(s);
	return NULL;
}

int media_set_open(const struct media_paths *paths, struct media_set **ret, struct err *err)
{
	struct media_set *s = xcalloc(1, sizeof(*s));
	atomic_init(&s->refs, 1);
	for (size_t i = 0; i < ARRAY_SIZE(s->files); i++)
		s->files[i].fd = -1;
	int r = take_mbr(s, paths, err);
	for (enum media_file f = 0; f < _MEDIA_FILE_SHARED && r == 0; f++)
		r = take_file(s, paths, f, err);
	if (r < 0) {
		set_free(s);
		return r;
	}
	name_set(s);
	*ret = s;
	return 0;
}

struct media_set *media_set_ref(struct media_set *s)
{
	atomic_fetch_add(&s->refs, 1);
	return s;
}

struct media_set *media_set_unref(struct media_set *s)
{
	if (s && atomic_fetch_sub(&s->refs, 1) == 1)
		set_free(s);
	return NULL;
}

const char *media_set_digest(const struct media_set *s)
{
	return s->digest;
}

bool media_set_is_current(const struct media_set *s, const struct media_paths *paths)
{
	for (enum media_file f = 0; f < _MEDIA_FILE_SHARED; f++) {
		struct stat st;
		_cleanup_(freep) char *path = path_of(paths, f);
		if (stat(path, &st) < 0 || !same_file(&s->files[f], &st))
			return false;
	}
	return true;
}

bool media_set_is_intact(const struct media_set *s)
{
	for (enum media_file f = 0; f < _MEDIA_FILE_SHARED; f++) {
		struct stat st;
		if (fstat(s->files[f].fd, &st) < 0 || !same_file(&s->files[f], &st))
			return false;
	}
	return true;
}

/* --- layouts ---------------------------------------------------------------------------------- */

static uint64_t size_in_image(const struct media_set *s, enum media_file f, size_t archive_slots)
{
	switch (f) {
	case MEDIA_FILE_BIOS:
	case MEDIA_FILE_EFI:
	case MEDIA_FILE_KERNEL:
	case MEDIA_FILE_INITRAMFS:
		return s->files[f].size;
	case MEDIA_FILE_INFO:
		return sizeof(info_text) - 1;
	case MEDIA_FILE_CONFIG:
		return MEDIA_CONFIG_SLOT;
	case MEDIA_FILE_ARCHIVE:
		return archive_slots * MEDIA_ARCHIVE_SLOT;
	case _MEDIA_FILE_MAX:
		break;
	}
	return 0;
}

int media_set_layout(struct media_set *s, size_t archive_slots, const struct iso9660 **ret,
		     struct err *err)
{
	struct iso9660_file files[_MEDIA_FILE_MAX];
	const struct iso9660_options options = {
		.volume_id = "INGOT",
		.time = stamp,
		.max_bytes = UINT32_MAX,
		.boot = { .bios = paths_in_image[MEDIA_FILE_BIOS] + 1,
			  .uefi = paths_in_image[MEDIA_FILE_EFI] + 1,
			  .bios_sum = s->bios_sum,
			  .mbr = s->mbr },
	};
	for (enum media_file f = 0; f < _MEDIA_FILE_MAX; f++)
		files[f] = (struct iso9660_file){ .path = paths_in_image[f] + 1,
						  .len = size_in_image(s, f, archive_slots) };
	files[MEDIA_FILE_INFO].data = info_text;
	struct iso9660 **slot = &s->layouts[archive_slots];
	int r = *slot ? 0 : iso9660_new(&options, files, ARRAY_SIZE(files), slot, err);
	if (r == 0)
		*ret = *slot;
	return r < 0 ? err_wrap(err, "boot media cannot be made") : 0;
}
