#pragma once
/* Takes our finalizers out of objects that are being deleted when nothing needs them any more:
 * Secrets, HardwareData and HostRecords of hosts that are gone without a last reconcile (their own
 * finalizer was taken out by force, Ingot was down, clusterctl moved them), and HostRecords that a
 * person deletes to have a host looked at anew.
 *
 * A HostRecord is not let go while its host is being deleted, nor while its namespace is: it could
 * not be made again there, and without it the host could not be cleaned up. A host's own last
 * reconcile lets go of all that is its own; see ctrl/host/states.c. Core thread. */

#include "kube/informer.h"
#include "loop/loop.h"

struct orphans;

struct orphans_options {
	struct loop *loop;
	struct kube_client *client;
	/* Owned by the caller. hosts has an index "secret" by "namespace/name" of what they name,
	 * secrets one by owner. */
	struct kube_informer *hosts, *secrets, *hardware, *records;
};

/* Before the informers start. */
struct orphans *orphans_new(const struct orphans_options *options);
struct orphans *orphans_free(struct orphans *o);
void orphans_start(struct orphans *o); /* all informers are synced */
/* No new writes; calls drained once when none is under way. */
void orphans_stop(struct orphans *o, loop_fn drained, void *data);
