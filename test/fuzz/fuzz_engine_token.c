/* The token that somebody shows with a heartbeat: none is taken for a boot's but what the key made.
 */

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char uid[] = "11111111-1111-4111-8111-111111111111";
	static const uint8_t secret[32] = { 7 };
	const struct token_key key = { secret, sizeof(secret) };
	char *text = xstrndup((const char *)data, size);
	char made[TOKEN_TEXT_MAX], nonce[33] = "";
	int64_t number = token_number(&key, uid, text);
	if (number) {
		memcpy(nonce, text + 12, 32);
		token_make(&key, uid, number, nonce, made);
		if (strcmp(made, text) != 0)
			abort();
	}
	free(text);
	return 0;
}
