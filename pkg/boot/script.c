/* Texts that firmware's loaders run. The iPXE script for the ramdisk follows Ironic's (a loop over
 * kernel and initrd with growing pauses), but ends by going on to the next boot device: a server
 * that has lost its network must not sit in a loop, and the operator's deadline decides what
 * happens then. Where other instances have the same files, each turn of the loop asks them too: the
 * one that gave the script may have died.
 *
 * The archive with the CA stands before the initramfs: the kernel wants uncompressed archives at a
 * multiple of four bytes, and no loader pads between the two on UEFI. Its name on the kernel line
 * is what UEFI kernels ask iPXE for; BIOS ignores it.
 *
 * GRUB serves Secure Boot, where iPXE is refused for lack of a signature. Pure. */

#include "boot/script.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "media/grub.h"

/* iPXE splits at blanks, expands ${…} and ends a command at the words "||", "&&" and "#…". */
static bool ipxe_word_usable(const char *word, size_t len)
{
	return word[0] != '#' &&
	       !(len == 2 && (!memcmp(word, "||", 2) || !memcmp(word, "&&", 2))) &&
	       !memmem(word, len, "${", 2);
}

static bool words_usable(const char *text)
{
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return false;
	for (const char *p = text + strspn(text, " "); *p; p += strspn(p, " ")) {
		size_t len = strcspn(p, " ");
		if (!ipxe_word_usable(p, len))
			return false;
		p += len;
	}
	return true;
}

int boot_script_check_words(const char *cmdline)
{
	return words_usable(str_or(cmdline, "")) ? 0 : -EINVAL;
}

static bool url_usable(const char *url)
{
	return !str_empty(url) && !strchr(url, ' ') && words_usable(url);
}

static bool files_usable(const struct boot_script_files *f)
{
	return url_usable(f->kernel_url) && url_usable(f->initramfs_url) &&
	       (!f->ca_url || url_usable(f->ca_url));
}

/* Failing leads to the next place, from the last one to the pause. */
static void load_from(const struct boot_script_boot *b, size_t place, struct strbuf *out)
{
	const struct boot_script_files *f = &b->places[place];
	_cleanup_(freep) char *next = place + 1 < b->place_count ? xasprintf("load%zu", place + 1)
								 : xstrdup("retry");
	strbuf_addf(out, "imgfree\nkernel %s %s BOOTIF=01-%s%s initrd=initramfs || goto %s\n",
		    f->kernel_url, str_or(b->cmdline, ""), b->mac,
		    f->ca_url ? " initrd=ca.cpio" : "", next);
	if (f->ca_url)
		strbuf_addf(out, "initrd --name ca.cpio %s || goto %s\n", f->ca_url, next);
	strbuf_addf(out, "initrd --name initramfs %s || goto %s\nboot || goto %s\n\n:%s\n",
		    f->initramfs_url, next, next, next);
}

int boot_script_ipxe_ramdisk(const struct boot_script_boot *b, struct strbuf *out)
{
	bool usable = words_usable(str_or(b->cmdline, ""));
	for (size_t i = 0; i < b->place_count; i++)
		usable = usable && files_usable(&b->places[i]);
	if (!usable)
		return -EINVAL;
	strbuf_adds(out, "#!ipxe\n\nset attempts:int32 10\nset i:int32 0\n\n:load\n");
	for (size_t i = 0; i < b->place_count; i++)
		load_from(b, i, out);
	strbuf_adds(out, "iseq ${i} ${attempts} && goto fail ||\ninc i\n"
			 "echo No answer, trying again in ${i} seconds\nsleep ${i}\ngoto load\n\n"
			 ":fail\necho No answer after ${attempts} attempts, going on to the next "
			 "boot device\nexit 1\n");
	return 0;
}

void boot_script_ipxe_disk(struct strbuf *out)
{
	strbuf_adds(out,
		    "#!ipxe\n\n"
		    "# Nothing to load: on to the disk. BIOSes that cannot go on after a\n"
		    "# network boot get their first disk booted from here; UEFI goes on to\n"
		    "# its next entry when a loader ends with an error.\n"
		    "iseq ${platform} pcbios && sanboot --no-describe --drive 0x80 || exit 1\n");
}

void boot_script_ipxe_generic(const char *http_url, struct strbuf *out)
{
	strbuf_adds(out, "#!ipxe\n\nset netid:int32 -1\n:loop\ninc netid\n"
			 "isset ${net${netid}/mac} || goto none\n");
	strbuf_addf(out, "chain --autofree %s/boot/${net${netid}/mac:hexhyp}.ipxe || goto loop\n",
		    http_url);
	/* A chained script that went through means that the host is to go on to its disk. */
	strbuf_adds(out, "exit 1\n\n:none\necho Nothing to load from the network for this "
			 "machine\nexit 1\n");
}

void boot_script_grub_generic(struct strbuf *out)
{
	/* GRUB's signed network image asks for grub/grub.cfg only; the rest is up to us. */
	strbuf_adds(out, "configfile /grub/$net_default_mac\n");
}

void boot_script_grub_disk(struct strbuf *out)
{
	strbuf_adds(out, "exit 1\n");
}

int boot_script_grub_ramdisk(const struct boot_script_boot *b, struct strbuf *out)
{
	const struct boot_script_files *f = &b->places[0];
	const char *const initrds[] = { f->ca_url ? f->ca_url : f->initramfs_url,
					f->ca_url ? f->initramfs_url : NULL, NULL };
	_cleanup_(freep) char *cmdline = xasprintf("%s BOOTIF=01-%s", str_or(b->cmdline, ""),
						   b->mac);
	const struct media_grub g = { f->kernel_url, initrds, cmdline };
	return media_grub_format(&g, out);
}
