/* Drives and volumes of the system's Storage, as they are: nothing here changes them. Core thread.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "bmc/redfish/internal.h"

enum { STORAGE_MAX = 64, RAID_DRIVES_MAX = 512, RAID_TEXT = 256 };

struct storage {
	char *id, *volumes;
	struct json *drives; /* links */
};

struct raid {
	struct storage items[STORAGE_MAX];
	size_t count, at, drive;
};

static void raid_done(void *state)
{
	struct raid *r = state;
	for (size_t i = 0; i < r->count; i++) {
		free(r->items[i].id);
		free(r->items[i].volumes);
		json_free(r->items[i].drives);
	}
}

/* --- Ironic's words for the schema's --- */

static const struct {
	const char *level, *type;
} levels[] = {
	{ "0", "RAID0" },    { "1", "RAID1" },	  { "5", "RAID5" },    { "6", "RAID6" },
	{ "1+0", "RAID10" }, { "5+0", "RAID50" }, { "6+0", "RAID60" },
};

static const char *level_of_type(const char *type)
{
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		if (strcasecmp(type, levels[i].type) == 0)
			return levels[i].level;
	return NULL;
}

static void next_drive(struct rf_bmc *rf);

/* --- finding --------------------------------------------------------------------------------- */

static void on_storage(struct rf_bmc *rf, struct rf_answer *a)
{
	struct raid *r = rf_state(rf);
	const char *id = json_get_string(a->body, "Id");
	const char *volumes = rf_link(a->body, "Volumes");
	if (id && r->count < STORAGE_MAX)
		r->items[r->count++] = (struct storage){
			.id = xstrdup(id),
			.volumes = volumes ? rf_path_of(volumes) : NULL,
			.drives = json_dup(json_get(a->body, "Drives")),
		};
	rf_members_next(rf);
}

static void on_system(struct rf_bmc *rf, struct rf_answer *a)
{
	const char *link = rf_link(a->body, "Storage");
	if (link)
		rf_each_member(rf, link, on_storage, next_drive);
	else
		rf_fail(rf, ERR_UNSUPPORTED, "tells nothing of drives (Storage of the system)");
}

/* --- reading --------------------------------------------------------------------------------- */

static bool is_absent(const struct json *resource)
{
	const char *state = json_get_string(json_get(resource, "Status"), "State");
	return state && strcasecmp(state, "Absent") == 0;
}

static uint64_t size_of(const struct json *resource)
{
	int64_t size = json_get_int(resource, "CapacityBytes", 0);
	return size > 0 ? (uint64_t)size : 0;
}

static void add_drive(struct rf_bmc *rf, const struct json *d, const char *controller)
{
	struct bmc_raid *out = &rf_task(rf)->result.raid;
	char id[RAID_TEXT], model[RAID_TEXT], serial[RAID_TEXT], media[RAID_TEXT];
	rf_text(d, "Id", id, sizeof(id));
	rf_text(d, "Model", model, sizeof(model));
	rf_text(d, "SerialNumber", serial, sizeof(serial));
	rf_text(d, "MediaType", media, sizeof(media));
	const char *health = json_get_string(json_get(d, "Status"), "Health");
	const struct bmc_drive one = { .controller = (char *)(uintptr_t)controller,
				       .id = id,
				       .model = *model ? model : NULL,
				       .serial = *serial ? serial : NULL,
				       .size_bytes = size_of(d),
				       .rotational = strcasecmp(media, "HDD") == 0,
				       .level = rf_level_of(health) };
	if (*id && !is_absent(d) && out->drives.count < RAID_DRIVES_MAX)
		bmc_raid_add_drive(out, &one);
}

static void on_drive(struct rf_bmc *rf, struct rf_answer *a)
{
	const struct raid *r = rf_state(rf);
	if (a->body)
		add_drive(rf, a->body, r->items[r->at].id);
	next_drive(rf);
}

/* What has no RAID type is a drive as it is, which is listed already. */
static void on_volume(struct rf_bmc *rf, struct rf_answer *a)
{
	const struct raid *r = rf_state(rf);
	struct bmc_raid *out = &rf_task(rf)->result.raid;
	char id[RAID_TEXT], name[RAID_TEXT], type[RAID_TEXT];
	rf_text(a->body, "Id", id, sizeof(id));
	rf_text(a->body, "Name", name, sizeof(name));
	rf_text(a->body, "RAIDType", type, sizeof(type));
	const struct bmc_volume one = { .controller = r->items[r->at].id,
					.id = id,
					.name = *name ? name : NULL,
					.raid_level = (char *)(uintptr_t)level_of_type(type),
					.size_bytes = size_of(a->body) };
	if (*id && one.raid_level && out->volumes.count < RAID_DRIVES_MAX)
		bmc_raid_add_volume(out, &one);
	rf_members_next(rf);
}

static void next_storage(struct rf_bmc *rf)
{
	struct raid *r = rf_state(rf);
	r->at++;
	r->drive = 0;
	next_drive(rf);
}

static void next_drive(struct rf_bmc *rf)
{
	struct raid *r = rf_state(rf);
	if (r->at == r->count) {
		rf_done(rf);
		return;
	}
	const struct storage *s = &r->items[r->at];
	const struct json *link = json_at(s->drives, r->drive);
	if (!link) {
		rf_each_member(rf, s->volumes, on_volume, next_storage);
		return;
	}
	r->drive++;
	if (rf_id(link))
		rf_get_optional(rf, rf_id(link), on_drive);
	else
		next_drive(rf);
}

void rf_start_get_raid(struct bmc *bmc, struct bmc_task *task)
{
	(void)task;
	struct rf_bmc *rf = rf_begin(bmc);
	rf_state_new(rf, sizeof(struct raid), raid_done);
	rf_get_system(rf, on_system);
}
