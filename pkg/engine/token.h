#pragma once
/* Tokens of agents. The token of a boot is derived from the installation's key, so nothing has to
 * be stored. It is
 *
 *	number (12 hex digits)  nonce (32 hex digits)  base64url(HMAC-SHA256(key, both and the UID))
 *
 * and tells by itself, without a HostRecord, which boot of the host it belongs to: numbers of boots
 * only rise. An agent that shows a token of a later boot than the record knows of proves that the
 * record is older than the machine.
 *
 * Releases before this one made tokens without number, HMAC(key, UID and nonce). A ramdisk that
 * runs while Ingot is upgraded keeps its own: number 0. Pure. */

#include <stddef.h>
#include <stdint.h>

enum { TOKEN_TEXT_MAX = 96 };

struct token_key {
	const void *secret;
	size_t len;
};

/* nonce: 32 hex digits. The longest token has 87 characters; agents take any of at least 32. */
void token_make(const struct token_key *key, const char *uid, int64_t number, const char *nonce,
		char out[TOKEN_TEXT_MAX]);
/* The boot of the host with this UID that a token was made for, by this key; 0: none. */
int64_t token_number(const struct token_key *key, const char *uid, const char *token);
