/* Leader election: scripted conversations, and several candidates with faults on one model server.
 */

#include "fake.h"

#include "base/log.h"
#include "kube/internal.h"
#include "kube/lease.h"
#include "unit/base/fsm_walk.h"

#define PATH "/apis/coordination.k8s.io/v1/namespaces/ns/leases"
#define S    USEC_PER_SEC

struct candidate {
	struct fake *f;
	struct kube_lease *l;
	unsigned acquired, lost, released;
	struct err why;
	char leader[64];
};

static void on_acquired(void *data)
{
	struct candidate *c = data;
	c->acquired++;
}

static void on_lost(void *data, const struct err *why)
{
	struct candidate *c = data;
	c->lost++;
	c->why = *why;
}

static void on_leader(void *data, const char *identity)
{
	struct candidate *c = data;
	snprintf(c->leader, sizeof(c->leader), "%s", identity);
}

static void on_released(void *data)
{
	struct candidate *c = data;
	c->released++;
}

static const struct kube_lease_handlers handlers = { on_acquired, on_lost, on_leader };

static void quiet(void *data, enum log_level level, const char *line)
{
	(void)data, (void)level, (void)line;
}

static void start(struct candidate *c, const char *identity)
{
	struct err err = { 0 };
	const struct kube_lease_options o = {
		.client = c->f->client, .ns = "ns", .name = "op", .identity = identity
	};
	if (kube_lease_new(&o, &handlers, c, &c->l, &err) < 0)
		fail_msg("%s", err.text);
}

static int setup(void **state)
{
	struct candidate *c = xcalloc(1, sizeof(*c));
	log_set_sink(quiet, NULL);
	c->f = fake_new(5, NULL);
	start(c, "me");
	*state = c;
	return 0;
}

static int teardown(void **state)
{
	struct candidate *c = *state;
	kube_lease_free(c->l);
	fake_free(c->f);
	free(c);
	return 0;
}

static void lease_reply(struct kube_call *c, int status, const char *rv, const char *holder)
{
	fake_replyf(
		c, status,
		"{\"metadata\":{\"namespace\":\"ns\",\"name\":\"op\",\"resourceVersion\":\"%s\"},"
		"\"spec\":{\"holderIdentity\":\"%s\",\"leaseDurationSeconds\":15,"
		"\"leaseTransitions\":4,\"acquireTime\":\"x\",\"renewTime\":\"2020-01-01T00:00:00.000000Z\"}}",
		rv, holder);
}

/* What the request would write. */
static void check_body(const struct kube_call *c, const char *holder, const char *rv, int seconds,
		       int transitions)
{
	_cleanup_(json_freep) struct json *j = NULL;
	assert_int_equal(json_parse(c->body, strlen(c->body), &j, NULL), 0);
	const struct json *spec = json_get(j, "spec");
	assert_string_equal(json_get_string(spec, "holderIdentity"), holder);
	assert_int_equal(json_get_int(spec, "leaseDurationSeconds", -1), seconds);
	assert_int_equal(json_get_int(spec, "leaseTransitions", -1), transitions);
	assert_non_null(json_get_string(spec, "renewTime"));
	assert_non_null(json_get_string(spec, "acquireTime"));
	if (rv)
		assert_string_equal(kube_resource_version(j), rv);
	else
		assert_null(kube_resource_version(j));
}

static void acquire(struct candidate *c)
{
	fake_refuse(fake_expect(c->f, "GET", PATH "/op"), 404, "NotFound");
	struct kube_call *post = fake_expect(c->f, "POST", PATH "?");
	check_body(post, "me", NULL, 15, 0);
	lease_reply(post, 201, "1", "me");
	assert_int_equal(c->acquired, 1);
	assert_true(kube_lease_held(c->l));
	assert_true(kube_lease_may_act(c->l));
	assert_string_equal(c->leader, "me");
}

/* --- conversations
 * ---------------------------------------------------------------------------------------- */

/* 404 for a create means that the namespace is missing: no reason to ask without a pause. */
static void test_namespace_missing(void **state)
{
	struct candidate *c = *state;
	for (int i = 0; i < 5; i++) {
		usec_t before = loop_now(c->f->loop);
		fake_refuse(fake_expect(c->f, "GET", PATH "/op"), 404, "NotFound");
		fake_refuse(fake_expect(c->f, "POST", PATH "?"), 404, "NotFound");
		struct kube_call *again = fake_expect(c->f, "GET", PATH "/op");
		assert_true(loop_now(c->f->loop) - before >= 2 * S);
		fake_refuse(again, 503, "ServiceUnavailable");
	}
	assert_int_equal(c->acquired, 0);
}

static void test_create_and_renew(void **state)
{
	struct candidate *c = *state;
	assert_false(kube_lease_may_act(c->l));
	acquire(c);
	usec_t now = loop_now(c->f->loop);
	for (int i = 1; i < 50; i++) {
		struct kube_call *put = fake_expect(c->f, "PUT", PATH "/op?");
		assert_int_equal(loop_now(c->f->loop) - now, i * 2 * S);
		char rv[16];
		snprintf(rv, sizeof(rv), "%d", i + 1);
		lease_reply(put, 200, rv, "me");
	}
	assert_int_equal(c->lost, 0);
	assert_int_equal(c->acquired, 1);
}

static void test_waits_for_anothers_lease(void **state)
{
	struct candidate *c = *state;
	/* The renewTime of the record is six years old: only our own clock counts. */
	struct kube_call *get = fake_expect(c->f, "GET", PATH "/op");
	usec_t first = loop_now(c->f->loop);
	unsigned tries = 0;
	while (streq(get->method, "GET") && loop_now(c->f->loop) < first + 15 * S) {
		lease_reply(get, 200, "7", "other");
		tries++;
		get = fake_expect(c->f, "GET", PATH "/op");
	}
	assert_true(tries > 3);
	assert_string_equal(c->leader, "other");
	lease_reply(get, 200, "7", "other");
	struct kube_call *put = fake_expect(c->f, "PUT", PATH "/op");
	assert_in_range(loop_now(c->f->loop) - first, 15 * S, 16 * S);
	check_body(put, "me", "7", 15, 5);
	lease_reply(put, 200, "8", "me");
	assert_int_equal(c->acquired, 1);
}

static void test_renewals_of_another_start_the_wait_anew(void **state)
{
	struct candidate *c = *state;
	usec_t start_time = loop_now(c->f->loop);
	for (int i = 0; loop_now(c->f->loop) < start_time + 60 * S; i++) {
		char rv[16];
		snprintf(rv, sizeof(rv), "%d", i);
		lease_reply(fake_expect(c->f, "GET", PATH "/op"), 200, rv, "other");
	}
	assert_int_equal(c->acquired, 0);
}

static void test_free_lease_is_taken_at_once(void **state)
{
	struct candidate *c = *state;
	usec_t now = loop_now(c->f->loop);
	lease_reply(fake_expect(c->f, "GET", PATH "/op"), 200, "7", "");
	struct kube_call *put = fake_expect(c->f, "PUT", PATH "/op");
	assert_int_equal(loop_now(c->f->loop), now);
	fake_refuse(put, 409, "Conflict"); /* another was faster */
	lease_reply(fake_expect(c->f, "GET", PATH "/op"), 200, "8", "other");
	fake_expect(c->f, "GET", PATH "/op");
	assert_int_equal(c->acquired, 0);
}

static void test_lost_answer_of_the_claim(void **state)
{
	struct candidate *c = *state;
	lease_reply(fake_expect(c->f, "GET", PATH "/op"), 200, "7", "");
	fake_fail(fake_expect(c->f, "PUT", PATH "/op"), ERR_UNREACHABLE, "reset");
	lease_reply(fake_expect(c->f, "GET", PATH "/op"), 200, "8", "me");
	assert_int_equal(c->acquired, 0); /* since when? only a write of our own tells */
	struct kube_call *put = fake_expect(c->f, "PUT", PATH "/op");
	check_body(put, "me", "8", 15, 4);
	lease_reply(put, 200, "9", "me");
	assert_int_equal(c->acquired, 1);
}

static void test_lost_answer_of_a_renewal(void **state)
{
	struct candidate *c = *state;
	acquire(c);
	fake_fail(fake_expect(c->f, "PUT", PATH "/op"), ERR_TIMEOUT, "no answer");
	fake_refuse(fake_expect(c->f, "PUT", PATH "/op"), 409, "Conflict");
	lease_reply(fake_expect(c->f, "GET", PATH "/op"), 200, "2", "me");
	struct kube_call *put = fake_expect(c->f, "PUT", PATH "/op");
	check_body(put, "me", "2", 15, 4);
	lease_reply(put, 200, "3", "me");
	assert_int_equal(c->lost, 0);
}

/* The connection that had been kept since the last renewal was dead. Writes are not repeated below
 * us, so the lease does that, with most of its deadline left. */
static void test_broken_connection_of_a_renewal(void **state)
{
	struct candidate *c = *state;
	acquire(c);
	for (int i = 1; i < 20; i++) {
		fake_fail(fake_expect(c->f, "PUT", PATH "/op"), ERR_UNREACHABLE, "reset");
		usec_t failed = loop_now(c->f->loop);
		struct kube_call *put = fake_expect(c->f, "PUT", PATH "/op");
		assert_int_equal(loop_now(c->f->loop) - failed, 2 * S);
		lease_reply(put, 200, i % 2 ? "a" : "b", "me");
	}
	assert_int_equal(c->lost, 0);
	assert_true(kube_lease_may_act(c->l));
}

static void test_taken_by_another(void **state)
{
	struct candidate *c = *state;
	acquire(c);
	fake_refuse(fake_expect(c->f, "PUT", PATH "/op"), 409, "Conflict");
	lease_reply(fake_expect(c->f, "GET", PATH "/op"), 200, "2", "thief");
	assert_int_equal(c->lost, 1);
	assert_non_null(strstr(c->why.text, "taken by thief"));
	assert_false(kube_lease_may_act(c->l));
	fake_expect_nothing(c->f, USEC_PER_HOUR);
}

static void test_renew_deadline(void **state)
{
	struct candidate *c = *state;
	usec_t asked = loop_now(c->f->loop);
	acquire(c);
	while (c->lost == 0) {
		fake_sleep(c->f, S);
		if (!list_empty(&c->f->arrived))
			fake_fail(fake_expect(c->f, "PUT", PATH "/op"), ERR_UNREACHABLE, "refused");
	}
	assert_int_equal(loop_now(c->f->loop) - asked, 10 * S);
	assert_string_equal(c->why.text,
			    "lease ns/op was not renewed for 10 s: update Lease ns/op: refused");
	assert_int_equal(c->why.kind, ERR_TIMEOUT);
	fake_expect_nothing(c->f, USEC_PER_HOUR);
	assert_int_equal(c->lost, 1);
}

static void test_server_that_hangs(void **state)
{
	struct candidate *c = *state;
	usec_t asked = loop_now(c->f->loop);
	acquire(c);
	fake_expect(c->f, "PUT", PATH "/op");
	fake_sleep(c->f, 10 * S);
	assert_int_equal(c->lost, 1);
	assert_true(loop_now(c->f->loop) - asked >= 10 * S);
	assert_int_equal(c->f->cancelled, 1);
}

/* Alive is who goes on trying, whatever comes of it. */
static void test_alive(void **state)
{
	struct candidate *c = *state;
	for (unsigned i = 0; i < 20; i++) {
		fake_fail(fake_expect(c->f, "GET", PATH "/op"), ERR_UNREACHABLE, "down");
		fake_sleep(c->f, USEC_PER_SEC);
		assert_true(kube_lease_alive(c->l));
	}
	struct kube_call *hung = fake_expect(c->f, "GET", PATH "/op");
	fake_sleep(c->f, USEC_PER_MIN);
	assert_true(kube_lease_alive(c->l));
	fake_sleep(c->f, USEC_PER_MIN);
	assert_false(kube_lease_alive(c->l));
	fake_fail(hung, ERR_TIMEOUT, "at last");
	fake_expect(c->f, "GET", PATH "/op");
	assert_true(kube_lease_alive(c->l));
}

static void test_deleted_lease(void **state)
{
	struct candidate *c = *state;
	acquire(c);
	fake_refuse(fake_expect(c->f, "PUT", PATH "/op"), 404, "NotFound");
	lease_reply(fake_expect(c->f, "POST", PATH), 201, "9", "me");
	assert_int_equal(c->lost, 0);
	fake_expect(c->f, "PUT", PATH "/op");
}

/* All counts from the start of the request, and the fence does not wait for any timer to run: an
 * answer that comes too late is the first word of a process that was paused. */
static void check_fence(struct candidate *c, usec_t took, bool acts)
{
	struct err err = { 0 };
	const struct kube_lease_options o = { .client = c->f->client,
					      .ns = "ns",
					      .name = "op",
					      .identity = "me",
					      .renew_deadline = 13 * S };
	c->acquired = c->lost = 0;
	kube_lease_free(c->l);
	assert_int_equal(kube_lease_new(&o, &handlers, c, &c->l, &err), 0);
	fake_refuse(fake_expect(c->f, "GET", PATH "/op"), 404, "NotFound");
	struct kube_call *post = fake_expect(c->f, "POST", PATH);
	fake_sleep(c->f, took);
	lease_reply(post, 201, "1", "me");
	assert_int_equal(c->acquired, 1);
	assert_true(kube_lease_held(c->l));
	assert_int_equal(kube_lease_may_act(c->l), acts);
	assert_int_equal(c->lost, 0);
	fake_sleep(c->f, 1);
	assert_int_equal(c->lost, 1);
	assert_false(kube_lease_may_act(c->l));
}

static void test_fence(void **state)
{
	check_fence(*state, 13 * S - 1, true);
	check_fence(*state, 13 * S, false);
}

static void test_release(void **state)
{
	struct candidate *c = *state;
	acquire(c);
	kube_lease_release(c->l, on_released, c);
	assert_false(kube_lease_held(c->l));
	assert_false(kube_lease_may_act(c->l));
	struct kube_call *put = fake_expect(c->f, "PUT", PATH "/op");
	check_body(put, "", "1", 1, 4);
	assert_int_equal(c->released, 0);
	lease_reply(put, 200, "2", "");
	assert_int_equal(c->released, 1);
	fake_expect_nothing(c->f, USEC_PER_HOUR);
	assert_int_equal(c->lost, 0);
}

static void test_release_during_a_renewal(void **state)
{
	struct candidate *c = *state;
	acquire(c);
	fake_expect(c->f, "PUT", PATH "/op");
	kube_lease_release(c->l, on_released, c);
	fake_refuse(fake_expect(c->f, "PUT", PATH "/op"), 409, "Conflict"); /* it had been done */
	lease_reply(fake_expect(c->f, "GET", PATH "/op"), 200, "2", "me");
	struct kube_call *put = fake_expect(c->f, "PUT", PATH "/op");
	check_body(put, "", "2", 1, 4);
	lease_reply(put, 200, "3", "");
	assert_int_equal(c->released, 1);
}

static void test_release_that_fails(void **state)
{
	struct candidate *c = *state;
	acquire(c);
	kube_lease_release(c->l, on_released, c);
	fake_expect(c->f, "PUT", PATH "/op"); /* hangs */
	fake_sleep(c->f, 5 * S);
	assert_int_equal(c->released, 1);
}

/* The same at the end: once more, at once. */
static void test_broken_connection_of_the_release(void **state)
{
	struct candidate *c = *state;
	acquire(c);
	kube_lease_release(c->l, on_released, c);
	fake_fail(fake_expect(c->f, "PUT", PATH "/op"), ERR_UNREACHABLE, "reset");
	assert_int_equal(c->released, 0);
	usec_t failed = loop_now(c->f->loop);
	struct kube_call *put = fake_expect(c->f, "PUT", PATH "/op");
	assert_int_equal(loop_now(c->f->loop), failed);
	check_body(put, "", "1", 1, 4);
	fake_fail(put, ERR_UNREACHABLE, "refused");
	assert_int_equal(c->released, 1);
	fake_expect_nothing(c->f, USEC_PER_HOUR);
}

static void test_release_without_a_lease(void **state)
{
	struct candidate *c = *state;
	kube_lease_release(c->l, on_released, c);
	assert_int_equal(c->released, 0);
	fake_expect_nothing(c->f, USEC_PER_HOUR);
	assert_int_equal(c->released, 1);
}

static void test_times(void **state)
{
	struct candidate *c = *state;
	static const struct kube_lease_options bad[] = {
		{ .duration = 10 * S, .renew_deadline = 10 * S, .retry = 2 * S },
		{ .duration = 10 * S, .renew_deadline = 6 * S, .retry = 5 * S },
		{ .duration = 2 * S, .renew_deadline = 1 * S, .retry = S / 10 },
		{ .duration = 10 * S, .renew_deadline = 9 * S, .retry = 1 * S }, /* the fence */
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct kube_lease_options o = bad[i];
		struct kube_lease *l;
		struct err err = { 0 };
		o.client = c->f->client;
		o.ns = o.name = o.identity = "x";
		assert_true(kube_lease_new(&o, &handlers, c, &l, &err) < 0);
		assert_int_equal(err.kind, ERR_INVALID);
	}
}

/* --- several candidates, a model server, faults
 * ---------------------------------------------------------------- */

enum { CANDIDATES = 3 };

struct model {
	struct fake *f;
	struct candidate c[CANDIDATES];
	uint64_t version;
	char *lease;	 /* NULL: none */
	unsigned faults; /* per cent */
	/* Which candidate is cut off from the server. */
	int cut;
	unsigned changes;
};

static const char *body_holder(const char *text, char out[64])
{
	_cleanup_(json_freep) struct json *j = NULL;
	json_parse(text, strlen(text), &j, NULL);
	snprintf(out, 64, "%s", str_or(json_get_path_string(j, "spec.holderIdentity"), ""));
	return out;
}

static void serve(struct fake *f, struct kube_call *call)
{
	struct model *m = f->data;
	uint64_t dice = loop_random_below(f->loop, 100);
	char holder[64];
	_cleanup_(json_freep) struct json *j = NULL;
	bool write = !streq(call->method, "GET");
	if (write)
		json_parse(call->body, strlen(call->body), &j, NULL);
	bool is_cut = write && m->cut >= 0 && body_holder(call->body, holder)[0] == 'A' + m->cut;
	if (dice < m->faults || is_cut) {
		if (dice % 3 == 0)
			fake_fail(call, ERR_UNREACHABLE, "reset");
		else if (dice % 3 == 1)
			fake_refuse(call, 503, "ServiceUnavailable");
		return; /* or hangs */
	}
	if (write) {
		_cleanup_(json_freep) struct json *old = NULL;
		if (m->lease)
			json_parse(m->lease, strlen(m->lease), &old, NULL);
		bool create = streq(call->method, "POST");
		if (create && m->lease) {
			fake_refuse(call, 409, "AlreadyExists");
			return;
		}
		if (!create && !streq(kube_resource_version(old), kube_resource_version(j))) {
			fake_refuse(call, 409, "Conflict");
			return;
		}
		char rv[24];
		snprintf(rv, sizeof(rv), "%llu", (unsigned long long)++m->version);
		json_set_string(json_make_object(j, "metadata"), "resourceVersion", rv);
		free(m->lease);
		m->lease = json_to_string(j);
		m->changes++;
		if (dice < m->faults * 2) { /* done, but the answer is lost */
			fake_fail(call, ERR_UNREACHABLE, "reset");
			return;
		}
	}
	if (m->lease)
		fake_reply(call, 200, m->lease);
	else
		fake_refuse(call, 404, "NotFound");
}

/* The one thing that must never happen: two that may act. */
static unsigned check_exclusion(struct model *m)
{
	unsigned actors = 0;
	for (int i = 0; i < CANDIDATES; i++)
		actors += m->c[i].l && kube_lease_may_act(m->c[i].l);
	assert_true(actors <= 1);
	return actors;
}

static void test_never_two_leaders(void **state)
{
	(void)state;
	log_set_sink(quiet, NULL);
	unsigned led = 0, changed = 0;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct model m = { .cut = -1, .faults = (unsigned)(seed % 4) * 10 };
		m.f = fake_new(seed, &(struct kube_client_options){ .qps = -1 });
		m.f->data = &m;
		m.f->serve = serve;
		m.f->latency = 50 * USEC_PER_MSEC;
		unsigned starts = 0;
		for (int step = 0; step < 600; step++) {
			for (int i = 0; i < CANDIDATES; i++) {
				struct candidate *c = &m.c[i];
				if (c->l && c->lost) { /* it exits, and is started anew */
					c->l = kube_lease_free(c->l);
					changed++;
				}
				if (c->l || loop_random_below(m.f->loop, 10) > 0)
					continue;
				char identity[16];
				snprintf(identity, sizeof(identity), "%c%u", 'A' + i, starts++);
				*c = (struct candidate){ .f = m.f };
				start(c, identity);
			}
			if (loop_random_below(m.f->loop, 30) == 0)
				m.cut = (int)loop_random_below(m.f->loop, CANDIDATES + 1) - 1;
			for (int k = 0; k < 10; k++) {
				fake_sleep(m.f, 100 * USEC_PER_MSEC);
				led += check_exclusion(&m);
			}
		}
		for (int i = 0; i < CANDIDATES; i++)
			kube_lease_free(m.c[i].l);
		kube_client_free(m.f->client);
		m.f->client = NULL;
		fake_free(m.f);
		free(m.lease);
	}
	assert_true(led > 60 * 600 * 10 / 4); /* and most of the time there was one */
	assert_true(changed > 60);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void test_states(void **state)
{
	(void)state;
	unsigned last = kube_lease_fsm.count - 1;
	assert_string_equal(fsm_name(&kube_lease_fsm, 0), "seek");
	assert_string_equal(fsm_name(&kube_lease_fsm, last), "ended");
	fsm_walk(&kube_lease_fsm, 0, 1U << last);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_states),
		T(test_namespace_missing),
		T(test_create_and_renew),
		T(test_waits_for_anothers_lease),
		T(test_renewals_of_another_start_the_wait_anew),
		T(test_free_lease_is_taken_at_once),
		T(test_lost_answer_of_the_claim),
		T(test_lost_answer_of_a_renewal),
		T(test_broken_connection_of_a_renewal),
		T(test_taken_by_another),
		T(test_renew_deadline),
		T(test_server_that_hangs),
		T(test_alive),
		T(test_deleted_lease),
		T(test_fence),
		T(test_release),
		T(test_release_during_a_renewal),
		T(test_release_that_fails),
		T(test_broken_connection_of_the_release),
		T(test_release_without_a_lease),
		T(test_times),
		cmocka_unit_test(test_never_two_leaders),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
