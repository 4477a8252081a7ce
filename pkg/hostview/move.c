/* The move of hosts between API servers (see move.h). The rules for objects are in transfer.c; this
 * file reads, writes and waits.
 *
 * Order is what makes an interruption harmless. A host exists at the target only paused until it is
 * gone at the source. It is removed at the source only when it carries our mark there, which it
 * gets when all copies are complete. So at any instant one of the two Ingots may act on it, or
 * none. */

#include "hostview/move.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/secret.h"
#include "base/mem.h"
#include "hostview/call.h"
#include "hostview/transfer.h"
#include "kube/watch.h"

static const struct kube_resource hardware_data = { "metal3.io", "v1alpha1", "hardwaredata",
						    "HardwareData", KUBE_PER_HOST };
static const struct kube_resource secrets = { "", "v1", "secrets", "Secret", KUBE_NAMESPACED };
static const struct kube_resource namespaces = { "", "v1", "namespaces", "Namespace",
						 KUBE_CLUSTER };

struct move {
	struct hostview *from, *to;
	const struct move_options *options;
	struct json *hosts, *records, *hardware; /* at the source, arrays */
	struct map places;			 /* namespace → its UID at the source (char *) */
	struct transfer_uids uids;		 /* values owned here */
	bool same_key;
	bool changed, late; /* while waiting */
	struct timer limit;
};

static void say(const struct move *m, const char *fmt, ...) _printf_(2, 3);
static void say(const struct move *m, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	m->options->say(m->options->data, line);
}

/* --- reading the source ----------------------------------------------------------------------- */

static void forget_source(struct move *m)
{
	m->hosts = json_free(m->hosts);
	m->records = json_free(m->records);
	m->hardware = json_free(m->hardware);
}

static int read_source(struct move *m, struct err *err)
{
	forget_source(m);
	int r = hostview_list(m->from, &hostview_hosts, m->from->ns, &m->hosts, err);
	if (r == 0)
		r = hostview_list(m->from, &hostview_records, m->from->ns, &m->records, err);
	if (r == 0)
		r = hostview_list(m->from, &hardware_data, m->from->ns, &m->hardware, err);
	return r < 0 ? err_wrap(err, "source") : 0;
}

static const struct json *record_of(const struct move *m, const struct json *host)
{
	return hostview_find(m->records, kube_namespace(host), kube_name(host));
}

/* The UID that the namespace has at the source: names the source in what is written at the target.
 */
static int place_of(struct move *m, const char *ns, const char **ret, struct err *err)
{
	char *uid = map_get(&m->places, ns);
	if (!uid) {
		_cleanup_(json_freep) struct json *object = NULL;
		int r = hostview_get(m->from, &namespaces, NULL, ns, &object, err);
		if (r < 0)
			return err_wrap(err, "source");
		uid = xstrdup(str_or(kube_uid(object), "?"));
		map_set(&m->places, ns, uid);
	}
	*ret = uid;
	return 0;
}

static int moved_from(struct move *m, const struct json *host, char **ret, struct err *err)
{
	const char *place = NULL;
	int r = place_of(m, kube_namespace(host), &place, err);
	if (r == 0)
		*ret = xasprintf("%s/%s", place, kube_uid(host));
	return r;
}

/* NULL without an error: there is none. */
static int look_for(struct hostview *c, const struct kube_resource *r, const char *ns,
		    const char *name, struct json **ret, struct err *err)
{
	struct err own = { 0 };
	*ret = NULL;
	if (hostview_get(c, r, ns, name, ret, &own) == 0 || own.kind == ERR_NOT_FOUND)
		return 0;
	return err_copy(err, &own);
}

/* --- before anything is changed --------------------------------------------------------------- */

static int check_kinds(struct move *m, struct err *err)
{
	static const struct kube_resource *const kinds[] = { &hostview_hosts, &hostview_records,
							     &hardware_data };
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		_cleanup_(json_freep) struct json *list = NULL;
		struct err own = { 0 };
		if (hostview_list(m->to, kinds[i], m->from->ns, &list, &own) == 0)
			continue;
		if (own.code == 404)
			return err_set(err, ERR_NOT_FOUND,
				       "the target does not know %s.%s: install the CRDs there "
				       "first (kubectl apply -f crds/)",
				       kinds[i]->plural, kinds[i]->group);
		err_copy(err, &own);
		return err_wrap(err, "target");
	}
	return 0;
}

/* Is there another host of that name? One that we have begun to copy is none. */
static int check_host(struct move *m, const struct json *host, struct err *err)
{
	_cleanup_(json_freep) struct json *there = NULL;
	_cleanup_(freep) char *origin = NULL;
	const char *ns = kube_namespace(host), *name = kube_name(host);
	int r = moved_from(m, host, &origin, err);
	if (r == 0)
		r = look_for(m->to, &hostview_hosts, ns, name, &there, err);
	if (r < 0 || !there || streq(transfer_annotation(there, TRANSFER_MOVED_FROM), origin))
		return r;
	if (streq(kube_uid(there), kube_uid(host)))
		return err_set(err, ERR_INVALID, "source and target are the same API server");
	return err_set(err, ERR_EXISTS,
		       "the target has another host %s/%s already: rename or delete one of the two",
		       ns, name);
}

static int check_secret(struct move *m, const char *ns, const char *name, struct err *err)
{
	_cleanup_(json_freep) struct json *here = NULL, *there = NULL;
	int r = look_for(m->from, &secrets, ns, name, &here, err);
	if (r == 0 && here)
		r = look_for(m->to, &secrets, ns, name, &there, err);
	if (r < 0 || !there || transfer_same_secret(here, there))
		return r;
	return err_set(err, ERR_EXISTS,
		       "the target has another Secret %s/%s already, with other data: "
		       "rename or delete one of the two",
		       ns, name);
}

static int check_secrets(struct move *m, const struct json *host, struct err *err)
{
	_cleanup_(json_freep) struct json *names = transfer_secrets(host);
	int r = 0;
	json_for_each(n, names) {
		if (r == 0)
			r = check_secret(m, kube_namespace(host), json_string(n), err);
	}
	return r;
}

static int check_all(struct move *m, struct err *err)
{
	int r = check_kinds(m, err);
	json_for_each(host, m->hosts) {
		if (r == 0)
			r = check_host(m, host, err);
		if (r == 0 && !transfer_is_leaving(host))
			r = check_secrets(m, host, err);
	}
	return r;
}

static int compare_keys(struct move *m, bool *ret_absent, struct err *err)
{
	_cleanup_(json_freep) struct json *here = NULL, *there = NULL;
	int r = look_for(m->from, &secrets, m->options->own_ns, SECRET_ENGINE, &here, err);
	if (r == 0)
		r = look_for(m->to, &secrets, m->options->own_ns, SECRET_ENGINE, &there, err);
	*ret_absent = here && !there;
	m->same_key = !here || !there || transfer_same_secret(here, there);
	return r;
}

static int show_plan(struct move *m, struct err *err)
{
	bool absent;
	int r = compare_keys(m, &absent, err);
	json_for_each(host, m->hosts) {
		_cleanup_(freep) char *why = transfer_obstacle(host, record_of(m, host));
		_cleanup_(json_freep) struct json *names = transfer_secrets(host);
		say(m, "%s/%s (%s): would go, with %zu Secrets%s%s", kube_namespace(host),
		    kube_name(host),
		    str_or(json_get_path_string(host, "status.provisioning.state"), "new"),
		    json_count(names), why ? "; would be waited for: " : "", why ? why : "");
	}
	if (r == 0 && (absent || !m->same_key))
		say(m, "Secret %s/%s: %s", m->options->own_ns, SECRET_ENGINE,
		    absent ? "would be copied"
			   : "another is there, and stays: ramdisks that run now are forgotten");
	return r;
}

/* --- settle ----------------------------------------------------------------------------------- */

static struct json *note_patch(const char *key, const char *value)
{
	struct json *patch = json_new_object();
	struct json *notes = json_make_object(json_make_object(patch, "metadata"), "annotations");
	json_set(notes, key, json_new_string(value));
	return patch;
}

/* On condition that it is still the host that was looked at. */
static int annotate(struct move *m, const struct json *host, const char *key, const char *value,
		    struct err *err)
{
	_cleanup_(json_freep) struct json *patch = note_patch(key, value);
	json_set_string(json_get_mut(patch, "metadata"), "resourceVersion",
			kube_resource_version(host));
	return hostview_patch(m->from, &hostview_hosts, kube_namespace(host), kube_name(host), NULL,
			      patch, NULL, err);
}

/* Pauses those that are at rest, lets go of those that were paused too early. *ret_settled: nothing
 * had to be done. */
static int settle_once(struct move *m, bool *ret_settled, char **ret_why, struct err *err)
{
	*ret_settled = true;
	json_for_each(host, m->hosts) {
		char *why = transfer_obstacle(host, record_of(m, host));
		bool ours = transfer_is_paused_by_us(host);
		bool paused = transfer_annotation(host, TRANSFER_PAUSED) != NULL;
		struct err own = { 0 };
		int r = 0;
		if (why && ours)
			r = annotate(m, host, TRANSFER_PAUSED, NULL, &own);
		else if (!why && !paused && !transfer_is_leaving(host))
			r = annotate(m, host, TRANSFER_PAUSED, TRANSFER_MARK, &own);
		*ret_settled &= !why && (paused || transfer_is_leaving(host));
		if (why)
			str_replace(ret_why, NULL);
		if (why)
			*ret_why = xasprintf("host %s/%s: %s", kube_namespace(host),
					     kube_name(host), why);
		free(why);
		/* Changed since it was read: it is looked at again. */
		if (r < 0 && own.kind != ERR_CONFLICT)
			return err_copy(err, &own);
	}
	return 0;
}

static void on_change(void *data, struct json **object)
{
	struct move *m = data;
	(void)object;
	m->changed = true;
	loop_stop(m->from->loop);
}

static void on_listed(void *data, const char *resource_version)
{
	(void)data, (void)resource_version;
}

static void on_limit(void *data)
{
	struct move *m = data;
	m->late = true;
	loop_stop(m->from->loop);
}

static int settle_while_watching(struct move *m, struct err *err)
{
	_cleanup_(freep) char *why = NULL, *told = NULL;
	bool settled = false;
	int r = 0;
	while (r == 0) {
		m->changed = false;
		str_replace(&why, NULL);
		r = read_source(m, err);
		if (r == 0)
			r = settle_once(m, &settled, &why, err);
		if (r < 0 || settled)
			return r;
		if (why && !streq(why, told))
			say(m, "waiting: %s", why);
		str_replace(&told, why);
		while (!m->changed && !m->late)
			loop_run(m->from->loop);
		if (m->late)
			r = err_set(err, ERR_BUSY,
				    "not at rest: %s; wait for its end, or give it more time with "
				    "--timeout (nothing was moved)",
				    why ? why : "hosts are being changed");
	}
	return r;
}

/* Not all of them came to rest: those that did go on. */
static void resume(struct move *m)
{
	struct err err = { 0 };
	int r = read_source(m, &err);
	json_for_each(host, m->hosts) {
		if (r == 0 && transfer_is_paused_by_us(host) && !transfer_is_leaving(host))
			r = annotate(m, host, TRANSFER_PAUSED, NULL, &err);
	}
	if (r < 0)
		say(m, "hosts are left paused (annotation %s: %s): %s", TRANSFER_PAUSED,
		    TRANSFER_MARK, err.text);
}

static int settle(struct move *m, struct err *err)
{
	const struct kube_watch_handlers handlers = { .apply = on_change,
						      .listed = on_listed,
						      .remove = on_change };
	struct kube_watch_options o = { .resource = &hostview_hosts, .ns = m->from->ns };
	struct kube_watch *hosts = kube_watch_new(m->from->client, &o, &handlers, m);
	o.resource = &hostview_records;
	struct kube_watch *records = kube_watch_new(m->from->client, &o, &handlers, m);
	timer_init(&m->limit, m->from->loop, "settle", on_limit, m);
	timer_set_in(&m->limit, m->options->patience);
	int r = settle_while_watching(m, err);
	timer_stop(&m->limit);
	kube_watch_free(hosts);
	kube_watch_free(records);
	if (r < 0)
		resume(m);
	return r;
}

/* --- copy ------------------------------------------------------------------------------------- */

static int make_namespace(struct move *m, const char *ns, struct err *err)
{
	_cleanup_(json_freep) struct json *there = NULL, *o = json_new_object();
	int r = look_for(m->to, &namespaces, NULL, ns, &there, err);
	if (r < 0 || there)
		return r;
	json_set_string(o, "apiVersion", "v1");
	json_set_string(o, "kind", "Namespace");
	json_set_string(json_make_object(o, "metadata"), "name", ns);
	struct err own = { 0 };
	r = hostview_create(m->to, &namespaces, o, NULL, &own);
	return r < 0 && own.kind != ERR_EXISTS ? err_copy(err, &own) : 0;
}

/* Creates the object, or makes what an interrupted move has left equal to it. */
static int put(struct move *m, const struct kube_resource *r, struct json *object,
	       struct json **ret, struct err *err)
{
	_cleanup_(json_freep) struct json *there = NULL;
	struct json *meta = json_get_mut(object, "metadata");
	int n = look_for(m->to, r, kube_namespace(object), kube_name(object), &there, err);
	if (n == 0 && !there)
		n = hostview_create(m->to, r, object, ret, err);
	else if (n == 0) {
		json_set_string(meta, "resourceVersion", kube_resource_version(there));
		json_set_string(meta, "uid", kube_uid(there));
		n = hostview_update(m->to, r, object, ret, err);
	}
	return n < 0 ? err_wrap(err, "target") : 0;
}

static int copy_engine_secret(struct move *m, struct err *err)
{
	_cleanup_(json_freep) struct json *here = NULL, *copy = NULL;
	bool absent;
	int r = compare_keys(m, &absent, err);
	if (r < 0 || !absent)
		return r;
	r = make_namespace(m, m->options->own_ns, err);
	if (r == 0)
		r = hostview_get(m->from, &secrets, m->options->own_ns, SECRET_ENGINE, &here, err);
	if (r < 0)
		return r;
	copy = transfer_copy(here, NULL);
	r = put(m, &secrets, copy, NULL, err);
	if (r == 0)
		say(m, "Secret %s/%s: copied", m->options->own_ns, SECRET_ENGINE);
	return r;
}

static void note_uid(struct move *m, const struct json *from, const struct json *to)
{
	free(map_set(&m->uids.map, kube_uid(from), xstrdup(kube_uid(to))));
}

static int find_copy(struct move *m, const struct json *host, struct json **ret, struct err *err)
{
	int r = look_for(m->to, &hostview_hosts, kube_namespace(host), kube_name(host), ret, err);
	if (r < 0 || *ret)
		return r;
	return err_set(err, ERR_NOT_FOUND,
		       "host %s/%s is marked as copied, but the target has no copy: take the "
		       "annotation %s off at the source to have it copied anew",
		       kube_namespace(host), kube_name(host), TRANSFER_LEAVING);
}

/* One that is leaving has its copy, whatever of it is still here. */
static int copy_host(struct move *m, const struct json *host, struct err *err)
{
	_cleanup_(json_freep) struct json *there = NULL, *copy = NULL;
	_cleanup_(freep) char *origin = NULL;
	int r = moved_from(m, host, &origin, err);
	if (r == 0 && transfer_is_leaving(host))
		r = find_copy(m, host, &there, err);
	else if (r == 0)
		r = make_namespace(m, kube_namespace(host), err);
	if (r == 0 && !there) {
		copy = transfer_host(host, origin);
		r = put(m, &hostview_hosts, copy, &there, err);
	}
	if (r == 0)
		note_uid(m, host, there);
	return r;
}

/* A Secret that is not there is no reason to stop: the host knows how to wait for it. One that is
 * at the target already is equal, and may serve other hosts there: it is left as it is. */
static int copy_secret(struct move *m, const char *ns, const char *name, struct err *err)
{
	_cleanup_(json_freep) struct json *here = NULL, *there = NULL, *copy = NULL;
	int r = look_for(m->from, &secrets, ns, name, &here, err);
	if (r == 0 && here)
		r = look_for(m->to, &secrets, ns, name, &there, err);
	if (r < 0 || !here || there)
		return r;
	copy = transfer_copy(here, &m->uids);
	return put(m, &secrets, copy, NULL, err);
}

static int copy_secrets(struct move *m, const struct json *host, struct err *err)
{
	_cleanup_(json_freep) struct json *names = transfer_secrets(host);
	int r = 0;
	json_for_each(n, names) {
		if (r == 0)
			r = copy_secret(m, kube_namespace(host), json_string(n), err);
	}
	return r;
}

static int copy_hardware(struct move *m, const struct json *host, struct err *err)
{
	const struct json *here = hostview_find(m->hardware, kube_namespace(host), kube_name(host));
	_cleanup_(json_freep) struct json *copy = here ? transfer_copy(here, &m->uids) : NULL;
	return copy ? put(m, &hardware_data, copy, NULL, err) : 0;
}

/* Read anew: it is the record of the last moment before the host is marked that counts. */
static int copy_record(struct move *m, const struct json *host, struct err *err)
{
	_cleanup_(json_freep) struct json *here = NULL, *copy = NULL;
	int r = look_for(m->from, &hostview_records, kube_namespace(host), kube_name(host), &here,
			 err);
	if (r < 0 || !here)
		return r;
	copy = transfer_record(here, &m->uids, m->same_key);
	return put(m, &hostview_records, copy, NULL, err);
}

static int copy_status(struct move *m, const struct json *host, struct err *err)
{
	const char *ns = kube_namespace(host);
	const char *bmc = json_get_path_string(host, "spec.bmc.credentialsName");
	_cleanup_(json_freep) struct json *from = NULL, *to = NULL, *patch = json_new_object();
	int r = 0;
	if (!str_empty(bmc))
		r = look_for(m->from, &secrets, ns, bmc, &from, err);
	if (r == 0 && from)
		r = look_for(m->to, &secrets, ns, bmc, &to, err);
	if (r < 0 || !json_is_object(json_get(host, "status")))
		return r;
	json_set(patch, "status",
		 transfer_status(host, map_get(&m->uids.map, kube_uid(host)), from, to));
	r = hostview_patch(m->to, &hostview_hosts, ns, kube_name(host), "status", patch, NULL, err);
	return r < 0 ? err_wrap(err, "target") : 0;
}

/* With the host's own version as condition: whoever has changed it meanwhile ends this move, and
 * the next one copies it again. */
static int mark(struct move *m, const struct json *host, struct err *err)
{
	struct err own = { 0 };
	int r = annotate(m, host, TRANSFER_LEAVING, TRANSFER_MARK, &own);
	if (r < 0 && own.kind == ERR_CONFLICT)
		return err_set(err, ERR_CONFLICT,
			       "host %s/%s was changed while it was copied: run the move again",
			       kube_namespace(host), kube_name(host));
	return r < 0 ? err_copy(err, &own) : 0;
}

typedef int (*step_fn)(struct move *m, const struct json *host, struct err *err);

static int each(struct move *m, bool leaving, step_fn fn, struct err *err)
{
	int r = 0;
	json_for_each(host, m->hosts) {
		if (r == 0 && (leaving || !transfer_is_leaving(host)))
			r = fn(m, host, err);
	}
	return r;
}

static int copy_all(struct move *m, struct err *err)
{
	static const step_fn steps[] = { copy_secrets, copy_hardware, copy_record, copy_status,
					 mark };
	int r = copy_engine_secret(m, err);
	/* All of them, for Secrets have owners among them. */
	if (r == 0)
		r = each(m, true, copy_host, err);
	for (size_t i = 0; i < ARRAY_SIZE(steps) && r == 0; i++)
		r = each(m, false, steps[i], err);
	if (r == 0 && json_count(m->hosts) > 0)
		say(m, "%zu hosts: copied", json_count(m->hosts));
	return r;
}

/* --- remove ----------------------------------------------------------------------------------- */

/* Without its finalizers; one that is gone is gone. */
static int remove_object(struct move *m, const struct kube_resource *r, const char *ns,
			 const char *name, struct err *err)
{
	_cleanup_(json_freep) struct json *here = NULL, *patch = json_new_object();
	struct err own = { 0 };
	int n = look_for(m->from, r, ns, name, &here, err);
	if (n < 0 || !here)
		return n;
	n = hostview_delete(m->from, r, ns, name, kube_uid(here), err);
	if (n < 0 || json_count(json_get_path(here, "metadata.finalizers")) == 0)
		return n;
	struct json *meta = json_make_object(patch, "metadata");
	json_set_string(meta, "uid", kube_uid(here));
	json_set(meta, "finalizers", json_new_null());
	n = hostview_patch(m->from, r, ns, name, NULL, patch, NULL, &own);
	return n < 0 && own.kind != ERR_NOT_FOUND ? err_copy(err, &own) : 0;
}

/* The host last but one, because it says that all this has to be done; the record after it, so that
 * an Ingot that still holds the host cannot make a new one. */
static int remove_host(struct move *m, const struct json *host, struct err *err)
{
	const char *ns = kube_namespace(host), *name = kube_name(host);
	_cleanup_(json_freep) struct json *names = transfer_secrets(host);
	int r = remove_object(m, &hardware_data, ns, name, err);
	json_for_each(n, names) {
		if (r == 0)
			r = remove_object(m, &secrets, ns, json_string(n), err);
	}
	if (r == 0)
		r = remove_object(m, &hostview_hosts, ns, name, err);
	if (r == 0)
		r = remove_object(m, &hostview_records, ns, name, err);
	if (r == 0)
		say(m, "%s/%s: moved", ns, name);
	return r < 0 ? err_wrap(err, "source") : 0;
}

/* --- finish ----------------------------------------------------------------------------------- */

/* Ours, and gone at the source: nobody acts on it until it is let go. */
static int has_arrived(struct move *m, const struct json *copy, bool *ret, struct err *err)
{
	const char *origin = transfer_annotation(copy, TRANSFER_MOVED_FROM);
	const char *place = NULL;
	struct err own = { 0 };
	*ret = false;
	if (!origin)
		return 0;
	/* A namespace that the source does not have: it came from somewhere else. */
	if (place_of(m, kube_namespace(copy), &place, &own) < 0)
		return own.kind == ERR_NOT_FOUND ? 0 : err_copy(err, &own);
	*ret = place && str_has_prefix(origin, place) && origin[strlen(place)] == '/' &&
	       !hostview_find(m->hosts, kube_namespace(copy), kube_name(copy));
	return 0;
}

static int let_go(struct move *m, const struct json *copy, struct err *err)
{
	_cleanup_(json_freep) struct json *patch = note_patch(TRANSFER_MOVED_FROM, NULL);
	struct json *notes = json_get_mut(json_get_mut(patch, "metadata"), "annotations");
	json_set(notes, TRANSFER_STATUS, json_new_null());
	if (transfer_is_paused_by_us(copy))
		json_set(notes, TRANSFER_PAUSED, json_new_null());
	int r = hostview_patch(m->to, &hostview_hosts, kube_namespace(copy), kube_name(copy), NULL,
			       patch, NULL, err);
	if (r == 0)
		say(m, "%s/%s: at the target%s", kube_namespace(copy), kube_name(copy),
		    transfer_is_paused_by_us(copy) ? "" : ", paused as it was");
	return r < 0 ? err_wrap(err, "target") : 0;
}

static int finish(struct move *m, struct err *err)
{
	_cleanup_(json_freep) struct json *copies = NULL;
	int r = read_source(m, err);
	if (r == 0)
		r = hostview_list(m->to, &hostview_hosts, m->from->ns, &copies, err);
	json_for_each(copy, copies) {
		bool arrived = false;
		if (r == 0)
			r = has_arrived(m, copy, &arrived, err);
		if (r == 0 && arrived)
			r = let_go(m, copy, err);
	}
	return r;
}

/* --- the whole -------------------------------------------------------------------------------- */

static int move(struct move *m, struct err *err)
{
	int r = read_source(m, err);
	if (r == 0)
		r = check_all(m, err);
	if (r == 0 && json_count(m->hosts) == 0)
		say(m, "no hosts at the source");
	if (r < 0 || m->options->dry_run)
		return r < 0 ? r : show_plan(m, err);
	r = settle(m, err);
	if (r == 0)
		r = copy_all(m, err);
	if (r == 0)
		r = read_source(m, err);
	json_for_each(host, m->hosts) {
		if (r == 0 && transfer_is_leaving(host))
			r = remove_host(m, host, err);
	}
	return r < 0 ? r : finish(m, err);
}

static void free_values(struct map *map)
{
	map_for_each(map, i)
		free(map->entries[i].value);
	map_done(map);
}

int move_run(struct hostview *from, struct hostview *to, const struct move_options *options,
	     struct err *err)
{
	struct move m = { .from = from, .to = to, .options = options };
	int r = move(&m, err);
	forget_source(&m);
	free_values(&m.places);
	free_values(&m.uids.map);
	return r;
}
