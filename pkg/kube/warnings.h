#pragma once
/* Warnings of the API server (header "Warning: 299 - \"text\""): a deprecated version, a field that
 * it does not know. Each distinct text is logged once. Inside pkg/kube. Core thread. */

#include "base/map.h"

struct warnings {
	struct map told;
};

void warnings_done(struct warnings *w);
/* One value of that header; of `path` the query is not told. */
void warnings_take(struct warnings *w, const char *method, const char *path, const char *value);
/* The first warn-text of code 299 in a header value, unquoted; new, or NULL: none. Pure. */
char *warnings_parse(const char *value);
