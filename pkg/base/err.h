#pragma once
/* Errors of everything that talks to the world: what kind (for decisions), which code (an errno, an
 * HTTP status, a completion code: for people and logs) and a text that a person can act on.
 *
 * A function that fails returns a negative errno and fills `err`, which may be NULL. On the way up
 * callers add context in front with err_wrap(). The error is logged once, at the top. any thread */

#include <stdbool.h>

#include "base/macro.h"

enum err_kind {
	ERR_NONE,
	ERR_INVALID, /* the input is wrong: repeating cannot help */
	ERR_NOT_FOUND,
	ERR_EXISTS,
	ERR_CONFLICT,	 /* somebody changed it meanwhile: read again and decide again */
	ERR_GONE,	 /* that history is no longer kept: list again */
	ERR_DENIED,	 /* credentials refused or rights missing */
	ERR_UNREACHABLE, /* no route, refused, name unknown */
	ERR_TIMEOUT,
	ERR_BUSY,     /* the peer asks to come back later */
	ERR_PROTOCOL, /* the peer's bytes make no sense */
	ERR_UNSUPPORTED,
	ERR_LIMIT, /* larger than we accept */
	ERR_IO,	   /* a device or a file failed */
	ERR_CANCELLED,
	ERR_INTERNAL,
	_ERR_KIND_MAX,
};

struct err {
	enum err_kind kind;
	int code;
	char text[512];
};

/* One row per kind; the only place that maps kinds to behaviour. */
struct err_kind_info {
	const char *name; /* for logs and metric labels */
	int errno_value;  /* positive */
	int http_status;  /* what our own servers answer for it */
	bool retry;	  /* repeating without a change may help */
};

const struct err_kind_info *err_kind_info(enum err_kind kind);

/* Fills err and returns the kind's errno, negative. err may be NULL. */
int err_set(struct err *err, enum err_kind kind, const char *fmt, ...) _printf_(3, 4);
int err_set_code(struct err *err, enum err_kind kind, int code, const char *fmt, ...)
	_printf_(4, 5);
/* From a positive or negative errno; the system's text is appended after ": ". */
int err_set_errno(struct err *err, int errnum, const char *fmt, ...) _printf_(3, 4);
/* Puts "context: " in front of err's text; returns -errno of its kind. */
int err_wrap(struct err *err, const char *fmt, ...) _printf_(2, 3);
/* Copies src to dst (either may be NULL); returns -errno of its kind, 0 for NULL. */
int err_copy(struct err *dst, const struct err *src);
void err_clear(struct err *err);
/* For what is remembered of thousands of hosts: *slot holds a heap copy while there is an error and
 * NULL while there is none (err NULL or ERR_NONE). */
void err_keep(struct err **slot, const struct err *err);
/* -errno of the kind that err holds; 0 for ERR_NONE. For NULL that of ERR_INTERNAL: a caller that
 * wants no reason is still told of the failure. */
int err_value(const struct err *err);
