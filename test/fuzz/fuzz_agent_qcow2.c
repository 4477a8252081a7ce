/* A qcow2 file as a stream without Range, written to a disk of one mebibyte in memory. */

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/disk/qdecode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DISK = 1024 * 1024, MEMORY = 1024 * 1024, PIECE = 5000 };

static void decode(const struct qcow2_header *h, const uint8_t *data, size_t size,
		   struct disk_sink *sink)
{
	struct disk_qmap *map = disk_qmap_new(h, MEMORY);
	int r = 0;
	if (h->l1_entries > 0)
		r = disk_qmap_add_pending(map, DISK_Q_L1, h->l1_offset, h->l1_entries * 8, 0, NULL);
	struct disk_qdecode *d = disk_qdecode_new(map, sink);
	for (size_t at = 0; at < size && r == 0; at += PIECE)
		r = disk_qdecode_feed(d, data + at, MIN(size - at, (size_t)PIECE), NULL);
	if (r == 0)
		(void)disk_qdecode_finish(d, NULL);
	disk_qdecode_free(d);
	disk_qmap_free(map);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qcow2_header h;
	struct disk_sink *sink = NULL;
	struct disk_dev dev = {
		.path = (char[]){ "memory" }, .size = DISK, .sector = 512, .writable = true
	};
	/* A terabyte of holes is legal and only slow to zero. */
	if (qcow2_parse_header(data, size, &h, NULL) < 0 || h.virtual_size > 2 * DISK)
		return 0;
	dev.fd = memfd_create("disk", MFD_CLOEXEC);
	if (dev.fd < 0 || ftruncate(dev.fd, DISK) < 0)
		abort();
	if (disk_sink_open(&dev, NULL, &sink, NULL) == 0)
		decode(&h, data, size, sink);
	disk_sink_close(sink);
	close(dev.fd);
	return 0;
}
