/* The parts that work on hosts: controller and engine, and what the engine acts by, BMCs and
 * agents. Only the process that leads has an engine; a standby has a controller that has not been
 * started, and sockets for BMCs that are silent. */

#include <stdio.h>

#include "agentapi/http_link.h"
#include "base/log.h"
#include "base/str.h"
#include "bmc/ipmi/ipmi.h"
#include "bmc/redfish/redfish.h"
#include "ctrl/debug.h"
#include "http/http.h"
#include "net/net.h"
#include "prov/engine.h"
#include "runtime_parts.h"
#include "web/web.h"

#define DRAIN_LIMIT  (3 * USEC_PER_SEC)
#define LOGOUT_LIMIT (3 * USEC_PER_SEC)

/* --- where connections may go to -------------------------------------------------------------- */

static void add_pool(struct net_prefixes *list, const struct boot_pool *pool)
{
	struct net_prefix subnet = boot_pool_subnet(pool);
	net_prefixes_add(list, &subnet);
}

/* With the addresses that DHCP gives: agents are called there. */
static int make_targets(void *data, struct err *err)
{
	struct runtime *rt = data;
	const struct runtime_options *o = rt->options;
	const struct boot_config *c = &rt->boot.config;
	(void)err;
	net_targets_make(&o->targets, o->interface, &o->address, &rt->hosts.targets);
	for (size_t i = 0; c->dhcp == BOOT_DHCP_SERVER && i < c->pool_count; i++)
		add_pool(&rt->hosts.targets.agents.only, &c->pools[i]);
	return 0;
}

/* Last of all: BMCs and agents look at these lists until they are gone. */
static void free_targets(void *data)
{
	struct runtime *rt = data;
	net_targets_done(&rt->hosts.targets);
}

const struct service targets_service = { .name = "targets",
					 .phases[SERVICE_OPEN] = make_targets,
					 .free = free_targets };

/* --- BMCs and agents -------------------------------------------------------------------------- */

/* Sockets with large buffers need privileges to be opened, so they are there long before anything
 * is sent. */
static int open_bmc(void *data, struct err *err)
{
	struct runtime *rt = data;
	const struct ipmi_options ipmi = { .policy = &rt->hosts.targets.bmcs };
	const struct redfish_options redfish = { .user_agent = "ingot/" INGOT_VERSION,
						 .policy = &rt->hosts.targets.bmcs };
	struct hosts_part *h = &rt->hosts;
	int r = ipmi_driver_new(rt->loop, &ipmi, &h->ipmi, err);
	if (r < 0)
		return r;
	ipmi_driver_open_sockets(h->ipmi);
	r = redfish_driver_new(rt->loop, BMC_DRIVER_REDFISH, &redfish, &h->redfish, err);
	if (r < 0)
		return r;
	return redfish_driver_new(rt->loop, BMC_DRIVER_IDRAC, &redfish, &h->idrac, err);
}

static void free_bmc(void *data)
{
	struct runtime *rt = data;
	if (!rt->hosts.ipmi)
		return;
	loop_drain(rt->loop); /* cancelled requests of closed BMCs */
	timer_stop(&rt->hosts.logout_limit);
	bmc_driver_free(rt->hosts.idrac);
	bmc_driver_free(rt->hosts.redfish);
	bmc_driver_free(rt->hosts.ipmi);
}

/* A session that is left behind blocks one of a BMC's few places for half an hour. */
static void end_of_sessions(struct runtime *rt)
{
	struct hosts_part *h = &rt->hosts;
	service_done_fn done = TAKE_PTR(h->logged_out);
	timer_stop(&h->logout_limit);
	if (done)
		done(h->logged_out_data);
}

static void on_left(void *data)
{
	struct runtime *rt = data;
	struct hosts_part *h = &rt->hosts;
	if (redfish_driver_leaving(h->redfish) + redfish_driver_leaving(h->idrac) == 0)
		end_of_sessions(rt);
}

static void on_logout_limit(void *data)
{
	end_of_sessions(data);
}

static void drain_bmc(void *data, service_done_fn done, void *done_data)
{
	struct runtime *rt = data;
	struct hosts_part *h = &rt->hosts;
	if (!h->redfish || !h->idrac) {
		done(done_data);
		return;
	}
	h->logged_out = done;
	h->logged_out_data = done_data;
	timer_init(&h->logout_limit, rt->loop, "end of sessions", on_logout_limit, rt);
	timer_set_in(&h->logout_limit, LOGOUT_LIMIT);
	redfish_driver_on_left(h->redfish, on_left, rt);
	redfish_driver_on_left(h->idrac, on_left, rt);
	on_left(rt);
}

const struct service bmc_service = { .name = "bmc",
				     .needs = { "targets" },
				     .phases[SERVICE_OPEN] = open_bmc,
				     .drain = drain_bmc,
				     .free = free_bmc };

static void add_driver(struct hosts_part *h, enum bmc_driver_kind kind, struct bmc_driver *driver,
		       const struct fence *fence)
{
	bmc_driver_set_fence(driver, fence);
	h->drivers.drivers[kind] = driver;
}

/* The fences are set here, at the one place that hands out ways to a BMC and to an agent. */
static int open_link(void *data, struct err *err)
{
	struct runtime *rt = data;
	struct hosts_part *h = &rt->hosts;
	const struct http_client_options http = { .user_agent = "ingot/" INGOT_VERSION,
						  .policy = &h->targets.agents,
						  .fence = { runtime_may_act, rt } };
	int r = http_client_new(rt->loop, &http, &h->http, err);
	if (r < 0)
		return r;
	add_driver(h, BMC_DRIVER_IPMI, h->ipmi, &http.fence);
	add_driver(h, BMC_DRIVER_REDFISH, h->redfish, &http.fence);
	add_driver(h, BMC_DRIVER_IDRAC, h->idrac, &http.fence);
	h->link = agent_http_link_new(h->http);
	return 0;
}

static void free_link(void *data)
{
	struct runtime *rt = data;
	if (rt->hosts.link)
		rt->hosts.link->ops->free(rt->hosts.link);
	http_client_free(rt->hosts.http);
}

const struct service link_service = { .name = "link",
				      .needs = { "bmc", "targets" },
				      .phases[SERVICE_LEAD] = open_link,
				      .free = free_link };

/* --- the controller --------------------------------------------------------------------------- */

static void on_ready(void *data)
{
	runtime_serve(data);
}

/* A new id at each start with --hold. */
static const char *choose_hold(struct runtime *rt, const char **ret_reason)
{
	const struct runtime_options *o = rt->options;
	struct hosts_part *h = &rt->hosts;
	uint32_t number;
	if (o->hold_id) {
		snprintf(h->hold_id, sizeof(h->hold_id), "%s", o->hold_id);
		*ret_reason = o->hold_reason;
	} else if (o->hold) {
		loop_random(rt->loop, &number, sizeof(number));
		snprintf(h->hold_id, sizeof(h->hold_id), "%08x", number);
		*ret_reason = "Ingot was started with --hold";
	} else {
		return NULL;
	}
	return h->hold_id;
}

/* It reads nothing before start_work(): a standby must not load the API server with watches. */
static int make_controller(void *data, struct err *err)
{
	struct runtime *rt = data;
	const struct runtime_options *o = rt->options;
	const char *reason = NULL, *hold = choose_hold(rt, &reason);
	(void)err;
	rt->hosts.controller = host_controller_new(
		&(struct host_controller_options){ .loop = rt->loop,
						   .client = rt->api.client,
						   .recorder = rt->api.recorder,
						   .ns = o->namespace_watched,
						   .max_provisioning_retries = o->retries,
						   .fence = { runtime_may_act, rt },
						   .hold_id = hold,
						   .hold_reason = reason,
						   .held = o->held,
						   .held_data = o->held_data,
						   .ready = on_ready,
						   .ready_data = rt });
	return 0;
}

static void free_controller(void *data)
{
	struct runtime *rt = data;
	timer_stop(&rt->hosts.drain_limit);
	rt->hosts.controller = host_controller_free(rt->hosts.controller);
}

const struct service controller_service = { .name = "controller",
					    .needs = { "api", "events" },
					    .phases[SERVICE_STAND_BY] = make_controller,
					    .free = free_controller };

/* --- the engine ------------------------------------------------------------------------------- */

/* The key of tokens and the list of places where agents may be called come from other parts: the
 * engine knows no option and no Secret. */
static int make_engine(void *data, struct err *err)
{
	struct runtime *rt = data;
	const struct runtime_options *o = rt->options;
	struct hosts_part *h = &rt->hosts;
	const struct site_installation *i = &rt->site.installation;
	struct engine_options options = {
		.loop = rt->loop,
		.drivers = &h->drivers,
		.link = h->link,
		.media = engine_media_of(rt->boot.media, i->ca.cert),
		.secret = i->key,
		.secret_len = sizeof(i->key),
		.timeouts = { .boot = o->boot_timeout, .silence = o->agent_timeout },
		.serves_dhcp = o->interface && rt->boot.config.dhcp == BOOT_DHCP_SERVER,
		.agents = &h->targets.agents,
		.address_check = runtime_check_address,
		.address_data = rt
	};
	(void)err;
	struct prov_env env;
	host_controller_env(h->controller, &env);
	h->prov = prov_engine_new(&options, &env);
	h->engine = prov_engine_get(h->prov);
	return 0;
}

/* No effect on hardware goes out afterwards. A write of an image is the agent's work, and goes on
 * without us. */
static void stop_engine(void *data)
{
	struct runtime *rt = data;
	if (!rt->hosts.engine)
		return;
	loop_drain(rt->loop); /* requests that had come already; their handlers still stand */
	rt->hosts.engine = NULL;
	rt->hosts.prov = prov_engine_free(rt->hosts.prov);
}

const struct service engine_service = { .name = "engine",
					.needs = { "controller", "link", "site" },
					.phases[SERVICE_LEAD] = make_engine,
					.silence = stop_engine };

/* --- what the engine does, for people --------------------------------------------------------- */

static usec_t next_look(void *data, const char *key)
{
	return host_controller_next(data, key);
}

/* A Unix socket and not a port of the loopback: there every user of the machine, and every page in
 * a browser on it, could ask. */
static int open_debug_socket(struct runtime *rt, struct err *err)
{
	const struct web_route rows[] = { debug_routes_row(rt->hosts.debug), { .prefix = NULL } };
	const struct web_server_options w = { .name = "debug",
					      .socket = rt->options->debug_socket,
					      .routes = rows,
					      .max_connections = 32 };
	int r = web_server_open(rt->web, &w, &rt->hosts.debug_server, err);
	return r < 0 ? err_wrap(err, "--debug-socket") : 0;
}

/* Without the socket too: on a cluster it is asked beside the metrics. */
static int open_debug(void *data, struct err *err)
{
	struct runtime *rt = data;
	struct hosts_part *h = &rt->hosts;
	h->debug = debug_routes_new(h->prov, rt->loop, next_look, h->controller);
	return str_empty(rt->options->debug_socket) ? 0 : open_debug_socket(rt, err);
}

static void silence_debug(void *data)
{
	struct runtime *rt = data;
	rt->hosts.debug_server = web_server_close(rt->hosts.debug_server);
}

static void free_debug(void *data)
{
	struct runtime *rt = data;
	debug_routes_free(rt->hosts.debug);
}

const struct service debug_service = { .name = "debug",
				       .needs = { "engine", "web" },
				       .phases[SERVICE_LEAD] = open_debug,
				       .silence = silence_debug,
				       .free = free_debug };

/* --- the work itself -------------------------------------------------------------------------- */

static int start_work(void *data, struct err *err)
{
	const struct runtime *rt = data;
	(void)err;
	if (!rt->options->interface)
		log_warn("no --provisioning-interface: hosts can be registered and powered on and "
			 "off, but not network-booted");
	host_controller_start(rt->hosts.controller, rt->hosts.prov);
	log_info("controllers started");
	return 0;
}

/* Passes that have decided make their writes. */
static void end_of_writes(struct runtime *rt)
{
	free_controller(rt);
	rt->hosts.drained(rt->hosts.drained_data);
}

static void on_drained(void *data)
{
	end_of_writes(data);
}

static void on_drain_limit(void *data)
{
	log_warn("writes to the API are cut off: it did not answer before the end");
	end_of_writes(data);
}

/* A standby has nothing to write, and must not become the leader now. */
static void drain_work(void *data, service_done_fn done, void *done_data)
{
	struct runtime *rt = data;
	struct hosts_part *h = &rt->hosts;
	if (!runtime_leads(rt)) {
		done(done_data);
		return;
	}
	h->drained = done;
	h->drained_data = done_data;
	timer_init(&h->drain_limit, rt->loop, "end of writes", on_drain_limit, rt);
	timer_set_in(&h->drain_limit, DRAIN_LIMIT);
	host_controller_stop(h->controller, on_drained, rt);
}

/* The controller's start is a part of its own: the engine needs the controller, and the controller
 * its engine. */
const struct service work_service = { .name = "work",
				      .needs = { "controller", "engine", "debug", "webhooks",
						 "boot" },
				      .phases[SERVICE_LEAD] = start_work,
				      .drain = drain_work };
