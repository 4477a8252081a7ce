#pragma once
/* The listeners for health and metrics of a process, with their certificate, on a thread of their
 * own. Main thread. */

#include "base/options.h"
#include "health/health.h"
#include "kube/transport.h"
#include "net/options.h"

struct health_service_options {
	struct net_listen health, metrics;
	enum web_tls tls_min; /* of the metrics; no option here */
};

/* On a cluster, and without one. */
extern const struct option_row health_cluster_rows[], health_plain_rows[];

struct health_service;

struct health_service_wiring {
	struct loop *loop;		   /* the core loop */
	const struct health_check *checks; /* as health_options has them, and the next three */
	void (*measure)(void *data);
	void (*describe)(void *data, struct web_request *r, const char *path);
	void *data;
	/* Who reads the metrics, and what the engine does, is asked there; NULL: metrics alone, by
	 * plain HTTP without authentication, on the loopback only. */
	struct kube_transport *cluster;
};

/* Before anything is opened, where metrics are served without TLS. */
int health_service_check_plain(const struct health_service_options *options, struct err *err);
/* After the sandbox. *ret stays NULL when both are switched off. */
int health_service_start(const struct health_service_options *options,
			 const struct health_service_wiring *wiring, struct health_service **ret,
			 struct err *err);
/* Before what the checks ask, the transport and the watched loops are freed: closes the listeners.
 * No question goes to any loop afterwards. */
void health_service_stop(struct health_service *s);
/* After the watched loops have ended. */
struct health_service *health_service_free(struct health_service *s);
