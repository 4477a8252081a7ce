/* Root device hints for the agent (see prov/hints.h): a row for each of Metal3's members, with the
 * name and the operator that the agent of OpenStack Ironic knows it by. */

#include "prov/hints.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"

enum hint_match { HINT_EXACT, HINT_SUBSTRING, HINT_AT_LEAST, HINT_BOOL, HINT_DEVICE };

/* Which operator each hint is handed to the agent with. */
static const struct {
	const char *key, *agent_key;
	enum hint_match match;
} hints[] = {
	{ "deviceName", NULL, HINT_DEVICE },
	{ "hctl", "hctl", HINT_EXACT },
	{ "model", "model", HINT_SUBSTRING },
	{ "vendor", "vendor", HINT_SUBSTRING },
	{ "serialNumber", "serial", HINT_EXACT },
	{ "minSizeGigabytes", "size", HINT_AT_LEAST },
	{ "wwn", "wwn", HINT_EXACT },
	{ "wwnWithExtension", "wwn_with_extension", HINT_EXACT },
	{ "wwnVendorExtension", "wwn_vendor_extension", HINT_EXACT },
	{ "rotational", "rotational", HINT_BOOL },
};

static void set_hint(struct json *out, const char *key, const char *op, const char *value)
{
	_cleanup_(freep) char *text = xasprintf("%s %s", op, value);
	json_set_string(out, key, text);
}

static void add_hint(struct json *out, size_t row, const struct json *value)
{
	const char *text = json_string(value), *key = hints[row].agent_key;
	int64_t number = 0;
	bool flag;
	switch (hints[row].match) {
	case HINT_DEVICE:
		if (!str_empty(text))
			set_hint(out,
				 str_has_prefix(text, "/dev/disk/by-path/") ? "by_path" : "name",
				 "s==", text);
		break;
	case HINT_EXACT:
		if (!str_empty(text))
			set_hint(out, key, "s==", text);
		break;
	case HINT_SUBSTRING:
		if (!str_empty(text))
			set_hint(out, key, "<in>", text);
		break;
	case HINT_AT_LEAST:
		if (json_int(value, &number) && number > 0) {
			char digits[24];
			snprintf(digits, sizeof(digits), "%lld", (long long)number);
			set_hint(out, key, ">=", digits);
		}
		break;
	case HINT_BOOL:
		if (json_bool(value, &flag))
			json_set_string(out, key, flag ? "true" : "false");
		break;
	}
}

struct json *prov_agent_hints(const struct json *spec)
{
	struct json *out = json_new_object();
	for (size_t i = 0; i < ARRAY_SIZE(hints); i++) {
		const struct json *value = json_get(spec, hints[i].key);
		if (!json_is_null(value))
			add_hint(out, i, value);
	}
	return json_count(out) > 0 ? out : json_free(out);
}
