#pragma once
/* Numeric network addresses: IPv4 and IPv6 with port, prefixes, MAC addresses. Nothing here
 * resolves names. any thread */

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/* Zeroed: no address (family AF_UNSPEC). */
struct net_addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
};

struct net_prefix {
	struct net_addr addr; /* port 0, host bits 0 */
	unsigned bits;
};

struct net_mac {
	uint8_t bytes[6];
};

enum { NET_IP_TEXT_MAX = 64, NET_TEXT_MAX = 72, NET_PREFIX_TEXT_MAX = 68, NET_MAC_TEXT_SIZE = 18 };

/* "10.0.0.1", "fe80::1", "fe80::1%eth0" (or %2); no brackets, no port. -EINVAL. */
int net_parse_ip(const char *text, struct net_addr *ret);
/* "10.0.0.1", "10.0.0.1:80", "[fe80::1]", "[fe80::1]:80"; without a port it is `port`. -EINVAL. */
int net_parse(const char *text, uint16_t port, struct net_addr *ret);
/* From what the kernel gave; -EINVAL for other families or a wrong length. */
int net_from_sockaddr(const struct sockaddr *sa, socklen_t len, struct net_addr *ret);
/* To and from protocols that know IPv4 only, whose 0.0.0.0 is "no address" on both sides. */
struct net_addr net_from_v4(struct in_addr ip);
struct in_addr net_to_v4(const struct net_addr *a);

/* All return buf. "?" for no address. */
char *net_format_ip(const struct net_addr *a, char buf[NET_IP_TEXT_MAX]);
/* With the port, IPv6 in brackets. */
char *net_format(const struct net_addr *a, char buf[NET_TEXT_MAX]);

bool net_is_set(const struct net_addr *a);
int net_family(const struct net_addr *a);
socklen_t net_len(const struct net_addr *a);
uint16_t net_port(const struct net_addr *a);
void net_set_port(struct net_addr *a, uint16_t port);
/* <0, 0, >0: by family, address, scope, port. */
int net_compare(const struct net_addr *a, const struct net_addr *b);
bool net_same_ip(const struct net_addr *a, const struct net_addr *b);
uint32_t net_hash_ip(const struct net_addr *a); /* equal for net_same_ip */
/* The address n further; behind the last one comes the first. */
struct net_addr net_add(const struct net_addr *a, uint64_t n);
/* How many addresses further `to` is. False: before `from`, of another family, or 2^64 and more. */
bool net_distance(const struct net_addr *from, const struct net_addr *to, uint64_t *ret);
/* ::ffff:a.b.c.d becomes a.b.c.d; all else stays. */
struct net_addr net_unmap(const struct net_addr *a);

/* These look through IPv4-mapped addresses. */
bool net_is_unspecified(const struct net_addr *a); /* also 0.0.0.0/8, "this network" */
bool net_is_loopback(const struct net_addr *a);
bool net_is_link_local(const struct net_addr *a);
bool net_is_multicast(const struct net_addr *a); /* also IPv4's limited broadcast */

/* "10.0.0.0/8"; without "/n" the address alone. Host bits must be zero. -EINVAL. */
int net_parse_prefix(const char *text, struct net_prefix *ret);
char *net_format_prefix(const struct net_prefix *p, char buf[NET_PREFIX_TEXT_MAX]);
bool net_prefix_contains(const struct net_prefix *p, const struct net_addr *a);
bool net_prefix_overlaps(const struct net_prefix *a, const struct net_prefix *b);
/* The network of that length which the address is in. */
struct net_prefix net_prefix_of(const struct net_addr *a, unsigned bits);
struct net_addr net_prefix_last(const struct net_prefix *p);
unsigned net_bits(int family); /* of an address: 32, 128 */

/* Six pairs of hex digits with colons, either case; -EINVAL. */
int net_parse_mac(const char *text, struct net_mac *ret);
/* Lower case with colons. Returns buf. */
char *net_format_mac(const struct net_mac *mac, char buf[NET_MAC_TEXT_SIZE]);
bool net_mac_equal(const struct net_mac *a, const struct net_mac *b);
bool net_mac_is_multicast(const struct net_mac *mac);
uint32_t net_mac_hash(const struct net_mac *mac);
