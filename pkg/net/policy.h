#pragma once
/* Which addresses we may connect to: asked after resolution, on every connect.
 * Loopback, link-local, unspecified, multicast, this machine's own addresses and the listed refused
 * ranges are refused unless a target is allowed by name; `only` narrows what is left. any thread,
 * once filled */

#include "base/err.h"
#include "net/net.h"

struct net_prefixes {
	struct net_prefix *items;
	size_t count;
};

/* Zeroed: only the built-in refusals. */
struct net_policy {
	struct net_prefixes allow;  /* --allow-target: wins over everything */
	struct net_prefixes refuse; /* the cluster's: API server, Services, pods */
	struct net_prefixes only;   /* empty: all */
	const char *only_name;	    /* what `only` is, for messages; set when it is not empty */
};

/* Comma-separated prefixes are added to the list. ERR_INVALID names the wrong one. */
int net_prefixes_parse(struct net_prefixes *list, const char *text, struct err *err);
void net_prefixes_add(struct net_prefixes *list, const struct net_prefix *p);
void net_prefixes_done(struct net_prefixes *list);
bool net_prefixes_contain(const struct net_prefixes *list, const struct net_addr *a);
void net_policy_done(struct net_policy *p);
/* Does the kernel deliver packets for it to this machine? As of now: addresses come and go. */
bool net_is_own(const struct net_addr *a);
/* 0, or ERR_INVALID with a text that says why and what to do. policy NULL: all is allowed. */
int net_policy_check(const struct net_policy *policy, const struct net_addr *a, struct err *err);
