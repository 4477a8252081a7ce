#pragma once
/* The subcommands of ingot: each has a table of options and a function. Main thread. */

#include "base/options.h"

enum exit_code {
	EXIT_OK = 0,
	EXIT_FAILED = 1, /* it started, or could not */
	EXIT_USAGE = 2,	 /* the command line is wrong */
};

struct command {
	const char *name;
	const char *summary;
	const struct option_row *options;
	size_t options_size;	   /* of what `options` fill */
	int (*run)(void *options); /* returns an exit_code */
};

extern const struct command standalone_command, operator_command, relay_command;
