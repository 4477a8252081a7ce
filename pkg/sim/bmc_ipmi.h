#pragma once
/* A BMC that speaks RMCP+ with cipher suites 17 and 3, and misbehaves on request: bytes in, bytes
 * out. What brings them is the caller's. All fields may be read and written between two packets. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SIM_BMC_PACKET_MAX = 400 };

struct sim_bmc_session {
	uint32_t console_id, bmc_id, sent;
	int suite; /* 0: none */
	uint8_t role, user_len;
	char user[17];
	uint8_t rm[16], rc[16];
	uint8_t sik[32], k1[32], k2[32];
	bool open;
};

struct sim_bmc {
	const char *user, *password;
	bool suites[18]; /* accepted */
	struct sim_bmc_session session;
	/* the host */
	bool power;
	unsigned actions[8]; /* Chassis Control commands received, by code */
	uint8_t boot[3];     /* parameter 5, first bytes; parameter 3 in [2] */
	uint32_t manufacturer;
	/* misbehaviour */
	unsigned ignore;	 /* that many requests are not answered */
	unsigned ignore_payload; /* with ignore: only this payload type; 0xff: all */
	unsigned busy;		 /* that many commands end with 0xc0 */
	unsigned full;		 /* that many Open Sessions end with status 1 */
	uint8_t open_status;	 /* of Open Session, when not 0 */
	uint8_t rakp2_status, rakp4_status, privilege_code, command_code;
	bool no_rmcpplus;
	bool cut_refusal;	/* of a suite, without our session id */
	bool weak_choice;	/* accepts, but answers with suite 0's algorithms */
	bool corrupt;		/* flips a bit of each message's authentication code */
	bool bad_rakp4;		/* likewise in RAKP 4 */
	unsigned bad_rakp2;	/* in that many of RAKP 2 */
	unsigned deaf_after;	/* so many refused RAKP 2, all is ignored; 0: never */
	unsigned lose_sessions; /* that many RAKP 1 meet an unknown session */
	/* In the answer to Open Session, the highest it grants; else 0 as ipmi_sim, which
	 * libfreeipmi takes for a refusal. */
	bool tells_privilege;
	bool replay;	  /* answers each message with the first one's bytes */
	unsigned deaf_to; /* command of netfn 0 that is carried out and not answered; 0: none */
	/* counters */
	unsigned requests, opens, closes, refusals, sessions_at_once, privilege_asked;
	uint8_t last_open[8]; /* tag, privilege, console's session id */
	uint8_t first[SIM_BMC_PACKET_MAX];
	size_t first_len;
};

/* "admin", "secret", both suites, switched off. */
struct sim_bmc sim_bmc_make(void);
/* The answer to one datagram; 0: none. `out` has SIM_BMC_PACKET_MAX bytes. */
size_t sim_bmc_answer(struct sim_bmc *r, const uint8_t *p, size_t len, uint8_t *out);
/* Wraps a message for the session that is open: encryption, trailer, authentication code. */
size_t sim_bmc_seal(struct sim_bmc *r, const uint8_t *message, size_t len, uint8_t *out);
