#pragma once
/* Files that the program carries with it; build/gen/crds.c is made from crds/ by hack/embed. */

struct embedded_file {
	const char *name; /* NULL ends a list */
	const char *text;
};

extern const struct embedded_file embedded_crds[];
