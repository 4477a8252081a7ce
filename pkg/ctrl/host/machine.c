/* The state machine of a host: one row per state, one setter. A handler does the work of its state
 * and names the next one; the new state is stored before its own work begins, because each pass
 * acts on the state that it read. Pure. */

#include <string.h>

#include "base/mem.h"
#include "ctrl/host/internal.h"

struct state_row {
	struct next (*handler)(struct pass *p);
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

static bool has_capacity(struct pass *p)
{
	struct provisioner *pr = p->facts->provisioner;
	return pr->ops->has_capacity(pr, &p->prov);
}

void machine_go(struct pass *p, enum bmh_state next)
{
	struct bmh_status *s = &p->host.status;
	struct bmh_period *left = period_of(s, (enum bmh_state)s->provisioning.state),
			  *entered = period_of(s, next);
	if ((int)next == s->provisioning.state)
		return;
	if (left && left->end == 0) {
		left->end = p->facts->now;
		pass_measure_end(p, (enum bmh_state)s->provisioning.state,
				 left->start ? left->end - left->start : 0);
	}
	if (entered)
		*entered = (struct bmh_period){ .start = p->facts->now };
	if (next == BMH_REGISTERING || next == BMH_INSPECTING || next == BMH_PROVISIONING)
		str_replace(&s->provisioning.boot_mode, str_or(p->host.spec.boot_mode, "UEFI"));
	s->provisioning.state = (int)next;
}

/* --- deletion --------------------------------------------------------------------------------- */

static bool delete_delayed(const struct pass *p)
{
	const char *value = api_annotation(&p->host.meta, BMH_DETACHED);
	if (!value)
		return p->host.status.operational == BMH_OP_DETACHED;
	_cleanup_(json_freep) struct json *j = NULL;
	return json_parse(value, strlen(value), &j, NULL) == 0 &&
	       streq(json_get_string(j, "deleteAction"), "delay");
}

/* Straight to the end from a state that was there to clean up. */
static void count_shortcut(struct pass *p)
{
	if (p->state == BMH_DEPROVISIONING)
		pass_count(p, METRIC_DELETED_NOT_DEPROVISIONED, NULL);
	if (p->state == BMH_DEPROVISIONING || p->state == BMH_POWERING_OFF)
		pass_count(p, METRIC_DELETED_NOT_POWERED_OFF, NULL);
}

/* Sets the state that a deletion leads to. True: that is all for this pass. */
static bool start_deletion(struct pass *p)
{
	const struct bmh_status *s = &p->host.status;
	bool detached = s->operational == BMH_OP_DETACHED ||
			api_annotation(&p->host.meta, BMH_DETACHED);
	enum bmh_state next = rows[p->state].on_delete;
	if (!p->host.meta.deleted_at || p->state == BMH_DELETING)
		return false;
	if (detached) {
		if (delete_delayed(p)) {
			pass_count(p, METRIC_DELETES_DELAYED, NULL);
			return false;
		}
		next = BMH_DELETING;
	}
	/* What cannot be reached must not hold up a deletion for ever. */
	bool unreachable = s->error == BMH_ERROR_REGISTRATION && host_deletion_gives_up(&p->host);
	if ((p->state == BMH_DEPROVISIONING || p->state == BMH_POWERING_OFF) &&
	    (unreachable || !p->have_credentials))
		next = BMH_DELETING;
	if (next == p->state)
		return false;
	if (next == BMH_DELETING)
		count_shortcut(p);
	machine_go(p, next);
	return true;
}

/* --- detachment ------------------------------------------------------------------------------- */

static bool detach_wanted(const struct pass *p)
{
	const char *value = api_annotation(&p->host.meta, BMH_DETACHED);
	if (!value || p->state == BMH_DELETING)
		return false;
	if (rows[p->state].detachable)
		return true;
	_cleanup_(json_freep) struct json *j = NULL;
	return json_parse(value, strlen(value), &j, NULL) == 0 && json_get_bool(j, "force", false);
}

static struct next detach(struct pass *p)
{
	struct bmh_status *s = &p->host.status;
	struct provisioner *pr = p->facts->provisioner;
	struct prov_result r;
	if (s->operational == BMH_OP_DETACHED)
		return (struct next){ NEXT_WAIT, 10 * USEC_PER_MIN };
	pr->ops->remove(pr, &p->prov, true, &r);
	if (r.outcome == PROV_FAILED)
		return pass_fail(p, BMH_ERROR_DETACH, "%s", pass_words(&r));
	if (r.outcome == PROV_RUNNING)
		return (struct next){ NEXT_WAIT, r.requeue };
	if (s->error == BMH_ERROR_DETACH) {
		pass_clear_error(p);
		s->error_count = 0;
	}
	s->operational = BMH_OP_DETACHED;
	return (struct next){ NEXT_AGAIN, 0 };
}

static void reattach(struct pass *p)
{
	struct bmh_status *s = &p->host.status;
	if (s->error == BMH_ERROR_DETACH)
		pass_clear_error(p);
	if (s->operational == BMH_OP_DETACHED)
		s->operational = s->error == BMH_ERROR_NONE ? BMH_OP_OK : BMH_OP_ERROR;
}

/* --- one run ---------------------------------------------------------------------------------- */

/* A host that waits for a place keeps its state; only its operational status tells. */
static bool no_place(struct pass *p, struct next *ret)
{
	struct bmh_status *s = &p->host.status;
	bool busy = rows[p->state].capacity || s->operational == BMH_OP_DELAYED;
	if (!busy || has_capacity(p)) {
		if (s->operational == BMH_OP_DELAYED)
			s->operational = BMH_OP_OK;
		return false;
	}
	s->operational = BMH_OP_DELAYED;
	pass_measure_delay(p, p->state);
	*ret = (struct next){ NEXT_FULL, 0 };
	return true;
}

static struct next handle(struct pass *p)
{
	struct bmh_status *s = &p->host.status;
	struct next a = rows[p->state].handler(p);
	enum bmh_state next = (enum bmh_state)s->provisioning.state;
	if (next == p->state || !rows[next].capacity || has_capacity(p))
		return a;
	/* Undone: the state is not entered while there is no place. */
	struct bmh_period *entered = period_of(s, next);
	if (entered)
		*entered = (struct bmh_period){ 0 };
	s->provisioning.state = (int)p->state;
	s->operational = BMH_OP_DELAYED;
	pass_measure_delay(p, next);
	return (struct next){ NEXT_FULL, 0 };
}

struct next machine_run(struct pass *p)
{
	struct next a = { NEXT_AGAIN, 0 };
	if (start_deletion(p))
		return a;
	if (detach_wanted(p))
		return detach(p);
	reattach(p);
	if (p->host.meta.deleted_at && !p->have_credentials && rows[p->state].registers) {
		machine_go(p, BMH_DELETING);
		return a;
	}
	if (rows[p->state].registers && !pass_register(p, &a)) {
		/* That may have been the last try. */
		bool last = a.kind == NEXT_BACKOFF && start_deletion(p);
		return last ? (struct next){ NEXT_AGAIN, 0 } : a;
	}
	if (no_place(p, &a))
		return a;
	return handle(p);
}
