/* status.conditions of a host: a table from state to condition, and what overrides it. Pure. */

#include <stdlib.h>

#include "base/mem.h"
#include "ctrl/host/internal.h"

struct condition_row {
	const char *manageable; /* reason; NULL: True "Manageable" */
	bool available, provisioned;
	const char *progressing; /* reason; NULL: False */
};

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

static void set(struct pass *p, const char *type, bool status, const char *reason,
		const char *message)
{
	struct bmh_status *s = &p->host.status;
	if (!s->conditions)
		s->conditions = json_new_array();
	api_condition_set(s->conditions, type, status, reason, message, p->host.meta.generation,
			  p->facts->now);
}

static bool power_fault(struct pass *p, enum bmh_state state)
{
	struct provisioner *pr = p->facts->provisioner;
	bool fault = false;
	if (state == BMH_NONE || state == BMH_UNMANAGED || state == BMH_REGISTERING ||
	    state == BMH_DELETING || p->host.status.operational == BMH_OP_DETACHED)
		return false;
	pr->ops->power(pr, &p->prov, &fault);
	return fault;
}

static void set_manageable(struct pass *p, const struct condition_row *row, enum bmh_state state)
{
	bool error = p->host.status.operational == BMH_OP_ERROR;
	if (row->manageable && state == BMH_REGISTERING && error)
		set(p, "Manageable", false, "RegistrationFailed", p->host.status.error_message);
	else if (row->manageable)
		set(p, "Manageable", false, row->manageable, "");
	else if (power_fault(p, state))
		set(p, "Manageable", false, "PowerFailure",
		    str_or(p->trouble, "the BMC does not answer"));
	else
		set(p, "Manageable", true, "Manageable", "");
}

static void set_ready(struct pass *p, const struct condition_row *row)
{
	const struct bmh_status *s = &p->host.status;
	if (s->operational == BMH_OP_ERROR)
		set(p, "Ready", false, "Error", str_or(s->error_message, ""));
	else if (s->operational == BMH_OP_DETACHED)
		set(p, "Ready", false, "Detached", "");
	else if (s->operational == BMH_OP_SERVICING)
		set(p, "Ready", false, "Servicing", "");
	else
		set(p, "Ready", row->provisioned,
		    row->provisioned ? "Provisioned" : "NotProvisioned", "");
}

/* Health comes with Redfish; IPMI knows none. */
static void set_healthy(struct pass *p)
{
	struct json *list = p->host.status.conditions;
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
	json_set_int(c, "observedGeneration", p->host.meta.generation);
	json_set_string(c, "lastTransitionTime", clock_format(p->facts->now, when));
}

void pass_conditions(struct pass *p)
{
	enum bmh_state state = (enum bmh_state)p->host.status.provisioning.state;
	const struct condition_row *row = &rows[state];
	bool detached = p->host.status.operational == BMH_OP_DETACHED;
	set(p, "AvailableForProvisioning", row->available,
	    row->available ? "Available" : "NotAvailable", "");
	set_ready(p, row);
	set_healthy(p);
	set_manageable(p, row, state);
	if (detached)
		set(p, "Progressing", false, "Detached", "");
	else
		set(p, "Progressing", row->progressing != NULL,
		    row->progressing ? row->progressing : "NotProgressing", "");
	set(p, "Provisioned", row->provisioned, row->provisioned ? "Provisioned" : "NotProvisioned",
	    "");
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

void pass_condition_held(struct pass *p)
{
	_cleanup_(freep) char *message = NULL;
	if (!p->facts->held) {
		drop(p->host.status.conditions, held_type);
		return;
	}
	message = xasprintf("%s; nothing is done to this host until it is released: ingotctl "
			    "release, or the annotation " BMH_RELEASE "=%s",
			    p->facts->hold.reason, p->facts->hold.id);
	set(p, held_type, true, "Held", message);
}
