/* `ingotctl watch HOST`: a line for each change, until the host is where it is to go. Changes come
 * by two watches of the API, and each second from the debug socket where there is one. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "commands.h"
#include "hostview/goal.h"
#include "kube/watch.h"

struct watch_options {
	struct hostview_options ctl;
	const char *host, *state;
	usec_t timeout;
	bool limited; /* --timeout was given */
	bool patient;
};

#define FIELD(member) .offset = offsetof(struct watch_options, member)

static const struct option_row rows[] = {
	{ .name = "HOST",
	  .help = "name of the host",
	  .operand = true,
	  .type = &option_text,
	  FIELD(host),
	  .required = true },
	{ .name = "for",
	  .argument = "STATE",
	  .help = "wait for this state, or \"deleted\"; default: provisioned if the host has an image, else available",
	  .type = &option_text,
	  FIELD(state) },
	{ .name = "timeout",
	  .argument = "SECONDS",
	  .help = "give up after this long, with exit code 3; default: never",
	  .type = &option_seconds,
	  .max = UINT32_MAX,
	  FIELD(timeout),
	  .given = offsetof(struct watch_options, limited) },
	{ .name = "keep-going",
	  .help = "do not end at an error: Ingot tries again",
	  .type = &option_flag,
	  FIELD(patient) },
	{ .name = NULL },
};

static const struct option_table tables[] = { { NULL, rows, 0 }, CTL_TABLES(struct watch_options) };

struct watch {
	struct hostview *ctl;
	const struct watch_options *options;
	struct goal goal;
	struct kube_watch *hosts, *records;
	struct timer poll, limit;
	struct hostview_question *question;
	struct json *host, *record, *debug;
	/* Nothing is printed before each source has spoken, or has shown that it cannot. */
	bool host_known, record_known, debug_known;
	bool was_leaving;
	char *state, *line, *trouble, *complaint; /* printed last */
	bool ended;
	int code;
};

/* The first reason counts: what comes while the loop ends cannot change the exit code. */
static void end(struct watch *w, int code)
{
	if (!w->ended)
		w->code = code;
	w->ended = true;
	loop_stop(w->ctl->loop);
}

/* --- telling ---------------------------------------------------------------------------------- */

static void print_line(const struct watch *w, const char *text)
{
	char now[CLOCK_TEXT_MAX];
	clock_format(loop_wall(w->ctl->loop), now);
	/* The time of day in "2026-01-02T03:04:05Z", UTC as all times of the API. */
	printf("%.8s  %s\n", now + strlen("2026-01-02T"), text);
	fflush(stdout);
}

/* When the state changes, what the other sources told belongs to the state before: the state goes
 * alone, and the rest is asked for anew. */
static bool is_new_state(struct watch *w, const struct view *v)
{
	bool changed = w->state && !streq(w->state, v->state);
	str_replace(&w->state, v->state);
	if (changed && !w->question)
		timer_set_in(&w->poll, 0);
	return changed;
}

/* Only what is new, so that a line in the output is a thing that happened. Progress is part of the
 * line; an error has a line of its own, since it stays while progress goes on. */
static void tell(struct watch *w, const struct view *v)
{
	_cleanup_(strbuf_done) struct strbuf line = { 0 };
	if (is_new_state(w, v))
		strbuf_adds(&line, v->state);
	else
		render_line(v, &line);
	if (!streq(w->line, line.data)) {
		str_replace(&w->line, line.data);
		print_line(w, w->line);
	}
	if (!streq(w->trouble, v->error)) {
		str_replace(&w->trouble, v->error);
		if (v->error)
			print_line(w, v->error);
	}
}

/* Not before all sources have answered once: a first line without progress would be followed at
 * once by one with it, as if something had happened. */
static void on_change(struct watch *w)
{
	struct view v;
	if (w->ended || !w->host || !w->host_known || !w->record_known || !w->debug_known)
		return;
	view_make(&(struct view_sources){ .host = w->host,
					  .record = w->record,
					  .debug = w->debug,
					  .now = loop_wall(w->ctl->loop) },
		  &v);
	tell(w, &v);
	switch (goal_judge(&w->goal, &v)) {
	case GOAL_OPEN:
		break;
	case GOAL_REACHED:
		end(w, EXIT_OK);
		break;
	case GOAL_FAILED:
		fprintf(stderr, "ingotctl watch: host %s: %s; to do: %s\n", v.name,
			str_or(v.error_type, "error"), v.advice);
		end(w, EXIT_FAILED);
		break;
	}
	view_done(&v);
}

/* A host that is gone has reached its goal if the goal was "deleted", and else has failed. */
static void on_gone(struct watch *w, const char *what)
{
	if (goal_judge_gone(&w->goal, w->was_leaving) == GOAL_REACHED) {
		print_line(w, "deleted");
		end(w, EXIT_OK);
		return;
	}
	fprintf(stderr, "ingotctl watch: host %s %s\n", w->options->host, what);
	end(w, EXIT_FAILED);
}

/* --- sources ---------------------------------------------------------------------------------- */

/* What peers wrote into the object is printed to a terminal, so control characters go here. */
static void take(struct json **slot, struct json **object)
{
	json_free(*slot);
	*slot = TAKE_PTR(*object);
	hostview_clean(*slot);
}

static void host_applied(void *data, struct json **object)
{
	struct watch *w = data;
	take(&w->host, object);
	w->was_leaving = json_get_path(w->host, "metadata.deletionTimestamp") != NULL;
	on_change(w);
}

static void host_listed(void *data, const char *resource_version)
{
	struct watch *w = data;
	(void)resource_version;
	w->host_known = true;
	if (w->host)
		on_change(w);
	else
		on_gone(w, "does not exist in this namespace; `ingotctl status -A` lists all");
}

static void host_removed(void *data, struct json **object)
{
	struct watch *w = data;
	(void)object;
	w->host = json_free(w->host);
	on_gone(w, "was deleted");
}

/* Before the first list this is how the command fails; later the watch comes back by itself. */
static void host_failed(void *data, const struct err *err)
{
	struct watch *w = data;
	if (!streq(w->complaint, err->text))
		fprintf(stderr, "ingotctl watch: %s%s\n", err->text,
			w->host_known ? "; trying again" : "");
	str_replace(&w->complaint, err->text);
	if (!w->host_known)
		end(w, EXIT_FAILED);
}

static void restarted(void *data)
{
	(void)data; /* what went meanwhile shows in `listed` */
}

/* The watch begins anew with a list: what was known is not known any more. */
static void host_restarted(void *data)
{
	struct watch *w = data;
	w->host = json_free(w->host);
}

static void record_applied(void *data, struct json **object)
{
	struct watch *w = data;
	take(&w->record, object);
	on_change(w);
}

static void record_listed(void *data, const char *resource_version)
{
	struct watch *w = data;
	(void)resource_version;
	w->record_known = true;
	on_change(w);
}

static void record_removed(void *data, struct json **object)
{
	struct watch *w = data;
	(void)object;
	w->record = json_free(w->record);
}

/* No rights to read records, or no such kind: what the host itself tells must do. */
static void record_failed(void *data, const struct err *err)
{
	(void)err;
	record_listed(data, "");
}

static void on_debug(void *data, const struct err *err, struct json **body)
{
	struct watch *w = data;
	w->question = NULL;
	w->debug = json_free(w->debug);
	if (err && !w->debug_known && err->kind != ERR_NOT_FOUND)
		fprintf(stderr, "ingotctl watch: %s: %s; progress comes every 30 s or 10 %%\n",
			w->ctl->debug, err->text);
	if (!err)
		w->debug = TAKE_PTR(*body);
	w->debug_known = true;
	timer_set_in(&w->poll, USEC_PER_SEC);
	on_change(w);
}

/* A question a second: a write of an image changes its progress without any object changing. */
static void on_poll(void *data)
{
	struct watch *w = data;
	if (!w->ctl->debug) {
		on_change(w);
		return;
	}
	w->question = hostview_debug_get(w->ctl, w->ctl->ns, w->options->host, on_debug, w);
}

static void on_limit(void *data)
{
	struct watch *w = data;
	fprintf(stderr, "ingotctl watch: host %s: not there after %llu s\n", w->options->host,
		(unsigned long long)(w->options->timeout / USEC_PER_SEC));
	end(w, EXIT_LATE);
}

/* --- life ------------------------------------------------------------------------------------- */

/* Two watches and not one list in a loop: the API server is asked once, however long it takes. */
static void start(struct watch *w)
{
	static const struct kube_watch_handlers host_handlers = { .restart = host_restarted,
								  .apply = host_applied,
								  .listed = host_listed,
								  .remove = host_removed,
								  .failed = host_failed };
	static const struct kube_watch_handlers record_handlers = { .restart = restarted,
								    .apply = record_applied,
								    .listed = record_listed,
								    .remove = record_removed,
								    .failed = record_failed };
	_cleanup_(freep) char *selector = xasprintf("metadata.name=%s", w->options->host);
	struct kube_watch_options o = { .resource = &hostview_hosts,
					.ns = w->ctl->ns,
					.field_selector = selector };
	w->hosts = kube_watch_new(w->ctl->client, &o, &host_handlers, w);
	o.resource = &hostview_records;
	w->records = kube_watch_new(w->ctl->client, &o, &record_handlers, w);
	w->debug_known = !w->ctl->debug;
	if (w->ctl->debug)
		on_poll(w);
}

static int check(const struct watch_options *o, struct err *err)
{
	if (o->state && !goal_is_state(o->state))
		return err_set(
			err, ERR_INVALID,
			"--for: no host ever shows \"%s\"; try provisioned, available or deleted",
			o->state);
	return 0;
}

static void finish(struct watch *w)
{
	timer_stop(&w->poll);
	timer_stop(&w->limit);
	hostview_debug_cancel(w->question);
	kube_watch_free(w->hosts);
	kube_watch_free(w->records);
	json_free(w->host);
	json_free(w->record);
	json_free(w->debug);
	free(w->state);
	free(w->line);
	free(w->trouble);
	free(w->complaint);
	hostview_close(w->ctl);
}

static int run(void *data)
{
	const struct watch_options *o = data;
	struct watch w = { .options = o, .goal = { .state = o->state, .patient = o->patient } };
	struct err err = { 0 };
	if (check(o, &err) < 0) {
		command_failed("watch", &err);
		return EXIT_USAGE;
	}
	if (hostview_open(&o->ctl, &w.ctl, &err) < 0)
		return command_failed("watch", &err);
	timer_init(&w.poll, w.ctl->loop, "poll", on_poll, &w);
	timer_init(&w.limit, w.ctl->loop, "limit", on_limit, &w);
	if (o->limited)
		timer_set_in(&w.limit, o->timeout);
	start(&w);
	loop_run(w.ctl->loop);
	finish(&w);
	return w.code;
}

const struct command watch_command = {
	.name = "watch",
	.summary =
		"print a line per change until the host is provisioned, available, or in the given state",
	.options = tables,
	.options_size = sizeof(struct watch_options),
	.run = run,
};
