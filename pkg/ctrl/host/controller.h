#pragma once
/* The BareMetalHost controller: watches hosts, their HardwareData, Secrets and records, and
 * reconciles each host that something happened to. The same for a cluster and for standalone. Core
 * thread. */

#include "ctrl/host/host.h"
#include "ctrl/shell/records.h"
#include "kube/events.h"
#include "kube/informer.h"
#include "kube/queue.h"

struct host_controller;

struct host_controller_options {
	struct loop *loop;
	struct kube_client *client; /* borrowed, as all below */
	struct kube_recorder *recorder;
	const char *ns;	      /* watched namespace; NULL: all */
	unsigned concurrency; /* 0: 8 */
	unsigned max_provisioning_retries;
	struct fence fence; /* of what the provisioner does */
	/* The caches are filled and the provisioner knows all records; reconciles begin. Once. May
	 * be NULL. */
	void (*ready)(void *data);
	void *ready_data;
	/* Hold all hosts that are there when the caches are filled; NULL: none. `held` is called
	 * once when that is stored for each; never if a record could not be stored. */
	const char *hold_id, *hold_reason;
	void (*held)(void *data);
	void *held_data;
	/* The provisioner is made after the controller, because it needs the controller's records
	 * and kicks. */
};

struct host_controller *host_controller_new(const struct host_controller_options *options);
struct host_controller *host_controller_free(struct host_controller *c);
/* What a provisioner asks of the controllers: `data` of all functions is the controller. */
void host_controller_env(struct host_controller *c, struct prov_env *ret);
/* Begins to watch; reconciles start when all caches are filled. */
void host_controller_start(struct host_controller *c, struct provisioner *prov);
/* What is waited for before the first reconcile (static text); NULL: nothing. */
const char *host_controller_waits(const struct host_controller *c);
/* Begins no reconcile any more. Reconciles that have decided make their writes, and saves of
 * records are waited for; what has decided nothing yet is left to the next process. `drained` is
 * called once when nothing is under way. Nothing here asks the provisioner any more, which may be
 * freed before.
 */
void host_controller_stop(struct host_controller *c, loop_fn drained, void *data);
/* Sets the metrics of its queue that depend on the time. */
void host_controller_measure(const struct host_controller *c);
/* When the host is looked at next, unless something happens before; monotonic, 0: not set. */
usec_t host_controller_next(const struct host_controller *c, const char *key);
