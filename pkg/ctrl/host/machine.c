/* The state machine of a host: one row per state, one setter. A handler does the work of its state
 * and names the next one; the new state is stored before its own work begins, because each
 * reconcile acts on the state that it read. Pure. */

#include <string.h>

#include "base/mem.h"
#include "ctrl/host/internal.h"

struct state_row {
	struct next (*handler)(struct reconcile *rc);
	/* Where a deletion leads; the state itself: it goes on as it is. */
	enum bmh_state on_delete;
	bool registers;	 /* the BMC must answer before the handler runs */
	bool capacity;	 /* busy: needs one of the engine's places */
	bool detachable; /* at once, without force */
};

static const struct state_row rows[_BMH_STATE_MAX] = {
	[BMH_NONE] = { state_none, BMH_DELETING, false, false, false },
	[BMH_UNMANAGED] = { state_unmanaged, BMH_DELETING, false, false, false },
	[BMH_REGISTERING] = { state_registering, BMH_DELETING, true, false, false },
	[BMH_INSPECTING] = { state_inspecting, BMH_POWERING_OFF, true, true, false },
	[BMH_MATCH_PROFILE] = { state_match_profile, BMH_POWERING_OFF, false, false, false },
	[BMH_PREPARING] = { state_preparing, BMH_POWERING_OFF, true, false, false },
	[BMH_READY] = { state_available, BMH_POWERING_OFF, true, false, true },
	[BMH_AVAILABLE] = { state_available, BMH_POWERING_OFF, true, false, true },
	[BMH_PROVISIONING] = { state_provisioning, BMH_DEPROVISIONING, true, true, false },
	[BMH_PROVISIONED] = { state_provisioned, BMH_DEPROVISIONING, true, false, true },
	[BMH_EXTERNALLY_PROVISIONED] = { state_externally_provisioned, BMH_POWERING_OFF, true,
					 false, true },
	[BMH_DEPROVISIONING] = { state_deprovisioning, BMH_DEPROVISIONING, true, true, false },
	[BMH_POWERING_OFF] = { state_powering_off, BMH_POWERING_OFF, true, false, false },
	[BMH_DELETING] = { state_deleting, BMH_DELETING, false, false, false },
};

/* --- questions about a host ------------------------------------------------------------------- */

static const char *method(const struct bmh_custom_deploy *c)
{
	return c ? str_or(c->method, "") : "";
}

bool host_inspection_disabled(const struct bmh *h)
{
	return streq(h->spec.inspection, "disabled") ||
	       streq(api_annotation(&h->meta, BMH_INSPECT), "disabled");
}

bool host_wants_provisioning(const struct bmh *h)
{
	const struct bmh_provisioning *s = &h->status.provisioning;
	if (!h->spec.online)
		return false;
	if (!bmh_image_empty(h->spec.image) && str_empty(s->image.url))
		return true;
	return !str_empty(method(h->spec.custom_deploy)) &&
	       !streq(method(h->spec.custom_deploy), method(s->custom_deploy));
}

bool host_names_image(const struct bmh *h)
{
	return !bmh_image_empty(h->spec.image) || !str_empty(method(h->spec.custom_deploy));
}

/* A changed checksum or format alone is no reason to wipe a disk. */
bool host_provisioning_cancelled(const struct bmh *h)
{
	const struct bmh_provisioning *s = &h->status.provisioning;
	const struct bmh_image *image = h->spec.image;
	bool other_url = !image || !streq(str_or(image->url, ""), str_or(s->image.url, ""));
	if (!str_empty(method(h->spec.custom_deploy))) {
		if (!str_empty(method(s->custom_deploy)) &&
		    !streq(method(h->spec.custom_deploy), method(s->custom_deploy)))
			return true;
		return !str_empty(s->image.url) && other_url;
	}
	if (!str_empty(method(s->custom_deploy)) || bmh_image_empty(image))
		return true;
	return !str_empty(s->image.url) && other_url;
}

bool host_deletion_gives_up(const struct bmh *h)
{
	return h->meta.deleted_at && h->status.error_count >= DELETION_ERRORS_MAX;
}

/* --- transitions ------------------------------------------------------------------------------ */

/* status.operationHistory has a period for these four states alone; the others have none. */
static struct bmh_period *period_of(struct bmh_status *s, enum bmh_state state)
{
	switch (state) {
	case BMH_REGISTERING:
		return &s->history.registering;
	case BMH_INSPECTING:
		return &s->history.inspecting;
	case BMH_PROVISIONING:
		return &s->history.provisioning;
	case BMH_DEPROVISIONING:
		return &s->history.deprovisioning;
	case BMH_NONE:
	case BMH_UNMANAGED:
	case BMH_MATCH_PROFILE:
	case BMH_PREPARING:
	case BMH_READY:
	case BMH_AVAILABLE:
	case BMH_PROVISIONED:
	case BMH_EXTERNALLY_PROVISIONED:
	case BMH_POWERING_OFF:
	case BMH_DELETING:
	case _BMH_STATE_MAX:
		break;
	}
	return NULL;
}

/* Asked of the provisioner each time: a place that was free a moment ago may be taken by another
 * host. */
static bool has_capacity(struct reconcile *rc)
{
	struct provisioner *pr = rc->facts->provisioner;
	return pr->ops->has_capacity(pr, &rc->prov);
}

/* The only setter of status.provisioning.state. It also stamps the periods of both states and
 * notes the boot mode that the work ahead is done with, as upstream does. What it sets is stored
 * before the next reconcile does that work. */
void machine_go(struct reconcile *rc, enum bmh_state next)
{
	struct bmh_status *s = &rc->host.status;
	struct bmh_period *left = period_of(s, (enum bmh_state)s->provisioning.state),
			  *entered = period_of(s, next);
	if ((int)next == s->provisioning.state)
		return;
	if (left && left->end == 0) {
		left->end = rc->facts->now;
		host_measure_end(rc, (enum bmh_state)s->provisioning.state,
				 left->start ? left->end - left->start : 0);
	}
	if (entered)
		*entered = (struct bmh_period){ .start = rc->facts->now };
	if (next == BMH_REGISTERING || next == BMH_INSPECTING || next == BMH_PROVISIONING)
		str_replace(&s->provisioning.boot_mode, str_or(rc->host.spec.boot_mode, "UEFI"));
	s->provisioning.state = (int)next;
}

/* --- deletion --------------------------------------------------------------------------------- */

/* A detached host with deleteAction "delay" is kept until it is attached again, so that it is
 * cleaned up before it goes. Without the annotation it has just been attached, and its status
 * does not show that yet. */
static bool delete_delayed(const struct reconcile *rc)
{
	const char *value = api_annotation(&rc->host.meta, BMH_DETACHED);
	if (!value)
		return rc->host.status.operational == BMH_OP_DETACHED;
	_cleanup_(json_freep) struct json *j = NULL;
	return json_parse(value, strlen(value), &j, NULL) == 0 &&
	       streq(json_get_string(j, "deleteAction"), "delay");
}

/* Straight to the end from a state that was there to clean up. */
static void count_shortcut(struct reconcile *rc)
{
	if (rc->state == BMH_DEPROVISIONING)
		host_count(rc, METRIC_DELETED_NOT_DEPROVISIONED, NULL);
	if (rc->state == BMH_DEPROVISIONING || rc->state == BMH_POWERING_OFF)
		host_count(rc, METRIC_DELETED_NOT_POWERED_OFF, NULL);
}

/* Sets the state that a deletion leads to. True: that is all for this reconcile. */
static bool start_deletion(struct reconcile *rc)
{
	const struct bmh_status *s = &rc->host.status;
	bool detached = s->operational == BMH_OP_DETACHED ||
			api_annotation(&rc->host.meta, BMH_DETACHED);
	enum bmh_state next = rows[rc->state].on_delete;
	if (!rc->host.meta.deleted_at || rc->state == BMH_DELETING)
		return false;
	if (detached) {
		if (delete_delayed(rc)) {
			host_count(rc, METRIC_DELETES_DELAYED, NULL);
			return false;
		}
		next = BMH_DELETING;
	}
	/* A BMC that cannot be reached must not hold up a deletion indefinitely. */
	bool unreachable = s->error == BMH_ERROR_REGISTRATION && host_deletion_gives_up(&rc->host);
	if ((rc->state == BMH_DEPROVISIONING || rc->state == BMH_POWERING_OFF) &&
	    (unreachable || !rc->have_credentials))
		next = BMH_DELETING;
	if (next == rc->state)
		return false;
	if (next == BMH_DELETING)
		count_shortcut(rc);
	machine_go(rc, next);
	return true;
}

/* --- detachment ------------------------------------------------------------------------------- */

/* A host in the middle of an operation is detached only by force, because the operation ends
 * half-way. */
static bool detach_wanted(const struct reconcile *rc)
{
	const char *value = api_annotation(&rc->host.meta, BMH_DETACHED);
	if (!value || rc->state == BMH_DELETING)
		return false;
	if (rows[rc->state].detachable)
		return true;
	_cleanup_(json_freep) struct json *j = NULL;
	return json_parse(value, strlen(value), &j, NULL) == 0 && json_get_bool(j, "force", false);
}

/* Makes the provisioner forget the host and leaves the machine as it is. The annotation is
 * looked at again now and then; its removal is an event anyway. */
static struct next detach(struct reconcile *rc)
{
	struct bmh_status *s = &rc->host.status;
	struct provisioner *pr = rc->facts->provisioner;
	struct prov_result r;
	if (s->operational == BMH_OP_DETACHED)
		return (struct next){ NEXT_WAIT, 10 * USEC_PER_MIN };
	pr->ops->remove(pr, &rc->prov, true, &r);
	if (r.outcome == PROV_FAILED)
		return host_fail(rc, BMH_ERROR_DETACH, "%s", host_words(&r));
	if (r.outcome == PROV_RUNNING)
		return (struct next){ NEXT_WAIT, r.requeue };
	if (s->error == BMH_ERROR_DETACH) {
		host_clear_error(rc);
		s->error_count = 0;
	}
	s->operational = BMH_OP_DETACHED;
	return (struct next){ NEXT_AGAIN, 0 };
}

/* The annotation is gone: the state machine goes on where it stood, and registers the host anew. */
static void reattach(struct reconcile *rc)
{
	struct bmh_status *s = &rc->host.status;
	if (s->error == BMH_ERROR_DETACH)
		host_clear_error(rc);
	if (s->operational == BMH_OP_DETACHED)
		s->operational = s->error == BMH_ERROR_NONE ? BMH_OP_OK : BMH_OP_ERROR;
}

/* --- one reconcile
 * ---------------------------------------------------------------------------------- */

/* A host that waits for a place keeps its state; only its operational status tells. */
static bool no_capacity(struct reconcile *rc, struct next *ret)
{
	struct bmh_status *s = &rc->host.status;
	bool busy = rows[rc->state].capacity || s->operational == BMH_OP_DELAYED;
	if (!busy || has_capacity(rc)) {
		if (s->operational == BMH_OP_DELAYED)
			s->operational = BMH_OP_OK;
		return false;
	}
	s->operational = BMH_OP_DELAYED;
	host_measure_delay(rc, rc->state);
	*ret = (struct next){ NEXT_FULL, 0 };
	return true;
}

/* The handler may name a busy state for which there is no place now. The host then stays where
 * it is, with operationalStatus "delayed", and asks again. */
static struct next handle(struct reconcile *rc)
{
	struct bmh_status *s = &rc->host.status;
	struct next a = rows[rc->state].handler(rc);
	enum bmh_state next = (enum bmh_state)s->provisioning.state;
	if (next == rc->state || !rows[next].capacity || has_capacity(rc))
		return a;
	/* Undone: the state is not entered while there is no capacity. */
	struct bmh_period *entered = period_of(s, next);
	if (entered)
		*entered = (struct bmh_period){ 0 };
	s->provisioning.state = (int)rc->state;
	s->operational = BMH_OP_DELAYED;
	host_measure_delay(rc, next);
	return (struct next){ NEXT_FULL, 0 };
}

/* The order matters. A deletion comes first, so that no new work begins. Detachment comes before
 * registration, because a detached host is not to be spoken to. Registration comes before the
 * handlers, which need a BMC that answers. Capacity comes last: a host that waits for a place
 * still shows errors of its BMC. */
struct next machine_run(struct reconcile *rc)
{
	struct next a = { NEXT_AGAIN, 0 };
	if (start_deletion(rc))
		return a;
	if (detach_wanted(rc))
		return detach(rc);
	reattach(rc);
	if (rc->host.meta.deleted_at && !rc->have_credentials && rows[rc->state].registers) {
		machine_go(rc, BMH_DELETING);
		return a;
	}
	if (rows[rc->state].registers && !host_register(rc, &a)) {
		/* That may have been the last try. */
		bool last = a.kind == NEXT_BACKOFF && start_deletion(rc);
		return last ? (struct next){ NEXT_AGAIN, 0 } : a;
	}
	if (no_capacity(rc, &a))
		return a;
	return handle(rc);
}
