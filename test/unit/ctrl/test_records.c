/* Saves of records: the end waits for those that are under way, and for nothing else; what a record
 * is made with. */

#include "unit/kube/fake.h"

#include "ctrl/resources.h"
#include "ctrl/shell/records.h"

#define PATH "/apis/ingot.dev/v1alpha1/namespaces/m/hostrecords"

struct fixture {
	struct fake *f;
	struct kube_informer *informer;
	struct records *r;
	unsigned saved, drained;
};

static int setup(void **state)
{
	struct fixture *x = xcalloc(1, sizeof(*x));
	x->f = fake_new(3, &(struct kube_client_options){ .qps = -1 });
	x->informer = kube_informer_new(
		x->f->client,
		&(struct kube_informer_options){ .watch = { .resource = &resource_record } });
	x->r = records_new(x->f->client, x->informer);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;
	records_free(x->r);
	kube_informer_free(x->informer);
	fake_free(x->f);
	free(x);
	return 0;
}

static void on_saved(void *data, const struct err *err)
{
	struct fixture *x = data;
	assert_null(err);
	assert_int_equal(x->drained, 0); /* the engine hears of it first */
	x->saved++;
}

static void on_drained(void *data)
{
	struct fixture *x = data;
	x->drained++;
	x->r = records_free(x->r); /* as the controller's end does */
}

static void save(struct fixture *x, const char *key)
{
	_cleanup_(json_freep) struct json *record = json_new_object();
	records_save(x->r, key, "uid", record, on_saved, x);
}

static void answer(struct fixture *x)
{
	fake_reply(fake_expect(x->f, "POST", PATH), 201,
		   "{\"metadata\":{\"namespace\":\"m\",\"name\":\"a\",\"resourceVersion\":\"2\"}}");
}

static void test_drain(void **state)
{
	struct fixture *x = *state;
	save(x, "m/a");
	save(x, "m/b");
	records_drain(x->r, on_drained, x);
	answer(x);
	fake_sleep(x->f, USEC_PER_MSEC);
	assert_int_equal(x->saved, 1);
	assert_int_equal(x->drained, 0);
	answer(x);
	fake_sleep(x->f, USEC_PER_MSEC);
	assert_int_equal(x->saved, 2);
	assert_int_equal(x->drained, 1);
}

static void test_nothing_to_drain(void **state)
{
	struct fixture *x = *state;
	records_drain(x->r, on_drained, x);
	assert_int_equal(x->drained, 0); /* not before the call has returned */
	fake_sleep(x->f, 1);
	assert_int_equal(x->drained, 1);
}

/* A server that does not answer: the end comes all the same, and nobody hears of the save. */
static void test_cut_off(void **state)
{
	struct fixture *x = *state;
	save(x, "m/a");
	records_drain(x->r, on_drained, x);
	fake_expect(x->f, "POST", PATH);
	x->r = records_free(x->r);
	fake_sleep(x->f, USEC_PER_MIN);
	assert_int_equal(x->saved + x->drained, 0);
}

/* --- the finalizer ---------------------------------------------------------------------------- */

static void list(struct fixture *x, const char *items)
{
	kube_informer_start(x->informer);
	fake_replyf(fake_expect(x->f, "GET", "/apis/ingot.dev"), 200,
		    "{\"kind\":\"List\",\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[%s]}",
		    items);
	fake_head(fake_expect(x->f, "GET", "/apis/ingot.dev"), 200, -1);
}

#define RECORD(more)                                                                               \
	"{\"metadata\":{\"name\":\"a\",\"namespace\":\"m\",\"uid\":\"x\",\"resourceVersion\":"     \
	"\"7\"" more "},\"spec\":{\"hostUID\":\"%s\"}}"

static void test_made_with_finalizer(void **state)
{
	struct fixture *x = *state;
	save(x, "m/a");
	struct kube_call *c = fake_expect(x->f, "POST", PATH);
	assert_non_null(strstr(c->body, "\"finalizers\":[\"ingot.dev/hostrecord\"]"));
	fake_reply(c, 201, "{}");
}

/* A record of an earlier release gets it with the next save; others' stay. */
static void test_gets_finalizer(void **state)
{
	struct fixture *x = *state;
	_cleanup_(freep) char *record = xasprintf(RECORD(",\"finalizers\":[\"example.org/other\"]"),
						  "uid");
	list(x, record);
	assert_true(records_unguarded(x->r, "m/a"));
	assert_false(records_unguarded(x->r, "m/b"));
	save(x, "m/a");
	struct kube_call *c = fake_expect(x->f, "PUT", PATH "/a");
	assert_non_null(
		strstr(c->body, "\"finalizers\":[\"example.org/other\",\"ingot.dev/hostrecord\"]"));
	fake_reply(c, 200, "{}");
}

/* An API server refuses new finalizers then; and what the host needs is stored all the same. */
static void test_leaving(void **state)
{
	struct fixture *x = *state;
	_cleanup_(freep) char *record = xasprintf(
		RECORD(",\"deletionTimestamp\":\"2026-01-01T00:00:00Z\""), "uid");
	list(x, record);
	assert_false(records_unguarded(x->r, "m/a"));
	save(x, "m/a");
	struct kube_call *c = fake_expect(x->f, "PUT", PATH "/a");
	assert_null(strstr(c->body, "finalizers"));
	fake_reply(c, 200, "{}");
}

static void on_busy(void *data, const struct err *err)
{
	struct fixture *x = data;
	assert_int_equal(err->kind, ERR_BUSY);
	x->saved++;
}

/* The record of an earlier host of that name, on its way out: what would be written to it would go
 * with it. */
static void test_predecessor_leaves(void **state)
{
	struct fixture *x = *state;
	_cleanup_(freep) char *record = xasprintf(
		RECORD(",\"deletionTimestamp\":\"2026-01-01T00:00:00Z\""), "another");
	list(x, record);
	_cleanup_(json_freep) struct json *mine = json_new_object();
	records_save(x->r, "m/a", "uid", mine, on_busy, x);
	assert_int_equal(x->saved, 0);
	fake_expect_nothing(x->f, USEC_PER_SEC);
	assert_int_equal(x->saved, 1);
}

/* A member that is null goes; one that is not named is another release's, and stays. */
static void test_members(void **state)
{
	static const char text[] = "{\"hostUID\":\"uid\",\"serial\":2,\"boot\":null}";
	struct fixture *x = *state;
	_cleanup_(json_freep) struct json *record = NULL, *sent = NULL;
	_cleanup_(freep) char *stored = xasprintf(
		RECORD(""), "uid\",\"boot\":{\"nonce\":\"n\"},\"ofTomorrow\":{\"x\":1},\"y\":\"");
	list(x, stored);
	assert_int_equal(json_parse(text, strlen(text), &record, NULL), 0);
	records_save(x->r, "m/a", "uid", record, on_saved, x);
	struct kube_call *c = fake_expect(x->f, "PUT", PATH "/a");
	assert_int_equal(json_parse(c->body, strlen(c->body), &sent, NULL), 0);
	const struct json *spec = json_get(sent, "spec");
	assert_int_equal(json_get_int(spec, "serial", 0), 2);
	assert_null(json_get(spec, "boot"));
	assert_int_equal(json_get_int(json_get(spec, "ofTomorrow"), "x", 0), 1);
	fake_reply(c, 200, "{}");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_drain),		T(test_nothing_to_drain),
		T(test_cut_off),	T(test_made_with_finalizer),
		T(test_gets_finalizer), T(test_leaving),
		T(test_members),	T(test_predecessor_leaves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
