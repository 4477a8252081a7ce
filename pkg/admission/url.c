/* URLs in specs: absolute, of a scheme that somebody can fetch, with a host. Go's url.Parse is what
 * upstream asks; this asks for a host besides, because nothing can be fetched without. Userinfo and
 * query are never quoted back. Pure. */

#include <ctype.h>
#include <string.h>

#include "admission/internal.h"
#include "base/mem.h"
#include "base/redact.h"

enum { URL_MAX = 2048 };

/* Length of "scheme" when "://" follows it (RFC 3986, 3.1); 0: there is none. */
static size_t scheme_length(const char *url)
{
	size_t n = 0;
	while (isalnum((unsigned char)url[n]) || (url[n] && strchr("+-.", url[n])))
		n++;
	return isalpha((unsigned char)*url) && str_has_prefix(url + n, "://") ? n : 0;
}

static bool escapes_are_whole(const char *url)
{
	for (const char *c = strchr(url, '%'); c; c = strchr(c + 1, '%'))
		if (!isxdigit((unsigned char)c[1]) || !isxdigit((unsigned char)c[2]))
			return false;
	return true;
}

/* What is wrong with its form; NULL: nothing. */
static const char *fault_of(const char *url)
{
	size_t n = scheme_length(url);
	if (strlen(url) > URL_MAX)
		return "must be no longer than 2048 bytes";
	for (const char *c = url; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f)
			return "must hold no blanks or control characters";
	if (n == 0)
		return "must be an absolute URL, as in https://images.example.com/os.raw";
	const char *authority = url + n + strlen("://");
	size_t len = strcspn(authority, "/?#");
	const char *at = memrchr(authority, '@', len);
	const char *host = at ? at + 1 : authority;
	if (host == authority + len || *host == ':')
		return "must name a host";
	return escapes_are_whole(url) ? NULL : "must not hold a broken %-escape";
}

static void refuse(const char *field, const char *url, const char *why, struct causes *ret)
{
	_cleanup_(freep) char *shown = redact_urls(url);
	causes_add_string(ret, CAUSE_INVALID, field, shown, "%s", why);
}

static bool scheme_is(const char *url, const char *name)
{
	size_t n = scheme_length(url);
	return n == strlen(name) && strncasecmp(url, name, n) == 0;
}

void rule_image_url(const char *field, const char *url, struct causes *ret)
{
	static const char *const schemes[] = { "http", "https", "ftp", "gopher", "oci" };
	if (str_empty(url)) {
		causes_add(ret, CAUSE_REQUIRED, field, NULL,
			   "name what is to be fetched, or leave the whole object out");
		return;
	}
	const char *fault = fault_of(url);
	if (fault) {
		refuse(field, url, fault, ret);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (scheme_is(url, schemes[i]))
			return;
	refuse(field, url, "its scheme must be http, https, ftp, gopher or oci", ret);
}

void rule_destination(const char *field, const char *url, struct causes *ret)
{
	if (str_empty(url)) {
		causes_add(ret, CAUSE_REQUIRED, field, NULL, "name the URL that events go to");
		return;
	}
	const char *fault = fault_of(url);
	if (fault) {
		refuse(field, url, fault, ret);
		return;
	}
	const char *authority = strstr(url, "://") + 3;
	if (authority[strcspn(authority, "/?#")] != '/')
		refuse(field, url, "must have a path: add at least a slash behind the host", ret);
}
