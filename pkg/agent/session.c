/* The session as a table of states: each row says what is started on entry and which states may
 * follow. Every request goes through one function, which tries the URLs of a list in turn until one
 * answers (503 is no answer: that server does not act now), puts that one in front and gives the
 * answer to the state's own callback. Retries are timers;
 * nothing waits longer than the protocol says. */

#include "agent/session.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/hw/inventory.h"
#include "agent/hw/nics.h"
#include "agent/hw/settle.h"
#include "agent/hw/sysfs.h"
#include "agent/logs.h"
#include "agent/refusal.h"
#include "agentapi/messages.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "crypt/crypt.h"
#include "http/http.h"

enum {
	VERSION_MIN = 31, /* of the 1.x API: what agents assume when a server does not tell */
	VERSION_LOOKUP = 62,
	VERSION_BEAT = 68,
	INSPECT_TRIES = 8,
	INSPECT_DELAY_MAX_S = 30,
	INSPECT_UNKNOWN_S = 60, /* "no node waits for it" */
	INSPECT_UNKNOWN_DELAY_MAX_S = 5,
	LOOKUP_DELAY_MAX_S = 60,
	BEAT_ERROR_S = 5,
	BEAT_GAP_S = 1, /* between a forced beat and the one before */
	NETWORK_MAX_S = 60,
	DISKS_WAIT_MS = 30000,
	DISKS_QUIET_MS = 200, /* without a new one: that was all */
	CONNECT_S = 5,	      /* with another server to try: a dead machine does not refuse */
	CERT_DAYS = 30,
	CERT_BACK_S = 3600, /* ramdisk clocks run wild */
	TOKEN_MIN = 32,
};

/* What consumers compare with: the protocol of this version is spoken. */
#define AGENT_VERSION "12.0.0"

/* Where the ramdisk's init has `ingot-agent network` leave them. */
#define NETWORK_PROBLEMS "/run/ingot-network.problems"
enum { NETWORK_PROBLEMS_MAX = 32 };

struct collected {
	struct agent_session *session;
	struct json *body;
};

struct source {
	struct agent_session *session;
	char *url;
	char address[INET6_ADDRSTRLEN];
};

typedef void (*answer_fn)(struct agent_session *s, const struct err *err, int status,
			  const struct json *body);

struct agent_session {
	struct agent_session_options options;
	const struct agent_config *config;
	struct loop *loop;
	struct http_client *client;
	struct http_tls tls;
	enum agent_state state;
	usec_t entered;	    /* the state */
	struct timer timer; /* the state's: retry, beat, deadline */
	/* The request under way. */
	struct http_op *op;
	struct agent_urls *urls;
	size_t url_at;
	char *method, *path, *body;
	char *inspection; /* the body to post */
	int api_version;  /* header; 0: none */
	answer_fn on_answer;
	/* Lists whose order changes as servers answer. */
	struct agent_urls api, callbacks;
	struct hw_net_watch *net;
	bool job; /* one is under way: the session must not be freed */
	unsigned tries;
	int server_version;
	char *node_uuid, *token, *callback_url, *advertised, *efivars;
	bool known; /* a lookup of this process was answered */
	struct crypt_pair pair;
	bool tls_used;
	struct agent_env env;
	struct agent_api *service;
	uint64_t heartbeat_timeout;
	usec_t last_beat;
	bool beat_wanted; /* a command ended while a beat was under way */
	unsigned conflicts;
};

/* --- states ---------------------------------------------------------------------------------- */

static void start_network(struct agent_session *s);
static void start_collect(struct agent_session *s);
static void start_inspect(struct agent_session *s);
static void start_discover(struct agent_session *s);
static void start_lookup(struct agent_session *s);
static void start_address(struct agent_session *s);
static void start_serve(struct agent_session *s);
static void start_idle(struct agent_session *s);

#define MAY(state) (1u << AGENT_STATE_##state)

static const struct {
	const char *name;
	void (*start)(struct agent_session *s);
	unsigned next;
} states[_AGENT_STATE_MAX] = {
	[AGENT_STATE_NETWORK] = { "network", start_network,
				  MAY(COLLECT) | MAY(DISCOVER) | MAY(IDLE) },
	[AGENT_STATE_COLLECT] = { "collect", start_collect, MAY(INSPECT) },
	[AGENT_STATE_INSPECT] = { "inspect", start_inspect, MAY(DISCOVER) | MAY(IDLE) },
	[AGENT_STATE_DISCOVER] = { "discover", start_discover, MAY(LOOKUP) | MAY(IDLE) },
	[AGENT_STATE_LOOKUP] = { "lookup", start_lookup, MAY(ADDRESS) | MAY(IDLE) },
	[AGENT_STATE_ADDRESS] = { "address", start_address, MAY(SERVE) | MAY(IDLE) },
	[AGENT_STATE_SERVE] = { "serve", start_serve, MAY(IDLE) },
	[AGENT_STATE_IDLE] = { "idle", start_idle, 0 },
};

const struct fsm agent_session_fsm = FSM_INIT("agent session", states);

static void set_state(struct agent_session *s, enum agent_state state)
{
	/* The next one may open an API that writes disks. */
	fsm_check(&agent_session_fsm, s->state, state, "");
	log_info("state", "from", states[s->state].name, "to", states[state].name);
	timer_stop(&s->timer);
	s->state = state;
	s->entered = loop_now(s->loop);
	s->tries = 0;
	states[state].start(s);
}

static usec_t in_state(const struct agent_session *s)
{
	return loop_now(s->loop) - s->entered;
}

/* --- requests -------------------------------------------------------------------------------- */

static void send_request(struct agent_session *s);

static void free_request(struct agent_session *s)
{
	free(s->method);
	free(s->path);
	secret_free(s->body);
	s->method = s->path = s->body = NULL;
}

/* The next request begins with the server that answers. */
static void prefer_url(struct agent_urls *u, size_t at)
{
	char *url = u->items[at];
	memmove(u->items + 1, u->items, at * sizeof(*u->items));
	u->items[0] = url;
}

/* An answer that is no JSON counts as empty: the status alone decides then. */
static void finish_request(struct agent_session *s, const struct err *err, int status,
			   const char *body, size_t len)
{
	struct json *j = NULL;
	answer_fn fn = s->on_answer;
	if (len > 0)
		(void)json_parse(body, len, &j, NULL);
	free_request(s);
	fn(s, err, status, j);
	json_free(j);
}

/* One that cannot be reached, or is not the one that acts now (503). All other answers count. */
static bool ask_next(struct agent_session *s, const struct err *err, int status)
{
	if ((!err && status != 503) || !s->urls->items[s->url_at + 1])
		return false;
	log_warn("asking the next server", "error", err ? err->text : "HTTP status 503");
	s->url_at++;
	send_request(s);
	return true;
}

static void on_done(void *data, const struct err *err, const struct http_response *r,
		    const char *body, size_t len)
{
	struct agent_session *s = data;
	s->op = NULL;
	if (ask_next(s, err, err ? 0 : r->status))
		return;
	if (!err && r->status != 503)
		prefer_url(s->urls, s->url_at);
	finish_request(s, err, err ? 0 : r->status, err ? "" : body, err ? 0 : len);
}

static void send_request(struct agent_session *s)
{
	char version[64];
	_cleanup_(freep) char *url = xasprintf("%s%s", s->urls->items[s->url_at], s->path);
	_cleanup_(freep) char *request_id = NULL;
	const char *headers[4] = { "Accept: application/json" };
	size_t count = 1;
	struct err err = { 0 };
	if (s->api_version) {
		snprintf(version, sizeof(version), "X-OpenStack-Ironic-API-Version: 1.%d",
			 s->api_version);
		headers[count++] = version;
	}
	if (s->config->request_id) {
		request_id = xasprintf("X-OpenStack-Request-ID: %s", s->config->request_id);
		headers[count++] = request_id;
	}
	const struct http_request request = {
		.method = s->method,
		.url = url,
		.headers = headers,
		.content_type = "application/json",
		.body = s->body,
		.body_len = s->body ? strlen(s->body) : 0,
		.tls = &s->tls,
		.connect_timeout = s->urls->items[1] ? CONNECT_S * USEC_PER_SEC : 0,
		.timeout = s->config->http_timeout * USEC_PER_SEC,
	};
	static const struct http_handlers handlers = { .done = on_done };
	s->op = http_start(s->client, &request, &handlers, s, &err);
	if (!s->op)
		finish_request(s, &err, 0, "", 0);
}

/* Takes path and body. One request at a time. */
static void request(struct agent_session *s, struct agent_urls *urls, const char *method,
		    char *path, char *body, int version, answer_fn fn)
{
	s->op = http_cancel(s->op);
	free_request(s);
	s->urls = urls;
	s->url_at = 0;
	s->method = xstrdup(method);
	s->path = path;
	s->body = body;
	s->api_version = version;
	s->on_answer = fn;
	send_request(s);
}

/* One line, with the server's own words if it has any. */
static void log_refusal(const char *what, const struct err *err, int status,
			const struct json *body)
{
	char text[32];
	_cleanup_(freep) char *words = agent_refusal_text(body);
	snprintf(text, sizeof(text), "%d", status);
	if (err)
		log_warn(what, "error", err->text);
	else
		log_warn(what, "status", text, "error", words);
}

/* --- network --------------------------------------------------------------------------------- */

/* Which way it goes depends on the URLs that were given. */
static void after_network(struct agent_session *s)
{
	s->net = hw_net_watch_close(s->net);
	if (s->callbacks.items[0])
		set_state(s, AGENT_STATE_COLLECT);
	else
		set_state(s, s->api.items[0] ? AGENT_STATE_DISCOVER : AGENT_STATE_IDLE);
}

static void on_net_change(void *data)
{
	struct agent_session *s = data;
	char mac[HW_MAC_SIZE];
	bool known = s->config->bootif && hw_mac_parse(s->config->bootif, mac);
	/* By the host's own data the boot NIC may have no address: it may be below a bond or VLAN.
	 */
	bool given = hw_exists(s->options.root, BOOTCONFIG_NETWORK_FILE);
	bool ready = given ? hw_net_any_address()
			   : hw_net_ready(s->options.root, known ? mac : NULL, s->config->dhcp_all);
	if (s->net && ready)
		after_network(s);
}

static void on_net_timeout(void *data)
{
	struct agent_session *s = data;
	if (s->config->dhcp_wait > 0)
		log_warn("no address in time: going on without");
	after_network(s);
}

/* The first look is posted, so that no state changes inside agent_session_new(). */
static void start_network(struct agent_session *s)
{
	struct err err = { 0 };
	usec_t limit = s->config->dhcp_wait * USEC_PER_SEC;
	timer_init(&s->timer, s->loop, "network wait", on_net_timeout, s);
	if (limit == 0 || hw_net_watch_open(s->loop, on_net_change, s, &s->net, &err) < 0) {
		timer_set_in(&s->timer, 0);
		return;
	}
	timer_set_in(&s->timer, MIN(limit, NETWORK_MAX_S * USEC_PER_SEC));
	loop_post(s->loop, on_net_change, s);
}

/* --- inspection ------------------------------------------------------------------------------ */

static bool any_disk(void *data)
{
	const struct agent_session *s = data;
	return hw_has_disk(s->options.root);
}

/* Only collectors that we have are told; servers do not miss the others. */
static void add_configuration(const struct agent_session *s, struct json *body)
{
	static const char *const known[] = { "default", "logs", "lldp", "pci-devices",
					     "numa-topology" };
	struct json *configuration = json_make_object(body, "configuration");
	struct json *collectors = json_set(configuration, "collectors", json_new_array());
	struct json *managers = json_set(configuration, "managers", json_new_array());
	struct json *manager = json_append(managers, json_new_object());
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (agent_config_has_collector(s->config, known[i]))
			json_append(collectors, json_new_string(known[i]));
	json_set_string(manager, "name", "generic_hardware_manager");
	json_set_string(manager, "version", AGENT_MANAGER_VERSION);
}

/* What init could not apply of the host's network data, to those who cannot see the console. */
static void add_network_problems(const struct agent_session *s, struct json *body)
{
	_cleanup_(freep) char *text = s->config->node_uuid
					      ? hw_read(s->options.root, NETWORK_PROBLEMS)
					      : NULL;
	if (str_empty(text))
		return;
	struct json *list = json_set(body, AGENT_NETWORK_PROBLEMS, json_new_array());
	/* The console has them all; a heartbeat has its limit. */
	for (char *line, *rest = text;
	     (line = strsep(&rest, "\n")) && json_count(list) < NETWORK_PROBLEMS_MAX;)
		if (*line)
			json_append(list, json_new_string(line));
}

static void collect_work(void *data)
{
	struct collected *c = data;
	const struct agent_session *s = c->session;
	const struct agent_config *config = s->config;
	const struct hw_inventory_options options = {
		.root = s->options.root,
		.loop = s->loop,
		.bootif = config->bootif,
		.lldp = config->lldp || agent_config_has_collector(config, "lldp"),
		.lldp_timeout_ms = (unsigned)config->lldp_timeout * 1000,
		.pci_devices = agent_config_has_collector(config, "pci-devices"),
		.numa_topology = agent_config_has_collector(config, "numa-topology"),
	};
	/* Drivers may still be looking for their disks; a machine without any is told as it is. */
	if (str_empty(options.root) && config->disk_attempts > 0 &&
	    hw_wait_for_disks(s->loop, any_disk, c->session, DISKS_WAIT_MS))
		hw_settle_disks(s->loop, DISKS_QUIET_MS, DISKS_WAIT_MS);
	c->body = hw_inventory(&options);
	add_configuration(s, c->body);
	add_network_problems(s, c->body);
	if (agent_config_has_collector(config, "logs")) {
		_cleanup_(freep) char *logs = agent_logs_collect(options.root);
		json_set_string(c->body, "logs", logs);
	}
	json_set(c->body, "error", json_new_null());
}

/* The server knows a host that booted from its medium by nothing else for sure. */
static void add_proof(const struct agent_session *s, struct json *body)
{
	if (!s->config->node_uuid || !s->config->token)
		return;
	json_set_string(body, "node_uuid", s->config->node_uuid);
	json_set_string(body, "agent_token", s->config->token);
}

static void collect_done(void *data)
{
	struct collected *c = data;
	struct agent_session *s = c->session;
	s->job = false;
	add_proof(s, c->body);
	s->inspection = json_to_string(c->body);
	json_free(c->body);
	free(c);
	set_state(s, AGENT_STATE_INSPECT);
}

static void start_collect(struct agent_session *s)
{
	struct collected *c = xcalloc(1, sizeof(*c));
	c->session = s;
	s->job = true;
	loop_job(s->loop, collect_work, collect_done, c);
}

/* A refused inventory stops nothing: the lookup may still succeed. */
static void after_inspection(struct agent_session *s)
{
	secret_free(s->inspection);
	s->inspection = NULL;
	if (!s->api.items[0])
		log_info("inspected; no ipa-api-url was given, so there is nothing more to do");
	set_state(s, s->api.items[0] ? AGENT_STATE_DISCOVER : AGENT_STATE_IDLE);
}

usec_t agent_inspection_pause(int status, unsigned tries, usec_t waited)
{
	/* Ironic answers so until its node waits for the inventory, which comes after the power. */
	bool unknown = status == 404 && waited < INSPECT_UNKNOWN_S * USEC_PER_SEC;
	bool passing = status == 0 || status == 409 || status >= 500;
	if (!unknown && !(passing && tries + 1 < INSPECT_TRIES))
		return 0;
	unsigned growing = 1u << (tries < 10 ? tries : 10);
	unsigned most = unknown ? INSPECT_UNKNOWN_DELAY_MAX_S : INSPECT_DELAY_MAX_S;
	return MIN(growing, most) * USEC_PER_SEC;
}

static void on_inspected(struct agent_session *s, const struct err *err, int status,
			 const struct json *body)
{
	if (!err && status / 100 == 2) {
		str_replace(&s->node_uuid, json_get_string(body, "uuid"));
		log_info("inventory posted", "node", s->node_uuid);
		after_inspection(s);
		return;
	}
	log_refusal("inventory not taken", err, status, body);
	usec_t delay = agent_inspection_pause(err ? 0 : status, s->tries++, in_state(s));
	if (delay)
		timer_set_in(&s->timer, delay);
	else
		after_inspection(s);
}

static void post_inventory(void *data)
{
	struct agent_session *s = data;
	request(s, &s->callbacks, "POST", xstrdup(""), xstrdup(s->inspection), 0, on_inspected);
}

static void start_inspect(struct agent_session *s)
{
	timer_init(&s->timer, s->loop, "inspection", post_inventory, s);
	post_inventory(s);
}

/* --- discovery and lookup -------------------------------------------------------------------- */

static void give_up_search(struct agent_session *s)
{
	struct err err;
	err_set(&err, ERR_TIMEOUT, "no server answered and knew this machine within %llu s",
		(unsigned long long)s->config->lookup_timeout);
	log_error("lookup failed", "error", err.text);
	set_state(s, AGENT_STATE_IDLE);
	if (s->options.failed)
		s->options.failed(s->options.data, &err);
}

/* Random exponential back-off; a busy server (409) gets a pause of its own. */
static void retry_search(struct agent_session *s, int status)
{
	static const unsigned pauses[] = { 5, 10, 30 };
	usec_t bound = s->config->lookup_interval * USEC_PER_SEC << MIN(s->tries, 10u);
	usec_t delay = loop_random_below(s->loop,
					 MIN(bound, LOOKUP_DELAY_MAX_S * USEC_PER_SEC) + 1);
	s->tries++;
	if (status == 409) {
		size_t i = MIN((size_t)s->conflicts, ARRAY_SIZE(pauses) - 1);
		delay += pauses[i] * USEC_PER_SEC;
		s->conflicts++;
	}
	if (in_state(s) + delay > s->config->lookup_timeout * USEC_PER_SEC)
		give_up_search(s);
	else
		timer_set_in(&s->timer, delay);
}

static int parse_version(const char *text)
{
	unsigned minor;
	char rest;
	return text && sscanf(text, "1.%u%c", &minor, &rest) == 1 && minor < 10000 ? (int)minor : 0;
}

/* A server that answers without its version is old. One that does not answer is not: to take it for
 * old would make the service plain HTTP for all of this boot, which new ones refuse. */
static void on_discovered(struct agent_session *s, const struct err *err, int status,
			  const struct json *body)
{
	int version = parse_version(json_get_path_string(body, "default_version.version"));
	if (err || status >= 500) {
		log_refusal("API version not told", err, status, body);
		retry_search(s, status);
		return;
	}
	if (status != 200 || !version)
		log_refusal("API version unknown: 1.31 is assumed", NULL, status, body);
	s->server_version = MAX(version, (int)VERSION_MIN);
	if (s->config->api_version)
		s->server_version = MAX(parse_version(s->config->api_version), (int)VERSION_MIN);
	set_state(s, AGENT_STATE_LOOKUP);
}

static void send_discover(void *data)
{
	struct agent_session *s = data;
	request(s, &s->api, "GET", xstrdup("/"), NULL, 0, on_discovered);
}

static void start_discover(struct agent_session *s)
{
	timer_init(&s->timer, s->loop, "discovery", send_discover, s);
	send_discover(s);
}

/* False: the server starred the token and we have none. */
static bool take_token(struct agent_session *s, const char *given)
{
	if (given && strlen(given) >= TOKEN_MIN && !strchr(given, '*')) {
		secret_free(s->token);
		s->token = xstrdup(given);
	}
	return s->token != NULL;
}

static void on_looked_up(struct agent_session *s, const struct err *err, int status,
			 const struct json *body)
{
	const char *uuid = json_get_path_string(body, "node.uuid");
	const struct json *config = json_get(body, "config");
	if (err || status != 200 || !uuid || !json_is_object(config)) {
		log_refusal("lookup refused", err, status, body);
		retry_search(s, status);
		return;
	}
	str_replace(&s->node_uuid, uuid);
	json_free(s->env.node);
	json_free(s->env.policy);
	s->env.node = json_dup(json_get(body, "node"));
	s->env.policy = json_dup(config);
	s->heartbeat_timeout = (uint64_t)MAX(json_get_int(config, "heartbeat_timeout", 300), 1);
	bool token = take_token(s, json_get_string(config, "agent_token"));
	json_remove(s->env.policy, "agent_token");
	s->known = true;
	log_info("looked up", "node", uuid);
	if (token) {
		set_state(s, AGENT_STATE_ADDRESS);
		return;
	}
	log_error("the server has already issued this boot's token: reboot the machine");
	set_state(s, AGENT_STATE_IDLE);
}

static void send_lookup(void *data)
{
	struct agent_session *s = data;
	struct strbuf path = { 0 };
	_cleanup_(freep) char *macs = hw_mac_list(s->options.root);
	strbuf_adds(&path, "/v1/lookup?addresses=");
	strbuf_add_urlencoded(&path, macs);
	if (s->node_uuid) {
		strbuf_adds(&path, "&node_uuid=");
		strbuf_add_urlencoded(&path, s->node_uuid);
		/* The server is to see that this agent knows nothing of what an earlier one did. */
		if (s->config->node_uuid && !s->known)
			strbuf_adds(&path, "&first=1");
	}
	request(s, &s->api, "GET", strbuf_take(&path, NULL), NULL,
		MIN(s->server_version, (int)VERSION_LOOKUP), on_looked_up);
}

static void start_lookup(struct agent_session *s)
{
	timer_init(&s->timer, s->loop, "lookup", send_lookup, s);
	send_lookup(s);
}

/* --- our address ----------------------------------------------------------------------------- */

/* Host and port of a URL; new strings. */
static void split_url(const char *url, char **ret_host, char **ret_port)
{
	const char *host = strstr(url, "://");
	bool https = str_has_prefix(url, "https");
	host = host ? host + 3 : url;
	const char *end = host + strcspn(host, "/?#");
	const char *at = memrchr(host, '@', (size_t)(end - host));
	host = at ? at + 1 : host;
	const char *stop = *host == '[' ? memchr(host, ']', (size_t)(end - host)) : NULL;
	const char *colon = memchr(stop ? stop : host, ':', (size_t)(end - (stop ? stop : host)));
	const char *host_end = stop ? stop : colon ? colon : end;
	host += *host == '[';
	*ret_host = xstrndup(host, (size_t)(host_end - host));
	*ret_port = colon ? xstrndup(colon + 1, (size_t)(end - colon - 1))
			  : xstrdup(https ? "443" : "80");
}

/* A connected datagram socket sends nothing and tells which address the route would use. */
static bool source_for(const struct addrinfo *ai, char out[INET6_ADDRSTRLEN])
{
	struct sockaddr_storage own = { 0 };
	socklen_t len = sizeof(own);
	int fd = socket(ai->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && connect(fd, ai->ai_addr, ai->ai_addrlen) == 0 &&
		  getsockname(fd, (struct sockaddr *)&own, &len) == 0 &&
		  getnameinfo((struct sockaddr *)&own, len, out, INET6_ADDRSTRLEN, NULL, 0,
			      NI_NUMERICHOST) == 0;
	if (fd >= 0)
		close(fd);
	out[strcspn(out, "%")] = '\0'; /* a scope means nothing to the server */
	return ok;
}

static void address_of_nic(const char *root, const char *name, char out[INET6_ADDRSTRLEN])
{
	struct hw_nics nics = hw_nics_read(root);
	for (size_t i = 0; i < nics.count; i++)
		if (streq(nics.items[i].name, name) && nics.items[i].ipv4[0])
			snprintf(out, INET6_ADDRSTRLEN, "%s", nics.items[i].ipv4);
	hw_nics_done(&nics);
}

/* getaddrinfo() blocks, hence a job. */
static void source_work(void *data)
{
	struct source *w = data;
	const struct agent_config *config = w->session->config;
	_cleanup_(freep) char *host = NULL;
	_cleanup_(freep) char *port = NULL;
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM }, *list = NULL;
	if (config->network_interface)
		address_of_nic(w->session->options.root, config->network_interface, w->address);
	if (w->address[0])
		return;
	split_url(w->url, &host, &port);
	if (getaddrinfo(host, port, &hints, &list) != 0)
		return;
	for (struct addrinfo *ai = list; ai; ai = ai->ai_next)
		if (source_for(ai, w->address))
			break;
	freeaddrinfo(list);
}

static int make_certificate(struct agent_session *s, struct err *err)
{
	const char *const addresses[] = { s->advertised, NULL };
	usec_t now = loop_wall(s->loop);
	const struct crypt_cert_spec spec = {
		.common_name = "ingot-agent",
		.addresses = addresses,
		.not_before = now > CERT_BACK_S * USEC_PER_SEC ? now - CERT_BACK_S * USEC_PER_SEC
							       : 0,
		.not_after = now + CERT_DAYS * 24 * USEC_PER_HOUR,
		.server = true,
	};
	return crypt_make_cert(&spec, NULL, &s->pair, err);
}

/* Certificate and port are made once and stay for the whole boot: the server pins both. */
static int open_service(struct agent_session *s, struct err *err)
{
	s->tls_used = s->server_version >= VERSION_BEAT && !s->options.plain_http;
	int r = s->tls_used ? make_certificate(s, err) : 0;
	if (r < 0)
		return r;
	const struct agent_api_options options = {
		.loop = s->loop,
		.env = &s->env,
		.effects = s->options.effects,
		.finished = agent_session_beat,
		.data = s,
	};
	const struct agent_api_listener listener = {
		.web = s->options.web,
		.address = streq(s->config->listen_host, "::") ? NULL : s->config->listen_host,
		.port = (uint16_t)s->config->listen_port,
		.cert = s->pair.cert,
		.key = s->pair.key,
	};
	s->service = agent_api_new(&options);
	agent_api_set_token(s->service, s->token);
	return agent_api_listen(s->service, &listener, err);
}

static void on_address(struct agent_session *s)
{
	struct err err = { 0 };
	if (open_service(s, &err) < 0) {
		log_error("cannot open the agent's API", "error", err.text);
		set_state(s, AGENT_STATE_IDLE);
		if (s->options.failed)
			s->options.failed(s->options.data, &err);
		return;
	}
	uint16_t port = s->config->advertise_port ? (uint16_t)s->config->advertise_port
						  : agent_api_port(s->service);
	bool v6 = strchr(s->advertised, ':');
	s->callback_url = xasprintf("%s://%s%s%s:%u", s->tls_used ? "https" : "http", v6 ? "[" : "",
				    s->advertised, v6 ? "]" : "", port);
	set_state(s, AGENT_STATE_SERVE);
}

static void source_done(void *data)
{
	struct source *w = data;
	struct agent_session *s = w->session;
	s->job = false;
	if (w->address[0])
		str_replace(&s->advertised, w->address);
	free(w->url);
	free(w);
	if (s->advertised) {
		on_address(s);
		return;
	}
	/* The reference tries six times, ten seconds apart. */
	if (in_state(s) > NETWORK_MAX_S * USEC_PER_SEC) {
		log_error("no address of this machine reaches the server");
		set_state(s, AGENT_STATE_IDLE);
	} else {
		timer_set_in(&s->timer, USEC_PER_SEC);
	}
}

static void find_source(void *data)
{
	struct agent_session *s = data;
	struct source *w = xcalloc(1, sizeof(*w));
	w->session = s;
	w->url = xstrdup(s->api.items[0]);
	s->job = true;
	loop_job(s->loop, source_work, source_done, w);
}

static void start_address(struct agent_session *s)
{
	timer_init(&s->timer, s->loop, "own address", find_source, s);
	str_replace(&s->advertised, s->config->advertise_host);
	if (s->advertised)
		on_address(s);
	else
		find_source(s);
}

/* --- heartbeat ------------------------------------------------------------------------------- */

static double fraction(struct agent_session *s)
{
	return (double)loop_random_below(s->loop, 1000001) / 1000000;
}

/* A third to two thirds of the time that the server gave, as the reference paces itself. */
static void on_beat_answered(struct agent_session *s, const struct err *err, int status,
			     const struct json *body)
{
	bool taken = !err && status / 100 == 2;
	if (!taken)
		log_refusal("heartbeat not taken", err, status, body);
	double seconds = taken ? (double)s->heartbeat_timeout * (0.3 + 0.3 * fraction(s))
			       : BEAT_ERROR_S * (1 + fraction(s));
	timer_set_in(&s->timer, (usec_t)(seconds * (double)USEC_PER_SEC));
	if (s->beat_wanted) {
		s->beat_wanted = false;
		agent_session_beat(s);
	}
}

static void send_beat(void *data)
{
	struct agent_session *s = data;
	struct json *j = json_new_object();
	json_set_string(j, "callback_url", s->callback_url);
	json_set_string(j, "agent_token", s->token);
	if (s->server_version >= 36)
		json_set_string(j, "agent_version", AGENT_VERSION);
	if (s->tls_used)
		json_set_string(j, "agent_verify_ca", s->pair.cert);
	add_network_problems(s, j);
	char *text = json_to_string(j);
	json_free(j);
	s->last_beat = loop_now(s->loop);
	request(s, &s->api, "POST", xasprintf("/v1/heartbeat/%s", s->node_uuid), text,
		MIN(s->server_version, (int)VERSION_BEAT), on_beat_answered);
}

void agent_session_beat(void *session)
{
	struct agent_session *s = session;
	if (s->state != AGENT_STATE_SERVE)
		return;
	if (s->op) {
		s->beat_wanted = true;
		return;
	}
	timer_set_before(&s->timer, s->last_beat + BEAT_GAP_S * USEC_PER_SEC);
}

static void start_serve(struct agent_session *s)
{
	timer_init(&s->timer, s->loop, "heartbeat", send_beat, s);
	log_info("serving", "url", s->callback_url);
	send_beat(s);
}

static void start_idle(struct agent_session *s)
{
	s->op = http_cancel(s->op);
	free_request(s);
}

/* --- life ------------------------------------------------------------------------------------ */

static struct agent_urls copy_urls(const struct agent_urls *from)
{
	struct agent_urls u = { 0 };
	for (size_t i = 0; i < AGENT_URLS_MAX && from->items[i]; i++)
		u.items[i] = xstrdup(from->items[i]);
	return u;
}

static void free_urls(struct agent_urls *u)
{
	for (size_t i = 0; i < AGENT_URLS_MAX; i++)
		free(u->items[i]);
}

static void set_up(struct agent_session *s, const struct agent_session_options *options)
{
	s->options = *options;
	s->config = options->config;
	s->loop = options->loop;
	s->options.root = str_or(options->root, "");
	s->api = copy_urls(&options->config->api);
	s->callbacks = copy_urls(&options->config->callbacks);
	s->token = xstrdup(options->config->token);
	s->node_uuid = xstrdup(options->config->node_uuid);
	s->tls = (struct http_tls){ .ca = options->ca, .insecure = options->config->insecure };
	s->efivars = xasprintf("%s/sys/firmware/efi/efivars", s->options.root);
	s->env = (struct agent_env){
		.config = options->config,
		.loop = options->loop,
		.tls = &s->tls,
		.root = s->options.root,
		.efivars = s->efivars,
	};
}

struct agent_session *agent_session_new(const struct agent_session_options *options,
					struct err *err)
{
	struct agent_session *s = xcalloc(1, sizeof(*s));
	const struct http_client_options client = { .user_agent = "ingot-agent" };
	set_up(s, options);
	if (http_client_new(s->loop, &client, &s->client, err) < 0)
		return agent_session_free(s);
	s->state = AGENT_STATE_NETWORK;
	s->entered = loop_now(s->loop);
	states[s->state].start(s);
	return s;
}

struct agent_session *agent_session_free(struct agent_session *s)
{
	if (!s)
		return NULL;
	timer_stop(&s->timer);
	s->op = http_cancel(s->op);
	s->net = hw_net_watch_close(s->net);
	s->service = agent_api_free(s->service);
	if (s->client)
		http_client_free(s->client);
	free_request(s);
	free_urls(&s->api);
	free_urls(&s->callbacks);
	crypt_pair_release(&s->pair);
	agent_env_done(&s->env);
	secret_free(s->inspection);
	secret_free(s->token);
	free(s->node_uuid);
	free(s->callback_url);
	free(s->advertised);
	free(s->efivars);
	free(s);
	return NULL;
}

enum agent_state agent_session_state(const struct agent_session *s)
{
	return s->state;
}

struct agent_api *agent_session_api(struct agent_session *s)
{
	return s->service;
}
