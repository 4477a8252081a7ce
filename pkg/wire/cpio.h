#pragma once
/* Writes small cpio archives in the form that the kernel unpacks as an initramfs ("newc":
 * Documentation/driver-api/early-userspace/buffer-format). The same calls give the same bytes:
 * owner 0, time 0, inodes counted from 1. any thread */

#include "base/str.h"

/* Zeroed: an empty archive. */
struct cpio {
	struct strbuf out;
	uint32_t last_ino;
};

void cpio_done(struct cpio *c);
/* Paths without a slash in front. Parents come first, and are the caller's to add. */
void cpio_add_dir(struct cpio *c, const char *path, unsigned mode);
void cpio_add_file(struct cpio *c, const char *path, unsigned mode, const void *data, size_t len);
void cpio_add_link(struct cpio *c, const char *path, const char *target); /* symbolic */
/* Ends the archive, padded to 512 bytes so that another may follow; the caller frees the bytes. */
char *cpio_take(struct cpio *c, size_t *ret_len);
