#pragma once
/* The inside of a host's reconcile. Not for other modules.
 *
 * reconcile.c   the order of a reconcile
 * report.c      its writes, events, the error of the host
 * machine.c     the state machine: rows, transitions, deletion, detachment
 * states.c      the work of each state
 * register.c    credentials and registration
 * power.c       power management and reboot annotations
 * rootdisk.c    hardware profiles, root device hints in effect
 * conditions.c  status.conditions
 * config.c      Secrets to config drive
 * hardware.c    the agent's inventory to HardwareDetails (hardware.h)
 * measures.c    metrics of a reconcile
 * words.c       what a provisioner says, in the words of Kubernetes
 */

#include "api/secret.h"
#include "ctrl/host/host.h"
#include "ctrl/shell/finalizers.h"

enum { DELETION_ERRORS_MAX = 4 };

/* The writes that a host's reconcile makes. */
enum host_write {
	HOST_PATCH_STATUS, /* merge patch of the host's status, with its resourceVersion */
	HOST_PATCH,	   /* merge patch of the host */
	HOST_SECRET_PATCH, /* merge patch of a Secret of the host's namespace */
	HOST_HARDWARE_CREATE,
	HOST_HARDWARE_PATCH,
	HOST_HARDWARE_DELETE, /* `name`: the UID of the one that is deleted */
	HOST_RECORD_UPDATE,   /* the whole HostRecord, with its resourceVersion */
};

struct reconcile {
	const struct host_facts *facts;
	struct outcome *out;
	struct bmh host;
	struct json *status_before;
	enum bmh_state state; /* at the start; the next one is host.status.provisioning.state */
	struct prov_host prov;
	char *key;
	char *username, *password;
	char *bmc_ca, *bmc_pin; /* NULL: none */
	char *network_data;	/* of the ramdisk; NULL: none */
	struct err network_error;
	char *trouble; /* what holds up the work that is under way; NULL: nothing */
	bool examined; /* the state machine, or at least the credentials, were looked at */
	bool have_credentials;
	bool credentials_tried_changed;
};

/* --- report.c --------------------------------------------------------------------------------- */

void host_event(struct reconcile *rc, bool warning, const char *reason, const char *fmt, ...)
	_printf_(4, 5);
/* Labels after namespace and host, if the metric has those; static. More than OUTCOME_MEASURES_MAX
 * are dropped. */
void host_measure(struct reconcile *rc, enum metric_id metric, double value, const char *first,
		  const char *second);
void host_count(struct reconcile *rc, enum metric_id metric, const char *label);
/* Takes body. */
void host_write(struct reconcile *rc, enum host_write kind, const char *name, struct json *body);
/* {"metadata": {"resourceVersion": …}} of the host, to be filled. */
struct json *host_locked_patch(const struct reconcile *rc);
void host_remove_annotation(struct reconcile *rc, const char *key);
/* Sets error type, message and count; the event; NEXT_BACKOFF. */
struct next host_fail(struct reconcile *rc, enum bmh_error error, const char *fmt, ...)
	_printf_(3, 4);
/* Errors that repeat unchanged until an edit are counted and shown once. */
struct next host_fail_once(struct reconcile *rc, enum bmh_error error, usec_t delay,
			   const char *reason, const char *fmt, ...) _printf_(5, 6);
bool host_clear_error(struct reconcile *rc);
/* Likewise, of an error beside which the host is still looked after: nothing has been tried, so it
 * is not counted, and one of power is not hidden by it. */
void host_show_error(struct reconcile *rc, enum bmh_error error, const char *text);

/* --- machine.c -------------------------------------------------------------------------------- */

struct next machine_run(struct reconcile *rc);
void machine_go(struct reconcile *rc, enum bmh_state next);
bool host_inspection_disabled(const struct bmh *h);
bool host_wants_provisioning(const struct bmh *h);
bool host_provisioning_cancelled(const struct bmh *h);
/* The fourth error of a host that is to go was the last one, as in upstream. */
bool host_deletion_gives_up(const struct bmh *h);
/* Something is to be deployed, now or when what is there has gone. */
bool host_names_image(const struct bmh *h);

/* --- states.c --------------------------------------------------------------------------------- */

struct next state_none(struct reconcile *rc);
struct next state_unmanaged(struct reconcile *rc);
struct next state_registering(struct reconcile *rc);
struct next state_inspecting(struct reconcile *rc);
struct next state_match_profile(struct reconcile *rc);
struct next state_preparing(struct reconcile *rc);
struct next state_available(struct reconcile *rc);
struct next state_provisioning(struct reconcile *rc);
struct next state_provisioned(struct reconcile *rc);
struct next state_externally_provisioned(struct reconcile *rc);
struct next state_deprovisioning(struct reconcile *rc);
struct next state_powering_off(struct reconcile *rc);
struct next state_deleting(struct reconcile *rc);

/* --- register.c ------------------------------------------------------------------------------- */

/* Fills username and password. False: *ret says why and what then. */
bool host_credentials(struct reconcile *rc, struct next *ret);
/* False: *ret is the outcome of the reconcile. */
bool host_register(struct reconcile *rc, struct next *ret);
/* Of the Secrets that this host owns: those that its spec names no more are no more its own, and
 * outlive it. */
void host_release_unnamed_secrets(struct reconcile *rc);
/* The host goes: its credentials may go with it. */
void host_release_secrets(struct reconcile *rc);
/* The Secret of spec.preprovisioningNetworkDataName, so that it is moved along with the host. */
void host_claim_network_data(struct reconcile *rc);

/* --- power.c ---------------------------------------------------------------------------------- */

struct next host_power(struct reconcile *rc, bool provisioned);
/* status.poweredOn becomes what the BMC said last. True: that was news. */
bool host_take_power(struct reconcile *rc);
/* Any reboot annotation with force. */
bool host_force_reboot(const struct reconcile *rc);

/* --- rootdisk.c ------------------------------------------------------------------------------- */

/* Of spec.hardwareProfile; the one in status wins. */
const char *host_profile(const struct bmh *h);
bool host_profile_known(const char *name);
/* Neither hints nor a profile are asked for: what is in effect is a default. */
bool host_root_hints_default(const struct bmh *h);
/* What preparing would store; *ret NULL: none, the agent chooses. ERR_INVALID: nothing says which
 * of several disks it is. */
int host_root_hints(const struct bmh *h, struct json **ret, struct err *err);
/* Without a look at the disks. */
struct json *host_default_hints(const struct bmh *h);
/* An available host has to be prepared anew for what its spec says now. */
bool host_root_hints_stale(const struct bmh *h);
/* Event: the disk that inspection makes of it. */
void host_report_root_disk(struct reconcile *rc);

/* --- conditions.c ----------------------------------------------------------------------------- */

void host_conditions(struct reconcile *rc);
/* The condition ingot.dev/Held: True with the reason while it is held; gone without. */
void host_condition_held(struct reconcile *rc);

/* --- config.c --------------------------------------------------------------------------------- */

struct config_drive_texts {
	char *meta_data, *network_data; /* JSON */
	void *user_data;
	size_t user_data_len;
	const char *failed; /* which of them could not be had; static; NULL: none */
};

/* On failure only ret->failed is set. */
int host_config_drive(const struct reconcile *rc, struct config_drive_texts *ret, struct err *err);
/* The Secret of spec.preprovisioningNetworkDataName, as JSON. *ret stays as it is where there is
 * none; else free it by secret_free(). */
int host_ramdisk_network(const struct reconcile *rc, char **ret, struct err *err);
void config_drive_texts_done(struct config_drive_texts *t);

/* --- measures.c ------------------------------------------------------------------------------- */

/* The host leaves the state, having been in it for so long (0: unknown). */
void host_measure_end(struct reconcile *rc, enum bmh_state state, usec_t took);
/* No capacity for the state. */
void host_measure_delay(struct reconcile *rc, enum bmh_state state);

/* --- words.c ---------------------------------------------------------------------------------- */

/* What a person is told of a call that failed, or is held up; r->error, which is changed. */
const char *host_words(struct prov_result *r);
