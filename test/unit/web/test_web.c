/* The web server over plain sockets: requests, guards, files, streams, limits, shutdown. */

#include <netinet/tcp.h>

#include "unit/web/rig.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n"

static void ask_status(const struct rig *rig, const char *request, int status)
{
	_cleanup_(answer_done) struct answer a = ask(rig, request);
	if (a.status != status)
		fail_msg("%.60s: %d, not %d", request, a.status, status);
}

/* --- requests --------------------------------------------------------------------------------- */

static void get(void **state)
{
	_cleanup_(answer_done) struct answer a = ask(
		*state, GET("/a%2Fb//c/../d?p=x%20y+z&q=1%262") "Accept: a/b\r\n\r\n");
	assert_int_equal(a.status, 200);
	assert_string_equal(a.body.data,
			    "GET /a%2Fb//c/../d [p=x%20y+z&q=1%262] p=x y z from=127.0.0.1 "
			    "cert=no accept=a/b len=0\n");
	assert_string_equal(answer_header(&a, "Content-Type"), "text/plain");
	assert_null(answer_header(&a, "Connection"));
	const char *date = answer_header(&a, "Date");
	assert_non_null(date);
	assert_int_equal(strlen(date), strlen("Sun, 06 Nov 1994 08:49:37 GMT"));
}

static void post(void **state)
{
	_cleanup_(answer_done) struct answer a = ask(
		*state, "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
	assert_int_equal(a.status, 200);
	assert_non_null(strstr(a.body.data, "POST /x"));
	assert_non_null(strstr(a.body.data, "len=5\nhello"));
}

static void head(void **state)
{
	_cleanup_(strbuf_done) struct strbuf in = { 0 };
	int fd = dial(*state);
	say(fd, "HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n" GET("/y") "\r\n");
	_cleanup_(answer_done) struct answer a = hear_from(read_socket, &fd, &in, true);
	_cleanup_(answer_done) struct answer b = hear(fd, &in);
	assert_int_equal(a.status, 200);
	assert_string_not_equal(answer_header(&a, "Content-Length"), "0");
	assert_int_equal(b.status, 200);
	assert_non_null(strstr(b.body.data, "GET /y"));
	close(fd);
}

static void one_megabyte_body(void **state)
{
	enum { SIZE = 1 << 20 };
	_cleanup_(freep) char *body = xmalloc(SIZE);
	_cleanup_(strbuf_done) struct strbuf in = { 0 };
	memset(body, 'x', SIZE);
	body[SIZE - 1] = 'y';
	int fd = dial(*state);
	say(fd, "PUT /big HTTP/1.1\r\nHost: h\r\nContent-Length: 1048576\r\n\r\n");
	say_bytes(fd, body, SIZE);
	_cleanup_(answer_done) struct answer a = hear(fd, &in);
	assert_int_equal(a.status, 200);
	const char *echo = strchr(a.body.data, '\n') + 1;
	assert_int_equal(a.body.len - (size_t)(echo - a.body.data), SIZE);
	assert_memory_equal(echo, body, SIZE);
	close(fd);
}

/* A body over the limit is refused while the client still sends it, and the client gets to read
 * why. */
static void over_limit_body(void **state)
{
	struct rig *rig = *state;
	enum { SIZE = 4 << 20 };
	_cleanup_(freep) char *body = xcalloc(1, SIZE);
	_cleanup_(strbuf_done) struct strbuf in = { 0 };
	int fd = dial(rig);
	say(fd, "PUT /small HTTP/1.1\r\nHost: h\r\nContent-Length: 4194304\r\n\r\n");
	say_bytes(fd, body, SIZE);
	_cleanup_(answer_done) struct answer a = hear(fd, &in);
	assert_int_equal(a.status, 413);
	assert_string_equal(answer_header(&a, "Connection"), "close");
	close(fd);
	ask_status(rig, "PUT /small HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n0123456789",
		   200);
	assert_int_equal(rig->handled, 1);
}

static void expect_continue(void **state)
{
	_cleanup_(strbuf_done) struct strbuf in = { 0 };
	int fd = dial(*state);
	say(fd, "POST /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
	_cleanup_(answer_done) struct answer a = hear(fd, &in);
	assert_int_equal(a.status, 100);
	say(fd, "hello");
	_cleanup_(answer_done) struct answer b = hear(fd, &in);
	assert_int_equal(b.status, 200);
	close(fd);
	/* Over the limit: the refusal comes instead. */
	ask_status(
		*state,
		"POST /small HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 50\r\n\r\n",
		413);
}

static void guards(void **state)
{
	struct rig *rig = *state;
	ask_status(rig, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		   411);
	ask_status(
		rig,
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
		"0\r\n\r\n",
		411);
	ask_status(
		rig,
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
		400);
	ask_status(rig, "nonsense\r\n\r\n", 400);
	ask_status(rig, "GET / HTTP/3.0\r\n\r\n", 505);
	assert_int_equal(rig->handled, 0);
}

/* What follows a refused request on its connection is not taken for a request. */
static void smuggled_request_is_not_served(void **state)
{
	struct rig *rig = *state;
	_cleanup_(strbuf_done) struct strbuf in = { 0 };
	int fd = dial(rig);
	say(fd,
	    "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "0\r\n\r\n" GET("/smuggled") "\r\n");
	_cleanup_(answer_done) struct answer a = hear(fd, &in);
	assert_int_equal(a.status, 411);
	expect_end(fd, &in);
	assert_int_equal(in.len, 0);
	assert_int_equal(rig->handled, 0);
	close(fd);
}

static void head_limits(void **state)
{
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	strbuf_adds(&text, GET("/") "X: ");
	while (text.len < HTTP1_HEAD_MAX - 100)
		strbuf_addc(&text, 'a');
	size_t fits = text.len;
	strbuf_adds(&text, "\r\n\r\n");
	ask_status(*state, text.data, 200);
	text.len = fits;
	while (text.len < HTTP1_HEAD_MAX + 100)
		strbuf_addc(&text, 'a');
	ask_status(*state, text.data, 431);
	strbuf_clear(&text);
	strbuf_adds(&text, "GET /");
	while (text.len < HTTP1_HEAD_MAX + 100)
		strbuf_addc(&text, 'a');
	ask_status(*state, text.data, 414);
}

static void pipelined(void **state)
{
	enum { N = 50 };
	_cleanup_(strbuf_done) struct strbuf in = { 0 }, out = { 0 };
	for (int i = 0; i < N; i++)
		strbuf_addf(&out, "POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
			    i);
	int fd = dial(*state);
	say_bytes(fd, out.data, out.len);
	for (int i = 0; i < N; i++) {
		_cleanup_(answer_done) struct answer a = hear(fd, &in);
		_cleanup_(freep) char *want = xasprintf("POST /%d [", i);
		assert_int_equal(a.status, 200);
		assert_true(str_has_prefix(a.body.data, want));
	}
	assert_int_equal(in.len, 0);
	close(fd);
}

/* Byte by byte, so that every cut of a request is seen. */
static void trickled(void **state)
{
	static const char text[] =
		"\r\nPOST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";
	_cleanup_(strbuf_done) struct strbuf in = { 0 };
	const int on = 1;
	int fd = dial(*state);
	setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof(on));
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		say_bytes(fd, text + i, 1);
	_cleanup_(answer_done) struct answer a = hear(fd, &in);
	assert_int_equal(a.status, 200);
	close(fd);
}

static void closes_when_asked(void **state)
{
	static const char *const requests[] = { GET("/") "Connection: close\r\n\r\n",
						"GET / HTTP/1.0\r\n\r\n" };
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		_cleanup_(strbuf_done) struct strbuf in = { 0 };
		int fd = dial(*state);
		say(fd, requests[i]);
		_cleanup_(answer_done) struct answer a = hear(fd, &in);
		assert_int_equal(a.status, 200);
		assert_string_equal(answer_header(&a, "Connection"), "close");
		expect_end(fd, &in);
		assert_int_equal(in.len, 0);
		close(fd);
	}
}

static void statuses_and_headers(void **state)
{
	_cleanup_(answer_done) struct answer a = ask(*state, GET("/status?s=201") "\r\n");
	assert_true(str_has_prefix(a.head, "HTTP/1.1 201 Created\r\n"));
	assert_string_equal(answer_header(&a, "X-One"), "1");
	assert_null(answer_header(&a, "X-Injected"));
	assert_null(answer_header(&a, "X-Bad"));
	_cleanup_(answer_done) struct answer b = ask(*state, GET("/status?s=204") "\r\n");
	assert_int_equal(b.status, 204);
	assert_null(answer_header(&b, "Content-Length"));
}

static void routes(void **state)
{
	struct rig *rig = *state;
	ask_status(rig, GET("/statusx") "\r\n", 200); /* "/" */
	assert_int_equal(rig->handled, 1);
	ask_status(rig, GET("/status/x") "\r\n", 200); /* "/status" */
	assert_int_equal(rig->handled, 1);
	const struct web_route only[] = { { "/v1", rig->loop, handle_echo, rig, 0, 0, NULL },
					  { NULL } };
	struct web_server *s, *first = rig->server;
	struct err err;
	assert_int_equal(web_server_open(rig->web,
					 &(struct web_server_options){ .address = "127.0.0.1",
								       .routes = only },
					 &s, &err),
			 0);
	rig->server = s;
	ask_status(rig, GET("/v1") "\r\n", 200);
	ask_status(rig, GET("/v1/x?y") "\r\n", 200);
	ask_status(rig, GET("/v10") "\r\n", 404);
	ask_status(rig, GET("/") "\r\n", 404);
	rig->server = first;
	web_server_close(s);
}

static void slow_peers(void **state)
{
	struct rig *rig = *state;
	_cleanup_(strbuf_done) struct strbuf in = { 0 };
	web_conn_divide_timeouts(150);
	/* Half a head, half a body: 408. Nothing at all, and idle between requests: just closed. */
	ask_status(rig, "GET / HT", 408);
	ask_status(rig, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab", 408);
	int fd = dial(rig);
	expect_end(fd, &in);
	assert_int_equal(in.len, 0);
	close(fd);
	fd = dial(rig);
	say(fd, GET("/") "\r\n");
	_cleanup_(answer_done) struct answer a = hear(fd, &in);
	assert_int_equal(a.status, 200);
	expect_end(fd, &in);
	assert_int_equal(in.len, 0);
	close(fd);
	web_conn_divide_timeouts(1);
}

/* A window of two segments, one of which is read at a time. */
static int dial_slowly(const struct rig *rig)
{
	const int small = 4096;
	const struct sockaddr_in to = { .sin_family = AF_INET,
					.sin_port = htons(web_server_port(rig->server)),
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct timeval limit = { .tv_sec = WAIT_S };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), segment = 536;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof(segment));
	assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

/* The kernel took all at once, and there is nothing to write for longer than the limit. */
static void slow_reader_is_not_cut(void **state)
{
	struct rig *rig = *state;
	enum { TICKS = 60, TICK_US = 100000, LIMIT_S = 3 };
	char piece[536];
	size_t got = 0;
	web_conn_divide_timeouts(60 / LIMIT_S);
	int fd = dial_slowly(rig);
	say(fd, GET("/file/x") "Range: bytes=0-299999\r\n\r\n");
	for (int i = 0; i < TICKS; i++) {
		ssize_t n = recv(fd, piece, sizeof(piece), 0);
		assert_true(n > 0);
		got += (size_t)n;
		usleep(TICK_US); /* it is slow */
	}
	web_conn_divide_timeouts(1);
	for (ssize_t n; got < 300000 && (n = recv(fd, piece, sizeof(piece), 0)) > 0;)
		got += (size_t)n;
	assert_true(got > 300000);
	close(fd);
}

/* One that stands still is. */
static void standing_reader_is_cut(void **state)
{
	struct rig *rig = *state;
	char byte;
	web_conn_divide_timeouts(150);
	int fd = dial_slowly(rig);
	say(fd, GET("/file/x") "\r\n");
	assert_int_equal(recv(fd, &byte, 1, MSG_PEEK), 1);
	for (int i = 0; rig->web->conns && i < WAIT_S * 100; i++)
		usleep(10000); /* nothing tells a peer that reads nothing */
	assert_int_equal(rig->web->conns, 0);
	web_conn_divide_timeouts(1);
	close(fd);
}

/* --- handlers that take their time ------------------------------------------------------------ */

static void *reply_from_here(void *data)
{
	struct rig *rig = data;
	web_reply(rig->request, &text_ok, "late", 4);
	return NULL;
}

static void reply_from_another_thread(void **state)
{
	struct rig *rig = *state;
	_cleanup_(strbuf_done) struct strbuf in = { 0 };
	pthread_t thread;
	int fd = dial(rig);
	say(fd, GET("/hold") "\r\n" GET("/next") "\r\n");
	rig_wait(&rig->held);
	assert_int_equal(pthread_create(&thread, NULL, reply_from_here, rig), 0);
	_cleanup_(answer_done) struct answer a = hear(fd, &in);
	_cleanup_(answer_done) struct answer b = hear(fd, &in);
	assert_string_equal(a.body.data, "late");
	assert_int_equal(b.status, 200);
	pthread_join(thread, NULL);
	close(fd);
}

static void peer_gone_before_reply(void **state)
{
	struct rig *rig = *state;
	int fd = dial(rig);
	say(fd, GET("/hold") "\r\n");
	rig_wait(&rig->held);
	close(fd);
	ask_status(rig, GET("/") "\r\n", 200); /* the server has been round since */
	ask_status(rig, GET("/") "\r\n", 200);
	assert_string_equal(web_path(rig->request), "/hold");
	web_reply(rig->request, &text_ok, "nobody", 6);
	/* and for a file and a stream */
	for (int i = 0; i < 2; i++) {
		fd = dial(rig);
		say(fd, GET("/hold") "\r\n");
		rig_wait(&rig->held);
		close(fd);
		ask_status(rig, GET("/") "\r\n", 200);
		if (i == 0) {
			web_reply_file(rig->request, &text_ok, dup(rig->file), FILE_SIZE, NULL);
			continue;
		}
		web_stream(rig->request, &text_ok, stream_closed, rig);
		rig_wait(&rig->closed);
	}
}

static void pipelining_while_the_handler_thinks_is_bounded(void **state)
{
	enum { SIZE = 32 << 20 };
	struct rig *rig = *state;
	_cleanup_(strbuf_done) struct strbuf in = { 0 };
	_cleanup_(freep) char *junk = xmalloc(65536);
	memset(junk, 'x', 65536);
	int fd = dial(rig);
	say(fd, GET("/hold") "\r\n");
	rig_wait(&rig->held);
	/* The kernel's buffers fill up; then the server must have stopped reading. */
	size_t sent = 0;
	for (ssize_t n; sent < SIZE; sent += (size_t)n)
		if ((n = send(fd, junk, 65536, MSG_DONTWAIT | MSG_NOSIGNAL)) < 0)
			break;
	assert_true(sent < SIZE);
	web_reply(rig->request, &text_ok, "ok", 2);
	_cleanup_(answer_done) struct answer a = hear(fd, &in);
	assert_int_equal(a.status, 200);
	_cleanup_(answer_done) struct answer b = hear(fd, &in);
	assert_int_equal(b.status, 414);
	close(fd);
}

/* --- files ------------------------------------------------------------------------------------ */

static void check_bytes(const struct answer *a, size_t start, size_t len)
{
	assert_int_equal(a->body.len, len);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)a->body.data[i] != rig_byte(start + i))
			fail_msg("byte %zu is wrong", start + i);
}

static void file_whole(void **state)
{
	_cleanup_(strbuf_done) struct strbuf in = { 0 };
	int fd = dial(*state);
	say(fd, GET("/file/a") "\r\n" GET("/file/b") "\r\n");
	for (int i = 0; i < 2; i++) {
		_cleanup_(answer_done) struct answer a = hear(fd, &in);
		assert_int_equal(a.status, 200);
		assert_string_equal(answer_header(&a, "Accept-Ranges"), "bytes");
		assert_string_equal(answer_header(&a, "ETag"), "\"abc\"");
		assert_string_equal(answer_header(&a, "Content-Type"), "image/raw");
		check_bytes(&a, 0, FILE_SIZE);
	}
	assert_int_equal(in.len, 0);
	close(fd);
	_cleanup_(answer_done) struct answer h = ask(*state, "HEAD /file/a HTTP/1.1\r\nHost: h\r\n"
							     "Range: bytes=0-1\r\n\r\n");
	assert_int_equal(h.status, 200);
	assert_string_equal(answer_header(&h, "Content-Length"), "3145728");
	_cleanup_(answer_done) struct answer e = ask(*state, GET("/file/empty") "\r\n");
	assert_int_equal(e.status, 200);
	assert_int_equal(e.body.len, 0);
}

static void file_ranges(void **state)
{
	_cleanup_(answer_done) struct answer a = ask(
		*state, GET("/file/a") "Range: bytes=1000000-2000000\r\n\r\n");
	assert_int_equal(a.status, 206);
	assert_string_equal(answer_header(&a, "Content-Range"), "bytes 1000000-2000000/3145728");
	check_bytes(&a, 1000000, 1000001);
	_cleanup_(answer_done) struct answer b = ask(*state,
						     GET("/file/a") "Range: bytes=-7\r\n\r\n");
	assert_int_equal(b.status, 206);
	check_bytes(&b, FILE_SIZE - 7, 7);
	_cleanup_(answer_done) struct answer c = ask(
		*state, GET("/file/a") "Range: bytes=3145728-\r\n\r\n");
	assert_int_equal(c.status, 416);
	assert_string_equal(answer_header(&c, "Content-Range"), "bytes */3145728");
	_cleanup_(answer_done) struct answer d = ask(*state,
						     GET("/file/a") "Range: bytes=0-1,5-6\r\n\r\n");
	assert_int_equal(d.status, 200);
	check_bytes(&d, 0, FILE_SIZE);
	_cleanup_(answer_done) struct answer e = ask(
		*state, GET("/file/a") "Range: bytes=0-1\r\nIf-Range: \"abc\"\r\n\r\n");
	assert_int_equal(e.status, 206);
	_cleanup_(answer_done) struct answer f = ask(
		*state, GET("/file/a") "Range: bytes=0-1\r\nIf-Range: \"old\"\r\n\r\n");
	assert_int_equal(f.status, 200);
	check_bytes(&f, 0, FILE_SIZE);
}

/* The head promised more than the file holds: the connection must end, not hang or go on. */
static void file_cut_short(void **state)
{
	_cleanup_(answer_done) struct answer a = ask(*state, GET("/file/lying") "\r\n");
	assert_int_equal(a.status, 200);
	check_bytes(&a, 0, FILE_SIZE);
}

/* --- streams ---------------------------------------------------------------------------------- */

static void stream_to_its_end(void **state)
{
	struct rig *rig = *state;
	_cleanup_(strbuf_done) struct strbuf in = { 0 };
	int fd = dial(rig);
	say(fd, GET("/stream/three") "\r\n" GET("/after") "\r\n");
	_cleanup_(answer_done) struct answer a = hear(fd, &in);
	assert_string_equal(answer_header(&a, "Transfer-Encoding"), "chunked");
	assert_string_equal(a.body.data, "one\ntwo\nthree\n");
	rig_wait(&rig->closed);
	_cleanup_(answer_done) struct answer b = hear(fd, &in);
	assert_non_null(strstr(b.body.data, "/after"));
	assert_int_equal(rig->closed_count, 1);
	close(fd);
}

static void stream_for_http10_and_head(void **state)
{
	struct rig *rig = *state;
	_cleanup_(strbuf_done) struct strbuf in = { 0 };
	int fd = dial(rig);
	say(fd, "GET /stream/three HTTP/1.0\r\n\r\n");
	_cleanup_(answer_done) struct answer a = hear(fd, &in);
	assert_int_equal(a.status, 200);
	assert_null(answer_header(&a, "Transfer-Encoding"));
	expect_end(fd, &in);
	assert_string_equal(in.data, "one\ntwo\nthree\n");
	close(fd);
	rig_wait(&rig->closed);
	ask_status(rig, "HEAD /stream/three HTTP/1.1\r\nHost: h\r\n\r\n", 200);
	rig_wait(&rig->closed);
	assert_int_equal(rig->closed_count, 2);
}

/* An idle watch whose peer hangs up must be noticed without anything being sent. */
static void stream_peer_gone(void **state)
{
	struct rig *rig = *state;
	_cleanup_(strbuf_done) struct strbuf in = { 0 };
	int fd = dial(rig);
	say(fd, GET("/stream") "\r\n");
	rig_wait(&rig->held);
	_cleanup_(answer_done) struct answer a = hear_from(read_socket, &fd, &in, true);
	assert_int_equal(a.status, 200);
	close(fd);
	rig_wait(&rig->closed);
	assert_int_equal(rig->closed_count, 1);
}

static void stream_slow_reader(void **state)
{
	struct rig *rig = *state;
	_cleanup_(strbuf_done) struct strbuf in = { 0 };
	int fd = dial(rig);
	say(fd, GET("/stream/flood") "\r\n");
	rig_wait(&rig->held);
	rig_wait(&rig->closed);
	assert_true(rig->overflowed);
	assert_int_equal(rig->closed_count, 1);
	expect_end(fd, &in); /* cut: no last chunk */
	assert_false(in.len >= 5 && memcmp(in.data + in.len - 5, "0\r\n\r\n", 5) == 0);
	close(fd);
	ask_status(rig, GET("/") "\r\n", 200);
}

/* More than the queue may hold, to a reader that begins late. */
static void stream_paced_by_its_reader(void **state)
{
	struct rig *rig = *state;
	_cleanup_(strbuf_done) struct strbuf in = { 0 };
	int fd = dial(rig);
	say(fd, GET("/stream/paced") "\r\n");
	rig_wait(&rig->held);
	_cleanup_(answer_done) struct answer a = hear(fd, &in);
	assert_int_equal(a.body.len, 64 << 20);
	assert_false(rig->overflowed);
	rig_wait(&rig->closed);
	close(fd);
}

/* --- many, and the end ------------------------------------------------------------------------ */

static void many_connections(void **state)
{
	enum { N = 200 };
	int fds[N];
	for (int i = 0; i < N; i++)
		fds[i] = dial(*state);
	for (int i = 0; i < N; i++)
		say(fds[i], GET("/a") "\r\n" GET("/file/x") "Range: bytes=0-99999\r\n\r\n");
	for (int i = N - 1; i >= 0; i--) {
		_cleanup_(strbuf_done) struct strbuf in = { 0 };
		_cleanup_(answer_done) struct answer a = hear(fds[i], &in);
		_cleanup_(answer_done) struct answer b = hear(fds[i], &in);
		assert_int_equal(a.status, 200);
		assert_int_equal(b.status, 206);
		check_bytes(&b, 0, 100000);
		close(fds[i]);
	}
}

/* At the limit the longest idle connection makes room; busy ones stay. */
static void connection_limit(void **state)
{
	struct rig *rig = *state;
	_cleanup_(strbuf_done) struct strbuf in = { 0 };
	struct web_server *first = rig->server;
	rig->server = rig_open(rig, NULL, NULL, NULL, 2);
	int busy = dial(rig);
	say(busy, GET("/hold") "\r\n");
	rig_wait(&rig->held);
	int idle = dial(rig);
	say(idle, GET("/") "\r\n");
	_cleanup_(answer_done) struct answer a = hear(idle, &in);
	assert_int_equal(a.status, 200);
	ask_status(rig, GET("/") "\r\n", 200);
	expect_end(idle, &in);
	web_reply(rig->request, &text_ok, "ok", 2);
	_cleanup_(answer_done) struct answer b = hear(busy, &in);
	assert_int_equal(b.status, 200);
	close(busy);
	close(idle);
	web_server_close(rig->server);
	rig->server = first;
}

/* Many peers with bodies just below their limit must not take all memory. */
static void bodies_share_a_limit(void **state)
{
	static const char request[] =
		"POST /hold HTTP/1.1\r\nHost: h\r\nContent-Length: 60\r\n\r\n"
		"012345678901234567890123456789012345678901234567890123456789";
	struct rig *rig = *state;
	_cleanup_(strbuf_done) struct strbuf in = { 0 };
	rig->web->pools[POOL_HELD].max = 100;
	int fd = dial(rig);
	say(fd, request);
	rig_wait(&rig->held);
	ask_status(rig, request, 503);
	web_reply(rig->request, &text_ok, "ok", 2);
	_cleanup_(answer_done) struct answer a = hear(fd, &in);
	assert_int_equal(a.status, 200);
	say(fd, request);
	rig_wait(&rig->held);
	web_reply(rig->request, &text_ok, "ok", 2);
	_cleanup_(answer_done) struct answer b = hear(fd, &in);
	assert_int_equal(b.status, 200);
	close(fd);
}

static void open_errors(void **state)
{
	struct rig *rig = *state;
	struct err err;
	struct web_server *s = NULL;
	const struct web_route one[] = { { "/", rig->loop, handle_echo, rig, 0, 0, NULL },
					 { NULL } };
	struct web_server_options o = { .name = "api",
					.address = "127.0.0.1",
					.port = web_server_port(rig->server),
					.routes = one };
	assert_true(web_server_open(rig->web, &o, &s, &err) < 0);
	assert_non_null(strstr(err.text, "cannot listen on 127.0.0.1 port"));
	assert_non_null(strstr(err.text, "in use"));
	o.port = 0;
	o.address = "localhost";
	assert_true(web_server_open(rig->web, &o, &s, &err) < 0);
	o.address = NULL;
	o.cert = "nonsense";
	assert_true(web_server_open(rig->web, &o, &s, &err) < 0);
	o.key = "nonsense";
	assert_true(web_server_open(rig->web, &o, &s, &err) < 0);
	assert_non_null(strstr(err.text, "certificate"));
	assert_null(s);
}

/* A port that is taken and not listened on refuses; opened, it serves. */
static void bound_first(void **state)
{
	struct rig *rig = *state;
	struct err err = { 0 };
	const struct web_route one[] = { { "/", rig->loop, handle_echo, rig, 0, 0, NULL },
					 { NULL } };
	struct web_server_options o = { .address = "127.0.0.1", .routes = one };
	struct sockaddr_in at = { 0 };
	socklen_t len = sizeof(at);
	o.bound = web_bind(&o, &err);
	assert_true(o.bound > 0);
	assert_int_equal(getsockname(o.bound, (struct sockaddr *)&at, &len), 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), -1);
	assert_int_equal(errno, ECONNREFUSED);
	close(fd);
	struct web_server *first = rig->server;
	assert_int_equal(web_server_open(rig->web, &o, &rig->server, &err), 0);
	assert_int_equal(web_server_port(rig->server), ntohs(at.sin_port));
	ask_status(rig, GET("/x") "\r\n", 200);
	/* What another one serves cannot be bound. */
	struct web_server_options again = { .address = "127.0.0.1", .port = ntohs(at.sin_port) };
	assert_true(web_bind(&again, &err) < 0);
	assert_non_null(strstr(err.text, "in use"));
	web_server_close(rig->server);
	rig->server = first;
}

static void close_with_open_streams(void **state)
{
	enum { N = 5 };
	struct rig *rig = *state;
	int fds[N];
	for (int i = 0; i < N; i++) {
		fds[i] = dial(rig);
		say(fds[i], GET("/stream") "\r\n");
		rig_wait(&rig->held);
	}
	int held = dial(rig);
	say(held, GET("/hold") "\r\n");
	rig_wait(&rig->held);
	struct web_request *request = rig->request;
	rig->server = web_server_close(rig->server);
	for (int i = 0; i < N; i++) {
		rig_wait(&rig->closed);
		_cleanup_(strbuf_done) struct strbuf in = { 0 };
		expect_end(fds[i], &in);
		close(fds[i]);
	}
	/* The thread may end before the last handler has answered. */
	rig->web = web_free(rig->web);
	web_reply(request, &text_ok, "x", 1);
	close(held);
}

static void web_ends_before_its_server(void **state)
{
	struct rig *rig = *state;
	int fd = dial(rig);
	say(fd, GET("/stream") "\r\n");
	rig_wait(&rig->held);
	rig->web = web_free(rig->web);
	rig_wait(&rig->closed);
	assert_int_equal(rig->closed_count, 1);
	close(fd);
}

static void two_at_once(void **state)
{
	struct rig *rig = *state;
	struct web *bulk;
	struct err err;
	assert_int_equal(web_new(&bulk, &err), 0);
	struct web *first = rig->web;
	struct web_server *server = rig->server;
	rig->web = bulk;
	rig->server = rig_open(rig, NULL, NULL, NULL, 0);
	ask_status(rig, GET("/file/x") "\r\n", 200);
	web_server_close(rig->server);
	rig->web = first;
	rig->server = server;
	web_free(bulk);
	ask_status(rig, GET("/file/x") "\r\n", 200);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, rig_setup, rig_teardown)

/* --- Unix sockets ----------------------------------------------------------------------------- */

static struct web_server *open_at(struct rig *rig, const char *path, struct err *err)
{
	const struct web_route routes[] = { { "/", rig->loop, handle_echo, rig, BODY_MAX, 0, NULL },
					    { .prefix = NULL } };
	struct web_server *s = NULL;
	web_server_open(rig->web, &(struct web_server_options){ .socket = path, .routes = routes },
			&s, err);
	return s;
}

static void unix_socket(void **state)
{
	struct rig *rig = *state;
	char dir[] = "/tmp/ingot-web-XXXXXX";
	struct err err = { 0 };
	struct stat st;
	assert_non_null(mkdtemp(dir));
	_cleanup_(freep) char *path = xasprintf("%s/s", dir);
	struct web_server *s = open_at(rig, path, &err);
	assert_non_null(s);
	assert_int_equal(web_server_port(s), 0);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0600); /* whatever the umask is */

	struct sockaddr_un to = { .sun_family = AF_UNIX };
	memcpy(to.sun_path, path, strlen(path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	say(fd, "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	_cleanup_(strbuf_done) struct strbuf in = { 0 };
	while (fill(read_socket, &fd, &in))
		;
	assert_non_null(strstr(in.data, "HTTP/1.1 200 "));
	assert_non_null(strstr(in.data, "GET /x [] p=- from=local "));
	close(fd);

	/* One that is served stays; one that was left behind does not hinder; no other file goes.
	 */
	assert_null(open_at(rig, path, &err));
	assert_non_null(strstr(err.text, path));
	web_server_close(s);
	assert_int_equal(lstat(path, &st), -1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	close(fd);
	s = open_at(rig, path, &err);
	assert_non_null(s);
	web_server_close(s);
	fd = open(path, O_CREAT | O_CLOEXEC | O_WRONLY, 0600);
	close(fd);
	assert_null(open_at(rig, path, &err));
	assert_int_equal(unlink(path), 0);
	_cleanup_(freep) char *longer = xasprintf("%s/%0120d", dir, 1);
	assert_null(open_at(rig, longer, &err));
	assert_int_equal(err.kind, ERR_INVALID);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(get),
		TEST(post),
		TEST(head),
		TEST(one_megabyte_body),
		TEST(over_limit_body),
		TEST(expect_continue),
		TEST(guards),
		TEST(smuggled_request_is_not_served),
		TEST(head_limits),
		TEST(pipelined),
		TEST(trickled),
		TEST(closes_when_asked),
		TEST(statuses_and_headers),
		TEST(routes),
		TEST(slow_peers),
		TEST(reply_from_another_thread),
		TEST(peer_gone_before_reply),
		TEST(pipelining_while_the_handler_thinks_is_bounded),
		TEST(file_whole),
		TEST(file_ranges),
		TEST(file_cut_short),
		TEST(stream_to_its_end),
		TEST(stream_for_http10_and_head),
		TEST(stream_peer_gone),
		TEST(stream_slow_reader),
		TEST(slow_reader_is_not_cut),
		TEST(standing_reader_is_cut),
		TEST(stream_paced_by_its_reader),
		TEST(many_connections),
		TEST(connection_limit),
		TEST(bodies_share_a_limit),
		TEST(open_errors),
		TEST(bound_first),
		TEST(close_with_open_streams),
		TEST(web_ends_before_its_server),
		TEST(two_at_once),
		TEST(unix_socket),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
