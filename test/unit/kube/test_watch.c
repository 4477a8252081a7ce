/* The watcher against a scripted server: lists, resumption, and each row of its error table. */

#include "fake.h"

#include "base/log.h"
#include "kube/internal.h"
#include "kube/watch.h"
#include "unit/base/fsm_walk.h"

#define LIST_PATH "/apis/metal3.io/v1alpha1/baremetalhosts?limit=500"
#define WATCH_PATH                                                                                 \
	"/apis/metal3.io/v1alpha1/baremetalhosts?watch=1&allowWatchBookmarks=true&resourceVersion="
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define BOOKMARK(rv)                                                                               \
	EVENT("BOOKMARK",                                                                          \
	      "{\"kind\":\"BareMetalHost\",\"metadata\":{\"resourceVersion\":\"" rv "\"}}")
#define LIST(rv, items)                                                                            \
	"{\"kind\":\"BareMetalHostList\",\"metadata\":{\"resourceVersion\":\"" rv                  \
	"\"},\"items\":[" items "]}"

/* What the watcher has told, as text: "restart +a1 listed:5 -a2 ". */
struct tale {
	struct fake *f;
	struct kube_watch *w;
	struct strbuf text;
	unsigned failures;
	struct err err;
	const char *free_at; /* a handler frees the watcher when it tells this */
};

static void say(struct tale *t, const char *what, const struct json *object)
{
	strbuf_addf(&t->text, "%s%s%s ", what, object ? kube_name(object) : "",
		    object ? kube_resource_version(object) : "");
	if (t->free_at && streq(what, t->free_at))
		t->w = kube_watch_free(t->w);
}

static void on_restart(void *data)
{
	say(data, "restart", NULL);
}

static void on_apply(void *data, struct json **object)
{
	say(data, "+", *object);
}

static void on_listed(void *data, const char *rv)
{
	struct tale *t = data;
	strbuf_addf(&t->text, "listed:%s ", rv);
	if (streq(t->free_at, "listed"))
		t->w = kube_watch_free(t->w);
}

static void on_remove(void *data, struct json **object)
{
	say(data, "-", *object);
}

static void on_failed(void *data, const struct err *err)
{
	struct tale *t = data;
	t->failures++;
	t->err = *err;
	if (streq(t->free_at, "failed"))
		t->w = kube_watch_free(t->w);
}

static const struct kube_watch_handlers handlers = { on_restart, on_apply, on_listed, on_remove,
						     on_failed };

static void quiet(void *data, enum log_level level, const char *line)
{
	(void)data, (void)level, (void)line;
}

static int setup_as(void **state, const struct kube_watch_options *o,
		    const struct kube_client_options *client)
{
	struct tale *t = xcalloc(1, sizeof(*t));
	log_set_sink(quiet, NULL);
	t->f = fake_new(7, client);
	t->w = kube_watch_new(t->f->client, o, &handlers, t);
	strbuf_adds(&t->text, "");
	*state = t;
	return 0;
}

static int setup_with(void **state, const struct kube_watch_options *o)
{
	return setup_as(state, o, NULL);
}

static int setup(void **state)
{
	return setup_with(state, &(struct kube_watch_options){ .resource = &hosts });
}

static int teardown(void **state)
{
	struct tale *t = *state;
	kube_watch_free(t->w);
	fake_free(t->f);
	strbuf_done(&t->text);
	free(t);
	return 0;
}

static void check_tale(struct tale *t, const char *expected)
{
	assert_string_equal(t->text.data, expected);
	strbuf_clear(&t->text);
}

/* Up to an open watch at version 5, with one host. */
static struct kube_call *get_going(struct tale *t)
{
	struct kube_call *c = fake_expect(t->f, "GET", LIST_PATH "&resourceVersion=0");
	assert_true(c->stream);
	fake_reply(c, 200, LIST("5", HOST("a", "3")));
	check_tale(t, "restart +a3 listed:5 ");
	return fake_expect(t->f, "GET", WATCH_PATH "5&timeoutSeconds=2");
}

/* --- the good way
 * ---------------------------------------------------------------------------------------- */

static void test_list_and_watch(void **state)
{
	struct tale *t = *state;
	check_tale(t, "");
	assert_string_equal(kube_watch_position(t->w), "");
	struct kube_call *c = get_going(t);
	assert_int_equal(c->timeout, 0);
	fake_sendf(c, EVENT("ADDED", HOST("b", "6")));
	fake_sendf(c, EVENT("MODIFIED", HOST("b", "7")) EVENT("DELETED", HOST("a", "8")));
	check_tale(t, "+b6 +b7 -a8 ");
	assert_string_equal(kube_watch_position(t->w), "8"); /* that of the deletion */
	fake_sendf(c, BOOKMARK("20"));
	check_tale(t, "");
	assert_string_equal(kube_watch_position(t->w), "20");
	/* The server ends the watch, as it does: reopened at once from the bookmark. */
	usec_t now = loop_now(t->f->loop);
	fake_end(c);
	fake_expect(t->f, "GET", WATCH_PATH "20&timeoutSeconds=2");
	assert_int_equal(loop_now(t->f->loop), now);
	assert_int_equal(t->failures, 0);
	assert_null(kube_watch_error(t->w));
}

static void test_watch_seconds(void **state)
{
	struct tale *t = *state;
	struct kube_call *c = get_going(t);
	unsigned low = 0, high = 0;
	for (int i = 0; i < 200; i++) {
		unsigned seconds = (unsigned)strtoul(strstr(c->path, "timeoutSeconds=") + 15, NULL,
						     10);
		assert_in_range(seconds, 240, 290);
		low += seconds < 250;
		high += seconds > 280;
		fake_sendf(c, BOOKMARK("5"));
		fake_end(c);
		c = fake_expect(t->f, "GET", WATCH_PATH "5&");
	}
	assert_true(low > 10 && high > 10);
}

static void test_events_cut_anywhere(void **state)
{
	struct tale *t = *state;
	struct kube_call *c = get_going(t);
	static const char text[] = EVENT("ADDED", HOST("b", "6")) "\n  " EVENT("DELETED",
									       HOST("b", "7"));
	for (size_t cut = 1; cut < sizeof(text) - 1; cut++) {
		fake_send(c, text, cut);
		fake_send(c, text + cut, sizeof(text) - 1 - cut);
		check_tale(t, "+b6 -b7 ");
	}
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		fake_send(c, text + i, 1);
	check_tale(t, "+b6 -b7 ");
}

static void test_pages(void **state)
{
	struct tale *t = *state;
	fake_reply(fake_expect(t->f, "GET", LIST_PATH "&resourceVersion=0"), 200,
		   "{\"kind\":\"BareMetalHostList\",\"metadata\":{\"resourceVersion\":\"5\","
		   "\"continue\":\"x/y\"},\"items\":[" HOST("a", "3") "]}");
	fake_reply(fake_expect(t->f, "GET", LIST_PATH "&continue=x%2Fy"), 200,
		   LIST("9", HOST("b", "4")));
	check_tale(t, "restart +a3 +b4 listed:5 ");
	fake_expect(t->f, "GET", WATCH_PATH "5&");
}

static void test_selectors_and_namespace(void **state)
{
	struct tale *t = *state;
	kube_watch_free(t->w);
	t->w = kube_watch_new(t->f->client,
			      &(struct kube_watch_options){ .resource = &secrets,
							    .ns = "m",
							    .label_selector = "x=y",
							    .field_selector = "type=Opaque",
							    .page = 7,
							    .metadata_only = true },
			      &handlers, t);
	struct kube_call *c = fake_expect(t->f, "GET",
					  "/api/v1/namespaces/m/secrets?labelSelector=x%3Dy&"
					  "fieldSelector=type%3DOpaque&limit=7&resourceVersion=0");
	assert_string_equal(c->accept,
			    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=1");
	/* Items of core lists say nothing of their kind. */
	fake_reply(
		c, 200,
		"{\"kind\":\"SecretList\",\"metadata\":{\"resourceVersion\":\"5\"},\"items\":["
		"{\"metadata\":{\"name\":\"s\",\"namespace\":\"m\",\"resourceVersion\":\"1\"}}]}");
	c = fake_expect(
		t->f, "GET",
		"/api/v1/namespaces/m/secrets?labelSelector=x%3Dy&fieldSelector=type%3DOpaque&"
		"watch=1&");
	assert_string_equal(c->accept,
			    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=1");
	check_tale(t, "restart +s1 listed:5 ");
}

static void test_bad_options(void **state)
{
	struct tale *t = *state;
	kube_watch_free(t->w);
	t->w = kube_watch_new(t->f->client,
			      &(struct kube_watch_options){ .resource = &secrets, .ns = ".." },
			      &handlers, t);
	assert_int_equal(t->failures, 0);
	fake_expect_nothing(t->f, USEC_PER_HOUR);
	assert_int_equal(t->failures, 1);
	assert_int_equal(kube_watch_error(t->w)->kind, ERR_INVALID);
}

/* --- faults
 * ------------------------------------------------------------------------------------------------
 */

static void test_gone_in_both_forms(void **state)
{
	struct tale *t = *state;
	struct kube_call *c = get_going(t);
	fake_sendf(c, BOOKMARK("6"));
	assert_false(fake_sendf(c, EVENT("ERROR", "{\"kind\":\"Status\",\"code\":410,\"reason\":"
						  "\"Expired\"}")));
	c = fake_expect(t->f, "GET", LIST_PATH);
	assert_string_equal(c->path, LIST_PATH); /* the newest state */
	fake_reply(c, 200, LIST("8", HOST("c", "7")));
	check_tale(t, "restart +c7 listed:8 ");
	c = fake_expect(t->f, "GET", WATCH_PATH "8&");
	fake_refuse(c, 410, "Gone");
	c = fake_expect(t->f, "GET", LIST_PATH);
	assert_string_equal(c->path, LIST_PATH);
	assert_int_equal(t->failures, 0);
}

/* What the back-off of an outage has grown to must not delay the list as well. */
static void test_gone_after_an_outage(void **state)
{
	struct tale *t = *state;
	struct kube_call *c = get_going(t);
	for (int i = 0; i < 8; i++) {
		fake_refuse(c, 502, "");
		c = fake_expect(t->f, "GET", WATCH_PATH "5");
	}
	usec_t before = loop_now(t->f->loop);
	fake_refuse(c, 410, "Expired");
	c = fake_expect(t->f, "GET", LIST_PATH);
	assert_int_equal(loop_now(t->f->loop), before);
	fake_reply(c, 200, LIST("9", HOST("a", "8")));
	fake_expect(t->f, "GET", WATCH_PATH "9");
}

static void test_gone_again_and_again_is_slowed_down(void **state)
{
	struct tale *t = *state;
	struct kube_call *c = fake_expect(t->f, "GET", LIST_PATH);
	usec_t start = loop_now(t->f->loop);
	for (int i = 0; i < 20; i++) {
		fake_refuse(c, 410, "Expired");
		c = fake_expect(t->f, "GET", LIST_PATH);
	}
	assert_true(loop_now(t->f->loop) - start > 60 * USEC_PER_SEC);
}

static void test_expired_page_token(void **state)
{
	struct tale *t = *state;
	fake_reply(fake_expect(t->f, "GET", LIST_PATH "&resourceVersion=0"), 200,
		   "{\"kind\":\"BareMetalHostList\",\"metadata\":{\"resourceVersion\":\"5\","
		   "\"continue\":\"x\"},\"items\":[" HOST("a", "3") "]}");
	fake_refuse(fake_expect(t->f, "GET", LIST_PATH "&continue=x"), 410, "Expired");
	struct kube_call *c = fake_expect(t->f, "GET", LIST_PATH);
	assert_string_equal(c->path, LIST_PATH);
	fake_reply(c, 200, LIST("6", HOST("b", "4")));
	check_tale(t, "restart +a3 restart +b4 listed:6 ");
}

static void test_too_large_version(void **state)
{
	struct tale *t = *state;
	struct kube_call *c = get_going(t);
	usec_t now = loop_now(t->f->loop);
	fake_sendf(c, EVENT("ERROR",
			    "{\"kind\":\"Status\",\"code\":504,\"reason\":\"Timeout\",\"details\":{"
			    "\"retryAfterSeconds\":2,\"causes\":[{\"reason\":"
			    "\"ResourceVersionTooLarge\"}]}}"));
	c = fake_expect(t->f, "GET", LIST_PATH);
	assert_string_equal(c->path, LIST_PATH);
	assert_true(loop_now(t->f->loop) - now >= 2 * USEC_PER_SEC);
	assert_int_equal(t->failures, 0);
}

static void test_faults_that_keep_the_position(void **state)
{
	struct tale *t = *state;
	struct kube_call *c = get_going(t);
	for (int i = 0; i < 6; i++) {
		fake_sendf(c, EVENT("MODIFIED", HOST("a", "9")));
		switch (i) {
		case 0:
			fake_fail(c, ERR_UNREACHABLE, "reset");
			break;
		case 1:
			assert_false(fake_sendf(c, "}"));
			break;
		case 2:
			assert_false(fake_sendf(c, EVENT("MODIFIED", "{\"kind\":\"Other\"}")));
			break;
		case 3:
			fake_sendf(c, "{\"type\":\"MODI");
			fake_end(c); /* inside an event */
			break;
		case 4:
			assert_false(fake_sendf(c, "{\"object\":{}}"));
			break;
		case 5:
			assert_false(
				fake_sendf(c, EVENT("ERROR", "{\"kind\":\"Status\",\"code\":500,"
							     "\"reason\":\"InternalError\"}")));
			break;
		}
		check_tale(t, "+a9 ");
		assert_int_equal(t->failures, i + 1);
		assert_non_null(kube_watch_error(t->w));
		c = fake_expect(t->f, "GET", WATCH_PATH "9&");
	}
	fake_sendf(c, BOOKMARK("10"));
	assert_null(kube_watch_error(t->w));
}

static void test_refusals_of_a_watch(void **state)
{
	struct tale *t = *state;
	static const struct {
		int code;
		const char *reason, *path;
		enum err_kind kind;
		usec_t at_least;
	} rows[] = {
		{ 401, "Unauthorized", WATCH_PATH "5&", ERR_DENIED, 0 },
		{ 403, "Forbidden", WATCH_PATH "5&", ERR_DENIED, 15 * USEC_PER_SEC },
		{ 429, "TooManyRequests", WATCH_PATH "5&", ERR_BUSY, USEC_PER_SEC },
		{ 500, "InternalError", WATCH_PATH "5&", ERR_INTERNAL, 0 },
		{ 503, "ServiceUnavailable", WATCH_PATH "5&", ERR_BUSY, USEC_PER_SEC },
		{ 404, "NotFound", WATCH_PATH "5&", ERR_NOT_FOUND, 0 },
	};
	struct kube_call *c = get_going(t);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		usec_t now = loop_now(t->f->loop);
		fake_refuse(c, rows[i].code, rows[i].reason);
		assert_int_equal(t->failures, i + 1);
		assert_int_equal(t->err.kind, rows[i].kind);
		assert_true(str_has_prefix(t->err.text, "watch BareMetalHost: server says"));
		c = fake_expect(t->f, "GET", rows[i].path);
		assert_true(loop_now(t->f->loop) - now >= rows[i].at_least);
	}
	assert_non_null(strstr(t->err.text, "CustomResourceDefinition"));
	/* A server that has just started has no path for the kind yet; then it says how old the
	 * position is. */
	fake_reply(c, 404, "404 page not found\n");
	c = fake_expect(t->f, "GET", WATCH_PATH "5&");
	fake_refuse(c, 410, "Expired");
	c = fake_expect(t->f, "GET", LIST_PATH);
	fake_reply(c, 200, LIST("9", ""));
	assert_null(kube_watch_error(t->w));
	fake_expect(t->f, "GET", WATCH_PATH "9&");
}

static void test_retry_after_of_a_watch(void **state)
{
	struct tale *t = *state;
	struct kube_call *c = get_going(t);
	usec_t now = loop_now(t->f->loop);
	fake_reply_after(c, 429, 40, "");
	fake_expect(t->f, "GET", WATCH_PATH "5&");
	assert_true(loop_now(t->f->loop) - now >= 40 * USEC_PER_SEC);
}

static void test_internal_errors_for_a_minute(void **state)
{
	struct tale *t = *state;
	struct kube_call *c = get_going(t);
	usec_t start = loop_now(t->f->loop);
	while (strstr(c->path, "watch=1")) {
		fake_sendf(c, EVENT("ERROR", "{\"kind\":\"Status\",\"code\":500,\"reason\":"
					     "\"InternalError\"}"));
		c = fake_expect(t->f, "GET", "/apis/");
	}
	assert_true(loop_now(t->f->loop) - start >= USEC_PER_MIN);
	assert_true(str_has_prefix(c->path, LIST_PATH));
}

static void test_other_error_event(void **state)
{
	struct tale *t = *state;
	struct kube_call *c = get_going(t);
	assert_false(fake_sendf(
		c, EVENT("ERROR", "{\"kind\":\"Status\",\"code\":403,\"message\":\"no\"}")));
	assert_int_equal(t->failures, 1);
	fake_expect(t->f, "GET", LIST_PATH "&resourceVersion=5&resourceVersionMatch=NotOlderThan");
}

static void test_unknown_event_type(void **state)
{
	struct tale *t = *state;
	struct kube_call *c = get_going(t);
	assert_true(fake_sendf(c, EVENT("NOVELTY", "{}") EVENT("ADDED", HOST("b", "6"))));
	check_tale(t, "+b6 ");
}

static void test_proxy_that_closes_at_once(void **state)
{
	struct tale *t = *state;
	struct kube_call *c = get_going(t);
	usec_t start = loop_now(t->f->loop);
	for (int i = 0; i < 20; i++) {
		fake_end(c);
		c = fake_expect(t->f, "GET", WATCH_PATH "5&");
	}
	assert_true(loop_now(t->f->loop) - start > 60 * USEC_PER_SEC);
	/* A quiet watch that lived a while is no failure. */
	fake_head(c, 200, -1);
	fake_sleep(t->f, 5 * USEC_PER_MIN / 4);
	start = loop_now(t->f->loop);
	fake_end(c);
	fake_expect(t->f, "GET", WATCH_PATH "5&");
	assert_int_equal(loop_now(t->f->loop), start);
	assert_int_equal(t->failures, 0);
}

static void test_half_open_watch(void **state)
{
	struct tale *t = *state;
	struct kube_call *c = get_going(t);
	fake_sendf(c, BOOKMARK("6"));
	usec_t start = loop_now(t->f->loop);
	fake_expect(t->f, "GET", WATCH_PATH "6&"); /* nothing comes any more */
	assert_int_equal(loop_now(t->f->loop) - start, 150 * USEC_PER_SEC);
	assert_int_equal(t->f->cancelled, 1);
	assert_int_equal(t->failures, 0);
	/* And one that was never answered at all is a failure. */
	fake_expect(t->f, "GET", WATCH_PATH "6&");
	assert_int_equal(t->failures, 1);
	assert_non_null(strstr(t->err.text, "does not answer"));
}

static void test_list_that_stands_still(void **state)
{
	struct tale *t = *state;
	struct kube_call *c = fake_expect(t->f, "GET", LIST_PATH "&resourceVersion=0");
	fake_sendf(c, "{\"kind\":\"BareMetalHostList\",\"items\":[" HOST("a", "3") ",");
	c = fake_expect(t->f, "GET", LIST_PATH "&resourceVersion=0");
	assert_int_equal(t->failures, 1);
	fake_reply(c, 200, LIST("5", HOST("a", "3")));
	check_tale(t, "restart +a3 restart +a3 listed:5 ");
}

static void test_lists_that_are_none(void **state)
{
	struct tale *t = *state;
	static const char *const bad[] = {
		"<html>",
		"{}",
		"{\"kind\":\"BareMetalHostList\",\"metadata\":{},\"items\":[]}",
		"{\"kind\":\"BareMetalHost\",\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[]}",
		"{\"kind\":\"BareMetalHostList\",\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[",
		LIST("5", "{}"),
		LIST("5", "{\"metadata\":{\"name\":\"a\"}}"),
		LIST("5", "{\"metadata\":{\"resourceVersion\":\"1\"}}"),
		LIST("5",
		     "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"1\"}}"),
		LIST("5", "7"),
		LIST("5", "") " more",
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct kube_call *c = fake_expect(t->f, "GET", LIST_PATH "&resourceVersion=0");
		fake_reply(c, 200, bad[i]);
		if (t->failures != i + 1)
			fail_msg("row %zu was taken", i);
		assert_int_equal(t->err.kind, ERR_PROTOCOL);
		assert_null(strstr(t->text.data, "listed"));
	}
}

static void test_backoff_grows_and_resets(void **state)
{
	struct tale *t = *state;
	usec_t longest = 0;
	struct kube_call *c = fake_expect(t->f, "GET", LIST_PATH);
	for (int i = 0; i < 60; i++) {
		usec_t now = loop_now(t->f->loop);
		fake_fail(c, ERR_UNREACHABLE, "refused");
		c = fake_expect(t->f, "GET", LIST_PATH);
		usec_t waited = loop_now(t->f->loop) - now;
		assert_true(waited <= (i < 5 ? 800 * USEC_PER_MSEC << i : 30 * USEC_PER_SEC));
		longest = MAX(longest, waited);
	}
	assert_true(longest > 15 * USEC_PER_SEC);
	fake_reply(c, 200, LIST("5", ""));
	c = fake_expect(t->f, "GET", WATCH_PATH "5&");
	fake_sleep(t->f, 121 * USEC_PER_SEC);
	usec_t now = loop_now(t->f->loop);
	fake_fail(c, ERR_UNREACHABLE, "refused");
	fake_expect(t->f, "GET", WATCH_PATH "5&");
	assert_true(loop_now(t->f->loop) - now <= 800 * USEC_PER_MSEC);
}

/* --- freed by its own handlers
 * -------------------------------------------------------------------------------- */

static void test_free_in_handlers(void **state)
{
	static const char *const when[] = { "restart", "+", "listed", "-", "failed" };
	struct tale *t = *state;
	for (size_t i = 0; i < ARRAY_SIZE(when); i++) {
		kube_watch_free(t->w);
		t->w = kube_watch_new(t->f->client,
				      &(struct kube_watch_options){ .resource = &hosts }, &handlers,
				      t);
		t->free_at = when[i];
		if (i == 0) {
			fake_expect_nothing(t->f, USEC_PER_MIN);
			assert_null(t->w);
			continue;
		}
		fake_reply(fake_expect(t->f, "GET", LIST_PATH), 200,
			   LIST("5", HOST("a", "3") "," HOST("b", "4")));
		if (!t->w)
			continue;
		struct kube_call *c = fake_expect(t->f, "GET", WATCH_PATH);
		if (i == 3)
			assert_false(fake_sendf(c, EVENT("DELETED", HOST("a", "6"))
							   EVENT("ADDED", HOST("c", "7"))));
		else
			fake_fail(c, ERR_UNREACHABLE, "reset");
		assert_null(t->w);
		fake_expect_nothing(t->f, USEC_PER_MIN);
	}
	assert_null(kube_watch_free(NULL));
}

/* --- streamed lists --- */

#define SYNC_PATH  "/apis/metal3.io/v1alpha1/baremetalhosts?watch=1&allowWatchBookmarks=true&"
#define SYNC_QUERY "resourceVersionMatch=NotOlderThan&sendInitialEvents=true&timeoutSeconds="
#define LIST_END(rv)                                                                               \
	EVENT("BOOKMARK", "{\"kind\":\"BareMetalHost\",\"metadata\":{\"resourceVersion\":\"" rv    \
			  "\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}")

static int setup_streaming(void **state)
{
	return setup_as(state, &(struct kube_watch_options){ .resource = &hosts },
			&(struct kube_client_options){ .stream_lists = true });
}

/* What exists, its end, and what changes come in one stream; later ones are not older. */
static void test_streamed_list(void **state)
{
	struct tale *t = *state;
	struct kube_call *c = fake_expect(t->f, "GET", SYNC_PATH SYNC_QUERY);
	fake_sendf(c, EVENT("ADDED", HOST("a", "9")) EVENT("ADDED", HOST("b", "3")));
	assert_string_equal(kube_watch_position(t->w), "");
	fake_sendf(c, EVENT("DELETED", HOST("b", "11")) LIST_END("12"));
	assert_string_equal(kube_watch_position(t->w), "12");
	fake_sendf(c, EVENT("MODIFIED", HOST("a", "13")));
	assert_string_equal(t->text.data, "restart +a9 +b3 -b11 listed:12 +a13 ");
	fake_sleep(t->f, 2 * USEC_PER_SEC);
	fake_end(c);
	/* As any watch it goes on from its position, and begins anew with a list when it is gone.
	 */
	c = fake_expect(t->f, "GET", WATCH_PATH "13&timeoutSeconds=");
	fake_refuse(c, 410, "Expired");
	c = fake_expect(t->f, "GET", SYNC_PATH SYNC_QUERY);
	fake_sendf(c, LIST_END("20"));
	assert_string_equal(t->text.data, "restart +a9 +b3 -b11 listed:12 +a13 restart listed:20 ");
}

static void count_slow(void *data, enum log_level level, const char *line)
{
	unsigned *lines = data;
	if (level == LOG_WARN && strstr(line, "slow in streaming a list"))
		++*lines;
}

/* No frame for ten seconds before the end of the list: told once a stream. */
static void test_streamed_list_is_slow(void **state)
{
	struct tale *t = *state;
	unsigned lines = 0;
	log_set_sink(count_slow, &lines);
	struct kube_call *c = fake_expect(t->f, "GET", SYNC_PATH SYNC_QUERY);
	for (int i = 0; i < 4; i++) {
		fake_sleep(t->f, 9 * USEC_PER_SEC);
		fake_sendf(c, EVENT("ADDED", HOST("a", "9")));
	}
	assert_int_equal(lines, 0);
	for (int i = 0; i < 4; i++) {
		fake_sleep(t->f, 11 * USEC_PER_SEC);
		assert_int_equal(lines, 1);
		fake_sendf(c, EVENT("ADDED", HOST("a", "9")));
	}
	/* The next stream is another matter, as soon as it is open. */
	fake_fail(c, ERR_UNREACHABLE, "reset");
	c = fake_expect(t->f, "GET", SYNC_PATH SYNC_QUERY);
	fake_sleep(t->f, 11 * USEC_PER_SEC);
	assert_int_equal(lines, 2);
	fake_fail(c, ERR_UNREACHABLE, "reset");
	/* A list that is complete is not slow, however long nothing changes; nor is one that
	 * failed. */
	c = fake_expect(t->f, "GET", SYNC_PATH SYNC_QUERY);
	fake_refuse(c, 403, "Forbidden");
	usec_t refused = loop_now(t->f->loop);
	c = fake_expect(t->f, "GET", SYNC_PATH SYNC_QUERY);
	assert_true(loop_now(t->f->loop) - refused > 10 * USEC_PER_SEC);
	assert_int_equal(lines, 2);
	fake_sendf(c, LIST_END("10"));
	fake_sleep(t->f, USEC_PER_MIN);
	assert_int_equal(lines, 2);
}

/* A stream that breaks before the end of the list: all of it again. */
static void test_streamed_list_breaks(void **state)
{
	struct tale *t = *state;
	struct kube_call *c = fake_expect(t->f, "GET", SYNC_PATH SYNC_QUERY);
	fake_sendf(c, EVENT("ADDED", HOST("a", "9")));
	fake_fail(c, ERR_UNREACHABLE, "reset");
	c = fake_expect(t->f, "GET", SYNC_PATH SYNC_QUERY);
	fake_sendf(c, EVENT("ADDED", HOST("a", "9")));
	fake_end(c);
	c = fake_expect(t->f, "GET", SYNC_PATH SYNC_QUERY);
	fake_sendf(c, LIST_END("10"));
	assert_string_equal(t->text.data, "restart +a9 restart +a9 restart listed:10 ");
}

/* Servers that know none: lists from then on, for all watches of the client. */
static void test_streamed_list_unknown(void **state)
{
	(void)state;
	static const struct {
		int code;
		const char *answer; /* frames, or the reason of a refusal */
	} rows[] = {
		{ 422, "Invalid" },
		{ 400, "BadRequest" },
		{ 403, "sendInitialEvents" },
		{ 200, EVENT("ADDED", HOST("a", "9")) BOOKMARK("10") },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		void *own = NULL;
		setup_streaming(&own);
		struct tale *t = own;
		struct kube_call *c = fake_expect(t->f, "GET", SYNC_PATH SYNC_QUERY);
		if (rows[i].code == 200)
			fake_sendf(c, "%s", rows[i].answer);
		else
			fake_refuse(c, rows[i].code, rows[i].answer);
		c = fake_expect(t->f, "GET", LIST_PATH);
		fake_reply(c, 200, LIST("5", ""));
		c = fake_expect(t->f, "GET", WATCH_PATH "5&timeoutSeconds=");
		fake_refuse(c, 410, "Expired");
		fake_reply(fake_expect(t->f, "GET", LIST_PATH), 200, LIST("6", ""));
		fake_expect(t->f, "GET", WATCH_PATH "6&timeoutSeconds=");
		assert_int_equal(t->failures, 0);
		teardown(&own);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void test_states(void **state)
{
	(void)state;
	assert_string_equal(fsm_name(&kube_watch_fsm, 0), "idle");
	fsm_walk(&kube_watch_fsm, 0, 0);
}

int main(void)
{
#define S(name) cmocka_unit_test_setup_teardown(name, setup_streaming, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_states),
		S(test_streamed_list),
		S(test_streamed_list_is_slow),
		S(test_streamed_list_breaks),
		cmocka_unit_test(test_streamed_list_unknown),
		T(test_list_and_watch),
		T(test_watch_seconds),
		T(test_events_cut_anywhere),
		T(test_pages),
		T(test_selectors_and_namespace),
		T(test_bad_options),
		T(test_gone_in_both_forms),
		T(test_gone_after_an_outage),
		T(test_gone_again_and_again_is_slowed_down),
		T(test_expired_page_token),
		T(test_too_large_version),
		T(test_faults_that_keep_the_position),
		T(test_refusals_of_a_watch),
		T(test_retry_after_of_a_watch),
		T(test_internal_errors_for_a_minute),
		T(test_other_error_event),
		T(test_unknown_event_type),
		T(test_proxy_that_closes_at_once),
		T(test_half_open_watch),
		T(test_list_that_stands_still),
		T(test_lists_that_are_none),
		T(test_backoff_grows_and_resets),
		T(test_free_in_handlers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
