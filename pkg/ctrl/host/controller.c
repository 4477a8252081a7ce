/* The shell around host_reconcile(): for one key it gathers the facts (caches first, Secrets that
 * are not cached by a request), runs the pure function, makes the writes in their order, and tells
 * the queue when to come back. At most one run per host is under way; a write that meets a conflict
 * ends it, and the next run decides again from fresh facts. */

#include "ctrl/host/controller.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "crypt/crypt.h"
#include "ctrl/orphans.h"
#include "ctrl/resources.h"

const struct kube_resource resource_host = { API_GROUP, "v1alpha1", "baremetalhosts",
					     "BareMetalHost", KUBE_PER_HOST };
const struct kube_resource resource_hardware_data = { API_GROUP, "v1alpha1", "hardwaredata",
						      "HardwareData", KUBE_PER_HOST };
const struct kube_resource resource_record = { "ingot.dev", "v1alpha1", "hostrecords", "HostRecord",
					       KUBE_PER_HOST };
const struct kube_resource resource_secret = { "", "v1", "secrets", "Secret", KUBE_NAMESPACED };

struct run;

/* What is remembered of a host between runs, in memory only. */
struct host_memory {
	usec_t backoff_until; /* monotonic; 0: none */
	char *signature;      /* what the back-off holds for */
	bool guarded;	      /* its record was looked at for our finalizer */
	struct run *run;      /* under way */
};

struct host_controller {
	struct host_controller_options options;
	struct provisioner *prov; /* NULL: not yet, or no more */
	struct kube_informer *hosts, *hardware, *secrets, *records_informer;
	struct records *records;
	struct orphans *orphans;
	struct kube_queue *queue;
	struct map memories; /* key → struct host_memory */
	bool holding;	     /* options.hold_id: not all hosts' holds are stored yet */
	size_t holds_waiting;
	bool holds_failed;
	bool stopping;
	loop_fn drained;
	void *drained_data;
};

struct secret_fetch {
	struct run *run;
	enum host_secret_use use;
	struct kube_op *op;
};

struct run {
	struct host_controller *controller;
	char *key;
	struct json *object, *hardware, *record;
	struct json *secrets[_SECRET_USE_MAX];
	struct json **owned; /* Secrets that the host owns */
	size_t owned_count;
	struct host_facts facts;
	struct secret_fetch fetches[_SECRET_USE_MAX];
	unsigned waiting; /* fetches under way, plus one while they are being started */
	bool decided;	  /* what is left are writes */
	struct host_result result;
	size_t next_write;
	struct kube_op *op;
	char *signature;
};

/* --- runs ------------------------------------------------------------------------------------- */

static struct host_memory *memory_of(struct host_controller *c, const char *key)
{
	struct host_memory *m = map_get(&c->memories, key);
	if (!m) {
		m = xcalloc(1, sizeof(*m));
		map_set(&c->memories, key, m);
	}
	return m;
}

static void memory_free(struct host_memory *m)
{
	if (m)
		free(m->signature);
	free(m);
}

static void run_free(struct run *r)
{
	for (size_t i = 0; i < _SECRET_USE_MAX; i++) {
		kube_cancel(r->fetches[i].op);
		json_free(r->secrets[i]);
	}
	for (size_t i = 0; i < r->owned_count; i++)
		json_free(r->owned[i]);
	free(r->owned);
	kube_cancel(r->op);
	host_result_release(&r->result);
	json_free(r->object);
	json_free(r->hardware);
	json_free(r->record);
	free(r->signature);
	free(r->key);
	free(r);
}

static void forget_metrics(const char *key)
{
	const char *slash = strchr(key, '/');
	_cleanup_(freep) char *ns = xstrndup(key, slash ? (size_t)(slash - key) : 0);
	metrics_forget_host(ns, slash ? slash + 1 : key);
}

static void finish(struct run *r, enum kube_verdict verdict, usec_t again)
{
	struct host_controller *c = r->controller;
	struct host_memory *m = memory_of(c, r->key);
	_cleanup_(freep) char *key = TAKE_PTR(r->key);
	m->run = NULL;
	m->backoff_until = 0;
	if (verdict == KUBE_DONE && r->result.backoff) {
		m->backoff_until = loop_now(c->options.loop) + again;
		free(m->signature);
		m->signature = TAKE_PTR(r->signature);
	}
	if (r->result.verdict == HOST_GONE) {
		memory_free(map_remove(&c->memories, key));
		forget_metrics(key);
	}
	run_free(r);
	kube_queue_finish(c->queue, key, verdict, again);
}

static void retry(struct run *r, const struct err *err)
{
	if (err->kind == ERR_CONFLICT)
		log_debug("host changed meanwhile; again", "host", r->key);
	else
		log_warn("reconcile failed; again later", "host", r->key, "error", err->text);
	if (err->kind != ERR_CONFLICT)
		metric_add(METRIC_HOST_RECONCILE_ERRORS, 1);
	r->result.backoff = false;
	finish(r, KUBE_RETRY, 0);
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

/* For whoever asks later how the host came to where it is. */
static void note_history(const struct run *r)
{
	const struct host_result *result = &r->result;
	const char *before = bmh_state_name(result->before), *reason = NULL;
	for (size_t i = 0; i < result->event_count; i++)
		if (result->events[i].warning)
			r->controller->prov->ops->note_error(r->controller->prov, r->key, before,
							     result->events[i].message);
		else
			reason = result->events[i].reason;
	if (result->before != result->after)
		r->controller->prov->ops->note_state(r->controller->prov, r->key, before,
						     bmh_state_name(result->after), reason);
}

/* What kubectl shows, in its words. A failed operation was logged by the engine, too, with the step
 * that failed; this is what its host got for it. */
static void log_result(const struct run *r)
{
	const struct host_result *result = &r->result;
	for (size_t i = 0; i < result->event_count; i++)
		if (result->events[i].warning)
			log_warn("host has an error", "host", r->key, "state",
				 bmh_state_name(result->before), "reason", result->events[i].reason,
				 "error", result->events[i].message);
	if (result->before != result->after)
		log_info("host changes state", "host", r->key, "from",
			 bmh_state_name(result->before), "to", bmh_state_name(result->after));
}

static void conclude(struct run *r)
{
	struct host_controller *c = r->controller;
	host_result_count(&r->result, kube_namespace(r->object), kube_name(r->object));
	log_result(r);
	if (!c->stopping)
		note_history(r);
	for (size_t i = 0; i < r->result.event_count; i++)
		publish(c, r->object, r->result.events[i].warning, r->result.events[i].reason,
			r->result.events[i].message);
	switch (r->result.verdict) {
	case HOST_WAIT:
		finish(r, KUBE_DONE, r->result.requeue);
		break;
	case HOST_AGAIN:
		kube_queue_add(c->queue, r->key);
		finish(r, KUBE_DONE, 0);
		break;
	case HOST_RETRY:
		retry(r, &r->result.err);
		break;
	case HOST_GONE:
		finish(r, KUBE_DONE, 0);
		break;
	}
}

/* --- writes ----------------------------------------------------------------------------------- */

static struct kube_op *start_write(struct run *r, const struct host_write *w, kube_done_fn done)
{
	struct kube_client *client = r->controller->options.client;
	const char *ns = kube_namespace(r->object), *name = kube_name(r->object);
	switch (w->kind) {
	case HOST_PATCH_STATUS:
		return kube_patch(client, &resource_host, ns, name, "status", KUBE_PATCH_MERGE,
				  w->body, done, r);
	case HOST_PATCH:
		return kube_patch(client, &resource_host, ns, name, NULL, KUBE_PATCH_MERGE, w->body,
				  done, r);
	case HOST_SECRET_PATCH:
		return kube_patch_for(client, r->key, &resource_secret, ns, w->name, NULL,
				      KUBE_PATCH_MERGE, w->body, done, r);
	case HOST_HARDWARE_CREATE:
		return kube_create(client, &resource_hardware_data, w->body, done, r);
	case HOST_HARDWARE_PATCH:
		return kube_patch(client, &resource_hardware_data, ns, name, NULL, KUBE_PATCH_MERGE,
				  w->body, done, r);
	case HOST_RECORD_UPDATE:
		return kube_update(client, &resource_record, w->body, done, r);
	case HOST_HARDWARE_DELETE:
		return kube_delete(client, &resource_hardware_data, ns, name,
				   &(struct kube_delete_options){ .uid = w->name }, done, r);
	}
	return NULL;
}

/* The object may be gone, which is what was to be reached. */
static bool harmless(const struct run *r, const struct host_write *w, const struct err *err)
{
	if (err->kind != ERR_NOT_FOUND)
		return false;
	return w->kind == HOST_HARDWARE_PATCH || w->kind == HOST_HARDWARE_DELETE ||
	       w->kind == HOST_RECORD_UPDATE || w->kind == HOST_SECRET_PATCH ||
	       r->result.verdict == HOST_GONE;
}

static void next_write(struct run *r);

static void note_written(struct run *r, const struct host_write *w, const struct json *answer)
{
	struct host_controller *c = r->controller;
	switch (w->kind) {
	case HOST_PATCH_STATUS:
	case HOST_PATCH:
		kube_informer_note_written(c->hosts, answer);
		break;
	case HOST_SECRET_PATCH:
		kube_informer_note_written(c->secrets, answer);
		break;
	case HOST_HARDWARE_CREATE:
	case HOST_HARDWARE_PATCH:
		kube_informer_note_written(c->hardware, answer);
		break;
	case HOST_RECORD_UPDATE:
		kube_informer_note_written(c->records_informer, answer);
		break;
	case HOST_HARDWARE_DELETE:
		break;
	}
}

static void on_written(void *data, const struct err *err, struct json **answer)
{
	struct run *r = data;
	const struct host_write *w = &r->result.writes[r->next_write];
	r->op = NULL;
	if (err && !harmless(r, w, err)) {
		retry(r, err);
		return;
	}
	/* With the last finalizer the object goes; the answer is its last state, not a new one. */
	if (!err && *answer && r->result.verdict != HOST_GONE)
		note_written(r, w, *answer);
	r->next_write++;
	next_write(r);
}

static void next_write(struct run *r)
{
	if (r->next_write == r->result.write_count) {
		conclude(r);
		return;
	}
	r->op = start_write(r, &r->result.writes[r->next_write], on_written);
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
static enum prov_power resting_power(const struct run *r)
{
	static const enum bmh_state resting[] = { BMH_READY, BMH_AVAILABLE, BMH_PROVISIONED,
						  BMH_EXTERNALLY_PROVISIONED };
	const char *state = json_get_path_string(r->object, "status.provisioning.state");
	struct provisioner *p = r->controller->prov;
	const struct prov_host host = { .key = r->key };
	bool fault;
	for (size_t i = 0; i < ARRAY_SIZE(resting); i++)
		if (streq(bmh_state_name(resting[i]), state))
			return p->ops->power(p, &host, &fault);
	return PROV_POWER_UNKNOWN;
}

/* What a person or another program may have changed: a back-off holds only as long as this stays
 * the same. */
static char *signature_of(const struct run *r)
{
	_cleanup_(strbuf_done) struct strbuf s = { 0 };
	const struct json *meta = json_get(r->object, "metadata");
	strbuf_addf(&s, "%d|", (int)resting_power(r));
	strbuf_addf(&s, "%lld|%d|", (long long)json_get_int(meta, "generation", 0),
		    json_get(meta, "deletionTimestamp") != NULL);
	json_print(json_get(meta, "annotations"), &s);
	for (size_t i = 0; i < _SECRET_USE_MAX; i++)
		if (r->secrets[i])
			add_secret(&s, r->secrets[i]);
		else
			strbuf_adds(&s, "|-");
	return strbuf_take(&s, NULL);
}

static bool backing_off(struct run *r)
{
	struct host_controller *c = r->controller;
	const struct host_memory *m = memory_of(c, r->key);
	usec_t now = loop_now(c->options.loop), until = m->backoff_until;
	if (until <= now || !streq(m->signature, r->signature))
		return false;
	r->result.backoff = true; /* it goes on */
	finish(r, KUBE_DONE, until - now);
	return true;
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
static void guard_record(struct host_controller *c, const struct run *r)
{
	struct host_memory *m = memory_of(c, r->key);
	const struct json *deleted = json_get_path(r->object, "metadata.deletionTimestamp");
	if (m->guarded || deleted || host_is_held(r->object))
		return;
	m->guarded = true;
	if (records_unguarded(c->records, r->key))
		c->prov->ops->store(c->prov, r->key);
}

/* Only the last pass of a host that is being deleted wants it. */
static void take_record(struct run *r)
{
	if (!json_get_path(r->object, "metadata.deletionTimestamp"))
		return;
	r->record = records_object(r->controller->records, r->key);
	if (streq(json_get_path_string(r->record, "spec.hostUID"), kube_uid(r->object)))
		r->facts.record = r->record;
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

static void reconcile(struct run *r)
{
	struct host_controller *c = r->controller;
	r->signature = signature_of(r);
	if (backing_off(r))
		return;
	metric_add(METRIC_HOST_RECONCILES, 1, kube_namespace(r->object), kube_name(r->object));
	load_record(c, r->key, kube_uid(r->object), host_is_held(r->object));
	guard_record(c, r);
	take_record(r);
	struct host_facts *f = &r->facts;
	if (held_back(c, r->key, r->object, &f->hold))
		f->held = true;
	f->object = r->object;
	f->hardware_data = r->hardware;
	f->provisioner = c->prov;
	f->now = loop_wall(c->options.loop);
	f->random = random_fraction(c->options.loop);
	f->max_provisioning_retries = c->options.max_provisioning_retries;
	host_reconcile(f, &r->result);
	r->decided = true;
	next_write(r);
}

static void fetched(struct run *r)
{
	if (--r->waiting == 0)
		reconcile(r);
}

static void on_secret(void *data, const struct err *err, struct json **answer)
{
	struct secret_fetch *fetch = data;
	struct run *r = fetch->run;
	struct host_secret *s = &r->facts.secrets[fetch->use];
	fetch->op = NULL;
	if (err && err->kind == ERR_NOT_FOUND) {
		s->state = SECRET_MISSING;
	} else if (err) {
		s->state = SECRET_FAILED;
		s->err = *err;
	} else {
		r->secrets[fetch->use] = TAKE_PTR(*answer);
		s->object = r->secrets[fetch->use];
		s->state = SECRET_FOUND;
	}
	fetched(r);
}

/* The cache holds labelled Secrets only; others are asked for, and labelled when they are claimed.
 */
static void want_secret(struct run *r, enum host_secret_use use, const char *name)
{
	struct host_controller *c = r->controller;
	const char *ns = kube_namespace(r->object);
	const struct kube_object *cached = kube_informer_get(c->secrets, ns, name);
	if (cached) {
		r->secrets[use] = kube_object_parse(cached);
		r->facts.secrets[use] = (struct host_secret){ SECRET_FOUND,
							      r->secrets[use],
							      { 0 } };
		return;
	}
	r->waiting++;
	r->fetches[use] = (struct secret_fetch){ r, use, NULL };
	r->fetches[use].op = kube_get(c->options.client, &resource_secret, ns, name, on_secret,
				      &r->fetches[use]);
}

static void want_secrets(struct run *r)
{
	struct bmh host;
	const char *names[_SECRET_USE_MAX];
	struct err err = { 0 };
	if (bmh_parse(r->object, &host, &err) < 0)
		return; /* the pass will say so */
	host_secrets_wanted(&host, names);
	for (size_t i = 0; i < _SECRET_USE_MAX; i++)
		if (names[i])
			want_secret(r, (enum host_secret_use)i, names[i]);
	bmh_release(&host);
}

static int add_owned(void *data, struct kube_object *o)
{
	struct run *r = data;
	if (!streq(o->ns, kube_namespace(r->object)))
		return 0;
	r->owned = xreallocarray(r->owned, r->owned_count + 1, sizeof(r->owned[0]));
	r->owned[r->owned_count++] = kube_object_parse(o);
	return 0;
}

/* As they are after what the run before this one has written. */
static void want_owned(struct run *r)
{
	kube_informer_each_indexed(r->controller->secrets, "owner", kube_uid(r->object), add_owned,
				   r);
	r->facts.owned = r->owned;
	r->facts.owned_count = r->owned_count;
}

static void host_vanished(struct host_controller *c, const char *key)
{
	struct prov_host host = { .key = key };
	struct prov_result result;
	struct provisioner *p = c->prov;
	p->ops->remove(p, &host, true, &result);
	memory_free(map_remove(&c->memories, key));
	forget_metrics(key);
	kube_queue_forget(c->queue, key);
	kube_queue_finish(c->queue, key, KUBE_DONE, 0);
}

static void start_run(void *data, const char *key)
{
	struct host_controller *c = data;
	const struct kube_object *o = kube_informer_get_key(c->hosts, key);
	if (!o) {
		host_vanished(c, key);
		return;
	}
	struct run *r = xcalloc(1, sizeof(*r));
	r->controller = c;
	r->key = xstrdup(key);
	r->object = kube_object_parse(o);
	const struct kube_object *hardware = kube_informer_get_key(c->hardware, key);
	r->hardware = hardware ? kube_object_parse(hardware) : NULL;
	memory_of(c, key)->run = r;
	r->waiting = 1;
	want_owned(r);
	want_secrets(r);
	fetched(r);
}

/* --- triggers --------------------------------------------------------------------------------- */

static void on_host(void *data, struct kube_object *o)
{
	struct host_controller *c = data;
	kube_queue_add(c->queue, o->key);
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

static void on_record_update(void *data, struct kube_object *before, struct kube_object *now)
{
	look_for_older(data, before, now);
}

/* Our own status writes must not wake us again: only what others change counts (generation,
 * finalizers, annotations). */
static void on_host_update(void *data, struct kube_object *before, struct kube_object *now)
{
	struct host_controller *c = data;
	look_for_older(c, before, now);
	if (before->generation == now->generation && before->deleting == now->deleting) {
		_cleanup_(json_freep) struct json *a = kube_object_parse(before);
		_cleanup_(json_freep) struct json *b = kube_object_parse(now);
		if (json_equal(json_get_path(a, "metadata.annotations"),
			       json_get_path(b, "metadata.annotations")) &&
		    json_equal(json_get_path(a, "metadata.finalizers"),
			       json_get_path(b, "metadata.finalizers")))
			return;
	}
	kube_queue_add(c->queue, now->key);
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

static int kick_host(void *data, struct kube_object *o)
{
	struct host_controller *c = data;
	kube_queue_add(c->queue, o->key);
	return 0;
}

/* Those that name it, and those that own it: they may have ceased to name it. */
static void on_secret_event(void *data, struct kube_object *o)
{
	struct host_controller *c = data;
	kube_informer_each_indexed(c->hosts, "secret", o->key, kick_host, c);
	_cleanup_(json_freep) struct json *secret = kube_object_parse(o);
	json_for_each(owner, json_get_path(secret, "metadata.ownerReferences")) {
		const char *name = json_get_string(owner, "name");
		const struct kube_object *host = kube_informer_get(c->hosts, o->ns,
								   str_or(name, ""));
		if (host && streq(host->uid, json_get_string(owner, "uid")))
			kube_queue_add(c->queue, host->key);
	}
}

static void on_secret_update(void *data, struct kube_object *before, struct kube_object *now)
{
	(void)before;
	on_secret_event(data, now);
}

const char *host_controller_waits(const struct host_controller *c)
{
	const struct {
		const struct kube_informer *informer;
		const char *text;
	} lists[] = {
		{ c->hosts, "no list of baremetalhosts.metal3.io yet: the log says why" },
		{ c->hardware, "no list of hardwaredata.metal3.io yet: the log says why" },
		{ c->secrets, "no list of secrets yet: the log says why" },
		{ c->records_informer, "no list of hostrecords.ingot.dev yet: the log says why" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		if (!kube_informer_synced(lists[i].informer))
			return lists[i].text;
	return NULL;
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
		kube_informer_each_indexed(c->hosts, "state", name, count_one, &count);
		metric_set(METRIC_HOSTS, count, name);
	}
	kube_queue_measure(c->queue);
}

usec_t host_controller_next(const struct host_controller *c, const char *key)
{
	return kube_queue_next(c->queue, key);
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
	kube_informer_each(c->hosts, hold_host, c);
	c->holds_waiting--;
	check_held(c);
}

static void on_synced(void *data)
{
	struct host_controller *c = data;
	if (c->stopping || host_controller_waits(c))
		return;
	kube_informer_each(c->hosts, preload, c);
	hold_all(c);
	kube_queue_start(c->queue);
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
	kube_queue_add(c->queue, key);
}

static void env_event(void *data, const char *key, bool warning, const char *reason,
		      const char *message)
{
	struct host_controller *c = data;
	const struct kube_object *o = kube_informer_get_key(c->hosts, key);
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

struct host_controller *host_controller_new(const struct host_controller_options *options)
{
	struct host_controller *c = xcalloc(1, sizeof(*c));
	c->options = *options;
	preset_metrics();
	c->hosts = informer(c, &resource_host, NULL, sample_host);
	c->hardware = informer(c, &resource_hardware_data, NULL, sample_hardware_data);
	c->records_informer = informer(c, &resource_record, NULL, sample_record);
	c->secrets = informer(c, &resource_secret, SECRET_LABEL "=" SECRET_LABEL_VALUE, NULL);
	c->records = records_new(options->client, c->records_informer);
	c->queue = kube_queue_new(&(struct kube_queue_options){
		.loop = options->loop,
		.name = "baremetalhost",
		.max_runs = options->concurrency ? options->concurrency : 8,
		/* An API server that is away for a minute must not cost five. */
		.backoff_max = 30 * USEC_PER_SEC,
		.run = start_run,
		.data = c });
	kube_informer_index(c->hosts, "secret", hosts_by_secret);
	kube_informer_index(c->hosts, "state", by_state);
	kube_informer_index(c->secrets, "owner", kube_index_by_owner);
	static const struct kube_informer_handlers host_handlers = {
		.add = on_host, .update = on_host_update, .remove = on_host, .synced = on_synced
	};
	static const struct kube_informer_handlers secret_handlers = { .add = on_secret_event,
								       .update = on_secret_update,
								       .remove = on_secret_event,
								       .synced = on_synced };
	static const struct kube_informer_handlers other_handlers = { .synced = on_synced };
	static const struct kube_informer_handlers record_handlers = { .update = on_record_update,
								       .synced = on_synced };
	kube_informer_handle(c->hosts, &host_handlers, c);
	kube_informer_handle(c->secrets, &secret_handlers, c);
	kube_informer_handle(c->hardware, &other_handlers, c);
	kube_informer_handle(c->records_informer, &record_handlers, c);
	c->orphans = orphans_new(&(struct orphans_options){ .loop = options->loop,
							    .client = options->client,
							    .hosts = c->hosts,
							    .secrets = c->secrets,
							    .hardware = c->hardware,
							    .records = c->records_informer });
	return c;
}

void host_controller_start(struct host_controller *c, struct provisioner *prov)
{
	c->prov = prov;
	kube_informer_start(c->hosts);
	kube_informer_start(c->secrets);
	kube_informer_start(c->hardware);
	kube_informer_start(c->records_informer);
}

/* Of one that has decided nothing, nothing is lost. */
static void leave_undecided(struct host_controller *c)
{
	map_for_each(&c->memories, i) {
		struct run *r = ((struct host_memory *)c->memories.entries[i].value)->run;
		if (r && !r->decided)
			finish(r, KUBE_DONE, 0);
	}
}

static void on_orphans_over(void *data)
{
	struct host_controller *c = data;
	records_drain(c->records, c->drained, c->drained_data);
}

static void on_passes_over(void *data)
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
	leave_undecided(c);
	kube_queue_stop(c->queue, on_passes_over, c);
}

struct host_controller *host_controller_free(struct host_controller *c)
{
	if (!c)
		return NULL;
	map_for_each(&c->memories, i) {
		struct host_memory *m = c->memories.entries[i].value;
		if (m->run)
			run_free(m->run);
		memory_free(m);
	}
	map_done(&c->memories);
	orphans_free(c->orphans);
	kube_queue_free(c->queue);
	records_free(c->records);
	kube_informer_free(c->hosts);
	kube_informer_free(c->secrets);
	kube_informer_free(c->hardware);
	kube_informer_free(c->records_informer);
	free(c);
	return NULL;
}
