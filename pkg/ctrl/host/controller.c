/* The definition of the BareMetalHost controller: what it watches and whom that kicks, the Secrets
 * that a host names, what host_reconcile() is told besides, and what becomes of its outcome. The
 * shell (shell/controller.h) does the rest. */

#include "ctrl/host/controller.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "crypt/crypt.h"
#include "ctrl/orphans.h"
#include "ctrl/resources.h"
#include "ctrl/shell/controller.h"

enum { HOSTS, HARDWARE, RECORDS, SECRETS, _CACHES };

struct host_controller {
	struct host_controller_options options;
	struct provisioner *prov; /* NULL: not yet, or no more */
	struct kube_informer *caches[_CACHES];
	struct records *records;
	struct orphans *orphans;
	struct controller *shell;
	struct map guarded; /* key: the host's record was looked at for our finalizer */
	bool holding;	    /* options.hold_id: not all hosts' holds are stored yet */
	size_t holds_waiting;
	bool holds_failed;
	bool stopping;
	loop_fn drained;
	void *drained_data;
};

static void forget(void *data, const char *key)
{
	struct host_controller *c = data;
	const char *slash = strchr(key, '/');
	_cleanup_(freep) char *ns = xstrndup(key, slash ? (size_t)(slash - key) : 0);
	map_remove(&c->guarded, key);
	metrics_forget_host(ns, slash ? slash + 1 : key);
}

/* --- after the writes ------------------------------------------------------------------------- */

static void publish(struct host_controller *c, const struct json *object, bool warning,
		    const char *reason, const char *message)
{
	const struct json *consumer = json_get_path(object, "spec.consumerRef");
	struct kube_event_ref about = {
		.api_version = API_VERSION,
		.kind = "BareMetalHost",
		.ns = kube_namespace(object),
		.name = kube_name(object),
		.uid = kube_uid(object),
	};
	struct kube_event_ref related = {
		.api_version = json_get_string(consumer, "apiVersion"),
		.kind = json_get_string(consumer, "kind"),
		.ns = json_get_string(consumer, "namespace"),
		.name = json_get_string(consumer, "name"),
		.uid = json_get_string(consumer, "uid"),
	};
	kube_event_related(c->options.recorder, &about, related.name ? &related : NULL,
			   warning ? "Warning" : "Normal", reason, message);
}

/* For people who ask later how the host came to where it is. */
static void note_history(struct host_controller *c, const char *key, const struct outcome *o)
{
	const char *reason = NULL;
	for (size_t i = 0; i < o->event_count; i++)
		if (o->events[i].warning)
			c->prov->ops->note_error(c->prov, key, o->before, o->events[i].message);
		else
			reason = o->events[i].reason;
	if (!streq(o->before, o->after))
		c->prov->ops->note_state(c->prov, key, o->before, o->after, reason);
}

/* What kubectl shows, in its words. A failed operation was logged by the engine, too, with the step
 * that failed; this is what its host got for it. */
static void log_outcome(const char *key, const struct outcome *o)
{
	for (size_t i = 0; i < o->event_count; i++)
		if (o->events[i].warning)
			log_warn("host has an error", "host", key, "state", o->before, "reason",
				 o->events[i].reason, "error", o->events[i].message);
	if (!streq(o->before, o->after))
		log_info("host changes state", "host", key, "from", o->before, "to", o->after);
}

static void stored(void *data, const struct facts *f, const struct outcome *o)
{
	struct host_controller *c = data;
	outcome_count(o, kube_namespace(f->object), kube_name(f->object));
	log_outcome(f->key, o);
	if (!c->stopping)
		note_history(c, f->key, o);
	for (size_t i = 0; i < o->event_count; i++)
		publish(c, f->object, o->events[i].warning, o->events[i].reason,
			o->events[i].message);
}

/* --- facts ------------------------------------------------------------------------------------ */

static double random_fraction(struct loop *loop)
{
	return (double)loop_random_below(loop, UINT64_C(1) << 53) / (double)(UINT64_C(1) << 53);
}

/* Of a Secret counts what it holds. Its version also changes when it is claimed, by us or by
 * another controller, and that is no reason to try refused credentials again. Hashed, because a
 * signature stays in memory. */
static void add_secret(struct strbuf *s, const struct json *secret)
{
	_cleanup_(strbuf_done) struct strbuf data = { 0 };
	char hex[DIGEST_HEX_MAX];
	json_print(json_get(secret, "data"), &data);
	struct digest_ctx *c = digest_new(DIGEST_SHA256);
	digest_update(c, data.data, data.len);
	digest_finish_hex(c, hex);
	digest_free(c);
	secret_zero(data.data, data.len);
	strbuf_addf(s, "|%s", hex);
}

/* Of a host that rests a change of power is news, which its error must not hold back. In busy
 * states it is part of the work. */
static enum prov_power resting_power(struct host_controller *c, const struct facts *f)
{
	static const enum bmh_state resting[] = { BMH_READY, BMH_AVAILABLE, BMH_PROVISIONED,
						  BMH_EXTERNALLY_PROVISIONED };
	const char *state = json_get_path_string(f->object, "status.provisioning.state");
	struct provisioner *p = c->prov;
	const struct prov_host host = { .key = f->key };
	bool fault;
	for (size_t i = 0; i < ARRAY_SIZE(resting); i++)
		if (streq(bmh_state_name(resting[i]), state))
			return p->ops->power(p, &host, &fault);
	return PROV_POWER_UNKNOWN;
}

/* What a person or another program may have changed: a back-off holds only as long as this stays
 * the same. */
static char *signature(void *data, const struct facts *f)
{
	_cleanup_(strbuf_done) struct strbuf s = { 0 };
	const struct json *meta = json_get(f->object, "metadata");
	strbuf_addf(&s, "%d|", (int)resting_power(data, f));
	strbuf_addf(&s, "%lld|%d|", (long long)json_get_int(meta, "generation", 0),
		    json_get(meta, "deletionTimestamp") != NULL);
	json_print(json_get(meta, "annotations"), &s);
	for (size_t i = 0; i < _SECRET_USE_MAX; i++)
		if (f->named[i].object)
			add_secret(&s, f->named[i].object);
		else
			strbuf_adds(&s, "|-");
	return strbuf_take(&s, NULL);
}

/* A host that is being moved here is held, and its record comes after it: the provisioner must not
 * take it for one that never had a record. */
static void load_record(struct host_controller *c, const char *key, const char *uid, bool held)
{
	bool known = c->prov->ops->knows(c->prov, key);
	_cleanup_(json_freep) struct json *record = known ? NULL : records_get(c->records, key);
	if (known || record || !held)
		c->prov->ops->load(c->prov, key, uid,
				   record); /* known: another host of that name? */
}

/* A record that an earlier release has made gets its finalizer by a save of the provisioner's,
 * which is in order with its other ones. */
static void guard_record(struct host_controller *c, const struct facts *f)
{
	const struct json *deleted = json_get_path(f->object, "metadata.deletionTimestamp");
	if (map_get(&c->guarded, f->key) || deleted || host_is_held(f->object))
		return;
	map_set(&c->guarded, f->key, c);
	if (records_unguarded(c->records, f->key))
		c->prov->ops->store(c->prov, f->key);
}

/* Only the last reconcile of a host that is being deleted wants it. A new tree. */
static struct json *record_of(struct host_controller *c, const struct facts *f)
{
	if (!json_get_path(f->object, "metadata.deletionTimestamp"))
		return NULL;
	_cleanup_(json_freep) struct json *record = records_object(c->records, f->key);
	bool own = streq(json_get_path_string(record, "spec.hostUID"), kube_uid(f->object));
	return own ? TAKE_PTR(record) : NULL;
}

/* The annotation must name the hold: one that came out of a backup, or is applied again and again,
 * releases nothing. */
static bool held_back(struct host_controller *c, const char *key, const struct json *object,
		      struct prov_hold *ret)
{
	const struct json *notes = json_get_path(object, "metadata.annotations");
	if (!c->prov->ops->held(c->prov, key, ret))
		return false;
	if (!streq(json_get_string(notes, BMH_RELEASE), ret->id))
		return true;
	c->prov->ops->release(c->prov, key);
	return c->prov->ops->held(c->prov, key, ret); /* until the release is stored */
}

struct owned {
	const char *ns;
	struct json **secrets;
	size_t count;
};

static int add_owned(void *data, struct kube_object *o)
{
	struct owned *owned = data;
	if (!streq(o->ns, owned->ns))
		return 0;
	owned->secrets = xreallocarray(owned->secrets, owned->count + 1, sizeof(owned->secrets[0]));
	owned->secrets[owned->count++] = kube_object_parse(o);
	return 0;
}

static void owned_done(struct owned *owned)
{
	for (size_t i = 0; i < owned->count; i++)
		json_free(owned->secrets[i]);
	free(owned->secrets);
}

static void *bind_host(const struct json *object, struct err *err)
{
	struct bmh *h = xcalloc(1, sizeof(*h));
	if (bmh_parse(object, h, err) == 0)
		return h;
	free(h);
	return NULL;
}

static void unbind_host(void *bound)
{
	bmh_release(bound);
	free(bound);
}

static void secret_names(const void *bound, const char *names[FACTS_MAX])
{
	host_secrets_wanted(bound, names);
}

static void reconcile(void *data, const struct facts *f, struct outcome *ret)
{
	struct host_controller *c = data;
	metric_add(METRIC_HOST_RECONCILES, 1, kube_namespace(f->object), kube_name(f->object));
	load_record(c, f->key, kube_uid(f->object), host_is_held(f->object));
	guard_record(c, f);
	const struct kube_object *hardware = kube_informer_get_key(c->caches[HARDWARE], f->key);
	_cleanup_(json_freep) struct json *tree = hardware ? kube_object_parse(hardware) : NULL;
	_cleanup_(json_freep) struct json *record = record_of(c, f);
	_cleanup_(owned_done) struct owned owned = { .ns = kube_namespace(f->object) };
	kube_informer_each_indexed(c->caches[SECRETS], "owner", kube_uid(f->object), add_owned,
				   &owned);
	struct host_facts h = { .object = f->object,
				.host = f->bound,
				.hardware_data = tree,
				.record = record,
				.secrets = f->named,
				.owned = owned.secrets,
				.owned_count = owned.count,
				.provisioner = c->prov,
				.now = loop_wall(c->options.loop),
				.random = random_fraction(c->options.loop),
				.max_provisioning_retries = c->options.max_provisioning_retries };
	h.held = held_back(c, f->key, f->object, &h.hold);
	host_reconcile(&h, ret);
}

static void removed(void *data, const char *key)
{
	struct host_controller *c = data;
	struct prov_host host = { .key = key };
	struct prov_result result;
	c->prov->ops->remove(c->prov, &host, true, &result);
}

/* --- kicks ------------------------------------------------------------------------------------ */

static void own_key(void *data, const struct kube_object *o, kube_emit_fn emit, void *arg)
{
	(void)data;
	emit(arg, o->key);
}

/* Versions of an object only rise, so a server that shows a lower one was restored from a backup
 * while this process ran. */
static void look_for_older(struct host_controller *c, const struct kube_object *before,
			   const struct kube_object *now)
{
	uint64_t was, is;
	bool same = streq(before->uid, now->uid);
	if (!c->prov || !same || parse_u64(before->resource_version, UINT64_MAX, &was) < 0 ||
	    parse_u64(now->resource_version, UINT64_MAX, &is) < 0 || is >= was)
		return;
	c->prov->ops->hold_one(c->prov, now->key,
			       "the API server shows an older version than before: its data were "
			       "restored from a backup");
}

static bool record_changed(void *data, struct kube_object *before, struct kube_object *now)
{
	look_for_older(data, before, now);
	return false;
}

/* Our own status writes must not wake us again: only what others change counts (generation,
 * finalizers, annotations). */
static bool host_changed(void *data, struct kube_object *before, struct kube_object *now)
{
	look_for_older(data, before, now);
	if (before->generation != now->generation || before->deleting != now->deleting)
		return true;
	_cleanup_(json_freep) struct json *a = kube_object_parse(before);
	_cleanup_(json_freep) struct json *b = kube_object_parse(now);
	return !json_equal(json_get_path(a, "metadata.annotations"),
			   json_get_path(b, "metadata.annotations")) ||
	       !json_equal(json_get_path(a, "metadata.finalizers"),
			   json_get_path(b, "metadata.finalizers"));
}

static void hosts_by_secret(const struct json *host, kube_emit_fn emit, void *arg)
{
	static const char *const paths[] = { "spec.bmc.credentialsName", "spec.userData.name",
					     "spec.metaData.name", "spec.networkData.name",
					     "spec.preprovisioningNetworkDataName" };
	const char *ns = kube_namespace(host);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		const char *name = json_get_path_string(host, paths[i]);
		if (str_empty(name))
			continue;
		_cleanup_(freep) char *key = xasprintf("%s/%s", ns, name);
		emit(arg, key);
	}
}

struct emission {
	kube_emit_fn emit;
	void *arg;
};

static int emit_host(void *data, struct kube_object *host)
{
	const struct emission *e = data;
	e->emit(e->arg, host->key);
	return 0;
}

/* Hosts that name it, and those that own it: they may have ceased to name it. */
static void secret_keys(void *data, const struct kube_object *o, kube_emit_fn emit, void *arg)
{
	struct host_controller *c = data;
	struct emission e = { emit, arg };
	kube_informer_each_indexed(c->caches[HOSTS], "secret", o->key, emit_host, &e);
	_cleanup_(json_freep) struct json *secret = kube_object_parse(o);
	json_for_each(owner, json_get_path(secret, "metadata.ownerReferences")) {
		const char *name = json_get_string(owner, "name");
		const struct kube_object *host = kube_informer_get(c->caches[HOSTS], o->ns,
								   str_or(name, ""));
		if (host && streq(host->uid, json_get_string(owner, "uid")))
			emit(arg, host->key);
	}
}

const char *host_controller_waits(const struct host_controller *c)
{
	return controller_waits(c->shell);
}

static void by_state(const struct json *host, kube_emit_fn emit, void *arg)
{
	emit(arg, str_or(json_get_path_string(host, "status.provisioning.state"), ""));
}

static int count_one(void *data, struct kube_object *o)
{
	(void)o;
	(*(double *)data)++;
	return 0;
}

void host_controller_measure(const struct host_controller *c)
{
	for (size_t s = 0; s < _BMH_STATE_MAX; s++) {
		const char *name = bmh_state_name((enum bmh_state)s);
		double count = 0;
		kube_informer_each_indexed(c->caches[HOSTS], "state", name, count_one, &count);
		metric_set(METRIC_HOSTS, count, name);
	}
	controller_measure(c->shell);
}

usec_t host_controller_next(const struct host_controller *c, const char *key)
{
	return controller_next(c->shell, key);
}

/* Before anything runs the provisioner knows all records: which addresses are given out, which
 * boots are its own. */
static int preload(void *data, struct kube_object *o)
{
	struct host_controller *c = data;
	_cleanup_(json_freep) struct json *object = kube_object_parse(o);
	load_record(c, o->key, o->uid, host_is_held(object));
	return 0;
}

static void check_held(struct host_controller *c)
{
	if (!c->holding || c->holds_waiting > 0 || c->holds_failed || c->stopping)
		return;
	c->holding = false;
	if (c->options.held)
		c->options.held(c->options.held_data);
}

static void on_hold_stored(void *data, const struct err *err)
{
	struct host_controller *c = data;
	c->holds_waiting--;
	c->holds_failed |= err != NULL;
	check_held(c);
}

static int hold_host(void *data, struct kube_object *o)
{
	struct host_controller *c = data;
	c->holds_waiting++;
	if (!c->prov->ops->hold(c->prov, o->key, c->options.hold_id, c->options.hold_reason,
				on_hold_stored, c))
		c->holds_waiting--;
	return 0;
}

/* Those that are there now. A host that is made later is a decision of today. */
static void hold_all(struct host_controller *c)
{
	if (!c->options.hold_id)
		return;
	c->holding = true;
	c->holds_waiting++;
	kube_informer_each(c->caches[HOSTS], hold_host, c);
	c->holds_waiting--;
	check_held(c);
}

static void synced(void *data)
{
	struct host_controller *c = data;
	kube_informer_each(c->caches[HOSTS], preload, c);
	hold_all(c);
	orphans_start(c->orphans);
	void (*ready)(void *data) = TAKE_PTR(c->options.ready);
	if (ready)
		ready(c->options.ready_data);
}

/* --- provisioner ------------------------------------------------------------------------------ */

static void env_save(void *data, const char *key, const char *uid, const struct json *record,
		     prov_saved_fn done, void *done_data)
{
	struct host_controller *c = data;
	records_save(c->records, key, uid, record, done, done_data);
}

static void env_kick(void *data, const char *key)
{
	struct host_controller *c = data;
	controller_kick(c->shell, key);
}

static void env_event(void *data, const char *key, bool warning, const char *reason,
		      const char *message)
{
	struct host_controller *c = data;
	const struct kube_object *o = kube_informer_get_key(c->caches[HOSTS], key);
	if (!o)
		return;
	_cleanup_(json_freep) struct json *object = kube_object_parse(o);
	publish(c, object, warning, reason, message);
}

void host_controller_env(struct host_controller *c, struct prov_env *ret)
{
	*ret = (struct prov_env){ .save = env_save,
				  .kick = env_kick,
				  .event = env_event,
				  .data = c,
				  .fence = c->options.fence };
}

/* --- life ------------------------------------------------------------------------------------- */

static struct kube_informer *informer(struct host_controller *c,
				      const struct kube_resource *resource, const char *selector,
				      const char *sample)
{
	return kube_informer_new(c->options.client, &(struct kube_informer_options){
							    .watch = { .resource = resource,
								       .ns = c->options.ns,
								       .label_selector = selector },
							    .sample = sample });
}

/* A series that is born with 1 has never risen, and no alert on its increase fires. */
static void preset_metrics(void)
{
	static const char *const data[] = { "userData", "metaData", "networkData" };
	for (size_t e = BMH_ERROR_NONE + 1; e < _BMH_ERROR_MAX; e++)
		metric_add(METRIC_HOST_ERRORS, 0, bmh_error_reason((enum bmh_error)e));
	metric_add(METRIC_HOST_ERRORS, 0, "BMCCredentialError");
	for (size_t i = 0; i < ARRAY_SIZE(data); i++)
		metric_add(METRIC_CONFIG_DATA_ERRORS, 0, data[i]);
}

/* In the order of the rows of caches. */
static void make_caches(struct host_controller *c)
{
	c->caches[HOSTS] = informer(c, &resource_host, NULL, sample_host);
	c->caches[HARDWARE] = informer(c, &resource_hardware_data, NULL, sample_hardware_data);
	c->caches[RECORDS] = informer(c, &resource_record, NULL, sample_record);
	c->caches[SECRETS] = informer(c, &resource_secret, SECRET_LABEL "=" SECRET_LABEL_VALUE,
				      NULL);
	kube_informer_index(c->caches[HOSTS], "secret", hosts_by_secret);
	kube_informer_index(c->caches[HOSTS], "state", by_state);
	kube_informer_index(c->caches[SECRETS], "owner", kube_index_by_owner);
}

static struct controller *make_shell(struct host_controller *c)
{
	const struct want secrets = { &resource_secret, c->caches[SECRETS] };
	struct controller_def def = {
		.name = "baremetalhost",
		.noun = "host",
		.errors = METRIC_HOST_RECONCILE_ERRORS,
		.concurrency = c->options.concurrency ? c->options.concurrency : 8,
		/* An API server that is away for a minute must not cost five. */
		.backoff_max = 30 * USEC_PER_SEC,
		.caches = {
			{ &resource_host, c->caches[HOSTS],
			  "no list of baremetalhosts.metal3.io yet: the log says why", own_key,
			  host_changed },
			{ &resource_hardware_data, c->caches[HARDWARE],
			  "no list of hardwaredata.metal3.io yet: the log says why", NULL, NULL },
			{ &resource_secret, c->caches[SECRETS],
			  "no list of secrets yet: the log says why", secret_keys, NULL },
			{ &resource_record, c->caches[RECORDS],
			  "no list of hostrecords.ingot.dev yet: the log says why", NULL,
			  record_changed },
		},
		.bind = bind_host,
		.unbind = unbind_host,
		.names = secret_names,
		.signature = signature,
		.reconcile = reconcile,
		.stored = stored,
		.removed = removed,
		.forget = forget,
		.synced = synced,
		.data = c,
	};
	for (size_t i = 0; i < _SECRET_USE_MAX; i++)
		def.wants[i] = secrets;
	return controller_new(c->options.loop, c->options.client, &def);
}

struct host_controller *host_controller_new(const struct host_controller_options *options)
{
	struct host_controller *c = xcalloc(1, sizeof(*c));
	c->options = *options;
	preset_metrics();
	make_caches(c);
	c->records = records_new(options->client, c->caches[RECORDS]);
	c->shell = make_shell(c);
	c->orphans = orphans_new(&(struct orphans_options){ .loop = options->loop,
							    .client = options->client,
							    .hosts = c->caches[HOSTS],
							    .secrets = c->caches[SECRETS],
							    .hardware = c->caches[HARDWARE],
							    .records = c->caches[RECORDS] });
	return c;
}

void host_controller_start(struct host_controller *c, struct provisioner *prov)
{
	c->prov = prov;
	controller_start(c->shell);
}

static void on_orphans_over(void *data)
{
	struct host_controller *c = data;
	records_drain(c->records, c->drained, c->drained_data);
}

static void on_reconciles_over(void *data)
{
	struct host_controller *c = data;
	orphans_stop(c->orphans, on_orphans_over, c);
}

void host_controller_stop(struct host_controller *c, loop_fn drained, void *data)
{
	c->stopping = true;
	c->prov = NULL;
	c->drained = drained;
	c->drained_data = data;
	controller_stop(c->shell, on_reconciles_over, c);
}

struct host_controller *host_controller_free(struct host_controller *c)
{
	if (!c)
		return NULL;
	orphans_free(c->orphans);
	records_free(c->records);
	controller_free(c->shell);
	map_done(&c->guarded);
	free(c);
	return NULL;
}
