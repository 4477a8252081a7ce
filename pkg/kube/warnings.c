/* The Warning header (RFC 7234 5.5, as Kubernetes uses it): code 299, an agent, a quoted text. A
 * proxy may join several into one line, with commas; only texts of 299 are the API server's. */

#include "kube/warnings.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	TOLD_MAX = 256, /* distinct texts; what comes then was surely seen before */
	TEXT_MAX = 1024,
};

void warnings_done(struct warnings *w)
{
	map_done(&w->told);
}

/* At the opening quote. Control characters become blanks: the text goes to a log. */
static char *unquote(const char *s)
{
	struct strbuf out = { 0 };
	for (s++; *s && *s != '"' && out.len < TEXT_MAX; s++) {
		if (*s == '\\' && s[1])
			s++;
		strbuf_addc(&out, (unsigned char)*s < ' ' || *s == 0x7f ? ' ' : *s);
	}
	if (out.len == 0 || (*s != '"' && out.len < TEXT_MAX)) {
		strbuf_done(&out);
		return NULL;
	}
	return strbuf_take(&out, NULL);
}

char *warnings_parse(const char *value)
{
	value += strspn(value, " \t");
	if (!str_has_prefix(value, "299 "))
		return NULL;
	const char *agent = value + strlen("299 ");
	const char *text = agent + strcspn(agent, " ");
	text += strspn(text, " ");
	return *text == '"' ? unquote(text) : NULL;
}

void warnings_take(struct warnings *w, const char *method, const char *path, const char *value)
{
	static const char known[] = "";
	_cleanup_(freep) char *text = warnings_parse(value);
	if (!text || map_get(&w->told, text) || w->told.count >= TOLD_MAX)
		return;
	map_set(&w->told, text, (void *)(uintptr_t)known);
	_cleanup_(freep) char *bare = xstrndup(path, strcspn(path, "?"));
	log_warn("the API server warns", "warning", text, "method", method, "path", bare);
}
