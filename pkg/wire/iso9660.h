#pragma once
/* Writer of small ISO 9660 images with Joliet and Rock Ridge names: config drives. The same input
 * gives the same bytes. Files with equal content share their sectors. any thread */

#include "base/clock.h"
#include "base/err.h"
#include "base/macro.h"

enum {
	ISO9660_SECTOR = 2048,
	ISO9660_FILES_MAX = 256,
	ISO9660_NAME_MAX = 30, /* of one component: what ISO level 2 and Rock Ridge without
				  continuation hold */
	ISO9660_DEPTH_MAX = 7, /* directories above a file, the root not counted */
};

struct iso9660_file {
	const char *path; /* "openstack/latest/meta_data.json": [A-Za-z0-9._-] between slashes */
	const void *data;
	size_t len;
};

struct iso9660_options {
	const char *volume_id; /* up to 32; Joliet keeps 16 */
	const char *publisher; /* up to 128; may be NULL */
	usec_t time;	       /* wall; stamped on everything */
	uint64_t max_bytes;    /* of the image */
};

/* The image in a new buffer. Errors: bad or duplicate paths, the limit. */
int iso9660_build(const struct iso9660_options *options, const struct iso9660_file *files,
		  size_t count, void **ret, size_t *ret_len, struct err *err);
