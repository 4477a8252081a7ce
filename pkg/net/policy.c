/* The policy for outgoing connections, as one ordered list of questions. What is our own address is
 * asked of the kernel's routing each time: a list made at start would miss what is added later, and
 * reading interfaces needs a netlink socket, which the sandbox refuses. */

#include "net/policy.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

void net_prefixes_done(struct net_prefixes *list)
{
	free(list->items);
	*list = (struct net_prefixes){ 0 };
}

void net_policy_done(struct net_policy *p)
{
	net_prefixes_done(&p->allow);
	net_prefixes_done(&p->refuse);
	net_prefixes_done(&p->only);
	*p = (struct net_policy){ 0 };
}

/* Connecting a datagram socket sends nothing; it chooses a source, and that is the destination
 * itself only where the packet would not leave the machine. */
bool net_is_own(const struct net_addr *a)
{
	struct net_addr to = net_unmap(a), from = { 0 };
	socklen_t len = sizeof(from);
	net_set_port(&to, 9);
	int fd = socket(net_family(&to), SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	bool own = connect(fd, &to.sa, net_len(&to)) == 0 && getsockname(fd, &from.sa, &len) == 0 &&
		   net_same_ip(&from, &to);
	close(fd);
	return own;
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
	return net_is_own(a) ? "it is an address of the machine that Ingot runs on" : NULL;
}

int net_policy_check(const struct net_policy *policy, const struct net_addr *a, struct err *err)
{
	if (!policy || net_prefixes_contain(&policy->allow, a))
		return 0;
	char ip[NET_IP_TEXT_MAX];
	const char *why = built_in_refusal(a);
	if (!why && net_prefixes_contain(&policy->refuse, a))
		why = "it belongs to the cluster that Ingot works for";
	net_format_ip(a, ip);
	if (why)
		return err_set(err, ERR_INVALID,
			       "connecting to %s is refused: %s (--allow-target %s permits it)", ip,
			       why, ip);
	if (policy->only.count == 0 || net_prefixes_contain(&policy->only, a))
		return 0;
	return err_set(
		err, ERR_INVALID,
		"connecting to %s is refused: it lies outside %s (--allow-target %s permits it)",
		ip, policy->only_name, ip);
}
