#pragma once
/* Requests of ingotctl that run the loop until they have their answer. Errors name the request. */

#include "hostview/client.h"

/* *ret is the answer's tree, new; NULL for an answer without a body. ret may be NULL. */
int ctl_get(struct ctl *c, const struct kube_resource *r, const char *ns, const char *name,
	    struct json **ret, struct err *err);
/* The items, as an array. ns NULL: of all namespaces. */
int ctl_list(struct ctl *c, const struct kube_resource *r, const char *ns, struct json **ret,
	     struct err *err);
int ctl_create(struct ctl *c, const struct kube_resource *r, const struct json *object,
	       struct json **ret, struct err *err);
int ctl_update(struct ctl *c, const struct kube_resource *r, const struct json *object,
	       struct json **ret, struct err *err);
/* Merge patch; subresource NULL or "status". */
int ctl_patch(struct ctl *c, const struct kube_resource *r, const char *ns, const char *name,
	      const char *subresource, const struct json *patch, struct json **ret,
	      struct err *err);
/* An object that is gone already is success; one with another UID is a conflict. */
int ctl_delete(struct ctl *c, const struct kube_resource *r, const char *ns, const char *name,
	       const char *uid, struct err *err);
