/* See prov/image.h. What is refused here would be refused by the agent, hours later and with the
 * disks wiped. */

#include "prov/image.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/redact.h"
#include "base/str.h"

static const struct {
	const char *format, *advice; /* advice NULL: supported */
} formats[] = {
	{ "", NULL },
	{ "raw", NULL },
	{ "qcow2", NULL },
	{ "live-iso", "an image is written to the disk and not booted as it is: use raw or qcow2" },
	{ "vdi", "convert it with \"qemu-img convert -O qcow2\" or use raw" },
	{ "vmdk", "convert it with \"qemu-img convert -O qcow2\" or use raw" },
};

static int check_format(const struct prov_image *image, struct err *err)
{
	const char *format = str_or(image->format, "");
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		if (!streq(formats[i].format, format))
			continue;
		return formats[i].advice ? err_set(err, ERR_UNSUPPORTED,
						   "images of format %s are not supported: %s",
						   format, formats[i].advice)
					 : 0;
	}
	return err_set(err, ERR_UNSUPPORTED,
		       "images of format %.32s are not known: use raw or qcow2", format);
}

static int check_url(const struct prov_image *image, struct err *err)
{
	static const char *const others[] = { "ftp", "gopher", "oci" };
	const char *url = str_or(image->url, "");
	if (str_is_http_url(url))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (strncasecmp(url, others[i], strlen(others[i])) == 0 &&
		    str_has_prefix(url + strlen(others[i]), "://"))
			return err_set(err, ERR_UNSUPPORTED,
				       "images of scheme %s:// are not supported: serve it by http "
				       "or https",
				       others[i]);
	_cleanup_(freep) char *shown = redact_urls(url);
	return err_set(err, ERR_INVALID, "image URL %.200s: only http and https are supported",
		       shown);
}

/* By the number of hex digits, which is how an agent tells them apart when no type is given. */
static const struct {
	const char *type;
	size_t digits;
} digests[] = { { "md5", 32 }, { "sha256", 64 }, { "sha512", 128 } };

static bool any_type(const char *type)
{
	return str_empty(type) || streq(type, "auto");
}

static int check_type(const struct prov_image *image, struct err *err)
{
	const char *type = image->checksum_type;
	for (size_t i = 0; i < ARRAY_SIZE(digests); i++)
		if (any_type(type) || streq(digests[i].type, type))
			return 0;
	return err_set(err, ERR_UNSUPPORTED,
		       "checksums of type %.32s are not known: use sha256, sha512 or md5", type);
}

static int check_checksum(const struct prov_image *image, struct err *err)
{
	const char *sum = str_or(image->checksum, "");
	size_t len = strlen(sum);
	if (!*sum)
		return err_set(err, ERR_INVALID,
			       "Validation failed: checksum is required for normal images");
	if (str_is_http_url(sum) || any_type(image->checksum_type))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(digests); i++)
		if (len == digests[i].digits && !streq(digests[i].type, image->checksum_type))
			return err_set(err, ERR_INVALID,
				       "the checksum has %zu digits, as %s has, and its type is "
				       "given as %s",
				       len, digests[i].type, image->checksum_type);
	return 0;
}

int prov_image_check(const struct prov_image *image, const char **ret_member, struct err *err)
{
	/* The format first: of one that is not deployed, the rest says nothing. */
	static const struct {
		const char *member;
		int (*check)(const struct prov_image *image, struct err *err);
	} checks[] = {
		{ "format", check_format },
		{ "url", check_url },
		{ "checksumType", check_type },
		{ "checksum", check_checksum },
	};
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		int r = checks[i].check(image, err);
		if (r == 0)
			continue;
		*ret_member = checks[i].member;
		return r;
	}
	return 0;
}
