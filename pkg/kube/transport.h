#pragma once
/* How the Kubernetes client reaches an API server. Two stand behind it: HTTPS
 * (kube/http_transport.c) and, in standalone mode and in the simulation, the embedded API server on
 * its own loop (apiserver/transport.c). The client above is the same for both. Core thread. */

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/err.h"

struct kube_transport;
struct kube_call; /* one request under way */

/* What changes something is sent once: when its connection breaks it has failed, although it may
 * have been done. Only the server's word that it did nothing (401) has a transport repeat it. */
struct kube_http_request {
	const char *method;
	const char *path;	  /* with query, "/api/v1/…?watch=1" */
	const char *content_type; /* NULL: no body */
	const char *accept;	  /* NULL: application/json */
	const char *body;	  /* copied */
	size_t body_len;
	bool stream;	     /* data comes in pieces until the peer or we end it */
	usec_t timeout;	     /* 0: none */
	usec_t idle_timeout; /* 0: none */
};

struct kube_http_handlers {
	/* Optional; before any data. */
	void (*head)(void *data, int status, int64_t retry_after_s);
	/* Streams only. Non-zero ends the call with ERR_PROTOCOL. */
	int (*body)(void *data, const char *bytes, size_t len);
	/* Exactly once unless cancelled; err NULL when an answer came, whatever its status. For
	 * streams, `body` is "" and err NULL says that the server ended it in order. */
	void (*done)(void *data, const struct err *err, int status, const char *body, size_t len);
};

struct kube_transport_ops {
	struct kube_call *(*start)(struct kube_transport *t,
				   const struct kube_http_request *request,
				   const struct kube_http_handlers *handlers, void *data);
	void (*cancel)(struct kube_call *call); /* no callback afterwards */
	struct kube_transport *(*free)(struct kube_transport *t);
};

/* Embedded first in each implementation. */
struct kube_transport {
	const struct kube_transport_ops *ops;
};
