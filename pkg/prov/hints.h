#pragma once
/* Root device hints: from Metal3's words to those of the deploy agent. Pure; any thread. */

#include "json/json.h"

/* `spec` has the members of rootDeviceHints; members that are not known are left out. A new tree in
 * the agent's grammar; NULL: there are none. */
struct json *prov_agent_hints(const struct json *spec);
