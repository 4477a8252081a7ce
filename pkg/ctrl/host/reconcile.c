/* The order of one reconcile, as in baremetal-operator: pause, restore, import of hardware data,
 * finalizer, credentials, state machine, conditions, status. At most one kind of change is made to
 * the host's spec or metadata per reconcile; the watch brings the next. Pure. */

#include "ctrl/host/host.h"

#include <stdlib.h>
#include <string.h>

#include "admission/rules.h"
#include "base/mem.h"
#include "ctrl/host/internal.h"
#include "ctrl/resources.h"
#include "json/patch.h"

/* --- before the state machine; true: the reconcile ends with it ------------------------------ */

bool host_is_held(const struct json *object)
{
	const struct json *notes = json_get_path(object, "metadata.annotations");
	return json_get_string(notes, BMH_PAUSED) || json_get_string(notes, BMH_DELETE_FOR_MOVE);
}

static void release_hardware_data(struct reconcile *rc)
{
	const struct json *finalizers = json_get_path(rc->facts->hardware_data,
						      "metadata.finalizers");
	if (!finalizers_have(finalizers, HARDWARE_FINALIZER))
		return;
	struct json *patch = json_new_object();
	struct json *meta = json_make_object(patch, "metadata");
	json_set(meta, "finalizers", finalizers_without(finalizers, HARDWARE_FINALIZER));
	json_set_string(meta, "resourceVersion",
			json_get_path_string(rc->facts->hardware_data, "metadata.resourceVersion"));
	host_write(rc, HOST_HARDWARE_PATCH, NULL, patch);
}

/* An annotation that the webhooks would refuse is told of, and not used. */
static bool refused(struct reconcile *rc, const char *key)
{
	_cleanup_(causes_done) struct causes causes = { 0 };
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	rules_check_host_annotation(rc->facts->object, key, &causes);
	if (!causes.count)
		return false;
	causes_format(&causes, &text);
	host_event(rc, true, "InvalidAnnotationValue", "%s", text.data);
	return true;
}

/* Cluster API's move carries the status in an annotation, because status does not move. */
static bool restore_status(struct reconcile *rc)
{
	const char *text = api_annotation(&rc->host.meta, BMH_STATUS);
	if (!text)
		return false;
	_cleanup_(json_freep) struct json *j = NULL;
	struct bmh_status restored = { 0 };
	if (rc->host.status.last_updated == 0 && !refused(rc, BMH_STATUS) &&
	    json_parse(text, strlen(text), &j, NULL) == 0 &&
	    bind_from_json(&bmh_status_struct, j, &restored, NULL) == 0) {
		bind_release(&bmh_status_struct, &rc->host.status);
		rc->host.status = restored;
		const struct json *hardware = json_get_path(rc->facts->hardware_data,
							    "spec.hardware");
		if (hardware) {
			json_free(rc->host.status.hardware);
			rc->host.status.hardware = json_dup(hardware);
		}
		return true;
	}
	host_remove_annotation(rc, BMH_STATUS);
	return true;
}

/* spec.architecture decides which image suits the host, so what inspection found is written
 * there where the user has said nothing, as upstream does. */
static bool fill_architecture(struct reconcile *rc)
{
	const char *arch = json_get_path_string(rc->facts->hardware_data, "spec.hardware.cpu.arch");
	if (!str_empty(rc->host.spec.architecture) || str_empty(arch))
		return false;
	struct json *patch = json_new_object();
	json_set_string(json_make_object(patch, "spec"), "architecture", arch);
	host_write(rc, HOST_PATCH, NULL, patch);
	return true;
}

/* The details may come from outside instead of from an inspection: by a HardwareData that is
 * there already, or by an annotation that is then removed. */
static bool import_hardware(struct reconcile *rc)
{
	struct bmh_status *s = &rc->host.status;
	const char *annotation = api_annotation(&rc->host.meta, BMH_HARDWARE_DETAILS);
	const struct json *wanted = NULL;
	_cleanup_(json_freep) struct json *parsed = NULL;
	if (!s->hardware || host_inspection_disabled(&rc->host)) {
		wanted = json_get_path(rc->facts->hardware_data, "spec.hardware");
		if (!wanted && !str_empty(annotation) && !refused(rc, BMH_HARDWARE_DETAILS) &&
		    json_parse(annotation, strlen(annotation), &parsed, NULL) == 0)
			wanted = parsed;
	}
	bool import = wanted && !json_equal(wanted, s->hardware);
	if (import) {
		json_free(s->hardware);
		s->hardware = json_dup(wanted);
		host_event(rc, false, "UpdateHardwareDetails", "Set hardware details from %s",
			   wanted == parsed ? "annotation" : "HardwareData");
	}
	if (annotation) {
		if (!import)
			host_event(rc, false, "RemoveAnnotation",
				   "Hardware details annotation removed");
		host_remove_annotation(rc, BMH_HARDWARE_DETAILS);
	}
	return import;
}

/* Without the finalizer the object could go before its machine is powered off and clean. */
static bool add_finalizer(struct reconcile *rc)
{
	const struct api_meta *m = &rc->host.meta;
	if (api_has_finalizer(m, BMH_FINALIZER))
		return false;
	struct json *patch = host_locked_patch(rc);
	struct json *list = finalizers_without(m->finalizers, BMH_FINALIZER);
	json_append(list, json_new_string(BMH_FINALIZER));
	json_set(json_get_mut(patch, "metadata"), "finalizers", list);
	host_write(rc, HOST_PATCH, NULL, patch);
	return true;
}

/* What the object itself needs before its machine is looked at; each of these is a write of its
 * own. */
static bool prepare_object(struct reconcile *rc)
{
	if (rc->host.meta.deleted_at) {
		release_hardware_data(rc);
		return false;
	}
	return fill_architecture(rc) || import_hardware(rc) || add_finalizer(rc);
}

/* What the webhooks refuse gets here when there are none, or was there before them. A host that
 * breaks their rules is not acted on at all, but it can be detached and deleted. True: that is the
 * outcome of the reconcile. */
static bool breaks_rules(struct reconcile *rc, struct next *ret)
{
	_cleanup_(causes_done) struct causes causes = { 0 };
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	bool managed = rc->state != BMH_NONE && rc->state != BMH_UNMANAGED;
	if (!managed || rc->host.meta.deleted_at || api_annotation(&rc->host.meta, BMH_DETACHED))
		return false;
	rules_check_host(rc->facts->object, &causes);
	if (!causes.count)
		return false;
	causes_format(&causes, &text);
	rc->examined = true;
	*ret = host_fail_once(rc, BMH_ERROR_REGISTRATION, 0, "RegistrationError", "%s", text.data);
	return true;
}

/* --- the reconcile ---------------------------------------------------------------------------- */

/* Also before the way to a deployment begins: what it will need is looked for before anything is
 * undone. */
static bool host_wants_secrets(const struct bmh *h)
{
	switch ((enum bmh_state)h->status.provisioning.state) {
	case BMH_PROVISIONING:
		return true;
	case BMH_READY:
	case BMH_AVAILABLE:
		return host_wants_provisioning(h);
	case BMH_PROVISIONED:
		return host_provisioning_cancelled(h) && host_names_image(h);
	case BMH_NONE:
	case BMH_UNMANAGED:
	case BMH_REGISTERING:
	case BMH_MATCH_PROFILE:
	case BMH_PREPARING:
	case BMH_EXTERNALLY_PROVISIONED:
	case BMH_DEPROVISIONING:
	case BMH_INSPECTING:
	case BMH_POWERING_OFF:
	case BMH_DELETING:
	case _BMH_STATE_MAX:
		break;
	}
	return false;
}

void host_secrets_wanted(const struct bmh *h, const char *names[_SECRET_USE_MAX])
{
	const struct bmh_spec *s = &h->spec;
	for (size_t i = 0; i < _SECRET_USE_MAX; i++)
		names[i] = NULL;
	if (s->bmc && !str_empty(s->bmc->credentials_name))
		names[SECRET_BMC] = s->bmc->credentials_name;
	if (!str_empty(s->network_data_name))
		names[SECRET_PREPROVISIONING] = s->network_data_name;
	if (!host_wants_secrets(h))
		return;
	names[SECRET_USER_DATA] = s->user_data ? s->user_data->name : NULL;
	names[SECRET_META_DATA] = s->meta_data ? s->meta_data->name : NULL;
	names[SECRET_NETWORK_DATA] = s->network_data ? s->network_data->name : NULL;
}

static enum boot_mode boot_mode(const struct bmh *h)
{
	if (streq(h->spec.boot_mode, "legacy"))
		return BOOT_LEGACY;
	return streq(h->spec.boot_mode, "UEFISecureBoot") ? BOOT_UEFI_SECURE : BOOT_UEFI;
}

static void lower(char *s)
{
	for (; s && *s; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s |= 0x20;
}

/* Spec and status in the words of the provisioner. MAC addresses are compared as text later, so
 * they are in lower case here. */
static void describe_host(struct reconcile *rc)
{
	struct bmh *h = &rc->host;
	lower(h->spec.boot_mac);
	rc->prov = (struct prov_host){
		.key = rc->key,
		.uid = h->meta.uid,
		.bmc_address = h->spec.bmc ? str_or(h->spec.bmc->address, "") : "",
		.bmc_insecure = h->spec.bmc && h->spec.bmc->insecure,
		.boot_mac = str_or(h->spec.boot_mac, ""),
		.power_only = h->spec.externally_provisioned,
		.dhcp_address = api_annotation(&h->meta, BMH_DHCP_ADDRESS),
		.rests_off = !h->spec.online && !h->status.powered_on,
		.boot_mode = boot_mode(h),
		.cleaning = streq(h->spec.cleaning, "disabled") ? PROV_CLEAN_DISABLED
								: PROV_CLEAN_METADATA,
		.root_hints = h->status.provisioning.root_hints,
		.root_hints_why = host_root_hints_default(h)
					  ? "the default, as neither spec.rootDeviceHints nor "
					    "spec.hardwareProfile names one"
					  : "by the root device hints",
		.root_hints_default = host_root_hints_default(h),
	};
}

/* From what is stored to what shall be: members that we do not know stay, required ones that are
 * not stored yet come along. */
static struct json *status_diff(const struct reconcile *rc, const struct json *now)
{
	const struct json *stored = json_get(rc->facts->object, "status");
	_cleanup_(json_freep) struct json *empty = json_new_object();
	_cleanup_(json_freep) struct json *change = json_merge_diff(rc->status_before, now);
	_cleanup_(json_freep) struct json *target = json_dup(stored ? stored : empty);
	json_merge_patch(&target, change);
	json_merge_patch(&target, now);
	return json_merge_diff(stored ? stored : empty, target);
}

/* The status write goes before any other write to the host: state first, then what follows from it.
 */
static void write_status(struct reconcile *rc)
{
	_cleanup_(json_freep) struct json *now = bmh_status_json(&rc->host.status);
	if (json_equal(now, rc->status_before))
		return;
	rc->host.status.last_updated = rc->facts->now;
	now = json_free(now);
	now = bmh_status_json(&rc->host.status);
	struct json *patch = host_locked_patch(rc);
	json_set(patch, "status", status_diff(rc, now));
	host_write(rc, HOST_PATCH_STATUS, NULL, patch);
	struct write *w = rc->out->writes;
	struct write status = w[rc->out->write_count - 1];
	size_t at = 0;
	while (at < rc->out->write_count - 1 && w[at].resource != &resource_host)
		at++;
	memmove(&w[at + 1], &w[at], (rc->out->write_count - 1 - at) * sizeof(w[0]));
	w[at] = status;
}

/* Who deletes a host that names no BMC has nothing to mend about it. */
static bool needs_credentials(const struct reconcile *rc)
{
	const struct bmh_bmc *bmc = rc->host.spec.bmc;
	bool named = bmc && (!str_empty(bmc->address) || !str_empty(bmc->credentials_name));
	return rc->state != BMH_NONE && rc->state != BMH_UNMANAGED &&
	       (named || !rc->host.meta.deleted_at);
}

/* A host that is being deleted goes on without credentials: what can be done without a BMC is
 * done. */
static struct next run(struct reconcile *rc)
{
	struct next a = { NEXT_AGAIN, 0 };
	host_release_unnamed_secrets(rc);
	if (restore_status(rc) || breaks_rules(rc, &a) || prepare_object(rc))
		return a;
	describe_host(rc);
	if (host_ramdisk_network(rc, &rc->network_data, &rc->network_error) < 0)
		rc->prov.network_data_error = rc->network_error.text;
	rc->prov.network_data = rc->network_data;
	bool managed = needs_credentials(rc);
	rc->examined = true;
	rc->have_credentials = managed && host_credentials(rc, &a);
	if (managed && !rc->have_credentials && !rc->host.meta.deleted_at)
		return a;
	if (managed)
		host_claim_network_data(rc);
	return machine_run(rc);
}

/* Nothing is wanted of the machine, so no error is shown that would have others act. DHCP goes on
 * to answer it. */
static struct next stay_held(struct reconcile *rc)
{
	struct provisioner *pr = rc->facts->provisioner;
	describe_host(rc);
	pr->ops->know(pr, &rc->prov);
	host_condition_held(rc);
	return (struct next){ NEXT_WAIT, 0 };
}

static struct next run_unless_held(struct reconcile *rc)
{
	if (rc->facts->held)
		return stay_held(rc);
	host_condition_held(rc);
	if (!api_annotation(&rc->host.meta, BMH_RELEASE))
		return run(rc);
	host_remove_annotation(rc, BMH_RELEASE);
	return (struct next){ NEXT_AGAIN, 0 };
}

/* Of a host that no one has looked into yet, a status that came along is no change of ours. */
static void note_states(struct reconcile *rc)
{
	struct outcome *out = rc->out;
	out->after = bmh_state_name((enum bmh_state)rc->host.status.provisioning.state);
	out->before = rc->examined ? bmh_state_name(rc->state) : out->after;
	if (!streq(out->before, out->after))
		host_measure(rc, METRIC_STATE_CHANGES, 1, out->before, out->after);
}

static void reconcile_bound(struct reconcile *rc)
{
	struct next *next = &rc->out->next;
	rc->state = (enum bmh_state)rc->host.status.provisioning.state;
	rc->key = xasprintf("%s/%s", rc->host.meta.ns, rc->host.meta.name);
	rc->status_before = bmh_status_json(&rc->host.status);
	*next = run_unless_held(rc);
	if (next->kind != NEXT_RETRY && next->kind != NEXT_GONE) {
		if (rc->examined)
			host_conditions(rc);
		write_status(rc);
	}
	if (next->kind == NEXT_FULL)
		next->delay = USEC_PER_MIN + (usec_t)(rc->facts->random * (double)USEC_PER_MIN);
	note_states(rc);
	json_free(rc->status_before);
	secret_free(rc->password);
	secret_free(rc->network_data);
	free(rc->bmc_ca);
	free(rc->bmc_pin);
	free(rc->trouble);
	free(rc->username);
	free(rc->key);
}

void host_reconcile(const struct host_facts *facts, struct outcome *ret)
{
	struct reconcile rc = { .facts = facts, .out = ret };
	*ret = (struct outcome){ 0 };
	if (facts->host) {
		rc.host = *facts->host;
		*facts->host = (struct bmh){ 0 };
	} else if (bmh_parse(facts->object, &rc.host, &ret->err) < 0) {
		ret->next.kind = NEXT_RETRY;
		return;
	}
	if (!host_is_held(facts->object))
		reconcile_bound(&rc);
	bmh_release(&rc.host);
}
