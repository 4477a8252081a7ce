/* Roles (see roles.h). The rules are those of Kubernetes' own roles cluster-admin, view,
 * system:discovery and system:basic-user, as far as there is something here that they apply to.
 * Wildcards are asked for by `kubectl auth can-i`: who may not do all of it gets a no. */

#include "apiserver/roles.h"

#include <string.h>

#include "base/macro.h"
#include "base/str.h"

enum role { ROLE_NONE, ROLE_VIEWER, ROLE_ADMIN };

static const struct {
	enum role role;
	const char *name, *group, *allowed, *denied;
} roles[] = {
	{ ROLE_ADMIN, "admin", "system:masters", "the role admin may do everything", "" },
	{ ROLE_VIEWER, "viewer", "ingot:viewer", "the role viewer may read everything but Secrets",
	  "the role viewer may read everything but Secrets, and write nothing" },
};

const char role_names[] = "admin or viewer";
const char *const role_reading_verbs[] = { "get", "list", "watch", NULL };
const char *const role_public_paths[] = { "/api",     "/api/*",	  "/apis",     "/apis/*",
					  "/healthz", "/livez",	  "/openapi",  "/openapi/*",
					  "/readyz",  "/version", "/version/", NULL };

const char *role_group(const char *role)
{
	for (size_t i = 0; i < ARRAY_SIZE(roles); i++)
		if (streq(role, roles[i].name))
			return roles[i].group;
	return NULL;
}

/* --- who -------------------------------------------------------------------------------------- */

static bool member(const char *groups, const char *group)
{
	for (const char *p = groups; p && *p;) {
		size_t len = strcspn(p, "\n");
		if (strlen(group) == len && strncmp(p, group, len) == 0)
			return true;
		p += len + (p[len] == '\n');
	}
	return false;
}

/* The first that fits; the table begins with the strongest. ARRAY_SIZE: none. */
static size_t row_of(const char *groups)
{
	size_t i = 0;
	while (i < ARRAY_SIZE(roles) && !member(groups, roles[i].group))
		i++;
	return i;
}

static enum role role_of(const char *groups)
{
	size_t i = row_of(groups);
	return i < ARRAY_SIZE(roles) ? roles[i].role : ROLE_NONE;
}

bool role_is_admin(const char *groups)
{
	return role_of(groups) == ROLE_ADMIN;
}

bool role_is_viewer(const char *groups)
{
	return role_of(groups) == ROLE_VIEWER;
}

/* --- what ------------------------------------------------------------------------------------- */

static bool listed(const char *const *list, const char *word)
{
	for (; *list; list++)
		if (streq(*list, word))
			return true;
	return false;
}

static bool path_fits(const char *pattern, const char *path)
{
	size_t len = strlen(pattern);
	if (pattern[len - 1] == '*')
		return strncmp(path, pattern, len - 1) == 0;
	return streq(path, pattern);
}

static bool is_public(const struct access *a)
{
	static const char *const methods[] = { "get", "head", NULL };
	for (const char *const *p = role_public_paths; *p && listed(methods, a->verb); p++)
		if (path_fits(*p, a->path))
			return true;
	return false;
}

/* SelfSubject...Review: about oneself, and nothing is stored. */
static bool is_review_of_oneself(const struct access *a)
{
	static const struct {
		const char *group, *resource;
	} reviews[] = {
		{ "authorization.k8s.io", "selfsubjectaccessreviews" },
		{ "authorization.k8s.io", "selfsubjectrulesreviews" },
		{ "authentication.k8s.io", "selfsubjectreviews" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(reviews); i++)
		if (streq(a->group, reviews[i].group) && streq(a->resource, reviews[i].resource))
			return streq(a->verb, "create");
	return false;
}

/* A Secret, or something that takes in Secrets. */
static bool may_be_secret(const struct access *a)
{
	bool core = *a->group == '\0' || streq(a->group, "*");
	return core && (streq(a->resource, "secrets") || strchr(a->resource, '*'));
}

static bool everyone_may(const struct access *a)
{
	return a->path ? is_public(a) : is_review_of_oneself(a);
}

static bool viewer_may(const struct access *a)
{
	return !a->path && listed(role_reading_verbs, a->verb) && !may_be_secret(a);
}

bool role_allows(const char *groups, const struct access *a, const char **ret_reason)
{
	size_t i = row_of(groups);
	bool known = i < ARRAY_SIZE(roles);
	enum role role = known ? roles[i].role : ROLE_NONE;
	if (everyone_may(a)) {
		*ret_reason = "everyone who is known may";
		return true;
	}
	bool allowed = role == ROLE_ADMIN || (role == ROLE_VIEWER && viewer_may(a));
	*ret_reason = !known ? "no role" : allowed ? roles[i].allowed : roles[i].denied;
	return allowed;
}
