/* The small languages of the API server: JSONPath, label and field selectors, regular expressions,
 * and schemas. The first byte says which; the rest is the expression, a NUL, and what it is used
 * on. */

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "schema/jsonpath.h"
#include "schema/regex.h"
#include "schema/schema.h"
#include "schema/selector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_jsonpath(const char *expression, const struct json *target)
{
	struct jsonpath *p = NULL;
	if (jsonpath_new(expression, &p, NULL) == 0)
		jsonpath_find(p, target);
	jsonpath_free(p);
}

static const char *get_field(const void *object, const char *field)
{
	return str_or(json_get_path_string(object, field), "");
}

static void use_selectors(const char *expression, const struct json *target)
{
	struct selector *labels = NULL, *fields = NULL;
	if (selector_parse_labels(expression, &labels, NULL) == 0)
		selector_matches_labels(labels, target);
	if (selector_parse_fields(expression, &fields, NULL) == 0)
		selector_matches_fields(fields, get_field, target);
	selector_free(labels);
	selector_free(fields);
}

static void use_regex(const char *expression, const char *text, size_t len)
{
	struct regex *re = NULL;
	if (regex_new(expression, &re, NULL) == 0)
		regex_search(re, text, MIN(len, (size_t)256), &(size_t){ 10000000 });
	regex_free(re);
}

static void use_schema(const char *expression, struct json *target)
{
	struct json *source = NULL;
	struct causes causes = { 0 };
	struct path path = { 0 };
	if (json_parse(expression, strlen(expression), &source, NULL) < 0)
		return;
	struct schema_budget left = SCHEMA_BUDGET;
	struct schema *s = schema_compile(source, &path, &left, &causes);
	if (s && target) {
		schema_prune(s, target, NULL);
		schema_default(s, target, &left);
		schema_validate(s, target, NULL, &path, &causes);
	}
	schema_free(s);
	causes_done(&causes);
	path_done(&path);
	json_free(source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > 4096)
		return 0;
	const char *all = (const char *)data + 1;
	char *expression = xstrndup(all, size - 1);
	size_t used = MIN(strlen(expression) + 1, size - 1);
	struct json *target = NULL;
	json_parse(all + used, size - 1 - used, &target, NULL);
	switch (data[0]) {
	case 'j':
		use_jsonpath(expression, target);
		break;
	case 's':
		use_selectors(expression, target);
		break;
	case 'r':
		use_regex(expression, all + used, size - 1 - used);
		break;
	case 'o':
		use_schema(expression, target);
		break;
	}
	json_free(target);
	free(expression);
	return 0;
}
