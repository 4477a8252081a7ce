#pragma once
/* HTTP client on a loop: libcurl's multi interface, so that a thousand requests need no thread.
 * All calls on the loop's thread. Redirects are followed only where asked, never with credentials
 * to another host. Texts of errors quote method, URL without userinfo and query, status; never
 * bodies. */

#include <stdbool.h>

#include "base/clock.h"
#include "base/err.h"
#include "loop/fence.h"
#include "loop/loop.h"
#include "net/policy.h"

struct http_client;
struct http_op;

struct http_client_options {
	const char *user_agent;
	unsigned max_connections;      /* 0: 256 */
	unsigned max_host_connections; /* 0: 2 */
	/* Asked on every connect, after resolution; outlives the client. NULL: all is allowed. */
	const struct net_policy *policy;
	/* Asked before a connection is made, and again when it stands, directly before the request
	 * is sent on it; false ends it with ERR_CANCELLED. */
	struct fence fence;
};

/* All PEM texts; borrowed for the request's life. */
struct http_tls {
	const char *ca;	    /* replaces the system's roots */
	const char *pinned; /* exactly this certificate is trusted, leaf or not; names unchecked if
			       no_name_check */
	/* SHA-256 of the server's own certificate, 64 hexadecimal digits: exactly this one is
	 * trusted, whatever its name, dates and authority. Compared before each request is sent. */
	const char *pinned_sha256;
	const char *cert, *key;	 /* client certificate */
	const char *server_name; /* checked instead of the URL's host, and sent as SNI */
	bool insecure;
	bool no_name_check;
	bool legacy; /* old BMCs: SECLEVEL 0, legacy renegotiation, no close_notify needed */
};

struct http_response {
	int status;
	const char *content_type; /* "" when absent */
	const char *location;	  /* likewise */
	const char *etag;
	const char *url;	   /* that answered, after redirects; without userinfo and query */
	int64_t content_length;	   /* -1: unknown */
	int64_t retry_after_s;	   /* -1: absent */
	const char *content_range; /* likewise "" */
	bool accept_ranges;	   /* "bytes" was offered */
};

struct http_handlers {
	/* Head of the final answer, before data. Optional. Non-zero aborts the operation. */
	int (*head)(void *data, const struct http_response *r);
	/* A piece of the body. NULL: collected and given to done. Non-zero aborts.
	 * May call http_pause() to stop the flow. */
	int (*body)(void *data, const char *bytes, size_t len);
	/* Exactly once, unless cancelled. err is NULL on success; any HTTP status is success here.
	 * `body` is the collected text ("" when streamed). */
	void (*done)(void *data, const struct err *err, const struct http_response *r,
		     const char *body, size_t len);
	/* header of the answer, one call each. Optional. */
	void (*header)(void *data, const char *name, const char *value);
};

struct http_request {
	const char *method; /* "GET" when NULL */
	const char *url;
	const char *const *headers; /* "Name: value", NULL-ended; may be NULL */
	const char *content_type;
	const void *body; /* copied */
	size_t body_len;
	const char *username, *password; /* basic authentication; NULL: none */
	const char *bearer;		 /* token; NULL: none */
	const struct http_tls *tls;
	const char *unix_socket; /* path to connect to, whatever host the URL names; NULL: none */
	const char *proxy;	 /* NULL: none (the environment is not read) */
	/* Hosts that are asked without the proxy, as CURLOPT_NOPROXY reads them: names with all
	 * below them, addresses, networks, between commas; "*" alone: all. Redirects are judged
	 * by their own host. NULL: none. */
	const char *no_proxy;
	usec_t connect_timeout; /* 0: 10 s */
	usec_t timeout;		/* whole operation; 0: none */
	usec_t idle_timeout;	/* no byte for so long; 0: none */
	unsigned max_redirects; /* 0: not followed */
	size_t max_body_bytes;	/* of a collected body; 0: 4 MiB */
	bool accept_gzip;
	/* A kept connection may die before any byte of the answer has come. Then the request is
	 * sent again on a fresh one, unless it is a POST or says this: it may have been done. */
	bool once;
	const char *what; /* for error texts: "image of host metal3/node-1"; may be NULL */
	const char *key;  /* of the host that it is about, for the fence; NULL: of none */
};

int http_client_new(struct loop *loop, const struct http_client_options *options,
		    struct http_client **ret, struct err *err);
/* All operations are cancelled, without callbacks. */
struct http_client *http_client_free(struct http_client *c);

/* Everything in `request` is copied but tls, which must live until done. NULL and err only for a
 * malformed request. */
struct http_op *http_start(struct http_client *c, const struct http_request *request,
			   const struct http_handlers *handlers, void *data, struct err *err);
/* No callback runs after this returns. NULL is harmless. May be called inside the op's own
 * callbacks. Returns NULL. */
struct http_op *http_cancel(struct http_op *op);
void http_pause(struct http_op *op);
void http_resume(struct http_op *op);
