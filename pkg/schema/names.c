/* Name rules after k8s.io/apimachinery/pkg/util/validation. Pure. */

#include "schema/names.h"

#include <ctype.h>
#include <string.h>

#include "base/id.h"
#include "base/mem.h"

enum { QUALIFIED_NAME_MAX = 63, LABEL_VALUE_MAX = 63, SUBDOMAIN_MAX = 253, CONFIG_KEY_MAX = 253 };

static bool no(struct strbuf *why, const char *text)
{
	if (why)
		strbuf_adds(why, text);
	return false;
}

static bool too_long(struct strbuf *why, int max)
{
	if (why)
		strbuf_addf(why, "must be no more than %d characters", max);
	return false;
}

/* What is counted is the same, but of labels and their like it is said so. */
static bool too_many_bytes(struct strbuf *why, const char *prefix, int max)
{
	if (why)
		strbuf_addf(why, "%smust be no more than %d bytes", prefix, max);
	return false;
}

bool name_is_path_segment(const char *s, struct strbuf *why)
{
	if (strlen(s) > SUBDOMAIN_MAX)
		return too_long(why, SUBDOMAIN_MAX);
	if (streq(s, ".") || streq(s, ".."))
		return no(why, s[1] ? "may not be '..'" : "may not be '.'");
	return strchr(s, '/')	? no(why, "may not contain '/'")
	       : strchr(s, '%') ? no(why, "may not contain '%'")
				: true;
}

bool name_is_dns_subdomain(const char *s, struct strbuf *why)
{
	if (strlen(s) > SUBDOMAIN_MAX)
		return too_long(why, SUBDOMAIN_MAX);
	if (name_is_subdomain(s))
		return true;
	return no(
		why,
		"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')");
}

bool name_is_dns_label(const char *s, struct strbuf *why)
{
	if (strlen(s) > QUALIFIED_NAME_MAX)
		return too_long(why, QUALIFIED_NAME_MAX);
	if (name_is_label(s))
		return true;
	if (name_is_subdomain(s))
		return no(why, "must not contain dots");
	return no(
		why,
		"a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')");
}

bool name_is_dns1035_label(const char *s, struct strbuf *why)
{
	if (strlen(s) > QUALIFIED_NAME_MAX)
		return too_long(why, QUALIFIED_NAME_MAX);
	if (name_is_label(s) && isalpha((unsigned char)*s))
		return true;
	return no(
		why,
		"a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')");
}

/* ([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9] */
static bool plain_name(const char *s)
{
	size_t len = strlen(s);
	if (len == 0 || !isalnum((unsigned char)s[0]) || !isalnum((unsigned char)s[len - 1]))
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("-_.", *s))
			return false;
	return true;
}

bool name_is_qualified(const char *s, struct strbuf *why)
{
	const char *slash = strchr(s, '/'), *name = slash ? slash + 1 : s;
	if (slash && strchr(name, '/'))
		return no(
			why,
			"a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')");
	if (slash == s)
		return no(why, "prefix part must be non-empty");
	_cleanup_(freep) char *prefix = slash ? xstrndup(s, (size_t)(slash - s)) : NULL;
	_cleanup_(strbuf_done) struct strbuf prefix_why = { 0 };
	if (prefix && strlen(prefix) > SUBDOMAIN_MAX)
		return too_many_bytes(why, "prefix part ", SUBDOMAIN_MAX);
	if (prefix && !name_is_dns_subdomain(prefix, &prefix_why)) {
		no(why, "prefix part ");
		return no(why, prefix_why.data);
	}
	if (*name == '\0')
		return no(why, "name part must be non-empty");
	if (strlen(name) > QUALIFIED_NAME_MAX)
		return too_many_bytes(why, "name part ", QUALIFIED_NAME_MAX);
	return plain_name(name) ||
	       no(why,
		  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')");
}

/* Not free text: label values stand in selectors and URLs. */
bool name_is_label_value(const char *s, struct strbuf *why)
{
	if (strlen(s) > LABEL_VALUE_MAX)
		return too_many_bytes(why, "", LABEL_VALUE_MAX);
	return *s == '\0' || plain_name(s) ||
	       no(why,
		  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')");
}

/* Keys become file names where a Secret is mounted, hence no "." and "..". */
bool name_is_config_key(const char *s, struct strbuf *why)
{
	if (strlen(s) > CONFIG_KEY_MAX)
		return too_long(why, CONFIG_KEY_MAX);
	const char *p = s;
	while (isalnum((unsigned char)*p) || (*p && strchr("-_.", *p)))
		p++;
	if (*s == '\0' || *p)
		return no(
			why,
			"a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')");
	if (streq(s, "."))
		return no(why, "must not be '.'");
	if (str_has_prefix(s, ".."))
		return no(why, streq(s, "..") ? "must not be '..'" : "must not start with '..'");
	return true;
}
