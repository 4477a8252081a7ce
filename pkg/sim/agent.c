/* An agent of the simulated world. It does what ironic-python-agent does on the wire: post the
 * inventory, look itself up, beat, run one command at a time; and the link by which the engine
 * calls it. Everything takes virtual time; everything random comes from the loop. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "sim/internal.h"

/* One message on its way, either way. */
struct agent_call {
	struct sim_world *world;
	struct timer timer;
	char *url, *token, *path;
	struct json *body;
	agent_done_fn done;
	void *data;
	struct json *answer;
	struct err err;
	bool arrived;
};

/* An answer of the engine to an agent. */
struct post {
	struct sim_machine *machine;
	uint64_t boot_serial;
};

/* --- the agent's posts ----------------------------------------------------------------------- */

void sim_agent_next(struct sim_machine *m, int next, usec_t delay)
{
	m->next = (__typeof__(m->next))next;
	timer_set_in(&m->timer, delay);
}

static void again(struct sim_machine *m)
{
	/* IPA's pauses: 5 to 30 s for the inspection, growing from 1 s for the rest. */
	usec_t pause = m->next == SIM_AGENT_POST
			       ? 5 * USEC_PER_SEC +
					 loop_random_below(m->world->loop, 25 * USEC_PER_SEC)
			       : USEC_PER_SEC + sim_about(m->world, 5 * USEC_PER_SEC);
	sim_agent_next(m, (int)m->next, pause);
}

static struct post *post_new(struct sim_machine *m)
{
	struct post *p = xmalloc(sizeof(*p));
	*p = (struct post){ m, m->boot_serial };
	return p;
}

/* The machine, if it still runs the boot that asked and the answer did not get lost. */
static struct sim_machine *post_take(void *data)
{
	struct post *p = data;
	struct sim_machine *m = p->machine;
	bool same = m->boot_serial == p->boot_serial && m->run == SIM_RUN_RAMDISK;
	free(p);
	return same ? m : NULL;
}

static void on_inspection(void *data, int status, const struct json *body)
{
	(void)body;
	struct sim_machine *m = post_take(data);
	if (!m || m->next != SIM_AGENT_POST)
		return;
	bool lost = sim_chance(m->world, m->world->faults.answer_lost);
	if ((lost || status == 404 || status == 409 || status >= 500) && ++m->posts < 5)
		again(m);
	else
		sim_agent_next(m, SIM_AGENT_LOOKUP, USEC_PER_MSEC);
}

static void on_lookup(void *data, int status, const struct json *body)
{
	struct sim_machine *m = post_take(data);
	if (!m || m->next != SIM_AGENT_LOOKUP)
		return;
	const char *token = json_get_path_string(body, "config.agent_token");
	if (status != 200 || sim_chance(m->world, m->world->faults.answer_lost)) {
		again(m);
		return;
	}
	if (streq(token, "******") && m->token) { /* the medium brought it */
		sim_agent_next(m, SIM_AGENT_BEAT, USEC_PER_MSEC);
		return;
	}
	if (streq(token, "******")) {
		m->next = SIM_AGENT_IDLE; /* as IPA: no API, no network */
		timer_stop(&m->timer);
		return;
	}
	str_replace(&m->token, token);
	str_replace(&m->node_uuid, json_get_path_string(body, "node.uuid"));
	sim_agent_next(m, SIM_AGENT_BEAT, USEC_PER_MSEC);
}

static void on_heartbeat(void *data, int status, const struct json *body)
{
	(void)body;
	struct sim_machine *m = post_take(data);
	if (!m || m->next != SIM_AGENT_BEAT)
		return;
	usec_t pace = 90 * USEC_PER_SEC + loop_random_below(m->world->loop, 90 * USEC_PER_SEC);
	sim_agent_next(m, SIM_AGENT_BEAT,
		       status == 202 ? pace
				     : 5 * USEC_PER_SEC + sim_about(m->world, 5 * USEC_PER_SEC));
}

static struct json *inventory(const struct sim_machine *m)
{
	char text[512];
	snprintf(
		text, sizeof(text),
		"{\"inventory\":{\"interfaces\":[{\"name\":\"eth0\",\"mac_address\":\"%s\",\"ipv4_address\":\"%s\"}],"
		"\"disks\":[{\"name\":\"/dev/sda\",\"size\":10737418240,\"rotational\":false,\"serial\":\"S%s\"}],"
		"\"cpu\":{\"count\":4,\"architecture\":\"x86_64\",\"frequency\":\"2000.0\",\"flags\":[]},"
		"\"memory\":{\"physical_mb\":4096},\"boot\":{\"current_boot_mode\":\"bios\"},"
		"\"system_vendor\":{},\"hostname\":\"localhost\"}}",
		m->mac, m->address, m->mac);
	struct json *j = NULL;
	json_parse(text, strlen(text), &j, NULL);
	if (m->token) { /* a medium brought both */
		json_set_string(j, "node_uuid", m->node_uuid);
		json_set_string(j, "agent_token", m->token);
	}
	return j;
}

void sim_agent_speak(void *data)
{
	struct sim_machine *m = data;
	struct engine *e = m->world->engine;
	if (!e || sim_chance(m->world, m->world->faults.call_lost)) {
		/* Nobody there: connection refused. */
		if (m->next == SIM_AGENT_POST && ++m->posts >= 5)
			m->next = SIM_AGENT_LOOKUP;
		again(m);
		return;
	}
	switch (m->next) {
	case SIM_AGENT_POST:
		engine_agent_inspection(e, inventory(m), m->address, on_inspection, post_new(m));
		break;
	case SIM_AGENT_LOOKUP:
		engine_agent_lookup(e, m->mac, m->token ? m->node_uuid : NULL, m->address,
				    on_lookup, post_new(m));
		break;
	case SIM_AGENT_BEAT: {
		_cleanup_(json_freep) struct json *body = json_new_object();
		json_set_string(body, "callback_url", m->url);
		json_set_string(body, "agent_token", m->token);
		json_set_string(body, "agent_version", "1.0");
		json_set_string(body, "agent_verify_ca", "certificate");
		engine_agent_heartbeat(e, m->node_uuid, body, m->address, on_heartbeat,
				       post_new(m));
		break;
	}
	case SIM_AGENT_IDLE:
		break;
	}
}

/* --- the agent's commands -------------------------------------------------------------------- */

static struct json *last_command(struct sim_machine *m)
{
	struct json *last = NULL;
	for (struct json *c = json_first_mut(m->commands); c; c = json_next_mut(c))
		last = c;
	return last;
}

bool sim_machine_works(struct sim_machine *m)
{
	return streq(json_get_string(last_command(m), "command_status"), "RUNNING");
}

static void end_command(struct sim_machine *m, const char *error)
{
	struct json *c = last_command(m);
	json_set_string(c, "command_status", error ? "FAILED" : "SUCCEEDED");
	const char *name = json_get_string(c, "command_name");
	if (error)
		json_set_string(json_set(c, "command_error", json_new_object()), "details", error);
	else if (str_has_prefix(name, "execute_")) /* as agents do, it says whose result it is */
		json_set(json_make_object(c, "command_result"), name + strlen("execute_"),
			 json_dup(m->step));
	if (m->next == SIM_AGENT_BEAT)
		sim_agent_next(m, SIM_AGENT_BEAT, 5 * USEC_PER_SEC);
}

void sim_machine_hang(struct sim_machine *m)
{
	m->run = SIM_RUN_NOTHING;
	timer_stop(&m->timer);
	timer_stop(&m->work);
}

static void write_ends(struct sim_machine *m)
{
	struct sim_world *w = m->world;
	if (sim_chance(w, w->faults.agent_dies)) {
		sim_machine_hang(m);
		return;
	}
	if (sim_chance(w, w->faults.write_fails)) {
		end_command(m, "checksum of the image is wrong");
		return;
	}
	m->disk = SIM_DISK_WRITTEN;
	str_replace(&m->image, m->writing);
	m->writes_done++;
	end_command(m, NULL);
}

static bool steps_by(const struct sim_machine *m, const char *name, const char *command,
		     const char *step)
{
	return streq(name, command) && streq(json_get_string(m->step, "step"), step);
}

static void other_step_ends(struct sim_machine *m)
{
	_cleanup_(freep) char *args = json_get(m->step, "args")
					      ? json_to_string(json_get(m->step, "args"))
					      : NULL;
	strbuf_addf(&m->other, "%s %s %s\n", str_or(json_get_string(m->step, "interface"), "?"),
		    str_or(json_get_string(m->step, "step"), "?"), str_or(args, "none"));
	end_command(m, NULL);
}

void sim_agent_work_ends(void *data)
{
	struct sim_machine *m = data;
	const char *name = json_get_string(last_command(m), "command_name");
	if (steps_by(m, name, "execute_deploy_step", "write_image")) {
		write_ends(m);
	} else if (steps_by(m, name, "execute_clean_step", "erase_devices_metadata")) {
		m->disk = SIM_DISK_BLANK;
		m->cleaned = true;
		m->cleans++;
		end_command(m, NULL);
	} else if (str_has_prefix(name, "execute_")) {
		other_step_ends(m);
	} else if (streq(name, "install_bootloader")) {
		m->boot_entries++;
		end_command(m, NULL);
	} else if (streq(name, "choose_disk")) {
		json_set_string(json_make_object(last_command(m), "command_result"), "name",
				"/dev/sda");
		m->choices++;
		end_command(m, m->no_disk ? "no disk matches" : NULL);
	} else {
		end_command(m, NULL);
		fake_machine_set_power(m->bmc, BMC_POWER_OFF);
	}
}

/* As the stock agent's _validate_image_info (10.2 and 13) does before anything else. */
static const char *stock_refuses(const struct json *info)
{
	const char *id = json_get_string(info, "id"), *sum = json_get_string(info, "checksum");
	bool algo = json_get(info, "os_hash_algo"), value = json_get(info, "os_hash_value");
	if (!id || !*id || strchr(id, '/'))
		return "no file can have its id as name";
	if (json_count(json_get(info, "urls")) == 0)
		return "no urls";
	if (json_get(info, "checksum") && (!sum || !*sum))
		return "'checksum' must be a non-empty string";
	if (algo && str_empty(json_get_string(info, "os_hash_algo")))
		return "'os_hash_algo' must be a non-empty string";
	if (value && str_empty(json_get_string(info, "os_hash_value")))
		return "'os_hash_value' must be a non-empty string";
	if (algo != value)
		return "half of the pair os_hash_algo and os_hash_value";
	return algo || sum ? NULL : "no checksum";
}

static void begin_write(struct sim_machine *m, const struct json *params)
{
	const struct json *info = json_get_path(params, "step.args.image_info");
	const char *refusal = stock_refuses(info);
	if (refusal)
		sim_world_break(m->world, "%s: image_info refused by the stock agent: %s", m->mac,
				refusal);
	json_free(m->image_info);
	m->image_info = json_dup(info);
	struct strbuf urls = { 0 };
	json_for_each(url, json_get(info, "urls"))
		strbuf_addf(&urls, "%s%s", urls.len ? " " : "", json_string(url));
	free(m->reads_from);
	m->reads_from = strbuf_take(&urls, NULL);
	str_replace(&m->writing, json_get_string(info, "checksum"));
	m->writes_begun++;
	m->write_began = loop_now(m->world->loop);
	if (m->disk == SIM_DISK_FOREIGN)
		sim_world_break(m->world, "%s: image written over an uncleaned disk", m->mac);
	m->disk = SIM_DISK_HALF;
	str_replace(&m->image, NULL);
	timer_set_in(&m->work, sim_about(m->world, m->world->write_time));
}

static const struct {
	const char *full, *name;
} known[] = {
	{ "clean.execute_clean_step", "execute_clean_step" },
	{ "deploy.execute_deploy_step", "execute_deploy_step" },
	{ "image.install_bootloader", "install_bootloader" },
	{ "standby.power_off", "power_off" },
	{ "ingot.choose_disk", "choose_disk" },
};

static struct json *start_command(struct sim_machine *m, const struct json *body, struct err *err)
{
	const char *full = json_get_string(body, "name"), *name = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (streq(full, known[i].full) && !(m->stock && streq(full, "ingot.choose_disk")))
			name = known[i].name;
	if (!name || sim_machine_works(m)) {
		err_set_code(err, ERR_BUSY, name ? 409 : 404, "the agent answered %d",
			     name ? 409 : 404);
		return NULL;
	}
	struct json *c = json_append(m->commands, json_new_object());
	json_set_string(c, "id", name);
	json_set_string(c, "command_name", name);
	json_set_string(c, "command_status", "RUNNING");
	if (streq(name, "choose_disk")) {
		free(m->asked);
		m->asked = json_to_string(json_get_path(body, "params.node.properties"));
	}
	if (str_has_prefix(name, "execute_")) {
		json_free(m->step);
		m->step = json_dup(json_get_path(body, "params.step"));
	}
	if (steps_by(m, name, "execute_deploy_step", "write_image"))
		begin_write(m, json_get(body, "params"));
	else
		timer_set_in(&m->work, streq(name, "power_off") || streq(name, "choose_disk")
					       ? USEC_PER_SEC
					       : sim_about(m->world, m->world->clean_time));
	return json_dup(c);
}

static struct json *progress(struct sim_machine *m)
{
	struct sim_world *w = m->world;
	usec_t spent = MIN(loop_now(w->loop) - m->write_began, w->write_time);
	uint64_t done = (uint64_t)((double)w->image_size * (double)spent / (double)w->write_time);
	struct json *answer = json_new_object();
	m->progress_asks++;
	json_set_int(answer, "received_bytes", (int64_t)done);
	json_set_int(answer, "total_bytes", (int64_t)w->image_size);
	json_set_int(answer, "bytes_per_s", spent ? (int64_t)(done * USEC_PER_SEC / spent) : 0);
	if (m->read_trouble) {
		json_set_int(answer, "attempt", 1);
		json_set_int(answer, "attempts", 10);
		json_set_string(answer, "last_error", m->read_trouble);
	}
	return answer;
}

/* --- the link -------------------------------------------------------------------------------- */

static struct sim_machine *by_url(struct sim_world *w, const char *url)
{
	list_for_each(l, &w->machines) {
		struct sim_machine *m = list_entry(l, struct sim_machine, link);
		if (streq(m->url, url))
			return m;
	}
	return NULL;
}

/* True: answered so. */
static bool answer_badly(struct agent_call *c)
{
	switch (c->world->faults.answer) {
	case SIM_ANSWER_WELL:
		return false;
	case SIM_ANSWER_ERROR:
		err_set_code(&c->err, ERR_PROTOCOL, 500, "the agent answered 500");
		break;
	case SIM_ANSWER_BUSY:
		if (!c->body)
			return false;
		err_set_code(&c->err, ERR_BUSY, 409, "the agent answered 409: Agent is busy");
		break;
	case SIM_ANSWER_NONSENSE:
		c->answer = json_new_object();
		break;
	case SIM_ANSWER_EMPTY:
		if (c->body)
			return false;
		c->answer = json_new_object();
		json_set(c->answer, "commands", json_new_array());
		break;
	case SIM_ANSWER_NOT:
		err_set_code(&c->err, ERR_TIMEOUT, 28, "no answer from %s", c->url);
		break;
	}
	return true;
}

static void arrive(struct agent_call *c)
{
	struct sim_machine *m = by_url(c->world, c->url);
	if (!m || m->run != SIM_RUN_RAMDISK || !m->token ||
	    sim_chance(c->world, c->world->faults.call_lost)) {
		err_set_code(&c->err, ERR_TIMEOUT, 28, "no answer from %s",
			     c->url); /* as libcurl has it */
		return;
	}
	if (!streq(m->token, c->token)) {
		err_set_code(&c->err, ERR_DENIED, 401, "the agent answered 401");
		return;
	}
	c->world->calls++;
	if (answer_badly(c))
		return;
	if (c->body) {
		c->answer = start_command(m, c->body, &c->err);
	} else if (str_has_prefix(c->path, "/v1/commands/")) {
		c->answer = json_new_object();
		json_set(c->answer, "commands", json_dup(m->commands));
	} else if (c->world->image_size && streq(c->path, "/v1/ingot/progress")) {
		c->answer = progress(m);
	} else {
		int status = c->world->no_progress ? c->world->no_progress : 404;
		err_set_code(&c->err, ERR_NOT_FOUND, status, "the agent answered %d", status);
	}
	if (sim_chance(c->world, c->world->faults.answer_lost)) {
		c->answer = json_free(c->answer);
		err_set(&c->err, ERR_TIMEOUT, "the answer of %s got lost", c->url);
	}
}

static void call_free(struct agent_call *c)
{
	timer_stop(&c->timer);
	json_free(c->body);
	json_free(c->answer);
	free(c->url), free(c->token), free(c->path);
	free(c);
}

static void on_call(void *data)
{
	struct agent_call *c = data;
	if (!c->arrived) {
		c->arrived = true;
		arrive(c);
		timer_set_in(&c->timer,
			     c->err.kind == ERR_TIMEOUT ? 10 * USEC_PER_SEC : 2 * USEC_PER_MSEC);
		return;
	}
	agent_done_fn done = c->done;
	void *done_data = c->data;
	struct err err = c->err;
	_cleanup_(json_freep) struct json *answer = TAKE_PTR(c->answer);
	call_free(c);
	done(done_data, err.kind != ERR_NONE ? &err : NULL, answer);
}

static struct agent_call *request(struct agent_link *link, const struct agent_endpoint *endpoint,
				  const char *method, const char *path, const struct json *body,
				  usec_t timeout, agent_done_fn done, void *data)
{
	(void)method, (void)timeout;
	struct agent_call *c = xcalloc(1, sizeof(*c));
	c->world = container_of(link, struct sim_world, link);
	if (str_empty(endpoint->key))
		sim_world_break(c->world, "a request to %s names no host for the fence",
				endpoint->url);
	c->url = xstrdup(endpoint->url);
	c->token = xstrdup(endpoint->token);
	c->path = xstrdup(path);
	c->body = body ? json_dup(body) : NULL;
	c->done = done;
	c->data = data;
	timer_init(&c->timer, c->world->loop, "call", on_call, c);
	timer_set_in(&c->timer, sim_about(c->world, 5 * USEC_PER_MSEC));
	return c;
}

static void cancel(struct agent_call *c)
{
	call_free(c);
}

static struct agent_link *no_free(struct agent_link *link)
{
	(void)link;
	return NULL;
}

const struct agent_link_ops sim_agent_ops = { request, cancel, no_free };
