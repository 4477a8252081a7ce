#pragma once
/* Which handler answers a request: one table per server part, looked at from top to bottom. The
 * first pattern that fits the path decides; rows with the same pattern stand together, one for each
 * set of methods.
 *
 *   no pattern fits       `refuse` with 404
 *   no row has the method `refuse` with 405 and "Allow: " with the methods of all its rows
 *   HEAD                  for the rows that have WEB_HEAD; the answer's body is left out by web.h
 *
 * A pattern is compared with the path as it was sent, without query; nothing is decoded:
 *
 *   {name}      one segment or the rest of one, at least one byte
 *   {name...}   all that is left, slashes included; may be empty; ends the pattern
 *   [text]      text that may be missing; no braces in it
 *   the rest    itself
 *
 * Stateless; handlers run where web_router_run() is called: on the route's loop. */

#include "web/web.h"

enum web_methods {
	WEB_GET = 1 << 0,
	WEB_HEAD = 1 << 1,
	WEB_POST = 1 << 2,
	WEB_PUT = 1 << 3,
	WEB_PATCH = 1 << 4,
	WEB_DELETE = 1 << 5,
	WEB_READ = WEB_GET | WEB_HEAD, /* WEB_GET alone: where asking has an effect */
};

enum { WEB_PARAMS_MAX = 4 };

/* What stands for the names of a pattern: slices of the path. */
struct web_params {
	size_t count;
	struct web_param {
		const char *name; /* in the pattern, name_len bytes */
		size_t name_len;
		const char *value;
		size_t len;
	} items[WEB_PARAMS_MAX];
};

/* A new string; NULL when the pattern has no such name. */
char *web_param(const struct web_params *params, const char *name);

struct web_row;

/* What a request was matched with. Borrowed until the handler returns. */
struct web_match {
	const struct web_row *row;
	struct web_params params;
};

typedef void (*web_row_fn)(void *data, struct web_request *r, const struct web_match *match);

struct web_row {
	unsigned methods; /* enum web_methods */
	const char *pattern;
	web_row_fn handler;
	unsigned role;	 /* who may ask; what it means is `admit`'s business */
	const void *arg; /* for the handler */
};

struct web_router {
	const struct web_row *rows; /* ended by pattern NULL */
	/* Slashes at the end of a path do not count. */
	bool trim_slashes;
	/* These two may be NULL. False: it has answered. Before the table is looked at: */
	bool (*begin)(void *data, struct web_request *r);
	/* Before the row's handler: */
	bool (*admit)(void *data, struct web_request *r, const struct web_row *row);
	/* 404, or 405 with the header line that belongs to it ("Allow: GET, HEAD"), else NULL. */
	void (*refuse)(void *data, struct web_request *r, int status, const char *allow);
};

void web_router_run(const struct web_router *router, void *data, struct web_request *r);
/* `path` in place of the request's, whose end it is: what is left behind the prefix of a part. */
void web_router_run_at(const struct web_router *router, void *data, struct web_request *r,
		       const char *path);

/* Is the table one that can be served: sound patterns, each in one place, none hidden behind one
 * that is the same, no method twice? For the tests of tables. */
bool web_router_sound(const struct web_router *router);

/* --- the parts, pure; any thread -------------------------------------------------------------- */

/* 0: none of ours. */
unsigned web_method_bit(const char *method);
bool web_pattern_sound(const char *pattern);
/* For sound patterns. *ret is untouched when it does not fit. */
bool web_pattern_fits(const char *pattern, const char *path, size_t len, struct web_params *ret);
