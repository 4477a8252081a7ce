/* WebSockets: see websocket.h. The upper half runs on any thread, like request.c; the lower half on
 * the service thread.
 *
 * libwebsockets can make a WebSocket only of a connection that is its own HTTP role's from the
 * first byte, and has no way to hand a TLS session from one of its connections to another. So an
 * upgraded connection stays in our hands, TLS and limits included, and moves its bytes through a
 * pair of Unix sockets to the other end, which is adopted by the HTTP role and gets an upgrade
 * request that is made here, from fields that were checked. What the role then says, "101" first,
 * goes to the peer as it is.
 *
 *   peer <-> conn.c (HTTP, TLS) <-> [end | role_end] <-> lws's ws role <-> handler's loop
 *
 * lws 4.1.6 takes frames without a mask, too. Masks protect what stands between us and a browser
 * from its pages; no browser leaves them out.
 *
 * The WebSocket ends when either end is closed: lws closes role_end after the closing handshake, at
 * a broken rule or when pings are not answered; `end` is closed when the peer's connection is. */

#include "web/websocket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "web/internal.h"

enum {
	KEY_BYTES = 16,
	PAIR_BYTES = WEB_PIECE, /* of each socket's buffer */
	PAIR_FDS = 2,
	RX_BYTES = 4096, /* lws gives payload in pieces of this */
};

/* lws looks for the vhost of a request by its Host, of all contexts' servers without a port. */
#define VHOST "websockets.internal"

struct websocket {
	struct web_server *server;
	struct conn *conn;
	struct web_request *request; /* the connection's reference */
	struct lws *pipe, *role;     /* of our end, of the other; NULL: gone */
	int end;		     /* lws's */
	bool paused;		     /* the peer takes no more: `end` is not read */
	struct strbuf message;	     /* coming in */
	struct chunk *out, **out_end;
	size_t queued;
	bool in_message;     /* a fragment of one has come */
	unsigned close_code; /* 0: open */
	bool refused;	     /* what the peer sends is of no interest any more */
	double tokens;
	usec_t filled_at;
};

/* --- any thread: the handshake ---------------------------------------------------------------- */

/* Is it in a list of tokens (RFC 9110, 5.6.1)? Whatever case. */
static bool list_has(const char *list, const char *token)
{
	size_t len = strlen(token);
	for (const char *p = str_or(list, ""); *p; p += strcspn(p, ","), p += *p == ',') {
		p += strspn(p, " \t");
		size_t n = strcspn(p, " \t,");
		if (n == len && strncasecmp(p, token, len) == 0)
			return true;
	}
	return false;
}

static bool key_valid(const char *key)
{
	void *bytes = NULL;
	size_t len = 0;
	bool valid = key && strlen(key) == 24 &&
		     base64_decode(key, strlen(key), &bytes, &len) == 0 && len == KEY_BYTES;
	free(bytes);
	return valid;
}

/* The part behind "://" is what a browser puts into Host. */
static bool same_host(const struct web_request *r, const char *origin)
{
	const char *host = strstr(origin, "://");
	return host && strcasecmp(host + 3, str_or(web_header(r, "host"), "")) == 0;
}

static bool origin_allowed(const struct web_request *r, const struct web_socket_options *o)
{
	const char *origin = web_header(r, "origin");
	if (!origin)
		return true;
	return o->origin_allowed ? o->origin_allowed(o->data, r, origin) : same_host(r, origin);
}

static void refuse(struct web_request *r, int status, const char *text)
{
	static const char *const version[] = { "Upgrade: websocket", "Sec-WebSocket-Version: 13",
					       NULL };
	const struct web_reply_head head = { .status = status,
					     .content_type = "text/plain; charset=utf-8",
					     .headers = status == 426 ? version : NULL };
	web_reply(r, &head, text, strlen(text));
}

/* RFC 6455, 4.2.1. */
static bool check(struct web_request *r, const struct web_socket_options *o)
{
	if (!list_has(web_header(r, "upgrade"), "websocket") ||
	    !streq(web_header(r, "sec-websocket-version"), "13"))
		refuse(r, 426, "a WebSocket of version 13 is needed\n");
	else if (!streq(web_method(r), "GET") || r->head.minor == 0 || !web_header(r, "host") ||
		 !list_has(web_header(r, "connection"), "upgrade") || r->body.len ||
		 !key_valid(web_header(r, "sec-websocket-key")))
		refuse(r, 400, "malformed WebSocket handshake\n");
	else if (!origin_allowed(r, o))
		refuse(r, 403, "WebSockets are not open to pages of this origin\n");
	else
		return true;
	return false;
}

/* The first of the client's list that is one of ours; case counts (RFC 6455, 4.1). A new string. */
static char *choose_protocol(const char *offered, const char *const *ours)
{
	for (const char *p = str_or(offered, ""); *p; p += strcspn(p, ","), p += *p == ',') {
		p += strspn(p, " \t");
		size_t n = strcspn(p, " \t,");
		for (const char *const *own = ours; own && *own; own++)
			if (strlen(*own) == n && strncmp(*own, p, n) == 0)
				return xstrndup(p, n);
	}
	return NULL;
}

bool web_socket(struct web_request *r, const struct web_socket_options *options)
{
	if (!check(r, options))
		return false;
	r->socket = *options;
	r->socket.message_max = options->message_max ? options->message_max
						     : WEB_SOCKET_MESSAGE_MAX;
	r->socket.waiting_max = options->waiting_max ? options->waiting_max
						     : WEB_SOCKET_WAITING_MAX;
	r->socket.rate = options->rate ? options->rate : WEB_SOCKET_RATE;
	r->socket.protocols = NULL;
	r->protocol = choose_protocol(web_header(r, "sec-websocket-protocol"), options->protocols);
	web_request_claim(r);
	r->closed = options->closed;
	r->closed_data = options->data;
	/* No unref: the reference stays until `closed` has run. */
	web_mailbox_send(r->box, web_request_mail(r, web_conn_deliver_socket));
	return true;
}

const char *web_socket_protocol(const struct web_request *r)
{
	return r->protocol;
}

bool web_socket_send(struct web_request *r, const void *bytes, size_t len, bool text)
{
	if (atomic_load(&r->cut))
		return false;
	if (atomic_load(&r->queued) + len > r->socket.waiting_max) {
		if (!atomic_exchange(&r->cut, true))
			web_mailbox_send(r->box, web_request_mail(r, web_conn_deliver_cut));
		return false;
	}
	struct mail *m = web_request_mail(r, web_conn_deliver_message);
	m->chunk = web_chunk_new(LWS_PRE + len); /* lws puts the frame's head there */
	memcpy(m->chunk->data + LWS_PRE, bytes, len);
	m->chunk->sent = LWS_PRE;
	m->chunk->text = text;
	atomic_fetch_add(&r->queued, len);
	web_mailbox_send(r->box, m);
	return true;
}

void web_socket_end(struct web_request *r, enum web_socket_code code)
{
	struct mail *m = web_request_mail(r, web_conn_deliver_close);
	m->code = code;
	web_mailbox_send(r->box, m);
}

/* --- messages to the handler's loop ----------------------------------------------------------- */

struct message {
	struct web_request *request; /* a reference */
	size_t len;
	bool text;
	char bytes[];
};

/* On the route's loop. */
static void run_message(void *data)
{
	struct message *m = data;
	struct web_request *r = m->request;
	if (!r->closed_ran)
		r->socket.message(r->socket.data, m->bytes, m->len, m->text);
	size_t left = atomic_fetch_sub(&r->unread, m->len + sizeof(*m)) - m->len - sizeof(*m);
	if (left <= r->socket.waiting_max / 2 && atomic_exchange(&r->holding, false))
		web_mailbox_send(r->box, web_request_mail(r, web_conn_deliver_go_on_reading));
	web_request_unref(r);
	free(m);
}

static void post_message(struct websocket *s, bool text)
{
	struct web_request *r = s->request;
	struct message *m = xmalloc(sizeof(*m) + s->message.len);
	*m = (struct message){ web_request_ref(r), s->message.len, text };
	if (s->message.len)
		memcpy(m->bytes, s->message.data, s->message.len);
	strbuf_done(&s->message);
	/* An empty message costs memory, too. */
	size_t unread = atomic_fetch_add(&r->unread, m->len + sizeof(*m)) + m->len + sizeof(*m);
	if (unread > r->socket.waiting_max && s->role) {
		lws_rx_flow_control(s->role, 0);
		atomic_store(&r->holding, true);
	}
	loop_post(r->route.loop, run_message, m);
}

void web_ws_go_on_reading(struct websocket *s)
{
	if (s->role)
		lws_rx_flow_control(s->role, 1);
}

/* --- the role's callbacks --------------------------------------------------------------------- */

static int close_with(struct lws *wsi, enum web_socket_code code)
{
	lws_close_reason(wsi, (enum lws_close_status)code, NULL, 0);
	return -1;
}

static bool too_fast(struct websocket *s)
{
	const struct web_request *r = s->request;
	usec_t now = loop_now(r->route.loop);
	double rate = r->socket.rate;
	s->tokens += rate * (double)(now - s->filled_at) / USEC_PER_SEC;
	s->tokens = MIN(s->tokens, rate);
	s->filled_at = now;
	if (s->tokens < 1)
		return true;
	s->tokens--;
	return false;
}

static void drop_first(struct websocket *s)
{
	struct chunk *k = s->out;
	size_t len = k->len - LWS_PRE;
	s->out = k->next;
	s->queued -= len;
	s->queued -= len;
	if (!s->out)
		s->out_end = &s->out;
	atomic_fetch_sub(&s->request->queued, len);
	web_request_stream_taken(s->request);
	free(k);
}

/* Not from the callback that finds the reason: lws would lose its place in what it has read, and
 * take the next bytes for a broken frame. */
static void give_up(struct websocket *s, struct lws *wsi, enum web_socket_code code)
{
	while (s->out)
		drop_first(s);
	strbuf_done(&s->message);
	s->close_code = code;
	s->refused = true;
	lws_callback_on_writable(wsi);
}

/* A continuation of nothing, or a message within another: lws lets them pass (RFC 6455, 5.4). */
static bool misplaced(struct websocket *s, struct lws *wsi, bool last)
{
	bool was_in = s->in_message, first = lws_is_first_fragment(wsi);
	s->in_message = !last;
	return was_in == first;
}

static void take_payload(struct websocket *s, struct lws *wsi, const void *bytes, size_t len)
{
	bool last = lws_is_final_fragment(wsi) && !lws_remaining_packet_payload(wsi);
	bool wrong = misplaced(s, wsi, last);
	if (wrong || s->message.len + len > s->request->socket.message_max) {
		give_up(s, wsi, wrong ? WEB_SOCKET_BROKEN : WEB_SOCKET_TOO_LARGE);
		return;
	}
	strbuf_add(&s->message, bytes, len);
	if (!web_conn_socket_may_hold(s->conn) || (last && too_fast(s)))
		give_up(s, wsi, WEB_SOCKET_POLICY);
	else if (last)
		post_message(s, !lws_frame_is_binary(wsi));
}

static void on_payload(struct websocket *s, struct lws *wsi, const void *bytes, size_t len)
{
	if (!s->refused)
		take_payload(s, wsi, bytes, len);
	web_conn_socket_count(s->conn);
}

/* A message a callback: lws keeps what its socket does not take. */
static int write_message(struct websocket *s, struct lws *wsi)
{
	struct chunk *k = s->out;
	if (!k)
		return s->close_code ? close_with(wsi, s->close_code) : 0;
	int n = lws_write(wsi, (unsigned char *)k->data + LWS_PRE, k->len - LWS_PRE,
			  k->text ? LWS_WRITE_TEXT : LWS_WRITE_BINARY);
	drop_first(s);
	web_conn_socket_count(s->conn);
	if (s->out || s->close_code)
		lws_callback_on_writable(wsi);
	return n < 0 ? -1 : 0;
}

static int add_protocol(const struct websocket *s, struct lws *wsi,
			struct lws_process_html_args *args)
{
	const char *chosen = s->request->protocol;
	if (!chosen)
		return 0;
	unsigned char **p = (unsigned char **)&args->p;
	return lws_add_http_header_by_name(wsi, (const unsigned char *)"sec-websocket-protocol:",
					   (const unsigned char *)chosen, (int)strlen(chosen), p,
					   *p + args->max_len);
}

static int role_callback(struct lws *wsi, enum lws_callback_reasons why, void *user, void *in,
			 size_t len)
{
	struct websocket *s = wsi ? lws_get_opaque_user_data(wsi) : NULL;
	(void)user;
	if (!s)
		return 0;
	switch (why) {
	case LWS_CALLBACK_ADD_HEADERS:
		return add_protocol(s, wsi, in);
	case LWS_CALLBACK_RECEIVE:
		on_payload(s, wsi, in, len);
		return 0;
	case LWS_CALLBACK_SERVER_WRITEABLE:
		return write_message(s, wsi);
	case LWS_CALLBACK_WSI_DESTROY: /* of all that is the vhost's */
		s->role = s->role == wsi ? NULL : s->role;
		return 0;
	default: /* lint: foreign enum */
		return 0;
	}
}

/* --- our end of the pair ---------------------------------------------------------------------- */

/* Never on the way out of a callback of this pipe. */
static void let_go(struct lws **wsi)
{
	if (!*wsi)
		return;
	lws_set_opaque_user_data(*wsi, NULL);
	lws_set_timeout(TAKE_PTR(*wsi), PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}

/* False: the other end was closed, and all that it had sent has been read. */
static bool read_end(struct websocket *s)
{
	unsigned char *buffer = s->server->web->buffer;
	ssize_t n = recv(s->end, buffer, WEB_PIECE, MSG_DONTWAIT);
	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR);
	struct chunk *k = web_chunk_new((size_t)n);
	memcpy(k->data, buffer, (size_t)n);
	s->paused = web_conn_socket_output(s->conn, k);
	return true;
}

static int end_closed(struct websocket *s, struct lws *wsi)
{
	lws_set_opaque_user_data(wsi, NULL);
	s->pipe = NULL;
	web_conn_socket_ended(s->conn); /* frees s */
	return -1;
}

/* lws reports a closed peer without its last bytes while reading is off. */
static int read_rest(struct websocket *s, struct lws *wsi)
{
	while (recv(s->end, &(char){ 0 }, 1, MSG_DONTWAIT | MSG_PEEK) > 0 && read_end(s))
		;
	return end_closed(s, wsi);
}

static int on_end_readable(struct websocket *s, struct lws *wsi)
{
	if (!read_end(s))
		return end_closed(s, wsi);
	if (s->paused)
		lws_rx_flow_control(wsi, 0);
	return 0;
}

static int pipe_callback(struct lws *wsi, enum lws_callback_reasons why, void *user, void *in,
			 size_t len)
{
	struct websocket *s = wsi ? lws_get_opaque_user_data(wsi) : NULL;
	(void)user, (void)in, (void)len;
	if (!s)
		return 0;
	switch (why) {
	case LWS_CALLBACK_RAW_RX_FILE:
		return on_end_readable(s, wsi);
	case LWS_CALLBACK_RAW_WRITEABLE_FILE:
		web_conn_socket_feed(s->conn);
		return 0;
	case LWS_CALLBACK_RAW_CLOSE_FILE:
		return read_rest(s, wsi);
	default: /* lint: foreign enum */
		return 0;
	}
}

void web_ws_feed(struct websocket *s, struct strbuf *in)
{
	ssize_t n = 0;
	if (!s->pipe) {
		strbuf_clear(in);
		return;
	}
	while (in->len && (n = send(s->end, in->data, in->len, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
		strbuf_consume(in, (size_t)n);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		strbuf_clear(in); /* the role has closed: its end will be read */
	if (in->len)
		lws_callback_on_writable(s->pipe);
}

void web_ws_peer_took(struct websocket *s)
{
	if (!s->paused || !s->pipe)
		return;
	s->paused = false;
	lws_rx_flow_control(s->pipe, 1);
}

/* --- life ------------------------------------------------------------------------------------- */

static const struct lws_protocols protocols[] = {
	{ "websocket", role_callback, 0, RX_BYTES, 0, NULL, 0 },
	{ "pipe", pipe_callback, 0, 0, 0, NULL, 0 },
	{ NULL, NULL, 0, 0, 0, NULL, 0 },
};

/* One for all servers of the thread, made for the first WebSocket. */
static struct lws_vhost *vhost_of(struct web *w)
{
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN_SERVER,
		.vhost_name = VHOST,
		.protocols = protocols,
		.retry_and_idle_policy = &w->ping_policy,
		.options = LWS_SERVER_OPTION_VALIDATE_UTF8,
	};
	unsigned ping = MAX(WEB_SOCKET_PING_S / web_conn_timeout_divisor(), 1U);
	w->ping_policy = (lws_retry_bo_t){ .secs_since_valid_ping = (uint16_t)ping,
					   .secs_since_valid_hangup = (uint16_t)(2 * ping) };
	if (!w->websockets)
		w->websockets = lws_create_vhost(w->context, &info);
	return w->websockets;
}

static int make_pair(int fds[2])
{
	const int size = PAIR_BYTES;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return -errno;
	for (size_t i = 0; i < 2; i++)
		setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return 0;
}

static struct lws *adopt(struct websocket *s, struct lws_vhost *vhost, int fd,
			 lws_adoption_type type, const char *protocol)
{
	const lws_adopt_desc_t desc = {
		.vh = vhost, .type = type, .fd.sockfd = fd, .vh_prot_name = protocol, .opaque = s
	};
	return lws_adopt_descriptor_vhost_via_info(&desc); /* on failure it has closed fd */
}

/* All that the role is to know. */
static void request_upgrade(const struct websocket *s)
{
	const struct web_request *r = s->request;
	_cleanup_(freep) char *text = xasprintf(
		"GET / HTTP/1.1\r\nHost: " VHOST "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n",
		web_header(r, "sec-websocket-key"));
	ssize_t n = send(s->end, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)n; /* an empty buffer takes it */
}

struct websocket *web_ws_open(struct web_server *server, struct conn *c, struct web_request *r)
{
	struct web *w = server->web;
	int fds[2];
	struct lws_vhost *vhost = vhost_of(w);
	if (!vhost || w->conns + PAIR_FDS > w->conns_max || make_pair(fds) < 0)
		return NULL;
	struct websocket *s = xcalloc(1, sizeof(*s));
	*s = (struct websocket){ .server = server,
				 .conn = c,
				 .request = r,
				 .end = fds[0],
				 .tokens = r->socket.rate,
				 .filled_at = loop_now(r->route.loop) };
	s->out_end = &s->out;
	w->conns += PAIR_FDS; /* of the table of descriptors */
	s->pipe = adopt(s, vhost, fds[0], LWS_ADOPT_RAW_FILE_DESC, "pipe");
	if (!s->pipe) {
		close(fds[1]);
		return web_ws_free(s);
	}
	s->role = adopt(s, vhost, fds[1], LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP, NULL);
	if (!s->role)
		return web_ws_free(s);
	request_upgrade(s);
	return s;
}

struct websocket *web_ws_free(struct websocket *s)
{
	if (!s)
		return NULL;
	let_go(&s->pipe);
	let_go(&s->role);
	while (s->out)
		drop_first(s);
	strbuf_done(&s->message);
	s->server->web->conns -= PAIR_FDS;
	free(s);
	return NULL;
}

size_t web_ws_held(const struct websocket *s)
{
	return s->message.len;
}

size_t web_ws_queued(const struct websocket *s)
{
	return s->queued;
}

void web_ws_send(struct websocket *s, struct chunk *k)
{
	*s->out_end = k;
	s->out_end = &k->next;
	s->queued += k->len - LWS_PRE;
	if (s->refused)
		drop_first(s);
	else if (s->role)
		lws_callback_on_writable(s->role);
}

void web_ws_close(struct websocket *s, unsigned code)
{
	s->close_code = s->close_code ? s->close_code : code;
	if (s->role)
		lws_callback_on_writable(s->role);
}
