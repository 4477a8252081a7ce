#pragma once
/* Root device hints: which disk is meant, as ironic-lib matches them. any thread */

#include <stdbool.h>

#include "base/err.h"
#include "json/json.h"

enum { DISK_VALUES_MAX = 12 };

/* What is known of a disk. Strings may be NULL; some have several forms, NULL-ended. */
struct disk_facts {
	const char *name; /* "/dev/sda" */
	const char *model, *vendor;
	const char *serials[DISK_VALUES_MAX + 1];
	const char *wwns[DISK_VALUES_MAX + 1];
	const char *wwn_with_extension, *wwn_vendor_extension;
	const char *hctl, *tran;
	const char *by_paths[DISK_VALUES_MAX + 1]; /* udev has several links for some */
	uint64_t size;				   /* bytes */
	bool rotational;
};

/* `hints`: the object root_device; NULL or empty: none. Errors name the hint that makes no sense.
 */
int disk_hints_check(const struct json *hints, struct err *err);
/* All hints must match. False for hints that make no sense. */
bool disk_hints_match(const struct json *hints, const struct disk_facts *disk);
/* The first disk that matches; without hints the smallest of at least 4 GiB (then by name). The
 * index; -ENOENT with a text that lists the disks; ERR_INVALID when a hint that names one disk (by
 * name, place, serial number or WWN) leaves several, with a text that lists those. */
int disk_hints_choose(const struct json *hints, const struct disk_facts *disks, size_t count,
		      struct err *err);
