#pragma once
/* The one interface between controllers and an engine that handles hardware. It knows no
 * Kubernetes, so that another engine (a simulated one, an existing Ironic) can stand in its place.
 *
 * Calls are level-triggered: a controller says again and again, at each reconcile, what it wants of
 * a host in its present state; the engine starts what is not yet under way and tells how far it is.
 * A call never blocks and never touches hardware before it has returned. When something changes,
 * the engine kicks the host and the controller asks again. A controller stores the host's state
 * before it makes the first call of that state: hardware follows the API, never the other way
 * round. Core thread. */

#include "prov/host.h"

struct provisioner;

struct provisioner_ops {
	/* For a held host, of which nothing else is asked: where it boots from, so that DHCP goes
	 * on to answer it. Touches no hardware. */
	void (*know)(struct provisioner *p, const struct prov_host *host);
	/* Makes the node known and proves that its BMC answers with these credentials: power state
	 * read. Called in every managed state at each reconcile; does nothing when nothing changed.
	 * *ret_node_id is borrowed. */
	void (*register_host)(struct provisioner *p, const struct prov_host *host,
			      const struct prov_register *params, const char **ret_node_id,
			      struct prov_result *ret);
	/* *ret_inventory: the agent's whole inspection body when done, borrowed; NULL otherwise. */
	void (*inspect)(struct provisioner *p, const struct prov_host *host,
			const struct prov_inspect *params, const struct json **ret_inventory,
			struct prov_result *ret);
	void (*prepare)(struct provisioner *p, const struct prov_host *host,
			const struct prov_prepare *params, struct prov_result *ret);
	/* Cleans if that has not been done since the last tenant, writes the image, boots the disk.
	 */
	void (*provision)(struct provisioner *p, const struct prov_host *host,
			  const struct prov_provision *params, struct prov_result *ret);
	/* Cleans and leaves the host powered off. */
	void (*deprovision)(struct provisioner *p, const struct prov_host *host,
			    const struct prov_deprovision *params, struct prov_result *ret);
	/* Takes over a host that runs its image, without touching it. */
	void (*adopt)(struct provisioner *p, const struct prov_host *host, bool retry,
		      struct prov_result *ret);
	/* Stops what is under way and forgets the node; hardware is left as it is. */
	void (*remove)(struct provisioner *p, const struct prov_host *host, bool force,
		       struct prov_result *ret);
	/* Last known power state; unknown until read. fault: the BMC has not answered for some
	 * time, be it to a look at a resting host or to an operation that waits for it. */
	enum prov_power (*power)(struct provisioner *p, const struct prov_host *host,
				 bool *ret_fault);
	void (*power_on)(struct provisioner *p, const struct prov_host *host, bool force,
			 struct prov_result *ret);
	/* hard false: asks the operating system first. */
	void (*power_off)(struct provisioner *p, const struct prov_host *host, bool hard,
			  bool force, struct prov_result *ret);
	/* Is there room to start a busy state for this host? */
	bool (*has_capacity)(struct provisioner *p, const struct prov_host *host);
};

/* First member of each engine. */
struct provisioner {
	const struct provisioner_ops *ops;
};
