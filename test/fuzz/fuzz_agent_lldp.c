/* A frame from the network, and the text of a MAC address. */

#include <stdlib.h>

#include "agent/hw/lldp.h"
#include "agent/hw/nics.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_free(hw_lldp_parse(data, size));
	char mac[HW_MAC_SIZE], *text = xstrndup((const char *)data, size);
	(void)hw_mac_parse(text, mac);
	free(text);
	return 0;
}
