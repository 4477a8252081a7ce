#pragma once
/* RMCP+ packets on libfreeipmi's packet layer: the only place that knows fiid objects and the
 * library's three-way results. One codec per thread; its objects are cleared before each use. Pure,
 * but for the initialisation vectors, which libgcrypt draws. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct ipmi_codec;

enum {
	IPMI_USER_MAX = 16,
	IPMI_PASSWORD_MAX = 20,
	IPMI_RANDOM_SIZE = 16,
	IPMI_GUID_SIZE = 16,
	IPMI_KEY_MAX = 32,
	IPMI_DATA_MAX = 128,   /* of a command or its answer */
	IPMI_PACKET_MAX = 320, /* that we send or look at */
};

enum ipmi_payload {
	IPMI_PAYLOAD_MESSAGE = 0x00,
	IPMI_PAYLOAD_OPEN_ANSWER = 0x11,
	IPMI_PAYLOAD_RAKP2 = 0x13,
	IPMI_PAYLOAD_RAKP4 = 0x15,
};

/* A cipher suite (IPMI 2.0, table 22-20). */
struct ipmi_suite {
	uint8_t id;
	uint8_t auth, integrity, confidentiality; /* algorithm numbers */
	uint8_t digest_size;			  /* of the RAKP codes and keys */
	uint8_t code_size;			  /* of a packet's authentication code */
};

/* What both ends know of each other once the RAKP exchange has begun. */
struct ipmi_secrets {
	const struct ipmi_suite *suite;
	uint32_t console_id, bmc_id;
	uint8_t privilege; /* as asked for */
	uint8_t user_len;
	char user[IPMI_USER_MAX];
	uint8_t password[IPMI_PASSWORD_MAX]; /* padded with zeros */
	uint8_t console_random[IPMI_RANDOM_SIZE];
	uint8_t bmc_random[IPMI_RANDOM_SIZE];
	uint8_t guid[IPMI_GUID_SIZE];
	uint8_t sik[IPMI_KEY_MAX], k1[IPMI_KEY_MAX], k2[IPMI_KEY_MAX];
};

/* The outside of a datagram. */
struct ipmi_header {
	bool v15; /* IPMI 1.5 format, session id 0: Get Channel Authentication Capabilities */
	bool authenticated, encrypted;
	uint8_t payload_type;
	uint32_t session_id, sequence;
	const uint8_t *payload;
	size_t payload_len;
	uint32_t console_id; /* to whom it is addressed; 0: IPMI 1.5 format, or a cut refusal */
};

struct ipmi_message {
	uint8_t netfn, command, sequence;
	uint8_t completion; /* answers only */
	uint8_t len;
	uint8_t data[IPMI_DATA_MAX];
};

/* Suite 17, then suite 3, then an end with id 0: there is no suite that is weaker. */
const struct ipmi_suite *ipmi_suites(void);

int ipmi_codec_new(struct ipmi_codec **ret, struct err *err);
struct ipmi_codec *ipmi_codec_free(struct ipmi_codec *codec);

/* False: not an IPMI datagram of a kind that a BMC sends us. */
bool ipmi_peek(const void *packet, size_t len, struct ipmi_header *ret);

/* All write to `out` (IPMI_PACKET_MAX bytes) and return the length, or a negative errno. */
int ipmi_encode_plain(struct ipmi_codec *codec, const struct ipmi_message *m, uint8_t *out);
int ipmi_encode_open(const struct ipmi_secrets *s, uint8_t tag, uint8_t *out);
int ipmi_encode_rakp1(const struct ipmi_secrets *s, uint8_t tag, uint8_t *out);
/* status other than 0 tells the BMC to forget the session. */
int ipmi_encode_rakp3(const struct ipmi_secrets *s, uint8_t tag, uint8_t status, uint8_t *out);
int ipmi_encode_message(struct ipmi_codec *codec, const struct ipmi_secrets *s, uint32_t sequence,
			const struct ipmi_message *m, uint8_t *out);

/* True when the payload is in order and its code proves the password. Fills bmc_random and guid. */
bool ipmi_check_rakp2(struct ipmi_codec *codec, struct ipmi_secrets *s,
		      const struct ipmi_header *h);
/* Derives sik, k1 and k2. */
int ipmi_derive_keys(struct ipmi_secrets *s);
bool ipmi_check_rakp4(struct ipmi_codec *codec, const struct ipmi_secrets *s,
		      const struct ipmi_header *h);

/* An unauthenticated answer in IPMI 1.5 format. */
bool ipmi_decode_plain(const struct ipmi_header *h, struct ipmi_message *ret);
/* True when the authentication code is right and the message makes sense. */
bool ipmi_decode_message(struct ipmi_codec *codec, const struct ipmi_secrets *s, const void *packet,
			 size_t len, struct ipmi_message *ret);
