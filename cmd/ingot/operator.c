/* `ingot operator`: controllers, engine and boot services against a Kubernetes cluster. Everything
 * runs on the main thread's loop; the web threads belong to the runtime. Wiring only.
 *
 * The operator keeps no state of its own. All that Ingot knows of hosts is in the cluster, so any
 * instance can take over from another. */

#include <stddef.h>
#include <stdio.h>

#include "base/log.h"
#include "base/log_options.h"
#include "base/str.h"
#include "commands.h"
#include "health/service.h"
#include "kube/http_transport.h"
#include "kube/version.h"
#include "net/targets.h"
#include "process.h"
#include "runtime.h"

struct operator_options {
	struct runtime_options runtime;
	struct health_service_options health;
	struct log_options log;
	const char *kubeconfig, *context;
	enum web_tls tls_min;
};

#define FIELD(member) .offset = offsetof(struct operator_options, member)

/* As kubectl finds its cluster, so that what works there works here. */
static const struct option_row rows[] = {
	{ .name = "kubeconfig",
	  .argument = "FILE",
	  .help = "use this kubeconfig; default: $KUBECONFIG, the pod's service account, ~/.kube/config",
	  .type = &option_text,
	  FIELD(kubeconfig) },
	{ .name = "context",
	  .argument = "NAME",
	  .help = "use this context of the kubeconfig",
	  .type = &option_text,
	  FIELD(context) },
	{ .name = NULL },
};

/* Named as in baremetal-operator, for webhooks and metrics alike. */
static const struct option_row tls_rows[] = {
	{ .name = "tls-min-version",
	  .argument = "VERSION",
	  .standard = "TLS12",
	  .help = "set the minimum TLS version of webhooks and metrics",
	  .type = &option_choice,
	  .choices = web_tls_choices,
	  FIELD(tls_min) },
	{ .name = NULL },
};

static const struct option_table tables[] = {
	{ "Cluster", rows, 0 },
	{ NULL, runtime_api_rows, offsetof(struct operator_options, runtime) },
	RUNTIME_TABLES(struct operator_options, runtime),
	{ NULL, log_option_rows, offsetof(struct operator_options, log) },
	{ "Leader election", runtime_election_rows,
	  offsetof(struct operator_options, runtime.election) },
	{ "Admission webhooks", webhook_option_rows,
	  offsetof(struct operator_options, runtime.webhook) },
	{ "Health and metrics", health_cluster_rows, offsetof(struct operator_options, health) },
	{ NULL, tls_rows, 0 },
	{ NULL, NULL, 0 },
};

struct operator
{
	struct process process;
	struct operator_options *options;
	struct kube_transport *transport;
	struct kube_client *client; /* for what concerns no controller */
	struct runtime *runtime;
	struct health_service *health;
};

/* --- the start -------------------------------------------------------------------------------- */

/* Before the cluster is looked for: wrong options end with status 2, after which systemd and people
 * do not try again. */
static int check(struct operator* o, struct err *err)
{
	struct operator_options *options = o->options;
	log_use_options(&options->log);
	options->runtime.webhook.tls_min = options->health.tls_min = options->tls_min;
	options->runtime.stream_lists = true;
	return runtime_new(&options->runtime, &o->runtime, err);
}

/* Everything that needs privileges is done before anything that makes threads. */
static int open_with(struct operator* o, struct kube_config *config, struct err *err)
{
	struct runtime_options *options = &o->options->runtime;
	net_targets_add_server(config->server, &options->targets.api_servers);
	int r = kube_config_start_plugin(config, err);
	if (r == 0)
		r = runtime_open(o->runtime, o->process.loop, err);
	if (r == 0)
		r = runtime_enter_sandbox(options, err);
	return r < 0 ? r
		     : kube_http_transport_new(o->process.loop, config,
					       "ingot/" INGOT_VERSION " (linux/amd64)",
					       &o->transport, err);
}

/* The kubeconfig says which addresses no BareMetalHost may point us to, so it is read before any
 * socket for BMCs is opened. */
static int connect_cluster(struct operator* o, struct err *err)
{
	struct kube_config config = { 0 };
	int r = kube_config_load(o->options->kubeconfig, o->options->context, &config, err);
	if (r < 0)
		return r;
	log_info("cluster", "server", config.server);
	r = open_with(o, &config, err);
	kube_config_release(&config);
	return r;
}

/* Instances that stand by are asked too, so this does not wait for the Lease. */
static int start_health(struct operator* o, struct err *err)
{
	struct health_check checks[1 + RUNTIME_CHECKS + 1] = {
		{ "core", HEALTH_LIVE, o->process.loop, NULL, NULL },
	};
	const struct health_service_wiring wiring = { .loop = o->process.loop,
						      .checks = checks,
						      .measure = runtime_measure,
						      .describe = runtime_describe,
						      .data = o->runtime,
						      .cluster = o->transport };
	runtime_checks(o->runtime, checks + 1);
	return health_service_start(&o->options->health, &wiring, &o->health, err);
}

/* Signals first: a start that waits for a credential plugin can be ended. */
static int start(struct operator* o, struct err *err)
{
	int r = process_open(&o->process, err);
	if (r == 0)
		r = process_catch_signals(&o->process, err);
	if (r == 0)
		r = connect_cluster(o, err);
	if (r == 0)
		r = start_health(o, err);
	if (r < 0)
		return r;
	runtime_start(o->runtime, o->transport, process_fail, &o->process);
	o->client = kube_client_new(&(struct kube_client_options){ .loop = o->process.loop,
								   .transport = o->transport });
	kube_log_version(o->client);
	return 0;
}

/* --- the end ---------------------------------------------------------------------------------- */

static void stop(void *data)
{
	struct operator* o = data;
	runtime_stop(o->runtime, process_end, &o->process);
}

/* Health before what it asks, the runtime before its transport. */
static int finish(struct operator* o)
{
	process_release_signals(&o->process);
	health_service_stop(o->health);
	runtime_free(o->runtime);
	kube_client_free(o->client);
	if (o->transport)
		o->transport->ops->free(o->transport);
	health_service_free(o->health);
	return process_close(&o->process);
}

static int run(void *data)
{
	struct operator o = { .options = data,
			      .process = { .command = "operator", .stop = stop, .data = &o } };
	struct err err;
	if (check(&o, &err) < 0) {
		fprintf(stderr, "ingot operator: %s\n", err.text);
		return EXIT_USAGE;
	}
	int r = start(&o, &err);
	process_run(&o.process, r, &err);
	int code = finish(&o);
	net_prefixes_done(&o.options->runtime.targets.api_servers);
	return code;
}

const struct command operator_command = {
	.name = "operator",
	.summary = "run the controllers against a Kubernetes cluster",
	.options = tables,
	.options_size = sizeof(struct operator_options),
	.run = run,
};
