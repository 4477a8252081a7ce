/* The other end of RMCP+: a small BMC in memory, written from the specification (IPMI 2.0, 13.20 to
 * 13.32) on libgcrypt alone, so that it can disagree with the driver and with libfreeipmi. Pure
 * functions but for random bytes, which are libgcrypt's. any thread */

#include "sim/bmc_ipmi.h"

#include <gcrypt.h>
#include <stdio.h>
#include <string.h>

#include "base/cursor.h"

static const uint8_t responder_guid[16] = { 0xa1, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
					    0xa1, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef };

static int responder_md(int suite)
{
	return suite == 17 ? GCRY_MD_SHA256 : GCRY_MD_SHA1;
}

static size_t responder_digest(int suite)
{
	return suite == 17 ? 32 : 20;
}

static size_t responder_code(int suite)
{
	return suite == 17 ? 16 : 12;
}

static void responder_hmac(int suite, const void *key, size_t key_len, const void *data, size_t len,
			   uint8_t out[32])
{
	gcry_md_hd_t md;
	gcry_md_open(&md, responder_md(suite), GCRY_MD_FLAG_HMAC);
	gcry_md_setkey(md, key, key_len);
	gcry_md_write(md, data, len);
	memcpy(out, gcry_md_read(md, responder_md(suite)), responder_digest(suite));
	gcry_md_close(md);
}

/* What the HMACs are over: pieces one after another. */
struct responder_text {
	uint8_t data[128];
	struct wcursor w;
};

static void responder_user(struct responder_text *t, const struct sim_bmc_session *s)
{
	wcursor_u8(&t->w, s->role);
	wcursor_u8(&t->w, s->user_len);
	wcursor_bytes(&t->w, s->user, s->user_len);
}

static void responder_key(const struct sim_bmc *r, uint8_t key[20])
{
	memset(key, 0, 20);
	memcpy(key, r->password, strlen(r->password));
}

static size_t responder_rakp2_code(const struct sim_bmc *r, uint8_t out[32])
{
	const struct sim_bmc_session *s = &r->session;
	struct responder_text t;
	uint8_t key[20];
	wcursor_init(&t.w, t.data, sizeof(t.data));
	wcursor_le32(&t.w, s->console_id);
	wcursor_le32(&t.w, s->bmc_id);
	wcursor_bytes(&t.w, s->rm, 16);
	wcursor_bytes(&t.w, s->rc, 16);
	wcursor_bytes(&t.w, responder_guid, 16);
	responder_user(&t, s);
	responder_key(r, key);
	responder_hmac(s->suite, key, 20, t.data, t.w.pos, out);
	return responder_digest(s->suite);
}

static bool responder_rakp3_good(const struct sim_bmc *r, const uint8_t *code, size_t len)
{
	const struct sim_bmc_session *s = &r->session;
	struct responder_text t;
	uint8_t key[20], want[32];
	wcursor_init(&t.w, t.data, sizeof(t.data));
	wcursor_bytes(&t.w, s->rc, 16);
	wcursor_le32(&t.w, s->console_id);
	responder_user(&t, s);
	responder_key(r, key);
	responder_hmac(s->suite, key, 20, t.data, t.w.pos, want);
	return len == responder_digest(s->suite) && memcmp(want, code, len) == 0;
}

static void responder_derive(struct sim_bmc *r)
{
	struct sim_bmc_session *s = &r->session;
	struct responder_text t;
	uint8_t key[20], constant[20];
	wcursor_init(&t.w, t.data, sizeof(t.data));
	wcursor_bytes(&t.w, s->rm, 16);
	wcursor_bytes(&t.w, s->rc, 16);
	responder_user(&t, s);
	responder_key(r, key);
	responder_hmac(s->suite, key, 20, t.data, t.w.pos, s->sik);
	memset(constant, 1, sizeof(constant));
	responder_hmac(s->suite, s->sik, responder_digest(s->suite), constant, 20, s->k1);
	memset(constant, 2, sizeof(constant));
	responder_hmac(s->suite, s->sik, responder_digest(s->suite), constant, 20, s->k2);
}

static void responder_rakp4_code(const struct sim_bmc *r, uint8_t out[32])
{
	const struct sim_bmc_session *s = &r->session;
	struct responder_text t;
	wcursor_init(&t.w, t.data, sizeof(t.data));
	wcursor_bytes(&t.w, s->rm, 16);
	wcursor_le32(&t.w, s->bmc_id);
	wcursor_bytes(&t.w, responder_guid, 16);
	responder_hmac(s->suite, s->sik, responder_digest(s->suite), t.data, t.w.pos, out);
}

static void responder_outside(struct wcursor *w, uint8_t payload, uint32_t id, uint32_t sequence,
			      size_t len)
{
	wcursor_bytes(w, "\x06\x00\xff\x07\x06", 5);
	wcursor_u8(w, payload);
	wcursor_le32(w, id);
	wcursor_le32(w, sequence);
	wcursor_le16(w, (uint16_t)len);
}

static uint8_t responder_sum(const uint8_t *p, size_t n)
{
	uint8_t sum = 0;
	while (n--)
		sum = (uint8_t)(sum + *p++);
	return (uint8_t)-sum;
}

/* A response message (13.8): addresses, checksums, completion code, data. */
static size_t responder_message(const uint8_t *request, uint8_t code, const void *data, size_t len,
				uint8_t *out)
{
	struct wcursor w;
	wcursor_init(&w, out, SIM_BMC_PACKET_MAX);
	wcursor_u8(&w, 0x81);
	wcursor_u8(&w, (uint8_t)(request[1] + 4)); /* netfn + 1 */
	wcursor_u8(&w, responder_sum(out, 2));
	wcursor_u8(&w, 0x20);
	wcursor_u8(&w, request[4]);
	wcursor_u8(&w, request[5]);
	wcursor_u8(&w, code);
	wcursor_bytes(&w, data, len);
	wcursor_u8(&w, responder_sum(out + 3, w.pos - 3));
	return w.pos;
}

/* --- session set-up -------------------------------------------------------------------------- */

static size_t responder_authcap(struct sim_bmc *r, const uint8_t *message, size_t len, uint8_t *out)
{
	uint8_t data[8] = { 0x01, r->no_rmcpplus ? 0x17 : 0x97, 0x06, r->no_rmcpplus ? 1 : 3 };
	uint8_t answer[SIM_BMC_PACKET_MAX];
	if (len < 9 || message[5] != 0x38)
		return 0;
	size_t n = responder_message(message, 0, data, sizeof(data), answer);
	struct wcursor w;
	wcursor_init(&w, out, SIM_BMC_PACKET_MAX);
	wcursor_bytes(&w, "\x06\x00\xff\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00", 13);
	wcursor_u8(&w, (uint8_t)n);
	wcursor_bytes(&w, answer, n);
	return w.pos;
}

static size_t responder_status(uint8_t payload, uint8_t tag, uint8_t status, uint32_t id,
			       uint8_t *out)
{
	struct wcursor w;
	wcursor_init(&w, out, SIM_BMC_PACKET_MAX);
	responder_outside(&w, payload, 0, 0, 8);
	wcursor_u8(&w, tag);
	wcursor_u8(&w, status);
	wcursor_le16(&w, 0);
	wcursor_le32(&w, id);
	return w.pos;
}

/* As ipmi_sim does it: nothing after the status. */
static size_t responder_cut(uint8_t payload, uint8_t tag, uint8_t status, uint8_t *out)
{
	struct wcursor w;
	wcursor_init(&w, out, SIM_BMC_PACKET_MAX);
	responder_outside(&w, payload, 0, 0, 2);
	wcursor_u8(&w, tag);
	wcursor_u8(&w, status);
	return w.pos;
}

static void responder_algorithm(struct wcursor *w, uint8_t type, uint8_t algorithm)
{
	wcursor_u8(w, type);
	wcursor_le16(w, 0);
	wcursor_u8(w, 8);
	wcursor_u8(w, algorithm);
	wcursor_fill(w, 0, 3);
}

static int responder_suite(const uint8_t *p)
{
	if (p[16] == 3 && p[24] == 4 && p[32] == 1)
		return 17;
	return p[16] == 1 && p[24] == 1 && p[32] == 1 ? 3 : 0;
}

static size_t responder_open(struct sim_bmc *r, const uint8_t *p, size_t len, uint8_t *out)
{
	struct sim_bmc_session *s = &r->session;
	struct cursor c;
	if (len != 32)
		return 0;
	cursor_init(&c, p, len);
	uint8_t tag = cursor_u8(&c), privilege = cursor_u8(&c);
	cursor_skip(&c, 2);
	uint32_t console_id = cursor_le32(&c);
	/* On a busy machine a request comes again before its answer was read. */
	bool again = r->opens > 0 && memcmp(r->last_open, p, sizeof(r->last_open)) == 0;
	memcpy(r->last_open, p, sizeof(r->last_open));
	r->opens += !again;
	uint8_t at[40] = { 0 };
	memcpy(at + 4, p, 32); /* so that offsets are those of the answer */
	int suite = responder_suite(at);
	r->privilege_asked = privilege;
	if (r->full > 0) {
		r->full--;
		return responder_status(0x11, tag, 0x01, console_id, out);
	}
	if (r->open_status)
		return responder_status(0x11, tag, r->open_status, console_id, out);
	if (!r->suites[suite] && r->cut_refusal)
		return responder_cut(0x11, tag, 0x04, out);
	if (!r->suites[suite])
		return responder_status(0x11, tag, suite == 17 ? 0x04 : 0x11, console_id, out);
	/* It takes nothing from the session that it made at first: with one place for sessions that
	 * has to be the same one. */
	if (!again)
		*s = (struct sim_bmc_session){ .console_id = console_id,
					       .bmc_id = 0x01020300 + r->opens,
					       .suite = suite };
	bool weak = r->weak_choice;
	struct wcursor w;
	wcursor_init(&w, out, SIM_BMC_PACKET_MAX);
	responder_outside(&w, 0x11, 0, 0, 36);
	wcursor_u8(&w, tag);
	wcursor_u8(&w, 0);
	wcursor_u8(&w, r->tells_privilege ? 4 : 0);
	wcursor_u8(&w, 0);
	wcursor_le32(&w, console_id);
	wcursor_le32(&w, s->bmc_id);
	responder_algorithm(&w, 0, weak ? 0 : at[16]);
	responder_algorithm(&w, 1, weak ? 0 : at[24]);
	responder_algorithm(&w, 2, weak ? 0 : at[32]);
	return w.pos;
}

static size_t responder_rakp1(struct sim_bmc *r, const uint8_t *p, size_t len, uint8_t *out)
{
	struct sim_bmc_session *s = &r->session;
	struct cursor c;
	cursor_init(&c, p, len);
	uint8_t tag = cursor_u8(&c);
	cursor_skip(&c, 3);
	bool lost = r->lose_sessions > 0;
	r->lose_sessions -= lost;
	if (cursor_le32(&c) != s->bmc_id || !s->suite || lost)
		return responder_status(0x13, tag, 0x02, s->console_id, out);
	cursor_copy(&c, s->rm, 16);
	s->role = cursor_u8(&c);
	cursor_skip(&c, 2);
	s->user_len = cursor_u8(&c);
	if (s->user_len > 16)
		return 0;
	cursor_copy(&c, s->user, s->user_len);
	s->user[s->user_len] = '\0';
	if (!cursor_ok(&c) || cursor_left(&c) != 0)
		return 0;
	if (r->rakp2_status)
		return responder_status(0x13, tag, r->rakp2_status, s->console_id, out);
	if (strcmp(s->user, r->user) != 0)
		return responder_status(0x13, tag, 0x0d, s->console_id, out);
	gcry_create_nonce(s->rc, 16); /* anew each time, as real BMCs do */
	uint8_t code[32];
	size_t n = responder_rakp2_code(r, code);
	code[0] ^= r->bad_rakp2 > 0;
	r->bad_rakp2 -= r->bad_rakp2 > 0;
	struct wcursor w;
	wcursor_init(&w, out, SIM_BMC_PACKET_MAX);
	responder_outside(&w, 0x13, 0, 0, 40 + n);
	wcursor_u8(&w, tag);
	wcursor_u8(&w, 0);
	wcursor_le16(&w, 0);
	wcursor_le32(&w, s->console_id);
	wcursor_bytes(&w, s->rc, 16);
	wcursor_bytes(&w, responder_guid, 16);
	wcursor_bytes(&w, code, n);
	return w.pos;
}

static size_t responder_rakp3(struct sim_bmc *r, const uint8_t *p, size_t len, uint8_t *out)
{
	struct sim_bmc_session *s = &r->session;
	struct cursor c;
	cursor_init(&c, p, len);
	uint8_t tag = cursor_u8(&c), status = cursor_u8(&c);
	cursor_skip(&c, 2);
	if (cursor_le32(&c) != s->bmc_id || !s->suite)
		return responder_status(0x15, tag, 0x02, s->console_id, out);
	if (status != 0) {
		r->refusals++;
		s->suite = 0;
		return 0;
	}
	if (r->rakp4_status)
		return responder_status(0x15, tag, r->rakp4_status, s->console_id, out);
	if (!responder_rakp3_good(r, p + 8, len - 8))
		return responder_status(0x15, tag, 0x0f, s->console_id, out);
	uint8_t code[32];
	responder_derive(r);
	responder_rakp4_code(r, code);
	code[0] ^= r->bad_rakp4;
	size_t n = responder_code(s->suite);
	s->open = true;
	struct wcursor w;
	wcursor_init(&w, out, SIM_BMC_PACKET_MAX);
	responder_outside(&w, 0x15, 0, 0, 8 + n);
	wcursor_u8(&w, tag);
	wcursor_u8(&w, 0);
	wcursor_le16(&w, 0);
	wcursor_le32(&w, s->console_id);
	wcursor_bytes(&w, code, n);
	return w.pos;
}

/* --- messages -------------------------------------------------------------------------------- */

static void responder_aes(const struct sim_bmc_session *s, const uint8_t iv[16], uint8_t *data,
			  size_t len, bool encrypt)
{
	gcry_cipher_hd_t h;
	gcry_cipher_open(&h, GCRY_CIPHER_AES128, GCRY_CIPHER_MODE_CBC, 0);
	gcry_cipher_setkey(h, s->k2, 16);
	gcry_cipher_setiv(h, iv, 16);
	if (encrypt)
		gcry_cipher_encrypt(h, data, len, NULL, 0);
	else
		gcry_cipher_decrypt(h, data, len, NULL, 0);
	gcry_cipher_close(h);
}

/* Wraps a message: encryption, trailer, authentication code. */
size_t sim_bmc_seal(struct sim_bmc *r, const uint8_t *message, size_t len, uint8_t *out)
{
	struct sim_bmc_session *s = &r->session;
	uint8_t plain[SIM_BMC_PACKET_MAX], iv[16], code[32];
	size_t pad = (16 - (len + 1) % 16) % 16, sealed = len + pad + 1;
	memcpy(plain, message, len);
	for (size_t i = 0; i < pad; i++)
		plain[len + i] = (uint8_t)(i + 1);
	plain[len + pad] = (uint8_t)pad;
	gcry_create_nonce(iv, sizeof(iv));
	responder_aes(s, iv, plain, sealed, true);
	struct wcursor w;
	wcursor_init(&w, out, SIM_BMC_PACKET_MAX);
	responder_outside(&w, 0xc0, s->console_id, ++s->sent, 16 + sealed);
	wcursor_bytes(&w, iv, 16);
	wcursor_bytes(&w, plain, sealed);
	size_t fill = (4 - (w.pos - 4 + 2) % 4) % 4;
	wcursor_fill(&w, 0xff, fill);
	wcursor_u8(&w, (uint8_t)fill);
	wcursor_u8(&w, 0x07);
	responder_hmac(s->suite, s->k1, responder_digest(s->suite), out + 4, w.pos - 4, code);
	code[0] ^= r->corrupt;
	wcursor_bytes(&w, code, responder_code(s->suite));
	return w.pos;
}

/* The other way; 0 when anything is wrong. */
static size_t responder_unseal(struct sim_bmc *r, const uint8_t *p, size_t len, uint8_t *message)
{
	struct sim_bmc_session *s = &r->session;
	size_t code_len = responder_code(s->suite);
	uint8_t code[32];
	if (!s->open || len < 16 + 32 + 2 + code_len)
		return 0;
	responder_hmac(s->suite, s->k1, responder_digest(s->suite), p + 4, len - 4 - code_len,
		       code);
	if (memcmp(code, p + len - code_len, code_len) != 0)
		return 0;
	size_t payload = p[14] | (size_t)p[15] << 8;
	if (payload < 32 || payload % 16 || payload > len - 16)
		return 0;
	memcpy(message, p + 32, payload - 16);
	responder_aes(s, p + 16, message, payload - 16, false);
	uint8_t pad = message[payload - 17];
	return pad < 16 ? payload - 17 - pad : 0;
}

static size_t responder_boot_get(struct sim_bmc *r, uint8_t data[16])
{
	data[0] = 1;
	data[1] = 5;
	data[2] = r->boot[0];
	data[3] = r->boot[1];
	return 7;
}

/* Fills data, returns its length; *code is the completion code. */
static size_t responder_execute(struct sim_bmc *r, const uint8_t *m, size_t len, uint8_t *code,
				uint8_t data[32])
{
	unsigned netfn = m[1] >> 2, command = m[5];
	size_t args = len - 7;
	const uint8_t *a = m + 6;
	memset(data, 0, 32);
	*code = 0;
	if (netfn == 0x06 && command == 0x3b) {
		*code = r->privilege_code;
		data[0] = a[0];
		return *code ? 0 : 1;
	}
	if (netfn == 0x06 && command == 0x3c) {
		r->closes++;
		return 0;
	}
	if (r->busy > 0) {
		r->busy--;
		*code = 0xc0;
		return 0;
	}
	if (r->command_code) {
		*code = r->command_code;
		return 0;
	}
	if (netfn == 0x00 && command == 0x01) {
		data[0] = r->power;
		return 3;
	}
	if (netfn == 0x00 && command == 0x02 && args == 1) {
		r->actions[a[0] & 7]++;
		r->power = a[0] != 0 && a[0] != 5;
		return 0;
	}
	if (netfn == 0x00 && command == 0x08 && args == 2 && a[0] == 3) {
		r->boot[2] = a[1];
		return 0;
	}
	if (netfn == 0x00 && command == 0x08 && args == 6 && a[0] == 5) {
		memcpy(r->boot, a + 1, 2);
		return 0;
	}
	if (netfn == 0x00 && command == 0x09)
		return responder_boot_get(r, data);
	if (netfn == 0x06 && command == 0x01) {
		static const uint8_t id[11] = { 0x20, 0x81, 0x02, 0x47, 0x02, 0x9f };
		memcpy(data, id, sizeof(id));
		data[6] = (uint8_t)r->manufacturer;
		data[7] = (uint8_t)(r->manufacturer >> 8);
		data[8] = (uint8_t)(r->manufacturer >> 16);
		data[9] = 0x0b;
		data[10] = 0x09;
		return 15;
	}
	*code = 0xc1;
	return 0;
}

static size_t responder_command(struct sim_bmc *r, const uint8_t *p, size_t len, uint8_t *out)
{
	uint8_t message[SIM_BMC_PACKET_MAX], answer[SIM_BMC_PACKET_MAX], data[32], code;
	size_t n = responder_unseal(r, p, len, message);
	if (n < 7)
		return 0;
	size_t data_len = responder_execute(r, message, n, &code, data);
	n = responder_message(message, code, data, data_len, answer);
	n = sim_bmc_seal(r, answer, n, out);
	if (r->replay && r->first_len) {
		memcpy(out, r->first, r->first_len);
		return r->first_len;
	}
	memcpy(r->first, out, n);
	r->first_len = n;
	if (message[5] == 0x3c && message[1] >> 2 == 0x06)
		r->session.open = false;
	return r->deaf_to && message[5] == r->deaf_to && message[1] >> 2 == 0 ? 0 : n;
}

/* The answer to one datagram; 0: none. `out` has SIM_BMC_PACKET_MAX bytes. */
size_t sim_bmc_answer(struct sim_bmc *r, const uint8_t *p, size_t len, uint8_t *out)
{
	r->requests++;
	if (len < 14)
		return 0;
	unsigned type = p[4] == 0x06 ? p[5] & 0x3f : 0x3f;
	if (r->deaf_after > 0 && r->refusals >= r->deaf_after)
		return 0;
	if (r->ignore > 0 && (r->ignore_payload == 0xff || r->ignore_payload == type)) {
		r->ignore--;
		return 0;
	}
	if (p[4] == 0x00)
		return responder_authcap(r, p + 14, len - 14, out);
	if (len < 16 + 8)
		return 0;
	switch (p[5]) {
	case 0x10:
		return responder_open(r, p + 16, len - 16, out);
	case 0x12:
		return responder_rakp1(r, p + 16, len - 16, out);
	case 0x14:
		return responder_rakp3(r, p + 16, len - 16, out);
	case 0xc0:
		return responder_command(r, p, len, out);
	}
	return 0;
}

struct sim_bmc sim_bmc_make(void)
{
	return (struct sim_bmc){ .user = "admin",
				 .password = "secret",
				 .suites = { [17] = true, [3] = true },
				 .ignore_payload = 0xff,
				 .manufacturer = 674 };
}
