/* Model, vendor, serial numbers and WWN of a disk, from sysfs. People copy serial numbers from
 * lsblk or udev, which show different ones: the unit serial number, the one of the disk's
 * identifier (for many RAID controllers and SAS disks a WWN), and long forms with vendor and model.
 * All of them are put together here as lsblk (util-linux 2.38) and udev (ata_id, scsi_id, usb_id
 * and the rules for NVMe, virtio and MMC of systemd 252) do. */

#include "agent/hw/identity.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/hw/sysfs.h"
#include "agent/hw/vpd.h"
#include "base/mem.h"
#include "base/str.h"

enum { NAA_SHORT = 16, NAA_LONG = 32, VENDOR_LEN = 8, MODEL_LEN = 16 };

static char *read_line(const char *root, const char *name, const char *file)
{
	char *text = hw_read(root, "/sys/block/%s/%s", name, file);
	return text ? hw_clean(text) : NULL;
}

/* A page of vital product data of a SCSI disk. */
static uint8_t *read_page(const char *root, const char *name, const char *number, size_t *ret_len)
{
	return hw_read_bytes(root, ret_len, "/sys/block/%s/device/vpd_pg%s", name, number);
}

/* --- WWN ------------------------------------------------------------------------------------- */

/* "naa.5000…": udev's ID_WWN is the first 64 bits, the vendor's extension the other 64. */
static void take_naa(struct hw_disk *d, const char *hex)
{
	if (strlen(hex) != NAA_SHORT && strlen(hex) != NAA_LONG)
		return;
	d->wwn = xasprintf("0x%.16s", hex);
	d->wwn_with_extension = xasprintf("0x%s", hex);
	if (strlen(hex) == NAA_LONG)
		d->wwn_vendor_extension = xasprintf("0x%s", hex + NAA_SHORT);
}

static void take_wwid(struct hw_disk *d, const char *wwid)
{
	if (str_has_prefix(wwid, "eui.") || str_has_prefix(wwid, "nvme.") ||
	    str_has_prefix(wwid, "uuid."))
		d->wwn = xstrdup(wwid);
	else if (str_has_prefix(wwid, "naa."))
		take_naa(d, wwid + 4);
}

/* --- serial numbers -------------------------------------------------------------------------- */

static void add_serial(struct hw_disk *d, const char *text)
{
	size_t i = 0;
	if (str_empty(text))
		return;
	while (i < HW_SERIALS_MAX && d->serials[i] && !streq(d->serials[i], text))
		i++;
	if (i < HW_SERIALS_MAX && !d->serials[i])
		d->serials[i] = xstrdup(text);
}

/* What udev stores: '_' for each character that has no place in the name of a link; its programs
 * make one of a run of blanks, its rules do not. */
static void add_mangled(struct hw_disk *d, bool squeeze, char *text)
{
	size_t len = 0;
	for (const char *p = text; *p; p++) {
		bool good = isalnum((unsigned char)*p) || strchr("#+-.:=@_", *p);
		if (squeeze && *p == ' ' && (len == 0 || p[1] == ' ' || p[1] == '\0'))
			continue;
		text[len++] = good ? *p : '_';
	}
	text[len] = '\0';
	add_serial(d, text);
}

static void add_udev_serial(struct hw_disk *d, const char *fmt, ...) _printf_(2, 3);
static void add_udev_serial(struct hw_disk *d, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	add_mangled(d, true, text);
}

/* In front of numbers that are a vendor's own business: fields of fixed width, as INQUIRY has them.
 */
static void add_vendor_serial(struct hw_disk *d, char type, const char *number)
{
	add_udev_serial(d, "%c%-*.*s%-*.*s%s", type, VENDOR_LEN, VENDOR_LEN, str_or(d->vendor, ""),
			MODEL_LEN, MODEL_LEN, str_or(d->model, ""), number);
}

/* ata_id; disks behind most SAS controllers say ATA as well. */
static void add_ata_serials(const char *root, const char *name, struct hw_disk *d)
{
	size_t len = 0;
	_cleanup_(freep) uint8_t *page = read_page(root, name, "89", &len);
	_cleanup_(freep) char *own = page ? vpd_ata_serial(page, len) : NULL;
	const char *number = own ? own : d->serial;
	if (!streq(d->vendor, "ATA") || !number)
		return;
	add_udev_serial(d, "%s", number);
	add_udev_serial(d, "%s_%s", str_or(d->model, ""), number);
}

/* The identifier as the kernel chose it; old kernels and some drivers show no page 0x83. */
static char *identifier_of_wwid(const char *wwid)
{
	static const struct {
		const char *prefix;
		char type;
	} types[] = { { "naa.", '3' }, { "eui.", '2' }, { "t10.", '1' } };
	for (size_t i = 0; wwid && i < ARRAY_SIZE(types); i++)
		if (str_has_prefix(wwid, types[i].prefix))
			return xasprintf("%c%s", types[i].type, wwid + strlen(types[i].prefix));
	return NULL;
}

/* scsi_id. Which of several identifiers it takes, and which the kernel, may differ: both count. */
static void add_scsi_serials(const char *root, const char *name, const char *wwid,
			     struct hw_disk *d)
{
	size_t len = 0;
	bool vendor_specific = false;
	_cleanup_(freep) uint8_t *page = read_page(root, name, "83", &len);
	_cleanup_(freep) char *own = page ? vpd_identifier(page, len, &vendor_specific) : NULL;
	_cleanup_(freep) char *kernels = identifier_of_wwid(wwid);
	if (vendor_specific)
		add_vendor_serial(d, *own, own + 1);
	else if (own)
		add_udev_serial(d, "%s", own);
	if (own)
		add_udev_serial(d, "%s", own + 1);
	if (kernels) {
		add_udev_serial(d, "%s", kernels);
		add_udev_serial(d, "%s", kernels + 1);
	}
	if (!own && !kernels && d->serial)
		add_vendor_serial(d, 'S', d->serial);
}

/* The serial number of the USB device that the disk is a function of; NULL. */
static char *usb_serial(const char *root, const char *devpath)
{
	_cleanup_(freep) char *at = xstrdup(devpath);
	for (char *slash; (slash = strrchr(at, '/')); *slash = '\0') {
		const char *dash = strchr(slash, '-');
		if (dash && isdigit((unsigned char)slash[1]) && !strchr(slash, ':'))
			return hw_read(root, "/sys/devices/%s/serial", at);
	}
	return NULL;
}

/* usb_id. It leaves out numbers that are not printable. */
static void add_usb_serials(const char *root, const char *devpath, struct hw_disk *d)
{
	unsigned n[4];
	_cleanup_(freep) char *number = usb_serial(root, devpath);
	if (!number)
		return;
	for (const char *p = number; *p; p++)
		if (*p < ' ' || *p > '~' || *p == ',')
			return;
	add_udev_serial(d, "%s", number);
	if (d->hctl && sscanf(d->hctl, "%u:%u:%u:%u", &n[0], &n[1], &n[2], &n[3]) == 4)
		add_udev_serial(d, "%s_%s_%s-%u:%u", str_or(d->vendor, ""), str_or(d->model, ""),
				number, n[2], n[3]);
}

/* By the rules; the second form came with systemd 254. */
static void add_nvme_serials(const char *root, const char *name, struct hw_disk *d)
{
	_cleanup_(freep) char *nsid = read_line(root, name, "nsid");
	if (!d->serial || !d->model)
		return;
	_cleanup_(freep) char *text = xasprintf("%s_%s", d->model, d->serial);
	add_mangled(d, false, text);
	if (nsid)
		add_udev_serial(d, "%s_%s", text, nsid);
}

/* A multipath device is named by the identifier that its paths share. */
static void add_multipath_serials(const char *root, const char *name, struct hw_disk *d)
{
	_cleanup_(freep) char *uuid = read_line(root, name, "dm/uuid");
	if (!uuid || !str_has_prefix(uuid, "mpath-") || strlen(uuid) < strlen("mpath-") + 2)
		return;
	const char *identifier = uuid + strlen("mpath-");
	add_serial(d, identifier);
	add_serial(d, identifier + 1);
	if (*identifier == '3')
		take_naa(d, identifier + 1);
}

static void add_serials(const char *root, const char *name, const char *devpath, const char *wwid,
			struct hw_disk *d)
{
	add_serial(d, d->serial);
	if (d->serial)
		add_udev_serial(d, "%s", d->serial);
	if (str_has_prefix(name, "nvme"))
		add_nvme_serials(root, name, d);
	if (str_has_prefix(name, "dm-"))
		add_multipath_serials(root, name, d);
	if (devpath && strstr(devpath, "/usb"))
		add_usb_serials(root, devpath, d);
	add_ata_serials(root, name, d);
	if (d->hctl)
		add_scsi_serials(root, name, wwid, d);
}

/* virtio, NVMe and MMC have a file; SCSI and ATA have the page. It is the one that lsblk shows. */
static char *read_serial(const char *root, const char *name)
{
	size_t len = 0;
	char *serial = read_line(root, name, "serial");
	if (!serial)
		serial = read_line(root, name, "device/serial");
	if (serial)
		return serial;
	_cleanup_(freep) uint8_t *page = read_page(root, name, "80", &len);
	return page ? vpd_serial(page, len) : NULL;
}

static char *ata_model(const char *root, const char *name)
{
	size_t len = 0;
	_cleanup_(freep) uint8_t *page = read_page(root, name, "89", &len);
	return page ? vpd_ata_model(page, len) : NULL;
}

void hw_identity_read(const char *root, const char *name, const char *devpath, struct hw_disk *d)
{
	_cleanup_(freep) char *wwid = read_line(root, name, "wwid");
	if (!wwid)
		wwid = read_line(root, name, "device/wwid");
	if (wwid)
		take_wwid(d, wwid);
	d->vendor = read_line(root, name, "device/vendor");
	/* sysfs cuts the models of ATA disks at 16 characters. */
	d->model = streq(d->vendor, "ATA") ? ata_model(root, name) : NULL;
	if (!d->model)
		d->model = read_line(root, name, "device/model");
	d->serial = read_serial(root, name);
	add_serials(root, name, devpath, wwid, d);
}
