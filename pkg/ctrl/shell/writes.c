/* See shell/writes.h: from rows to requests. */

#include "ctrl/shell/writes.h"

struct kube_op *write_start(struct kube_client *client, const struct write *w, kube_done_fn done,
			    void *data)
{
	switch (w->verb) {
	case WRITE_CREATE:
		return kube_create(client, w->resource, w->body, done, data);
	case WRITE_UPDATE:
		return kube_update(client, w->resource, w->body, done, data);
	case WRITE_MERGE_PATCH:
		return kube_patch(client, w->resource, w->ns, w->name, w->subresource,
				  KUBE_PATCH_MERGE, w->body, done, data);
	case WRITE_DELETE:
		return kube_delete(client, w->resource, w->ns, w->name,
				   &(struct kube_delete_options){ .uid = w->uid }, done, data);
	}
	return NULL;
}

bool write_served(const struct write *w, const struct err *err, bool leaves)
{
	return !err || (err->kind == ERR_NOT_FOUND && (w->may_be_gone || leaves));
}
