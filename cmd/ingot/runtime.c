/* The table of parts, and the life of a process with them (see runtime.h).
 *
 * A start goes check, open, sandbox, stand by; then the installation's Secret is read, or made, and
 * with leader election the Lease is won; then lead, and when the hosts' records are read, serve. A
 * standby has its ports, and they are silent: DHCP and TFTP do not answer, the web servers' ports
 * are bound and refuse, because an agent that found one open would take the answer of a process
 * that knows nothing for a refusal.
 *
 * The end goes in the reverse order: nothing reaches hardware, agents or booting machines any more;
 * passes that have decided make their writes, while our webhooks still judge them for the API
 * server; Events are sent; the Lease is given back. Each has its limit, for an API server that
 * hangs.
 *
 * A new part is a row here and a file part_*.c, or a place in one of them. */

#include "runtime.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "boot/check.h"
#include "ctrl/debug.h"
#include "metrics/metrics.h"
#include "runtime_parts.h"
#include "sandbox/sandbox.h"
#include "web/web.h"

#define SLOW_LIMIT (10 * USEC_PER_MSEC) /* of a callback on the core thread */

/* --- the parts -------------------------------------------------------------------------------- */

/* Agents' requests, and the debug socket. Downloads have a thread of their own (boot_part.bulk). */
static int open_web(void *data, struct err *err)
{
	struct runtime *rt = data;
	return web_new(&rt->web, err);
}

static void free_web(void *data)
{
	struct runtime *rt = data;
	web_free(rt->web);
}

const struct service web_service = { .name = "web",
				     .roles = ROLE_BOOT | ROLE_DEBUG,
				     .phases[SERVICE_LEAD] = open_web,
				     .free = free_web };

static const struct service *const parts[] = {
	&targets_service, &api_service,	       &election_service,  &webhook_service,
	&events_service,  &site_service,       &instances_service, &bmc_service,
	&link_service,	  &controller_service, &engine_service,	   &web_service,
	&debug_service,	  &boot_service,       &work_service,	   NULL,
};

static unsigned roles_of(const struct runtime_options *o)
{
	return (o->interface ? ROLE_BOOT : 0) | (o->election.enabled ? ROLE_ELECTION : 0) |
	       (o->webhook.port ? ROLE_WEBHOOKS : 0) |
	       (str_empty(o->debug_socket) ? 0 : ROLE_DEBUG);
}

/* --- the start -------------------------------------------------------------------------------- */

void runtime_give_up(struct runtime *rt, const struct err *err)
{
	rt->failed(rt->failed_data, err);
}

static void run_or_give_up(struct runtime *rt, enum service_phase phase)
{
	struct err err = { 0 };
	if (services_run(rt->services, phase, &err) < 0)
		runtime_give_up(rt, &err);
}

void runtime_lead(struct runtime *rt)
{
	run_or_give_up(rt, SERVICE_LEAD);
}

void runtime_serve(struct runtime *rt)
{
	run_or_give_up(rt, SERVICE_SERVE);
}

int runtime_new(const struct runtime_options *options, struct runtime **ret, struct err *err)
{
	struct runtime *rt = xcalloc(1, sizeof(*rt));
	rt->options = options;
	rt->services = services_new(parts, roles_of(options), rt);
	int r = services_run(rt->services, SERVICE_CHECK, err);
	if (r < 0) {
		runtime_free(rt);
		return r;
	}
	*ret = rt;
	return 0;
}

int runtime_open(struct runtime *rt, struct loop *loop, struct err *err)
{
	rt->loop = loop;
	return services_run(rt->services, SERVICE_OPEN, err);
}

int runtime_enter_sandbox(const struct runtime_options *options, struct err *err)
{
#ifdef __SANITIZE_ADDRESS__
	/* The leak checker traces this process at its end, for which the filter would kill it. */
	(void)options, (void)err;
	log_info("sandbox left out: this is a build for tests, with sanitizers");
	return 0;
#else
	if (options->no_sandbox) {
		log_warn("sandbox left out, as --no-sandbox says");
		return 0;
	}
	int r = sandbox_enter(err);
	return r < 0 ? err_wrap(err, "--no-sandbox starts without this") : 0;
#endif
}

/* Others wait meanwhile: DHCP, agents, the Lease. */
static void on_slow(void *data, const char *name, usec_t took)
{
	(void)data, (void)took;
	metric_add(METRIC_SLOW_CALLBACKS, 1, name);
}

void runtime_start(struct runtime *rt, struct kube_transport *transport,
		   void (*failed)(void *data, const struct err *err), void *data)
{
	rt->transport = transport;
	rt->failed = failed;
	rt->failed_data = data;
	loop_set_slow_limit(rt->loop, SLOW_LIMIT, on_slow, NULL);
	run_or_give_up(rt, SERVICE_STAND_BY);
}

/* --- what health and metrics ask ------------------------------------------------------------- */

static const char *lease_trouble(void *data)
{
	const struct runtime *rt = data;
	bool stuck = rt->election.lease && !kube_lease_alive(rt->election.lease);
	return stuck ? "nothing has been tried for the Lease for long" : NULL;
}

static const char *start_trouble(void *data)
{
	const struct runtime *rt = data;
	if (!rt->site.found)
		return "the Secret of this installation is not there yet";
	/* A standby reads nothing yet, and is ready to answer admission webhooks. */
	return rt->hosts.engine ? host_controller_waits(rt->hosts.controller) : NULL;
}

/* Worth knowing, and no reason not to be ready. */
static const char *held_note(void *data)
{
	const struct runtime *rt = data;
	if (!rt->hosts.engine || engine_held_count(rt->hosts.engine) == 0)
		return NULL;
	return "hosts are held until a person releases them: ingotctl status -A";
}

/* What a network boot lacks at the moment: any of it can go while Ingot runs. */
static const char *boot_trouble(void *data)
{
	const struct runtime *rt = data;
	const char *summary;
	struct err err;
	if (!rt->options->interface)
		return NULL;
	return boot_check(&rt->boot.config, &summary, &err) < 0 ? summary : NULL;
}

static const char *webhook_trouble(void *data)
{
	const struct runtime *rt = data;
	return webhooks_serve(rt->webhooks) ? NULL
					    : "the webhooks have no certificate or no port yet";
}

size_t runtime_checks(struct runtime *rt, struct health_check *ret)
{
	const struct health_check checks[] = {
		{ "lease", HEALTH_LIVE, rt->loop, lease_trouble, rt },
		{ "start", HEALTH_READY, rt->loop, start_trouble, rt },
		{ "held", HEALTH_READY | HEALTH_NOTE, rt->loop, held_note, rt },
		{ "boot", HEALTH_READY, rt->loop, boot_trouble, rt },
		{ "webhook", HEALTH_READY, rt->loop, webhook_trouble, rt },
	};
	/* The webhook check, the last one, exists only with --webhook-service. */
	size_t count = ARRAY_SIZE(checks) - (rt->options->webhook.service == NULL);
	memcpy(ret, checks, count * sizeof(checks[0]));
	return count;
}

void runtime_measure(void *data)
{
	const struct runtime *rt = data;
	if (rt->hosts.controller)
		host_controller_measure(rt->hosts.controller);
	if (rt->hosts.engine)
		engine_measure(rt->hosts.engine);
}

void runtime_describe(void *data, struct web_request *r, const char *path)
{
	const struct runtime *rt = data;
	if (rt->hosts.engine && rt->hosts.debug)
		debug_routes_answer(rt->hosts.debug, r, path);
	else
		debug_refuse_standby(r, rt->election.leader);
}

/* --- the end ---------------------------------------------------------------------------------- */

void runtime_stop(struct runtime *rt, loop_fn fn, void *data)
{
	services_drain(rt->services, fn, data);
}

struct runtime *runtime_free(struct runtime *rt)
{
	if (!rt)
		return NULL;
	services_free(rt->services);
	free(rt);
	return NULL;
}
