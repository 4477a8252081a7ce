/* The typed calls: paths, queries, bodies and content types of the verbs.
 * Lists follow their pages here. Core thread. */

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kube/internal.h"
#include "kube/path.h"

/* "get BareMetalHost metal3/node-1"; ns and name may be NULL. */
static char *describe(const char *verb, const struct kube_resource *r, const char *ns,
		      const char *name, const char *subresource)
{
	struct strbuf b = { 0 };
	strbuf_addf(&b, "%s %s", verb, r->kind);
	if (r->scope != KUBE_CLUSTER && ns)
		strbuf_addf(&b, " %s%s", ns, name ? "/" : "");
	else if (name)
		strbuf_addc(&b, ' ');
	if (name)
		strbuf_adds(&b, name);
	if (subresource)
		strbuf_addf(&b, " (%s)", subresource);
	return strbuf_take(&b, NULL);
}

/* One call, with all that can differ. */
struct call {
	const char *verb, *method;
	const struct kube_resource *resource;
	const char *ns, *name, *subresource;
	const char *key;	  /* of the host; NULL: by the resource */
	const char *content_type; /* of body */
	const struct json *body;  /* NULL: none */
	bool manager, force, dry; /* query */
	bool absent_is_success;
};

/* For the fence; NULL: it belongs to no host. An object that is created has its name inside. */
static char *key_of(const struct call *call)
{
	if (call->key)
		return xstrdup(call->key);
	const char *name = call->name ? call->name : call->body ? kube_name(call->body) : NULL;
	if (call->resource->scope != KUBE_PER_HOST || str_empty(call->ns) || str_empty(name))
		return NULL;
	return xasprintf("%s/%s", call->ns, name);
}

static struct kube_op *start(struct kube_client *c, const struct call *call, kube_done_fn done,
			     void *data)
{
	_cleanup_(strbuf_done) struct strbuf path = { 0 }, body = { 0 };
	_cleanup_(freep) char *what = describe(call->verb, call->resource, call->ns, call->name,
					       call->subresource);
	_cleanup_(freep) char *key = key_of(call);
	struct err err = { 0 };
	if (kube_path(&path, call->resource, call->ns, call->name, call->subresource, &err) < 0)
		return kube_fail(c, &err, done, data);
	if (call->manager)
		kube_query(&path, "fieldManager", kube_field_manager(c));
	if (call->force)
		kube_query(&path, "force", "true");
	if (call->dry)
		kube_query(&path, "dryRun", "All");
	if (call->body)
		json_print(call->body, &body);
	const struct kube_request request = {
		.method = call->method,
		.path = path.data,
		.content_type = call->body ? call->content_type : NULL,
		.body = body.data,
		.body_len = body.len,
		.what = what,
		.key = key,
	};
	struct kube_op *op = kube_request(c, &request, done, data);
	if (call->absent_is_success)
		kube_op_absent_is_success(op);
	secret_zero(body.data, body.len);
	return op;
}

struct kube_op *kube_get(struct kube_client *c, const struct kube_resource *r, const char *ns,
			 const char *name, kube_done_fn done, void *data)
{
	return start(c,
		     &(struct call){ .verb = "get",
				     .method = "GET",
				     .resource = r,
				     .ns = ns,
				     .name = str_or(name, "") },
		     done, data);
}

struct kube_op *kube_create(struct kube_client *c, const struct kube_resource *r,
			    const struct json *object, kube_done_fn done, void *data)
{
	return kube_create_for(c, NULL, r, object, done, data);
}

struct kube_op *kube_create_for(struct kube_client *c, const char *key,
				const struct kube_resource *r, const struct json *object,
				kube_done_fn done, void *data)
{
	return start(c,
		     &(struct call){ .verb = "create",
				     .method = "POST",
				     .key = key,
				     .resource = r,
				     .ns = str_or(kube_namespace(object), ""),
				     .content_type = "application/json",
				     .body = object,
				     .manager = true },
		     done, data);
}

struct kube_op *kube_create_dry(struct kube_client *c, const struct kube_resource *r,
				const struct json *object, kube_done_fn done, void *data)
{
	return start(c,
		     &(struct call){ .verb = "create (dry run)",
				     .method = "POST",
				     .resource = r,
				     .ns = str_or(kube_namespace(object), ""),
				     .content_type = "application/json",
				     .body = object,
				     .manager = true,
				     .dry = true },
		     done, data);
}

bool kube_is_terminating(const struct err *err)
{
	return err->kind == ERR_DENIED && strstr(err->text, " because it is being terminated");
}

static struct kube_op *put(struct kube_client *c, const struct kube_resource *r,
			   const char *subresource, const struct json *object, kube_done_fn done,
			   void *data)
{
	return start(c,
		     &(struct call){ .verb = "update",
				     .method = "PUT",
				     .resource = r,
				     .ns = kube_namespace(object),
				     .name = str_or(kube_name(object), ""),
				     .subresource = subresource,
				     .content_type = "application/json",
				     .body = object,
				     .manager = true },
		     done, data);
}

struct kube_op *kube_update(struct kube_client *c, const struct kube_resource *r,
			    const struct json *object, kube_done_fn done, void *data)
{
	return put(c, r, NULL, object, done, data);
}

struct kube_op *kube_update_status(struct kube_client *c, const struct kube_resource *r,
				   const struct json *object, kube_done_fn done, void *data)
{
	return put(c, r, "status", object, done, data);
}

static const char *const patch_types[] = {
	[KUBE_PATCH_MERGE] = "application/merge-patch+json",
	[KUBE_PATCH_JSON] = "application/json-patch+json",
	[KUBE_PATCH_APPLY] = "application/apply-patch+yaml", /* of which JSON is a part */
};

struct kube_op *kube_patch(struct kube_client *c, const struct kube_resource *r, const char *ns,
			   const char *name, const char *subresource, enum kube_patch_type type,
			   const struct json *patch, kube_done_fn done, void *data)
{
	return kube_patch_for(c, NULL, r, ns, name, subresource, type, patch, done, data);
}

struct kube_op *kube_patch_for(struct kube_client *c, const char *key,
			       const struct kube_resource *r, const char *ns, const char *name,
			       const char *subresource, enum kube_patch_type type,
			       const struct json *patch, kube_done_fn done, void *data)
{
	return start(c,
		     &(struct call){ .verb = type == KUBE_PATCH_APPLY ? "apply" : "patch",
				     .method = "PATCH",
				     .key = key,
				     .resource = r,
				     .ns = ns,
				     .name = str_or(name, ""),
				     .subresource = subresource,
				     .content_type = patch_types[type],
				     .body = patch,
				     .manager = true,
				     .force = type == KUBE_PATCH_APPLY },
		     done, data);
}

static struct json *delete_options(const struct kube_delete_options *o)
{
	struct json *body = json_new_object();
	json_set_string(body, "kind", "DeleteOptions");
	json_set_string(body, "apiVersion", "v1");
	if (o && o->propagation)
		json_set_string(body, "propagationPolicy", o->propagation);
	if (o && (o->uid || o->resource_version)) {
		struct json *p = json_make_object(body, "preconditions");
		json_set_string(p, "uid", o->uid);
		json_set_string(p, "resourceVersion", o->resource_version);
	}
	return body;
}

struct kube_op *kube_delete(struct kube_client *c, const struct kube_resource *r, const char *ns,
			    const char *name, const struct kube_delete_options *options,
			    kube_done_fn done, void *data)
{
	_cleanup_(json_freep) struct json *body = delete_options(options);
	return start(c,
		     &(struct call){ .verb = "delete",
				     .method = "DELETE",
				     .resource = r,
				     .ns = ns,
				     .name = str_or(name, ""),
				     .content_type = "application/json",
				     .body = body,
				     .absent_is_success = true },
		     done, data);
}
