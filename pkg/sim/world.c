/* See world.h. An agent here does what ironic-python-agent does on the wire: post the inventory,
 * look itself up, beat, run one command at a time. Everything takes virtual time; everything random
 * comes from the loop. */

#include "sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* One message on its way, either way. */
struct agent_call {
	struct world *world;
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
	struct machine *machine;
	uint64_t boot_serial;
};

void world_break(struct world *w, const char *fmt, ...)
{
	if (*w->broken)
		return;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(w->broken, sizeof(w->broken), fmt, ap);
	va_end(ap);
}

static bool chance(struct world *w, unsigned permille)
{
	return permille && loop_random_below(w->loop, 1000) < permille;
}

static usec_t about(struct world *w, usec_t span)
{
	return span / 2 + loop_random_below(w->loop, span + 1);
}

/* --- the agent's posts
 * ------------------------------------------------------------------------------------------ */

static void agent_next(struct machine *m, int next, usec_t delay)
{
	m->next = (__typeof__(m->next))next;
	timer_set_in(&m->timer, delay);
}

static void again(struct machine *m)
{
	/* IPA's pauses: 5 to 30 s for the inspection, growing from 1 s for the rest. */
	usec_t pause = m->next == AGENT_POST
			       ? 5 * USEC_PER_SEC +
					 loop_random_below(m->world->loop, 25 * USEC_PER_SEC)
			       : USEC_PER_SEC + about(m->world, 5 * USEC_PER_SEC);
	agent_next(m, (int)m->next, pause);
}

static struct post *post_new(struct machine *m)
{
	struct post *p = xmalloc(sizeof(*p));
	*p = (struct post){ m, m->boot_serial };
	return p;
}

/* The machine, if it still runs the boot that asked and the answer did not get lost. */
static struct machine *post_take(void *data)
{
	struct post *p = data;
	struct machine *m = p->machine;
	bool same = m->boot_serial == p->boot_serial && m->run == RUN_RAMDISK;
	free(p);
	return same ? m : NULL;
}

static void on_inspection(void *data, int status, const struct json *body)
{
	(void)body;
	struct machine *m = post_take(data);
	if (!m || m->next != AGENT_POST)
		return;
	bool lost = chance(m->world, m->world->faults.answer_lost);
	if ((lost || status == 404 || status == 409 || status >= 500) && ++m->posts < 5)
		again(m);
	else
		agent_next(m, AGENT_LOOKUP, USEC_PER_MSEC);
}

static void on_lookup(void *data, int status, const struct json *body)
{
	struct machine *m = post_take(data);
	if (!m || m->next != AGENT_LOOKUP)
		return;
	const char *token = json_get_path_string(body, "config.agent_token");
	if (status != 200 || chance(m->world, m->world->faults.answer_lost)) {
		again(m);
		return;
	}
	if (streq(token, "******")) {
		m->next = AGENT_IDLE; /* as IPA: no API, no network */
		timer_stop(&m->timer);
		return;
	}
	str_replace(&m->token, token);
	str_replace(&m->node_uuid, json_get_path_string(body, "node.uuid"));
	agent_next(m, AGENT_BEAT, USEC_PER_MSEC);
}

static void on_heartbeat(void *data, int status, const struct json *body)
{
	(void)body;
	struct machine *m = post_take(data);
	if (!m || m->next != AGENT_BEAT)
		return;
	usec_t pace = 90 * USEC_PER_SEC + loop_random_below(m->world->loop, 90 * USEC_PER_SEC);
	agent_next(m, AGENT_BEAT,
		   status == 202 ? pace : 5 * USEC_PER_SEC + about(m->world, 5 * USEC_PER_SEC));
}

static struct json *inventory(const struct machine *m)
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
	return j;
}

static void agent_speaks(void *data)
{
	struct machine *m = data;
	struct engine *e = m->world->engine;
	if (!e || chance(m->world, m->world->faults.call_lost)) {
		/* Nobody there: connection refused. */
		if (m->next == AGENT_POST && ++m->posts >= 5)
			m->next = AGENT_LOOKUP;
		again(m);
		return;
	}
	switch (m->next) {
	case AGENT_POST:
		engine_agent_inspection(e, inventory(m), m->address, on_inspection, post_new(m));
		break;
	case AGENT_LOOKUP:
		engine_agent_lookup(e, m->mac, NULL, m->address, on_lookup, post_new(m));
		break;
	case AGENT_BEAT: {
		_cleanup_(json_freep) struct json *body = json_new_object();
		json_set_string(body, "callback_url", m->url);
		json_set_string(body, "agent_token", m->token);
		json_set_string(body, "agent_version", "1.0");
		json_set_string(body, "agent_verify_ca", "certificate");
		engine_agent_heartbeat(e, m->node_uuid, body, m->address, on_heartbeat,
				       post_new(m));
		break;
	}
	case AGENT_IDLE:
		break;
	}
}

/* --- the agent's commands
 * ------------------------------------------------------------------------------------------- */

static struct json *last_command(struct machine *m)
{
	struct json *last = NULL;
	for (struct json *c = json_first_mut(m->commands); c; c = json_next_mut(c))
		last = c;
	return last;
}

bool machine_works(struct machine *m)
{
	return streq(json_get_string(last_command(m), "command_status"), "RUNNING");
}

static void end_command(struct machine *m, const char *error)
{
	struct json *c = last_command(m);
	json_set_string(c, "command_status", error ? "FAILED" : "SUCCEEDED");
	const char *name = json_get_string(c, "command_name");
	if (error)
		json_set_string(json_set(c, "command_error", json_new_object()), "details", error);
	else if (str_has_prefix(name, "execute_")) /* as agents do, it says whose result it is */
		json_set(json_make_object(c, "command_result"), name + strlen("execute_"),
			 json_dup(m->step));
	if (m->next == AGENT_BEAT)
		agent_next(m, AGENT_BEAT, 5 * USEC_PER_SEC);
}

static void machine_hangs(struct machine *m)
{
	m->run = RUN_NOTHING;
	timer_stop(&m->timer);
	timer_stop(&m->work);
}

static void write_ends(struct machine *m)
{
	struct world *w = m->world;
	if (chance(w, w->faults.agent_dies)) {
		machine_hangs(m);
		return;
	}
	if (chance(w, w->faults.write_fails)) {
		end_command(m, "checksum of the image is wrong");
		return;
	}
	m->disk = DISK_WRITTEN;
	str_replace(&m->image, m->writing);
	m->writes_done++;
	end_command(m, NULL);
}

static bool steps_by(const struct machine *m, const char *name, const char *command,
		     const char *step)
{
	return streq(name, command) && streq(json_get_string(m->step, "step"), step);
}

static void other_step_ends(struct machine *m)
{
	_cleanup_(freep) char *args = json_get(m->step, "args")
					      ? json_to_string(json_get(m->step, "args"))
					      : NULL;
	strbuf_addf(&m->other, "%s %s %s\n", str_or(json_get_string(m->step, "interface"), "?"),
		    str_or(json_get_string(m->step, "step"), "?"), str_or(args, "none"));
	end_command(m, NULL);
}

static void work_ends(void *data)
{
	struct machine *m = data;
	const char *name = json_get_string(last_command(m), "command_name");
	if (steps_by(m, name, "execute_deploy_step", "write_image")) {
		write_ends(m);
	} else if (streq(name, "execute_deploy_step")) {
		other_step_ends(m);
	} else if (streq(name, "execute_clean_step") &&
		   !steps_by(m, name, "execute_clean_step", "erase_devices_metadata")) {
		other_step_ends(m);
	} else if (streq(name, "execute_clean_step")) {
		m->disk = DISK_BLANK;
		m->cleaned = true;
		m->cleans++;
		end_command(m, NULL);
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

static void begin_write(struct machine *m, const struct json *params)
{
	const struct json *info = json_get_path(params, "step.args.image_info");
	const char *refusal = stock_refuses(info);
	if (refusal)
		world_break(m->world, "%s: image_info refused by the stock agent: %s", m->mac,
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
	if (m->disk == DISK_FOREIGN)
		world_break(m->world, "%s: image written over an uncleaned disk", m->mac);
	m->disk = DISK_HALF;
	str_replace(&m->image, NULL);
	timer_set_in(&m->work, about(m->world, m->world->write_time));
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

static struct json *start_command(struct machine *m, const struct json *body, struct err *err)
{
	const char *full = json_get_string(body, "name"), *name = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (streq(full, known[i].full) && !(m->stock && streq(full, "ingot.choose_disk")))
			name = known[i].name;
	if (!name || machine_works(m)) {
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
					       : about(m->world, m->world->clean_time));
	return json_dup(c);
}

static struct json *progress(struct machine *m)
{
	struct world *w = m->world;
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

/* --- the link
 * ---------------------------------------------------------------------------------------------------------
 */

static struct machine *by_url(struct world *w, const char *url)
{
	list_for_each(l, &w->machines) {
		struct machine *m = list_entry(l, struct machine, link);
		if (streq(m->url, url))
			return m;
	}
	return NULL;
}

/* True: answered so. */
static bool answer_badly(struct agent_call *c)
{
	switch (c->world->faults.answer) {
	case ANSWER_WELL:
		return false;
	case ANSWER_ERROR:
		err_set_code(&c->err, ERR_PROTOCOL, 500, "the agent answered 500");
		break;
	case ANSWER_BUSY:
		if (!c->body)
			return false;
		err_set_code(&c->err, ERR_BUSY, 409, "the agent answered 409: Agent is busy");
		break;
	case ANSWER_NONSENSE:
		c->answer = json_new_object();
		break;
	case ANSWER_EMPTY:
		if (c->body)
			return false;
		c->answer = json_new_object();
		json_set(c->answer, "commands", json_new_array());
		break;
	case ANSWER_NOT:
		err_set_code(&c->err, ERR_TIMEOUT, 28, "no answer from %s", c->url);
		break;
	}
	return true;
}

static void arrive(struct agent_call *c)
{
	struct machine *m = by_url(c->world, c->url);
	if (!m || m->run != RUN_RAMDISK || !m->token ||
	    chance(c->world, c->world->faults.call_lost)) {
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
	if (chance(c->world, c->world->faults.answer_lost)) {
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
	c->world = container_of(link, struct world, link);
	if (str_empty(endpoint->key))
		world_break(c->world, "a request to %s names no host for the fence", endpoint->url);
	c->url = xstrdup(endpoint->url);
	c->token = xstrdup(endpoint->token);
	c->path = xstrdup(path);
	c->body = body ? json_dup(body) : NULL;
	c->done = done;
	c->data = data;
	timer_init(&c->timer, c->world->loop, "call", on_call, c);
	timer_set_in(&c->timer, about(c->world, 5 * USEC_PER_MSEC));
	return c;
}

/* --- machines
 * ------------------------------------------------------------------------------------------------------------
 */

static void boot_disk(struct machine *m)
{
	switch (m->disk) {
	case DISK_HALF: /* the real agent withholds what makes a disk bootable until the image is
			   whole */
	case DISK_BLANK:
		m->run = RUN_NOTHING;
		break;
	case DISK_WRITTEN:
	case DISK_FOREIGN:
		m->run = RUN_OS;
		m->os_boots += m->disk == DISK_WRITTEN;
		break;
	}
}

static void boot_ramdisk(struct machine *m, const struct engine_boot *boot)
{
	struct world *w = m->world;
	m->ramdisk_boots++;
	if (w->on_ramdisk)
		w->on_ramdisk(w, m);
	m->run = RUN_RAMDISK;
	m->posts = 0;
	m->inspect = boot->inspect;
	json_free(m->commands);
	m->commands = json_new_array();
	if (chance(w, w->faults.boot_fails)) {
		machine_hangs(m);
		return;
	}
	agent_next(m, m->inspect ? AGENT_POST : AGENT_LOOKUP, about(w, w->boot_time));
}

/* The firmware asks the network; without an answer (Ingot is dead) it goes on to the disk, as PXE
 * does. */
static void on_firmware(void *data)
{
	struct machine *m = data;
	struct engine *engine = m->world->engine;
	struct engine_boot boot;
	struct net_mac mac;
	timer_init(&m->timer, m->world->loop, "machine", agent_speaks, m);
	bool found = engine && net_parse_mac(m->mac, &mac) == 0 &&
		     engine_boot_find(engine, &mac, &boot);
	if (found && boot.ramdisk)
		boot_ramdisk(m, &boot);
	else
		boot_disk(m);
}

static void machine_stops(struct machine *m)
{
	if (m->writing && machine_works(m) && m->disk == DISK_HALF)
		str_replace(&m->writing, NULL);
	timer_stop(&m->timer);
	timer_stop(&m->work);
	m->boot_serial++;
	m->token = secret_free(m->token);
	m->run = RUN_OFF;
}

void machine_reset(struct machine *m)
{
	machine_stops(m);
	boot_disk(m);
}

static void on_power(void *data, struct fake_machine *bmc, enum fake_event event,
		     const struct bmc_boot *boot)
{
	(void)bmc;
	struct machine *m = data;
	machine_stops(m);
	if (event == FAKE_EVENT_OFF)
		return;
	if (boot->device != BMC_DEVICE_PXE) {
		boot_disk(m);
		return;
	}
	m->run = RUN_FIRMWARE;
	m->posts = 0;
	timer_init(&m->timer, m->world->loop, "firmware", on_firmware, m);
	timer_set_in(&m->timer, about(m->world, 10 * USEC_PER_SEC));
}

struct machine *world_add(struct world *w, unsigned n)
{
	struct machine *m = xcalloc(1, sizeof(*m));
	_cleanup_(freep) char *host = xasprintf("10.1.%u.%u", n >> 8, n & 255);
	m->world = w;
	m->mac = xasprintf("52:54:00:00:%02x:%02x", n >> 8 & 255, n & 255);
	m->address = xasprintf("10.2.%u.%u", n >> 8, n & 255);
	m->url = xasprintf("https://%s:9999", m->address);
	m->disk = DISK_FOREIGN;
	m->commands = json_new_array();
	m->bmc = fake_machine_add(w->driver, host);
	m->bmc->on_event = on_power;
	m->bmc->data = m;
	timer_init(&m->timer, w->loop, "machine", agent_speaks, m);
	timer_init(&m->work, w->loop, "work", work_ends, m);
	list_append(&w->machines, &m->link);
	return m;
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

void world_init(struct world *w, struct loop *loop)
{
	static const struct agent_link_ops ops = { request, cancel, no_free };
	*w = (struct world){ .loop = loop, .link.ops = &ops };
	w->boot_time = 30 * USEC_PER_SEC;
	w->write_time = 5 * USEC_PER_MIN;
	w->clean_time = 5 * USEC_PER_SEC;
	w->driver = fake_driver_new(loop);
	for (size_t i = 0; i < ARRAY_SIZE(w->drivers.drivers); i++)
		w->drivers.drivers[i] = w->driver;
	list_init(&w->machines);
}

void world_done(struct world *w)
{
	list_for_each_safe(l, &w->machines) {
		struct machine *m = list_entry(l, struct machine, link);
		timer_stop(&m->timer);
		timer_stop(&m->work);
		json_free(m->commands);
		secret_free(m->token);
		free(m->mac), free(m->address), free(m->url), free(m->image), free(m->writing),
			free(m->reads_from), free(m->node_uuid), free(m->asked),
			json_free(m->image_info), json_free(m->step);
		strbuf_done(&m->other);
		free(m);
	}
	bmc_driver_free(w->driver);
}
