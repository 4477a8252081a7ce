#pragma once
/* The Redfish driver (DMTF DSP0266): BMCs over HTTPS, on the loop's HTTP client. One session and
 * one request in flight per BMC. Quirks of vendors are rows of quirks.c. */

#include "bmc/bmc.h"
#include "net/policy.h"

struct redfish_options {
	const char *user_agent;
	const struct net_policy *policy; /* borrowed; NULL: every address may be talked to */
	unsigned max_connections;	 /* to all BMCs; 0: 256 */
	/* Of what is tried again: a request that a busy BMC refuses. 0: 3 s, growing up to 30 s. */
	usec_t retry_pause;
};

/* kind: BMC_DRIVER_REDFISH or BMC_DRIVER_IDRAC, which differ in their name and in what Dell adds.
 * options NULL: defaults. Ended by bmc_driver_free(). */
int redfish_driver_new(struct loop *loop, enum bmc_driver_kind kind,
		       const struct redfish_options *options, struct bmc_driver **ret,
		       struct err *err);
/* Sessions whose end the BMC has not confirmed yet. */
unsigned redfish_driver_leaving(const struct bmc_driver *driver);
/* Called each time when the last of them has been confirmed or given up. NULL: nobody waits. */
void redfish_driver_on_left(struct bmc_driver *driver, loop_fn left, void *data);
