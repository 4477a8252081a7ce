#pragma once
/* Boot media: for each host an ISO image of its own, which is never whole in memory or on a disk.
 * An image is a layout over extents: files that all hosts share (boot loaders, kernel, initramfs),
 * and what is the host's: GRUB's configuration with the kernel line, and a cpio archive
 * (agentapi/bootconfig.h) that the boot loader passes as a second initrd.
 *
 * It boots by BIOS and by UEFI, with Secure Boot (Debian's signed shim, GRUB and kernel), as a disc
 * and as a stick:
 *
 *	boot/grub/bios.img	El Torito, BIOS: GRUB
 *	boot/grub/efi.img	El Torito, UEFI: FAT with shim and GRUB
 *	boot/grub/grub.cfg	the host's
 *	ingot/vmlinuz, ingot/initramfs
 *	ingot/host.cpio		the host's
 *
 * The bytes follow from the spec alone: the digests of the shared files, the kernel line, the
 * archive. So every replica, and a process that was restarted in the middle of a read, makes the
 * same. media_image_digest() names them; it is what a HostRecord keeps while a medium is inserted.
 *
 * A medium holds secrets if its archive does; GRUB's configuration holds none. */

#include <stdbool.h>

#include "base/err.h"
#include "wire/parts.h"

enum {
	MEDIA_DIGEST_SIZE = 65,		 /* hex of SHA-256, with its NUL */
	MEDIA_CMDLINE_MAX = 2000,	 /* x86 kernels read 2047 bytes */
	MEDIA_ARCHIVE_MAX = 1024 * 1024, /* no archive is larger */
};

/* --- the files that hosts share --------------------------------------------------------------- */

struct media_paths {
	const char *kernel, *initramfs;
	const char *loaders; /* directory that hack/boot-loaders made: bios.img, efi.img, mbr.img */
};

/* Opened and measured. Counted; a set that an image uses stays open when newer files take its
 * place on the disk. */
struct media_set;

/* Reads all files once, for their digests. ERR_NOT_FOUND names the file that is missing, and what
 * makes it. */
int media_set_open(const struct media_paths *paths, struct media_set **ret, struct err *err);
struct media_set *media_set_ref(struct media_set *s);	/* any thread */
struct media_set *media_set_unref(struct media_set *s); /* any thread; accepts NULL */
/* Names the shared files' bytes and the form of the layout: it is another one for other files, and
 * for a release that would place them differently. Hex. */
const char *media_set_digest(const struct media_set *s);
/* Are the paths' files still those that were opened? False: open a new set. */
bool media_set_is_current(const struct media_set *s, const struct media_paths *paths);

/* Has nobody written into the files since they were measured? */
bool media_set_is_intact(const struct media_set *s);

/* --- a host's image --------------------------------------------------------------------------- */

struct media_spec {
	struct media_set *set;
	const char *cmdline; /* words of the kernel line, no secret; NULL: none */
	const void *archive; /* of bootconfig_build(), or another one in cpio's form; NULL: none */
	size_t archive_len;
};

/* Constant, counted: what is released while it is being read goes when the readers have gone. A few
 * KB and the archive; the rest is the set's. */
struct media_image;

/* Reads the spec during the call only, but for the set, of which the image keeps a reference.
 * ERR_INVALID: the kernel line has characters that a boot loader cannot take; ERR_LIMIT: it, or the
 * archive, is too long. Core thread (of the set's). */
int media_image_new(const struct media_spec *spec, struct media_image **ret, struct err *err);
struct media_image *media_image_ref(struct media_image *im);   /* any thread */
struct media_image *media_image_unref(struct media_image *im); /* any thread; zeroes the archive */
uint64_t media_image_size(const struct media_image *im);
/* SHA-256 over what the bytes follow from, hex: equal digests, equal images. Cheap, unlike a digest
 * of the image itself. */
const char *media_image_digest(const struct media_image *im);
bool media_image_is_intact(const struct media_image *im); /* as media_set_is_intact */
/* The bytes from `offset` on; returns how many, 0 at the end. -EIO: a shared file has become
 * shorter. any thread */
ssize_t media_image_read(const struct media_image *im, uint64_t offset, void *out, size_t len);
/* SHA-256 of all bytes, hex. Reads the image: not for the core thread. */
int media_image_sha256(const struct media_image *im, char ret[MEDIA_DIGEST_SIZE], struct err *err);
/* As a body; holds a reference until its release. any thread */
struct parts media_image_parts(struct media_image *im);
