/* `ingotctl release HOST` and `ingotctl release --all`: ends holds (ctl/release.h). It writes to
 * the API, and the engine that runs sees it there: no Ingot has to be reached for it. */

#include <stdio.h>

#include "base/str.h"
#include "commands.h"
#include "hostview/release.h"

struct release_command_options {
	struct hostview_options ctl;
	const char *host;
	bool all;
};

/* One host or all by an option of its own, never all by leaving out a word: what is released may be
 * wiped. */
static const struct option_row rows[] = {
	{ .name = "HOST",
	  .help = "release this host",
	  .operand = true,
	  .type = &option_text,
	  .offset = offsetof(struct release_command_options, host) },
	{ .name = "all",
	  .help = "release all held hosts of the namespace",
	  .type = &option_flag,
	  .offset = offsetof(struct release_command_options, all) },
	{ .name = NULL },
};

static const struct option_table tables[] = { { NULL, rows, 0 },
					      CTL_TABLES_ALL(struct release_command_options) };

static void print_line(void *data, const char *line)
{
	(void)data;
	puts(line);
}

static int run(void *data)
{
	const struct release_command_options *o = data;
	struct hostview *c = NULL;
	struct err err = { 0 };
	if (o->all == (o->host != NULL)) {
		fprintf(stderr, "ingotctl release: name a HOST, or give --all\n");
		return EXIT_USAGE;
	}
	const struct release_options options = { .host = o->host, .say = print_line };
	int r = hostview_open(&o->ctl, &c, &err);
	if (r == 0)
		r = release_run(c, &options, &err);
	hostview_close(c);
	return r < 0 ? command_failed("release", &err) : EXIT_OK;
}

const struct command release_command = {
	.name = "release",
	.summary = "release held hosts, so that Ingot acts on them again",
	.options = tables,
	.options_size = sizeof(struct release_command_options),
	.run = run,
};
