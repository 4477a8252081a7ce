/* Finalizers of ours whose host is gone: see orphans.h. A key of the queue is
 * "plural/namespace/name"; each run looks at the object as it is then, and makes one write that is
 * bound to its version. */

#include "ctrl/orphans.h"

#include <stdlib.h>
#include <string.h>

#include "api/bmh.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "ctrl/resources.h"
#include "ctrl/shell/finalizers.h"
#include "kube/queue.h"

struct orphans {
	struct orphans_options options;
	struct kube_queue *queue;
	struct list runs;
};

enum orphan_kind { ORPHAN_SECRET, ORPHAN_HARDWARE, ORPHAN_RECORD, _ORPHAN_MAX };

static const struct {
	const struct kube_resource *resource;
	const char *finalizer;
} kinds[_ORPHAN_MAX] = {
	[ORPHAN_SECRET] = { &resource_secret, SECRET_FINALIZER },
	[ORPHAN_HARDWARE] = { &resource_hardware_data, HARDWARE_FINALIZER },
	[ORPHAN_RECORD] = { &resource_record, RECORD_FINALIZER },
};

static struct kube_informer *informer_of(const struct orphans *o, enum orphan_kind kind)
{
	switch (kind) {
	case ORPHAN_SECRET:
		return o->options.secrets;
	case ORPHAN_HARDWARE:
		return o->options.hardware;
	case ORPHAN_RECORD:
		return o->options.records;
	case _ORPHAN_MAX:
		break;
	}
	return NULL;
}

/* --- who needs it ----------------------------------------------------------------------------- */

static const struct kube_object *owner_alive(const struct orphans *o, const struct json *object)
{
	json_for_each(owner, json_get_path(object, "metadata.ownerReferences")) {
		if (!streq(json_get_string(owner, "kind"), "BareMetalHost"))
			continue;
		const struct kube_object *host = kube_informer_get(
			o->options.hosts, kube_namespace(object),
			str_or(json_get_string(owner, "name"), ""));
		if (host && streq(host->uid, json_get_string(owner, "uid")))
			return host;
	}
	return NULL;
}

static int names_credentials(void *data, struct kube_object *host)
{
	_cleanup_(json_freep) struct json *tree = kube_object_parse(host);
	return streq(json_get_path_string(tree, "spec.bmc.credentialsName"), data);
}

/* A host that has come back by a restore names its Secret before it owns it. */
static bool secret_needed(const struct orphans *o, const struct json *secret, const char *key)
{
	if (owner_alive(o, secret))
		return true;
	return kube_informer_each_indexed(o->options.hosts, "secret", key, names_credentials,
					  (void *)(uintptr_t)kube_name(secret)) != 0;
}

/* --- runs ------------------------------------------------------------------------------------- */

struct orphan_run {
	struct list link;
	struct orphans *orphans;
	enum orphan_kind kind;
	char *key; /* of the queue */
	struct json *object;
	struct kube_op *op;
};

static void finish(struct orphan_run *r, enum kube_verdict verdict)
{
	struct orphans *o = r->orphans;
	_cleanup_(freep) char *key = TAKE_PTR(r->key);
	list_unlink(&r->link);
	kube_cancel(r->op);
	json_free(r->object);
	free(r);
	kube_queue_finish(o->queue, key, verdict, 0);
}

static void on_released(void *data, const struct err *err, struct json **answer)
{
	struct orphan_run *r = data;
	(void)answer;
	r->op = NULL;
	bool gone = err && err->kind == ERR_NOT_FOUND;
	if (err && !gone && err->kind != ERR_CONFLICT)
		log_warn("cannot take out a finalizer; trying again", "object", r->key, "finalizer",
			 kinds[r->kind].finalizer, "error", err->text);
	else if (!err)
		log_info("finalizer taken out: no host needs the object", "object", r->key,
			 "finalizer", kinds[r->kind].finalizer);
	finish(r, err && !gone ? KUBE_RETRY : KUBE_DONE);
}

static void release(struct orphan_run *r)
{
	struct kube_client *client = r->orphans->options.client;
	const char *finalizer = kinds[r->kind].finalizer;
	struct json *left = finalizers_without(json_get_path(r->object, "metadata.finalizers"),
					       finalizer);
	/* Of HostRecords we may update, of the others patch. */
	if (r->kind == ORPHAN_RECORD) {
		json_set(json_get_mut(r->object, "metadata"), "finalizers", left);
		r->op = kube_update(client, &resource_record, r->object, on_released, r);
		return;
	}
	_cleanup_(json_freep) struct json *patch = json_new_object();
	struct json *meta = json_make_object(patch, "metadata");
	json_set_string(meta, "resourceVersion", kube_resource_version(r->object));
	json_set(meta, "finalizers", left);
	r->op = kube_patch(client, kinds[r->kind].resource, kube_namespace(r->object),
			   kube_name(r->object), NULL, KUBE_PATCH_MERGE, patch, on_released, r);
}

/* --- is the namespace being deleted? ---------------------------------------------------------- */

/* Asked by a dry run, because few may read namespaces: an API server refuses what is new in one
 * that is being deleted before it looks at it. */
static void on_asked(void *data, const struct err *err, struct json **answer)
{
	struct orphan_run *r = data;
	(void)answer;
	r->op = NULL;
	if (!err || err->kind == ERR_INVALID)
		release(r);
	else if (kube_is_terminating(err))
		finish(r, KUBE_DONE); /* its host is being deleted, too, and lets go of it */
	else
		finish(r, KUBE_RETRY);
}

static void ask_namespace(struct orphan_run *r)
{
	_cleanup_(json_freep) struct json *probe = json_new_object();
	json_set_string(probe, "apiVersion", API_OWN_VERSION);
	json_set_string(probe, "kind", "HostRecord");
	struct json *meta = json_make_object(probe, "metadata");
	json_set_string(meta, "generateName", "probe-");
	json_set_string(meta, "namespace", kube_namespace(r->object));
	r->op = kube_create_dry(r->orphans->options.client, &resource_record, probe, on_asked, r);
}

/* --- one object ------------------------------------------------------------------------------- */

static void judge(struct orphan_run *r, const char *object_key)
{
	struct orphans *o = r->orphans;
	const struct kube_object *host = owner_alive(o, r->object);
	switch (r->kind) {
	case ORPHAN_SECRET:
		if (secret_needed(o, r->object, object_key))
			break;
		release(r);
		return;
	case ORPHAN_HARDWARE:
		if (host)
			break;
		release(r);
		return;
	case ORPHAN_RECORD:
		if (host && host->deleting)
			break;
		if (host)
			ask_namespace(r);
		else
			release(r);
		return;
	case _ORPHAN_MAX:
		break;
	}
	finish(r, KUBE_DONE);
}

static void start_run(void *data, const char *key)
{
	struct orphans *o = data;
	const char *slash = strchr(key, '/');
	size_t kind = 0;
	while (strncmp(kinds[kind].resource->plural, key, (size_t)(slash - key)) != 0)
		kind++;
	const struct kube_object *now = kube_informer_get_key(
		informer_of(o, (enum orphan_kind)kind), slash + 1);
	_cleanup_(json_freep) struct json *object = now && now->deleting ? kube_object_parse(now)
									 : NULL;
	if (!finalizers_have(json_get_path(object, "metadata.finalizers"), kinds[kind].finalizer)) {
		kube_queue_finish(o->queue, key, KUBE_DONE, 0);
		return;
	}
	struct orphan_run *r = xcalloc(1, sizeof(*r));
	*r = (struct orphan_run){ .orphans = o,
				  .kind = (enum orphan_kind)kind,
				  .key = xstrdup(key),
				  .object = TAKE_PTR(object) };
	list_append(&o->runs, &r->link);
	judge(r, slash + 1);
}

/* --- triggers --------------------------------------------------------------------------------- */

static void add(struct orphans *o, enum orphan_kind kind, const struct kube_object *object)
{
	if (!object || !object->deleting)
		return;
	_cleanup_(freep) char *key = xasprintf("%s/%s", kinds[kind].resource->plural, object->key);
	kube_queue_add(o->queue, key);
}

static void on_secret(void *data, struct kube_object *now)
{
	add(data, ORPHAN_SECRET, now);
}

static void on_hardware(void *data, struct kube_object *now)
{
	add(data, ORPHAN_HARDWARE, now);
}

static void on_record(void *data, struct kube_object *now)
{
	add(data, ORPHAN_RECORD, now);
}

static void on_secret_update(void *data, struct kube_object *before, struct kube_object *now)
{
	(void)before;
	add(data, ORPHAN_SECRET, now);
}

static void on_hardware_update(void *data, struct kube_object *before, struct kube_object *now)
{
	(void)before;
	add(data, ORPHAN_HARDWARE, now);
}

static void on_record_update(void *data, struct kube_object *before, struct kube_object *now)
{
	(void)before;
	add(data, ORPHAN_RECORD, now);
}

static int add_secret(void *data, struct kube_object *o)
{
	add(data, ORPHAN_SECRET, o);
	return 0;
}

static void on_host_gone(void *data, struct kube_object *last)
{
	struct orphans *o = data;
	add(o, ORPHAN_HARDWARE, kube_informer_get_key(o->options.hardware, last->key));
	add(o, ORPHAN_RECORD, kube_informer_get_key(o->options.records, last->key));
	kube_informer_each_indexed(o->options.secrets, "owner", last->uid, add_secret, o);
}

/* --- life ------------------------------------------------------------------------------------- */

struct orphans *orphans_new(const struct orphans_options *options)
{
	static const struct kube_informer_handlers secrets = { .add = on_secret,
							       .update = on_secret_update };
	static const struct kube_informer_handlers hardware = { .add = on_hardware,
								.update = on_hardware_update };
	static const struct kube_informer_handlers records = { .add = on_record,
							       .update = on_record_update };
	static const struct kube_informer_handlers hosts = { .remove = on_host_gone };
	struct orphans *o = xcalloc(1, sizeof(*o));
	o->options = *options;
	list_init(&o->runs);
	o->queue = kube_queue_new(&(struct kube_queue_options){ .loop = options->loop,
								.name = "orphans",
								.max_runs = 4,
								.backoff_max = USEC_PER_MIN,
								.run = start_run,
								.data = o });
	kube_informer_handle(options->secrets, &secrets, o);
	kube_informer_handle(options->hardware, &hardware, o);
	kube_informer_handle(options->records, &records, o);
	kube_informer_handle(options->hosts, &hosts, o);
	return o;
}

struct orphans *orphans_free(struct orphans *o)
{
	if (!o)
		return NULL;
	list_for_each_safe(l, &o->runs) {
		struct orphan_run *r = list_entry(l, struct orphan_run, link);
		list_unlink(&r->link);
		kube_cancel(r->op);
		json_free(r->object);
		free(r->key);
		free(r);
	}
	kube_queue_free(o->queue);
	free(o);
	return NULL;
}

void orphans_start(struct orphans *o)
{
	kube_queue_start(o->queue);
}

void orphans_stop(struct orphans *o, loop_fn drained, void *data)
{
	kube_queue_stop(o->queue, drained, data);
}
