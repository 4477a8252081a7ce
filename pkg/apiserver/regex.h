#pragma once
/* Regular expressions as CRD schemas use them: RE2's syntax (Go), matched in linear time, over
 * UTF-8. Not supported, and refused: \p{…}, \Q…\E, flags other than a leading (?i) or (?s). any
 * thread */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct regex;

int regex_new(const char *pattern, struct regex **ret, struct err *err);
struct regex *regex_free(struct regex *re);
/* True when the expression matches anywhere in the text. */
bool regex_search(const struct regex *re, const char *text, size_t len);
