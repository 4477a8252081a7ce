/* Network data: whatever is kept, links stand behind what they stand on, and networks on links. */

#include <stdlib.h>

#include "agentapi/netdata.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct netdata *n = NULL;
	struct err err;
	if (netdata_parse((const char *)data, size, &n, &err) < 0)
		return 0;
	for (size_t i = 0; i < n->link_count; i++)
		for (size_t k = 0; k < n->links[i].below_count; k++)
			if (n->links[i].below[k] >= i)
				abort();
	for (size_t i = 0; i < n->network_count; i++)
		if (n->networks[i].link >= n->link_count || n->links[n->networks[i].link].in_bond)
			abort();
	netdata_free(n);
	return 0;
}
