/* Bodies in chunks. Bytes that come one by one, cut in two (the first byte says where), or at once
 * must mean the same, and never more than the limit (the second byte). */

#include <stdlib.h>
#include <string.h>

#include "web/chunked.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

struct outcome {
	struct chunked k;
	struct strbuf body;
	size_t used, max;
	int status;
};

/* As a connection would: the rest is what has come and was not used. */
static void feed(struct outcome *o, const char *data, size_t len)
{
	size_t used = 0;
	if (o->status)
		return;
	o->status = web_chunked_decode(&o->k, data, len, o->max, &o->body, &used);
	require(o->body.len <= o->max);
	require(o->k.excess <= CHUNKED_EXCESS_MAX + 1);
	if (o->status)
		return;
	require(used == len || o->k.state == CHUNKED_DONE);
	o->used += used;
}

static void same(const struct outcome *a, const struct outcome *b)
{
	require(a->status == b->status && a->used == b->used && a->body.len == b->body.len);
	require(a->body.len == 0 || memcmp(a->body.data, b->body.data, a->body.len) == 0);
	require(a->status || a->k.state == b->k.state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	const char *text = (const char *)data + 2;
	size_t len = size - 2, part = data[0] < len ? data[0] : len;
	struct outcome whole = { .max = data[1] }, halves = { .max = data[1] },
		       bytes = { .max = data[1] };
	feed(&whole, text, len);
	feed(&halves, text, part);
	feed(&halves, text + part, len - part);
	for (size_t i = 0; i < len; i++)
		feed(&bytes, text + i, 1);
	/* Where it failed shows in `used` of the bytes alone. */
	if (whole.status)
		whole.used = halves.used = bytes.used = 0;
	same(&whole, &halves);
	same(&whole, &bytes);
	strbuf_done(&whole.body);
	strbuf_done(&halves.body);
	strbuf_done(&bytes.body);
	return 0;
}
