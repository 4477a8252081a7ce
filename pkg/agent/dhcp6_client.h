#pragma once
/* A DHCPv6 client (RFC 8415) that asks for one address and keeps it: the protocol, without sockets.
 * For the ramdisk, whose busybox has none. One loop. */

#include "loop/loop.h"
#include "net/net.h"
#include "wire/dhcp6.h"

enum { DHCP6_CLIENT_DNS_MAX = 4, DHCP6_CLIENT_DOMAIN_MAX = 256 };

struct dhcp6_lease {
	struct net_addr address;
	uint32_t preferred, valid; /* seconds from now; UINT32_MAX: for good */
	struct net_addr dns[DHCP6_CLIENT_DNS_MAX];
	size_t dns_count;
	char domain[DHCP6_CLIENT_DOMAIN_MAX]; /* the first one; "": none */
};

/* None of them may call back. */
struct dhcp6_client_options {
	struct loop *loop;
	struct net_mac mac; /* of the NIC: it identifies us */
	/* To all servers. False: not now (the link-local address is not usable yet);
	 * dhcp6_client_kick will tell when it may be tried again. */
	bool (*send)(void *data, const void *message, size_t len);
	/* New, renewed, or (NULL) at its end. */
	void (*changed)(void *data, const struct dhcp6_lease *lease);
	void *data;
};

struct dhcp6_client;

/* Begins to ask when it is kicked for the first time. */
struct dhcp6_client *dhcp6_client_new(const struct dhcp6_client_options *options);
struct dhcp6_client *dhcp6_client_free(struct dhcp6_client *c);
/* What could not be sent may be sendable now. */
void dhcp6_client_kick(struct dhcp6_client *c);
/* A message from the wire. */
void dhcp6_client_take(struct dhcp6_client *c, const void *message, size_t len);
/* Another machine uses the address: it is given back, and another one asked for. */
void dhcp6_client_decline(struct dhcp6_client *c);
