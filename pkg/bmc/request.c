/* Requests and results as rows of one table: what an op is called, and which of their strings have
 * to be copied and freed. Pure functions. any thread */

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "bmc/bmc.h"

/* --- what owns strings ------------------------------------------------------------------------ */

static void media_dup(struct bmc_media *m)
{
	*m = (struct bmc_media){ xstrdup(m->url), xstrdup(m->username), xstrdup(m->password),
				 m->replace };
}

static void media_done(struct bmc_media *m)
{
	m->url = secret_free(m->url); /* a token may be part of it */
	m->username = secret_free(m->username);
	m->password = secret_free(m->password);
}

void bmc_settings_add(struct bmc_settings *s, const char *name, const char *value)
{
	s->items = xreallocarray(s->items, s->count + 1, sizeof(*s->items));
	s->items[s->count++] = (struct bmc_setting){ xstrdup(name), xstrdup(value) };
}

const char *bmc_settings_get(const struct bmc_settings *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++)
		if (streq(s->items[i].name, name))
			return s->items[i].value;
	return NULL;
}

static void boot_dup(struct bmc_boot *b)
{
	b->http_uri = xstrdup(b->http_uri);
}

static void boot_done(struct bmc_boot *b)
{
	b->http_uri = secret_free(b->http_uri); /* a token may be part of it */
}

static void settings_dup(struct bmc_settings *s)
{
	const struct bmc_settings from = *s;
	*s = (struct bmc_settings){ 0 };
	for (size_t i = 0; i < from.count; i++)
		bmc_settings_add(s, from.items[i].name, from.items[i].value);
}

static void settings_done(struct bmc_settings *s)
{
	for (size_t i = 0; i < s->count; i++) {
		free(s->items[i].name);
		secret_free(s->items[i].value); /* of password attributes, too */
	}
	free(s->items);
	*s = (struct bmc_settings){ 0 };
}

static void firmware_dup(struct bmc_firmware *f)
{
	*f = (struct bmc_firmware){ xstrdup(f->component), xstrdup(f->url) };
}

static void firmware_done(struct bmc_firmware *f)
{
	free(f->component);
	f->url = secret_free(f->url);
	f->component = NULL;
}

static void job_dup(struct bmc_job *j)
{
	j->id = xstrdup(j->id);
	j->text = xstrdup(j->text);
}

static void job_done(struct bmc_job *j)
{
	free(j->id);
	free(j->text);
	j->id = j->text = NULL;
}

/* Of an item of a list: where its strings are. */
#define AT(type, member) offsetof(struct type, member)
enum { STRINGS_MAX = 5 };
struct item_kind {
	size_t size, count;
	size_t strings[STRINGS_MAX];
};
static const struct item_kind sensor_kind = {
	sizeof(struct bmc_sensor),
	3,
	{ AT(bmc_sensor, name), AT(bmc_sensor, group), AT(bmc_sensor, unit) },
};
static const struct item_kind entry_kind = {
	sizeof(struct bmc_log_entry),
	2,
	{ AT(bmc_log_entry, id), AT(bmc_log_entry, text) },
};
static const struct item_kind drive_kind = {
	sizeof(struct bmc_drive),
	4,
	{ AT(bmc_drive, controller), AT(bmc_drive, id), AT(bmc_drive, model),
	  AT(bmc_drive, serial) },
};
static const struct item_kind volume_kind = {
	sizeof(struct bmc_volume),
	5,
	{ AT(bmc_volume, controller), AT(bmc_volume, id), AT(bmc_volume, name),
	  AT(bmc_volume, raid_level), AT(bmc_volume, drives) },
};

static const struct item_kind component_kind = {
	sizeof(struct bmc_component),
	3,
	{ AT(bmc_component, id), AT(bmc_component, name), AT(bmc_component, version) },
};
static const struct item_kind subscription_kind = {
	sizeof(struct bmc_subscription),
	5,
	{ AT(bmc_subscription, id), AT(bmc_subscription, destination),
	  AT(bmc_subscription, context), AT(bmc_subscription, protocol),
	  AT(bmc_subscription, types) },
};

static char **string_of(void *item, const struct item_kind *kind, size_t i)
{
	return (char **)((char *)item + kind->strings[i]);
}

static void item_dup(void *item, const struct item_kind *kind)
{
	for (size_t i = 0; i < kind->count; i++) {
		char **s = string_of(item, kind, i);
		*s = xstrdup(*s);
	}
}

static void item_done(void *item, const struct item_kind *kind)
{
	for (size_t i = 0; i < kind->count; i++) {
		char **s = string_of(item, kind, i);
		free(*s);
		*s = NULL;
	}
}

/* New memory; NULL for none. */
static void *items_dup(const void *items, size_t count, const struct item_kind *kind)
{
	if (count == 0)
		return NULL;
	char *copy = xmemdup(items, count * kind->size);
	for (size_t i = 0; i < count; i++)
		item_dup(copy + i * kind->size, kind);
	return copy;
}

static void items_done(void *items, size_t count, const struct item_kind *kind)
{
	for (size_t i = 0; i < count; i++)
		item_done((char *)items + i * kind->size, kind);
	free(items);
}

static void *items_add(void *items, size_t *count, const void *item, const struct item_kind *kind)
{
	char *grown = xreallocarray(items, *count + 1, kind->size);
	char *place = grown + (*count)++ * kind->size;
	memcpy(place, item, kind->size);
	item_dup(place, kind);
	return grown;
}

void bmc_sensors_add(struct bmc_sensors *s, const struct bmc_sensor *sensor)
{
	s->items = items_add(s->items, &s->count, sensor, &sensor_kind);
}

void bmc_log_add(struct bmc_log *l, const struct bmc_log_entry *entry)
{
	l->items = items_add(l->items, &l->count, entry, &entry_kind);
}

void bmc_raid_add_drive(struct bmc_raid *r, const struct bmc_drive *drive)
{
	r->drives.items = items_add(r->drives.items, &r->drives.count, drive, &drive_kind);
}

void bmc_raid_add_volume(struct bmc_raid *r, const struct bmc_volume *volume)
{
	r->volumes.items = items_add(r->volumes.items, &r->volumes.count, volume, &volume_kind);
}

void bmc_components_add(struct bmc_components *c, const struct bmc_component *component)
{
	c->items = items_add(c->items, &c->count, component, &component_kind);
}

void bmc_subscriptions_add(struct bmc_subscriptions *s, const struct bmc_subscription *one)
{
	s->items = items_add(s->items, &s->count, one, &subscription_kind);
}

static void raid_dup(struct bmc_raid *r)
{
	r->drives.items = items_dup(r->drives.items, r->drives.count, &drive_kind);
	r->volumes.items = items_dup(r->volumes.items, r->volumes.count, &volume_kind);
}

static void raid_done(struct bmc_raid *r)
{
	items_done(r->drives.items, r->drives.count, &drive_kind);
	items_done(r->volumes.items, r->volumes.count, &volume_kind);
	*r = (struct bmc_raid){ 0 };
}

/* --- the table -------------------------------------------------------------------------------- */

enum owned {
	OWNED_NONE,
	OWNED_MEDIA,
	OWNED_SETTINGS,
	OWNED_FIRMWARE,
	OWNED_JOB,
	OWNED_VOLUME,
	OWNED_SENSORS,
	OWNED_LOG,
	OWNED_RAID,
	OWNED_INVENTORY,
	OWNED_BOOT,
	OWNED_COMPONENTS,
	OWNED_SUBSCRIPTION,
	OWNED_SUBSCRIPTIONS,
};

static const struct {
	const char *name; /* completes "cannot" */
	enum owned request, result;
	bool begins_job;
} rows[_BMC_OP_MAX] = {
	[BMC_OP_GET_POWER] = { "read power state", OWNED_NONE, OWNED_NONE, false },
	[BMC_OP_SET_POWER] = { "change power state", OWNED_NONE, OWNED_NONE, false },
	[BMC_OP_GET_BOOT] = { "read boot device", OWNED_NONE, OWNED_BOOT, false },
	[BMC_OP_SET_BOOT] = { "set boot device", OWNED_BOOT, OWNED_NONE, false },
	[BMC_OP_GET_INFO] = { "read BMC model", OWNED_NONE, OWNED_NONE, false },
	[BMC_OP_GET_BOOT_MODE] = { "read boot mode", OWNED_NONE, OWNED_NONE, false },
	[BMC_OP_SET_BOOT_MODE] = { "set boot mode", OWNED_NONE, OWNED_NONE, false },
	[BMC_OP_GET_SECURE_BOOT] = { "read secure boot state", OWNED_NONE, OWNED_NONE, false },
	[BMC_OP_SET_SECURE_BOOT] = { "set secure boot state", OWNED_NONE, OWNED_NONE, false },
	[BMC_OP_GET_MEDIA] = { "read virtual media", OWNED_NONE, OWNED_MEDIA, false },
	[BMC_OP_INSERT_MEDIA] = { "insert virtual media", OWNED_MEDIA, OWNED_MEDIA, false },
	[BMC_OP_EJECT_MEDIA] = { "eject virtual media", OWNED_MEDIA, OWNED_MEDIA, false },
	[BMC_OP_GET_SETTINGS] = { "read firmware settings", OWNED_NONE, OWNED_SETTINGS, false },
	[BMC_OP_SET_SETTINGS] = { "change firmware settings", OWNED_SETTINGS, OWNED_JOB, true },
	[BMC_OP_UPDATE_FIRMWARE] = { "update firmware", OWNED_FIRMWARE, OWNED_JOB, true },
	[BMC_OP_GET_JOB] = { "read the state of a job", OWNED_JOB, OWNED_JOB, false },
	[BMC_OP_SEND_NMI] = { "send an NMI", OWNED_NONE, OWNED_NONE, false },
	[BMC_OP_SET_LED] = { "switch the identification LED", OWNED_NONE, OWNED_NONE, false },
	[BMC_OP_SET_CLOCK] = { "set the BMC's clock", OWNED_NONE, OWNED_NONE, false },
	[BMC_OP_RESET_BMC] = { "reset the BMC", OWNED_NONE, OWNED_NONE, false },
	[BMC_OP_GET_SENSORS] = { "read sensors", OWNED_NONE, OWNED_SENSORS, false },
	[BMC_OP_GET_LOG] = { "read the system event log", OWNED_NONE, OWNED_LOG, false },
	[BMC_OP_CLEAR_LOG] = { "clear the system event log", OWNED_NONE, OWNED_NONE, false },
	[BMC_OP_GET_RAID] = { "read drives and volumes", OWNED_NONE, OWNED_RAID, false },
	[BMC_OP_CREATE_VOLUME] = { "create a volume", OWNED_VOLUME, OWNED_JOB, true },
	[BMC_OP_DELETE_VOLUME] = { "delete a volume", OWNED_VOLUME, OWNED_JOB, true },
	[BMC_OP_INSPECT] = { "inspect the host", OWNED_NONE, OWNED_INVENTORY, false },
	[BMC_OP_GET_HEALTH] = { "read the machine's health", OWNED_NONE, OWNED_NONE, false },
	[BMC_OP_GET_FIRMWARE] = { "read firmware versions", OWNED_NONE, OWNED_COMPONENTS, false },
	[BMC_OP_RESET_SETTINGS] = { "reset firmware settings", OWNED_NONE, OWNED_JOB, true },
	[BMC_OP_RESET_SECURE_BOOT_KEYS] = { "reset the keys of secure boot", OWNED_NONE, OWNED_NONE,
					    false },
	[BMC_OP_GET_SUBSCRIPTIONS] = { "read event subscriptions", OWNED_NONE, OWNED_SUBSCRIPTIONS,
				       false },
	[BMC_OP_SUBSCRIBE] = { "subscribe to events", OWNED_SUBSCRIPTION, OWNED_SUBSCRIPTION,
			       false },
	[BMC_OP_UNSUBSCRIBE] = { "end an event subscription", OWNED_SUBSCRIPTION, OWNED_NONE,
				 false },
};

const char *bmc_op_name(enum bmc_op op)
{
	return op < _BMC_OP_MAX ? rows[op].name : "?";
}

bool bmc_op_begins_job(enum bmc_op op)
{
	return op < _BMC_OP_MAX && rows[op].begins_job;
}

/* Requests and results keep what they own in a union: a member's address is that of all. */
static void owned_dup(enum owned what, void *member)
{
	struct bmc_sensors *sensors = member;
	struct bmc_log *log = member;
	struct json **inventory = member;
	struct bmc_components *components = member;
	struct bmc_subscriptions *subscriptions = member;
	switch (what) {
	case OWNED_NONE:
		break;
	case OWNED_MEDIA:
		media_dup(member);
		break;
	case OWNED_SETTINGS:
		settings_dup(member);
		break;
	case OWNED_FIRMWARE:
		firmware_dup(member);
		break;
	case OWNED_JOB:
		job_dup(member);
		break;
	case OWNED_VOLUME:
		item_dup(member, &volume_kind);
		break;
	case OWNED_SENSORS:
		sensors->items = items_dup(sensors->items, sensors->count, &sensor_kind);
		break;
	case OWNED_LOG:
		log->items = items_dup(log->items, log->count, &entry_kind);
		break;
	case OWNED_RAID:
		raid_dup(member);
		break;
	case OWNED_INVENTORY:
		*inventory = *inventory ? json_dup(*inventory) : NULL;
		break;
	case OWNED_BOOT:
		boot_dup(member);
		break;
	case OWNED_COMPONENTS:
		components->items = items_dup(components->items, components->count,
					      &component_kind);
		break;
	case OWNED_SUBSCRIPTION:
		item_dup(member, &subscription_kind);
		break;
	case OWNED_SUBSCRIPTIONS:
		subscriptions->items = items_dup(subscriptions->items, subscriptions->count,
						 &subscription_kind);
		break;
	}
}

static void owned_done(enum owned what, void *member)
{
	struct bmc_sensors *sensors = member;
	struct bmc_log *log = member;
	struct json **inventory = member;
	struct bmc_components *components = member;
	struct bmc_subscriptions *subscriptions = member;
	switch (what) {
	case OWNED_NONE:
		break;
	case OWNED_MEDIA:
		media_done(member);
		break;
	case OWNED_SETTINGS:
		settings_done(member);
		break;
	case OWNED_FIRMWARE:
		firmware_done(member);
		break;
	case OWNED_JOB:
		job_done(member);
		break;
	case OWNED_VOLUME:
		item_done(member, &volume_kind);
		break;
	case OWNED_SENSORS:
		items_done(sensors->items, sensors->count, &sensor_kind);
		*sensors = (struct bmc_sensors){ 0 };
		break;
	case OWNED_LOG:
		items_done(log->items, log->count, &entry_kind);
		*log = (struct bmc_log){ 0 };
		break;
	case OWNED_RAID:
		raid_done(member);
		break;
	case OWNED_INVENTORY:
		*inventory = json_free(*inventory);
		break;
	case OWNED_BOOT:
		boot_done(member);
		break;
	case OWNED_COMPONENTS:
		items_done(components->items, components->count, &component_kind);
		*components = (struct bmc_components){ 0 };
		break;
	case OWNED_SUBSCRIPTION:
		item_done(member, &subscription_kind);
		break;
	case OWNED_SUBSCRIPTIONS:
		items_done(subscriptions->items, subscriptions->count, &subscription_kind);
		*subscriptions = (struct bmc_subscriptions){ 0 };
		break;
	}
}

void bmc_request_dup(const struct bmc_request *from, struct bmc_request *ret)
{
	struct bmc_request r = *from;
	if (r.op < _BMC_OP_MAX)
		owned_dup(rows[r.op].request, &r.media);
	*ret = r;
}

void bmc_request_done(struct bmc_request *r)
{
	if (r->op < _BMC_OP_MAX)
		owned_done(rows[r->op].request, &r->media);
}

void bmc_result_dup(const struct bmc_result *from, struct bmc_result *ret)
{
	struct bmc_result r = *from;
	if (r.op < _BMC_OP_MAX)
		owned_dup(rows[r.op].result, &r.media);
	*ret = r;
}

void bmc_result_done(struct bmc_result *r)
{
	if (r->op < _BMC_OP_MAX)
		owned_done(rows[r->op].result, &r->media);
}
