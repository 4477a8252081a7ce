/* Slots: which address belongs to which MAC. The first candidate is the address that the client
 * asks for, then the range is walked from a place that depends on the MAC, so that replicas and
 * restarts come to the same answer when records are lost. Each candidate is probed (probe.c); what
 * is taken goes into quarantine and the next one is tried. Only when the record is stored is the
 * slot told (written before the effect), so two replicas never give one
 * address to two.
 *
 * A packet costs a bounded number of look-ups: a walk over a range that is nearly full goes on in
 * later turns of the loop, and a range that was found full is not walked again for a while. A
 * DECLINE may be a stranger's, in a host's name: a MAC keeps at most DECLINED_MAX addresses in
 * quarantine by it.
 *
 * A search belongs to its MAC; further requests meanwhile only replace the one that will be
 * answered. While a slot is being stored its search is owned by that write: closing cuts it off
 * from the service and the write's end frees it. Core thread. */

#include "boot/slots.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "boot/probe.h"
#include "metrics/metrics.h"

enum {
	QUARANTINE_MAX = 256,
	CANDIDATES_MAX = 8, /* per search */
	DECLINED_MAX = 3,   /* addresses in quarantine by the DECLINEs of one MAC */
	LOOKS_MAX = 512,    /* addresses of a range that are looked at in one turn */
};
static const usec_t FULL_REST = 5 * USEC_PER_SEC; /* a range that was full is not walked again */

struct boot_slots {
	const struct boot_env *env;
	int family;
	struct boot_prober *prober;
	struct list searches;
	size_t search_count;
	struct bad_address {
		struct net_addr address;
		usec_t until;
		struct net_mac declined_by; /* all zero: its owner answered our probe */
	} quarantine[QUARANTINE_MAX];
	size_t quarantine_next;
	usec_t full_until[BOOT_POOLS_MAX]; /* by pool: no address is left in its range */
	boot_slots_ready_fn ready;
	void *data;
	struct log_paces paces;
};

struct search {
	struct list node;
	struct boot_slots *slots; /* NULL: closed while storing */
	const struct boot_pool *pool;
	struct net_mac mac;
	struct net_addr asked; /* by the client; not set: any */
	void *message;
	struct net_addr address;
	struct boot_probe *probe; /* NULL: walking or storing */
	bool fixed;		  /* only `wanted`, an address that a person has chosen, will do */
	struct net_addr wanted;
	unsigned candidates;
	uint64_t walked;   /* addresses of the range that were looked at */
	struct timer turn; /* the walk goes on */
};

/* --- what fits -------------------------------------------------------------------------------- */

bool boot_slots_fits(const struct boot_config *config, const struct boot_pool *pool,
		     const struct net_addr *address)
{
	uint64_t n;
	return net_distance(&pool->start, address, &n) && net_distance(address, &pool->end, &n) &&
	       boot_address_free(config, pool, address);
}

static bool fixed(const struct boot_slots *s, const struct net_mac *mac, struct net_addr *ret)
{
	const struct boot_ops *ops = s->env->ops;
	return ops->slot_fixed && ops->slot_fixed(s->env->data, mac, s->family, ret);
}

static bool in_subnet(const struct boot_slots *s, const struct boot_pool *pool,
		      const struct net_addr *address)
{
	return boot_pool_find(s->env->config, address) == pool &&
	       boot_address_free(s->env->config, pool, address);
}

/* A further DECLINE of the same MAC takes the place of its oldest. */
static struct bad_address *quarantine_place(struct boot_slots *s, const struct net_mac *declined_by)
{
	usec_t now = loop_now(s->env->loop);
	struct bad_address *oldest = NULL;
	unsigned count = 0;
	for (size_t i = 0; declined_by && i < QUARANTINE_MAX; i++) {
		struct bad_address *q = &s->quarantine[i];
		if (q->until <= now || !net_mac_equal(&q->declined_by, declined_by))
			continue;
		count++;
		oldest = !oldest || q->until < oldest->until ? q : oldest;
	}
	if (count >= DECLINED_MAX)
		return oldest;
	struct bad_address *next = &s->quarantine[s->quarantine_next];
	s->quarantine_next = (s->quarantine_next + 1) % QUARANTINE_MAX;
	return next;
}

/* declined_by NULL: its owner answered our probe. */
static void quarantine(struct boot_slots *s, const struct net_addr *address,
		       const struct net_mac *declined_by)
{
	static const struct net_mac none;
	usec_t until = loop_now(s->env->loop) + BOOT_SLOTS_QUARANTINE_S * USEC_PER_SEC;
	*quarantine_place(s,
			  declined_by) = (struct bad_address){ *address, until,
							       declined_by ? *declined_by : none };
}

static bool quarantined(const struct boot_slots *s, const struct net_addr *address)
{
	usec_t now = loop_now(s->env->loop);
	for (size_t i = 0; i < QUARANTINE_MAX; i++)
		if (s->quarantine[i].until > now && net_same_ip(&s->quarantine[i].address, address))
			return true;
	return false;
}

static bool searched(const struct boot_slots *s, const struct net_addr *address)
{
	list_for_each(node, &s->searches)
		if (net_same_ip(&list_entry(node, struct search, node)->address, address))
			return true;
	return false;
}

static bool usable(const struct boot_slots *s, const struct boot_pool *pool,
		   const struct net_addr *address)
{
	return boot_slots_fits(s->env->config, pool, address) &&
	       !s->env->ops->slot_used(s->env->data, address) && !searched(s, address) &&
	       !quarantined(s, address);
}

static usec_t *full_until(struct boot_slots *s, const struct boot_pool *pool)
{
	return &s->full_until[pool - s->env->config->pools];
}

enum pick { PICK_FOUND, PICK_NONE, PICK_LATER };

/* Goes on where the search's walk stood, LOOKS_MAX addresses at most. */
static enum pick walk(struct search *w, struct net_addr *ret)
{
	struct boot_slots *s = w->slots;
	uint64_t last = 0;
	(void)net_distance(&w->pool->start, &w->pool->end, &last); /* boot_config_check did */
	uint64_t size = last == UINT64_MAX ? last : last + 1;
	uint64_t first = net_mac_hash(&w->mac) % size;
	if (*full_until(s, w->pool) > loop_now(s->env->loop))
		return PICK_NONE;
	for (unsigned looks = 0; w->walked < size; looks++) {
		if (looks == LOOKS_MAX)
			return PICK_LATER;
		struct net_addr a = net_add(&w->pool->start, (first + w->walked++) % size);
		if (!usable(s, w->pool, &a))
			continue;
		*ret = a;
		return PICK_FOUND;
	}
	*full_until(s, w->pool) = loop_now(s->env->loop) + FULL_REST;
	return PICK_NONE;
}

/* A fixed address is not asked for among the used ones: it is used by this host. */
static enum pick pick(struct search *w, struct net_addr *ret)
{
	const struct boot_slots *s = w->slots;
	if (w->fixed) {
		*ret = w->wanted;
		return in_subnet(s, w->pool, &w->wanted) && !searched(s, &w->wanted) &&
				       !quarantined(s, &w->wanted)
			       ? PICK_FOUND
			       : PICK_NONE;
	}
	if (!net_is_set(&w->asked) || !usable(s, w->pool, &w->asked))
		return walk(w, ret);
	*ret = w->asked;
	return PICK_FOUND;
}

bool boot_slots_get(const struct boot_slots *s, const struct boot_pool *pool,
		    const struct net_mac *mac, struct net_addr *ret)
{
	struct net_addr address, wanted;
	if (!s->env->ops->slot_get(s->env->data, mac, s->family, &address) ||
	    quarantined(s, &address))
		return false;
	if (fixed(s, mac, &wanted)
		    ? !net_same_ip(&address, &wanted) || !in_subnet(s, pool, &address)
		    : !boot_slots_fits(s->env->config, pool, &address))
		return false;
	*ret = address;
	return true;
}

/* --- searches --------------------------------------------------------------------------------- */

static void log_search(enum log_level level, const struct search *w, const char *message,
		       const char *why)
{
	char mac[NET_MAC_TEXT_SIZE], ip[NET_IP_TEXT_MAX];
	const char *address = net_is_set(&w->address) ? net_format_ip(&w->address, ip) : NULL;
	struct log_pace unpaced = { 0 }; /* the service is closed: no packets follow */
	usec_t now = w->slots ? loop_now(w->slots->env->loop) : 0;
	net_format_mac(&w->mac, mac);
	log_paced(w->slots ? log_pace_of(&w->slots->paces, now, mac, message, address) : &unpaced,
		  now, level, message, "mac", mac, "address", address, "error", why);
}

static void end_search(struct search *w)
{
	if (w->slots) {
		list_unlink(&w->node);
		w->slots->search_count--;
	}
	boot_probe_cancel(w->probe);
	timer_stop(&w->turn);
	free(w->message);
	free(w);
}

static void on_stored(void *data, const struct err *err)
{
	struct search *w = data;
	struct boot_slots *s = w->slots;
	bool good = !err || err->kind == ERR_NONE;
	if (!good)
		log_search(LOG_WARN, w, "cannot store a host's address; it is not offered",
			   err->text);
	else if (s)
		log_search(LOG_INFO, w, "address assigned", NULL);
	if (s && good)
		s->ready(s->data, w->message, &w->address);
	end_search(w);
}

static void try_next(struct search *w);

static void on_probed(void *data, bool taken)
{
	struct search *w = data;
	struct boot_slots *s = w->slots;
	w->probe = NULL;
	if (!taken) {
		s->env->ops->slot_set(s->env->data, &w->mac, s->family, &w->address, on_stored, w);
		return;
	}
	log_search(LOG_WARN, w,
		   w->fixed ? "a host's fixed address is in use by another machine"
			    : "an address of the DHCP range is in use by another machine",
		   NULL);
	if (w->fixed && s->env->ops->slot_taken)
		s->env->ops->slot_taken(s->env->data, &w->mac, &w->address);
	quarantine(s, &w->address, NULL);
	w->address = (struct net_addr){ 0 };
	try_next(w);
}

static void give_up(struct search *w)
{
	metric_add(METRIC_DHCP_IGNORED, 1, w->fixed ? "address_refused" : "range_full");
	log_search(LOG_WARN, w,
		   w->fixed ? "a host's fixed address cannot be given here; it gets none"
			    : "no address is left in the DHCP range; widen it",
		   NULL);
	end_search(w);
}

static void probe(struct search *w, const struct net_addr *address)
{
	w->address = *address;
	if (w->candidates++ < CANDIDATES_MAX)
		w->probe = boot_probe_start(w->slots->prober, address, &w->mac, on_probed, w);
	if (!w->probe)
		end_search(w); /* too many: the client asks again in a few seconds */
}

static void try_next(struct search *w)
{
	struct net_addr address;
	w->fixed = fixed(w->slots, &w->mac, &w->wanted);
	switch (pick(w, &address)) {
	case PICK_FOUND:
		probe(w, &address);
		break;
	case PICK_NONE:
		give_up(w);
		break;
	case PICK_LATER:
		timer_set_in(&w->turn, 0);
		break;
	}
}

static void on_turn(void *data)
{
	try_next(data);
}

static struct search *find_search(struct boot_slots *s, const struct net_mac *mac)
{
	list_for_each(node, &s->searches) {
		struct search *w = list_entry(node, struct search, node);
		if (net_mac_equal(&w->mac, mac))
			return w;
	}
	return NULL;
}

static void take_message(struct search *w, const struct boot_slots_ask *ask)
{
	free(w->message);
	w->message = xmemdup(ask->message, ask->message_size);
}

void boot_slots_find(struct boot_slots *s, const struct boot_slots_ask *ask)
{
	struct search *w = find_search(s, &ask->mac);
	if (w && w->pool == ask->pool) {
		take_message(w, ask);
		return;
	}
	/* With another pool the host has moved between subnets: the search under way ends first. */
	if (w || s->search_count >= BOOT_SLOTS_PENDING_MAX)
		return;
	w = xcalloc(1, sizeof(*w));
	*w = (struct search){
		.slots = s, .pool = ask->pool, .mac = ask->mac, .asked = ask->wanted
	};
	take_message(w, ask);
	timer_init(&w->turn, s->env->loop, "dhcp range", on_turn, w);
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

void boot_slots_decline(struct boot_slots *s, const struct net_mac *mac,
			const struct net_addr *address)
{
	struct net_addr own, wanted;
	/* Anyone on the wire can send a DECLINE in a host's name: see DECLINED_MAX. */
	if (!s->env->ops->slot_get(s->env->data, mac, s->family, &own) ||
	    !net_same_ip(&own, address))
		return;
	if (quarantined(s, address)) /* not offered any more; each repetition would be a write */
		return;
	quarantine(s, address, mac);
	if (fixed(s, mac, &wanted) && s->env->ops->slot_taken)
		s->env->ops->slot_taken(s->env->data, mac, address);
	s->env->ops->slot_set(s->env->data, mac, s->family, NULL, on_forgotten, NULL);
}

int boot_slots_open(const struct boot_env *env, int family, boot_slots_ready_fn ready, void *data,
		    struct boot_slots **ret, struct err *err)
{
	struct boot_slots *s = xcalloc(1, sizeof(*s));
	*s = (struct boot_slots){ .env = env, .family = family, .ready = ready, .data = data };
	list_init(&s->searches);
	int r = boot_prober_open(env->loop, family, env->config->device, &s->prober, err);
	if (r < 0) {
		free(s);
		return r;
	}
	*ret = s;
	return 0;
}

struct boot_slots *boot_slots_close(struct boot_slots *s)
{
	if (!s)
		return NULL;
	list_for_each_safe(node, &s->searches) {
		struct search *w = list_entry(node, struct search, node);
		if (w->probe || timer_is_set(&w->turn)) {
			end_search(w);
			continue;
		}
		list_unlink(&w->node);
		w->slots = NULL;
	}
	boot_prober_close(s->prober);
	free(s);
	return NULL;
}
