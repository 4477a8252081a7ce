/* Who may do what: each request is held against the caller's role (roles.h), and there are the
 * reviews of oneself: what may I (authorization.k8s.io), and who am I (authentication.k8s.io). They
 * are asked by POST and answered at once; nothing is stored. `kubectl auth` and controllers that
 * ask before they start need them. Not in discovery: nothing can be listed there. Texts follow
 * k8s.io/apiserver (endpoints/handlers/responsewriters). Runs on the store thread. */

#include <stdlib.h>
#include <string.h>

#include "apiserver/internal.h"
#include "apiserver/roles.h"
#include "base/mem.h"

/* --- requests --------------------------------------------------------------------------------- */

enum { METHOD_TEXT = 16 };

/* As k8s.io/apiserver/pkg/endpoints/request has it (requestinfo.go). Kinds need not be served: who
 * may not ask learns nothing about what there is. */
const char *access_verb(const struct request *in, bool one)
{
	static const struct {
		const char *method, *verb;
	} verbs[] = {
		{ "POST", "create" },
		{ "PUT", "update" },
		{ "PATCH", "patch" },
	};
	const char *method = in->http->method;
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (streq(method, verbs[i].method))
			return verbs[i].verb;
	if (streq(method, "DELETE"))
		return one ? "delete" : "deletecollection";
	if (!streq(method, "GET") && !streq(method, "HEAD"))
		return ""; /* nobody but an administrator's, and then 405 */
	return in->query.watch ? "watch" : one ? "get" : "list";
}

static const char *segment(char *const *segments, size_t count, size_t at)
{
	return at < count ? segments[at] : "";
}

/* A namespace is in itself: its own segment stays the resource. */
static void resource_access(const struct request *in, char *const *segments, size_t count,
			    size_t at, struct access *ret)
{
	bool scoped = streq(segments[at], "namespaces") && at + 1 < count;
	const char *third = segment(segments, count, at + 2);
	bool itself = streq(third, "") || streq(third, "status") || streq(third, "finalize");
	if (scoped)
		ret->ns = segments[at + 1];
	if (scoped && !itself)
		at += 2;
	ret->resource = segments[at];
	ret->name = segment(segments, count, at + 1);
	ret->subresource = segment(segments, count, at + 2);
	ret->verb = access_verb(in, *ret->name != '\0');
}

/* Verbs of paths are methods in lower case; what is longer than any method fits no rule. */
static void path_access(const struct request *in, char method[METHOD_TEXT], struct access *ret)
{
	size_t i = 0;
	for (const char *p = in->http->method; *p && i < METHOD_TEXT - 1; p++)
		method[i++] = (char)(*p | 0x20);
	method[i] = '\0';
	ret->verb = method;
	ret->path = in->http->path;
}

/* Clients show the message as it is, and people search for it: word by word the real server's. */
static int refuse(const struct request *in, struct answer *out, const struct access *a)
{
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	strbuf_addf(&text, "User \"%s\" cannot %s ", in->http->user, a->verb);
	if (a->path) {
		strbuf_addf(&text, "path \"%s\"", a->path);
		return fail_access(out, "", "", "", text.data);
	}
	strbuf_addf(&text, "resource \"%s%s%s\" in API group \"%s\" ", a->resource,
		    *a->subresource ? "/" : "", a->subresource, a->group);
	if (*a->ns)
		strbuf_addf(&text, "in the namespace \"%s\"", a->ns);
	else
		strbuf_adds(&text, "at the cluster scope");
	return fail_access(out, a->group, a->resource, a->name, text.data);
}

/* No role has that right, as there is nobody to act for whose rights are not his groups'. The words
 * name the first right that is asked for. */
static int refuse_impersonation(const struct request *in, struct answer *out, struct access *a)
{
	const char *who = in->http->impersonate;
	const char *mode = str_has_prefix(who, "system:node:")		   ? "arbitrary-node"
			   : str_has_prefix(who, "system:serviceaccount:") ? "serviceaccount"
									   : "user-info";
	_cleanup_(freep) char *verb = xasprintf("impersonate-on:%s:%s", mode, a->verb);
	a->verb = verb;
	return refuse(in, out, a);
}

/* The segments are decoded, so that "%73ecrets" is what it will be to resolve() in handle.c, which
 * must take no other segment for the resource than this does. */
int access_check(const struct request *in, struct answer *out, char *const *segments, size_t count)
{
	struct access a = { .group = "", .resource = "", .subresource = "", .ns = "", .name = "" };
	char method[METHOD_TEXT];
	const char *reason;
	bool core = streq(segments[0], "api") && count > 2;
	if (core || (streq(segments[0], "apis") && count > 3)) {
		a.group = core ? "" : segments[1];
		resource_access(in, segments, count, core ? 2 : 3, &a);
	} else {
		path_access(in, method, &a);
	}
	if (in->http->impersonate)
		return refuse_impersonation(in, out, &a);
	return role_allows(in->http->groups, &a, &reason) ? 0 : refuse(in, out, &a);
}

/* --- reviews: what may I ---------------------------------------------------------------------- */

static const char *attribute(const struct json *of, const char *key)
{
	return str_or(json_get_string(of, key), "");
}

/* path: what was given besides the attributes of a resource; NULL when there were neither. */
static void fail_attributes(struct answer *out, const struct json *path)
{
	struct causes causes = { 0 };
	if (path)
		causes_add_json(&causes, CAUSE_INVALID, "spec.nonResourceAttributes", path,
				"cannot be specified in combination with resourceAttributes");
	else
		causes_add(
			&causes, CAUSE_INVALID, "spec.resourceAttributes", "null",
			"exactly one of nonResourceAttributes or resourceAttributes must be specified");
	fail_invalid(out, NULL, "", &causes);
	causes_done(&causes);
}

/* Asked about wildcards, too: `kubectl auth can-i '*' '*'`. Who is allowed is told why as well;
 * kubectl shows the reason of a no. */
static void may_i(struct apiserver *s, const struct request *in, struct answer *out,
		  const struct json *spec, struct json *status)
{
	(void)s;
	const struct json *resource = json_get(spec, "resourceAttributes");
	const struct json *path = json_get(spec, "nonResourceAttributes");
	const struct json *of = resource ? resource : path;
	const struct access a = { .verb = attribute(of, "verb"),
				  .path = resource ? NULL : attribute(of, "path"),
				  .group = attribute(of, "group"),
				  .resource = attribute(of, "resource"),
				  .subresource = attribute(of, "subresource"),
				  .ns = attribute(of, "namespace"),
				  .name = attribute(of, "name") };
	const char *reason;
	if (!resource == !path) {
		fail_attributes(out, path);
		return;
	}
	json_set_bool(status, "allowed", role_allows(in->http->groups, &a, &reason));
	json_set_string(status, "reason", reason);
}

static struct json *strings(const char *const *items)
{
	struct json *list = json_new_array();
	for (; *items; items++)
		json_append(list, json_new_string(*items));
	return list;
}

static void add_rule(struct json *rules, const char *const *verbs, const char *group,
		     struct json *resources)
{
	struct json *rule = json_append(rules, json_new_object());
	json_set(rule, "verbs", strings(verbs));
	json_set(rule, "apiGroups", strings((const char *const[]){ group, NULL }));
	json_set(rule, "resources", resources);
}

static const char *const any[] = { "*", NULL };

/* Rules can only allow; so "all but Secrets" becomes a list of what is served. */
static void viewer_rules(struct apiserver *s, struct json *rules)
{
	struct json *core = json_new_array();
	struct map groups = { 0 };
	list_for_each(l, &s->registry.resources) {
		struct resource *r = list_entry(l, struct resource, link);
		if (*r->group && !map_set(&groups, r->group, r))
			add_rule(rules, role_reading_verbs, r->group, strings(any));
		else if (*r->group == '\0' && !streq(r->plural, "secrets"))
			json_append(core, json_new_string(r->plural));
	}
	map_done(&groups);
	add_rule(rules, role_reading_verbs, "", core);
}

static void own_review_rules(struct json *rules)
{
	static const char *const create[] = { "create", NULL };
	static const char *const asked[] = { "selfsubjectaccessreviews", "selfsubjectrulesreviews",
					     NULL };
	static const char *const who[] = { "selfsubjectreviews", NULL };
	add_rule(rules, create, "authorization.k8s.io", strings(asked));
	add_rule(rules, create, "authentication.k8s.io", strings(who));
}

/* By these kubectl prints `auth can-i --list`; they must say the same as role_allows(). */
static void my_rules(struct apiserver *s, const struct request *in, struct answer *out,
		     const struct json *spec, struct json *status)
{
	(void)out;
	static const char *const get[] = { "get", NULL };
	const char *groups = in->http->groups;
	bool all = role_is_admin(groups);
	(void)spec;
	struct json *rules = json_set(status, "resourceRules", json_new_array());
	if (all)
		add_rule(rules, any, "*", strings(any));
	else
		own_review_rules(rules);
	if (role_is_viewer(groups))
		viewer_rules(s, rules);
	struct json *paths = json_set(status, "nonResourceRules", json_new_array());
	struct json *rule = json_append(paths, json_new_object());
	json_set(rule, "verbs", strings(all ? any : get));
	json_set(rule, "nonResourceURLs", strings(all ? any : role_public_paths));
	json_set_bool(status, "incomplete", false);
}

/* --- reviews: who am I ------------------------------------------------------------------------ */

/* The group that everybody is in is added here, as it gives no role. */
static void who_am_i(struct apiserver *s, const struct request *in, struct answer *out,
		     const struct json *spec, struct json *status)
{
	(void)s, (void)out;
	struct json *info = json_make_object(status, "userInfo");
	(void)spec;
	json_set_string(info, "username", in->http->user);
	struct json *groups = json_set(info, "groups", json_new_array());
	for (const char *p = str_or(in->http->groups, ""); *p;) {
		size_t len = strcspn(p, "\n");
		_cleanup_(freep) char *group = xstrndup(p, len);
		json_append(groups, json_new_string(group));
		p += len + (p[len] == '\n');
	}
	json_append(groups, json_new_string("system:authenticated"));
}

/* --- reviews ---------------------------------------------------------------------------------- */

static const struct {
	const char *path, *api_version, *kind;
	/* Fills the status, or answers with a failure. */
	void (*answer)(struct apiserver *s, const struct request *in, struct answer *out,
		       const struct json *spec, struct json *status);
} rows[] = {
	{ "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "authorization.k8s.io/v1",
	  "SelfSubjectAccessReview", may_i },
	{ "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", "authorization.k8s.io/v1",
	  "SelfSubjectRulesReview", my_rules },
	{ "/apis/authentication.k8s.io/v1/selfsubjectreviews", "authentication.k8s.io/v1",
	  "SelfSubjectReview", who_am_i },
};

static void review(struct apiserver *s, const struct request *in, struct answer *out, size_t row)
{
	_cleanup_(json_freep) struct json *body = NULL;
	if (decode_body(in, out, &body) < 0)
		return;
	const char *kind = json_get_string(body, "kind");
	const char *version = json_get_string(body, "apiVersion");
	if ((kind && !streq(kind, rows[row].kind)) ||
	    (version && !streq(version, rows[row].api_version))) {
		fail(out, 400, "BadRequest", "this path takes a %s of %s", rows[row].kind,
		     rows[row].api_version);
		return;
	}
	json_set_string(body, "kind", rows[row].kind);
	json_set_string(body, "apiVersion", rows[row].api_version);
	struct json *status = json_new_object();
	rows[row].answer(s, in, out, json_get(body, "spec"), status);
	json_set(body, "status", status);
	if (out->status == 0)
		answer_json(out, 201, body);
}

bool access_handle(struct apiserver *s, const struct request *in, struct answer *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!streq(in->http->path, rows[i].path))
			continue;
		if (streq(in->http->method, "POST"))
			review(s, in, out, i);
		else
			fail(out, 405, "MethodNotAllowed",
			     "the server does not allow this method on the requested resource");
		return true;
	}
	return false;
}
