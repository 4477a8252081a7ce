#pragma once
/* Shared by the files of pkg/http only: client.c drives curl's multi handle on the loop, op.c is
 * one request from start to end, setup.c turns a request into curl's options, errors.c finds words.
 */

#include <curl/curl.h>

#include "base/list.h"
#include "base/str.h"
#include "http/http.h"

enum {
	EASY_POOL = 16,		       /* idle easy handles kept: 5.6 KB each */
	HEAD_MAX = 256 * 1024,	       /* all header lines of one answer */
	BODY_MAX = 4 * 1024 * 1024,    /* http_request.max_body_bytes 0 */
	REDIRECT_BODY_MAX = 64 * 1024, /* read over to keep the connection; more is cut off */
};

struct http_client {
	struct loop *loop;
	CURLM *multi;
	struct timer timer; /* curl's one timeout */
	char *user_agent;
	const struct net_policy *policy;
	struct fence fence;
	struct list ops; /* in the multi handle */
	struct list
		pending;   /* started inside a curl call: curl refuses to add them before it ends */
	struct list dying; /* cancelled inside a curl call: removed when it ends */
	struct list resuming;
	struct timer resume_timer;
	struct list socks;
	bool in_curl; /* callbacks of curl may be running */
	CURL *pool[EASY_POOL];
	unsigned pool_count;
};

/* Why we ended a transfer ourselves. */
enum stop {
	STOP_NONE,
	STOP_HANDLER,  /* head or body returned non-zero */
	STOP_REDIRECT, /* its body is too long to read over */
	STOP_BODY_MAX,
	STOP_HEAD_MAX,
	STOP_DEADLINE,
	STOP_IDLE,
	STOP_FENCE, /* the fence said no */
	STOP_PIN,   /* the certificate is another one */
};

struct http_op {
	struct list node;
	struct list resume_node; /* on client->resuming */
	struct http_client *client;
	CURL *easy;
	bool in_multi;
	struct http_handlers handlers;
	void *data;

	/* The request; after a redirect what is left of it. */
	char *method;
	CURLU *url;  /* without userinfo */
	char *shown; /* for texts: without userinfo and query */
	char *host;  /* for texts */
	char *what, *key;
	struct curl_slist *headers; /* credentials included: zeroed at release */
	struct curl_slist *connect_to;
	char *host_header;
	char *body;
	size_t body_len, body_sent;
	bool resend; /* the body may be sent a second time on a fresh connection */
	const struct http_tls *tls;
	bool same_origin; /* no redirect has led to another host yet */
	char *proxy, *no_proxy, *unix_socket;
	usec_t connect_timeout, timeout, idle_timeout;
	unsigned max_redirects, redirects;
	size_t max_body;
	bool accept_gzip;

	/* The answer. */
	struct http_response response;
	char *content_type, *location, *etag, *content_range;
	struct strbuf collected;
	size_t head_bytes, skipped;
	bool head_done, redirecting;

	/* Progress. */
	struct timer timer; /* deadline or idle, whichever comes first */
	usec_t deadline, last_byte;
	bool started; /* connected, request on its way */
	bool paused;
	bool cancelled, finishing;
	enum stop stop;
	int stop_code;
	struct err denied; /* the policy's word on an address that may not be connected to */
	char curl_text[CURL_ERROR_SIZE];
};

/* --- op.c --- */
struct http_op *http_op_new(struct http_client *c, const struct http_request *request,
			    struct err *err);
struct http_op *http_op_free(struct http_op *op);
/* The transfer has ended, for curl's reason or ours; op is gone afterwards, or on its way again. */
void http_op_complete(struct http_op *op, CURLcode code);
void http_op_arm_timer(struct http_op *op);
size_t http_op_on_header(char *line, size_t size, size_t n, void *data);
size_t http_op_on_body(char *bytes, size_t size, size_t n, void *data);
size_t http_op_on_read(char *out, size_t size, size_t n, void *data);
int http_op_on_seek(void *data, curl_off_t offset, int origin);
/* The fence: false ends the operation. */
bool http_op_may_send(struct http_op *op);
int http_op_on_request(void *data, char *peer, char *local, int peer_port, int local_port);

/* --- setup.c --- */
int http_setup_request(struct http_op *op, const struct http_request *request, struct err *err);
/* Gives the easy handle all options; again after each redirect. */
int http_setup_easy(struct http_op *op, struct err *err);
/* Turns the op towards response.location. */
int http_setup_redirect(struct http_op *op, struct err *err);
struct curl_slist *http_setup_free_headers(struct curl_slist *list);

/* --- client.c --- */
CURL *client_take_easy(struct http_client *c);
void http_client_give_easy(struct http_client *c, CURL *easy);
void http_client_add(struct http_op *op);
void http_client_remove(struct http_op *op);

/* --- errors.c --- */
void http_op_error(const struct http_op *op, CURLcode code, struct err *ret);
