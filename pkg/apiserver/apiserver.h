#pragma once
/* Embedded Kubernetes-style API server over the store. Synchronous inside, on one loop (the store
 * thread in `ingot standalone`, the virtual loop in the simulation): a request is handled from
 * start to end in one transaction, so that optimistic concurrency needs no locks; answers leave
 * after the transaction that holds them is on disk (group commit). A list or a deletion of very
 * many objects takes several steps and gives way between them: the list is as of one revision, the
 * deletion is one of each object, as on a cluster.
 *
 * Fronts: web (apiserver/front.h, for kubectl) and kube_transport (apiserver/transport.h, for our
 * own controllers). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "loop/loop.h"

struct apiserver;
struct answer;
struct json;
struct api_exchange; /* one request under way, made by a front */

/* Larger bodies get 413; a front may refuse them before it has read them. */
enum { APISERVER_BODY_MAX = 3 * 1024 * 1024 };
/* Bytes of a stream that may wait for a slow reader before the server does. */
enum { APISERVER_STREAM_AHEAD = 1024 * 1024 };

enum api_operation { API_CREATE, API_UPDATE, API_DELETE };

/* A write that the schema allows: is it admitted? All is borrowed during the call. */
struct api_admission {
	enum api_operation operation;
	const char *group, *kind, *ns, *name;
	const struct json *now;	  /* NULL: deletion */
	const struct json *old;	  /* NULL: creation */
	struct apiserver *server; /* private, and the next */
	struct answer *answer;
};

/* For admit functions. All objects of the kind "plural.group", in all namespaces: a new array;
 * empty for a kind that is not served, NULL with err when the store fails. */
struct json *api_admission_list(const struct api_admission *a, const char *key, struct err *err);
/* A warning in the answer, whatever the verdict is. */
void api_admission_warn(const struct api_admission *a, const char *text);

struct apiserver_options {
	struct loop *loop; /* on which everything here runs */
	const char *path;  /* SQLite file; ":memory:" for the simulation */
	const char *const
		*crds;	  /* JSON texts of CustomResourceDefinitions made at start, NULL-ended */
	uint64_t log_max; /* changes kept for watches to resume from; 0: the store's default */
	usec_t log_max_age;
	/* Asked before clients' writes of custom objects, but for subresources. Returns the message
	 * of a refusal (403), a new string, or NULL. Optional. */
	char *(*admit)(void *data, const struct api_admission *a);
	void *admit_data;
	/* After a transaction with changes of such a resource ("baremetalhosts.metal3.io") is on
	 * disk, and before the answers leave. Optional, both or none. */
	bool (*counts)(const char *resource);
	void (*kept)(void *data, uint64_t revision);
	void *kept_data;
};

struct api_request {
	const char *method;
	const char *path;	  /* as sent, without query */
	const char *query;	  /* as sent; "" when absent */
	const char *content_type; /* "" when absent */
	const char *accept;
	const char *user;	 /* authenticated name, "system:admin" */
	const char *groups;	 /* of the user, joined by "\n", by which he has roles (roles.h) */
	const char *impersonate; /* as whom he wants to act, which nobody may; NULL: as himself */
	const char
		*user_agent; /* owner of what is written when no fieldManager is named; or NULL */
	const char *body;
	size_t body_len;
};

/* How the answer leaves; called on the server's loop. Either reply once, or stream_* ended by
 * stream_end. No other function may be called on the server from within these but apiserver_handle
 * and apiserver_abort. */
struct api_front_ops {
	/* Optional. Before the reply: the text of a header `Warning: 299 - "text"`, to be quoted by
	 * the front (RFC 7234, 5.5). */
	void (*warning)(void *front, const char *text);
	void (*reply)(void *front, int status, const char *content_type, const char *body,
		      size_t len);
	void (*stream_start)(void *front, const char *content_type);
	/* False: peer too slow or gone. stream_end follows at once. */
	bool (*stream_send)(void *front, const char *bytes, size_t len);
	/* Optional. True: more than APISERVER_STREAM_AHEAD bytes wait to be taken;
	 * apiserver_stream_drained comes, from the loop, when no more than that do. */
	bool (*stream_wait)(void *front);
	void (*stream_end)(void *front);
};

int apiserver_new(const struct apiserver_options *options, struct apiserver **ret, struct err *err);
/* A consistent copy of the store as it is, in a file of its own (store_copy). */
int apiserver_copy(struct apiserver *s, const char *path, struct err *err);
/* A number that belongs to the store as a whole (store_set_number). */
int apiserver_set_number(struct apiserver *s, const char *key, uint64_t value, struct err *err);
/* What is under way is committed and answered first, streams are ended. Not from within a front's
 * functions. */
struct apiserver *apiserver_free(struct apiserver *s);
/* `request` is borrowed during the call; the answer may come before or after it returns. Returns a
 * handle for apiserver_abort, valid until reply or stream_end was called; NULL when that has
 * happened already. */
struct api_exchange *apiserver_handle(struct apiserver *s, const struct api_request *request,
				      const struct api_front_ops *ops, void *front);
void apiserver_stream_drained(struct api_exchange *x);
/* The peer has gone: no front function is called afterwards. A write may still be done. */
void apiserver_abort(struct api_exchange *x);
