/* Credential plugins: what they are told and what may come back; scripts that are run by the helper
 * process; and the transport that uses what they print, against a real socket. */

#include "unit/http/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <sys/stat.h>

#include "base/log.h"
#include "kube/http_transport.h"
#include "kube/plugin.h"
#include "unit/kube/certs.h"
#include "json/json.h"

#define V1	  "client.authentication.k8s.io/v1"
#define STATUS(s) "{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\",\"status\":{" s "}}"

struct fixture {
	struct loop *loop;
	struct server *server;
	struct kube_config config;
	struct kube_transport *t;
	struct plugin *plugin;
	char dir[64];
};

static struct crypt_pair ca, leaf, client1, client2;

static void quiet(void *data, enum log_level level, const char *line)
{
	(void)data, (void)level, (void)line;
}

static int group_setup(void **state)
{
	(void)state;
	log_set_sink(quiet, NULL);
	ca = make_cert((struct crypt_cert_spec){ .common_name = "CA", .is_ca = true }, NULL);
	leaf = make_leaf(&ca);
	client1 = make_cert((struct crypt_cert_spec){ .common_name = "one", .client = true }, &ca);
	client2 = make_cert((struct crypt_cert_spec){ .common_name = "two", .client = true }, &ca);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	crypt_pair_release(&ca);
	crypt_pair_release(&leaf);
	crypt_pair_release(&client1);
	crypt_pair_release(&client2);
	return 0;
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	assert_int_equal(loop_new(&f->loop, NULL), 0);
	snprintf(f->dir, sizeof(f->dir), "/tmp/ingot-plugin-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->config.server = xstrdup("https://api.example/prefix");
	f->config.exec = xcalloc(1, sizeof(*f->config.exec));
	f->config.exec->api_version = xstrdup(V1);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	static const char *const files[] = { "plugin", "runs", "answer", "pid" };
	struct fixture *f = *state;
	plugin_free(f->plugin);
	if (f->t)
		f->t->ops->free(f->t);
	if (f->server)
		server_stop(f->server);
	kube_config_release(&f->config);
	loop_free(f->loop);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char *path = xasprintf("%s/%s", f->dir, files[i]);
		unlink(path);
		free(path);
	}
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

static void write_in(const struct fixture *f, const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", f->dir, name);
	FILE *out = fopen(path, "we");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
	chmod(path, 0700);
	free(path);
}

/* How often the script has run. */
static size_t runs(const struct fixture *f)
{
	char *path = xasprintf("%s/runs", f->dir);
	struct stat st = { 0 };
	(void)stat(path, &st);
	free(path);
	return (size_t)st.st_size;
}

/* A script that counts its runs; it stands in the directory that it is given as DIR. */
static void script(struct fixture *f, const char *body)
{
	char *text = xasprintf("#!/bin/sh\nDIR=%s\nprintf x >>$DIR/runs\n%s\n", f->dir, body);
	write_in(f, "plugin", text);
	free(text);
	f->config.exec->command = xasprintf("%s/plugin", f->dir);
}

static void start_helper(struct fixture *f)
{
	struct err err = { 0 };
	if (kube_config_start_plugin(&f->config, &err) < 0)
		fail_msg("%s", err.text);
}

/* --- messages --------------------------------------------------------------------------------- */

static void test_info(void **state)
{
	struct fixture *f = *state;
	struct json *j = NULL;
	f->config.tls_server_name = xstrdup("other");
	f->config.exec->cluster_extension = xstrdup("{\"audience\":\"a\"}");
	char *bare = exec_info(&f->config, "CA");
	assert_string_equal(bare, "{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1
				  "\",\"spec\":{\"interactive\":false}}");
	f->config.exec->wants_cluster = true;
	char *full = exec_info(&f->config, "CA");
	assert_int_equal(json_parse(full, strlen(full), &j, NULL), 0);
	const struct json *c = json_get_path(j, "spec.cluster");
	assert_string_equal(json_get_string(c, "server"), "https://api.example/prefix");
	assert_string_equal(json_get_string(c, "tls-server-name"), "other");
	assert_string_equal(json_get_string(c, "certificate-authority-data"), "Q0E=");
	assert_string_equal(json_get_path_string(c, "config.audience"), "a");
	json_free(j);
	free(bare);
	free(full);
}

static void test_answers(void **state)
{
	(void)state;
	static const struct {
		const char *text, *why; /* why NULL: good */
	} rows[] = {
		{ STATUS("\"token\":\"t\""), NULL },
		{ STATUS("\"token\":\"t\",\"expirationTimestamp\":\"2030-01-02T03:04:05Z\""),
		  NULL },
		{ STATUS("\"clientCertificateData\":\"c\",\"clientKeyData\":\"k\""), NULL },
		{ STATUS("\"token\":\"t\",\"expirationTimestamp\":\"tomorrow\""), "no time" },
		{ STATUS("\"token\":\"t\",\"expirationTimestamp\":5"), "no time" },
		{ STATUS("\"token\":\"t\\nX: y\""), "control characters" },
		{ STATUS("\"token\":\"\""), "neither a token nor" },
		{ STATUS("\"clientCertificateData\":\"c\""), "without a key" },
		{ STATUS("\"token\":\"t\",\"clientKeyData\":\"k\""), "without a key" },
		{ "{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\"}", "no status" },
		{ "{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "beta1\"}",
		  "another apiVersion" },
		{ "{\"kind\":\"Status\"}", "not an ExecCredential" },
		{ "s3cret", "not JSON" },
		{ "", "not JSON" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct exec_credential c = { 0 };
		struct err err = { 0 };
		int r = exec_credential_parse(rows[i].text, strlen(rows[i].text), V1, &c, &err);
		if (r != 0 ? !rows[i].why || !strstr(err.text, rows[i].why) : rows[i].why != NULL)
			fail_msg("%s: %s", rows[i].text, err.text);
		assert_null(strstr(err.text, "s3cret"));
		exec_credential_release(&c);
	}
}

/* --- the helper ------------------------------------------------------------------------------- */

struct waiting {
	struct plugin_waiter waiter;
	struct loop *loop;
	unsigned times;
	struct err err;
};

static void on_credentials(void *data, const struct err *err)
{
	struct waiting *w = data;
	w->times++;
	w->err = err ? *err : (struct err){ 0 };
	loop_stop(w->loop);
}

static void open_plugin(struct fixture *f)
{
	start_helper(f);
	assert_int_equal(plugin_new(f->loop, &f->config, f->config.runner, &f->plugin, NULL), 0);
}

/* The error of one wait; its text is "" when there are credentials. */
static struct err wait_for(struct fixture *f)
{
	struct waiting w = { .loop = f->loop };
	plugin_waiter_init(&w.waiter, on_credentials, &w);
	plugin_wait(f->plugin, &w.waiter);
	assert_int_equal(w.times, 0);
	loop_run(f->loop);
	assert_int_equal(w.times, 1);
	return w.err;
}

/* Arguments as they are, our environment, what is added to it, no terminal, no descriptor of ours.
 */
static void test_how_it_is_run(void **state)
{
	struct fixture *f = *state;
	script(f, "echo \"$*|$ADDED|$OURS|$(cat)|$(ls /proc/self/fd | tr -d '\\n')|"
		  "$KUBERNETES_EXEC_INFO\" >$DIR/answer\n"
		  "echo '" STATUS("\"token\":\"t\"") "'");
	f->config.exec->args = xcalloc(3, sizeof(char *));
	f->config.exec->args[0] = xstrdup("a b; rm x");
	f->config.exec->args[1] = xstrdup("$HOME");
	f->config.exec->env = xcalloc(2, sizeof(char *));
	f->config.exec->env[0] = xstrdup("ADDED=x=y");
	setenv("OURS", "ours", 1);
	open_plugin(f);
	assert_string_equal(wait_for(f).text, "");
	assert_string_equal(plugin_credential(f->plugin)->token, "t");
	assert_true(plugin_ready(f->plugin));
	char *path = xasprintf("%s/answer", f->dir), said[512] = "";
	FILE *in = fopen(path, "re");
	assert_non_null(in);
	assert_non_null(fgets(said, sizeof(said), in));
	fclose(in);
	free(path);
	/* 3 is the directory that ls reads. */
	if (!str_has_prefix(said, "a b; rm x $HOME|x=y|ours||0123|{\"kind\":\"ExecCredential\""))
		fail_msg("%s", said);
}

static void test_found_by_path(void **state)
{
	struct fixture *f = *state;
	const char *path = getenv("PATH");
	char *with = xasprintf("%s:%s", f->dir, path);
	script(f, "echo '" STATUS("\"token\":\"t\"") "'");
	str_replace(&f->config.exec->command, "plugin");
	setenv("PATH", with, 1);
	open_plugin(f);
	setenv("PATH", with + strlen(f->dir) + 1, 1);
	assert_string_equal(wait_for(f).text, "");
	free(with);
}

static void test_failures(void **state)
{
	static const struct {
		const char *body, *why;
	} rows[] = {
		{ "echo 'no login: https://u:p4ss@x/?q=1' >&2; exit 3",
		  "exit status 3: no login: https://x/?..." },
		{ "kill -9 $$", "killed by signal 9" },
		{ "head -c 2000000 /dev/zero", "output has more than 1048576 bytes" },
		{ "head -c 2000000 /dev/zero >&2; exit 1", "exit status 1" },
		{ "echo '" STATUS(
			  "\"token\":\"t\",\"expirationTimestamp\":\"2020-01-01T00:00:00Z\"") "'",
		  "expired already" },
		{ "exec sleep 1000", "no credentials within" },
		{ "sleep 1000 & wait", "no credentials within" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		void *own = NULL;
		setup(&own);
		struct fixture *f = own;
		script(f, rows[i].body);
		f->config.exec->run_limit = strstr(rows[i].body, "sleep") ? 200 * USEC_PER_MSEC : 0;
		open_plugin(f);
		struct err err = wait_for(f);
		if (!strstr(err.text, rows[i].why) || strstr(err.text, "p4ss"))
			fail_msg("%s: %s", rows[i].body, err.text);
		assert_true(str_has_prefix(err.text, "credential plugin "));
		assert_null(plugin_credential(f->plugin));
		/* At once again: the same word, without another run. */
		assert_string_equal(wait_for(f).text, err.text);
		assert_int_equal(runs(f), 1);
		teardown(&own);
	}
}

static void test_absent(void **state)
{
	struct fixture *f = *state;
	f->config.exec->command = xasprintf("%s/plugin", f->dir);
	f->config.exec->install_hint = xstrdup("get it from the moon");
	open_plugin(f);
	struct err err = wait_for(f);
	assert_non_null(strstr(err.text, "cannot be started: No such file"));
	assert_non_null(strstr(err.text, "get it from the moon"));
}

/* What it leaves in the background, with its output still open, keeps nobody waiting. */
static void test_background(void **state)
{
	struct fixture *f = *state;
	script(f, "sleep 1000 &\necho $! >$DIR/pid\necho '" STATUS("\"token\":\"t\"") "'");
	open_plugin(f);
	assert_string_equal(wait_for(f).text, "");
	char *path = xasprintf("%s/pid", f->dir);
	FILE *in = fopen(path, "re");
	int pid = 0;
	assert_non_null(in);
	assert_int_equal(fscanf(in, "%d", &pid), 1);
	fclose(in);
	free(path);
	kill(pid, SIGKILL);
}

/* Many who wait: one run. */
static void test_one_run(void **state)
{
	struct fixture *f = *state;
	struct waiting w[5];
	script(f, "echo '" STATUS("\"token\":\"t\"") "'");
	open_plugin(f);
	for (size_t i = 0; i < ARRAY_SIZE(w); i++) {
		w[i] = (struct waiting){ .loop = f->loop };
		plugin_waiter_init(&w[i].waiter, on_credentials, &w[i]);
		plugin_wait(f->plugin, &w[i].waiter);
	}
	plugin_leave(&w[2].waiter);
	loop_run(f->loop);
	for (size_t i = 0; i < ARRAY_SIZE(w); i++)
		assert_int_equal(w[i].times, i != 2);
	assert_int_equal(runs(f), 1);
	/* An older one that is refused is no news. */
	plugin_refused(f->plugin, plugin_serial(f->plugin) - 1);
	assert_true(plugin_ready(f->plugin));
	plugin_refused(f->plugin, plugin_serial(f->plugin));
	assert_false(plugin_ready(f->plugin));
}

/* --- the transport ---------------------------------------------------------------------------- */

struct story {
	struct fixture *f;
	unsigned dones;
	int status;
	struct err err;
	bool cancel_in_head;
};

static void on_head(void *data, int status, int64_t retry_after_s)
{
	struct story *s = data;
	(void)status, (void)retry_after_s;
	if (s->cancel_in_head)
		loop_stop(s->f->loop);
}

static int on_body(void *data, const char *bytes, size_t len)
{
	(void)data, (void)bytes, (void)len;
	return 0;
}

static void on_done(void *data, const struct err *err, int status, const char *body, size_t len)
{
	struct story *s = data;
	(void)body, (void)len;
	s->dones++;
	s->status = status;
	s->err = err ? *err : (struct err){ 0 };
	loop_stop(s->f->loop);
}

static const struct kube_http_handlers handlers = { on_head, on_body, on_done };
static const struct kube_http_request get = { .method = "GET", .path = "/x" };

static void start(struct fixture *f, serve_fn serve, const struct crypt_pair *pair)
{
	struct err err = { 0 };
	start_helper(f); /* before the server's threads */
	f->server = server_start(serve, NULL, pair);
	free(f->config.server);
	f->config.server = xasprintf("%s://127.0.0.1:%u", pair ? "https" : "http", f->server->port);
	f->config.ca = pair ? xstrdup(ca.cert) : NULL;
	if (kube_http_transport_new(f->loop, &f->config, "ingot/1.2", &f->t, &err) < 0)
		fail_msg("%s", err.text);
}

static void ask(struct fixture *f, struct story *s)
{
	*s = (struct story){ .f = f };
	f->t->ops->start(f->t, &get, &handlers, s);
	while (s->dones == 0)
		loop_run(f->loop);
	assert_int_equal(s->dones, 1);
}

/* Takes the second token only. */
static bool serve_second(struct peer *p)
{
	bool good = peer_said(p, "Authorization: Bearer token-xx\r\n");
	return peer_reply(p, good ? "200 OK" : "401 Unauthorized", "", "");
}

#define COUNTING_TOKEN "echo '" STATUS("\"token\":\"token-'$(cat $DIR/runs)'\"") "'"

/* A refused token has the plugin run once more, and the request repeated once. */
static void test_refused_token(void **state)
{
	struct fixture *f = *state;
	struct story s;
	script(f, COUNTING_TOKEN);
	start(f, serve_second, NULL);
	ask(f, &s);
	assert_int_equal(s.status, 200);
	assert_int_equal(f->server->requests, 2);
	assert_int_equal(runs(f), 2);
	ask(f, &s);
	assert_int_equal(s.status, 200);
	assert_int_equal(runs(f), 2);
}

static bool serve_nobody(struct peer *p)
{
	return peer_reply(p, "401 Unauthorized", "", "");
}

static void test_no_loop(void **state)
{
	struct fixture *f = *state;
	struct story s;
	script(f, COUNTING_TOKEN);
	start(f, serve_nobody, NULL);
	ask(f, &s);
	assert_int_equal(s.status, 401);
	assert_int_equal(f->server->requests, 2);
	assert_int_equal(runs(f), 2);
}

static void test_failing_plugin(void **state)
{
	struct fixture *f = *state;
	struct story s;
	script(f, "exit 7");
	start(f, serve_nobody, NULL);
	ask(f, &s);
	assert_non_null(strstr(s.err.text, "exit status 7"));
	assert_int_equal(f->server->requests, 0);
	/* Cancelled while it waits; and one that goes with the transport. */
	kube_http_transport_reread(f->t);
	struct kube_call *call = f->t->ops->start(f->t, &get, &handlers, &s);
	f->t->ops->cancel(call);
	f->t->ops->start(f->t, &get, &handlers, &s);
}

/* "/watch" stays open; of the rest the first is refused, after it. */
static bool serve_client(struct peer *p)
{
	if (!peer_asks(p, "GET /watch"))
		return peer_reply(p, p->server->requests == 2 ? "401 Unauthorized" : "200 OK", "",
				  "");
	peer_say(p, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n");
	return peer_hang(p);
}

static char *json_text(const char *pem)
{
	struct strbuf out = { 0 };
	json_quote(pem, &out);
	return strbuf_take(&out, NULL);
}

/* What the plugin gives from now on. */
static void give_pair(struct fixture *f, const struct crypt_pair *pair)
{
	char *cert = json_text(pair->cert), *key = json_text(pair->key);
	char *text = xasprintf(STATUS("\"clientCertificateData\":%s,\"clientKeyData\":%s"), cert,
			       key);
	write_in(f, "answer", text);
	free(cert), free(key), free(text);
}

static void give_rubbish(struct fixture *f)
{
	write_in(f, "answer",
		 STATUS("\"clientCertificateData\":\"rubbish\",\"clientKeyData\":\"rubbish\""));
}

/* A stream that was opened with an old certificate ends in order, to be opened anew. */
static void test_certificate_changes(void **state)
{
	struct fixture *f = *state;
	struct story watch = { .f = f, .cancel_in_head = true }, s;
	const struct kube_http_request open = { .method = "GET", .path = "/watch", .stream = true };
	script(f, "cat $DIR/answer");
	give_pair(f, &client1);
	start(f, serve_client, &leaf);
	f->t->ops->start(f->t, &open, &handlers, &watch);
	loop_run(f->loop);
	assert_int_equal(watch.dones, 0);
	give_pair(f, &client2);
	ask(f, &s);
	assert_int_equal(s.status, 200);
	assert_int_equal(runs(f), 2);
	while (watch.dones == 0)
		loop_run(f->loop);
	assert_int_equal(watch.dones, 1);
	assert_int_equal(watch.status, 200);
	assert_int_equal(watch.err.kind, ERR_NONE);
}

static void test_bad_certificate(void **state)
{
	struct fixture *f = *state;
	struct story s;
	script(f, "cat $DIR/answer");
	give_rubbish(f);
	start(f, serve_client, &leaf);
	ask(f, &s);
	assert_true(str_has_prefix(s.err.text, "credential plugin: client certificate"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_info),
		cmocka_unit_test(test_answers),
		T(test_how_it_is_run),
		T(test_found_by_path),
		cmocka_unit_test(test_failures),
		T(test_absent),
		T(test_background),
		T(test_one_run),
		T(test_refused_token),
		T(test_no_loop),
		T(test_failing_plugin),
		T(test_certificate_changes),
		T(test_bad_certificate),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
