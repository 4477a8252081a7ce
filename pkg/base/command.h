#pragma once
/* Programs with subcommands: a table of them, each with its option table. Exit codes are the same
 * for all. Main thread. */

#include "base/options.h"

enum exit_code {
	EXIT_OK = 0,
	EXIT_FAILED = 1, /* it started, or could not */
	EXIT_USAGE = 2,	 /* the command line is wrong */
	EXIT_LATE = 3,	 /* a limit that the user set has passed */
};

struct command {
	const char *name;
	const char *summary;
	const struct option_table *options; /* ended by rows NULL */
	size_t options_size;		    /* of what `options` fill */
	int (*run)(void *options);	    /* returns an exit_code */
};

struct program {
	const char *name;
	const char *summary;
	const struct command *const
		*commands; /* ended by NULL; "version", "help" and "options" come by themselves */
};

/* Returns an exit_code. */
int program_run(const struct program *p, int argc, char **argv);
