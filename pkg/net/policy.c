/* The policy for outgoing connections, as one ordered list of questions. */

#include "net/policy.h"

#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "base/mem.h"

void net_prefixes_add(struct net_prefixes *list, const struct net_prefix *p)
{
	list->items = xreallocarray(list->items, list->count + 1, sizeof(*p));
	list->items[list->count++] = *p;
}

int net_prefixes_parse(struct net_prefixes *list, const char *text, struct err *err)
{
	while (*text) {
		size_t len = strcspn(text, ",");
		_cleanup_(freep) char *one = xstrndup(text, len);
		struct net_prefix p;
		if (net_parse_prefix(one, &p) < 0)
			return err_set(err, ERR_INVALID,
				       "\"%.64s\" is not a network such as 192.0.2.0/24 or "
				       "2001:db8::/64 (host bits must be zero)",
				       one);
		net_prefixes_add(list, &p);
		text += len;
		text += *text == ',';
	}
	return 0;
}

bool net_prefixes_contain(const struct net_prefixes *list, const struct net_addr *a)
{
	for (size_t i = 0; i < list->count; i++)
		if (net_prefix_contains(&list->items[i], a))
			return true;
	return false;
}

void net_policy_done(struct net_policy *p)
{
	free(p->allow.items);
	free(p->refuse.items);
	free(p->only.items);
	*p = (struct net_policy){ 0 };
}

static const char *built_in_refusal(const struct net_addr *a)
{
	if (net_is_loopback(a))
		return "it is a loopback address";
	if (net_is_link_local(a))
		return "it is a link-local address";
	if (net_is_unspecified(a))
		return "it is no address of a machine";
	if (net_is_multicast(a))
		return "it is a multicast address";
	return NULL;
}

int net_policy_check(const struct net_policy *policy, const struct net_addr *a, struct err *err)
{
	if (!policy || net_prefixes_contain(&policy->allow, a))
		return 0;
	const char *why = built_in_refusal(a);
	if (!why && net_prefixes_contain(&policy->refuse, a))
		why = "it lies in a network that belongs to Ingot or the cluster";
	if (!why && policy->only.count > 0 && !net_prefixes_contain(&policy->only, a))
		why = "it lies outside the networks of --bmc-networks";
	if (!why)
		return 0;
	char ip[NET_IP_TEXT_MAX];
	return err_set(err, ERR_INVALID,
		       "connecting to %s is refused: %s (--allow-target permits it)",
		       net_format_ip(a, ip), why);
}
