/* `ingot standalone`: controllers and engine with an embedded API server on an SQLite file, for
 * kubectl, with its own certificates. Wiring only.
 *
 *   main thread    the core loop: controllers, engine, boot services, signals
 *   store thread   a loop with the API server and its store, which block
 *   web thread     connections; its one route leads to the store's loop
 *
 * The end comes in this order: the web server closes and posts no more; the store's loop runs what
 * was posted and stops; what lived on it is freed; then the web thread. */

#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "admit.h"
#include "apiserver/front.h"
#include "apiserver/transport.h"
#include "base/log.h"
#include "base/log_options.h"
#include "base/mem.h"
#include "base/str.h"
#include "commands.h"
#include "health/service.h"
#include "health/validity.h"
#include "loop/thread.h"
#include "net/options.h"
#include "process.h"
#include "runtime.h"
#include "site/control.h"
#include "site/crds.h"
#include "site/files.h"
#include "site/generation.h"
#include "site/pki.h"
#include "site/shared.h"
#include "site/token_file.h"

enum { API_PORT = 6443 };

struct standalone_options {
	struct runtime_options runtime;
	struct health_service_options health;
	struct log_options log;
	bool api_only, no_admission;
	const char *data_dir;
	struct net_addr api_bind, shared_bind; /* the second may be absent: all zero */
	const char *generation_dir;
	struct option_list crds;
};

#define FIELD(member) .offset = offsetof(struct standalone_options, member)

/* Where the data is. The counter is outside of it by intention: what is restored with the data
 * cannot tell that it was restored. */
static const struct option_row rows[] = {
	{ .name = "data-dir",
	  .argument = "DIR",
	  .help = "keep everything in this directory; it is created if missing and closed to other users",
	  .type = &option_path,
	  FIELD(data_dir),
	  .required = true },
	{ .name = "generation-dir",
	  .argument = "DIR",
	  .help = "keep here the counter that distinguishes copies of the data directory; default: DIR-generation beside it; none: no counter",
	  .type = &option_path,
	  FIELD(generation_dir) },
	{ .name = NULL },
};

/* On the loopback unless it is said otherwise: the API can wipe disks. */
static const struct option_row api_rows[] = {
	{ .name = "api-bind",
	  .argument = "ADDRESS[:PORT]",
	  .standard = "127.0.0.1:6443",
	  .help = "serve the API at this address; port 0: any free port",
	  .type = &net_option_address,
	  .port = API_PORT,
	  FIELD(api_bind) },
	{ .name = "shared-bind",
	  .argument = "ADDRESS:PORT",
	  .help = "serve the API, the agents' API and boot files, by path, on this one TLS port "
		  "too; beside the ports of each",
	  .type = &net_option_address,
	  FIELD(shared_bind) },
	{ .name = "crds",
	  .argument = "DIR",
	  .help = "load more CustomResourceDefinitions from this directory; may be repeated",
	  .type = &option_paths,
	  FIELD(crds) },
	{ .name = "api-only",
	  .help = "serve the API without running controllers",
	  .type = &option_flag,
	  FIELD(api_only) },
	{ .name = "no-admission",
	  .help = "accept objects that break Metal3's rules; the controllers then do not act on them",
	  .type = &option_flag,
	  FIELD(no_admission) },
	{ .name = NULL },
};

static const struct option_table tables[] = {
	{ "Data", rows, 0 },
	{ "API server", api_rows, 0 },
	RUNTIME_TABLES(struct standalone_options, runtime),
	{ NULL, log_option_rows, offsetof(struct standalone_options, log) },
	{ "Health and metrics", health_plain_rows, offsetof(struct standalone_options, health) },
	{ NULL, NULL, 0 },
};

struct standalone {
	struct process process;
	struct standalone_options *options;
	char *debug_socket; /* the default */
	int lock;
	struct site_pki pki;
	struct timer validity;
	struct validity seen[3]; /* CA, server, administrator */
	struct site_generation generation;
	struct loop *store_loop;
	struct loop_thread store_thread;
	struct apiserver *api;
	struct site_token_file tokens;
	struct api_front *front;
	struct site_control control_data;
	struct web *web;
	struct web_server *server, *control;
	struct site_shared shared;
	struct kube_transport *transport;
	struct runtime *runtime; /* NULL: --api-only */
	struct health_service *health;
};

static void freep_path(char **path)
{
	free(*path);
}

static char *in_data_dir(const struct standalone *s, const char *name)
{
	return xasprintf("%s/%s", s->options->data_dir, name);
}

/* --- what must hold before anything runs ------------------------------------------------------ */

/* Unless the user names another place. */
static void place_debug_socket(struct standalone *s)
{
	struct runtime_options *o = &s->options->runtime;
	if (o->debug_socket)
		return;
	s->debug_socket = in_data_dir(s, "debug.sock");
	if (strlen(s->debug_socket) < sizeof(((struct sockaddr_un *)NULL)->sun_path))
		o->debug_socket = s->debug_socket;
	else
		log_warn(
			"no debug socket: the path of --data-dir is too long; give --debug-socket");
}

static int check_options(struct standalone *s, struct err *err)
{
	log_use_options(&s->options->log);
	int r = health_service_check_plain(&s->options->health, err);
	if (r < 0 || s->options->api_only)
		return r;
	place_debug_socket(s);
	return runtime_new(&s->options->runtime, &s->runtime, err);
}

/* Watches and agents hold connections; the usual soft limit of 1024 is for programs that use
 * select. */
static void raise_file_limit(void)
{
	struct rlimit rl;
	if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
		return;
	rl.rlim_cur = MIN(rl.rlim_max, (rlim_t)65536);
	setrlimit(RLIMIT_NOFILE, &rl);
}

/* The lock before anything is read: two processes on one store would both act on its hosts. */
static int prepare(struct standalone *s, struct err *err)
{
	_cleanup_(freep_path) char *part = in_data_dir(s, RESTORE_PART);
	raise_file_limit();
	int r = process_open(&s->process, err);
	if (r < 0)
		return r;
	r = site_files_prepare_directory(s->options->data_dir, err);
	if (r == 0)
		r = site_files_lock(s->options->data_dir, &s->lock, err);
	if (r == 0 && site_files_exists(part))
		r = err_set(err, ERR_CONFLICT,
			    "%s: a restore did not come to its end: run `ingot restore` again",
			    part);
	return r;
}

/* --- a restored data directory --- */

/* On the store's thread. The hold is in every host's record by now, so a crash before this holds
 * them once more, and one after it loses nothing. */
static void clear_hold(void *data)
{
	struct standalone *s = data;
	struct err err;
	if (site_generation_clear_hold(s->api, &err) < 0)
		log_warn("hosts are held again at the next start", "error", err.text);
}

static void holds_stored(void *data)
{
	struct standalone *s = data;
	loop_post(s->store_loop, clear_hold, s);
}

/* --- the API server --------------------------------------------------------------------------- */

/* Before the API server writes anything to the store. */
static int judge_store(struct standalone *s, struct err *err)
{
	const struct site_generation_options o = { .loop = s->process.loop,
						   .data_dir = s->options->data_dir,
						   .place = s->options->generation_dir,
						   .hold = s->options->runtime.hold,
						   .look_only = s->options->api_only };
	int r = site_generation_open(&o, &s->generation, err);
	if (r < 0 || !*s->generation.hold_id || s->options->api_only)
		return r;
	s->options->runtime.hold_id = s->generation.hold_id;
	s->options->runtime.hold_reason = site_hold_text(s->generation.reason);
	s->options->runtime.held = holds_stored;
	s->options->runtime.held_data = s;
	return 0;
}

/* Of what stands in the store, these move hardware. */
static bool counts(const char *resource)
{
	return str_has_suffix(resource, ".metal3.io") || str_has_suffix(resource, ".ingot.dev");
}

static int start_api(struct standalone *s, struct err *err)
{
	struct site_crd_list crds = { 0 };
	_cleanup_(freep_path) char *path = in_data_dir(s, "store.db");
	/* An API server alone takes what its schemas allow, as on a cluster without webhooks. */
	bool acts = !s->options->api_only;
	bool admission = !s->options->api_only && !s->options->no_admission;
	int r = loop_new(&s->store_loop, err);
	if (r == 0)
		r = site_crds_load(&s->options->crds, &crds, err);
	if (r == 0)
		r = apiserver_new(
			&(struct apiserver_options){ .loop = s->store_loop,
						     .path = path,
						     .crds = (const char *const *)crds.json,
						     .counts = acts ? counts : NULL,
						     .kept = site_generation_mark,
						     .kept_data = &s->generation,
						     .admit = admission ? rules_admit : NULL },
			&s->api, err);
	site_crds_done(&crds);
	if (r < 0)
		return r;
	site_token_file_init(&s->tokens, s->options->data_dir);
	s->front = api_front_new(
		&(struct api_front_options){ .server = s->api,
					     .authenticate = site_token_file_authenticate,
					     .data = &s->tokens });
	return 0;
}

static struct web_route api_route(const struct standalone *s)
{
	return (struct web_route){ .prefix = "/",
				   .loop = s->store_loop,
				   .handler = api_front_handle,
				   .data = s->front,
				   .max_body_bytes = APISERVER_BODY_MAX,
				   .before_body = api_front_before_body };
}

static int start_shared(struct standalone *s, struct err *err)
{
	struct web_route parts[RUNTIME_SHARED_ROUTES] = { { .prefix = NULL } };
	const struct web_route api = api_route(s);
	struct site_shared_options options = {
		.loop = s->process.loop,
		.ca = &s->pki.ca,
		.api = &api,
		.parts = parts,
		.share_percent = s->options->runtime.peer_share,
	};
	if (s->runtime) {
		options.addresses = runtime_addresses(s->runtime);
		runtime_shared_routes(s->runtime, parts);
	}
	return site_shared_open(&s->shared, &options, err);
}

/* Client certificates and tokens are both asked for by the front; the web server only verifies what
 * a client brings. */
static int start_web(struct standalone *s, struct err *err)
{
	char address[NET_IP_TEXT_MAX];
	const struct web_route routes[] = { api_route(s), { .prefix = NULL } };
	const struct web_server_options options = {
		.name = "api",
		.address = net_format_ip(&s->options->api_bind, address),
		.port = net_port(&s->options->api_bind),
		.cert = s->pki.server.cert,
		.key = s->pki.server.key,
		.client_ca = s->pki.ca.cert,
		.routes = routes,
		.chunked = true,
		.share_percent = s->options->runtime.peer_share,
	};
	int r = web_new(&s->web, err);
	if (r == 0)
		r = web_server_open(s->web, &options, &s->server, err);
	if (r == 0)
		s->control_data = (struct site_control){ s->api, s->options->data_dir };
	return r < 0 ? r
		     : site_control_open(&s->control_data, s->web, s->store_loop, &s->control, err);
}

/* --- telling the world ------------------------------------------------------------------------ */

/* The address a client on this machine uses; "all addresses" is none. */
static char *api_url(const struct standalone *s)
{
	struct net_addr to = s->options->api_bind;
	char text[NET_TEXT_MAX];
	if (net_is_unspecified(&to)) /* "::" is served by IPv4, too (web_bind) */
		net_parse_ip("127.0.0.1", &to);
	net_set_port(&to, web_server_port(s->server));
	return xasprintf("https://%s", net_format(&to, text));
}

/* Readiness for systemd (sd_notify(3)), without its library. */
static void notify_ready(void)
{
	static const char message[] = "READY=1";
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t len = path ? strlen(path) : 0;
	if (len == 0 || len >= sizeof(to.sun_path))
		return;
	memcpy(to.sun_path, path, len);
	if (path[0] == '@')
		to.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	if (sendto(fd, message, sizeof(message) - 1, MSG_NOSIGNAL, (struct sockaddr *)&to, size) <
	    0)
		log_warn("NOTIFY_SOCKET does not answer", "socket", path);
	close(fd);
}

/* Anew at each start and each renewal: it holds the administrator's certificate and the address. */
static int write_kubeconfig(struct standalone *s, struct err *err)
{
	_cleanup_(freep_path) char *url = api_url(s), *path = in_data_dir(s, "kubeconfig");
	_cleanup_(secret_freep) char *text = site_pki_kubeconfig(&s->pki, url);
	return site_files_write_secret(path, text, err);
}

static int announce(struct standalone *s, struct err *err)
{
	_cleanup_(freep_path) char *url = api_url(s), *path = in_data_dir(s, "kubeconfig");
	int r = write_kubeconfig(s, err);
	if (r < 0)
		return r;
	printf("API server ready at %s; kubectl --kubeconfig %s get bmh\n", url, path);
	fflush(stdout);
	notify_ready();
	return 0;
}

/* --- certificates that end, and clocks that are set --- */

/* Connections that are open keep the certificate that they began with. */
static int renew(struct standalone *s, struct err *err)
{
	char address[NET_IP_TEXT_MAX];
	_cleanup_(freep_path) char *pki = in_data_dir(s, "pki");
	bool fresh = false;
	int r = site_pki_renew(pki, net_format_ip(&s->options->api_bind, address),
			       loop_wall(s->process.loop), &s->pki, &fresh, err);
	if (r < 0 || !fresh)
		return r;
	r = web_server_set_certificate(s->server, s->pki.server.cert, s->pki.server.key, err);
	return r < 0 ? r : write_kubeconfig(s, err);
}

static void look_at_validity(void *data)
{
	struct standalone *s = data;
	struct err err;
	usec_t wall = loop_wall(s->process.loop);
	/* A leaf certificate is useless if its CA is not valid. */
	if (validity_look(&s->seen[0], s->pki.ca.cert, wall) && renew(s, &err) < 0)
		log_warn("certificates of the API cannot be renewed", "error", err.text);
	validity_look(&s->seen[1], s->pki.server.cert, wall);
	validity_look(&s->seen[2], s->pki.admin.cert, wall);
	timer_set_in(&s->validity, VALIDITY_LOOK);
}

/* A person must act only for the CA: all else is renewed in time, unless the clock is wrong. */
static void watch_validity(struct standalone *s)
{
	static const char on_leaf[] = "set the clock, or see why it cannot be renewed";
	s->seen[0] = (struct validity){ "api-ca",
					"set the clock, or move pki/ca.crt and pki/ca.key away and "
					"start again: every kubeconfig must then be replaced",
					0, 0 };
	s->seen[1] = (struct validity){ "api-server", on_leaf, 0, 0 };
	s->seen[2] = (struct validity){ "api-admin", on_leaf, 0, 0 };
	timer_init(&s->validity, s->process.loop, "validity", look_at_validity, s);
	look_at_validity(s);
}

/* --- life ------------------------------------------------------------------------------------- */

/* The store's thread runs on meanwhile. */
static void stop(void *data)
{
	struct standalone *s = data;
	if (s->runtime)
		runtime_stop(s->runtime, process_end, &s->process);
	else
		process_end(&s->process);
}

/* The order of the head of this file. Health before what it asks, the runtime before its transport,
 * the thread before what lives on it. */
static int finish(struct standalone *s)
{
	process_release_signals(&s->process);
	timer_stop(&s->validity);
	site_shared_close(&s->shared);
	web_server_close(s->server);
	web_server_close(s->control);
	health_service_stop(s->health);
	runtime_free(s->runtime);
	if (s->transport)
		s->transport->ops->free(s->transport);
	loop_thread_stop(&s->store_thread);
	health_service_free(s->health);
	apiserver_free(s->api);
	site_generation_done(&s->generation);
	api_front_free(s->front);
	site_token_file_done(&s->tokens);
	loop_free(s->store_loop);
	web_free(s->web);
	site_pki_done(&s->pki);
	free(s->debug_socket);
	int code = process_close(&s->process);
	if (s->lock >= 0)
		close(s->lock);
	return code;
}

/* The controllers reach the API server in this process by messages, without TLS or HTTP, through
 * the same client that an operator uses. */
static void start_runtime(struct standalone *s)
{
	s->transport = apiserver_transport_new(&(struct apiserver_transport_options){
		.loop = s->process.loop, .server_loop = s->store_loop, .server = s->api });
	runtime_start(s->runtime, s->transport, process_fail, &s->process);
}

/* The store's loop is asked for signs of life as well: it blocks on the disk, and hangs with it. */
static int start_health(struct standalone *s, struct err *err)
{
	struct health_check checks[2 + RUNTIME_CHECKS + 1] = {
		{ "core", HEALTH_LIVE, s->process.loop, NULL, NULL },
		{ "store", HEALTH_LIVE | HEALTH_READY, s->store_loop, NULL, NULL },
	};
	const struct health_service_wiring wiring = {
		.loop = s->process.loop,
		.checks = checks,
		.measure = s->runtime ? runtime_measure : NULL,
		.describe = s->runtime ? runtime_describe : NULL,
		.data = s->runtime
	};
	if (s->runtime)
		runtime_checks(s->runtime, checks + 2);
	return health_service_start(&s->options->health, &wiring, &s->health, err);
}

/* The order is that of privileges and of truth: sockets, then the sandbox; keys; then the judgement
 * whether this store may act, before the API server writes to it; then the API; and last, when all
 * is well, what acts. */
static int start(struct standalone *s, struct err *err)
{
	char address[NET_IP_TEXT_MAX];
	_cleanup_(freep_path) char *pki = in_data_dir(s, "pki");
	int r = prepare(s, err);
	if (r == 0 && s->runtime)
		r = runtime_open(s->runtime, s->process.loop, err);
	if (r == 0 && net_family(&s->options->shared_bind))
		r = site_shared_bind(&s->shared, &s->options->shared_bind, err);
	if (r == 0)
		r = runtime_enter_sandbox(&s->options->runtime, err);
	if (r == 0)
		r = site_pki_open(pki, net_format_ip(&s->options->api_bind, address),
				  loop_wall(s->process.loop), &s->pki, err);
	if (r == 0)
		r = process_catch_signals(&s->process, err);
	if (r == 0)
		r = judge_store(s, err);
	if (r == 0)
		r = start_api(s, err);
	if (r == 0)
		r = loop_thread_start(&s->store_thread, s->store_loop, "store", err);
	if (r == 0)
		r = start_web(s, err);
	if (r == 0)
		r = start_shared(s, err);
	if (r == 0)
		r = start_health(s, err);
	if (r == 0)
		r = announce(s, err);
	if (r == 0)
		watch_validity(s);
	if (r == 0 && s->runtime)
		start_runtime(s);
	return r;
}

static int run(void *data)
{
	struct standalone s = { .options = data,
				.process = { .command = "standalone", .stop = stop, .data = &s },
				.lock = -1,
				.generation.fd = -1 };
	struct err err;
	if (check_options(&s, &err) < 0) {
		fprintf(stderr, "ingot standalone: %s\n", err.text);
		free(s.debug_socket);
		return EXIT_USAGE;
	}
	int r = start(&s, &err);
	process_run(&s.process, r, &err);
	return finish(&s);
}

const struct command standalone_command = {
	.name = "standalone",
	.summary = "run the controllers with an embedded API server; no cluster needed",
	.options = tables,
	.options_size = sizeof(struct standalone_options),
	.run = run,
};
