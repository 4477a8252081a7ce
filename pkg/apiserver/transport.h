#pragma once
/* kube_transport to an embedded API server: no socket, no TLS, the client above unchanged. The
 * client lives on one loop, the server on its own (the same one in the simulation); requests and
 * answers go between them as posted messages. */

#include "apiserver/apiserver.h"
#include "kube/transport.h"

struct apiserver_transport_options {
	struct loop *loop;	  /* the client's */
	struct loop *server_loop; /* the server's */
	struct apiserver *server;
	const char *user; /* NULL: "system:ingot" */
};

/* Released by transport->ops->free(), which cancels what is under way. The server may be freed
 * when, after that, its loop has run what was posted. */
struct kube_transport *apiserver_transport_new(const struct apiserver_transport_options *options);
