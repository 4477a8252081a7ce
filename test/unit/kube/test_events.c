/* The event recorder: the objects it writes, counts, floods, a server that fails. */

#include "fake.h"

#include "base/log.h"
#include "kube/events.h"

#define PATH "/api/v1/namespaces/m/events"

static const struct kube_event_ref host = {
	"metal3.io/v1alpha1", "BareMetalHost", "m", "a", "uid-a", "5"
};
static const struct kube_event_ref consumer = {
	"infrastructure.cluster.x-k8s.io/v1beta1", "Metal3Machine", "m", "machine", "uid-m", NULL
};

struct fixture {
	struct fake *f;
	struct kube_recorder *r;
	unsigned flushed;
};

static void quiet(void *data, enum log_level level, const char *line)
{
	(void)data, (void)level, (void)line;
}

static int setup(void **state)
{
	struct fixture *x = xcalloc(1, sizeof(*x));
	log_set_sink(quiet, NULL);
	x->f = fake_new(2, &(struct kube_client_options){ .qps = -1 });
	x->r = kube_recorder_new(&(struct kube_recorder_options){
		.client = x->f->client,
		.component = "metal3-baremetal-controller",
		.reporting_controller = "metal3.io/baremetal-controller" });
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;
	kube_recorder_free(x->r);
	fake_free(x->f);
	free(x);
	return 0;
}

static void made(struct kube_call *c, const char *name)
{
	fake_replyf(c, 201, "{\"kind\":\"Event\",\"metadata\":{\"name\":\"%s\"}}", name);
}

static int64_t count_of(const struct kube_call *c)
{
	_cleanup_(json_freep) struct json *j = NULL;
	assert_int_equal(json_parse(c->body, strlen(c->body), &j, NULL), 0);
	return json_get_int(j, "count", -1);
}

static void test_object(void **state)
{
	struct fixture *x = *state;
	kube_event_related(x->r, &host, &consumer, "Normal", "Registered", "Registered new host");
	struct kube_call *c = fake_expect(x->f, "POST", PATH "?fieldManager=ingot");
	assert_string_equal(
		c->body,
		"{\"apiVersion\":\"v1\",\"kind\":\"Event\",\"metadata\":{\"generateName\":"
		"\"Registered-\",\"namespace\":\"m\"},\"involvedObject\":{\"kind\":\"BareMetalHost\","
		"\"namespace\":\"m\",\"name\":\"a\",\"uid\":\"uid-a\",\"apiVersion\":"
		"\"metal3.io/v1alpha1\",\"resourceVersion\":\"5\"},\"related\":{\"kind\":"
		"\"Metal3Machine\",\"namespace\":\"m\",\"name\":\"machine\",\"uid\":\"uid-m\","
		"\"apiVersion\":\"infrastructure.cluster.x-k8s.io/v1beta1\"},\"reason\":"
		"\"Registered\",\"type\":\"Normal\",\"source\":{\"component\":"
		"\"metal3-baremetal-controller\"},\"reportingComponent\":"
		"\"metal3.io/baremetal-controller\",\"reportingInstance\":\"\",\"message\":"
		"\"Registered new host\",\"count\":1,\"firstTimestamp\":\"2026-01-01T00:00:00Z\","
		"\"lastTimestamp\":\"2026-01-01T00:00:00Z\"}");
	made(c, "Registered-x");
	struct kube_recorder_stats s = kube_recorder_stats(x->r);
	assert_int_equal(s.sent, 1);
	assert_int_equal(s.waiting, 0);
}

static void test_cluster_scope_and_long_texts(void **state)
{
	struct fixture *x = *state;
	static const struct kube_event_ref node = { "v1", "Node", "", "n", "u", NULL };
	char text[3000];
	for (size_t i = 0; i + 2 < sizeof(text); i += 2)
		memcpy(text + i, "\xc3\xa4", 3); /* ä */
	kube_event(x->r, &node, "Warning", "R", "x%s", text);
	struct kube_call *c = fake_expect(x->f, "POST", "/api/v1/namespaces/default/events");
	_cleanup_(json_freep) struct json *j = NULL;
	assert_int_equal(json_parse(c->body, strlen(c->body), &j, NULL), 0); /* UTF-8 still whole */
	assert_int_equal(strlen(json_get_string(j, "message")), 1023);
	assert_string_equal(json_get_path_string(j, "metadata.namespace"), "default");
	made(c, "R-1");
}

static void test_counts(void **state)
{
	struct fixture *x = *state;
	kube_event(x->r, &host, "Normal", "PowerOn", "on");
	made(fake_expect(x->f, "POST", PATH), "PowerOn-1");
	fake_sleep(x->f, USEC_PER_MIN);
	kube_event(x->r, &host, "Normal", "PowerOn", "on");
	struct kube_call *c = fake_expect(x->f, "PATCH", PATH "/PowerOn-1?");
	assert_string_equal(c->content_type, "application/merge-patch+json");
	assert_string_equal(c->body, "{\"message\":\"on\",\"count\":2,\"lastTimestamp\":"
				     "\"2026-01-01T00:01:00Z\"}");
	/* Two more while that one is on its way: one request. */
	kube_event(x->r, &host, "Normal", "PowerOn", "on");
	kube_event(x->r, &host, "Normal", "PowerOn", "on");
	fake_reply(c, 200, "{}");
	c = fake_expect(x->f, "PATCH", PATH "/PowerOn-1?");
	assert_int_equal(count_of(c), 4);
	fake_reply(c, 200, "{}");
	assert_int_equal(kube_recorder_stats(x->r).merged, 2);
	/* Another reason, type or message is another event. */
	kube_event(x->r, &host, "Warning", "PowerOn", "on");
	made(fake_expect(x->f, "POST", PATH), "PowerOn-2");
	kube_event(x->r, &host, "Normal", "PowerOn", "on again");
	made(fake_expect(x->f, "POST", PATH), "PowerOn-3");
	/* The server keeps events for an hour: afterwards a new one. */
	fake_sleep(x->f, USEC_PER_HOUR + 1);
	kube_event(x->r, &host, "Normal", "PowerOn", "on");
	c = fake_expect(x->f, "POST", PATH);
	assert_int_equal(count_of(c), 1);
	made(c, "PowerOn-4");
}

static void test_server_forgot(void **state)
{
	struct fixture *x = *state;
	kube_event(x->r, &host, "Normal", "PowerOn", "on");
	made(fake_expect(x->f, "POST", PATH), "PowerOn-1");
	kube_event(x->r, &host, "Normal", "PowerOn", "on");
	fake_refuse(fake_expect(x->f, "PATCH", PATH "/PowerOn-1?"), 404, "NotFound");
	made(fake_expect(x->f, "POST", PATH), "PowerOn-2");
	kube_event(x->r, &host, "Normal", "PowerOn", "on");
	fake_reply(fake_expect(x->f, "PATCH", PATH "/PowerOn-2?"), 200, "{}");
	assert_int_equal(kube_recorder_stats(x->r).failed, 0);
}

static void test_similar_events_are_combined(void **state)
{
	struct fixture *x = *state;
	for (int i = 0; i < 15; i++)
		kube_event(x->r, &host, "Normal", "Retry", "try %d", i);
	for (int i = 0; i < 10; i++)
		made(fake_expect(x->f, "POST", PATH), "Retry-x");
	struct kube_call *c = fake_expect(x->f, "POST", PATH);
	assert_int_equal(count_of(c), 5);
	assert_non_null(strstr(c->body, "\"message\":\"(combined from similar events): try 14\""));
	made(c, "Retry-all");
	fake_expect_nothing(x->f, USEC_PER_MIN);
	/* The window ends. */
	fake_sleep(x->f, 10 * USEC_PER_MIN);
	kube_event(x->r, &host, "Normal", "Retry", "try 99");
	c = fake_expect(x->f, "POST", PATH);
	assert_non_null(strstr(c->body, "\"message\":\"try 99\""));
	made(c, "Retry-99");
}

static void test_floods_are_cut(void **state)
{
	struct fixture *x = *state;
	static const struct kube_event_ref other = { "v1", "Secret", "m", "s", "u", NULL };
	for (int i = 0; i < 100; i++)
		kube_event(x->r, &host, "Normal", "Same", "same");
	assert_int_equal(kube_recorder_stats(x->r).dropped, 75);
	kube_event(x->r, &other, "Normal", "Same", "same"); /* the neighbour does not suffer */
	assert_int_equal(kube_recorder_stats(x->r).dropped, 75);
	struct kube_call *c = fake_expect(x->f, "POST", PATH);
	assert_int_equal(count_of(c), 1);
	made(c, "Same-1");
	made(fake_expect(x->f, "POST", PATH), "Same-2");
	c = fake_expect(x->f, "PATCH", PATH "/Same-1");
	assert_int_equal(count_of(c), 25);
	fake_reply(c, 200, "{}");
	fake_sleep(x->f, 5 * USEC_PER_MIN);
	kube_event(x->r, &host, "Normal", "Same", "same");
	kube_event(x->r, &host, "Normal", "Same", "same");
	assert_int_equal(kube_recorder_stats(x->r).dropped, 76);
	fake_reply(fake_expect(x->f, "PATCH", PATH "/Same-1"), 200, "{}");
}

static void test_failures(void **state)
{
	struct fixture *x = *state;
	kube_event(x->r, &host, "Normal", "A", "a");
	kube_event(x->r, &host, "Normal", "B", "b");
	usec_t start = loop_now(x->f->loop);
	for (int i = 0; i < 12; i++)
		fake_fail(fake_expect(x->f, "POST", PATH), ERR_UNREACHABLE, "refused");
	assert_int_equal(loop_now(x->f->loop) - start, 110 * USEC_PER_SEC);
	assert_int_equal(kube_recorder_stats(x->r).failed, 1);
	/* The next has its turn; what cannot succeed is not repeated. */
	struct kube_call *c = fake_expect(x->f, "POST", PATH);
	assert_non_null(strstr(c->body, "\"reason\":\"B\""));
	fake_refuse(c, 403, "Forbidden");
	fake_expect_nothing(x->f, USEC_PER_HOUR);
	assert_int_equal(kube_recorder_stats(x->r).failed, 2);
	assert_int_equal(kube_recorder_stats(x->r).waiting, 0);
}

static void test_queue_has_an_end(void **state)
{
	struct fixture *x = *state;
	struct kube_call *hanging = NULL;
	for (int i = 0; i < 3000; i++) {
		char name[16];
		snprintf(name, sizeof(name), "h%d", i);
		struct kube_event_ref ref = host;
		ref.name = ref.uid = name;
		kube_event(x->r, &ref, "Normal", "A", "a");
	}
	hanging = fake_expect(x->f, "POST", PATH);
	struct kube_recorder_stats s = kube_recorder_stats(x->r);
	assert_int_equal(s.waiting, 1000);
	assert_int_equal(s.dropped, 2000);
	made(hanging, "A-0");
	for (int i = 1; i < 1000; i++)
		made(fake_expect(x->f, "POST", PATH), "A-x");
	fake_expect_nothing(x->f, USEC_PER_MIN);
	/* And the table of what is known does not grow without end. */
	for (int i = 0; i < 3000; i++) {
		char name[16];
		snprintf(name, sizeof(name), "n%d", i);
		struct kube_event_ref ref = host;
		ref.name = ref.uid = name;
		kube_event(x->r, &ref, "Normal", "A", "a");
		made(fake_expect(x->f, "POST", PATH), name);
	}
	assert_int_equal(kube_recorder_stats(x->r).dropped, 2000);
}

static void on_flushed(void *data)
{
	struct fixture *x = data;
	x->flushed++;
}

static void test_flush(void **state)
{
	struct fixture *x = *state;
	kube_recorder_flush(x->r, USEC_PER_MIN, on_flushed, x);
	assert_int_equal(x->flushed, 0);
	fake_sleep(x->f, 1);
	assert_int_equal(x->flushed, 1);
	kube_event(x->r, &host, "Normal", "A", "a");
	kube_recorder_flush(x->r, USEC_PER_MIN, on_flushed, x);
	struct kube_call *c = fake_expect(x->f, "POST", PATH);
	fake_sleep(x->f, USEC_PER_SEC);
	assert_int_equal(x->flushed, 1);
	made(c, "A-1");
	fake_sleep(x->f, 1);
	assert_int_equal(x->flushed, 2);
	/* Against a server that hangs, the limit holds. */
	kube_event(x->r, &host, "Normal", "A", "a");
	kube_recorder_flush(x->r, USEC_PER_MIN, on_flushed, x);
	fake_expect(x->f, "PATCH", PATH "/A-1");
	fake_sleep(x->f, USEC_PER_MIN);
	assert_int_equal(x->flushed, 3);
}

/* What waits for another try has no other before the end. */
static void test_flush_of_what_was_refused(void **state)
{
	struct fixture *x = *state;
	kube_event(x->r, &host, "Normal", "A", "a");
	fake_refuse(fake_expect(x->f, "POST", PATH), 503, "ServiceUnavailable");
	kube_event(x->r, &host, "Normal", "B", "b");
	fake_expect_nothing(x->f, USEC_PER_SEC);
	kube_recorder_flush(x->r, USEC_PER_SEC, on_flushed, x);
	fake_refuse(fake_expect(x->f, "POST", PATH), 503, "ServiceUnavailable");
	fake_sleep(x->f, USEC_PER_SEC / 2);
	assert_int_equal(x->flushed, 0);
	made(fake_expect(x->f, "POST", PATH), "A-1");
	made(fake_expect(x->f, "POST", PATH), "B-1");
	fake_sleep(x->f, 1);
	assert_int_equal(x->flushed, 1);
	assert_int_equal(kube_recorder_stats(x->r).sent, 2);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_object),
		T(test_cluster_scope_and_long_texts),
		T(test_counts),
		T(test_server_forgot),
		T(test_similar_events_are_combined),
		T(test_floods_are_cut),
		T(test_failures),
		T(test_queue_has_an_end),
		T(test_flush),
		T(test_flush_of_what_was_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
