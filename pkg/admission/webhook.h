#pragma once
/* The webhooks' routes: POST /validate-metal3-io-v1alpha1-KIND, answered by the rules. No call to
 * the API is made but to list hosts, when a HostNetworkAttachment is to be deleted or changed. All
 * on the loop given. */

#include "kube/client.h"
#include "web/web.h"

struct webhook;

/* `ns`: the only namespace whose hosts may be listed; NULL: all. All is borrowed. */
struct webhook *webhook_new(struct loop *loop, struct kube_client *client, const char *ns);
/* The one row that its server needs. */
struct web_route webhook_route(struct webhook *w);
/* After its server was closed and what that had posted has run. */
struct webhook *webhook_free(struct webhook *w);
