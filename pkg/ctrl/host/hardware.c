/* See hardware.h. Agents tell all of it; a BMC may leave out any part. */

#include "ctrl/host/hardware.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

/* A number that nobody told is no zero. */
static void copy_int(struct json *to, const char *key, const struct json *from, const char *member)
{
	if (json_get(from, member))
		json_set_int(to, key, json_get_int(from, member, 0));
}

static struct json *system_vendor(const struct json *inventory)
{
	const struct json *v = json_get(inventory, "system_vendor");
	struct json *out = json_new_object();
	json_set_string(out, "manufacturer", json_get_string(v, "manufacturer"));
	json_set_string(out, "productName", json_get_string(v, "product_name"));
	json_set_string(out, "serialNumber", json_get_string(v, "serial_number"));
	return out;
}

static struct json *firmware(const struct json *inventory)
{
	const struct json *f = json_get_path(inventory, "system_vendor.firmware");
	struct json *out = json_new_object(), *bios = json_make_object(out, "bios");
	json_set_string(bios, "vendor", json_get_string(f, "vendor"));
	json_set_string(bios, "version", json_get_string(f, "version"));
	json_set_string(bios, "date", json_get_string(f, "build_date"));
	return out;
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static struct json *sorted_flags(const struct json *flags)
{
	size_t count = 0;
	_cleanup_(freep) const char **list = xcalloc(json_count(flags) + 1, sizeof(*list));
	json_for_each(f, flags) {
		if (json_string(f))
			list[count++] = json_string(f);
	}
	qsort(list, count, sizeof(*list), compare_strings);
	struct json *out = json_new_array();
	for (size_t i = 0; i < count; i++)
		json_append(out, json_new_string(list[i]));
	return out;
}

static struct json *cpu(const struct json *inventory)
{
	const struct json *c = json_get(inventory, "cpu");
	struct json *out = json_new_object();
	json_set_string(out, "arch", json_get_string(c, "architecture"));
	json_set_string(out, "model", json_get_string(c, "model_name"));
	/* A string of MHz with decimals, "3500.0000". */
	const char *frequency = json_get_string(c, "frequency");
	if (frequency)
		json_set_int(out, "clockMegahertz", (int64_t)strtod(frequency, NULL));
	copy_int(out, "count", c, "count");
	json_set(out, "flags", sorted_flags(json_get(c, "flags")));
	return out;
}

/* --- network ---------------------------------------------------------------------------------- */

/* boot.pxe_interface comes as "01-aa-bb-…", "aa:bb:…" or "aa-bb-…". */
static bool is_boot_interface(const struct json *inspection, const char *mac)
{
	const char *boot = json_get_path_string(inspection, "inventory.boot.pxe_interface");
	if (str_empty(boot))
		boot = json_get_string(inspection, "boot_interface");
	if (str_empty(boot) || str_empty(mac))
		return false;
	if (strlen(boot) == 20 && str_has_prefix(boot, "01-"))
		boot += 3;
	if (strlen(boot) != strlen(mac))
		return false;
	for (size_t i = 0; boot[i]; i++) {
		char a = boot[i] == '-' ? ':' : boot[i], b = mac[i];
		if ((a | 0x20) != (b | 0x20))
			return false;
	}
	return true;
}

static void add_nic(struct json *nics, const struct json *inspection, const struct json *i,
		    const char *ip)
{
	const char *mac = json_get_string(i, "mac_address");
	const char *vendor = str_or(json_get_string(i, "vendor"), "");
	const char *product = str_or(json_get_string(i, "product"), "");
	_cleanup_(freep) char *model = xasprintf("%s%s%s", vendor, *vendor ? " " : "", product);
	struct json *nic = json_append(nics, json_new_object());
	json_set_string(nic, "name", json_get_string(i, "name"));
	json_set_string(nic, "model", model);
	json_set_string(nic, "mac", mac);
	json_set_string(nic, "ip", ip);
	int64_t mbps = json_get_int(i, "speed_mbps", 0);
	if (mbps >= 1000)
		json_set_int(nic, "speedGbps", mbps / 1000);
	if (is_boot_interface(inspection, mac))
		json_set_bool(nic, "pxe", true);
	json_set_string(nic, "pciAddress", json_get_string(i, "pci_address"));
}

/* A NIC with an address of each family gives two entries, one without any gives one with none. */
static struct json *nics(const struct json *inspection)
{
	struct json *out = json_new_array();
	json_for_each(i, json_get_path(inspection, "inventory.interfaces")) {
		const char *v4 = json_get_string(i, "ipv4_address"),
			   *v6 = json_get_string(i, "ipv6_address");
		if (!str_empty(v4) || str_empty(v6))
			add_nic(out, inspection, i, v4);
		if (!str_empty(v6))
			add_nic(out, inspection, i, v6);
	}
	return out;
}

/* --- storage ---------------------------------------------------------------------------------- */

/* Agents know the kernel's name of a disk, BMCs its type. */
static const char *disk_type(const struct json *d)
{
	if (json_get_string(d, "type"))
		return json_get_string(d, "type");
	if (json_get_bool(d, "rotational", false))
		return "HDD";
	return str_has_prefix(json_get_string(d, "name"), "/dev/nvme") ? "NVME" : "SSD";
}

static void add_disk(struct json *storage, const struct json *d)
{
	const char *name = json_get_string(d, "name"), *by_path = json_get_string(d, "by_path");
	struct json *disk = json_append(storage, json_new_object());
	json_set_string(disk, "name", str_or(by_path, name));
	struct json *alternates = json_set(disk, "alternateNames", json_new_array());
	if (name)
		json_append(alternates, json_new_string(name));
	if (!str_empty(by_path))
		json_append(alternates, json_new_string(by_path));
	if (!json_get(d, "type") || json_get_string(d, "type")) { /* null: the BMC does not know */
		json_set_bool(disk, "rotational", json_get_bool(d, "rotational", false));
		json_set_string(disk, "type", disk_type(d));
	}
	copy_int(disk, "sizeBytes", d, "size");
	static const char *const strings[][2] = {
		{ "vendor", "vendor" },
		{ "model", "model" },
		{ "serialNumber", "serial" },
		{ "wwn", "wwn" },
		{ "wwnVendorExtension", "wwn_vendor_extension" },
		{ "wwnWithExtension", "wwn_with_extension" },
		{ "hctl", "hctl" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(strings); i++) {
		const char *value = json_get_string(d, strings[i][1]);
		if (!str_empty(value))
			json_set_string(disk, strings[i][0], value);
	}
}

struct json *hardware_details(const struct json *inspection)
{
	const struct json *inventory = json_get(inspection, "inventory");
	struct json *out = json_new_object();
	json_set(out, "systemVendor", system_vendor(inventory));
	json_set(out, "firmware", firmware(inventory));
	copy_int(out, "ramMebibytes", json_get(inventory, "memory"), "physical_mb");
	json_set(out, "nics", nics(inspection));
	struct json *storage = json_set(out, "storage", json_new_array());
	json_for_each(d, json_get(inventory, "disks")) {
		add_disk(storage, d);
	}
	json_set(out, "cpu", cpu(inventory));
	json_set_string(out, "hostname", json_get_string(inventory, "hostname"));
	return out;
}
