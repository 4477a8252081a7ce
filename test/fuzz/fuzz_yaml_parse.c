/* Any bytes as YAML: what comes out is one line of text in balanced brackets and closed strings,
 * and read as YAML again (nearly all JSON is YAML) it comes out as it went in. pkg/json may not be
 * used here: it stands on the same level. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "yaml/yaml_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

static size_t string_end(const char *json, size_t len, size_t i)
{
	for (i++; i < len && json[i] != '"'; i++) {
		CHECK((unsigned char)json[i] >= 0x20);
		i += json[i] == '\\';
	}
	CHECK(i < len);
	return i;
}

static void check_shape(const char *json, size_t len)
{
	char open[YAML_DEPTH_MAX];
	size_t depth = 0;
	for (size_t i = 0; i < len; i++) {
		char c = json[i];
		CHECK((unsigned char)c > 0x20 && (unsigned char)c < 0x7f);
		if (c == '"') {
			i = string_end(json, len, i);
		} else if (c == '{' || c == '[') {
			CHECK(depth < YAML_DEPTH_MAX);
			open[depth++] = c == '{' ? '}' : ']';
		} else if (c == '}' || c == ']') {
			CHECK(depth > 0 && open[--depth] == c);
		}
	}
	CHECK(depth == 0 && len > 0);
}

/* Characters that JSON allows but YAML wants as escapes: DEL, C1, U+2028 and 9, U+FFFE and F. */
static bool has_unprintable(const char *json, size_t len)
{
	static const char *const found[] = { "\x7f", "\xe2\x80\xa8", "\xe2\x80\xa9", "\xef\xbf\xbe",
					     "\xef\xbf\xbf" };
	for (size_t i = 0; i < ARRAY_SIZE(found); i++)
		if (memmem(json, len, found[i], strlen(found[i])))
			return true;
	for (size_t i = 0; i + 1 < len; i++)
		if (json[i] == '\xc2' && (unsigned char)json[i + 1] < 0xa0)
			return true;
	return false;
}

static int on_document(void *data, const char *json, size_t len)
{
	(void)data;
	check_shape(json, len);
	struct strbuf again = { 0 };
	/* libyaml wants the colon within 1024 characters of an implicit key's start, where a flow
	 * mapping or a long string can be one. */
	if (yaml_to_json(json, len, &again, NULL) == 0)
		CHECK(again.len == len && memcmp(again.data, json, len) == 0);
	else
		CHECK(len > 500 || has_unprintable(json, len));
	strbuf_done(&again);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = { 0 };
	int r = yaml_each((const char *)data, size, on_document, NULL, &err);
	CHECK(r == 0 || err.text[0]);
	return 0;
}
