#pragma once
/* One RMCP+ session as a state machine without sockets, timers or allocation: it says what to send,
 * eats datagrams and tells what they meant. The engine (ipmi.c) moves the bytes and watches the
 * clock; the fuzzer and the tests play the network. */

#include "base/fsm.h"
#include "bmc/ipmi/packet.h"

enum ipmi_state {
	IPMI_STATE_AUTHCAP,   /* does the BMC speak RMCP+ at all? */
	IPMI_STATE_OPEN,      /* Open Session Request sent */
	IPMI_STATE_RAKP1,     /* RAKP message 1 sent */
	IPMI_STATE_RAKP3,     /* RAKP message 3 sent */
	IPMI_STATE_PRIVILEGE, /* Set Session Privilege Level sent */
	IPMI_STATE_READY,
	IPMI_STATE_COMMAND, /* a command sent */
	IPMI_STATE_CLOSING, /* Close Session sent */
	IPMI_STATE_CLOSED,
	IPMI_STATE_FAILED,
	_IPMI_STATE_MAX,
};

enum ipmi_event {
	IPMI_EVENT_DROPPED,  /* not for this state: nothing changed */
	IPMI_EVENT_SEND,     /* the next state has something to send */
	IPMI_EVENT_READY,    /* commands may be given */
	IPMI_EVENT_ANSWERED, /* to the command: session.answer; READY again */
	IPMI_EVENT_CLOSED,
	IPMI_EVENT_FAILED, /* session.failure, session.status */
};

enum ipmi_failure {
	IPMI_FAILURE_NONE,
	IPMI_FAILURE_NO_RMCPPLUS, /* only IPMI 1.5 */
	IPMI_FAILURE_NO_SUITE,	  /* none of ours */
	IPMI_FAILURE_USER,	  /* unknown or not allowed */
	IPMI_FAILURE_PASSWORD,
	IPMI_FAILURE_PRIVILEGE,
	IPMI_FAILURE_BUSY,    /* no free session */
	IPMI_FAILURE_LOST,    /* the BMC does not know the session any more */
	IPMI_FAILURE_REFUSED, /* any other status */
};

struct ipmi_state_info {
	const char *name; /* for messages: "opening a session" */
	unsigned next;	  /* bit per state that may follow */
	bool waits;	  /* something was sent, an answer is expected */
	int payload;	  /* enum ipmi_payload of the answer; -1: IPMI 1.5 format */
};

struct ipmi_session {
	struct ipmi_codec *codec; /* not owned */
	struct ipmi_secrets secrets;
	enum ipmi_state state;
	enum ipmi_failure failure;
	uint8_t status;	   /* RMCP+ status or completion code behind the failure */
	unsigned suites;   /* bit per row of ipmi_suites() still to be tried */
	uint8_t tag;	   /* of the session set-up payload under way */
	uint8_t sequence;  /* rqSeq of the last message, 6 bits */
	uint32_t sent;	   /* last session sequence number */
	uint32_t received; /* highest session sequence number */
	uint32_t window;   /* bit n: received - n was seen */
	bool forged;	   /* a message failed authentication */
	bool established;  /* the BMC holds a session that wants to be closed */
	bool resent;	   /* a packet of the set-up was sent more than once */
	unsigned tries;	   /* transmissions in this state */
	struct ipmi_message command, answer;
};

/* What a session starts from; all is copied. */
struct ipmi_login {
	const char *user, *password;
	uint8_t privilege;
	unsigned suites;
	uint32_t console_id;	       /* not 0 */
	const uint8_t *console_random; /* IPMI_RANDOM_SIZE bytes */
	bool known;		       /* has spoken RMCP+ before: no AUTHCAP */
};

extern const struct fsm ipmi_session_fsm;
const struct ipmi_state_info *ipmi_state_info(enum ipmi_state state);

void ipmi_session_init(struct ipmi_session *s, struct ipmi_codec *codec,
		       const struct ipmi_login *login);
void ipmi_session_done(struct ipmi_session *s); /* zeroes all */

/* The packet of the present state, afresh: a repeated message keeps its tag or rqSeq but has a new
 * session sequence number. Returns its length or a negative errno. */
int ipmi_session_packet(struct ipmi_session *s, uint8_t out[IPMI_PACKET_MAX]);
/* After a bad RAKP message 2: tells the BMC to free the session. No answer is expected. */
int ipmi_session_refusal(struct ipmi_session *s, uint8_t out[IPMI_PACKET_MAX]);
/* `h` is ipmi_peek()'s view of the packet, which was addressed to this session. */
enum ipmi_event ipmi_session_receive(struct ipmi_session *s, const void *packet, size_t len,
				     const struct ipmi_header *h);

/* READY only. */
void ipmi_session_command(struct ipmi_session *s, uint8_t netfn, uint8_t command, const void *data,
			  size_t len);
/* Established sessions only. */
void ipmi_session_close(struct ipmi_session *s);
/* In OPEN without any answer: some BMCs ignore suites that they do not know. False: no more. */
bool ipmi_session_next_suite(struct ipmi_session *s);
