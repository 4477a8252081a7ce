#pragma once
/* Kubernetes client: typed paths, asynchronous calls, errors decoded from Status, client-side
 * throttling and the few repetitions that are safe. Objects stay JSON trees; writes are the tree
 * that was read, or patches. Core thread.
 *
 * Every call completes exactly once through its function, never before the call that started it has
 * returned; after kube_cancel it does not complete at all. Bad arguments also come through the
 * function. */

#include <stdbool.h>

#include "base/clock.h"
#include "base/err.h"
#include "kube/transport.h"
#include "loop/fence.h"
#include "loop/loop.h"
#include "json/json.h"

struct kube_client;
struct kube_op;

enum kube_scope {
	KUBE_CLUSTER,
	KUBE_NAMESPACED,
	KUBE_PER_HOST, /* namespaced, and each object bears its host's namespace and name */
};

/* One kind as the API names it; static. */
struct kube_resource {
	const char *group; /* "" for core */
	const char *version;
	const char *plural;
	const char *kind;
	enum kube_scope scope;
};

struct kube_client_options {
	struct loop *loop;
	struct kube_transport *transport; /* borrowed */
	const char *field_manager;	  /* on every write; NULL: "ingot" */
	double qps;			  /* 0: 20; negative: no throttle */
	unsigned burst;			  /* 0: 30 */
	usec_t timeout;			  /* of one try; 0: 30 s */
	/* Watches begin with a streamed list (WatchList), until a server refuses that. */
	bool stream_lists;
	/* Asked before each write leaves; false fails it with ERR_CANCELLED. */
	struct fence fence;
	/* For metrics: each answer of the server (status 0: none came). May be NULL. */
	void (*observe)(void *data, const char *method, int status, usec_t took);
	void *observe_data;
};

/* `err` NULL is success. err->kind is for decisions (ERR_CONFLICT and ERR_EXISTS are both 409),
 * err->code the HTTP status, 0 when no answer came. `*answer` is the object (or list, or Status of
 * an error), NULL when the body was empty or no JSON; borrowed, or taken by TAKE_PTR(*answer). */
typedef void (*kube_done_fn)(void *data, const struct err *err, struct json **answer);

struct kube_client *kube_client_new(const struct kube_client_options *options);
/* All operations are cancelled, without callbacks. Not inside one of its callbacks. */
struct kube_client *kube_client_free(struct kube_client *c);
struct loop *kube_client_loop(const struct kube_client *c);

/* --- reading --------------------------------------------------------------------------------- */

struct kube_list_options {
	const char *label_selector; /* NULL: none */
	const char *field_selector;
	unsigned limit; /* of one page; 0: 500 */
};

/* `ns` is ignored (NULL) for kinds that are not namespaced. */
struct kube_op *kube_get(struct kube_client *c, const struct kube_resource *r, const char *ns,
			 const char *name, kube_done_fn done, void *data);
/* All pages in one List whose metadata.resourceVersion is that of the first page. ns NULL: all
 * namespaces. For kinds that may be many use an informer. */
struct kube_op *kube_list(struct kube_client *c, const struct kube_resource *r, const char *ns,
			  const struct kube_list_options *options, kube_done_fn done, void *data);

/* --- writing --------------------------------------------------------------------------------- */

/* The fence is asked for the host that the object is named after (KUBE_PER_HOST), for none with
 * other kinds; the calls with `key` name the host themselves. */

/* Objects are borrowed during the call. Namespace and name come from metadata. Status given to
 * kube_create is dropped by the server; kube_update writes no status, kube_update_status nothing
 * else. */
struct kube_op *kube_create(struct kube_client *c, const struct kube_resource *r,
			    const struct json *object, kube_done_fn done, void *data);
struct kube_op *kube_create_for(struct kube_client *c, const char *key,
				const struct kube_resource *r, const struct json *object,
				kube_done_fn done, void *data);
/* The same up to the point where something would be stored. */
struct kube_op *kube_create_dry(struct kube_client *c, const struct kube_resource *r,
				const struct json *object, kube_done_fn done, void *data);
/* Creation failed because the namespace is being deleted: nothing new can be made there. Servers
 * say it in these words since 1.5; the cause NamespaceTerminating is younger. */
bool kube_is_terminating(const struct err *err);
/* metadata.resourceVersion is the lock: ERR_CONFLICT means read again and decide again. */
struct kube_op *kube_update(struct kube_client *c, const struct kube_resource *r,
			    const struct json *object, kube_done_fn done, void *data);
struct kube_op *kube_update_status(struct kube_client *c, const struct kube_resource *r,
				   const struct json *object, kube_done_fn done, void *data);

enum kube_patch_type {
	KUBE_PATCH_MERGE, /* RFC 7396; lists as a whole: put metadata.resourceVersion in when it
			     matters */
	KUBE_PATCH_JSON,  /* RFC 6902 */
	KUBE_PATCH_APPLY, /* server-side apply, forced */
};

/* subresource: NULL or "status". */
struct kube_op *kube_patch(struct kube_client *c, const struct kube_resource *r, const char *ns,
			   const char *name, const char *subresource, enum kube_patch_type type,
			   const struct json *patch, kube_done_fn done, void *data);
struct kube_op *kube_patch_for(struct kube_client *c, const char *key,
			       const struct kube_resource *r, const char *ns, const char *name,
			       const char *subresource, enum kube_patch_type type,
			       const struct json *patch, kube_done_fn done, void *data);

struct kube_delete_options {
	const char *uid; /* preconditions; NULL: none */
	const char *resource_version;
	const char
		*propagation; /* "Background", "Foreground", "Orphan"; NULL: the server's default */
};

/* An object that is already gone is success. A precondition that does not hold is ERR_CONFLICT. */
struct kube_op *kube_delete(struct kube_client *c, const struct kube_resource *r, const char *ns,
			    const char *name, const struct kube_delete_options *options,
			    kube_done_fn done, void *data);

/* --- the rest -------------------------------------------------------------------------------- */

/* What the calls above are made of; for /version, TokenReview and the like. All strings are copied.
 */
struct kube_request {
	const char *method;
	const char *path;	  /* with query */
	const char *content_type; /* NULL: no body */
	const char *body;
	size_t body_len;
	const char *what; /* for error texts: "get BareMetalHost metal3/node-1" */
	const char *key;  /* of the host that it belongs to, for the fence; NULL: of none */
};

struct kube_op *kube_request(struct kube_client *c, const struct kube_request *request,
			     kube_done_fn done, void *data);
/* No callback afterwards. What was sent may have been done. NULL is harmless; returns NULL. */
struct kube_op *kube_cancel(struct kube_op *op);

/* metadata.name etc. of an object; NULL when absent. */
const char *kube_name(const struct json *object);
const char *kube_namespace(const struct json *object);
const char *kube_uid(const struct json *object);
const char *kube_resource_version(const struct json *object);
/* Drops what no reader of a cache needs: managedFields and kubectl's last-applied-configuration.
 * Never before writing the whole object back. */
void kube_strip(struct json *object);
