/* The list of instances: scripted conversations with an API server. */

#include "fake.h"

#include "base/log.h"
#include "kube/instances.h"

#define MAPS "/api/v1/namespaces/ns/configmaps"
#define S    USEC_PER_SEC

static char told[4096];

static void keep_log(void *data, enum log_level level, const char *line)
{
	(void)data, (void)level;
	size_t len = strlen(told);
	snprintf(told + len, sizeof(told) - len, "%s\n", line);
}

static unsigned told_times(const char *what)
{
	unsigned n = 0;
	for (const char *p = told; (p = strstr(p, what)); p++)
		n++;
	return n;
}

struct site {
	struct fake *f;
	struct kube_instances *r;
};

static int setup(void **state)
{
	struct site *s = xcalloc(1, sizeof(*s));
	_cleanup_(json_freep) struct json *entry = json_new_object();
	json_set_int(entry, "port", 6385);
	told[0] = '\0';
	log_set_sink(keep_log, NULL);
	s->f = fake_new(5, NULL);
	const struct kube_instances_options o = { .client = s->f->client,
						  .ns = "ns",
						  .name = "list",
						  .key = "10.0.0.1",
						  .entry = entry };
	s->r = kube_instances_new(&o);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct site *s = *state;
	kube_instances_free(s->r);
	fake_free(s->f);
	free(s);
	return 0;
}

/* The next renewal; *ret is its body. */
static struct kube_call *renewal(struct site *s, struct json **ret)
{
	struct kube_call *c = fake_expect(s->f, "PATCH", MAPS "/list");
	assert_string_equal(c->content_type, "application/merge-patch+json");
	assert_int_equal(json_parse(c->body, strlen(c->body), ret, NULL), 0);
	const struct json *data = json_get(*ret, "data");
	const char *text = json_string(json_get(data, "10.0.0.1"));
	assert_non_null(text);
	assert_non_null(strstr(text, "\"port\":6385"));
	assert_non_null(strstr(text, "\"renewed\":\"2026-01-01T"));
	return c;
}

/* Answers it with these entries besides ours: members of an object. */
static void answer(struct site *s, const char *others)
{
	struct json *body = NULL;
	struct kube_call *c = renewal(s, &body);
	fake_replyf(c, 200, "{\"data\":{\"10.0.0.1\":\"{}\"%s%s}}", others[0] ? "," : "", others);
	json_free(body);
}

static void add(void *data, const char *key, const struct json *entry)
{
	char *out = data;
	size_t len = strlen(out);
	snprintf(out + len, 256 - len, "%s:%d ", key, (int)json_get_int(entry, "port", -1));
}

static void expect_others(const struct site *s, const char *expected)
{
	char text[256] = "";
	kube_instances_each(s->r, add, text);
	assert_string_equal(text, expected);
}

#define OTHER(port, beat)                                                                          \
	"\"10.0.0.2\":\"{\\\"port\\\":" port ",\\\"renewed\\\":\\\"" beat "\\\"}\""

static void test_first_makes_it(void **state)
{
	struct site *s = *state;
	struct json *body = NULL, *made = NULL;
	fake_refuse(renewal(s, &body), 404, "NotFound");
	struct kube_call *post = fake_expect(s->f, "POST", MAPS "?");
	assert_int_equal(json_parse(post->body, strlen(post->body), &made, NULL), 0);
	assert_string_equal(kube_name(made), "list");
	assert_non_null(json_get(json_get(made, "data"), "10.0.0.1"));
	fake_reply(post, 201, "{\"data\":{\"10.0.0.1\":\"{}\"}}");
	expect_others(s, "");
	json_free(body), json_free(made);
}

/* Two make it at once: the slower one looks again without a pause. */
static void test_another_makes_it(void **state)
{
	struct site *s = *state;
	struct json *body = NULL;
	fake_refuse(renewal(s, &body), 404, "NotFound");
	fake_refuse(fake_expect(s->f, "POST", MAPS "?"), 409, "AlreadyExists");
	usec_t before = loop_now(s->f->loop);
	answer(s, OTHER("1", "a"));
	assert_true(loop_now(s->f->loop) - before < S);
	expect_others(s, "10.0.0.2:1 ");
	json_free(body);
}

static void test_others_come_and_change(void **state)
{
	struct site *s = *state;
	answer(s, "");
	expect_others(s, "");
	usec_t before = loop_now(s->f->loop);
	answer(s, OTHER("1", "a"));
	assert_int_equal(loop_now(s->f->loop) - before, 10 * S);
	expect_others(s, "10.0.0.2:1 ");
	answer(s, OTHER("2", "b"));
	expect_others(s, "10.0.0.2:2 ");
	answer(s, "");
	expect_others(s, "");
	assert_int_equal(told_times("another instance runs"), 1);
}

/* Not renewed in six rounds of ours: it counts no more, and is taken out. Renewed: it is back. */
static void test_dead_ones_go(void **state)
{
	struct site *s = *state;
	for (int i = 0; i < 6; i++) {
		answer(s, OTHER("1", "a"));
		expect_others(s, "10.0.0.2:1 ");
	}
	answer(s, OTHER("1", "a"));
	expect_others(s, "");
	assert_int_equal(told_times("an instance is gone"), 1);
	struct json *body = NULL;
	struct kube_call *c = renewal(s, &body);
	const struct json *other = json_get(json_get(body, "data"), "10.0.0.2");
	assert_true(other && json_is_null(other));
	fake_reply(c, 200, "{\"data\":{" OTHER("1", "b") "}}");
	expect_others(s, "10.0.0.2:1 ");
	json_free(body);
	/* Renewed, so it is not taken out any more. */
	body = NULL;
	c = renewal(s, &body);
	assert_null(json_get(json_get(body, "data"), "10.0.0.2"));
	fake_reply(c, 200, "{}");
	json_free(body);
}

/* An API that is away for everybody makes nobody dead. */
static void test_outage_kills_nobody(void **state)
{
	struct site *s = *state;
	answer(s, OTHER("1", "a"));
	for (int i = 0; i < 20; i++) {
		struct json *body = NULL;
		fake_refuse(renewal(s, &body), 403, "Forbidden");
		json_free(body);
	}
	expect_others(s, "10.0.0.2:1 ");
	answer(s, OTHER("1", "a"));
	expect_others(s, "10.0.0.2:1 ");
	assert_int_equal(told_times("cannot write the list of instances"), 1);
}

/* What is no entry is passed over; so many that they are no list of instances are cut off. */
static void test_garbage(void **state)
{
	struct site *s = *state;
	answer(s, "\"a\":\"{\",\"b\":7,\"c\":\"\",\"d\":\"{\\\"port\\\":4}\"");
	expect_others(s, "d:4 ");
	struct strbuf many = { 0 };
	for (int i = 0; i < 100; i++)
		strbuf_addf(&many, "%s\"k%03d\":\"{}\"", i ? "," : "", i);
	answer(s, many.data);
	char text[256] = "";
	kube_instances_each(s->r, add, text);
	assert_null(strstr(text, "k032"));
	assert_non_null(strstr(text, "k000"));
	strbuf_done(&many);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_first_makes_it),	   TEST(test_another_makes_it),
		TEST(test_others_come_and_change), TEST(test_dead_ones_go),
		TEST(test_outage_kills_nobody),	   TEST(test_garbage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
