/* The IPMI driver over real sockets, against BMCs written from the specification (sim/bmc_ipmi.h)
 * that run on the same loop and misbehave as told. Retransmission times are short, so that lost
 * packets cost little; no case depends on how long something takes. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/macro.h"
#include "base/mem.h"
#include "base/str.h"
#include "bmc/driver.h"
#include "bmc/ipmi/ipmi.h"
#include "sim/bmc_ipmi.h"
#include "unit/bmc/asking.h"

#define MSEC USEC_PER_MSEC
#define HOUR (3600 * USEC_PER_SEC)

enum { QUEUE = 64 };

/* One behind a UDP socket. */
struct peer {
	struct sim_bmc bmc;
	struct loop *loop;
	int fd;
	struct loop_io *io;
	struct net_addr addr;
	bool junk; /* answers with bytes that are no IPMI */
	/* Each answer takes so long, one after another, as in a BMC with one slow thread. */
	usec_t slowness;
	unsigned slow_payload; /* only to this payload type, and what comes behind it; 0: to all */
	int stranger;	       /* another socket that answers in its place; -1: none */
	struct timer timer;
	struct {
		struct net_addr to;
		size_t len;
		uint8_t data[SIM_BMC_PACKET_MAX];
	} queue[QUEUE];
	unsigned queued;
};

struct bench {
	struct asking a;
	struct bmc_driver *driver;
	struct peer peer;
	struct bmc_options bmc_options;
	struct timer tick;
	unsigned fence_after; /* packets */
	const char *key;      /* the fence must be asked for it */
};

/* --- the peer -------------------------------------------------------------------------------- */

static void reply(struct peer *p, const uint8_t *data, size_t len, const struct net_addr *to)
{
	int fd = p->stranger >= 0 ? p->stranger : p->fd;
	if (len > 0)
		(void)sendto(fd, data, len, 0, &to->sa, net_len(to));
}

static void reply_first(void *data)
{
	struct peer *p = data;
	uint8_t answer[SIM_BMC_PACKET_MAX];
	size_t n = sim_bmc_answer(&p->bmc, p->queue[0].data, p->queue[0].len, answer);
	reply(p, answer, n, &p->queue[0].to);
	memmove(&p->queue[0], &p->queue[1], --p->queued * sizeof(p->queue[0]));
	if (p->queued > 0)
		timer_set_in(&p->timer, p->slowness);
}

static void enqueue(struct peer *p, const uint8_t *data, size_t len, const struct net_addr *from)
{
	if (p->queued == QUEUE)
		return;
	p->queue[p->queued].to = *from;
	p->queue[p->queued].len = len;
	memcpy(p->queue[p->queued].data, data, len);
	if (p->queued++ == 0)
		timer_set_in(&p->timer, p->slowness);
}

static void on_packet(void *data, int events)
{
	struct peer *p = data;
	uint8_t packet[SIM_BMC_PACKET_MAX], answer[SIM_BMC_PACKET_MAX];
	struct net_addr from;
	socklen_t from_len = sizeof(from);
	(void)events;
	ssize_t n = recvfrom(p->fd, packet, sizeof(packet), MSG_DONTWAIT, &from.sa, &from_len);
	if (n <= 0)
		return;
	if (p->junk) {
		static const char text[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
		p->bmc.requests++;
		reply(p, (const uint8_t *)text, sizeof(text), &from);
		return;
	}
	bool slow = !p->slow_payload || p->queued > 0 || packet[5] == p->slow_payload;
	if (p->slowness > 0 && slow) {
		enqueue(p, packet, (size_t)n, &from);
		return;
	}
	reply(p, answer, sim_bmc_answer(&p->bmc, packet, (size_t)n, answer), &from);
}

static int peer_open(struct peer *p, struct loop *loop, const char *ip)
{
	socklen_t len = sizeof(p->addr);
	*p = (struct peer){ .bmc = sim_bmc_make(), .loop = loop, .stranger = -1 };
	timer_init(&p->timer, loop, "peer", reply_first, p);
	assert_int_equal(net_parse_ip(ip, &p->addr), 0);
	p->fd = socket(net_family(&p->addr), SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (p->fd < 0 || bind(p->fd, &p->addr.sa, net_len(&p->addr)) < 0)
		return -1;
	assert_int_equal(getsockname(p->fd, &p->addr.sa, &len), 0);
	assert_int_equal(loop_io_open(loop, p->fd, LOOP_READ, "peer", on_packet, p, &p->io, NULL),
			 0);
	return 0;
}

static void peer_close(struct peer *p)
{
	timer_stop(&p->timer);
	loop_io_close(p->io);
	close(p->fd);
}

/* --- the bench ------------------------------------------------------------------------------- */

static void expect_text(struct bench *t, const char *text)
{
	if (!strstr(t->a.last.err.text, text))
		fail_msg("\"%s\" is not in: %s", text, t->a.last.err.text);
}

/* Lets the loop run for a while, or until the last result. */
static void pass(struct bench *t, usec_t span)
{
	timer_set_in(&t->tick, span);
	loop_run(t->a.loop);
	timer_stop(&t->tick);
}

/* Until no BMC has a session any more. */
static void settle(struct bench *t)
{
	while (ipmi_driver_stats(t->driver).active > 0)
		pass(t, MSEC);
}

static int open_at(struct bench *t, const char *host, const char *user, const char *password,
		   const char *query, struct bmc **ret, struct err *err)
{
	struct bmc_address address;
	struct bmc_credentials c = { (char *)user, (char *)password };
	_cleanup_(freep) char *text = xasprintf("ipmi://%s:%u%s", host, net_port(&t->peer.addr),
						query);
	assert_int_equal(bmc_address_parse(text, &address, NULL), 0);
	int r = bmc_open(t->driver, &address, &c, &t->bmc_options, ret, err);
	bmc_address_done(&address);
	return r;
}

static void reopen(struct bench *t, const char *user, const char *password)
{
	bmc_close(t->a.bmc);
	assert_int_equal(open_at(t, "127.0.0.1", user, password, "", &t->a.bmc, NULL), 0);
}

static void start(struct bench *t, const struct ipmi_options *options)
{
	assert_int_equal(ipmi_driver_new(t->a.loop, options, &t->driver, NULL), 0);
	t->a.bmc = NULL;
	reopen(t, "admin", "secret");
}

static const struct ipmi_options quick = { .session_gap = 1, .retransmit = 20 * MSEC };

static int setup(void **state)
{
	struct bench *t = xcalloc(1, sizeof(*t));
	t->bmc_options.breaker_failures = 1000;
	assert_int_equal(loop_new(&t->a.loop, NULL), 0);
	assert_int_equal(peer_open(&t->peer, t->a.loop, "127.0.0.1"), 0);
	timer_init(&t->tick, t->a.loop, "tick", asking_stop, &t->a);
	start(t, &quick);
	*state = t;
	return 0;
}

static void stop(struct bench *t)
{
	t->a.bmc = bmc_close(t->a.bmc);
	assert_int_equal(ipmi_driver_stats(t->driver).active, 0);
	t->driver = bmc_driver_free(t->driver);
}

static void restart(struct bench *t, const struct ipmi_options *options)
{
	stop(t);
	start(t, options);
}

static int teardown(void **state)
{
	struct bench *t = *state;
	stop(t);
	if (t->a.waiting > 0)
		loop_run(t->a.loop); /* what was cancelled */
	peer_close(&t->peer);
	loop_free(t->a.loop);
	free(t);
	return 0;
}

/* --- what works ------------------------------------------------------------------------------ */

/* Three sessions, of six messages the first and of five those with a BMC that is known; eight
 * requests. */
enum { QUIET_REQUESTS = 24 };

static void test_power(void **state)
{
	struct bench *t = *state;
	get_power(&t->a);
	expect(&t->a, "ok ");
	assert_int_equal(t->a.last.power, BMC_POWER_OFF);
	act(&t->a, BMC_ACTION_ON);
	get_power(&t->a);
	expect(&t->a, "ok ok ");
	assert_int_equal(t->a.last.power, BMC_POWER_ON);
	act(&t->a, BMC_ACTION_CYCLE);
	act(&t->a, BMC_ACTION_RESET);
	act(&t->a, BMC_ACTION_SOFT);
	act(&t->a, BMC_ACTION_OFF);
	get_power(&t->a);
	expect(&t->a, "ok ok ok ok ok ");
	assert_int_equal(t->a.last.power, BMC_POWER_OFF);
	static const unsigned want[8] = { 1, 1, 1, 1, 0, 1, 0, 0 };
	assert_int_equal(t->peer.bmc.session.suite, 17);
	settle(t);
	/* On a machine that is too busy to read an answer in time messages are repeated, and
	 * sessions given up; but cycle and reset are sent once. */
	bool calm = t->peer.bmc.requests == QUIET_REQUESTS;
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		assert_in_range(t->peer.bmc.actions[i], want[i],
				calm || i == 2 || i == 3 ? want[i] : want[i] * UINT_MAX);
	if (!calm)
		return;
	assert_int_equal(t->peer.bmc.closes, t->peer.bmc.opens);
	assert_int_equal(ipmi_driver_stats(t->driver).dropped, 0);
}

static void test_boot(void **state)
{
	struct bench *t = *state;
	struct bmc_request set = { .op = BMC_OP_SET_BOOT };
	set.boot = (struct bmc_boot){ BMC_DEVICE_PXE, false, true, NULL };
	ask(&t->a, &set);
	ask(&t->a, &(struct bmc_request){ .op = BMC_OP_GET_BOOT });
	expect(&t->a, "ok ok ");
	assert_int_equal(t->a.last.boot.device, BMC_DEVICE_PXE);
	assert_true(t->a.last.boot.uefi);
	assert_false(t->a.last.boot.persistent);
	assert_int_equal(t->peer.bmc.boot[2], 0x08);
	/* Supermicro's own disk code, after asking who the BMC is. */
	t->peer.bmc.manufacturer = 10876;
	set.boot = (struct bmc_boot){ BMC_DEVICE_DISK, true, true, NULL };
	ask(&t->a, &set);
	expect(&t->a, "ok ");
	assert_int_equal(t->peer.bmc.boot[0], 0xe0);
	assert_int_equal(t->peer.bmc.boot[1], 0x24);
	set.boot = (struct bmc_boot){ .device = BMC_DEVICE_UEFI_HTTP };
	ask(&t->a, &set);
	expect(&t->a, "unsupported ");
	expect_text(t, "cannot make a host boot from uefi-http");
}

static void test_info(void **state)
{
	struct bench *t = *state;
	ask(&t->a, &(struct bmc_request){ .op = BMC_OP_GET_INFO });
	expect(&t->a, "ok ");
	assert_string_equal(t->a.last.info.vendor, "Dell");
	assert_string_equal(t->a.last.info.product, "0x090b");
	assert_string_equal(t->a.last.info.version, "2.47");
	assert_string_equal(t->a.last.info.guid, ""); /* this BMC does not know the command */
}

static void test_ipv6(void **state)
{
	struct bench *t = *state;
	peer_close(&t->peer);
	if (peer_open(&t->peer, t->a.loop, "::1") < 0) {
		printf("# skipped: no IPv6 here\n");
		assert_int_equal(peer_open(&t->peer, t->a.loop, "127.0.0.1"), 0);
		skip();
	}
	bmc_close(t->a.bmc);
	assert_int_equal(open_at(t, "[::1]", "admin", "secret", "", &t->a.bmc, NULL), 0);
	get_power(&t->a);
	expect(&t->a, "ok ");
}

static void test_name(void **state)
{
	struct bench *t = *state;
	bmc_close(t->a.bmc);
	assert_int_equal(open_at(t, "localhost", "admin", "secret", "", &t->a.bmc, NULL), 0);
	ask(&t->a, &(struct bmc_request){ .op = BMC_OP_GET_POWER, .timeout = 500 * MSEC });
	loop_run(t->a.loop);
	/* Where the name leads to ::1 first, nobody listens. */
	if (streq(t->a.trace, "timeout "))
		assert_int_equal(t->peer.bmc.requests, 0);
	else
		assert_string_equal(t->a.trace, "ok ");
}

/* The late result finds nobody. */
static void test_close_while_resolving(void **state)
{
	struct bench *t = *state;
	bmc_close(t->a.bmc);
	assert_int_equal(open_at(t, "localhost", "admin", "secret", "", &t->a.bmc, NULL), 0);
	get_power(&t->a);
	pass(t, 0);
	t->a.bmc = bmc_close(t->a.bmc);
	expect(&t->a, "cancelled ");
}

static void test_unknown_name(void **state)
{
	struct bench *t = *state;
	bmc_close(t->a.bmc);
	assert_int_equal(open_at(t, "nonesuch.invalid", "admin", "secret", "", &t->a.bmc, NULL), 0);
	get_power(&t->a);
	expect(&t->a, "unreachable ");
	expect_text(t, "the name of BMC nonesuch.invalid cannot be resolved: ");
}

/* --- sessions -------------------------------------------------------------------------------- */

/* With a gap of an hour, only what shares the first session can succeed. */
static const struct ipmi_options one_session = { .session_gap = HOUR, .retransmit = 20 * MSEC };

static void test_queued_requests_share_a_session(void **state)
{
	struct bench *t = *state;
	restart(t, &one_session);
	struct bmc_request on = { .op = BMC_OP_SET_POWER, .action = BMC_ACTION_ON };
	on.after_success = true;
	ask(&t->a, &(struct bmc_request){ .op = BMC_OP_SET_BOOT, .boot.device = BMC_DEVICE_PXE });
	ask(&t->a, &on);
	get_power(&t->a);
	expect(&t->a, "ok ok ok ");
	assert_int_equal(t->peer.bmc.opens, 1);
	settle(t);
	assert_int_equal(t->peer.bmc.closes, 1);
}

static void test_sessions_keep_their_distance(void **state)
{
	struct bench *t = *state;
	restart(t, &one_session);
	get_power(&t->a);
	expect(&t->a, "ok ");
	settle(t);
	ask(&t->a, &(struct bmc_request){ .op = BMC_OP_GET_POWER, .timeout = 50 * MSEC });
	expect(&t->a, "timeout ");
	expect_text(t, "the pause between IPMI sessions");
	assert_int_equal(t->peer.bmc.opens, 1);
}

static void test_hold_keeps_the_session(void **state)
{
	struct bench *t = *state;
	restart(t, &one_session);
	for (int i = 0; i < 5; i++) {
		ask(&t->a, &(struct bmc_request){ .op = BMC_OP_GET_POWER,
						  .keep_session = 10 * USEC_PER_SEC });
		expect(&t->a, "ok ");
	}
	assert_int_equal(t->peer.bmc.opens, 1);
	assert_int_equal(t->peer.bmc.closes, 0);
	/* The last one does not hold it, and it is closed. */
	get_power(&t->a);
	expect(&t->a, "ok ");
	settle(t);
	assert_int_equal(t->peer.bmc.closes, 1);
}

static void test_hold_ends(void **state)
{
	struct bench *t = *state;
	ask(&t->a, &(struct bmc_request){ .op = BMC_OP_GET_POWER, .keep_session = 10 * MSEC });
	expect(&t->a, "ok ");
	settle(t);
	assert_int_equal(t->peer.bmc.closes, 1);
}

static void test_new_credentials_end_a_held_session(void **state)
{
	struct bench *t = *state;
	ask(&t->a,
	    &(struct bmc_request){ .op = BMC_OP_GET_POWER, .keep_session = 10 * USEC_PER_SEC });
	expect(&t->a, "ok ");
	t->peer.bmc.password = "other";
	struct bmc_credentials c = { "admin", "other" };
	assert_int_equal(bmc_set_credentials(t->a.bmc, &c, NULL), 0);
	settle(t);
	get_power(&t->a);
	expect(&t->a, "ok ");
	assert_int_equal(t->peer.bmc.opens, 2);
}

/* A busy machine may be slower than the first repetition. */
static unsigned resent(const struct bench *t)
{
	return (unsigned)ipmi_driver_stats(t->driver).resent;
}

static void test_known_bmc_needs_less(void **state)
{
	struct bench *t = *state;
	t->peer.bmc.suites[17] = false;
	get_power(&t->a);
	expect(&t->a, "ok ");
	settle(t);
	/* AUTHCAP, OPEN twice, RAKP 1, RAKP 3, privilege, command, close. */
	assert_int_equal(t->peer.bmc.requests - resent(t), 8);
	get_power(&t->a);
	expect(&t->a, "ok ");
	settle(t);
	assert_int_equal(t->peer.bmc.requests - resent(t), 8 + 6);
	assert_int_equal(t->peer.bmc.session.suite, 3);
	/* A firmware update swapped the suites: what was remembered is forgotten. */
	t->peer.bmc.suites[17] = true;
	t->peer.bmc.suites[3] = false;
	get_power(&t->a);
	expect(&t->a, "ok ");
	assert_int_equal(t->peer.bmc.session.suite, 17);
}

static void test_lost_session(void **state)
{
	static const struct ipmi_options patient = { .session_gap = 1, .retransmit = 300 * MSEC };
	struct bench *t = *state;
	restart(t, &patient);
	ask(&t->a,
	    &(struct bmc_request){ .op = BMC_OP_GET_POWER, .keep_session = 10 * USEC_PER_SEC });
	expect(&t->a, "ok ");
	t->peer.bmc.session.open = false; /* the BMC has restarted */
	get_power(&t->a);
	expect(&t->a, "ok ");
	assert_int_equal(t->peer.bmc.opens, 2);
}

static void test_more_bmcs_than_sessions(void **state)
{
	struct bench *t = *state;
	struct ipmi_options two = quick;
	two.max_sessions = 2;
	restart(t, &two);
	enum { PEERS = 10 };
	struct peer *peers = xcalloc(PEERS, sizeof(*peers));
	struct bmc *bmcs[PEERS], *first = t->a.bmc;
	uint16_t port = net_port(&t->peer.addr);
	for (int i = 0; i < PEERS; i++) {
		assert_int_equal(peer_open(&peers[i], t->a.loop, "127.0.0.1"), 0);
		t->peer.addr = peers[i].addr;
		assert_int_equal(open_at(t, "127.0.0.1", "admin", "secret", "", &bmcs[i], NULL), 0);
		t->a.bmc = bmcs[i];
		get_power(&t->a);
	}
	expect(&t->a, "ok ok ok ok ok ok ok ok ok ok ");
	for (int i = 0; i < PEERS; i++) {
		t->a.bmc = bmcs[i];
		get_power(&t->a);
		if (i % 3 == 0) /* some never get there */
			bmc_close(bmcs[i]);
	}
	loop_run(t->a.loop);
	assert_null(strstr(t->a.trace, "busy"));
	for (int i = 0; i < PEERS; i++) {
		if (i % 3)
			bmc_close(bmcs[i]);
		peer_close(&peers[i]);
	}
	free(peers);
	t->a.bmc = first;
	net_set_port(&t->peer.addr, port);
	assert_int_equal(ipmi_driver_stats(t->driver).waiting, 0);
}

/* The one whose turn it is goes away: the next in line takes its place. */
static void test_place_in_line_passes_on(void **state)
{
	struct bench *t = *state;
	struct ipmi_options one = quick;
	one.max_sessions = 1;
	restart(t, &one);
	struct peer second, third;
	assert_int_equal(peer_open(&second, t->a.loop, "127.0.0.1"), 0);
	assert_int_equal(peer_open(&third, t->a.loop, "127.0.0.1"), 0);
	struct bmc *a = t->a.bmc, *b, *c;
	struct net_addr own = t->peer.addr;
	ask(&t->a,
	    &(struct bmc_request){ .op = BMC_OP_GET_POWER, .keep_session = 10 * USEC_PER_SEC });
	expect(&t->a, "ok ");
	t->peer.addr = second.addr;
	assert_int_equal(open_at(t, "127.0.0.1", "admin", "secret", "", &b, NULL), 0);
	t->a.bmc = b;
	get_power(&t->a);
	t->peer.addr = third.addr;
	assert_int_equal(open_at(t, "127.0.0.1", "admin", "secret", "", &c, NULL), 0);
	t->a.bmc = c;
	get_power(&t->a);
	pass(t, 5 * MSEC);
	assert_int_equal(ipmi_driver_stats(t->driver).waiting, 2);
	bmc_close(a); /* wakes b */
	bmc_close(b);
	expect(&t->a, "cancelled ok ");
	t->peer.addr = own;
	peer_close(&second);
	peer_close(&third);
}

/* --- the network ----------------------------------------------------------------------------- */

static void test_lost_packets(void **state)
{
	struct bench *t = *state;
	static const uint8_t payloads[] = { 0x3f /* AUTHCAP */, 0x10, 0x12, 0x14, 0x00 };
	for (size_t i = 0; i < ARRAY_SIZE(payloads); i++) {
		restart(t, &quick);
		t->peer.bmc.ignore_payload = payloads[i];
		t->peer.bmc.ignore = 1;
		uint64_t before = ipmi_driver_stats(t->driver).resent;
		get_power(&t->a);
		expect(&t->a, "ok ");
		assert_int_equal(t->peer.bmc.ignore, 0);
		assert_true(ipmi_driver_stats(t->driver).resent > before);
	}
}

static void test_silence(void **state)
{
	struct bench *t = *state;
	t->peer.bmc.ignore = UINT_MAX;
	ask(&t->a, &(struct bmc_request){ .op = BMC_OP_GET_POWER, .timeout = 150 * MSEC });
	expect(&t->a, "timeout ");
	expect_text(t, "does not answer IPMI (RMCP+): check the address and the cabling, and that "
		       "IPMI over LAN is enabled");
	expect_text(t, "BMC 127.0.0.1:");
	t->peer.bmc.ignore = 0;
	get_power(&t->a);
	expect(&t->a, "ok ");
}

/* A BMC that knows AUTHCAP and nothing else. */
static void test_silence_later(void **state)
{
	struct bench *t = *state;
	t->peer.bmc.ignore = UINT_MAX;
	t->peer.bmc.ignore_payload = 0x10;
	ask(&t->a, &(struct bmc_request){ .op = BMC_OP_GET_POWER, .timeout = 100 * MSEC });
	expect(&t->a, "timeout ");
	expect_text(t, "went silent while opening a session");
}

/* Some BMCs do not refuse an unknown cipher suite: they say nothing. */
static void test_suite_17_unheard(void **state)
{
	struct bench *t = *state;
	t->peer.bmc.ignore = 2;
	t->peer.bmc.ignore_payload = 0x10;
	get_power(&t->a);
	expect(&t->a, "ok ");
	assert_int_equal(t->peer.bmc.session.suite, 3);
}

static void test_garbage(void **state)
{
	struct bench *t = *state;
	t->peer.junk = true;
	ask(&t->a, &(struct bmc_request){ .op = BMC_OP_GET_POWER, .timeout = 150 * MSEC });
	expect(&t->a, "protocol ");
	expect_text(t, "answers with something that is not IPMI");
}

static void test_forged_answers(void **state)
{
	struct bench *t = *state;
	ask(&t->a, &(struct bmc_request){ .op = BMC_OP_GET_POWER, .keep_session = USEC_PER_SEC });
	expect(&t->a, "ok ");
	t->peer.bmc.corrupt = true;
	ask(&t->a, &(struct bmc_request){ .op = BMC_OP_GET_POWER, .timeout = 100 * MSEC });
	expect(&t->a, "protocol ");
	expect_text(t, "cannot be authenticated");
}

/* One slow thread in the BMC: repetitions queue up behind the first request, and RAKP 1 is answered
 * several times with different numbers. The password is right all the same. */
static void test_slow_bmc(void **state)
{
	struct bench *t = *state;
	t->peer.slowness = 70 * MSEC;
	get_power(&t->a);
	expect(&t->a, "ok ");
	get_power(&t->a);
	expect(&t->a, "ok ");
}

/* The answer to RAKP 1 comes after its repetition has made the BMC choose another number: the proof
 * of the password is then wrong, and the password is not. */
static void test_slow_key_exchange(void **state)
{
	struct bench *t = *state;
	t->peer.slowness = 50 * MSEC;
	t->peer.slow_payload = 0x12;
	get_power(&t->a);
	expect(&t->a, "ok ");
	assert_true(t->peer.bmc.opens > 1);
}

/* Right answers from a wrong address. */
static void test_stranger(void **state)
{
	struct bench *t = *state;
	t->peer.stranger = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(t->peer.stranger >= 0);
	ask(&t->a, &(struct bmc_request){ .op = BMC_OP_GET_POWER, .timeout = 100 * MSEC });
	expect(&t->a, "timeout ");
	assert_int_equal(t->peer.bmc.opens, 0);
	close(t->peer.stranger);
	t->peer.stranger = -1;
	ask(&t->a,
	    &(struct bmc_request){ .op = BMC_OP_GET_POWER, .keep_session = 10 * USEC_PER_SEC });
	expect(&t->a, "ok ");
	t->peer.stranger = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ask(&t->a, &(struct bmc_request){ .op = BMC_OP_GET_POWER, .timeout = 100 * MSEC });
	expect(&t->a, "timeout ");
	close(t->peer.stranger);
	t->peer.stranger = -1;
}

static void check_not_repeated(struct bench *t, enum bmc_action action, unsigned code)
{
	t->peer.bmc.deaf_to = 0x02;
	ask(&t->a, &(struct bmc_request){
			   .op = BMC_OP_SET_POWER, .action = action, .timeout = 300 * MSEC });
	expect(&t->a, "timeout ");
	expect_text(t, "it may or may not have been done");
	assert_int_equal(t->peer.bmc.actions[code], 1);
	t->peer.bmc.deaf_to = 0;
}

static void test_reset_is_not_repeated(void **state)
{
	struct bench *t = *state;
	check_not_repeated(t, BMC_ACTION_RESET, 3);
	check_not_repeated(t, BMC_ACTION_CYCLE, 2);
}

static void test_power_on_is_repeated(void **state)
{
	struct bench *t = *state;
	t->peer.bmc.deaf_to = 0x02;
	ask(&t->a, &(struct bmc_request){ .op = BMC_OP_SET_POWER,
					  .action = BMC_ACTION_ON,
					  .timeout = 300 * MSEC });
	expect(&t->a, "timeout ");
	assert_true(t->peer.bmc.actions[1] > 1);
}

/* --- the fence ------------------------------------------------------------------------------- */

/* Falls at the packet after which the test stopped counting. */
static bool few_packets(void *data, const char *key)
{
	const struct bench *t = data;
	assert_string_equal(key, t->key);
	return t->peer.bmc.requests < t->fence_after;
}

/* A process that was paused in the middle of a session, wherever that was, goes on with nothing but
 * the end of the session. */
static void test_fence_at_each_packet(void **state)
{
	struct bench *t = *state;
	t->key = "metal3/node-1";
	t->bmc_options.key = t->key;
	for (;; t->fence_after++) {
		assert_true(t->fence_after < 50);
		settle(t);
		restart(t, &quick);
		t->peer.bmc.requests = 0;
		bmc_driver_set_fence(t->driver, &(struct fence){ few_packets, t });
		act(&t->a, BMC_ACTION_ON);
		loop_run(t->a.loop);
		t->a.trace[0] = '\0';
		if (t->a.last.err.kind == ERR_NONE)
			break;
		assert_int_equal(t->a.last.err.kind, ERR_CANCELLED);
		expect_text(t, "is no longer the leader");
		assert_int_equal(t->peer.bmc.actions[1], 0);
	}
	assert_int_equal(t->peer.bmc.actions[1], 1);
	assert_true(t->fence_after >= 5); /* so many packets a session has before its command */
}

/* --- refusals -------------------------------------------------------------------------------- */

static void test_wrong_password(void **state)
{
	struct bench *t = *state;
	reopen(t, "admin", "hunter2");
	get_power(&t->a);
	expect(&t->a, "denied ");
	expect_text(t, "does not accept the password of user \"admin\"");
	assert_null(strstr(t->a.last.err.text, "hunter2"));
	assert_int_equal(t->peer.bmc.opens, 2); /* confirmed once: accounts get locked */
	get_power(&t->a);
	expect(&t->a, "denied ");
	assert_int_equal(t->peer.bmc.opens, 3); /* and known from then on */
	struct bmc_credentials c = { "admin", "secret" };
	assert_int_equal(bmc_set_credentials(t->a.bmc, &c, NULL), 0);
	get_power(&t->a);
	expect(&t->a, "ok ");
	assert_int_equal(t->peer.bmc.refusals, 3);
}

/* One damaged message before the session stands must not condemn the credentials. */
static void test_refusal_is_confirmed(void **state)
{
	struct bench *t = *state;
	t->peer.bmc.bad_rakp2 = 1;
	get_power(&t->a);
	expect(&t->a, "ok ");
	assert_int_equal(t->peer.bmc.opens, 2);
	t->peer.bmc.bad_rakp2 = 1; /* the doubt went with the session that stood */
	get_power(&t->a);
	expect(&t->a, "ok ");
	t->peer.bmc.bad_rakp2 = 2;
	get_power(&t->a);
	expect(&t->a, "denied ");
}

static void ask_for(struct bench *t, usec_t timeout)
{
	ask(&t->a, &(struct bmc_request){ .op = BMC_OP_GET_POWER, .timeout = timeout });
}

/* A doubt ends with its request: when the session that was to confirm it is silent, cut off by the
 * deadline or by the user, the next refusal is the first again. */
static void test_doubt_ends_with_its_request(void **state)
{
	struct bench *t = *state;
	t->peer.bmc.bad_rakp2 = t->peer.bmc.deaf_after = 1;
	get_power(&t->a);
	expect(&t->a, "timeout ");
	t->peer.bmc.deaf_after = 0;
	t->peer.bmc.bad_rakp2 = 1;
	get_power(&t->a);
	expect(&t->a, "ok ");
	settle(t);
	t->peer.bmc.bad_rakp2 = 1;
	t->peer.bmc.deaf_after = t->peer.bmc.refusals + 1;
	ask_for(t, 300 * MSEC);
	expect(&t->a, "timeout ");
	t->peer.bmc.deaf_after = 0;
	t->peer.bmc.bad_rakp2 = 1;
	get_power(&t->a);
	expect(&t->a, "ok ");
}

/* What was confirmed of one password says nothing of the next. */
static void test_doubt_ends_with_its_password(void **state)
{
	struct bench *t = *state;
	struct bmc_credentials c = { "admin", "secret" };
	reopen(t, "admin", "hunter2");
	get_power(&t->a);
	expect(&t->a, "denied ");
	assert_int_equal(bmc_set_credentials(t->a.bmc, &c, NULL), 0);
	t->peer.bmc.bad_rakp2 = 1;
	get_power(&t->a);
	expect(&t->a, "ok ");
}

/* Sessions that were lost before do not use up the one that confirms a refusal. */
static void test_refusal_after_lost_sessions(void **state)
{
	struct bench *t = *state;
	t->peer.bmc.lose_sessions = 3;
	t->peer.bmc.bad_rakp2 = 1;
	get_power(&t->a);
	expect(&t->a, "ok ");
	assert_int_equal(t->peer.bmc.opens, 5);
}

static void test_wrong_user(void **state)
{
	struct bench *t = *state;
	reopen(t, "nobody", "secret");
	get_power(&t->a);
	expect(&t->a, "denied ");
	expect_text(t, "knows no user \"nobody\" that may log in by IPMI");
	assert_int_equal(t->peer.bmc.opens, 2);
}

static void test_privilege(void **state)
{
	struct bench *t = *state;
	t->peer.bmc.privilege_code = 0x81;
	get_power(&t->a);
	expect(&t->a, "denied ");
	expect_text(t, "privilege level ADMINISTRATOR");
	assert_int_equal(t->peer.bmc.closes, 1);
	t->peer.bmc.privilege_code = 0;
	struct bmc *old = t->a.bmc;
	assert_int_equal(open_at(t, "127.0.0.1", "admin", "secret", "?privilegelevel=operator",
				 &t->a.bmc, NULL),
			 0);
	bmc_close(old);
	get_power(&t->a);
	expect(&t->a, "ok ");
	assert_int_equal(t->peer.bmc.privilege_asked, 3);
}

static void test_busy(void **state)
{
	struct bench *t = *state;
	t->peer.bmc.busy = 3;
	get_power(&t->a);
	expect(&t->a, "ok ");
	assert_int_equal(t->peer.bmc.opens, 1);
	t->peer.bmc.busy = UINT_MAX;
	ask(&t->a, &(struct bmc_request){ .op = BMC_OP_GET_POWER, .timeout = 150 * MSEC });
	expect(&t->a, "busy ");
	expect_text(t, "was busy all the time");
}

static void test_no_free_session(void **state)
{
	struct bench *t = *state;
	t->peer.bmc.full = 2;
	get_power(&t->a);
	expect(&t->a, "ok ");
	assert_int_equal(t->peer.bmc.opens, 3);
	settle(t);
	t->peer.bmc.full = UINT_MAX;
	ask(&t->a, &(struct bmc_request){ .op = BMC_OP_GET_POWER, .timeout = 50 * MSEC });
	expect(&t->a, "busy ");
}

static void test_no_suite(void **state)
{
	struct bench *t = *state;
	t->peer.bmc.suites[17] = t->peer.bmc.suites[3] = false;
	get_power(&t->a);
	expect(&t->a, "unsupported ");
	expect_text(t, "accepts neither IPMI cipher suite 17 nor 3");
}

static void test_only_ipmi_15(void **state)
{
	struct bench *t = *state;
	t->peer.bmc.no_rmcpplus = true;
	get_power(&t->a);
	expect(&t->a, "unsupported ");
	expect_text(t, "does not offer IPMI 2.0");
	assert_int_equal(t->peer.bmc.opens, 0);
}

static void test_refused_command(void **state)
{
	struct bench *t = *state;
	t->peer.bmc.command_code = 0xcc;
	act(&t->a, BMC_ACTION_SOFT);
	get_power(&t->a);
	expect(&t->a, "unsupported unsupported ");
	expect_text(t, "refuses Get Chassis Status: invalid data field in the request (completion "
		       "code 0xcc)");
	assert_int_equal(t->peer.bmc.opens, 1);
}

static void test_policy(void **state)
{
	struct bench *t = *state;
	struct net_policy policy = { 0 };
	struct ipmi_options o = quick;
	o.policy = &policy;
	restart(t, &o);
	get_power(&t->a);
	expect(&t->a, "invalid ");
	expect_text(t, "connecting to 127.0.0.1 is refused: it is a loopback address");
	assert_int_equal(t->peer.bmc.requests, 0);
	assert_int_equal(net_prefixes_parse(&policy.allow, "127.0.0.0/8", NULL), 0);
	get_power(&t->a);
	expect(&t->a, "ok ");
	net_policy_done(&policy);
}

static void check_invalid(struct bench *t, const char *user, const char *password,
			  const char *query, const char *text)
{
	struct err err = { 0 };
	struct bmc *bmc;
	assert_true(open_at(t, "127.0.0.1", user, password, query, &bmc, &err) < 0);
	assert_int_equal(err.kind, ERR_INVALID);
	assert_non_null(strstr(err.text, text));
}

static void test_validation(void **state)
{
	struct bench *t = *state;
	check_invalid(t, "12345678901234567", "x", "", "at most 16 characters");
	check_invalid(t, "x", "123456789012345678901", "", "at most 20 characters");
	check_invalid(t, "x", "x", "?privilegelevel=root", "privilegelevel must be");
	check_invalid(t, "x", "x", "?ciphersuite=0", "ciphersuite must be 17 or 3");
	check_invalid(t, "x", "x", "?ciphersuite=8", "ciphersuite must be 17 or 3");
	struct bmc *old = t->a.bmc;
	assert_int_equal(
		open_at(t, "127.0.0.1", "admin", "secret", "?ciphersuite=3", &t->a.bmc, NULL), 0);
	bmc_close(old);
	get_power(&t->a);
	expect(&t->a, "ok ");
	assert_int_equal(t->peer.bmc.session.suite, 3);
	assert_int_equal(t->peer.bmc.opens, 1);
}

/* --- ends in the middle ---------------------------------------------------------------------- */

static void run_until_requests(struct bench *t, unsigned n)
{
	while (t->peer.bmc.requests < n && t->a.waiting > 0)
		pass(t, 0);
}

/* Closing or cancelling after each number of packets: nothing leaks, nothing is called twice. */
static void test_end_at_each_packet(void **state)
{
	struct bench *t = *state;
	for (unsigned n = 0; n < 20; n++) {
		reopen(t, "admin", "secret");
		t->peer.bmc.requests = 0;
		uint64_t ticket = get_power(&t->a);
		get_power(&t->a);
		run_until_requests(t, n / 2);
		if (n % 2)
			bmc_cancel(t->a.bmc, ticket);
		else
			t->a.bmc = bmc_close(t->a.bmc);
		if (t->a.waiting > 0)
			loop_run(t->a.loop);
		if (n % 2)
			assert_true(str_has_suffix(t->a.trace, "ok "));
		t->a.trace[0] = '\0';
	}
	assert_int_equal(ipmi_driver_stats(t->driver).active, t->a.bmc ? 1 : 0);
	settle(t);
}

/* A session is closed even when nobody waits: BMCs have few. */
static void test_close_says_goodbye(void **state)
{
	struct bench *t = *state;
	ask(&t->a,
	    &(struct bmc_request){ .op = BMC_OP_GET_POWER, .keep_session = 10 * USEC_PER_SEC });
	expect(&t->a, "ok ");
	t->a.bmc = bmc_close(t->a.bmc);
	while (t->peer.bmc.closes == 0)
		pass(t, MSEC);
}

/* What an idle BMC costs, strings and allocator overhead apart. */
static void test_size(void **state)
{
	struct bench *t = *state;
	printf("# an idle IPMI BMC: %zu bytes\n", t->a.bmc->driver->ops->bmc_size);
	assert_in_range(t->a.bmc->driver->ops->bmc_size, 1, 900);
}

static int init(void **state)
{
	(void)state;
	/* Where no name server answers, say so soon. */
	setenv("RES_OPTIONS", "timeout:1 attempts:1", 1);
	return ipmi_global_init(NULL);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_power),
		CASE(test_boot),
		CASE(test_info),
		CASE(test_ipv6),
		CASE(test_name),
		CASE(test_close_while_resolving),
		CASE(test_unknown_name),
		CASE(test_queued_requests_share_a_session),
		CASE(test_sessions_keep_their_distance),
		CASE(test_hold_keeps_the_session),
		CASE(test_hold_ends),
		CASE(test_new_credentials_end_a_held_session),
		CASE(test_known_bmc_needs_less),
		CASE(test_lost_session),
		CASE(test_more_bmcs_than_sessions),
		CASE(test_place_in_line_passes_on),
		CASE(test_lost_packets),
		CASE(test_silence),
		CASE(test_silence_later),
		CASE(test_suite_17_unheard),
		CASE(test_garbage),
		CASE(test_forged_answers),
		CASE(test_slow_bmc),
		CASE(test_slow_key_exchange),
		CASE(test_stranger),
		CASE(test_reset_is_not_repeated),
		CASE(test_power_on_is_repeated),
		CASE(test_fence_at_each_packet),
		CASE(test_wrong_password),
		CASE(test_refusal_is_confirmed),
		CASE(test_doubt_ends_with_its_request),
		CASE(test_doubt_ends_with_its_password),
		CASE(test_refusal_after_lost_sessions),
		CASE(test_wrong_user),
		CASE(test_privilege),
		CASE(test_busy),
		CASE(test_no_free_session),
		CASE(test_no_suite),
		CASE(test_only_ipmi_15),
		CASE(test_refused_command),
		CASE(test_policy),
		CASE(test_validation),
		CASE(test_end_at_each_packet),
		CASE(test_close_says_goodbye),
		CASE(test_size),
	};
	return cmocka_run_group_tests(tests, init, NULL);
}
