/* Formats by magic bytes. A wrong declaration is refused in both directions: a qcow2 file written
 * as raw would not boot, and a raw image read as qcow2 lets whoever made it name files of the
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
	[DISK_FORMAT_LUKS] = "luks",
	[DISK_FORMAT_ARCHIVE] = "packed archive",
	[DISK_FORMAT_TEXT] = "text",
};

static const struct {
	uint16_t offset;
	uint8_t len;
	enum disk_format format;
	const char *bytes;
} magics[] = {
	{ 0, 4, DISK_FORMAT_QCOW2, "QFI\xfb" },
	{ 0, 4, DISK_FORMAT_VMDK, "KDMV" },
	{ 0, 4, DISK_FORMAT_VMDK, "COWD" },
	{ 0, 21, DISK_FORMAT_VMDK, "# Disk DescriptorFile" },
	{ 64, 4, DISK_FORMAT_VDI, "\x7f\x10\xda\xbe" },
	{ 0, 8, DISK_FORMAT_VHD, "conectix" },
	{ 0, 8, DISK_FORMAT_VHDX, "vhdxfile" },
	{ 0, 4, DISK_FORMAT_QED, "QED\0" },
	{ 0, 6, DISK_FORMAT_LUKS, "LUKS\xba\xbe" },
	{ 0, 4, DISK_FORMAT_ARCHIVE, "PK\3\4" },
	{ 0, 3, DISK_FORMAT_ARCHIVE, "BZh" },
	{ 0, 4, DISK_FORMAT_ARCHIVE, "\x04\x22\x4d\x18" },
	{ 0, 6, DISK_FORMAT_ARCHIVE, "7z\xbc\xaf\x27\x1c" },
	{ 257, 5, DISK_FORMAT_ARCHIVE, "ustar" },
	{ 0, 9, DISK_FORMAT_TEXT, "<!DOCTYPE" },
	{ 0, 5, DISK_FORMAT_TEXT, "<html" },
	{ 0, 5, DISK_FORMAT_TEXT, "<?xml" },
	{ 0, 2, DISK_FORMAT_TEXT, "{\"" },
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

#define CONVERT "convert it with \"qemu-img convert -O qcow2\" or \"-O raw\""

const char *disk_format_name(enum disk_format f)
{
	return names[f];
}

enum disk_format disk_format_detect(const void *head, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(magics); i++) {
		size_t end = (size_t)magics[i].offset + magics[i].len;
		if (end <= len && memcmp((const char *)head + magics[i].offset, magics[i].bytes,
					 magics[i].len) == 0)
			return magics[i].format;
	}
	return DISK_FORMAT_RAW;
}

/* The advice differs: a text is a wrong URL, an archive a wrong packing, the rest a
 * conversion. */
static int check_supported(enum disk_format f, const char *how, struct err *err)
{
	if (f == DISK_FORMAT_RAW || f == DISK_FORMAT_QCOW2)
		return 0;
	if (f == DISK_FORMAT_TEXT)
		return err_set(err, ERR_INVALID,
			       "the image is a text (HTML, XML or JSON): is its URL right?");
	if (f == DISK_FORMAT_ARCHIVE)
		return err_set(err, ERR_UNSUPPORTED,
			       "the image is an archive or packed in a way that is not known here: "
			       "gzip, xz and zstd are");
	return err_set(err, ERR_UNSUPPORTED,
		       "the image is %s %s, and only raw and qcow2 are "
		       "supported: " CONVERT,
		       disk_format_name(f), how);
}

/* A word that is not in the table is refused too: guessing would write what nobody asked for. */
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
	if (r == 0)
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
