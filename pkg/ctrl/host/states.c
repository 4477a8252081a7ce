/* The work of each state. Every function may run again and again: it asks the provisioner for what
 * the state is about and moves on when that is done. Pure but for those calls. */

#include <stdio.h>
#include <stdlib.h>

#include "admission/rules.h"
#include "base/mem.h"
#include "ctrl/host/internal.h"
#include "json/patch.h"

static struct provisioner *prov(const struct pass *p)
{
	return p->facts->provisioner;
}

static struct next go(struct pass *p, enum bmh_state next)
{
	machine_go(p, next);
	return (struct next){ NEXT_AGAIN, 0 };
}

/* Under way: work has been resumed, so an old error is no longer the news. */
static struct next wait(struct pass *p, const struct prov_result *r)
{
	pass_clear_error(p);
	str_replace(&p->trouble, *r->error ? r->error : NULL);
	return (struct next){ NEXT_WAIT, r->requeue };
}

struct next state_none(struct pass *p)
{
	const struct bmh_bmc *bmc = p->host.spec.bmc;
	if (bmc && (!str_empty(bmc->address) || !str_empty(bmc->credentials_name)))
		return go(p, BMH_REGISTERING);
	pass_event(p, false, "Discovered", "Discovered host with no BMC details");
	p->host.status.operational = BMH_OP_DISCOVERED;
	pass_count(p, METRIC_UNMANAGED, NULL);
	return go(p, BMH_UNMANAGED);
}

struct next state_unmanaged(struct pass *p)
{
	const struct bmh_bmc *bmc = p->host.spec.bmc;
	if (bmc && (!str_empty(bmc->address) || !str_empty(bmc->credentials_name)))
		return go(p, BMH_REGISTERING);
	pass_count(p, METRIC_UNMANAGED, NULL);
	return (struct next){ NEXT_WAIT, 10 * USEC_PER_MIN };
}

struct next state_registering(struct pass *p)
{
	/* Registration itself has been done on the way here. */
	p->host.status.error_count = 0;
	if (!str_empty(p->host.spec.network_data_name))
		pass_event(
			p, true, "PreprovisioningNetworkData",
			"spec.preprovisioningNetworkDataName: the ramdisk is booted from the "
			"network and takes its address by DHCP, not from Secret %s, which serves "
			"an operating system without spec.networkData only",
			p->host.spec.network_data_name);
	if (p->host.spec.externally_provisioned)
		return go(p, BMH_EXTERNALLY_PROVISIONED);
	return go(p, host_inspection_disabled(&p->host) ? BMH_PREPARING : BMH_INSPECTING);
}

/* --- inspecting ------------------------------------------------------------------------------- */

static struct json *hardware_data(const struct pass *p, const struct json *details)
{
	struct json *o = json_new_object();
	json_set_string(o, "apiVersion", API_VERSION);
	json_set_string(o, "kind", "HardwareData");
	struct json *meta = json_make_object(o, "metadata");
	json_set_string(meta, "name", p->host.meta.name);
	json_set_string(meta, "namespace", p->host.meta.ns);
	json_append(json_set(meta, "finalizers", json_new_array()),
		    json_new_string(HARDWARE_FINALIZER));
	json_append(json_set(meta, "ownerReferences", json_new_array()),
		    api_owner_reference(API_VERSION, "BareMetalHost", p->host.meta.name,
					p->host.meta.uid, true));
	json_set(json_make_object(o, "spec"), "hardware", json_dup(details));
	return o;
}

static struct json *locked(const struct json *object)
{
	struct json *patch = json_new_object();
	json_set_string(json_make_object(patch, "metadata"), "resourceVersion",
			json_get_path_string(object, "metadata.resourceVersion"));
	return patch;
}

/* HardwareData is made anew with each inspection, as baremetal-operator does; but where somebody
 * else's finalizer guards it, it stays, with nothing of an earlier inspection left in it. */
static void replace_hardware_data(struct pass *p, const struct json *details)
{
	const struct json *old = p->facts->hardware_data;
	struct json *others = finalizers_without(json_get_path(old, "metadata.finalizers"),
						 HARDWARE_FINALIZER);
	struct json *patch = locked(old);
	if (json_count(others) > 0) {
		struct json *diff = json_merge_diff(json_get_path(old, "spec.hardware"), details);
		json_set(json_make_object(patch, "spec"), "hardware",
			 diff ? diff : json_new_object());
		pass_write(p, HOST_HARDWARE_PATCH, NULL, patch);
		json_free(others);
		return;
	}
	json_set(json_make_object(patch, "metadata"), "finalizers", others);
	pass_write(p, HOST_HARDWARE_PATCH, NULL, patch);
	pass_write(p, HOST_HARDWARE_DELETE, json_get_path_string(old, "metadata.uid"), NULL);
	pass_write(p, HOST_HARDWARE_CREATE, NULL, hardware_data(p, details));
}

static void store_hardware(struct pass *p, const struct json *inventory)
{
	struct json *details = hardware_details(inventory);
	bool leaving = p->host.meta.deleted_at != 0; /* HardwareData goes with the host */
	if (!leaving && p->facts->hardware_data)
		replace_hardware_data(p, details);
	else if (!leaving)
		pass_write(p, HOST_HARDWARE_CREATE, NULL, hardware_data(p, details));
	json_free(p->host.status.hardware);
	p->host.status.hardware = details;
}

struct next state_inspecting(struct pass *p)
{
	struct bmh_status *s = &p->host.status;
	const char *refresh = api_annotation(&p->host.meta, BMH_INSPECT);
	struct prov_inspect params = {
		.retry = s->error == BMH_ERROR_INSPECTION,
		.refresh = refresh && !streq(refresh, "disabled"),
		.force_reboot = pass_force_reboot(p),
	};
	struct prov_result r;
	const struct json *inventory = NULL;
	if (host_inspection_disabled(&p->host)) {
		pass_event(p, false, "InspectionSkipped",
			   "disabled by spec.inspectionMode or annotation");
		s->error_count = 0;
		return go(p, BMH_PREPARING);
	}
	prov(p)->ops->inspect(prov(p), &p->prov, &params, &inventory, &r);
	if (r.outcome == PROV_FAILED)
		return pass_fail(p, BMH_ERROR_INSPECTION, "%s", pass_words(&r));
	if (r.started && params.refresh)
		pass_remove_annotation(p, BMH_INSPECT);
	if (r.started && params.force_reboot)
		pass_remove_annotation(p, BMH_REBOOT);
	if (r.outcome == PROV_RUNNING)
		return wait(p, &r);
	store_hardware(p, inventory);
	pass_event(p, false, "InspectionComplete", "Hardware inspection completed");
	pass_tell_root_disk(p);
	pass_clear_error(p);
	s->error_count = 0;
	return go(p, BMH_PREPARING);
}

struct next state_match_profile(struct pass *p)
{
	return go(p, BMH_PREPARING); /* an old state, only left */
}

/* --- preparing, available --------------------------------------------------------------------- */

/* Takes hints. They are in effect until the next preparing, whatever the spec says meanwhile. */
static void save_hints(struct pass *p, struct json *hints)
{
	struct bmh_provisioning *s = &p->host.status.provisioning;
	json_free(s->root_hints);
	s->root_hints = hints;
}

struct next state_preparing(struct pass *p)
{
	struct bmh_status *s = &p->host.status;
	struct prov_prepare params = { .retry = s->error == BMH_ERROR_PREPARATION };
	struct prov_result r;
	struct json *hints = NULL;
	struct err err = { 0 };
	prov(p)->ops->prepare(prov(p), &p->prov, &params, &r);
	if (r.outcome == PROV_FAILED)
		return pass_fail(p, BMH_ERROR_PREPARATION, "%s", pass_words(&r));
	if (r.outcome == PROV_RUNNING)
		return wait(p, &r);
	/* `available` promises that an image can be written to the host. */
	if (host_root_hints(&p->host, &hints, &err) < 0)
		return pass_fail_once(p, BMH_ERROR_PREPARATION, 0, "PreparationError", "%s",
				      err.text);
	save_hints(p, hints);
	pass_clear_error(p);
	pass_take_power(p);
	s->error_count = 0;
	return go(p, BMH_AVAILABLE);
}

/* Unlimited when the limit is 0; a changed image starts anew. */
static bool retries_exhausted(struct pass *p)
{
	struct bmh_status *s = &p->host.status;
	if (!bmh_image_equal(p->host.spec.image, s->last_attempted))
		s->fail_count = 0;
	unsigned limit = p->facts->max_provisioning_retries;
	return limit > 0 && s->fail_count >= limit;
}

/* Can what the spec wants be done, by this Ingot and with the Secrets that there are? Asked before
 * anything is begun or undone for it. A new text: why not; NULL: it can. *ret_again: when to ask
 * again, because Secrets come without anybody telling us. */
static char *why_not(struct pass *p, usec_t *ret_again)
{
	_cleanup_(causes_done) struct causes causes = { 0 };
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	struct config_drive_texts texts = { 0 };
	struct err err = { 0 };
	rules_check_wanted(p->facts->object, &causes);
	*ret_again = 10 * USEC_PER_MIN;
	if (causes.count) {
		causes_format(&causes, &text);
		return strbuf_take(&text, NULL);
	}
	*ret_again = 10 * USEC_PER_SEC;
	if (pass_config_drive(p, &texts, &err) < 0) {
		pass_count(p, METRIC_CONFIG_DATA_ERRORS, texts.failed);
		return xstrdup(err.text);
	}
	config_drive_texts_done(&texts);
	return NULL;
}

/* True: *ret is the outcome. */
static bool cannot_provision(struct pass *p, struct next *ret)
{
	usec_t again;
	_cleanup_(freep) char *why = why_not(p, &again);
	if (why)
		*ret = pass_fail_once(p, BMH_ERROR_PROVISIONING, again, "ProvisioningError", "%s",
				      why);
	return why != NULL;
}

/* Nothing is wanted, or not yet: what was said of a wish is no longer true. Who looks for a free
 * host passes by those with an error. */
static void forget_wishes(struct pass *p)
{
	struct bmh_status *s = &p->host.status;
	if (s->error != BMH_ERROR_PROVISIONING)
		return;
	pass_clear_error(p);
	s->error_count = 0;
}

struct next state_available(struct pass *p)
{
	struct bmh_status *s = &p->host.status;
	const char *refresh = api_annotation(&p->host.meta, BMH_INSPECT);
	struct next refusal;
	if (p->host.spec.externally_provisioned) {
		save_hints(p, NULL);
		return go(p, BMH_EXTERNALLY_PROVISIONED);
	}
	if (refresh && !streq(refresh, "disabled"))
		return go(p, BMH_INSPECTING);
	if (host_root_hints_stale(&p->host))
		return go(p, BMH_PREPARING);
	if (bmh_image_empty(p->host.spec.image) && !p->host.spec.custom_deploy) {
		s->fail_count = 0;
		s->last_attempted = bmh_image_free(s->last_attempted);
	}
	if (!host_wants_provisioning(&p->host)) {
		forget_wishes(p);
		return pass_power(p, false);
	}
	if (cannot_provision(p, &refusal))
		return refusal;
	if (!retries_exhausted(p)) {
		forget_wishes(p); /* of a wish before this one */
		return go(p, BMH_PROVISIONING);
	}
	return pass_fail_once(
		p, BMH_ERROR_PROVISIONING, host_backoff(s->error_count, p->facts->random),
		"ProvisioningError",
		"Provisioning of this image failed %lld times in a row, the limit is %u: change spec.image "
		"(or clear it and set it again) to start anew",
		(long long)s->fail_count, p->facts->max_provisioning_retries);
}

/* --- provisioning ----------------------------------------------------------------------------- */

static void provisioned(struct pass *p)
{
	struct bmh_status *s = &p->host.status;
	bmh_image_assign(&s->provisioning.image, p->host.spec.image);
	pass_clear_error(p);
	s->error_count = s->fail_count = 0;
	pass_event(p, false, "ProvisioningComplete", "Image provisioning completed for %s",
		   p->host.spec.image ? p->host.spec.image->url : "");
	machine_go(p, BMH_PROVISIONED);
}

/* What cannot be done now has failed in nothing: a deployment that runs meanwhile goes on, and is
 * found again when it can. */
static void forget_attempt(struct pass *p)
{
	p->host.status.last_attempted = bmh_image_free(p->host.status.last_attempted);
}

static struct next provision(struct pass *p)
{
	struct bmh_status *s = &p->host.status;
	const struct bmh_image *image = p->host.spec.image;
	struct config_drive_texts texts = { 0 };
	struct prov_result r;
	struct err err = { 0 };
	if (pass_config_drive(p, &texts, &err) < 0) {
		pass_count(p, METRIC_CONFIG_DATA_ERRORS, texts.failed);
		forget_attempt(p);
		return pass_fail_once(p, BMH_ERROR_PROVISIONING, 10 * USEC_PER_SEC,
				      "ProvisioningError", "%s", err.text);
	}
	struct prov_provision params = {
		.image = { image->url, str_or(image->checksum, ""),
			   str_or(image->checksum_type, ""), str_or(image->format, "") },
		.config_drive = { texts.meta_data, texts.network_data, texts.user_data,
				  texts.user_data_len },
		.retry = false,
		.force_reboot = pass_force_reboot(p),
	};
	prov(p)->ops->provision(prov(p), &p->prov, &params, &r);
	config_drive_texts_done(&texts);
	if (r.outcome == PROV_FAILED)
		return pass_fail(p, BMH_ERROR_PROVISIONING, "%s", pass_words(&r));
	if (r.started && params.force_reboot)
		pass_remove_annotation(p, BMH_REBOOT);
	if (r.outcome == PROV_RUNNING)
		return wait(p, &r);
	provisioned(p);
	s->powered_on = true;
	return (struct next){ NEXT_AGAIN, 0 };
}

struct next state_provisioning(struct pass *p)
{
	struct bmh_status *s = &p->host.status;
	/* A failed deployment leaves a disk in an unknown state: it is cleaned before the next
	 * attempt. The error of a missing Secret has touched nothing and goes away by itself. */
	bool attempted = s->last_attempted &&
			 bmh_image_equal(s->last_attempted, p->host.spec.image);
	if (s->error == BMH_ERROR_PROVISIONING && attempted) {
		s->fail_count++;
		return go(p, BMH_DEPROVISIONING);
	}
	if (host_provisioning_cancelled(&p->host))
		return go(p, BMH_DEPROVISIONING);
	struct next refusal;
	if (!attempted && cannot_provision(p, &refusal)) {
		forget_attempt(p);
		return refusal;
	}
	if (!attempted) {
		s->last_attempted = bmh_image_free(s->last_attempted);
		s->last_attempted = bmh_image_dup(p->host.spec.image);
		pass_clear_error(p);
		return (struct next){ NEXT_AGAIN, 0 }; /* stored before the attempt begins */
	}
	return provision(p);
}

/* Tells the engine of a host that runs its image; does nothing when it knows. False: *ret is the
 * outcome. */
static bool adopt(struct pass *p, struct next *ret)
{
	struct prov_result r;
	bool retry = p->host.status.error == BMH_ERROR_PROVISIONED_REGISTRATION;
	prov(p)->ops->adopt(prov(p), &p->prov, retry, &r);
	if (r.outcome == PROV_DONE) {
		if (retry)
			pass_clear_error(p);
		return true;
	}
	if (r.outcome == PROV_FAILED)
		*ret = pass_fail(p, BMH_ERROR_PROVISIONED_REGISTRATION, "%s", pass_words(&r));
	else
		*ret = (struct next){ NEXT_WAIT, r.requeue };
	return false;
}

/* What shall come in place of what runs. False: it cannot; what runs stays, and so does its power
 * management, beside the error. */
static bool successor_can(struct pass *p)
{
	usec_t again;
	_cleanup_(freep) char *why = host_names_image(&p->host) ? why_not(p, &again) : NULL;
	if (why)
		pass_stand_error(p, BMH_ERROR_PROVISIONING, why);
	return !why;
}

struct next state_provisioned(struct pass *p)
{
	struct next a;
	if (!host_provisioning_cancelled(&p->host))
		forget_wishes(p);
	else if (successor_can(p))
		return go(p, BMH_DEPROVISIONING);
	return adopt(p, &a) ? pass_power(p, true) : a;
}

struct next state_externally_provisioned(struct pass *p)
{
	struct bmh_status *s = &p->host.status;
	struct json *hints = NULL;
	struct next a;
	if (p->host.spec.externally_provisioned)
		return adopt(p, &a) ? pass_power(p, true) : a;
	bmh_image_assign(&s->provisioning.image, p->host.spec.image);
	/* It has never been prepared; without an error here, because its disks are not known: the
	 * agent refuses before it writes. */
	if (host_root_hints(&p->host, &hints, NULL) < 0)
		hints = host_default_hints(&p->host);
	save_hints(p, hints);
	return go(p, BMH_PROVISIONED);
}

/* --- the way out ------------------------------------------------------------------------------ */

static struct next deprovisioned(struct pass *p)
{
	struct bmh_status *s = &p->host.status;
	bmh_image_assign(&s->provisioning.image, NULL);
	if (s->provisioning.custom_deploy)
		free(s->provisioning.custom_deploy->method);
	free(s->provisioning.custom_deploy);
	s->provisioning.custom_deploy = NULL;
	pass_clear_error(p);
	pass_take_power(p); /* available and off are one write: who takes it next looks at both */
	s->error_count = 0;
	pass_event(p, false, "DeprovisioningComplete", "Image deprovisioning completed");
	return go(p, p->host.meta.deleted_at ? BMH_POWERING_OFF : BMH_AVAILABLE);
}

struct next state_deprovisioning(struct pass *p)
{
	struct bmh_status *s = &p->host.status;
	struct prov_deprovision params = { .retry = s->error == BMH_ERROR_PROVISIONING };
	struct prov_result r;
	prov(p)->ops->deprovision(prov(p), &p->prov, &params, &r);
	if (r.outcome == PROV_DONE)
		return deprovisioned(p);
	if (r.outcome == PROV_RUNNING)
		return wait(p, &r);
	struct next a = pass_fail(p, BMH_ERROR_PROVISIONING, "%s", pass_words(&r));
	if (!host_deletion_gives_up(&p->host))
		return a;
	pass_count(p, METRIC_DELETED_NOT_DEPROVISIONED, NULL);
	return go(p, BMH_POWERING_OFF);
}

struct next state_powering_off(struct pass *p)
{
	struct bmh_status *s = &p->host.status;
	struct prov_result r;
	if (p->host.spec.disable_power_off)
		return go(p, BMH_DELETING);
	prov(p)->ops->power_off(prov(p), &p->prov, true, s->error == BMH_ERROR_POWER, &r);
	if (r.outcome == PROV_RUNNING)
		return wait(p, &r);
	if (r.outcome == PROV_FAILED) {
		struct next a = pass_fail(p, BMH_ERROR_POWER, "%s", pass_words(&r));
		if (!host_deletion_gives_up(&p->host))
			return a;
		pass_count(p, METRIC_DELETED_NOT_POWERED_OFF, NULL);
	}
	s->powered_on = r.outcome == PROV_FAILED && s->powered_on;
	s->error_count = 0;
	return go(p, BMH_DELETING);
}

/* Before the host's own finalizer goes, after which no reconcile would see it. It is deleted with
 * its owner. */
static void release_record(struct pass *p)
{
	const struct json *finalizers = json_get_path(p->facts->record, "metadata.finalizers");
	if (!finalizers_have(finalizers, RECORD_FINALIZER))
		return;
	struct json *record = json_dup(p->facts->record);
	json_set(json_get_mut(record, "metadata"), "finalizers",
		 finalizers_without(finalizers, RECORD_FINALIZER));
	pass_write(p, HOST_RECORD_UPDATE, NULL, record);
}

struct next state_deleting(struct pass *p)
{
	struct prov_result r;
	prov(p)->ops->remove(prov(p), &p->prov, false, &r);
	if (r.outcome == PROV_RUNNING)
		return (struct next){ NEXT_WAIT, r.requeue };
	pass_release_secrets(p);
	release_record(p);
	struct json *patch = pass_locked_patch(p);
	json_set(json_get_mut(patch, "metadata"), "finalizers",
		 finalizers_without(p->host.meta.finalizers, BMH_FINALIZER));
	pass_write(p, HOST_PATCH, NULL, patch);
	return (struct next){ NEXT_GONE, 0 };
}
