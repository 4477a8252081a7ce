#pragma once
/* The config drive on the written disk: into the partition that the
 * image brought for it, else into a new one at the end. Blocking; any thread, one per device. */

#include "agent/disk/dev.h"
#include "agent/disk/fetch.h"
#include "wire/gpt.h"

/* The bytes of the file system from what the server sent: base64 of gzip of the image, or a URL of
 * either form or of the bare image. `fetch` serves the URL with the image's TLS and proxy settings;
 * it may be NULL when the value is no URL. */
int disk_configdrive_load(const char *value, const struct disk_fetch_options *fetch, void **ret,
			  size_t *ret_len, struct err *err);
/* The backup GPT must be in place (disk_table_fix). `id` names a new GPT partition. */
int disk_configdrive_place(const struct disk_dev *d, const void *data, size_t len,
			   const struct gpt_guid *id, unsigned *ret_partition, struct err *err);
