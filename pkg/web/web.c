/* The service thread: one libwebsockets context, the mailbox through which every other thread
 * reaches it, and the servers with their listening sockets.
 *
 * Sockets are bound and listened on by ourselves, in the caller's thread, so that a failure has a
 * text; lws watches the listening socket as a raw file and adopts what we accept. One lws vhost per
 * server carries its TLS set-up.
 *
 * Of lws only lws_cancel_service() may be called from another thread. So mail goes into a list
 * under a lock, and the thread empties it after each round of lws_service(). When the thread ends
 * it closes the mailbox; what is sent afterwards is delivered by its sender, and finds no
 * connection. */

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "web/internal.h"

enum {
	CONNS_DEFAULT = 1024,
	HELD_MAX = 256 << 20,
	QUEUED_MAX = 256 << 20,
	BACKLOG = 512,
	ACCEPTS = 64,	       /* in one callback, for fairness */
	DEAD_PEER_MS = 120000, /* unacknowledged that long: the peer is gone */
};

/* --- mailbox ---------------------------------------------------------------------------------- */

static struct mailbox *mailbox_new(struct lws_context *context)
{
	struct mailbox *box = xcalloc(1, sizeof(*box));
	atomic_init(&box->refs, 1);
	pthread_mutex_init(&box->lock, NULL);
	list_init(&box->mail);
	box->context = context;
	return box;
}

struct mailbox *web_mailbox_ref(struct mailbox *box)
{
	atomic_fetch_add(&box->refs, 1);
	return box;
}

struct mailbox *web_mailbox_unref(struct mailbox *box)
{
	if (!box || atomic_fetch_sub(&box->refs, 1) != 1)
		return NULL;
	pthread_mutex_destroy(&box->lock);
	free(box);
	return NULL;
}

void web_mailbox_send(struct mailbox *box, struct mail *m)
{
	pthread_mutex_lock(&box->lock);
	bool open = box->context != NULL, first = list_empty(&box->mail);
	if (open) {
		list_append(&box->mail, &m->link);
		/* Under the lock: the context must live until the pipe is written. */
		if (first)
			lws_cancel_service(box->context);
	}
	pthread_mutex_unlock(&box->lock);
	if (!open)
		m->deliver(m);
}

static void mailbox_deliver(struct mailbox *box, bool last)
{
	struct list mail;
	list_init(&mail);
	pthread_mutex_lock(&box->lock);
	for (struct list *l; (l = list_take_first(&box->mail));)
		list_append(&mail, l);
	if (last)
		box->context = NULL;
	pthread_mutex_unlock(&box->lock);
	for (struct list *l; (l = list_take_first(&mail));) {
		struct mail *m = list_entry(l, struct mail, link);
		m->deliver(m);
	}
}

/* --- calls: mail that is waited for ----------------------------------------------------------- */

struct call {
	struct mail mail;
	void (*fn)(struct call *call);
	struct web *web;
	struct web_server *server;
	const struct web_server_options *options;
	struct err *err;
	int result;
	sem_t done;
};

static void deliver_call(struct mail *m)
{
	struct call *call = container_of(m, struct call, mail);
	call->fn(call);
	sem_post(&call->done);
}

/* Never from the service thread, nor from a loop that it waits for: it waits for none. */
static int call_and_wait(struct web *w, struct call *call)
{
	call->mail.deliver = deliver_call;
	call->web = w;
	sem_init(&call->done, 0, 0);
	web_mailbox_send(w->box, &call->mail);
	while (sem_wait(&call->done) < 0 && errno == EINTR)
		;
	sem_destroy(&call->done);
	return call->result;
}

/* --- accepting -------------------------------------------------------------------------------- */

static void set_options(int fd)
{
	const int on = 1, idle_s = 60, interval_s = 15, probes = 4;
	const unsigned dead_ms = DEAD_PEER_MS;
	/* Answers leave whole; Nagle would only hold back their last segment. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	/* A stream may be silent for hours; a peer that lost its power must not hold it open.
	 */
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_ms, sizeof(dead_ms));
}

static void adopt(struct web_server *s, int fd, const struct sockaddr_storage *peer)
{
	char address[INET6_ADDRSTRLEN];
	web_conn_address(peer, address);
	if (!web_quota_admits(s, address)) {
		log_paced(&s->refused, loop_now(s->routes[0].loop), LOG_WARN,
			  "connection refused: too many are open", "server", s->name, "source",
			  address);
		close(fd);
		return;
	}
	struct conn *c = web_conn_new(s, fd, peer);
	set_options(fd);
	lws_adopt_desc_t desc = {
		.vh = s->vhost,
		.type = LWS_ADOPT_SOCKET | (s->tls ? LWS_ADOPT_ALLOW_SSL : 0),
		.fd.sockfd = fd,
		.vh_prot_name = "connection",
		.opaque = c,
	};
	/* On failure lws has closed fd and told the connection so. */
	struct lws *wsi = lws_adopt_descriptor_vhost_via_info(&desc);
	if (wsi)
		web_conn_adopted(c, wsi);
}

static void accept_all(struct web_server *s, struct lws *wsi)
{
	for (int i = 0; i < ACCEPTS; i++) {
		struct sockaddr_storage peer = { 0 };
		socklen_t len = sizeof(peer);
		int fd = accept4(s->fd, (struct sockaddr *)&peer, &len,
				 SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			adopt(s, fd, &peer);
			continue;
		}
		if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
			return;
		/* Out of descriptors or memory: the socket stays readable; do not spin on it. */
		struct err err;
		err_set_errno(&err, errno, "accept");
		log_warn("no connections for a second", "server", s->name, "error", err.text);
		lws_rx_flow_control(wsi, 0);
		lws_set_timer_usecs(wsi, LWS_USEC_PER_SEC);
		return;
	}
}

static int listener_callback(struct lws *wsi, enum lws_callback_reasons why, void *user, void *in,
			     size_t len)
{
	struct web_server *s = lws_get_opaque_user_data(wsi);
	(void)user;
	(void)in;
	(void)len;
	switch (why) {
	case LWS_CALLBACK_RAW_RX_FILE:
		accept_all(s, wsi);
		return 0;
	case LWS_CALLBACK_TIMER:
		lws_rx_flow_control(wsi, 1);
		return 0;
	default: /* lint: foreign enum */
		return 0;
	}
}

/* --- servers, on the service thread ----------------------------------------------------------- */

/* lws calls the first protocol for whatever concerns the vhost. */
static int vhost_callback(struct lws *wsi, enum lws_callback_reasons why, void *user, void *in,
			  size_t len)
{
	(void)wsi;
	(void)len;
	if (why != LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS)
		return 0;
	struct call *call = lws_vhost_user(in);
	call->server->tls_context = user;
	web_tls_log_install(user, call->server);
	return web_tls_setup(user, call->options, call->err) < 0 ? -1 : 0;
}

static const struct lws_protocols protocols[] = {
	{ "vhost", vhost_callback, 0, 0, 0, NULL, 0 },
	{ "connection", web_conn_callback, 0, 0, 0, NULL, 0 },
	{ "listener", listener_callback, 0, 0, 0, NULL, 0 },
	{ NULL, NULL, 0, 0, 0, NULL, 0 },
};

static struct lws_vhost *make_vhost(struct call *call)
{
	struct web_server *s = call->server;
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN_SERVER,
		.vhost_name = s->name,
		.protocols = protocols,
		.user = call, /* for the callback during creation only */
		.alpn = "http/1.1",
		/* The second keeps lws from loading all CAs of the machine, for clients it never
		 * makes (700 KB a vhost). */
		.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT |
			   LWS_SERVER_OPTION_ADOPT_APPLY_LISTEN_ACCEPT_CONFIG,
	};
	if (s->tls)
		info.options |= LWS_SERVER_OPTION_CREATE_VHOST_SSL_CTX;
	return lws_create_vhost(call->web->context, &info);
}

static void open_server(struct call *call)
{
	struct web_server *s = call->server;
	s->vhost = make_vhost(call);
	if (!s->vhost) {
		if (!call->err || call->err->kind == ERR_NONE)
			err_set(call->err, ERR_INTERNAL,
				"libwebsockets: cannot create a virtual host");
		call->result = -EINVAL;
		return;
	}
	lws_adopt_desc_t desc = {
		.vh = s->vhost,
		.type = LWS_ADOPT_RAW_FILE_DESC,
		.fd.filefd = s->fd,
		.vh_prot_name = "listener",
		.opaque = s,
	};
	s->listener = lws_adopt_descriptor_vhost_via_info(&desc);
	if (!s->listener) {
		lws_vhost_destroy(TAKE_PTR(s->vhost));
		call->result = err_set(call->err, ERR_INTERNAL,
				       "libwebsockets: cannot watch the listening socket");
		return;
	}
	list_append(&call->web->servers, &s->link);
}

/* Sockets first, so that nothing is bound to the vhost any more and it goes at once. */
static void cut_server(struct web_server *s)
{
	lws_set_timeout(s->listener, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
	s->fd = -1;
	for (struct list *l; (l = s->conns.next) != &s->conns;)
		web_conn_cut(web_conn_of(l));
	lws_vhost_destroy(TAKE_PTR(s->vhost));
	s->identity = web_tls_identity_free(s->identity);
	list_unlink(&s->link);
	s->web = NULL;
}

static void replace_certificate(struct call *call)
{
	call->result = web_tls_replace(call->server, call->options->cert, call->options->key,
				       call->err);
}

static void close_server(struct call *call)
{
	cut_server(call->server);
}

/* --- the thread ------------------------------------------------------------------------------- */

static void *serve(void *data)
{
	struct web *w = data;
	while (!w->quit) {
		lws_service(w->context, 0);
		mailbox_deliver(w->box, false);
	}
	for (struct list *l; (l = w->servers.next) != &w->servers;)
		cut_server(list_entry(l, struct web_server, link));
	mailbox_deliver(w->box, true); /* closed now, before the context that it wakes goes */
	lws_context_destroy(TAKE_PTR(w->context));
	return NULL;
}

static void quit(struct call *call)
{
	call->web->quit = true;
}

/* Only LLL_ERR comes here: what lws cannot return. Lower levels name peers for each mishap. */
static void log_lws(int level, const char *line)
{
	static _Thread_local struct log_pace pace;
	char text[256];
	(void)level;
	snprintf(text, sizeof(text), "%.*s", (int)strcspn(line, "\n"), line);
	log_paced(&pace, (usec_t)lws_now_usecs(), LOG_ERROR, "libwebsockets", "text", text);
}

static void set_up_lws(void)
{
	lws_set_log_level(LLL_ERR, log_lws);
	signal(SIGPIPE, SIG_IGN); /* sendfile has no MSG_NOSIGNAL */
}

/* lws indexes tables by descriptor when the limit given reaches RLIMIT_NOFILE, and by search below
 * it; the first is a trap when the rlimit is raised later. */
static unsigned fd_limit(void)
{
	struct rlimit rl;
	if (getrlimit(RLIMIT_NOFILE, &rl) < 0 || rl.rlim_cur / 2 > WEB_FDS)
		return WEB_FDS;
	return (unsigned)rl.rlim_cur / 2;
}

static int start_thread(struct web *w, struct err *err)
{
	sigset_t all, before;
	/* Signals belong to the loops. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	int r = pthread_create(&w->thread, NULL, serve, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r)
		return err_set_errno(err, r, "web thread");
	pthread_setname_np(w->thread, "web");
	return 0;
}

int web_new(struct web **ret, struct err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, set_up_lws);
	unsigned fds = fd_limit();
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN,
		.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
			   LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT |
			   LWS_SERVER_OPTION_SKIP_SERVER_CANONICAL_NAME |
			   LWS_SERVER_OPTION_VALIDATE_UTF8,
		.fd_limit_per_thread = fds,
		.pt_serv_buf_size = WEB_PIECE,
		.timeout_secs = 30, /* of the TLS handshake */
	};
	struct lws_context *context = lws_create_context(&info);
	if (!context)
		return err_set(err, ERR_INTERNAL, "libwebsockets: cannot create its context");
	struct web *w = xcalloc(1, sizeof(*w));
	list_init(&w->servers);
	w->context = context;
	w->pools[POOL_HELD].max = HELD_MAX;
	w->pools[POOL_QUEUED].max = QUEUED_MAX;
	w->conns_max = fds - 16; /* listeners and lws's pipe */
	w->box = mailbox_new(context);
	int r = start_thread(w, err);
	if (r < 0) {
		lws_context_destroy(context);
		web_mailbox_unref(w->box);
		free(w);
		return r;
	}
	*ret = w;
	return 0;
}

struct web *web_free(struct web *w)
{
	if (!w)
		return NULL;
	struct call call = { .fn = quit };
	call_and_wait(w, &call);
	pthread_join(w->thread, NULL);
	web_mailbox_unref(w->box);
	free(w);
	return NULL;
}

/* --- servers, in the caller's thread ---------------------------------------------------------- */

static int bind_one(const struct addrinfo *ai, const char *device)
{
	const int on = 1, off = 0;
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* Set, because the system's default (bindv6only) may be either. */
	if (ai->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if ((device && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device,
				  (socklen_t)strlen(device) + 1) < 0) ||
	    bind(fd, ai->ai_addr, ai->ai_addrlen) < 0) {
		int r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

static int cannot_listen(const struct web_server_options *o, int r, struct err *err)
{
	return err_set_errno(err, r, "cannot listen on %s port %u%s%s", str_or(o->address, "*"),
			     o->port, o->device ? " of " : "", str_or(o->device, ""));
}

/* All addresses: "::" takes IPv4 too, where the machine has IPv6. */
int web_bind(const struct web_server_options *o, struct err *err)
{
	static const char *const any[] = { "::", "0.0.0.0", NULL };
	const char *const one[] = { o->address, NULL };
	char port[8];
	snprintf(port, sizeof(port), "%u", o->port);
	int r = -EINVAL;
	bool all = !o->address || streq(o->address, "::");
	for (const char *const *a = all ? any : one; *a; a++) {
		const struct addrinfo hints = { .ai_family = AF_UNSPEC,
						.ai_socktype = SOCK_STREAM,
						.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
		struct addrinfo *ai;
		if (getaddrinfo(*a, port, &hints, &ai) != 0)
			return err_set(err, ERR_INVALID, "%s is not a numeric address", *a);
		r = bind_one(ai, o->device);
		freeaddrinfo(ai);
		if (r >= 0)
			return r;
	}
	return cannot_listen(o, r, err);
}

/* With SO_REUSEADDR two sockets that do not listen may have one port: that shows here. */
static int listen_socket(const struct web_server_options *o, struct err *err)
{
	int fd = o->bound ? o->bound : web_bind(o, err);
	if (fd < 0 || listen(fd, BACKLOG) == 0)
		return fd;
	int r = -errno;
	close(fd);
	return cannot_listen(o, r, err);
}

/* What a process that was killed left behind goes; what is no socket, or is served, stays. */
static int clear_path(int fd, const struct sockaddr_un *at)
{
	struct stat st;
	if (lstat(at->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	if (connect(fd, (const struct sockaddr *)at, sizeof(*at)) == 0 || errno == EAGAIN)
		return -EADDRINUSE;
	return unlink(at->sun_path) < 0 ? -errno : 0;
}

static int listen_at(int fd, const struct sockaddr_un *at)
{
	/* The mode of the descriptor becomes that of the name: no moment in which others may. */
	if (fchmod(fd, 0600) < 0 || bind(fd, (const struct sockaddr *)at, sizeof(*at)) < 0 ||
	    listen(fd, BACKLOG) < 0)
		return -errno;
	return 0;
}

static int bind_path(const char *path, struct err *err)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	if (len == 0 || len >= sizeof(at.sun_path))
		return err_set(err, ERR_INVALID,
			       "a socket's path has 1 to %zu bytes, this one %zu: %s",
			       sizeof(at.sun_path) - 1, len, path);
	memcpy(at.sun_path, path, len);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r = fd < 0 ? -errno : clear_path(fd, &at);
	if (r == 0)
		r = listen_at(fd, &at);
	if (r == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return err_set_errno(err, r, "cannot listen on %s", path);
}

static uint16_t bound_port(int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} at = { .v6 = { 0 } };
	socklen_t len = sizeof(at);
	getsockname(fd, &at.any, &len);
	if (at.any.sa_family == AF_UNIX)
		return 0;
	return ntohs(at.any.sa_family == AF_INET ? at.v4.sin_port : at.v6.sin6_port);
}

static void copy_routes(struct web_server *s, const struct web_route *routes)
{
	while (routes[s->route_count].prefix)
		s->route_count++;
	s->routes = xmemdup(routes, s->route_count * sizeof(*routes));
	for (size_t i = 0; i < s->route_count; i++)
		s->routes[i].prefix = xstrdup(routes[i].prefix);
}

static void server_free(struct web_server *s)
{
	if (s->fd >= 0)
		close(s->fd);
	for (size_t i = 0; i < s->route_count; i++)
		free((char *)s->routes[i].prefix);
	if (s->path)
		unlink(s->path);
	map_done(&s->accounts);
	free(s->routes);
	free(s->path);
	free(s->name);
	free(s);
}

static int check_options(const struct web_server_options *o, struct err *err)
{
	if (!o->routes || !o->routes[0].prefix)
		return err_set(err, ERR_INVALID, "no routes");
	if (!o->cert != !o->key || (o->client_ca && !o->cert))
		return err_set(err, ERR_INVALID, "certificate and key belong together");
	return 0;
}

int web_server_open(struct web *w, const struct web_server_options *options,
		    struct web_server **ret, struct err *err)
{
	int r = check_options(options, err);
	if (r < 0) {
		if (options->bound)
			close(options->bound);
		return r;
	}
	int fd = options->socket ? bind_path(options->socket, err) : listen_socket(options, err);
	if (fd < 0)
		return fd;
	struct web_server *s = xcalloc(1, sizeof(*s));
	s->web = w;
	s->name = xstrdup(str_or(options->name, "web"));
	s->fd = fd;
	s->path = xstrdup(options->socket);
	s->port = bound_port(fd);
	s->tls = options->cert != NULL;
	s->chunked = options->chunked;
	s->conns_max = options->max_connections ? options->max_connections : CONNS_DEFAULT;
	s->share_percent = options->share_percent;
	list_init(&s->conns);
	list_init(&s->link);
	copy_routes(s, options->routes);
	err_clear(err);
	struct call call = { .fn = open_server, .server = s, .options = options, .err = err };
	r = call_and_wait(w, &call);
	if (r < 0) {
		server_free(s);
		return err_wrap(err, "%s", str_or(options->name, "web"));
	}
	*ret = s;
	return 0;
}

int web_server_set_certificate(struct web_server *s, const char *cert, const char *key,
			       struct err *err)
{
	const struct web_server_options options = { .cert = cert, .key = key };
	struct call call = {
		.fn = replace_certificate, .server = s, .options = &options, .err = err
	};
	if (!s->tls || !s->web)
		return err_set(err, ERR_INVALID, "%s serves no TLS", s->name);
	int r = call_and_wait(s->web, &call);
	return r < 0 ? err_wrap(err, "%s", s->name) : 0;
}

uint16_t web_server_port(const struct web_server *s)
{
	return s->port;
}

struct web_server *web_server_close(struct web_server *s)
{
	if (!s)
		return NULL;
	if (s->web) {
		struct call call = { .fn = close_server, .server = s };
		call_and_wait(s->web, &call);
	}
	server_free(s);
	return NULL;
}
