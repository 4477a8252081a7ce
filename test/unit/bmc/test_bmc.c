/* What all drivers share: queue, deadlines, chains, cancellation, circuit breaker. On the virtual
 * loop with the fake driver, which is tested along the way. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "base/mem.h"
#include "base/str.h"
#include "bmc/fake/fake.h"
#include "bmc/ipmi/ipmi.h"

enum { HOUR = 3600 };

struct bench {
	struct loop *loop;
	struct bmc_driver *driver;
	struct fake_machine *machine;
	struct bmc *bmc;
	char trace[512]; /* one word per completed request */
	struct bmc_result last;
	struct bmc_request again; /* submitted from the next callback */
	bool submit_again, close_inside;
	unsigned events[3];
	struct bmc_boot booted;
};

static void on_event(void *data, struct fake_machine *machine, enum fake_event event,
		     const struct bmc_boot *boot)
{
	struct bench *t = data;
	(void)machine;
	t->events[event]++;
	t->booted = *boot;
}

static void on_done(void *data, const struct bmc_result *result)
{
	struct bench *t = data;
	size_t n = strlen(t->trace);
	snprintf(t->trace + n, sizeof(t->trace) - n, "%s ",
		 result->err.kind == ERR_NONE ? "ok" : err_kind_info(result->err.kind)->name);
	bmc_result_done(&t->last);
	bmc_result_dup(result, &t->last);
	if (t->submit_again) {
		t->submit_again = false;
		bmc_submit(t->bmc, &t->again, on_done, t);
	}
	if (t->close_inside) {
		t->close_inside = false;
		t->bmc = bmc_close(t->bmc);
	}
}

static void open_bmc(struct bench *t, const char *text, const struct bmc_options *options)
{
	struct bmc_address address;
	struct bmc_credentials c = { "admin", "secret" };
	assert_int_equal(bmc_address_parse(text, &address, NULL), 0);
	assert_int_equal(bmc_open(t->driver, &address, &c, options, &t->bmc, NULL), 0);
	bmc_address_done(&address);
}

static int setup(void **state)
{
	struct bench *t = xcalloc(1, sizeof(*t));
	t->loop = loop_new_virtual(11, 1700000000 * USEC_PER_SEC);
	t->driver = fake_driver_new(t->loop);
	t->machine = fake_machine_add(t->driver, "10.0.0.1");
	t->machine->on_event = on_event;
	t->machine->data = t;
	open_bmc(t, "ipmi://10.0.0.1", NULL);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct bench *t = *state;
	bmc_close(t->bmc);
	loop_run(t->loop);
	bmc_result_done(&t->last);
	bmc_driver_free(t->driver);
	loop_free(t->loop);
	free(t);
	return 0;
}

static uint64_t ask(struct bench *t, const struct bmc_request *request)
{
	return bmc_submit(t->bmc, request, on_done, t);
}

static uint64_t get_power(struct bench *t)
{
	return ask(t, &(struct bmc_request){ .op = BMC_OP_GET_POWER });
}

static uint64_t act(struct bench *t, enum bmc_action action)
{
	return ask(t, &(struct bmc_request){ .op = BMC_OP_SET_POWER, .action = action });
}

static void expect(struct bench *t, const char *trace)
{
	loop_run(t->loop);
	assert_string_equal(t->trace, trace);
	t->trace[0] = '\0';
}

static void test_power(void **state)
{
	struct bench *t = *state;
	get_power(t);
	assert_string_equal(t->trace, ""); /* never before submit has returned */
	expect(t, "ok ");
	assert_int_equal(t->last.power, BMC_POWER_OFF);
	act(t, BMC_ACTION_ON);
	expect(t, "ok ");
	get_power(t);
	expect(t, "ok ");
	assert_int_equal(t->last.power, BMC_POWER_ON);
	act(t, BMC_ACTION_RESET);
	act(t, BMC_ACTION_SOFT);
	expect(t, "ok ok ");
	get_power(t);
	expect(t, "ok ");
	assert_int_equal(t->last.power, BMC_POWER_OFF);
	assert_int_equal(t->events[FAKE_EVENT_ON], 1);
	assert_int_equal(t->events[FAKE_EVENT_OFF], 1);
}

/* Accepted is not done: the power changes later, and callers poll. */
static void test_power_is_not_instant(void **state)
{
	struct bench *t = *state;
	act(t, BMC_ACTION_ON);
	get_power(t);
	loop_run_until(t->loop, loop_now(t->loop) + 100 * USEC_PER_MSEC);
	assert_string_equal(t->trace, "ok ok ");
	assert_int_equal(t->last.power, BMC_POWER_OFF);
	loop_run(t->loop);
	assert_int_equal(t->machine->power, BMC_POWER_ON);
}

static void test_boot_once_is_used_up(void **state)
{
	struct bench *t = *state;
	struct bmc_request pxe = { .op = BMC_OP_SET_BOOT, .boot.device = BMC_DEVICE_PXE };
	pxe.boot.uefi = true;
	ask(t, &pxe);
	act(t, BMC_ACTION_ON);
	expect(t, "ok ok ");
	assert_int_equal(t->booted.device, BMC_DEVICE_PXE);
	assert_true(t->booted.uefi);
	act(t, BMC_ACTION_RESET);
	expect(t, "ok ");
	assert_int_equal(t->booted.device, BMC_DEVICE_NONE);
	pxe.boot = (struct bmc_boot){ .device = BMC_DEVICE_DISK, .persistent = true };
	ask(t, &pxe);
	act(t, BMC_ACTION_CYCLE);
	ask(t, &(struct bmc_request){ .op = BMC_OP_GET_BOOT });
	expect(t, "ok ok ok ");
	assert_int_equal(t->booted.device, BMC_DEVICE_DISK);
	assert_int_equal(t->last.boot.device, BMC_DEVICE_DISK);
	assert_true(t->last.boot.persistent);
	ask(t, &(struct bmc_request){ .op = BMC_OP_GET_INFO });
	expect(t, "ok ");
	assert_string_equal(t->last.info.vendor, "Ingot");
}

static void test_one_at_a_time_in_order(void **state)
{
	struct bench *t = *state;
	for (int i = 0; i < 5; i++)
		get_power(t);
	assert_int_equal(bmc_queued(t->bmc), 5);
	/* One answer takes at least 5 ms. */
	loop_run_until(t->loop, loop_now(t->loop) + 9 * USEC_PER_MSEC);
	assert_string_equal(t->trace, "ok ");
	assert_int_equal(bmc_queued(t->bmc), 4);
	expect(t, "ok ok ok ok ok ");
}

static void test_deadline(void **state)
{
	struct bench *t = *state;
	t->machine->unreachable = true;
	usec_t start = loop_now(t->loop);
	ask(t, &(struct bmc_request){ .op = BMC_OP_GET_POWER, .timeout = 2 * USEC_PER_SEC });
	ask(t, &(struct bmc_request){ .op = BMC_OP_GET_POWER, .timeout = USEC_PER_SEC });
	expect(t, "timeout timeout ");
	assert_int_equal(loop_now(t->loop) - start, 2 * USEC_PER_SEC);
	assert_non_null(strstr(t->last.err.text, "does not answer"));
	/* The second never ran: that must not count as a failure of the BMC. */
	t->machine->unreachable = false;
	get_power(t);
	expect(t, "ok ");
}

static void test_default_deadline(void **state)
{
	struct bench *t = *state;
	t->machine->faults.silent = 1000;
	usec_t start = loop_now(t->loop);
	get_power(t);
	expect(t, "timeout ");
	assert_int_equal(loop_now(t->loop) - start, 30 * USEC_PER_SEC);
}

static void test_chain(void **state)
{
	struct bench *t = *state;
	struct bmc_request on = { .op = BMC_OP_SET_POWER, .action = BMC_ACTION_ON };
	on.after_success = true;
	t->machine->faults.refused = 1000;
	ask(t, &(struct bmc_request){ .op = BMC_OP_SET_BOOT });
	ask(t, &on);
	ask(t, &on);
	get_power(t); /* not part of the chain */
	expect(t, "io cancelled cancelled io ");
	assert_int_equal(t->machine->power, BMC_POWER_OFF);
	/* Submitted after the failure is known: still behind a failed request. */
	ask(t, &on);
	expect(t, "cancelled ");
	assert_non_null(strstr(t->last.err.text, "change power state not tried"));
	t->machine->faults.refused = 0;
	ask(t, &(struct bmc_request){ .op = BMC_OP_SET_BOOT });
	ask(t, &on);
	expect(t, "ok ok ");
	ask(t, &on);
	expect(t, "ok ");
	assert_int_equal(t->machine->power, BMC_POWER_ON);
}

static void test_cancel(void **state)
{
	struct bench *t = *state;
	struct bmc_request after = { .op = BMC_OP_GET_POWER, .after_success = true };
	get_power(t);
	uint64_t second = get_power(t);
	ask(t, &after);
	bmc_cancel(t->bmc, second);
	assert_string_equal(t->trace, ""); /* not from inside the call */
	expect(t, "cancelled cancelled ok ");
	uint64_t first = get_power(t);
	loop_run_until(t->loop, loop_now(t->loop) + USEC_PER_MSEC);
	bmc_cancel(t->bmc, first); /* it runs */
	get_power(t);
	expect(t, "cancelled ok ");
	bmc_cancel(t->bmc, first); /* long done */
	bmc_cancel(t->bmc, 0);
	expect(t, "");
}

static void test_close_cancels(void **state)
{
	struct bench *t = *state;
	get_power(t);
	get_power(t);
	loop_run_until(t->loop, loop_now(t->loop) + USEC_PER_MSEC);
	t->bmc = bmc_close(t->bmc);
	assert_string_equal(t->trace, "");
	expect(t, "cancelled cancelled ");
}

static void test_close_inside_callback(void **state)
{
	struct bench *t = *state;
	get_power(t);
	get_power(t);
	t->close_inside = true;
	expect(t, "ok cancelled ");
	assert_null(t->bmc);
}

static void test_submit_inside_callback(void **state)
{
	struct bench *t = *state;
	t->submit_again = true;
	t->again = (struct bmc_request){ .op = BMC_OP_GET_INFO };
	get_power(t);
	expect(t, "ok ok ");
	assert_string_equal(t->last.info.product, "fake");
}

/* What a request points to is its submitter's again at once; a result is its own until it is given
 * back. */
static void test_requests_are_copies(void **state)
{
	struct bench *t = *state;
	_cleanup_(freep) char *url = xstrdup("http://10.9.9.9/boot.iso"), *user = xstrdup("bmc"),
			      *password = xstrdup("hunter2");
	ask(t, &(struct bmc_request){ .op = BMC_OP_INSERT_MEDIA,
				      .media = { url, user, password, false } });
	url[0] = user[0] = password[0] = 'X';
	ask(t, &(struct bmc_request){ .op = BMC_OP_GET_MEDIA });
	expect(t, "ok ok ");
	assert_string_equal(t->last.media.url, "http://10.9.9.9/boot.iso");
	assert_null(t->last.media.password);
	assert_string_equal(t->machine->media_login, "bmc:hunter2");
	ask(t, &(struct bmc_request){ .op = BMC_OP_EJECT_MEDIA });
	ask(t, &(struct bmc_request){ .op = BMC_OP_EJECT_MEDIA });
	ask(t, &(struct bmc_request){ .op = BMC_OP_GET_MEDIA });
	expect(t, "ok ok ok ");
	assert_null(t->last.media.url);
	assert_null(t->machine->media_login);
	/* One that never runs gives its copies back as well. */
	uint64_t ticket = ask(t, &(struct bmc_request){ .op = BMC_OP_INSERT_MEDIA,
							.media = { url, user, password, false } });
	bmc_cancel(t->bmc, ticket);
	expect(t, "cancelled ");
}

static uint64_t ask_job(struct bench *t, const char *id)
{
	return ask(t, &(struct bmc_request){ .op = BMC_OP_GET_JOB, .job.id = (char *)id });
}

static void expect_job(struct bench *t, enum bmc_job_state state)
{
	loop_run_until(t->loop, loop_now(t->loop) + USEC_PER_SEC);
	assert_string_equal(t->trace, "ok ");
	t->trace[0] = '\0';
	assert_int_equal(t->last.job.state, state);
}

static void begin_settings(struct bench *t)
{
	struct bmc_setting item = { "ProcVirtualization", "Enabled" };
	ask(t, &(struct bmc_request){ .op = BMC_OP_SET_SETTINGS, .settings = { &item, 1 } });
}

/* A job is known by its id alone: the queue is free meanwhile, and who asks on need not be the one
 * that began. */
static void test_job(void **state)
{
	struct bench *t = *state;
	begin_settings(t);
	expect_job(t, BMC_JOB_RUNNING);
	_cleanup_(freep) char *id = xstrdup(t->last.job.id);
	assert_int_equal(bmc_queued(t->bmc), 0);
	get_power(t);
	ask_job(t, id);
	loop_run_until(t->loop, loop_now(t->loop) + USEC_PER_SEC);
	assert_string_equal(t->trace, "ok ok ");
	t->trace[0] = '\0';
	assert_int_equal(t->last.job.state, BMC_JOB_RUNNING);
	bmc_close(t->bmc);
	open_bmc(t, "ipmi://10.0.0.1", NULL);
	loop_run_until(t->loop, loop_now(t->loop) + USEC_PER_MIN);
	ask_job(t, id);
	expect_job(t, BMC_JOB_DONE);
	ask(t, &(struct bmc_request){ .op = BMC_OP_GET_SETTINGS });
	expect(t, "ok ");
	assert_string_equal(bmc_settings_get(&t->last.settings, "ProcVirtualization"), "Enabled");
	assert_null(bmc_settings_get(&t->last.settings, "SriovGlobalEnable"));
	ask_job(t, "JID_99");
	expect(t, "not-found ");
}

static void test_job_fails(void **state)
{
	struct bench *t = *state;
	t->machine->jobs_fail = true;
	ask(t, &(struct bmc_request){ .op = BMC_OP_UPDATE_FIRMWARE,
				      .firmware = { "bmc", "http://10.9.9.9/bmc.bin" } });
	expect_job(t, BMC_JOB_RUNNING);
	_cleanup_(freep) char *id = xstrdup(t->last.job.id);
	loop_run_until(t->loop, loop_now(t->loop) + USEC_PER_MIN);
	ask_job(t, id);
	expect_job(t, BMC_JOB_FAILED);
	assert_string_equal(t->machine->info.version, "1.0");
}

/* It could not be asked for again. */
static void test_job_without_id(void **state)
{
	struct bench *t = *state;
	t->machine->jobs_without_id = true;
	begin_settings(t);
	loop_run_until(t->loop, loop_now(t->loop) + USEC_PER_SEC);
	assert_string_equal(t->trace, "protocol ");
	t->trace[0] = '\0';
	assert_non_null(strstr(t->last.err.text, "by which name"));
}

static void test_small_things(void **state)
{
	struct bench *t = *state;
	ask(t, &(struct bmc_request){ .op = BMC_OP_SET_BOOT_MODE, .mode = BMC_MODE_UEFI });
	ask(t, &(struct bmc_request){ .op = BMC_OP_SET_LED, .enable = true });
	ask(t, &(struct bmc_request){ .op = BMC_OP_SET_CLOCK, .time = 1700000000 });
	ask(t, &(struct bmc_request){ .op = BMC_OP_SEND_NMI });
	ask(t, &(struct bmc_request){ .op = BMC_OP_GET_BOOT_MODE });
	expect(t, "ok ok ok ok ok ");
	assert_int_equal(t->last.mode, BMC_MODE_UEFI);
	assert_true(t->machine->led);
	assert_int_equal(t->machine->clock, 1700000000);
	assert_int_equal(t->machine->nmis, 1);
}

static void test_reset_of_the_bmc(void **state)
{
	struct bench *t = *state;
	ask(t, &(struct bmc_request){ .op = BMC_OP_RESET_BMC, .reset = BMC_RESET_COLD });
	expect(t, "ok ");
	assert_int_equal(t->machine->bmc_resets[BMC_RESET_COLD], 1);
	assert_int_equal(t->machine->bmc_resets[BMC_RESET_WARM], 0);
	assert_int_equal(t->events[FAKE_EVENT_RESET], 0); /* the host goes on */
}

/* What the machine has changes after the answer; the answer is a copy. */
static void test_sensors(void **state)
{
	struct bench *t = *state;
	ask(t, &(struct bmc_request){ .op = BMC_OP_GET_SENSORS });
	expect(t, "ok ");
	assert_int_equal(t->last.sensors.count, 0);
	bmc_sensors_add(&t->machine->sensors,
			&(struct bmc_sensor){ "CPU1 Temp", "Temperature", "degrees C", 35.5,
					      BMC_LEVEL_OK });
	bmc_sensors_add(&t->machine->sensors,
			&(struct bmc_sensor){ "PSU2", "Power", NULL, 0, BMC_LEVEL_CRITICAL });
	ask(t, &(struct bmc_request){ .op = BMC_OP_GET_SENSORS });
	expect(t, "ok ");
	t->machine->sensors.items[0].name[0] = 'X';
	assert_int_equal(t->last.sensors.count, 2);
	assert_string_equal(t->last.sensors.items[0].name, "CPU1 Temp");
	assert_true(t->last.sensors.items[0].value > 35);
	assert_null(t->last.sensors.items[1].unit);
	assert_int_equal(t->last.sensors.items[1].level, BMC_LEVEL_CRITICAL);
}

static void test_log(void **state)
{
	struct bench *t = *state;
	bmc_log_add(&t->machine->log,
		    &(struct bmc_log_entry){ "1", "fan 3 is gone", 1700000000, BMC_LEVEL_WARNING });
	ask(t, &(struct bmc_request){ .op = BMC_OP_GET_LOG });
	ask(t, &(struct bmc_request){ .op = BMC_OP_CLEAR_LOG });
	loop_run_until(t->loop, loop_now(t->loop) + 8 * USEC_PER_MSEC);
	assert_int_equal(t->last.op, BMC_OP_GET_LOG);
	assert_string_equal(t->last.log.items[0].text, "fan 3 is gone");
	assert_int_equal(t->last.log.items[0].at, 1700000000);
	expect(t, "ok ok ");
	ask(t, &(struct bmc_request){ .op = BMC_OP_GET_LOG });
	expect(t, "ok ");
	assert_int_equal(t->last.log.count, 0);
}

static void wait_for_job(struct bench *t)
{
	expect_job(t, BMC_JOB_RUNNING);
	_cleanup_(freep) char *id = xstrdup(t->last.job.id);
	loop_run_until(t->loop, loop_now(t->loop) + USEC_PER_MIN);
	ask_job(t, id);
	expect_job(t, BMC_JOB_DONE);
	ask(t, &(struct bmc_request){ .op = BMC_OP_GET_RAID });
	expect(t, "ok ");
}

/* Volumes are made and deleted by jobs; another controller's of the same id stays. */
static void test_raid(void **state)
{
	struct bench *t = *state;
	char drives[] = "disk-1\ndisk-2";
	bmc_raid_add_drive(&t->machine->raid, &(struct bmc_drive){ "raid-1", "disk-1", NULL, "S1",
								   1u << 30, true, BMC_LEVEL_OK });
	bmc_raid_add_volume(&t->machine->raid, &(struct bmc_volume){ .controller = "raid-2",
								     .id = "volume-1",
								     .raid_level = "0" });
	ask(t, &(struct bmc_request){ .op = BMC_OP_CREATE_VOLUME,
				      .volume = { .controller = "raid-1",
						  .name = "root",
						  .raid_level = "1",
						  .drives = drives } });
	drives[0] = 'X';
	wait_for_job(t);
	assert_int_equal(t->last.raid.drives.count, 1);
	assert_null(t->last.raid.drives.items[0].model);
	assert_string_equal(t->last.raid.drives.items[0].serial, "S1");
	assert_int_equal(t->last.raid.volumes.count, 2);
	assert_string_equal(t->last.raid.volumes.items[1].id, "volume-1");
	assert_string_equal(t->last.raid.volumes.items[1].drives, "disk-1\ndisk-2");
	ask(t, &(struct bmc_request){ .op = BMC_OP_DELETE_VOLUME,
				      .volume = { .controller = "raid-1", .id = "volume-1" } });
	wait_for_job(t);
	assert_int_equal(t->last.raid.drives.count, 1);
	assert_int_equal(t->last.raid.volumes.count, 1);
	assert_string_equal(t->last.raid.volumes.items[0].controller, "raid-2");
}

static void test_inspection(void **state)
{
	struct bench *t = *state;
	ask(t, &(struct bmc_request){ .op = BMC_OP_INSPECT });
	expect(t, "ok ");
	assert_null(t->last.inventory);
	t->machine->inventory = json_new_object();
	json_set_int(json_set(t->machine->inventory, "cpu", json_new_object()), "count", 4);
	ask(t, &(struct bmc_request){ .op = BMC_OP_INSPECT });
	expect(t, "ok ");
	t->machine->inventory = json_free(t->machine->inventory);
	assert_int_equal(json_get_int(json_get(t->last.inventory, "cpu"), "count", 0), 4);
}

/* --- what comes by itself --------------------------------------------------------------------- */

struct listener {
	char text[256];
	struct err end;
	unsigned ends;
	struct bmc_stream *stream;
	bool close_inside;
};

static void on_bytes(void *data, const void *bytes, size_t len)
{
	struct listener *l = data;
	size_t at = strlen(l->text);
	snprintf(l->text + at, sizeof(l->text) - at, "%.*s", (int)len, (const char *)bytes);
	if (l->close_inside)
		l->stream = bmc_stream_close(l->stream);
}

static void on_ended(void *data, const struct err *err)
{
	struct listener *l = data;
	l->end = *err;
	l->ends++;
	l->stream = NULL;
}

static const struct bmc_stream_handlers listening = { on_bytes, on_ended };

static void listen_to(struct bench *t, struct listener *l)
{
	*l = (struct listener){ .stream = bmc_console_open(t->bmc, &listening, l, NULL) };
	assert_non_null(l->stream);
}

/* A console and requests share the BMC; the session stays while the console is open. */
static void test_console(void **state)
{
	struct bench *t = *state;
	struct listener l;
	struct err err = { 0 };
	listen_to(t, &l);
	assert_null(bmc_console_open(t->bmc, &listening, &l, &err));
	assert_int_equal(err.kind, ERR_BUSY);
	assert_true(fake_machine_print(t->driver, "10.0.0.1", "login: "));
	assert_int_equal(bmc_stream_write(l.stream, "root\n", 5, NULL), 0);
	assert_string_equal(l.text, "login: "); /* the echo comes from the loop */
	get_power(t);
	expect(t, "ok ");
	assert_string_equal(l.text, "login: root\n");
	assert_int_equal(t->machine->idles, 0);
	l.stream = bmc_stream_close(l.stream);
	assert_int_equal(t->machine->idles, 1);
	assert_false(fake_machine_print(t->driver, "10.0.0.1", "more"));
	assert_int_equal(l.ends, 0);
	get_power(t);
	expect(t, "ok ");
	assert_int_equal(t->machine->idles, 2);
}

static void test_console_ends(void **state)
{
	struct bench *t = *state;
	struct listener l;
	listen_to(t, &l);
	fake_machine_hang_up(t->driver, "10.0.0.1");
	assert_int_equal(l.ends, 0);
	loop_run(t->loop);
	assert_int_equal(l.ends, 1);
	assert_int_equal(l.end.kind, ERR_IO);
	/* Ended, and closed by its user before he heard of it. */
	listen_to(t, &l);
	fake_machine_hang_up(t->driver, "10.0.0.1");
	assert_true(bmc_stream_write(l.stream, "x", 1, NULL) < 0);
	bmc_stream_close(l.stream);
	loop_run(t->loop);
	assert_int_equal(l.ends, 0);
	listen_to(t, &l);
	l.close_inside = true;
	fake_machine_print(t->driver, "10.0.0.1", "bye");
	assert_string_equal(l.text, "bye");
	listen_to(t, &l);
	bmc_stream_write(l.stream, "lost", 4, NULL);
	t->bmc = bmc_close(t->bmc);
	loop_run(t->loop);
	assert_int_equal(l.ends, 1);
	assert_int_equal(l.end.kind, ERR_CANCELLED);
	assert_string_equal(l.text, "");
}

static bool shut(void *data, const char *key)
{
	(void)data, (void)key;
	return false;
}

static void test_console_and_fence(void **state)
{
	struct bench *t = *state;
	struct listener l;
	struct err err = { 0 };
	listen_to(t, &l);
	bmc_driver_set_fence(t->driver, &(struct fence){ shut, NULL });
	assert_true(bmc_stream_write(l.stream, "x", 1, &err) < 0);
	assert_int_equal(err.kind, ERR_CANCELLED);
	bmc_stream_close(l.stream);
	assert_null(bmc_console_open(t->bmc, &listening, &l, NULL));
	loop_run(t->loop);
	assert_string_equal(l.text, "");
}

struct news {
	unsigned powers, jobs;
	enum bmc_power power;
	enum bmc_job_state job;
};

static void on_news(void *data, const struct bmc_event *event)
{
	struct news *n = data;
	n->powers += event->kind == BMC_EVENT_POWER;
	n->jobs += event->kind == BMC_EVENT_JOB;
	if (event->kind == BMC_EVENT_POWER)
		n->power = event->power;
	if (event->kind == BMC_EVENT_JOB)
		n->job = event->job->state;
}

static void test_events(void **state)
{
	struct bench *t = *state;
	struct news n = { 0 };
	t->machine->reports = true;
	bmc_set_event_handler(t->bmc, on_news, &n);
	fake_machine_set_power(t->machine, BMC_POWER_ON);
	begin_settings(t);
	expect(t, "ok ");
	assert_int_equal(n.powers, 1);
	assert_int_equal(n.power, BMC_POWER_ON);
	assert_int_equal(n.jobs, 1);
	assert_int_equal(n.job, BMC_JOB_DONE);
	bmc_set_event_handler(t->bmc, NULL, NULL);
	fake_machine_set_power(t->machine, BMC_POWER_OFF);
	assert_int_equal(n.powers, 1);
}

/* --- how hosts boot --------------------------------------------------------------------------- */

static const struct bmc_scheme *scheme_of(const char *name)
{
	for (const struct bmc_scheme *s = bmc_schemes(); s->name; s++)
		if (streq(s->name, name))
			return s;
	fail_msg("no scheme %s", name);
	return NULL;
}

static void check_boot(const struct bmc_driver *d, const char *scheme, enum bmc_boot_mode mode,
		       const char *want)
{
	enum bmc_boot_method method, again;
	struct err err = { 0 };
	int r = bmc_choose_boot(d, scheme_of(scheme), mode, &method, &err);
	if (r == 0) {
		assert_string_equal(bmc_boot_method_name(method), want);
		assert_int_equal(bmc_boot_method_parse(want, &again), 0);
		assert_int_equal(again, method);
		return;
	}
	assert_int_equal(err.kind, ERR_UNSUPPORTED);
	if (!strstr(err.text, want))
		fail_msg("\"%s\" is not in: %s", want, err.text);
}

/* The address asks for it, the driver must be able to do it; there is no other way instead, which
 * the site may not have. */
static void test_choose_boot(void **state)
{
	struct bench *t = *state;
	struct bmc_driver *ipmi;
	assert_int_equal(ipmi_driver_new(t->loop, NULL, &ipmi, NULL), 0);
	check_boot(ipmi, "ipmi", BMC_MODE_LEGACY, "network");
	check_boot(ipmi, "ipmi", BMC_MODE_UEFI, "network");
	check_boot(ipmi, "redfish-virtualmedia", BMC_MODE_UEFI,
		   "boot by media, which the ipmi driver cannot do");
	check_boot(ipmi, "redfish-uefihttp", BMC_MODE_UEFI, "boot by uefi-http, which the ipmi");
	bmc_driver_free(ipmi);
	check_boot(t->driver, "redfish", BMC_MODE_UEFI, "network");
	check_boot(t->driver, "idrac-virtualmedia", BMC_MODE_LEGACY, "media");
	check_boot(t->driver, "redfish-uefihttp", BMC_MODE_UEFI, "uefi-http");
	check_boot(t->driver, "redfish-uefihttp", BMC_MODE_UNKNOWN, "uefi-http");
	check_boot(t->driver, "redfish-uefihttp", BMC_MODE_LEGACY, "set spec.bootMode to UEFI");
	enum bmc_boot_method method;
	assert_true(bmc_boot_method_parse("floppy", &method) < 0);
}

static void test_unsupported(void **state)
{
	struct bench *t = *state;
	assert_true(bmc_driver_supports(t->driver, BMC_OP_SET_BOOT));
	assert_false(bmc_driver_supports(t->driver, BMC_OP_SET_SECURE_BOOT));
	ask(t, &(struct bmc_request){ .op = BMC_OP_SET_SECURE_BOOT, .enable = true });
	expect(t, "unsupported ");
	assert_string_equal(t->last.err.text, "the fake driver cannot set secure boot state");
	assert_true(bmc_driver_boots_from(t->driver, BMC_DEVICE_UEFI_HTTP));
	struct bmc_driver_set set = { .drivers[BMC_DRIVER_IPMI] = t->driver };
	struct bmc_address a;
	struct err err = { 0 };
	assert_ptr_equal(bmc_driver_find(&set, bmc_get_address(t->bmc)->scheme, &err), t->driver);
	assert_int_equal(bmc_address_parse("redfish://10.0.0.1", &a, NULL), 0);
	assert_null(bmc_driver_find(&set, a.scheme, &err));
	assert_int_equal(err.kind, ERR_UNSUPPORTED);
	assert_non_null(strstr(err.text, "'redfish'"));
	bmc_address_done(&a);
}

/* No driver that talks to real BMCs claims what it cannot do. */
static void test_ipmi_does_not_claim_them(void **state)
{
	struct bench *t = *state;
	static const enum bmc_op ops[] = { BMC_OP_RESET_BMC,	 BMC_OP_GET_SENSORS,
					   BMC_OP_GET_LOG,	 BMC_OP_CLEAR_LOG,
					   BMC_OP_GET_RAID,	 BMC_OP_CREATE_VOLUME,
					   BMC_OP_DELETE_VOLUME, BMC_OP_INSPECT };
	struct bmc_driver *ipmi;
	assert_int_equal(ipmi_driver_new(t->loop, NULL, &ipmi, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		assert_true(bmc_driver_supports(t->driver, ops[i]));
		assert_false(bmc_driver_supports(ipmi, ops[i]));
	}
	bmc_driver_free(ipmi);
}

static void test_open_wants_a_host(void **state)
{
	struct bench *t = *state;
	struct bmc_address a;
	struct bmc *bmc = NULL;
	struct err err = { 0 };
	assert_int_equal(bmc_address_parse("ipmi://", &a, NULL), 0);
	assert_true(bmc_open(t->driver, &a, &(struct bmc_credentials){ 0 }, NULL, &bmc, &err) < 0);
	assert_null(bmc);
	assert_int_equal(err.kind, ERR_INVALID);
	bmc_address_done(&a);
}

/* Ten minutes of polling a dead BMC every 10 s: how many attempts reach it? */
static void test_breaker_leaves_a_dead_bmc_alone(void **state)
{
	struct bench *t = *state;
	t->machine->faults.garbage = 1000;
	unsigned failed_at_once = 0;
	for (int i = 0; i < 60; i++) {
		unsigned before = t->machine->requests;
		t->trace[0] = '\0';
		get_power(t);
		loop_run(t->loop);
		assert_string_equal(t->trace, "protocol ");
		failed_at_once += t->machine->requests == before;
		loop_run_until(t->loop, loop_now(t->loop) + 10 * USEC_PER_SEC);
	}
	/* 3 before it opens, then after 15, 30, 60, 120, 240 s and a bit. */
	assert_in_range(t->machine->requests, 6, 8);
	assert_int_equal(failed_at_once + t->machine->requests, 60);
	assert_non_null(strstr(t->last.err.text, "talks garbage"));
	assert_non_null(strstr(t->last.err.text, "failures in a row, next try in"));
	/* Hours later the interval has its bound. */
	for (int i = 0; i < 24 * HOUR / 600; i++) {
		get_power(t);
		loop_run_until(t->loop, loop_now(t->loop) + 600 * USEC_PER_SEC);
		t->trace[0] = '\0';
	}
	assert_in_range(t->machine->requests, 60, 160);
}

static void fail_thrice(struct bench *t)
{
	t->machine->password = xstrdup("other");
	for (int i = 0; i < 3; i++)
		get_power(t);
	expect(t, "denied denied denied ");
	get_power(t);
	expect(t, "denied ");
	assert_int_equal(t->machine->requests, 3);
}

static void test_breaker_and_new_credentials(void **state)
{
	struct bench *t = *state;
	fail_thrice(t);
	struct bmc_credentials good = { "admin", "other" };
	assert_int_equal(bmc_set_credentials(t->bmc, &good, NULL), 0);
	get_power(t);
	expect(t, "ok ");
	assert_int_equal(t->machine->requests, 4);
}

static void test_breaker_and_urgency(void **state)
{
	struct bench *t = *state;
	fail_thrice(t);
	ask(t, &(struct bmc_request){ .op = BMC_OP_GET_POWER, .urgent = true });
	expect(t, "denied ");
	assert_int_equal(t->machine->requests, 4);
	/* One good answer closes the circuit. */
	t->machine->password = secret_free(t->machine->password);
	ask(t, &(struct bmc_request){ .op = BMC_OP_GET_POWER, .urgent = true });
	get_power(t);
	expect(t, "ok ok ");
}

/* A refusal is an answer: the BMC is well. */
static void test_breaker_ignores_refusals(void **state)
{
	struct bench *t = *state;
	t->machine->faults.refused = 1000;
	for (int i = 0; i < 10; i++)
		get_power(t);
	loop_run(t->loop);
	assert_int_equal(t->machine->requests, 10);
}

/* The same seed gives the same faults. */
static void run_faulty(uint64_t seed, char out[512])
{
	struct bench t = { 0 };
	t.loop = loop_new_virtual(seed, 0);
	t.driver = fake_driver_new(t.loop);
	t.machine = fake_machine_add(t.driver, "10.0.0.1");
	t.machine->faults = (struct fake_faults){ 100, 100, 100, 100, 100, 100 };
	open_bmc(&t, "ipmi://10.0.0.1", &(struct bmc_options){ .breaker_failures = 1000 });
	for (int i = 0; i < 40; i++) {
		act(&t, i % 2 ? BMC_ACTION_OFF : BMC_ACTION_ON);
		loop_run(t.loop);
	}
	memcpy(out, t.trace, sizeof(t.trace));
	bmc_close(t.bmc);
	bmc_driver_free(t.driver);
	loop_free(t.loop);
}

static void test_fake_is_deterministic(void **state)
{
	(void)state;
	char a[512], b[512], c[512];
	run_faulty(1, a);
	run_faulty(1, b);
	run_faulty(2, c);
	assert_string_equal(a, b);
	assert_string_not_equal(a, c);
	assert_non_null(strstr(a, "timeout"));
	assert_non_null(strstr(a, "busy"));
	assert_non_null(strstr(a, "protocol"));
}

static void test_names(void **state)
{
	(void)state;
	for (enum bmc_op op = 0; op < _BMC_OP_MAX; op++)
		assert_false(str_empty(bmc_op_name(op)));
	for (enum bmc_device d = 0; d < _BMC_DEVICE_MAX; d++)
		assert_false(str_empty(bmc_device_name(d)));
	assert_string_equal(bmc_action_name(BMC_ACTION_RESET), "reset");
	assert_string_equal(bmc_power_name(BMC_POWER_ON), "on");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_power),
		CASE(test_power_is_not_instant),
		CASE(test_boot_once_is_used_up),
		CASE(test_one_at_a_time_in_order),
		CASE(test_deadline),
		CASE(test_default_deadline),
		CASE(test_chain),
		CASE(test_cancel),
		CASE(test_close_cancels),
		CASE(test_close_inside_callback),
		CASE(test_submit_inside_callback),
		CASE(test_requests_are_copies),
		CASE(test_job),
		CASE(test_job_fails),
		CASE(test_job_without_id),
		CASE(test_small_things),
		CASE(test_reset_of_the_bmc),
		CASE(test_sensors),
		CASE(test_log),
		CASE(test_raid),
		CASE(test_inspection),
		CASE(test_console),
		CASE(test_console_ends),
		CASE(test_console_and_fence),
		CASE(test_events),
		CASE(test_choose_boot),
		CASE(test_unsupported),
		CASE(test_ipmi_does_not_claim_them),
		CASE(test_open_wants_a_host),
		CASE(test_breaker_leaves_a_dead_bmc_alone),
		CASE(test_breaker_and_new_credentials),
		CASE(test_breaker_and_urgency),
		CASE(test_breaker_ignores_refusals),
		cmocka_unit_test(test_fake_is_deterministic),
		cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
