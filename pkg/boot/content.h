#pragma once
/* What boot clients may fetch, by name. One table of names for TFTP and HTTP; nothing of it is a
 * path that a client chose.
 *
 *   <loader>                               boot_config.files
 *   ca.cpio                                the API's CA, as an archive for the ramdisk
 *   ramdisk/<flavour>/{vmlinuz,initramfs}  boot_config.ramdisks
 *   boot.ipxe, <mac-with-hyphens>.ipxe     iPXE scripts
 *   grub/grub.cfg, grub/<mac:with:colons>  GRUB configurations
 *
 * Core thread. */

#include "boot/boot.h"

struct boot_content {
	int fd;	    /* -1: text */
	char *text; /* NULL: fd */
	uint64_t size;
	char etag[64]; /* with quotes; "" for text */
	const char *type;
};

/* family: of the asker's address (AF_INET, AF_INET6); scripts go on with URLs of the same. -ENOENT:
 * no such name, or its host is not ours. Other failures are written to err. */
int boot_content_open(const struct boot_env *env, const char *name, int family,
		      struct boot_content *ret, struct err *err);
void boot_content_done(struct boot_content *c);
/* At most `len` bytes from `offset`; -EIO when the file has become shorter. */
ssize_t boot_content_read(const struct boot_content *c, uint64_t offset, void *out, size_t len);
