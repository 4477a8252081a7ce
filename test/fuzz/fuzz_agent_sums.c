/* A checksum file from somewhere on the network, and a URL. */

#include <stdlib.h>

#include "agent/disk/format.h"
#include "agent/disk/sums.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xstrndup((const char *)data, size);
	const struct disk_sum_spec spec = { .checksum = "http://h/SUMS", .allow_md5 = true };
	struct disk_sum sum;
	(void)disk_sum_resolve(&spec, text, "image.raw", &sum, NULL);
	const struct disk_sum_spec typed = { .os_hash_algo = "sha512",
					     .os_hash_value = "https://h/S" };
	(void)disk_sum_resolve(&typed, text, "image.raw", &sum, NULL);
	const struct disk_sum_spec literal = { .checksum = text };
	(void)disk_sum_resolve(&literal, NULL, "image.raw", &sum, NULL);
	free(disk_url_name(text));
	free(disk_url_shown(text));
	(void)disk_format_detect(data, size);
	free(text);
	return 0;
}
