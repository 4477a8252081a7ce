#pragma once
/* Regular expressions as CRD schemas use them: RE2's syntax (Go 1.26), over UTF-8, matched in time
 * that is linear in the text, and within a limit. any thread */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct regex;

int regex_new(const char *pattern, struct regex **ret, struct err *err);
struct regex *regex_free(struct regex *re);
/* True when the expression matches anywhere in the text. *steps is how many the automaton may take,
 * and is what is left of them. 0: it was given up, and is not known. */
bool regex_search(const struct regex *re, const char *text, size_t len, size_t *steps);
