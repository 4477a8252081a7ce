/* The shell around certs_plan.h. All replicas watch the Secret and serve its pair. The leader
 * compares what is with what should be, and does one thing at a time: look at the configuration,
 * patch its bundles, or write the Secret. Each answer, each change of the Secret and a timer lead
 * back to reconcile(). Writes are conditional on resourceVersion; what fails is tried again.
 *
 * Ages count from when this process saw something, so a new leader waits anew, which is the safe
 * side. A configuration that does not exist, or may not be read, counts as told: nobody is asked
 * then. Core thread. */

#include "admission/certs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admission/certs_plan.h"
#include "base/log.h"
#include "base/mem.h"
#include "kube/watch.h"
#include "metrics/metrics.h"

enum { LOOK_S = 60, RETRY_S = 2 };

static const struct kube_resource secrets = { "", "v1", "secrets", "Secret", KUBE_NAMESPACED };
static const struct kube_resource configurations = { "admissionregistration.k8s.io", "v1",
						     "validatingwebhookconfigurations",
						     "ValidatingWebhookConfiguration",
						     KUBE_CLUSTER };

struct certs {
	struct certs_options o;
	struct loop *loop;
	char *selector;
	struct kube_watch *watch;
	bool listed, found; /* the Secret's absence is known; it was in the list */
	bool leading;
	char *expected; /* version of our own write that the watch has not brought yet */
	/* While a write of ours is under way: the versions that the watch brought, each behind a
	 * space, and whether it began anew. The answer may come after its own event. */
	struct strbuf brought;
	bool restarted;
	struct certs_set set;
	usec_t leaf_since, bundle_since; /* monotonic; 0: not yet */
	usec_t look_at;			 /* at the configuration, again */
	struct kube_op *op;
	struct timer timer;
	char *complaint; /* told once */
};

static void reconcile(struct certs *c);
static void take_set(struct certs *c, const struct json *secret);

static void complain(struct certs *c, const char *what, const struct err *err)
{
	if (!streq(c->complaint, err->text))
		log_warn(what, "error", err->text);
	str_replace(&c->complaint, err->text);
	timer_set_in(&c->timer, RETRY_S * USEC_PER_SEC);
}

static usec_t age(const struct certs *c, usec_t since)
{
	return since ? loop_now(c->loop) - since : 0;
}

static struct certs_facts facts(const struct certs *c)
{
	return (struct certs_facts){ .wall = loop_wall(c->loop),
				     .lifetime = c->o.lifetime,
				     .names = c->o.names,
				     .bundle_age = age(c, c->bundle_since),
				     .leaf_age = age(c, c->leaf_since) };
}

/* --- the configuration ------------------------------------------------------------------------ */

/* A configuration that was not there when the next CA was made must still be found in time for the
 * bundle to settle before the certificate ends: so by a part of that time only. */
static usec_t look_interval(const struct certs *c)
{
	return MIN(certs_settle(c->o.lifetime) / 4, LOOK_S * USEC_PER_SEC);
}

static void bundle_stands(struct certs *c)
{
	c->bundle_since = c->bundle_since ? c->bundle_since : loop_now(c->loop);
	c->look_at = loop_now(c->loop) + look_interval(c);
	str_replace(&c->complaint, NULL);
	reconcile(c);
}

static void on_patched(void *data, const struct err *err, struct json **answer)
{
	struct certs *c = data;
	(void)answer;
	c->op = NULL;
	if (err) {
		complain(c, "webhook certificates: the bundle cannot be written", err);
		return;
	}
	log_info("webhook certificates: bundle written", "configuration", c->o.configuration);
	bundle_stands(c);
}

static void add_op(struct json *patch, const char *op, const char *path, const char *value)
{
	struct json *o = json_append(patch, json_new_object());
	json_set_string(o, "op", op);
	json_set_string(o, "path", path);
	json_set_string(o, "value", value);
}

/* NULL: each webhook has the bundle already. The test makes the patch conditional. */
static struct json *bundle_patch(const struct json *configuration, const char *bundle)
{
	struct json *patch = json_new_array();
	size_t i = 0, wrong = 0;
	add_op(patch, "test", "/metadata/resourceVersion", kube_resource_version(configuration));
	json_for_each(webhook, json_get(configuration, "webhooks")) {
		_cleanup_(freep) char *path = xasprintf("/webhooks/%zu/clientConfig/caBundle", i++);
		if (streq(json_get_path_string(webhook, "clientConfig.caBundle"), bundle))
			continue;
		add_op(patch, "add", path, bundle);
		wrong++;
	}
	return wrong ? patch : json_free(patch);
}

static void on_configuration(void *data, const struct err *err, struct json **answer)
{
	struct certs *c = data;
	_cleanup_(freep) char *pem = certs_bundle(&c->set);
	_cleanup_(freep) char *bundle = base64_encode(pem, strlen(pem));
	c->op = NULL;
	if (err && err->kind == ERR_NOT_FOUND) {
		log_debug("webhook certificates: no configuration", "name", c->o.configuration);
		bundle_stands(c);
		return;
	}
	if (err) {
		complain(c, "webhook certificates: the configuration cannot be read", err);
		return;
	}
	_cleanup_(json_freep) struct json *patch = bundle_patch(*answer, bundle);
	if (!patch) {
		bundle_stands(c);
		return;
	}
	c->bundle_since = 0;
	c->op = kube_patch(c->o.client, &configurations, NULL, c->o.configuration, NULL,
			   KUBE_PATCH_JSON, patch, on_patched, c);
}

/* --- the Secret ------------------------------------------------------------------------------- */

/* Did the watch bring this version of ours, or will its list? It may have skipped that one for a
 * later one then. */
static bool came_before(const struct certs *c, const char *version)
{
	_cleanup_(freep) char *word = xasprintf(" %s ", version);
	return c->restarted || (c->brought.data && strstr(c->brought.data, word));
}

/* After a conflict the watch brings what another has written. */
static void on_written(void *data, const struct err *err, struct json **answer)
{
	struct certs *c = data;
	c->op = NULL;
	if (err && err->kind != ERR_CONFLICT && err->kind != ERR_EXISTS) {
		complain(c, "webhook certificates: the Secret cannot be written", err);
	} else if (err) {
		timer_set_in(&c->timer, RETRY_S * USEC_PER_SEC);
	} else if (came_before(c, kube_resource_version(*answer))) {
		reconcile(c);
	} else {
		str_replace(&c->expected, kube_resource_version(*answer));
		take_set(c, *answer);
	}
}

static void write_set(struct certs *c, const struct certs_set *set)
{
	_cleanup_(json_freep) struct json *o = json_new_object();
	struct json *meta = json_make_object(o, "metadata");
	strbuf_done(&c->brought);
	c->restarted = false;
	json_set(o, "data", certs_data(set));
	if (set->version) {
		json_set_string(meta, "resourceVersion", set->version);
		c->op = kube_patch(c->o.client, &secrets, c->o.ns, c->o.secret, NULL,
				   KUBE_PATCH_MERGE, o, on_written, c);
		return;
	}
	json_set_string(o, "apiVersion", "v1");
	json_set_string(o, "kind", "Secret");
	json_set_string(meta, "name", c->o.secret);
	json_set_string(meta, "namespace", c->o.ns);
	for (struct json *v = json_first_mut(json_get_mut(o, "data")), *next; v; v = next) {
		next = json_next_mut(v);
		if (json_is_null(v))
			json_remove(json_get_mut(o, "data"), json_key(v));
	}
	c->op = kube_create(c->o.client, &secrets, o, on_written, c);
}

static void dup_pair(const struct crypt_pair *from, struct crypt_pair *ret)
{
	*ret = (struct crypt_pair){ xstrdup(from->cert), xstrdup(from->key) };
}

static void dup_set(const struct certs_set *from, struct certs_set *ret)
{
	*ret = (struct certs_set){ .version = xstrdup(from->version),
				   .previous = xstrdup(from->previous),
				   .names = xstrdup(from->names) };
	dup_pair(&from->ca, &ret->ca);
	dup_pair(&from->next, &ret->next);
	dup_pair(&from->leaf, &ret->leaf);
}

static void take_step(struct certs *c, enum certs_step step)
{
	_cleanup_(certs_set_done) struct certs_set set = { 0 };
	struct certs_facts f = facts(c);
	struct err err = { 0 };
	dup_set(&c->set, &set); /* what is served stays until the write is seen */
	if (certs_take_step(step, &set, &f, &err) < 0) {
		complain(c, "webhook certificates", &err);
		return;
	}
	log_info("webhook certificates", "step", certs_step_name(step));
	write_set(c, &set);
}

/* --- what to do ------------------------------------------------------------------------------- */

/* The bundle comes before all but what makes a set usable at all. */
static void reconcile(struct certs *c)
{
	struct certs_facts f = facts(c);
	usec_t wait, now = loop_now(c->loop);
	if (!c->leading || !c->listed || c->op)
		return;
	enum certs_step step = certs_next(&c->set, &f, &wait);
	bool first = step == CERTS_RESTART || step == CERTS_RENEW;
	if (!first && now >= c->look_at) {
		c->op = kube_get(c->o.client, &configurations, NULL, c->o.configuration,
				 on_configuration, c);
	} else if (step != CERTS_REST) {
		take_step(c, step);
	} else {
		usec_t look = c->look_at - now;
		timer_set_in(&c->timer, wait ? MIN(wait, look) : look);
	}
}

static void on_timer(void *data)
{
	reconcile(data);
}

/* A Secret without a usable certificate is one that cannot be read; none at all is no reading. */
static void count_reading(const struct certs *c, const struct json *secret)
{
	if (!secret)
		return;
	metric_add(METRIC_CERT_READS, 1);
	metric_add(METRIC_CERT_READ_ERRORS, c->set.leaf.cert == NULL);
}

/* The set is another: the bundle is to be looked at, and the pair served if it is another. */
static void take_set(struct certs *c, const struct json *secret)
{
	_cleanup_(freep) char *before = certs_bundle(&c->set);
	_cleanup_(freep) char *leaf = xstrdup(c->set.leaf.cert);
	certs_set_done(&c->set);
	certs_read(secret, &c->set);
	count_reading(c, secret);
	_cleanup_(freep) char *now = certs_bundle(&c->set);
	c->look_at = 0;
	if (!streq(before, now))
		c->bundle_since = 0;
	if (c->set.leaf.cert && !streq(leaf, c->set.leaf.cert)) {
		c->leaf_since = loop_now(c->loop);
		c->o.serve(c->o.data, &c->set.leaf);
	}
	reconcile(c);
}

/* --- the watch -------------------------------------------------------------------------------- */

static void on_restart(void *data)
{
	struct certs *c = data;
	c->found = false;
	c->restarted = true;
	str_replace(&c->expected, NULL);
}

/* What comes before our own write comes late: it is older. */
static void on_apply(void *data, struct json **object)
{
	struct certs *c = data;
	c->listed = c->found = true;
	if (c->op)
		strbuf_addf(&c->brought, " %s ", kube_resource_version(*object));
	if (!c->expected)
		take_set(c, *object);
	else if (streq(c->expected, kube_resource_version(*object)))
		str_replace(&c->expected, NULL);
}

static void on_absent(struct certs *c)
{
	c->listed = true;
	str_replace(&c->expected, NULL);
	take_set(c, NULL);
}

static void on_listed(void *data, const char *resource_version)
{
	struct certs *c = data;
	(void)resource_version;
	if (!c->found)
		on_absent(c);
}

static void on_remove(void *data, struct json **object)
{
	(void)object;
	on_absent(data);
}

/* Its failures are in the log already. */
static const struct kube_watch_handlers handlers = {
	.restart = on_restart, .apply = on_apply, .listed = on_listed, .remove = on_remove
};

/* --- life ------------------------------------------------------------------------------------- */

struct certs *certs_new(const struct certs_options *options)
{
	struct certs *c = xcalloc(1, sizeof(*c));
	c->o = *options;
	c->loop = kube_client_loop(options->client);
	c->selector = xasprintf("metadata.name=%s", options->secret);
	timer_init(&c->timer, c->loop, "webhook certificates", on_timer, c);
	const struct kube_watch_options watch = { .resource = &secrets,
						  .ns = options->ns,
						  .field_selector = c->selector };
	c->watch = kube_watch_new(options->client, &watch, &handlers, c);
	return c;
}

void certs_lead(struct certs *c)
{
	c->leading = true;
	reconcile(c);
}

struct certs *certs_free(struct certs *c)
{
	if (!c)
		return NULL;
	kube_watch_free(c->watch);
	kube_cancel(c->op);
	timer_stop(&c->timer);
	certs_set_done(&c->set);
	strbuf_done(&c->brought);
	free(c->selector);
	free(c->expected);
	free(c->complaint);
	free(c);
	return NULL;
}
