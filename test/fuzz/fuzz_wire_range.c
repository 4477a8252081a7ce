/* Range headers: eight bytes of size, then the header. A part must lie inside the body. */

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "wire/range.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t whole;
	if (size < sizeof(whole))
		return 0;
	memcpy(&whole, data, sizeof(whole));
	char *header = xstrndup((const char *)data + sizeof(whole), size - sizeof(whole));
	struct range r = { 0 };
	char text[CONTENT_RANGE_MAX];
	if (range_parse(header, whole, &r) == RANGE_PART) {
		if (r.length == 0 || r.start >= whole || r.length > whole - r.start)
			abort();
		content_range_format(&r, whole, text);
	}
	range_allowed(header, header);
	free(header);
	return 0;
}
