/* Dispatch to a subcommand (see command.h), help, version, the list of options. Main thread, before
 * anything else runs. */

#include "base/command.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

enum { WIDTH = 80, COMMAND_COLUMN = 15 };

/* Of the terminal that help goes to; pipes and files get what fits everywhere. */
static size_t width_of(FILE *out)
{
	struct winsize size;
	if (ioctl(fileno(out), TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return WIDTH;
	return size.ws_col;
}

static void usage(const struct program *p, FILE *out)
{
	size_t width = width_of(out);
	fprintf(out, "%s: %s\n\nusage: %s COMMAND [OPTION...]\n\n", p->name, p->summary, p->name);
	for (size_t i = 0; p->commands[i]; i++)
		options_print_entry(p->commands[i]->name, COMMAND_COLUMN, p->commands[i]->summary,
				    width, out);
	options_print_entry("version", COMMAND_COLUMN, "print the version", width, out);
	fputc('\n', out);
	fprintf(out, "`%s COMMAND --help` lists a command's options.\n", p->name);
}

static bool is_help(const char *word)
{
	return streq(word, "--help") || streq(word, "-h") || streq(word, "help");
}

static int help(const struct program *p, const struct command *c)
{
	_cleanup_(freep) struct option_row *rows = options_join(c->options);
	size_t width = width_of(stdout);
	printf("usage: %s %s ", p->name, c->name);
	options_usage(rows, stdout);
	putchar('\n');
	options_print_text(c->summary, width, stdout);
	putchar('\n');
	options_help(rows, width, stdout);
	return EXIT_OK;
}

/* Not in the usage: it is for those who keep docs and manifests true. */
static int list_options(const struct program *p)
{
	for (size_t i = 0; p->commands[i]; i++) {
		_cleanup_(freep) struct option_row *rows = options_join(p->commands[i]->options);
		options_list(rows, p->commands[i]->name, stdout);
	}
	return EXIT_OK;
}

static int run_command(const struct program *p, const struct command *c, int argc, char **argv)
{
	for (int i = 0; i < argc && !streq(argv[i], "--"); i++)
		if (streq(argv[i], "--help") || streq(argv[i], "-h") ||
		    (i == 0 && is_help(argv[0])))
			return help(p, c);
	struct err err;
	_cleanup_(freep) struct option_row *rows = options_join(c->options);
	_cleanup_(freep) void *options = xcalloc(1, c->options_size + 1);
	int code = EXIT_USAGE;
	if (options_parse(rows, argc, argv, options, &err) < 0)
		fprintf(stderr, "%s %s: %s (see `%s %s --help`)\n", p->name, c->name, err.text,
			p->name, c->name);
	else
		code = c->run(options);
	options_done(rows, options);
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
	if (streq(argv[1], "options"))
		return list_options(p);
	for (size_t i = 0; p->commands[i]; i++)
		if (streq(p->commands[i]->name, argv[1]))
			return run_command(p, p->commands[i], argc - 2, argv + 2);
	fprintf(stderr, "%s: no command \"%s\" (see `%s --help`)\n", p->name, argv[1], p->name);
	return EXIT_USAGE;
}
