/* The part that machines talk to when they boot: DHCP, TFTP, boot files, the agents' API; and the
 * list of instances that tells them where to go on.
 *
 * The sockets are opened before the sandbox and stay silent until this process leads and has read
 * the hosts' records: before, it would not know the machines that ask. The installation's CA signs
 * our certificate on the provisioning network and goes to the ramdisk, so that agents trust us
 * alone. */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agentapi/messages.h"
#include "base/log.h"
#include "base/mem.h"
#include "boot/check.h"
#include "boot/dhcp_server.h"
#include "boot/http_boot.h"
#include "boot/tftp_server.h"
#include "engine/agent_routes.h"
#include "kube/client.h"
#include "runtime_parts.h"
#include "site/instances.h"
#include "web/web.h"

#define TEN_YEARS (3650 * 24 * USEC_PER_HOUR)

/* --- the list of instances -------------------------------------------------------------------- */

/* Those that stand by announce where they are as well, so their client has no fence. */
static int join_instances(void *data, struct err *err)
{
	struct runtime *rt = data;
	struct boot_part *b = &rt->boot;
	struct site_instances_options o = { .ns = rt->election.options.ns,
					    .address = rt->options->address.v4,
					    .address6 = rt->options->address.v6,
					    .agent_port = rt->options->agent_port,
					    .http_port = rt->options->http_port };
	(void)err;
	if (rt->options->election.enabled) {
		b->instances_client = kube_client_new(&(struct kube_client_options){
			.loop = rt->loop, .transport = rt->transport });
		b->instances_name = xasprintf("%s-instances", rt->election.options.name);
		o.client = b->instances_client;
		o.name = b->instances_name;
	}
	b->instances = site_instances_new(&o);
	return 0;
}

/* The entry in the list stays, and the others take it out when it is not renewed: the list does not
 * change with each restart. */
static void free_instances(void *data)
{
	struct runtime *rt = data;
	site_instances_free(rt->boot.instances);
	kube_client_free(rt->boot.instances_client);
	free(rt->boot.instances_name);
}

const struct service instances_service = { .name = "instances",
					   .roles = ROLE_BOOT,
					   .needs = { "election" },
					   .phases[SERVICE_STAND_BY] = join_instances,
					   .free = free_instances };

static char *agent_urls(void *data, int family, const char *path)
{
	const struct runtime *rt = data;
	return site_instances_agent_urls(rt->boot.instances, family, path);
}

static const char *const *boot_urls(void *data, int family)
{
	const struct runtime *rt = data;
	return site_instances_boot_urls(rt->boot.instances, family);
}

/* --- options ---------------------------------------------------------------------------------- */

/* What one option needs of another. A wrong value of one option was refused by its type. */
static int check_boot_options(const struct runtime_options *o, struct err *err)
{
	if (!net_is_set(&o->address.v4) && !net_is_set(&o->address.v6))
		return err_set(err, ERR_INVALID, "--provisioning-address: name our address on %s",
			       o->interface);
	if (!o->ramdisk)
		return err_set(err, ERR_INVALID,
			       "--ramdisk: name the directory with vmlinuz and initramfs");
	if (o->http_port == o->agent_port)
		return err_set(err, ERR_INVALID, "--agent-port: %u is --http-port already",
			       o->agent_port);
	return 0;
}

static char *make_url(const char *scheme, const struct net_addr *address, uint16_t port)
{
	struct net_addr at = *address;
	char text[NET_TEXT_MAX];
	net_set_port(&at, port);
	return xasprintf("%s://%s", scheme, net_format(&at, text));
}

static void make_side(const struct runtime_options *o, const struct net_addr *address,
		      struct boot_side *ret)
{
	if (!net_is_set(address))
		return;
	ret->at = *address;
	net_format_ip(address, ret->address);
	ret->http_url = make_url("http", address, o->http_port);
}

static void make_config(struct runtime *rt)
{
	const struct runtime_options *o = rt->options;
	struct boot_part *b = &rt->boot;
	bool v4 = net_is_set(&o->address.v4);
	make_side(o, &o->address.v4, &b->sides[0]);
	make_side(o, &o->address.v6, &b->sides[1]);
	b->kernel = xasprintf("%s/vmlinuz", o->ramdisk);
	b->initramfs = xasprintf("%s/initramfs", o->ramdisk);
	b->ramdisks[0] = (struct boot_ramdisk){ "ramdisk", b->kernel, b->initramfs };
	b->agent_url = make_url("https", v4 ? &o->address.v4 : &o->address.v6, o->agent_port);
	b->config = (struct boot_config){ .device = o->interface,
					  .address = o->address.v4,
					  .address6 = o->address.v6,
					  .tftp = true,
					  .http_url = b->sides[0].http_url,
					  .http_url6 = b->sides[1].http_url,
					  .ramdisks = b->ramdisks };
}

/* The machine's state last: what is wrong in the options comes first, wherever it is found. */
static int check_boot(void *data, struct err *err)
{
	struct runtime *rt = data;
	int r = check_boot_options(rt->options, err);
	if (r < 0)
		return r;
	make_config(rt);
	r = boot_dhcp_options_apply(&rt->options->dhcp, &rt->boot.config, err);
	if (r == 0)
		r = boot_config_check(&rt->boot.config, err);
	return r < 0 ? r : boot_check(&rt->boot.config, NULL, err);
}

/* Of the annotation that fixes a host's address. */
int runtime_check_address(void *data, const char *text, struct err *err)
{
	const struct runtime *rt = data;
	struct net_addr address;
	if (net_parse_ip(text, &address) < 0)
		return err_set(err, ERR_INVALID, "it is not an address");
	if (!rt->options->interface || rt->boot.config.dhcp != BOOT_DHCP_SERVER)
		return err_set(err, ERR_INVALID,
			       "Ingot gives no addresses: it runs without --dhcp server");
	return boot_address_check(&rt->boot.config, &address, err);
}

/* --- sockets ---------------------------------------------------------------------------------- */

/* Bound to the interface, not only to its address: machines of another network must not reach it.
 */
static struct web_server_options listener(const struct runtime *rt, const struct boot_side *side,
					  uint16_t port)
{
	return (struct web_server_options){ .address = side->address,
					    .share_percent = rt->options->peer_share,
					    .device = rt->options->interface,
					    .port = port };
}

/* A port that another program has shows now, and not when this process is to take over. */
static int bind_port(const struct runtime *rt, const struct boot_side *side, uint16_t port,
		     int *ret_fd, struct err *err)
{
	struct web_server_options o = listener(rt, side, port);
	int r = web_bind(&o, err);
	if (r < 0)
		return r;
	*ret_fd = r;
	return 0;
}

static int bind_ports(const struct runtime *rt, struct boot_side *side, struct err *err)
{
	const struct runtime_options *o = rt->options;
	if (!net_is_set(&side->at))
		return 0;
	int r = bind_port(rt, side, o->http_port, &side->http_fd, err);
	return r < 0 ? r : bind_port(rt, side, o->agent_port, &side->agent_fd, err);
}

static struct boot_env env_of(struct runtime *rt)
{
	return (struct boot_env){ rt->loop, &rt->boot.config, &engine_boot_ops, &rt->boot.env };
}

/* A ramdisk of the user's choice comes without the loaders; its hosts boot by network. */
static int open_media(struct runtime *rt, struct err *err)
{
	struct boot_part *b = &rt->boot;
	_cleanup_(freep) char *loaders = xasprintf("%s/loaders", rt->options->ramdisk);
	const struct engine_media_options o = { .paths = { b->kernel, b->initramfs, loaders },
						.origin_v4 = b->sides[0].http_url,
						.origin_v6 = b->sides[1].http_url,
						.kernel_args = rt->options->kernel_args,
						.agent_urls = agent_urls,
						.places = rt };
	struct err why = { 0 };
	int r = engine_media_open(&o, &b->media, &why);
	if (r < 0 && why.kind != ERR_NOT_FOUND)
		return err_copy(err, &why);
	if (r < 0)
		log_info("hosts cannot boot by virtual media", "reason", why.text);
	return 0;
}

/* They are silent until they are set active. */
static int open_sockets(void *data, struct err *err)
{
	struct runtime *rt = data;
	struct boot_part *b = &rt->boot;
	struct boot_env env = env_of(rt);
	int r = open_media(rt, err);
	b->env = (struct engine_boot_env){ .loop = rt->loop,
					   .kernel_args = rt->options->kernel_args,
					   .fence = { runtime_may_act, rt },
					   .agent_urls = agent_urls,
					   .boot_urls = boot_urls,
					   .places = rt };
	if (r == 0 && b->config.dhcp != BOOT_DHCP_OFF)
		r = dhcp_server_open(&env, &b->dhcp, err);
	if (r == 0)
		r = tftp_server_open(&env, &b->tftp, err);
	for (size_t i = 0; r == 0 && i < BOOT_SIDES; i++)
		r = bind_ports(rt, &b->sides[i], err);
	return r;
}

/* --- the certificate -------------------------------------------------------------------------- */

/* Made at each start and not kept, unlike the CA that agents trust. The addresses are what they
 * compare. */
static int make_certificate(struct runtime *rt, struct err *err)
{
	const char *addresses[BOOT_SIDES + 1] = { NULL };
	size_t count = 0;
	for (size_t i = 0; i < BOOT_SIDES; i++)
		if (net_is_set(&rt->boot.sides[i].at))
			addresses[count++] = rt->boot.sides[i].address;
	usec_t now = loop_wall(rt->loop);
	struct crypt_cert_spec spec = {
		.common_name = "ingot",
		.addresses = addresses,
		.not_before = now - 24 * USEC_PER_HOUR, /* clocks of ramdisks are often wrong */
		.not_after = now + TEN_YEARS,
		.server = true,
	};
	return crypt_make_cert(&spec, &rt->site.installation.ca, &rt->boot.cert, err);
}

/* Handshakes that begin from now on get the new one. */
static void renew_certificate(struct runtime *rt)
{
	struct boot_part *b = &rt->boot;
	struct crypt_pair old = b->cert;
	struct err err;
	b->cert = (struct crypt_pair){ 0 };
	int r = make_certificate(rt, &err);
	for (size_t i = 0; r == 0 && i < BOOT_SIDES; i++)
		if (b->sides[i].agent_server)
			r = web_server_set_certificate(b->sides[i].agent_server, b->cert.cert,
						       b->cert.key, &err);
	if (r < 0) {
		log_warn("the certificate for agents cannot be renewed", "error", err.text);
		crypt_pair_release(&b->cert);
		b->cert = old;
		return;
	}
	crypt_pair_release(&old);
	log_info("certificate for agents renewed");
}

static void look_at_validity(void *data)
{
	struct runtime *rt = data;
	struct boot_part *b = &rt->boot;
	usec_t wall = loop_wall(rt->loop);
	if (!validity_look(&b->cert_seen, b->cert.cert, wall)) {
		renew_certificate(rt);
		validity_look(&b->cert_seen, b->cert.cert, wall);
	}
	timer_set_in(&b->validity, VALIDITY_LOOK);
}

/* --- service ---------------------------------------------------------------------------------- */

/* From here on DHCP could answer, if it were active. */
static int take_engine(void *data, struct err *err)
{
	struct runtime *rt = data;
	(void)err;
	rt->boot.env.engine = rt->hosts.engine;
	engine_media_set_engine(rt->boot.media, rt->hosts.engine);
	return 0;
}

/* The server owns it from then on. */
static int take_fd(int *fd)
{
	int taken = *fd;
	*fd = 0;
	return taken;
}

/* HTTPS only: agents bring their tokens here. */
static int open_agent_server(struct runtime *rt, struct boot_side *side, struct err *err)
{
	struct boot_part *b = &rt->boot;
	struct web_route rows[3] = { { .prefix = NULL } };
	agent_routes_rows(b->routes, rows);
	struct web_server_options w = listener(rt, side, rt->options->agent_port);
	w.name = "agents";
	w.cert = b->cert.cert;
	w.key = b->cert.key;
	w.routes = rows;
	w.bound = take_fd(&side->agent_fd);
	return web_server_open(rt->web, &w, &side->agent_server, err);
}

/* One listener for both tables: scripts are small, and downloads have the bulk thread to
 * themselves. */
static int open_boot_server(struct runtime *rt, struct boot_side *side, struct err *err)
{
	struct boot_part *b = &rt->boot;
	struct web_route rows[16] = { { .prefix = NULL } };
	size_t count = 0;
	static const struct web_route none[] = { { .prefix = NULL } };
	const struct web_route *tables[] = { http_boot_small_routes(b->http),
					     http_boot_bulk_routes(b->http),
					     b->media_http ? media_http_routes(b->media_http)
							   : none };
	for (size_t t = 0; t < ARRAY_SIZE(tables); t++)
		for (const struct web_route *row = tables[t];
		     row->prefix && count < ARRAY_SIZE(rows) - 1; row++)
			rows[count++] = *row;
	struct web_server_options w = listener(rt, side, rt->options->http_port);
	w.name = "boot";
	w.routes = rows;
	w.bound = take_fd(&side->http_fd);
	return web_server_open(b->bulk, &w, &side->boot_server, err);
}

/* To DHCPv6: the same in all instances, and in each process of them. */
static void name_server(struct runtime *rt)
{
	static const char purpose[] = "ingot DHCPv6 server";
	const struct site_installation *i = &rt->site.installation;
	uint8_t digest[32];
	hmac_sha256(i->key, sizeof(i->key), purpose, sizeof(purpose) - 1, digest);
	memcpy(rt->boot.config.server_uuid, digest, sizeof(rt->boot.config.server_uuid));
}

static int open_servers(struct runtime *rt, struct err *err)
{
	struct boot_part *b = &rt->boot;
	struct boot_env env = env_of(rt);
	b->config.ca_pem = rt->site.installation.ca.cert;
	name_server(rt);
	int r = web_new(&b->bulk, err);
	if (r < 0)
		return r;
	b->http = http_boot_new(&env);
	if (b->media)
		b->media_http = media_http_new(rt->loop, &engine_media_http_ops, b->media);
	b->routes = agent_routes_new(rt->hosts.engine, rt->loop, b->agent_url);
	for (size_t i = 0; r == 0 && i < BOOT_SIDES; i++) {
		struct boot_side *side = &b->sides[i];
		if (!net_is_set(&side->at))
			continue;
		r = open_boot_server(rt, side, err);
		if (r == 0)
			r = open_agent_server(rt, side, err);
	}
	return r;
}

/* Hosts and agents meet open ports only now. */
static int serve(void *data, struct err *err)
{
	struct runtime *rt = data;
	struct boot_part *b = &rt->boot;
	int r = make_certificate(rt, err);
	if (r == 0)
		r = open_servers(rt, err);
	if (r < 0)
		return r;
	if (b->dhcp)
		dhcp_server_set_active(b->dhcp, true);
	if (b->tftp)
		tftp_server_set_active(b->tftp, true);
	b->cert_seen = (struct validity){ "agents", "nothing: it is renewed", 0, 0 };
	timer_init(&b->validity, rt->loop, "validity", look_at_validity, rt);
	timer_set_in(&b->validity, VALIDITY_LOOK);
	log_info("boot services started");
	return 0;
}

/* --- on a port that others share -------------------------------------------------------------- */

static void refuse_shared(struct web_request *r, int status, const char *text)
{
	static const char *const later[] = { "Retry-After: 5", NULL };
	const struct web_reply_head head = { .status = status,
					     .content_type = "text/plain; charset=utf-8",
					     .headers = status == 503 ? later : NULL };
	web_reply(r, &head, text, strlen(text));
}

/* Their own ports are bound to the provisioning network, and open while this process leads. `own`:
 * the server of one of them. */
static bool may_share(const struct runtime *rt, struct web_request *r, const struct web_server *own)
{
	struct net_addr source;
	if (net_parse_ip(web_peer_address(r), &source) < 0 ||
	    !net_prefixes_contain(&rt->hosts.targets.agents.only, &source))
		refuse_shared(r, 403, "only for machines of the provisioning network\n");
	else if (!own)
		refuse_shared(r, 503, "this instance does not act (yet)\n");
	else
		return true;
	return false;
}

static const struct web_server *any_server(const struct runtime *rt)
{
	const struct boot_side *sides = rt->boot.sides;
	return sides[0].agent_server ? sides[0].agent_server : sides[1].agent_server;
}

static void share_agents(void *data, struct web_request *r)
{
	struct runtime *rt = data;
	if (may_share(rt, r, any_server(rt)))
		agent_routes_handle(rt->boot.routes, r);
}

static void share_before_body(void *data, struct web_request *r)
{
	struct runtime *rt = data;
	if (may_share(rt, r, any_server(rt)))
		agent_routes_before_body(rt->boot.routes, r);
}

static void share_boot(void *data, struct web_request *r)
{
	struct runtime *rt = data;
	if (may_share(rt, r, any_server(rt)))
		http_boot_handle(rt->boot.http, r);
}

struct net_pair runtime_addresses(const struct runtime *rt)
{
	const struct net_pair none = { .v4 = { .v4 = { .sin_family = AF_UNSPEC } } };
	return rt->options->interface ? rt->options->address : none;
}

void runtime_shared_routes(struct runtime *rt, struct web_route ret[RUNTIME_SHARED_ROUTES])
{
	const struct web_route routes[RUNTIME_SHARED_ROUTES] = {
		{ "/v1/continue_inspection", rt->loop, share_agents, rt, AGENT_BODY_MAX, 0,
		  share_before_body },
		{ "/v1", rt->loop, share_agents, rt, AGENT_MESSAGE_MAX, 0, NULL },
		{ "/boot", rt->loop, share_boot, rt, 0, 0, NULL },
		{ "/boot.ipxe", rt->loop, share_boot, rt, 0, 0, NULL },
		{ "/ramdisk", rt->loop, share_boot, rt, 0, 0, NULL },
		{ .prefix = NULL },
	};
	memcpy(ret, routes, sizeof(routes));
	if (!rt->options->interface)
		ret[0] = (struct web_route){ .prefix = NULL };
}

/* --- the end ---------------------------------------------------------------------------------- */

/* The servers first, then what their requests had already asked for, then DHCP and TFTP: no machine
 * gets half an answer. */
static void silence(void *data)
{
	struct runtime *rt = data;
	struct boot_part *b = &rt->boot;
	timer_stop(&b->validity);
	for (size_t i = 0; i < BOOT_SIDES; i++) {
		b->sides[i].agent_server = web_server_close(b->sides[i].agent_server);
		b->sides[i].boot_server = web_server_close(b->sides[i].boot_server);
	}
	if (rt->loop)
		loop_drain(rt->loop); /* requests that had come already */
	b->dhcp = dhcp_server_close(b->dhcp);
	b->tftp = tftp_server_close(b->tftp);
	b->env.engine = NULL;
	engine_media_set_engine(b->media, NULL);
}

static void free_boot(void *data)
{
	struct runtime *rt = data;
	struct boot_part *b = &rt->boot;
	http_boot_free(b->http);
	media_http_free(b->media_http);
	engine_media_close(b->media);
	agent_routes_free(b->routes);
	web_free(b->bulk);
	crypt_pair_release(&b->cert);
	for (size_t i = 0; i < BOOT_SIDES; i++) {
		if (b->sides[i].http_fd)
			close(b->sides[i].http_fd);
		if (b->sides[i].agent_fd)
			close(b->sides[i].agent_fd);
		free(b->sides[i].http_url);
	}
	free(b->kernel), free(b->initramfs), free(b->agent_url);
}

const struct service boot_service = { .name = "boot",
				      .roles = ROLE_BOOT,
				      .needs = { "engine", "web", "instances", "site", "targets" },
				      .phases[SERVICE_CHECK] = check_boot,
				      .phases[SERVICE_OPEN] = open_sockets,
				      .phases[SERVICE_LEAD] = take_engine,
				      .phases[SERVICE_SERVE] = serve,
				      .silence = silence,
				      .free = free_boot };
