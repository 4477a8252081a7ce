/* The table of metrics. Names and labels of the first groups are others': dashboards and alerts of
 * controller-runtime, client-go and baremetal-operator ask for them, so they are kept to the letter
 * (also the two underscores of metal3_delayed__*). docs/metrics.md lists all rows; a test compares.
 * Constant. any thread */

#include <stddef.h>

#include "metrics/metrics.h"

static const double usual[] = { .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 0 };
static const double reconcile[] = { .005, .01, .025, .05, .1,  .15, .2, .25,  .3,  .35,	 .4,
				    .45,  .5,  .6,   .7,  .8,  .9,  1,	1.25, 1.5, 1.75, 2,
				    2.5,  3,   3.5,  4,	  4.5, 5,   6,	7,    8,   9,	 10,
				    15,	  20,  25,   30,  40,  50,  60, 0 };
static const double queue[] = { 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, .01, .1, 1, 10, 100, 1000, 0 };
static const double phase[] = { 30, 90, 180, 360, 720, 1440, 0 };

#define COUNTER(n, text, ...)                                                                      \
	{                                                                                          \
		.name = (n), .help = (text), .type = METRIC_COUNTER, .labels = { __VA_ARGS__ }     \
	}
#define GAUGE(n, text, ...)                                                                        \
	{                                                                                          \
		.name = (n), .help = (text), .type = METRIC_GAUGE, .labels = { __VA_ARGS__ }       \
	}
#define HISTOGRAM(n, bounds, text, ...)                                                            \
	{                                                                                          \
		.name = (n), .help = (text), .type = METRIC_HISTOGRAM, .labels = { __VA_ARGS__ },  \
		.buckets = (bounds)                                                                \
	}

static const struct metric rows[_METRIC_MAX] = {
	[METRIC_RECONCILES] = COUNTER("controller_runtime_reconcile_total",
				      "Reconciles by how they ended", "controller", "result"),
	[METRIC_RECONCILE_ERRORS] = COUNTER("controller_runtime_reconcile_errors_total",
					    "Reconciles that failed", "controller"),
	[METRIC_RECONCILE_TERMINAL_ERRORS] = COUNTER(
		"controller_runtime_terminal_reconcile_errors_total",
		"Reconciles that failed and are not repeated", "controller"),
	[METRIC_RECONCILE_PANICS] = COUNTER("controller_runtime_reconcile_panics_total",
					    "Always 0: there is no panic in C", "controller"),
	[METRIC_RECONCILE_TIMEOUTS] = COUNTER("controller_runtime_reconcile_timeouts_total",
					      "Always 0: a reconcile does not block", "controller"),
	[METRIC_RECONCILE_SECONDS] = HISTOGRAM(
		"controller_runtime_reconcile_time_seconds", reconcile,
		"From the start of a reconcile to its last write", "controller"),
	[METRIC_RECONCILES_MAX] = GAUGE("controller_runtime_max_concurrent_reconciles",
					"Reconciles that may run at the same time", "controller"),
	[METRIC_WORKERS] = GAUGE("controller_runtime_active_workers", "Reconciles under way",
				 "controller"),
	[METRIC_QUEUE_DEPTH] = GAUGE("workqueue_depth", "Keys that wait for a reconcile", "name",
				     "controller"),
	[METRIC_QUEUE_ADDS] = COUNTER("workqueue_adds_total", "Keys that were added", "name",
				      "controller"),
	[METRIC_QUEUE_SECONDS] = HISTOGRAM("workqueue_queue_duration_seconds", queue,
					   "How long a key waited for its reconcile", "name",
					   "controller"),
	[METRIC_QUEUE_WORK_SECONDS] = HISTOGRAM("workqueue_work_duration_seconds", queue,
						"How long a key was worked on", "name",
						"controller"),
	[METRIC_QUEUE_UNFINISHED_SECONDS] = GAUGE(
		"workqueue_unfinished_work_seconds",
		"Sum over the reconciles under way of how long they have run", "name",
		"controller"),
	[METRIC_QUEUE_LONGEST_SECONDS] = GAUGE("workqueue_longest_running_processor_seconds",
					       "How long the oldest reconcile under way has run",
					       "name", "controller"),
	[METRIC_QUEUE_RETRIES] = COUNTER("workqueue_retries_total",
					 "Keys that were added again after a failure", "name",
					 "controller"),
	[METRIC_CLIENT_REQUESTS] = COUNTER(
		"rest_client_requests_total",
		"Answers of the Kubernetes API; code \"<error>\": none came", "code", "host",
		"method"),
	[METRIC_CLIENT_SECONDS] = HISTOGRAM("rest_client_request_duration_seconds", usual,
					    "From a request to the Kubernetes API to its answer",
					    "host", "verb"),
	[METRIC_LEADER] = GAUGE("leader_election_master_status",
				"1 while this process holds the Lease", "name"),
	[METRIC_WEBHOOK_REQUESTS] = COUNTER("controller_runtime_webhook_requests_total",
					    "Admission requests by HTTP status", "webhook", "code"),
	[METRIC_WEBHOOK_SECONDS] = HISTOGRAM("controller_runtime_webhook_latency_seconds",
					     reconcile, "How long admission requests took",
					     "webhook"),
	[METRIC_WEBHOOK_IN_FLIGHT] = GAUGE("controller_runtime_webhook_requests_in_flight",
					   "Admission requests under way", "webhook"),
	[METRIC_CERT_READS] = COUNTER("certwatcher_read_certificate_total",
				      "Readings of our servers' certificates, and makings"),
	[METRIC_CERT_READ_ERRORS] = COUNTER("certwatcher_read_certificate_errors_total",
					    "Of these, those that failed"),

	[METRIC_PROCESS_CPU] = COUNTER("process_cpu_seconds_total", "User and system CPU time"),
	[METRIC_PROCESS_START] = GAUGE("process_start_time_seconds", "Since the epoch"),
	[METRIC_PROCESS_RESIDENT] = GAUGE("process_resident_memory_bytes", "Resident memory"),
	[METRIC_PROCESS_VIRTUAL] = GAUGE("process_virtual_memory_bytes", "Virtual memory"),
	[METRIC_PROCESS_FDS] = GAUGE("process_open_fds", "Open file descriptors"),
	[METRIC_PROCESS_FDS_MAX] = GAUGE("process_max_fds", "File descriptors that may be open"),

	[METRIC_HOST_RECONCILES] = COUNTER("metal3_reconcile_total", "Reconciles of a host",
					   "namespace", "host"),
	[METRIC_HOST_RECONCILE_ERRORS] = COUNTER("metal3_reconcile_error_total",
						 "Reconciles that ended with a passing failure"),
	[METRIC_HOST_ERRORS] = COUNTER("metal3_host_error_total",
				       "Errors that hosts were given, by the reason of their event",
				       "error_type"),
	[METRIC_POWER_CHANGES] = COUNTER("metal3_operation_power_change_total",
					 "Power changes that the controller asked for", "namespace",
					 "host", "on_off"),
	[METRIC_CREDENTIALS_MISSING] = COUNTER("metal3_credentials_missing_total",
					       "Secrets of BMCs that do not exist"),
	[METRIC_CREDENTIALS_INVALID] = COUNTER(
		"metal3_credentials_invalid_total",
		"BMC addresses or Secrets that are empty or incomplete"),
	[METRIC_CREDENTIALS_UNHANDLED] = COUNTER("metal3_credentials_unhandled_error_total",
						 "Secrets of BMCs that could not be read"),
	[METRIC_CREDENTIALS_UPDATED] = COUNTER("metal3_credentials_updated_total",
					       "Changed credentials that a BMC has taken"),
	[METRIC_CREDENTIALS_NO_ACCESS] = COUNTER("metal3_credentials_no_management_access_total",
						 "Registrations that failed"),
	[METRIC_CONFIG_DATA_ERRORS] = COUNTER(
		"metal3_host_config_data_error_total",
		"userData, networkData or metaData that could not be had", "host_data_type"),
	[METRIC_DELAYED_PROVISIONING] = COUNTER("metal3_delayed__provisioning_total",
						"Provisionings that had to wait for a place",
						"namespace", "host"),
	[METRIC_DELAYED_DEPROVISIONING] = COUNTER("metal3_delayed__deprovisioning_total",
						  "Deprovisionings that had to wait for a place",
						  "namespace", "host"),
	[METRIC_REGISTER_SECONDS] = HISTOGRAM("metal3_operation_register_duration_seconds", usual,
					      "Time in registering", "namespace", "host"),
	[METRIC_INSPECT_SECONDS] = HISTOGRAM("metal3_operation_inspect_duration_seconds", phase,
					     "Time in inspecting", "namespace", "host"),
	[METRIC_PROVISION_SECONDS] = HISTOGRAM("metal3_operation_provision_duration_seconds", phase,
					       "Time in provisioning", "namespace", "host"),
	[METRIC_DEPROVISION_SECONDS] = HISTOGRAM("metal3_operation_deprovision_duration_seconds",
						 phase, "Time in deprovisioning", "namespace",
						 "host"),
	[METRIC_STATE_CHANGES] = COUNTER("metal3_provisioning_state_change_total",
					 "Changes of status.provisioning.state", "prev_state",
					 "new_state"),
	[METRIC_REGISTRATIONS_REQUIRED] = COUNTER(
		"metal3_host_registration_required_total",
		"Hosts past registering whose BMC had to be verified anew"),
	[METRIC_UNMANAGED] = COUNTER("metal3_host_unmanaged_total",
				     "Reconciles of hosts without BMC details"),
	[METRIC_DELETED_NOT_DEPROVISIONED] = COUNTER(
		"metal3_delete_without_deprovisioning_total",
		"Deleted hosts whose disks could not be cleaned"),
	[METRIC_PROVISIONER_NOT_READY] = COUNTER("metal3_provisioner_not_ready_total",
						 "Always 0: the engine is in the same process"),
	[METRIC_DELETES_DELAYED] = COUNTER("metal3_delete_delayed_for_detached_total",
					   "Reconciles of deleted hosts that are kept detached"),
	[METRIC_WAITS_FOR_PREPROV_IMAGE] = COUNTER(
		"metal3_waiting_for_preprov_image_total",
		"Always 0: the ramdisk is Ingot's own, no PreprovisioningImage is waited for"),
	[METRIC_DELETED_NOT_POWERED_OFF] = COUNTER("metal3_delete_without_powering_off_total",
						   "Deleted hosts that could not be switched off"),

	[METRIC_BUILD] = GAUGE("ingot_build_info", "1; the label tells the version", "version"),
	[METRIC_DROPPED_SERIES] = COUNTER(
		"ingot_metrics_dropped_series_total",
		"Writes that were not kept because a metric had too many series"),
	[METRIC_HOSTS_HELD] = GAUGE("ingot_hosts_held",
				    "Hosts that are left as they are until a person releases them"),
	[METRIC_SLOW_CALLBACKS] = COUNTER(
		"ingot_slow_callbacks_total",
		"Callbacks that held the core thread for more than 10 ms, by name", "callback"),
	[METRIC_NODES] = GAUGE("ingot_nodes", "Hosts that the engine knows, by its state", "state"),
	[METRIC_OPERATIONS] = COUNTER("ingot_operations_total",
				      "Operations by how they ended: done, failed, abandoned",
				      "operation", "outcome"),
	[METRIC_STEPS] = COUNTER("ingot_steps_total",
				 "Steps of operations by how they ended: done, failed, repeated, "
				 "abandoned",
				 "operation", "step", "outcome"),
	[METRIC_IMAGE_BYTES] = COUNTER(
		"ingot_image_written_bytes_total",
		"Bytes of images as agents report them while they write; a short write is not reported"),
	[METRIC_BMC_REQUESTS] = COUNTER("ingot_bmc_requests_total",
					"Requests to BMCs by driver and outcome", "driver",
					"outcome"),
	[METRIC_BMC_SECONDS] = HISTOGRAM("ingot_bmc_request_duration_seconds", usual,
					 "Requests to BMCs, session included", "driver"),
	[METRIC_BMC_BREAKS] = COUNTER("ingot_bmc_breaker_opened_total",
				      "Times that a BMC was left alone after failures in a row",
				      "driver"),
	[METRIC_DHCP_ANSWERS] = COUNTER("ingot_dhcp_answers_total",
					"DHCP messages that were sent, by type", "type"),
	[METRIC_DHCP_IGNORED] = COUNTER("ingot_dhcp_ignored_total",
					"DHCP messages that got no answer, by the reason",
					"reason"),
	[METRIC_TFTP_TRANSFERS] = COUNTER("ingot_tftp_transfers_total",
					  "TFTP transfers by how they ended", "outcome"),
	[METRIC_TFTP_BYTES] = COUNTER("ingot_tftp_bytes_total",
				      "Bytes of TFTP transfers that were acknowledged"),
	[METRIC_BOOT_REQUESTS] = COUNTER("ingot_boot_requests_total",
					 "Boot files asked for by HTTP, by kind", "kind"),
	[METRIC_AGENT_REQUESTS] = COUNTER("ingot_agent_requests_total",
					  "Requests of agents by HTTP status", "code"),
	[METRIC_API_REQUESTS] = COUNTER("ingot_apiserver_requests_total",
					"Answers of the embedded API server", "verb", "code"),
	[METRIC_API_SECONDS] = HISTOGRAM("ingot_apiserver_request_duration_seconds", usual,
					 "Requests to the embedded API server, fsync included; "
					 "without watches",
					 "verb"),
	[METRIC_API_WATCHES] = GAUGE("ingot_apiserver_watches", "Watches that are open"),
};

const struct metric *metric_row(enum metric_id id)
{
	return &rows[id];
}
