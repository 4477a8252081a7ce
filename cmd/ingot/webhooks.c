/* Wiring of the admission webhooks. The listener opens with the first certificate: without one
 * nobody could talk to it. Files of --webhook-cert-dir are read every ten seconds, which sees the
 * switch of a Secret volume's ..data link as well as files that are written one after the other; a
 * pair that does not fit leaves the old one in service. */

#include "webhooks.h"

#include <stdlib.h>
#include <string.h>

#include "admission/certs.h"
#include "admission/webhook.h"
#include "api/secret.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "crypt/tls.h"
#include "kube/file.h"
#include "loop/thread.h"
#include "metrics/metrics.h"
#include "net/net.h"

#define FILES_EVERY  (10 * USEC_PER_SEC)
#define LISTEN_AGAIN (5 * USEC_PER_SEC)

/* An API server keeps a few open for each webhook. */
enum { CONNECTIONS_MAX = 64 };
enum { LIFETIME_MIN_S = 30, LIFETIME_MAX_S = 315360000 };

struct webhooks {
	struct loop *loop, *own;   /* the core's; that of requests */
	struct loop_thread thread; /* reads and judges requests */
	const struct webhook_options *o;
	struct webhook *routes;
	struct certs *certs; /* NULL: --webhook-cert-dir */
	struct web *web;
	struct web_server *server; /* NULL: no certificate yet, or the port cannot be had */
	struct crypt_pair pair;
	struct timer files, listen;
	char *names;
	char *complaint; /* told once */
};

/* --- options ---------------------------------------------------------------------------------- */

static int check_name(const char *option, const char *name, struct err *err)
{
	struct net_addr a;
	if (name_is_subdomain(name) || net_parse_ip(name, &a) == 0)
		return 0;
	return err_set(err, ERR_INVALID, "--%s: \"%s\" is neither a name nor an address", option,
		       name);
}

int webhooks_check(const struct webhook_options *o, struct err *err)
{
	uint64_t port, lifetime;
	struct net_addr a;
	if (!o->port)
		return 0;
	if (parse_u64(o->port, UINT16_MAX, &port) < 0)
		return err_set(err, ERR_INVALID, "--webhook-port: \"%s\" is not a port", o->port);
	if (o->bind && net_parse_ip(o->bind, &a) < 0)
		return err_set(err, ERR_INVALID, "--webhook-bind: \"%s\" is not an address",
			       o->bind);
	if (parse_u64(o->lifetime, LIFETIME_MAX_S, &lifetime) < 0 || lifetime < LIFETIME_MIN_S)
		return err_set(err, ERR_INVALID,
			       "--webhook-cert-lifetime: \"%s\" is not a number of seconds from %d "
			       "to %d",
			       o->lifetime, LIFETIME_MIN_S, LIFETIME_MAX_S);
	int r = check_name("webhook-service", o->service, err);
	for (size_t i = 0; i < o->names.count && r == 0; i++)
		r = check_name("webhook-name", o->names.items[i], err);
	return r;
}

/* The Service's name as an API server asks for it comes first. */
static char *all_names(const struct webhook_options *o, const char *ns)
{
	struct strbuf out = { 0 };
	strbuf_addf(&out, "%s.%s.svc", o->service, ns);
	for (size_t i = 0; i < o->names.count; i++)
		strbuf_addf(&out, ",%s", o->names.items[i]);
	return strbuf_take(&out, NULL);
}

/* --- the listener ----------------------------------------------------------------------------- */

static void complain(struct webhooks *w, const char *what, const struct err *err)
{
	if (!streq(w->complaint, err->text))
		log_warn(what, "error", err->text);
	str_replace(&w->complaint, err->text);
}

static int open_server(struct webhooks *w, struct err *err)
{
	uint64_t port = 0;
	const struct web_route rows[] = { webhook_route(w->routes), { .prefix = NULL } };
	parse_u64(w->o->port, UINT16_MAX, &port);
	const struct web_server_options options = { .name = "webhooks",
						    .address = w->o->bind,
						    .port = (uint16_t)port,
						    .cert = w->pair.cert,
						    .key = w->pair.key,
						    .tls_min = w->o->tls_min,
						    .routes = rows,
						    .max_connections = CONNECTIONS_MAX,
						    /* API servers, each at one address */
						    .share_percent = 100 };
	int r = w->thread.runs ? 0 : loop_thread_start(&w->thread, w->own, "webhook", err);
	if (r == 0 && !w->web)
		r = web_new(&w->web, err);
	return r < 0 ? r : web_server_open(w->web, &options, &w->server, err);
}

/* Another process may hold the port for a moment, at an upgrade on one machine. */
static void listen_now(void *data)
{
	struct webhooks *w = data;
	struct err err = { 0 };
	if (open_server(w, &err) < 0) {
		complain(w, "no admission webhooks yet", &err);
		timer_set_in(&w->listen, LISTEN_AGAIN);
		return;
	}
	str_replace(&w->complaint, NULL);
	log_info("admission webhooks are served", "port", w->o->port);
}

static void cannot_be_used(struct webhooks *w, const struct err *err)
{
	metric_add(METRIC_CERT_READ_ERRORS, 1);
	complain(w, "the webhooks' new certificate cannot be used", err);
}

static void serve(void *data, const struct crypt_pair *pair)
{
	struct webhooks *w = data;
	struct err err = { 0 };
	crypt_pair_release(&w->pair);
	w->pair = (struct crypt_pair){ xstrdup(pair->cert), xstrdup(pair->key) };
	timer_stop(&w->listen);
	if (!w->server)
		listen_now(w);
	else if (web_server_set_certificate(w->server, pair->cert, pair->key, &err) < 0)
		cannot_be_used(w, &err);
	else
		log_info("the webhooks have a new certificate");
}

/* --- certificates of somebody else ------------------------------------------------------------ */

static int read_files(const char *dir, struct crypt_pair *ret, struct err *err)
{
	_cleanup_(freep) char *cert = xasprintf("%s/tls.crt", dir);
	_cleanup_(freep) char *key = xasprintf("%s/tls.key", dir);
	int r = kube_read_file(cert, &ret->cert, err);
	if (r == 0)
		r = kube_read_file(key, &ret->key, err);
	if (r == 0)
		r = crypt_pair_check(ret->cert, ret->key, err);
	return r < 0 ? err_wrap(err, "--webhook-cert-dir") : 0;
}

static void look_at_files(void *data)
{
	struct webhooks *w = data;
	_cleanup_(crypt_pair_release) struct crypt_pair pair = { 0 };
	struct err err = { 0 };
	timer_set_in(&w->files, FILES_EVERY);
	int r = read_files(w->o->cert_dir, &pair, &err);
	metric_add(METRIC_CERT_READS, 1);
	metric_add(METRIC_CERT_READ_ERRORS, r < 0);
	if (r < 0)
		complain(w, "the webhooks' certificate cannot be read; the one in use stays", &err);
	else if (!streq(pair.cert, w->pair.cert) || !streq(pair.key, w->pair.key))
		serve(w, &pair);
}

/* --- life ------------------------------------------------------------------------------------- */

static struct certs *own_certs(struct webhooks *w, struct kube_client *client, const char *ns)
{
	uint64_t lifetime = 0;
	parse_u64(w->o->lifetime, LIFETIME_MAX_S, &lifetime);
	const struct certs_options options = { .client = client,
					       .ns = ns,
					       .secret = SECRET_WEBHOOK,
					       .configuration = w->o->configuration,
					       .names = w->names,
					       .lifetime = lifetime * USEC_PER_SEC,
					       .serve = serve,
					       .data = w };
	return certs_new(&options);
}

struct webhooks *webhooks_start(struct kube_client *client, const struct webhook_options *o,
				const char *own_ns, const char *watched_ns)
{
	struct loop *own;
	struct err err;
	if (!o->port || streq(o->port, "0"))
		return NULL;
	if (loop_new(&own, &err) < 0) {
		log_error("no admission webhooks", "error", err.text);
		return NULL;
	}
	struct webhooks *w = xcalloc(1, sizeof(*w));
	w->own = own;
	w->loop = kube_client_loop(client);
	w->o = o;
	w->names = all_names(o, own_ns);
	w->routes = webhook_new(w->own, client, watched_ns);
	timer_init(&w->files, w->loop, "webhook files", look_at_files, w);
	timer_init(&w->listen, w->loop, "webhook listener", listen_now, w);
	if (o->cert_dir)
		look_at_files(w);
	else
		w->certs = own_certs(w, client, own_ns);
	return w;
}

void webhooks_lead(struct webhooks *w)
{
	if (w && w->certs)
		certs_lead(w->certs);
}

bool webhooks_serve(const struct webhooks *w)
{
	return !w || w->server;
}

void webhooks_close(struct webhooks *w)
{
	if (!w)
		return;
	w->certs = certs_free(w->certs);
	timer_stop(&w->files);
	timer_stop(&w->listen);
	w->server = web_server_close(w->server);
	loop_thread_stop(&w->thread); /* what the server has posted runs before */
}

struct webhooks *webhooks_free(struct webhooks *w)
{
	if (!w)
		return NULL;
	webhooks_close(w);
	webhook_free(w->routes);
	web_free(w->web);
	loop_free(w->own);
	crypt_pair_release(&w->pair);
	free(w->names);
	free(w->complaint);
	free(w);
	return NULL;
}
