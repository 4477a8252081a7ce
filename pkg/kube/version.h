#pragma once
/* Which Kubernetes the API server is, for the log. */

#include "kube/client.h"

/* Asks once and logs the answer. For the log alone: a server that does not tell (403, for example)
 * is not spoken of, and nothing waits for it. Everybody may ask: system:public-info-viewer. */
void kube_log_version(struct kube_client *c);
