/* ingotctl: shows what Ingot is doing with its hosts, releases those that it holds, and moves them
 * to another API server.
 *
 * Dispatch; each command is in the file of its name, and what it shows and does in a module of pkg,
 * where tests can reach it without a terminal. All of them work with the Kubernetes API alone; the
 * debug socket adds what only a running engine knows. */

#include <signal.h>
#include <stdio.h>

#include "base/log.h"
#include "commands.h"

static const struct command *const commands[] = { &status_command,
						  &watch_command,
						  &describe_command,
						  &release_command,
						  &move_command,
						  &bmc_command,
						  NULL };

static const struct program program = {
	.name = "ingotctl",
	.summary = "shows what Ingot is doing with its hosts, and what they wait for",
	.commands = commands,
};

#define FIELD(member) .offset = offsetof(struct hostview_options, member)

/* As kubectl has them, with its letters, since this is also its plugin (`kubectl ingot`). */
const struct option_row hostview_rows[] = {
	{ .name = "kubeconfig",
	  .argument = "FILE",
	  .help = "use this kubeconfig; default: $KUBECONFIG, the pod's service account, ~/.kube/config, that of ingot standalone on this machine",
	  .type = &option_text,
	  FIELD(kubeconfig) },
	{ .name = "context",
	  .argument = "NAME",
	  .help = "use this context of the kubeconfig",
	  .type = &option_text,
	  FIELD(context) },
	{ .name = "namespace",
	  .letter = 'n',
	  .argument = "NAME",
	  .help = "use this namespace; default: that of the context, or \"default\"",
	  .type = &option_text,
	  FIELD(ns) },
	{ .name = "debug",
	  .argument = "SOCKET",
	  .help = "ask this debug socket of ingot; default: debug.sock beside the kubeconfig",
	  .type = &option_text,
	  FIELD(debug) },
	{ .name = NULL },
};

/* Not for commands that speak of one host. */
const struct option_row hostview_all_rows[] = {
	{ .name = "all-namespaces",
	  .letter = 'A',
	  .help = "include the hosts of all namespaces",
	  .type = &option_flag,
	  FIELD(all) },
	{ .name = NULL },
};

int command_failed(const char *command, const struct err *err)
{
	fprintf(stderr, "ingotctl %s: %s\n", command, err->text);
	return EXIT_FAILED;
}

void command_note_debug(const struct hostview *c, const struct hostview_look *look)
{
	if (look->debug_err.kind == ERR_NONE)
		return;
	/* A host that the engine has not met yet is no fault of the socket. */
	if (look->debug_err.kind != ERR_NOT_FOUND)
		fprintf(stderr, "ingotctl: %s: %s; shown is what the API tells, up to 30 s old\n",
			c->debug, look->debug_err.text);
}

/* One look and no watch: what is printed belongs together in time. */
int command_show(const char *command, const struct hostview_options *options, const char *host,
		 void (*print)(const struct hostview *c, const struct hostview_look *look))
{
	struct hostview *c = NULL;
	struct hostview_look look = { 0 };
	struct err err = { 0 };
	int r = hostview_open(options, &c, &err);
	if (r == 0)
		r = hostview_look(c, host, &look, &err);
	if (r == 0) {
		print(c, &look);
		command_note_debug(c, &look);
	}
	hostview_look_done(&look);
	hostview_close(c);
	return r < 0 ? command_failed(command, &err) : EXIT_OK;
}

/* Of the log only errors: standard output is the answer, and scripts read it. */
int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_ERROR);
	return program_run(&program, argc, argv);
}
