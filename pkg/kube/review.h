#pragma once
/* Whether the holder of a bearer token may read a path: the cluster is asked who he is
 * (TokenReview) and whether he may (SubjectAccessReview), as controller-runtime's filter for
 * metrics does. Answers are kept for a minute, refusals for ten seconds, by the digest of token and
 * path. Core thread.
 */

#include "kube/client.h"

enum kube_access {
	KUBE_ACCESS_ALLOWED,
	KUBE_ACCESS_UNKNOWN,   /* nobody that the cluster knows */
	KUBE_ACCESS_FORBIDDEN, /* known, and may not */
	KUBE_ACCESS_FAILED,    /* the cluster could not be asked, or too many ask */
};

struct kube_reviewer;

/* err is set for KUBE_ACCESS_FAILED. */
typedef void (*kube_review_fn)(void *data, enum kube_access access, const struct err *err);

/* The client is borrowed; it must have no fence, because an instance that does not lead is
 * asked too. */
struct kube_reviewer *kube_reviewer_new(struct kube_client *client);
/* Reviews under way end with KUBE_ACCESS_FAILED. */
struct kube_reviewer *kube_reviewer_free(struct kube_reviewer *v);
/* Whether the token's holder may get the path, such as "/metrics", word for word. Calls fn exactly
 * once, after this has returned. */
void kube_review(struct kube_reviewer *v, const char *token, const char *path, kube_review_fn fn,
		 void *data);
