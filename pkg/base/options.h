#pragma once
/* Command lines as tables: one table is parsed, checked and printed as help. Main thread, before
 * anything else runs. */

#include <stdio.h>

#include "base/err.h"

enum option_kind {
	OPTION_STRING,	/* const char * */
	OPTION_LIST,	/* struct option_list; may be given several times */
	OPTION_FLAG,	/* bool */
	OPTION_OPERAND, /* const char *: a word without dashes; rows fill in their order */
};

struct option_list {
	const char **items; /* borrowed from argv */
	size_t count;
};

struct option_row {
	const char *name;     /* without dashes; NULL ends the table */
	const char *argument; /* as help shows it; NULL for flags and operands */
	const char *standard; /* what holds when absent; NULL: nothing */
	const char *help;
	size_t offset; /* in the caller's struct */
	enum option_kind kind;
	bool required;
	char letter; /* "-n" for "--namespace"; 0: none */
};

/* "--name value", "--name=value", "-n value"; "--" ends the options. Sets defaults first. */
int options_parse(const struct option_row *rows, int argc, char **argv, void *ret, struct err *err);
/* "HOST [OPTION...]": what follows the command's name. */
void options_usage(const struct option_row *rows, FILE *out);
void options_help(const struct option_row *rows, FILE *out);
/* Frees the lists. */
void options_done(const struct option_row *rows, void *options);
