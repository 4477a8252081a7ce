/* The shell of controllers with a second kind: a ConfigMap that names a Secret in data.secret gets
 * its digest in data.seen. On the embedded API server and the virtual clock. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "apiserver/apiserver.h"
#include "apiserver/transport.h"
#include "base/log.h"
#include "base/mem.h"
#include "ctrl/resources.h"
#include "ctrl/shell/controller.h"

static const struct kube_resource resource_config_map = { "", "v1", "configmaps", "ConfigMap",
							  KUBE_NAMESPACED };

struct rig {
	struct loop *loop;
	struct apiserver *api;
	struct kube_transport *transport;
	struct kube_client *client;
	struct kube_informer *maps, *secrets; /* the controller's */
	struct controller *controller;
	unsigned reconciles, stored, removed, forgotten, synced, drained;
	bool stale, leaving; /* the next one decides from an older version; lets the object go */
	unsigned pending;
};

/* --- the definition --------------------------------------------------------------------------- */

static void *bind_map(const struct json *object, struct err *err)
{
	const char *secret = json_get_path_string(object, "data.secret");
	if (!secret)
		err_set(err, ERR_INVALID, "data.secret is missing");
	return secret ? xstrdup(secret) : NULL;
}

static void names(const void *bound, const char *out[FACTS_MAX])
{
	out[0] = bound;
}

static char *signature(void *data, const struct facts *f)
{
	(void)data;
	return xstrdup(str_or(json_get_path_string(f->object, "data.secret"), ""));
}

static void write_map(const struct facts *f, const char *seen, const char *version,
		      struct outcome *ret)
{
	struct json *patch = json_new_object();
	json_set_string(json_make_object(patch, "metadata"), "resourceVersion", version);
	json_set_string(json_make_object(patch, "data"), "seen", seen);
	outcome_write(ret, &(struct write){ .verb = WRITE_MERGE_PATCH,
					    .resource = &resource_config_map,
					    .ns = xstrdup(kube_namespace(f->object)),
					    .name = xstrdup(kube_name(f->object)),
					    .body = patch });
}

static void reconcile(void *data, const struct facts *f, struct outcome *ret)
{
	struct rig *rig = data;
	const char *value = json_get_path_string(f->named[0].object, "data.value");
	rig->reconciles++;
	if (rig->leaving)
		ret->next.kind = NEXT_GONE;
	else if (f->named[0].state == FACT_MISSING)
		ret->next = (struct next){ NEXT_BACKOFF, USEC_PER_HOUR };
	else if (!streq(value, json_get_path_string(f->object, "data.seen")))
		write_map(f, value,
			  rig->stale ? "1"
				     : json_get_path_string(f->object, "metadata.resourceVersion"),
			  ret);
	rig->stale = false;
	outcome_event(ret, false, "Seen", xstrdup("a test"));
}

static void stored(void *data, const struct facts *f, const struct outcome *o)
{
	struct rig *rig = data;
	assert_string_equal(f->key, "default/a");
	assert_int_equal(o->event_count, 1);
	rig->stored++;
}

static void removed(void *data, const char *key)
{
	assert_string_equal(key, "default/a");
	((struct rig *)data)->removed++;
}

static void forget(void *data, const char *key)
{
	assert_string_equal(key, "default/a");
	((struct rig *)data)->forgotten++;
}

static void synced(void *data)
{
	struct rig *rig = data;
	rig->synced++;
	assert_int_equal(rig->reconciles, 0);
	assert_null(controller_waits(rig->controller));
}

static void own_key(void *data, const struct kube_object *o, kube_emit_fn emit, void *arg)
{
	(void)data;
	if (streq(o->name, "a")) /* there are others in a new cluster */
		emit(arg, o->key);
}

static bool map_changed(void *data, struct kube_object *before, struct kube_object *now)
{
	(void)data;
	_cleanup_(json_freep) struct json *a = kube_object_parse(before);
	_cleanup_(json_freep) struct json *b = kube_object_parse(now);
	return !streq(json_get_path_string(a, "data.secret"),
		      json_get_path_string(b, "data.secret"));
}

static void secret_keys(void *data, const struct kube_object *o, kube_emit_fn emit, void *arg)
{
	(void)data, (void)o;
	emit(arg, "default/a");
}

/* --- the rig ---------------------------------------------------------------------------------- */

static struct kube_informer *informer(struct rig *rig, const struct kube_resource *resource,
				      const char *selector)
{
	return kube_informer_new(rig->client, &(struct kube_informer_options){
						      .watch = { .resource = resource,
								 .label_selector = selector } });
}

static void make_controller(struct rig *rig)
{
	rig->maps = informer(rig, &resource_config_map, NULL);
	rig->secrets = informer(rig, &resource_secret, "cached=yes");
	rig->controller = controller_new(
		rig->loop, rig->client,
		&(struct controller_def){
			.name = "configmap",
			.noun = "configmap",
			.errors = METRIC_HOST_RECONCILE_ERRORS,
			.concurrency = 1,
			.backoff_max = USEC_PER_SEC,
			.caches = { { &resource_config_map, rig->maps, "no list of configmaps yet",
				      own_key, map_changed },
				    { &resource_secret, rig->secrets, "no list of secrets yet",
				      secret_keys, NULL } },
			.wants = { { &resource_secret, rig->secrets } },
			.bind = bind_map,
			.unbind = free,
			.names = names,
			.signature = signature,
			.reconcile = reconcile,
			.stored = stored,
			.removed = removed,
			.forget = forget,
			.synced = synced,
			.data = rig,
		});
}

static void keep_quiet(void *data, enum log_level level, const char *line)
{
	(void)data, (void)level, (void)line;
}

static int setup(void **state)
{
	struct rig *rig = xcalloc(1, sizeof(*rig));
	struct err err = { 0 };
	log_set_sink(keep_quiet, NULL);
	rig->loop = loop_new_virtual(1, UINT64_C(1767225600) * USEC_PER_SEC);
	if (apiserver_new(&(struct apiserver_options){ .loop = rig->loop, .path = ":memory:" },
			  &rig->api, &err) < 0)
		fail_msg("%s", err.text);
	rig->transport = apiserver_transport_new(&(struct apiserver_transport_options){
		.loop = rig->loop, .server_loop = rig->loop, .server = rig->api });
	rig->client = kube_client_new(&(struct kube_client_options){
		.loop = rig->loop, .transport = rig->transport, .qps = -1 });
	make_controller(rig);
	*state = rig;
	return 0;
}

static void pass_time(struct rig *rig, usec_t span)
{
	loop_run_until(rig->loop, loop_now(rig->loop) + span);
}

static int teardown(void **state)
{
	struct rig *rig = *state;
	controller_free(rig->controller);
	kube_client_free(rig->client);
	rig->transport->ops->free(rig->transport);
	pass_time(rig, USEC_PER_SEC);
	apiserver_free(rig->api);
	loop_free(rig->loop);
	free(rig);
	return 0;
}

static void on_answer(void *data, const struct err *err, struct json **answer)
{
	(void)answer;
	if (err)
		fail_msg("%s", err->text);
	((struct rig *)data)->pending--;
}

static void settle(struct rig *rig)
{
	while (rig->pending)
		pass_time(rig, 10 * USEC_PER_MSEC);
	pass_time(rig, USEC_PER_SEC);
}

static void create(struct rig *rig, const struct kube_resource *resource, const char *text)
{
	_cleanup_(json_freep) struct json *j = NULL;
	assert_int_equal(json_parse(text, strlen(text), &j, NULL), 0);
	rig->pending++;
	kube_create(rig->client, resource, j, on_answer, rig);
	settle(rig);
}

#define MAP                                                                                        \
	"{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\","              \
	"\"namespace\":\"default\"},\"data\":{\"secret\":\"s\"}}"
#define SECRET(labels, value)                                                                      \
	"{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\","                 \
	"\"namespace\":\"default\"" labels "},\"data\":{\"value\":\"" value "\"}}"

static void patch_map(struct rig *rig, const char *text)
{
	_cleanup_(json_freep) struct json *j = NULL;
	assert_int_equal(json_parse(text, strlen(text), &j, NULL), 0);
	rig->pending++;
	kube_patch(rig->client, &resource_config_map, "default", "a", NULL, KUBE_PATCH_MERGE, j,
		   on_answer, rig);
	settle(rig);
}

static void assert_seen(struct rig *rig, const char *value)
{
	const struct kube_object *o = kube_informer_get_key(rig->maps, "default/a");
	_cleanup_(json_freep) struct json *j = o ? kube_object_parse(o) : NULL;
	assert_string_equal(str_or(json_get_path_string(j, "data.seen"), ""), value);
}

static void begin(struct rig *rig)
{
	assert_string_equal(controller_waits(rig->controller), "no list of configmaps yet");
	controller_start(rig->controller);
	pass_time(rig, USEC_PER_SEC);
	assert_int_equal(rig->synced, 1);
}

/* --- cases ------------------------------------------------------------------------------------ */

/* A Secret that no cache has is asked for; its outcome is written, and wakes nobody. */
static void test_write(void **state)
{
	struct rig *rig = *state;
	begin(rig);
	create(rig, &resource_secret, SECRET("", "eA=="));
	unsigned removals = rig->removed; /* there is no such ConfigMap yet */
	create(rig, &resource_config_map, MAP);
	assert_seen(rig, "eA==");
	assert_int_equal(rig->reconciles, 1);
	assert_int_equal(rig->stored, 1);
	assert_int_equal(rig->removed, removals);
}

/* One that the cache holds kicks what names it. */
static void test_kicked_by_another_kind(void **state)
{
	struct rig *rig = *state;
	begin(rig);
	create(rig, &resource_config_map, MAP);
	assert_seen(rig, "");
	create(rig, &resource_secret, SECRET(",\"labels\":{\"cached\":\"yes\"}", "eQ=="));
	/* Still the back-off: of this definition only data.secret ends it. */
	assert_seen(rig, "");
	pass_time(rig, USEC_PER_HOUR);
	assert_seen(rig, "eQ==");
}

/* A back-off holds against kicks, and ends with the signature. */
static void test_backoff(void **state)
{
	struct rig *rig = *state;
	begin(rig);
	create(rig, &resource_config_map, MAP);
	assert_int_equal(rig->reconciles, 1);
	usec_t next = controller_next(rig->controller, "default/a");
	assert_in_range(next - loop_now(rig->loop), USEC_PER_HOUR - USEC_PER_MIN, USEC_PER_HOUR);
	controller_kick(rig->controller, "default/a");
	pass_time(rig, USEC_PER_MIN);
	assert_int_equal(rig->reconciles, 1);
	patch_map(rig, "{\"data\":{\"secret\":\"t\"}}");
	assert_int_equal(rig->reconciles, 2);
}

/* What was decided from an older version is decided again, and told once. */
static void test_conflict(void **state)
{
	struct rig *rig = *state;
	begin(rig);
	create(rig, &resource_secret, SECRET("", "eA=="));
	rig->stale = true;
	create(rig, &resource_config_map, MAP);
	assert_seen(rig, "eA==");
	assert_int_equal(rig->reconciles, 2);
	assert_int_equal(rig->stored, 1);
}

/* What cannot be bound is not reconciled, but tried again. */
static void test_unbound(void **state)
{
	struct rig *rig = *state;
	begin(rig);
	create(rig, &resource_secret, SECRET("", "eA=="));
	create(rig, &resource_config_map,
	       "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\","
	       "\"namespace\":\"default\"}}");
	assert_int_equal(rig->reconciles, 0);
	patch_map(rig, "{\"data\":{\"secret\":\"s\"}}");
	assert_seen(rig, "eA==");
}

static void test_removed(void **state)
{
	struct rig *rig = *state;
	begin(rig);
	rig->leaving = true;
	create(rig, &resource_config_map, MAP);
	assert_int_equal(rig->forgotten, 1);
	assert_int_equal(rig->removed, 0);
	rig->pending++;
	kube_delete(rig->client, &resource_config_map, "default", "a", NULL, on_answer, rig);
	settle(rig);
	assert_int_equal(rig->removed, 1);
	assert_int_equal(rig->forgotten, 2);
}

static void on_drained(void *data)
{
	((struct rig *)data)->drained++;
}

static void test_stop(void **state)
{
	struct rig *rig = *state;
	begin(rig);
	controller_stop(rig->controller, on_drained, rig);
	create(rig, &resource_config_map, MAP);
	assert_int_equal(rig->drained, 1);
	assert_int_equal(rig->reconciles, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_write),	 T(test_kicked_by_another_kind),
		T(test_backoff), T(test_conflict),
		T(test_unbound), T(test_removed),
		T(test_stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
