/* `ingotctl move --to KUBECONFIG`: hosts to another API server, untouched (ctl/move.h). The one
 * command that changes anything. */

#include <stdio.h>

#include "base/str.h"
#include "commands.h"
#include "ctl/move.h"

struct move_command_options {
	struct ctl_options ctl;
	const char *to, *to_context, *own_ns, *timeout;
	bool dry_run;
};

#define ROW(n, arg, def, text, k, field)                                                           \
	{                                                                                          \
		.name = (n), .argument = (arg), .standard = (def), .help = (text), .kind = (k),    \
		.offset = offsetof(struct move_command_options, field)                             \
	}

static const struct option_row rows[] = {
	ROW("to", "KUBECONFIG", NULL, "where to", OPTION_STRING, to),
	ROW("to-context", "NAME", NULL, "context of that kubeconfig", OPTION_STRING, to_context),
	CTL_OPTION("all-namespaces", 'A', NULL, "hosts of all namespaces", OPTION_FLAG, all),
	ROW("dry-run", NULL, NULL, "show what would go, and what is in the way", OPTION_FLAG,
	    dry_run),
	ROW("timeout", "SECONDS", "600", "how long hosts may take to come to rest", OPTION_STRING,
	    timeout),
	ROW("own-namespace", "NAME", "ingot-system", "where Ingot keeps its own Secret",
	    OPTION_STRING, own_ns),
	CTL_OPTION_ROWS,
	{ .name = NULL },
};

static void print_line(void *data, const char *line)
{
	(void)data;
	puts(line);
	fflush(stdout);
}

static int open_both(const struct move_command_options *o, struct ctl **ret_from,
		     struct ctl **ret_to, struct err *err)
{
	const struct ctl_options target = { .kubeconfig = o->to,
					    .context = o->to_context,
					    .all = true };
	int r = ctl_open(&o->ctl, ret_from, err);
	if (r == 0)
		r = ctl_open(&target, ret_to, err);
	return r;
}

static int run(void *data)
{
	const struct move_command_options *o = data;
	struct ctl *from = NULL, *to = NULL;
	struct err err = { 0 };
	uint64_t seconds;
	if (str_empty(o->to) || parse_u64(o->timeout, UINT32_MAX, &seconds) < 0) {
		fprintf(stderr, "ingotctl move: %s\n",
			str_empty(o->to) ? "--to KUBECONFIG says where to"
					 : "--timeout wants a number of seconds");
		return EXIT_USAGE;
	}
	const struct move_options options = { .own_ns = o->own_ns,
					      .dry_run = o->dry_run,
					      .patience = seconds * USEC_PER_SEC,
					      .say = print_line };
	int r = open_both(o, &from, &to, &err);
	if (r == 0)
		r = move_run(from, to, &options, &err);
	ctl_close(from);
	ctl_close(to);
	return r < 0 ? failed("move", &err) : EXIT_OK;
}

const struct command move_command = {
	.name = "move",
	.summary = "hosts with all that is known of them to another API server, untouched",
	.options = rows,
	.options_size = sizeof(struct move_command_options),
	.run = run,
};
