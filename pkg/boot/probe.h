#pragma once
/* Asks the wire whether an address is in use, before it is offered for the first time. Core thread.
 */

#include "boot/boot.h"

struct boot_prober;
struct boot_probe;

enum { BOOT_PROBE_WAIT_MS = 500, BOOT_PROBES_MAX = 256 };

/* `taken`: a MAC other than `own` answered for the address. */
typedef void (*boot_probe_done_fn)(void *data, bool taken);

/* For addresses of one family (AF_INET, AF_INET6). Needs CAP_NET_RAW, now and not later. */
int boot_prober_open(struct loop *loop, int family, const char *device, struct boot_prober **ret,
		     struct err *err);
/* No probe may be under way. */
struct boot_prober *boot_prober_close(struct boot_prober *p);
/* NULL: too many at once. done comes after BOOT_PROBE_WAIT_MS at the latest. */
struct boot_probe *boot_probe_start(struct boot_prober *p, const struct net_addr *address,
				    const struct net_mac *own, boot_probe_done_fn done, void *data);
struct boot_probe *boot_probe_cancel(struct boot_probe *p); /* accepts NULL; returns NULL */
