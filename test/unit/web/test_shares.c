/* Shares of connections and memory: an address that takes all it can get against another one that
 * wants a little. Addresses are those of the loopback network. */

#include <poll.h>

#include "unit/web/rig.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"

enum { CONNS = 32, FLOOD = 60 };

static int dial_from(const struct rig *rig, const char *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct timeval limit = { .tv_sec = WAIT_S };
	struct sockaddr_in from = { .sin_family = AF_INET };
	const struct sockaddr_in to = { .sin_family = AF_INET,
					.sin_port = htons(web_server_port(rig->server)),
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	inet_pton(AF_INET, address, &from.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	assert_int_equal(bind(fd, (const struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static int ask_on(int fd, const char *request)
{
	_cleanup_(strbuf_done) struct strbuf in = { 0 };
	say(fd, request);
	_cleanup_(answer_done) struct answer a = hear(fd, &in);
	return a.status;
}

static int ask_from(const struct rig *rig, const char *address, const char *request)
{
	int fd = dial_from(rig, address);
	int status = ask_on(fd, request);
	close(fd);
	return status;
}

/* As many connections as one likes, each of which says the same. */
static void flood(const struct rig *rig, const char *address, const char *text, int fds[FLOOD])
{
	for (int i = 0; i < FLOOD; i++) {
		fds[i] = dial_from(rig, address);
		say(fds[i], text);
	}
}

static void hang_up(int *fds, int count)
{
	for (int i = 0; i < count; i++)
		close(fds[i]);
}

static int setup(void **state)
{
	struct rig *rig = rig_new();
	rig->server = rig_open(rig, NULL, NULL, NULL, CONNS);
	*state = rig;
	return 0;
}

/* Whatever state the greedy one's connections are in. */
static void one_address_shuts_nobody_out(void **state)
{
	static const char *const words[] = {
		"",
		"GET / HT",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nx",
		GET("/"),
		GET("/stream"),
	};
	struct rig *rig = *state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		int fds[FLOOD];
		flood(rig, "127.0.0.2", words[i], fds);
		int held[3];
		for (size_t n = 0; n < ARRAY_SIZE(held); n++) {
			held[n] = dial_from(rig, "127.0.0.1");
			assert_int_equal(ask_on(held[n], GET("/")), 200);
		}
		/* They stay when the other goes on. */
		int more[FLOOD];
		flood(rig, "127.0.0.2", words[i], more);
		for (size_t n = 0; n < ARRAY_SIZE(held); n++)
			assert_int_equal(ask_on(held[n], GET("/")), 200);
		hang_up(fds, FLOOD);
		hang_up(more, FLOOD);
		hang_up(held, ARRAY_SIZE(held));
	}
}

/* Full, although each of the others keeps to its share: the greediest makes room. */
static void largest_makes_room(void **state)
{
	static const char half[] = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nx";
	struct rig *rig = *state;
	int fds[FLOOD], others[9];
	flood(rig, "127.0.0.2", half, fds);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		_cleanup_(freep) char *address = xasprintf("127.0.0.%zu", 3 + i / 3);
		others[i] = dial_from(rig, address);
		say(others[i], half);
	}
	assert_int_equal(ask_from(rig, "127.0.0.1", GET("/")), 200);
	hang_up(fds, FLOOD);
	hang_up(others, ARRAY_SIZE(others));
}

/* Many behind one address get through one after the other: the silent make room. */
static void silent_make_room_for_their_own(void **state)
{
	struct rig *rig = *state;
	int fds[FLOOD];
	flood(rig, "127.0.0.2", "", fds);
	assert_int_equal(ask_from(rig, "127.0.0.2", GET("/")), 200);
	hang_up(fds, FLOOD);
}

static void shares_bind_nobody_while_there_is_room(void **state)
{
	struct rig *rig = *state;
	int fds[CONNS / 2];
	for (int i = 0; i < CONNS / 2; i++) {
		fds[i] = dial_from(rig, "127.0.0.2");
		assert_int_equal(ask_on(fds[i], GET("/")), 200);
	}
	for (int i = 0; i < CONNS / 2; i++)
		assert_int_equal(ask_on(fds[i], GET("/")), 200);
	hang_up(fds, CONNS / 2);
}

static struct strbuf big_post(size_t announced, size_t sent)
{
	struct strbuf text = { 0 };
	strbuf_addf(&text, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", announced);
	for (size_t i = 0; i < sent; i++)
		strbuf_addc(&text, 'x');
	return text;
}

static void unfinished_bodies(void **state)
{
	struct rig *rig = *state;
	_cleanup_(strbuf_done) struct strbuf half = big_post(400 << 10, 300 << 10);
	_cleanup_(strbuf_done) struct strbuf whole = big_post(500 << 10, 500 << 10);
	_cleanup_(strbuf_done) struct strbuf in = { 0 };
	rig->web->pools[POOL_HELD].max = 1 << 20;
	int first = dial_from(rig, "127.0.0.2"), second = dial_from(rig, "127.0.0.2");
	int third = dial_from(rig, "127.0.0.2");
	say_bytes(first, half.data, half.len);
	say_bytes(second, half.data, half.len);
	say_bytes(third, half.data, half.len);
	/* Over its share where three quarters are in use: whichever of them came last. */
	struct pollfd fds[] = { { first, POLLIN, 0 }, { second, POLLIN, 0 }, { third, POLLIN, 0 } };
	assert_int_equal(poll(fds, 3, WAIT_S * 1000), 1);
	int refused = fds[0].revents ? first : fds[1].revents ? second : third;
	_cleanup_(answer_done) struct answer a = hear(refused, &in);
	assert_int_equal(a.status, 503);
	assert_string_equal(answer_header(&a, "Retry-After"), "1");
	/* The other address needs more than there is: one of the two makes room. */
	int friend = dial_from(rig, "127.0.0.1");
	say_bytes(friend, whole.data, whole.len);
	_cleanup_(answer_done) struct answer b = hear(friend, &in);
	assert_int_equal(b.status, 200);
	hang_up((int[]){ first, second, third, friend }, 4);
}

enum { BIG = 12 << 20 };

static void handle_big(void *data, struct web_request *r)
{
	static char body[BIG];
	(void)data;
	web_reply(r, &text_ok, body, sizeof(body));
}

static void handle_big_stream(void *data, struct web_request *r)
{
	static char body[BIG];
	struct rig *rig = data;
	web_stream(r, &text_ok, stream_closed, data);
	web_stream_send(r, body, sizeof(body));
	sem_post(&rig->held);
}

static int setup_big(void **state)
{
	struct rig *rig = rig_new();
	struct err err;
	const struct web_route routes[] = {
		{ "/", rig->loop, handle_big, rig, 0, 0, NULL },
		{ "/stream", rig->loop, handle_big_stream, rig, 0, 2 * BIG, NULL },
		{ .prefix = NULL },
	};
	const struct web_server_options o = { .address = "127.0.0.1", .routes = routes };
	if (web_server_open(rig->web, &o, &rig->server, &err) < 0)
		fail_msg("%s", err.text);
	*state = rig;
	return 0;
}

/* Of what is sent to it the kernel keeps 4 MiB at most. */
static int dial_without_reading(const struct rig *rig, const char *request)
{
	int fd = dial_from(rig, "127.0.0.2"), small = 4096;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	say(fd, request);
	return fd;
}

static void unread_answers(void **state)
{
	struct rig *rig = *state;
	rig->web->pools[POOL_QUEUED].max = BIG + BIG / 4;
	int fds[8] = { dial_without_reading(rig, GET("/stream")) };
	rig_wait(&rig->held);
	for (size_t i = 1; i < ARRAY_SIZE(fds); i++)
		fds[i] = dial_without_reading(rig, GET("/"));
	/* Over its share: the first alone is served, the others are refused or cut. */
	for (size_t i = 1; i < ARRAY_SIZE(fds); i++) {
		_cleanup_(strbuf_done) struct strbuf in = { 0 };
		_cleanup_(answer_done) struct answer a = hear(fds[i], &in);
		assert_int_equal(a.status, 503);
	}
	/* One that has nothing yet gets all, and the greedy one makes room. */
	assert_int_equal(ask_from(rig, "127.0.0.1", GET("/")), 200);
	rig_wait(&rig->closed);
	hang_up(fds, ARRAY_SIZE(fds));
}

/* --- who is known ----------------------------------------------------------------------------- */

static void handle_known(void *data, struct web_request *r)
{
	const char *who = web_header(r, "x-who");
	(void)data;
	web_known_as(r, who);
	web_reply(r, &text_ok, "ok", 2);
}

static void ask_who(void *data, struct web_request *r)
{
	const char *who = web_header(r, "x-who");
	(void)data;
	if (who)
		web_take_body(r, who);
	else
		web_reply(r, &(struct web_reply_head){ .status = 401 }, "no", 2);
}

static int setup_known(void **state)
{
	struct rig *rig = rig_new();
	struct err err;
	const struct web_route routes[] = { { .prefix = "/",
					      .loop = rig->loop,
					      .handler = handle_known,
					      .data = rig,
					      .max_body_bytes = BODY_MAX,
					      .before_body = ask_who },
					    { .prefix = NULL } };
	const struct web_server_options o = {
		.address = "127.0.0.1", .routes = routes, .chunked = true, .max_connections = CONNS
	};
	if (web_server_open(rig->web, &o, &rig->server, &err) < 0)
		fail_msg("%s", err.text);
	*state = rig;
	return 0;
}

#define AS(name) "GET / HTTP/1.1\r\nHost: h\r\nX-Who: " name "\r\n\r\n"

static void known_are_counted_apart(void **state)
{
	struct rig *rig = *state;
	int known[6], fds[FLOOD];
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		known[i] = dial_from(rig, "127.0.0.2");
		assert_int_equal(ask_on(known[i], AS("alice")), 200);
	}
	for (int i = 0; i < FLOOD; i++) {
		fds[i] = dial_from(rig, "127.0.0.2");
		assert_int_equal(ask_on(fds[i], GET("/")), 200);
	}
	assert_int_equal(ask_from(rig, "127.0.0.1", AS("bob")), 200);
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		assert_int_equal(ask_on(known[i], AS("alice")), 200);
	hang_up(fds, FLOOD);
	hang_up(known, ARRAY_SIZE(known));
}

/* Its body is not waited for, and not read. */
static void strangers_send_no_large_body(void **state)
{
	static const char *const heads[] = {
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nthe first bytes of it",
		"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n",
	};
	struct rig *rig = *state;
	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		_cleanup_(strbuf_done) struct strbuf in = { 0 };
		int fd = dial_from(rig, "127.0.0.2");
		say(fd, heads[i]);
		_cleanup_(answer_done) struct answer a = hear(fd, &in);
		assert_int_equal(a.status, 401);
		assert_string_equal(answer_header(&a, "Connection"), "close");
		expect_end(fd, &in);
		close(fd);
	}
}

static void known_send_large_bodies(void **state)
{
	struct rig *rig = *state;
	_cleanup_(strbuf_done) struct strbuf in = { 0 }, body = { 0 };
	int fd = dial_from(rig, "127.0.0.2");
	for (size_t i = 0; i < 1000000; i++)
		strbuf_addc(&body, 'x');
	say(fd, "POST / HTTP/1.1\r\nHost: h\r\nX-Who: alice\r\nExpect: 100-continue\r\n"
		"Content-Length: 1000000\r\n\r\n");
	_cleanup_(answer_done) struct answer a = hear(fd, &in);
	assert_int_equal(a.status, 100);
	say_bytes(fd, body.data, body.len);
	_cleanup_(answer_done) struct answer b = hear(fd, &in);
	assert_int_equal(b.status, 200);
	/* Sent without waiting, and in chunks. */
	say(fd, "POST / HTTP/1.1\r\nHost: h\r\nX-Who: alice\r\nContent-Length: 1000000\r\n\r\n");
	say_bytes(fd, body.data, body.len);
	_cleanup_(answer_done) struct answer c = hear(fd, &in);
	assert_int_equal(c.status, 200);
	say(fd, "POST / HTTP/1.1\r\nHost: h\r\nX-Who: alice\r\nTransfer-Encoding: chunked\r\n\r\n"
		"4\r\nbody\r\n0\r\n\r\n");
	_cleanup_(answer_done) struct answer d = hear(fd, &in);
	assert_int_equal(d.status, 200);
	close(fd);
}

/* All that was held is given back. */
static void nothing_stays_counted(void **state)
{
	struct rig *rig = *state;
	int fds[FLOOD];
	flood(rig, "127.0.0.2", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nx", fds);
	assert_int_equal(ask_from(rig, "127.0.0.1", GET("/")), 200);
	hang_up(fds, FLOOD);
	rig->server = web_server_close(rig->server);
	assert_int_equal(rig->web->conns, 0);
	assert_int_equal(rig->web->pools[POOL_HELD].used, 0);
	assert_int_equal(rig->web->pools[POOL_QUEUED].used, 0);
}

#define TEST(fn)       cmocka_unit_test_setup_teardown(fn, setup, rig_teardown)
#define TEST_KNOWN(fn) cmocka_unit_test_setup_teardown(fn, setup_known, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_address_shuts_nobody_out),
		TEST(largest_makes_room),
		TEST(silent_make_room_for_their_own),
		TEST(shares_bind_nobody_while_there_is_room),
		TEST(unfinished_bodies),
		cmocka_unit_test_setup_teardown(unread_answers, setup_big, rig_teardown),
		TEST_KNOWN(known_are_counted_apart),
		TEST_KNOWN(strangers_send_no_large_body),
		TEST_KNOWN(known_send_large_bodies),
		TEST(nothing_stays_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
