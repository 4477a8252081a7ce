#pragma once
/* What a server's refusal means: Status objects and bare HTTP codes to error kinds. Pure; inside
 * pkg/kube. */

#include "json/json.h"

struct kube_status {
	enum err_kind kind;    /* ERR_NONE: no refusal */
	int code;	       /* HTTP */
	int64_t retry_after_s; /* details.retryAfterSeconds; -1: absent */
	bool too_large;	       /* "resource version too large": ask again later or without one */
	bool internal;	       /* the server's own fault, code 500 */
};

/* `body` NULL or anything: decided by reason first, then code (some proxies answer with HTML).
 * `http_status` 0 for a Status inside a watch. The text is the server's message, or a word for the
 * code. */
struct kube_status kube_status_read(const struct json *body, int http_status, struct err *err);
