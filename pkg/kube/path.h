#pragma once
/* Paths of the Kubernetes API, every segment percent-encoded. Pure; inside pkg/kube. */

#include "kube/client.h"

/* Appends /api/v1/… or
 * /apis/<group>/<version>/…[/namespaces/<ns>]/<plural>[/<name>][/<subresource>]. ns NULL: all
 * namespaces. ERR_INVALID for names that would change the path. */
int kube_path(struct strbuf *out, const struct kube_resource *r, const char *ns, const char *name,
	      const char *subresource, struct err *err);
/* Appends "?key=value" or "&key=value"; value NULL: nothing. */
void kube_query(struct strbuf *out, const char *key, const char *value);
