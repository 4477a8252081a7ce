/* The HTTP front: who may pass, what reaches the server, how answers and streams leave. The server
 * behind it is a stub, which stands here. */

#include "unit/web/tls_client.h"

#include "apiserver/front.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n"

/* --- the stub -------------------------------------------------------------------------------- */

struct api_exchange {
	const struct api_front_ops *ops;
	void *front;
};

static struct {
	struct api_exchange x; /* what is open */
	sem_t opened, aborted;
	bool later, flood;
} stub;

static atomic_bool revoked; /* alice's token */

static void answer_later(void *data)
{
	struct api_exchange *x = data;
	x->ops->reply(x->front, 201, "application/json", "{\"late\":1}", 10);
}

struct api_exchange *apiserver_handle(struct apiserver *s, const struct api_request *request,
				      const struct api_front_ops *ops, void *front)
{
	(void)s;
	stub.x = (struct api_exchange){ .ops = ops, .front = front };
	if (streq(request->path, "/watch")) {
		ops->stream_start(front, "application/json");
		ops->stream_send(front, "{}\n", 3);
		sem_post(&stub.opened);
		return &stub.x;
	}
	if (streq(request->path, "/ended")) {
		ops->stream_start(front, "application/json");
		ops->stream_send(front, "{}\n", 3);
		ops->stream_end(front);
		return NULL;
	}
	if (streq(request->path, "/revoked")) {
		ops->stream_start(front, "application/json");
		assert_true(ops->stream_send(front, "{1}\n", 4));
		revoked = true;
		assert_false(ops->stream_send(front, "{2}\n", 4));
		ops->stream_end(front);
		return NULL;
	}
	if (streq(request->path, "/later")) {
		sem_post(&stub.opened);
		return &stub.x;
	}
	_cleanup_(freep) char *text = xasprintf(
		"%s %s?%s by %s of [%s] as %s: %s, %s, %.*s", request->method, request->path,
		request->query, request->user, request->groups,
		request->impersonate ? request->impersonate : "himself", request->content_type,
		request->accept, (int)request->body_len, request->body);
	ops->warning(front, "say \"so\"");
	ops->warning(front, "two\r\nlines");
	ops->reply(front, 200, "text/x", text, strlen(text));
	assert_string_equal(request->user, "alice"); /* still there after the answer */
	return NULL;
}

void apiserver_stream_drained(struct api_exchange *x)
{
	(void)x;
	fail_msg("nothing waits here");
}

void apiserver_abort(struct api_exchange *x)
{
	assert_ptr_equal(x, &stub.x);
	sem_post(&stub.aborted);
}

/* --- set-up ---------------------------------------------------------------------------------- */

static struct api_front *front;
static bool authenticate(void *data, const char *token, struct api_user *ret)
{
	(void)data;
	const char *name = streq(token, "s3cret") && !revoked ? "alice"
			   : streq(token, "other")	      ? "bob"
							      : NULL;
	if (name)
		*ret = (struct api_user){ xstrdup(name), xstrdup("readers") };
	return name;
}

static int setup(void **state)
{
	struct rig *rig = rig_new();
	struct err err;
	front = api_front_new(&(struct api_front_options){ .authenticate = authenticate });
	const struct web_route routes[] = {
		{ "/", rig->loop, api_front_handle, front, APISERVER_BODY_MAX, 0,
		  api_front_before_body },
		{ NULL },
	};
	const struct web_server_options o = { .address = "127.0.0.1",
					      .cert = pki.server.cert,
					      .key = pki.server.key,
					      .client_ca = pki.ca.cert,
					      .routes = routes };
	sem_init(&stub.opened, 0, 0);
	sem_init(&stub.aborted, 0, 0);
	if (web_server_open(rig->web, &o, &rig->server, &err) < 0)
		fail_msg("%s", err.text);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	rig_free(*state);
	front = api_front_free(front); /* asserts that no exchange is left */
	return 0;
}

static struct answer ask_as(const struct rig *rig, const struct crypt_pair *pair,
			    const char *request)
{
	_cleanup_(tls_hang_up) struct client c = tls_dial(web_server_port(rig->server), "localhost",
							  pair, NULL);
	return tls_ask(&c, request);
}

/* --- tests ----------------------------------------------------------------------------------- */

static void request_arrives_whole(void **state)
{
	_cleanup_(answer_done) struct answer a = ask_as(
		*state, &pki.client,
		"PATCH /a%2Fb?x=%20 HTTP/1.1\r\nHost: h\r\nContent-Type: a/b\r\nAccept: c/d\r\n"
		"Content-Length: 4\r\n\r\nbody");
	assert_int_equal(a.status, 200);
	assert_string_equal(a.body.data,
			    "PATCH /a%2Fb?x=%20 by alice of [] as himself: a/b, c/d, body");
	assert_string_equal(answer_header(&a, "Content-Type"), "text/x");
	assert_string_equal(answer_header(&a, "Cache-Control"), "no-cache, private");
	assert_non_null(strstr(a.head, "\r\nWarning: 299 - \"say \\\"so\\\"\"\r\n"));
	assert_non_null(strstr(a.head, "\r\nWarning: 299 - \"two  lines\"\r\n"));
}

static void unknown_peers_get_401(void **state)
{
	static const char *const requests[] = {
		GET("/x") "\r\n",
		GET("/x") "Authorization: Bearer wrong\r\n\r\n",
		GET("/x") "Authorization: Bearer \r\n\r\n",
		GET("/x") "Authorization: Bearer s3cret2\r\n\r\n",
		GET("/x") "Authorization: Basic s3cret\r\n\r\n",
		GET("/x") "Authorization: s3cret\r\n\r\n",
	};
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		_cleanup_(answer_done) struct answer a = ask_as(*state, NULL, requests[i]);
		assert_int_equal(a.status, 401);
		assert_string_equal(answer_header(&a, "Content-Type"), "application/json");
		assert_non_null(strstr(a.body.data, "\"reason\":\"Unauthorized\""));
	}
	_cleanup_(answer_done) struct answer b = ask_as(*state, &pki.stranger, GET("/x") "\r\n");
	assert_int_equal(b.status, 401);
	_cleanup_(answer_done) struct answer c = ask_as(*state, &pki.expired, GET("/x") "\r\n");
	assert_int_equal(c.status, 401);
}

/* Before its body is read, which here never comes. */
static void strangers_send_no_large_body(void **state)
{
	_cleanup_(answer_done) struct answer a = ask_as(
		*state, NULL, "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3000000\r\n\r\n");
	assert_int_equal(a.status, 401);
	assert_non_null(strstr(a.body.data, "\"reason\":\"Unauthorized\""));
	_cleanup_(answer_done) struct answer b = ask_as(
		*state, &pki.client,
		"POST /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
		"Content-Length: 3000000\r\n\r\n");
	assert_int_equal(b.status, 100);
	_cleanup_(answer_done) struct answer c = ask_as(
		*state, NULL,
		"POST /x HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer other\r\n"
		"Expect: 100-continue\r\nContent-Length: 3000000\r\n\r\n");
	assert_int_equal(c.status, 100);
}

static void token_passes(void **state)
{
	_cleanup_(answer_done) struct answer a = ask_as(
		*state, NULL, GET("/x") "Authorization: Bearer s3cret\r\n\r\n");
	assert_int_equal(a.status, 200);
	assert_non_null(strstr(a.body.data, "by alice of [readers] as himself"));
	/* A certificate that is not ours does not stand in the way of a token. */
	_cleanup_(answer_done) struct answer b = ask_as(
		*state, &pki.stranger, GET("/x") "Authorization: Bearer s3cret\r\n\r\n");
	assert_int_equal(b.status, 200);
}

/* Whatever header it is by: none may be overlooked. */
static void impersonation_is_told(void **state)
{
	static const struct {
		const char *request, *as;
	} rows[] = {
		{ GET("/x") "Impersonate-User: bob\r\n\r\n", " as bob:" },
		{ GET("/x") "IMPERSONATE-Group: g\r\nImpersonate-User: bob\r\n\r\n", " as bob:" },
		{ GET("/x") "Impersonate-Group: system:masters\r\n\r\n", " as :" },
		{ GET("/x") "Impersonate-Uid: 1\r\n\r\n", " as :" },
		{ GET("/x") "Impersonate-Extra-Scopes: x\r\n\r\n", " as :" },
		{ GET("/x") "X-Impersonate-User: bob\r\n\r\n", " as himself:" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(answer_done) struct answer a = ask_as(*state, &pki.client,
								rows[i].request);
		if (!strstr(a.body.data, rows[i].as))
			fail_msg("%s is no answer to %s", a.body.data, rows[i].request);
	}
}

static void revoked_token_ends_its_stream(void **state)
{
	revoked = false;
	_cleanup_(answer_done) struct answer a = ask_as(
		*state, NULL, GET("/revoked") "Authorization: Bearer s3cret\r\n\r\n");
	assert_int_equal(a.status, 200);
	assert_string_equal(a.body.data, "{1}\n");
	_cleanup_(answer_done) struct answer b = ask_as(
		*state, NULL, GET("/x") "Authorization: Bearer s3cret\r\n\r\n");
	assert_int_equal(b.status, 401);
	revoked = false;
}

static void stream_aborted_by_its_peer(void **state)
{
	struct rig *rig = *state;
	static const char request[] = GET("/watch") "\r\n";
	struct client c = tls_dial(web_server_port(rig->server), "localhost", &pki.client, NULL);
	SSL_write(c.ssl, request, sizeof(request) - 1);
	rig_wait(&stub.opened);
	_cleanup_(answer_done) struct answer a = hear_from(read_tls, &c, &c.in, true);
	assert_int_equal(a.status, 200);
	tls_hang_up(&c);
	rig_wait(&stub.aborted);
}

static void stream_ended_by_the_server(void **state)
{
	_cleanup_(answer_done) struct answer a = ask_as(*state, &pki.client, GET("/ended") "\r\n");
	assert_int_equal(a.status, 200);
	assert_string_equal(a.body.data, "{}\n");
	int aborts;
	sem_getvalue(&stub.aborted, &aborts);
	assert_int_equal(aborts, 0);
}

static void stream_open_at_the_end(void **state)
{
	struct rig *rig = *state;
	static const char request[] = GET("/watch") "\r\n";
	struct client c = tls_dial(web_server_port(rig->server), "localhost", &pki.client, NULL);
	SSL_write(c.ssl, request, sizeof(request) - 1);
	rig_wait(&stub.opened);
	rig->server = web_server_close(rig->server);
	rig_wait(&stub.aborted);
	tls_hang_up(&c);
}

/* Group commit: the answer comes after the call. */
static void answer_after_the_call(void **state)
{
	struct rig *rig = *state;
	static const char request[] = GET("/later") "\r\n";
	_cleanup_(tls_hang_up) struct client c = tls_dial(web_server_port(rig->server), "localhost",
							  &pki.client, NULL);
	SSL_write(c.ssl, request, sizeof(request) - 1);
	rig_wait(&stub.opened);
	loop_post(rig->loop, answer_later, &stub.x);
	_cleanup_(answer_done) struct answer a = hear_from(read_tls, &c, &c.in, false);
	assert_int_equal(a.status, 201);
	assert_string_equal(a.body.data, "{\"late\":1}");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(answer_after_the_call),
		TEST(request_arrives_whole),
		TEST(strangers_send_no_large_body),
		TEST(unknown_peers_get_401),
		TEST(token_passes),
		TEST(stream_aborted_by_its_peer),
		TEST(stream_ended_by_the_server),
		TEST(stream_open_at_the_end),
		TEST(impersonation_is_told),
		TEST(revoked_token_ends_its_stream),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, make_pki, drop_pki);
}
