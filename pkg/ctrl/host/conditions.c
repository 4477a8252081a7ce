/* status.conditions of a host: a table from state to condition, and what overrides it. Pure. */

#include <stdlib.h>

#include "base/mem.h"
#include "ctrl/host/internal.h"

struct condition_row {
	const char *manageable; /* reason; NULL: True "Manageable" */
	bool available, provisioned;
	const char *progressing; /* reason; NULL: False */
};

/* What each state means for consumers. An error, detachment or a BMC that is silent overrides it
 * below. */
static const struct condition_row rows[_BMH_STATE_MAX] = {
	[BMH_NONE] = { "NotManaged", false, false, NULL },
	[BMH_UNMANAGED] = { "NotManaged", false, false, NULL },
	[BMH_REGISTERING] = { "Registering", false, false, "Registering" },
	[BMH_INSPECTING] = { NULL, false, false, "Inspecting" },
	[BMH_MATCH_PROFILE] = { NULL, false, false, "Inspecting" },
	[BMH_PREPARING] = { NULL, false, false, "Preparing" },
	[BMH_READY] = { NULL, true, false, NULL },
	[BMH_AVAILABLE] = { NULL, true, false, NULL },
	[BMH_PROVISIONING] = { NULL, false, false, "Provisioning" },
	[BMH_PROVISIONED] = { NULL, false, true, NULL },
	[BMH_EXTERNALLY_PROVISIONED] = { NULL, false, true, NULL },
	[BMH_DEPROVISIONING] = { NULL, false, false, "Deprovisioning" },
	[BMH_POWERING_OFF] = { NULL, false, false, "PoweringOffBeforeDelete" },
	[BMH_DELETING] = { NULL, false, false, "Deleting" },
};

static void set(struct reconcile *rc, const char *type, bool status, const char *reason,
		const char *message)
{
	struct bmh_status *s = &rc->host.status;
	if (!s->conditions)
		s->conditions = json_new_array();
	api_condition_set(s->conditions, type, status, reason, message, rc->host.meta.generation,
			  rc->facts->now);
}

/* Before a host is registered, while it is detached and when it is about to go, no BMC is
 * expected to answer. */
static bool power_fault(struct reconcile *rc, enum bmh_state state)
{
	struct provisioner *pr = rc->facts->provisioner;
	bool fault = false;
	if (state == BMH_NONE || state == BMH_UNMANAGED || state == BMH_REGISTERING ||
	    state == BMH_DELETING || rc->host.status.operational == BMH_OP_DETACHED)
		return false;
	pr->ops->power(pr, &rc->prov, &fault);
	return fault;
}

/* Manageable: can the host be worked with? An error of registering shows here with its text, a
 * BMC that has fallen silent with what holds up the work. */
static void set_manageable(struct reconcile *rc, const struct condition_row *row,
			   enum bmh_state state)
{
	bool error = rc->host.status.operational == BMH_OP_ERROR;
	if (row->manageable && state == BMH_REGISTERING && error)
		set(rc, "Manageable", false, "RegistrationFailed", rc->host.status.error_message);
	else if (row->manageable)
		set(rc, "Manageable", false, row->manageable, "");
	else if (power_fault(rc, state))
		set(rc, "Manageable", false, "PowerFailure",
		    str_or(rc->trouble, "the BMC does not answer"));
	else
		set(rc, "Manageable", true, "Manageable", "");
}

/* Ready: does the host do what it was provisioned for? */
static void set_ready(struct reconcile *rc, const struct condition_row *row)
{
	const struct bmh_status *s = &rc->host.status;
	if (s->operational == BMH_OP_ERROR)
		set(rc, "Ready", false, "Error", str_or(s->error_message, ""));
	else if (s->operational == BMH_OP_DETACHED)
		set(rc, "Ready", false, "Detached", "");
	else if (s->operational == BMH_OP_SERVICING)
		set(rc, "Ready", false, "Servicing", "");
	else
		set(rc, "Ready", row->provisioned,
		    row->provisioned ? "Provisioned" : "NotProvisioned", "");
}

/* Health comes with Redfish; IPMI knows none. */
static void set_healthy(struct reconcile *rc)
{
	struct json *list = rc->host.status.conditions;
	json_for_each(c, list) {
		if (streq(json_get_string(c, "type"), "Healthy"))
			return;
	}
	char when[CLOCK_TEXT_MAX];
	struct json *c = json_append(list, json_new_object());
	json_set_string(c, "type", "Healthy");
	json_set_string(c, "status", "Unknown");
	json_set_string(c, "reason", "Unknown");
	json_set_string(c, "message", "");
	json_set_int(c, "observedGeneration", rc->host.meta.generation);
	json_set_string(c, "lastTransitionTime", clock_format(rc->facts->now, when));
}

/* Progressing is about the provisioning state alone: a change of power or a retry after an error
 * does not show in it. */
void host_conditions(struct reconcile *rc)
{
	enum bmh_state state = (enum bmh_state)rc->host.status.provisioning.state;
	const struct condition_row *row = &rows[state];
	bool detached = rc->host.status.operational == BMH_OP_DETACHED;
	set(rc, "AvailableForProvisioning", row->available,
	    row->available ? "Available" : "NotAvailable", "");
	set_ready(rc, row);
	set_healthy(rc);
	set_manageable(rc, row, state);
	if (detached)
		set(rc, "Progressing", false, "Detached", "");
	else
		set(rc, "Progressing", row->progressing != NULL,
		    row->progressing ? row->progressing : "NotProgressing", "");
	set(rc, "Provisioned", row->provisioned,
	    row->provisioned ? "Provisioned" : "NotProvisioned", "");
}

/* Named by our domain, because Metal3 knows no such condition. */
static const char held_type[] = "ingot.dev/Held";

static void drop(struct json *conditions, const char *type)
{
	for (size_t i = 0; i < json_count(conditions); i++)
		if (streq(json_get_string(json_at(conditions, i), "type"), type)) {
			json_free(json_take_at(conditions, i));
			return;
		}
}

void host_condition_held(struct reconcile *rc)
{
	_cleanup_(freep) char *message = NULL;
	if (!rc->facts->held) {
		drop(rc->host.status.conditions, held_type);
		return;
	}
	message = xasprintf("%s; nothing is done to this host until it is released: ingotctl "
			    "release, or the annotation " BMH_RELEASE "=%s",
			    rc->facts->hold.reason, rc->facts->hold.id);
	set(rc, held_type, true, "Held", message);
}
