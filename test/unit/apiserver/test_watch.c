/* Watches: from now, from a version, with selectors, bookmarks, ends and errors. */

#include "unit/apiserver/harness.h"

static void open_watch(struct server *s, const char *target, struct answer *w)
{
	send_as(s, "GET", target, "", "application/json", NULL, w);
	settle(s);
}

static void close_watch(struct server *s, struct answer *w)
{
	if (w->exchange)
		apiserver_abort(w->exchange);
	settle(s);
	answer_done(w);
}

/* "A:w1 M:w1 D:w1" of what came since the last look. */
static void assert_events(struct answer *w, const char *expected)
{
	struct strbuf text = { 0 };
	json_for_each(e, w->events) {
		const char *name = text_of(e, "object.metadata.name");
		if (text.len)
			strbuf_addc(&text, ' ');
		strbuf_addc(&text, text_of(e, "type")[0]);
		if (*name)
			strbuf_addf(&text, ":%s", name);
	}
	assert_string_equal(text.data ? text.data : "", expected);
	strbuf_done(&text);
	json_free(w->events);
	w->events = json_new_array();
}

static void remember_version(struct server *s, char out[32])
{
	snprintf(out, 32, "%s", text_of(ask(s, "GET", WIDGETS, NULL), "metadata.resourceVersion"));
}

static void test_from_the_present(void **state)
{
	struct server *s = *state;
	struct answer w = { 0 };
	make_widget(s, "a", "", "");
	open_watch(s, WIDGETS "?watch=true", &w);
	assert_true(w.started);
	assert_events(&w, "A:a");
	make_widget(s, "b", "", "");
	ask(s, "PATCH", WIDGETS "/a", "{'spec':{'size':6}}");
	ask(s, "DELETE", WIDGETS "/b", NULL);
	ask(s, "POST", CONFIGS, "{'metadata':{'name':'not-a-widget'}}");
	assert_events(&w, "A:b M:a D:b");
	assert_false(w.ended);
	close_watch(s, &w);
}

static void test_from_a_version(void **state)
{
	struct server *s = *state;
	struct answer w = { 0 };
	char rv[32], *target;
	make_widget(s, "a", "", "");
	remember_version(s, rv);
	make_widget(s, "b", "", "");
	ask(s, "PATCH", WIDGETS "/a", "{'spec':{'size':6}}");
	ask(s, "PATCH", WIDGETS "/a", "{'spec':{'size':7}}");
	ask(s, "DELETE", WIDGETS "/a", NULL);
	target = xasprintf(WIDGETS "?watch=1&resourceVersion=%s", rv);
	open_watch(s, target, &w);
	const struct json *second = json_at(w.events, 1), *last_event = json_at(w.events, 3);
	assert_int_equal(number_at(second, "object.spec.size"), 6);
	/* A deletion carries its own version. */
	assert_string_not_equal(text_of(last_event, "object.metadata.resourceVersion"),
				text_of(json_at(w.events, 2), "object.metadata.resourceVersion"));
	assert_events(&w, "A:b M:a M:a D:a");
	make_widget(s, "c", "", "");
	assert_events(&w, "A:c");
	free(target);
	close_watch(s, &w);
}

static void test_live_and_replayed_are_the_same(void **state)
{
	struct server *s = *state;
	struct answer live = { 0 }, replayed = { 0 };
	char rv[32], *target;
	remember_version(s, rv);
	target = xasprintf(WIDGETS "?watch=1&resourceVersion=%s", rv);
	open_watch(s, target, &live);
	make_widget(s, "a", ",'finalizers':['x.y/z']", "");
	ask(s, "PATCH", WIDGETS "/a/status", "{'status':{'phase':'x'}}");
	ask(s, "DELETE", WIDGETS "/a", NULL);
	ask(s, "PATCH", WIDGETS "/a", "{'metadata':{'finalizers':null}}");
	make_widget(s, "a", "", "");
	open_watch(s, target, &replayed);
	assert_int_equal(json_count(live.events), 5);
	assert_true(json_equal(live.events, replayed.events));
	free(target);
	close_watch(s, &live);
	close_watch(s, &replayed);
}

static void test_selectors(void **state)
{
	struct server *s = *state;
	struct answer labels = { 0 }, name = { 0 }, field = { 0 }, replayed = { 0 };
	char rv[32], *target;
	remember_version(s, rv);
	target = xasprintf(WIDGETS "?watch=1&labelSelector=x%%3D1&resourceVersion=%s", rv);
	open_watch(s, target, &labels);
	open_watch(s, WIDGETS "?watch=1&fieldSelector=metadata.name%3Da", &name);
	open_watch(s, WIDGETS "?watch=1&fieldSelector=spec.color%3Dgreen", &field);
	make_widget(s, "a", "", "");
	make_widget(s, "b", ",'labels':{'x':'1'}", "");
	ask(s, "PATCH", WIDGETS "/a", "{'metadata':{'labels':{'x':'1'}}}");
	ask(s, "PATCH", WIDGETS "/a", "{'spec':{'color':'green'}}");
	ask(s, "PATCH", WIDGETS "/a", "{'metadata':{'labels':null}}");
	ask(s, "PATCH", WIDGETS "/a", "{'spec':{'color':'red'}}");
	ask(s, "DELETE", WIDGETS "/b", NULL);
	open_watch(s, target, &replayed);
	const struct json *parting = json_at(labels.events, 3);
	/* What stops to match is shown as it was, with the version of the change. */
	assert_text(parting, "object.metadata.labels.x", "1");
	assert_true(json_equal(labels.events, replayed.events));
	assert_events(&labels, "A:b A:a M:a D:a D:b");
	assert_events(&name, "A:a M:a M:a M:a M:a");
	assert_events(&field, "A:a M:a D:a");
	free(target);
	close_watch(s, &labels);
	close_watch(s, &name);
	close_watch(s, &field);
	close_watch(s, &replayed);
}

static void test_across_namespaces(void **state)
{
	struct server *s = *state;
	struct answer all = { 0 }, one = { 0 };
	ask(s, "POST", NAMESPACES, "{'metadata':{'name':'other'}}");
	open_watch(s, "/api/v1/configmaps?watch=true", &all);
	open_watch(s, CONFIGS "?watch=true", &one);
	ask(s, "POST", CONFIGS, "{'metadata':{'name':'a'}}");
	ask(s, "POST", "/api/v1/namespaces/other/configmaps", "{'metadata':{'name':'b'}}");
	assert_events(&all, "A:a A:b");
	assert_events(&one, "A:a");
	close_watch(s, &all);
	close_watch(s, &one);
}

static void test_initial_events(void **state)
{
	struct server *s = *state;
	struct answer w = { 0 };
	make_widget(s, "a", "", "");
	open_watch(
		s,
		WIDGETS
		"?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
		&w);
	const struct json *mark = json_at(w.events, 1);
	assert_string_equal(json_get_string(json_get_path(mark, "object.metadata.annotations"),
					    "k8s.io/initial-events-end"),
			    "true");
	assert_text(mark, "object.kind", "Widget");
	assert_events(&w, "A:a B");
	make_widget(s, "b", "", "");
	assert_events(&w, "A:b");
	close_watch(s, &w);
	ask(s, "GET", WIDGETS "?watch=1&sendInitialEvents=true", NULL);
	assert_failure(422, "Invalid", "sendInitialEvents");
}

static void test_bookmarks(void **state)
{
	struct server *s = *state;
	struct answer with = { 0 }, without = { 0 };
	open_watch(s, WIDGETS "?watch=1&allowWatchBookmarks=true", &with);
	open_watch(s, WIDGETS "?watch=1", &without);
	ask(s, "POST", CONFIGS, "{'metadata':{'name':'moves-the-version-on'}}");
	char rv[32];
	snprintf(rv, sizeof(rv), "%s", text_of(last.json, "metadata.resourceVersion"));
	loop_run_until(s->loop, loop_now(s->loop) + 61 * USEC_PER_SEC);
	assert_text(json_at(with.events, 0), "object.metadata.resourceVersion", rv);
	assert_events(&with, "B");
	assert_events(&without, "");
	close_watch(s, &with);
	close_watch(s, &without);
}

static void test_timeouts(void **state)
{
	struct server *s = *state;
	struct answer given = { 0 }, own = { 0 };
	open_watch(s, WIDGETS "?watch=1&timeoutSeconds=5", &given);
	open_watch(s, WIDGETS "?watch=1", &own);
	loop_run_until(s->loop, loop_now(s->loop) + 4 * USEC_PER_SEC);
	assert_false(given.ended);
	loop_run_until(s->loop, loop_now(s->loop) + 2 * USEC_PER_SEC);
	assert_true(given.ended);
	loop_run_until(s->loop, loop_now(s->loop) + 20 * USEC_PER_MIN);
	assert_false(own.ended);
	loop_run_until(s->loop, loop_now(s->loop) + 45 * USEC_PER_MIN);
	assert_true(own.ended);
	answer_done(&given);
	answer_done(&own);
}

static void test_too_old(void **state)
{
	struct server *s = *state;
	struct answer w = { 0 };
	char rv[32], *target;
	remember_version(s, rv);
	make_widget(s, "a", "", "");
	loop_run_until(s->loop, loop_now(s->loop) + USEC_PER_HOUR);
	make_widget(s, "b", "", "");
	loop_run_until(s->loop, loop_now(s->loop) + USEC_PER_HOUR);
	target = xasprintf(WIDGETS "?watch=1&resourceVersion=%s", rv);
	open_watch(s, target, &w);
	free(target);
	const struct json *e = json_at(w.events, 0);
	assert_text(e, "type", "ERROR");
	assert_text(e, "object.reason", "Expired");
	assert_int_equal(number_at(e, "object.code"), 410);
	assert_memory_equal(text_of(e, "object.message"), "too old resource version: ", 26);
	assert_true(w.ended);
	answer_done(&w);
}

static void test_too_new(void **state)
{
	struct server *s = *state;
	struct answer w = { 0 };
	open_watch(s, WIDGETS "?watch=1&resourceVersion=99999", &w);
	assert_text(json_at(w.events, 0), "object.reason", "Timeout");
	assert_true(w.ended);
	answer_done(&w);
	ask(s, "GET", WIDGETS "?watch=1&resourceVersion=abc", NULL);
	assert_failure(400, "BadRequest", "");
}

static void test_tables(void **state)
{
	struct server *s = *state;
	struct answer w = { 0 };
	make_widget(s, "a", "", "");
	send_as(s, "GET", WIDGETS "?watch=1", "", "application/json;as=Table;v=v1;g=meta.k8s.io",
		NULL, &w);
	settle(s);
	ask(s, "PATCH", WIDGETS "/a", "{'spec':{'size':6}}");
	const struct json *first = json_at(w.events, 0), *second = json_at(w.events, 1);
	assert_text(first, "object.kind", "Table");
	assert_int_equal(json_count(json_get_path(first, "object.columnDefinitions")), 5);
	assert_int_equal(json_count(json_get_path(second, "object.columnDefinitions")), 0);
	assert_int_equal(json_count(json_get_path(second, "object.rows")), 1);
	/* The age is that of the moment at which the row is sent. */
	loop_run_until(s->loop, loop_now(s->loop) + 10 * USEC_PER_MIN);
	ask(s, "PATCH", WIDGETS "/a", "{'spec':{'size':7}}");
	const struct json *third = json_at(w.events, 2);
	const struct json *cells = json_get(json_at(json_get_path(third, "object.rows"), 0),
					    "cells");
	assert_string_equal(json_string(json_at(cells, 4)), "10m");
	close_watch(s, &w);
	send_as(s, "GET", WIDGETS "?watch=1", "",
		"application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", NULL, &w);
	settle(s);
	assert_text(json_at(w.events, 0), "object.kind", "PartialObjectMetadata");
	close_watch(s, &w);
}

static void test_slow_peer_is_cut_off(void **state)
{
	struct server *s = *state;
	struct answer slow = { 0 }, fine = { 0 };
	open_watch(s, WIDGETS "?watch=1", &slow);
	open_watch(s, WIDGETS "?watch=1", &fine);
	slow.refuse = true;
	make_widget(s, "a", "", "");
	assert_true(slow.ended);
	assert_events(&fine, "A:a");
	answer_done(&slow);
	close_watch(s, &fine);
}

/* --- readers that take their time ------------------------------------------------------------- */

static void make_large(struct server *s, const char *name)
{
	_cleanup_(freep) char *filler = xmalloc(400001);
	memset(filler, 'x', 400000);
	filler[400000] = '\0';
	_cleanup_(freep) char *body = xasprintf("{'metadata':{'name':'%s'},'data':{'a':'%s'}}",
						name, filler);
	ask(s, "POST", CONFIGS, body);
	assert_int_equal(last.status, 201);
}

/* The reader has taken what there was, and takes so many steps more. */
static void drain(struct server *s, struct answer *w, int steps)
{
	w->takes = steps;
	apiserver_stream_drained(w->exchange);
	settle(s);
}

#define INITIAL                                                                                    \
	"?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"

/* The present state is given as it was at one moment, a piece at a time; what happens meanwhile
 * follows behind its mark, each change once. */
static void test_present_state_in_pieces(void **state)
{
	struct server *s = *state;
	struct answer w = { .paced = true, .takes = 1 };
	const char *names[] = { "a", "b", "c", "d", "e" };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		make_large(s, names[i]);
	open_watch(s, CONFIGS INITIAL, &w);
	assert_events(&w, "A:a A:b A:c");
	ask(s, "PATCH", CONFIGS "/a", "{'data':{'b':'1'}}");
	ask(s, "PATCH", CONFIGS "/d", "{'data':{'b':'1'}}");
	ask(s, "DELETE", CONFIGS "/e", NULL);
	ask(s, "POST", CONFIGS, "{'metadata':{'name':'f'}}");
	assert_events(&w, "");
	drain(s, &w, 1);
	assert_null(json_get_path(json_at(w.events, 0), "object.data.b")); /* as it was */
	assert_events(&w, "A:d A:e B");
	drain(s, &w, 1);
	assert_events(&w, "M:a M:d D:e");
	ask(s, "POST", CONFIGS, "{'metadata':{'name':'g'}}");
	drain(s, &w, 99);
	assert_events(&w, "A:f A:g");
	ask(s, "POST", CONFIGS, "{'metadata':{'name':'h'}}");
	assert_events(&w, "A:h");
	close_watch(s, &w);
}

static void test_falls_behind_and_catches_up(void **state)
{
	struct server *s = *state;
	struct answer w = { .paced = true, .takes = 99 };
	open_watch(s, WIDGETS "?watch=1&allowWatchBookmarks=true", &w);
	make_widget(s, "a", "", "");
	w.takes = 0;
	make_widget(s, "b", "", "");
	ask(s, "PATCH", WIDGETS "/a", "{'spec':{'size':6}}");
	loop_run_until(s->loop, loop_now(s->loop) + 61 * USEC_PER_SEC); /* no bookmark past them */
	ask(s, "DELETE", WIDGETS "/b", NULL);
	assert_events(&w, "A:a");
	drain(s, &w, 99);
	assert_events(&w, "A:b M:a D:b");
	make_widget(s, "c", "", "");
	assert_events(&w, "A:c");
	close_watch(s, &w);
}

/* What it has not been given is not kept for ever. */
static void test_falls_behind_the_log(void **state)
{
	struct server *s = *state;
	struct answer w = { .paced = true, .takes = 99 };
	open_watch(s, WIDGETS "?watch=1&timeoutSeconds=100000", &w);
	w.takes = 0;
	make_widget(s, "a", "", "");
	loop_run_until(s->loop, loop_now(s->loop) + USEC_PER_HOUR);
	make_widget(s, "b", "", "");
	loop_run_until(s->loop, loop_now(s->loop) + USEC_PER_HOUR);
	drain(s, &w, 99);
	assert_text(json_at(w.events, 0), "type", "ERROR");
	assert_int_equal(number_at(json_at(w.events, 0), "object.code"), 410);
	assert_true(w.ended);
	answer_done(&w);
}

static void test_gone_while_it_waits(void **state)
{
	struct server *s = *state;
	struct answer w = { .paced = true, .takes = 0 };
	make_widget(s, "a", "", "");
	open_watch(s, WIDGETS "?watch=1", &w);
	assert_events(&w, "");
	close_watch(s, &w);
	make_widget(s, "b", "", "");
}

/* A front may end other watches from within its functions. */
static struct answer *victim;

static bool abort_victim(void *front, const char *bytes, size_t len)
{
	if (victim && victim->exchange)
		apiserver_abort(victim->exchange);
	victim = NULL;
	return front_send(front, bytes, len);
}

static void test_abort_while_delivering(void **state)
{
	struct server *s = *state;
	struct answer killer = { 0 }, other = { 0 };
	struct api_front_ops ops = test_front;
	struct api_request request = { .method = "GET",
				       .path = WIDGETS,
				       .query = "watch=1",
				       .content_type = "",
				       .accept = "",
				       .user = "",
				       .groups = "system:masters",
				       .body = "" };
	ops.stream_send = abort_victim;
	killer.exchange = apiserver_handle(s->api, &request, &ops, &killer);
	open_watch(s, WIDGETS "?watch=1", &other);
	victim = &other;
	make_widget(s, "a", "", "");
	assert_events(&killer, "A:a");
	assert_events(&other, "");
	assert_false(other.ended);
	answer_done(&other);
	close_watch(s, &killer);
}

static void test_watch_begun_in_a_batch(void **state)
{
	struct server *s = *state;
	struct answer write = { 0 }, w = { 0 };
	send_as(s, "POST", CONFIGS, "", "", "{'metadata':{'name':'a'}}", &write);
	send_as(s, "GET", CONFIGS "?watch=1", "", "", NULL, &w);
	assert_false(w.started);
	settle(s);
	assert_events(&w, "A:a");
	answer_done(&write);
	close_watch(s, &w);
	/* Aborted before it began. */
	send_as(s, "POST", CONFIGS, "", "", "{'metadata':{'name':'b'}}", &write);
	send_as(s, "GET", CONFIGS "?watch=1", "", "", NULL, &w);
	apiserver_abort(w.exchange);
	settle(s);
	assert_false(w.started);
	answer_done(&write);
	answer_done(&w);
}

static void test_kind_that_changes_ends_its_watches(void **state)
{
	struct server *s = *state;
	struct answer widgets = { 0 }, configs = { 0 };
	open_watch(s, WIDGETS "?watch=1", &widgets);
	open_watch(s, CONFIGS "?watch=1", &configs);
	ask(s, "PATCH", CRDS "/widgets.test.ingot.dev", "{'metadata':{'labels':{'a':'b'}}}");
	assert_false(widgets.ended);
	ask_as(s, "PATCH", CRDS "/widgets.test.ingot.dev", "application/json-patch+json", "",
	       "[{'op':'remove','path':'/spec/versions/0/additionalPrinterColumns'}]");
	assert_status(200);
	assert_true(widgets.ended);
	assert_false(configs.ended);
	answer_done(&widgets);
	close_watch(s, &configs);
}

static void test_server_ends_streams(void **state)
{
	struct server *s = *state;
	struct answer w = { 0 };
	open_watch(s, WIDGETS "?watch=1", &w);
	s->api = apiserver_free(s->api);
	assert_true(w.ended);
	answer_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		server_test(test_from_the_present),
		server_test(test_from_a_version),
		server_test(test_live_and_replayed_are_the_same),
		server_test(test_selectors),
		server_test(test_across_namespaces),
		server_test(test_initial_events),
		server_test(test_bookmarks),
		server_test(test_timeouts),
		server_test(test_too_old),
		server_test(test_too_new),
		server_test(test_tables),
		server_test(test_slow_peer_is_cut_off),
		server_test(test_present_state_in_pieces),
		server_test(test_falls_behind_and_catches_up),
		server_test(test_falls_behind_the_log),
		server_test(test_gone_while_it_waits),
		server_test(test_abort_while_delivering),
		server_test(test_watch_begun_in_a_batch),
		server_test(test_kind_that_changes_ends_its_watches),
		server_test(test_server_ends_streams),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
