/* A word about an address has a MAC only where the message has one, on an option's boundary; what
 * is refused leaves the caller's word alone. */

#include <stdlib.h>
#include <string.h>

#include "boot/probe_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct net_addr from = { .v6 = { .sin6_family = AF_INET6, .sin6_port = 7 } };
	struct probe_word word = { .address = { .v6 = { .sin6_family = AF_UNIX } } };
	if (probe_wire6_parse(data, size, &from, 0x1234, &word) < 0) {
		if (net_family(&word.address) != AF_UNIX || word.has_mac)
			abort(); /* a failure leaves it as it was */
		return 0;
	}
	if (net_family(&word.address) != AF_INET6 || net_port(&word.address) != 0 || size < 8)
		abort();
	for (size_t at = 24; word.has_mac; at += 8) {
		if (at + 8 > size)
			abort();
		if (memcmp(data + at, "\2\1", 2) == 0 &&
		    memcmp(data + at + 2, word.mac.bytes, 6) == 0)
			break;
	}
	return 0;
}
