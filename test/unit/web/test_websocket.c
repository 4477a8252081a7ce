/* WebSockets over real connections: the handshake and each limit by a client that speaks bytes, and
 * conversations with clients of others (python3-websockets; node-ws, which has the interface
 * of browsers), plain and over TLS. */

#include "web/websocket.h"

#include <endian.h>
#include <sys/wait.h>

#include "unit/web/tls_client.h"

#define KEY    "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" /* of that key: RFC 6455, 1.3 */
#define HELLO                                                                                        \
	"GET /ws HTTP/1.1\r\nHost: h:1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n" \
	"Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n"

enum { MESSAGE_MAX = 70000, WAITING_MAX = 200000, RATE = 50, BIG = 64 << 20 };

enum op { OP_MORE = 0, OP_TEXT = 1, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };

/* --- the handler ------------------------------------------------------------------------------ */

struct talk {
	struct rig *rig;
	struct web_request *request;
	size_t left; /* of a stream */
};

static void stream_on(void *data)
{
	static char block[50000];
	struct talk *t = data;
	while (t->left && !web_stream_wait(t->request, WAITING_MAX / 2, stream_on)) {
		size_t n = MIN(t->left, sizeof(block));
		if (!web_socket_send(t->request, block, n, false))
			atomic_store(&t->rig->overflowed, true);
		t->left -= n;
	}
	if (!t->left)
		web_socket_end(t->request, WEB_SOCKET_NORMAL);
}

static void flood(struct talk *t)
{
	static char block[50000];
	while (web_socket_send(t->request, block, sizeof(block), false))
		;
	atomic_store(&t->rig->overflowed, true);
}

/* Echo, and some words that are orders. */
static void on_message(void *data, const void *bytes, size_t len, bool text)
{
	struct talk *t = data;
	_cleanup_(freep) char *word = xstrndup(bytes, MIN(len, (size_t)20));
	atomic_fetch_add(&t->rig->handled, 1);
	if (streq(word, "go away")) {
		web_socket_end(t->request, WEB_SOCKET_GOING_AWAY);
	} else if (streq(word, "flood")) {
		flood(t);
	} else if (streq(word, "stream")) {
		t->left = BIG;
		stream_on(t);
	} else if (streq(word, "wait")) {
		t->rig->request = t->request;
		sem_post(&t->rig->held);
		rig_wait(&t->rig->closed);
	} else if (len < MESSAGE_MAX || text) {
		web_socket_send(t->request, bytes, len, text);
	}
}

static void on_closed(void *data)
{
	struct talk *t = data;
	atomic_fetch_add(&t->rig->closed_count, 1);
	sem_post(&t->rig->closed);
	free(t);
}

static bool friends(void *data, const struct web_request *r, const char *origin)
{
	(void)data, (void)r;
	return streq(origin, "https://friend.example");
}

static void handle(void *data, struct web_request *r)
{
	static const char *const protocols[] = { "v2.ingot", "v1.ingot", NULL };
	struct talk *t = xcalloc(1, sizeof(*t));
	const struct web_socket_options options = {
		.protocols = protocols,
		.origin_allowed = streq(web_query(r), "friends") ? friends : NULL,
		.message_max = MESSAGE_MAX,
		.waiting_max = WAITING_MAX,
		.rate = RATE,
		.message = on_message,
		.closed = on_closed,
		.data = t,
	};
	*t = (struct talk){ data, r, 0 };
	if (!web_socket(r, &options))
		free(t);
}

static int open_with(void **state, const struct crypt_pair *cert)
{
	struct rig *rig = rig_new();
	struct err err = { 0 };
	const struct web_route routes[] = {
		{ .prefix = "/ws",
		  .loop = rig->loop,
		  .handler = handle,
		  .data = rig,
		  .max_body_bytes = 10 },
		{ .prefix = NULL },
	};
	const struct web_server_options options = { .name = "sockets",
						    .address = "127.0.0.1",
						    .cert = cert ? cert->cert : NULL,
						    .key = cert ? cert->key : NULL,
						    .routes = routes };
	if (web_server_open(rig->web, &options, &rig->server, &err) < 0)
		fail_msg("%s", err.text);
	*state = rig;
	return 0;
}

static int setup(void **state)
{
	return open_with(state, NULL);
}

static int setup_tls(void **state)
{
	return open_with(state, &pki.server);
}

/* --- a client that speaks bytes --------------------------------------------------------------- */

struct peer {
	int fd;
	struct strbuf in;
};

static void hang_up(struct peer *p)
{
	close(p->fd);
	strbuf_done(&p->in);
}

static struct peer meet(const struct rig *rig)
{
	struct peer p = { .fd = dial(rig) };
	say(p.fd, HELLO "\r\n");
	_cleanup_(answer_done) struct answer a = hear_from(read_socket, &p.fd, &p.in, true);
	assert_int_equal(a.status, 101);
	assert_string_equal(answer_header(&a, "Sec-WebSocket-Accept"), ACCEPT);
	return p;
}

/* Masked. `head`: FIN and the other bits with the opcode. */
static void add_frame(struct strbuf *out, unsigned head, const void *bytes, size_t len)
{
	static const unsigned char mask[4] = { 0x12, 0x34, 0x56, 0x78 };
	strbuf_addc(out, (char)head);
	if (len < 126) {
		strbuf_addc(out, (char)(0x80 | len));
	} else if (len < 65536) {
		const uint16_t n = htobe16((uint16_t)len);
		strbuf_addc(out, (char)(0x80 | 126));
		strbuf_add(out, &n, sizeof(n));
	} else {
		const uint64_t n = htobe64(len);
		strbuf_addc(out, (char)(0x80 | 127));
		strbuf_add(out, &n, sizeof(n));
	}
	strbuf_add(out, mask, sizeof(mask));
	for (size_t i = 0; i < len; i++)
		strbuf_addc(out, (char)(((const char *)bytes)[i] ^ mask[i % 4]));
}

static void send_frame(const struct peer *p, unsigned head, const void *bytes, size_t len)
{
	_cleanup_(strbuf_done) struct strbuf out = { 0 };
	add_frame(&out, head, bytes, len);
	say_bytes(p->fd, out.data, out.len);
}

static void send_text(const struct peer *p, const char *text)
{
	send_frame(p, 0x80 | OP_TEXT, text, strlen(text));
}

/* Payload of the next frame, NUL-ended; NULL: the connection ended first. */
static char *next_frame(struct peer *p, unsigned *ret_head, size_t *ret_len)
{
	size_t need = 2, len = 0;
	for (;;) {
		const unsigned char *b = (const unsigned char *)p->in.data;
		if (p->in.len >= 2) {
			assert_false(b[1] & 0x80);
			need = b[1] == 126 ? 4 : b[1] == 127 ? 10 : 2;
			len = b[1];
		}
		if (p->in.len >= need && need > 2) {
			len = 0;
			for (size_t i = 2; i < need; i++)
				len = len << 8 | b[i];
		}
		if (p->in.len >= need && p->in.len - need >= len)
			break;
		if (!fill(read_socket, &p->fd, &p->in))
			return NULL;
	}
	*ret_head = (unsigned char)p->in.data[0];
	*ret_len = len;
	char *payload = xmalloc(len + 1);
	memcpy(payload, p->in.data + need, len);
	payload[len] = '\0';
	strbuf_consume(&p->in, need + len);
	return payload;
}

static void expect_frame(struct peer *p, unsigned op, const char *text)
{
	unsigned head = 0;
	size_t len = 0;
	_cleanup_(freep) char *payload = next_frame(p, &head, &len);
	assert_non_null(payload);
	assert_int_equal(head, 0x80 | op);
	assert_int_equal(len, strlen(text));
	assert_memory_equal(payload, text, len);
}

/* Then the end of the connection; frames before it are left out. 0: without a closing frame. */
static unsigned closing_code(struct peer *p)
{
	unsigned code = 0, head = 0;
	size_t len = 0;
	for (char *payload; (payload = next_frame(p, &head, &len)); free(payload)) {
		if (head != (0x80 | OP_CLOSE))
			continue;
		code = len < 2 ? 1005 : (unsigned char)payload[0] << 8 | (unsigned char)payload[1];
		send_frame(p, 0x80 | OP_CLOSE, payload, MIN(len, (size_t)2));
	}
	return code;
}

/* The handler hears of the end, once. */
static void expect_closed(struct rig *rig, int count)
{
	rig_wait(&rig->closed);
	assert_int_equal(atomic_load(&rig->closed_count), count);
}

/* --- handshakes ------------------------------------------------------------------------------- */

static void test_handshakes(void **state)
{
#define NO_KEY                                                                                     \
	"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"             \
	"Sec-WebSocket-Version: 13\r\n"
	static const struct {
		const char *request;
		int status;
	} rows[] = {
		{ HELLO, 101 },
		{ "GET /ws HTTP/1.1\r\nHost: h\r\n", 426 },
		{ "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
		  "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n",
		  426 },
		{ "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
		  "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 8\r\n",
		  426 },
		{ "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: close\r\nUpgrade: websocket\r\n"
		  "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n",
		  400 },
		{ "POST /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
		  "Content-Length: 0\r\n"
		  "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n",
		  400 },
		{ NO_KEY, 400 },
		{ NO_KEY "Sec-WebSocket-Key: short\r\n", 400 },
		{ NO_KEY "Sec-WebSocket-Key: ########################\r\n", 400 },
		{ HELLO "Origin: https://h:1\r\n", 101 },
		{ HELLO "Origin: https://H:1\r\n", 101 },
		{ HELLO "Origin: https://h\r\n", 403 },
		{ HELLO "Origin: https://h:1.evil.example\r\n", 403 },
		{ HELLO "Origin: null\r\n", 403 },
		{ HELLO "Origin: https://friend.example\r\n", 403 },
	};
	struct rig *rig = *state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(freep) char *request = xasprintf("%s\r\n", rows[i].request);
		_cleanup_(hang_up) struct peer p = { .fd = dial(rig) };
		say(p.fd, request);
		_cleanup_(answer_done) struct answer a = hear_from(read_socket, &p.fd, &p.in,
								   rows[i].status == 101);
		if (a.status != rows[i].status)
			fail_msg("%s: %d", request, a.status);
		if (a.status == 426)
			assert_string_equal(answer_header(&a, "Sec-WebSocket-Version"), "13");
	}
}

static void test_origin_hook(void **state)
{
	static const struct {
		const char *origin;
		int status;
	} rows[] = { { "https://friend.example", 101 }, { "https://h:1", 403 } };
	struct rig *rig = *state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(freep) char *request = xasprintf(
			"GET /ws?friends HTTP/1.1\r\nHost: h:1\r\nConnection: upgrade\r\n"
			"Upgrade: WebSocket\r\nSec-WebSocket-Key: " KEY "\r\n"
			"Sec-WebSocket-Version: 13\r\nOrigin: %s\r\n\r\n",
			rows[i].origin);
		_cleanup_(hang_up) struct peer p = { .fd = dial(rig) };
		say(p.fd, request);
		_cleanup_(answer_done) struct answer a = hear_from(read_socket, &p.fd, &p.in, true);
		assert_int_equal(a.status, rows[i].status);
	}
}

static void test_protocols(void **state)
{
	static const struct {
		const char *offered, *chosen;
	} rows[] = {
		{ "v1.ingot, v2.ingot", "v1.ingot" },
		{ "x,v2.ingot", "v2.ingot" },
		{ "v3.ingot", NULL },
		{ "V1.ingot", NULL },
		{ "v1.ingot.x", NULL },
	};
	struct rig *rig = *state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(freep) char *request = xasprintf(
			HELLO "Sec-WebSocket-Protocol: %s\r\n\r\n", rows[i].offered);
		_cleanup_(hang_up) struct peer p = { .fd = dial(rig) };
		say(p.fd, request);
		_cleanup_(answer_done) struct answer a = hear_from(read_socket, &p.fd, &p.in, true);
		assert_int_equal(a.status, 101);
		const char *chosen = answer_header(&a, "sec-websocket-protocol");
		if (!streq(chosen, rows[i].chosen))
			fail_msg("%s: %s", rows[i].offered, str_or(chosen, "none"));
	}
}

/* --- messages --------------------------------------------------------------------------------- */

static void test_messages(void **state)
{
	struct rig *rig = *state;
	_cleanup_(hang_up) struct peer p = { .fd = dial(rig) };
	_cleanup_(strbuf_done) struct strbuf first = { 0 };
	_cleanup_(freep) char *large = xmalloc(MESSAGE_MAX + 1);
	memset(large, 'x', MESSAGE_MAX);
	large[MESSAGE_MAX] = '\0';
	/* The first message in one segment with the head. */
	strbuf_adds(&first, HELLO "\r\n");
	add_frame(&first, 0x80 | OP_TEXT, "early", 5);
	say_bytes(p.fd, first.data, first.len);
	_cleanup_(answer_done) struct answer a = hear_from(read_socket, &p.fd, &p.in, true);
	assert_int_equal(a.status, 101);
	expect_frame(&p, OP_TEXT, "early");
	send_frame(&p, OP_TEXT, "one ", 4); /* in fragments, with a ping between them */
	send_frame(&p, 0x80 | OP_PING, "hi", 2);
	send_frame(&p, 0x80 | OP_MORE, "message", 7);
	expect_frame(&p, OP_PONG, "hi");
	expect_frame(&p, OP_TEXT, "one message");
	send_frame(&p, 0x80 | OP_BINARY, "\xff\xfe", 2);
	expect_frame(&p, OP_BINARY, "\xff\xfe");
	send_text(&p, "");
	expect_frame(&p, OP_TEXT, "");
	send_text(&p, large);
	expect_frame(&p, OP_TEXT, large);
	send_frame(&p, 0x80 | OP_CLOSE, "\x03\xe8", 2);
	assert_int_equal(closing_code(&p), 1000);
	expect_closed(rig, 1);
}

static void test_end_by_handler(void **state)
{
	struct rig *rig = *state;
	_cleanup_(hang_up) struct peer p = meet(rig);
	send_text(&p, "a");
	send_text(&p, "go away");
	expect_frame(&p, OP_TEXT, "a");
	assert_int_equal(closing_code(&p), 1001);
	expect_closed(rig, 1);
}

static void test_peer_hangs_up(void **state)
{
	struct rig *rig = *state;
	struct peer p = meet(rig);
	send_text(&p, "a");
	expect_frame(&p, OP_TEXT, "a");
	hang_up(&p);
	expect_closed(rig, 1);
}

static void test_server_closes(void **state)
{
	struct rig *rig = *state;
	_cleanup_(hang_up) struct peer p = meet(rig), q = meet(rig);
	rig->server = web_server_close(rig->server);
	expect_end(p.fd, &p.in);
	expect_end(q.fd, &q.in);
	rig_wait(&rig->closed);
	rig_wait(&rig->closed);
	assert_int_equal(atomic_load(&rig->closed_count), 2);
}

/* --- limits ----------------------------------------------------------------------------------- */

static void test_broken_rules(void **state)
{
	static const struct {
		const char *what;
		unsigned head;
		const char *payload;
		unsigned code; /* 0: any, or none */
	} rows[] = {
		{ "UTF-8", 0x80 | OP_TEXT, "\xc3\x28", 1007 },
		{ "half of a character", 0x80 | OP_TEXT, "\xe2\x82", 1007 },
		{ "reserved opcode", 0x80 | 3, "x", 0 },
		{ "reserved bit", 0xc0 | OP_TEXT, "x", 0 },
		{ "continuation of nothing", 0x80 | OP_MORE, "x", 1002 },
		{ "ping in fragments", OP_PING, "x", 0 },
	};
	struct rig *rig = *state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(hang_up) struct peer p = meet(rig);
		send_frame(&p, rows[i].head, rows[i].payload, strlen(rows[i].payload));
		unsigned code = closing_code(&p);
		if (rows[i].code && code != rows[i].code)
			fail_msg("%s: %u", rows[i].what, code);
		expect_closed(rig, (int)i + 1);
	}
	assert_int_equal(atomic_load(&rig->handled), 0);
}

static void test_message_too_large(void **state)
{
	struct rig *rig = *state;
	_cleanup_(freep) char *large = xcalloc(1, MESSAGE_MAX + 1);
	_cleanup_(hang_up) struct peer p = meet(rig), q = meet(rig);
	send_frame(&p, 0x80 | OP_BINARY, large, MESSAGE_MAX + 1);
	assert_int_equal(closing_code(&p), 1009);
	/* In fragments, of which no single one is too large. */
	send_frame(&q, OP_BINARY, large, MESSAGE_MAX);
	send_frame(&q, 0x80 | OP_MORE, large, 1);
	assert_int_equal(closing_code(&q), 1009);
	assert_int_equal(atomic_load(&rig->handled), 0);
}

static void test_too_many_messages(void **state)
{
	struct rig *rig = *state;
	_cleanup_(hang_up) struct peer p = meet(rig);
	_cleanup_(strbuf_done) struct strbuf out = { 0 };
	for (unsigned i = 0; i < 100 * RATE; i++)
		add_frame(&out, 0x80 | OP_TEXT, "x", 1);
	say_bytes(p.fd, out.data, out.len);
	assert_int_equal(closing_code(&p), 1008);
	expect_closed(rig, 1);
	int handled = atomic_load(&rig->handled);
	assert_in_range(handled, RATE, 100 * RATE - 1);
}

/* Who reads nothing is cut before more than that waits for him; another goes on. */
static void test_peer_reads_nothing(void **state)
{
	struct rig *rig = *state;
	_cleanup_(hang_up) struct peer p = meet(rig), q = meet(rig);
	send_text(&p, "flood");
	expect_closed(rig, 1);
	assert_true(atomic_load(&rig->overflowed));
	send_text(&q, "still here");
	expect_frame(&q, OP_TEXT, "still here");
}

static void test_flow_control(void **state)
{
	struct rig *rig = *state;
	_cleanup_(hang_up) struct peer p = meet(rig);
	size_t got = 0, len = 0;
	unsigned head = 0;
	send_text(&p, "stream");
	while (got < BIG) {
		_cleanup_(freep) char *payload = next_frame(&p, &head, &len);
		assert_non_null(payload);
		assert_int_equal(head, 0x80 | OP_BINARY);
		got += len;
	}
	assert_int_equal(got, BIG);
	assert_int_equal(closing_code(&p), 1000);
	assert_false(atomic_load(&rig->overflowed));
}

/* A loop that is busy holds the peer up; nothing piles up for it, and nothing is lost. */
static void test_busy_loop(void **state)
{
	enum { COUNT = RATE - 5 };
	struct rig *rig = *state;
	_cleanup_(hang_up) struct peer p = meet(rig);
	_cleanup_(freep) char *large = xcalloc(1, MESSAGE_MAX);
	send_text(&p, "wait");
	rig_wait(&rig->held);
	pid_t child = fork();
	if (child == 0) { /* it cannot all be sent before some is taken */
		for (unsigned i = 0; i < COUNT; i++)
			send_frame(&p, 0x80 | OP_BINARY, large, MESSAGE_MAX);
		send_text(&p, "the last");
		_exit(0);
	}
	const struct web_request *r = rig->request; /* lives as long as its handler waits */
	for (time_t begin = time(NULL); !atomic_load(&r->holding); sched_yield())
		if (time(NULL) > begin + WAIT_S)
			fail_msg("the peer is not held up");
	assert_in_range(atomic_load(&r->unread), WAITING_MAX, WAITING_MAX + 2 * MESSAGE_MAX);
	sem_post(&rig->closed); /* the loop goes on */
	expect_frame(&p, OP_TEXT, "the last");
	waitpid(child, NULL, 0);
	assert_int_equal(atomic_load(&rig->handled), COUNT + 2);
}

/* Pings go out; one who answers stays, one who does not is given up. */
static void test_pings(void **state)
{
	struct rig *rig = *state;
	web_conn_divide_timeouts(150);
	_cleanup_(hang_up) struct peer dead = meet(rig), living = meet(rig);
	web_conn_divide_timeouts(1);
	unsigned head = 0, pings = 0;
	size_t len = 0;
	while (pings < 4) {
		_cleanup_(freep) char *payload = next_frame(&living, &head, &len);
		assert_non_null(payload);
		assert_int_equal(head, 0x80 | OP_PING);
		send_frame(&living, 0x80 | OP_PONG, payload, len);
		pings++;
	}
	expect_end(dead.fd, &dead.in);
	expect_closed(rig, 1);
	send_text(&living, "still here");
	do {
		_cleanup_(freep) char *payload = next_frame(&living, &head, &len);
		assert_non_null(payload);
	} while (head != (0x80 | OP_TEXT));
}

/* --- clients of others ------------------------------------------------------------------------ */

static void converse(struct rig *rig, const char *program, const char *has, const char *scheme)
{
	char ca[] = "/tmp/test_websocket.XXXXXX";
	_cleanup_(freep) char *look = xasprintf("%s >/dev/null 2>&1", has);
	if (system(look) != 0) { // NOLINT: a fixed command
		print_message("skipped: %s fails\n", has);
		skip();
	}
	int fd = mkstemp(ca);
	say_bytes(fd, "", 0);
	assert_true(write(fd, pki.ca.cert, strlen(pki.ca.cert)) > 0);
	close(fd);
	_cleanup_(freep) char *command = xasprintf(
		"NODE_EXTRA_CA_CERTS=%s SSL_CERT_FILE=%s timeout 60 %s %s://localhost:%u/ws", ca,
		ca, program, scheme, web_server_port(rig->server));
	int status = system(command); // NOLINT: a fixed command
	unlink(ca);
	assert_int_equal(status, 0);
	rig_wait(&rig->closed);
}

#define PYTHON "/usr/bin/python3 test/unit/web/websocket_client.py"
#define NODE   "env NODE_PATH=/usr/share/nodejs node test/unit/web/websocket_client.js"

static void test_python(void **state)
{
	converse(*state, PYTHON, "/usr/bin/python3 -c 'import websockets'", "ws");
}

static void test_python_tls(void **state)
{
	converse(*state, PYTHON, "/usr/bin/python3 -c 'import websockets'", "wss");
}

#define HAS_NODE "env NODE_PATH=/usr/share/nodejs node -e 'require(\"ws\")'"

static void test_browser_interface(void **state)
{
	converse(*state, NODE, HAS_NODE, "ws");
}

static void test_browser_interface_tls(void **state)
{
	converse(*state, NODE, HAS_NODE, "wss");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_handshakes),
		TEST(test_origin_hook),
		TEST(test_protocols),
		TEST(test_messages),
		TEST(test_end_by_handler),
		TEST(test_peer_hangs_up),
		TEST(test_server_closes),
		TEST(test_broken_rules),
		TEST(test_message_too_large),
		TEST(test_too_many_messages),
		TEST(test_peer_reads_nothing),
		TEST(test_flow_control),
		TEST(test_busy_loop),
		TEST(test_pings),
		TEST(test_python),
		cmocka_unit_test_setup_teardown(test_python_tls, setup_tls, rig_teardown),
		TEST(test_browser_interface),
		cmocka_unit_test_setup_teardown(test_browser_interface_tls, setup_tls,
						rig_teardown),
	};
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, make_pki, drop_pki);
}
