/* What a request says beside its path: query parameters and the Accept header, made into struct
 * call. All bytes come from the peer; what is not understood is refused, except for parameters that
 * we do not know, which Kubernetes ignores as well. */

#include <stdlib.h>
#include <string.h>

#include "apiserver/internal.h"
#include "base/mem.h"

void query_done(struct query *q)
{
	free(q->label_selector);
	free(q->field_selector);
	free(q->continue_token);
	free(q->resource_version);
	free(q->include_object);
	free(q->uid);
	free(q->field_manager);
	*q = (struct query){ .timeout_s = -1 };
}

void call_init(struct call *c, struct apiserver *s, const struct api_request *request)
{
	*c = (struct call){ .s = s,
			    .failures = s->failures,
			    .in = { .http = request, .query.timeout_s = -1 },
			    .out.left = SCHEMA_BUDGET };
}

static void free_kept(struct api_request *q)
{
	if (!q)
		return;
	free((char *)q->method);
	free((char *)q->path);
	free((char *)q->user);
	free((char *)q->groups);
	free((char *)q->user_agent);
	free(q);
}

void call_keep_request(struct call *c)
{
	const struct api_request *q = c->in.http;
	if (c->in.kept)
		return;
	struct api_request kept = { .method = xstrdup(q->method),
				    .path = xstrdup(q->path),
				    .query = "",
				    .content_type = "",
				    .accept = "",
				    .user = xstrdup(q->user),
				    .groups = xstrdup(q->groups),
				    .user_agent = xstrdup(q->user_agent),
				    .body = "" };
	c->in.http = c->in.kept = xmemdup(&kept, sizeof(kept));
}

static void drop_rest(struct call *c)
{
	if (c->rest.free)
		c->rest.free(c->rest.data);
	c->rest = (struct rest){ 0 };
}

int call_step(struct call *c)
{
	int result = c->rest.step(c, c->rest.data);
	if (result != MORE)
		drop_rest(c);
	return result;
}

int call_begin(struct call *c, struct rest rest)
{
	c->rest = rest;
	return call_step(c);
}

bool call_goes_on(const struct call *c)
{
	return c->rest.step != NULL;
}

static void request_done(struct request *in)
{
	free_kept(in->kept);
	resource_unref(in->resource);
	free(in->ns);
	free(in->name);
	free(in->subresource);
	query_done(&in->query);
}

void answer_done(struct answer *a)
{
	strbuf_done(&a->body);
	unknown_fields_done(&a->warnings);
}

void call_done(struct call *c)
{
	drop_rest(c);
	request_done(&c->in);
	answer_done(&c->out);
}

static int hex_value(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* NULL when an escape is malformed or stands for NUL. */
char *url_decode(const char *s, size_t len, bool form)
{
	char *out = xmalloc(len + 1), *p = out;
	for (size_t i = 0; i < len; i++) {
		char c = s[i];
		if (c == '+' && form) {
			c = ' ';
		} else if (c == '%') {
			int high = i + 2 < len ? hex_value(s[i + 1]) : -1;
			int low = high >= 0 ? hex_value(s[i + 2]) : -1;
			if (low < 0 || high * 16 + low == 0) {
				free(out);
				return NULL;
			}
			c = (char)(high * 16 + low);
			i += 2;
		}
		*p++ = c;
	}
	*p = '\0';
	return out;
}

/* --- parameters --- */

/* `value` as it is to be shown; `supported` as a list of quoted words. */
static int unsupported(const struct request *in, struct answer *out, const char *name,
		       const char *value, const char *supported)
{
	struct causes causes = { 0 };
	causes_add(&causes, CAUSE_NOT_SUPPORTED, name, value, "supported values: %s", supported);
	int result = fail_options(in, out, &causes);
	causes_done(&causes);
	return result;
}

static int bad_number(struct answer *out, const char *value)
{
	return fail(out, 400, "BadRequest", "strconv.ParseInt: parsing \"%s\": invalid syntax",
		    value);
}

static int parse_bool(const char *name, const char *value, bool *ret)
{
	/* As Go's conversion of url.Values: absent, "", "0" and "false" are false, all else is
	 * true. */
	(void)name;
	*ret = !streq(value, "0") && strcasecmp(value, "false") != 0;
	return 0;
}

/* Parameters that take one of a few words. A word's place in its list is its enum value; upstream
 * lists the words in an order of its own. */
static const struct choice {
	const char *name, *supported;
	const char *words[5];
} choices[] = {
	{ "resourceVersionMatch",
	  "\"Exact\", \"NotOlderThan\", \"\"",
	  { "", "Exact", "NotOlderThan" } },
	{ "fieldValidation",
	  "\"\", \"Ignore\", \"Strict\", \"Warn\"",
	  { "Warn", "Strict", "Ignore" } },
	{ "propagationPolicy",
	  "\"Foreground\", \"Background\", \"Orphan\", \"nil\"",
	  { "", "Background", "Foreground", "Orphan" } },
};

static int parse_choice(const struct request *in, struct answer *out, const struct choice *choice,
			const char *value, int *ret)
{
	for (int i = 0; choice->words[i]; i++)
		if (streq(value, choice->words[i])) {
			*ret = i;
			return 0;
		}
	_cleanup_(strbuf_done) struct strbuf quoted = { 0 };
	causes_quote(value, &quoted);
	return unsupported(in, out, choice->name, quoted.data, choice->supported);
}

static int set_dry_run(struct request *in, struct answer *out, const char *value)
{
	if (streq(value, "All")) {
		in->query.dry_run = true;
		return 0;
	}
	_cleanup_(strbuf_done) struct strbuf list = { 0 };
	strbuf_addc(&list, '[');
	json_quote(value, &list);
	strbuf_addc(&list, ']');
	return unsupported(in, out, "dryRun", list.data, "\"All\"");
}

static int set_numbers(struct request *in, struct answer *out, const char *name, const char *value)
{
	int64_t number;
	if (*value == '\0')
		return 0;
	if (parse_i64(value, &number) < 0)
		return bad_number(out, value);
	if (streq(name, "limit"))
		in->query.limit = (uint64_t)MAX(number, (int64_t)0);
	else if (streq(name, "timeoutSeconds"))
		in->query.timeout_s = MIN(MAX(number, (int64_t)-1), (int64_t)INT32_MAX);
	return 0;
}

static void store_choice(struct query *q, const char *name, int choice)
{
	if (streq(name, "resourceVersionMatch"))
		q->match = (enum rv_match)choice;
	else if (streq(name, "fieldValidation"))
		q->validation = (enum field_validation)choice;
	else
		q->propagation = (enum propagation)choice;
}

/* 1: no such parameter. */
static int set_choice(struct request *in, struct answer *out, const char *name, const char *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(choices); i++) {
		int choice = 0;
		if (!streq(name, choices[i].name))
			continue;
		if (*value && parse_choice(in, out, &choices[i], value, &choice) < 0)
			return ANSWERED;
		store_choice(&in->query, name, choice);
		return 0;
	}
	return 1;
}

static char **text_parameter(struct query *q, const char *name)
{
	const struct {
		const char *name;
		char **slot;
	} all[] = {
		{ "labelSelector", &q->label_selector },
		{ "fieldSelector", &q->field_selector },
		{ "continue", &q->continue_token },
		{ "resourceVersion", &q->resource_version },
		{ "includeObject", &q->include_object },
		{ "uid", &q->uid },
		{ "fieldManager", &q->field_manager },
	};
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (streq(name, all[i].name))
			return all[i].slot;
	return NULL;
}

static bool *bool_parameter(struct query *q, const char *name)
{
	const struct {
		const char *name;
		bool *slot;
	} all[] = {
		{ "watch", &q->watch },
		{ "allowWatchBookmarks", &q->bookmarks },
		{ "sendInitialEvents", &q->initial_events },
		{ "force", &q->force },
		{ "orphanDependents", &q->orphan },
		{ "pretty", &q->pretty },
	};
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (streq(name, all[i].name))
			return all[i].slot;
	return NULL;
}

/* Reads have options of their own, in which these do not exist. */
static bool concerns_writes(const char *name)
{
	static const char *const names[] = { "dryRun",
					     "fieldManager",
					     "fieldValidation",
					     "force",
					     "propagationPolicy",
					     "orphanDependents",
					     "gracePeriodSeconds" };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (streq(name, names[i]))
			return true;
	return false;
}

static int set_parameter(struct request *in, struct answer *out, const char *name,
			 const char *value)
{
	in->query.pretty_given |= streq(name, "pretty");
	if (streq(in->http->method, "GET") && concerns_writes(name))
		return 0;
	char **text = text_parameter(&in->query, name);
	if (text) {
		str_replace(text, *value ? value : NULL);
		return 0;
	}
	bool *flag = bool_parameter(&in->query, name);
	in->query.force_given |= streq(name, "force");
	in->query.orphan_given |= streq(name, "orphanDependents");
	if (flag)
		return parse_bool(name, value, flag);
	if (streq(name, "dryRun"))
		return set_dry_run(in, out, value);
	if (streq(name, "limit") || streq(name, "timeoutSeconds") ||
	    streq(name, "gracePeriodSeconds"))
		return set_numbers(in, out, name, value);
	return set_choice(in, out, name, value) < 0 ? ANSWERED : 0;
}

/* Who looks at answers with one of these wants to read them. */
static bool is_person(const char *user_agent)
{
	static const char *const programs[] = { "curl", "Wget", "Mozilla/5.0" };
	for (size_t i = 0; user_agent && i < ARRAY_SIZE(programs); i++)
		if (str_has_prefix(user_agent, programs[i]))
			return true;
	return false;
}

int call_parse_query(struct request *in, struct answer *out)
{
	for (const char *p = in->http->query; *p;) {
		size_t len = strcspn(p, "&"), name_len = strcspn(p, "=&");
		_cleanup_(freep) char *name = url_decode(p, name_len, true);
		_cleanup_(freep) char *value = name_len < len ? url_decode(p + name_len + 1,
									   len - name_len - 1, true)
							      : xstrdup("");
		if (!name || !value)
			return fail(out, 400, "BadRequest",
				    "the query is not properly percent-encoded");
		int r = set_parameter(in, out, name, value);
		out->pretty = in->query.pretty;
		if (r < 0)
			return r;
		p += len + (p[len] == '&');
	}
	if (!in->query.pretty_given)
		out->pretty = is_person(in->http->user_agent);
	return 0;
}

/* --- Accept --- */

struct media {
	char *type, *as, *version, *group;
};

static void media_done(struct media *m)
{
	free(m->type);
	free(m->as);
	free(m->version);
	free(m->group);
}

static char *trimmed(const char *s, size_t len)
{
	while (len > 0 && strchr(" \t", s[len - 1]))
		len--;
	while (len > 0 && strchr(" \t", *s))
		s++, len--;
	return xstrndup(s, len);
}

static void parse_media(const char *s, size_t len, struct media *ret)
{
	const char *end = s + len;
	size_t type_len = MIN(strcspn(s, ";"), len);
	*ret = (struct media){ .type = trimmed(s, type_len) };
	for (const char *p = s + type_len; p < end; p += MIN(strcspn(p, ";"), (size_t)(end - p))) {
		p++;
		size_t n = MIN(strcspn(p, ";"), (size_t)(end - p)), key = strcspn(p, "=");
		char **slot = key >= n			  ? NULL
			      : strncmp(p, "as=", 3) == 0 ? &ret->as
			      : strncmp(p, "v=", 2) == 0  ? &ret->version
			      : strncmp(p, "g=", 2) == 0  ? &ret->group
							  : NULL;
		if (slot && !*slot)
			*slot = trimmed(p + key + 1, n - key - 1);
	}
}

static bool is_json_type(const char *type)
{
	return streq(type, "application/json") || streq(type, "*/*") ||
	       streq(type, "application/*") || streq(type, "");
}

static bool media_form(const struct media *m, enum form *ret)
{
	static const struct {
		const char *as, *group, *version;
		enum form form;
	} forms[] = {
		{ "Table", "meta.k8s.io", "v1", FORM_TABLE },
		{ "PartialObjectMetadata", "meta.k8s.io", "v1", FORM_METADATA },
		{ "PartialObjectMetadataList", "meta.k8s.io", "v1", FORM_METADATA },
		{ "APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2", FORM_DISCOVERY },
		{ "APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2beta1", FORM_DISCOVERY_BETA },
	};
	if (!is_json_type(m->type))
		return false;
	if (!m->as) {
		*ret = FORM_OBJECT;
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
		if (streq(m->as, forms[i].as) && streq(m->group, forms[i].group) &&
		    streq(m->version, forms[i].version)) {
			*ret = forms[i].form;
			return true;
		}
	return false;
}

/* The first that we can do; quality values are ignored, as clients list in order of preference. */
int call_parse_accept(struct request *in, struct answer *out)
{
	const char *p = in->http->accept;
	bool any = str_empty(p);
	while (!any && *p) {
		size_t len = strcspn(p, ",");
		_cleanup_(media_done) struct media m;
		parse_media(p, len, &m);
		any = media_form(&m, &in->form);
		p += len + (p[len] == ',');
	}
	if (any)
		return 0;
	return fail(out, 406, "NotAcceptable",
		    "only the following media types are accepted: application/json");
}
