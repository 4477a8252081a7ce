#pragma once
/* Label and field selectors. any thread */

#include <stdbool.h>

#include "base/err.h"
#include "json/json.h"

struct selector;

int selector_parse_labels(const char *text, struct selector **ret, struct err *err);
int selector_parse_fields(const char *text, struct selector **ret, struct err *err);
struct selector *selector_free(struct selector *s);
void selector_freep(struct selector **s);
/* NULL or an empty selector takes everything. */
bool selector_empty(const struct selector *s);
bool selector_matches_labels(const struct selector *s, const struct json *labels);
/* `get` gives the text of a field of the object, "" when absent. */
typedef const char *(*selector_get_fn)(const void *object, const char *field);
bool selector_matches_fields(const struct selector *s, selector_get_fn get, const void *object);
/* The one value that `key` must have, or NULL. */
const char *selector_exact(const struct selector *s, const char *key);
/* First key that `known` refuses; NULL when it knows all. */
const char *selector_unknown(const struct selector *s,
			     bool (*known)(const void *arg, const char *key), const void *arg);
