#pragma once
/* How fast an operator's requests may go: --kube-api-qps and --kube-api-burst, in the form that
 * struct kube_client_options has. Pure. */

#include "base/err.h"

struct kube_rate {
	double qps; /* negative: no limit */
	unsigned burst;
};

/* qps 0 and whatever is negative (as with client-go): no limit. NULL: the option was not given; no
 * limit, and the client's own burst. */
int kube_rate_parse(const char *qps, const char *burst, struct kube_rate *ret, struct err *err);
