/* The HTTP client against a real socket: answers, bodies, redirects, limits, times, cancellation,
 * pause. */

#include "fixture.h"

#include <netdb.h>
#include <zlib.h>

static bool serve_basic(struct peer *p)
{
	if (peer_asks(p, "GET /hello "))
		return peer_reply(
			p, "200 OK",
			"Content-Type: text/plain\r\nETag: \"e1\"\r\nAccept-Ranges: bytes\r\n"
			"X-One:  a b \r\nX-Empty:\r\n",
			"hello");
	if (peer_asks(p, "GET /missing "))
		return peer_reply(p, "404 Not Found", "Retry-After: 7\r\n", "no such thing");
	if (peer_asks(p, "GET /date "))
		return peer_reply(p, "503 No", "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n",
				  "");
	if (peer_asks(p, "GET /range ") && peer_said(p, "\r\nRange: bytes=2-4\r\n"))
		return peer_reply(p, "206 Partial Content", "Content-Range: bytes 2-4/10\r\n",
				  "cde");
	if (peer_asks(p, "HEAD /big "))
		return peer_say(p, "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n");
	if (peer_asks(p, "GET /continue "))
		return peer_say(p, "HTTP/1.1 100 Continue\r\nX-No: 1\r\n\r\nHTTP/1.1 200 OK\r\n"
				   "Content-Length: 2\r\n\r\nok");
	return peer_reply(p, "200 OK", "", p->body);
}

static void test_status_body_headers(void **state)
{
	struct fixture *f = *state;
	f->server = server_start(serve_basic, NULL, NULL);
	const char *const headers[] = { "X-Extra: 1", "X-None:", NULL };
	struct story s = ask(f, "/hello", (struct http_request){ .headers = headers },
			     &story_collect);
	assert_false(s.failed);
	assert_int_equal(s.status, 200);
	assert_int_equal(s.heads, 1);
	assert_string_equal(s.body.data, "hello");
	assert_int_equal(s.content_length, 5);
	assert_string_equal(s.content_type, "text/plain");
	assert_string_equal(s.etag, "\"e1\"");
	assert_string_equal(s.location, "");
	assert_true(s.accept_ranges);
	assert_int_equal(s.retry_after_s, -1);
	assert_non_null(strstr(s.headers.data, "X-One=a b\n"));
	assert_non_null(strstr(s.headers.data, "X-Empty=\n"));
	assert_true(server_heard(f->server, "User-Agent: ingot/test\r\n"));
	assert_true(server_heard(f->server, "X-Extra: 1\r\n"));
	assert_true(server_heard(f->server, "X-None:\r\n"));
	story_release(&s);
}

static void test_any_status_is_an_answer(void **state)
{
	struct fixture *f = *state;
	f->server = server_start(serve_basic, NULL, NULL);
	struct story s = ask(f, "/missing", (struct http_request){ 0 }, &story_collect);
	assert_false(s.failed);
	assert_int_equal(s.status, 404);
	assert_int_equal(s.retry_after_s, 7);
	assert_string_equal(s.body.data, "no such thing");
	story_release(&s);
	s = ask(f, "/date", (struct http_request){ 0 }, &story_collect);
	assert_int_equal(s.retry_after_s, 0); /* that date is past */
	story_release(&s);
	assert_int_equal(f->server->connections, 1);
}

static void test_continue_is_not_the_answer(void **state)
{
	struct fixture *f = *state;
	f->server = server_start(serve_basic, NULL, NULL);
	struct story s = ask(f, "/continue", (struct http_request){ 0 }, &story_collect);
	assert_int_equal(s.status, 200);
	assert_int_equal(s.heads, 1);
	assert_string_equal(s.body.data, "ok");
	story_release(&s);
}

static void test_range(void **state)
{
	struct fixture *f = *state;
	f->server = server_start(serve_basic, NULL, NULL);
	const char *const headers[] = { "Range: bytes=2-4", NULL };
	struct story s = ask(f, "/range", (struct http_request){ .headers = headers },
			     &story_collect);
	assert_int_equal(s.status, 206);
	assert_string_equal(s.content_range, "bytes 2-4/10");
	assert_string_equal(s.body.data, "cde");
	story_release(&s);
}

static void test_head_has_no_body(void **state)
{
	struct fixture *f = *state;
	f->server = server_start(serve_basic, NULL, NULL);
	struct story s = ask(f, "/big", (struct http_request){ .method = "HEAD" }, &story_collect);
	assert_false(s.failed);
	assert_int_equal(s.content_length, 99999999);
	story_release(&s);
}

static void test_bodies_are_sent(void **state)
{
	struct fixture *f = *state;
	f->server = server_start(serve_basic, NULL, NULL);
	static const char *const methods[] = { "POST", "PUT", "PATCH", "DELETE" };
	size_t size = 3 << 20;
	char *big = xmalloc(size + 1);
	memset(big, 'x', size);
	big[size] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		struct http_request r = { .method = methods[i],
					  .content_type = "application/json",
					  .body = i == 0 ? big : "{}",
					  .body_len = i == 0 ? size : 2 };
		struct story s = ask(f, "/echo", r, &story_collect);
		assert_false(s.failed);
		assert_int_equal(s.body.len, r.body_len);
		assert_memory_equal(s.body.data, r.body, r.body_len);
		char *line = xasprintf("%s /echo HTTP/1.1\r\n", methods[i]);
		assert_true(server_heard(f->server, line));
		free(line);
		story_release(&s);
	}
	free(big);
	struct story s = ask(f, "/echo", (struct http_request){ .method = "POST" }, &story_collect);
	assert_false(s.failed);
	assert_true(server_heard(f->server, "Content-Length: 0\r\n"));
	assert_false(server_heard(f->server, "Expect:"));
	assert_false(server_heard(f->server, "x-www-form-urlencoded"));
	story_release(&s);
}

static void test_credentials(void **state)
{
	struct fixture *f = *state;
	f->server = server_start(serve_basic, NULL, NULL);
	struct http_request basic = { .username = "Aladdin", .password = "open sesame" };
	struct story s = ask(f, "/hello", basic, &story_collect);
	story_release(&s);
	assert_true(
		server_heard(f->server, "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"));
	s = ask(f, "/hello", (struct http_request){ .bearer = "t0ken" }, &story_collect);
	story_release(&s);
	assert_true(server_heard(f->server, "Authorization: Bearer t0ken\r\n"));
}

static void test_userinfo_of_url(void **state)
{
	struct fixture *f = *state;
	f->server = server_start(serve_basic, NULL, NULL);
	char *url = xasprintf("http://us%%65r:p%%40ss@127.0.0.1:%u/hello", f->server->port);
	struct story s = { 0 };
	story_start(&s, f, &(struct http_request){ .url = url }, &story_collect);
	free(url);
	loop_run(f->loop);
	assert_int_equal(s.status, 200);
	assert_true(
		server_heard(f->server, "Authorization: Basic dXNlcjpwQHNz\r\n")); /* user:p@ss */
	story_release(&s);
}

static void test_malformed_requests(void **state)
{
	struct fixture *f = *state;
	static const char *const folded[] = { "X: a\r\nY: b", NULL };
	static const char *const nameless[] = { "no colon", NULL };
	static const struct http_request bad[] = {
		{ .url = NULL },
		{ .url = "" },
		{ .url = "/relative" },
		{ .url = "host.only/path" },
		{ .url = "ftp://127.0.0.1/" },
		{ .url = "file:///etc/passwd" },
		{ .url = "http://" },
		{ .url = "http://a b/" },
		{ .url = "http://127.0.0.1/a b" },
		{ .url = "http://127.0.0.1/\r\nX: y" },
		{ .url = "http://127.0.0.1:99999/" },
		{ .url = "http://127.0.0.1/", .method = "GET X" },
		{ .url = "http://127.0.0.1/", .method = "" },
		{ .url = "http://127.0.0.1/", .headers = folded },
		{ .url = "http://127.0.0.1/", .headers = nameless },
		{ .url = "http://127.0.0.1/", .bearer = "a\nb" },
		{ .url = "http://127.0.0.1/", .content_type = "a\nb" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err err = { 0 };
		if (http_start(f->client, &bad[i], &story_collect, NULL, &err))
			fail_msg("row %zu was taken", i);
		assert_int_equal(err.kind, ERR_INVALID);
		assert_null(strstr(err.text, "passwd"));
	}
}

/* --- streams and limits
 * --------------------------------------------------------------------------- */

static bool serve_streams(struct peer *p)
{
	if (peer_asks(p, "GET /chunked ")) {
		peer_say(p, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
		for (int i = 0; i < 50; i++)
			peer_say(p, "5\r\nabcde\r\n");
		return peer_say(p, "0\r\nX-Trailer: 1\r\n\r\n");
	}
	if (peer_asks(p, "GET /endless ")) {
		peer_say(p, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
		while (peer_say(p, "a\r\n0123456789\r\n"))
			;
		return false;
	}
	if (peer_asks(p, "GET /headers ")) {
		peer_say(p, "HTTP/1.1 200 OK\r\n");
		while (peer_say(p, "X-Again: 0123456789012345678901234567890123456789\r\n"))
			;
		return false;
	}
	if (peer_asks(p, "GET /long "))
		return peer_say(p, "HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n") &&
		       peer_hang(p);
	if (peer_asks(p, "GET /cut "))
		return peer_say(p, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc") && false;
	if (peer_asks(p, "GET /nothing "))
		return false;
	if (peer_asks(p, "GET /ssh "))
		return peer_say(p, "SSH-2.0-OpenSSH_9.2\r\n") && false;
	if (peer_asks(p, "GET /half "))
		return peer_say(p, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc") &&
		       peer_hang(p);
	return peer_hang(p);
}

static void test_chunked(void **state)
{
	struct fixture *f = *state;
	f->server = server_start(serve_streams, NULL, NULL);
	struct story s = ask(f, "/chunked", (struct http_request){ 0 }, &story_stream);
	assert_false(s.failed);
	assert_int_equal(s.body.len, 250);
	assert_int_equal(s.content_length, -1);
	assert_null(strstr(s.headers.data, "Trailer"));
	story_release(&s);
	s = ask(f, "/chunked", (struct http_request){ 0 }, &story_collect);
	assert_int_equal(s.body.len, 250);
	story_release(&s);
}

static void test_limits(void **state)
{
	struct fixture *f = *state;
	f->server = server_start(serve_streams, NULL, NULL);
	static const char *const paths[] = { "/endless", "/long", "/headers" };
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct story s = ask(f, paths[i], (struct http_request){ .max_body_bytes = 1000 },
				     &story_collect);
		assert_true(s.failed);
		assert_int_equal(s.err.kind, ERR_LIMIT);
		assert_true(s.body.len <= 1000);
		story_release(&s);
	}
}

static void test_broken_answers(void **state)
{
	struct fixture *f = *state;
	f->server = server_start(serve_streams, NULL, NULL);
	static const struct {
		const char *path, *text;
		enum err_kind kind;
	} rows[] = {
		{ "/cut?secret=1", "middle of the answer", ERR_PROTOCOL },
		{ "/nothing", "without an answer", ERR_UNREACHABLE },
		{ "/ssh", "does not speak HTTP", ERR_PROTOCOL },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(freep) char *path = xstrdup(rows[i].path);
		struct http_request r = { .what = "image of host a/b" };
		path[strcspn(path, "?")] = '\0';
		struct story s = ask(f, path, r, &story_collect);
		assert_true(s.failed);
		assert_int_equal(s.err.kind, rows[i].kind);
		assert_non_null(strstr(s.err.text, rows[i].text));
		char *front = xasprintf(
			"image of host a/b: GET http://127.0.0.1:%u%s: ", f->server->port, path);
		assert_true(str_has_prefix(s.err.text, front));
		free(front);
		story_release(&s);
	}
}

static void test_deadline_and_idle(void **state)
{
	struct fixture *f = *state;
	f->server = server_start(serve_streams, NULL, NULL);
	static const struct {
		const char *path;
		usec_t timeout, idle;
		const char *text;
	} rows[] = {
		{ "/hang", 30 * USEC_PER_MSEC, 0, "connected, but no answer within 0.03 s" },
		{ "/half", 30 * USEC_PER_MSEC, 0, "the answer did not end within 0.03 s" },
		{ "/half", 0, 20 * USEC_PER_MSEC, "nothing came for 0.02 s" },
		{ "/hang", USEC_PER_MIN, 20 * USEC_PER_MSEC, "nothing came for 0.02 s" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct http_request r = { .timeout = rows[i].timeout,
					  .idle_timeout = rows[i].idle };
		struct story s = ask(f, rows[i].path, r, &story_collect);
		assert_true(s.failed);
		assert_int_equal(s.err.kind, ERR_TIMEOUT);
		if (!strstr(s.err.text, rows[i].text))
			fail_msg("\"%s\" is not in \"%s\"", rows[i].text, s.err.text);
		story_release(&s);
	}
}

/* Whatever goes wrong, an error shows neither the query, nor userinfo, nor what was sent or came.
 */
static bool serve_trouble(struct peer *p)
{
	if (peer_asks(p, "POST /long"))
		return peer_reply(p, "200 OK", "", "body-of-the-answer, too long");
	if (peer_asks(p, "POST /away"))
		return peer_reply(p, "307 Temporary", "Location: http://127.0.0.2:1/?q=secret\r\n",
				  "body-of-the-answer");
	return peer_say(p, "body-of-the-answer, which is no HTTP\r\n\r\n");
}

static void test_errors_show_no_secrets(void **state)
{
	struct fixture *f = *state;
	static const char *const paths[] = { "/long?agent_token=secret", "/away?agent_token=secret",
					     "/garbage?agent_token=secret",
					     "/?agent_token=secret" };
	f->server = server_start(serve_trouble, NULL, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		uint16_t port = i == 3 ? 1 : f->server->port; /* nobody there */
		char *url = xasprintf("http://user:secret@127.0.0.1:%u%s", port, paths[i]);
		struct http_request r = { .method = "POST",
					  .body = "secret",
					  .body_len = 6,
					  .max_redirects = 2,
					  .max_body_bytes = 10 };
		struct story s = ask_url(f, url, r, &story_collect);
		assert_true(s.failed);
		assert_null(strstr(s.err.text, "secret"));
		assert_null(strstr(s.err.text, "body-of"));
		assert_non_null(strstr(s.err.text, "POST http://127.0.0.1:"));
		story_release(&s);
	}
}

static void test_connect_timeout(void **state)
{
	struct fixture *f = *state;
	/* A listener whose queue is full lets no further connection through. */
	uint16_t port;
	int fd = listen_on_loopback(&port), fill[8];
	listen(fd, 0);
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	for (size_t i = 0; i < ARRAY_SIZE(fill); i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)!connect(fill[i], (struct sockaddr *)&a, sizeof(a));
	}
	char *url = xasprintf("http://127.0.0.1:%u/", port);
	struct story s = { 0 };
	story_start(&s, f,
		    &(struct http_request){ .url = url, .connect_timeout = 50 * USEC_PER_MSEC },
		    &story_collect);
	loop_run(f->loop);
	assert_true(s.failed);
	assert_int_equal(s.err.kind, ERR_TIMEOUT);
	assert_non_null(strstr(s.err.text, "could not connect to 127.0.0.1 within 0.05 s"));
	story_release(&s);
	free(url);
	for (size_t i = 0; i < ARRAY_SIZE(fill); i++)
		close(fill[i]);
	close(fd);
}

static void test_refused(void **state)
{
	struct fixture *f = *state;
	uint16_t port;
	close(listen_on_loopback(&port));
	char *url = xasprintf("http://user:pw@127.0.0.1:%u/x?secret=1", port);
	struct story s = { 0 };
	story_start(&s, f, &(struct http_request){ .url = url }, &story_collect);
	loop_run(f->loop);
	assert_int_equal(s.err.kind, ERR_UNREACHABLE);
	assert_non_null(strstr(s.err.text, "connection refused"));
	assert_null(strstr(s.err.text, "secret"));
	assert_null(strstr(s.err.text, "pw"));
	assert_int_equal(s.status, 0);
	story_release(&s);
	free(url);
}

static void test_unknown_name(void **state)
{
	struct fixture *f = *state;
	struct story s = { 0 };
	/* RFC 6761: .invalid never resolves. */
	story_start(&s, f, &(struct http_request){ .url = "http://no-such-host.invalid/" },
		    &story_collect);
	loop_run(f->loop);
	assert_int_equal(s.err.kind, ERR_UNREACHABLE);
	assert_non_null(strstr(s.err.text, "no-such-host.invalid is not known"));
	story_release(&s);
}

static void test_cancel_while_resolving(void **state)
{
	struct fixture *f = *state;
	struct story s = { 0 };
	story_start(&s, f, &(struct http_request){ .url = "http://no-such-host.invalid/" },
		    &story_collect);
	loop_post(f->loop, (loop_fn)loop_stop, f->loop);
	loop_run(f->loop);
	s.op = http_cancel(s.op);
	assert_int_equal(s.dones, 0);
	story_release(&s);
}

static void test_environment_proxy_is_ignored(void **state)
{
	struct fixture *f = *state;
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	f->server = server_start(serve_basic, NULL, NULL);
	struct story s = ask(f, "/hello", (struct http_request){ 0 }, &story_collect);
	assert_false(s.failed);
	story_release(&s);
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
}

static void test_proxy(void **state)
{
	struct fixture *f = *state;
	f->server = server_start(serve_basic, NULL, NULL);
	char *proxy = url_of(f->server, "");
	struct story s = { 0 };
	story_start(&s, f,
		    &(struct http_request){ .url = "http://api.example/hello", .proxy = proxy },
		    &story_collect);
	loop_run(f->loop);
	assert_false(s.failed);
	assert_true(server_heard(f->server, "GET http://api.example/hello HTTP/1.1\r\n"));
	story_release(&s);
	free(proxy);
}

/* Port 1 refuses: a request gets its answer from the proxy or not at all. The names below
 * "localhost" need no DNS (RFC 6761). */
static void test_no_proxy(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *host, *no_proxy;
		bool proxied;
	} rows[] = {
		{ "api.localhost", NULL, true },
		{ "api.localhost", "", true },
		{ "api.localhost", "api.localhost", false },
		{ "API.localhost", "other.example,api.LOCALHOST", false },
		{ "api.localhost", "localhost", false },
		{ "api.localhost", ".localhost", false },
		{ "api.localhost", "calhost", true },
		{ "api.localhost", "my.api.localhost", true },
		{ "api.localhost", "*", false },
		{ "user:pw@api.localhost", "api.localhost", false },
		{ "user:pw@api.localhost", "user", true },
		{ "127.0.0.1", "127.0.0.1", false },
		{ "127.0.0.1", "127.0.0.0/8", false },
		{ "127.0.0.1", "10.0.0.0/8", true },
		{ "[::1]", "::1", false },
		{ "[::1]", "::2", true },
		{ "[::1]", "[", true },
	};
	f->server = server_start(serve_basic, NULL, NULL);
	_cleanup_(freep) char *proxy = url_of(f->server, "");
	setenv("no_proxy", "*", 1); /* not read */
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int before = atomic_load(&f->server->requests);
		struct story s = ask_url(
			f, xasprintf("http://%s:1/hello", rows[i].host),
			(struct http_request){ .proxy = proxy, .no_proxy = rows[i].no_proxy },
			&story_collect);
		bool proxied = atomic_load(&f->server->requests) > before;
		if (proxied != rows[i].proxied || s.failed == proxied)
			fail_msg("%s but for %s: proxied %d, failed %d", rows[i].host,
				 str_or(rows[i].no_proxy, "none"), proxied, s.failed);
		story_release(&s);
	}
	unsetenv("no_proxy");
}

static bool serve_gzip(struct peer *p)
{
	char text[4000];
	memset(text, 'z', sizeof(text));
	unsigned char packed[1024];
	z_stream z = { .next_in = (unsigned char *)text,
		       .avail_in = sizeof(text),
		       .next_out = packed,
		       .avail_out = sizeof(packed) };
	deflateInit2(&z, 9, Z_DEFLATED, 16 + 15, 8, Z_DEFAULT_STRATEGY);
	deflate(&z, Z_FINISH);
	char *head = xasprintf("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
			       "Content-Length: %lu\r\n\r\n",
			       z.total_out);
	bool ok = peer_said(p, "Accept-Encoding: gzip\r\n") && peer_say(p, head) &&
		  peer_write(p, (char *)packed, z.total_out);
	deflateEnd(&z);
	free(head);
	return ok;
}

static void test_gzip(void **state)
{
	struct fixture *f = *state;
	f->server = server_start(serve_gzip, NULL, NULL);
	struct story s = ask(f, "/", (struct http_request){ .accept_gzip = true }, &story_collect);
	assert_false(s.failed);
	assert_int_equal(s.body.len, 4000);
	story_release(&s);
	/* The limit counts what comes out: no bombs. */
	struct http_request bomb = { .accept_gzip = true, .max_body_bytes = 3999 };
	s = ask(f, "/", bomb, &story_collect);
	assert_int_equal(s.err.kind, ERR_LIMIT);
	story_release(&s);
}

/* --- redirects
 * ---------------------------------------------------------------------------------------- */

static bool serve_redirects(struct peer *p)
{
	struct server *other = p->server->data;
	char *away = xasprintf("Location: http://127.0.0.1:%u/end\r\n", other ? other->port : 0);
	bool ok;
	if (peer_asks(p, "GET /same "))
		ok = peer_reply(p, "302 Found", "Location: end?x=1\r\nX-Redirect: 1\r\n",
				"not this");
	else if (peer_asks(p, "GET /away ") || peer_asks(p, "POST /away "))
		ok = peer_reply(p, "307 Temporary Redirect", away, "");
	else if (peer_asks(p, "GET /alias "))
		ok = peer_reply(p, "302 Found", "Location: http://127.0.0.2:1/end\r\n", "");
	else if (peer_asks(p, "POST /see "))
		ok = peer_reply(p, "303 See Other", "Location: /end\r\n", "");
	else if (peer_asks(p, "POST /again "))
		ok = peer_reply(p, "308 Permanent Redirect", "Location: /end\r\n", "");
	else if (peer_asks(p, "GET /loop "))
		ok = peer_reply(p, "301 Moved", "Location: /loop\r\n", "");
	else if (peer_asks(p, "GET /file "))
		ok = peer_reply(p, "302 Found", "Location: file:///etc/passwd\r\n", "");
	else if (peer_asks(p, "GET /nowhere "))
		ok = peer_reply(p, "302 Found", "", "");
	else
		ok = peer_reply(p, "200 OK", "Content-Type: text/end\r\n", "the end");
	free(away);
	return ok;
}

static void start_two(struct fixture *f)
{
	f->other = server_start(serve_redirects, NULL, NULL);
	f->server = server_start(serve_redirects, f->other, NULL);
}

static void test_redirect_not_followed_unless_asked(void **state)
{
	struct fixture *f = *state;
	start_two(f);
	struct story s = ask(f, "/same", (struct http_request){ 0 }, &story_collect);
	assert_int_equal(s.status, 302);
	assert_string_equal(s.location, "end?x=1");
	assert_string_equal(s.body.data, "not this");
	story_release(&s);
}

static void test_redirect_same_origin(void **state)
{
	struct fixture *f = *state;
	start_two(f);
	struct http_request r = { .max_redirects = 3, .bearer = "t" };
	struct story s = ask(f, "/same", r, &story_stream);
	assert_int_equal(s.status, 200);
	assert_int_equal(s.heads, 1);
	assert_string_equal(s.body.data, "the end");
	assert_string_equal(s.content_type, "text/end");
	assert_null(strstr(s.headers.data, "X-Redirect"));
	assert_true(server_heard(f->server, "GET /end?x=1 HTTP/1.1\r\n"));
	assert_non_null(strstr(strstr(f->server->log.data, "/end?x=1"), "Bearer t"));
	story_release(&s);
}

static void test_redirect_drops_credentials(void **state)
{
	struct fixture *f = *state;
	start_two(f);
	const char *const headers[] = { "X-Auth-Token: session", "Cookie: a=b", "Range: bytes=1-",
					NULL };
	struct http_request r = {
		.max_redirects = 3, .username = "u", .password = "p", .headers = headers
	};
	struct story s = ask(f, "/away", r, &story_collect);
	assert_int_equal(s.status, 200);
	assert_true(server_heard(f->server, "X-Auth-Token: session"));
	assert_true(server_heard(f->other, "Range: bytes=1-"));
	assert_false(server_heard(f->other, "X-Auth-Token"));
	assert_false(server_heard(f->other, "Cookie"));
	assert_false(server_heard(f->other, "Authorization"));
	story_release(&s);
}

static void test_redirect_of_post(void **state)
{
	struct fixture *f = *state;
	start_two(f);
	struct http_request r = { .method = "POST",
				  .max_redirects = 3,
				  .body = "data",
				  .body_len = 4,
				  .content_type = "text/plain" };
	struct story s = ask(f, "/see", r, &story_collect);
	assert_int_equal(s.status, 200);
	assert_true(server_heard(f->server, "GET /end HTTP/1.1\r\n"));
	story_release(&s);
	s = ask(f, "/again", r, &story_collect);
	assert_int_equal(s.status, 200);
	assert_true(server_heard(f->server, "POST /end HTTP/1.1\r\n"));
	story_release(&s);
	s = ask(f, "/away", r, &story_collect);
	assert_int_equal(s.err.kind, ERR_DENIED);
	assert_int_equal(f->other->requests, 0);
	story_release(&s);
}

static bool serve_hops(struct peer *p)
{
	struct server *other = p->server->data;
	_cleanup_(freep) char *in = xasprintf("Location: http://127.0.0.1:%u/end\r\n",
					      other ? other->port : 0);
	if (peer_asks(p, "GET http://api.localhost:1/in "))
		return peer_reply(p, "302 Found", in, "");
	if (peer_asks(p, "GET /out "))
		return peer_reply(p, "302 Found", "Location: http://api.localhost:1/far\r\n", "");
	return peer_reply(p, "200 OK", "", "the end");
}

/* From the proxy to a host that is asked without it, and the other way round. */
static void test_redirect_past_the_proxy(void **state)
{
	struct fixture *f = *state;
	f->other = server_start(serve_hops, NULL, NULL);
	f->server = server_start(serve_hops, f->other, NULL);
	_cleanup_(freep) char *proxy = url_of(f->server, "");
	struct http_request r = { .proxy = proxy, .no_proxy = "127.0.0.1", .max_redirects = 1 };
	struct story s = ask_url(f, xstrdup("http://api.localhost:1/in"), r, &story_collect);
	assert_string_equal(s.body.data, "the end");
	assert_true(server_heard(f->other, "GET /end HTTP/1.1\r\n"));
	story_release(&s);
	s = ask_url(f, url_of(f->other, "/out"), r, &story_collect);
	assert_string_equal(s.body.data, "the end");
	assert_true(server_heard(f->server, "GET http://api.localhost:1/far HTTP/1.1\r\n"));
	story_release(&s);
}

static bool serve_zones(struct peer *p)
{
	if (strstr(p->request.data, ":1/here "))
		return peer_reply(p, "302 Found", "Location: http://[fe80::1]:1/end\r\n", "");
	if (strstr(p->request.data, ":1/there "))
		return peer_reply(p, "302 Found", "Location: http://[fe80::1%25two]:1/end\r\n", "");
	return peer_reply(p, "200 OK", "", "the end");
}

/* A machine does not know by which zone it is reached; one in another zone is another. Behind a
 * proxy nothing is connected to there. */
static void test_redirect_to_a_zone(void **state)
{
	static const char *const pages[] = { "here", "there" };
	struct fixture *f = *state;
	f->server = server_start(serve_zones, NULL, NULL);
	_cleanup_(freep) char *proxy = url_of(f->server, "");
	struct http_request r = { .proxy = proxy, .max_redirects = 1, .bearer = "t" };
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
		struct story s = ask_url(f, xasprintf("http://[fe80::1%%25one]:1/%s", pages[i]), r,
					 &story_collect);
		assert_string_equal(s.body.data, "the end");
		story_release(&s);
	}
	const char *first = strstr(f->server->log.data, ":1/end ");
	const char *there = strstr(f->server->log.data, ":1/there ");
	assert_true(first && there && first < there);
	const char *bearer = strstr(first, "Bearer t");
	assert_true(bearer && bearer < there);
	assert_null(strstr(strstr(there, ":1/end "), "Bearer t"));
}

static void test_redirect_refusals(void **state)
{
	struct fixture *f = *state;
	start_two(f);
	static const struct {
		const char *path, *text;
	} rows[] = {
		{ "/loop", "more than 5 redirects" },
		{ "/file", "not an http or https URL" },
		{ "/nowhere", "redirect (302) without a usable Location" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct story s = ask(f, rows[i].path, (struct http_request){ .max_redirects = 5 },
				     &story_collect);
		assert_true(s.failed);
		if (!strstr(s.err.text, rows[i].text))
			fail_msg("\"%s\" is not in \"%s\"", rows[i].text, s.err.text);
		story_release(&s);
	}
}

/* --- which addresses may be connected to
 * --------------------------------------------------------------- */

static void test_policy(void **state)
{
	struct fixture *f = *state;
	start_two(f);
	http_client_free(f->client);
	struct net_policy policy = { 0 };
	assert_int_equal(net_prefixes_parse(&policy.allow, "127.0.0.1", NULL), 0);
	struct http_client_options o = { .policy = &policy };
	assert_int_equal(http_client_new(f->loop, &o, &f->client, NULL), 0);
	struct story s = ask(f, "/end", (struct http_request){ 0 }, &story_collect);
	assert_int_equal(s.status, 200);
	story_release(&s);
	/* The redirect leads where we may not go. */
	s = ask(f, "/alias", (struct http_request){ .max_redirects = 3 }, &story_collect);
	assert_int_equal(s.err.kind, ERR_INVALID);
	assert_non_null(strstr(s.err.text, "connecting to 127.0.0.2 is refused: it is a loopback"));
	story_release(&s);
	/* A name is judged by what it resolves to. */
	int connections = f->server->connections;
	net_policy_done(&policy);
	s = ask_url(f, xasprintf("http://localhost:%u/end", f->server->port),
		    (struct http_request){ 0 }, &story_collect);
	assert_non_null(strstr(s.err.text, "is refused: it is a loopback address"));
	assert_int_equal(f->server->connections, connections);
	story_release(&s);
	f->client = http_client_free(f->client);
	net_policy_done(&policy);
}

/* Yes to so many questions about the host, then no. */
static bool for_a_while(void *data, const char *key)
{
	unsigned *left = data;
	assert_string_equal(key, "metal3/node-1");
	return *left > 0 && (*left)--;
}

/* Asked before a connection, and again when it stands: no request is seen there, or nothing. */
static void test_fence(void **state)
{
	struct fixture *f = *state;
	for (unsigned yes = 0; yes < 2; yes++) {
		unsigned left = yes;
		if (yes == 0)
			start_two(f);
		http_client_free(f->client);
		struct http_client_options o = { .fence = { for_a_while, &left } };
		assert_int_equal(http_client_new(f->loop, &o, &f->client, NULL), 0);
		struct story s = ask(f, "/end",
				     (struct http_request){ .method = "POST",
							    .body = "x",
							    .body_len = 1,
							    .key = "metal3/node-1" },
				     &story_collect);
		assert_int_equal(s.err.kind, ERR_CANCELLED);
		assert_non_null(strstr(s.err.text, "no longer the leader"));
		assert_int_equal(left, 0);
		if (yes == 0)
			assert_int_equal(f->server->connections, 0);
		assert_int_equal(f->server->requests, 0);
		story_release(&s);
	}
}

/* --- cancel, pause, and what users do in callbacks
 * ------------------------------------------------------ */

static int cancel_in_head(void *data, const struct http_response *r)
{
	(void)r;
	struct story *s = data;
	s->heads++;
	s->op = http_cancel(s->op);
	loop_stop(s->f->loop);
	return 0;
}

static int cancel_in_body(void *data, const char *bytes, size_t len)
{
	(void)bytes, (void)len;
	struct story *s = data;
	s->pieces++;
	s->op = http_cancel(s->op);
	loop_stop(s->f->loop);
	return 0;
}

static void cancel_in_done(void *data, const struct err *err, const struct http_response *r,
			   const char *body, size_t len)
{
	struct story *s = data;
	struct http_op *op = s->op;
	story_done(data, err, r, body, len);
	assert_null(http_cancel(op));
}

static void run_out(struct fixture *f)
{
	for (int i = 0; i < 3; i++) {
		loop_post(f->loop, (loop_fn)loop_stop, f->loop);
		loop_run(f->loop);
	}
}

static void test_cancel_in_callbacks(void **state)
{
	struct fixture *f = *state;
	f->server = server_start(serve_streams, NULL, NULL);
	const struct http_handlers variants[] = {
		{ .head = cancel_in_head, .done = story_done },
		{ .body = cancel_in_body, .done = story_done },
		{ .done = cancel_in_done },
	};
	for (size_t i = 0; i < ARRAY_SIZE(variants); i++) {
		struct story s = { 0 };
		char *url = url_of(f->server, "/chunked");
		story_start(&s, f, &(struct http_request){ .url = url }, &variants[i]);
		free(url);
		loop_run(f->loop);
		run_out(f);
		assert_int_equal(s.dones, i == 2 ? 1 : 0);
		assert_true(s.heads <= 1 && s.pieces <= 1);
		story_release(&s);
	}
}

static void test_cancel_outside(void **state)
{
	struct fixture *f = *state;
	f->server = server_start(serve_streams, NULL, NULL);
	struct story s = { 0 };
	char *url = url_of(f->server, "/half");
	story_start(&s, f, &(struct http_request){ .url = url }, &story_stream);
	s.op = http_cancel(s.op); /* at once */
	story_start(&s, f, &(struct http_request){ .url = url }, &story_stream);
	run_out(f);
	s.op = http_cancel(s.op); /* on its way */
	run_out(f);
	assert_int_equal(s.dones, 0);
	assert_null(http_cancel(NULL));
	/* And one that the end of the client takes along. */
	story_start(&s, f, &(struct http_request){ .url = url }, &story_stream);
	free(url);
	story_release(&s);
}

/* The first to get its head cancels the other, and starts a third, all inside curl's callback. */
struct pair {
	struct story a, b, third;
	bool acted;
	char *url;
};

static int cancel_sibling(void *data, const struct http_response *r)
{
	(void)r;
	struct story *s = data;
	struct pair *p = s->f->server->data;
	if (!p->acted) {
		struct story *victim = s == &p->a ? &p->b : &p->a;
		victim->op = http_cancel(victim->op);
		story_start(&p->third, s->f, &(struct http_request){ .url = p->url },
			    &story_stream);
	}
	p->acted = true;
	return 0;
}

static void test_cancel_and_start_from_anothers_callback(void **state)
{
	struct fixture *f = *state;
	struct pair p = { .a.keep_running = true, .b.keep_running = true };
	f->server = server_start(serve_streams, &p, NULL);
	p.url = url_of(f->server, "/chunked");
	const struct http_handlers h = { .head = cancel_sibling, .done = story_done };
	story_start(&p.a, f, &(struct http_request){ .url = p.url }, &h);
	story_start(&p.b, f, &(struct http_request){ .url = p.url }, &h);
	loop_run(f->loop);
	if (p.a.dones + p.b.dones == 0) { /* the survivor may end after the third */
		p.a.keep_running = p.b.keep_running = false;
		loop_run(f->loop);
	}
	assert_int_equal(p.a.dones + p.b.dones, 1);
	assert_int_equal(p.third.dones, 1);
	assert_false(p.third.failed);
	assert_int_equal(p.third.body.len, 250);
	story_release(&p.a);
	story_release(&p.b);
	story_release(&p.third);
	free(p.url);
}

static int give_up(void *data, const char *bytes, size_t len)
{
	(void)data, (void)bytes, (void)len;
	return -5;
}

static void test_reader_gives_up(void **state)
{
	struct fixture *f = *state;
	f->server = server_start(serve_streams, NULL, NULL);
	const struct http_handlers h = { .body = give_up, .done = story_done };
	struct story s = ask(f, "/endless", (struct http_request){ 0 }, &h);
	assert_int_equal(s.err.kind, ERR_CANCELLED);
	assert_int_equal(s.err.code, -5);
	assert_int_equal(s.status, 200);
	story_release(&s);
}

static bool serve_much(struct peer *p)
{
	peer_say(p, "HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n");
	char block[65536];
	memset(block, 'm', sizeof(block));
	for (int i = 0; i < 128; i++)
		if (!peer_write(p, block, sizeof(block)))
			return false;
	return true;
}

struct pauser {
	struct story s;
	struct timer timer;
	bool paused;
	unsigned pauses;
};

static void pause_end(void *data)
{
	struct pauser *p = data;
	p->paused = false;
	http_resume(p->s.op);
	assert_false(p->paused); /* no piece comes inside http_resume() */
}

static int pause_body(void *data, const char *bytes, size_t len)
{
	struct pauser *p = data;
	assert_false(p->paused);
	story_body(data, bytes, len);
	if (p->s.pieces % 100 != 1)
		return 0;
	p->paused = true;
	p->pauses++;
	http_pause(p->s.op);
	timer_set_in(&p->timer, 2 * USEC_PER_MSEC);
	return 0;
}

static void test_pause(void **state)
{
	struct fixture *f = *state;
	f->server = server_start(serve_much, NULL, NULL);
	struct pauser p = { 0 };
	timer_init(&p.timer, f->loop, "pause", pause_end, &p);
	const struct http_handlers h = { .body = pause_body, .done = story_done };
	char *url = url_of(f->server, "/");
	/* Idling counts only while we want bytes. */
	story_start(&p.s, f,
		    &(struct http_request){ .url = url, .idle_timeout = USEC_PER_MSEC * 1000 }, &h);
	loop_run(f->loop);
	assert_false(p.s.failed);
	assert_int_equal(p.s.body.len, 8388608);
	assert_true(p.pauses > 2);
	story_release(&p.s);
	free(url);
}

static void test_cancel_while_paused(void **state)
{
	struct fixture *f = *state;
	f->server = server_start(serve_much, NULL, NULL);
	struct story s = { 0 };
	char *url = url_of(f->server, "/");
	story_start(&s, f, &(struct http_request){ .url = url }, &story_stream);
	http_pause(s.op); /* before there is a connection */
	run_out(f);
	http_resume(s.op);
	s.op = http_cancel(s.op);
	run_out(f);
	assert_int_equal(s.dones, 0);
	story_start(&s, f, &(struct http_request){ .url = url }, &story_stream);
	http_pause(s.op);
	http_resume(s.op);
	loop_run(f->loop);
	assert_int_equal(s.body.len, 8388608);
	story_release(&s);
	free(url);
}

static void count_down(void *data, const struct err *err, const struct http_response *r,
		       const char *body, size_t len)
{
	(void)r, (void)body, (void)len;
	struct story *s = data;
	assert_null(err);
	if (++s->dones == 20)
		loop_stop(s->f->loop);
}

static void test_connections_per_host(void **state)
{
	struct fixture *f = *state;
	f->server = server_start(serve_basic, NULL, NULL);
	struct story s = { .f = f };
	char *url = url_of(f->server, "/hello");
	const struct http_handlers h = { .done = count_down };
	for (int i = 0; i < 20; i++)
		assert_non_null(
			http_start(f->client, &(struct http_request){ .url = url }, &h, &s, NULL));
	loop_run(f->loop);
	assert_true(f->server->connections <= 2);
	assert_int_equal(f->server->requests, 20);
	free(url);
}

/* A kept connection that breaks under the next request: repeated by curl if that is safe. */
static bool serve_once_per_connection(struct peer *p)
{
	return p->turn == 0 && peer_reply(p, "200 OK", "", "ok");
}

static void test_post_is_not_repeated(void **state)
{
	struct fixture *f = *state;
	f->server = server_start(serve_once_per_connection, NULL, NULL);
	struct http_request get = { 0 };
	struct http_request post = { .method = "POST", .body = "act", .body_len = 3 };
	struct story s = ask(f, "/", get, &story_collect);
	story_release(&s);
	s = ask(f, "/", get, &story_collect);
	assert_false(s.failed);
	assert_int_equal(f->server->requests, 3);
	story_release(&s);
	s = ask(f, "/", post, &story_collect);
	assert_true(s.failed);
	assert_int_equal(s.err.kind, ERR_UNREACHABLE);
	assert_int_equal(f->server->requests, 4);
	story_release(&s);
	/* Without a body there is nothing that curl would ask us for: so it gets a fresh
	 * connection. */
	s = ask(f, "/", get, &story_collect);
	story_release(&s);
	post.body_len = 0;
	s = ask(f, "/", post, &story_collect);
	assert_false(s.failed);
	assert_int_equal(f->server->requests, 6);
	story_release(&s);
}

/* What of a method reaches the server when the kept connection dies under it: with a body, and
 * without one. */
static void test_once(void **state)
{
	struct fixture *f = *state;
	f->server = server_start(serve_once_per_connection, NULL, NULL);
	static const char *const methods[] = { "PUT", "PATCH", "DELETE", "GET" };
	for (size_t i = 0; i < ARRAY_SIZE(methods) * 4; i++) {
		struct http_request r = { .method = methods[i / 4],
					  .once = i & 1,
					  .body = i & 2 ? "act" : NULL,
					  .body_len = i & 2 ? 3 : 0 };
		struct story s = ask(f, "/", (struct http_request){ 0 }, &story_collect);
		story_release(&s);
		int before = f->server->requests;
		s = ask(f, "/", r, &story_collect);
		bool fresh = r.once && r.body_len == 0;
		int sent = r.once ? 1 : 2;
		if (s.failed != (r.once && !fresh) || f->server->requests - before != sent)
			fail_msg("%s, body %zu, once %d: sent %d times, %s", r.method, r.body_len,
				 r.once, f->server->requests - before, s.err.text);
		if (s.failed)
			assert_int_equal(s.err.kind, ERR_UNREACHABLE);
		story_release(&s);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_status_body_headers),
		T(test_any_status_is_an_answer),
		T(test_continue_is_not_the_answer),
		T(test_range),
		T(test_head_has_no_body),
		T(test_bodies_are_sent),
		T(test_credentials),
		T(test_userinfo_of_url),
		T(test_malformed_requests),
		T(test_chunked),
		T(test_limits),
		T(test_broken_answers),
		T(test_deadline_and_idle),
		T(test_errors_show_no_secrets),
		T(test_connect_timeout),
		T(test_refused),
		T(test_unknown_name),
		T(test_cancel_while_resolving),
		T(test_environment_proxy_is_ignored),
		T(test_proxy),
		T(test_no_proxy),
		T(test_gzip),
		T(test_redirect_not_followed_unless_asked),
		T(test_redirect_same_origin),
		T(test_redirect_drops_credentials),
		T(test_redirect_of_post),
		T(test_redirect_past_the_proxy),
		T(test_redirect_to_a_zone),
		T(test_redirect_refusals),
		T(test_policy),
		T(test_fence),
		T(test_cancel_in_callbacks),
		T(test_cancel_outside),
		T(test_cancel_and_start_from_anothers_callback),
		T(test_reader_gives_up),
		T(test_pause),
		T(test_cancel_while_paused),
		T(test_connections_per_host),
		T(test_post_is_not_repeated),
		T(test_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
