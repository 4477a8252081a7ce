/* The simulated BMCs. A request takes the machine's latency; a change of power happens some time
 * after the BMC has accepted it, as with real ones, so that callers must poll. A BMC whose host has
 * no machine is silent. All randomness is the loop's. Core thread. */

#include "bmc/fake/fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "bmc/driver.h"

enum { SLOW_FACTOR = 20, PERMILLE = 1000 };

struct fake_driver {
	struct bmc_driver base;
	struct bmc_ops ops; /* its own: what it can do may be changed */
	struct map machines;
	struct list open; /* of struct fake_bmc */
};

struct fake_bmc {
	struct bmc base;
	struct list link;
	struct timer answer;
	struct timer echo;
	struct strbuf written; /* to the console */
};

/* Continues without being polled, as in a BMC. */
struct fake_job {
	struct fake_job *next;
	struct fake_machine *machine;
	struct timer end;
	char id[32];
	struct bmc_request request; /* its own copy */
	enum bmc_job_state state;
};

static struct fake_driver *driver_of(const struct bmc *bmc)
{
	return container_of(bmc->driver, struct fake_driver, base);
}

static struct fake_bmc *of(struct bmc *bmc)
{
	return container_of(bmc, struct fake_bmc, base);
}

static struct fake_machine *machine_of(const struct bmc *bmc)
{
	return map_get(&driver_of(bmc)->machines, bmc->address.host);
}

static usec_t stretched(struct loop *loop, usec_t span)
{
	return span + loop_random_below(loop, span / 2 + 1);
}

static bool chance(struct loop *loop, unsigned permille)
{
	return permille > 0 && loop_random_below(loop, PERMILLE) < permille;
}

/* --- machines -------------------------------------------------------------------------------- */

static void boot_host(struct fake_machine *m, enum fake_event event)
{
	struct bmc_boot boot = m->boot;
	bool once = !boot.persistent;
	if (once)
		m->boot = (struct bmc_boot){ 0 };
	if (m->on_event)
		m->on_event(m->data, m, event, &boot);
	if (once)
		secret_free(boot.http_uri);
}

static void keep_boot(struct fake_machine *m, const struct bmc_boot *boot)
{
	secret_free(m->boot.http_uri);
	m->boot = *boot;
	m->boot.http_uri = xstrdup(boot->http_uri);
}

static struct bmc *open_at(struct bmc_driver *driver, const char *host)
{
	struct fake_driver *d = container_of(driver, struct fake_driver, base);
	list_for_each(l, &d->open) {
		struct fake_bmc *b = list_entry(l, struct fake_bmc, link);
		if (streq(b->base.address.host, host))
			return &b->base;
	}
	return NULL;
}

static void report(const struct fake_machine *m, const struct bmc_event *event)
{
	struct bmc *bmc = m->reports ? open_at(m->driver, m->host) : NULL;
	if (bmc)
		bmc_report(bmc, event);
}

void fake_machine_set_power(struct fake_machine *m, enum bmc_power power)
{
	if (m->power == power)
		return;
	m->power = power;
	report(m, &(struct bmc_event){ .kind = BMC_EVENT_POWER, .power = power });
	if (power == BMC_POWER_ON) {
		m->power_ons++;
		boot_host(m, FAKE_EVENT_ON);
		return;
	}
	m->power_offs++;
	if (m->on_event)
		m->on_event(m->data, m, FAKE_EVENT_OFF, &(struct bmc_boot){ 0 });
}

static void on_change(void *data)
{
	struct fake_machine *m = data;
	switch (m->pending) {
	case BMC_ACTION_ON:
		fake_machine_set_power(m, BMC_POWER_ON);
		break;
	case BMC_ACTION_OFF:
	case BMC_ACTION_SOFT:
		fake_machine_set_power(m, BMC_POWER_OFF);
		break;
	case BMC_ACTION_CYCLE:
		fake_machine_set_power(m, BMC_POWER_OFF);
		fake_machine_set_power(m, BMC_POWER_ON);
		break;
	case BMC_ACTION_RESET:
		if (m->power != BMC_POWER_ON)
			break;
		m->resets++;
		boot_host(m, FAKE_EVENT_RESET);
		break;
	}
}

struct fake_machine *fake_machine_add(struct bmc_driver *driver, const char *host)
{
	struct fake_driver *d = container_of(driver, struct fake_driver, base);
	struct fake_machine *m = xcalloc(1, sizeof(*m));
	*m = (struct fake_machine){ .host = xstrdup(host),
				    .power = BMC_POWER_OFF,
				    .info = { "Ingot", "fake", "1.0", "" },
				    .latency = 5 * USEC_PER_MSEC,
				    .power_delay = 500 * USEC_PER_MSEC,
				    .soft_works = true,
				    .mode = BMC_MODE_LEGACY,
				    .job_time = 30 * USEC_PER_SEC,
				    .loop = driver->loop,
				    .driver = driver };
	timer_init(&m->change, driver->loop, "fake machine", on_change, m);
	map_set(&d->machines, host, m);
	return m;
}

/* Results know how to free what the machine has of their kind. */
static void clear_settings(struct bmc_settings *s)
{
	struct bmc_result owner = { .op = BMC_OP_GET_SETTINGS, .settings = *s };
	bmc_result_done(&owner);
	*s = (struct bmc_settings){ 0 };
}

static void clear_log(struct bmc_log *l)
{
	struct bmc_result owner = { .op = BMC_OP_GET_LOG, .log = *l };
	bmc_result_done(&owner);
	*l = (struct bmc_log){ 0 };
}

static void clear_lists(struct fake_machine *m)
{
	struct bmc_result sensors = { .op = BMC_OP_GET_SENSORS, .sensors = m->sensors },
			  raid = { .op = BMC_OP_GET_RAID, .raid = m->raid };
	bmc_result_done(&sensors);
	bmc_result_done(&raid);
	clear_settings(&m->settings);
	clear_log(&m->log);
	m->inventory = json_free(m->inventory);
}

/* As real ones, it forgets nothing that is not named. */
static void settings_merge(struct bmc_settings *into, const struct bmc_settings *from)
{
	for (size_t i = 0; i < from->count; i++) {
		size_t k = 0;
		while (k < into->count && !streq(into->items[k].name, from->items[i].name))
			k++;
		if (k == into->count)
			bmc_settings_add(into, from->items[i].name, from->items[i].value);
		else
			str_replace(&into->items[k].value, from->items[i].value);
	}
}

static void job_free(struct fake_job *j)
{
	timer_stop(&j->end);
	bmc_request_done(&j->request);
	free(j);
}

static void machine_free(struct fake_machine *m)
{
	timer_stop(&m->change);
	for (struct fake_job *j; (j = m->jobs);) {
		m->jobs = j->next;
		job_free(j);
	}
	clear_lists(m);
	secret_free(m->media);
	secret_free(m->media_login);
	secret_free(m->boot.http_uri);
	free(m->host);
	secret_free(m->username);
	secret_free(m->password);
	free(m);
}

/* --- requests -------------------------------------------------------------------------------- */

static bool let_in(const struct bmc *bmc, const struct fake_machine *m)
{
	const struct bmc_credentials *c = &bmc->credentials;
	return (!m->username || streq(m->username, str_or(c->username, ""))) &&
	       (!m->password || str_equal_secret(m->password, str_or(c->password, "")));
}

static void set_power(struct fake_machine *m, const struct bmc_request *request)
{
	if (request->action == BMC_ACTION_SOFT && !m->soft_works)
		return;
	m->pending = request->action;
	timer_set_in(&m->change, stretched(m->loop, m->power_delay));
}

static void create_volume(struct fake_machine *m, const struct bmc_volume *wanted)
{
	char id[32];
	struct bmc_volume made = *wanted;
	snprintf(id, sizeof(id), "volume-%u", ++m->volumes_made);
	made.id = id;
	bmc_raid_add_volume(&m->raid, &made);
}

/* By making the list anew without it. */
static void delete_volume(struct fake_machine *m, const struct bmc_volume *volume)
{
	struct bmc_result old = { .op = BMC_OP_GET_RAID, .raid = m->raid };
	struct bmc_volumes *v = &old.raid.volumes;
	m->raid = (struct bmc_raid){ 0 };
	for (size_t i = 0; i < old.raid.drives.count; i++)
		bmc_raid_add_drive(&m->raid, &old.raid.drives.items[i]);
	for (size_t i = 0; i < v->count; i++)
		if (!streq(v->items[i].id, volume->id) ||
		    !streq(v->items[i].controller, volume->controller))
			bmc_raid_add_volume(&m->raid, &v->items[i]);
	bmc_result_done(&old);
}

static void job_carry_out(struct fake_job *j)
{
	struct fake_machine *m = j->machine;
	if (j->request.op == BMC_OP_SET_SETTINGS)
		settings_merge(&m->settings, &j->request.settings);
	else if (j->request.op == BMC_OP_CREATE_VOLUME)
		create_volume(m, &j->request.volume);
	else if (j->request.op == BMC_OP_DELETE_VOLUME)
		delete_volume(m, &j->request.volume);
	else
		snprintf(m->info.version, sizeof(m->info.version), "from %s",
			 j->request.firmware.url);
}

static void on_job_end(void *data)
{
	struct fake_job *j = data;
	j->state = j->machine->jobs_fail ? BMC_JOB_FAILED : BMC_JOB_DONE;
	if (j->state == BMC_JOB_DONE)
		job_carry_out(j);
	const struct bmc_job job = { .id = j->id, .state = j->state };
	report(j->machine, &(struct bmc_event){ .kind = BMC_EVENT_JOB, .job = &job });
}

static void job_tell(const struct fake_job *j, struct bmc_job *ret)
{
	static const char *const texts[] = { "under way", "reset the host", "done", "it broke" };
	*ret = (struct bmc_job){ .id = xstrdup(j->id),
				 .text = xstrdup(texts[j->state]),
				 .state = j->state,
				 .percent = j->state == BMC_JOB_DONE ? 100 : 0 };
}

static void job_begin(struct fake_machine *m, const struct bmc_request *request,
		      struct bmc_job *ret)
{
	struct fake_job *j = xcalloc(1, sizeof(*j));
	j->machine = m;
	j->next = m->jobs;
	m->jobs = j;
	snprintf(j->id, sizeof(j->id), "JID_%u", ++m->jobs_begun);
	bmc_request_dup(request, &j->request);
	timer_init(&j->end, m->loop, "fake job", on_job_end, j);
	timer_set_in(&j->end, stretched(m->loop, m->job_time));
	job_tell(j, ret);
	if (m->jobs_without_id)
		str_replace(&ret->id, NULL);
}

static void job_look(const struct fake_machine *m, const char *id, struct bmc_result *result)
{
	for (const struct fake_job *j = m->jobs; j; j = j->next)
		if (streq(j->id, id)) {
			job_tell(j, &result->job);
			return;
		}
	err_set(&result->err, ERR_NOT_FOUND, "BMC %s knows no job \"%s\" (simulated)", m->host,
		str_or(id, ""));
}

/* "http://192.0.2.1:80" of "http://192.0.2.1:80/x": by it a driver knows its own images. */
static size_t origin_len(const char *url)
{
	const char *host = strstr(url, "://");
	return host ? (size_t)(host + 3 - url) + strcspn(host + 3, "/") : strlen(url);
}

static bool is_of(const char *image, const char *url)
{
	size_t len = url ? origin_len(url) : 0;
	return !url || (origin_len(image) == len && strncmp(image, url, len) == 0);
}

static bool slot_taken(const struct fake_machine *m, const struct bmc_media *media, struct err *err)
{
	if (!m->media || media->replace || is_of(m->media, media->url))
		return false;
	err_set(err, ERR_CONFLICT, "BMC %s has %s inserted by another client (simulated)", m->host,
		m->media);
	return true;
}

static void insert(struct fake_machine *m, const struct bmc_media *media)
{
	secret_free(m->media_login);
	m->media_login = media->username
				 ? xasprintf("%s:%s", media->username, str_or(media->password, ""))
				 : NULL;
	str_replace(&m->media, media->url);
}

static void eject(struct fake_machine *m)
{
	insert(m, &(struct bmc_media){ 0 });
}

/* Copies: what the machine has stays its own. */
static void look_at_hardware(const struct fake_machine *m, enum bmc_op op,
			     struct bmc_result *result)
{
	struct bmc_result own = { .op = op };
	if (op == BMC_OP_GET_SENSORS)
		own.sensors = m->sensors;
	else if (op == BMC_OP_GET_LOG)
		own.log = m->log;
	else if (op == BMC_OP_GET_RAID)
		own.raid = m->raid;
	else
		own.inventory = m->inventory;
	bmc_result_dup(&own, result);
}

static void carry_out(struct fake_machine *m, const struct bmc_request *request,
		      struct bmc_result *result)
{
	bool ignored = chance(m->loop, m->faults.ignored);
	switch (request->op) {
	case BMC_OP_GET_POWER:
		result->power = m->power;
		break;
	case BMC_OP_SET_POWER:
		if (!ignored)
			set_power(m, request);
		break;
	case BMC_OP_GET_BOOT:
		result->boot = m->boot;
		result->boot.http_uri = xstrdup(m->boot.http_uri);
		break;
	case BMC_OP_SET_BOOT:
		if (!ignored)
			keep_boot(m, &request->boot);
		m->boot_changes++;
		break;
	case BMC_OP_GET_INFO:
		result->info = m->info;
		break;
	case BMC_OP_GET_BOOT_MODE:
		result->mode = m->mode;
		break;
	case BMC_OP_SET_BOOT_MODE:
		if (!ignored)
			m->mode = request->mode;
		break;
	case BMC_OP_GET_MEDIA:
		result->media.url = xstrdup(m->media);
		break;
	case BMC_OP_INSERT_MEDIA:
		if (!slot_taken(m, &request->media, &result->err) && !ignored) {
			m->inserts++;
			insert(m, &request->media);
		}
		break;
	case BMC_OP_EJECT_MEDIA:
		m->ejects_of_all += request->media.url == NULL;
		if (!ignored && m->media && is_of(m->media, request->media.url)) {
			m->ejects++;
			eject(m);
		}
		break;
	case BMC_OP_GET_SETTINGS:
		settings_merge(&result->settings, &m->settings);
		break;
	case BMC_OP_SET_SETTINGS:
	case BMC_OP_UPDATE_FIRMWARE:
	case BMC_OP_CREATE_VOLUME:
	case BMC_OP_DELETE_VOLUME:
		job_begin(m, request, &result->job);
		break;
	case BMC_OP_GET_JOB:
		job_look(m, request->job.id, result);
		break;
	case BMC_OP_SEND_NMI:
		m->nmis++;
		break;
	case BMC_OP_SET_LED:
		m->led = request->enable;
		break;
	case BMC_OP_SET_CLOCK:
		m->clock = request->time;
		break;
	case BMC_OP_RESET_BMC:
		m->bmc_resets[request->reset]++;
		break;
	case BMC_OP_GET_SENSORS:
	case BMC_OP_GET_LOG:
	case BMC_OP_GET_RAID:
	case BMC_OP_INSPECT:
		look_at_hardware(m, request->op, result);
		break;
	case BMC_OP_CLEAR_LOG:
		if (!ignored)
			clear_log(&m->log);
		break;
	case BMC_OP_GET_SECURE_BOOT:
		result->enabled = m->secure_boot;
		break;
	case BMC_OP_SET_SECURE_BOOT:
		if (m->no_secure_boot)
			err_set(&result->err, ERR_UNSUPPORTED,
				"BMC %s has no Secure Boot (simulated)", m->host);
		else
			m->secure_boot = request->enable;
		break;
	/* from here on: not in its table */
	case BMC_OP_GET_HEALTH:
	case BMC_OP_GET_FIRMWARE:
	case BMC_OP_RESET_SETTINGS:
	case BMC_OP_RESET_SECURE_BOOT_KEYS:
	case BMC_OP_GET_SUBSCRIPTIONS:
	case BMC_OP_SUBSCRIBE:
	case BMC_OP_UNSUBSCRIBE:
	case _BMC_OP_MAX:
		break;
	}
}

/* 0, or an error in result. */
static int fault(const struct bmc *bmc, struct fake_machine *m, struct err *err)
{
	const struct bmc_request *request = &bmc->running->request;
	const char *host = bmc->address.host;
	bool sets_power = bmc->running->request.op == BMC_OP_SET_POWER;
	if (!let_in(bmc, m))
		return err_set_code(err, ERR_DENIED, 401,
				    "BMC %s does not accept these credentials", host);
	if (chance(m->loop, m->faults.busy))
		return err_set(err, ERR_BUSY, "BMC %s is busy (simulated)", host);
	if ((sets_power && m->refuses_power) || chance(m->loop, m->faults.refused))
		return err_set(err, ERR_IO, "BMC %s refuses (simulated)", host);
	if (chance(m->loop, m->faults.garbage))
		return err_set(err, ERR_PROTOCOL, "BMC %s talks garbage (simulated)", host);
	if (m->soft_unknown && request->op == BMC_OP_SET_POWER &&
	    request->action == BMC_ACTION_SOFT)
		return err_set(err, ERR_UNSUPPORTED, "BMC %s knows no soft power off", host);
	return 0;
}

static void on_answer(void *data)
{
	struct bmc *bmc = data;
	struct fake_machine *m = machine_of(bmc);
	struct bmc_task *task = bmc->running;
	m->requests++;
	if (fault(bmc, m, &task->result.err) == 0)
		carry_out(m, &task->request, &task->result);
	bmc_complete(bmc);
}

static void start(struct bmc *bmc, struct bmc_task *task)
{
	struct loop *loop = bmc->driver->loop;
	const struct fake_machine *m = machine_of(bmc);
	(void)task;
	if (!m || m->unreachable || chance(loop, m->faults.silent))
		return; /* the deadline ends it */
	usec_t latency = stretched(loop, m->latency);
	timer_set_in(&of(bmc)->answer,
		     chance(loop, m->faults.slow) ? SLOW_FACTOR * latency : latency);
}

static void abandon(struct bmc *bmc, struct err *err)
{
	timer_stop(&of(bmc)->answer);
	if (err)
		err_set(err, ERR_TIMEOUT, "BMC %s does not answer (simulated)", bmc->address.host);
}

/* --- consoles -------------------------------------------------------------------------------- */

bool fake_machine_print(struct bmc_driver *driver, const char *host, const char *text)
{
	struct bmc *bmc = open_at(driver, host);
	if (!bmc || !bmc->console)
		return false;
	bmc_console_bytes(bmc, text, strlen(text));
	return true;
}

void fake_machine_hang_up(struct bmc_driver *driver, const char *host)
{
	struct bmc *bmc = open_at(driver, host);
	struct err err = { 0 };
	err_set(&err, ERR_IO, "BMC %s ended the console (simulated)", host);
	if (bmc)
		bmc_console_end(bmc, &err);
}

static int console_open(struct bmc *bmc, struct err *err)
{
	const struct fake_machine *m = machine_of(bmc);
	return m && !m->unreachable
		       ? 0
		       : err_set(err, ERR_UNREACHABLE, "BMC %s does not answer (simulated)",
				 bmc->address.host);
}

static void on_echo(void *data)
{
	struct bmc *bmc = data;
	_cleanup_(strbuf_done) struct strbuf written = of(bmc)->written;
	of(bmc)->written = (struct strbuf){ 0 };
	bmc_console_bytes(bmc, written.data, written.len);
}

static int console_write(struct bmc *bmc, const void *bytes, size_t len, struct err *err)
{
	(void)err;
	strbuf_add(&of(bmc)->written, bytes, len);
	timer_set_in(&of(bmc)->echo, machine_of(bmc)->latency);
	return 0;
}

static void console_close(struct bmc *bmc)
{
	timer_stop(&of(bmc)->echo);
	strbuf_done(&of(bmc)->written);
}

static const struct bmc_console_ops console_ops = { console_open, console_write, console_close };

/* --- life ------------------------------------------------------------------------------------ */

static void open_bmc(struct bmc *bmc)
{
	timer_init(&of(bmc)->answer, bmc->driver->loop, "fake bmc", on_answer, bmc);
	timer_init(&of(bmc)->echo, bmc->driver->loop, "fake console", on_echo, bmc);
	list_append(&driver_of(bmc)->open, &of(bmc)->link);
}

static void close_bmc(struct bmc *bmc)
{
	timer_stop(&of(bmc)->answer);
	list_unlink(&of(bmc)->link);
}

/* There is no session that could be let go; it is counted. */
static void idle(struct bmc *bmc, usec_t keep)
{
	struct fake_machine *m = machine_of(bmc);
	(void)keep;
	if (m)
		m->idles++;
}

static void free_driver(struct bmc_driver *driver)
{
	struct fake_driver *d = container_of(driver, struct fake_driver, base);
	map_for_each(&d->machines, i)
		machine_free(d->machines.entries[i].value);
	map_done(&d->machines);
	free(d);
}

static const struct bmc_ops ops = {
	.name = "fake",
	.bmc_size = sizeof(struct fake_bmc),
	.open = open_bmc,
	.close = close_bmc,
	.abandon = abandon,
	.idle = idle,
	.free = free_driver,
	/* All but secure boot: so that there is something that it cannot do. */
	.start = { [BMC_OP_GET_POWER] = start,	     [BMC_OP_SET_POWER] = start,
		   [BMC_OP_GET_BOOT] = start,	     [BMC_OP_SET_BOOT] = start,
		   [BMC_OP_GET_INFO] = start,	     [BMC_OP_GET_BOOT_MODE] = start,
		   [BMC_OP_SET_BOOT_MODE] = start,   [BMC_OP_GET_MEDIA] = start,
		   [BMC_OP_INSERT_MEDIA] = start,    [BMC_OP_EJECT_MEDIA] = start,
		   [BMC_OP_GET_SETTINGS] = start,    [BMC_OP_SET_SETTINGS] = start,
		   [BMC_OP_UPDATE_FIRMWARE] = start, [BMC_OP_GET_JOB] = start,
		   [BMC_OP_SEND_NMI] = start,	     [BMC_OP_SET_LED] = start,
		   [BMC_OP_SET_CLOCK] = start,	     [BMC_OP_RESET_BMC] = start,
		   [BMC_OP_GET_SENSORS] = start,     [BMC_OP_GET_LOG] = start,
		   [BMC_OP_CLEAR_LOG] = start,	     [BMC_OP_GET_RAID] = start,
		   [BMC_OP_CREATE_VOLUME] = start,   [BMC_OP_DELETE_VOLUME] = start,
		   [BMC_OP_INSPECT] = start },
	.boot_devices = (1U << _BMC_DEVICE_MAX) - 1,
	.console = &console_ops,
};

struct bmc_driver *fake_driver_new(struct loop *loop)
{
	struct fake_driver *d = xcalloc(1, sizeof(*d));
	d->ops = ops;
	d->base = (struct bmc_driver){ .ops = &d->ops, .loop = loop };
	list_init(&d->open);
	return &d->base;
}

void fake_driver_add_secure_boot(struct bmc_driver *driver)
{
	struct fake_driver *d = container_of(driver, struct fake_driver, base);
	d->ops.start[BMC_OP_GET_SECURE_BOOT] = start;
	d->ops.start[BMC_OP_SET_SECURE_BOOT] = start;
}
