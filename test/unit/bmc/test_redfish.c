/* The Redfish driver before a BMC that answers as the test says: sessions, what goes wrong on the
 * wire, trust, power and the boot device. The stories count requests, too: what is asked for twice
 * shows. */

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "crypt/tls.h"
#include "redfish_rig.h"

/* --- sessions -------------------------------------------------------------------------------- */

/* One login, whatever the number of requests, and an end that the BMC is told of. */
static void test_one_session(void **state)
{
	struct rig *t = *state;
	rig_start(t, NULL);
	get_power(&t->a);
	get_power(&t->a);
	expect(&t->a, "ok ok ");
	assert_int_equal(t->a.last.power, BMC_POWER_OFF);
	expect_story(t, "GET /redfish/v1/ 200\n" LOGIN " 201\n"
			"GET /redfish/v1/Systems/1 200\n"
			"GET /redfish/v1/Systems/1 200\n");
	assert_true(server_heard(t->server, "X-Auth-Token: key1"));
	assert_false(server_heard(t->server, "Authorization"));
	rig_close(t);
	expect_story(t, "DELETE /redfish/v1/SessionService/Sessions/7 204\n");
}

/* Nothing more is sent with a refused password, however often it is asked for. */
static void test_wrong_password(void **state)
{
	struct rig *t = *state;
	rig_start(t, NULL);
	bmc_close(t->a.bmc);
	rig_open(t, "wrong");
	get_power(&t->a);
	expect(&t->a, "denied ");
	expect_text(t, "401");
	expect_story(t, "GET /redfish/v1/ 200\n" LOGIN " 401\n");
	for (int i = 0; i < 3; i++)
		get_power(&t->a);
	expect(&t->a, "denied denied denied ");
	expect_text(t, "until its Secret changes");
	expect_story(t, "");
	const struct bmc_credentials right = { (char *)"admin", (char *)"secret" };
	assert_int_equal(bmc_set_credentials(t->a.bmc, &right, NULL), 0);
	get_power(&t->a);
	expect(&t->a, "ok ");
}

/* A session that has ended is replaced once, and not again. */
static void test_session_expires(void **state)
{
	static const struct rule rules[] = {
		{ .ask = "GET /redfish/v1/Systems/1 ", .status = "401 Unauthorized", .times = 1 },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	get_power(&t->a);
	expect(&t->a, "ok ");
	expect_story(t, "GET /redfish/v1/ 200\n" LOGIN " 201\n"
			"GET /redfish/v1/Systems/1 401\n" LOGIN " 201\n"
			"GET /redfish/v1/Systems/1 200\n");
}

static void test_session_never_accepted(void **state)
{
	static const struct rule rules[] = {
		{ .ask = "GET /redfish/v1/Systems/1 ", .status = "401 Unauthorized" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	get_power(&t->a);
	get_power(&t->a);
	expect(&t->a, "denied denied ");
	expect_story(t, "GET /redfish/v1/ 200\n" LOGIN " 201\n"
			"GET /redfish/v1/Systems/1 401\n" LOGIN " 201\n"
			"GET /redfish/v1/Systems/1 401\n");
}

/* Without a free session requests carry the password; the next operation asks for one again. */
static void test_sessions_exhausted(void **state)
{
	static const struct rule rules[] = {
		{ .ask = LOGIN,
		  .status = "503 Service Unavailable",
		  .body = "{\"error\":{\"@Message.ExtendedInfo\":[{\"MessageId\":"
			  "\"Base.1.8.SessionLimitExceeded\"}]}}",
		  .times = 1 },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	get_power(&t->a);
	expect(&t->a, "ok ");
	assert_true(server_heard(t->server, "Authorization: Basic YWRtaW46c2VjcmV0"));
	expect_story(t, "GET /redfish/v1/ 200\n" LOGIN " 503\nGET /redfish/v1/Systems/1 200\n");
	get_power(&t->a);
	expect(&t->a, "ok ");
	expect_story(t, LOGIN " 201\nGET /redfish/v1/Systems/1 200\n");
}

static void test_no_sessions_at_all(void **state)
{
	static const struct rule rules[] = {
		{ .ask = LOGIN, .status = "404 Not Found" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	get_power(&t->a);
	get_power(&t->a);
	expect(&t->a, "ok ok ");
	expect_story(t, "GET /redfish/v1/ 200\n" LOGIN " 404\n"
			"GET /redfish/v1/Systems/1 200\n"
			"GET /redfish/v1/Systems/1 200\n");
}

/* sushy-tools: a login would be refused as if the password were wrong, and an account be locked. */
static void test_root_without_sessions(void **state)
{
	static const struct rule rules[] = {
		{ .ask = "GET /redfish/v1/ ",
		  .status = "200 OK",
		  .body = "{\"Systems\":{\"@odata.id\":\"/redfish/v1/Systems\"}}" },
		{ .ask = LOGIN, .status = "401 Unauthorized" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	get_power(&t->a);
	expect(&t->a, "ok ");
	expect_story(t, "GET /redfish/v1/ 200\nGET /redfish/v1/Systems/1 200\n");
	assert_true(server_heard(t->server, "Authorization: Basic YWRtaW46c2VjcmV0"));
	const struct bmc_credentials other = { (char *)"admin", (char *)"other" };
	assert_int_equal(bmc_set_credentials(t->a.bmc, &other, NULL), 0);
	get_power(&t->a);
	expect(&t->a, "ok ");
	expect_story(t, "GET /redfish/v1/Systems/1 200\n");
}

/* Some give the root only to those who have logged in. */
static void test_root_behind_login(void **state)
{
	static const struct rule rules[] = {
		{ .ask = "GET /redfish/v1/ ",
		  .needs = KEY,
		  .status = "200 OK",
		  .body = "{\"Systems\":{\"@odata.id\":\"/redfish/v1/Systems\"}}" },
		{ .ask = "GET /redfish/v1/ ", .status = "401 Unauthorized" },
		{ 0 },
	};
	struct rig *t = *state;
	t->path = "";
	rig_start(t, rules);
	get_power(&t->a);
	expect(&t->a, "ok ");
	expect_story(t, "GET /redfish/v1/ 401\n" LOGIN " 201\n"
			"GET /redfish/v1/ 200\n"
			"GET /redfish/v1/Systems 200\n"
			"GET /redfish/v1/Systems/1 200\n");
}

/* --- finding the system ---------------------------------------------------------------------- */

static void test_only_system(void **state)
{
	struct rig *t = *state;
	t->path = "";
	rig_start(t, NULL);
	get_power(&t->a);
	get_power(&t->a);
	expect(&t->a, "ok ok ");
	expect_story(t, "GET /redfish/v1/ 200\n" LOGIN " 201\n"
			"GET /redfish/v1/Systems 200\n"
			"GET /redfish/v1/Systems/1 200\n"
			"GET /redfish/v1/Systems/1 200\n");
}

#define TWO                                                                                        \
	{                                                                                          \
		.ask = "GET /redfish/v1/Systems ", .status = "200 OK",                             \
		.body = "{\"Members\":[{\"@odata.id\":\"/redfish/v1/Systems/HGX\"},"               \
			"{\"@odata.id\":\"/redfish/v1/Systems/1\"}]}"                              \
	}

/* A part that counts GPUs is no system that can be booted. */
static void test_one_of_two(void **state)
{
	static const struct rule rules[] = {
		TWO,
		{ .ask = "GET /redfish/v1/Systems/HGX ",
		  .status = "200 OK",
		  .body = "{\"Id\":\"HGX\"}" },
		{ 0 },
	};
	struct rig *t = *state;
	t->path = "";
	rig_start(t, rules);
	get_power(&t->a);
	expect(&t->a, "ok ");
}

static void test_two_remain(void **state)
{
	static const struct rule rules[] = {
		TWO,
		{ .ask = "GET /redfish/v1/Systems/HGX ", .status = "200 OK", .body = SYSTEM_1 },
		{ 0 },
	};
	struct rig *t = *state;
	t->path = "";
	rig_start(t, rules);
	get_power(&t->a);
	expect(&t->a, "invalid ");
	expect_text(t, "/redfish/v1/Systems/HGX, /redfish/v1/Systems/1");
}

static void test_no_such_system(void **state)
{
	struct rig *t = *state;
	t->path = "/redfish/v1/Systems/9";
	rig_start(t, NULL);
	get_power(&t->a);
	expect(&t->a, "invalid ");
	expect_text(t, "knows no system \"/redfish/v1/Systems/9\"");
}

/* --- what BMCs do on the wire ---------------------------------------------------------------- */

static void test_redirect(void **state)
{
	static const struct rule rules[] = {
		{ .ask = "GET /redfish/v1/Systems/1 ",
		  .status = "308 Permanent Redirect",
		  .headers = "Location: /redfish/v1/Systems/1/\r\n" },
		{ .ask = "GET /redfish/v1/Systems/1/ ", .status = "200 OK", .body = SYSTEM_1 },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	get_power(&t->a);
	expect(&t->a, "ok ");
}

/* The key of the session never goes along, because nothing goes. */
static void test_redirect_elsewhere(void **state)
{
	static const struct rule rules[] = {
		{ .ask = "GET /redfish/v1/Systems/1 ",
		  .status = "307 Temporary Redirect",
		  .headers = "Location: http://127.0.0.2/redfish/v1/Systems/1\r\n" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	get_power(&t->a);
	expect(&t->a, "protocol ");
	expect_text(t, "another host");
	expect_story(t, "GET /redfish/v1/ 200\n" LOGIN " 201\nGET /redfish/v1/Systems/1 307\n");
}

static void test_redirect_without_end(void **state)
{
	static const struct rule rules[] = {
		{ .ask = "GET /redfish/v1/Systems/1 ",
		  .status = "302 Found",
		  .headers = "Location: /redfish/v1/Systems/1\r\n" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	get_power(&t->a);
	expect(&t->a, "protocol ");
	expect_text(t, "again and again");
}

static void test_compression_only(void **state)
{
	static const struct rule rules[] = {
		{ .ask = "GET /redfish/v1/Systems/1 ",
		  .needs = "Accept-Encoding: identity",
		  .status = "406 Not Acceptable" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	get_power(&t->a);
	get_power(&t->a);
	expect(&t->a, "ok ok ");
	expect_story(t, "GET /redfish/v1/ 200\n" LOGIN " 201\n"
			"GET /redfish/v1/Systems/1 406\n"
			"GET /redfish/v1/Systems/1 200\n"
			"GET /redfish/v1/Systems/1 200\n");
}

static void test_busy(void **state)
{
	static const struct rule rules[] = {
		{ .ask = "GET /redfish/v1/Systems/1 ",
		  .status = "503 Service Unavailable",
		  .times = 4 },
		{ .ask = "POST /redfish/v1/Systems/1/Actions",
		  .status = "500 Internal Server Error",
		  .body = "{\"error\":{\"@Message.ExtendedInfo\":{\"MessageId\":"
			  "\"IDRAC.2.8.SYS518\"}}}",
		  .times = 2 },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	act(&t->a, BMC_ACTION_ON);
	expect(&t->a, "ok ");
}

/* A change whose answer was lost may have been made: it is not sent again. */
static void test_cut(void **state)
{
	static const struct rule rules[] = {
		{ .ask = "GET /redfish/v1/Systems/1 ", .times = 2 },
		{ .ask = "POST /redfish/v1/Systems/1/Actions" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	get_power(&t->a);
	expect(&t->a, "ok ");
	forget_story(t);
	act(&t->a, BMC_ACTION_ON);
	if (t->a.waiting > 0)
		loop_run(t->a.loop);
	assert_int_not_equal(t->a.last.err.kind, ERR_NONE);
	t->a.trace[0] = '\0';
	expect_story(t, "GET /redfish/v1/Systems/1 200\n"
			"POST /redfish/v1/Systems/1/Actions/ComputerSystem.Reset cut\n");
}

static void check_body(struct rig *t, const char *body, const char *trace)
{
	const struct rule rules[] = {
		{ .ask = "GET /redfish/v1/Systems/1 ", .status = "200 OK", .body = body },
		{ 0 },
	};
	rig_start(t, rules);
	get_power(&t->a);
	expect(&t->a, trace);
	rig_close(t); /* the rules end with this function */
}

static void test_ten_megabytes(void **state)
{
	size_t len = 10 * 1024 * 1024;
	char *body = xmalloc(len + 1);
	memset(body, ' ', len);
	memcpy(body, "{\"a\":\"", 6);
	body[len] = '\0';
	check_body(*state, body, "limit ");
	free(body);
}

static void test_deep(void **state)
{
	struct strbuf body = { 0 };
	for (int i = 0; i < 1000; i++)
		strbuf_adds(&body, "{\"a\":");
	check_body(*state, body.data, "protocol ");
	strbuf_done(&body);
}

static void test_no_json(void **state)
{
	check_body(*state, "<html>Welcome</html>", "protocol ");
}

static void test_no_object(void **state)
{
	check_body(*state, "[1, 2]", "protocol ");
}

/* --- trust ----------------------------------------------------------------------------------- */

static void make_pair(struct rig *t)
{
	usec_t now = loop_wall(t->a.loop);
	struct crypt_cert_spec spec = { .common_name = "bmc",
					.not_before = now - USEC_PER_HOUR,
					.not_after = now + USEC_PER_HOUR,
					.server = true };
	assert_int_equal(crypt_make_cert(&spec, NULL, &t->pair, NULL), 0);
}

/* Not a byte of a request leaves. */
static void test_not_trusted(void **state)
{
	struct rig *t = *state;
	make_pair(t);
	rig_start(t, NULL);
	get_power(&t->a);
	expect(&t->a, "denied ");
	expect_text(t, "not trusted");
	expect_story(t, "");
}

static void test_insecure(void **state)
{
	struct rig *t = *state;
	make_pair(t);
	t->options.insecure_tls = true;
	rig_start(t, NULL);
	get_power(&t->a);
	expect(&t->a, "ok ");
}

/* What no authority vouches for, with a name that is not the host's, is trusted if it is the one.
 */
static void test_pinned(void **state)
{
	char pin[CRYPT_SHA256_HEX];
	struct rig *t = *state;
	make_pair(t);
	X509 *cert;
	BIO *pem = BIO_new_mem_buf(t->pair.cert, -1);
	unsigned char digest[32];
	unsigned len = sizeof(digest);
	cert = PEM_read_bio_X509(pem, NULL, NULL, NULL);
	assert_int_equal(X509_digest(cert, EVP_sha256(), digest, &len), 1);
	hex_encode(digest, len, pin);
	X509_free(cert);
	BIO_free(pem);
	t->options.pinned_sha256 = pin;
	rig_start(t, NULL);
	get_power(&t->a);
	expect(&t->a, "ok ");
}

/* Although it would be trusted without the pin. */
static void test_another_pinned(void **state)
{
	static const char pin[] =
		"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
	struct rig *t = *state;
	make_pair(t);
	t->options.insecure_tls = true;
	t->options.pinned_sha256 = pin;
	rig_start(t, NULL);
	get_power(&t->a);
	expect(&t->a, "denied ");
	expect_text(t, "pinned");
	expect_story(t, "");
}

/* Of an authority that only the host's Secret names. */
static void test_own_authority(void **state)
{
	static const char *const addresses[] = { "127.0.0.1", NULL };
	struct rig *t = *state;
	usec_t now = loop_wall(t->a.loop);
	struct crypt_pair ca = { 0 };
	const struct crypt_cert_spec authority = { .common_name = "site",
						   .not_before = now - USEC_PER_HOUR,
						   .not_after = now + USEC_PER_HOUR,
						   .is_ca = true };
	const struct crypt_cert_spec bmc = { .common_name = "bmc",
					     .addresses = addresses,
					     .not_before = now - USEC_PER_HOUR,
					     .not_after = now + USEC_PER_HOUR,
					     .server = true };
	assert_int_equal(crypt_make_cert(&authority, NULL, &ca, NULL), 0);
	assert_int_equal(crypt_make_cert(&bmc, &ca, &t->pair, NULL), 0);
	t->options.ca = ca.cert;
	rig_start(t, NULL);
	get_power(&t->a);
	expect(&t->a, "ok ");
	crypt_pair_release(&ca);
}

static void test_refused_range(void **state)
{
	struct rig *t = *state;
	assert_int_equal(net_prefixes_parse(&t->policy.refuse, "127.0.0.0/8", NULL), 0);
	rig_start(t, NULL);
	get_power(&t->a);
	if (t->a.waiting > 0)
		loop_run(t->a.loop);
	t->a.trace[0] = '\0';
	assert_int_not_equal(t->a.last.err.kind, ERR_NONE);
	expect_text(t, "127.0.0.1");
	assert_int_equal(atomic_load(&t->server->connections), 0);
}

/* --- power ----------------------------------------------------------------------------------- */

static void test_power_states(void **state)
{
	static const struct rule rules[] = {
		{ .ask = "GET /redfish/v1/Systems/1 ",
		  .status = "200 OK",
		  .body = "{\"PowerState\":\"On\"}",
		  .times = 1 },
		{ .ask = "GET /redfish/v1/Systems/1 ",
		  .status = "200 OK",
		  .body = "{\"PowerState\":\"PoweringOn\"}",
		  .times = 1 },
		{ .ask = "GET /redfish/v1/Systems/1 ",
		  .status = "200 OK",
		  .body = "{\"PowerState\":\"PoweringOff\"}",
		  .times = 1 },
		{ .ask = "GET /redfish/v1/Systems/1 ",
		  .status = "200 OK",
		  .body = "{\"PowerState\":null}",
		  .times = 1 },
		{ 0 },
	};
	static const enum bmc_power want[] = { BMC_POWER_ON, BMC_POWER_ON, BMC_POWER_OFF,
					       BMC_POWER_UNKNOWN };
	struct rig *t = *state;
	rig_start(t, rules);
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		get_power(&t->a);
		expect(&t->a, "ok ");
		assert_int_equal(t->a.last.power, want[i]);
	}
}

static void test_power_actions(void **state)
{
	struct rig *t = *state;
	rig_start(t, NULL);
	act(&t->a, BMC_ACTION_ON);
	expect(&t->a, "ok ");
	expect_story(t, "GET /redfish/v1/ 200\n" LOGIN " 201\n"
			"GET /redfish/v1/Systems/1 200\n"
			"POST /redfish/v1/Systems/1/Actions/ComputerSystem.Reset 204\n");
	act(&t->a, BMC_ACTION_OFF); /* it is off */
	expect(&t->a, "ok ");
	expect_story(t, "GET /redfish/v1/Systems/1 200\n");
}

/* The host is on by the time it refuses to be switched on. */
static void test_refusal_is_read_again(void **state)
{
	static const struct rule rules[] = {
		{ .ask = "GET /redfish/v1/Systems/1 ",
		  .status = "200 OK",
		  .body = SYSTEM_1,
		  .times = 1 },
		{ .ask = "GET /redfish/v1/Systems/1 ",
		  .status = "200 OK",
		  .body = "{\"PowerState\":\"On\"}" },
		{ .ask = "POST /redfish/v1/Systems/1/Actions", .status = "400 Bad Request" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	act(&t->a, BMC_ACTION_ON);
	expect(&t->a, "ok ");
}

/* --- boot device ----------------------------------------------------------------------------- */

static uint64_t set_boot(struct rig *t, enum bmc_device device, bool persistent)
{
	struct bmc_request r = { .op = BMC_OP_SET_BOOT };
	r.boot = (struct bmc_boot){ .device = device, .persistent = persistent, .uefi = true };
	return ask(&t->a, &r);
}

static void test_boot_once(void **state)
{
	static const struct rule rules[] = {
		{ .ask = "PATCH /redfish/v1/Systems/1 ",
		  .needs = "{\"Boot\":{\"BootSourceOverrideTarget\":\"Pxe\","
			   "\"BootSourceOverrideEnabled\":\"Once\"}}",
		  .status = "200 OK" },
		{ .ask = "PATCH", .status = "400 Bad Request" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	set_boot(t, BMC_DEVICE_PXE, false);
	expect(&t->a, "ok ");
}

/* Lenovo has no Continuous: the device is sent again before each start. */
static void test_boot_once_only(void **state)
{
	static const struct rule rules[] = {
		{ .ask = "PATCH", .needs = "\"Continuous\"", .status = "400 Bad Request" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	set_boot(t, BMC_DEVICE_DISK, true);
	expect(&t->a, "ok ");
	expect_story(t, "GET /redfish/v1/ 200\n" LOGIN " 201\n"
			"GET /redfish/v1/Systems/1 200\n"
			"PATCH /redfish/v1/Systems/1 400\n"
			"PATCH /redfish/v1/Systems/1 204\n");
	act(&t->a, BMC_ACTION_ON);
	expect(&t->a, "ok ");
	forget_story(t);
	act(&t->a, BMC_ACTION_RESET);
	expect(&t->a, "ok ");
	pthread_mutex_lock(&t->server->lock);
	assert_non_null(strstr(t->story.data, "PATCH /redfish/v1/Systems/1 "));
	pthread_mutex_unlock(&t->server->lock);
}

/* Weak tags, then strong ones, then none. */
static void test_etags(void **state)
{
	static const struct rule rules[] = {
		{ .ask = "GET /redfish/v1/Systems/1 ",
		  .status = "200 OK",
		  .headers = "ETag: W/\"1\"\r\n",
		  .body = SYSTEM_1 },
		{ .ask = "PATCH",
		  .needs = "If-Match: W/\"1\"",
		  .status = "412 Precondition Failed" },
		{ .ask = "PATCH", .needs = "If-Match: \"1\"", .status = "412 Precondition Failed" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	set_boot(t, BMC_DEVICE_PXE, false);
	expect(&t->a, "ok ");
	expect_story(t, "GET /redfish/v1/ 200\n" LOGIN " 201\n"
			"GET /redfish/v1/Systems/1 200\n"
			"PATCH /redfish/v1/Systems/1 412\n"
			"PATCH /redfish/v1/Systems/1 412\n"
			"PATCH /redfish/v1/Systems/1 204\n");
}

/* Each property goes to where it is: AMI's future state has the target, the system the mode. */
static void test_boot_in_settings(void **state)
{
	static const struct rule rules[] = {
		{ .ask = "GET /redfish/v1/Systems/1 ",
		  .status = "200 OK",
		  .body = "{\"PowerState\":\"On\",\"Boot\":{\"BootSourceOverrideMode\":\"Legacy\"},"
			  "\"@Redfish.Settings\":{\"SettingsObject\":{\"@odata.id\":"
			  "\"/redfish/v1/Systems/1/SD\"}}}" },
		{ .ask = "GET /redfish/v1/Systems/1/SD ",
		  .status = "200 OK",
		  .headers = "ETag: \"9\"\r\n",
		  .body = "{\"Boot\":{\"BootSourceOverrideTarget\":\"None\","
			  "\"BootSourceOverrideEnabled\":\"Disabled\"}}" },
		{ .ask = "PATCH /redfish/v1/Systems/1/SD ",
		  .needs = "If-Match: \"9\"",
		  .status = "200 OK" },
		{ .ask = "PATCH /redfish/v1/Systems/1 ",
		  .needs = "\r\n\r\n{\"Boot\":{\"BootSourceOverrideMode\":\"UEFI\"}}",
		  .status = "200 OK" },
		{ .ask = "PATCH", .status = "400 Bad Request" },
		{ 0 },
	};
	struct rig *t = *state;
	rig_start(t, rules);
	set_boot(t, BMC_DEVICE_PXE, false);
	expect(&t->a, "ok ");
	expect_story(t, "GET /redfish/v1/ 200\n" LOGIN " 201\n"
			"GET /redfish/v1/Systems/1 200\n"
			"GET /redfish/v1/Systems/1/SD 200\n"
			"PATCH /redfish/v1/Systems/1/SD 200\n"
			"PATCH /redfish/v1/Systems/1 200\n");
}

/* A URL that the BMC has no place for is not dropped without a word. */
static void test_http_uri(void **state)
{
	static const struct rule rules[] = {
		{ .ask = "GET /redfish/v1/Systems/1 ",
		  .status = "200 OK",
		  .body = "{\"PowerState\":\"On\",\"Boot\":{\"BootSourceOverrideTarget\":\"None\","
			  "\"BootSourceOverrideEnabled\":\"Disabled\",\"HttpBootUri\":null}}",
		  .times = 1 },
		{ .ask = "PATCH",
		  .needs = "\"BootSourceOverrideTarget\":\"UefiHttp\"",
		  .status = "200 OK" },
		{ .ask = "PATCH", .status = "400 Bad Request" },
		{ 0 },
	};
	struct bmc_request r = { .op = BMC_OP_SET_BOOT };
	struct rig *t = *state;
	rig_start(t, rules);
	r.boot = (struct bmc_boot){ .device = BMC_DEVICE_UEFI_HTTP,
				    .uefi = true,
				    .http_uri = (char *)"http://192.0.2.1/boot.efi" };
	ask(&t->a, &r);
	expect(&t->a, "ok ");
	ask(&t->a, &r); /* the plain machine has no HttpBootUri */
	expect(&t->a, "unsupported ");
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_one_session),
		CASE(test_wrong_password),
		CASE(test_session_expires),
		CASE(test_session_never_accepted),
		CASE(test_sessions_exhausted),
		CASE(test_no_sessions_at_all),
		CASE(test_root_without_sessions),
		CASE(test_root_behind_login),
		CASE(test_only_system),
		CASE(test_one_of_two),
		CASE(test_two_remain),
		CASE(test_no_such_system),
		CASE(test_redirect),
		CASE(test_redirect_elsewhere),
		CASE(test_redirect_without_end),
		CASE(test_compression_only),
		CASE(test_busy),
		CASE(test_cut),
		CASE(test_ten_megabytes),
		CASE(test_deep),
		CASE(test_no_json),
		CASE(test_no_object),
		CASE(test_not_trusted),
		CASE(test_insecure),
		CASE(test_pinned),
		CASE(test_another_pinned),
		CASE(test_own_authority),
		CASE(test_refused_range),
		CASE(test_power_states),
		CASE(test_power_actions),
		CASE(test_refusal_is_read_again),
		CASE(test_boot_once),
		CASE(test_boot_once_only),
		CASE(test_etags),
		CASE(test_boot_in_settings),
		CASE(test_http_uri),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
