/* A second provisioner below the same controllers: whole lives of hosts with neither engine nor BMC
 * nor agent, on the embedded API server and the virtual clock. What it is made of is prov/prov.h
 * alone, so that anything that the controllers take for granted beyond it shows here.
 *
 * It has machines, which live on when the process dies, and hosts, which it knows from their
 * records as the interface promises. Work takes time, is written down before it begins, and ends
 * with a kick. Held against it: what the API showed when a machine was touched, and how often it
 * was. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/apiserver.h"
#include "apiserver/transport.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "ctrl/host/controller.h"
#include "ctrl/resources.h"
#include "yaml/yaml_json.h"

enum { HOSTS = 3 };

enum work { REST, REGISTERING, INSPECTING, DEPLOYING, CLEANING, SWITCHING };

static const usec_t work_takes[] = { [REGISTERING] = 2 * USEC_PER_SEC,
				     [INSPECTING] = 3 * USEC_PER_MIN,
				     [DEPLOYING] = 10 * USEC_PER_MIN,
				     [CLEANING] = USEC_PER_MIN,
				     [SWITCHING] = 5 * USEC_PER_SEC };

struct machine {
	bool on;
	char image[64]; /* "": blank */
	unsigned inspections, writes, cleanings;
};

struct rig;

struct node {
	struct rig *rig;
	struct machine *machine;
	char *key, *uid;
	enum work work;
	bool verified, inspected, target_on;
	bool saving, save_again; /* one at a time */
	char want[64];		 /* the image of the deployment under way */
	char deployed[64];	 /* by the record */
	char *hold;
	struct timer timer;
};

struct rig {
	struct provisioner base;
	struct prov_env env;
	struct loop *loop;
	struct apiserver *api;
	struct kube_transport *transport, *user_transport;
	struct kube_client *client, *user;
	struct kube_recorder *recorder;
	struct kube_informer *watch;
	struct host_controller *controller; /* NULL: dead */
	struct map nodes;		    /* key → struct node, of this life */
	struct machine machines[HOSTS + 1];
	struct json *inventory;
	const char *hold_id;
	unsigned held, notes, fail_writes, lives;
	struct timer death;
	usec_t lifetime; /* 0: it does not die */
};

/* --- what the API shows ----------------------------------------------------------------------- */

static struct json *shown(const struct rig *rig, const char *key)
{
	const struct kube_object *o = kube_informer_get_key(rig->watch, key);
	return o ? kube_object_parse(o) : NULL;
}

static void assert_shown(const struct rig *rig, const char *key, const char *state)
{
	_cleanup_(json_freep) struct json *j = shown(rig, key);
	assert_string_equal(str_or(json_get_path_string(j, "status.provisioning.state"), ""),
			    state);
}

/* --- nodes and their records ------------------------------------------------------------------ */

static struct rig *rig_of(struct provisioner *p)
{
	return container_of(p, struct rig, base);
}

static struct node *find(const struct provisioner *p, const char *key)
{
	return map_get(&container_of(p, const struct rig, base)->nodes, key);
}

static void node_free(struct node *n)
{
	timer_stop(&n->timer);
	free(n->key), free(n->uid), free(n->hold);
	free(n);
}

struct ticket {
	struct rig *rig;
	char *key;
	unsigned life;
	prov_saved_fn done;
	void *data;
};

static void save(struct node *n, prov_saved_fn done, void *data);

static void saved(struct node *n, const struct err *err)
{
	struct rig *rig = n->rig;
	n->saving = false;
	if (err) {
		_cleanup_(freep) char *key = xstrdup(n->key);
		assert_int_equal(err->kind, ERR_CONFLICT);
		node_free(map_remove(&rig->nodes, key)); /* to be loaded again */
		rig->env.kick(rig->env.data, key);
	} else if (n->save_again) {
		save(n, NULL, NULL);
	} else if (n->work != REST) {
		timer_set_in(&n->timer, work_takes[n->work]); /* it begins now */
	}
}

static void on_saved(void *data, const struct err *err)
{
	struct ticket *t = data;
	struct node *n = t->life == t->rig->lives ? map_get(&t->rig->nodes, t->key) : NULL;
	if (n)
		saved(n, err);
	if (t->done)
		t->done(t->data, err);
	free(t->key);
	free(t);
}

static struct json *record_of(const struct node *n)
{
	struct json *record = json_new_object();
	json_set_int(record, "schemaVersion", 1);
	json_set_string(record, "hostUID", n->uid);
	json_set_string(json_make_object(record, "image"), "url", *n->want ? n->want : n->deployed);
	json_set_string(json_make_object(record, "node"), "state",
			*n->deployed ? "active" : "enroll");
	if (n->hold)
		json_set_string(json_make_object(record, "hold"), "id", n->hold);
	else
		json_set(record, "hold", json_new_null());
	return record;
}

static void save(struct node *n, prov_saved_fn done, void *data)
{
	n->save_again = n->saving;
	if (n->saving) {
		assert_null(done);
		return;
	}
	struct ticket *t = xmalloc(sizeof(*t));
	*t = (struct ticket){ n->rig, xstrdup(n->key), n->rig->lives, done, data };
	_cleanup_(json_freep) struct json *record = record_of(n);
	n->saving = true;
	n->rig->env.save(n->rig->env.data, n->key, n->uid, record, on_saved, t);
}

static void work_ends(void *data)
{
	struct node *n = data;
	struct machine *m = n->machine;
	enum work work = n->work;
	n->work = REST;
	switch (work) {
	case REST:
		break;
	case REGISTERING:
		n->verified = true;
		break;
	case INSPECTING:
		n->inspected = true;
		break;
	case DEPLOYING:
		m->on = true;
		memcpy(m->image, n->want, sizeof(m->image));
		memcpy(n->deployed, n->want, sizeof(n->deployed));
		*n->want = '\0';
		save(n, NULL, NULL);
		break;
	case CLEANING:
		m->on = false;
		*m->image = *n->deployed = '\0';
		save(n, NULL, NULL);
		break;
	case SWITCHING:
		m->on = n->target_on;
		break;
	}
	n->rig->env.kick(n->rig->env.data, n->key);
}

static void load(struct provisioner *p, const char *key, const char *uid, const struct json *record)
{
	struct rig *rig = rig_of(p);
	struct node *n = find(p, key);
	if (n && streq(n->uid, uid))
		return;
	if (n)
		node_free(map_remove(&rig->nodes, key));
	n = xcalloc(1, sizeof(*n));
	*n = (struct node){ .rig = rig, .key = xstrdup(key), .uid = xstrdup(uid) };
	n->machine = &rig->machines[strtoul(strrchr(key, '-') + 1, NULL, 10)];
	timer_init(&n->timer, rig->loop, "work", work_ends, n);
	map_set(&rig->nodes, key, n);
	if (!record || !streq(json_get_string(record, "hostUID"), uid))
		return;
	bool active = streq(json_get_path_string(record, "node.state"), "active");
	snprintf(active ? n->deployed : n->want, sizeof(n->want), "%s",
		 str_or(json_get_path_string(record, "image.url"), ""));
	const char *hold = json_get_path_string(record, "hold.id");
	n->hold = hold ? xstrdup(hold) : NULL;
}

static bool knows(const struct provisioner *p, const char *key)
{
	return find(p, key) != NULL;
}

static void store(struct provisioner *p, const char *key)
{
	save(find(p, key), NULL, NULL);
}

/* --- work ------------------------------------------------------------------------------------- */

static void done(struct prov_result *ret)
{
	*ret = (struct prov_result){ .outcome = PROV_DONE };
}

/* Each call is of a host whose record was loaded, and that is not held. */
static struct node *node_for(struct provisioner *p, const struct prov_host *host)
{
	struct node *n = find(p, host->key);
	assert_non_null(n);
	assert_string_equal(n->uid, host->uid);
	assert_null(n->hold);
	return n;
}

static void begin(struct node *n, enum work work, struct prov_result *ret)
{
	*ret = (struct prov_result){ .outcome = PROV_RUNNING, .started = n->work != work };
	if (n->work == work)
		return;
	n->work = work;
	timer_stop(&n->timer);
	save(n, NULL, NULL);
}

static void know(struct provisioner *p, const struct prov_host *host)
{
	assert_non_null(find(p, host->key));
}

static void reg(struct provisioner *p, const struct prov_host *host,
		const struct prov_register *params, const char **ret_node_id,
		struct prov_result *ret)
{
	struct node *n = node_for(p, host);
	(void)params;
	*ret_node_id = n->uid;
	if (n->verified)
		done(ret);
	else
		begin(n, REGISTERING, ret);
}

static void inspect(struct provisioner *p, const struct prov_host *host,
		    const struct prov_inspect *params, const struct json **ret_inventory,
		    struct prov_result *ret)
{
	struct node *n = node_for(p, host);
	(void)params;
	assert_shown(n->rig, n->key, "inspecting");
	*ret_inventory = n->inspected ? n->rig->inventory : NULL;
	if (n->inspected) {
		done(ret);
		return;
	}
	n->machine->inspections += n->work != INSPECTING;
	begin(n, INSPECTING, ret);
}

static void prepare(struct provisioner *p, const struct prov_host *host,
		    const struct prov_prepare *params, struct prov_result *ret)
{
	(void)params;
	node_for(p, host);
	done(ret);
}

static void provision(struct provisioner *p, const struct prov_host *host,
		      const struct prov_provision *params, struct prov_result *ret)
{
	struct node *n = node_for(p, host);
	assert_shown(n->rig, n->key, "provisioning");
	if (streq(n->deployed, params->image.url)) {
		done(ret);
		return;
	}
	assert_string_equal(n->machine->image, ""); /* cleaned before */
	if (n->rig->fail_writes && !params->retry) {
		n->rig->fail_writes--;
		*ret = (struct prov_result){ .outcome = PROV_FAILED, .error = "the disk is gone" };
		return;
	}
	n->machine->writes += n->work != DEPLOYING;
	snprintf(n->want, sizeof(n->want), "%s", params->image.url);
	begin(n, DEPLOYING, ret);
}

static void deprovision(struct provisioner *p, const struct prov_host *host,
			const struct prov_deprovision *params, struct prov_result *ret)
{
	struct node *n = node_for(p, host);
	(void)params;
	assert_shown(n->rig, n->key, "deprovisioning");
	if (!*n->machine->image && !*n->deployed && n->work != DEPLOYING) {
		done(ret);
		return;
	}
	n->machine->cleanings += n->work != CLEANING;
	begin(n, CLEANING, ret);
}

static void adopt(struct provisioner *p, const struct prov_host *host, bool retry,
		  struct prov_result *ret)
{
	(void)retry;
	node_for(p, host);
	done(ret);
}

static void remove_host(struct provisioner *p, const struct prov_host *host, bool force,
			struct prov_result *ret)
{
	struct node *n = map_remove(&rig_of(p)->nodes, host->key);
	(void)force;
	if (n)
		node_free(n);
	done(ret);
}

static enum prov_power power(struct provisioner *p, const struct prov_host *host, bool *ret_fault)
{
	const struct node *n = find(p, host->key);
	*ret_fault = false;
	if (!n || !n->verified)
		return PROV_POWER_UNKNOWN;
	return n->machine->on ? PROV_POWER_ON : PROV_POWER_OFF;
}

static void change_power(struct provisioner *p, const struct prov_host *host, bool on,
			 struct prov_result *ret)
{
	struct node *n = node_for(p, host);
	n->target_on = on;
	if (n->machine->on == on)
		done(ret);
	else
		begin(n, SWITCHING, ret);
}

static void power_on(struct provisioner *p, const struct prov_host *host, bool force,
		     struct prov_result *ret)
{
	(void)force;
	change_power(p, host, true, ret);
}

static void power_off(struct provisioner *p, const struct prov_host *host, bool hard, bool force,
		      struct prov_result *ret)
{
	(void)hard, (void)force;
	change_power(p, host, false, ret);
}

static bool has_capacity(struct provisioner *p, const struct prov_host *host)
{
	(void)p, (void)host;
	return true;
}

/* --- holds and notes -------------------------------------------------------------------------- */

static bool hold(struct provisioner *p, const char *key, const char *id, const char *reason,
		 prov_saved_fn fn, void *data)
{
	struct node *n = find(p, key);
	assert_non_null(n);
	assert_string_equal(reason, "a test");
	str_replace(&n->hold, id);
	save(n, fn, data);
	return true;
}

static bool held(const struct provisioner *p, const char *key, struct prov_hold *ret)
{
	const struct node *n = find(p, key);
	if (!n || !n->hold)
		return false;
	*ret = (struct prov_hold){ .id = n->hold, .reason = "a test" };
	return true;
}

static void release(struct provisioner *p, const char *key)
{
	struct node *n = find(p, key);
	str_replace(&n->hold, NULL);
	save(n, NULL, NULL);
	n->rig->env.kick(n->rig->env.data, key);
}

static void note_state(struct provisioner *p, const char *key, const char *from, const char *to,
		       const char *reason)
{
	(void)key, (void)reason;
	assert_string_not_equal(from, to);
	rig_of(p)->notes++;
}

static void note_error(struct provisioner *p, const char *key, const char *state, const char *text)
{
	(void)key, (void)state;
	assert_non_null(text);
	rig_of(p)->notes++;
}

static const struct provisioner_ops ops = {
	.load = load,
	.knows = knows,
	.store = store,
	.hold = hold,
	.held = held,
	.release = release,
	.know = know,
	.register_host = reg,
	.inspect = inspect,
	.prepare = prepare,
	.provision = provision,
	.deprovision = deprovision,
	.adopt = adopt,
	.remove = remove_host,
	.power = power,
	.power_on = power_on,
	.power_off = power_off,
	.has_capacity = has_capacity,
	.note_state = note_state,
	.note_error = note_error,
};

/* --- lives of the process --------------------------------------------------------------------- */

static struct kube_transport *transport(struct rig *rig)
{
	return apiserver_transport_new(&(struct apiserver_transport_options){
		.loop = rig->loop, .server_loop = rig->loop, .server = rig->api });
}

static struct kube_client *client(struct rig *rig, struct kube_transport *t)
{
	return kube_client_new(
		&(struct kube_client_options){ .loop = rig->loop, .transport = t, .qps = -1 });
}

static void on_held(void *data)
{
	((struct rig *)data)->held++;
}

static void birth(struct rig *rig)
{
	rig->lives++;
	rig->transport = transport(rig);
	rig->client = client(rig, rig->transport);
	rig->recorder = kube_recorder_new(
		&(struct kube_recorder_options){ .client = rig->client,
						 .component = "test",
						 .reporting_controller = "ingot.dev/x" });
	rig->controller = host_controller_new(
		&(struct host_controller_options){ .loop = rig->loop,
						   .client = rig->client,
						   .recorder = rig->recorder,
						   .hold_id = rig->hold_id,
						   .hold_reason = "a test",
						   .held = on_held,
						   .held_data = rig });
	host_controller_env(rig->controller, &rig->env);
	host_controller_start(rig->controller, &rig->base);
	if (rig->lifetime)
		timer_set_in(&rig->death, 1 + loop_random_below(rig->loop, 2 * rig->lifetime));
}

static void die(struct rig *rig)
{
	timer_stop(&rig->death);
	map_for_each(&rig->nodes, i)
		node_free(rig->nodes.entries[i].value);
	map_done(&rig->nodes);
	rig->nodes = (struct map){ 0 };
	rig->lives++;
	rig->controller = host_controller_free(rig->controller);
	kube_recorder_free(rig->recorder);
	kube_client_free(rig->client);
	rig->transport->ops->free(rig->transport);
}

static void on_death(void *data)
{
	die(data);
	birth(data);
}

static char *crd(const char *path)
{
	_cleanup_(strbuf_done) struct strbuf yaml = { 0 }, json = { 0 };
	char buf[4096];
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	for (size_t n; (n = fread(buf, 1, sizeof(buf), f)) > 0;)
		strbuf_add(&yaml, buf, n);
	fclose(f);
	assert_int_equal(yaml_to_json(yaml.data, yaml.len, &json, NULL), 0);
	return strbuf_take(&json, NULL);
}

static void keep_quiet(void *data, enum log_level level, const char *line)
{
	(void)data, (void)level;
	if (getenv("VERBOSE"))
		print_message("%s\n", line);
}

static struct rig *rig_new(uint64_t seed)
{
	static const char text[] =
		"{\"inventory\":{\"memory\":{\"physical_mb\":4096},\"cpu\":{\"count\":2,"
		"\"architecture\":\"x86_64\"},\"disks\":[{\"name\":\"/dev/sda\",\"size\":64424509440}]}}";
	struct rig *rig = xcalloc(1, sizeof(*rig));
	_cleanup_(freep) char *hosts = crd("crds/metal3.io_baremetalhosts.yaml");
	_cleanup_(freep) char *hardware = crd("crds/metal3.io_hardwaredata.yaml");
	_cleanup_(freep) char *records = crd("crds/ingot.dev_hostrecords.yaml");
	const char *const crds[] = { hosts, hardware, records, NULL };
	struct err err = { 0 };
	log_set_sink(keep_quiet, NULL);
	rig->base.ops = &ops;
	assert_int_equal(json_parse(text, strlen(text), &rig->inventory, NULL), 0);
	rig->loop = loop_new_virtual(seed, UINT64_C(1767225600) * USEC_PER_SEC);
	if (apiserver_new(
		    &(struct apiserver_options){
			    .loop = rig->loop, .path = ":memory:", .crds = crds },
		    &rig->api, &err) < 0)
		fail_msg("%s", err.text);
	timer_init(&rig->death, rig->loop, "death", on_death, rig);
	rig->user_transport = transport(rig);
	rig->user = client(rig, rig->user_transport);
	rig->watch = kube_informer_new(
		rig->user,
		&(struct kube_informer_options){ .watch = { .resource = &resource_host } });
	kube_informer_start(rig->watch);
	return rig;
}

static void rig_free(struct rig *rig)
{
	die(rig);
	kube_informer_free(rig->watch);
	kube_client_free(rig->user);
	rig->user_transport->ops->free(rig->user_transport);
	loop_run_until(rig->loop, loop_now(rig->loop) + USEC_PER_MIN);
	apiserver_free(rig->api);
	loop_free(rig->loop);
	json_free(rig->inventory);
	free(rig);
}

/* --- the user --------------------------------------------------------------------------------- */

static void on_answer(void *data, const struct err *err, struct json **answer)
{
	(void)answer;
	if (err)
		fail_msg("%s", err->text);
	(*(unsigned *)data)--;
}

static void settle(struct rig *rig, const unsigned *pending)
{
	while (*pending)
		loop_run_until(rig->loop, loop_now(rig->loop) + 10 * USEC_PER_MSEC);
}

static void create(struct rig *rig, const struct kube_resource *resource, const char *text)
{
	unsigned pending = 1;
	_cleanup_(json_freep) struct json *j = NULL;
	assert_int_equal(json_parse(text, strlen(text), &j, NULL), 0);
	kube_create(rig->user, resource, j, on_answer, &pending);
	settle(rig, &pending);
}

static void create_hosts(struct rig *rig)
{
	create(rig, &resource_secret,
	       "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"bmc\",\"namespace\":"
	       "\"default\"},\"stringData\":{\"username\":\"admin\",\"password\":\"secret\"}}");
	for (unsigned i = 1; i <= HOSTS; i++) {
		_cleanup_(freep) char *text = xasprintf(
			"{\"apiVersion\":\"metal3.io/v1alpha1\",\"kind\":\"BareMetalHost\",\"metadata\":{"
			"\"name\":\"node-%u\",\"namespace\":\"default\"},\"spec\":{\"online\":true,"
			"\"bootMACAddress\":\"52:54:00:00:00:%02x\",\"bmc\":{\"address\":\"ipmi://10.1.0.%u\","
			"\"credentialsName\":\"bmc\"}}}",
			i, i, i);
		create(rig, &resource_host, text);
	}
}

static void patch_hosts(struct rig *rig, const char *text)
{
	for (unsigned i = 1; i <= HOSTS; i++) {
		unsigned pending = 1;
		char name[16];
		_cleanup_(json_freep) struct json *patch = NULL;
		snprintf(name, sizeof(name), "node-%u", i);
		assert_int_equal(json_parse(text, strlen(text), &patch, NULL), 0);
		kube_patch(rig->user, &resource_host, "default", name, NULL, KUBE_PATCH_MERGE,
			   patch, on_answer, &pending);
		settle(rig, &pending);
	}
}

static void want_image(struct rig *rig, const char *url)
{
	_cleanup_(freep) char *text = xasprintf(
		"{\"spec\":{\"image\":{\"url\":\"%s\",\"checksum\":\"aaaa\"}}}", url);
	patch_hosts(rig, text);
}

static void delete_hosts(struct rig *rig)
{
	for (unsigned i = 1; i <= HOSTS; i++) {
		unsigned pending = 1;
		char name[16];
		snprintf(name, sizeof(name), "node-%u", i);
		kube_delete(rig->user, &resource_host, "default", name, NULL, on_answer, &pending);
		settle(rig, &pending);
	}
}

static bool all_show(struct rig *rig, const char *state, const char *image)
{
	for (unsigned i = 1; i <= HOSTS; i++) {
		char key[32];
		snprintf(key, sizeof(key), "default/node-%u", i);
		_cleanup_(json_freep) struct json *j = shown(rig, key);
		const char *is = json_get_path_string(j, "status.provisioning.state");
		const char *url = json_get_path_string(j, "status.provisioning.image.url");
		if (!streq(j ? str_or(is, "") : "gone", state) || (image && !streq(url, image)))
			return false;
	}
	return true;
}

static void wait_for(struct rig *rig, const char *state, const char *image)
{
	usec_t limit = loop_now(rig->loop) + 24 * USEC_PER_HOUR;
	while (!all_show(rig, state, image)) {
		assert_true(loop_now(rig->loop) < limit);
		loop_run_until(rig->loop, loop_now(rig->loop) + 5 * USEC_PER_SEC);
	}
}

static void check_machines(struct rig *rig, const char *image, bool on, unsigned writes,
			   unsigned cleanings)
{
	loop_run_until(rig->loop, loop_now(rig->loop) + USEC_PER_MIN);
	for (unsigned i = 1; i <= HOSTS; i++) {
		const struct machine *m = &rig->machines[i];
		assert_string_equal(m->image, image);
		assert_int_equal(m->on, on);
		/* A life that ends in the work leaves it to be begun again. */
		assert_true(rig->lifetime ? m->writes >= writes : m->writes == writes);
		assert_true(rig->lifetime ? m->cleanings >= cleanings : m->cleanings == cleanings);
	}
}

/* --- cases ------------------------------------------------------------------------------------ */

static const char image_a[] = "http://h/a.raw", image_b[] = "http://h/b.raw";

static void live(struct rig *rig)
{
	birth(rig);
	create_hosts(rig);
	wait_for(rig, "available", NULL);
	check_machines(rig, "", true, 0, 0);
	want_image(rig, image_a);
	wait_for(rig, "provisioned", image_a);
	check_machines(rig, image_a, true, 1, 0);
	want_image(rig, image_b);
	wait_for(rig, "provisioned", image_b);
	check_machines(rig, image_b, true, 2, 1);
	delete_hosts(rig);
	wait_for(rig, "gone", NULL);
	check_machines(rig, "", false, 2, 2);
	assert_true(rig->notes > 0);
}

static void test_life(void **state)
{
	(void)state;
	struct rig *rig = rig_new(1);
	live(rig);
	for (unsigned i = 1; i <= HOSTS; i++)
		assert_int_equal(rig->machines[i].inspections, 1);
	map_for_each(&rig->nodes, i)
		fail_msg("%s is still known", rig->nodes.entries[i].key);
	rig_free(rig);
}

/* The records say what was done, whoever reads them. */
static void test_lives(void **state)
{
	unsigned lives = 0;
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct rig *rig = rig_new(seed);
		rig->lifetime = (5 + 2 * seed) * USEC_PER_MIN; /* deploying takes 10 */
		live(rig);
		lives += rig->lives;
		rig_free(rig);
	}
	assert_true(lives > 6);
}

/* What fails is shown, waited for, and tried again. */
static void test_failure(void **state)
{
	(void)state;
	struct rig *rig = rig_new(7);
	birth(rig);
	create_hosts(rig);
	wait_for(rig, "available", NULL);
	rig->fail_writes = HOSTS;
	want_image(rig, image_a);
	wait_for(rig, "provisioning", NULL);
	loop_run_until(rig->loop, loop_now(rig->loop) + 10 * USEC_PER_SEC);
	_cleanup_(json_freep) struct json *j = shown(rig, "default/node-1");
	assert_string_equal(json_get_path_string(j, "status.errorMessage"), "the disk is gone");
	wait_for(rig, "provisioned", image_a);
	check_machines(rig, image_a, true, 1, 0);
	rig_free(rig);
}

/* A hold is the provisioner's to keep, and the user's to end. */
static void test_hold(void **state)
{
	(void)state;
	struct rig *rig = rig_new(8);
	birth(rig);
	create_hosts(rig);
	wait_for(rig, "available", NULL);
	die(rig);
	rig->hold_id = "h1";
	birth(rig);
	want_image(rig, image_a);
	loop_run_until(rig->loop, loop_now(rig->loop) + USEC_PER_HOUR);
	assert_int_equal(rig->held, 1);
	assert_true(all_show(rig, "available", NULL));
	die(rig);
	rig->hold_id = NULL;
	birth(rig);
	loop_run_until(rig->loop, loop_now(rig->loop) + USEC_PER_HOUR);
	assert_true(all_show(rig, "available", NULL));
	patch_hosts(rig, "{\"metadata\":{\"annotations\":{\"" BMH_RELEASE "\":\"h1\"}}}");
	wait_for(rig, "provisioned", image_a);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_lives),
		cmocka_unit_test(test_failure),
		cmocka_unit_test(test_hold),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
