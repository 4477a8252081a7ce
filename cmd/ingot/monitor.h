#pragma once
/* The listeners for health and metrics of a command, on a thread of their own. Main thread. */

#include "health/health.h"
#include "kube/transport.h"
#include "manager.h"

struct monitor_options {
	const char *health_addr, *metrics_addr; /* "[ADDRESS]:PORT", "0": none */
	enum web_tls tls_min;			/* of the metrics; no option here */
};

#define MONITOR_OPTION_ROWS(type, member, health_standard, metrics_standard, metrics_help)         \
	{ .name = "health-addr",                                                                   \
	  .argument = "[ADDRESS]:PORT",                                                            \
	  .standard = (health_standard),                                                           \
	  .help = "/healthz and /readyz; 0: none",                                                 \
	  .kind = OPTION_STRING,                                                                   \
	  .offset = offsetof(type, member.health_addr) },                                          \
	{                                                                                          \
		.name = "metrics-addr", .argument = "[ADDRESS]:PORT",                              \
		.standard = (metrics_standard), .help = (metrics_help), .kind = OPTION_STRING,     \
		.offset = offsetof(type, member.metrics_addr)                                      \
	}

struct monitor;

struct monitor_wiring {
	struct loop *loop;	 /* the core loop */
	struct manager *manager; /* NULL: there is none (--api-only) */
	struct loop *store_loop; /* of the embedded API server; NULL: there is none */
	/* Who reads the metrics, and what the engine does, is asked there; NULL: metrics alone, by
	 * plain HTTP for whoever comes, on the loopback only. */
	struct kube_transport *cluster;
};

/* Before anything is opened. `plain`: metrics are served without TLS. */
int monitor_check(const struct monitor_options *options, bool plain, struct err *err);
/* After the sandbox. *ret stays NULL when both are switched off. */
int monitor_start(const struct monitor_options *options, const struct monitor_wiring *wiring,
		  struct monitor **ret, struct err *err);
/* Before the manager, the transport and the store's loop are freed: closes the listeners. No
 * question goes to any loop afterwards. */
void monitor_stop(struct monitor *m);
/* After the watched loops have ended. */
struct monitor *monitor_free(struct monitor *m);
