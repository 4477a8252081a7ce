/* ingot: dispatch to a subcommand. Exit codes: 0 done, 1 failed, 2 wrong usage. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/str.h"
#include "bmc/ipmi/ipmi.h"
#include "commands.h"
#include "crypt/tls.h"

static int print_version(void *options)
{
	(void)options;
	puts("ingot " INGOT_VERSION);
	return EXIT_OK;
}

static const struct option_row no_options[] = { { .name = NULL } };

static const struct command version_command = {
	.name = "version",
	.summary = "print the version",
	.options = no_options,
	.run = print_version,
};

static const struct command *const commands[] = {
	&standalone_command,
	&operator_command,
	&relay_command,
	&version_command,
};

static void usage(FILE *out)
{
	fputs("ingot: bare-metal hosts as Kubernetes objects\n\nusage: ingot COMMAND [OPTION...]\n\n",
	      out);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-12s %s\n", commands[i]->name, commands[i]->summary);
	fputs("\n`ingot COMMAND --help` lists a command's options.\n", out);
}

static bool is_help(const char *word)
{
	return streq(word, "--help") || streq(word, "-h") || streq(word, "help");
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (streq(commands[i]->name, name))
			return commands[i];
	return NULL;
}

static int run_command(const struct command *c, int argc, char **argv)
{
	if (argc > 0 && is_help(argv[0])) {
		printf("usage: ingot %s [OPTION...]\n\n%s\n\n", c->name, c->summary);
		options_help(c->options, stdout);
		return EXIT_OK;
	}
	struct err err;
	_cleanup_(freep) void *options = xcalloc(1, c->options_size + 1);
	int code = EXIT_USAGE;
	if (options_parse(c->options, argc, argv, options, &err) < 0)
		fprintf(stderr, "ingot %s: %s (see `ingot %s --help`)\n", c->name, err.text,
			c->name);
	else
		code = c->run(options);
	options_done(c->options, options);
	return code;
}

int main(int argc, char **argv)
{
	struct err err;
	crypt_zero_freed();
	signal(SIGPIPE, SIG_IGN);
	umask(077);
	/* libgcrypt, under FreeIPMI, must be set up before any thread runs. */
	if (ipmi_global_init(&err) < 0) {
		fprintf(stderr, "ingot: %s\n", err.text);
		return EXIT_FAILED;
	}
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (is_help(argv[1])) {
		usage(stdout);
		return EXIT_OK;
	}
	const struct command *c = find_command(streq(argv[1], "--version") ? "version" : argv[1]);
	if (!c) {
		fprintf(stderr, "ingot: no command \"%s\" (see `ingot --help`)\n", argv[1]);
		return EXIT_USAGE;
	}
	return run_command(c, argc - 2, argv + 2);
}
