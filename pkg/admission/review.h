#pragma once
/* AdmissionReview of admission.k8s.io, v1 and v1beta1: what an API server asks a webhook, and the
 * answer. Pure; any thread. */

#include "admission/rules.h"

/* A request holds the object twice, each of at most 3 MiB; as controller-runtime. */
enum { REVIEW_BODY_MAX = 7 * 1024 * 1024 };

struct review {
	const char *api_version; /* as asked, so it is answered; static */
	struct rule_subject subject;
	bool subresource; /* of status and the like: not asked about by our rules */
	/* Private: what the above borrows from. */
	struct json *tree;
};

/* ERR_INVALID when it is no review with a request: the text is for who wrote the configuration.
 * review_done() only after success. */
int review_parse(const char *body, size_t len, struct review *ret, struct err *err);
void review_done(struct review *r);
/* The body of the answer, a new string. Denied when there are errors: 403 Forbidden. */
char *review_answer(const struct review *r, const struct rule_findings *f);
