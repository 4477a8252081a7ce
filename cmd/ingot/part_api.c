/* The parts that speak to the API server: clients of the controllers, and Events. */

#include <stdio.h>

#include "base/log.h"
#include "kube/client.h"
#include "kube/events.h"
#include "runtime_parts.h"

#define FLUSH_LIMIT (2 * USEC_PER_SEC)

/* Each write asks the fence, at the moment when it leaves: an answer of a second ago is too old. */
static struct kube_client *client(struct runtime *rt, double qps)
{
	return kube_client_new(
		&(struct kube_client_options){ .loop = rt->loop,
					       .transport = rt->transport,
					       .stream_lists = rt->options->stream_lists,
					       .qps = qps,
					       .burst = rt->options->api_burst,
					       .fence = { runtime_may_write, rt } });
}

/* Events have a throttle of their own: a flood of them must not delay work. */
static int open_clients(void *data, struct err *err)
{
	struct runtime *rt = data;
	(void)err;
	rt->api.client = client(rt, rt->options->api_qps > 0 ? rt->options->api_qps : -1);
	rt->api.event_client = client(rt, 0);
	return 0;
}

static void free_clients(void *data)
{
	struct runtime *rt = data;
	kube_client_free(rt->api.event_client);
	kube_client_free(rt->api.client);
}

const struct service api_service = { .name = "api",
				     .phases[SERVICE_STAND_BY] = open_clients,
				     .free = free_clients };

/* --- Events ----------------------------------------------------------------------------------- */

/* Baremetal-operator's names, which filters of people and tools know. */
static int open_recorder(void *data, struct err *err)
{
	struct runtime *rt = data;
	(void)err;
	rt->api.recorder = kube_recorder_new(&(struct kube_recorder_options){
		.client = rt->api.event_client,
		.component = "metal3-baremetal-controller",
		.reporting_controller = "metal3.io/baremetal-controller" });
	return 0;
}

static void on_flushed(void *data)
{
	struct runtime *rt = data;
	char count[24];
	size_t waiting = kube_recorder_stats(rt->api.recorder).waiting;
	snprintf(count, sizeof(count), "%zu", waiting);
	if (waiting > 0)
		log_warn("Events could not be sent before the end", "count", count);
	rt->api.flushed(rt->api.flushed_data);
}

/* A standby has recorded nothing, and must not write now. */
static void flush_events(void *data, service_done_fn done, void *done_data)
{
	struct runtime *rt = data;
	if (!runtime_leads(rt)) {
		done(done_data);
		return;
	}
	rt->api.flushed = done;
	rt->api.flushed_data = done_data;
	kube_recorder_flush(rt->api.recorder, FLUSH_LIMIT, on_flushed, rt);
}

static void free_recorder(void *data)
{
	struct runtime *rt = data;
	kube_recorder_free(rt->api.recorder);
}

/* Its Events are written while the webhooks still judge them for the API server, and while the
 * Lease is renewed, because no write leaves without it. */
const struct service events_service = { .name = "events",
					.needs = { "api", "webhooks", "election" },
					.phases[SERVICE_STAND_BY] = open_recorder,
					.drain = flush_events,
					.free = free_recorder };
