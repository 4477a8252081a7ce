#pragma once
/* Texts that firmware's loaders run: iPXE scripts, and GRUB configurations for Secure Boot. Pure;
 * no secret in any of them. Core thread. */

#include "base/str.h"
#include "boot/boot.h"

/* The files of a boot, all from one place: a kernel and the initramfs of another release would not
 * fit. For GRUB they are TFTP paths ("/x"). */
struct boot_script_files {
	const char *kernel_url, *initramfs_url;
	const char *ca_url; /* NULL: none */
};

/* What a host's boot loads, with all choices made. */
struct boot_script_boot {
	char mac[BOOT_MAC_FILE_SIZE]; /* with hyphens */
	/* iPXE tries one place after the other; GRUB knows the first. */
	const struct boot_script_files *places;
	size_t place_count;
	const char *cmdline;
};

/* -EINVAL: a URL or the kernel line has characters that would end a word or run as a command. */
int boot_script_ipxe_ramdisk(const struct boot_script_boot *b, struct strbuf *out);
int boot_script_grub_ramdisk(const struct boot_script_boot *b, struct strbuf *out);
/* Would iPXE take the words of a kernel line as they are? -EINVAL: no. */
int boot_script_check_words(const char *cmdline);
/* On to the next boot device. */
void boot_script_ipxe_disk(struct strbuf *out);
void boot_script_grub_disk(struct strbuf *out);
/* For loaders that know nothing of the host yet: chains to its own script by the NIC's MAC. */
void boot_script_ipxe_generic(const char *http_url, struct strbuf *out);
void boot_script_grub_generic(struct strbuf *out);
