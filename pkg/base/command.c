/* Dispatch to a subcommand (see command.h), help, version. Main thread, before anything else runs.
 */

#include "base/command.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"

static void usage(const struct program *p, FILE *out)
{
	fprintf(out, "%s: %s\n\nusage: %s COMMAND [OPTION...]\n\n", p->name, p->summary, p->name);
	for (size_t i = 0; p->commands[i]; i++)
		fprintf(out, "  %-12s %s\n", p->commands[i]->name, p->commands[i]->summary);
	fprintf(out, "  %-12s %s\n\n", "version", "print the version");
	fprintf(out, "`%s COMMAND --help` lists a command's options.\n", p->name);
}

static bool is_help(const char *word)
{
	return streq(word, "--help") || streq(word, "-h") || streq(word, "help");
}

static int help(const struct program *p, const struct command *c)
{
	printf("usage: %s %s ", p->name, c->name);
	options_usage(c->options, stdout);
	printf("\n%s\n\n", c->summary);
	options_help(c->options, stdout);
	return EXIT_OK;
}

static int run_command(const struct program *p, const struct command *c, int argc, char **argv)
{
	for (int i = 0; i < argc && !streq(argv[i], "--"); i++)
		if (streq(argv[i], "--help") || streq(argv[i], "-h") ||
		    (i == 0 && is_help(argv[0])))
			return help(p, c);
	struct err err;
	_cleanup_(freep) void *options = xcalloc(1, c->options_size + 1);
	int code = EXIT_USAGE;
	if (options_parse(c->options, argc, argv, options, &err) < 0)
		fprintf(stderr, "%s %s: %s (see `%s %s --help`)\n", p->name, c->name, err.text,
			p->name, c->name);
	else
		code = c->run(options);
	options_done(c->options, options);
	return code;
}

static int print_version(const struct program *p)
{
	printf("%s " INGOT_VERSION "\n", p->name);
	return EXIT_OK;
}

int program_run(const struct program *p, int argc, char **argv)
{
	if (argc < 2) {
		usage(p, stderr);
		return EXIT_USAGE;
	}
	if (is_help(argv[1])) {
		usage(p, stdout);
		return EXIT_OK;
	}
	if (streq(argv[1], "version") || streq(argv[1], "--version"))
		return print_version(p);
	for (size_t i = 0; p->commands[i]; i++)
		if (streq(p->commands[i]->name, argv[1]))
			return run_command(p, p->commands[i], argc - 2, argv + 2);
	fprintf(stderr, "%s: no command \"%s\" (see `%s --help`)\n", p->name, argv[1], p->name);
	return EXIT_USAGE;
}
