#pragma once
/* WebSockets (RFC 6455) in place of an answer: the handler of a GET request makes its connection
 * one. Framing, masks, fragments, UTF-8, pings and the closing handshake are libwebsockets';
 * nothing is compressed.
 *
 * Limits are per connection: bytes of a message, messages a second, bytes that the handler's loop
 * has not taken, bytes that the peer has not taken. A peer from which nothing comes for
 * WEB_SOCKET_PING_S is pinged, and given up WEB_SOCKET_PING_S later. What it holds counts as its
 * account's share, like all else (web.h).
 *
 * Who may have a WebSocket is the handler's question, before web_socket(): browsers send cookies
 * and certificates with requests that pages of other origins make, so the Origin is looked at here.
 */

#include "web/web.h"

enum {
	WEB_SOCKET_PING_S = 30,
	WEB_SOCKET_MESSAGE_MAX = 64 << 10,
	WEB_SOCKET_WAITING_MAX = 1 << 20,
	WEB_SOCKET_RATE = 100, /* messages a second, and as many at once */
};

/* RFC 6455, 7.4.1; for web_socket_end. */
enum web_socket_code {
	WEB_SOCKET_NORMAL = 1000,
	WEB_SOCKET_GOING_AWAY = 1001,
	WEB_SOCKET_BROKEN = 1002,
	WEB_SOCKET_POLICY = 1008,
	WEB_SOCKET_TOO_LARGE = 1009,
	WEB_SOCKET_INTERNAL = 1011,
};

struct web_socket_options {
	/* Sub-protocols that the handler speaks, NULL-ended: the client's first choice among them.
	 * NULL: none. */
	const char *const *protocols;
	/* May a page of that origin ("https://host:port", "null") have one? Not asked without an
	 * Origin: that is no browser. NULL: pages of the host that the request names. */
	bool (*origin_allowed)(void *data, const struct web_request *r, const char *origin);
	size_t message_max; /* 0: WEB_SOCKET_MESSAGE_MAX; above: code 1009 */
	size_t waiting_max; /* 0: WEB_SOCKET_WAITING_MAX; of each direction */
	unsigned rate;	    /* 0: WEB_SOCKET_RATE; above: code 1008 */
	/* The route's loop; `text`: UTF-8, and checked. */
	void (*message)(void *data, const void *bytes, size_t len, bool text);
	/* The route's loop, once, after the last message; the request is released then. */
	loop_fn closed;
	void *data;
};

/* False: the request has been answered (400, 403 or 426) and may not be touched; else it stands for
 * the WebSocket until `closed`. The options are copied, the list of protocols borrowed during the
 * call. */
bool web_socket(struct web_request *r, const struct web_socket_options *options);
/* The sub-protocol; NULL: none. */
const char *web_socket_protocol(const struct web_request *r);
/* Any thread. False: more than waiting_max waits for the peer; the connection is being cut. For
 * flow control there is web_stream_wait(). */
bool web_socket_send(struct web_request *r, const void *bytes, size_t len, bool text);
/* After what was sent. Any thread. */
void web_socket_end(struct web_request *r, enum web_socket_code code);
