/* The body of a server's refusal. */

#include <stdlib.h>

#include "agent/refusal.h"
#include "base/macro.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json *body = NULL;
	if (json_parse((const char *)data, size, &body, NULL) < 0)
		return 0;
	char *text = agent_refusal_text(body);
	for (const char *p = text; *p; p++)
		if (*p < ' ' || *p > '~' || p - text > 300)
			__builtin_trap();
	free(text);
	json_free(body);
	return 0;
}
