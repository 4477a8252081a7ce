/* DHCPv4 messages, by RFC 2131 (layout), RFC 2132 (options and overload) and RFC 3396 (values over
 * 255 bytes, split over several options and fields). Decoding walks the option fields twice: once
 * to learn how long each value is in all, once to copy the pieces to where they belong, so that
 * every value is contiguous and the sum is bounded by the message. Pure. */

#include "wire/dhcp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/str.h"

enum {
	MAGIC = 0x63825363,
	OVERLOAD_FILE = 1,
	OVERLOAD_SNAME = 2,
	OVERLOAD_SIZE = 3, /* of the option that announces it */
};

static const char *const type_names[] = {
	[DHCP_DISCOVER] = "DISCOVER", [DHCP_OFFER] = "OFFER",	[DHCP_REQUEST] = "REQUEST",
	[DHCP_DECLINE] = "DECLINE",   [DHCP_ACK] = "ACK",	[DHCP_NAK] = "NAK",
	[DHCP_RELEASE] = "RELEASE",   [DHCP_INFORM] = "INFORM",
};

static size_t clamp(size_t v, size_t low, size_t high)
{
	return v < low ? low : v > high ? high : v;
}

const char *dhcp_type_name(enum dhcp_type type)
{
	return (size_t)type < ARRAY_SIZE(type_names) && type_names[type] ? type_names[type] : "?";
}

/* --- decoding --------------------------------------------------------------------------------- */

/* One option field: adds up lengths, or (fill) copies values to slot.at, which moves along. It ends
 * with its END, or where it is cut off, also within an option: relays and firmware do that, and
 * other servers take what came before. */
static void walk(struct cursor c, struct dhcp_options *o, bool fill, uint8_t *overload)
{
	while (cursor_left(&c) > 0) {
		uint8_t code = cursor_u8(&c);
		if (code == DHCP_OPT_PAD)
			continue;
		if (code == DHCP_OPT_END)
			return;
		uint8_t len = cursor_u8(&c);
		const uint8_t *value = cursor_bytes(&c, len);
		if (!cursor_ok(&c))
			return;
		o->slots[code].present = true;
		if (code == DHCP_OPT_OVERLOAD && overload && len == 1)
			*overload = value[0];
		if (!fill) {
			o->slots[code].len = (uint16_t)(o->slots[code].len + len);
			continue;
		}
		memcpy(o->bytes + o->slots[code].at, value, len);
		o->slots[code].at = (uint16_t)(o->slots[code].at + len);
	}
}

/* Each value gets its place, one behind another; their sum is bounded by the message's own size. */
static void lay_out(struct dhcp_options *o)
{
	for (size_t i = 0; i < ARRAY_SIZE(o->slots); i++) {
		o->slots[i].at = (uint16_t)o->used;
		o->used += o->slots[i].len;
	}
}

static void decode_options(struct cursor main, const uint8_t *file, const uint8_t *sname,
			   struct dhcp_options *o, uint8_t *ret_overload)
{
	uint8_t overload = 0;
	struct cursor fields[3] = { main }; /* in the order of RFC 3396, section 5 */
	walk(main, o, false, &overload);
	if (overload & OVERLOAD_FILE)
		cursor_init(&fields[1], file, DHCP_FILE_SIZE);
	if (overload & OVERLOAD_SNAME)
		cursor_init(&fields[2], sname, DHCP_SNAME_SIZE);
	for (size_t i = 1; i < ARRAY_SIZE(fields); i++)
		walk(fields[i], o, false, NULL);
	lay_out(o);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		walk(fields[i], o, true, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(o->slots); i++)
		o->slots[i].at = (uint16_t)(o->slots[i].at - o->slots[i].len);
	*ret_overload = overload;
}

static void read_address(struct cursor *c, struct in_addr *a)
{
	cursor_copy(c, &a->s_addr, sizeof(a->s_addr));
}

/* Full fields have no NUL (RFC 2131, figure 1, does not ask for one). */
static void read_text(const uint8_t *field, size_t len, char *out)
{
	const uint8_t *nul = memchr(field, 0, len);
	size_t n = nul ? (size_t)(nul - field) : len;
	memcpy(out, field, n);
	out[n] = '\0';
}

static int decode_header(struct cursor *c, struct dhcp_message *m, const uint8_t **sname,
			 const uint8_t **file)
{
	m->op = cursor_u8(c);
	m->htype = cursor_u8(c);
	m->hlen = cursor_u8(c);
	m->hops = cursor_u8(c);
	m->xid = cursor_be32(c);
	m->secs = cursor_be16(c);
	m->flags = cursor_be16(c);
	read_address(c, &m->ciaddr);
	read_address(c, &m->yiaddr);
	read_address(c, &m->siaddr);
	read_address(c, &m->giaddr);
	cursor_copy(c, m->chaddr, sizeof(m->chaddr));
	*sname = cursor_bytes(c, DHCP_SNAME_SIZE);
	*file = cursor_bytes(c, DHCP_FILE_SIZE);
	uint32_t magic = cursor_be32(c);
	if (!cursor_ok(c) || magic != MAGIC || m->hlen > DHCP_CHADDR_SIZE ||
	    (m->op != DHCP_OP_REQUEST && m->op != DHCP_OP_REPLY))
		return -EBADMSG;
	return 0;
}

int dhcp_decode(const void *data, size_t len, struct dhcp_message *ret)
{
	if (len > DHCP_SIZE_MAX)
		return -EMSGSIZE;
	struct dhcp_message m = { 0 };
	struct cursor c;
	const uint8_t *sname, *file;
	uint8_t overload, type;
	cursor_init(&c, data, len);
	int r = decode_header(&c, &m, &sname, &file);
	if (r < 0)
		return r;
	decode_options(c, file, sname, &m.options, &overload);
	if (!dhcp_get_u8(&m, DHCP_OPT_TYPE, &type) || type < DHCP_DISCOVER || type > DHCP_INFORM)
		return -EBADMSG;
	/* What was read as options is no text as well. */
	if (!(overload & OVERLOAD_FILE))
		read_text(file, DHCP_FILE_SIZE, m.file);
	if (!(overload & OVERLOAD_SNAME))
		read_text(sname, DHCP_SNAME_SIZE, m.sname);
	*ret = m;
	return 0;
}

/* --- encoding --------------------------------------------------------------------------------- */

/* Where options may go; `file` and `sname` have no room when their text is in use. */
struct areas {
	struct wcursor main, file, sname;
};

static void put_piece(struct wcursor *w, uint8_t code, const uint8_t *value, size_t len)
{
	wcursor_u8(w, code);
	wcursor_u8(w, (uint8_t)len);
	wcursor_bytes(w, value, len);
}

static size_t piece_room(const struct wcursor *w)
{
	size_t room = w->cap - w->pos;
	return room < 3 ? 0 : clamp(room - 2, 0, UINT8_MAX);
}

/* Over what is left of each area; -EMSGSIZE when that is not enough. */
static int split_option(struct wcursor *const areas[], size_t count, uint8_t code,
			const uint8_t *value, size_t len)
{
	for (size_t i = 0; i < count; i++) {
		while (len > 0 && piece_room(areas[i]) > 0) {
			size_t n = MIN(len, piece_room(areas[i]));
			put_piece(areas[i], code, value, n);
			value += n;
			len -= n;
		}
	}
	return len > 0 ? -EMSGSIZE : 0;
}

/* Whole where that is possible: few clients put split values together. */
static int put_option(struct areas *a, uint8_t code, const uint8_t *value, size_t len)
{
	struct wcursor *const order[] = { &a->main, &a->file, &a->sname };
	for (size_t i = 0; len <= UINT8_MAX && i < ARRAY_SIZE(order); i++) {
		if (order[i]->cap - order[i]->pos < len + 2)
			continue;
		put_piece(order[i], code, value, len);
		return 0;
	}
	return len == 0 ? -EMSGSIZE : split_option(order, ARRAY_SIZE(order), code, value, len);
}

static int put_slot(struct areas *a, const struct dhcp_options *o, uint8_t code)
{
	if (!o->slots[code].present)
		return 0;
	return put_option(a, code, o->bytes + o->slots[code].at, o->slots[code].len);
}

/* Option 82 last, as RFC 3046 section 2.2 asks. */
static int put_options(struct areas *a, const struct dhcp_options *o)
{
	int r = put_slot(a, o, DHCP_OPT_TYPE);
	if (r == 0)
		r = put_slot(a, o, DHCP_OPT_SERVER);
	for (unsigned code = 1; r == 0 && code < DHCP_OPT_END; code++)
		if (code != DHCP_OPT_TYPE && code != DHCP_OPT_SERVER && code != DHCP_OPT_RELAY &&
		    code != DHCP_OPT_OVERLOAD)
			r = put_slot(a, o, (uint8_t)code);
	return r == 0 ? put_slot(a, o, DHCP_OPT_RELAY) : r;
}

/* Ends the fields that hold options, and says in the main one which these are. */
static void put_overload(struct areas *a)
{
	uint8_t overload = (uint8_t)((a->file.pos ? OVERLOAD_FILE : 0) |
				     (a->sname.pos ? OVERLOAD_SNAME : 0));
	a->main.cap += OVERLOAD_SIZE + 1; /* what encode_options held back */
	a->file.cap += a->file.pos ? 1 : 0;
	a->sname.cap += a->sname.pos ? 1 : 0;
	if (overload)
		put_piece(&a->main, DHCP_OPT_OVERLOAD, &overload, 1);
	wcursor_u8(&a->main, DHCP_OPT_END);
	if (a->file.pos)
		wcursor_u8(&a->file, DHCP_OPT_END);
	if (a->sname.pos)
		wcursor_u8(&a->sname, DHCP_OPT_END);
}

static int encode_options(const struct dhcp_message *m, size_t max, uint8_t *packet,
			  size_t *ret_len)
{
	struct areas a;
	uint8_t *sname = packet + 44, *file = sname + DHCP_SNAME_SIZE;
	wcursor_init(&a.main, packet + DHCP_HEADER_SIZE,
		     max - DHCP_HEADER_SIZE - OVERLOAD_SIZE - 1);
	wcursor_init(&a.file, file, str_empty(m->file) ? DHCP_FILE_SIZE - 1 : 0);
	wcursor_init(&a.sname, sname, str_empty(m->sname) ? DHCP_SNAME_SIZE - 1 : 0);
	int r = put_options(&a, &m->options);
	if (r < 0)
		return r;
	put_overload(&a);
	*ret_len = MAX(DHCP_HEADER_SIZE + a.main.pos, (size_t)DHCP_SIZE_MIN);
	return 0;
}

static void encode_header(const struct dhcp_message *m, uint8_t *packet)
{
	struct wcursor w;
	wcursor_init(&w, packet, DHCP_HEADER_SIZE);
	wcursor_u8(&w, m->op);
	wcursor_u8(&w, m->htype);
	wcursor_u8(&w, m->hlen);
	wcursor_u8(&w, m->hops);
	wcursor_be32(&w, m->xid);
	wcursor_be16(&w, m->secs);
	wcursor_be16(&w, m->flags);
	const struct in_addr *const addresses[] = { &m->ciaddr, &m->yiaddr, &m->siaddr,
						    &m->giaddr };
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
		wcursor_bytes(&w, &addresses[i]->s_addr, 4);
	wcursor_bytes(&w, m->chaddr, sizeof(m->chaddr));
	wcursor_bytes(&w, m->sname, DHCP_SNAME_SIZE);
	wcursor_bytes(&w, m->file, DHCP_FILE_SIZE);
	wcursor_be32(&w, MAGIC);
}

int dhcp_encode(const struct dhcp_message *m, size_t max, void *out, size_t *ret_len)
{
	/* In a buffer of our own: the caller's stays untouched when it does not fit. */
	uint8_t packet[DHCP_SIZE_MAX] = { 0 };
	/* RFC 2131, section 2: a client takes at least that much, whatever it says. */
	max = clamp(max, DHCP_SIZE_DEFAULT, sizeof(packet));
	encode_header(m, packet);
	int r = encode_options(m, max, packet, ret_len);
	if (r == 0)
		memcpy(out, packet, *ret_len);
	return r;
}

/* --- options ---------------------------------------------------------------------------------- */

bool dhcp_has(const struct dhcp_message *m, uint8_t code)
{
	return m->options.slots[code].present;
}

const uint8_t *dhcp_get(const struct dhcp_message *m, uint8_t code, size_t *ret_len)
{
	if (!dhcp_has(m, code))
		return NULL;
	*ret_len = m->options.slots[code].len;
	return m->options.bytes + m->options.slots[code].at;
}

/* A value of another length than its RFC says counts as absent: its meaning is unknown. */
static bool get_fixed(const struct dhcp_message *m, uint8_t code, size_t size, void *out)
{
	size_t len;
	const uint8_t *value = dhcp_get(m, code, &len);
	if (!value || len != size)
		return false;
	memcpy(out, value, size);
	return true;
}

bool dhcp_get_u8(const struct dhcp_message *m, uint8_t code, uint8_t *ret)
{
	return get_fixed(m, code, sizeof(*ret), ret);
}

bool dhcp_get_u16(const struct dhcp_message *m, uint8_t code, uint16_t *ret)
{
	uint16_t wire;
	if (!get_fixed(m, code, sizeof(wire), &wire))
		return false;
	*ret = ntohs(wire);
	return true;
}

bool dhcp_get_u32(const struct dhcp_message *m, uint8_t code, uint32_t *ret)
{
	uint32_t wire;
	if (!get_fixed(m, code, sizeof(wire), &wire))
		return false;
	*ret = ntohl(wire);
	return true;
}

bool dhcp_get_address(const struct dhcp_message *m, uint8_t code, struct in_addr *ret)
{
	return get_fixed(m, code, sizeof(ret->s_addr), &ret->s_addr);
}

bool dhcp_has_prefix(const struct dhcp_message *m, uint8_t code, const char *prefix)
{
	size_t len, want = strlen(prefix);
	const uint8_t *value = dhcp_get(m, code, &len);
	return value && len >= want && memcmp(value, prefix, want) == 0;
}

bool dhcp_get_relay_address(const struct dhcp_message *m, enum dhcp_relay_option code,
			    struct in_addr *ret)
{
	size_t len;
	struct cursor c;
	const uint8_t *value = dhcp_get(m, DHCP_OPT_RELAY, &len);
	if (!value || m->giaddr.s_addr == 0)
		return false;
	cursor_init(&c, value, len);
	while (cursor_left(&c) > 0) {
		uint8_t sub = cursor_u8(&c), size = cursor_u8(&c);
		const uint8_t *address = cursor_bytes(&c, size);
		if (!cursor_ok(&c))
			return false;
		if (sub != code)
			continue;
		if (size != sizeof(ret->s_addr))
			return false;
		memcpy(&ret->s_addr, address, size);
		return true;
	}
	return false;
}

enum dhcp_type dhcp_type(const struct dhcp_message *m)
{
	uint8_t type = 0;
	(void)dhcp_get_u8(m, DHCP_OPT_TYPE, &type);
	return (enum dhcp_type)type;
}

size_t dhcp_reply_max(const struct dhcp_message *request)
{
	uint16_t size;
	if (!dhcp_get_u16(request, DHCP_OPT_MAX_SIZE, &size))
		return DHCP_SIZE_DEFAULT;
	size_t max = size > DHCP_HEADERS_BELOW ? (size_t)size - DHCP_HEADERS_BELOW : 0;
	/* Ethernet's frame is the upper bound: fragments would be lost on the way to firmware. */
	return clamp(max, DHCP_SIZE_DEFAULT, DHCP_SIZE_MAX - DHCP_HEADERS_BELOW);
}

void dhcp_set(struct dhcp_message *m, uint8_t code, const void *data, size_t len)
{
	struct dhcp_options *o = &m->options;
	if (o->slots[code].present || len > sizeof(o->bytes) - o->used)
		abort();
	o->slots[code].present = true;
	o->slots[code].at = (uint16_t)o->used;
	o->slots[code].len = (uint16_t)len;
	if (len > 0)
		memcpy(o->bytes + o->used, data, len);
	o->used += len;
}

void dhcp_set_u8(struct dhcp_message *m, uint8_t code, uint8_t v)
{
	dhcp_set(m, code, &v, sizeof(v));
}

void dhcp_set_u32(struct dhcp_message *m, uint8_t code, uint32_t v)
{
	uint32_t wire = htonl(v);
	dhcp_set(m, code, &wire, sizeof(wire));
}

void dhcp_set_address(struct dhcp_message *m, uint8_t code, struct in_addr v)
{
	dhcp_set(m, code, &v.s_addr, sizeof(v.s_addr));
}

void dhcp_set_text(struct dhcp_message *m, uint8_t code, const char *text)
{
	dhcp_set(m, code, text, strlen(text) + 1);
}

void dhcp_echo(struct dhcp_message *m, const struct dhcp_message *request, uint8_t code)
{
	size_t len;
	const uint8_t *value = dhcp_get(request, code, &len);
	if (value)
		dhcp_set(m, code, value, len);
}
