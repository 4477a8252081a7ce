#pragma once
/* The engine: takes hosts through inspection, cleaning, deployment and power changes by their BMC
 * and the agent in the boot ramdisk. It has no store of its own: what must survive a restart is one
 * record per host, which the environment keeps (in Ingot: the HostRecord object), saved before the
 * effect that it describes.
 *
 * Three sides: controllers come by the provisioner interface (prov/prov.h), which prov/engine.c
 * makes of the functions here, agents by the engine_agent_* functions (routes stand in
 * engine/agent_routes.h), the boot services ask engine_boot_find(). Core thread. */

#include "agentapi/link.h"
#include "bmc/bmc.h"
#include "loop/fence.h"
#include "loop/loop.h"
#include "net/net.h"
#include "net/policy.h"
#include "prov/host.h"
#include "json/json.h"

struct engine;

/* err NULL: stored. ERR_CONFLICT: somebody else wrote the record; the engine then drops what it
 * believed. */
typedef void (*engine_saved_fn)(void *data, const struct err *err);

/* What the engine asks of the program around it. */
struct engine_env {
	/* Stores the host's record on condition that it is the one last loaded or saved; exactly
	 * one answer. */
	void (*save)(void *data, const char *key, const char *uid, const struct json *record,
		     engine_saved_fn done, void *done_data);
	/* Something changed: ask the provisioner again. */
	void (*kick)(void *data, const char *key);
	void (*event)(void *data, const char *key, bool warning, const char *reason,
		      const char *message);
	void *data;
	struct fence fence; /* of effects on hardware and of answers to agents */
};

struct engine_timeouts {   /* 0: default */
	usec_t boot;	   /* power on → agent; 20 min */
	usec_t power;	   /* command → state changed; 120 s */
	usec_t soft_off;   /* before the hard one; 180 s */
	usec_t silence;	   /* of an agent at work, or without word of its command; 180 s */
	usec_t step;	   /* cleaning or writing, as long as the agent answers; 24 h */
	usec_t power_poll; /* idle hosts; 60 s */
};

enum { ENGINE_MEDIUM_DIGEST_SIZE = 65 };

/* Boot media: who makes and serves them. */
struct engine_media {
	/* The first part of their URLs, as this BMC reaches it: "http://192.0.2.1:6180". Borrowed
	 * until the next call; NULL: it does not. */
	const char *(*origin)(void *data, const struct bmc_address *bmc);
	/* URLs of the agents' API, each with `path` behind it, with commas between. A new string.
	 */
	char *(*agent_urls)(void *data, const char *path);
	/* The digest of the medium that has this archive (agentapi/bootconfig.h) on it, with the
	 * files that all share as they are now. */
	int (*digest)(void *data, const char *archive, size_t len,
		      char ret[ENGINE_MEDIUM_DIGEST_SIZE], struct err *err);
	/* The medium of this capability is read no more. NULL: nothing is kept of them. */
	void (*forget)(void *data, const char *capability);
	const char *ca; /* PEM, of the agents' API */
	void *data;
};

struct engine_options {
	struct loop *loop;
	const struct bmc_driver_set *drivers; /* outlives the engine */
	struct agent_link *link;	      /* likewise */
	const struct engine_media *media;     /* likewise; NULL: there are none */
	const void *secret;		      /* the installation's key, for agent tokens; copied */
	size_t secret_len;		      /* at least 32 */
	struct engine_timeouts timeouts;
	unsigned capacity;	/* hosts in busy states at a time; 0: 20 */
	unsigned boot_attempts; /* 0: 2 */
	bool allow_http_agents; /* callbacks without TLS (old ramdisks) */
	/* Hosts have their addresses from us: an agent of a host is believed only where it comes
	 * from the address of the host's boot NIC (engine_slot_set). */
	bool serves_dhcp;
	const struct net_policy *agents; /* where agents may be called; outlives it; NULL: all */
	/* Can DHCP give this address, a text of anybody's making, to a host? NULL: any. */
	int (*address_check)(void *data, const char *address, struct err *err);
	void *address_data;
	/* More places of the image at this URL, as the copies that other instances serve: agents of
	 * ours go on there when one fails. NULL-ended, borrowed until the next call; NULL: none.
	 * May be NULL: nobody serves copies. */
	const char *const *(*image_places)(void *data, const char *url);
	void *image_places_data;
	struct engine_env env;
};

struct engine *engine_new(const struct engine_options *options);
struct engine *engine_free(struct engine *e);

/* Before the first call for a host (and after ERR_CONFLICT): its record, or NULL when there is
 * none. With one that it cannot read the engine does nothing to the host, registering it fails with
 * the reason, and engine_knows() stays false until it was given another. */
void engine_load(struct engine *e, const char *key, const char *uid, const struct json *record);
bool engine_knows(const struct engine *e, const char *key);

/* Saves the record once more, as it is. Does nothing to a host that the engine does not know. */
void engine_store(struct engine *e, const char *key);

/* --- holds: hosts that are left as they are until a person releases them ---------------------- */

struct engine_hold {
	const char *id;	    /* names the hold; a release must name it, too */
	const char *reason; /* for people */
	usec_t since;	    /* wall */
};

/* Holds a host whose record is loaded: no operation, no command to its BMC, no boot of the ramdisk.
 * The hold is stored with the record, then `done` is called. False, and no call of it: the record
 * names this hold already, perhaps as one that was released, or cannot be used. */
bool engine_hold(struct engine *e, const char *key, const char *id, const char *reason,
		 engine_saved_fn done, void *data);
/* The same under a new id, unless the host is held already. */
void engine_hold_one(struct engine *e, const char *key, const char *reason);
/* Is it held? *ret is borrowed until the next call. */
bool engine_held(const struct engine *e, const char *key, struct engine_hold *ret);
unsigned engine_held_count(const struct engine *e);
/* Ends the hold when that is stored, and kicks the host. */
void engine_release(struct engine *e, const char *key);

/* What the fence (engine_env) says; key "": about no host. */
bool engine_may_act(const struct engine *e, const char *key);

/* --- what controllers ask: as in prov/prov.h, of a host whose record is loaded --- */

void engine_know(struct engine *e, const struct prov_host *host);
void engine_register(struct engine *e, const struct prov_host *host,
		     const struct prov_register *params, const char **ret_node_id,
		     struct prov_result *ret);
void engine_inspect(struct engine *e, const struct prov_host *host,
		    const struct prov_inspect *params, const struct json **ret_inventory,
		    struct prov_result *ret);
void engine_prepare(struct engine *e, const struct prov_host *host,
		    const struct prov_prepare *params, struct prov_result *ret);
void engine_provision(struct engine *e, const struct prov_host *host,
		      const struct prov_provision *params, struct prov_result *ret);
void engine_deprovision(struct engine *e, const struct prov_host *host,
			const struct prov_deprovision *params, struct prov_result *ret);
void engine_adopt(struct engine *e, const struct prov_host *host, bool retry,
		  struct prov_result *ret);
void engine_remove(struct engine *e, const struct prov_host *host, bool force,
		   struct prov_result *ret);
enum prov_power engine_power(struct engine *e, const struct prov_host *host, bool *ret_fault);
void engine_power_on(struct engine *e, const struct prov_host *host, bool force,
		     struct prov_result *ret);
void engine_power_off(struct engine *e, const struct prov_host *host, bool hard, bool force,
		      struct prov_result *ret);
bool engine_has_capacity(struct engine *e, const struct prov_host *host);

/* --- agents ----------------------------------------------------------------------------------- */

/* All three answer 503 when this process may not act: agents then ask another instance, and what is
 * believed here may be stale. */

/* Exactly once, perhaps much later: body NULL = empty. */
typedef void (*engine_answer_fn)(void *data, int status, const struct json *body);

/* addresses: MACs with commas between; node_uuid may be NULL; source: the peer's numeric address.
 */
void engine_agent_lookup(struct engine *e, const char *addresses, const char *node_uuid,
			 const char *source, engine_answer_fn answer, void *data);
/* The same of an agent that has just started and was told its node's name by its boot medium:
 * another lookup of this kind in one boot says that the machine started again. */
void engine_agent_first_lookup(struct engine *e, const char *addresses, const char *node_uuid,
			       const char *source, engine_answer_fn answer, void *data);
void engine_agent_heartbeat(struct engine *e, const char *node_uuid, const struct json *body,
			    const char *source, engine_answer_fn answer, void *data);
/* Takes body. The answer leaves when the controller has stored the data: an agent that gets none
 * posts again. */
void engine_agent_inspection(struct engine *e, struct json *body, const char *source,
			     engine_answer_fn answer, void *data);

/* The host whose agent is at that address, as our DHCP knows; NULL: none, or our DHCP does not
 * know. */
const char *engine_agent_at(const struct engine *e, const char *source);
/* Before a large body is read from there: 0, or the status of the refusal. */
int engine_agent_may_post(const struct engine *e, const char *source);

/* --- boot services ---------------------------------------------------------------------------- */

struct engine_boot {
	const char *key; /* borrowed */
	bool ramdisk;	 /* boot the deploy ramdisk; else go on to the disk */
	bool inspect;	 /* the ramdisk shall post its inventory */
	bool uefi;
	bool secure; /* its firmware may load only what is signed */
};

/* False for all MACs but those that hosts boot by. */
bool engine_boot_find(const struct engine *e, const struct net_mac *mac, struct engine_boot *ret);

/* --- boot media: who asks by this capability (the 32 hex digits of the path), from this address?
 * --- */

struct engine_medium {
	const char *key;    /* borrowed, like: */
	const char *digest; /* of what it shall be, as it was when it was inserted */
};

/* False for all but the one reader of a medium, from its insertion to the end of its boot. */
bool engine_medium_find(const struct engine *e, const char *capability, const char *peer,
			struct engine_medium *ret);
/* The archive on it: a secret, to be zeroed before it is freed. */
int engine_medium_archive(const struct engine *e, const char *key, char **ret, size_t *ret_len,
			  struct err *err);
/* Another one comes of the archive than the digest names: the boot begins anew, with a new medium.
 */
void engine_medium_stale(struct engine *e, const char *key);

/* The DHCP addresses that belong to a host's MAC, in its record: one of each family (AF_INET,
 * AF_INET6). NULL when none; borrowed. */
const char *engine_slot_get(const struct engine *e, const struct net_mac *mac, int family);
/* In a record, or asked for by a person. */
bool engine_slot_used(const struct engine *e, const char *address);
/* False: any address of the family will do. *ret NULL: what is asked for cannot be given; an event
 * has said why. */
bool engine_slot_fixed(const struct engine *e, const struct net_mac *mac, int family,
		       const char **ret);
/* The fixed address is another machine's on the wire: tells people. */
void engine_slot_taken(struct engine *e, const struct net_mac *mac, const char *address);
/* address "": forgets it. `done` exactly once, perhaps before this returns. The addresses belong to
 * the boot NIC: once that has one, the host's other NICs get none (ERR_EXISTS). */
void engine_slot_set(struct engine *e, const struct net_mac *mac, int family, const char *address,
		     engine_saved_fn done, void *data);

/* --- for people ------------------------------------------------------------------------------- */

/* All that is known of one host (docs/ctl.md has the members), NULL when unknown; one row for each
 * host, by name. No secret: neither token nor nonce nor password; URLs without userinfo and query.
 */
struct json *engine_describe(const struct engine *e, const char *key);
struct json *engine_list(const struct engine *e);
/* Somebody looks at this host: for ten seconds its progress is asked for each second. The API hears
 * no more of it than otherwise. */
void engine_watch(struct engine *e, const char *key);
/* For the host's history, which is kept in memory for people. Names and reasons are static, texts
 * copied. */
void engine_note_state(struct engine *e, const char *key, const char *from, const char *to,
		       const char *reason);
void engine_note_error(struct engine *e, const char *key, const char *state, const char *text);
/* Sets the metrics that are sums over all hosts. */
void engine_measure(const struct engine *e);
/* A file that the host with this MAC, or with this DHCP address, asked for cannot be served, for a
 * reason on our side: it shows in the host's step, and as an Event when it is a new one, which one
 * that comes again within a minute is not. mac may be NULL; others are ignored. */
void engine_boot_failed(struct engine *e, const struct net_mac *mac, const char *address,
			const char *why);
/* A machine that belongs to no host asked for a boot; `request` is static. Listed by
 * engine_strangers(). */
void engine_boot_stranger(struct engine *e, const struct net_mac *mac, const char *request);
/* Those of the last hour, an array. */
struct json *engine_strangers(const struct engine *e);
/* How far the firmware came in a boot; `stage` is static. Others are ignored. */
void engine_boot_seen(struct engine *e, const struct net_mac *mac, const char *stage);
/* What that says of the system that runs there: the boot script went out, or something that asks
 * for no boot file (the ramdisk, or the system on the disk) got its address. */
enum engine_mark { ENGINE_MARK_SCRIPT, ENGINE_MARK_SYSTEM };
void engine_boot_mark(struct engine *e, const struct net_mac *mac, enum engine_mark mark);
