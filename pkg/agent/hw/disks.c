/* Disks by sysfs: identification pages of SCSI come from the kernel's copies (vpd_pg80, wwid),
 * which it makes for ATA disks as well. by-path names follow systemd's path_id for PCI, ATA, SCSI,
 * SAS, USB, NVMe and virtio. */

#include "agent/hw/disks.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/hw/sysfs.h"
#include "base/mem.h"
#include "base/str.h"

#define MEDIA_MAX (UINT64_C(4) << 30)
#define BY_PATH	  "/dev/disk/by-path/"

enum { SECTOR_UNIT = 512, NAA_SHORT = 16, NAA_LONG = 32 };

/* --- by-path --------------------------------------------------------------------------------- */

struct place {
	char *pci, *bus, *bus_compat, *unit; /* parts of the name, in their order */
};

static void place_done(struct place *p)
{
	free(p->pci);
	free(p->bus);
	free(p->bus_compat);
	free(p->unit);
}

static void set(char **slot, char *value)
{
	free(*slot);
	*slot = value;
}

static bool is_pci(const char *part)
{
	unsigned domain, bus, slot, function;
	char rest;
	return sscanf(part, "%4x:%2x:%2x.%1x%c", &domain, &bus, &slot, &function, &rest) == 4;
}

/* udev counts SCSI hosts from the lowest one of the same parent. */
static unsigned lowest_host(const char *root, const char *devpath, const char *host)
{
	int parent_len = (int)(host - devpath);
	unsigned lowest = UINT32_MAX, number;
	struct hw_names names = hw_list(root, "/sys/devices/%.*s", parent_len, devpath);
	for (size_t i = 0; i < names.count; i++)
		if (sscanf(names.items[i], "host%u", &number) == 1)
			lowest = MIN(lowest, number);
	hw_names_done(&names);
	return lowest == UINT32_MAX ? 0 : lowest;
}

static void place_scsi(const char *root, const char *devpath, const char *hctl, struct place *p)
{
	unsigned host, bus, target, lun, number;
	const char *at = strstr(devpath, "/host");
	if (sscanf(hctl, "%u:%u:%u:%u", &host, &bus, &target, &lun) != 4)
		return;
	const char *ata = strstr(devpath, "/ata"), *end_device = strstr(devpath, "/end_device-");
	if (ata && sscanf(ata, "/ata%u/", &number) == 1) {
		uint64_t port = number;
		(void)hw_read_u64(root, &port, "/sys/class/ata_port/ata%u/port_no", number);
		set(&p->unit, bus ? xasprintf("ata-%llu.%u.0", (unsigned long long)port, bus)
				  : xasprintf("ata-%llu.%u", (unsigned long long)port, target));
		set(&p->bus_compat, xasprintf("ata-%llu", (unsigned long long)port));
		return;
	}
	if (end_device) {
		int len = (int)strcspn(end_device + 1, "/");
		const char *expander = strstr(devpath, "/expander-");
		_cleanup_(freep) char *phy = hw_read(
			root, "/sys/class/sas_device/%.*s/phy_identifier", len, end_device + 1);
		_cleanup_(freep) char *address =
			!expander ? NULL
				  : hw_read(root, "/sys/class/sas_device/%.*s/sas_address",
					    (int)strcspn(expander + 1, "/"), expander + 1);
		if (phy && address)
			set(&p->unit, xasprintf("sas-exp%s-phy%s-lun-%u", address, phy, lun));
		else if (phy)
			set(&p->unit, xasprintf("sas-phy%s-lun-%u", phy, lun));
		return;
	}
	host -= at ? MIN(host, lowest_host(root, devpath, at + 1)) : 0;
	set(&p->unit, xasprintf("scsi-%u:%u:%u:%u", host, bus, target, lun));
}

/* One part of the path; `rest` begins with it. */
static void place_part(const char *root, const char *devpath, const char *part, struct place *p)
{
	unsigned a, b, c, d;
	char rest;
	const char *dash = strchr(part, '-');
	if (is_pci(part)) {
		set(&p->pci, xasprintf("pci-%s", part));
	} else if (dash && strchr(dash, ':') && isdigit((unsigned char)part[0])) {
		set(&p->bus, xasprintf("usb-0:%s", dash + 1)); /* "1-1.2:1.0", an interface */
	} else if (sscanf(part, "%u:%u:%u:%u%c", &a, &b, &c, &d, &rest) == 4) {
		place_scsi(root, devpath, part, p);
	} else if (sscanf(part, "nvme%un%u%c", &a, &b, &rest) == 2) {
		uint64_t nsid = b;
		(void)hw_read_u64(root, &nsid, "/sys/devices/%s/nsid", devpath);
		set(&p->unit, xasprintf("nvme-%llu", (unsigned long long)nsid));
	}
}

/* "pci-…" [-"usb-…"] [-unit] */
static char *join(const struct place *p, const char *unit)
{
	struct strbuf out = { 0 };
	strbuf_adds(&out, p->pci);
	if (p->bus)
		strbuf_addf(&out, "-%s", p->bus);
	if (unit)
		strbuf_addf(&out, "-%s", unit);
	return strbuf_take(&out, NULL);
}

char *hw_disk_by_path(const char *root, const char *devpath, char **ret_compat)
{
	_cleanup_(place_done) struct place p = { 0 };
	_cleanup_(freep) char *copy = xstrdup(devpath);
	char *save = NULL;
	*ret_compat = NULL;
	for (char *part = strtok_r(copy, "/", &save); part; part = strtok_r(NULL, "/", &save))
		place_part(root, devpath, part, &p);
	if (!p.pci)
		return NULL;
	if (p.bus_compat)
		*ret_compat = join(&p, p.bus_compat);
	return join(&p, p.unit);
}

/* --- identity -------------------------------------------------------------------------------- */

/* Full model of ATA disks, 40 characters with each pair swapped, from the IDENTIFY data in VPD
 * 0x89. */
static char *ata_model(const char *root, const char *name)
{
	enum { IDENTIFY_AT = 60, MODEL_AT = IDENTIFY_AT + 54, MODEL_LEN = 40 };
	size_t len = 0;
	char model[MODEL_LEN + 1] = "";
	_cleanup_(freep)
		uint8_t *page = hw_read_bytes(root, &len, "/sys/block/%s/device/vpd_pg89", name);
	if (!page || len < MODEL_AT + MODEL_LEN)
		return NULL;
	for (size_t i = 0; i < MODEL_LEN; i++)
		model[i] = (char)page[MODEL_AT + (i ^ 1)];
	size_t n = strlen(model);
	while (n > 0 && model[n - 1] == ' ')
		n--;
	return n > 0 ? hw_clean(xstrndup(model, n)) : NULL;
}

/* VPD 0x80: four bytes of head, then the serial number with blanks around. */
static char *scsi_serial(const char *root, const char *name)
{
	size_t len = 0;
	_cleanup_(freep) char *page = (char *)hw_read_bytes(root, &len,
							    "/sys/block/%s/device/vpd_pg80", name);
	if (!page || len <= 4)
		return NULL;
	char *start = page + 4, *end = page + MIN(len, 4 + (size_t)(uint8_t)page[3]);
	while (start < end && *start == ' ')
		start++;
	while (end > start && (end[-1] == ' ' || end[-1] == '\0'))
		end--;
	return end > start ? hw_clean(xstrndup(start, (size_t)(end - start))) : NULL;
}

static char *read_line(const char *root, const char *name, const char *file)
{
	char *text = hw_read(root, "/sys/block/%s/%s", name, file);
	return text ? hw_clean(text) : NULL;
}

/* virtio and NVMe have a file; SCSI and ATA have the page. */
static char *read_serial(const char *root, const char *name)
{
	char *serial = read_line(root, name, "serial");
	if (!serial)
		serial = read_line(root, name, "device/serial");
	return serial ? serial : scsi_serial(root, name);
}

/* "naa.5000…": udev's ID_WWN is the first 64 bits, the vendor's extension the other 64. */
static void take_wwid(struct hw_disk *d, const char *wwid)
{
	if (str_has_prefix(wwid, "eui.") || str_has_prefix(wwid, "nvme.") ||
	    str_has_prefix(wwid, "uuid.")) {
		d->wwn = xstrdup(wwid);
		return;
	}
	if (!str_has_prefix(wwid, "naa."))
		return;
	const char *hex = wwid + 4;
	if (strlen(hex) != NAA_SHORT && strlen(hex) != NAA_LONG)
		return;
	d->wwn = xasprintf("0x%.16s", hex);
	d->wwn_with_extension = xasprintf("0x%s", hex);
	if (strlen(hex) == NAA_LONG)
		d->wwn_vendor_extension = xasprintf("0x%s", hex + NAA_SHORT);
}

/* sysfs cuts ATA models at 16 characters: the identify page has all 40. */
static void read_identity(const char *root, const char *name, struct hw_disk *d)
{
	_cleanup_(freep) char *wwid = read_line(root, name, "wwid");
	if (!wwid)
		wwid = read_line(root, name, "device/wwid");
	if (wwid)
		take_wwid(d, wwid);
	d->vendor = read_line(root, name, "device/vendor");
	d->model = streq(d->vendor, "ATA") ? ata_model(root, name) : NULL;
	if (!d->model)
		d->model = read_line(root, name, "device/model");
	d->serial = read_serial(root, name);
}

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

/* Paths are read from the link's text: resolving it would need the real /sys. */
static void read_place(const char *root, const char *name, struct hw_disk *d)
{
	_cleanup_(freep) char *link = hw_link(root, "/sys/block/%s", name);
	_cleanup_(freep) char *compat = NULL;
	_cleanup_(freep) char *device = hw_link_name(root, "/sys/block/%s/device", name);
	unsigned a, b, c, e;
	const char *devpath = link ? strstr(link, "devices/") : NULL;
	if (device && sscanf(device, "%u:%u:%u:%u", &a, &b, &c, &e) == 4)
		d->hctl = TAKE_PTR(device);
	if (!devpath)
		return;
	devpath += strlen("devices/");
	_cleanup_(freep) char *by_path = hw_disk_by_path(root, devpath, &compat);
	if (by_path)
		d->by_path = xasprintf(BY_PATH "%s", by_path);
	if (compat)
		d->by_path_compat = xasprintf(BY_PATH "%s", compat);
	d->tran = transport(root, name, devpath);
}

/* --- which devices --------------------------------------------------------------------------- */

static bool is_multipath(const char *root, const char *name)
{
	_cleanup_(freep) char *uuid = hw_read(root, "/sys/block/%s/dm/uuid", name);
	return uuid && str_has_prefix(uuid, "mpath-");
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
	read_identity(root, name, d);
	read_place(root, name, d);
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
	return list;
}

void hw_disks_done(struct hw_disks *d)
{
	for (size_t i = 0; i < d->count; i++) {
		struct hw_disk *k = &d->items[i];
		char *const owned[] = { k->name,	  k->model,   k->vendor,
					k->serial,	  k->wwn,     k->wwn_with_extension,
					k->hctl,	  k->by_path, k->wwn_vendor_extension,
					k->by_path_compat };
		for (size_t n = 0; n < ARRAY_SIZE(owned); n++)
			free(owned[n]);
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
		.serials = { d->serial },
		.wwns = { d->wwn },
		.wwn_with_extension = d->wwn_with_extension,
		.wwn_vendor_extension = d->wwn_vendor_extension,
		.hctl = d->hctl,
		.by_paths = { d->by_path },
		.tran = d->tran,
		.size = d->size,
		.rotational = d->rotational,
	};
	if (d->wwn)
		f.wwns[1] = d->wwn_with_extension;
	if (d->by_path)
		f.by_paths[1] = d->by_path_compat;
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
