/* Values of Secrets. Pure. */

#include "api/secret.h"

#include <string.h>

char *secret_value(const struct json *secret, const char *key)
{
	const char *encoded = json_get_string(json_get(secret, "data"), key);
	void *value;
	size_t len;
	if (!encoded || base64_decode(encoded, strlen(encoded), &value, &len) < 0)
		return NULL;
	return value;
}
