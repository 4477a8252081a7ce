/* kube_list(): pages gathered into one List. A continue token
 * that has expired between two pages begins the list anew, a few times at most. Core thread. */

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "kube/internal.h"
#include "kube/path.h"

enum { RESTARTS_MAX = 3 };

struct lister {
	char *path; /* of the first page */
	struct json *list;
	unsigned restarts;
};

static void lister_free(void *state)
{
	struct lister *l = state;
	json_free(l->list);
	free(l->path);
	free(l);
}

/* The first page becomes the list; of the others only the items are wanted. */
static int gather(struct lister *l, struct json **answer, struct err *err)
{
	struct json *items = json_get_mut(*answer, "items");
	if (json_is_null(items) && *answer)
		items = json_set(*answer, "items", json_new_array());
	if (!json_is_array(items))
		return err_set(err, ERR_PROTOCOL, "the server's answer is not a list");
	if (!l->list) {
		l->list = TAKE_PTR(*answer);
		return 0;
	}
	struct json *all = json_get_mut(l->list, "items");
	for (struct json *item; (item = json_take_at(items, 0));)
		json_append(all, item);
	return 0;
}

static char *page_path(const struct lister *l, const char *token)
{
	struct strbuf path = { 0 };
	strbuf_adds(&path, l->path);
	kube_query(&path, "continue", token);
	return strbuf_take(&path, NULL);
}

static bool next(void *state, struct err *err, struct json **answer, char **ret_path)
{
	struct lister *l = state;
	if (err->kind == ERR_GONE && l->list && l->restarts++ < RESTARTS_MAX) {
		l->list = json_free(l->list);
		*ret_path = xstrdup(l->path);
		return true;
	}
	if (err->kind != ERR_NONE)
		return false;
	_cleanup_(freep) char *token = xstrdup(json_get_path_string(*answer, "metadata.continue"));
	if (gather(l, answer, err) < 0)
		return false;
	if (!str_empty(token)) {
		*ret_path = page_path(l, token);
		return true;
	}
	json_free(*answer);
	*answer = TAKE_PTR(l->list);
	struct json *meta = json_get_mut(*answer, "metadata");
	json_remove(meta, "continue");
	json_remove(meta, "remainingItemCount");
	return false;
}

struct kube_op *kube_list(struct kube_client *c, const struct kube_resource *r, const char *ns,
			  const struct kube_list_options *o, kube_done_fn done, void *data)
{
	static const struct kube_pager pager = { next, lister_free };
	_cleanup_(strbuf_done) struct strbuf path = { 0 };
	struct err err = { 0 };
	if (kube_path(&path, r, ns, NULL, NULL, &err) < 0)
		return kube_fail(c, &err, done, data);
	char limit[16];
	snprintf(limit, sizeof(limit), "%u", o && o->limit ? o->limit : 500);
	kube_query(&path, "limit", limit);
	kube_query(&path, "labelSelector", o ? o->label_selector : NULL);
	kube_query(&path, "fieldSelector", o ? o->field_selector : NULL);
	struct lister *l = xcalloc(1, sizeof(*l));
	l->path = strbuf_take(&path, NULL);
	_cleanup_(freep) char *what = xasprintf("list %s%s%s", r->kind, ns ? " in " : "",
						ns ? ns : "");
	struct kube_op *op = kube_request(
		c, &(struct kube_request){ .method = "GET", .path = l->path, .what = what }, done,
		data);
	kube_op_set_pager(op, &pager, l);
	return op;
}
