/* The HTTPS transport against a real socket: headers, credentials that change, TLS, streams,
 * cancellation. */

#include "unit/http/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/x509.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/log.h"
#include "kube/http_transport.h"
#include "unit/kube/certs.h"

struct fixture {
	struct loop *loop;
	struct server *server;
	struct kube_transport *t;
	struct kube_config config;
	char dir[64];
};

struct story {
	struct fixture *f;
	struct kube_call *call;
	unsigned heads, pieces, dones;
	int status, head_status;
	int64_t retry_after_s;
	struct err err;
	struct strbuf body;
	bool cancel_in_head, cancel_in_body, refuse_body;
};

static struct crypt_pair ca, leaf, other_ca, client1, client2;
static char *token_path;

/* Seconds by which the loop's clock runs ahead, as after a suspended machine wakes up. */
static atomic_long ahead;

int clock_gettime(clockid_t id, struct timespec *ts)
{
	long r = syscall(SYS_clock_gettime, id, ts);
	if (r == 0 && id == CLOCK_BOOTTIME)
		ts->tv_sec += atomic_load(&ahead);
	return (int)r;
}

static void quiet(void *data, enum log_level level, const char *line)
{
	(void)data, (void)level, (void)line;
}

static int group_setup(void **state)
{
	(void)state;
	log_set_sink(quiet, NULL);
	ca = make_cert((struct crypt_cert_spec){ .common_name = "CA", .is_ca = true }, NULL);
	other_ca = make_cert((struct crypt_cert_spec){ .common_name = "other", .is_ca = true },
			     NULL);
	leaf = make_leaf(&ca);
	client1 = make_cert((struct crypt_cert_spec){ .common_name = "one", .client = true }, &ca);
	client2 = make_cert((struct crypt_cert_spec){ .common_name = "two", .client = true }, &ca);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	crypt_pair_release(&ca);
	crypt_pair_release(&other_ca);
	crypt_pair_release(&leaf);
	crypt_pair_release(&client1);
	crypt_pair_release(&client2);
	return 0;
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	assert_int_equal(loop_new(&f->loop, NULL), 0);
	snprintf(f->dir, sizeof(f->dir), "/tmp/ingot-transport-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	token_path = xasprintf("%s/token", f->dir);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	if (f->t)
		f->t->ops->free(f->t);
	if (f->server)
		server_stop(f->server);
	kube_config_release(&f->config);
	loop_free(f->loop);
	static const char *const files[] = { "token", "ca.crt", "tls.crt", "tls.key" };
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char *path = xasprintf("%s/%s", f->dir, files[i]);
		unlink(path);
		free(path);
	}
	rmdir(f->dir);
	free(token_path);
	free(f);
	return 0;
}

static void write_file(const char *path, const char *text)
{
	FILE *out = fopen(path, "we");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
}

static void start(struct fixture *f, serve_fn serve, const struct crypt_pair *pair)
{
	struct err err = { 0 };
	f->server = server_start(serve, NULL, pair);
	f->config.server = xasprintf("%s://127.0.0.1:%u/prefix", pair ? "https" : "http",
				     f->server->port);
	if (kube_http_transport_new(f->loop, &f->config, "ingot/1.2", &f->t, &err) < 0)
		fail_msg("%s", err.text);
}

static void stop_later(struct story *s)
{
	loop_post(s->f->loop, (loop_fn)loop_stop, s->f->loop);
}

static void end(struct story *s)
{
	s->f->t->ops->cancel(s->call);
	s->call = NULL;
	stop_later(s);
}

static void on_head(void *data, int status, int64_t retry_after_s)
{
	struct story *s = data;
	s->heads++;
	s->head_status = status;
	s->retry_after_s = retry_after_s;
	if (s->cancel_in_head)
		end(s);
}

static int on_body(void *data, const char *bytes, size_t len)
{
	struct story *s = data;
	s->pieces++;
	strbuf_add(&s->body, bytes, len);
	if (s->cancel_in_body)
		end(s);
	return s->refuse_body ? -1 : 0;
}

static void on_done(void *data, const struct err *err, int status, const char *body, size_t len)
{
	struct story *s = data;
	assert_non_null(s->call);
	s->dones++;
	s->status = status;
	s->err = err ? *err : (struct err){ 0 };
	strbuf_add(&s->body, body, len);
	stop_later(s);
}

static const struct kube_http_handlers handlers = { on_head, on_body, on_done };

static void ask(struct fixture *f, struct story *s, const struct kube_http_request *r)
{
	s->f = f;
	s->dones = s->heads = 0;
	strbuf_clear(&s->body);
	s->call = f->t->ops->start(f->t, r, &handlers, s);
	assert_int_equal(s->dones, 0);
	loop_run(f->loop);
}

static const struct kube_http_request get = { .method = "GET", .path = "/api/v1/x?limit=5" };

/* --- headers
 * ------------------------------------------------------------------------------------------------
 */

static bool serve_plain(struct peer *p)
{
	if (peer_asks(p, "POST"))
		return peer_reply(p, "201 Created", "", p->body);
	return peer_reply(p, "429 Busy", "Retry-After: 3\r\n", "slow");
}

static void test_requests(void **state)
{
	struct fixture *f = *state;
	struct story s = { 0 };
	f->config.token = xstrdup("t0ken");
	f->config.as_user = xstrdup("other");
	f->config.as_uid = xstrdup("6b29");
	f->config.as_groups = xcalloc(2, sizeof(char *));
	f->config.as_groups[0] = xstrdup("g");
	f->config.as_extra = xcalloc(2, sizeof(char *));
	f->config.as_extra[0] = xstrdup("a/b=c=d");
	start(f, serve_plain, NULL);
	ask(f, &s, &get);
	assert_int_equal(s.status, 429);
	assert_int_equal(s.head_status, 429);
	assert_int_equal(s.retry_after_s, 3);
	assert_string_equal(s.body.data, "slow");
	static const char *const heard[] = {
		"GET /prefix/api/v1/x?limit=5 HTTP/1.1\r\n",
		"Accept: application/json\r\n",
		"User-Agent: ingot/1.2\r\n",
		"Authorization: Bearer t0ken\r\n",
		"Impersonate-User: other\r\n",
		"Impersonate-Uid: 6b29\r\n",
		"Impersonate-Group: g\r\n",
		"Impersonate-Extra-a%2Fb: c=d\r\n",
		"Accept-Encoding: gzip\r\n",
	};
	for (size_t i = 0; i < ARRAY_SIZE(heard); i++)
		if (!server_heard(f->server, heard[i]))
			fail_msg("%s was not sent", heard[i]);
	ask(f, &s,
	    &(struct kube_http_request){ .method = "POST",
					 .path = "/api/v1/x",
					 .content_type = "application/json",
					 .accept = "application/x",
					 .body = "{}",
					 .body_len = 2 });
	assert_int_equal(s.status, 201);
	assert_string_equal(s.body.data, "{}");
	assert_true(server_heard(f->server, "Accept: application/x\r\n"));
	assert_true(server_heard(f->server, "Content-Type: application/json\r\n"));
	strbuf_done(&s.body);
}

static void test_compression_disabled(void **state)
{
	struct fixture *f = *state;
	struct story s = { 0 };
	f->config.no_compression = true;
	start(f, serve_plain, NULL);
	ask(f, &s, &get);
	assert_int_equal(s.status, 429);
	assert_false(server_heard(f->server, "Accept-Encoding"));
	strbuf_done(&s.body);
}

static void test_malformed_request(void **state)
{
	struct fixture *f = *state;
	struct story s = { 0 };
	start(f, serve_plain, NULL);
	ask(f, &s, &(struct kube_http_request){ .method = "NO SUCH", .path = "/" });
	assert_int_equal(s.dones, 1);
	assert_int_equal(s.err.kind, ERR_INVALID);
	/* One that is cancelled before it could fail. */
	s.call = f->t->ops->start(f->t,
				  &(struct kube_http_request){ .method = "NO SUCH", .path = "/" },
				  &handlers, &s);
	end(&s);
	loop_run(f->loop);
	assert_int_equal(s.dones, 1);
	strbuf_done(&s.body);
}

/* --- kept connections that die
 * ------------------------------------------------------------------------------------------- */

/* The second request on a connection is read, and perhaps done, but never answered. */
static bool serve_once_per_connection(struct peer *p)
{
	return p->turn == 0 && peer_reply(p, "200 OK", "", "{}");
}

static void test_writes_are_sent_once(void **state)
{
	static const struct kube_http_request rows[] = {
		{ .method = "POST", .body = "{}", .body_len = 2 },
		{ .method = "PUT", .body = "{}", .body_len = 2 },
		{ .method = "PATCH", .body = "{}", .body_len = 2 },
		{ .method = "DELETE", .body = "{}", .body_len = 2 },
		{ .method = "DELETE" },
		{ .method = "GET" },
	};
	struct fixture *f = *state;
	struct story s = { 0 };
	start(f, serve_once_per_connection, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct kube_http_request r = rows[i];
		r.path = "/x";
		r.content_type = r.body_len ? "application/json" : NULL;
		ask(f, &s, &get);
		assert_int_equal(s.status, 200);
		int before = f->server->requests;
		ask(f, &s, &r);
		int sent = f->server->requests - before;
		if (sent != (streq(r.method, "GET") ? 2 : 1))
			fail_msg("%s was sent %d times", r.method, sent);
		/* What has no body goes on a connection of its own. */
		if ((s.err.kind == ERR_NONE) != (r.body_len == 0))
			fail_msg("%s: %s", r.method, s.err.text);
		if (r.body_len > 0)
			assert_int_equal(s.err.kind, ERR_UNREACHABLE);
	}
	strbuf_done(&s.body);
}

/* --- tokens
 * --------------------------------------------------------------------------------------------------
 */

/* Accepts "second" only; the first refusal puts it into the file. */
static bool serve_rotation(struct peer *p)
{
	if (peer_said(p, "Bearer second\r\n"))
		return peer_reply(p, "200 OK", "", p->body[0] ? p->body : "in");
	if (peer_said(p, "Bearer first\r\n"))
		write_file(token_path, " second\n");
	return peer_reply(p, "401 Unauthorized", "", "out");
}

static void test_token_rotation(void **state)
{
	struct fixture *f = *state;
	struct story s = { 0 };
	f->config.token_file = xstrdup(token_path);
	write_file(token_path, "first");
	start(f, serve_rotation, NULL);
	ask(f, &s,
	    &(struct kube_http_request){ .method = "POST",
					 .path = "/x",
					 .content_type = "text/plain",
					 .body = "payload",
					 .body_len = 7 });
	assert_int_equal(s.status, 200);
	assert_int_equal(s.heads, 1);
	assert_string_equal(s.body.data, "payload");
	assert_int_equal(f->server->requests, 2);
	/* A refusal that no new token cures is passed on; nothing loops. */
	write_file(token_path, "third");
	kube_http_transport_reread(f->t);
	ask(f, &s, &get);
	assert_int_equal(s.status, 401);
	assert_string_equal(s.body.data, "out");
	assert_int_equal(f->server->requests, 3);
	/* A file that is empty for a moment leaves the old token. */
	write_file(token_path, "");
	kube_http_transport_reread(f->t);
	ask(f, &s, &get);
	assert_true(server_heard(f->server, "Bearer third\r\n"));
	write_file(token_path, "second");
	ask(f, &s,
	    &(struct kube_http_request){ .method = "GET", .path = "/w?watch=1", .stream = true });
	assert_int_equal(s.status, 200);
	assert_string_equal(s.body.data, "in");
	assert_int_equal(s.heads, 1);
	strbuf_done(&s.body);
}

/* Never content, with another token in the file each time: one repetition, no loop. */
static bool serve_never_content(struct peer *p)
{
	char token[32];
	snprintf(token, sizeof(token), "token-%d", (int)p->server->requests);
	write_file(token_path, token);
	return peer_reply(p, "401 Unauthorized", "", "out");
}

static void test_one_repetition_only(void **state)
{
	struct fixture *f = *state;
	struct story s = { 0 };
	f->config.token_file = xstrdup(token_path);
	write_file(token_path, "first");
	start(f, serve_never_content, NULL);
	ask(f, &s, &get);
	assert_int_equal(s.status, 401);
	assert_int_equal(s.heads, 1);
	assert_int_equal(f->server->requests, 2);
	strbuf_done(&s.body);
}

static void test_missing_token_file(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };
	f->config.server = xstrdup("https://api.example");
	f->config.token_file = xstrdup(token_path);
	assert_true(kube_http_transport_new(f->loop, &f->config, "x", &f->t, &err) < 0);
	assert_true(str_has_prefix(err.text, "API server https://api.example: cannot open "));
	f->config.token = xstrdup("given"); /* what the file would refresh */
	assert_int_equal(kube_http_transport_new(f->loop, &f->config, "x", &f->t, &err), 0);
}

/* --- TLS
 * ------------------------------------------------------------------------------------------------------
 */

static void test_ca_file_that_changes(void **state)
{
	struct fixture *f = *state;
	struct story s = { 0 };
	f->config.ca_file = xasprintf("%s/ca.crt", f->dir);
	write_file(f->config.ca_file, other_ca.cert);
	start(f, serve_plain, &leaf);
	ask(f, &s, &get);
	assert_int_equal(s.err.kind, ERR_DENIED);
	assert_non_null(strstr(s.err.text, "not trusted"));
	write_file(f->config.ca_file, "half written");
	kube_http_transport_reread(f->t);
	ask(f, &s, &get);
	assert_int_equal(s.err.kind, ERR_DENIED);
	write_file(f->config.ca_file, ca.cert);
	kube_http_transport_reread(f->t);
	ask(f, &s, &get);
	assert_int_equal(s.status, 429);
	strbuf_done(&s.body);
}

static void test_insecure(void **state)
{
	struct fixture *f = *state;
	struct story s = { 0 };
	f->config.insecure = true;
	start(f, serve_plain, &leaf);
	ask(f, &s, &get);
	assert_int_equal(s.status, 429);
	/* The same server, without that word. */
	f->t->ops->free(f->t);
	f->config.insecure = false;
	assert_int_equal(kube_http_transport_new(f->loop, &f->config, "x", &f->t, NULL), 0);
	ask(f, &s, &get);
	assert_int_equal(s.err.kind, ERR_DENIED);
	strbuf_done(&s.body);
}

/* Answers with the name that the client asked for (SNI). */
static bool serve_name(struct peer *p)
{
	const char *name = SSL_get_servername(p->ssl, TLSEXT_NAMETYPE_host_name);
	return peer_reply(p, "200 OK", "", name ? name : "");
}

static void test_tls_server_name(void **state)
{
	static const char *const names[] = { "api.internal", NULL };
	struct fixture *f = *state;
	struct story s = { 0 };
	struct crypt_pair named = make_cert(
		(struct crypt_cert_spec){ .common_name = "x", .dns_names = names, .server = true },
		&ca);
	f->config.ca = xstrdup(ca.cert);
	f->config.tls_server_name = xstrdup("api.internal");
	start(f, serve_name, &named);
	ask(f, &s, &get);
	assert_int_equal(s.status, 200);
	assert_string_equal(s.body.data, "api.internal");
	char *host = xasprintf("Host: 127.0.0.1:%u\r\n", f->server->port);
	assert_true(server_heard(f->server, host));
	free(host);
	/* Another name, and the one in the URL: refused. */
	for (const char *name = "api.other"; name; name = streq(name, "") ? NULL : "") {
		f->t->ops->free(f->t);
		str_replace(&f->config.tls_server_name, name[0] ? name : NULL);
		assert_int_equal(kube_http_transport_new(f->loop, &f->config, "x", &f->t, NULL), 0);
		ask(f, &s, &get);
		assert_int_equal(s.err.kind, ERR_DENIED);
		assert_non_null(strstr(s.err.text, name[0] ? name : "127.0.0.1"));
	}
	crypt_pair_release(&named);
	strbuf_done(&s.body);
}

/* --- files that change, by the clock
 * ------------------------------------------------------------------------------------------- */

/* "<client's name>/<its token>"; "/watch" says that and stays open. */
static bool serve_identity(struct peer *p)
{
	char name[64] = "nobody";
	X509 *cert = SSL_get1_peer_certificate(p->ssl);
	const char *token = strstr(p->request.data, "Bearer ");
	if (cert)
		X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name,
					  sizeof(name));
	X509_free(cert);
	char *who = xasprintf("%s/%.*s", name, token ? (int)strcspn(token + 7, "\r") : 0,
			      token ? token + 7 : "");
	bool go_on;
	if (peer_asks(p, "GET /prefix/watch")) {
		char *text = xasprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
				       "%zx\r\n%s\r\n",
				       strlen(who), who);
		go_on = peer_say(p, text) && peer_hang(p);
		free(text);
	} else {
		go_on = peer_reply(p, "200 OK", "", who);
	}
	free(who);
	return go_on;
}

static int any_client(int good, X509_STORE_CTX *store)
{
	(void)good, (void)store;
	return 1;
}

static void write_pair(const struct fixture *f, const char *cert, const char *key)
{
	write_file(f->config.cert_file, cert);
	write_file(f->config.key_file, key);
}

/* Credentials in files, and a server that asks for certificates. */
static void start_with_files(struct fixture *f)
{
	f->config.ca_file = xasprintf("%s/ca.crt", f->dir);
	f->config.cert_file = xasprintf("%s/tls.crt", f->dir);
	f->config.key_file = xasprintf("%s/tls.key", f->dir);
	f->config.token_file = xstrdup(token_path);
	write_file(f->config.ca_file, ca.cert);
	write_pair(f, client1.cert, client1.key);
	write_file(token_path, "first");
	start(f, serve_identity, &leaf);
	SSL_CTX_set_verify(f->server->tls, SSL_VERIFY_PEER, any_client);
}

static void assert_identity(struct fixture *f, struct story *s, const char *who)
{
	ask(f, s, &get);
	while (s->dones == 0) /* another story may have stopped the loop */
		loop_run(f->loop);
	if (s->err.kind != ERR_NONE)
		fail_msg("%s", s->err.text);
	assert_string_equal(s->body.data, who);
}

/* Nobody says that the files have changed: after a minute they are looked at. */
static void test_files_are_read_each_minute(void **state)
{
	struct fixture *f = *state;
	struct story s = { 0 };
	start_with_files(f);
	assert_identity(f, &s, "one/first");
	write_pair(f, client2.cert, client2.key);
	write_file(token_path, "second\n");
	atomic_fetch_add(&ahead, 30);
	assert_identity(f, &s, "one/first");
	atomic_fetch_add(&ahead, 30);
	assert_identity(f, &s, "two/second");
	/* Replaced by half: the old pair stays, until the other half is there. */
	write_pair(f, client1.cert, client2.key);
	atomic_fetch_add(&ahead, 60);
	assert_identity(f, &s, "two/second");
	write_pair(f, client1.cert, client1.key);
	atomic_fetch_add(&ahead, 60);
	assert_identity(f, &s, "one/second");
	/* The CA. */
	write_file(f->config.ca_file, other_ca.cert);
	atomic_fetch_add(&ahead, 60);
	ask(f, &s, &get);
	assert_int_equal(s.err.kind, ERR_DENIED);
	write_file(f->config.ca_file, ca.cert);
	atomic_fetch_add(&ahead, 60);
	assert_identity(f, &s, "one/second");
	strbuf_done(&s.body);
}

static int keep_open(void *data, const char *bytes, size_t len)
{
	struct story *s = data;
	strbuf_add(&s->body, bytes, len);
	stop_later(s);
	return 0;
}

/* A watch that was opened as somebody else ends as if the server had ended it; one whose CA alone
 * has changed goes on. */
static void test_watch_of_an_old_certificate(void **state)
{
	static const struct kube_http_handlers open = { on_head, keep_open, on_done };
	struct fixture *f = *state;
	struct story s = { 0 }, watch = { .f = f };
	start_with_files(f);
	watch.call = f->t->ops->start(f->t,
				      &(struct kube_http_request){ .method = "GET",
								   .path = "/watch?watch=1",
								   .stream = true },
				      &open, &watch);
	loop_run(f->loop);
	assert_string_equal(watch.body.data, "one/first");
	struct strbuf two = { 0 };
	strbuf_addf(&two, "%s%s", ca.cert, other_ca.cert);
	write_file(f->config.ca_file, two.data);
	atomic_fetch_add(&ahead, 60);
	assert_identity(f, &s, "one/first");
	assert_int_equal(watch.dones, 0);
	write_pair(f, client2.cert, client2.key);
	atomic_fetch_add(&ahead, 60);
	assert_identity(f, &s, "two/first");
	while (watch.dones == 0)
		loop_run(f->loop);
	assert_int_equal(watch.err.kind, ERR_NONE);
	assert_int_equal(watch.status, 200);
	strbuf_done(&two);
	strbuf_done(&watch.body);
	strbuf_done(&s.body);
}

static void test_bad_certificates(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };
	f->config.server = xstrdup("https://api.example");
	f->config.ca = xstrdup("no PEM");
	assert_true(kube_http_transport_new(f->loop, &f->config, "x", &f->t, &err) < 0);
	assert_non_null(strstr(err.text, "certificate authority"));
	str_replace(&f->config.ca, ca.cert);
	f->config.cert = xstrdup(leaf.cert);
	f->config.key = xstrdup(ca.key);
	assert_true(kube_http_transport_new(f->loop, &f->config, "x", &f->t, &err) < 0);
	assert_non_null(strstr(err.text, "do not belong together"));
	str_replace(&f->config.key, leaf.key);
	assert_int_equal(kube_http_transport_new(f->loop, &f->config, "x", &f->t, &err), 0);
}

/* --- streams
 * ----------------------------------------------------------------------------------------------------
 */

static bool serve_watch(struct peer *p)
{
	peer_say(p, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 3; i++)
		if (!peer_say(p, "4\r\nabc\n\r\n"))
			return false;
	if (peer_asks(p, "GET /prefix/ends"))
		return peer_say(p, "0\r\n\r\n");
	return peer_asks(p, "GET /prefix/cut") ? false : peer_hang(p);
}

static void test_streams(void **state)
{
	struct fixture *f = *state;
	struct story s = { 0 };
	start(f, serve_watch, NULL);
	ask(f, &s,
	    &(struct kube_http_request){
		    .method = "GET", .path = "/ends?watch=1", .stream = true });
	assert_int_equal(s.err.kind, ERR_NONE);
	assert_int_equal(s.status, 200);
	assert_string_equal(s.body.data, "abc\nabc\nabc\n");
	assert_false(server_heard(f->server, "Accept-Encoding"));
	ask(f, &s,
	    &(struct kube_http_request){ .method = "GET", .path = "/cut?watch=1", .stream = true });
	assert_int_not_equal(s.err.kind, ERR_NONE);
	s.refuse_body = true;
	ask(f, &s,
	    &(struct kube_http_request){ .method = "GET", .path = "/x?watch=1", .stream = true });
	assert_int_equal(s.err.kind, ERR_PROTOCOL);
	ask(f, &s,
	    &(struct kube_http_request){ .method = "GET", .path = "/x?watch=1", .stream = true });
	strbuf_done(&s.body);
}

static void test_cancel(void **state)
{
	struct fixture *f = *state;
	const struct kube_http_request watch = { .method = "GET",
						 .path = "/x?watch=1",
						 .stream = true };
	start(f, serve_watch, NULL);
	struct story head = { .cancel_in_head = true }, body = { .cancel_in_body = true };
	ask(f, &head, &watch);
	assert_int_equal(head.heads, 1);
	assert_int_equal(head.pieces + head.dones, 0);
	ask(f, &body, &watch);
	assert_int_equal(body.pieces, 1);
	assert_int_equal(body.dones, 0);
	/* And one that the end of the transport takes along. */
	struct story last = { .f = f };
	last.call = f->t->ops->start(f->t, &watch, &handlers, &last);
	strbuf_done(&body.body);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_requests),
		T(test_compression_disabled),
		T(test_malformed_request),
		T(test_writes_are_sent_once),
		T(test_token_rotation),
		T(test_one_repetition_only),
		T(test_missing_token_file),
		T(test_ca_file_that_changes),
		T(test_insecure),
		T(test_tls_server_name),
		T(test_files_are_read_each_minute),
		T(test_watch_of_an_old_certificate),
		T(test_bad_certificates),
		T(test_streams),
		T(test_cancel),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
