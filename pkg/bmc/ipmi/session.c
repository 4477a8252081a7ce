/* The RMCP+ session (IPMI 2.0, 13.14 to 13.26): AUTHCAP, OPEN, RAKP1, RAKP3, PRIVILEGE, then
 * commands one at a time, then CLOSING. One table holds the states, one setter changes them.
 *
 * Answers must fit the state: payload type, tag or rqSeq, our session id, and in a session a fresh
 * sequence number and a right authentication code. All else is dropped, never fatal: the network
 * may repeat, delay or forge. The exceptions are the BMC's own refusals during set-up, which
 * nothing authenticates; a forged one costs a retry. */

#include "bmc/ipmi/session.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/cursor.h"
#include "base/macro.h"
#include "base/mem.h"

enum {
	NETFN_APP = 0x06,
	CMD_AUTHCAP = 0x38,
	CMD_SET_PRIVILEGE = 0x3b,
	CMD_CLOSE = 0x3c,
	CHANNEL_CURRENT = 0x0e,
	AUTHCAP_V20_DATA = 0x80, /* in the request: ask for IPMI 2.0 data; in byte 2: they follow */
	AUTHCAP_RMCPPLUS = 0x02, /* in byte 4: RMCP+ is spoken */
	SEQUENCE_MASK = 0x3f,
	WINDOW_AHEAD = 64, /* the specification has 16; answers to lost requests count, too */
	WINDOW_BEHIND = 16,
	COMPLETION_OK = 0x00,
};

#define BIT(state) (1U << IPMI_STATE_##state)

static const struct ipmi_state_info states[_IPMI_STATE_MAX] = {
	[IPMI_STATE_AUTHCAP] = { "asking for IPMI 2.0", BIT(OPEN) | BIT(FAILED), true, -1 },
	[IPMI_STATE_OPEN] = { "opening a session", BIT(RAKP1) | BIT(FAILED), true,
			      IPMI_PAYLOAD_OPEN_ANSWER },
	[IPMI_STATE_RAKP1] = { "exchanging keys", BIT(RAKP3) | BIT(FAILED), true,
			       IPMI_PAYLOAD_RAKP2 },
	[IPMI_STATE_RAKP3] = { "proving the password", BIT(PRIVILEGE) | BIT(FAILED), true,
			       IPMI_PAYLOAD_RAKP4 },
	[IPMI_STATE_PRIVILEGE] = { "setting the privilege level",
				   BIT(READY) | BIT(CLOSING) | BIT(FAILED), true,
				   IPMI_PAYLOAD_MESSAGE },
	[IPMI_STATE_READY] = { "between commands", BIT(COMMAND) | BIT(CLOSING), false, 0 },
	[IPMI_STATE_COMMAND] = { "waiting for the answer to a command", BIT(READY) | BIT(CLOSING),
				 true, IPMI_PAYLOAD_MESSAGE },
	[IPMI_STATE_CLOSING] = { "closing the session", BIT(CLOSED), true, IPMI_PAYLOAD_MESSAGE },
	[IPMI_STATE_CLOSED] = { "closed", 0, false, 0 },
	[IPMI_STATE_FAILED] = { "failed", BIT(CLOSING), false, 0 },
};

const struct fsm ipmi_session_fsm = FSM_INIT("IPMI session", states);

const struct ipmi_state_info *ipmi_state_info(enum ipmi_state state)
{
	return &states[state];
}

static void set_state(struct ipmi_session *s, enum ipmi_state state)
{
	fsm_check(&ipmi_session_fsm, s->state, state, "");
	s->state = state;
	s->tries = 0;
}

static enum ipmi_event fail(struct ipmi_session *s, enum ipmi_failure failure, uint8_t status)
{
	set_state(s, IPMI_STATE_FAILED);
	s->failure = failure;
	s->status = status;
	return IPMI_EVENT_FAILED;
}

/* --- beginning and end ----------------------------------------------------------------------- */

static void choose_suite(struct ipmi_session *s)
{
	const struct ipmi_suite *suites = ipmi_suites();
	for (unsigned i = 0; suites[i].id; i++) {
		if (!(s->suites >> i & 1))
			continue;
		s->secrets.suite = &suites[i];
		s->suites &= ~(1U << i);
		return;
	}
}

void ipmi_session_init(struct ipmi_session *s, struct ipmi_codec *codec,
		       const struct ipmi_login *login)
{
	struct ipmi_secrets *k = &s->secrets;
	*s = (struct ipmi_session){ .codec = codec, .suites = login->suites };
	s->state = login->known ? IPMI_STATE_OPEN : IPMI_STATE_AUTHCAP;
	k->console_id = login->console_id;
	s->tag = (uint8_t)(login->console_id >>
			   16); /* hard to guess, for refusals without the id */
	k->privilege = login->privilege;
	k->user_len = (uint8_t)strnlen(login->user, IPMI_USER_MAX);
	memcpy(k->user, login->user, k->user_len);
	memcpy(k->password, login->password, strnlen(login->password, IPMI_PASSWORD_MAX));
	memcpy(k->console_random, login->console_random, IPMI_RANDOM_SIZE);
	choose_suite(s);
}

void ipmi_session_done(struct ipmi_session *s)
{
	secret_zero(s, sizeof(*s));
}

static void new_message(struct ipmi_session *s, uint8_t netfn, uint8_t command, const void *data,
			size_t len)
{
	s->sequence = (s->sequence + 1) & SEQUENCE_MASK;
	s->command = (struct ipmi_message){
		.netfn = netfn, .command = command, .sequence = s->sequence, .len = (uint8_t)len
	};
	if (len > 0)
		memcpy(s->command.data, data, len);
}

void ipmi_session_command(struct ipmi_session *s, uint8_t netfn, uint8_t command, const void *data,
			  size_t len)
{
	assert(len <= IPMI_DATA_MAX);
	new_message(s, netfn, command, data, len);
	set_state(s, IPMI_STATE_COMMAND);
}

static void to_privilege(struct ipmi_session *s)
{
	new_message(s, NETFN_APP, CMD_SET_PRIVILEGE, &s->secrets.privilege, 1);
	set_state(s, IPMI_STATE_PRIVILEGE);
}

void ipmi_session_close(struct ipmi_session *s)
{
	uint8_t id[4];
	struct wcursor w;
	wcursor_init(&w, id, sizeof(id));
	wcursor_le32(&w, s->secrets.bmc_id);
	new_message(s, NETFN_APP, CMD_CLOSE, id, sizeof(id));
	s->established = false;
	set_state(s, IPMI_STATE_CLOSING);
}

bool ipmi_session_next_suite(struct ipmi_session *s)
{
	if (s->state != IPMI_STATE_OPEN || !s->suites)
		return false;
	choose_suite(s);
	s->tag++;
	s->tries = 0;
	return true;
}

/* --- sending --------------------------------------------------------------------------------- */

static int authcap_packet(struct ipmi_session *s, uint8_t *out)
{
	struct ipmi_message m = { .netfn = NETFN_APP, .command = CMD_AUTHCAP, .len = 2 };
	m.sequence = s->sequence;
	m.data[0] = AUTHCAP_V20_DATA | CHANNEL_CURRENT;
	m.data[1] = s->secrets.privilege;
	return ipmi_encode_plain(s->codec, &m, out);
}

int ipmi_session_packet(struct ipmi_session *s, uint8_t out[IPMI_PACKET_MAX])
{
	if (s->tries++ > 0 && s->state < IPMI_STATE_READY)
		s->resent = true;
	switch (s->state) {
	case IPMI_STATE_AUTHCAP:
		return authcap_packet(s, out);
	case IPMI_STATE_OPEN:
		return ipmi_encode_open(&s->secrets, s->tag, out);
	case IPMI_STATE_RAKP1:
		return ipmi_encode_rakp1(&s->secrets, s->tag, out);
	case IPMI_STATE_RAKP3:
		return ipmi_encode_rakp3(&s->secrets, s->tag, 0, out);
	case IPMI_STATE_PRIVILEGE:
	case IPMI_STATE_COMMAND:
	case IPMI_STATE_CLOSING:
		return ipmi_encode_message(s->codec, &s->secrets, ++s->sent, &s->command, out);
	case IPMI_STATE_READY:
	case IPMI_STATE_CLOSED:
	case IPMI_STATE_FAILED:
	case _IPMI_STATE_MAX:
		break;
	}
	return -EINVAL;
}

int ipmi_session_refusal(struct ipmi_session *s, uint8_t out[IPMI_PACKET_MAX])
{
	enum { INVALID_INTEGRITY_CHECK = 0x0f };
	return ipmi_encode_rakp3(&s->secrets, (uint8_t)(s->tag + 1), INVALID_INTEGRITY_CHECK, out);
}

/* --- refusals -------------------------------------------------------------------------------- */

/* RMCP+ and RAKP status codes (IPMI 2.0, table 13-15). */
static const struct {
	uint8_t status;
	enum ipmi_failure failure;
} refusals[] = {
	{ 0x01, IPMI_FAILURE_BUSY },	  /* insufficient resources */
	{ 0x02, IPMI_FAILURE_LOST },	  /* invalid session id */
	{ 0x04, IPMI_FAILURE_NO_SUITE },  /* invalid authentication algorithm */
	{ 0x05, IPMI_FAILURE_NO_SUITE },  /* invalid integrity algorithm */
	{ 0x06, IPMI_FAILURE_NO_SUITE },  /* no matching authentication payload */
	{ 0x07, IPMI_FAILURE_NO_SUITE },  /* no matching integrity payload */
	{ 0x08, IPMI_FAILURE_LOST },	  /* inactive session id */
	{ 0x09, IPMI_FAILURE_NO_SUITE },  /* invalid role: what some BMCs say of a suite */
	{ 0x0a, IPMI_FAILURE_PRIVILEGE }, /* unauthorized role or privilege level */
	{ 0x0b, IPMI_FAILURE_BUSY },	  /* insufficient resources at that role */
	{ 0x0c, IPMI_FAILURE_USER },	  /* invalid name length */
	{ 0x0d, IPMI_FAILURE_USER },	  /* unauthorized name */
	{ 0x0f, IPMI_FAILURE_PASSWORD },  /* invalid integrity check value */
	{ 0x10, IPMI_FAILURE_NO_SUITE },  /* invalid confidentiality algorithm */
	{ 0x11, IPMI_FAILURE_NO_SUITE },  /* no cipher suite match */
};

static enum ipmi_event refused(struct ipmi_session *s, uint8_t status)
{
	enum ipmi_failure failure = IPMI_FAILURE_REFUSED;
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++)
		if (refusals[i].status == status)
			failure = refusals[i].failure;
	if (failure == IPMI_FAILURE_NO_SUITE && ipmi_session_next_suite(s))
		return IPMI_EVENT_SEND;
	return fail(s, failure, status);
}

/* --- receiving ------------------------------------------------------------------------------- */

static enum ipmi_event on_authcap(struct ipmi_session *s, const struct ipmi_header *h)
{
	struct ipmi_message m;
	if (!ipmi_decode_plain(h, &m) || m.netfn != NETFN_APP + 1 || m.command != CMD_AUTHCAP ||
	    m.sequence != s->sequence)
		return IPMI_EVENT_DROPPED;
	if (m.completion != COMPLETION_OK || m.len < 4)
		return fail(s, IPMI_FAILURE_NO_RMCPPLUS, m.completion);
	if (!(m.data[1] & AUTHCAP_V20_DATA) || !(m.data[3] & AUTHCAP_RMCPPLUS))
		return fail(s, IPMI_FAILURE_NO_RMCPPLUS, 0);
	s->tag++;
	set_state(s, IPMI_STATE_OPEN);
	return IPMI_EVENT_SEND;
}

/* One algorithm payload: type, two reserved, length 8, algorithm, three reserved. */
static bool algorithm_is(struct cursor *c, uint8_t wanted)
{
	cursor_skip(c, 4);
	bool same = (cursor_u8(c) & 0x3f) == wanted;
	cursor_skip(c, 3);
	return same;
}

static enum ipmi_event on_open(struct ipmi_session *s, struct cursor *c)
{
	const struct ipmi_suite *suite = s->secrets.suite;
	cursor_seek(c, 8);
	uint32_t bmc_id = cursor_le32(c);
	bool same = algorithm_is(c, suite->auth);
	same &= algorithm_is(c, suite->integrity);
	same &= algorithm_is(c, suite->confidentiality);
	if (!cursor_ok(c) || bmc_id == 0)
		return IPMI_EVENT_DROPPED;
	/* A BMC that picks another suite than the one offered may not weaken ours. */
	if (!same)
		return refused(s, 0x11);
	s->secrets.bmc_id = bmc_id;
	s->tag++;
	set_state(s, IPMI_STATE_RAKP1);
	return IPMI_EVENT_SEND;
}

static enum ipmi_event on_rakp2(struct ipmi_session *s, const struct ipmi_header *h)
{
	if (h->payload_len != 40U + s->secrets.suite->digest_size)
		return IPMI_EVENT_DROPPED;
	if (!ipmi_check_rakp2(s->codec, &s->secrets, h))
		return fail(s, IPMI_FAILURE_PASSWORD, 0);
	if (ipmi_derive_keys(&s->secrets) < 0)
		return fail(s, IPMI_FAILURE_REFUSED, 0);
	s->tag++;
	set_state(s, IPMI_STATE_RAKP3);
	return IPMI_EVENT_SEND;
}

static enum ipmi_event on_rakp4(struct ipmi_session *s, const struct ipmi_header *h)
{
	/* The password is proven by RAKP 2; a wrong code here is an accident or a forgery. */
	if (!ipmi_check_rakp4(s->codec, &s->secrets, h))
		return IPMI_EVENT_DROPPED;
	s->established = true;
	to_privilege(s);
	return IPMI_EVENT_SEND;
}

/* OPEN, RAKP 2 and RAKP 4 begin alike: tag, status, two bytes, our session id. */
static enum ipmi_event on_setup(struct ipmi_session *s, const struct ipmi_header *h)
{
	struct cursor c;
	cursor_init(&c, h->payload, h->payload_len);
	uint8_t tag = cursor_u8(&c), status = cursor_u8(&c);
	if (tag != s->tag)
		return IPMI_EVENT_DROPPED;
	if (status != 0)
		return refused(s, status);
	if (!h->console_id)
		return IPMI_EVENT_DROPPED;
	if (s->state == IPMI_STATE_OPEN)
		return on_open(s, &c);
	return s->state == IPMI_STATE_RAKP1 ? on_rakp2(s, h) : on_rakp4(s, h);
}

/* IPMI 2.0, 6.12.13: a window around the highest number seen. */
static bool sequence_is_new(const struct ipmi_session *s, uint32_t n)
{
	uint32_t ahead = n - s->received, behind = s->received - n;
	if (s->received == 0 || (ahead >= 1 && ahead <= WINDOW_AHEAD))
		return true;
	return behind <= WINDOW_BEHIND && !(s->window >> behind & 1);
}

static void sequence_note(struct ipmi_session *s, uint32_t n)
{
	uint32_t ahead = n - s->received;
	if (s->received != 0 && ahead > WINDOW_AHEAD) {
		s->window |= 1U << (s->received - n);
		return;
	}
	bool far = s->received == 0 || ahead >= 32;
	s->window = (far ? 0 : s->window << ahead) | 1;
	s->received = n;
}

static enum ipmi_event on_privilege(struct ipmi_session *s)
{
	/* Which level the BMC echoes is of no use: some echo 0, some the highest. */
	if (s->answer.completion != COMPLETION_OK)
		return fail(s, IPMI_FAILURE_PRIVILEGE, s->answer.completion);
	set_state(s, IPMI_STATE_READY);
	return IPMI_EVENT_READY;
}

static enum ipmi_event on_message(struct ipmi_session *s, const void *packet, size_t len,
				  const struct ipmi_header *h)
{
	struct ipmi_message m;
	if (!sequence_is_new(s, h->sequence))
		return IPMI_EVENT_DROPPED;
	if (!ipmi_decode_message(s->codec, &s->secrets, packet, len, &m)) {
		s->forged = true;
		return IPMI_EVENT_DROPPED;
	}
	sequence_note(s, h->sequence);
	if (m.sequence != s->command.sequence || m.command != s->command.command ||
	    m.netfn != s->command.netfn + 1)
		return IPMI_EVENT_DROPPED;
	s->answer = m;
	if (s->state == IPMI_STATE_PRIVILEGE)
		return on_privilege(s);
	if (s->state == IPMI_STATE_CLOSING) {
		set_state(s, IPMI_STATE_CLOSED);
		return IPMI_EVENT_CLOSED;
	}
	set_state(s, IPMI_STATE_READY);
	return IPMI_EVENT_ANSWERED;
}

enum ipmi_event ipmi_session_receive(struct ipmi_session *s, const void *packet, size_t len,
				     const struct ipmi_header *h)
{
	const struct ipmi_state_info *state = &states[s->state];
	if (!state->waits)
		return IPMI_EVENT_DROPPED;
	if (h->v15)
		return state->payload == -1 ? on_authcap(s, h) : IPMI_EVENT_DROPPED;
	if (h->payload_type != state->payload ||
	    (h->console_id && h->console_id != s->secrets.console_id))
		return IPMI_EVENT_DROPPED;
	return state->payload == IPMI_PAYLOAD_MESSAGE ? on_message(s, packet, len, h)
						      : on_setup(s, h);
}
