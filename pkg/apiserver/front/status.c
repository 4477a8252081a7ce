/* Answers: JSON bodies and errors of kind Status, with the reasons, texts and details that
 * Kubernetes' own server gives, because clients decide by them. Runs on the server's loop. */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/internal.h"
#include "base/mem.h"

const char json_type_text[] = "application/json";

/* They leave as headers, whatever the answer is. */
void answer_warn(struct answer *out, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) > 0)
		unknown_fields_add(&out->warnings, text);
	va_end(ap);
	free(text);
}

void answer_json(struct answer *out, int status, const struct json *j)
{
	strbuf_clear(&out->body);
	if (out->pretty)
		json_print_pretty(j, &out->body);
	else
		json_print(j, &out->body);
	strbuf_addc(&out->body, '\n');
	out->status = status;
	out->content_type = json_type_text;
}

void answer_text(struct answer *out, int status, const char *text)
{
	strbuf_clear(&out->body);
	strbuf_adds(&out->body, text);
	out->status = status;
	out->content_type = "text/plain; charset=utf-8";
}

/* Most answers are text from the store that nobody parses. */
void answer_object_text(struct answer *out, int status, const char *text, size_t len)
{
	strbuf_clear(&out->body);
	if (out->pretty)
		json_indent(text, len, &out->body);
	else
		strbuf_add(&out->body, text, len);
	strbuf_addc(&out->body, '\n');
	out->status = status;
	out->content_type = json_type_text;
}

static struct json *status_new(const char *status)
{
	struct json *j = json_new_object();
	json_set_string(j, "kind", "Status");
	json_set_string(j, "apiVersion", "v1");
	json_make_object(j, "metadata");
	json_set_string(j, "status", status);
	return j;
}

/* The order of members is that of Go's metav1.Status: people compare by eye. */
static struct json *failure(int status, const char *reason, const char *message,
			    struct json *details)
{
	struct json *j = status_new("Failure");
	json_set_string(j, "message", message);
	if (!str_empty(reason))
		json_set_string(j, "reason", reason);
	if (details)
		json_set(j, "details", details);
	json_set_int(j, "code", status);
	return j;
}

static int answer_failure(struct answer *out, int status, const char *reason, const char *message,
			  struct json *details)
{
	_cleanup_(json_freep) struct json *j = failure(status, reason, message, details);
	answer_json(out, status, j);
	return ANSWERED;
}

static char *_printf_(1, 0) vformat(const char *fmt, va_list ap)
{
	char *text = NULL;
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	return text;
}

int fail(struct answer *out, int status, const char *reason, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	_cleanup_(freep) char *text = vformat(fmt, ap);
	va_end(ap);
	return answer_failure(out, status, reason, text, NULL);
}

/* The group is left out of details for core kinds, as Go's omitempty does. */
static struct json *details_of(const struct resource *r, const char *name, const char *kind)
{
	struct json *details = json_new_object();
	if (!str_empty(name))
		json_set_string(details, "name", name);
	if (!str_empty(r->group))
		json_set_string(details, "group", r->group);
	json_set_string(details, "kind", kind);
	return details;
}

int fail_named(struct answer *out, int status, const char *reason, const struct resource *r,
	       const char *name, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	_cleanup_(freep) char *text = vformat(fmt, ap);
	va_end(ap);
	return answer_failure(out, status, reason, text, details_of(r, name, r->plural));
}

int fail_details(struct answer *out, int status, const char *reason, struct json *details,
		 const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	_cleanup_(freep) char *text = vformat(fmt, ap);
	va_end(ap);
	return answer_failure(out, status, reason, text, details);
}

/* Named by resource, "secrets", where fail_invalid names by kind: as upstream. */
int fail_not_found(struct answer *out, const struct resource *r, const char *name)
{
	return fail_named(out, 404, "NotFound", r, name, "%s \"%s\" not found", r->key, name);
}

int fail_conflict(struct answer *out, const struct resource *r, const char *name, const char *fmt,
		  ...)
{
	va_list ap;
	va_start(ap, fmt);
	_cleanup_(freep) char *text = vformat(fmt, ap);
	va_end(ap);
	return fail_named(out, 409, "Conflict", r, name,
			  "Operation cannot be fulfilled on %s \"%s\": %s", r->key, name, text);
}

int fail_forbidden(struct answer *out, const struct resource *r, const char *name, const char *fmt,
		   ...)
{
	va_list ap;
	va_start(ap, fmt);
	_cleanup_(freep) char *text = vformat(fmt, ap);
	va_end(ap);
	if (str_empty(name))
		return fail_named(out, 403, "Forbidden", r, NULL, "%s is forbidden: %s", r->key,
				  text);
	return fail_named(out, 403, "Forbidden", r, name, "%s \"%s\" is forbidden: %s", r->key,
			  name, text);
}

int fail_access(struct answer *out, const char *group, const char *resource, const char *name,
		const char *text)
{
	struct json *details = json_new_object();
	_cleanup_(strbuf_done) struct strbuf message = { 0 };
	strbuf_addf(&message, "%s%s%s", resource, *group && *resource ? "." : "",
		    *resource ? group : "");
	if (*name)
		json_set_string(details, "name", name);
	if (*group)
		json_set_string(details, "group", group);
	if (*resource)
		json_set_string(details, "kind", resource);
	if (*resource && *name)
		strbuf_addf(&message, " \"%s\"", name);
	strbuf_addf(&message, "%sforbidden: %s", *resource ? " is " : "", text);
	return answer_failure(out, 403, "Forbidden", message.data, details);
}

static struct json *causes_to_json(const struct causes *causes)
{
	struct json *list = json_new_array();
	for (size_t i = 0; i < causes->count; i++) {
		struct json *cause = json_append(list, json_new_object());
		json_set_string(cause, "reason", cause_type_name(causes->items[i].type));
		json_set_string(cause, "message", causes->items[i].text);
		json_set_string(cause, "field", causes->items[i].field);
	}
	return list;
}

/* `what`: whose faults these are, as the text says it. Takes details. */
static int answer_invalid(struct answer *out, const char *what, const char *name,
			  struct json *details, const struct causes *causes)
{
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	strbuf_addf(&text, "%s \"%s\" is invalid: ", what, name);
	causes_format(causes, &text);
	json_set(details, "causes", causes_to_json(causes));
	return answer_failure(out, 422, "Invalid", text.data, details);
}

int fail_invalid(struct answer *out, const struct resource *r, const char *name,
		 const struct causes *causes)
{
	_cleanup_(freep) char *kind = r ? resource_qualified_kind(r) : xstrdup("");
	struct json *details = r ? details_of(r, name, r->kind) : json_new_object();
	return answer_invalid(out, kind, name, details, causes);
}

int fail_no_version(struct answer *out, const struct resource *r, const char *name)
{
	struct causes causes = { 0 };
	causes_add(&causes, CAUSE_INVALID, "metadata.resourceVersion", "0",
		   "must be specified for an update");
	int result = answer_invalid(out, r->key, name, details_of(r, name, r->plural), &causes);
	causes_done(&causes);
	return result;
}

int fail_other_kind(struct answer *out, const struct resource *r, const char *name,
		    const char *kind)
{
	struct causes causes = { 0 };
	_cleanup_(freep) char *what = xasprintf("%s%s%s", kind, *r->group ? "." : "", r->group);
	causes_add_string(&causes, CAUSE_INVALID, "kind", kind, "must be %s", r->kind);
	int result = answer_invalid(out, what, name, details_of(r, name, kind), &causes);
	causes_done(&causes);
	return result;
}

int fail_scale(struct answer *out, const char *name, const struct causes *causes)
{
	struct json *details = json_new_object();
	json_set_string(details, "name", name);
	json_set_string(details, "group", "autoscaling");
	json_set_string(details, "kind", "Scale");
	return answer_invalid(out, "Scale.autoscaling", name, details, causes);
}

static const char *options_kind(const struct request *in)
{
	static const struct {
		const char *method, *kind;
	} kinds[] = { { "POST", "CreateOptions" },
		      { "PUT", "UpdateOptions" },
		      { "PATCH", "PatchOptions" },
		      { "DELETE", "DeleteOptions" } };
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (streq(in->http->method, kinds[i].method))
			return kinds[i].kind;
	return "ListOptions";
}

/* Options are no kind that is served, but upstream speaks of them as of one. */
int fail_options(const struct request *in, struct answer *out, const struct causes *causes)
{
	_cleanup_(freep) char *what = xasprintf("%s.meta.k8s.io", options_kind(in));
	struct json *details = json_new_object();
	json_set_string(details, "group", "meta.k8s.io");
	json_set_string(details, "kind", options_kind(in));
	return answer_invalid(out, what, "", details, causes);
}

/* With the cause in the text: who runs this server is often the one who asks. */
int fail_store(struct answer *out, const struct err *err)
{
	struct json *details = json_new_object();
	struct json *cause = json_append(json_set(details, "causes", json_new_array()),
					 json_new_object());
	json_set_string(cause, "message", err->text);
	_cleanup_(freep) char *text = xasprintf("Internal error occurred: %s", err->text);
	return answer_failure(out, 500, "InternalError", text, details);
}

int fail_expired(struct answer *out, const char *continue_token, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	_cleanup_(freep) char *text = vformat(fmt, ap);
	va_end(ap);
	_cleanup_(json_freep) struct json *j = failure(410, "Expired", text, NULL);
	if (continue_token)
		json_set_string(json_make_object(j, "metadata"), "continue", continue_token);
	answer_json(out, 410, j);
	return ANSWERED;
}

int fail_too_large_version(struct answer *out, uint64_t wanted, uint64_t current)
{
	struct json *details = json_new_object();
	struct json *cause = json_append(json_set(details, "causes", json_new_array()),
					 json_new_object());
	json_set_string(cause, "reason", "ResourceVersionTooLarge");
	json_set_string(cause, "message", "Too large resource version");
	json_set_int(details, "retryAfterSeconds", 1);
	_cleanup_(freep) char *text = xasprintf("Timeout: Too large resource version: %" PRIu64
						", current: %" PRIu64,
						wanted, current);
	return answer_failure(out, 504, "Timeout", text, details);
}

/* Kinds without a body to return answer a deletion so; kubectl reads the uid and waits for it to
 * go. */
struct json *status_success(const struct resource *r, const char *name, const char *uid)
{
	struct json *j = status_new("Success");
	struct json *details = json_set(j, "details", details_of(r, name, r->plural));
	json_set_string(details, "uid", uid);
	return j;
}
