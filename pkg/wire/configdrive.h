#pragma once
/* Config drives as OpenStack, cloud-init and Ignition read them: an ISO 9660 image with the volume
 * id "config-2" and the files twice, under openstack/latest and openstack/2012-08-10; in transport
 * gzip and base64. any thread */

#include "base/clock.h"
#include "base/err.h"
#include "base/macro.h"

#define CONFIGDRIVE_LABEL     "config-2"
#define CONFIGDRIVE_PUBLISHER "metalsmith"

enum { CONFIGDRIVE_MAX_BYTES = 64 * 1024 * 1024 };

/* What is NULL is left out. All but user_data are texts of JSON. */
struct configdrive_files {
	const char *meta_data;
	const void *user_data;
	size_t user_data_len;
	const char *network_data;
	const char *vendor_data2;
};

/* The ISO image in a new buffer; `time` stamps the files. ERR_LIMIT above 64 MiB. */
int configdrive_build(const struct configdrive_files *files, usec_t time, void **ret,
		      size_t *ret_len, struct err *err);
/* As above, gzipped and in base64: a new string. */
int configdrive_build_text(const struct configdrive_files *files, usec_t time, char **ret,
			   struct err *err);
