/* See token.h. The number of a token that somebody shows counts only when the whole token is what
 * this key makes of its own number and nonce. Pure. */

#include "engine/token.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "crypt/crypt.h"

enum {
	NUMBER_BYTES = 6,
	NUMBER_DIGITS = 2 * NUMBER_BYTES,
	NONCE_BYTES = 16,
	NONCE_DIGITS = 2 * NONCE_BYTES,
	MAC_CHARS = 43,
	TOKEN_CHARS = NUMBER_DIGITS + NONCE_DIGITS + MAC_CHARS,
};

#define NUMBER_MAX ((UINT64_C(1) << 8 * NUMBER_BYTES) - 1)

static char *sign(const struct token_key *key, const struct strbuf *text)
{
	uint8_t mac[32];
	hmac_sha256(key->secret, key->len, text->data, text->len, mac);
	char *encoded = base64url_encode(mac, sizeof(mac));
	secret_zero(mac, sizeof(mac));
	return encoded;
}

void token_make(const struct token_key *key, const char *uid, int64_t number, const char *nonce,
		char out[TOKEN_TEXT_MAX])
{
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	char digits[NUMBER_DIGITS + 1] = "";
	if (number > 0)
		snprintf(digits, sizeof(digits), "%0*" PRIx64, NUMBER_DIGITS,
			 (uint64_t)number & NUMBER_MAX);
	if (number > 0)
		strbuf_addf(&text, "numbered-agent-token\n%s\n%s\n%s", uid, digits, nonce);
	else
		strbuf_addf(&text, "agent-token\n%s\n%s", uid, nonce);
	_cleanup_(secret_freep) char *mac = sign(key, &text);
	snprintf(out, TOKEN_TEXT_MAX, "%s%s%s", digits, number > 0 ? nonce : "", mac);
}

int64_t token_number(const struct token_key *key, const char *uid, const char *token)
{
	uint8_t bytes[NUMBER_BYTES], random[NONCE_BYTES];
	char digits[NUMBER_DIGITS + 1], nonce[NONCE_DIGITS + 1], made[TOKEN_TEXT_MAX];
	int64_t number = 0;
	if (strlen(token) != TOKEN_CHARS)
		return 0;
	memcpy(digits, token, NUMBER_DIGITS);
	memcpy(nonce, token + NUMBER_DIGITS, NONCE_DIGITS);
	digits[NUMBER_DIGITS] = nonce[NONCE_DIGITS] = '\0';
	if (hex_decode(digits, bytes, sizeof(bytes)) < 0 ||
	    hex_decode(nonce, random, sizeof(random)) < 0)
		return 0;
	for (size_t i = 0; i < sizeof(bytes); i++)
		number = number << 8 | bytes[i];
	token_make(key, uid, number, nonce, made);
	bool ours = str_equal_secret(made, token);
	secret_zero(made, sizeof(made));
	return ours ? number : 0;
}
