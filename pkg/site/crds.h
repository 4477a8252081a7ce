#pragma once
/* CustomResourceDefinitions for the standalone API, as JSON. Main thread, at start. */

#include "base/options.h"

struct site_crd_list {
	char **json; /* NULL-ended */
	size_t count;
};

/* Those that the program carries, then those of the directories (*.yaml, *.yml, *.json). */
int site_crds_load(const struct option_list *directories, struct site_crd_list *ret,
		   struct err *err);
void site_crds_done(struct site_crd_list *list);
