/* `ingot operator`: controllers, engine and boot services against a Kubernetes cluster. Everything
 * runs on the main thread's loop; the web threads belong to the manager. Wiring only. */

#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/log_options.h"
#include "base/mem.h"
#include "base/str.h"
#include "commands.h"
#include "health/service.h"
#include "kube/http_transport.h"
#include "kube/version.h"
#include "manager.h"
#include "net/targets.h"

struct operator_options {
	struct manager_options manager;
	struct health_service_options health;
	struct log_options log;
	const char *kubeconfig, *context;
	enum web_tls tls_min;
};

#define FIELD(member) .offset = offsetof(struct operator_options, member)

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
	{ NULL, manager_api_rows, offsetof(struct operator_options, manager) },
	MANAGER_TABLES(struct operator_options, manager),
	{ NULL, log_option_rows, offsetof(struct operator_options, log) },
	{ "Leader election", manager_election_rows,
	  offsetof(struct operator_options, manager.election) },
	{ "Admission webhooks", webhook_option_rows,
	  offsetof(struct operator_options, manager.webhook) },
	{ "Health and metrics", health_cluster_rows, offsetof(struct operator_options, health) },
	{ NULL, tls_rows, 0 },
	{ NULL, NULL, 0 },
};

struct operator
{
	struct loop *loop;
	struct loop_signal *signals[2];
	struct kube_transport *transport;
	struct kube_client *client; /* for what concerns no controller */
	struct manager *manager;
	struct health_service *health;
	bool stopping, failed;
};

static usec_t log_clock(void *data)
{
	return loop_wall(data);
}

static void on_stopped(void *data)
{
	struct operator* o = data;
	loop_stop(o->loop);
}

/* A second signal ends the process as it stands, which kill -9 may do as well. */
static void on_signal(void *data)
{
	struct operator* o = data;
	if (o->stopping) {
		log_warn("stopping at once");
		_exit(EXIT_FAILED);
	}
	log_info("stopping");
	o->stopping = true;
	manager_stop(o->manager, on_stopped, o);
}

static void manager_failed(void *data, const struct err *err)
{
	struct operator* o = data;
	fprintf(stderr, "ingot operator: %s\n", err->text);
	o->failed = true;
	loop_stop(o->loop);
}

/* Everything that needs privileges is done before anything that makes threads. */
static int connect_cluster(struct operator* o, struct operator_options *options, struct err *err)
{
	struct kube_config config = { 0 };
	int r = kube_config_load(options->kubeconfig, options->context, &config, err);
	if (r < 0)
		return r;
	log_info("cluster", "server", config.server);
	options->manager.stream_lists = true;
	net_targets_add_server(config.server, &options->manager.targets.api_servers);
	r = kube_config_start_plugin(&config, err);
	if (r == 0)
		r = manager_new(o->loop, &options->manager, &o->manager, err);
	if (r == 0)
		r = manager_enter_sandbox(&options->manager, err);
	if (r == 0)
		r = kube_http_transport_new(o->loop, &config,
					    "ingot/" INGOT_VERSION " (linux/amd64)", &o->transport,
					    err);
	kube_config_release(&config);
	return r;
}

static int start_health(struct operator* o, const struct health_service_options *options,
			struct err *err)
{
	struct health_check checks[1 + MANAGER_CHECKS + 1] = {
		{ "core", HEALTH_LIVE, o->loop, NULL, NULL },
	};
	const struct health_service_wiring wiring = { .loop = o->loop,
						      .checks = checks,
						      .measure = manager_measure,
						      .describe = manager_describe,
						      .data = o->manager,
						      .cluster = o->transport };
	manager_checks(o->manager, checks + 1);
	return health_service_start(options, &wiring, &o->health, err);
}

static int start(struct operator* o, struct operator_options *options, struct err *err)
{
	static const int numbers[] = { SIGTERM, SIGINT };
	int r = loop_new(&o->loop, err);
	if (r < 0)
		return r;
	log_set_clock(log_clock, o->loop);
	for (size_t i = 0; i < ARRAY_SIZE(numbers) && r == 0; i++)
		r = loop_signal_open(o->loop, numbers[i], on_signal, o, &o->signals[i], err);
	if (r == 0)
		r = connect_cluster(o, options, err);
	if (r == 0)
		r = start_health(o, &options->health, err);
	if (r < 0)
		return r;
	manager_start(o->manager, o->transport, manager_failed, o);
	o->client = kube_client_new(
		&(struct kube_client_options){ .loop = o->loop, .transport = o->transport });
	kube_log_version(o->client);
	return 0;
}

static void stop(struct operator* o)
{
	/* First: nobody would hear a signal any more, so from now on it ends the process. */
	for (size_t i = 0; i < ARRAY_SIZE(o->signals); i++)
		loop_signal_close(o->signals[i]);
	health_service_stop(o->health);
	manager_free(o->manager);
	kube_client_free(o->client);
	if (o->transport)
		o->transport->ops->free(o->transport);
	log_set_clock(NULL, NULL);
	health_service_free(o->health);
	loop_free(o->loop);
}

static int check(struct operator_options *o, struct err *err)
{
	log_use_options(&o->log);
	o->manager.webhook.tls_min = o->health.tls_min = o->tls_min;
	return manager_check(&o->manager, err);
}

static int run(void *data)
{
	struct operator o = { 0 };
	struct err err;
	struct operator_options *options = data;
	if (check(options, &err) < 0) {
		fprintf(stderr, "ingot operator: %s\n", err.text);
		return EXIT_USAGE;
	}
	int r = start(&o, options, &err);
	if (r < 0)
		fprintf(stderr, "ingot operator: %s\n", err.text);
	else
		loop_run(o.loop);
	stop(&o);
	net_prefixes_done(&options->manager.targets.api_servers);
	return r < 0 || o.failed ? EXIT_FAILED : EXIT_OK;
}

const struct command operator_command = {
	.name = "operator",
	.summary = "run the controllers against a Kubernetes cluster",
	.options = tables,
	.options_size = sizeof(struct operator_options),
	.run = run,
};
