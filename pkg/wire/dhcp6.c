/* DHCPv6 messages by RFC 8415. A relayed message is one inside the other (sections 9 and 19): the
 * headers of the relays become a list, so that neither depth nor size of a stranger's message costs
 * more than its bytes. Options keep their order and may repeat; of those that may not, the first
 * counts. Pure. */

#include "wire/dhcp6.h"

#include <errno.h>
#include <string.h>

#include "base/cursor.h"
#include "base/str.h"

enum {
	HEADER_SIZE = 4,
	OPTION_HEADER = 4,
	RELAY_HEADER = 34,
	DUID_LLT = 1,
	DUID_LL = 3,
	HARDWARE_ETHERNET = 1,
	IA_HEADER = 12,
	IA_TA_HEADER = 4,
	ADDRESS_SIZE = 24,
	LABEL_MAX = 63,
	NAME_MAX_WIRE = 255,
};

/* Who sends it: relays pass the one kind forward, the other one back. */
static const struct type_row {
	const char *name;
	bool from_client, from_server;
} types[] = {
	[DHCP6_SOLICIT] = { "SOLICIT", true, false },
	[DHCP6_ADVERTISE] = { "ADVERTISE", false, true },
	[DHCP6_REQUEST] = { "REQUEST", true, false },
	[DHCP6_CONFIRM] = { "CONFIRM", true, false },
	[DHCP6_RENEW] = { "RENEW", true, false },
	[DHCP6_REBIND] = { "REBIND", true, false },
	[DHCP6_REPLY] = { "REPLY", false, true },
	[DHCP6_RELEASE] = { "RELEASE", true, false },
	[DHCP6_DECLINE] = { "DECLINE", true, false },
	[DHCP6_RECONFIGURE] = { "RECONFIGURE", false, true },
	[DHCP6_INFORMATION_REQUEST] = { "INFORMATION-REQUEST", true, false },
	[DHCP6_RELAY_FORWARD] = { "RELAY-FORW", false, false },
	[DHCP6_RELAY_REPLY] = { "RELAY-REPL", false, false },
};

static const struct type_row *type_row(unsigned type)
{
	return type < ARRAY_SIZE(types) && types[type].name ? &types[type] : NULL;
}

const char *dhcp6_type_name(enum dhcp6_type type)
{
	const struct type_row *row = type_row(type);
	return row ? row->name : "?";
}

/* --- decoding --------------------------------------------------------------------------------- */

/* The next option of a list, in place. False: its end, or (the cursor failed) it is cut off. */
static bool next_option(struct cursor *c, uint16_t *ret_code, const uint8_t **ret, size_t *ret_len)
{
	if (cursor_left(c) == 0 || !cursor_ok(c))
		return false;
	*ret_code = cursor_be16(c);
	*ret_len = cursor_be16(c);
	*ret = cursor_bytes(c, *ret_len);
	return cursor_ok(c);
}

static struct dhcp6_option keep(struct dhcp6_message *m, uint16_t code, const uint8_t *value,
				size_t len)
{
	struct dhcp6_option o = { code, (uint16_t)m->used, (uint16_t)len };
	memcpy(m->bytes + m->used, value, len); /* what was received is no longer than `bytes` */
	m->used += len;
	return o;
}

/* RFC 6939, section 4: type of hardware and address. */
static void take_client_mac(struct dhcp6_relay *r, const uint8_t *value, size_t len)
{
	static const uint8_t ethernet[] = { 0, HARDWARE_ETHERNET };
	r->has_mac = len == sizeof(ethernet) + sizeof(r->mac) &&
		     memcmp(value, ethernet, sizeof(ethernet)) == 0;
	if (r->has_mac)
		memcpy(r->mac, value + sizeof(ethernet), sizeof(r->mac));
}

static void take_relay_option(struct dhcp6_message *m, struct dhcp6_relay *r, uint16_t code,
			      const uint8_t *value, size_t len)
{
	if (code == DHCP6_OPT_INTERFACE_ID && !r->has_interface_id) {
		r->interface_id = keep(m, code, value, len);
		r->has_interface_id = true;
	} else if (code == DHCP6_OPT_CLIENT_MAC && !r->has_mac) {
		take_client_mac(r, value, len);
	}
}

/* Takes one relay's header off; *c then reads what it holds. */
static int decode_relay(struct cursor *c, struct dhcp6_message *m)
{
	const uint8_t *inner = NULL, *value;
	size_t inner_len = 0, len;
	uint16_t code;
	if (m->relay_count == DHCP6_RELAYS_MAX)
		return -EBADMSG;
	struct dhcp6_relay *r = &m->relays[m->relay_count++];
	cursor_skip(c, 1);
	r->hops = cursor_u8(c);
	cursor_copy(c, &r->link, sizeof(r->link));
	cursor_copy(c, &r->peer, sizeof(r->peer));
	while (next_option(c, &code, &value, &len)) {
		if (code == DHCP6_OPT_RELAY_MESSAGE && !inner)
			inner = value, inner_len = len;
		else
			take_relay_option(m, r, code, value, len);
	}
	if (!cursor_ok(c) || !inner)
		return -EBADMSG;
	cursor_init(c, inner, inner_len);
	return 0;
}

static int decode_options(struct cursor *c, struct dhcp6_message *m)
{
	const uint8_t *value;
	size_t len;
	uint16_t code;
	while (next_option(c, &code, &value, &len)) {
		if (m->option_count == DHCP6_OPTIONS_MAX)
			return -E2BIG;
		m->options[m->option_count++] = keep(m, code, value, len);
	}
	return cursor_ok(c) ? 0 : -EBADMSG;
}

static unsigned peek_type(const struct cursor *c)
{
	return cursor_left(c) ? c->data[c->pos] : 0;
}

int dhcp6_decode(const void *data, size_t len, struct dhcp6_message *ret)
{
	struct dhcp6_message m = { 0 };
	struct cursor c;
	if (len > DHCP6_SIZE_MAX)
		return -EMSGSIZE;
	cursor_init(&c, data, len);
	unsigned way = peek_type(&c);
	while (peek_type(&c) == DHCP6_RELAY_FORWARD || peek_type(&c) == DHCP6_RELAY_REPLY) {
		int r = peek_type(&c) == way ? decode_relay(&c, &m) : -EBADMSG;
		if (r < 0)
			return r;
	}
	const struct type_row *row = type_row(peek_type(&c));
	uint32_t head = cursor_be32(&c);
	if (!cursor_ok(&c) || !row || (way == DHCP6_RELAY_FORWARD && !row->from_client) ||
	    (way == DHCP6_RELAY_REPLY && !row->from_server))
		return -EBADMSG;
	m.type = (enum dhcp6_type)(head >> 24);
	m.xid = head & 0xffffff;
	int r = decode_options(&c, &m);
	if (r == 0)
		*ret = m;
	return r;
}

/* --- encoding --------------------------------------------------------------------------------- */

static size_t option_size(const struct dhcp6_option *o)
{
	return OPTION_HEADER + (size_t)o->len;
}

/* Of the message from relay `i` on; relay_count: without relays. */
static size_t size_from(const struct dhcp6_message *m, size_t i)
{
	size_t size = HEADER_SIZE;
	for (size_t n = 0; n < m->option_count; n++)
		size += option_size(&m->options[n]);
	for (size_t n = m->relay_count; n > i; n--) {
		const struct dhcp6_relay *r = &m->relays[n - 1];
		size += RELAY_HEADER + OPTION_HEADER;
		size += r->has_interface_id ? option_size(&r->interface_id) : 0;
	}
	return size;
}

static void put_option(struct wcursor *w, const struct dhcp6_message *m,
		       const struct dhcp6_option *o)
{
	wcursor_be16(w, o->code);
	wcursor_be16(w, o->len);
	wcursor_bytes(w, m->bytes + o->at, o->len);
}

static void put_relay(struct wcursor *w, const struct dhcp6_message *m, size_t i)
{
	const struct dhcp6_relay *r = &m->relays[i];
	wcursor_u8(w, types[m->type].from_server ? DHCP6_RELAY_REPLY : DHCP6_RELAY_FORWARD);
	wcursor_u8(w, r->hops);
	wcursor_bytes(w, &r->link, sizeof(r->link));
	wcursor_bytes(w, &r->peer, sizeof(r->peer));
	if (r->has_interface_id)
		put_option(w, m, &r->interface_id);
	wcursor_be16(w, DHCP6_OPT_RELAY_MESSAGE);
	wcursor_be16(w, (uint16_t)size_from(m, i + 1));
}

int dhcp6_encode(const struct dhcp6_message *m, void *out, size_t *ret_len)
{
	struct wcursor w;
	size_t size = size_from(m, 0);
	if (m->full || size > DHCP6_SIZE_MAX)
		return -EMSGSIZE;
	wcursor_init(&w, out, size);
	for (size_t i = 0; i < m->relay_count; i++)
		put_relay(&w, m, i);
	wcursor_be32(&w, (uint32_t)m->type << 24 | (m->xid & 0xffffff));
	for (size_t i = 0; i < m->option_count; i++)
		put_option(&w, m, &m->options[i]);
	*ret_len = size;
	return 0;
}

/* --- reading ---------------------------------------------------------------------------------- */

const uint8_t *dhcp6_get(const struct dhcp6_message *m, uint16_t code, size_t *ret_len)
{
	for (size_t i = 0; i < m->option_count; i++) {
		if (m->options[i].code != code)
			continue;
		*ret_len = m->options[i].len;
		return m->bytes + m->options[i].at;
	}
	return NULL;
}

bool dhcp6_has(const struct dhcp6_message *m, uint16_t code)
{
	size_t len;
	return dhcp6_get(m, code, &len);
}

bool dhcp6_asks(const struct dhcp6_message *m, uint16_t code)
{
	size_t len;
	const uint8_t *list = dhcp6_get(m, DHCP6_OPT_REQUEST, &len);
	for (size_t i = 0; list && i + 1 < len; i += 2)
		if ((list[i] << 8 | list[i + 1]) == code)
			return true;
	return false;
}

/* Classes stand one after the other, each behind its length (RFC 8415, 21.15 and 21.16). */
static bool has_class(const uint8_t *list, size_t list_len, const char *text, bool whole)
{
	struct cursor c;
	size_t want = strlen(text);
	cursor_init(&c, list, list_len);
	while (cursor_left(&c) > 0) {
		size_t len = cursor_be16(&c);
		const uint8_t *class = cursor_bytes(&c, len);
		if (!class)
			return false;
		if (len >= want && memcmp(class, text, want) == 0 && (!whole || len == want))
			return true;
	}
	return false;
}

/* One option for each enterprise. */
bool dhcp6_has_vendor_class(const struct dhcp6_message *m, const char *prefix)
{
	enum { ENTERPRISE_SIZE = 4 };
	for (size_t i = 0; i < m->option_count; i++) {
		const struct dhcp6_option *o = &m->options[i];
		if (o->code == DHCP6_OPT_VENDOR_CLASS && o->len >= ENTERPRISE_SIZE &&
		    has_class(m->bytes + o->at + ENTERPRISE_SIZE, o->len - ENTERPRISE_SIZE, prefix,
			      false))
			return true;
	}
	return false;
}

bool dhcp6_has_user_class(const struct dhcp6_message *m, const char *text)
{
	size_t len;
	const uint8_t *list = dhcp6_get(m, DHCP6_OPT_USER_CLASS, &len);
	return list && has_class(list, len, text, true);
}

static bool read_ia(const struct dhcp6_message *m, const struct dhcp6_option *o,
		    struct dhcp6_ia *ret)
{
	struct cursor c;
	struct dhcp6_ia ia = { .code = o->code };
	cursor_init(&c, m->bytes + o->at, o->len);
	ia.iaid = cursor_be32(&c);
	if (o->code != DHCP6_OPT_IA_TA) {
		ia.t1 = cursor_be32(&c);
		ia.t2 = cursor_be32(&c);
	}
	ia.len = cursor_left(&c);
	ia.options = cursor_bytes(&c, ia.len);
	if (!cursor_ok(&c))
		return false;
	*ret = ia;
	return true;
}

bool dhcp6_get_ia(const struct dhcp6_message *m, size_t n, struct dhcp6_ia *ret)
{
	for (size_t i = 0; i < m->option_count; i++) {
		uint16_t code = m->options[i].code;
		bool ia = code == DHCP6_OPT_IA_NA || code == DHCP6_OPT_IA_TA ||
			  code == DHCP6_OPT_IA_PD;
		if (ia && n-- == 0)
			return read_ia(m, &m->options[i], ret);
	}
	return false;
}

bool dhcp6_get_address(const struct dhcp6_ia *ia, size_t n, struct dhcp6_address *ret)
{
	struct cursor c;
	const uint8_t *value;
	size_t len;
	uint16_t code;
	cursor_init(&c, ia->options, ia->len);
	while (next_option(&c, &code, &value, &len)) {
		if (code != DHCP6_OPT_ADDRESS || n-- > 0)
			continue;
		cursor_init(&c, value, len);
		cursor_copy(&c, &ret->ip, sizeof(ret->ip));
		ret->preferred = cursor_be32(&c);
		ret->valid = cursor_be32(&c);
		return cursor_ok(&c);
	}
	return false;
}

static const uint8_t *find_in_ia(const struct dhcp6_ia *ia, uint16_t wanted, size_t *ret_len)
{
	struct cursor c;
	const uint8_t *value;
	uint16_t code;
	cursor_init(&c, ia->options, ia->len);
	while (next_option(&c, &code, &value, ret_len))
		if (code == wanted)
			return value;
	return NULL;
}

enum dhcp6_status dhcp6_get_status(const struct dhcp6_message *m, const struct dhcp6_ia *ia)
{
	size_t len;
	const uint8_t *value = ia ? find_in_ia(ia, DHCP6_OPT_STATUS, &len)
				  : dhcp6_get(m, DHCP6_OPT_STATUS, &len);
	if (!value)
		return DHCP6_SUCCESS;
	return len < 2 ? DHCP6_UNSPECIFIED_FAILURE : (enum dhcp6_status)(value[0] << 8 | value[1]);
}

bool dhcp6_duid_mac(const uint8_t *duid, size_t len, uint8_t ret[DHCP6_MAC_SIZE])
{
	struct cursor c;
	uint8_t mac[DHCP6_MAC_SIZE];
	cursor_init(&c, duid, len);
	uint16_t type = cursor_be16(&c), hardware = cursor_be16(&c);
	if (type == DUID_LLT)
		cursor_skip(&c, 4); /* when it was made */
	cursor_copy(&c, mac, sizeof(mac));
	if (!cursor_ok(&c) || cursor_left(&c) > 0 || hardware != HARDWARE_ETHERNET ||
	    (type != DUID_LLT && type != DUID_LL))
		return false;
	memcpy(ret, mac, sizeof(mac));
	return true;
}

bool dhcp6_address_mac(const struct in6_addr *address, uint8_t ret[DHCP6_MAC_SIZE])
{
	enum { UNIVERSAL = 0x02 };
	const uint8_t *id = address->s6_addr + 8;
	if (!IN6_IS_ADDR_LINKLOCAL(address) || id[3] != 0xff || id[4] != 0xfe)
		return false;
	const uint8_t mac[DHCP6_MAC_SIZE] = {
		id[0] ^ UNIVERSAL, id[1], id[2], id[5], id[6], id[7]
	};
	memcpy(ret, mac, sizeof(mac));
	return true;
}

bool dhcp6_get_link(const struct dhcp6_message *m, struct in6_addr *ret)
{
	for (size_t i = m->relay_count; i > 0; i--) {
		const struct in6_addr *link = &m->relays[i - 1].link;
		if (IN6_IS_ADDR_UNSPECIFIED(link))
			continue;
		*ret = *link;
		return true;
	}
	return false;
}

/* --- writing ---------------------------------------------------------------------------------- */

/* Room for a value, whose option is complete with it; none when the message is full. */
static void begin(struct dhcp6_message *m, uint16_t code, size_t len, struct wcursor *ret)
{
	wcursor_init(ret, NULL, 0);
	m->full |= m->option_count == DHCP6_OPTIONS_MAX || len > sizeof(m->bytes) - m->used;
	if (m->full)
		return;
	m->options[m->option_count++] = (struct dhcp6_option){ code, (uint16_t)m->used,
							       (uint16_t)len };
	wcursor_init(ret, m->bytes + m->used, len);
	m->used += len;
}

void dhcp6_add(struct dhcp6_message *m, uint16_t code, const void *data, size_t len)
{
	struct wcursor w;
	begin(m, code, len, &w);
	wcursor_bytes(&w, data, len);
}

void dhcp6_add_u8(struct dhcp6_message *m, uint16_t code, uint8_t v)
{
	dhcp6_add(m, code, &v, sizeof(v));
}

void dhcp6_add_u16(struct dhcp6_message *m, uint16_t code, uint16_t v)
{
	uint16_t wire = htons(v);
	dhcp6_add(m, code, &wire, sizeof(wire));
}

static size_t status_size(const char *text)
{
	return sizeof(uint16_t) + strlen(text);
}

static void put_status(struct wcursor *w, enum dhcp6_status status, const char *text)
{
	wcursor_be16(w, (uint16_t)status);
	wcursor_bytes(w, text, strlen(text));
}

void dhcp6_add_status(struct dhcp6_message *m, enum dhcp6_status status, const char *text)
{
	struct wcursor w;
	begin(m, DHCP6_OPT_STATUS, status_size(text), &w);
	put_status(&w, status, text);
}

static void put_address(struct wcursor *w, const struct dhcp6_address *address)
{
	wcursor_be16(w, DHCP6_OPT_ADDRESS);
	wcursor_be16(w, ADDRESS_SIZE);
	wcursor_bytes(w, &address->ip, sizeof(address->ip));
	wcursor_be32(w, address->preferred);
	wcursor_be32(w, address->valid);
}

void dhcp6_add_ia(struct dhcp6_message *m, const struct dhcp6_ia *ia,
		  const struct dhcp6_address *addresses, size_t count, enum dhcp6_status status,
		  const char *text)
{
	struct wcursor w;
	bool temporary = ia->code == DHCP6_OPT_IA_TA;
	size_t size = temporary ? IA_TA_HEADER : IA_HEADER;
	size += count * (OPTION_HEADER + ADDRESS_SIZE);
	size += status != DHCP6_SUCCESS ? OPTION_HEADER + status_size(text) : 0;
	begin(m, ia->code, size, &w);
	wcursor_be32(&w, ia->iaid);
	if (!temporary) {
		wcursor_be32(&w, ia->t1);
		wcursor_be32(&w, ia->t2);
	}
	for (size_t i = 0; i < count; i++)
		put_address(&w, &addresses[i]);
	if (status == DHCP6_SUCCESS)
		return;
	wcursor_be16(&w, DHCP6_OPT_STATUS);
	wcursor_be16(&w, (uint16_t)status_size(text));
	put_status(&w, status, text);
}

void dhcp6_add_vendor_class(struct dhcp6_message *m, uint32_t enterprise, const char *text)
{
	struct wcursor w;
	begin(m, DHCP6_OPT_VENDOR_CLASS, 6 + strlen(text), &w);
	wcursor_be32(&w, enterprise);
	wcursor_be16(&w, (uint16_t)strlen(text));
	wcursor_bytes(&w, text, strlen(text));
}

void dhcp6_add_user_class(struct dhcp6_message *m, const char *text)
{
	struct wcursor w;
	begin(m, DHCP6_OPT_USER_CLASS, 2 + strlen(text), &w);
	wcursor_be16(&w, (uint16_t)strlen(text));
	wcursor_bytes(&w, text, strlen(text));
}

int dhcp6_add_domain(struct dhcp6_message *m, const char *name)
{
	struct wcursor w;
	uint8_t wire[NAME_MAX_WIRE];
	wcursor_init(&w, wire, sizeof(wire));
	for (const char *p = name; *p;) {
		size_t len = strcspn(p, ".");
		if (len == 0 || len > LABEL_MAX)
			return -EINVAL;
		wcursor_u8(&w, (uint8_t)len);
		wcursor_bytes(&w, p, len);
		p += len + (p[len] == '.');
	}
	wcursor_u8(&w, 0);
	if (w.failed || w.pos == 1)
		return -EINVAL;
	dhcp6_add(m, DHCP6_OPT_DOMAINS, wire, w.pos);
	return 0;
}

void dhcp6_copy_relays(struct dhcp6_message *m, const struct dhcp6_message *from)
{
	memcpy(m->relays, from->relays, sizeof(m->relays));
	m->relay_count = from->relay_count;
	for (size_t i = 0; i < m->relay_count; i++) {
		struct dhcp6_option *id = &m->relays[i].interface_id;
		m->full |= id->len > sizeof(m->bytes) - m->used;
		if (!m->relays[i].has_interface_id || m->full)
			continue;
		*id = keep(m, id->code, from->bytes + id->at, id->len);
	}
}

void dhcp6_echo(struct dhcp6_message *m, const struct dhcp6_message *request, uint16_t code)
{
	size_t len;
	const uint8_t *value = dhcp6_get(request, code, &len);
	if (value)
		dhcp6_add(m, code, value, len);
}
