#pragma once
/* Metrics in Prometheus's text format. All of them are rows of one table (table.c), so that they
 * can be listed, documented and checked; a series comes to be when it is first written to, and goes
 * with its host. Like the log there is one set per process: who counts something does so in one
 * line, where it happens.
 *
 * Labels are those of the row, in its order; one that is left out is "". What a peer chooses freely
 * (paths, methods, texts) is no label value. any thread */

#include "base/str.h"

enum {
	METRIC_LABELS_MAX = 3,
	/* Of one metric. New ones above are not kept, and counted in
	 * ingot_metrics_dropped_series_total. */
	METRIC_SERIES_MAX = 65536,
};

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

enum metric_id {
	/* controller-runtime, client-go */
	METRIC_RECONCILES,
	METRIC_RECONCILE_ERRORS,
	METRIC_RECONCILE_TERMINAL_ERRORS,
	METRIC_RECONCILE_PANICS,
	METRIC_RECONCILE_TIMEOUTS,
	METRIC_RECONCILE_SECONDS,
	METRIC_RECONCILES_MAX,
	METRIC_WORKERS,
	METRIC_QUEUE_DEPTH,
	METRIC_QUEUE_ADDS,
	METRIC_QUEUE_SECONDS,
	METRIC_QUEUE_WORK_SECONDS,
	METRIC_QUEUE_UNFINISHED_SECONDS,
	METRIC_QUEUE_LONGEST_SECONDS,
	METRIC_QUEUE_RETRIES,
	METRIC_CLIENT_REQUESTS,
	METRIC_CLIENT_SECONDS,
	METRIC_LEADER,
	METRIC_WEBHOOK_REQUESTS,
	METRIC_WEBHOOK_SECONDS,
	METRIC_WEBHOOK_IN_FLIGHT,
	METRIC_CERT_READS,
	METRIC_CERT_READ_ERRORS,
	/* the process */
	METRIC_PROCESS_CPU,
	METRIC_PROCESS_START,
	METRIC_PROCESS_RESIDENT,
	METRIC_PROCESS_VIRTUAL,
	METRIC_PROCESS_FDS,
	METRIC_PROCESS_FDS_MAX,
	/* baremetal-operator */
	METRIC_HOST_RECONCILES,
	METRIC_HOST_RECONCILE_ERRORS,
	METRIC_HOST_ERRORS,
	METRIC_POWER_CHANGES,
	METRIC_CREDENTIALS_MISSING,
	METRIC_CREDENTIALS_INVALID,
	METRIC_CREDENTIALS_UNHANDLED,
	METRIC_CREDENTIALS_UPDATED,
	METRIC_CREDENTIALS_NO_ACCESS,
	METRIC_CONFIG_DATA_ERRORS,
	METRIC_DELAYED_PROVISIONING,
	METRIC_DELAYED_DEPROVISIONING,
	METRIC_REGISTER_SECONDS,
	METRIC_INSPECT_SECONDS,
	METRIC_PROVISION_SECONDS,
	METRIC_DEPROVISION_SECONDS,
	METRIC_STATE_CHANGES,
	METRIC_REGISTRATIONS_REQUIRED,
	METRIC_UNMANAGED,
	METRIC_DELETED_NOT_DEPROVISIONED,
	METRIC_PROVISIONER_NOT_READY,
	METRIC_DELETES_DELAYED,
	METRIC_WAITS_FOR_PREPROV_IMAGE,
	METRIC_DELETED_NOT_POWERED_OFF,
	/* Ingot's own */
	METRIC_BUILD,
	METRIC_DROPPED_SERIES,
	METRIC_SLOW_CALLBACKS,
	METRIC_NODES,
	METRIC_HOSTS_HELD,
	METRIC_OPERATIONS,
	METRIC_STEPS,
	METRIC_IMAGE_BYTES,
	METRIC_BMC_REQUESTS,
	METRIC_BMC_SECONDS,
	METRIC_BMC_BREAKS,
	METRIC_DHCP_ANSWERS,
	METRIC_DHCP_IGNORED,
	METRIC_TFTP_TRANSFERS,
	METRIC_TFTP_BYTES,
	METRIC_BOOT_REQUESTS,
	METRIC_AGENT_REQUESTS,
	METRIC_API_REQUESTS,
	METRIC_API_SECONDS,
	METRIC_API_WATCHES,
	_METRIC_MAX,
};

struct metric {
	const char *name, *help;
	enum metric_type type;
	const char *labels[METRIC_LABELS_MAX]; /* NULL: no more */
	const double *buckets;		       /* upper bounds, ended by 0; histograms only */
};

enum metric_verb { METRIC_ADD, METRIC_SET, METRIC_OBSERVE };

const struct metric *metric_row(enum metric_id id);

/* Values of labels follow, ended by NULL. To be used by these: the first argument after the metric
 * is a double, the rest are strings. A metric without labels is there from the start, as 0. */
void metric_write(enum metric_id id, enum metric_verb verb, double value, ...)
	__attribute__((sentinel));
#define metric_add(id, ...)	metric_write((id), METRIC_ADD, __VA_ARGS__, NULL)
#define metric_set(id, ...)	metric_write((id), METRIC_SET, __VA_ARGS__, NULL)
#define metric_observe(id, ...) metric_write((id), METRIC_OBSERVE, __VA_ARGS__, NULL)

/* The host is gone, and with it every series whose first labels are its namespace and host. */
void metrics_forget_host(const char *ns, const char *host);
/* The whole page, text format 0.0.4. With ten thousand hosts it is tens of megabytes: not on a
 * thread that others wait for. */
void metrics_text(struct strbuf *out);
/* Reads CPU, memory and descriptors of this process from /proc. */
void metrics_measure_process(void);
/* For tests: forgets every series. */
void metrics_reset(void);
