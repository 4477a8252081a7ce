#pragma once
/* Chunked bodies of requests (RFC 9112, 7.1), as strict as the heads. Private to pkg/web. any
 * thread */

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum {
	/* Extensions and trailers of one body together: bytes that are of no use. */
	CHUNKED_EXCESS_MAX = 16384,
};

enum chunked_state {
	CHUNKED_SIZE,	   /* its first digit */
	CHUNKED_SIZE_MORE, /* further digits, or what may follow them */
	CHUNKED_EXTENSION, /* up to the end of the line */
	CHUNKED_SIZE_LF,
	CHUNKED_DATA,
	CHUNKED_DATA_CR,
	CHUNKED_DATA_LF,
	CHUNKED_TRAILER, /* the first byte of a line behind the last chunk */
	CHUNKED_TRAILER_NAME,
	CHUNKED_TRAILER_VALUE,
	CHUNKED_TRAILER_LF,
	CHUNKED_LAST_LF,
	CHUNKED_DONE,
};

/* All zero at the start of a body. */
struct chunked {
	enum chunked_state state;
	unsigned digits;
	uint64_t left; /* of the chunk */
	size_t excess;
};

/* Takes from data, and adds what is body to `out`, which never grows beyond `max`. *ret_used is
 * less than len only at the end of the body: what follows is the next request. Returns 0, or the
 * HTTP status to answer, after which the connection must close. */
int web_chunked_decode(struct chunked *k, const char *data, size_t len, size_t max,
		       struct strbuf *out, size_t *ret_used);
