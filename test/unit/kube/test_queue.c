/* The work queue: by example, and against a simple model under random schedules. */

#include "fake.h"

#include "kube/queue.h"
#include "metrics/metrics.h"

enum { KEYS = 8 };

struct run {
	struct loop *loop;
	struct kube_queue *q;
	struct strbuf text; /* "a@0.005 " per start */
	usec_t start;
	bool hold; /* runs stay open until finish() */
	enum kube_verdict verdict;
	usec_t again_in;
	unsigned drained;
};

static void on_run(void *data, const char *key)
{
	struct run *r = data;
	strbuf_addf(&r->text, "%s@%llu ", key,
		    (unsigned long long)(loop_now(r->loop) - r->start) / 1000);
	if (!r->hold)
		kube_queue_finish(r->q, key, r->verdict, r->again_in);
}

static void on_drained(void *data)
{
	struct run *r = data;
	r->drained++;
}

static int setup(void **state)
{
	struct run *r = xcalloc(1, sizeof(*r));
	r->loop = loop_new_virtual(1, FAKE_WALL);
	r->start = loop_now(r->loop);
	r->q = kube_queue_new(&(struct kube_queue_options){
		.loop = r->loop, .name = "test", .max_runs = 2, .run = on_run, .data = r });
	kube_queue_start(r->q);
	strbuf_adds(&r->text, "");
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct run *r = *state;
	kube_queue_free(r->q);
	loop_free(r->loop);
	strbuf_done(&r->text);
	free(r);
	return 0;
}

static void check_runs(struct run *r, usec_t span_ms, const char *expected)
{
	loop_run_until(r->loop, loop_now(r->loop) + span_ms * 1000);
	assert_string_equal(r->text.data, expected);
	strbuf_clear(&r->text);
}

static void test_set_semantics(void **state)
{
	struct run *r = *state;
	kube_queue_add(r->q, "b");
	kube_queue_add(r->q, "a");
	kube_queue_add(r->q, "b");
	assert_string_equal(r->text.data, ""); /* never inside the call */
	check_runs(r, 0, "b@0 a@0 ");
	check_runs(r, 1000, "");
	struct kube_queue_stats s = kube_queue_stats(r->q);
	assert_int_equal(s.runs, 2);
	assert_int_equal(s.added, 3);
	assert_int_equal(s.ready + s.delayed + s.running, 0);
}

static void test_one_run_per_key(void **state)
{
	struct run *r = *state;
	r->hold = true;
	kube_queue_add(r->q, "a");
	check_runs(r, 1, "a@0 ");
	kube_queue_add(r->q, "a");
	kube_queue_add(r->q, "a");
	kube_queue_add_in(r->q, "a", 0);
	check_runs(r, 1, "");
	kube_queue_finish(r->q, "a", KUBE_DONE, 0);
	check_runs(r, 1, "a@2 ");
	kube_queue_finish(r->q, "a", KUBE_DONE, 0);
	check_runs(r, 1000, "");
	/* A time that comes while it runs is not lost, nor does it start a second run. */
	kube_queue_add(r->q, "a");
	check_runs(r, 1, "a@1003 ");
	kube_queue_add_in(r->q, "a", 5000);
	check_runs(r, 10, "");
	kube_queue_finish(r->q, "a", KUBE_DONE, 0);
	check_runs(r, 1, "a@1014 ");
	kube_queue_finish(r->q, "a", KUBE_DONE, 0);
	check_runs(r, 1000, "");
}

static void check_metric(const char *sample)
{
	_cleanup_(strbuf_done) struct strbuf page = { 0 };
	_cleanup_(freep) char *line = xasprintf("\n%s\n", sample);
	metrics_text(&page);
	if (!strstr(page.data, line))
		fail_msg("no %s in the metrics", sample);
}

#define QUEUE	  "{name=\"test\",controller=\"test\"} "
#define RESULT(r) "controller_runtime_reconcile_total{controller=\"test\",result=\"" r "\"} "

static void test_metrics(void **state)
{
	struct run *r = *state;
	metrics_reset();
	r->hold = true;
	kube_queue_add(r->q, "a");
	kube_queue_add(r->q, "b");
	kube_queue_add(r->q, "c"); /* two may run */
	check_runs(r, 3000, "a@0 b@0 ");
	kube_queue_measure(r->q);
	check_metric("workqueue_depth" QUEUE "1");
	check_metric("workqueue_adds_total" QUEUE "3");
	check_metric("controller_runtime_active_workers{controller=\"test\"} 2");
	check_metric("workqueue_unfinished_work_seconds" QUEUE "6");
	check_metric("workqueue_longest_running_processor_seconds" QUEUE "3");
	kube_queue_finish(r->q, "a", KUBE_DONE, 0);
	kube_queue_finish(r->q, "b", KUBE_RETRY, 0);
	check_runs(r, 0, "c@3000 ");
	kube_queue_add(r->q, "c");
	kube_queue_finish(r->q, "c", KUBE_DONE, 0);
	check_runs(r, 10, "c@3000 b@3005 ");
	kube_queue_finish(r->q, "c", KUBE_DONE, USEC_PER_SEC);
	kube_queue_finish(r->q, "b", KUBE_DROP, 0);
	check_metric(RESULT("success") "1");
	check_metric(RESULT("error") "2");
	check_metric(RESULT("requeue") "1");
	check_metric(RESULT("requeue_after") "1");
	check_metric("controller_runtime_reconcile_errors_total{controller=\"test\"} 2");
	check_metric("controller_runtime_terminal_reconcile_errors_total{controller=\"test\"} 1");
	check_metric("workqueue_retries_total" QUEUE "1");
	check_metric("workqueue_queue_duration_seconds_sum" QUEUE "3");
	check_metric("workqueue_queue_duration_seconds_count" QUEUE "5");
	check_metric("controller_runtime_reconcile_time_seconds_count{controller=\"test\"} 5");
	kube_queue_measure(r->q);
	check_metric("workqueue_depth" QUEUE "0");
	check_metric("controller_runtime_active_workers{controller=\"test\"} 0");
	check_metric("workqueue_longest_running_processor_seconds" QUEUE "0");
}

static void test_limit_of_runs(void **state)
{
	struct run *r = *state;
	r->hold = true;
	kube_queue_add(r->q, "a");
	kube_queue_add(r->q, "b");
	kube_queue_add(r->q, "c");
	kube_queue_add(r->q, "d");
	check_runs(r, 1, "a@0 b@0 ");
	kube_queue_finish(r->q, "b", KUBE_DONE, 0);
	check_runs(r, 1, "c@1 ");
	kube_queue_finish(r->q, "a", KUBE_DONE, 0);
	kube_queue_finish(r->q, "c", KUBE_DONE, 0);
	check_runs(r, 1, "d@2 ");
	kube_queue_finish(r->q, "d", KUBE_DONE, 0);
}

static void test_earliest_time_wins(void **state)
{
	struct run *r = *state;
	kube_queue_add_in(r->q, "a", 50000);
	kube_queue_add_in(r->q, "a", 20000);
	kube_queue_add_in(r->q, "a", 70000);
	kube_queue_add_in(r->q, "b", 10000);
	check_runs(r, 100, "b@10 a@20 ");
	/* An event before the time: the time is forgotten. */
	kube_queue_add_in(r->q, "a", 50000);
	kube_queue_add(r->q, "a");
	check_runs(r, 100, "a@100 ");
	kube_queue_add_at(r->q, "a", 0); /* long past */
	check_runs(r, 0, "a@200 ");
}

static void test_requeue(void **state)
{
	struct run *r = *state;
	r->again_in = 10000;
	kube_queue_add(r->q, "a");
	check_runs(r, 35, "a@0 a@10 a@20 a@30 ");
	kube_queue_forget(r->q, "a");
	check_runs(r, 100, "");
}

static void test_backoff(void **state)
{
	struct run *r = *state;
	r->verdict = KUBE_RETRY;
	r->again_in = 1; /* ignored */
	kube_queue_add(r->q, "a");
	check_runs(r, 200, "a@0 a@5 a@15 a@35 a@75 a@155 ");
	assert_int_equal(kube_queue_failures(r->q, "a"), 6);
	/* An event does not wait for the back-off, and does not shorten it for the future. */
	kube_queue_add(r->q, "a");
	check_runs(r, 310, "a@200 ");
	check_runs(r, 20, "a@520 ");
	for (int i = 0; i < 12; i++)
		loop_run_until(r->loop, loop_now(r->loop) + 5 * USEC_PER_MIN);
	strbuf_clear(&r->text);
	struct kube_queue_stats before = kube_queue_stats(r->q);
	loop_run_until(r->loop, loop_now(r->loop) + 50 * USEC_PER_MIN);
	assert_int_equal(kube_queue_stats(r->q).runs - before.runs, 10); /* every 5 min */
	r->verdict = KUBE_DONE;
	r->again_in = 0;
	loop_run_until(r->loop, loop_now(r->loop) + 10 * USEC_PER_MIN);
	assert_int_equal(kube_queue_failures(r->q, "a"), 0);
	/* And the next failure begins at 5 ms. */
	strbuf_clear(&r->text);
	r->start = loop_now(r->loop);
	r->verdict = KUBE_RETRY;
	kube_queue_add(r->q, "a");
	check_runs(r, 5, "a@0 a@5 ");
	r->verdict = KUBE_DROP;
	check_runs(r, 1000, "a@15 ");
	assert_int_equal(kube_queue_failures(r->q, "a"), 0);
}

static void test_start_and_stop(void **state)
{
	struct run *r = *state;
	struct kube_queue_options o = { .loop = r->loop, .name = "late", .run = on_run, .data = r };
	kube_queue_free(r->q);
	r->q = kube_queue_new(&o);
	kube_queue_add(r->q, "a");
	kube_queue_add_in(r->q, "b", 1000);
	check_runs(r, 10, "");
	r->hold = true;
	kube_queue_start(r->q);
	check_runs(r, 1, "a@10 ");
	kube_queue_stop(r->q, on_drained, r);
	check_runs(r, 10, "");
	assert_int_equal(r->drained, 0);
	kube_queue_finish(r->q, "a", KUBE_DONE, 0);
	assert_int_equal(r->drained, 0);
	check_runs(r, 1000, "");
	assert_int_equal(r->drained, 1);
	/* Nothing under way: drained at once, but not inside the call. */
	kube_queue_stop(r->q, on_drained, r);
	assert_int_equal(r->drained, 1);
	check_runs(r, 1, "");
	assert_int_equal(r->drained, 2);
}

/* --- against a model
 * -------------------------------------------------------------------------------------------- */

/* The rules of queue.h in the plainest form: per key, is it wanted now, at what time, is it
 * running. */
struct model_key {
	bool ready, running, again;
	usec_t at; /* 0: none */
	unsigned failures;
};

struct model {
	struct loop *loop;
	struct kube_queue *q;
	struct model_key keys[KEYS];
	unsigned running, runs;
};

static struct model_key *key_of(struct model *m, const char *key)
{
	return &m->keys[key[0] - 'a'];
}

static void model_time(struct model *m)
{
	for (int i = 0; i < KEYS; i++) {
		struct model_key *k = &m->keys[i];
		if (!k->at || k->at > loop_now(m->loop))
			continue;
		k->at = 0;
		*(k->running ? &k->again : &k->ready) = true;
	}
}

static void model_run(void *data, const char *key)
{
	struct model *m = data;
	struct model_key *k = key_of(m, key);
	model_time(m);
	if (!k->ready || k->running || m->running >= 3)
		fail_msg("%s runs though it should not", key);
	*k = (struct model_key){ .running = true, .failures = k->failures };
	m->running++;
	m->runs++;
}

static void model_want(struct model_key *k, usec_t at)
{
	if (!k->ready && (!k->at || at < k->at))
		k->at = at;
}

static void model_finish(struct model *m, const char *key, enum kube_verdict v, usec_t again)
{
	struct model_key *k = key_of(m, key);
	usec_t now = loop_now(m->loop);
	k->running = false;
	m->running--;
	k->failures = v == KUBE_RETRY ? k->failures + 1 : 0;
	if (v == KUBE_RETRY)
		model_want(k, now + MIN((usec_t)5000 << (k->failures - 1), 5 * USEC_PER_MIN));
	else if (v == KUBE_DONE && again)
		model_want(k, now + again);
	if (k->again) {
		k->ready = true;
		k->at = 0;
	}
	k->again = false;
	kube_queue_finish(m->q, key, v, again);
}

static void model_step(struct model *m)
{
	char key[2] = { (char)('a' + loop_random_below(m->loop, KEYS)), 0 };
	struct model_key *k = key_of(m, key);
	usec_t span = loop_random_below(m->loop, 20000);
	model_time(m);
	switch (loop_random_below(m->loop, 6)) {
	case 0:
		kube_queue_add(m->q, key);
		*(k->running ? &k->again : &k->ready) = true;
		if (!k->running)
			k->at = 0;
		break;
	case 1:
		kube_queue_add_in(m->q, key, span + 1);
		model_want(k, loop_now(m->loop) + span + 1);
		break;
	case 2:
		if (loop_random_below(m->loop, 10) == 0) {
			kube_queue_forget(m->q, key);
			*k = (struct model_key){ .running = k->running };
		}
		break;
	case 3:
	case 4:
		if (k->running)
			model_finish(m, key, (enum kube_verdict)loop_random_below(m->loop, 3),
				     loop_random_below(m->loop, 2) * span);
		break;
	case 5:
		loop_run_until(m->loop, loop_now(m->loop) + span);
		model_time(m);
		break;
	}
}

/* When time has passed, whatever is ready runs up to the limit: nothing is forgotten. */
static void model_check(struct model *m)
{
	loop_run_until(m->loop, loop_now(m->loop));
	model_time(m);
	bool waiting = false;
	for (int i = 0; i < KEYS; i++) {
		char key[2] = { (char)('a' + i), 0 };
		waiting |= m->keys[i].ready;
		assert_int_equal(kube_queue_failures(m->q, key), m->keys[i].failures);
	}
	if (waiting && m->running < 3)
		fail_msg("a key is ready but does not run");
	assert_int_equal(kube_queue_stats(m->q).running, m->running);
}

static void test_against_model(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 200; seed++) {
		struct model m = { .loop = loop_new_virtual(seed, FAKE_WALL) };
		m.q = kube_queue_new(&(struct kube_queue_options){ .loop = m.loop,
								   .name = "model",
								   .max_runs = 3,
								   .run = model_run,
								   .data = &m });
		kube_queue_start(m.q);
		for (int i = 0; i < 500; i++) {
			model_step(&m);
			model_check(&m);
		}
		assert_true(m.runs > 20);
		kube_queue_free(m.q);
		loop_free(m.loop);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_set_semantics),
		T(test_one_run_per_key),
		T(test_metrics),
		T(test_limit_of_runs),
		T(test_earliest_time_wins),
		T(test_requeue),
		T(test_backoff),
		T(test_start_and_stop),
		cmocka_unit_test(test_against_model),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
