#pragma once
/* The subcommands of ingotctl, and what their command lines share. Main thread. */

#include <stddef.h>

#include "base/command.h"
#include "hostview/client.h"
#include "hostview/render.h"

extern const struct command status_command, watch_command, describe_command, move_command,
	release_command, bmc_command;

/* How the API and the engine are reached, and whose hosts; of struct hostview_options. */
extern const struct option_row hostview_rows[];
/* -A, where a command can look at all namespaces. */
extern const struct option_row hostview_all_rows[];

/* A command with rows of its own and these two groups; its options hold hostview_options as
 * `hostview`. */
#define CTL_TABLES(type)                                                                           \
	{ "Where to look", hostview_rows, offsetof(type, ctl) },                                   \
	{                                                                                          \
		NULL, NULL, 0                                                                      \
	}
#define CTL_TABLES_ALL(type) { NULL, hostview_all_rows, offsetof(type, ctl) }, CTL_TABLES(type)

/* Prints the error as the program's last word. */
int command_failed(const char *command, const struct err *err);
/* One look at a host (NULL: at all), printed; exit code. */
int command_show(const char *command, const struct hostview_options *options, const char *host,
		 void (*print)(const struct hostview *c, const struct hostview_look *look));
/* The engine was to be asked and did not answer: what is shown is older. To standard error. */
void command_note_debug(const struct hostview *c, const struct hostview_look *look);
