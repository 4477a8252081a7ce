/* Checksum rules of ironic-python-agent: os_hash_* win; a checksum
 * alone has its algorithm by its length; md5 only where the server allows it; a URL in either place
 * is a sums file in one of the styles of coreutils, BSD and Fedora. Stricter than it: a declared
 * algorithm holds for a file of several kinds, too, and not the first line counts. Pure. */

#include "agent/disk/sums.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"

static bool is_url(const char *s)
{
	return str_is_http_url(s) || (s && strncasecmp(s, "file://", 7) == 0);
}

/* What is compared: os_hash_value, else checksum. */
static const char *value_of(const struct disk_sum_spec *spec)
{
	return str_empty(spec->os_hash_value) ? spec->checksum : spec->os_hash_value;
}

const char *disk_sum_url(const struct disk_sum_spec *spec)
{
	const char *value = value_of(spec);
	return is_url(value) ? value : NULL;
}

char *disk_url_name(const char *url)
{
	size_t len = strcspn(url, "?#");
	size_t start = len;
	while (start > 0 && url[start - 1] != '/')
		start--;
	return xstrndup(url + start, len - start);
}

/* --- sums files --- */

/* In the order of their strength: without a declared type the last of them that is there counts. */
static const enum digest kinds[] = { DIGEST_MD5, DIGEST_SHA256, DIGEST_SHA512 };

/* Which of them a word of that many hex digits is. */
static bool digest_of(const char *s, size_t len, enum digest *ret)
{
	for (size_t i = 0; i < len; i++)
		if (!isxdigit((unsigned char)s[i]))
			return false;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (len != 2 * digest_size(kinds[i]))
			continue;
		*ret = kinds[i];
		return true;
	}
	return false;
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

static void keep(struct disk_sums_found *f, enum digest digest, const char *hex)
{
	/* The first of each kind. */
	if (!f->hex[digest])
		f->hex[digest] = xstrndup(hex, 2 * digest_size(digest));
}

/* BLAKE2, SM3 and SHA-3 have the lengths of others: the word in front must be the digest's name. */
static bool is_named(const char *word, size_t len, enum digest digest)
{
	const char *name = digest_name(digest);
	return strlen(name) == len && strncasecmp(word, name, len) == 0;
}

/* "SHA256 (name) = digest" */
static void bsd_line(const char *line, const char *end, const char *name,
		     struct disk_sums_found *ret)
{
	enum digest digest;
	const char *open = memchr(line, '(', (size_t)(end - line));
	const char *close = open ? memrchr(open, ')', (size_t)(end - open)) : NULL;
	if (!close || !name_equals(open + 1, (size_t)(close - open - 1), name))
		return;
	const char *p = skip_blanks(close + 1, end);
	if (p >= end || *p != '=')
		return;
	p = skip_blanks(p + 1, end);
	size_t len = word_length(p, end);
	if (digest_of(p, len, &digest) && is_named(line, word_length(line, open), digest))
		keep(ret, digest, p);
}

/* "digest  name", "digest *name" */
static void gnu_line(const char *line, const char *end, const char *name,
		     struct disk_sums_found *ret)
{
	enum digest digest;
	size_t len = word_length(line, end);
	if (!digest_of(line, len, &digest))
		return;
	const char *p = skip_blanks(line + len, end);
	if (p < end && *p == '*')
		p++;
	while (end > p && isspace((unsigned char)end[-1]))
		end--;
	if (name_equals(p, (size_t)(end - p), name))
		keep(ret, digest, line);
}

/* A file that holds nothing but one digest. */
static bool bare_digest(const char *text, struct disk_sums_found *ret)
{
	const char *end = text + strlen(text);
	enum digest digest;
	text = skip_blanks(text, end);
	size_t len = word_length(text, end);
	if (!digest_of(text, len, &digest) || skip_blanks(text + len, end) != end)
		return false;
	keep(ret, digest, text);
	return true;
}

void disk_sums_find(const char *text, const char *name, struct disk_sums_found *ret)
{
	*ret = (struct disk_sums_found){ 0 };
	bool bare = bare_digest(text, ret);
	while (!bare && *text) {
		const char *end = text + strcspn(text, "\r\n");
		const char *line = skip_blanks(text, end);
		if (line < end && *line != '#') {
			gnu_line(line, end, name, ret);
			bsd_line(line, end, name, ret);
		}
		text = *end ? end + 1 : end;
	}
}

void disk_sums_found_done(struct disk_sums_found *f)
{
	for (size_t i = 0; i < ARRAY_SIZE(f->hex); i++)
		free(f->hex[i]);
	*f = (struct disk_sums_found){ 0 };
}

/* --- the whole rule --- */

static int declared_digest(const char *algo, enum digest *ret, struct err *err)
{
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

static int take_hex(const struct disk_sum_spec *spec, enum digest digest, const char *hex,
		    struct disk_sum *ret, struct err *err)
{
	struct disk_sum sum = { .digest = digest };
	if (digest == DIGEST_MD5 && !spec->allow_md5)
		return err_set(err, ERR_DENIED,
			       "md5 checksums are switched off: use sha256 or sha512");
	for (size_t i = 0; hex[i]; i++)
		sum.hex[i] = (char)tolower((unsigned char)hex[i]);
	*ret = sum;
	return 0;
}

static int literal(const struct disk_sum_spec *spec, const enum digest *declared, const char *hex,
		   struct disk_sum *ret, struct err *err)
{
	enum digest found;
	bool digest = digest_of(hex, strlen(hex), &found);
	if (declared && (!digest || found != *declared))
		return err_set(err, ERR_INVALID, "the image's checksum is not a %s in hex digits",
			       digest_name(*declared));
	if (!digest)
		return err_set(
			err, ERR_INVALID,
			"the image's checksum has %zu characters or is not in hex digits: md5, "
			"sha256 and sha512 have 32, 64 and 128",
			strlen(hex));
	return take_hex(spec, found, hex, ret, err);
}

/* Only the declared type counts: a digest of another kind for the same name was not meant. */
static int not_listed(const struct disk_sums_found *f, const enum digest *declared,
		      const char *name, struct err *err)
{
	_cleanup_(strbuf_done) struct strbuf others = { 0 };
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (f->hex[kinds[i]])
			strbuf_addf(&others, "%s%s", others.len ? " and " : "",
				    digest_name(kinds[i]));
	if (!declared || others.len == 0)
		return err_set(err, ERR_NOT_FOUND, "the checksum file has no line for \"%s\"",
			       name);
	return err_set(err, ERR_NOT_FOUND,
		       "the checksum file has no %s for \"%s\", only %s: correct the checksum's "
		       "type, or leave it out",
		       digest_name(*declared), name, others.data);
}

static int from_file(const struct disk_sum_spec *spec, const enum digest *declared,
		     const char *sums, const char *name, struct disk_sum *ret, struct err *err)
{
	_cleanup_(disk_sums_found_done) struct disk_sums_found f;
	disk_sums_find(sums, name, &f);
	for (size_t i = ARRAY_SIZE(kinds); i > 0; i--) {
		enum digest kind = kinds[i - 1];
		if (f.hex[kind] && (!declared || kind == *declared))
			return take_hex(spec, kind, f.hex[kind], ret, err);
	}
	return not_listed(&f, declared, name, err);
}

int disk_sum_resolve(const struct disk_sum_spec *spec, const char *sums, const char *name,
		     struct disk_sum *ret, struct err *err)
{
	const char *value = value_of(spec);
	bool named = !str_empty(spec->os_hash_algo);
	enum digest declared;
	if (str_empty(value))
		return err_set(err, ERR_INVALID,
			       "the image has no checksum: give checksum, or os_hash_algo and "
			       "os_hash_value");
	if (!named && !str_empty(spec->os_hash_value))
		return err_set(err, ERR_INVALID,
			       "the image has os_hash_value without os_hash_algo");
	int r = named ? declared_digest(spec->os_hash_algo, &declared, err) : 0;
	if (r < 0)
		return r;
	const enum digest *type = named ? &declared : NULL;
	return is_url(value) ? from_file(spec, type, str_or(sums, ""), name, ret, err)
			     : literal(spec, type, value, ret, err);
}
