#pragma once
/* Boot media over HTTP, for BMCs and firmware:
 *
 *	/b/<capability>.iso	GET and HEAD; one Range, If-Range
 *
 * Who knows the capability may read, so it is never logged, and the answer to all else is the same
 * 404: a capability that is not valid (any more), another address than the one that it was made
 * for, another form of the path, another method. Whether it is valid, and for whom, is asked at
 * each request, and is the caller's to know: nothing is kept here.
 *
 * Contents leave from the thread of the listener that took the request, out of the page cache: a
 * reader costs its connection. Core thread. */

#include "loop/loop.h"
#include "media/media.h"
#include "web/web.h"

enum {
	MEDIA_CAPABILITY_BYTES = 16,				/* random */
	MEDIA_CAPABILITY_SIZE = 2 * MEDIA_CAPABILITY_BYTES + 1, /* lower-case hex, with its NUL */
};

struct media_ops {
	/* What may the reader at this address have by this capability? `capability` has the right
	 * form; `peer` is numeric, without a port. A new reference; NULL: nothing, 404. */
	struct media_image *(*find)(void *data, const char *capability, const char *peer);
};

struct media_http;

struct media_http *media_http_new(struct loop *loop, const struct media_ops *ops, void *data);
/* After the servers that have the routes were closed and their posted work was run. */
struct media_http *media_http_free(struct media_http *h);
/* Ended by prefix NULL; for a listener on the thread of downloads. */
const struct web_route *media_http_routes(const struct media_http *h);
/* The handler, for routes of a server that others share; data is the media_http. */
void media_http_handle(void *data, struct web_request *r);
/* "/b/<capability>.iso", to be put behind a listener's URL. The caller frees it. */
char *media_http_path(const char *capability);
/* The capability of a path, or -ENOENT. Pure. */
int media_http_parse(const char *path, char ret[MEDIA_CAPABILITY_SIZE]);
