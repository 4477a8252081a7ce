#pragma once
/* Command-line options as tables: one table is parsed, checked and printed as help. */

#include <stdio.h>

#include "base/err.h"

enum option_kind {
	OPTION_STRING, /* const char * */
	OPTION_LIST,   /* struct option_list; may be given several times */
	OPTION_FLAG,   /* bool */
};

struct option_list {
	const char **items; /* borrowed from argv */
	size_t count;
};

struct option_row {
	const char *name;     /* without dashes; NULL ends the table */
	const char *argument; /* as help shows it; NULL for flags */
	const char *standard; /* what holds when absent; NULL: nothing */
	const char *help;
	size_t offset; /* in the caller's struct */
	enum option_kind kind;
	bool required;
};

/* "--name value" and "--name=value". Sets defaults first. Nothing else may stand on the line. */
int options_parse(const struct option_row *rows, int argc, char **argv, void *ret, struct err *err);
void options_help(const struct option_row *rows, FILE *out);
/* Frees the lists. */
void options_done(const struct option_row *rows, void *options);
