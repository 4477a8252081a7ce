/* Virtual media, Secure Boot and the small things, before a BMC that answers as the test says. */

#include "redfish_rig.h"

#define MEDIA  "/redfish/v1/Managers/1/VirtualMedia"
#define CD     MEDIA "/CD"
#define INSERT CD "/Actions/VirtualMedia.InsertMedia"
#define EJECT  CD "/Actions/VirtualMedia.EjectMedia"
#define OURS   "http://192.0.2.1:6180/media/host-1.iso"
#define ACTIONS                                                                                    \
	"\"Actions\":{\"#VirtualMedia.InsertMedia\":{\"target\":\"" INSERT "\"},"                  \
	"\"#VirtualMedia.EjectMedia\":{\"target\":\"" EJECT "\"}}"
#define EMPTY_CD                                                                                   \
	"{\"@odata.id\":\"" CD "\",\"Id\":\"CD\",\"MediaTypes\":[\"CD\",\"DVD\"],\"Image\":null,"  \
	"\"Inserted\":false," ACTIONS "}"
#define CD_WITH(url)                                                                               \
	"{\"@odata.id\":\"" CD "\",\"Id\":\"CD\",\"MediaTypes\":[\"CD\"],\"Image\":\"" url "\","   \
	"\"Inserted\":true," ACTIONS "}"
#define SLOTS(...)                                                                                 \
	{                                                                                          \
		.ask = "GET " MEDIA " ", .status = "200 OK",                                       \
		.body = "{\"Members\":[" __VA_ARGS__ "]}"                                          \
	}
#define MEMBER(path) "{\"@odata.id\":\"" path "\"}"
#define SLOT(text, n)                                                                              \
	{                                                                                          \
		.ask = "GET " CD " ", .status = "200 OK", .body = (text), .times = (n)             \
	}
#define FIRST_REQUESTS                                                                             \
	"GET /redfish/v1/ 200\n" LOGIN " 201\n"                                                    \
	"GET /redfish/v1/Systems/1 200\n"                                                          \
	"GET /redfish/v1/Managers/1 200\n"                                                         \
	"GET " MEDIA " 200\n"

static void insert(struct rig *t, bool replace)
{
	struct bmc_request r = { .op = BMC_OP_INSERT_MEDIA };
	r.media = (struct bmc_media){ .url = (char *)OURS, .replace = replace };
	ask(&t->a, &r);
}

static void eject(struct rig *t, const char *url)
{
	struct bmc_request r = { .op = BMC_OP_EJECT_MEDIA };
	r.media.url = (char *)(uintptr_t)url;
	ask(&t->a, &r);
}

/* The slot is remembered: the second insert asks for no links. */
static void test_insert(void **state)
{
	static const struct rule rules[] = {
		SLOTS(MEMBER(CD)),
		SLOT(EMPTY_CD, 1),
		SLOT(CD_WITH(OURS), 2),
		SLOT(EMPTY_CD, 1),
		SLOT(CD_WITH(OURS), 0),
		{ .ask = "POST " INSERT,
		  .needs = "\r\n\r\n{\"Image\":\"" OURS "\"}",
		  .status = "204 No Content" },
		{ .ask = "POST " EJECT, .needs = "Content-Length: 0", .status = "204 No Content" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	insert(t, false);
	expect(&t->a, "ok ");
	expect_story(t, FIRST_REQUESTS "GET " CD " 200\nPOST " INSERT " 204\nGET " CD " 200\n");
	insert(t, false);
	expect(&t->a, "ok ");
	expect_story(t, "GET " CD " 200\nPOST " EJECT " 204\nGET " CD " 200\nPOST " INSERT
			" 204\nGET " CD " 200\n");
}

static void test_insert_does_nothing(void **state)
{
	static const struct rule rules[] = {
		SLOTS(MEMBER(CD)),
		SLOT(EMPTY_CD, 0),
		{ .ask = "POST " INSERT, .status = "204 No Content" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	insert(t, false);
	expect(&t->a, "invalid ");
	expect_text(t, "says that it worked, and is empty");
}

#define THEIRS "http://files.example.com/secret-4711/rescue.iso"

/* Nothing is ejected, and the message does not give away the path, which may be a secret. */
static void test_slot_in_use(void **state)
{
	static const struct rule rules[] = {
		SLOTS(MEMBER(CD)),
		SLOT(CD_WITH(THEIRS), 0),
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	insert(t, false);
	expect(&t->a, "conflict ");
	expect_text(t, "an image of files.example.com in " CD);
	assert_null(strstr(t->a.last.err.text, "4711"));
	expect_story(t, FIRST_REQUESTS "GET " CD " 200\n");
	eject(t, OURS);
	expect(&t->a, "ok ");
	expect_story(t, "GET " MEDIA " 200\nGET " CD " 200\n");
}

static void test_slot_is_replaced(void **state)
{
	static const struct rule rules[] = {
		SLOTS(MEMBER(CD)),
		SLOT(CD_WITH(THEIRS), 1),
		SLOT(EMPTY_CD, 1),
		SLOT(CD_WITH(OURS), 0),
		{ .ask = "POST " INSERT, .status = "204 No Content" },
		{ .ask = "POST " EJECT, .status = "204 No Content" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	insert(t, true);
	expect(&t->a, "ok ");
	assert_true(server_heard(t->server, "POST " EJECT));
}

/* Ours was there, and a person has put another in its place. */
static void test_our_slot_taken_over(void **state)
{
	static const struct rule rules[] = {
		SLOTS(MEMBER(CD)),
		SLOT(EMPTY_CD, 1),
		SLOT(CD_WITH(OURS), 1),
		SLOT(CD_WITH(THEIRS), 0),
		{ .ask = "POST " INSERT, .status = "204 No Content" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	insert(t, false);
	insert(t, false);
	expect(&t->a, "ok conflict ");
	assert_false(server_heard(t->server, "POST " EJECT));
}

#define MISSING(p)                                                                                 \
	"{\"error\":{\"@Message.ExtendedInfo\":[{\"MessageId\":"                                   \
	"\"Base.1.8.ActionParameterMissing\",\"MessageArgs\":[\"InsertMedia\",\"" p "\"]}]}}"

/* NVIDIA asks for one after the other. */
static void test_repair(void **state)
{
	static const struct rule rules[] = {
		SLOTS(MEMBER(CD)),
		SLOT(EMPTY_CD, 1),
		SLOT(CD_WITH(OURS), 0),
		{ .ask = "POST " INSERT,
		  .needs = "\"TransferProtocolType\":\"HTTP\",\"TransferMethod\":\"Stream\","
			   "\"UserName\":\"none\",\"Password\":\"none\"",
		  .status = "204 No Content" },
		{ .ask = "POST " INSERT,
		  .needs = "\"TransferMethod\"",
		  .status = "400 Bad Request",
		  .body = MISSING("UserName") },
		{ .ask = "POST " INSERT,
		  .needs = "\"TransferProtocolType\"",
		  .status = "400 Bad Request",
		  .body = MISSING("TransferMethod") },
		{ .ask = "POST " INSERT,
		  .status = "400 Bad Request",
		  .body = MISSING("TransferProtocolType") },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	insert(t, false);
	expect(&t->a, "ok ");
}

/* Lenovo: no actions, RDOC first; and a floppy that does not count. */
static void test_patched_slots(void **state)
{
	static const struct rule rules[] = {
		{ .ask = "GET /redfish/v1/Systems/1 ",
		  .status = "200 OK",
		  .body = "{\"Manufacturer\":\"Lenovo\",\"PowerState\":\"On\",\"Links\":{\"ManagedBy\":"
			  "[{\"@odata.id\":\"/redfish/v1/Managers/1\"}]}}" },
		SLOTS(MEMBER(MEDIA "/RDOC1") "," MEMBER(MEDIA "/FD") "," MEMBER(MEDIA "/EXT1")),
		{ .ask = "GET " MEDIA "/RDOC1 ",
		  .status = "200 OK",
		  .body = "{\"Id\":\"RDOC1\",\"MediaTypes\":[\"CD\"],\"Image\":null}" },
		{ .ask = "GET " MEDIA "/FD ",
		  .status = "200 OK",
		  .body = "{\"Id\":\"EXT9\",\"MediaTypes\":[\"Floppy\"],\"Image\":null}" },
		{ .ask = "GET " MEDIA "/EXT1 ",
		  .status = "200 OK",
		  .headers = "ETag: \"5\"\r\nAllow: GET, PATCH\r\n",
		  .body = "{\"Id\":\"EXT1\",\"MediaTypes\":[\"CD\"],\"Image\":null}",
		  .times = 1 },
		{ .ask = "GET " MEDIA "/EXT1 ",
		  .status = "200 OK",
		  .body = "{\"Id\":\"EXT1\",\"MediaTypes\":[\"CD\"],\"Image\":\"" OURS "\"}" },
		{ .ask = "PATCH " MEDIA "/EXT1 ", .needs = "If-Match: \"5\"", .status = "200 OK" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	insert(t, false);
	expect(&t->a, "ok ");
	assert_false(server_heard(t->server, "PATCH " MEDIA "/RDOC1"));
}

/* HPE refuses an eject without a body. */
static void test_eject_with_braces(void **state)
{
	static const struct rule rules[] = {
		SLOTS(MEMBER(CD)),
		SLOT(CD_WITH(OURS), 1),
		SLOT(EMPTY_CD, 0),
		{ .ask = "POST " EJECT, .needs = "\r\n\r\n{}", .status = "200 OK" },
		{ .ask = "POST " EJECT, .status = "415 Unsupported Media Type" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	eject(t, OURS);
	expect(&t->a, "ok ");
	expect_story(t, FIRST_REQUESTS "GET " CD " 200\nPOST " EJECT " 415\nPOST " EJECT
				       " 200\nGET " CD " 200\n");
}

static void test_no_media(void **state)
{
	static const struct rule rules[] = { SLOTS(""), { 0 } };
	struct rig *t = *state;
	rig_start(t, rules);
	insert(t, false);
	expect(&t->a, "unsupported ");
	eject(t, NULL);
	expect(&t->a, "ok ");
}

/* --- Secure Boot, and small things ----------------------------------------------------------- */

#define WITH_SECURE_BOOT                                                                           \
	{                                                                                          \
		.ask = "GET /redfish/v1/Systems/1 ", .status = "200 OK",                           \
		.body = "{\"PowerState\":\"On\",\"Boot\":{\"BootSourceOverrideMode\":\"UEFI\"},"   \
			"\"SecureBoot\":{\"@odata.id\":\"/redfish/v1/Systems/1/SecureBoot\"}}"     \
	}

static void test_secure_boot(void **state)
{
	static const struct rule rules[] = {
		WITH_SECURE_BOOT,
		{ .ask = "GET /redfish/v1/Systems/1/SecureBoot ",
		  .status = "200 OK",
		  .body = "{\"SecureBootEnable\":false,\"SecureBootCurrentBoot\":\"Disabled\"}" },
		{ .ask = "PATCH /redfish/v1/Systems/1/SecureBoot ",
		  .needs = "\r\n\r\n{\"SecureBootEnable\":true}",
		  .status = "200 OK" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	ask(&t->a, &(struct bmc_request){ .op = BMC_OP_GET_SECURE_BOOT });
	expect(&t->a, "ok ");
	assert_false(t->a.last.enabled);
	ask(&t->a, &(struct bmc_request){ .op = BMC_OP_SET_SECURE_BOOT, .enable = true });
	expect(&t->a, "ok ");
	assert_true(server_heard(t->server, "PATCH /redfish/v1/Systems/1/SecureBoot"));
}

/* OpenBMC's resource says nothing: that is not "off". */
static void test_secure_boot_says_nothing(void **state)
{
	static const struct rule rules[] = {
		WITH_SECURE_BOOT,
		{ .ask = "GET /redfish/v1/Systems/1/SecureBoot ",
		  .status = "200 OK",
		  .body = "{\"Id\":\"SecureBoot\"}" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	ask(&t->a, &(struct bmc_request){ .op = BMC_OP_GET_SECURE_BOOT });
	ask(&t->a, &(struct bmc_request){ .op = BMC_OP_SET_SECURE_BOOT, .enable = true });
	expect(&t->a, "unsupported unsupported ");
}

static void test_health_is_the_worse(void **state)
{
	struct rig *t = *state;
	rig_start(t, NULL);
	ask(&t->a, &(struct bmc_request){ .op = BMC_OP_GET_HEALTH });
	expect(&t->a, "ok ");
	assert_int_equal(t->a.last.level, BMC_LEVEL_WARNING);
}

static void test_clock(void **state)
{
	static const struct rule rules[] = {
		{ .ask = "PATCH /redfish/v1/Managers/1 ",
		  .needs = "{\"DateTime\":\"2026-12-01T09:30:00+00:00\"}",
		  .status = "200 OK" },
		{ 0 },
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
		CASE(test_insert),
		CASE(test_insert_does_nothing),
		CASE(test_slot_in_use),
		CASE(test_slot_is_replaced),
		CASE(test_our_slot_taken_over),
		CASE(test_repair),
		CASE(test_patched_slots),
		CASE(test_eject_with_braces),
		CASE(test_no_media),
		CASE(test_secure_boot),
		CASE(test_secure_boot_says_nothing),
		CASE(test_health_is_the_worse),
		CASE(test_clock),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
