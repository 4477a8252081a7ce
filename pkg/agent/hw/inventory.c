/* The inventory put together from its parts. Member names and types are those of
 * ironic-python-agent, which consumers depend on: the frequency is a text, absent values are null.
 */

#include "agent/hw/inventory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "agent/hw/cpu.h"
#include "agent/hw/disks.h"
#include "agent/hw/ipmi.h"
#include "agent/hw/lldp.h"
#include "agent/hw/nics.h"
#include "agent/hw/sysfs.h"
#include "base/mem.h"
#include "base/str.h"

/* Text of a file; "" when absent, as the reference has it. */
static void set_file(struct json *j, const char *key, const char *root, const char *path)
{
	_cleanup_(freep) char *text = hw_read(root, "%s", path);
	json_set_string(j, key, text ? hw_clean(text) : "");
}

static struct json *system_vendor(const char *root)
{
	struct json *j = json_new_object();
	set_file(j, "product_name", root, "/sys/class/dmi/id/product_name");
	set_file(j, "serial_number", root, "/sys/class/dmi/id/product_serial");
	set_file(j, "manufacturer", root, "/sys/class/dmi/id/sys_vendor");
	struct json *firmware = json_make_object(j, "firmware");
	set_file(firmware, "vendor", root, "/sys/class/dmi/id/bios_vendor");
	set_file(firmware, "version", root, "/sys/class/dmi/id/bios_version");
	set_file(firmware, "build_date", root, "/sys/class/dmi/id/bios_date");
	return j;
}

const char *hw_boot_mode(const char *root)
{
	return hw_exists(root, "/sys/firmware/efi") ? "uefi" : "bios";
}

bool hw_has_disk(const char *root)
{
	struct hw_disks disks = hw_disks_read(root);
	bool found = false;
	for (size_t i = 0; i < disks.count; i++)
		found |= hw_disk_usable(&disks.items[i]);
	hw_disks_done(&disks);
	return found;
}

char *hw_machine(void)
{
	struct utsname u;
	return xstrdup(uname(&u) == 0 ? u.machine : "x86_64");
}

char *hw_mac_list(const char *root)
{
	struct hw_nics nics = hw_nics_read(root);
	struct strbuf out = { 0 };
	for (size_t i = 0; i < nics.count; i++)
		strbuf_addf(&out, "%s%s", i ? "," : "", nics.items[i].mac);
	hw_nics_done(&nics);
	return strbuf_take(&out, NULL);
}

static void add_bmc(struct json *inventory, const struct hw_inventory_options *o)
{
	struct hw_bmc bmc = { .v6address = "::/0" };
	if (!o->skip_bmc && str_empty(o->root))
		bmc = hw_bmc_read();
	json_set(inventory, "bmc_address", json_new_string(bmc.present ? bmc.address : NULL));
	json_set(inventory, "bmc_v6address", json_new_string(bmc.present ? bmc.v6address : NULL));
	json_set(inventory, "bmc_mac", json_new_string(bmc.mac[0] ? bmc.mac : NULL));
}

/* Members of arrays and what we may have been booted from are no disks to consumers. */
static void add_disks(struct json *body, struct json *inventory, const char *root)
{
	struct hw_disks disks = hw_disks_read(root);
	struct json *list = json_set(inventory, "disks", json_new_array());
	for (size_t i = 0; i < disks.count; i++)
		if (!disks.items[i].member && !disks.items[i].media)
			json_append(list, hw_disk_json(&disks.items[i]));
	const struct hw_disk *chosen = hw_disks_root(&disks, NULL, NULL);
	if (chosen)
		json_set(body, "root_disk", hw_disk_json(chosen));
	hw_disks_done(&disks);
}

/* LLDP is listened for here, because it needs the list of NICs with carrier. */
static void add_nics(struct json *body, struct json *inventory,
		     const struct hw_inventory_options *o)
{
	struct hw_nics nics = hw_nics_read(o->root);
	struct json *lldp = o->lldp && o->loop ? hw_lldp_listen(o->loop, &nics, o->lldp_timeout_ms)
					       : NULL;
	char mac[HW_MAC_SIZE];
	bool known = o->bootif && hw_mac_parse(o->bootif, mac);
	json_set(inventory, "interfaces", hw_nics_json(&nics, lldp));
	json_set(body, "boot_interface", json_new_string(known ? mac : NULL));
	if (lldp)
		json_set(body, "lldp_raw", lldp);
	hw_nics_done(&nics);
}

/* --- optional collectors --------------------------------------------------------------------- */

/* The hex digits of a sysfs file, without 0x. */
static void set_hex(struct json *j, const char *key, const char *root, const char *device,
		    const char *file)
{
	_cleanup_(freep) char *text = hw_read(root, "/sys/bus/pci/devices/%s/%s", device, file);
	json_set_string(j, key, !text ? "" : str_has_prefix(text, "0x") ? text + 2 : text);
}

static struct json *pci_devices(const char *root)
{
	struct json *list = json_new_array();
	struct hw_names names = hw_list(root, "/sys/bus/pci/devices");
	for (size_t i = 0; i < names.count; i++) {
		struct json *j = json_append(list, json_new_object());
		set_hex(j, "vendor_id", root, names.items[i], "vendor");
		set_hex(j, "product_id", root, names.items[i], "device");
		set_hex(j, "class", root, names.items[i], "class");
		set_hex(j, "revision", root, names.items[i], "revision");
		json_set_string(j, "bus", names.items[i]);
		set_hex(j, "numa_node_id", root, names.items[i], "numa_node");
	}
	hw_names_done(&names);
	return list;
}

/* "Node 0 MemTotal:  4021020 kB" */
static int64_t node_kb(const char *root, const char *node)
{
	_cleanup_(freep) char *text = hw_read(root, "/sys/devices/system/node/%s/meminfo", node);
	const char *at = text ? strstr(text, "MemTotal:") : NULL;
	long long kb = 0;
	if (at)
		(void)sscanf(at, "MemTotal: %lld", &kb);
	return kb;
}

static void add_node_cpus(struct json *cpus, const char *root, const char *node, int64_t number)
{
	struct hw_names names = hw_list(root, "/sys/devices/system/node/%s", node);
	for (size_t i = 0; i < names.count; i++) {
		uint64_t core;
		unsigned cpu;
		if (sscanf(names.items[i], "cpu%u", &cpu) != 1 ||
		    !hw_read_u64(root, &core, "/sys/devices/system/cpu/cpu%u/topology/core_id",
				 cpu))
			continue;
		struct json *j = json_append(cpus, json_new_object());
		json_set_int(j, "cpu", (int64_t)core);
		json_set_int(j, "numa_node", number);
		json_append(json_set(j, "thread_siblings", json_new_array()), json_new_int(cpu));
	}
	hw_names_done(&names);
}

static struct json *numa_topology(const char *root)
{
	struct json *j = json_new_object();
	struct json *ram = json_set(j, "ram", json_new_array());
	struct json *cpus = json_set(j, "cpus", json_new_array());
	struct json *nics = json_set(j, "nics", json_new_array());
	struct hw_names nodes = hw_list(root, "/sys/devices/system/node");
	for (size_t i = 0; i < nodes.count; i++) {
		unsigned number;
		if (sscanf(nodes.items[i], "node%u", &number) != 1)
			continue;
		struct json *node = json_append(ram, json_new_object());
		json_set_int(node, "numa_node", number);
		json_set_int(node, "size_kb", node_kb(root, nodes.items[i]));
		add_node_cpus(cpus, root, nodes.items[i], number);
	}
	hw_names_done(&nodes);
	struct hw_nics list = hw_nics_read(root);
	for (size_t i = 0; i < list.count; i++) {
		uint64_t node = 0;
		struct json *nic = json_append(nics, json_new_object());
		(void)hw_read_u64(root, &node, "/sys/class/net/%s/device/numa_node",
				  list.items[i].name);
		json_set_string(nic, "name", list.items[i].name);
		json_set_int(nic, "numa_node", (int64_t)node);
	}
	hw_nics_done(&list);
	return j;
}

/* "(none)" is the kernel's word for a name that nothing has set. */
static char *hostname(const char *root)
{
	_cleanup_(freep) char *name = hw_read(root, "/proc/sys/kernel/hostname");
	return name && !streq(name, "(none)") ? hw_clean(TAKE_PTR(name)) : xstrdup("localhost");
}

/* --- all of it ------------------------------------------------------------------------------- */

struct json *hw_inventory(const struct hw_inventory_options *o)
{
	struct json *body = json_new_object();
	struct json *inventory = json_make_object(body, "inventory");
	_cleanup_(freep) char *machine = hw_machine();
	_cleanup_(freep) char *name = hostname(o->root);
	json_set(inventory, "cpu", hw_cpu_json(o->root, machine));
	json_set(inventory, "memory", hw_memory_json(o->root));
	add_disks(body, inventory, o->root);
	add_bmc(inventory, o);
	json_set(inventory, "system_vendor", system_vendor(o->root));
	struct json *boot = json_make_object(inventory, "boot");
	json_set_string(boot, "current_boot_mode", hw_boot_mode(o->root));
	json_set(boot, "pxe_interface", json_new_string(o->bootif));
	json_set_string(inventory, "hostname", name);
	/* Last, so that an address that just came is in it. */
	add_nics(body, inventory, o);
	if (o->pci_devices)
		json_set(body, "pci_devices", pci_devices(o->root));
	if (o->numa_topology)
		json_set(body, "numa_topology", numa_topology(o->root));
	return body;
}
