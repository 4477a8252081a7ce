#pragma once
/* Who else runs: a ConfigMap in which each instance has an entry, a JSON object under a key of its
 * own, and renews it. One patch writes ours and brings those of all others back, so the only rights
 * needed are to create ConfigMaps and to patch this one. An entry that was not renewed while ours
 * was six times is that of a dead instance: it counts no more, and whoever sees it takes it out.
 *
 * Who leads is the Lease's business and not told here: an entry says where an instance is. Core
 * thread. */

#include "kube/client.h"

struct kube_instances;

struct kube_instances_options {
	struct kube_client *client; /* without a fence: those write too that do not lead */
	const char *ns, *name;
	const char *key;	  /* of our entry; letters, digits, "-._" */
	const struct json *entry; /* what it says */
	usec_t period;		  /* between renewals; 0: 10 s */
};

/* Copies everything but the client; begins at once. */
struct kube_instances *kube_instances_new(const struct kube_instances_options *options);
/* Our entry stays, and is taken out by others. */
struct kube_instances *kube_instances_free(struct kube_instances *r);
/* The living others, in order of their keys. Entries come from the API: to be checked. */
void kube_instances_each(const struct kube_instances *r,
			 void (*fn)(void *data, const char *key, const struct json *entry),
			 void *data);
