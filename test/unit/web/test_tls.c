/* The web server over TLS: certificates of clients, files, streams, ALPN, two listeners. */

#include "unit/web/tls_client.h"

#include "base/log.h"
#include "web/internal.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n"

static int setup(void **state)
{
	struct rig *rig = rig_new();
	rig->server = rig_open(rig, pki.server.cert, pki.server.key, pki.ca.cert, 0);
	*state = rig;
	return 0;
}

static char *echo_as(const struct rig *rig, const struct crypt_pair *pair)
{
	_cleanup_(tls_hang_up) struct client c = tls_dial(web_server_port(rig->server), "localhost",
							  pair, NULL);
	_cleanup_(answer_done) struct answer a = tls_ask(&c, GET("/x") "\r\n");
	assert_int_equal(a.status, 200);
	return strbuf_take(&a.body, NULL);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void client_certificates(void **state)
{
	static const struct {
		const struct crypt_pair *pair;
		const char *seen;
	} rows[] = {
		{ NULL, "cert=no" },	      { &pki.client, "cert=yes" },
		{ &pki.stranger, "cert=no" },				       /* another CA */
		{ &pki.expired, "cert=no" },  { &pki.stranger_ca, "cert=no" }, /* self-signed */
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(freep) char *body = echo_as(*state, rows[i].pair);
		if (!strstr(body, rows[i].seen))
			fail_msg("%zu: %s", i, body);
	}
}

static void handle_subject(void *data, struct web_request *r)
{
	_cleanup_(freep) char *name = NULL, *groups = NULL;
	struct err err;
	(void)data;
	const char *pem = web_peer_certificate(r);
	assert_non_null(pem);
	assert_int_equal(crypt_cert_subject(pem, &name, &groups, &err), 0);
	web_reply(r, &text_ok, name, strlen(name));
}

static void certificate_reaches_the_handler(void **state)
{
	struct rig *rig = *state;
	struct err err;
	const struct web_route who[] = { { "/", rig->loop, handle_subject, NULL, 0, 0, NULL },
					 { NULL } };
	const struct web_server_options o = { .address = "127.0.0.1",
					      .cert = pki.second.cert,
					      .key = pki.second.key,
					      .client_ca = pki.ca.cert,
					      .routes = who };
	struct web_server *s;
	assert_int_equal(web_server_open(rig->web, &o, &s, &err), 0);
	/* The other listener's name in SNI must not bring the other listener's certificate. */
	_cleanup_(tls_hang_up) struct client c = tls_dial(web_server_port(s), "second", &pki.client,
							  NULL);
	_cleanup_(answer_done) struct answer a = tls_ask(&c, GET("/") "\r\n");
	assert_string_equal(a.body.data, "alice");
	_cleanup_(answer_done) struct answer b = tls_ask(&c, GET("/") "\r\n");
	assert_string_equal(b.body.data, "alice");
	web_server_close(s);
}

/* A resumed session is still the same client, and a stranger stays one. */
static void resumption(void **state)
{
	struct rig *rig = *state;
	const struct crypt_pair *const pairs[] = { &pki.client, &pki.stranger };
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		uint16_t port = web_server_port(rig->server);
		_cleanup_(tls_hang_up) struct client c = tls_dial(port, "localhost", pairs[i],
								  NULL);
		_cleanup_(answer_done) struct answer a = tls_ask(&c, GET("/") "\r\n");
		SSL_SESSION *session = SSL_get1_session(c.ssl);
		_cleanup_(tls_hang_up) struct client d = tls_dial(port, "localhost", pairs[i],
								  session);
		_cleanup_(answer_done) struct answer b = tls_ask(&d, GET("/") "\r\n");
		assert_true(SSL_session_reused(d.ssl));
		assert_non_null(strstr(b.body.data, i == 0 ? "cert=yes" : "cert=no"));
		SSL_SESSION_free(session);
	}
}

static void only_http11(void **state)
{
	struct rig *rig = *state;
	const unsigned char *chosen;
	unsigned len;
	_cleanup_(tls_hang_up) struct client c = tls_dial(web_server_port(rig->server), "localhost",
							  NULL, NULL);
	SSL_get0_alpn_selected(c.ssl, &chosen, &len);
	assert_int_equal(len, 8);
	assert_memory_equal(chosen, "http/1.1", 8);
	assert_true(SSL_version(c.ssl) >= TLS1_2_VERSION);
}

/* Does a client that speaks nothing newer come through? */
static bool shakes_hands(uint16_t port, int newest)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_max_proto_version(ctx, newest);
	SSL *ssl = SSL_new(ctx);
	int fd = dial_port(port);
	SSL_set_fd(ssl, fd);
	bool done = SSL_connect(ssl) == 1;
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	ERR_clear_error();
	close(fd);
	return done;
}

static void oldest_version(void **state)
{
	static const struct {
		enum web_tls oldest;
		bool takes_1_2;
	} rows[] = { { WEB_TLS_1_2, true }, { WEB_TLS_1_3, false } };
	struct rig *rig = *state;
	struct web_server *s;
	struct err err = { 0 };
	const struct web_route routes[] = { { "/", rig->loop, handle_echo, rig, 0, 0, NULL },
					    { NULL } };
	struct web_server_options o = { .address = "127.0.0.1",
					.cert = pki.server.cert,
					.key = pki.server.key,
					.routes = routes };
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		o.tls_min = rows[i].oldest;
		assert_int_equal(web_server_open(rig->web, &o, &s, &err), 0);
		assert_false(shakes_hands(web_server_port(s), TLS1_1_VERSION));
		assert_int_equal(shakes_hands(web_server_port(s), TLS1_2_VERSION),
				 rows[i].takes_1_2);
		assert_true(shakes_hands(web_server_port(s), TLS1_3_VERSION));
		web_server_close(s);
	}
}

static void chain(void **state)
{
	struct rig *rig = *state;
	struct web_server *first = rig->server;
	rig->server = rig_open(rig, pki.chain, pki.behind.key, NULL, 0);
	_cleanup_(tls_hang_up) struct client c = tls_dial(web_server_port(rig->server), "behind",
							  &pki.client, NULL);
	_cleanup_(answer_done) struct answer a = tls_ask(&c, GET("/") "\r\n");
	assert_non_null(strstr(a.body.data, "cert=no")); /* not asked for */
	web_server_close(rig->server);
	rig->server = first;
}

static void file(void **state)
{
	struct rig *rig = *state;
	_cleanup_(tls_hang_up) struct client c = tls_dial(web_server_port(rig->server), "localhost",
							  NULL, NULL);
	_cleanup_(answer_done) struct answer a = tls_ask(&c, GET("/file/a") "\r\n");
	assert_int_equal(a.body.len, FILE_SIZE);
	for (size_t i = 0; i < FILE_SIZE; i++)
		if ((unsigned char)a.body.data[i] != rig_byte(i))
			fail_msg("byte %zu is wrong", i);
	_cleanup_(answer_done) struct answer b = tls_ask(
		&c, GET("/file/a") "Range: bytes=100000-299999\r\n\r\n");
	assert_int_equal(b.status, 206);
	assert_int_equal(b.body.len, 200000);
	for (size_t i = 0; i < b.body.len; i++)
		if ((unsigned char)b.body.data[i] != rig_byte(100000 + i))
			fail_msg("byte %zu is wrong", i);
}

static void big_body(void **state)
{
	enum { SIZE = 1 << 20 };
	struct rig *rig = *state;
	_cleanup_(strbuf_done) struct strbuf out = { 0 };
	strbuf_addf(&out, "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", SIZE);
	while (out.len < SIZE)
		strbuf_adds(&out, "0123456789abcdef");
	size_t head = (size_t)(strstr(out.data, "\r\n\r\n") - out.data) + 4;
	while (out.len < SIZE + head)
		strbuf_addc(&out, 'z');
	out.len = SIZE + head;
	_cleanup_(tls_hang_up) struct client c = tls_dial(web_server_port(rig->server), "localhost",
							  NULL, NULL);
	assert_int_equal(SSL_write(c.ssl, out.data, (int)out.len), out.len);
	_cleanup_(answer_done) struct answer a = hear_from(read_tls, &c, &c.in, false);
	const char *echo = strchr(a.body.data, '\n') + 1;
	assert_memory_equal(echo, out.data + head, SIZE);
}

static void stream(void **state)
{
	struct rig *rig = *state;
	_cleanup_(tls_hang_up) struct client c = tls_dial(web_server_port(rig->server), "localhost",
							  NULL, NULL);
	_cleanup_(answer_done) struct answer a = tls_ask(&c, GET("/stream/three") "\r\n");
	assert_string_equal(a.body.data, "one\ntwo\nthree\n");
	rig_wait(&rig->closed);
	_cleanup_(answer_done) struct answer b = tls_ask(&c, GET("/x") "\r\n");
	assert_int_equal(b.status, 200);
}

static void stream_peer_gone(void **state)
{
	struct rig *rig = *state;
	struct client c = tls_dial(web_server_port(rig->server), "localhost", NULL, NULL);
	static const char request[] = GET("/stream") "\r\n";
	SSL_write(c.ssl, request, sizeof(request) - 1);
	_cleanup_(answer_done) struct answer a = hear_from(read_tls, &c, &c.in, true);
	assert_int_equal(a.status, 200);
	tls_hang_up(&c);
	rig_wait(&rig->closed);
	assert_int_equal(rig->closed_count, 1);
}

static void stream_slow_reader(void **state)
{
	struct rig *rig = *state;
	_cleanup_(tls_hang_up) struct client c = tls_dial(web_server_port(rig->server), "localhost",
							  NULL, NULL);
	static const char request[] = GET("/stream/flood") "\r\n";
	SSL_write(c.ssl, request, sizeof(request) - 1);
	rig_wait(&rig->held);
	rig_wait(&rig->closed);
	assert_true(rig->overflowed);
}

/* The end is said in TLS too, so that a client need not take it for an attack. */
static void close_notify(void **state)
{
	struct rig *rig = *state;
	_cleanup_(tls_hang_up) struct client c = tls_dial(web_server_port(rig->server), "localhost",
							  NULL, NULL);
	_cleanup_(answer_done) struct answer a = tls_ask(&c, GET("/") "Connection: close\r\n\r\n");
	assert_int_equal(a.status, 200);
	char byte;
	assert_int_equal(read_tls(&c, &byte, 1), 0);
}

/* Plain HTTP, rubbish and silence on the TLS port harm nobody else. */
static void strangers_to_tls(void **state)
{
	struct rig *rig = *state;
	_cleanup_(strbuf_done) struct strbuf in = { 0 };
	int silent = dial(rig), plain = dial(rig), gone = dial(rig);
	close(gone);
	say(plain, GET("/") "\r\n");
	expect_end(plain, &in);
	free(echo_as(rig, &pki.client));
	close(plain);
	close(silent);
}

static void many(void **state)
{
	enum { N = 50 };
	struct rig *rig = *state;
	struct client c[N];
	static const char request[] = GET("/a") "\r\n" GET(
		"/file/x") "Range: bytes=0-99999\r\n\r\n";
	for (int i = 0; i < N; i++) {
		c[i] = tls_dial(web_server_port(rig->server), "localhost", &pki.client, NULL);
		SSL_write(c[i].ssl, request, sizeof(request) - 1);
	}
	for (int i = 0; i < N; i++) {
		_cleanup_(answer_done) struct answer a = hear_from(read_tls, &c[i], &c[i].in,
								   false);
		_cleanup_(answer_done) struct answer b = hear_from(read_tls, &c[i], &c[i].in,
								   false);
		assert_non_null(strstr(a.body.data, "cert=yes"));
		assert_int_equal(b.body.len, 100000);
		tls_hang_up(&c[i]);
	}
}

/* New handshakes see the new certificate, chain and type of key included; a connection that stands
 * goes on; a pair that does not fit changes nothing. */
static void another_certificate(void **state)
{
	struct rig *rig = *state;
	uint16_t port = web_server_port(rig->server);
	struct err err = { 0 };
	_cleanup_(tls_hang_up) struct client old = tls_dial(port, "localhost", NULL, NULL);
	_cleanup_(answer_done) struct answer a = tls_ask(&old, GET("/") "\r\n");
	assert_int_equal(web_server_set_certificate(rig->server, pki.chain, pki.behind.key, &err),
			 0);
	_cleanup_(tls_hang_up) struct client fresh = tls_dial(port, "behind", NULL, NULL);
	_cleanup_(answer_done) struct answer b = tls_ask(&fresh, GET("/") "\r\n");
	_cleanup_(answer_done) struct answer c = tls_ask(&old, GET("/") "\r\n");
	assert_int_equal(b.status, 200);
	assert_int_equal(c.status, 200);
	assert_true(web_server_set_certificate(rig->server, pki.second.cert, pki.server.key, &err) <
		    0);
	assert_non_null(strstr(err.text, "private key"));
	assert_true(web_server_set_certificate(rig->server, "no PEM", pki.server.key, &err) < 0);
	_cleanup_(tls_hang_up) struct client still = tls_dial(port, "behind", NULL, NULL);
	assert_int_equal(
		web_server_set_certificate(rig->server, pki.second.cert, pki.second.key, &err), 0);
	_cleanup_(tls_hang_up) struct client last = tls_dial(port, "second", NULL, NULL);
}

static void no_certificate_without_tls(void **state)
{
	struct rig *rig = *state;
	struct web_server *plain = rig_open(rig, NULL, NULL, NULL, 0);
	struct err err;
	assert_true(web_server_set_certificate(plain, pki.server.cert, pki.server.key, &err) < 0);
	web_server_close(plain);
}

/* --- handshakes that fail --- */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t came;
	unsigned lines;
	char last[512];
} logged = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, "" };

/* On the service thread. */
static void keep_line(void *data, enum log_level level, const char *line)
{
	(void)data;
	if (level != LOG_WARN)
		return;
	pthread_mutex_lock(&logged.lock);
	logged.lines++;
	snprintf(logged.last, sizeof(logged.last), "%s", line);
	pthread_cond_signal(&logged.came);
	pthread_mutex_unlock(&logged.lock);
}

static void await_line(const char *text)
{
	pthread_mutex_lock(&logged.lock);
	while (logged.lines == 0)
		pthread_cond_wait(&logged.came, &logged.lock);
	if (logged.lines != 1 || !strstr(logged.last, text) || !strstr(logged.last, "127.0.0.1"))
		fail_msg("%u: %s", logged.lines, logged.last);
	pthread_mutex_unlock(&logged.lock);
}

/* A client that trusts another CA, as an agent does that has none of ours. */
static void be_refused(uint16_t port, int newest)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	X509 *ca = parse_cert(pki.stranger_ca.cert);
	X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), ca);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_max_proto_version(ctx, newest);
	SSL *ssl = SSL_new(ctx);
	int fd = dial_port(port);
	SSL_set_fd(ssl, fd);
	assert_int_not_equal(SSL_connect(ssl), 1);
	X509_free(ca);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	close(fd);
	ERR_clear_error();
}

static void refused_certificate_is_logged(void **state)
{
	struct rig *rig = *state;
	static const int versions[] = { TLS1_3_VERSION, TLS1_2_VERSION };
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		struct web_server *s = rig_open(rig, pki.server.cert, pki.server.key, NULL, 0);
		logged.lines = 0;
		log_set_sink(keep_line, NULL);
		be_refused(web_server_port(s), versions[i]);
		await_line("does not trust this server's certificate");
		/* Once for an address: what follows is the same machine, trying again. */
		be_refused(web_server_port(s), versions[i]);
		_cleanup_(tls_hang_up) struct client c = tls_dial(web_server_port(s), "localhost",
								  NULL, NULL);
		_cleanup_(answer_done) struct answer a = tls_ask(&c, GET("/x") "\r\n");
		assert_int_equal(a.status, 200);
		web_server_close(s);
		log_set_sink(NULL, NULL);
		assert_int_equal(logged.lines, 1);
	}
}

static void plain_http_is_logged(void **state)
{
	struct rig *rig = *state;
	char byte;
	logged.lines = 0;
	log_set_sink(keep_line, NULL);
	/* A probe of the port is none. */
	close(dial_port(web_server_port(rig->server)));
	int fd = dial_port(web_server_port(rig->server));
	assert_true(write(fd, "GET / HTTP/1.1\r\n\r\n", 18) == 18);
	await_line("this port speaks HTTPS");
	while (read(fd, &byte, 1) > 0)
		;
	close(fd);
	log_set_sink(NULL, NULL);
}

static void log_has_limits(void **state)
{
	(void)state;
	struct tls_log l = { 0 };
	char address[INET6_ADDRSTRLEN];
	usec_t now = USEC_PER_HOUR;
	assert_true(web_tls_log_take(&l, "192.0.2.1", now));
	assert_false(web_tls_log_take(&l, "192.0.2.1", now + 9 * USEC_PER_MIN));
	assert_true(web_tls_log_take(&l, "192.0.2.1", now + 10 * USEC_PER_MIN));
	/* Many addresses: ten in a minute, the rest is counted. */
	now += USEC_PER_HOUR;
	unsigned taken = 0;
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(address, sizeof(address), "10.0.%u.%u", i >> 8, i & 255);
		taken += web_tls_log_take(&l, address, now + i * USEC_PER_MSEC);
	}
	assert_int_equal(taken, 10);
	assert_int_equal(l.left_out, 990);
	assert_true(web_tls_log_take(&l, "192.0.2.9", now + USEC_PER_MIN));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(client_certificates),
		TEST(certificate_reaches_the_handler),
		TEST(resumption),
		TEST(only_http11),
		TEST(oldest_version),
		TEST(chain),
		TEST(file),
		TEST(big_body),
		TEST(stream),
		TEST(stream_peer_gone),
		TEST(stream_slow_reader),
		TEST(close_notify),
		TEST(strangers_to_tls),
		TEST(many),
		TEST(another_certificate),
		TEST(no_certificate_without_tls),
		TEST(refused_certificate_is_logged),
		TEST(plain_http_is_logged),
		cmocka_unit_test(log_has_limits),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, make_pki, drop_pki);
}
