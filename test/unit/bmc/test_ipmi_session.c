/* The session without a network: against a BMC written from the specification (sim/bmc_ipmi.h) for
 * both cipher suites, against datagrams that a real ipmitool and ipmi_sim exchanged, and against
 * packets that lie. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "base/mem.h"
#include "base/str.h"
#include "bmc/ipmi/commands.h"
#include "bmc/ipmi/ipmi.h"
#include "bmc/ipmi/session.h"
#include "sim/bmc_ipmi.h"
#include "unit/base/fsm_walk.h"

enum { SUITE_17 = 1, SUITE_3 = 2, BOTH = 3, ADMINISTRATOR = 4 };

static struct ipmi_codec *codec;

struct bench {
	struct sim_bmc bmc;
	struct ipmi_session session;
	struct ipmi_login login;
};

static const uint8_t console_random[IPMI_RANDOM_SIZE] = "0123456789abcdef";

static struct bench make(unsigned suites)
{
	struct bench t = { .bmc = sim_bmc_make() };
	t.login = (struct ipmi_login){ .user = "admin",
				       .password = "secret",
				       .privilege = ADMINISTRATOR,
				       .suites = suites,
				       .console_id = 0xa0a2a001,
				       .console_random = console_random };
	return t;
}

static void begin(struct bench *t)
{
	ipmi_session_init(&t->session, codec, &t->login);
}

/* One packet there and its answer back. */
static enum ipmi_event exchange(struct bench *t)
{
	uint8_t packet[IPMI_PACKET_MAX], answer[SIM_BMC_PACKET_MAX];
	struct ipmi_header h;
	int n = ipmi_session_packet(&t->session, packet);
	assert_true(n > 0);
	size_t len = sim_bmc_answer(&t->bmc, packet, (size_t)n, answer);
	if (!ipmi_peek(answer, len, &h))
		return IPMI_EVENT_DROPPED;
	return ipmi_session_receive(&t->session, answer, len, &h);
}

/* Until something other than "send the next" happens. */
static enum ipmi_event run(struct bench *t)
{
	enum ipmi_event event;
	do
		event = exchange(t);
	while (event == IPMI_EVENT_SEND);
	return event;
}

static enum ipmi_event command(struct bench *t, uint8_t netfn, uint8_t cmd, const void *data,
			       size_t len)
{
	ipmi_session_command(&t->session, netfn, cmd, data, len);
	return run(t);
}

static void check_whole_session(unsigned suites, int suite)
{
	struct bench t = make(suites);
	begin(&t);
	assert_int_equal(run(&t), IPMI_EVENT_READY);
	assert_int_equal(t.session.secrets.suite->id, suite);
	assert_int_equal(t.bmc.session.suite, suite);
	assert_int_equal(t.bmc.privilege_asked, ADMINISTRATOR);
	/* Both sides have derived the same keys, each by its own code. */
	size_t size = suite == 17 ? 32 : 20;
	assert_memory_equal(t.session.secrets.sik, t.bmc.session.sik, size);
	assert_memory_equal(t.session.secrets.k1, t.bmc.session.k1, size);
	assert_memory_equal(t.session.secrets.k2, t.bmc.session.k2, size);
	t.bmc.power = true;
	assert_int_equal(command(&t, 0, 1, NULL, 0), IPMI_EVENT_ANSWERED);
	assert_int_equal(t.session.answer.completion, 0);
	assert_int_equal(t.session.answer.len, 3);
	assert_int_equal(t.session.answer.data[0], 1);
	for (int i = 0; i < 100; i++) { /* the 6-bit rqSeq wraps */
		assert_int_equal(command(&t, 0, 2, "\x00", 1), IPMI_EVENT_ANSWERED);
		assert_int_equal(t.session.answer.completion, 0);
	}
	assert_int_equal(t.bmc.actions[0], 100);
	ipmi_session_close(&t.session);
	assert_int_equal(run(&t), IPMI_EVENT_CLOSED);
	assert_int_equal(t.bmc.closes, 1);
	assert_int_equal(t.session.state, IPMI_STATE_CLOSED);
}

static void test_suite_17(void **state)
{
	(void)state;
	check_whole_session(SUITE_17, 17);
	check_whole_session(BOTH, 17);
}

static void test_suite_3(void **state)
{
	(void)state;
	check_whole_session(SUITE_3, 3);
}

static void test_suite_fallback(void **state)
{
	(void)state;
	struct bench t = make(BOTH);
	t.bmc.suites[17] = false;
	begin(&t);
	assert_int_equal(run(&t), IPMI_EVENT_READY);
	assert_int_equal(t.session.secrets.suite->id, 3);
	assert_int_equal(t.bmc.opens, 2);
	t = make(BOTH);
	t.bmc.suites[17] = false;
	t.bmc.cut_refusal = true;
	begin(&t);
	assert_int_equal(run(&t), IPMI_EVENT_READY);
	assert_int_equal(t.session.secrets.suite->id, 3);
	assert_int_equal(t.bmc.opens, 2);
}

static void check_failure(struct bench *t, enum ipmi_failure failure)
{
	begin(t);
	assert_int_equal(run(t), IPMI_EVENT_FAILED);
	assert_int_equal(t->session.state, IPMI_STATE_FAILED);
	assert_int_equal(t->session.failure, failure);
}

static void test_no_common_suite(void **state)
{
	(void)state;
	struct bench t = make(BOTH);
	t.bmc.suites[17] = t.bmc.suites[3] = false;
	check_failure(&t, IPMI_FAILURE_NO_SUITE);
	t = make(SUITE_17);
	t.bmc.suites[17] = false;
	check_failure(&t, IPMI_FAILURE_NO_SUITE);
}

/* A BMC that answers with "no authentication" must not get its way. */
static void test_no_downgrade(void **state)
{
	(void)state;
	struct bench t = make(BOTH);
	t.bmc.weak_choice = true;
	check_failure(&t, IPMI_FAILURE_NO_SUITE);
	for (const struct ipmi_suite *s = ipmi_suites(); s->id; s++)
		assert_true(s->auth && s->integrity && s->confidentiality);
}

static void test_refusals(void **state)
{
	(void)state;
	struct bench t = make(BOTH);
	t.bmc.no_rmcpplus = true;
	check_failure(&t, IPMI_FAILURE_NO_RMCPPLUS);
	t = make(BOTH);
	t.bmc.full = 1;
	check_failure(&t, IPMI_FAILURE_BUSY);
	t = make(BOTH);
	t.bmc.open_status = 0x0a;
	check_failure(&t, IPMI_FAILURE_PRIVILEGE);
	t = make(BOTH);
	t.login.user = "nobody";
	check_failure(&t, IPMI_FAILURE_USER);
	assert_int_equal(t.session.status, 0x0d);
	t = make(BOTH);
	t.bmc.rakp2_status = 0x0b;
	check_failure(&t, IPMI_FAILURE_BUSY);
	t = make(BOTH);
	t.bmc.rakp4_status = 0x0f;
	check_failure(&t, IPMI_FAILURE_PASSWORD);
	t = make(BOTH);
	t.bmc.rakp4_status = 0x08;
	check_failure(&t, IPMI_FAILURE_LOST);
	t = make(BOTH);
	t.bmc.rakp4_status = 0x77;
	check_failure(&t, IPMI_FAILURE_REFUSED);
	assert_int_equal(t.session.status, 0x77);
	assert_false(t.session.established);
}

static void test_wrong_password(void **state)
{
	(void)state;
	static const char *const passwords[] = { "Secret", "", "secrets", "12345678901234567890" };
	for (size_t i = 0; i < ARRAY_SIZE(passwords); i++) {
		struct bench t = make(BOTH);
		uint8_t packet[IPMI_PACKET_MAX], answer[SIM_BMC_PACKET_MAX];
		t.login.password = passwords[i];
		check_failure(&t, IPMI_FAILURE_PASSWORD);
		/* The BMC is told, so that it can forget the session. */
		int n = ipmi_session_refusal(&t.session, packet);
		assert_true(n > 0);
		assert_int_equal(sim_bmc_answer(&t.bmc, packet, (size_t)n, answer), 0);
		assert_int_equal(t.bmc.refusals, 1);
	}
}

static void test_odd_credentials(void **state)
{
	(void)state;
	static const char *const pairs[][2] = {
		{ "", "" },
		{ "admin", "" },
		{ "", "secret" },
		{ "1234567890123456", "12345678901234567890" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		struct bench t = make(i % 2 ? SUITE_3 : SUITE_17);
		t.login.user = t.bmc.user = pairs[i][0];
		t.login.password = t.bmc.password = pairs[i][1];
		begin(&t);
		assert_int_equal(run(&t), IPMI_EVENT_READY);
	}
}

static void test_privilege_refused(void **state)
{
	(void)state;
	struct bench t = make(BOTH);
	t.bmc.privilege_code = 0x81;
	check_failure(&t, IPMI_FAILURE_PRIVILEGE);
	/* The session exists and must be closed. */
	assert_true(t.session.established);
	ipmi_session_close(&t.session);
	assert_int_equal(run(&t), IPMI_EVENT_CLOSED);
}

static void test_known_skips_authcap(void **state)
{
	(void)state;
	struct bench t = make(BOTH);
	t.login.known = true;
	begin(&t);
	assert_int_equal(t.session.state, IPMI_STATE_OPEN);
	assert_int_equal(run(&t), IPMI_EVENT_READY);
	assert_int_equal(t.bmc.requests, 4);
}

static void test_forged_messages_are_dropped(void **state)
{
	(void)state;
	struct bench t = make(BOTH);
	begin(&t);
	assert_int_equal(run(&t), IPMI_EVENT_READY);
	t.bmc.corrupt = true;
	assert_int_equal(command(&t, 0, 1, NULL, 0), IPMI_EVENT_DROPPED);
	t.bmc.corrupt = false;
	assert_int_equal(exchange(&t), IPMI_EVENT_ANSWERED);
	t.bmc.replay = true; /* right code, but an old sequence number */
	assert_int_equal(command(&t, 0, 1, NULL, 0), IPMI_EVENT_DROPPED);
	t.bmc.replay = false;
	assert_int_equal(exchange(&t), IPMI_EVENT_ANSWERED);
}

static void test_forged_rakp4(void **state)
{
	(void)state;
	struct bench t = make(BOTH);
	t.bmc.bad_rakp4 = true;
	begin(&t);
	assert_int_equal(run(&t), IPMI_EVENT_DROPPED);
	assert_int_equal(t.session.state, IPMI_STATE_RAKP3);
	assert_false(t.session.established);
}

/* After 64 commands a recorded answer fits by its rqSeq again. */
static void test_replay_after_wrap(void **state)
{
	(void)state;
	struct bench t = make(BOTH);
	uint8_t packet[IPMI_PACKET_MAX], old[SIM_BMC_PACKET_MAX];
	struct ipmi_header h;
	begin(&t);
	assert_int_equal(run(&t), IPMI_EVENT_READY);
	ipmi_session_command(&t.session, 0, 1, NULL, 0);
	size_t n = (size_t)ipmi_session_packet(&t.session, packet);
	n = sim_bmc_answer(&t.bmc, packet, n, old);
	assert_true(ipmi_peek(old, n, &h));
	assert_int_equal(ipmi_session_receive(&t.session, old, n, &h), IPMI_EVENT_ANSWERED);
	uint8_t sequence = t.session.sequence;
	for (int i = 0; i < 63; i++)
		assert_int_equal(command(&t, 0, 1, NULL, 0), IPMI_EVENT_ANSWERED);
	ipmi_session_command(&t.session, 0, 1, NULL, 0);
	assert_int_equal(t.session.sequence, sequence);
	assert_int_equal(ipmi_session_receive(&t.session, old, n, &h), IPMI_EVENT_DROPPED);
	assert_int_equal(exchange(&t), IPMI_EVENT_ANSWERED);
}

/* A repeated request has a new session sequence number and the old rqSeq. */
static void test_repetition(void **state)
{
	(void)state;
	struct bench t = make(BOTH);
	begin(&t);
	assert_int_equal(run(&t), IPMI_EVENT_READY);
	assert_false(t.session.resent);
	uint8_t a[IPMI_PACKET_MAX], b[IPMI_PACKET_MAX], first[SIM_BMC_PACKET_MAX],
		second[SIM_BMC_PACKET_MAX];
	struct ipmi_header h;
	ipmi_session_command(&t.session, 0, 1, NULL, 0);
	size_t n = (size_t)ipmi_session_packet(&t.session, a);
	size_t m = (size_t)ipmi_session_packet(&t.session, b);
	assert_int_equal(n, m);
	assert_int_equal(b[10], a[10] + 1);
	n = sim_bmc_answer(&t.bmc, a, n, first);
	m = sim_bmc_answer(&t.bmc, b, m, second);
	assert_true(ipmi_peek(second, m, &h));
	assert_int_equal(ipmi_session_receive(&t.session, second, m, &h), IPMI_EVENT_ANSWERED);
	/* The late one is within the window, but nobody waits for it. */
	assert_true(ipmi_peek(first, n, &h));
	assert_int_equal(ipmi_session_receive(&t.session, first, n, &h), IPMI_EVENT_DROPPED);
	assert_int_equal(command(&t, 0, 1, NULL, 0), IPMI_EVENT_ANSWERED);
	ipmi_session_command(&t.session, 0, 1, NULL, 0);
	assert_int_equal(ipmi_session_receive(&t.session, second, m, &h), IPMI_EVENT_DROPPED);
}

/* Nothing that is cut short or has one bit changed is taken for an answer, in any state. */
static void mangle(struct bench *t, const uint8_t *answer, size_t len)
{
	for (size_t bit = 0; bit < 8 * len; bit++) {
		struct ipmi_session copy = t->session;
		uint8_t bad[SIM_BMC_PACKET_MAX];
		struct ipmi_header h;
		memcpy(bad, answer, len);
		bad[bit / 8] ^= (uint8_t)(1U << bit % 8);
		if (!ipmi_peek(bad, len, &h))
			continue;
		enum ipmi_event event = ipmi_session_receive(&copy, bad, len, &h);
		/* Set-up packets are not authenticated as a whole; the RMCP header never is. */
		if (t->session.state >= IPMI_STATE_PRIVILEGE && bit / 8 > 3)
			assert_int_equal(event, IPMI_EVENT_DROPPED);
	}
	for (size_t n = 0; n < len; n++) {
		struct ipmi_session copy = t->session;
		struct ipmi_header h;
		uint8_t *cut = xmemdup(answer, n + !n);
		if (ipmi_peek(cut, n, &h)) /* a whole payload, but its trailer is cut */
			assert_int_not_equal(ipmi_session_receive(&copy, cut, n, &h),
					     IPMI_EVENT_ANSWERED);
		free(cut);
	}
}

static void check_mangled(unsigned suites)
{
	struct bench t = make(suites);
	begin(&t);
	enum ipmi_event event = IPMI_EVENT_SEND;
	for (int round = 0; event != IPMI_EVENT_CLOSED; round++) {
		uint8_t packet[IPMI_PACKET_MAX], answer[SIM_BMC_PACKET_MAX];
		struct ipmi_header h;
		size_t n = (size_t)ipmi_session_packet(&t.session, packet);
		n = sim_bmc_answer(&t.bmc, packet, n, answer);
		mangle(&t, answer, n);
		assert_true(ipmi_peek(answer, n, &h));
		event = ipmi_session_receive(&t.session, answer, n, &h);
		if (event == IPMI_EVENT_READY)
			ipmi_session_command(&t.session, 0, 1, NULL, 0);
		if (event == IPMI_EVENT_ANSWERED)
			ipmi_session_close(&t.session);
		assert_in_range(round, 0, 10);
	}
}

static void test_mangled(void **state)
{
	(void)state;
	check_mangled(SUITE_17);
	check_mangled(SUITE_3);
}

static void test_state_table(void **state)
{
	(void)state;
	fsm_walk(&ipmi_session_fsm, IPMI_STATE_AUTHCAP, 1U << IPMI_STATE_CLOSED);
	for (enum ipmi_state s = 0; s < _IPMI_STATE_MAX; s++) {
		const struct ipmi_state_info *info = ipmi_state_info(s);
		/* What waits has a way out other than success. */
		if (info->waits)
			assert_true(info->next &
				    (1U << IPMI_STATE_FAILED | 1U << IPMI_STATE_CLOSING |
				     1U << IPMI_STATE_CLOSED));
	}
}

/* --- commands -------------------------------------------------------------------------------- */

static void check_bytes(enum bmc_op op, const struct bmc_request *request,
			const struct ipmi_facts *facts, const char *want)
{
	char text[400] = "";
	for (const struct ipmi_step *s = ipmi_step_from(ipmi_steps(op), facts, request); s;
	     s = ipmi_step_from(s + 1, facts, request)) {
		uint8_t data[IPMI_DATA_MAX];
		char hex[2 * IPMI_DATA_MAX + 1];
		struct wcursor w;
		wcursor_init(&w, data, sizeof(data));
		if (s->encode)
			s->encode(facts, request, &w);
		assert_false(w.failed);
		hex_encode(data, w.pos, hex);
		size_t n = strlen(text);
		snprintf(text + n, sizeof(text) - n, "%s%02x%02x:%s", n ? " " : "", s->netfn,
			 s->command, hex);
	}
	assert_string_equal(text, want);
}

static void check_boot(enum bmc_device device, bool persistent, bool uefi, uint32_t vendor,
		       const char *want)
{
	struct bmc_request r = { .boot = { device, persistent, uefi } };
	check_bytes(BMC_OP_SET_BOOT, &r, &(struct ipmi_facts){ vendor, vendor != 0 }, want);
}

static void test_command_bytes(void **state)
{
	(void)state;
	struct ipmi_facts none = { 0 };
	struct bmc_request r = { 0 };
	check_bytes(BMC_OP_GET_POWER, &r, &none, "0001:");
	static const char *const actions[] = { [BMC_ACTION_ON] = "0002:01",
					       [BMC_ACTION_OFF] = "0002:00",
					       [BMC_ACTION_SOFT] = "0002:05",
					       [BMC_ACTION_CYCLE] = "0002:02",
					       [BMC_ACTION_RESET] = "0002:03" };
	for (unsigned i = 0; i < ARRAY_SIZE(actions); i++) {
		r.action = (enum bmc_action)i;
		check_bytes(BMC_OP_SET_POWER, &r, &none, actions[i]);
		assert_int_equal(ipmi_step_once(ipmi_steps(BMC_OP_SET_POWER), &r),
				 i == BMC_ACTION_CYCLE || i == BMC_ACTION_RESET);
	}
	check_bytes(BMC_OP_GET_BOOT, &r, &none, "0009:050000");
	check_bytes(BMC_OP_GET_INFO, &r, &none, "0601: 0637:");
	check_boot(BMC_DEVICE_PXE, false, false, 0, "0008:0308 0008:058004000000");
	check_boot(BMC_DEVICE_DISK, true, false, 0, "0008:0308 0008:05c008000000");
	check_boot(BMC_DEVICE_PXE, false, true, 0, "0008:0308 0008:05a004000000");
	check_boot(BMC_DEVICE_CDROM, false, true, 0, "0008:0308 0008:05a014000000");
	check_boot(BMC_DEVICE_BIOS, false, false, 0, "0008:0308 0008:058018000000");
	check_boot(BMC_DEVICE_NONE, false, false, 0, "0008:0308 0008:058000000000");
	/* The vendor is asked only where it matters, and only once. */
	check_boot(BMC_DEVICE_DISK, true, true, 0, "0601: 0008:0308 0008:05e008000000");
	check_boot(BMC_DEVICE_DISK, true, true, 674, "0008:0308 0008:05e008000000");
	check_boot(BMC_DEVICE_DISK, true, true, 10876, "0008:0308 0008:05e024000000");
	check_boot(BMC_DEVICE_DISK, true, true, 47488, "0008:0308 0008:05e024000000");
	check_boot(BMC_DEVICE_DISK, true, false, 10876, "0008:0308 0008:05c008000000");
}

static void test_completion_codes(void **state)
{
	(void)state;
	assert_int_equal(ipmi_completion_kind(0xc0), ERR_BUSY);
	assert_int_equal(ipmi_completion_kind(0xc3), ERR_BUSY);
	assert_int_equal(ipmi_completion_kind(0xd4), ERR_DENIED);
	assert_int_equal(ipmi_completion_kind(0xcc), ERR_UNSUPPORTED);
	assert_int_equal(ipmi_completion_kind(0x99), ERR_IO);
	for (int code = 1; code < 256; code++)
		assert_false(str_empty(ipmi_completion_text((uint8_t)code)));
}

static void test_privileges(void **state)
{
	(void)state;
	uint8_t level;
	assert_int_equal(ipmi_privilege_parse("administrator", &level), 0);
	assert_int_equal(level, 4);
	assert_int_equal(ipmi_privilege_parse("OPERATOR", &level), 0);
	assert_int_equal(level, 3);
	assert_int_not_equal(ipmi_privilege_parse("root", &level), 0);
	assert_string_equal(ipmi_privilege_name(3), "OPERATOR");
}

/* --- what real programs said ------------------------------------------------------------------ */

static FILE *recording(void)
{
	static const char path[] = "../shared/fixtures/ironic-29-ipa-10.2/ipmi-datagrams.jsonl";
	FILE *f = fopen(path, "re");
	if (!f)
		print_message("skipped: no recording at %s\n", path);
	return f;
}

struct datagram {
	bool sent;
	size_t len;
	uint8_t data[IPMI_PACKET_MAX];
};

/* One line: {"session": ..., "dir": ">", "hex": "..."}. */
static bool read_datagram(FILE *f, const char *session, struct datagram *ret)
{
	char line[2048], wanted[64];
	snprintf(wanted, sizeof(wanted), "{\"session\": \"%s\"", session);
	while (fgets(line, sizeof(line), f)) {
		char *hex = strstr(line, "\"hex\": \""), *end;
		if (!str_has_prefix(line, wanted) || !hex)
			continue;
		hex += strlen("\"hex\": \"");
		end = strchr(hex, '"');
		*end = '\0';
		ret->sent = strstr(line, "\"dir\": \">\"") != NULL;
		ret->len = (size_t)(end - hex) / 2;
		return hex_decode(hex, ret->data, ret->len) == 0;
	}
	return false;
}

enum { RECORDED_ID = 0xa0a2a3a4, TAG_AT = 16, RAKP1_RANDOM_AT = 16 + 8 };

/* The random number of ipmitool's RAKP 1, the third packet that it sent. */
static void recorded_random(FILE *f, uint8_t out[IPMI_RANDOM_SIZE])
{
	struct datagram d = { 0 };
	for (int sent = 0; sent < 3; sent += d.sent)
		assert_true(read_datagram(f, "power status", &d));
	memcpy(out, d.data + RAKP1_RANDOM_AT, IPMI_RANDOM_SIZE);
	rewind(f);
}

/* Our packet in ipmitool's place: RAKP 1 and 3 must be the same to the last byte. */
static void check_sent(struct bench *t, const struct datagram *d)
{
	uint8_t packet[IPMI_PACKET_MAX];
	bool rakp = t->session.state == IPMI_STATE_RAKP1 || t->session.state == IPMI_STATE_RAKP3;
	if (!d->data[4]) /* IPMI 1.5 format: its rqSeq is ours */
		t->session.sequence = 0;
	else
		t->session.tag = d->data[TAG_AT];
	assert_int_equal(ipmi_session_packet(&t->session, packet), d->len);
	if (rakp)
		assert_memory_equal(packet, d->data, d->len);
}

static void replay_set_up(FILE *f, struct bench *t)
{
	struct datagram d = { 0 };
	struct ipmi_header h;
	while (t->session.state != IPMI_STATE_PRIVILEGE) {
		assert_true(read_datagram(f, "power status", &d));
		if (d.sent) {
			check_sent(t, &d);
			continue;
		}
		assert_true(ipmi_peek(d.data, d.len, &h));
		assert_int_equal(ipmi_session_receive(&t->session, d.data, d.len, &h),
				 IPMI_EVENT_SEND);
	}
}

static void test_recorded_session(void **state)
{
	(void)state;
	FILE *f = recording();
	if (!f)
		skip();
	struct bench t = make(SUITE_3);
	struct datagram d = { 0 };
	uint8_t random[IPMI_RANDOM_SIZE];
	recorded_random(f, random);
	t.login.password = "password";
	t.login.console_id = RECORDED_ID;
	t.login.console_random = random;
	begin(&t);
	replay_set_up(f, &t);
	/* With the keys from that exchange the recorded answers open. */
	unsigned decoded = 0, powers = 0;
	while (read_datagram(f, "power status", &d)) {
		struct ipmi_message m;
		if (d.sent)
			continue;
		assert_true(ipmi_decode_message(codec, &t.session.secrets, d.data, d.len, &m));
		decoded++;
		if (m.netfn != 0x01 || m.command != 0x01)
			continue;
		powers++;
		assert_int_equal(m.completion, 0);
		assert_int_equal(m.len, 3);
		assert_int_equal(m.data[0], 0); /* off */
	}
	assert_int_equal(decoded, 7);
	assert_int_equal(powers, 1);
	fclose(f);
}

static int start_library(void **state)
{
	(void)state;
	return ipmi_global_init(NULL) < 0 || ipmi_codec_new(&codec, NULL) < 0;
}

static int stop_library(void **state)
{
	(void)state;
	codec = ipmi_codec_free(codec);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_suite_17),
		cmocka_unit_test(test_suite_3),
		cmocka_unit_test(test_suite_fallback),
		cmocka_unit_test(test_no_common_suite),
		cmocka_unit_test(test_no_downgrade),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_wrong_password),
		cmocka_unit_test(test_odd_credentials),
		cmocka_unit_test(test_privilege_refused),
		cmocka_unit_test(test_known_skips_authcap),
		cmocka_unit_test(test_forged_messages_are_dropped),
		cmocka_unit_test(test_forged_rakp4),
		cmocka_unit_test(test_replay_after_wrap),
		cmocka_unit_test(test_repetition),
		cmocka_unit_test(test_mangled),
		cmocka_unit_test(test_state_table),
		cmocka_unit_test(test_command_bytes),
		cmocka_unit_test(test_completion_codes),
		cmocka_unit_test(test_privileges),
		cmocka_unit_test(test_recorded_session),
	};
	return cmocka_run_group_tests(tests, start_library, stop_library);
}
