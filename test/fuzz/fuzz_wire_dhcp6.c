/* What decodes must encode again, to the same bytes but for relays' options that are not kept, and
 * an answer to it must be encoded or refused, never half. */

#include <stdlib.h>
#include <string.h>

#include "wire/dhcp6.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same_options(const struct dhcp6_message *a, const struct dhcp6_message *b)
{
	if (a->option_count != b->option_count || a->relay_count != b->relay_count ||
	    a->type != b->type || a->xid != b->xid)
		abort();
	for (size_t i = 0; i < a->option_count; i++) {
		const struct dhcp6_option *x = &a->options[i], *y = &b->options[i];
		if (x->code != y->code || x->len != y->len ||
		    memcmp(a->bytes + x->at, b->bytes + y->at, x->len) != 0)
			abort();
	}
}

static void read_all(const struct dhcp6_message *m)
{
	struct dhcp6_ia ia;
	struct dhcp6_address address;
	uint8_t mac[DHCP6_MAC_SIZE];
	struct in6_addr link;
	size_t len;
	const uint8_t *duid = dhcp6_get(m, DHCP6_OPT_CLIENT_ID, &len);
	(void)dhcp6_type_name(m->type);
	(void)dhcp6_asks(m, DHCP6_OPT_BOOT_FILE_URL);
	(void)dhcp6_has_vendor_class(m, "PXEClient");
	(void)dhcp6_has_user_class(m, "iPXE");
	(void)dhcp6_get_status(m, NULL);
	(void)dhcp6_get_link(m, &link);
	if (duid)
		(void)dhcp6_duid_mac(duid, len, mac);
	for (size_t n = 0; dhcp6_get_ia(m, n, &ia); n++) {
		(void)dhcp6_get_status(m, &ia);
		for (size_t a = 0; dhcp6_get_address(&ia, a, &address); a++)
			;
	}
}

/* As a server does it: much that the peer chose is copied. */
static void answer(const struct dhcp6_message *m)
{
	struct dhcp6_message reply = { .type = DHCP6_REPLY, .xid = m->xid }, back;
	struct dhcp6_ia ia;
	uint8_t out[DHCP6_SIZE_MAX];
	size_t len;
	dhcp6_copy_relays(&reply, m);
	dhcp6_echo(&reply, m, DHCP6_OPT_CLIENT_ID);
	for (size_t n = 0; dhcp6_get_ia(m, n, &ia); n++)
		dhcp6_add_ia(&reply, &ia, NULL, 0, DHCP6_NO_ADDRESSES, "this host has one address");
	if (dhcp6_encode(&reply, out, &len) < 0)
		return;
	if (len > sizeof(out) || dhcp6_decode(out, len, &back) < 0)
		abort();
	same_options(&reply, &back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dhcp6_message m, back;
	uint8_t out[DHCP6_SIZE_MAX];
	size_t len;
	if (dhcp6_decode(data, size, &m) < 0)
		return 0;
	read_all(&m);
	if (dhcp6_encode(&m, out, &len) < 0 || len > size || dhcp6_decode(out, len, &back) < 0)
		abort();
	same_options(&m, &back);
	answer(&m);
	return 0;
}
