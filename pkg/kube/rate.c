/* The two options that bound an operator's requests, read and refused. Pure. */

#include "kube/rate.h"

#include "base/str.h"

enum { RATE_MAX = 100 * 1000 };

int kube_rate_parse(const char *qps, const char *burst, struct kube_rate *ret, struct err *err)
{
	uint64_t per_second = 0, at_once = 0;
	bool off = qps && qps[0] == '-';
	if (qps && parse_u64(qps + off, RATE_MAX, &per_second) < 0)
		return err_set(err, ERR_INVALID, "--kube-api-qps: \"%s\" is not a number up to %d",
			       qps, RATE_MAX);
	if (burst && (parse_u64(burst, RATE_MAX, &at_once) < 0 || at_once == 0))
		return err_set(err, ERR_INVALID,
			       "--kube-api-burst: \"%s\" is not a number from 1 to %d", burst,
			       RATE_MAX);
	*ret = (struct kube_rate){ .qps = per_second && !off ? (double)per_second : -1,
				   .burst = (unsigned)at_once };
	return 0;
}
