/* The deterministic simulation: the real controllers, the real engine and the real embedded API
 * server on the virtual clock, in a world of simulated machines. Hosts are registered, provisioned,
 * given another image, and deleted, while messages get lost and the process dies. Each seed is one
 * run; the same seed is the same run.
 *
 * usage: sim [--seeds N] [--first N] [--hosts N] [--verbose]
 *
 * What must hold is checked by the machines (sim/world.h) and by a recorder that watches the API
 * from outside:
 *  - a ramdisk boots only while the API shows a state that asks for it (state before hardware);
 *  - no image is written over a disk that was not cleaned; without faults each image is written
 * once;
 *  - every host reaches its end, however often the process died;
 *  - in a crowd of hosts, no callback walks past more than WALK_MAX entries of maps, so that what a
 *    packet or an object costs does not grow with their number. */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/apiserver.h"
#include "apiserver/transport.h"
#include "base/log.h"
#include "base/mem.h"
#include "ctrl/host/controller.h"
#include "ctrl/resources.h"
#include "prov/engine.h"
#include "sim/world.h"
#include "yaml/yaml_json.h"

static const char image_a[] = "http://10.0.0.1/a.raw", image_b[] = "http://10.0.0.1/b.raw";

enum {
	CROWD = 10, /* times as many hosts, in one of CROWD_SEEDS seeds */
	CROWD_SEEDS = 50,
	WALK_MAX = 20, /* entries of maps in one callback; a crowd is longer */
	WALKS_MAX = 8, /* longer ones in one life: four lists of the controllers, one of the user */
};

/* --- one life of the process
 * ------------------------------------------------------------------------------ */

struct process {
	struct kube_transport *transport;
	struct kube_client *client, *event_client;
	struct kube_recorder *recorder;
	struct host_controller *controller;
	struct provisioner *prov;
};

struct sim {
	uint64_t seed;
	struct loop *loop;
	struct apiserver *api;
	struct sim_world world;
	unsigned hosts;
	struct process *process; /* NULL: dead */
	struct prov_env real_env;
	struct timer death, birth;
	usec_t lifetime; /* mean; 0: it does not die */
	bool die_at_saves;
	unsigned deaths, walks; /* walks: long ones of this life */
	/* the person at the keyboard */
	struct kube_transport *user_transport;
	struct kube_client *user;
	struct kube_informer *watch;
	unsigned pending; /* requests of the user */
	char failed[512];
};

static bool verbose;

static void fail(struct sim *s, const char *text)
{
	if (!*s->failed)
		snprintf(s->failed, sizeof(s->failed), "%s", text);
}

static void plan_death(struct sim *s)
{
	if (s->lifetime)
		timer_set_in(&s->death,
			     loop_random_below(s->loop, 2 * s->lifetime) + USEC_PER_MSEC);
}

static void on_death(void *data);

/* Death can come between the order to store a step and its answer: the worst moment for whoever
 * comes after. */
static void save(void *data, const char *key, const char *uid, const struct json *record,
		 prov_saved_fn done, void *done_data)
{
	struct sim *s = data;
	s->real_env.save(s->real_env.data, key, uid, record, done, done_data);
	if (s->die_at_saves && loop_random_below(s->loop, 12) == 0)
		timer_set_in(&s->death, loop_random_below(s->loop, 20 * USEC_PER_MSEC));
}

static void kick(void *data, const char *key)
{
	struct sim *s = data;
	s->real_env.kick(s->real_env.data, key);
}

static void event(void *data, const char *key, bool warning, const char *reason,
		  const char *message)
{
	struct sim *s = data;
	s->real_env.event(s->real_env.data, key, warning, reason, message);
}

static struct kube_transport *transport(struct sim *s)
{
	return apiserver_transport_new(&(struct apiserver_transport_options){
		.loop = s->loop, .server_loop = s->loop, .server = s->api });
}

/* All may be done; but each effect says of which host it is, or that it is of none. */
static bool may_act(void *data, const char *key)
{
	if (*key && !str_has_prefix(key, "default/node-"))
		sim_world_break(data, "the fence is asked for a host \"%s\"", key);
	return true;
}

static bool may_act_on_bmc(void *data, const char *key)
{
	if (!*key)
		sim_world_break(data, "a request to a BMC names no host for the fence");
	return may_act(data, key);
}

static struct kube_client *client(struct sim *s, struct kube_transport *transport)
{
	return kube_client_new(&(struct kube_client_options){ .loop = s->loop,
							      .transport = transport,
							      .qps = -1,
							      .fence = { may_act, &s->world } });
}

static void birth(void *data)
{
	static const uint8_t secret[32] = { 7 };
	struct sim *s = data;
	struct process *p = s->process = xcalloc(1, sizeof(*p));
	p->transport = transport(s);
	p->client = client(s, p->transport);
	p->event_client = client(s, p->transport);
	p->recorder = kube_recorder_new(
		&(struct kube_recorder_options){ .client = p->event_client,
						 .component = "sim",
						 .reporting_controller = "ingot.dev/sim" });
	p->controller = host_controller_new(
		&(struct host_controller_options){ .loop = s->loop,
						   .client = p->client,
						   .recorder = p->recorder,
						   .fence = { may_act, &s->world },
						   .max_provisioning_retries = 0 });
	host_controller_env(p->controller, &s->real_env);
	struct engine_options o = {
		.loop = s->loop,
		.drivers = &s->world.drivers,
		.link = &s->world.link,
		.media = &s->world.media,
		.secret = secret,
		.secret_len = sizeof(secret),
	};
	const struct prov_env env = {
		.save = save, .kick = kick, .event = event, .data = s, .fence = s->real_env.fence
	};
	bmc_driver_set_fence(s->world.driver, &(struct fence){ may_act_on_bmc, &s->world });
	p->prov = prov_engine_new(&o, &env);
	s->world.engine = prov_engine_get(p->prov);
	host_controller_start(p->controller, p->prov);
	plan_death(s);
}

static void die(struct sim *s)
{
	struct process *p = s->process;
	if (!p)
		return;
	s->world.engine = NULL;
	s->process = NULL;
	s->walks = 0;
	timer_stop(&s->death);
	prov_engine_free(p->prov);
	host_controller_free(p->controller);
	kube_recorder_free(p->recorder);
	kube_client_free(p->event_client);
	kube_client_free(p->client);
	p->transport->ops->free(p->transport);
	free(p);
}

static void on_death(void *data)
{
	struct sim *s = data;
	s->deaths++;
	die(s);
	timer_set_in(&s->birth, loop_random_below(s->loop, 4 * USEC_PER_SEC));
}

/* --- the user
 * -------------------------------------------------------------------------------------------------
 */

static void on_done(void *data, const struct err *err, struct json **answer)
{
	struct sim *s = data;
	(void)answer;
	s->pending--;
	if (err)
		fail(s, err->text);
}

static void settle(struct sim *s)
{
	for (int i = 0; i < 1000 && s->pending; i++)
		loop_run_until(s->loop, loop_now(s->loop) + 10 * USEC_PER_MSEC);
	if (s->pending)
		fail(s, "the API server did not answer the user");
}

static void create(struct sim *s, const struct kube_resource *resource, const char *text)
{
	_cleanup_(json_freep) struct json *j = NULL;
	struct err err = { 0 };
	if (json_parse(text, strlen(text), &j, &err) < 0) {
		fail(s, err.text);
		return;
	}
	s->pending++;
	kube_create(s->user, resource, j, on_done, s);
}

/* One in three by each way of booting. */
static char *address_of(unsigned n, const char **ret_mode)
{
	static const char *const schemes[] = { "ipmi", "redfish-virtualmedia", "redfish-uefihttp" };
	*ret_mode = n % ARRAY_SIZE(schemes) == 0 ? "legacy" : "UEFI";
	return xasprintf("%s://10.1.%u.%u", schemes[n % ARRAY_SIZE(schemes)], n >> 8, n & 255);
}

static void create_host(struct sim *s, unsigned n)
{
	const char *mode;
	_cleanup_(freep) char *address = address_of(n, &mode);
	char text[1024];
	snprintf(
		text, sizeof(text),
		"{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"bmc-%u\",\"namespace\":\"default\"},"
		"\"stringData\":{\"username\":\"admin\",\"password\":\"secret\"}}",
		n);
	create(s, &resource_secret, text);
	snprintf(
		text, sizeof(text),
		"{\"apiVersion\":\"metal3.io/v1alpha1\",\"kind\":\"BareMetalHost\",\"metadata\":{\"name\":\"node-%u\","
		"\"namespace\":\"default\"},\"spec\":{\"online\":true,\"bootMACAddress\":\"52:54:00:00:%02x:%02x\","
		"\"bootMode\":\"%s\",\"bmc\":{\"address\":\"%s\",\"credentialsName\":\"bmc-%u\"}}}",
		n, n >> 8, n & 255, mode, address, n);
	create(s, &resource_host, text);
}

static void patch_image(struct sim *s, unsigned n, const char *url, const char *checksum)
{
	char name[32];
	_cleanup_(json_freep) struct json *patch = json_new_object();
	struct json *spec = json_make_object(patch, "spec");
	snprintf(name, sizeof(name), "node-%u", n);
	if (url) {
		struct json *image = json_make_object(spec, "image");
		json_set_string(image, "url", url);
		json_set_string(image, "checksum", checksum);
	} else {
		json_set(spec, "image", json_new_null());
	}
	s->pending++;
	kube_patch(s->user, &resource_host, "default", name, NULL, KUBE_PATCH_MERGE, patch, on_done,
		   s);
}

static void delete_host(struct sim *s, unsigned n)
{
	char name[32];
	snprintf(name, sizeof(name), "node-%u", n);
	s->pending++;
	kube_delete(s->user, &resource_host, "default", name, NULL, on_done, s);
}

static char *state_of(struct sim *s, unsigned n)
{
	char name[32];
	snprintf(name, sizeof(name), "node-%u", n);
	const struct kube_object *o = kube_informer_get(s->watch, "default", name);
	if (!o)
		return xstrdup("gone");
	_cleanup_(json_freep) struct json *j = kube_object_parse(o);
	return xstrdup(str_or(json_get_path_string(j, "status.provisioning.state"), ""));
}

static char *image_of(struct sim *s, unsigned n)
{
	char name[32];
	snprintf(name, sizeof(name), "node-%u", n);
	const struct kube_object *o = kube_informer_get(s->watch, "default", name);
	_cleanup_(json_freep) struct json *j = o ? kube_object_parse(o) : NULL;
	return xstrdup(str_or(json_get_path_string(j, "status.provisioning.image.url"), ""));
}

static bool all_in(struct sim *s, const char *state, const char *image)
{
	for (unsigned n = 1; n <= s->hosts; n++) {
		_cleanup_(freep) char *now = state_of(s, n), *url = image_of(s, n);
		if (!streq(now, state) || (image && !streq(url, image)))
			return false;
	}
	return true;
}

static int print_object(void *data, struct kube_object *o)
{
	(void)data;
	_cleanup_(freep) char *text = kube_object_text(o);
	fprintf(stderr, "%s\n", text);
	return 0;
}

static void wait_for(struct sim *s, const char *state, const char *image)
{
	usec_t limit = loop_now(s->loop) + 24 * USEC_PER_HOUR;
	while (!*s->failed && !all_in(s, state, image) && !*s->world.broken) {
		loop_run_until(s->loop, loop_now(s->loop) + 5 * USEC_PER_SEC);
		if (loop_now(s->loop) < limit)
			continue;
		_cleanup_(freep) char *now = state_of(s, 1);
		_cleanup_(freep) char *text = xasprintf(
			"not all hosts became \"%s\" in a day; host 1 is \"%s\"", state, now);
		fail(s, text);
		if (verbose)
			kube_informer_each(s->watch, print_object, NULL);
	}
}

/* --- the oracle of "state before hardware"
 * ---------------------------------------------------------------------- */

static void check_boot(struct sim_world *w, struct sim_machine *m)
{
	struct sim *s = container_of(w, struct sim, world);
	unsigned n = 0, high = 0;
	sscanf(m->mac, "52:54:00:00:%x:%x", &high, &n);
	_cleanup_(freep) char *state = state_of(s, high << 8 | n);
	static const char *const asking[] = { "inspecting", "provisioning", "deprovisioning" };
	for (size_t i = 0; i < ARRAY_SIZE(asking); i++)
		if (streq(state, asking[i]))
			return;
	sim_world_break(w, "%s booted a ramdisk while the API showed \"%s\"", m->mac, state);
}

/* --- one run
 * --------------------------------------------------------------------------------------------------------
 */

static char **load_crds(void)
{
	struct dirent **names;
	int count = scandir("crds", &names, NULL, alphasort);
	char **list = xcalloc((size_t)(count < 0 ? 0 : count) + 1, sizeof(*list));
	size_t used = 0;
	for (int i = 0; i < count; i++) {
		char path[300], buf[4096];
		snprintf(path, sizeof(path), "crds/%s", names[i]->d_name);
		FILE *f = str_has_suffix(path, ".yaml") ? fopen(path, "re") : NULL;
		_cleanup_(strbuf_done) struct strbuf yaml = { 0 }, json = { 0 };
		for (size_t n; f && (n = fread(buf, 1, sizeof(buf), f)) > 0;)
			strbuf_add(&yaml, buf, n);
		if (f && yaml_to_json(yaml.data, yaml.len, &json, NULL) == 0)
			list[used++] = strbuf_take(&json, NULL);
		if (f)
			fclose(f);
		free(names[i]);
	}
	free(names);
	return list;
}

/* On a virtual loop a microsecond is an entry of a map. The process may go over all hosts when it
 * has read the lists, and not because of a packet or an object. */
static void on_slow(void *data, const char *name, usec_t walked)
{
	struct sim *s = data;
	_cleanup_(freep) char *text = xasprintf("%s walks over %llu entries, and is not the first",
						name, (unsigned long long)walked);
	if (s->process && ++s->walks > WALKS_MAX)
		fail(s, text);
}

static usec_t log_clock(void *data)
{
	return loop_wall(data);
}

static void start(struct sim *s, char **crds)
{
	struct err err = { 0 };
	s->loop = loop_new_virtual(s->seed, UINT64_C(1767225600) * USEC_PER_SEC);
	log_set_clock(log_clock, s->loop);
	loop_set_slow_limit(s->loop, WALK_MAX, on_slow, s);
	if (apiserver_new(&(struct apiserver_options){ .loop = s->loop,
						       .path = ":memory:",
						       .crds = (const char *const *)crds },
			  &s->api, &err) < 0) {
		fprintf(stderr, "sim: %s\n", err.text);
		exit(1);
	}
	sim_world_init(&s->world, s->loop);
	s->world.on_ramdisk = check_boot;
	for (unsigned n = 1; n <= s->hosts; n++) {
		struct sim_machine *m = sim_world_add(&s->world, n);
		str_replace(&m->bmc->username, "admin");
		str_replace(&m->bmc->password, "secret");
	}
	timer_init(&s->death, s->loop, "death", on_death, s);
	timer_init(&s->birth, s->loop, "birth", birth, s);
	s->user_transport = transport(s);
	s->user = client(s, s->user_transport);
	s->watch = kube_informer_new(s->user, &(struct kube_informer_options){
						      .watch = { .resource = &resource_host } });
	kube_informer_start(s->watch);
	birth(s);
}

static void stop(struct sim *s)
{
	die(s);
	timer_stop(&s->birth);
	kube_informer_free(s->watch);
	kube_client_free(s->user);
	s->user_transport->ops->free(s->user_transport);
	loop_run_until(s->loop, loop_now(s->loop) + USEC_PER_HOUR);
	sim_world_done(&s->world);
	apiserver_free(s->api);
	loop_free(s->loop);
}

/* What each seed tries, from quiet to wild. */
static void set_weather(struct sim *s)
{
	static const usec_t lifetimes[] = { 0, 600 * USEC_PER_SEC, 90 * USEC_PER_SEC,
					    25 * USEC_PER_SEC };
	s->lifetime = lifetimes[s->seed % ARRAY_SIZE(lifetimes)];
	s->die_at_saves = s->seed % 3 == 0;
	if (s->seed % 5 != 0)
		return;
	s->world.faults = (struct sim_faults){ .call_lost = 50,
					       .answer_lost = 50,
					       .boot_fails = 50,
					       .write_fails = 100,
					       .agent_dies = 50 };
	list_for_each(l, &s->world.machines)
		list_entry(l, struct sim_machine, link)->bmc->faults = (struct fake_faults){
			.silent = 20, .busy = 30, .refused = 20, .garbage = 10, .ignored = 20
		};
}

static void clear_weather(struct sim *s)
{
	s->world.faults = (struct sim_faults){ 0 };
	list_for_each(l, &s->world.machines)
		list_entry(l, struct sim_machine, link)->bmc->faults = (struct fake_faults){ 0 };
	s->lifetime = 0;
	s->die_at_saves = false;
	timer_stop(&s->death);
}

static void check_images(struct sim *s, const char *checksum, unsigned writes)
{
	bool calm = s->seed % 5 != 0;
	loop_run_until(s->loop, loop_now(s->loop) + 5 * USEC_PER_MIN);
	list_for_each(l, &s->world.machines) {
		struct sim_machine *m = list_entry(l, struct sim_machine, link);
		if (m->run != SIM_RUN_OS || !streq(m->image, checksum))
			sim_world_break(&s->world, "%s does not run image %s", m->mac, checksum);
		if (calm && m->writes_begun != writes)
			sim_world_break(&s->world, "%s: %u writes begun instead of %u", m->mac,
					m->writes_begun, writes);
	}
}

static void live(struct sim *s)
{
	set_weather(s);
	plan_death(s);
	for (unsigned n = 1; n <= s->hosts; n++)
		create_host(s, n);
	settle(s);
	wait_for(s, "available", NULL);
	for (unsigned n = 1; n <= s->hosts; n++)
		patch_image(s, n, image_a, "aaaa");
	settle(s);
	wait_for(s, "provisioned", image_a);
	check_images(s, "aaaa", 1);
	for (unsigned n = 1; n <= s->hosts; n++)
		patch_image(s, n, image_b, "bbbb");
	settle(s);
	wait_for(s, "provisioned", image_b);
	clear_weather(s);
	check_images(s, "bbbb", 2);
	for (unsigned n = 1; n <= s->hosts; n++)
		delete_host(s, n);
	settle(s);
	wait_for(s, "gone", NULL);
	list_for_each(l, &s->world.machines) {
		struct sim_machine *m = list_entry(l, struct sim_machine, link);
		if (m->run != SIM_RUN_OFF || m->disk != SIM_DISK_BLANK)
			sim_world_break(&s->world, "%s was not left off and clean", m->mac);
	}
}

static bool run_seed(uint64_t seed, unsigned hosts, char **crds)
{
	bool crowd = seed % CROWD_SEEDS == 17;
	struct sim s = { .seed = seed, .hosts = crowd ? CROWD * hosts : hosts };
	start(&s, crds);
	live(&s);
	const char *why = *s.failed ? s.failed : s.world.broken;
	if (*why)
		printf("# seed %llu: %s\n", (unsigned long long)seed, why);
	else if (verbose)
		printf("# seed %llu: %u deaths, %.1f virtual hours\n", (unsigned long long)seed,
		       s.deaths, (double)loop_now(s.loop) / (double)USEC_PER_HOUR);
	bool good = !*why;
	stop(&s);
	return good;
}

static void quiet(void *data, enum log_level level, const char *line)
{
	(void)data, (void)level;
	if (verbose)
		fprintf(stderr, "%s\n", line);
}

int main(int argc, char **argv)
{
	unsigned long seeds = 20, first = 1, hosts = 3;
	for (int i = 1; i < argc; i++) {
		if (streq(argv[i], "--verbose"))
			verbose = true;
		else if (i + 1 < argc && streq(argv[i], "--seeds"))
			seeds = strtoul(argv[++i], NULL, 10);
		else if (i + 1 < argc && streq(argv[i], "--first"))
			first = strtoul(argv[++i], NULL, 10);
		else if (i + 1 < argc && streq(argv[i], "--hosts"))
			hosts = strtoul(argv[++i], NULL, 10);
	}
	log_set_sink(quiet, NULL);
	char **crds = load_crds();
	bool all = true;
	printf("1..%lu\n", seeds);
	for (unsigned long seed = first; seed < first + seeds; seed++) {
		bool good = run_seed(seed, (unsigned)hosts, crds);
		printf("%s %lu - seed %lu\n", good ? "ok" : "not ok", seed - first + 1, seed);
		fflush(stdout);
		all &= good;
	}
	for (char **c = crds; *c; c++)
		free(*c);
	free(crds);
	return all ? 0 : 1;
}
