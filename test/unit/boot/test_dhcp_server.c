/* The DHCP server, proxy and relay over real sockets: clients are scripts in a namespace of their
 * own. That somebody is not answered shows by what comes next: the answer to a later question. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "boot/dhcp_relay.h"
#include "boot/dhcp_server.h"
#include "unit/boot/lines.h"
#include "unit/boot/netns.h"
#include "unit/boot/rows.h"
#include "unit/boot/solicit.h"

enum { HOSTS = 8, STEPS_MAX = 64 };

static const uint8_t known_mac[6] = { 0x52, 0x54, 0x00, 0x77, 0x00, 0x01 };
static const uint8_t other_mac[6] = { 0x52, 0x54, 0x00, 0x77, 0x00, 0x02 };
static const uint8_t unknown_mac[6] = { 0x52, 0x54, 0x00, 0x99, 0x00, 0x01 };

static const struct boot_file files[] = {
	{ "undionly.kpxe", "/proc/self/exe" },
	{ "snponly.efi", "/proc/self/exe" },
	{ NULL, NULL },
};

/* --- the rest of the program, as the server sees it --- */

struct world {
	struct netns clients;
	struct loop *loop;
	struct boot_config config;
	struct boot_env env;
	struct boot_host host;
	struct dhcp_server *server;
	struct {
		struct net_mac mac;
		struct net_addr slot;
	} records[HOSTS];
	struct net_addr fixed; /* of known_mac; not set: none is wanted */
	bool fixed_bad;	       /* what is wanted cannot be given */
	unsigned taken;
	int told;	/* an eventfd: taken has grown */
	bool crowded;	/* every address is some host's */
	unsigned looks; /* at addresses, since the last tick */
	unsigned looks_max, looks_sum;
	struct timer tick;     /* once in each turn of the loop */
	unsigned refuse_slots; /* slot_set fails so often */
	unsigned refused;
	unsigned stored; /* slots written */
	unsigned offered_before_stored;
	unsigned stages[BOOT_STAGE_SYSTEM + 1];
	unsigned strangers[BOOT_REQUEST_SCRIPT + 1];
	unsigned failures;
	/* The client's side. */
	int client, source;
	const char *failed; /* what went wrong in its script */
};

static bool find(void *data, const struct net_mac *mac, struct boot_host *ret)
{
	struct world *w = data;
	*ret = w->host;
	return mac->bytes[3] == 0x77;
}

static struct net_addr *record(struct world *w, const struct net_mac *mac)
{
	size_t i = 0;
	while (i < HOSTS - 1 && w->records[i].mac.bytes[0] &&
	       !net_mac_equal(&w->records[i].mac, mac))
		i++;
	w->records[i].mac = *mac;
	return &w->records[i].slot;
}

static bool slot_get(void *data, const struct net_mac *mac, int family, struct net_addr *ret)
{
	assert_int_equal(family, AF_INET);
	*ret = *record(data, mac);
	return net_is_set(ret);
}

static bool slot_fixed(void *data, const struct net_mac *mac, int family, struct net_addr *ret)
{
	const struct world *w = data;
	(void)family;
	if (memcmp(mac->bytes, known_mac, 6) != 0 || (!net_is_set(&w->fixed) && !w->fixed_bad))
		return false;
	*ret = w->fixed;
	return true;
}

static void slot_taken(void *data, const struct net_mac *mac, const struct net_addr *address)
{
	struct world *w = data;
	w->taken += memcmp(mac->bytes, known_mac, 6) == 0 && net_same_ip(address, &w->fixed);
	eventfd_write(w->told, 1);
}

static bool slot_used(void *data, const struct net_addr *address)
{
	struct world *w = data;
	w->looks++;
	if (net_same_ip(&w->fixed, address) || w->crowded)
		return true;
	for (size_t i = 0; i < HOSTS; i++)
		if (net_same_ip(&w->records[i].slot, address))
			return true;
	return false;
}

struct write {
	struct world *world;
	struct net_mac mac;
	struct net_addr slot;
	boot_slot_done_fn done;
	void *data;
};

static void write_end(void *data)
{
	struct write *x = data;
	struct err err = { 0 };
	if (x->world->refuse_slots) {
		err_set(&err, ERR_CONFLICT, "the record changed meanwhile");
		x->world->refuse_slots--;
		x->world->refused++;
	} else {
		*record(x->world, &x->mac) = x->slot;
		x->world->stored++;
	}
	x->done(x->data, &err);
	free(x);
}

static void slot_set(void *data, const struct net_mac *mac, int family,
		     const struct net_addr *address, boot_slot_done_fn done, void *done_data)
{
	(void)family;
	struct write *x = xcalloc(1, sizeof(*x));
	struct world *w = data;
	*x = (struct write){ .world = w, .mac = *mac, .done = done, .data = done_data };
	if (address)
		x->slot = *address;
	loop_post(w->loop, write_end, x);
}

static void seen(void *data, const struct net_mac *mac, enum boot_stage stage)
{
	struct world *w = data;
	w->stages[stage]++;
	if (stage == BOOT_STAGE_OFFERED && w->config.dhcp == BOOT_DHCP_SERVER &&
	    !net_is_set(record(w, mac)))
		w->offered_before_stored++;
}

static void stranger(void *data, const struct net_mac *mac, enum boot_request request)
{
	struct world *w = data;
	w->strangers[request] += memcmp(mac->bytes, unknown_mac, 6) == 0;
}

static void boot_failed(void *data, const struct net_mac *mac, const char *address, const char *why)
{
	struct world *w = data;
	w->failures += mac && !address && strstr(why, "not installed");
}

static const struct boot_ops ops = { .find = find,
				     .slot_get = slot_get,
				     .slot_fixed = slot_fixed,
				     .slot_taken = slot_taken,
				     .slot_used = slot_used,
				     .slot_set = slot_set,
				     .seen = seen,
				     .stranger = stranger,
				     .failed = boot_failed };

static int set_up(void **state)
{
	if (netns_unusable())
		return 0;
	struct world *w = xcalloc(1, sizeof(*w));
	struct err err;
	*state = w;
	if (!netns_pair(&w->clients) || loop_new(&w->loop, &err) < 0)
		return -1;
	w->config = (struct boot_config){
		.device = "srv0",
		.address = addr("10.77.0.1"),
		.dhcp = BOOT_DHCP_SERVER,
		.tftp = true,
		.pools = { { .start = addr("10.77.0.50"), .end = addr("10.77.0.51"), .bits = 24 } },
		.pool_count = 1,
		.http_url = "http://10.77.0.1:8080",
		.files = files,
	};
	w->host = (struct boot_host){ .name = "metal3/node-0", .target = BOOT_TARGET_RAMDISK };
	w->env = (struct boot_env){ w->loop, &w->config, &ops, w };
	w->client = client_socket(&w->clients, "cli0", "0.0.0.0", DHCP_CLIENT_PORT);
	w->told = eventfd(0, EFD_CLOEXEC);
	return w->told < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	if (!w)
		return 0;
	dhcp_server_close(w->server);
	close(w->client);
	close(w->told);
	loop_free(w->loop);
	netns_free(&w->clients);
	free(w);
	return 0;
}

static struct world *world(void **state)
{
	const char *why = netns_unusable();
	if (why) {
		print_message("skipped: %s\n", why);
		skip();
	}
	return *state;
}

static void start(struct world *w)
{
	struct err err = { 0 };
	if (dhcp_server_open(&w->env, &w->server, &err) < 0)
		fail_msg("%s", err.text);
	dhcp_server_set_active(w->server, true);
}

/* --- the client --- */

/* A script that has failed does nothing more; the test then fails with the reason. */
#define EXPECT(w, condition)                                                                       \
	do {                                                                                       \
		if (!(w)->failed && !(condition))                                                  \
			(w)->failed = #condition;                                                  \
	} while (0)

static void send_to(struct world *w, int fd, const struct dhcp_message *m, const char *to,
		    uint16_t port)
{
	uint8_t packet[DHCP_SIZE_MAX];
	size_t len;
	struct sockaddr_in dest = { .sin_family = AF_INET,
				    .sin_port = htons(port),
				    .sin_addr = ip(to) };
	EXPECT(w, dhcp_encode(m, 0, packet, &len) == 0);
	if (!w->failed)
		EXPECT(w, sendto(fd, packet, len, 0, (struct sockaddr *)&dest, sizeof(dest)) ==
				  (ssize_t)len);
}

static struct dhcp_message receive(struct world *w, int fd)
{
	uint8_t packet[2048];
	struct dhcp_message m = { 0 };
	struct sockaddr_in from = { 0 };
	socklen_t len = sizeof(from);
	if (w->failed)
		return m;
	ssize_t n = recvfrom(fd, packet, sizeof(packet), 0, (struct sockaddr *)&from, &len);
	EXPECT(w, n > 0);
	EXPECT(w, dhcp_decode(packet, n > 0 ? (size_t)n : 0, &m) == 0);
	EXPECT(w, m.op == DHCP_OP_REPLY);
	w->source = ntohs(from.sin_port);
	return m;
}

static struct dhcp_message ask(struct world *w, struct dhcp_message *m)
{
	static uint32_t xid = 100;
	m->xid = ++xid;
	send_to(w, w->client, m, "255.255.255.255", DHCP_SERVER_PORT);
	struct dhcp_message reply = receive(w, w->client);
	EXPECT(w, reply.xid == m->xid);
	return reply;
}

static const struct client_row *linux_row(void)
{
	return &client_rows[ARRAY_SIZE(client_rows) - 1];
}

static struct dhcp_message message(enum dhcp_type type, const uint8_t mac[6])
{
	return row_message(linux_row(), type, mac);
}

static struct dhcp_message request_for(const uint8_t mac[6], struct in_addr address, bool selecting)
{
	struct dhcp_message m = message(DHCP_REQUEST, mac);
	dhcp_set_address(&m, DHCP_OPT_ADDRESS, address);
	if (selecting)
		dhcp_set_address(&m, DHCP_OPT_SERVER, ip("10.77.0.1"));
	return m;
}

static void finish(struct world *w)
{
	if (w->failed)
		fail_msg("the client's script: %s", w->failed);
	loop_drain(w->loop); /* stores whose end is posted */
	assert_int_equal(w->offered_before_stored, 0);
}

/* --- server --- */

static void lease(struct world *w, const struct client_row *row)
{
	struct dhcp_message m = row_message(row, DHCP_DISCOVER, known_mac);
	struct dhcp_message offer = ask(w, &m);
	EXPECT(w, dhcp_type(&offer) == DHCP_OFFER);
	EXPECT(w, offer.yiaddr.s_addr == ip("10.77.0.50").s_addr ||
			  offer.yiaddr.s_addr == ip("10.77.0.51").s_addr);
	EXPECT(w, streq(offer.file, str_or(row->file, "")));
	EXPECT(w, dhcp_has(&offer, DHCP_OPT_BOOT_FILE) == (row->file != NULL));
	m = row_message(row, DHCP_REQUEST, known_mac);
	dhcp_set_address(&m, DHCP_OPT_ADDRESS, offer.yiaddr);
	dhcp_set_address(&m, DHCP_OPT_SERVER, ip("10.77.0.1"));
	struct dhcp_message ack = ask(w, &m);
	EXPECT(w, dhcp_type(&ack) == DHCP_ACK);
	EXPECT(w, ack.yiaddr.s_addr == offer.yiaddr.s_addr);
	EXPECT(w, streq(ack.file, offer.file));
	EXPECT(w, dhcp_has(&ack, DHCP_OPT_LEASE_TIME));
	EXPECT(w, w->source == DHCP_SERVER_PORT);
}

static void every_client(void *data)
{
	for (size_t i = 0; i < ARRAY_SIZE(client_rows); i++)
		lease(data, &client_rows[i]);
}

static void test_every_client(void **state)
{
	struct world *w = world(state);
	start(w);
	run_script(w->loop, every_client, w);
	finish(w);
	assert_int_equal(w->stored, 1);	  /* the slot is found once */
	assert_int_equal(w->failures, 4); /* arm64: no loader is installed */
	/* Firmware and iPXE are on their way to the ramdisk; an operating system runs. */
	assert_int_equal(w->stages[BOOT_STAGE_LEASED] + w->stages[BOOT_STAGE_SYSTEM],
			 ARRAY_SIZE(client_rows));
	assert_int_equal(w->stages[BOOT_STAGE_SYSTEM], 1);
}

/* From an earlier boot, so that every DISCOVER would be answered at once. */
static void give_slot(struct world *w)
{
	struct net_mac mac;
	memcpy(mac.bytes, known_mac, 6);
	*record(w, &mac) = addr("10.77.0.50");
}

static void silence(void *data)
{
	struct world *w = data;
	struct dhcp_message m = message(DHCP_DISCOVER, unknown_mac);
	send_to(w, w->client, &m, "255.255.255.255", DHCP_SERVER_PORT);
	m = request_for(unknown_mac, ip("10.77.0.50"), true);
	send_to(w, w->client, &m, "255.255.255.255", DHCP_SERVER_PORT);
	m = request_for(unknown_mac, ip("10.99.0.50"), false);
	send_to(w, w->client, &m, "255.255.255.255", DHCP_SERVER_PORT);
	m = row_message(&client_rows[5], DHCP_DISCOVER, unknown_mac);
	send_to(w, w->client, &m, "255.255.255.255", DHCP_SERVER_PORT);
	m = row_message(&client_rows[7], DHCP_DISCOVER, unknown_mac);
	send_to(w, w->client, &m, "255.255.255.255", DHCP_SERVER_PORT);
	/* A known MAC, but not what a client sends. */
	m = message(DHCP_OFFER, known_mac);
	send_to(w, w->client, &m, "255.255.255.255", DHCP_SERVER_PORT);
	m = message(DHCP_DISCOVER, known_mac);
	m.op = DHCP_OP_REPLY;
	send_to(w, w->client, &m, "255.255.255.255", DHCP_SERVER_PORT);
	m = message(DHCP_DISCOVER, known_mac);
	m.hlen = 8;
	send_to(w, w->client, &m, "255.255.255.255", DHCP_SERVER_PORT);
	/* Another server was chosen. */
	m = message(DHCP_REQUEST, known_mac);
	dhcp_set_address(&m, DHCP_OPT_ADDRESS, ip("10.77.0.50"));
	dhcp_set_address(&m, DHCP_OPT_SERVER, ip("10.77.0.9"));
	send_to(w, w->client, &m, "255.255.255.255", DHCP_SERVER_PORT);
	m = message(DHCP_DISCOVER, known_mac);
	struct dhcp_message reply = ask(w, &m); /* checks that it is the answer to this one */
	EXPECT(w, dhcp_type(&reply) == DHCP_OFFER);
	EXPECT(w, memcmp(reply.chaddr, known_mac, 6) == 0);
}

static void test_silence(void **state)
{
	struct world *w = world(state);
	give_slot(w);
	start(w);
	run_script(w->loop, silence, w);
	finish(w);
	/* Firmware is told of, an operating system not. */
	assert_int_equal(w->strangers[BOOT_REQUEST_PXE], 1);
	assert_int_equal(w->strangers[BOOT_REQUEST_HTTP], 1);
	assert_int_equal(w->strangers[BOOT_REQUEST_IPXE], 0);
}

static void same_request(void *data)
{
	struct world *w = data;
	struct dhcp_message m = request_for(known_mac, ip("10.77.0.70"), false);
	for (int i = 0; i < 50; i++)
		(void)ask(w, &m);
}

static void same_decline(void *data)
{
	struct world *w = data;
	struct dhcp_message m = message(DHCP_DECLINE, known_mac);
	dhcp_set_address(&m, DHCP_OPT_ADDRESS, ip("10.77.0.50"));
	for (int i = 0; i < 50; i++)
		send_to(w, w->client, &m, "255.255.255.255", DHCP_SERVER_PORT);
	m = request_for(known_mac, ip("10.77.0.70"), false);
	(void)ask(w, &m);
}

static void test_repeated_packets_do_not_fill_the_log(void **state)
{
	struct world *w = world(state);
	struct lines lines;
	give_slot(w);
	start(w);
	lines_begin(&lines, w->loop, "reply=NAK");
	run_script(w->loop, same_request, w);
	assert_true(lines_paced(&lines));
	w->refuse_slots = 1000; /* so that it goes on to be the host's */
	lines_begin(&lines, w->loop, "a host declined");
	run_script(w->loop, same_decline, w);
	assert_true(lines_paced(&lines));
	finish(w);
	assert_int_equal(w->refused, 1); /* to forget it */
}

static void inactive(void *data)
{
	struct world *w = data;
	struct dhcp_message m = message(DHCP_DISCOVER, known_mac);
	m.xid = 1;
	send_to(w, w->client, &m, "255.255.255.255", DHCP_SERVER_PORT);
}

static void active(void *data)
{
	struct world *w = data;
	struct dhcp_message m = message(DHCP_DISCOVER, known_mac);
	struct dhcp_message reply = ask(w, &m);
	EXPECT(w, dhcp_type(&reply) == DHCP_OFFER);
}

/* The follower's socket takes and drops what comes, so that a new leader does not answer the past.
 */
static void test_only_the_leader_answers(void **state)
{
	struct world *w = world(state);
	give_slot(w);
	start(w);
	dhcp_server_set_active(w->server, false);
	run_script(w->loop, inactive, w);
	struct timer turn;
	timer_init(&turn, w->loop, "turn", (loop_fn)loop_stop, w->loop);
	timer_set_in(&turn, 1000);
	loop_run(w->loop);
	dhcp_server_set_active(w->server, true);
	run_script(w->loop, active, w);
	finish(w);
}

static void no_target(void *data)
{
	for (size_t i = 0; i < ARRAY_SIZE(client_rows); i++) {
		struct client_row row = client_rows[i];
		row.file = disk_file(&row)[0] ? disk_file(&row) : NULL;
		lease(data, &row);
	}
}

static void test_host_that_boots_its_disk(void **state)
{
	struct world *w = world(state);
	w->host.target = BOOT_TARGET_NONE;
	start(w);
	run_script(w->loop, no_target, w);
	finish(w);
}

/* RFC 2131, section 4.3.2, state by state. */
static void requests(void *data)
{
	struct world *w = data;
	struct dhcp_message m = message(DHCP_DISCOVER, known_mac), reply = ask(w, &m);
	struct in_addr slot = reply.yiaddr, wrong = ip("10.77.0.70");
	m = request_for(known_mac, slot, false); /* init-reboot */
	reply = ask(w, &m);
	EXPECT(w, dhcp_type(&reply) == DHCP_ACK);
	m = request_for(known_mac, wrong, false);
	reply = ask(w, &m);
	EXPECT(w, dhcp_type(&reply) == DHCP_NAK);
	EXPECT(w, reply.yiaddr.s_addr == 0 && !dhcp_has(&reply, DHCP_OPT_NETMASK));
	m = request_for(other_mac, slot, true); /* somebody else's */
	reply = ask(w, &m);
	EXPECT(w, dhcp_type(&reply) == DHCP_NAK);
	m = message(DHCP_REQUEST, known_mac); /* renewing with a wrong address, by broadcast */
	m.ciaddr = wrong;
	reply = ask(w, &m);
	EXPECT(w, dhcp_type(&reply) == DHCP_NAK);
	m = message(DHCP_RELEASE, known_mac);
	m.ciaddr = slot;
	send_to(w, w->client, &m, "255.255.255.255", DHCP_SERVER_PORT);
	m = message(DHCP_DISCOVER, known_mac);
	reply = ask(w, &m);
	EXPECT(w, reply.yiaddr.s_addr == slot.s_addr);
}

static void test_requests(void **state)
{
	struct world *w = world(state);
	start(w);
	run_script(w->loop, requests, w);
	finish(w);
	assert_int_equal(w->stored, 1);
}

static void unicast(void *data)
{
	struct world *w = data;
	int fd = client_socket(&w->clients, "cli0", "10.77.0.50", DHCP_CLIENT_PORT);
	struct dhcp_message m = message(DHCP_REQUEST, known_mac);
	m.ciaddr = ip("10.77.0.50");
	m.xid = 7;
	send_to(w, fd, &m, "10.77.0.1", DHCP_SERVER_PORT);
	struct dhcp_message reply = receive(w, fd);
	EXPECT(w, reply.xid == 7 && dhcp_type(&reply) == DHCP_ACK);
	EXPECT(w, reply.ciaddr.s_addr == m.ciaddr.s_addr && reply.yiaddr.s_addr == m.ciaddr.s_addr);
	m = message(DHCP_INFORM, known_mac);
	m.ciaddr = ip("10.77.0.50");
	m.xid = 8;
	send_to(w, fd, &m, "10.77.0.1", DHCP_SERVER_PORT);
	reply = receive(w, fd);
	EXPECT(w, reply.xid == 8 && dhcp_type(&reply) == DHCP_ACK);
	EXPECT(w, reply.yiaddr.s_addr == 0 && !dhcp_has(&reply, DHCP_OPT_LEASE_TIME));
	EXPECT(w, dhcp_has(&reply, DHCP_OPT_NETMASK));
	close(fd);
}

static void test_renewal_and_inform(void **state)
{
	struct world *w = world(state);
	give_slot(w);
	assert_true(run("nsenter -t %d -n ip addr add 10.77.0.50/24 dev cli0", w->clients.keeper));
	start(w);
	run_script(w->loop, unicast, w);
	finish(w);
}

/* --- slots --- */

static void conflict(void *data)
{
	struct world *w = data;
	struct dhcp_message m = message(DHCP_DISCOVER, other_mac);
	dhcp_set_address(&m, DHCP_OPT_ADDRESS, ip("10.77.0.50"));
	struct dhcp_message reply = ask(w, &m);
	EXPECT(w, reply.yiaddr.s_addr == ip("10.77.0.51").s_addr);
	m = message(DHCP_DISCOVER,
		    known_mac); /* .50 is in quarantine, .51 taken: nothing is left */
	send_to(w, w->client, &m, "255.255.255.255", DHCP_SERVER_PORT);
	m = message(DHCP_DISCOVER, other_mac);
	reply = ask(w, &m);
	EXPECT(w, reply.yiaddr.s_addr == ip("10.77.0.51").s_addr);
}

/* Somebody sits on an address of the range. It answers neither ping, only ARP. */
static void test_address_in_use(void **state)
{
	struct world *w = world(state);
	assert_true(run("nsenter -t %d -n sh -c 'ip addr add 10.77.0.50/24 dev cli0; "
			"echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_all'",
			w->clients.keeper));
	start(w);
	run_script(w->loop, conflict, w);
	finish(w);
}

static void own_address(void *data)
{
	struct world *w = data;
	struct dhcp_message m = message(DHCP_DISCOVER, known_mac);
	dhcp_set_address(&m, DHCP_OPT_ADDRESS, ip("10.77.0.51"));
	struct dhcp_message reply = ask(w, &m);
	EXPECT(w, reply.yiaddr.s_addr == ip("10.77.0.51").s_addr);
}

/* The record is lost, but the host still uses its address: it gets it again. */
static void test_own_address_is_no_conflict(void **state)
{
	struct world *w = world(state);
	assert_true(run("nsenter -t %d -n ip addr add 10.77.0.51/24 dev cli0", w->clients.keeper));
	start(w);
	run_script(w->loop, own_address, w);
	finish(w);
}

static void decline(void *data)
{
	struct world *w = data;
	struct dhcp_message m = message(DHCP_DISCOVER, known_mac), reply = ask(w, &m);
	struct in_addr first = reply.yiaddr;
	m = request_for(known_mac, ip("10.77.0.77"), true); /* not its slot: without effect */
	m.options.bytes[m.options.slots[DHCP_OPT_TYPE].at] = DHCP_DECLINE;
	send_to(w, w->client, &m, "255.255.255.255", DHCP_SERVER_PORT);
	m = message(DHCP_DISCOVER, known_mac);
	reply = ask(w, &m);
	EXPECT(w, reply.yiaddr.s_addr == first.s_addr);
	m = request_for(known_mac, first, true);
	m.options.bytes[m.options.slots[DHCP_OPT_TYPE].at] = DHCP_DECLINE;
	send_to(w, w->client, &m, "255.255.255.255", DHCP_SERVER_PORT);
	m = message(DHCP_DISCOVER, known_mac);
	reply = ask(w, &m);
	EXPECT(w, reply.yiaddr.s_addr != 0 && reply.yiaddr.s_addr != first.s_addr);
}

static void test_decline(void **state)
{
	struct world *w = world(state);
	start(w);
	run_script(w->loop, decline, w);
	finish(w);
}

/* The range has as many addresses as DECLINEs come, and one: another host still gets one. */
static void decline_flood(void *data)
{
	struct world *w = data;
	for (int i = 0; i < 5; i++) {
		struct dhcp_message m = message(DHCP_DISCOVER, known_mac), reply = ask(w, &m);
		EXPECT(w, dhcp_type(&reply) == DHCP_OFFER);
		m = message(DHCP_DECLINE, known_mac);
		dhcp_set_address(&m, DHCP_OPT_ADDRESS, reply.yiaddr);
		send_to(w, w->client, &m, "255.255.255.255", DHCP_SERVER_PORT);
	}
	struct dhcp_message m = message(DHCP_DISCOVER, other_mac), reply = ask(w, &m);
	EXPECT(w, dhcp_type(&reply) == DHCP_OFFER);
}

static void test_declines_do_not_empty_the_range(void **state)
{
	struct world *w = world(state);
	w->config.pools[0].end = addr("10.77.0.54");
	start(w);
	run_script(w->loop, decline_flood, w);
	finish(w);
}

enum { WIDE_RANGE = 65533, DISCOVERS = 50 };

static void on_tick(void *data)
{
	struct world *w = data;
	w->looks_max = MAX(w->looks_max, w->looks);
	w->looks_sum += w->looks;
	w->looks = 0;
	timer_set_in(&w->tick, 0);
}

/* Silence; the answer to another host's question ends the wait. */
static void discover_in_vain(void *data)
{
	struct world *w = data;
	for (int i = 0; i < DISCOVERS; i++) {
		struct dhcp_message m = message(DHCP_DISCOVER, known_mac);
		send_to(w, w->client, &m, "255.255.255.255", DHCP_SERVER_PORT);
		m = message(DHCP_DISCOVER, other_mac);
		struct dhcp_message reply = ask(w, &m);
		EXPECT(w, memcmp(reply.chaddr, other_mac, 6) == 0);
	}
}

/* No packet walks over the whole range, and not each one again. Counted, not timed. */
static void test_full_range(void **state)
{
	struct world *w = world(state);
	w->config.pools[0] = (struct boot_pool){ .start = addr("10.78.0.1"),
						 .end = addr("10.78.255.253"),
						 .bits = 16 };
	w->config.address = addr("10.78.255.254");
	assert_true(run("ip addr add 10.78.255.254/16 dev srv0"));
	*record(w,
		&(struct net_mac){ { 0x52, 0x54, 0x00, 0x77, 0x00, 0x02 } }) = addr("10.78.0.51");
	w->crowded = true;
	start(w);
	timer_init(&w->tick, w->loop, "tick", on_tick, w);
	timer_set_in(&w->tick, 0);
	run_script(w->loop, discover_in_vain, w);
	while (w->looks || w->looks_sum < WIDE_RANGE) { /* the walk's end */
		struct timer turn;
		timer_init(&turn, w->loop, "turn", (loop_fn)loop_stop, w->loop);
		timer_set_in(&turn, USEC_PER_MSEC);
		loop_run(w->loop);
	}
	timer_stop(&w->tick);
	finish(w);
	assert_in_range(w->looks_max, 1, 4096);
	assert_in_range(w->looks_sum, WIDE_RANGE, WIDE_RANGE * DISCOVERS / 4);
	assert_int_equal(w->stored, 0);
}

static void two_hosts(void *data)
{
	struct world *w = data;
	struct dhcp_message a = message(DHCP_DISCOVER, known_mac),
			    b = message(DHCP_DISCOVER, other_mac);
	a.xid = 1;
	b.xid = 2;
	dhcp_set_address(&a, DHCP_OPT_ADDRESS, ip("10.77.0.50"));
	dhcp_set_address(&b, DHCP_OPT_ADDRESS, ip("10.77.0.50"));
	/* Both ask, for the same, before either is settled, and ask again while the probe runs. */
	send_to(w, w->client, &a, "255.255.255.255", DHCP_SERVER_PORT);
	send_to(w, w->client, &b, "255.255.255.255", DHCP_SERVER_PORT);
	a.xid = 3;
	send_to(w, w->client, &a, "255.255.255.255", DHCP_SERVER_PORT);
	struct dhcp_message x = receive(w, w->client), y = receive(w, w->client);
	EXPECT(w, x.yiaddr.s_addr != y.yiaddr.s_addr);
	EXPECT(w, x.xid + y.xid == 5); /* the newest of each, once */
}

static void test_two_hosts_at_once(void **state)
{
	struct world *w = world(state);
	start(w);
	run_script(w->loop, two_hosts, w);
	finish(w);
	assert_int_equal(w->stored, 2);
}

static void refused_write(void *data)
{
	struct world *w = data;
	struct dhcp_message m = message(DHCP_DISCOVER, known_mac), reply;
	m.xid = 1;
	send_to(w, w->client, &m, "255.255.255.255", DHCP_SERVER_PORT);
	/* Not offered. A later DISCOVER may find the search still open, so ask until it is not. */
	struct timeval soon = { 0, 200000 }, patience = { 5, 0 };
	uint8_t packet[2048];
	setsockopt(w->client, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
	for (int i = 0; i < 25 && __atomic_load_n(&w->stored, __ATOMIC_SEQ_CST) == 0; i++) {
		m.xid = 2;
		send_to(w, w->client, &m, "255.255.255.255", DHCP_SERVER_PORT);
		if (recv(w->client, packet, sizeof(packet), MSG_PEEK) > 0)
			break;
	}
	setsockopt(w->client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	reply = receive(w, w->client);
	EXPECT(w, reply.xid == 2 && dhcp_type(&reply) == DHCP_OFFER);
}

static void test_not_offered_unless_stored(void **state)
{
	struct world *w = world(state);
	w->refuse_slots = 1;
	start(w);
	run_script(w->loop, refused_write, w);
	finish(w);
	assert_false(w->refuse_slots);
}

static void ask_and_leave(void *data)
{
	struct world *w = data;
	struct dhcp_message m = message(DHCP_DISCOVER, known_mac);
	send_to(w, w->client, &m, "255.255.255.255", DHCP_SERVER_PORT);
}

static void close_server(void *data)
{
	struct world *w = data;
	w->server = dhcp_server_close(w->server);
	loop_stop(w->loop);
}

/* ASan watches what the write's end still touches. */
static void test_closed_while_probing_or_storing(void **state)
{
	struct world *w = world(state);
	static const usec_t after[] = { 50 * USEC_PER_MSEC, 500 * USEC_PER_MSEC };
	for (size_t i = 0; i < ARRAY_SIZE(after); i++) {
		struct timer t;
		start(w);
		run_script(w->loop, ask_and_leave, w);
		timer_init(&t, w->loop, "close", close_server, w);
		timer_set_in(&t, after[i]);
		loop_run(w->loop);
	}
	loop_post(w->loop, (loop_fn)loop_stop, w->loop);
	loop_run(w->loop);
	finish(w);
}

/* --- fixed addresses, and what a lease announces --- */

/* Silence to the host; the other one's answer shows that its question was heard before. */
static void no_fixed_address(void *data)
{
	struct world *w = data;
	struct dhcp_message m = message(DHCP_DISCOVER, known_mac);
	dhcp_set_address(&m, DHCP_OPT_ADDRESS, ip("10.77.0.50"));
	send_to(w, w->client, &m, "255.255.255.255", DHCP_SERVER_PORT);
	m = message(DHCP_DISCOVER, other_mac);
	struct dhcp_message reply = ask(w, &m);
	EXPECT(w, dhcp_type(&reply) == DHCP_OFFER);
	EXPECT(w, memcmp(reply.chaddr, other_mac, 6) == 0);
}

/* Of `known_mac`: outside of the range, then changed while it is leased; the other host never gets
 * it, whatever it asks for. */
static void fixed_address(void *data)
{
	struct world *w = data;
	struct dhcp_message m = message(DHCP_DISCOVER, known_mac), reply = ask(w, &m);
	EXPECT(w,
	       dhcp_type(&reply) == DHCP_OFFER && reply.yiaddr.s_addr == ip("10.77.0.200").s_addr);
	m = request_for(known_mac, reply.yiaddr, true);
	reply = ask(w, &m);
	EXPECT(w, dhcp_type(&reply) == DHCP_ACK);
	w->fixed = addr("10.77.0.51"); /* another one, inside the range */
	m = request_for(known_mac, ip("10.77.0.200"), false);
	reply = ask(w, &m);
	EXPECT(w, dhcp_type(&reply) == DHCP_NAK);
	m = message(DHCP_DISCOVER, other_mac);
	dhcp_set_address(&m, DHCP_OPT_ADDRESS, ip("10.77.0.51"));
	reply = ask(w, &m);
	EXPECT(w, reply.yiaddr.s_addr == ip("10.77.0.50").s_addr);
	m = message(DHCP_DISCOVER, known_mac);
	reply = ask(w, &m);
	EXPECT(w, reply.yiaddr.s_addr == ip("10.77.0.51").s_addr);
	m = message(DHCP_DECLINE, known_mac); /* it met somebody there */
	dhcp_set_address(&m, DHCP_OPT_ADDRESS, ip("10.77.0.51"));
	send_to(w, w->client, &m, "255.255.255.255", DHCP_SERVER_PORT);
	no_fixed_address(w);
}

static void test_fixed_address(void **state)
{
	struct world *w = world(state);
	w->fixed = addr("10.77.0.200");
	start(w);
	run_script(w->loop, fixed_address, w);
	finish(w);
	assert_int_equal(w->stored, 4); /* with the one that was given up */
	assert_int_equal(w->taken, 1);
}

static void test_fixed_address_that_cannot_be(void **state)
{
	struct world *w = world(state);
	static const struct {
		const char *address;
		unsigned taken;
	} rows[] = {
		{ "0.0.0.0", 0 }, { "10.99.0.7", 0 }, { "10.77.0.1", 0 }, { "10.77.0.255", 0 }
	};
	w->fixed_bad = true;
	start(w);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		w->fixed = addr(rows[i].address);
		run_script(w->loop, no_fixed_address, w);
		finish(w);
	}
	assert_int_equal(w->stored, 1); /* of the other host */
	assert_int_equal(w->taken, 0);
}

static void taken_address(void *data)
{
	struct world *w = data;
	struct dhcp_message m = message(DHCP_DISCOVER, known_mac);
	struct pollfd told = { .fd = w->told, .events = POLLIN };
	send_to(w, w->client, &m, "255.255.255.255", DHCP_SERVER_PORT);
	EXPECT(w, poll(&told, 1, 5000) == 1);
	no_fixed_address(w);
}

/* Another machine answers for it on the wire: it is not given, and nothing else instead. */
static void test_fixed_address_in_use(void **state)
{
	struct world *w = world(state);
	assert_true(run("nsenter -t %d -n sh -c 'ip link set cli0 address 52:54:00:99:00:09; "
			"ip addr add 10.77.0.200/24 dev cli0'",
			w->clients.keeper));
	assert_true(netns_link_up(w->clients.keeper, "cli0"));
	*record(w,
		&(struct net_mac){ { 0x52, 0x54, 0x00, 0x77, 0x00, 0x02 } }) = addr("10.77.0.51");
	w->fixed = addr("10.77.0.200");
	start(w);
	run_script(w->loop, taken_address, w);
	finish(w);
	assert_int_equal(w->taken, 1);
	assert_int_equal(w->stored, 0);
}

static void announced(void *data)
{
	struct world *w = data;
	struct dhcp_message m = message(DHCP_DISCOVER, known_mac), reply = ask(w, &m);
	struct in_addr router = { 0 };
	uint32_t lease = 0;
	size_t len = 0;
	EXPECT(w, dhcp_get_address(&reply, DHCP_OPT_ROUTER, &router) &&
			  router.s_addr == ip("10.77.0.254").s_addr);
	const uint8_t *dns = dhcp_get(&reply, DHCP_OPT_DNS, &len);
	EXPECT(w, dns && len == 8 && memcmp(dns, "\12\115\0\3\300\0\2\65", 8) == 0);
	EXPECT(w, dhcp_has_prefix(&reply, DHCP_OPT_DOMAIN, "lab.example"));
	EXPECT(w, dhcp_get_u32(&reply, DHCP_OPT_LEASE_TIME, &lease) && lease == 600);
}

static void test_lease_options(void **state)
{
	struct world *w = world(state);
	w->config.pools[0].gateway = addr("10.77.0.254");
	w->config.dns[0] = addr("10.77.0.3");
	w->config.dns[1] = addr("192.0.2.53");
	w->config.dns_count = 2;
	w->config.domain = "lab.example";
	w->config.lease_seconds = 600;
	start(w);
	run_script(w->loop, announced, w);
	finish(w);
}

/* --- proxy --- */

static void proxy(void *data)
{
	struct world *w = data;
	struct dhcp_message m = message(DHCP_DISCOVER,
					known_mac); /* an operating system: silence */
	send_to(w, w->client, &m, "255.255.255.255", DHCP_SERVER_PORT);
	m = row_message(&client_rows[0], DHCP_DISCOVER, unknown_mac);
	send_to(w, w->client, &m, "255.255.255.255", DHCP_SERVER_PORT);
	m = row_message(&client_rows[0], DHCP_REQUEST, known_mac); /* is for the site's DHCP */
	send_to(w, w->client, &m, "255.255.255.255", DHCP_SERVER_PORT);
	for (size_t i = 0; i < ARRAY_SIZE(client_rows); i++) {
		const struct client_row *row = &client_rows[i];
		if (!row->file)
			continue;
		m = row_message(row, DHCP_DISCOVER, known_mac);
		struct dhcp_message offer = ask(w, &m);
		EXPECT(w, dhcp_type(&offer) == DHCP_OFFER && offer.yiaddr.s_addr == 0);
		EXPECT(w, streq(offer.file, row->file));
		EXPECT(w, dhcp_has_prefix(&offer, DHCP_OPT_VENDOR_CLASS, row->proxy_class));
		EXPECT(w, !dhcp_has(&offer, DHCP_OPT_LEASE_TIME));
	}
}

/* With an address from the site's DHCP, from a port of its own. */
static void proxy_4011(void *data)
{
	struct world *w = data;
	int fd = client_socket(&w->clients, "cli0", "10.77.0.200", 4011);
	struct dhcp_message m = row_message(&client_rows[5], DHCP_REQUEST, unknown_mac);
	send_to(w, fd, &m, "10.77.0.1", DHCP_PXE_PORT);
	m = row_message(&client_rows[5], DHCP_REQUEST, known_mac);
	m.ciaddr = ip("10.77.0.200");
	m.xid = 9;
	send_to(w, fd, &m, "10.77.0.1", DHCP_PXE_PORT);
	struct dhcp_message reply = receive(w, fd);
	EXPECT(w, reply.xid == 9 && dhcp_type(&reply) == DHCP_ACK);
	EXPECT(w, streq(reply.file, "snponly.efi"));
	EXPECT(w, w->source == DHCP_PXE_PORT);
	close(fd);
}

static void test_proxy(void **state)
{
	struct world *w = world(state);
	w->config.dhcp = BOOT_DHCP_PROXY;
	w->config.pool_count = 0;
	assert_true(run("nsenter -t %d -n ip addr add 10.77.0.200/24 dev cli0", w->clients.keeper));
	start(w);
	run_script(w->loop, proxy, w);
	run_script(w->loop, proxy_4011, w);
	finish(w);
	assert_int_equal(w->stored, 0);
}

/* --- relay --- */

static void relayed(void *data)
{
	struct world *w = data;
	struct dhcp_message m = row_message(&client_rows[5], DHCP_DISCOVER, known_mac);
	struct dhcp_message reply = ask(w, &m);
	EXPECT(w, dhcp_type(&reply) == DHCP_OFFER);
	EXPECT(w, reply.giaddr.s_addr == ip("10.88.0.1").s_addr);
	EXPECT(w, reply.yiaddr.s_addr == ip("10.88.0.50").s_addr);
	EXPECT(w, streq(reply.file, "snponly.efi"));
	m = message(DHCP_DISCOVER, known_mac);
	dhcp_set(&m, DHCP_OPT_RELAY, "\1\1x", 3); /* a client that poses as a relay: dropped */
	send_to(w, w->client, &m, "255.255.255.255", DHCP_SERVER_PORT);
	m = message(DHCP_DISCOVER, known_mac);
	m.hops = 16; /* has gone around in a circle */
	send_to(w, w->client, &m, "255.255.255.255", DHCP_SERVER_PORT);
	m = request_for(known_mac, reply.yiaddr, true);
	reply = ask(w, &m);
	EXPECT(w, dhcp_type(&reply) == DHCP_ACK);
	m = request_for(known_mac, ip("10.77.0.50"), false); /* came from another subnet */
	reply = ask(w, &m);
	EXPECT(w, dhcp_type(&reply) == DHCP_NAK && reply.flags == DHCP_FLAG_BROADCAST);
}

/* clients (cli0) -- down0 relay up0 -- srv0 server */
static bool wire_up_relay(struct world *w, const struct netns *middle)
{
	pid_t relay = middle->keeper, clients = w->clients.keeper;
	return run("ip link del srv0 && ip link add srv0 type veth peer name up0 && "
		   "ip link set up0 netns %d && ip addr add 10.77.0.1/24 dev srv0 && "
		   "ip link set srv0 up",
		   relay) &&
	       run("nsenter -t %d -n sh -c 'ip link set up0 up && ip addr add 10.77.0.2/24 dev up0 "
		   "&& ip link add down0 type veth peer name cli0 && ip link set cli0 netns %d && "
		   "ip addr add 10.88.0.1/24 dev down0 && ip link set down0 up'",
		   relay, clients) &&
	       run("nsenter -t %d -n ip link set cli0 up", clients) &&
	       run("ip route add 10.88.0.0/24 via 10.77.0.2") && netns_link_up(getpid(), "srv0") &&
	       netns_link_up(relay, "up0") && netns_link_up(relay, "down0") &&
	       netns_link_up(clients, "cli0");
}

static void test_relay(void **state)
{
	struct world *w = world(state);
	struct netns middle = { .fd = -1 };
	struct err err = { 0 };
	struct dhcp_relay *relay = NULL;
	struct dhcp_relay_options options = { "down0", addr("10.88.0.1"), addr("10.77.0.1") };
	assert_true(netns_new(&middle));
	assert_true(wire_up_relay(w, &middle));
	close(w->client);
	w->client = client_socket(&w->clients, "cli0", "0.0.0.0", DHCP_CLIENT_PORT);
	w->config.pools[1] = (struct boot_pool){ .start = addr("10.88.0.50"),
						 .end = addr("10.88.0.50"),
						 .bits = 24 };
	w->config.pool_count = 2;
	start(w);
	int old = netns_enter(&middle);
	if (dhcp_relay_open(w->loop, &options, &relay, &err) < 0)
		fail_msg("%s", err.text);
	netns_back(old);
	dhcp_relay_set_active(relay, true);
	run_script(w->loop, relayed, w);
	dhcp_relay_close(relay);
	netns_free(&middle);
	finish(w);
}

/* --- IPv6 router --- */

static bool advertised(int fd, int flags)
{
	uint8_t advert[64];
	return recv(fd, advert, sizeof(advert), flags) == sizeof(struct nd_router_advert);
}

/* Solicitations wait in another socket than the DISCOVERs, and packets sent from two CPUs may
 * change places. So the client stays on one CPU, and the advertisement for another host shows that
 * what was solicited before it has been read. */
static void router(void *data)
{
	struct world *w = data;
	int fd = solicit_socket(&w->clients);
	struct dhcp_message m;
	stay_on_this_cpu();
	solicit(fd, 1);			       /* nobody has asked for an address yet */
	m = message(DHCP_DISCOVER, known_mac); /* an operating system */
	(void)ask(w, &m);
	solicit(fd, 1);
	m = row_message(&client_rows[5], DHCP_DISCOVER, known_mac); /* firmware */
	(void)ask(w, &m);
	solicit(fd, 1);
	m = row_message(&client_rows[0], DHCP_DISCOVER, unknown_mac);
	send_to(w, w->client, &m, "255.255.255.255", DHCP_SERVER_PORT);
	m = row_message(&client_rows[0], DHCP_DISCOVER, other_mac); /* iPXE of another host */
	(void)ask(w, &m);
	solicit(fd, 2);
	EXPECT(w, advertised(fd, 0));
	EXPECT(w, !advertised(fd, MSG_DONTWAIT));
	m = row_message(&client_rows[0], DHCP_DISCOVER, known_mac); /* iPXE */
	(void)ask(w, &m);
	solicit(fd, 1);
	EXPECT(w, advertised(fd, 0));
	EXPECT(w, !advertised(fd, MSG_DONTWAIT));
	close(fd);
}

static void test_only_ipxe_hears_of_no_router(void **state)
{
	struct world *w = world(state);
	if (solicit_unusable()) {
		print_message("skipped: %s\n", solicit_unusable());
		skip();
	}
	give_slot(w);
	*record(w,
		&(struct net_mac){ { 0x52, 0x54, 0x00, 0x77, 0x00, 0x02 } }) = addr("10.77.0.51");
	assert_true(solicit_wire_up(&w->clients));
	start(w);
	run_script(w->loop, router, w);
	finish(w);
}

/* --- start --- */

static void test_port_in_use(void **state)
{
	struct world *w = world(state);
	struct dhcp_server *second;
	struct err err = { 0 };
	start(w);
	assert_true(dhcp_server_open(&w->env, &second, &err) < 0);
	assert_non_null(strstr(err.text, "67 on srv0"));
	assert_non_null(strstr(err.text, "dnsmasq"));
	w->server = dhcp_server_close(w->server);
	w->config.device = "nosuch0";
	assert_true(dhcp_server_open(&w->env, &second, &err) < 0);
	assert_non_null(strstr(err.text, "nosuch0"));
	w->config.dhcp = BOOT_DHCP_OFF; /* nothing is bound */
	assert_int_equal(dhcp_server_open(&w->env, &w->server, &err), 0);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_every_client),
		TEST(test_silence),
		TEST(test_repeated_packets_do_not_fill_the_log),
		TEST(test_only_the_leader_answers),
		TEST(test_host_that_boots_its_disk),
		TEST(test_requests),
		TEST(test_renewal_and_inform),
		TEST(test_address_in_use),
		TEST(test_own_address_is_no_conflict),
		TEST(test_decline),
		TEST(test_declines_do_not_empty_the_range),
		TEST(test_full_range),
		TEST(test_two_hosts_at_once),
		TEST(test_not_offered_unless_stored),
		TEST(test_closed_while_probing_or_storing),
		TEST(test_fixed_address),
		TEST(test_fixed_address_that_cannot_be),
		TEST(test_fixed_address_in_use),
		TEST(test_lease_options),
		TEST(test_proxy),
		TEST(test_relay),
		TEST(test_only_ipxe_hears_of_no_router),
		TEST(test_port_in_use),
	};
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
