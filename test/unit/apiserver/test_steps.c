/* Lists and deletions of very many objects are done in steps: others have their turn in between,
 * and what is answered is what one step would have answered. */

#include "unit/apiserver/harness.h"

enum { MANY = 1500, LOG_MAX = 16, LOG_OVER = 600 };

/* Of 2 kB: some MB together. */
static void make_many(struct server *s, int count)
{
	char pad[2001];
	memset(pad, 'x', sizeof(pad) - 1);
	pad[sizeof(pad) - 1] = '\0';
	for (int i = 0; i < count; i++) {
		_cleanup_(freep) char *name = xasprintf("w%04d", i);
		_cleanup_(freep) char *spec = xasprintf(",'free':{'pad':'%s'}", pad);
		make_widget(s, name, ",'labels':{'a':'b'}", spec);
		assert_status(201);
	}
}

static void begin(struct server *s, const char *method, const char *target, struct answer *a)
{
	send_as(s, method, target, "", "application/json", NULL, a);
	assert_int_equal(a->replies, 0);
	assert_non_null(a->exchange);
}

static void assert_answers_at_once(struct server *s)
{
	struct answer other = { 0 };
	send_as(s, "GET", NAMESPACES "/default", "", "application/json", NULL, &other);
	assert_int_equal(other.status, 200);
	answer_done(&other);
}

/* Sent, and answered later. */
static void change(struct server *s, const char *method, const char *target, const char *body)
{
	static struct answer ignored;
	answer_done(&ignored);
	send_as(s, method, target,
		streq(method, "PATCH") ? "application/merge-patch+json" : "application/json",
		"application/json", body, &ignored);
}

static size_t items_of(const struct answer *a)
{
	return json_count(json_get(a->json, "items"));
}

/* --- lists --- */

/* What is changed, made and deleted between steps is not seen. */
static void test_list_is_of_one_revision(void **state)
{
	struct server *s = *state;
	struct answer list = { 0 };
	make_many(s, MANY);
	_cleanup_(freep) char *rv = xstrdup(
		text_of(ask(s, "GET", WIDGETS "?limit=1", NULL), "metadata.resourceVersion"));
	begin(s, "GET", WIDGETS "?labelSelector=a%3Db", &list);
	assert_answers_at_once(s);
	change(s, "DELETE", WIDGETS "/w1499", NULL);
	change(s, "DELETE", WIDGETS "/w0000", NULL);
	change(s, "PATCH", WIDGETS "/w1400", "{'spec':{'size':9}}");
	change(s, "POST", WIDGETS,
	       "{'apiVersion':'test.ingot.dev/v1','kind':'Widget','metadata':{'name':'w9999',"
	       "'labels':{'a':'b'}},'spec':{'size':1}}");
	settle(s);
	assert_int_equal(list.replies, 1);
	assert_int_equal(list.status, 200);
	assert_int_equal(items_of(&list), MANY);
	assert_text(list.json, "metadata.resourceVersion", rv);
	for (int i = 0; i < MANY; i++) {
		const struct json *item = json_at(json_get(list.json, "items"), (size_t)i);
		_cleanup_(freep) char *name = xasprintf("w%04d", i);
		assert_string_equal(text_of(item, "metadata.name"), name);
		assert_int_equal(number_at(item, "spec.size"), 5);
	}
	assert_int_equal(json_count(json_get(ask(s, "GET", WIDGETS, NULL), "items")), MANY - 1);
	answer_done(&list);
}

/* Pages and tables, too: names and tokens are those of one step. */
static void test_pages_and_tables(void **state)
{
	struct server *s = *state;
	struct answer page = { 0 }, table = { 0 };
	make_many(s, MANY);
	begin(s, "GET", WIDGETS "?labelSelector=a%3Db&limit=1400", &page);
	settle(s);
	assert_int_equal(items_of(&page), 1400);
	_cleanup_(freep) char *next = xasprintf(WIDGETS "?labelSelector=a%%3Db&continue=%s",
						text_of(page.json, "metadata.continue"));
	assert_int_equal(json_count(json_get(ask(s, "GET", next, NULL), "items")), MANY - 1400);
	send_as(s, "GET", WIDGETS, "", "application/json;as=Table;v=v1;g=meta.k8s.io", NULL,
		&table);
	assert_int_equal(table.replies, 0);
	settle(s);
	assert_int_equal(json_count(json_get(table.json, "rows")), MANY);
	answer_done(&page);
	answer_done(&table);
}

static void test_peer_goes_in_between(void **state)
{
	struct server *s = *state;
	struct answer list = { 0 }, deletion = { 0 };
	make_many(s, MANY);
	begin(s, "GET", WIDGETS "?labelSelector=a%3Db", &list);
	begin(s, "DELETE", WIDGETS, &deletion);
	apiserver_abort(list.exchange);
	apiserver_abort(deletion.exchange);
	settle(s);
	assert_int_equal(list.replies + deletion.replies, 0);
	size_t left = json_count(json_get(ask(s, "GET", WIDGETS, NULL), "items"));
	assert_in_range(left, 1, MANY);
	answer_done(&list);
	answer_done(&deletion);
}

/* The server ends: who waits is answered before. */
static void test_end_in_between(void **state)
{
	struct server *s = *state;
	struct answer list = { 0 }, deletion = { 0 };
	make_many(s, MANY);
	begin(s, "GET", WIDGETS "?labelSelector=a%3Db", &list);
	begin(s, "DELETE", WIDGETS, &deletion);
	s->api = apiserver_free(s->api);
	assert_int_equal(list.status, 200);
	assert_int_equal(items_of(&list), MANY);
	assert_int_equal(deletion.status, 200);
	assert_int_equal(items_of(&deletion), MANY);
	answer_done(&list);
	answer_done(&deletion);
}

/* Of two at once the later one begins anew when its turn has come. It shows what it would have
 * shown without the other. */
static void test_one_long_list_at_a_time(void **state)
{
	struct server *s = *state;
	struct answer first = { 0 }, second = { 0 };
	make_many(s, MANY);
	begin(s, "GET", WIDGETS "?labelSelector=a%3Db", &first);
	begin(s, "GET", WIDGETS "?labelSelector=a%3Db", &second);
	change(s, "DELETE", WIDGETS "/w0000", NULL);
	settle(s);
	assert_int_equal(items_of(&first), MANY);
	assert_int_equal(items_of(&second), MANY);
	answer_done(&first);
	answer_done(&second);
}

struct late {
	struct server *s;
	struct answer *list;
};

/* More changes than the log keeps, before it is next cut. */
static void ask_late(void *data)
{
	struct late *l = data;
	begin(l->s, "GET", WIDGETS "?labelSelector=a%3Db", l->list);
	for (int i = 0; i < LOG_OVER; i++) {
		_cleanup_(freep) char *body = xasprintf("{'spec':{'size':%d}}", 10 + i % 2);
		change(l->s, "PATCH", WIDGETS "/w0000", body);
	}
}

static void test_list_outlives_its_revision(void **state)
{
	struct server *s = *state;
	struct answer list = { 0 };
	struct late late = { s, &list };
	struct timer timer;
	char *crd = quoted(widget_crd);
	struct err err;
	s->api = apiserver_free(s->api);
	struct apiserver_options options = { .loop = s->loop,
					     .path = ":memory:",
					     .crds = (const char *const[]){ crd, NULL },
					     .log_max = LOG_MAX };
	assert_int_equal(apiserver_new(&options, &s->api, &err), 0);
	timer_init(&timer, s->loop, "late", ask_late, &late);
	timer_set_in(&timer, USEC_PER_SEC); /* when the log is cut */
	make_many(s, MANY);
	loop_run_until(s->loop, loop_now(s->loop) + USEC_PER_SEC);
	assert_int_equal(list.status, 200);
	assert_int_equal(items_of(&list), MANY);
	assert_int_equal(number_at(json_first(json_get(list.json, "items")), "spec.size"), 11);
	answer_done(&list);
	free(crd);
}

/* --- deletions --- */

static void test_deletion_of_many(void **state)
{
	struct server *s = *state;
	struct answer deletion = { 0 };
	make_many(s, MANY);
	begin(s, "DELETE", WIDGETS, &deletion);
	assert_answers_at_once(s);
	assert_int_equal(json_count(json_get(ask(s, "GET", WIDGETS "?limit=1", NULL), "items")), 1);
	settle(s);
	assert_int_equal(deletion.status, 200);
	assert_int_equal(items_of(&deletion), MANY);
	assert_int_equal(json_count(json_get(ask(s, "GET", WIDGETS, NULL), "items")), 0);
	answer_done(&deletion);
}

/* What has gone by itself is left out, and what is new stays. */
static void test_changes_during_a_deletion(void **state)
{
	struct server *s = *state;
	struct answer deletion = { 0 };
	make_many(s, MANY);
	begin(s, "DELETE", WIDGETS "?labelSelector=a%3Db", &deletion);
	change(s, "DELETE", WIDGETS "/w1499", NULL);
	change(s, "POST", WIDGETS,
	       "{'apiVersion':'test.ingot.dev/v1','kind':'Widget','metadata':{'name':'w9999',"
	       "'labels':{'a':'b'}},'spec':{'size':1}}");
	settle(s);
	assert_int_equal(deletion.status, 200);
	assert_int_equal(items_of(&deletion), MANY - 1);
	const struct json *left = json_get(ask(s, "GET", WIDGETS, NULL), "items");
	assert_int_equal(json_count(left), 1);
	assert_text(json_first(left), "metadata.name", "w9999");
	answer_done(&deletion);
}

static char *refuse_one(void *data, const struct api_admission *a)
{
	return a->operation == API_DELETE && streq(a->name, data) ? xstrdup("not this one") : NULL;
}

/* As on a cluster: those before it are gone, and the answer is its refusal. In one step, too. */
static void refuse_in_the_midst(struct server *s, int count, const char *name)
{
	char *crd = quoted(widget_crd);
	struct err err;
	s->api = apiserver_free(s->api);
	struct apiserver_options options = { .loop = s->loop,
					     .path = ":memory:",
					     .crds = (const char *const[]){ crd, NULL },
					     .admit = refuse_one,
					     .admit_data = (void *)name };
	assert_int_equal(apiserver_new(&options, &s->api, &err), 0);
	make_many(s, count);
	ask(s, "DELETE", WIDGETS, NULL);
	assert_failure(403, "Forbidden", "not this one");
	const struct json *items = json_get(ask(s, "GET", WIDGETS, NULL), "items");
	assert_text(json_first(items), "metadata.name", name);
	free(crd);
}

static void test_refusal_in_the_midst(void **state)
{
	refuse_in_the_midst(*state, MANY, "w1000");
}

static void test_refusal_in_the_first_step(void **state)
{
	refuse_in_the_midst(*state, 5, "w0003");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		server_test(test_list_is_of_one_revision),
		server_test(test_pages_and_tables),
		server_test(test_peer_goes_in_between),
		server_test(test_end_in_between),
		server_test(test_one_long_list_at_a_time),
		server_test(test_list_outlives_its_revision),
		server_test(test_deletion_of_many),
		server_test(test_changes_during_a_deletion),
		server_test(test_refusal_in_the_midst),
		server_test(test_refusal_in_the_first_step),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
