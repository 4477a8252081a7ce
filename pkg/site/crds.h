#pragma once
/* CustomResourceDefinitions for the standalone API, as JSON. Main thread, at start. */

#include "base/options.h"

struct crd_list {
	char **json; /* NULL-ended */
	size_t count;
};

/* Those that the program carries, then those of the directories (*.yaml, *.yml, *.json). */
int crds_load(const struct option_list *directories, struct crd_list *ret, struct err *err);
void crds_done(struct crd_list *list);
