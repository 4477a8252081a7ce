/* Builds DHCP replies, by RFC 2131 sections 4.1 and 4.3, RFC 3046 (relay option echoed), RFC 5107
 * (server identifier of the relay), RFC 6842
 * (client identifier echoed) and, for firmware, the PXE specification 2.1. The boot file is given
 * both in the header and as option 67: some ROMs read only the one, some only the other. Router and
 * DNS are left out unless configured: a provisioning network often has neither, and an installed
 * system must not learn a dead one. Pure. */

#include "boot/dhcp_reply.h"

#include <string.h>

#include "base/str.h"

const struct boot_pool *dhcp_reply_pool(const struct boot_config *config,
					const struct dhcp_message *request)
{
	struct in_addr link = request->giaddr;
	if (link.s_addr == 0)
		return boot_pool_find(config, &config->address);
	if (!dhcp_get_relay_address(request, DHCP_RELAY_LINK, &link))
		(void)dhcp_get_address(request, DHCP_OPT_SUBNET, &link);
	struct net_addr subnet = net_from_v4(link);
	return boot_pool_find(config, &subnet);
}

/* What the client shall take for us: a relay that wants to see renewals names itself. */
static struct in_addr server_identifier(const struct boot_config *config,
					const struct dhcp_message *request)
{
	struct in_addr id = net_to_v4(&config->address);
	(void)dhcp_get_relay_address(request, DHCP_RELAY_SERVER, &id);
	return id;
}

bool dhcp_reply_is_server(const struct boot_config *config, const struct dhcp_message *request,
			  struct in_addr server)
{
	return server.s_addr == net_to_v4(&config->address).s_addr ||
	       server.s_addr == server_identifier(config, request).s_addr;
}

void dhcp_reply_init(const struct boot_config *config, const struct dhcp_message *request,
		     enum dhcp_type type, struct dhcp_message *ret)
{
	struct dhcp_message m = { .op = DHCP_OP_REPLY,
				  .htype = request->htype,
				  .hlen = request->hlen,
				  .xid = request->xid,
				  .flags = request->flags,
				  .giaddr = request->giaddr };
	memcpy(m.chaddr, request->chaddr, sizeof(m.chaddr));
	/* The relay must not unicast a NAK to an address that the client may not use (4.3.2). */
	if (type == DHCP_NAK && request->giaddr.s_addr)
		m.flags |= DHCP_FLAG_BROADCAST;
	if (type == DHCP_ACK)
		m.ciaddr = request->ciaddr;
	dhcp_set_u8(&m, DHCP_OPT_TYPE, (uint8_t)type);
	dhcp_set_address(&m, DHCP_OPT_SERVER, server_identifier(config, request));
	dhcp_echo(&m, request, DHCP_OPT_CLIENT_ID);
	dhcp_echo(&m, request, DHCP_OPT_RELAY);
	if (request->giaddr.s_addr)
		dhcp_echo(&m, request, DHCP_OPT_SUBNET); /* RFC 3011: "MUST" */
	if (type != DHCP_NAK)
		dhcp_echo(&m, request, DHCP_OPT_UUID); /* the PXE specification asks for it */
	*ret = m;
}

static void set_name_servers(const struct boot_config *config, struct dhcp_message *m)
{
	struct in_addr dns[BOOT_DNS_MAX];
	size_t count = 0;
	for (size_t i = 0; i < config->dns_count; i++)
		if (net_family(&config->dns[i]) == AF_INET)
			dns[count++] = net_to_v4(&config->dns[i]);
	if (count)
		dhcp_set(m, DHCP_OPT_DNS, dns, count * sizeof(dns[0]));
}

void dhcp_reply_lease(const struct boot_config *config, const struct boot_pool *pool,
		      const struct net_addr *address, struct dhcp_message *m)
{
	uint32_t lease = config->lease_seconds ? config->lease_seconds : BOOT_LEASE_DEFAULT_S;
	struct net_prefix subnet = boot_pool_subnet(pool);
	struct net_addr last = net_prefix_last(&subnet);
	struct in_addr netmask = { htonl(UINT32_MAX << (32 - pool->bits)) };
	dhcp_set_address(m, DHCP_OPT_NETMASK, netmask);
	dhcp_set_address(m, DHCP_OPT_BROADCAST, net_to_v4(&last));
	if (net_is_set(&pool->gateway))
		dhcp_set_address(m, DHCP_OPT_ROUTER, net_to_v4(&pool->gateway));
	set_name_servers(config, m);
	if (config->domain)
		dhcp_set(m, DHCP_OPT_DOMAIN, config->domain, strlen(config->domain));
	if (!address)
		return;
	m->yiaddr = net_to_v4(address);
	dhcp_set_u32(m, DHCP_OPT_LEASE_TIME, lease);
	dhcp_set_u32(m, DHCP_OPT_RENEW_TIME, lease / 2);
	dhcp_set_u32(m, DHCP_OPT_REBIND_TIME, lease / 8 * 7);
}

static void set_server(const struct boot_config *config, struct dhcp_message *m)
{
	char text[NET_IP_TEXT_MAX];
	m->siaddr = net_to_v4(&config->address);
	dhcp_set_text(m, DHCP_OPT_TFTP_SERVER, net_format_ip(&config->address, text));
	dhcp_set_address(m, DHCP_OPT_TFTP_ADDRESS, m->siaddr);
}

/* Vendor options of the PXE specification, table 2-1. */
static const uint8_t vendor_take_this[] = {
	6,
	1,
	8, /* PXE_DISCOVERY_CONTROL: no discovery, load the boot file of this offer */
	255,
};
static const uint8_t vendor_boot_locally[] = {
	6,   1, 3,				 /* neither broadcast nor multicast discovery */
	9,   7, 0, 0,	4,   'd', 'i', 's', 'k', /* PXE_BOOT_MENU: type 0 is the local disk */
	10,  5, 0, 'd', 'i', 's', 'k',		 /* PXE_MENU_PROMPT: take the first at once */
	255,
};

static void set_pxe(const uint8_t *vendor, size_t len, struct dhcp_message *m)
{
	dhcp_set(m, DHCP_OPT_VENDOR_CLASS, "PXEClient", 9);
	dhcp_set(m, DHCP_OPT_VENDOR, vendor, len);
}

/* Firmware ignores offers for HTTP boot that do not say so in option 60 (EDK2 then waits a minute),
 * and proxy offers that do not say PXEClient. A plain PXE offer from a DHCP server goes without:
 * with it, ROMs would look for a boot server on port 4011. */
static void set_class(const struct boot_loader *loader, bool proxy, struct dhcp_message *m)
{
	/* iPXE's "no-pxedhcp": otherwise it waits for proxy offers for three seconds. */
	static const uint8_t no_proxy[] = { 0xb0, 1, 1 };
	if (loader->client == BOOT_LOADER_CLIENT_HTTP)
		dhcp_set(m, DHCP_OPT_VENDOR_CLASS, "HTTPClient", 10);
	else if (loader->kind == BOOT_LOADER_LOCAL)
		set_pxe(vendor_boot_locally, sizeof(vendor_boot_locally), m);
	else if (proxy)
		set_pxe(vendor_take_this, sizeof(vendor_take_this), m);
	else if (loader->client == BOOT_LOADER_CLIENT_IPXE)
		dhcp_set(m, DHCP_OPT_IPXE, no_proxy, sizeof(no_proxy));
}

static void set_file(const struct boot_loader *loader, struct dhcp_message *m)
{
	size_t len = strlen(loader->file);
	dhcp_set_text(m, DHCP_OPT_BOOT_FILE, loader->file);
	if (len < DHCP_FILE_SIZE)
		memcpy(m->file, loader->file, len + 1);
}

void dhcp_reply_boot(const struct boot_config *config, const struct boot_loader *loader, bool proxy,
		     struct dhcp_message *m)
{
	if (loader->kind == BOOT_LOADER_NONE)
		return;
	set_class(loader, proxy, m);
	switch (loader->kind) {
	case BOOT_LOADER_TFTP:
		set_server(config, m);
		set_file(loader, m);
		break;
	case BOOT_LOADER_URL:
		m->siaddr = net_to_v4(&config->address);
		set_file(loader, m);
		break;
	case BOOT_LOADER_LOCAL:
	case BOOT_LOADER_NONE:
		break;
	}
}

void dhcp_reply_refuse(const char *why, struct dhcp_message *m)
{
	dhcp_set(m, DHCP_OPT_MESSAGE, why, strlen(why));
}

struct net_addr dhcp_reply_target(const struct dhcp_message *request, enum dhcp_type type)
{
	struct in_addr ip = { INADDR_BROADCAST };
	bool relayed = request->giaddr.s_addr != 0;
	if (relayed)
		ip = request->giaddr;
	else if (type != DHCP_NAK && request->ciaddr.s_addr)
		ip = request->ciaddr;
	struct net_addr to = net_from_v4(ip);
	net_set_port(&to, relayed ? DHCP_SERVER_PORT : DHCP_CLIENT_PORT);
	return to;
}
