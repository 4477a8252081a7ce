/* Takes userinfo and queries out of the URLs in a text: signed URLs carry their secret in the
 * query, careless ones in the userinfo. Where a URL ends is a guess; the guess errs towards leaving
 * out. */

#include "base/redact.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

static const char blanks[] = " \t\r\n\"'<>";

/* Behind "://": returns what is left of the text. */
static const char *take_url(const char *at, struct strbuf *out)
{
	size_t authority = strcspn(at, "/?# \t\r\n\"'<>");
	const char *user_end = memrchr(at, '@', authority);
	if (user_end) {
		authority -= (size_t)(user_end + 1 - at);
		at = user_end + 1;
	}
	size_t rest = authority + strcspn(at + authority, "?# \t\r\n\"'<>");
	strbuf_add(out, at, rest);
	at += rest;
	if (*at != '?' && *at != '#')
		return at;
	strbuf_adds(out, "?...");
	return at + strcspn(at, blanks);
}

char *redact_urls(const char *text)
{
	struct strbuf out = { 0 };
	for (const char *sep; (sep = strstr(text, "://"));) {
		strbuf_add(&out, text, (size_t)(sep + 3 - text));
		text = take_url(sep + 3, &out);
	}
	strbuf_adds(&out, text);
	return strbuf_take(&out, NULL);
}

char *redact_url(const char *url)
{
	struct strbuf out = { 0 };
	const char *sep = strstr(url, "://");
	const char *rest = sep ? sep + 3 : url;
	const char *at = memrchr(rest, '@', strcspn(rest, "/?#"));
	const char *host = at ? at + 1 : rest;
	size_t shown = strcspn(host, "?#");
	strbuf_add(&out, url, (size_t)(rest - url));
	strbuf_add(&out, host, shown);
	if (host[shown])
		strbuf_adds(&out, "?...");
	return strbuf_take(&out, NULL);
}
