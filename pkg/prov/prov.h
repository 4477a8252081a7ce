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

#include "loop/fence.h"
#include "prov/host.h"

struct provisioner;

/* What a provisioner asks of the controllers. */
struct prov_env {
	/* Stores the host's record on condition that it is the one last loaded or saved; exactly
	 * one answer. A member that is null is taken out; one that is not named stays as it is,
	 * because another release may know it. */
	void (*save)(void *data, const char *key, const char *uid, const struct json *record,
		     prov_saved_fn done, void *done_data);
	/* Something changed: reconcile the host. */
	void (*kick)(void *data, const char *key);
	void (*event)(void *data, const char *key, bool warning, const char *reason,
		      const char *message);
	void *data;
	struct fence fence; /* of all that leaves for hardware (leader election) */
};

struct provisioner_ops {
	/* --- records ------------------------------------------------------------------------ */

	/* Before the first call for a host (and after ERR_CONFLICT): its record, or NULL when there
	 * is none. With one that cannot be read nothing is done to the host, registering it fails
	 * with the reason, and it stays unknown until another one was loaded. */
	void (*load)(struct provisioner *p, const char *key, const char *uid,
		     const struct json *record);
	bool (*knows)(const struct provisioner *p, const char *key);
	/* Saves the record of a known host once more, as it is. */
	void (*store)(struct provisioner *p, const char *key);

	/* --- holds: hosts that are left as they are until a person releases them ------------- */

	/* Holds a host whose record is loaded. The hold is stored with the record, then `done` is
	 * called. False, and no call of it: the record names this hold already, perhaps as one that
	 * was released, or cannot be used. */
	bool (*hold)(struct provisioner *p, const char *key, const char *id, const char *reason,
		     prov_saved_fn done, void *data);
	/* The same under a new id, unless the host is held already. */
	void (*hold_one)(struct provisioner *p, const char *key, const char *reason);
	/* Is it held? *ret is borrowed until the next call. */
	bool (*held)(const struct provisioner *p, const char *key, struct prov_hold *ret);
	/* Ends the hold when that is stored, and kicks the host. */
	void (*release)(struct provisioner *p, const char *key);

	/* --- work ---------------------------------------------------------------------------- */

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

	/* --- for people --- */

	/* For the host's history. Names and reasons are static, texts copied. */
	void (*note_state)(struct provisioner *p, const char *key, const char *from, const char *to,
			   const char *reason);
	void (*note_error)(struct provisioner *p, const char *key, const char *state,
			   const char *text);
	/* All that is known of one host, NULL when unknown; one row for each host; machines that
	 * asked for a boot and belong to no host. New trees without secrets (docs/ctl.md). */
	struct json *(*describe)(const struct provisioner *p, const char *key);
	struct json *(*list)(const struct provisioner *p);
	struct json *(*strangers)(const struct provisioner *p);
	/* Somebody looks at this host: its progress is asked for more often for a while. */
	void (*watch)(struct provisioner *p, const char *key);
};

/* First member of each engine. */
struct provisioner {
	const struct provisioner_ops *ops;
};
