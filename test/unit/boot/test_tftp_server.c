/* The TFTP server over real sockets: scripted clients that lose, repeat and misbehave, and curl. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "boot/tftp_server.h"
#include "unit/boot/lines.h"
#include "unit/boot/netns.h"
#include "wire/tftp.h"

enum { LARGE = 600000 /* over 65,535 blocks of 8 */, LOSSES_MAX = 8, FIRST_PORT = 20000 };

struct world {
	struct netns clients;
	struct loop *loop;
	struct boot_config config;
	struct boot_env env;
	struct tftp_server *server;
	char dir[32];
	uint8_t *content; /* what is in the file "large" */
	const char *failed;
	/* Of the transfer under way. */
	int fd;
	uint16_t next_port, server_port;
	struct tftp_options granted;
	uint64_t lose[LOSSES_MAX]; /* blocks that are lost the first time */
	size_t losses;
};

static bool find(void *data, const struct net_mac *mac, struct boot_host *ret)
{
	(void)data;
	*ret = (struct boot_host){ .name = "h", .target = BOOT_TARGET_NONE };
	return mac->bytes[5] == 1;
}

static const struct boot_ops ops = { .find = find };

static struct boot_file files[] = {
	{ "empty", NULL }, { "short", NULL },	       { "even", NULL },
	{ "large", NULL }, { "gone", "/nonexistent" }, { NULL, NULL },
};
static const size_t sizes[] = { 0, 1000, 1024, LARGE };
static char paths[4][64];

static bool make_files(struct world *w)
{
	memcpy(w->dir, "/tmp/test_tftp.XXXXXX", 22);
	if (!mkdtemp(w->dir))
		return false;
	w->content = xmalloc(LARGE);
	for (size_t i = 0; i < LARGE; i++)
		w->content[i] = (uint8_t)(i * 2654435761u >> 13);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s/%s", w->dir, files[i].name);
		files[i].path = paths[i];
		FILE *f = fopen(paths[i], "we");
		if (!f || fwrite(w->content, 1, sizes[i], f) != sizes[i] || fclose(f) != 0)
			return false;
	}
	return true;
}

static struct net_addr addr6(const char *text)
{
	struct net_addr a;
	assert_int_equal(net_parse_ip(text, &a), 0);
	return a;
}

static int set_up(void **state)
{
	if (netns_unusable())
		return 0;
	struct world *w = xcalloc(1, sizeof(*w));
	struct err err;
	*state = w;
	if (!netns_pair(&w->clients) || !make_files(w) || loop_new(&w->loop, &err) < 0 ||
	    !run("nsenter -t %d -n ip addr add 10.77.0.50/24 dev cli0", w->clients.keeper))
		return -1;
	w->config = (struct boot_config){ .device = "srv0",
					  .address = addr("10.77.0.1"),
					  .tftp = true,
					  .http_url = "http://10.77.0.1:8080",
					  .files = files };
	w->env = (struct boot_env){ w->loop, &w->config, &ops, w };
	w->next_port = FIRST_PORT;
	if (tftp_server_open(&w->env, &w->server, &err) < 0)
		return -1;
	tftp_server_set_active(w->server, true);
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	if (!w)
		return 0;
	tftp_server_close(w->server);
	loop_free(w->loop);
	netns_free(&w->clients);
	run("rm -rf %s", w->dir);
	free(w->content);
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

static void play(struct world *w, loop_fn script)
{
	run_script(w->loop, script, w);
	if (w->failed)
		fail_msg("the client's script: %s", w->failed);
}

/* --- the client --- */

#define EXPECT(w, condition)                                                                       \
	do {                                                                                       \
		if (!(w)->failed && !(condition))                                                  \
			(w)->failed = #condition;                                                  \
	} while (0)

static void send_to(struct world *w, const void *data, size_t len, uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr = ip("10.77.0.1") };
	if (!w->failed)
		EXPECT(w, sendto(w->fd, data, len, 0, (struct sockaddr *)&to, sizeof(to)) ==
				  (ssize_t)len);
}

/* A new transfer from a new port. */
static void request(struct world *w, const char *name, enum tftp_op op, enum tftp_mode mode,
		    const struct tftp_options *options)
{
	struct tftp_request r = { .op = op, .mode = mode };
	uint8_t packet[600];
	if (options)
		r.options = *options;
	snprintf(r.name, sizeof(r.name), "%s", name);
	w->fd = client_socket(&w->clients, "cli0", "10.77.0.50", w->next_port++);
	w->granted = (struct tftp_options){ 0 };
	send_to(w, packet, tftp_encode_request(&r, packet, sizeof(packet)), TFTP_PORT);
}

/* `buffer` holds what the packet points into. */
static struct tftp_packet receive(struct world *w, uint8_t buffer[2048])
{
	struct tftp_packet p = { 0 };
	struct sockaddr_in from = { 0 };
	socklen_t len = sizeof(from);
	if (w->failed)
		return p;
	ssize_t n = recvfrom(w->fd, buffer, 2048, 0, (struct sockaddr *)&from, &len);
	EXPECT(w, n > 0);
	EXPECT(w, tftp_decode(buffer, n > 0 ? (size_t)n : 0, &p) == 0);
	w->server_port = ntohs(from.sin_port);
	return p;
}

static void ack(struct world *w, uint64_t block)
{
	uint8_t packet[4];
	send_to(w, packet, tftp_encode_ack((uint16_t)block, packet, sizeof(packet)),
		w->server_port);
}

static bool lost(struct world *w, uint64_t block)
{
	for (size_t i = 0; i < w->losses; i++) {
		if (w->lose[i] != block)
			continue;
		w->lose[i] = UINT64_MAX;
		return true;
	}
	return false;
}

/* Receives to the end, as RFC 7440 describes a client. Returns the number of bytes. */
static size_t receive_all(struct world *w)
{
	uint8_t buffer[2048];
	size_t block_size = TFTP_BLOCK_DEFAULT, window = 1, since_ack = 0, total = 0;
	uint64_t done = 0;
	bool gap = false;
	while (!w->failed) {
		struct tftp_packet p = receive(w, buffer);
		if (p.op == TFTP_OACK) {
			w->granted = p.options;
			block_size = p.options.has_blksize ? p.options.blksize : block_size;
			window = p.options.has_windowsize ? p.options.windowsize : 1;
			ack(w, 0);
			continue;
		}
		EXPECT(w, p.op == TFTP_DATA);
		if (p.block == (uint16_t)(done + 1) && lost(w, done + 1))
			continue;
		if (p.block != (uint16_t)(done + 1)) {
			if (!gap && window > 1)
				ack(w, done); /* a gap: tells where it begins, once */
			gap = true;
			continue;
		}
		gap = false;
		EXPECT(w, p.len <= block_size && total + p.len <= LARGE);
		EXPECT(w, w->failed || memcmp(p.data, w->content + total, p.len) == 0);
		total += p.len;
		done++;
		if (++since_ack >= window || p.len < block_size) {
			ack(w, done);
			since_ack = 0;
		}
		if (p.len < block_size)
			break;
	}
	close(w->fd);
	return total;
}

static size_t fetch(struct world *w, const char *name, const struct tftp_options *options)
{
	request(w, name, TFTP_READ, TFTP_OCTET, options);
	return receive_all(w);
}

/* --- good clients --- */

static void plain(void *data)
{
	struct world *w = data;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		EXPECT(w, fetch(w, files[i].name, NULL) == sizes[i]);
	EXPECT(w, fetch(w, "/short", NULL) == 1000);
}

static void test_plain(void **state)
{
	play(world(state), plain);
}

static void options(void *data)
{
	struct world *w = data;
	struct tftp_options o = { .has_blksize = true,
				  .blksize = 1400,
				  .has_tsize = true,
				  .has_windowsize = true,
				  .windowsize = 4,
				  .has_timeout = true,
				  .timeout_s = 5 };
	EXPECT(w, fetch(w, "large", &o) == LARGE);
	EXPECT(w, w->granted.blksize == 1400 && w->granted.windowsize == 4);
	EXPECT(w, w->granted.has_tsize && w->granted.tsize == LARGE);
	EXPECT(w, w->granted.has_timeout && w->granted.timeout_s == 5);
	/* More than we give: the path's MTU, our window; a time-out that is too long is not
	 * granted. */
	o.blksize = 65464;
	o.windowsize = 1000;
	o.timeout_s = 200;
	EXPECT(w, fetch(w, "large", &o) == LARGE);
	EXPECT(w, w->granted.blksize == 1468 && w->granted.windowsize == TFTP_WINDOW_MAX);
	EXPECT(w, !w->granted.has_timeout);
	o = (struct tftp_options){
		.has_blksize = true, .blksize = 8, .has_windowsize = true, .windowsize = 7
	};
	EXPECT(w, fetch(w, "short", &o) == 1000);
	o.blksize = 1024;
	EXPECT(w, fetch(w, "even", &o) == 1024);
	EXPECT(w, fetch(w, "empty", &o) == 0);
}

static void test_options(void **state)
{
	play(world(state), options);
}

static void many_blocks(void *data)
{
	struct world *w = data;
	struct tftp_options o = {
		.has_blksize = true, .blksize = 8, .has_windowsize = true, .windowsize = 32
	};
	EXPECT(w, fetch(w, "large", &o) == LARGE);
}

static void test_block_numbers_wrap(void **state)
{
	play(world(state), many_blocks);
}

static void losses(void *data)
{
	struct world *w = data;
	struct tftp_options o = {
		.has_blksize = true, .blksize = 1000, .has_windowsize = true, .windowsize = 8
	};
	/* The first of a window, one in the middle, the last (which only the timer repairs), twice.
	 */
	static const uint64_t blocks[] = { 1, 12, 13, 24, 100, 300 };
	memcpy(w->lose, blocks, sizeof(blocks));
	w->losses = ARRAY_SIZE(blocks);
	EXPECT(w, fetch(w, "large", &o) == LARGE);
	w->lose[0] = 2; /* in lockstep too */
	w->losses = 1;
	EXPECT(w, fetch(w, "short", NULL) == 1000);
}

static void gaps(void *data)
{
	struct world *w = data;
	const struct timeval patience = { 2, 0 };
	/* The server's timer would come after the client has given up. */
	struct tftp_options o = { .has_blksize = true,
				  .blksize = 1000,
				  .has_windowsize = true,
				  .windowsize = 8,
				  .has_timeout = true,
				  .timeout_s = 5 };
	static const uint64_t blocks[] = { 1, 9, 20 };
	memcpy(w->lose, blocks, sizeof(blocks));
	w->losses = ARRAY_SIZE(blocks);
	request(w, "large", TFTP_READ, TFTP_OCTET, &o);
	setsockopt(w->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	EXPECT(w, receive_all(w) == LARGE);
}

static void test_gaps_need_no_timer(void **state)
{
	play(world(state), gaps);
}

static void test_losses(void **state)
{
	play(world(state), losses);
}

static void test_curl(void **state)
{
	struct world *w = world(state);
	static const unsigned block_sizes[] = { 8, 512, 1428, 8192 };
	char command[ARRAY_SIZE(block_sizes)][256];
	if (system("command -v curl >/dev/null") != 0) {
		print_message("skipped: curl is not installed\n");
		skip();
	}
	for (size_t i = 0; i < ARRAY_SIZE(block_sizes); i++) {
		snprintf(command[i], sizeof(command[i]),
			 "nsenter -t %d -n curl -sS --max-time 60 --tftp-blksize %u "
			 "tftp://10.77.0.1/%s | cmp - %s",
			 w->clients.keeper, block_sizes[i], i == 0 ? "short" : "large",
			 i == 0 ? paths[1] : paths[3]);
		assert_true(run_command(w->loop, command[i]));
	}
}

/* By IPv6 too, in blocks that fit a frame: the kernel says whether one was cut. */
static void test_curl_by_ipv6(void **state)
{
	struct world *w = world(state);
	struct err err;
	char command[512];
	if (system("command -v curl >/dev/null") != 0 || access("/proc/sys/net/ipv6", F_OK) != 0) {
		print_message("skipped: curl is not installed, or this kernel has no IPv6\n");
		skip();
	}
	tftp_server_close(w->server);
	w->config.address6 = addr6("fd77::1");
	w->config.http_url6 = "http://[fd77::1]:8080";
	assert_true(run("ip addr add fd77::1/64 dev srv0 nodad && "
			"nsenter -t %d -n ip addr add fd77::50/64 dev cli0 nodad",
			w->clients.keeper));
	if (tftp_server_open(&w->env, &w->server, &err) < 0)
		fail_msg("%s", err.text);
	tftp_server_set_active(w->server, true);
	for (int v6 = 0; v6 < 2; v6++) {
		snprintf(command, sizeof(command),
			 "nsenter -t %d -n curl -gsS --max-time 60 --tftp-blksize 8192 "
			 "tftp://%s/large | cmp - %s",
			 w->clients.keeper, v6 ? "[fd77::1]" : "10.77.0.1", paths[3]);
		assert_true(run_command(w->loop, command));
	}
	assert_true(run("grep -q '^Ip6FragCreates[[:space:]]*0$' /proc/thread-self/net/snmp6"));
}

/* --- protocol --- */

static void duplicates(void *data)
{
	struct world *w = data;
	uint8_t buffer[2048];
	request(w, "large", TFTP_READ, TFTP_OCTET, NULL);
	/* The same request again, from the same port: one transfer, not two. */
	struct tftp_request again = { .op = TFTP_READ, .name = "large", .mode = TFTP_OCTET };
	send_to(w, buffer, tftp_encode_request(&again, buffer, sizeof(buffer)), TFTP_PORT);
	EXPECT(w, receive(w, buffer).block == 1);
	for (uint64_t block = 1; block < 20; block++) {
		ack(w, block);
		ack(w, block); /* RFC 1123, 4.2.3.1: must not make data be sent twice */
		EXPECT(w, receive(w, buffer).block == block + 1);
	}
	ack(w, 5);	/* old */
	ack(w, 0x8000); /* never sent */
	ack(w, 20);
	EXPECT(w, receive(w, buffer).block == 21);
	close(w->fd);
}

static void test_duplicates(void **state)
{
	play(world(state), duplicates);
}

static void refused(struct world *w, const char *name, enum tftp_op op, enum tftp_mode mode,
		    enum tftp_error code)
{
	uint8_t buffer[2048];
	request(w, name, op, mode, NULL);
	struct tftp_packet p = receive(w, buffer);
	EXPECT(w, p.op == TFTP_ERROR && p.error == code && p.text[0]);
	close(w->fd);
}

static void refusals(void *data)
{
	struct world *w = data;
	refused(w, "large", TFTP_READ, TFTP_NETASCII, TFTP_ERROR_ILLEGAL);
	refused(w, "large", TFTP_READ, TFTP_MAIL, TFTP_ERROR_ILLEGAL);
	refused(w, "large", TFTP_READ, TFTP_MODE_UNKNOWN, TFTP_ERROR_ILLEGAL);
	refused(w, "large", TFTP_WRITE, TFTP_OCTET, TFTP_ERROR_ACCESS);
	static const char *const names[] = { "nothing", "gone", "../etc/passwd", "/etc/passwd",
					     /* What shim looks for beside itself. */
					     "revocations_sku.efi", "revocations_sbat.efi",
					     "shim_certificate_0.efi", "/", ".", "large/",
					     "grub/52:54:00:77:00:02" };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		refused(w, names[i], TFTP_READ, TFTP_OCTET, TFTP_ERROR_NOT_FOUND);
}

static void test_refusals(void **state)
{
	play(world(state), refusals);
}

static void refused_often(void *data)
{
	for (int i = 0; i < 50; i++)
		refused(data, "large", TFTP_WRITE, TFTP_OCTET, TFTP_ERROR_ACCESS);
}

static void test_refusals_do_not_fill_the_log(void **state)
{
	struct world *w = world(state);
	struct lines lines;
	lines_begin(&lines, w->loop, "tftp refused");
	play(w, refused_often);
	assert_true(lines_paced(&lines));
}

static void garbage(void *data)
{
	struct world *w = data;
	w->fd = client_socket(&w->clients, "cli0", "10.77.0.50", w->next_port++);
	send_to(w, "", 0, TFTP_PORT);
	send_to(w, "\0\1", 2, TFTP_PORT);
	send_to(w, "\0\4\0\1", 4, TFTP_PORT);
	close(w->fd);
	EXPECT(w, fetch(w, "short", NULL) == 1000);
}

static void test_garbage(void **state)
{
	play(world(state), garbage);
}

static void script(void *data)
{
	struct world *w = data;
	uint8_t buffer[2048];
	request(w, "grub/52:54:00:77:00:01", TFTP_READ, TFTP_OCTET, NULL);
	struct tftp_packet p = receive(w, buffer);
	EXPECT(w, p.len == 7 && memcmp(p.data, "exit 1\n", 7) == 0);
	ack(w, 1);
	close(w->fd);
}

static void test_scripts_come_by_tftp_too(void **state)
{
	play(world(state), script);
}

/* --- limits --- */

/* True when the server has closed its end. */
static bool refused_port(const struct world *w, int fd, uint16_t port)
{
	uint8_t packet[4];
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr = ip("10.77.0.1") };
	(void)w;
	tftp_encode_ack(0x7777, packet, sizeof(packet));
	while (recv(fd, packet, sizeof(packet), MSG_DONTWAIT) >= 0)
		;
	return connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
	       send(fd, packet, sizeof(packet), 0) >= 0 &&
	       recv(fd, packet, sizeof(packet), 0) < 0 && errno == ECONNREFUSED;
}

static void per_client(void *data)
{
	struct world *w = data;
	int fds[TFTP_PER_CLIENT_MAX + 1];
	uint16_t ports[TFTP_PER_CLIENT_MAX + 1];
	uint8_t buffer[2048];
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		request(w, "large", TFTP_READ, TFTP_OCTET, NULL);
		EXPECT(w, receive(w, buffer).block == 1);
		fds[i] = w->fd;
		ports[i] = w->server_port;
	}
	EXPECT(w, refused_port(w, fds[0], ports[0])); /* the oldest made room */
	w->fd = fds[1];
	w->server_port = ports[1];
	ack(w, 1);
	EXPECT(w, receive(w, buffer).block == 2);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
}

static void test_transfers_of_one_client(void **state)
{
	play(world(state), per_client);
}

static void client_error(void *data)
{
	struct world *w = data;
	uint8_t buffer[2048];
	/* As OVMF does: asks for the size, then ends the transfer and starts another. */
	struct tftp_options o = { .has_tsize = true };
	request(w, "large", TFTP_READ, TFTP_OCTET, &o);
	struct tftp_packet p = receive(w, buffer);
	EXPECT(w, p.op == TFTP_OACK && p.options.tsize == LARGE);
	int fd = w->fd;
	uint16_t port = w->server_port;
	send_to(w, buffer, tftp_encode_error(TFTP_ERROR_OPTIONS, "aborted", buffer, sizeof(buffer)),
		port);
	EXPECT(w, fetch(w, "short", NULL) == 1000);
	EXPECT(w, refused_port(w, fd, port));
	close(fd);
}

static void test_client_ends_with_an_error(void **state)
{
	play(world(state), client_error);
}

static void shrinking(void *data)
{
	struct world *w = data;
	uint8_t buffer[2048];
	request(w, "large", TFTP_READ, TFTP_OCTET, NULL);
	EXPECT(w, receive(w, buffer).block == 1);
	EXPECT(w, truncate(paths[3], 600) == 0);
	ack(w, 1);
	struct tftp_packet p = receive(w, buffer);
	EXPECT(w, p.op == TFTP_ERROR);
	close(w->fd);
}

static void test_file_becomes_shorter(void **state)
{
	play(world(state), shrinking);
}

static void unanswered(void *data)
{
	struct world *w = data;
	request(w, "short", TFTP_READ, TFTP_OCTET, NULL);
}

static void answered(void *data)
{
	struct world *w = data;
	uint8_t buffer[2048];
	int old = w->fd;
	EXPECT(w, fetch(w, "short", NULL) == 1000);
	EXPECT(w, recv(old, buffer, sizeof(buffer), MSG_DONTWAIT) < 0 && errno == EAGAIN);
	close(old);
}

static void test_only_when_active(void **state)
{
	struct world *w = world(state);
	struct timer turn;
	tftp_server_set_active(w->server, false);
	play(w, unanswered);
	timer_init(&turn, w->loop, "turn", (loop_fn)loop_stop, w->loop);
	timer_set_in(&turn, 1000);
	loop_run(w->loop); /* the request is taken and dropped */
	tftp_server_set_active(w->server, true);
	play(w, answered);
}

static void test_switched_off(void **state)
{
	struct world *w = world(state);
	struct tftp_server *second;
	struct err err = { 0 };
	assert_true(tftp_server_open(&w->env, &second, &err) < 0);
	assert_non_null(strstr(err.text, "UDP port 69 on srv0"));
	w->config.tftp = false;
	assert_int_equal(tftp_server_open(&w->env, &second, &err), 0);
	assert_null(tftp_server_close(second));
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_plain),
		TEST(test_options),
		TEST(test_block_numbers_wrap),
		TEST(test_losses),
		TEST(test_gaps_need_no_timer),
		TEST(test_curl),
		TEST(test_curl_by_ipv6),
		TEST(test_duplicates),
		TEST(test_refusals),
		TEST(test_refusals_do_not_fill_the_log),
		TEST(test_garbage),
		TEST(test_scripts_come_by_tftp_too),
		TEST(test_transfers_of_one_client),
		TEST(test_client_ends_with_an_error),
		TEST(test_file_becomes_shorter),
		TEST(test_only_when_active),
		TEST(test_switched_off),
	};
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
