/* See inventory.h. The members of the result are those of ironic-python-agent, with `type` of a
 * disk and `usable` of an interface added, which no agent needs to say. */

#include "bmc/redfish/inventory.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "bmc/redfish/internal.h"
#include "net/net.h"

enum {
	TEXT_MAX = 256,
	NICS_MAX = 256,
	DISKS_MAX = 512,
	SKIPPED_MAX = 16,
	MIB_PER_GIB = 1024,
};

#define MEMORY_MAX_MIB INT64_C(0x100000000) /* 4 PiB */
#define COUNT_MAX      1000000

struct rf_inventory {
	char manufacturer[TEXT_MAX], product[TEXT_MAX], serial[TEXT_MAX], bios[TEXT_MAX];
	char uuid[TEXT_MAX], hostname[TEXT_MAX], boot_mode[8];
	/* Of MemorySummary, and of the modules together; 0: not told. */
	int64_t summary_mib, modules_mib;
	/* Of the processors' summary, then of the processors; 0: not told. */
	int64_t logical, cores, threads, cpu_cores, mhz;
	bool threads_unknown; /* of one processor at least */
	char summary_model[TEXT_MAX], cpu_model[TEXT_MAX];
	const char *architecture;
	struct json *nics;
	unsigned adapters;
	struct json *disks, *simple, *volumes;
	struct json *skipped;
	unsigned usable; /* of the NICs */
};

struct rf_inventory *rf_inventory_new(void)
{
	struct rf_inventory *inv = xcalloc(1, sizeof(*inv));
	inv->nics = json_new_array();
	inv->disks = json_new_array();
	inv->simple = json_new_array();
	inv->volumes = json_new_array();
	inv->skipped = json_new_array();
	return inv;
}

struct rf_inventory *rf_inventory_free(struct rf_inventory *inv)
{
	if (!inv)
		return NULL;
	json_free(inv->nics);
	json_free(inv->disks);
	json_free(inv->simple);
	json_free(inv->volumes);
	json_free(inv->skipped);
	free(inv);
	return NULL;
}

void rf_inventory_skipped(struct rf_inventory *inv, const char *path, const char *why)
{
	if (json_count(inv->skipped) >= SKIPPED_MAX)
		return;
	struct json *one = json_append(inv->skipped, json_new_object());
	json_set_string(one, "path", path);
	json_set_string(one, "reason", why);
}

/* --- texts and numbers ----------------------------------------------------------------------- */

static bool is_run_of_zeros(const char *s)
{
	s += strncasecmp(s, "0x", 2) == 0 ? 2 : 0;
	return *s && s[strspn(s, "0 :-.")] == '\0';
}

/* What makers leave in a field that nobody filled. */
static bool is_filler(const char *s)
{
	static const char *const whole[] = { "none",
					     "n/a",
					     "na",
					     "null",
					     "nil",
					     "-",
					     "unknown",
					     "undefined",
					     "empty",
					     "default",
					     "oem",
					     "default string",
					     "not specified",
					     "not available",
					     "no serial number",
					     "system serial number",
					     "chassis serial number",
					     "999wwyy123456" };
	for (size_t i = 0; i < ARRAY_SIZE(whole); i++)
		if (strcasecmp(s, whole[i]) == 0)
			return true;
	return *s == '$' || is_run_of_zeros(s) || str_has_prefix(s, "01234567") ||
	       strncasecmp(s, "to be filled", 12) == 0 || s[strspn(s, "xX")] == '\0' ||
	       s[strspn(s, ".")] == '\0';
}

static char *text_of(const struct json *object, const char *member, char ret[static TEXT_MAX])
{
	return rf_text(object, member, ret, TEXT_MAX);
}

static char *identity_of(const struct json *object, const char *member, char ret[static TEXT_MAX])
{
	text_of(object, member, ret);
	if (*ret && is_filler(ret))
		*ret = '\0';
	return ret;
}

/* 0: absent, null, no number or none that can be. Fractions are cut. */
static int64_t number_of(const struct json *object, const char *member, int64_t max)
{
	double d;
	if (!json_double(json_get(object, member), &d) || !(d > 0) || d > (double)max)
		return 0;
	return (int64_t)d;
}

static void set_text(struct json *object, const char *key, const char *text)
{
	json_set(object, key, str_empty(text) ? json_new_null() : json_new_string(text));
}

static void set_number(struct json *object, const char *key, int64_t number)
{
	if (number > 0)
		json_set_int(object, key, number);
}

static bool state_is(const struct json *resource, const char *state)
{
	const char *is = json_get_string(json_get(resource, "Status"), "State");
	return is && strcasecmp(is, state) == 0;
}

/* --- the system ------------------------------------------------------------------------------ */

/* Dell's SerialNumber is the board's; what is printed on the machine, and in its SMBIOS, is the
 * service tag, which stands in SKU. */
static void add_serial(struct rf_inventory *inv, const struct json *system)
{
	if (strncasecmp(inv->manufacturer, "dell", 4) == 0)
		identity_of(system, "SKU", inv->serial);
	if (!*inv->serial)
		identity_of(system, "SerialNumber", inv->serial);
}

static void add_summaries(struct rf_inventory *inv, const struct json *system)
{
	const struct json *cpus = json_get(system, "ProcessorSummary");
	const struct json *memory = json_get(system, "MemorySummary");
	double gib;
	if (json_double(json_get(memory, "TotalSystemMemoryGiB"), &gib) && gib > 0 &&
	    gib * MIB_PER_GIB < (double)MEMORY_MAX_MIB)
		inv->summary_mib = llround(gib * MIB_PER_GIB);
	inv->logical = number_of(cpus, "LogicalProcessorCount", COUNT_MAX);
	inv->cores = number_of(cpus, "CoreCount", COUNT_MAX);
	text_of(cpus, "Model", inv->summary_model);
}

static void add_system(struct rf_inventory *inv, const struct json *system)
{
	identity_of(system, "Manufacturer", inv->manufacturer);
	identity_of(system, "Model", inv->product);
	identity_of(system, "UUID", inv->uuid);
	text_of(system, "BiosVersion", inv->bios);
	text_of(system, "HostName", inv->hostname);
	add_serial(inv, system);
	add_summaries(inv, system);
	const char *mode = json_get_path_string(system, "Boot.BootSourceOverrideMode");
	if (mode && strcasecmp(mode, "UEFI") == 0)
		snprintf(inv->boot_mode, sizeof(inv->boot_mode), "uefi");
	else if (mode && strcasecmp(mode, "Legacy") == 0)
		snprintf(inv->boot_mode, sizeof(inv->boot_mode), "bios");
}

/* --- processors ------------------------------------------------------------------------------ */

/* InstructionSet says it exactly; ProcessorArchitecture "x86" is both 32 and 64 bits (DSP0268), and
 * no server of today is the former. */
static const char *architecture_of(const struct json *cpu)
{
	static const struct {
		const char *member, *value, *name;
	} rows[] = {
		{ "InstructionSet", "x86-64", "x86_64" },
		{ "InstructionSet", "x86_64", "x86_64" },
		{ "InstructionSet", "x86", "i686" },
		{ "InstructionSet", "ARM-A64", "aarch64" },
		{ "InstructionSet", "ARM-A32", "arm" },
		{ "InstructionSet", "PowerISA", "ppc64le" },
		{ "InstructionSet", "RV64", "riscv64" },
		{ "InstructionSet", "MIPS64", "mips64" },
		{ "InstructionSet", "MIPS32", "mips" },
		{ "InstructionSet", "IA-64", "ia64" },
		{ "ProcessorArchitecture", "x86", "x86_64" },
		{ "ProcessorArchitecture", "ARM", "aarch64" },
		{ "ProcessorArchitecture", "Power", "ppc64le" },
		{ "ProcessorArchitecture", "IA-64", "ia64" },
	};
	char text[TEXT_MAX];
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (strcasecmp(text_of(cpu, rows[i].member, text), rows[i].value) == 0)
			return rows[i].name;
	return NULL;
}

/* A socket without a processor is often listed, and so are graphics processors, cores, threads. */
static bool is_processor(const struct json *p)
{
	char type[TEXT_MAX];
	text_of(p, "ProcessorType", type);
	return (!*type || strcasecmp(type, "CPU") == 0) && !state_is(p, "Absent") &&
	       !state_is(p, "Disabled");
}

/* A text where the schema wants a number is read, too: "3400 MHz". */
static int64_t speed_of(const struct json *cpu)
{
	static const char *const members[] = { "MaxSpeedMHz", "OperatingSpeedMHz",
					       "CurrentClockSpeedMHz" };
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		const struct json *member = json_get(cpu, members[i]);
		int64_t mhz = number_of(cpu, members[i], COUNT_MAX);
		if (mhz == 0 && json_string(member))
			mhz = strtol(json_string(member), NULL, 10);
		if (mhz > 0 && mhz <= COUNT_MAX)
			return mhz;
	}
	return 0;
}

static void add_processor(struct rf_inventory *inv, const struct json *cpu)
{
	if (!is_processor(cpu))
		return;
	int64_t threads = number_of(cpu, "TotalThreads", COUNT_MAX);
	int64_t cores = number_of(cpu, "TotalCores", COUNT_MAX);
	inv->threads += threads ? threads : cores;
	inv->cpu_cores += cores;
	inv->threads_unknown |= threads == 0;
	if (!*inv->cpu_model)
		text_of(cpu, "Model", inv->cpu_model);
	if (!inv->mhz)
		inv->mhz = speed_of(cpu);
	if (!inv->architecture)
		inv->architecture = architecture_of(cpu);
}

/* Threads, as an operating system counts. */
static int64_t processors(const struct rf_inventory *inv)
{
	if (inv->threads > 0 && !inv->threads_unknown)
		return inv->threads;
	if (inv->logical > 0)
		return inv->logical;
	return inv->threads > 0 ? inv->threads : inv->cores;
}

/* --- memory ---------------------------------------------------------------------------------- */

/* Modules of graphics processors are listed among the host's, and persistent ones are disks. */
static bool is_system_memory(const struct json *module)
{
	char type[TEXT_MAX], device[TEXT_MAX];
	text_of(module, "MemoryType", type);
	text_of(module, "MemoryDeviceType", device);
	return !state_is(module, "Absent") && (!*type || strcasecmp(type, "DRAM") == 0) &&
	       strncasecmp(device, "GDDR", 4) != 0 && strncasecmp(device, "HBM", 3) != 0;
}

static void add_memory(struct rf_inventory *inv, const struct json *module)
{
	if (is_system_memory(module) && inv->modules_mib < MEMORY_MAX_MIB)
		inv->modules_mib += number_of(module, "CapacityMiB", MEMORY_MAX_MIB);
}

static int64_t memory(const struct rf_inventory *inv)
{
	return inv->summary_mib ? inv->summary_mib : inv->modules_mib;
}

/* --- network --------------------------------------------------------------------------------- */

/* "b4:2e:99:5e:02:01" of any way to write it: with colons, hyphens, dots or nothing between. What
 * InfiniBand has, which is longer, is none, nor is one that all or nobody has. */
static bool mac_of(const struct json *j, char ret[static NET_MAC_TEXT_SIZE])
{
	const char *text = json_string(j);
	char digits[13];
	size_t n = 0;
	for (; text && *text; text++) {
		if (strchr(":-. ", *text))
			continue;
		if (!isxdigit((unsigned char)*text) || n == 12)
			return false;
		digits[n++] = *text;
	}
	if (n != 12)
		return false;
	digits[n] = '\0';
	struct net_mac mac;
	char plain[18];
	snprintf(plain, sizeof(plain), "%.2s:%.2s:%.2s:%.2s:%.2s:%.2s", digits, digits + 2,
		 digits + 4, digits + 6, digits + 8, digits + 10);
	if (net_parse_mac(plain, &mac) < 0 || net_mac_is_multicast(&mac) || is_run_of_zeros(plain))
		return false;
	net_format_mac(&mac, ret);
	return true;
}

/* The one in use, else the one that it was made with. */
static bool mac_of_either(const struct json *object, char ret[static NET_MAC_TEXT_SIZE])
{
	return mac_of(json_get(object, "MACAddress"), ret) ||
	       mac_of(json_get(object, "PermanentMACAddress"), ret);
}

/* The first that leads anywhere. */
static const char *address_of(const struct json *addresses, bool v6)
{
	json_for_each(one, addresses) {
		const char *text = json_get_string(one, "Address");
		struct net_addr a;
		if (!str_empty(text) && net_parse_ip(text, &a) == 0 && !net_is_unspecified(&a) &&
		    !(v6 && net_is_link_local(&a)))
			return text;
	}
	return NULL;
}

/* What ports are made of: switched on, and not ill. */
static bool is_usable(const struct json *interface)
{
	const struct json *status = json_get(interface, "Status");
	const char *health = json_get_string(status, "Health");
	return state_is(interface, "Enabled") && (!health || strcasecmp(health, "OK") == 0);
}

static struct json *new_nic(struct rf_inventory *inv, const struct json *resource, const char *mac,
			    bool usable)
{
	char name[TEXT_MAX];
	if (json_count(inv->nics) >= NICS_MAX)
		return NULL;
	struct json *nic = json_append(inv->nics, json_new_object());
	text_of(resource, "Id", name);
	set_text(nic, "name", *name ? name : text_of(resource, "Name", name));
	json_set_string(nic, "mac_address", mac);
	json_set_bool(nic, "usable", usable);
	inv->usable += usable;
	return nic;
}

static void set_link(struct json *nic, const struct json *resource)
{
	char link[TEXT_MAX];
	text_of(resource, "LinkStatus", link);
	if (*link)
		json_set_bool(nic, "has_carrier",
			      strcasecmp(link, "LinkUp") == 0 || strcasecmp(link, "Up") == 0);
}

static void add_interface(struct rf_inventory *inv, const struct json *e)
{
	char mac[NET_MAC_TEXT_SIZE];
	struct json *nic;
	if (state_is(e, "Absent") || !mac_of_either(e, mac) ||
	    !(nic = new_nic(inv, e, mac, is_usable(e))))
		return;
	set_number(nic, "speed_mbps", number_of(e, "SpeedMbps", INT32_MAX));
	set_link(nic, e);
	const char *v4 = address_of(json_get(e, "IPv4Addresses"), false);
	const char *v6 = address_of(json_get(e, "IPv6Addresses"), true);
	if (v4)
		json_set_string(nic, "ipv4_address", v4);
	if (v6)
		json_set_string(nic, "ipv6_address", v6);
}

char *rf_adapter_model(const struct json *adapter)
{
	char maker[TEXT_MAX], model[TEXT_MAX];
	identity_of(adapter, "Manufacturer", maker);
	identity_of(adapter, "Model", model);
	bool twice = *maker && strncasecmp(model, maker, strlen(maker)) == 0;
	return xasprintf("%s%s%s", twice ? "" : maker, *maker && *model && !twice ? " " : "",
			 model);
}

/* Interfaces seldom say what they are; the adapter that has their MAC does. All of that MAC. */
static bool describe_nics(struct rf_inventory *inv, const char *mac, const char *model,
			  int64_t mbps)
{
	bool found = false;
	for (struct json *nic = json_first_mut(inv->nics); nic; nic = json_next_mut(nic)) {
		if (!streq(json_get_string(nic, "mac_address"), mac))
			continue;
		found = true;
		if (!str_empty(model) && !json_get(nic, "product"))
			json_set_string(nic, "product", model);
		if (!json_get(nic, "speed_mbps"))
			set_number(nic, "speed_mbps", mbps);
	}
	return found;
}

/* A machine without usable interfaces has those of its adapters: of the functions that say to be
 * Ethernet's, or do not say what they are, while their adapter's other part is no InfiniBand. */
static void add_function(struct rf_inventory *inv, const struct json *f, const char *model)
{
	char mac[NET_MAC_TEXT_SIZE], type[TEXT_MAX];
	const struct json *ethernet = json_get(f, "Ethernet");
	text_of(f, "NetDevFuncType", type);
	if (state_is(f, "Absent") || !mac_of_either(ethernet, mac) ||
	    describe_nics(inv, mac, model, 0) || inv->usable > 0 ||
	    (*type && strcasecmp(type, "Ethernet") != 0) ||
	    json_count(json_get(f, "InfiniBand")) > 0)
		return;
	struct json *nic = new_nic(inv, f, mac, false);
	if (nic) /* `usable` counts those of interfaces only: all functions of adapters come in */
		json_set_bool(nic, "usable", !json_get(f, "Status") || is_usable(f));
	describe_nics(inv, mac, model, 0);
}

static int64_t speed_of_port(const struct json *port)
{
	double gbps;
	int64_t mbps = number_of(port, "CurrentLinkSpeedMbps", INT32_MAX);
	if (mbps == 0 && json_double(json_get(port, "CurrentSpeedGbps"), &gbps) && gbps > 0 &&
	    gbps < INT32_MAX / 1000)
		mbps = llround(gbps * 1000);
	return mbps;
}

/* AssociatedMACAddresses of a Port, AssociatedNetworkAddresses of the older NetworkPort, which may
 * be those of other networks, too. They only describe: a port's function says more. */
static void add_port(struct rf_inventory *inv, const struct json *port, const char *model)
{
	const struct json *lists[] = {
		json_get(json_get(port, "Ethernet"), "AssociatedMACAddresses"),
		json_get(port, "AssociatedNetworkAddresses"),
	};
	char mac[NET_MAC_TEXT_SIZE];
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		json_for_each(one, lists[i])
			if (mac_of(one, mac))
				describe_nics(inv, mac, model, speed_of_port(port));
}

/* --- storage --------------------------------------------------------------------------------- */

static const char *type_of(const struct json *d)
{
	char media[TEXT_MAX], protocol[TEXT_MAX];
	text_of(d, "MediaType", media);
	text_of(d, "Protocol", protocol);
	bool ssd = strcasecmp(media, "SSD") == 0;
	if (strncasecmp(protocol, "NVMe", 4) == 0 || (ssd && strcasecmp(protocol, "PCIe") == 0))
		return "NVME";
	if (ssd)
		return "SSD";
	if (strcasecmp(media, "HDD") == 0 || strcasecmp(media, "SMR") == 0 ||
	    number_of(d, "RotationSpeedRPM", COUNT_MAX) > 0)
		return "HDD";
	return NULL;
}

/* The hexadecimal digits alone, in lower case. False: it is something else, or a filler. */
static bool digits_of(const char *name, char *ret, size_t size)
{
	size_t n = 0;
	name += strncasecmp(name, "0x", 2) == 0 ? 2 : 0;
	name += strncasecmp(name, "naa.", 4) == 0 || strncasecmp(name, "eui.", 4) == 0 ? 4 : 0;
	for (; *name; name++) {
		if (strchr(":-. ", *name))
			continue;
		if (!isxdigit((unsigned char)*name) || n + 1 >= size)
			return false;
		ret[n++] = (char)tolower((unsigned char)*name);
	}
	ret[n] = '\0';
	return n >= 16 && !is_run_of_zeros(ret);
}

/* As udev has them: 0x and 16 digits, with the rest as the vendor's extension; "eui." of NVMe. */
static void set_wwn(struct json *disk, const struct json *identifiers)
{
	json_for_each(one, identifiers) {
		char format[TEXT_MAX], name[TEXT_MAX], hex[65];
		text_of(one, "DurableNameFormat", format);
		if (!digits_of(text_of(one, "DurableName", name), hex, sizeof(hex)))
			continue;
		char wwn[72], more[72];
		if (strcasecmp(format, "EUI") == 0 || strcasecmp(format, "NGUID") == 0) {
			snprintf(wwn, sizeof(wwn), "eui.%s", hex);
			json_set_string(disk, "wwn", wwn);
			return;
		}
		if (strcasecmp(format, "NAA") != 0)
			continue;
		snprintf(wwn, sizeof(wwn), "0x%.16s", hex);
		snprintf(more, sizeof(more), "0x%s", hex + 16);
		json_set_string(disk, "wwn", wwn);
		if (hex[16]) {
			json_set_string(disk, "wwn_vendor_extension", more);
			snprintf(more, sizeof(more), "0x%s", hex);
			json_set_string(disk, "wwn_with_extension", more);
		}
		return;
	}
}

/* Two controllers may list one drive, under two paths. */
static bool is_listed(const struct json *disks, const struct json *disk)
{
	const char *serial = json_get_string(disk, "serial"),
		   *model = json_get_string(disk, "model");
	const char *wwn = json_get_string(disk, "wwn");
	json_for_each(d, disks)
		if ((wwn && streq(json_get_string(d, "wwn"), wwn)) ||
		    (serial && streq(json_get_string(d, "serial"), serial) &&
		     streq(json_get_string(d, "model"), model)))
			return true;
	return false;
}

static struct json *new_disk(const struct json *d)
{
	char text[TEXT_MAX];
	const char *type = type_of(d);
	struct json *disk = json_new_object();
	text_of(d, "Name", text);
	set_text(disk, "name", *text ? text : text_of(d, "Id", text));
	set_text(disk, "vendor", identity_of(d, "Manufacturer", text));
	set_text(disk, "model", identity_of(d, "Model", text));
	set_text(disk, "serial", identity_of(d, "SerialNumber", text));
	set_number(disk, "size", number_of(d, "CapacityBytes", INT64_C(1) << 53));
	set_text(disk, "type", type);
	json_set(disk, "rotational", type ? json_new_bool(streq(type, "HDD")) : json_new_null());
	set_wwn(disk, json_get(d, "Identifiers"));
	return disk;
}

/* A bay that is listed without a word about what is in it is empty. */
static bool is_something(const struct json *disk)
{
	return json_get(disk, "size") || json_get_string(disk, "model") ||
	       json_get_string(disk, "serial");
}

static void append_disk(struct json *disks, const struct json *resource, bool once)
{
	if (state_is(resource, "Absent") || json_count(disks) >= DISKS_MAX)
		return;
	struct json *disk = new_disk(resource);
	if (is_something(disk) && !(once && is_listed(disks, disk)))
		json_append(disks, disk);
	else
		json_free(disk);
}

/* Devices have no serial numbers: equal ones are several. */
static void add_simple(struct rf_inventory *inv, const struct json *storage)
{
	json_for_each(device, json_get(storage, "Devices"))
		append_disk(inv->simple, device, false);
}

/* Raw drives are listed as volumes by some. */
static void add_volume(struct rf_inventory *inv, const struct json *v, const char *controller)
{
	char text[TEXT_MAX];
	int64_t size = number_of(v, "CapacityBytes", INT64_C(1) << 53);
	if (size == 0 || state_is(v, "Absent") || json_count(inv->volumes) >= DISKS_MAX ||
	    strcasecmp(text_of(v, "VolumeType", text), "RawDevice") == 0)
		return;
	struct json *volume = json_append(inv->volumes, json_new_object());
	text_of(v, "Name", text);
	set_text(volume, "name", *text ? text : text_of(v, "Id", text));
	set_text(volume, "id", text_of(v, "Id", text));
	set_text(volume, "controller", controller);
	set_text(volume, "raid_type", text_of(v, "RAIDType", text));
	set_number(volume, "size", size);
	set_wwn(volume, json_get(v, "Identifiers"));
}

/* --- the whole ------------------------------------------------------------------------------- */

void rf_inventory_add(struct rf_inventory *inv, enum rf_part part, const struct json *resource,
		      const char *context)
{
	switch (part) {
	case RF_PART_SYSTEM:
		add_system(inv, resource);
		break;
	case RF_PART_PROCESSOR:
		add_processor(inv, resource);
		break;
	case RF_PART_MEMORY:
		add_memory(inv, resource);
		break;
	case RF_PART_INTERFACE:
		add_interface(inv, resource);
		break;
	case RF_PART_FUNCTION:
		add_function(inv, resource, context);
		break;
	case RF_PART_PORT:
		add_port(inv, resource, context);
		break;
	case RF_PART_SIMPLE_STORAGE:
		add_simple(inv, resource);
		break;
	case RF_PART_DRIVE:
		append_disk(inv->disks, resource, true);
		break;
	case RF_PART_VOLUME:
		add_volume(inv, resource, context);
		break;
	case RF_PART_ADAPTER:
		inv->adapters++;
		break;
	case RF_PART_NETWORK_INTERFACE:
	case RF_PART_STORAGE:
	case RF_PART_CHASSIS:
	case _RF_PART_MAX:
		break;
	}
}

bool rf_inventory_wants(const struct rf_inventory *inv, enum rf_part part)
{
	bool disks = json_count(inv->disks) > 0 || json_count(inv->simple) > 0;
	if (part == RF_PART_MEMORY)
		return inv->summary_mib == 0;
	if (part == RF_PART_SIMPLE_STORAGE || part == RF_PART_DRIVE)
		return !disks;
	if (part == RF_PART_ADAPTER)
		return inv->adapters == 0;
	return part != RF_PART_CHASSIS || !disks || inv->adapters == 0;
}

static struct json *vendor_json(const struct rf_inventory *inv)
{
	struct json *v = json_new_object();
	set_text(v, "manufacturer", inv->manufacturer);
	set_text(v, "product_name", inv->product);
	set_text(v, "serial_number", inv->serial);
	set_text(v, "system_uuid", inv->uuid);
	set_text(json_make_object(v, "firmware"), "version", inv->bios);
	return v;
}

/* The frequency is a text: Go clients of the agents' form want one. */
static struct json *cpu_json(const struct rf_inventory *inv)
{
	struct json *cpu = json_new_object();
	char mhz[24] = "";
	if (inv->mhz > 0)
		snprintf(mhz, sizeof(mhz), "%lld", (long long)inv->mhz);
	set_text(cpu, "architecture", inv->architecture);
	set_text(cpu, "model_name", *inv->cpu_model ? inv->cpu_model : inv->summary_model);
	set_text(cpu, "frequency", mhz);
	set_number(cpu, "count", processors(inv));
	return cpu;
}

static void move_array(struct json *to, const char *key, struct json **array)
{
	json_set(to, key, *array);
	*array = json_new_array();
}

static struct json *missing_json(const struct rf_inventory *inv, const struct json *disks)
{
	const struct {
		const char *name;
		bool missing;
	} rows[] = {
		{ "memory", memory(inv) == 0 },	       { "cpu.architecture", !inv->architecture },
		{ "cpu.count", processors(inv) == 0 }, { "interfaces", json_count(inv->nics) == 0 },
		{ "disks", json_count(disks) == 0 },
	};
	struct json *missing = json_new_array();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].missing)
			json_append(missing, json_new_string(rows[i].name));
	return missing;
}

static struct json *inventory_json(struct rf_inventory *inv)
{
	struct json *out = json_new_object();
	json_set(out, "system_vendor", vendor_json(inv));
	json_set(out, "cpu", cpu_json(inv));
	set_number(json_make_object(out, "memory"), "physical_mb", memory(inv));
	set_text(out, "hostname", inv->hostname);
	if (*inv->boot_mode)
		json_set_string(json_make_object(out, "boot"), "current_boot_mode", inv->boot_mode);
	bool drives = json_count(inv->disks) > 0;
	move_array(out, "disks",
		   drives || json_count(inv->simple) == 0 ? &inv->disks : &inv->simple);
	return out;
}

/* Volumes are what a system without readable drives can be installed on. */
struct json *rf_inventory_take(struct rf_inventory *inv)
{
	struct json *body = json_new_object();
	struct json *inventory = json_set(body, "inventory", inventory_json(inv));
	if (json_count(json_get(inventory, "disks")) == 0)
		json_set(inventory, "disks", json_dup(inv->volumes));
	json_set(body, "missing", missing_json(inv, json_get(inventory, "disks")));
	move_array(inventory, "interfaces", &inv->nics);
	move_array(inventory, "volumes", &inv->volumes);
	move_array(body, "skipped", &inv->skipped);
	return body;
}
