/* kubeconfig texts: users bring them from anywhere. What is accepted must have a server. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kube/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kube_config c = { 0 };
	struct err err = { 0 };
	char *text = malloc(size + 1);
	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (kube_config_parse(text, strlen(text), "/dir", NULL, &c, &err) == 0) {
		if (!c.server || (c.insecure && (c.ca || c.ca_file)))
			abort();
		kube_config_release(&c);
	} else if (err.kind == ERR_NONE || err.text[0] == '\0' || c.server) {
		abort();
	}
	free(text);
	return 0;
}
