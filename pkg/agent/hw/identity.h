#pragma once
/* What a disk says it is. any thread */

#include "agent/hw/disks.h"

/* Fills in model, vendor, serial numbers and WWNs. `devpath` below /sys/devices, or NULL. */
void hw_identity_read(const char *root, const char *name, const char *devpath, struct hw_disk *d);
