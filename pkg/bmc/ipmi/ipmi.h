#pragma once
/* The IPMI 2.0 driver: all BMCs on one UDP socket per address family, on the loop. */

#include "bmc/bmc.h"
#include "net/policy.h"

struct ipmi_options {
	unsigned max_sessions; /* at the same time; 0: 500, at most 4000 */
	usec_t session_gap;    /* from the end of a session to the next one of that BMC; 0: 5 s */
	usec_t retransmit;     /* first repetition of an unanswered packet; 0: 1 s */
	const struct net_policy *policy; /* borrowed; NULL: every address may be talked to */
};

struct ipmi_stats {
	uint64_t sessions; /* begun */
	uint64_t sent, resent, received;
	uint64_t dropped; /* received, but not for us or not in order */
	unsigned active;  /* sessions now */
	unsigned waiting; /* BMCs that wait for one to end */
};

/* Once, in main, before any thread starts. */
int ipmi_global_init(struct err *err);

/* options NULL: defaults. Ended by bmc_driver_free(). */
int ipmi_driver_new(struct loop *loop, const struct ipmi_options *options, struct bmc_driver **ret,
		    struct err *err);
/* Now instead of with the first BMC, for a process that will drop the privilege that large receive
 * buffers need. What fails is tried again then. */
void ipmi_driver_open_sockets(struct bmc_driver *driver);
struct ipmi_stats ipmi_driver_stats(const struct bmc_driver *driver);
