/* Vital product data as a disk's firmware made it. */

#include <stdlib.h>

#include "agent/hw/vpd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool vendor_specific = false;
	char *const texts[] = { vpd_serial(data, size),
				vpd_identifier(data, size, &vendor_specific),
				vpd_ata_model(data, size), vpd_ata_serial(data, size) };
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		for (const char *p = texts[i]; p && *p; p++)
			if (*p < ' ' || *p > '~')
				__builtin_trap();
		free(texts[i]);
	}
	return 0;
}
