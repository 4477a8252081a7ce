/* Field tables of BareMetalHost. The order is that of upstream's types, and so that of `kubectl get
 * -o yaml`. Members that Go's types always emit are BIND_ALWAYS, because consumers have come to
 * rely on them. Pure. */

#include "api/bmh.h"

#include <stddef.h>
#include <stdlib.h>

#include "base/mem.h"

#define ROW(owner, json, how, member, ...)                                                         \
	{                                                                                          \
		.key = (json), .type = (how), .offset = offsetof(struct owner, member),            \
		##__VA_ARGS__                                                                      \
	}
#define STRUCT(type, name)                                                                         \
	static const struct bind_struct name##_struct = { sizeof(struct type), name##_fields }

static const char *const state_names[] = {
	[BMH_NONE] = "",
	[BMH_UNMANAGED] = "unmanaged",
	[BMH_REGISTERING] = "registering",
	[BMH_MATCH_PROFILE] = "match profile",
	[BMH_PREPARING] = "preparing",
	[BMH_READY] = "ready",
	[BMH_AVAILABLE] = "available",
	[BMH_PROVISIONING] = "provisioning",
	[BMH_PROVISIONED] = "provisioned",
	[BMH_EXTERNALLY_PROVISIONED] = "externally provisioned",
	[BMH_DEPROVISIONING] = "deprovisioning",
	[BMH_INSPECTING] = "inspecting",
	[BMH_POWERING_OFF] = "powering off before delete",
	[BMH_DELETING] = "deleting",
	[_BMH_STATE_MAX] = NULL,
};

static const char *const operational_names[] = {
	[BMH_OP_UNSET] = "",
	[BMH_OP_OK] = "OK",
	[BMH_OP_DISCOVERED] = "discovered",
	[BMH_OP_ERROR] = "error",
	[BMH_OP_DELAYED] = "delayed",
	[BMH_OP_DETACHED] = "detached",
	[BMH_OP_SERVICING] = "servicing",
	NULL,
};

static const char *const error_names[] = {
	[BMH_ERROR_NONE] = "",
	[BMH_ERROR_PROVISIONED_REGISTRATION] = "provisioned registration error",
	[BMH_ERROR_REGISTRATION] = "registration error",
	[BMH_ERROR_INSPECTION] = "inspection error",
	[BMH_ERROR_PREPARATION] = "preparation error",
	[BMH_ERROR_PROVISIONING] = "provisioning error",
	[BMH_ERROR_POWER] = "power management error",
	[BMH_ERROR_SERVICING] = "servicing error",
	[BMH_ERROR_DETACH] = "detach error",
	[_BMH_ERROR_MAX] = NULL,
};

static const char *const error_reasons[_BMH_ERROR_MAX] = {
	[BMH_ERROR_NONE] = "",
	[BMH_ERROR_PROVISIONED_REGISTRATION] = "ProvisionedRegistrationError",
	[BMH_ERROR_REGISTRATION] = "RegistrationError",
	[BMH_ERROR_INSPECTION] = "InspectionError",
	[BMH_ERROR_PREPARATION] = "PreparationError",
	[BMH_ERROR_PROVISIONING] = "ProvisioningError",
	[BMH_ERROR_POWER] = "PowerManagementError",
	[BMH_ERROR_SERVICING] = "ServicingError",
	[BMH_ERROR_DETACH] = "DetachError",
};

static const struct bind_field image_fields[] = {
	ROW(bmh_image, "url", BIND_STRING, url, .flags = BIND_ALWAYS),
	ROW(bmh_image, "checksum", BIND_STRING, checksum),
	ROW(bmh_image, "checksumType", BIND_STRING, checksum_type),
	ROW(bmh_image, "format", BIND_STRING, format),
	ROW(bmh_image, "ociAuthSecretName", BIND_STRING, oci_auth),
	{ 0 },
};
STRUCT(bmh_image, image);

static const struct bind_field custom_fields[] = {
	ROW(bmh_custom_deploy, "method", BIND_STRING, method, .flags = BIND_ALWAYS),
	{ 0 },
};
STRUCT(bmh_custom_deploy, custom);

static const struct bind_field ref_fields[] = {
	ROW(bmh_secret_ref, "name", BIND_STRING, name),
	ROW(bmh_secret_ref, "namespace", BIND_STRING, ns),
	{ 0 },
};
STRUCT(bmh_secret_ref, ref);

static const struct bind_field bmc_fields[] = {
	ROW(bmh_bmc, "address", BIND_STRING, address, .flags = BIND_ALWAYS),
	ROW(bmh_bmc, "credentialsName", BIND_STRING, credentials_name, .flags = BIND_ALWAYS),
	ROW(bmh_bmc, "disableCertificateVerification", BIND_BOOL, insecure),
	{ 0 },
};
STRUCT(bmh_bmc, bmc);

static const struct bind_field spec_fields[] = {
	ROW(bmh_spec, "online", BIND_BOOL, online, .flags = BIND_ALWAYS),
	ROW(bmh_spec, "bmc", BIND_OPT_OBJECT, bmc, .sub = &bmc_struct),
	ROW(bmh_spec, "bootMACAddress", BIND_STRING, boot_mac),
	ROW(bmh_spec, "bootMode", BIND_STRING, boot_mode),
	ROW(bmh_spec, "architecture", BIND_STRING, architecture),
	ROW(bmh_spec, "hardwareProfile", BIND_STRING, hardware_profile),
	ROW(bmh_spec, "description", BIND_STRING, description),
	ROW(bmh_spec, "automatedCleaningMode", BIND_STRING, cleaning),
	ROW(bmh_spec, "inspectionMode", BIND_STRING, inspection),
	ROW(bmh_spec, "preprovisioningNetworkDataName", BIND_STRING, network_data_name),
	ROW(bmh_spec, "image", BIND_OPT_OBJECT, image, .sub = &image_struct),
	ROW(bmh_spec, "customDeploy", BIND_OPT_OBJECT, custom_deploy, .sub = &custom_struct),
	ROW(bmh_spec, "userData", BIND_OPT_OBJECT, user_data, .sub = &ref_struct),
	ROW(bmh_spec, "networkData", BIND_OPT_OBJECT, network_data, .sub = &ref_struct),
	ROW(bmh_spec, "metaData", BIND_OPT_OBJECT, meta_data, .sub = &ref_struct),
	ROW(bmh_spec, "externallyProvisioned", BIND_BOOL, externally_provisioned),
	ROW(bmh_spec, "disablePowerOff", BIND_BOOL, disable_power_off),
	ROW(bmh_spec, "rootDeviceHints", BIND_JSON, root_hints),
	ROW(bmh_spec, "raid", BIND_JSON, raid),
	ROW(bmh_spec, "consumerRef", BIND_JSON, consumer_ref),
	{ 0 },
};
const struct bind_struct bmh_spec_struct = { sizeof(struct bmh_spec), spec_fields };

static const struct bind_field credentials_fields[] = {
	ROW(bmh_credentials, "credentials", BIND_OBJECT, ref, .sub = &ref_struct),
	ROW(bmh_credentials, "credentialsVersion", BIND_STRING, version),
	{ 0 },
};
STRUCT(bmh_credentials, credentials);

static const struct bind_field period_fields[] = {
	ROW(bmh_period, "start", BIND_TIME, start),
	ROW(bmh_period, "end", BIND_TIME, end),
	{ 0 },
};
STRUCT(bmh_period, period);

static const struct bind_field history_fields[] = {
	ROW(bmh_status, "register", BIND_OBJECT, history.registering, .sub = &period_struct,
	    .flags = BIND_ALWAYS),
	ROW(bmh_status, "inspect", BIND_OBJECT, history.inspecting, .sub = &period_struct,
	    .flags = BIND_ALWAYS),
	ROW(bmh_status, "provision", BIND_OBJECT, history.provisioning, .sub = &period_struct,
	    .flags = BIND_ALWAYS),
	ROW(bmh_status, "deprovision", BIND_OBJECT, history.deprovisioning, .sub = &period_struct,
	    .flags = BIND_ALWAYS),
	{ 0 },
};
/* Its offsets count from the status, so it lies at 0 there and has no size of its own. */
static const struct bind_struct history_struct = { 0, history_fields };

static const struct bind_field provisioning_fields[] = {
	ROW(bmh_provisioning, "state", BIND_ENUM, state, .names = state_names,
	    .flags = BIND_ALWAYS),
	ROW(bmh_provisioning, "ID", BIND_STRING, id, .flags = BIND_ALWAYS),
	ROW(bmh_provisioning, "image", BIND_OBJECT, image, .sub = &image_struct,
	    .flags = BIND_ALWAYS),
	ROW(bmh_provisioning, "customDeploy", BIND_OPT_OBJECT, custom_deploy,
	    .sub = &custom_struct),
	ROW(bmh_provisioning, "rootDeviceHints", BIND_JSON, root_hints),
	ROW(bmh_provisioning, "bootMode", BIND_STRING, boot_mode),
	ROW(bmh_provisioning, "raid", BIND_JSON, raid),
	ROW(bmh_provisioning, "firmware", BIND_JSON, firmware),
	{ 0 },
};
STRUCT(bmh_provisioning, provisioning);

static const struct bind_field status_fields[] = {
	ROW(bmh_status, "operationalStatus", BIND_ENUM, operational, .names = operational_names,
	    .flags = BIND_ALWAYS),
	ROW(bmh_status, "errorType", BIND_ENUM, error, .names = error_names),
	ROW(bmh_status, "errorMessage", BIND_STRING, error_message, .flags = BIND_ALWAYS),
	ROW(bmh_status, "errorCount", BIND_INT, error_count, .flags = BIND_ALWAYS),
	ROW(bmh_status, "provisioningFailCount", BIND_INT, fail_count, .flags = BIND_ALWAYS),
	ROW(bmh_status, "lastAttemptedImage", BIND_OPT_OBJECT, last_attempted,
	    .sub = &image_struct),
	ROW(bmh_status, "lastUpdated", BIND_TIME, last_updated),
	ROW(bmh_status, "hardwareProfile", BIND_STRING, hardware_profile),
	ROW(bmh_status, "hardware", BIND_JSON, hardware),
	ROW(bmh_status, "provisioning", BIND_OBJECT, provisioning, .sub = &provisioning_struct,
	    .flags = BIND_ALWAYS),
	ROW(bmh_status, "goodCredentials", BIND_OBJECT, good, .sub = &credentials_struct,
	    .flags = BIND_ALWAYS),
	ROW(bmh_status, "triedCredentials", BIND_OBJECT, tried, .sub = &credentials_struct,
	    .flags = BIND_ALWAYS),
	ROW(bmh_status, "poweredOn", BIND_BOOL, powered_on, .flags = BIND_ALWAYS),
	{ .key = "operationHistory",
	  .type = BIND_OBJECT,
	  .sub = &history_struct,
	  .flags = BIND_ALWAYS },
	ROW(bmh_status, "conditions", BIND_JSON, conditions),
	{ 0 },
};
const struct bind_struct bmh_status_struct = { sizeof(struct bmh_status), status_fields };

static const struct bind_field bmh_fields[] = {
	ROW(bmh, "metadata", BIND_OBJECT, meta, .sub = &api_meta_struct),
	ROW(bmh, "spec", BIND_OBJECT, spec, .sub = &bmh_spec_struct),
	ROW(bmh, "status", BIND_OBJECT, status, .sub = &bmh_status_struct),
	{ 0 },
};
const struct bind_struct bmh_struct = { sizeof(struct bmh), bmh_fields };

int bmh_parse(const struct json *j, struct bmh *ret, struct err *err)
{
	struct bmh h = { 0 };
	int r = bind_from_json(&bmh_struct, j, &h, err);
	if (r < 0)
		return err_wrap(err, "BareMetalHost %s/%s",
				str_or(json_get_path_string(j, "metadata.namespace"), "?"),
				str_or(json_get_path_string(j, "metadata.name"), "?"));
	*ret = h;
	return 0;
}

void bmh_release(struct bmh *h)
{
	bind_release(&bmh_struct, h);
}

struct json *bmh_status_json(const struct bmh_status *s)
{
	return bind_to_json(&bmh_status_struct, s);
}

const char *bmh_state_name(enum bmh_state s)
{
	return state_names[s];
}

const char *bmh_error_reason(enum bmh_error e)
{
	return error_reasons[e];
}

bool bmh_image_empty(const struct bmh_image *i)
{
	return !i || str_empty(i->url);
}

bool bmh_image_equal(const struct bmh_image *a, const struct bmh_image *b)
{
	static const struct bmh_image none = { 0 };
	a = a ? a : &none;
	b = b ? b : &none;
	return streq(str_or(a->url, ""), str_or(b->url, "")) &&
	       streq(str_or(a->checksum, ""), str_or(b->checksum, "")) &&
	       streq(str_or(a->checksum_type, ""), str_or(b->checksum_type, "")) &&
	       streq(str_or(a->format, ""), str_or(b->format, "")) &&
	       streq(str_or(a->oci_auth, ""), str_or(b->oci_auth, ""));
}

void bmh_image_assign(struct bmh_image *to, const struct bmh_image *from)
{
	static const struct bmh_image none = { 0 };
	from = from ? from : &none;
	str_replace(&to->url, from->url);
	str_replace(&to->checksum, from->checksum);
	str_replace(&to->checksum_type, from->checksum_type);
	str_replace(&to->format, from->format);
	str_replace(&to->oci_auth, from->oci_auth);
}

struct bmh_image *bmh_image_dup(const struct bmh_image *i)
{
	if (!i)
		return NULL;
	struct bmh_image *copy = xcalloc(1, sizeof(*copy));
	bmh_image_assign(copy, i);
	return copy;
}

struct bmh_image *bmh_image_free(struct bmh_image *i)
{
	if (i) {
		bmh_image_assign(i, NULL);
		free(i);
	}
	return NULL;
}
