#pragma once
/* kube_transport over HTTPS (pkg/http): TLS and credentials as a kube_config says, files read again
 * when they change, a token refused once is read again and the request repeated once. Core thread.
 */

#include "kube/config.h"
#include "kube/transport.h"
#include "loop/loop.h"

/* `config` is borrowed during the call. `user_agent`: "ingot/1.2 (linux/amd64)". Released by
 * transport->ops->free(). */
int kube_http_transport_new(struct loop *loop, const struct kube_config *config,
			    const char *user_agent, struct kube_transport **ret, struct err *err);
/* Certificate and token files are read again before the next request (SIGHUP). */
void kube_http_transport_reread(struct kube_transport *t);
