/* What decodes must encode again (when it fits) and then decode to the same options. */

#include <stdlib.h>
#include <string.h>

#include "wire/dhcp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same_option(const struct dhcp_message *a, const struct dhcp_message *b, uint8_t code)
{
	size_t a_len = 0, b_len = 0;
	const uint8_t *x = dhcp_get(a, code, &a_len), *y = dhcp_get(b, code, &b_len);
	if (!x != !y || a_len != b_len || (x && memcmp(x, y, a_len) != 0))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dhcp_message m, back;
	uint8_t out[DHCP_SIZE_MAX];
	size_t len;
	if (dhcp_decode(data, size, &m) < 0)
		return 0;
	(void)dhcp_type_name(dhcp_type(&m));
	struct in_addr link;
	if (dhcp_get_relay_address(&m, DHCP_RELAY_LINK, &link) && m.giaddr.s_addr == 0)
		abort();
	if (dhcp_encode(&m, dhcp_reply_max(&m), out, &len) < 0)
		return 0;
	if (len > sizeof(out) || dhcp_decode(out, len, &back) < 0)
		abort();
	for (unsigned code = 1; code < DHCP_OPT_END; code++)
		if (code != DHCP_OPT_OVERLOAD)
			same_option(&m, &back, (uint8_t)code);
	if (strcmp(m.file, back.file) != 0 || strcmp(m.sname, back.sname) != 0 || m.xid != back.xid)
		abort();
	return 0;
}
