#pragma once
/* What the files of pkg/media share.
 *
 *   set.c    the files that hosts share, and their layouts
 *   image.c  a host's image
 *   grub.c   GRUB's configurations */

#include <stdatomic.h>
#include <time.h>

#include "media/media.h"
#include "wire/iso9660.h"

/* Raised when the same input is to give other bytes: digests of before then match no more. */
enum { MEDIA_FORM = 1 };

/* The host's files have fixed places, so that one layout serves all hosts: they are padded to the
 * next slot. Kernels pass over zeros behind an archive, GRUB over empty lines. */
enum {
	MEDIA_CONFIG_SLOT = 8192,
	MEDIA_ARCHIVE_SLOT = 16 * 1024,
	MEDIA_LAYOUTS = MEDIA_ARCHIVE_MAX / MEDIA_ARCHIVE_SLOT,
};

/* Files of an image. The archive is the last: so the others' places do not depend on its size. */
enum media_file {
	MEDIA_FILE_BIOS,
	MEDIA_FILE_EFI,
	MEDIA_FILE_KERNEL,
	MEDIA_FILE_INITRAMFS,
	_MEDIA_FILE_SHARED,
	MEDIA_FILE_INFO = _MEDIA_FILE_SHARED,
	MEDIA_FILE_CONFIG,
	MEDIA_FILE_ARCHIVE,
	_MEDIA_FILE_MAX,
};

struct media_shared_file {
	int fd; /* -1: not open */
	uint64_t size;
	dev_t dev;
	ino_t ino;
	struct timespec changed;
	char digest[MEDIA_DIGEST_SIZE];
};

struct media_set {
	atomic_uint refs;
	struct media_shared_file files[_MEDIA_FILE_SHARED];
	uint8_t mbr[512];
	uint32_t bios_sum;
	char digest[MEDIA_DIGEST_SIZE];
	struct iso9660 *layouts[MEDIA_LAYOUTS + 1]; /* by slots of the archive; NULL: not made yet.
						       Core thread; what stands there stays */
};

/* "/boot/grub/grub.cfg" and so on, with a slash in front. */
const char *media_file_path(enum media_file f);
/* Borrowed from the set. */
int media_set_layout(struct media_set *s, size_t archive_slots, const struct iso9660 **ret,
		     struct err *err);
