#pragma once
/* Asks the wire whether an address is in use, before it is offered for the first time. Core thread.
 */

#include "boot/boot.h"

struct prober;
struct probe;

enum { PROBE_WAIT_MS = 500, PROBES_MAX = 256 };

/* `taken`: a MAC other than `own` answered for the address. */
typedef void (*probe_done_fn)(void *data, bool taken);

/* Needs CAP_NET_RAW, now and not later. */
int prober_open(struct loop *loop, const char *device, struct prober **ret, struct err *err);
/* No probe may be under way. */
struct prober *prober_close(struct prober *p);
/* NULL: too many at once. done comes after PROBE_WAIT_MS at the latest. */
struct probe *probe_start(struct prober *p, const struct net_addr *address,
			  const struct net_mac *own, probe_done_fn done, void *data);
struct probe *probe_cancel(struct probe *p); /* accepts NULL; returns NULL */
