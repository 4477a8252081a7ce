#pragma once
/* The disks of the machine, from sysfs alone: no udev, no ioctl. What udev would compute (WWN,
 * serial numbers, by-path names) is computed here by its rules. any thread */

#include <stdbool.h>

#include "agent/disk/hints.h"
#include "agent/hw/bypath.h"
#include "json/json.h"

enum { HW_SERIALS_MAX = DISK_VALUES_MAX };

struct hw_disk {
	char *name; /* "/dev/sda": without the root */
	char *model, *vendor;
	char *serial;			   /* that lsblk shows */
	char *serials[HW_SERIALS_MAX + 1]; /* that lsblk and udev show, NULL-ended */
	char *wwn, *wwn_with_extension, *wwn_vendor_extension;
	char *hctl;
	struct hw_path_names by_paths;
	bool by_path_shared[HW_PATH_NAMES_MAX]; /* another disk has that name, too */
	const char *by_path;			/* the first that no other disk has; NULL */
	const char *tran;
	uint64_t size;
	uint32_t logical, physical; /* sector sizes */
	bool rotational;
	bool read_only;
	bool member; /* of an array or a multipath device: not to be used itself */
	bool media;  /* optical, or removable and small: what we may have been booted from */
};

struct hw_disks {
	struct hw_disk *items;
	size_t count;
};

/* Also those marked member or media; optical drives are left out, and so are devices that the
 * kernel hides, which have no device node. */
struct hw_disks hw_disks_read(const char *root);
void hw_disks_done(struct hw_disks *d);
/* What to open for a disk of that name: the only way from names to devices. New string. */
char *hw_disk_node(const char *root, const char *name);
/* May it be written to: neither member nor media nor read-only. */
bool hw_disk_usable(const struct hw_disk *d);
/* Borrows the strings. */
struct disk_facts hw_disk_facts(const struct hw_disk *d);
/* The disk that root device hints name among the usable ones; NULL with err. */
const struct hw_disk *hw_disks_root(const struct hw_disks *d, const struct json *hints,
				    struct err *err);
struct json *hw_disk_json(const struct hw_disk *d);
