/* Prefixes (CIDR), arithmetic of ranges, hashes, and MAC addresses. Pure functions. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "net/net.h"

/* The address's bytes in network order. */
static uint8_t *bytes_of(struct net_addr *a, unsigned *ret_bits)
{
	bool v6 = net_family(a) == AF_INET6;
	*ret_bits = v6 ? 128 : 32;
	return v6 ? a->v6.sin6_addr.s6_addr : (uint8_t *)&a->v4.sin_addr;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	if (memcmp(a, b, bits / 8) != 0)
		return false;
	unsigned rest = bits % 8;
	return rest == 0 || (uint8_t)((a[bits / 8] ^ b[bits / 8]) >> (8 - rest)) == 0;
}

static bool host_bits_zero(const uint8_t *bytes, unsigned bits, unsigned total)
{
	for (unsigned i = bits; i < total; i++)
		if (bytes[i / 8] >> (7 - i % 8) & 1)
			return false;
	return true;
}

int net_parse_prefix(const char *text, struct net_prefix *ret)
{
	char ip[NET_IP_TEXT_MAX];
	size_t len = strcspn(text, "/");
	if (len >= sizeof(ip) || memchr(text, '%', len))
		return -EINVAL;
	memcpy(ip, text, len);
	ip[len] = '\0';
	struct net_prefix p = { 0 };
	if (net_parse_ip(ip, &p.addr) < 0)
		return -EINVAL;
	unsigned total;
	const uint8_t *bytes = bytes_of(&p.addr, &total);
	uint64_t bits = total;
	if (text[len] == '/' && parse_u64(text + len + 1, total, &bits) < 0)
		return -EINVAL;
	if (!host_bits_zero(bytes, (unsigned)bits, total))
		return -EINVAL;
	p.bits = (unsigned)bits;
	*ret = p;
	return 0;
}

char *net_format_prefix(const struct net_prefix *p, char buf[NET_PREFIX_TEXT_MAX])
{
	char ip[NET_IP_TEXT_MAX];
	snprintf(buf, NET_PREFIX_TEXT_MAX, "%s/%u", net_format_ip(&p->addr, ip), p->bits);
	return buf;
}

bool net_prefix_contains(const struct net_prefix *p, const struct net_addr *a)
{
	struct net_addr prefix = p->addr;
	struct net_addr plain = net_family(&prefix) == AF_INET ? net_unmap(a) : *a;
	if (net_family(&prefix) != net_family(&plain) || net_family(&plain) == AF_UNSPEC)
		return false;
	unsigned total;
	const uint8_t *want = bytes_of(&prefix, &total), *have = bytes_of(&plain, &total);
	return same_bits(want, have, p->bits);
}

bool net_prefix_overlaps(const struct net_prefix *a, const struct net_prefix *b)
{
	return a->bits < b->bits ? net_prefix_contains(a, &b->addr)
				 : net_prefix_contains(b, &a->addr);
}

unsigned net_bits(int family)
{
	return family == AF_INET ? 32 : family == AF_INET6 ? 128 : 0;
}

/* Sets the bits behind the prefix. */
static void set_host_bits(struct net_addr *a, unsigned bits, bool value)
{
	unsigned total;
	uint8_t *bytes = bytes_of(a, &total);
	for (unsigned i = bits; i < total; i++) {
		uint8_t bit = (uint8_t)(0x80 >> i % 8);
		bytes[i / 8] = value ? bytes[i / 8] | bit : bytes[i / 8] & (uint8_t)~bit;
	}
}

struct net_prefix net_prefix_of(const struct net_addr *a, unsigned bits)
{
	struct net_prefix p = { .addr = *a, .bits = bits };
	net_set_port(&p.addr, 0);
	set_host_bits(&p.addr, bits, false);
	return p;
}

struct net_addr net_prefix_last(const struct net_prefix *p)
{
	struct net_addr last = p->addr;
	set_host_bits(&last, p->bits, true);
	return last;
}

/* --- ranges and hashes ------------------------------------------------------------------------ */

struct net_addr net_add(const struct net_addr *a, uint64_t n)
{
	struct net_addr sum = *a;
	unsigned total;
	uint8_t *bytes = bytes_of(&sum, &total);
	for (unsigned i = total / 8; i-- > 0 && n;) {
		uint64_t low = (n & 0xff) + bytes[i];
		bytes[i] = (uint8_t)low;
		n = (n >> 8) + (low >> 8);
	}
	return sum;
}

/* What is above the lowest 64 bits must come out as 0, and no borrow be left. */
bool net_distance(const struct net_addr *from, const struct net_addr *to, uint64_t *ret)
{
	struct net_addr a = *from, b = *to;
	uint64_t low = 0;
	int borrow = 0;
	unsigned total, other;
	const uint8_t *start = bytes_of(&a, &total), *end = bytes_of(&b, &other);
	if (!net_is_set(from) || net_family(from) != net_family(to))
		return false;
	for (unsigned i = total / 8, shift = 0; i-- > 0; shift += 8) {
		int byte = end[i] - start[i] - borrow;
		borrow = byte < 0;
		if (shift < 64)
			low |= (uint64_t)(byte & 0xff) << shift;
		else if (byte & 0xff)
			return false;
	}
	if (borrow)
		return false;
	*ret = low;
	return true;
}

static uint32_t hash(const uint8_t *bytes, size_t len)
{
	uint32_t h = 2166136261u; /* FNV-1a */
	for (size_t i = 0; i < len; i++)
		h = (h ^ bytes[i]) * 16777619u;
	return h;
}

uint32_t net_hash_ip(const struct net_addr *a)
{
	struct net_addr copy = *a;
	unsigned total;
	const uint8_t *bytes = bytes_of(&copy, &total);
	return net_is_set(a) ? hash(bytes, total / 8) : 0;
}

uint32_t net_mac_hash(const struct net_mac *mac)
{
	return hash(mac->bytes, sizeof(mac->bytes));
}

/* --- MAC addresses ---------------------------------------------------------------------------- */

int net_parse_mac(const char *text, struct net_mac *ret)
{
	struct net_mac mac;
	if (strlen(text) != NET_MAC_TEXT_SIZE - 1)
		return -EINVAL;
	for (unsigned i = 0; i < sizeof(mac.bytes); i++) {
		char pair[3] = { text[3 * i], text[3 * i + 1] };
		if (i < 5 && text[3 * i + 2] != ':')
			return -EINVAL;
		if (hex_decode(pair, &mac.bytes[i], 1) < 0)
			return -EINVAL;
	}
	*ret = mac;
	return 0;
}

char *net_format_mac(const struct net_mac *mac, char buf[NET_MAC_TEXT_SIZE])
{
	const uint8_t *b = mac->bytes;
	snprintf(buf, NET_MAC_TEXT_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3],
		 b[4], b[5]);
	return buf;
}

bool net_mac_equal(const struct net_mac *a, const struct net_mac *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool net_mac_is_multicast(const struct net_mac *mac)
{
	return mac->bytes[0] & 1;
}
