/* The kinds that controllers read and write: constant, for every thread. */

#include "ctrl/resources.h"

#include "api/meta.h"

const struct kube_resource resource_host = { API_GROUP, "v1alpha1", "baremetalhosts",
					     "BareMetalHost", KUBE_PER_HOST };
const struct kube_resource resource_hardware_data = { API_GROUP, "v1alpha1", "hardwaredata",
						      "HardwareData", KUBE_PER_HOST };
const struct kube_resource resource_record = { "ingot.dev", "v1alpha1", "hostrecords", "HostRecord",
					       KUBE_PER_HOST };
const struct kube_resource resource_secret = { "", "v1", "secrets", "Secret", KUBE_NAMESPACED };
