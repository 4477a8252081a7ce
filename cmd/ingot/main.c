/* ingot: set-up of the process and dispatch to a subcommand. A tour for those who begin here:
 *
 *   standalone.c, operator.c   the two commands that manage hosts: with an API server of their own,
 *                              and against a Kubernetes cluster
 *   runtime.c                  what both run: the table of parts, and their life in phases
 *   part_*.c                   the parts, each with the state that it owns (runtime_parts.h)
 *   runtime_options.c          the options that both take
 *   process.c                  what all long-running commands share: loop, signals, exit code
 *   relay.c, token.c, backup.c the other commands
 *   admit.c                    the one adapter between two modules that do not know each other
 *
 * A command is a struct command: tables of options, and a function that gets them parsed and
 * checked (base/command.h). No command does work itself; what it composes is in pkg/. To follow a
 * host from `kubectl apply` to a packet, begin with part_hosts.c; from a DHCP packet to an answer,
 * with part_boot.c. */

#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "bmc/ipmi/ipmi.h"
#include "commands.h"
#include "crypt/tls.h"
#include "sandbox/sandbox.h"

/* In the order of the usage. */
static const struct command *const commands[] = { &standalone_command,
						  &operator_command,
						  &relay_command,
						  &token_command,
						  &backup_command,
						  &restore_command,
						  NULL };

static const struct program program = {
	.name = "ingot",
	.summary = "manages bare-metal hosts as Kubernetes objects",
	.commands = commands,
};

int main(int argc, char **argv)
{
	struct err err;
	/* In a container they are permitted, but not in effect yet. */
	sandbox_use_capabilities();
	/* Keys and tokens pass through OpenSSL's buffers. */
	crypt_zero_freed();
	/* A peer that closes its connection is an error of that write, and not our end. */
	signal(SIGPIPE, SIG_IGN);
	/* Every file that a command makes may hold a secret. */
	umask(077);
	/* libgcrypt, under FreeIPMI, must be set up before any thread runs. */
	if (ipmi_global_init(&err) < 0) {
		fprintf(stderr, "ingot: %s\n", err.text);
		return EXIT_FAILED;
	}
	return program_run(&program, argc, argv);
}
