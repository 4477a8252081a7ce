/* The SMBIOS table of a machine's firmware. */

#include "agent/hw/dmi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	(void)dmi_memory_mb(data, size);
	return 0;
}
