#pragma once
/* What can end a list or a watch, and what follows. Inside pkg/kube. */

#include <stdbool.h>

#include "base/log.h"
#include "kube/status.h"

enum watch_fault {
	FAULT_GONE,	    /* that history is no longer kept */
	FAULT_TOO_LARGE,    /* the server has not got so far yet */
	FAULT_BUSY,	    /* 429, 503 */
	FAULT_UNREACHABLE,  /* refused, broken, TLS, timeout, a proxy's 502 and 504 */
	FAULT_INTERNAL,	    /* 500 as ERROR event */
	FAULT_EVENT,	    /* any other ERROR event */
	FAULT_UNAUTHORIZED, /* 401 */
	FAULT_FORBIDDEN,    /* 403 */
	FAULT_NO_KIND,	    /* 404: the CRD is not installed, or not served yet */
	FAULT_REFUSED,	    /* any other answer */
	FAULT_GARBAGE,	    /* bytes that are no events, or no list */
	FAULT_SHORT,	    /* ended at once, without an event */
	FAULT_SILENT,	    /* no frame where bookmarks should come */
	FAULT_NO_STREAM,    /* the server knows no streamed lists */
	_FAULT_MAX,
};

enum watch_next {
	NEXT_SAME,	 /* the same list, or the watch from its position */
	NEXT_LIST,	 /* a list not older than the position */
	NEXT_LIST_FRESH, /* a list of the server's newest state */
};

enum watch_delay {
	DELAY_NONE, /* at once; back-off if the same was so just before */
	DELAY_BACKOFF,
	DELAY_SERVER, /* what the server asks for, 1 s if nothing, but not below back-off */
	DELAY_MAX,
};

struct watch_fault_info {
	const char *name;
	enum watch_next next;
	enum watch_delay delay;
	bool report;	    /* to the user, and to the log */
	const char *advice; /* appended to the text; NULL: none */
};

const struct watch_fault_info *watch_fault_info(enum watch_fault fault);
/* `event`: as an ERROR event; else as answer to a request. `status` NULL: no answer came. */
enum watch_fault watch_fault_of(const struct kube_status *status, bool event);
