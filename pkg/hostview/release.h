#pragma once
/* `ingotctl release`: hosts that Ingot holds are acted on again. A host is named, or all that are
 * held are meant. The annotation names the hold that was seen, so that it ends no later one. */

#include "hostview/client.h"

struct release_options {
	const char *host; /* NULL: all of the namespace, or of all namespaces */
	/* A line for a person. */
	void (*say)(void *data, const char *line);
	void *data;
};

int release_run(struct hostview *c, const struct release_options *options, struct err *err);
