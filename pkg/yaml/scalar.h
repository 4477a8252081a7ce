#pragma once
/* Scalars of YAML as JSON values; the part of this module that libyaml has no opinion on. */

#include "base/str.h"

/* Appends what the core schema makes of a plain scalar. NULL, or what is wrong with it. */
const char *scalar_resolve(const char *text, struct strbuf *out);
bool scalar_is_null(const char *text);
/* Appends text, which is UTF-8, as a JSON string. */
void scalar_quote(const char *text, struct strbuf *out);
