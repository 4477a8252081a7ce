/* A kernel command line. */

#include <stdlib.h>

#include "agent/config.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = xstrndup((const char *)data, size);
	struct agent_config c = { 0 };
	struct err err;
	agent_config_init(&c);
	(void)agent_config_parse(&c, line, &err);
	(void)agent_config_has_collector(&c, "logs");
	agent_config_done(&c);
	free(line);
	return 0;
}
