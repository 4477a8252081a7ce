/* `ingotctl describe HOST`: one page about one host, from one look. What it says is made in
 * pkg (view_make, render_page), where golden files hold it. */

#include <stdio.h>

#include "base/mem.h"
#include "commands.h"
#include "kube/client.h"

struct describe_options {
	struct hostview_options ctl;
	const char *host;
};

static const struct option_row rows[] = {
	{ .name = "HOST",
	  .help = "name of the host",
	  .operand = true,
	  .type = &option_text,
	  .offset = offsetof(struct describe_options, host),
	  .required = true },
	{ .name = NULL },
};

static const struct option_table tables[] = { { NULL, rows, 0 },
					      CTL_TABLES(struct describe_options) };

/* All from one look, so that the page does not contradict itself. */
static void print_page(const struct hostview *c, const struct hostview_look *look)
{
	struct view v;
	_cleanup_(strbuf_done) struct strbuf out = { 0 };
	view_make(&(struct view_sources){ .host = json_at(look->hosts, 0),
					  .record = json_at(look->records, 0),
					  .debug = json_at(look->debug, 0),
					  .now = loop_wall(c->loop) },
		  &v);
	render_page(&v, &out);
	fputs(out.data, stdout);
	view_done(&v);
}

static int run(void *data)
{
	const struct describe_options *o = data;
	return command_show("describe", &o->ctl, o->host, print_page);
}

const struct command describe_command = {
	.name = "describe",
	.summary = "show one host: what it waits for, what went wrong, what to do",
	.options = tables,
	.options_size = sizeof(struct describe_options),
	.run = run,
};
