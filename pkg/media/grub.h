#pragma once
/* GRUB configurations that boot a ramdisk: for Secure Boot by PXE, and on boot media. No secret in
 * them. Pure; any thread. */

#include "base/str.h"

struct media_grub {
	const char *kernel;	    /* paths as GRUB takes them: "/x" */
	const char *const *initrds; /* NULL-ended; each begins at a multiple of four bytes */
	const char *cmdline;	    /* words of the kernel line; NULL: none */
};

/* Appends. When the kernel does not start, GRUB ends, and the firmware goes on to its next device.
 * -EINVAL: a path or the kernel line has characters that would end a word or run as a command. */
int media_grub_format(const struct media_grub *b, struct strbuf *out);
