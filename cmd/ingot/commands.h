#pragma once
/* The subcommands of ingot, each in the file of its name. Main thread. */

#include "base/command.h"

extern const struct command standalone_command, operator_command, relay_command, token_command,
	backup_command, restore_command;
