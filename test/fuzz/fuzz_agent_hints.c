/* Root device hints as they come from a server, on two disks. */

#include "agent/disk/hints.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct disk_facts disks[] = {
		{ .name = "/dev/sda",
		  .model = "A MODEL",
		  .vendor = "ATA",
		  .serials = { "S1" },
		  .wwns = { "0x5000", "0x50001" },
		  .hctl = "0:0:0:0",
		  .by_paths = { "/dev/disk/by-path/pci-0000:00:1f.2-ata-1" },
		  .size = UINT64_C(480103981056) },
		{ .name = "/dev/vda", .size = UINT64_C(8) << 30, .rotational = true },
	};
	struct json *hints = NULL;
	struct err err;
	if (json_parse((const char *)data, size, &hints, NULL) < 0)
		return 0;
	/* What the check refuses never matches. */
	bool good = disk_hints_check(hints, &err) == 0;
	for (size_t i = 0; i < 2; i++)
		if (disk_hints_match(hints, &disks[i]) && !good && json_count(hints) > 0)
			__builtin_trap();
	(void)disk_hints_choose(hints, disks, 2, &err);
	json_free(hints);
	return 0;
}
