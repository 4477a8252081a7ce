#pragma once
/* BareMetalHost of metal3.io/v1alpha1 as a struct, bound to JSON by tables, which a test holds
 * against crds/metal3.io_baremetalhosts.yaml. Parts that controllers only pass on stay JSON. Pure;
 * any thread. */

#include "api/meta.h"

#define BMH_FINALIZER	     "baremetalhost.metal3.io"
#define BMH_PAUSED	     "baremetalhost.metal3.io/paused"
#define BMH_DETACHED	     "baremetalhost.metal3.io/detached"
#define BMH_STATUS	     "baremetalhost.metal3.io/status"
#define BMH_REBOOT	     "reboot.metal3.io"
#define BMH_INSPECT	     "inspect.metal3.io"
#define BMH_HARDWARE_DETAILS "inspect.metal3.io/hardwaredetails"
#define BMH_DELETE_FOR_MOVE  "clusterctl.cluster.x-k8s.io/delete-for-move"
#define BMH_DHCP_ADDRESS     "ingot.dev/dhcp-address"
/* SHA-256 of the certificate that the host's BMC shall have, and no other. */
#define BMH_BMC_CERTIFICATE "ingot.dev/bmc-certificate-sha256"
#define BMH_RELEASE	    "ingot.dev/release"
#define SECRET_LABEL	    "environment.metal3.io"
#define SECRET_LABEL_VALUE  "baremetal"
#define SECRET_FINALIZER    "baremetalhost.metal3.io/secret"
#define HARDWARE_FINALIZER  "baremetalhost.metal3.io/hardwareData"
#define RECORD_FINALIZER    "ingot.dev/hostrecord"

/* status.provisioning.state; the names stand in bmh.c. BMH_READY is an old name of available. */
enum bmh_state {
	BMH_NONE,
	BMH_UNMANAGED,
	BMH_REGISTERING,
	BMH_MATCH_PROFILE,
	BMH_PREPARING,
	BMH_READY,
	BMH_AVAILABLE,
	BMH_PROVISIONING,
	BMH_PROVISIONED,
	BMH_EXTERNALLY_PROVISIONED,
	BMH_DEPROVISIONING,
	BMH_INSPECTING,
	BMH_POWERING_OFF,
	BMH_DELETING,
	_BMH_STATE_MAX,
};

enum bmh_operational {
	BMH_OP_UNSET,
	BMH_OP_OK,
	BMH_OP_DISCOVERED,
	BMH_OP_ERROR,
	BMH_OP_DELAYED,
	BMH_OP_DETACHED,
	BMH_OP_SERVICING,
};

enum bmh_error {
	BMH_ERROR_NONE,
	BMH_ERROR_PROVISIONED_REGISTRATION,
	BMH_ERROR_REGISTRATION,
	BMH_ERROR_INSPECTION,
	BMH_ERROR_PREPARATION,
	BMH_ERROR_PROVISIONING,
	BMH_ERROR_POWER,
	BMH_ERROR_SERVICING,
	BMH_ERROR_DETACH,
	_BMH_ERROR_MAX,
};

struct bmh_image {
	char *url, *checksum, *checksum_type, *format, *oci_auth;
};

struct bmh_secret_ref {
	char *name, *ns;
};

struct bmh_custom_deploy {
	char *method;
};

struct bmh_bmc {
	char *address, *credentials_name;
	bool insecure;
};

struct bmh_spec {
	bool online;
	struct bmh_bmc *bmc;
	char *boot_mac, *boot_mode, *architecture, *hardware_profile, *description;
	char *cleaning, *inspection,
		*network_data_name; /* automatedCleaningMode, inspectionMode, preprovisioning… */
	struct bmh_image *image;
	struct bmh_custom_deploy *custom_deploy;
	struct bmh_secret_ref *user_data, *network_data, *meta_data;
	bool externally_provisioned, disable_power_off;
	struct json *root_hints, *raid, *consumer_ref;
};

struct bmh_credentials {
	struct bmh_secret_ref ref;
	char *version;
};

struct bmh_period {
	usec_t start, end; /* 0: not yet */
};

struct bmh_provisioning {
	char *id, *boot_mode;
	int state; /* enum bmh_state */
	struct bmh_image image;
	struct bmh_custom_deploy *custom_deploy;
	struct json *root_hints, *raid, *firmware;
};

struct bmh_status {
	int operational; /* enum bmh_operational */
	int error;	 /* enum bmh_error */
	char *error_message;
	int64_t error_count, fail_count;
	struct bmh_image *last_attempted;
	usec_t last_updated;
	char *hardware_profile;
	struct json *hardware, *conditions;
	struct bmh_provisioning provisioning;
	struct bmh_credentials good, tried;
	bool powered_on;
	struct {
		struct bmh_period registering, inspecting, provisioning, deprovisioning;
	} history;
};

struct bmh {
	struct api_meta meta;
	struct bmh_spec spec;
	struct bmh_status status;
};

extern const struct bind_struct bmh_struct, bmh_status_struct, bmh_spec_struct;

int bmh_parse(const struct json *j, struct bmh *ret, struct err *err);
void bmh_release(struct bmh *h);
struct json *bmh_status_json(const struct bmh_status *s);

const char *bmh_state_name(enum bmh_state s);
/* Reason of the event that tells of the error: "RegistrationError". */
const char *bmh_error_reason(enum bmh_error e);

bool bmh_image_equal(const struct bmh_image *a, const struct bmh_image *b); /* NULL equals empty */
bool bmh_image_empty(const struct bmh_image *i);
/* A new one; NULL for NULL. */
struct bmh_image *bmh_image_dup(const struct bmh_image *i);
struct bmh_image *bmh_image_free(struct bmh_image *i);
/* Frees the strings of `to` and copies those of `from` (NULL clears). */
void bmh_image_assign(struct bmh_image *to, const struct bmh_image *from);
