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

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

struct json;
struct provisioner;

enum boot_mode { BOOT_UEFI, BOOT_UEFI_SECURE, BOOT_LEGACY };
enum prov_power { PROV_POWER_UNKNOWN, PROV_POWER_OFF, PROV_POWER_ON };
enum prov_cleaning { PROV_CLEAN_METADATA, PROV_CLEAN_DISABLED };

/* A host as its controller knows it. Everything is borrowed during a call; the engine copies what
 * it keeps. */
struct prov_host {
	const char *key; /* "namespace/name" */
	const char *uid; /* the object's UID */
	const char *bmc_address;
	bool bmc_insecure; /* do not verify the BMC's certificate */
	const char *username,
		*password;	  /* NULL when the credentials are not to be had (deletion) */
	const char *boot_mac;	  /* "" when not given */
	bool power_only;	  /* it is never booted by us: no boot_mac is needed */
	const char *dhcp_address; /* the one that boot_mac shall have; NULL: any */
	bool rests_off;		  /* it is to be off, and was seen off */
	enum boot_mode boot_mode;
	enum prov_cleaning cleaning;
	const struct json *root_hints; /* in effect, in the grammar of rootDeviceHints; NULL: none,
					  the agent chooses */
	/* root_hints are a default that nothing asked for: the machine's only disk will do, too. */
	bool root_hints_default;
};

enum prov_outcome {
	PROV_DONE,    /* the goal is reached */
	PROV_RUNNING, /* under way; the engine kicks when it goes on */
	PROV_FAILED,  /* gave up: `error` is for people and the host's status */
};

struct prov_result {
	enum prov_outcome outcome;
	bool started;	/* this call started or changed something */
	usec_t requeue; /* ask again at the latest after so long; 0: only when kicked */
	/* PROV_FAILED: what failed, where, and what to do; PROV_RUNNING: what holds it up, if
	 * that has lasted for a while. */
	char error[512];
	bool passing; /* PROV_FAILED: ends by itself, with a kick; to be told once */
};

struct prov_register {
	bool credentials_changed;
	bool retry; /* after a failure: try again */
	/* The host has been registered before, so BMC and boot MAC address cannot be others now:
	 * that would be another machine. They can after remove() with force, and a MAC address by
	 * which nothing has booted can in any case. */
	bool settled;
	bool leaving; /* it is being deleted: where it boots from is of no interest any more */
};

struct prov_inspect {
	bool retry;
	bool refresh;	   /* inspect again although data exist */
	bool force_reboot; /* abort a ramdisk that is waited for */
};

struct prov_prepare {
	bool retry;
};

struct prov_image {
	const char *url; /* "" = none */
	const char *checksum;
	const char *checksum_type;
	const char *format; /* "" = by content */
};

/* Contents of the config drive: NULL members are left out. JSON texts for metadata and network
 * data; user data are any bytes. */
struct prov_config_drive {
	const char *meta_data;
	const char *network_data;
	const void *user_data;
	size_t user_data_len;
};

struct prov_provision {
	struct prov_image image;
	struct prov_config_drive config_drive;
	bool retry;
	bool force_reboot;
};

struct prov_deprovision {
	bool retry;
};

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
