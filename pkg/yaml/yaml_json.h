#pragma once
/* YAML read as JSON text: the strict subset that Kubernetes files use. Plain scalars mean what they
 * mean to sigs.k8s.io/yaml (yaml/scalar.c), quoted ones are strings. Refused: anchors, aliases,
 * tags, duplicate keys, keys that are not scalars, null or a fraction as a key, merge keys (<<),
 * infinities and NaN, \0 in strings, the line breaks of YAML 1.1 (U+0085, U+2028, U+2029), depth
 * over 64. Plain keys are resolved like values, and spelled as strings: `on` is "true". Errors name
 * line and column. any thread */

#include "base/err.h"
#include "base/str.h"

enum {
	YAML_DEPTH_MAX = 64,
	YAML_TEXT_MAX = 16 << 20, /* bytes */
};

/* Called for each document, in order, with its JSON text; non-zero stops and is returned. Documents
 * without content are skipped. A later document may prove bad after earlier ones were handed
 * over. */
typedef int (*yaml_document_fn)(void *data, const char *json, size_t len);

/* Exactly one document, appended to out. */
int yaml_to_json(const char *text, size_t len, struct strbuf *out, struct err *err);
int yaml_each(const char *text, size_t len, yaml_document_fn fn, void *data, struct err *err);
