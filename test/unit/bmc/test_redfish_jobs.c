/* What goes on in a BMC after a request: firmware settings, updates, their tasks; and subscriptions
 * to events. */

#include "redfish_rig.h"

#define ROOT_1                                                                                     \
	"{\"Systems\":{\"@odata.id\":\"/redfish/v1/Systems\"},"                                    \
	"\"UpdateService\":{\"@odata.id\":\"/redfish/v1/Up\"},"                                    \
	"\"EventService\":{\"@odata.id\":\"/redfish/v1/Events\"}}"
#define SYSTEM_BIOS                                                                                \
	"{\"@odata.id\":\"/redfish/v1/Systems/1\",\"PowerState\":\"Off\",\"Boot\":{},"             \
	"\"Bios\":{\"@odata.id\":\"/redfish/v1/Systems/1/Bios\"}}"
#define ATTRIBUTES "\"Attributes\":{\"Mode\":\"Fast\",\"Cores\":4,\"Turbo\":true,\"Password\":null}"
#define RULE_ROOT                                                                                  \
	{                                                                                          \
		.ask = "GET /redfish/v1/ ", .status = "200 OK", .body = ROOT_1                     \
	}
#define RULE_SYSTEM                                                                                \
	{                                                                                          \
		.ask = "GET /redfish/v1/Systems/1 ", .status = "200 OK", .body = SYSTEM_BIOS       \
	}
#define RULE_BIOS(more)                                                                            \
	{                                                                                          \
		.ask = "GET /redfish/v1/Systems/1/Bios ", .status = "200 OK",                      \
		.body = "{" ATTRIBUTES more "}"                                                    \
	}

/* A result of its own, because the one given ends with the call. */
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

static struct kept run(struct rig *t, const struct bmc_request *request, const char *trace)
{
	struct kept k = { .t = t };
	t->a.waiting++;
	bmc_submit(t->a.bmc, request, keep, &k);
	expect(&t->a, trace);
	if (k.result.err.kind != ERR_NONE)
		t->a.last.err = k.result.err;
	return k;
}

static struct kept set_settings(struct rig *t, const char *name, const char *value,
				const char *trace)
{
	struct bmc_request request = { .op = BMC_OP_SET_SETTINGS };
	bmc_settings_add(&request.settings, name, value);
	struct kept k = run(t, &request, trace);
	bmc_request_done(&request);
	return k;
}

static void expect_job(struct kept *k, enum bmc_job_state state, const char *id, const char *text)
{
	const struct bmc_job *job = &k->result.job;
	if (job->state != state || !streq(job->id, id) || !streq(job->text, text))
		fail_msg("state %d, id %s, text %s", job->state, job->id, job->text);
	bmc_result_done(&k->result);
}

/* --- settings -------------------------------------------------------------------------------- */

static void test_read_settings(void **state)
{
	static const struct rule rules[] = { RULE_ROOT, RULE_SYSTEM, RULE_BIOS(""), { 0 } };
	struct rig *t = *state;
	rig_start(t, rules);
	struct kept k = run(t, &(struct bmc_request){ .op = BMC_OP_GET_SETTINGS }, "ok ");
	const struct bmc_settings *s = &k.result.settings;
	assert_int_equal(s->count, 3);
	assert_string_equal(bmc_settings_get(s, "Mode"), "Fast");
	assert_string_equal(bmc_settings_get(s, "Cores"), "4");
	assert_string_equal(bmc_settings_get(s, "Turbo"), "true");
	bmc_result_done(&k.result);
}

static void test_no_settings(void **state)
{
	struct rig *t = *state;
	rig_start(t, NULL);
	struct kept k = run(t, &(struct bmc_request){ .op = BMC_OP_GET_SETTINGS }, "unsupported ");
	expect_text(t, "offers no firmware settings");
	bmc_result_done(&k.result);
}

#define SETTINGS_OBJECT                                                                            \
	",\"@Redfish.Settings\":{\"SettingsObject\":{\"@odata.id\":\"/redfish/v1/Later\"},"        \
	"\"SupportedApplyTimes\":[\"OnReset\"]}"

/* Only what changes, with the type that it has, in the settings object and with its tag. */
static void test_change_settings(void **state)
{
	static const struct rule rules[] = {
		RULE_ROOT,
		RULE_SYSTEM,
		RULE_BIOS(SETTINGS_OBJECT),
		{ .ask = "GET /redfish/v1/Later ",
		  .status = "200 OK",
		  .headers = "ETag: \"l1\"\r\n",
		  .body = "{\"Attributes\":{\"Mode\":\"Slow\"}}" },
		{ .ask = "PATCH /redfish/v1/Later ",
		  .needs = "{\"Attributes\":{\"Cores\":8},\"@Redfish.SettingsApplyTime\":{"
			   "\"ApplyTime\":\"OnReset\"}}",
		  .status = "200 OK" },
		{ .ask = "PATCH /redfish/v1/Later ",
		  .needs = "{\"Mode\":\"Fast\"}",
		  .status = "202 Accepted",
		  .headers = "Location: /redfish/v1/Tasks/9\r\n" },
		{ .ask = "PATCH", .status = "400 Bad Request" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	struct kept k = set_settings(t, "Cores", "8", "ok ");
	expect_job(&k, BMC_JOB_NEEDS_RESET, NULL, NULL);
	assert_true(server_heard(t->server, "If-Match: \"l1\""));
	k = set_settings(t, "Mode", "Fast", "ok "); /* so it is, but something else is pending */
	expect_job(&k, BMC_JOB_RUNNING, "/redfish/v1/Tasks/9", NULL);
	k = set_settings(t, "Turbo", "TRUE", "ok ");
	expect_job(&k, BMC_JOB_DONE, NULL, NULL);
	k = set_settings(t, "Turbo", "yes", "invalid ");
	expect_text(t, "true or false");
	bmc_result_done(&k.result);
	k = set_settings(t, "Nothing", "1", "invalid ");
	expect_text(t, "has no firmware setting \"Nothing\"");
	bmc_result_done(&k.result);
}

/* A BMC that names no settings object has the one of AMI's, or takes the change itself. */
static void test_settings_elsewhere(void **state)
{
	static const struct rule rules[] = {
		RULE_ROOT,
		RULE_SYSTEM,
		RULE_BIOS(",\"@Redfish.Settings\":{}"),
		{ .ask = "GET /redfish/v1/Systems/1/Bios/SD ",
		  .status = "200 OK",
		  .body = "{}",
		  .times = 1 },
		{ .ask = "PATCH /redfish/v1/Systems/1/Bios/SD ", .status = "204 No Content" },
		{ .ask = "PATCH /redfish/v1/Systems/1/Bios ", .status = "204 No Content" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	struct kept k = set_settings(t, "Cores", "8", "ok ");
	expect_job(&k, BMC_JOB_NEEDS_RESET, NULL, NULL);
	forget_story(t);
	k = set_settings(t, "Cores", "8", "ok ");
	expect_job(&k, BMC_JOB_NEEDS_RESET, NULL, NULL);
	expect_story(t, "GET /redfish/v1/Systems/1 200\nGET /redfish/v1/Systems/1/Bios 200\n"
			"GET /redfish/v1/Systems/1/Bios/SD 404\n"
			"GET /redfish/v1/Systems/1/Bios 200\n"
			"PATCH /redfish/v1/Systems/1/Bios 204\n");
}

static void test_default_settings(void **state)
{
	static const struct rule rules[] = {
		RULE_ROOT,
		RULE_SYSTEM,
		RULE_BIOS(",\"Actions\":{\"#Bios.ResetBios\":{\"target\":\"/redfish/v1/Reset\"}}"),
		{ .ask = "POST /redfish/v1/Reset ", .needs = "\"Reset\"", .status = "200 OK" },
		{ .ask = "POST /redfish/v1/Reset ", .status = "400 Bad Request" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	struct kept k = run(t, &(struct bmc_request){ .op = BMC_OP_RESET_SETTINGS }, "ok ");
	expect_job(&k, BMC_JOB_NEEDS_RESET, NULL, NULL);
}

/* --- firmware -------------------------------------------------------------------------------- */

#define UPDATE(list)                                                                               \
	"{\"FirmwareInventory\":{\"@odata.id\":\"/redfish/v1/Up/All\"},\"Actions\":{"              \
	"\"#UpdateService.SimpleUpdate\":{\"target\":\"/redfish/v1/Up/Go\"" list "}}}"

static struct bmc_request update_request(void)
{
	return (struct bmc_request){ .op = BMC_OP_UPDATE_FIRMWARE,
				     .firmware = { .component = (char *)"bios",
						   .url = (char *)"http://10.0.0.1/f.bin" } };
}

/* The protocol only when it is asked for; the task and not its monitor. */
static void test_update(void **state)
{
	static const struct rule rules[] = {
		RULE_ROOT,
		{ .ask = "GET /redfish/v1/Up ", .status = "200 OK", .body = UPDATE("") },
		{ .ask = "POST /redfish/v1/Up/Go ",
		  .needs = "{\"ImageURI\":\"http://10.0.0.1/f.bin\",\"TransferProtocol\":"
			   "\"HTTP\"}",
		  .status = "202 Accepted",
		  .headers = "Location: /redfish/v1/Monitors/3\r\n",
		  .body = "{\"@odata.id\":\"/redfish/v1/Tasks/3\",\"@odata.type\":"
			  "\"#Task.v1_4_0.Task\",\"TaskState\":\"Running\",\"PercentComplete\":7}" },
		{ .ask = "POST /redfish/v1/Up/Go ",
		  .status = "400 Bad Request",
		  .body = "{\"error\":{\"@Message.ExtendedInfo\":[{\"MessageId\":"
			  "\"Base.1.8.ActionParameterMissing\",\"MessageArgs\":["
			  "\"SimpleUpdate\",\"TransferProtocol\"]}]}}" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	const struct bmc_request request = update_request();
	struct kept k = run(t, &request, "ok ");
	assert_int_equal(k.result.job.percent, 7);
	expect_job(&k, BMC_JOB_RUNNING, "/redfish/v1/Tasks/3", NULL);
}

static void test_update_by_nothing_of_ours(void **state)
{
	static const struct rule rules[] = {
		RULE_ROOT,
		{ .ask = "GET /redfish/v1/Up ",
		  .status = "200 OK",
		  .body = UPDATE(
			  ",\"TransferProtocol@Redfish.AllowableValues\":[\"TFTP\",\"SFTP\"]") },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	const struct bmc_request request = update_request();
	struct kept k = run(t, &request, "unsupported ");
	expect_text(t, "fetches no firmware by HTTP");
	bmc_result_done(&k.result);
}

static void test_firmware_list(void **state)
{
	static const struct rule rules[] = {
		RULE_ROOT,
		{ .ask = "GET /redfish/v1/Up ", .status = "200 OK", .body = UPDATE("") },
		{ .ask = "GET /redfish/v1/Up/All ",
		  .status = "200 OK",
		  .body = "{\"Members\":[{\"@odata.id\":\"/redfish/v1/Up/All/1\"},{\"@odata.id\":"
			  "\"/redfish/v1/Up/All/gone\"},{\"@odata.id\":\"/redfish/v1/Up/All/2\"}]}" },
		{ .ask = "GET /redfish/v1/Up/All/1 ",
		  .status = "200 OK",
		  .body = "{\"Id\":\"1\",\"Name\":\"BIOS\",\"Version\":\" 2.1 \",\"Updateable\":"
			  "true}" },
		{ .ask = "GET /redfish/v1/Up/All/2 ",
		  .status = "200 OK",
		  .body = "{\"Id\":\"2\",\"Name\":null,\"Version\":null}" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	struct kept k = run(t, &(struct bmc_request){ .op = BMC_OP_GET_FIRMWARE }, "ok ");
	const struct bmc_components *c = &k.result.components;
	assert_int_equal(c->count, 2);
	assert_string_equal(c->items[0].version, "2.1");
	assert_true(c->items[0].updateable);
	assert_null(c->items[1].version);
	bmc_result_done(&k.result);
}

/* --- jobs ------------------------------------------------------------------------------------ */

static void test_job_states(void **state)
{
	static const struct {
		const char *status, *body;
		enum bmc_job_state state;
		unsigned percent;
		const char *text;
	} cases[] = {
		{ "200 OK", "{\"TaskState\":\"Running\",\"PercentComplete\":300}", BMC_JOB_RUNNING,
		  100, NULL },
		{ "200 OK", "{\"TaskState\":\"Somehow\"}", BMC_JOB_RUNNING, 0, NULL },
		{ "200 OK", "{\"TaskState\":null,\"@odata.type\":\"#Task.v1_0_0.Task\"}",
		  BMC_JOB_RUNNING, 0, NULL },
		{ "202 Accepted", NULL, BMC_JOB_RUNNING, 0, NULL },
		{ "204 No Content", NULL, BMC_JOB_DONE, 100, NULL },
		{ "200 OK", "{\"TaskState\":\"Completed\",\"TaskStatus\":\"OK\"}", BMC_JOB_DONE,
		  100, NULL },
		{ "200 OK",
		  "{\"TaskState\":\"Exception\",\"Messages\":[{\"Message\":\"begun\"},{\"Message\":"
		  "\"the image is\\nfor another board\"}]}",
		  BMC_JOB_FAILED, 0, "the image is for another board" },
		{ "200 OK", "{\"TaskState\":\"Completed\",\"TaskStatus\":\"Critical\"}",
		  BMC_JOB_FAILED, 0, NULL },
		{ "200 OK",
		  "{\"TaskState\":\"Pending\",\"Messages\":[{\"MessageId\":\"Base.1.0.ResetRequired\"}"
		  "]}",
		  BMC_JOB_NEEDS_RESET, 0, "Base.1.0.ResetRequired" },
		{ "200 OK",
		  "{\"JobState\":\"Scheduled\",\"Message\":\"Task successfully scheduled.\"}",
		  BMC_JOB_NEEDS_RESET, 0, "Task successfully scheduled." },
		{ "400 Bad Request",
		  "{\"error\":{\"@Message.ExtendedInfo\":[{\"MessageId\":\"X.1.0.BadImage\"}]}}",
		  BMC_JOB_FAILED, 0, "400 X.1.0.BadImage" },
	};
	struct rule rules[ARRAY_SIZE(cases) + 1] = { 0 };
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		rules[i] = (struct rule){ .ask = "GET /redfish/v1/Tasks/1 ",
					  .status = cases[i].status,
					  .body = cases[i].body,
					  .times = 1 };
	struct rig *t = *state;
	rig_start(t, rules);
	const struct bmc_request request = { .op = BMC_OP_GET_JOB,
					     .job = { .id = (char *)"/redfish/v1/Tasks/1" } };
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct kept k = run(t, &request, "ok ");
		assert_int_equal(k.result.job.percent, cases[i].percent);
		expect_job(&k, cases[i].state, "/redfish/v1/Tasks/1", cases[i].text);
	}
}

/* A restart of the BMC takes its tasks with it: that is no failure of the work, and no success. */
static void test_job_is_gone(void **state)
{
	struct rig *t = *state;
	rig_start(t, NULL);
	const struct bmc_request request = { .op = BMC_OP_GET_JOB,
					     .job = { .id = (char *)"/redfish/v1/Tasks/1" } };
	struct kept k = run(t, &request, "not-found ");
	expect_text(t, "was lost when the BMC restarted");
	bmc_result_done(&k.result);
}

static void test_job_of_dell_comes_later(void **state)
{
	static const struct rule rules[] = {
		{ .ask = "GET /redfish/v1/Jobs/JID_1 ", .status = "404 Not Found", .times = 2 },
		{ .ask = "GET /redfish/v1/Jobs/JID_1 ",
		  .status = "200 OK",
		  .body = "{\"JobState\":\"Running\"}" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	struct bmc_request request = { .op = BMC_OP_GET_JOB,
				       .job = { .id = (char *)"/redfish/v1/Jobs/JID_1" } };
	struct kept k = run(t, &request, "ok ");
	expect_job(&k, BMC_JOB_RUNNING, "/redfish/v1/Jobs/JID_1", NULL);
	request.job.id = (char *)"/redfish/v1/Jobs/JID_2";
	k = run(t, &request, "not-found ");
	bmc_result_done(&k.result);
}

/* --- events ---------------------------------------------------------------------------------- */

static const struct rule events[] = {
	RULE_ROOT,
	{ .ask = "GET /redfish/v1/Events ",
	  .status = "200 OK",
	  .body = "{\"Subscriptions\":{\"@odata.id\":\"/redfish/v1/Events/Subs\"},"
		  "\"EventTypesForSubscription\":[\"Alert\"]}" },
	{ .ask = "GET /redfish/v1/Events/Subs ",
	  .status = "200 OK",
	  .body = "{\"Members\":[{\"@odata.id\":\"/redfish/v1/Events/Subs/4\"}]}" },
	{ .ask = "GET /redfish/v1/Events/Subs/4 ",
	  .status = "200 OK",
	  .body = "{\"Destination\":\"https://10.0.0.2/e\",\"Context\":null,\"EventTypes\":["
		  "\"Alert\",\"Other\"]}" },
	{ .ask = "POST /redfish/v1/Events/Subs ",
	  .needs = "{\"Destination\":\"https://10.0.0.1/e\",\"Protocol\":\"Redfish\",\"Context\":"
		   "\"\",\"EventTypes\":[\"Alert\"]}",
	  .status = "201 Created",
	  .headers = "Location: /redfish/v1/Events/Subs/5\r\n" },
	{ .ask = "DELETE /redfish/v1/Events/Subs/5 ", .status = "204 No Content" },
	{ .ask = "DELETE /redfish/v1/Systems", .status = "204 No Content" },
	{ 0 },
};

static void test_subscriptions(void **state)
{
	struct rig *t = *state;
	rig_start(t, events);
	struct kept k = run(t, &(struct bmc_request){ .op = BMC_OP_GET_SUBSCRIPTIONS }, "ok ");
	assert_int_equal(k.result.subscriptions.count, 1);
	assert_string_equal(k.result.subscriptions.items[0].types, "Alert\nOther");
	bmc_result_done(&k.result);
	struct bmc_request request = { .op = BMC_OP_SUBSCRIBE,
				       .subscription = {
					       .destination = (char *)"https://10.0.0.1/e" } };
	k = run(t, &request, "ok ");
	assert_string_equal(k.result.subscription.id, "/redfish/v1/Events/Subs/5");
	bmc_result_done(&k.result);
	request.subscription.types = (char *)"Alert\nStatusChange";
	k = run(t, &request, "unsupported ");
	expect_text(t, "StatusChange");
	bmc_result_done(&k.result);
}

/* An id that leads elsewhere deletes nothing. */
static void test_unsubscribe(void **state)
{
	static const char *const others[] = { "/redfish/v1/Systems/1", "/redfish/v1/Events/Subs",
					      "/redfish/v1/Events/Subs/", "",
					      "/redfish/v1/Events/Subs/../../Systems/1" };
	struct rig *t = *state;
	rig_start(t, events);
	struct bmc_request request = { .op = BMC_OP_UNSUBSCRIBE,
				       .subscription = {
					       .id = (char *)"/redfish/v1/Events/Subs/5" } };
	struct kept k = run(t, &request, "ok ");
	bmc_result_done(&k.result);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		request.subscription.id = (char *)(uintptr_t)others[i];
		k = run(t, &request, "invalid ");
		bmc_result_done(&k.result);
	}
	assert_false(server_heard(t->server, "DELETE /redfish/v1/Systems"));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_read_settings),
		CASE(test_no_settings),
		CASE(test_change_settings),
		CASE(test_settings_elsewhere),
		CASE(test_default_settings),
		CASE(test_update),
		CASE(test_firmware_list),
		CASE(test_update_by_nothing_of_ours),
		CASE(test_job_states),
		CASE(test_job_is_gone),
		CASE(test_job_of_dell_comes_later),
		CASE(test_subscriptions),
		CASE(test_unsubscribe),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
