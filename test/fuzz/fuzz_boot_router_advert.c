/* A MAC that is found stands in the packet, behind the header of its option and on an option's
 * boundary; the rest of the packet behind it makes no difference. Without one the caller's is
 * untouched. */

#include <stdlib.h>
#include <string.h>

#include "boot/router_advert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct net_mac untouched = { { 0xa5, 0x5a, 0xa5, 0x5a, 0xa5, 0x5a } };
	struct net_mac mac = untouched, again;
	if (router_advert_parse(data, size, &mac) < 0) {
		if (memcmp(&mac, &untouched, sizeof(mac)) != 0)
			abort();
		return 0;
	}
	for (size_t at = 8; at + 8 <= size; at += 8)
		if (memcmp(data + at, "\1\1", 2) == 0 && memcmp(data + at + 2, mac.bytes, 6) == 0 &&
		    router_advert_parse(data, at + 8, &again) == 0 &&
		    memcmp(&mac, &again, sizeof(mac)) == 0)
			return 0;
	abort();
}
