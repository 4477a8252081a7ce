/* The layout of a config drive over the ISO 9660 writer. Both directories name the same contents,
 * which the writer stores once. Pure. */

#include "wire/configdrive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "wire/compress.h"
#include "wire/iso9660.h"

static const char *const directories[] = { "openstack/2012-08-10", "openstack/latest" };

enum { KINDS = 4, PATH_MAX_HERE = 64 };

int configdrive_build(const struct configdrive_files *files, usec_t time, void **ret,
		      size_t *ret_len, struct err *err)
{
	const struct iso9660_file kinds[KINDS] = {
		{ "meta_data.json", files->meta_data, strlen(str_or(files->meta_data, "")) },
		{ "network_data.json", files->network_data,
		  strlen(str_or(files->network_data, "")) },
		{ "user_data", files->user_data, files->user_data_len },
		{ "vendor_data2.json", files->vendor_data2,
		  strlen(str_or(files->vendor_data2, "")) },
	};
	char paths[ARRAY_SIZE(directories) * KINDS][PATH_MAX_HERE];
	struct iso9660_file list[ARRAY_SIZE(directories) * KINDS];
	size_t count = 0;
	for (size_t d = 0; d < ARRAY_SIZE(directories); d++) {
		for (size_t k = 0; k < KINDS; k++) {
			if (!kinds[k].data)
				continue;
			snprintf(paths[count], sizeof(paths[count]), "%s/%s", directories[d],
				 kinds[k].path);
			list[count] = kinds[k];
			list[count].path = paths[count];
			count++;
		}
	}
	const struct iso9660_options options = {
		.volume_id = CONFIGDRIVE_LABEL,
		.publisher = CONFIGDRIVE_PUBLISHER,
		.time = time,
		.max_bytes = CONFIGDRIVE_MAX_BYTES,
	};
	int r = iso9660_build(&options, list, count, ret, ret_len, err);
	return r < 0 ? err_wrap(err, "config drive") : 0;
}

int configdrive_build_text(const struct configdrive_files *files, usec_t time, char **ret,
			   struct err *err)
{
	_cleanup_(freep) void *iso = NULL;
	size_t len = 0;
	int r = configdrive_build(files, time, &iso, &len, err);
	if (r < 0)
		return r;
	_cleanup_(strbuf_done) struct strbuf packed = { 0 };
	compress_gzip(iso, len, &packed);
	*ret = base64_encode(packed.data, packed.len);
	return 0;
}
