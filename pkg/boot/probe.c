/* Is an address in use? A proper ARP probe (RFC 5227) needs raw frames. Instead one ICMP echo is
 * sent to the address: before the echo can leave, the kernel must ask by ARP, which even a
 * firewalled host answers. So two things tell that the address is taken: an echo reply, and (on our
 * own wire) a neighbour entry with a hardware address. An entry with the client's own MAC is no
 * conflict: the host still, or again, uses the address that it had before its record was lost.
 *
 * A neighbour entry may be stale: then the address is skipped although its owner has gone, which
 * costs nothing but another address. A host that answers neither within BOOT_PROBE_WAIT_MS is
 * missed; it will be met again as a DECLINE, for which clients probe themselves. Relayed subnets
 * have no ARP and only the echo counts.
 *
 * The prober owns its probes' descriptor; a probe is freed before its done is called. Core thread.
 */

#include "boot/probe.h"

#include <errno.h>
#include <linux/icmp.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"

enum { RECEIVE_BURST = 64 };

struct boot_prober {
	struct loop *loop;
	char device[16]; /* IFNAMSIZ */
	int fd;
	struct loop_io *io;
	struct list probes;
	size_t count;
	uint16_t id, last_seq;
};

struct boot_probe {
	struct list node;
	struct boot_prober *prober;
	struct net_addr address; /* IPv4 */
	struct net_mac own;
	uint16_t seq;
	struct timer timer;
	boot_probe_done_fn done;
	void *data;
};

struct boot_probe *boot_probe_cancel(struct boot_probe *p)
{
	if (!p)
		return NULL;
	timer_stop(&p->timer);
	list_unlink(&p->node);
	p->prober->count--;
	free(p);
	return NULL;
}

/* The MAC that answers for the address, by the kernel's neighbour table. False: none. */
static bool find_neighbour(const struct boot_probe *p, struct net_mac *ret)
{
	struct arpreq req = { 0 };
	memcpy(&req.arp_pa, &p->address.v4, sizeof(p->address.v4));
	memcpy(req.arp_dev, p->prober->device, sizeof(req.arp_dev));
	if (ioctl(p->prober->fd, SIOCGARP, &req) < 0 || !(req.arp_flags & ATF_COM))
		return false;
	memcpy(ret->bytes, req.arp_ha.sa_data, sizeof(ret->bytes));
	return true;
}

static void finish(struct boot_probe *p, bool answered)
{
	struct net_mac mac;
	bool taken = find_neighbour(p, &mac) ? !net_mac_equal(&mac, &p->own) : answered;
	boot_probe_done_fn done = p->done;
	void *data = p->data;
	boot_probe_cancel(p);
	done(data, taken);
}

static void on_timeout(void *data)
{
	finish(data, false);
}

static uint16_t checksum(const uint16_t *words, size_t count)
{
	uint32_t sum = 0;
	for (size_t i = 0; i < count; i++)
		sum += words[i];
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t) ~(sum + (sum >> 16));
}

static void send_echo(const struct boot_probe *p)
{
	union {
		struct icmphdr header;
		uint16_t words[sizeof(struct icmphdr) / 2];
	} echo = { .header = { .type = ICMP_ECHO,
			       .un.echo = { htons(p->prober->id), htons(p->seq) } } };
	echo.header.checksum = checksum(echo.words, ARRAY_SIZE(echo.words));
	/* A failure means no route or no link, and then there is no answer either. */
	(void)sendto(p->prober->fd, &echo, sizeof(echo), 0, &p->address.sa, net_len(&p->address));
}

struct boot_probe *boot_probe_start(struct boot_prober *prober, const struct net_addr *address,
				    const struct net_mac *own, boot_probe_done_fn done, void *data)
{
	if (prober->count >= BOOT_PROBES_MAX)
		return NULL;
	struct boot_probe *p = xcalloc(1, sizeof(*p));
	*p = (struct boot_probe){ .prober = prober,
				  .address = *address,
				  .own = *own,
				  .seq = ++prober->last_seq,
				  .done = done,
				  .data = data };
	list_append(&prober->probes, &p->node);
	prober->count++;
	timer_init(&p->timer, prober->loop, "dhcp-probe", on_timeout, p);
	timer_set_in(&p->timer, BOOT_PROBE_WAIT_MS * USEC_PER_MSEC);
	send_echo(p);
	return p;
}

static void take_reply(struct boot_prober *prober, const uint8_t *packet, size_t len)
{
	struct iphdr ip;
	struct icmphdr icmp;
	if (len < sizeof(ip))
		return;
	memcpy(&ip, packet, sizeof(ip));
	size_t at = (size_t)ip.ihl * 4;
	if (at < sizeof(ip) || len < at + sizeof(icmp))
		return;
	memcpy(&icmp, packet + at, sizeof(icmp));
	if (icmp.type != ICMP_ECHOREPLY || icmp.un.echo.id != htons(prober->id))
		return;
	list_for_each(node, &prober->probes) {
		struct boot_probe *p = list_entry(node, struct boot_probe, node);
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what is freed is off the list */
		if (p->seq != ntohs(icmp.un.echo.sequence) ||
		    net_to_v4(&p->address).s_addr != ip.saddr)
			continue;
		finish(p, true);
		return;
	}
}

static void on_readable(void *data, int events)
{
	struct boot_prober *prober = data;
	(void)events;
	for (int i = 0; i < RECEIVE_BURST; i++) {
		uint8_t packet[128];
		ssize_t n = recv(prober->fd, packet, sizeof(packet), 0);
		if (n < 0)
			return;
		take_reply(prober, packet, (size_t)n);
	}
}

static int set_up(int fd, const char *device)
{
	struct icmp_filter filter = { ~(1u << ICMP_ECHOREPLY) };
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device) + 1) <
		    0 ||
	    setsockopt(fd, SOL_RAW, ICMP_FILTER, &filter, sizeof(filter)) < 0)
		return -errno;
	return 0;
}

int boot_prober_open(struct loop *loop, const char *device, struct boot_prober **ret,
		     struct err *err)
{
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP);
	if (fd < 0)
		return err_set_errno(
			err, errno,
			"cannot probe addresses before DHCP offers them (it needs root "
			"or CAP_NET_RAW)");
	struct boot_prober *p = xcalloc(1, sizeof(*p));
	*p = (struct boot_prober){ .loop = loop, .fd = fd };
	list_init(&p->probes);
	snprintf(p->device, sizeof(p->device), "%s", device);
	loop_random(loop, &p->id, sizeof(p->id));
	int r = set_up(fd, device);
	r = r < 0 ? err_set_errno(err, r, "cannot probe addresses on %s", device)
		  : loop_io_open(loop, fd, LOOP_READ, "dhcp-probe", on_readable, p, &p->io, err);
	if (r < 0) {
		boot_prober_close(p);
		return r;
	}
	*ret = p;
	return 0;
}

struct boot_prober *boot_prober_close(struct boot_prober *p)
{
	if (!p)
		return NULL;
	if (p->io)
		loop_io_close(p->io);
	close(p->fd);
	free(p);
	return NULL;
}
