#pragma once
/* How ingotctl learns things: the Kubernetes API by kubeconfig, and the debug socket of an ingot on
 * this machine. Calls of the "get" kind run the loop until they have their answer. */

#include "base/err.h"
#include "kube/client.h"
#include "loop/loop.h"
#include "json/json.h"

struct http_client;
struct hostview_question;

struct hostview_options {
	/* NULL: as kubectl finds them, else that of the standalone Ingot of this machine. */
	const char *kubeconfig, *context;
	const char *ns;	   /* NULL: that of the context, else "default" */
	bool all;	   /* every namespace; ns does not count */
	const char *debug; /* socket; NULL: debug.sock beside the kubeconfig, if there is one */
};

struct hostview {
	struct loop *loop;
	struct kube_transport *transport;
	struct kube_client *client;
	struct http_client *http;
	char *ns;    /* NULL: all */
	char *debug; /* NULL: none */
};

extern const struct kube_resource hostview_hosts, hostview_records;

int hostview_open(const struct hostview_options *options, struct hostview **ret, struct err *err);
struct hostview *hostview_close(struct hostview *c);

/* What one look at the world gave. Strings in it are fit for a terminal. */
struct hostview_look {
	struct json *hosts;	/* array of BareMetalHosts, by namespace and name */
	struct json *records;	/* array */
	struct json *debug;	/* array of the engine's rows; NULL: not to be had */
	struct json *strangers; /* array: what asked for a boot and is no host's; may be NULL */
	struct err debug_err;	/* why; kind ERR_NONE: there is no socket */
};

/* name NULL: all hosts of the namespace(s), else one, of which the engine tells all it knows.
 * ERR_NOT_FOUND names the host. */
int hostview_look(struct hostview *c, const char *name, struct hostview_look *ret, struct err *err);
void hostview_look_done(struct hostview_look *l);
/* Of an array; NULL when absent. */
const struct json *hostview_find(const struct json *array, const char *ns, const char *name);
const struct json *hostview_find_debug(const struct json *array, const char *ns, const char *name);

/* One host at the debug socket, without running the loop; body NULL: not to be had. The body is
 * taken by TAKE_PTR. */
typedef void (*hostview_debug_fn)(void *data, const struct err *err, struct json **body);
struct hostview_question *hostview_debug_get(struct hostview *c, const char *ns, const char *name,
					     hostview_debug_fn done, void *data);
/* Before its answer only. Returns NULL. */
struct hostview_question *hostview_debug_cancel(struct hostview_question *q);
/* Control characters in strings, with which a peer could write anything to a terminal, become "?",
 * line ends a blank. */
void hostview_clean(struct json *tree);
