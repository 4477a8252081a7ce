/* The codec of AdmissionReview, after k8s.io/api/admission/v1. Both versions have the same members
 * as far as we read and write them. Pure. */

#include "admission/review.h"

#include <string.h>

#include "base/mem.h"

enum { MESSAGE_MAX = 8192, WARNING_MAX = 1000 /* an API server cuts all of them at 4096 */ };

static const char *const versions[] = { "admission.k8s.io/v1", "admission.k8s.io/v1beta1" };

static const struct {
	const char *name;
	enum rule_operation operation;
	bool now, old; /* which objects come along */
} operations[] = {
	{ "CREATE", RULE_CREATE, true, false },
	{ "UPDATE", RULE_UPDATE, true, true },
	{ "DELETE", RULE_DELETE, false, true },
};

static int read_version(const struct json *tree, struct review *r, struct err *err)
{
	const char *version = json_get_string(tree, "apiVersion");
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++)
		if (streq(version, versions[i]) &&
		    streq(json_get_string(tree, "kind"), "AdmissionReview")) {
			r->api_version = versions[i];
			return 0;
		}
	return err_set(err, ERR_INVALID,
		       "not an AdmissionReview of admission.k8s.io/v1 or v1beta1");
}

static int read_objects(const struct json *request, struct review *r, struct err *err)
{
	const char *name = str_or(json_get_string(request, "operation"), "");
	const struct json *now = json_get(request, "object"), *old = json_get(request, "oldObject");
	struct rule_subject *s = &r->subject;
	for (size_t i = 0; i < ARRAY_SIZE(operations); i++) {
		if (!streq(operations[i].name, name))
			continue;
		if ((operations[i].now && !json_is_object(now)) ||
		    (operations[i].old && !json_is_object(old)))
			return err_set(err, ERR_INVALID, "request: %s without its object", name);
		s->operation = operations[i].operation;
		s->now = operations[i].now ? now : NULL;
		s->old = operations[i].old ? old : NULL;
		return 0;
	}
	return err_set(err, ERR_INVALID, "request.operation: \"%.32s\" is not served here", name);
}

/* `kind` is what the configuration's rule names, to which the object was converted; requestKind,
 * what the client sent, is of no interest. */
static int read_request(const struct json *tree, struct review *r, struct err *err)
{
	const struct json *request = json_get(tree, "request");
	struct rule_subject *s = &r->subject;
	s->kind = json_get_path_string(request, "kind.kind");
	s->ns = str_or(json_get_string(request, "namespace"), "");
	s->name = str_or(json_get_string(request, "name"), "");
	r->subresource = !str_empty(json_get_string(request, "subResource"));
	if (str_empty(json_get_string(request, "uid")) || str_empty(s->kind))
		return err_set(err, ERR_INVALID, "request: uid or kind is missing");
	return read_objects(request, r, err);
}

int review_parse(const char *body, size_t len, struct review *ret, struct err *err)
{
	struct review r = { 0 };
	if (len > REVIEW_BODY_MAX)
		return err_set(err, ERR_LIMIT, "an AdmissionReview has at most %d bytes",
			       REVIEW_BODY_MAX);
	int result = json_parse(body, len, &r.tree, err);
	if (result == 0)
		result = read_version(r.tree, &r, err);
	if (result == 0)
		result = read_request(r.tree, &r, err);
	if (result < 0)
		review_done(&r);
	else
		*ret = r;
	return result;
}

void review_done(struct review *r)
{
	json_free(r->tree);
	*r = (struct review){ 0 };
}

/* --- the answer ------------------------------------------------------------------------------- */

/* A text that was cut ends with dots; half a character becomes U+FFFD. */
static struct json *shortened(const char *text, size_t max)
{
	if (strlen(text) <= max)
		return json_new_string(text);
	_cleanup_(freep) char *cut = xasprintf("%.*s ...", (int)max, text);
	return json_new_string(cut);
}

static void deny(struct json *response, const char *text)
{
	struct json *status = json_make_object(response, "status");
	json_set_string(status, "status", "Failure");
	json_set(status, "message", shortened(text, MESSAGE_MAX));
	json_set_string(status, "reason", "Forbidden");
	json_set_int(status, "code", 403);
}

char *review_answer(const struct review *r, const struct rule_findings *f)
{
	_cleanup_(freep) char *text = rule_findings_text(f);
	_cleanup_(json_freep) struct json *answer = json_new_object();
	json_set_string(answer, "apiVersion", r->api_version);
	json_set_string(answer, "kind", "AdmissionReview");
	struct json *response = json_make_object(answer, "response");
	json_set_string(response, "uid", json_get_path_string(r->tree, "request.uid"));
	json_set_bool(response, "allowed", !text);
	if (text)
		deny(response, text);
	struct json *warnings = f->warning_count ? json_set(response, "warnings", json_new_array())
						 : NULL;
	for (size_t i = 0; i < f->warning_count; i++)
		json_append(warnings, shortened(f->warnings[i], WARNING_MAX));
	return json_to_string(answer);
}
