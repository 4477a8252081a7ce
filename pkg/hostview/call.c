/* Requests that are waited for (see call.h): each starts one operation of the Kubernetes client and
 * runs the loop until that has completed, as each does once. */

#include "hostview/call.h"

#include "base/mem.h"

struct wait {
	struct loop *loop;
	bool done;
	struct err err;
	struct json *answer;
};

static void on_done(void *data, const struct err *err, struct json **answer)
{
	struct wait *w = data;
	w->done = true;
	if (err)
		w->err = *err;
	else
		w->answer = TAKE_PTR(*answer);
	loop_stop(w->loop);
}

/* After the operation has been started. */
static int wait_for(struct wait *w, struct json **ret, struct err *err)
{
	while (!w->done)
		loop_run(w->loop);
	if (ret && w->err.kind == ERR_NONE)
		*ret = TAKE_PTR(w->answer);
	json_free(w->answer);
	return w->err.kind == ERR_NONE ? 0 : err_copy(err, &w->err);
}

int hostview_get(struct hostview *c, const struct kube_resource *r, const char *ns,
		 const char *name, struct json **ret, struct err *err)
{
	struct wait w = { .loop = c->loop };
	kube_get(c->client, r, ns, name, on_done, &w);
	return wait_for(&w, ret, err);
}

int hostview_list(struct hostview *c, const struct kube_resource *r, const char *ns,
		  struct json **ret, struct err *err)
{
	struct wait w = { .loop = c->loop };
	_cleanup_(json_freep) struct json *list = NULL;
	kube_list(c->client, r, ns, NULL, on_done, &w);
	int n = wait_for(&w, &list, err);
	if (n == 0)
		*ret = json_take(list, "items");
	return n;
}

int hostview_create(struct hostview *c, const struct kube_resource *r, const struct json *object,
		    struct json **ret, struct err *err)
{
	struct wait w = { .loop = c->loop };
	kube_create(c->client, r, object, on_done, &w);
	return wait_for(&w, ret, err);
}

int hostview_update(struct hostview *c, const struct kube_resource *r, const struct json *object,
		    struct json **ret, struct err *err)
{
	struct wait w = { .loop = c->loop };
	kube_update(c->client, r, object, on_done, &w);
	return wait_for(&w, ret, err);
}

int hostview_patch(struct hostview *c, const struct kube_resource *r, const char *ns,
		   const char *name, const char *subresource, const struct json *patch,
		   struct json **ret, struct err *err)
{
	struct wait w = { .loop = c->loop };
	kube_patch(c->client, r, ns, name, subresource, KUBE_PATCH_MERGE, patch, on_done, &w);
	return wait_for(&w, ret, err);
}

int hostview_delete(struct hostview *c, const struct kube_resource *r, const char *ns,
		    const char *name, const char *uid, struct err *err)
{
	struct wait w = { .loop = c->loop };
	kube_delete(c->client, r, ns, name,
		    &(struct kube_delete_options){ .uid = uid, .propagation = "Background" },
		    on_done, &w);
	return wait_for(&w, NULL, err);
}
