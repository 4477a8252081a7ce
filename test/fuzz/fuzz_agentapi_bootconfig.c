/* agent.json of a medium: what is taken can be put on a medium again, and is taken from there. */

#include <stdlib.h>

#include "agentapi/bootconfig.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bootconfig c = { 0 };
	struct err err;
	char *archive = NULL;
	size_t len;
	if (bootconfig_parse((const char *)data, size, &c, &err) < 0)
		return 0;
	/* Escapes may make the text longer than what was read. */
	if (bootconfig_build(&c, NULL, &archive, &len, &err) < 0 && err.kind != ERR_LIMIT)
		abort();
	if (archive && len > BOOTCONFIG_ARCHIVE_MAX)
		abort();
	free(archive);
	bootconfig_done(&c);
	return 0;
}
