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
		return "it is not an address of a machine";
	if (net_is_multicast(a))
		return "it is a multicast address";
	return net_is_own(a) ? "it is an address of the machine that Ingot runs on" : NULL;
}

/* Forms of IPv6 addresses that a router or translator on the way turns into an IPv4 address. */
static const struct {
	const char *name;
	uint8_t prefix[14];
	uint8_t mask[14]; /* which bits of the prefix count */
	uint8_t at[4];	  /* where the bytes of the IPv4 address stand */
	uint8_t flip;	  /* they are written so */
} embeddings[] = {
#define ALL(n) [0 ...(n) - 1] = 0xff
	/* RFC 4291, 2.5.5.1, and RFC 2765, 2.1 */
	{ "IPv4-compatible", { 0 }, { ALL(12) }, { 12, 13, 14, 15 }, 0 },
	{ "IPv4-translated", { [8] = 0xff, 0xff }, { ALL(12) }, { 12, 13, 14, 15 }, 0 },
	/* RFC 6052, and RFC 8215 with each length of prefix that fits into it */
	{ "NAT64", { 0, 0x64, 0xff, 0x9b }, { ALL(12) }, { 12, 13, 14, 15 }, 0 },
	{ "NAT64", { 0, 0x64, 0xff, 0x9b, 0, 1 }, { ALL(6) }, { 12, 13, 14, 15 }, 0 },
	{ "NAT64", { 0, 0x64, 0xff, 0x9b, 0, 1 }, { ALL(6) }, { 6, 7, 9, 10 }, 0 },
	{ "NAT64", { 0, 0x64, 0xff, 0x9b, 0, 1 }, { ALL(6) }, { 7, 9, 10, 11 }, 0 },
	{ "NAT64", { 0, 0x64, 0xff, 0x9b, 0, 1 }, { ALL(6) }, { 9, 10, 11, 12 }, 0 },
	/* RFC 3056 */
	{ "6to4", { 0x20, 0x02 }, { ALL(2) }, { 2, 3, 4, 5 }, 0 },
	/* RFC 4380: its server, and its client */
	{ "Teredo", { 0x20, 0x01 }, { ALL(4) }, { 4, 5, 6, 7 }, 0 },
	{ "Teredo", { 0x20, 0x01 }, { ALL(4) }, { 12, 13, 14, 15 }, 0xff },
	/* RFC 5214: the bit says whether the address is unique in the world */
	{ "ISATAP",
	  { [10] = 0x5e, 0xfe },
	  { [8] = 0xfd, 0xff, 0xff, 0xff },
	  { 12, 13, 14, 15 },
	  0 },
#undef ALL
};

static bool embeds(size_t row, const struct net_addr *a, struct net_addr *ret)
{
	const uint8_t *bytes = a->v6.sin6_addr.s6_addr;
	uint8_t *to = (uint8_t *)&ret->v4.sin_addr;
	for (size_t i = 0; i < sizeof(embeddings[row].mask); i++)
		if ((bytes[i] ^ embeddings[row].prefix[i]) & embeddings[row].mask[i])
			return false;
	*ret = (struct net_addr){ .v4 = { .sin_family = AF_INET } };
	for (size_t i = 0; i < 4; i++)
		to[i] = bytes[embeddings[row].at[i]] ^ embeddings[row].flip;
	return true;
}

static const char *refusal(const struct net_policy *policy, const struct net_addr *a)
{
	const char *why = built_in_refusal(a);
	if (!why && net_prefixes_contain(&policy->refuse, a))
		why = "it belongs to the cluster that Ingot works for";
	return why;
}

/* Refused in itself it is not; the address in it may be. */
static int check_embedded(const struct net_policy *policy, const struct net_addr *a,
			  struct err *err)
{
	char ip[NET_IP_TEXT_MAX], inner_ip[NET_IP_TEXT_MAX];
	struct net_addr inner;
	if (net_family(a) != AF_INET6)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(embeddings); i++) {
		/* Zeros mean that it is of another layout. */
		const char *why = embeds(i, a, &inner) && !net_is_unspecified(&inner) &&
						  !net_prefixes_contain(&policy->allow, &inner)
					  ? refusal(policy, &inner)
					  : NULL;
		if (why)
			return err_set(err, ERR_INVALID,
				       "connecting to %s is refused: it stands for %s (%s), and %s "
				       "(--allow-target %s permits it)",
				       net_format_ip(a, ip), net_format_ip(&inner, inner_ip),
				       embeddings[i].name, why, ip);
	}
	return 0;
}

int net_policy_check(const struct net_policy *policy, const struct net_addr *a, struct err *err)
{
	if (!policy || net_prefixes_contain(&policy->allow, a))
		return 0;
	char ip[NET_IP_TEXT_MAX];
	const char *why = refusal(policy, a);
	net_format_ip(a, ip);
	if (why)
		return err_set(err, ERR_INVALID,
			       "connecting to %s is refused: %s (--allow-target %s permits it)", ip,
			       why, ip);
	int r = check_embedded(policy, a, err);
	if (r < 0)
		return r;
	if (policy->only.count == 0 || net_prefixes_contain(&policy->only, a))
		return 0;
	return err_set(
		err, ERR_INVALID,
		"connecting to %s is refused: it lies outside %s (--allow-target %s permits it)",
		ip, policy->only_name, ip);
}
