#pragma once
/* The kinds that controllers read and write. any thread */

#include "kube/client.h"

extern const struct kube_resource resource_host, resource_hardware_data, resource_record,
	resource_secret;
