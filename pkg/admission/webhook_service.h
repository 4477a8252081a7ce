#pragma once
/* The admission webhooks of one process: listener, routes, certificates. Every replica serves them,
 * leader or not; the leader makes the certificates, unless they are managed externally, as files.
 * Main thread's loop, but for requests, which a thread of their own reads and judges. */

#include "base/options.h"
#include "kube/client.h"
#include "net/net.h"
#include "web/web.h"

/* Filled by webhook_option_rows; zeroed: no webhooks. */
struct webhook_options {
	uint16_t port; /* 0: none */
	struct net_addr bind;
	const char *service, *configuration, *cert_dir;
	usec_t lifetime;
	struct option_list names;
	enum web_tls tls_min; /* no option here */
};

extern const struct option_row webhook_option_rows[];

struct webhooks;

/* `own_ns`: of Secret and Service; `watched_ns`: see webhook_new(). All is borrowed. NULL when
 * there are to be none. What fails later is logged and tried again: hosts are looked after
 * meanwhile. */
struct webhooks *webhooks_start(struct kube_client *client, const struct webhook_options *o,
				const char *own_ns, const char *watched_ns);
/* This process leads until the end. NULL is harmless, here and below. */
void webhooks_lead(struct webhooks *w);
/* It listens, or there is to be nothing that listens. */
bool webhooks_serve(const struct webhooks *w);
/* No more requests come in; those that have are in the loop, and can still be answered. */
void webhooks_close(struct webhooks *w);
struct webhooks *webhooks_free(struct webhooks *w);
