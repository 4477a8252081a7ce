/* Sensors of the system's chassis: the older Thermal and Power where there are, which are one
 * request each, else the collection of Sensors. Those that are absent or disabled are left out:
 * some BMCs give them a reading of 0, or call them critical. Core thread. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "bmc/redfish/internal.h"

enum { SENSORS_MAX = 1024, CHASSIS_MAX = 16, LINKS_MAX = 64, SENSOR_TEXT = 100 };

/* Links that wait; of sensors each in turn. */
struct sensors {
	char *links[LINKS_MAX];
	size_t count, at;
	bool asked; /* of the chassis, for anything */
};

static void sensors_done(void *state)
{
	struct sensors *s = state;
	for (size_t i = 0; i < s->count; i++)
		free(s->links[i]);
}

static void next_link(struct rf_bmc *rf);

static void add_link(struct sensors *s, const char *link)
{
	char *path = link && s->count < LINKS_MAX ? rf_path_of(link) : NULL;
	if (path)
		s->links[s->count++] = path;
}

/* --- what a sensor says ---------------------------------------------------------------------- */

/* The arrays of Thermal and Power, and how they name what others call Reading. */
static const struct group {
	const char *array, *reading, *name, *group, *unit;
} groups[] = {
	{ "Temperatures", "ReadingCelsius", "Name", "Temperature", "degrees C" },
	{ "Fans", "Reading", "Name", "Fan", "RPM" },
	{ "Voltages", "ReadingVolts", "Name", "Voltage", "Volts" },
	{ "PowerControl", "PowerConsumedWatts", "Name", "Power", "Watts" },
	{ "PowerSupplies", "LastPowerOutputWatts", "Name", "Power", "Watts" },
};

static bool is_there(const struct json *sensor)
{
	const char *state = json_get_string(json_get(sensor, "Status"), "State");
	return !state || (strcasecmp(state, "Absent") != 0 && strcasecmp(state, "Disabled") != 0);
}

/* Only the level counts of one that gives no number. */
static void add_sensor(struct bmc_sensors *out, const struct json *j, const char *reading,
		       const char *group, const char *unit)
{
	char name[SENSOR_TEXT], old_name[SENSOR_TEXT];
	struct bmc_sensor one = { .group = (char *)(uintptr_t)group };
	const char *health = json_get_string(json_get(j, "Status"), "Health");
	rf_text(j, "Name", name, sizeof(name));
	rf_text(j, "FanName", old_name, sizeof(old_name));
	one.name = *name ? name : old_name;
	one.level = rf_level_of(health);
	bool reads = json_double(json_get(j, reading), &one.value);
	one.unit = reads ? (char *)(uintptr_t)unit : NULL;
	if (!reads)
		one.value = 0;
	if (is_there(j) && *one.name && (reads || one.level != BMC_LEVEL_UNKNOWN) &&
	    out->count < SENSORS_MAX)
		bmc_sensors_add(out, &one);
}

void rf_read_sensors(const struct json *thermal_or_power, struct bmc_sensors *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		const struct group *g = &groups[i];
		json_for_each(one, json_get(thermal_or_power, g->array)) {
			const char *units = json_get_string(one, "ReadingUnits");
			bool percent = units && strcasecmp(units, "Percent") == 0;
			add_sensor(out, one, g->reading, g->group, percent ? "percent" : g->unit);
		}
	}
}

/* Of the new schema; where it does not say what it measures, the unit does. */
void rf_read_sensor(const struct json *sensor, struct bmc_sensors *out)
{
	static const struct {
		const char *type, *units, *group, *unit;
	} kinds[] = {
		{ "Temperature", "Cel", "Temperature", "degrees C" },
		{ "Rotational", "{rev}/min", "Fan", "RPM" },
		{ "Rotational", "RPM", "Fan", "RPM" },
		{ "Voltage", "V", "Voltage", "Volts" },
		{ "Current", "A", "Current", "Amps" },
		{ "Power", "W", "Power", "Watts" },
		{ "Power", "Watts", "Power", "Watts" },
		{ "EnergyJoules", "J", "Energy", "Joules" },
		{ "EnergykWh", "kW.h", "Energy", "kWh" },
		{ "Percent", "%", "Other", "percent" },
		{ "Humidity", "%", "Humidity", "percent" },
	};
	char type[SENSOR_TEXT], units[SENSOR_TEXT];
	rf_text(sensor, "ReadingType", type, sizeof(type));
	rf_text(sensor, "ReadingUnits", units, sizeof(units));
	const char *group = "Other", *unit = *units ? units : "";
	for (size_t i = ARRAY_SIZE(kinds); i-- > 0;)
		if ((*type && strcasecmp(type, kinds[i].type) == 0) ||
		    (!*type && strcmp(units, kinds[i].units) == 0)) {
			group = kinds[i].group;
			unit = kinds[i].unit;
		}
	add_sensor(out, sensor, "Reading", group, unit);
}

/* --- asking ---------------------------------------------------------------------------------- */

static void finish(struct rf_bmc *rf)
{
	const struct sensors *s = rf_state(rf);
	if (s->asked)
		rf_done(rf);
	else
		rf_fail(rf, ERR_UNSUPPORTED,
			"offers no sensors (Thermal, Power or Sensors of the system's chassis)");
}

static void on_readings(struct rf_bmc *rf, struct rf_answer *a)
{
	rf_read_sensors(a->body, &rf_task(rf)->result.sensors);
	next_link(rf);
}

static void on_sensor(struct rf_bmc *rf, struct rf_answer *a)
{
	rf_read_sensor(a->body, &rf_task(rf)->result.sensors);
	rf_members_next(rf);
}

static void on_chassis(struct rf_bmc *rf, struct rf_answer *a)
{
	struct sensors *s = rf_state(rf);
	const char *thermal = rf_link(a->body, "Thermal"), *power = rf_link(a->body, "Power");
	const char *sensors = rf_link(a->body, "Sensors");
	s->asked |= thermal || power || sensors;
	if (thermal || power) {
		add_link(s, thermal);
		add_link(s, power);
	} else if (sensors) {
		rf_each_member(rf, sensors, on_sensor, next_link);
		return;
	}
	next_link(rf);
}

/* A chassis leads to others' links, which are no chassis: they have no such links themselves. */
static void on_link(struct rf_bmc *rf, struct rf_answer *a)
{
	bool readings = false;
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		readings = readings || json_get(a->body, groups[i].array);
	if (readings)
		on_readings(rf, a);
	else
		on_chassis(rf, a);
}

static void next_link(struct rf_bmc *rf)
{
	struct sensors *s = rf_state(rf);
	if (s->at < s->count)
		rf_get_optional(rf, s->links[s->at++], on_link);
	else
		finish(rf);
}

static void on_system(struct rf_bmc *rf, struct rf_answer *a)
{
	struct sensors *s = rf_state(rf);
	json_for_each(chassis, json_get(json_get(a->body, "Links"), "Chassis"))
		if (s->count < CHASSIS_MAX)
			add_link(s, rf_id(chassis));
	next_link(rf);
}

void rf_start_get_sensors(struct bmc *bmc, struct bmc_task *task)
{
	(void)task;
	struct rf_bmc *rf = rf_begin(bmc);
	rf_state_new(rf, sizeof(struct sensors), sensors_done);
	rf_get_system(rf, on_system);
}
