/* Router advertisements of a machine that is no router, by RFC 4861: their lifetime is 0 ("not a
 * default router", section 4.2).
 *
 * The short one has no prefix and no flags. iPXE configures IPv4 and IPv6 together and goes on only
 * when both have ended: without a router on the wire it repeats its solicitation for 16 s, though
 * it has had its DHCP lease for 13 of them; this ends that at once. To a real router on the wire it
 * makes no difference: its advertisement counts besides ours. It goes to the asker only, and only
 * for the seconds after the DHCP server has heard iPXE from that MAC: operating systems never see
 * it.
 *
 * The long one (boot_config.router_adverts) says that addresses come by DHCPv6, and that the prefix
 * of our range is on the wire: firmware and iPXE ask for neither without it, and with the address
 * alone reach nothing. All hosts get it that ask, at any time; other machines get no answer,
 * because it would send them to a DHCPv6 server that does not know them. The prefix stays on the
 * wire for good (infinity), since nobody is told again.
 *
 * Solicitations come with the MAC of their frame (link6.c): EDK2 sends them from "::", without the
 * option that tells it. For that reason, too, answers are sent to the MAC.
 *
 * The DHCP server owns it; it owns its packet socket. Core thread. */

#include "boot/router_advert.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/log.h"
#include "base/mem.h"
#include "boot/icmp6.h"
#include "boot/link6.h"

enum { ASKERS = 64, HOP_LIMIT = 64, PREFIX_UNITS = 4 };

#define ASKER_TIME (5 * USEC_PER_SEC)

struct router_advert {
	struct boot_env env;
	bool active;
	struct link6 *link;
	struct {
		struct net_mac mac;
		usec_t until;
	} askers[ASKERS]; /* a ring */
	size_t next;
	struct log_pace not_sent;
};

void router_advert_expect(struct router_advert *r, const struct net_mac *mac)
{
	r->askers[r->next].mac = *mac;
	r->askers[r->next].until = loop_now(r->env.loop) + ASKER_TIME;
	r->next = (r->next + 1) % ASKERS;
}

static bool expected(const struct router_advert *r, const struct net_mac *mac)
{
	usec_t now = loop_now(r->env.loop);
	for (size_t i = 0; i < ASKERS; i++)
		if (r->askers[i].until > now && net_mac_equal(&r->askers[i].mac, mac))
			return true;
	return false;
}

static bool is_host(const struct router_advert *r, const struct net_mac *mac)
{
	struct boot_host host;
	return r->active && r->env.ops->find(r->env.data, mac, &host);
}

int router_advert_parse(const uint8_t *data, size_t len, struct net_mac *ret)
{
	struct cursor c;
	cursor_init(&c, data, len);
	uint8_t type = cursor_u8(&c), code = cursor_u8(&c);
	cursor_skip(&c, 6); /* checksum (the kernel's), reserved */
	if (!cursor_ok(&c) || type != ND_ROUTER_SOLICIT || code != 0)
		return -EBADMSG;
	while (cursor_left(&c) >= ICMP6_OPTION_UNIT) {
		uint8_t option = cursor_u8(&c);
		size_t size = (size_t)cursor_u8(&c) * ICMP6_OPTION_UNIT;
		const uint8_t *value = size ? cursor_bytes(&c, size - 2) : NULL;
		if (!value)
			return -EBADMSG;
		if (option != ICMP6_OPTION_SOURCE_MAC || size != ICMP6_OPTION_UNIT)
			continue;
		memcpy(ret->bytes, value, sizeof(ret->bytes));
		return 0;
	}
	return -EBADMSG;
}

size_t router_advert_format(const struct net_prefix *subnet, uint8_t out[ROUTER_ADVERT_MAX])
{
	struct wcursor w;
	wcursor_init(&w, out, ROUTER_ADVERT_MAX);
	wcursor_u8(&w, ND_ROUTER_ADVERT);
	wcursor_u8(&w, 0);
	wcursor_be16(&w, 0); /* checksum */
	wcursor_u8(&w, subnet ? HOP_LIMIT : 0);
	wcursor_u8(&w, subnet ? ND_RA_FLAG_MANAGED | ND_RA_FLAG_OTHER : 0);
	wcursor_fill(&w, 0, 10); /* lifetime of the router, times of neighbours */
	if (!subnet)
		return w.pos;
	wcursor_u8(&w, ND_OPT_PREFIX_INFORMATION);
	wcursor_u8(&w, PREFIX_UNITS);
	wcursor_u8(&w, (uint8_t)subnet->bits);
	wcursor_u8(&w, ND_OPT_PI_FLAG_ONLINK); /* no addresses of the hosts' own choice */
	wcursor_be32(&w, UINT32_MAX);
	wcursor_be32(&w, UINT32_MAX);
	wcursor_be32(&w, 0);
	wcursor_bytes(&w, &subnet->addr.v6.sin6_addr, sizeof(struct in6_addr));
	return w.pos;
}

static void answer(struct router_advert *r, const struct link6_packet *p,
		   const struct net_prefix *subnet)
{
	static const struct in6_addr all_nodes = { { { 0xff, 0x02, [15] = 1 } } };
	bool unnamed = IN6_IS_ADDR_UNSPECIFIED(&p->source);
	uint8_t message[ROUTER_ADVERT_MAX];
	size_t len = router_advert_format(subnet, message);
	int e = link6_send(r->link, &p->mac, unnamed ? &all_nodes : &p->source, message, len);
	if (e < 0)
		log_paced(&r->not_sent, loop_now(r->env.loop), LOG_DEBUG,
			  "router advertisement not sent: has the device a link-local address?");
}

static void on_solicitation(void *data, const struct link6_packet *p)
{
	struct router_advert *r = data;
	const struct boot_config *config = r->env.config;
	const struct boot_pool *pool = NULL;
	struct net_mac mac;
	if (p->hops != ICMP6_NEIGHBOUR_HOPS ||
	    (!IN6_IS_ADDR_LINKLOCAL(&p->source) && !IN6_IS_ADDR_UNSPECIFIED(&p->source)))
		return;
	if (router_advert_parse(p->data, p->len, &mac) < 0)
		mac = p->mac;
	if (config->router_adverts && is_host(r, &mac))
		pool = boot_pool_find(config, &config->address6);
	if (!pool && !expected(r, &mac))
		return;
	struct net_prefix subnet = pool ? boot_pool_subnet(pool) : (struct net_prefix){ 0 };
	answer(r, p, pool ? &subnet : NULL);
}

int router_advert_open(const struct boot_env *env, struct router_advert **ret, struct err *err)
{
	struct router_advert *r = xcalloc(1, sizeof(*r));
	r->env = *env;
	int e = link6_open(env->loop, env->config->device, LINK6_SOLICITATIONS, on_solicitation, r,
			   &r->link, err);
	if (e < 0) {
		free(r);
		return err_wrap(err, "router solicitations");
	}
	*ret = r;
	return 0;
}

struct router_advert *router_advert_close(struct router_advert *r)
{
	if (!r)
		return NULL;
	link6_close(r->link);
	free(r);
	return NULL;
}

void router_advert_set_active(struct router_advert *r, bool active)
{
	r->active = active;
}
