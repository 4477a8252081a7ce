/* Ownership of fields from foreign bytes: a FieldsV1 set, and two objects under a schema with lists
 * and maps of each type, a NUL between them. What decodes must come back the same; what is taken
 * away from an object, or laid over it, must be a tree that prints. */

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "schema/managed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char schema_text[] =
	"{\"type\":\"object\",\"properties\":{"
	"\"t\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"x-kubernetes-list-type\":\"set\"},"
	"\"m\":{\"type\":\"array\",\"x-kubernetes-list-type\":\"map\",\"x-kubernetes-list-map-keys\":[\"k\",\"d\"],"
	"\"items\":{\"type\":\"object\",\"properties\":{\"k\":{\"type\":\"integer\"},"
	"\"d\":{\"type\":\"string\",\"default\":\"x\"},\"n\":{\"type\":\"object\"}}}},"
	"\"l\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"x-kubernetes-preserve-unknown-fields\":true}},"
	"\"o\":{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}},"
	"\"w\":{\"type\":\"object\",\"x-kubernetes-map-type\":\"atomic\"},"
	"\"f\":{\"type\":\"object\",\"x-kubernetes-preserve-unknown-fields\":true}}}";

static struct schema *schema_new(void)
{
	struct json *source = NULL;
	struct causes causes = { 0 };
	struct path path = { 0 };
	if (json_parse(schema_text, strlen(schema_text), &source, NULL) < 0)
		abort();
	struct schema *s = schema_compile(source, &path, NULL, &causes);
	if (!s)
		abort();
	causes_done(&causes);
	path_done(&path);
	json_free(source);
	return s;
}

static void ignore_path(void *data, const char *path)
{
	*(size_t *)data += strlen(path);
}

static void check_same(const struct fieldset *a, const struct json *encoded)
{
	struct fieldset again;
	if (fieldset_decode(encoded, &again) < 0 || !fieldset_equal(a, &again))
		abort();
	fieldset_done(&again);
}

static void use_set(const struct json *fields, struct fieldset *ret)
{
	size_t length = 0;
	if (fieldset_decode(fields, ret) < 0)
		return;
	struct json *encoded = fieldset_encode(ret);
	check_same(ret, encoded);
	fieldset_each(ret, ignore_path, &length);
	json_free(encoded);
}

static void use_objects(const struct type *t, const struct fieldset *gone, struct json *live,
			struct json *config)
{
	struct managers m = { 0 };
	struct json *now = NULL;
	struct conflicts conflicts = { 0 };
	char *wrong = typed_validate(t, config);
	const struct apply a = { .type = *t,
				 .live = live,
				 .config = config,
				 .writer = { "fuzz", "v1", "", "2026-01-01T00:00:00Z" } };
	fieldset_unite(&schema_managers_entry(&m, true, &a.writer)->fields, gone);
	if (!wrong && schema_apply_merge(&a, &m, &now, &conflicts) == 0) {
		struct json *list = schema_managers_encode(&m);
		struct managers again = { 0 };
		if (schema_managers_decode(list, "v1", &again) < 0)
			abort();
		schema_managers_done(&again);
		json_free(list);
	}
	free(wrong);
	free(now ? json_to_string(now) : NULL);
	json_free(now);
	schema_conflicts_done(&conflicts);
	schema_managers_done(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json *parts[3] = { 0 };
	struct fieldset set = { 0 };
	if (size > 8192)
		return 0;
	size_t at = 0;
	for (size_t i = 0; i < 3 && at < size; i++) {
		const char *begin = (const char *)data + at;
		const char *end = memchr(begin, 0, size - at);
		size_t len = end ? (size_t)(end - begin) : size - at;
		json_parse(begin, len, &parts[i], NULL);
		at += len + 1;
	}
	struct schema *s = schema_new();
	const struct type t = { .schema = s };
	use_set(parts[0], &set);
	if (json_is_object(parts[1]) && json_is_object(parts[2]))
		use_objects(&t, &set, parts[1], parts[2]);
	fieldset_done(&set);
	schema_free(s);
	for (size_t i = 0; i < 3; i++)
		json_free(parts[i]);
	return 0;
}
