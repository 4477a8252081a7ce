/* Read-only TFTP server, by RFC 1350 (with the amendment of RFC 1123, 4.2.3.1: a duplicate ACK
 * never makes data be sent again, or both sides would send everything twice ever after), RFC
 * 2347-2349 and RFC 7440. Names come from content.c's table, so that there is no path to traverse.
 *
 * Each transfer has a connected socket of its own, whose port is its identifier, and one timer. The
 * client drives: it acknowledges a window, the next one is sent. Without an acknowledgement for the
 * time-out, which doubles, the window is sent again; after TRIES_MAX the transfer ends. There is
 * room for TFTP_TRANSFERS_MAX of them; what comes beyond is not answered, and firmware asks again.
 * A client has at most TFTP_PER_CLIENT_MAX: a further one replaces its oldest, which most likely
 * belongs to a boot before a reset.
 *
 * The server owns its transfers, a transfer its socket and content. Core thread; reads of a few
 * blocks from the page cache are short enough for it. */

#include "boot/tftp_server.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "boot/content.h"
#include "boot/udp.h"
#include "metrics/metrics.h"
#include "wire/tftp.h"

enum {
	RECEIVE_BURST = 32,
	TRIES_MAX = 5,
	TIMEOUT_DEFAULT_S = 1,
	TIMEOUT_MAX_S = 5, /* longer ones are not granted: they would hold a transfer for ages */
	BELOW_DATA = 20 + 8 + TFTP_DATA_HEADER, /* IP, UDP, TFTP */
	IPV6_MORE = 20,				/* its header is that much longer */
	MTU_DEFAULT = 1500,
	MTU_MAX = 9216,
	BLOCK_CAP = MTU_MAX - BELOW_DATA,
};

/* Where requests of one family arrive. */
struct listener {
	struct tftp_server *server;
	struct net_addr address; /* ours */
	int fd;
	struct loop_io *io;
};

struct tftp_server {
	struct boot_env env;
	bool active;
	struct listener four, six;
	uint16_t block_max;    /* by IPv4; so that no block is fragmented */
	struct list transfers; /* oldest first */
	size_t count;
	struct log_paces paces;
};

struct transfer {
	struct list node;
	struct tftp_server *server;
	struct net_addr peer;
	char name[TFTP_NAME_MAX];
	struct boot_content content;
	int fd;
	struct loop_io *io;
	struct timer timer;
	usec_t started, timeout;
	unsigned tries; /* sent since the last progress */
	struct tftp_options granted;
	bool negotiating; /* OACK sent, its ACK not yet here */
	uint16_t block_size, window;
	/* Blocks are counted from 1 without wrapping; on the wire stand the lower 16 bits. */
	uint64_t acked, sent, last;
	bool rewound; /* the window was sent again for a gap, and nothing has come since */
};

/* --- sending ---------------------------------------------------------------------------------- */

static void log_end(const struct transfer *t, enum log_level level, const char *message,
		    const char *why)
{
	static const char *const outcomes[] = { [LOG_DEBUG] = "ended by the client",
						[LOG_INFO] = "sent",
						[LOG_WARN] = "failed",
						[LOG_ERROR] = "failed" };
	char peer[NET_TEXT_MAX], ip[NET_IP_TEXT_MAX], bytes[24], ms[24];
	usec_t now = loop_now(t->server->env.loop), took = now - t->started;
	snprintf(bytes, sizeof(bytes), "%llu", (unsigned long long)t->content.size);
	snprintf(ms, sizeof(ms), "%llu", (unsigned long long)(took / USEC_PER_MSEC));
	log_paced(
		log_pace_of(&t->server->paces, now, net_format_ip(&t->peer, ip), message, t->name),
		now, level, message, "file", t->name, "peer", net_format(&t->peer, peer), "size",
		bytes, "ms", ms, "error", why);
	metric_add(METRIC_TFTP_TRANSFERS, 1, outcomes[level]);
	metric_add(METRIC_TFTP_BYTES, (double)MIN(t->acked * t->block_size, t->content.size));
}

static struct transfer *transfer_free(struct transfer *t)
{
	list_unlink(&t->node);
	t->server->count--;
	timer_stop(&t->timer);
	if (t->io)
		loop_io_close(t->io);
	if (t->fd >= 0)
		close(t->fd);
	boot_content_done(&t->content);
	free(t);
	return NULL;
}

static bool send_packet(const struct transfer *t, const uint8_t *packet, size_t len)
{
	return send(t->fd, packet, len, 0) >= 0;
}

static void send_error(const struct transfer *t, enum tftp_error error, const char *text)
{
	uint8_t packet[TFTP_TEXT_MAX + 8];
	size_t len = tftp_encode_error(error, text, packet, sizeof(packet));
	(void)send_packet(t, packet, len);
}

/* False: the file failed under us, and the transfer has ended. */
static bool send_block(struct transfer *t, uint64_t block)
{
	uint8_t data[BLOCK_CAP], packet[BLOCK_CAP + TFTP_DATA_HEADER];
	ssize_t n = boot_content_read(&t->content, (block - 1) * t->block_size, data,
				      t->block_size);
	if (n < 0) {
		send_error(t, TFTP_ERROR_OTHER, "cannot read the file");
		log_end(t, LOG_WARN, "tftp failed", "the file became shorter or unreadable");
		transfer_free(t);
		return false;
	}
	size_t len = tftp_encode_data((uint16_t)block, data, (size_t)n, packet, sizeof(packet));
	(void)send_packet(t, packet, len); /* a full socket is like a loss */
	return true;
}

/* Returns false when the transfer has ended. */
static bool send_window(struct transfer *t)
{
	uint64_t end = MIN(t->acked + t->window, t->last);
	for (uint64_t block = t->acked + 1; block <= end; block++)
		if (!send_block(t, block))
			return false;
	t->sent = end;
	return true;
}

static bool send_current(struct transfer *t)
{
	uint8_t packet[128];
	if (!t->negotiating)
		return send_window(t);
	size_t len = tftp_encode_oack(&t->granted, packet, sizeof(packet));
	(void)send_packet(t, packet, len);
	return true;
}

static void on_timeout(void *data)
{
	struct transfer *t = data;
	if (++t->tries >= TRIES_MAX) {
		log_end(t, LOG_WARN, "tftp given up", "the client does not answer");
		transfer_free(t);
		return;
	}
	t->rewound = false;
	timer_set_in(&t->timer, t->timeout << t->tries);
	(void)send_current(t);
}

/* --- receiving -------------------------------------------------------------------------------- */

/* Something new arrived: on with the next window. Like all below: false when the transfer has
 * ended. */
static bool advance(struct transfer *t)
{
	t->tries = 0;
	t->rewound = false;
	if (!t->negotiating && t->acked == t->last) {
		log_end(t, LOG_INFO, "tftp sent", NULL);
		transfer_free(t);
		return false;
	}
	timer_set_in(&t->timer, t->timeout);
	return send_current(t);
}

static bool on_ack(struct transfer *t, uint16_t block)
{
	uint16_t step = (uint16_t)(block - (uint16_t)t->acked);
	if (t->negotiating) {
		/* RFC 2347: the OACK is acknowledged as block 0. */
		if (block != 0)
			return true;
		t->negotiating = false;
		return advance(t);
	}
	if (step != 0 && step <= t->sent - t->acked) {
		t->acked += step;
		return advance(t);
	}
	if (step == 0 && t->window > 1 && t->sent > t->acked && !t->rewound) {
		/* RFC 7440: the first block of the window was lost. Once only, see above. */
		t->rewound = true;
		return send_window(t);
	}
	return true;
}

static bool take_packet(struct transfer *t, const uint8_t *data, size_t len)
{
	struct tftp_packet p;
	if (tftp_decode(data, len, &p) < 0)
		return true;
	if (p.op == TFTP_ACK)
		return on_ack(t, p.block);
	if (p.op != TFTP_ERROR)
		return true;
	/* Firmware asks for the size first and then ends the transfer with an error. */
	log_end(t, LOG_DEBUG, "tftp ended by the client", p.text);
	transfer_free(t);
	return false;
}

static void on_transfer_readable(void *data, int events)
{
	struct transfer *t = data;
	(void)events;
	for (int i = 0; i < RECEIVE_BURST; i++) {
		uint8_t packet[TFTP_REQUEST_MAX];
		ssize_t n = recv(t->fd, packet, sizeof(packet), 0);
		if (n < 0 && errno == ECONNREFUSED) {
			log_end(t, LOG_DEBUG, "tftp ended: the client's port is closed", NULL);
			transfer_free(t);
			return;
		}
		if (n < 0 || !take_packet(t, packet, (size_t)n))
			return;
	}
}

/* --- requests --------------------------------------------------------------------------------- */

static void grant(struct transfer *t, const struct tftp_options *asked)
{
	struct tftp_options *g = &t->granted;
	t->block_size = TFTP_BLOCK_DEFAULT;
	t->window = 1;
	t->timeout = TIMEOUT_DEFAULT_S * USEC_PER_SEC;
	g->has_blksize = asked->has_blksize;
	g->has_tsize = asked->has_tsize;
	g->has_windowsize = asked->has_windowsize;
	g->has_timeout = asked->has_timeout && asked->timeout_s <= TIMEOUT_MAX_S;
	g->tsize = t->content.size;
	uint16_t most = t->server->block_max;
	if (net_family(&t->peer) == AF_INET6 && most > TFTP_BLOCK_DEFAULT + IPV6_MORE)
		most -= IPV6_MORE;
	if (g->has_blksize)
		t->block_size = g->blksize = MIN(asked->blksize, most);
	if (g->has_windowsize)
		t->window = g->windowsize = MIN(asked->windowsize, (uint16_t)TFTP_WINDOW_MAX);
	g->timeout_s = asked->timeout_s;
	if (g->has_timeout)
		t->timeout = g->timeout_s * USEC_PER_SEC;
	t->negotiating = g->has_blksize || g->has_tsize || g->has_windowsize || g->has_timeout;
	/* A file that ends with a whole block is followed by an empty one. */
	t->last = t->content.size / t->block_size + 1;
}

static int open_socket(struct transfer *t, struct err *err)
{
	const struct boot_config *config = t->server->env.config;
	struct boot_udp_options options = { .device = config->device };
	options.address = *boot_own_address(config, net_family(&t->peer));
	int r = boot_udp_open(&options, &t->fd, err);
	if (r < 0)
		return r;
	if (connect(t->fd, &t->peer.sa, net_len(&t->peer)) < 0)
		return err_set_errno(err, errno, "cannot reach the client");
	return loop_io_open(t->server->env.loop, t->fd, LOOP_READ, "tftp", on_transfer_readable, t,
			    &t->io, err);
}

static struct transfer *transfer_new(struct tftp_server *s, const struct net_addr *peer,
				     const char *name)
{
	struct transfer *t = xcalloc(1, sizeof(*t));
	*t = (struct transfer){ .server = s,
				.peer = *peer,
				.fd = -1,
				.content.fd = -1,
				.started = loop_now(s->env.loop) };
	snprintf(t->name, sizeof(t->name), "%s", name);
	list_append(&s->transfers, &t->node);
	s->count++;
	timer_init(&t->timer, s->env.loop, "tftp", on_timeout, t);
	return t;
}

/* NULL: go on. Otherwise what to tell the client. */
static const char *refusal(const struct tftp_request *r, enum tftp_error *ret)
{
	*ret = TFTP_ERROR_ILLEGAL;
	if (r->op == TFTP_WRITE) {
		*ret = TFTP_ERROR_ACCESS;
		return "read only";
	}
	return r->mode == TFTP_OCTET ? NULL : "only octet mode";
}

static void note_failure(const struct transfer *t, const struct err *err)
{
	char peer[NET_IP_TEXT_MAX];
	const struct boot_env *env = &t->server->env;
	usec_t now = loop_now(env->loop);
	net_format_ip(&t->peer, peer);
	log_paced(log_pace_of(&t->server->paces, now, peer, "cannot be read", t->name), now,
		  LOG_WARN, "tftp failed", "file", t->name, "peer", peer, "error", err->text);
	if (env->ops->failed)
		env->ops->failed(env->data, NULL, peer, err->text);
}

static const char *find_content(struct transfer *t, enum tftp_error *ret)
{
	struct err err = { 0 };
	/* Some firmware puts a slash in front. */
	int r = boot_content_open(&t->server->env, t->name + strspn(t->name, "/"),
				  net_family(&t->peer), &t->content, &err);
	if (r == 0)
		return NULL;
	*ret = r == -ENOENT ? TFTP_ERROR_NOT_FOUND : TFTP_ERROR_OTHER;
	if (err.kind == ERR_NONE)
		return "no such file";
	note_failure(t, &err);
	return "cannot read the file";
}

/* The newest boot of a client is the one that counts. */
static void make_room(struct tftp_server *s, const struct net_addr *peer)
{
	struct transfer *oldest = NULL;
	unsigned count = 0;
	list_for_each_safe(node, &s->transfers) {
		struct transfer *t = list_entry(node, struct transfer, node);
		if (!net_same_ip(&t->peer, peer))
			continue;
		if (!oldest)
			oldest = t;
		count++;
	}
	if (count >= TFTP_PER_CLIENT_MAX)
		transfer_free(oldest);
}

/* A repeated request for a transfer that has begun: the answer is on its way or will be repeated.
 */
static bool known(const struct tftp_server *s, const struct net_addr *peer)
{
	list_for_each(node, &s->transfers) {
		const struct transfer *t = list_entry(node, struct transfer, node);
		if (net_compare(&t->peer, peer) == 0)
			return true;
	}
	return false;
}

static void start(struct tftp_server *s, const struct tftp_request *r, const struct net_addr *peer)
{
	struct err err;
	enum tftp_error code;
	struct transfer *t = transfer_new(s, peer, r->name);
	if (open_socket(t, &err) < 0) {
		log_end(t, LOG_WARN, "tftp failed", err.text);
		transfer_free(t);
		return;
	}
	const char *no = refusal(r, &code);
	if (!no)
		no = find_content(t, &code);
	if (no) {
		send_error(t, code, no);
		/* shim and GRUB ask for a handful of files that need not exist. */
		log_end(t, code == TFTP_ERROR_NOT_FOUND ? LOG_DEBUG : LOG_INFO, "tftp refused", no);
		transfer_free(t);
		return;
	}
	grant(t, &r->options);
	timer_set_in(&t->timer, t->timeout);
	(void)send_current(t);
}

static void on_readable(void *data, int events)
{
	const struct listener *l = data;
	struct tftp_server *s = l->server;
	(void)events;
	for (int i = 0; i < RECEIVE_BURST; i++) {
		uint8_t packet[TFTP_REQUEST_MAX + 1]; /* longer ones do not decode */
		struct net_addr from;
		struct tftp_request r;
		ssize_t n = boot_udp_receive(l->fd, packet, sizeof(packet), &from);
		if (n < 0)
			return;
		if (!s->active || tftp_decode_request(packet, (size_t)n, &r) < 0 || known(s, &from))
			continue;
		make_room(s, &from);
		if (s->count < TFTP_TRANSFERS_MAX)
			start(s, &r, &from);
	}
}

/* --- service ---------------------------------------------------------------------------------- */

static uint16_t device_block_max(int fd, const char *device)
{
	struct ifreq req = { 0 };
	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", device);
	int mtu = ioctl(fd, SIOCGIFMTU, &req) == 0 ? req.ifr_mtu : MTU_DEFAULT;
	if (mtu > MTU_MAX)
		mtu = MTU_MAX;
	return mtu < BELOW_DATA + TFTP_BLOCK_DEFAULT ? TFTP_BLOCK_DEFAULT
						     : (uint16_t)(mtu - BELOW_DATA);
}

static int open_listener(struct listener *l, struct err *err)
{
	struct tftp_server *s = l->server;
	const char *device = s->env.config->device;
	struct boot_udp_options options = { .device = device,
					    .address = l->address,
					    .port = TFTP_PORT };
	if (!s->env.config->tftp || !net_is_set(&l->address))
		return 0;
	int r = boot_udp_open(&options, &l->fd, err);
	if (r < 0)
		return r;
	s->block_max = device_block_max(l->fd, device);
	return loop_io_open(s->env.loop, l->fd, LOOP_READ, "tftp", on_readable, l, &l->io, err);
}

int tftp_server_open(const struct boot_env *env, struct tftp_server **ret, struct err *err)
{
	int r = boot_config_check(env->config, err);
	if (r < 0)
		return r;
	struct tftp_server *s = xcalloc(1, sizeof(*s));
	*s = (struct tftp_server){ .env = *env };
	s->four = (struct listener){ .server = s, .address = env->config->address, .fd = -1 };
	s->six = (struct listener){ .server = s, .address = env->config->address6, .fd = -1 };
	list_init(&s->transfers);
	r = open_listener(&s->four, err);
	if (r == 0)
		r = open_listener(&s->six, err);
	if (r < 0) {
		tftp_server_close(s);
		return err_wrap(err, "TFTP");
	}
	*ret = s;
	return 0;
}

static void close_listener(struct listener *l)
{
	if (l->io)
		loop_io_close(l->io);
	if (l->fd >= 0)
		close(l->fd);
}

struct tftp_server *tftp_server_close(struct tftp_server *s)
{
	if (!s)
		return NULL;
	list_for_each_safe(node, &s->transfers)
		transfer_free(list_entry(node, struct transfer, node));
	close_listener(&s->four);
	close_listener(&s->six);
	free(s);
	return NULL;
}

void tftp_server_set_active(struct tftp_server *s, bool active)
{
	s->active = active;
}
