/* Calls of the client: what goes over the wire, how answers are decoded, what is repeated, the
 * throttle. */

#include "base/log.h"
#include "fake.h"
#include "kube/version.h"
#include "unit/parse.h"

static int setup(void **state)
{
	*state = fake_new(1, NULL);
	return 0;
}

static int teardown(void **state)
{
	fake_free(*state);
	return 0;
}

static void test_get(void **state)
{
	struct fake *f = *state;
	struct outcome o = { 0 };
	kube_get(f->client, &hosts, "m", "a", outcome_done, &o);
	struct kube_call *c = fake_expect(f, "GET",
					  "/apis/metal3.io/v1alpha1/namespaces/m/baremetalhosts/a");
	assert_int_equal(o.times, 0);
	assert_int_equal(c->timeout, 30 * USEC_PER_SEC);
	assert_null(c->content_type);
	fake_reply(c, 200, HOST("a", "5"));
	assert_int_equal(o.times, 1);
	assert_false(o.failed);
	assert_string_equal(kube_uid(o.answer), "uid-a");
	outcome_release(&o);
}

static void test_writes(void **state)
{
	struct fake *f = *state;
	struct outcome o = { 0 };
	_cleanup_(json_freep) struct json *host = parse(HOST("a", "5"));
	_cleanup_(json_freep) struct json *patch = parse("{\"spec\":{\"online\":true}}");
	static const char base[] = "/apis/metal3.io/v1alpha1/namespaces/m/baremetalhosts";
	const struct {
		const char *method, *rest, *content_type;
	} rows[] = {
		{ "POST", "?fieldManager=ingot", "application/json" },
		{ "PUT", "/a?fieldManager=ingot", "application/json" },
		{ "PUT", "/a/status?fieldManager=ingot", "application/json" },
		{ "PATCH", "/a?fieldManager=ingot", "application/merge-patch+json" },
		{ "PATCH", "/a/status?fieldManager=ingot", "application/json-patch+json" },
		{ "PATCH", "/a?fieldManager=ingot&force=true", "application/apply-patch+yaml" },
		{ "DELETE", "/a", "application/json" },
	};
	kube_create(f->client, &hosts, host, outcome_done, &o);
	kube_update(f->client, &hosts, host, outcome_done, &o);
	kube_update_status(f->client, &hosts, host, outcome_done, &o);
	kube_patch(f->client, &hosts, "m", "a", NULL, KUBE_PATCH_MERGE, patch, outcome_done, &o);
	kube_patch(f->client, &hosts, "m", "a", "status", KUBE_PATCH_JSON, patch, outcome_done, &o);
	kube_patch(f->client, &hosts, "m", "a", NULL, KUBE_PATCH_APPLY, patch, outcome_done, &o);
	struct kube_delete_options gone = { .uid = "u",
					    .resource_version = "7",
					    .propagation = "Background" };
	kube_delete(f->client, &hosts, "m", "a", &gone, outcome_done, &o);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct kube_call *c = fake_expect(f, rows[i].method, base);
		assert_string_equal(c->path + strlen(base), rows[i].rest);
		assert_string_equal(c->content_type, rows[i].content_type);
		if (i == 3)
			assert_string_equal(c->body, "{\"spec\":{\"online\":true}}");
		if (i == 6)
			assert_string_equal(
				c->body, "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\","
					 "\"propagationPolicy\":\"Background\",\"preconditions\":"
					 "{\"uid\":\"u\",\"resourceVersion\":\"7\"}}");
		fake_reply(c, 200, HOST("a", "6"));
		assert_int_equal(o.times, i + 1);
		assert_string_equal(kube_resource_version(o.answer), "6");
	}
	outcome_release(&o);
}

static void test_errors(void **state)
{
	struct fake *f = *state;
	struct outcome o = { 0 };
	kube_get(f->client, &hosts, "m", "a", outcome_done, &o);
	fake_refuse(fake_expect(f, "GET", "/"), 404, "NotFound");
	assert_int_equal(o.err.kind, ERR_NOT_FOUND);
	assert_int_equal(o.err.code, 404);
	assert_string_equal(o.err.text, "get BareMetalHost m/a: server says NotFound");
	assert_string_equal(json_get_string(o.answer, "reason"), "NotFound");
	_cleanup_(json_freep) struct json *host = parse(HOST("a", "5"));
	kube_update_status(f->client, &hosts, host, outcome_done, &o);
	fake_refuse(fake_expect(f, "PUT", "/"), 409, "Conflict");
	assert_int_equal(o.err.kind, ERR_CONFLICT);
	assert_string_equal(o.err.text, "update BareMetalHost m/a (status): server says Conflict");
	kube_create(f->client, &hosts, host, outcome_done, &o);
	fake_refuse(fake_expect(f, "POST", "/"), 409, "AlreadyExists");
	assert_int_equal(o.err.kind, ERR_EXISTS);
	kube_get(f->client, &hosts, "m", "a", outcome_done, &o);
	fake_reply(fake_expect(f, "GET", "/"), 502, "<html>Bad Gateway</html>");
	assert_int_equal(o.err.kind, ERR_UNREACHABLE);
	assert_null(strstr(o.err.text, "html"));
	assert_null(o.answer);
	kube_get(f->client, &hosts, "m", "a", outcome_done, &o);
	fake_reply(fake_expect(f, "GET", "/"), 200, "{\"cut");
	assert_int_equal(o.err.kind, ERR_PROTOCOL);
	outcome_release(&o);
}

static void test_text_answers(void **state)
{
	struct fake *f = *state;
	struct outcome o = { 0 };
	struct kube_request r = { .method = "GET", .path = "/healthz", .what = "health" };
	kube_request(f->client, &r, outcome_done, &o);
	fake_reply(fake_expect(f, "GET", "/healthz"), 200, "ok");
	assert_false(o.failed);
	assert_null(o.answer);
	assert_int_equal(o.times, 1);
}

static void test_delete_of_absent(void **state)
{
	struct fake *f = *state;
	struct outcome o = { 0 };
	kube_delete(f->client, &nodes, NULL, "n", NULL, outcome_done, &o);
	fake_refuse(fake_expect(f, "DELETE", "/api/v1/nodes/n"), 404, "NotFound");
	assert_int_equal(o.times, 1);
	assert_false(o.failed);
	outcome_release(&o);
}

/* What a server that has just started says of custom kinds: nothing was deleted, nothing is gone.
 */
static void test_path_that_is_not_served(void **state)
{
	struct fake *f = *state;
	struct outcome o = { 0 };
	kube_delete(f->client, &hosts, "m", "a", NULL, outcome_done, &o);
	fake_reply(fake_expect(f, "DELETE", "/apis/"), 404, "404 page not found\n");
	assert_true(o.failed);
	assert_int_equal(o.err.kind, ERR_UNREACHABLE);
	outcome_release(&o);
	kube_get(f->client, &hosts, "m", "a", outcome_done, &o);
	fake_reply(fake_expect(f, "GET", "/apis/"), 404, "404 page not found\n");
	assert_int_equal(o.err.kind, ERR_UNREACHABLE);
	outcome_release(&o);
}

static void test_bad_arguments_come_later(void **state)
{
	struct fake *f = *state;
	struct outcome o = { 0 };
	kube_get(f->client, &hosts, "m", NULL, outcome_done, &o);
	assert_int_equal(o.times, 0);
	fake_expect_nothing(f, 1);
	assert_int_equal(o.times, 1);
	assert_int_equal(o.err.kind, ERR_INVALID);
	_cleanup_(json_freep) struct json *nameless = parse("{\"metadata\":{\"namespace\":\"m\"}}");
	kube_update(f->client, &hosts, nameless, outcome_done, &o);
	struct kube_op *op = kube_get(f->client, &hosts, NULL, "a", outcome_done, &o);
	assert_null(kube_cancel(op));
	fake_expect_nothing(f, 1);
	assert_int_equal(o.times, 2);
}

/* --- what is repeated
 * --------------------------------------------------------------------------------- */

static void test_retry_after(void **state)
{
	struct fake *f = *state;
	struct outcome o = { 0 };
	_cleanup_(json_freep) struct json *host = parse(HOST("a", "5"));
	kube_create(f->client, &hosts, host, outcome_done, &o);
	fake_reply_after(fake_expect(f, "POST", "/"), 429, 3, "");
	fake_expect_nothing(f, 3 * USEC_PER_SEC - 1);
	fake_reply_after(fake_expect(f, "POST", "/"), 503, 0, "");
	struct kube_call *c = fake_expect(f, "POST", "/");
	assert_string_equal(c->body, HOST("a", "5"));
	fake_reply(c, 201, HOST("a", "5"));
	assert_int_equal(o.times, 1);
	assert_false(o.failed);
	outcome_release(&o);
}

static void test_retry_after_ends(void **state)
{
	struct fake *f = *state;
	struct outcome o = { 0 };
	kube_get(f->client, &hosts, "m", "a", outcome_done, &o);
	for (int i = 0; i < 10; i++)
		fake_reply_after(fake_expect(f, "GET", "/"), 429, 1, "");
	assert_int_equal(o.times, 1);
	assert_int_equal(o.err.kind, ERR_BUSY);
	assert_true(str_has_prefix(o.err.text,
				   "get BareMetalHost m/a: still refused after 10 tries "
				   "and 9 s of waiting, as asked: "));
	fake_expect_nothing(f, USEC_PER_HOUR);
}

/* However long the server asks for: one call, all its pages together, waits for a minute. */
static void test_retry_after_in_all(void **state)
{
	struct fake *f = *state;
	static const struct {
		int64_t asks;
		unsigned tries;
	} rows[] = { { 20, 4 }, { 25, 4 }, { 60, 2 }, { 3600, 2 }, { INT32_MAX, 2 }, { 7, 10 } };
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct outcome o = { 0 };
		usec_t start = loop_now(f->loop);
		kube_get(f->client, &hosts, "m", "a", outcome_done, &o);
		for (unsigned k = 0; k < rows[i].tries; k++) {
			assert_int_equal(o.times, 0);
			fake_reply_after(fake_expect(f, "GET", "/"), 503, rows[i].asks, "");
		}
		assert_int_equal(o.times, 1);
		assert_int_equal(loop_now(f->loop) - start, 60 * USEC_PER_SEC);
		assert_int_equal(o.err.code, 503);
		assert_non_null(strstr(o.err.text, "and 60 s of waiting, as asked"));
		fake_expect_nothing(f, USEC_PER_HOUR);
	}
}

static void test_retry_after_of_pages(void **state)
{
	struct fake *f = *state;
	struct outcome o = { 0 };
	usec_t start = loop_now(f->loop);
	kube_list(f->client, &nodes, NULL, NULL, outcome_done, &o);
	for (int page = 0; page < 2; page++) {
		fake_reply_after(fake_expect(f, "GET", "/"), 429, 30, "");
		fake_reply(fake_expect(f, "GET", "/"), 200,
			   "{\"kind\":\"NodeList\",\"metadata\":{\"resourceVersion\":\"9\","
			   "\"continue\":\"t\"},\"items\":[]}");
	}
	fake_reply_after(fake_expect(f, "GET", "/"), 429, 30, "");
	assert_int_equal(o.times, 1);
	assert_int_equal(o.err.kind, ERR_BUSY);
	assert_int_equal(loop_now(f->loop) - start, 60 * USEC_PER_SEC);
	outcome_release(&o);
}

static void test_no_retry_without_the_servers_word(void **state)
{
	struct fake *f = *state;
	struct outcome o = { 0 };
	static const int codes[] = { 429, 500, 503, 504 };
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		kube_get(f->client, &hosts, "m", "a", outcome_done, &o);
		fake_reply(fake_expect(f, "GET", "/"), codes[i], "");
		assert_int_equal(o.times, i + 1);
		assert_true(o.failed);
	}
	/* Nor for refusals that will not change. */
	kube_get(f->client, &hosts, "m", "a", outcome_done, &o);
	fake_reply_after(fake_expect(f, "GET", "/"), 403, 1, "");
	assert_int_equal(o.err.kind, ERR_DENIED);
}

static void test_broken_connections(void **state)
{
	struct fake *f = *state;
	struct outcome o = { 0 };
	kube_get(f->client, &hosts, "m", "a", outcome_done, &o);
	fake_fail(fake_expect(f, "GET", "/"), ERR_UNREACHABLE, "reset");
	fake_fail(fake_expect(f, "GET", "/"), ERR_UNREACHABLE, "reset");
	assert_int_equal(o.times, 0);
	fake_fail(fake_expect(f, "GET", "/"), ERR_UNREACHABLE, "reset");
	assert_int_equal(o.times, 1);
	assert_string_equal(o.err.text, "get BareMetalHost m/a: reset");
	assert_int_equal(o.err.code, 0);
	/* Only the connection: what took too long would take too long again. */
	kube_get(f->client, &hosts, "m", "a", outcome_done, &o);
	fake_fail(fake_expect(f, "GET", "/"), ERR_TIMEOUT, "slow");
	assert_int_equal(o.times, 2);
	fake_expect_nothing(f, USEC_PER_MIN);
}

/* It may have been done: only the caller knows what that means. */
static void test_no_write_is_repeated(void **state)
{
	struct fake *f = *state;
	struct outcome o = { 0 };
	_cleanup_(json_freep) struct json *host = parse(HOST("a", "5"));
	static const char *const methods[] = { "POST", "PUT", "PUT", "PATCH", "PATCH", "DELETE" };
	static const enum err_kind kinds[] = { ERR_UNREACHABLE, ERR_TIMEOUT, ERR_PROTOCOL };
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		outcome_release(&o);
		kube_create(f->client, &hosts, host, outcome_done, &o);
		kube_update(f->client, &hosts, host, outcome_done, &o);
		kube_update_status(f->client, &hosts, host, outcome_done, &o);
		kube_patch(f->client, &hosts, "m", "a", NULL, KUBE_PATCH_MERGE, host, outcome_done,
			   &o);
		kube_patch(f->client, &hosts, "m", "a", NULL, KUBE_PATCH_APPLY, host, outcome_done,
			   &o);
		kube_delete(f->client, &hosts, "m", "a", NULL, outcome_done, &o);
		for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
			fake_fail(fake_expect(f, methods[i], "/"), kinds[k], "reset");
			assert_int_equal(o.times, i + 1);
			assert_int_equal(o.err.kind, kinds[k]);
		}
		fake_expect_nothing(f, USEC_PER_MIN);
	}
}

/* --- lists
 * --------------------------------------------------------------------------------------------- */

static void test_list_pages(void **state)
{
	struct fake *f = *state;
	struct outcome o = { 0 };
	struct kube_list_options options = { .label_selector = "a=b", .limit = 2 };
	kube_list(f->client, &secrets, "m", &options, outcome_done, &o);
	fake_reply(
		fake_expect(f, "GET", "/api/v1/namespaces/m/secrets?limit=2&labelSelector=a%3Db"),
		200,
		"{\"kind\":\"SecretList\",\"metadata\":{\"resourceVersion\":\"9\",\"continue\":"
		"\"t=1\",\"remainingItemCount\":1},\"items\":[{\"n\":1},{\"n\":2}]}");
	fake_reply(
		fake_expect(
			f, "GET",
			"/api/v1/namespaces/m/secrets?limit=2&labelSelector=a%3Db&continue=t%3D1"),
		200,
		"{\"kind\":\"SecretList\",\"metadata\":{\"resourceVersion\":\"11\"},"
		"\"items\":[{\"n\":3}]}");
	assert_int_equal(o.times, 1);
	_cleanup_(freep) char *text = json_to_string(o.answer);
	assert_string_equal(text,
			    "{\"kind\":\"SecretList\",\"metadata\":{\"resourceVersion\":\"9\"},"
			    "\"items\":[{\"n\":1},{\"n\":2},{\"n\":3}]}");
	outcome_release(&o);
}

static void test_list_begins_anew_when_its_token_expires(void **state)
{
	struct fake *f = *state;
	struct outcome o = { 0 };
	static const char first[] =
		"{\"kind\":\"NodeList\",\"metadata\":{\"resourceVersion\":\"9\","
		"\"continue\":\"t\"},\"items\":[{\"n\":1}]}";
	kube_list(f->client, &nodes, NULL, NULL, outcome_done, &o);
	fake_reply(fake_expect(f, "GET", "/api/v1/nodes?limit=500"), 200, first);
	fake_refuse(fake_expect(f, "GET", "/api/v1/nodes?limit=500&continue=t"), 410, "Expired");
	fake_reply(fake_expect(f, "GET", "/api/v1/nodes?limit=500"), 200,
		   "{\"kind\":\"NodeList\",\"metadata\":{},\"items\":null}");
	assert_int_equal(o.times, 1);
	assert_false(o.failed);
	assert_int_equal(json_count(json_get(o.answer, "items")), 0);
	/* Not for ever. */
	kube_list(f->client, &nodes, NULL, NULL, outcome_done, &o);
	for (int i = 0; i < 4; i++) {
		fake_reply(fake_expect(f, "GET", "/api/v1/nodes?limit=500"), 200, first);
		fake_refuse(fake_expect(f, "GET", "/api/v1/nodes?limit=500&continue=t"), 410,
			    "Expired");
	}
	assert_int_equal(o.times, 2);
	assert_int_equal(o.err.kind, ERR_GONE);
	outcome_release(&o);
}

static void test_list_that_is_none(void **state)
{
	struct fake *f = *state;
	struct outcome o = { 0 };
	kube_list(f->client, &nodes, NULL, NULL, outcome_done, &o);
	fake_reply(fake_expect(f, "GET", "/"), 200, "{\"items\":{}}");
	assert_int_equal(o.err.kind, ERR_PROTOCOL);
	kube_list(f->client, &nodes, NULL, NULL, outcome_done, &o);
	fake_reply(fake_expect(f, "GET", "/"), 200, "");
	assert_int_equal(o.err.kind, ERR_PROTOCOL);
	assert_int_equal(o.times, 2);
	outcome_release(&o);
}

/* --- throttle, cancellation
 * ---------------------------------------------------------------------------- */

static void test_throttle(void **state)
{
	struct fake *f = *state;
	struct outcome o = { 0 };
	usec_t start = loop_now(f->loop), last = start;
	for (int i = 0; i < 70; i++)
		kube_get(f->client, &nodes, NULL, "n", outcome_done, &o);
	assert_int_equal(f->started, 30); /* the burst at once */
	for (int i = 0; i < 70; i++) {
		struct kube_call *c = fake_expect(f, "GET", "/");
		last = loop_now(f->loop);
		fake_reply(c, 200, "{}");
	}
	assert_int_equal(last - start, 40 * USEC_PER_SEC / 20);
	assert_int_equal(o.times, 70);
	/* After a rest the burst is there again. */
	fake_sleep(f, USEC_PER_MIN);
	start = loop_now(f->loop);
	for (int i = 0; i < 30; i++)
		kube_get(f->client, &nodes, NULL, "n", outcome_done, &o);
	for (int i = 0; i < 30; i++)
		fake_reply(fake_expect(f, "GET", "/"), 200, "{}");
	assert_int_equal(loop_now(f->loop), start);
	outcome_release(&o);
}

struct waits {
	unsigned lines;
	char first[200];
};

static void note_wait(void *data, enum log_level level, const char *line)
{
	struct waits *w = data;
	if (level != LOG_WARN || !strstr(line, "are throttled"))
		return;
	if (w->lines++ == 0)
		snprintf(w->first, sizeof(w->first), "%s", line);
}

static void ask_in_turn(struct fake *f, unsigned n)
{
	struct outcome o = { 0 };
	for (unsigned i = 0; i < n; i++)
		kube_get(f->client, &nodes, NULL, "n", outcome_done, &o);
	for (unsigned i = 0; i < n; i++)
		fake_reply(fake_expect(f, "GET", "/"), 200, "{}");
	assert_int_equal(o.times, n);
	outcome_release(&o);
}

/* A wait of a second is told, once a minute at most. */
static void test_long_waits_are_logged(void **state)
{
	(void)state;
	struct waits w = { 0 };
	struct fake *f = fake_new(1, &(struct kube_client_options){ .qps = 10, .burst = 2 });
	log_set_sink(note_wait, &w);
	ask_in_turn(f, 2 + 9); /* the last of them waits for 0.9 s */
	assert_int_equal(w.lines, 0);
	fake_sleep(f, 2 * USEC_PER_SEC);
	ask_in_turn(f, 2 + 30);
	assert_int_equal(w.lines, 1);
	assert_non_null(strstr(w.first, "--kube-api-qps"));
	assert_non_null(strstr(w.first, "1000ms"));
	assert_non_null(strstr(w.first, "get Node n"));
	fake_sleep(f, 2 * USEC_PER_SEC);
	ask_in_turn(f, 2 + 30);
	assert_int_equal(w.lines, 1);
	fake_sleep(f, USEC_PER_MIN);
	ask_in_turn(f, 2 + 30);
	assert_int_equal(w.lines, 2);
	log_set_sink(NULL, NULL);
	fake_free(f);
}

static void test_no_throttle(void **state)
{
	(void)state;
	struct fake *f = fake_new(1, &(struct kube_client_options){ .qps = -1 });
	struct outcome o = { 0 };
	for (int i = 0; i < 1000; i++)
		kube_get(f->client, &nodes, NULL, "n", outcome_done, &o);
	assert_int_equal(f->started, 1000);
	fake_free(f); /* with all of them under way */
	assert_int_equal(o.times, 0);
}

struct canceller {
	struct kube_op *op, *other;
	unsigned times;
};

static void cancel_both(void *data, const struct err *err, struct json **answer)
{
	(void)err, (void)answer;
	struct canceller *c = data;
	c->times++;
	c->op = kube_cancel(c->op);
	c->other = kube_cancel(c->other);
}

static void test_cancel(void **state)
{
	struct fake *f = *state;
	struct canceller c = { 0 };
	c.op = kube_get(f->client, &nodes, NULL, "a", cancel_both, &c);
	c.other = kube_get(f->client, &nodes, NULL, "b", cancel_both, &c);
	struct kube_call *first = fake_expect(f, "GET", "/api/v1/nodes/a");
	fake_expect(f, "GET", "/api/v1/nodes/b");
	fake_reply(first, 200, "{}");
	assert_int_equal(c.times, 1);
	assert_int_equal(f->cancelled, 1);
	fake_expect_nothing(f, USEC_PER_MIN);
	/* While waiting for a repetition. */
	c.op = kube_get(f->client, &nodes, NULL, "a", cancel_both, &c);
	fake_reply_after(fake_expect(f, "GET", "/"), 429, 5, "");
	c.op = kube_cancel(c.op);
	fake_expect_nothing(f, USEC_PER_MIN);
	assert_int_equal(c.times, 1);
	assert_null(kube_cancel(NULL));
}

static void count_observed(void *data, const char *method, int status, usec_t took)
{
	(void)method, (void)took;
	int *statuses = data;
	*statuses = *statuses * 1000 + status;
}

static void test_observe(void **state)
{
	(void)state;
	int statuses = 0;
	struct fake *f = fake_new(1, &(struct kube_client_options){ .observe = count_observed,
								    .observe_data = &statuses });
	struct outcome o = { 0 };
	kube_get(f->client, &nodes, NULL, "a", outcome_done, &o);
	fake_reply_after(fake_expect(f, "GET", "/"), 429, 0, "");
	fake_reply(fake_expect(f, "GET", "/"), 200, "{}");
	assert_int_equal(statuses, 429200);
	outcome_release(&o);
	fake_free(f);
}

static void note_version(void *data, enum log_level level, const char *line)
{
	struct strbuf *out = data;
	if (level > LOG_DEBUG)
		strbuf_addf(out, "%s\n", line);
}

/* What is told of the API server's version, and what is not. */
static void test_version(void **state)
{
	struct fake *f = *state;
	static const struct {
		int code;
		const char *answer, *told; /* NULL: nothing */
	} rows[] = {
		{ 200, "{\"major\":\"1\",\"minor\":\"36\",\"gitVersion\":\"v1.36.2\"}",
		  "info  API server version=v1.36.2\n" },
		{ 200, "{\"major\":\"1\",\"minor\":\"36+\",\"gitVersion\":\"v1.36.1-eks-123\"}",
		  "info  API server version=v1.36.1-eks-123\n" },
		{ 200, "{\"major\":\"1\",\"minor\":\"36+\"}", "info  API server version=1.36+\n" },
		{ 200, "{\"major\":1}", NULL },
		{ 200, "{}", NULL },
		{ 200, "v1.36", NULL },
		{ 200, "", NULL },
		{ 403, "{\"kind\":\"Status\",\"reason\":\"Forbidden\",\"code\":403}", NULL },
		{ 401, "", NULL },
		{ 500, "<html>", NULL },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct strbuf told = { 0 };
		strbuf_adds(&told, "");
		log_set_sink(note_version, &told);
		kube_log_version(f->client);
		struct kube_call *c = fake_expect(f, "GET", "/version");
		assert_string_equal(c->path, "/version");
		fake_reply(c, rows[i].code, rows[i].answer);
		log_set_sink(NULL, NULL);
		if (!streq(told.data, str_or(rows[i].told, "")))
			fail_msg("row %zu: %s", i, told.data);
		strbuf_done(&told);
	}
	fake_expect_nothing(f, USEC_PER_HOUR); /* once */
}

static void test_strip(void **state)
{
	(void)state;
	_cleanup_(json_freep) struct json *j = parse(
		"{\"metadata\":{\"name\":\"a\",\"managedFields\":[{}],\"annotations\":{"
		"\"kubectl.kubernetes.io/last-applied-configuration\":\"{}\",\"b\":\"c\"}}}");
	kube_strip(j);
	_cleanup_(freep) char *text = json_to_string(j);
	assert_string_equal(text, "{\"metadata\":{\"name\":\"a\",\"annotations\":{\"b\":\"c\"}}}");
	kube_strip(NULL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

struct asked {
	unsigned times;
	char key[64];
};

static bool no(void *data, const char *key)
{
	struct asked *asked = data;
	asked->times++;
	snprintf(asked->key, sizeof(asked->key), "%s", key);
	return false;
}

static void fence(struct fake *f, struct asked *asked)
{
	kube_client_free(f->client);
	f->client = kube_client_new(&(struct kube_client_options){
		.loop = f->loop, .transport = &f->base, .fence = { no, asked } });
}

/* Who does not lead any more may still read. */
static void test_fence(void **state)
{
	struct fake *f = *state;
	struct asked asked = { 0 };
	struct outcome o = { 0 };
	fence(f, &asked);
	_cleanup_(json_freep) struct json *host = parse(HOST("a", "5"));
	kube_update_status(f->client, &hosts, host, outcome_done, &o);
	assert_int_equal(o.times, 0);
	loop_run(f->loop);
	assert_int_equal(o.times, 1);
	assert_int_equal(o.err.kind, ERR_CANCELLED);
	assert_int_equal(asked.times, 1);
	assert_int_equal(f->started, 0);
	kube_get(f->client, &hosts, "m", "a", outcome_done, &o);
	fake_reply(fake_expect(f, "GET", "/"), 200, HOST("a", "5"));
	assert_false(o.failed);
	assert_int_equal(asked.times, 1);
	outcome_release(&o);
}

static void expect_key(struct asked *asked, const char *key)
{
	assert_int_equal(asked->times, 1);
	assert_string_equal(asked->key, key);
	*asked = (struct asked){ 0 };
}

/* Kinds that are named after their host name it; with others the caller may. */
static void test_fence_names_the_host(void **state)
{
	static const struct kube_resource after = { "metal3.io", "v1alpha1", "hardwaredata",
						    "HardwareData", KUBE_PER_HOST };
	static const struct kube_resource other = { "", "v1", "secrets", "Secret",
						    KUBE_NAMESPACED };
	struct fake *f = *state;
	struct asked asked = { 0 };
	struct outcome o = { 0 };
	fence(f, &asked);
	_cleanup_(json_freep) struct json *object = parse(HOST("a", "5"));
	_cleanup_(json_freep) struct json *nameless = parse(
		"{\"metadata\": {\"namespace\": \"m\", \"generateName\": \"x\"}}");
	struct kube_client *c = f->client;
	kube_create(c, &after, object, outcome_done, &o);
	expect_key(&asked, "m/a");
	kube_update(c, &after, object, outcome_done, &o);
	expect_key(&asked, "m/a");
	kube_update_status(c, &after, object, outcome_done, &o);
	expect_key(&asked, "m/a");
	kube_patch(c, &after, "m", "b", NULL, KUBE_PATCH_MERGE, object, outcome_done, &o);
	expect_key(&asked, "m/b");
	kube_delete(c, &after, "m", "c", NULL, outcome_done, &o);
	expect_key(&asked, "m/c");
	kube_create_dry(c, &after, nameless, outcome_done, &o);
	expect_key(&asked, "");
	kube_create(c, &other, object, outcome_done, &o);
	expect_key(&asked, "");
	kube_create_for(c, "m/d", &other, object, outcome_done, &o);
	expect_key(&asked, "m/d");
	kube_patch_for(c, "m/e", &other, "m", "a", NULL, KUBE_PATCH_MERGE, object, outcome_done,
		       &o);
	expect_key(&asked, "m/e");
	loop_run(f->loop);
	assert_int_equal(f->started, 0);
	outcome_release(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_get),
		T(test_fence),
		T(test_fence_names_the_host),
		T(test_writes),
		T(test_errors),
		T(test_text_answers),
		T(test_delete_of_absent),
		T(test_path_that_is_not_served),
		T(test_bad_arguments_come_later),
		T(test_retry_after),
		T(test_retry_after_ends),
		T(test_retry_after_in_all),
		T(test_retry_after_of_pages),
		T(test_no_retry_without_the_servers_word),
		T(test_broken_connections),
		T(test_no_write_is_repeated),
		T(test_list_pages),
		T(test_list_begins_anew_when_its_token_expires),
		T(test_list_that_is_none),
		T(test_throttle),
		cmocka_unit_test(test_long_waits_are_logged),
		cmocka_unit_test(test_no_throttle),
		T(test_cancel),
		cmocka_unit_test(test_observe),
		T(test_version),
		cmocka_unit_test(test_strip),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
