/* Lookups in the tables of Unicode (unicode.h). Pure. */

#include "schema/unicode.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

enum { NAME_MAX_LEN = 48 };

/* Loose matching of names, UAX #44, 5.9.3. False when it is longer than any. */
static bool plain_name(const char *name, size_t len, char out[NAME_MAX_LEN])
{
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		char c = name[i];
		if (c == '_' || c == '-' || c == ' ')
			continue;
		if (n == NAME_MAX_LEN - 1)
			return false;
		out[n++] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
	}
	out[n] = '\0';
	return true;
}

static int compare_name(const void *key, const void *row)
{
	return strcmp(key, ((const struct unicode_class *)row)->name);
}

const struct unicode_range *unicode_class(const char *name, size_t len, size_t *ret_count)
{
	static const struct unicode_range any[] = { { 0, 0x10ffff } }, ascii[] = { { 0, 0x7f } };
	char plain[NAME_MAX_LEN];
	if (!plain_name(name, len, plain))
		return NULL;
	*ret_count = 1;
	if (streq(plain, "any"))
		return any;
	if (streq(plain, "ascii"))
		return ascii;
	const struct unicode_class *found = bsearch(plain, unicode_classes, unicode_class_count,
						    sizeof(*unicode_classes), compare_name);
	if (!found)
		return NULL;
	*ret_count = found->count;
	return unicode_ranges + found->first;
}

static int compare_fold(const void *key, const void *row)
{
	uint32_t c = *(const uint32_t *)key, from = ((const struct unicode_range *)row)->from;
	return c < from ? -1 : c > from;
}

bool unicode_is(const char *name, size_t len, const char *plain)
{
	char text[NAME_MAX_LEN];
	return plain_name(name, len, text) && streq(text, plain);
}

uint32_t unicode_fold(uint32_t c)
{
	const struct unicode_range *found = bsearch(&c, unicode_folds, unicode_fold_count,
						    sizeof(*unicode_folds), compare_fold);
	return found ? found->to : c;
}
