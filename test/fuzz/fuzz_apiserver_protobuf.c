/* Kubernetes' protobuf bodies. What is taken must be JSON, but for duplicate keys of a map. */

#include <stdlib.h>

#include "apiserver/front/protobuf.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct strbuf text = { 0 };
	if (protobuf_to_json(data, size, &text) == 0 && (text.len < 2 || text.data[0] != '{'))
		abort();
	strbuf_done(&text);
	return 0;
}
