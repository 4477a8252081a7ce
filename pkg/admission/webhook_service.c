/* Wiring of the admission webhooks. The listener opens with the first certificate: without one
 * no client could talk to it. Files of --webhook-cert-dir are read every ten seconds, which sees
 * the switch of a Secret volume's ..data link as well as files that are written one after the
 * other; a pair that does not fit leaves the old one in service. */

#include "admission/webhook_service.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admission/certs.h"
#include "admission/webhook.h"
#include "api/secret.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "crypt/tls.h"
#include "health/validity.h"
#include "kube/file.h"
#include "loop/thread.h"
#include "metrics/metrics.h"
#include "net/options.h"

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
	struct timer files, listen, validity;
	struct validity seen;
	char *names;
	char *complaint; /* told once */
};

/* --- options ---------------------------------------------------------------------------------- */

#define FIELD(member) .offset = offsetof(struct webhook_options, member)

const struct option_row webhook_option_rows[] = {
	{ .name = "webhook-port",
	  .argument = "PORT",
	  .standard = "9443",
	  .help = "serve admission webhooks (HTTPS) on this port; 0: none",
	  .type = &option_port,
	  .max = UINT16_MAX,
	  FIELD(port) },
	{ .name = "webhook-bind",
	  .argument = "ADDRESS",
	  .help = "serve webhooks at this address only; default: all addresses",
	  .type = &net_option_ip,
	  FIELD(bind) },
	{ .name = "webhook-service",
	  .argument = "NAME",
	  .standard = "ingot-webhook",
	  .help = "name this Service in --own-namespace in the certificate",
	  .type = &net_option_host,
	  FIELD(service) },
	{ .name = "webhook-name",
	  .argument = "NAME",
	  .help = "name this DNS name or address in the certificate as well; may be repeated",
	  .type = &net_option_hosts,
	  FIELD(names) },
	{ .name = "webhook-configuration",
	  .argument = "NAME",
	  .standard = "ingot",
	  .help = "keep the CA bundles of this ValidatingWebhookConfiguration",
	  .type = &option_subdomain,
	  FIELD(configuration) },
	{ .name = "webhook-cert-lifetime",
	  .argument = "SECONDS",
	  .standard = "7776000",
	  .help = "make certificates valid for this long; they are replaced after two thirds",
	  .type = &option_seconds,
	  .min = LIFETIME_MIN_S,
	  .max = LIFETIME_MAX_S,
	  FIELD(lifetime) },
	{ .name = "webhook-cert-dir",
	  .argument = "DIR",
	  .help = "use the externally managed tls.crt and tls.key of this directory",
	  .type = &option_path,
	  FIELD(cert_dir) },
	{ .name = NULL },
};

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
	char address[NET_IP_TEXT_MAX];
	const struct web_route rows[] = { webhook_route(w->routes), { .prefix = NULL } };
	bool all = net_family(&w->o->bind) == AF_UNSPEC;
	const struct web_server_options options = {
		.name = "webhooks",
		.address = all ? NULL : net_format_ip(&w->o->bind, address),
		.port = w->o->port,
		.cert = w->pair.cert,
		.key = w->pair.key,
		.tls_min = w->o->tls_min,
		.routes = rows,
		.max_connections = CONNECTIONS_MAX,
		/* API servers, each at one address */
		.share_percent = 100
	};
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
	char port[8];
	snprintf(port, sizeof(port), "%u", w->o->port);
	str_replace(&w->complaint, NULL);
	log_info("admission webhooks are served", "port", port);
}

static void reject_certificate(struct webhooks *w, const struct err *err)
{
	metric_add(METRIC_CERT_READ_ERRORS, 1);
	complain(w, "the webhooks' new certificate cannot be used", err);
}

static void look_at_validity(void *data)
{
	struct webhooks *w = data;
	if (w->pair.cert)
		validity_look(&w->seen, w->pair.cert, loop_wall(w->loop));
	timer_set_in(&w->validity, VALIDITY_LOOK);
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
		reject_certificate(w, &err);
	else
		log_info("the webhooks have a new certificate");
	look_at_validity(w);
}

/* --- certificates that are managed externally ------------------------------------------------- */

static int read_files(const char *dir, usec_t wall, struct crypt_pair *ret, struct err *err)
{
	_cleanup_(freep) char *cert = xasprintf("%s/tls.crt", dir);
	_cleanup_(freep) char *key = xasprintf("%s/tls.key", dir);
	int r = kube_read_file(cert, &ret->cert, err);
	if (r == 0)
		r = kube_read_file(key, &ret->key, err);
	if (r == 0)
		r = crypt_pair_check(ret->cert, ret->key, err);
	if (r == 0)
		r = crypt_cert_check_time(ret->cert, wall, err);
	return r < 0 ? err_wrap(err, "--webhook-cert-dir") : 0;
}

static void look_at_files(void *data)
{
	struct webhooks *w = data;
	_cleanup_(crypt_pair_release) struct crypt_pair pair = { 0 };
	struct err err = { 0 };
	timer_set_in(&w->files, FILES_EVERY);
	int r = read_files(w->o->cert_dir, loop_wall(w->loop), &pair, &err);
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
	const struct certs_options options = { .client = client,
					       .ns = ns,
					       .secret = SECRET_WEBHOOK,
					       .configuration = w->o->configuration,
					       .names = w->names,
					       .lifetime = w->o->lifetime,
					       .serve = serve,
					       .data = w };
	return certs_new(&options);
}

struct webhooks *webhooks_start(struct kube_client *client, const struct webhook_options *o,
				const char *own_ns, const char *watched_ns)
{
	struct loop *own;
	struct err err;
	if (o->port == 0)
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
	timer_init(&w->validity, w->loop, "webhook validity", look_at_validity, w);
	w->seen = (struct validity){ "webhooks",
				     o->cert_dir ? "renew the files in --webhook-cert-dir"
						 : "set the clock; Ingot renews it by itself",
				     o->cert_dir ? VALIDITY_SOON : o->lifetime / 6, 0 };
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
	timer_stop(&w->validity);
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
