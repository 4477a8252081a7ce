/* Partition tables of a disk that somebody else filled: GPT by either copy, MBR with its chain of
 * logical partitions; then what an image write does to them. */

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/disk/configpart.h"
#include "agent/disk/format.h"
#include "agent/disk/table.h"
#include "agent/disk/wipe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DISK = 256 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct gpt_guid id = { { 1 } };
	struct disk_dev dev = {
		.path = (char[]){ "memory" }, .size = DISK, .sector = 512, .writable = true
	};
	struct disk_table t;
	struct disk_part part;
	bool gpt;
	uint64_t end;
	(void)disk_table_check_head(data, size, 512, &gpt, NULL);
	(void)disk_table_check_head(data, size, 4096, &gpt, NULL);
	(void)disk_table_backup_of(data, size, &end);
	(void)disk_table_undecided(data, size);
	(void)disk_table_end(data, size, 512);
	(void)disk_table_end(data, size, 4096);
	(void)disk_format_no_table(data, size, NULL);
	dev.fd = memfd_create("disk", MFD_CLOEXEC);
	if (dev.fd < 0 || ftruncate(dev.fd, DISK) < 0 ||
	    pwrite(dev.fd, data, MIN(size, (size_t)DISK), 0) < 0)
		abort();
	if (disk_table_read(&dev, &t, NULL) == 0) {
		if (disk_table_fix(&dev, &t, NULL) == 0)
			(void)disk_table_add_last(&dev, &t, 16384, &id, &part, NULL);
		disk_table_done(&t);
	}
	(void)disk_wipe_metadata(&dev, true, NULL);
	close(dev.fd);
	return 0;
}
