/* Which finalizers of ours are taken out, and which stay: one object under deletion a row, against
 * the same hosts. */

#include "unit/kube/fake.h"

#include "ctrl/orphans.h"
#include "ctrl/resources.h"

#define M3    "/apis/metal3.io/v1alpha1"
#define INGOT "/apis/ingot.dev/v1alpha1"

/* a lives and names the Secret "named"; d is being deleted. */
#define HOSTS                                                                                      \
	"{\"metadata\":{\"name\":\"a\",\"namespace\":\"m\",\"uid\":\"ua\",\"resourceVersion\":"    \
	"\"1\"},\"spec\":{\"bmc\":{\"credentialsName\":\"named\"},\"userData\":{\"name\":\"ud\"}}" \
	"},"                                                                                       \
	"{\"metadata\":{\"name\":\"d\",\"namespace\":\"m\",\"uid\":\"ud\",\"resourceVersion\":"    \
	"\"2\",\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"}}"
#define TERMINATING                                                                                   \
	"{\"kind\":\"Status\",\"reason\":\"Forbidden\",\"code\":403,\"message\":"                     \
	"\"hostrecords.ingot.dev \\\"\\\" is forbidden: unable to create new content in namespace m " \
	"because it is being terminated\"}"
#define FORBIDDEN                                                                                  \
	"{\"kind\":\"Status\",\"reason\":\"Forbidden\",\"code\":403,\"message\":\"no rights\"}"

struct fixture {
	struct fake *f;
	struct kube_informer *hosts, *secrets, *hardware, *records;
	struct orphans *o;
};

static void by_secret(const struct json *host, kube_emit_fn emit, void *arg)
{
	static const char *const paths[] = { "spec.bmc.credentialsName", "spec.userData.name" };
	for (size_t i = 0; i < 2; i++) {
		const char *name = json_get_path_string(host, paths[i]);
		if (!name)
			continue;
		_cleanup_(freep) char *key = xasprintf("%s/%s", kube_namespace(host), name);
		emit(arg, key);
	}
}

static struct kube_informer *informer(struct fixture *x, const struct kube_resource *resource)
{
	return kube_informer_new(
		x->f->client, &(struct kube_informer_options){ .watch = { .resource = resource } });
}

static int setup(void **state)
{
	struct fixture *x = xcalloc(1, sizeof(*x));
	x->f = fake_new(3, &(struct kube_client_options){ .qps = -1 });
	x->hosts = informer(x, &resource_host);
	x->secrets = informer(x, &resource_secret);
	x->hardware = informer(x, &resource_hardware_data);
	x->records = informer(x, &resource_record);
	kube_informer_index(x->hosts, "secret", by_secret);
	kube_informer_index(x->secrets, "owner", kube_index_by_owner);
	x->o = orphans_new(&(struct orphans_options){ .loop = x->f->loop,
						      .client = x->f->client,
						      .hosts = x->hosts,
						      .secrets = x->secrets,
						      .hardware = x->hardware,
						      .records = x->records });
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;
	orphans_free(x->o);
	kube_informer_free(x->hosts);
	kube_informer_free(x->secrets);
	kube_informer_free(x->hardware);
	kube_informer_free(x->records);
	fake_free(x->f);
	free(x);
	return 0;
}

static void list(struct fixture *x, struct kube_informer *i, const char *path, const char *items)
{
	kube_informer_start(i);
	fake_replyf(fake_expect(x->f, "GET", path), 200,
		    "{\"kind\":\"List\",\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[%s]}",
		    items);
	fake_head(fake_expect(x->f, "GET", path), 200, -1); /* the watch, which says nothing */
}

/* An object under deletion, with our finalizer and one of somebody else's. */
static char *leaving(const char *name, const char *finalizer, const char *owner, const char *uid)
{
	return xasprintf("{\"metadata\":{\"name\":\"%s\",\"namespace\":\"m\",\"uid\":\"x\","
			 "\"resourceVersion\":\"7\",\"deletionTimestamp\":\"2026-01-01T00:00:00Z\","
			 "\"finalizers\":[\"%s\",\"example.org/other\"],\"ownerReferences\":["
			 "{\"kind\":\"BareMetalHost\",\"name\":\"%s\",\"uid\":\"%s\"}]}}",
			 name, finalizer, owner, uid);
}

static void begin(struct fixture *x, const char *secret_items, const char *hardware,
		  const char *record_items)
{
	list(x, x->hosts, M3 "/baremetalhosts", HOSTS);
	list(x, x->secrets, "/api/v1/secrets", secret_items);
	list(x, x->hardware, M3 "/hardwaredata", hardware);
	list(x, x->records, INGOT "/hostrecords", record_items);
	orphans_start(x->o);
}

static void expect_release(struct fixture *x, const char *method, const char *path)
{
	struct kube_call *c = fake_expect(x->f, method, path);
	assert_non_null(strstr(c->body, "\"finalizers\":[\"example.org/other\"]"));
	assert_non_null(strstr(c->body, "\"resourceVersion\":\"7\""));
	fake_reply(c, 200, "{}");
	fake_expect_nothing(x->f, 20 * USEC_PER_SEC);
}

static const struct {
	const char *name, *owner, *uid;
	bool goes;
} secret_rows[] = {
	{ "s", "gone", "ug", true },
	{ "s", "a", "another", true }, /* an earlier host of that name */
	{ "s", "a", "ua", false },
	{ "s", "d", "ud", false }, /* its last pass does it */
	{ "named", "gone", "ug", false },
	{ "ud", "gone", "ug", true }, /* named, but not as credentials */
};

static void test_secrets(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(secret_rows); i++) {
		struct fixture *x = *state;
		_cleanup_(freep) char *s = leaving(secret_rows[i].name,
						   "baremetalhost.metal3.io/secret",
						   secret_rows[i].owner, secret_rows[i].uid);
		_cleanup_(freep) char *path = xasprintf("/api/v1/namespaces/m/secrets/%s",
							secret_rows[i].name);
		begin(x, s, "", "");
		if (secret_rows[i].goes)
			expect_release(x, "PATCH", path);
		else
			fake_expect_nothing(x->f, 20 * USEC_PER_SEC);
		teardown(state);
		setup(state);
	}
}

static void test_not_leaving(void **state)
{
	struct fixture *x = *state;
	begin(x,
	      "{\"metadata\":{\"name\":\"s\",\"namespace\":\"m\",\"uid\":\"x\",\"resourceVersion\":"
	      "\"7\",\"finalizers\":[\"baremetalhost.metal3.io/secret\"]}}",
	      "", "");
	fake_expect_nothing(x->f, 20 * USEC_PER_SEC);
}

static void test_hardware(void **state)
{
	struct fixture *x = *state;
	_cleanup_(freep) char *gone = leaving("g", "baremetalhost.metal3.io/hardwareData", "g",
					      "ug");
	_cleanup_(freep) char *held = leaving("a", "baremetalhost.metal3.io/hardwareData", "a",
					      "ua");
	_cleanup_(freep) char *both = xasprintf("%s,%s", gone, held);
	begin(x, "", both, "");
	expect_release(x, "PATCH", M3 "/namespaces/m/hardwaredata/g");
}

#define PROBE INGOT "/namespaces/m/hostrecords?"

static struct kube_call *probe(struct fixture *x)
{
	struct kube_call *c = fake_expect(x->f, "POST", PROBE);
	assert_non_null(strstr(c->path, "dryRun=All"));
	return c;
}

static void record_leaves(struct fixture *x, const char *owner, const char *uid)
{
	_cleanup_(freep) char *r = leaving("r", "ingot.dev/hostrecord", owner, uid);
	begin(x, "", "", r);
}

/* By hand, to have the host looked at anew. */
static void test_record_deleted_by_hand(void **state)
{
	struct fixture *x = *state;
	record_leaves(x, "a", "ua");
	fake_reply(probe(x), 403, FORBIDDEN); /* says nothing: asked again */
	fake_reply(probe(x), 201, "{}");
	expect_release(x, "PUT", INGOT "/namespaces/m/hostrecords/r");
}

static void test_record_probe_is_invalid(void **state)
{
	struct fixture *x = *state;
	record_leaves(x, "a", "ua");
	fake_reply(probe(x), 422, "{\"kind\":\"Status\",\"reason\":\"Invalid\",\"code\":422}");
	expect_release(x, "PUT", INGOT "/namespaces/m/hostrecords/r");
}

static void test_record_of_a_namespace_that_goes(void **state)
{
	struct fixture *x = *state;
	record_leaves(x, "a", "ua");
	fake_reply(probe(x), 403, TERMINATING);
	fake_expect_nothing(x->f, 20 * USEC_PER_SEC);
}

static void test_record_of_a_host_that_goes(void **state)
{
	struct fixture *x = *state;
	record_leaves(x, "d", "ud");
	fake_expect_nothing(x->f, 20 * USEC_PER_SEC);
}

static void test_record_of_a_host_that_is_gone(void **state)
{
	struct fixture *x = *state;
	record_leaves(x, "gone", "ug");
	expect_release(x, "PUT", INGOT "/namespaces/m/hostrecords/r");
}

static void test_conflict(void **state)
{
	struct fixture *x = *state;
	record_leaves(x, "gone", "ug");
	fake_reply(fake_expect(x->f, "PUT", INGOT "/namespaces/m/hostrecords/r"), 409,
		   "{\"kind\":\"Status\",\"reason\":\"Conflict\",\"code\":409}");
	expect_release(x, "PUT", INGOT "/namespaces/m/hostrecords/r");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_secrets),
		T(test_not_leaving),
		T(test_hardware),
		T(test_record_deleted_by_hand),
		T(test_record_probe_is_invalid),
		T(test_record_of_a_namespace_that_goes),
		T(test_record_of_a_host_that_goes),
		T(test_record_of_a_host_that_is_gone),
		T(test_conflict),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
