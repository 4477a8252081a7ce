/* kube_transport to the embedded server, on one loop and between two threads. */

#include <pthread.h>

#include "apiserver/transport.h"
#include "unit/apiserver/harness.h"

struct seen {
	int heads, dones, status;
	enum err_kind kind;
	struct strbuf body, stream;
	struct loop *stop; /* when done */
	int stop_after;	   /* pieces of the stream */
	struct kube_call *call;
	bool refuse;
};

static void on_head(void *data, int status, int64_t retry_after_s)
{
	struct seen *seen = data;
	assert_int_equal(retry_after_s, -1);
	seen->heads++;
	seen->status = status;
}

static int on_body(void *data, const char *bytes, size_t len)
{
	struct seen *seen = data;
	strbuf_add(&seen->stream, bytes, len);
	if (seen->stop && seen->stop_after && --seen->stop_after == 0)
		loop_stop(seen->stop);
	return seen->refuse ? -1 : 0;
}

static void on_done(void *data, const struct err *err, int status, const char *body, size_t len)
{
	struct seen *seen = data;
	seen->dones++;
	seen->kind = err ? err->kind : ERR_NONE;
	if (!err)
		seen->status = status;
	strbuf_add(&seen->body, body, len);
	if (seen->stop)
		loop_stop(seen->stop);
}

static const struct kube_http_handlers handlers = { .head = on_head,
						    .body = on_body,
						    .done = on_done };

static void seen_done(struct seen *seen)
{
	strbuf_done(&seen->body);
	strbuf_done(&seen->stream);
	*seen = (struct seen){ 0 };
}

static struct kube_transport *transport_to(struct server *s, struct loop *loop)
{
	struct apiserver_transport_options options = { .loop = loop,
						       .server_loop = s->loop,
						       .server = s->api };
	return apiserver_transport_new(&options);
}

static struct kube_call *call(struct kube_transport *t, const char *method, const char *path,
			      const char *body, bool stream, struct seen *seen)
{
	char *text = quoted(body ? body : "");
	struct kube_http_request request = { .method = method,
					     .path = path,
					     .content_type = body ? "application/json" : NULL,
					     .body = text,
					     .body_len = strlen(text),
					     .stream = stream,
					     .timeout = stream ? 0 : 30 * USEC_PER_SEC };
	seen->call = t->ops->start(t, &request, &handlers, seen);
	free(text);
	// cppcheck-suppress returnDanglingLifetime ; start() copies the request
	return seen->call;
}

static void test_calls(void **state)
{
	struct server *s = *state;
	struct kube_transport *t = transport_to(s, s->loop);
	struct seen seen = { 0 };
	call(t, "POST", CONFIGS, "{'metadata':{'name':'a'}}", false, &seen);
	assert_int_equal(seen.dones, 0);
	settle(s);
	assert_int_equal(seen.dones, 1);
	assert_int_equal(seen.heads, 1);
	assert_int_equal(seen.status, 201);
	assert_non_null(strstr(seen.body.data, "\"name\":\"a\""));
	seen_done(&seen);
	call(t, "GET", CONFIGS "?fieldSelector=metadata.name%3Da", NULL, false, &seen);
	settle(s);
	assert_int_equal(seen.status, 200);
	seen_done(&seen);
	call(t, "GET", CONFIGS "/none", NULL, false, &seen);
	settle(s);
	assert_int_equal(seen.kind, ERR_NONE);
	assert_int_equal(seen.status, 404);
	seen_done(&seen);
	t->ops->free(t);
	settle(s);
}

static void test_stream(void **state)
{
	struct server *s = *state;
	struct kube_transport *t = transport_to(s, s->loop);
	struct seen seen = { 0 };
	call(t, "GET", CONFIGS "?watch=1&timeoutSeconds=10", NULL, true, &seen);
	settle(s);
	assert_int_equal(seen.heads, 1);
	ask(s, "POST", CONFIGS, "{'metadata':{'name':'a'}}");
	settle(s);
	assert_non_null(strstr(seen.stream.data, "\"ADDED\""));
	assert_int_equal(seen.dones, 0);
	loop_run_until(s->loop, loop_now(s->loop) + 11 * USEC_PER_SEC);
	assert_int_equal(seen.dones, 1);
	assert_int_equal(seen.kind, ERR_NONE);
	assert_int_equal(seen.body.len, 0);
	seen_done(&seen);
	/* An answer that is no stream comes as data of one. */
	call(t, "GET", CONFIGS "?watch=1&resourceVersion=x", NULL, true, &seen);
	settle(s);
	assert_int_equal(seen.dones, 1);
	assert_int_equal(seen.status, 400);
	assert_non_null(strstr(seen.stream.data, "\"Failure\""));
	seen_done(&seen);
	t->ops->free(t);
	settle(s);
}

static void test_cancel(void **state)
{
	struct server *s = *state;
	struct kube_transport *t = transport_to(s, s->loop);
	struct seen seen[4] = { { 0 } };
	/* At once; while the answer waits for the commit; in a stream; by the transport's end. */
	t->ops->cancel(call(t, "GET", CONFIGS, NULL, false, &seen[0]));
	call(t, "GET", CONFIGS "?watch=1", NULL, true, &seen[2]);
	settle(s);
	t->ops->cancel(seen[2].call);
	call(t, "POST", CONFIGS, "{'metadata':{'name':'a'}}", false, &seen[1]);
	t->ops->cancel(seen[1].call);
	call(t, "GET", CONFIGS "?watch=1", NULL, true, &seen[3]);
	t->ops->free(t);
	settle(s);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(seen[i].dones, 0);
		seen_done(&seen[i]);
	}
	ask(s, "POST", CONFIGS, "{'metadata':{'name':'b'}}");
	assert_status(201);
}

static void test_refused_data_ends_the_call(void **state)
{
	struct server *s = *state;
	struct kube_transport *t = transport_to(s, s->loop);
	struct seen seen = { .refuse = true };
	ask(s, "POST", CONFIGS, "{'metadata':{'name':'a'}}");
	call(t, "GET", CONFIGS "?watch=1", NULL, true, &seen);
	settle(s);
	assert_int_equal(seen.dones, 1);
	assert_int_equal(seen.kind, ERR_PROTOCOL);
	seen_done(&seen);
	t->ops->free(t);
	settle(s);
}

static void test_idle_limit(void **state)
{
	struct server *s = *state;
	struct kube_transport *t = transport_to(s, s->loop);
	struct seen seen = { 0 };
	struct kube_http_request request = { .method = "GET",
					     .path = CONFIGS "?watch=1",
					     .stream = true,
					     .idle_timeout = 20 * USEC_PER_SEC };
	t->ops->start(t, &request, &handlers, &seen);
	for (int i = 0; i < 5; i++) {
		loop_run_until(s->loop, loop_now(s->loop) + 15 * USEC_PER_SEC);
		char *body = xasprintf("{'metadata':{'name':'c%d'}}", i);
		ask(s, "POST", CONFIGS, body);
		free(body);
	}
	assert_int_equal(seen.dones, 0);
	loop_run_until(s->loop, loop_now(s->loop) + 25 * USEC_PER_SEC);
	assert_int_equal(seen.dones, 1);
	assert_int_equal(seen.kind, ERR_TIMEOUT);
	seen_done(&seen);
	t->ops->free(t);
	settle(s);
}

/* --- two threads
 * -------------------------------------------------------------------------------------- */

static void *run_server(void *data)
{
	loop_run(data);
	return NULL;
}

static void open_on(struct server *s)
{
	struct err err;
	assert_int_equal(loop_new(&s->loop, &err), 0);
	assert_int_equal(open_server(s, ":memory:", &err), 0);
}

static void stop_server(void *data)
{
	loop_stop(data);
}

static void test_two_threads(void **state)
{
	(void)state;
	struct server s = { 0 };
	struct loop *client;
	struct err err;
	pthread_t thread;
	open_on(&s);
	assert_int_equal(loop_new(&client, &err), 0);
	struct kube_transport *t = transport_to(&s, client);
	assert_int_equal(pthread_create(&thread, NULL, run_server, s.loop), 0);
	enum { COUNT = 50 };
	struct seen watch = { .stop = client, .stop_after = COUNT },
		    *seen = calloc(COUNT, sizeof(*seen));
	call(t, "GET", CONFIGS "?watch=1", NULL, true, &watch);
	for (int i = 0; i < COUNT; i++) {
		char *body = xasprintf("{'metadata':{'name':'c%d'}}", i);
		call(t, "POST", CONFIGS, body, false, &seen[i]);
		free(body);
	}
	struct seen cancelled = { 0 };
	t->ops->cancel(call(t, "GET", CONFIGS, NULL, false, &cancelled));
	loop_run(client); /* until the watch has seen all */
	for (int i = 0; i < COUNT; i++) {
		assert_int_equal(seen[i].status, 201);
		seen_done(&seen[i]);
	}
	assert_int_equal(cancelled.dones, 0);
	free(seen);
	t->ops->free(t);
	/* Behind what the transport posted. */
	loop_post(s.loop, stop_server, s.loop);
	pthread_join(thread, NULL);
	apiserver_free(s.api);
	loop_free(s.loop);
	loop_post(client, stop_server, client);
	loop_run(client);
	loop_free(client);
	seen_done(&watch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		server_test(test_calls),      server_test(test_stream),
		server_test(test_cancel),     server_test(test_refused_data_ends_the_call),
		server_test(test_idle_limit), cmocka_unit_test(test_two_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
