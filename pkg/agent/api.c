/* Command API. A command is an object with the life of the process: the server compares the list
 * with what it remembers, so nothing is ever taken out. The job owns `run` while it runs;
 * everything else belongs to the loop's thread. */

#include "agent/api.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/hw/sysfs.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	BODY_MAX = 192 * 1024 * 1024, /* a config drive of 64 MiB, in base64, twice */
	WAITERS_MAX = 16,
	EFFECT_DELAY_MS = 500, /* for the answer to leave before the power goes */
	EXTENSION_MAX = 32,
};

struct command {
	struct list node;
	struct agent_api *api;
	char id[UUID_TEXT_SIZE];
	const struct agent_command_def *def;
	struct json *params, *result, *error;
	enum agent_status status;
	struct agent_run run; /* with outcome the job's until it is done */
	int outcome;
	struct web_request *waiters[WAITERS_MAX];
	size_t waiter_count;
	usec_t started;
};

struct agent_api {
	struct agent_api_options options;
	char *token;
	struct list commands;
	struct command *running;
	struct web_server *server;
	struct timer effect;
	enum agent_after after;
	usec_t started_at; /* wall */
};

static const char *const status_names[_AGENT_STATUS_MAX] = {
	[AGENT_RUNNING] = "RUNNING",
	[AGENT_SUCCEEDED] = "SUCCEEDED",
	[AGENT_FAILED] = "FAILED",
	/* The same word for clean, deploy and service. */
	[AGENT_VERSION_MISMATCH] = "CLEAN_VERSION_MISMATCH",
};

/* --- answers --------------------------------------------------------------------------------- */

static void reply_json(struct web_request *r, int status, const struct json *j)
{
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	const struct web_reply_head head = { .status = status, .content_type = "application/json" };
	json_print(j, &text);
	web_reply(r, &head, text.data, text.len);
}

/* Takes j. */
static void reply_take(struct web_request *r, int status, struct json *j)
{
	reply_json(r, status, j);
	json_free(j);
}

static void fault(struct web_request *r, int status, const char *fmt, ...) _printf_(3, 4);
static void fault(struct web_request *r, int status, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	hw_clean(text); /* it may quote the peer, cut anywhere */
	struct json *j = json_new_object();
	json_set_string(j, "faultcode", status < 500 ? "Client" : "Server");
	json_set_string(j, "faultstring", text);
	reply_take(r, status, j);
}

/* Servers show `details` to people and fall back to `message`. */
static struct json *error_json(const struct agent_run *run)
{
	const struct agent_error *e = agent_error_find(run->error_type);
	_cleanup_(freep) char *details = hw_clean(xstrdup(run->err.text));
	struct json *j = json_new_object();
	json_set_string(j, "type", e->type);
	json_set_int(j, "code", e->code);
	json_set_string(j, "message", e->message);
	json_set_string(j, "details", details);
	return j;
}

static struct json *command_json(const struct command *c)
{
	struct json *j = json_new_object();
	/* A quirk to keep: a synchronous command that failed shows its full name. */
	bool full = !c->def->async && c->status == AGENT_FAILED;
	_cleanup_(freep) char *name = xasprintf("%s%s%s", full ? c->def->extension : "",
						full ? "." : "", c->def->name);
	json_set_string(j, "id", c->id);
	json_set_string(j, "command_name", name);
	json_set_string(j, "command_status", status_names[c->status]);
	json_set(j, "command_error", c->error ? json_dup(c->error) : json_new_null());
	json_set(j, "command_result", c->result ? json_dup(c->result) : json_new_null());
	return j;
}

static void reply_command(struct web_request *r, const struct command *c)
{
	reply_take(r, 200, command_json(c));
}

/* --- effects --------------------------------------------------------------------------------- */

static void on_effect(void *data)
{
	struct agent_api *a = data;
	const struct agent_effects *e = a->options.effects;
	switch (a->after) {
	case AGENT_AFTER_NOTHING:
		break;
	case AGENT_AFTER_POWER_OFF:
		e->power_off(e->data);
		break;
	case AGENT_AFTER_REBOOT:
		e->reboot(e->data);
		break;
	case AGENT_AFTER_LOCKDOWN:
		agent_api_close(a);
		e->nics_down(e->data);
		break;
	}
}

/* --- running --------------------------------------------------------------------------------- */

/* On the loop's thread: lists may be asked for while the job runs. */
static void take_result(struct command *c, int r)
{
	struct agent_run *run = &c->run;
	if (r < 0) {
		c->status = AGENT_FAILED;
		c->error = error_json(run);
		json_free(run->result);
	} else {
		bool mismatch = run->status == AGENT_VERSION_MISMATCH;
		c->status = mismatch ? AGENT_VERSION_MISMATCH : AGENT_SUCCEEDED;
		c->error = mismatch ? error_json(run) : NULL;
		c->result = run->result;
		if (run->text) {
			/* Asynchronous results carry the command's name in front. */
			_cleanup_(freep) char *text = c->def->async
							      ? xasprintf("%s: %s", c->def->name,
									  run->text)
							      : xstrdup(run->text);
			c->result = json_new_object();
			json_set_string(c->result, "result", text);
		}
	}
	free(run->text);
}

static void log_end(const struct command *c)
{
	if (c->status == AGENT_FAILED)
		log_warn("command failed", "command", c->def->name, "error", c->run.err.text);
	else
		log_info("command ended", "command", c->def->name, "status",
			 status_names[c->status]);
}

static void work(void *data)
{
	struct command *c = data;
	c->outcome = c->def->run(&c->run);
}

/* Who waits is answered before the heartbeat brings the server back. */
static void done(void *data)
{
	struct command *c = data;
	struct agent_api *a = c->api;
	a->running = NULL;
	take_result(c, c->outcome);
	log_end(c);
	for (size_t i = 0; i < c->waiter_count; i++)
		reply_command(c->waiters[i], c);
	c->waiter_count = 0;
	a->after = c->run.after;
	if (a->after != AGENT_AFTER_NOTHING)
		timer_set_in(&a->effect, EFFECT_DELAY_MS * USEC_PER_MSEC);
	else if (c->def->async && a->options.finished)
		a->options.finished(a->options.data);
}

/* The node may be sent with any command; the newest one counts. */
static void remember_node(struct agent_env *env, const struct json *params)
{
	const struct json *node = json_get(params, "node");
	if (!json_is_object(node) || json_count(node) == 0)
		return;
	json_free(env->node);
	env->node = json_dup(node);
}

/* The job gets fresh random bytes, because it must not ask the loop for them. */
static struct command *start(struct agent_api *a, const struct agent_command_def *def,
			     struct json *params)
{
	struct command *c = xcalloc(1, sizeof(*c));
	struct agent_env *env = a->options.env;
	uint8_t random[16];
	loop_random(a->options.loop, random, sizeof(random));
	loop_random(a->options.loop, env->random, sizeof(env->random));
	*c = (struct command){ .api = a, .def = def, .params = params, .run.env = env };
	uuid_format(random, c->id);
	c->run.params = params;
	c->started = loop_now(a->options.loop);
	remember_node(env, params);
	list_append(&a->commands, &c->node);
	a->running = c;
	log_info("command", "name", def->name, "extension", def->extension);
	loop_job(a->options.loop, work, done, c);
	return c;
}

/* More waiters than that are answered at once, with RUNNING. */
static void wait_for(struct command *c, struct web_request *r)
{
	if (c->status == AGENT_RUNNING && c->waiter_count < WAITERS_MAX)
		c->waiters[c->waiter_count++] = r;
	else
		reply_command(r, c);
}

static bool wants_wait(const struct web_request *r)
{
	_cleanup_(freep) char *wait = web_query_param(r, "wait");
	return wait && strcasecmp(wait, "true") == 0;
}

/* --- requests -------------------------------------------------------------------------------- */

/* What the command itself refuses, before it is one. */
static bool refused(const struct agent_api *a, const struct agent_command_def *def,
		    const struct json *params, struct web_request *r)
{
	struct agent_run run = { .env = a->options.env, .params = params };
	if (!def->check || def->check(&run) == 0)
		return false;
	const struct agent_error *e = agent_error_find(run.error_type);
	fault(r, e->code, "%s: %s", e->message, run.err.text);
	return true;
}

/* The order of refusals is the reference's: name, busy, extension, command, its parameters. */
static void dispatch(struct agent_api *a, struct web_request *r, const char *name,
		     const struct json *params)
{
	char extension[EXTENSION_MAX];
	const char *dot = strchr(name, '.');
	size_t len = dot ? (size_t)(dot - name) : 0;
	bool known = false;
	if (!dot) {
		fault(r, 400,
		      "Invalid command: Command name must be of the form <extension>.<name>");
		return;
	}
	if (a->running) {
		fault(r, 409, "Agent is busy: executing command %s", a->running->def->name);
		return;
	}
	snprintf(extension, sizeof(extension), "%.*s", (int)MIN(len, sizeof(extension)), name);
	const struct agent_command_def *def = agent_command_def_find(extension, dot + 1, &known);
	if (!known) {
		fault(r, 404, "Not found: Extension with id %s not found.", extension);
	} else if (!def) {
		fault(r, 400, "Invalid command: Unknown command: %.64s", dot + 1);
	} else if (!refused(a, def, params, r)) {
		struct command *c = start(a, def, json_dup(params));
		/* Synchronous commands are answered when they are done, waited for or not. */
		if (wants_wait(r) || !def->async)
			wait_for(c, r);
		else
			reply_command(r, c);
	}
}

static void post_command(void *data, struct web_request *r, const struct web_match *match)
{
	struct agent_api *a = data;
	(void)match;
	size_t len = 0;
	const char *body = web_body(r, &len);
	struct json *j = NULL;
	struct err err = { 0 };
	if (json_parse(body, len, &j, &err) < 0) {
		fault(r, 400, "400 Bad Request: Failed to decode JSON object: %s", err.text);
		return;
	}
	const char *name = json_get_string(j, "name");
	const struct json *params = json_get(j, "params");
	if (!name || !json_is_object(params))
		fault(r, 400, "400 Bad Request: Missing or invalid name or params");
	else
		dispatch(a, r, name, params);
	json_free(j);
}

static void list_commands(void *data, struct web_request *r, const struct web_match *match)
{
	const struct agent_api *a = data;
	(void)match;
	struct json *j = json_new_object();
	struct json *list = json_set(j, "commands", json_new_array());
	list_for_each(n, &a->commands)
		json_append(list, command_json(list_entry(n, struct command, node)));
	reply_take(r, 200, j);
}

static void get_command(void *data, struct web_request *r, const struct web_match *match)
{
	struct agent_api *a = data;
	_cleanup_(freep) char *id = web_param(&match->params, "id");
	list_for_each(n, &a->commands) {
		struct command *c = list_entry(n, struct command, node);
		if (!streq(c->id, id))
			continue;
		if (wants_wait(r))
			wait_for(c, r);
		else
			reply_command(r, c);
		return;
	}
	fault(r, 404, "Not found: Command Result with id %.64s not found.", id);
}

static void add_trouble(struct json *j, struct disk_progress *p)
{
	struct disk_trouble t = disk_progress_trouble(p);
	json_set_int(j, "attempt", t.attempt);
	json_set_int(j, "attempts", t.attempts);
	json_set(j, "last_error", t.text[0] ? json_new_string(t.text) : json_new_null());
}

static void get_progress(void *data, struct web_request *r, const struct web_match *match)
{
	const struct agent_api *a = data;
	(void)match;
	struct disk_progress *p = &a->options.env->progress;
	const struct command *c = a->running;
	uint64_t received = atomic_load(&p->received), total = atomic_load(&p->total);
	uint64_t written = atomic_load(&p->written);
	int phase = atomic_load(&p->phase);
	usec_t elapsed = c ? loop_now(a->options.loop) - c->started : 0;
	double moved = (double)(phase == DISK_PHASE_ERASE ? written : received);
	double seconds = (double)elapsed / (double)USEC_PER_SEC;
	struct json *j = json_new_object();
	json_set(j, "command", json_new_string(c ? c->def->name : NULL));
	json_set_string(j, "phase", disk_phase_name(phase));
	json_set_int(j, "received_bytes", (int64_t)received);
	json_set(j, "total_bytes", total ? json_new_int((int64_t)total) : json_new_null());
	json_set_int(j, "written_bytes", (int64_t)written);
	json_set_int(j, "elapsed_s", (int64_t)seconds);
	json_set_int(j, "bytes_per_s", c && seconds > 0 ? (int64_t)(moved / seconds) : 0);
	add_trouble(j, p);
	reply_take(r, 200, j);
}

static struct json *version_json(void)
{
	struct json *v = json_new_object();
	json_set_string(v, "id", "v1");
	json_set(v, "links", json_new_array());
	return v;
}

/* Open to all, as in the reference: it tells nothing. */
static void get_root(void *data, struct web_request *r, const struct web_match *match)
{
	(void)data, (void)match;
	struct json *j = json_new_object();
	json_set_string(j, "name", "OpenStack Ironic Python Agent API");
	json_set_string(j, "description",
			"Ingot's deploy agent, which speaks the Ironic Python Agent protocol.");
	json_append(json_set(j, "versions", json_new_array()), version_json());
	json_set(j, "default_version", version_json());
	reply_take(r, 200, j);
}

static void get_v1(void *data, struct web_request *r, const struct web_match *match)
{
	(void)data, (void)match;
	struct json *j = version_json();
	json_set(j, "commands", json_new_array());
	json_set(j, "status", json_new_array());
	json_set(j, "media_types", json_new_array());
	reply_take(r, 200, j);
}

static void get_status(void *data, struct web_request *r, const struct web_match *match)
{
	const struct agent_api *a = data;
	(void)match;
	struct json *j = json_new_object();
	json_set(j, "started_at", json_new_double((double)a->started_at / (double)USEC_PER_SEC));
	json_set_string(j, "version", INGOT_VERSION);
	reply_take(r, 200, j);
}

static bool token_is_good(const struct agent_api *a, const struct web_request *r)
{
	_cleanup_(secret_freep) char *given = web_query_param(r, "agent_token");
	return a->token && given && str_equal_secret(a->token, given);
}

/* Who may call a row. */
enum { ROLE_ANYONE, ROLE_TOKEN };

/* Also without "/v1" in front, and with or without slashes at the end. */
static const struct web_row rows[] = {
	{ WEB_READ, "/", get_root, ROLE_ANYONE, NULL },
	{ WEB_READ, "/v1", get_v1, ROLE_ANYONE, NULL },
	{ WEB_READ, "[/v1]/status", get_status, ROLE_ANYONE, NULL },
	{ WEB_READ, "[/v1]/commands", list_commands, ROLE_TOKEN, NULL },
	{ WEB_POST, "[/v1]/commands", post_command, ROLE_TOKEN, NULL },
	{ WEB_READ, "[/v1]/commands/{id}", get_command, ROLE_TOKEN, NULL },
	{ WEB_READ, "[/v1]/ingot/progress", get_progress, ROLE_TOKEN, NULL },
	{ 0 },
};

static bool admit(void *data, struct web_request *r, const struct web_row *row)
{
	if (row->role == ROLE_ANYONE || token_is_good(data, r))
		return true;
	fault(r, 401, "401 Unauthorized: Token invalid.");
	return false;
}

/* With the words of the reference's web framework. */
static void wrong_method(struct web_request *r, const char *allow)
{
	const char *const headers[] = { allow, NULL };
	struct strbuf text = { 0 };
	struct json *j = json_new_object();
	json_set_string(j, "faultcode", "Client");
	json_set_string(j, "faultstring",
			"405 Method Not Allowed: The method is not allowed for the requested URL.");
	json_print(j, &text);
	const struct web_reply_head head = { .status = 405,
					     .content_type = "application/json",
					     .headers = headers };
	web_reply(r, &head, text.data, text.len);
	strbuf_done(&text);
	json_free(j);
}

static void refuse(void *data, struct web_request *r, int status, const char *allow)
{
	(void)data;
	if (status == 405)
		wrong_method(r, allow);
	else
		fault(r, status, "404 Not Found: The requested URL was not found on the server.");
}

const struct web_router agent_api_router = {
	.rows = rows, .trim_slashes = true, .admit = admit, .refuse = refuse
};

static void handle(void *data, struct web_request *r)
{
	web_router_run(&agent_api_router, data, r);
}

/* --- life ------------------------------------------------------------------------------------ */

struct agent_api *agent_api_new(const struct agent_api_options *options)
{
	struct agent_api *a = xcalloc(1, sizeof(*a));
	a->options = *options;
	a->started_at = loop_wall(options->loop);
	list_init(&a->commands);
	timer_init(&a->effect, options->loop, "command effect", on_effect, a);
	return a;
}

static void command_free(struct command *c)
{
	json_free(c->params);
	json_free(c->result);
	json_free(c->error);
	free(c);
}

struct agent_api *agent_api_free(struct agent_api *a)
{
	if (!a)
		return NULL;
	agent_api_close(a);
	timer_stop(&a->effect);
	list_for_each_safe(n, &a->commands)
		command_free(list_entry(n, struct command, node));
	secret_free(a->token);
	free(a);
	return NULL;
}

void agent_api_set_token(struct agent_api *a, const char *token)
{
	secret_free(a->token);
	a->token = xstrdup(token);
}

int agent_api_listen(struct agent_api *a, const struct agent_api_listener *l, struct err *err)
{
	const struct web_route all[] = {
		{ .prefix = "/",
		  .loop = a->options.loop,
		  .handler = handle,
		  .data = a,
		  .max_body_bytes = BODY_MAX },
		{ 0 },
	};
	const struct web_server_options options = {
		.name = "agent API",
		.address = l->address,
		.port = l->port,
		.cert = l->cert,
		.key = l->key,
		.routes = all,
		.max_connections = 64,
	};
	return web_server_open(l->web, &options, &a->server, err);
}

void agent_api_close(struct agent_api *a)
{
	if (a->server)
		a->server = web_server_close(a->server);
}

uint16_t agent_api_port(const struct agent_api *a)
{
	return a->server ? web_server_port(a->server) : 0;
}

bool agent_api_busy(const struct agent_api *a)
{
	return a->running != NULL;
}
