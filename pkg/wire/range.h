#pragma once
/* Byte ranges of HTTP (RFC 9110, sections 13.1.5, 14.1.2, 14.2 and 14.4). One range at a time: what
 * asks for several gets the whole body, as the RFC allows. any thread */

#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"

enum range_kind {
	RANGE_WHOLE,	     /* no range, or one to be ignored: 200 */
	RANGE_PART,	     /* 206 */
	RANGE_UNSATISFIABLE, /* 416 */
};

/* "bytes 18446744073709551614-18446744073709551614/18446744073709551615" */
enum { CONTENT_RANGE_MAX = 72 };

struct range {
	uint64_t start;
	uint64_t length; /* > 0 */
};

/* `header` is the value of Range, or NULL; `size` that of the whole body. *ret is set for
 * RANGE_PART. */
enum range_kind range_parse(const char *header, uint64_t size, struct range *ret);
/* Whether If-Range (or its absence, NULL) lets the range stand. Both sides quoted; strong
 * comparison; a date never matches, because we send no Last-Modified. */
bool range_allowed(const char *if_range, const char *etag);
/* The value of Content-Range; `part` NULL is the form of a 416. Returns buf. */
char *content_range_format(const struct range *part, uint64_t size, char buf[CONTENT_RANGE_MAX]);
