/* The DHCPv6 server over real sockets: clients and relays are scripts in a namespace of their own.
 * That somebody is not answered shows by what comes next: the answer to a later question. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <netpacket/packet.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "boot/dhcp_server.h"
#include "boot/link6.h"
#include "boot/probe.h"
#include "unit/boot/netns.h"
#include "unit/boot/solicit.h"
#include "unit/wire/dhcp6_packets.h"
#include "wire/dhcp6.h"

enum { HOSTS = 4, ADVERT_MAX = 128 };

static const struct net_mac known = { { 0x52, 0x54, 0x00, 0x77, 0x00, 0x01 } }; /* cli0's */
static const struct net_mac other = { { 0x52, 0x54, 0x00, 0x77, 0x00, 0x02 } };
static const uint8_t server_uuid[16] = "ingot test uuid";

static const struct boot_file files[] = {
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
	struct net_addr fixed; /* of `known` */
	unsigned stored, offered_before_stored, taken;
	unsigned stages[BOOT_STAGE_SYSTEM + 1];
	unsigned strangers[BOOT_REQUEST_SCRIPT + 1];
	int client, relay;  /* ports 546 and 547 of the clients' side */
	const char *failed; /* what went wrong in a script */
	uint32_t xid;
};

static struct net_addr addr6(const char *text)
{
	struct net_addr a;
	assert_int_equal(net_parse_ip(text, &a), 0);
	return a;
}

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
	*ret = *record(data, mac);
	return family == AF_INET6 && net_is_set(ret);
}

static bool slot_fixed(void *data, const struct net_mac *mac, int family, struct net_addr *ret)
{
	const struct world *w = data;
	*ret = w->fixed;
	return family == AF_INET6 && net_mac_equal(mac, &known) && net_is_set(&w->fixed);
}

static void slot_taken(void *data, const struct net_mac *mac, const struct net_addr *address)
{
	struct world *w = data;
	w->taken += net_mac_equal(mac, &known) && net_same_ip(address, &w->fixed);
}

static bool slot_used(void *data, const struct net_addr *address)
{
	const struct world *w = data;
	for (size_t i = 0; i < HOSTS; i++)
		if (net_same_ip(&w->records[i].slot, address))
			return true;
	return net_same_ip(&w->fixed, address);
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
	*record(x->world, &x->mac) = x->slot;
	x->world->stored += net_is_set(&x->slot);
	x->done(x->data, NULL);
	free(x);
}

static void slot_set(void *data, const struct net_mac *mac, int family,
		     const struct net_addr *address, boot_slot_done_fn done, void *done_data)
{
	struct write *x = xcalloc(1, sizeof(*x));
	struct world *w = data;
	assert_int_equal(family, AF_INET6);
	*x = (struct write){ .world = w, .mac = *mac, .done = done, .data = done_data };
	if (address)
		x->slot = *address;
	loop_post(w->loop, write_end, x);
}

static void seen(void *data, const struct net_mac *mac, enum boot_stage stage)
{
	struct world *w = data;
	w->stages[stage]++;
	w->offered_before_stored += !net_is_set(record(w, mac));
}

static void stranger(void *data, const struct net_mac *mac, enum boot_request request)
{
	struct world *w = data;
	(void)mac;
	w->strangers[request]++;
}

static const struct boot_ops ops = { .find = find,
				     .slot_get = slot_get,
				     .slot_fixed = slot_fixed,
				     .slot_taken = slot_taken,
				     .slot_used = slot_used,
				     .slot_set = slot_set,
				     .seen = seen,
				     .stranger = stranger };

static int udp6(const struct netns *n, uint16_t port)
{
	struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	const struct timeval patience = { 5, 0 };
	int old = netns_enter(n);
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "cli0", 5) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		abort();
	netns_back(old);
	return fd;
}

static bool wire_up(const struct world *w)
{
	return netns_pair((struct netns *)&w->clients) && solicit_wire_up(&w->clients) &&
	       run("ip addr add fd77::1/64 dev srv0 nodad && nsenter -t %d -n ip addr add "
		   "fd77::2/64 dev cli0 nodad",
		   w->clients.keeper) &&
	       run("ip route add fd78::/64 via fd77::2");
}

static const char *unusable(void)
{
	return netns_unusable() ? netns_unusable() : solicit_unusable();
}

static int set_up(void **state)
{
	struct err err;
	if (unusable())
		return 0;
	struct world *w = xcalloc(1, sizeof(*w));
	*state = w;
	if (!wire_up(w) || loop_new(&w->loop, &err) < 0)
		return -1;
	w->config = (struct boot_config){
		.device = "srv0",
		.address6 = addr6("fd77::1"),
		.dhcp = BOOT_DHCP_SERVER,
		.tftp = true,
		.pools = { { .start = addr6("fd77::50"), .end = addr6("fd77::51"), .bits = 64 },
			   { .start = addr6("fd78::50"), .end = addr6("fd78::50"), .bits = 64 } },
		.pool_count = 2,
		.dns = { addr6("fd77::53"), net_from_v4((struct in_addr){ 1 }) },
		.dns_count = 2,
		.domain = "lab.example",
		.http_url6 = "http://[fd77::1]:8080",
		.files = files,
	};
	memcpy(w->config.server_uuid, server_uuid, sizeof(server_uuid));
	w->host = (struct boot_host){ .name = "metal3/node-0", .target = BOOT_TARGET_RAMDISK };
	w->env = (struct boot_env){ w->loop, &w->config, &ops, w };
	w->client = udp6(&w->clients, DHCP6_CLIENT_PORT);
	w->relay = udp6(&w->clients, DHCP6_SERVER_PORT);
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	if (!w)
		return 0;
	dhcp_server_close(w->server);
	close(w->client);
	close(w->relay);
	loop_free(w->loop);
	netns_free(&w->clients);
	free(w);
	return 0;
}

static struct world *world(void **state)
{
	if (unusable()) {
		print_message("skipped: %s\n", unusable());
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

/* As it was recorded, but for the addresses and the server's identifier of another network. */
static struct dhcp6_message recorded(const char *hex)
{
	struct dhcp6_message all, m = { 0 };
	uint8_t bytes[DHCP6_SIZE_MAX];
	size_t len = strlen(hex) / 2;
	if (hex_decode(hex, bytes, len) < 0 || dhcp6_decode(bytes, len, &all) < 0)
		abort();
	m.type = all.type;
	for (size_t i = 0; i < all.option_count; i++)
		if (all.options[i].code != DHCP6_OPT_SERVER_ID &&
		    all.options[i].code != DHCP6_OPT_IA_NA)
			dhcp6_echo(&m, &all, all.options[i].code);
	return m;
}

static void add_server(struct dhcp6_message *m)
{
	uint8_t id[18] = { 0, 4 };
	memcpy(id + 2, server_uuid, sizeof(server_uuid));
	dhcp6_add(m, DHCP6_OPT_SERVER_ID, id, sizeof(id));
}

/* address NULL: none is named. */
static void add_ia(struct dhcp6_message *m, uint32_t iaid, const char *address)
{
	struct dhcp6_ia ia = { .code = DHCP6_OPT_IA_NA, .iaid = iaid };
	struct dhcp6_address a = { .preferred = 1, .valid = 2 };
	if (address && inet_pton(AF_INET6, address, &a.ip) != 1)
		abort();
	dhcp6_add_ia(m, &ia, &a, address != NULL, DHCP6_SUCCESS, "");
}

static struct dhcp6_message solicit6(const char *hex)
{
	struct dhcp6_message m = recorded(hex);
	m.type = DHCP6_SOLICIT;
	add_ia(&m, 7, NULL);
	return m;
}

static struct dhcp6_message with_address(const char *hex, enum dhcp6_type type, const char *address)
{
	struct dhcp6_message m = recorded(hex);
	m.type = type;
	if (type != DHCP6_REBIND && type != DHCP6_CONFIRM)
		add_server(&m);
	add_ia(&m, 7, address);
	return m;
}

static void send_bytes(struct world *w, int fd, const char *to, const uint8_t *bytes, size_t len)
{
	struct sockaddr_in6 dest = { .sin6_family = AF_INET6,
				     .sin6_port = htons(DHCP6_SERVER_PORT) };
	EXPECT(w, inet_pton(AF_INET6, to, &dest.sin6_addr) == 1);
	EXPECT(w, w->failed || sendto(fd, bytes, len, 0, (struct sockaddr *)&dest, sizeof(dest)) ==
				       (ssize_t)len);
}

#define ALL_SERVERS "ff02::1:2"

static void send_to(struct world *w, int fd, const char *to, struct dhcp6_message *m)
{
	uint8_t packet[DHCP6_SIZE_MAX];
	size_t len = 0;
	m->xid = ++w->xid;
	EXPECT(w, dhcp6_encode(m, packet, &len) == 0);
	send_bytes(w, fd, to, packet, len);
}

static struct dhcp6_message receive(struct world *w, int fd)
{
	uint8_t packet[2048];
	struct dhcp6_message m = { 0 };
	struct sockaddr_in6 from = { 0 };
	socklen_t len = sizeof(from);
	if (w->failed)
		return m;
	ssize_t n = recvfrom(fd, packet, sizeof(packet), 0, (struct sockaddr *)&from, &len);
	EXPECT(w, n > 0);
	EXPECT(w, dhcp6_decode(packet, n > 0 ? (size_t)n : 0, &m) == 0);
	EXPECT(w, ntohs(from.sin6_port) == DHCP6_SERVER_PORT);
	EXPECT(w, m.xid == w->xid);
	return m;
}

static struct dhcp6_message ask(struct world *w, struct dhcp6_message *m)
{
	send_to(w, w->client, ALL_SERVERS, m);
	return receive(w, w->client);
}

/* The address that the answer gives for good, as text; "" for none. */
static const char *given(const struct dhcp6_message *m, size_t n)
{
	static char text[INET6_ADDRSTRLEN];
	struct dhcp6_ia ia;
	struct dhcp6_address a;
	if (!dhcp6_get_ia(m, n, &ia) || !dhcp6_get_address(&ia, 0, &a) || a.valid == 0)
		return "";
	return inet_ntop(AF_INET6, &a.ip, text, sizeof(text));
}

static enum dhcp6_status status(const struct dhcp6_message *m, size_t n)
{
	struct dhcp6_ia ia;
	return dhcp6_get_ia(m, n, &ia) ? dhcp6_get_status(m, &ia) : DHCP6_UNSPECIFIED_FAILURE;
}

static bool has_text(const struct dhcp6_message *m, uint16_t code, const char *want)
{
	size_t len;
	const uint8_t *value = dhcp6_get(m, code, &len);
	return want ? value && len == strlen(want) && memcmp(value, want, len) == 0 : !value;
}

static void finish(struct world *w)
{
	if (w->failed)
		fail_msg("the client's script: %s", w->failed);
	loop_drain(w->loop); /* stores whose end is posted */
	assert_int_equal(w->offered_before_stored, 0);
}

/* --- boots ------------------------------------------------------------------------------------ */

#define SCRIPT_URL "http://[fd77::1]:8080/boot/52-54-00-77-00-01.ipxe"

static const struct client_row {
	const char *hex;
	const char *ramdisk_url, *disk_url; /* NULL: none */
	bool http;
	enum boot_stage stage;
} clients[] = {
	{ ovmf_policy_solicit, NULL, NULL, false, BOOT_STAGE_LEASED },
	{ ovmf_pxe_solicit, "tftp://[fd77::1]/snponly.efi", NULL, false, BOOT_STAGE_LEASED },
	{ ovmf_http_solicit, "http://[fd77::1]:8080/boot/snponly.efi",
	  "http://[fd77::1]:8080/boot/none", true, BOOT_STAGE_LEASED },
	{ ipxe_solicit, SCRIPT_URL, SCRIPT_URL, false, BOOT_STAGE_LEASED },
	{ dhclient_solicit, NULL, NULL, false, BOOT_STAGE_SYSTEM },
};

static void lease(struct world *w, const struct client_row *row)
{
	bool disk = w->host.target == BOOT_TARGET_NONE;
	const char *url = disk ? row->disk_url : row->ramdisk_url;
	struct dhcp6_message m = solicit6(row->hex), advert = ask(w, &m);
	size_t len = 0;
	const uint8_t *preference = dhcp6_get(&advert, DHCP6_OPT_PREFERENCE, &len);
	EXPECT(w, advert.type == DHCP6_ADVERTISE);
	EXPECT(w, preference && len == 1 && *preference == 255);
	EXPECT(w, str_has_prefix(given(&advert, 0), "fd77::5"));
	EXPECT(w, has_text(&advert, DHCP6_OPT_BOOT_FILE_URL, url));
	EXPECT(w, dhcp6_has_vendor_class(&advert, "HTTPClient") == row->http);
	m = with_address(row->hex, DHCP6_REQUEST, given(&advert, 0));
	struct dhcp6_message reply = ask(w, &m);
	EXPECT(w, reply.type == DHCP6_REPLY);
	EXPECT(w, !dhcp6_has(&reply, DHCP6_OPT_PREFERENCE));
	EXPECT(w, str_has_prefix(given(&reply, 0), "fd77::5"));
	EXPECT(w, has_text(&reply, DHCP6_OPT_BOOT_FILE_URL, url));
	EXPECT(w, dhcp6_has(&reply, DHCP6_OPT_DNS) == dhcp6_asks(&m, DHCP6_OPT_DNS));
	EXPECT(w, dhcp6_has(&reply, DHCP6_OPT_DOMAINS) == dhcp6_asks(&m, DHCP6_OPT_DOMAINS));
	EXPECT(w, has_text(&reply, DHCP6_OPT_DNS, NULL) ||
			  (dhcp6_get(&reply, DHCP6_OPT_DNS, &len) && len == 16));
}

static void every_client(void *data)
{
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		lease(data, &clients[i]);
}

static void test_every_client(void **state)
{
	struct world *w = world(state);
	start(w);
	run_script(w->loop, every_client, w);
	finish(w);
	assert_int_equal(w->stored, 1); /* the slot is found once */
	assert_int_equal(w->stages[BOOT_STAGE_LEASED], 4);
	assert_int_equal(w->stages[BOOT_STAGE_SYSTEM], 1);
	w->host.target = BOOT_TARGET_NONE;
	run_script(w->loop, every_client, w);
	finish(w);
}

static void silence(void *data)
{
	struct world *w = data;
	struct dhcp6_message m;
	uint8_t cut[] = { DHCP6_SOLICIT, 0, 0, 1, 0, 1, 0, 9 };
	/* Without an identifier, with one of a server, of another server, by unicast. */
	m = (struct dhcp6_message){ .type = DHCP6_SOLICIT };
	add_ia(&m, 7, NULL);
	send_to(w, w->client, ALL_SERVERS, &m);
	m = solicit6(dhclient_solicit);
	add_server(&m);
	send_to(w, w->client, ALL_SERVERS, &m);
	m = recorded(dhclient_solicit);
	m.type = DHCP6_REQUEST;
	dhcp6_add(&m, DHCP6_OPT_SERVER_ID, "\0\4site's DHCP serv.", 18);
	add_ia(&m, 7, "fd77::50");
	send_to(w, w->client, ALL_SERVERS, &m);
	m = solicit6(dhclient_solicit);
	send_to(w, w->client, "fd77::1", &m);
	/* What servers send, what is cut off, what has no address to confirm. */
	m = recorded(dnsmasq_reply);
	send_to(w, w->client, ALL_SERVERS, &m);
	send_bytes(w, w->client, ALL_SERVERS, cut, sizeof(cut));
	m = with_address(dhclient_solicit, DHCP6_CONFIRM, NULL);
	send_to(w, w->client, ALL_SERVERS, &m);
	m = solicit6(dhclient_solicit);
	struct dhcp6_message reply = ask(w, &m); /* checks that it is the answer to this one */
	EXPECT(w, reply.type == DHCP6_ADVERTISE);
}

static void test_silence(void **state)
{
	struct world *w = world(state);
	*record(w, &known) = addr6("fd77::50");
	start(w);
	run_script(w->loop, silence, w);
	finish(w);
}

static void strange(void *data)
{
	struct world *w = data;
	struct dhcp6_message m = solicit6(ovmf_pxe_solicit);
	stay_on_this_cpu();
	/* Its identifier names a host of ours: the frame does not. */
	m = solicit6(dhclient_ll_solicit);
	send_to(w, w->client, ALL_SERVERS, &m);
	m = solicit6(ovmf_pxe_solicit);
	send_to(w, w->client, ALL_SERVERS, &m);
	m = solicit6(ipxe_solicit);
	send_to(w, w->client, ALL_SERVERS, &m);
	EXPECT(w, run("nsenter -t %d -n ip link set cli0 address 52:54:00:77:00:02",
		      w->clients.keeper));
	m = solicit6(ovmf_pxe_solicit);
	struct dhcp6_message reply = ask(w, &m);
	EXPECT(w, reply.type == DHCP6_ADVERTISE);
}

static void test_strangers(void **state)
{
	struct world *w = world(state);
	*record(w, &other) = addr6("fd77::51");
	assert_true(run("nsenter -t %d -n ip link set cli0 address 52:54:00:99:00:01",
			w->clients.keeper));
	start(w);
	run_script(w->loop, strange, w);
	finish(w);
	assert_int_equal(w->strangers[BOOT_REQUEST_PXE], 1);
	assert_int_equal(w->strangers[BOOT_REQUEST_IPXE], 1);
	assert_int_equal(w->stored, 0);
}

static void inactive(void *data)
{
	struct world *w = data;
	struct dhcp6_message m = solicit6(dhclient_solicit);
	const struct timeval short_time = { 0, 300000 };
	uint8_t packet[64];
	(void)setsockopt(w->client, SOL_SOCKET, SO_RCVTIMEO, &short_time, sizeof(short_time));
	send_to(w, w->client, ALL_SERVERS, &m);
	EXPECT(w, recv(w->client, packet, sizeof(packet), 0) < 0);
}

static void test_only_the_leader_answers(void **state)
{
	struct world *w = world(state);
	*record(w, &known) = addr6("fd77::50");
	start(w);
	dhcp_server_set_active(w->server, false);
	run_script(w->loop, inactive, w);
	finish(w);
}

/* --- addresses -------------------------------------------------------------------------------- */

static void lost_record(void *data)
{
	struct world *w = data;
	struct dhcp6_message m, reply;
	/* Whoever asks all servers may be known by another one. */
	m = with_address(dhclient_solicit, DHCP6_REBIND, "fd77::51");
	send_to(w, w->client, ALL_SERVERS, &m);
	m = with_address(dhclient_solicit, DHCP6_RENEW, "fd77::51");
	reply = ask(w, &m);
	EXPECT(w, reply.type == DHCP6_REPLY && status(&reply, 0) == DHCP6_NO_BINDING);
	/* What the client asks for then is found as for a new one, and it keeps what it had. */
	m = with_address(dhclient_solicit, DHCP6_REQUEST, "fd77::51");
	reply = ask(w, &m);
	EXPECT(w, reply.type == DHCP6_REPLY && streq(given(&reply, 0), "fd77::51"));
	m = with_address(dhclient_solicit, DHCP6_REBIND, "fd77::51");
	reply = ask(w, &m);
	EXPECT(w, streq(given(&reply, 0), "fd77::51"));
}

static void test_lost_record(void **state)
{
	struct world *w = world(state);
	start(w);
	run_script(w->loop, lost_record, w);
	finish(w);
	assert_int_equal(w->stored, 1);
	assert_int_equal(w->stages[BOOT_STAGE_SYSTEM], 1);
}

static void renewals(void *data)
{
	struct world *w = data;
	struct dhcp6_ia ia;
	struct dhcp6_address a = { .valid = 1 };
	struct dhcp6_message m = with_address(dhclient_solicit, DHCP6_RENEW, "fd77::50");
	struct dhcp6_message reply = ask(w, &m);
	EXPECT(w, streq(given(&reply, 0), "fd77::50"));
	EXPECT(w, dhcp6_get_ia(&reply, 0, &ia) && ia.iaid == 7 && ia.t1 == 1800 && ia.t2 == 2880);
	/* Another address ends beside it. */
	m = with_address(dhclient_solicit, DHCP6_RENEW, "fd77::99");
	reply = ask(w, &m);
	EXPECT(w, streq(given(&reply, 0), "fd77::50"));
	EXPECT(w, dhcp6_get_ia(&reply, 0, &ia) && dhcp6_get_address(&ia, 1, &a) && a.valid == 0);
	/* One host, one address. */
	m = solicit6(dhclient_solicit);
	add_ia(&m, 8, NULL);
	dhcp6_add(&m, DHCP6_OPT_IA_TA, "\0\0\0\1", 4);
	dhcp6_add(&m, DHCP6_OPT_IA_PD, "\0\0\0\1\0\0\0\0\0\0\0\0", 12);
	reply = ask(w, &m);
	EXPECT(w, streq(given(&reply, 0), "fd77::50"));
	EXPECT(w,
	       status(&reply, 1) == DHCP6_NO_ADDRESSES && status(&reply, 2) == DHCP6_NO_ADDRESSES);
	EXPECT(w, status(&reply, 3) == DHCP6_NO_PREFIXES);
	m = recorded(dhclient_solicit);
	dhcp6_add(&m, DHCP6_OPT_IA_PD, "\0\0\0\1\0\0\0\0\0\0\0\0", 12);
	reply = ask(w, &m);
	EXPECT(w, reply.type == DHCP6_ADVERTISE && status(&reply, 0) == DHCP6_NO_PREFIXES);
}

static void others(void *data)
{
	struct world *w = data;
	struct dhcp6_message m = with_address(dhcpcd_confirm, DHCP6_CONFIRM, "fd77::99");
	struct dhcp6_message reply = ask(w, &m);
	EXPECT(w, reply.type == DHCP6_REPLY && dhcp6_get_status(&reply, NULL) == DHCP6_SUCCESS);
	m = with_address(dhcpcd_confirm, DHCP6_CONFIRM, "fd79::99");
	reply = ask(w, &m);
	EXPECT(w, dhcp6_get_status(&reply, NULL) == DHCP6_NOT_ON_LINK);
	m = with_address(dhclient_solicit, DHCP6_RELEASE, "fd77::50");
	reply = ask(w, &m);
	EXPECT(w, reply.type == DHCP6_REPLY && dhcp6_get_status(&reply, NULL) == DHCP6_SUCCESS);
	m = recorded(dhclient_information);
	reply = ask(w, &m);
	EXPECT(w, reply.type == DHCP6_REPLY && dhcp6_has(&reply, DHCP6_OPT_DNS));
	EXPECT(w, !dhcp6_has(&reply, DHCP6_OPT_IA_NA));
	m = solicit6(dhclient_solicit);
	dhcp6_add(&m, DHCP6_OPT_RAPID_COMMIT, NULL, 0);
	reply = ask(w, &m);
	EXPECT(w, reply.type == DHCP6_REPLY && dhcp6_has(&reply, DHCP6_OPT_RAPID_COMMIT));
	EXPECT(w, streq(given(&reply, 0), "fd77::50"));
}

static void test_messages(void **state)
{
	struct world *w = world(state);
	*record(w, &known) = addr6("fd77::50");
	start(w);
	run_script(w->loop, renewals, w);
	run_script(w->loop, others, w);
	finish(w);
	assert_int_equal(w->stored, 0); /* RELEASE took nothing away */
}

static void decline(void *data)
{
	struct world *w = data;
	struct dhcp6_message m = with_address(dhclient_solicit, DHCP6_DECLINE, "fd77::50");
	struct dhcp6_message reply = ask(w, &m);
	EXPECT(w, dhcp6_get_status(&reply, NULL) == DHCP6_SUCCESS);
	m = solicit6(dhclient_solicit);
	reply = ask(w, &m);
	EXPECT(w, streq(given(&reply, 0), "fd77::51"));
}

static void test_decline(void **state)
{
	struct world *w = world(state);
	*record(w, &known) = addr6("fd77::50");
	start(w);
	run_script(w->loop, decline, w);
	finish(w);
}

static void fixed_address(void *data)
{
	struct world *w = data;
	struct dhcp6_message m = solicit6(dhclient_solicit), reply = ask(w, &m);
	EXPECT(w, streq(given(&reply, 0), "fd77::99"));
}

static void test_fixed_address(void **state)
{
	struct world *w = world(state);
	w->fixed = addr6("fd77::99"); /* of the subnet, not of the range */
	start(w);
	run_script(w->loop, fixed_address, w);
	finish(w);
}

/* --- probes ----------------------------------------------------------------------------------- */

struct probed {
	struct loop *loop;
	int taken;
};

static void on_probed(void *data, bool taken)
{
	struct probed *p = data;
	p->taken = taken;
	loop_stop(p->loop);
}

static bool is_taken(struct world *w, struct boot_prober *prober, const char *address,
		     const struct net_mac *own)
{
	struct probed p = { w->loop, -1 };
	struct net_addr a = addr6(address);
	assert_non_null(boot_probe_start(prober, &a, own, on_probed, &p));
	loop_run(w->loop);
	return p.taken == 1;
}

static void test_probe(void **state)
{
	struct world *w = world(state);
	struct boot_prober *prober;
	struct err err;
	assert_true(
		run("nsenter -t %d -n ip addr add fd77::60/64 dev cli0 nodad", w->clients.keeper));
	assert_int_equal(boot_prober_open(w->loop, AF_INET6, "srv0", &prober, &err), 0);
	assert_true(is_taken(w, prober, "fd77::60", &other));
	assert_false(is_taken(w, prober, "fd77::60", &known)); /* its own */
	assert_false(is_taken(w, prober, "fd77::61", &other));
	/* Behind a router there is only the echo. */
	assert_true(
		run("nsenter -t %d -n ip addr add fd78::60/64 dev lo nodad", w->clients.keeper));
	assert_true(is_taken(w, prober, "fd78::60", &other));
	boot_prober_close(prober);
}

/* The first packet finds nobody, as if it were lost. */
static void test_probe_asks_again(void **state)
{
	struct world *w = world(state);
	struct boot_prober *prober;
	struct err err;
	struct probed p = { w->loop, -1 };
	struct net_addr a = addr6("fd77::62");
	assert_int_equal(boot_prober_open(w->loop, AF_INET6, "srv0", &prober, &err), 0);
	assert_non_null(boot_probe_start(prober, &a, &other, on_probed, &p));
	assert_true(run("nsenter -t %d -n sh -c 'ip addr add fd77::62/64 dev cli0 nodad; "
			"until ip maddr show dev cli0 | grep -q ff02::1:ff00:62; do :; done'",
			w->clients.keeper));
	loop_run(w->loop);
	assert_int_equal(p.taken, 1);
	boot_prober_close(prober);
}

/* The range's other address is another machine's. */
static void test_address_in_use(void **state)
{
	struct world *w = world(state);
	assert_true(run("nsenter -t %d -n sh -c 'ip link add two0 type veth peer name two1 && "
			"ip link add br0 type bridge stp_state 0 forward_delay 0 && "
			"ip link set cli0 master br0 && ip link set two0 master br0 up && "
			"ip link set br0 up && ip link set two1 up && "
			"ip addr add fd77::50/64 dev two1 nodad'",
			w->clients.keeper));
	assert_true(netns_link_up(w->clients.keeper, "two1"));
	struct boot_prober *prober;
	struct err err;
	assert_int_equal(boot_prober_open(w->loop, AF_INET6, "srv0", &prober, &err), 0);
	assert_true(is_taken(w, prober, "fd77::50", &known));
	boot_prober_close(prober);
}

/* --- relays ----------------------------------------------------------------------------------- */

static struct dhcp6_relay *add_relay(struct dhcp6_message *m, const char *link, const char *peer)
{
	struct dhcp6_relay *r = &m->relays[m->relay_count++];
	*r = (struct dhcp6_relay){ .hops = 0 };
	if (inet_pton(AF_INET6, link, &r->link) != 1 || inet_pton(AF_INET6, peer, &r->peer) != 1)
		abort();
	return r;
}

/* The relay's option for a MAC is not among what our encoder writes: it is a relay's business. */
static void send_with_mac(struct world *w, struct dhcp6_message *m, const struct net_mac *mac)
{
	uint8_t packet[DHCP6_SIZE_MAX], option[12] = { 0, DHCP6_OPT_CLIENT_MAC, 0, 8, 0, 1 };
	size_t len = 0;
	m->xid = ++w->xid;
	memcpy(option + 6, mac->bytes, 6);
	EXPECT(w, dhcp6_encode(m, packet, &len) == 0);
	assert_true(len > 34);
	memmove(packet + 34 + sizeof(option), packet + 34, len - 34);
	memcpy(packet + 34, option, sizeof(option));
	send_bytes(w, w->relay, "fd77::1", packet, len + sizeof(option));
}

static void relayed(void *data)
{
	struct world *w = data;
	struct dhcp6_message m = solicit6(ovmf_pxe_solicit), reply;
	/* By the client's link-local address. */
	struct dhcp6_relay *r = add_relay(&m, "fd78::1", "fe80::5054:ff:fe77:2");
	r->has_interface_id = true;
	r->interface_id = (struct dhcp6_option){ DHCP6_OPT_INTERFACE_ID, (uint16_t)m.used, 3 };
	memcpy(m.bytes + m.used, "ge1", 3);
	m.used += 3;
	send_to(w, w->relay, "fd77::1", &m);
	reply = receive(w, w->relay);
	EXPECT(w, reply.type == DHCP6_ADVERTISE && streq(given(&reply, 0), "fd78::50"));
	EXPECT(w, reply.relay_count == 1 && reply.relays[0].interface_id.len == 3);
	EXPECT(w, has_text(&reply, DHCP6_OPT_BOOT_FILE_URL, "tftp://[fd77::1]/snponly.efi"));
	/* By the relay's word, against the address; of no host of ours; by the identifier. */
	m = solicit6(dhclient_solicit);
	add_relay(&m, "fd78::1", "fe80::5054:ff:fe99:1");
	send_with_mac(w, &m, &other);
	reply = receive(w, w->relay);
	EXPECT(w, streq(given(&reply, 0), "fd78::50"));
	m = solicit6(dhclient_solicit);
	add_relay(&m, "fd78::1", "fe80::5054:ff:fe99:1");
	send_to(w, w->relay, "fd77::1", &m);
	m = solicit6(dhclient_solicit);
	add_relay(&m, "fd79::1", "fe80::5054:ff:fe77:2"); /* no range */
	send_to(w, w->relay, "fd77::1", &m);
	m = solicit6(dhclient_solicit); /* its identifier has the MAC of `other` */
	add_relay(&m, "fd77::2", "fd78::1");
	add_relay(&m, "fd78::1", "fe80::1234");
	send_to(w, w->relay, "fd77::1", &m);
	reply = receive(w, w->relay);
	EXPECT(w, reply.relay_count == 2 && streq(given(&reply, 0), "fd78::50"));
	/* A direct message to the port of relays is none. */
	m = solicit6(dhclient_solicit);
	send_to(w, w->relay, "fd77::1", &m);
	m = with_address(dhclient_solicit, DHCP6_CONFIRM, "fd78::50");
	add_relay(&m, "fd78::1", "fe80::5054:ff:fe77:2");
	send_to(w, w->relay, "ff05::1:3", &m);
	reply = receive(w, w->relay);
	EXPECT(w, reply.type == DHCP6_REPLY && dhcp6_get_status(&reply, NULL) == DHCP6_SUCCESS);
}

static void test_relayed(void **state)
{
	struct world *w = world(state);
	start(w);
	run_script(w->loop, relayed, w);
	finish(w);
	assert_int_equal(w->stored, 1);
}

/* --- router advertisements -------------------------------------------------------------------- */

static ssize_t advert(struct world *w, int fd, uint8_t out[ADVERT_MAX])
{
	ssize_t n = recv(fd, out, ADVERT_MAX, 0);
	EXPECT(w, n > 0);
	return n;
}

/* A machine of the site that is no host. */
static void solicit_stranger(int fd)
{
	static const uint8_t packet[] = {
		133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0x52, 0x54, 0, 0x99, 0, 1
	};
	struct sockaddr_in6 to = { .sin6_family = AF_INET6,
				   .sin6_addr = { { { 0xff, 2, [15] = 2 } } } };
	assert_int_equal(sendto(fd, packet, sizeof(packet), 0, (struct sockaddr *)&to, sizeof(to)),
			 sizeof(packet));
}

/* As if a router had passed it on. */
static void solicit_from_far(int fd)
{
	const int far = 254, near = 255;
	assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &far, sizeof(far)), 0);
	solicit(fd, 1);
	assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &near, sizeof(near)), 0);
}

static void routers(void *data)
{
	static const uint8_t want[] = { 134,  0,    0xff, 0xff, 64,   0xc0, 0,	  0,	0,
					0,    0,    0,	  0,	0,    0,    0,	  3,	4,
					64,   0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
					0xff, 0,    0,	  0,	0,    0xfd, 0x77 };
	struct world *w = data;
	uint8_t got[ADVERT_MAX] = { 0 };
	struct dhcp6_message m = solicit6(dhclient_solicit);
	int fd = solicit_socket(&w->clients);
	solicit_stranger(fd);
	solicit_from_far(fd);
	solicit(fd, 1);
	ssize_t n = advert(w, fd, got);
	got[2] = got[3] = 0xff; /* the checksum, which the kernel has looked at */
	EXPECT(w, n == 48 && memcmp(got, want, sizeof(want)) == 0);
	(void)ask(w, &m); /* what was sent before has been answered, or not */
	EXPECT(w, recv(fd, got, sizeof(got), MSG_DONTWAIT) < 0 && errno == EAGAIN);
	close(fd);
}

static void test_router_adverts(void **state)
{
	struct world *w = world(state);
	w->config.router_adverts = true;
	start(w);
	run_script(w->loop, routers, w);
	finish(w);
}

/* As EDK2 asks: from "::", without its MAC. The answer is to all nodes, and reaches one. */
static void unnamed(void *data)
{
	static const uint8_t frame[] = { 0x33,
					 0x33,
					 0,
					 0,
					 0,
					 2,
					 0x52,
					 0x54,
					 0,
					 0x77,
					 0,
					 1,
					 0x86,
					 0xdd,
					 0x60,
					 0,
					 0,
					 0,
					 0,
					 8,
					 58,
					 255,
					 [54 - 1] = 2,
					 [38] = 0xff,
					 2,
					 [54] = 133,
					 0,
					 0x7b,
					 0xb8,
					 0,
					 0,
					 0,
					 0 };
	struct world *w = data;
	uint8_t got[ADVERT_MAX] = { 0 };
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_halen = 6 };
	int fd = solicit_socket(&w->clients);
	int old = netns_enter(&w->clients);
	int raw = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	to.sll_ifindex = (int)if_nametoindex("cli0");
	netns_back(old);
	EXPECT(w, sendto(raw, frame, sizeof(frame), 0, (struct sockaddr *)&to, sizeof(to)) > 0);
	EXPECT(w, advert(w, fd, got) == 48);
	close(raw);
	close(fd);
}

static void test_unnamed_solicitation(void **state)
{
	struct world *w = world(state);
	w->config.router_adverts = true;
	start(w);
	run_script(w->loop, unnamed, w);
	finish(w);
}

int main(void)
{
	log_set_level(LOG_ERROR);
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(test_every_client),   CASE(test_silence),
		CASE(test_strangers),	   CASE(test_only_the_leader_answers),
		CASE(test_lost_record),	   CASE(test_messages),
		CASE(test_decline),	   CASE(test_fixed_address),
		CASE(test_probe),	   CASE(test_probe_asks_again),
		CASE(test_address_in_use), CASE(test_relayed),
		CASE(test_router_adverts), CASE(test_unnamed_solicitation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
