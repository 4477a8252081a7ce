#pragma once
/* Shared by the files of pkg/kube only. */

#include "base/fsm.h"
#include "kube/client.h"
#include "kube/status.h"

enum {
	KUBE_ERROR_BODY_MAX = 64 * 1024,  /* of a stream that was refused */
	KUBE_VALUE_MAX = 8 * 1024 * 1024, /* one object; etcd takes 1.5 MiB */
};

extern const struct fsm kube_watch_fsm, kube_lease_fsm; /* for the tests, too */

/* A stream: list pages and watches. All as in struct kube_http_handlers, but that `done` has the
 * refusal decoded: err NULL says that the server ended an accepted stream in order. `status` is
 * NULL when no answer came. kube_cancel may be called inside. */
struct kube_stream_handlers {
	void (*accepted)(void *data); /* status 2xx, before any data */
	int (*body)(void *data, const char *bytes, size_t len);
	void (*done)(void *data, const struct err *err, const struct kube_status *status);
};

/* GET of path; waits for its turn in the throttle like all others, then runs without limit of time.
 * Not repeated. */
struct kube_op *kube_stream(struct kube_client *c, const char *path, const char *accept,
			    const char *what, const struct kube_stream_handlers *handlers,
			    void *data);

/* Lets an operation go on with another GET after a good answer (pages of a list). `next` gets each
 * good answer, and a refusal with err set; it returns true with a new path to ask for, or false
 * when *answer (or err) is what the caller gets. `state` is freed with the operation. */
struct kube_pager {
	bool (*next)(void *state, struct err *err, struct json **answer, char **ret_path);
	void (*free)(void *state);
};

void kube_op_set_pager(struct kube_op *op, const struct kube_pager *pager, void *state);

/* An operation that fails with `err` as soon as the caller has returned. */
struct kube_op *kube_fail(struct kube_client *c, const struct err *err, kube_done_fn done,
			  void *data);
/* Whether to ask for streamed lists; a server that knows none is not asked again. */
bool kube_streams_lists(const struct kube_client *c);
void kube_stream_no_lists(struct kube_client *c);
const char *kube_field_manager(const struct kube_client *c);
/* The answer to a request that is not there counts as success (DELETE). */
void kube_op_absent_is_success(struct kube_op *op);
