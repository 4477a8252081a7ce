/* ingot: set-up of the process and dispatch to a subcommand. */

#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "bmc/ipmi/ipmi.h"
#include "commands.h"
#include "crypt/tls.h"
#include "sandbox/sandbox.h"

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
	sandbox_use_capabilities();
	crypt_zero_freed();
	signal(SIGPIPE, SIG_IGN);
	umask(077);
	/* libgcrypt, under FreeIPMI, must be set up before any thread runs. */
	if (ipmi_global_init(&err) < 0) {
		fprintf(stderr, "ingot: %s\n", err.text);
		return EXIT_FAILED;
	}
	return program_run(&program, argc, argv);
}
