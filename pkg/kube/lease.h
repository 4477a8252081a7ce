#pragma once
/* Leader election by a Lease, with fencing, in the manner of client-go. Another's
 * lease counts as expired only when our own monotonic clock has seen it unchanged for its duration;
 * ours counts only until the start of the last successful renewal + duration - 2 s. Core thread. */

#include "kube/client.h"

struct kube_lease;

struct kube_lease_options {
	struct kube_client *client;
	const char *ns, *name;
	const char *identity;  /* "<host name>_<uuid>", another one at each start */
	usec_t duration;       /* 0: 15 s */
	usec_t renew_deadline; /* 0: 10 s; at most duration - 2 s */
	usec_t retry;	       /* 0: 2 s; below renew_deadline / 1.2 */
};

struct kube_lease_handlers {
	void (*acquired)(void *data);
	/* Not renewed in time, or taken by another: stop all work. At most once; nothing is tried
	 * afterwards. */
	void (*lost)(void *data, const struct err *why);
	/* Who leads now, ourselves included. Optional. Must not free the lease. */
	void (*leader)(void *data, const char *identity);
};

/* ERR_INVALID when the times do not fit together; only these are read. */
int kube_lease_check(const struct kube_lease_options *options, struct err *err);
/* The same check first. Starts trying at once. */
int kube_lease_new(const struct kube_lease_options *options,
		   const struct kube_lease_handlers *handlers, void *data, struct kube_lease **ret,
		   struct err *err);
/* Gives nothing back: another takes over after the duration. */
struct kube_lease *kube_lease_free(struct kube_lease *l);

bool kube_lease_held(const struct kube_lease *l);
/* To be asked before each action that changes hardware: a process that was paused may act no more,
 * whatever it believed before. */
bool kube_lease_may_act(const struct kube_lease *l);
/* False when its work stands still: no try was begun for far longer than tries are apart. Says
 * nothing about the API server, whose silence ends each try. */
bool kube_lease_alive(const struct kube_lease *l);
/* After all work has stopped: gives the lease back and calls fn once, whether that worked or not.
 * No handler is called any more. */
void kube_lease_release(struct kube_lease *l, loop_fn fn, void *data);
