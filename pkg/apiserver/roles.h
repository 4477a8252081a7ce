#pragma once
/* Roles: what who is known may do. A role comes with a group of the user, as the certificate's
 * organization or the tokens file says it. There are two, and they are not objects:
 *
 *   admin   system:masters  everything
 *   viewer  ingot:viewer    get, list and watch of everything but Secrets
 *
 * Who has neither may ask who he is, what he may do and what is served, as in Kubernetes. Pure. */

#include <stdbool.h>

/* What is asked for, in the terms of a SubjectAccessReview. */
struct access {
	const char *verb; /* "get", "list", ..; of a path: the method in lower case */
	const char *path; /* NULL: about a resource, and then the rest is set; "" when absent */
	const char *group, *resource, *subresource, *ns, *name;
};

/* `groups` are joined by "\n"; NULL: none. *ret_reason says why, in words for a person. */
bool role_allows(const char *groups, const struct access *a, const char **ret_reason);
bool role_is_admin(const char *groups);
bool role_is_viewer(const char *groups); /* and no admin */
/* Group that gives the role of that name; NULL: there is no such role. */
const char *role_group(const char *role);
/* "admin or viewer" */
extern const char role_names[];
/* Verbs that only look, NULL-ended. */
extern const char *const role_reading_verbs[];
/* Paths that everyone may get, NULL-ended; "*" at the end stands for anything. */
extern const char *const role_public_paths[];
