#pragma once
/* What the switch says on each port (IEEE 802.1AB). any thread */

#include "agent/hw/nics.h"
#include "loop/loop.h"
#include "json/json.h"

/* [[type, "hex"], …] of one frame, Ethernet header included; NULL: no LLDP frame. */
struct json *hw_lldp_parse(const void *frame, size_t len);
/* The loop is asked for the time only. Listens on all NICs with carrier until each has heard one
 * frame, at most timeout_ms. Blocking. {name: [[type, "hex"], …]} */
struct json *hw_lldp_listen(const struct loop *loop, const struct hw_nics *nics,
			    unsigned timeout_ms);
