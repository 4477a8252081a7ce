/* What a host is known by on the provisioning network: its MACs, of which each belongs to one host,
 * and the addresses that DHCP gives to its boot NIC. Core thread. */

#include <stdlib.h>
#include <string.h>

#include "agentapi/messages.h"
#include "base/mem.h"
#include "engine/internal.h"

/* --- MACs ------------------------------------------------------------------------------------- */

struct node *engine_by_mac(const struct engine *e, const struct net_mac *mac)
{
	return macs_get(&e->macs, mac);
}

struct node *engine_by_mac_text(const struct engine *e, const char *text)
{
	struct net_mac mac;
	return net_parse_mac(text, &mac) == 0 ? macs_get(&e->macs, &mac) : NULL;
}

bool node_boots_by(const struct node *n, const struct net_mac *mac)
{
	return n->spec.has_mac && net_mac_equal(&n->spec.mac, mac);
}

/* A MAC belongs to the host that named it first; register tells the other one so. */
static bool add_mac(struct node *n, const struct net_mac *mac)
{
	char text[NET_MAC_TEXT_SIZE];
	if (!macs_add(&n->engine->macs, mac, n))
		return false;
	strangers_forget(&n->engine->strangers, net_format_mac(mac, text));
	return true;
}

static void drop_boot_mac(struct node *n)
{
	if (n->spec.has_mac)
		macs_remove(&n->engine->macs, &n->spec.mac, n);
}

void node_take_boot_mac(struct node *n, const char *mac)
{
	if (!streq(n->spec.boot_mac, mac)) {
		drop_boot_mac(n);
		str_replace(&n->spec.boot_mac, mac);
		n->spec.has_mac = net_parse_mac(mac, &n->spec.mac) == 0;
	}
	if (n->spec.has_mac)
		add_mac(n, &n->spec.mac);
	node_note_unheard(n);
}

static void forget_nics(struct node *n)
{
	for (size_t i = 0; i < n->net.nic_count; i++)
		macs_remove(&n->engine->macs, &n->net.nics[i], n);
	free(TAKE_PTR(n->net.nics));
	n->net.nic_count = 0;
}

static void take_nic(void *data, const char *text)
{
	struct node *n = data;
	struct net_mac mac;
	/* What another host has, by its specification or inventory, stays its own. */
	if (n->net.nic_count < AGENT_NICS_MAX && net_parse_mac(text, &mac) == 0 && add_mac(n, &mac))
		n->net.nics[n->net.nic_count++] = mac;
}

void node_take_nics(struct node *n)
{
	forget_nics(n);
	if (n->spec.has_mac)
		add_mac(n, &n->spec.mac);
	size_t found = json_count(json_get_path(n->inspection.inventory, "inventory.interfaces"));
	n->net.nics = xcalloc(MIN(found, (size_t)AGENT_NICS_MAX) + 1, sizeof(*n->net.nics));
	agent_inspection_macs(n->inspection.inventory, take_nic, n);
}

void node_drop_macs(struct node *n)
{
	drop_boot_mac(n);
	forget_nics(n);
}

/* --- the DHCP addresses ----------------------------------------------------------------------- */

static const int families[ENGINE_FAMILIES] = { AF_INET, AF_INET6 };

static size_t family_index(int family)
{
	return family == AF_INET6;
}

void node_index_slots(struct node *n)
{
	struct map *slots = &n->engine->slots;
	for (size_t i = 0; i < ENGINE_FAMILIES; i++) {
		index_set(slots, &n->net.stored_place[i], n,
			  record_get_address(&n->record, families[i]));
		index_set(slots, &n->net.fixed_place[i], n,
			  n->net.fixed_error ? NULL : n->net.fixed_of[i]);
	}
}

void node_leave_slots(struct node *n)
{
	for (size_t i = 0; i < ENGINE_FAMILIES; i++) {
		index_set(&n->engine->slots, &n->net.stored_place[i], n, NULL);
		index_set(&n->engine->slots, &n->net.fixed_place[i], n, NULL);
	}
}

static bool has_slots(const struct node *n, const struct net_mac *mac)
{
	char text[NET_MAC_TEXT_SIZE];
	return streq(n->record.dhcp.mac, net_format_mac(mac, text));
}

const char *engine_slot_get(const struct engine *e, const struct net_mac *mac, int family)
{
	const struct node *n = engine_by_mac(e, mac);
	return n && has_slots(n, mac) ? record_get_address(&n->record, family) : NULL;
}

bool engine_slot_used(const struct engine *e, const char *address)
{
	return index_find(&e->slots, address, NULL);
}

bool engine_slot_fixed(const struct engine *e, const struct net_mac *mac, int family,
		       const char **ret)
{
	const struct node *n = engine_by_mac(e, mac);
	const char *wanted = n ? n->net.fixed_of[family_index(family)] : NULL;
	if (!wanted && !(n && n->net.fixed_error))
		return false;
	*ret = n->net.fixed_error ? NULL : wanted;
	return true;
}

void engine_slot_taken(struct engine *e, const struct net_mac *mac, const char *address)
{
	struct node *n = engine_by_mac(e, mac);
	if (n)
		node_event(n, true, "DHCPAddressInUse",
			   "the DHCP address %s that this host shall have is in use by another "
			   "machine on the provisioning network; the host gets none",
			   address);
}

static int check_fixed(const struct node *n, const char *address, struct err *err)
{
	const struct engine_options *o = &n->engine->options;
	int r = o->address_check ? o->address_check(o->address_data, address, err) : 0;
	const struct node *holder = r == 0 ? index_find(&n->engine->slots, address, n) : NULL;
	return holder ? err_set(err, ERR_CONFLICT, "host %s has %s", holder->key,
				streq(n->net.fixed, address) ? "it" : address)
		      : r;
}

/* In the form that addresses have in records, whatever form a person wrote. */
static int split_fixed(struct node *n, struct err *err)
{
	char *found[ENGINE_FAMILIES] = { NULL }, ip[NET_IP_TEXT_MAX];
	int r = 0;
	for (const char *at = n->net.fixed; r == 0 && at;) {
		size_t len = strcspn(at, ",");
		_cleanup_(freep) char *one = xstrndup(at, len);
		struct net_addr a;
		bool good = net_parse_ip(one, &a) == 0;
		size_t i = good ? family_index(net_family(&a)) : 0;
		if (!good)
			r = err_set(err, ERR_INVALID, "\"%.64s\" is not an address", one);
		else if (found[i])
			r = err_set(err, ERR_INVALID,
				    "a host has one address of IPv4 and one of IPv6 at most");
		else
			found[i] = xstrdup(net_format_ip(&a, ip));
		at = at[len] ? at + len + 1 : NULL;
	}
	for (size_t i = 0; i < ENGINE_FAMILIES; i++) {
		free(n->net.fixed_of[i]);
		n->net.fixed_of[i] = found[i];
	}
	return r;
}

/* Looked at again with every call, because the host that holds the address may go. */
void node_take_fixed_address(struct node *n, const char *address)
{
	struct err err = { 0 };
	if (!streq(n->net.fixed, address)) {
		str_replace(&n->net.fixed, address);
		str_replace(&n->net.fixed_error, NULL);
	}
	int r = split_fixed(n, &err);
	for (size_t i = 0; r == 0 && i < ENGINE_FAMILIES; i++)
		if (n->net.fixed_of[i])
			r = check_fixed(n, n->net.fixed_of[i], &err);
	if (r < 0 && !streq(n->net.fixed_error, err.text))
		node_event(n, true, "DHCPAddressInvalid",
			   "the host cannot have the DHCP address %s and gets none: %s", address,
			   err.text);
	str_replace(&n->net.fixed_error, r < 0 ? err.text : NULL);
	node_index_slots(n);
}

struct slot_answer {
	engine_saved_fn done;
	void *data;
};

static void on_slot_stored(void *data, struct node *n)
{
	struct slot_answer *a = data;
	struct err err;
	if (!n)
		err_set(&err, ERR_BUSY, "the host's record could not be stored");
	a->done(a->data, n ? NULL : &err);
	free(a);
}

/* Of another NIC the host had other addresses. */
static void take_slot(struct node *n, const struct net_mac *mac, int family, const char *address)
{
	char text[NET_MAC_TEXT_SIZE];
	for (size_t i = 0; !has_slots(n, mac) && i < ENGINE_FAMILIES; i++)
		record_set_address(&n->record, families[i], NULL);
	str_replace(&n->record.dhcp.mac, net_format_mac(mac, text));
	record_set_address(&n->record, family, address);
	node_index_slots(n);
}

static bool boot_nic_has_slot(const struct node *n)
{
	return n->spec.has_mac && has_slots(n, &n->spec.mac) && n->record.dhcp.addresses.count > 0;
}

void engine_slot_set(struct engine *e, const struct net_mac *mac, int family, const char *address,
		     engine_saved_fn done, void *data)
{
	struct node *n = engine_by_mac(e, mac);
	struct err err;
	if (!n || n->save.lost || n->save.running) {
		err_set(&err, ERR_BUSY, "the host's record is not at hand now");
		done(data, &err);
		return;
	}
	if (!node_boots_by(n, mac) && boot_nic_has_slot(n)) {
		err_set(&err, ERR_EXISTS, "the host's boot NIC (%s) has the host's address",
			n->spec.boot_mac);
		done(data, &err);
		return;
	}
	struct slot_answer *a = xmalloc(sizeof(*a));
	*a = (struct slot_answer){ done, data };
	take_slot(n, mac, family, address);
	node_save_for(n, on_slot_stored, a);
}
