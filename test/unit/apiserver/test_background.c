/* What happens after the answer: dependents, namespaces, expiry, the log, and all of it over
 * restarts. */

#include <unistd.h>

#include "unit/apiserver/harness.h"

static void make_owned(struct server *s, const char *name, const char *owner, const char *uid,
		       const char *extra)
{
	char *body = xasprintf(
		"{'metadata':{'name':'%s'%s,'ownerReferences':[{'apiVersion':'test.ingot.dev/v1',"
		"'kind':'Widget','name':'%s','uid':'%s','blockOwnerDeletion':true}]}}",
		name, extra, owner, uid);
	ask(s, "POST", CONFIGS, body);
	assert_status(201);
	free(body);
}

static bool there(struct server *s, const char *target)
{
	ask(s, "GET", target, NULL);
	return last.status == 200;
}

static void owner_uid(struct server *s, const char *name, char out[64])
{
	snprintf(out, 64, "%s", text_of(make_widget(s, name, "", ""), "metadata.uid"));
}

static void test_dependents_go(void **state)
{
	struct server *s = *state;
	char uid[64];
	owner_uid(s, "owner", uid);
	make_owned(s, "a", "owner", uid, "");
	make_owned(s, "held", "owner", uid, ",'finalizers':['x.y/z']");
	ask(s, "DELETE", WIDGETS "/owner", "{'propagationPolicy':'Background'}");
	settle(s);
	assert_false(there(s, WIDGETS "/owner"));
	assert_false(there(s, CONFIGS "/a"));
	assert_true(there(s, CONFIGS "/held"));
	assert_true(*text_of(last.json, "metadata.deletionTimestamp") != '\0');
}

static void test_chains_go(void **state)
{
	struct server *s = *state;
	char uid[64], *body;
	owner_uid(s, "owner", uid);
	body = xasprintf(
		",'ownerReferences':[{'apiVersion':'test.ingot.dev/v1','kind':'Widget','name':'owner','uid':'%s'}]",
		uid);
	const struct json *j = make_widget(s, "middle", body, "");
	free(body);
	snprintf(uid, sizeof(uid), "%s", text_of(j, "metadata.uid"));
	make_owned(s, "leaf", "middle", uid, "");
	ask(s, "DELETE", WIDGETS "/owner", NULL);
	settle(s);
	assert_false(there(s, WIDGETS "/middle"));
	assert_false(there(s, CONFIGS "/leaf"));
}

static void test_wrong_uid_goes_at_once(void **state)
{
	struct server *s = *state;
	char uid[64];
	owner_uid(s, "owner", uid);
	make_owned(s, "stray", "owner", "00000000-0000-4000-8000-000000000000", "");
	settle(s);
	assert_false(there(s, CONFIGS "/stray"));
	/* Of kinds that are not served here nothing is known. */
	ask(s, "POST", CONFIGS,
	    "{'metadata':{'name':'foreign','ownerReferences':[{'apiVersion':'elsewhere.io/v1','kind':'Thing','name':'t','uid':'u'}]}}");
	settle(s);
	assert_true(there(s, CONFIGS "/foreign"));
}

static void test_second_owner_holds(void **state)
{
	struct server *s = *state;
	char one[64], two[64], *body;
	owner_uid(s, "one", one);
	owner_uid(s, "two", two);
	body = xasprintf(
		"{'metadata':{'name':'c','ownerReferences':["
		"{'apiVersion':'test.ingot.dev/v1','kind':'Widget','name':'one','uid':'%s'},"
		"{'apiVersion':'test.ingot.dev/v1','kind':'Widget','name':'two','uid':'%s'}]}}",
		one, two);
	ask(s, "POST", CONFIGS, body);
	free(body);
	ask(s, "DELETE", WIDGETS "/one", NULL);
	settle(s);
	assert_true(there(s, CONFIGS "/c"));
	assert_int_equal(json_count(json_get_path(last.json, "metadata.ownerReferences")), 1);
	ask(s, "DELETE", WIDGETS "/two", NULL);
	settle(s);
	assert_false(there(s, CONFIGS "/c"));
}

static void test_orphaning(void **state)
{
	struct server *s = *state;
	char uid[64];
	owner_uid(s, "owner", uid);
	make_owned(s, "a", "owner", uid, "");
	ask(s, "DELETE", WIDGETS "/owner", "{'propagationPolicy':'Orphan'}");
	settle(s);
	assert_false(there(s, WIDGETS "/owner"));
	assert_true(there(s, CONFIGS "/a"));
	assert_null(json_get_path(last.json, "metadata.ownerReferences"));
}

static void test_foreground(void **state)
{
	struct server *s = *state;
	char uid[64];
	owner_uid(s, "owner", uid);
	make_owned(s, "a", "owner", uid, "");
	make_owned(s, "held", "owner", uid, ",'finalizers':['x.y/z']");
	ask(s, "DELETE", WIDGETS "/owner?propagationPolicy=Foreground", NULL);
	assert_text(last.json, "kind", "Widget");
	settle(s);
	assert_false(there(s, CONFIGS "/a"));
	assert_true(there(s, WIDGETS "/owner")); /* waits for the one that is held */
	ask(s, "PATCH", CONFIGS "/held", "{'metadata':{'finalizers':null}}");
	settle(s);
	assert_false(there(s, CONFIGS "/held"));
	assert_false(there(s, WIDGETS "/owner"));
}

static void test_namespace_contents_go(void **state)
{
	struct server *s = *state;
	static const char base[] = "/api/v1/namespaces/n/configmaps";
	ask(s, "POST", NAMESPACES, "{'metadata':{'name':'n'}}");
	for (int i = 0; i < 450; i++) {
		char *body = xasprintf("{'metadata':{'name':'c%d'}}", i);
		ask(s, "POST", base, body);
		free(body);
	}
	ask(s, "POST", base, "{'metadata':{'name':'held','finalizers':['x.y/z']}}");
	ask(s, "POST", "/apis/test.ingot.dev/v1/namespaces/n/widgets",
	    "{'apiVersion':'test.ingot.dev/v1','kind':'Widget','metadata':{'name':'w'},'spec':{'size':1}}");
	ask(s, "DELETE", "/api/v1/namespaces/n", NULL);
	assert_text(last.json, "status.phase", "Terminating");
	settle(s);
	assert_int_equal(json_count(json_get(ask(s, "GET", base, NULL), "items")), 1);
	assert_false(there(s, "/apis/test.ingot.dev/v1/namespaces/n/widgets/w"));
	ask(s, "POST", base, "{'metadata':{'name':'new'}}");
	assert_failure(
		403, "Forbidden",
		"unable to create new content in namespace n because it is being terminated");
	assert_text(json_at(json_get_path(last.json, "details.causes"), 0), "reason",
		    "NamespaceTerminating");
	ask(s, "PATCH", "/api/v1/namespaces/n/configmaps/held", "{'metadata':{'finalizers':null}}");
	settle(s);
	assert_false(there(s, "/api/v1/namespaces/n"));
}

static void test_events_expire(void **state)
{
	struct server *s = *state;
	static const char event[] =
		"{'metadata':{'name':'e'},'involvedObject':{'kind':'X','namespace':'default','name':'x'}}";
	struct answer w = { 0 };
	ask(s, "POST", "/api/v1/namespaces/default/events", event);
	send_as(s, "GET", "/api/v1/events?watch=1", "", "", NULL, &w);
	settle(s);
	loop_run_until(s->loop, loop_now(s->loop) + 40 * USEC_PER_MIN);
	/* A change gives it another hour. */
	ask(s, "PATCH", "/api/v1/namespaces/default/events/e", "{'count':2}");
	loop_run_until(s->loop, loop_now(s->loop) + 40 * USEC_PER_MIN);
	assert_true(there(s, "/api/v1/namespaces/default/events/e"));
	loop_run_until(s->loop, loop_now(s->loop) + 25 * USEC_PER_MIN);
	assert_false(there(s, "/api/v1/namespaces/default/events/e"));
	if (w.exchange)
		apiserver_abort(w.exchange);
	answer_done(&w);
}

/* Nothing that is due keeps an idle server awake for ever. */
static void test_idle_server_sleeps(void **state)
{
	struct server *s = *state;
	make_widget(s, "a", "", "");
	usec_t started = loop_now(s->loop);
	loop_run(s->loop);
	assert_true(loop_now(s->loop) - started < 2 * USEC_PER_HOUR);
}

/* --- restarts
 * --------------------------------------------------------------------------------------------- */

static void test_half_done_work_is_resumed(void **state)
{
	struct server *s = *state;
	char dir[] = "/tmp/ingot-api-XXXXXX", uid[64];
	struct err err;
	assert_non_null(mkdtemp(dir));
	char *path = xasprintf("%s/store.db", dir);
	apiserver_free(s->api);
	assert_int_equal(open_server(s, path, &err), 0);
	owner_uid(s, "owner", uid);
	make_owned(s, "a", "owner", uid, "");
	ask(s, "POST", NAMESPACES, "{'metadata':{'name':'n'}}");
	ask(s, "POST", "/api/v1/namespaces/n/configmaps", "{'metadata':{'name':'c'}}");
	/* Both deletions are answered, and the server stops before it gets to the rest. */
	struct answer x = { 0 }, y = { 0 };
	send_as(s, "DELETE", WIDGETS "/owner", "", "", NULL, &x);
	send_as(s, "DELETE", NAMESPACES "/n", "", "", NULL, &y);
	s->api = apiserver_free(s->api);
	assert_int_equal(x.status, 200);
	assert_int_equal(y.status, 200);
	answer_done(&x);
	answer_done(&y);
	assert_int_equal(open_server(s, path, &err), 0);
	settle(s);
	assert_false(there(s, CONFIGS "/a"));
	assert_false(there(s, NAMESPACES "/n"));
	assert_true(there(s, CRDS "/widgets.test.ingot.dev"));
	assert_int_equal(number_at(last.json, "metadata.generation"), 1);
	s->api = apiserver_free(s->api);
	assert_int_equal(open_server(s, ":memory:", &err), 0);
	char *command = xasprintf("rm -rf %s", dir);
	assert_int_equal(system(command), 0);
	free(command);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		server_test(test_dependents_go),
		server_test(test_chains_go),
		server_test(test_wrong_uid_goes_at_once),
		server_test(test_second_owner_holds),
		server_test(test_orphaning),
		server_test(test_foreground),
		server_test(test_namespace_contents_go),
		server_test(test_events_expire),
		server_test(test_idle_server_sleeps),
		server_test(test_half_done_work_is_resumed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
