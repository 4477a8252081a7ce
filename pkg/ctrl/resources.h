#pragma once
/* The kinds that controllers read and write. any thread */

#include "kube/client.h"

extern const struct kube_resource resource_host, resource_hardware_data, resource_record,
	resource_secret;

/* Text of a typical object, for kube_informer_options (samples.c). */
extern const char sample_host[], sample_hardware_data[], sample_record[];
