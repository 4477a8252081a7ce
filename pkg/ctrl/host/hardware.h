#pragma once
/* From an inspection to HardwareDetails, with the conversions that consumers of metal3.io know.
 * Pure. any thread */

#include "json/json.h"

/* What the inspection's body (an agent's, or a BMC's: bmc.h) does not tell is absent. */
struct json *hardware_details(const struct json *inspection);
