/* HostRecords: see records.h. A save is one create or update; its answer goes back to the engine,
 * conflicts included. */

#include "ctrl/shell/records.h"

#include <stdlib.h>
#include <string.h>

#include "api/bmh.h"
#include "base/list.h"
#include "base/mem.h"
#include "ctrl/resources.h"
#include "ctrl/shell/finalizers.h"

struct records {
	struct kube_client *client;
	struct kube_informer *informer;
	struct list saves;
	loop_fn drained;
	void *drained_data;
	struct timer drained_timer;
};

struct save {
	struct list link;
	struct records *records;
	struct kube_op *op;
	struct timer failure; /* key: it is set */
	char *key;
	prov_saved_fn done;
	void *data;
	char *ns, *name;
	struct err *conflict; /* NULL: none met */
};

static void on_drained(void *data)
{
	struct records *r = data;
	loop_fn fn = TAKE_PTR(r->drained);
	if (fn)
		fn(r->drained_data);
}

static void check_drained(struct records *r)
{
	if (r->drained && list_empty(&r->saves))
		timer_set_in(&r->drained_timer, 0);
}

void records_drain(struct records *r, loop_fn fn, void *data)
{
	r->drained = fn;
	r->drained_data = data;
	check_drained(r);
}

struct records *records_new(struct kube_client *client, struct kube_informer *informer)
{
	struct records *r = xcalloc(1, sizeof(*r));
	r->client = client;
	r->informer = informer;
	list_init(&r->saves);
	timer_init(&r->drained_timer, kube_client_loop(client), "records drained", on_drained, r);
	return r;
}

static void save_free(struct save *s)
{
	list_unlink(&s->link);
	kube_cancel(s->op);
	if (s->key)
		timer_stop(&s->failure);
	err_keep(&s->conflict, NULL);
	free(s->key), free(s->ns), free(s->name);
	free(s);
}

struct records *records_free(struct records *r)
{
	if (!r)
		return NULL;
	list_for_each_safe(l, &r->saves)
		save_free(list_entry(l, struct save, link));
	timer_stop(&r->drained_timer);
	free(r);
	return NULL;
}

struct json *records_object(const struct records *r, const char *key)
{
	const struct kube_object *o = kube_informer_get_key(r->informer, key);
	return o ? kube_object_parse(o) : NULL;
}

struct json *records_get(const struct records *r, const char *key)
{
	_cleanup_(json_freep) struct json *object = records_object(r, key);
	return json_take(object, "spec");
}

static void answer(struct save *s, const struct err *err)
{
	struct records *r = s->records;
	prov_saved_fn done = s->done;
	void *done_data = s->data;
	save_free(s);
	done(done_data, err);
	check_drained(r);
}

/* Whatever came of it, the answer is the conflict. */
static void on_read(void *data, const struct err *err, struct json **found)
{
	struct save *s = data;
	struct err conflict = *s->conflict;
	s->op = NULL;
	if (!err && *found)
		kube_informer_note_read(s->records->informer, *found);
	answer(s, &conflict);
}

/* The engine reads it again at once, and the cache may be behind, or hold what a server that was
 * restored from a backup does not know any more. */
static void read_again(struct save *s, const struct err *err)
{
	struct records *r = s->records;
	err_keep(&s->conflict, err);
	s->conflict->kind = ERR_CONFLICT; /* also when it was made since we looked */
	s->op = kube_get(r->client, &resource_record, s->ns, s->name, on_read, s);
}

static void on_saved(void *data, const struct err *err, struct json **stored)
{
	struct save *s = data;
	s->op = NULL;
	if (err && (err->kind == ERR_CONFLICT || err->kind == ERR_EXISTS)) {
		read_again(s, err);
		return;
	}
	if (!err && *stored)
		kube_informer_note_written(s->records->informer, *stored);
	answer(s, err);
}

static struct json *new_object(const char *key, const char *uid)
{
	const char *slash = strchr(key, '/');
	_cleanup_(freep) char *ns = xstrndup(key, (size_t)(slash - key));
	struct json *o = json_new_object();
	json_set_string(o, "apiVersion", API_OWN_VERSION);
	json_set_string(o, "kind", "HostRecord");
	struct json *meta = json_make_object(o, "metadata");
	json_set_string(meta, "name", slash + 1);
	json_set_string(meta, "namespace", ns);
	json_append(json_set(meta, "ownerReferences", json_new_array()),
		    api_owner_reference(API_VERSION, "BareMetalHost", slash + 1, uid, false));
	return o;
}

/* Without it a namespace that is deleted, or a deletion in the foreground, takes the record away
 * while its host is still being cleaned up by it. An object that is being deleted takes no new one.
 */
static void guard(struct json *object)
{
	struct json *meta = json_get_mut(object, "metadata");
	if (json_get_string(meta, "deletionTimestamp") ||
	    finalizers_have(json_get(meta, "finalizers"), RECORD_FINALIZER))
		return;
	struct json *list = json_set(
		meta, "finalizers",
		finalizers_without(json_get(meta, "finalizers"), RECORD_FINALIZER));
	json_append(list, json_new_string(RECORD_FINALIZER));
}

bool records_unguarded(const struct records *r, const char *key)
{
	_cleanup_(json_freep) struct json *object = records_object(r, key);
	return object && !json_get_path(object, "metadata.deletionTimestamp") &&
	       !finalizers_have(json_get_path(object, "metadata.finalizers"), RECORD_FINALIZER);
}

/* Members of the spec that the provisioner does not name stay as they are: another release may know
 * them. Those that it names as null go. */
static void merge_spec(struct json *object, const struct json *record, const char *uid)
{
	struct json *spec = json_make_object(object, "spec");
	if (!streq(json_get_string(spec, "hostUID"), uid))
		spec = json_set(object, "spec", json_new_object());
	json_for_each(member, record) {
		json_remove(spec, json_key(member));
		if (!json_is_null(member))
			json_set(spec, json_key(member), json_dup(member));
	}
}

static void on_fail(void *data)
{
	struct save *s = data;
	struct err err;
	err_set(&err, ERR_BUSY,
		"the HostRecord %s of an earlier host of that name is still being deleted", s->key);
	on_saved(s, &err, NULL);
}

/* What would be written to it would go with it in a moment. */
static void fail_later(struct save *s, const char *key)
{
	s->key = xstrdup(key);
	timer_init(&s->failure, kube_client_loop(s->records->client), "record save", on_fail, s);
	timer_set_in(&s->failure, 0);
}

void records_save(void *records, const char *key, const char *uid, const struct json *record,
		  prov_saved_fn done, void *done_data)
{
	struct records *r = records;
	struct save *s = xcalloc(1, sizeof(*s));
	*s = (struct save){ .records = r, .done = done, .data = done_data };
	const char *slash = strchr(key, '/');
	s->ns = xstrndup(key, (size_t)(slash - key));
	s->name = xstrdup(slash + 1);
	list_append(&r->saves, &s->link);
	const struct kube_object *known = kube_informer_get_key(r->informer, key);
	_cleanup_(json_freep) struct json *object = known ? kube_object_parse(known)
							  : new_object(key, uid);
	bool of_another = known && !streq(json_get_path_string(object, "spec.hostUID"), uid);
	if (of_another && known->deleting) {
		fail_later(s, key);
		return;
	}
	if (of_another) {
		/* Left over from a host of the same name that is gone. */
		_cleanup_(json_freep) struct json *fresh = new_object(key, uid);
		struct json *owners = json_take(json_get_mut(fresh, "metadata"), "ownerReferences");
		json_set(json_get_mut(object, "metadata"), "ownerReferences", owners);
	}
	merge_spec(object, record, uid);
	guard(object);
	s->op = known ? kube_update(r->client, &resource_record, object, on_saved, s)
		      : kube_create(r->client, &resource_record, object, on_saved, s);
}
