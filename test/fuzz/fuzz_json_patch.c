/* Two lines of JSON, a document and a patch: the merge patch and the diff agree with each other, a
 * JSON patch leaves the document alone when it fails, and neither makes what cannot be parsed. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "json/patch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

static void check_printable(const struct json *j)
{
	struct strbuf text = { 0 };
	struct json *again = NULL;
	json_print(j, &text);
	CHECK(json_parse(text.data, text.len, &again, NULL) == 0);
	CHECK(json_equal(j, again));
	json_free(again);
	strbuf_done(&text);
}

/* Nulls in objects are beyond what a merge patch can say. */
static bool has_null_member(const struct json *j)
{
	json_for_each(child, j)
		if ((json_key(child) && json_is_null(child)) || has_null_member(child))
			return true;
	return false;
}

static void check_merge(const struct json *document, const struct json *patch)
{
	struct json *merged = json_dup(document), *twice = NULL;
	json_merge_patch(&merged, patch);
	check_printable(merged);
	/* RFC 7396 patches are idempotent. */
	twice = json_dup(merged);
	json_merge_patch(&twice, patch);
	CHECK(json_equal(merged, twice));
	json_free(twice);
	json_free(merged);
}

static void check_diff(const struct json *from, const struct json *to)
{
	struct json *diff = json_merge_diff(from, to), *target = json_dup(from);
	if (diff) {
		json_merge_patch(&target, diff);
		check_printable(target);
	}
	if (!has_null_member(from) && !has_null_member(to)) {
		CHECK(json_equal(target, to));
		CHECK((diff == NULL) == json_equal(from, to));
	}
	json_free(diff);
	json_free(target);
}

static void check_patch(const struct json *document, const struct json *patch)
{
	struct json *target = json_dup(document), *before = target;
	struct err err = { 0 };
	if (json_patch(&target, patch, &err) == 0) {
		check_printable(target);
	} else {
		CHECK(target == before && json_equal(target, document) && err.text[0]);
	}
	json_free(target);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *line = memchr(text, '\n', size);
	struct json *document = NULL, *patch = NULL;
	if (!line)
		return 0;
	size_t first = (size_t)(line - text);
	if (json_parse(text, first, &document, NULL) == 0 &&
	    json_parse(line + 1, size - first - 1, &patch, NULL) == 0) {
		check_merge(document, patch);
		check_diff(document, patch);
		check_patch(document, patch);
		const char *pointer = json_get_string(json_at(patch, 0), "path");
		if (pointer)
			json_pointer_get(document, pointer);
	}
	json_free(document);
	json_free(patch);
	return 0;
}
