/* Health and metrics of a process (see service.h): who may read the metrics, by which certificate.
 * Liveness asks for the progress of our own loops and of the Lease's attempts, never for an answer
 * of the API server: or all instances would be restarted whenever it is away.
 *
 * On a cluster metrics go by HTTPS to accounts that the cluster allows to get the path /metrics,
 * with a certificate made at each start, as controller-runtime's is; names of hosts are in them. In
 * the same way, by its own path, goes what the engine does: a pod has no shell to ask the debug
 * socket from. Without a cluster nothing can say who may read them, and the socket is at hand. */

#include "health/service.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "crypt/crypt.h"
#include "health/validity.h"
#include "kube/client.h"
#include "metrics/metrics.h"
#include "net/net.h"

#define ONE_YEAR (365 * 24 * USEC_PER_HOUR)

struct health_service {
	struct health_service_wiring wiring;
	struct web *web;
	struct web_server *health_server, *metrics_server;
	struct health *health;
	struct kube_client *client;
	struct kube_reviewer *reviewer;
	struct crypt_pair cert;
	struct timer validity;
	struct validity seen;
	struct net_addr metrics_addr;
	enum web_tls tls_min;
};

#define ROWS(health_standard, metrics_standard, metrics_help)                                      \
	{                                                                                          \
		{ .name = "health-addr",                                                           \
		  .argument = "[ADDRESS]:PORT",                                                    \
		  .standard = (health_standard),                                                   \
		  .help = "serve /healthz and /readyz here; 0: do not",                            \
		  .type = &net_option_listen,                                                      \
		  .offset = offsetof(struct health_service_options, health) },                     \
			{ .name = "metrics-addr",                                                  \
			  .argument = "[ADDRESS]:PORT",                                            \
			  .standard = (metrics_standard),                                          \
			  .help = (metrics_help),                                                  \
			  .type = &net_option_listen,                                              \
			  .offset = offsetof(struct health_service_options, metrics) },            \
			{ .name = NULL },                                                          \
	}

const struct option_row health_cluster_rows[] = ROWS(
	"127.0.0.1:9440", "127.0.0.1:8443",
	"serve /metrics by HTTPS to accounts that the cluster allows to read it; 0: do not");
const struct option_row health_plain_rows[] = ROWS(
	"0", "0", "serve /metrics by plain HTTP, on a loopback address only; 0: do not");

int health_service_check_plain(const struct health_service_options *o, struct err *err)
{
	char text[NET_TEXT_MAX];
	if (o->metrics.off || net_is_loopback(&o->metrics.addr))
		return 0;
	return err_set(
		err, ERR_INVALID,
		"--metrics-addr: %s is not a loopback address: without a cluster, metrics are "
		"served over plain HTTP to anyone",
		net_format(&o->metrics.addr, text));
}

static int make_health(struct health_service *m, struct err *err)
{
	const struct health_service_wiring *w = &m->wiring;
	const struct health_options o = { .checks = w->checks,
					  .loop = w->loop,
					  .measure = w->measure,
					  .data = w->data,
					  .debug = w->describe,
					  .reviewer = m->reviewer };
	return health_new(&o, &m->health, err);
}

/* --- listeners -------------------------------------------------------------------------------- */

static int make_certificate(struct health_service *m, const struct net_addr *a, struct err *err)
{
	char address[NET_IP_TEXT_MAX];
	const char *addresses[] = { net_format_ip(a, address), NULL };
	const char *names[] = { "localhost", NULL };
	usec_t now = loop_wall(m->wiring.loop);
	const struct crypt_cert_spec spec = { .common_name = "ingot metrics",
					      .dns_names = names,
					      .addresses = addresses,
					      .not_before = now - USEC_PER_HOUR,
					      .not_after = now + ONE_YEAR,
					      .server = true };
	struct crypt_pair fresh = { 0 };
	int r = crypt_make_cert(&spec, NULL, &fresh, err);
	metric_add(METRIC_CERT_READS, 1);
	metric_add(METRIC_CERT_READ_ERRORS, r < 0);
	if (r < 0)
		return r; /* the old one stays, and the next look tries again */
	crypt_pair_release(&m->cert);
	m->cert = fresh;
	return 0;
}

static int open_server(struct health_service *m, const char *name, const struct net_listen *l,
		       const struct web_route *routes, const struct crypt_pair *cert,
		       struct web_server **ret, struct err *err)
{
	char address[NET_IP_TEXT_MAX], text[NET_TEXT_MAX];
	struct net_addr bound = l->addr;
	const struct web_server_options o = { .name = name,
					      .address = net_format_ip(&l->addr, address),
					      .port = net_port(&l->addr),
					      .cert = cert ? cert->cert : NULL,
					      .key = cert ? cert->key : NULL,
					      .tls_min = m->tls_min,
					      .routes = routes,
					      .max_connections = 64 };
	int r = web_server_open(m->web, &o, ret, err);
	if (r < 0)
		return err_wrap(err, "--%s-addr", name);
	net_set_port(&bound, web_server_port(*ret));
	log_info("listening", "for", name, "address", net_format(&bound, text));
	return 0;
}

/* A process may run for longer than a year, and clocks are set. */
static void look_at_validity(void *data)
{
	struct health_service *m = data;
	struct err err;
	usec_t wall = loop_wall(m->wiring.loop), from, to;
	if (!m->cert.cert || !m->metrics_server)
		return;
	bool good = crypt_cert_validity(m->cert.cert, &from, &to, NULL) == 0 && from <= wall &&
		    to > wall + VALIDITY_SOON;
	if (!good &&
	    (make_certificate(m, &m->metrics_addr, &err) < 0 ||
	     web_server_set_certificate(m->metrics_server, m->cert.cert, m->cert.key, &err) < 0))
		log_warn("the certificate of --metrics-addr cannot be renewed", "error", err.text);
	if (m->cert.cert)
		validity_look(&m->seen, m->cert.cert, wall);
	timer_set_in(&m->validity, VALIDITY_LOOK);
}

/* Not fenced: instances that stand by are asked too. */
static void make_reviewer(struct health_service *m)
{
	const struct kube_client_options o = { .loop = m->wiring.loop,
					       .transport = m->wiring.cluster,
					       .qps = 5,
					       .burst = 10,
					       .timeout = 8 * USEC_PER_SEC };
	m->client = kube_client_new(&o);
	m->reviewer = kube_reviewer_new(m->client);
}

static int open_all(struct health_service *m, const struct health_service_options *o,
		    struct err *err)
{
	const struct net_listen *health = &o->health, *metrics = &o->metrics;
	bool tls = m->wiring.cluster != NULL;
	int r = web_new(&m->web, err);
	if (r == 0 && tls && !metrics->off)
		r = make_certificate(m, &metrics->addr, err);
	if (r == 0)
		r = make_health(m, err);
	if (r == 0 && !health->off)
		r = open_server(m, "health", health, health_routes(m->health), NULL,
				&m->health_server, err);
	if (r == 0 && !metrics->off)
		r = open_server(m, "metrics", metrics, health_metrics_routes(m->health),
				tls ? &m->cert : NULL, &m->metrics_server, err);
	return r;
}

int health_service_start(const struct health_service_options *options,
			 const struct health_service_wiring *wiring, struct health_service **ret,
			 struct err *err)
{
	metric_set(METRIC_BUILD, 1, INGOT_VERSION);
	if (options->health.off && options->metrics.off)
		return 0;
	struct health_service *m = xcalloc(1, sizeof(*m));
	m->wiring = *wiring;
	m->tls_min = options->tls_min;
	m->metrics_addr = options->metrics.addr;
	m->seen = (struct validity){ "metrics", "nothing: it is renewed", 0, 0 };
	timer_init(&m->validity, wiring->loop, "validity", look_at_validity, m);
	if (wiring->cluster)
		make_reviewer(m);
	*ret = m;
	int r = open_all(m, options, err);
	m->wiring.checks = NULL; /* health_new() has copied them */
	if (r < 0)
		return r;
	look_at_validity(m);
	return 0;
}

void health_service_stop(struct health_service *m)
{
	if (!m)
		return;
	timer_stop(&m->validity);
	m->health_server = web_server_close(m->health_server);
	m->metrics_server = web_server_close(m->metrics_server);
	health_stop(m->health);
	m->reviewer = kube_reviewer_free(m->reviewer);
	kube_client_free(m->client);
	m->client = NULL;
}

struct health_service *health_service_free(struct health_service *m)
{
	if (!m)
		return NULL;
	health_service_stop(m);
	health_free(m->health);
	web_free(m->web);
	crypt_pair_release(&m->cert);
	free(m);
	return NULL;
}
