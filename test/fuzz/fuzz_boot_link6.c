/* What is taken out of a packet stands in it, and what stands behind the packet makes no
 * difference. The first byte chooses the kind. */

#include <stdlib.h>
#include <string.h>

#include "boot/link6.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct link6_packet p, again;
	uint8_t longer[2048] = { 0 };
	if (size == 0 || size > sizeof(longer) - 64)
		return 0;
	enum link6_kind kind = data[0] & 1 ? LINK6_SOLICITATIONS : LINK6_DHCP;
	data++, size--;
	if (link6_parse(kind, data, size, &p) < 0)
		return 0;
	if (p.data < data + 40 || p.data + p.len > data + size || size < 40)
		abort();
	memcpy(longer, data, size);
	if (link6_parse(kind, longer, size + 64, &again) < 0 || again.len != p.len ||
	    memcmp(again.data, p.data, p.len) != 0 || again.hops != p.hops ||
	    memcmp(&again.source, &p.source, sizeof(p.source)) != 0)
		abort();
	return 0;
}
