#pragma once
/* The agent link over HTTPS. Trusts exactly the certificate of the agent's first heartbeat and
 * nothing else. Core thread. */

#include "agentapi/link.h"
#include "http/http.h"

/* The client is borrowed. */
struct agent_link *agent_http_link_new(struct http_client *client);
