/* Identifiers and names (RFC 4122, RFC 1123). Pure. */

#include "base/id.h"

#include <stdio.h>
#include <string.h>

char *uuid_format(const uint8_t random[16], char out[UUID_TEXT_SIZE])
{
	uint8_t b[16];
	memcpy(b, random, sizeof(b));
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(out, UUID_TEXT_SIZE,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		 b[15]);
	return out;
}

bool uuid_valid(const char *s)
{
	for (size_t i = 0; i < UUID_TEXT_SIZE - 1; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		bool digit = (s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f');
		if (dash ? s[i] != '-' : !digit)
			return false;
	}
	return s[UUID_TEXT_SIZE - 1] == '\0';
}

static bool alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_label(const char *s, size_t len)
{
	if (len == 0 || len > 63 || !alnum(s[0]) || !alnum(s[len - 1]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!alnum(s[i]) && s[i] != '-')
			return false;
	return true;
}

bool name_is_label(const char *s)
{
	return s && is_label(s, strnlen(s, 64));
}

bool name_is_subdomain(const char *s)
{
	/* Kubernetes limits the whole to 253 but not each part to 63. */
	size_t len = s ? strnlen(s, 254) : 0;
	if (len == 0 || len > 253 || !alnum(s[0]) || !alnum(s[len - 1]))
		return false;
	for (size_t i = 1; i < len; i++) {
		if (!alnum(s[i]) && s[i] != '-' && s[i] != '.')
			return false;
		if (s[i] == '.' && (!alnum(s[i - 1]) || !alnum(s[i + 1])))
			return false;
	}
	return true;
}
