/* Formats by magic bytes. A wrong declaration is refused in both directions: a qcow2 file written
 * as raw would not boot, and a raw image read as qcow2 lets its author name files of the
 * reader. Pure. */

#include "agent/disk/format.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"

static const char *const names[] = {
	[DISK_FORMAT_RAW] = "raw",
	[DISK_FORMAT_QCOW2] = "qcow2",
	[DISK_FORMAT_VMDK] = "vmdk",
	[DISK_FORMAT_VDI] = "vdi",
	[DISK_FORMAT_VHD] = "vhd",
	[DISK_FORMAT_VHDX] = "vhdx",
	[DISK_FORMAT_QED] = "qed",
	[DISK_FORMAT_PARALLELS] = "parallels",
	[DISK_FORMAT_LUKS] = "luks",
	[DISK_FORMAT_SPARSE] = "android sparse",
	[DISK_FORMAT_ARCHIVE] = "packed archive",
	[DISK_FORMAT_OTHER] = "no disk",
	[DISK_FORMAT_TEXT] = "text",
};

/* Strong magics are believed at once. Weak ones are short, or begin what may be a bootable disk all
 * the same: they only name what has no partition table. */
static const struct magic {
	uint32_t offset;
	uint8_t len;
	bool weak;
	enum disk_format format;
	const char *bytes, *what;
} magics[] = {
	{ 0, 4, false, DISK_FORMAT_QCOW2, "QFI\xfb", "qcow2" },
	{ 0, 4, false, DISK_FORMAT_VMDK, "KDMV", "vmdk" },
	{ 0, 4, false, DISK_FORMAT_VMDK, "COWD", "vmdk" },
	{ 0, 21, false, DISK_FORMAT_VMDK, "# Disk DescriptorFile", "vmdk" },
	{ 64, 4, false, DISK_FORMAT_VDI, "\x7f\x10\xda\xbe", "vdi" },
	{ 0, 8, false, DISK_FORMAT_VHD, "conectix", "vhd" },
	{ 0, 8, false, DISK_FORMAT_VHDX, "vhdxfile", "vhdx" },
	{ 0, 4, false, DISK_FORMAT_QED, "QED\0", "qed" },
	{ 0, 16, false, DISK_FORMAT_PARALLELS, "WithoutFreeSpace", "parallels" },
	{ 0, 16, false, DISK_FORMAT_PARALLELS, "WithouFreSpacExt", "parallels" },
	{ 0, 6, false, DISK_FORMAT_LUKS, "LUKS\xba\xbe", "luks" },
	{ 0, 4, false, DISK_FORMAT_SPARSE, "\x3a\xff\x26\xed", "android sparse" },
	/* Archives and packings. */
	{ 0, 4, false, DISK_FORMAT_ARCHIVE, "PK\3\4", "a zip archive" },
	{ 0, 4, false, DISK_FORMAT_ARCHIVE, "PK\5\6", "an empty zip archive" },
	{ 0, 4, false, DISK_FORMAT_ARCHIVE, "PK\7\x08", "a zip archive" },
	{ 4, 6, false, DISK_FORMAT_ARCHIVE, "1AY&SY", "packed with bzip2" },
	{ 0, 3, true, DISK_FORMAT_ARCHIVE, "BZh", "packed with bzip2" },
	{ 0, 4, false, DISK_FORMAT_ARCHIVE, "\x04\x22\x4d\x18", "packed with lz4" },
	{ 0, 4, false, DISK_FORMAT_ARCHIVE, "\x02\x21\x4c\x18", "packed with lz4" },
	{ 0, 5, false, DISK_FORMAT_ARCHIVE, "LZIP\1", "packed with lzip" },
	{ 0, 4, false, DISK_FORMAT_ARCHIVE, "LRZI", "packed with lrzip" },
	{ 0, 9, false, DISK_FORMAT_ARCHIVE, "\x89LZO\0\r\n\x1a\n", "packed with lzop" },
	{ 0, 6, false, DISK_FORMAT_ARCHIVE, "7z\xbc\xaf\x27\x1c", "a 7z archive" },
	{ 0, 6, false, DISK_FORMAT_ARCHIVE, "Rar!\x1a\x07", "a rar archive" },
	{ 257, 5, false, DISK_FORMAT_ARCHIVE, "ustar", "a tar archive" },
	{ 0, 6, false, DISK_FORMAT_ARCHIVE, "070701", "a cpio archive" },
	{ 0, 6, false, DISK_FORMAT_ARCHIVE, "070702", "a cpio archive" },
	{ 0, 6, false, DISK_FORMAT_ARCHIVE, "070707", "a cpio archive" },
	{ 0, 8, false, DISK_FORMAT_ARCHIVE, "!<arch>\n", "an ar archive or Debian package" },
	{ 0, 4, false, DISK_FORMAT_ARCHIVE, "\xed\xab\xee\xdb", "an RPM package" },
	{ 0, 4, false, DISK_FORMAT_ARCHIVE, "MSCF", "a cabinet archive" },
	{ 0, 8, false, DISK_FORMAT_ARCHIVE, "MSWIM\0\0\0", "a Windows image (WIM)" },
	{ 0, 4, false, DISK_FORMAT_ARCHIVE, "xar!", "a xar archive" },
	{ 0, 4, false, DISK_FORMAT_ARCHIVE, "\x27\xb5\x2f\xfd", "packed with an old zstd" },
	{ 0, 3, true, DISK_FORMAT_ARCHIVE, "\x5d\0\0", "packed with lzma" },
	{ 0, 2, true, DISK_FORMAT_ARCHIVE, "\x78\x01", "packed with zlib" },
	{ 0, 2, true, DISK_FORMAT_ARCHIVE, "\x78\x5e", "packed with zlib" },
	{ 0, 2, true, DISK_FORMAT_ARCHIVE, "\x78\x9c", "packed with zlib" },
	{ 0, 2, true, DISK_FORMAT_ARCHIVE, "\x78\xda", "packed with zlib" },
	{ 0, 2, true, DISK_FORMAT_ARCHIVE, "\x1f\x9d", "packed with compress" },
	{ 0, 2, true, DISK_FORMAT_ARCHIVE, "\x1f\x8b", "packed with gzip in an unknown way" },
	{ 0, 4, true, DISK_FORMAT_OTHER,
	  "\x7f"
	  "ELF",
	  "a program (ELF)" },
	{ 0x202, 4, true, DISK_FORMAT_OTHER, "HdrS", "a Linux kernel" },
	{ 0, 2, true, DISK_FORMAT_OTHER, "MZ", "an EFI or Windows program" },
	/* File systems and the like, which have no table in front of them. */
	{ 0x438, 2, true, DISK_FORMAT_OTHER, "\x53\xef", "an ext2, ext3 or ext4 file system" },
	{ 0, 4, true, DISK_FORMAT_OTHER, "XFSB", "an XFS file system" },
	{ 0, 4, true, DISK_FORMAT_OTHER, "hsqs", "a squashfs file system" },
	{ 0, 4, true, DISK_FORMAT_OTHER, "\x45\x3d\xcd\x28", "a cramfs file system" },
	{ 0, 8, true, DISK_FORMAT_OTHER, "-rom1fs-", "a romfs file system" },
	{ 0x400, 4, true, DISK_FORMAT_OTHER, "\xe2\xe1\xf5\xe0", "an EROFS file system" },
	{ 0x400, 4, true, DISK_FORMAT_OTHER, "\x10\x20\xf5\xf2", "an F2FS file system" },
	{ 0x10040, 8, true, DISK_FORMAT_OTHER, "_BHRfS_M", "a Btrfs file system" },
	{ 0x8001, 5, true, DISK_FORMAT_OTHER, "CD001", "an ISO 9660 image (a CD or DVD)" },
	{ 0x8001, 5, true, DISK_FORMAT_OTHER, "BEA01", "a UDF image (a DVD)" },
	{ 3, 8, true, DISK_FORMAT_OTHER, "NTFS    ", "an NTFS file system" },
	{ 3, 8, true, DISK_FORMAT_OTHER, "EXFAT   ", "an exFAT file system" },
	{ 0x52, 5, true, DISK_FORMAT_OTHER, "FAT32", "a FAT file system" },
	{ 0x36, 3, true, DISK_FORMAT_OTHER, "FAT", "a FAT file system" },
	{ 4086, 10, true, DISK_FORMAT_OTHER, "SWAPSPACE2", "swap space" },
	{ 0x218, 8, true, DISK_FORMAT_OTHER, "LVM2 001", "an LVM physical volume" },
	{ 4096, 4, true, DISK_FORMAT_OTHER, "\xfc\x4e\x2b\xa9", "a member of a Linux RAID" },
};

/* Words that image_info.disk_format may hold; what is not listed is unknown. */
static const struct {
	const char *word;
	enum disk_format format;
} words[] = {
	{ "raw", DISK_FORMAT_RAW },	{ "gpt", DISK_FORMAT_RAW },   { "iso", DISK_FORMAT_RAW },
	{ "qcow2", DISK_FORMAT_QCOW2 }, { "vmdk", DISK_FORMAT_VMDK }, { "vdi", DISK_FORMAT_VDI },
	{ "vhd", DISK_FORMAT_VHD },	{ "vhdx", DISK_FORMAT_VHDX }, { "qed", DISK_FORMAT_QED },
};

enum { SECTOR = 512 };

#define CONVERT "convert it with \"qemu-img convert -O qcow2\" or \"-O raw\""

const char *disk_format_name(enum disk_format f)
{
	return names[f];
}

static const struct magic *find_magic(const uint8_t *head, size_t len, bool weak)
{
	for (size_t i = 0; i < ARRAY_SIZE(magics); i++) {
		const struct magic *m = &magics[i];
		if ((weak || !m->weak) && (size_t)m->offset + m->len <= len &&
		    memcmp(head + m->offset, m->bytes, m->len) == 0)
			return m;
	}
	return NULL;
}

/* ASCII in UTF-16, with its mark in front. */
static bool is_utf16(const uint8_t *head, size_t len)
{
	size_t low = len >= 4 && memcmp(head, "\xff\xfe", 2) == 0 ? 0 : 1;
	if (len < 4 || (low && memcmp(head, "\xfe\xff", 2) != 0))
		return false;
	for (size_t i = 2; i + 1 < MIN(len, (size_t)64); i += 2)
		if (head[i + low] == 0 || head[i + 1 - low] != 0)
			return false;
	return true;
}

/* A page, an answer in JSON, a pointer of Git LFS, a list of checksums: a sector without a single
 * control byte is nothing that boots. */
static bool is_text(const uint8_t *head, size_t len)
{
	static const char blanks[] = { '\t', '\n', '\f', '\r' };
	size_t end = MIN(len, (size_t)SECTOR);
	if (is_utf16(head, len))
		return true;
	if (len >= SECTOR && head[SECTOR - 2] == 0x55 && head[SECTOR - 1] == 0xaa)
		return false;
	for (size_t i = 0; i < end; i++)
		if (head[i] == 0x7f || (head[i] < ' ' && !memchr(blanks, head[i], sizeof(blanks))))
			return false;
	return end > 0;
}

enum disk_format disk_format_detect(const void *head, size_t len)
{
	const struct magic *m = find_magic(head, len, false);
	return m ? m->format : is_text(head, len) ? DISK_FORMAT_TEXT : DISK_FORMAT_RAW;
}

/* The advice differs: a text is a wrong URL, an archive a wrong packing, a file system half of a
 * disk, the rest a conversion. */
static int refuse_content(enum disk_format f, const char *what, struct err *err)
{
	switch (f) {
	case DISK_FORMAT_RAW:
	case DISK_FORMAT_QCOW2:
		return 0;
	case DISK_FORMAT_TEXT:
		return err_set(err, ERR_INVALID,
			       "the image is a text (HTML, XML or JSON): is its URL right?");
	case DISK_FORMAT_ARCHIVE:
		return err_set(err, ERR_UNSUPPORTED,
			       "the image is %s, and only gzip, xz and zstd are unpacked here: "
			       "unpack it on the server, or pack it anew",
			       what);
	case DISK_FORMAT_OTHER:
		return err_set(err, ERR_INVALID,
			       "the image is %s and has no partition: it must be a whole disk with "
			       "a partition table",
			       what);
	case DISK_FORMAT_VMDK:
	case DISK_FORMAT_VDI:
	case DISK_FORMAT_VHD:
	case DISK_FORMAT_VHDX:
	case DISK_FORMAT_QED:
	case DISK_FORMAT_PARALLELS:
	case DISK_FORMAT_LUKS:
	case DISK_FORMAT_SPARSE:
		break;
	}
	return err_set(err, ERR_UNSUPPORTED,
		       "the image is %s, and only raw and qcow2 are supported: " CONVERT, what);
}

static int check_supported(enum disk_format f, const char *how, struct err *err)
{
	_cleanup_(freep) char *what = xasprintf("%s %s", disk_format_name(f), how);
	return refuse_content(f, what, err);
}

int disk_format_no_table(const void *head, size_t len, struct err *err)
{
	const struct magic *m = find_magic(head, len, true);
	return m ? refuse_content(m->format, m->what, err)
		 : err_set(err, ERR_INVALID,
			   "the image has no partition: it must be a whole disk with a partition "
			   "table");
}

/* A word that is not in the table is refused too: a guess could write the wrong data. */
static int parse_word(const char *declared, enum disk_format *ret, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcasecmp(declared, words[i].word) != 0)
			continue;
		int r = check_supported(words[i].format, "by its disk_format", err);
		if (r == 0)
			*ret = words[i].format;
		return r;
	}
	return err_set(err, ERR_UNSUPPORTED,
		       "disk_format \"%.32s\" is not supported: use raw or qcow2, or leave it out",
		       declared);
}

/* The server lists what it lets through; "gpt" there allows raw images declared as gpt. */
static bool is_permitted(const char *const *permitted, enum disk_format f, const char *declared)
{
	if (!permitted)
		return true;
	for (; *permitted; permitted++)
		if (strcasecmp(*permitted, disk_format_name(f)) == 0 ||
		    (!str_empty(declared) && strcasecmp(*permitted, declared) == 0))
			return true;
	return false;
}

/* The declaration is checked first, so that its mistakes are told even if the content is
 * worse. */
int disk_format_choose(const char *declared, const char *const *permitted, const void *head,
		       size_t len, enum disk_format *ret, struct err *err)
{
	enum disk_format wanted = DISK_FORMAT_RAW, found = disk_format_detect(head, len);
	int r = str_empty(declared) ? 0 : parse_word(declared, &wanted, err);
	const struct magic *m = find_magic(head, len, false);
	if (r == 0 && found == DISK_FORMAT_ARCHIVE)
		r = refuse_content(found, m->what, err);
	else if (r == 0)
		r = check_supported(found, "by its content", err);
	if (r < 0)
		return r;
	if (!str_empty(declared) && wanted != found)
		return err_set(err, ERR_INVALID,
			       "the image is declared as %s and is %s by its content: correct its "
			       "format or leave it out",
			       declared, disk_format_name(found));
	if (!is_permitted(permitted, found, declared))
		return err_set(err, ERR_DENIED, "the server does not permit images of format %s",
			       disk_format_name(found));
	*ret = found;
	return 0;
}

int disk_url_check(const char *url, struct err *err)
{
	if (str_is_http_url(url))
		return 0;
	int scheme = (int)MIN(strcspn(url, ":"), (size_t)16);
	return err_set(err, ERR_UNSUPPORTED,
		       "URLs of scheme \"%.*s\" are not supported: serve the file by http or https",
		       scheme, url);
}

char *disk_url_shown(const char *url)
{
	size_t len = strcspn(url, "?#");
	const char *host = strstr(url, "://");
	if (!host || host >= url + len)
		return xstrndup(url, len);
	host += 3;
	size_t authority = strcspn(host, "/?#");
	const char *at = memrchr(host, '@', authority);
	const char *rest = at ? at + 1 : host;
	return xasprintf("%.*s%.*s", (int)(host - url), url, (int)(url + len - rest), rest);
}
