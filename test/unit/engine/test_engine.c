/* The engine against the simulated world, with a controller of a few lines: from registration to a
 * running disk and back, with the engine killed in between, with a world that loses messages, and
 * with each fault that a host can have. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "sim/world.h"

static const char key[] = "metal3/node-1", uid[] = "11111111-1111-4111-8111-111111111111";

/* --- a rig: world, engine, one host, records in memory
 * ---------------------------------------------------------------- */

struct rig {
	struct loop *loop;
	struct world world;
	struct machine *machine;
	struct engine *engine;
	struct provisioner *prov;
	struct json *record; /* what is stored */
	unsigned saves, kicks, warnings;
	bool storage_away, storage_conflict;
	struct prov_host host;
	struct prov_result result;
	const struct json *inventory;
	struct json *hints;
};

/* A save on its way to the storage. */
struct saving {
	struct rig *rig;
	struct timer timer;
	struct json *record;
	engine_saved_fn done;
	void *data;
};

static void on_save(void *data)
{
	struct saving *s = data;
	struct rig *rig = s->rig;
	struct err err = { 0 };
	if (rig->storage_away) {
		err_set(&err, ERR_UNREACHABLE, "no storage");
	} else if (rig->storage_conflict) {
		rig->storage_conflict = false;
		err_set(&err, ERR_CONFLICT, "changed");
	} else {
		json_free(rig->record);
		rig->record = TAKE_PTR(s->record);
		rig->saves++;
	}
	s->done(s->data, err.kind != ERR_NONE ? &err : NULL);
	json_free(s->record);
	free(s);
}

static void save(void *data, const char *k, const char *u, const struct json *record,
		 engine_saved_fn done, void *done_data)
{
	struct rig *rig = data;
	struct saving *s = xcalloc(1, sizeof(*s));
	assert_string_equal(k, key);
	assert_string_equal(u, uid);
	*s = (struct saving){
		.rig = rig, .record = json_dup(record), .done = done, .data = done_data
	};
	timer_init(&s->timer, rig->loop, "save", on_save, s);
	timer_set_in(&s->timer, 10 * USEC_PER_MSEC);
}

static void kick(void *data, const char *k)
{
	(void)k;
	((struct rig *)data)->kicks++;
}

static void event(void *data, const char *k, bool warning, const char *reason, const char *message)
{
	(void)k, (void)reason, (void)message;
	((struct rig *)data)->warnings += warning;
}

static void start_engine(struct rig *rig)
{
	static const uint8_t secret[32] = { 1, 2, 3 };
	struct engine_options options = {
		.loop = rig->loop,
		.drivers = &rig->world.drivers,
		.link = &rig->world.link,
		.secret = secret,
		.secret_len = sizeof(secret),
		.env = { .save = save, .kick = kick, .event = event, .data = rig },
	};
	rig->engine = engine_new(&options);
	rig->prov = engine_provisioner(rig->engine);
	rig->world.engine = rig->engine;
}

static void kill_engine(struct rig *rig)
{
	rig->world.engine = NULL;
	rig->engine = engine_free(rig->engine);
}

static void keep_quiet(void *data, enum log_level level, const char *line)
{
	(void)level;
	if (getenv("VERBOSE"))
		print_message("%s\n", line);
	(void)data;
}

static struct rig *rig_new(uint64_t seed)
{
	struct rig *rig = xcalloc(1, sizeof(*rig));
	log_set_sink(keep_quiet, NULL);
	rig->loop = loop_new_virtual(seed, UINT64_C(1767225600) * USEC_PER_SEC);
	world_init(&rig->world, rig->loop);
	rig->machine = world_add(&rig->world, 1);
	str_replace(&rig->machine->bmc->username, "admin");
	str_replace(&rig->machine->bmc->password, "secret");
	rig->host = (struct prov_host){ .key = key,
					.uid = uid,
					.node_id = "",
					.bmc_address = "ipmi://10.1.0.1",
					.username = "admin",
					.password = "secret",
					.boot_mac = rig->machine->mac,
					.boot_mode = BOOT_LEGACY,
					.arch = "x86_64" };
	start_engine(rig);
	return rig;
}

static void rig_free(struct rig *rig)
{
	assert_string_equal(rig->world.broken, "");
	kill_engine(rig);
	/* Answers that are still under way find nobody. */
	loop_run_until(rig->loop, loop_now(rig->loop) + USEC_PER_HOUR);
	world_done(&rig->world);
	json_free(rig->record);
	json_free(rig->hints);
	loop_free(rig->loop);
	free(rig);
}

/* --- a controller of a few lines
 * -------------------------------------------------------------------------------------------- */

enum want {
	WANT_REGISTER,
	WANT_INSPECT,
	WANT_PREPARE,
	WANT_PROVISION,
	WANT_DEPROVISION,
	WANT_ON,
	WANT_OFF,
	WANT_SOFT_OFF
};

static const struct prov_provision image_a = {
	.image = { "http://10.0.0.1/a.raw", "aaaa", "sha256", "raw" },
	.config_drive = { "{\"uuid\":\"x\"}", "#cloud-config\n", NULL },
};
static const struct prov_provision image_b = { .image = { "http://10.0.0.1/b.raw", "bbbb", "sha256",
							  "raw" } };

static void ask(struct rig *rig, enum want want, const struct prov_provision *image, bool retry)
{
	const char *node_id;
	_cleanup_(json_freep) struct json *record = rig->record ? json_dup(rig->record) : NULL;
	struct provisioner *p = rig->prov;
	if (!engine_knows(rig->engine, key))
		engine_load(rig->engine, key, uid, record);
	p->ops->register_host(p, &rig->host, &(struct prov_register){ .retry = retry }, &node_id,
			      &rig->result);
	if (rig->result.outcome != PROV_DONE || want == WANT_REGISTER)
		return;
	switch (want) {
	case WANT_REGISTER:
		break;
	case WANT_INSPECT:
		p->ops->inspect(p, &rig->host, &(struct prov_inspect){ .retry = retry },
				&rig->inventory, &rig->result);
		break;
	case WANT_PREPARE:
		p->ops->prepare(p, &rig->host, &(struct prov_prepare){ 0 }, &rig->result);
		break;
	case WANT_PROVISION:
		p->ops->provision(p, &rig->host, image, &rig->result);
		break;
	case WANT_DEPROVISION:
		p->ops->deprovision(p, &rig->host, &(struct prov_deprovision){ .retry = retry },
				    &rig->result);
		break;
	case WANT_ON:
		p->ops->power_on(p, &rig->host, retry, &rig->result);
		break;
	case WANT_OFF:
	case WANT_SOFT_OFF:
		p->ops->power_off(p, &rig->host, want == WANT_OFF, retry, &rig->result);
		break;
	}
}

static void advance(struct rig *rig, usec_t span)
{
	loop_run_until(rig->loop, loop_now(rig->loop) + span);
}

/* Asks again each second until it is no longer under way, three virtual hours at most. */
static enum prov_outcome reach(struct rig *rig, enum want want, const struct prov_provision *image,
			       bool retry)
{
	for (int i = 0; i < 3 * 3600; i++) {
		ask(rig, want, image, retry && i == 0);
		if (rig->result.outcome != PROV_RUNNING)
			return rig->result.outcome;
		advance(rig, USEC_PER_SEC);
	}
	fail_msg("no end of operation %d", want);
	return PROV_RUNNING;
}

static void to_available(struct rig *rig)
{
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	assert_int_equal(reach(rig, WANT_INSPECT, NULL, false), PROV_DONE);
	assert_non_null(rig->inventory);
	assert_int_equal(reach(rig, WANT_PREPARE, NULL, false), PROV_DONE);
}

static void assert_runs(struct rig *rig, const char *checksum)
{
	advance(rig, 2 * USEC_PER_MIN);
	assert_int_equal(rig->machine->run, RUN_OS);
	assert_int_equal(rig->machine->disk, DISK_WRITTEN);
	assert_string_equal(rig->machine->image, checksum);
}

/* --- cases
 * -------------------------------------------------------------------------------------------------------------------
 */

static void test_whole_life(void **state)
{
	(void)state;
	struct rig *rig = rig_new(1);
	to_available(rig);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	assert_runs(rig, "aaaa");
	struct machine *m = rig->machine;
	assert_int_equal(m->ramdisk_boots, 1); /* inspection's ramdisk cleans and writes too */
	assert_int_equal(m->cleans, 1);
	assert_int_equal(m->writes_begun, 1);
	assert_int_equal(m->os_boots, 1);
	assert_int_equal(m->boot_entries, 0);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	assert_int_equal(m->writes_begun, 1);
	assert_int_equal(reach(rig, WANT_DEPROVISION, NULL, false), PROV_DONE);
	assert_int_equal(m->run, RUN_OFF);
	assert_int_equal(m->disk, DISK_BLANK);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_b, false), PROV_DONE);
	assert_runs(rig, "bbbb");
	assert_int_equal(m->cleans, 2); /* not again before the second image */
	rig_free(rig);
}

static void test_uefi_entry(void **state)
{
	(void)state;
	struct rig *rig = rig_new(16);
	rig->host.boot_mode = BOOT_UEFI;
	to_available(rig);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	assert_runs(rig, "aaaa");
	assert_int_equal(rig->machine->boot_entries, 1);
	rig_free(rig);
}

static void test_wrong_password(void **state)
{
	(void)state;
	struct rig *rig = rig_new(2);
	rig->host.password = "wrong";
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_FAILED);
	ask(rig, WANT_REGISTER, NULL, false); /* told again, not tried again */
	assert_int_equal(rig->result.outcome, PROV_FAILED);
	unsigned requests = rig->machine->bmc->requests;
	advance(rig, USEC_PER_HOUR);
	assert_int_equal(rig->machine->bmc->requests, requests);
	rig->host.password = "secret";
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	rig_free(rig);
}

static void test_silent_bmc_heals(void **state)
{
	(void)state;
	struct rig *rig = rig_new(3);
	rig->machine->bmc->unreachable = true;
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_FAILED);
	rig->machine->bmc->unreachable = false;
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, true), PROV_DONE);
	rig_free(rig);
}

static void test_no_boot_mac(void **state)
{
	(void)state;
	struct rig *rig = rig_new(4);
	rig->host.boot_mac = "";
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_FAILED);
	assert_non_null(strstr(rig->result.error, "bootMACAddress"));
	rig_free(rig);
}

static void test_mac_of_another(void **state)
{
	(void)state;
	struct rig *rig = rig_new(5);
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	struct prov_host other = rig->host;
	const char *node_id;
	other.key = "metal3/node-2";
	other.uid = "22222222-2222-4222-8222-222222222222";
	engine_load(rig->engine, other.key, other.uid, NULL);
	rig->prov->ops->register_host(rig->prov, &other, &(struct prov_register){ 0 }, &node_id,
				      &rig->result);
	assert_int_equal(rig->result.outcome, PROV_FAILED);
	assert_non_null(strstr(rig->result.error, "conflicts with existing node metal3/node-1"));
	rig_free(rig);
}

static void test_ramdisk_never_reports(void **state)
{
	(void)state;
	struct rig *rig = rig_new(6);
	rig->world.faults.boot_fails = 1000;
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	assert_int_equal(reach(rig, WANT_INSPECT, NULL, false), PROV_FAILED);
	assert_non_null(strstr(rig->result.error, "boot ramdisk"));
	assert_int_equal(rig->machine->ramdisk_boots, 2); /* tried twice */
	rig->world.faults.boot_fails = 0;
	assert_int_equal(reach(rig, WANT_INSPECT, NULL, true), PROV_DONE);
	rig_free(rig);
}

/* The ramdisk may take another half an hour to report, or for ever: nobody waits for it. */
static void test_deleted_in_inspection(void **state)
{
	(void)state;
	struct rig *rig = rig_new(6);
	rig->world.faults.boot_fails = 1000;
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	usec_t began = loop_now(rig->loop);
	while (rig->machine->bmc->power != BMC_POWER_ON) {
		ask(rig, WANT_INSPECT, NULL, false);
		advance(rig, USEC_PER_SEC);
	}
	assert_int_equal(reach(rig, WANT_OFF, NULL, false), PROV_DONE);
	assert_int_equal(rig->machine->bmc->power, BMC_POWER_OFF);
	assert_true(loop_now(rig->loop) - began < 2 * USEC_PER_MIN);
	rig_free(rig);
}

static void test_write_fails(void **state)
{
	(void)state;
	struct rig *rig = rig_new(7);
	to_available(rig);
	rig->world.faults.write_fails = 1000;
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_FAILED);
	assert_non_null(strstr(rig->result.error, "url: http://10.0.0.1/a.raw, checksum: aaaa"));
	assert_non_null(strstr(rig->result.error, "checksum of the image is wrong"));
	rig->world.faults.write_fails = 0;
	assert_int_equal(reach(rig, WANT_DEPROVISION, NULL, false), PROV_DONE);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	assert_runs(rig, "aaaa");
	rig_free(rig);
}

/* Another image after a failed write: the agent at hand has spoilt the disk and nobody waits for
 * it. */
static void test_other_image_after_failure(void **state)
{
	(void)state;
	struct rig *rig = rig_new(7);
	to_available(rig);
	rig->world.faults.write_fails = 1000;
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_FAILED);
	rig->world.faults.write_fails = 0;
	advance(rig, 10 * USEC_PER_SEC); /* its last beats for minutes are over */
	ask(rig, WANT_PROVISION, &image_b, false);
	advance(rig, 40 * USEC_PER_SEC);
	assert_int_equal(rig->machine->ramdisk_boots, 2);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_b, false), PROV_DONE);
	assert_runs(rig, "bbbb");
	rig_free(rig);
}

static void test_agent_dies_in_write(void **state)
{
	(void)state;
	struct rig *rig = rig_new(8);
	to_available(rig);
	rig->world.faults.agent_dies = 1000;
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_FAILED);
	assert_non_null(strstr(rig->result.error, "fell silent"));
	rig->world.faults.agent_dies = 0;
	assert_int_equal(reach(rig, WANT_DEPROVISION, NULL, false), PROV_DONE);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	assert_runs(rig, "aaaa");
	rig_free(rig);
}

static void test_image_replaced_in_write(void **state)
{
	(void)state;
	struct rig *rig = rig_new(9);
	to_available(rig);
	ask(rig, WANT_PROVISION, &image_a, false);
	advance(rig, 90 * USEC_PER_SEC);
	assert_int_equal(rig->machine->disk, DISK_HALF);
	assert_int_equal(reach(rig, WANT_DEPROVISION, NULL, false), PROV_DONE);
	assert_int_equal(rig->machine->disk, DISK_BLANK);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_b, false), PROV_DONE);
	assert_runs(rig, "bbbb");
	assert_int_equal(rig->machine->os_boots, 1); /* the half-written disk never ran */
	rig_free(rig);
}

static void test_images_refused(void **state)
{
	(void)state;
	static const struct {
		struct prov_image image;
		const char *word;
	} rows[] = {
		{ { "http://x/i", "aa", "", "vmdk" }, "qemu-img" },
		{ { "http://x/i", "aa", "", "vdi" }, "qemu-img" },
		{ { "ftp://x/i", "aa", "", "" }, "http" },
		{ { "gopher://x/i", "aa", "", "" }, "http" },
		{ { "file:///etc/passwd", "aa", "", "" }, "only http" },
		{ { "http://x/i", "", "", "raw" }, "checksum is required" },
	};
	struct rig *rig = rig_new(10);
	to_available(rig);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct prov_provision p = { .image = rows[i].image };
		assert_int_equal(reach(rig, WANT_PROVISION, &p, false), PROV_FAILED);
		assert_non_null(strstr(rig->result.error, rows[i].word));
	}
	assert_int_equal(rig->machine->writes_begun, 0);
	rig_free(rig);
}

static void test_storage_away(void **state)
{
	(void)state;
	struct rig *rig = rig_new(11);
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	rig->storage_away = true;
	ask(rig, WANT_INSPECT, NULL, false);
	unsigned ons = rig->machine->bmc->power_ons, boots = rig->machine->bmc->boot_changes;
	advance(rig, 10 * USEC_PER_MIN);
	/* Nothing is done to hardware that was not written down. */
	assert_int_equal(rig->machine->bmc->power_ons, ons);
	assert_int_equal(rig->machine->bmc->boot_changes, boots);
	rig->storage_away = false;
	assert_int_equal(reach(rig, WANT_INSPECT, NULL, false), PROV_DONE);
	rig_free(rig);
}

static void test_storage_conflict(void **state)
{
	(void)state;
	struct rig *rig = rig_new(12);
	to_available(rig);
	rig->storage_conflict = true;
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	assert_runs(rig, "aaaa");
	assert_int_equal(rig->machine->writes_begun, 1);
	rig_free(rig);
}

/* The engine is killed each `period` all along; what it has done must carry on. */
static void check_kills(uint64_t seed, usec_t period)
{
	struct rig *rig = rig_new(seed);
	struct machine *m = rig->machine;
	static const enum want wants[] = { WANT_REGISTER, WANT_INSPECT, WANT_PREPARE,
					   WANT_PROVISION };
	usec_t next = loop_now(rig->loop) + period;
	for (size_t w = 0; w < ARRAY_SIZE(wants);) {
		ask(rig, wants[w], &image_a, false);
		if (rig->result.outcome == PROV_FAILED)
			fail_msg("seed %u, killed every %u s: %s", (unsigned)seed,
				 (unsigned)(period / USEC_PER_SEC), rig->result.error);
		w += rig->result.outcome == PROV_DONE;
		advance(rig, 700 * USEC_PER_MSEC);
		if (loop_now(rig->loop) < next)
			continue;
		kill_engine(rig);
		advance(rig, loop_random_below(rig->loop, 5 * USEC_PER_SEC));
		start_engine(rig);
		next = loop_now(rig->loop) + period;
		assert_true(loop_now(rig->loop) < 10 * USEC_PER_HOUR);
	}
	assert_runs(rig, "aaaa");
	assert_int_equal(m->writes_begun, 1);
	assert_int_equal(m->os_boots, 1);
	rig_free(rig);
}

static void test_killed_all_along(void **state)
{
	(void)state;
	static const usec_t periods[] = { 13, 20, 45, 110, 260, 610 };
	for (size_t p = 0; p < ARRAY_SIZE(periods); p++)
		for (uint64_t seed = 100; seed < 110; seed++)
			check_kills(seed, periods[p] * USEC_PER_SEC);
}

static void test_lossy_world(void **state)
{
	(void)state;
	for (uint64_t seed = 200; seed < 230; seed++) {
		struct rig *rig = rig_new(seed);
		rig->world.faults.call_lost = rig->world.faults.answer_lost = 150;
		rig->machine->bmc->faults = (struct fake_faults){
			.silent = 50, .busy = 50, .garbage = 20, .ignored = 30
		};
		static const enum want wants[] = { WANT_REGISTER, WANT_INSPECT, WANT_PREPARE,
						   WANT_PROVISION };
		for (size_t w = 0; w < ARRAY_SIZE(wants);) {
			enum prov_outcome o = reach(rig, wants[w], &image_a, true);
			w += o == PROV_DONE;
			if (o == PROV_FAILED && wants[w] == WANT_PROVISION)
				reach(rig, WANT_DEPROVISION, NULL, true);
			assert_true(loop_now(rig->loop) < 48 * USEC_PER_HOUR);
		}
		rig->machine->bmc->faults = (struct fake_faults){ 0 };
		assert_runs(rig, "aaaa");
		rig_free(rig);
	}
}

static void test_power(void **state)
{
	(void)state;
	struct rig *rig = rig_new(13);
	bool fault;
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	assert_int_equal(rig->prov->ops->power(rig->prov, &rig->host, &fault), PROV_POWER_OFF);
	assert_int_equal(reach(rig, WANT_ON, NULL, false), PROV_DONE);
	assert_int_equal(rig->machine->bmc->power, BMC_POWER_ON);
	assert_int_equal(reach(rig, WANT_SOFT_OFF, NULL, false), PROV_DONE);
	assert_int_equal(reach(rig, WANT_ON, NULL, false), PROV_DONE);
	rig->machine->bmc->soft_works = false;
	assert_int_equal(reach(rig, WANT_SOFT_OFF, NULL, false), PROV_FAILED);
	assert_int_equal(reach(rig, WANT_OFF, NULL, true), PROV_DONE);
	assert_int_equal(rig->machine->bmc->power, BMC_POWER_OFF);
	/* Somebody presses the button: seen by the poll, and told. */
	unsigned kicks = rig->kicks;
	fake_machine_set_power(rig->machine->bmc, BMC_POWER_ON);
	advance(rig, 2 * USEC_PER_MIN);
	assert_int_equal(rig->prov->ops->power(rig->prov, &rig->host, &fault), PROV_POWER_ON);
	assert_int_equal(rig->kicks, kicks + 1);
	rig->machine->bmc->unreachable = true;
	advance(rig, 30 * USEC_PER_MIN);
	rig->prov->ops->power(rig->prov, &rig->host, &fault);
	assert_true(fault);
	rig_free(rig);
}

/* --- agents that must not get in
 * -------------------------------------------------------------------------------------------------
 */

struct answer {
	int status, count;
	char token[64];
};

static void keep_answer(void *data, int status, const struct json *body)
{
	struct answer *a = data;
	a->status = status;
	a->count++;
	snprintf(a->token, sizeof(a->token), "%s",
		 str_or(json_get_path_string(body, "config.agent_token"), ""));
}

static struct answer lookup(struct rig *rig, const char *mac, const char *source)
{
	struct answer a = { 0 };
	engine_agent_lookup(rig->engine, mac, NULL, source, keep_answer, &a);
	advance(rig, USEC_PER_SEC);
	assert_int_equal(a.count, 1);
	return a;
}

static void test_lookup_rules(void **state)
{
	(void)state;
	struct rig *rig = rig_new(14);
	const char *mac = rig->machine->mac, *address = rig->machine->address;
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	assert_int_equal(lookup(rig, mac, address).status, 404); /* no boot of ours */
	rig->world.faults.boot_fails = 1000;			 /* we play the agent */
	ask(rig, WANT_INSPECT, NULL, false);
	advance(rig, USEC_PER_MIN);
	assert_int_equal(lookup(rig, "52:54:00:ff:ff:ff", address).status, 404);
	struct answer first = lookup(rig, mac, address);
	assert_int_equal(first.status, 200);
	assert_int_equal(strlen(first.token), 43);
	assert_string_equal(lookup(rig, mac, address).token,
			    first.token); /* the answer may have been lost */
	assert_int_equal(rig->warnings, 0);
	struct answer other = lookup(rig, mac, "10.9.9.9");
	assert_string_equal(other.token, "******");
	assert_int_equal(rig->warnings, 1);
	rig_free(rig);
}

static int heartbeat(struct rig *rig, const char *token, const char *url, const char *source)
{
	struct answer a = { 0 };
	_cleanup_(json_freep) struct json *body = json_new_object();
	json_set_string(body, "callback_url", url);
	json_set_string(body, "agent_token", token);
	json_set_string(body, "agent_verify_ca", "certificate");
	engine_agent_heartbeat(rig->engine, uid, body, source, keep_answer, &a);
	assert_int_equal(a.count, 1);
	return a.status;
}

static void test_heartbeat_rules(void **state)
{
	(void)state;
	struct rig *rig = rig_new(15);
	const char *mac = rig->machine->mac;
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	rig->world.faults.boot_fails = 1000;
	ask(rig, WANT_INSPECT, NULL, false);
	advance(rig, USEC_PER_MIN);
	struct answer a = lookup(rig, mac, "10.2.0.1");
	assert_int_equal(heartbeat(rig, "wrong", "https://10.2.0.1:9999", "10.2.0.1"), 400);
	assert_int_equal(heartbeat(rig, "", "https://10.2.0.1:9999", "10.2.0.1"), 400);
	assert_int_equal(heartbeat(rig, a.token, "http://10.2.0.1:9999", "10.2.0.1"), 400);
	assert_int_equal(heartbeat(rig, a.token, "https://10.2.0.1:9999", "10.2.0.9"), 400);
	assert_int_equal(heartbeat(rig, a.token, "https://127.0.0.1:22", "10.2.0.1"), 400);
	assert_int_equal(heartbeat(rig, a.token, "https://10.2.0.1:9999/x", "10.2.0.1"), 400);
	assert_int_equal(heartbeat(rig, a.token, "https://10.2.0.1:9999", "10.2.0.1"), 202);
	advance(rig, USEC_PER_SEC);
	assert_int_equal(heartbeat(rig, a.token, "https://10.2.0.1:9998", "10.2.0.1"), 400);
	assert_int_equal(heartbeat(rig, a.token, "https://10.2.0.1:9999", "10.2.0.1"), 202);
	advance(rig, USEC_PER_SEC);
	assert_string_equal(lookup(rig, mac, "10.2.0.1").token, "******"); /* it has arrived */
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_life),
		cmocka_unit_test(test_uefi_entry),
		cmocka_unit_test(test_wrong_password),
		cmocka_unit_test(test_silent_bmc_heals),
		cmocka_unit_test(test_no_boot_mac),
		cmocka_unit_test(test_mac_of_another),
		cmocka_unit_test(test_ramdisk_never_reports),
		cmocka_unit_test(test_deleted_in_inspection),
		cmocka_unit_test(test_write_fails),
		cmocka_unit_test(test_other_image_after_failure),
		cmocka_unit_test(test_agent_dies_in_write),
		cmocka_unit_test(test_image_replaced_in_write),
		cmocka_unit_test(test_images_refused),
		cmocka_unit_test(test_storage_away),
		cmocka_unit_test(test_storage_conflict),
		cmocka_unit_test(test_killed_all_along),
		cmocka_unit_test(test_lossy_world),
		cmocka_unit_test(test_power),
		cmocka_unit_test(test_lookup_rules),
		cmocka_unit_test(test_heartbeat_rules),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
