/* The ramdisk's DHCPv6 client: its protocol on a virtual clock, and on a NIC against dnsmasq. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "agent/dhcp6_client.h"
#include "agent/dhcp6_nic.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "unit/boot/netns.h"
#include "wire/dhcp6.h"

static const uint8_t server_one[] = { 0, 3, 0, 1, 1, 1, 1, 1, 1, 1 };
static const uint8_t server_two[] = { 0, 3, 0, 1, 2, 2, 2, 2, 2, 2 };

struct world {
	struct loop *loop;
	struct dhcp6_client *client;
	bool blocked;		   /* nothing can be sent */
	struct dhcp6_message sent; /* the newest */
	unsigned count;
	usec_t sent_at;
	struct dhcp6_lease lease;
	unsigned changes, losses;
};

static bool on_send(void *data, const void *message, size_t len)
{
	struct world *w = data;
	if (w->blocked)
		return false;
	assert_int_equal(dhcp6_decode(message, len, &w->sent), 0);
	w->count++;
	w->sent_at = loop_now(w->loop);
	return true;
}

static void on_changed(void *data, const struct dhcp6_lease *lease)
{
	struct world *w = data;
	w->changes++;
	w->losses += !lease;
	if (lease)
		w->lease = *lease;
}

static int set_up(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	w->loop = loop_new_virtual(7, 0);
	const struct dhcp6_client_options o = { .loop = w->loop,
						.mac = { { 0x52, 0x54, 0, 0x77, 0, 1 } },
						.send = on_send,
						.changed = on_changed,
						.data = w };
	w->client = dhcp6_client_new(&o);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	dhcp6_client_free(w->client);
	loop_free(w->loop);
	free(w);
	return 0;
}

static void stop(void *data)
{
	loop_stop(data);
}

static void advance(struct world *w, usec_t time)
{
	struct timer t;
	timer_init(&t, w->loop, "test", stop, w->loop);
	timer_set_in(&t, time);
	loop_run(w->loop);
	timer_stop(&t);
}

/* --- the server ------------------------------------------------------------------------------- */

struct answer {
	enum dhcp6_type type;
	const uint8_t *server;
	const char *address; /* NULL: none */
	uint32_t t1, t2, preferred, valid;
	enum dhcp6_status status; /* of the association */
	int preference;		  /* -1: none */
	bool rapid, other_iaid;
};

static void answer(struct world *w, const struct answer *a)
{
	struct dhcp6_message m = { .type = a->type, .xid = w->sent.xid };
	struct dhcp6_ia ia;
	struct dhcp6_address address = { .preferred = a->preferred, .valid = a->valid };
	uint8_t packet[DHCP6_SIZE_MAX];
	size_t len;
	assert_true(dhcp6_get_ia(&w->sent, 0, &ia));
	ia.t1 = a->t1;
	ia.t2 = a->t2;
	ia.iaid += a->other_iaid;
	dhcp6_echo(&m, &w->sent, DHCP6_OPT_CLIENT_ID);
	dhcp6_add(&m, DHCP6_OPT_SERVER_ID, a->server, sizeof(server_one));
	if (a->address)
		assert_int_equal(inet_pton(AF_INET6, a->address, &address.ip), 1);
	dhcp6_add_ia(&m, &ia, &address, a->address != NULL, a->status, "");
	if (a->preference >= 0)
		dhcp6_add_u8(&m, DHCP6_OPT_PREFERENCE, (uint8_t)a->preference);
	if (a->rapid)
		dhcp6_add(&m, DHCP6_OPT_RAPID_COMMIT, NULL, 0);
	assert_int_equal(dhcp6_encode(&m, packet, &len), 0);
	dhcp6_client_take(w->client, packet, len);
}

static const struct answer lease = { DHCP6_REPLY, server_one, "fd77::50", 1800,	 2880, 3600,
				     3600,	  0,	      -1,	  false, false };

static void bind_it(struct world *w)
{
	struct answer a = lease;
	dhcp6_client_kick(w->client);
	a.rapid = true;
	answer(w, &a);
	assert_int_equal(w->changes, 1);
}

static void assert_sent(const struct world *w, enum dhcp6_type type, const uint8_t *server,
			const char *address)
{
	struct dhcp6_ia ia;
	struct dhcp6_address a;
	struct net_mac mac;
	size_t len;
	const uint8_t *id = dhcp6_get(&w->sent, DHCP6_OPT_CLIENT_ID, &len);
	assert_int_equal(w->sent.type, type);
	assert_true(id && dhcp6_duid_mac(id, len, mac.bytes));
	id = dhcp6_get(&w->sent, DHCP6_OPT_SERVER_ID, &len);
	assert_int_equal(id != NULL, server != NULL);
	if (server)
		assert_memory_equal(id, server, sizeof(server_one));
	assert_true(dhcp6_get_ia(&w->sent, 0, &ia));
	assert_int_equal(dhcp6_get_address(&ia, 0, &a), address != NULL);
	char text[INET6_ADDRSTRLEN];
	if (address)
		assert_string_equal(inet_ntop(AF_INET6, &a.ip, text, sizeof(text)), address);
}

/* --- getting a lease -------------------------------------------------------------------------- */

static void test_rapid(void **state)
{
	struct world *w = *state;
	char ip[NET_IP_TEXT_MAX];
	bind_it(w);
	assert_int_equal(w->count, 1);
	assert_string_equal(net_format_ip(&w->lease.address, ip), "fd77::50");
	assert_int_equal(w->lease.valid, 3600);
	/* A reply that nobody asked for changes nothing. */
	answer(w, &lease);
	assert_int_equal(w->changes, 1);
}

static void test_offer_and_request(void **state)
{
	struct world *w = *state;
	struct answer a = lease;
	dhcp6_client_kick(w->client);
	assert_sent(w, DHCP6_SOLICIT, NULL, NULL);
	/* A lease without "rapid commit" was not asked for. */
	answer(w, &lease);
	assert_int_equal(w->changes, 0);
	a.type = DHCP6_ADVERTISE;
	a.preference = 255;
	answer(w, &a);
	assert_sent(w, DHCP6_REQUEST, server_one, "fd77::50");
	answer(w, &lease);
	assert_int_equal(w->changes, 1);
	assert_int_equal(loop_now(w->loop), w->sent_at);
}

/* Offers of a second's time; the better one wins, one without an address is none. */
static void test_best_offer(void **state)
{
	struct world *w = *state;
	struct answer a = lease;
	dhcp6_client_kick(w->client);
	a.type = DHCP6_ADVERTISE;
	answer(w, &a);
	a.server = server_two;
	a.preference = 5;
	a.address = "fd77::60";
	answer(w, &a);
	a.server = server_one;
	a.preference = 9;
	a.address = NULL;
	a.status = DHCP6_NO_ADDRESSES;
	answer(w, &a);
	assert_int_equal(w->count, 1);
	advance(w, 2 * USEC_PER_SEC);
	assert_sent(w, DHCP6_REQUEST, server_two, "fd77::60");
}

static void test_repeats(void **state)
{
	struct world *w = *state;
	usec_t last = 0, gap = 0;
	dhcp6_client_kick(w->client);
	uint32_t xid = w->sent.xid;
	for (unsigned i = 1; i < 12; i++) {
		last = w->sent_at;
		while (w->count == i)
			advance(w, USEC_PER_SEC / 10);
		gap = w->sent_at - last;
		assert_int_equal(w->sent.xid, xid);
		assert_true(gap >= USEC_PER_SEC * 9 / 10 && gap <= 33 * USEC_PER_SEC);
	}
	assert_true(gap >= 26 * USEC_PER_SEC); /* they grow up to 30 s, and on they go */
	/* An offer now is taken at once. */
	struct answer a = lease;
	a.type = DHCP6_ADVERTISE;
	answer(w, &a);
	assert_sent(w, DHCP6_REQUEST, server_one, "fd77::50");
	/* A server that is silent then is left. */
	for (unsigned i = 0; i < 300 && w->sent.type == DHCP6_REQUEST; i++)
		advance(w, USEC_PER_SEC);
	assert_sent(w, DHCP6_SOLICIT, NULL, NULL);
}

static void test_not_sendable(void **state)
{
	struct world *w = *state;
	w->blocked = true;
	dhcp6_client_kick(w->client);
	advance(w, USEC_PER_MIN);
	assert_int_equal(w->count, 0);
	w->blocked = false;
	dhcp6_client_kick(w->client);
	assert_int_equal(w->count, 1);
	dhcp6_client_kick(w->client); /* it has gone out: no second one */
	assert_int_equal(w->count, 1);
}

static void test_not_for_us(void **state)
{
	struct world *w = *state;
	struct answer a = lease;
	dhcp6_client_kick(w->client);
	a.rapid = true;
	w->sent.xid++;
	answer(w, &a);
	w->sent.xid--;
	a.other_iaid = true;
	answer(w, &a);
	a.other_iaid = false;
	a.valid = 0;
	answer(w, &a);
	a.valid = 10; /* less than preferred: malformed */
	answer(w, &a);
	struct dhcp6_message m = { .type = DHCP6_REPLY, .xid = w->sent.xid };
	uint8_t packet[DHCP6_SIZE_MAX];
	size_t len;
	dhcp6_add(&m, DHCP6_OPT_CLIENT_ID, server_one, sizeof(server_one));
	dhcp6_add(&m, DHCP6_OPT_SERVER_ID, server_one, sizeof(server_one));
	assert_int_equal(dhcp6_encode(&m, packet, &len), 0);
	dhcp6_client_take(w->client, packet, len);
	dhcp6_client_take(w->client, packet, 3);
	assert_int_equal(w->changes, 0);
	bind_it(w);
}

/* --- keeping it ------------------------------------------------------------------------------- */

static void test_renewed(void **state)
{
	struct world *w = *state;
	bind_it(w);
	advance(w, 1799 * USEC_PER_SEC);
	assert_int_equal(w->count, 1);
	advance(w, 2 * USEC_PER_SEC);
	assert_sent(w, DHCP6_RENEW, server_one, "fd77::50");
	answer(w, &lease);
	assert_int_equal(w->changes, 2);
	assert_int_equal(w->losses, 0);
	advance(w, 1790 * USEC_PER_SEC);
	assert_int_equal(w->count, 2);
}

static void test_rebound_and_lost(void **state)
{
	struct world *w = *state;
	struct answer a = lease;
	bind_it(w);
	advance(w, 2879 * USEC_PER_SEC);
	assert_int_equal(w->sent.type, DHCP6_RENEW);
	advance(w, 2 * USEC_PER_SEC);
	assert_sent(w, DHCP6_REBIND, NULL, "fd77::50");
	a.server = server_two;
	answer(w, &a); /* another one has taken over */
	advance(w, 1801 * USEC_PER_SEC);
	assert_sent(w, DHCP6_RENEW, server_two, "fd77::50");
	assert_int_equal(w->losses, 0);
	advance(w, 1800 * USEC_PER_SEC);
	assert_int_equal(w->losses, 1);
	assert_sent(w, DHCP6_SOLICIT, NULL, NULL);
}

/* The server has lost its records. */
static void test_no_binding(void **state)
{
	struct world *w = *state;
	struct answer a = lease;
	bind_it(w);
	advance(w, 1801 * USEC_PER_SEC);
	a.address = NULL;
	a.status = DHCP6_NO_BINDING;
	answer(w, &a);
	assert_sent(w, DHCP6_REQUEST, server_one, "fd77::50");
	a = lease;
	a.address = "fd77::51";
	answer(w, &a);
	assert_int_equal(w->losses, 1); /* the old one goes before the new one comes */
	assert_int_equal(w->changes, 3);
}

static void test_refused(void **state)
{
	struct world *w = *state;
	struct answer a = lease;
	dhcp6_client_kick(w->client);
	a.type = DHCP6_ADVERTISE;
	a.preference = 255;
	answer(w, &a);
	a.type = DHCP6_REPLY;
	a.address = NULL;
	a.status = DHCP6_NO_ADDRESSES;
	answer(w, &a);
	assert_sent(w, DHCP6_SOLICIT, NULL, NULL);
}

static void test_times_of_our_own(void **state)
{
	struct world *w = *state;
	struct answer a = lease;
	dhcp6_client_kick(w->client);
	a.rapid = true;
	a.t1 = a.t2 = 0;
	answer(w, &a);
	advance(w, 1801 * USEC_PER_SEC);
	assert_int_equal(w->sent.type, DHCP6_RENEW);
	a = lease;
	a.t1 = a.t2 = a.preferred = a.valid = UINT32_MAX;
	answer(w, &a);
	advance(w, 100000 * USEC_PER_SEC);
	assert_int_equal(w->losses, 0);
	assert_int_equal(w->count, 2);
}

/* A second is no time for a lease, or until its renewal: it must not make us ask all the time. */
static void test_absurd_times(void **state)
{
	struct world *w = *state;
	struct answer a = lease;
	dhcp6_client_kick(w->client);
	a.rapid = true;
	a.preferred = a.valid = 1;
	answer(w, &a);
	assert_int_equal(w->changes, 0);
	a = lease;
	a.rapid = true;
	a.t1 = a.t2 = 1;
	for (unsigned i = 0; i < 60; i++) {
		answer(w, &a);
		advance(w, USEC_PER_SEC);
	}
	assert_true(w->count > 5 && w->count < 20);
}

static void test_declined(void **state)
{
	struct world *w = *state;
	bind_it(w);
	dhcp6_client_decline(w->client);
	assert_sent(w, DHCP6_DECLINE, server_one, "fd77::50");
	assert_int_equal(w->losses, 1);
	advance(w, 11 * USEC_PER_SEC);
	assert_sent(w, DHCP6_SOLICIT, NULL, NULL);
	dhcp6_client_decline(w->client); /* there is nothing to decline */
	assert_int_equal(w->losses, 1);
}

static void domain_is(struct world *w, const void *wire, size_t len, const char *want)
{
	struct dhcp6_message m = { .type = DHCP6_REPLY, .xid = w->sent.xid };
	struct dhcp6_ia ia;
	const struct dhcp6_address a = { .preferred = 20, .valid = 20, .ip = { { { 0xfd } } } };
	uint8_t packet[DHCP6_SIZE_MAX];
	size_t size;
	assert_true(dhcp6_get_ia(&w->sent, 0, &ia));
	ia.t1 = ia.t2 = 5;
	dhcp6_echo(&m, &w->sent, DHCP6_OPT_CLIENT_ID);
	dhcp6_add(&m, DHCP6_OPT_SERVER_ID, server_one, sizeof(server_one));
	dhcp6_add_ia(&m, &ia, &a, 1, DHCP6_SUCCESS, "");
	dhcp6_add(&m, DHCP6_OPT_RAPID_COMMIT, NULL, 0);
	dhcp6_add(&m, DHCP6_OPT_DOMAINS, wire, len);
	assert_int_equal(dhcp6_encode(&m, packet, &size), 0);
	dhcp6_client_take(w->client, packet, size);
	assert_string_equal(w->lease.domain, want);
	advance(w, 6 * USEC_PER_SEC); /* until it asks again */
}

static void test_domains(void **state)
{
	struct world *w = *state;
	uint8_t longest[300];
	memset(longest, 1, sizeof(longest)); /* labels of one byte, which is no letter */
	dhcp6_client_kick(w->client);
	domain_is(w, "\3lab\7example", 13, "lab.example");
	domain_is(w, "\3lab\0\1x", 7, "lab");
	domain_is(w, "\3lab", 4, "");
	domain_is(w, "\4la\nb", 6, "");
	domain_is(w, "\4$(a)", 6, "");
	domain_is(w, "\0", 1, "");
	domain_is(w, longest, sizeof(longest), "");
}

/* --- on a NIC --------------------------------------------------------------------------------- */

struct real {
	struct loop *loop;
	char dir[64];
	unsigned looks;
	struct timer timer;
};

static void look(void *data)
{
	struct real *r = data;
	char path[96];
	snprintf(path, sizeof(path), "%s/told", r->dir);
	if (access(path, F_OK) == 0 || ++r->looks > 300)
		loop_stop(r->loop);
	else
		timer_set_in(&r->timer, USEC_PER_SEC / 10);
}

/* dnsmasq gives the address; the kernel has it; the script is told. */
static void test_dnsmasq(void **state)
{
	struct real r = { .dir = "/tmp/test_dhcp6.XXXXXX" };
	struct netns clients;
	struct dhcp6_nic *nic;
	struct err err = { 0 };
	char script[96];
	(void)state;
	if (netns_unusable() || system("command -v dnsmasq >/dev/null") != 0 ||
	    access("/proc/sys/net/ipv6", F_OK) != 0) {
		print_message("skipped: it needs root, iproute2, dnsmasq and IPv6\n");
		skip();
	}
	assert_non_null(mkdtemp(r.dir));
	assert_true(netns_pair(&clients));
	assert_true(run("ip addr add fd77::1/64 dev srv0 nodad && "
			"echo '#!/bin/sh\necho $1 $interface $ip6 $dns $domain >%s/told.new && "
			"mv %s/told.new %s/told' >%s/script && chmod +x %s/script",
			r.dir, r.dir, r.dir, r.dir, r.dir));
	assert_true(run("dnsmasq --conf-file=/dev/null --user=root --port=0 --interface=srv0 "
			"--bind-dynamic --no-ping --dhcp-range=fd77::50,fd77::50,64,1h "
			"--dhcp-option=option6:dns-server,[fd77::53] --enable-ra "
			"--dhcp-option=option6:domain-search,lab.example "
			"--dhcp-leasefile=%s/leases --pid-file=%s/pid",
			r.dir, r.dir));
	snprintf(script, sizeof(script), "%s/script", r.dir);
	assert_int_equal(loop_new(&r.loop, &err), 0);
	timer_init(&r.timer, r.loop, "look", look, &r);
	timer_set_in(&r.timer, 0);
	int old = netns_enter(&clients);
	const struct dhcp6_nic_options o = { r.loop, "cli0", script };
	if (dhcp6_nic_open(&o, &nic, &err) < 0)
		fail_msg("%s", err.text);
	loop_run(r.loop);
	bool told = run("grep -qx 'bound6 cli0 fd77::50 fd77::53 lab.example' %s/told", r.dir);
	bool there = run("ip -6 addr show dev cli0 | grep -q 'fd77::50/128'");
	dhcp6_nic_close(nic);
	timer_stop(&r.timer);
	netns_back(old);
	bool leased = run("grep -q fd77::50 %s/leases", r.dir);
	assert_true(run("kill $(cat %s/pid); rm -r %s", r.dir, r.dir));
	loop_free(r.loop);
	netns_free(&clients);
	assert_true(told && there && leased);
}

int main(void)
{
	log_set_level(LOG_ERROR);
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(test_rapid),    CASE(test_offer_and_request), CASE(test_best_offer),
		CASE(test_repeats),  CASE(test_not_sendable),	   CASE(test_not_for_us),
		CASE(test_renewed),  CASE(test_rebound_and_lost),  CASE(test_no_binding),
		CASE(test_refused),  CASE(test_times_of_our_own),  CASE(test_absurd_times),
		CASE(test_declined), CASE(test_domains),	   cmocka_unit_test(test_dnsmasq),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
