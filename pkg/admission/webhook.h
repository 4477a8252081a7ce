#pragma once
/* The webhooks' routes: POST /validate-metal3-io-v1alpha1-KIND, answered by the rules. No call to
 * the API is made but to list hosts, when a HostNetworkAttachment is to be deleted or changed.
 *
 * Requests are read and judged on a loop of their own: anybody may send large ones, and the core
 * has leases to renew. Questions to the API are asked on the client's loop. */

#include "kube/client.h"
#include "web/router.h"

struct webhook;

/* `loop`: of the route; it may be the client's. `ns`: the only namespace whose hosts may be listed;
 * NULL: all. All is borrowed. */
struct webhook *webhook_new(struct loop *loop, struct kube_client *client, const char *ns);
/* The one row that its server needs. */
struct web_route webhook_route(struct webhook *w);
/* The table, for the tests; as long as the webhook. */
const struct web_router *webhook_router(const struct webhook *w);
/* On the client's loop, after its server was closed, the other loop has stopped, and what these had
 * posted has run. */
struct webhook *webhook_free(struct webhook *w);
