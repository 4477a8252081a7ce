/* What an answer says, read without trust in its form: error bodies hold an object where a list
 * should be, texts where objects should be, or nothing; links are paths, URLs, or lead elsewhere.
 * Pure functions. any thread */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "bmc/redfish/internal.h"

enum { IDS_SHOWN = 3, ID_SHOWN = 80 };

bool rf_is_success(const struct rf_answer *a)
{
	return a->status >= 200 && a->status < 300;
}

static bool is_one_of(const char *word, const char *const *words)
{
	for (; *words; words++)
		if (strcasecmp(word, *words) == 0)
			return true;
	return false;
}

static const char *task_state(const struct rf_answer *a)
{
	return str_or(json_get_string(a->body, "TaskState"), "");
}

/* What waits for something (Pending: for the next reset) is done as far as it can be; so is what
 * says nothing, but for a 202. */
bool rf_task_runs(const struct rf_answer *a)
{
	static const char *const at_work[] = { "New",	   "Starting",	 "Running",
					       "Stopping", "Cancelling", NULL };
	return is_one_of(task_state(a), at_work) || (!*task_state(a) && a->status == 202);
}

bool rf_task_failed(const struct rf_answer *a)
{
	static const char *const bad[] = { "Exception", "Killed", "Cancelled", "Interrupted",
					   NULL };
	const char *status = str_or(json_get_string(a->body, "TaskStatus"), "OK");
	return is_one_of(task_state(a), bad) ||
	       (strcasecmp(task_state(a), "Completed") == 0 && strcasecmp(status, "Critical") == 0);
}

/* --- errors (DSP0266, 8.6) --- */

/* The list, or the only object or text that stands in its place. */
static const struct json *infos_of(const struct rf_answer *a)
{
	const struct json *error = json_get(a->body, "error");
	const struct json *infos = json_get(error, "@Message.ExtendedInfo");
	return infos ? infos : json_get(a->body, "@Message.ExtendedInfo");
}

static const char *id_of(const struct json *info)
{
	const char *id = json_string(info);
	if (!id)
		id = json_get_string(info, "MessageId");
	return id ? id : json_get_string(info, "MessageID");
}

static const char *last_part(const char *id)
{
	const char *dot = strrchr(id, '.');
	return dot ? dot + 1 : id;
}

static bool id_is(const struct json *info, const char *id)
{
	const char *said = id_of(info);
	return said && strcasecmp(last_part(said), id) == 0;
}

bool rf_says(const struct rf_answer *a, const char *id)
{
	const struct json *infos = infos_of(a);
	const char *code = json_get_path_string(a->body, "error.code");
	if (code && strcasecmp(last_part(code), id) == 0)
		return true;
	if (!json_is_array(infos))
		return id_is(infos, id);
	json_for_each(info, infos)
		if (id_is(info, id))
			return true;
	return false;
}

static bool text_has(const struct json *j, const char *text)
{
	const char *s = json_string(j);
	return s && strcasestr(s, text);
}

static bool info_mentions(const struct json *info, const char *text)
{
	if (text_has(info, text) || text_has(json_get(info, "Message"), text) ||
	    text_has(json_get(info, "MessageId"), text))
		return true;
	json_for_each(arg, json_get(info, "MessageArgs"))
		if (text_has(arg, text))
			return true;
	json_for_each(property, json_get(info, "RelatedProperties"))
		if (text_has(property, text))
			return true;
	return false;
}

bool rf_mentions(const struct rf_answer *a, const char *text)
{
	const struct json *infos = infos_of(a), *error = json_get(a->body, "error");
	if (text_has(json_get(error, "message"), text) || text_has(json_get(error, "code"), text) ||
	    text_has(error, text))
		return true;
	if (!json_is_array(infos))
		return info_mentions(infos, text);
	json_for_each(info, infos)
		if (info_mentions(info, text))
			return true;
	return false;
}

/* What is shown of a peer's text is printable and short. */
static void add_id(struct strbuf *out, const char *id)
{
	strbuf_adds(out, out->len ? ", " : "");
	for (size_t i = 0; i < ID_SHOWN && id[i]; i++)
		strbuf_addc(out, isgraph((unsigned char)id[i]) ? id[i] : '?');
}

static void add_ids(const struct json *infos, struct strbuf *out)
{
	unsigned shown = 0;
	if (!json_is_array(infos)) {
		if (id_of(infos))
			add_id(out, id_of(infos));
		return;
	}
	json_for_each(info, infos)
		if (id_of(info) && shown++ < IDS_SHOWN)
			add_id(out, id_of(info));
}

void rf_describe(const struct rf_answer *a, struct strbuf *out)
{
	_cleanup_(strbuf_done) struct strbuf ids = { 0 };
	add_ids(infos_of(a), &ids);
	const char *code = json_get_path_string(a->body, "error.code");
	if (ids.len == 0 && code)
		add_id(&ids, code);
	strbuf_addf(out, "%d%s%s", a->status, ids.len ? " " : "", ids.len ? ids.data : "");
}

/* --- members --- */

const char *rf_id(const struct json *resource)
{
	return json_get_string(resource, "@odata.id");
}

/* Older services say "href", and some a bare text. */
const char *rf_link(const struct json *object, const char *member)
{
	const struct json *link = json_get(object, member);
	const char *id = json_get_string(link, "@odata.id");
	if (!id)
		id = json_get_string(link, "href");
	return id ? id : json_string(link);
}

const char *rf_target(const struct json *resource, const char *name)
{
	return json_get_string(json_get(json_get(resource, "Actions"), name), "target");
}

bool rf_allows(const struct json *object, const char *list, const char *value)
{
	const struct json *values = json_get(object, list);
	if (!json_is_array(values) || json_count(values) == 0)
		return true;
	json_for_each(v, values) {
		const char *text = json_string(v);
		if (text && strcasecmp(text, value) == 0)
			return true;
	}
	return false;
}

char *rf_text(const struct json *object, const char *member, char *ret, size_t size)
{
	const char *text = str_or(json_get_string(object, member), "");
	while (isspace((unsigned char)*text))
		text++;
	size_t len = strlen(text);
	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	len = len < size ? len : size - 1;
	while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--; /* not in the middle of a character */
	memcpy(ret, text, len);
	ret[len] = '\0';
	return ret;
}

/* --- links --- */

/* The authority of a URL, and how long it is without the port that goes without saying. */
static const char *authority_of(const char *url, size_t *ret_len)
{
	const char *port = strncasecmp(url, "https:", 6) == 0 ? ":443" : ":80";
	const char *host = strstr(url, "://") + 3;
	size_t len = strcspn(host, "/?#"), n = strlen(port);
	if (len > n && strncmp(host + len - n, port, n) == 0)
		len -= n;
	*ret_len = len;
	return host;
}

bool rf_is_own(const char *base_url, const char *link)
{
	size_t own_len, len;
	if (!str_is_http_url(link))
		return *link && !str_has_prefix(link, "//");
	const char *own = authority_of(base_url, &own_len), *host = authority_of(link, &len);
	bool tls = strncasecmp(link, "https:", 6) == 0,
	     own_tls = strncmp(base_url, "https:", 6) == 0;
	return tls == own_tls && len == own_len && strncasecmp(own, host, len) == 0;
}

static const char *path_in_url(const char *url)
{
	const char *host = strstr(url, "://") + 3;
	const char *path = host + strcspn(host, "/?#");
	return *path == '/' ? path : "/";
}

char *rf_path_of(const char *link)
{
	const char *path = str_is_http_url(link) ? path_in_url(link) : link;
	if (str_empty(path) || str_has_prefix(path, "//") || *path == '#')
		return NULL;
	struct strbuf out = { 0 };
	if (*path != '/')
		strbuf_addc(&out, '/');
	for (; *path && *path != '#' && out.len < RF_LINK_MAX; path++) {
		unsigned char c = (unsigned char)*path;
		if (c <= ' ' || c >= 0x7f || strchr("\"<>\\^`{|}", c))
			strbuf_addf(&out, "%%%02X", c);
		else
			strbuf_addc(&out, (char)c);
	}
	if (out.len < RF_LINK_MAX)
		return strbuf_take(&out, NULL);
	strbuf_done(&out);
	return NULL;
}
