/* A packed stream, by its magic; and as a compressed cluster of either kind. Output is thrown away
 * after a mebibyte, so that bombs cost nothing. */

#include <stdlib.h>

#include "agent/disk/unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STEP = 4096, OUT_MAX = 1024 * 1024, MEMORY = 4 * 1024 * 1024 };

static void stream(const uint8_t *data, size_t size)
{
	struct disk_unpack *u = disk_unpack_new(disk_packing_detect(data, size), MEMORY);
	uint8_t out[STEP];
	size_t n = STEP, total = 0;
	int r = 0;
	while (r == 0 && total < OUT_MAX && (size > 0 || n == STEP)) {
		size_t before = size;
		r = disk_unpack_step(u, &data, &size, out, STEP, &n, NULL);
		total += n;
		/* No progress at all would be an endless loop in the pipeline. */
		if (r == 0 && n == 0 && size > 0 && size == before)
			__builtin_trap();
	}
	if (r == 0)
		(void)disk_unpack_finish(u, out, STEP, &n, NULL);
	disk_unpack_free(u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t cluster[STEP];
	(void)disk_unpack_least(disk_packing_detect(data, size), data, size);
	stream(data, size);
	for (int how = QCOW2_DEFLATE; how <= QCOW2_ZSTD; how++) {
		struct disk_uncluster *u = disk_uncluster_new((enum qcow2_compression)how);
		(void)disk_uncluster_do(u, data, size, cluster, sizeof(cluster), NULL);
		disk_uncluster_free(u);
	}
	return 0;
}
