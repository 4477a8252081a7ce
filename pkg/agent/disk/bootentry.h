#pragma once
/* Makes the firmware boot from a disk: finds the loader in the EFI system partition and writes a
 * Boot#### variable in front of the boot order. Blocking; any thread. */

#include <stdbool.h>

#include "agent/disk/dev.h"
#include "wire/gpt.h"

struct disk_boot_options {
	const char *efivars; /* "/sys/firmware/efi/efivars" */
	const char *machine; /* as uname -m */
	/* The ESP to use; NULL: the first of the table. */
	const struct gpt_guid *esp;
};

struct disk_boot_result {
	uint16_t number; /* Boot#### */
	char label[64], path[256];
};

/* ERR_NOT_FOUND: no ESP, or no loader in it. */
int disk_boot_install(const struct disk_dev *d, const struct disk_boot_options *options,
		      struct disk_boot_result *ret, struct err *err);
/* Removes boot entries whose path matches one of the patterns (extended regular expressions,
 * NULL-ended); returns how many. */
int disk_boot_clean(const char *efivars, const char *const *patterns, struct err *err);
