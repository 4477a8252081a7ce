/* Datagrams into an RMCP+ session in any of its states. The first byte picks the state and the
 * cipher suite; then come datagrams, each after its length. With the "sealed" bit they are messages
 * that are encrypted and signed here, as if the BMC itself had gone mad. */

#include <stdint.h>
#include <stdlib.h>

#include "base/macro.h"
#include "bmc/ipmi/commands.h"
#include "bmc/ipmi/ipmi.h"
#include "bmc/ipmi/session.h"
#include "sim/bmc_ipmi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CONSOLE_ID = 0xa0a2a001, BMC_ID = 0x01020301, SUITE_3 = 0x10, SEALED = 0x20 };

static struct ipmi_codec *codec;

static void start_library(void)
{
	if (codec)
		return;
	if (ipmi_global_init(NULL) < 0 || ipmi_codec_new(&codec, NULL) < 0)
		abort();
}

/* A session that has come as far as the control byte says, with keys of zeros. */
static void force(struct ipmi_session *s, uint8_t control)
{
	static const uint8_t random[IPMI_RANDOM_SIZE] = "0123456789abcdef";
	struct ipmi_login login = { .user = "admin",
				    .password = "secret",
				    .privilege = 4,
				    .suites = control & SUITE_3 ? 2 : 3,
				    .console_id = CONSOLE_ID,
				    .console_random = random };
	ipmi_session_init(s, codec, &login);
	s->state = (enum ipmi_state)((control & 0x0f) % _IPMI_STATE_MAX);
	s->secrets.bmc_id = BMC_ID;
	s->tag = (uint8_t)s->state;
	s->sequence = 1;
	s->command = (struct ipmi_message){ .netfn = 0, .command = 1, .sequence = 1 };
	if (s->state == IPMI_STATE_PRIVILEGE)
		s->command = (struct ipmi_message){ .netfn = 6, .command = 0x3b, .sequence = 1 };
}

static size_t seal(const struct ipmi_session *s, uint32_t *sent, const uint8_t *message, size_t len,
		   uint8_t out[SIM_BMC_PACKET_MAX])
{
	struct sim_bmc r = sim_bmc_make();
	r.session.suite = s->secrets.suite->id;
	r.session.console_id = CONSOLE_ID;
	r.session.sent = *sent;
	len = sim_bmc_seal(&r, message, len, out);
	*sent = r.session.sent;
	return len;
}

/* What the BMC said, as the answer to each command that reads something. */
static void decode_all(const struct ipmi_message *m)
{
	for (enum bmc_op op = 0; op < _BMC_OP_MAX; op++)
		for (const struct ipmi_step *step = ipmi_steps(op); step && step->name; step++) {
			struct ipmi_facts facts = { 0 };
			struct bmc_result result = { 0 };
			struct cursor c;
			cursor_init(&c, m->data, m->len);
			if (step->decode)
				step->decode(&facts, &c, &result);
		}
}

static void feed(struct ipmi_session *s, const uint8_t *packet, size_t len)
{
	struct ipmi_header h;
	uint8_t out[IPMI_PACKET_MAX];
	if (!ipmi_peek(packet, len, &h))
		return;
	enum ipmi_event event = ipmi_session_receive(s, packet, len, &h);
	if (event == IPMI_EVENT_ANSWERED)
		decode_all(&s->answer);
	if (event == IPMI_EVENT_SEND && ipmi_session_packet(s, out) <= 0)
		abort();
	if (s->state == IPMI_STATE_READY)
		ipmi_session_command(s, 0, 1, NULL, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ipmi_session s;
	uint32_t sent = 0;
	start_library();
	if (size < 1)
		return 0;
	uint8_t control = data[0];
	force(&s, control);
	for (size_t at = 1; at < size;) {
		size_t len = MIN((size_t)data[at], size - at - 1);
		const uint8_t *packet = data + at + 1;
		uint8_t sealed[SIM_BMC_PACKET_MAX];
		if (control & SEALED)
			feed(&s, sealed, seal(&s, &sent, packet, MIN(len, (size_t)200), sealed));
		else
			feed(&s, packet, len);
		at += 1 + len;
	}
	ipmi_session_done(&s);
	return 0;
}
