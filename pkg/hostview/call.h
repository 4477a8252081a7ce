#pragma once
/* Requests of ingotctl that run the loop until they have their answer. Errors name the request. */

#include "hostview/client.h"

/* *ret is the answer's tree, new; NULL for an answer without a body. ret may be NULL. */
int hostview_get(struct hostview *c, const struct kube_resource *r, const char *ns,
		 const char *name, struct json **ret, struct err *err);
/* The items, as an array. ns NULL: of all namespaces. */
int hostview_list(struct hostview *c, const struct kube_resource *r, const char *ns,
		  struct json **ret, struct err *err);
int hostview_create(struct hostview *c, const struct kube_resource *r, const struct json *object,
		    struct json **ret, struct err *err);
int hostview_update(struct hostview *c, const struct kube_resource *r, const struct json *object,
		    struct json **ret, struct err *err);
/* Merge patch; subresource NULL or "status". */
int hostview_patch(struct hostview *c, const struct kube_resource *r, const char *ns,
		   const char *name, const char *subresource, const struct json *patch,
		   struct json **ret, struct err *err);
/* An object that is gone already is success; one with another UID is a conflict. */
int hostview_delete(struct hostview *c, const struct kube_resource *r, const char *ns,
		    const char *name, const char *uid, struct err *err);
