/* The rows of quirks.c, each before a BMC that does what the row says and refuses all else: a
 * driver that does not know the row fails. What rows of inspection, settings, firmware and volumes
 * say is tested with those. */

#include "redfish_rig.h"

#define SYSTEM	  "/redfish/v1/Systems/1"
#define MEDIA	  "/redfish/v1/Managers/1/VirtualMedia"
#define RESET	  SYSTEM "/Actions/ComputerSystem.Reset"
#define OURS	  "http://192.0.2.1:6180/b/0123456789abcdef0123456789abcdef.iso"
#define MEMBER(p) "{\"@odata.id\":\"" p "\"}"
#define BODY	  "\r\n\r\n"
#define NO_MORE                                                                                    \
	{ .ask = "PATCH", .status = "400 Bad Request" },                                           \
	{                                                                                          \
		0                                                                                  \
	}
#define SAYS(id) "{\"error\":{\"@Message.ExtendedInfo\":[{\"MessageId\":\"" id "\"}]}}"
#define MANAGED	 "\"Links\":{\"ManagedBy\":[" MEMBER("/redfish/v1/Managers/1") "]}"
#define RESETS	 "\"Actions\":{\"#ComputerSystem.Reset\":{\"target\":\"" RESET "\"}}"
/* A system of that maker that boots so. */
#define MACHINE(maker, model, boot)                                                                \
	"{\"Manufacturer\":\"" maker "\",\"Model\":\"" model "\",\"PowerState\":\"Off\","          \
	"\"Boot\":{" boot "}," MANAGED "," RESETS "}"
#define IS(text)                                                                                   \
	{                                                                                          \
		.ask = "GET " SYSTEM " ", .status = "200 OK", .body = (text)                       \
	}
#define IS_ONCE(text)                                                                              \
	{                                                                                          \
		.ask = "GET " SYSTEM " ", .status = "200 OK", .body = (text), .times = 1           \
	}
#define TAKES(path, text)                                                                          \
	{                                                                                          \
		.ask = "PATCH " path " ", .needs = BODY text, .status = "200 OK"                   \
	}
#define SLOT(path, text)                                                                           \
	{                                                                                          \
		.ask = "GET " path " ", .status = "200 OK", .body = (text)                         \
	}
#define SLOT_ONCE(path, text)                                                                      \
	{                                                                                          \
		.ask = "GET " path " ", .status = "200 OK", .body = (text), .times = 1             \
	}
#define ACTIONS(path)                                                                              \
	"\"Actions\":{\"#VirtualMedia.InsertMedia\":{\"target\":\"" path "/in\"},"                 \
	"\"#VirtualMedia.EjectMedia\":{\"target\":\"" path "/out\"}}"
#define EMPTY(path, id, types)                                                                     \
	"{\"Id\":\"" id "\",\"MediaTypes\":" types                                                 \
	",\"Image\":null,\"Inserted\":false," ACTIONS(path) "}"
#define FULL(path, id, types)                                                                      \
	"{\"Id\":\"" id "\",\"MediaTypes\":" types ",\"Image\":\"" OURS                            \
	"\",\"Inserted\":true," ACTIONS(path) "}"

static void set_boot(struct rig *t, enum bmc_device device, bool persistent, bool uefi)
{
	struct bmc_request r = { .op = BMC_OP_SET_BOOT };
	r.boot = (struct bmc_boot){ .device = device, .persistent = persistent, .uefi = uefi };
	ask(&t->a, &r);
}

static void set_mode(struct rig *t, enum bmc_boot_mode mode)
{
	ask(&t->a, &(struct bmc_request){ .op = BMC_OP_SET_BOOT_MODE, .mode = mode });
}

static void insert(struct rig *t)
{
	struct bmc_request r = { .op = BMC_OP_INSERT_MEDIA };
	r.media.url = (char *)OURS;
	ask(&t->a, &r);
}

static bool story_has(struct rig *t, const char *part)
{
	pthread_mutex_lock(&t->server->lock);
	bool has = strstr(str_or(t->story.data, ""), part);
	pthread_mutex_unlock(&t->server->lock);
	return has;
}

/* --- Dell ------------------------------------------------------------------------------------ */

#define IMPORT "/redfish/v1/Managers/1/Actions/Oem/EID_674_Manager.ImportSystemConfiguration"
#define DELL_MANAGER                                                                                  \
	SLOT("/redfish/v1/Managers/1",                                                                \
	     "{\"Actions\":{\"Oem\":{\"#OemManager.ImportSystemConfiguration\":{\"target\":\"" IMPORT \
	     "\"}}}}")
#define DELL IS(MACHINE("Dell Inc.", "PowerEdge R750", "\"BootSourceOverrideTarget\":\"None\""))

/* The lock of another import, a job that is not known at first, and then runs. */
static void test_dell_cd(void **state)
{
	static const struct rule rules[] = {
		DELL,
		DELL_MANAGER,
		{ .ask = "POST " IMPORT,
		  .status = "400 Bad Request",
		  .body = SAYS("IDRAC.2.8.LC068"),
		  .times = 1 },
		{ .ask = "POST " IMPORT,
		  .needs = "\"Target\":[\"ALL\"]},\"ImportBuffer\":\"<SystemConfiguration>"
			   "<Component FQDD=\\\"iDRAC.Embedded.1\\\">"
			   "<Attribute Name=\\\"ServerBoot.1#BootOnce\\\">Enabled<",
		  .status = "202 Accepted",
		  .headers = "Location: /redfish/v1/TaskService/Tasks/J1\r\n" },
		{ .ask = "GET /redfish/v1/TaskService/Tasks/J1",
		  .status = "404 Not Found",
		  .times = 2 },
		{ .ask = "GET /redfish/v1/TaskService/Tasks/J1",
		  .status = "202 Accepted",
		  .body = "{\"TaskState\":\"Running\"}",
		  .times = 1 },
		{ .ask = "GET /redfish/v1/TaskService/Tasks/J1",
		  .status = "200 OK",
		  .body = "{\"TaskState\":\"Completed\",\"TaskStatus\":\"OK\"}" },
		NO_MORE,
	};
	struct rig *t = *state;
	rig_start(t, rules);
	set_boot(t, BMC_DEVICE_CDROM, false, true);
	expect(&t->a, "ok ");
	assert_true(story_has(t, "POST " IMPORT " 202\n"));
}

/* Done is what the job says, not that it was accepted. */
static void test_dell_cd_fails(void **state)
{
	static const struct rule rules[] = {
		DELL,
		DELL_MANAGER,
		{ .ask = "POST " IMPORT,
		  .status = "202 Accepted",
		  .headers = "Location: /redfish/v1/TaskService/Tasks/J1\r\n" },
		{ .ask = "GET /redfish/v1/TaskService/Tasks/J1",
		  .status = "200 OK",
		  .body = "{\"TaskState\":\"Exception\",\"TaskStatus\":\"Critical\"}" },
		NO_MORE,
	};
	struct rig *t = *state;
	rig_start(t, rules);
	set_boot(t, BMC_DEVICE_CDROM, false, true);
	if (t->a.waiting > 0)
		loop_run(t->a.loop);
	assert_int_not_equal(t->a.last.err.kind, ERR_NONE);
	expect_text(t, "J1 ended as Exception");
}

/* A task that never ends: the request does, by its own time. */
static void test_dell_cd_without_end(void **state)
{
	static const struct rule rules[] = {
		DELL,
		DELL_MANAGER,
		{ .ask = "POST " IMPORT,
		  .status = "202 Accepted",
		  .headers = "Location: /redfish/v1/TaskService/Tasks/J1\r\n" },
		{ .ask = "GET /redfish/v1/TaskService/Tasks/J1",
		  .status = "202 Accepted",
		  .body = "{\"TaskState\":\"Running\"}" },
		NO_MORE,
	};
	struct bmc_request r = { .op = BMC_OP_SET_BOOT, .timeout = 500 * USEC_PER_MSEC };
	struct rig *t = *state;
	rig_start(t, rules);
	r.boot = (struct bmc_boot){ .device = BMC_DEVICE_CDROM, .uefi = true };
	ask(&t->a, &r);
	expect(&t->a, "timeout ");
	get_power(&t->a);
	expect(&t->a, "ok ");
}

static void test_refusal_has_its_id(void **state)
{
	static const struct rule rules[] = {
		IS(MACHINE("Dell Inc.", "R750", "\"BootSourceOverrideMode\":\"Legacy\"")),
		{ .ask = "PATCH",
		  .status = "400 Bad Request",
		  .body = "{\"error\":{\"@Message.ExtendedInfo\":[\"none\",{\"MessageId\":"
			  "\"IDRAC.2.8.SYS428\"}]}}" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	set_mode(t, BMC_MODE_UEFI);
	expect(&t->a, "invalid ");
	expect_text(t, "SYS428");
}

#define IDRAC10                                                                                    \
	"{\"Manufacturer\":\"Dell Inc.\",\"PowerState\":\"Off\",\"Boot\":{"                        \
	"\"BootSourceOverrideTarget\":\"None\",\"BootSourceOverrideMode\":\"UEFI\"},"              \
	"\"@Redfish.Settings\":{\"SettingsObject\":" MEMBER(SYSTEM "/Settings") "}," RESETS "}"

static void test_targets_in_settings(void **state)
{
	static const struct rule rules[] = {
		IS(IDRAC10),
		SLOT(SYSTEM "/Settings",
		     "{\"Boot\":{\"BootSourceOverrideEnabled\":\"Disabled\","
		     "\"BootSourceOverrideTarget\":\"None\","
		     "\"BootSourceOverrideTarget@Redfish.AllowableValues\":[\"None\",\"Pxe\"]}}"),
		TAKES(SYSTEM "/Settings", "{\"Boot\":{\"BootSourceOverrideTarget\":\"Pxe\","
					  "\"BootSourceOverrideEnabled\":\"Once\"}}"),
		NO_MORE,
	};
	struct rig *t = *state;
	rig_start(t, rules);
	set_boot(t, BMC_DEVICE_PXE, false, true);
	expect(&t->a, "ok ");
	set_boot(t, BMC_DEVICE_BIOS, false, true);
	expect(&t->a, "unsupported ");
	expect_text(t, "BiosSetup is not among the targets");
}

static void test_power_on_conflicts(void **state)
{
	static const struct rule rules[] = {
		{ .ask = "POST " RESET, .status = "409 Conflict", .times = 3 },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	act(&t->a, BMC_ACTION_ON);
	expect(&t->a, "ok ");
	assert_true(story_has(t, "POST " RESET " 204\n"));
}

/* --- HPE ------------------------------------------------------------------------------------- */

static void test_during_post(void **state)
{
	static const struct rule rules[] = {
		{ .ask = "PATCH",
		  .status = "400 Bad Request",
		  .body = SAYS("iLO.2.14.UnableToModifyDuringSystemPOST"),
		  .times = 3 },
		{ .ask = "PATCH", .needs = "\"Once\"", .status = "409 Conflict" },
		{ .ask = "POST " RESET,
		  .status = "400 Bad Request",
		  .body = SAYS("iLO.2.14.InvalidOperationForSystemState"),
		  .times = 3 },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	set_boot(t, BMC_DEVICE_PXE, true, true);
	act(&t->a, BMC_ACTION_RESET);
	expect(&t->a, "ok ok ");
	/* It was busy, which is no reason for another word. */
	assert_false(story_has(t, "PATCH " SYSTEM " 409\n"));
}

static void test_no_boot_mode(void **state)
{
	static const struct rule rules[] = {
		IS(MACHINE("HPE", "ProLiant DL360 Gen9",
			   "\"BootSourceOverrideTarget\":\"None\","
			   "\"BootSourceOverrideEnabled\":\"Disabled\"")),
		TAKES(SYSTEM, "{\"Boot\":{\"BootSourceOverrideTarget\":\"Pxe\","
			      "\"BootSourceOverrideEnabled\":\"Once\"}}"),
		NO_MORE,
	};
	struct rig *t = *state;
	rig_start(t, rules);
	set_boot(t, BMC_DEVICE_PXE, false, true);
	expect(&t->a, "ok ");
	set_mode(t, BMC_MODE_UEFI);
	expect(&t->a, "unsupported ");
	expect_text(t, "set it in the firmware's setup");
}

static void test_insert_needs_a_licence(void **state)
{
	static const struct rule rules[] = {
		SLOT(MEDIA, "{\"Members\":[" MEMBER(MEDIA "/2") "]}"),
		SLOT(MEDIA "/2", EMPTY(MEDIA "/2", "2", "[\"CD\",\"DVD\"]")),
		{ .ask = "POST " MEDIA "/2/in",
		  .status = "400 Bad Request",
		  .body = SAYS("iLO.2.14.LicenseKeyRequired") },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	insert(t);
	expect(&t->a, "invalid ");
	expect_text(t, "LicenseKeyRequired");
}

/* --- Supermicro ------------------------------------------------------------------------------ */

#define SMC_BOOT(enabled, target, mode)                                                            \
	"\"BootSourceOverrideEnabled\":\"" enabled "\",\"BootSourceOverrideTarget\":\"" target     \
	"\","                                                                                      \
	"\"BootSourceOverrideMode\":\"" mode "\","                                                 \
	"\"BootSourceOverrideTarget@Redfish.AllowableValues\":[\"None\",\"Pxe\",\"Cd\",\"UsbCd\"]"

static void test_usb_cd(void **state)
{
	static const struct rule rules[] = {
		IS(MACHINE("Supermicro", "SYS-1029P", SMC_BOOT("Once", "None", "UEFI"))),
		/* with Enabled, which holds already */
		TAKES(SYSTEM, "{\"Boot\":{\"BootSourceOverrideTarget\":\"UsbCd\","
			      "\"BootSourceOverrideEnabled\":\"Once\"}}"),
		NO_MORE,
	};
	struct rig *t = *state;
	rig_start(t, rules);
	set_boot(t, BMC_DEVICE_CDROM, false, true);
	expect(&t->a, "ok ");
}

static void test_cd_of_the_one_model(void **state)
{
	static const struct rule rules[] = {
		IS(MACHINE("Supermicro", "ARS-111GL-NHR", SMC_BOOT("Once", "None", "UEFI"))),
		TAKES(SYSTEM, "{\"Boot\":{\"BootSourceOverrideTarget\":\"Cd\","
			      "\"BootSourceOverrideEnabled\":\"Once\"}}"),
		NO_MORE,
	};
	struct rig *t = *state;
	rig_start(t, rules);
	set_boot(t, BMC_DEVICE_CDROM, false, true);
	expect(&t->a, "ok ");
}

static void test_mode_flips(void **state)
{
	static const struct rule rules[] = {
		IS_ONCE(MACHINE("Supermicro", "SYS-1029P", SMC_BOOT("Disabled", "None", "UEFI"))),
		IS_ONCE(MACHINE("Supermicro", "SYS-1029P", SMC_BOOT("Once", "Pxe", "Legacy"))),
		TAKES(SYSTEM, "{\"Boot\":{\"BootSourceOverrideTarget\":\"Pxe\","
			      "\"BootSourceOverrideEnabled\":\"Once\"}}"),
		TAKES(SYSTEM, "{\"Boot\":{\"BootSourceOverrideMode\":\"UEFI\","
			      "\"BootSourceOverrideEnabled\":\"Once\"}}"),
		NO_MORE,
	};
	struct rig *t = *state;
	rig_start(t, rules);
	set_boot(t, BMC_DEVICE_PXE, false, true);
	expect(&t->a, "ok ");
	assert_true(
		story_has(t, "PATCH " SYSTEM " 200\nGET " SYSTEM " 200\nPATCH " SYSTEM " 200\n"));
}

static void test_licence_is_absent(void **state)
{
	static const struct rule rules[] = {
		IS("{\"Manufacturer\":\"Supermicro\",\"PowerState\":\"On\",\"SecureBoot\":" MEMBER(
			SYSTEM "/SecureBoot") "}"),
		{ .ask = "GET " SYSTEM "/SecureBoot",
		  .status = "403 Forbidden",
		  .body = SAYS("SMC.1.0.OemLicenseNotPassed") },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	ask(&t->a, &(struct bmc_request){ .op = BMC_OP_GET_SECURE_BOOT });
	expect(&t->a, "unsupported ");
	expect_text(t, "licence");
}

static void test_image_name_stays(void **state)
{
	static const struct rule rules[] = {
		IS(MACHINE("Supermicro", "SYS-1029P", "")),
		SLOT(MEDIA, "{\"Members\":[" MEMBER(MEDIA "/CD1") "]}"),
		SLOT(MEDIA "/CD1", "{\"Id\":\"CD1\",\"MediaTypes\":[\"CD\"],\"Image\":null,"
				   "\"ImageName\":\"old.iso\"," ACTIONS(MEDIA "/CD1") "}"),
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	ask(&t->a, &(struct bmc_request){ .op = BMC_OP_GET_MEDIA });
	expect(&t->a, "ok ");
	assert_null(t->a.last.media.url);
}

/* --- Lenovo ---------------------------------------------------------------------------------- */

static void test_uefi_order(void **state)
{
	static const struct rule rules[] = {
		IS(MACHINE("Lenovo", "SR650",
			   "\"BootSourceOverrideTarget\":\"Pxe\",\"BootSourceOverrideEnabled\":"
			   "\"Once\",\"BootSourceOverrideMode\":\"UEFI\"")),
		TAKES(SYSTEM, "{\"Boot\":{\"BootSourceOverrideTarget\":\"None\","
			      "\"BootSourceOverrideEnabled\":\"Disabled\"}}"),
		NO_MORE,
	};
	struct rig *t = *state;
	rig_start(t, rules);
	set_boot(t, BMC_DEVICE_DISK, true, true);
	expect(&t->a, "ok ");
}

/* Nobody has told the tag: it is fetched. Of 428, and of 412 to a change that had none. */
static void fetch_etag(struct rig *t, const char *refusal)
{
	const struct rule rules[] = {
		IS_ONCE(SYSTEM_1),
		{ .ask = "GET " SYSTEM " ",
		  .status = "200 OK",
		  .headers = "ETag: \"7\"\r\n",
		  .body = SYSTEM_1 },
		{ .ask = "PATCH", .needs = "If-Match: \"7\"", .status = "204 No Content" },
		{ .ask = "PATCH", .status = refusal },
		{ 0 },
	};
	rig_start(t, rules);
	set_boot(t, BMC_DEVICE_PXE, false, true);
	expect(&t->a, "ok ");
	_cleanup_(freep) char *story = xasprintf("GET /redfish/v1/ 200\n" LOGIN " 201\nGET " SYSTEM
						 " 200\nPATCH " SYSTEM " %.3s\nGET " SYSTEM
						 " 200\nPATCH " SYSTEM " 204\n",
						 refusal);
	expect_story(t, story);
	rig_close(t);
}

static void test_etag_required(void **state)
{
	fetch_etag(*state, "428 Precondition Required");
}

static void test_etag_missing(void **state)
{
	fetch_etag(*state, "412 Precondition Failed");
}

static void test_etag_with_two_marks(void **state)
{
	static const struct rule rules[] = {
		{ .ask = "GET " SYSTEM " ",
		  .status = "200 OK",
		  .headers = "ETag: \"\"5\"\"\r\n",
		  .body = SYSTEM_1 },
		{ .ask = "PATCH", .needs = "If-Match: \"5\"\r\n", .status = "204 No Content" },
		{ .ask = "PATCH", .status = "400 Bad Request" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	set_boot(t, BMC_DEVICE_PXE, false, true);
	expect(&t->a, "ok ");
}

/* A change that is refused for being busy is sent again. */
static void test_busy_while_booting(void **state)
{
	static const struct rule rules[] = {
		{ .ask = "PATCH", .status = "503 Service Unavailable", .times = 4 },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	set_boot(t, BMC_DEVICE_PXE, false, true);
	expect(&t->a, "ok ");
}

static void test_patched_slot_wants_a_login(void **state)
{
	static const struct rule rules[] = {
		SLOT(MEDIA, "{\"Members\":[" MEMBER(MEDIA "/EXT1") "]}"),
		SLOT_ONCE(MEDIA "/EXT1",
			  "{\"Id\":\"EXT1\",\"MediaTypes\":[\"CD\"],\"Image\":null}"),
		SLOT(MEDIA "/EXT1",
		     "{\"Id\":\"EXT1\",\"MediaTypes\":[\"CD\"],\"Image\":\"" OURS "\"}"),
		{ .ask = "PATCH " MEDIA "/EXT1 ", .needs = "\"Password\"", .status = "200 OK" },
		{ .ask = "PATCH " MEDIA "/EXT1 ",
		  .status = "400 Bad Request",
		  .body = "{\"error\":{\"@Message.ExtendedInfo\":[{\"MessageId\":"
			  "\"Base.1.8.PropertyMissing\",\"MessageArgs\":[\"UserName\"]}]}}" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	insert(t);
	expect(&t->a, "ok ");
}

/* --- AMI ------------------------------------------------------------------------------------- */

#define WHOLE(maker)                                                                               \
	MACHINE(maker, "",                                                                         \
		"\"BootSourceOverrideTarget\":\"None\","                                           \
		"\"BootSourceOverrideEnabled\":\"Once\","                                          \
		"\"BootSourceOverrideMode\":\"UEFI\"")

static void test_boot_whole(void **state)
{
	static const char *const machines[] = {
		WHOLE("American Megatrends International, LLC."),
		WHOLE("AMI"),
		WHOLE("ASRockRack"),
		WHOLE("GIGABYTE"),
		WHOLE("ASUSTeK COMPUTER INC."),
		WHOLE("Quanta Cloud Technology"),
	};
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
		const struct rule rules[] = {
			IS(machines[i]),
			TAKES(SYSTEM, "{\"Boot\":{\"BootSourceOverrideTarget\":\"Pxe\","
				      "\"BootSourceOverrideEnabled\":\"Once\","
				      "\"BootSourceOverrideMode\":\"UEFI\"}}"),
			NO_MORE,
		};
		rig_setup(state);
		struct rig *t = *state;
		rig_start(t, rules);
		set_boot(t, BMC_DEVICE_PXE, false, true);
		if (t->a.waiting > 0)
			loop_run(t->a.loop);
		if (t->a.last.err.kind)
			fail_msg("%s: %s", machines[i], t->a.last.err.text);
		rig_teardown(state);
	}
}

static void test_remote_media_are_off(void **state)
{
	static const struct rule rules[] = {
		IS(MACHINE("GIGABYTE", "H262-Z63-00", "")),
		SLOT("/redfish/v1/Managers/1",
		     "{\"VirtualMedia\":" MEMBER(
			     MEDIA) ",\"Actions\":{\"Oem\":{"
				    "\"#AMIVirtualMedia.EnableRMedia\":{\"target\":\"/redfish/v1/Managers/1/on\"}}}}"),
		{ .ask = "POST /redfish/v1/Managers/1/on",
		  .needs = "{\"RMediaState\":\"Enable\"}",
		  .status = "204 No Content",
		  .times = 1 },
		SLOT(MEDIA, "{\"Members\":[" MEMBER(MEDIA "/CD1") "]}"),
		/* told by its name alone */
		SLOT_ONCE(MEDIA "/CD1", EMPTY(MEDIA "/CD1", "CD1", "[]")),
		SLOT(MEDIA "/CD1", FULL(MEDIA "/CD1", "CD1", "[]")),
		{ .ask = "POST " MEDIA "/CD1/in", .status = "204 No Content" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	insert(t);
	expect(&t->a, "ok ");
	assert_true(story_has(t, "POST /redfish/v1/Managers/1/on 204\n"));
}

/* --- tasks ----------------------------------------------------------------------------------- */

#define TASK "/redfish/v1/TaskService/TaskMonitors/3"
#define BEGINS                                                                                     \
	{                                                                                          \
		.ask = "PATCH " SYSTEM " ", .status = "202 Accepted",                              \
		.headers = "Location: " TASK "\r\n"                                                \
	}

/* Any BMC may do a change later: it is done when its task is. */
static void task_ends(void **state, const char *status, const char *body, const char *trace)
{
	const struct rule rules[] = {
		BEGINS,
		{ .ask = "GET " TASK, .status = "404 Not Found", .times = 2 },
		{ .ask = "GET " TASK, .status = "202 Accepted", .times = 2 },
		{ .ask = "GET " TASK,
		  .status = "200 OK",
		  .body = "{\"TaskState\":\"Running\"}",
		  .times = 1 },
		{ .ask = "GET " TASK, .status = status, .body = body },
		{ 0 },
	};
	rig_setup(state);
	struct rig *t = *state;
	rig_start(t, rules);
	set_boot(t, BMC_DEVICE_PXE, false, true);
	if (t->a.waiting > 0)
		loop_run(t->a.loop);
	if (!streq(t->a.trace, trace))
		fail_msg("%s %s: \"%s\" (%s)", status, str_or(body, ""), t->a.trace,
			 t->a.last.err.text);
	t->a.trace[0] = '\0';
	assert_true(story_has(t, "GET " TASK " 404\nGET " TASK " 404\nGET " TASK " 202\n"));
	rig_teardown(state);
}

static void test_task(void **state)
{
	task_ends(state, "204 No Content", NULL, "ok ");
	task_ends(state, "200 OK", NULL, "ok ");
	task_ends(state, "200 OK", "{\"TaskState\":\"Completed\",\"TaskStatus\":\"OK\"}", "ok ");
	task_ends(state, "200 OK", "{\"TaskState\":\"Pending\"}", "ok "); /* for the next reset */
	task_ends(state, "200 OK", "{\"TaskState\":\"Exception\"}", "io ");
	task_ends(state, "200 OK", "{\"TaskState\":\"Completed\",\"TaskStatus\":\"Critical\"}",
		  "io ");
	task_ends(state, "400 Bad Request", "{}", "invalid ");
}

/* The request ends by its own time, and says what it waited for; the next one is served. */
static void test_task_without_end(void **state)
{
	static const struct rule rules[] = {
		BEGINS,
		{ .ask = "GET " TASK, .status = "202 Accepted" },
		{ 0 },
	};
	struct bmc_request r = { .op = BMC_OP_SET_BOOT, .timeout = 300 * USEC_PER_MSEC };
	struct rig *t = *state;
	rig_start(t, rules);
	r.boot = (struct bmc_boot){ .device = BMC_DEVICE_PXE, .uefi = true };
	ask(&t->a, &r);
	expect(&t->a, "timeout ");
	expect_text(t, "has not ended task " TASK);
	get_power(&t->a);
	expect(&t->a, "ok ");
}

/* --- slots of others ------------------------------------------------------------------------- */

#define CD_1 MEDIA "/1"
#define CD_2 MEDIA "/2"

/* The first takes nothing, for this or that reason (Cisco, OpenBMC); the second is for DVDs only,
 * and is named by a number (iDRAC10). */
static void next_slot(void **state, const char *first, const char *refusal)
{
	const struct rule rules[] = {
		SLOT(MEDIA, "{\"Members\":[" MEMBER(CD_1) "," MEMBER(CD_2) "]}"),
		SLOT(CD_1, first),
		SLOT_ONCE(CD_2, EMPTY(CD_2, "2", "[\"DVD\"]")),
		SLOT(CD_2, FULL(CD_2, "2", "[\"DVD\"]")),
		{ .ask = "POST " CD_2 "/in", .status = "204 No Content" },
		{ .ask = "POST " CD_1 "/in", .status = refusal },
		{ .ask = "PATCH", .status = "405 Method Not Allowed" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	insert(t);
	expect(&t->a, "ok ");
	rig_close(t);
}

static void test_slot_refuses(void **state)
{
	next_slot(state, EMPTY(CD_1, "1", "[\"CD\"]"), "400 Bad Request");
}

static void test_slot_answers_405(void **state)
{
	next_slot(state, EMPTY(CD_1, "1", "[\"CD\"]"), "405 Method Not Allowed");
}

static void test_slot_without_insert(void **state)
{
	next_slot(state,
		  "{\"Id\":\"1\",\"MediaTypes\":[\"CD\"],\"Actions\":{"
		  "\"#VirtualMedia.EjectMedia\":{\"target\":\"" CD_1 "/out\"}}}",
		  "404 Not Found");
}

#define VMM CD_1 "/Oem/Huawei/Actions/VirtualMedia.VmmControl"
#define HUAWEI_CD(image, inserted)                                                                 \
	"{\"Id\":\"CD\",\"MediaTypes\":[\"CD\"],\"Image\":" image ",\"Inserted\":" inserted        \
	",\"Oem\":{\"Huawei\":{\"Actions\":{\"#VirtualMedia.VmmControl\":{\"target\":\"" VMM       \
	"\"}}}}}"

/* With the link to its manager where others do not have it. */
static void vmm_control(void **state, const char *system)
{
	const struct rule rules[] = {
		IS(system),
		SLOT(MEDIA, "{\"Members\":[" MEMBER(CD_1) "]}"),
		SLOT_ONCE(CD_1, HUAWEI_CD("null", "false")),
		SLOT_ONCE(CD_1, HUAWEI_CD("\"" OURS "\"", "true")),
		SLOT_ONCE(CD_1, HUAWEI_CD("\"" OURS "\"", "true")),
		SLOT(CD_1, HUAWEI_CD("null", "false")),
		{ .ask = "POST " VMM,
		  .needs = BODY "{\"VmmControlType\":\"Connect\",\"Image\":\"" OURS "\"}",
		  .status = "202 Accepted" },
		{ .ask = "POST " VMM,
		  .needs = BODY "{\"VmmControlType\":\"Disconnect\"}",
		  .status = "202 Accepted" },
		NO_MORE,
	};
	struct bmc_request out = { .op = BMC_OP_EJECT_MEDIA };
	rig_setup(state);
	struct rig *t = *state;
	out.media.url = (char *)OURS;
	rig_start(t, rules);
	insert(t);
	ask(&t->a, &out);
	expect(&t->a, "ok ok ");
	assert_true(story_has(t, "POST " VMM " 202\nGET " CD_1 " 200\nGET " CD_1 " 200\nPOST " VMM
				 " 202\n"));
	rig_teardown(state);
}

#define OF_HUAWEI(maker)                                                                           \
	"{\"Manufacturer\":\"" maker "\",\"PowerState\":\"On\",\"Links\":{\"Managers\":[" MEMBER(  \
		"/redfish/v1/Managers/1") "]}}"

static void test_vmm_control(void **state)
{
	vmm_control(state, OF_HUAWEI("Huawei"));
	vmm_control(state, OF_HUAWEI("xFusion Digital Technologies"));
}

/* An emulator: what needs no manager works. */
static void test_no_manager(void **state)
{
	static const struct rule rules[] = {
		IS("{\"PowerState\":\"On\",\"Boot\":{\"BootSourceOverrideTarget\":\"None\"}}"),
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	get_power(&t->a);
	expect(&t->a, "ok ");
	ask(&t->a, &(struct bmc_request){ .op = BMC_OP_SET_CLOCK, .time = USEC_PER_HOUR });
	insert(t);
	expect(&t->a, "unsupported unsupported ");
}

/* A clock that is wrong is nothing that requests depend on, and can be set. */
static void test_clock_of_1970(void **state)
{
	static const struct rule rules[] = {
		SLOT("/redfish/v1/Managers/1", "{\"DateTime\":\"1970-01-01T00:00:07Z\","
					       "\"DateTimeLocalOffset\":\"+09:00\"}"),
		{ .ask = "PATCH /redfish/v1/Managers/1 ",
		  .needs = BODY "{\"DateTime\":\"2026-12-01T09:30:00+00:00\","
				"\"DateTimeLocalOffset\":\"+00:00\"}",
		  .status = "200 OK" },
		NO_MORE,
	};
	struct rig *t = *state;
	rig_start(t, rules);
	ask(&t->a, &(struct bmc_request){ .op = BMC_OP_SET_CLOCK,
					  .time = UINT64_C(1796117400) * USEC_PER_SEC });
	expect(&t->a, "ok ");
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_dell_cd),
		CASE(test_dell_cd_fails),
		CASE(test_dell_cd_without_end),
		CASE(test_refusal_has_its_id),
		CASE(test_targets_in_settings),
		CASE(test_power_on_conflicts),
		CASE(test_during_post),
		CASE(test_no_boot_mode),
		CASE(test_insert_needs_a_licence),
		CASE(test_usb_cd),
		CASE(test_cd_of_the_one_model),
		CASE(test_mode_flips),
		CASE(test_licence_is_absent),
		CASE(test_image_name_stays),
		CASE(test_uefi_order),
		CASE(test_etag_required),
		CASE(test_etag_missing),
		CASE(test_etag_with_two_marks),
		CASE(test_busy_while_booting),
		CASE(test_patched_slot_wants_a_login),
		cmocka_unit_test(test_boot_whole),
		CASE(test_remote_media_are_off),
		cmocka_unit_test(test_task),
		CASE(test_task_without_end),
		CASE(test_slot_refuses),
		CASE(test_slot_answers_405),
		CASE(test_slot_without_insert),
		cmocka_unit_test(test_vmm_control),
		CASE(test_no_manager),
		CASE(test_clock_of_1970),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
