#pragma once
/* `ingotctl move`: hosts, with all that Ingot knows of them, from one API server to another, as
 * clusterctl moves clusters. No host is touched on the way: both Ingots see it paused, or leaving.
 *
 *   settle   wait until Ingot does nothing to the hosts, and pause them
 *   copy     hosts, their Secrets, HardwareData, HostRecords, status; then mark the hosts as copied
 *   remove   the marked hosts from the source, without deprovisioning
 *   finish   take the pause off the copies
 *
 * What has been done stands in the objects themselves, so that a move that was interrupted anywhere
 * goes on when it is run again. Main thread; the loops of both connections run inside. */

#include "hostview/client.h"

struct move_options {
	const char *own_ns; /* where Ingot keeps its Secret */
	bool dry_run;
	usec_t patience; /* how long hosts may take to come to rest */
	/* A line for a person. */
	void (*say)(void *data, const char *line);
	void *data;
};

/* All hosts of from->ns (NULL: of all namespaces). An error says what to do; what was done until
 * then stays done. */
int move_run(struct hostview *from, struct hostview *to, const struct move_options *options,
	     struct err *err);
