/* `ingotctl status [HOST]`: a table of hosts, from one look, and below it machines that asked for a
 * boot and belong to no host. */

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "commands.h"
#include "kube/client.h"

struct status_options {
	struct hostview_options ctl;
	const char *host;
};

static const struct option_row rows[] = {
	{ .name = "HOST",
	  .help = "show only this host",
	  .operand = true,
	  .type = &option_text,
	  .offset = offsetof(struct status_options, host) },
	{ .name = NULL },
};

static const struct option_table tables[] = { { NULL, rows, 0 },
					      CTL_TABLES_ALL(struct status_options) };

/* An empty list is not an error. The message goes to standard error, so that a script which counts
 * lines counts none. */
static void print_table(const struct hostview *c, const struct hostview_look *look)
{
	size_t count = json_count(look->hosts), i = 0;
	if (count == 0) {
		fprintf(stderr, "no BareMetalHosts%s%s\n", c->ns ? " in namespace " : "",
			str_or(c->ns, ""));
		return;
	}
	_cleanup_(freep) struct view *views = xcalloc(count + 1, sizeof(*views));
	_cleanup_(strbuf_done) struct strbuf out = { 0 };
	json_for_each(host, look->hosts) {
		const char *ns = kube_namespace(host), *name = kube_name(host);
		view_make(
			&(struct view_sources){ .host = host,
						.record = hostview_find(look->records, ns, name),
						.debug = hostview_find_debug(look->debug, ns, name),
						.now = loop_wall(c->loop) },
			&views[i++]);
	}
	render_table(views, count, !c->ns, &out);
	render_strangers(look->strangers, loop_wall(c->loop), &out);
	fputs(out.data, stdout);
	for (i = 0; i < count; i++)
		view_done(&views[i]);
}

static int run(void *data)
{
	const struct status_options *o = data;
	return command_show("status", &o->ctl, o->host, print_table);
}

const struct command status_command = {
	.name = "status",
	.summary = "list hosts with state, what they wait for and until when, progress and errors",
	.options = tables,
	.options_size = sizeof(struct status_options),
	.run = run,
};
