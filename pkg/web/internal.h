#pragma once
/* What the files of pkg/web share.
 *
 *   web.c      the service thread, its mailbox, servers and their listening sockets
 *   quota.c    who holds how much of what all share
 *   conn.c     one connection: reading requests, writing answers (service thread)
 *   request.c  the handler's view of a request: accessors and answers (any thread)
 *   reply.c    heads of answers as text
 *   tls.c      what OpenSSL must be told and asked
 *   tls_log.c  handshakes that fail
 *   router.c   tables of rows: which handler answers (any thread; needs nothing of the rest)
 *   http1.c    request heads
 *   chunked.c  bodies in chunks
 *   websocket.c  an upgraded connection, between conn.c and libwebsockets' ws role
 *
 * A request is shared by its connection and its handler and counted; all that it may touch from a
 * foreign thread is constant after dispatch, atomic, or goes through the mailbox. */

#include <libwebsockets.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/str.h"
#include "web/chunked.h"
#include "web/http1.h"
#include "web/quota.h"
#include "web/web.h"
#include "web/websocket.h"
#include "wire/parts.h"

struct conn;

enum {
	WEB_PIECE = 65536, /* the most that one write hands to TLS */
	WEB_FDS = 4096,	   /* of one struct web: lws allocates its tables by this */
};

/* --- mail: how other threads reach the service thread ----------------------------------------- */

struct mail {
	struct list link;
	/* Frees m. Runs on the service thread; or, when that has ended, on the sender's, and then
	 * no connection exists any more. */
	void (*deliver)(struct mail *m);
	struct web_request *request; /* one reference; NULL for calls */
	struct chunk *chunk;
	char *owner; /* of web_known_as and web_take_body */
	bool keep_alive;
	struct parts body;
	uint64_t offset, length; /* what of it is sent */
	unsigned code;		 /* of a closing WebSocket */
};

struct mailbox {
	atomic_uint refs;
	pthread_mutex_t lock;
	struct list mail;
	struct lws_context *context; /* NULL: the thread has ended */
};

void web_mailbox_send(struct mailbox *box, struct mail *m); /* any thread */
struct mailbox *web_mailbox_ref(struct mailbox *box);
struct mailbox *web_mailbox_unref(struct mailbox *box);

/* --- bytes on their way out ------------------------------------------------------------------- */

struct chunk {
	struct chunk *next;
	size_t len, sent;
	bool counted; /* in its request's `queued` */
	bool text;    /* a message of a WebSocket */
	char data[];
};

struct chunk *web_chunk_new(size_t len);

/* --- requests --------------------------------------------------------------------------------- */

struct web_request {
	atomic_uint refs;
	struct mailbox *box;
	struct web_route route;
	struct http1_head head; /* points into text */
	char *text;
	struct chunked chunks; /* of the body, while it comes in */
	struct strbuf body;
	char peer[INET6_ADDRSTRLEN];
	char *peer_certificate;
	char *owner; /* as which the connection was known when the head came; NULL: its address */

	bool asking; /* the route's loop: before_body has not decided yet */
	atomic_bool answered;
	bool chunked;	      /* set by the answering thread, before its mail */
	atomic_size_t queued; /* bytes of the stream that no socket has taken yet */
	atomic_bool cut;      /* the stream is over its cap */
	loop_fn closed, drained;
	void *closed_data;
	size_t low;		 /* set before: */
	atomic_bool drain_asked; /* who takes it back posts `drained` */
	bool closed_ran;	 /* the route's loop */

	struct web_socket_options socket; /* set by the answering thread; protocols: NULL */
	char *protocol;			  /* chosen sub-protocol */
	atomic_size_t unread;		  /* bytes of messages that the loop has not taken */
	atomic_bool holding;		  /* who takes the loop below its limit says so */

	struct conn *conn; /* service thread; NULL once the peer has gone */
	bool streaming;	   /* service thread: `closed` has not been posted yet */
};

struct web_request *web_request_new(struct mailbox *box, const char *head, size_t len);
/* The one answer. */
void web_request_claim(struct web_request *r);
/* Each mail holds the request: the handler may be done with it before the mail is read. */
struct mail *web_request_mail(struct web_request *r, void (*deliver)(struct mail *));
bool web_request_is_head(const struct web_request *r);
/* Posts the handler; takes over one reference. */
void web_request_dispatch(struct web_request *r);
/* Posts before_body; likewise. */
void web_request_ask(struct web_request *r);
/* Bytes of the stream were taken. Any thread. */
void web_request_stream_taken(struct web_request *r);
/* Posts `closed`, once, and drops the handler's reference after it. Service thread. */
void web_request_stream_closed(struct web_request *r);

/* --- answers as text -------------------------------------------------------------------------- */

enum body_kind { BODY_SIZED, BODY_CHUNKED, BODY_UNTIL_CLOSE };

struct reply_text {
	const struct web_reply_head *head;
	enum body_kind kind;
	uint64_t size;		  /* BODY_SIZED */
	const char *const *extra; /* more header lines, NULL-ended */
	bool keep_alive;
	usec_t wall;
};

void web_reply_format(const struct reply_text *t, struct strbuf *out);
const char *web_reply_reason(int status);
bool web_reply_has_body(int status);

/* --- servers and connections (service thread) ------------------------------------------------- */

struct web {
	struct mailbox *box;
	struct lws_context *context;
	pthread_t thread;
	struct list servers;
	size_t conns, conns_max; /* of all servers */
	struct pool pools[_POOL_MAX];
	struct log_pace dropped;
	struct lws_vhost *websockets; /* NULL: none yet */
	lws_retry_bo_t ping_policy;
	bool quit;
	unsigned char buffer[LWS_PRE + WEB_PIECE];
};

enum { TLS_LOG_PEERS = 32 };

/* Whose failed handshakes were logged when. */
struct tls_log {
	struct {
		char address[INET6_ADDRSTRLEN];
		usec_t at;
	} peers[TLS_LOG_PEERS];
	size_t next;
	usec_t window;
	unsigned lines, left_out;
};

struct tls_identity; /* a certificate that replaced the first one */

struct web_server {
	struct list link;
	struct web *web;   /* NULL after web_free */
	char *name, *path; /* path: of a Unix socket, to be removed at the end */
	int fd;		   /* listening; lws owns it once adopted */
	uint16_t port;
	struct lws_vhost *vhost;
	struct lws *listener;
	struct web_route *routes;
	size_t route_count;
	size_t conns_max;
	size_t conn_count;
	unsigned share_percent;
	struct map accounts; /* name → struct account */
	struct log_pace refused;
	struct list conns; /* longest idle first */
	bool tls, chunked;
	SSL_CTX *tls_context;	       /* lws's; NULL: plain HTTP */
	struct tls_identity *identity; /* NULL: the one that it was opened with */
	struct tls_log tls_log;
};

/* What is lost with a connection; quota.c drops the least. */
enum conn_rank {
	CONN_RANK_SILENT, /* has never said a byte */
	CONN_RANK_IDLE,
	CONN_RANK_HEAD,
	CONN_RANK_BODY,
	CONN_RANK_SENDING,
	CONN_RANK_HANDLER,
	CONN_RANK_STREAM,
	CONN_RANK_MAX = CONN_RANK_STREAM,
};

/* The name of its address's account. */
void web_conn_address(const struct sockaddr_storage *peer, char out[INET6_ADDRSTRLEN]);
struct conn *web_conn_new(struct web_server *s, int fd, const struct sockaddr_storage *peer);
void web_conn_adopted(struct conn *c, struct lws *wsi);
struct conn *web_conn_of(struct list *link);
/* The address of the peer behind a descriptor, also when it has gone; NULL. */
const char *web_conn_peer_of(const struct web_server *s, int fd);
struct member *web_conn_member(struct list *link);
unsigned web_conn_rank(const struct member *m);
/* Gives back all that it holds at once, and closes it soon. */
void web_conn_drop(struct member *m);
void web_conn_cut(struct conn *c); /* not from a callback of its own */
/* Divides all timeouts, for tests. any thread */
void web_conn_divide_timeouts(unsigned by);
unsigned web_conn_timeout_divisor(void);
int web_conn_callback(struct lws *wsi, enum lws_callback_reasons why, void *user, void *in,
		      size_t len);

void web_conn_deliver_reply(struct mail *m);
void web_conn_deliver_stream(struct mail *m);
void web_conn_deliver_data(struct mail *m);
void web_conn_deliver_end(struct mail *m);
void web_conn_deliver_cut(struct mail *m);
void web_conn_deliver_owner(struct mail *m);
void web_conn_deliver_go_on(struct mail *m);
void web_conn_deliver_socket(struct mail *m);
void web_conn_deliver_message(struct mail *m);
void web_conn_deliver_close(struct mail *m);
void web_conn_deliver_go_on_reading(struct mail *m);

/* --- WebSockets (service thread) -------------------------------------------------------------- */

struct websocket;

/* NULL: no room. The request is borrowed. */
struct websocket *web_ws_open(struct web_server *s, struct conn *c, struct web_request *r);
struct websocket *web_ws_free(struct websocket *s);
/* Bytes of the peer's; what is not taken stays, and web_conn_socket_feed comes. */
void web_ws_feed(struct websocket *s, struct strbuf *in);
void web_ws_peer_took(struct websocket *s);		/* all that was queued */
void web_ws_send(struct websocket *s, struct chunk *k); /* takes k, LWS_PRE bytes in front */
void web_ws_close(struct websocket *s, unsigned code);	/* after that */
void web_ws_go_on_reading(struct websocket *s);
size_t web_ws_held(const struct websocket *s);
size_t web_ws_queued(const struct websocket *s);

/* What it asks of its connection. True: enough for now, until web_ws_peer_took. Takes k. */
bool web_conn_socket_output(struct conn *c, struct chunk *k);
void web_conn_socket_feed(struct conn *c);
void web_conn_socket_count(struct conn *c);
bool web_conn_socket_may_hold(struct conn *c);
/* The role's end was closed: what is queued is sent, and the connection closed. */
void web_conn_socket_ended(struct conn *c);

/* --- TLS -------------------------------------------------------------------------------------- */

int web_tls_setup(SSL_CTX *ctx, const struct web_server_options *options, struct err *err);
/* Failed handshakes are logged from now on. */
void web_tls_log_install(SSL_CTX *ctx, struct web_server *s);
/* May the log have a line about this address now? Counts it, or what is left out. */
bool web_tls_log_take(struct tls_log *l, const char *peer, usec_t now);
/* From now on s->identity is asked for at each handshake; what was there is freed. */
int web_tls_replace(struct web_server *s, const char *cert, const char *key, struct err *err);
struct tls_identity *web_tls_identity_free(struct tls_identity *i);
/* PEM of the peer's certificate if it sent one and our CA stands behind it; else NULL. */
char *web_tls_peer_certificate(struct lws *wsi);
/* Says close_notify; lws itself does not, for raw sockets. */
void web_tls_close_notify(struct lws *wsi);
