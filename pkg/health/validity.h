#pragma once
/* When certificates end, shown in time: by a metric for each, and by the log once a look. Main
 * thread. */

#include <stdbool.h>

#include "base/clock.h"

/* Between two looks. More often than certificates end, because clocks are set, too. */
#define VALIDITY_LOOK  USEC_PER_HOUR
#define VALIDITY_SOON  (30 * 24 * USEC_PER_HOUR)
#define VALIDITY_AGAIN (24 * USEC_PER_HOUR)

struct validity {
	const char *name; /* in the metric; static */
	const char *advice;
	usec_t soon;	  /* warn so long before its end; 0: VALIDITY_SOON */
	usec_t warned_at; /* wall; 0: all is well */
};

/* Sets the metrics, and warns once a day of a certificate that is not valid now, or ends soon.
 * False: it is not valid now. */
bool validity_look(struct validity *v, const char *pem, usec_t wall);
