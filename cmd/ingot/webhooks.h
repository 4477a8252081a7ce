#pragma once
/* The admission webhooks of one process: listener, routes, certificates. Every replica serves them,
 * leader or not; the leader makes the certificates, unless somebody else brings them as files. Main
 * thread's loop, but for requests, which a thread of their own reads and judges. */

#include "base/options.h"
#include "kube/client.h"
#include "web/web.h"

/* Part of struct manager_options; MANAGER_WEBHOOK_ROWS fill it. */
struct webhook_options {
	const char *port; /* NULL or "0": none */
	const char *bind, *service, *configuration, *lifetime, *cert_dir;
	struct option_list names;
	enum web_tls tls_min; /* no option here */
};

#define MANAGER_WEBHOOK_ROWS                                                                       \
	MANAGER_OPTION("webhook-port", "PORT", "9443", "admission webhooks, HTTPS; 0: none",       \
		       webhook.port),                                                              \
		MANAGER_OPTION("webhook-bind", "ADDRESS", NULL,                                    \
			       "where they listen; else on all addresses", webhook.bind),          \
		MANAGER_OPTION("webhook-service", "NAME", "ingot-webhook",                         \
			       "the Service in --own-namespace that leads to them",                \
			       webhook.service),                                                   \
		MANAGER_LIST("webhook-name", "NAME",                                               \
			     "one more name or address that they are called by; may be repeated",  \
			     webhook.names),                                                       \
		MANAGER_OPTION("webhook-configuration", "NAME", "ingot",                           \
			       "the ValidatingWebhookConfiguration whose bundles are kept",        \
			       webhook.configuration),                                             \
		MANAGER_OPTION("webhook-cert-lifetime", "SECONDS", "7776000",                      \
			       "of the certificates that Ingot makes for them; they are changed "  \
			       "after two thirds",                                                 \
			       webhook.lifetime),                                                  \
		MANAGER_OPTION("webhook-cert-dir", "DIR", NULL,                                    \
			       "somebody else keeps tls.crt and tls.key there", webhook.cert_dir)

struct webhooks;

int webhooks_check(const struct webhook_options *o, struct err *err);
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
