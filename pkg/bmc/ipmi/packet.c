/* RMCP+ packets (IPMI 2.0, chapter 13) on libfreeipmi. The library creates fiid objects on its own
 * inside each assembly, but ours, 9.8 KB each, are made once per codec.
 *
 * libfreeipmi decrypts before it authenticates, and it asserts what a peer may send otherwise (an
 * in-session payload that is not encrypted aborts the process). So a datagram comes near it only
 * after ipmi_peek() has checked the outside, both flags are known to be set, and the authentication
 * code has been found right. Return values are three-way: -1 error, 0 no, 1 yes; all but 1 is a
 * packet to drop. */

#include "bmc/ipmi/packet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <freeipmi/freeipmi.h>

#include "base/cursor.h"
#include "base/mem.h"
#include "bmc/ipmi/ipmi.h"

enum {
	RMCP_VERSION = 0x06,
	RMCP_CLASS_IPMI = 0x07,
	AUTH_NONE = 0x00,
	AUTH_RMCPPLUS = 0x06,
	CONSOLE_ADDRESS = 0x81,
	RMCP_NO_ACK = 0xff,
	RMCP_SIZE = 4,
	PAYLOAD_OPEN = 0x10,
	PAYLOAD_RAKP1 = 0x12,
	PAYLOAD_RAKP3 = 0x14,
	ALGORITHM_SIZE = 8,
	RAKP_HEAD_SIZE = 8, /* tag, status, two reserved, console's session id */
};

/* Netfn-independent: a command is its number and bytes. */
static fiid_template_t raw_request = {
	{ 8, "cmd", FIID_FIELD_REQUIRED | FIID_FIELD_LENGTH_FIXED },
	{ 8 * IPMI_DATA_MAX, "data", FIID_FIELD_OPTIONAL | FIID_FIELD_LENGTH_VARIABLE },
	{ 0, "", 0 },
};

static fiid_template_t raw_answer = {
	{ 8, "cmd",
	  FIID_FIELD_REQUIRED | FIID_FIELD_LENGTH_FIXED | FIID_FIELD_MAKES_PACKET_SUFFICIENT },
	{ 8, "comp_code",
	  FIID_FIELD_REQUIRED | FIID_FIELD_LENGTH_FIXED | FIID_FIELD_MAKES_PACKET_SUFFICIENT },
	{ 8 * IPMI_DATA_MAX, "data", FIID_FIELD_OPTIONAL | FIID_FIELD_LENGTH_VARIABLE },
	{ 0, "", 0 },
};

enum object {
	OBJECT_RMCP,
	OBJECT_LAN_SESSION,
	OBJECT_SESSION,
	OBJECT_TRAILER,
	OBJECT_PAYLOAD,
	OBJECT_MESSAGE_REQUEST,
	OBJECT_MESSAGE_ANSWER,
	OBJECT_MESSAGE_TRAILER,
	OBJECT_RAKP2,
	OBJECT_RAKP4,
	OBJECT_REQUEST,
	OBJECT_ANSWER,
	_OBJECT_MAX,
};

struct ipmi_codec {
	fiid_obj_t objects[_OBJECT_MAX];
};

static fiid_field_t *template_of(enum object which)
{
	fiid_field_t *const templates[_OBJECT_MAX] = {
		[OBJECT_RMCP] = tmpl_rmcp_hdr,
		[OBJECT_LAN_SESSION] = tmpl_lan_session_hdr,
		[OBJECT_SESSION] = tmpl_rmcpplus_session_hdr,
		[OBJECT_TRAILER] = tmpl_rmcpplus_session_trlr,
		[OBJECT_PAYLOAD] = tmpl_rmcpplus_payload,
		[OBJECT_MESSAGE_REQUEST] = tmpl_lan_msg_hdr_rq,
		[OBJECT_MESSAGE_ANSWER] = tmpl_lan_msg_hdr_rs,
		[OBJECT_MESSAGE_TRAILER] = tmpl_lan_msg_trlr,
		[OBJECT_RAKP2] = tmpl_rmcpplus_rakp_message_2,
		[OBJECT_RAKP4] = tmpl_rmcpplus_rakp_message_4,
		[OBJECT_REQUEST] = raw_request,
		[OBJECT_ANSWER] = raw_answer,
	};
	return templates[which];
}

const struct ipmi_suite *ipmi_suites(void)
{
	static const struct ipmi_suite suites[] = {
		{ 17, IPMI_AUTHENTICATION_ALGORITHM_RAKP_HMAC_SHA256,
		  IPMI_INTEGRITY_ALGORITHM_HMAC_SHA256_128,
		  IPMI_CONFIDENTIALITY_ALGORITHM_AES_CBC_128, IPMI_HMAC_SHA256_DIGEST_LENGTH,
		  IPMI_HMAC_SHA256_128_AUTHENTICATION_CODE_LENGTH },
		{ 3, IPMI_AUTHENTICATION_ALGORITHM_RAKP_HMAC_SHA1,
		  IPMI_INTEGRITY_ALGORITHM_HMAC_SHA1_96, IPMI_CONFIDENTIALITY_ALGORITHM_AES_CBC_128,
		  IPMI_HMAC_SHA1_DIGEST_LENGTH, IPMI_HMAC_SHA1_96_AUTHENTICATION_CODE_LENGTH },
		{ 0 },
	};
	return suites;
}

int ipmi_global_init(struct err *err)
{
	if (ipmi_rmcpplus_init() < 0)
		return err_set_errno(err, errno ? errno : EINVAL, "cannot initialise libfreeipmi");
	return 0;
}

int ipmi_codec_new(struct ipmi_codec **ret, struct err *err)
{
	struct ipmi_codec *codec = xcalloc(1, sizeof(*codec));
	for (enum object o = 0; o < _OBJECT_MAX; o++) {
		codec->objects[o] = fiid_obj_create(template_of(o));
		if (!codec->objects[o]) {
			ipmi_codec_free(codec);
			return err_set_errno(err, ENOMEM, "cannot create libfreeipmi's objects");
		}
	}
	*ret = codec;
	return 0;
}

struct ipmi_codec *ipmi_codec_free(struct ipmi_codec *codec)
{
	if (!codec)
		return NULL;
	for (enum object o = 0; o < _OBJECT_MAX; o++)
		fiid_obj_destroy(codec->objects[o]);
	free(codec);
	return NULL;
}

/* Secrets of the last session are in the RAKP objects until then. */
static fiid_obj_t fresh(struct ipmi_codec *codec, enum object which)
{
	fiid_obj_clear(codec->objects[which]);
	return codec->objects[which];
}

/* --- outside --------------------------------------------------------------------------------- */

static bool peek_v15(struct cursor *c, struct ipmi_header *h)
{
	h->v15 = true;
	h->sequence = cursor_le32(c);
	h->session_id = cursor_le32(c);
	h->payload_len = cursor_u8(c);
	h->payload = cursor_bytes(c, h->payload_len);
	/* Some BMCs add a legacy pad byte (IPMI 2.0, table 13-8): more is allowed. */
	return cursor_ok(c) && h->session_id == 0;
}

/* Tag, status, two bytes, our session id. ipmi_sim cuts a refusal off behind the status. */
static bool peek_set_up(struct ipmi_header *h)
{
	struct cursor c;
	cursor_init(&c, h->payload, h->payload_len);
	cursor_skip(&c, 1);
	uint8_t status = cursor_u8(&c);
	if (h->payload_len < RAKP_HEAD_SIZE)
		return status != 0;
	cursor_skip(&c, 2);
	h->console_id = cursor_le32(&c);
	return h->console_id != 0;
}

static bool peek_rmcpplus(struct cursor *c, struct ipmi_header *h)
{
	uint8_t type = cursor_u8(c);
	h->encrypted = type >> 7 & 1;
	h->authenticated = type >> 6 & 1;
	h->payload_type = type & 0x3f;
	h->session_id = cursor_le32(c);
	h->sequence = cursor_le32(c);
	h->payload_len = cursor_le16(c);
	h->payload = cursor_bytes(c, h->payload_len);
	if (!cursor_ok(c) || h->payload_len == 0)
		return false;
	switch ((enum ipmi_payload)h->payload_type) {
	case IPMI_PAYLOAD_MESSAGE:
		h->console_id = h->session_id;
		return h->session_id != 0 && h->encrypted && h->authenticated && h->sequence != 0;
	case IPMI_PAYLOAD_OPEN_ANSWER:
	case IPMI_PAYLOAD_RAKP2:
	case IPMI_PAYLOAD_RAKP4:
		return !h->encrypted && !h->authenticated && h->session_id == 0 && peek_set_up(h);
	}
	return false;
}

bool ipmi_peek(const void *packet, size_t len, struct ipmi_header *ret)
{
	struct cursor c;
	struct ipmi_header h = { 0 };
	if (len > IPMI_PACKET_MAX)
		return false;
	cursor_init(&c, packet, len);
	bool rmcp = cursor_u8(&c) == RMCP_VERSION;
	cursor_skip(&c, 2); /* reserved; RMCP sequence number: IPMI sets no meaning */
	rmcp &= cursor_u8(&c) == RMCP_CLASS_IPMI;
	uint8_t format = cursor_u8(&c);
	if (!cursor_ok(&c) || !rmcp)
		return false;
	bool good = format == AUTH_RMCPPLUS ? peek_rmcpplus(&c, &h)
		    : format == AUTH_NONE   ? peek_v15(&c, &h)
					    : false;
	if (good)
		*ret = h;
	return good;
}

/* --- sending --------------------------------------------------------------------------------- */

static int fill_message(struct ipmi_codec *codec, const struct ipmi_message *m)
{
	fiid_obj_t header = fresh(codec, OBJECT_MESSAGE_REQUEST);
	fiid_obj_t request = fresh(codec, OBJECT_REQUEST);
	if (fill_lan_msg_hdr(IPMI_SLAVE_ADDRESS_BMC, m->netfn, IPMI_BMC_IPMB_LUN_BMC, m->sequence,
			     header) < 0 ||
	    fiid_obj_set(request, "cmd", m->command) < 0)
		return -EINVAL;
	if (m->len > 0 && fiid_obj_set_data(request, "data", m->data, m->len) < 0)
		return -EINVAL;
	return fill_rmcp_hdr_ipmi(fresh(codec, OBJECT_RMCP)) < 0 ? -EINVAL : 0;
}

int ipmi_encode_plain(struct ipmi_codec *codec, const struct ipmi_message *m, uint8_t *out)
{
	fiid_obj_t session = fresh(codec, OBJECT_LAN_SESSION);
	if (fill_message(codec, m) < 0 ||
	    fill_lan_session_hdr(IPMI_AUTHENTICATION_TYPE_NONE, 0, 0, session) < 0)
		return -EINVAL;
	int n = assemble_ipmi_lan_pkt(codec->objects[OBJECT_RMCP], session,
				      codec->objects[OBJECT_MESSAGE_REQUEST],
				      codec->objects[OBJECT_REQUEST], NULL, 0, out, IPMI_PACKET_MAX,
				      IPMI_INTERFACE_FLAGS_DEFAULT);
	return n > 0 ? n : -EINVAL;
}

/* Session set-up payloads have fixed layouts (IPMI 2.0, 13.17 to 13.22), are neither authenticated
 * nor encrypted and belong to no session. Written here: the library's assembly of one costs as much
 * as all the cryptography of a session. */
static void begin_set_up(struct wcursor *w, uint8_t *out, uint8_t type, size_t len, uint8_t tag)
{
	wcursor_init(w, out, IPMI_PACKET_MAX);
	wcursor_u8(w, RMCP_VERSION);
	wcursor_u8(w, 0);
	wcursor_u8(w, RMCP_NO_ACK);
	wcursor_u8(w, RMCP_CLASS_IPMI);
	wcursor_u8(w, AUTH_RMCPPLUS);
	wcursor_u8(w, type);
	wcursor_fill(w, 0, 8); /* session id and sequence number */
	wcursor_le16(w, (uint16_t)len);
	wcursor_u8(w, tag);
}

static void put_algorithm(struct wcursor *w, uint8_t type, uint8_t algorithm)
{
	wcursor_u8(w, type);
	wcursor_fill(w, 0, 2);
	wcursor_u8(w, ALGORITHM_SIZE);
	wcursor_u8(w, algorithm);
	wcursor_fill(w, 0, 3);
}

static int end_set_up(const struct wcursor *w)
{
	return w->failed ? -ENOSPC : (int)w->pos;
}

int ipmi_encode_open(const struct ipmi_secrets *s, uint8_t tag, uint8_t *out)
{
	struct wcursor w;
	begin_set_up(&w, out, PAYLOAD_OPEN, 8 + 3 * ALGORITHM_SIZE, tag);
	wcursor_u8(&w, s->privilege); /* not 0, "the highest": some BMCs echo it as a refusal */
	wcursor_fill(&w, 0, 2);
	wcursor_le32(&w, s->console_id);
	put_algorithm(&w, 0, s->suite->auth);
	put_algorithm(&w, 1, s->suite->integrity);
	put_algorithm(&w, 2, s->suite->confidentiality);
	return end_set_up(&w);
}

int ipmi_encode_rakp1(const struct ipmi_secrets *s, uint8_t tag, uint8_t *out)
{
	struct wcursor w;
	begin_set_up(&w, out, PAYLOAD_RAKP1, 28 + (size_t)s->user_len, tag);
	wcursor_fill(&w, 0, 3);
	wcursor_le32(&w, s->bmc_id);
	wcursor_bytes(&w, s->console_random, IPMI_RANDOM_SIZE);
	wcursor_u8(&w, (uint8_t)(IPMI_NAME_ONLY_LOOKUP << 4 | s->privilege));
	wcursor_fill(&w, 0, 2);
	wcursor_u8(&w, s->user_len);
	wcursor_bytes(&w, s->user, s->user_len);
	return end_set_up(&w);
}

int ipmi_encode_rakp3(const struct ipmi_secrets *s, uint8_t tag, uint8_t status, uint8_t *out)
{
	uint8_t code[IPMI_KEY_MAX];
	int n = 0;
	if (status == RMCPPLUS_STATUS_NO_ERRORS) {
		n = ipmi_calculate_rakp_3_key_exchange_authentication_code(
			s->suite->auth, s->password, IPMI_PASSWORD_MAX, s->bmc_random,
			IPMI_RANDOM_SIZE, s->console_id, IPMI_NAME_ONLY_LOOKUP, s->privilege,
			s->user_len ? s->user : NULL, s->user_len, code, sizeof(code));
		if (n <= 0)
			return -EINVAL;
	}
	struct wcursor w;
	begin_set_up(&w, out, PAYLOAD_RAKP3, 8 + (size_t)n, tag);
	wcursor_u8(&w, status);
	wcursor_fill(&w, 0, 2);
	wcursor_le32(&w, s->bmc_id);
	wcursor_bytes(&w, code, (size_t)n);
	return end_set_up(&w);
}

int ipmi_encode_message(struct ipmi_codec *codec, const struct ipmi_secrets *s, uint32_t sequence,
			const struct ipmi_message *m, uint8_t *out)
{
	fiid_obj_t session = fresh(codec, OBJECT_SESSION), trailer = fresh(codec, OBJECT_TRAILER);
	if (fill_message(codec, m) < 0 ||
	    fill_rmcpplus_session_hdr(IPMI_PAYLOAD_TYPE_IPMI, IPMI_PAYLOAD_FLAG_AUTHENTICATED,
				      IPMI_PAYLOAD_FLAG_ENCRYPTED, 0, 0, s->bmc_id, sequence,
				      session) < 0 ||
	    fill_rmcpplus_session_trlr(trailer) < 0)
		return -EINVAL;
	int n = assemble_ipmi_rmcpplus_pkt(
		s->suite->auth, s->suite->integrity, s->suite->confidentiality, s->k1,
		s->suite->digest_size, s->k2, s->suite->digest_size, NULL, 0,
		codec->objects[OBJECT_RMCP], session, codec->objects[OBJECT_MESSAGE_REQUEST],
		codec->objects[OBJECT_REQUEST], trailer, out, IPMI_PACKET_MAX,
		IPMI_INTERFACE_FLAGS_DEFAULT);
	return n > 0 ? n : -EINVAL;
}

/* --- the RAKP exchange ----------------------------------------------------------------------- */

bool ipmi_check_rakp2(struct ipmi_codec *codec, struct ipmi_secrets *s, const struct ipmi_header *h)
{
	struct cursor c;
	cursor_init(&c, h->payload, h->payload_len);
	cursor_skip(&c, RAKP_HEAD_SIZE);
	const uint8_t *random = cursor_bytes(&c, IPMI_RANDOM_SIZE);
	const uint8_t *guid = cursor_bytes(&c, IPMI_GUID_SIZE);
	if (!cursor_ok(&c) || cursor_left(&c) != s->suite->digest_size)
		return false;
	memcpy(s->bmc_random, random, IPMI_RANDOM_SIZE);
	memcpy(s->guid, guid, IPMI_GUID_SIZE);
	fiid_obj_t rakp2 = fresh(codec, OBJECT_RAKP2);
	if (fiid_obj_set_all(rakp2, h->payload, (unsigned)h->payload_len) < 0)
		return false;
	return ipmi_rmcpplus_check_rakp_2_key_exchange_authentication_code(
		       s->suite->auth, s->password, IPMI_PASSWORD_MAX, s->console_id, s->bmc_id,
		       s->console_random, IPMI_RANDOM_SIZE, s->bmc_random, IPMI_RANDOM_SIZE,
		       s->guid, IPMI_GUID_SIZE, IPMI_NAME_ONLY_LOOKUP, s->privilege,
		       s->user_len ? s->user : NULL, s->user_len, rakp2) == 1;
}

int ipmi_derive_keys(struct ipmi_secrets *s)
{
	uint8_t auth = s->suite->auth;
	unsigned size = s->suite->digest_size;
	/* Without K_g, the password takes its place (IPMI 2.0, 13.31). */
	if (ipmi_calculate_sik(auth, s->password, IPMI_PASSWORD_MAX, s->console_random,
			       IPMI_RANDOM_SIZE, s->bmc_random, IPMI_RANDOM_SIZE,
			       IPMI_NAME_ONLY_LOOKUP, s->privilege, s->user_len ? s->user : NULL,
			       s->user_len, s->sik, sizeof(s->sik)) != (int)size ||
	    ipmi_calculate_k1(auth, s->sik, size, s->k1, sizeof(s->k1)) != (int)size ||
	    ipmi_calculate_k2(auth, s->sik, size, s->k2, sizeof(s->k2)) != (int)size)
		return -EINVAL;
	return 0;
}

bool ipmi_check_rakp4(struct ipmi_codec *codec, const struct ipmi_secrets *s,
		      const struct ipmi_header *h)
{
	fiid_obj_t rakp4 = fresh(codec, OBJECT_RAKP4);
	if (h->payload_len != (size_t)RAKP_HEAD_SIZE + s->suite->code_size ||
	    fiid_obj_set_all(rakp4, h->payload, (unsigned)h->payload_len) < 0)
		return false;
	return ipmi_rmcpplus_check_rakp_4_integrity_check_value(
		       s->suite->auth, s->sik, s->suite->digest_size, s->console_random,
		       IPMI_RANDOM_SIZE, s->bmc_id, s->guid, IPMI_GUID_SIZE, rakp4) == 1;
}

/* --- messages -------------------------------------------------------------------------------- */

/* rqAddr, netFn/LUN, checksum; rsAddr, rqSeq/LUN, cmd, completion code, data; checksum. */
static bool parse_message(struct cursor *c, struct ipmi_message *ret)
{
	struct ipmi_message m = { 0 };
	bool good = cursor_u8(c) == CONSOLE_ADDRESS;
	m.netfn = cursor_u8(c) >> 2;
	cursor_skip(c, 2);
	m.sequence = cursor_u8(c) >> 2;
	m.command = cursor_u8(c);
	m.completion = cursor_u8(c);
	size_t left = cursor_left(c);
	if (!good || !cursor_ok(c) || left < 1 || left - 1 > IPMI_DATA_MAX)
		return false;
	m.len = (uint8_t)(left - 1);
	cursor_copy(c, m.data, m.len);
	*ret = m;
	return true;
}

bool ipmi_decode_plain(const struct ipmi_header *h, struct ipmi_message *ret)
{
	struct cursor c;
	cursor_init(&c, h->payload, h->payload_len);
	return h->v15 && parse_message(&c, ret);
}

static bool authentic(struct ipmi_codec *codec, const struct ipmi_secrets *s, const uint8_t *packet,
		      size_t len)
{
	size_t code = s->suite->code_size;
	fiid_obj_t trailer = fresh(codec, OBJECT_TRAILER);
	if (len < RMCP_SIZE + code || fiid_obj_set_data(trailer, "authentication_code",
							packet + len - code, (unsigned)code) < 0)
		return false;
	return ipmi_rmcpplus_check_packet_session_authentication_code(
		       s->suite->integrity, packet, (unsigned)len, s->k1, s->suite->digest_size,
		       NULL, 0, trailer) == 1;
}

/* What fiid parsed, as bytes again: the fields' names are the library's business. */
static bool collect(struct ipmi_codec *codec, struct ipmi_message *ret)
{
	uint8_t buf[IPMI_PACKET_MAX];
	int head = fiid_obj_get_all(codec->objects[OBJECT_MESSAGE_ANSWER], buf, sizeof(buf) - 1);
	if (head < 0)
		return false;
	int body = fiid_obj_get_all(codec->objects[OBJECT_ANSWER], buf + head,
				    (unsigned)(sizeof(buf) - 1 - (size_t)head));
	if (body < 0)
		return false;
	buf[head + body] = 0; /* in place of the checksum */
	struct cursor c;
	cursor_init(&c, buf, (size_t)head + (size_t)body + 1);
	return parse_message(&c, ret);
}

bool ipmi_decode_message(struct ipmi_codec *codec, const struct ipmi_secrets *s, const void *packet,
			 size_t len, struct ipmi_message *ret)
{
	if (!authentic(codec, s, packet, len))
		return false;
	int r = unassemble_ipmi_rmcpplus_pkt(
		s->suite->auth, s->suite->integrity, s->suite->confidentiality, s->k1,
		s->suite->digest_size, s->k2, s->suite->digest_size, packet, (unsigned)len,
		fresh(codec, OBJECT_RMCP), fresh(codec, OBJECT_SESSION),
		fresh(codec, OBJECT_PAYLOAD), fresh(codec, OBJECT_MESSAGE_ANSWER),
		fresh(codec, OBJECT_ANSWER), fresh(codec, OBJECT_MESSAGE_TRAILER),
		fresh(codec, OBJECT_TRAILER), IPMI_INTERFACE_FLAGS_DEFAULT);
	if (r != 1)
		return false;
	if (ipmi_rmcpplus_check_payload_pad(s->suite->confidentiality,
					    codec->objects[OBJECT_PAYLOAD]) != 1)
		return false;
	return collect(codec, ret);
}
