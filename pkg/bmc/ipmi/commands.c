/* The IPMI commands behind our operations (IPMI 2.0, chapters 20, 28 and 22.14 for the GUID).
 *
 * Before the boot flags comes parameter 3 with "do not clear after 60 s": without it a slow host
 * has lost its boot device when it gets there. BMCs that do not know it may refuse it. Chassis
 * capabilities are never asked for: there are BMCs that go silent on it. */

#include "bmc/ipmi/commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/macro.h"

enum {
	NETFN_CHASSIS = 0x00,
	NETFN_APP = 0x06,
	CMD_CHASSIS_STATUS = 0x01,
	CMD_CHASSIS_CONTROL = 0x02,
	CMD_SET_BOOT_OPTIONS = 0x08,
	CMD_GET_BOOT_OPTIONS = 0x09,
	CMD_DEVICE_ID = 0x01,
	CMD_SYSTEM_GUID = 0x37,
	PARAM_FLAG_CLEARING = 0x03,
	PARAM_BOOT_FLAGS = 0x05,
	DONT_CLEAR_AFTER_60S = 0x08,
	FLAG_VALID = 0x80,
	FLAG_PERSISTENT = 0x40,
	FLAG_UEFI = 0x20,
};

/* --- vendors --------------------------------------------------------------------------------- */

enum { SUPERMICRO = 10876, SUPERMICRO_NEW = 47488 };

static const struct {
	uint32_t manufacturer;
	const char *name;
} vendors[] = {
	{ 2, "IBM" },
	{ 11, "HP" },
	{ 42, "Sun Microsystems" },
	{ 111, "Oracle" },
	{ 343, "Intel" },
	{ 674, "Dell" },
	{ 2011, "Huawei" },
	{ 5703, "NVIDIA" },
	{ 5771, "Cisco" },
	{ 6653, "Tyan" },
	{ 7244, "Quanta" },
	{ 10368, "Fujitsu" },
	{ SUPERMICRO, "Supermicro" },
	{ 15370, "Gigabyte" },
	{ 19046, "Lenovo" },
	{ 20974, "AMI" },
	{ 37945, "Inspur" },
	{ 47196, "HPE" },
	{ SUPERMICRO_NEW, "Supermicro" },
};

/* Boot device codes that differ from the specification's. */
static const struct {
	uint32_t manufacturer;
	bool uefi;
	enum bmc_device device;
	uint8_t code;
} boot_quirks[] = {
	/* 0x08 selects something else in UEFI mode. */
	{ SUPERMICRO, true, BMC_DEVICE_DISK, 0x24 },
	{ SUPERMICRO_NEW, true, BMC_DEVICE_DISK, 0x24 },
};

static const struct {
	enum bmc_device device;
	uint8_t code;
} boot_codes[] = {
	{ BMC_DEVICE_NONE, 0x00 },  { BMC_DEVICE_PXE, 0x04 },  { BMC_DEVICE_DISK, 0x08 },
	{ BMC_DEVICE_DISK, 0x24 }, /* remote hard drive, or see the quirk: when reading */
	{ BMC_DEVICE_CDROM, 0x14 }, { BMC_DEVICE_BIOS, 0x18 },
};

const char *ipmi_vendor(uint32_t manufacturer, char buf[24])
{
	for (size_t i = 0; i < ARRAY_SIZE(vendors); i++)
		if (vendors[i].manufacturer == manufacturer)
			return vendors[i].name;
	snprintf(buf, 24, "IANA %u", manufacturer);
	return buf;
}

/* --- power ----------------------------------------------------------------------------------- */

static bool decode_power(struct ipmi_facts *facts, struct cursor *c, struct bmc_result *result)
{
	(void)facts;
	uint8_t state = cursor_u8(c);
	result->power = state & 1 ? BMC_POWER_ON : BMC_POWER_OFF;
	return cursor_ok(c);
}

static void encode_action(const struct ipmi_facts *facts, const struct bmc_request *request,
			  struct wcursor *w)
{
	(void)facts;
	static const uint8_t codes[] = {
		[BMC_ACTION_OFF] = 0x00,   [BMC_ACTION_ON] = 0x01,   [BMC_ACTION_CYCLE] = 0x02,
		[BMC_ACTION_RESET] = 0x03, [BMC_ACTION_SOFT] = 0x05,
	};
	wcursor_u8(w, codes[request->action]);
}

/* --- boot device ----------------------------------------------------------------------------- */

static uint8_t boot_code(const struct ipmi_facts *facts, const struct bmc_boot *boot)
{
	for (size_t i = 0; i < ARRAY_SIZE(boot_quirks); i++)
		if (facts->known && boot_quirks[i].manufacturer == facts->manufacturer &&
		    boot_quirks[i].uefi == boot->uefi && boot_quirks[i].device == boot->device)
			return boot_quirks[i].code;
	for (size_t i = 0; i < ARRAY_SIZE(boot_codes); i++)
		if (boot_codes[i].device == boot->device)
			return boot_codes[i].code;
	return 0;
}

/* Only where a quirk could apply is the vendor worth a question. */
static bool vendor_matters(const struct ipmi_facts *facts, const struct bmc_request *request)
{
	for (size_t i = 0; i < ARRAY_SIZE(boot_quirks); i++)
		if (boot_quirks[i].uefi == request->boot.uefi &&
		    boot_quirks[i].device == request->boot.device)
			return !facts->known;
	return false;
}

static void encode_keep_flags(const struct ipmi_facts *facts, const struct bmc_request *request,
			      struct wcursor *w)
{
	(void)facts, (void)request;
	wcursor_u8(w, PARAM_FLAG_CLEARING);
	wcursor_u8(w, DONT_CLEAR_AFTER_60S);
}

static void encode_boot(const struct ipmi_facts *facts, const struct bmc_request *request,
			struct wcursor *w)
{
	const struct bmc_boot *boot = &request->boot;
	wcursor_u8(w, PARAM_BOOT_FLAGS);
	wcursor_u8(w, (uint8_t)(FLAG_VALID | (boot->persistent ? FLAG_PERSISTENT : 0) |
				(boot->uefi ? FLAG_UEFI : 0)));
	wcursor_u8(w, boot_code(facts, boot));
	wcursor_fill(w, 0, 3);
}

static void encode_ask_boot(const struct ipmi_facts *facts, const struct bmc_request *request,
			    struct wcursor *w)
{
	(void)facts, (void)request;
	wcursor_u8(w, PARAM_BOOT_FLAGS);
	wcursor_fill(w, 0, 2);
}

static bool decode_boot(struct ipmi_facts *facts, struct cursor *c, struct bmc_result *result)
{
	(void)facts;
	cursor_skip(c, 2); /* parameter version, parameter */
	uint8_t flags = cursor_u8(c), code = cursor_u8(c) & 0x3c;
	if (!cursor_ok(c))
		return false;
	result->boot.persistent = flags & FLAG_PERSISTENT;
	result->boot.uefi = flags & FLAG_UEFI;
	for (size_t i = 0; i < ARRAY_SIZE(boot_codes); i++)
		if (boot_codes[i].code == code)
			result->boot.device = boot_codes[i].device;
	return true;
}

/* --- what the BMC is ------------------------------------------------------------------------- */

static bool decode_device_id(struct ipmi_facts *facts, struct cursor *c, struct bmc_result *result)
{
	cursor_skip(c, 2);
	uint8_t major = cursor_u8(c) & 0x7f, minor = cursor_u8(c);
	cursor_skip(c, 2);
	uint32_t manufacturer = cursor_u8(c);
	manufacturer |= (uint32_t)cursor_u8(c) << 8;
	manufacturer |= (uint32_t)(cursor_u8(c) & 0x0f) << 16;
	uint16_t product = cursor_le16(c);
	if (!cursor_ok(c))
		return false;
	*facts = (struct ipmi_facts){ .manufacturer = manufacturer, .known = true };
	char buf[24];
	struct bmc_info *info = &result->info;
	snprintf(info->vendor, sizeof(info->vendor), "%s", ipmi_vendor(manufacturer, buf));
	snprintf(info->product, sizeof(info->product), "0x%04x", product);
	snprintf(info->version, sizeof(info->version), "%u.%02x", major, minor);
	return true;
}

/* The byte order of SMBIOS, which most BMCs use in spite of the specification. */
static bool decode_guid(struct ipmi_facts *facts, struct cursor *c, struct bmc_result *result)
{
	(void)facts;
	const uint8_t *g = cursor_bytes(c, IPMI_GUID_SIZE);
	if (!g)
		return true;
	snprintf(result->info.guid, sizeof(result->info.guid),
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", g[3], g[2],
		 g[1], g[0], g[5], g[4], g[7], g[6], g[8], g[9], g[10], g[11], g[12], g[13], g[14],
		 g[15]);
	return true;
}

/* --- tables ---------------------------------------------------------------------------------- */

static const struct ipmi_step get_power[] = {
	{ "Get Chassis Status", NETFN_CHASSIS, CMD_CHASSIS_STATUS, .decode = decode_power },
	{ 0 },
};

static const struct ipmi_step set_power[] = {
	{ "Chassis Control", NETFN_CHASSIS, CMD_CHASSIS_CONTROL, .encode = encode_action },
	{ 0 },
};

static const struct ipmi_step get_boot[] = {
	{ "Get System Boot Options", NETFN_CHASSIS, CMD_GET_BOOT_OPTIONS, .encode = encode_ask_boot,
	  .decode = decode_boot },
	{ 0 },
};

static const struct ipmi_step set_boot[] = {
	{ "Get Device ID", NETFN_APP, CMD_DEVICE_ID, .may_fail = true, .wanted = vendor_matters,
	  .decode = decode_device_id },
	{ "Set System Boot Options (flag clearing)", NETFN_CHASSIS, CMD_SET_BOOT_OPTIONS,
	  .may_fail = true, .encode = encode_keep_flags },
	{ "Set System Boot Options", NETFN_CHASSIS, CMD_SET_BOOT_OPTIONS, .encode = encode_boot },
	{ 0 },
};

static const struct ipmi_step get_info[] = {
	{ "Get Device ID", NETFN_APP, CMD_DEVICE_ID, .decode = decode_device_id },
	{ "Get System GUID", NETFN_APP, CMD_SYSTEM_GUID, .may_fail = true, .decode = decode_guid },
	{ 0 },
};

const struct ipmi_step *ipmi_steps(enum bmc_op op)
{
	static const struct ipmi_step *const tables[_BMC_OP_MAX] = {
		[BMC_OP_GET_POWER] = get_power, [BMC_OP_SET_POWER] = set_power,
		[BMC_OP_GET_BOOT] = get_boot,	[BMC_OP_SET_BOOT] = set_boot,
		[BMC_OP_GET_INFO] = get_info,
	};
	return tables[op];
}

const struct ipmi_step *ipmi_step_from(const struct ipmi_step *step, const struct ipmi_facts *facts,
				       const struct bmc_request *request)
{
	while (step->name && step->wanted && !step->wanted(facts, request))
		step++;
	return step->name ? step : NULL;
}

bool ipmi_step_once(const struct ipmi_step *step, const struct bmc_request *request)
{
	return step->encode == encode_action &&
	       (request->action == BMC_ACTION_CYCLE || request->action == BMC_ACTION_RESET);
}

/* --- codes ----------------------------------------------------------------------------------- */

/* Completion codes (IPMI 2.0, table 5-2). */
static const struct {
	uint8_t code;
	enum err_kind kind;
	const char *text;
} completions[] = {
	{ 0xc0, ERR_BUSY, "the BMC is busy" },
	{ 0xc1, ERR_UNSUPPORTED, "the BMC does not know the command" },
	{ 0xc3, ERR_BUSY, "the BMC ran out of time" },
	{ 0xc4, ERR_BUSY, "the BMC is out of space" },
	{ 0xc7, ERR_UNSUPPORTED, "the BMC wants another length of the request" },
	{ 0xc9, ERR_UNSUPPORTED, "parameter out of range" },
	{ 0xcc, ERR_UNSUPPORTED, "invalid data field in the request" },
	{ 0xce, ERR_IO, "the BMC cannot answer" },
	{ 0xcf, ERR_BUSY, "the BMC took it for a duplicate" },
	{ 0xd0, ERR_BUSY, "the BMC updates its sensor records" },
	{ 0xd1, ERR_BUSY, "the BMC's firmware is being updated" },
	{ 0xd2, ERR_BUSY, "the BMC is starting" },
	{ 0xd4, ERR_DENIED, "the user's privilege level is too low" },
	{ 0xd5, ERR_UNSUPPORTED, "not possible in the present state of the host" },
	{ 0xd6, ERR_UNSUPPORTED, "the command is disabled" },
	{ 0x80, ERR_UNSUPPORTED, "the BMC does not support the parameter" },
	{ 0xff, ERR_IO, "unspecified error" },
};

const char *ipmi_completion_text(uint8_t code)
{
	for (size_t i = 0; i < ARRAY_SIZE(completions); i++)
		if (completions[i].code == code)
			return completions[i].text;
	return "unknown reason";
}

enum err_kind ipmi_completion_kind(uint8_t code)
{
	for (size_t i = 0; i < ARRAY_SIZE(completions); i++)
		if (completions[i].code == code)
			return completions[i].kind;
	return ERR_IO;
}

static const char *const privileges[] = { NULL, "CALLBACK", "USER", "OPERATOR", "ADMINISTRATOR" };

int ipmi_privilege_parse(const char *text, uint8_t *ret)
{
	for (size_t i = 1; i < ARRAY_SIZE(privileges); i++)
		if (strcasecmp(privileges[i], text) == 0) {
			*ret = (uint8_t)i;
			return 0;
		}
	return -EINVAL;
}

const char *ipmi_privilege_name(uint8_t level)
{
	return level >= 1 && level < ARRAY_SIZE(privileges) ? privileges[level] : "?";
}
