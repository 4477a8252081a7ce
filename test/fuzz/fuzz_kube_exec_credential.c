/* What a credential plugin prints. What is accepted has a token or a whole pair, and no token that
 * could add a header. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kube/exec_credential.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct exec_credential c = { 0 };
	struct err err = { 0 };
	int r = exec_credential_parse((const char *)data, size, "client.authentication.k8s.io/v1",
				      &c, &err);
	if (r < 0 ? err.text[0] == '\0' || c.token || c.cert : !c.token && !c.cert)
		abort();
	if (!c.cert != !c.key || (c.token && strpbrk(c.token, "\r\n ")))
		abort();
	exec_credential_release(&c);
	return 0;
}
