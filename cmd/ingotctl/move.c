/* `ingotctl move --to KUBECONFIG`: hosts to another API server, untouched (ctl/move.h). It
 * changes both servers, step by step; each step can be repeated, so a run that was cut off is
 * finished by another one. */

#include <stdio.h>

#include "base/str.h"
#include "commands.h"
#include "hostview/move.h"

struct move_command_options {
	struct hostview_options ctl;
	const char *to, *to_context, *own_ns;
	usec_t patience;
	bool dry_run;
};

#define FIELD(member) .offset = offsetof(struct move_command_options, member)

static const struct option_row rows[] = {
	{ .name = "to",
	  .argument = "KUBECONFIG",
	  .help = "move hosts to the API server of this kubeconfig",
	  .type = &option_path,
	  FIELD(to),
	  .required = true },
	{ .name = "to-context",
	  .argument = "NAME",
	  .help = "use this context of that kubeconfig",
	  .type = &option_text,
	  FIELD(to_context) },
	{ .name = "dry-run",
	  .help = "show what would be moved and what prevents it",
	  .type = &option_flag,
	  FIELD(dry_run) },
	{ .name = "timeout",
	  .argument = "SECONDS",
	  .standard = "600",
	  .help = "allow this long for hosts to become idle",
	  .type = &option_seconds,
	  .max = UINT32_MAX,
	  FIELD(patience) },
	{ .name = "own-namespace",
	  .argument = "NAME",
	  .standard = "ingot-system",
	  .help = "namespace of Ingot's own Secrets",
	  .type = &option_label,
	  FIELD(own_ns) },
	{ .name = NULL },
};

static const struct option_table tables[] = { { NULL, rows, 0 },
					      CTL_TABLES_ALL(struct move_command_options) };

static void print_line(void *data, const char *line)
{
	(void)data;
	puts(line);
	fflush(stdout);
}

/* Both before anything is changed: a target that cannot be reached must not leave hosts paused at
 * the source. */
static int open_both(const struct move_command_options *o, struct hostview **ret_from,
		     struct hostview **ret_to, struct err *err)
{
	const struct hostview_options target = { .kubeconfig = o->to,
						 .context = o->to_context,
						 .all = true };
	int r = hostview_open(&o->ctl, ret_from, err);
	if (r == 0)
		r = hostview_open(&target, ret_to, err);
	return r;
}

static int run(void *data)
{
	const struct move_command_options *o = data;
	struct hostview *from = NULL, *to = NULL;
	struct err err = { 0 };
	const struct move_options options = { .own_ns = o->own_ns,
					      .dry_run = o->dry_run,
					      .patience = o->patience,
					      .say = print_line };
	int r = open_both(o, &from, &to, &err);
	if (r == 0)
		r = move_run(from, to, &options, &err);
	hostview_close(from);
	hostview_close(to);
	return r < 0 ? command_failed("move", &err) : EXIT_OK;
}

const struct command move_command = {
	.name = "move",
	.summary =
		"move hosts and their recorded state to another API server without touching the machines",
	.options = tables,
	.options_size = sizeof(struct move_command_options),
	.run = run,
};
