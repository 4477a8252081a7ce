/* Checksum rules of ironic-python-agent (agent-protocol, section 12): os_hash_* win; a checksum
 * alone has its algorithm by its length; md5 only where the server allows it; a checksum that is a
 * URL is a sums file in one of the styles of coreutils, BSD and Fedora. Pure. */

#include "agent/disk/sums.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"

static bool is_url(const char *s)
{
	return s && (strncasecmp(s, "http://", 7) == 0 || strncasecmp(s, "https://", 8) == 0 ||
		     strncasecmp(s, "file://", 7) == 0);
}

static bool has_os_hash(const struct disk_sum_spec *spec)
{
	return !str_empty(spec->os_hash_algo) && !str_empty(spec->os_hash_value);
}

const char *disk_sum_url(const struct disk_sum_spec *spec)
{
	if (has_os_hash(spec))
		return is_url(spec->os_hash_value) ? spec->os_hash_value : NULL;
	return is_url(spec->checksum) ? spec->checksum : NULL;
}

char *disk_url_name(const char *url)
{
	size_t len = strcspn(url, "?#");
	size_t start = len;
	while (start > 0 && url[start - 1] != '/')
		start--;
	return xstrndup(url + start, len - start);
}

/* --- sums files --------------------------------------------------------------------------------
 */

static bool is_digest(const char *s, size_t len)
{
	if (len != 32 && len != 64 && len != 128)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isxdigit((unsigned char)s[i]))
			return false;
	return true;
}

static size_t word_length(const char *s, const char *end)
{
	size_t n = 0;
	while (s + n < end && !isspace((unsigned char)s[n]))
		n++;
	return n;
}

static const char *skip_blanks(const char *s, const char *end)
{
	while (s < end && isspace((unsigned char)*s))
		s++;
	return s;
}

static bool name_equals(const char *s, size_t len, const char *name)
{
	/* "./image.raw", as find | xargs sha256sum writes it */
	if (len > 2 && s[0] == '.' && s[1] == '/') {
		s += 2;
		len -= 2;
	}
	return strlen(name) == len && memcmp(s, name, len) == 0;
}

/* "SHA256 (name) = digest" */
static char *bsd_line(const char *line, const char *end, const char *name)
{
	const char *open = memchr(line, '(', (size_t)(end - line));
	const char *close = open ? memrchr(open, ')', (size_t)(end - open)) : NULL;
	if (!close || !name_equals(open + 1, (size_t)(close - open - 1), name))
		return NULL;
	const char *p = skip_blanks(close + 1, end);
	if (p >= end || *p != '=')
		return NULL;
	p = skip_blanks(p + 1, end);
	size_t len = word_length(p, end);
	return is_digest(p, len) ? xstrndup(p, len) : NULL;
}

/* "digest  name", "digest *name" */
static char *gnu_line(const char *line, const char *end, const char *name)
{
	size_t len = word_length(line, end);
	if (!is_digest(line, len))
		return NULL;
	const char *p = skip_blanks(line + len, end);
	if (p < end && *p == '*')
		p++;
	while (end > p && isspace((unsigned char)end[-1]))
		end--;
	return name_equals(p, (size_t)(end - p), name) ? xstrndup(line, len) : NULL;
}

/* A file that holds nothing but one digest. */
static char *bare_digest(const char *text)
{
	const char *end = text + strlen(text);
	text = skip_blanks(text, end);
	size_t len = word_length(text, end);
	return is_digest(text, len) && skip_blanks(text + len, end) == end ? xstrndup(text, len)
									   : NULL;
}

char *disk_sums_find(const char *text, const char *name)
{
	char *found = bare_digest(text);
	while (!found && *text) {
		const char *end = text + strcspn(text, "\r\n");
		const char *line = skip_blanks(text, end);
		if (line < end && *line != '#') {
			found = gnu_line(line, end, name);
			if (!found)
				found = bsd_line(line, end, name);
		}
		text = *end ? end + 1 : end;
	}
	return found;
}

/* --- the whole rule ----------------------------------------------------------------------------
 */

static int by_length(const char *hex, enum digest *ret)
{
	switch (strlen(hex)) {
	case 32:
		*ret = DIGEST_MD5;
		return 0;
	case 64:
		*ret = DIGEST_SHA256;
		return 0;
	case 128:
		*ret = DIGEST_SHA512;
		return 0;
	}
	return -1;
}

static int choose_digest(const struct disk_sum_spec *spec, const char *hex, enum digest *ret,
			 struct err *err)
{
	const char *algo = has_os_hash(spec) ? spec->os_hash_algo : NULL;
	if (!algo) {
		if (by_length(hex, ret) == 0)
			return 0;
		return err_set(
			err, ERR_INVALID,
			"the image's checksum has %zu characters: md5, sha256 and sha512 have "
			"32, 64 and 128",
			strlen(hex));
	}
	_cleanup_(freep) char *lower = xstrdup(algo);
	for (char *p = lower; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if (digest_parse(lower, ret) < 0 || *ret == DIGEST_SHA1)
		return err_set(
			err, ERR_UNSUPPORTED,
			"checksum algorithm \"%.16s\" is not supported: use sha256 or sha512",
			algo);
	return 0;
}

static int take_hex(const struct disk_sum_spec *spec, const char *hex, struct disk_sum *ret,
		    struct err *err)
{
	struct disk_sum sum = { 0 };
	int r = choose_digest(spec, hex, &sum.digest, err);
	if (r < 0)
		return r;
	if (sum.digest == DIGEST_MD5 && !spec->allow_md5)
		return err_set(err, ERR_DENIED,
			       "md5 checksums are switched off: use sha256 or sha512");
	if (strlen(hex) != 2 * digest_size(sum.digest) || !is_digest(hex, strlen(hex)))
		return err_set(err, ERR_INVALID, "the image's checksum is not a %s in hex digits",
			       digest_name(sum.digest));
	for (size_t i = 0; hex[i]; i++)
		sum.hex[i] = (char)tolower((unsigned char)hex[i]);
	*ret = sum;
	return 0;
}

int disk_sum_resolve(const struct disk_sum_spec *spec, const char *sums, const char *name,
		     struct disk_sum *ret, struct err *err)
{
	const char *literal = has_os_hash(spec) ? spec->os_hash_value : spec->checksum;
	if (str_empty(literal))
		return err_set(err, ERR_INVALID,
			       "the image has no checksum: give checksum, or os_hash_algo and "
			       "os_hash_value");
	if (!disk_sum_url(spec))
		return take_hex(spec, literal, ret, err);
	_cleanup_(freep) char *hex = disk_sums_find(str_or(sums, ""), name);
	if (!hex)
		return err_set(err, ERR_NOT_FOUND, "the checksum file has no line for \"%s\"",
			       name);
	return take_hex(spec, hex, ret, err);
}
