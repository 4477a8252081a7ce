#pragma once
/* Keeps the webhook's certificates: in a Secret that all replicas read and the leader writes, and
 * the CAs in the caBundle of the ValidatingWebhookConfiguration. See certs_plan.h for the order.
 * Core thread. */

#include "crypt/crypt.h"
#include "kube/client.h"

struct certs;

struct certs_options {
	struct kube_client *client;
	const char *ns, *secret;   /* where the Secret is */
	const char *configuration; /* name of the ValidatingWebhookConfiguration */
	const char *names;	   /* DNS names and addresses of the webhook, with commas */
	usec_t lifetime;	   /* of a certificate; it is renewed after two thirds */
	/* Another pair is to be served, borrowed during the call. */
	void (*serve)(void *data, const struct crypt_pair *pair);
	void *data;
};

/* Reads, and serves what others have made. Options are copied, what they point to is borrowed. */
struct certs *certs_new(const struct certs_options *options);
/* From now on this process also makes, renews and publishes; it leads until certs_free. */
void certs_lead(struct certs *c);
struct certs *certs_free(struct certs *c);
