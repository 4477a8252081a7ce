/* The decoder of chunked bodies (RFC 9112, 7.1). It stands between two requests on one connection,
 * so it takes one spelling only: a size is up to sixteen hexadecimal digits with neither sign nor
 * blanks, every line ends in CRLF, trailers are fields as in a head. Extensions and trailers are
 * dropped: nothing reads them, and a trailer must never become a header (6.5.1).
 *
 * A pure function of its state and the bytes; where these are cut does not matter. Fuzzed as
 * web_chunked. */

#include "web/chunked.h"

#include "base/macro.h"
#include "web/http1.h"

enum {
	BAD_REQUEST = 400,
	TOO_LARGE = 413,
	DIGITS_MAX = 16, /* what a uint64_t holds */
};

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

static int next(struct chunked *k, enum chunked_state state)
{
	k->state = state;
	return 0;
}

static int expect(struct chunked *k, char c, char wanted, enum chunked_state state)
{
	return c == wanted ? next(k, state) : BAD_REQUEST;
}

static int size_digit(struct chunked *k, char c)
{
	int value = hex_digit(c);
	if (value < 0 || k->digits++ == DIGITS_MAX)
		return BAD_REQUEST;
	k->left = k->left << 4 | (uint64_t)value;
	return next(k, CHUNKED_SIZE_MORE);
}

static int size_more(struct chunked *k, char c)
{
	return c == '\r'  ? next(k, CHUNKED_SIZE_LF)
	       : c == ';' ? next(k, CHUNKED_EXTENSION)
			  : size_digit(k, c);
}

/* One byte of a line that is dropped; a CR ends it. */
static int dropped(struct chunked *k, char c, enum chunked_state end)
{
	if (c == '\r')
		return next(k, end);
	return web_http1_is_value((unsigned char)c) && k->excess++ < CHUNKED_EXCESS_MAX
		       ? 0
		       : BAD_REQUEST;
}

/* A size is held against the limit before anything of its chunk is awaited. */
static int size_end(struct chunked *k, char c, size_t room)
{
	if (c != '\n')
		return BAD_REQUEST;
	if (k->left > room)
		return TOO_LARGE;
	k->digits = 0;
	return next(k, k->left ? CHUNKED_DATA : CHUNKED_TRAILER);
}

static int trailer_name(struct chunked *k, char c)
{
	if (c == ':' && k->state == CHUNKED_TRAILER_NAME)
		return next(k, CHUNKED_TRAILER_VALUE);
	if (!web_http1_is_token((unsigned char)c) || k->excess++ >= CHUNKED_EXCESS_MAX)
		return BAD_REQUEST;
	return next(k, CHUNKED_TRAILER_NAME);
}

static int take_byte(struct chunked *k, char c, size_t room)
{
	switch (k->state) {
	case CHUNKED_SIZE:
		return size_digit(k, c);
	case CHUNKED_SIZE_MORE:
		return size_more(k, c);
	case CHUNKED_EXTENSION:
		return dropped(k, c, CHUNKED_SIZE_LF);
	case CHUNKED_SIZE_LF:
		return size_end(k, c, room);
	case CHUNKED_DATA_CR:
		return expect(k, c, '\r', CHUNKED_DATA_LF);
	case CHUNKED_DATA_LF:
		return expect(k, c, '\n', CHUNKED_SIZE);
	case CHUNKED_TRAILER:
		return c == '\r' ? next(k, CHUNKED_LAST_LF) : trailer_name(k, c);
	case CHUNKED_TRAILER_NAME:
		return trailer_name(k, c);
	case CHUNKED_TRAILER_VALUE:
		return dropped(k, c, CHUNKED_TRAILER_LF);
	case CHUNKED_TRAILER_LF:
		return expect(k, c, '\n', CHUNKED_TRAILER);
	case CHUNKED_LAST_LF:
		return expect(k, c, '\n', CHUNKED_DONE);
	case CHUNKED_DATA:
	case CHUNKED_DONE:
		break; /* not taken byte by byte */
	}
	return BAD_REQUEST;
}

static size_t take_data(struct chunked *k, const char *data, size_t len, struct strbuf *out)
{
	size_t n = (size_t)MIN(k->left, (uint64_t)len);
	strbuf_add(out, data, n);
	k->left -= n;
	if (k->left == 0)
		k->state = CHUNKED_DATA_CR;
	return n;
}

int web_chunked_decode(struct chunked *k, const char *data, size_t len, size_t max,
		       struct strbuf *out, size_t *ret_used)
{
	size_t at = 0;
	while (at < len && k->state != CHUNKED_DONE) {
		if (k->state == CHUNKED_DATA) {
			at += take_data(k, data + at, len - at, out);
			continue;
		}
		int status = take_byte(k, data[at++], max - out->len);
		if (status)
			return status;
	}
	*ret_used = at;
	return 0;
}
