/* The webhook's certificates on a virtual clock, against a small API server: a Secret, a
 * configuration, watches. The claim: at every moment of several rotations, whatever pair a replica
 * serves is of a CA that the bundle names which an API server holds, though replicas and API
 * servers hear of each change late, and whoever dies when. OpenSSL verifies. */

#include "unit/kube/fake.h"

#include <openssl/pem.h>
#include <openssl/x509.h>

#include "admission/certs.h"
#include "admission/certs_plan.h"
#include "metrics/metrics.h"
#include "json/patch.h"

#define DAY	 (24 * USEC_PER_HOUR)
#define LIFETIME (2 * USEC_PER_HOUR) /* the shortest that has the longest settling */
#define NAMES	 "ingot-webhook.ns.svc,10.0.0.1"

/* How late news arrive: less than certs_settle(). */
#define LAG (8 * USEC_PER_MIN)

struct replica {
	struct world *world;
	struct certs *certs;
	struct crypt_pair served;
	unsigned changes;
};

struct world {
	struct fake *fake;
	struct json *secret, *configuration;
	unsigned rv, refuse; /* refuse: answers of 500 to come */
	char *seen;	     /* bundle that an API server holds, base64 */
	struct timer news_of_bundle, news_of_secret;
	struct replica replicas[2];
	bool stop_at_write, damaged;
	bool no_configuration;
	bool news_first; /* watches hear of a write before its answer comes */
};

static void tell_watches(void *data);

/* --- the API server --------------------------------------------------------------------------- */

static void stamp(struct world *w, struct json *o)
{
	char rv[16];
	if (w->stop_at_write)
		loop_stop(w->fake->loop);
	snprintf(rv, sizeof(rv), "%u", ++w->rv);
	json_set_string(json_make_object(o, "metadata"), "resourceVersion", rv);
}

static void reply_json(struct kube_call *c, int status, const struct json *j)
{
	_cleanup_(freep) char *text = json_to_string(j);
	fake_reply(c, status, text);
}

static const char *bundle_of(const struct world *w)
{
	return str_or(json_get_path_string(json_at(json_get(w->configuration, "webhooks"), 1),
					   "clientConfig.caBundle"),
		      "");
}

static void patch_configuration(struct world *w, struct kube_call *c)
{
	_cleanup_(json_freep) struct json *patch = NULL;
	assert_int_equal(json_parse(c->body, strlen(c->body), &patch, NULL), 0);
	if (json_patch(&w->configuration, patch, NULL) < 0) {
		fake_refuse(c, 422, "Invalid");
		return;
	}
	stamp(w, w->configuration);
	timer_set_in(&w->news_of_bundle, LAG);
	reply_json(c, 200, w->configuration);
}

static void write_secret(struct world *w, struct kube_call *c)
{
	_cleanup_(json_freep) struct json *body = NULL;
	bool create = streq(c->method, "POST");
	assert_int_equal(json_parse(c->body, strlen(c->body), &body, NULL), 0);
	const char *rv = json_get_path_string(body, "metadata.resourceVersion");
	if (create ? w->secret != NULL
		   : !streq(rv, json_get_path_string(w->secret, "metadata.resourceVersion"))) {
		fake_refuse(c, 409, create ? "AlreadyExists" : "Conflict");
		return;
	}
	w->secret = w->secret ? w->secret : json_new_object();
	json_merge_patch(&w->secret, body);
	stamp(w, w->secret);
	if (w->news_first)
		tell_watches(w);
	else
		timer_set_in(&w->news_of_secret, LAG);
	reply_json(c, 200, w->secret);
}

static void list_secrets(const struct world *w, struct kube_call *c)
{
	_cleanup_(freep) char *item = w->secret ? json_to_string(w->secret) : xstrdup("");
	_cleanup_(freep) char *body = xasprintf("{\"kind\":\"SecretList\",\"apiVersion\":\"v1\","
						"\"metadata\":{\"resourceVersion\":\"%u\"},"
						"\"items\":[%s]}",
						w->rv, item);
	fake_reply(c, 200, body);
}

/* Events reach all watches late. */
static void tell_watches(void *data)
{
	struct world *w = data;
	_cleanup_(freep) char *text = json_to_string(w->secret);
	list_for_each_safe(l, &w->fake->open) {
		struct kube_call *c = list_entry(l, struct kube_call, node);
		if (c->stream)
			fake_sendf(c, "{\"type\":\"MODIFIED\",\"object\":%s}\n", text);
	}
}

static void serve(struct fake *f, struct kube_call *c)
{
	struct world *w = f->data;
	bool configuration = strstr(c->path, "validatingwebhookconfigurations/ingot") != NULL;
	if (strstr(c->path, "watch=")) {
		fake_head(c, 200, -1);
		return;
	} /* tell_watches() */
	if (!streq(c->method, "GET") && w->refuse && w->refuse--)
		fake_refuse(c, 500, "InternalError");
	else if (configuration && w->no_configuration)
		fake_refuse(c, 404, "NotFound");
	else if (configuration && streq(c->method, "GET"))
		reply_json(c, 200, w->configuration);
	else if (configuration)
		patch_configuration(w, c);
	else if (streq(c->method, "GET"))
		list_secrets(w, c);
	else
		write_secret(w, c);
}

/* --- what must hold --------------------------------------------------------------------------- */

static X509 *read_x509(BIO *bio)
{
	return PEM_read_bio_X509(bio, NULL, NULL, NULL);
}

/* Verified at the virtual time. */
static bool verifies(const char *cert, const char *bundle64, usec_t wall)
{
	void *bundle = NULL;
	size_t len;
	if (base64_decode(bundle64, strlen(bundle64), &bundle, &len) < 0)
		return false;
	BIO *leaf_bio = BIO_new_mem_buf(cert, -1), *bio = BIO_new_mem_buf(bundle, (int)len);
	X509 *leaf = read_x509(leaf_bio);
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	for (X509 *ca; (ca = read_x509(bio));) {
		X509_STORE_add_cert(store, ca);
		X509_free(ca);
	}
	X509_STORE_CTX_init(ctx, store, leaf, NULL);
	X509_STORE_CTX_set_time(ctx, 0, (time_t)(wall / USEC_PER_SEC));
	bool ok = X509_verify_cert(ctx) == 1;
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	X509_free(leaf);
	BIO_free(leaf_bio);
	BIO_free(bio);
	free(bundle);
	return ok;
}

static void check(struct world *w)
{
	usec_t wall = loop_wall(w->fake->loop);
	for (size_t i = 0; w->seen && !w->damaged && i < 2; i++)
		if (w->replicas[i].certs && w->replicas[i].served.cert &&
		    !verifies(w->replicas[i].served.cert, w->seen, wall))
			fail_msg("minute %llu: replica %zu serves what the API server refuses",
				 (unsigned long long)(loop_now(w->fake->loop) / USEC_PER_MIN), i);
}

static void on_bundle_seen(void *data)
{
	struct world *w = data;
	str_replace(&w->seen, bundle_of(w));
	check(w);
}

static void on_serve(void *data, const struct crypt_pair *pair)
{
	struct replica *r = data;
	crypt_pair_release(&r->served);
	r->served = (struct crypt_pair){ xstrdup(pair->cert), xstrdup(pair->key) };
	r->changes++;
	check(r->world);
}

static void live(struct world *w, usec_t span)
{
	for (usec_t end = loop_now(w->fake->loop) + span; loop_now(w->fake->loop) < end;) {
		fake_sleep(w->fake, MIN(span, LIFETIME / 12));
		check(w);
	}
}

static void live_until_changes(struct world *w, size_t replica, unsigned changes)
{
	for (int i = 0; w->replicas[replica].changes < changes; i++) {
		assert_true(i < 1000);
		live(w, LIFETIME / 4);
	}
	live(w, LIFETIME / 4);
}

static struct certs_set set_of(const struct world *w)
{
	struct certs_set s;
	certs_read(w->secret, &s);
	return s;
}

/* --- the world -------------------------------------------------------------------------------- */

static void start(struct world *w, size_t i, const char *names)
{
	struct replica *r = &w->replicas[i];
	const struct certs_options o = { .client = w->fake->client,
					 .ns = "ns",
					 .secret = "ingot-webhook",
					 .configuration = "ingot",
					 .names = names,
					 .lifetime = LIFETIME,
					 .serve = on_serve,
					 .data = r };
	r->world = w;
	r->certs = certs_new(&o);
}

static void stop(struct world *w, size_t i)
{
	w->replicas[i].certs = certs_free(w->replicas[i].certs);
	crypt_pair_release(&w->replicas[i].served);
}

static struct world *world_new(void)
{
	static const char text[] = "{\"metadata\":{\"name\":\"ingot\",\"resourceVersion\":\"1\"},"
				   "\"webhooks\":[{\"name\":\"a\",\"clientConfig\":{}},"
				   "{\"name\":\"b\",\"clientConfig\":{\"caBundle\":\"eA==\"}}]}";
	struct world *w = xcalloc(1, sizeof(*w));
	w->fake = fake_new(7, &(struct kube_client_options){ .qps = -1 });
	w->fake->data = w;
	w->fake->serve = serve;
	w->rv = 1;
	timer_init(&w->news_of_bundle, w->fake->loop, "bundle", on_bundle_seen, w);
	timer_init(&w->news_of_secret, w->fake->loop, "secret", tell_watches, w);
	assert_int_equal(json_parse(text, sizeof(text) - 1, &w->configuration, NULL), 0);
	return w;
}

static void world_free(struct world *w)
{
	for (size_t i = 0; i < 2; i++)
		stop(w, i);
	timer_stop(&w->news_of_bundle);
	timer_stop(&w->news_of_secret);
	fake_free(w->fake);
	json_free(w->secret);
	json_free(w->configuration);
	free(w->seen);
	free(w);
}

/* --- tests ------------------------------------------------------------------------------------ */

/* A standby serves what the leader made, and makes nothing; three rotations. */
static void test_rotations(void **state)
{
	struct world *w = world_new();
	(void)state;
	start(w, 1, NAMES);
	live(w, LIFETIME / 4);
	assert_null(w->secret);
	start(w, 0, NAMES);
	certs_lead(w->replicas[0].certs);
	for (unsigned n = 1; n <= 4; n++) {
		live_until_changes(w, 0, n);
		assert_int_equal(w->replicas[1].changes, n);
		assert_string_equal(w->replicas[0].served.cert, w->replicas[1].served.cert);
		_cleanup_(certs_set_done) struct certs_set s = set_of(w);
		assert_null(s.next.cert);
		assert_null(s.previous);
		_cleanup_(freep) char *pem = certs_bundle(&s);
		_cleanup_(freep) char *bundle = base64_encode(pem, strlen(pem));
		assert_string_equal(bundle, bundle_of(w)); /* the old CA has left */
		assert_string_equal(pem, s.ca.cert);
	}
	usec_t took = loop_now(w->fake->loop);
	assert_true(took > 2 * LIFETIME && took < 4 * LIFETIME); /* three, each after two thirds */
	world_free(w);
}

/* The leader dies after each step, and sometimes its write was refused: the next one goes on. */
static void test_leaders_die(void **state)
{
	struct world *w = world_new();
	unsigned rv = 0;
	(void)state;
	w->stop_at_write = true;
	start(w, 1, NAMES);
	for (int deaths = 0; deaths < 24; deaths++) {
		w->refuse = (unsigned)deaths % 3;
		start(w, 0, NAMES);
		certs_lead(w->replicas[0].certs);
		loop_run_until(w->fake->loop, loop_now(w->fake->loop) + LIFETIME);
		assert_true(w->rv > rv || w->refuse == 0);
		check(w);
		rv = w->rv;
		stop(w, 0);
	}
	assert_true(w->replicas[1].changes >= 3);
	world_free(w);
}

/* Somebody applies the manifest again and takes the bundle away: it comes back. */
static void test_bundle_is_repaired(void **state)
{
	struct world *w = world_new();
	(void)state;
	start(w, 0, NAMES);
	certs_lead(w->replicas[0].certs);
	live(w, LIFETIME / 4);
	_cleanup_(freep) char *bundle = xstrdup(bundle_of(w));
	assert_true(strlen(bundle) > 100);
	json_remove(json_get_mut(json_at_mut(json_get_mut(w->configuration, "webhooks"), 1),
				 "clientConfig"),
		    "caBundle");
	stamp(w, w->configuration);
	fake_sleep(w->fake, 2 * USEC_PER_MIN);
	assert_string_equal(bundle_of(w), bundle);
	world_free(w);
}

/* Without a configuration nobody is asked; certificates are made and rotated all the same. */
static void test_no_configuration(void **state)
{
	struct world *w = world_new();
	(void)state;
	w->no_configuration = true;
	start(w, 0, NAMES);
	certs_lead(w->replicas[0].certs);
	live_until_changes(w, 0, 2);
	world_free(w);
}

/* Other names: another leaf, of the same CA. */
static void test_names(void **state)
{
	struct world *w = world_new();
	(void)state;
	start(w, 0, NAMES);
	certs_lead(w->replicas[0].certs);
	live(w, LIFETIME / 4);
	_cleanup_(certs_set_done) struct certs_set before = set_of(w);
	stop(w, 0);
	start(w, 0, "other.ns.svc");
	certs_lead(w->replicas[0].certs);
	live(w, LIFETIME / 4);
	_cleanup_(certs_set_done) struct certs_set after = set_of(w);
	assert_string_equal(before.ca.cert, after.ca.cert);
	assert_string_not_equal(before.leaf.cert, after.leaf.cert);
	assert_string_equal(after.names, "other.ns.svc");
	world_free(w);
}

static void check_readings(const char *readings, const char *failed)
{
	_cleanup_(strbuf_done) struct strbuf page = { 0 };
	_cleanup_(freep) char *all = xasprintf("\ncertwatcher_read_certificate_total %s\n",
					       readings);
	_cleanup_(freep) char *bad = xasprintf("\ncertwatcher_read_certificate_errors_total %s\n",
					       failed);
	metrics_text(&page);
	if (!strstr(page.data, all) || !strstr(page.data, bad))
		fail_msg("not %s and %s: %s", readings, failed,
			 strstr(page.data, "certwatcher_read"));
}

/* A Secret that somebody has damaged is mended at once; API servers refuse until they hear of it.
 * Readings: our own write, the damage, the mending. */
static void test_damaged(void **state)
{
	static const char *const keys[] = { "ca.key", "tls.key", "tls.crt", "ca.crt" };
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		struct world *w = world_new();
		metrics_reset();
		start(w, 0, NAMES);
		certs_lead(w->replicas[0].certs);
		live(w, LIFETIME / 4);
		check_readings("1", "0");
		_cleanup_(freep) char *was = xstrdup(w->replicas[0].served.cert);
		w->damaged = true;
		json_set_string(json_get_mut(w->secret, "data"), keys[i], "AAAA");
		stamp(w, w->secret);
		timer_set_in(&w->news_of_secret, LAG);
		fake_sleep(w->fake, LIFETIME / 4);
		_cleanup_(certs_set_done) struct certs_set s = set_of(w);
		assert_non_null(s.leaf.cert);
		assert_string_not_equal(was, w->replicas[0].served.cert);
		assert_true(verifies(w->replicas[0].served.cert, bundle_of(w),
				     loop_wall(w->fake->loop)));
		check_readings("3", strncmp(keys[i], "tls", 3) == 0 ? "1" : "0");
		world_free(w);
	}
}

/* An answer that comes after its own event, of another connection, is not waited for once more:
 * whatever comes later would be taken for older. */
static void test_news_before_the_answer(void **state)
{
	struct world *w = world_new();
	(void)state;
	start(w, 0, NAMES);
	certs_lead(w->replicas[0].certs);
	live(w, LIFETIME / 4);
	w->news_first = true;
	live_until_changes(w, 0, 2);
	_cleanup_(freep) char *was = xstrdup(w->replicas[0].served.cert);
	w->damaged = true;
	json_set_string(json_get_mut(w->secret, "data"), "tls.crt", "AAAA");
	stamp(w, w->secret);
	tell_watches(w);
	fake_sleep(w->fake, USEC_PER_MIN);
	_cleanup_(certs_set_done) struct certs_set s = set_of(w);
	assert_non_null(s.leaf.cert);
	assert_string_not_equal(was, s.leaf.cert);
	assert_string_equal(s.leaf.cert, w->replicas[0].served.cert);
	world_free(w);
}

/* What the plan says, row by row. */
static void test_plan(void **state)
{
	const usec_t settle = certs_settle(90 * DAY), now = FAKE_WALL;
	struct certs_facts f = { .wall = now, .lifetime = 90 * DAY, .names = NAMES };
	_cleanup_(certs_set_done) struct certs_set s = { 0 };
	usec_t wait;
	struct err err;
	(void)state;
	assert_int_equal(certs_next(&s, &f, &wait), CERTS_RESTART);
	assert_int_equal(certs_take_step(CERTS_RESTART, &s, &f, &err), 0);
	assert_int_equal(certs_next(&s, &f, &wait), CERTS_REST);
	assert_int_equal(wait / DAY, 1); /* 60, but the clock may be set meanwhile */
	f.wall = now + 60 * DAY + USEC_PER_SEC;
	assert_int_equal(certs_next(&s, &f, &wait), CERTS_PREPARE);
	assert_int_equal(certs_take_step(CERTS_PREPARE, &s, &f, &err), 0);
	assert_int_equal(certs_next(&s, &f, &wait), CERTS_REST);
	assert_int_equal(wait, 0); /* until the bundle has been written */
	f.bundle_age = 1;
	assert_int_equal(certs_next(&s, &f, &wait), CERTS_REST);
	assert_int_equal(wait, settle - 1);
	f.bundle_age = settle;
	assert_int_equal(certs_next(&s, &f, &wait), CERTS_SWITCH);
	assert_int_equal(certs_take_step(CERTS_SWITCH, &s, &f, &err), 0);
	f.bundle_age = 10 * settle;
	f.leaf_age = 2 * settle - 1;
	assert_int_equal(certs_next(&s, &f, &wait), CERTS_REST);
	assert_int_equal(wait, 1);
	f.leaf_age = 2 * settle;
	assert_int_equal(certs_next(&s, &f, &wait), CERTS_FORGET);
	assert_int_equal(certs_take_step(CERTS_FORGET, &s, &f, &err), 0);
	assert_int_equal(certs_next(&s, &f, &wait), CERTS_REST);
	f.wall = now + 151 * DAY; /* it was not running: the leaf has expired, its CA has not */
	assert_int_equal(certs_next(&s, &f, &wait), CERTS_RENEW);
	f.wall = now + 400 * DAY;
	assert_int_equal(certs_next(&s, &f, &wait), CERTS_RESTART);
}

/* The clock was years ahead when they were made. */
static void test_made_in_the_future(void **state)
{
	struct certs_facts f = { .wall = FAKE_WALL, .lifetime = 90 * DAY, .names = NAMES };
	struct certs_facts ahead = f;
	_cleanup_(certs_set_done) struct certs_set s = { 0 };
	usec_t wait;
	struct err err;
	(void)state;
	ahead.wall += 100 * DAY;
	assert_int_equal(certs_take_step(CERTS_RESTART, &s, &f, &err), 0);
	assert_int_equal(certs_take_step(CERTS_RENEW, &s, &ahead, &err), 0);
	assert_int_equal(certs_next(&s, &f, &wait), CERTS_RENEW);
	assert_int_equal(certs_take_step(CERTS_RESTART, &s, &ahead, &err), 0);
	assert_int_equal(certs_next(&s, &f, &wait), CERTS_RESTART);
	assert_int_equal(certs_take_step(CERTS_RESTART, &s, &f, &err), 0);
	assert_int_equal(certs_next(&s, &f, &wait), CERTS_REST);
}

/* Another --webhook-cert-lifetime: what is trusted goes on until what follows is trusted, too. */
static void test_longer_lifetime(void **state)
{
	struct certs_facts f = { .wall = FAKE_WALL, .lifetime = 90 * DAY, .names = NAMES };
	_cleanup_(certs_set_done) struct certs_set s = { 0 };
	usec_t wait, end = 0;
	struct err err;
	(void)state;
	assert_int_equal(certs_take_step(CERTS_RESTART, &s, &f, &err), 0);
	f.lifetime = 3650 * DAY;
	assert_int_equal(certs_next(&s, &f, &wait), CERTS_PREPARE);
	/* A leaf does not outlive the CA that signed it. */
	assert_int_equal(certs_take_step(CERTS_RENEW, &s, &f, &err), 0);
	assert_int_equal(crypt_cert_not_after(s.leaf.cert, &end, &err), 0);
	assert_int_equal(end / DAY, (FAKE_WALL + 270 * DAY) / DAY);
	assert_int_equal(certs_next(&s, &f, &wait), CERTS_PREPARE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plan),
		cmocka_unit_test(test_made_in_the_future),
		cmocka_unit_test(test_longer_lifetime),
		cmocka_unit_test(test_rotations),
		cmocka_unit_test(test_leaders_die),
		cmocka_unit_test(test_bundle_is_repaired),
		cmocka_unit_test(test_no_configuration),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_news_before_the_answer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
