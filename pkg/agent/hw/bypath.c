/* The rule of path_id, written anew after its behaviour in systemd 252 to 257: walk from the disk
 * up to the root of the device tree, and let each bus on the way put its part in front. What a
 * directory of sysfs is, its `subsystem` link tells; made-up trees without such links are read by
 * the names that the kernel gives.
 *
 * A bus that repeats (a PCI device behind PCI bridges) counts once, with the device next to the
 * disk; another host bridge on the way (Intel VMD) begins anew. No name at all is given where no
 * bus says where it is attached, or where a block device's transport is unknown: such names would
 * be shared by several disks. */

#include "agent/hw/bypath.h"

#include <ctype.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/hw/sysfs.h"
#include "base/mem.h"
#include "base/str.h"

enum { SUBSYSTEM_MAX = 32 };

struct walk {
	const char *root, *disk; /* the disk's path */
	char at[PATH_MAX];	 /* the device that is looked at */
	char *path, *compat;
	unsigned usb;	/* revision of the root hub; 0: none, or unknown */
	bool transport; /* how the disk is attached is known */
	bool parent;	/* and where */
};

/* --- the device tree ------------------------------------------------------------------------- */

static const char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* Does the whole text have that form? `fmt` ends with "%n". */
#define IS_FORM(text, fmt, ...)                                                                    \
	({                                                                                         \
		int _end = 0;                                                                      \
		(void)sscanf(text, fmt, __VA_ARGS__, &_end);                                       \
		_end > 0 && (text)[_end] == '\0';                                                  \
	})

static bool is_hctl(const char *name, unsigned out[4])
{
	return IS_FORM(name, "%u:%u:%u:%u%n", &out[0], &out[1], &out[2], &out[3]);
}

static bool is_usb(const char *name)
{
	unsigned bus;
	const char *dash = strchr(name, '-');
	if (IS_FORM(name, "usb%u%n", &bus))
		return true;
	/* "1-1.2", a device, and "1-1.2:1.0", an interface */
	return dash && isdigit((unsigned char)name[0]) && isdigit((unsigned char)dash[1]) &&
	       strspn(name, "0123456789") == (size_t)(dash - name) &&
	       dash[1 + strspn(dash + 1, "0123456789.:")] == '\0';
}

static bool is_ccw(const char *name)
{
	unsigned a, b, c;
	return IS_FORM(name, "%x.%x.%4x%n", &a, &b, &c);
}

static bool is_acpi(const char *name)
{
	size_t letters = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
	unsigned instance;
	return letters >= 5 && name[letters] == ':' &&
	       IS_FORM(name + letters + 1, "%2x%n", &instance);
}

/* By the names that the kernel gives; "": of none that matters here. */
static const char *guess_subsystem(const char *path)
{
	const char *name = name_of(path);
	unsigned n[4];
	if (IS_FORM(name, "%8x:%2x:%2x.%1x%n", &n[0], &n[1], &n[2], &n[3]))
		return "pci";
	if (is_hctl(name, n) || IS_FORM(name, "host%u%n", n) ||
	    IS_FORM(name, "target%u:%u:%u%n", &n[0], &n[1], &n[2]))
		return "scsi";
	if (is_usb(name))
		return "usb";
	if (IS_FORM(name, "virtio%u%n", n))
		return "virtio";
	if (IS_FORM(name, "nvme%u%n", n))
		return "nvme";
	if (IS_FORM(name, "nvme-subsys%u%n", n))
		return "nvme-subsystem";
	if (IS_FORM(name, "vbd-%u%n", n))
		return "xen";
	if (str_has_prefix(path, "platform/") && name == path + strlen("platform/"))
		return "platform";
	/* The first bus ID below css0 is that of the subchannel. */
	if (str_has_prefix(path, "css0/") && is_ccw(name) &&
	    name > path + 5 + strcspn(path + 5, "/"))
		return "ccw";
	return str_has_prefix(path, "LNXSYSTM:") && is_acpi(name) ? "acpi" : "";
}

static bool is_host_bridge(const char *path)
{
	unsigned domain, bus;
	return IS_FORM(name_of(path), "pci%x:%2x%n", &domain, &bus);
}

/* Devices of SCSI transports have no subsystem. */
static bool is_transport(const char *name)
{
	static const char *const forms[] = { "ata",   "end_device-", "expander-",
					     "port-", "rport-",	     "session" };
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
		if (str_has_prefix(name, forms[i]) &&
		    isdigit((unsigned char)name[strlen(forms[i])]))
			return true;
	/* vmbus: a GUID */
	return strlen(name) == 36 && strspn(name, "0123456789abcdef-") == 36;
}

/* Directories that only group devices ("block", "nvme") are none. */
static bool is_device(const char *root, const char *path)
{
	return hw_exists(root, "/sys/devices/%s/uevent", path) ||
	       hw_exists(root, "/sys/devices/%s/subsystem", path) || *guess_subsystem(path) ||
	       is_transport(name_of(path)) || is_host_bridge(path);
}

static void get_subsystem(const char *root, const char *path, char out[SUBSYSTEM_MAX])
{
	_cleanup_(freep) char *link = hw_link_name(root, "/sys/devices/%s/subsystem", path);
	bool none = !link && hw_exists(root, "/sys/devices/%s/uevent", path);
	snprintf(out, SUBSYSTEM_MAX, "%s", link ? link : none ? "" : guess_subsystem(path));
}

static bool in_subsystem(const char *root, const char *path, const char *subsystem)
{
	char is[SUBSYSTEM_MAX];
	get_subsystem(root, path, is);
	return streq(is, subsystem);
}

/* Makes a path that of its parent; false at the top. */
static bool go_up(const char *root, char *path)
{
	for (char *slash; (slash = strrchr(path, '/'));) {
		*slash = '\0';
		if (is_device(root, path))
			return true;
	}
	return false;
}

/* To the outermost device of the same bus. */
static void skip_subsystem(struct walk *w, const char *subsystem)
{
	char next[PATH_MAX];
	snprintf(next, sizeof(next), "%s", w->at);
	while (go_up(w->root, next) && in_subsystem(w->root, next, subsystem))
		snprintf(w->at, sizeof(w->at), "%s", next);
}

/* The nearest device above whose name begins so. */
static bool find_above(const struct walk *w, const char *prefix, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s", w->at);
	while (go_up(w->root, out))
		if (str_has_prefix(name_of(out), prefix))
			return true;
	return false;
}

/* --- parts of the name ----------------------------------------------------------------------- */

static void prepend(char **slot, const char *fmt, ...) _printf_(2, 3);
static void prepend(char **slot, const char *fmt, ...)
{
	char part[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(part, sizeof(part), fmt, ap);
	va_end(ap);
	char *joined = *slot ? xasprintf("%s-%s", part, *slot) : xstrdup(part);
	free(*slot);
	*slot = joined;
}

/* Peripheral addressing as a number, all else as the eight bytes of SAM. */
static void format_lun(const char *hctl, char out[40])
{
	unsigned long lun = strtoul(strrchr(hctl, ':') + 1, NULL, 10);
	if (lun < 256)
		snprintf(out, 40, "lun-%lu", lun);
	else
		snprintf(out, 40, "lun-0x%04lx%04lx00000000", lun & 0xffff, lun >> 16 & 0xffff);
}

/* --- SCSI ------------------------------------------------------------------------------------ */

/* Each puts its part in front and leaves w->at where the walk goes on. False: the transport does
 * not tell where the disk is, and nothing above it is looked at. */

static bool scsi_fibre_channel(struct walk *w, const char *lun)
{
	char target[PATH_MAX];
	if (!find_above(w, "target", target))
		return false;
	_cleanup_(freep) char *port = hw_read(w->root, "/sys/class/fc_transport/%s/port_name",
					      name_of(target));
	if (port)
		prepend(&w->path, "fc-%s-%s", port, lun);
	return port != NULL;
}

static char *sas_attribute(const struct walk *w, const char *device, const char *attribute)
{
	return hw_read(w->root, "/sys/class/sas_device/%s/%s", name_of(device), attribute);
}

/* A port of one phy is named by that; a wide one by the address of the disk behind it. */
static bool scsi_sas(struct walk *w, const char *lun)
{
	char device[PATH_MAX], port[PATH_MAX];
	if (!find_above(w, "target", device) || !go_up(w->root, device))
		return false;
	snprintf(port, sizeof(port), "%s", device);
	if (!go_up(w->root, port))
		return false;
	_cleanup_(freep) char *phys = hw_read(w->root, "/sys/class/sas_port/%s/num_phys",
					      name_of(port));
	if (!phys)
		return false;
	bool wide = !streq(phys, "1");
	_cleanup_(freep) char *own = sas_attribute(w, device,
						   wide ? "sas_address" : "phy_identifier");
	if (!own)
		return false;
	if (wide) {
		prepend(&w->path, "sas-%s-%s", own, lun);
		return true;
	}
	/* Above the port is an expander, or the host, which has no address here. */
	bool above = go_up(w->root, port) &&
		     hw_exists(w->root, "/sys/class/sas_device/%s", name_of(port));
	_cleanup_(freep) char *expander = above ? sas_attribute(w, port, "sas_address") : NULL;
	if (above && !expander)
		return false;
	if (expander)
		prepend(&w->path, "sas-exp%s-phy%s-%s", expander, own, lun);
	else
		prepend(&w->path, "sas-phy%s-%s", own, lun);
	return true;
}

static bool scsi_iscsi(struct walk *w, const char *lun)
{
	char session[PATH_MAX];
	unsigned number = 0;
	if (!find_above(w, "session", session) ||
	    !IS_FORM(name_of(session), "session%u%n", &number))
		return false;
	_cleanup_(freep) char *target = hw_read(
		w->root, "/sys/class/iscsi_session/session%u/targetname", number);
	_cleanup_(freep) char *address = hw_read(
		w->root, "/sys/class/iscsi_connection/connection%u:0/persistent_address", number);
	_cleanup_(freep) char *port = hw_read(
		w->root, "/sys/class/iscsi_connection/connection%u:0/persistent_port", number);
	if (!target || !address || !port)
		return false;
	prepend(&w->path, "ip-%s:%s-iscsi-%s-%s", address, port, target, lun);
	return true;
}

static bool scsi_ata(struct walk *w, const char *lun)
{
	char port[PATH_MAX];
	unsigned n[4];
	(void)lun;
	if (!is_hctl(name_of(w->at), n) || !find_above(w, "host", port) || !go_up(w->root, port))
		return false;
	_cleanup_(freep) char *number = hw_read(w->root, "/sys/class/ata_port/%s/port_no",
						name_of(port));
	if (!number)
		return false;
	if (n[1]) /* behind a port multiplier */
		prepend(&w->path, "ata-%s.%u.0", number, n[1]);
	else /* master or slave */
		prepend(&w->path, "ata-%s.%u", number, n[2]);
	prepend(&w->compat, "ata-%s", number);
	return true;
}

/* "{f8b3781a-1e82-4818-a1c3-63d806ec15bb}" without dashes; newer kernels give it bare. */
static bool scsi_hyperv(struct walk *w, const char *lun)
{
	char host[PATH_MAX], guid[40];
	size_t len = 0;
	if (!find_above(w, "host", host) || !go_up(w->root, host))
		return false;
	_cleanup_(freep) char *id = hw_read(w->root, "/sys/devices/%s/device_id", host);
	if (!id || *id != '{' || id[strlen(id) - 1] != '}')
		return false;
	for (const char *p = id + 1; p[1] && len + 1 < sizeof(guid); p++)
		if (*p != '-')
			guid[len++] = *p;
	guid[len] = '\0';
	prepend(&w->path, "vmbus-%s-%s", guid, lun);
	return true;
}

/* Hosts are counted from the lowest one of the same parent. */
static bool scsi_other(struct walk *w, const char *lun)
{
	char host[PATH_MAX];
	unsigned n[4], lowest = UINT_MAX, number;
	(void)lun;
	if (!is_hctl(name_of(w->at), n) || !find_above(w, "host", host))
		return false;
	int parent_len = (int)(name_of(host) - host);
	struct hw_names names = hw_list(w->root, "/sys/devices/%.*s", parent_len, host);
	for (size_t i = 0; i < names.count; i++)
		if (IS_FORM(names.items[i], "host%u%n", &number))
			lowest = MIN(lowest, number);
	hw_names_done(&names);
	prepend(&w->path, "scsi-%u:%u:%u:%u", n[0] - MIN(n[0], lowest), n[1], n[2], n[3]);
	snprintf(w->at, sizeof(w->at), "%s", host);
	return true;
}

/* Transports have no subsystem; what stands in the path tells. The order is path_id's. */
static const struct {
	const char *in_path;
	bool (*name)(struct walk *w, const char *lun);
	bool parent;
} scsi_transports[] = {
	{ "/rport-", scsi_fibre_channel, true }, { "/end_device-", scsi_sas, true },
	{ "/session", scsi_iscsi, true },	 { "/ata", scsi_ata, false },
	{ "/vmbus_", scsi_hyperv, false },	 { "/VMBUS", scsi_hyperv, false },
};

static bool walk_scsi(struct walk *w)
{
	unsigned n[4];
	char lun[40];
	if (!is_hctl(name_of(w->at), n))
		return true; /* target or host */
	format_lun(name_of(w->at), lun);
	_cleanup_(freep) char *firewire = hw_read(w->root, "/sys/devices/%s/ieee1394_id", w->at);
	if (firewire) {
		prepend(&w->path, "ieee1394-0x%s", firewire);
		w->parent = true;
		skip_subsystem(w, "scsi");
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(scsi_transports); i++) {
		if (!strstr(w->at, scsi_transports[i].in_path))
			continue;
		w->parent |= scsi_transports[i].parent;
		return scsi_transports[i].name(w, lun);
	}
	return scsi_other(w, lun);
}

/* --- other buses ----------------------------------------------------------------------------- */

/* Two root hubs of one controller, for USB 2 and 3, number their ports alike: newer releases link
 * by the revision, too. */
static unsigned usb_revision(const struct walk *w)
{
	_cleanup_(freep) char *text = hw_read(w->root, "/sys/devices/%s/bDeviceProtocol", w->at);
	_cleanup_(freep) char *speed = hw_read(w->root, "/sys/devices/%s/speed", w->at);
	unsigned protocol = 0;
	if (!text || !IS_FORM(text, "%2x%n", &protocol))
		return 0;
	if (protocol == 0)
		return !speed ? 0 : streq(speed, "480") ? 2 : 1;
	return protocol <= 2 ? 2 : protocol == 3 ? 3 : 0;
}

static bool walk_usb(struct walk *w)
{
	const char *dash = strchr(name_of(w->at), '-');
	if (!dash)
		return true; /* a root hub */
	prepend(&w->path, "usb-0:%s", dash + 1);
	skip_subsystem(w, "usb");
	w->usb = usb_revision(w);
	return true;
}

static bool walk_cciss(struct walk *w)
{
	unsigned controller, disk;
	if (sscanf(name_of(w->at), "c%ud%u", &controller, &disk) != 2)
		return false;
	prepend(&w->path, "cciss-disk%u", disk);
	skip_subsystem(w, "cciss");
	return true;
}

/* The path of a controller below /sys/devices: by the link that its subsystem has to it, else by
 * its class. What is not attached to this machine's own buses (fabrics) has no place. */
static bool find_controller(const struct walk *w, const char *subsystem, char out[PATH_MAX])
{
	unsigned number;
	if (sscanf(name_of(w->disk), "nvme%u", &number) != 1)
		return false;
	_cleanup_(freep) char *link = hw_link(w->root, "/sys/devices/%s/nvme%u", subsystem, number);
	if (!link)
		link = hw_link(w->root, "/sys/class/nvme/nvme%u", number);
	if (!link)
		return false;
	const char *target = link;
	const char *devices = strstr(link, "/devices/");
	while (str_has_prefix(target, "../"))
		target += 3;
	if (devices)
		target = devices + strlen("/devices/");
	snprintf(out, PATH_MAX, "%s", target);
	return !str_has_prefix(out, "virtual/") && hw_exists(w->root, "/sys/devices/%s", out);
}

/* With native multipath the disk hangs on a subsystem, and that on controllers. */
static bool walk_nvme(struct walk *w)
{
	char controller[PATH_MAX];
	_cleanup_(freep) char *nsid = hw_read(w->root, "/sys/devices/%s/nsid", w->disk);
	bool shared = in_subsystem(w->root, w->at, "nvme-subsystem");
	if (!nsid)
		return true;
	if (shared && !find_controller(w, w->at, controller))
		return false;
	if (shared)
		snprintf(w->at, sizeof(w->at), "%s", controller);
	prepend(&w->path, "nvme-%s", nsid);
	skip_subsystem(w, "nvme");
	w->parent = w->transport = true;
	return true;
}

/* Buses whose disks path_id names; those of tapes, network and cryptographic devices are left out.
 */
static const struct bus {
	const char *subsystem;
	const char *prefix; /* with the device's name behind it; NULL: no part of its own */
	bool transport, parent;
	bool (*walk)(struct walk *w); /* instead of the prefix */
} buses[] = {
	{ "scsi", NULL, true, false, walk_scsi },
	{ "usb", NULL, true, false, walk_usb },
	{ "cciss", NULL, true, false, walk_cciss },
	{ "nvme", NULL, false, false, walk_nvme },
	{ "nvme-subsystem", NULL, false, false, walk_nvme },
	{ "virtio", NULL, true, false, NULL },
	{ "pci", "pci", false, true, NULL },
	{ "platform", "platform", true, true, NULL },
	{ "amba", "amba", true, true, NULL },
	{ "acpi", "acpi", false, true, NULL },
	{ "xen", "xen", false, true, NULL },
	{ "scm", "scm", true, true, NULL },
	{ "ccw", "ccw", true, true, NULL },
};

static bool walk_bus(struct walk *w, const struct bus *b)
{
	w->transport |= b->transport;
	if (b->walk)
		return b->walk(w);
	w->parent |= b->parent;
	if (b->prefix) {
		prepend(&w->path, "%s-%s", b->prefix, name_of(w->at));
		if (w->compat)
			prepend(&w->compat, "%s-%s", b->prefix, name_of(w->at));
	}
	skip_subsystem(w, b->subsystem);
	return true;
}

static bool walk_device(struct walk *w)
{
	char subsystem[SUBSYSTEM_MAX];
	get_subsystem(w->root, w->at, subsystem);
	for (size_t i = 0; i < ARRAY_SIZE(buses); i++)
		if (streq(buses[i].subsystem, subsystem))
			return walk_bus(w, &buses[i]);
	return true;
}

/* --- links ----------------------------------------------------------------------------------- */

/* udev puts '_' for what has no place in a name. */
static void add_name(struct hw_path_names *n, const char *fmt, ...) _printf_(2, 3);
static void add_name(struct hw_path_names *n, const char *fmt, ...)
{
	char name[1024];
	size_t i = 0;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	for (char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("#+-.:=@_/", *p))
			*p = '_';
	while (n->items[i])
		i++;
	n->items[i] = xasprintf("/dev/disk/by-path/%s", name);
}

static void add_links(const struct walk *w, struct hw_path_names *n)
{
	const char *disk = name_of(w->disk), *boot = strstr(disk, "boot"),
		   *usb = strstr(w->path, "-usb-0:");
	if (str_has_prefix(disk, "mmcblk") && boot) {
		add_name(n, "%s-%s", w->path, boot);
		return;
	}
	add_name(n, "%s", w->path);
	if (w->compat)
		add_name(n, "%s", w->compat);
	if (str_has_prefix(disk, "vd") && str_has_prefix(w->path, "pci-"))
		add_name(n, "virtio-%s", w->path);
	if (usb && w->usb)
		add_name(n, "%.*s-usbv%u-0:%s", (int)(usb - w->path), w->path, w->usb,
			 usb + strlen("-usb-0:"));
}

struct hw_path_names hw_path_names(const char *root, const char *devpath)
{
	struct hw_path_names names = { 0 };
	struct walk w = { .root = root, .disk = devpath };
	bool linked = !str_has_prefix(devpath, "virtual/") || strstr(devpath, "/nvme-subsys");
	if (!linked || strlen(devpath) >= sizeof(w.at))
		return names;
	snprintf(w.at, sizeof(w.at), "%s", devpath);
	/* The disk itself is a block device, and no bus. */
	while (go_up(root, w.at))
		if (!walk_device(&w))
			break;
	if (w.path && w.parent && w.transport)
		add_links(&w, &names);
	free(w.path);
	free(w.compat);
	return names;
}

void hw_path_names_done(struct hw_path_names *n)
{
	for (size_t i = 0; i < HW_PATH_NAMES_MAX; i++)
		free(n->items[i]);
	*n = (struct hw_path_names){ 0 };
}
