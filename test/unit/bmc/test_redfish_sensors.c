/* Sensors by both schemas, the system event log, drives and volumes. */

#include "redfish_rig.h"

#include "bmc/redfish/internal.h"

struct kept {
	struct rig *t;
	struct bmc_result result;
};

static void keep(void *data, const struct bmc_result *result)
{
	struct kept *k = data;
	bmc_result_dup(result, &k->result);
	asking_done(&k->t->a, result);
}

static struct kept run(struct rig *t, enum bmc_op op, const char *trace)
{
	struct kept k = { .t = t };
	t->a.waiting++;
	bmc_submit(t->a.bmc, &(struct bmc_request){ .op = op }, keep, &k);
	expect(&t->a, trace);
	t->a.last.err = k.result.err;
	return k;
}

#define SYSTEM_OF(more)                                                                            \
	{                                                                                          \
		.ask = "GET /redfish/v1/Systems/1 ", .status = "200 OK",                           \
		.body = "{\"PowerState\":\"On\",\"Boot\":{},\"Links\":{\"Chassis\":[{"             \
			"\"@odata.id\":\"/redfish/v1/Chassis/1\"}],\"ManagedBy\":[{"               \
			"\"@odata.id\":\"/redfish/v1/Managers/1\"}]}" more "}"                     \
	}

static void expect_sensors(struct kept *k, const char *wanted)
{
	struct strbuf was = { 0 };
	const struct bmc_sensors *s = &k->result.sensors;
	strbuf_adds(&was, "");
	for (size_t i = 0; i < s->count; i++)
		strbuf_addf(&was, "%s|%s|%g|%s|%d\n", s->items[i].name, s->items[i].group,
			    s->items[i].value, str_or(s->items[i].unit, "-"), s->items[i].level);
	if (!streq(was.data, wanted))
		fail_msg("%snot\n%s", was.data, wanted);
	strbuf_done(&was);
	bmc_result_done(&k->result);
}

/* Absent ones have a reading of 0, or are called critical: they are left out. */
static void test_thermal_and_power(void **state)
{
	static const struct rule rules[] = {
		SYSTEM_OF(""),
		{ .ask = "GET /redfish/v1/Chassis/1 ",
		  .status = "200 OK",
		  .body = "{\"Thermal\":{\"@odata.id\":\"/redfish/v1/T\"},\"Power\":{\"@odata.id\":"
			  "\"/redfish/v1/P\"},\"Sensors\":{\"@odata.id\":\"/redfish/v1/S\"}}" },
		{ .ask = "GET /redfish/v1/T ",
		  .status = "200 OK",
		  .body = "{\"Temperatures\":[{\"Name\":\"CPU\",\"ReadingCelsius\":-51.5,\"Status\":{"
			  "\"State\":\"Enabled\",\"Health\":\"OK\"}},{\"Name\":\"No\","
			  "\"ReadingCelsius\":0,\"Status\":{\"State\":\"Absent\"}},{\"Name\":\"Null\","
			  "\"ReadingCelsius\":null}],\"Fans\":[{\"FanName\":\"Fan 1\",\"Reading\":20,"
			  "\"ReadingUnits\":\"Percent\"},{\"Name\":\"Fan 2\",\"Reading\":4200}]}" },
		{ .ask = "GET /redfish/v1/P ",
		  .status = "200 OK",
		  .body = "{\"PowerSupplies\":[{\"Name\":\"PSU\",\"LastPowerOutputWatts\":null,"
			  "\"Status\":{\"Health\":\"Critical\"}},{\"Name\":\"nil\"}],\"Voltages\":7}" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	struct kept k = run(t, BMC_OP_GET_SENSORS, "ok ");
	expect_sensors(&k, "CPU|Temperature|-51.5|degrees C|1\nFan 1|Fan|20|percent|0\n"
			   "Fan 2|Fan|4200|RPM|0\nPSU|Power|0|-|3\n");
}

static void test_collection_of_sensors(void **state)
{
	static const struct rule rules[] = {
		SYSTEM_OF(""),
		{ .ask = "GET /redfish/v1/Chassis/1 ",
		  .status = "200 OK",
		  .body = "{\"Sensors\":{\"@odata.id\":\"/redfish/v1/S\"}}" },
		{ .ask = "GET /redfish/v1/S ",
		  .status = "200 OK",
		  .body = "{\"Members\":[{\"@odata.id\":\"/redfish/v1/S/1\"},{\"@odata.id\":"
			  "\"/redfish/v1/S/gone\"},{\"@odata.id\":\"/redfish/v1/S/2\"},{\"@odata.id\":"
			  "\"/redfish/v1/S/3\"}]}" },
		{ .ask = "GET /redfish/v1/S/1 ",
		  .status = "200 OK",
		  .body = "{\"Name\":\"Inlet\",\"ReadingType\":\"Temperature\",\"Reading\":23,"
			  "\"ReadingUnits\":\"Cel\"}" },
		{ .ask = "GET /redfish/v1/S/2 ",
		  .status = "200 OK",
		  .body = "{\"Name\":\"Input\",\"Reading\":310,\"ReadingUnits\":\"W\"}" },
		{ .ask = "GET /redfish/v1/S/3 ",
		  .status = "200 OK",
		  .body = "{\"Name\":\"Bay\",\"Reading\":null,\"Status\":{\"State\":\"Absent\","
			  "\"Health\":\"Critical\"}}" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	struct kept k = run(t, BMC_OP_GET_SENSORS, "ok ");
	expect_sensors(&k, "Inlet|Temperature|23|degrees C|0\nInput|Power|310|Watts|0\n");
}

static void test_no_sensors(void **state)
{
	struct rig *t = *state;
	rig_start(t, NULL);
	struct kept k = run(t, BMC_OP_GET_SENSORS, "unsupported ");
	expect_text(t, "offers no sensors");
	bmc_result_done(&k.result);
}

/* --- log ------------------------------------------------------------------------------------- */

static const struct rule log_rules[] = {
	SYSTEM_OF(",\"LogServices\":{\"@odata.id\":\"/redfish/v1/Logs\"}"),
	{ .ask = "GET /redfish/v1/Logs ",
	  .status = "200 OK",
	  .body = "{\"Members\":[{\"@odata.id\":\"/redfish/v1/Logs/Audit\"},{\"@odata.id\":"
		  "\"/redfish/v1/Logs/SEL\"}]}" },
	{ .ask = "GET /redfish/v1/Logs/Audit ",
	  .status = "200 OK",
	  .body = "{\"Id\":\"Audit\",\"Entries\":{\"@odata.id\":\"/redfish/v1/A\"},\"Actions\":{"
		  "\"#LogService.ClearLog\":{\"target\":\"/redfish/v1/ClearAudit\"}}}" },
	{ .ask = "GET /redfish/v1/Logs/SEL ",
	  .status = "200 OK",
	  .body = "{\"Id\":\"SEL\",\"Entries\":{\"@odata.id\":\"/redfish/v1/E\"},\"Actions\":{"
		  "\"#LogService.ClearLog\":{\"target\":\"/redfish/v1/Clear\"}}}" },
	{ .ask = "GET /redfish/v1/E ",
	  .status = "200 OK",
	  .body = "{\"Members\":[{\"Id\":\"2\",\"Message\":\"Fan failed\",\"Severity\":\"Critical\","
		  "\"Created\":\"2026-01-02T03:04:05+01:00\"}],\"Members@odata.nextLink\":"
		  "\"/redfish/v1/E2\"}" },
	{ .ask = "GET /redfish/v1/E2 ",
	  .status = "200 OK",
	  .body = "{\"Members\":[{\"Id\":\"1\",\"Message\":\"\",\"MessageId\":\"X.1.0.Boot\","
		  "\"Created\":\"2026-01-02T02:04:04.5Z\"},{\"Id\":\"0\"}]}" },
	{ .ask = "POST /redfish/v1/Clear ", .status = "204 No Content" },
	{ 0 },
};

static void test_log(void **state)
{
	struct rig *t = *state;
	rig_start(t, log_rules);
	struct kept k = run(t, BMC_OP_GET_LOG, "ok ");
	const struct bmc_log *l = &k.result.log;
	assert_int_equal(l->count, 2);
	assert_string_equal(l->items[0].text, "X.1.0.Boot");
	assert_string_equal(l->items[1].text, "Fan failed");
	assert_int_equal(l->items[1].level, BMC_LEVEL_CRITICAL);
	assert_int_equal(l->items[1].at / USEC_PER_SEC, 1767319445);
	bmc_result_done(&k.result);
	k = run(t, BMC_OP_CLEAR_LOG, "ok ");
	assert_true(server_heard(t->server, "POST /redfish/v1/Clear "));
	assert_false(server_heard(t->server, "ClearAudit"));
	bmc_result_done(&k.result);
}

static void test_times(void **state)
{
	(void)state;
	assert_int_equal(rf_parse_time("1970-01-01T00:00:10Z"), 10 * USEC_PER_SEC);
	assert_int_equal(rf_parse_time("1970-01-01T01:00:10.25+00:30"), 1810 * USEC_PER_SEC);
	assert_int_equal(rf_parse_time("1970-01-01T00:00:10"), 10 * USEC_PER_SEC);
	assert_int_equal(rf_parse_time("yesterday"), 0);
	assert_int_equal(rf_parse_time(""), 0);
}

/* --- drives and volumes ---------------------------------------------------------------------- */

/* Empty bays are none, nor are raw drives volumes. */
static void test_raid(void **state)
{
	static const struct rule rules[] = {
		SYSTEM_OF(",\"Storage\":{\"@odata.id\":\"/redfish/v1/St\"}"),
		{ .ask = "GET /redfish/v1/St ",
		  .status = "200 OK",
		  .body = "{\"Members\":[{\"@odata.id\":\"/redfish/v1/St/A\"}]}" },
		{ .ask = "GET /redfish/v1/St/A ",
		  .status = "200 OK",
		  .body = "{\"Id\":\"A\",\"Volumes\":{\"@odata.id\":\"/redfish/v1/V\"},\"Drives\":["
			  "{\"@odata.id\":\"/redfish/v1/D1\"},{},{\"@odata.id\":\"/redfish/v1/D2\"},"
			  "{\"@odata.id\":\"/redfish/v1/gone\"}]}" },
		{ .ask = "GET /redfish/v1/D1 ",
		  .status = "200 OK",
		  .body = "{\"Id\":\"D1\",\"CapacityBytes\":1000,\"MediaType\":\"HDD\",\"Model\":"
			  "\" M \",\"Status\":{\"Health\":\"Warning\"}}" },
		{ .ask = "GET /redfish/v1/D2 ",
		  .status = "200 OK",
		  .body = "{\"Id\":\"D2\",\"Status\":{\"State\":\"Absent\"}}" },
		{ .ask = "GET /redfish/v1/V ",
		  .status = "200 OK",
		  .body = "{\"Members\":[{\"@odata.id\":\"/redfish/v1/V/1\"},{\"@odata.id\":"
			  "\"/redfish/v1/V/2\"}]}" },
		{ .ask = "GET /redfish/v1/V/1 ",
		  .status = "200 OK",
		  .body = "{\"Id\":\"1\",\"RAIDType\":\"RAID10\",\"CapacityBytes\":900}" },
		{ .ask = "GET /redfish/v1/V/2 ",
		  .status = "200 OK",
		  .body = "{\"Id\":\"2\",\"RAIDType\":null,\"CapacityBytes\":1000}" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	struct kept k = run(t, BMC_OP_GET_RAID, "ok ");
	const struct bmc_raid *r = &k.result.raid;
	assert_int_equal(r->drives.count, 1);
	assert_string_equal(r->drives.items[0].controller, "A");
	assert_string_equal(r->drives.items[0].model, "M");
	assert_true(r->drives.items[0].rotational);
	assert_int_equal(r->drives.items[0].level, BMC_LEVEL_WARNING);
	assert_int_equal(r->volumes.count, 1);
	assert_string_equal(r->volumes.items[0].raid_level, "1+0");
	assert_int_equal(r->volumes.items[0].size_bytes, 900);
	bmc_result_done(&k.result);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_thermal_and_power),
		CASE(test_collection_of_sensors),
		CASE(test_no_sensors),
		CASE(test_log),
		CASE(test_raid),
		cmocka_unit_test(test_times),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
