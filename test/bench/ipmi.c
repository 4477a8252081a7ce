/* What polling BMCs costs, with the peer on the same machine against the same BMCs:
 *
 *   bench_ipmi respond COUNT           COUNT BMCs on 127.1.0.0/16; prints their port; ends with
 * stdin bench_ipmi ingot PORT COUNT SPAN   our driver asks each for its power, spread over SPAN
 * seconds bench_ipmi freeipmi PORT COUNT     libfreeipmi's blocking calls ask each, one after
 * another
 *
 * The two pollers print one JSON object. Time is what getrusage says of this process, so the BMCs'
 * work is not in it; memory is what malloc has handed out between no BMC and all of them open,
 * polled and idle. Each poll is a session of its own, as the engine's power poll is. */

#include <errno.h>
#include <freeipmi/freeipmi.h>
#include <gcrypt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "bmc/bmc.h"
#include "bmc/ipmi/ipmi.h"
#include "sim/bmc_ipmi.h"

enum { FLEET_MAX = 65000, SUITE = 17 };

#define ADDRESS_FIRST 0x7f010001U /* 127.1.0.1 */

static _Noreturn void die(const char *what, const char *why)
{
	fprintf(stderr, "bench_ipmi: %s: %s\n", what, why);
	exit(EXIT_FAILURE);
}

static unsigned number(const char *text, unsigned max)
{
	uint64_t n;
	if (parse_u64(text, max, &n) < 0)
		die(text, "is no number in range");
	return (unsigned)n;
}

static double cpu_seconds(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static size_t allocated(void)
{
	struct mallinfo2 m = mallinfo2();
	return m.uordblks + m.hblkhd;
}

static char *host_name(unsigned index, char out[16])
{
	unsigned a = ADDRESS_FIRST + index;
	snprintf(out, 16, "%u.%u.%u.%u", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255);
	return out;
}

/* --- the BMCs --------------------------------------------------------------------------------- */

/* The address that a packet was sent to says which BMC is meant; the answer leaves from it. */
struct letter {
	struct sockaddr_in from;
	uint8_t data[SIM_BMC_PACKET_MAX];
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(struct in_pktinfo))];
	} control;
	struct iovec vector;
	struct msghdr msg;
};

static void letter_init(struct letter *l)
{
	l->vector = (struct iovec){ l->data, sizeof(l->data) };
	l->msg = (struct msghdr){ .msg_name = &l->from,
				  .msg_namelen = sizeof(l->from),
				  .msg_iov = &l->vector,
				  .msg_iovlen = 1,
				  .msg_control = &l->control,
				  .msg_controllen = sizeof(l->control) };
}

static struct in_pktinfo *packet_info(struct letter *l)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(&l->msg);
	bool found = c && c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO;
	return found ? (struct in_pktinfo *)(void *)CMSG_DATA(c) : NULL;
}

static void answer_one(int fd, struct sim_bmc *fleet, unsigned count)
{
	struct letter l;
	uint8_t answer[SIM_BMC_PACKET_MAX];
	letter_init(&l);
	ssize_t n = recvmsg(fd, &l.msg, 0);
	struct in_pktinfo *info = n > 0 ? packet_info(&l) : NULL;
	if (!info)
		return;
	unsigned index = ntohl(info->ipi_addr.s_addr) - ADDRESS_FIRST;
	size_t len = index < count ? sim_bmc_answer(&fleet[index], l.data, (size_t)n, answer) : 0;
	if (len == 0)
		return;
	info->ipi_spec_dst = info->ipi_addr;
	info->ipi_ifindex = 0;
	l.vector = (struct iovec){ answer, len };
	(void)sendmsg(fd, &l.msg, 0);
}

static int listen_all(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);
	int yes = 1, room = 8 << 20, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) < 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &yes, sizeof(yes)) < 0)
		die("socket", strerrorname_np(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	printf("%u\n", ntohs(a.sin_port));
	fflush(stdout);
	return fd;
}

static _Noreturn void respond(unsigned count)
{
	struct sim_bmc *fleet = xcalloc(count, sizeof(*fleet));
	for (unsigned i = 0; i < count; i++) {
		fleet[i] = sim_bmc_make();
		fleet[i].tells_privilege = true;
	}
	gcry_check_version(NULL);
	int fd = listen_all();
	for (;;)
		answer_one(fd, fleet, count);
}

/* --- our driver --- */

struct poller {
	struct loop *loop;
	struct bmc_driver *driver;
	struct bmc **fleet;
	struct timer timer;
	usec_t began, span;
	unsigned count, asked, answered, failed;
};

static void on_answer(void *data, const struct bmc_result *result)
{
	struct poller *p = data;
	p->answered++;
	if (result->err.kind == ERR_NONE)
		return;
	if (p->failed++ == 0)
		fprintf(stderr, "bench_ipmi: %s\n", result->err.text);
}

static usec_t due(const struct poller *p, unsigned index)
{
	return p->began + p->span * index / p->count;
}

/* Asks whoever is due; then looks whether the last session has ended. */
static void on_timer(void *data)
{
	struct poller *p = data;
	usec_t now = loop_now(p->loop);
	while (p->asked < p->count && due(p, p->asked) <= now)
		bmc_submit(p->fleet[p->asked++], &(struct bmc_request){ .op = BMC_OP_GET_POWER },
			   on_answer, p);
	bool over = p->answered == p->count && ipmi_driver_stats(p->driver).active == 0;
	if (over)
		loop_stop(p->loop);
	else if (p->asked < p->count)
		timer_set_at(&p->timer, due(p, p->asked));
	else
		timer_set_in(&p->timer, 20 * USEC_PER_MSEC);
}

/* One poll of each; CPU seconds. */
static double poll_all(struct poller *p, usec_t span)
{
	double before = cpu_seconds();
	p->began = loop_now(p->loop);
	p->span = span;
	p->asked = p->answered = 0;
	timer_set_in(&p->timer, 0);
	loop_run(p->loop);
	return cpu_seconds() - before;
}

static void open_fleet(struct poller *p, unsigned port)
{
	struct bmc_credentials login = { "admin", "secret" };
	struct err err = { 0 };
	for (unsigned i = 0; i < p->count; i++) {
		struct bmc_address address;
		char host[16], text[40];
		snprintf(text, sizeof(text), "ipmi://%s:%u", host_name(i, host), port);
		if (bmc_address_parse(text, &address, &err) < 0 ||
		    bmc_open(p->driver, &address, &login, NULL, &p->fleet[i], &err) < 0)
			die(text, err.text);
		bmc_address_done(&address);
	}
}

/* The first round teaches the driver who speaks what and is not measured. */
static int poll_by_ingot(unsigned port, unsigned count, unsigned span)
{
	struct poller p = { .count = count, .fleet = xcalloc(count, sizeof(struct bmc *)) };
	struct err err = { 0 };
	if (ipmi_global_init(&err) < 0 || loop_new(&p.loop, &err) < 0 ||
	    ipmi_driver_new(p.loop, NULL, &p.driver, &err) < 0)
		die("start", err.text);
	timer_init(&p.timer, p.loop, "poll", on_timer, &p);
	size_t before = allocated();
	open_fleet(&p, port);
	poll_all(&p, 0);
	size_t idle = allocated() - before;
	double cpu = poll_all(&p, span * USEC_PER_SEC);
	printf("{\"polls\": %u, \"failed\": %u, \"cpu_us\": %.1f, \"bytes\": %zu}\n", count,
	       p.failed, cpu * 1e6 / count, idle / count);
	for (unsigned i = 0; i < count; i++)
		bmc_close(p.fleet[i]);
	bmc_driver_free(p.driver);
	loop_free(p.loop);
	free(p.fleet);
	return p.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* --- the peer --- */

static ipmi_ctx_t open_context(unsigned index, unsigned port)
{
	char host[16], text[40];
	snprintf(text, sizeof(text), "%s:%u", host_name(index, host), port);
	ipmi_ctx_t ctx = ipmi_ctx_create();
	if (!ctx || ipmi_ctx_open_outofband_2_0(ctx, text, "admin", "secret", NULL, 0,
						IPMI_PRIVILEGE_LEVEL_ADMIN, SUITE, 0, 0, 0, 0) < 0)
		die(text, ctx ? ipmi_ctx_errormsg(ctx) : "no context");
	return ctx;
}

static void ask_power(ipmi_ctx_t ctx)
{
	fiid_obj_t answer = fiid_obj_create(tmpl_cmd_get_chassis_status_rs);
	if (!answer || ipmi_cmd_get_chassis_status(ctx, answer) < 0)
		die("chassis status", ipmi_ctx_errormsg(ctx));
	fiid_obj_destroy(answer);
}

/* Memory first, with some open at once; then time, each opened and closed for its poll. */
static int poll_by_freeipmi(unsigned port, unsigned count)
{
	enum { AT_ONCE = 100 };
	ipmi_ctx_t open[AT_ONCE];
	size_t before = allocated();
	for (unsigned i = 0; i < AT_ONCE; i++)
		ask_power(open[i] = open_context(i, port));
	size_t bytes = (allocated() - before) / AT_ONCE;
	for (unsigned i = 0; i < AT_ONCE; i++) {
		ipmi_ctx_close(open[i]);
		ipmi_ctx_destroy(open[i]);
	}
	double began = cpu_seconds();
	for (unsigned i = 0; i < count; i++) {
		ipmi_ctx_t ctx = open_context(i, port);
		ask_power(ctx);
		ipmi_ctx_close(ctx);
		ipmi_ctx_destroy(ctx);
	}
	double cpu = cpu_seconds() - began;
	printf("{\"polls\": %u, \"failed\": 0, \"cpu_us\": %.1f, \"bytes\": %zu}\n", count,
	       cpu * 1e6 / count, bytes);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	if (argc == 3 && streq(argv[1], "respond"))
		respond(number(argv[2], FLEET_MAX));
	if (argc == 5 && streq(argv[1], "ingot"))
		return poll_by_ingot(number(argv[2], 65535), number(argv[3], FLEET_MAX),
				     number(argv[4], 3600));
	if (argc == 4 && streq(argv[1], "freeipmi"))
		return poll_by_freeipmi(number(argv[2], 65535), number(argv[3], FLEET_MAX));
	die("usage", "respond COUNT | ingot PORT COUNT SPAN | freeipmi PORT COUNT");
}
