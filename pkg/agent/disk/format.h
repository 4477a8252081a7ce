#pragma once
/* What an image is by its first bytes, and whether that agrees with what was declared. any thread
 */

#include "base/err.h"
#include "base/macro.h"

enum { DISK_FORMAT_HEAD = 72 * 1024 }; /* bytes that detection looks at */

enum disk_format {
	DISK_FORMAT_RAW, /* what is nothing else */
	DISK_FORMAT_QCOW2,
	DISK_FORMAT_VMDK,
	DISK_FORMAT_VDI,
	DISK_FORMAT_VHD,
	DISK_FORMAT_VHDX,
	DISK_FORMAT_QED,
	DISK_FORMAT_PARALLELS,
	DISK_FORMAT_LUKS,
	DISK_FORMAT_SPARSE,  /* Android's */
	DISK_FORMAT_ARCHIVE, /* zip, bzip2, lz4, 7z, tar: packed in a way that we do not unpack */
	DISK_FORMAT_OTHER,   /* a file system, a kernel: never what detection answers */
	DISK_FORMAT_TEXT,    /* HTML, XML, JSON: an error page, as a rule */
};

const char *disk_format_name(enum disk_format f);
enum disk_format disk_format_detect(const void *head, size_t len);
/* RAW or QCOW2. `declared` may be NULL or "" (the content decides); "raw", "gpt" and "iso" mean
 * raw. `permitted` (NULL-ended; NULL: all) are the server's permitted_image_formats. */
int disk_format_choose(const char *declared, const char *const *permitted, const void *head,
		       size_t len, enum disk_format *ret, struct err *err);
/* For a raw image without a partition table: refused with what it is instead. Always negative. */
int disk_format_no_table(const void *head, size_t len, struct err *err);
/* ftp:, gopher: and whatever else we do not fetch: errors that name what works. */
int disk_url_check(const char *url, struct err *err);
/* Without userinfo and query, for messages. New string. */
char *disk_url_shown(const char *url);
