#pragma once
/* The subcommands of ingotctl, and what their command lines share. Main thread. */

#include <stddef.h>

#include "base/command.h"
#include "ctl/client.h"
#include "ctl/render.h"

extern const struct command status_command, watch_command, describe_command, move_command,
	release_command;

/* First member of the options of each command. */
#define CTL_OPTION(n, l, arg, text, k, field)                                                      \
	{                                                                                          \
		.name = (n), .letter = (l), .argument = (arg), .help = (text), .kind = (k),        \
		.offset = offsetof(struct ctl_options, field)                                      \
	}
#define CTL_OPTION_ROWS                                                                            \
	CTL_OPTION("kubeconfig", 0, "FILE", "else $KUBECONFIG, the pod's account, ~/.kube/config", \
		   OPTION_STRING, kubeconfig),                                                     \
		CTL_OPTION("context", 0, "NAME", "context of the kubeconfig", OPTION_STRING,       \
			   context),                                                               \
		CTL_OPTION("namespace", 'n', "NAME", "else that of the context, or \"default\"",   \
			   OPTION_STRING, ns),                                                     \
		CTL_OPTION("debug", 0, "SOCKET",                                                   \
			   "debug socket of ingot; else debug.sock beside the kubeconfig",         \
			   OPTION_STRING, debug)

/* Prints the error as the program's last word. */
int failed(const char *command, const struct err *err);
/* One look at a host (NULL: at all), printed; exit code. */
int show(const char *command, const struct ctl_options *options, const char *host,
	 void (*print)(const struct ctl *c, const struct ctl_look *look));
/* The engine was to be asked and did not answer: what is shown is older. To standard error. */
void note_debug(const struct ctl *c, const struct ctl_look *look);
