#pragma once
/* Waiting for hardware by events of the kernel, not by sleeping. */

#include <stdbool.h>

#include "base/clock.h"
#include "loop/loop.h"

/* Blocks until `ready` says so, asking again after each event about block devices, at most
 * timeout_ms. Returns what it said last. The loop is asked for the time only. any thread */
bool hw_wait_for_disks(const struct loop *loop, bool (*ready)(void *data), void *data,
		       unsigned timeout_ms);

/* Where one disk is, others may follow: blocks until no block device has come or changed for
 * quiet_ms, at most timeout_ms. any thread */
void hw_settle_disks(const struct loop *loop, unsigned quiet_ms, unsigned timeout_ms);

/* Calls `changed` on the loop whenever a link or an address of the machine changes. */
struct hw_net_watch;
int hw_net_watch_open(struct loop *loop, loop_fn changed, void *data, struct hw_net_watch **ret,
		      struct err *err);
struct hw_net_watch *hw_net_watch_close(struct hw_net_watch *w);
/* Has the NIC with that MAC (NULL: any NIC) an address that reaches beyond its link? With `all`,
 * every NIC with carrier. */
bool hw_net_ready(const char *root, const char *mac, bool all);
/* Has any interface such an address, be it a NIC, a bond or a VLAN? */
bool hw_net_any_address(void);
