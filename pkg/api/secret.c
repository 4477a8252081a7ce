/* Values of Secrets. Pure. */

#include "api/secret.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

bool secret_is_own(const char *name)
{
	static const char *const own[] = { SECRET_ENGINE, SECRET_WEBHOOK };
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (streq(name, own[i]))
			return true;
	return false;
}

void *secret_bytes(const struct json *secret, const char *key, size_t *ret_len)
{
	const char *encoded = json_get_string(json_get(secret, "data"), key);
	void *value;
	size_t len;
	if (!encoded || base64_decode(encoded, strlen(encoded), &value, &len) < 0)
		return NULL;
	*ret_len = len;
	return value;
}

void *secret_bytes_free(void *bytes, size_t len)
{
	if (bytes)
		secret_zero(bytes, len);
	free(bytes);
	return NULL;
}

char *secret_value(const struct json *secret, const char *key)
{
	size_t len = 0;
	char *value = secret_bytes(secret, key, &len);
	if (value && memchr(value, '\0', len))
		value = secret_bytes_free(value, len);
	return value;
}
