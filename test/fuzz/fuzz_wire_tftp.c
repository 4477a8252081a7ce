/* The first byte of a datagram decides little: each is tried as a request and as any other packet.
 * A request that decodes must survive being encoded. */

#include <stdlib.h>
#include <string.h>

#include "wire/tftp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same_options(const struct tftp_options *a, const struct tftp_options *b)
{
	return a->has_blksize == b->has_blksize && a->blksize == b->blksize &&
	       a->has_tsize == b->has_tsize && a->tsize == b->tsize &&
	       a->has_timeout == b->has_timeout && a->timeout_s == b->timeout_s &&
	       a->has_windowsize == b->has_windowsize && a->windowsize == b->windowsize;
}

static void request(const struct tftp_request *r)
{
	uint8_t out[2 * TFTP_REQUEST_MAX];
	struct tftp_request back;
	size_t len = tftp_encode_request(r, out, sizeof(out));
	if (len == 0 || len > TFTP_REQUEST_MAX)
		return;
	if (tftp_decode_request(out, len, &back) < 0 || strcmp(r->name, back.name) != 0 ||
	    !same_options(&r->options, &back.options))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tftp_request r;
	struct tftp_packet p;
	if (tftp_decode_request(data, size, &r) == 0)
		request(&r);
	if (tftp_decode(data, size, &p) == 0 && p.op == TFTP_ERROR &&
	    !memchr(p.text, 0, sizeof(p.text)))
		abort();
	return 0;
}
