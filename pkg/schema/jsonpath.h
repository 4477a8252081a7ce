#pragma once
/* The part of JSONPath that printer columns use: .a.b, ['a.b'], [0], [-1], [*],
 * [?(@.type=="Ready")] with == and != or as a test of presence. any thread */

#include "base/err.h"
#include "json/json.h"

struct jsonpath;

int jsonpath_new(const char *text, struct jsonpath **ret, struct err *err);
struct jsonpath *jsonpath_free(struct jsonpath *p);
/* First match, borrowed; NULL when there is none. */
const struct json *jsonpath_find(const struct jsonpath *p, const struct json *root);
