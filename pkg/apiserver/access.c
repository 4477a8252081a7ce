/* Reviews of oneself: what may I (authorization.k8s.io), and who am I (authentication.k8s.io). They
 * are asked by POST and answered at once; nothing is stored. Here who is known may do everything,
 * so the answers are short, but `kubectl auth` and controllers that ask before they start need
 * them. Not in discovery: nothing can be listed there. Runs on the store thread. */

#include <string.h>

#include "apiserver/internal.h"
#include "base/mem.h"

static void may_all(struct call *c, struct json *status)
{
	(void)c;
	json_set_bool(status, "allowed", true);
	json_set_string(status, "reason",
			"this server knows no roles: who is let in may do everything");
}

static struct json *any(void)
{
	struct json *list = json_new_array();
	json_append(list, json_new_string("*"));
	return list;
}

static void all_rules(struct call *c, struct json *status)
{
	static const char *const resource_members[] = { "verbs", "apiGroups", "resources" };
	static const char *const path_members[] = { "verbs", "nonResourceURLs" };
	(void)c;
	struct json *rule = json_append(json_set(status, "resourceRules", json_new_array()),
					json_new_object());
	for (size_t i = 0; i < ARRAY_SIZE(resource_members); i++)
		json_set(rule, resource_members[i], any());
	rule = json_append(json_set(status, "nonResourceRules", json_new_array()),
			   json_new_object());
	for (size_t i = 0; i < ARRAY_SIZE(path_members); i++)
		json_set(rule, path_members[i], any());
	json_set_bool(status, "incomplete", false);
}

static void who(struct call *c, struct json *status)
{
	json_set_string(json_make_object(status, "userInfo"), "username", c->request->user);
}

static const struct {
	const char *path, *api_version, *kind;
	void (*answer)(struct call *c, struct json *status);
} rows[] = {
	{ "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "authorization.k8s.io/v1",
	  "SelfSubjectAccessReview", may_all },
	{ "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", "authorization.k8s.io/v1",
	  "SelfSubjectRulesReview", all_rules },
	{ "/apis/authentication.k8s.io/v1/selfsubjectreviews", "authentication.k8s.io/v1",
	  "SelfSubjectReview", who },
};

static void review(struct call *c, size_t row)
{
	_cleanup_(json_freep) struct json *body = NULL;
	if (decode_body(c, &body) < 0)
		return;
	const char *kind = json_get_string(body, "kind");
	const char *version = json_get_string(body, "apiVersion");
	if ((kind && !streq(kind, rows[row].kind)) ||
	    (version && !streq(version, rows[row].api_version))) {
		fail(c, 400, "BadRequest", "this path takes a %s of %s", rows[row].kind,
		     rows[row].api_version);
		return;
	}
	json_set_string(body, "kind", rows[row].kind);
	json_set_string(body, "apiVersion", rows[row].api_version);
	rows[row].answer(c, json_set(body, "status", json_new_object()));
	answer_json(c, 201, body);
}

bool access_handle(struct call *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!streq(c->request->path, rows[i].path))
			continue;
		if (streq(c->request->method, "POST"))
			review(c, i);
		else
			fail(c, 405, "MethodNotAllowed",
			     "the server does not allow this method on the requested resource");
		return true;
	}
	return false;
}
