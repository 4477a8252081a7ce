/* Rules of BareMetalHost but for annotations: each of rules 1 to 12 of Metal3's webhook is one
 * function, and those of updates follow. Pure. */

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "admission/internal.h"
#include "api/bmh.h"
#include "base/map.h"
#include "base/mem.h"
#include "bmc/address.h"
#include "net/net.h"

static const char *text_at(const struct json *host, const char *path)
{
	return str_or(json_get_path_string(host, path), "");
}

bool rule_inspection_disabled(const struct json *host)
{
	const struct json *annotations = json_get_path(host, "metadata.annotations");
	return streq(text_at(host, "spec.inspectionMode"), "disabled") ||
	       streq(json_get_string(annotations, BMH_INSPECT), "disabled");
}

/* --- single fields ---------------------------------------------------------------------------- */

static void check_firmware(const struct json *spec, struct causes *ret)
{
	if (!json_is_null(json_get(spec, "firmware")))
		causes_add(ret, CAUSE_FORBIDDEN, "spec.firmware", NULL,
			   "is not acted on any more: use HostFirmwareSettings");
}

static void check_references(const struct json *host, struct causes *ret)
{
	static const char *const fields[] = { "userData", "networkData", "metaData" };
	const char *own = text_at(host, "metadata.namespace");
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		const struct json *ref = json_get(json_get(host, "spec"), fields[i]);
		const char *ns = str_or(json_get_string(ref, "namespace"), "");
		_cleanup_(freep) char *field = xasprintf("spec.%s.namespace", fields[i]);
		if (*ns && !streq(ns, own))
			causes_add_string(ret, CAUSE_INVALID, field, ns,
					  "the Secret must be in the host's namespace %s", own);
	}
}

/* What a host names becomes its own and goes away with it, and is given to what runs on it. */
static void check_own_secrets(const struct json *host, struct causes *ret)
{
	static const char *const fields[] = { "spec.bmc.credentialsName",
					      "spec.userData.name",
					      "spec.networkData.name",
					      "spec.metaData.name",
					      "spec.preprovisioningNetworkDataName",
					      "spec.image.ociAuthSecretName" };
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		rule_not_own_secret(fields[i], text_at(host, fields[i]), ret);
}

static void check_device_name(const struct json *spec, struct causes *ret)
{
	static const char by_path[] = "/dev/disk/by-path/", dev[] = "/dev/";
	const char *name = str_or(json_get_path_string(spec, "rootDeviceHints.deviceName"), "");
	const char *rest = str_has_prefix(name, by_path) ? name + strlen(by_path)
			   : str_has_prefix(name, dev)	 ? name + strlen(dev)
							 : "";
	if (*name && (*rest == '\0' || strchr(rest, '/')))
		causes_add_string(ret, CAUSE_INVALID, "spec.rootDeviceHints.deviceName", name,
				  "must be /dev/NAME or /dev/disk/by-path/NAME");
}

static void check_power(const struct json *spec, struct causes *ret)
{
	if (json_get_bool(spec, "disablePowerOff", false) && !json_get_bool(spec, "online", false))
		causes_add(ret, CAUSE_INVALID, "spec.online", "false",
			   "must be true while spec.disablePowerOff is");
}

/* --- RAID ------------------------------------------------------------------------------------- */

static void check_hardware_volume(const struct json *volume, size_t index, struct causes *ret)
{
	size_t disks = json_count(json_get(volume, "physicalDisks"));
	int64_t number = json_get_int(volume, "numberOfPhysicalDisks", 0);
	_cleanup_(freep) char *at = xasprintf("spec.raid.hardwareRAIDVolumes[%zu]", index);
	_cleanup_(freep) char *controller = xasprintf("%s.controller", at);
	_cleanup_(freep) char *count = xasprintf("%s.numberOfPhysicalDisks", at);
	if (disks && str_empty(json_get_string(volume, "controller")))
		causes_add(ret, CAUSE_REQUIRED, controller, NULL,
			   "physicalDisks are disks of one controller: name it");
	if (disks && number && (size_t)number != disks)
		causes_add_json(ret, CAUSE_INVALID, count,
				json_get(volume, "numberOfPhysicalDisks"),
				"must be the number of physicalDisks, %zu", disks);
}

static void check_root_volumes(const struct json *spec, const struct json *volumes,
			       struct causes *ret)
{
	size_t roots = 0, i = 0;
	json_for_each(volume, volumes) {
		_cleanup_(freep) char *at = xasprintf("spec.raid.softwareRAIDVolumes[%zu].level",
						      i++);
		const char *level = str_or(json_get_string(volume, "level"), "");
		if (!json_get_bool(volume, "rootVolume", false))
			continue;
		roots++;
		if (!streq(level, "1"))
			causes_add_string(ret, CAUSE_INVALID, at, level,
					  "must be 1 for the root volume");
	}
	if (roots > 1)
		causes_add(ret, CAUSE_FORBIDDEN, "spec.raid.softwareRAIDVolumes", NULL,
			   "only one volume can be the root volume");
	if (roots && json_count(json_get(spec, "rootDeviceHints")))
		causes_add(ret, CAUSE_FORBIDDEN, "spec.rootDeviceHints", NULL,
			   "cannot be given beside a RAID volume with rootVolume: leave one out");
}

static void check_raid(const struct json *spec, struct causes *ret)
{
	const struct json *hardware = json_get_path(spec, "raid.hardwareRAIDVolumes");
	const struct json *software = json_get_path(spec, "raid.softwareRAIDVolumes");
	size_t i = 0;
	if (json_count(hardware) && json_count(software))
		causes_add(ret, CAUSE_FORBIDDEN, "spec.raid.softwareRAIDVolumes", NULL,
			   "cannot be given beside hardwareRAIDVolumes: leave one out");
	json_for_each(volume, hardware) {
		check_hardware_volume(volume, i++, ret);
	}
	check_root_volumes(spec, software, ret);
}

/* --- what depends on the kind of BMC ---------------------------------------------------------- */

static void check_scheme(const struct json *host, const struct bmc_scheme *scheme,
			 struct causes *ret)
{
	const struct json *spec = json_get(host, "spec");
	bool no_mac = str_empty(json_get_string(spec, "bootMACAddress"));
	/* Metal3's rule goes by the kind of address, whatever our drivers can do. */
	bool ipmi = scheme->kind == BMC_DRIVER_IPMI;
	const struct {
		bool broken;
		const char *field, *what;
	} needs[] = {
		{ json_count(json_get_path(spec, "raid.hardwareRAIDVolumes")) && ipmi,
		  "spec.raid.hardwareRAIDVolumes", "hardware RAID" },
		{ streq(json_get_string(spec, "bootMode"), "UEFISecureBoot") && ipmi,
		  "spec.bootMode", "secure boot" },
		{ streq(json_get_string(spec, "inspectionMode"), "fast") && ipmi,
		  "spec.inspectionMode", "fast inspection" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(needs); i++)
		if (needs[i].broken)
			causes_add(ret, CAUSE_FORBIDDEN, needs[i].field, NULL,
				   "BMC driver %s does not support %s", scheme->name,
				   needs[i].what);
	if (no_mac && scheme->needs_mac)
		causes_add(ret, CAUSE_REQUIRED, "spec.bootMACAddress", NULL,
			   "BMC driver %s requires a boot MAC address", scheme->name);
	else if (no_mac && rule_inspection_disabled(host))
		causes_add(ret, CAUSE_REQUIRED, "spec.bootMACAddress", NULL,
			   "a host that is not inspected requires a boot MAC address");
}

/* The address may hold a password, so it is not quoted; the parser's text does not quote it either.
 */
static void check_bmc(const struct json *host, struct causes *ret)
{
	const char *text = text_at(host, "spec.bmc.address");
	struct bmc_address address;
	struct err err = { 0 };
	if (!*text)
		return;
	if (bmc_address_parse(text, &address, &err) < 0) {
		causes_add(ret, CAUSE_INVALID, "spec.bmc.address", NULL, "%s", err.text);
		return;
	}
	check_scheme(host, address.scheme, ret);
	bmc_address_done(&address);
}

/* The schema's pattern is not anchored. */
static void check_mac(const struct json *spec, struct causes *ret)
{
	const char *text = str_or(json_get_string(spec, "bootMACAddress"), "");
	struct net_mac mac;
	if (*text && net_parse_mac(text, &mac) < 0)
		causes_add_string(ret, CAUSE_INVALID, "spec.bootMACAddress", text,
				  "must be a MAC address, as in 52:54:00:12:34:56");
}

/* Annotation and field say the same in two ways. */
static void check_inspection(const struct json *host, struct causes *ret)
{
	const char *annotation = json_get_string(json_get_path(host, "metadata.annotations"),
						 BMH_INSPECT);
	const char *mode = text_at(host, "spec.inspectionMode");
	if (str_empty(annotation) || !*mode)
		return;
	if (streq(annotation, "disabled") != streq(mode, "disabled"))
		causes_add_string(ret, CAUSE_INVALID, "spec.inspectionMode", mode,
				  "contradicts the annotation %s: %s; take one of them out",
				  BMH_INSPECT, annotation);
}

/* --- network interfaces ----------------------------------------------------------------------- */

static const char *interface_name(const struct json *interface)
{
	const char *name = json_get_string(interface, "name");
	return str_empty(name) ? str_or(json_get_string(interface, "macAddress"), "") : name;
}

/* By a map, because an object of 3 MiB has room for 100,000 of them. */
static bool seen_before(struct map *seen, const char *name)
{
	_cleanup_(freep) char *key = xstrdup(name);
	for (char *c = key; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return map_set(seen, key, seen) != NULL;
}

static void check_interfaces(const struct json *spec, struct causes *ret)
{
	_cleanup_(map_done) struct map seen = { 0 };
	size_t i = 0;
	json_for_each(interface, json_get(spec, "networkInterfaces")) {
		_cleanup_(freep) char *field = xasprintf("spec.networkInterfaces[%zu]", i++);
		bool name = !str_empty(json_get_string(interface, "name"));
		bool mac = !str_empty(json_get_string(interface, "macAddress"));
		if (name == mac)
			causes_add(ret, CAUSE_INVALID, field, NULL,
				   "must have either a name or a macAddress");
		else if (seen_before(&seen, interface_name(interface)))
			causes_add_string(ret, CAUSE_DUPLICATE, field, interface_name(interface),
					  CAUSE_BARE);
	}
}

/* --- the whole -------------------------------------------------------------------------------- */

/* The engine's names for nodes are UUIDs: in any of the spellings that uuid parsers take. */
static bool is_uuid(const char *name)
{
	size_t len = strlen(name), digits = 0;
	if (str_has_prefix(name, "urn:uuid:"))
		return is_uuid(name + strlen("urn:uuid:"));
	if (len >= 2 && name[0] == '{' && name[len - 1] == '}') {
		_cleanup_(freep) char *inner = xstrndup(name + 1, len - 2);
		return is_uuid(inner);
	}
	for (size_t i = 0; i < len; i++) {
		bool dash = len == 36 && (i == 8 || i == 13 || i == 18 || i == 23);
		if (dash ? name[i] != '-' : !isxdigit((unsigned char)name[i]))
			return false;
		digits += !dash;
	}
	return digits == 32;
}

/* A name cannot be mended, so only those of new hosts are looked at. */
static void check_name(const char *name, struct causes *ret)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";
	if (is_uuid(name))
		causes_add_string(ret, CAUSE_INVALID, "metadata.name", name,
				  "must not look like a UUID");
	else if (name[strspn(name, allowed)])
		causes_add_string(ret, CAUSE_INVALID, "metadata.name", name,
				  "must hold letters, digits, '.', '_' and '-' only");
}

static void check_spec(const struct json *host, struct causes *ret)
{
	const struct json *spec = json_get(host, "spec");
	check_bmc(host, ret);
	check_mac(spec, ret);
	check_firmware(spec, ret);
	check_references(host, ret);
	check_own_secrets(host, ret);
	check_raid(spec, ret);
	check_device_name(spec, ret);
	rule_image(json_get(spec, "image"), ret);
	check_inspection(host, ret);
	check_power(spec, ret);
	check_interfaces(spec, ret);
}

void rules_check_host(const struct json *host, struct causes *ret)
{
	check_name(text_at(host, "metadata.name"), ret);
	check_spec(host, ret);
}

static bool status_is(const struct rule_subject *s, const char *path, const char *value)
{
	return streq(json_get_path_string(s->old, path), value) ||
	       streq(json_get_path_string(s->now, path), value);
}

/* By what the API tells of it; the engine knows better and looks again. */
static bool has_booted(const struct json *host, const char *mac)
{
	static const char *const after[] = { "provisioned", "deprovisioning" };
	const char *state = text_at(host, "status.provisioning.state");
	for (size_t i = 0; i < ARRAY_SIZE(after); i++)
		if (streq(after[i], state))
			return true;
	json_for_each(nic, json_get_path(host, "status.hardware.nics")) {
		if (strcasecmp(str_or(json_get_string(nic, "mac"), ""), mac) == 0)
			return true;
	}
	return *text_at(host, "status.provisioning.image.url");
}

static void check_update(const struct rule_subject *s, struct causes *ret)
{
	const char *address = text_at(s->old, "spec.bmc.address");
	const char *mac = text_at(s->old, "spec.bootMACAddress");
	bool was_external = json_get_bool(json_get(s->old, "spec"), "externallyProvisioned", false);
	bool external = json_get_bool(json_get(s->now, "spec"), "externallyProvisioned", false);
	if (*address && !streq(address, text_at(s->now, "spec.bmc.address")) &&
	    !status_is(s, "status.operationalStatus", "detached") &&
	    !status_is(s, "status.provisioning.state", "registering"))
		causes_add(
			ret, CAUSE_FORBIDDEN, "spec.bmc.address", NULL,
			"can be changed only while the host is registering or detached: detach it "
			"with the annotation " BMH_DETACHED);
	if (*mac && strcasecmp(mac, text_at(s->now, "spec.bootMACAddress")) != 0 &&
	    has_booted(s->old, mac))
		causes_add_string(ret, CAUSE_FORBIDDEN, "spec.bootMACAddress",
				  text_at(s->now, "spec.bootMACAddress"),
				  "cannot be changed once the host has booted by it (%s): delete "
				  "the host and make it again",
				  mac);
	if (!was_external && external && !status_is(s, "status.provisioning.state", "available"))
		causes_add(ret, CAUSE_FORBIDDEN, "spec.externallyProvisioned", NULL,
			   "can be set at creation, or while the host is available; it is %s",
			   *text_at(s->old, "status.provisioning.state")
				   ? text_at(s->old, "status.provisioning.state")
				   : "new");
}

/* What is taken for the sake of upstream's objects and has no effect. */
static void warn_of_idle_fields(const struct rule_subject *s, struct rule_findings *ret)
{
	static const struct {
		const char *path, *why;
	} idle[] = {
		{ "spec.networkInterfaces", "no controller acts on it yet" },
		{ "spec.taints", "is deprecated and not acted on" },
		{ "spec.image.ociAuthSecretName", "is for oci:// images only" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(idle); i++)
		if (rule_changed(s, idle[i].path) &&
		    !json_is_null(json_get_path(s->now, idle[i].path)))
			rule_warn(ret, "%s: %s", idle[i].path, idle[i].why);
	const char *stored = text_at(s->now, "status.hardwareProfile");
	const char *given = text_at(s->now, "spec.hardwareProfile");
	if (rule_changed(s, "spec.hardwareProfile") && *stored && *given && !streq(stored, given))
		rule_warn(ret,
			  "spec.hardwareProfile: the host was registered with profile %s, which "
			  "stays in effect; use spec.rootDeviceHints",
			  stored);
}

void rule_host(const struct rule_subject *s, struct rule_findings *ret)
{
	if (!s->old)
		check_name(s->name, &ret->errors);
	if (rule_changed(s, "spec")) {
		check_spec(s->now, &ret->errors);
		rule_wanted(s, &ret->errors);
		warn_of_idle_fields(s, ret);
		if (s->old)
			check_update(s, &ret->errors);
	}
	rule_host_annotations(s, &ret->errors);
}
