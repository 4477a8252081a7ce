#pragma once
/* Scalars of YAML as JSON values; the part of this module that libyaml has no opinion on. */

#include "base/str.h"

/* Appends what Kubernetes' YAML reader makes of a plain scalar. NULL, or what is wrong with it. */
const char *scalar_resolve(const char *text, struct strbuf *out);
/* The same of a plain key, which becomes a string: yes is "true", 0x10 is "16". */
const char *scalar_resolve_key(const char *text, struct strbuf *out);
bool scalar_is_null(const char *text);
/* Appends text, which is UTF-8, as a JSON string. */
void scalar_quote(const char *text, struct strbuf *out);
