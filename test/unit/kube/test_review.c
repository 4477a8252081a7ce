/* Token and access reviews, as a conversation with the cluster. */

#include "fake.h"

#include "kube/review.h"

struct rig {
	struct fake *fake;
	struct kube_reviewer *reviewer;
};

struct told {
	unsigned times;
	enum kube_access access;
	struct err err;
};

static void tell(void *data, enum kube_access access, const struct err *err)
{
	struct told *t = data;
	t->times++;
	t->access = access;
	t->err = err ? *err : (struct err){ 0 };
}

static int setup(void **state)
{
	struct rig *r = xcalloc(1, sizeof(*r));
	r->fake = fake_new(1, NULL);
	r->reviewer = kube_reviewer_new(r->fake->client);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;
	kube_reviewer_free(r->reviewer);
	fake_free(r->fake);
	free(r);
	return 0;
}

#define TOKENS "/apis/authentication.k8s.io/v1/tokenreviews"
#define ACCESS "/apis/authorization.k8s.io/v1/subjectaccessreviews"
#define KNOWN                                                                                      \
	"{\"status\":{\"authenticated\":true,\"user\":{\"username\":\"prometheus\",\"uid\":\"7\"," \
	"\"groups\":[\"monitors\"],\"extra\":{\"a\":[\"b\"]}}}}"
#define ALLOWED(yes) "{\"status\":{\"allowed\":" yes "}}"

static void answer(struct rig *r, const char *token_answer, const char *access_answer)
{
	fake_reply(fake_expect(r->fake, "POST", TOKENS), 201, token_answer);
	if (access_answer)
		fake_reply(fake_expect(r->fake, "POST", ACCESS), 201, access_answer);
}

static void test_allowed(void **state)
{
	struct rig *r = *state;
	struct told told = { 0 };
	kube_review(r->reviewer, "secret-token", "/metrics", tell, &told);
	struct kube_call *c = fake_expect(r->fake, "POST", TOKENS);
	assert_non_null(strstr(c->body, "\"kind\":\"TokenReview\""));
	assert_non_null(strstr(c->body, "\"spec\":{\"token\":\"secret-token\"}"));
	fake_reply(c, 201, KNOWN);
	assert_int_equal(told.times, 0);
	c = fake_expect(r->fake, "POST", ACCESS);
	assert_non_null(strstr(c->body, "\"kind\":\"SubjectAccessReview\""));
	assert_non_null(strstr(c->body,
			       "\"spec\":{\"user\":\"prometheus\",\"uid\":\"7\",\"groups\":"
			       "[\"monitors\"],\"extra\":{\"a\":[\"b\"]},\"nonResourceAttributes\":"
			       "{\"path\":\"/metrics\",\"verb\":\"get\"}}"));
	assert_null(strstr(c->body, "secret-token"));
	fake_reply(c, 201, ALLOWED("true"));
	assert_int_equal(told.times, 1);
	assert_int_equal(told.access, KUBE_ACCESS_ALLOWED);
}

static void test_kept_for_a_minute(void **state)
{
	struct rig *r = *state;
	struct told told = { 0 };
	kube_review(r->reviewer, "t", "/metrics", tell, &told);
	answer(r, KNOWN, ALLOWED("true"));
	kube_review(r->reviewer, "t", "/metrics", tell, &told);
	assert_int_equal(told.times, 1); /* not within the call */
	fake_expect_nothing(r->fake, 59 * USEC_PER_SEC);
	assert_int_equal(told.times, 2);
	assert_int_equal(told.access, KUBE_ACCESS_ALLOWED);
	fake_sleep(r->fake, USEC_PER_SEC);
	kube_review(r->reviewer, "t", "/metrics", tell, &told);
	answer(r, KNOWN, ALLOWED("false")); /* the right was taken away */
	assert_int_equal(told.access, KUBE_ACCESS_FORBIDDEN);
}

static void test_other_token_is_asked(void **state)
{
	struct rig *r = *state;
	struct told one = { 0 }, other = { 0 };
	kube_review(r->reviewer, "t", "/metrics", tell, &one);
	answer(r, KNOWN, ALLOWED("true"));
	kube_review(r->reviewer, "u", "/metrics", tell, &other);
	answer(r, "{\"status\":{\"authenticated\":false}}", NULL);
	assert_int_equal(other.access, KUBE_ACCESS_UNKNOWN);
}

/* Who may read one path has not been allowed the next; each is kept for itself. */
static void test_other_path_is_asked(void **state)
{
	struct rig *r = *state;
	struct told one = { 0 }, other = { 0 };
	kube_review(r->reviewer, "t", "/metrics", tell, &one);
	answer(r, KNOWN, ALLOWED("true"));
	kube_review(r->reviewer, "t", "/debug/hosts", tell, &other);
	fake_reply(fake_expect(r->fake, "POST", TOKENS), 201, KNOWN);
	struct kube_call *c = fake_expect(r->fake, "POST", ACCESS);
	assert_non_null(strstr(c->body, "{\"path\":\"/debug/hosts\",\"verb\":\"get\"}"));
	fake_reply(c, 201, ALLOWED("false"));
	assert_int_equal(other.access, KUBE_ACCESS_FORBIDDEN);
	kube_review(r->reviewer, "t", "/metrics", tell, &one);
	fake_expect_nothing(r->fake, USEC_PER_SEC);
	assert_int_equal(one.times, 2);
	assert_int_equal(one.access, KUBE_ACCESS_ALLOWED);
}

static void test_refusals_are_kept_shortly(void **state)
{
	struct rig *r = *state;
	struct told told = { 0 };
	kube_review(r->reviewer, "t", "/metrics", tell, &told);
	answer(r, KNOWN, ALLOWED("false"));
	assert_int_equal(told.access, KUBE_ACCESS_FORBIDDEN);
	kube_review(r->reviewer, "t", "/metrics", tell, &told);
	fake_expect_nothing(r->fake, 9 * USEC_PER_SEC);
	assert_int_equal(told.times, 2);
	assert_int_equal(told.access, KUBE_ACCESS_FORBIDDEN);
	fake_sleep(r->fake, USEC_PER_SEC);
	kube_review(r->reviewer, "t", "/metrics", tell, &told);
	answer(r, KNOWN, ALLOWED("true"));
	assert_int_equal(told.access, KUBE_ACCESS_ALLOWED);
}

/* An answer without what is asked for is no consent. */
static void test_odd_answers(void **state)
{
	struct rig *r = *state;
	struct told told = { 0 };
	kube_review(r->reviewer, "a", "/metrics", tell, &told);
	answer(r, "{\"status\":{\"authenticated\":\"true\"}}", NULL);
	assert_int_equal(told.access, KUBE_ACCESS_UNKNOWN);
	kube_review(r->reviewer, "b", "/metrics", tell, &told);
	answer(r, KNOWN, "{\"status\":{\"allowed\":\"true\"}}");
	assert_int_equal(told.access, KUBE_ACCESS_FORBIDDEN);
	kube_review(r->reviewer, "c", "/metrics", tell, &told);
	answer(r, KNOWN, "[]");
	assert_int_equal(told.access, KUBE_ACCESS_FORBIDDEN);
}

static void test_cluster_cannot_be_asked(void **state)
{
	struct rig *r = *state;
	struct told told = { 0 };
	kube_review(r->reviewer, "t", "/metrics", tell, &told);
	fake_refuse(fake_expect(r->fake, "POST", TOKENS), 403, "Forbidden");
	assert_int_equal(told.access, KUBE_ACCESS_FAILED);
	assert_true(told.err.text[0] != '\0');
	/* And that is not kept. */
	kube_review(r->reviewer, "t", "/metrics", tell, &told);
	answer(r, KNOWN, ALLOWED("true"));
	assert_int_equal(told.access, KUBE_ACCESS_ALLOWED);
}

static void test_many_at_once(void **state)
{
	struct rig *r = *state;
	struct told told[20] = { 0 };
	unsigned refused = 0;
	for (size_t i = 0; i < ARRAY_SIZE(told); i++) {
		char token[16];
		snprintf(token, sizeof(token), "t%zu", i);
		kube_review(r->reviewer, token, "/metrics", tell, &told[i]);
	}
	fake_sleep(r->fake, USEC_PER_SEC);
	for (size_t i = 0; i < ARRAY_SIZE(told); i++)
		refused += told[i].times == 1 && told[i].access == KUBE_ACCESS_FAILED;
	assert_int_equal(refused, 4);
	for (size_t i = 0; i < 16; i++)
		fake_reply(fake_expect(r->fake, "POST", TOKENS), 201,
			   "{\"status\":{\"authenticated\":false}}");
	for (size_t i = 0; i < ARRAY_SIZE(told); i++)
		assert_int_equal(told[i].times, 1);
}

static void test_end(void **state)
{
	struct rig *r = *state;
	struct told asked = { 0 }, kept = { 0 };
	kube_review(r->reviewer, "k", "/metrics", tell, &kept);
	answer(r, KNOWN, ALLOWED("true"));
	kube_review(r->reviewer, "k", "/metrics", tell, &kept);
	kube_review(r->reviewer, "t", "/metrics", tell, &asked);
	fake_expect(r->fake, "POST", TOKENS);
	r->reviewer = kube_reviewer_free(r->reviewer);
	assert_int_equal(asked.times, 1);
	assert_int_equal(asked.access, KUBE_ACCESS_FAILED);
	assert_int_equal(kept.times, 2);
	fake_sleep(r->fake, USEC_PER_MIN);
	assert_int_equal(asked.times, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_allowed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kept_for_a_minute, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_token_is_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_path_is_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals_are_kept_shortly, setup, teardown),
		cmocka_unit_test_setup_teardown(test_odd_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cluster_cannot_be_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end, setup, teardown),
	};
	return cmocka_run_group_tests_name("review", tests, NULL, NULL);
}
