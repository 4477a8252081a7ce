/* The work of each state. Every function may run again and again: it asks the provisioner for what
 * the state is about and moves on when that is done. Pure but for those calls. */

#include <stdio.h>
#include <stdlib.h>

#include "admission/rules.h"
#include "base/mem.h"
#include "ctrl/host/hardware.h"
#include "ctrl/host/internal.h"
#include "json/patch.h"

static struct provisioner *prov(const struct reconcile *rc)
{
	return rc->facts->provisioner;
}

static struct next go(struct reconcile *rc, enum bmh_state next)
{
	machine_go(rc, next);
	return (struct next){ NEXT_AGAIN, 0 };
}

/* Under way: work has been resumed, so an old error is no longer the news. */
static struct next wait(struct reconcile *rc, const struct prov_result *r)
{
	host_clear_error(rc);
	str_replace(&rc->trouble, *r->error ? r->error : NULL);
	return (struct next){ NEXT_WAIT, r->requeue };
}

/* The first state of an object. A host without BMC details is only an inventory entry
 * ("discovered") until it gets some. */
struct next state_none(struct reconcile *rc)
{
	const struct bmh_bmc *bmc = rc->host.spec.bmc;
	if (bmc && (!str_empty(bmc->address) || !str_empty(bmc->credentials_name)))
		return go(rc, BMH_REGISTERING);
	host_event(rc, false, "Discovered", "Discovered host with no BMC details");
	rc->host.status.operational = BMH_OP_DISCOVERED;
	host_count(rc, METRIC_UNMANAGED, NULL);
	return go(rc, BMH_UNMANAGED);
}

/* Left by an edit of spec.bmc, which wakes the host; the wait is for a watch that has missed it. */
struct next state_unmanaged(struct reconcile *rc)
{
	const struct bmh_bmc *bmc = rc->host.spec.bmc;
	if (bmc && (!str_empty(bmc->address) || !str_empty(bmc->credentials_name)))
		return go(rc, BMH_REGISTERING);
	host_count(rc, METRIC_UNMANAGED, NULL);
	return (struct next){ NEXT_WAIT, 10 * USEC_PER_MIN };
}

struct next state_registering(struct reconcile *rc)
{
	/* Registration itself has been done on the way here. */
	rc->host.status.error_count = 0;
	if (!str_empty(rc->host.spec.network_data_name))
		host_event(
			rc, true, "PreprovisioningNetworkData",
			"spec.preprovisioningNetworkDataName: the ramdisk is booted from the "
			"network and takes its address by DHCP, not from Secret %s, which serves "
			"an operating system without spec.networkData only",
			rc->host.spec.network_data_name);
	if (rc->host.spec.externally_provisioned)
		return go(rc, BMH_EXTERNALLY_PROVISIONED);
	return go(rc, host_inspection_disabled(&rc->host) ? BMH_PREPARING : BMH_INSPECTING);
}

/* --- inspecting ------------------------------------------------------------------------------- */

/* HardwareData has the name of its host and is owned by it. The finalizer keeps it until the
 * host is gone, because a deletion in the foreground would take it first. */
static struct json *hardware_data(const struct reconcile *rc, const struct json *details)
{
	struct json *o = json_new_object();
	json_set_string(o, "apiVersion", API_VERSION);
	json_set_string(o, "kind", "HardwareData");
	struct json *meta = json_make_object(o, "metadata");
	json_set_string(meta, "name", rc->host.meta.name);
	json_set_string(meta, "namespace", rc->host.meta.ns);
	json_append(json_set(meta, "finalizers", json_new_array()),
		    json_new_string(HARDWARE_FINALIZER));
	json_append(json_set(meta, "ownerReferences", json_new_array()),
		    api_owner_reference(API_VERSION, "BareMetalHost", rc->host.meta.name,
					rc->host.meta.uid, true));
	json_set(json_make_object(o, "spec"), "hardware", json_dup(details));
	return o;
}

/* A merge patch that is refused when the object has changed since it was read. */
static struct json *locked(const struct json *object)
{
	struct json *patch = json_new_object();
	json_set_string(json_make_object(patch, "metadata"), "resourceVersion",
			json_get_path_string(object, "metadata.resourceVersion"));
	return patch;
}

/* HardwareData is made anew with each inspection, as baremetal-operator does; but where
 * another client's finalizer guards it, it stays, with nothing of an earlier inspection left in it.
 */
static void replace_hardware_data(struct reconcile *rc, const struct json *details)
{
	const struct json *old = rc->facts->hardware_data;
	struct json *others = finalizers_without(json_get_path(old, "metadata.finalizers"),
						 HARDWARE_FINALIZER);
	struct json *patch = locked(old);
	if (json_count(others) > 0) {
		struct json *diff = json_merge_diff(json_get_path(old, "spec.hardware"), details);
		json_set(json_make_object(patch, "spec"), "hardware",
			 diff ? diff : json_new_object());
		host_write(rc, HOST_HARDWARE_PATCH, NULL, patch);
		json_free(others);
		return;
	}
	json_set(json_make_object(patch, "metadata"), "finalizers", others);
	host_write(rc, HOST_HARDWARE_PATCH, NULL, patch);
	host_write(rc, HOST_HARDWARE_DELETE, json_get_path_string(old, "metadata.uid"), NULL);
	host_write(rc, HOST_HARDWARE_CREATE, NULL, hardware_data(rc, details));
}

/* The same details go to HardwareData and to the status, as in upstream; consumers read either. */
static void store_hardware(struct reconcile *rc, const struct json *inventory)
{
	struct json *details = hardware_details(inventory);
	bool leaving = rc->host.meta.deleted_at != 0; /* HardwareData goes with the host */
	if (!leaving && rc->facts->hardware_data)
		replace_hardware_data(rc, details);
	else if (!leaving)
		host_write(rc, HOST_HARDWARE_CREATE, NULL, hardware_data(rc, details));
	json_free(rc->host.status.hardware);
	rc->host.status.hardware = details;
}

/* The annotation inspect.metal3.io asks for another inspection and is removed when that has
 * begun, so that it does not ask twice. */
struct next state_inspecting(struct reconcile *rc)
{
	struct bmh_status *s = &rc->host.status;
	const char *refresh = api_annotation(&rc->host.meta, BMH_INSPECT);
	struct prov_inspect params = {
		.retry = s->error == BMH_ERROR_INSPECTION,
		.refresh = refresh && !streq(refresh, "disabled"),
		.force_reboot = host_force_reboot(rc),
	};
	struct prov_result r;
	const struct json *inventory = NULL;
	if (host_inspection_disabled(&rc->host)) {
		host_event(rc, false, "InspectionSkipped",
			   "disabled by spec.inspectionMode or annotation");
		s->error_count = 0;
		return go(rc, BMH_PREPARING);
	}
	prov(rc)->ops->inspect(prov(rc), &rc->prov, &params, &inventory, &r);
	if (r.outcome == PROV_FAILED)
		return host_fail(rc, BMH_ERROR_INSPECTION, "%s", host_words(&r));
	if (r.started && params.refresh)
		host_remove_annotation(rc, BMH_INSPECT);
	if (r.started && params.force_reboot)
		host_remove_annotation(rc, BMH_REBOOT);
	if (r.outcome == PROV_RUNNING)
		return wait(rc, &r);
	store_hardware(rc, inventory);
	host_event(rc, false, "InspectionComplete", "Hardware inspection completed");
	host_report_root_disk(rc);
	host_clear_error(rc);
	s->error_count = 0;
	return go(rc, BMH_PREPARING);
}

struct next state_match_profile(struct reconcile *rc)
{
	return go(rc, BMH_PREPARING); /* an old state, only left */
}

/* --- preparing, available --------------------------------------------------------------------- */

/* Takes hints. They are in effect until the next preparing, whatever the spec says meanwhile. */
static void save_hints(struct reconcile *rc, struct json *hints)
{
	struct bmh_provisioning *s = &rc->host.status.provisioning;
	json_free(s->root_hints);
	s->root_hints = hints;
}

struct next state_preparing(struct reconcile *rc)
{
	struct bmh_status *s = &rc->host.status;
	struct prov_prepare params = { .retry = s->error == BMH_ERROR_PREPARATION };
	struct prov_result r;
	struct json *hints = NULL;
	struct err err = { 0 };
	prov(rc)->ops->prepare(prov(rc), &rc->prov, &params, &r);
	if (r.outcome == PROV_FAILED)
		return host_fail(rc, BMH_ERROR_PREPARATION, "%s", host_words(&r));
	if (r.outcome == PROV_RUNNING)
		return wait(rc, &r);
	/* `available` promises that an image can be written to the host. */
	if (host_root_hints(&rc->host, &hints, &err) < 0)
		return host_fail_once(rc, BMH_ERROR_PREPARATION, 0, "PreparationError", "%s",
				      err.text);
	save_hints(rc, hints);
	host_clear_error(rc);
	host_take_power(rc);
	s->error_count = 0;
	return go(rc, BMH_AVAILABLE);
}

/* Unlimited when the limit is 0; a changed image starts anew. */
static bool retries_exhausted(struct reconcile *rc)
{
	struct bmh_status *s = &rc->host.status;
	if (!bmh_image_equal(rc->host.spec.image, s->last_attempted))
		s->fail_count = 0;
	unsigned limit = rc->facts->max_provisioning_retries;
	return limit > 0 && s->fail_count >= limit;
}

/* Can what the spec wants be done, by this Ingot and with the Secrets that there are? Asked before
 * anything is begun or undone for it. A new text: why not; NULL: it can. *ret_again: when to ask
 * again, because Secrets come without anybody telling us. */
static char *provision_obstacle(struct reconcile *rc, usec_t *ret_again)
{
	_cleanup_(causes_done) struct causes causes = { 0 };
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	struct config_drive_texts texts = { 0 };
	struct err err = { 0 };
	rules_check_wanted(rc->facts->object, &causes);
	*ret_again = 10 * USEC_PER_MIN;
	if (causes.count) {
		causes_format(&causes, &text);
		return strbuf_take(&text, NULL);
	}
	*ret_again = 10 * USEC_PER_SEC;
	if (host_config_drive(rc, &texts, &err) < 0) {
		host_count(rc, METRIC_CONFIG_DATA_ERRORS, texts.failed);
		return xstrdup(err.text);
	}
	config_drive_texts_done(&texts);
	return NULL;
}

/* True: *ret is the outcome. */
static bool cannot_provision(struct reconcile *rc, struct next *ret)
{
	usec_t again;
	_cleanup_(freep) char *why = provision_obstacle(rc, &again);
	if (why)
		*ret = host_fail_once(rc, BMH_ERROR_PROVISIONING, again, "ProvisioningError", "%s",
				      why);
	return why != NULL;
}

/* No image is wanted now, so an error about an earlier one no longer holds. Consumers skip hosts
 * with an error when they look for a free one. */
static void clear_image_error(struct reconcile *rc)
{
	struct bmh_status *s = &rc->host.status;
	if (s->error != BMH_ERROR_PROVISIONING)
		return;
	host_clear_error(rc);
	s->error_count = 0;
}

struct next state_available(struct reconcile *rc)
{
	struct bmh_status *s = &rc->host.status;
	const char *refresh = api_annotation(&rc->host.meta, BMH_INSPECT);
	struct next refusal;
	if (rc->host.spec.externally_provisioned) {
		save_hints(rc, NULL);
		return go(rc, BMH_EXTERNALLY_PROVISIONED);
	}
	if (refresh && !streq(refresh, "disabled"))
		return go(rc, BMH_INSPECTING);
	if (host_root_hints_stale(&rc->host))
		return go(rc, BMH_PREPARING);
	if (bmh_image_empty(rc->host.spec.image) && !rc->host.spec.custom_deploy) {
		s->fail_count = 0;
		s->last_attempted = bmh_image_free(s->last_attempted);
	}
	if (!host_wants_provisioning(&rc->host)) {
		clear_image_error(rc);
		return host_power(rc, false);
	}
	if (cannot_provision(rc, &refusal))
		return refusal;
	if (!retries_exhausted(rc)) {
		clear_image_error(rc); /* of a wish before this one */
		return go(rc, BMH_PROVISIONING);
	}
	return host_fail_once(
		rc, BMH_ERROR_PROVISIONING, host_backoff(s->error_count, rc->facts->random),
		"ProvisioningError",
		"Provisioning of this image failed %lld times in a row, the limit is %u: change spec.image "
		"(or clear it and set it again) to start anew",
		(long long)s->fail_count, rc->facts->max_provisioning_retries);
}

/* --- provisioning ----------------------------------------------------------------------------- */

static void provisioned(struct reconcile *rc)
{
	struct bmh_status *s = &rc->host.status;
	bmh_image_assign(&s->provisioning.image, rc->host.spec.image);
	host_clear_error(rc);
	s->error_count = s->fail_count = 0;
	host_event(rc, false, "ProvisioningComplete", "Image provisioning completed for %s",
		   rc->host.spec.image ? rc->host.spec.image->url : "");
	machine_go(rc, BMH_PROVISIONED);
}

/* What cannot be done now has failed in nothing: a deployment that runs meanwhile goes on, and is
 * found again when it can. */
static void forget_attempt(struct reconcile *rc)
{
	rc->host.status.last_attempted = bmh_image_free(rc->host.status.last_attempted);
}

static struct next provision(struct reconcile *rc)
{
	struct bmh_status *s = &rc->host.status;
	const struct bmh_image *image = rc->host.spec.image;
	struct config_drive_texts texts = { 0 };
	struct prov_result r;
	struct err err = { 0 };
	if (host_config_drive(rc, &texts, &err) < 0) {
		host_count(rc, METRIC_CONFIG_DATA_ERRORS, texts.failed);
		forget_attempt(rc);
		return host_fail_once(rc, BMH_ERROR_PROVISIONING, 10 * USEC_PER_SEC,
				      "ProvisioningError", "%s", err.text);
	}
	struct prov_provision params = {
		.image = { image->url, str_or(image->checksum, ""),
			   str_or(image->checksum_type, ""), str_or(image->format, "") },
		.config_drive = { texts.meta_data, texts.network_data, texts.user_data,
				  texts.user_data_len },
		.retry = false,
		.force_reboot = host_force_reboot(rc),
	};
	prov(rc)->ops->provision(prov(rc), &rc->prov, &params, &r);
	config_drive_texts_done(&texts);
	if (r.outcome == PROV_FAILED)
		return host_fail(rc, BMH_ERROR_PROVISIONING, "%s", host_words(&r));
	if (r.started && params.force_reboot)
		host_remove_annotation(rc, BMH_REBOOT);
	if (r.outcome == PROV_RUNNING)
		return wait(rc, &r);
	provisioned(rc);
	s->powered_on = true;
	return (struct next){ NEXT_AGAIN, 0 };
}

struct next state_provisioning(struct reconcile *rc)
{
	struct bmh_status *s = &rc->host.status;
	/* A failed deployment leaves a disk in an unknown state: it is cleaned before the next
	 * attempt. The error of a missing Secret has touched nothing and goes away by itself. */
	bool attempted = s->last_attempted &&
			 bmh_image_equal(s->last_attempted, rc->host.spec.image);
	if (s->error == BMH_ERROR_PROVISIONING && attempted) {
		s->fail_count++;
		return go(rc, BMH_DEPROVISIONING);
	}
	if (host_provisioning_cancelled(&rc->host))
		return go(rc, BMH_DEPROVISIONING);
	struct next refusal;
	if (!attempted && cannot_provision(rc, &refusal)) {
		forget_attempt(rc);
		return refusal;
	}
	if (!attempted) {
		s->last_attempted = bmh_image_free(s->last_attempted);
		s->last_attempted = bmh_image_dup(rc->host.spec.image);
		host_clear_error(rc);
		return (struct next){ NEXT_AGAIN, 0 }; /* stored before the attempt begins */
	}
	return provision(rc);
}

/* Tells the engine of a host that runs its image; does nothing when it knows. False: *ret is the
 * outcome. */
static bool adopt(struct reconcile *rc, struct next *ret)
{
	struct prov_result r;
	bool retry = rc->host.status.error == BMH_ERROR_PROVISIONED_REGISTRATION;
	prov(rc)->ops->adopt(prov(rc), &rc->prov, retry, &r);
	if (r.outcome == PROV_DONE) {
		if (retry)
			host_clear_error(rc);
		return true;
	}
	if (r.outcome == PROV_FAILED)
		*ret = host_fail(rc, BMH_ERROR_PROVISIONED_REGISTRATION, "%s", host_words(&r));
	else
		*ret = (struct next){ NEXT_WAIT, r.requeue };
	return false;
}

/* What shall come in place of what runs. False: it cannot; what runs stays, and so does its power
 * management, beside the error. */
static bool successor_can(struct reconcile *rc)
{
	usec_t again;
	_cleanup_(freep) char *why = host_names_image(&rc->host) ? provision_obstacle(rc, &again)
								 : NULL;
	if (why)
		host_show_error(rc, BMH_ERROR_PROVISIONING, why);
	return !why;
}

struct next state_provisioned(struct reconcile *rc)
{
	struct next a;
	if (!host_provisioning_cancelled(&rc->host))
		clear_image_error(rc);
	else if (successor_can(rc))
		return go(rc, BMH_DEPROVISIONING);
	return adopt(rc, &a) ? host_power(rc, true) : a;
}

struct next state_externally_provisioned(struct reconcile *rc)
{
	struct bmh_status *s = &rc->host.status;
	struct json *hints = NULL;
	struct next a;
	if (rc->host.spec.externally_provisioned)
		return adopt(rc, &a) ? host_power(rc, true) : a;
	bmh_image_assign(&s->provisioning.image, rc->host.spec.image);
	/* It has never been prepared; without an error here, because its disks are not known: the
	 * agent refuses before it writes. */
	if (host_root_hints(&rc->host, &hints, NULL) < 0)
		hints = host_default_hints(&rc->host);
	save_hints(rc, hints);
	return go(rc, BMH_PROVISIONED);
}

/* --- the way out ------------------------------------------------------------------------------ */

static struct next deprovisioned(struct reconcile *rc)
{
	struct bmh_status *s = &rc->host.status;
	bmh_image_assign(&s->provisioning.image, NULL);
	if (s->provisioning.custom_deploy)
		free(s->provisioning.custom_deploy->method);
	free(s->provisioning.custom_deploy);
	s->provisioning.custom_deploy = NULL;
	host_clear_error(rc);
	host_take_power(rc); /* available and off are one write: who takes it next looks at both */
	s->error_count = 0;
	host_event(rc, false, "DeprovisioningComplete", "Image deprovisioning completed");
	return go(rc, rc->host.meta.deleted_at ? BMH_POWERING_OFF : BMH_AVAILABLE);
}

struct next state_deprovisioning(struct reconcile *rc)
{
	struct bmh_status *s = &rc->host.status;
	struct prov_deprovision params = { .retry = s->error == BMH_ERROR_PROVISIONING };
	struct prov_result r;
	prov(rc)->ops->deprovision(prov(rc), &rc->prov, &params, &r);
	if (r.outcome == PROV_DONE)
		return deprovisioned(rc);
	if (r.outcome == PROV_RUNNING)
		return wait(rc, &r);
	struct next a = host_fail(rc, BMH_ERROR_PROVISIONING, "%s", host_words(&r));
	if (!host_deletion_gives_up(&rc->host))
		return a;
	host_count(rc, METRIC_DELETED_NOT_DEPROVISIONED, NULL);
	return go(rc, BMH_POWERING_OFF);
}

struct next state_powering_off(struct reconcile *rc)
{
	struct bmh_status *s = &rc->host.status;
	struct prov_result r;
	if (rc->host.spec.disable_power_off)
		return go(rc, BMH_DELETING);
	prov(rc)->ops->power_off(prov(rc), &rc->prov, true, s->error == BMH_ERROR_POWER, &r);
	if (r.outcome == PROV_RUNNING)
		return wait(rc, &r);
	if (r.outcome == PROV_FAILED) {
		struct next a = host_fail(rc, BMH_ERROR_POWER, "%s", host_words(&r));
		if (!host_deletion_gives_up(&rc->host))
			return a;
		host_count(rc, METRIC_DELETED_NOT_POWERED_OFF, NULL);
	}
	s->powered_on = r.outcome == PROV_FAILED && s->powered_on;
	s->error_count = 0;
	return go(rc, BMH_DELETING);
}

/* Before the host's own finalizer goes, after which no reconcile would see it. It is deleted with
 * its owner. */
static void release_record(struct reconcile *rc)
{
	const struct json *finalizers = json_get_path(rc->facts->record, "metadata.finalizers");
	if (!finalizers_have(finalizers, RECORD_FINALIZER))
		return;
	struct json *record = json_dup(rc->facts->record);
	json_set(json_get_mut(record, "metadata"), "finalizers",
		 finalizers_without(finalizers, RECORD_FINALIZER));
	host_write(rc, HOST_RECORD_UPDATE, NULL, record);
}

struct next state_deleting(struct reconcile *rc)
{
	struct prov_result r;
	prov(rc)->ops->remove(prov(rc), &rc->prov, false, &r);
	if (r.outcome == PROV_RUNNING)
		return (struct next){ NEXT_WAIT, r.requeue };
	host_release_secrets(rc);
	release_record(rc);
	struct json *patch = host_locked_patch(rc);
	json_set(json_get_mut(patch, "metadata"), "finalizers",
		 finalizers_without(rc->host.meta.finalizers, BMH_FINALIZER));
	host_write(rc, HOST_PATCH, NULL, patch);
	return (struct next){ NEXT_GONE, 0 };
}
