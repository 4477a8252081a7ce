/* Transport to an API server by HTTPS.
 *
 * Certificates given as files, and the token file, are looked at again at most once a minute, when
 * a request starts: what changed serves the new requests; connections that were made with the old
 * one are left to end. Streams of an old client certificate end as if the server had ended them, so
 * that whoever watches begins anew as the new one. What cannot be read, or does not fit together
 * (half replaced), is logged once and the old stays. A 401 reads the token again at once and, if it
 * has changed, repeats the request once.
 *
 * With a credential plugin (plugin.c) a request waits until there are credentials; a 401 has them
 * made anew, and repeats the request once.
 *
 * TLS texts live in counted bundles, because pkg/http borrows them for as long as a request runs.
 * Core thread. */

#include "kube/http_transport.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "crypt/crypt.h"
#include "crypt/tls.h"
#include "http/http.h"
#include "kube/file.h"
#include "kube/plugin.h"
#include "kube/warnings.h"
#include "metrics/metrics.h"

enum {
	CONNECTIONS_MAX = 64,	       /* each watch has its own */
	ANSWER_MAX = 64 * 1024 * 1024, /* a list in one piece */
	HEADERS_MAX = 64,	       /* of one request */
};

static const usec_t FILES_INTERVAL = USEC_PER_MIN;

struct bundle {
	unsigned refs;
	char *ca, *cert, *key;
	struct http_tls tls;
};

struct transport {
	struct kube_transport base;
	struct loop *loop;
	struct http_client *http;
	char *server, *tls_server_name, *proxy;
	const char *host; /* and port, within server */
	char *ca_file, *cert_file, *key_file, *token_file;
	char *username, *password, *token;
	char **as_headers; /* NULL-ended */
	bool insecure, no_compression;
	bool complained; /* about files, since they were last good */
	struct bundle *bundle;
	struct plugin *plugin;	/* NULL: none */
	uint64_t plugin_serial; /* of the credential in the bundle */
	struct warnings warnings;
	usec_t files_at, token_at; /* when they were last read; 0: read them now */
	struct list calls;
};

struct kube_call {
	struct list node;
	struct transport *transport;
	struct http_op *op;
	struct bundle *bundle;
	struct kube_http_handlers handlers;
	void *data;
	/* The request, for its repetition. */
	char *method, *path, *content_type, *accept, *body, *token;
	size_t body_len;
	bool stream;
	usec_t timeout, idle_timeout;
	bool repeated, repeating;
	bool retired; /* a stream of an old client certificate, about to end */
	int status;
	struct plugin_waiter waiter; /* for credentials */
	uint64_t plugin_serial;	     /* of those it was sent with */
	usec_t started;
	struct timer timer; /* for a failure before anything was sent, and for retired streams */
	struct err early;
};

/* --- certificates
 * --------------------------------------------------------------------------------------- */

static struct bundle *bundle_unref(struct bundle *b)
{
	if (!b || --b->refs > 0)
		return NULL;
	free(b->ca);
	free(b->cert);
	secret_free(b->key);
	free(b);
	return NULL;
}

static void bundle_unrefp(struct bundle **b)
{
	*b = bundle_unref(*b);
}

static int read_if(const char *path, char **slot, struct err *err)
{
	char *text = NULL;
	if (!path)
		return 0;
	int r = kube_read_file(path, &text, err);
	if (r == 0) {
		secret_free(*slot);
		*slot = text;
	}
	return r;
}

static int check_bundle(const struct bundle *b, struct err *err)
{
	usec_t end;
	if (b->ca && crypt_cert_not_after(b->ca, &end, err) < 0)
		return err_wrap(err, "certificate authority");
	if (b->cert && crypt_pair_check(b->cert, b->key, err) < 0)
		return err_wrap(err, "client certificate");
	return 0;
}

/* `from` gives what does not come from files. */
static int bundle_new(const struct transport *t, const struct bundle *from, struct bundle **ret,
		      struct err *err)
{
	_cleanup_(bundle_unrefp) struct bundle *b = xcalloc(1, sizeof(*b));
	b->refs = 1;
	b->ca = xstrdup(from->ca);
	b->cert = xstrdup(from->cert);
	b->key = xstrdup(from->key);
	int r = read_if(t->ca_file, &b->ca, err);
	if (r == 0)
		r = read_if(t->cert_file, &b->cert, err);
	if (r == 0)
		r = read_if(t->key_file, &b->key, err);
	if (r == 0)
		r = check_bundle(b, err);
	if (r < 0)
		return r;
	b->tls = (struct http_tls){ .ca = b->ca,
				    .cert = b->cert,
				    .key = b->key,
				    .server_name = t->tls_server_name,
				    .insecure = t->insecure };
	*ret = TAKE_PTR(b);
	return 0;
}

static bool same_bundle(const struct bundle *a, const struct bundle *b)
{
	return streq(a->ca, b->ca) && streq(a->cert, b->cert) && streq(a->key, b->key);
}

/* --- files that change
 * ----------------------------------------------------------------------------------- */

static void complain(struct transport *t, const struct err *err)
{
	if (!t->complained)
		log_warn(
			"cannot reload the credentials for the API server; the old ones stay in use",
			"error", err->text);
	t->complained = true;
}

static int read_token(struct transport *t, struct err *err)
{
	char *token = NULL;
	if (!t->token_file)
		return 0;
	t->token_at = loop_now(t->loop);
	int r = kube_read_word(t->token_file, &token, err);
	if (r < 0)
		return r;
	secret_free(t->token);
	t->token = token;
	return 0;
}

static void refresh_token(struct transport *t)
{
	struct err err = { 0 };
	if (read_token(t, &err) < 0)
		complain(t, &err);
}

/* Takes over a new bundle. Streams that were opened as somebody else are ended, from a callback of
 * their own. */
static void use_bundle(struct transport *t, struct bundle *fresh)
{
	bool other = !streq(fresh->cert, t->bundle->cert);
	bundle_unref(t->bundle);
	t->bundle = fresh;
	if (!other)
		return;
	list_for_each(n, &t->calls) {
		struct kube_call *c = list_entry(n, struct kube_call, node);
		c->retired = c->stream && c->op && c->status / 100 == 2;
		if (c->retired)
			timer_set_in(&c->timer, 0);
	}
}

static bool due(usec_t last, usec_t now)
{
	return last == 0 || now - last >= FILES_INTERVAL;
}

static void refresh(struct transport *t)
{
	usec_t now = loop_now(t->loop);
	struct err err = { 0 };
	if (t->token_file && due(t->token_at, now))
		refresh_token(t);
	if (!(t->ca_file || t->cert_file || t->key_file) || !due(t->files_at, now))
		return;
	t->files_at = now;
	struct bundle *fresh = NULL;
	if (bundle_new(t, t->bundle, &fresh, &err) < 0) {
		complain(t, &err);
		return;
	}
	t->complained = false;
	if (same_bundle(fresh, t->bundle)) {
		bundle_unref(fresh);
		return;
	}
	log_info("certificates for the API server have changed");
	use_bundle(t, fresh);
}

/* What the plugin gave last, for the requests from now on. */
static int use_credential(struct transport *t, struct err *err)
{
	const struct exec_credential *given = plugin_credential(t->plugin);
	if (!given || plugin_serial(t->plugin) == t->plugin_serial)
		return 0;
	struct bundle *fresh = NULL;
	const struct bundle from = { .ca = t->bundle->ca, .cert = given->cert, .key = given->key };
	int r = bundle_new(t, &from, &fresh, err);
	if (r < 0)
		return err_wrap(err, "credential plugin");
	use_bundle(t, fresh);
	secret_free(t->token);
	t->token = xstrdup(given->token);
	t->plugin_serial = plugin_serial(t->plugin);
	return 0;
}

/* --- calls
 * -----------------------------------------------------------------------------------------------
 */

static void call_free(struct kube_call *c)
{
	list_unlink(&c->node);
	timer_stop(&c->timer);
	plugin_leave(&c->waiter);
	http_cancel(c->op);
	bundle_unref(c->bundle);
	secret_zero(c->body, c->body_len);
	free(c->body);
	free(c->method);
	free(c->path);
	free(c->content_type);
	free(c->accept);
	secret_free(c->token);
	free(c);
}

static int go(struct kube_call *c, struct err *err);

/* Whether the refused request is worth a second try: only if there is another token by now, or may
 * be one. */
static bool may_repeat(struct kube_call *c)
{
	struct transport *t = c->transport;
	if (c->repeated || (!t->token_file && !t->plugin))
		return false;
	if (t->plugin) {
		plugin_refused(t->plugin, c->plugin_serial);
		return true;
	}
	refresh_token(t);
	return !streq(t->token, c->token);
}

/* Each answer, and each request that got none, by client-go's labels. */
static void count_call(const struct kube_call *c, int status)
{
	char code[12] = "<error>";
	const char *host = c->transport->host;
	double took = (double)(loop_now(c->transport->loop) - c->started) / (double)USEC_PER_SEC;
	if (status)
		snprintf(code, sizeof(code), "%d", status);
	metric_add(METRIC_CLIENT_REQUESTS, 1, code, host, c->method);
	metric_observe(METRIC_CLIENT_SECONDS, took, host, c->method);
}

static int on_head(void *data, const struct http_response *r)
{
	struct kube_call *c = data;
	c->status = r->status;
	count_call(c, r->status);
	c->repeating = r->status == 401 && may_repeat(c);
	if (!c->repeating && c->handlers.head)
		c->handlers.head(c->data, r->status, r->retry_after_s);
	return 0;
}

static int on_body(void *data, const char *bytes, size_t len)
{
	struct kube_call *c = data;
	return c->repeating ? 0 : c->handlers.body(c->data, bytes, len);
}

static void finish(struct kube_call *c, const struct err *err, int status, const char *body,
		   size_t len)
{
	struct kube_http_handlers h = c->handlers;
	void *data = c->data;
	struct err own;
	if (c->status == 0)
		count_call(c, 0);
	if (err) {
		own = *err;
		if (own.kind == ERR_CANCELLED)
			own.kind = ERR_PROTOCOL; /* our reader gave up on the bytes */
	}
	c->op = NULL;
	call_free(c);
	h.done(data, err ? &own : NULL, err ? 0 : status, body, len);
}

static void on_done(void *data, const struct err *err, const struct http_response *r,
		    const char *body, size_t len)
{
	struct kube_call *c = data;
	struct err again = { 0 };
	if (!c->repeating) {
		finish(c, err, r->status, body, len);
		return;
	}
	c->op = NULL;
	c->repeating = false;
	c->repeated = true;
	if (go(c, &again) < 0)
		finish(c, &again, 0, "", 0);
}

static void on_header(void *data, const char *name, const char *value)
{
	struct kube_call *c = data;
	if (strcasecmp(name, "Warning") == 0)
		warnings_take(&c->transport->warnings, c->method, c->path, value);
}

/* Headers of a request; the lines that are made for it are freed by the caller. */
static void add_headers(const struct kube_call *c, const char *headers[HEADERS_MAX + 2],
			char **ret_accept)
{
	size_t n = 0;
	*ret_accept = xasprintf("Accept: %s", c->accept ? c->accept : "application/json");
	headers[n++] = *ret_accept;
	for (char **h = c->transport->as_headers; h && *h && n < HEADERS_MAX; h++)
		headers[n++] = *h;
	headers[n] = NULL;
}

static int send_call(struct kube_call *c, struct err *err)
{
	static const struct http_handlers stream = {
		.head = on_head, .body = on_body, .done = on_done, .header = on_header
	};
	static const struct http_handlers plain = { .head = on_head,
						    .done = on_done,
						    .header = on_header };
	struct transport *t = c->transport;
	const char *headers[HEADERS_MAX + 2];
	_cleanup_(freep) char *accept = NULL;
	_cleanup_(freep) char *url = xasprintf("%s%s", t->server, c->path);
	add_headers(c, headers, &accept);
	secret_free(c->token);
	c->token = xstrdup(t->token);
	c->plugin_serial = t->plugin_serial;
	bundle_unref(c->bundle);
	c->bundle = t->bundle;
	c->bundle->refs++;
	const struct http_request r = {
		.method = c->method,
		.url = url,
		.headers = headers,
		.content_type = c->content_type,
		.body = c->body,
		.body_len = c->body_len,
		.bearer = c->token,
		.username = t->username,
		.password = t->password,
		.tls = &c->bundle->tls,
		.proxy = t->proxy,
		.timeout = c->timeout,
		.idle_timeout = c->idle_timeout,
		.max_body_bytes = ANSWER_MAX,
		/* Lists are worth it; a watch would wait for the compressor's buffer to fill. */
		.accept_gzip = !t->no_compression && streq(c->method, "GET") &&
			       !strstr(c->path, "watch=1"),
		.once = !streq(c->method, "GET") && !streq(c->method, "HEAD"),
	};
	c->op = http_start(t->http, &r, c->stream ? &stream : &plain, c, err);
	return c->op ? 0 : err_value(err);
}

/* Sends, or waits for credentials first. */
static int go(struct kube_call *c, struct err *err)
{
	struct transport *t = c->transport;
	if (t->plugin && !plugin_ready(t->plugin)) {
		plugin_wait(t->plugin, &c->waiter);
		return 0;
	}
	int r = t->plugin ? use_credential(t, err) : 0;
	return r < 0 ? r : send_call(c, err);
}

/* Those that are about to expire do, as long as there are no others. */
static void on_credentials(void *data, const struct err *err)
{
	struct kube_call *c = data;
	struct err own = { 0 };
	if (err)
		own = *err;
	else if (use_credential(c->transport, &own) == 0 && send_call(c, &own) == 0)
		return;
	finish(c, &own, 0, "", 0);
}

/* A request that cannot even be started fails after the call has returned. */
static void on_early(void *data)
{
	struct kube_call *c = data;
	struct err err = c->early;
	if (c->retired) {
		http_cancel(c->op);
		finish(c, NULL, c->status, "", 0);
		return;
	}
	finish(c, &err, 0, "", 0);
}

static struct kube_call *start(struct kube_transport *base, const struct kube_http_request *r,
			       const struct kube_http_handlers *handlers, void *data)
{
	struct transport *t = (struct transport *)base;
	struct kube_call *c = xcalloc(1, sizeof(*c));
	refresh(t);
	*c = (struct kube_call){ .transport = t,
				 .handlers = *handlers,
				 .data = data,
				 .method = xstrdup(r->method),
				 .path = xstrdup(r->path),
				 .content_type = xstrdup(r->content_type),
				 .accept = xstrdup(r->accept),
				 .body = r->body_len ? xmemdup(r->body, r->body_len) : NULL,
				 .body_len = r->body_len,
				 .stream = r->stream,
				 .started = loop_now(t->loop),
				 .timeout = r->timeout,
				 .idle_timeout = r->idle_timeout };
	list_append(&t->calls, &c->node);
	timer_init(&c->timer, t->loop, "kube request", on_early, c);
	plugin_waiter_init(&c->waiter, on_credentials, c);
	if (go(c, &c->early) < 0)
		timer_set_in(&c->timer, 0);
	return c;
}

/* --- the transport
 * ----------------------------------------------------------------------------------------- */

static struct kube_transport *transport_free(struct kube_transport *base)
{
	struct transport *t = (struct transport *)base;
	if (!t)
		return NULL;
	for (struct list *n; (n = list_take_first(&t->calls));)
		call_free(list_entry(n, struct kube_call, node));
	http_client_free(t->http);
	plugin_free(t->plugin);
	warnings_done(&t->warnings);
	bundle_unref(t->bundle);
	char *plain[] = { t->server,	t->tls_server_name, t->proxy,	   t->ca_file,
			  t->cert_file, t->key_file,	    t->token_file, t->username };
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
		free(plain[i]);
	secret_free(t->password);
	secret_free(t->token);
	for (char **h = t->as_headers; h && *h; h++)
		free(*h);
	free(t->as_headers);
	free(t);
	return NULL;
}

static void transport_freep(struct transport **t)
{
	if (*t)
		transport_free(&(*t)->base);
}

static const struct kube_transport_ops ops = { start, call_free, transport_free };

static size_t count(char **list)
{
	size_t n = 0;
	while (list && list[n])
		n++;
	return n;
}

/* Impersonation. */
static char **impersonation(const struct kube_config *c)
{
	size_t n = 0;
	if (!c->as_user)
		return NULL;
	char **h = xcalloc(count(c->as_groups) + count(c->as_extra) + 3, sizeof(char *));
	h[n++] = xasprintf("Impersonate-User: %s", c->as_user);
	if (c->as_uid)
		h[n++] = xasprintf("Impersonate-Uid: %s", c->as_uid);
	for (char **g = c->as_groups; g && *g; g++)
		h[n++] = xasprintf("Impersonate-Group: %s", *g);
	for (char **e = c->as_extra; e && *e; e++) {
		_cleanup_(strbuf_done) struct strbuf key = { 0 };
		size_t len = strcspn(*e, "=");
		_cleanup_(freep) char *name = xstrndup(*e, len);
		strbuf_add_urlencoded(&key, name);
		h[n++] = xasprintf("Impersonate-Extra-%s: %s", str_or(key.data, ""),
				   *e + len + ((*e)[len] == '='));
	}
	return h;
}

static void copy_config(struct transport *t, const struct kube_config *c)
{
	t->server = xstrdup(c->server);
	t->host = strstr(t->server, "//") ? strstr(t->server, "//") + 2 : t->server;
	t->tls_server_name = xstrdup(c->tls_server_name);
	t->proxy = xstrdup(c->proxy);
	t->ca_file = c->ca ? NULL : xstrdup(c->ca_file);
	t->cert_file = c->cert ? NULL : xstrdup(c->cert_file);
	t->key_file = c->key ? NULL : xstrdup(c->key_file);
	t->token_file = xstrdup(c->token_file);
	t->token = xstrdup(c->token);
	t->username = xstrdup(c->username);
	t->password = xstrdup(c->password);
	t->as_headers = impersonation(c);
	t->insecure = c->insecure;
	t->no_compression = c->no_compression;
}

static int read_files(struct transport *t, const struct kube_config *c, struct err *err)
{
	const struct bundle given = { .ca = c->ca, .cert = c->cert, .key = c->key };
	struct err token_err = { 0 };
	t->files_at = loop_now(t->loop);
	if (read_token(t, &token_err) < 0 && !t->token)
		return err_copy(err, &token_err);
	return bundle_new(t, &given, &t->bundle, err);
}

/* The helper is forked here unless whoever gives up privileges has done so before. */
static int open_plugin(struct transport *t, const struct kube_config *config, struct err *err)
{
	struct kube_config own = *config;
	if (!config->exec)
		return 0;
	int r = kube_config_start_plugin(&own, err);
	if (r < 0)
		return r;
	r = plugin_new(t->loop, config, own.runner, &t->plugin, err);
	if (own.runner != config->runner)
		kube_runner_unref(own.runner);
	return r;
}

int kube_http_transport_new(struct loop *loop, const struct kube_config *config,
			    const char *user_agent, struct kube_transport **ret, struct err *err)
{
	_cleanup_(transport_freep) struct transport *t = xcalloc(1, sizeof(*t));
	t->base.ops = &ops;
	t->loop = loop;
	list_init(&t->calls);
	copy_config(t, config);
	if (count(t->as_headers) > HEADERS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d groups and extras to impersonate",
			       HEADERS_MAX);
	int r = read_files(t, config, err);
	if (r == 0)
		r = open_plugin(t, config, err);
	const struct http_client_options o = { .user_agent = user_agent,
					       .max_connections = CONNECTIONS_MAX,
					       .max_host_connections = CONNECTIONS_MAX };
	if (r == 0)
		r = http_client_new(loop, &o, &t->http, err);
	if (r < 0)
		return err_wrap(err, "API server %s", config->server);
	*ret = &TAKE_PTR(t)->base;
	return 0;
}

void kube_http_transport_reread(struct kube_transport *base)
{
	struct transport *t = (struct transport *)base;
	t->files_at = t->token_at = 0;
}
