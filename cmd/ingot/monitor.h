#pragma once
/* The listeners for health and metrics of a command, on a thread of their own. Main thread. */

#include "health/health.h"
#include "kube/transport.h"
#include "manager.h"
#include "net/options.h"

struct monitor_options {
	struct net_listen health, metrics;
	enum web_tls tls_min; /* of the metrics; no option here */
};

/* On a cluster, and without one. */
extern const struct option_row monitor_cluster_rows[], monitor_plain_rows[];

struct monitor;

struct monitor_wiring {
	struct loop *loop;	 /* the core loop */
	struct manager *manager; /* NULL: there is none (--api-only) */
	struct loop *store_loop; /* of the embedded API server; NULL: there is none */
	/* Who reads the metrics, and what the engine does, is asked there; NULL: metrics alone, by
	 * plain HTTP for whoever comes, on the loopback only. */
	struct kube_transport *cluster;
};

/* Before anything is opened, where metrics are served without TLS. */
int monitor_check_plain(const struct monitor_options *options, struct err *err);
/* After the sandbox. *ret stays NULL when both are switched off. */
int monitor_start(const struct monitor_options *options, const struct monitor_wiring *wiring,
		  struct monitor **ret, struct err *err);
/* Before the manager, the transport and the store's loop are freed: closes the listeners. No
 * question goes to any loop afterwards. */
void monitor_stop(struct monitor *m);
/* After the watched loops have ended. */
struct monitor *monitor_free(struct monitor *m);
