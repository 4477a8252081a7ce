#pragma once
/* The CustomResourceDefinitions of crds/, which the programs carry with them: build/gen/crds.c is
 * made from the files by hack/embed. any thread */

struct embedded_file {
	const char *name; /* of the file; NULL ends a list */
	const char *text; /* YAML */
};

extern const struct embedded_file embedded_crds[];
