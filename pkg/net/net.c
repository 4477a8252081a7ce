/* Numeric addresses, on top of inet_pton and inet_ntop, whose strictness (no octal, no short forms)
 * is what a parser of configuration wants. Pure functions, but for the interface names of IPv6
 * zones, which the kernel resolves. */

#include "net/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

static int parse_zone(const char *zone, uint32_t *ret)
{
	uint64_t number;
	if (parse_u64(zone, UINT32_MAX, &number) == 0 && number > 0) {
		*ret = (uint32_t)number;
		return 0;
	}
	unsigned index = strlen(zone) < IF_NAMESIZE ? if_nametoindex(zone) : 0;
	if (!index)
		return -EINVAL;
	*ret = index;
	return 0;
}

static int parse_v6(const char *text, struct net_addr *ret)
{
	char ip[INET6_ADDRSTRLEN];
	size_t len = strcspn(text, "%");
	if (len >= sizeof(ip))
		return -EINVAL;
	memcpy(ip, text, len);
	ip[len] = '\0';
	struct net_addr a = { .v6.sin6_family = AF_INET6 };
	if (inet_pton(AF_INET6, ip, &a.v6.sin6_addr) != 1)
		return -EINVAL;
	if (text[len] == '%' && parse_zone(text + len + 1, &a.v6.sin6_scope_id) < 0)
		return -EINVAL;
	*ret = a;
	return 0;
}

int net_parse_ip(const char *text, struct net_addr *ret)
{
	struct net_addr a = { .v4.sin_family = AF_INET };
	if (inet_pton(AF_INET, text, &a.v4.sin_addr) != 1)
		return parse_v6(text, ret);
	*ret = a;
	return 0;
}

/* Cuts "[v6]:port" or "v4:port" into its parts; *ret_port is NULL without a port. */
static int split(char *text, char **ret_ip, char **ret_port)
{
	char *after, *ip = text;
	bool bracket = *text == '[';
	if (bracket) {
		ip++;
		after = strchr(ip, ']');
		if (!after || !strchr(ip, ':'))
			return -EINVAL;
		*after++ = '\0';
	} else {
		after = text + strcspn(text, ":");
	}
	if (*after != '\0' && *after != ':')
		return -EINVAL;
	*ret_port = *after == ':' ? after + 1 : NULL;
	*after = '\0';
	*ret_ip = ip;
	return 0;
}

int net_parse(const char *text, uint16_t port, struct net_addr *ret)
{
	char buf[NET_TEXT_MAX], *ip, *port_text;
	uint64_t number = port;
	size_t len = strlen(text);
	if (len >= sizeof(buf))
		return -EINVAL;
	memcpy(buf, text, len + 1);
	if (split(buf, &ip, &port_text) < 0)
		return -EINVAL;
	if (port_text && parse_u64(port_text, UINT16_MAX, &number) < 0)
		return -EINVAL;
	struct net_addr a;
	if (net_parse_ip(ip, &a) < 0)
		return -EINVAL;
	net_set_port(&a, (uint16_t)number);
	*ret = a;
	return 0;
}

int net_from_sockaddr(const struct sockaddr *sa, socklen_t len, struct net_addr *ret)
{
	struct net_addr a = { 0 };
	if (sa->sa_family == AF_INET && len >= sizeof(a.v4))
		memcpy(&a.v4, sa, sizeof(a.v4));
	else if (sa->sa_family == AF_INET6 && len >= sizeof(a.v6))
		memcpy(&a.v6, sa, sizeof(a.v6));
	else
		return -EINVAL;
	*ret = a;
	return 0;
}

struct net_addr net_from_v4(struct in_addr ip)
{
	struct net_addr a = { 0 };
	if (ip.s_addr)
		a.v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = ip };
	return a;
}

struct in_addr net_to_v4(const struct net_addr *a)
{
	return net_family(a) == AF_INET ? a->v4.sin_addr : (struct in_addr){ 0 };
}

char *net_format_ip(const struct net_addr *a, char buf[NET_IP_TEXT_MAX])
{
	memcpy(buf, "?", 2);
	if (net_family(a) == AF_INET)
		inet_ntop(AF_INET, &a->v4.sin_addr, buf, NET_IP_TEXT_MAX);
	else if (net_family(a) == AF_INET6)
		inet_ntop(AF_INET6, &a->v6.sin6_addr, buf, NET_IP_TEXT_MAX);
	if (net_family(a) == AF_INET6 && a->v6.sin6_scope_id) {
		size_t n = strlen(buf);
		snprintf(buf + n, NET_IP_TEXT_MAX - n, "%%%u", a->v6.sin6_scope_id);
	}
	return buf;
}

char *net_format(const struct net_addr *a, char buf[NET_TEXT_MAX])
{
	char ip[NET_IP_TEXT_MAX];
	bool v6 = net_family(a) == AF_INET6;
	snprintf(buf, NET_TEXT_MAX, "%s%.60s%s:%u", v6 ? "[" : "", net_format_ip(a, ip),
		 v6 ? "]" : "", net_port(a));
	return buf;
}

bool net_is_set(const struct net_addr *a)
{
	return net_family(a) != AF_UNSPEC;
}

int net_family(const struct net_addr *a)
{
	return a->sa.sa_family;
}

socklen_t net_len(const struct net_addr *a)
{
	return net_family(a) == AF_INET6 ? sizeof(a->v6) : sizeof(a->v4);
}

uint16_t net_port(const struct net_addr *a)
{
	return ntohs(net_family(a) == AF_INET6 ? a->v6.sin6_port : a->v4.sin_port);
}

void net_set_port(struct net_addr *a, uint16_t port)
{
	if (net_family(a) == AF_INET6)
		a->v6.sin6_port = htons(port);
	else
		a->v4.sin_port = htons(port);
}

static int order(uint32_t a, uint32_t b)
{
	return (a > b) - (a < b);
}

static int compare_ip(const struct net_addr *a, const struct net_addr *b)
{
	int r = order((uint32_t)net_family(a), (uint32_t)net_family(b));
	if (r != 0 || net_family(a) == AF_UNSPEC)
		return r;
	if (net_family(a) == AF_INET)
		return memcmp(&a->v4.sin_addr, &b->v4.sin_addr, sizeof(a->v4.sin_addr));
	r = memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof(a->v6.sin6_addr));
	return r != 0 ? r : order(a->v6.sin6_scope_id, b->v6.sin6_scope_id);
}

int net_compare(const struct net_addr *a, const struct net_addr *b)
{
	int r = compare_ip(a, b);
	return r != 0 ? r : order(net_port(a), net_port(b));
}

bool net_same_ip(const struct net_addr *a, const struct net_addr *b)
{
	return compare_ip(a, b) == 0;
}

struct net_addr net_unmap(const struct net_addr *a)
{
	if (net_family(a) != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr))
		return *a;
	struct net_addr plain = { .v4 = { .sin_family = AF_INET, .sin_port = a->v6.sin6_port } };
	memcpy(&plain.v4.sin_addr, a->v6.sin6_addr.s6_addr + 12, 4);
	return plain;
}

/* The IPv4 address in host order, or 0 with *ret_v4 false. */
static uint32_t host_v4(const struct net_addr *a, bool *ret_v4)
{
	*ret_v4 = net_family(a) == AF_INET;
	return *ret_v4 ? ntohl(a->v4.sin_addr.s_addr) : 0;
}

bool net_is_unspecified(const struct net_addr *a)
{
	bool v4;
	struct net_addr plain = net_unmap(a);
	uint32_t ip = host_v4(&plain, &v4);
	return v4 ? ip >> 24 == 0 : IN6_IS_ADDR_UNSPECIFIED(&plain.v6.sin6_addr);
}

bool net_is_loopback(const struct net_addr *a)
{
	bool v4;
	struct net_addr plain = net_unmap(a);
	uint32_t ip = host_v4(&plain, &v4);
	return v4 ? ip >> 24 == 127 : IN6_IS_ADDR_LOOPBACK(&plain.v6.sin6_addr);
}

bool net_is_link_local(const struct net_addr *a)
{
	bool v4;
	struct net_addr plain = net_unmap(a);
	uint32_t ip = host_v4(&plain, &v4);
	return v4 ? ip >> 16 == 0xa9fe : IN6_IS_ADDR_LINKLOCAL(&plain.v6.sin6_addr);
}

bool net_is_multicast(const struct net_addr *a)
{
	bool v4;
	struct net_addr plain = net_unmap(a);
	uint32_t ip = host_v4(&plain, &v4);
	return v4 ? ip >> 28 == 0xe || ip == UINT32_MAX
		  : IN6_IS_ADDR_MULTICAST(&plain.v6.sin6_addr);
}
