/* Answers of any server: the client ends in a state that it can go on from, and a lease holds an
 * address and a name that may stand in a file. The message is put behind the identifiers that make
 * it ours. The first byte says how far the client has come. */

#include <stdlib.h>
#include <string.h>

#include "agent/dhcp6_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
	struct dhcp6_message sent;
};

static bool on_send(void *data, const void *message, size_t len)
{
	struct world *w = data;
	if (dhcp6_decode(message, len, &w->sent) < 0)
		abort();
	return true;
}

static void on_changed(void *data, const struct dhcp6_lease *lease)
{
	(void)data;
	if (!lease)
		return;
	if (!net_is_set(&lease->address) || lease->dns_count > DHCP6_CLIENT_DNS_MAX ||
	    strlen(lease->domain) >= sizeof(lease->domain))
		abort();
	for (const char *p = lease->domain; *p; p++)
		if (*p <= ' ' || strchr("$`'\"\\;&|<>(){}", *p))
			abort();
}

static void stop(void *data)
{
	loop_stop(data);
}

static void pass(struct loop *loop, usec_t time)
{
	struct timer t;
	timer_init(&t, loop, "fuzz", stop, loop);
	timer_set_in(&t, time);
	loop_run(loop);
	timer_stop(&t);
}

static void deliver(struct world *w, struct dhcp6_client *c, uint8_t type, const uint8_t *rest,
		    size_t len)
{
	static const uint8_t server[] = { 0, 3, 0, 1, 1, 1, 1, 1, 1, 1 };
	struct dhcp6_message m = { .type = (enum dhcp6_type)(type % 13 + 1), .xid = w->sent.xid };
	uint8_t packet[DHCP6_SIZE_MAX];
	size_t size;
	dhcp6_echo(&m, &w->sent, DHCP6_OPT_CLIENT_ID);
	dhcp6_add(&m, DHCP6_OPT_SERVER_ID, server, sizeof(server));
	if (dhcp6_encode(&m, packet, &size) < 0 || len > sizeof(packet) - size)
		return;
	memcpy(packet + size, rest, len);
	dhcp6_client_take(c, packet, size + len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = { .sent = { .xid = 0 } };
	struct loop *loop = loop_new_virtual(1, 0);
	const struct dhcp6_client_options o = { .loop = loop,
						.mac = { { 0x52, 0x54, 0, 0x77, 0, 1 } },
						.send = on_send,
						.changed = on_changed,
						.data = &w };
	struct dhcp6_client *c = dhcp6_client_new(&o);
	dhcp6_client_kick(c);
	/* Messages behind each other: type, minutes until then, length, options. */
	while (size >= 3) {
		size_t len = data[2] < size - 3 ? data[2] : size - 3;
		pass(loop, data[1] * USEC_PER_MIN);
		deliver(&w, c, data[0], data + 3, len);
		if (data[0] & 0x80)
			dhcp6_client_decline(c);
		data += 3 + len;
		size -= 3 + len;
	}
	pass(loop, 100 * USEC_PER_MIN);
	dhcp6_client_free(c);
	loop_free(loop);
	return 0;
}
