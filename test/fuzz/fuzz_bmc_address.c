/* BMC addresses: whatever is accepted must survive its accessors, and its copy must be equal. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "base/mem.h"
#include "bmc/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(freep) char *text = xstrndup((const char *)data, size);
	struct bmc_address a, b;
	struct err err = { 0 };
	if (bmc_address_parse(text, &a, &err) < 0) {
		if (err.kind != ERR_INVALID || !strstr(err.text, "failed to parse BMC address"))
			abort();
		return 0;
	}
	_cleanup_(freep) char *endpoint = bmc_address_endpoint(&a);
	_cleanup_(freep) char *base = bmc_address_base_url(&a);
	_cleanup_(freep) char *path = bmc_address_system_path(&a);
	bmc_address_copy(&a, &b);
	if (!bmc_address_equal(&a, &b) || !a.scheme || strpbrk(a.host, " /@?#\n"))
		abort();
	bmc_address_done(&a);
	bmc_address_done(&b);
	return 0;
}
