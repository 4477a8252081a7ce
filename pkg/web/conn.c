/* One connection, on the service thread: requests in, answers out.
 *
 * libwebsockets moves the bytes and does TLS; HTTP/1.1 is ours, on a raw socket ("raw-skt"),
 * because the library's own HTTP role (4.1.6) stops reading while an answer is under way: a peer
 * that hangs up on a watch is never noticed, and the service loop spins on the readable socket at
 * 100 % CPU (measured). It also drops heads over its limit without an answer and rewrites paths.
 *
 * The states of a connection stand in the table below; conn_enter() is their only setter and arms
 * the state's timer. At most one request is under way; what a peer sends behind it waits in `in`,
 * and beyond a limit in the kernel. At most one piece of output is inside lws at a time: while lws
 * holds a rest of it (lws_partial_buffered), reading is off too, because then lws ignores POLLIN
 * without clearing it.
 *
 * Every path out of a connection ends in LWS_CALLBACK_RAW_CLOSE, which frees it. */

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fsm.h"
#include "base/log.h"
#include "base/mem.h"
#include "web/internal.h"

enum {
	IN_MAX = 2 * WEB_PIECE, /* unread input above which the kernel must hold the rest */
	PIECES = 4,		/* writes in one callback, for fairness */
	SENDFILE_PIECE = 1 << 20,
	TLS_PIECE =
		16 << 10, /* of a body: a record. What a slow reader leaves of it waits in lws */
};

enum conn_state {
	CONN_IDLE,    /* between requests */
	CONN_HEAD,    /* a head is coming in (and TLS before it) */
	CONN_ASKING,  /* may its body come? before_body is asked */
	CONN_BODY,    /* its body */
	CONN_HANDLER, /* the handler has it */
	CONN_SENDING, /* an answer is going out */
	CONN_STREAM,  /* an answer without end */
	CONN_SOCKET,  /* a WebSocket in place of an answer */
	CONN_LINGER,  /* all said; waiting for the peer to close, so that no RST eats the answer */
	CONN_DROPPED, /* given up in favour of others; about to be closed */
};

#define BIT(state) (1u << (state))
#define ENDS	   BIT(CONN_DROPPED) /* may come at any time */

static const struct {
	const char *name;
	unsigned next;	  /* states that may follow */
	usec_t timeout;	  /* 0: none */
	bool on_progress; /* bytes restart the timer */
	int status;	  /* answered at timeout; 0: just close */
} states[] = {
	[CONN_IDLE] = { "idle", BIT(CONN_HEAD) | ENDS, 120 * USEC_PER_SEC, false, 0 },
	[CONN_HEAD] = { "head", BIT(CONN_ASKING) | BIT(CONN_BODY) | BIT(CONN_SENDING) | ENDS,
			30 * USEC_PER_SEC, false, 408 },
	[CONN_ASKING] = { "asking", BIT(CONN_BODY) | BIT(CONN_SENDING) | ENDS, 0, false, 0 },
	[CONN_BODY] = { "body", BIT(CONN_HANDLER) | BIT(CONN_SENDING) | ENDS, 30 * USEC_PER_SEC,
			true, 408 },
	[CONN_HANDLER] = { "handler",
			   BIT(CONN_SENDING) | BIT(CONN_STREAM) | BIT(CONN_SOCKET) | ENDS, 0, false,
			   0 },
	[CONN_SENDING] = { "sending", BIT(CONN_IDLE) | BIT(CONN_LINGER) | ENDS, 60 * USEC_PER_SEC,
			   true, 0 },
	[CONN_STREAM] = { "stream", BIT(CONN_SENDING) | ENDS, 0, false, 0 },
	/* Pings see to peers that have gone. */
	[CONN_SOCKET] = { "socket", BIT(CONN_SENDING) | ENDS, 0, false, 0 },
	[CONN_LINGER] = { "linger", ENDS, 2 * USEC_PER_SEC, false, 0 },
	[CONN_DROPPED] = { "dropped", 0, 2 * USEC_PER_SEC, false, 0 },
};

static const struct fsm conn_fsm = FSM_INIT("connection", states);

struct conn {
	struct list link; /* of its server */
	struct member member;
	struct web_server *server;
	struct lws *wsi; /* NULL until lws has adopted it */
	int fd;		 /* lws's */
	enum conn_state state;
	struct strbuf in;
	size_t scanned;			/* of `in`, for the end of a head */
	bool paused;			/* reading is off */
	bool discarding;		/* what comes in is of no interest any more */
	bool said;			/* a byte at least */
	char *owner;			/* who it is known as; NULL: its address */
	size_t queued;			/* bytes of `out` that are not sent */
	char address[INET6_ADDRSTRLEN]; /* of its account, until it is known */
	struct web_request *request;
	struct websocket *socket;     /* in CONN_SOCKET */
	struct chunk *out, **out_end; /* first in, first out */
	struct parts body;	      /* sent after `out` */
	uint64_t body_at, body_left;
	int unacked; /* bytes that the kernel held when the timer was started */
	bool close_after;
	bool asked_certificate;
	char *certificate;
	char peer[INET6_ADDRSTRLEN];
};

/* --- life ------------------------------------------------------------------------------------- */

static void format_peer(const struct sockaddr_storage *peer, char *out, size_t size)
{
	const struct sockaddr_in *v4 = (const void *)peer;
	const struct sockaddr_in6 *v6 = (const void *)peer;
	out[0] = '\0';
	if (peer->ss_family == AF_UNIX)
		snprintf(out, size, "local");
	else if (peer->ss_family == AF_INET)
		inet_ntop(AF_INET, &v4->sin_addr, out, (socklen_t)size);
	else if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
		inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], out, (socklen_t)size);
	else
		inet_ntop(AF_INET6, &v6->sin6_addr, out, (socklen_t)size);
}

/* A peer with one address of a /64 can have all of it. */
void web_conn_address(const struct sockaddr_storage *peer, char out[INET6_ADDRSTRLEN])
{
	struct sockaddr_storage net = *peer;
	struct sockaddr_in6 *v6 = (void *)&net;
	if (net.ss_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) &&
	    !IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr))
		memset(&v6->sin6_addr.s6_addr[8], 0, 8);
	format_peer(&net, out, INET6_ADDRSTRLEN);
}

struct conn *web_conn_new(struct web_server *s, int fd, const struct sockaddr_storage *peer)
{
	struct conn *c = xcalloc(1, sizeof(*c));
	c->server = s;
	c->state = CONN_HEAD;
	c->fd = fd;
	c->out_end = &c->out;
	format_peer(peer, c->peer, sizeof(c->peer));
	web_conn_address(peer, c->address);
	list_append(&s->conns, &c->link);
	web_quota_enter(s, &c->member, c->address);
	return c;
}

/* TLS comes before the callback that tells of it. */
void web_conn_adopted(struct conn *c, struct lws *wsi)
{
	c->wsi = wsi;
}

struct conn *web_conn_of(struct list *link)
{
	return list_entry(link, struct conn, link);
}

struct member *web_conn_member(struct list *link)
{
	return &web_conn_of(link)->member;
}

static void count_output(struct conn *c)
{
	web_quota_count(c->server, &c->member, POOL_QUEUED,
			c->queued + (c->socket ? web_ws_queued(c->socket) : 0));
}

/* Once its handler has it, a body does not change any more. */
static void count_input(struct conn *c)
{
	web_quota_count(c->server, &c->member, POOL_HELD,
			c->in.len + (c->request ? c->request->body.len : 0) +
				(c->socket ? web_ws_held(c->socket) : 0));
}

const char *web_conn_peer_of(const struct web_server *s, int fd)
{
	list_for_each(l, &s->conns) {
		const struct conn *c = list_entry(l, struct conn, link);
		if (c->fd == fd)
			return c->peer;
	}
	return NULL;
}

struct chunk *web_chunk_new(size_t len)
{
	struct chunk *k = xmalloc(sizeof(*k) + len);
	*k = (struct chunk){ .len = len };
	return k;
}

static void drop_first_chunk(struct conn *c)
{
	struct chunk *k = c->out;
	c->out = k->next;
	c->queued -= k->len - k->sent;
	if (!c->out)
		c->out_end = &c->out;
	free(k);
}

static void drop_output(struct conn *c)
{
	while (c->out)
		drop_first_chunk(c);
	count_output(c);
	parts_release(&c->body);
	c->body_left = 0;
}

/* The handler may still hold the request; from now on its answer is dropped. */
static void drop_request(struct conn *c)
{
	struct web_request *r = TAKE_PTR(c->request);
	if (!r)
		return;
	c->socket = web_ws_free(c->socket);
	r->conn = NULL;
	count_input(c);
	count_output(c);
	if (r->streaming)
		web_request_stream_closed(r);
	web_request_unref(r);
}

static void conn_free(struct conn *c)
{
	drop_output(c);
	drop_request(c);
	list_unlink(&c->link);
	web_quota_leave(c->server, &c->member);
	strbuf_done(&c->in);
	free(c->certificate);
	free(c->owner);
	free(c);
}

static atomic_uint divisor = 1;

void web_conn_divide_timeouts(unsigned by)
{
	atomic_store(&divisor, by);
}

unsigned web_conn_timeout_divisor(void)
{
	return atomic_load(&divisor);
}

/* What the kernel holds of what was sent. */
static int unacked(const struct conn *c)
{
	int bytes = 0;
	if (c->state == CONN_SENDING && ioctl(c->fd, SIOCOUTQ, &bytes) < 0)
		bytes = 0;
	return bytes;
}

static void start_timer(struct conn *c)
{
	/* LWS_SET_TIMER_USEC_CANCEL fires at once in 4.1.6; so "none" is a year, and on_timeout()
	 * knows. */
	const usec_t year = 365 * 24 * USEC_PER_HOUR;
	usec_t timeout = states[c->state].timeout;
	lws_set_timer_usecs(c->wsi, (lws_usec_t)(timeout ? timeout / atomic_load(&divisor) : year));
	c->unacked = unacked(c);
}

static void conn_enter(struct conn *c, enum conn_state next)
{
	fsm_check(&conn_fsm, c->state, next, c->peer);
	log_debug("connection", "peer", c->peer, "was", states[c->state].name, "is",
		  states[next].name);
	c->state = next;
	start_timer(c);
	if (next == CONN_IDLE) { /* the list is in order of idleness */
		list_unlink(&c->link);
		list_append(&c->server->conns, &c->link);
	}
}

/* A slow peer is fine, one that stands still is not. */
static void progress(struct conn *c)
{
	if (states[c->state].on_progress)
		start_timer(c);
}

void web_conn_cut(struct conn *c)
{
	lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
}

unsigned web_conn_rank(const struct member *m)
{
	const struct conn *c = container_of(m, const struct conn, member);
	switch (c->state) {
	case CONN_HEAD:
		return c->said ? CONN_RANK_HEAD : CONN_RANK_SILENT;
	case CONN_IDLE:
	case CONN_LINGER:
	case CONN_DROPPED:
		return CONN_RANK_IDLE;
	case CONN_ASKING:
	case CONN_BODY:
		return CONN_RANK_BODY;
	case CONN_SENDING:
		return CONN_RANK_SENDING;
	case CONN_HANDLER:
		return CONN_RANK_HANDLER;
	case CONN_STREAM:
	case CONN_SOCKET:
		return CONN_RANK_STREAM;
	}
	return CONN_RANK_MAX;
}

/* Not closed at once: the callback that needs the room may be of lws's walk through its sockets. */
void web_conn_drop(struct member *m)
{
	struct conn *c = container_of(m, struct conn, member);
	log_paced(&c->server->web->dropped, loop_now(c->server->routes[0].loop), LOG_WARN,
		  "connections dropped: others need the room", "server", c->server->name, "of",
		  web_quota_name(m), "state", states[c->state].name);
	drop_output(c);
	drop_request(c);
	strbuf_done(&c->in);
	c->discarding = true;
	web_quota_leave(c->server, m);
	conn_enter(c, CONN_DROPPED);
	lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}

/* --- reading ---------------------------------------------------------------------------------- */

static void update_reading(struct conn *c)
{
	bool pause = lws_partial_buffered(c->wsi) || (!c->discarding && c->in.len > IN_MAX);
	if (pause == c->paused)
		return;
	c->paused = pause;
	lws_rx_flow_control(c->wsi, !pause);
}

static void queue(struct conn *c, struct chunk *k)
{
	*c->out_end = k;
	c->out_end = &k->next;
	c->queued += k->len;
	count_output(c);
	lws_callback_on_writable(c->wsi);
}

/* Answers on our own account. What follows on the connection cannot be trusted to be a request. */
static void refuse(struct conn *c, int status)
{
	static const char *const later[] = { "Retry-After: 1", NULL };
	const struct web_reply_head head = { .status = status,
					     .content_type = "text/plain",
					     .headers = status == 503 ? later : NULL };
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	const char *reason = web_reply_reason(status);
	bool bodiless = c->request && web_request_is_head(c->request);
	assert(c->server->routes);
	web_reply_format(&(struct reply_text){ .head = &head,
					       .kind = BODY_SIZED,
					       .size = strlen(reason) + 1,
					       .wall = loop_wall(c->server->routes[0].loop) },
			 &text);
	if (!bodiless)
		strbuf_addf(&text, "%s\n", reason);
	struct chunk *k = web_chunk_new(text.len);
	memcpy(k->data, text.data, text.len);
	c->close_after = c->discarding = true;
	strbuf_done(&c->in);
	drop_request(c);
	conn_enter(c, CONN_SENDING);
	queue(c, k);
}

/* "/v1" matches "/v1" and "/v1/x"; "/v1/" only what lies below. */
static bool route_matches(const struct web_route *route, const char *path)
{
	size_t len = strlen(route->prefix);
	if (strncmp(route->prefix, path, len) != 0)
		return false;
	return len > 0 && (route->prefix[len - 1] == '/' || path[len] == '\0' || path[len] == '/');
}

static const struct web_route *find_route(const struct web_server *s, const char *path)
{
	const struct web_route *best = NULL;
	for (size_t i = 0; i < s->route_count; i++) {
		const struct web_route *r = &s->routes[i];
		if (route_matches(r, path) && (!best || strlen(r->prefix) > strlen(best->prefix)))
			best = r;
	}
	return best;
}

static void identify_peer(struct conn *c, struct web_request *r)
{
	if (!c->asked_certificate && c->server->tls)
		c->certificate = web_tls_peer_certificate(c->wsi);
	c->asked_certificate = true;
	r->peer_certificate = xstrdup(c->certificate);
	r->owner = xstrdup(c->owner);
	memcpy(r->peer, c->peer, sizeof(r->peer));
}

static void expect_body(struct conn *c)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	conn_enter(c, CONN_BODY);
	/* No need to encourage a peer that has begun (RFC 9110, 10.1.1). */
	const struct http1_head *h = &c->request->head;
	if (!h->expect_continue || (!h->content_length && !h->chunked) || c->in.len)
		return;
	struct chunk *k = web_chunk_new(sizeof(go_on) - 1);
	memcpy(k->data, go_on, k->len);
	queue(c, k);
}

/* False: more bytes are needed. */
static bool read_head(struct conn *c)
{
	size_t len = web_http1_head_length(c->in.data, c->in.len, &c->scanned);
	if (!len && c->in.len <= HTTP1_HEAD_MAX)
		return false;
	if (!len || len > HTTP1_HEAD_MAX) {
		refuse(c, web_http1_too_long(c->in.data, c->in.len));
		return true;
	}
	struct web_request *r = web_request_new(c->server->web->box, c->in.data, len);
	c->request = r;
	r->conn = c;
	strbuf_consume(&c->in, len);
	c->scanned = 0;
	int status = web_http1_parse(r->text, len, c->server->chunked, &r->head);
	if (status) {
		drop_request(c); /* its head was not filled in */
		refuse(c, status);
		return true;
	}
	const struct web_route *route = find_route(c->server, r->head.path);
	if (!route || r->head.content_length > route->max_body_bytes) {
		refuse(c, route ? 413 : 404);
		return true;
	}
	r->route = *route;
	identify_peer(c, r);
	bool large = r->head.chunked || r->head.content_length > WEB_BODY_UNASKED;
	if (large && route->before_body) {
		conn_enter(c, CONN_ASKING);
		web_request_ask(web_request_ref(r));
	} else {
		expect_body(c);
	}
	return true;
}

/* What `in` holds of the body goes there. */
static void take_part(struct conn *c, bool *ret_whole)
{
	struct web_request *r = c->request;
	size_t missing = (size_t)r->head.content_length - r->body.len;
	size_t n = MIN(missing, c->in.len);
	strbuf_add(&r->body, c->in.data, n);
	strbuf_consume(&c->in, n);
	*ret_whole = n == missing;
}

/* A status when it must not. */
static int take_chunks(struct conn *c, bool *ret_whole)
{
	struct web_request *r = c->request;
	size_t used = 0;
	int status = web_chunked_decode(&r->chunks, c->in.data, c->in.len, r->route.max_body_bytes,
					&r->body, &used);
	strbuf_consume(&c->in, used);
	*ret_whole = r->chunks.state == CHUNKED_DONE;
	return status;
}

/* The limits are passed by one piece of input at most, until the refusal gives it back. */
static int take_body(struct conn *c, bool *ret_whole)
{
	int status = 0;
	if (c->request->head.chunked)
		status = take_chunks(c, ret_whole);
	else
		take_part(c, ret_whole);
	count_input(c);
	return status ? status : web_quota_may_hold(c->server, &c->member, POOL_HELD) ? 0 : 503;
}

static bool read_body(struct conn *c)
{
	bool whole = false, came = c->in.len > 0;
	int status = take_body(c, &whole);
	if (status) {
		refuse(c, status);
		return true;
	}
	if (came)
		progress(c);
	if (!whole)
		return false;
	conn_enter(c, CONN_HANDLER);
	web_request_dispatch(web_request_ref(c->request));
	return true;
}

/* Takes from `in` what the state allows. */
static void advance(struct conn *c)
{
	bool more = true;
	while (more) {
		switch (c->state) {
		case CONN_IDLE:
			more = c->in.len > 0;
			if (more)
				conn_enter(c, CONN_HEAD);
			break;
		case CONN_HEAD:
			more = read_head(c);
			break;
		case CONN_BODY:
			more = read_body(c);
			break;
		case CONN_SOCKET:
			web_ws_feed(c->socket, &c->in);
			more = false;
			break;
		case CONN_ASKING:
		case CONN_HANDLER:
		case CONN_SENDING:
		case CONN_STREAM:
		case CONN_LINGER:
		case CONN_DROPPED:
			more = false;
			break;
		}
	}
	if (c->in.len == 0)
		strbuf_done(&c->in); /* idle connections hold no buffer */
	count_input(c);
	update_reading(c);
}

static void on_bytes(struct conn *c, const void *data, size_t len)
{
	if (c->state == CONN_DROPPED)
		return;
	lws_set_timeout(c->wsi, NO_PENDING_TIMEOUT, 0); /* lws's own, for the handshake */
	if (c->discarding)
		return;
	c->said = true;
	strbuf_add(&c->in, data, len);
	advance(c);
	if (c->state == CONN_HEAD && !web_quota_may_hold(c->server, &c->member, POOL_HELD))
		refuse(c, 503);
}

/* --- writing ---------------------------------------------------------------------------------- */

/* Moves as much of the queue as fits into the thread's buffer: many small watch events make one TLS
 * record and one system call. */
static size_t gather(struct conn *c)
{
	unsigned char *buffer = c->server->web->buffer + LWS_PRE;
	size_t n = 0;
	while (n < WEB_PIECE && c->out) {
		struct chunk *k = c->out;
		size_t part = MIN(k->len - k->sent, WEB_PIECE - n);
		memcpy(buffer + n, k->data + k->sent, part);
		n += part;
		k->sent += part;
		c->queued -= part;
		if (k->counted) {
			atomic_fetch_sub(&c->request->queued, part);
			web_request_stream_taken(c->request);
		}
		if (k->sent < k->len)
			break;
		drop_first_chunk(c);
	}
	count_output(c);
	return n;
}

static int write_buffer(struct conn *c, size_t len)
{
	return lws_write(c->wsi, c->server->web->buffer + LWS_PRE, len, LWS_WRITE_RAW) < 0 ? -1 : 1;
}

static void body_advance(struct conn *c, size_t n)
{
	c->body_at += n;
	c->body_left -= n;
	if (c->body_left == 0)
		parts_release(&c->body);
}

/* Through the kernel only; lws holds nothing, so nothing can be overtaken. */
static int send_body_plain(struct conn *c)
{
	int fd = lws_get_socket_fd(c->wsi);
	struct part p = c->body.at(c->body.data, c->body_at);
	uint64_t left = MIN(p.len, c->body_left);
	size_t want = (size_t)MIN(left, (uint64_t)SENDFILE_PIECE);
	off_t at = (off_t)p.offset;
	ssize_t n = p.bytes ? send(fd, p.bytes, want, MSG_NOSIGNAL | MSG_DONTWAIT)
			    : sendfile(fd, p.fd, &at, want);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (n == 0) /* a file has become shorter than what the head promised */
		return -1;
	body_advance(c, (size_t)n);
	return 1;
}

/* May wait for the disk; that is why files have a thread of their own (web_new). */
static int send_body_tls(struct conn *c)
{
	size_t want = (size_t)MIN(c->body_left, (uint64_t)TLS_PIECE);
	ssize_t n = parts_read(&c->body, c->body_at, c->server->web->buffer + LWS_PRE, want);
	if (n <= 0)
		return -1;
	body_advance(c, (size_t)n);
	return write_buffer(c, (size_t)n);
}

/* 1: something went out; 0: nothing to send or no room; -1: the connection is lost. */
static int write_piece(struct conn *c)
{
	size_t n = gather(c);
	if (n)
		return write_buffer(c, n);
	if (c->body_left == 0)
		return 0;
	return c->server->tls ? send_body_tls(c) : send_body_plain(c);
}

static void finish(struct conn *c)
{
	int fd = lws_get_socket_fd(c->wsi);
	conn_enter(c, CONN_LINGER);
	c->discarding = true;
	if (c->server->tls)
		web_tls_close_notify(c->wsi);
	else
		shutdown(fd, SHUT_WR);
	update_reading(c);
}

static void answer_sent(struct conn *c)
{
	drop_request(c);
	if (c->close_after) {
		finish(c);
		return;
	}
	conn_enter(c, CONN_IDLE);
	advance(c);
}

static int on_writable(struct conn *c)
{
	if (c->state == CONN_DROPPED)
		return -1;
	for (int i = 0; i < PIECES && !lws_partial_buffered(c->wsi); i++) {
		int r = write_piece(c);
		if (r < 0)
			return -1;
		if (r == 0)
			break;
		progress(c);
	}
	if (lws_partial_buffered(c->wsi) || c->out || c->body_left > 0)
		lws_callback_on_writable(c->wsi);
	else if (c->state == CONN_SENDING)
		answer_sent(c);
	else if (c->state == CONN_SOCKET)
		web_ws_peer_took(c->socket);
	update_reading(c);
	return 0;
}

static int on_timeout(struct conn *c)
{
	int status = states[c->state].status;
	/* The kernel takes megabytes at once. A peer that takes hours to read them, as a BMC may
	 * with a medium, is no peer that stands still. */
	if (!states[c->state].timeout || unacked(c) < c->unacked) {
		start_timer(c);
		return 0;
	}
	/* Nothing at all came: a connection kept in reserve, or a scan. Nobody reads an answer. */
	if (!status || (c->state == CONN_HEAD && c->in.len == 0))
		return -1;
	refuse(c, status);
	return 0;
}

/* --- from libwebsockets ----------------------------------------------------------------------- */

int web_conn_callback(struct lws *wsi, enum lws_callback_reasons why, void *user, void *in,
		      size_t len)
{
	struct conn *c = lws_get_opaque_user_data(wsi);
	(void)user;
	switch (why) {
	case LWS_CALLBACK_RAW_ADOPT:
		c->wsi = wsi;
		start_timer(c);
		return 0;
	case LWS_CALLBACK_RAW_RX:
		on_bytes(c, in, len);
		return 0;
	case LWS_CALLBACK_RAW_WRITEABLE:
		return on_writable(c);
	case LWS_CALLBACK_TIMER:
		return on_timeout(c);
	case LWS_CALLBACK_RAW_CLOSE:
		conn_free(c);
		return 0;
	default: /* lint: foreign enum */
		return 0;
	}
}

/* --- from its WebSocket ----------------------------------------------------------------------- */

bool web_conn_socket_output(struct conn *c, struct chunk *k)
{
	queue(c, k);
	return c->queued >= WEB_PIECE;
}

void web_conn_socket_feed(struct conn *c)
{
	advance(c);
}

void web_conn_socket_count(struct conn *c)
{
	count_input(c);
	count_output(c);
}

bool web_conn_socket_may_hold(struct conn *c)
{
	count_input(c);
	return web_quota_may_hold(c->server, &c->member, POOL_HELD);
}

void web_conn_socket_ended(struct conn *c)
{
	c->close_after = c->discarding = true;
	c->socket = web_ws_free(c->socket);
	if (c->request->streaming)
		web_request_stream_closed(c->request);
	strbuf_done(&c->in);
	web_conn_socket_count(c);
	conn_enter(c, CONN_SENDING);
	lws_callback_on_writable(c->wsi);
}

/* --- from the handlers ------------------------------------------------------------------------ */

static void mail_free(struct mail *m)
{
	free(m->chunk);
	free(m->owner);
	parts_release(&m->body);
	web_request_unref(m->request);
	free(m);
}

static bool may_queue(struct conn *c, size_t more)
{
	web_quota_count(c->server, &c->member, POOL_QUEUED, c->queued + more);
	bool may = web_quota_may_hold(c->server, &c->member, POOL_QUEUED);
	count_output(c);
	return may;
}

/* Instead of its body. */
static void answer_early(struct conn *c)
{
	c->close_after = c->discarding = true;
	strbuf_done(&c->in);
	count_input(c);
}

void web_conn_deliver_reply(struct mail *m)
{
	struct conn *c = m->request->conn;
	if (c && !may_queue(c, m->chunk->len)) {
		refuse(c, 503);
	} else if (c) {
		c->close_after = !m->keep_alive;
		if (c->state == CONN_ASKING)
			answer_early(c);
		conn_enter(c, CONN_SENDING);
		c->body = m->body;
		m->body = (struct parts){ 0 };
		c->body_at = m->offset;
		c->body_left = m->length;
		queue(c, TAKE_PTR(m->chunk));
	}
	mail_free(m);
}

void web_conn_deliver_stream(struct mail *m)
{
	struct web_request *r = m->request;
	struct conn *c = r->conn;
	r->streaming = true;
	if (!c) {
		web_request_stream_closed(r);
	} else {
		c->close_after = !m->keep_alive;
		/* HEAD ends where the body would begin. */
		conn_enter(c, web_request_is_head(r) ? CONN_SENDING : CONN_STREAM);
		if (web_request_is_head(r))
			web_request_stream_closed(r);
		queue(c, TAKE_PTR(m->chunk));
	}
	mail_free(m);
}

/* After the end, or after HEAD, what was on its way is dropped. */
void web_conn_deliver_data(struct mail *m)
{
	struct web_request *r = m->request;
	bool wanted = r->conn && r->streaming && r->conn->state == CONN_STREAM;
	if (wanted && !may_queue(r->conn, m->chunk->len))
		web_conn_drop(&r->conn->member);
	else if (wanted)
		queue(r->conn, TAKE_PTR(m->chunk));
	mail_free(m);
}

static void take_owner(struct conn *c, struct mail *m)
{
	free(c->owner);
	c->owner = TAKE_PTR(m->owner);
	/* No address begins so. */
	_cleanup_(freep) char *name = c->owner ? xasprintf("=%s", c->owner) : NULL;
	web_quota_enter(c->server, &c->member, name ? name : c->address);
}

void web_conn_deliver_owner(struct mail *m)
{
	struct conn *c = m->request->conn;
	if (c)
		take_owner(c, m);
	mail_free(m);
}

void web_conn_deliver_go_on(struct mail *m)
{
	struct conn *c = m->request->conn;
	if (c) {
		take_owner(c, m);
		expect_body(c);
		advance(c);
	}
	mail_free(m);
}

void web_conn_deliver_end(struct mail *m)
{
	struct web_request *r = m->request;
	struct conn *c = r->conn;
	if (r->streaming) {
		if (c) {
			static const char last[] = "0\r\n\r\n";
			struct chunk *k = web_chunk_new(r->chunked ? sizeof(last) - 1 : 0);
			memcpy(k->data, last, k->len);
			conn_enter(c, CONN_SENDING);
			queue(c, k);
		}
		web_request_stream_closed(r);
	}
	mail_free(m);
}

void web_conn_deliver_socket(struct mail *m)
{
	struct web_request *r = m->request;
	struct conn *c = r->conn;
	r->streaming = true;
	if (c)
		c->socket = web_ws_open(c->server, c, r);
	if (!c) {
		web_request_stream_closed(r);
	} else if (!c->socket) {
		refuse(c, 503);
	} else {
		conn_enter(c, CONN_SOCKET);
		advance(c);
	}
	mail_free(m);
}

void web_conn_deliver_message(struct mail *m)
{
	struct conn *c = m->request->conn;
	bool wanted = c && c->socket;
	if (wanted && !may_queue(c, web_ws_queued(c->socket) + m->chunk->len)) {
		web_conn_drop(&c->member);
	} else if (wanted) {
		web_ws_send(c->socket, TAKE_PTR(m->chunk));
		count_output(c);
	}
	mail_free(m);
}

void web_conn_deliver_close(struct mail *m)
{
	struct conn *c = m->request->conn;
	if (c && c->socket)
		web_ws_close(c->socket, m->code);
	mail_free(m);
}

void web_conn_deliver_go_on_reading(struct mail *m)
{
	struct conn *c = m->request->conn;
	if (c && c->socket)
		web_ws_go_on_reading(c->socket);
	mail_free(m);
}

/* No last chunk: the peer must see that something is missing. */
void web_conn_deliver_cut(struct mail *m)
{
	struct web_request *r = m->request;
	if (r->conn && r->streaming)
		web_conn_cut(r->conn);
	mail_free(m);
}
