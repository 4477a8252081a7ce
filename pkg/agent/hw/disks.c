/* Disks by sysfs: which there are, and which of them lsblk would show. What they are is read in
 * identity.c, where they are in bypath.c. */

#include "agent/hw/disks.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/hw/identity.h"
#include "agent/hw/sysfs.h"
#include "base/mem.h"
#include "base/str.h"

#define MEDIA_MAX (UINT64_C(4) << 30)

enum { SECTOR_UNIT = 512 };

/* --- place --- */

/* As lsblk's TRAN. */
static const char *transport(const char *root, const char *name, const char *devpath)
{
	unsigned host;
	const char *at = strstr(devpath, "/host");
	if (str_has_prefix(name, "nvme"))
		return "nvme";
	if (str_has_prefix(name, "vd"))
		return "virtio";
	if (str_has_prefix(name, "mmcblk"))
		return "mmc";
	if (strstr(devpath, "/usb"))
		return "usb";
	if (strstr(devpath, "/end_device-"))
		return "sas";
	if (strstr(devpath, "/rport-"))
		return "fc";
	if (strstr(devpath, "/session"))
		return "iscsi";
	if (!at || sscanf(at, "/host%u", &host) != 1)
		return NULL;
	_cleanup_(freep) char *driver = hw_read(root, "/sys/class/scsi_host/host%u/proc_name",
						host);
	if (driver && (streq(driver, "ahci") || str_has_prefix(driver, "sata")))
		return "sata";
	return driver && strstr(driver, "ata") ? "ata" : NULL;
}

static void read_hctl(const char *root, const char *name, struct hw_disk *d)
{
	_cleanup_(freep) char *device = hw_link_name(root, "/sys/block/%s/device", name);
	unsigned n[4];
	if (device && sscanf(device, "%u:%u:%u:%u", &n[0], &n[1], &n[2], &n[3]) == 4)
		d->hctl = TAKE_PTR(device);
}

/* Which of its names has another disk, too? Such a name says which disk is meant no more than none
 * would: it is kept, so that a hint with it can be refused with the disks that have it, and never
 * told. */
static void find_shared_names(struct hw_disks *list)
{
	for (size_t i = 0; i < list->count; i++)
		for (size_t k = 0; k < list->count; k++)
			for (size_t a = 0; k != i && list->items[i].by_paths.items[a]; a++)
				for (size_t b = 0; list->items[k].by_paths.items[b]; b++)
					list->items[i].by_path_shared[a] |= streq(
						list->items[i].by_paths.items[a],
						list->items[k].by_paths.items[b]);
}

static void choose_by_path(struct hw_disk *d)
{
	for (size_t i = 0; d->by_paths.items[i] && !d->by_path; i++)
		if (!d->by_path_shared[i])
			d->by_path = d->by_paths.items[i];
}

/* --- which devices --------------------------------------------------------------------------- */

static bool is_multipath(const char *root, const char *name)
{
	_cleanup_(freep) char *uuid = hw_read(root, "/sys/block/%s/dm/uuid", name);
	return uuid && str_has_prefix(uuid, "mpath-");
}

/* A path of NVMe's own multipathing, which has no device node: the disk is the other one. */
static bool is_hidden(const char *root, const char *name)
{
	uint64_t hidden = 0;
	return hw_read_u64(root, &hidden, "/sys/block/%s/hidden", name) && hidden;
}

/* The device mapper is taken for multipath only: LVM and LUKS volumes are contents. */
static bool is_disk(const char *root, const char *name)
{
	static const char *const others[] = {
		"loop", "ram", "zram", "sr", "fd", "nbd", "mtdblock"
	};
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (str_has_prefix(name, others[i]) &&
		    isdigit((unsigned char)name[strlen(others[i])]))
			return false;
	if (is_hidden(root, name))
		return false;
	return !str_has_prefix(name, "dm-") || is_multipath(root, name);
}

/* The assembled device stands for its members. */
static bool is_member(const char *root, const char *name)
{
	bool found = false;
	struct hw_names holders = hw_list(root, "/sys/block/%s/holders", name);
	for (size_t i = 0; i < holders.count; i++)
		found |= str_has_prefix(holders.items[i], "md") ||
			 is_multipath(root, holders.items[i]);
	hw_names_done(&holders);
	return found;
}

static void read_disk(const char *root, const char *name, struct hw_disk *d)
{
	uint64_t sectors = 0, logical = SECTOR_UNIT, physical = SECTOR_UNIT, flag = 0;
	(void)hw_read_u64(root, &sectors, "/sys/block/%s/size", name);
	(void)hw_read_u64(root, &logical, "/sys/block/%s/queue/logical_block_size", name);
	(void)hw_read_u64(root, &physical, "/sys/block/%s/queue/physical_block_size", name);
	d->name = xasprintf("/dev/%s", name);
	d->size = sectors * SECTOR_UNIT;
	d->logical = (uint32_t)logical;
	d->physical = (uint32_t)physical;
	d->rotational = hw_read_u64(root, &flag, "/sys/block/%s/queue/rotational", name) && flag;
	d->read_only = hw_read_u64(root, &flag, "/sys/block/%s/ro", name) && flag;
	bool removable = hw_read_u64(root, &flag, "/sys/block/%s/removable", name) && flag;
	d->member = is_member(root, name);
	read_hctl(root, name, d);
	/* Paths are read from the link's text: resolving it would need the real /sys. */
	_cleanup_(freep) char *link = hw_link(root, "/sys/block/%s", name);
	const char *devpath = link ? strstr(link, "devices/") : NULL;
	if (devpath) {
		devpath += strlen("devices/");
		d->by_paths = hw_path_names(root, devpath);
		d->tran = transport(root, name, devpath);
	}
	hw_identity_read(root, name, devpath, d);
	d->media = removable && streq(d->tran, "usb") && d->size < MEDIA_MAX;
}

struct hw_disks hw_disks_read(const char *root)
{
	struct hw_disks list = { 0 };
	struct hw_names names = hw_list(root, "/sys/block");
	list.items = xcalloc(names.count + 1, sizeof(*list.items));
	for (size_t i = 0; i < names.count; i++) {
		uint64_t size = 0;
		if (!is_disk(root, names.items[i]) ||
		    !hw_read_u64(root, &size, "/sys/block/%s/size", names.items[i]) || size == 0)
			continue;
		read_disk(root, names.items[i], &list.items[list.count++]);
	}
	hw_names_done(&names);
	find_shared_names(&list);
	for (size_t i = 0; i < list.count; i++)
		choose_by_path(&list.items[i]);
	return list;
}

void hw_disks_done(struct hw_disks *d)
{
	for (size_t i = 0; i < d->count; i++) {
		struct hw_disk *k = &d->items[i];
		char *const owned[] = { k->name,   k->model,
					k->vendor, k->serial,
					k->wwn,	   k->wwn_with_extension,
					k->hctl,   k->wwn_vendor_extension };
		for (size_t n = 0; n < ARRAY_SIZE(owned); n++)
			free(owned[n]);
		for (size_t n = 0; n < HW_SERIALS_MAX; n++)
			free(k->serials[n]);
		hw_path_names_done(&k->by_paths);
	}
	free(d->items);
	*d = (struct hw_disks){ 0 };
}

/* --- for users ------------------------------------------------------------------------------- */

char *hw_disk_node(const char *root, const char *name)
{
	return xasprintf("%s%s", root, name);
}

bool hw_disk_usable(const struct hw_disk *d)
{
	return !d->member && !d->media && !d->read_only;
}

struct disk_facts hw_disk_facts(const struct hw_disk *d)
{
	struct disk_facts f = {
		.name = d->name,
		.model = d->model,
		.vendor = d->vendor,
		.wwns = { d->wwn },
		.wwn_with_extension = d->wwn_with_extension,
		.wwn_vendor_extension = d->wwn_vendor_extension,
		.hctl = d->hctl,
		.tran = d->tran,
		.size = d->size,
		.rotational = d->rotational,
	};
	if (d->wwn)
		f.wwns[1] = d->wwn_with_extension;
	for (size_t i = 0; i < HW_SERIALS_MAX; i++)
		f.serials[i] = d->serials[i];
	for (size_t i = 0; i < HW_PATH_NAMES_MAX; i++)
		f.by_paths[i] = d->by_paths.items[i];
	return f;
}

const struct hw_disk *hw_disks_root(const struct hw_disks *d, const struct json *hints,
				    struct err *err)
{
	_cleanup_(freep) struct disk_facts *facts = xcalloc(d->count + 1, sizeof(*facts));
	_cleanup_(freep) size_t *which = xcalloc(d->count + 1, sizeof(*which));
	size_t count = 0;
	for (size_t i = 0; i < d->count; i++) {
		if (!hw_disk_usable(&d->items[i]))
			continue;
		facts[count] = hw_disk_facts(&d->items[i]);
		which[count++] = i;
	}
	int found = disk_hints_choose(hints, facts, count, err);
	return found >= 0 ? &d->items[which[found]] : NULL;
}

struct json *hw_disk_json(const struct hw_disk *d)
{
	const struct {
		const char *key, *value;
	} texts[] = {
		{ "model", d->model },
		{ "wwn", d->wwn },
		{ "serial", d->serial },
		{ "vendor", d->vendor },
		{ "wwn_with_extension", d->wwn_with_extension },
		{ "wwn_vendor_extension", d->wwn_vendor_extension },
		{ "hctl", d->hctl },
		{ "by_path", d->by_path },
		{ "tran", d->tran },
	};
	struct json *j = json_new_object();
	json_set_string(j, "name", d->name);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		json_set(j, texts[i].key, json_new_string(texts[i].value)); /* absent: null */
	json_set_int(j, "size", (int64_t)d->size);
	json_set_bool(j, "rotational", d->rotational);
	json_set_int(j, "logical_sectors", d->logical);
	json_set_int(j, "physical_sectors", d->physical);
	return j;
}
