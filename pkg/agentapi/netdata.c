/* network_data.json. The members that OpenStack, Ironic and Metal3 write, and those that cloud-init
 * reads besides, are in tables; cloud-init is the reference for what is not written down anywhere.
 *
 * Links are read in the order of the text, then sorted so that each comes behind those that it
 * stands on; what stands on something left out goes too. Pure. */

#include "agentapi/netdata.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "json/json.h"

enum {
	VLAN_ID_MAX = 4094,
	MTU_MIN = 68, /* RFC 791 */
	MTU_MAX = 65535,
	METRIC_MAX = 1 << 30,
	OPTION_VALUE_MAX = 256,
	SHOWN_MAX = 64, /* of a wrong value in a problem */
};

static const struct json_limits limits = { .depth = 16, .values = 32 << 10 };

/* --- problems -------------------------------------------------------------------------------- */

/* Where the reader is: "links[1] \"bond0\"". */
struct place {
	struct netdata *n;
	char text[NETDATA_ID_SIZE + 64];
};

static void describe(const struct place *p, char out[NETDATA_PROBLEM_SIZE], const char *fmt,
		     va_list ap)
{
	int len = snprintf(out, NETDATA_PROBLEM_SIZE, "%s: ", p->text);
	vsnprintf(out + len, (size_t)(NETDATA_PROBLEM_SIZE - len), fmt, ap);
	/* It goes to a console and into a log, a line each; a cut may end in half of a character.
	 */
	for (; *out; out++)
		if ((unsigned char)*out < ' ' || (unsigned char)*out >= 0x7f)
			*out = '?';
}

static void keep(const struct place *p, const char text[NETDATA_PROBLEM_SIZE])
{
	struct netdata *n = p->n;
	if (n->problem_count == NETDATA_PROBLEMS_MAX)
		n->problems_left_out++;
	else
		memcpy(n->problems[n->problem_count++], text, NETDATA_PROBLEM_SIZE);
}

/* Something is left out because of it. */
static _printf_(2, 3) void problem(const struct place *p, const char *fmt, ...)
{
	char text[NETDATA_PROBLEM_SIZE] = "";
	va_list ap;
	va_start(ap, fmt);
	describe(p, text, fmt, ap);
	va_end(ap);
	if (!*p->n->wrong)
		memcpy(p->n->wrong, text, sizeof(text));
	keep(p, text);
}

/* Nothing that we know of is missing because of it. */
static _printf_(2, 3) void notice(const struct place *p, const char *fmt, ...)
{
	char text[NETDATA_PROBLEM_SIZE] = "";
	va_list ap;
	va_start(ap, fmt);
	describe(p, text, fmt, ap);
	va_end(ap);
	keep(p, text);
}

static struct place place_of(struct netdata *n, const char *list, size_t i, const char *id)
{
	struct place p = { .n = n };
	if (str_empty(id))
		snprintf(p.text, sizeof(p.text), "%s[%zu]", list, i);
	else
		snprintf(p.text, sizeof(p.text), "%s[%zu] \"%s\"", list, i, id);
	return p;
}

static struct place place_in(const struct place *outer, const char *list, size_t i)
{
	struct place p = { .n = outer->n };
	snprintf(p.text, sizeof(p.text), "%.90s %s[%zu]", outer->text, list, i);
	return p;
}

/* --- values ---------------------------------------------------------------------------------- */

static const struct json *member(const struct json *object, const char *key)
{
	const struct json *j = json_get(object, key);
	return json_is_null(j) ? NULL : j;
}

/* What stands there, for a problem. */
static char *shown(const struct json *j)
{
	char *text = json_to_string(j);
	if (strlen(text) > SHOWN_MAX)
		memcpy(text + SHOWN_MAX - 3, "...", 4);
	return text;
}

static void wrong(const struct place *p, const char *key, const struct json *j,
		  const char *expected)
{
	if (!j) {
		problem(p, "%s is missing: expected %s", key, expected);
		return;
	}
	_cleanup_(freep) char *text = shown(j);
	problem(p, "%s is %s: expected %s", key, text, expected);
}

/* Numbers come as numbers or as texts, from templates. */
static bool number(const struct json *j, int64_t min, int64_t max, int64_t *ret)
{
	int64_t v;
	const char *text = json_string(j);
	bool is = text ? parse_i64(text, &v) == 0 : json_int(j, &v);
	if (!is || v < min || v > max)
		return false;
	*ret = v;
	return true;
}

/* False: it stands there and is no number in that range, which has been said. */
static bool take_number(const struct place *p, const struct json *object, const char *key,
			int64_t min, int64_t max, unsigned *ret)
{
	const struct json *j = member(object, key);
	char expected[64];
	int64_t v;
	if (!j)
		return true;
	snprintf(expected, sizeof(expected), "a number from %lld to %lld", (long long)min,
		 (long long)max);
	if (!number(j, min, max, &v)) {
		wrong(p, key, j, expected);
		return false;
	}
	*ret = (unsigned)v;
	return true;
}

/* Identifiers are texts, or numbers of people who write YAML. "": none. */
static void take_id(const struct json *j, char out[NETDATA_ID_SIZE])
{
	const char *text = str_or(json_string(j), str_or(json_number_text(j), ""));
	snprintf(out, NETDATA_ID_SIZE, "%s", strlen(text) < NETDATA_ID_SIZE ? text : "");
	for (char *c = out; *c; c++)
		if ((unsigned char)*c < ' ' || (unsigned char)*c >= 0x7f)
			*c = '?';
}

static bool take_mac(const struct place *p, const struct json *object, const char *key,
		     struct net_mac *ret)
{
	const struct json *j = member(object, key);
	const char *text = json_string(j);
	struct net_mac mac;
	if (text && net_parse_mac(text, &mac) == 0 && !net_mac_is_multicast(&mac)) {
		*ret = mac;
		return true;
	}
	wrong(p, key, j, "a NIC's address such as \"52:54:00:12:34:56\"");
	return false;
}

/* Names each member that no table knows. */
static void tell_unknown(const struct place *p, const struct json *object,
			 const char *const known[], const char *prefix)
{
	json_for_each(m, object) {
		const char *key = json_key(m);
		bool is = json_is_null(m) || (prefix && str_has_prefix(key, prefix));
		for (size_t i = 0; known[i] && !is; i++)
			is = streq(known[i], key);
		if (!is)
			notice(p, "%.*s is not known, and was passed over", SHOWN_MAX, key);
	}
}

/* --- links ----------------------------------------------------------------------------------- */

/* Names of ports and of what is below a VLAN, until all links are known. */
struct draft {
	struct netdata_link link;
	size_t index; /* in the text */
	char (*below)[NETDATA_ID_SIZE];
	size_t below_count;
	bool dropped, placed;
	size_t at; /* where it came to stand */
};

static struct place place_of_link(struct netdata *n, const struct draft *d)
{
	return place_of(n, "links", d->index, d->link.id);
}

static void add_below(struct draft *d, const struct json *j)
{
	d->below = xreallocarray(d->below, d->below_count + 1, sizeof(*d->below));
	take_id(j, d->below[d->below_count++]);
}

static bool read_nic(const struct place *p, const struct json *j, struct draft *d)
{
	const char *name = json_get_string(j, "name");
	/* As cloud-init has it: without a MAC the name tells which. */
	if (!member(j, "ethernet_mac_address") && name && *name &&
	    strlen(name) < NETDATA_NAME_SIZE && !strchr(name, '/')) {
		snprintf(d->link.name, sizeof(d->link.name), "%s", name);
		return true;
	}
	d->link.has_mac = take_mac(p, j, "ethernet_mac_address", &d->link.mac);
	return d->link.has_mac;
}

static bool read_vlan(const struct place *p, const struct json *j, struct draft *d)
{
	const struct json *below = member(j, "vlan_link"), *id = member(j, "vlan_id");
	int64_t v;
	if (!number(id, 1, VLAN_ID_MAX, &v)) {
		wrong(p, "vlan_id", id, "a number from 1 to 4094");
		return false;
	}
	d->link.vlan_id = (unsigned)v;
	if (!json_is_string(below)) {
		wrong(p, "vlan_link", below, "the id of a link");
		return false;
	}
	add_below(d, below);
	/* Where there is none, it has that of what it stands on. */
	if (member(j, "vlan_mac_address"))
		d->link.has_mac = take_mac(p, j, "vlan_mac_address", &d->link.mac);
	return true;
}

/* The options of a bond, in the order in which the kernel takes them: the mode first, how links are
 * watched before what depends on it. `primary` names a link. */
static const char *const bond_options[] = {
	"mode",
	"miimon",
	"updelay",
	"downdelay",
	"use_carrier",
	"arp_interval",
	"arp_ip_target",
	"arp_validate",
	"arp_all_targets",
	"lacp_rate",
	"ad_select",
	"ad_actor_sys_prio",
	"ad_actor_system",
	"ad_user_port_key",
	"xmit_hash_policy",
	"fail_over_mac",
	"primary_reselect",
	"num_grat_arp",
	"num_unsol_na",
	"min_links",
	"lp_interval",
	"packets_per_slave",
	"resend_igmp",
	"tlb_dynamic_lb",
	"all_slaves_active",
	"peer_notif_delay",
	"missed_max",
	"primary",
};

static const char *const bond_modes[] = { "balance-rr", "active-backup", "balance-xor", "broadcast",
					  "802.3ad",	"balance-tlb",	 "balance-alb" };

/* "bond_miimon", "bond-miimon", "bond_lacp-rate": the option's name; NULL: none that is known. */
static const char *option_name(const char *key)
{
	const char *name = key + strlen("bond_");
	for (size_t i = 0; i < ARRAY_SIZE(bond_options); i++) {
		const char *known = bond_options[i];
		size_t k = 0;
		while (known[k] && (name[k] == known[k] || (known[k] == '_' && name[k] == '-')))
			k++;
		if (!known[k] && !name[k])
			return known;
	}
	return NULL;
}

/* Truth values are 0 and 1 to the kernel; lists are joined, as cloud-init does. */
static char *option_value(const struct json *j)
{
	bool b;
	struct strbuf text = { 0 };
	if (json_bool(j, &b))
		return xstrdup(b ? "1" : "0");
	if (!json_is_array(j))
		return xstrdup(str_or(json_string(j), json_number_text(j)));
	json_for_each(item, j)
		strbuf_addf(&text, "%s%s", text.len ? "," : "", str_or(json_string(item), "?"));
	return strbuf_take(&text, NULL);
}

static bool option_value_usable(const char *value)
{
	if (str_empty(value) || strlen(value) > OPTION_VALUE_MAX)
		return false;
	for (const char *c = value; *c; c++)
		if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f)
			return false;
	return true;
}

static void add_option(struct netdata_link *l, const char *name, const char *key, char *value)
{
	l->options = xreallocarray(l->options, l->option_count + 1, sizeof(*l->options));
	l->options[l->option_count++] = (struct netdata_option){ .name = name,
								 .key = xstrdup(key),
								 .value = value };
}

static size_t option_rank(const char *name)
{
	size_t i = 0;
	while (bond_options[i] != name)
		i++;
	return i;
}

static int compare_options(const void *a, const void *b)
{
	const struct netdata_option *x = a, *y = b;
	size_t i = option_rank(x->name), k = option_rank(y->name);
	return (i > k) - (i < k);
}

static bool has_option(const struct netdata_link *l, const char *name)
{
	for (size_t i = 0; i < l->option_count; i++)
		if (streq(l->options[i].name, name))
			return true;
	return false;
}

static void read_option(const struct place *p, const struct json *m, struct netdata_link *l)
{
	const char *key = json_key(m), *name = option_name(key);
	if (!name || has_option(l, name)) {
		problem(p, "%.*s is %s, and was passed over", SHOWN_MAX, key,
			name ? "given twice" : "no option of a bond");
		return;
	}
	char *value = option_value(m);
	if (!option_value_usable(value)) {
		wrong(p, key, m, "a value for the kernel's bonding driver");
		free(value);
		return;
	}
	add_option(l, name, key, value);
}

static bool mode_known(const char *value)
{
	uint64_t n;
	for (size_t i = 0; i < ARRAY_SIZE(bond_modes); i++)
		if (streq(value, bond_modes[i]))
			return true;
	return parse_u64(value, ARRAY_SIZE(bond_modes) - 1, &n) == 0;
}

/* With a guessed mode a switch may see one host at two ports, so a bond with a wrong one is left
 * out. Without one the kernel has its own default, balance-rr, as everywhere. */
static bool check_mode(const struct place *p, const struct json *j, const struct netdata_link *l)
{
	const struct json *given = member(j, "bond_mode");
	if (!given)
		given = member(j, "bond-mode");
	for (size_t i = 0; i < l->option_count; i++)
		if (streq(l->options[i].name, "mode") && mode_known(l->options[i].value))
			return true;
	if (!given)
		return true;
	wrong(p, "bond_mode", given,
	      "balance-rr, active-backup, balance-xor, broadcast, 802.3ad, balance-tlb or "
	      "balance-alb");
	return false;
}

/* Without any watch a bond never sees a dead link; 100 ms is what Linux's documentation has. */
static void watch_links(struct netdata_link *l)
{
	if (!has_option(l, "miimon") && !has_option(l, "arp_interval"))
		add_option(l, "miimon", "bond_miimon", xstrdup("100"));
}

static bool read_bond(const struct place *p, const struct json *j, struct draft *d)
{
	const struct json *ports = member(j, "bond_links");
	if (!json_is_array(ports) || json_count(ports) == 0 ||
	    json_count(ports) > NETDATA_LINKS_MAX) {
		wrong(p, "bond_links", ports, "a list of the ids of links");
		return false;
	}
	json_for_each(port, ports)
		add_below(d, port);
	json_for_each(m, j) {
		const char *key = json_key(m);
		bool option = str_has_prefix(key, "bond_") || str_has_prefix(key, "bond-");
		if (option && !streq(key, "bond_links") && !json_is_null(m) &&
		    d->link.option_count < NETDATA_OPTIONS_MAX)
			read_option(p, m, &d->link);
	}
	if (!check_mode(p, j, &d->link))
		return false;
	watch_links(&d->link);
	qsort(d->link.options, d->link.option_count, sizeof(*d->link.options), compare_options);
	if (member(j, "ethernet_mac_address"))
		d->link.has_mac = take_mac(p, j, "ethernet_mac_address", &d->link.mac);
	return true;
}

/* Types of links, with what reads them. All of OpenStack's that are neither bond nor VLAN tell how
 * the NIC is attached on a hypervisor's side, which is not the machine's business. */
static const struct link_type {
	const char *name;
	enum netdata_kind kind;
} link_types[] = {
	{ "phy", NETDATA_NIC },	    { "bond", NETDATA_BOND },
	{ "vlan", NETDATA_VLAN },   { "bgpovs", NETDATA_NIC },
	{ "bridge", NETDATA_NIC },  { "cascading", NETDATA_NIC },
	{ "dvs", NETDATA_NIC },	    { "ethernet", NETDATA_NIC },
	{ "hostdev", NETDATA_NIC }, { "hostdev_physical", NETDATA_NIC },
	{ "hw_veb", NETDATA_NIC },  { "hyperv", NETDATA_NIC },
	{ "ovs", NETDATA_NIC },	    { "physical", NETDATA_NIC },
	{ "tap", NETDATA_NIC },	    { "vhostuser", NETDATA_NIC },
	{ "vif", NETDATA_NIC },
};

/* Absent is a NIC's, as in cloud-init. */
static enum netdata_kind link_kind(const struct place *p, const struct json *j)
{
	const struct json *type = member(j, "type");
	for (size_t i = 0; i < ARRAY_SIZE(link_types); i++)
		if (streq(json_string(type), link_types[i].name))
			return link_types[i].kind;
	if (type)
		wrong(p, "type", type, "phy, bond or vlan; it is taken for a NIC");
	return NETDATA_NIC;
}

static const struct {
	bool (*read)(const struct place *p, const struct json *j, struct draft *d);
	const char *const known[16];
	const char *prefix; /* members read by pattern */
} kinds[] = {
	[NETDATA_NIC] = { read_nic,
			  { "id", "type", "mtu", "name", "ethernet_mac_address", "vif_id" },
			  NULL },
	[NETDATA_BOND] = { read_bond,
			   { "id", "type", "mtu", "name", "ethernet_mac_address", "vif_id" },
			   "bond" },
	[NETDATA_VLAN] = { read_vlan,
			   { "id", "type", "mtu", "name", "vlan_id", "vlan_link",
			     "vlan_mac_address", "ethernet_mac_address", "vif_id" },
			   NULL },
};

static void read_link(struct netdata *n, const struct json *j, struct draft *d)
{
	take_id(member(j, "id"), d->link.id);
	struct place p = place_of_link(n, d);
	d->dropped = true;
	if (!json_is_object(j)) {
		problem(&p, "expected an object");
		return;
	}
	if (!d->link.id[0]) {
		wrong(&p, "id", member(j, "id"), "a text of at most 64 characters");
		return;
	}
	d->link.kind = link_kind(&p, j);
	d->dropped = !kinds[d->link.kind].read(&p, j, d);
	(void)take_number(&p, j, "mtu", MTU_MIN, MTU_MAX, &d->link.mtu);
	tell_unknown(&p, j, kinds[d->link.kind].known, kinds[d->link.kind].prefix);
}

static bool same_nic(const struct netdata_link *a, const struct netdata_link *b)
{
	if (a->kind != NETDATA_NIC || b->kind != NETDATA_NIC || a->has_mac != b->has_mac)
		return false;
	return a->has_mac ? net_mac_equal(&a->mac, &b->mac) : streq(a->name, b->name);
}

static void drop_doubles(struct netdata *n, struct draft *drafts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < i && !drafts[i].dropped; k++) {
			bool id = streq(drafts[i].link.id, drafts[k].link.id);
			if (drafts[k].dropped ||
			    (!id && !same_nic(&drafts[i].link, &drafts[k].link)))
				continue;
			struct place p = place_of_link(n, &drafts[i]);
			problem(&p, "%s is that of links[%zu], too: only the first one counts",
				id ? "id" : "ethernet_mac_address", k);
			drafts[i].dropped = true;
		}
	}
}

static struct draft *find_draft(struct draft *drafts, size_t count, const char *id)
{
	for (size_t i = 0; i < count; i++)
		if (!drafts[i].dropped && *id && streq(drafts[i].link.id, id))
			return &drafts[i];
	return NULL;
}

/* A port must be a NIC that no other bond has. Returns whether the link may keep it. */
static bool port_usable(const struct place *p, const struct draft *port, const char *id)
{
	if (!port)
		problem(p, "bond_links: there is no usable link \"%s\"", id);
	else if (port->link.kind != NETDATA_NIC)
		problem(p, "bond_links: \"%s\" is no NIC", id);
	else if (port->link.in_bond)
		problem(p, "bond_links: \"%s\" is in a bond already", id);
	else
		return true;
	return false;
}

/* A bond goes on with the ports that are usable. */
static void check_ports(struct netdata *n, struct draft *drafts, size_t count, struct draft *d)
{
	struct place p = place_of_link(n, d);
	size_t kept = 0;
	for (size_t i = 0; i < d->below_count; i++) {
		struct draft *port = find_draft(drafts, count, d->below[i]);
		if (!port_usable(&p, port, d->below[i]))
			continue;
		port->link.in_bond = true;
		memmove(d->below[kept++], d->below[i], NETDATA_ID_SIZE);
	}
	d->below_count = kept;
	d->dropped = kept == 0;
	if (d->dropped)
		problem(&p, "no usable port is left: the bond is left out");
}

/* Puts a link behind those that it stands on. False: they are not there yet. */
static bool place_link(struct netdata *n, struct draft *drafts, size_t count, struct draft *d)
{
	struct netdata_link *l = &d->link;
	for (size_t i = 0; i < d->below_count; i++) {
		const struct draft *below = find_draft(drafts, count, d->below[i]);
		if (!below || !below->placed)
			return false;
	}
	l->below = d->below_count ? xcalloc(d->below_count, sizeof(*l->below)) : NULL;
	l->below_count = d->below_count;
	for (size_t i = 0; i < d->below_count; i++)
		l->below[i] = find_draft(drafts, count, d->below[i])->at;
	d->placed = true;
	d->at = n->link_count;
	n->links[n->link_count++] = *l;
	d->link.options = NULL; /* handed over, and the count with it */
	d->link.option_count = 0;
	d->link.below = NULL;
	return true;
}

static void place_links(struct netdata *n, struct draft *drafts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!drafts[i].dropped && drafts[i].link.kind == NETDATA_BOND)
			check_ports(n, drafts, count, &drafts[i]);
	for (bool more = true; more;) {
		more = false;
		for (size_t i = 0; i < count; i++)
			if (!drafts[i].dropped && !drafts[i].placed)
				more |= place_link(n, drafts, count, &drafts[i]);
	}
	for (size_t i = 0; i < count; i++) {
		struct place p = place_of_link(n, &drafts[i]);
		if (!drafts[i].dropped && !drafts[i].placed)
			problem(&p, "vlan_link: there is no usable link \"%s\" below it",
				drafts[i].below[0]);
	}
}

static void free_link(struct netdata_link *l)
{
	for (size_t i = 0; i < l->option_count; i++) {
		free(l->options[i].key);
		free(l->options[i].value);
	}
	free(l->options);
	free(l->below);
}

/* A list that is there, is one, and is not too long; what is beyond is named and left out. */
static const struct json *take_list(const struct place *p, const struct json *object,
				    const char *key, size_t max, size_t *ret_count)
{
	const struct json *list = member(object, key);
	*ret_count = json_is_array(list) ? json_count(list) : 0;
	if (list && !json_is_array(list))
		wrong(p, key, list, "a list");
	if (*ret_count > max) {
		problem(p, "%s has %zu elements: only the first %zu count", key, *ret_count, max);
		*ret_count = max;
	}
	return list;
}

static void read_links(struct netdata *n, const struct json *root)
{
	struct place top = { .n = n, .text = "network data" };
	size_t count, i = 0;
	const struct json *list = take_list(&top, root, "links", NETDATA_LINKS_MAX, &count);
	struct draft *drafts = xcalloc(count + 1, sizeof(*drafts));
	n->links = xcalloc(count + 1, sizeof(*n->links));
	for (const struct json *j = json_first(list); i < count; j = json_next(j), i++) {
		drafts[i].index = i;
		read_link(n, j, &drafts[i]);
	}
	drop_doubles(n, drafts, count);
	place_links(n, drafts, count);
	for (i = 0; i < count; i++) {
		free_link(&drafts[i].link);
		free(drafts[i].below);
	}
	free(drafts);
}

/* --- addresses ------------------------------------------------------------------------------- */

/* Leading ones only; 255.0.255.0 is none. */
static bool mask_bits(const struct net_addr *mask, unsigned *ret)
{
	const uint8_t *b = net_family(mask) == AF_INET6 ? mask->v6.sin6_addr.s6_addr
							: (const uint8_t *)&mask->v4.sin_addr;
	unsigned total = net_bits(net_family(mask)), bits = 0;
	while (bits < total && (b[bits / 8] >> (7 - bits % 8) & 1))
		bits++;
	for (unsigned i = bits; i < total; i++)
		if (b[i / 8] >> (7 - i % 8) & 1)
			return false;
	*ret = bits;
	return true;
}

/* "255.255.255.0", "ffff:ffff::", 24 or "24". */
static bool read_mask(const struct json *j, int family, unsigned *ret)
{
	struct net_addr mask;
	int64_t bits;
	if (number(j, 0, net_bits(family), &bits)) {
		*ret = (unsigned)bits;
		return true;
	}
	return json_is_string(j) && net_parse_ip(json_string(j), &mask) == 0 &&
	       net_family(&mask) == family && mask_bits(&mask, ret);
}

/* An address of that family (AF_UNSPEC: any) without a scope. */
static bool read_ip(const char *text, int family, struct net_addr *ret)
{
	struct net_addr a;
	if (!text || strchr(text, '%') || net_parse_ip(text, &a) < 0 ||
	    (family != AF_UNSPEC && net_family(&a) != family))
		return false;
	*ret = a;
	return true;
}

/* "ADDRESS" or "ADDRESS/BITS" in one member, perhaps the mask in another. False: said already. */
static bool read_prefixed(const struct place *p, const struct json *object, const char *key,
			  int family, struct net_addr *ret, unsigned *ret_bits)
{
	const struct json *j = member(object, key), *mask = member(object, "netmask");
	const char *text = str_or(json_string(j), "");
	const char *slash = strchr(text, '/');
	_cleanup_(freep) char *ip = xstrndup(text, slash ? (size_t)(slash - text) : strlen(text));
	uint64_t bits = 0;
	if (!read_ip(ip, family, ret) ||
	    (slash && parse_u64(slash + 1, net_bits(net_family(ret)), &bits) < 0)) {
		wrong(p, key, j, family == AF_INET ? "an IPv4 address" : "an IPv6 address");
		return false;
	}
	*ret_bits = (unsigned)bits;
	if (!mask && slash)
		return true;
	unsigned other;
	if (!read_mask(mask, net_family(ret), &other)) {
		wrong(p, "netmask", mask,
		      family == AF_INET ? "such as \"255.255.255.0\" or 24"
					: "such as \"ffff:ffff:ffff:ffff::\" "
					  "or 64");
		return false;
	}
	if (slash && other != bits) {
		wrong(p, "netmask", mask, "the length that stands behind the address");
		return false;
	}
	*ret_bits = other;
	return true;
}

/* --- services -------------------------------------------------------------------------------- */

static void add_dns(const struct place *p, const char *key, const struct json *j)
{
	struct netdata *n = p->n;
	struct net_addr a;
	if (!read_ip(json_string(j), AF_UNSPEC, &a)) {
		wrong(p, key, j, "the address of a DNS server");
		return;
	}
	for (size_t i = 0; i < n->dns_count; i++)
		if (net_same_ip(&n->dns[i], &a))
			return;
	if (n->dns_count == NETDATA_DNS_MAX)
		problem(p, "%s: only the first %d DNS servers count", key, NETDATA_DNS_MAX);
	else
		n->dns[n->dns_count++] = a;
}

static bool domain_usable(const char *s)
{
	size_t len = str_empty(s) ? 0 : strlen(s);
	return len > 0 && len < 254 &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") ==
		       len;
}

static void add_search(const struct place *p, const char *key, const struct json *j)
{
	struct netdata *n = p->n;
	if (!domain_usable(json_string(j)))
		wrong(p, key, j, "a domain");
	else if (n->search_count == NETDATA_SEARCH_MAX)
		problem(p, "%s: only the first %d domains count", key, NETDATA_SEARCH_MAX);
	else
		n->search[n->search_count++] = xstrdup(json_string(j));
}

/* One, or a list of them. */
static void each(const struct place *p, const struct json *object, const char *key,
		 void (*add)(const struct place *p, const char *key, const struct json *j))
{
	const struct json *j = member(object, key);
	if (json_is_array(j)) {
		json_for_each(item, j)
			add(p, key, item);
	} else if (j) {
		add(p, key, j);
	}
}

static void read_service(const struct place *p, const struct json *j)
{
	static const char *const known[] = { "type", "address", "search", NULL };
	const struct json *type = member(j, "type");
	/* cloud-init takes any service for a DNS server. */
	if (type && !streq(json_string(type), "dns") && !streq(json_string(type), "nameserver")) {
		wrong(p, "type", type, "dns; other services are passed over");
		return;
	}
	if (!member(j, "address"))
		wrong(p, "address", NULL, "the address of a DNS server");
	each(p, j, "address", add_dns);
	each(p, j, "search", add_search);
	tell_unknown(p, j, known, NULL);
}

static void read_services(struct netdata *n, const struct place *outer, const struct json *object)
{
	size_t count, i = 0;
	const struct json *list = take_list(outer, object, "services", NETDATA_ROUTES_MAX, &count);
	for (const struct json *j = json_first(list); i < count; j = json_next(j), i++) {
		struct place p = streq(outer->text, "network data")
					 ? place_of(n, "services", i, "")
					 : place_in(outer, "services", i);
		if (json_is_object(j))
			read_service(&p, j);
		else
			problem(&p, "expected an object");
	}
}

/* --- networks -------------------------------------------------------------------------------- */

static const struct network_type {
	const char *name;
	enum netdata_method method;
	int family;
} network_types[] = {
	{ "ipv4", NETDATA_STATIC, AF_INET },
	{ "ipv6", NETDATA_STATIC, AF_INET6 },
	{ "static", NETDATA_STATIC, AF_INET },
	{ "static6", NETDATA_STATIC, AF_INET6 },
	{ "ipv4_dhcp", NETDATA_DHCP4, AF_INET },
	{ "ipv6_dhcp", NETDATA_DHCP6, AF_INET6 },
	{ "ipv6_slaac", NETDATA_SLAAC, AF_INET6 },
	{ "ipv6_dhcpv6-stateless", NETDATA_DHCP6_STATELESS, AF_INET6 },
	{ "ipv6_dhcpv6-stateful", NETDATA_DHCP6, AF_INET6 },
};

static const struct network_type *network_type(const struct json *j)
{
	for (size_t i = 0; i < ARRAY_SIZE(network_types); i++)
		if (streq(json_string(j), network_types[i].name))
			return &network_types[i];
	return NULL;
}

static void add_route(struct netdata_network *w, const struct netdata_route *r)
{
	w->routes = xreallocarray(w->routes, w->route_count + 1, sizeof(*w->routes));
	w->routes[w->route_count++] = *r;
}

/* A gateway of 0.0.0.0 or :: is none. */
static bool read_gateway(const struct place *p, const struct json *object, int family,
			 struct net_addr *ret)
{
	const struct json *j = member(object, "gateway");
	if (!j || (json_is_string(j) && !*json_string(j)))
		return true;
	if (!read_ip(json_string(j), family, ret)) {
		wrong(p, "gateway", j, family == AF_INET ? "an IPv4 address" : "an IPv6 address");
		return false;
	}
	if (net_is_unspecified(ret))
		*ret = (struct net_addr){ 0 };
	return true;
}

static void read_route(const struct place *p, const struct json *j, int family,
		       struct netdata_network *w)
{
	static const char *const known[] = { "network",	 "netmask", "gateway", "metric",
					     "services", "id",	    NULL };
	struct netdata_route r = { 0 };
	struct net_addr to;
	unsigned bits;
	if (!json_is_object(j)) {
		problem(p, "expected an object");
		return;
	}
	tell_unknown(p, j, known, NULL);
	if (!read_prefixed(p, j, "network", family, &to, &bits) ||
	    !read_gateway(p, j, family, &r.gateway) ||
	    !take_number(p, j, "metric", 0, METRIC_MAX, &r.metric))
		return;
	r.to = net_prefix_of(&to, bits);
	if (!net_same_ip(&r.to.addr, &to)) {
		char text[NET_PREFIX_TEXT_MAX];
		problem(p, "network has bits behind its netmask: %s is used",
			net_format_prefix(&r.to, text));
	}
	add_route(w, &r);
}

/* `gateway` of a network is not OpenStack's, but cloud-init reads it. */
static void read_default(const struct place *p, const struct json *j, int family,
			 struct netdata_network *w)
{
	struct netdata_route r = { 0 };
	if (!read_gateway(p, j, family, &r.gateway) || !net_is_set(&r.gateway) ||
	    !take_number(p, j, "metric", 0, METRIC_MAX, &r.metric))
		return;
	r.to = net_prefix_of(&r.gateway, 0);
	add_route(w, &r);
}

static void read_routes(struct netdata *n, const struct place *outer, const struct json *j,
			int family, struct netdata_network *w)
{
	size_t count, i = 0;
	const struct json *list = take_list(outer, j, "routes", NETDATA_ROUTES_MAX, &count);
	read_default(outer, j, family, w);
	for (const struct json *r = json_first(list); i < count; r = json_next(r), i++) {
		struct place p = place_in(outer, "routes", i);
		read_route(&p, r, family, w);
		if (member(r, "services"))
			read_services(n, &p, r);
	}
}

static bool find_link(const struct place *p, const struct json *j, size_t *ret)
{
	const struct netdata *n = p->n;
	const struct json *link = member(j, "link");
	char id[NETDATA_ID_SIZE];
	take_id(link, id);
	for (size_t i = 0; i < n->link_count; i++) {
		if (!streq(n->links[i].id, id))
			continue;
		if (n->links[i].in_bond) {
			problem(p,
				"link \"%s\" is a port of a bond, which has no network of its "
				"own",
				id);
			return false;
		}
		*ret = i;
		return true;
	}
	if (*id)
		problem(p, "there is no usable link \"%s\"", id);
	else
		wrong(p, "link", link, "the id of a link");
	return false;
}

/* Addresses that no host can have. */
static bool host_address(const struct place *p, const struct json *j,
			 const struct netdata_network *w)
{
	if (!net_is_unspecified(&w->address) && !net_is_loopback(&w->address) &&
	    !net_is_multicast(&w->address) && w->bits > 0)
		return true;
	wrong(p, "ip_address", member(j, "ip_address"), "the address of a host");
	return false;
}

static bool read_network(const struct place *p, const struct json *j, struct netdata_network *w)
{
	static const char *const known[] = { "id",
					     "network_id",
					     "link",
					     "type",
					     "ip_address",
					     "netmask",
					     "gateway",
					     "routes",
					     "services",
					     "metric",
					     "broadcast",
					     "scope",
					     "dns_nameservers",
					     "dns_search",
					     "pointopoint",
					     NULL };
	const struct json *type = member(j, "type");
	const struct network_type *t = network_type(type);
	tell_unknown(p, j, known, NULL);
	read_services(p->n, p, j);
	each(p, j, "dns_nameservers", add_dns);
	each(p, j, "dns_search", add_search);
	if (!find_link(p, j, &w->link))
		return false;
	if (!t) {
		wrong(p, "type", type,
		      "ipv4, ipv6, ipv4_dhcp, ipv6_dhcp, ipv6_slaac, ipv6_dhcpv6-stateless or "
		      "ipv6_dhcpv6-stateful");
		return false;
	}
	w->method = t->method;
	if (w->method == NETDATA_STATIC &&
	    (!read_prefixed(p, j, "ip_address", t->family, &w->address, &w->bits) ||
	     !host_address(p, j, w)))
		return false;
	read_routes(p->n, p, j, t->family, w);
	return true;
}

static void read_networks(struct netdata *n, const struct json *root)
{
	struct place top = { .n = n, .text = "network data" };
	size_t count, i = 0;
	const struct json *list = take_list(&top, root, "networks", NETDATA_NETWORKS_MAX, &count);
	n->networks = xcalloc(count + 1, sizeof(*n->networks));
	for (const struct json *j = json_first(list); i < count; j = json_next(j), i++) {
		struct netdata_network *w = &n->networks[n->network_count];
		take_id(member(j, "id"), w->id);
		struct place p = place_of(n, "networks", i, w->id);
		if (!json_is_object(j))
			problem(&p, "expected an object");
		else if (read_network(&p, j, w))
			n->network_count++;
		if (w == &n->networks[n->network_count]) {
			free(w->routes);
			*w = (struct netdata_network){ 0 };
		}
	}
}

/* --- all of it ------------------------------------------------------------------------------- */

int netdata_parse(const char *text, size_t len, struct netdata **ret, struct err *err)
{
	static const char *const known[] = { "links", "networks", "services", NULL };
	struct json *root = NULL;
	if (len > NETDATA_TEXT_MAX)
		return err_set(err, ERR_LIMIT, "network data: %zu bytes, at most %d are taken", len,
			       NETDATA_TEXT_MAX);
	if (json_parse_limited(text, len, &limits, &root, err) < 0)
		return err_wrap(err, "network data");
	if (!json_is_object(root)) {
		json_free(root);
		return err_set(err, ERR_INVALID, "network data: expected an object");
	}
	struct netdata *n = xcalloc(1, sizeof(*n));
	struct place top = { .n = n, .text = "network data" };
	tell_unknown(&top, root, known, NULL);
	read_links(n, root);
	read_services(n, &top, root);
	read_networks(n, root);
	json_free(root);
	*ret = n;
	return 0;
}

int netdata_check(const char *text, size_t len, struct err *err)
{
	struct netdata *n = NULL;
	int r = netdata_parse(text, len, &n, err);
	if (n && *n->wrong)
		r = err_set(err, ERR_INVALID, "%s", n->wrong);
	netdata_free(n);
	return r;
}

struct netdata *netdata_free(struct netdata *n)
{
	if (!n)
		return NULL;
	for (size_t i = 0; i < n->link_count; i++)
		free_link(&n->links[i]);
	for (size_t i = 0; i < n->network_count; i++)
		free(n->networks[i].routes);
	for (size_t i = 0; i < n->search_count; i++)
		free(n->search[i]);
	free(n->links);
	free(n->networks);
	free(n);
	return NULL;
}

void netdata_freep(struct netdata **n)
{
	*n = netdata_free(*n);
}
