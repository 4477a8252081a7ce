#pragma once
/* SMBIOS tables (DSP0134) as the kernel shows them in /sys/firmware/dmi/tables/DMI. any thread */

#include "base/macro.h"

/* Sum of the sizes of all memory devices (type 17), in MiB; 0: the table does not tell. */
uint64_t dmi_memory_mb(const void *table, size_t len);
