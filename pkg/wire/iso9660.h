#pragma once
/* ISO 9660 images with Joliet and Rock Ridge names, for config drives and boot media. An image is a
 * layout: what is made up (descriptors, directories) is in memory, contents stay where they are,
 * and any range of the image can be had by itself. The same input gives the same bytes. Files with
 * equal content in memory share their sectors. any thread */

#include "base/clock.h"
#include "base/err.h"
#include "base/macro.h"

struct iso9660;

enum {
	ISO9660_SECTOR = 2048,
	ISO9660_FILES_MAX = 256,
	ISO9660_NAME_MAX = 30, /* of one component: what ISO level 2 and Rock Ridge without
				  continuation hold */
	ISO9660_DEPTH_MAX = 7, /* directories above a file, the root not counted */
};

struct iso9660_file {
	/* "openstack/latest/meta_data.json": [A-Za-z0-9._-] between slashes; not of dots alone. */
	const char *path;
	const void *data; /* NULL: the caller has the content; see iso9660_at */
	uint64_t len;	  /* below 4 GiB */
};

/* Boot images among the files, by their paths; NULL: none. */
struct iso9660_boot {
	const char *bios;  /* gets a boot information table: ISOLINUX, GRUB's eltorito */
	const char *uefi;  /* an image of a FAT file system */
	uint32_t bios_sum; /* eltorito_sum of `bios`, if its data is NULL */
	/* GRUB's boot_hybrid.img: the image boots from a stick too, where both the images above
	 * are there and the one for a BIOS is GRUB's. 512 bytes, read by iso9660_new; NULL: none.
	 */
	const void *mbr;
};

struct iso9660_options {
	const char *volume_id; /* up to 32; Joliet keeps 16 */
	const char *publisher; /* up to 128; may be NULL */
	usec_t time;	       /* wall; stamped on everything */
	uint64_t max_bytes;    /* of the image */
	struct iso9660_boot boot;
};

enum iso9660_kind {
	ISO9660_END, /* nothing is there */
	ISO9660_BYTES,
	ISO9660_FILE,
	ISO9660_ZEROS,
};

/* A run of the image that comes from one place. */
struct iso9660_part {
	enum iso9660_kind kind;
	uint64_t len;
	const uint8_t *bytes; /* ISO9660_BYTES: borrowed from the image */
	size_t file;	      /* ISO9660_FILE: which one, as they were given */
	uint64_t offset;      /* in it */
};

/* `files` and `options` are read by this call only, and of contents those that share, or boot, by
 * a BIOS. Errors: bad or duplicate paths, limits. */
int iso9660_new(const struct iso9660_options *options, const struct iso9660_file *files,
		size_t count, struct iso9660 **ret, struct err *err);
struct iso9660 *iso9660_free(struct iso9660 *im);
uint64_t iso9660_size(const struct iso9660 *im);
/* The part that begins at `offset`: up to the end of what it comes from, not of what is asked for.
 * Pure. */
struct iso9660_part iso9660_at(const struct iso9660 *im, uint64_t offset);

/* The whole image in a new buffer; all files with their data. */
int iso9660_build(const struct iso9660_options *options, const struct iso9660_file *files,
		  size_t count, void **ret, size_t *ret_len, struct err *err);
