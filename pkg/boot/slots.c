/* Slots: which address belongs to which MAC. The first candidate is the address that the client
 * asks for, then the range is walked from a place that depends on the MAC, so that replicas and
 * restarts come to the same answer when records are lost. Each candidate is probed (probe.c); what
 * is taken goes into quarantine and the next one is tried. Only when the record is stored is the
 * slot told (written before the effect), so two replicas never give one
 * address to two.
 *
 * A search belongs to its MAC; further DISCOVERs meanwhile only replace the request that will be
 * answered. While a slot is being stored its search is owned by that write: closing cuts it off
 * from the service and the write's end frees it. Core thread. */

#include "boot/slots.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "boot/probe.h"

enum { QUARANTINE_MAX = 256, CANDIDATES_MAX = 8 /* per search */ };

struct slots {
	const struct boot_env *env;
	struct prober *prober;
	struct list searches;
	size_t search_count;
	struct {
		struct in_addr address;
		usec_t until;
	} quarantine[QUARANTINE_MAX];
	size_t quarantine_next;
	slots_ready_fn ready;
	void *data;
};

struct search {
	struct list node;
	struct slots *slots; /* NULL: closed while storing */
	const struct boot_pool *pool;
	struct net_mac mac;
	struct dhcp_message request;
	struct in_addr address;
	struct probe *probe; /* NULL: storing */
	bool fixed;	     /* only `wanted`, an address that a person has chosen, will do */
	struct in_addr wanted;
	unsigned candidates;
};

static uint32_t host_order(struct in_addr a)
{
	return ntohl(a.s_addr);
}

/* --- what fits -------------------------------------------------------------------------------- */

const struct boot_pool *slots_pool(const struct boot_config *config,
				   const struct dhcp_message *request)
{
	return boot_pool_find(config, request->giaddr.s_addr ? request->giaddr : config->address);
}

bool slots_fits(const struct boot_config *config, const struct boot_pool *pool,
		struct in_addr address)
{
	uint32_t a = host_order(address);
	return a >= host_order(pool->start) && a <= host_order(pool->end) &&
	       boot_address_free(config, pool, address);
}

static bool fixed(const struct slots *s, const struct net_mac *mac, struct in_addr *ret)
{
	const struct boot_ops *ops = s->env->ops;
	return ops->slot_fixed && ops->slot_fixed(s->env->data, mac, ret);
}

static bool in_subnet(const struct slots *s, const struct boot_pool *pool, struct in_addr address)
{
	return boot_pool_find(s->env->config, address) == pool &&
	       boot_address_free(s->env->config, pool, address);
}

static void quarantine(struct slots *s, struct in_addr address)
{
	s->quarantine[s->quarantine_next].address = address;
	s->quarantine[s->quarantine_next].until = loop_now(s->env->loop) +
						  SLOTS_QUARANTINE_S * USEC_PER_SEC;
	s->quarantine_next = (s->quarantine_next + 1) % QUARANTINE_MAX;
}

static bool quarantined(const struct slots *s, struct in_addr address)
{
	usec_t now = loop_now(s->env->loop);
	for (size_t i = 0; i < QUARANTINE_MAX; i++)
		if (s->quarantine[i].address.s_addr == address.s_addr &&
		    s->quarantine[i].until > now)
			return true;
	return false;
}

static bool searched(const struct slots *s, struct in_addr address)
{
	list_for_each(node, &s->searches)
		if (list_entry(node, struct search, node)->address.s_addr == address.s_addr)
			return true;
	return false;
}

static bool usable(const struct slots *s, const struct boot_pool *pool, struct in_addr address)
{
	return slots_fits(s->env->config, pool, address) &&
	       !s->env->ops->slot_used(s->env->data, address) && !searched(s, address) &&
	       !quarantined(s, address);
}

static uint32_t hash_mac(const struct net_mac *mac)
{
	uint32_t h = 2166136261u; /* FNV-1a */
	for (size_t i = 0; i < sizeof(mac->bytes); i++)
		h = (h ^ mac->bytes[i]) * 16777619u;
	return h;
}

/* 0.0.0.0 when nothing is left. A fixed address is not asked for among the used ones: it is used by
 * this host. */
static struct in_addr pick(const struct slots *s, const struct search *w)
{
	struct in_addr wanted = w->wanted;
	if (w->fixed)
		return in_subnet(s, w->pool, wanted) && !searched(s, wanted) &&
				       !quarantined(s, wanted)
			       ? wanted
			       : (struct in_addr){ 0 };
	if (dhcp_get_address(&w->request, DHCP_OPT_ADDRESS, &wanted) && usable(s, w->pool, wanted))
		return wanted;
	uint32_t start = host_order(w->pool->start);
	uint32_t size = host_order(w->pool->end) - start + 1;
	uint32_t first = hash_mac(&w->mac) % size;
	for (uint32_t i = 0; i < size; i++) {
		/* In 64 bits: first + i may pass 2^32 when the range is huge. */
		uint32_t at = start + (uint32_t)(((uint64_t)first + i) % size);
		struct in_addr a = { htonl(at) };
		if (usable(s, w->pool, a))
			return a;
	}
	return (struct in_addr){ 0 };
}

bool slots_get(const struct slots *s, const struct boot_pool *pool, const struct net_mac *mac,
	       struct in_addr *ret)
{
	struct in_addr address, wanted;
	if (!s->env->ops->slot_get(s->env->data, mac, &address) || quarantined(s, address))
		return false;
	if (fixed(s, mac, &wanted) ? address.s_addr != wanted.s_addr || !in_subnet(s, pool, address)
				   : !slots_fits(s->env->config, pool, address))
		return false;
	*ret = address;
	return true;
}

/* --- searches --------------------------------------------------------------------------------- */

static void log_search(enum log_level level, const struct search *w, const char *message,
		       const char *why)
{
	char mac[NET_MAC_TEXT_SIZE], ip[NET_IP_TEXT_MAX];
	struct net_addr a = { .v4 = { .sin_family = AF_INET, .sin_addr = w->address } };
	log_write(level, message, "mac", net_format_mac(&w->mac, mac), "address",
		  w->address.s_addr ? net_format_ip(&a, ip) : NULL, "error", why, NULL);
}

static void end_search(struct search *w)
{
	if (w->slots) {
		list_unlink(&w->node);
		w->slots->search_count--;
	}
	probe_cancel(w->probe);
	free(w);
}

static void on_stored(void *data, const struct err *err)
{
	struct search *w = data;
	struct slots *s = w->slots;
	bool good = !err || err->kind == ERR_NONE;
	if (!good)
		log_search(LOG_WARN, w, "cannot store a host's address; it is not offered",
			   err->text);
	else if (s)
		log_search(LOG_INFO, w, "address assigned", NULL);
	if (s && good)
		s->ready(s->data, &w->request, w->address);
	end_search(w);
}

static void try_next(struct search *w);

static void on_probed(void *data, bool taken)
{
	struct search *w = data;
	struct slots *s = w->slots;
	w->probe = NULL;
	if (!taken) {
		s->env->ops->slot_set(s->env->data, &w->mac, w->address, on_stored, w);
		return;
	}
	log_search(LOG_WARN, w,
		   w->fixed ? "a host's fixed address is in use by another machine"
			    : "an address of the DHCP range is in use by another machine",
		   NULL);
	if (w->fixed && s->env->ops->slot_taken)
		s->env->ops->slot_taken(s->env->data, &w->mac, w->address);
	quarantine(s, w->address);
	w->address.s_addr = 0;
	try_next(w);
}

static void try_next(struct search *w)
{
	struct slots *s = w->slots;
	w->fixed = fixed(s, &w->mac, &w->wanted);
	struct in_addr address = pick(s, w);
	if (address.s_addr == 0) {
		log_search(LOG_WARN, w,
			   w->fixed ? "a host's fixed address cannot be given here; it gets none"
				    : "no address is left in the DHCP range; widen it",
			   NULL);
		end_search(w);
		return;
	}
	w->address = address;
	if (w->candidates++ < CANDIDATES_MAX)
		w->probe = probe_start(s->prober, address, &w->mac, on_probed, w);
	if (!w->probe)
		end_search(w); /* too many: the client asks again in a few seconds */
}

static struct search *find_search(struct slots *s, const struct net_mac *mac)
{
	list_for_each(node, &s->searches) {
		struct search *w = list_entry(node, struct search, node);
		if (net_mac_equal(&w->mac, mac))
			return w;
	}
	return NULL;
}

void slots_find(struct slots *s, const struct boot_pool *pool, const struct net_mac *mac,
		const struct dhcp_message *request)
{
	struct search *w = find_search(s, mac);
	if (w && w->pool == pool) {
		w->request = *request;
		return;
	}
	/* With another pool the host has moved between subnets: the search under way ends first. */
	if (w || s->search_count >= SLOTS_PENDING_MAX)
		return;
	w = xcalloc(1, sizeof(*w));
	*w = (struct search){ .slots = s, .pool = pool, .mac = *mac, .request = *request };
	list_append(&s->searches, &w->node);
	s->search_count++;
	try_next(w);
}

static void on_forgotten(void *data, const struct err *err)
{
	(void)data;
	if (err && err->kind != ERR_NONE)
		log_warn("cannot forget a declined address", "error", err->text);
}

void slots_decline(struct slots *s, const struct net_mac *mac, struct in_addr address)
{
	struct in_addr own, wanted;
	/* Anyone on the wire can send a DECLINE in a host's name; it costs the host one address of
	 * the range for a while, no more. */
	if (!s->env->ops->slot_get(s->env->data, mac, &own) || own.s_addr != address.s_addr)
		return;
	quarantine(s, address);
	if (fixed(s, mac, &wanted) && s->env->ops->slot_taken)
		s->env->ops->slot_taken(s->env->data, mac, address);
	s->env->ops->slot_set(s->env->data, mac, (struct in_addr){ 0 }, on_forgotten, NULL);
}

int slots_open(const struct boot_env *env, slots_ready_fn ready, void *data, struct slots **ret,
	       struct err *err)
{
	struct slots *s = xcalloc(1, sizeof(*s));
	*s = (struct slots){ .env = env, .ready = ready, .data = data };
	list_init(&s->searches);
	int r = prober_open(env->loop, env->config->device, &s->prober, err);
	if (r < 0) {
		free(s);
		return r;
	}
	*ret = s;
	return 0;
}

struct slots *slots_close(struct slots *s)
{
	if (!s)
		return NULL;
	list_for_each_safe(node, &s->searches) {
		struct search *w = list_entry(node, struct search, node);
		if (w->probe) {
			end_search(w);
			continue;
		}
		list_unlink(&w->node);
		w->slots = NULL;
	}
	prober_close(s->prober);
	free(s);
	return NULL;
}
