#pragma once
/* Request heads of HTTP/1.1 (RFC 9112), strict where leniency lets a request be smuggled past
 * something in front of us. Private to pkg/web. any thread */

#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"

enum {
	HTTP1_HEAD_MAX = 16384, /* bearer tokens are long */
	HTTP1_LINE_MAX = 8192,	/* of the request line */
	HTTP1_HEADERS_MAX = 100,
};

struct http1_header {
	const char *name; /* lower case */
	const char *value;
};

struct http1_head {
	const char *method;
	const char *path;  /* as sent */
	const char *query; /* as sent; "" when absent */
	unsigned minor;	   /* HTTP/1.minor: 0 or 1 */
	uint64_t content_length;
	bool chunked;
	bool keep_alive;
	bool expect_continue;
	size_t count;
	struct http1_header headers[HTTP1_HEADERS_MAX];
};

/* Length of the head at the start of `data`, empty lines before and after it included. 0: more
 * bytes are needed. *scanned remembers what was looked at; it starts at 0 for each head. */
size_t web_http1_head_length(const char *data, size_t len, size_t *scanned);
/* Cuts text (a copy of the head, NUL after len) in place; *ret borrows from it. Without
 * `chunks_taken` any Transfer-Encoding is refused. Returns 0, or the HTTP status to answer, after
 * which the connection must close. */
int web_http1_parse(char *text, size_t len, bool chunks_taken, struct http1_head *ret);
/* What to answer to a head that did not end within HTTP1_HEAD_MAX bytes: 414 or 431. */
int web_http1_too_long(const char *data, size_t len);

const char *web_http1_header(const struct http1_head *head,
			     const char *name); /* lower case; NULL */
/* What names and values of fields are made of. */
bool web_http1_is_token(unsigned char c);
bool web_http1_is_value(unsigned char c);
/* First value of a parameter, "+" and %XX decoded; NULL when absent or when it holds %00 or a
 * broken escape. The caller frees it. */
char *web_http1_query_param(const char *query, const char *name);
