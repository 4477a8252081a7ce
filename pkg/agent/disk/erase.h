#pragma once
/* Overwrites whole disks: passes of pseudo-random bytes, then zeros. Blocking; any thread. */

#include "agent/disk/image.h"

struct disk_erase_options {
	unsigned passes;		/* of random bytes */
	bool zeroize;			/* a last pass of zeros, really written */
	uint64_t seed;			/* of the random bytes */
	struct disk_progress *progress; /* may be NULL: `written` counts */
};

int disk_erase(const struct disk_dev *d, const struct disk_erase_options *options, struct err *err);
