#pragma once
/* Event recorder, core/v1 as baremetal-operator writes them, with client-go's
 * correlation: what is alike becomes a count, floods are cut. Best effort: never blocks, never
 * fails its caller. Core thread. */

#include "kube/client.h"

struct kube_recorder;

/* Whom an event is about. Borrowed during the call. */
struct kube_event_ref {
	const char *api_version; /* "metal3.io/v1alpha1" */
	const char *kind;
	const char *ns; /* "" for cluster-scoped objects: the event goes to "default" */
	const char *name;
	const char *uid;
	const char *resource_version; /* may be NULL */
};

struct kube_recorder_options {
	struct kube_client *client;	  /* its own throttle is best: floods must not delay work */
	const char *component;		  /* source.component: "metal3-baremetal-controller" */
	const char *reporting_controller; /* "metal3.io/baremetal-controller" */
	const char *instance;		  /* reportingInstance; may be NULL */
};

struct kube_recorder_stats {
	uint64_t recorded, sent, merged, dropped, failed;
	size_t waiting;
};

struct kube_recorder *kube_recorder_new(const struct kube_recorder_options *options);
/* What was not sent is lost. */
struct kube_recorder *kube_recorder_free(struct kube_recorder *r);

/* type is "Normal" or "Warning"; message is cut at 1 KiB. */
void kube_event(struct kube_recorder *r, const struct kube_event_ref *about, const char *type,
		const char *reason, const char *fmt, ...) _printf_(5, 6);
/* With `related` (spec.consumerRef), which may be NULL. */
void kube_event_related(struct kube_recorder *r, const struct kube_event_ref *about,
			const struct kube_event_ref *related, const char *type, const char *reason,
			const char *message);
/* Before the end: what waits is sent now, also what the server refused lately. Calls fn once when
 * nothing waits any more, or after `limit`. */
void kube_recorder_flush(struct kube_recorder *r, usec_t limit, loop_fn fn, void *data);
struct kube_recorder_stats kube_recorder_stats(const struct kube_recorder *r);
