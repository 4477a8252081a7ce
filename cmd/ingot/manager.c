/* Wiring of controllers, engine and boot services. The start has one step that waits for the API:
 * the Secret with the installation's key and CA is read, or made. All else follows from it; with
 * leader election when the Lease is ours. A standby has its ports, and they are silent: DHCP and
 * TFTP answer nobody, the web servers' ports are bound and refuse, because an agent that found one
 * open would take the answer of a process that knows nothing for a refusal.
 *
 * Losing the Lease ends the process. What it believes of hosts, boots and agents is then another's
 * to change, and a fresh start from the API is the path that is tested most. may_act() is the
 * fence: asked right before each write to the API, packet to a BMC, request to an agent and answer
 * to a booting machine, because a process that was paused wakes up in the middle of its work.
 *
 * The CA signs our certificate on the provisioning network and goes to the ramdisk, so that agents
 * trust us and nobody else. */

#include "manager.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agentapi/http_link.h"
#include "agentapi/messages.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "bmc/ipmi/ipmi.h"
#include "boot/check.h"
#include "boot/dhcp_server.h"
#include "boot/http_boot.h"
#include "boot/script.h"
#include "boot/tftp_server.h"
#include "crypt/crypt.h"
#include "ctrl/debug.h"
#include "ctrl/host/controller.h"
#include "engine/agent_routes.h"
#include "engine/boot_ops.h"
#include "engine/engine.h"
#include "health/validity.h"
#include "http/http.h"
#include "kube/lease.h"
#include "metrics/metrics.h"
#include "net/net.h"
#include "net/targets.h"
#include "prov/engine.h"
#include "sandbox/sandbox.h"
#include "site/installation.h"
#include "site/instances.h"
#include "web/web.h"

#define SLOW_LIMIT  (10 * USEC_PER_MSEC) /* of a callback on the core thread */
#define TEN_YEARS   (3650 * 24 * USEC_PER_HOUR)
#define DRAIN_LIMIT (3 * USEC_PER_SEC)
#define FLUSH_LIMIT (2 * USEC_PER_SEC)

struct manager {
	struct loop *loop;
	const struct manager_options *options;
	void (*failed)(void *data, const struct err *err);
	void *failed_data;
	struct net_targets policies;
	struct kube_client *client, *event_client, *lease_client, *instances_client;
	struct kube_lease_options lease_options;
	char *identity;
	char *leader;		  /* another instance's identity; NULL: not known */
	struct kube_lease *lease; /* NULL: no election, or not yet */
	bool started;		  /* the installation is known */
	char hold_id_text[16];
	const char *hold_id, *hold_reason; /* NULL: no hold at this start */
	struct timer drain_limit, validity;
	struct validity ca_seen, cert_seen;
	loop_fn stopped;
	void *stopped_data;
	struct kube_recorder *recorder;
	struct host_controller *controller;
	struct bmc_driver *ipmi;
	struct bmc_driver_set drivers;
	struct http_client *http;
	struct agent_link *link;
	struct provisioner *prov;
	struct engine *engine; /* of prov */
	struct agent_routes *routes;
	struct installation installation;
	struct installation_search *search;
	struct crypt_pair cert;
	char address[INET_ADDRSTRLEN]; /* ours on the provisioning network */
	struct boot_config boot;
	struct boot_ramdisk ramdisks[2];
	char *kernel, *initramfs, *http_url, *agent_url, *instances_name;
	struct site_instances *instances;
	int http_fd, agent_fd; /* bound, and silent until we lead; 0: none */
	struct engine_boot_env boot_env;
	struct http_boot *http_boot;
	struct dhcp_server *dhcp;
	struct tftp_server *tftp;
	struct web *web, *bulk;
	struct web_server *agent_server, *boot_server, *debug_server;
	struct debug_routes *debug;
	struct webhooks *webhooks; /* of standbys, too */
};

static void give_up(struct manager *m, const struct err *err)
{
	m->failed(m->failed_data, err);
}

/* For all hosts alike: one process leads. */
static bool may_act(void *data, const char *key)
{
	const struct manager *m = data;
	(void)key;
	return !m->options->election.enabled || (m->lease && kube_lease_may_act(m->lease));
}

/* The Secret is read, or made, by standbys as well. */
static bool may_write(void *data, const char *key)
{
	const struct manager *m = data;
	return !m->lease || may_act(data, key);
}

/* Of the annotation that fixes a host's address. */
static int check_address(void *data, const char *text, struct err *err)
{
	const struct manager *m = data;
	struct net_addr address;
	if (net_parse_ip(text, &address) < 0 || net_family(&address) != AF_INET)
		return err_set(err, ERR_INVALID, "it is not an IPv4 address");
	if (!m->options->interface || m->boot.dhcp != BOOT_DHCP_SERVER)
		return err_set(err, ERR_INVALID,
			       "Ingot gives no addresses: it runs without --dhcp server");
	return boot_address_check(&m->boot, &address, err);
}

/* --- boot services: set-up
 * ------------------------------------------------------------------------------ */

static char *agent_urls(void *data, const char *path)
{
	const struct manager *m = data;
	return site_instances_agent_urls(m->instances, path);
}

static const char *const *boot_urls(void *data)
{
	const struct manager *m = data;
	return site_instances_boot_urls(m->instances);
}

static int check_boot_options(const struct manager_options *o, struct err *err)
{
	if (o->address.s_addr == 0)
		return err_set(err, ERR_INVALID,
			       "--provisioning-address: name our IPv4 address on %s", o->interface);
	if (!o->ramdisk)
		return err_set(err, ERR_INVALID,
			       "--ramdisk: name the directory with vmlinuz and initramfs");
	if (o->http_port == o->agent_port)
		return err_set(err, ERR_INVALID, "--agent-port: %u is --http-port already",
			       o->agent_port);
	return 0;
}

static int boot_settings(struct manager *m, struct err *err)
{
	const struct manager_options *o = m->options;
	int r = check_boot_options(o, err);
	if (r < 0)
		return r;
	inet_ntop(AF_INET, &o->address, m->address, sizeof(m->address));
	m->kernel = xasprintf("%s/vmlinuz", o->ramdisk);
	m->initramfs = xasprintf("%s/initramfs", o->ramdisk);
	m->ramdisks[0] = (struct boot_ramdisk){ "ramdisk", m->kernel, m->initramfs };
	m->http_url = xasprintf("http://%s:%u", m->address, o->http_port);
	m->agent_url = xasprintf("https://%s:%u", m->address, o->agent_port);
	m->boot_env = (struct engine_boot_env){ .loop = m->loop,
						.kernel_args = o->kernel_args,
						.fence = { may_act, m },
						.agent_urls = agent_urls,
						.boot_urls = boot_urls,
						.places = m };
	m->boot = (struct boot_config){ .device = o->interface,
					.address = net_from_v4(o->address),
					.tftp = true,
					.http_url = m->http_url,
					.ramdisks = m->ramdisks };
	r = boot_dhcp_options_apply(&o->dhcp, &m->boot, err);
	if (r == 0)
		r = boot_config_check(&m->boot, err);
	for (size_t i = 0; r == 0 && m->boot.dhcp == BOOT_DHCP_SERVER && i < m->boot.pool_count;
	     i++) {
		struct net_prefix subnet = boot_pool_subnet(&m->boot.pools[i]);
		net_prefixes_add(&m->policies.agents.only, &subnet);
	}
	return r;
}

/* Its owner is who called. */
static int take_fd(int *fd)
{
	int taken = *fd;
	*fd = 0;
	return taken;
}

static struct web_server_options listener(const struct manager *m, uint16_t port)
{
	return (struct web_server_options){ .address = m->address,
					    .share_percent = m->options->peer_share,
					    .device = m->options->interface,
					    .port = port };
}

static int open_agent_server(struct manager *m, struct err *err)
{
	m->routes = agent_routes_new(m->engine, m->loop, m->agent_url);
	struct web_route rows[3] = { { .prefix = NULL } };
	agent_routes_rows(m->routes, rows);
	struct web_server_options w = listener(m, m->options->agent_port);
	w.name = "agents";
	w.cert = m->cert.cert;
	w.key = m->cert.key;
	w.routes = rows;
	w.bound = take_fd(&m->agent_fd);
	return web_server_open(m->web, &w, &m->agent_server, err);
}

/* One listener for both tables: scripts are small, and downloads have the bulk thread to
 * themselves. */
static int open_boot_server(struct manager *m, struct err *err)
{
	struct web_route rows[16] = { { .prefix = NULL } };
	size_t count = 0;
	const struct web_route *tables[] = { http_boot_small_routes(m->http_boot),
					     http_boot_bulk_routes(m->http_boot) };
	for (size_t t = 0; t < ARRAY_SIZE(tables); t++)
		for (const struct web_route *row = tables[t];
		     row->prefix && count < ARRAY_SIZE(rows) - 1; row++)
			rows[count++] = *row;
	struct web_server_options w = listener(m, m->options->http_port);
	w.name = "boot";
	w.routes = rows;
	w.bound = take_fd(&m->http_fd);
	return web_server_open(m->bulk, &w, &m->boot_server, err);
}

static int open_boot(struct manager *m, struct err *err)
{
	struct boot_env env = { m->loop, &m->boot, &engine_boot_ops, &m->boot_env };
	m->boot.ca_pem = m->installation.ca.cert;
	int r = m->web ? 0 : web_new(&m->web, err);
	if (r == 0)
		r = web_new(&m->bulk, err);
	if (r < 0)
		return r;
	m->http_boot = http_boot_new(&env);
	r = open_boot_server(m, err);
	return r < 0 ? r : open_agent_server(m, err);
}

/* A port that another program has shows now, and not when this process is to take over. */
static int bind_web(struct manager *m, struct err *err)
{
	struct web_server_options http = listener(m, m->options->http_port);
	struct web_server_options agents = listener(m, m->options->agent_port);
	int r = web_bind(&http, err);
	if (r < 0)
		return r;
	m->http_fd = r;
	r = web_bind(&agents, err);
	if (r < 0)
		return r;
	m->agent_fd = r;
	return 0;
}

/* They are silent until they are set active. */
static int open_privileged(struct manager *m, struct err *err)
{
	struct boot_env env = { m->loop, &m->boot, &engine_boot_ops, &m->boot_env };
	const struct ipmi_options ipmi = { .policy = &m->policies.bmcs };
	int r = ipmi_driver_new(m->loop, &ipmi, &m->ipmi, err);
	if (r < 0)
		return r;
	ipmi_driver_open_sockets(m->ipmi);
	if (!m->options->interface)
		return 0;
	if (m->boot.dhcp != BOOT_DHCP_OFF)
		r = dhcp_server_open(&env, &m->dhcp, err);
	if (r == 0)
		r = tftp_server_open(&env, &m->tftp, err);
	return r < 0 ? r : bind_web(m, err);
}

static usec_t next_look(void *data, const char *key)
{
	return host_controller_next(data, key);
}

/* A Unix socket and not a port of the loopback: there every user of the machine, and every page in
 * his browser, could ask. */
static int open_debug(struct manager *m, struct err *err)
{
	const struct web_route rows[] = { debug_routes_row(m->debug), { .prefix = NULL } };
	const struct web_server_options w = { .name = "debug",
					      .socket = m->options->debug_socket,
					      .routes = rows,
					      .max_connections = 32 };
	int r = m->web ? 0 : web_new(&m->web, err);
	if (r == 0)
		r = web_server_open(m->web, &w, &m->debug_server, err);
	return r < 0 ? err_wrap(err, "--debug-socket") : 0;
}

/* --- on a port that others share ---------------------------------------------------------------
 */

static void refuse_shared(struct web_request *r, int status, const char *text)
{
	static const char *const later[] = { "Retry-After: 5", NULL };
	const struct web_reply_head head = { .status = status,
					     .content_type = "text/plain; charset=utf-8",
					     .headers = status == 503 ? later : NULL };
	web_reply(r, &head, text, strlen(text));
}

/* Their own ports are bound to the provisioning network, and open while this process leads. `own`:
 * the server of that port. */
static bool may_share(const struct manager *m, struct web_request *r, const struct web_server *own)
{
	struct net_addr source;
	if (net_parse_ip(web_peer_address(r), &source) < 0 ||
	    !net_prefixes_contain(&m->policies.agents.only, &source))
		refuse_shared(r, 403, "only for machines of the provisioning network\n");
	else if (!own)
		refuse_shared(r, 503, "this instance does not act (yet)\n");
	else
		return true;
	return false;
}

static void share_agents(void *data, struct web_request *r)
{
	struct manager *m = data;
	if (may_share(m, r, m->agent_server))
		agent_routes_handle(m->routes, r);
}

static void share_before_body(void *data, struct web_request *r)
{
	struct manager *m = data;
	if (may_share(m, r, m->agent_server))
		agent_routes_before_body(m->routes, r);
}

static void share_boot(void *data, struct web_request *r)
{
	struct manager *m = data;
	if (may_share(m, r, m->boot_server))
		http_boot_handle(m->http_boot, r);
}

const char *manager_address(const struct manager *m)
{
	return m->options->interface ? m->address : NULL;
}

void manager_shared_routes(struct manager *m, struct web_route ret[MANAGER_SHARED_ROUTES])
{
	const struct web_route routes[MANAGER_SHARED_ROUTES] = {
		{ "/v1/continue_inspection", m->loop, share_agents, m, AGENT_BODY_MAX, 0,
		  share_before_body },
		{ "/v1", m->loop, share_agents, m, AGENT_MESSAGE_MAX, 0, NULL },
		{ "/boot", m->loop, share_boot, m, 0, 0, NULL },
		{ "/boot.ipxe", m->loop, share_boot, m, 0, 0, NULL },
		{ "/ramdisk", m->loop, share_boot, m, 0, 0, NULL },
		{ .prefix = NULL },
	};
	memcpy(ret, routes, sizeof(routes));
	if (!m->options->interface)
		ret[0] = (struct web_route){ .prefix = NULL };
}

/* --- engine and controller
 * ------------------------------------------------------------------------------- */

static int make_certificate(struct manager *m, struct err *err)
{
	const char *addresses[] = { m->address, NULL };
	usec_t now = loop_wall(m->loop);
	struct crypt_cert_spec spec = {
		.common_name = "ingot",
		.addresses = addresses,
		.not_before = now - 24 * USEC_PER_HOUR, /* clocks of ramdisks are often wrong */
		.not_after = now + TEN_YEARS,
		.server = true,
	};
	return crypt_make_cert(&spec, &m->installation.ca, &m->cert, err);
}

/* Handshakes that begin from now on get the new one. */
static void renew_certificate(struct manager *m)
{
	struct crypt_pair old = m->cert;
	struct err err;
	m->cert = (struct crypt_pair){ 0 };
	int r = make_certificate(m, &err);
	if (r == 0)
		r = web_server_set_certificate(m->agent_server, m->cert.cert, m->cert.key, &err);
	if (r < 0) {
		log_warn("the certificate for agents cannot be renewed", "error", err.text);
		crypt_pair_release(&m->cert);
		m->cert = old;
		return;
	}
	crypt_pair_release(&old);
	log_info("certificate for agents renewed");
}

static void look_at_validity(void *data)
{
	struct manager *m = data;
	usec_t wall = loop_wall(m->loop);
	validity_look(&m->ca_seen, m->installation.ca.cert, wall);
	if (m->agent_server && !validity_look(&m->cert_seen, m->cert.cert, wall)) {
		renew_certificate(m);
		validity_look(&m->cert_seen, m->cert.cert, wall);
	}
	timer_set_in(&m->validity, VALIDITY_LOOK);
}

static int start_engine(struct manager *m, struct err *err)
{
	const struct http_client_options http = { .user_agent = "ingot/" INGOT_VERSION,
						  .policy = &m->policies.agents,
						  .fence = { may_act, m } };
	int r = http_client_new(m->loop, &http, &m->http, err);
	if (r < 0)
		return r;
	bmc_driver_set_fence(m->ipmi, &http.fence);
	m->drivers.drivers[BMC_DRIVER_IPMI] = m->ipmi;
	m->link = agent_http_link_new(m->http);
	struct engine_options o = { .loop = m->loop,
				    .drivers = &m->drivers,
				    .link = m->link,
				    .secret = m->installation.key,
				    .secret_len = sizeof(m->installation.key),
				    .timeouts = { .boot = m->options->boot_timeout,
						  .silence = m->options->agent_timeout },
				    .serves_dhcp = m->options->interface &&
						   m->boot.dhcp == BOOT_DHCP_SERVER,
				    .agents = &m->policies.agents,
				    .address_check = check_address,
				    .address_data = m };
	struct prov_env env;
	host_controller_env(m->controller, &env);
	m->prov = prov_engine_new(&o, &env);
	m->engine = m->boot_env.engine = prov_engine_get(m->prov);
	return 0;
}

/* Hosts and agents meet open ports only now: before, nobody here would know them. */
static void on_ready(void *data)
{
	struct manager *m = data;
	struct err err = { 0 };
	if (!m->options->interface)
		return;
	int r = make_certificate(m, &err);
	if (r == 0)
		r = open_boot(m, &err);
	if (r < 0) {
		give_up(m, &err);
		return;
	}
	if (m->dhcp)
		dhcp_server_set_active(m->dhcp, true);
	if (m->tftp)
		tftp_server_set_active(m->tftp, true);
	log_info("boot services started");
}

static void run(struct manager *m)
{
	struct err err = { 0 };
	int r = start_engine(m, &err);
	if (r == 0)
		m->debug = debug_routes_new(m->prov, m->loop, next_look, m->controller);
	if (r == 0 && !str_empty(m->options->debug_socket))
		r = open_debug(m, &err);
	if (r < 0) {
		give_up(m, &err);
		return;
	}
	if (!m->options->interface)
		log_warn(
			"no --provisioning-interface: hosts can be registered and powered on and off, but not network-booted");
	webhooks_lead(m->webhooks);
	host_controller_start(m->controller, m->prov);
	log_info("controllers started");
}

/* --- leader election
 * ------------------------------------------------------------------------------------- */

static void on_acquired(void *data)
{
	run(data);
}

static void on_lost(void *data, const struct err *why)
{
	struct manager *m = data;
	struct err err = *why;
	err_wrap(&err, "this instance is no longer the leader and ends");
	give_up(m, &err);
}

static void on_leader(void *data, const char *identity)
{
	struct manager *m = data;
	free(m->leader);
	m->leader = streq(identity, m->identity) ? NULL : xstrdup(identity);
	if (m->leader)
		log_info("standing by: another instance leads", "leader", identity);
}

static void lead(struct manager *m)
{
	static const struct kube_lease_handlers handlers = { .acquired = on_acquired,
							     .lost = on_lost,
							     .leader = on_leader };
	struct err err = { 0 };
	if (!m->options->election.enabled)
		run(m);
	else if (kube_lease_new(&m->lease_options, &handlers, m, &m->lease, &err) < 0)
		give_up(m, &err);
}

static void on_installation(void *data, const struct err *err)
{
	struct manager *m = data;
	m->search = NULL;
	m->started = !err;
	if (!err)
		look_at_validity(m);
	if (err)
		give_up(m, err);
	else
		lead(m);
}

static int lease_settings(struct manager *m, struct err *err)
{
	const struct election_options *o = &m->options->election;
	m->lease_options = (struct kube_lease_options){ .name = o->name,
							.ns = o->ns ? o->ns
								    : m->options->namespace_own,
							.duration = o->duration,
							.renew_deadline = o->renew_deadline,
							.retry = o->retry };
	int r = kube_lease_check(&m->lease_options, err);
	return r < 0 ? err_wrap(err, "--lease-duration, --renew-deadline, --retry-period") : 0;
}

/* Another one at each start: a process must not take its predecessor's Lease for its own. */
static char *new_identity(struct loop *loop)
{
	char host[HOST_NAME_MAX + 1] = "", uuid[UUID_TEXT_SIZE];
	uint8_t random[16];
	gethostname(host, sizeof(host) - 1);
	loop_random(loop, random, sizeof(random));
	return xasprintf("%s_%s", host, uuid_format(random, uuid));
}

/* --- life
 * ---------------------------------------------------------------------------------------------------
 */

static struct kube_client *client(struct manager *m, struct kube_transport *transport, double qps)
{
	return kube_client_new(
		&(struct kube_client_options){ .loop = m->loop,
					       .transport = transport,
					       .stream_lists = m->options->stream_lists,
					       .qps = qps,
					       .burst = m->options->api_burst,
					       .fence = { may_write, m } });
}

/* Renewals must not wait behind other requests, nor all of their deadline for one answer. */
static void prepare_election(struct manager *m, struct kube_transport *transport)
{
	if (!m->options->election.enabled)
		return;
	m->identity = new_identity(m->loop);
	m->lease_client = kube_client_new(
		&(struct kube_client_options){ .loop = m->loop,
					       .transport = transport,
					       .timeout = m->lease_options.renew_deadline / 2 });
	m->lease_options.client = m->lease_client;
	m->lease_options.identity = m->identity;
}

/* Those that stand by tell where they are as well, so their client has no fence. */
static void join_instances(struct manager *m, struct kube_transport *transport)
{
	struct site_instances_options o = { .ns = m->lease_options.ns,
					    .address = m->address,
					    .agent_port = m->options->agent_port,
					    .http_port = m->options->http_port };
	if (!m->options->interface)
		return;
	if (m->options->election.enabled) {
		m->instances_client = kube_client_new(
			&(struct kube_client_options){ .loop = m->loop, .transport = transport });
		m->instances_name = xasprintf("%s-instances", m->lease_options.name);
		o.client = m->instances_client;
		o.name = m->instances_name;
	}
	m->instances = site_instances_new(&o);
}

/* What each value may be, its type has said; this is about more than one, and about the machine.
 * Found wrong before anything is opened; not after the start, which would be tried again and again.
 */
static int check(struct manager *m, struct err *err)
{
	const struct manager_options *o = m->options;
	int r = 0;
	net_targets_make(&o->targets, o->interface, o->address.s_addr ? &o->address : NULL,
			 &m->policies);
	if (o->interface)
		r = boot_settings(m, err);
	if (r == 0 && o->election.enabled)
		r = lease_settings(m, err);
	/* Last: what is wrong in the options comes first, wherever it is found. */
	return r == 0 && o->interface ? boot_check(&m->boot, NULL, err) : r;
}

/* The end of what check() made, and of the manager. */
static struct manager *settings_free(struct manager *m)
{
	net_targets_done(&m->policies);
	free(m->kernel), free(m->initramfs), free(m->http_url), free(m->agent_url);
	free(m->instances_name);
	free(m);
	return NULL;
}

int manager_check(const struct manager_options *options, struct err *err)
{
	struct manager *m = xcalloc(1, sizeof(*m));
	m->options = options;
	int r = check(m, err);
	settings_free(m);
	return r;
}

int manager_new(struct loop *loop, const struct manager_options *options, struct manager **ret,
		struct err *err)
{
	struct manager *m = xcalloc(1, sizeof(*m));
	*m = (struct manager){ .loop = loop, .options = options };
	m->ca_seen = (struct validity){ "agents-ca",
					"start Ingot again when it has ended, while no machine "
					"runs a ramdisk: a new CA is made then",
					0, 0 };
	m->cert_seen = (struct validity){ "agents", "nothing: it is renewed", 0, 0 };
	timer_init(&m->validity, loop, "validity", look_at_validity, m);
	int r = check(m, err);
	if (r == 0)
		r = open_privileged(m, err);
	if (r < 0) {
		manager_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

int manager_enter_sandbox(const struct manager_options *options, struct err *err)
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

/* A new id at each start with --hold. */
static void choose_hold(struct manager *m)
{
	uint32_t number;
	if (m->options->hold_id) {
		snprintf(m->hold_id_text, sizeof(m->hold_id_text), "%s", m->options->hold_id);
		m->hold_reason = m->options->hold_reason;
	} else if (m->options->hold) {
		loop_random(m->loop, &number, sizeof(number));
		snprintf(m->hold_id_text, sizeof(m->hold_id_text), "%08x", number);
		m->hold_reason = "Ingot was started with --hold";
	} else {
		return;
	}
	m->hold_id = m->hold_id_text;
}

/* Others wait meanwhile: DHCP, agents, the Lease. */
static void on_slow(void *data, const char *name, usec_t took)
{
	(void)data, (void)took;
	metric_add(METRIC_SLOW_CALLBACKS, 1, name);
}

void manager_start(struct manager *m, struct kube_transport *transport,
		   void (*failed)(void *data, const struct err *err), void *data)
{
	m->failed = failed;
	m->failed_data = data;
	loop_set_slow_limit(m->loop, SLOW_LIMIT, on_slow, NULL);
	m->client = client(m, transport, m->options->api_qps > 0 ? m->options->api_qps : -1);
	prepare_election(m, transport);
	join_instances(m, transport);
	/* Events have a throttle of their own: a flood of them must not delay work. */
	m->event_client = client(m, transport, 0);
	m->recorder = kube_recorder_new(&(struct kube_recorder_options){
		.client = m->event_client,
		.component = "metal3-baremetal-controller",
		.reporting_controller = "metal3.io/baremetal-controller" });
	choose_hold(m);
	m->controller = host_controller_new(
		&(struct host_controller_options){ .loop = m->loop,
						   .client = m->client,
						   .recorder = m->recorder,
						   .ns = m->options->namespace_watched,
						   .max_provisioning_retries = m->options->retries,
						   .fence = { may_act, m },
						   .hold_id = m->hold_id,
						   .hold_reason = m->hold_reason,
						   .held = m->options->held,
						   .held_data = m->options->held_data,
						   .ready = on_ready,
						   .ready_data = m });
	m->webhooks = webhooks_start(m->client, &m->options->webhook, m->options->namespace_own,
				     m->options->namespace_watched);
	m->search = installation_find(m->loop, m->client, m->options->namespace_own,
				      &m->installation, on_installation, m);
}

/* --- what health and metrics ask ------------------------------------------------------------- */

static const char *lease_trouble(void *data)
{
	const struct manager *m = data;
	bool stuck = m->lease && !kube_lease_alive(m->lease);
	return stuck ? "nothing has been tried for the Lease for long" : NULL;
}

static const char *start_trouble(void *data)
{
	const struct manager *m = data;
	if (!m->started)
		return "the Secret of this installation is not there yet";
	/* A standby reads nothing yet, and is ready to answer admission webhooks. */
	return m->engine ? host_controller_waits(m->controller) : NULL;
}

/* Worth knowing, and no reason not to be ready. */
static const char *held_note(void *data)
{
	const struct manager *m = data;
	if (!m->engine || engine_held_count(m->engine) == 0)
		return NULL;
	return "hosts are held until a person releases them: ingotctl status -A";
}

/* What a network boot lacks at the moment: any of it can go while Ingot runs. */
static const char *boot_trouble(void *data)
{
	const struct manager *m = data;
	const char *summary;
	struct err err;
	if (!m->options->interface)
		return NULL;
	return boot_check(&m->boot, &summary, &err) < 0 ? summary : NULL;
}

static const char *webhook_trouble(void *data)
{
	const struct manager *m = data;
	return webhooks_serve(m->webhooks) ? NULL
					   : "the webhooks have no certificate or no port yet";
}

size_t manager_checks(struct manager *m, struct health_check *ret)
{
	const struct health_check checks[] = {
		{ "lease", HEALTH_LIVE, m->loop, lease_trouble, m },
		{ "start", HEALTH_READY, m->loop, start_trouble, m },
		{ "held", HEALTH_READY | HEALTH_NOTE, m->loop, held_note, m },
		{ "boot", HEALTH_READY, m->loop, boot_trouble, m },
		{ "webhook", HEALTH_READY, m->loop, webhook_trouble, m },
	};
	/* Without the option there is no such check, rather than one that never fails. */
	size_t count = ARRAY_SIZE(checks) - (m->options->webhook.service == NULL);
	memcpy(ret, checks, count * sizeof(checks[0]));
	return count;
}

void manager_measure(void *data)
{
	const struct manager *m = data;
	if (m->controller)
		host_controller_measure(m->controller);
	if (m->engine)
		engine_measure(m->engine);
}

void manager_describe(void *data, struct web_request *r, const char *path)
{
	const struct manager *m = data;
	if (m->engine && m->debug)
		debug_routes_answer(m->debug, r, path);
	else
		debug_refuse_standby(r, m->leader);
}

/* --- the end
 * ---------------------------------------------------------------------------------------------------
 *
 * In order: nothing reaches hardware, agents or booting machines any more; passes that have decided
 * make their writes, while our webhooks still judge them for the API server; Events are sent; the
 * Lease is given back. Each has its limit, for an API server that hangs. Until its turn the Lease
 * is renewed, because no write leaves without it. A write of an image is the agent's work, and goes
 * on without us. */

/* Nothing comes in, and no effect on hardware goes out, afterwards. */
static void stop_acting(struct manager *m)
{
	m->search = installation_cancel(m->search);
	timer_stop(&m->validity);
	m->agent_server = web_server_close(m->agent_server);
	m->boot_server = web_server_close(m->boot_server);
	m->debug_server = web_server_close(m->debug_server);
	loop_drain(m->loop); /* requests that had come already; their handlers still stand */
	m->dhcp = dhcp_server_close(m->dhcp);
	m->tftp = tftp_server_close(m->tftp);
	m->engine = m->boot_env.engine = NULL;
	m->prov = prov_engine_free(m->prov);
}

static void on_released(void *data)
{
	struct manager *m = data;
	m->stopped(m->stopped_data);
}

static void release(struct manager *m)
{
	webhooks_close(m->webhooks);
	if (m->lease)
		kube_lease_release(m->lease, on_released, m);
	else
		loop_post(m->loop, on_released, m);
}

static void on_flushed(void *data)
{
	struct manager *m = data;
	char count[24];
	size_t waiting = kube_recorder_stats(m->recorder).waiting;
	snprintf(count, sizeof(count), "%zu", waiting);
	if (waiting > 0)
		log_warn("Events could not be sent before the end", "count", count);
	release(m);
}

static void flush(struct manager *m)
{
	timer_stop(&m->drain_limit);
	m->controller = host_controller_free(m->controller);
	kube_recorder_flush(m->recorder, FLUSH_LIMIT, on_flushed, m);
}

static void on_drained(void *data)
{
	flush(data);
}

static void on_drain_limit(void *data)
{
	log_warn("writes to the API are cut off: it did not answer before the end");
	flush(data);
}

void manager_stop(struct manager *m, loop_fn fn, void *data)
{
	m->stopped = fn;
	m->stopped_data = data;
	stop_acting(m);
	if (m->options->election.enabled && !(m->lease && kube_lease_held(m->lease))) {
		release(m); /* it has nothing to write, and must not become the leader now */
		return;
	}
	timer_init(&m->drain_limit, m->loop, "end of writes", on_drain_limit, m);
	timer_set_in(&m->drain_limit, DRAIN_LIMIT);
	host_controller_stop(m->controller, on_drained, m);
}

struct manager *manager_free(struct manager *m)
{
	if (!m)
		return NULL;
	webhooks_close(m->webhooks);
	stop_acting(m);
	timer_stop(&m->drain_limit);
	m->controller = host_controller_free(m->controller);
	webhooks_free(m->webhooks);
	kube_lease_free(m->lease);
	kube_client_free(m->lease_client);
	m->instances = site_instances_free(m->instances);
	kube_client_free(m->instances_client);
	free(m->identity);
	free(m->leader);
	if (m->link)
		m->link->ops->free(m->link);
	http_client_free(m->http);
	loop_drain(m->loop); /* cancelled requests of closed BMCs */
	bmc_driver_free(m->ipmi);
	kube_recorder_free(m->recorder);
	kube_client_free(m->event_client);
	kube_client_free(m->client);
	http_boot_free(m->http_boot);
	agent_routes_free(m->routes);
	debug_routes_free(m->debug);
	web_free(m->web);
	web_free(m->bulk);
	installation_release(&m->installation);
	crypt_pair_release(&m->cert);
	if (m->http_fd)
		close(m->http_fd);
	if (m->agent_fd)
		close(m->agent_fd);
	return settings_free(m);
}
