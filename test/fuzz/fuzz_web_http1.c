/* Request heads. The first byte says where the bytes are cut in two, as a network would; a head
 * that is taken must satisfy what the callers rely on. */

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "web/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check(const struct http1_head *h)
{
	require(*h->method && h->path[0] == '/' && !strpbrk(h->path, " ?\r\n"));
	require(h->count <= HTTP1_HEADERS_MAX);
	require(!h->chunked || (h->minor > 0 && !h->content_length));
	require(h->chunked == (web_http1_header(h, "transfer-encoding") != NULL));
	for (size_t i = 0; i < h->count; i++) {
		require(*h->headers[i].name && !strpbrk(h->headers[i].name, " :\r\n"));
		require(!strpbrk(h->headers[i].value, "\r\n"));
	}
	free(web_http1_query_param(h->query, "a"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	const char *text = (const char *)data + 1;
	size_t len = size - 1, scanned = 0, whole = 0;
	size_t part = data[0] < len ? data[0] : len;
	size_t head = web_http1_head_length(text, part, &scanned);
	if (!head)
		head = web_http1_head_length(text, len, &scanned);
	require(head == web_http1_head_length(text, len, &whole));
	if (!head) {
		web_http1_too_long(text, len);
		return 0;
	}
	char *copy = xstrndup("", 0);
	copy = xreallocarray(copy, head + 1, 1);
	memcpy(copy, text, head);
	copy[head] = '\0';
	struct http1_head h;
	if (web_http1_parse(copy, head, data[0] & 1, &h) == 0)
		check(&h);
	free(copy);
	return 0;
}
