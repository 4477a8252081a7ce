#pragma once
/* HTTP(S) server: libwebsockets on a thread of its own. Handlers do not run there: each route names
 * a loop, the finished request (head and body) is posted to it, and the answer is mailed back. So a
 * handler may take its time and touch its loop's state without locks.
 *
 * Guards against request smuggling stand here: a Transfer-Encoding on a request gives 411, or,
 * where chunks are taken, 400 for all but one "chunked" alone; a second Content-Length gives 400;
 * HTTP/1.1 only. Every size a peer controls has a limit.
 *
 * At the end: close the server (nothing is posted to its routes' loops afterwards), let those loops
 * run what was posted, free them. web_free may come at any point. An answer that nobody waits for
 * any more is dropped. */

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/options.h"
#include "loop/loop.h"
#include "wire/parts.h"

struct web;	   /* the thread */
struct web_server; /* one listener */
struct web_request;

/* Borrowed for the request's life; any thread. */
const char *web_method(const struct web_request *r);
const char *web_path(const struct web_request *r);  /* as sent, without query */
const char *web_query(const struct web_request *r); /* "" when absent; never logged */
/* Lower-case name; NULL when absent. The first of several. */
const char *web_header(const struct web_request *r, const char *name);
/* Value of the first whose name begins so, in lower case; NULL when there is none. */
const char *web_header_with_prefix(const struct web_request *r, const char *prefix);
const char *web_body(const struct web_request *r, size_t *ret_len);
/* Numeric; "local" on a Unix socket. */
const char *web_peer_address(const struct web_request *r);
/* PEM of the client certificate, verified against client_ca; NULL without one, or with one that
 * does not verify (expired, another CA), which the handshake lets pass so that the answer can say
 * why. */
const char *web_peer_certificate(const struct web_request *r);
/* First value of a query parameter, percent-decoded; NULL when absent. The caller frees it. */
char *web_query_param(const struct web_request *r, const char *name);
/* Keeps what the functions above return valid beyond the answer. unref returns NULL. */
struct web_request *web_request_ref(struct web_request *r);
struct web_request *web_request_unref(struct web_request *r);

/* --- who it is: any thread, before the answer ------------------------------------------------- */

enum { WEB_BODY_UNASKED = 64 << 10 };

/* What the connection holds counts as that user's or agent's share from now on, and no more as its
 * address's; NULL: as its address's again. See web_server_options.share_percent. */
void web_known_as(struct web_request *r, const char *who);
/* The answer to before_body: the body may come, and the route's handler is called with it. */
void web_take_body(struct web_request *r, const char *who);

/* --- answers: exactly one of reply, reply_file, reply_parts and stream per request; any thread -
 */

struct web_reply_head {
	int status;
	const char *content_type;   /* NULL: none */
	const char *const *headers; /* "Name: value", NULL-ended; may be NULL */
};

/* The request may not be touched afterwards. Body is copied. */
void web_reply(struct web_request *r, const struct web_reply_head *head, const void *body,
	       size_t len);
/* Sends a file by the rules of RFC 9110 for HEAD, Range (single) and If-Range. Takes fd. `etag` is
 * a plain digest or a quoted tag; may be NULL. */
void web_reply_file(struct web_request *r, const struct web_reply_head *head, int fd, uint64_t size,
		    const char *etag);
/* Likewise, of bytes that lie in several places. Takes the body. A peer costs its connection,
 * however slowly it reads: over TLS a record more. */
void web_reply_parts(struct web_request *r, const struct web_reply_head *head, struct parts body,
		     const char *etag);
/* Chunked answer without end. `closed` is posted to the route's loop once, when the peer has gone
 * or web_stream_end was done; only then is the request released. */
void web_stream(struct web_request *r, const struct web_reply_head *head, loop_fn closed,
		void *data);
/* False when the peer reads too slowly (over the route's queue cap): the stream is being closed. */
bool web_stream_send(struct web_request *r, const void *data, size_t len);
/* Flow control: true when more than `low` bytes wait for the peer to take them. Then `drained` is
 * posted to the route's loop, with web_stream's data, once no more than that do; unless `closed`
 * comes first. */
bool web_stream_wait(struct web_request *r, size_t low, loop_fn drained);
void web_stream_end(struct web_request *r);

/* --- set-up ----------------------------------------------------------------------------------- */

typedef void (*web_handler_fn)(void *data, struct web_request *r);

struct web_route {
	/* Of the path as sent. The longest wins; "/" takes all; "/v1" takes "/v1" and what is
	 * below. */
	const char *prefix;
	struct loop *loop;
	web_handler_fn handler;
	void *data;
	size_t max_body_bytes;	/* 413 above */
	size_t max_queue_bytes; /* of a stream; 0: 16 MiB */
	/* Optional. Called on the loop when the head of a request with a body of more than
	 * WEB_BODY_UNASKED bytes, or in chunks, is there and before the body is read: looks who it
	 * is, and calls web_take_body, or answers. */
	web_handler_fn before_body;
};

/* The oldest version that a listener speaks. */
enum web_tls { WEB_TLS_1_2, WEB_TLS_1_3, _WEB_TLS_MAX };

struct web_server_options {
	const char *name;    /* for logs */
	const char *address; /* numeric; NULL or "::": all of IPv6 and IPv4 */
	uint16_t port;	     /* 0: any free one, see web_server_port */
	/* Path of a Unix socket, in place of address, port and device: mode 0600, made anew, gone
	 * at the close. */
	const char *socket;
	const char *device;	/* network device to bind to; may be NULL */
	const char *cert, *key; /* PEM; NULL: plain HTTP */
	const char *client_ca;	/* PEM: client certificates are asked for and verified, but not
				   required */
	enum web_tls tls_min;
	const struct web_route *routes; /* ended by prefix NULL; copied */
	unsigned max_connections;	/* 0: 1024 */
	/* How much of the connections, of the memory for what came in, and of that for what waits
	 * to be sent one address, user or agent may have when three quarters are in use; 0: 12.
	 * 100: no limit but the whole. The /64 of an IPv6 address counts as one. */
	unsigned share_percent;
	bool chunked; /* bodies may come in chunks: clients of an API stream files */
	int bound;    /* of web_bind(); 0: none. Taken, also on failure */
};

/* By the names of Kubernetes' components: TLS12, TLS13. */
extern const struct option_choice web_tls_choices[];

/* Takes the port and does not listen: who connects is refused, until web_server_open() gets the
 * descriptor that this returns. Both with the same options, of which address, port and device are
 * read here. Needs no struct web. */
int web_bind(const struct web_server_options *options, struct err *err);

/* Starts the thread. Cheap: files are served by a struct web of their own, so that a page-cache
 * miss holds up no other server. */
int web_new(struct web **ret, struct err *err);
struct web *web_free(
	struct web *w); /* ends it; connections are cut; servers must still be closed */
int web_server_open(struct web *w, const struct web_server_options *options,
		    struct web_server **ret, struct err *err);
/* Another certificate for a server that has one. Handshakes that begin from now on get it;
 * connections that stand are left alone. On failure (the pair does not fit) nothing changes. Not
 * from a loop's thread that the service thread waits for: it waits for none. */
int web_server_set_certificate(struct web_server *s, const char *cert, const char *key,
			       struct err *err);
uint16_t web_server_port(const struct web_server *s);
struct web_server *web_server_close(struct web_server *s);
