#pragma once
/* The engine's inside: one struct node per host, one operation at a time on it. Not for other
 * modules.
 *
 * index.c     look-ups by what several nodes may have
 * macs.c      look-ups by MAC
 * node.c      the life of nodes and of the engine
 * nodes.c     finding a node, its time, whom to tell; calls no other file
 * saves.c     saving of records, before what they describe
 * records.c   loading of records
 * state.c     the node state machine
 * op.c        operations, and the runner that takes a node through their plans
 * plan.c      plans: lists of steps, as data in the record
 * steps/      what each step does, and the tables of steps and plans
 * power.c     asking the BMC
 * boot.c      the boot of the ramdisk, and what the boot services see of it
 * medium.c    the boot medium of a host: how it boots, what the medium says, who may read it
 * addresses.c MACs and the DHCP address
 * agent.c     agents' side: lookup, heartbeat, inspection
 * command.c   asking the agent
 * image.c     the image, of which the record keeps no secret
 * provision.c what controllers ask
 * describe.c  what people see of it
 * history.c   what happened lately
 * hold.c      hosts that are left as they are until a person releases them
 * token.c     tokens of agents
 * strangers.c machines that asked for a boot and belong to no host
 */

#include "base/fsm.h"
#include "base/log.h"
#include "base/map.h"
#include "engine/engine.h"
#include "engine/history.h"
#include "engine/index.h"
#include "engine/macs.h"
#include "engine/plan.h"
#include "engine/record.h"
#include "engine/strangers.h"
#include "engine/token.h"

struct node;
struct node_ticket;

/* n NULL: what was to be stored never will be. */
typedef void (*node_saved_fn)(void *data, struct node *n);

/* Ironic's, all of them. `used` in the table says which of them the engine enters. */
enum node_state {
	NODE_ENROLL,
	NODE_VERIFYING,
	NODE_MANAGEABLE,
	NODE_INSPECTING,
	NODE_INSPECT_WAIT,
	NODE_INSPECT_FAILED,
	NODE_ADOPTING,
	NODE_ADOPT_FAILED,
	NODE_CLEANING,
	NODE_CLEAN_WAIT,
	NODE_CLEAN_HOLD,
	NODE_CLEAN_FAILED,
	NODE_AVAILABLE,
	NODE_DEPLOYING,
	NODE_DEPLOY_WAIT,
	NODE_DEPLOY_HOLD,
	NODE_DEPLOY_FAILED,
	NODE_ACTIVE,
	NODE_DELETING,
	NODE_ERROR, /* deprovisioning failed */
	NODE_RESCUING,
	NODE_RESCUE_WAIT,
	NODE_RESCUE,
	NODE_RESCUE_FAILED,
	NODE_UNRESCUING,
	NODE_UNRESCUE_FAILED,
	NODE_SERVICING,
	NODE_SERVICE_WAIT,
	NODE_SERVICE_HOLD,
	NODE_SERVICE_FAILED,
	_NODE_STATE_MAX,
};

enum op_kind {
	OP_NONE,
	OP_VERIFY,
	OP_INSPECT,
	OP_DEPLOY,
	OP_UNDEPLOY,
	OP_POWER_ON,
	OP_POWER_OFF,
	OP_SOFT_OFF,
	_OP_MAX
};

enum step_result { STEP_DONE, STEP_WAIT, STEP_FAILED };

enum step_id {
	STEP_END, /* ends the rows of a plan */
	STEP_VERIFY,
	STEP_FIND_AGENT,
	STEP_POWER_OFF,
	STEP_SECURE_BOOT,
	STEP_BOOT_NETWORK,
	STEP_INSERT_MEDIA,
	STEP_BOOT_MEDIA,
	STEP_BOOT_HTTP,
	STEP_POWER_ON,
	STEP_WAIT_INVENTORY,
	STEP_WAIT_AGENT,
	STEP_EJECT_MEDIA,
	STEP_CHOOSE_DISK,
	STEP_CLEAN,
	STEP_WRITE,
	STEP_BOOT_ENTRY,
	STEP_BOOT_DISK,
	STEP_AGENT_OFF,
	STEP_START_DISK,
	STEP_FINAL_OFF,
	STEP_SOFT_OFF,
	STEP_AGENT, /* any other step of an agent: what it is stands in the plan */
	_STEP_MAX
};

/* What happens to a host while a step runs, and is of interest to some. */
enum step_note {
	STEP_NOTE_HEARTBEAT,   /* of its agent */
	STEP_NOTE_WATCHED,     /* somebody looks at the host */
	STEP_NOTE_BMC_DROPPED, /* the question to the BMC ended unanswered */
};

struct step {
	const char *interface; /* Ironic's, whose kind of step it is */
	const char *name;      /* for people; no plan has two of one name */
	/* Before the record is saved for this step: what is about to be. Not called when the step
	 * is resumed. */
	void (*enter)(struct node *n);
	/* Looks what is the case and does what is missing; called again whenever something changed.
	 */
	enum step_result (*run)(struct node *n, struct err *err);
	void (*note)(struct node *n, enum step_note note); /* NULL: nothing is of interest */
	size_t state_size;     /* of what the step keeps in op.state, zeroed when it begins */
	size_t timeout_offset; /* of a usec_t in struct engine_timeouts */
	const char *waits_for; /* for the message of a time-out */
	bool needs_agent;      /* an earlier step has found one */
	bool boots_again;      /* after a time-out back to STEP_POWER_OFF, boot_attempts times */
	/* Of a step that is the agent's; of STEP_AGENT the plan says all of it. */
	const char *command;   /* "extension.command" */
	const char *plan_name; /* the agent's name of the step, in plans; NULL: `name` */
	int priority;
	const char *doing; /* for messages: "while doing it" */
	/* What the command is sent with; NULL: the step as the plan has it. */
	struct json *(*params)(struct node *n, struct err *err);
	void (*done)(struct node *n); /* the command has succeeded; NULL: nothing is noted */
	const char *failed;	      /* in front of the error; NULL: nothing */
};

/* A question to the BMC or the agent. Errors are kept by err_keep(): there are as many nodes as
 * hosts. */
enum ask_state { ASK_IDLE, ASK_RUNNING, ASK_ANSWERED, ASK_FAILED };

struct node_op {
	enum op_kind kind;
	struct plan plan;  /* the record's, of operations that it tells of */
	bool entered;	   /* the step's record is written, perhaps not stored yet */
	bool resumed;	   /* another process began the step */
	void *state;	   /* the entered step's own (step.state_size); NULL: it has none */
	usec_t deadline;   /* of the step, monotonic; 0: it has not run yet */
	usec_t not_before; /* the step rests until then */
	unsigned failures; /* of BMC or agent in this step, in a row */
	usec_t good_at;	   /* the BMC's last good answer in this step, or the step's begin */
	bool fault;	   /* none for so long that it is reported */
	int64_t attempt;
	bool agent_found; /* a running agent serves: no boot needed */
	struct err *last; /* the last passing trouble, for the message of a time-out */
};

struct node_progress {
	uint64_t bytes_done, bytes_total; /* total 0: unknown */
	uint64_t bytes_per_second;
};

struct node_ask {
	enum ask_state state;
	uint64_t serial; /* answers to earlier questions are dropped */
	struct err *err; /* when it failed */
};

struct pending_answer {
	engine_answer_fn fn;
	void *data;
};

/* Which of the rows of an operation make its plan. */
struct plan_choice {
	enum bmc_boot_method method;
	bool medium; /* one may stand in a slot of the BMC */
	bool secure; /* Secure Boot is to be looked at */
};

/* What the controller said last of the host (provision.c). */
struct node_spec {
	char *boot_mac;	    /* as it was said; NULL: not yet, "": none */
	struct net_mac mac; /* the same, when has_mac */
	bool has_mac;
	enum boot_mode boot_mode;
	enum prov_cleaning cleaning;
	bool leaving;		    /* the host is being deleted */
	struct json *root_hints;    /* in the agent's grammar */
	bool root_hints_default;    /* the machine's only disk will do, too */
	const char *root_hints_why; /* for people; static */
	struct json *config_drive; /* member names → texts, user_data in base64; while a deployment
				      runs */
	/* As the spec has them; likewise. */
	char *image_url, *image_checksum;
	char *network_data;	  /* for the ramdisk, JSON; NULL: none */
	char *network_data_error; /* it cannot be had: why; NULL: it can, or there is none */
};

enum { ENGINE_FAMILIES = 2 };

/* How it is known on the provisioning network (addresses.c). */
struct node_net {
	char *fixed; /* the DHCP addresses that it shall have, as the host says it; NULL: any */
	char *fixed_of[ENGINE_FAMILIES]; /* of IPv4, IPv6; NULL: any */
	char *fixed_error;		 /* why it cannot; NULL: it can */
	struct index_entry stored_place[ENGINE_FAMILIES],
		fixed_place[ENGINE_FAMILIES]; /* in engine.slots */
	struct net_mac *nics;		      /* known by the last inventory that was stored */
	size_t nic_count;
};

/* Its BMC and its power (power.c). */
struct node_power {
	char *address, *username, *password; /* from the latest call */
	char *ca, *pin;			     /* likewise; NULL: none */
	bool insecure;
	struct bmc *bmc;
	/* As it was opened. */
	bool open_insecure;
	char *open_ca, *open_pin;
	struct index_entry place; /* in engine.bmcs */
	struct node_ask ask;
	uint64_t ticket;	  /* of the last question, which may still be under way */
	bool verified;		  /* the BMC has answered with these settings */
	bool judged;		  /* what it said first was held against the record */
	struct err *verify_error; /* the last verification failed with it */
	enum prov_power state;
	bool fresh;		/* read in this step */
	char *media_url;	/* the last answer's; NULL: the slot was empty */
	bool secure_boot;	/* likewise */
	unsigned read_failures; /* of the idle poll, in a row */
	struct err *error;	/* a power operation failed, not yet told */
};

/* Its record on the way to the API and back (saves.c). */
struct node_save {
	bool running;	  /* the record is not stored as it is now; nothing goes on until it is */
	bool again, lost; /* lost: another writer; wait for engine_load */
	struct err *unreadable; /* lost because of its record, which must not be written over */
	/* record.serial of the save under way, and of the last that this process knows stored. */
	int64_t sent_serial, stored_serial;
	uint64_t question;
	unsigned failures; /* in a row */
	struct err *error; /* of the last one */
	struct timer timer;
	struct {
		node_saved_fn fn;
		void *data;
	} waiter; /* at most one: lookups are refused while a record is being saved */
};

/* The agent that the record names (agent.c, command.c). */
struct node_agent {
	struct node_ask ask;
	struct agent_call *call;
	struct json *answer;
	usec_t seen;   /* monotonic; 0: not in this life of the process */
	bool rebooted; /* the machine looked itself up like a new one in the middle of a boot */
};

/* What an agent has posted (agent.c). */
struct node_inspection {
	struct json *inventory;
	struct pending_answer pending; /* held until the controller has stored the data */
	struct timer timer;
};

enum { BOOT_TOLD_MAX = 4 };

struct boot_told {
	char *text;
	usec_t until;
};

/* The boot that the record names, as the boot services saw it (boot.c). */
struct node_boot {
	struct list unheard; /* of engine.unheard; else on its own */
	const char *stage;   /* static */
	usec_t stage_at;     /* wall */
	/* Is boot.nonce on record as it is? A machine may be given the boot only then; what is
	 * saved afterwards does not matter. `sent`: the save under way has it. */
	bool stored, sent;
	char *trouble;	       /* why a file of this boot could not be served; NULL: all could */
	char *network_trouble; /* what its ramdisk could not apply of the network data; NULL: told
				* of nothing */
	/* Troubles that were told, each until it has not been met for a minute. The peer chooses
	 * what it asks for, so more than these make neither Events nor writes of the record. */
	struct boot_told told[BOOT_TOLD_MAX];
	/* Monotonic, 0: not seen. The script went out; then the ramdisk got its address; a system
	 * from the disk did. */
	usec_t script_at, ramdisk_at, system_at;
	bool watched; /* this process began that boot, so it has seen all of it */
};

/* The medium that the record names (medium.c). */
struct node_medium {
	char *capability; /* of its URL, in engine.media; a secret; NULL: none */
	bool counted;	  /* in engine.medium_boots */
	bool stale;	  /* it cannot be made as it was inserted */
	char *reader;	  /* the BMC's address; NULL: not known yet */
	bool resolving;
	struct err *error; /* its name cannot be resolved */
};

struct node {
	struct engine *engine;
	char *key;
	char *uid;

	enum node_state state;
	struct node_record record;
	bool held; /* engine_hold(); stays until the release is stored */
	struct node_op op;
	struct timer wake; /* deadline or rest of the step; idle: the power poll */

	struct node_spec spec;
	struct node_net net;
	struct node_power power;
	struct node_save save;
	struct node_agent agent;
	struct node_inspection inspection;
	struct node_boot boot;
	struct node_medium medium;

	struct node_progress progress;
	usec_t progress_stored;
	usec_t watched_until; /* somebody looks: progress is asked for each second */
	struct history history;
};

/* Outlives the engine while answers to its questions are under way. */
struct engine_anchor {
	struct engine *engine; /* NULL: gone */
	unsigned refs;
};

void engine_anchor_unref(struct engine_anchor *a);

struct engine {
	struct engine_anchor *anchor;
	struct engine_options options;
	struct map nodes; /* key → struct node */
	struct macs macs;
	struct map uids;       /* UID → struct node */
	struct map slots;      /* DHCP address, in a record or fixed → struct index_entry */
	struct map media;      /* capability → struct node */
	unsigned medium_boots; /* nodes whose ramdisk comes, or came, by a medium */
	struct map bmcs;       /* numeric address of an open BMC → struct index_entry */
	/* Nodes whose boot is on record, and whose MAC no controller has named yet. */
	struct list unheard;
	struct strangers strangers;
	struct log_paces refused; /* requests of agents that are not believed */
	unsigned busy;		  /* nodes in an operation that counts for capacity */
	bool ending;		  /* what is under way is left to the next process */
	unsigned held;		  /* nodes that are held */
	uint64_t next_serial;
};

/* --- node.c ----------------------------------------------------------------------------------- */

struct node *node_find(const struct engine *e, const char *key);
struct node *node_make(struct engine *e, const char *key, const char *uid);
struct node *node_free(struct node *n);
/* With the end of the ramdisk that knew it. */
void node_forget_old_uid(struct node *n);
/* What an asynchronous question carries instead of a pointer to the node. */
struct node_ticket *node_ticket_new(struct node *n, uint64_t serial);
/* The node, if it is still the same one, else NULL. Frees the ticket. */
struct node *node_ticket_take(struct node_ticket *t, uint64_t *ret_serial);
void node_kick(struct node *n);
/* Forgets what was asked before and its error. */
void node_ask_begin(struct node_ask *ask, enum ask_state state, uint64_t serial);
void node_event(struct node *n, bool warning, const char *reason, const char *fmt, ...)
	_printf_(4, 5);
/* After each change of n->power.bmc. */
void node_index_bmc(struct node *n);
/* After each change of n->record.boot.nonce, spec.boot_mac or save.lost: is it one of
 * engine.unheard? */
void node_note_unheard(struct node *n);
usec_t node_now(const struct node *n);
usec_t node_wall(const struct node *n);

/* --- saves.c ---------------------------------------------------------------------------------- */

/* The record could not be stored several times in a row; NULL: all is well, or it may yet be. */
const struct err *node_save_trouble(const struct node *n);
/* Saves the record; op_advance() runs when it is stored. */
void node_save(struct node *n);
/* The same, and tells fn. */
void node_save_for(struct node *n, node_saved_fn fn, void *data);
/* Tells whoever waits that the record is stored, or never will be. */
void node_tell_saved(struct node *n, bool stored);

/* --- addresses.c ------------------------------------------------------------------------------ */

/* NULL: nobody's; text that is no MAC is nobody's either. */
struct node *engine_by_mac(const struct engine *e, const struct net_mac *mac);
struct node *engine_by_mac_text(const struct engine *e, const char *mac);
/* "" : none. */
void node_take_boot_mac(struct node *n, const char *mac);
/* Is it the NIC that the host boots by? */
bool node_boots_by(const struct node *n, const struct net_mac *mac);
/* Before the node goes. */
void node_drop_macs(struct node *n);
/* The NICs of n->inspection.inventory become the host's, in place of those of the one before. */
void node_take_nics(struct node *n);
/* After each change of n->record.dhcp, net.fixed_of or net.fixed_error. */
void node_index_slots(struct node *n);
void node_leave_slots(struct node *n); /* before it goes */
/* "192.0.2.1", "2001:db8::1", or one of each with a comma; NULL: any will do. */
void node_take_fixed_address(struct node *n, const char *address);

/* --- boot.c ----------------------------------------------------------------------------------- */

/* The record names no boot any more: the ramdisk, if one runs, is about to end and its token with
 * it. */
void node_no_boot(struct node *n);
/* The record names a boot for the operation that runs. */
void node_new_boot(struct node *n);
/* What went wrong with the boot files is forgotten. */
void node_forget_boot_trouble(struct node *n);
/* Is its ramdisk one that was booted to be inspected? */
bool node_inspects(const struct node *n);

/* --- medium.c --------------------------------------------------------------------------------- */

/* How the host gets its ramdisk: as its address asks, if its driver and this installation can. */
int node_boot_method(const struct node *n, const struct bmc_address *address, enum boot_mode mode,
		     enum bmc_boot_method *ret, struct err *err);
/* The same, of the address that the node was told last, and whether a medium may stand in its BMC.
 */
int node_plan_choice(const struct node *n, struct plan_choice *ret, struct err *err);
/* Did, or does, its ramdisk come by a medium? */
bool node_by_medium(const struct node *n);
/* After each change of n->record.media or record.boot. */
void node_note_medium(struct node *n);
/* Before the node goes. */
void node_drop_medium(struct node *n);
/* Makes the record name a medium for its boot, which is then to be saved. */
int node_make_medium(struct node *n, enum bmc_boot_method method, struct err *err);
void node_forget_medium(struct node *n);
/* The URL of the one that the record names; a secret. A new string. */
char *node_medium_url(const struct node *n);
/* Peers quote URLs that they were given. */
void node_mask_medium(const struct node *n, struct err *err);
/* The address that the BMC will ask from is looked up. False: not known yet, op_advance() follows.
 */
bool node_know_reader(struct node *n);

/* --- state.c ---------------------------------------------------------------------------------- */

struct node_state_info {
	const char *name; /* as Ironic calls it */
	enum op_kind op;  /* the operation that runs in it; OP_NONE: resting */
	bool used;	  /* some operation enters it */
	unsigned next;	  /* bits of allowed next states */
};

extern const struct fsm node_fsm;
const struct node_state_info *node_state_info(enum node_state s);
/* -EINVAL, also for a state that is not used: what it means for the machine is not known. */
int node_state_parse(const char *name, enum node_state *ret);
bool node_may_go(const struct node *n, enum node_state next);
/* The only way to change n->state: checks, stamps, logs. Does not save. */
void node_set_state(struct node *n, enum node_state next);

/* --- op.c ------------------------------------------------------------------------------------- */

struct op_info {
	const char *name;
	enum node_state during, after, failed; /* _NODE_STATE_MAX: state stays */
	bool counts;			       /* for capacity */
	/* With a BMC in trouble; then it is told, and the controller tries again with growing
	 * distance. 0: until the step's deadline. */
	usec_t patience;
};

const struct op_info *op_info(enum op_kind kind);
/* All series of operations and steps, as 0. */
void op_preset_metrics(void);
const struct step *op_step(const struct node *n); /* the running one, or NULL */
void op_start(struct node *n, enum op_kind kind);
/* After a restart: goes on with the step of the record; from its beginning if that is not known. */
void op_resume(struct node *n, enum op_kind kind);
/* The same, of an operation that is found to be under way without a record of it. */
void op_resume_at(struct node *n, enum op_kind kind, enum step_id step);
void op_abort(struct node *n); /* without any effect on hardware */
/* A machine that is waited for is booted once more, as if for the first time. */
void op_boot_again(struct node *n, const char *why);
/* Ends the running operation with an error. */
void op_fail(struct node *n, const struct err *err);
void op_advance(struct node *n);
/* Tells the step that runs, if one does. */
void op_note(struct node *n, enum step_note note);
/* Steps: come again after so long. */
enum step_result step_rest(struct node *n, usec_t delay);
/* Steps: the BMC has answered well. */
void step_good(struct node *n);
/* Steps: a passing failure; rests with growing delays, or fails when repeating cannot help. */
enum step_result step_trouble(struct node *n, const struct err *trouble, struct err *err);

/* --- describe.c ------------------------------------------------------------------------------- */

/* Why nothing has come of the boot that a step waits for: the last trouble, a boot file that could
 * not be served, silence of its MAC. NULL: nothing is known to be wrong; else freed by the caller.
 */
char *node_trouble(const struct node *n);

/* --- steps/table.c ---------------------------------------------------------------------------- */

extern const struct step steps[_STEP_MAX];
/* What runs a step of a plan; NULL: this release does not know it. */
const struct step *step_find(const struct plan_step *p);
/* For people: of a step in a plan. "" when it is not known. */
const char *step_name(const struct plan_step *p);

/* Of hosts that a row is for. */
enum plan_when {
	WHEN_ALWAYS,
	WHEN_NETWORK, /* booted by network */
	WHEN_MEDIA,
	WHEN_HTTP,
	WHEN_MEDIUM, /* either of the two, or a medium may stand in a slot */
	WHEN_SECURE, /* Secure Boot is to be switched on, or off again */
};

struct plan_row {
	enum step_id step;
	enum plan_unless unless;
	enum plan_when when;
};

/* What the operation's plan is made of, up to STEP_END; not for OP_NONE. */
const struct plan_row *plan_rows(enum op_kind kind);
/* The operation's plan for such a host, at its first step. */
void plan_build(enum op_kind kind, const struct plan_choice *how, struct plan *ret);
/* What the step waits for, for people. */
const char *step_waits_for(const struct node *n, const struct step *s);
/* Has the step nothing to do? */
bool plan_idle(const struct node *n, const struct plan_step *p);
/* Goes to the step with that name for people; false: it has none, and stays where it is. */
bool plan_seek(struct plan *p, const char *name);
/* May the runner follow it? A plan that is read was perhaps not written by us. */
int plan_check(const struct plan *p, struct err *err);
/* Of a record that was read, in whose state that operation runs: checks its plan, and makes the one
 * that records of earlier releases do not have. */
int plan_take(struct node_record *r, enum op_kind kind, struct err *err);

/* --- power.c ---------------------------------------------------------------------------------- */

/* Opens the BMC by the node's settings; with other credentials only, it stays open. The question
 * under way ends unanswered. */
int node_open_bmc(struct node *n, struct err *err);
/* Is it the BMC's own refusal of the credentials? A certificate that is not trusted ends a
 * connection before anything was said, and has no code. */
bool node_bmc_refuses(const struct err *err);
void node_ask_power(struct node *n, bool urgent);
void node_ask_action(struct node *n, enum bmc_action action);
/* http_uri: with BMC_DEVICE_UEFI_HTTP. */
void node_ask_boot(struct node *n, enum bmc_device device, bool persistent, char *http_uri);
/* Of media and Secure Boot; the answer stands in n->power. */
void node_ask_bmc(struct node *n, const struct bmc_request *request);
/* Idle hosts: read the power state now; some time from now. */
void node_poll_power(struct node *n);
void node_schedule_poll(struct node *n);

/* --- command.c -------------------------------------------------------------------------------- */

void node_ask_agent(struct node *n, const char *method, const char *path, struct json *body,
		    usec_t timeout);
void node_forget_agent(struct node *n);
/* What the ramdisk knows the host by: its UID at the time of that boot, which a move changes. */
const char *node_agent_uid(const struct node *n);
/* Agent token of the boot that the record names; "" when none. */
void node_token(const struct node *n, char out[TOKEN_TEXT_MAX]);
struct token_key node_token_key(const struct node *n);
/* The `node` that commands carry. */
struct json *node_for_agent(const struct node *n);

/* --- image.c ---------------------------------------------------------------------------------- */

/* Is it the one that the record names? */
bool node_same_image(const struct node *n, const struct prov_image *image);
/* Another one; does not save. */
void node_take_image(struct node *n, const struct prov_image *image);
/* The one that the record names, as the spec has it. */
void node_know_image(struct node *n, const struct prov_image *image);
void node_forget_image(struct node *n);
/* Earlier releases stored whole URLs. True: the record was changed, and is to be saved. */
bool node_mask_image(struct node *n);

/* --- hold.c --- */

/* The hold that the record names, if any, counts from now on. */
void node_take_hold(struct node *n);
/* Before the node goes. */
void node_drop_hold(struct node *n);
/* Holds the host, unless it is held; the operation under way ends without an effect. */
void node_hold(struct node *n, const char *reason);

/* --- provision.c ------------------------------------------------------------------------------ */

void node_release_inspection(struct node *n, int status);
