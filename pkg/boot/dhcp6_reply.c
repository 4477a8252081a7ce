/* Builds DHCPv6 replies, by RFC 8415 sections 18.3 and 20 to 21, and RFC 5970 for boot files.
 *
 * A client is known by the MAC that it asks with, not by its identifier (DUID): firmware makes one
 * of the machine's UUID, iPXE another of the same bytes in another order, and a system that was
 * installed from an image may have that of the machine which the image was made on. So on our own
 * wire the frame tells the MAC; behind a relay its word (RFC 6939), else the client's link-local
 * address where that was made of the MAC, else, last of all, the identifier. Pure. */

#include "boot/dhcp6_reply.h"

#include <string.h>

#include "base/cursor.h"

enum { DUID_UUID = 4, SERVER_ID_SIZE = 18, LEASE_ADDRESSES_MAX = 4 };

static void make_server_id(const struct boot_config *config, uint8_t out[SERVER_ID_SIZE])
{
	struct wcursor w;
	wcursor_init(&w, out, SERVER_ID_SIZE);
	wcursor_be16(&w, DUID_UUID);
	wcursor_bytes(&w, config->server_uuid, sizeof(config->server_uuid));
}

static struct net_addr from_v6(const struct in6_addr *ip)
{
	return (struct net_addr){ .v6 = { .sin6_family = AF_INET6, .sin6_addr = *ip } };
}

/* --- who asks --------------------------------------------------------------------------------- */

bool dhcp6_reply_find_mac(const struct dhcp6_message *request, const struct net_mac *frame,
			  struct net_mac *ret)
{
	size_t len;
	if (request->relay_count == 0) {
		*ret = *frame;
		return true;
	}
	/* The relay that is next to the client. */
	const struct dhcp6_relay *r = &request->relays[request->relay_count - 1];
	if (r->has_mac) {
		memcpy(ret->bytes, r->mac, sizeof(ret->bytes));
		return true;
	}
	if (dhcp6_address_mac(&r->peer, ret->bytes))
		return true;
	const uint8_t *duid = dhcp6_get(request, DHCP6_OPT_CLIENT_ID, &len);
	return duid && dhcp6_duid_mac(duid, len, ret->bytes);
}

const struct boot_pool *dhcp6_reply_pool(const struct boot_config *config,
					 const struct dhcp6_message *request)
{
	struct in6_addr link;
	/* A relay in a switch of our own wire tells no address (RFC 6221). */
	struct net_addr subnet = dhcp6_get_link(request, &link) ? from_v6(&link) : config->address6;
	return boot_pool_find(config, &subnet);
}

static bool names_us(const struct boot_config *config, const struct dhcp6_message *request)
{
	uint8_t own[SERVER_ID_SIZE];
	size_t len;
	const uint8_t *named = dhcp6_get(request, DHCP6_OPT_SERVER_ID, &len);
	make_server_id(config, own);
	return named && len == sizeof(own) && memcmp(named, own, len) == 0;
}

bool dhcp6_reply_is_for_us(const struct boot_config *config, const struct dhcp6_message *request)
{
	bool client = dhcp6_has(request, DHCP6_OPT_CLIENT_ID);
	bool server = dhcp6_has(request, DHCP6_OPT_SERVER_ID);
	switch (request->type) {
	case DHCP6_SOLICIT:
	case DHCP6_CONFIRM:
	case DHCP6_REBIND:
		return client && !server;
	case DHCP6_REQUEST:
	case DHCP6_RENEW:
	case DHCP6_RELEASE:
	case DHCP6_DECLINE:
		return client && names_us(config, request);
	case DHCP6_INFORMATION_REQUEST:
		return !server || names_us(config, request);
	case DHCP6_ADVERTISE:
	case DHCP6_REPLY:
	case DHCP6_RECONFIGURE:
	case DHCP6_RELAY_FORWARD:
	case DHCP6_RELAY_REPLY:
		return false;
	}
	return false;
}

struct net_addr dhcp6_reply_wanted(const struct dhcp6_message *request)
{
	struct dhcp6_ia ia;
	struct dhcp6_address a;
	for (size_t n = 0; dhcp6_get_ia(request, n, &ia); n++)
		if (ia.code == DHCP6_OPT_IA_NA && dhcp6_get_address(&ia, 0, &a))
			return from_v6(&a.ip);
	return (struct net_addr){ 0 };
}

bool dhcp6_reply_is_system(const struct dhcp6_message *request)
{
	size_t len;
	const uint8_t *list = dhcp6_get(request, DHCP6_OPT_REQUEST, &len);
	for (size_t i = 0; list && i + 1 < len; i += 2)
		if ((list[i] << 8 | list[i + 1]) != DHCP6_OPT_DNS)
			return boot_loader_client6(request) == BOOT_LOADER_CLIENT_OS;
	return false;
}

/* --- what it is told -------------------------------------------------------------------------- */

void dhcp6_reply_init(const struct boot_config *config, const struct dhcp6_message *request,
		      enum dhcp6_type type, struct dhcp6_message *ret)
{
	struct dhcp6_message m = { .type = type, .xid = request->xid };
	uint8_t id[SERVER_ID_SIZE];
	make_server_id(config, id);
	dhcp6_copy_relays(&m, request);
	dhcp6_echo(&m, request, DHCP6_OPT_CLIENT_ID);
	dhcp6_add(&m, DHCP6_OPT_SERVER_ID, id, sizeof(id));
	*ret = m;
}

/* Those that the client has, or hopes for, and cannot have, end now. */
static size_t list_addresses(const struct dhcp6_ia *ia, const struct net_addr *slot, uint32_t lease,
			     struct dhcp6_address out[LEASE_ADDRESSES_MAX])
{
	size_t count = 0;
	struct dhcp6_address a;
	if (net_is_set(slot))
		out[count++] = (struct dhcp6_address){ slot->v6.sin6_addr, lease, lease };
	for (size_t n = 0; count < LEASE_ADDRESSES_MAX && dhcp6_get_address(ia, n, &a); n++)
		if (!net_is_set(slot) || !IN6_ARE_ADDR_EQUAL(&a.ip, &slot->v6.sin6_addr))
			out[count++] = (struct dhcp6_address){ a.ip, 0, 0 };
	return count;
}

/* Of a new lease only the slot is told: to what was merely hoped for it says enough. */
static void add_lease(const struct boot_config *config, const struct dhcp6_message *request,
		      const struct dhcp6_ia *asked, const struct net_addr *slot,
		      struct dhcp6_message *m)
{
	struct dhcp6_address addresses[LEASE_ADDRESSES_MAX];
	uint32_t lease = config->lease_seconds ? config->lease_seconds : BOOT_LEASE_DEFAULT_S;
	struct dhcp6_ia ia = { .code = asked->code, .iaid = asked->iaid };
	bool renews = request->type == DHCP6_RENEW || request->type == DHCP6_REBIND;
	if (!net_is_set(slot)) {
		dhcp6_add_ia(m, &ia, NULL, 0, renews ? DHCP6_NO_BINDING : DHCP6_NO_ADDRESSES,
			     "this host has no address here");
		return;
	}
	ia.t1 = lease / 2;
	ia.t2 = lease / 5 * 4;
	size_t count = list_addresses(asked, slot, lease, addresses);
	dhcp6_add_ia(m, &ia, addresses, renews ? count : 1, DHCP6_SUCCESS, "");
}

void dhcp6_reply_lease(const struct boot_config *config, const struct dhcp6_message *request,
		       const struct net_addr *slot, struct dhcp6_message *m)
{
	struct dhcp6_ia ia;
	bool given = false;
	for (size_t n = 0; dhcp6_get_ia(request, n, &ia); n++) {
		const struct dhcp6_ia none = { .code = ia.code, .iaid = ia.iaid };
		if (ia.code == DHCP6_OPT_IA_PD)
			dhcp6_add_ia(m, &none, NULL, 0, DHCP6_NO_PREFIXES, "no prefixes here");
		else if (ia.code == DHCP6_OPT_IA_TA || given)
			dhcp6_add_ia(m, &none, NULL, 0, DHCP6_NO_ADDRESSES,
				     "a host has one address");
		else
			add_lease(config, request, &ia, slot, m);
		given |= ia.code == DHCP6_OPT_IA_NA;
	}
	if (m->type == DHCP6_ADVERTISE) /* else EDK2 waits five seconds for better ones */
		dhcp6_add_u8(m, DHCP6_OPT_PREFERENCE, DHCP6_PREFERENCE_MAX);
}

void dhcp6_reply_names(const struct boot_config *config, const struct dhcp6_message *request,
		       struct dhcp6_message *m)
{
	struct in6_addr dns[BOOT_DNS_MAX];
	size_t count = 0;
	for (size_t i = 0; i < config->dns_count; i++)
		if (net_family(&config->dns[i]) == AF_INET6)
			dns[count++] = config->dns[i].v6.sin6_addr;
	if (count && dhcp6_asks(request, DHCP6_OPT_DNS))
		dhcp6_add(m, DHCP6_OPT_DNS, dns, count * sizeof(dns[0]));
	/* That it is a name was checked with the options. */
	if (config->domain && dhcp6_asks(request, DHCP6_OPT_DOMAINS))
		(void)dhcp6_add_domain(m, config->domain);
}

/* Firmware that boots by HTTP takes only what says so (UEFI specification, section 24.7.3.1). */
void dhcp6_reply_boot(const struct boot_loader *loader, struct dhcp6_message *m)
{
	if (loader->kind == BOOT_LOADER_NONE)
		return;
	if (loader->client == BOOT_LOADER_CLIENT_HTTP)
		dhcp6_add_vendor_class(m, DHCP6_ENTERPRISE_INTEL, "HTTPClient");
	dhcp6_add(m, DHCP6_OPT_BOOT_FILE_URL, loader->file, strlen(loader->file));
}

bool dhcp6_reply_confirm(const struct boot_pool *pool, const struct dhcp6_message *request,
			 struct dhcp6_message *m)
{
	struct net_prefix subnet = boot_pool_subnet(pool);
	struct dhcp6_ia ia;
	struct dhcp6_address a;
	bool any = false, all = true;
	for (size_t n = 0; dhcp6_get_ia(request, n, &ia); n++)
		for (size_t i = 0; dhcp6_get_address(&ia, i, &a); i++) {
			struct net_addr address = from_v6(&a.ip);
			any = true;
			all = all && net_prefix_contains(&subnet, &address);
		}
	if (any)
		dhcp6_add_status(m, all ? DHCP6_SUCCESS : DHCP6_NOT_ON_LINK, "");
	return any;
}
