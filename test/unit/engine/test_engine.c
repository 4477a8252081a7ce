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
#include <unistd.h>

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "engine/internal.h"
#include "sim/world.h"

static const char key[] = "metal3/node-1", uid[] = "11111111-1111-4111-8111-111111111111";

/* --- a rig: world, engine, one host, records in memory ---------------------------------------- */

struct rig {
	struct loop *loop;
	struct sim_world world;
	struct sim_machine *machine;
	struct engine *engine;
	struct json *record; /* what is stored */
	unsigned saves, kicks, warnings;
	bool storage_away, storage_conflict, leads_no_more;
	unsigned capacity; /* 0: default */
	bool serves_dhcp;
	const struct net_policy *agents;
	const char *const *places; /* more of each image */
	struct prov_host host;
	struct prov_result result;
	const struct json *inventory;
	struct json *hints;
	char told[512];	 /* the last event about the disk */
	char power[128]; /* the last one about power */
	bool leaving;
	char asked[64]; /* the fence, last: for this host */
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

/* In every case of this file: no line of the log, event or stored record may hold them. */
static const char password[] = "correct horse";
static char last_token[TOKEN_TEXT_MAX];

static void check_shown(const char *text)
{
	if (strstr(text, password) || (*last_token && strstr(text, last_token)))
		fail_msg("a secret is shown: %s", text);
}

static void save(void *data, const char *k, const char *u, const struct json *record,
		 engine_saved_fn done, void *done_data)
{
	struct rig *rig = data;
	struct saving *s = xcalloc(1, sizeof(*s));
	_cleanup_(freep) char *text = json_to_string(record);
	check_shown(text);
	assert_string_equal(k, key);
	assert_string_equal(u, rig->host.uid);
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
	struct rig *rig = data;
	(void)k;
	check_shown(message);
	rig->warnings += warning;
	if (str_has_prefix(reason, "Power"))
		snprintf(rig->power, sizeof(rig->power), "%s", message);
	if (streq(reason, "RootDevice") || streq(reason, "NetworkDataNotApplied"))
		snprintf(rig->told, sizeof(rig->told), "%s", message);
}

static int check_address(void *data, const char *address, struct err *err)
{
	(void)data;
	return streq(address, "10.2.0.66") ? err_set(err, ERR_INVALID, "not here") : 0;
}

static bool may_act(void *data, const char *host)
{
	struct rig *rig = data;
	snprintf(rig->asked, sizeof(rig->asked), "%s", host);
	assert_true(streq(host, "") || str_has_prefix(host, "metal3/"));
	return !rig->leads_no_more;
}

static const char *const *image_places(void *data, const char *url)
{
	const struct rig *rig = data;
	assert_non_null(url);
	return rig->places;
}

/* Good until the next call but one. */
static const struct net_mac *at_mac(const char *text)
{
	static struct net_mac macs[2];
	static unsigned next;
	struct net_mac *mac = &macs[next++ % ARRAY_SIZE(macs)];
	assert_int_equal(net_parse_mac(text, mac), 0);
	return mac;
}

static void start_engine(struct rig *rig)
{
	static const uint8_t secret[32] = { 1, 2, 3 };
	struct engine_options options = {
		.loop = rig->loop,
		.drivers = &rig->world.drivers,
		.link = &rig->world.link,
		.media = &rig->world.media,
		.secret = secret,
		.secret_len = sizeof(secret),
		.capacity = rig->capacity,
		.serves_dhcp = rig->serves_dhcp,
		.agents = rig->agents,
		.address_check = check_address,
		.image_places = image_places,
		.image_places_data = rig,
		.env = { .save = save,
			 .kick = kick,
			 .event = event,
			 .data = rig,
			 .fence = { may_act, rig } },
	};
	bmc_driver_set_fence(rig->world.driver, &options.env.fence);
	rig->engine = engine_new(&options);
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
	check_shown(line);
	if (getenv("VERBOSE"))
		print_message("%s\n", line);
	(void)data;
}

static struct rig *rig_new(uint64_t seed)
{
	struct rig *rig = xcalloc(1, sizeof(*rig));
	*last_token = '\0';
	log_set_level(LOG_DEBUG);
	log_set_sink(keep_quiet, NULL);
	rig->loop = loop_new_virtual(seed, UINT64_C(1767225600) * USEC_PER_SEC);
	sim_world_init(&rig->world, rig->loop);
	rig->machine = sim_world_add(&rig->world, 1);
	str_replace(&rig->machine->bmc->username, "admin");
	str_replace(&rig->machine->bmc->password, password);
	rig->host = (struct prov_host){ .key = key,
					.uid = uid,
					.bmc_address = "ipmi://10.1.0.1",
					.username = "admin",
					.password = password,
					.boot_mac = rig->machine->mac,
					.boot_mode = BOOT_LEGACY };
	start_engine(rig);
	return rig;
}

static void rig_free(struct rig *rig)
{
	assert_string_equal(rig->world.broken, "");
	kill_engine(rig);
	/* Answers that are still under way find nobody. */
	loop_run_until(rig->loop, loop_now(rig->loop) + USEC_PER_HOUR);
	sim_world_done(&rig->world);
	json_free(rig->record);
	json_free(rig->hints);
	loop_free(rig->loop);
	free(rig);
}

/* --- a controller of a few lines -------------------------------------------------------------- */

enum want {
	WANT_REGISTER,
	WANT_INSPECT,
	WANT_PREPARE,
	WANT_PROVISION,
	WANT_DEPROVISION,
	WANT_ON,
	WANT_OFF,
	WANT_SOFT_OFF,
	WANT_ADOPT
};

/* Bytes: gzip has a NUL among its first. */
static const char user_data_a[] = "\x1f\x8b\x08\x00\x00after a NUL\xff";

static const struct prov_provision image_a = {
	.image = { "http://10.0.0.1/a.raw", "aaaa", "sha256", "raw" },
	.config_drive = { .meta_data = "{\"uuid\":\"x\"}",
			  .user_data = user_data_a,
			  .user_data_len = sizeof(user_data_a) - 1 },
};
static const struct prov_provision image_b = { .image = { "http://10.0.0.1/b.raw", "bbbb", "sha256",
							  "raw" } };

static void ask(struct rig *rig, enum want want, const struct prov_provision *image, bool retry)
{
	const char *node_id;
	_cleanup_(json_freep) struct json *record = rig->record ? json_dup(rig->record) : NULL;
	if (!engine_knows(rig->engine, key))
		engine_load(rig->engine, key, uid, record);
	engine_register(rig->engine, &rig->host,
			&(struct prov_register){ .retry = retry, .leaving = rig->leaving },
			&node_id, &rig->result);
	if (rig->result.outcome != PROV_DONE || want == WANT_REGISTER)
		return;
	switch (want) {
	case WANT_REGISTER:
		break;
	case WANT_INSPECT:
		engine_inspect(rig->engine, &rig->host, &(struct prov_inspect){ .retry = retry },
			       &rig->inventory, &rig->result);
		break;
	case WANT_PREPARE:
		engine_prepare(rig->engine, &rig->host, &(struct prov_prepare){ 0 }, &rig->result);
		break;
	case WANT_PROVISION:
		engine_provision(rig->engine, &rig->host, image, &rig->result);
		break;
	case WANT_DEPROVISION:
		engine_deprovision(rig->engine, &rig->host,
				   &(struct prov_deprovision){ .retry = retry }, &rig->result);
		break;
	case WANT_ADOPT:
		engine_adopt(rig->engine, &rig->host, retry, &rig->result);
		break;
	case WANT_ON:
		engine_power_on(rig->engine, &rig->host, retry, &rig->result);
		break;
	case WANT_OFF:
	case WANT_SOFT_OFF:
		engine_power_off(rig->engine, &rig->host, want == WANT_OFF, retry, &rig->result);
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

static void restart_engine(struct rig *rig)
{
	kill_engine(rig);
	start_engine(rig);
}

static void load_again(struct rig *rig)
{
	restart_engine(rig);
	ask(rig, WANT_REGISTER, NULL, false);
}

static void to_available(struct rig *rig)
{
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	assert_int_equal(reach(rig, WANT_INSPECT, NULL, false), PROV_DONE);
	assert_non_null(rig->inventory);
	assert_int_equal(reach(rig, WANT_PREPARE, NULL, false), PROV_DONE);
}

/* The agent that runs says so now, not in a minute. */
static void agent_beats(struct rig *rig)
{
	assert_int_equal(rig->machine->run, SIM_RUN_RAMDISK);
	rig->machine->next = SIM_AGENT_BEAT;
	timer_set_in(&rig->machine->timer, USEC_PER_MSEC);
	advance(rig, 2 * USEC_PER_SEC);
}

static void assert_runs(struct rig *rig, const char *checksum)
{
	advance(rig, 2 * USEC_PER_MIN);
	assert_int_equal(rig->machine->run, SIM_RUN_OS);
	assert_int_equal(rig->machine->disk, SIM_DISK_WRITTEN);
	assert_string_equal(rig->machine->image, checksum);
}

/* --- cases ------------------------------------------------------------------------------------ */

static void test_whole_life(void **state)
{
	(void)state;
	struct rig *rig = rig_new(1);
	to_available(rig);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	assert_runs(rig, "aaaa");
	struct sim_machine *m = rig->machine;
	assert_int_equal(m->ramdisk_boots, 1); /* inspection's ramdisk cleans and writes too */
	assert_int_equal(m->cleans, 1);
	assert_int_equal(m->writes_begun, 1);
	assert_int_equal(m->os_boots, 1);
	assert_int_equal(m->boot_entries, 0);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	assert_int_equal(m->writes_begun, 1);
	assert_int_equal(reach(rig, WANT_DEPROVISION, NULL, false), PROV_DONE);
	assert_int_equal(m->run, SIM_RUN_OFF);
	assert_int_equal(m->disk, SIM_DISK_BLANK);
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

/* The image's own URL, then the copies. */
static void test_image_places(void **state)
{
	static const char *const places[] = { "http://10.0.0.2/x", "http://10.0.0.3/x", NULL };
	(void)state;
	struct rig *rig = rig_new(33);
	to_available(rig);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	assert_string_equal(rig->machine->reads_from, "http://10.0.0.1/a.raw");
	rig->places = places;
	assert_int_equal(reach(rig, WANT_PROVISION, &image_b, false), PROV_DONE);
	assert_string_equal(rig->machine->reads_from,
			    "http://10.0.0.1/b.raw http://10.0.0.2/x http://10.0.0.3/x");
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
	/* The controller's back-off is no reason either: accounts are locked by such tries. */
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, true), PROV_FAILED);
	assert_int_equal(rig->machine->bmc->requests, requests);
	rig->host.password = password;
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	rig_free(rig);
}

static void register_with(struct rig *rig, bool credentials_changed)
{
	const char *node_id;
	engine_register(rig->engine, &rig->host,
			&(struct prov_register){ .retry = true,
						 .credentials_changed = credentials_changed },
			&node_id, &rig->result);
}

/* The password is changed at the BMC: the look at a resting host meets it, once. The same Secret is
 * tried again when somebody has touched it. */
static void test_password_changed_at_the_bmc(void **state)
{
	(void)state;
	struct rig *rig = rig_new(3);
	to_available(rig);
	str_replace(&rig->machine->bmc->password, "another");
	advance(rig, 10 * USEC_PER_MIN);
	unsigned requests = rig->machine->bmc->requests;
	for (int i = 0; i < 600; i++) {
		register_with(rig, false);
		assert_int_equal(rig->result.outcome, PROV_FAILED);
		advance(rig, USEC_PER_MIN);
	}
	assert_int_equal(rig->machine->bmc->requests, requests);
	str_replace(&rig->machine->bmc->password, password);
	register_with(rig, true);
	assert_int_equal(rig->result.outcome, PROV_RUNNING);
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	rig_free(rig);
}

/* A pin needs a BMC that shows a certificate; another one opens the BMC anew. */
static void test_pinned_certificate(void **state)
{
	(void)state;
	struct rig *rig = rig_new(3);
	rig->host.bmc_pin = "aa";
	static const char *const without[] = { "ipmi://10.1.0.1", "redfish+http://10.1.0.1/x" };
	for (size_t i = 0; i < ARRAY_SIZE(without); i++) {
		rig->host.bmc_address = without[i];
		assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_FAILED);
		assert_int_equal(rig->result.problem, PROV_NO_CERTIFICATE);
	}
	rig->host.bmc_address = "redfish://10.1.0.1/x";
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	const struct node *n = node_find(rig->engine, key);
	assert_string_equal(n->record.registered.bmc_certificate, "aa");
	unsigned requests = rig->machine->bmc->requests;
	rig->host.bmc_pin = "bb";
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	assert_true(rig->machine->bmc->requests > requests);
	assert_string_equal(n->record.registered.bmc_certificate, "bb");
	rig->host.bmc_ca = "PEM";
	requests = rig->machine->bmc->requests;
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	assert_true(rig->machine->bmc->requests > requests);
	rig_free(rig);
}

/* A question under way ends with the connection, which is no failure of the operation. */
static void test_password_changed_in_flight(void **state)
{
	(void)state;
	struct rig *rig = rig_new(25);
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	for (unsigned i = 0; i < 8; i++) {
		ask(rig, WANT_INSPECT, NULL, false);
		advance(rig, 11 * USEC_PER_MSEC);
		_cleanup_(freep) char *changed = xasprintf("secret-%u", i);
		str_replace(&rig->machine->bmc->password, changed);
		rig->host.password = changed;
		ask(rig, WANT_INSPECT, NULL, false);
		assert_int_not_equal(rig->result.outcome, PROV_FAILED);
		advance(rig, 1500 * USEC_PER_MSEC);
		rig->host.password = rig->machine->bmc->password;
	}
	assert_int_equal(reach(rig, WANT_INSPECT, NULL, false), PROV_DONE);
	rig_free(rig);
}

static const char *register_settled(struct rig *rig, const struct prov_host *host)
{
	const char *node_id;
	_cleanup_(json_freep) struct json *record = rig->record ? json_dup(rig->record) : NULL;
	if (!engine_knows(rig->engine, key))
		engine_load(rig->engine, key, uid, record);
	rig->result.error[0] = '\0';
	engine_register(rig->engine, host, &(struct prov_register){ .settled = true }, &node_id,
			&rig->result);
	return rig->result.outcome == PROV_FAILED ? rig->result.error : "";
}

static enum prov_problem problem_of(struct rig *rig, const struct prov_host *host)
{
	rig->result.problem = PROV_OTHER;
	register_settled(rig, host);
	return rig->result.problem;
}

/* A registered host does not become another machine by an edit, not after a restart either; a host
 * that was detached may. */
static void test_another_machine(void **state)
{
	(void)state;
	struct rig *rig = rig_new(26);
	to_available(rig);
	struct prov_host bmc = rig->host, mac = rig->host;
	bmc.bmc_address = "ipmi://192.0.2.99";
	mac.boot_mac = "52:54:00:00:00:99";
	for (int i = 0; i < 2; i++) {
		assert_int_equal(problem_of(rig, &bmc), PROV_OTHER_BMC);
		assert_int_equal(problem_of(rig, &mac), PROV_OTHER_BOOT_MAC);
		assert_string_equal(rig->result.error, rig->host.boot_mac);
		assert_string_equal(register_settled(rig, &rig->host), "");
		advance(rig, USEC_PER_MIN);
		restart_engine(rig);
	}
	assert_string_equal(register_settled(rig, &rig->host), "");
	do {
		engine_remove(rig->engine, &rig->host, true, &rig->result);
		advance(rig, USEC_PER_SEC);
	} while (rig->result.outcome == PROV_RUNNING);
	assert_int_equal(problem_of(rig, &bmc), PROV_OTHER);
	rig_free(rig);
}

/* check_shown() looks into every record that is stored. */
static void test_password_in_the_address(void **state)
{
	(void)state;
	struct rig *rig = rig_new(27);
	to_available(rig);
	struct prov_host host = rig->host;
	host.bmc_address = "ipmi://root:correct horse@10.1.0.1?token=correct horse";
	register_settled(rig, &host);
	advance(rig, USEC_PER_MIN);
	assert_string_equal(json_get_path_string(rig->record, "registered.bmcAddress"),
			    "ipmi://10.1.0.1");
	/* As an earlier release left it: rewritten at once, also while the BMC does not answer. */
	kill_engine(rig);
	json_set_string(json_get_mut(rig->record, "registered"), "bmcAddress",
			"ipmi://root:pw@10.1.0.1");
	rig->machine->bmc->unreachable = true;
	start_engine(rig);
	ask(rig, WANT_REGISTER, NULL, false);
	advance(rig, USEC_PER_SEC);
	assert_string_equal(json_get_path_string(rig->record, "registered.bmcAddress"),
			    "ipmi://10.1.0.1");
	rig_free(rig);
}

/* Image and sums by URLs with secrets; check_shown() looks into records, events and the log. */
static const struct prov_provision secret_image = {
	.image = { "http://tom:correct horse@10.0.0.1/a.raw?sig=correct horse",
		   "https://tom:correct horse@10.0.0.1/SUMS", "sha256", "raw" },
};

static void assert_masked(struct rig *rig)
{
	assert_string_equal(json_get_path_string(rig->record, "image.url"),
			    "http://10.0.0.1/a.raw?...");
	assert_string_equal(json_get_path_string(rig->record, "image.checksum"),
			    "https://10.0.0.1/SUMS");
	assert_int_equal(strlen(json_get_path_string(rig->record, "image.identity")), 81);
}

static void begin_write(struct rig *rig, const struct prov_provision *image)
{
	unsigned before = rig->machine->writes_begun;
	for (int i = 0; i < 3600 && rig->machine->writes_begun == before; i++) {
		ask(rig, WANT_PROVISION, image, false);
		advance(rig, USEC_PER_SEC);
	}
	assert_int_equal(rig->machine->writes_begun, before + 1);
}

/* The agent is told all of it, also by a process that read the masked record. */
static void test_password_in_the_image(void **state)
{
	(void)state;
	struct rig *rig = rig_new(28);
	to_available(rig);
	ask(rig, WANT_PROVISION, &secret_image, false);
	advance(rig, USEC_PER_SEC);
	assert_masked(rig);
	restart_engine(rig);
	begin_write(rig, &secret_image);
	assert_string_equal(rig->machine->reads_from, secret_image.image.url);
	restart_engine(rig);
	assert_int_equal(reach(rig, WANT_PROVISION, &secret_image, false), PROV_DONE);
	assert_int_equal(rig->machine->writes_begun, 1);
	assert_masked(rig);
	rig_free(rig);
}

/* Another query names another image, another password is tried. */
static void test_other_secret_is_another_image(void **state)
{
	struct prov_provision other = secret_image;
	(void)state;
	struct rig *rig = rig_new(29);
	rig->world.write_time = USEC_PER_HOUR;
	to_available(rig);
	begin_write(rig, &secret_image);
	other.image.url = "http://tom:correct horse@10.0.0.1/a.raw?sig=other";
	restart_engine(rig);
	begin_write(rig, &other);
	assert_string_equal(rig->machine->reads_from, other.image.url);
	rig_free(rig);
}

/* Whole URLs, as an earlier release stored them, name the same image, and go at once. */
static void test_image_of_an_earlier_release(void **state)
{
	(void)state;
	struct rig *rig = rig_new(30);
	to_available(rig);
	begin_write(rig, &secret_image);
	kill_engine(rig);
	struct json *image = json_get_mut(rig->record, "image");
	json_set_string(image, "url", secret_image.image.url);
	json_set_string(image, "checksum", secret_image.image.checksum);
	json_free(json_take(image, "identity"));
	json_set_string(json_get_mut(rig->record, "node"), "lastError",
			"cannot read http://tom:correct@10.0.0.1/a.raw");
	start_engine(rig);
	ask(rig, WANT_REGISTER, NULL, false);
	advance(rig, USEC_PER_SEC);
	assert_masked(rig);
	assert_string_equal(json_get_path_string(rig->record, "node.lastError"),
			    "cannot read http://10.0.0.1/a.raw");
	assert_int_equal(reach(rig, WANT_PROVISION, &secret_image, false), PROV_DONE);
	assert_int_equal(rig->machine->writes_begun, 1);
	rig_free(rig);
}

/* A host that came from another installation, whose key this one does not have. */
static void test_image_of_another_installation(void **state)
{
	(void)state;
	struct rig *rig = rig_new(31);
	to_available(rig);
	assert_int_equal(reach(rig, WANT_PROVISION, &secret_image, false), PROV_DONE);
	advance(rig, USEC_PER_MIN);
	_cleanup_(freep) char *own = xstrdup(json_get_path_string(rig->record, "image.identity"));
	kill_engine(rig);
	_cleanup_(freep) char *others = xasprintf("0123456789abcdef:%s", own + 17);
	json_set_string(json_get_mut(rig->record, "image"), "identity", others);
	start_engine(rig);
	assert_int_equal(reach(rig, WANT_PROVISION, &secret_image, false), PROV_DONE);
	advance(rig, USEC_PER_MIN);
	assert_int_equal(rig->machine->writes_begun, 1);
	assert_string_equal(json_get_path_string(rig->record, "image.identity"), own);
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
	assert_int_equal(rig->result.problem, PROV_NEEDS_BOOT_MAC);
	rig_free(rig);
}

/* An externally provisioned host is switched on and off; where it boots from is its own affair. */
static void test_no_boot_mac_for_power_only(void **state)
{
	(void)state;
	struct rig *rig = rig_new(4);
	rig->host.boot_mac = "";
	rig->host.power_only = true;
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	assert_int_equal(reach(rig, WANT_ADOPT, NULL, false), PROV_DONE);
	assert_int_equal(reach(rig, WANT_ON, NULL, false), PROV_DONE);
	rig->host.bmc_address = "libvirt://10.1.0.1";
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_FAILED);
	assert_int_equal(rig->result.problem, PROV_NEEDS_BOOT_MAC);
	assert_string_equal(rig->result.error, "libvirt");
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
	engine_register(rig->engine, &other, &(struct prov_register){ 0 }, &node_id, &rig->result);
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
	assert_int_not_equal(rig->machine->bmc->boot.device, BMC_DEVICE_DISK);
	rig->world.faults.agent_dies = 0;
	assert_int_equal(reach(rig, WANT_DEPROVISION, NULL, false), PROV_DONE);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	assert_runs(rig, "aaaa");
	rig_free(rig);
}

/* An agent that beats, but tells nothing of its command, is given up after minutes, whatever it
 * answers instead: in the write, and in the cleaning of a deprovisioning. */
static void test_no_word_of_the_command(void **state)
{
	(void)state;
	static const struct {
		int answer;
		unsigned minutes; /* at least and, with two more, at most */
		const char *says;
	} rows[] = {
		{ SIM_ANSWER_ERROR, 3, "no word from the agent on its command for 3m while" },
		{ SIM_ANSWER_NONSENSE, 3, "neither a command nor a list of them" },
		{ SIM_ANSWER_NOT, 15, "no word from the agent on its command for 15m while" },
		{ SIM_ANSWER_EMPTY, 0, "knows nothing of its command any more" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (int clean = 0; clean < 2; clean++) {
			struct rig *rig = rig_new(100 + (unsigned)i);
			to_available(rig);
			if (clean)
				reach(rig, WANT_PROVISION, &image_a, false);
			const unsigned *begun = &rig->machine->writes_begun;
			usec_t *time = clean ? &rig->world.clean_time : &rig->world.write_time;
			enum want want = clean ? WANT_DEPROVISION : WANT_PROVISION;
			*time = 10 * USEC_PER_HOUR;
			ask(rig, want, &image_a, false);
			for (int s = 0;
			     s < 600 && !(sim_machine_works(rig->machine) && (clean || *begun));
			     s++)
				advance(rig, USEC_PER_SEC);
			assert_true(sim_machine_works(rig->machine));
			rig->world.faults.answer = rows[i].answer;
			unsigned calls = rig->world.calls;
			usec_t began = loop_now(rig->loop);
			assert_int_equal(reach(rig, want, &image_a, false), PROV_FAILED);
			usec_t took = loop_now(rig->loop) - began;
			if (!strstr(rig->result.error, rows[i].says))
				fail_msg("row %zu: %s", i, rig->result.error);
			assert_true(took >= rows[i].minutes * USEC_PER_MIN);
			assert_true(took <= (rows[i].minutes + 2) * USEC_PER_MIN);
			/* politely all the time */
			assert_true(rig->world.calls - calls <= 10 + took / (4 * USEC_PER_SEC));
			rig_free(rig);
		}
	}
}

/* A deprovisioning whose machine is reset and runs its old system again: while its disks are
 * cleaned, and before the agent came. The second is seen by DHCP only. */
static void test_reset_in_deprovisioning(void **state)
{
	(void)state;
	static const struct {
		bool cleaning, script;
		unsigned minutes;
	} rows[] = { { true, true, 4 }, { false, true, 8 }, { false, false, 7 } };
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rig *rig = rig_new(120);
		const char *mac = rig->machine->mac;
		to_available(rig);
		reach(rig, WANT_PROVISION, &image_a, false);
		rig->world.clean_time = USEC_PER_HOUR;
		ask(rig, WANT_DEPROVISION, NULL, false);
		for (int s = 0; s < 600; s++) {
			if (rows[i].cleaning ? sim_machine_works(rig->machine)
					     : rig->machine->run == SIM_RUN_RAMDISK)
				break;
			advance(rig, USEC_PER_SEC);
		}
		if (rows[i].script) {
			engine_boot_mark(rig->engine, at_mac(mac), ENGINE_MARK_SCRIPT);
			engine_boot_mark(rig->engine, at_mac(mac), ENGINE_MARK_SYSTEM);
		}
		sim_machine_reset(rig->machine);
		assert_int_equal(rig->machine->run, SIM_RUN_OS);
		usec_t began = loop_now(rig->loop);
		rig->world.clean_time = 60 * USEC_PER_SEC;
		advance(rig, 70 * USEC_PER_SEC);
		engine_boot_mark(rig->engine, at_mac(mac), ENGINE_MARK_SYSTEM);
		while (rig->machine->run == SIM_RUN_OS &&
		       loop_now(rig->loop) < began + USEC_PER_HOUR) {
			ask(rig, WANT_DEPROVISION, NULL, rig->result.outcome == PROV_FAILED);
			advance(rig, USEC_PER_SEC);
		}
		assert_true(loop_now(rig->loop) - began <= rows[i].minutes * USEC_PER_MIN);
		assert_int_equal(reach(rig, WANT_DEPROVISION, NULL, false), PROV_DONE);
		assert_int_equal(rig->machine->disk, SIM_DISK_BLANK);
		rig_free(rig);
	}
}

/* What asks for an address is the ramdisk, and it is only slow; it may ask twice. */
static void test_slow_ramdisk(void **state)
{
	(void)state;
	struct rig *rig = rig_new(121);
	to_available(rig);
	rig->world.boot_time = 12 * USEC_PER_MIN;
	unsigned boots = rig->machine->ramdisk_boots;
	reach(rig, WANT_PROVISION, &image_a, false);
	ask(rig, WANT_DEPROVISION, NULL, false);
	boots = rig->machine->ramdisk_boots;
	for (int s = 0; s < 600 && rig->machine->run != SIM_RUN_RAMDISK; s++)
		advance(rig, USEC_PER_SEC);
	engine_boot_mark(rig->engine, at_mac(rig->machine->mac), ENGINE_MARK_SCRIPT);
	engine_boot_mark(rig->engine, at_mac(rig->machine->mac), ENGINE_MARK_SYSTEM);
	advance(rig, 30 * USEC_PER_SEC);
	engine_boot_mark(rig->engine, at_mac(rig->machine->mac), ENGINE_MARK_SYSTEM);
	assert_int_equal(reach(rig, WANT_DEPROVISION, NULL, false), PROV_DONE);
	assert_int_equal(rig->machine->ramdisk_boots, boots + 1);
	/* Another process has not seen the script go out. */
	rig->world.boot_time = 10 * USEC_PER_SEC;
	reach(rig, WANT_PROVISION, &image_a, false);
	rig->world.boot_time = 12 * USEC_PER_MIN;
	boots = rig->machine->ramdisk_boots;
	ask(rig, WANT_DEPROVISION, NULL, false);
	for (int s = 0; s < 600 && rig->machine->run != SIM_RUN_RAMDISK; s++)
		advance(rig, USEC_PER_SEC);
	load_again(rig);
	engine_boot_mark(rig->engine, at_mac(rig->machine->mac), ENGINE_MARK_SYSTEM);
	assert_int_equal(reach(rig, WANT_DEPROVISION, NULL, false), PROV_DONE);
	assert_int_equal(rig->machine->ramdisk_boots, boots + 1);
	rig_free(rig);
}

/* Another command runs in the agent, and goes on running. */
static void test_agent_busy_for_good(void **state)
{
	(void)state;
	struct rig *rig = rig_new(110);
	to_available(rig);
	rig->world.faults.answer = SIM_ANSWER_BUSY;
	ask(rig, WANT_PROVISION, &image_a, false);
	usec_t began = loop_now(rig->loop);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_FAILED);
	assert_true(loop_now(rig->loop) - began <= 20 * USEC_PER_MIN);
	assert_non_null(strstr(rig->result.error, "Agent is busy"));
	assert_int_equal(rig->machine->writes_begun, 0);
	rig_free(rig);
}

/* What an agent answers to the question for its progress ends no write. */
static void test_progress_is_refused(void **state)
{
	(void)state;
	struct rig *rig = rig_new(111);
	to_available(rig);
	rig->world.no_progress = 405;
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
	assert_int_equal(rig->machine->disk, SIM_DISK_HALF);
	assert_int_equal(reach(rig, WANT_DEPROVISION, NULL, false), PROV_DONE);
	assert_int_equal(rig->machine->disk, SIM_DISK_BLANK);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_b, false), PROV_DONE);
	assert_runs(rig, "bbbb");
	assert_int_equal(rig->machine->os_boots, 1); /* the half-written disk never ran */
	rig_free(rig);
}

/* Told so without a deprovisioning in between: the agent that writes image a is there and beats. */
static void test_image_changed_in_write(void **state)
{
	(void)state;
	struct rig *rig = rig_new(28);
	to_available(rig);
	ask(rig, WANT_PROVISION, &image_a, false);
	advance(rig, 90 * USEC_PER_SEC);
	assert_int_equal(rig->machine->disk, SIM_DISK_HALF);
	ask(rig, WANT_PROVISION, &image_b, false);
	agent_beats(rig);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_b, false), PROV_DONE);
	assert_runs(rig, "bbbb");
	assert_int_equal(rig->machine->ramdisk_boots, 2);
	assert_int_equal(rig->machine->os_boots, 1);
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

/* Read by tools that know nothing of us. */
static void test_user_data_bytes(void **state)
{
	(void)state;
	struct rig *rig = rig_new(1);
	char path[] = "/tmp/ingot-drive-XXXXXX", command[100];
	static char iso[1 << 20];
	to_available(rig);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	const char *drive = json_get_string(rig->machine->image_info, "configdrive");
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, drive, strlen(drive)), strlen(drive));
	close(fd);
	snprintf(command, sizeof(command), "base64 -d %s | gzip -dc", path);
	FILE *p = popen(command, "re"); // NOLINT: the path is ours
	assert_non_null(p);
	size_t n = fread(iso, 1, sizeof(iso), p);
	assert_int_equal(pclose(p), 0);
	unlink(path);
	assert_non_null(memmem(iso, n, user_data_a, sizeof(user_data_a) - 1));
	rig_free(rig);
}

#define HEX64  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UPPER  "0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF"
#define HEX128 HEX64 HEX64
#define MD5SUM "0123456789abcdef0123456789abcdef"

/* What goes to an agent, in the words that the stock one (10.2 and 13) takes: both of the pair or
 * neither, a URL in its second half, all in lower case. world.c holds every write to the stock
 * validator. */
static void test_image_info(void **state)
{
	(void)state;
	static const struct {
		struct prov_image image;
		const char *id, *url, *checksum, *algo, *value;
	} rows[] = {
		{ { "http://x/i.raw", "http://x/SUMS", "sha256", "raw" },
		  "i.raw",
		  "http://x/i.raw",
		  "http://x/SUMS",
		  "sha256",
		  "http://x/SUMS" },
		{ { "http://x/i.raw", "http://x/SUMS", "", "" },
		  "i.raw",
		  "http://x/i.raw",
		  "http://x/SUMS",
		  NULL,
		  NULL },
		{ { "HTTP://x/d/i.raw?token=a/b", "HTTPS://x/SUMS", "auto", "raw" },
		  "i.raw",
		  "http://x/d/i.raw?token=a/b",
		  "https://x/SUMS",
		  NULL,
		  NULL },
		{ { "Https://x/i", "Http://x/Sums", "md5", "raw" },
		  "i",
		  "https://x/i",
		  "http://x/Sums",
		  "md5",
		  "http://x/Sums" },
		{ { "http://x/i", UPPER, "sha256", "" },
		  "i",
		  "http://x/i",
		  HEX64,
		  "sha256",
		  HEX64 },
		{ { "http://x/i", UPPER, "", "" }, "i", "http://x/i", HEX64, "sha256", HEX64 },
		{ { "http://x/i", HEX128, "auto", "" },
		  "i",
		  "http://x/i",
		  HEX128,
		  "sha512",
		  HEX128 },
		{ { "http://x/", MD5SUM, "", "" }, "x", "http://x/", MD5SUM, NULL, NULL },
		{ { "http://x/i/#f", MD5SUM, "md5", "" },
		  "i",
		  "http://x/i/#f",
		  MD5SUM,
		  "md5",
		  MD5SUM },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rig *rig = rig_new(10);
		to_available(rig);
		struct prov_provision p = { .image = rows[i].image };
		ask(rig, WANT_PROVISION, &p, false);
		advance(rig, 90 * USEC_PER_SEC);
		const struct json *info = rig->machine->image_info;
		assert_string_equal(json_get_string(info, "id"), rows[i].id);
		assert_string_equal(rig->machine->reads_from, rows[i].url);
		assert_string_equal(json_get_string(info, "checksum"), rows[i].checksum);
		assert_true(streq(json_get_string(info, "os_hash_algo"), rows[i].algo));
		assert_true(streq(json_get_string(info, "os_hash_value"), rows[i].value));
		rig_free(rig);
	}
}

/* Which disk it is going to be is asked and told before anything is erased. */
static void test_disk_is_told(void **state)
{
	(void)state;
	struct rig *rig = rig_new(11);
	json_parse("{\"name\": \"s== /dev/sda\"}", 24, &rig->hints, NULL);
	rig->host.root_hints = rig->hints;
	rig->host.root_hints_default = true;
	to_available(rig);
	ask(rig, WANT_PROVISION, &image_a, false);
	while (!*rig->told)
		advance(rig, USEC_PER_SEC / 10);
	assert_int_equal(rig->machine->cleans + rig->machine->writes_begun, 0);
	assert_non_null(strstr(rig->told, "will be written to /dev/sda"));
	assert_string_equal(rig->machine->asked, "{\"root_device\":{\"name\":\"s== /dev/sda\"},"
						 "\"ingot_root_device_default\":true}");
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	assert_int_equal(rig->machine->choices, 1);
	rig->host.root_hints_default = false; /* a person has asked for it */
	assert_int_equal(reach(rig, WANT_PROVISION, &image_b, false), PROV_DONE);
	assert_string_equal(rig->machine->asked, "{\"root_device\":{\"name\":\"s== /dev/sda\"}}");
	rig_free(rig);
}

static void test_no_disk_fits(void **state)
{
	(void)state;
	struct rig *rig = rig_new(11);
	to_available(rig);
	rig->machine->no_disk = true;
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_FAILED);
	assert_non_null(strstr(rig->result.error, "no disk matches"));
	assert_int_equal(rig->machine->cleans + rig->machine->writes_begun, 0);
	rig_free(rig);
}

/* It has no such question: it finds the disk when it writes. */
static void test_stock_agent_is_not_asked(void **state)
{
	(void)state;
	struct rig *rig = rig_new(11);
	rig->machine->stock = true;
	to_available(rig);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	assert_non_null(strstr(rig->told, "when it writes"));
	assert_int_equal(rig->machine->choices, 0);
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
	/* Told, and no reason to do anything else; known to be over as soon as it is. */
	ask(rig, WANT_REGISTER, NULL, false);
	assert_int_equal(rig->result.outcome, PROV_FAILED);
	assert_true(rig->result.passing);
	assert_int_equal(rig->result.problem, PROV_NOT_STORED);
	assert_string_equal(rig->result.error, "no storage");
	_cleanup_(json_freep) struct json *described = engine_describe(rig->engine, key);
	assert_non_null(json_get_string(described, "trouble"));
	unsigned kicks = rig->kicks;
	rig->storage_away = false;
	advance(rig, USEC_PER_MIN);
	assert_true(rig->kicks > kicks);
	assert_int_equal(reach(rig, WANT_INSPECT, NULL, false), PROV_DONE);
	rig_free(rig);
}

/* The timer of the step that has ended still stands when the record of the next cannot be stored.
 */
static void test_storage_goes_away(void **state)
{
	(void)state;
	struct rig *rig = rig_new(17);
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	ask(rig, WANT_INSPECT, NULL, false);
	advance(rig, 15 * USEC_PER_MSEC);
	assert_int_equal(rig->saves, 1);
	rig->storage_away = true;
	unsigned ons = rig->machine->bmc->power_ons;
	advance(rig, 2 * USEC_PER_HOUR);
	assert_int_equal(rig->machine->bmc->boot_changes, 0);
	assert_int_equal(rig->machine->bmc->power_ons, ons);
	rig->storage_away = false;
	advance(rig, USEC_PER_MIN); /* it is told as an error until the next try */
	assert_int_equal(reach(rig, WANT_INSPECT, NULL, false), PROV_DONE);
	rig_free(rig);
}

static void test_storage_conflict(void **state)
{
	(void)state;
	struct rig *rig = rig_new(12);
	to_available(rig);
	rig->storage_conflict = true;
	ask(rig, WANT_PROVISION, &image_a, false);
	unsigned kicks = rig->kicks, saves = rig->saves;
	advance(rig, USEC_PER_HOUR);
	/* Not a stroke before the record was read again, which the kick asks for. */
	assert_false(engine_knows(rig->engine, key));
	assert_int_equal(rig->kicks, kicks + 1);
	assert_int_equal(rig->saves, saves);
	assert_int_equal(rig->machine->writes_begun, 0);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	assert_runs(rig, "aaaa");
	assert_int_equal(rig->machine->writes_begun, 1);
	rig_free(rig);
}

static void test_capacity(void **state)
{
	(void)state;
	struct rig *rig = rig_new(26);
	struct prov_host other = { .key = "metal3/node-2" };
	rig->capacity = 1;
	load_again(rig);
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	assert_true(engine_has_capacity(rig->engine, &other));
	ask(rig, WANT_INSPECT, NULL, false);
	assert_false(engine_has_capacity(rig->engine, &other));
	assert_true(engine_has_capacity(rig->engine, &rig->host));
	assert_int_equal(reach(rig, WANT_INSPECT, NULL, false), PROV_DONE);
	assert_true(engine_has_capacity(rig->engine, &other));
	rig_free(rig);
}

static bool boots_ramdisk(struct rig *rig)
{
	struct engine_boot boot = { 0 };
	assert_true(engine_boot_find(rig->engine, at_mac(rig->machine->mac), &boot));
	return boot.ramdisk;
}

/* A machine that is switched on comes to DHCP while the record of the step after is on its way. */
static void test_ramdisk_while_a_record_is_saved(void **state)
{
	(void)state;
	struct rig *rig = rig_new(68);
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	ask(rig, WANT_INSPECT, NULL, false);
	while (!streq(json_get_path_string(rig->record, "step.name"), "boot from network"))
		advance(rig, USEC_PER_MSEC);
	rig->storage_away = true;
	advance(rig, USEC_PER_MIN);
	assert_string_equal(json_get_path_string(rig->record, "step.name"), "boot from network");
	assert_true(boots_ramdisk(rig));
	rig->storage_away = false;
	advance(rig, USEC_PER_MIN);
	assert_int_equal(reach(rig, WANT_INSPECT, NULL, false), PROV_DONE);
	rig_free(rig);
}

static void test_ramdisk_only_on_record(void **state)
{
	(void)state;
	struct rig *rig = rig_new(27);
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	assert_false(boots_ramdisk(rig));
	rig->storage_away = true;
	ask(rig, WANT_INSPECT, NULL, false);
	advance(rig, USEC_PER_MIN);
	assert_false(boots_ramdisk(rig));
	rig->storage_away = false;
	advance(rig, USEC_PER_MIN);
	assert_true(boots_ramdisk(rig));
	assert_int_equal(reach(rig, WANT_INSPECT, NULL, false), PROV_DONE);
	assert_int_equal(reach(rig, WANT_PREPARE, NULL, false), PROV_DONE);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	assert_false(boots_ramdisk(rig));
	assert_int_equal(reach(rig, WANT_DEPROVISION, NULL, false), PROV_DONE);
	assert_false(boots_ramdisk(rig));
	rig_free(rig);
}

/* The engine is killed each `period` all along; what it has done must carry on. */
static void check_kills(uint64_t seed, usec_t period)
{
	struct rig *rig = rig_new(seed);
	struct sim_machine *m = rig->machine;
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
	assert_int_equal(engine_power(rig->engine, &rig->host, &fault), PROV_POWER_OFF);
	assert_int_equal(reach(rig, WANT_ON, NULL, false), PROV_DONE);
	assert_int_equal(rig->machine->bmc->power, BMC_POWER_ON);
	assert_int_equal(reach(rig, WANT_SOFT_OFF, NULL, false), PROV_DONE);
	assert_int_equal(reach(rig, WANT_ON, NULL, false), PROV_DONE);
	rig->machine->bmc->soft_works = false;
	assert_int_equal(reach(rig, WANT_SOFT_OFF, NULL, false), PROV_FAILED);
	assert_int_equal(reach(rig, WANT_OFF, NULL, true), PROV_DONE);
	assert_int_equal(rig->machine->bmc->power, BMC_POWER_OFF);
	assert_int_equal(reach(rig, WANT_ON, NULL, false), PROV_DONE);
	rig->machine->bmc->soft_unknown = true;
	assert_int_equal(reach(rig, WANT_SOFT_OFF, NULL, false), PROV_DONE);
	assert_int_equal(rig->machine->bmc->power, BMC_POWER_OFF);
	/* Somebody presses the button: seen by the poll, and told. */
	unsigned kicks = rig->kicks;
	fake_machine_set_power(rig->machine->bmc, BMC_POWER_ON);
	advance(rig, 2 * USEC_PER_MIN);
	assert_int_equal(engine_power(rig->engine, &rig->host, &fault), PROV_POWER_ON);
	assert_int_equal(rig->kicks, kicks + 1);
	rig->machine->bmc->unreachable = true;
	advance(rig, 30 * USEC_PER_MIN);
	engine_power(rig->engine, &rig->host, &fault);
	assert_true(fault);
	rig_free(rig);
}

/* The idle look at the power is under way when an operation begins: what comes of it is no answer
 * to the operation's own question. */
static void test_answer_to_an_earlier_question(void **state)
{
	(void)state;
	struct rig *rig = rig_new(15);
	struct fake_machine *bmc = rig->machine->bmc;
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	bmc->latency = 19 * USEC_PER_SEC; /* below the request's own limit */
	for (unsigned before = bmc->requests; bmc->requests == before;)
		advance(rig, USEC_PER_SEC);
	advance(rig, 68 * USEC_PER_SEC); /* the next look has begun, and is not answered */
	unsigned before = bmc->requests;
	str_replace(&bmc->password, "changed");
	ask(rig, WANT_ON, NULL, false);
	while (bmc->requests == before)
		advance(rig, USEC_PER_SEC);
	str_replace(&bmc->password, password);
	assert_int_equal(reach(rig, WANT_ON, NULL, false), PROV_DONE);
	rig_free(rig);
}

/* It tells its power state and refuses each command: told within a minute, with growing distance
 * meanwhile, and tried again only when the controller asks. */
static void test_power_refused(void **state)
{
	(void)state;
	struct rig *rig = rig_new(14);
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	usec_t began = loop_now(rig->loop);
	unsigned requests = rig->machine->bmc->requests;
	rig->machine->bmc->refuses_power = true;
	assert_int_equal(reach(rig, WANT_ON, NULL, false), PROV_FAILED);
	assert_true(loop_now(rig->loop) - began <= 90 * USEC_PER_SEC);
	assert_non_null(strstr(rig->result.error, key));
	assert_in_range(rig->machine->bmc->requests - requests, 4, 12);
	rig->machine->bmc->refuses_power = false;
	assert_int_equal(reach(rig, WANT_ON, NULL, true), PROV_DONE);
	assert_int_equal(rig->machine->bmc->power_ons, 1);
	/* The same when it says nothing at all. */
	began = loop_now(rig->loop);
	rig->machine->bmc->unreachable = true;
	assert_int_equal(reach(rig, WANT_OFF, NULL, false), PROV_FAILED);
	assert_true(loop_now(rig->loop) - began <= 2 * USEC_PER_MIN);
	rig_free(rig);
}

static void test_no_mac_address(void **state)
{
	(void)state;
	struct rig *rig = rig_new(15);
	rig->host.boot_mac = "52:54:00:aa:00:01:99"; /* as the API's pattern lets through */
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_FAILED);
	assert_int_equal(rig->result.problem, PROV_BAD_BOOT_MAC);
	assert_string_equal(rig->result.error, "52:54:00:aa:00:01:99");
	rig_free(rig);
}

/* --- controller and record at odds ------------------------------------------------------------ */

static void test_inspection_disabled_in_flight(void **state)
{
	(void)state;
	struct rig *rig = rig_new(18);
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	ask(rig, WANT_INSPECT, NULL, false);
	advance(rig, 5 * USEC_PER_SEC);
	assert_int_equal(reach(rig, WANT_PREPARE, NULL, false), PROV_DONE);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	assert_runs(rig, "aaaa");
	rig_free(rig);
}

static void test_status_wiped(void **state)
{
	(void)state;
	struct rig *rig = rig_new(19);
	to_available(rig);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	assert_int_equal(reach(rig, WANT_INSPECT, NULL, false), PROV_FAILED);
	assert_int_equal(rig->result.problem, PROV_WRONG_STATE);
	assert_string_equal(rig->result.error,
			    "\"inspect\" while host metal3/node-1 is \"active\"");
	assert_runs(rig, "aaaa");
	rig_free(rig);
}

/* Ironic would rebuild it; here nothing but another deletion gets it out of its error. */
static void test_error_is_not_rebuilt(void **state)
{
	(void)state;
	struct rig *rig = rig_new(19);
	to_available(rig);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	rig->world.faults.boot_fails = 1000;
	assert_int_equal(reach(rig, WANT_DEPROVISION, NULL, false), PROV_FAILED);
	rig->world.faults.boot_fails = 0;
	assert_string_equal(json_get_path_string(rig->record, "node.state"), "error");
	assert_int_equal(reach(rig, WANT_PROVISION, &image_b, true), PROV_FAILED);
	assert_non_null(strstr(rig->result.error, "\"error\""));
	assert_int_equal(reach(rig, WANT_DEPROVISION, NULL, true), PROV_DONE);
	assert_int_equal(rig->machine->writes_begun, 1);
	rig_free(rig);
}

static void test_record_unreadable(void **state)
{
	(void)state;
	struct rig *rig = rig_new(20);
	to_available(rig);
	unsigned saves = rig->saves, requests = rig->machine->bmc->requests;
	json_set_int(rig->record, "schemaVersion", 999);
	load_again(rig);
	assert_int_equal(rig->result.outcome, PROV_FAILED);
	assert_non_null(strstr(rig->result.error, "newer release"));
	json_set_int(rig->record, "schemaVersion", 1);
	/* The second is one of Ironic's, in which this engine leaves no host. */
	static const char *const unknown[] = { "nonsense", "rescue wait" };
	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
		json_set_string(json_get_mut(rig->record, "node"), "state", unknown[i]);
		load_again(rig);
		assert_int_equal(rig->result.outcome, PROV_FAILED);
		assert_non_null(strstr(rig->result.error, "delete the record"));
	}
	advance(rig, USEC_PER_HOUR);
	assert_int_equal(rig->saves, saves);
	assert_int_equal(rig->machine->bmc->requests, requests);
	rig->record = json_free(rig->record);
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	rig_free(rig);
}

static void test_record_of_another(void **state)
{
	(void)state;
	struct rig *rig = rig_new(21);
	to_available(rig);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	json_set_string(rig->record, "hostUID", "33333333-3333-4333-8333-333333333333");
	load_again(rig);
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	assert_int_equal(rig->machine->writes_begun, 2); /* that it runs the image did not count */
	assert_int_equal(rig->machine->cleans, 2);
	rig_free(rig);
}

/* It was clean when it was adopted; what its tenant left is not. */
static void test_adopted_is_not_clean(void **state)
{
	(void)state;
	struct rig *rig = rig_new(22);
	to_available(rig);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	assert_int_equal(reach(rig, WANT_DEPROVISION, NULL, false), PROV_DONE);
	unsigned cleans = rig->machine->cleans;
	engine_adopt(rig->engine, &rig->host, false, &rig->result);
	advance(rig, USEC_PER_MIN);
	assert_int_equal(reach(rig, WANT_DEPROVISION, NULL, false), PROV_DONE);
	assert_int_equal(rig->machine->cleans, cleans + 1);
	rig_free(rig);
}

static void test_boot_mac_corrected(void **state)
{
	(void)state;
	struct rig *rig = rig_new(23);
	struct engine_boot boot;
	char theirs[] = "52:54:00:aa:bb:cc";
	rig->host.boot_mac = theirs;
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	assert_true(engine_boot_find(rig->engine, at_mac(theirs), &boot));
	rig->host.boot_mac = rig->machine->mac;
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	assert_false(engine_boot_find(rig->engine, at_mac(theirs), &boot));
	assert_true(engine_boot_find(rig->engine, at_mac(rig->machine->mac), &boot));
	rig_free(rig);
}

/* A MAC address by which nothing has booted may be corrected in the middle of the wait for it, also
 * after a restart; the machine is booted again at once. One that has booted may not. */
static void test_boot_mac_corrected_in_the_wait(void **state)
{
	(void)state;
	for (int restarts = 0; restarts < 2; restarts++) {
		struct rig *rig = rig_new(23);
		char *right = rig->machine->mac, theirs[] = "52:54:00:aa:bb:cc";
		rig->host.boot_mac = theirs;
		assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
		ask(rig, WANT_INSPECT, NULL, false);
		advance(rig, 3 * USEC_PER_MIN);
		assert_int_equal(rig->machine->ramdisk_boots, 0);
		if (restarts)
			restart_engine(rig);
		rig->host.boot_mac = right;
		usec_t began = loop_now(rig->loop);
		assert_string_equal(register_settled(rig, &rig->host), "");
		assert_int_equal(reach(rig, WANT_INSPECT, NULL, false), PROV_DONE);
		assert_true(restarts || loop_now(rig->loop) - began < 5 * USEC_PER_MIN);
		assert_true(rig->machine->ramdisk_boots > 0);
		rig->host.boot_mac = theirs;
		assert_int_equal(problem_of(rig, &rig->host), PROV_OTHER_BOOT_MAC);
		rig_free(rig);
	}
}

/* --- a BMC that is gone ----------------------------------------------------------------------- */

/* Whoever waits with patience says what for, and goes on when the BMC is back. */
static void test_patience_is_told(void **state)
{
	(void)state;
	struct rig *rig = rig_new(23);
	bool fault;
	to_available(rig);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	rig->machine->bmc->unreachable = true;
	ask(rig, WANT_DEPROVISION, NULL, false);
	unsigned kicks = rig->kicks;
	advance(rig, 2 * USEC_PER_MIN);
	assert_true(rig->kicks > kicks);
	ask(rig, WANT_DEPROVISION, NULL, false);
	assert_int_equal(rig->result.outcome, PROV_RUNNING);
	assert_non_null(strstr(rig->result.error, "10.1.0.1"));
	engine_power(rig->engine, &rig->host, &fault);
	assert_true(fault);
	rig->machine->bmc->unreachable = false;
	assert_int_equal(reach(rig, WANT_DEPROVISION, NULL, false), PROV_DONE);
	engine_power(rig->engine, &rig->host, &fault);
	assert_false(fault);
	rig_free(rig);
}

static void test_no_patience_with_a_host_that_leaves(void **state)
{
	(void)state;
	struct rig *rig = rig_new(23);
	to_available(rig);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	rig->machine->bmc->unreachable = true;
	rig->leaving = true;
	usec_t began = loop_now(rig->loop);
	assert_int_equal(reach(rig, WANT_DEPROVISION, NULL, false), PROV_FAILED);
	assert_true(loop_now(rig->loop) - began <= 2 * USEC_PER_MIN);
	rig_free(rig);
}

static void test_power_is_told_when_it_has_changed(void **state)
{
	(void)state;
	struct rig *rig = rig_new(23);
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	ask(rig, WANT_ON, NULL, false);
	assert_int_equal(rig->result.outcome, PROV_RUNNING);
	assert_string_equal(rig->power, "");
	assert_int_equal(reach(rig, WANT_ON, NULL, false), PROV_DONE);
	assert_string_equal(rig->power, "Host is powered on");
	rig->machine->bmc->unreachable = true;
	assert_int_equal(reach(rig, WANT_OFF, NULL, false), PROV_FAILED);
	assert_string_equal(rig->power, "Host is powered on");
	rig_free(rig);
}

/* --- records that say nothing ----------------------------------------------------------------- */

/* A host was deleted in the middle of a write, and another made with its name: its record speaks of
 * a boot and a write that are not this host's. */
static void test_record_of_another_host(void **state)
{
	(void)state;
	struct rig *rig = rig_new(17);
	to_available(rig);
	ask(rig, WANT_PROVISION, &image_a, false);
	advance(rig, 90 * USEC_PER_SEC);
	assert_int_equal(rig->machine->disk, SIM_DISK_HALF);
	assert_non_null(json_get_path_string(rig->record, "boot.nonce"));
	json_set_string(rig->record, "hostUID", "99999999-9999-4999-8999-999999999999");
	restart_engine(rig);
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	_cleanup_(json_freep) struct json *told = engine_describe(rig->engine, key);
	assert_string_equal(str_or(json_get_path_string(told, "node.state"), "enroll"), "enroll");
	assert_null(json_get_path_string(told, "boot.nonce"));
	assert_null(json_get_path_string(told, "image.url"));
	struct engine_boot boot;
	assert_true(engine_boot_find(rig->engine, at_mac(rig->machine->mac), &boot));
	assert_false(boot.ramdisk); /* its own disk, not another host's deployment */
	assert_int_equal(reach(rig, WANT_INSPECT, NULL, false), PROV_DONE);
	assert_string_equal(json_get_string(rig->record, "hostUID"), uid);
	rig_free(rig);
}

/* A backup of the record was put back: it knows the ramdisk, and not what that has done to the disk
 * since. The ramdisk knows. */
static void test_record_from_before_the_write(void **state)
{
	(void)state;
	struct rig *rig = rig_new(31);
	to_available(rig);
	advance(rig, USEC_PER_MIN);
	_cleanup_(json_freep) struct json *before = json_dup(rig->record);
	assert_non_null(json_get_path_string(before, "agent.url"));
	rig->world.faults.write_fails = 1000;
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_FAILED);
	rig->world.faults.write_fails = 0;
	json_free(rig->record);
	rig->record = TAKE_PTR(before);
	restart_engine(rig);
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_b, false), PROV_DONE);
	assert_runs(rig, "bbbb");
	assert_int_equal(rig->machine->ramdisk_boots, 2);
	rig_free(rig);
}

/* Whatever a controller may ask of a provisioned host, a lost record makes nothing boot the
 * ramdisk, clean or write. */
static void test_record_missing(void **state)
{
	(void)state;
	struct rig *rig = rig_new(18);
	struct sim_machine *m = rig->machine;
	to_available(rig);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	assert_runs(rig, "aaaa");
	unsigned writes = m->writes_begun, cleans = m->cleans, ramdisks = m->ramdisk_boots;
	kill_engine(rig);
	rig->record = json_free(rig->record);
	start_engine(rig);
	static const enum want wants[] = { WANT_REGISTER, WANT_ADOPT, WANT_OFF,
					   WANT_ON,	  WANT_ADOPT, WANT_SOFT_OFF };
	for (size_t i = 0; i < ARRAY_SIZE(wants); i++)
		assert_int_equal(reach(rig, wants[i], NULL, false), PROV_DONE);
	assert_int_equal(reach(rig, WANT_ON, NULL, false), PROV_DONE);
	assert_runs(rig, "aaaa");
	assert_int_equal(m->writes_begun, writes);
	assert_int_equal(m->cleans, cleans);
	assert_int_equal(m->ramdisk_boots, ramdisks);
	rig_free(rig);
}

static int heartbeat(struct rig *rig, const char *token, const char *url, const char *source);

/* --- agents that must not get in -------------------------------------------------------------- */

struct answer {
	int status, count;
	char token[TOKEN_TEXT_MAX];
};

static void keep_answer(void *data, int status, const struct json *body)
{
	struct answer *a = data;
	a->status = status;
	a->count++;
	snprintf(a->token, sizeof(a->token), "%s",
		 str_or(json_get_path_string(body, "config.agent_token"), ""));
	if (*a->token && *a->token != '*')
		memcpy(last_token, a->token, sizeof(last_token));
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
	assert_int_equal(strlen(first.token), 87);
	assert_string_equal(lookup(rig, mac, address).token,
			    first.token); /* the answer may have been lost */
	assert_int_equal(rig->warnings, 0);
	struct answer other = lookup(rig, mac, "10.9.9.9");
	assert_string_equal(other.token, "******");
	assert_int_equal(rig->warnings, 1);
	rig_free(rig);
}

/* --- boot media --- */

static void by_media(struct rig *rig)
{
	rig->host.bmc_address = "redfish-virtualmedia://10.1.0.1/redfish/v1/Systems/1";
	rig->host.boot_mode = BOOT_UEFI;
	rig->serves_dhcp = true; /* the host's DHCP address is nothing to a medium */
	restart_engine(rig);
}

static void by_http(struct rig *rig)
{
	by_media(rig);
	rig->serves_dhcp = false;
	rig->host.bmc_address = "redfish-uefihttp://10.1.0.1/redfish/v1/Systems/1";
	restart_engine(rig);
}

/* Nothing of ours is left behind, and nothing was ejected but what is ours. */
static void check_slot(const struct rig *rig, const char *left)
{
	assert_true(streq(rig->machine->bmc->media, left));
	assert_int_equal(rig->machine->bmc->ejects_of_all, 0);
	assert_int_equal(rig->world.engine->media.count, 0);
	assert_false(node_find(rig->engine, key)->record.media.nonce);
}

/* The main job, inspection to the end of the tenancy, without a word of DHCP, whichever way a
 * medium comes; no boot MAC address is needed for it. */
static void test_main_job_by_media(void **state)
{
	(void)state;
	void (*const ways[])(struct rig *) = { by_media, by_http };
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct rig *rig = rig_new(40 + i);
		ways[i](rig);
		rig->host.boot_mac = "";
		to_available(rig);
		check_slot(rig, NULL);
		assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
		check_slot(rig, NULL);
		assert_int_equal(rig->machine->disk, SIM_DISK_WRITTEN);
		assert_int_equal(rig->machine->run, SIM_RUN_OS);
		assert_int_equal(reach(rig, WANT_DEPROVISION, NULL, false), PROV_DONE);
		check_slot(rig, NULL);
		assert_true(rig->machine->media_boots >= 2);
		assert_int_equal(rig->machine->media_boots, rig->machine->ramdisk_boots);
		assert_int_equal(rig->machine->bmc->inserts,
				 i == 0 ? rig->machine->media_boots : 0);
		rig_free(rig);
	}
}

/* Killed every few moments, at each step once or more: the machine boots as often as it would have.
 */
static void test_media_killed_all_along(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 30; seed++) {
		struct rig *rig = rig_new(500 + seed);
		(seed % 2 ? by_media : by_http)(rig);
		to_available(rig);
		unsigned boots = rig->machine->ramdisk_boots;
		for (int i = 0; i < 4000; i++) {
			ask(rig, WANT_PROVISION, &image_a, false);
			if (rig->result.outcome != PROV_RUNNING)
				break;
			advance(rig, loop_random_below(rig->loop, 9 * USEC_PER_SEC));
			if (i % 3 == 0)
				restart_engine(rig);
		}
		assert_int_equal(rig->result.outcome, PROV_DONE);
		load_again(rig);
		check_slot(rig, NULL);
		assert_true(rig->machine->ramdisk_boots <= boots + 1);
		assert_int_equal(rig->machine->os_boots, 1);
		rig_free(rig);
	}
}

static void until_medium_step(struct rig *rig, const char *step)
{
	for (int i = 0; i < 3600 * 100; i++) {
		if (i % 100 == 0)
			ask(rig, WANT_INSPECT, NULL, false);
		const struct node *n = node_find(rig->engine, key);
		if (streq(n->record.step.name, step) && !n->save.running)
			return;
		advance(rig, USEC_PER_MSEC);
	}
	fail_msg("no step \"%s\"", step);
}

/* What a person has put into the slot stays, and is named; when he is done, it goes on. */
static void test_slot_of_a_person(void **state)
{
	(void)state;
	static const char theirs[] = "http://198.51.100.7/rescue.iso";
	struct rig *rig = rig_new(44);
	by_media(rig);
	str_replace(&rig->machine->bmc->media, theirs);
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	assert_int_equal(reach(rig, WANT_INSPECT, NULL, false), PROV_FAILED);
	assert_non_null(strstr(rig->result.error, theirs));
	assert_non_null(strstr(rig->result.error, "eject it there"));
	assert_string_equal(rig->machine->bmc->media, theirs);
	assert_int_equal(reach(rig, WANT_OFF, NULL, false), PROV_DONE);
	assert_string_equal(rig->machine->bmc->media, theirs);
	assert_int_equal(rig->machine->bmc->ejects_of_all, 0);
	str_replace(&rig->machine->bmc->media, NULL);
	assert_int_equal(reach(rig, WANT_INSPECT, NULL, true), PROV_DONE);
	check_slot(rig, NULL);
	rig_free(rig);
}

static bool finds(const struct rig *rig, const char *capability, const char *peer)
{
	struct engine_medium found;
	return engine_medium_find(rig->engine, capability, peer, &found);
}

/* From its insertion to the end of its boot, and for its BMC alone; the record does not say how. */
static void test_who_reads_a_medium(void **state)
{
	(void)state;
	struct rig *rig = rig_new(45);
	by_media(rig);
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	until_medium_step(rig, "boot from media");
	const struct node *n = node_find(rig->engine, key);
	_cleanup_(freep) char *capability = xstrdup(n->medium.capability);
	assert_int_equal(strlen(capability), 32);
	_cleanup_(freep) char *record = json_to_string(rig->record);
	assert_null(strstr(record, capability));
	assert_true(finds(rig, capability, "10.1.0.1"));
	assert_true(finds(rig, capability, "::ffff:10.1.0.1"));
	static const char *const strangers[] = { "10.1.0.2", "10.2.0.1", "", "::1", "nonsense" };
	for (size_t i = 0; i < ARRAY_SIZE(strangers); i++)
		assert_false(finds(rig, capability, strangers[i]));
	assert_false(finds(rig, "00000000000000000000000000000000", "10.1.0.1"));
	assert_false(finds(rig, "", "10.1.0.1"));
	rig->leads_no_more = true;
	assert_false(finds(rig, capability, "10.1.0.1"));
	rig->leads_no_more = false;
	/* Another process knows it by the record alone. */
	load_again(rig);
	assert_true(finds(rig, capability, "10.1.0.1"));
	assert_int_equal(reach(rig, WANT_INSPECT, NULL, false), PROV_DONE);
	assert_false(finds(rig, capability, "10.1.0.1"));
	rig_free(rig);
}

/* The token is on the medium: who asks for it gets none, and disturbs nobody. */
static void test_no_token_beside_the_medium(void **state)
{
	(void)state;
	struct rig *rig = rig_new(46);
	by_media(rig);
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	until_medium_step(rig, "wait for inventory");
	struct answer a = lookup(rig, rig->machine->mac, "10.9.9.9");
	assert_int_equal(a.status, 200);
	assert_string_equal(a.token, "******");
	assert_int_equal(reach(rig, WANT_INSPECT, NULL, false), PROV_DONE);
	rig_free(rig);
}

/* Files are replaced, or another list of instances comes, between insertion and read: that medium
 * cannot be made any more, so a new one is, and at once. */
static void test_files_of_media_replaced(void **state)
{
	(void)state;
	struct rig *rig = rig_new(47);
	by_media(rig);
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	until_medium_step(rig, "boot from media");
	rig->world.instances = 5; /* frozen in the record: the same bytes */
	restart_engine(rig);
	until_medium_step(rig, "wait for inventory");
	advance(rig, 2 * USEC_PER_MIN);
	assert_int_equal(rig->machine->ramdisk_boots, 1);
	assert_int_equal(reach(rig, WANT_INSPECT, NULL, false), PROV_DONE);

	assert_int_equal(reach(rig, WANT_PREPARE, NULL, false), PROV_DONE);
	node_no_boot(node_find(rig->engine, key));
	for (int i = 0; i < 3600; i++) {
		ask(rig, WANT_PROVISION, &image_a, false);
		if (streq(node_find(rig->engine, key)->record.step.name, "power on"))
			break;
		advance(rig, 100 * USEC_PER_MSEC);
	}
	rig->world.files++;
	unsigned inserts = rig->machine->bmc->inserts;
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	assert_int_equal(rig->machine->bmc->inserts, inserts + 1);
	check_slot(rig, NULL);
	rig_free(rig);
}

/* The ramdisk's network is on the medium, and a Secret that is missing holds the boot up. */
static void test_network_data_on_the_medium(void **state)
{
	(void)state;
	struct rig *rig = rig_new(48);
	by_media(rig);
	rig->host.network_data_error = "spec.x: the Secret a/b does not exist";
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	assert_int_equal(reach(rig, WANT_INSPECT, NULL, false), PROV_FAILED);
	assert_non_null(strstr(rig->result.error, "the Secret a/b does not exist"));
	assert_int_equal(rig->machine->ramdisk_boots, 0);
	rig->host.network_data_error = NULL;
	rig->host.network_data = "{\"links\": [], \"name\": \"of the ramdisk\"}";
	ask(rig, WANT_INSPECT, NULL, true);
	until_medium_step(rig, "boot from media");
	char *archive = NULL;
	size_t len = 0;
	assert_int_equal(engine_medium_archive(rig->engine, key, &archive, &len, NULL), 0);
	assert_non_null(memmem(archive, len, "of the ramdisk", 14));
	free(archive);
	assert_int_equal(reach(rig, WANT_INSPECT, NULL, false), PROV_DONE);
	rig_free(rig);
}

/* An operation that ends in the middle leaves a medium behind; switching off takes it out. */
static void test_medium_of_an_aborted_boot(void **state)
{
	(void)state;
	struct rig *rig = rig_new(49);
	by_media(rig);
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	until_medium_step(rig, "wait for inventory");
	assert_non_null(rig->machine->bmc->media);
	load_again(rig);
	assert_int_equal(reach(rig, WANT_OFF, NULL, false), PROV_DONE);
	check_slot(rig, NULL);
	rig_free(rig);
}

/* Without a service of media such a host is refused, with what to read. */
static void test_no_service_of_media(void **state)
{
	(void)state;
	struct rig *rig = rig_new(50);
	by_media(rig);
	rig->engine->options.media = NULL;
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_FAILED);
	assert_non_null(strstr(rig->result.error, "redfish-virtualmedia"));
	assert_non_null(strstr(rig->result.error, "serves none"));
	rig->host.bmc_address = "redfish-uefihttp://10.1.0.1/redfish/v1/Systems/1";
	rig->host.boot_mode = BOOT_LEGACY;
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_FAILED);
	assert_non_null(strstr(rig->result.error, "set spec.bootMode to UEFI"));
	rig_free(rig);
}

/* Switched on before the ramdisk boots, and off again where it was ours; a BMC that cannot says so.
 */
static void test_secure_boot(void **state)
{
	(void)state;
	struct rig *rig = rig_new(51);
	struct fake_machine *bmc = rig->machine->bmc;
	rig->host.bmc_address = "redfish://10.1.0.1/redfish/v1/Systems/1";
	rig->host.boot_mode = BOOT_UEFI_SECURE;
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_FAILED);
	assert_string_equal(rig->result.error, "BMC driver redfish does not support secure boot");
	fake_driver_add_secure_boot(rig->world.driver);
	by_media(rig);
	rig->host.boot_mode = BOOT_UEFI_SECURE;
	bmc->no_secure_boot = true;
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	assert_int_equal(reach(rig, WANT_INSPECT, NULL, false), PROV_FAILED);
	assert_non_null(strstr(rig->result.error, "Secure Boot cannot be switched on by its BMC"));
	assert_int_equal(rig->machine->ramdisk_boots, 0);
	bmc->no_secure_boot = false;
	assert_int_equal(reach(rig, WANT_INSPECT, NULL, true), PROV_DONE);
	assert_true(bmc->secure_boot);
	load_again(rig);
	rig->host.boot_mode = BOOT_UEFI;
	assert_int_equal(reach(rig, WANT_PREPARE, NULL, false), PROV_DONE);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	assert_int_equal(reach(rig, WANT_DEPROVISION, NULL, false), PROV_DONE);
	assert_false(bmc->secure_boot);
	bmc->secure_boot = true; /* by its owner: not ours to switch off */
	node_find(rig->engine, key)->record.node.cleaned_at = 0;
	assert_int_equal(reach(rig, WANT_PROVISION, &image_b, false), PROV_DONE);
	assert_true(bmc->secure_boot);
	rig_free(rig);
}

/* By the network: its loaders are the signed ones, in each boot. */
static void test_secure_boot_by_network(void **state)
{
	(void)state;
	struct rig *rig = rig_new(52);
	struct engine_boot boot;
	fake_driver_add_secure_boot(rig->world.driver);
	rig->host.bmc_address = "redfish://10.1.0.1/redfish/v1/Systems/1";
	rig->host.boot_mode = BOOT_UEFI;
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	assert_true(engine_boot_find(rig->engine, at_mac(rig->machine->mac), &boot));
	assert_false(boot.secure);
	rig->host.boot_mode = BOOT_UEFI_SECURE;
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	assert_int_equal(reach(rig, WANT_INSPECT, NULL, false), PROV_DONE);
	assert_true(rig->machine->bmc->secure_boot);
	assert_true(engine_boot_find(rig->engine, at_mac(rig->machine->mac), &boot));
	assert_true(boot.secure);
	rig_free(rig);
}

static void test_token_is_on_record_first(void **state)
{
	(void)state;
	struct rig *rig = rig_new(29);
	struct answer a = { 0 };
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	rig->world.faults.boot_fails = 1000;
	ask(rig, WANT_INSPECT, NULL, false);
	advance(rig, USEC_PER_MIN);
	rig->storage_away = true;
	engine_agent_lookup(rig->engine, rig->machine->mac, NULL, "10.2.0.1", keep_answer, &a);
	advance(rig, USEC_PER_MIN);
	assert_int_equal(a.count, 0);
	rig->storage_away = false;
	advance(rig, USEC_PER_MIN);
	assert_int_equal(a.count, 1);
	assert_int_equal(strlen(a.token), 87);
	assert_true(json_get_bool(json_get(rig->record, "boot"), "tokenIssued", false));
	rig_free(rig);
}

static struct answer *give_inventory(struct rig *rig, struct answer *a)
{
	_cleanup_(freep) char *text = xasprintf(
		"{\"inventory\":{\"interfaces\":[{\"name\":\"eth0\",\"mac_address\":\"%s\"}],"
		"\"disks\":[],\"cpu\":{\"count\":4,\"architecture\":\"x86_64\"},"
		"\"memory\":{\"physical_mb\":4096},\"boot\":{},\"system_vendor\":{}}}",
		rig->machine->mac);
	struct json *body = NULL;
	assert_int_equal(json_parse(text, strlen(text), &body, NULL), 0);
	*a = (struct answer){ 0 };
	engine_agent_inspection(rig->engine, body, "10.2.0.1", keep_answer, a);
	advance(rig, 5 * USEC_PER_SEC);
	return a;
}

static void test_inspection_is_held(void **state)
{
	(void)state;
	struct rig *rig = rig_new(30);
	struct answer a;
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	rig->world.faults.boot_fails = 1000;
	ask(rig, WANT_INSPECT, NULL, false);
	advance(rig, USEC_PER_MIN);
	assert_int_equal(give_inventory(rig, &a)->count, 0);
	assert_int_equal(reach(rig, WANT_INSPECT, NULL, false), PROV_DONE);
	assert_int_equal(a.count, 0); /* given to the controller, not stored by it */
	advance(rig, 30 * USEC_PER_SEC);
	assert_int_equal(a.count, 1);
	assert_int_equal(a.status, 503);
	assert_int_equal(give_inventory(rig, &a)->count, 0);
	assert_int_equal(reach(rig, WANT_PREPARE, NULL, false), PROV_DONE);
	assert_int_equal(a.count, 1);
	assert_int_equal(a.status, 202);
	rig_free(rig);
}

/* Who was paused and leads no more knows nothing for sure, and nobody gets a word from him that
 * would end an agent; nor does a step go on. */
static void test_leads_no_more(void **state)
{
	(void)state;
	struct rig *rig = rig_new(31);
	struct answer a = { 0 };
	const char *mac = rig->machine->mac;
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	rig->world.faults.boot_fails = 1000;
	ask(rig, WANT_INSPECT, NULL, false);
	advance(rig, USEC_PER_MIN);
	a = lookup(rig, mac, "10.2.0.1");
	assert_int_equal(a.status, 200);
	unsigned saves = rig->saves;
	rig->leads_no_more = true;
	assert_int_equal(lookup(rig, mac, "10.2.0.1").status, 503);
	assert_string_equal(rig->asked, key);
	assert_int_equal(lookup(rig, mac, "10.2.0.9").status, 503); /* whose second machine? */
	assert_int_equal(lookup(rig, "52:54:00:ff:ff:ff", "10.2.0.1").status, 503);
	assert_string_equal(rig->asked, "");
	assert_int_equal(heartbeat(rig, a.token, "https://10.2.0.1:9999", "10.2.0.1"), 503);
	assert_string_equal(rig->asked, key);
	struct answer posted;
	rig->asked[0] = '\0';
	assert_int_equal(give_inventory(rig, &posted)->status, 503);
	assert_string_equal(rig->asked, key);
	rig->asked[0] = '\0';
	json_free(engine_describe(rig->engine, key));
	assert_string_equal(rig->asked, key);
	assert_int_equal(rig->saves, saves);
	assert_int_equal(rig->warnings, 0);
	rig->leads_no_more = false;
	assert_int_equal(heartbeat(rig, a.token, "https://10.2.0.1:9999", "10.2.0.1"), 202);
	rig_free(rig);
}

/* Between the reading of the records and the controller's first visit a MAC says nothing: it may be
 * that of a host whose boot is on record. An agent that was told "not waited for" would drop its
 * inventory. */
static void test_unknown_before_registration(void **state)
{
	(void)state;
	struct rig *rig = rig_new(32);
	struct answer a;
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	rig->world.faults.boot_fails = 1000;
	ask(rig, WANT_INSPECT, NULL, false);
	advance(rig, USEC_PER_MIN);
	restart_engine(rig);
	engine_load(rig->engine, key, uid, rig->record);
	assert_int_equal(lookup(rig, rig->machine->mac, "10.2.0.1").status, 503);
	assert_int_equal(give_inventory(rig, &a)->status, 503);
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	assert_int_equal(lookup(rig, "52:54:00:ff:ff:ff", "10.2.0.1").status, 404);
	assert_int_equal(give_inventory(rig, &a)->count, 0);
	assert_int_equal(reach(rig, WANT_INSPECT, NULL, false), PROV_DONE);
	rig_free(rig);
}

/* After a restart, before the controller has come by, the host has no BMC to be switched off by. */
static void test_lookup_before_registration(void **state)
{
	(void)state;
	struct rig *rig = rig_new(24);
	struct answer a = { 0 };
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	rig->world.faults.boot_fails = 1000;
	ask(rig, WANT_INSPECT, NULL, false);
	advance(rig, USEC_PER_MIN);
	assert_int_equal(lookup(rig, rig->machine->mac, "10.2.0.1").status, 200);
	kill_engine(rig);
	start_engine(rig);
	engine_load(rig->engine, key, uid, rig->record);
	engine_agent_lookup(rig->engine, "", uid, "10.9.9.9", keep_answer, &a);
	advance(rig, USEC_PER_MIN);
	assert_int_equal(a.count, 1);
	assert_int_equal(a.status, 409);
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	rig_free(rig);
}

static void test_second_machine_ends_the_operation(void **state)
{
	(void)state;
	struct rig *rig = rig_new(20);
	const char *mac = rig->machine->mac;
	to_available(rig);
	ask(rig, WANT_PROVISION, &image_a, false);
	advance(rig, 90 * USEC_PER_SEC);
	assert_int_equal(rig->machine->disk, SIM_DISK_HALF);
	assert_string_equal(lookup(rig, mac, "10.9.9.9").token, "******");
	/* The controller does not ask again by itself: an error is told first. */
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_FAILED);
	assert_non_null(strstr(rig->result.error, "a second machine (10.9.9.9) asked"));
	advance(rig, USEC_PER_MIN);
	assert_int_equal(rig->machine->bmc->power, BMC_POWER_OFF);
	/* The token of that boot opens nothing any more. */
	assert_null(json_get_path_string(rig->record, "boot.nonce"));
	assert_null(json_get_path_string(rig->record, "agent.url"));
	assert_int_equal(lookup(rig, mac, rig->machine->address).status, 404);
	assert_int_equal(lookup(rig, mac, "10.9.9.9").status, 404);
	rig_free(rig);
}

static void slot_stored(void *data, const struct err *err)
{
	*(int *)data = err ? (int)err->kind : 0;
}

static int give_slot(struct rig *rig, const char *mac, const char *address)
{
	int result = -1;
	engine_slot_set(rig->engine, at_mac(mac), strchr(address, ':') ? AF_INET6 : AF_INET,
			address, slot_stored, &result);
	advance(rig, USEC_PER_SEC);
	return result;
}

static int post_inventory(struct rig *rig, const char *mac, const char *source)
{
	struct answer a = { 0 };
	char text[256];
	struct json *body;
	snprintf(text, sizeof(text),
		 "{\"inventory\":{\"interfaces\":[{\"name\":\"eth0\",\"mac_address\":\"%s\"},"
		 "{\"name\":\"eth1\",\"mac_address\":\"52:54:00:00:99:99\"}]}}",
		 mac);
	assert_int_equal(json_parse(text, strlen(text), &body, NULL), 0);
	engine_agent_inspection(rig->engine, body, source, keep_answer, &a);
	advance(rig, 30 * USEC_PER_SEC); /* nobody stores it: 503 after a while */
	assert_int_equal(a.count, 1);
	return a.status;
}

/* We serve DHCP: a host's agent is where we put it, and nowhere else. */
static void test_agents_come_from_their_address(void **state)
{
	(void)state;
	struct rig *rig = rig_new(21);
	const char *mac = rig->machine->mac;
	rig->serves_dhcp = true;
	restart_engine(rig);
	rig->world.faults.boot_fails = 1000; /* we play the agent */
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	ask(rig, WANT_INSPECT, NULL, false);
	advance(rig, USEC_PER_MIN);
	assert_int_equal(lookup(rig, mac, "10.2.0.1").status, 404); /* no address yet */
	assert_int_equal(post_inventory(rig, mac, "10.2.0.1"), 404);
	assert_int_equal(give_slot(rig, mac, "10.2.0.1"), 0);
	assert_int_equal(lookup(rig, mac, "10.2.0.9").status, 404);
	assert_int_equal(post_inventory(rig, mac, "10.2.0.9"), 404);
	assert_int_equal(rig->warnings, 0); /* a stranger cannot end the operation either */
	assert_int_equal(post_inventory(rig, mac, "10.2.0.1"), 503);
	/* Its other NIC is unknown until the inventory is stored, and cannot take the address away
	 * afterwards. */
	assert_int_equal(give_slot(rig, "52:54:00:00:99:99", "10.2.0.9"), ERR_BUSY);
	assert_string_equal(engine_slot_get(rig->engine, at_mac(mac), AF_INET), "10.2.0.1");
	struct answer a = lookup(rig, mac, "10.2.0.1");
	assert_int_equal(strlen(a.token), 87);
	rig_free(rig);
}

/* Posts an inventory with `count` NICs 02:00:00:00:SERIES:xx besides its own; the status, 0 while
 * the answer is held. */
static int post_nics(struct rig *rig, unsigned series, unsigned count, struct answer *a)
{
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	struct json *body = NULL;
	strbuf_addf(&text, "{\"inventory\":{\"interfaces\":[{\"mac_address\":\"%s\"}",
		    rig->machine->mac);
	for (unsigned i = 0; i < count; i++)
		strbuf_addf(&text, ",{\"mac_address\":\"02:00:00:%02X:%02x:%02x\"}", series, i >> 8,
			    i & 255);
	strbuf_adds(&text, "]},\"logs\":\"of no use\"}");
	assert_int_equal(json_parse(text.data, text.len, &body, NULL), 0);
	*a = (struct answer){ 0 };
	engine_agent_inspection(rig->engine, body, "10.2.0.1", keep_answer, a);
	advance(rig, 5 * USEC_PER_SEC);
	return a->status;
}

/* Registers a second host with that MAC, and removes it again. */
static bool may_register(struct rig *rig, const char *mac)
{
	struct prov_host other = rig->host;
	const char *node_id;
	other.key = "metal3/node-2";
	other.uid = "22222222-2222-4222-8222-222222222222";
	other.boot_mac = mac;
	engine_load(rig->engine, other.key, other.uid, NULL);
	engine_register(rig->engine, &other, &(struct prov_register){ 0 }, &node_id, &rig->result);
	bool may = rig->result.outcome != PROV_FAILED;
	if (!may)
		assert_non_null(strstr(rig->result.error, "last inspection found a NIC"));
	return may;
}

/* What an inventory says of NICs counts once the controller has stored it, and until the next. */
static void test_nics_of_stored_inventory(void **state)
{
	(void)state;
	struct rig *rig = rig_new(33);
	struct answer a, again, held[40];
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	rig->world.faults.boot_fails = 1000;
	ask(rig, WANT_INSPECT, NULL, false);
	advance(rig, USEC_PER_MIN);
	assert_int_equal(post_nics(rig, 1, 256, &a), 400);
	for (unsigned i = 0; i < 40; i++) {
		assert_int_equal(post_nics(rig, 16 + i, 255, &held[i]), 0);
		assert_int_equal(rig->engine->macs.count, 1); /* its boot NIC */
	}
	assert_int_equal(reach(rig, WANT_INSPECT, NULL, false), PROV_DONE);
	assert_null(json_get(rig->inventory, "logs"));
	assert_int_equal(rig->engine->macs.count, 1);
	assert_int_equal(post_nics(rig, 2, 3, &again), 0);
	assert_int_equal(reach(rig, WANT_PREPARE, NULL, false), PROV_DONE);
	assert_int_equal(again.status, 202);
	assert_int_equal(rig->engine->macs.count, 4);
	assert_false(may_register(rig, "02:00:00:02:00:01"));
	/* The answer got lost: the agent posts again, and is told that all is well. */
	assert_int_equal(post_nics(rig, 4, 9, &again), 202);
	assert_int_equal(rig->engine->macs.count, 4);
	/* Another inspection, another card. */
	restart_engine(rig);
	engine_load(rig->engine, key, uid, rig->record);
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	assert_int_equal(rig->engine->macs.count, 1);
	assert_true(may_register(rig, "02:00:00:02:00:01"));
	rig_free(rig);
}

/* The NICs of one inventory are dropped with the next. */
static void test_nics_of_the_next_inventory(void **state)
{
	(void)state;
	struct rig *rig = rig_new(34);
	struct answer a, next;
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	rig->world.faults.boot_fails = 1000;
	ask(rig, WANT_INSPECT, NULL, false);
	advance(rig, USEC_PER_MIN);
	struct node *n = node_find(rig->engine, key);
	assert_int_equal(post_nics(rig, 1, 255, &a), 0);
	node_take_nics(n);
	assert_int_equal(rig->engine->macs.count, 256);
	assert_int_equal(post_nics(rig, 2, 2, &next), 0);
	node_take_nics(n);
	assert_int_equal(rig->engine->macs.count, 3);
	assert_null(engine_by_mac_text(rig->engine, "02:00:00:01:00:01"));
	assert_ptr_equal(engine_by_mac_text(rig->engine, "02:00:00:02:00:01"), n);
	assert_ptr_equal(engine_by_mac_text(rig->engine, rig->machine->mac), n);
	rig_free(rig);
}

static void test_inventory_is_bounded(void **state)
{
	(void)state;
	struct rig *rig = rig_new(35);
	struct answer a = { 0 };
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	rig->world.faults.boot_fails = 1000;
	ask(rig, WANT_INSPECT, NULL, false);
	advance(rig, USEC_PER_MIN);
	struct json *body = json_new_object();
	struct json *nic = json_append(
		json_set(json_make_object(body, "inventory"), "interfaces", json_new_array()),
		json_new_object());
	_cleanup_(freep) char *name = xcalloc(1, (1 << 20) + 1);
	memset(name, 'x', 1 << 20);
	json_set_string(nic, "mac_address", rig->machine->mac);
	json_set_string(json_get_mut(body, "inventory"), "hostname", name);
	engine_agent_inspection(rig->engine, body, "10.2.0.1", keep_answer, &a);
	advance(rig, 5 * USEC_PER_SEC);
	assert_int_equal(a.status, 400);
	rig_free(rig);
}

/* The answer to the inventory got lost, and a deployment has begun: the ramdisk of the inspection
 * serves it, so its agent must not be kept waiting. */
static void test_inventory_again_in_a_deployment(void **state)
{
	(void)state;
	struct rig *rig = rig_new(22);
	to_available(rig);
	ask(rig, WANT_PROVISION, &image_a, false);
	assert_int_equal(rig->result.outcome, PROV_RUNNING);
	assert_int_equal(post_inventory(rig, rig->machine->mac, rig->machine->address), 202);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	assert_int_equal(rig->machine->ramdisk_boots, 1);
	rig_free(rig);
}

static void test_inventory_only_when_inspecting(void **state)
{
	(void)state;
	struct rig *rig = rig_new(22);
	const char *mac = rig->machine->mac, *address = rig->machine->address;
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	assert_int_equal(post_inventory(rig, mac, address), 404); /* no boot of ours */
	to_available(rig);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	assert_int_equal(post_inventory(rig, mac, address), 404); /* a tenant's word */
	rig->world.faults.boot_fails = 1000;
	ask(rig, WANT_DEPROVISION, NULL, false);
	advance(rig, 2 * USEC_PER_MIN);
	assert_non_null(json_get_path_string(rig->record, "boot.nonce"));
	assert_int_equal(post_inventory(rig, mac, address), 404); /* booted to be cleaned */
	/* Nor when only the record tells what that boot was for. */
	restart_engine(rig);
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	assert_int_equal(post_inventory(rig, mac, address), 404);
	rig_free(rig);
}

static int heartbeat_version(struct rig *rig, const char *token, const char *version)
{
	struct answer a = { 0 };
	_cleanup_(json_freep) struct json *body = json_new_object();
	json_set_string(body, "callback_url", "https://10.2.0.1:9999");
	json_set_string(body, "agent_token", token);
	json_set_string(body, "agent_version", version);
	json_set_string(body, "agent_verify_ca", "certificate");
	engine_agent_heartbeat(rig->engine, uid, body, "10.2.0.1", keep_answer, &a);
	return a.status;
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
	/* What goes into the record has a length. */
	char version[66] = "";
	memset(version, '9', 65);
	assert_int_equal(heartbeat_version(rig, a.token, version), 400);
	assert_int_equal(heartbeat(rig, a.token, "https://10.2.0.1:9999", "10.2.0.1"), 202);
	advance(rig, USEC_PER_SEC);
	assert_int_equal(heartbeat(rig, a.token, "https://10.2.0.1:9998", "10.2.0.1"), 400);
	assert_int_equal(heartbeat(rig, a.token, "https://10.2.0.1:9999", "10.2.0.1"), 202);
	advance(rig, USEC_PER_SEC);
	assert_string_equal(lookup(rig, mac, "10.2.0.1").token, "******"); /* it has arrived */
	rig_free(rig);
}

/* What the ramdisk could not apply of the network data is told, once in a boot, and shown. */
static void test_network_data_problems(void **state)
{
	(void)state;
	struct rig *rig = rig_new(33);
	struct answer a;
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	rig->world.faults.boot_fails = 1000;
	ask(rig, WANT_INSPECT, NULL, false);
	advance(rig, USEC_PER_MIN);
	struct answer first = lookup(rig, rig->machine->mac, "10.2.0.1");
	for (int beat = 0; beat < 2; beat++) {
		_cleanup_(json_freep) struct json *body = json_new_object();
		json_set_string(body, "callback_url", "https://10.2.0.1:9999");
		json_set_string(body, "agent_token", beat ? first.token : "not this boot's");
		json_set_string(body, "agent_verify_ca", "certificate");
		struct json *list = json_set(body, "network_data_problems", json_new_array());
		json_append(list, json_new_string("link \"bond0\": this machine has no NIC x"));
		engine_agent_heartbeat(rig->engine, uid, body, "10.2.0.1", keep_answer, &a);
		assert_int_equal(a.status, beat ? 202 : 400);
		assert_int_equal(rig->warnings, beat);
		advance(rig, USEC_PER_SEC);
		engine_agent_heartbeat(rig->engine, uid, body, "10.2.0.1", keep_answer, &a);
		assert_int_equal(rig->warnings, beat);
	}
	_cleanup_(freep) char *inventory = xasprintf(
		"{\"inventory\":{\"interfaces\":[{\"name\":\"e\",\"mac_address\":\"%s\"}]},"
		"\"network_data_problems\":[\"another\"]}",
		rig->machine->mac);
	struct json *posted = NULL;
	assert_int_equal(json_parse(inventory, strlen(inventory), &posted, NULL), 0);
	engine_agent_inspection(rig->engine, posted, "10.2.0.1", keep_answer, &a);
	assert_int_equal(rig->warnings, 1);
	assert_string_equal(rig->told,
			    "the ramdisk runs, but could not apply all of the host's network data: "
			    "link \"bond0\": this machine has no NIC x");
	_cleanup_(json_freep) struct json *shown = engine_describe(rig->engine, key);
	assert_string_equal(json_get_path_string(shown, "boot.networkData"),
			    "link \"bond0\": this machine has no NIC x");
	rig_free(rig);
}

/* An agent that a boot medium told its node's name names it at its first lookup, too. */
static void test_first_lookup_by_name(void **state)
{
	(void)state;
	struct rig *rig = rig_new(21);
	struct answer a = { 0 };
	const char *address = rig->machine->address;
	to_available(rig);
	ask(rig, WANT_PROVISION, &image_a, false);
	advance(rig, 90 * USEC_PER_SEC);
	assert_int_equal(rig->machine->disk, SIM_DISK_HALF);
	engine_agent_lookup(rig->engine, "", uid, address, keep_answer, &a);
	advance(rig, USEC_PER_SEC);
	assert_int_equal(a.status, 200);
	ask(rig, WANT_PROVISION, &image_a, false);
	assert_int_not_equal(rig->result.outcome, PROV_FAILED);
	engine_agent_first_lookup(rig->engine, "", uid, address, keep_answer, &a);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_FAILED);
	assert_non_null(strstr(rig->result.error, "the machine restarted while"));
	rig_free(rig);
}

static unsigned refusals;

static void count_refusals(void *data, enum log_level level, const char *line)
{
	refusals += strstr(line, " refused") != NULL;
	keep_quiet(data, level, line);
}

static void post_nothing(struct rig *rig, const char *source)
{
	struct answer a = { 0 };
	engine_agent_inspection(rig->engine, json_new_object(), source, keep_answer, &a);
	assert_int_equal(a.status, 400);
}

static void refuse_three_kinds(struct rig *rig, const char *source)
{
	struct answer a = { 0 };
	post_nothing(rig, source);
	assert_int_equal(heartbeat(rig, "wrong", "https://10.2.0.9:9999", source), 400);
	engine_agent_lookup(rig->engine, rig->machine->mac, NULL, source, keep_answer, &a);
	assert_int_equal(a.status, 404);
}

/* Of the same second: a line for each kind and each caller, however often one repeats itself. */
static void test_each_refusal_is_logged(void **state)
{
	(void)state;
	struct rig *rig = rig_new(47);
	rig->serves_dhcp = true;
	restart_engine(rig);
	rig->world.faults.boot_fails = 1000;
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	ask(rig, WANT_INSPECT, NULL, false);
	advance(rig, USEC_PER_MIN);
	log_set_sink(count_refusals, NULL);
	refusals = 0;
	for (int i = 0; i < 100; i++)
		post_nothing(rig, "10.2.0.7");
	assert_int_equal(refusals, 1);
	refuse_three_kinds(rig, "10.2.0.8");
	assert_int_equal(refusals, 4);
	refuse_three_kinds(rig, "10.2.0.8");
	assert_int_equal(refusals, 4);
	rig_free(rig);
}

/* A host that was moved here while its ramdisk ran: that goes on under the UID that it knows, until
 * its end. */
static void test_moved_with_its_ramdisk(void **state)
{
	(void)state;
	struct rig *rig = rig_new(45);
	const char *mac = rig->machine->mac, *url = "https://10.2.0.1:9999";
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	rig->world.faults.boot_fails = 1000;
	ask(rig, WANT_INSPECT, NULL, false);
	advance(rig, USEC_PER_MIN);
	struct answer a = lookup(rig, mac, "10.2.0.1");
	assert_int_equal(heartbeat(rig, a.token, url, "10.2.0.1"), 202);
	advance(rig, USEC_PER_SEC);
	kill_engine(rig);
	json_set_string(json_get_mut(rig->record, "boot"), "hostUID", uid);
	json_set_string(rig->record, "hostUID", "moved");
	rig->host.uid = "moved";
	start_engine(rig);
	engine_load(rig->engine, key, "moved", rig->record);
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	assert_int_equal(heartbeat(rig, "wrong", url, "10.2.0.1"), 400);
	assert_int_equal(heartbeat(rig, a.token, url, "10.2.0.1"), 202);
	advance(rig, USEC_PER_SEC);
	assert_string_equal(json_get_string(rig->record, "hostUID"), "moved");
	assert_string_equal(json_get_path_string(rig->record, "boot.hostUID"), uid);
	assert_int_equal(reach(rig, WANT_OFF, NULL, false), PROV_DONE);
	advance(rig, USEC_PER_SEC);
	assert_null(json_get_path_string(rig->record, "boot.hostUID"));
	assert_int_equal(heartbeat(rig, a.token, url, "10.2.0.1"), 404);
	rig_free(rig);
}

static int first_heartbeat(struct rig *rig, const char *ip)
{
	_cleanup_(freep) char *url = xasprintf("https://%s:9999", ip);
	struct answer a = lookup(rig, rig->machine->mac, ip);
	assert_int_equal(strlen(a.token), 87);
	return heartbeat(rig, a.token, url, ip);
}

/* Where an agent can be: the provisioning network, never a BMC, never ourselves. */
static void test_callback_addresses(void **state)
{
	(void)state;
	static const struct {
		const char *ip;
		int status;
	} rows[] = {
		{ "10.2.0.1", 202 },  { "10.3.0.1", 400 },    { "10.1.0.1", 400 },
		{ "127.0.0.1", 400 }, { "169.254.0.1", 400 }, { "192.0.2.7", 202 },
	};
	struct net_policy policy = { .only_name = "the provisioning network" };
	assert_int_equal(net_prefixes_parse(&policy.only, "10.1.0.0/16,10.2.0.0/16", NULL), 0);
	assert_int_equal(net_prefixes_parse(&policy.allow, "192.0.2.0/24", NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rig *rig = rig_new(23 + i);
		rig->agents = &policy;
		restart_engine(rig);
		assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
		rig->world.faults.boot_fails = 1000;
		ask(rig, WANT_INSPECT, NULL, false);
		advance(rig, USEC_PER_MIN);
		assert_int_equal(first_heartbeat(rig, rows[i].ip), rows[i].status);
		rig_free(rig);
	}
	net_policy_done(&policy);
}

/* The token alone is not enough: it works where it was given to. */
static void test_token_of_another_address(void **state)
{
	(void)state;
	struct rig *rig = rig_new(30);
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	rig->world.faults.boot_fails = 1000;
	ask(rig, WANT_INSPECT, NULL, false);
	advance(rig, USEC_PER_MIN);
	struct answer a = lookup(rig, rig->machine->mac, "10.2.0.1");
	assert_int_equal(heartbeat(rig, a.token, "https://10.2.0.9:9999", "10.2.0.9"), 400);
	assert_int_equal(heartbeat(rig, a.token, "https://10.2.0.1:9999", "10.2.0.1"), 202);
	rig_free(rig);
}

/* Two hosts, one address: who has it keeps it, the other one hears so once, and gets it when it is
 * free. */
static void test_fixed_address(void **state)
{
	(void)state;
	struct rig *rig = rig_new(17);
	const char *mac = rig->machine->mac, *address = "";
	_cleanup_(json_freep) struct json *record = NULL;
	static const char stored[] = "{\"hostUID\":\"2222\",\"schemaVersion\":1,\"dhcp\":{\"mac\":"
				     "\"52:54:00:00:00:99\",\"address\":\"10.2.0.7\"}}";
	assert_int_equal(json_parse(stored, strlen(stored), &record, NULL), 0);
	engine_load(rig->engine, "metal3/node-2", "2222", record);
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	assert_false(engine_slot_fixed(rig->engine, at_mac(mac), AF_INET, &address));
	rig->host.dhcp_address = "10.2.0.7";
	for (int i = 0; i < 3; i++)
		ask(rig, WANT_REGISTER, NULL, false);
	assert_int_equal(rig->warnings, 1);
	assert_true(engine_slot_fixed(rig->engine, at_mac(mac), AF_INET, &address));
	assert_null(address);
	rig->host.dhcp_address = "10.2.0.66"; /* refused by check_address */
	ask(rig, WANT_REGISTER, NULL, false);
	assert_int_equal(rig->warnings, 2);
	assert_false(engine_slot_used(rig->engine, "10.2.0.66"));
	rig->host.dhcp_address = "10.2.0.7";
	ask(rig, WANT_REGISTER, NULL, false);
	assert_int_equal(rig->warnings, 3);
	struct prov_result result;
	engine_remove(rig->engine, &(struct prov_host){ .key = "metal3/node-2" }, true, &result);
	assert_false(engine_slot_used(rig->engine, "10.2.0.7"));
	ask(rig, WANT_REGISTER, NULL, false);
	assert_true(engine_slot_fixed(rig->engine, at_mac(mac), AF_INET, &address));
	assert_string_equal(address, "10.2.0.7");
	assert_true(engine_slot_used(rig->engine, "10.2.0.7")); /* nobody else may get it */
	assert_int_equal(rig->warnings, 3);
	engine_slot_taken(rig->engine, at_mac(mac), address);
	assert_int_equal(rig->warnings, 4);
	rig->host.dhcp_address = NULL;
	ask(rig, WANT_REGISTER, NULL, false);
	assert_false(engine_slot_fixed(rig->engine, at_mac(mac), AF_INET, &address));
	assert_false(engine_slot_used(rig->engine, "10.2.0.7"));
	rig_free(rig);
}

static void load_neighbour(struct rig *rig, unsigned n, const char *address)
{
	char name[32], id[16];
	_cleanup_(json_freep) struct json *record = NULL;
	_cleanup_(freep) char *text = NULL;
	snprintf(name, sizeof(name), "metal3/other-%u", n);
	snprintf(id, sizeof(id), "%u", n);
	text = xasprintf("{\"hostUID\":\"%s\",\"schemaVersion\":1,\"dhcp\":{\"mac\":"
			 "\"52:54:00:01:%02x:%02x\",\"address\":\"%s\"}}",
			 id, n >> 8, n & 255, address);
	assert_int_equal(json_parse(text, strlen(text), &record, NULL), 0);
	engine_load(rig->engine, name, id, record);
}

static void remove_neighbour(struct rig *rig, unsigned n)
{
	char name[32];
	struct prov_result result;
	snprintf(name, sizeof(name), "metal3/other-%u", n);
	engine_remove(rig->engine, &(struct prov_host){ .key = name }, true, &result);
	while (result.outcome == PROV_RUNNING) {
		advance(rig, USEC_PER_SEC);
		engine_remove(rig->engine, &(struct prov_host){ .key = name }, true, &result);
	}
}

/* Records that were copied can name one address twice: it is used until the last of them has gone,
 * whichever goes first. */
static void test_address_in_several_records(void **state)
{
	(void)state;
	static const unsigned orders[][3] = { { 1, 2, 3 }, { 3, 2, 1 }, { 2, 3, 1 } };
	struct rig *rig = rig_new(31);
	for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
		for (unsigned n = 1; n <= 3; n++)
			load_neighbour(rig, n, "10.2.0.7");
		load_neighbour(rig, 4, "10.2.0.8");
		for (size_t k = 0; k < 3; k++) {
			assert_true(engine_slot_used(rig->engine, "10.2.0.7"));
			remove_neighbour(rig, orders[i][k]);
		}
		assert_false(engine_slot_used(rig->engine, "10.2.0.7"));
		assert_true(engine_slot_used(rig->engine, "10.2.0.8"));
	}
	rig_free(rig);
}

/* What packets and requests ask costs the same however many hosts there are. */
static void test_no_walk_over_all_hosts(void **state)
{
	(void)state;
	struct rig *rig = rig_new(32);
	char address[32];
	struct engine_boot boot;
	const char *fixed;
	for (unsigned n = 1; n <= 500; n++) {
		snprintf(address, sizeof(address), "10.5.%u.%u", n >> 8, n & 255);
		load_neighbour(rig, n, address);
	}
	rig->host.dhcp_address = "10.2.0.7";
	uint64_t before = map_walked;
	to_available(rig);
	assert_true(engine_slot_used(rig->engine, "10.5.1.1"));
	assert_false(engine_slot_used(rig->engine, "10.6.1.1"));
	assert_true(engine_slot_fixed(rig->engine, at_mac(rig->machine->mac), AF_INET, &fixed));
	assert_true(engine_boot_find(rig->engine, at_mac(rig->machine->mac), &boot));
	assert_int_equal(lookup(rig, "52:54:00:ff:ff:ff", "10.2.0.9").status, 404);
	remove_neighbour(rig, 17);
	assert_true(map_walked == before);
	rig_free(rig);
}

static char *trouble_of(struct rig *rig)
{
	_cleanup_(json_freep) struct json *j = engine_describe(rig->engine, key);
	return xstrdup(str_or(json_get_string(j, "trouble"), ""));
}

/* The wrong bootMACAddress, told from the first minute on: by describe, and at the end by the
 * error. */
static void test_wrong_mac_is_told(void **state)
{
	(void)state;
	struct rig *rig = rig_new(33);
	rig->serves_dhcp = true;
	restart_engine(rig);
	engine_boot_stranger(rig->engine, at_mac("52:54:00:ff:ff:01"),
			     "PXE boot by DHCP"); /* before */
	rig->world.faults.boot_fails = 1000;
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	ask(rig, WANT_INSPECT, NULL, false);
	advance(rig, 2 * USEC_PER_MIN);
	_cleanup_(freep) char *silent = trouble_of(rig);
	assert_non_null(strstr(silent, "no DHCP request from 52:54:00:00:00:01 since power on 1"));
	assert_null(strstr(silent, "no host"));
	engine_boot_stranger(rig->engine, at_mac("52:54:00:ff:ff:02"), "PXE boot by DHCP");
	engine_boot_stranger(rig->engine, at_mac("52:54:00:ff:ff:03"), "HTTP boot by DHCP");
	_cleanup_(freep) char *named = trouble_of(rig);
	assert_non_null(strstr(named, "asked for a boot and belongs to no host (and 1 more)"));
	_cleanup_(json_freep) struct json *list = engine_strangers(rig->engine);
	assert_int_equal(json_count(list), 3);
	assert_string_equal(json_get_string(json_first(list), "mac"), "52:54:00:ff:ff:02");
	engine_boot_seen(rig->engine, at_mac(rig->machine->mac), "DHCP offer sent");
	_cleanup_(freep) char *heard = trouble_of(rig);
	assert_string_equal(heard, "");
	advance(rig, 25 * USEC_PER_MIN); /* booted again */
	engine_boot_stranger(rig->engine, at_mac("52:54:00:ff:ff:03"), "HTTP boot by DHCP");
	assert_int_equal(reach(rig, WANT_INSPECT, NULL, false), PROV_FAILED);
	assert_non_null(strstr(rig->result.error, "asked for a boot and belongs to no host"));
	/* One becomes a host: it is no stranger any more. */
	rig->host.boot_mac = "52:54:00:ff:ff:02";
	ask(rig, WANT_REGISTER, NULL, false);
	_cleanup_(json_freep) struct json *less = engine_strangers(rig->engine);
	json_for_each(s, less)
		assert_string_not_equal(json_get_string(s, "mac"), "52:54:00:ff:ff:02");
	rig_free(rig);
}

/* A boot file that is not there: in the step, in its record, in an Event once, and in the error. */
static void test_boot_file_fails(void **state)
{
	(void)state;
	static const char why[] = "cannot read the boot file /srv/vmlinuz: No such file";
	struct rig *rig = rig_new(34);
	rig->world.faults.boot_fails = 1000;
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	ask(rig, WANT_INSPECT, NULL, false);
	advance(rig, 2 * USEC_PER_MIN);
	unsigned before = rig->warnings;
	for (int i = 0; i < 3; i++) {
		engine_boot_failed(rig->engine, at_mac(rig->machine->mac), NULL, why);
		advance(rig, USEC_PER_SEC);
	}
	assert_int_equal(rig->warnings, before + 1);
	_cleanup_(freep) char *told = trouble_of(rig);
	assert_string_equal(told, why);
	assert_non_null(strstr(json_get_path_string(rig->record, "step.waitsFor"), why));
	engine_boot_failed(rig->engine, at_mac("52:54:00:ff:ff:02"), "10.2.0.99", "another's");
	assert_int_equal(rig->warnings, before + 1);
	advance(rig, 25 * USEC_PER_MIN); /* booted again: forgotten */
	_cleanup_(freep) char *forgotten = trouble_of(rig);
	assert_null(strstr(forgotten, why));
	engine_boot_failed(rig->engine, at_mac(rig->machine->mac), NULL, why);
	assert_int_equal(reach(rig, WANT_INSPECT, NULL, false), PROV_FAILED);
	assert_non_null(strstr(rig->result.error, why));
	rig_free(rig);
}

/* A machine chooses which files it asks for: troubles that take turns are told once each, a flood
 * of different ones four times, and neither costs more writes to the API. */
static void test_boot_files_fail_in_turns(void **state)
{
	(void)state;
	static const char *const turns[] = { "cannot read vmlinuz", "cannot read initramfs" };
	struct rig *rig = rig_new(46);
	char why[32];
	rig->world.faults.boot_fails = 1000;
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	ask(rig, WANT_INSPECT, NULL, false);
	advance(rig, 2 * USEC_PER_MIN);
	unsigned warnings = rig->warnings, saves = rig->saves;
	for (int i = 0; i < 200; i++) {
		engine_boot_failed(rig->engine, at_mac(rig->machine->mac), NULL, turns[i % 2]);
		advance(rig, USEC_PER_SEC);
		_cleanup_(freep) char *told = trouble_of(rig);
		assert_string_equal(told, turns[i % 2]); /* the latest, all the same */
	}
	assert_int_equal(rig->warnings, warnings + 2);
	assert_int_equal(rig->saves, saves + 2);
	for (int i = 0; i < 100; i++) {
		snprintf(why, sizeof(why), "cannot read file %d", i);
		engine_boot_failed(rig->engine, at_mac(rig->machine->mac), NULL, why);
		advance(rig, 100 * USEC_PER_MSEC);
	}
	assert_int_equal(rig->warnings, warnings + BOOT_TOLD_MAX);
	assert_int_equal(rig->saves, saves + BOOT_TOLD_MAX);
	advance(rig, USEC_PER_MIN);
	engine_boot_failed(rig->engine, at_mac(rig->machine->mac), NULL, turns[0]);
	assert_int_equal(rig->warnings, warnings + BOOT_TOLD_MAX + 1); /* it is news again */
	rig_free(rig);
}

/* Inspection makes all NICs known; DHCP has one address for the host, and only one NIC boots. */
static void test_only_the_boot_mac_is_served(void **state)
{
	(void)state;
	struct rig *rig = rig_new(18);
	struct engine_boot boot;
	to_available(rig);
	rig->host.boot_mac = "52:54:00:00:00:aa"; /* somebody corrects spec.bootMACAddress */
	ask(rig, WANT_REGISTER, NULL, false);
	assert_true(engine_boot_find(rig->engine, at_mac("52:54:00:00:00:aa"), &boot));
	assert_false(engine_boot_find(rig->engine, at_mac(rig->machine->mac), &boot));
	rig_free(rig);
}

/* --- what people see -------------------------------------------------------------------------- */

enum { IMAGE_SIZE = 1 << 30 };

/* Till the end of the write. Each change of the progress on record is 30 s or 10 % away from the
 * one before. Returns how many there were. */
static unsigned follow_write(struct rig *rig, bool watch)
{
	unsigned changes = 0, kicks = rig->kicks;
	int64_t last = -1;
	usec_t last_at = 0;
	while (rig->machine->writes_done == 0) {
		if (watch)
			engine_watch(rig->engine, key);
		advance(rig, USEC_PER_SEC);
		const struct json *p = json_get(rig->record, "progress");
		int64_t now = json_get_int(p, "bytesDone", -1);
		if (now < 0 || now == last)
			continue;
		assert_true(last < 0 || loop_now(rig->loop) >= last_at + 29 * USEC_PER_SEC ||
			    now / (IMAGE_SIZE / 10) > last / (IMAGE_SIZE / 10));
		last = now;
		last_at = loop_now(rig->loop);
		changes++;
	}
	/* Nor is the BareMetalHost touched: only a kick leads to it. */
	assert_int_equal(rig->kicks, kicks);
	return changes;
}

static struct rig *writing_rig(uint64_t seed, usec_t write_time)
{
	struct rig *rig = rig_new(seed);
	rig->world.image_size = IMAGE_SIZE;
	rig->world.write_time = write_time;
	to_available(rig);
	ask(rig, WANT_PROVISION, &image_a, false);
	while (rig->machine->writes_begun == 0)
		advance(rig, USEC_PER_SEC);
	return rig;
}

static void test_progress_is_stored_rarely(void **state)
{
	(void)state;
	struct rig *rig = writing_rig(21, 20 * USEC_PER_MIN);
	unsigned changes = follow_write(rig, false);
	assert_in_range(changes, 20, 60);
	assert_in_range(rig->machine->progress_asks, 60, 100); /* every 15 s */
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	assert_null(json_get_path(rig->record, "progress.bytesDone"));
	rig_free(rig);

	rig = writing_rig(21, 20 * USEC_PER_MIN);
	changes = follow_write(rig, true);
	assert_in_range(changes, 20, 60); /* however often somebody looks */
	assert_in_range(rig->machine->progress_asks, 800, 1800);
	rig_free(rig);

	rig = writing_rig(21, 30 * USEC_PER_SEC);
	changes = follow_write(rig, true);
	assert_in_range(changes, 8, 12);
	rig_free(rig);
}

/* Why the agent cannot read the image is known from its first try on, and no longer than it lasts.
 */
static void test_trouble_of_the_read(void **state)
{
	(void)state;
	struct rig *rig = writing_rig(21, 20 * USEC_PER_MIN);
	rig->machine->read_trouble = "no route to\nhttp://u:secret@10.0.0.9/a.raw?token=1";
	advance(rig, 20 * USEC_PER_SEC);
	static const char said[] = "attempt 1 of 10 failed: no route to http://10.0.0.9/a.raw?...";
	assert_string_equal(json_get_path_string(rig->record, "step.trouble"), said);
	_cleanup_(json_freep) struct json *j = engine_describe(rig->engine, key);
	assert_string_equal(json_get_string(j, "trouble"), said);
	/* Told again and again, it is stored once. */
	unsigned saves = rig->saves;
	advance(rig, 20 * USEC_PER_SEC);
	assert_in_range(rig->saves - saves, 0, 1);
	rig->machine->read_trouble = NULL;
	advance(rig, 20 * USEC_PER_SEC);
	assert_null(json_get_path_string(rig->record, "step.trouble"));
	rig->machine->read_trouble = "a";
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	assert_null(json_get_path_string(rig->record, "step.trouble"));
	rig_free(rig);
}

/* A write that was broken off leaves no progress behind. */
static void test_progress_ends_with_its_operation(void **state)
{
	(void)state;
	struct rig *rig = writing_rig(22, 20 * USEC_PER_MIN);
	advance(rig, 10 * USEC_PER_MIN);
	assert_true(json_get_int(json_get(rig->record, "progress"), "percent", 0) > 30);
	ask(rig, WANT_DEPROVISION, NULL, false);
	advance(rig, 5 * USEC_PER_SEC);
	assert_string_equal(json_get_path_string(rig->record, "node.state"), "deleting");
	assert_null(json_get_path(rig->record, "progress.percent"));
	assert_int_equal(reach(rig, WANT_DEPROVISION, NULL, false), PROV_DONE);
	rig_free(rig);
}

static char *described(const struct rig *rig)
{
	_cleanup_(json_freep) struct json *j = engine_describe(rig->engine, key);
	_cleanup_(json_freep) struct json *list = engine_list(rig->engine);
	struct strbuf text = { 0 };
	json_print(j, &text);
	json_print(list, &text);
	return strbuf_take(&text, NULL);
}

static void test_describe(void **state)
{
	(void)state;
	static const struct prov_provision image = { .image = { "http://tom:pa55@h/a.raw?sig=5i9",
								"aaaa", "sha256", "raw" } };
	struct rig *rig = rig_new(23);
	rig->world.image_size = IMAGE_SIZE;
	rig->world.write_time = 20 * USEC_PER_MIN;
	assert_null(engine_describe(rig->engine, key));
	to_available(rig);
	ask(rig, WANT_PROVISION, &image, false);
	while (rig->machine->writes_begun == 0)
		advance(rig, USEC_PER_SEC);
	engine_boot_seen(rig->engine, at_mac(rig->machine->mac), "boot script fetched");
	engine_boot_seen(rig->engine, at_mac("02:00:00:00:00:99"), "boot script fetched");
	advance(rig, 10 * USEC_PER_MIN);
	_cleanup_(json_freep) struct json *j = engine_describe(rig->engine, key);
	assert_string_equal(json_get_string(j, "host"), key);
	assert_string_equal(json_get_string(j, "state"), "deploying");
	assert_string_equal(json_get_string(j, "operation"), "deploy");
	assert_string_equal(json_get_string(j, "step"), "write image");
	assert_string_equal(json_get_string(j, "waitsFor"), "the agent to write the image");
	assert_in_range(json_get_int(json_get(j, "progress"), "percent", -1), 45, 55);
	assert_in_range(json_get_int(json_get(j, "progress"), "secondsLeft", -1), 500, 700);
	assert_string_equal(json_get_path_string(j, "boot.stage"), "boot script fetched");
	assert_string_equal(json_get_path_string(j, "bmc.power"), "on");
	assert_string_equal(json_get_path_string(j, "image.url"), "http://h/a.raw?...");
	usec_t started, deadline;
	assert_int_equal(clock_parse(json_get_string(j, "startedAt"), &started), 0);
	assert_int_equal(clock_parse(json_get_string(j, "deadline"), &deadline), 0);
	assert_in_range((deadline - started) / USEC_PER_SEC, 24 * 3600 - 1, 24 * 3600 + 1);
	/* The same for who has only the API. */
	assert_string_equal(json_get_path_string(rig->record, "step.waitsFor"),
			    "the agent to write the image");
	assert_non_null(json_get_path_string(rig->record, "step.deadline"));

	_cleanup_(freep) char *text = described(rig);
	const char *const secrets[] = { "secret",
					"pa55",
					"tom",
					"5i9",
					rig->machine->token,
					json_get_path_string(rig->record, "boot.nonce") };
	for (size_t i = 0; i < ARRAY_SIZE(secrets); i++)
		assert_null(strstr(text, secrets[i]));
	rig->world.faults.write_fails = 1000;
	assert_int_equal(reach(rig, WANT_PROVISION, &image, false), PROV_FAILED);
	_cleanup_(freep) char *after = described(rig);
	assert_non_null(strstr(after, "checksum of the image is wrong"));
	assert_null(strstr(after, "pa55"));
	assert_null(strstr(after, "5i9"));
	assert_null(json_get_path_string(rig->record, "step.waitsFor"));
	rig_free(rig);
}

static void test_describe_a_silent_bmc(void **state)
{
	(void)state;
	struct rig *rig = rig_new(24);
	rig->machine->bmc->unreachable = true;
	ask(rig, WANT_REGISTER, NULL, false);
	advance(rig, 5 * USEC_PER_SEC);
	_cleanup_(json_freep) struct json *j = engine_describe(rig->engine, key);
	assert_string_equal(json_get_string(j, "step"), "verify");
	assert_string_equal(json_get_string(j, "waitsFor"), "the BMC to answer");
	assert_non_null(json_get_string(j, "deadline"));
	assert_string_equal(json_get_path_string(j, "bmc.endpoint"), "10.1.0.1:623");
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_FAILED);
	_cleanup_(json_freep) struct json *after = engine_describe(rig->engine, key);
	assert_true(json_get_int(json_get(after, "bmc"), "failures", 0) > 0);
	assert_non_null(json_get_path_string(after, "bmc.lastError"));
	assert_null(json_get_string(after, "step"));
	rig_free(rig);
}

/* Asks for everything for a long time: nothing may leave, and nothing boot. */
static void assert_held(struct rig *rig)
{
	struct sim_machine *m = rig->machine;
	unsigned writes = m->writes_begun, commands = m->bmc->requests;
	struct engine_hold hold;
	assert_true(engine_held(rig->engine, key, &hold));
	for (int i = 0; i < 60; i++) {
		ask(rig, WANT_DEPROVISION, NULL, true);
		ask(rig, WANT_PROVISION, &image_b, true);
		ask(rig, WANT_OFF, NULL, true);
		assert_int_equal(rig->result.outcome, PROV_RUNNING);
		advance(rig, USEC_PER_MIN);
	}
	assert_int_equal(m->writes_begun, writes);
	assert_int_equal(m->bmc->requests, commands);
	assert_int_equal(engine_held_count(rig->engine), 1);
}

static void count_stored(void *data, const struct err *err)
{
	assert_null(err);
	++*(unsigned *)data;
}

/* A copy from before the write is put back, and the hold that this brings. */
static void test_held(void **state)
{
	(void)state;
	struct rig *rig = rig_new(61);
	unsigned stored = 0;
	to_available(rig);
	_cleanup_(json_freep) struct json *before = json_dup(rig->record);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	assert_runs(rig, "aaaa");
	kill_engine(rig);
	json_free(rig->record);
	rig->record = TAKE_PTR(before);
	start_engine(rig);
	engine_load(rig->engine, key, uid, rig->record);
	assert_true(engine_hold(rig->engine, key, "0badcafe", "restored", count_stored, &stored));
	assert_held(rig);
	assert_int_equal(stored, 1);
	assert_runs(rig, "aaaa");
	/* Whoever comes next goes on with it; the same hold is not begun twice. */
	kill_engine(rig);
	start_engine(rig);
	engine_load(rig->engine, key, uid, rig->record);
	assert_false(engine_hold(rig->engine, key, "0badcafe", "restored", count_stored, &stored));
	assert_held(rig);
	/* The release counts when it is stored. */
	rig->storage_away = true;
	engine_release(rig->engine, key);
	assert_held(rig);
	rig->storage_away = false;
	advance(rig, USEC_PER_MIN);
	struct engine_hold hold;
	assert_false(engine_held(rig->engine, key, &hold));
	assert_int_equal(reach(rig, WANT_PROVISION, &image_b, false), PROV_DONE);
	assert_runs(rig, "bbbb");
	/* Also for the next process, which is told of the hold once more. */
	kill_engine(rig);
	start_engine(rig);
	engine_load(rig->engine, key, uid, rig->record);
	assert_false(engine_hold(rig->engine, key, "0badcafe", "restored", count_stored, &stored));
	assert_false(engine_held(rig->engine, key, &hold));
	assert_int_equal(reach(rig, WANT_PROVISION, &image_b, false), PROV_DONE);
	rig_free(rig);
}

/* A boot that is on record is none while the host is held, and its agent is not sent away. */
static void test_held_in_a_boot(void **state)
{
	(void)state;
	struct rig *rig = rig_new(62);
	unsigned stored = 0;
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	rig->world.faults.boot_fails = 1000; /* we play the agent */
	ask(rig, WANT_INSPECT, NULL, false);
	advance(rig, USEC_PER_MIN);
	assert_true(boots_ramdisk(rig));
	assert_true(engine_hold(rig->engine, key, "0badcafe", "restored", count_stored, &stored));
	assert_false(boots_ramdisk(rig));
	assert_int_equal(lookup(rig, rig->machine->mac, rig->machine->address).status, 503);
	assert_int_equal(lookup(rig, "52:54:00:ff:ff:ff", rig->machine->address).status, 503);
	assert_held(rig);
	rig_free(rig);
}

/* The API server was restored under a process that lives on. */
static void test_record_went_back(void **state)
{
	(void)state;
	struct rig *rig = rig_new(63);
	to_available(rig);
	_cleanup_(json_freep) struct json *before = json_dup(rig->record);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	assert_runs(rig, "aaaa");
	json_free(rig->record);
	rig->record = TAKE_PTR(before);
	rig->storage_conflict = true;
	ask(rig, WANT_DEPROVISION, NULL, false);
	advance(rig, USEC_PER_MIN);
	assert_false(engine_knows(rig->engine, key));
	ask(rig, WANT_DEPROVISION, NULL, false);
	assert_held(rig);
	assert_runs(rig, "aaaa");
	rig_free(rig);
}

static bool is_held(struct rig *rig)
{
	struct engine_hold hold;
	return engine_held(rig->engine, key, &hold);
}

/* Puts a record in place of the stored one, while no process runs. */
static void put_back(struct rig *rig, const struct json *record)
{
	struct json *copy = record ? json_dup(record) : NULL;
	kill_engine(rig);
	json_free(rig->record);
	rig->record = copy;
	start_engine(rig);
	engine_load(rig->engine, key, uid, rig->record);
}

static bool is_writing(const struct sim_machine *m)
{
	return m->writes_begun > m->writes_done;
}

/* A copy from before the boot is put back in the middle of a write; nothing but the agent speaks
 * against it. It works on; released, the host is not held by the same boot again. */
static void test_agent_of_a_later_boot(void **state)
{
	(void)state;
	struct rig *rig = rig_new(65);
	struct sim_machine *m = rig->machine;
	to_available(rig);
	assert_int_equal(reach(rig, WANT_OFF, NULL, false), PROV_DONE);
	_cleanup_(json_freep) struct json *before = json_dup(rig->record);
	for (ask(rig, WANT_PROVISION, &image_a, false); !is_writing(m);
	     ask(rig, WANT_PROVISION, &image_a, false))
		advance(rig, USEC_PER_SEC);
	put_back(rig, before);
	agent_beats(rig);
	assert_held(rig);
	assert_int_equal(m->writes_done, 1);
	put_back(rig, rig->record);
	agent_beats(rig);
	assert_true(is_held(rig));
	engine_release(rig->engine, key);
	advance(rig, USEC_PER_MIN);
	assert_false(is_held(rig));
	agent_beats(rig);
	assert_false(is_held(rig));
	assert_int_equal(reach(rig, WANT_PROVISION, &image_b, false), PROV_DONE);
	assert_runs(rig, "bbbb");
	rig_free(rig);
}

/* Tokens that prove nothing: of an earlier boot, of another host or key, and of any boot when the
 * record was lost. */
static void test_tokens_that_prove_nothing(void **state)
{
	static const uint8_t secret[32] = { 1, 2, 3 }, other[32] = { 1, 2, 4 };
	static const char nonce[] = "00112233445566778899aabbccddeeff";
	static const char url[] = "https://10.2.0.1:9999";
	const struct token_key ours = { secret, sizeof(secret) }, theirs = { other, sizeof(other) };
	char token[TOKEN_TEXT_MAX];
	(void)state;
	struct rig *rig = rig_new(66);
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	rig->world.faults.boot_fails = 1000;
	ask(rig, WANT_INSPECT, NULL, false);
	advance(rig, USEC_PER_MIN);
	int64_t last = json_get_int(rig->record, "lastBoot", 0);
	assert_true(last > 1767225600);
	assert_int_equal(json_get_int(json_get(rig->record, "boot"), "number", 0), last);
	token_make(&ours, uid, last, nonce, token); /* of two boots with one number */
	assert_int_equal(heartbeat(rig, token, url, "10.2.0.1"), 400);
	token_make(&ours, uid, last - 1, nonce, token);
	assert_int_equal(heartbeat(rig, token, url, "10.2.0.1"), 400);
	token_make(&ours, "22222222-2222-4222-8222-222222222222", last + 1, nonce, token);
	assert_int_equal(heartbeat(rig, token, url, "10.2.0.1"), 400);
	token_make(&theirs, uid, last + 1, nonce, token);
	assert_int_equal(heartbeat(rig, token, url, "10.2.0.1"), 400);
	token_make(&ours, uid, 0, nonce, token);
	assert_int_equal(heartbeat(rig, token, url, "10.2.0.1"), 400);
	assert_false(is_held(rig));
	token_make(&ours, uid, last + 1, nonce, token);
	put_back(rig, NULL);
	advance(rig, USEC_PER_MIN);
	assert_int_equal(heartbeat(rig, token, url, "10.2.0.1"), 400);
	assert_false(is_held(rig));
	rig_free(rig);
}

/* Also when the clock was ahead once. */
static void test_numbers_of_boots_rise(void **state)
{
	(void)state;
	struct rig *rig = rig_new(69);
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	advance(rig, USEC_PER_SEC);
	json_set_int(rig->record, "lastBoot", INT64_C(2000000000));
	put_back(rig, rig->record);
	assert_int_equal(reach(rig, WANT_INSPECT, NULL, false), PROV_DONE);
	assert_int_equal(json_get_int(json_get(rig->record, "boot"), "number", 0), 2000000001);
	rig_free(rig);
}

/* An operation that an earlier release began: its record has no numbers, and its agent a token of
 * the form of that time. What this release begins, an earlier one leaves alone. */
static void test_boot_of_an_earlier_release(void **state)
{
	(void)state;
	struct rig *rig = rig_new(67);
	struct sim_machine *m = rig->machine;
	const struct token_key k = { (const uint8_t[32]){ 1, 2, 3 }, 32 };
	char token[TOKEN_TEXT_MAX];
	to_available(rig);
	advance(rig, USEC_PER_MIN);
	assert_int_equal(json_get_int(rig->record, "schemaVersion", 0), 2); /* its ramdisk runs */
	for (ask(rig, WANT_PROVISION, &image_a, false); !is_writing(m);
	     ask(rig, WANT_PROVISION, &image_a, false))
		advance(rig, USEC_PER_SEC);
	assert_int_equal(json_get_int(rig->record, "schemaVersion", 0), 3);
	json_remove(rig->record, "plan");
	json_remove(rig->record, "lastBoot");
	json_remove(json_get_mut(rig->record, "boot"), "number");
	json_set_int(rig->record, "schemaVersion", 1);
	token_make(&k, uid, 0, json_get_path_string(rig->record, "boot.nonce"), token);
	str_replace(&m->token, token);
	_cleanup_(json_freep) struct json *earlier = json_dup(rig->record);
	put_back(rig, earlier);
	agent_beats(rig);
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	assert_runs(rig, "aaaa");
	assert_int_equal(m->writes_begun, 1);
	assert_int_equal(json_get_int(rig->record, "schemaVersion", 0), 1);
	assert_int_equal(reach(rig, WANT_DEPROVISION, NULL, false), PROV_DONE);
	assert_true(json_get_int(rig->record, "lastBoot", 0) > 0);
	assert_int_equal(json_get_int(rig->record, "schemaVersion", 0), 1); /* it rests */
	rig_free(rig);
}

/* Goes on until that step is on record as the one that runs. */
static void until_step(struct rig *rig, enum want want, const char *operation, const char *step)
{
	for (unsigned i = 0; i < 3600 * 100; i++) {
		if (i % 100 == 0)
			ask(rig, want, &image_a, false);
		if (streq(json_get_path_string(rig->record, "step.operation"), operation) &&
		    streq(json_get_path_string(rig->record, "step.name"), step))
			return;
		advance(rig, 10 * USEC_PER_MSEC);
	}
	fail_msg("%s never comes to \"%s\"", operation, step);
}

/* Before the operation: the host can begin it, and leaves out none of its steps. */
static void to_begin_of(struct rig *rig, enum want want)
{
	rig->host.boot_mode = BOOT_UEFI;
	if (want == WANT_INSPECT) {
		assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
		return;
	}
	to_available(rig);
	assert_int_equal(reach(rig, WANT_OFF, NULL, false), PROV_DONE);
	if (want == WANT_DEPROVISION)
		assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
}

static void check_step_of_elder(enum want want, const char *operation, const char *step)
{
	struct rig *rig = rig_new(70);
	struct sim_machine *m = rig->machine;
	to_begin_of(rig, want);
	unsigned boots = m->ramdisk_boots;
	until_step(rig, want, operation, step);
	_cleanup_(json_freep) struct json *elder = json_dup(rig->record);
	bool numbered = json_get(json_get(elder, "boot"), "number");
	assert_non_null(json_get(elder, "plan"));
	json_remove(elder, "plan");
	json_set_int(elder, "schemaVersion", numbered ? 2 : 1);
	put_back(rig, elder);
	if (reach(rig, want, &image_a, false) != PROV_DONE)
		fail_msg("%s at \"%s\": %s", operation, step, rig->result.error);
	assert_int_equal(m->ramdisk_boots, boots + 1);
	assert_int_equal(m->writes_begun, want == WANT_INSPECT ? 0 : 1);
	assert_int_equal(m->boot_entries, want == WANT_INSPECT ? 0 : 1);
	if (want == WANT_PROVISION)
		assert_runs(rig, "aaaa");
	if (want == WANT_DEPROVISION) {
		assert_int_equal(m->cleans, 2);
		assert_int_equal(m->bmc->power, BMC_POWER_OFF);
	}
	advance(rig, USEC_PER_SEC);
	assert_null(json_get(rig->record, "plan"));
	rig_free(rig);
}

/* Each step, begun by a release whose records have no plan. */
static void test_steps_of_an_earlier_release(void **state)
{
	(void)state;
	static const struct {
		enum want want;
		enum op_kind kind;
	} ops[] = { { WANT_INSPECT, OP_INSPECT },
		    { WANT_PROVISION, OP_DEPLOY },
		    { WANT_DEPROVISION, OP_UNDEPLOY } };
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		for (const struct plan_row *row = plan_rows(ops[i].kind); row->step; row++) {
			/* Those releases knew no other way to boot. */
			if (row->when != WHEN_ALWAYS && row->when != WHEN_NETWORK)
				continue;
			check_step_of_elder(ops[i].want, op_info(ops[i].kind)->name,
					    steps[row->step].name);
		}
}

/* The record's plan with these steps behind the one of that name. */
static struct json *with_steps(const struct json *record, const char *after, const char *more)
{
	struct json *changed = json_dup(record), *list = json_new_array();
	_cleanup_(json_freep) struct json *added = NULL;
	assert_int_equal(json_parse(more, strlen(more), &added, NULL), 0);
	json_for_each(s, json_get_path(record, "plan.steps")) {
		json_append(list, json_dup(s));
		if (!streq(json_get_string(s, "step"), after))
			continue;
		json_for_each(a, added) {
			json_append(list, json_dup(a));
		}
	}
	json_set(json_get_mut(changed, "plan"), "steps", list);
	return changed;
}

/* Steps that no code of ours knows, among those of a deployment: the agent gets them as they stand
 * in the plan, each once, although the process dies in one of them. */
static void test_other_steps_of_the_agent(void **state)
{
	(void)state;
	static const char more[] =
		"[{\"interface\":\"raid\",\"step\":\"create_configuration\",\"priority\":5,"
		"\"args\":{\"delete_existing\":true},\"command\":\"deploy.execute_deploy_step\"},"
		"{\"interface\":\"deploy\",\"step\":\"burnin_cpu\",\"command\":"
		"\"clean.execute_clean_step\"}]";
	struct rig *rig = rig_new(71);
	struct sim_machine *m = rig->machine;
	to_begin_of(rig, WANT_PROVISION);
	until_step(rig, WANT_PROVISION, "deploy", "wait for agent");
	_cleanup_(json_freep) struct json *changed = with_steps(rig->record, "choose disk", more);
	put_back(rig, changed);
	until_step(rig, WANT_PROVISION, "deploy", "create_configuration");
	while (!sim_machine_works(m))
		advance(rig, 100 * USEC_PER_MSEC);
	_cleanup_(json_freep) struct json *running = json_dup(rig->record);
	put_back(rig, running);
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	ask(rig, WANT_PROVISION, &image_a, false);
	_cleanup_(json_freep) struct json *told = engine_describe(rig->engine, key);
	assert_string_equal(json_get_string(told, "step"), "create_configuration");
	assert_int_equal(reach(rig, WANT_PROVISION, &image_a, false), PROV_DONE);
	assert_runs(rig, "aaaa");
	assert_string_equal(m->other.data, "raid create_configuration {\"delete_existing\":true}\n"
					   "deploy burnin_cpu none\n");
	assert_int_equal(m->writes_begun, 1);
	assert_int_equal(m->cleans, 1);
	rig_free(rig);
}

/* A plan that cannot be followed leaves machine and record alone. */
static void test_plan_unreadable(void **state)
{
	(void)state;
	struct rig *rig = rig_new(72);
	to_begin_of(rig, WANT_PROVISION);
	until_step(rig, WANT_PROVISION, "deploy", "wait for agent");
	_cleanup_(json_freep) struct json *changed = with_steps(
		rig->record, "choose disk", "[{\"interface\":\"power\",\"step\":\"explode\"}]");
	put_back(rig, changed);
	unsigned saves = rig->saves, requests = rig->machine->bmc->requests;
	ask(rig, WANT_PROVISION, &image_a, false);
	assert_int_equal(rig->result.outcome, PROV_FAILED);
	assert_non_null(strstr(rig->result.error, "\"explode\" is not known"));
	advance(rig, USEC_PER_HOUR);
	assert_int_equal(rig->saves, saves);
	assert_int_equal(rig->machine->bmc->requests, requests);
	assert_true(json_equal(rig->record, changed));
	rig_free(rig);
}

/* A host that has rested, off and available, is on when a process asks for the first time. */
static void test_on_against_its_record(void **state)
{
	(void)state;
	struct rig *rig = rig_new(64);
	struct engine_hold hold;
	to_available(rig);
	assert_int_equal(reach(rig, WANT_OFF, NULL, false), PROV_DONE);
	rig->host.rests_off = true;
	/* A kill soon after the command is no evidence, */
	rig->machine->bmc->power = BMC_POWER_ON;
	load_again(rig);
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	assert_false(engine_held(rig->engine, key, &hold));
	/* nor is a change while the process runs, nor a host that shows "on". */
	rig->machine->bmc->power = BMC_POWER_OFF;
	advance(rig, USEC_PER_HOUR);
	rig->machine->bmc->power = BMC_POWER_ON;
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	assert_false(engine_held(rig->engine, key, &hold));
	rig->host.rests_off = false;
	load_again(rig);
	assert_int_equal(reach(rig, WANT_REGISTER, NULL, false), PROV_DONE);
	assert_false(engine_held(rig->engine, key, &hold));
	rig->host.rests_off = true;
	load_again(rig);
	advance(rig, USEC_PER_MIN);
	ask(rig, WANT_REGISTER, NULL, false);
	assert_held(rig);
	engine_release(rig->engine, key);
	advance(rig, USEC_PER_MIN);
	assert_int_equal(reach(rig, WANT_OFF, NULL, false), PROV_DONE);
	assert_false(engine_held(rig->engine, key, &hold));
	rig_free(rig);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_whole_life),
	cmocka_unit_test(test_uefi_entry),
	cmocka_unit_test(test_image_places),
	cmocka_unit_test(test_wrong_password),
	cmocka_unit_test(test_password_changed_at_the_bmc),
	cmocka_unit_test(test_pinned_certificate),
	cmocka_unit_test(test_main_job_by_media),
	cmocka_unit_test(test_media_killed_all_along),
	cmocka_unit_test(test_slot_of_a_person),
	cmocka_unit_test(test_who_reads_a_medium),
	cmocka_unit_test(test_no_token_beside_the_medium),
	cmocka_unit_test(test_files_of_media_replaced),
	cmocka_unit_test(test_network_data_on_the_medium),
	cmocka_unit_test(test_medium_of_an_aborted_boot),
	cmocka_unit_test(test_no_service_of_media),
	cmocka_unit_test(test_secure_boot),
	cmocka_unit_test(test_secure_boot_by_network),
	cmocka_unit_test(test_another_machine),
	cmocka_unit_test(test_password_changed_in_flight),
	cmocka_unit_test(test_password_in_the_address),
	cmocka_unit_test(test_password_in_the_image),
	cmocka_unit_test(test_other_secret_is_another_image),
	cmocka_unit_test(test_image_of_an_earlier_release),
	cmocka_unit_test(test_image_of_another_installation),
	cmocka_unit_test(test_silent_bmc_heals),
	cmocka_unit_test(test_no_boot_mac),
	cmocka_unit_test(test_no_boot_mac_for_power_only),
	cmocka_unit_test(test_mac_of_another),
	cmocka_unit_test(test_ramdisk_never_reports),
	cmocka_unit_test(test_deleted_in_inspection),
	cmocka_unit_test(test_write_fails),
	cmocka_unit_test(test_other_image_after_failure),
	cmocka_unit_test(test_agent_dies_in_write),
	cmocka_unit_test(test_no_word_of_the_command),
	cmocka_unit_test(test_reset_in_deprovisioning),
	cmocka_unit_test(test_slow_ramdisk),
	cmocka_unit_test(test_agent_busy_for_good),
	cmocka_unit_test(test_progress_is_refused),
	cmocka_unit_test(test_image_replaced_in_write),
	cmocka_unit_test(test_image_changed_in_write),
	cmocka_unit_test(test_images_refused),
	cmocka_unit_test(test_user_data_bytes),
	cmocka_unit_test(test_image_info),
	cmocka_unit_test(test_disk_is_told),
	cmocka_unit_test(test_no_disk_fits),
	cmocka_unit_test(test_stock_agent_is_not_asked),
	cmocka_unit_test(test_storage_away),
	cmocka_unit_test(test_storage_goes_away),
	cmocka_unit_test(test_storage_conflict),
	cmocka_unit_test(test_capacity),
	cmocka_unit_test(test_ramdisk_only_on_record),
	cmocka_unit_test(test_ramdisk_while_a_record_is_saved),
	cmocka_unit_test(test_killed_all_along),
	cmocka_unit_test(test_lossy_world),
	cmocka_unit_test(test_power),
	cmocka_unit_test(test_inspection_disabled_in_flight),
	cmocka_unit_test(test_status_wiped),
	cmocka_unit_test(test_error_is_not_rebuilt),
	cmocka_unit_test(test_record_unreadable),
	cmocka_unit_test(test_record_of_another),
	cmocka_unit_test(test_adopted_is_not_clean),
	cmocka_unit_test(test_boot_mac_corrected),
	cmocka_unit_test(test_patience_is_told),
	cmocka_unit_test(test_no_patience_with_a_host_that_leaves),
	cmocka_unit_test(test_power_is_told_when_it_has_changed),
	cmocka_unit_test(test_boot_mac_corrected_in_the_wait),
	cmocka_unit_test(test_answer_to_an_earlier_question),
	cmocka_unit_test(test_power_refused),
	cmocka_unit_test(test_no_mac_address),
	cmocka_unit_test(test_lookup_rules),
	cmocka_unit_test(test_token_is_on_record_first),
	cmocka_unit_test(test_inspection_is_held),
	cmocka_unit_test(test_leads_no_more),
	cmocka_unit_test(test_unknown_before_registration),
	cmocka_unit_test(test_lookup_before_registration),
	cmocka_unit_test(test_record_of_another_host),
	cmocka_unit_test(test_record_from_before_the_write),
	cmocka_unit_test(test_record_missing),
	cmocka_unit_test(test_second_machine_ends_the_operation),
	cmocka_unit_test(test_agents_come_from_their_address),
	cmocka_unit_test(test_nics_of_stored_inventory),
	cmocka_unit_test(test_nics_of_the_next_inventory),
	cmocka_unit_test(test_inventory_is_bounded),
	cmocka_unit_test(test_inventory_again_in_a_deployment),
	cmocka_unit_test(test_inventory_only_when_inspecting),
	cmocka_unit_test(test_callback_addresses),
	cmocka_unit_test(test_token_of_another_address),
	cmocka_unit_test(test_heartbeat_rules),
	cmocka_unit_test(test_network_data_problems),
	cmocka_unit_test(test_first_lookup_by_name),
	cmocka_unit_test(test_moved_with_its_ramdisk),
	cmocka_unit_test(test_fixed_address),
	cmocka_unit_test(test_wrong_mac_is_told),
	cmocka_unit_test(test_boot_file_fails),
	cmocka_unit_test(test_address_in_several_records),
	cmocka_unit_test(test_no_walk_over_all_hosts),
	cmocka_unit_test(test_only_the_boot_mac_is_served),
	cmocka_unit_test(test_progress_is_stored_rarely),
	cmocka_unit_test(test_trouble_of_the_read),
	cmocka_unit_test(test_progress_ends_with_its_operation),
	cmocka_unit_test(test_describe),
	cmocka_unit_test(test_describe_a_silent_bmc),
	cmocka_unit_test(test_held),
	cmocka_unit_test(test_held_in_a_boot),
	cmocka_unit_test(test_record_went_back),
	cmocka_unit_test(test_agent_of_a_later_boot),
	cmocka_unit_test(test_tokens_that_prove_nothing),
	cmocka_unit_test(test_numbers_of_boots_rise),
	cmocka_unit_test(test_boot_of_an_earlier_release),
	cmocka_unit_test(test_steps_of_an_earlier_release),
	cmocka_unit_test(test_other_steps_of_the_agent),
	cmocka_unit_test(test_plan_unreadable),
	cmocka_unit_test(test_on_against_its_record),
	cmocka_unit_test(test_each_refusal_is_logged),
	cmocka_unit_test(test_boot_files_fail_in_turns),
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
