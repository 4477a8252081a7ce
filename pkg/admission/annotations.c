/* Annotations that carry data for the controllers. They are looked at when they are new or changed,
 * and when the spec has changed, because two of them depend on it. "Strict" decoding refuses
 * members that the types do not have. Pure. */

#include <string.h>

#include "admission/internal.h"
#include "api/bmh.h"
#include "base/mem.h"

/* --- shapes: of a JSON text whose members are all known ----------------------------------------
 */

enum shape_type { SHAPE_STRING, SHAPE_NUMBER, SHAPE_BOOL, SHAPE_OBJECT };

struct shape {
	const char *key;
	enum shape_type type;
	bool list;
	const struct shape *members; /* ended by key NULL */
};

/* clang-format off */
static const struct shape vendor_shape[] = {
	{ "manufacturer", SHAPE_STRING, false, NULL }, { "productName", SHAPE_STRING, false, NULL },
	{ "serialNumber", SHAPE_STRING, false, NULL }, { 0 },
};
static const struct shape bios_shape[] = {
	{ "date", SHAPE_STRING, false, NULL }, { "vendor", SHAPE_STRING, false, NULL },
	{ "version", SHAPE_STRING, false, NULL }, { 0 },
};
static const struct shape firmware_shape[] = { { "bios", SHAPE_OBJECT, false, bios_shape }, { 0 } };
static const struct shape cpu_shape[] = {
	{ "arch", SHAPE_STRING, false, NULL }, { "model", SHAPE_STRING, false, NULL },
	{ "clockMegahertz", SHAPE_NUMBER, false, NULL }, { "count", SHAPE_NUMBER, false, NULL },
	{ "flags", SHAPE_STRING, true, NULL }, { 0 },
};
static const struct shape vlan_shape[] = {
	{ "id", SHAPE_NUMBER, false, NULL }, { "name", SHAPE_STRING, false, NULL }, { 0 },
};
static const struct shape lldp_shape[] = {
	{ "switchID", SHAPE_STRING, false, NULL }, { "portID", SHAPE_STRING, false, NULL },
	{ "switchSystemName", SHAPE_STRING, false, NULL }, { 0 },
};
static const struct shape nic_shape[] = {
	{ "name", SHAPE_STRING, false, NULL }, { "model", SHAPE_STRING, false, NULL },
	{ "mac", SHAPE_STRING, false, NULL }, { "ip", SHAPE_STRING, false, NULL },
	{ "speedGbps", SHAPE_NUMBER, false, NULL }, { "vlanId", SHAPE_NUMBER, false, NULL },
	{ "vlans", SHAPE_OBJECT, true, vlan_shape }, { "pxe", SHAPE_BOOL, false, NULL },
	{ "pciAddress", SHAPE_STRING, false, NULL }, { "lldp", SHAPE_OBJECT, false, lldp_shape },
	{ 0 },
};
static const struct shape disk_shape[] = {
	{ "name", SHAPE_STRING, false, NULL }, { "alternateNames", SHAPE_STRING, true, NULL },
	{ "rotational", SHAPE_BOOL, false, NULL }, { "type", SHAPE_STRING, false, NULL },
	{ "sizeBytes", SHAPE_NUMBER, false, NULL }, { "vendor", SHAPE_STRING, false, NULL },
	{ "model", SHAPE_STRING, false, NULL }, { "serialNumber", SHAPE_STRING, false, NULL },
	{ "wwn", SHAPE_STRING, false, NULL }, { "wwnVendorExtension", SHAPE_STRING, false, NULL },
	{ "wwnWithExtension", SHAPE_STRING, false, NULL }, { "hctl", SHAPE_STRING, false, NULL },
	{ 0 },
};
static const struct shape hardware_shape[] = {
	{ "systemVendor", SHAPE_OBJECT, false, vendor_shape },
	{ "firmware", SHAPE_OBJECT, false, firmware_shape },
	{ "ramMebibytes", SHAPE_NUMBER, false, NULL }, { "hostname", SHAPE_STRING, false, NULL },
	{ "cpu", SHAPE_OBJECT, false, cpu_shape }, { "nics", SHAPE_OBJECT, true, nic_shape },
	{ "storage", SHAPE_OBJECT, true, disk_shape }, { 0 },
};
/* clang-format on */

static bool has_type(const struct json *j, enum shape_type type)
{
	switch (type) {
	case SHAPE_STRING:
		return json_type(j) == JSON_STRING;
	case SHAPE_NUMBER:
		return json_type(j) == JSON_NUMBER;
	case SHAPE_BOOL:
		return json_type(j) == JSON_BOOL;
	case SHAPE_OBJECT:
		return json_type(j) == JSON_OBJECT;
	}
	return false;
}

static int check_shape(const struct shape *members, const struct json *object, struct err *err);

static int check_value(const struct shape *s, const struct json *value, struct err *err)
{
	if (json_is_null(value)) /* Go's zero value */
		return 0;
	if (!has_type(value, s->type))
		return err_set(err, ERR_INVALID, "%s has the wrong type", s->key);
	return s->members ? check_shape(s->members, value, err) : 0;
}

static int check_member(const struct shape *members, const struct json *value, struct err *err)
{
	const struct shape *s = members;
	while (s->key && !streq(s->key, json_key(value)))
		s++;
	if (!s->key)
		return err_set(err, ERR_INVALID, "unknown field \"%.64s\"", json_key(value));
	if (!s->list || json_is_null(value))
		return check_value(s, value, err);
	if (!json_is_array(value))
		return err_set(err, ERR_INVALID, "%s is not a list", s->key);
	int r = 0;
	for (const struct json *e = json_first(value); e && r == 0; e = json_next(e))
		r = check_value(s, e, err);
	return r;
}

static int check_shape(const struct shape *members, const struct json *object, struct err *err)
{
	int r = 0;
	for (const struct json *m = json_first(object); m && r == 0; m = json_next(m))
		r = check_member(members, m, err);
	return r;
}

static int check_hardware(const struct json *hardware, struct err *err)
{
	if (!json_is_object(hardware))
		return err_set(err, ERR_INVALID, "it is not an object");
	return check_shape(hardware_shape, hardware, err);
}

/* --- the host's status ------------------------------------------------------------------------ */

/* Members that the table does not bind. An embedded struct of lists does not occur in it. */
static int check_bound(const struct bind_struct *table, const struct json *object, struct err *err)
{
	json_for_each(member, object) {
		const struct bind_field *f = table->fields;
		while (f->key && !streq(f->key, json_key(member)))
			f++;
		if (!f->key)
			return err_set(err, ERR_INVALID, "unknown field \"%.64s\"",
				       json_key(member));
		int r = f->sub ? check_bound(f->sub, member, err) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

/* Values of the enums too: the binding knows them all, servicing and detached errors included. */
static int check_status(const struct json *j, struct err *err)
{
	struct bmh_status status = { 0 };
	if (!json_is_object(j))
		return err_set(err, ERR_INVALID, "it is not an object");
	int r = bind_from_json(&bmh_status_struct, j, &status, err);
	if (r < 0)
		return r;
	bind_release(&bmh_status_struct, &status);
	r = check_bound(&bmh_status_struct, j, err);
	const struct json *hardware = json_get(j, "hardware");
	return r == 0 && !json_is_null(hardware) ? check_hardware(hardware, err) : r;
}

/* --- reboot ----------------------------------------------------------------------------------- */

static bool is_reboot(const char *key)
{
	return streq(key, BMH_REBOOT) || str_has_prefix(key, BMH_REBOOT "/");
}

static int check_reboot(const struct json *j, struct err *err)
{
	const struct json *mode = json_get(j, "mode"), *force = json_get(j, "force");
	const char *text = json_string(mode);
	if (!json_is_object(j))
		return err_set(err, ERR_INVALID, "it is not an object");
	if (!json_is_null(mode) && !streq(text, "") && !streq(text, "hard") && !streq(text, "soft"))
		return err_set(err, ERR_INVALID, "mode must be \"hard\" or \"soft\"");
	if (!json_is_null(force) && json_type(force) != JSON_BOOL)
		return err_set(err, ERR_INVALID, "force must be true or false");
	return 0;
}

/* --- all -------------------------------------------------------------------------------------- */

static void check_json(const char *key, const char *text,
		       int (*check)(const struct json *, struct err *), struct causes *ret)
{
	_cleanup_(json_freep) struct json *j = NULL;
	_cleanup_(freep) char *field = xasprintf("metadata.annotations[%s]", key);
	struct err err = { 0 };
	int r = json_parse(text, strlen(text), &j, &err);
	if (r == 0)
		r = check(j, &err);
	if (r < 0)
		causes_add(ret, CAUSE_INVALID, field, NULL, "%s", err.text);
}

static void check_inspect(const char *text, struct causes *ret)
{
	if (*text && !streq(text, "disabled"))
		causes_add_string(ret, CAUSE_INVALID, "metadata.annotations[" BMH_INSPECT "]", text,
				  "must be empty, to have the host inspected again, or disabled");
}

static void check_details(const struct rule_subject *s, const char *text, struct causes *ret)
{
	if (!*text)
		return;
	if (!rule_inspection_disabled(s->now))
		causes_add(
			ret, CAUSE_FORBIDDEN, "metadata.annotations[" BMH_HARDWARE_DETAILS "]",
			NULL,
			"needs spec.inspectionMode: disabled, or an inspection would overwrite it");
	check_json(BMH_HARDWARE_DETAILS, text, check_hardware, ret);
}

static bool has_rules(const char *key)
{
	return is_reboot(key) || streq(key, BMH_STATUS) || streq(key, BMH_INSPECT) ||
	       streq(key, BMH_HARDWARE_DETAILS);
}

static void check_one(const struct rule_subject *s, const char *key, const char *text,
		      struct causes *ret)
{
	if (is_reboot(key) && *text)
		check_json(key, text, check_reboot, ret);
	else if (streq(key, BMH_STATUS))
		check_json(key, text, check_status, ret);
	else if (streq(key, BMH_INSPECT))
		check_inspect(text, ret);
	else if (streq(key, BMH_HARDWARE_DETAILS))
		check_details(s, text, ret);
}

void rule_host_annotations(const struct rule_subject *s, struct causes *ret)
{
	const struct json *before = json_get_path(s->old, "metadata.annotations");
	bool all = rule_changed(s, "spec");
	json_for_each(a, json_get_path(s->now, "metadata.annotations")) {
		const char *key = json_key(a), *text = str_or(json_string(a), "");
		if (has_rules(key) && (all || !streq(json_get_string(before, key), text)))
			check_one(s, key, text, ret);
	}
}

void rule_claim_annotations(const struct rule_subject *s, struct causes *ret)
{
	const struct json *before = json_get_path(s->old, "metadata.annotations");
	bool all = rule_changed(s, "spec");
	json_for_each(a, json_get_path(s->now, "metadata.annotations")) {
		const char *key = json_key(a), *text = str_or(json_string(a), "");
		if (is_reboot(key) && *text && (all || !streq(json_get_string(before, key), text)))
			check_json(key, text, check_reboot, ret);
	}
}
